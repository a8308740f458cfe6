//! `genetrail schedule PATIENT`: the whole follow-up of a patient, what was planned and what met it.

use super::{
    Outcome,
    client::{self, Connection},
    due::obligations_table,
    query::{Asking, Shown, Table, basis, days, entries, word},
};
use crate::pb::{
    self, AmendmentState, FollowUpStatus, ObligationKind, PlannedState, SamplePurpose,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The pseudonym.
    #[arg(value_name = "PATIENT")]
    patient: String,
    #[command(flatten)]
    asking: Asking,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments { patient, asking } = arguments;
    let request = pb::GetScheduleRequest {
        question: Some(asking.question()),
        patient: patient.clone(),
    };
    let answer = asking
        .server
        .call(|connection| schedule(connection, request))?;
    asking.print(&answer, &shown(&answer))
}

async fn schedule(
    connection: Connection,
    request: pb::GetScheduleRequest,
) -> anyhow::Result<pb::GetScheduleResponse> {
    let answer = client::follow_up(connection).get_schedule(request).await;
    Ok(answer
        .map_err(|status| client::failed(&status))?
        .into_inner())
}

fn shown(answer: &pb::GetScheduleResponse) -> Shown {
    Shown {
        message: "genetrail.v1.GetScheduleResponse",
        answered: answer.answered.clone(),
        tables: vec![
            courses(answer),
            amendments(answer),
            obligations_table("open", &answer.open),
            planned(answer),
            taken(answer),
            obligations_table("tasks", &answer.tasks),
        ],
    }
}

fn courses(answer: &pb::GetScheduleResponse) -> Table {
    let row = |course: &pb::FollowUpCourse| {
        let plan = course.plan.as_ref();
        vec![
            answer.patient.clone(),
            answer.site.clone(),
            course.product_id.clone(),
            word(course.status(), FollowUpStatus::as_str_name),
            plan.map(|plan| format!("{} {}", plan.plan_id, plan.version))
                .unwrap_or_default(),
            course.anchor.clone(),
            course.intensive_until.clone(),
            course.end.clone(),
            if course.until_decision {
                "until a decision".to_owned()
            } else {
                String::new()
            },
            basis(course.why.as_ref()),
            entries(course.why.as_ref()),
        ]
    };
    Table {
        title: "follow-up",
        empty: "none",
        columns: &[
            "patient",
            "site",
            "product",
            "status",
            "plan",
            "anchor",
            "intensive until",
            "end",
            "open",
            "rule",
            "entries",
        ],
        rows: answer.courses.iter().map(row).collect(),
    }
}

fn amendments(answer: &pb::GetScheduleResponse) -> Table {
    let row = |amendment: &pb::PlanAmendment| {
        let plan = amendment.plan.as_ref();
        let consent = amendment.consent.as_ref();
        vec![
            plan.map(|plan| format!("{} {}", plan.plan_id, plan.version))
                .unwrap_or_default(),
            consent
                .map(|one| format!("{} {}", one.family, one.version))
                .unwrap_or_default(),
            amendment.months.to_string(),
            amendment.effective.clone(),
            amendment.deadline.clone(),
            word(amendment.state(), AmendmentState::as_str_name),
            amendment.settled_on.clone(),
        ]
    };
    let amendments = answer.courses.iter().flat_map(|course| &course.amendments);
    Table {
        title: "amendments",
        empty: "none",
        columns: &[
            "plan",
            "consent",
            "months",
            "effective",
            "deadline",
            "state",
            "on",
        ],
        rows: amendments.map(row).collect(),
    }
}

fn planned(answer: &pb::GetScheduleResponse) -> Table {
    let row = |item: &pb::PlannedItem| {
        vec![
            word(item.kind(), ObligationKind::as_str_name),
            word(item.purpose(), SamplePurpose::as_str_name),
            item.slot.clone(),
            item.due.clone(),
            days(item.window_days.into()),
            word(item.state(), PlannedState::as_str_name),
            item.actual.clone(),
            days(item.days_after_window),
            item.met_by
                .as_ref()
                .map(|entry| entry.index.to_string())
                .unwrap_or_default(),
        ]
    };
    Table {
        title: "planned",
        empty: "the plan has no slots",
        columns: &[
            "what",
            "purpose",
            "slot",
            "due",
            "window",
            "state",
            "on",
            "days late",
            "entries",
        ],
        rows: answer.planned.iter().map(row).collect(),
    }
}

fn taken(answer: &pb::GetScheduleResponse) -> Table {
    let row = |sample: &pb::SampleTaken| {
        vec![
            sample.sample_id.clone(),
            sample.due.clone(),
            sample.actual.clone(),
            days(sample.days_late),
            basis(sample.why.as_ref()),
            entries(sample.why.as_ref()),
        ]
    };
    Table {
        title: "persistence samples",
        empty: "none",
        columns: &["sample", "due", "on", "days late", "rule", "entries"],
        rows: answer.taken.iter().map(row).collect(),
    }
}
