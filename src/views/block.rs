//! A block of postings: ordered byte strings, each told as what differs from the one before. It knows no
//! store and nothing of what the postings mean.
//!
//! A posting is how many bytes it shares with the one before (1), how many follow (1), and those bytes. Of most, the last
//! ten bytes are the end of a text and a number below 2^32, so that six of them are [`KNOWN`]. Where the highest bit of
//! the first byte is set, those are left out, and the last four follow.
//! The first posting of a block shares nothing, so that a block is read by itself.

/// The longest posting: its length fits a byte, and with the run's prefix it is a key of the store.
pub(super) const POSTING_BYTES_MAX: usize = 250;

/// Some five hundred postings, more of short names and fewer of long ones, half of which are read through for the sake of
/// one. With larger blocks a record costs no less; values stay under the store's 7 KiB.
const BLOCK_BYTES: usize = 5_000;

/// A posting's first byte has seven bits for how many bytes are shared.
const SHARED_MAX: usize = 0x7f;
const LEAVES_OUT: u8 = 0x80;

/// The end of a text, and the first half of a number of eight bytes below 2^32.
const KNOWN: [u8; 6] = [0, 1, 0, 0, 0, 0];

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
            self.block.reserve_exact(BLOCK_BYTES);
            0
        } else {
            shared_bytes(&self.last, posting).min(SHARED_MAX)
        };
        let rest = posting.get(shared..).unwrap_or_default();
        if let Some((new, last)) = around_known(rest) {
            self.block
                .extend_from_slice(&[LEAVES_OUT | byte(shared), byte(new.len())]);
            self.block.extend_from_slice(new);
            self.block.extend_from_slice(last);
        } else {
            self.block
                .extend_from_slice(&[byte(shared), byte(rest.len())]);
            self.block.extend_from_slice(rest);
        }
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

/// What stands before [`KNOWN`] and after it, if four bytes do.
fn around_known(rest: &[u8]) -> Option<(&[u8], &[u8; 4])> {
    let (rest, last) = rest.split_last_chunk()?;
    Some((rest.strip_suffix(&KNOWN)?, last))
}

fn byte(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
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
        let (first, len, rest) = match rest {
            [] => return Ok(None),
            [first, len, rest @ ..] => (first, usize::from(*len), rest),
            [_] => return Err(Malformed),
        };
        let shared = usize::from(*first) & SHARED_MAX;
        let (new, rest) = rest.split_at_checked(len).ok_or(Malformed)?;
        if self.current.len() < shared {
            return Err(Malformed);
        }
        self.current.truncate(shared);
        self.current.extend_from_slice(new);
        self.at += 2 + len;
        if first & LEAVES_OUT != 0 {
            let last: &[u8; 4] = rest.first_chunk().ok_or(Malformed)?;
            self.current.extend_from_slice(&KNOWN);
            self.current.extend_from_slice(last);
            self.at += last.len();
        }
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

    fn numbered(text: u64, number: u64) -> Vec<u8> {
        [format!("P-{text}\0\u{1}").as_bytes(), &number.to_be_bytes()].concat()
    }

    #[test]
    fn of_a_text_and_a_number_the_bytes_in_between_are_left_out() {
        let postings = [
            numbered(10, 7),
            numbered(12, 0x0102_0304),
            numbered(13, 1 << 32),
        ];
        let packed = pack(&postings).pop().unwrap();
        let first = [&[0x80, 4][..], b"P-10", &[0, 0, 0, 7]].concat();
        let second = [0x83, 1, b'2', 1, 2, 3, 4];
        // Shared, and how long it is; the text; and a number that is not below 2^32.
        let third = [3, 11, b'3', 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
        let told = [first.as_slice(), &second, &third];
        assert_eq!(packed.block, told.concat());
        for cut in 0..packed.block.len() {
            let whole = [0, first.len(), first.len() + second.len()].contains(&cut);
            let unpacked = unpack(packed.block[..cut].to_vec());
            assert_eq!(unpacked.is_ok(), whole, "cut at {cut}");
        }
        assert_eq!(unpack(packed.block).unwrap(), postings);
    }

    #[test]
    fn postings_of_every_length_come_back_from_their_blocks() {
        let mut postings: Vec<Vec<u8>> = (0..=u8::try_from(POSTING_BYTES_MAX).unwrap())
            .flat_map(|len| [7_u8, 8].map(|fill| vec![fill; usize::from(len)]))
            .chain((0..20_000_u32).map(|n| n.to_be_bytes().to_vec()))
            .chain((0..20_000_u64).map(|n| numbered(n * n % 100_003, n)))
            .chain((0..300_u64).map(|n| [&[9; 125][..], &numbered(n, n * n)].concat()))
            .chain([u64::from(u32::MAX), 1 << 32, u64::MAX].map(|n| numbered(0, n)))
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
        postings.extend((0..200).map(|n| numbered(n * n, n)));
        postings.sort();
        postings.dedup();
        let [Packed { block, .. }] = pack(&postings).try_into().unwrap();
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
        unpack(vec![0x81, 0, 1, 2, 3, 4]).unwrap_err();
    }
}
