//! Facts by subject, in memory: of a history that is read whole. What the ledger keeps in its views comes to
//! the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};

use super::{
    fact::{Fact, Facts, Records, Subject, corrected, subjects, with_replacements},
    question::subjects_as_corrected,
};

/// Every fact of a log so far, by subject.
#[derive(Debug, Default)]
pub struct Book {
    by_subject: BTreeMap<Subject, Vec<Arc<Fact>>>,
    subjects_of: BTreeMap<String, BTreeSet<Subject>>,
    /// The record that a correction is about, also through other corrections, by the correction's id.
    first_of: BTreeMap<String, String>,
    /// A record and its corrections, in the order of the log, by the record's id.
    corrected: BTreeMap<String, Vec<Arc<Fact>>>,
    facts: Vec<Arc<Fact>>,
}

impl Book {
    /// Takes in the next fact of the log.
    pub fn insert(&mut self, fact: Fact) {
        let fact = Arc::new(fact);
        let id = fact.record.record_id.clone();
        let mut about = subjects(&fact.record);
        // A target that is recorded later, or never, adds nothing.
        let target = corrected(&fact.record);
        if let Some(target) = target.filter(|target| self.corrected.contains_key(*target)) {
            let first = self.first_of.get(target).map_or(target, String::as_str);
            let first = first.to_owned();
            about.extend(self.subjects_of.get(&first).into_iter().flatten().cloned());
            self.correct(&first, &fact, &mut about);
            self.first_of.insert(id.clone(), first);
        }
        self.corrected.insert(id.clone(), vec![Arc::clone(&fact)]);
        for subject in &about {
            let of_subject = self.by_subject.entry(subject.clone()).or_default();
            of_subject.push(Arc::clone(&fact));
        }
        self.subjects_of.insert(id, about);
        self.facts.push(fact);
    }

    /// Puts a record and its corrections so far under the subjects that any of them has with a new one.
    fn correct(&mut self, first: &str, by: &Arc<Fact>, about: &mut BTreeSet<Subject>) {
        let Some(trail) = self.corrected.get_mut(first) else {
            return;
        };
        trail.push(Arc::clone(by));
        about.extend(subjects_as_corrected(trail));
        for subject in about.iter() {
            let of_subject = self.by_subject.entry(subject.clone()).or_default();
            of_subject.extend(trail.iter().filter(|fact| fact.index != by.index).cloned());
            of_subject.sort_by_key(|fact| fact.index);
            of_subject.dedup_by_key(|fact| fact.index);
        }
        self.subjects_of.insert(first.to_owned(), about.clone());
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
        with_replacements(
            self,
            self.by_subject.get(subject).cloned().unwrap_or_default(),
        )
    }
}

impl Records for Book {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, Infallible> {
        let of_record = self.corrected.get(record_id);
        Ok(of_record.and_then(|facts| facts.first()).cloned())
    }
}

/// A book, and how often it was asked for the facts of a subject.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Counted<'a> {
    book: &'a Book,
    asked: std::cell::Cell<usize>,
}

#[cfg(test)]
impl<'a> Counted<'a> {
    pub(super) fn new(book: &'a Book) -> Self {
        let asked = std::cell::Cell::new(0);
        Self { book, asked }
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.get()
    }
}

#[cfg(test)]
impl Facts for Counted<'_> {
    type Error = Infallible;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, Infallible> {
        self.asked.set(self.asked.get() + 1);
        self.book.about(subject)
    }
}

#[cfg(test)]
impl Records for Counted<'_> {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, Infallible> {
        self.book.record(record_id)
    }
}
