//! A Bloom filter over digests: says "certainly not here" for nearly every new record, so that a new record costs no
//! read. Sixteen bits a digest and six probes, all in one block of 64 bytes: one in 800 is a false "perhaps". A ledger of
//! ten millions has some twenty runs, and a receipt asks each of them about half a dozen subjects: with twelve bits, one
//! in 200, every other receipt read a block for nothing.
//!
//! A filter of millions lies in no cache of the processor. In blocks, a digest costs one access to memory and not six,
//! to ask and, more often, to insert it each time that runs are merged.

use std::ops::Range;

const BITS_PER_ID: u64 = 16;
const PROBES: u32 = 6;

/// A line of a processor's cache: 512 bits, which 9 bits of a digest choose from.
const BLOCK_BYTES: usize = 64;
const BIT_BITS: u32 = 9;

/// A filter's page in the store; values stay under 7 KiB.
const PAGE_BYTES: usize = 7_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    blocks: Vec<u8>,
}

impl Filter {
    /// An empty filter for so many digests.
    pub(super) fn for_ids(ids: u64) -> Self {
        let bytes = ids.saturating_mul(BITS_PER_ID).div_ceil(8);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            blocks: vec![0; bytes.max(1).next_multiple_of(BLOCK_BYTES)],
        }
    }

    pub(super) fn insert(&mut self, digest: u64) {
        let block = self.block(digest);
        let Some(block) = self.blocks.get_mut(block) else {
            return;
        };
        for (byte, bit) in probes(digest) {
            if let Some(byte) = block.get_mut(byte) {
                *byte |= bit;
            }
        }
    }

    /// Whether the digest may have been inserted. Never says no to one that was.
    pub(super) fn may_hold(&self, digest: u64) -> bool {
        let block = self.blocks.get(self.block(digest)).unwrap_or_default();
        probes(digest).all(|(byte, bit)| block.get(byte).is_some_and(|byte| byte & bit != 0))
    }

    /// Where a digest's block is. Digests are uniform, and so are their shares of the blocks.
    fn block(&self, digest: u64) -> Range<usize> {
        let blocks = self.blocks.len() / BLOCK_BYTES;
        let share = u128::try_from(blocks).unwrap_or(0) * u128::from(digest);
        let start = usize::try_from(share >> 64).unwrap_or(0) * BLOCK_BYTES;
        start..start + BLOCK_BYTES
    }

    pub(super) fn pages(&self) -> impl Iterator<Item = &[u8]> {
        self.blocks.chunks(PAGE_BYTES)
    }

    /// How many pages a filter for `ids` record ids has.
    pub(super) fn page_count(ids: u64) -> usize {
        Self::for_ids(ids).blocks.len().div_ceil(PAGE_BYTES)
    }

    /// A filter from its pages; `None` where they are not of the size for `ids`.
    pub(super) fn from_pages(ids: u64, pages: &[Vec<u8>]) -> Option<Self> {
        let blocks = pages.concat();
        (blocks.len() == Self::for_ids(ids).blocks.len()).then_some(Self { blocks })
    }
}

/// The bits of a digest in its block. What shares a block begins alike: other bits than those choose here, mixed by an
/// odd number whose bits are as good as random (2^64 divided by the golden ratio).
fn probes(digest: u64) -> impl Iterator<Item = (usize, u8)> {
    let mixed = digest.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (1..=PROBES).map(move |probe| {
        let bit = mixed.rotate_left(BIT_BITS * probe) & ((1 << BIT_BITS) - 1);
        (usize::try_from(bit / 8).unwrap_or(0), 1 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(|n| {
            let hash = crate::tlog::leaf_hash(&n.to_be_bytes());
            u64::from_be_bytes(*hash.as_bytes().first_chunk::<8>().unwrap())
        })
    }

    #[test]
    fn it_never_denies_what_was_inserted_and_seldom_confirms_what_was_not() {
        for many in [1, 100, 10_000, 300_000] {
            let mut filter = Filter::for_ids(many);
            digests(many).for_each(|digest| filter.insert(digest));
            assert!(digests(many).all(|digest| filter.may_hold(digest)));
            let strangers = digests(many + 20_000).skip(usize::try_from(many).unwrap());
            let wrong = strangers.filter(|&digest| filter.may_hold(digest)).count();
            assert!(
                wrong < 50,
                "{wrong} of 20,000 were wrongly thought present among {many}"
            );
        }
    }

    #[test]
    fn it_comes_back_from_its_pages() {
        let mut filter = Filter::for_ids(20_000);
        digests(20_000).for_each(|digest| filter.insert(digest));
        let pages: Vec<_> = filter.pages().map(<[u8]>::to_vec).collect();
        assert_eq!(pages.len(), Filter::page_count(20_000));
        assert_eq!(Filter::from_pages(20_000, &pages), Some(filter));
        assert_eq!(Filter::from_pages(20_001, &pages[1..]), None);
    }
}
