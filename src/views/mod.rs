//! What is derived from the entries so that questions need not read all of them: keyspaces that hold
//! nothing which entries do not, and that come out equal when they are dropped and rebuilt.
//!
//! Two today: which entry carries a record id ([`RecordIds`]), and which entries say who may sign
//! ([`authority`]). They know the store and the bytes of an entry, and nothing of time.
//!
//! | key | value |
//! |---|---|
//! | `10` run (4) bucket (4) | a bucket of a run of record ids |
//! | `11` run (4) page (4) | a page of a run's filter |
//! | `12` | the manifest of the runs, with their watermark |
//! | `13` index (8) | empty: the entry at this index names an actor or a key |

pub mod authority;
mod filter;
mod record_ids;

pub use record_ids::{RecordIds, ViewError};

use crate::store::{Direction, KeyRange, Store, StoreError, Write};

const RUN: u8 = 0x10;
const FILTER: u8 = 0x11;
const MANIFEST: u8 = 0x12;
const AUTHORITY: u8 = 0x13;
const END: u8 = 0x20;

/// How many keys one step of upkeep writes or removes: well inside the store's atomic batch.
const STEP_KEYS: usize = 256;

/// Drops every view.
///
/// # Errors
/// The store's.
pub fn drop_all(store: &dyn Store) -> Result<(), StoreError> {
    loop {
        let range = KeyRange {
            start: vec![RUN],
            end: vec![END],
        };
        let found = store.scan(&range, Direction::Forward, STEP_KEYS)?;
        if found.is_empty() {
            return store.sync();
        }
        let removes: Vec<Write> = found
            .into_iter()
            .map(|(key, _)| Write::Remove { key })
            .collect();
        store.trail(&removes)?;
    }
}
