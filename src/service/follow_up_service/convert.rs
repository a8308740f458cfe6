//! From the answers of the rules to messages. Nothing is decided here.

use chrono::NaiveDate;

use crate::{
    pb::{self, ObligationKind, PeriodFigureKind, SamplePurpose, plan_number},
    rules::{
        follow_up::{
            Why,
            obligations::{Obligation, State, What},
            period::{Amendment, AmendmentState, Course, Status},
            plan::{Parameter, Source},
            samples::{Intensified, Taken},
            schedule::{Incomplete, Met, Planned, Schedule},
            signals::OpenSignal,
            slots::SlotState,
            summary::{Figure, Summary},
        },
        patient::Patient,
    },
    service::why::entry,
};

fn day(day: Option<NaiveDate>) -> String {
    day.map(|day| day.to_string()).unwrap_or_default()
}

/// What is owed: its kind, the purpose of a sample, and the plan version that asks for it.
fn kind(what: &What) -> (ObligationKind, SamplePurpose, &str) {
    let none = SamplePurpose::Unspecified;
    match what {
        What::Visit => (ObligationKind::Visit, none, ""),
        What::Contact => (ObligationKind::Contact, none, ""),
        What::Sample(purpose) => (ObligationKind::Sample, *purpose, ""),
        What::Added(purpose, version) => (ObligationKind::AddedSample, *purpose, version),
        What::CloneConfirmation => (ObligationKind::CloneConfirmation, none, ""),
        What::IntegrationSites => (ObligationKind::IntegrationSites, none, ""),
        What::Clonality => (ObligationKind::Clonality, none, ""),
        What::MalignancyWatch => (ObligationKind::MalignancyWatch, none, ""),
        What::RclTest => (ObligationKind::RclTest, none, ""),
        What::OffTarget => (ObligationKind::OffTarget, none, ""),
    }
}

pub(super) fn obligation(patient: &Patient, on: NaiveDate, row: Obligation) -> pb::Obligation {
    let (kind, purpose, plan_version) = kind(&row.what);
    let state = match row.state {
        State::Overdue => pb::ObligationState::Overdue,
        State::Due => pb::ObligationState::Due,
        State::BlockedConsent => pb::ObligationState::BlockedConsent,
        State::Waived => pb::ObligationState::Waived,
        State::Met => pb::ObligationState::Met,
    };
    pb::Obligation {
        patient: patient.id.clone(),
        site: patient.site(on).to_owned(),
        kind: kind.into(),
        purpose: purpose.into(),
        plan_version: plan_version.to_owned(),
        state: state.into(),
        due: day(row.due),
        window_days: row.window_days,
        days_overdue: row.days_overdue,
        unreachable: patient.lost(on).is_some(),
        product_id: row.product_id,
        slot: row.slot,
        blocked_by: row.blocked_by,
        why: Some(row.why.into()),
    }
}

fn status(status: Status) -> pb::FollowUpStatus {
    match status {
        Status::NotTreated => pb::FollowUpStatus::NotTreated,
        Status::NotRequired => pb::FollowUpStatus::NotRequired,
        Status::Dead => pb::FollowUpStatus::Dead,
        Status::Waived => pb::FollowUpStatus::Waived,
        Status::Stopped => pb::FollowUpStatus::Stopped,
        Status::Completed => pb::FollowUpStatus::Completed,
        Status::NotEnrolled => pb::FollowUpStatus::NotEnrolled,
        Status::OpenPendingReconsent => pb::FollowUpStatus::OpenPendingReconsent,
        Status::Open => pb::FollowUpStatus::Open,
    }
}

pub(super) fn schedule(
    answered: pb::Answered,
    patient: &Patient,
    on: NaiveDate,
    schedule: Schedule,
) -> pb::GetScheduleResponse {
    let Schedule {
        period,
        planned: slots,
        taken,
        tasks,
        intensified: schedules,
        incomplete: visits,
        open,
    } = schedule;
    let gaps = period.gaps().iter().map(|gap| pb::FollowUpGap {
        from: gap.from.to_string(),
        to: gap.to.to_string(),
    });
    let gaps = gaps.collect();
    let row = |row| obligation(patient, on, row);
    pb::GetScheduleResponse {
        answered: Some(answered),
        patient: patient.id.clone(),
        site: patient.site(on).to_owned(),
        status: status(period.status).into(),
        end: day(period.end),
        courses: period.courses.into_iter().map(course).collect(),
        gaps,
        planned: slots.into_iter().map(planned).collect(),
        taken: taken.into_iter().map(sample_taken).collect(),
        tasks: tasks.into_iter().map(row).collect(),
        intensified: schedules.into_iter().map(intensified).collect(),
        incomplete_visits: visits.into_iter().map(incomplete).collect(),
        open: open.into_iter().map(row).collect(),
    }
}

