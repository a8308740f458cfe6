//! What a question is asked of: the day it asks about, how much of the log is known, and whether corrected
//! facts are shown as corrected. The three clocks of the rules meet here, and nowhere else.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::NaiveDate;

use super::{
    change,
    fact::{Fact, Subject, event_day, subjects},
};
use crate::{
    pb::{self, CorrectionKind, record::Kind},
    tlog::{Index, TreeSize},
};

/// The day, the knowledge and the view that an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// What happened after this civil day is not seen.
    pub as_of: NaiveDate,
    /// Entries from this size on are not known.
    pub known_at: TreeSize,
    /// Whether corrections, merges and splits are applied.
    pub view: View,
}

/// How corrected facts are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    /// As they are known to be: corrections, merges and splits applied.
    #[default]
    AsCorrected,
    /// As they were recorded.
    AsRecorded,
}

/// A fact as a question sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The fact: as recorded, or with the corrections that the question knows.
    pub fact: Arc<Fact>,
    /// The corrections that made it what it is, in the order of the log.
    pub corrections: Vec<Arc<Fact>>,
}

impl std::ops::Deref for Seen {
    type Target = Fact;

    fn deref(&self) -> &Fact {
        &self.fact
    }
}

/// The facts that a question sees, in the order of the day, then of the instant where it is known, and then of the
/// log. Corrections are applied, not shown.
///
/// A record is seen if it happened by `as_of` and its entry is known. What corrects a record tells nothing
/// that happened, only what was true: it counts as soon as it is known, whatever its own day.
pub fn seen(facts: &[Arc<Fact>], question: &Question) -> Vec<Seen> {
    let known = facts.iter().filter(|fact| question.knows(fact));
    let apply = question.view == View::AsCorrected && known.clone().any(|fact| is_correction(fact));
    let mut seen: Vec<Seen> = if apply {
        corrected(
            &known.map(Arc::clone).collect::<Vec<_>>(),
            question.known_at,
        )
    } else {
        known
            .filter(|fact| !is_correction(fact))
            .map(|fact| Seen {
                fact: Arc::clone(fact),
                corrections: Vec::new(),
            })
            .collect()
    };
    seen.retain(|seen| seen.on <= question.as_of);
    put_in_order(&mut seen);
    seen
}

/// Puts facts in the order in which they happened, see [`Fact::moment`].
pub fn put_in_order<S: Borrow<Seen>>(facts: &mut [S]) {
    let on = |fact: &S| fact.borrow().on;
    facts.sort_by_key(on);
    for day in facts.chunk_by_mut(|one, next| on(one) == on(next)) {
        // Most days have one fact, whose instant need not be read.
        if 1 < day.len() {
            day.sort_by_cached_key(|fact| fact.borrow().moment());
        }
    }
}

impl Question {
    /// Of all that is known, whenever it happened, as corrected.
    pub const EVERYTHING: Self = Self {
        as_of: NaiveDate::MAX,
        known_at: TreeSize::new(u64::MAX),
        view: View::AsCorrected,
    };

    /// Whether the question knows the entry.
    pub fn knows(&self, fact: &Fact) -> bool {
        fact.index.value() < self.known_at.value()
    }
}

/// The subjects of a record as its corrections leave it; of a record that a correction takes back, none.
///
/// A corrected lot number makes a record one about that lot. Whoever keeps facts by subject keeps the record and its
/// corrections under these subjects also, and under the old ones still: there they are for [`View::AsRecorded`]. A
/// replacement that is not told with a correction may not be there yet, and takes nothing back.
pub fn subjects_as_corrected(record_and_corrections: &[Arc<Fact>]) -> BTreeSet<Subject> {
    let corrected = corrected(record_and_corrections, Question::EVERYTHING.known_at);
    corrected
        .iter()
        .flat_map(|seen| subjects(&seen.record))
        .collect()
}

/// Known facts as their known corrections leave them.
fn corrected(known: &[Arc<Fact>], known_at: TreeSize) -> Vec<Seen> {
    let standing = standing_corrections(known, known_at);
    let mut seen = Vec::new();
    for fact in known.iter().filter(|fact| !is_correction(fact)) {
        let corrections = standing.get(fact.record.record_id.as_str());
        seen.extend(applied(
            fact,
            corrections.map_or(&[], Vec::as_slice),
            known_at,
        ));
    }
    seen
}

