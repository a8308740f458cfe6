//! What cannot or should not be so: submitted on top of a finished history, it is refused with its field
//! named and nothing recorded, or recorded and flagged.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use genetrail::{clock::Clock as _, pb, record::format::parse_civil_date};
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use super::{
    compare::Differences,
    convert::{Converter, in_order},
    play::{Played, submit},
};
use crate::support::{TestServer, as_actor};

/// What a malformed item says of itself beside the event.
const OF_THE_ITEM: [&str; 3] = ["why", "expect", "flag"];

/// Each malformed item of a history: its place among them, and what was expected of it.
pub(crate) fn items(history: &Value) -> impl Iterator<Item = (u64, &Value)> {
    let items = history["malformed"].as_array().into_iter().flatten();
    (1..).zip(items)
}

/// The record of a malformed item, at a time when the history is over.
///
/// What the item does not tell is as in the first event of its kind - of its patient's, if there is one - or else
/// of all; what names a thing that comes to be is new, unless the item names it.
pub(crate) fn record(
    history: &Value,
    number: u64,
    item: &Value,
    now: DateTime<Utc>,
) -> Result<pb::Record> {
    let events = history["events"]
        .as_array()
        .context("a history has events")?;
    let of_kind = || events.iter().filter(|event| event["kind"] == item["kind"]);
    let of_patient = of_kind().find(|event| event["patient"] == item["patient"]);
    let template = of_patient.or_else(|| of_kind().next());
    let mut event = match template {
        Some(event) => event.as_object().context("an event is an object")?.clone(),
        None => [("event_date".to_owned(), events[0]["event_date"].clone())]
            .into_iter()
            .collect(),
    };
    event.remove("event_time");
    event.remove("note");
    event.insert("seq".to_owned(), json!(1_000_000 + number));
    event.insert("recorded_at".to_owned(), json!(now.to_rfc3339()));
    if event.contains_key("sample") && event["kind"] == "SampleCollected" {
        event.insert("sample".to_owned(), json!(format!("MALFORMED-{number}")));
    }
    event.append(&mut item.as_object().context("an item is an object")?.clone());
    event.retain(|name, _| !OF_THE_ITEM.contains(&name.as_str()));

    // A day that does not exist is for the ledger to refuse: it is put in last.
    let day = event["event_date"].as_str().unwrap_or_default().to_owned();
    let exists = parse_civil_date(&day).is_ok();
    if !exists {
        event.insert("event_date".to_owned(), json!(now.date_naive().to_string()));
    }

    let event = Value::Object(event);
    let mut converter = Converter::new(history)?;
    for event in in_order(history)? {
        converter.event(event)?;
    }
    let record = converter.event(&event)?.into_iter().next();
    let mut record = record.context("an event is a record at least")?;
    if !exists {
        record.event_time = day;
    }
    Ok(record)
}

impl Played<'_> {
    /// Submits every malformed item, and tells what was not answered as expected.
    pub(crate) async fn try_malformed(&self, found: &mut Differences) -> Result<()> {
        for (number, item) in items(self.history) {
            let place = format!("malformed {number}, {}", item["why"]);
            if let Some(recorded_at) = item["recorded_at"].as_str() {
                let now = recorded_at.parse().context("recorded_at")?;
                self.server.clock.set(self.server.clock.now().max(now));
            }
            let now = self.server.clock.now();
            let record = record(self.history, number, item, now).with_context(|| place.clone())?;
            let before = tree_size(&self.server).await?;
            let answer = submit(&self.server, record).await;
            let after = tree_size(&self.server).await?;
            match (item["expect"].as_str(), answer) {
                (Some("REFUSE"), Err(status)) => {
                    let details = status.get_error_details();
                    let named = details.bad_request().map(|bad| bad.field_violations.len());
                    if named.unwrap_or_default() == 0 {
                        found.tell(format!("{place}: no field is named by {status:?}"));
                    }
                    if status.code() != Code::InvalidArgument
                        && status.code() != Code::FailedPrecondition
                    {
                        found.tell(format!("{place}: {:?} is no refusal", status.code()));
                    }
                    if before != after {
                        found.tell(format!(
                            "{place}: refused, and {after} entries are not {before}"
                        ));
                    }
                }
                (Some("REFUSE"), Ok(receipt)) => {
                    found.tell(format!("{place}: recorded as entry {}", receipt.index));
                }
                (Some("RECORD_AND_FLAG"), Ok(receipt)) => {
                    self.server.check(&receipt);
                    ensure!(after == before + 1, "{place}: one record is one entry");
                    let wanted = item["flag"].as_str().context("a flag is expected")?;
                    let codes: Vec<&str> = receipt
                        .flags
                        .iter()
                        .map(|flag| flag.code.as_str())
                        .collect();
                    if !codes.contains(&wanted) {
                        found.tell(format!("{place}: {wanted} is not among {codes:?}"));
                    }
                }
                (Some("RECORD_AND_FLAG"), Err(status)) => {
                    found.tell(format!("{place}: refused: {}", status.message()));
                }
                (other, _) => found.tell(format!("{place}: nothing can be expected to {other:?}")),
            }
        }
        Ok(())
    }
}

async fn tree_size(server: &TestServer) -> Result<u64> {
    let request = as_actor(pb::GetCheckpointRequest {});
    let answer = server.ledger().get_checkpoint(request).await?;
    Ok(answer.into_inner().tree_size)
}
