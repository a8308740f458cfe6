//! The facts of a commit that is being prepared, after those that are published: what the next record is held
//! against. Of the records of the commit only those are kept decoded that others are held against; the rest
//! are read when somebody names them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use prost::Message as _;

use super::{LedgerFacts, ReadError};
use crate::{
    pb,
    record::format::parse_uuid,
    rules::{
        fact::{Fact, Facts, Records, Subject, corrected, subjects, with_replacements},
        refusals,
    },
    tlog::Index,
};

/// The records of a commit by id, and the facts of those that others are held against by subject.
#[derive(Debug, Default)]
pub(super) struct Drafted {
    by_subject: BTreeMap<Subject, Vec<Arc<Fact>>>,
}

/// A record of a commit, by its id.
pub(super) trait DraftedRecords {
    /// The record's entry and its bytes.
    fn drafted(&self, record_id: &[u8; 16]) -> Option<(Index, &[u8])>;
}

/// The facts that are published, and after them those of the commit.
pub(super) struct Ahead<'a, R> {
    pub(super) published: LedgerFacts,
    pub(super) drafted: &'a Drafted,
    pub(super) records: &'a R,
    pub(super) now: DateTime<Utc>,
}

impl Drafted {
    /// Takes in a fact, with the subjects that it is about.
    pub(super) fn insert(&mut self, fact: Fact, about: BTreeSet<Subject>) {
        let fact = Arc::new(fact);
        for subject in about {
            self.by_subject
                .entry(subject)
                .or_default()
                .push(Arc::clone(&fact));
        }
    }

    /// Forgets what a refused job had added.
    pub(super) fn cut_back(&mut self, first_forgotten: Index) {
        self.by_subject.retain(|_, facts| {
            facts.retain(|fact| fact.index < first_forgotten);
            !facts.is_empty()
        });
    }
}

impl<R: DraftedRecords> Ahead<'_, R> {
    /// What is wrong with a record because of another.
    pub(super) fn refuse(
        &self,
        record: &pb::Record,
    ) -> Result<Vec<crate::record::Violation>, ReadError> {
        refusals::refuse(self, record, self.now)
    }

    /// The subjects that a record is about; a correction, those of what it corrects as well.
    pub(super) fn subjects(&self, record: &pb::Record) -> Result<BTreeSet<Subject>, ReadError> {
        let mut about = subjects(record);
        let mut target = corrected(record).map(str::to_owned);
        // A correction of a correction is about the record that both correct. Each is later than its target.
        while let Some(id) = target.take() {
            if let Some(fact) = self.record(&id)? {
                about.extend(subjects(&fact.record));
                target = corrected(&fact.record).map(str::to_owned);
            }
        }
        Ok(about)
    }

    fn read(&self, index: Index, bytes: &[u8]) -> Option<Fact> {
        let record = pb::Record::decode(bytes).ok()?;
        Fact::of(index, self.now, "", record)
    }
}

impl<R: DraftedRecords> Facts for Ahead<'_, R> {
    type Error = ReadError;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, ReadError> {
        let mut facts = self.published.about(subject)?;
        let drafted = self.drafted.by_subject.get(subject);
        facts.extend(drafted.into_iter().flatten().map(Arc::clone));
        with_replacements(self, facts)
    }
}

impl<R: DraftedRecords> Records for Ahead<'_, R> {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, ReadError> {
        let id = parse_uuid(record_id).ok();
        let drafted = id.and_then(|id| self.records.drafted(&id));
        if let Some((index, bytes)) = drafted {
            return Ok(self.read(index, bytes).map(Arc::new));
        }
        self.published.record(record_id)
    }
}
