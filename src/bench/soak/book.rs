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
    /// What was in the log before.
    first: TreeSize,
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
    /// Entries that were added and that nobody has a receipt for.
    pub(super) unknown: Vec<u64>,
}

impl Book {
    /// With the first checkpoint, under which nobody has a receipt.
    pub(super) fn new(key: VerifierKey, note: &str) -> anyhow::Result<Self> {
        let checkpoint = open_checkpoint(note, &key)?;
        let note = note.to_owned();
        Ok(Self {
            key,
            first: checkpoint.size,
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
                    None if index < self.first.value() => {}
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
    /// What is wrong, where so many records were sent and never acknowledged.
    pub(super) fn wrong(&self, abandoned: usize) -> Vec<String> {
        let Self {
            entries: _,
            lost,
            unknown,
        } = self;
        let lost = lost.iter();
        let lost = lost.map(|index| format!("entry {index} is not as it was acknowledged"));
        let surplus = unknown.iter().skip(abandoned);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bench::ledgers, ledger::Ledger};

    /// A ledger with the administrations of these numbers.
    fn ledger(dir: &Path, numbers: std::ops::Range<u64>) -> Ledger {
        let ledger = ledgers::create(dir).unwrap();
        ledgers::fill(&ledger, ledgers::administrations(numbers)).unwrap();
        ledger
    }

    fn receipt(ledger: &Ledger, index: u64) -> pb::Receipt {
        let published = ledger.published();
        let at = Index::new(index);
        let entry = ledger.entry(at).unwrap();
        let proof = ledger.prove_inclusion(&published, at, published.size());
        let proof = proof.unwrap();
        pb::Receipt {
            index,
            leaf_hash: leaf_hash(&entry).as_ref().to_vec().into(),
            entry: entry.into(),
            inclusion_proof: proof
                .iter()
                .map(|hash| hash.as_ref().to_vec().into())
                .collect(),
            checkpoint: published.note().to_owned(),
            flags: Vec::new(),
        }
    }

    /// A book with the receipts for the administrations of these numbers, the first of which is entry 1.
    fn book(ledger: &Ledger, numbers: &[u64]) -> Book {
        let mut book = Book::new(ledger.vkey().clone(), ledger.published().note()).unwrap();
        book.first = TreeSize::new(1);
        for number in numbers {
            let taken = book.take(&ledgers::uuid(*number), &receipt(ledger, number + 1));
            taken.unwrap();
        }
        book
    }

    #[test]
    fn what_was_acknowledged_is_found_again_and_what_was_not_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let ledger = ledger(&home.path().join("ledger"), 0..300);
        let export = home.path().join("export");
        let size = ledger.export(&export, &|_, _| {}).unwrap();
        let all: Vec<u64> = (0..300).collect();
        let kept = book(&ledger, &all).compare(&export, size).unwrap();
        assert_eq!(kept.entries, 301);
        assert_eq!(kept.wrong(0), Vec::<String>::new());

        let kept = book(&ledger, &all[..299]).compare(&export, size).unwrap();
        assert_eq!(kept.wrong(0), ["nobody has a receipt for entry 300"]);
        // It was sent, and whoever sent it has given up.
        assert_eq!(kept.wrong(1), Vec::<String>::new());
        ledger.close();
    }

    #[test]
    fn what_was_acknowledged_and_is_gone_or_another_is_lost() {
        let home = tempfile::tempdir().unwrap();
        let first = ledger(&home.path().join("first"), 0..3);
        let (shorter, export) = (home.path().join("shorter"), home.path().join("export"));
        let short = first.export(&shorter, &|_, _| {}).unwrap();
        ledgers::fill(&first, ledgers::administrations(3..5)).unwrap();
        let book = book(&first, &[0, 1, 2, 3, 4]);
        let kept = book.compare(&shorter, short).unwrap();
        assert_eq!(kept.lost, [4, 5]);

        // The same records, recorded at another time.
        let other = ledger(&home.path().join("other"), 0..5);
        let size = other.export(&export, &|_, _| {}).unwrap();
        let kept = book.compare(&export, size).unwrap();
        assert_eq!(kept.lost, [1, 2, 3, 4, 5]);
        assert_eq!(kept.wrong(9).len(), 5);
        first.close();
        other.close();
    }

    #[test]
    fn a_receipt_that_is_wrong_in_one_way_is_not_taken() {
        let home = tempfile::tempdir().unwrap();
        let ledger = ledger(&home.path().join("ledger"), 0..8);
        let (id, sound) = (ledgers::uuid(1), receipt(&ledger, 2));
        let other = receipt(&ledger, 3);
        for (wrong, id, receipt) in [
            ("of another record", ledgers::uuid(2), sound.clone()),
            (
                "at another index",
                id.clone(),
                pb::Receipt {
                    index: 3,
                    ..sound.clone()
                },
            ),
            (
                "with the entry of another",
                id.clone(),
                pb::Receipt {
                    entry: other.entry.clone(),
                    ..sound.clone()
                },
            ),
            (
                "with the leaf hash of another",
                id.clone(),
                pb::Receipt {
                    leaf_hash: other.leaf_hash.clone(),
                    ..sound.clone()
                },
            ),
            (
                "with the proof of another",
                id.clone(),
                pb::Receipt {
                    inclusion_proof: other.inclusion_proof,
                    ..sound.clone()
                },
            ),
            (
                "without a signature",
                id.clone(),
                pb::Receipt {
                    checkpoint: sound.checkpoint.replace("\u{2014}", "-"),
                    ..sound.clone()
                },
            ),
            ("empty", id.clone(), pb::Receipt::default()),
        ] {
            assert!(book(&ledger, &[]).take(&id, &receipt).is_err(), "{wrong}");
        }
        let book = book(&ledger, &[]);
        book.take(&id, &sound).unwrap();
        assert!(book.take(&id, &sound).is_err(), "the index is taken");
        ledger.close();
    }

    #[test]
    fn two_trees_of_one_size_are_not_believed() {
        let home = tempfile::tempdir().unwrap();
        let one = ledger(&home.path().join("one"), 0..3);
        let other = ledger(&home.path().join("other"), 3..6);
        let book = book(&one, &[]);
        book.show(one.published().note()).unwrap();
        let error = book.show(other.published().note()).unwrap_err();
        assert_eq!(error.to_string(), "two trees of 4 entries are signed");
        one.close();
        other.close();
    }

    #[test]
    fn some_entry_is_always_one_with_a_receipt_and_in_the_end_each_of_them() {
        let home = tempfile::tempdir().unwrap();
        let ledger = ledger(&home.path().join("ledger"), 0..20);
        let numbers = [2, 3, 7, 11, 19];
        let book = book(&ledger, &numbers);
        let found = (0..200).map(|number| book.some(number).unwrap().0);
        let found: std::collections::BTreeSet<u64> = found.collect();
        assert_eq!(found, numbers.iter().map(|number| number + 1).collect());
        ledger.close();
    }
}
