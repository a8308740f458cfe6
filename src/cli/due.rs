//! `genetrail due`: what follow-up asks for and is not done yet, with the patients who were treated and are not
//! enrolled, and the signals that something is still to be done about.

#![expect(
    clippy::doc_markdown,
    reason = "what is said of arguments is printed as it stands"
)]

use super::{
    Outcome,
    client::{self, Connection},
    query::{Asking, PAGE_SIZE, Shown, Table, basis, days, entries, pages, values, word, yes},
};
use crate::pb::{self, ObligationKind, ObligationState, SamplePurpose, SignalAction};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    asking: Asking,
    /// Only of this patient.
    #[arg(long, value_name = "PATIENT")]
    patient: Option<String>,
    /// Only of patients whom this site follows, by GLN.
    #[arg(long, value_name = "GLN")]
    site: Option<String>,
    /// Only on account of this product.
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    /// Only this kind, as VISIT, CONTACT or SAMPLE; may be given several times.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only samples for this purpose, as PERSISTENCE; may be given several times.
    #[arg(long = "purpose", value_name = "PURPOSE")]
    purposes: Vec<String>,
    /// Only what is overdue.
    #[arg(long, conflicts_with = "states")]
    overdue: bool,
    /// Only in this state: DUE, OVERDUE, BLOCKED_CONSENT or WAIVED; may be given several times.
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<String>,
    /// List instead the patients who were treated and are not enrolled.
    #[arg(long, conflicts_with_all = ["patient", "kinds", "purposes", "states", "overdue", "signals"])]
    not_enrolled: bool,
    /// List instead the risk signals that something is still to be done about.
    #[arg(long, conflicts_with_all = ["patient", "site", "kinds", "purposes", "states", "overdue"])]
    signals: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments {
        asking,
        site,
        product,
        ..
    } = arguments;
    let (site, product_id) = (
        site.clone().unwrap_or_default(),
        product.clone().unwrap_or_default(),
    );
    if arguments.not_enrolled {
        let request = pb::ListTreatedNotEnrolledRequest {
            question: Some(asking.question()),
            site,
            product_id,
            page_size: PAGE_SIZE,
            page_token: String::new(),
        };
        let answer = asking
            .server
            .call(|connection| not_enrolled(connection, request))?;
        return asking.print(&answer, &not_enrolled_shown(&answer));
    }
    if arguments.signals {
        let request = pb::ListOpenSignalsRequest {
            question: Some(asking.question()),
            product_id,
            page_size: PAGE_SIZE,
            page_token: String::new(),
        };
        let answer = asking
            .server
            .call(|connection| signals(connection, request))?;
        return asking.print(&answer, &signals_shown(&answer));
    }
    let states = if arguments.overdue {
        vec![ObligationState::Overdue.into()]
    } else {
        values(
            &arguments.states,
            "OBLIGATION_STATE",
            ObligationState::from_str_name,
            ObligationState::as_str_name,
        )?
    };
    let request = pb::ListObligationsRequest {
        question: Some(asking.question()),
        patient: arguments.patient.clone().unwrap_or_default(),
        site,
        product_id,
        kinds: values(
            &arguments.kinds,
            "OBLIGATION_KIND",
            ObligationKind::from_str_name,
            ObligationKind::as_str_name,
        )?,
        purposes: values(
            &arguments.purposes,
            "SAMPLE_PURPOSE",
            SamplePurpose::from_str_name,
            SamplePurpose::as_str_name,
        )?,
        states,
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let answer = asking
        .server
        .call(|connection| obligations(connection, request))?;
    asking.print(&answer, &obligations_shown(&answer))
}

/// All pages, as one.
pub(super) async fn obligations(
    connection: Connection,
    request: pb::ListObligationsRequest,
) -> anyhow::Result<pb::ListObligationsResponse> {
    let mut client = client::follow_up(connection);
    let mut all = pb::ListObligationsResponse::default();
    let ask = async |page_token| {
        let request = pb::ListObligationsRequest {
            page_token,
            ..request.clone()
        };
        client.list_obligations(request).await
    };
    let join = |page: pb::ListObligationsResponse| {
        all.answered = page.answered;
        all.obligations.extend(page.obligations);
        page.next_page_token
    };
    pages(ask, join).await?;
    Ok(all)
}

