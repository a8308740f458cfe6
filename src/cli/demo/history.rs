//! The worked history: six patients, two hospitals, seven years of a CAR-T product, all of it invented.
//! It is played record by record through the API, under its own clock.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use serde_json::Value;
use tonic::transport::Channel;

use super::{ADMINISTRATOR, clock::DemoClock};
use crate::{
    cli::{client, progress, record, record_json, rejection::Rejection},
    pb,
};

const HISTORY: &str = include_str!("../../../examples/car-t.ndjson");

/// A record of the history.
pub(super) struct Event {
    /// When its sender sent it.
    pub(super) at: DateTime<Utc>,
    /// The record in proto3 JSON.
    pub(super) json: Value,
}

impl Event {
    fn parse(line: &str) -> anyhow::Result<Self> {
        let json: Value = serde_json::from_str(line)?;
        let at = json
            .get("clientTime")
            .and_then(Value::as_str)
            .context("without a clientTime")?;
        Ok(Self {
            at: DateTime::parse_from_rfc3339(at)?.to_utc(),
            json,
        })
    }

    /// Who submits it: the person who did what it tells of.
    pub(super) fn actor(&self) -> &str {
        let actor = self.json.get("actorPerson").and_then(Value::as_str);
        actor.unwrap_or(ADMINISTRATOR)
    }

    /// The text at a JSON pointer; empty where there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.json
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether it is of this kind, by its name in JSON.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.json.get(kind).is_some()
    }
}

/// All records, in the order in which they were recorded.
pub(super) fn events() -> anyhow::Result<Vec<Event>> {
    let events = HISTORY.lines().map(Event::parse);
    events
        .collect::<anyhow::Result<_>>()
        .context("examples/car-t.ndjson")
}

/// Sends a record as the system of a hospital does.
pub(super) async fn submit(
    channel: &Channel,
    json: &Value,
    actor: &str,
) -> anyhow::Result<Result<pb::Receipt, Rejection>> {
    let encoded = record_json::parse(&json.to_string())?;
    let request = pb::RecordRequest {
        submission: Some(record::submission(encoded.bytes, None, "")),
        validate_only: false,
    };
    let connection = client::call_as(channel.clone(), Some(actor))?;
    match client::recording(connection).record(request).await {
        Ok(answer) => Ok(Ok(answer.into_inner().receipt.context("no receipt")?)),
        Err(status) => Ok(Err(Rejection::from(&status))),
    }
}

/// The receipts of the history, by the place of their events in it.
pub(super) async fn play(
    channel: &Channel,
    clock: &DemoClock,
    events: &[Event],
) -> anyhow::Result<Vec<pb::Receipt>> {
    let bar = progress::bar(u64::try_from(events.len())?, "records");
    let mut receipts = Vec::new();
    for (event, number) in events.iter().zip(1_u32..) {
        clock.set(event.at);
        match submit(channel, &event.json, event.actor()).await? {
            Ok(receipt) => receipts.push(receipt),
            Err(rejection) => bail!("record {number} of the history was refused: {rejection}"),
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(receipts)
}

/// How many there are of what a pharmacist asks about first.
pub(super) fn counts(events: &[Event]) -> String {
    let kinds = [
        ("patientRegistered", "patients"),
        ("consentSigned", "signed consents"),
        ("lotRegistered", "lots"),
        ("administration", "administrations"),
        ("sampleCollected", "samples"),
        ("recallOpened", "recall"),
    ];
    let count = |kind| events.iter().filter(|event| event.is(kind)).count();
    kinds
        .map(|(kind, name)| format!("{} {name}", count(kind)))
        .join(", ")
}

/// How often each flag of this severity was raised.
pub(super) fn flags(receipts: &[pb::Receipt], severity: pb::Severity) -> BTreeMap<&str, usize> {
    let mut flags = BTreeMap::new();
    let raised = receipts.iter().flat_map(|receipt| &receipt.flags);
    for flag in raised.filter(|flag| flag.severity() == severity) {
        *flags.entry(flag.code.as_str()).or_default() += 1;
    }
    flags
}
