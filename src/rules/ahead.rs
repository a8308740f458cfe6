//! Facts as they would be if a few more records were recorded: what a record would be flagged with, or refused
//! for, before it is.

use std::{collections::BTreeSet, sync::Arc};

use super::fact::{Fact, Facts, Records, Subject, corrected, subjects};
use crate::tlog::TreeSize;

/// Facts, and a few more after them.
#[derive(Debug)]
pub struct Ahead<F> {
    facts: F,
    added: Vec<(Arc<Fact>, BTreeSet<Subject>)>,
}

impl<F: Records> Ahead<F> {
    /// Nothing more than these facts.
    pub const fn new(facts: F) -> Self {
        Self {
            facts,
            added: Vec::new(),
        }
    }

    /// One more.
    pub fn add(&mut self, fact: Fact) -> Result<(), F::Error> {
        let mut about = subjects(&fact.record);
        let mut target = corrected(&fact.record).map(str::to_owned);
        // A correction of a correction is about the record that both correct; each is later than its target.
        while let Some(id) = target.take() {
            if let Some(fact) = self.record(&id)? {
                about.extend(subjects(&fact.record));
                target = corrected(&fact.record).map(str::to_owned);
            }
        }
        self.added.push((Arc::new(fact), about));
        Ok(())
    }
}

impl<F: Records> Facts for Ahead<F> {
    type Error = F::Error;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, F::Error> {
        let mut facts = self.facts.about(subject)?;
        let added = self
            .added
            .iter()
            .filter(|(_, about)| about.contains(subject));
        facts.extend(added.map(|(fact, _)| Arc::clone(fact)));
        Ok(facts)
    }

    fn count(&self, subject: &Subject, size: TreeSize) -> Result<Option<usize>, F::Error> {
        // What is only tried may be tried otherwise next time.
        if self.added.iter().any(|(_, about)| about.contains(subject)) {
            return Ok(None);
        }
        self.facts.count(subject, size)
    }
}

impl<F: Records> Records for Ahead<F> {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, F::Error> {
        let mut added = self.added.iter();
        let found = added.find(|(fact, _)| fact.record.record_id == record_id);
        match found {
            Some((fact, _)) => Ok(Some(Arc::clone(fact))),
            None => self.facts.record(record_id),
        }
    }
}
