//! A population that never was: patients of two gene-therapy products over fifteen years, with all that is
//! recorded of them, for measurements and trials. Everything follows from a seed: the same seed and the same
//! number of patients give the same records, on any machine.
//!
//! Nothing here is taken from a person. Rates are plausible, not observed. The ledger is not known here.

mod life;
mod programme;
mod random;
mod say;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::pb;
use life::{Event, Life, Patient};
pub use programme::Programme;

/// A record, and when the ledger is to take it in.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// When.
    pub at: DateTime<Utc>,
    /// The record.
    pub record: pb::Record,
}

/// The days whose records are made at once: what is held in memory is what happened in so many days.
const SLICE_DAYS: u64 = 61;

/// All records of a population, in the order in which they are recorded.
///
/// Lives are told anew for each slice of the programme, since a life is told faster than it is kept: memory does
/// not grow with the years, and hardly with the patients.
pub fn records(programme: Programme) -> impl Iterator<Item = Recorded> {
    let mut common = programme::said_once(&programme).into_iter().peekable();
    slices().flat_map(move |(from, to)| {
        let mut slice = Vec::new();
        while let Some(said) = common.next_if(|said| said.at < to) {
            slice.push((said.at, 0, 0, Told::Once(Box::new(said))));
        }
        for number in 1..=programme.patients {
            if to.date_naive() < programme.registered_on(number) {
                break;
            }
            let Life { patient, events } = Life::of(&programme, number);
            for event in events {
                if from <= event.recorded && event.recorded < to {
                    let told = Told::Of(patient, event);
                    slice.push((event.recorded, number, event.number, told));
                }
            }
        }
        slice.sort_by_key(|(at, number, event, _)| (*at, *number, *event));
        let told = slice.into_iter().map(|(at, _, _, told)| (at, told));
        told.map(move |(at, told)| match told {
            Told::Once(said) => *said,
            Told::Of(patient, event) => Recorded {
                at,
                record: say::record(&programme, patient, &event),
            },
        })
    })
}

/// What is told in a slice.
enum Told {
    /// What is said once for many.
    Once(Box<Recorded>),
    /// An event of a life.
    Of(Patient, Event),
}

