//! Whose records they are, as merges and splits have it, and what has become of the patients. Each patient is
//! looked up once.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use crate::{
    pb::{PatientState, WithdrawalScope},
    rules::{
        dossier::Dossier,
        fact::Facts,
        patient::Patient,
        question::{Question, Seen},
    },
};

/// What has become of a patient on the day that is asked about. Of several that hold, the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Died.
    Deceased,
    /// Cannot be reached.
    LostToFollowUp,
    /// Has withdrawn from all procedures.
    Withdrawn,
    /// Follow-up has come to its end.
    Completed,
    /// Is followed.
    Active,
}

/// The patients of an answer.
#[derive(Debug)]
pub struct People<'a, F> {
    facts: &'a F,
    question: &'a Question,
    dossiers: BTreeMap<String, Dossier>,
    patients: BTreeMap<String, Arc<Patient>>,
}

impl<'a, F: Facts> People<'a, F> {
    /// Nobody so far.
    pub fn new(facts: &'a F, question: &'a Question) -> Self {
        Self {
            facts,
            question,
            dossiers: BTreeMap::new(),
            patients: BTreeMap::new(),
        }
    }

    /// The pseudonym, as the question knows it, of the patient that a fact is about; empty if it names nobody.
    pub fn whose(&mut self, fact: &Seen) -> Result<String, F::Error> {
        if fact.record.patient.is_empty() {
            return Ok(String::new());
        }
        let question = self.question;
        let dossier = self.dossier(&fact.record.patient)?;
        Ok(dossier.whose(fact, question))
    }

    /// What a pseudonym has become, as the question knows.
    pub fn known_as(&mut self, pseudonym: &str) -> Result<String, F::Error> {
        let question = self.question;
        Ok(self.dossier(pseudonym)?.known_as_of(pseudonym, question))
    }

    /// The patient of a pseudonym.
    pub fn patient(&mut self, pseudonym: &str) -> Result<Arc<Patient>, F::Error> {
        if let Some(known) = self.patients.get(pseudonym) {
            return Ok(Arc::clone(known));
        }
        let question = self.question;
        let patient = Arc::new(Patient::of(self.dossier(pseudonym)?, question));
        self.patients
            .insert(pseudonym.to_owned(), Arc::clone(&patient));
        Ok(patient)
    }

    fn dossier(&mut self, pseudonym: &str) -> Result<&Dossier, F::Error> {
        Ok(match self.dossiers.entry(pseudonym.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Dossier::of_person(self.facts, pseudonym)?),
        })
    }
}

/// What has become of a patient, with what says so.
pub fn standing(patient: &Patient) -> (Standing, Option<&Seen>) {
    let on = patient.as_of;
    if let Some(death) = patient.died() {
        return (Standing::Deceased, Some(death));
    }
    if let Some(lost) = patient.lost(on) {
        return (Standing::LostToFollowUp, Some(lost));
    }
    if let Some(withdrawal) = patient.withdrawn(WithdrawalScope::AllProcedures, on) {
        return (Standing::Withdrawn, Some(withdrawal));
    }
    let newest = patient.statuses().last();
    let completed = newest.filter(|(_, status)| status.state() == PatientState::Completed);
    match completed {
        Some((fact, _)) => (Standing::Completed, Some(fact)),
        None => (Standing::Active, None),
    }
}
