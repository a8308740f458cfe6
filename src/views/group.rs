//! What postings are about, as bytes: in the order of what they stand for, and so that none begins another.
//!
//! | first byte | then | the entries that |
//! |---|---|---|
//! | `01` to `0d` | the subject | are about it |
//! | `20` | site, patient | may put the patient at the site |
//! | `21` | patient | merge the patient with another, or split one off |
//! | `30` | index (8) of an entry | correct it, also through other corrections |
//! | `31` | index (8) of a correction, index (8) of an entry | is the correction, and corrects the entry in the end |
//!
//! An entry about a patient is marked if it tells how the patient stands.
//!
//! A text ends with `00 01`, and a `00` in it is written `00 ff`: "a" comes before "a\0" and before "ab".

use sha2::{Digest as _, Sha256};
use smallvec::SmallVec;

use super::postings::GROUP_BYTES_MAX;
use crate::{
    rules::fact::{LotId, Material, Place, Subject},
    tlog::Index,
};

const CATALOGUE: u8 = 0x01;
const PATIENT: u8 = 0x02;
const LOT: u8 = 0x03;
const MADE_OF: u8 = 0x04;
const STOCK: u8 = 0x05;
const DONATION: u8 = 0x06;
const COI: u8 = 0x07;
const SAMPLE: u8 = 0x08;
const CASE: u8 = 0x09;
const CONSIGNMENT: u8 = 0x0a;
const IDENTITY: u8 = 0x0b;
const TRACE_CODE: u8 = 0x0c;
const PLACE: u8 = 0x0d;
const PLACED: u8 = 0x20;
const MERGED: u8 = 0x21;
const CORRECTIONS: u8 = 0x30;
const FIRST: u8 = 0x31;

const LOT_MATERIAL: u8 = 0x01;
const DONATION_MATERIAL: u8 = 0x02;

/// The entries about the catalogue.
pub(super) const CATALOGUE_GROUP: &[u8] = &[CATALOGUE];

/// A group that is too long is cut there, and its hash takes the place of the rest. Of what a checked record names, only
/// a place in a store may be so long.
const CUT_BYTES: usize = GROUP_BYTES_MAX - 32;

/// What a posting is about, as bytes. Most are 13 to 30 bytes long and lie where they are held: each record has a
/// few, which are compared, kept, and forgotten some ten thousand records later.
pub(super) type Group = SmallVec<[u8; 40]>;

struct Bytes(Group);

impl Bytes {
    fn new(kind: u8) -> Self {
        let mut bytes = Group::new();
        bytes.push(kind);
        Self(bytes)
    }

    fn part(mut self, part: &[u8]) -> Self {
        for piece in part.split_inclusive(|&byte| byte == 0) {
            self.0.extend_from_slice(piece);
            if piece.ends_with(&[0]) {
                self.0.push(0xff);
            }
        }
        self.0.extend_from_slice(&[0, 1]);
        self
    }

    fn text(self, text: &str) -> Self {
        self.part(text.as_bytes())
    }

    fn lot(self, lot: &LotId) -> Self {
        self.text(&lot.gtin).text(&lot.lot)
    }

    fn kind(mut self, kind: u8) -> Self {
        self.0.push(kind);
        self
    }

    fn done(mut self) -> Group {
        if GROUP_BYTES_MAX < self.0.len() {
            let hash: [u8; 32] = Sha256::digest(&self.0).into();
            self.0.truncate(CUT_BYTES);
            self.0.extend_from_slice(&hash);
        }
        self.0
    }
}

/// The entries about a subject.
pub(super) fn of_subject(subject: &Subject) -> Group {
    let text = |kind, text: &str| Bytes::new(kind).text(text);
    let bytes = match subject {
        Subject::Catalogue => Bytes::new(CATALOGUE),
        Subject::Patient(patient) => text(PATIENT, patient),
        Subject::Lot(lot) => Bytes::new(LOT).lot(lot),
        Subject::MadeOf(Material::Lot(lot)) => Bytes::new(MADE_OF).kind(LOT_MATERIAL).lot(lot),
        Subject::MadeOf(Material::Donation(number)) => {
            Bytes::new(MADE_OF).kind(DONATION_MATERIAL).text(number)
        }
        Subject::Stock(lot) => Bytes::new(STOCK).lot(lot),
        Subject::Donation(number) => text(DONATION, number),
        Subject::Coi(coi) => text(COI, coi),
        Subject::Sample(sample) => text(SAMPLE, sample),
        Subject::Case(case) => text(CASE, case),
        Subject::Consignment(sscc) => text(CONSIGNMENT, sscc),
        Subject::Identity(commitment) => Bytes::new(IDENTITY).part(commitment),
        Subject::TraceCode(code) => text(TRACE_CODE, code),
        Subject::Place(place) => {
            let Place {
                site,
                facility,
                unit,
                rack,
                box_id,
                spot,
            } = place.as_ref();
            let parts = [site, facility, unit, rack, box_id, spot];
            let place = Bytes::new(PLACE);
            parts
                .into_iter()
                .fold(place, |place, part| place.text(part))
        }
    };
    bytes.done()
}

