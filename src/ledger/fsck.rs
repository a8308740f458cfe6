//! Checks a ledger that is open: the log as the offline verifier does, the views against the entries,
//! and the journal against the store. It reads; it repairs nothing.

use std::sync::Arc;

use prost::Message as _;

use super::{Entries, Ledger, ReadError, open, published::Published, reader};
use crate::{
    record::entry::{EntryView, record_kind},
    rules::keys::is_authority_kind,
    store::{Store, journal::Journal},
    tlog::{Hash, Index, TILE_WIDTH, TileId, TreeSize, leaf_hash},
    verify::{LogSource, SourceError},
    views::{RecordIds, authority},
};

/// A stored log, laid out as an exported one.
pub struct StoredLog {
    store: Arc<dyn Store>,
    published: Arc<Published>,
}

impl std::fmt::Debug for StoredLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stored log of size {}", self.published.size())
    }
}

impl StoredLog {
    pub(super) fn new(store: Arc<dyn Store>, published: Arc<Published>) -> Self {
        Self { store, published }
    }
}
