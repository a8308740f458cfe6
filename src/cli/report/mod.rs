//! `genetrail report`: how a product stands to the guideline, obligation by obligation: as a table, as JSON, or as
//! one page that an inspector can print.

mod chart;
mod html;

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::{
    Outcome,
    client::{self, Connection},
    progress,
    query::{Asking, Shown, Table, word},
    say,
};
use crate::pb::{
    self, ConformityException, ConformityRow, ConformityVerdict, conformity_exception::Of,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    asking: Asking,
    /// The product.
    #[arg(long, value_name = "PRODUCT")]
    product: String,
    /// Write one page with tables and charts to this file; it needs nothing beside itself.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["json", "csv"])]
    html: Option<PathBuf>,
}

/// The verdicts, in the order in which an inspector asks for them.
const VERDICTS: [ConformityVerdict; 4] = [
    ConformityVerdict::NotMet,
    ConformityVerdict::CannotTell,
    ConformityVerdict::Met,
    ConformityVerdict::NotApplicable,
];

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let request = pb::ReportConformityRequest {
        question: Some(arguments.asking.question()),
        product_id: arguments.product.clone(),
    };
    let asking = &arguments.asking;
    let report = asking.server.call(|connection| made(connection, request))?;
    let Some(path) = &arguments.html else {
        return asking.print(&report, &shown(&report));
    };
    let page = html::page(&report)?;
    fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    say!("{}", summary(&report))?;
    say!("Wrote {}", path.display())?;
    Ok(Outcome::Fine)
}

/// The page about a product as things stand, and its verdicts in a sentence.
pub(super) async fn page(
    connection: Connection,
    product: &str,
) -> anyhow::Result<(String, String)> {
    let request = pb::ReportConformityRequest {
        question: None,
        product_id: product.to_owned(),
    };
    let report = made(connection, request).await?;
    Ok((html::page(&report)?, summary(&report)))
}

/// Waits for the report, and shows how far it is.
async fn made(
    connection: Connection,
    request: pb::ReportConformityRequest,
) -> anyhow::Result<pb::Conformity> {
    let answers = client::follow_up(connection)
        .report_conformity(request)
        .await;
    let mut answers = answers
        .map_err(|status| client::failed(&status))?
        .into_inner();
    let bar = progress::endless("patients");
    loop {
        let answer = answers.message().await;
        let answer = answer.map_err(|status| client::failed(&status))?;
        let answer = answer.context("the server ended without a report")?;
        bar.set_position(answer.patients_seen);
        if let Some(report) = answer.report {
            bar.finish_and_clear();
            return Ok(report);
        }
    }
}

/// How many rows have a verdict.
fn count(report: &pb::Conformity, verdict: ConformityVerdict) -> usize {
    let rows = report.rows.iter();
    rows.filter(|row| row.verdict() == verdict).count()
}

/// The verdicts in a sentence.
fn summary(report: &pb::Conformity) -> String {
    let counts = VERDICTS.map(|verdict| {
        let count = count(report, verdict);
        format!("{count} {}", words(verdict))
    });
    format!(
        "{}: {} obligations, {}; {} patients treated.",
        report.product_id,
        report.rows.len(),
        counts.join(", "),
        report.patients
    )
}

/// A verdict, in words.
fn words(verdict: ConformityVerdict) -> String {
    word(verdict, ConformityVerdict::as_str_name)
        .to_lowercase()
        .replace('_', " ")
}

/// Of whom or what an exception is.
fn of(exception: &ConformityException) -> &str {
    match &exception.of {
        Some(Of::Patient(patient)) => patient,
        Some(Of::Document(name)) => name,
        None => "the product",
    }
}

/// What was counted, in words.
fn counted(row: &ConformityRow) -> String {
    let counts = row.counts.iter();
    let counts: Vec<String> = counts
        .map(|one| format!("{} {}", one.count, one.what))
        .collect();
    counts.join(", ")
}

