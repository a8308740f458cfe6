//! The facts of a published tree, by subject: what questions are asked of. Finds the entries by the views,
//! reads each of their blocks once, and keeps those that were read lately, decoded.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use super::{ReadError, Shared, reader};
use crate::{
    record::{entry::EntryView, format::parse_uuid},
    rules::fact::{Fact, Facts, Records, Subject, corrected, with_replacements},
    tlog::{Index, TreeSize},
    views::Lately,
};

/// Facts that were read and are kept decoded, at least; at most twice as many. Of about 3 KB each: up to 50 MB.
const KEPT_READ: usize = 8_192;

/// Facts that were recorded and are kept, as who records one is often followed by who refers to it. Few, as each takes
/// memory that is in no cache any more; and apart, so that what is recorded does not push out what is read.
const KEPT_RECORDED: usize = 1_024;

/// The parts that facts are kept in, by the last digits of their indexes. Threads that make receipts at the same time
/// seldom wait for each other; and what is forgotten at once is little.
const KEPT_PARTS: usize = 32;

/// Facts that were read or recorded lately. An entry never changes, so neither does what is kept.
#[derive(Debug)]
pub(super) struct KeptFacts {
    parts: [Mutex<Kept>; KEPT_PARTS],
}

/// A part of what is kept.
#[derive(Debug)]
struct Kept {
    read: Lately<Index, Arc<Fact>>,
    recorded: Lately<Index, Arc<Fact>>,
}

impl Default for KeptFacts {
    fn default() -> Self {
        let part = || Kept {
            read: Lately::of(KEPT_READ / KEPT_PARTS),
            recorded: Lately::of(KEPT_RECORDED / KEPT_PARTS),
        };
        Self {
            parts: std::array::from_fn(|_| Mutex::new(part())),
        }
    }
}

impl KeptFacts {
    fn find(&self, index: Index) -> Option<Arc<Fact>> {
        let Kept { read, recorded } = &mut *self.part(index);
        read.find(&index)
            .or_else(|| recorded.find(&index))
            .map(Arc::clone)
    }

    fn keep_read(&self, fact: &Arc<Fact>) {
        self.part(fact.index)
            .read
            .keep(fact.index, Arc::clone(fact));
    }

    fn keep_recorded(&self, fact: &Arc<Fact>) {
        self.part(fact.index)
            .recorded
            .keep(fact.index, Arc::clone(fact));
    }

    fn part(&self, index: Index) -> MutexGuard<'_, Kept> {
        let part = usize::try_from(index.value()).unwrap_or(0) % KEPT_PARTS;
        self.parts[part]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The facts of the tree that was published when they were asked for. What is recorded since is not seen.
#[derive(Clone)]
pub struct LedgerFacts {
    shared: Arc<Shared>,
    size: TreeSize,
}

impl fmt::Debug for LedgerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "facts of the tree of size {}", self.size)
    }
}

