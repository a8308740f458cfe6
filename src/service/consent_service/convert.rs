//! From the answers of the rules to messages. Nothing is decided here.

use crate::{
    pb,
    rules::{
        consent::{
            requirements::{Kind, List, Requirement, State},
            signatures::{Set, Signature},
        },
        patient::Patient,
        question::Seen,
    },
    service::why::evidence,
};

pub(super) fn row(patient: &Patient, requirement: Requirement) -> pb::ReconsentRow {
    let Requirement {
        list: which,
        kind: cause,
        version,
        last_valid,
        deadline,
        state,
        is_unreachable,
        why: reason,
    } = requirement;
    let days = match state {
        State::Overdue(days) => u32::try_from(days).unwrap_or(u32::MAX),
        State::Due | State::NoDeadline => 0,
    };
    let text = text(which, cause, &version.version);
    pb::ReconsentRow {
        patient: patient.id.clone(),
        site: patient.site(patient.as_of).to_owned(),
        list: list(which).into(),
        kind: kind(cause).into(),
        required: Some(version),
        last_valid_version: last_valid,
        deadline: deadline.map(|day| day.to_string()).unwrap_or_default(),
        state: deadline_state(state).into(),
        days_overdue: days,
        unreachable: is_unreachable,
        why: Some(pb::Why {
            text,
            ..reason.into()
        }),
    }
}

pub(super) const fn list(list: List) -> pb::ReconsentList {
    match list {
        List::Needs => pb::ReconsentList::Needs,
        List::Notify => pb::ReconsentList::Notify,
        List::Recontact => pb::ReconsentList::Recontact,
        List::Declined => pb::ReconsentList::Declined,
    }
}

pub(super) const fn kind(kind: Kind) -> pb::ReconsentKind {
    match kind {
        Kind::NewVersion => pb::ReconsentKind::NewVersion,
        Kind::Cohort => pb::ReconsentKind::Cohort,
        Kind::AgeOfMajority => pb::ReconsentKind::AgeOfMajority,
        Kind::Assent => pb::ReconsentKind::Assent,
        Kind::InvalidSignature => pb::ReconsentKind::InvalidSignature,
        Kind::LarChange => pb::ReconsentKind::LarChange,
        Kind::LanguageChange => pb::ReconsentKind::LanguageChange,
        Kind::ConsentExpired => pb::ReconsentKind::ConsentExpired,
        Kind::SiteTransfer => pb::ReconsentKind::SiteTransfer,
    }
}

pub(super) const fn deadline_state(state: State) -> pb::DeadlineState {
    match state {
        State::Due => pb::DeadlineState::Due,
        State::Overdue(_) => pb::DeadlineState::Overdue,
        State::NoDeadline => pb::DeadlineState::NoDeadline,
    }
}

/// The reason in words.
fn text(list: List, kind: Kind, version: &str) -> String {
    let cause = match kind {
        Kind::NewVersion => format!("version {version} asks everybody in its scope to sign again"),
        Kind::Cohort => {
            format!("version {version} asks those whose lot descends from a named one")
        }
        Kind::AgeOfMajority => "the patient has come of age and decides alone".to_owned(),
        Kind::Assent => "the patient has reached the age of assent".to_owned(),
        Kind::InvalidSignature => "no signature so far is valid".to_owned(),
        Kind::LarChange => "another represents the patient now than the one who signed".to_owned(),
        Kind::LanguageChange => {
            format!("version {version} was signed in a language that it does not have")
        }
        Kind::ConsentExpired => "the version that was signed is no longer in force".to_owned(),
        Kind::SiteTransfer => {
            "the site that follows the patient now has none of the versions signed".to_owned()
        }
    };
    match list {
        List::Needs => cause,
        List::Notify => format!("{cause}; withdrawn from procedures, so to be told only"),
        List::Recontact => format!("{cause}; follow-up was over before it was signed"),
        List::Declined => format!("{cause}; declined"),
    }
}

pub(super) fn signed(signature: &Signature) -> pb::ConsentStep {
    let codes = signature.faults.iter().map(|fault| fault.code().to_owned());
    pb::ConsentStep {
        version: Some(signature.version.clone()),
        signatory: signature.signatory.into(),
        valid: signature.faults.is_empty(),
        faults: codes.collect(),
        ..step(pb::ConsentStepKind::Signed, &signature.said)
    }
}

pub(super) fn step(kind: pb::ConsentStepKind, said: &Seen) -> pb::ConsentStep {
    pb::ConsentStep {
        kind: kind.into(),
        on: said.on.to_string(),
        evidence: Some(evidence(said)),
        ..pb::ConsentStep::default()
    }
}

pub(super) fn in_force(set: &Set) -> pb::ConsentInForce {
    pb::ConsentInForce {
        version: Some(set.version.clone()),
        on: set.on.to_string(),
        evidence: set.said.iter().map(|said| evidence(said)).collect(),
    }
}
