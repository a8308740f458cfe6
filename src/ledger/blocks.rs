//! Where the blocks of entries begin that were written since the ledger was opened. Who knows that gets a block by its
//! key; who does not has sled go back from an entry, which copies the list of all that lies around it.

use std::{
    collections::VecDeque,
    sync::{PoisonError, RwLock},
};

use super::layout;
use crate::{store::Write, tlog::Index};

/// As many blocks are known at most, the newest: some 12,000,000 entries that were written in large commits. 16 MB.
const KNOWN_MAX: usize = 1 << 21;

/// The blocks that were written lately. A block is never written again.
#[derive(Debug, Default)]
pub(super) struct Blocks(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The first indexes of consecutive blocks.
    firsts: VecDeque<u64>,
    /// One past the last entry of the last block.
    end: u64,
}

impl Blocks {
    /// Takes the blocks among the writes of a commit, whose entries end before `end`.
    pub(super) fn take(&self, writes: &[Write], end: Index) {
        let parts = writes
            .iter()
            .filter_map(|write| layout::parse_block_key(write.key()));
        let firsts = parts.filter_map(|(first, part)| (part == 0).then_some(first.value()));
        let mut firsts: Vec<u64> = firsts.collect();
        firsts.sort_unstable();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.firsts.extend(firsts);
        known.end = end.value();
        let beyond = known.firsts.len().saturating_sub(KNOWN_MAX);
        known.firsts.drain(..beyond);
    }

    /// The first index of the block that holds an entry, if that is known.
    pub(super) fn first(&self, index: Index) -> Option<Index> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.end <= index.value() {
            return None;
        }
        let after = known.firsts.partition_point(|&one| one <= index.value());
        let first = known.firsts.get(after.checked_sub(1)?)?;
        Some(Index::new(*first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::block::noise;

    /// A commit of so many entries of so many bytes each, from the entry `first` on.
    fn commit(blocks: &Blocks, first: u64, entries: u64, bytes: usize) {
        let mut writes = Vec::new();
        let entry = noise(bytes);
        let all = (0..entries).map(|_| entry.as_slice());
        layout::pack_blocks(Index::new(first), all, &mut writes);
        writes.push(Write::Put {
            key: layout::cosigned_key("witness"),
            value: vec![],
        });
        blocks.take(&writes, Index::new(first + entries));
    }

    #[test]
    fn the_block_of_each_entry_is_known_that_was_written_since() {
        let blocks = Blocks::default();
        assert_eq!(blocks.first(Index::new(0)), None);
        // Five to a block, each in several parts, one alone.
        commit(&blocks, 100, 40, 600);
        commit(&blocks, 140, 3, 20_000);
        commit(&blocks, 143, 1, 10);
        let firsts: Vec<u64> = (100..140).step_by(5).chain(140..144).collect();
        let end = 144;
        for index in 0..100 {
            assert_eq!(blocks.first(Index::new(index)), None, "{index}");
        }
        for index in 100..end {
            let first = firsts.iter().rfind(|&&first| first <= index).copied();
            let known = blocks.first(Index::new(index));
            assert_eq!(known.map(Index::value), first, "{index}");
        }
        assert_eq!(blocks.first(Index::new(end)), None);
    }

    #[test]
    fn no_more_are_known_than_there_is_room_for() {
        let blocks = Blocks::default();
        let more = u64::try_from(KNOWN_MAX).unwrap() + 10;
        for first in 0..more {
            let key = layout::block_key(Index::new(first), 0);
            let write = Write::Put { key, value: vec![] };
            blocks.take(&[write], Index::new(first + 1));
        }
        assert_eq!(blocks.first(Index::new(9)), None);
        assert_eq!(blocks.first(Index::new(10)), Some(Index::new(10)));
        let last = Index::new(more - 1);
        assert_eq!(blocks.first(last), Some(last));
    }
}
