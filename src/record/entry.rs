//! The bytes of an entry: what is committed at one index of the log. Read in place and written exactly as
//! `entry.proto` says, so that one entry has one encoding.
//!
//! What the record in it means is not known here; only where it begins and of which kind it is.

use chrono::{DateTime, Utc};

use prost::Message as _;

use crate::{
    pb,
    tlog::{HASH_BYTES, Hash, Index},
};

/// As much as the 16-bit length prefix of an entry bundle can say (C2SP tlog-tiles).
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Enough that a published leaf hash cannot be guessed back to its entry.
pub const SALT_BYTES: usize = 16;

/// A key id is the SHA-256 hash of a public key.
pub const KEY_ID_BYTES: usize = 32;

/// An Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// The kinds of a record are the fields from this number on; below it is the envelope.
const KIND_FIRST: u32 = 100;

/// Why bytes are not an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryRejected {
    /// It is longer than any entry.
    #[error("an entry of {have} bytes is longer than {ENTRY_BYTES_MAX}")]
    TooLong {
        /// Its length.
        have: usize,
    },
    /// A field is missing, malformed, or not in its one encoding.
    #[error("field {field} of the entry is missing or is not written as it must be")]
    Field {
        /// The field's number in `entry.proto`.
        field: u32,
    },
    /// Bytes follow the last field: an unknown field, a repeated one, or one out of order.
    #[error("the entry has {have} surplus bytes at its end")]
    Surplus {
        /// How many.
        have: usize,
    },
}

/// When the ledger took a record in: a valid `google.protobuf.Timestamp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordedAt {
    seconds: i64,
    nanos: i32,
}

impl RecordedAt {
    /// The instant, if it lies in the years 1 to 9999 and its nanoseconds are less than a second.
    pub fn new(seconds: i64, nanos: i32) -> Option<Self> {
        let valid = (-62_135_596_800..=253_402_300_799).contains(&seconds)
            && (0..1_000_000_000).contains(&nanos);
        valid.then_some(Self { seconds, nanos })
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds into the second.
    pub const fn nanos(self) -> i32 {
        self.nanos
    }

    /// The instant as chrono has it.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "chrono reaches far beyond the years that `new` lets in"
    )]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.seconds, self.nanos.unsigned_abs()).expect("years 1 to 9999")
    }
}

/// An entry, its variable parts borrowed from where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryView<'a> {
    /// The position in the log.
    pub index: Index,
    /// The leaf hash of the entry before; 32 zero bytes at index 0.
    pub previous: Hash,
    /// When the ledger took the record in, by its own clock.
    pub recorded_at: RecordedAt,
    /// Random bytes.
    pub salt: [u8; SALT_BYTES],
    /// Who submitted the record, as authenticated; never empty.
    pub actor: &'a str,
    /// The bytes of the record, as submitted; never empty.
    pub record: &'a [u8],
    /// The author's own signature, where there is one.
    pub author: Option<AuthorView<'a>>,
}

/// An author's signature over the record of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorView<'a> {
    /// SHA-256 of the public key.
    pub key_id: &'a [u8; KEY_ID_BYTES],
    /// The Ed25519 signature.
    pub signature: &'a [u8; SIGNATURE_BYTES],
}

/// What stands before the fields that are always as long: their tag and their length.
const PREVIOUS_HEAD: [u8; 2] = [0x12, 32];
const SALT_HEAD: [u8; 2] = [0x22, 16];
/// The author's message is 100 bytes: 2 + 32 for the key id, 2 + 64 for the signature.
const AUTHOR_HEAD: [u8; 4] = [0x3a, 100, 0x0a, 32];
const SIGNATURE_HEAD: [u8; 2] = [0x12, 64];

const INDEX_TAG: u8 = 0x08;
const RECORDED_AT_TAG: u8 = 0x1a;
const SECONDS_TAG: u8 = 0x08;
const NANOS_TAG: u8 = 0x10;
const ACTOR_TAG: u8 = 0x2a;
const RECORD_TAG: u8 = 0x32;

