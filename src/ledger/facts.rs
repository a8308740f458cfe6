//! The facts of a published tree, by subject: what questions are asked of. Finds the entries by the views,
//! reads each of their blocks once, and keeps those that were read lately, decoded.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use prost::bytes::Bytes;

use super::{ReadError, Shared, reader};
use crate::{
    record::{entry::EntryView, format::parse_uuid},
    rules::fact::{Fact, Facts, Records, Subject, corrected, with_replacements},
    tlog::{Index, TreeSize},
};

/// Facts that were read and are kept decoded, at most. Of about 3 KB each: up to 50 MB.
const KEPT_READ: usize = 16_384;

/// Entries that were recorded and are kept, as who records one is often followed by who refers to it. As bytes: most are
/// never asked for, and what is decoded is many small pieces of memory, which are in no cache any more when they are
/// given back. Apart, so that what is recorded does not push out what is read.
const KEPT_RECORDED: usize = 2_048;

/// Of so many bytes at most: 8 MB. A larger entry is read from the store if it is asked for.
const KEPT_ENTRY_BYTES_MAX: usize = 4_096;

/// The parts that facts are kept in. Threads that make receipts at the same time seldom wait for each other.
const KEPT_PARTS: usize = 32;

/// Facts that were read or recorded lately. An entry never changes, so neither does what is kept.
#[derive(Debug)]
pub(super) struct KeptFacts {
    parts: Vec<Mutex<Kept>>,
}

/// A part of what is kept.
#[derive(Debug)]
struct Kept {
    read: Places<Arc<Fact>>,
    recorded: Places<Bytes>,
}

/// What is kept of each entry in the place that its index says, with a few others: of these the ones that were used last
/// stay. It is found in one step, where putting all in the order of their use would cost several, and it lasts about as
/// long.
#[derive(Debug)]
struct Places<T>(Vec<Place<T>>);

/// What is kept in one place, what was used last first.
type Place<T> = [Option<(Index, T)>; OF_PLACE];

/// With one in each, of five thousand facts that a page of a list is made of, seven hundred would push each other out every
/// time.
const OF_PLACE: usize = 8;

impl Default for KeptFacts {
    fn default() -> Self {
        let part = || Kept {
            read: Places::of(KEPT_READ / KEPT_PARTS),
            recorded: Places::of(KEPT_RECORDED / KEPT_PARTS),
        };
        let parts = (0..KEPT_PARTS).map(|_| Mutex::new(part()));
        Self {
            parts: parts.collect(),
        }
    }
}

impl KeptFacts {
    /// The fact of an entry, if that is kept; decoded for the first time, if it was only recorded so far.
    fn find(&self, index: Index) -> Result<Option<Arc<Fact>>, ReadError> {
        let entry = {
            let Some((mut part, index_there)) = self.part(index) else {
                return Ok(None);
            };
            if let Some(fact) = part.read.find(index, index_there) {
                return Ok(Some(fact));
            }
            part.recorded.find(index, index_there)
        };
        let Some(entry) = entry else {
            return Ok(None);
        };
        let fact = decoded(index, &entry)?;
        self.keep_read(&fact);
        Ok(Some(fact))
    }

    fn keep_read(&self, fact: &Arc<Fact>) {
        if let Some((mut part, index_there)) = self.part(fact.index) {
            part.read.keep(fact.index, index_there, fact);
        }
    }

    fn keep_recorded(&self, index: Index, entry: &Bytes) {
        if KEPT_ENTRY_BYTES_MAX < entry.len() {
            return;
        }
        if let Some((mut part, index_there)) = self.part(index) {
            part.recorded.keep(index, index_there, entry);
        }
    }

    /// The part that an entry belongs in, and its index among those of the part.
    fn part(&self, index: Index) -> Option<(MutexGuard<'_, Kept>, usize)> {
        let index = usize::try_from(index.value()).ok()?;
        let part = self.parts.get(index % KEPT_PARTS)?;
        let part = part.lock().unwrap_or_else(PoisonError::into_inner);
        Some((part, index / KEPT_PARTS))
    }
}

fn decoded(index: Index, entry: &[u8]) -> Result<Arc<Fact>, ReadError> {
    let damaged = |_| ReadError::damaged(index);
    Ok(Arc::new(Fact::read(entry).map_err(damaged)?))
}

impl<T: Clone> Places<T> {
    /// Room for so many.
    fn of(kept: usize) -> Self {
        Self(vec![[const { None }; OF_PLACE]; kept / OF_PLACE])
    }

    /// What is kept of an index, which counts as used.
    fn find(&mut self, index: Index, index_here: usize) -> Option<T> {
        let place = self.place(index_here)?;
        let is_it = |held: &Option<(Index, _)>| held.as_ref().is_some_and(|held| held.0 == index);
        let at = place.iter().position(is_it)?;
        place.get_mut(..=at)?.rotate_right(1);
        place.first()?.as_ref().map(|(_, kept)| kept.clone())
    }

    /// Keeps it instead of what was used longest ago in its place.
    fn keep(&mut self, index: Index, index_here: usize, kept: &T) {
        if self.find(index, index_here).is_none()
            && let Some(place) = self.place(index_here)
        {
            place.rotate_right(1);
            if let Some(first) = place.first_mut() {
                *first = Some((index, kept.clone()));
            }
        }
    }