fn shown(report: &pb::Conformity) -> Shown {
    let rows = report.rows.iter().map(|row| {
        let first = row.exceptions.first();
        let why = match first {
            None => row.because.clone(),
            Some(one) => {
                let more = row.exceptions_total.saturating_sub(1);
                let more = if more == 0 {
                    String::new()
                } else {
                    format!(" (and {more} more)")
                };
                format!("{}: {}{more}", of(one), one.reason)
            }
        };
        vec![
            row.obligation.clone(),
            word(row.verdict(), ConformityVerdict::as_str_name),
            counted(row),
            row.asks.clone(),
            why,
        ]
    });
    let exceptions = report.rows.iter().flat_map(|row| {
        row.exceptions.iter().map(|one| {
            let entries = one.evidence.iter();
            let entries: Vec<String> = entries.map(|entry| entry.index.to_string()).collect();
            vec![
                row.obligation.clone(),
                of(one).to_owned(),
                one.reason.clone(),
                entries.join(" "),
            ]
        })
    });
    Shown {
        message: "genetrail.v1.Conformity",
        answered: report.answered.clone(),
        tables: vec![
            Table {
                title: "obligations",
                empty: "none",
                columns: &["obligation", "verdict", "counts", "asks", "why"],
                rows: rows.collect(),
            },
            Table {
                title: "exceptions",
                empty: "none",
                columns: &["obligation", "of", "reason", "entries"],
                rows: exceptions.collect(),
            },
        ],
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn report() -> pb::Conformity {
        let evidence = |index| pb::Evidence {
            index,
            record_id: format!("record-{index}"),
        };
        let row = |obligation: &str, verdict: ConformityVerdict| ConformityRow {
            obligation: obligation.to_owned(),
            section: "2(2)1".to_owned(),
            asks: format!("What {obligation} asks for."),
            checked: format!("What is checked for {obligation}."),
            verdict: verdict.into(),
            counts: vec![pb::ConformityCount {
                what: "patients".to_owned(),
                count: 6,
            }],
            ..ConformityRow::default()
        };
        let mut not_met = row("A-39", ConformityVerdict::NotMet);
        not_met.exceptions_total = 2;
        not_met.exceptions = vec![
            ConformityException {
                of: Some(Of::Patient("P4".to_owned())),
                reason: "12 days <late> & \"more\"".to_owned(),
                evidence: vec![evidence(17), evidence(23)],
            },
            ConformityException {
                of: Some(Of::Document("plan X".to_owned())),
                reason: "empty".to_owned(),
                evidence: Vec::new(),
            },
        ];
        let mut untold = row("A-36", ConformityVerdict::CannotTell);
        untold.because = "record the reports".to_owned();
        let mut other = row("A-14", ConformityVerdict::NotApplicable);
        other.because = "the product edits no genes".to_owned();
        let mut met = row("A-12", ConformityVerdict::Met);
        met.evidence = vec![evidence(3)];
        pb::Conformity {
            answered: Some(pb::Answered {
                as_of: "2026-01-15".to_owned(),
                tree_size: 177,
                view: pb::QuestionView::AsCorrected.into(),
            }),
            product_id: "SYN-CAR19".to_owned(),
            product_name: "a <script>product</script>".to_owned(),
            patients: 6,
            rows: vec![met, other, untold, not_met],
        }
    }

    #[test]
    fn the_table_has_a_row_for_each_obligation_and_says_why() {
        let lines = shown(&report()).lines(None);
        assert_eq!(lines[0], "obligations: 4");
        let line = |id: &str| lines.iter().find(|line| line.contains(id)).unwrap();
        assert!(line("A-12").contains("MET"));
        assert!(line("A-14").contains("the product edits no genes"));
        assert!(line("A-36").contains("CANNOT_TELL"));
        assert!(line("A-39").contains("P4: 12 days"));
        assert!(line("A-39").contains("(and 1 more)"));
        assert!(lines.iter().any(|line| line.contains("17 23")));
    }

    #[test]
    fn the_summary_counts_every_verdict() {
        assert_eq!(
            summary(&report()),
            "SYN-CAR19: 4 obligations, 1 not met, 1 cannot tell, 1 met, 1 not applicable; 6 patients treated."
        );
    }
}