impl<'a> EntryView<'a> {
    /// Reads an entry, and accepts only the bytes that [`EntryView::encode`] gives back.
    pub fn parse(entry: &'a [u8]) -> Result<Self, EntryRejected> {
        if ENTRY_BYTES_MAX < entry.len() {
            return Err(EntryRejected::TooLong { have: entry.len() });
        }
        let field = |field| move || EntryRejected::Field { field };
        let mut wire = Wire(entry);
        let view = Self {
            index: Index::new(wire.unless_zero(INDEX_TAG).ok_or_else(field(1))?),
            previous: wire.previous().ok_or_else(field(2))?,
            recorded_at: wire.recorded_at().ok_or_else(field(3))?,
            salt: *wire.fixed(&SALT_HEAD).ok_or_else(field(4))?,
            actor: wire.actor().ok_or_else(field(5))?,
            record: wire.unless_empty(RECORD_TAG).ok_or_else(field(6))?,
            author: match wire.0 {
                [] => None,
                _ => Some(wire.author().ok_or_else(field(7))?),
            },
        };
        if !wire.0.is_empty() {
            return Err(EntryRejected::Surplus { have: wire.0.len() });
        }
        Ok(view)
    }

    /// The bytes of the entry. Whoever makes one sees to it that they are at most [`ENTRY_BYTES_MAX`].
    pub fn encode(&self) -> Vec<u8> {
        let mut instant = Vec::with_capacity(20);
        put_unless_zero(
            &mut instant,
            SECONDS_TAG,
            self.recorded_at.seconds.cast_unsigned(),
        );
        let nanos = i64::from(self.recorded_at.nanos).cast_unsigned();
        put_unless_zero(&mut instant, NANOS_TAG, nanos);

        // All but actor and record are less than 256 bytes together.
        let room = self.record.len().saturating_add(self.actor.len());
        let mut entry = Vec::with_capacity(room.saturating_add(256));
        put_unless_zero(&mut entry, INDEX_TAG, self.index.value());
        entry.extend_from_slice(&PREVIOUS_HEAD);
        entry.extend_from_slice(self.previous.as_bytes());
        put_bytes(&mut entry, RECORDED_AT_TAG, &instant);
        entry.extend_from_slice(&SALT_HEAD);
        entry.extend_from_slice(&self.salt);
        put_bytes(&mut entry, ACTOR_TAG, self.actor.as_bytes());
        put_bytes(&mut entry, RECORD_TAG, self.record);
        if let Some(author) = &self.author {
            entry.extend_from_slice(&AUTHOR_HEAD);
            entry.extend_from_slice(author.key_id);
            entry.extend_from_slice(&SIGNATURE_HEAD);
            entry.extend_from_slice(author.signature);
        }
        entry
    }
}

/// The field number of the record's kind as protobuf reads it; `None` if it has no kind, or is no record. A
/// single kind that only later versions know is named too.
///
/// Most records are looked over without decoding them. Whoever writes the same record in an unusual way,
/// hides one kind behind another or pads a number, is not let past: such a record is decoded to be sure.
pub fn record_kind(record: &[u8]) -> Option<u32> {
    only_kind(record).or_else(|| {
        let record = pb::Record::decode(record).ok()?;
        only_kind(&record.encode_to_vec())
    })
}

/// The kind of a record that has one, and is written as protobuf writes it.
fn only_kind(record: &[u8]) -> Option<u32> {
    let mut wire = Wire(record);
    let mut kind = None;
    while !wire.0.is_empty() {
        let number = wire.skip_field()?;
        if KIND_FIRST <= number && kind.replace(number).is_some() {
            return None;
        }
    }
    kind
}