/// The subject of a group; `None` of a group that is of no subject, or was cut.
pub(super) fn subject(group: &[u8]) -> Option<Subject> {
    let (&kind, mut rest) = group.split_first()?;
    let rest = &mut rest;
    let subject = match kind {
        CATALOGUE => Subject::Catalogue,
        PATIENT => Subject::Patient(text(rest)?),
        LOT => Subject::Lot(lot(rest)?),
        MADE_OF => {
            let (&kind, after) = rest.split_first()?;
            *rest = after;
            Subject::MadeOf(match kind {
                LOT_MATERIAL => Material::Lot(lot(rest)?),
                DONATION_MATERIAL => Material::Donation(text(rest)?),
                _ => return None,
            })
        }
        STOCK => Subject::Stock(lot(rest)?),
        DONATION => Subject::Donation(text(rest)?),
        COI => Subject::Coi(text(rest)?),
        SAMPLE => Subject::Sample(text(rest)?),
        CASE => Subject::Case(text(rest)?),
        CONSIGNMENT => Subject::Consignment(text(rest)?),
        IDENTITY => Subject::Identity(part(rest)?),
        TRACE_CODE => Subject::TraceCode(text(rest)?),
        PLACE => Subject::Place(Box::new(Place {
            site: text(rest)?,
            facility: text(rest)?,
            unit: text(rest)?,
            rack: text(rest)?,
            box_id: text(rest)?,
            spot: text(rest)?,
        })),
        _ => return None,
    };
    rest.is_empty().then_some(subject)
}

/// Behind every group of a subject.
pub(super) const SUBJECTS_END: &[u8] = &[PLACED];

/// The entries that may put a patient at a site.
pub(super) fn of_place(site: &str, patient: &str) -> Group {
    Bytes::new(PLACED).text(site).text(patient).done()
}

/// What the groups of all patients of a site begin with.
pub(super) fn places_of(site: &str) -> Group {
    Bytes::new(PLACED).text(site).done()
}

/// The patient of a place.
pub(super) fn placed(group: &[u8]) -> Option<String> {
    let (&PLACED, mut rest) = group.split_first()? else {
        return None;
    };
    text(&mut rest)?;
    text(&mut rest).filter(|_| rest.is_empty())
}

/// The merges and splits of a patient.
pub(super) fn of_merges(patient: &str) -> Group {
    Bytes::new(MERGED).text(patient).done()
}

/// What the groups of all merges and splits begin with.
pub(super) const MERGES: &[u8] = &[MERGED];

/// The patient of merges and splits.
pub(super) fn merged(group: &[u8]) -> Option<String> {
    let (&MERGED, mut rest) = group.split_first()? else {
        return None;
    };
    text(&mut rest).filter(|_| rest.is_empty())
}

/// Whether a group is of the entries about a patient.
pub(super) fn is_of_patient(group: &[u8]) -> bool {
    group.first() == Some(&PATIENT)
}

/// The corrections of an entry.
pub(super) fn corrections_of(index: Index) -> Group {
    numbered(CORRECTIONS, index)
}

/// That a correction corrects an entry in the end.
pub(super) fn first_of(correction: Index, first: Index) -> Group {
    let mut group = firsts_of(correction);
    group.extend_from_slice(&first.value().to_be_bytes());
    group
}

/// What the group of an entry that a correction corrects in the end begins with.
pub(super) fn firsts_of(correction: Index) -> Group {
    numbered(FIRST, correction)
}

/// The entry that is corrected in the end.
pub(super) fn first(group: &[u8]) -> Option<Index> {
    let (_, first) = group.split_last_chunk()?;
    Some(Index::new(u64::from_be_bytes(*first)))
}

fn numbered(kind: u8, index: Index) -> Group {
    let mut group = Group::from_elem(kind, 1);
    group.extend_from_slice(&index.value().to_be_bytes());
    group
}

/// What comes behind everything that begins so.
pub(super) fn end_of(start: &[u8]) -> Vec<u8> {
    let mut end = start.to_vec();
    while end.last() == Some(&u8::MAX) {
        end.pop();
    }
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

fn text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(part(rest)?).ok()
}

fn lot(rest: &mut &[u8]) -> Option<LotId> {
    Some(LotId {
        gtin: text(rest)?,
        lot: text(rest)?,
    })
}

