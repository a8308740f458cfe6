//! A block of the store: consecutive entries, each behind its length (4), compressed where that makes them smaller.
//!
//! Compressed, it begins with `01`; then follow its length before that (4) and the LZ4 block. Otherwise it begins with
//! the length of its first entry, and so with `00`: as all did that older versions wrote.

use lz4_flex::block::{compress, decompress_into};

use crate::record::entry::ENTRY_BYTES_MAX;

/// What a length takes in a block.
const LENGTH_BYTES: usize = 4;

const COMPRESSED: u8 = 0x01;

/// Whole entries are gathered up to this: it has to be decompressed for the sake of one. With twice as many the disk is
/// smaller by 3 % and a record with a history dearer by 10.
const GATHERED_BYTES: usize = 3_500;

/// What a block has at most before it is compressed: the largest entry, alone.
const PLAIN_BYTES_MAX: usize = LENGTH_BYTES + ENTRY_BYTES_MAX;

/// A block that is being filled.
#[derive(Debug, Default)]
pub(super) struct Filling(Vec<u8>);

impl Filling {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an entry still belongs in it. One that is larger than a block has one of its own.
    pub(super) fn has_room_for(&self, entry: &[u8]) -> bool {
        self.is_empty() || self.0.len() + LENGTH_BYTES + entry.len() <= GATHERED_BYTES
    }

    pub(super) fn push(&mut self, entry: &[u8]) {
        self.0.extend_from_slice(&length(entry.len()));
        self.0.extend_from_slice(entry);
    }

    /// As it is stored.
    pub(super) fn finish(self) -> Vec<u8> {
        let compressed = [
            &[COMPRESSED],
            length(self.0.len()).as_slice(),
            &compress(&self.0),
        ]
        .concat();
        if compressed.len() < self.0.len() {
            compressed
        } else {
            self.0
        }
    }
}

/// A block that was read.
#[derive(Debug)]
pub(super) struct Block {
    plain: Vec<u8>,
    entries: Vec<std::ops::Range<usize>>,
}

impl Block {
    /// Finds the entries of a block as it is stored; `None` where a length runs over the end, or what is compressed is
    /// not what it was.
    pub(super) fn read(stored: Vec<u8>) -> Option<Self> {
        let plain = match stored.split_first() {
            Some((&COMPRESSED, rest)) => decompressed(rest)?,
            _ => stored,
        };
        let mut entries = Vec::new();
        let mut next = 0;
        while let Some((length, rest)) = split_length(plain.get(next..)?) {
            rest.get(..length)?;
            let first = next + LENGTH_BYTES;
            next = first + length;
            entries.push(first..next);
        }
        (next == plain.len()).then_some(Self { plain, entries })
    }

    /// The entry at a place of the block, from 0 on.
    pub(super) fn entry(&self, place: usize) -> Option<&[u8]> {
        self.plain.get(self.entries.get(place)?.clone())
    }

    /// The entries from a place on, in order.
    pub(super) fn entries_from(&self, place: usize) -> impl Iterator<Item = &[u8]> {
        (place..self.entries.len()).map_while(|place| self.entry(place))
    }
}

/// A length as it stands in a block, which has far less than 4 GiB.
fn length(bytes: usize) -> [u8; LENGTH_BYTES] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// The length that stands first, and what is behind it.
fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    Some((length, rest))
}

fn decompressed(stored: &[u8]) -> Option<Vec<u8>> {
    let (bytes, compressed) = split_length(stored)?;
    // What is damaged may say anything.
    if PLAIN_BYTES_MAX < bytes {
        return None;
    }
    let mut plain = vec![0; bytes];
    let written = decompress_into(compressed, &mut plain).ok()?;
    (written == bytes).then_some(plain)
}

