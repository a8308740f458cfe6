//! Back from a patient: what was given, everything it was made from, and what was made for the patient and given
//! to nobody (R-L1).

use std::collections::BTreeSet;

use super::{
    about,
    forward::{
        StockRow, TracedAdministration, TracedMaterial, administered, donation, stock_rows, traced,
    },
    graph::{Reached, Way, walk},
    lot::Lot,
    people::{People, Standing, standing},
};
use crate::{
    pb::record::Kind,
    rules::{
        fact::{Facts, LotId, Material, Subject},
        patient::Patient,
        question::Question,
    },
};

/// What a patient received, and where it came from.
#[derive(Debug, Clone)]
pub struct PatientTrace {
    /// The patient, as known to the question.
    pub patient: String,
    /// What has become of the patient.
    pub standing: Standing,
    /// The chains of identity of the patient's therapies, in order.
    pub cois: Vec<String>,
    /// What the patient received, in the order of the day.
    pub administrations: Vec<TracedAdministration>,
    /// Where lots are that were made for the patient and given to nobody.
    pub never_administered: Vec<StockRow>,
    /// What the given lots were made from, the nearest first: the given lots themselves are not among them.
    pub ancestors: Vec<Reached>,
}

/// Traces what a patient received. None if nothing is known of the patient.
pub fn trace_patient<F: Facts>(
    facts: &F,
    question: &Question,
    pseudonym: &str,
) -> Result<Option<PatientTrace>, F::Error> {
    let mut people = People::new(facts, question);
    let patient = people.patient(pseudonym)?;
    if patient.facts.is_empty() {
        return Ok(None);
    }
    let mut administrations = Vec::new();
    let mut given = BTreeSet::new();
    for (fact, administration) in patient.given() {
        let Some(key) = &administration.lot else {
            continue;
        };
        let lot = LotId::from(key);
        administrations.push(administered(&mut people, &lot, fact, administration)?);
        given.insert(lot);
    }
    let cois = cois(&mut people, &patient)?;
    let mut never_administered = Vec::new();
    for id in made_for(facts, question, &mut people, &patient, &cois)? {
        let lot = Lot::of(facts, question, &id)?;
        if lot.is_unadministered() {
            never_administered.extend(stock_rows(&lot, &lot.stock()));
        }
    }
    let mut ancestors = walk(
        facts,
        question,
        given.into_iter().map(Material::Lot),
        Way::Ancestors,
    )?;
    ancestors.retain(|reached| reached.depth != 0);
    Ok(Some(PatientTrace {
        standing: standing(&patient).0,
        patient: patient.id.clone(),
        cois: cois.into_iter().collect(),
        administrations,
        never_administered,
        ancestors,
    }))
}

/// What the lots and donations that a walk came to are.
pub fn materials<F: Facts>(
    facts: &F,
    question: &Question,
    reached: &[Reached],
) -> Result<Vec<TracedMaterial>, F::Error> {
    let what = |reached: &Reached| match &reached.material {
        Material::Donation(_) => donation(facts, question, reached),
        Material::Lot(id) => {
            let lot = Lot::of(facts, question, id)?;
            Ok(traced(&lot, &lot.stock(), reached))
        }
    };
    reached.iter().map(what).collect()
}

/// The chains of identity that the patient's records name.
fn cois<F: Facts>(
    people: &mut People<'_, F>,
    patient: &Patient,
) -> Result<BTreeSet<String>, F::Error> {
    let mut cois = BTreeSet::new();
    for fact in &patient.facts {
        let coi = match fact.kind() {
            // A collection from somebody else for another patient is among a donor's facts.
            Some(Kind::MaterialCollected(collected)) if fact.record.patient.is_empty() => {
                if people.known_as(&collected.donor)? != patient.id {
                    continue;
                }
                &collected.coi
            }
            Some(Kind::LotRegistered(lot)) => {
                if people.known_as(&lot.intended_patient)? != patient.id {
                    continue;
                }
                &lot.coi
            }
            Some(Kind::MaterialCollected(collected)) => &collected.coi,
            Some(Kind::CoiAssigned(assigned)) => &assigned.coi,
            Some(Kind::Administration(administration)) => &administration.coi,
            _ => continue,
        };
        if !coi.is_empty() {
            cois.insert(coi.clone());
        }
    }
    Ok(cois)
}

/// The lots that were made for the patient: by name, or by chain of identity.
fn made_for<F: Facts>(
    facts: &F,
    question: &Question,
    people: &mut People<'_, F>,
    patient: &Patient,
    cois: &BTreeSet<String>,
) -> Result<BTreeSet<LotId>, F::Error> {
    let mut lots = BTreeSet::new();
    for (_, lot) in patient.of_kind(pick!(LotRegistered)) {
        if people.known_as(&lot.intended_patient)? == patient.id {
            lots.insert(LotId::from(lot));
        }
    }
    for coi in cois {
        for fact in about(facts, question, &Subject::Coi(coi.clone()))? {
            if let Some(Kind::LotRegistered(lot)) = fact.kind() {
                let is_anothers = !lot.intended_patient.is_empty()
                    && people.known_as(&lot.intended_patient)? != patient.id;
                if !is_anothers {
                    lots.insert(LotId::from(lot));
                }
            }
        }
    }
    Ok(lots)
}
