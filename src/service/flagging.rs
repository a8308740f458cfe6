//! What a record is flagged with, as known at its entry: what it raises by itself, what it raises together with
//! the records before it, and what its author's key is suspected of. Never stored; evaluated again for whoever
//! asks again.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Utc};
use prost::bytes::Bytes;

use super::{
    catalogues::Catalogues,
    error::{CallError, in_request},
    submission::{CheckedRecord, Path},
};
use crate::{
    ledger::{Ledger, ReadError, Remembered},
    record::{Violation, kind_rule},
    rules::{
        ahead::Ahead,
        deviations::{self, Deviation},
        fact::{Fact, Records, Subject},
        flags::{Flag, flags},
        question::{Question, View},
        refusals,
    },
    tlog::{Index, TreeSize},
};

/// Entries about one subject of a record, up to which looking at all of them costs less than handing the work to
/// another thread.
const SHORT_HISTORY: usize = 256;

/// Where records are flagged.
#[derive(Clone)]
pub(super) struct Flagging {
    ledger: Arc<Ledger>,
    catalogues: Catalogues,
}

impl Flagging {
    /// Flags the records of this ledger.
    pub(super) fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            catalogues: Catalogues::default(),
        }
    }

    /// The facts up to an entry and with it.
    pub(super) fn facts_up_to(&self, index: Index) -> Remembered {
        Remembered::new(self.ledger.facts().at(after(index)))
    }

    /// Whether flagging a record about these looks at few others.
    pub(super) fn is_quick(
        facts: &Remembered,
        subjects: &BTreeSet<Subject>,
    ) -> Result<bool, CallError> {
        for subject in subjects {
            // The catalogue is kept.
            if *subject != Subject::Catalogue
                && SHORT_HISTORY < facts.count_about(subject, facts.size())?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The flags of an entry's record, but for those of its key, from the facts up to it. Reads the store.
    pub(super) fn of_entry(
        &self,
        mut facts: Remembered,
        entry: &Bytes,
        fact: Fact,
        unverified: Vec<String>,
    ) -> Result<Vec<Flag>, CallError> {
        let mut raised = flags(&fact.record, unverified, fact.recorded_at);
        let fact = Arc::new(fact);
        facts.take_newest(entry, &fact);
        raised.extend(self.together(&facts, &fact)?);
        Ok(raised)
    }

    /// What records would be flagged with if they were recorded now, in this order; or why they would be
    /// refused. Reads the store.
    pub(super) fn preview(
        &self,
        records: Vec<(Path, CheckedRecord)>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Vec<Vec<Flag>>, CallError> {
        let facts = Remembered::new(self.ledger.facts());
        let mut index = Index::new(facts.size().value());
        let mut ahead = Ahead::new(facts);
        let mut previews = Vec::with_capacity(records.len());
        let mut refused: Vec<Violation> = Vec::new();
        for (path, checked) in records {
            let CheckedRecord {
                record,
                subjects: _,
                unverified,
            } = checked;
            refused.extend(in_request(&path, &refusals::refuse(&ahead, &record, now)?));
            let mut raised = flags(&record, unverified, now);
            // A record that is there already is flagged as it was; it is not recorded again.
            let recorded = ahead.record(&record.record_id)?;
            if let Some(fact) = recorded {
                raised.extend(self.together(&ahead, &fact)?);
            } else if let Some(fact) = Fact::of(index, now, actor, *record) {
                ahead.add(fact.clone())?;
                raised.extend(self.together(&ahead, &fact)?);
                index = Index::new(after(index).value());
            }
            previews.push(raised);
        }
        if refused.is_empty() {
            Ok(previews)
        } else {
            Err(CallError::Refused(refused))
        }
    }

    /// What a fact raises together with those before it.
    fn together<F: Records<Error = ReadError>>(
        &self,
        facts: &F,
        fact: &Fact,
    ) -> Result<Vec<Flag>, CallError> {
        // Who acts and where is registered by the thousand. All that other records can say of it is that a GLN is
        // registered otherwise as well, and the list of deviations says so: not each receipt, at the price of
        // reading all the others.
        if fact.kind().is_none_or(|kind| kind_rule(kind).housekeeping) {
            return Ok(Vec::new());
        }
        let recorded_on = match fact.record.site_tz.parse::<chrono_tz::Tz>() {
            Ok(zone) => fact.recorded_at.with_timezone(&zone).date_naive(),
            Err(_) => fact.recorded_at.date_naive(),
        };
        let question = Question {
            // A clock may be a little behind the sender's: the record itself is seen in any case.
            as_of: recorded_on.max(fact.on),
            known_at: after(fact.index),
            view: View::AsCorrected,
        };
        let catalogue = self.catalogues.of(facts, &question)?;
        let raised = deviations::of_record(facts, fact, &catalogue, &question)?;
        Ok(raised.into_iter().map(Deviation::into_flag).collect())
    }
}

/// The tree in which an entry is the last.
fn after(index: Index) -> TreeSize {
    TreeSize::new(index.value().saturating_add(1))
}
