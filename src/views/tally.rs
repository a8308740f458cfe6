//! Compares two sets of postings too large to hold: by a sum of hashes for each stretch of entries, and
//! then, where two sums differ, posting by posting. Errors are found by it, not forgeries: who can write the
//! store can write any view, and the entries tell.

use std::{collections::BTreeSet, ops::Range};

use sha2::{Digest as _, Sha256};

use super::postings::{Posted, entry_of};
use crate::tlog::{Index, TreeSize};

/// Entries whose postings share a sum: 32 bytes for 1,024 entries are 320 KB for ten million.
const STRETCH: u64 = 1_024;

/// Sums of the postings of each stretch of entries, or the postings of one stretch.
#[derive(Debug)]
pub struct Tally {
    sums: Vec<Sum>,
    /// The entries whose postings are kept.
    kept: Range<u64>,
    postings: BTreeSet<Vec<u8>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sum {
    postings: u64,
    hashes: u128,
}

impl Tally {
    /// A tally of the postings of a tree, which keeps those of some entries.
    pub fn new(size: TreeSize, kept: Range<u64>) -> Self {
        // What is of no entry counts in a stretch of its own, the last.
        let stretches = size.value() / STRETCH + 2;
        let stretches = usize::try_from(stretches).unwrap_or(usize::MAX);
        Self {
            sums: vec![Sum::default(); stretches],
            kept,
            postings: BTreeSet::new(),
        }
    }

    /// How many postings were added.
    pub fn count(&self) -> u64 {
        self.sums.iter().map(|sum| sum.postings).sum()
    }

    pub(super) fn add(&mut self, posting: &[u8]) {
        let index = entry_of(posting).map_or(u64::MAX, |entry| entry.index().value());
        if self.kept.contains(&index) {
            self.postings.insert(posting.to_vec());
        }
        let hash: [u8; 32] = Sha256::digest(posting).into();
        let hash = hash.first_chunk().copied().map_or(0, u128::from_be_bytes);
        let stretch = usize::try_from(index / STRETCH).unwrap_or(usize::MAX);
        let stretch = stretch.min(self.sums.len().saturating_sub(1));
        if let Some(sum) = self.sums.get_mut(stretch) {
            sum.postings += 1;
            sum.hashes = sum.hashes.wrapping_add(hash);
        }
    }

    /// The first stretch of entries whose postings are not the same.
    pub fn differs(&self, other: &Self) -> Option<Range<u64>> {
        let mut both = self.sums.iter().zip(&other.sums);
        let stretch = both.position(|(one, other)| one != other)?;
        let first = u64::try_from(stretch).unwrap_or(u64::MAX) * STRETCH;
        Some(first..first + STRETCH)
    }

    /// The first entry whose kept postings are not the same.
    pub fn differs_at(&self, other: &Self) -> Option<Index> {
        let differing = self.postings.symmetric_difference(&other.postings);
        let entries = differing.filter_map(|posting| entry_of(posting));
        entries.min().map(Posted::index)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::postings, *};

    fn posting(group: &str, index: u64) -> Vec<u8> {
        postings::posting(group.as_bytes(), Posted::new(Index::new(index), true))
    }

    fn tally(postings: &[Vec<u8>]) -> Tally {
        let mut tally = Tally::new(TreeSize::new(5_000), 0..5_000);
        for posting in postings {
            tally.add(posting);
        }
        tally
    }

    #[test]
    fn tallies_are_the_same_in_any_order_and_differ_where_a_posting_is_missing() {
        let mut postings: Vec<_> = (0..4_000).map(|index| posting("a", index)).collect();
        let whole = tally(&postings);
        assert_eq!(whole.count(), 4_000);
        postings.reverse();
        assert_eq!(whole.differs(&tally(&postings)), None);
        let lost = postings.remove(1_000);
        let lost = entry_of(&lost).unwrap().index();
        let partly = tally(&postings);
        for (one, other) in [(&whole, &partly), (&partly, &whole)] {
            let stretch = one.differs(other).unwrap();
            assert_eq!(stretch, 2_048..3_072);
            assert!(stretch.contains(&lost.value()));
            assert_eq!(one.differs_at(other), Some(lost));
        }
    }

    #[test]
    fn a_posting_of_another_group_or_mark_or_twice_differs() {
        let one = tally(&[posting("a", 7)]);
        assert!(one.differs(&tally(&[posting("b", 7)])).is_some());
        assert!(
            one.differs(&tally(&[posting("a", 7), posting("a", 7)]))
                .is_some()
        );
        assert!(one.differs(&tally(&[])).is_some());
        let other = postings::posting(b"a", Posted::new(Index::new(7), false));
        assert!(one.differs(&tally(&[other])).is_some(), "not marked");
        let beyond = tally(&[posting("a", u64::MAX)]);
        assert!(beyond.differs(&tally(&[])).is_some());
    }
}
