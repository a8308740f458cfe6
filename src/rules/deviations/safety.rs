//! Adverse events: of whom nothing was given yet, and whose assessment or coding came late or never; and of which
//! signals patients are told.

use std::collections::BTreeSet;

use super::{
    By, Details, Deviation,
    catalogue::is_unknown_signal,
    envelope::{civil_day, days_after, late_recording_days, least},
};
use crate::{
    pb,
    rules::{catalogue::Catalogue, flags::codes, patient::Patient, question::Seen},
};

/// What the adverse events of a patient raise.
pub(super) fn of(patient: &Patient, catalogue: &Catalogue, by: By<'_>) -> Vec<Deviation> {
    let mut raised = Vec::new();
    let events = patient.of_kind(pick!(AdverseEvent));
    for (fact, event) in events.filter(|(fact, _)| by.is(fact)) {
        raised.extend(before_administration(fact, event, patient));
        raised.extend(reported_late(fact, event, catalogue));
        raised.extend(unassessed(fact, event, patient, catalogue));
        raised.extend(uncoded(fact, event, patient, catalogue));
    }
    for (fact, notification) in patient.of_kind(pick!(RiskNotification)) {
        let cause = notification.trigger.as_ref();
        let cause = cause.and_then(|trigger| trigger.cause.as_ref());
        if is_unknown_signal(cause, catalogue) {
            let field = "risk_notification.trigger.signal_id";
            raised.push(Deviation::new(codes::UNKNOWN_SIGNAL, fact, field));
        }
    }
    let cases = patient.of_kind(pick!(AdverseEvent));
    let cases: BTreeSet<&str> = cases.map(|(_, event)| event.case_id.as_str()).collect();
    for (fact, assessment) in patient.of_kind(pick!(CausalityAssessment)) {
        if !cases.contains(assessment.case_id.as_str()) {
            let field = "causality_assessment.case_id";
            raised.push(Deviation::new(codes::UNKNOWN_CASE, fact, field));
        }
    }
    raised
}

fn before_administration(
    fact: &Seen,
    event: &pb::AdverseEvent,
    patient: &Patient,
) -> Option<Deviation> {
    let (given, _) = patient.given().next()?;
    let own = event.subject_kind() == pb::SubjectKind::Patient;
    let before = Deviation::new(codes::ONSET_BEFORE_ADMINISTRATION, fact, "event_time");
    let details = Details {
        administered: Some(given.on),
        event: Some(fact.on),
        ..Details::default()
    };
    (own && fact.on < given.on).then(|| before.with(details).shown_by(given))
}

/// An event that was recorded long after it became known.
fn reported_late(
    fact: &Seen,
    event: &pb::AdverseEvent,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    let known = aware_on(fact, event);
    let due = days_after(known, late_recording_days(fact, catalogue))?;
    let recorded = civil_day(fact, fact.recorded_at);
    let details = Details {
        event: Some(known),
        recorded: Some(recorded),
        days: Some(recorded.signed_duration_since(known).num_days()),
        ..Details::default()
    };
    let late = Deviation::new(codes::EVENT_REPORTED_LATE, fact, "adverse_event.aware_at");
    (due < recorded).then(|| late.with(details))
}

/// A serious event that nobody had assessed in the days of the plan; one assessed late stays flagged.
fn unassessed(
    fact: &Seen,
    event: &pb::AdverseEvent,
    patient: &Patient,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    if event.serious.is_empty() {
        return None;
    }
    let days = least(catalogue, fact, |plan| plan.assessment_days)?;
    let deadline = days_after(aware_on(fact, event), days)?;
    let assessments = patient.of_kind(pick!(CausalityAssessment));
    let first = assessments
        .filter(|(_, assessment)| assessment.case_id == event.case_id)
        .map(|(by, _)| by.on)
        .min();
    let late = first.map_or(deadline < patient.as_of, |first| deadline < first);
    let details = Details {
        deadline: Some(deadline),
        actual: first,
        days: first.map(|first| first.signed_duration_since(deadline).num_days()),
        ..Details::default()
    };
    late.then(|| {
        Deviation::new(codes::ASSESSMENT_MISSING, fact, "adverse_event.serious").with(details)
    })
}

/// An event that has no code of `MedDRA`, though the days of the plan are over; until it has one, however late.
fn uncoded(
    fact: &Seen,
    event: &pb::AdverseEvent,
    patient: &Patient,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    let is_coded = |event: &pb::AdverseEvent| {
        let term = event.term.as_ref();
        term.is_some_and(|term| !term.llt_code.is_empty() || !term.pt_code.is_empty())
    };
    let days = least(catalogue, fact, |plan| plan.coding_days)?;
    let deadline = days_after(aware_on(fact, event), days)?;
    let mut reports = patient.of_kind(pick!(AdverseEvent));
    let coded = reports.any(|(_, report)| report.case_id == event.case_id && is_coded(report));
    let details = Details {
        deadline: Some(deadline),
        ..Details::default()
    };
    let open = !coded && deadline < patient.as_of;
    open.then(|| Deviation::new(codes::EVENT_UNCODED, fact, "adverse_event.term").with(details))
}

/// The day on which an event became known.
fn aware_on(fact: &Seen, event: &pb::AdverseEvent) -> chrono::NaiveDate {
    let zone = fact.record.site_tz.parse().ok();
    crate::rules::fact::civil_day(&event.aware_at, zone).unwrap_or(fact.on)
}
