//! A Bloom filter over digests: says "certainly not here" for nearly every new record, so that a new record costs no
//! read. Sixteen bits a digest and six probes, all in one block of 64 bytes: one in 800 is a false "perhaps". A ledger of
//! ten millions has some twenty runs, and a receipt asks each of them about half a dozen subjects: with twelve bits, one
//! in 200, every other receipt read a block for nothing.
//!
//! A filter of millions lies in no cache of the processor. In blocks, a digest costs one access to memory and not six,
//! to ask and, more often, to insert it each time that runs are merged. Whoever asks many filters has the bits in a mask
//! that is made once and held against whole blocks: one branch a filter, nearly always guessed right, instead of one a bit,
//! so that the next block is fetched before this one has come.

const BITS_PER_ID: u64 = 16;
const PROBES: u32 = 6;

/// A line of a processor's cache: 512 bits, which 9 bits of a digest choose from.
type Block = [u64; 8];
const BLOCK_BYTES: usize = 64;
const BIT_BITS: u32 = 9;

/// A filter's page in the store; values stay under 7 KiB.
const PAGE_BYTES: usize = 7_000;
const PAGE_WORDS: usize = PAGE_BYTES / 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    blocks: Vec<Block>,
}

/// A digest as filters are asked for it: its bits in a block are the same in each.
#[derive(Debug)]
pub(super) struct Probe {
    digest: u64,
    bits: Block,
}

impl Probe {
    /// How to ask for a digest.
    pub(super) fn of(digest: u64) -> Self {
        let mut bits = Block::default();
        set(&mut bits, digest);
        Self { digest, bits }
    }
}

impl Filter {
    /// An empty filter for so many digests.
    pub(super) fn for_ids(ids: u64) -> Self {
        Self {
            blocks: vec![Block::default(); Self::block_count(ids)],
        }
    }

    fn block_count(ids: u64) -> usize {
        let bytes = ids.saturating_mul(BITS_PER_ID).div_ceil(8);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        bytes.max(1).div_ceil(BLOCK_BYTES)
    }

    pub(super) fn insert(&mut self, digest: u64) {
        let at = self.place(digest);
        if let Some(block) = self.blocks.get_mut(at) {
            set(block, digest);
        }
    }

    /// Inserts many. Their blocks are read first, which lie in no cache: the processor fetches several at a time where
    /// nothing else is done between them.
    pub(super) fn insert_all(&mut self, digests: &[u64]) {
        let mut read = 0;
        for &digest in digests {
            let block = self.blocks.get(self.place(digest));
            read |= block.map_or(0, |[word, ..]| *word);
        }
        std::hint::black_box(read);
        for &digest in digests {
            self.insert(digest);
        }
    }

    /// Whether the digest may have been inserted. Never says no to one that was.
    pub(super) fn may_hold(&self, probe: &Probe) -> bool {
        let Some(block) = self.blocks.get(self.place(probe.digest)) else {
            return false;
        };
        let both = probe.bits.iter().zip(block);
        both.fold(0, |missing, (asked, held)| missing | (asked & !held)) == 0
    }

    /// Which block is a digest's. Digests are uniform, and so are their shares of the blocks.
    fn place(&self, digest: u64) -> usize {
        let share = u128::try_from(self.blocks.len()).unwrap_or(0) * u128::from(digest);
        usize::try_from(share >> 64).unwrap_or(0)
    }

    /// The bytes of each page. A block is its bits in ascending order, the lowest of a byte first.
    pub(super) fn pages(&self) -> impl Iterator<Item = Vec<u8>> {
        let pages = self.blocks.as_flattened().chunks(PAGE_WORDS);
        pages.map(|words| words.iter().flat_map(|word| word.to_le_bytes()).collect())
    }

    /// How many pages a filter for `ids` record ids has.
    pub(super) fn page_count(ids: u64) -> usize {
        (Self::block_count(ids) * BLOCK_BYTES).div_ceil(PAGE_BYTES)
    }

    /// A filter from its pages; `None` where they are not of the size for `ids`.
    pub(super) fn from_pages(ids: u64, pages: &[Vec<u8>]) -> Option<Self> {
        let bytes = pages.concat();
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        let whole = rest.is_empty() && blocks.len() == Self::block_count(ids);
        let block = |bytes: &[u8; BLOCK_BYTES]| {
            let mut block = Block::default();
            let (words, _) = bytes.as_chunks();
            for (word, bytes) in block.iter_mut().zip(words) {
                *word = u64::from_le_bytes(*bytes);
            }
            block
        };
        whole.then(|| Self {
            blocks: blocks.iter().map(block).collect(),
        })
    }
}

/// Sets the bits of a digest in its block. What shares a block begins alike: other bits than those choose here, mixed by
/// an odd number whose bits are as good as random (2^64 divided by the golden ratio).
fn set(block: &mut Block, digest: u64) {
    let mixed = digest.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for probe in 1..=PROBES {
        let bit = mixed.rotate_left(BIT_BITS * probe) & ((1 << BIT_BITS) - 1);
        let word = usize::try_from(bit / 64).unwrap_or(0);
        if let Some(word) = block.get_mut(word) {
            *word |= 1 << (bit % 64);
        }
    }
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
            assert!(digests(many).all(|digest| filter.may_hold(&Probe::of(digest))));
            let strangers = digests(many + 20_000).skip(usize::try_from(many).unwrap());
            let wrong = strangers.filter(|&digest| filter.may_hold(&Probe::of(digest)));
            let wrong = wrong.count();
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
        let pages: Vec<_> = filter.pages().collect();
        assert_eq!(pages.len(), Filter::page_count(20_000));
        assert_eq!(Filter::from_pages(20_000, &pages), Some(filter));
        assert_eq!(Filter::from_pages(20_001, &pages[1..]), None);
    }

    #[test]
    fn a_page_is_the_bits_of_blocks_the_lowest_of_a_byte_first() {
        // 64 digests have two blocks, and this one is in the upper half of all.
        let mut filter = Filter::for_ids(64);
        filter.insert(0xc0ff_ee00_1234_5678);
        let mut expected = [0_u8; 2 * BLOCK_BYTES];
        let bits = [(74, 3), (98, 5), (102, 3), (105, 5), (123, 3), (125, 4)];
        for (byte, bit) in bits {
            expected[byte] = 1 << bit;
        }
        let pages: Vec<_> = filter.pages().collect();
        assert_eq!(pages, [expected.to_vec()]);
    }
}
