//! A block of postings: ordered byte strings, each told as what differs from the one before. It knows no
//! store and nothing of what the postings mean.
//!
//! A posting is how many bytes it shares with the one before (1), how many follow (1), and those bytes.
//! The first shares nothing, so that a block is read by itself.

/// The longest posting: its length fits a byte, and with the run's prefix it is a key of the store.
pub(super) const POSTING_BYTES_MAX: usize = 250;

/// Values stay under the store's 7 KiB.
const BLOCK_BYTES: usize = 7_000;

/// A block being written.
#[derive(Debug, Default)]
pub(super) struct Packer {
    block: Vec<u8>,
    first: Vec<u8>,
    last: Vec<u8>,
}

/// A block that is full: its first posting, and its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) first: Vec<u8>,
    pub(super) block: Vec<u8>,
}

impl Packer {
    /// Adds the next posting in order, of at most [`POSTING_BYTES_MAX`]; returns the block before, if that
    /// was full.
    pub(super) fn push(&mut self, posting: &[u8]) -> Option<Packed> {
        let mut full = None;
        if BLOCK_BYTES < self.block.len() + 2 + posting.len() {
            full = self.finish();
        }
        let shared = if self.block.is_empty() {
            self.first = posting.to_vec();
            0
        } else {
            shared_bytes(&self.last, posting)
        };
        let rest = posting.get(shared..).unwrap_or_default();
        self.block.push(u8::try_from(shared).unwrap_or(u8::MAX));
        self.block.push(u8::try_from(rest.len()).unwrap_or(u8::MAX));
        self.block.extend_from_slice(rest);
        self.last.truncate(shared);
        self.last.extend_from_slice(rest);
        full
    }

    /// The posting that was added last; empty before the first.
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    /// What was not returned yet.
    pub(super) fn finish(&mut self) -> Option<Packed> {
        let block = std::mem::take(&mut self.block);
        let first = std::mem::take(&mut self.first);
        (!block.is_empty()).then_some(Packed { first, block })
    }
}

/// How many bytes two postings begin with that are the same, eight at a time as far as that goes.
fn shared_bytes(one: &[u8], other: &[u8]) -> usize {
    let (words, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    let words = words.iter().zip(others);
    let same = words.take_while(|(word, other)| word == other).count() * 8;
    let rest = one.iter().zip(other).skip(same);
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Reads a block from its beginning.
#[derive(Debug, Default)]
pub(super) struct Unpacker {
    block: Vec<u8>,
    at: usize,
    current: Vec<u8>,
}

/// A block that nobody has packed so.
#[derive(Debug)]
pub(super) struct Malformed;

impl Unpacker {
    pub(super) fn new(block: Vec<u8>) -> Self {
        Self {
            block,
            at: 0,
            current: Vec::new(),
        }
    }

    /// The posting that was read last.
    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    /// Reads the next posting; `false` at the end of the block.
    pub(super) fn advance(&mut self) -> Result<bool, Malformed> {
        Ok(self.read()?.is_some())
    }

    /// Reads on to the first posting that is not before another; `false` if the block has none.
    pub(super) fn seek(&mut self, posting: &[u8]) -> Result<bool, Malformed> {
        while self.current.as_slice() < posting {
            let same = shared_bytes(&self.current, posting);
            // What has more in common with the one before than that is before `posting` as well.
            loop {
                match self.read()? {
                    Some(shared) if same < shared => {}
                    Some(_) => break,
                    None => return Ok(false),
                }
            }
        }
        Ok(true)
    }

    /// Reads the next posting: how many bytes it shares with the one before.
    fn read(&mut self) -> Result<Option<usize>, Malformed> {
        let rest = self.block.get(self.at..).unwrap_or_default();
        let (shared, len, rest) = match rest {
            [] => return Ok(None),
            [shared, len, rest @ ..] => (usize::from(*shared), usize::from(*len), rest),
            [_] => return Err(Malformed),
        };
        let new = rest.get(..len).ok_or(Malformed)?;
        if self.current.len() < shared {
            return Err(Malformed);
        }
        self.current.truncate(shared);
        self.current.extend_from_slice(new);
        self.at += 2 + len;
        Ok(Some(shared))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(postings: &[Vec<u8>]) -> Vec<Packed> {
        let mut packer = Packer::default();
        let mut blocks: Vec<Packed> = postings
            .iter()
            .filter_map(|posting| packer.push(posting))
            .collect();
        blocks.extend(packer.finish());
        blocks
    }

    fn unpack(block: Vec<u8>) -> Result<Vec<Vec<u8>>, Malformed> {
        let mut unpacker = Unpacker::new(block);
        let mut postings = Vec::new();
        while unpacker.advance()? {
            postings.push(unpacker.current().to_vec());
        }
        Ok(postings)
    }

    #[test]
    fn postings_of_every_length_come_back_from_their_blocks() {
        let mut postings: Vec<Vec<u8>> = (0..=u8::try_from(POSTING_BYTES_MAX).unwrap())
            .flat_map(|len| [7_u8, 8].map(|fill| vec![fill; usize::from(len)]))
            .chain((0..20_000_u32).map(|n| n.to_be_bytes().to_vec()))
            .collect();
        postings.sort();
        postings.dedup();
        let blocks = pack(&postings);
        assert!(3 < blocks.len());
        let mut unpacked = Vec::new();
        for Packed { first, block } in blocks {
            assert!(block.len() <= 7 * 1024, "the store takes no more");
            let of_block = unpack(block).unwrap();
            assert_eq!(of_block.first(), Some(&first));
            unpacked.extend(of_block);
        }
        assert_eq!(unpacked, postings);
    }

    #[test]
    fn seeking_stops_where_reading_one_by_one_does() {
        let number = |n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[..3].to_vec();
        let mut postings: Vec<Vec<u8>> = (0..600).map(number).collect();
        postings.extend([vec![], vec![7], vec![7, 7, 7, 7], vec![7, 7, 7, 7, 0]]);
        postings.sort();
        postings.dedup();
        let block = pack(&postings).pop().unwrap().block;
        let mut wanted: Vec<Vec<u8>> = (0..1_000).map(number).collect();
        wanted.extend(postings.iter().map(|posting| [posting, &[0][..]].concat()));
        wanted.extend([vec![], vec![7, 7, 7], vec![0xff; 5]]);
        for wanted in wanted {
            let mut unpacker = Unpacker::new(block.clone());
            unpacker.advance().unwrap();
            let found = unpacker.seek(&wanted).unwrap();
            let expected = postings.iter().find(|posting| wanted <= **posting);
            assert_eq!(
                found.then(|| unpacker.current()),
                expected.map(Vec::as_slice)
            );
        }
    }

    #[test]
    fn no_postings_make_no_block() {
        assert_eq!(pack(&[]), []);
    }

    #[test]
    fn a_block_cut_within_a_posting_is_malformed() {
        let postings = [b"one".to_vec(), b"only".to_vec(), b"two".to_vec()];
        let packed = pack(&postings).pop().unwrap();
        // "one" in 5 bytes, then "only" as "on" and "ly" in 4, then "two" in 5.
        for cut in 0..packed.block.len() {
            let whole = [0, 5, 9].contains(&cut);
            let unpacked = unpack(packed.block[..cut].to_vec());
            assert_eq!(unpacked.is_ok(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn a_posting_that_shares_more_than_there_is_is_malformed() {
        unpack(vec![1, 1, b'a']).unwrap_err();
        unpack(vec![0, 1, b'a', 2, 0]).unwrap_err();
        unpack(vec![0, 1, b'a', 1, 0]).unwrap();
    }
}