async fn not_enrolled(
    connection: Connection,
    request: pb::ListTreatedNotEnrolledRequest,
) -> anyhow::Result<pb::ListTreatedNotEnrolledResponse> {
    let mut client = client::follow_up(connection);
    let mut all = pb::ListTreatedNotEnrolledResponse::default();
    let ask = async |page_token| {
        let request = pb::ListTreatedNotEnrolledRequest {
            page_token,
            ..request.clone()
        };
        client.list_treated_not_enrolled(request).await
    };
    let join = |page: pb::ListTreatedNotEnrolledResponse| {
        all.answered = page.answered;
        all.patients.extend(page.patients);
        page.next_page_token
    };
    pages(ask, join).await?;
    Ok(all)
}

async fn signals(
    connection: Connection,
    request: pb::ListOpenSignalsRequest,
) -> anyhow::Result<pb::ListOpenSignalsResponse> {
    let mut client = client::follow_up(connection);
    let mut all = pb::ListOpenSignalsResponse::default();
    let ask = async |page_token| {
        let request = pb::ListOpenSignalsRequest {
            page_token,
            ..request.clone()
        };
        client.list_open_signals(request).await
    };
    let join = |page: pb::ListOpenSignalsResponse| {
        all.answered = page.answered;
        all.signals.extend(page.signals);
        page.next_page_token
    };
    pages(ask, join).await?;
    Ok(all)
}

/// What is open, for people.
pub(super) fn obligations_shown(answer: &pb::ListObligationsResponse) -> Shown {
    Shown {
        message: "genetrail.v1.ListObligationsResponse",
        answered: answer.answered.clone(),
        tables: vec![obligations_table("due", &answer.obligations)],
    }
}

/// Obligations for people, with who is late first.
pub(super) fn obligations_table(title: &'static str, rows: &[pb::Obligation]) -> Table {
    let row = |row: &pb::Obligation| {
        let blocked_by = row.blocked_by.as_ref();
        vec![
            row.patient.clone(),
            row.site.clone(),
            word(row.kind(), ObligationKind::as_str_name),
            word(row.purpose(), SamplePurpose::as_str_name),
            row.slot.clone(),
            row.due.clone(),
            word(row.state(), ObligationState::as_str_name),
            days(row.days_overdue),
            blocked_by
                .map(|by| format!("{} {}", by.family, by.version))
                .unwrap_or_default(),
            yes(row.unreachable),
            basis(row.why.as_ref()),
            entries(row.why.as_ref()),
        ]
    };
    Table {
        title,
        empty: "nothing",
        columns: &[
            "patient",
            "site",
            "what",
            "purpose",
            "slot",
            "due",
            "state",
            "days over",
            "blocked by",
            "unreachable",
            "rule",
            "entries",
        ],
        rows: rows.iter().map(row).collect(),
    }
}

fn not_enrolled_shown(answer: &pb::ListTreatedNotEnrolledResponse) -> Shown {
    let row = |row: &pb::TreatedNotEnrolled| {
        vec![
            row.patient.clone(),
            row.site.clone(),
            row.product_ids.join(" "),
            row.treated_on.clone(),
            row.days.to_string(),
            yes(row.unreachable),
            basis(row.why.as_ref()),
            entries(row.why.as_ref()),
        ]
    };
    Shown {
        message: "genetrail.v1.ListTreatedNotEnrolledResponse",
        answered: answer.answered.clone(),
        tables: vec![Table {
            title: "treated, not enrolled",
            empty: "nobody",
            columns: &[
                "patient",
                "site",
                "product",
                "treated",
                "days",
                "unreachable",
                "rule",
                "entries",
            ],
            rows: answer.patients.iter().map(row).collect(),
        }],
    }
}

fn signals_shown(answer: &pb::ListOpenSignalsResponse) -> Shown {
    let row = |row: &pb::OpenSignal| {
        let missing = row
            .missing()
            .map(|action| word(action, SignalAction::as_str_name));
        vec![
            row.signal_id.clone(),
            row.product_ids.join(" "),
            row.known_on.clone(),
            missing.collect::<Vec<_>>().join(" "),
            row.due.clone(),
            days(row.days_overdue),
            basis(row.why.as_ref()),
            entries(row.why.as_ref()),
        ]
    };
    Shown {
        message: "genetrail.v1.ListOpenSignalsResponse",
        answered: answer.answered.clone(),
        tables: vec![Table {
            title: "open signals",
            empty: "none",
            columns: &[
                "signal",
                "product",
                "known",
                "missing",
                "due",
                "days over",
                "rule",
                "entries",
            ],
            rows: answer.signals.iter().map(row).collect(),
        }],
    }
}