/// What is left of a message's bytes. Each method reads from the front, and says `None` if what stands there
/// is not what it reads, or not in its shortest form.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    #[inline]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    #[inline]
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    #[inline]
    fn literal(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(bytes)
    }

    /// Nearly all numbers in a record are of one or two bytes.
    #[inline]
    fn varint(&mut self) -> Option<u64> {
        match *self.0 {
            [low, ref rest @ ..] if low < 0x80 => {
                self.0 = rest;
                Some(u64::from(low))
            }
            [low, high @ 1..0x80, ref rest @ ..] => {
                self.0 = rest;
                Some(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.longer_varint(),
        }
    }

    fn longer_varint(&mut self) -> Option<u64> {
        let mut value = u64::from(self.byte()? & 0x7f);
        for shift in (7_u32..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.unbounded_shl(shift);
            if shifted.unbounded_shr(shift) != bits {
                return None;
            }
            value |= shifted;
            if byte < 0x80 {
                // A last byte of zero could have been left out.
                return (byte != 0).then_some(value);
            }
        }
        None
    }

    #[inline]
    fn sized(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }

    /// A number that is left out where it is zero.
    fn unless_zero(&mut self, tag: u8) -> Option<u64> {
        if self.literal(&[tag]).is_none() {
            return Some(0);
        }
        self.varint().filter(|value| *value != 0)
    }

    fn unless_empty(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.literal(&[tag])?;
        self.sized().filter(|bytes| !bytes.is_empty())
    }

    fn fixed<const N: usize>(&mut self, head: &[u8]) -> Option<&'a [u8; N]> {
        self.literal(head)?;
        self.array()
    }

    fn previous(&mut self) -> Option<Hash> {
        let bytes: &[u8; HASH_BYTES] = self.fixed(&PREVIOUS_HEAD)?;
        Some(Hash::new(*bytes))
    }

    fn recorded_at(&mut self) -> Option<RecordedAt> {
        self.literal(&[RECORDED_AT_TAG])?;
        let mut instant = Wire(self.sized()?);
        let seconds = instant.unless_zero(SECONDS_TAG)?.cast_signed();
        let nanos = instant.unless_zero(NANOS_TAG)?.cast_signed();
        if !instant.0.is_empty() {
            return None;
        }
        RecordedAt::new(seconds, i32::try_from(nanos).ok()?)
    }

    fn actor(&mut self) -> Option<&'a str> {
        str::from_utf8(self.unless_empty(ACTOR_TAG)?).ok()
    }

    fn author(&mut self) -> Option<AuthorView<'a>> {
        Some(AuthorView {
            key_id: self.fixed(&AUTHOR_HEAD)?,
            signature: self.fixed(&SIGNATURE_HEAD)?,
        })
    }

    /// The number of the field at the front, which is passed over whatever its type.
    #[inline]
    fn skip_field(&mut self) -> Option<u32> {
        const VARINT: u64 = 0;
        const FIXED_64: u64 = 1;
        const SIZED: u64 = 2;
        const FIXED_32: u64 = 5;
        // Most fields of a record are short texts and small numbers, numbered below 16.
        if let [tag @ 8..0x80, short @ ..0x80, ref rest @ ..] = *self.0
            && let wire_type @ (VARINT | SIZED) = u64::from(tag & 7)
        {
            let len = if wire_type == SIZED { short } else { 0 };
            self.0 = rest.get(usize::from(len)..)?;
            return Some(u32::from(tag >> 3));
        }
        let tag = self.varint()?;
        match tag & 7 {
            VARINT => drop(self.varint()?),
            FIXED_64 => drop(self.take(8)?),
            SIZED => drop(self.sized()?),
            FIXED_32 => drop(self.take(4)?),
            _ => return None,
        }
        u32::try_from(tag >> 3).ok().filter(|number| *number != 0)
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while 0x80 <= value {
        let [low, ..] = value.to_le_bytes();
        bytes.push(low | 0x80);
        value >>= 7;
    }
    let [low, ..] = value.to_le_bytes();
    bytes.push(low);
}

/// Puts a number's field, with the byte that stands before it; none where it is zero.
pub(crate) fn put_unless_zero(bytes: &mut Vec<u8>, tag: u8, value: u64) {
    if value != 0 {
        bytes.push(tag);
        put_varint(bytes, value);
    }
}

