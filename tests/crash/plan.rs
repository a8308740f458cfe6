//! What is submitted. A batch is made from three numbers alone, and a record carries them in its id:
//! so whoever reads a log knows what each of its records must say, and what stood beside it.

use anyhow::{Context as _, Result, bail};
use genetrail::{ledger::Submission, pb, views::Posts};
use prost::Message as _;

use crate::rng::Rng;

/// Who is named as the one who submits.
const ACTOR: &str = "crash-test";

/// The tag of a record's patient, field 15: what it is about, for the views.
const PATIENT_TAG: u8 = 0x7a;

/// A record's event time, field 3: without one it is nothing that happened.
const EVENT_TIME: &[u8] = b"\x1a\x0a2020-01-01";

/// The tag of a kind of record, field 204, a contact: one that no other record is held against.
const KIND_TAG: [u8; 2] = [0xe2, 0x0c];

/// The tag of a field that no kind has, 2000: it holds what makes a record long.
const FILLER_TAG: [u8; 2] = [0x82, 0x7d];

/// How the submissions of a run look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Single records of a few hundred bytes.
    Small,
    /// Single records and batches, from 60 bytes to the largest.
    Mixed,
    /// As mixed, and every third a batch of 4 MB: hundreds of keys of the store.
    Huge,
}

/// One call of `append`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Batch {
    /// The run: the shape in its highest byte, then a number.
    pub(crate) run: u32,
    /// Which of the run's submitters.
    pub(crate) submitter: u16,
    /// Which of the submitter's batches.
    pub(crate) number: u32,
}

/// The name of a run.
pub(crate) fn run(shape: Shape, number: u32) -> u32 {
    let shape = match shape {
        Shape::Small => 0,
        Shape::Mixed => 1,
        Shape::Huge => 2,
    };
    shape << 24 | number & 0x00ff_ffff
}

impl Batch {
    /// The lengths of what fills the records, one for each record.
    fn lengths(self) -> Vec<usize> {
        let seed = u64::from(self.run) << 32 | u64::from(self.number);
        let mut rng = Rng::new(seed, u64::from(self.submitter));
        let shape = self.run >> 24;
        let kind = rng.below(100);
        match shape {
            2 if self.number % 3 == 1 => vec![6_900; rng.between(540, 600)],
            1 | 2 if kind < 4 => vec![6_000; rng.between(2, 20)],
            1 | 2 if kind < 10 => vec![rng.between(6_900, 65_000)],
            1 | 2 if kind < 25 => (0..rng.between(2, 40))
                .map(|_| rng.between(1, 300))
                .collect(),
            _ => vec![rng.between(1, 900)],
        }
    }

    /// The ids and bytes of the records.
    pub(crate) fn records(self) -> Vec<([u8; 16], Vec<u8>)> {
        let lengths = self.lengths();
        let record = |(item, length): (u16, usize)| {
            let id = self.id(item);
            let mut bytes = vec![0x0a, 36];
            bytes.extend_from_slice(uuid(&id).as_bytes());
            bytes.extend_from_slice(EVENT_TIME);
            let patient = format!("P-{}", self.number % 97);
            bytes.push(PATIENT_TAG);
            put_varint(patient.len(), &mut bytes);
            bytes.extend_from_slice(patient.as_bytes());
            let mut head = FILLER_TAG.to_vec();
            put_varint(length, &mut head);
            bytes.extend_from_slice(&KIND_TAG);
            put_varint(head.len() + length, &mut bytes);
            bytes.append(&mut head);
            let end = bytes.len() + length;
            let mut rng = Rng::new(u64::from(item), u64::from(self.number));
            while bytes.len() < end {
                bytes.extend_from_slice(&rng.next().to_le_bytes());
            }
            bytes.truncate(end);
            (id, bytes)
        };
        (0..).zip(lengths).map(record).collect()
    }

    /// The submissions of the batch.
    pub(crate) fn submissions(self) -> Vec<Submission> {
        // Every record of the plan is one; `fsck` would miss what is not posted.
        let posts = |record: &Vec<u8>| {
            let record = pb::Record::decode(record.as_slice());
            record.map_or_else(|_| Posts::default(), |record| Posts::of(&record))
        };
        let submission = |(record_id, record)| Submission {
            record_id,
            posts: posts(&record),
            record,
            actor: ACTOR.to_owned(),
            author: None,
            event_time: None,
            authority: None,
        };
        self.records().into_iter().map(submission).collect()
    }

    fn id(self, item: u16) -> [u8; 16] {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.run.to_be_bytes());
        id[4..6].copy_from_slice(&self.submitter.to_be_bytes());
        // A UUID of version 8, whose bits are our own.
        id[6] = 0x80;
        id[8] = 0x80;
        id[9..13].copy_from_slice(&self.number.to_be_bytes());
        id[13..15].copy_from_slice(&item.to_be_bytes());
        id
    }

    /// The batch that a record id belongs to.
    pub(crate) fn of(id: &[u8; 16]) -> Self {
        Self {
            run: u32::from_be_bytes([id[0], id[1], id[2], id[3]]),
            submitter: u16::from_be_bytes([id[4], id[5]]),
            number: u32::from_be_bytes([id[9], id[10], id[11], id[12]]),
        }
    }
}

/// The id at the beginning of a record's bytes.
pub(crate) fn id_of_record(record: &[u8]) -> Result<[u8; 16]> {
    let text = record
        .strip_prefix(&[0x0a, 36])
        .and_then(|rest| rest.get(..36));
    let text = text.context("a record does not begin with its id")?;
    let hex: Vec<u8> = text.iter().copied().filter(|byte| *byte != b'-').collect();
    parse_hex(std::str::from_utf8(&hex)?)
}

/// Hexadecimal digits of a known number of bytes.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N]> {
    if text.len() != 2 * N || !text.is_ascii() {
        bail!("{text} is not {N} bytes in hexadecimal");
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    }
    Ok(bytes)
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn uuid(id: &[u8; 16]) -> String {
    [&id[..4], &id[4..6], &id[6..8], &id[8..10], &id[10..]]
        .map(hex)
        .join("-")
}

fn put_varint(mut value: usize, bytes: &mut Vec<u8>) {
    while 0x80 <= value {
        bytes.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap_or(0));
}
