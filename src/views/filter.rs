//! A Bloom filter over record ids: says "certainly not here" for nearly every new record, so that a
//! new record costs no read. Twelve bits an id and six probes: one in 250 is a false "perhaps".

const BITS_PER_ID: u64 = 12;
const PROBES: u64 = 6;

/// A filter's page in the store; values stay under 7 KiB.
const PAGE_BYTES: usize = 7_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    bits: Vec<u8>,
}

impl Filter {
    /// An empty filter for `ids` record ids.
    pub(super) fn for_ids(ids: u64) -> Self {
        let bytes = ids.saturating_mul(BITS_PER_ID).div_ceil(8).max(8);
        Self {
            bits: vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)],
        }
    }

    pub(super) fn insert(&mut self, digest: u64) {
        for (byte, bit) in self.probes(digest) {
            if let Some(byte) = self.bits.get_mut(byte) {
                *byte |= bit;
            }
        }
    }

    /// Whether the digest may have been inserted. Never says no to one that was.
    pub(super) fn may_hold(&self, digest: u64) -> bool {
        self.probes(digest)
            .all(|(byte, bit)| self.bits.get(byte).is_some_and(|b| b & bit != 0))
    }

    /// Double hashing: the digest is already uniform, so its halves serve as the two hashes.
    fn probes(&self, digest: u64) -> impl Iterator<Item = (usize, u8)> + use<> {
        let bits = u64::try_from(self.bits.len())
            .unwrap_or(u64::MAX)
            .saturating_mul(8);
        let step = digest.rotate_left(32) | 1;
        (0..PROBES).map(move |probe| {
            let bit = digest.wrapping_add(step.wrapping_mul(probe)) % bits;
            (
                usize::try_from(bit / 8).unwrap_or(usize::MAX),
                1 << (bit % 8),
            )
        })
    }

    pub(super) fn pages(&self) -> impl Iterator<Item = &[u8]> {
        self.bits.chunks(PAGE_BYTES)
    }

    /// How many pages a filter for `ids` record ids has.
    pub(super) fn page_count(ids: u64) -> usize {
        Self::for_ids(ids).bits.len().div_ceil(PAGE_BYTES)
    }

    /// A filter from its pages; `None` where they are not of the size for `ids`.
    pub(super) fn from_pages(ids: u64, pages: &[Vec<u8>]) -> Option<Self> {
        let bits = pages.concat();
        (bits.len() == Self::for_ids(ids).bits.len()).then_some(Self { bits })
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
        let mut filter = Filter::for_ids(10_000);
        digests(10_000).for_each(|digest| filter.insert(digest));
        assert!(digests(10_000).all(|digest| filter.may_hold(digest)));
        let wrong = digests(20_000)
            .skip(10_000)
            .filter(|&digest| filter.may_hold(digest))
            .count();
        assert!(
            wrong < 100,
            "{wrong} of 10,000 were wrongly thought present"
        );
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