/// Puts a field of bytes or text, with the byte that stands before it.
pub(crate) fn put_bytes(bytes: &mut Vec<u8>, tag: u8, value: &[u8]) {
    bytes.push(tag);
    // A length in memory fits into 64 bits.
    put_varint(bytes, u64::try_from(value.len()).unwrap_or(u64::MAX));
    bytes.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::record::Kind;

    const AUTHOR: AuthorView<'static> = AuthorView {
        key_id: &[3; 32],
        signature: &[4; 64],
    };

    fn view(index: u64, instant: (i64, i32)) -> EntryView<'static> {
        EntryView {
            index: Index::new(index),
            previous: Hash::new([1; 32]),
            recorded_at: RecordedAt::new(instant.0, instant.1).unwrap(),
            salt: [2; 16],
            actor: "ann",
            record: &[0x92, 0x06, 0],
            author: Some(AUTHOR),
        }
    }

    fn message(view: &EntryView<'_>) -> pb::Entry {
        pb::Entry {
            index: view.index.value(),
            previous: view.previous.as_bytes().to_vec(),
            recorded_at: Some(prost_types::Timestamp {
                seconds: view.recorded_at.seconds(),
                nanos: view.recorded_at.nanos(),
            }),
            salt: view.salt.to_vec(),
            actor: view.actor.to_owned(),
            record: view.record.to_vec(),
            author: view.author.map(|author| pb::Author {
                key_id: author.key_id.to_vec(),
                signature: author.signature.to_vec(),
            }),
        }
    }

    #[test]
    fn an_entry_has_the_bytes_that_protobuf_gives_it_and_is_read_back() {
        let record = vec![9; ENTRY_BYTES_MAX];
        for index in [0, 1, 127, 128, 255, 16_384, u64::MAX >> 1, u64::MAX] {
            for instant in [
                (0, 0),
                (0, 1),
                (1_795_344_000, 0),
                (1_795_344_000, 999_999_999),
                (-1, 0),
                (-62_135_596_800, 0),
                (253_402_300_799, 999_999_999),
            ] {
                for record_len in [1, 127, 128, 16_384, 60_000] {
                    for author in [None, Some(AUTHOR)] {
                        let view = EntryView {
                            record: &record[..record_len],
                            author,
                            ..view(index, instant)
                        };
                        let bytes = view.encode();
                        assert_eq!(bytes, message(&view).encode_to_vec(), "{view:?}");
                        assert_eq!(EntryView::parse(&bytes), Ok(view));
                    }
                }
            }
        }
    }

    #[test]
    fn no_truncated_entry_is_read_but_the_one_that_only_loses_its_author() {
        let bytes = view(300, (1_795_344_000, 5)).encode();
        let unsigned = bytes.len() - 102;
        for end in 0..bytes.len() {
            let read = EntryView::parse(&bytes[..end]);
            assert_eq!(read.is_ok(), end == unsigned, "the first {end} bytes");
        }
    }

    #[test]
    fn whatever_is_read_is_written_back_byte_for_byte() {
        let bytes = view(300, (1_795_344_000, 5)).encode();
        for at in 0..bytes.len() {
            for byte in 0..=255 {
                let mut changed = bytes.clone();
                changed[at] = byte;
                if let Ok(view) = EntryView::parse(&changed) {
                    assert_eq!(view.encode(), changed, "byte {at} is {byte}");
                }
            }
        }
    }

    #[test]
    fn an_entry_that_is_written_in_another_way_is_refused_for_the_first_field_that_is() {
        let good = message(&view(300, (1_795_344_000, 5)));
        let check = |bytes: Vec<u8>, field| {
            assert!(
                pb::Entry::decode(&*bytes).is_ok(),
                "protobuf would read field {field}"
            );
            assert_eq!(
                EntryView::parse(&bytes),
                Err(EntryRejected::Field { field })
            );
        };
        let with = |change: fn(&mut pb::Entry)| {
            let mut message = good.clone();
            change(&mut message);
            message.encode_to_vec()
        };
        check(Vec::new(), 2);
        check(with(|entry| entry.previous.clear()), 2);
        check(with(|entry| entry.previous.push(0)), 2);
        check(with(|entry| entry.recorded_at = None), 3);
        check(
            with(|entry| entry.recorded_at.as_mut().unwrap().nanos = -1),
            3,
        );
        check(
            with(|entry| entry.recorded_at.as_mut().unwrap().nanos = 1_000_000_000),
            3,
        );
        check(
            with(|entry| entry.recorded_at.as_mut().unwrap().seconds = 253_402_300_800),
            3,
        );
        check(
            with(|entry| entry.recorded_at.as_mut().unwrap().seconds = -62_135_596_801),
            3,
        );
        check(with(|entry| entry.salt.truncate(15)), 4);
        check(with(|entry| entry.actor.clear()), 5);
        check(with(|entry| entry.record.clear()), 6);
        check(
            with(|entry| entry.author.as_mut().unwrap().key_id.truncate(31)),
            7,
        );
        check(
            with(|entry| entry.author.as_mut().unwrap().signature.push(0)),
            7,
        );
        check(with(|entry| entry.author = Some(pb::Author::default())), 7);

        // An index of two bytes in three, an index of zero that is written, a field that is repeated.
        let bytes = good.encode_to_vec();
        check([&[0x08, 0xac, 0x82, 0x00], &bytes[3..]].concat(), 1);
        check([&[0x08, 0x00], &bytes[3..]].concat(), 1);
        check([&bytes[..3], &bytes[..]].concat(), 2);
        // The record's bytes are 3: their length in two bytes.
        let at = bytes.len() - 102 - 4;
        check([&bytes[..at], &[0x83, 0x00], &bytes[at + 1..]].concat(), 6);
        // An unknown field before the author, and one after it.
        let at = bytes.len() - 102;
        check([&bytes[..at], &[0x40, 1], &bytes[at..]].concat(), 7);
        let surplus = EntryView::parse(&[&bytes[..], &[0x40, 1]].concat()).map(drop);
        assert_eq!(surplus, Err(EntryRejected::Surplus { have: 2 }));

        let not_text = [&bytes[..at - 8], &[0xff], &bytes[at - 7..]].concat();
        let field = Err(EntryRejected::Field { field: 5 });
        assert_eq!(EntryView::parse(&not_text).map(drop), field);
        let long = EntryView::parse(&vec![0; 65_536]).map(drop);
        assert_eq!(long, Err(EntryRejected::TooLong { have: 65_536 }));
    }

    #[test]
    fn an_instant_is_the_same_in_chrono() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
            (
                253_402_300_799,
                999_999_999,
                "9999-12-31T23:59:59.999999999Z",
            ),
        ] {
            let instant = RecordedAt::new(seconds, nanos).unwrap().to_utc();
            assert_eq!(instant, DateTime::parse_from_rfc3339(text).unwrap());
        }
    }

    #[test]
    fn the_kind_of_a_record_is_the_one_that_protobuf_reads() {
        let protobuf = |record: &[u8]| {
            let kind = pb::Record::decode(record).ok()?.kind?;
            let kinds = [
                (matches!(kind, Kind::Genesis(_)), 100),
                (matches!(kind, Kind::KeyRegistered(_)), 101),
                (matches!(kind, Kind::KeyRevoked(_)), 103),
            ];
            kinds.iter().find(|(is, _)| *is).map(|(_, number)| *number)
        };
        let check = |record: &[u8], expected| {
            assert_eq!(record_kind(record), expected, "{record:x?}");
            assert_eq!(protobuf(record), expected, "{record:x?}");
        };
        // Field 1 is tagged 0x0a, 100 0xa2 0x06, 101 0xaa 0x06, and 1007, which is none, 0xfa 0x3e.
        check(&[], None);
        check(&[0x0a, 1, b'x'], None);
        check(&[0x0a, 1, b'x', 0xa2, 0x06, 0], Some(100));
        check(&[0xa2, 0x06, 0, 0x0a, 1, b'x'], Some(100));
        // Two kinds: the last one counts, unless nobody knows it.
        check(&[0xa2, 0x06, 0, 0xaa, 0x06, 0], Some(101));
        check(&[0xaa, 0x06, 0, 0xaa, 0x06, 0], Some(101));
        check(&[0xaa, 0x06, 0, 0xfa, 0x3e, 0], Some(101));
        check(&[0xfa, 0x3e, 0, 0xaa, 0x06, 0], Some(101));
        // A tag in more bytes than it needs, a length too, and a group.
        check(&[0xa2, 0x86, 0x00, 0], Some(100));
        check(&[0xa2, 0x06, 0x80, 0x00], Some(100));
        check(&[0xa2, 0x06, 0, 0xfb, 0x3e, 0xfc, 0x3e], Some(100));
        // Unknown fields of each type.
        check(&[0xa2, 0x06, 0, 0x98, 0x06, 5], Some(100));
        check(
            &[0xa2, 0x06, 0, 0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8],
            Some(100),
        );
        check(&[0xa2, 0x06, 0, 0x9d, 0x06, 1, 2, 3, 4], Some(100));
        // Cut short, a field number of 0, an end without its beginning.
        check(&[0xa2, 0x06, 1], None);
        check(&[0xa2, 0x06], None);
        check(&[0xa2, 0x06, 0, 0x02, 0], None);
        check(&[0xa2, 0x06, 0, 0xfc, 0x3e], None);
        check(&[0xa2, 0x06, 0, 0x9d, 0x06, 1, 2, 3], None);

        let record = pb::Record {
            kind: Some(Kind::KeyRevoked(pb::KeyRevoked::default())),
            ..pb::Record::default()
        };
        check(&record.encode_to_vec(), Some(103));
    }
}