fn part(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        match **rest {
            [0, 1, ref after @ ..] => {
                *rest = after;
                return Some(bytes);
            }
            [0, 0xff, ref after @ ..] => {
                bytes.push(0);
                *rest = after;
            }
            [] | [0, ..] => return None,
            [byte, ref after @ ..] => {
                bytes.push(byte);
                *rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(parts: [&str; 6]) -> Place {
        let [site, facility, unit, rack, box_id, spot] = parts.map(str::to_owned);
        Place {
            site,
            facility,
            unit,
            rack,
            box_id,
            spot,
        }
    }

    /// Subjects of every kind, with texts that test the order.
    fn subjects() -> Vec<Subject> {
        let texts = [
            "", "\0", "\0\0", "a", "a\0", "a\0b", "a\u{1}", "ab", "b", "\u{ff}",
        ];
        let mut subjects = vec![Subject::Catalogue];
        for text in texts.map(str::to_owned) {
            let bytes = text.clone().into_bytes();
            subjects.extend([
                Subject::Patient(text.clone()),
                Subject::MadeOf(Material::Donation(text.clone())),
                Subject::Donation(text.clone()),
                Subject::Coi(text.clone()),
                Subject::Sample(text.clone()),
                Subject::Case(text.clone()),
                Subject::Consignment(text.clone()),
                Subject::Identity([bytes.as_slice(), &[0xff]].concat()),
                Subject::Identity(bytes),
                Subject::TraceCode(text.clone()),
            ]);
            for lot in texts.map(str::to_owned) {
                let gtin = text.clone();
                let lot = LotId { gtin, lot };
                subjects.extend([
                    Subject::Lot(lot.clone()),
                    Subject::MadeOf(Material::Lot(lot.clone())),
                    Subject::Stock(lot.clone()),
                    Subject::Place(Box::new(place([&lot.gtin, "f", "u", &lot.lot, "b", "p"]))),
                    Subject::Place(Box::new(place(["s", "f", &lot.gtin, "", &lot.lot, ""]))),
                ]);
            }
        }
        subjects.sort();
        subjects
    }

    #[test]
    fn groups_are_in_the_order_of_their_subjects_and_none_begins_another() {
        let subjects = subjects();
        let groups: Vec<_> = subjects.iter().map(of_subject).collect();
        for pair in groups.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
            assert!(!pair[1].starts_with(&pair[0]), "{pair:?}");
        }
        assert!(groups.iter().all(|group| group.as_slice() < SUBJECTS_END));
    }

    #[test]
    fn a_subject_comes_back_from_its_group_and_from_no_part_of_it() {
        for expected in subjects() {
            let group = of_subject(&expected);
            assert_eq!(subject(&group), Some(expected));
            for cut in 0..group.len() {
                assert_eq!(subject(&group[..cut]), None, "cut at {cut}");
            }
            assert_eq!(subject(&[group.as_slice(), &[0]].concat()), None);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_still_told_apart() {
        let [one, other] = ["x", "y"].map(|end| {
            let patient = "p".repeat(1_000) + end;
            of_subject(&Subject::Patient(patient))
        });
        assert_ne!(one, other);
        assert_eq!(one.len(), GROUP_BYTES_MAX);
        assert_eq!(subject(&one), None);
        let longest = "p".repeat(GROUP_BYTES_MAX - 3);
        let whole = of_subject(&Subject::Patient(longest.clone()));
        assert_eq!(subject(&whole), Some(Subject::Patient(longest)));
    }

    #[test]
    fn places_and_merges_come_back_and_lie_within_their_ranges() {
        let place = of_place("site", "P-1");
        assert!(place.starts_with(&places_of("site")));
        assert_eq!(placed(&place).as_deref(), Some("P-1"));
        assert_eq!(placed(&of_subject(&Subject::Catalogue)), None);

        let merges = of_merges("P-1");
        assert!(merges.starts_with(MERGES));
        assert_eq!(merged(&merges).as_deref(), Some("P-1"));
        for cut in 0..merges.len() {
            assert_eq!(merged(&merges[..cut]), None, "cut at {cut}");
        }
        let patient = of_subject(&Subject::Patient("P-1".to_owned()));
        assert_eq!(merged(&patient), None);
        assert_eq!(placed(&patient), None);
    }

    #[test]
    fn what_is_corrected_in_the_end_comes_back() {
        let [correction, entry] = [258, 7].map(Index::new);
        let group = first_of(correction, entry);
        assert!(group.starts_with(&firsts_of(correction)));
        assert_eq!(first(&group), Some(entry));
    }

    #[test]
    fn everything_that_begins_so_is_before_the_end() {
        for (start, end) in [
            (&[1][..], &[2][..]),
            (&[0x30, 0xff, 0xff], &[0x31]),
            (&[0x20, 0, 1], &[0x20, 0, 2]),
        ] {
            assert_eq!(end_of(start), end);
        }
    }
}