    fn place(&mut self, index_here: usize) -> Option<&mut Place<T>> {
        let places = self.0.len();
        self.0.get_mut(index_here % places)
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
            let index = Index::new(index);
            let entry = reader::entry(store, index)?;
            let damaged = |_| ReadError::damaged(index);
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

    /// Keeps an entry that was just recorded.
    pub(super) fn keep(&self, index: Index, entry: &Bytes) {
        self.shared.kept.keep_recorded(index, entry);
    }

    /// The facts at these indexes, which ascend.
    fn facts_at(&self, indexes: &[Index]) -> Result<Vec<Arc<Fact>>, ReadError> {
        let kept = &self.shared.kept;
        let found = indexes.iter().map(|&index| kept.find(index));
        let mut found: Vec<Option<Arc<Fact>>> = found.collect::<Result<_, _>>()?;
        let both = indexes.iter().zip(&found);
        let missing = both.filter(|(_, fact)| fact.is_none());
        let missing: Vec<Index> = missing.map(|(index, _)| *index).collect();
        let mut read = Vec::with_capacity(missing.len());
        let (store, blocks) = (self.shared.store.as_ref(), &self.shared.blocks);
        reader::entries_at(store, blocks, &missing, |index, entry| {
            read.push(decoded(index, entry)?);
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

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::{record::entry::RecordedAt, tlog::Hash};

    fn entry(index: u64) -> Bytes {
        entry_with(index, "")
    }

    fn entry_with(index: u64, reason: &str) -> Bytes {
        let record = crate::pb::Record {
            event_time: "2026-01-05".to_owned(),
            reason: reason.to_owned(),
            ..Default::default()
        };
        let entry = EntryView {
            index: Index::new(index),
            previous: Hash::ZERO,
            recorded_at: RecordedAt::new(0, 0).unwrap(),
            salt: [0; 16],
            actor: "ward-1",
            record: &record.encode_to_vec(),
            author: None,
        };
        entry.encode().into()
    }

    fn fact(index: u64) -> Arc<Fact> {
        decoded(Index::new(index), &entry(index)).unwrap()
    }

    fn is_there(kept: &KeptFacts, index: u64) -> bool {
        let found = kept.find(Index::new(index)).unwrap();
        found.is_some_and(|fact| fact.index.value() == index)
    }

    #[test]
    fn what_was_read_is_kept_until_others_of_its_place_were_used_since() {
        let kept = KeptFacts::default();
        let many = u64::try_from(KEPT_READ).unwrap();
        (0..many).for_each(|index| kept.keep_read(&fact(index)));
        assert!((0..many).all(|index| is_there(&kept, index)));
        // The first of the place of 7 was asked for once more, so the second goes.
        let second = many / u64::try_from(OF_PLACE).unwrap() + 7;
        assert!(is_there(&kept, 7));
        kept.keep_read(&fact(many + 7));
        let gone: Vec<u64> = (0..many).filter(|index| !is_there(&kept, *index)).collect();
        assert_eq!(gone, [second]);
        assert!(is_there(&kept, many + 7));
        assert!(!is_there(&kept, many + 8));
    }

    #[test]
    fn what_is_recorded_does_not_push_out_what_was_read() {
        let kept = KeptFacts::default();
        kept.keep_read(&fact(3));
        let (newest, many) = (10_000, u64::try_from(KEPT_RECORDED).unwrap());
        (0..newest).for_each(|index| kept.keep_recorded(Index::new(index), &entry(index)));
        assert!(is_there(&kept, 3));
        assert!((newest - many..newest).all(|index| is_there(&kept, index)));
        assert!(!is_there(&kept, newest - many - 1));
    }

    #[test]
    fn a_large_entry_is_not_kept() {
        let kept = KeptFacts::default();
        for (index, bytes) in [(1, KEPT_ENTRY_BYTES_MAX), (2, KEPT_ENTRY_BYTES_MAX + 1)] {
            let mut of_any_size = (0..bytes).map(|len| entry_with(index, &"x".repeat(len)));
            let entry = of_any_size.find(|entry| entry.len() == bytes).unwrap();
            kept.keep_recorded(Index::new(index), &entry);
        }
        assert!(is_there(&kept, 1));
        assert!(!is_there(&kept, 2));
    }

    #[test]
    fn what_was_recorded_is_decoded_once() {
        let kept = KeptFacts::default();
        kept.keep_recorded(Index::new(5), &entry(5));
        let first = kept.find(Index::new(5)).unwrap().unwrap();
        let second = kept.find(Index::new(5)).unwrap().unwrap();
        assert_eq!(first, fact(5));
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn a_kept_entry_that_is_none_is_damage() {
        let kept = KeptFacts::default();
        kept.keep_recorded(Index::new(5), &Bytes::from_static(b"not an entry"));
        let found = kept.find(Index::new(5));
        let damaged = matches!(found, Err(ReadError::EntryDamaged { index: 5 }));
        assert!(damaged, "{found:?}");
    }
}
