//! `genetrail deviations`: what was recorded and should not have been so, as things stand.

#![expect(
    clippy::doc_markdown,
    reason = "what is said of arguments is printed as it stands"
)]

use anyhow::Context as _;

use super::{
    Outcome,
    client::{self, Connection},
    query::{Asking, PAGE_SIZE, Shown, Table, basis, entries, lot, pages, word},
};
use crate::pb::{self, Severity};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    asking: Asking,
    /// Only this code, as LATE_SAMPLE; may be given several times.
    #[arg(long = "code", value_name = "CODE")]
    codes: Vec<String>,
    /// Only what is as grave as this, or graver: INFO, DEVIATION or CRITICAL.
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    /// Only of this patient.
    #[arg(long, value_name = "PATIENT")]
    patient: Option<String>,
    /// Only at this site, by GLN.
    #[arg(long, value_name = "GLN")]
    site: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let severity = match &arguments.severity {
        None => Severity::Unspecified,
        Some(word) => Severity::from_str_name(&format!("SEVERITY_{}", word.to_uppercase()))
            .with_context(|| format!("{word} is no severity: INFO, DEVIATION or CRITICAL"))?,
    };
    let request = pb::ListDeviationsRequest {
        question: Some(arguments.asking.question()),
        codes: arguments.codes.clone(),
        severity: severity.into(),
        patient: arguments.patient.clone().unwrap_or_default(),
        site: arguments.site.clone().unwrap_or_default(),
        page_size: PAGE_SIZE,
        ..pb::ListDeviationsRequest::default()
    };
    let asked = arguments
        .asking
        .server
        .call(|connection| all(connection, request));
    let answer = asked?;
    arguments.asking.print(&answer, &shown(&answer))
}

/// All pages, as one.
async fn all(
    connection: Connection,
    request: pb::ListDeviationsRequest,
) -> anyhow::Result<pb::ListDeviationsResponse> {
    let mut client = client::trace(connection);
    let mut all = pb::ListDeviationsResponse::default();
    let ask = async |page_token| {
        let request = pb::ListDeviationsRequest {
            page_token,
            ..request.clone()
        };
        client.list_deviations(request).await
    };
    let join = |page: pb::ListDeviationsResponse| {
        all.answered = page.answered;
        all.rows.extend(page.rows);
        page.next_page_token
    };
    pages(ask, join).await?;
    Ok(all)
}

fn shown(answer: &pb::ListDeviationsResponse) -> Shown {
    let row = |row: &pb::Deviation| {
        let day = |name: &str, day: &str| match day {
            "" => String::new(),
            day => format!("{name} {day}"),
        };
        // Each rule has the days that it is about, and few have more than two.
        let days = [
            day("due", &row.due),
            day("deadline", &row.deadline),
            day("effective", &row.effective),
            day("signed", &row.signed),
            day("administered", &row.administered),
            day("consented", &row.consented),
            day("actual", &row.actual),
        ];
        let days: Vec<String> = days.into_iter().filter(|day| !day.is_empty()).collect();
        vec![
            row.index.to_string(),
            word(row.severity(), Severity::as_str_name),
            row.code.clone(),
            row.patient.clone(),
            lot(row.lot.as_ref()),
            row.sample_id.clone(),
            row.version.clone(),
            row.site.clone(),
            row.event.clone(),
            row.recorded.clone(),
            days.join(", "),
            row.days.map(|days| days.to_string()).unwrap_or_default(),
            row.field.clone(),
            row.text.clone(),
            basis(row.why.as_ref()),
            entries(row.why.as_ref()),
        ]
    };
    Shown {
        message: "genetrail.v1.ListDeviationsResponse",
        answered: answer.answered.clone(),
        tables: vec![Table {
            title: "deviations",
            empty: "none",
            columns: &[
                "entry", "severity", "code", "patient", "lot", "sample", "version", "site",
                "event", "recorded", "dates", "days", "field", "text", "rule", "entries",
            ],
            rows: answer.rows.iter().map(row).collect(),
        }],
    }
}
