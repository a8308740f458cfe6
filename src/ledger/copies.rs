//! The two copies of the log, and the high-water checkpoint outside them.
//!
//! A commit goes to the store and to the journal at the same time and is done when both have synced
//! it; each copy is sufficient. Then the high-water checkpoint is written: after the data, so that it
//! is never ahead of what a loss of power leaves, and before the answer, so that a data directory put
//! back from an older copy is noticed. Its own sync follows within a second.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use prost::bytes::Bytes;

use super::{AppendError, ReadError, open::Options};
use crate::{
    store::{
        CommitError, FileError, Head, HighWater, HighWaterError, Store, StoreError, Write, files,
        journal::{FrameRef, Journal, JournalError},
    },
    tlog::Hash,
};

/// How long the high-water checkpoint may wait for its sync.
const HIGH_WATER_SYNC: Duration = Duration::from_secs(1);

/// One commit: entries and the checkpoint of the tree that they complete.
#[derive(Debug)]
pub(super) struct Group {
    /// The index of the first entry.
    pub(super) first: u64,
    pub(super) entries: Vec<Bytes>,
    /// A signed note.
    pub(super) checkpoint: Vec<u8>,
}

/// Why a commit failed; the ledger has stopped.
#[derive(Debug, thiserror::Error)]
pub enum CommitFailed {
    /// The store refused or failed.
    #[error("the store did not take the commit")]
    Store(#[from] CommitError),
    /// The store failed while it was closed.
    #[error("the store did not close")]
    Close(#[from] StoreError),
    /// The journal failed.
    #[error("the journal did not take the commit")]
    Journal(#[source] Arc<JournalError>),
    /// The journal's thread is gone.
    #[error("the journal's thread has ended")]
    JournalGone,
    /// The high-water checkpoint could not be written.
    #[error("the high-water checkpoint was not written")]
    HighWater(#[from] HighWaterError),
    /// A read has shown damage, or a view could not be kept up; nothing more is written on top of it.
    #[error("the ledger was stopped before")]
    Stopped,
    /// A correction was committed, and what it corrects could not be read.
    #[error("what a correction is about cannot be read")]
    Target(#[source] ReadError),
}

/// What must stay free on the disks, and where they are.
#[derive(Debug, Clone)]
pub(super) struct Room {
    pub(super) paths: Vec<PathBuf>,
    pub(super) reserve: u64,
}

pub(super) struct Copies {
    store: Arc<dyn Store>,
    head: Head,
    journal: JournalThread,
    high_water: Arc<Mutex<HighWater>>,
    room: Room,
}

struct JournalThread {
    groups: SyncSender<Arc<Group>>,
    outcomes: Receiver<Result<(), JournalError>>,
    thread: JoinHandle<Journal>,
}

impl Copies {
    pub(super) fn new(
        store: Arc<dyn Store>,
        head: Head,
        journal: Journal,
        high_water: HighWater,
        room: Room,
        options: &Options,
    ) -> Result<Self, FileError> {
        let high_water = Arc::new(Mutex::new(high_water));
        let (groups, to_write) = sync_channel(1);
        let (written, outcomes) = sync_channel(1);
        let mark = Arc::clone(&high_water);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write_journal(journal, &to_write, &written, &mark))
            .map_err(FileError::of("start a thread for", &options.dir))?;
        let journal = JournalThread {
            groups,
            outcomes,
            thread,
        };
        Ok(Self {
            store,
            head,
            journal,
            high_water,
            room,
        })
    }

    /// Refuses before anything is written where a disk is nearly full: what is refused here can be
    /// tried again, what fails later stops the ledger.
    pub(super) fn check_room(&self) -> Result<(), AppendError> {
        let reserve = self.room.reserve;
        for path in &self.room.paths {
            // Where the volume cannot be asked, the writes will tell.
            if let Ok(free) = files::free_bytes(path)
                && free < reserve
            {
                return Err(AppendError::DiskFull { free, reserve });
            }
        }
        Ok(())
    }

    /// Commits to both copies, durably, and returns the entries.
    pub(super) fn commit(
        &mut self,
        group: Group,
        chain: Hash,
        writes: &[Write],
    ) -> Result<Vec<Bytes>, CommitFailed> {
        let entries = u64::try_from(group.entries.len()).unwrap_or(u64::MAX);
        let next = Head {
            size: group.first.saturating_add(entries),
            chain: *chain.as_bytes(),
            ..self.head
        };
        let group = Arc::new(group);
        self.journal
            .groups
            .send(Arc::clone(&group))
            .map_err(|_| CommitFailed::JournalGone)?;
        let (store, checkpoint) = (&self.store, &group.checkpoint);
        let stored = store.commit(&self.head, &next, checkpoint, writes);
        let journaled = self
            .journal
            .outcomes
            .recv()
            .map_err(|_| CommitFailed::JournalGone)?;
        stored?;
        journaled.map_err(|error| CommitFailed::Journal(Arc::new(error)))?;

        self.lock_high_water().write(&group.checkpoint)?;
        self.head = next;
        // The journal's thread has let go of its share before it answered.
        Ok(
            Arc::try_unwrap(group)
                .map_or_else(|group| group.entries.clone(), |group| group.entries),
        )
    }

    /// Syncs everything.
    pub(super) fn close(self) -> Result<(), CommitFailed> {
        let Self {
            store,
            head: _,
            journal,
            high_water,
            room: _,
        } = self;
        drop(journal.groups);
        let journal = journal
            .thread
            .join()
            .map_err(|_| CommitFailed::JournalGone)?;
        high_water
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .sync()?;
        drop(journal);
        Ok(store.sync()?)
    }

    /// Leaves everything as it is, after a failure.
    pub(super) fn abandon(self) {
        drop(self.journal.groups);
        // A panic there has been reported, and nothing is owed to the journal any more.
        drop(self.journal.thread.join());
    }

    fn lock_high_water(&self) -> std::sync::MutexGuard<'_, HighWater> {
        self.high_water
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_journal(
    mut journal: Journal,
    groups: &Receiver<Arc<Group>>,
    outcomes: &SyncSender<Result<(), JournalError>>,
    high_water: &Mutex<HighWater>,
) -> Journal {
    let mut synced = Instant::now();
    loop {
        match groups.recv_timeout(HIGH_WATER_SYNC) {
            Ok(group) => {
                let Group {
                    first,
                    entries,
                    checkpoint,
                } = group.as_ref();
                let entries: Vec<&[u8]> = entries.iter().map(AsRef::as_ref).collect();
                let frame = FrameRef {
                    first: *first,
                    entries: &entries,
                    checkpoint,
                };
                let outcome = journal.append(&frame);
                drop(entries);
                drop(group);
                if outcomes.send(outcome).is_err() {
                    return journal;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return journal,
        }
        if HIGH_WATER_SYNC <= synced.elapsed() {
            let mark = high_water.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = mark.sync() {
                tracing::error!(error = %error, "the high-water checkpoint was not synced");
            }
            synced = Instant::now();
        }
    }
}
