//! What the store and the journal hold, and whether it can be believed.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use prost::Message as _;

use crate::{
    ledger::{Entries, ReadError, layout, reader},
    note::{Checkpoint, VerifierKey, open_checkpoint},
    pb,
    record::{
        entry::{EntryView, record_kind},
        format::parse_uuid,
    },
    rules::keys::is_about_keys,
    store::{
        Head, Store, StoreError,
        journal::{Damage, Frame, Journal, JournalError},
    },
    tlog::{Edge, Hash, Index, TILE_WIDTH, TileId, TileNodes, TreeSize, leaf_hash},
};

/// How much is read before a copy is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// The head, the checkpoint and the right edge: after a clean stop that nothing has touched.
    Heads,
    /// Also the newest entries: after a kill or a loss of power, which harm only what was being
    /// written.
    Tail,
    /// Every entry: when a read has failed.
    Everything,
}

impl Care {
    /// From which entry on the store is read.
    fn start(self, size: u64) -> u64 {
        match self {
            Self::Heads => size,
            // 100,000 entries of 600 bytes are read and hashed in half a second.
            Self::Tail => size.saturating_sub(100_000),
            Self::Everything => 0,
        }
    }
}

/// A store that has been checked.
#[derive(Debug, Clone)]
pub(super) struct StoreState {
    pub(super) head: Head,
    pub(super) checkpoint: Checkpoint,
    pub(super) note: String,
    pub(super) edge: Edge,
    /// The last entry's leaf hash.
    pub(super) leaf: Hash,
    /// The last entry's time.
    pub(super) recorded_at: DateTime<Utc>,
}

/// What is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreDamage {
    /// It holds nothing.
    Empty,
    /// It does not open.
    Unopenable(String),
    /// What it calls durable was not proved to be so, and the last stop was not clean.
    NotProved,
    /// Its checkpoint is missing, or is not of its head.
    Checkpoint,
    /// The tree of its entries is not the checkpoint's.
    Tree,
    /// An entry or a tile is missing, malformed or not what the tree says.
    Entry {
        /// The first such entry that was seen.
        index: u64,
        /// What was seen.
        what: String,
    },
}

impl fmt::Display for StoreDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it holds nothing"),
            Self::Unopenable(why) => write!(f, "it does not open ({why})"),
            Self::NotProved => f.write_str("its syncs could not be proved before an unclean stop"),
            Self::Checkpoint => f.write_str("its checkpoint is missing, or not of its head"),
            Self::Tree => f.write_str("the tree of its entries is not the checkpoint's"),
            Self::Entry { index, what } => write!(f, "at entry {index}: {what}"),
        }
    }
}

/// What is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalDamage {
    /// It holds nothing.
    Empty,
    /// A segment is damaged.
    Segment {
        /// Where and how.
        what: String,
        /// Entries before this one can be read.
        good_below: u64,
    },
    /// It does not open.
    Unopenable(String),
    /// Its last frame has no valid checkpoint of its size.
    Checkpoint,
}

impl fmt::Display for JournalDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it holds nothing"),
            Self::Segment { what, good_below } => {
                write!(f, "{what}; entries below {good_below} can be read")
            }
            Self::Unopenable(why) => write!(f, "it does not open ({why})"),
            Self::Checkpoint => f.write_str("its last frame has no valid checkpoint"),
        }
    }
}

/// A journal that has been checked.
#[derive(Debug)]
pub(super) struct JournalState {
    /// One past its last entry.
    pub(super) size: u64,
    pub(super) checkpoint: Checkpoint,
    /// Its last entry's leaf hash.
    pub(super) leaf: Hash,
    pub(super) last: Frame,
}

/// Checks a store. The outer error is of a store that cannot be read at all.
pub(super) fn check_store(
    store: &Arc<dyn Store>,
    head: Head,
    vkey: &VerifierKey,
    care: Care,
) -> Result<StoreState, StoreDamage> {
    if head.size == 0 {
        return Err(StoreDamage::Empty);
    }
    let note = checkpoint(store.as_ref()).map_err(|_| StoreDamage::Checkpoint)?;
    let note = String::from_utf8(note).map_err(|_| StoreDamage::Checkpoint)?;
    let checkpoint = open_checkpoint(&note, vkey).map_err(|_| StoreDamage::Checkpoint)?;
    if checkpoint.size.value() != head.size {
        return Err(StoreDamage::Checkpoint);
    }
    let last = Index::new(head.size - 1);
    let entry = reader::entry(store.as_ref(), last).map_err(|error| damage_at(last, &error))?;
    let leaf = leaf_hash(&entry);
    let wrong = |what: &str| StoreDamage::Entry {
        index: last.value(),
        what: what.to_owned(),
    };
    if *leaf.as_bytes() != head.chain {
        return Err(wrong("it is not the one that the head names"));
    }
    let view = EntryView::parse(&entry).map_err(|_| wrong("it is malformed"))?;
    let recorded_at = view.recorded_at.to_utc();
    let edge = reader::edge(store, checkpoint.size).map_err(|error| damage_at(last, &error))?;
    if edge.root() != checkpoint.root {
        return Err(StoreDamage::Tree);
    }
    check_entries(store, care.start(head.size), head.size, leaf)?;
    Ok(StoreState {
        head,
        checkpoint,
        note,
        edge,
        leaf,
        recorded_at,
    })
}

