//! Chains of identity: whether what was given was made for whom it was given to, and whether somebody looked.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    By, Details, Deviation,
    lots::{Lots, is_one_patients, lot_id, product_then},
};
use crate::{
    pb::{
        self, AdministrationStatus, CoiResult, CoiStep, IdentifierQuality, IdentifierSystem,
        LotRole, record::Kind,
    },
    rules::{
        catalogue::Catalogue,
        dossier::Dossier,
        fact::{Facts, LotId, Records, Subject, subjects},
        flags::{codes, contradicts_itself},
        patient::Patient,
        question::{Question, Seen, seen},
    },
};

/// What the administrations to a patient raise, given everything around them.
pub(super) fn given(
    dossier: &Dossier,
    patient: &Patient,
    around: &[Seen],
    catalogue: &Catalogue,
    by: By<'_>,
) -> Vec<Deviation> {
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
    let mut raised = Vec::new();
    for (fact, administration) in patient.given().filter(|(fact, _)| by.is(fact)) {
        if let Some(mismatch) = mismatch(fact, administration, &own, &lots, &of_others) {
            raised.push(mismatch);
        }
        raised.extend(unverified(fact, administration, &lots, catalogue));
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
    let (coi, patient) = named(fact);
    (!coi.is_empty() && !patient.is_empty()).then_some((coi, patient))
}

/// The chain of identity and the patient whose something is; empty where that is not said.
fn named(fact: &Seen) -> (&str, &str) {
    match fact.kind() {
        Some(Kind::CoiAssigned(assigned)) => (assigned.coi.as_str(), fact.record.patient.as_str()),
        Some(Kind::MaterialCollected(collected)) => {
            (collected.coi.as_str(), fact.record.patient.as_str())
        }
        Some(Kind::LotRegistered(lot)) => (lot.coi.as_str(), lot.intended_patient.as_str()),
        _ => ("", ""),
    }
}

/// An administration of one patient's product whose verification is not named. Of which product a lot is, and whether
/// that is one patient's, may be known though the lot is not.
fn unverified(
    fact: &Seen,
    administration: &pb::Administration,
    lots: &Lots<'_>,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    // Where the administration names its chain, it is flagged for this by itself.
    if !administration.coi.is_empty() || !administration.coi_verification.is_empty() {
        return None;
    }
    let lot = lot_id(administration.lot.as_ref())?;
    let registered = lots.registered(&lot).map(|(_, registered)| registered);
    let product = product_then(fact, administration, catalogue);
    let is_product = registered.is_none_or(|lot| lot.role() == LotRole::DrugProduct);
    let autologous = product.is_some_and(|one| one.product.autologous == Some(true));
    let of_one = registered.is_some_and(is_one_patients) || is_product && autologous;
    if !of_one {
        return None;
    }
    let field = "administration.coi_verification";
    let missing = Deviation::new(codes::COI_VERIFICATION_MISSING, fact, field).of_lot(&lot);
    Some(missing.of_coi(registered.map_or("", |registered| &registered.coi)))
}

/// What a verification raises that what else is known contradicts; and what an administration raises whose verification
/// does not show that product and patient were compared at the bedside and matched. Both name other records, which may
/// be another patient's, and so are looked at one by one.
pub(super) fn verified<F: Records>(
    facts: &F,
    fact: &Seen,
    question: &Question,
) -> Result<Option<Deviation>, F::Error> {
    match fact.kind() {
        Some(Kind::CoiVerification(verification)) => {
            let found = contradiction(facts, fact, verification, None, question)?;
            Ok(found.map(|(field, by)| {
                let rule = codes::COI_RESULT_CONTRADICTED;
                let raised = Deviation::new(rule, fact, field).of_coi(&verification.coi);
                let raised = raised.with(scanned(verification));
                let raised = match lot_id(verification.lot.as_ref()) {
                    Some(lot) => raised.of_lot(&lot),
                    None => raised,
                };
                by.iter().fold(raised, Deviation::shown_by)
            }))
        }
        Some(Kind::Administration(administration))
            if administration.status() != AdministrationStatus::NotDone =>
        {
            unfit(facts, fact, administration, question)
        }
        _ => Ok(None),
    }
}

/// An administration whose verification is another's, was taken back, or shows no match at the bedside.
fn unfit<F: Records>(
    facts: &F,
    fact: &Seen,
    administration: &pb::Administration,
    question: &Question,
) -> Result<Option<Deviation>, F::Error> {
    let Some(named) = facts.record(&administration.coi_verification)? else {
        return Ok(None);
    };
    let Some(lot) = lot_id(administration.lot.as_ref()).filter(|_| question.knows(&named)) else {
        return Ok(None);
    };
    let about = seen(&facts.about(&Subject::Lot(lot.clone()))?, question);
    let lots = Lots::of(&about);
    let registered = lots.registered(&lot).map(|(_, registered)| registered);
    let coi = [
        registered.map_or("", |registered| &registered.coi),
        administration.coi.as_str(),
    ];
    let coi = coi.into_iter().find(|coi| !coi.is_empty());
    let raise = |rule| {
        let raised = Deviation::new(rule, fact, "administration.coi_verification");
        raised.of_lot(&lot).of_coi(coi.unwrap_or_default())
    };
    let unfit = raise(codes::COI_VERIFICATION_UNFIT);
    let by = match subjects(&named.record).into_iter().next() {
        Some(subject) => seen(&facts.about(&subject)?, question),
        None => Vec::new(),
    };
    let Some(by) = by.iter().find(|one| one.index == named.index) else {
        return Ok(Some(unfit));
    };
    let Some(Kind::CoiVerification(verification)) = by.kind() else {
        return Ok(Some(unfit.shown_by(by)));
    };
    let of_other_lot = lot_id(verification.lot.as_ref()).is_some_and(|other| other != lot);
    let of_other_coi = coi.is_some_and(|coi| verification.coi != coi);
    let rule = match verification.result() {
        CoiResult::Mismatch => codes::COI_MISMATCH_CRITICAL,
        CoiResult::Match
            if verification.step() == CoiStep::Bedside && !of_other_lot && !of_other_coi =>
        {
            let fits = !contradicts_itself(verification)
                && contradiction(facts, by, verification, Some(fact), question)?.is_none();
            if fits {
                return Ok(None);
            }
            codes::COI_VERIFICATION_UNFIT
        }
        CoiResult::Match | CoiResult::Unreadable | CoiResult::Unspecified => {
            codes::COI_VERIFICATION_UNFIT
        }
    };
    Ok(Some(raise(rule).with(scanned(verification)).shown_by(by)))
}

fn scanned(verification: &pb::CoiVerification) -> Details {
    let scanned = verification.person_id.as_ref().map(|id| id.value.clone());
    Details {
        scanned: scanned.unwrap_or_default(),
        ..Details::default()
    }
}

/// What contradicts a match, and in which field: the lot is of another chain of identity; or the chain, the lot, what
/// was read, the envelope and the administration, where one is looked at, are not all of one person. What the
/// identifiers contradict by themselves is not looked at here.
fn contradiction<F: Facts>(
    facts: &F,
    fact: &Seen,
    verification: &pb::CoiVerification,
    given: Option<&Seen>,
    question: &Question,
) -> Result<Option<(&'static str, Option<Seen>)>, F::Error> {
    if verification.result() != CoiResult::Match {
        return Ok(None);
    }
    let coi = verification.coi.as_str();
    let mut around = facts.about(&Subject::Coi(coi.to_owned()))?;
    let lot = lot_id(verification.lot.as_ref());
    if let Some(lot) = &lot {
        around.extend(facts.about(&Subject::Lot(lot.clone()))?);
        around.sort_by_key(|fact| fact.index);
        around.dedup_by_key(|fact| fact.index);
    }
    let mut persons: Vec<(&'static str, String, Option<Seen>)> = Vec::new();
    for one in seen(&around, question) {
        let (of_coi, patient) = named(&one);
        let is_lots = lot.as_ref().is_some_and(|lot| is_of_lot(&one, lot));
        if is_lots && !of_coi.is_empty() && of_coi != coi {
            return Ok(Some(("coi_verification.lot", Some(one))));
        }
        if !patient.is_empty() && (is_lots || of_coi == coi) {
            persons.push(("coi_verification.coi", patient.to_owned(), Some(one)));
        }
    }
    persons.push(("patient", Dossier::owner(facts, fact, question)?, None));
    let read = [
        ("coi_verification.label_id", &verification.label_id),
        ("coi_verification.person_id", &verification.person_id),
    ];
    for (field, identifier) in read {
        if let Some(one) = identifier
            && one.system() == IdentifierSystem::Pseudonym
            && one.quality() != IdentifierQuality::Unreadable
        {
            persons.push((field, one.value.clone(), None));
        }
    }
    if let Some(given) = given {
        persons.push(("patient", Dossier::owner(facts, given, question)?, None));
    }
    let mut first: Option<(String, Option<Seen>)> = None;
    for (field, patient, by) in persons.into_iter().filter(|(_, one, _)| !one.is_empty()) {
        let person = Dossier::person(facts, &patient, question)?;
        match &first {
            None => first = Some((person, by)),
            Some((owner, _)) if *owner == person => {}
            Some((_, said)) => return Ok(Some((field, by.or_else(|| said.clone())))),
        }
    }
    Ok(None)
}

/// Whether a record says of which chain or patient a lot is.
fn is_of_lot(fact: &Seen, lot: &LotId) -> bool {
    match fact.kind() {
        Some(Kind::LotRegistered(registered)) => LotId::from(registered) == *lot,
        Some(Kind::CoiAssigned(assigned)) => {
            assigned.lots.iter().any(|one| LotId::from(one) == *lot)
        }
        _ => false,
    }
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