/// Whether a question sees that a correction, which it knows, stands: as recorded, each does.
pub(super) fn stands(about: &[Arc<Fact>], correction: &Fact, question: &Question) -> bool {
    let known = about.iter().filter(|fact| question.knows(fact));
    let known: Vec<Arc<Fact>> = known.map(Arc::clone).collect();
    let standing = standing_corrections(&known, question.known_at);
    let mut standing = standing.into_values().flatten();
    question.view == View::AsRecorded || standing.any(|one| one.index == correction.index)
}

/// The corrections that stand, by the record that they are about: those that no standing correction takes
/// back. A correction is recorded after its target, so the newest stands, and the older follow from it.
fn standing_corrections(known: &[Arc<Fact>], known_at: TreeSize) -> BTreeMap<&str, Vec<Arc<Fact>>> {
    let mut standing: BTreeMap<&str, Vec<Arc<Fact>>> = BTreeMap::new();
    let mut taken_back: BTreeSet<&str> = BTreeSet::new();
    for fact in known.iter().rev() {
        let Some(Kind::Correction(correction)) = fact.kind() else {
            continue;
        };
        if taken_back.contains(fact.record.record_id.as_str()) {
            continue;
        }
        if takes_back(fact, correction, known_at) {
            taken_back.insert(&correction.target);
        }
        let of_target = standing.entry(&correction.target).or_default();
        of_target.insert(0, Arc::clone(fact));
    }
    standing
}

/// Whether the correction leaves nothing of its target: it did not occur, was recorded twice, or stands in
/// another record.
///
/// A record that is to take the target's place may come later, or never. Until it is known the target goes on
/// counting, or else the only record of a treatment would be lost. But whoever was never treated is not until then.
fn takes_back(fact: &Fact, correction: &pb::Correction, known_at: TreeSize) -> bool {
    let replacement = fact.replacement.map(Index::value);
    let is_replaced = replacement.is_some_and(|entry| entry < known_at.value());
    match correction.correction_kind() {
        CorrectionKind::DidNotOccur => true,
        CorrectionKind::IncorrectData => is_replaced,
        CorrectionKind::Duplicate => is_replaced || correction.replacement.is_empty(),
        CorrectionKind::WrongPatient => is_replaced || !moves(correction),
        CorrectionKind::Addition | CorrectionKind::Unspecified => false,
    }
}

/// Whether a correction says of whom else its target tells.
pub(super) fn moves(correction: &pb::Correction) -> bool {
    let mut changes = correction.changes.iter();
    changes.any(|change| change.path == "patient")
}

/// A fact after its corrections, in their order; none if one takes it back.
fn applied(fact: &Arc<Fact>, corrections: &[Arc<Fact>], known_at: TreeSize) -> Option<Seen> {
    let mut record = None;
    for by in corrections {
        let Some(Kind::Correction(correction)) = by.kind() else {
            continue;
        };
        if takes_back(by, correction, known_at) {
            return None;
        }
        let record: &mut pb::Record = record.get_or_insert_with(|| fact.record.clone());
        for change in &correction.changes {
            // A change that does not fit its record is refused where it is recorded.
            if let Ok(changed) = change::set(record, &change.path, &change.new) {
                *record = changed;
            }
        }
    }
    let fact = match record {
        None => Arc::clone(fact),
        Some(record) => Arc::new(Fact {
            on: event_day(&record).unwrap_or(fact.on),
            record,
            ..Fact::clone(fact)
        }),
    };
    Some(Seen {
        fact,
        corrections: corrections.to_vec(),
    })
}

