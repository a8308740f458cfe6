//! Plays a history: each record through the API of a real server, as its actor, at the time at which the
//! history says that it was recorded. Then the server is asked.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use genetrail::{
    clock::Clock as _,
    pb::{self, question::KnownAt},
    record::format::parse_civil_date,
};
use serde_json::Value;
use tonic::Status;

use super::convert::{Converter, convert, in_order};
use crate::support::{ADMINISTRATOR, TestServer};

/// A history that has been played, and the server that holds it.
pub(crate) struct Played<'h> {
    pub(crate) history: &'h Value,
    pub(crate) server: TestServer,
    /// What the events told: it names in the history's words what the API names in its own.
    pub(crate) told: Converter<'h>,
    time_zone: Tz,
}

/// Plays the events in the order of `seq`, after the registrations that a history takes for granted.
pub(crate) async fn play(history: &Value) -> Result<Played<'_>> {
    let records = convert(history)?;
    let times: Result<Vec<DateTime<Utc>>, _> = records
        .iter()
        .map(|record| record.client_time.parse())
        .collect();
    let times = times?;
    let first = times.iter().min().context("a history has records")?;
    let server = TestServer::start_at(*first, |_| ()).await;
    for (record, now) in records.into_iter().zip(times) {
        // The ledger's clock does not go back; what is told out of order was recorded no earlier.
        server.clock.set(now.max(server.clock.now()));
        let told = record.clone();
        let recorded = submit(&server, record).await;
        recorded.with_context(|| format!("{} of {}", told.record_id, told.event_time))?;
    }
    let mut told = Converter::new(history)?;
    for event in in_order(history)? {
        told.event(event)?;
    }
    let time_zone = history["time_zone"].as_str().unwrap_or_default();
    Ok(Played {
        history,
        server,
        told,
        time_zone: time_zone.parse()?,
    })
}

/// Submits a record as whoever did what it tells, or else as the administrator.
pub(crate) async fn submit(server: &TestServer, record: pb::Record) -> Result<pb::Receipt, Status> {
    let actor = record.actor_person.clone();
    match actor.as_str() {
        "" => server.record_as(ADMINISTRATOR, record).await,
        actor => server.record_as(actor, record).await,
    }
}

impl Played<'_> {
    /// The last day on which anything happened.
    pub(crate) fn last_day(&self) -> Result<NaiveDate> {
        let events = self.history["events"].as_array().into_iter().flatten();
        let days: Result<Vec<_>, _> = events
            .map(|event| parse_civil_date(event["event_date"].as_str().unwrap_or_default()))
            .collect();
        days?.into_iter().max().context("a history has events")
    }

    /// A question about a day, as known at the end of it.
    pub(crate) fn on(&self, as_of: NaiveDate) -> Result<pb::Question> {
        Ok(question(as_of, self.end_of(as_of)?))
    }

    /// A question about the last day of the history, by who knows all of it.
    pub(crate) fn at_the_end(&self) -> Result<pb::Question> {
        Ok(question(self.last_day()?, self.server.clock.now()))
    }

    /// The question that an answer of the history is for: its day and, if it says, when it was known.
    pub(crate) fn question_of(
        &self,
        as_of: Option<&str>,
        known_at: Option<&Value>,
    ) -> Result<pb::Question> {
        let Some(as_of) = as_of else {
            return self.at_the_end();
        };
        let as_of = parse_civil_date(as_of).context("as_of")?;
        let Some(known_at) = known_at else {
            return self.on(as_of);
        };
        // By time, or by the size of the tree.
        if let Some(tree_size) = known_at.as_u64() {
            return Ok(pb::Question {
                known_at: Some(KnownAt::TreeSize(tree_size)),
                ..self.on(as_of)?
            });
        }
        let known_at = known_at.as_str().context("known_at")?;
        let instant = match parse_civil_date(known_at) {
            Ok(day) => self.end_of(day)?,
            Err(_) => known_at.parse().context("known_at")?,
        };
        Ok(question(as_of, instant))
    }

    /// The last microsecond of a civil day in the history's time zone.
    pub(crate) fn end_of(&self, day: NaiveDate) -> Result<DateTime<Utc>> {
        let next = day
            .succ_opt()
            .context("no day follows")?
            .and_time(NaiveTime::MIN);
        let midnight = next.and_local_timezone(self.time_zone).earliest();
        let midnight = midnight.with_context(|| format!("{} has no midnight", next.year()))?;
        Ok(midnight.to_utc() - TimeDelta::microseconds(1))
    }
}

fn question(as_of: NaiveDate, known_at: DateTime<Utc>) -> pb::Question {
    pb::Question {
        as_of: as_of.to_string(),
        known_at: Some(KnownAt::RecordedBy(known_at.to_rfc3339())),
        view: pb::QuestionView::AsCorrected.into(),
    }
}
