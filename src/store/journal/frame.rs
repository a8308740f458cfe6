//! The bytes of the journal: the header of a segment, and a frame. Pure.
//!
//! All numbers are big-endian.
//!
//! ```text
//! header   512   magic 8, first index 8, marker 16, label length 2, label, zeros,
//!                SHA-256 of all that 32
//! frame          marker 16, first index 8, entry count 4, entries length 4, checkpoint length 4,
//!                entries (each: length 4, bytes), checkpoint,
//!                SHA-256 of all that 32, frame length 4, magic 4
//! ```
//!
//! The marker is drawn anew for every segment and never leaves the machine. So nobody can submit an
//! entry whose bytes would pass for a frame when the frame around them is torn.

use sha2::{Digest as _, Sha256};

/// The length of a segment's header.
pub(super) const HEADER_BYTES: usize = 512;
/// The longest label: what the header has room for.
pub(super) const LABEL_BYTES_MAX: usize = HEADER_BYTES - 8 - 8 - 16 - 2 - DIGEST_BYTES;
/// The longest frame. A batch is at most 4 MiB of records; 64 MiB leaves room for what a ledger may
/// add, and bounds what a reader takes into memory at the word of a length.
pub(super) const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a frame begins with: marker, first, count and two lengths.
pub(super) const PREFIX_BYTES: usize = 16 + 8 + 4 + 4 + 4;
/// What a frame ends with after its digest: its length and a magic.
pub(super) const TRAILER_BYTES: usize = 4 + 4;

const DIGEST_BYTES: usize = 32;
const SEGMENT_MAGIC: &[u8; 8] = b"gtjrnl\0\x01";
const TRAILER_MAGIC: &[u8; 4] = b"gtf\x01";

/// What every frame of a segment begins with.
pub(super) type Marker = [u8; 16];

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// The index of the first entry.
    pub(super) first: u64,
    /// What its frames begin with.
    pub(super) marker: Marker,
    /// Which log it belongs to.
    pub(super) label: Vec<u8>,
}

impl Header {
    /// The bytes of the header; `None` if the label is too long.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        if LABEL_BYTES_MAX < self.label.len() {
            return None;
        }
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(SEGMENT_MAGIC);
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.extend_from_slice(&self.marker);
        bytes.extend_from_slice(&u16::try_from(self.label.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&self.label);
        bytes.resize(HEADER_BYTES - DIGEST_BYTES, 0);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        Some(bytes)
    }

    /// The header in these bytes, if every one of them is right.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
        let (body, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
        if Sha256::digest(body)[..] != digest[..] {
            return None;
        }
        let mut rest = body.strip_prefix(SEGMENT_MAGIC)?;
        let first = u64::from_be_bytes(take(&mut rest)?);
        let marker = take(&mut rest)?;
        let label_bytes = usize::from(u16::from_be_bytes(take(&mut rest)?));
        Some(Header {
            first,
            marker,
            label: rest.get(..label_bytes)?.to_vec(),
        })
    }
}

/// Some entries that follow one another, and the checkpoint that was signed over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The index of the first entry.
    pub first: u64,
    /// The entries' bytes; at least one.
    pub entries: Vec<Vec<u8>>,
    /// The checkpoint's bytes, opaque here.
    pub checkpoint: Vec<u8>,
}

impl Frame {
    /// The index after the last entry.
    pub fn next(&self) -> u64 {
        next_index(self.first, self.entries.len()).unwrap_or(u64::MAX)
    }
}

/// A frame to be written.
#[derive(Debug, Clone, Copy)]
pub struct FrameRef<'a> {
    /// The index of the first entry.
    pub first: u64,
    /// The entries' bytes; at least one.
    pub entries: &'a [&'a [u8]],
    /// The checkpoint's bytes, opaque here.
    pub checkpoint: &'a [u8],
}