/// Bytes that cannot be compressed.
#[cfg(test)]
pub(super) fn noise(bytes: usize) -> Vec<u8> {
    let hashes = (0..bytes).map(|number| crate::tlog::leaf_hash(&number.to_be_bytes()));
    let noise = hashes.flat_map(|hash| *hash.as_bytes());
    noise.take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut filling = Filling::default();
        for entry in entries {
            filling.push(entry);
        }
        filling.finish()
    }

    fn read(stored: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let block = Block::read(stored)?;
        Some(block.entries_from(0).map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn what_can_be_compressed_is_and_what_cannot_is_stored_as_it_is() {
        let alike = vec![vec![7; 600]; 5];
        let compressed = stored(&alike);
        assert_eq!(compressed[..5], [1, 0, 0, 0x0b, 0xcc]);
        assert!(compressed.len() < 100, "{} bytes", compressed.len());
        assert_eq!(read(compressed), Some(alike));

        let noise = vec![noise(600); 1];
        let plain = stored(&noise);
        assert_eq!(plain, [&[0, 0, 2, 0x58], noise[0].as_slice()].concat());
        assert_eq!(read(plain), Some(noise));
    }

    #[test]
    fn a_block_that_an_older_version_wrote_is_read() {
        let entries = [b"one".as_slice(), b"", &[1; 6_000]];
        let lengths = [[0, 0, 0, 3], [0, 0, 0, 0], [0, 0, 0x17, 0x70]];
        let mut old = Vec::new();
        for (length, entry) in lengths.iter().zip(entries) {
            old.extend([length, entry].concat());
        }
        assert_eq!(read(old), Some(entries.map(<[u8]>::to_vec).into()));
    }

    #[test]
    fn what_the_reference_implementation_compressed_is_read() {
        // By liblz4 1.9.4, `LZ4_compress_default`.
        let by_liblz4 = [
            b"\xfc\x11\x00\x00\x00\x1c{\"lot\":\"LV-00\",\"site\":\"S-0\"}".as_slice(),
            b"\x20\x00\x181\x20\x00\x1e1\x20\x00\x182\x20\x00\x0f@\x00\x00\x183\x20\x00\x0f@\x00\x00\x164\x20\x00PS-0\"}",
        ]
        .concat();
        let lots = (0..5).map(|lot| format!(r#"{{"lot":"LV-{lot:02}","site":"S-{}"}}"#, lot % 2));
        let lots: Vec<Vec<u8>> = lots.map(String::into_bytes).collect();
        let block = [&[COMPRESSED, 0, 0, 0, 160], by_liblz4.as_slice()].concat();
        assert_eq!(read(block), Some(lots));
    }

    #[test]
    fn no_block_is_read_that_says_it_is_larger_than_one_can_be() {
        let largest = stored(&[vec![9; ENTRY_BYTES_MAX]]);
        assert_eq!(largest[..5], [1, 0, 1, 0, 3]);
        assert_eq!(read(largest.clone()).unwrap()[0].len(), ENTRY_BYTES_MAX);
        let mut larger = largest;
        larger[4] += 1;
        assert_eq!(read(larger.clone()), None);
        larger[1..5].fill(0xff);
        assert_eq!(read(larger), None);
    }

    #[test]
    fn a_cut_block_is_not_read() {
        let noise = noise(70);
        let (some, others) = noise.split_at(30);
        let plain = stored(&[some.to_vec(), others.to_vec()]);
        assert_eq!(plain[0], 0);
        for cut in 1..plain.len() {
            // Of what is not compressed, whole entries are a block.
            let whole = cut == 34;
            let read = read(plain[..cut].to_vec());
            assert_eq!(read.is_some(), whole, "cut at {cut}");
        }
        let compressed = stored(&[vec![7; 300], noise]);
        assert_eq!(compressed[0], COMPRESSED);
        for cut in 1..compressed.len() {
            assert_eq!(read(compressed[..cut].to_vec()), None, "cut at {cut}");
        }
    }

    proptest! {
        #[test]
        fn what_was_stored_is_what_is_read(entries: Vec<Vec<u8>>) {
            let entries: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.repeat(3)).collect();
            prop_assert_eq!(read(stored(&entries)), Some(entries));
        }

        #[test]
        fn any_bytes_are_a_block_or_none(bytes: Vec<u8>) {
            whole_or_none(bytes);
        }

        #[test]
        fn a_compressed_block_with_other_bits_is_a_block_or_none(at in 0_usize..80, bits: u8) {
            let lots = (0..5).map(|lot| format!("lot LV-{lot:02} of the site S-1"));
            let lots: Vec<Vec<u8>> = lots.map(String::into_bytes).collect();
            let mut stored = stored(&lots);
            prop_assert_eq!(stored[0], COMPRESSED);
            let at = at % stored.len();
            stored[at] ^= bits;
            whole_or_none(stored);
        }
    }

    /// What is read as a block holds entries up to its end.
    fn whole_or_none(stored: Vec<u8>) {
        if let Some(block) = Block::read(stored) {
            let held: usize = block.entries_from(0).map(|entry| 4 + entry.len()).sum();
            assert_eq!(held, block.plain.len());
        }
    }
}
