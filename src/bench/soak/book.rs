//! What the server has promised: the receipts that it gave, and the newest checkpoint that it showed. Each is checked
//! when it comes, and held against the whole log at the end.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, ensure};
use prost::Message as _;

use crate::{
    note::{Checkpoint, VerifierKey, open_checkpoint},
    pb,
    record::entry::EntryView,
    tlog::{Hash, Index, TreeSize, check_inclusion, leaf_hash, tiles_at},
    verify::{Directory, LogSource as _},
};

/// The length of an entry goes before it in a bundle.
const LENGTH_BYTES: usize = 2;

/// All promises so far.
#[derive(Debug)]
pub(super) struct Book {
    key: VerifierKey,
    newest: Mutex<Newest>,
    records: Mutex<BTreeMap<u64, Acknowledged>>,
}

/// The largest tree that anybody was shown.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) note: String,
    pub(super) checkpoint: Checkpoint,
}

/// An entry that somebody has a receipt for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Acknowledged {
    pub(super) record_id: Box<str>,
    pub(super) leaf: Hash,
}

/// What became of the promises.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Entries of the log.
    pub(super) entries: u64,
    /// Indexes of receipts that the log does not have as they were acknowledged.
    pub(super) lost: Vec<u64>,
    /// Entries that nobody has a receipt for.
    pub(super) unknown: Vec<u64>,
}

impl Book {
    /// With the first checkpoint.
    pub(super) fn new(key: VerifierKey, note: &str) -> anyhow::Result<Self> {
        let checkpoint = open_checkpoint(note, &key)?;
        let note = note.to_owned();
        Ok(Self {
            key,
            newest: Mutex::new(Newest { note, checkpoint }),
            records: Mutex::default(),
        })
    }

    /// The log's key.
    pub(super) fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The largest tree that anybody was shown.
    pub(super) fn newest(&self) -> Newest {
        self.lock_newest().clone()
    }

    /// How many entries there are at least.
    pub(super) fn size(&self) -> u64 {
        self.lock_newest().checkpoint.size.value()
    }

    /// How many receipts there are.
    pub(super) fn acknowledged(&self) -> usize {
        self.lock_records().len()
    }

    /// Takes in a checkpoint that was shown: signed, and no other than one of the same size before.
    pub(super) fn show(&self, note: &str) -> anyhow::Result<Checkpoint> {
        {
            // Those of a batch are all the same; so is its signature.
            let newest = self.lock_newest();
            if newest.note == note {
                return Ok(newest.checkpoint.clone());
            }
        }
        let checkpoint = open_checkpoint(note, &self.key)?;
        let mut newest = self.lock_newest();
        let (known, root) = (newest.checkpoint.size, newest.checkpoint.root);
        ensure!(
            checkpoint.size != known || checkpoint.root == root,
            "two trees of {known} entries are signed"
        );
        if known < checkpoint.size {
            *newest = Newest {
                note: note.to_owned(),
                checkpoint: checkpoint.clone(),
            };
        }
        Ok(checkpoint)
    }

    /// Takes in a receipt for this record: it proves that the record is in the log, where no other is.
    pub(super) fn take(&self, record_id: &str, receipt: &pb::Receipt) -> anyhow::Result<()> {
        let index = receipt.index;
        let checkpoint = self.show(&receipt.checkpoint)?;
        let leaf = leaf_hash(&receipt.entry);
        ensure!(
            leaf.as_ref() == receipt.leaf_hash,
            "the receipt {index} has another leaf hash than its entry"
        );
        let proof = hashes(&receipt.inclusion_proof)?;
        check_inclusion(
            &proof,
            Index::new(index),
            checkpoint.size,
            leaf,
            checkpoint.root,
        )
        .with_context(|| format!("the receipt {index} proves nothing"))?;
        let (says, recorded) = read(&receipt.entry)?;
        ensure!(
            says == index && *recorded == *record_id,
            "the receipt {index} is of the record {recorded} at index {says}, not of {record_id}"
        );
        let acknowledged = Acknowledged {
            record_id: recorded,
            leaf,
        };
        let other = self.lock_records().insert(index, acknowledged);
        ensure!(other.is_none(), "two records were given the index {index}");
        Ok(())
    }

    /// Some entry that somebody has a receipt for; numbers that follow each other give entries all over the log.
    pub(super) fn some(&self, number: u64) -> Option<(u64, Acknowledged)> {
        /// 2^64 in the golden ratio: its multiples are spread evenly.
        const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;
        let records = self.lock_records();
        let (last, _) = records.last_key_value()?;
        let from = number.wrapping_mul(STRIDE) % (last + 1);
        let (index, acknowledged) = records.range(from..).next()?;
        Some((*index, acknowledged.clone()))
    }

    /// Holds the promises against a log that was exported, and verified.
    pub(super) fn compare(&self, export: &Path, size: TreeSize) -> anyhow::Result<Kept> {
        let mut records = self.lock_records().clone();
        let log = Directory::new(export);
        let (mut index, mut unknown, mut lost) = (0, Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        for bundle in tiles_at(size).take_while(|tile| tile.level == 0) {
            log.entry_bundle(bundle, &mut bytes)?;
            let mut rest = bytes.as_slice();
            while let Some((entry, after)) = split(rest) {
                rest = after;
                match records.remove(&index) {
                    None => unknown.push(index),
                    Some(acknowledged) => {
                        let (_, record_id) = read(entry)?;
                        let leaf = leaf_hash(entry);
                        if (Acknowledged { record_id, leaf }) != acknowledged {
                            lost.push(index);
                        }
                    }
                }
                index += 1;
            }
        }
        lost.extend(records.keys());
        Ok(Kept {
            entries: index,
            lost,
            unknown,
        })
    }

    fn lock_newest(&self) -> MutexGuard<'_, Newest> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_records(&self) -> MutexGuard<'_, BTreeMap<u64, Acknowledged>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// What is wrong, where so many records were sent and never acknowledged. Entry 0 is the ledger's own.
    pub(super) fn wrong(&self, abandoned: usize) -> Vec<String> {
        let Self {
            entries: _,
            lost,
            unknown,
        } = self;
        let lost = lost.iter();
        let lost = lost.map(|index| format!("entry {index} is not as it was acknowledged"));
        let surplus = unknown.iter().skip(1 + abandoned);
        let surplus = surplus.map(|index| format!("nobody has a receipt for entry {index}"));
        lost.chain(surplus).collect()
    }
}

/// The hashes of a proof.
pub(super) fn hashes(proof: &[impl AsRef<[u8]>]) -> anyhow::Result<Vec<Hash>> {
    let hashes = proof.iter().map(|hash| Hash::from_slice(hash.as_ref()));
    Ok(hashes.collect::<Result<_, _>>()?)
}

/// Where an entry says that it is, and which record it carries.
fn read(entry: &[u8]) -> anyhow::Result<(u64, Box<str>)> {
    let entry = EntryView::parse(entry).context("an entry is malformed")?;
    let record = pb::Record::decode(entry.record).context("a record is malformed")?;
    Ok((entry.index.value(), record.record_id.into_boxed_str()))
}

/// The first entry of a bundle, and what follows.
fn split(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