impl LedgerFacts {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let size = shared.published().size();
        Self { shared, size }
    }

    /// The same facts as they were when the tree had this size; never more than there are.
    #[must_use]
    pub fn at(self, size: TreeSize) -> Self {
        let size = size.min(self.size);
        Self { size, ..self }
    }

    /// The size of the tree.
    pub fn size(&self) -> TreeSize {
        self.size
    }

    /// The subjects after one that facts are about: the first `limit`, in order, whatever their kind.
    ///
    /// # Errors
    /// The store's, and where a view is damaged.
    pub fn subjects_after(&self, after: &Subject, limit: usize) -> Result<Vec<Subject>, ReadError> {
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let subjects = views.facts.subjects_after(store, after, self.size, limit);
        self.or_suspect(subjects.map_err(ReadError::from))
    }

    /// The patients after one who may be at a site: registered or treated there, transferred to it, or merged with
    /// somebody who may be. The first `limit`, in order; the empty text is before all.
    ///
    /// # Errors
    /// The store's, and where a view is damaged.
    pub fn patients_at(
        &self,
        site: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, ReadError> {
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let patients = views
            .facts
            .patients_at(store, site, after, self.size, limit);
        self.or_suspect(patients.map_err(ReadError::from))
    }

    /// The entries that are about a subject, in the order of the log, without reading them.
    ///
    /// # Errors
    /// The store's, and where a view is damaged.
    pub fn entries_about(&self, subject: &Subject) -> Result<Vec<Index>, ReadError> {
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let entries = views.facts.about(store, subject, self.size);
        self.or_suspect(entries.map_err(ReadError::from))
    }

    /// How many entries are about a subject in the tree of this size; never more than there are.
    ///
    /// # Errors
    /// The store's, and where a view is damaged.
    pub fn count_about(&self, subject: &Subject, size: TreeSize) -> Result<usize, ReadError> {
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let count = views.facts.count(store, subject, size.min(self.size));
        self.or_suspect(count.map_err(ReadError::from))
    }

    /// How many entries were recorded by an instant: `recorded_at` never goes back.
    ///
    /// # Errors
    /// The store's, and where an entry is damaged.
    pub fn size_at(&self, instant: DateTime<Utc>) -> Result<TreeSize, ReadError> {
        let store = self.shared.store.as_ref();
        let is_later = |index: u64| -> Result<bool, ReadError> {
            let entry = reader::entry(store, Index::new(index))?;
            let damaged = |_| ReadError::EntryDamaged { index };
            let view = EntryView::parse(&entry).map_err(damaged)?;
            Ok(instant < view.recorded_at.to_utc())
        };
        let (mut low, mut high) = (0, self.size.value());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.or_suspect(is_later(middle))? {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(TreeSize::new(low))
    }

    /// The facts from an index on, in the order of the log, at most so many.
    ///
    /// # Errors
    /// Where the store fails, or an entry is not there.
    pub fn from(&self, from: Index, limit: usize) -> Result<Vec<Arc<Fact>>, ReadError> {
        let end = from
            .value()
            .saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
        let end = end.min(self.size.value());
        let indexes: Vec<Index> = (from.value()..end).map(Index::new).collect();
        self.facts_at(&indexes)
    }

    /// The facts of entries about one subject, which ascend, with what is corrected.
    pub(super) fn read(&self, entries: &[Index]) -> Result<Vec<Arc<Fact>>, ReadError> {
        let facts = self.facts_at(entries);
        let facts = self.or_suspect(facts.and_then(|facts| self.with_what_is_corrected(facts)))?;
        with_replacements(self, facts)
    }

    /// Keeps a fact that was just recorded.
    pub(super) fn keep(&self, fact: &Arc<Fact>) {
        self.shared.kept.keep_recorded(fact);
    }

    /// The facts at these indexes, which ascend.
    fn facts_at(&self, indexes: &[Index]) -> Result<Vec<Arc<Fact>>, ReadError> {
        let kept = &self.shared.kept;
        let mut found: Vec<Option<Arc<Fact>>> =
            indexes.iter().map(|&index| kept.find(index)).collect();
        let both = indexes.iter().zip(&found);
        let missing = both.filter(|(_, fact)| fact.is_none());
        let missing: Vec<Index> = missing.map(|(index, _)| *index).collect();
        let mut read = Vec::with_capacity(missing.len());
        let (store, blocks) = (self.shared.store.as_ref(), &self.shared.blocks);
        reader::entries_at(store, blocks, &missing, |index, entry| {
            let damaged = |_| ReadError::EntryDamaged {
                index: index.value(),
            };
            read.push(Arc::new(Fact::read(entry).map_err(damaged)?));
            Ok(())
        })?;
        for fact in &read {
            kept.keep_read(fact);
        }
        let mut read = read.into_iter();
        for fact in &mut found {
            if fact.is_none() {
                *fact = read.next();
            }
        }
        Ok(found.into_iter().flatten().collect())
    }

    /// The facts, and the records that became about the same by corrections among these, with all that corrects
    /// them.
    fn with_what_is_corrected(
        &self,
        mut facts: Vec<Arc<Fact>>,
    ) -> Result<Vec<Arc<Fact>>, ReadError> {
        // Most subjects have no corrections at all.
        if !facts.iter().any(|fact| corrected(&fact.record).is_some()) {
            return Ok(facts);
        }
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let mut known: BTreeSet<&str> = BTreeSet::new();
        let mut missing: BTreeSet<Index> = BTreeSet::new();
        for fact in &facts {
            let target = corrected(&fact.record);
            if target.is_some_and(|target| !known.contains(target)) {
                missing.extend(views.facts.trail(store, fact.index, self.size)?);
            }
            known.insert(&fact.record.record_id);
        }
        for fact in &facts {
            missing.remove(&fact.index);
        }
        if !missing.is_empty() {
            let missing: Vec<Index> = missing.into_iter().collect();
            facts.extend(self.facts_at(&missing)?);
            facts.sort_by_key(|fact| fact.index);
        }
        Ok(facts)
    }

    /// What cannot be read stops the ledger, and makes the next start look at everything.
    fn or_suspect<T>(&self, outcome: Result<T, ReadError>) -> Result<T, ReadError> {
        outcome.inspect_err(|error| self.shared.suspect(error))
    }
}

impl Facts for LedgerFacts {
    type Error = ReadError;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, ReadError> {
        self.read(&self.entries_about(subject)?)
    }

    fn count(&self, subject: &Subject, size: TreeSize) -> Result<Option<usize>, ReadError> {
        self.count_about(subject, size).map(Some)
    }

    fn standing(&self, patient: &str) -> Result<Vec<Arc<Fact>>, ReadError> {
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let entries = views.facts.standing(store, patient, self.size);
        self.read(&self.or_suspect(entries.map_err(ReadError::from))?)
    }
}

impl Records for LedgerFacts {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, ReadError> {
        let Ok(id) = parse_uuid(record_id) else {
            return Ok(None);
        };
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let candidates =
            self.or_suspect(views.ids.candidates(store, &id).map_err(ReadError::from))?;
        for index in candidates {
            if self.size.value() <= index.value() {
                continue;
            }
            let found = self.or_suspect(self.facts_at(&[index]))?;
            let same =
                |fact: &&Arc<Fact>| parse_uuid(&fact.record.record_id).is_ok_and(|own| own == id);
            if let Some(fact) = found.iter().find(same) {
                return Ok(Some(Arc::clone(fact)));
            }
        }
        Ok(None)
    }
}
