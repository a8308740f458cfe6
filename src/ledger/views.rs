//! The views of a ledger, kept in step with its entries: by the writer after each commit, and by opening for
//! what lies beyond their watermarks. Knows how an entry is found; what is in a view is the view's business.

use std::{collections::BTreeSet, sync::Arc};

use prost::Message as _;

use super::{ReadError, reader};
use crate::{
    pb,
    record::{entry::EntryView, format::parse_uuid},
    rules::{
        fact::{Fact, Subject, corrected, subjects},
        question::subjects_as_corrected,
    },
    store::Store,
    tlog::{Index, TreeSize},
    views::{Corrected, FactIndex, Posts, RecordIds, Tally, ViewError},
};

/// The views that questions are answered from.
#[derive(Debug)]
pub(super) struct Views {
    pub(super) ids: RecordIds,
    pub(super) facts: FactIndex,
}

/// What the views take of an entry.
#[derive(Debug)]
pub(super) struct Viewed {
    pub(super) record_id: [u8; 16],
    pub(super) posts: Posts,
}

impl Viewed {
    /// What the views take of a stored entry.
    pub(super) fn read(index: Index, entry: &[u8]) -> Result<Self, ReadError> {
        let damaged = || ReadError::EntryDamaged {
            index: index.value(),
        };
        let view = EntryView::parse(entry).map_err(|_| damaged())?;
        let record = pb::Record::decode(view.record).map_err(|_| damaged())?;
        Ok(Self {
            record_id: parse_uuid(&record.record_id).map_err(|_| damaged())?,
            posts: Posts::of(&record),
        })
    }
}

/// The fact of a stored entry.
fn fact(store: &dyn Store, index: Index) -> Result<Fact, ReadError> {
    let damaged = |_| ReadError::EntryDamaged {
        index: index.value(),
    };
    Fact::read(&reader::entry(store, index)?).map_err(damaged)
}

impl Views {
    pub(super) fn open(store: &dyn Store) -> Result<Self, ViewError> {
        Ok(Self {
            ids: RecordIds::open(store)?,
            facts: FactIndex::open(store)?,
        })
    }

    /// No view holds an entry of this index or a later one.
    pub(super) fn is_within(&self, size: TreeSize) -> bool {
        self.ids.watermark() <= size && self.facts.watermark() <= size
    }

    /// Every view holds the entries below.
    pub(super) fn watermark(&self) -> TreeSize {
        self.ids.watermark().min(self.facts.watermark())
    }

    /// Inserts the next entry, which is in the store.
    pub(super) fn insert(
        &self,
        store: &dyn Store,
        index: Index,
        viewed: Viewed,
    ) -> Result<(), ReadError> {
        let Viewed { record_id, posts } = viewed;
        let is_new = |watermark: TreeSize| watermark.value() <= index.value();
        if is_new(self.ids.watermark()) {
            self.ids.insert(&record_id, index);
        }
        if is_new(self.facts.watermark()) {
            let target = |record_id: &_| self.before(store, record_id, index);
            self.facts.insert(store, index, posts, target)?;
        }
        Ok(())
    }

    /// Adds to `tally` what is to be found about an entry.
    pub(super) fn expect(
        &self,
        store: &dyn Store,
        index: Index,
        posts: Posts,
        tally: &mut Tally,
    ) -> Result<(), ReadError> {
        let target = |record_id: &_| self.before(store, record_id, index);
        self.facts.expect(store, index, posts, target, tally)
    }

    /// The target of a correction: the entry before `index` whose record has this id.
    fn before(
        &self,
        store: &dyn Store,
        record_id: &[u8; 16],
        index: Index,
    ) -> Result<Option<Corrected>, ReadError> {
        let Some((target, posts)) = self.find(store, record_id, index)? else {
            return Ok(None);
        };
        Ok(Some(Corrected {
            index: target,
            posts,
            becomes: self.becomes(store, target, index)?,
        }))
    }

    /// The entry before `index` whose record has this id.
    fn find(
        &self,
        store: &dyn Store,
        record_id: &[u8; 16],
        index: Index,
    ) -> Result<Option<(Index, Posts)>, ReadError> {
        for candidate in self.ids.candidates(store, record_id)? {
            if index <= candidate {
                continue;
            }
            let viewed = Viewed::read(candidate, &reader::entry(store, candidate)?)?;
            if viewed.record_id == *record_id {
                return Ok(Some((candidate, viewed.posts)));
            }
        }
        Ok(None)
    }

    /// What the record behind a correction is about, by the correction and all before it.
    fn becomes(
        &self,
        store: &dyn Store,
        target: Index,
        correction: Index,
    ) -> Result<BTreeSet<Subject>, ReadError> {
        let first = self.first(store, fact(store, target)?)?;
        let mut trail = self.trail(store, first, TreeSize::new(correction.value()))?;
        trail.push(Arc::new(fact(store, correction)?));
        Ok(subjects_as_corrected(&trail))
    }

    /// The record that a correction is about in the end, also through other corrections; any other record is
    /// its own.
    pub(super) fn first(&self, store: &dyn Store, of: Fact) -> Result<Fact, ReadError> {
        let mut first = of;
        // A target has a lower index, so this ends.
        while let Some(target) = corrected(&first.record) {
            let Ok(record_id) = parse_uuid(target) else {
                break;
            };
            match self.find(store, &record_id, first.index)? {
                Some((index, _)) => first = fact(store, index)?,
                None => break,
            }
        }
        Ok(first)
    }

    /// A record and its corrections below `size`, and theirs, in the order of the log.
    pub(super) fn trail(
        &self,
        store: &dyn Store,
        first: Fact,
        size: TreeSize,
    ) -> Result<Vec<Arc<Fact>>, ReadError> {
        // All are posted under each of its subjects: the fewest entries are read under the narrowest.
        let mut narrowest: Option<Vec<Index>> = None;
        for subject in subjects(&first.record) {
            // What is said of the catalogue stays there, however corrected.
            if subject == Subject::Catalogue {
                continue;
            }
            let indexes = self.facts.about(store, &subject, size)?;
            let fewest = narrowest.as_ref().map_or(usize::MAX, Vec::len);
            if indexes.len() < fewest {
                narrowest = Some(indexes);
            }
        }
        let mut of_trail = BTreeSet::from([first.record.record_id.clone()]);
        let after = first.index;
        let mut trail = vec![Arc::new(first)];
        for index in narrowest.unwrap_or_default() {
            if index <= after {
                continue;
            }
            let fact = fact(store, index)?;
            if corrected(&fact.record).is_some_and(|target| of_trail.contains(target)) {
                of_trail.insert(fact.record.record_id.clone());
                trail.push(Arc::new(fact));
            }
        }
        Ok(trail)
    }

    /// One step of upkeep: a few hundred keys.
    pub(super) fn keep_up(&self, store: &dyn Store) -> Result<(), ViewError> {
        self.ids.keep_up(store)?;
        self.facts.keep_up(store)
    }

    /// Stores everything, so that nothing need be read again at the next start.
    pub(super) fn close(&self, store: &dyn Store) -> Result<(), ViewError> {
        self.ids.close(store)?;
        self.facts.close(store)
    }
}