impl FrameRef<'_> {
    /// The index after the last entry, if there is such an index.
    pub(super) fn next(&self) -> Option<u64> {
        next_index(self.first, self.entries.len())
    }

    /// The length of the whole frame.
    pub(super) fn bytes(&self) -> usize {
        let entries: usize = self.entries.iter().map(|entry| 4 + entry.len()).sum();
        PREFIX_BYTES + entries + self.checkpoint.len() + DIGEST_BYTES + TRAILER_BYTES
    }

    /// Appends the frame's bytes to `out`; `None`, and a part of them, if it is too long.
    pub(super) fn encode(&self, marker: &Marker, out: &mut Vec<u8>) -> Option<()> {
        let start = out.len();
        let bytes = self.bytes();
        if FRAME_BYTES_MAX < bytes {
            return None;
        }
        let entries_bytes: usize = self.entries.iter().map(|entry| 4 + entry.len()).sum();
        out.reserve(bytes);
        out.extend_from_slice(marker);
        out.extend_from_slice(&self.first.to_be_bytes());
        for length in [self.entries.len(), entries_bytes, self.checkpoint.len()] {
            out.extend_from_slice(&u32::try_from(length).ok()?.to_be_bytes());
        }
        for entry in self.entries {
            out.extend_from_slice(&u32::try_from(entry.len()).ok()?.to_be_bytes());
            out.extend_from_slice(entry);
        }
        out.extend_from_slice(self.checkpoint);
        let digest = Sha256::digest(&out[start..]);
        out.extend_from_slice(&digest);
        out.extend_from_slice(&u32::try_from(bytes).ok()?.to_be_bytes());
        out.extend_from_slice(TRAILER_MAGIC);
        Some(())
    }
}

/// The length of the frame that begins so, if it can be one of this segment.
pub(super) fn frame_bytes(marker: &Marker, prefix: &[u8; PREFIX_BYTES]) -> Option<usize> {
    let mut rest = prefix.strip_prefix(marker)?;
    let _first: [u8; 8] = take(&mut rest)?;
    let _count = take_length(&mut rest)?;
    let entries_bytes = take_length(&mut rest)?;
    let checkpoint_bytes = take_length(&mut rest)?;
    let bytes = (PREFIX_BYTES + DIGEST_BYTES + TRAILER_BYTES)
        .checked_add(entries_bytes)?
        .checked_add(checkpoint_bytes)?;
    (bytes <= FRAME_BYTES_MAX).then_some(bytes)
}

/// The length of the frame that ends so.
pub(super) fn frame_bytes_from_end(trailer: [u8; TRAILER_BYTES]) -> Option<usize> {
    let mut rest = trailer.strip_suffix(TRAILER_MAGIC)?;
    let bytes = take_length(&mut rest)?;
    (bytes <= FRAME_BYTES_MAX).then_some(bytes)
}

