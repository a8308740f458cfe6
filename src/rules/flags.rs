//! The flags that a record raises by itself: facts that were recorded all the same, and that somebody should
//! look at. Rules that need another record are evaluated elsewhere; they share these types.
//!
//! A flag is never stored: it is the rule evaluated as known at the record's index, so that anybody who has
//! the log can evaluate it again.

pub mod codes;
mod kinds;

#[cfg(feature = "server")]
pub(super) use self::kinds::{contradicts_itself, guideline_months};

#[cfg(test)]
#[cfg(feature = "server")]
mod tests;

use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};

use crate::{
    pb::{self, Severity},
    record::{
        self, SKEW_MAX,
        format::{EventTime, Instant, Precision},
        kind_name, kind_rule,
    },
};

/// A rule that a recorded fact can raise. Its code is part of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagRule {
    /// Its name, for machines: `COPY_NOT_GIVEN`.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What it means and what to do, for people.
    pub text: &'static str,
    /// The rules behind it, by number, where it has one.
    pub basis: &'static [&'static str],
}

/// A rule that a record raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The rule's code.
    pub code: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// The field that raised it, as a path into the record.
    pub field: Cow<'static, str>,
    /// What it means and what to do.
    pub text: &'static str,
}

/// The flags that a record raises by itself, as recorded at that time. The record has passed its checks, which
/// found these labels `unverified`.
pub fn flags(
    record: &pb::Record,
    unverified: Vec<String>,
    recorded_at: DateTime<Utc>,
) -> Vec<Flag> {
    let Some(kind) = &record.kind else {
        return Vec::new();
    };
    let mut raised = Raised {
        kind: kind_name(kind),
        flags: Vec::new(),
    };
    envelope(record, kind, recorded_at, &mut raised);
    for field in unverified {
        raised.push(codes::IDENTIFIER_UNVERIFIED, field.into());
    }
    kinds::of_kind(record, kind, recorded_at, &mut raised);
    raised.flags
}

fn envelope(
    record: &pb::Record,
    kind: &pb::record::Kind,
    recorded_at: DateTime<Utc>,
    raised: &mut Raised,
) {
    let least = if kind_rule(kind).minute {
        Precision::Minute
    } else {
        Precision::Day
    };
    let coarse = record::event_precision(record).is_some_and(|precision| precision < least);
    if coarse {
        raised.push(codes::PRECISION_TOO_COARSE, "event_time".into());
    }
    if let Ok(client) = Instant::parse(&record.client_time) {
        let off = recorded_at.signed_duration_since(client.date_time()).abs();
        if SKEW_MAX < off {
            raised.push(codes::CLIENT_CLOCK_SKEW, "client_time".into());
        }
    }
    let transcribed = record.source_kind() == pb::SourceKind::Transcribed;
    if transcribed && record.source_doc.is_none() && record.reason.trim().is_empty() {
        raised.push(codes::SOURCE_DOC_MISSING, "source_doc".into());
    }
}

/// Gathers the flags of one record.
struct Raised {
    kind: &'static str,
    flags: Vec<Flag>,
}

impl Raised {
    /// Raises a rule at a field of the kind, if it holds.
    fn when(&mut self, holds: bool, rule: FlagRule, field: &str) {
        if holds {
            self.push(rule, format!("{}.{field}", self.kind).into());
        }
    }

    fn push(&mut self, rule: FlagRule, field: Cow<'static, str>) {
        let FlagRule {
            code,
            severity,
            text,
            basis: _,
        } = rule;
        self.flags.push(Flag {
            code,
            severity,
            field,
            text,
        });
    }
}

/// Whether a time is less than so many days after another instant, or before it.
fn is_within_days(text: &str, after: DateTime<Utc>, days: i64) -> bool {
    let Ok(time) = EventTime::parse(text) else {
        return false;
    };
    let limit = after.checked_add_signed(TimeDelta::days(days));
    limit.is_some_and(|limit| record::Span::of(time, None).first < limit)
}