/// The store's checkpoint. It once had a key of its own, and has it still where nothing was committed since.
fn checkpoint(store: &dyn Store) -> Result<Vec<u8>, StoreError> {
    let with_head = store.checkpoint()?;
    if with_head.is_empty() {
        return Ok(store.get(layout::CHECKPOINT_KEY)?.unwrap_or_default());
    }
    Ok(with_head)
}

/// Checks the chain of the entries from `start` on, and each tile that they complete.
fn check_entries(
    store: &Arc<dyn Store>,
    start: u64,
    size: u64,
    last: Hash,
) -> Result<(), StoreDamage> {
    let width = u64::from(TILE_WIDTH);
    // From the start of a tile, so that whole tiles are compared.
    let start = start / width * width;
    if start == size {
        return Ok(());
    }
    let mut tile = TileNodes::new();
    let mut previous = None;
    for entry in Entries::new(Arc::clone(store), Index::new(start), TreeSize::new(size)) {
        let at = Index::new(start.max(previous.map_or(start, |(index, _): (u64, Hash)| index + 1)));
        let (index, entry) = entry.map_err(|error| damage_at(at, &error))?;
        let wrong = |what: &str| StoreDamage::Entry {
            index: index.value(),
            what: what.to_owned(),
        };
        let view = EntryView::parse(&entry).map_err(|_| wrong("it is malformed"))?;
        if view.index != index {
            return Err(wrong("it carries another index"));
        }
        if previous.is_some_and(|(_, leaf)| view.previous != leaf) {
            return Err(wrong("it is not chained to the entry before"));
        }
        let leaf = leaf_hash(&entry);
        previous = Some((index.value(), leaf));
        if tile.push(leaf).is_none() {
            return Err(wrong("its tile is full"));
        }
        if tile.is_full() {
            let id = TileId::full(0, index.value() / width);
            let stored = reader::full_tile(store.as_ref(), id);
            let stored = stored.map_err(|error| damage_at(index, &error))?;
            if stored != tile.hashes() {
                return Err(wrong("its tile says otherwise"));
            }
            tile = TileNodes::new();
        }
    }
    match previous {
        Some((_, leaf)) if leaf == last => Ok(()),
        _ => Err(StoreDamage::Tree),
    }
}

fn damage_at(index: Index, error: &ReadError) -> StoreDamage {
    StoreDamage::Entry {
        index: index.value(),
        what: crate::ledger::Chain(error).to_string(),
    }
}

/// Checks a journal: its last frame, or all of it.
pub(super) fn check_journal(
    journal: &Journal,
    vkey: &VerifierKey,
    care: Care,
) -> Result<JournalState, JournalDamage> {
    let unopenable =
        |error: JournalError| JournalDamage::Unopenable(crate::ledger::Chain(&error).to_string());
    if care != Care::Heads {
        let mut good_below = 0;
        let segments = journal.survey().map_err(unopenable)?.segments;
        // Within a journal a gap is noticed; at its beginning only who knows that it begins at 0 can.
        if let Some(first) = segments.first().filter(|first| first.first != 0) {
            return Err(JournalDamage::Segment {
                what: format!("the entries below {} are missing", first.first),
                good_below,
            });
        }
        for segment in segments {
            if let Some(damage) = segment.damage {
                return Err(segment_damage(&damage, segment.next.max(good_below)));
            }
            good_below = segment.next;
        }
    }
    let last = journal
        .last_frame()
        .map_err(unopenable)?
        .ok_or(JournalDamage::Empty)?;
    let note = std::str::from_utf8(&last.checkpoint).map_err(|_| JournalDamage::Checkpoint)?;
    let checkpoint = open_checkpoint(note, vkey).map_err(|_| JournalDamage::Checkpoint)?;
    if checkpoint.size.value() != last.next() {
        return Err(JournalDamage::Checkpoint);
    }
    let leaf = last
        .entries
        .last()
        .map(|entry| leaf_hash(entry))
        .ok_or(JournalDamage::Empty)?;
    Ok(JournalState {
        size: last.next(),
        checkpoint,
        leaf,
        last,
    })
}

fn segment_damage(damage: &Damage, good_below: u64) -> JournalDamage {
    JournalDamage::Segment {
        what: crate::ledger::Chain(damage).to_string(),
        good_below,
    }
}

/// The id of the record in an entry.
///
/// # Errors
/// Where the entry is not one that this ledger wrote.
pub(in crate::ledger) fn record_id_of(index: Index, entry: &[u8]) -> Result<[u8; 16], ReadError> {
    let damaged = || ReadError::damaged(index);
    let view = EntryView::parse(entry).map_err(|_| damaged())?;
    let record = pb::Record::decode(view.record).map_err(|_| damaged())?;
    parse_uuid(&record.record_id).map_err(|_| damaged())
}

/// Whether the record in an entry names an actor's key.
///
/// # Errors
/// Where the entry is malformed.
pub(in crate::ledger) fn names_authority(index: Index, entry: &[u8]) -> Result<bool, ReadError> {
    let damaged = || ReadError::damaged(index);
    let view = EntryView::parse(entry).map_err(|_| damaged())?;
    Ok(record_kind(view.record).is_some_and(is_about_keys))
}
