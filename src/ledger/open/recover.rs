//! Makes two copies one: decides by the table at the head of `open`, and carries it out. Interrupted
//! at any point, the next start finds the same or better.

use std::{fs, path::Path, sync::Arc};

use super::{
    OpenError, Options, Recovery,
    state::{
        Care, JournalDamage, JournalState, StoreDamage, StoreState, check_journal, check_store,
        names_authority,
    },
};
use crate::{
    ledger::{CommitFailed, Entries, Entropy, ReadError, layout},
    note::VerifierKey,
    record::entry::EntryView,
    store::{
        Direction, FileError, Head, KeyRange, SledStore, Store, StoreError, Write, files,
        journal::{Frame, FrameRef, Journal, JournalError},
    },
    tlog::{Edge, Hash, Index, TreeSize, leaf_hash},
    views::authority,
};

/// Entries that are moved from one copy to the other in one step.
const STEP_ENTRIES: usize = 1_024;

/// And bytes of them.
const STEP_BYTES: usize = 4 << 20;

/// Opens both copies and makes them agree.
pub(super) fn recover(
    options: &Options,
    vkey: &VerifierKey,
    care: Care,
    entropy: &mut Entropy,
    recovered: &mut Vec<Recovery>,
) -> Result<(Arc<dyn Store>, Journal, StoreState), OpenError> {
    let (dir, label) = (options.journal_dir(), vkey.to_string());
    let mut opened = match Journal::open(&dir, label.as_bytes(), options.journal_options(entropy)) {
        Ok(journal) => {
            let checked = check_journal(&journal, vkey, care);
            checked.map(|state| (journal, state))
        }
        Err(JournalError::Damaged(damage)) => Err(JournalDamage::Unopenable(
            crate::ledger::Chain(&damage).to_string(),
        )),
        Err(JournalError::Locked { path: _ }) => {
            return Err(OpenError::InUse {
                path: options.dir.clone(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    match (open_store(options, vkey, care)?, &mut opened) {
        (Ok((store, state)), Ok((journal, journaled))) => {
            let state = agree(&store, state, journal, journaled, vkey, care, recovered)?;
            let (journal, _) = opened.map_err(|_| OpenError::NotALedger { path: dir })?;
            Ok((store, journal, state))
        }
        (Ok((store, state)), Err(_)) => {
            recovered.push(Recovery::JournalRewritten(state.head.size));
            let salted = options.journal_options(entropy);
            let mut rewrite = Journal::rewrite(&dir, label.as_bytes(), salted)?;
            copy_to_journal(&store, 0, &state, |frame| Ok(rewrite.append(frame)?))?;
            rewrite.put_in_place()?;
            let salted = options.journal_options(entropy);
            let journal = Journal::open(&dir, label.as_bytes(), salted)?;
            Ok((store, journal, state))
        }
        (Err(_), Ok((journal, journaled))) => {
            sync_again(journal, journaled)?;
            let (store, state) = rebuild_store(options, journal, vkey)?;
            recovered.push(Recovery::StoreRebuilt(state.head.size));
            let (journal, _) = opened.map_err(|_| OpenError::NotALedger { path: dir })?;
            Ok((store, journal, state))
        }
        (Err(StoreDamage::Empty), Err(JournalDamage::Empty)) => Err(OpenError::NotALedger {
            path: options.dir.clone(),
        }),
        (Err(store), Err(journal)) => Err(OpenError::BothDamaged {
            store,
            journal: journal.clone(),
        }),
    }
}

/// Writes the journal's last frame again, to a new segment: it may have been read from a cache whose
/// sync had failed, and nothing is signed on top of what may not be on the disk.
fn sync_again(journal: &mut Journal, journaled: &JournalState) -> Result<(), OpenError> {
    let Frame {
        first,
        entries,
        checkpoint,
    } = &journaled.last;
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    journal.start_segment(*first)?;
    Ok(journal.append(&FrameRef {
        first: *first,
        entries: &entries,
        checkpoint,
    })?)
}

type OpenedStore = Result<(Arc<dyn Store>, StoreState), StoreDamage>;

/// Opens the store, removes what lies beyond its head, and checks it. A store that is damaged is
/// closed again.
fn open_store(options: &Options, vkey: &VerifierKey, care: Care) -> Result<OpenedStore, OpenError> {
    let store: Arc<dyn Store> = match SledStore::open(&options.store_dir(), &options.sled()) {
        Ok(store) => Arc::new(store),
        Err(error) => return unopenable(error),
    };
    if care != Care::Heads && !store.health().sync_proved {
        return Ok(Err(StoreDamage::NotProved));
    }
    match fence(&store, care) {
        Ok(head) => Ok(check_store(&store, head, vkey, care).map(|state| (store, state))),
        Err(error) => unopenable(error),
    }
}

fn unopenable(error: StoreError) -> Result<OpenedStore, OpenError> {
    match error {
        StoreError::Unopenable { .. } | StoreError::Failed { .. } => Ok(Err(
            StoreDamage::Unopenable(crate::ledger::Chain(&error).to_string()),
        )),
        StoreError::Locked { path } => Err(OpenError::InUse { path }),
        StoreError::Full { .. } | StoreError::Refused(_) | StoreError::File(_) => Err(error.into()),
    }
}

fn fence(store: &Arc<dyn Store>, care: Care) -> Result<Head, StoreError> {
    let head = store.fence()?;
    if care == Care::Heads {
        return Ok(head);
    }
    // What an interrupted commit has left, of which no head speaks. Tiles are written again before a head covers them.
    let end = Index::new(head.size);
    for range in [layout::blocks_from(end), authority::beyond(end)] {
        remove_all(store, &range)?;
    }
    store.sync()?;
    Ok(head)
}

fn remove_all(store: &Arc<dyn Store>, range: &KeyRange) -> Result<(), StoreError> {
    loop {
        let found = store.scan(range, Direction::Forward, 256)?;
        if found.is_empty() {
            return Ok(());
        }
        let removes: Vec<Write> = found
            .into_iter()
            .map(|(key, _)| Write::Remove { key })
            .collect();
        store.trail(&removes)?;
    }
}

/// Both copies are whole: the longer one must extend the other.
fn agree(
    store: &Arc<dyn Store>,
    state: StoreState,
    journal: &mut Journal,
    journaled: &JournalState,
    vkey: &VerifierKey,
    care: Care,
    recovered: &mut Vec<Recovery>,
) -> Result<StoreState, OpenError> {
    let (in_store, in_journal) = (state.head.size, journaled.size);
    if in_store == in_journal {
        if state.leaf != journaled.leaf || state.checkpoint.root != journaled.checkpoint.root {
            return Err(OpenError::Diverged {
                index: in_store.saturating_sub(1),
            });
        }
        if care != Care::Heads {
            sync_again(journal, journaled)?;
        }
        return Ok(state);
    }
    if in_journal < in_store {
        let next = Index::new(in_journal);
        let entry = crate::ledger::reader::entry(store.as_ref(), next)?;
        if !follows(&entry, next, journaled.leaf) {
            return Err(OpenError::Diverged { index: in_journal });
        }
        sync_again(journal, journaled)?;
        copy_to_journal(
            store,
            in_journal,
            &state,
            |frame| Ok(journal.append(frame)?),
        )?;
        recovered.push(Recovery::JournalCaughtUp(in_store - in_journal));
        return Ok(state);
    }
    sync_again(journal, journaled)?;
    let head = copy_to_store(store, journal, state.head, state.edge, state.leaf)?;
    recovered.push(Recovery::StoreCaughtUp(in_journal - in_store));
    let checked = check_store(store, head, vkey, Care::Heads);
    checked.map_err(|store| OpenError::BothDamaged {
        store,
        journal: JournalDamage::Checkpoint,
    })
}

fn follows(entry: &[u8], index: Index, previous: Hash) -> bool {
    EntryView::parse(entry).is_ok_and(|view| view.index == index && view.previous == previous)
}

/// Sets a damaged store aside and makes a new one from the journal.
fn rebuild_store(
    options: &Options,
    journal: &Journal,
    vkey: &VerifierKey,
) -> Result<(Arc<dyn Store>, StoreState), OpenError> {
    set_aside(&options.store_dir())?;
    let store: Arc<dyn Store> = Arc::new(SledStore::open(&options.store_dir(), &options.sled())?);
    let head = store.fence()?;
    let head = copy_to_store(&store, journal, head, Edge::new(), Hash::ZERO)?;
    let state =
        check_store(&store, head, vkey, Care::Heads).map_err(|store| OpenError::BothDamaged {
            store,
            journal: JournalDamage::Checkpoint,
        })?;
    Ok((store, state))
}

/// Renames a directory out of the way: `store` becomes `store.damaged.1`, or the next free number.
fn set_aside(dir: &Path) -> Result<(), FileError> {
    if fs::exists(dir).map_err(FileError::of("look for", dir))? {
        let free = (1_u32..).map(|number| dir.with_extension(format!("damaged.{number}")));
        let free = free.into_iter().find(|path| !path.exists());
        if let Some(aside) = free {
            files::rename(dir, &aside)?;
        }
    }
    Ok(())
}

/// Commits to the store what the journal has beyond the store's head.
fn copy_to_store(
    store: &Arc<dyn Store>,
    journal: &Journal,
    mut head: Head,
    mut edge: Edge,
    mut previous: Hash,
) -> Result<Head, OpenError> {
    let mut group = Vec::new();
    let mut bytes = 0;
    let mut frames = journal.read(head.size)?.peekable();
    while let Some(frame) = frames.next() {
        let Frame {
            first,
            entries,
            checkpoint,
        } = frame.map_err(JournalError::Damaged)?;
        for (index, entry) in (first..).zip(entries) {
            // The first frame may begin before the head.
            if index < head.size {
                continue;
            }
            if !follows(&entry, Index::new(index), previous) {
                return Err(OpenError::Diverged { index });
            }
            previous = leaf_hash(&entry);
            bytes += entry.len();
            group.push(entry);
        }
        let full = STEP_ENTRIES <= group.len() || STEP_BYTES <= bytes;
        if (full || frames.peek().is_none()) && !group.is_empty() {
            head = commit_group(store, head, &mut edge, &group, previous, &checkpoint)?;
            group.clear();
            bytes = 0;
        }
    }
    Ok(head)
}

fn commit_group(
    store: &Arc<dyn Store>,
    head: Head,
    edge: &mut Edge,
    entries: &[Vec<u8>],
    last: Hash,
    checkpoint: &[u8],
) -> Result<Head, OpenError> {
    let mut writes = Vec::new();
    layout::pack_blocks(
        Index::new(head.size),
        entries.iter().map(Vec::as_slice),
        &mut writes,
    );
    for (index, entry) in (head.size..).map(Index::new).zip(entries) {
        for (tile, nodes) in edge.push(leaf_hash(entry)) {
            layout::put_tile(tile, &nodes, &mut writes);
        }
        if names_authority(index, entry)? {
            writes.push(authority::list(index));
        }
    }
    let size = head.size + u64::try_from(entries.len()).unwrap_or(u64::MAX);
    let next = Head {
        size,
        chain: *last.as_bytes(),
        ..head
    };
    store
        .commit(&head, &next, checkpoint, &writes)
        .map_err(CommitFailed::Store)?;
    Ok(next)
}

/// Hands the store's entries from `start` on to `append`, in frames; the last has the checkpoint.
fn copy_to_journal(
    store: &Arc<dyn Store>,
    start: u64,
    state: &StoreState,
    mut append: impl FnMut(&FrameRef<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let size = TreeSize::new(state.head.size);
    let mut entries = Entries::new(Arc::clone(store), Index::new(start), size).peekable();
    let mut first = start;
    while entries.peek().is_some() {
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < STEP_ENTRIES
            && bytes < STEP_BYTES
            && let Some(entry) = entries.next()
        {
            let (_, entry): (Index, Vec<u8>) = entry.map_err(|error: ReadError| error)?;
            bytes += entry.len();
            group.push(entry);
        }
        let last = entries.peek().is_none();
        let checkpoint = if last { state.note.as_bytes() } else { &[] };
        let entries: Vec<&[u8]> = group.iter().map(Vec::as_slice).collect();
        append(&FrameRef {
            first,
            entries: &entries,
            checkpoint,
        })?;
        first += u64::try_from(group.len()).unwrap_or(u64::MAX);
    }
    Ok(())
}
