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
    fields::{NO_SUCH_WORD, Unsayable},
    play::{Played, submit},
};
use crate::support::{TestServer, as_actor};

/// How often a value is replaced that no record can have.
const REPLACEMENTS_MAX: usize = 8;

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

    let mut event = Value::Object(event);
    let mut record = converted(history, &event);
    for _ in 0..REPLACEMENTS_MAX {
        match record.as_ref().err().and_then(|error| error.downcast_ref()) {
            // No enum has the word: the ledger has to refuse a number that it has no word for.
            Some(Unsayable::Word { word, .. }) => {
                replace(&mut event, &json!(word), &json!(NO_SUCH_WORD));
            }
            Some(Unsayable::Missing { name }) => event[name.as_str()] = json!(""),
            Some(Unsayable::Value { .. }) | None => break,
        }
        record = converted(history, &event);
    }
    let mut record = record?;
    if !exists {
        record.event_time = day;
    }
    Ok(record)
}

/// The first record of an event that is told after a history.
fn converted(history: &Value, event: &Value) -> Result<pb::Record> {
    let mut converter = Converter::new(history)?;
    for event in in_order(history)? {
        converter.event(event)?;
    }
    let record = converter.event(event)?.into_iter().next();
    record.context("an event is a record at least")
}

/// Puts one value in the place of another, wherever that is.
fn replace(within: &mut Value, old: &Value, new: &Value) {
    match within {
        value if value == old => *value = new.clone(),
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, old, new)),
        Value::Object(fields) => fields
            .values_mut()
            .for_each(|value| replace(value, old, new)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
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
            let record = match record(self.history, number, item, now) {
                Ok(record) => record,
                // No message can say it, and so it is never submitted.
                Err(error) if item["expect"] == "REFUSE" && error.is::<Unsayable>() => continue,
                Err(error) => {
                    found.tell(format!("{place}: {error:#}"));
                    continue;
                }
            };
            let before = tree_size(&self.server).await?;
            let answer = submit(&self.server, record).await;
            let after = tree_size(&self.server).await?;
            match (item["expect"].as_str(), answer) {
                (Some("REFUSE"), Err(status)) => {
                    let details = status.get_error_details();
                    let named = details.bad_request().map(|bad| bad.field_violations.len());
                    // A record id that is taken is the one thing that is wrong then.
                    let is_taken = status.code() == Code::AlreadyExists;
                    if named.unwrap_or_default() == 0 && !is_taken {
                        found.tell(format!("{place}: no field is named by {status:?}"));
                    }
                    let refusals = [Code::InvalidArgument, Code::FailedPrecondition];
                    if !refusals.contains(&status.code()) && !is_taken {
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
