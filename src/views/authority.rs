//! Which entries say who may sign: the ledger reads just these when it opens.

use super::AUTHORITY;
use crate::{
    store::{Direction, KeyRange, Store, StoreError, Write},
    tlog::Index,
};

/// How many indexes one read of the list takes.
const PAGE: usize = 1_000;

/// The write that lists an entry.
pub fn list(index: Index) -> Write {
    Write::Put {
        key: key(index),
        value: Vec::new(),
    }
}

/// The listed indexes below `end`, in order.
///
/// # Errors
/// The store's.
pub fn listed(store: &dyn Store, end: Index) -> Result<Vec<Index>, StoreError> {
    let mut indexes = Vec::new();
    let mut start = key(Index::new(0));
    loop {
        let range = KeyRange {
            start,
            end: key(end),
        };
        let page = store.scan(&range, Direction::Forward, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(indexes);
        };
        start = [last.as_slice(), &[0]].concat();
        indexes.extend(page.iter().filter_map(|(key, _)| {
            let (_, index) = key.split_first()?;
            Some(Index::new(u64::from_be_bytes(index.try_into().ok()?)))
        }));
    }
}

/// What is listed at `end` or later: left there by a commit that was interrupted.
pub fn beyond(end: Index) -> KeyRange {
    KeyRange {
        start: key(end),
        end: vec![AUTHORITY + 1],
    }
}

fn key(index: Index) -> Vec<u8> {
    let mut key = vec![AUTHORITY];
    key.extend_from_slice(&index.value().to_be_bytes());
    key
}