/// Whether a fact tells nothing that happened, only what was true of another.
pub(super) fn is_correction(fact: &Fact) -> bool {
    matches!(fact.kind(), Some(Kind::Correction(_)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{book::Book, fact::Facts as _};

    /// A fact of P in Shanghai.
    fn fact(index: u64, event_time: &str, kind: Kind) -> Arc<Fact> {
        let record = pb::Record {
            record_id: format!("R-{index}"),
            event_time: event_time.to_owned(),
            site_tz: "Asia/Shanghai".to_owned(),
            patient: "P".to_owned(),
            kind: Some(kind),
            ..Default::default()
        };
        Arc::new(Fact::of_record(index, record))
    }

    /// A visit of P on 10 January, and a correction of it that is known later, of a day long after.
    fn corrected_by(
        kind: CorrectionKind,
        replacement: &str,
        changes: &[(&str, &str)],
    ) -> Vec<Seen> {
        let changes = changes.iter().map(|(path, new)| pb::FieldChange {
            path: (*path).to_owned(),
            new: (*new).to_owned(),
            ..Default::default()
        });
        let correction = pb::Correction {
            target: "R-0".to_owned(),
            correction_kind: kind.into(),
            replacement: replacement.to_owned(),
            changes: changes.collect(),
            ..Default::default()
        };
        let visit = pb::FollowUpVisit::default();
        let facts = [
            fact(0, "2020-01-10", Kind::FollowUpVisit(visit)),
            fact(1, "2020-03-01", Kind::Correction(correction)),
        ];
        let question = |known_at| Question {
            as_of: NaiveDate::from_ymd_opt(2020, 2, 1).unwrap(),
            known_at: TreeSize::new(known_at),
            view: View::AsCorrected,
        };
        let [before] = seen(&facts, &question(1)).try_into().unwrap();
        assert_eq!(before.corrections, [], "not known yet");
        seen(&facts, &question(2))
    }

    #[test]
    fn a_correction_takes_back_what_it_leaves_nothing_of() {
        use CorrectionKind as K;
        let patient = [("patient", "Q")];
        let site = [("site", "S")];
        for (kind, replacement, changes, is_left) in [
            (K::DidNotOccur, "", &[][..], false),
            (K::Duplicate, "", &[], false),
            (K::Duplicate, "R-9", &[], true),
            (K::WrongPatient, "", &[], false),
            (K::WrongPatient, "", &site, false),
            (K::WrongPatient, "", &patient, true),
            (K::IncorrectData, "", &site, true),
            (K::WrongPatient, "R-9", &[], false),
            (K::WrongPatient, "R-9", &patient, true),
            (K::IncorrectData, "R-9", &[], true),
            (K::IncorrectData, "R-9", &site, true),
            (K::Addition, "", &site, true),
        ] {
            let left = corrected_by(kind, replacement, changes);
            assert_eq!(left.len(), usize::from(is_left), "{kind:?} {changes:?}");
        }
    }

    #[test]
    fn a_record_counts_until_the_one_that_takes_its_place_is_known() {
        use CorrectionKind as K;
        let moved = pb::FieldChange {
            path: "patient".to_owned(),
            new: "Q".to_owned(),
            ..Default::default()
        };
        let visit = || Kind::FollowUpVisit(pb::FollowUpVisit::default());
        for (kind, changes, until_then) in [
            (K::IncorrectData, Vec::new(), true),
            (K::Duplicate, Vec::new(), true),
            (K::WrongPatient, vec![moved], true),
            (K::WrongPatient, Vec::new(), false),
        ] {
            let by = pb::Correction {
                target: "R-0".to_owned(),
                correction_kind: kind.into(),
                replacement: "R-2".to_owned(),
                changes,
                ..Default::default()
            };
            let mut book = Book::default();
            for (index, kind) in (0..).zip([visit(), Kind::Correction(by), visit()]) {
                book.insert(Fact::told(index, "2020-01-10", "P", kind));
            }
            let Ok(about) = book.about(&Subject::Patient("P".to_owned()));
            for (known_at, is_left) in [(1, true), (2, until_then), (3, false)] {
                let question = Question {
                    known_at: TreeSize::new(known_at),
                    ..Question::EVERYTHING
                };
                let seen = seen(&about, &question);
                let have = seen.iter().any(|one| one.index == Index::new(0));
                assert_eq!(have, is_left, "{kind:?} known at {known_at}");
            }
        }
    }

    #[test]
    fn what_is_of_another_kind_takes_no_place() {
        let by = pb::Correction {
            target: "R-0".to_owned(),
            correction_kind: CorrectionKind::IncorrectData.into(),
            replacement: "R-2".to_owned(),
            ..Default::default()
        };
        let mut book = Book::default();
        for (index, kind) in (0..).zip([
            Kind::FollowUpVisit(pb::FollowUpVisit::default()),
            Kind::Correction(by),
            Kind::PatientStatus(pb::PatientStatus::default()),
        ]) {
            book.insert(Fact::told(index, "2020-01-10", "P", kind));
        }
        let Ok(about) = book.about(&Subject::Patient("P".to_owned()));
        assert_eq!(seen(&about, &Question::EVERYTHING).len(), 2);
    }

    #[test]
    fn facts_of_one_day_are_in_the_order_of_their_instants() {
        let check = |times: &[&str], expected: &[u64]| {
            let visit = |(index, time): (u64, &&str)| {
                fact(
                    index,
                    time,
                    Kind::FollowUpVisit(pb::FollowUpVisit::default()),
                )
            };
            let facts: Vec<Arc<Fact>> = (0..).zip(times).map(visit).collect();
            for view in [View::AsCorrected, View::AsRecorded] {
                let question = Question {
                    as_of: NaiveDate::MAX,
                    known_at: TreeSize::new(9),
                    view,
                };
                let seen = seen(&facts, &question);
                let order: Vec<u64> = seen.iter().map(|one| one.index.value()).collect();
                assert_eq!(order, expected, "{times:?}");
            }
        };
        let (nine, ten, eleven) = (
            "2026-03-02T09:00:00+08:00",
            "2026-03-02T02:00:00Z",
            "2026-03-02T11:00:00+08:00",
        );
        check(&[], &[]);
        check(&[eleven], &[0]);
        check(&[nine, ten, eleven], &[0, 1, 2]);
        check(&[eleven, ten, nine], &[2, 1, 0]);
        check(&[ten, nine, ten], &[1, 0, 2]);
        // Known to the day, it counts from the day's beginning, whatever else is there.
        check(&[eleven, "2026-03-02"], &[1, 0]);
        check(&[eleven, "2026-03-02", nine], &[1, 2, 0]);
        check(&["2026-03-02", eleven, nine, "2026-03-02"], &[0, 3, 2, 1]);
        // The day comes first.
        check(
            &["2026-03-03T00:00:00+08:00", eleven, "2026-03-01"],
            &[2, 1, 0],
        );
    }

    #[test]
    fn an_hour_counts_only_as_far_as_it_is_known() {
        use pb::EventPrecision as P;
        for (precision, expected) in [
            (P::Unspecified, [1, 0]),
            (P::Second, [1, 0]),
            (P::Minute, [1, 0]),
            (P::Day, [0, 1]),
            (P::Month, [0, 1]),
            (P::Year, [0, 1]),
        ] {
            let visit = || Kind::FollowUpVisit(pb::FollowUpVisit::default());
            let mut later = Fact::told(0, "2026-03-02T11:00:00+08:00", "P", visit());
            later.record.event_precision = precision.into();
            let earlier = Fact::told(1, "2026-03-02T09:00:00+08:00", "P", visit());
            let seen = seen(&[later, earlier].map(Arc::new), &Question::EVERYTHING);
            let order: Vec<u64> = seen.iter().map(|one| one.index.value()).collect();
            assert_eq!(order, expected, "{precision:?}");
        }
    }

    #[test]
    fn a_changed_day_moves_what_happened() {
        let moved = corrected_by(
            CorrectionKind::IncorrectData,
            "",
            &[("event_time", "2020-01-20"), ("patient", "Q")],
        );
        let [moved] = moved.as_slice() else {
            panic!("{moved:?}")
        };
        assert_eq!(moved.on.to_string(), "2020-01-20");
        assert_eq!(moved.record.patient, "Q");
        assert_eq!(moved.corrections.len(), 1);
        let gone = [("event_time", "2020-02-02")];
        let gone = corrected_by(CorrectionKind::IncorrectData, "", &gone);
        assert_eq!(gone, [], "after the day that is asked about");
    }
}
