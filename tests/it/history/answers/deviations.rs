//! The deviations that must be found. Others may be found as well.

use anyhow::{Context as _, Result};
use genetrail::pb::{self, trace_service_client::TraceServiceClient};
use serde_json::{Map, Value, json};

use super::{super::compare::Differences, super::play::Played, lot_name, site_code};
use crate::support::as_actor;

impl Played<'_> {
    /// Asked as of the last event: a list of deviations has no date.
    pub(super) async fn deviations(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        let expected = expected.as_array().context("deviations are a list")?;
        let mut answered = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = as_actor(pb::ListDeviationsRequest {
                question: Some(self.at_the_end()?),
                page_token,
                ..Default::default()
            });
            let answer = TraceServiceClient::new(self.server.channel())
                .list_deviations(request)
                .await?
                .into_inner();
            answered.extend(answer.rows.iter().map(deviation));
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        found.take("deviations", expected, answered);
        Ok(())
    }
}

/// A deviation in the words of a history.
fn deviation(row: &pb::Deviation) -> Value {
    let fields = [
        ("code", row.code.as_str()),
        ("patient", &row.patient),
        ("lot", lot_name(row.lot.as_ref())),
        ("coi", &row.coi),
        ("sample", &row.sample_id),
        ("version", &row.version),
        ("site", site_code(&row.site)),
        ("event", &row.event),
        ("recorded", &row.recorded),
        ("due", &row.due),
        ("deadline", &row.deadline),
        ("actual", &row.actual),
        ("signed", &row.signed),
        ("effective", &row.effective),
        ("administered", &row.administered),
        ("consented", &row.consented),
        ("scanned", &row.scanned),
    ];
    let mut told: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    told.insert("days".to_owned(), json!(row.days));
    Value::Object(told)
}
