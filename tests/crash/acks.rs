//! Acknowledgements: a line for each record, appended to a file after `append` has returned, all lines
//! of a batch in one write. The harness demands what they say from whatever it opens later.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use genetrail::tlog::Hash;

use crate::plan::{Batch, hex, parse_hex};

/// What was acknowledged of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) index: u64,
    pub(crate) record_id: [u8; 16],
    pub(crate) leaf: Hash,
    /// The size and root of the checkpoint that came with the answer.
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

/// Everything that was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// By record id.
    pub(crate) records: BTreeMap<[u8; 16], Ack>,
    /// Roots by size.
    pub(crate) roots: BTreeMap<u64, Hash>,
}

/// The file that acknowledgements are appended to. A line that a kill has cut short was never acknowledged: it is taken
/// off, or the next one would go on from there.
pub(crate) fn open(path: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(path);
    let file = file.with_context(|| format!("opening {}", path.display()))?;
    let text = fs::read(path)?;
    let whole = text.iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |end| end + 1);
    if whole < text.len() {
        file.set_len(u64::try_from(whole)?)?;
    }
    Ok(file)
}

/// Acknowledges a batch.
pub(crate) fn write(mut file: &File, acks: &[Ack]) -> Result<()> {
    let mut lines = String::new();
    for Ack {
        index,
        record_id,
        leaf,
        size,
        root,
    } in acks
    {
        let (id, leaf, root) = (hex(record_id), hex(leaf.as_bytes()), hex(root.as_bytes()));
        lines.extend([
            &index.to_string(),
            " ",
            &id,
            " ",
            &leaf,
            " ",
            &size.to_string(),
            " ",
            &root,
            "\n",
        ]);
    }
    let written = file.write(lines.as_bytes())?;
    ensure!(written == lines.len(), "an acknowledgement was cut short");
    Ok(())
}

impl Acks {
    /// Reads the file; a line without an end was never acknowledged.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).unwrap_or_default();
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self> {
        let mut acks = Self::default();
        for line in text
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
        {
            let ack = parse_line(line).with_context(|| format!("acknowledgement {line:?}"))?;
            let root = *acks.roots.entry(ack.size).or_insert(ack.root);
            ensure!(
                root == ack.root,
                "two roots were acknowledged for size {}: a fork",
                ack.size
            );
            if let Some(other) = acks.records.insert(ack.record_id, ack.clone()) {
                let same = (other.index, other.leaf) == (ack.index, ack.leaf);
                ensure!(same, "a record was acknowledged twice, differently: {line}");
            }
        }
        Ok(acks)
    }

    /// The batches that were acknowledged.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = self.records.keys().map(Batch::of).collect();
        batches.sort();
        batches.dedup();
        batches
    }
}

fn parse_line(line: &str) -> Result<Ack> {
    let mut words = line.split(' ');
    let mut word = || words.next().context("a word is missing");
    Ok(Ack {
        index: word()?.parse()?,
        record_id: parse_hex(word()?)?,
        leaf: parse_hash(word()?)?,
        size: word()?.parse()?,
        root: parse_hash(word()?)?,
    })
}

fn parse_hash(text: &str) -> Result<Hash> {
    let bytes: [u8; 32] = parse_hex(text)?;
    Ok(Hash::new(bytes))
}
