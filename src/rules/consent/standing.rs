//! A patient as far as it takes to say which consent is asked for: how the patient stands, and everything else only
//! where that does not do. A list that goes through many patients reads a third of what there is about them.

use crate::{
    pb::{CohortScope, reconsent_due::Due, record::Kind},
    rules::{
        catalogue::Catalogue, consent::signatures::Signatures, dossier::Dossier, fact::Facts,
        follow_up::period::Period, patient::Patient, question::Question,
    },
};

/// A patient with what was signed and how long the follow-up is.
#[derive(Debug)]
pub struct Standing {
    /// The patient; perhaps without what was seen of the patient since treatment.
    pub patient: Patient,
    /// What was signed and declined.
    pub signatures: Signatures,
    /// How long the patient is followed.
    pub period: Period,
}

impl Standing {
    /// The standing of a patient, as the question sees it.
    pub fn of<F: Facts>(
        facts: &F,
        patient: &str,
        catalogue: &Catalogue,
        question: &Question,
    ) -> Result<Self, F::Error> {
        if !waits_for_a_visit(catalogue) {
            let dossier = Dossier::of_standing(facts, patient, names_lots(catalogue))?;
            let standing = Self::in_dossier(&dossier, catalogue, question);
            if !standing.period.rests_on_results {
                return Ok(standing);
            }
        }
        let dossier = Dossier::of_patient(facts, patient)?;
        Ok(Self::in_dossier(&dossier, catalogue, question))
    }

    /// The standing of the patient of a dossier with everything in it.
    pub fn in_dossier(dossier: &Dossier, catalogue: &Catalogue, question: &Question) -> Self {
        let patient = Patient::of(dossier, question);
        let signatures = Signatures::of(&patient, catalogue);
        let period = Period::of(&patient, catalogue, &signatures, patient.as_of);
        Self {
            patient,
            signatures,
            period,
        }
    }
}

/// Whether a version is to be signed by the next visit (R-K4): visits tell when that was.
fn waits_for_a_visit(catalogue: &Catalogue) -> bool {
    let mut versions = catalogue.families.values().flatten();
    versions.any(|version| {
        let due = version.document().reconsent_due.as_ref();
        let due = due.and_then(|due| due.due.as_ref());
        matches!(due, Some(Due::NextVisit(_)))
    })
}

/// Whether anything is for those whose lot descends from a named one (R-K5): lots tell who they are.
fn names_lots(catalogue: &Catalogue) -> bool {
    let documents = catalogue.families.values().flatten();
    let documents = documents.map(|version| version.document().scope.as_ref());
    let plans = catalogue.plans.values().flatten();
    let plans = plans.map(|version| version.plan.scope.as_ref());
    let decisions = catalogue.others.iter().map(|fact| match fact.kind() {
        Some(Kind::MonitoringDecision(decision)) => decision.scope.as_ref(),
        _ => None,
    });
    let mut scopes = documents.chain(plans).chain(decisions).flatten();
    scopes.any(|scope: &CohortScope| !scope.descendants_of.is_empty())
}
