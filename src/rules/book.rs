//! Facts by subject, in memory: of a history that is read whole. What the ledger keeps in its views comes to
//! the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};

use super::fact::{Fact, Facts, Records, Subject, corrected, subjects};

/// Every fact of a log so far, by subject.
#[derive(Debug, Default)]
pub struct Book {
    by_subject: BTreeMap<Subject, Vec<Arc<Fact>>>,
    subjects_of: BTreeMap<String, BTreeSet<Subject>>,
    by_record_id: BTreeMap<String, Arc<Fact>>,
    facts: Vec<Arc<Fact>>,
}

impl Book {
    /// Takes in the next fact of the log.
    pub fn insert(&mut self, fact: Fact) {
        let fact = Arc::new(fact);
        let mut about = subjects(&fact.record);
        if let Some(target) = corrected(&fact.record) {
            about.extend(self.subjects_of.get(target).into_iter().flatten().cloned());
        }
        for subject in &about {
            let of_subject = self.by_subject.entry(subject.clone()).or_default();
            of_subject.push(Arc::clone(&fact));
        }
        self.subjects_of
            .insert(fact.record.record_id.clone(), about);
        self.by_record_id
            .insert(fact.record.record_id.clone(), Arc::clone(&fact));
        self.facts.push(fact);
    }

    /// Every fact, in the order of the log.
    pub fn facts(&self) -> &[Arc<Fact>] {
        &self.facts
    }

    /// The subjects that have facts, in order, after one.
    pub fn after(&self, after: &Subject) -> impl Iterator<Item = &Subject> {
        use std::ops::Bound::{Excluded, Unbounded};
        let range = self
            .by_subject
            .range::<Subject, _>((Excluded(after), Unbounded));
        range.map(|(subject, _)| subject)
    }
}

impl Facts for Book {
    type Error = Infallible;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, Infallible> {
        Ok(self.by_subject.get(subject).cloned().unwrap_or_default())
    }
}

impl Records for Book {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, Infallible> {
        Ok(self.by_record_id.get(record_id).cloned())
    }
}