/// The frame in these bytes, if every one of them is right.
pub(super) fn decode(marker: &Marker, bytes: &[u8]) -> Option<Frame> {
    let (body, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>()?;
    let (body, digest) = body.split_last_chunk::<DIGEST_BYTES>()?;
    if frame_bytes_from_end(*trailer)? != bytes.len() || Sha256::digest(body)[..] != digest[..] {
        return None;
    }
    let mut rest = body.strip_prefix(marker)?;
    let first = u64::from_be_bytes(take(&mut rest)?);
    let count = take_length(&mut rest)?;
    let entries_bytes = take_length(&mut rest)?;
    let checkpoint_bytes = take_length(&mut rest)?;
    let (mut left, checkpoint) = rest.split_at_checked(entries_bytes)?;
    if checkpoint.len() != checkpoint_bytes {
        return None;
    }

    let mut entries = Vec::new();
    while !left.is_empty() {
        let entry_bytes = take_length(&mut left)?;
        let (entry, after) = left.split_at_checked(entry_bytes)?;
        entries.push(entry.to_vec());
        left = after;
    }
    if entries.is_empty() || entries.len() != count {
        return None;
    }
    next_index(first, count)?;
    Some(Frame {
        first,
        entries,
        checkpoint: checkpoint.to_vec(),
    })
}

fn next_index(first: u64, count: usize) -> Option<u64> {
    first.checked_add(u64::try_from(count).ok()?)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(take(rest)?)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MARKER: Marker = *b"sixteen bytes !!";

    fn encoded(first: u64, entries: &[&[u8]], checkpoint: &[u8]) -> Vec<u8> {
        let frame = FrameRef {
            first,
            entries,
            checkpoint,
        };
        let mut bytes = Vec::new();
        frame.encode(&MARKER, &mut bytes).unwrap();
        assert_eq!(bytes.len(), frame.bytes());
        bytes
    }

    #[test]
    fn a_frame_is_refused_at_every_truncation_and_with_every_flipped_bit() {
        let bytes = encoded(5, &[b"one", b"", b"three"], b"checkpoint");
        let frame = decode(&MARKER, &bytes).unwrap();
        assert_eq!((frame.first, frame.next()), (5, 8));
        assert_eq!(frame.entries, [&b"one"[..], b"", b"three"]);
        assert_eq!(frame.checkpoint, b"checkpoint");

        for length in 0..bytes.len() {
            assert_eq!(decode(&MARKER, &bytes[..length]), None, "{length} bytes");
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&MARKER, &flipped), None, "bit {bit}");
        }
        assert_eq!(decode(b"another  marker!", &bytes), None);
    }

    #[test]
    fn a_header_is_refused_with_every_flipped_bit() {
        let header = Header {
            first: 77,
            marker: MARKER,
            label: b"log.example.org".to_vec(),
        };
        let bytes: [u8; HEADER_BYTES] = header.encode().unwrap().try_into().unwrap();
        assert_eq!(Header::decode(&bytes), Some(header.clone()));
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&flipped), None, "bit {bit}");
        }
        for (bytes, fits) in [(LABEL_BYTES_MAX, true), (LABEL_BYTES_MAX + 1, false)] {
            let label = vec![b'x'; bytes];
            let header = Header {
                label,
                ..header.clone()
            };
            assert_eq!(header.encode().is_some(), fits, "{bytes} bytes");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_even_with_a_right_checksum() {
        let resealed = |body: Vec<u8>| {
            let digest = Sha256::digest(&body);
            let length = u32::try_from(body.len() + DIGEST_BYTES + TRAILER_BYTES).unwrap();
            [&body[..], &digest[..], &length.to_be_bytes(), TRAILER_MAGIC].concat()
        };
        let whole = encoded(0, &[b"abcd"], b"c");
        let body = &whole[..whole.len() - DIGEST_BYTES - TRAILER_BYTES];
        assert_eq!(resealed(body.to_vec()), whole);

        // (what is wrong, at which byte, its new value)
        for (wrong, at, value) in [
            ("an entry fewer than counted", 27, 2),
            ("an entry more than counted", 27, 0),
            ("the checkpoint is longer than there is", 35, 2),
            ("the entries reach into the checkpoint", 31, 9),
            ("an entry reaches beyond the entries", 39, 5),
        ] {
            let mut body = body.to_vec();
            body[at] = value;
            assert_eq!(decode(&MARKER, &resealed(body)), None, "{wrong}");
        }
        let mut at_the_end_of_all_indexes = body.to_vec();
        at_the_end_of_all_indexes[16..24].fill(0xff);
        assert_eq!(decode(&MARKER, &resealed(at_the_end_of_all_indexes)), None);
        assert_eq!(decode(&MARKER, &encoded(0, &[], b"no entries")), None);
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(
            first in 0..u64::MAX - 9,
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 1..9),
            checkpoint in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let refs: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
            let bytes = encoded(first, &refs, &checkpoint);
            let prefix = bytes.first_chunk().unwrap();
            prop_assert_eq!(frame_bytes(&MARKER, prefix), Some(bytes.len()));
            prop_assert_eq!(frame_bytes_from_end(*bytes.last_chunk().unwrap()), Some(bytes.len()));
            prop_assert_eq!(decode(&MARKER, &bytes), Some(Frame { first, entries, checkpoint }));
        }
    }
}
