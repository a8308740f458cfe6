//! Whom a new entry may concern in what is asked of patients, so that nobody else need be asked anew. It says too
//! many rather than too few, and does not know what changes for them.

use std::collections::BTreeSet;

use crate::{
    pb::{self, record::Kind},
    rules::{
        dossier::Dossier,
        fact::{Fact, Facts, Material, Subject, material, subjects},
        question::Question,
    },
};

/// Which patients an entry may concern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concerned {
    /// Those to whom these subjects lead; none, nobody.
    ThoseAt(BTreeSet<Subject>),
    /// Anybody.
    All,
}

impl Concerned {
    /// Whom an entry may concern: what is said once for many, corrections, merges and splits anybody, and anything
    /// else those to whom it leads.
    pub fn by(fact: &Fact) -> Self {
        let is_for_many = subjects(&fact.record).contains(&Subject::Catalogue)
            || matches!(
                fact.kind(),
                Some(Kind::Correction(_) | Kind::PatientMerged(_) | Kind::PatientSplit(_))
            );
        if is_for_many {
            Self::All
        } else {
            Self::ThoseAt(leads(&fact.record))
        }
    }
}

/// The patients to whom subjects lead, by the pseudonyms under which the question knows them.
pub fn patients_at<F: Facts>(
    facts: &F,
    question: &Question,
    subjects: BTreeSet<Subject>,
) -> Result<Vec<String>, F::Error> {
    let mut open: Vec<Subject> = subjects.iter().cloned().collect();
    let mut met = subjects;
    let mut patients = BTreeSet::new();
    while let Some(subject) = open.pop() {
        if let Subject::Patient(patient) = &subject {
            let dossier = Dossier::of_person(facts, patient)?;
            patients.insert(dossier.known_as(question));
            continue;
        }
        for fact in facts.about(&subject)? {
            let further = leads(&fact.record).into_iter();
            open.extend(further.filter(|lead| met.insert(lead.clone())));
        }
    }
    Ok(patients.into_iter().collect())
}

/// Where a record leads on the way to patients: to its own; from a sample to whose it is; from a step of
/// manufacture to who received what was made. What else is told of lots and consignments bears on no consent.
fn leads(record: &pb::Record) -> BTreeSet<Subject> {
    let own = subjects(record);
    let mut leads: BTreeSet<Subject> = own
        .into_iter()
        .filter(|subject| matches!(subject, Subject::Patient(_) | Subject::Sample(_)))
        .collect();
    if let Some(Kind::Transformation(step)) = &record.kind {
        for made in step.outputs.iter().filter_map(material) {
            if let Material::Lot(lot) = &made {
                leads.insert(Subject::Stock(lot.clone()));
            }
            leads.insert(Subject::MadeOf(made));
        }
    }
    leads
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        rules::{book::Book, example::car_t, question::View},
        tlog::TreeSize,
    };

    fn now(book: &Book) -> Question {
        Question {
            as_of: chrono::NaiveDate::MAX,
            known_at: TreeSize::new(u64::try_from(book.facts().len()).unwrap()),
            view: View::AsCorrected,
        }
    }

    fn concerned(book: &Book, fact: &Fact) -> Option<Vec<String>> {
        match Concerned::by(fact) {
            Concerned::All => None,
            Concerned::ThoseAt(subjects) => {
                let Ok(patients) = patients_at(book, &now(book), subjects);
                Some(patients)
            }
        }
    }

    fn add(book: &mut Book, patient: &str, kind: Kind) -> Arc<Fact> {
        let index = u64::try_from(book.facts().len()).unwrap();
        book.insert(Fact::told(index, "2020-01-10", patient, kind));
        Arc::clone(book.facts().last().unwrap())
    }

    #[test]
    fn every_entry_of_the_worked_history_concerns_its_own_patient() {
        let book = car_t();
        for fact in book.facts() {
            let patient = &fact.record.patient;
            if let Some(patients) = concerned(&book, fact).filter(|_| !patient.is_empty()) {
                assert!(patients.contains(patient), "{patients:?} without {patient}");
            }
        }
    }

    #[test]
    fn a_step_of_manufacture_concerns_who_received_what_was_made_of_it() {
        let book = car_t();
        let makes = |lot: &str| {
            let mut facts = book.facts().iter();
            let step = facts.find(|fact| {
                let Some(Kind::Transformation(step)) = fact.kind() else {
                    return false;
                };
                let mut made = step.outputs.iter().filter_map(material);
                made.any(|made| matches!(made, Material::Lot(made) if made.lot == lot))
            });
            concerned(&book, step.unwrap())
        };
        assert_eq!(makes("DP-004"), Some(vec!["P4".to_owned()]));
        assert_eq!(makes("DP-007"), Some(Vec::new()), "never given");
    }

    #[test]
    fn a_result_that_names_nobody_concerns_whose_sample_it_is_of() {
        let mut book = car_t();
        let mut facts = book.facts().iter();
        let sample_id = facts.find_map(|fact| {
            let Some(Kind::SampleCollected(sample)) = fact.kind() else {
                return None;
            };
            (fact.record.patient == "P4").then(|| sample.sample_id.clone())
        });
        let parts = pb::SampleEvent {
            sample_id: sample_id.unwrap(),
            aliquots: vec![pb::Aliquot {
                sample_id: "ALIQUOT".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        };
        add(&mut book, "", Kind::SampleEvent(parts));
        let result = pb::AssayResult {
            sample_id: "ALIQUOT".to_owned(),
            ..Default::default()
        };
        let result = add(&mut book, "", Kind::AssayResult(result));
        assert_eq!(concerned(&book, &result), Some(vec!["P4".to_owned()]));
    }

    #[test]
    fn an_entry_under_a_pseudonym_that_was_given_up_concerns_the_one_that_stays() {
        let mut book = car_t();
        let merged = pb::PatientMerged {
            merged_patient: "P9".to_owned(),
        };
        let merged = add(&mut book, "P5", Kind::PatientMerged(merged));
        assert_eq!(concerned(&book, &merged), None);
        let signed = Kind::ConsentSigned(pb::ConsentSigned::default());
        let signed = add(&mut book, "P9", signed);
        assert_eq!(concerned(&book, &signed), Some(vec!["P5".to_owned()]));
    }

    #[test]
    fn what_is_said_for_many_or_changes_what_was_said_concerns_anybody() {
        let mut book = car_t();
        for kind in [
            Kind::ConsentDocumentVersion(pb::ConsentDocumentVersion::default()),
            Kind::ConsentVersionActivated(pb::ConsentVersionActivated::default()),
            Kind::FollowUpPlanVersion(pb::FollowUpPlanVersion::default()),
            Kind::PlanActivated(pb::PlanActivated::default()),
            Kind::ProductRegistered(pb::ProductRegistered::default()),
            Kind::MonitoringDecision(pb::MonitoringDecision::default()),
            Kind::Correction(pb::Correction::default()),
            Kind::PatientSplit(pb::PatientSplit::default()),
        ] {
            let said = add(&mut book, "", kind);
            assert_eq!(Concerned::by(&said), Concerned::All);
        }
        // A lot alone concerns nobody: who received it is told by the administration.
        let kind = Kind::LotRegistered(pb::LotRegistered {
            lot: "L".to_owned(),
            ..Default::default()
        });
        let lot = add(&mut book, "", kind);
        assert_eq!(concerned(&book, &lot), Some(Vec::new()));
    }
}