/// The slices of the programme, each from an instant up to, and without, another.
fn slices() -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
    let starts = std::iter::successors(Some(programme::START), |from| {
        Some(programme::later(*from, SLICE_DAYS)).filter(|next| *next <= programme::END)
    });
    starts.map(|from| {
        let to = programme::later(from, SLICE_DAYS).min(programme::later(programme::END, 1));
        (midnight(from), midnight(to))
    })
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use prost::Message as _;

    use super::*;
    use crate::{record, rules::book::Book};

    const SMALL: Programme = Programme {
        seed: 7,
        patients: 300,
    };

    fn kinds(programme: Programme) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for told in records(programme) {
            let kind = record::kind_name(told.record.kind.as_ref().unwrap());
            *kinds.entry(kind).or_default() += 1;
        }
        kinds
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let bytes = |seed| -> Vec<Vec<u8>> {
            let programme = Programme { seed, patients: 20 };
            let told = records(programme);
            told.map(|told| told.record.encode_to_vec()).collect()
        };
        assert!(bytes(1) == bytes(1));
        assert!(bytes(1) != bytes(2));
    }

    #[test]
    fn every_record_passes_its_checks_at_the_time_it_is_recorded() {
        for told in records(SMALL) {
            assert_eq!(
                record::check(&told.record, told.at),
                [],
                "{:?}",
                told.record
            );
        }
    }

    #[test]
    fn records_come_in_the_order_of_their_times_and_each_id_once() {
        let mut last = DateTime::<Utc>::MIN_UTC;
        let mut ids = BTreeSet::new();
        for told in records(SMALL) {
            assert!(last <= told.at, "{} after {last}", told.at);
            last = told.at;
            assert!(
                ids.insert(told.record.record_id.clone()),
                "{:?}",
                told.record
            );
        }
    }

    #[test]
    fn what_a_record_names_was_recorded_before_it() {
        use pb::record::Kind;
        let mut ids = BTreeSet::new();
        for told in records(SMALL) {
            let kind = told.record.kind.as_ref().unwrap();
            let mut names = Vec::new();
            if let Kind::Correction(correction) = kind {
                names.push(&correction.target);
            } else if let Kind::FollowUpEnrolment(enrolment) = kind {
                names.push(&enrolment.consent);
            } else if let Kind::Administration(given) = kind {
                names.push(&given.coi_verification);
            } else if let Kind::FollowUpPlanVersion(plan) = kind {
                names.push(&plan.communication);
            }
            for name in names.into_iter().filter(|name| !name.is_empty()) {
                assert!(ids.contains(name), "{:?}", told.record);
            }
            ids.insert(told.record.record_id);
        }
    }

    #[test]
    fn a_correction_fits_its_record() {
        let mut targets = BTreeMap::new();
        let mut corrections = 0;
        for told in records(SMALL) {
            if let Some(pb::record::Kind::Correction(correction)) = &told.record.kind {
                let target = &targets[&correction.target];
                for change in &correction.changes {
                    crate::rules::change::set(target, &change.path, &change.new).unwrap();
                }
                corrections += 1;
            }
            targets.insert(told.record.record_id.clone(), told.record);
        }
        assert!(0 < corrections);
    }

    #[test]
    fn the_numbers_are_plausible() {
        let kinds = kinds(SMALL);
        let count = |kind| kinds.get(kind).copied().unwrap_or_default();
        assert_eq!(count("patient_registered"), 300);
        for (kind, least, most) in [
            ("administration", 270, 300),
            ("follow_up_enrolment", 265, 300),
            ("consent_signed", 350, 800),
            ("consent_declined", 1, 40),
            ("consent_withdrawn", 3, 60),
            ("patient_status", 40, 250),
            ("sample_collected", 1_500, 5_000),
            ("assay_result", 1_400, 5_000),
            ("sample_event", 10, 300),
            ("follow_up_visit", 700, 1_500),
            ("follow_up_contact", 200, 1_500),
            ("adverse_event", 50, 800),
            ("correction", 5, 200),
            ("recall_opened", 1, 1),
            ("risk_signal", 1, 1),
        ] {
            let many = count(kind);
            assert!(
                (least..=most).contains(&many),
                "{many} {kind}, not {least} to {most}"
            );
        }
    }

    #[test]
    fn patients_are_lost_found_transferred_dead_and_minors_come_of_age() {
        use pb::{PatientState, Signatory, record::Kind};
        let mut states: BTreeMap<i32, usize> = BTreeMap::new();
        let mut signatories: BTreeMap<i32, usize> = BTreeMap::new();
        for told in records(SMALL) {
            match told.record.kind {
                Some(Kind::PatientStatus(of)) => *states.entry(of.state).or_default() += 1,
                Some(Kind::ConsentSigned(signed)) => {
                    *signatories.entry(signed.signatory).or_default() += 1;
                }
                _ => {}
            }
        }
        for state in [
            PatientState::Deceased,
            PatientState::LostToFollowUp,
            PatientState::Found,
            PatientState::Transferred,
        ] {
            assert!(states.contains_key(&state.into()), "{state:?}");
        }
        for signatory in [Signatory::Self_, Signatory::Lar, Signatory::Assent] {
            assert!(signatories.contains_key(&signatory.into()), "{signatory:?}");
        }
    }

    #[test]
    fn every_record_is_a_fact_of_the_rules() {
        use crate::rules::fact::Fact;
        let mut book = Book::default();
        for (index, told) in records(Programme {
            seed: 3,
            patients: 30,
        })
        .enumerate()
        {
            book.insert(Fact {
                index: crate::tlog::Index::new(u64::try_from(index).unwrap()),
                recorded_at: told.at,
                actor: told.record.actor_person.clone(),
                on: crate::rules::fact::event_day(&told.record).unwrap(),
                record: told.record,
                replacement: None,
            });
        }
        assert!(30 < book.facts().len());
    }
}
