//! What is expected of a history when it is asked: every block of answers is asked of the services, put into
//! the words of the history, and compared. A block or a field that nobody knows is a difference.

mod consent;
mod deviations;
mod follow_up;
mod trace;

use anyhow::{Context as _, Result};
use genetrail::pb;
use serde_json::Value;

use super::{compare::Differences, parties::Party, play::Played};

impl Played<'_> {
    /// Asks everything that is expected, and tells what was answered otherwise.
    pub(crate) async fn ask_all(&self, found: &mut Differences) -> Result<()> {
        let blocks = self.history["expected"].as_object();
        for (name, expected) in blocks.context("a history expects answers")? {
            self.ask_block(name, expected, found)
                .await
                .with_context(|| format!("asking for {name}"))?;
        }
        Ok(())
    }

    async fn ask_block(&self, name: &str, expected: &Value, found: &mut Differences) -> Result<()> {
        match name {
            "reconsent" | "consent_lists" => self.consent_lists(name, expected, found).await,
            "sampling" => self.sampling(expected, found).await,
            "rcl_tasks" => self.rcl_tasks(expected, found).await,
            "contact_after_year5" => self.contacts(expected, found).await,
            "ltfu_end" => self.ends(expected, found).await,
            "ltfu_status" => self.statuses(expected, found).await,
            "year5_end" => self.year_5_ends(expected, found).await,
            "treated_not_enrolled" => self.treated_not_enrolled(expected, found).await,
            "followup_gaps" => self.gaps(expected, found).await,
            "plan_amendment_check" => self.plan_amendment(expected, found).await,
            "dsur" => self.period(expected, found).await,
            "recall_trace" => self.recall_trace(expected, found).await,
            "reverse_trace" => self.reverse_trace(expected, found).await,
            "lot_trace" => self.lot_trace(expected, found).await,
            "retention_eu_30y" => self.retention(expected, found).await,
            "deviations" => self.deviations(expected, found).await,
            "note" | "notes" | "reason" => Ok(()),
            other => {
                if let Some(patient) = other.strip_prefix("visits_") {
                    return self.visits(patient, expected, found).await;
                }
                found.tell(format!("no block of answers is called {other}"));
                Ok(())
            }
        }
    }
}

/// The answers of a block: a list of them, or one.
fn answers(expected: &Value) -> &[Value] {
    expected
        .as_array()
        .map_or(std::slice::from_ref(expected), Vec::as_slice)
}

/// An expected answer whose rows name their sites by code, as those that are answered do.
fn with_site_codes(expected: &Value) -> Value {
    let mut expected = expected.clone();
    let rows = expected.get_mut("rows").and_then(Value::as_array_mut);
    for site in rows
        .into_iter()
        .flatten()
        .filter_map(|row| row.get_mut("site"))
    {
        if let Some(gln) = site.as_str() {
            *site = site_code(gln).into();
        }
    }
    expected
}

/// The code of a site by its GLN.
fn site_code(gln: &str) -> &str {
    Party::by_gln(gln).map_or(gln, |party| party.code)
}

fn lot_name(lot: Option<&pb::LotKey>) -> &str {
    lot.map_or("", |lot| &lot.lot)
}

/// The word of an enum's value, without the enum's own name.
fn word<E: Copy + Default>(value: E, name: fn(&E) -> &'static str) -> &'static str {
    let prefix = name(&E::default()).trim_end_matches("UNSPECIFIED");
    name(&value).trim_start_matches(prefix)
}
