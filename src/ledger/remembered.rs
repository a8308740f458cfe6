//! The facts that a receipt is flagged from: each subject is asked for many times over and looked up once, and the
//! newest fact is at hand already.

use std::{cell::RefCell, collections::BTreeMap, fmt, sync::Arc};

use super::{LedgerFacts, ReadError};
use crate::{
    rules::fact::{Fact, Facts, Records, Subject, corrected},
    tlog::{Index, TreeSize},
};

/// The facts of a tree, and what was asked of them so far: it grows with every subject.
pub struct Remembered {
    facts: LedgerFacts,
    newest: Option<Arc<Fact>>,
    entries: RefCell<BTreeMap<Subject, Vec<Index>>>,
    about: RefCell<BTreeMap<Subject, Vec<Arc<Fact>>>>,
}

impl Remembered {
    /// Nothing was asked yet.
    pub const fn new(facts: LedgerFacts) -> Self {
        Self {
            facts,
            newest: None,
            entries: RefCell::new(BTreeMap::new()),
            about: RefCell::new(BTreeMap::new()),
        }
    }

    /// The size of the tree.
    pub fn size(&self) -> TreeSize {
        self.facts.size()
    }

    /// Takes the fact of the tree's last entry, so that it need not be read and decoded.
    pub fn take_newest(&mut self, fact: &Arc<Fact>) {
        // A correction leads to what it corrects, and is read with that.
        if fact.index.value() + 1 == self.size().value() && corrected(&fact.record).is_none() {
            self.newest = Some(Arc::clone(fact));
        }
    }

    /// See [`LedgerFacts::entries_about`].
    ///
    /// # Errors
    /// As there.
    pub fn entries_about(&self, subject: &Subject) -> Result<Vec<Index>, ReadError> {
        if let Some(entries) = self.entries.borrow().get(subject) {
            return Ok(entries.clone());
        }
        let found = self.facts.entries_about(subject)?;
        let mut entries = self.entries.borrow_mut();
        entries.insert(subject.clone(), found.clone());
        Ok(found)
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
        if let Some(facts) = self.about.borrow().get(subject) {
            return Ok(facts.clone());
        }
        let facts = self.read(&self.entries_about(subject)?)?;
        let mut about = self.about.borrow_mut();
        about.insert(subject.clone(), facts.clone());
        Ok(facts)
    }

    fn count(&self, subject: &Subject, size: TreeSize) -> Result<Option<usize>, ReadError> {
        let entries = self.entries_about(subject)?;
        let known = entries.partition_point(|index| index.value() < size.value());
        Ok(Some(known))
    }

    fn standing(&self, patient: &str) -> Result<Vec<Arc<Fact>>, ReadError> {
        self.facts.standing(patient)
    }
}

impl Records for Remembered {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, ReadError> {
        self.facts.record(record_id)
    }
}