fn course(course: Course) -> pb::FollowUpCourse {
    let numbers = course
        .plan
        .iter()
        .flat_map(|plan| plan.parameters.numbers());
    let numbers = numbers.map(|(name, parameter)| number(name, parameter));
    let numbers = numbers.collect();
    let months = course.months.as_ref();
    pb::FollowUpCourse {
        status: status(course.status).into(),
        anchor: course.anchor.to_string(),
        begun: course.begun.to_string(),
        intensive_until: day(course.intensive_until()),
        end: day(course.end),
        until_decision: course.until_decision,
        follow_up_months: months.map(|months| number("follow_up_months", months)),
        numbers,
        amendments: course.amendments.into_iter().map(amendment).collect(),
        product_id: course.product_id,
        plan: course.plan.map(|plan| plan.version),
        why: Some(course.why.into()),
    }
}

fn number(name: &str, parameter: &Parameter<u32>) -> pb::PlanNumber {
    let source = match &parameter.source {
        Source::Guideline(rule) => plan_number::Source::Rule((*rule).to_owned()),
        Source::Plan(key) => plan_number::Source::Plan((**key).clone()),
        Source::Product(product_id) => plan_number::Source::ProductId(product_id.clone()),
        Source::Decision(index) => plan_number::Source::Decision(index.value()),
    };
    pb::PlanNumber {
        name: name.to_owned(),
        value: parameter.value,
        source: Some(source),
    }
}

fn amendment(amendment: Amendment) -> pb::PlanAmendment {
    let (state, settled_on) = match amendment.state {
        AmendmentState::Awaited => (pb::AmendmentState::Awaited, None),
        AmendmentState::Given(on) => (pb::AmendmentState::Given, Some(on)),
        AmendmentState::Declined(on) => (pb::AmendmentState::Declined, Some(on)),
        AmendmentState::Missed => (pb::AmendmentState::Missed, None),
    };
    pb::PlanAmendment {
        plan: Some(amendment.plan),
        consent: amendment.consent,
        months: amendment.months,
        longer: amendment.is_longer,
        effective: amendment.effective.to_string(),
        deadline: day(amendment.deadline),
        state: state.into(),
        settled_on: day(settled_on),
    }
}

fn planned(planned: Planned) -> pb::PlannedItem {
    let (kind, purpose, _) = kind(&planned.what);
    let state = match planned.state {
        SlotState::InWindow => pb::PlannedState::InWindow,
        SlotState::Early => pb::PlannedState::Early,
        SlotState::Late => pb::PlannedState::Late,
        SlotState::Missed => pb::PlannedState::Missed,
        SlotState::Open => pb::PlannedState::Open,
    };
    let met_by = planned.met_by.as_ref();
    pb::PlannedItem {
        kind: kind.into(),
        purpose: purpose.into(),
        due: planned.due.to_string(),
        window_days: planned.window_days,
        state: state.into(),
        actual: day(met_by.map(|met| met.on)),
        met_by: met_by.map(met),
        days_after_window: planned.days_after_window,
        product_id: planned.product_id,
        slot: planned.slot,
        blocked_by: planned.blocked_by,
    }
}

fn met(met: &Met) -> pb::Evidence {
    entry(met.index, &met.record_id)
}

fn sample_taken(taken: Taken) -> pb::SampleTaken {
    pb::SampleTaken {
        sample_id: taken.sample_id,
        due: taken.due.to_string(),
        actual: taken.on.to_string(),
        days_late: taken.days_late,
        why: Some(taken.why.into()),
    }
}

fn intensified(schedule: Intensified) -> pb::IntensifiedSchedule {
    pb::IntensifiedSchedule {
        from: schedule.from.to_string(),
        to: day(schedule.to),
        why: Some(schedule.why.into()),
    }
}

fn incomplete(incomplete: Incomplete) -> pb::IncompleteVisit {
    pb::IncompleteVisit {
        on: incomplete.visit.on.to_string(),
        visit: Some(met(&incomplete.visit)),
        missing: incomplete.missing.into_iter().map(i32::from).collect(),
    }
}

