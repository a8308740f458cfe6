//! The deviations that must be found. Others may be found as well.

use anyhow::{Context as _, Result};
use genetrail::pb::{self, trace_service_client::TraceServiceClient};
use serde_json::{Map, Value, json};

use super::{super::compare::Differences, super::play::Played, lot_name, site_code};

impl Played<'_> {
    /// Asked as of the last event: a list of deviations has no date.
    pub(super) async fn deviations(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        let expected = expected.as_array().context("deviations are a list")?;
        let mut answered = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = self.ask(pb::ListDeviationsRequest {
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

/// A deviation in the words that histories have for its days.
fn deviation(row: &pb::Deviation) -> Value {
    let mut told = Map::new();
    let mut tell = |name: &str, value: &str| {
        if !value.is_empty() {
            told.entry(name).or_insert(json!(value));
        }
    };
    tell("code", &row.code);
    tell("patient", &row.patient);
    tell("lot", lot_name(row.lot.as_ref()));
    tell("site", site_code(&row.site));
    for detail in &row.details {
        tell(&detail.name, &detail.value);
    }
    for on in ["event", "signed", "administered"] {
        tell(on, &row.on);
    }
    for due in ["due", "deadline", "effective"] {
        tell(due, &row.due);
    }
    for actual in ["actual", "recorded", "consented"] {
        tell(actual, &row.actual);
    }
    if let Some(days) = row.days {
        told.insert("days".to_owned(), json!(days));
    }
    Value::Object(told)
}
