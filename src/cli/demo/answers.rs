//! The answers: what the log is for. Each is asked of a day in the history, as a coordinator, a laboratory and a
//! sponsor would have asked on it.

use std::{fs, path::Path};

use anyhow::Context as _;

use crate::{
    cli::{client::Connection, due, query::Shown, reconsent, report, say, trace},
    pb::{self, ObligationKind, ObligationState, ReconsentList, SamplePurpose},
};

/// The days on which the questions are asked.
const RECONSENT_DAY: &str = "2024-05-15";
const SAMPLES_DAY: &str = "2024-08-15";
const RECALL_DAY: &str = "2025-08-14";

/// The product of the history.
const PRODUCT: &str = "SYN-CAR19";

/// Asks the questions, prints the answers, and writes the page for an inspector, if there is a place where it stays.
pub(super) async fn show(connection: Connection, page: Option<&Path>) -> anyhow::Result<()> {
    say!(
        "     On {RECONSENT_DAY} a new consent version is in force at both hospitals. Who must still sign it,"
    )?;
    say!("     and by which rule? (genetrail reconsent --as-of {RECONSENT_DAY})")?;
    let request = pb::ListReconsentRequest {
        question: Some(on(RECONSENT_DAY)),
        lists: vec![ReconsentList::Needs.into()],
        ..pb::ListReconsentRequest::default()
    };
    let answer = reconsent::all(connection.clone(), request).await?;
    print(&reconsent::shown(&answer), &["to sign"])?;

    say!(
        "     Which samples are overdue on {SAMPLES_DAY}? (genetrail due --overdue --kind sample)"
    )?;
    let request = pb::ListObligationsRequest {
        question: Some(on(SAMPLES_DAY)),
        kinds: vec![ObligationKind::Sample.into()],
        purposes: vec![SamplePurpose::Persistence.into()],
        states: vec![ObligationState::Overdue.into()],
        ..pb::ListObligationsRequest::default()
    };
    let answer = due::obligations(connection.clone(), request).await?;
    print(&due::obligations_shown(&answer), &["due"])?;

    say!(
        "     On {RECALL_DAY}, two days after a vector lot is recalled: who received what was made from it,"
    )?;
    say!(
        "     and what is left, and where? (genetrail trace recall RCL-2025-01 --as-of {RECALL_DAY})"
    )?;
    let request = trace::recall_request(on(RECALL_DAY), "RCL-2025-01");
    let answer = trace::of_recall(connection.clone(), request).await?;
    print(&trace::recall_shown(&answer), &["administered", "left"])?;
    say!("     The entries are the evidence: genetrail prove gives anybody the proof of each.")?;

    say!("\n     And how does the product stand to the guideline, today?")?;
    let (html, summary) = report::page(connection, PRODUCT).await?;
    say!("       {summary}")?;
    let Some(page) = page else {
        return say!(
            "     The page for an inspector: genetrail report --product {PRODUCT} --html FILE"
        );
    };
    fs::write(page, html).with_context(|| format!("cannot write {}", page.display()))?;
    say!("     The page for an inspector: file://{}", page.display())
}

/// A question about a day, by who knows all of the log.
fn on(day: &str) -> pb::Question {
    pb::Question {
        as_of: day.to_owned(),
        ..pb::Question::default()
    }
}

fn print(shown: &Shown, titles: &[&str]) -> anyhow::Result<()> {
    let tables = shown
        .tables
        .iter()
        .filter(|table| titles.contains(&table.title));
    for line in tables.flat_map(|table| table.lines(None)) {
        say!("       {line}")?;
    }
    say!("")
}
