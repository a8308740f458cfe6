//! The facts that a receipt is flagged from: each subject and each record is asked for many times over and looked up
//! once, and the newest fact is at hand already.

use std::{cell::RefCell, collections::BTreeMap, fmt, sync::Arc};

use prost::bytes::Bytes;

use super::{LedgerFacts, ReadError};
use crate::{
    rules::fact::{Fact, Facts, Records, Subject, corrected},
    tlog::{Index, TreeSize},
};

/// The facts of a tree, and what was asked of them so far: it grows with every subject and record.
pub struct Remembered {
    facts: LedgerFacts,
    newest: Option<Arc<Fact>>,
    asked: RefCell<BTreeMap<Subject, Asked>>,
    /// The records that were asked for by their ids; none where there is no such record.
    records: RefCell<BTreeMap<String, Option<Arc<Fact>>>>,
}

/// What is known of a subject.
struct Asked {
    entries: Vec<Index>,
    /// The facts of these, once they were read.
    about: Option<Vec<Arc<Fact>>>,
}

impl Remembered {
    /// Nothing was asked yet.
    pub const fn new(facts: LedgerFacts) -> Self {
        Self {
            facts,
            newest: None,
            asked: RefCell::new(BTreeMap::new()),
            records: RefCell::new(BTreeMap::new()),
        }
    }

    /// The size of the tree.
    pub fn size(&self) -> TreeSize {
        self.facts.size()
    }

    /// Takes the tree's last entry and the fact of it, so that it need not be read: not here, and not by whoever asks
    /// next, as who records it is often followed by who refers to it.
    pub fn take_newest(&mut self, entry: &Bytes, fact: &Arc<Fact>) {
        self.facts.keep(fact.index, entry);
        // A correction leads to what it corrects, and is read with that.
        if fact.index.value() + 1 == self.size().value() && corrected(&fact.record).is_none() {
            self.newest = Some(Arc::clone(fact));
        }
    }

    /// How many entries of the tree of this size are about a subject.
    ///
    /// # Errors
    /// See [`LedgerFacts::entries_about`].
    pub fn count_about(&self, subject: &Subject, size: TreeSize) -> Result<usize, ReadError> {
        if *subject == Subject::Catalogue {
            return self.facts.count_about(subject, size);
        }
        self.with(subject, |asked| {
            let entries = &asked.entries;
            Ok(entries.partition_point(|index| index.value() < size.value()))
        })
    }

    /// What is known of a subject, looked up if it is asked for the first time.
    fn with<T>(
        &self,
        subject: &Subject,
        answer: impl FnOnce(&mut Asked) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut asked = self.asked.borrow_mut();
        if let Some(known) = asked.get_mut(subject) {
            return answer(known);
        }
        let known = Asked {
            entries: self.facts.entries_about(subject)?,
            about: None,
        };
        answer(asked.entry(subject.clone()).or_insert(known))
    }

    /// The facts of entries in the order of the log.
    fn read(&self, entries: &[Index]) -> Result<Vec<Arc<Fact>>, ReadError> {
        match (&self.newest, entries.split_last()) {
            (Some(newest), Some((last, before))) if *last == newest.index => {
                let mut facts = match before {
                    [] => Vec::new(),
                    before => self.facts.read(before)?,
                };
                facts.push(Arc::clone(newest));
                Ok(facts)
            }
            _ => self.facts.read(entries),
        }
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what was asked of the {:?}", self.facts)
    }
}

impl Facts for Remembered {
    type Error = ReadError;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, ReadError> {
        self.with(subject, |asked| {
            if let Some(facts) = &asked.about {
                return Ok(facts.clone());
            }
            let facts = self.read(&asked.entries)?;
            Ok(asked.about.insert(facts).clone())
        })
    }

    fn count(&self, subject: &Subject, size: TreeSize) -> Result<Option<usize>, ReadError> {
        self.count_about(subject, size).map(Some)
    }

    fn standing(&self, patient: &str) -> Result<Vec<Arc<Fact>>, ReadError> {
        self.facts.standing(patient)
    }
}

impl Records for Remembered {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, ReadError> {
        if let Some(known) = self.records.borrow().get(record_id) {
            return Ok(known.clone());
        }
        let fact = self.facts.record(record_id)?;
        let mut records = self.records.borrow_mut();
        Ok(records.entry(record_id.to_owned()).or_insert(fact).clone())
    }
}
