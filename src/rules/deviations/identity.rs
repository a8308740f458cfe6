//! Chains of identity: whether what was given was made for whom it was given to, and whether somebody looked.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Details, Deviation,
    lots::{Lots, is_one_patients, lot_id},
};
use crate::{
    pb::{self, CoiResult, CoiStep, record::Kind},
    rules::{dossier::Dossier, flags::codes, patient::Patient, question::Seen},
};

/// What the administrations to a patient raise, given everything around them.
pub(super) fn given(dossier: &Dossier, patient: &Patient, around: &[Seen]) -> Vec<Deviation> {
    let lots = Lots::of(around);
    let own = pseudonyms(dossier, patient);
    let mut of_others: BTreeMap<&str, &Seen> = BTreeMap::new();
    for (one, (coi, _)) in around
        .iter()
        .filter_map(|one| Some((one, binding(one)?)))
        .filter(|(_, (_, patient))| !own.contains(patient))
    {
        of_others.entry(coi).or_insert(one);
    }
    let by_id: BTreeMap<&str, &Seen> = around
        .iter()
        .map(|one| (one.record.record_id.as_str(), one))
        .collect();
    let mut raised = Vec::new();
    for (fact, administration) in patient.given() {
        if let Some(mismatch) = mismatch(fact, administration, &own, &lots, &of_others) {
            raised.push(mismatch);
        }
        raised.extend(unverified(fact, administration, &lots, &by_id));
    }
    raised
}

/// Every pseudonym that is this patient's.
fn pseudonyms<'a>(dossier: &'a Dossier, patient: &'a Patient) -> BTreeSet<&'a str> {
    let merged = patient.of_kind(pick!(PatientMerged));
    let given_up = merged.map(|(_, merged)| merged.merged_patient.as_str());
    given_up
        .chain([dossier.patient.as_str(), patient.id.as_str()])
        .collect()
}

/// Whether the lot, or the chain of identity on it, is another patient's, or not the lot's. `of_others` has the
/// first fact that binds a chain to another patient.
fn mismatch(
    fact: &Seen,
    administration: &pb::Administration,
    own: &BTreeSet<&str>,
    lots: &Lots<'_>,
    of_others: &BTreeMap<&str, &Seen>,
) -> Option<Deviation> {
    let lot = lot_id(administration.lot.as_ref());
    let registered = lot.as_ref().and_then(|lot| lots.registered(lot));
    let coi = [
        administration.coi.as_str(),
        registered.map_or("", |(_, lot)| &lot.coi),
    ];
    let raise = |field, by: &Seen| {
        let mismatch = Deviation::new(codes::COI_MISMATCH_CRITICAL, fact, field);
        let mismatch = match &lot {
            Some(lot) => mismatch.of_lot(lot),
            None => mismatch,
        };
        let coi = coi.into_iter().find(|coi| !coi.is_empty());
        mismatch.of_coi(coi.unwrap_or_default()).shown_by(by)
    };
    if let Some((by, registered)) = registered {
        let for_other = !registered.intended_patient.is_empty()
            && !own.contains(registered.intended_patient.as_str());
        if for_other {
            return Some(raise("administration.lot", by));
        }
        let [given, made] = coi;
        if !given.is_empty() && !made.is_empty() && given != made {
            return Some(raise("administration.coi", by));
        }
    }
    let bound = coi.into_iter().filter_map(|coi| of_others.get(coi));
    // Of both chains' first, the one that was first.
    let first = bound.min_by_key(|by| by.moment());
    first.map(|by| raise("administration.coi", by))
}

/// The chain of identity and the patient that a fact binds to each other.
fn binding(fact: &Seen) -> Option<(&str, &str)> {
    let (coi, patient) = match fact.kind() {
        Some(Kind::CoiAssigned(assigned)) => (assigned.coi.as_str(), fact.record.patient.as_str()),
        Some(Kind::MaterialCollected(collected)) => {
            (collected.coi.as_str(), fact.record.patient.as_str())
        }
        Some(Kind::LotRegistered(lot)) => (lot.coi.as_str(), lot.intended_patient.as_str()),
        _ => return None,
    };
    (!coi.is_empty() && !patient.is_empty()).then_some((coi, patient))
}

/// An administration of one patient's product whose verification is not named, or does not show that it was
/// verified at the bedside.
fn unverified(
    fact: &Seen,
    administration: &pb::Administration,
    lots: &Lots<'_>,
    by_id: &BTreeMap<&str, &Seen>,
) -> Option<Deviation> {
    let field = "administration.coi_verification";
    let lot = lot_id(administration.lot.as_ref())?;
    let (_, registered) = lots.registered(&lot)?;
    let raise = |rule| {
        Deviation::new(rule, fact, field)
            .of_lot(&lot)
            .of_coi(&registered.coi)
    };
    let named = &administration.coi_verification;
    if named.is_empty() {
        // Where the administration names its chain, it is flagged for this by itself.
        let missing = administration.coi.is_empty() && is_one_patients(registered);
        return missing.then(|| raise(codes::COI_VERIFICATION_MISSING));
    }
    let by = by_id.get(named.as_str())?;
    let Some(Kind::CoiVerification(verification)) = by.kind() else {
        return Some(raise(codes::COI_VERIFICATION_UNFIT).shown_by(by));
    };
    let scanned = verification.person_id.as_ref().map(|id| id.value.clone());
    let details = Details {
        scanned: scanned.unwrap_or_default(),
        ..Details::default()
    };
    let of_other_lot = lot_id(verification.lot.as_ref()).is_some_and(|other| other != lot);
    let of_other_coi = !registered.coi.is_empty() && verification.coi != registered.coi;
    let rule = match verification.result() {
        CoiResult::Mismatch => codes::COI_MISMATCH_CRITICAL,
        CoiResult::Match
            if verification.step() == CoiStep::Bedside && !of_other_lot && !of_other_coi =>
        {
            return None;
        }
        CoiResult::Match | CoiResult::Unreadable | CoiResult::Unspecified => {
            codes::COI_VERIFICATION_UNFIT
        }
    };
    Some(raise(rule).with(details).shown_by(by))
}

/// What binds a chain of identity to another patient than the first that it was bound to.
pub(super) fn of_two_patients(coi: &str, facts: &[Seen]) -> Vec<Deviation> {
    let mut bound: Vec<(&Seen, &str)> = facts
        .iter()
        .filter_map(|fact| Some((fact, binding(fact)?)))
        .filter(|(_, (of, _))| *of == coi)
        .map(|(fact, (_, patient))| (fact, patient))
        .collect();
    bound.sort_by_key(|(fact, _)| fact.index);
    let Some(((first, patient), later)) = bound.split_first() else {
        return Vec::new();
    };
    let others = later.iter().filter(|(_, other)| other != patient);
    others
        .map(|(fact, other)| {
            let field = match fact.kind() {
                Some(Kind::LotRegistered(_)) => "lot_registered.coi",
                Some(Kind::MaterialCollected(_)) => "material_collected.coi",
                _ => "coi_assigned.coi",
            };
            let mut two = Deviation::new(codes::COI_OF_TWO_PATIENTS, fact, field).of_coi(coi);
            (*other).clone_into(&mut two.about.patient);
            two.shown_by(first)
        })
        .collect()
}
