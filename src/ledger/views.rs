//! The views of a ledger, kept in step with its entries: by the writer after each commit, and by opening for
//! what lies beyond their watermarks. Knows how an entry is found; what is in a view is the view's business.

use prost::Message as _;

use super::{ReadError, reader};
use crate::{
    pb,
    record::{entry::EntryView, format::parse_uuid},
    rules::fact::Fact,
    store::Store,
    tlog::{Index, TreeSize},
    views::{Earlier, FactIndex, Posts, RecordIds, Tally, ViewError},
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
        let damaged = || ReadError::damaged(index);
        let view = EntryView::parse(entry).map_err(|_| damaged())?;
        let record = pb::Record::decode(view.record).map_err(|_| damaged())?;
        Ok(Self {
            record_id: parse_uuid(&record.record_id).map_err(|_| damaged())?,
            posts: Posts::of(&record),
        })
    }
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
            let earlier = Stored { views: self, store };
            self.facts.insert(store, index, posts, &earlier)?;
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
        let earlier = Stored { views: self, store };
        self.facts.expect(store, index, posts, &earlier, tally)
    }

    /// One step of upkeep: a few hundred keys, and a filter.
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

/// The entries as they are stored.
struct Stored<'a> {
    views: &'a Views,
    store: &'a dyn Store,
}

impl Earlier for Stored<'_> {
    type Error = ReadError;

    fn find(&self, record_id: &[u8; 16], end: Index) -> Result<Option<Index>, ReadError> {
        for index in self.views.ids.candidates(self.store, record_id)? {
            if end <= index {
                continue;
            }
            let viewed = Viewed::read(index, &reader::entry(self.store, index)?)?;
            if viewed.record_id == *record_id {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn read(&self, index: Index) -> Result<Fact, ReadError> {
        let entry = reader::entry(self.store, index)?;
        Fact::read(&entry).map_err(|_| ReadError::damaged(index))
    }
}
