//! What a receipt proves, offline: this entry is at this index of the log whose key signed this
//! checkpoint. It does not know who handed the receipt over, nor whether the author's key was on record:
//! that takes the log, and `verify`.

use std::fmt;

use crate::{
    note::{Checkpoint, NoteError, TlogProof, VerifierKey, open_checkpoint},
    record::entry::{EntryRejected, EntryView},
    tlog::{Hash, Index, ProofRejected, check_inclusion, leaf_hash},
};

/// Why a receipt proves nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotProved {
    /// The checkpoint is not the log's.
    #[error("its checkpoint is not signed by the log")]
    Checkpoint(#[source] NoteError),
    /// The entry's bytes are not those of an entry.
    #[error("its entry is malformed")]
    Entry(#[source] EntryRejected),
    /// The entry says that it is at another index.
    #[error("its entry says it is at index {says}, and the proof is for index {index}")]
    OtherIndex {
        /// The index in the entry.
        says: Index,
        /// The index of the proof.
        index: Index,
    },
    /// The entry is not in the tree.
    #[error("its entry is not in the tree of the checkpoint")]
    Inclusion(#[source] ProofRejected),
}

/// What was proved.
#[derive(Debug)]
pub(super) struct Proved<'a> {
    /// The checkpoint that the log's key signed.
    pub(super) checkpoint: Checkpoint,
    /// The entry's leaf hash.
    pub(super) leaf: Hash,
    /// The entry.
    pub(super) entry: EntryView<'a>,
}

/// Does the proof show that this entry is in the log of this key?
pub(super) fn check<'a>(
    proof: &TlogProof,
    entry: &'a [u8],
    key: &VerifierKey,
) -> Result<Proved<'a>, NotProved> {
    let checkpoint = open_checkpoint(&proof.checkpoint, key).map_err(NotProved::Checkpoint)?;
    let leaf = leaf_hash(entry);
    check_inclusion(
        &proof.hashes,
        proof.index,
        checkpoint.size,
        leaf,
        checkpoint.root,
    )
    .map_err(NotProved::Inclusion)?;
    let entry = EntryView::parse(entry).map_err(NotProved::Entry)?;
    if entry.index != proof.index {
        return Err(NotProved::OtherIndex {
            says: entry.index,
            index: proof.index,
        });
    }
    Ok(Proved {
        checkpoint,
        leaf,
        entry,
    })
}

/// In lines for a person, without the record.
impl fmt::Display for Proved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checkpoint { origin, size, root } = &self.checkpoint;
        let entry = &self.entry;
        writeln!(f, "log          {origin}")?;
        writeln!(
            f,
            "checkpoint   {size} entries, root hash {root}; signed by the log's key"
        )?;
        writeln!(
            f,
            "entry        index {}, leaf hash {}; in that tree",
            entry.index, self.leaf
        )?;
        writeln!(
            f,
            "recorded at  {}",
            entry.recorded_at.to_utc().to_rfc3339()
        )?;
        write!(f, "actor        {}", entry.actor)?;
        if let Some(author) = &entry.author {
            let id = super::Hex(author.key_id);
            write!(
                f,
                "\nauthor       signed with the key {id}; whose it was, the whole log shows"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::{
        note::{KeyName, NoteSigner, Origin},
        record::entry::RecordedAt,
        tlog::{TreeSize, node_hash},
    };

    fn signer(seed: u8) -> NoteSigner {
        let name = KeyName::parse("log.example/trail").unwrap();
        NoteSigner::new(name, SigningKey::from_bytes(&[seed; 32]))
    }

    fn entry(index: u64) -> Vec<u8> {
        let view = EntryView {
            index: Index::new(index),
            previous: Hash::ZERO,
            recorded_at: RecordedAt::new(1_700_000_000, 0).unwrap(),
            salt: [5; 16],
            actor: "hospital-1",
            record: b"record",
            author: None,
        };
        view.encode()
    }

    /// The second of two entries.
    fn receipt(entry: &[u8]) -> TlogProof {
        let before = leaf_hash(b"before");
        let checkpoint = Checkpoint {
            origin: Origin::parse("log.example/trail").unwrap(),
            size: TreeSize::new(2),
            root: node_hash(&before, &leaf_hash(entry)),
        };
        TlogProof {
            extra: Some(entry.to_vec()),
            index: Index::new(1),
            hashes: vec![before],
            checkpoint: checkpoint.sign(&signer(1)),
        }
    }

    #[test]
    fn a_receipt_proves_its_entry() {
        let entry = entry(1);
        let receipt = receipt(&entry);
        let proved = check(&receipt, &entry, &signer(1).vkey()).unwrap();
        assert_eq!(proved.entry.actor, "hospital-1");
        assert_eq!(proved.checkpoint.size, TreeSize::new(2));
    }

    #[test]
    fn no_changed_byte_of_an_entry_goes_unnoticed() {
        let sound = entry(1);
        let receipt = receipt(&sound);
        for at in 0..sound.len() {
            let mut changed = sound.clone();
            changed[at] ^= 1;
            let refused = check(&receipt, &changed, &signer(1).vkey());
            assert!(matches!(refused, Err(NotProved::Inclusion(_))), "byte {at}");
        }
    }

    #[test]
    fn a_receipt_that_is_wrong_in_one_way_is_refused_for_it() {
        let sound = entry(1);
        let refusal = |receipt: &TlogProof, entry: &[u8], key: &VerifierKey| {
            check(receipt, entry, key).map(|_| ()).unwrap_err()
        };
        let key = signer(1).vkey();
        let other = refusal(&receipt(&sound), &sound, &signer(2).vkey());
        assert!(matches!(
            other,
            NotProved::Checkpoint(NoteError::NotSigned { .. })
        ));

        let elsewhere = TlogProof {
            index: Index::new(0),
            ..receipt(&sound)
        };
        let elsewhere = refusal(&elsewhere, &sound, &key);
        assert!(matches!(elsewhere, NotProved::Inclusion(_)));

        let short = TlogProof {
            hashes: Vec::new(),
            ..receipt(&sound)
        };
        assert!(matches!(
            refusal(&short, &sound, &key),
            NotProved::Inclusion(_)
        ));

        let misplaced = entry(7);
        let misplaced = refusal(&receipt(&misplaced), &misplaced, &key);
        assert!(matches!(misplaced, NotProved::OtherIndex { .. }));

        let none = refusal(&receipt(b"none"), b"none", &key);
        assert!(matches!(none, NotProved::Entry(_)));
    }
}