/// The row of a patient who is not enrolled for these products; none if there is no such product.
pub(super) fn not_enrolled(
    patient: &Patient,
    on: NaiveDate,
    courses: &[Course],
) -> Option<pb::TreatedNotEnrolled> {
    let mut stands_on = Why::default();
    for course in courses {
        stands_on.merge(&course.why);
    }
    let treated_on = courses.iter().map(|course| course.first).min()?;
    let days = on.signed_duration_since(treated_on).num_days();
    let product_ids = courses.iter().map(|course| course.product_id.clone());
    Some(pb::TreatedNotEnrolled {
        patient: patient.id.clone(),
        site: patient.site(on).to_owned(),
        product_ids: product_ids.collect(),
        treated_on: treated_on.to_string(),
        days: days.try_into().unwrap_or(0),
        unreachable: patient.lost(on).is_some(),
        why: Some(stands_on.into()),
    })
}

pub(super) fn signal(signal: OpenSignal) -> pb::OpenSignal {
    pb::OpenSignal {
        signal_id: signal.signal_id,
        known_on: signal.on.to_string(),
        product_ids: signal.products,
        missing: signal.missing.into_iter().map(i32::from).collect(),
        due: day(signal.due),
        days_open: signal.days_open,
        days_overdue: signal.days_overdue,
        why: Some(signal.why.into()),
    }
}

pub(super) fn summary(
    answered: pb::Answered,
    from: NaiveDate,
    summary: Summary,
) -> pb::SummarizePeriodResponse {
    let Summary { figures, sites } = summary;
    let figures = figures.into_iter().map(|(kind, counted)| {
        let entries = counted.evidence.iter();
        pb::PeriodFigure {
            kind: figure(kind).into(),
            count: counted.count,
            evidence: entries.map(|(index, id)| entry(*index, id)).collect(),
            patients: counted.patients.into_iter().collect(),
        }
    });
    let sites = sites
        .into_iter()
        .map(|((site, kind), count)| pb::SiteFigure {
            site,
            kind: figure(kind).into(),
            count,
        });
    pb::SummarizePeriodResponse {
        answered: Some(answered),
        from: from.to_string(),
        figures: figures.collect(),
        sites: sites.collect(),
    }
}

fn figure(figure: Figure) -> PeriodFigureKind {
    match figure {
        Figure::TreatedCumulative => PeriodFigureKind::TreatedCumulative,
        Figure::TreatedInPeriod => PeriodFigureKind::TreatedInPeriod,
        Figure::Enrolled => PeriodFigureKind::Enrolled,
        Figure::Deaths => PeriodFigureKind::Deaths,
        Figure::ActiveAtEnd => PeriodFigureKind::ActiveAtEnd,
        Figure::WithdrawnAtEnd => PeriodFigureKind::WithdrawnAtEnd,
        Figure::LostAtEnd => PeriodFigureKind::LostAtEnd,
        Figure::CompletedAtEnd => PeriodFigureKind::CompletedAtEnd,
        Figure::NotEnrolledAtEnd => PeriodFigureKind::NotEnrolledAtEnd,
        Figure::PersistenceSamples => PeriodFigureKind::PersistenceSamples,
        Figure::RclSamples => PeriodFigureKind::RclSamples,
        Figure::OtherSamples => PeriodFigureKind::OtherSamples,
        Figure::Results => PeriodFigureKind::Results,
        Figure::ClonalFindings => PeriodFigureKind::ClonalFindings,
        Figure::RclPositive => PeriodFigureKind::RclPositive,
        Figure::AdverseEvents => PeriodFigureKind::AdverseEvents,
        Figure::SeriousAdverseEvents => PeriodFigureKind::SeriousAdverseEvents,
        Figure::NewMalignancies => PeriodFigureKind::NewMalignancies,
        Figure::Pregnancies => PeriodFigureKind::Pregnancies,
        Figure::Visits => PeriodFigureKind::Visits,
        Figure::VisitsMissed => PeriodFigureKind::VisitsMissed,
        Figure::Contacts => PeriodFigureKind::Contacts,
        Figure::NotReached => PeriodFigureKind::NotReached,
        Figure::Reconsents => PeriodFigureKind::Reconsents,
        Figure::InvalidSignatures => PeriodFigureKind::InvalidSignatures,
        Figure::Withdrawals => PeriodFigureKind::Withdrawals,
    }
}
