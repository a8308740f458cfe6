//! Follow-up: samples and visits that were late or out of their window, visits that lack content or were held
//! otherwise than planned, enrolments that do not fit the plan, and patients given up too soon.

use super::{By, Details, Deviation, envelope::least};
use crate::{
    pb::{self, PatientState, VisitMode, record::Kind},
    record::format::parse_civil_date,
    rules::{
        catalogue::Catalogue,
        consent::signatures::Signatures,
        flags::codes,
        follow_up::{
            obligations::What,
            period::Period,
            schedule::{Planned, Schedule},
            slots::SlotState,
        },
        patient::Patient,
        question::Seen,
    },
    tlog::Index,
};

/// What the follow-up of a patient raises.
pub(super) fn of(
    patient: &Patient,
    catalogue: &Catalogue,
    signatures: &Signatures,
    by: By<'_>,
) -> Vec<Deviation> {
    let mut raised = Vec::new();
    if by.may_be(is_scheduled) {
        raised = scheduled(patient, catalogue, signatures);
    }
    for (fact, enrolment) in patient.enrolments().filter(|(fact, _)| by.is(fact)) {
        raised.extend(enrolled(fact, enrolment, catalogue));
        raised.extend(end_claimed(fact, enrolment, patient, catalogue, signatures));
    }
    for (fact, status) in patient.statuses().filter(|(fact, _)| by.is(fact)) {
        let least = least(catalogue, fact, |plan| plan.contact_attempts_min);
        let made = u32::try_from(status.attempts.len()).unwrap_or(u32::MAX);
        let few = least.is_some_and(|least| made < least);
        if status.state() == PatientState::LostToFollowUp && few {
            raised.push(Deviation::new(
                codes::FEW_ATTEMPTS,
                fact,
                "patient_status.attempts",
            ));
        }
    }
    raised
}

fn is_scheduled(fact: &Seen) -> bool {
    matches!(
        fact.kind(),
        Some(Kind::SampleCollected(_) | Kind::FollowUpVisit(_))
    )
}

/// What samples and visits raise, held against the schedule.
fn scheduled(patient: &Patient, catalogue: &Catalogue, signatures: &Signatures) -> Vec<Deviation> {
    let schedule = Schedule::of(patient, catalogue, signatures, patient.as_of);
    let mut raised = late_samples(patient, &schedule);
    for planned in &schedule.planned {
        raised.extend(visited(patient, planned, &schedule.period));
    }
    for incomplete in &schedule.incomplete {
        let visit = entry(patient, incomplete.visit.index);
        let field = "follow_up_visit.blocks";
        raised.extend(visit.map(|fact| Deviation::new(codes::INCOMPLETE_VISIT, fact, field)));
    }
    raised
}

fn entry(patient: &Patient, index: Index) -> Option<&Seen> {
    patient.facts.iter().find(|fact| fact.index == index)
}

/// Persistence samples that were taken after they were due, as things stood the day before.
fn late_samples(patient: &Patient, schedule: &Schedule) -> Vec<Deviation> {
    let late = schedule.taken.iter().filter(|taken| 0 < taken.days_late);
    late.filter_map(|taken| {
        let mut samples = patient.of_kind(pick!(SampleCollected));
        let (fact, _) = samples
            .find(|(fact, sample)| sample.sample_id == taken.sample_id && fact.on == taken.on)?;
        let details = Details {
            due: Some(taken.due),
            actual: Some(taken.on),
            days: i64::try_from(taken.days_late).ok(),
            ..Details::default()
        };
        let late = Deviation::new(codes::LATE_SAMPLE, fact, "event_time");
        Some(late.of_sample(&taken.sample_id).with(details))
    })
    .collect()
}

/// A visit outside its window, or by telephone where the plan has one at the site.
fn visited(patient: &Patient, planned: &Planned, period: &Period) -> Vec<Deviation> {
    let Some(fact) = planned
        .met_by
        .as_ref()
        .and_then(|met| entry(patient, met.index))
    else {
        return Vec::new();
    };
    if planned.what != What::Visit {
        return Vec::new();
    }
    let mut raised = Vec::new();
    let early = || {
        let window = chrono::Days::new(u64::from(planned.window_days));
        let opens = planned.due.checked_sub_days(window)?;
        Some(opens.signed_duration_since(fact.on).num_days())
    };
    let days = match planned.state {
        SlotState::Late => i64::try_from(planned.days_after_window).ok(),
        SlotState::Early => early(),
        SlotState::InWindow | SlotState::Missed | SlotState::Open => None,
    };
    if days.is_some() {
        let details = Details {
            due: Some(planned.due),
            actual: Some(fact.on),
            days,
            ..Details::default()
        };
        let outside = Deviation::new(codes::VISIT_OUT_OF_WINDOW, fact, "event_time");
        raised.push(outside.with(details));
    }
    let plans = period
        .courses
        .iter()
        .filter_map(|course| course.plan.as_ref());
    let mut slots = plans.flat_map(|plan| &plan.slots);
    let at_site = slots.any(|slot| slot.slot == planned.slot && slot.mode() == VisitMode::OnSite);
    let by_other_means = match fact.kind() {
        Some(Kind::FollowUpVisit(visit)) => matches!(
            visit.mode(),
            VisitMode::Phone | VisitMode::Questionnaire | VisitMode::Video
        ),
        _ => false,
    };
    if at_site && by_other_means {
        let field = "follow_up_visit.mode";
        raised.push(Deviation::new(codes::PHONE_INSTEAD_OF_VISIT, fact, field));
    }
    raised
}

/// An enrolment in a plan that is not recorded, or in a version other than the one in force at the site.
fn enrolled(
    fact: &Seen,
    enrolment: &pb::FollowUpEnrolment,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    let named = &enrolment.plan_version;
    let versions = catalogue
        .plans
        .get(&enrolment.plan_id)
        .map_or(&[][..], Vec::as_slice);
    let unknown = Deviation::new(codes::UNKNOWN_PLAN, fact, "follow_up_enrolment.plan_id");
    let known = versions
        .iter()
        .any(|one| named.is_empty() || one.plan.version == *named);
    if !known {
        return Some(unknown.of_version(named));
    }
    let in_force = versions.iter().rev().find(|one| {
        let activation = one.activations.get(&fact.record.site);
        activation.is_some_and(|activation| activation.is_in_force(fact.on))
    })?;
    let latest = named.is_empty() || in_force.plan.version == *named;
    let field = "follow_up_enrolment.plan_version";
    let other = Deviation::new(codes::PLAN_NOT_LATEST, fact, field);
    (!latest).then(|| other.of_version(named).shown_by(&in_force.said))
}

/// An end of follow-up that was claimed, and is not what the rules give on that day.
fn end_claimed(
    fact: &Seen,
    enrolment: &pb::FollowUpEnrolment,
    patient: &Patient,
    catalogue: &Catalogue,
    signatures: &Signatures,
) -> Option<Deviation> {
    let claimed = parse_civil_date(&enrolment.claimed_end_on).ok()?;
    let end = Period::of(patient, catalogue, signatures, fact.on).end?;
    let field = "follow_up_enrolment.claimed_end_on";
    let differs = Deviation::new(codes::END_DATE_DIFFERS, fact, field);
    let details = Details {
        due: Some(end),
        actual: Some(claimed),
        ..Details::default()
    };
    (claimed != end).then(|| differs.with(details))
}
