//! Patients: who is not registered, or twice; and what happened to somebody to whom it can no longer happen.

use std::{cmp::Reverse, collections::BTreeMap};

use chrono::Months;

use super::{
    Details, Deviation,
    consent::{is_genetic, is_own},
    envelope::least,
};
use crate::{
    pb::{AdministrationStatus, PatientState, VisitMode, WithdrawalScope, record::Kind},
    rules::{catalogue::Catalogue, flags::codes, patient::Patient, question::Seen},
};

/// From how many months of age on a child assents, where no plan says so (R-M2).
const ASSENT_MONTHS: u32 = 96;

/// A record about a patient of whom no registration is seen; `about` is what is seen of the patient.
pub(super) fn unknown(fact: &Seen, about: &[Seen]) -> Option<Deviation> {
    let patient = &fact.record.patient;
    if patient.is_empty() {
        return None;
    }
    let registered = about.iter().any(|one| {
        matches!(one.kind(), Some(Kind::PatientRegistered(_))) && one.record.patient == *patient
    });
    (!registered).then(|| Deviation::new(codes::UNKNOWN_PATIENT, fact, "patient"))
}

/// The registrations of one person under several pseudonyms, but for the first; a merge makes them one.
pub(super) fn registered_twice(facts: &[Seen], of_both: &[Seen]) -> Vec<Deviation> {
    let mut registered: Vec<&Seen> = facts
        .iter()
        .filter(|fact| matches!(fact.kind(), Some(Kind::PatientRegistered(_))))
        .collect();
    registered.sort_by_key(|fact| fact.index);
    let Some((first, later)) = registered.split_first() else {
        return Vec::new();
    };
    let others = later
        .iter()
        .filter(|fact| fact.record.patient != first.record.patient)
        .filter(|fact| !of_both.iter().any(|one| is_about_both(one, fact, first)));
    let field = "patient_registered.identity_commitment";
    others
        .map(|fact| Deviation::new(codes::POSSIBLE_DUPLICATE, fact, field).shown_by(first))
        .collect()
}

/// Whether a record says that two pseudonyms are one person, or that they are two.
fn is_about_both(fact: &Seen, one: &Seen, other: &Seen) -> bool {
    let second = match fact.kind() {
        Some(Kind::PatientMerged(merged)) => &merged.merged_patient,
        Some(Kind::PatientSplit(split)) => &split.split_patient,
        _ => return false,
    };
    let pair = [fact.record.patient.as_str(), second.as_str()];
    pair.contains(&one.record.patient.as_str()) && pair.contains(&other.record.patient.as_str())
}

/// What the facts of a patient raise by their order.
pub(super) fn of(patient: &Patient, catalogue: &Catalogue) -> Vec<Deviation> {
    let mut raised = after_death(patient);
    raised.extend(before_birth(patient, catalogue));
    raised.extend(after_lost(patient));
    raised.extend(after_withdrawal(patient));
    raised.extend(told_twice(
        patient
            .facts
            .iter()
            .filter(|fact| !fact.record.patient.is_empty()),
    ));
    raised
}

/// What happened to a patient after the day of death, and the death that it contradicts.
fn after_death(patient: &Patient) -> Vec<Deviation> {
    let Some(death) = patient.died() else {
        return Vec::new();
    };
    let after = patient
        .facts
        .iter()
        .filter(|fact| death.on < fact.on && needs_life(fact));
    let mut raised = Vec::new();
    let mut death_contradicted =
        Deviation::new(codes::CONTRADICTS_STATUS, death, "patient_status.state");
    for fact in after {
        let details = Details {
            event: Some(fact.on),
            ..Details::default()
        };
        let after = Deviation::new(codes::AFTER_DEATH, fact, "event_time");
        raised.push(after.with(details).shown_by(death));
        death_contradicted = death_contradicted.shown_by(fact);
    }
    if !raised.is_empty() {
        raised.push(death_contradicted);
    }
    raised
}

/// What happened to a patient before the day of birth. That day is on no record; of a child it follows from the
/// day from which on the child assents (R-M2).
fn before_birth(patient: &Patient, catalogue: &Catalogue) -> Vec<Deviation> {
    let born = || {
        let (registered, _) = patient.registered()?;
        // Of several plans, the one by which the birth was the earliest.
        let months = least(catalogue, registered, |plan| {
            plan.assent_months.map(Reverse)
        });
        let months = Months::new(months.map_or(ASSENT_MONTHS, |Reverse(months)| months));
        Some((patient.assent_on()?.checked_sub_months(months)?, registered))
    };
    let Some((born, registered)) = born() else {
        return Vec::new();
    };
    let is_done = |fact: &&Seen| match fact.kind() {
        Some(
            Kind::Administration(_)
            | Kind::SampleCollected(_)
            | Kind::MaterialCollected(_)
            | Kind::FollowUpVisit(_)
            | Kind::FollowUpContact(_),
        ) => needs_life(fact),
        _ => false,
    };
    let before = patient.facts.iter().filter(|fact| fact.on < born);
    before
        .filter(is_done)
        .map(|fact| {
            let details = Details {
                event: Some(fact.on),
                ..Details::default()
            };
            let before = Deviation::new(codes::BEFORE_BIRTH, fact, "event_time");
            before.with(details).shown_by(registered)
        })
        .collect()
}

