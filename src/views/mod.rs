//! What is derived from the entries so that questions need not read all of them: keyspaces that hold
//! nothing which entries do not, and that come out equal when they are dropped and rebuilt.
//!
//! Three today: which entry carries a record id ([`RecordIds`]), which entries say who may sign
//! ([`authority`]), and which are about a patient, a lot or whatever else is asked about ([`FactIndex`]).
//! They know the store and what a record names, and nothing of time.
//!
//! | key | value |
//! |---|---|
//! | `10` run (4) bucket (4) | a bucket of a run of record ids |
//! | `11` run (4) page (4) | a page of a run's filter |
//! | `12` | the manifest of the runs, with their watermark |
//! | `13` index (8) | empty: the entry at this index names an actor or a key |
//! | `14` run (4) first posting | a block of a run of postings: what entries are about |
//! | `15` run (4) page (4) | a page of the filter of a run of postings |
//! | `16` | the manifest of the runs of postings, with their watermark |

pub mod authority;
mod block;
mod facts;
mod filter;
mod group;
mod lately;
mod postings;
mod record_ids;
mod tally;

pub use facts::{Earlier, FactIndex, Posts};
pub use record_ids::RecordIds;
pub use tally::Tally;

use std::sync::OnceLock;

use self::filter::{Filter, Probe};
use crate::store::{Direction, KeyRange, Store, StoreError, Write, every_second_first};

const RUN: u8 = 0x10;
const FILTER: u8 = 0x11;
const MANIFEST: u8 = 0x12;
const AUTHORITY: u8 = 0x13;
const POSTINGS: u8 = 0x14;
const POSTINGS_FILTER: u8 = 0x15;
const POSTINGS_MANIFEST: u8 = 0x16;
const END: u8 = 0x20;

/// How many keys one step of upkeep writes or removes.
const STEP_KEYS: usize = 256;

/// Why a view cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// What is stored is not a view; drop and rebuild it.
    #[error("a view is damaged at run {run}")]
    Damaged {
        /// The run.
        run: u32,
    },
}

/// Drops every view.
///
/// # Errors
/// The store's.
pub fn drop_all(store: &dyn Store) -> Result<(), StoreError> {
    let range = KeyRange::new([RUN], [END]);
    while remove_step(store, &range)? {}
    store.sync()
}

/// The key of what is numbered in a run: a bucket, a page of its filter.
fn run_key(kind: u8, run: u32, number: u32) -> Vec<u8> {
    let (run, number) = (run.to_be_bytes(), number.to_be_bytes());
    [&[kind], run.as_slice(), number.as_slice()].concat()
}

/// The writes of a run's filter.
fn put_filter(kind: u8, run: u32, filter: &Filter) -> impl Iterator<Item = Write> {
    let pages = (0_u32..).zip(filter.pages());
    pages.map(move |(page, bytes)| Write::Put {
        key: run_key(kind, run, page),
        value: bytes,
    })
}

/// The filter of a run, read when it is first asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct RunFilter(OnceLock<Filter>);

impl RunFilter {
    /// Whether the run may hold a digest, as far as can be told without reading the filter.
    fn is_worth_asking(&self, probe: &Probe) -> bool {
        self.0.get().is_none_or(|filter| filter.may_hold(probe))
    }

    /// The filter of a run, which was made for so many digests.
    fn read(
        &self,
        store: &dyn Store,
        kind: u8,
        run: u32,
        digests: u64,
    ) -> Result<&Filter, ViewError> {
        if let Some(filter) = self.0.get() {
            return Ok(filter);
        }
        let pages = (0_u32..).take(Filter::page_count(digests));
        let keys: Vec<Vec<u8>> = pages.map(|page| run_key(kind, run, page)).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let pages: Option<Vec<Vec<u8>>> = store.get_many(&keys)?.into_iter().collect();
        let filter = pages.and_then(|pages| Filter::from_pages(digests, &pages));
        let filter = filter.ok_or(ViewError::Damaged { run })?;
        Ok(self.0.get_or_init(|| filter))
    }
}

impl From<Filter> for RunFilter {
    fn from(filter: Filter) -> Self {
        Self(OnceLock::from(filter))
    }
}

/// Removes up to a step of the keys, of these kinds, of the runs `first..end`; `false` if there are none.
fn remove_some(
    store: &dyn Store,
    kinds: [u8; 2],
    first: u32,
    end: u32,
) -> Result<bool, StoreError> {
    for kind in kinds {
        let key = |run: u32| [&[kind], run.to_be_bytes().as_slice()].concat();
        let range = KeyRange::new(key(first), key(end));
        if remove_step(store, &range)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes up to a step of the keys in a range; `false` if there are none.
fn remove_step(store: &dyn Store, range: &KeyRange) -> Result<bool, StoreError> {
    let found = store.scan(range, Direction::Forward, STEP_KEYS)?;
    let removes = found.into_iter().map(|(key, _)| Write::Remove { key });
    let removes: Vec<Write> = removes.collect();
    if removes.is_empty() {
        return Ok(false);
    }
    store.trail(&removes)?;
    Ok(true)
}

/// Trails many writes by steps; the manifest, which makes them count, comes after.
fn trail(store: &dyn Store, writes: Vec<Write>) -> Result<(), StoreError> {
    every_second_first(writes)
        .chunks(STEP_KEYS)
        .try_for_each(|step| store.trail(step))
}
