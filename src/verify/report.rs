//! What a verification that said yes has checked.

use crate::{
    note::{Checkpoint, VerifierKey},
    record::entry::RecordedAt,
    tlog::TreeSize,
};

/// What was checked, and how much of it. It is only made when nothing was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint that the log was held against.
    pub checkpoint: Checkpoint,
    /// The key that signed it.
    pub key: VerifierKey,
    /// How many hash tiles were compared.
    pub tiles: u64,
    /// How many entries bear an author's signature.
    pub signed: u64,
    /// How many of them were signed outside the key's validity, of something within it.
    pub outside_validity: u64,
    /// How many author keys the log put on record.
    pub keys: usize,
    /// When the first and the last entry were recorded.
    pub recorded: Option<(RecordedAt, RecordedAt)>,
    /// The size of the older checkpoint that the log extends.
    pub older: Option<TreeSize>,
    /// How many files the exported log has under `tile/`, if it is one.
    pub files: Option<u64>,
}

impl Report {
    pub(super) fn new(
        key: &VerifierKey,
        checkpoint: &Checkpoint,
        older: Option<&Checkpoint>,
    ) -> Self {
        Self {
            checkpoint: checkpoint.clone(),
            key: key.clone(),
            tiles: 0,
            signed: 0,
            outside_validity: 0,
            keys: 0,
            recorded: None,
            older: older.map(|older| older.size),
            files: None,
        }
    }

    pub(super) fn begin(&mut self, recorded_at: RecordedAt) {
        self.recorded.get_or_insert((recorded_at, recorded_at));
    }

    pub(super) fn end(&mut self, recorded_at: RecordedAt) {
        if let Some((_, last)) = &mut self.recorded {
            *last = recorded_at;
        }
    }

    pub(super) fn count_tile(&mut self) {
        self.tiles = self.tiles.saturating_add(1);
    }

    pub(super) fn count_signed(&mut self, outside_validity: bool) {
        self.signed = self.signed.saturating_add(1);
        let outside_validity = u64::from(outside_validity);
        self.outside_validity = self.outside_validity.saturating_add(outside_validity);
    }

    /// The report in sentences, one for each thing that was checked.
    pub fn lines(&self) -> Vec<String> {
        let Checkpoint { origin, size, root } = &self.checkpoint;
        let last = size.value().saturating_sub(1);
        let mut lines = vec![
            format!("checkpoint: {origin}, {size} entries, root {root}"),
            format!("signature: by the key {}", self.key),
            format!("entries: {size}, each hashed to its leaf and read field by field"),
            format!(
                "hash tiles: {}, each compared with the entries under it",
                self.tiles
            ),
            "root: the one that was signed".to_owned(),
            format!("indexes: 0 to {last}, without gap"),
            "hash chain: each entry carries the hash of the entry before".to_owned(),
        ];
        if let Some((first, last)) = self.recorded {
            let (first, last) = (first.to_utc().to_rfc3339(), last.to_utc().to_rfc3339());
            lines.push(format!("times: {first} to {last}, never going back"));
        }
        lines.push("genesis: names this origin and this key".to_owned());
        lines.push(format!(
            "author signatures: {}, by {} keys on record; {} outside a key's validity; {} entries without",
            self.signed,
            self.keys,
            self.outside_validity,
            size.value().saturating_sub(self.signed),
        ));
        if let Some(older) = self.older {
            lines.push(format!(
                "older checkpoint: its {older} entries are the first of these"
            ));
        }
        if let Some(files) = self.files {
            lines.push(format!(
                "files: {files} under tile/, none missing and none too many"
            ));
        }
        lines
    }
}