/// Whether what a record tells can happen to the living only. Documents are read, samples are handled and
/// families are told after a death as well.
fn needs_life(fact: &Seen) -> bool {
    match fact.kind() {
        Some(Kind::Administration(administration)) => {
            administration.status() != AdministrationStatus::NotDone
        }
        Some(Kind::FollowUpVisit(visit)) => {
            visit.reached != Some(false) && visit.mode() != VisitMode::RecordReview
        }
        Some(Kind::FollowUpContact(contact)) => {
            contact.reached != Some(false) && contact.mode() != VisitMode::RecordReview
        }
        Some(Kind::PatientStatus(status)) => matches!(
            status.state(),
            PatientState::Active
                | PatientState::Transferred
                | PatientState::LostToFollowUp
                | PatientState::Found
        ),
        Some(
            Kind::SampleCollected(_)
            | Kind::MaterialCollected(_)
            | Kind::ConsentSigned(_)
            | Kind::ConsentDeclined(_)
            | Kind::ConsentWithdrawn(_)
            | Kind::FollowUpEnrolment(_),
        ) => !fact.record.patient.is_empty(),
        _ => false,
    }
}

/// What happened to a patient who had been given up as lost, and was not found before.
fn after_lost(patient: &Patient) -> Vec<Deviation> {
    let mut raised = Vec::new();
    for fact in patient.facts.iter().filter(|fact| needs_life(fact)) {
        if matches!(fact.kind(), Some(Kind::PatientStatus(_))) {
            continue;
        }
        let lost = patient.lost(fact.on).filter(|lost| lost.on < fact.on);
        if let Some(lost) = lost {
            let after = Deviation::new(codes::AFTER_LOST_TO_FOLLOW_UP, fact, "event_time");
            raised.push(after.shown_by(lost));
        }
    }
    raised
}

/// What was done after the patient had withdrawn from it.
fn after_withdrawal(patient: &Patient) -> Vec<Deviation> {
    let mut raised = Vec::new();
    for fact in &patient.facts {
        for scope in needs_consent_to(fact) {
            let withdrawn = patient.withdrawn(*scope, fact.on);
            if let Some(withdrawn) = withdrawn.filter(|withdrawn| withdrawn.on < fact.on) {
                let after = Deviation::new(codes::AFTER_WITHDRAWAL, fact, "event_time");
                raised.push(after.shown_by(withdrawn));
                break;
            }
        }
    }
    raised
}

/// From which withdrawals on this is no longer done. A visit or a call that was made by other means than a
/// procedure remains allowed to who has withdrawn from procedures alone.
fn needs_consent_to(fact: &Seen) -> &'static [WithdrawalScope] {
    use WithdrawalScope::{
        AllProcedures, Contact, GeneticTesting, InvasiveSampling, RecordFollowup,
    };
    let by_mode = |mode| match mode {
        VisitMode::OnSite | VisitMode::Home => &[AllProcedures, Contact][..],
        VisitMode::RecordReview => &[RecordFollowup],
        VisitMode::Phone
        | VisitMode::Questionnaire
        | VisitMode::Video
        | VisitMode::ExternalHcp
        | VisitMode::Unspecified => &[Contact],
    };
    match fact.kind() {
        Some(Kind::Administration(administration))
            if administration.status() != AdministrationStatus::NotDone =>
        {
            &[AllProcedures]
        }
        Some(Kind::SampleCollected(sample)) if sample.purposes().any(is_genetic) => {
            &[AllProcedures, InvasiveSampling, GeneticTesting]
        }
        Some(Kind::SampleCollected(_)) => &[AllProcedures, InvasiveSampling],
        Some(Kind::MaterialCollected(collected)) if is_own(fact, collected) => {
            &[AllProcedures, InvasiveSampling]
        }
        Some(Kind::FollowUpVisit(visit)) if visit.reached != Some(false) => by_mode(visit.mode()),
        Some(Kind::FollowUpContact(contact)) if contact.reached != Some(false) => {
            by_mode(contact.mode())
        }
        _ => &[],
    }
}

/// What was recorded twice under different ids: the same of the same moment.
pub(super) fn told_twice<'a>(facts: impl Iterator<Item = &'a Seen>) -> Vec<Deviation> {
    let mut facts: Vec<&Seen> = facts.collect();
    facts.sort_by_key(|fact| fact.index);
    let mut told: BTreeMap<(&str, &str), Vec<&Seen>> = BTreeMap::new();
    let mut raised = Vec::new();
    for fact in facts {
        let key = (
            fact.record.patient.as_str(),
            fact.record.event_time.as_str(),
        );
        let before = told.entry(key).or_default();
        if let Some(twin) = before
            .iter()
            .find(|one| one.record.kind == fact.record.kind)
        {
            let twice = Deviation::new(codes::SUSPECTED_DUPLICATE, fact, "record_id");
            raised.push(twice.shown_by(twin));
        } else {
            before.push(fact);
        }
    }
    raised
}
