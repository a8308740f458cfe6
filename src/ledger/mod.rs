//! The ledger: one writer over two copies, and readers beside it.
//!
//! It takes submissions that have been parsed and checked, and answers with entries that are durable,
//! chained, in the tree and under a signed checkpoint. It knows the store and the journal, the tree and
//! its signature, and who may sign records; it does not know gRPC, and of what a record says it knows
//! only actors and keys.
//!
//! Deliberately absent: update and delete.

#![allow(
    clippy::map_err_ignore,
    reason = "which stored entry is damaged says more than what a parser found in its bytes"
)]

mod ahead;
mod block;
mod blocks;
mod copies;
pub mod export;
mod facts;
pub mod fsck;
mod layout;
mod open;
mod published;
mod reader;
mod remembered;
mod signer;
#[cfg(test)]
mod tests;
mod upkeep;
mod views;
mod writer;

use std::{
    error::Error,
    fmt,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use chrono::{DateTime, Utc};
use prost::bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};

pub use copies::CommitFailed;
pub use export::{ExportFailed, Survivors, export_directory, export_survivors};
pub use facts::LedgerFacts;
pub use fsck::{Checked, FsckError, fsck};
pub use open::{NewLedger, OpenError, Opened, Options, Recovery, write_secret_key};
pub use published::Published;
pub use reader::{Entries, ReadError};
pub use remembered::Remembered;
pub use writer::Entropy;

use crate::{
    note::VerifierKey,
    pb,
    record::Violation,
    rules::keys::{AuthorKeyId, AuthorRefused, KeyRefused},
    store::{Direction, Store},
    tlog::{self, Hash, Index, TreeSize},
    views::{Posts, ViewError},
};

/// Jobs that may wait. With as many callers at once, each waits for about eight commits.
const QUEUE_JOBS_MAX: usize = 4_096;

/// Bytes of records that may wait, in KiB: 64 MiB, sixteen of the largest batches.
const QUEUE_KIB_MAX: usize = 64 << 10;

/// A record that has been parsed and checked, on its way into the log.
#[derive(Debug)]
pub struct Submission {
    /// Makes the submission idempotent for ever.
    pub record_id: [u8; 16],
    /// The bytes of the record, kept exactly.
    pub record: Vec<u8>,
    /// Who submits it, as authenticated.
    pub actor: String,
    /// The author's signature.
    pub author: Option<Author>,
    /// When what it says happened, where it says so to the day or finer.
    pub event_time: Option<DateTime<Utc>>,
    /// The record itself, where it names actors or keys.
    pub authority: Option<Box<pb::Record>>,
    /// What the record is about, for the views.
    pub posts: Posts,
}

/// An author's signature over a record.
#[derive(Debug, Clone)]
pub struct Author {
    /// SHA-256 of the public key.
    pub key_id: AuthorKeyId,
    /// The Ed25519 signature.
    pub signature: [u8; 64],
    /// Whether the signature has been checked already, with the key of this id. Whether the key may
    /// sign is for the writer to say.
    pub checked: bool,
}

/// A record that is in the log.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// Where.
    pub index: Index,
    /// The bytes of its entry.
    pub entry: Bytes,
    /// Their hash as a leaf of the tree.
    pub leaf: Hash,
    /// The tree that it can be proved in.
    pub published: Arc<Published>,
    /// Whether it was recorded before, so that its proof may have to be read from the store.
    pub repeated: bool,
}

/// Why a submission was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Too much waits already; try again.
    #[error("the queue is full")]
    Busy,
    /// The ledger is shutting down; try again when it is back.
    #[error("the ledger is shutting down")]
    ShuttingDown,
    /// A commit failed and the ledger has stopped. The submission may or may not have been recorded:
    /// its record id will tell.
    #[error("the ledger has stopped writing")]
    Stopped,
    /// The disk is nearly full; nothing was written.
    #[error("only {free} bytes are free, and {reserve} must stay free")]
    DiskFull {
        /// Bytes free.
        free: u64,
        /// Bytes that must stay free.
        reserve: u64,
    },
    /// The clock is behind the last entry.
    #[error("the clock is {seconds} seconds behind the last entry")]
    ClockWentBack {
        /// How far.
        seconds: i64,
    },
    /// The clock shows a time that no entry can carry.
    #[error("the clock is not within the years 1 to 9999")]
    ClockOutOfRange,
    /// The record id names another record.
    #[error(
        "the record id of submission {item} already names entry {index}, which says something else"
    )]
    RecordIdTaken {
        /// Which of the submissions.
        item: usize,
        /// The entry that has the record id.
        index: u64,
    },
    /// A batch of which a part was recorded before.
    #[error("submission {item} was recorded before, at {index}, and others of the batch were not")]
    PartlyRecorded {
        /// The first of the submissions that was.
        item: usize,
        /// Its entry.
        index: u64,
    },
    /// The author's signature does not count.
    #[error("the author's signature on submission {item} is refused")]
    AuthorRefused {
        /// Which of the submissions.
        item: usize,
        /// Why.
        #[source]
        cause: AuthorRefused,
    },
    /// The author's signature is not by the key that it names.
    #[error("the author's signature on submission {item} is wrong")]
    SignatureWrong {
        /// Which of the submissions.
        item: usize,
    },
    /// A key record that cannot be taken.
    #[error("the key in submission {item} is refused")]
    KeyRefused {
        /// Which of the submissions.
        item: usize,
        /// Why.
        #[source]
        cause: KeyRefused,
    },
    /// A record that another record stands against.
    #[error("submission {item} does not fit what is recorded")]
    Refused {
        /// Which of the submissions.
        item: usize,
        /// What is wrong with it, each as a path into the record.
        violations: Vec<Violation>,
    },
    /// The entry would be larger than an entry may be.
    #[error("the entry of submission {item} would have {bytes} bytes")]
    EntryTooLarge {
        /// Which of the submissions.
        item: usize,
        /// How large.
        bytes: usize,
    },
    /// What is stored cannot be read.
    #[error("what is stored cannot be read")]
    Read(#[from] ReadError),
    /// The view of record ids cannot be read.
    #[error("the view of record ids cannot be read")]
    View(#[from] ViewError),
}

impl AppendError {
    /// The same refusal for the next in line; only for those that concern everybody.
    fn again(&self) -> Self {
        match self {
            Self::DiskFull { free, reserve } => Self::DiskFull {
                free: *free,
                reserve: *reserve,
            },
            Self::ClockWentBack { seconds } => Self::ClockWentBack { seconds: *seconds },
            Self::ClockOutOfRange => Self::ClockOutOfRange,
            Self::Busy => Self::Busy,
            Self::ShuttingDown => Self::ShuttingDown,
            Self::Stopped
            | Self::RecordIdTaken { .. }
            | Self::PartlyRecorded { .. }
            | Self::AuthorRefused { .. }
            | Self::SignatureWrong { .. }
            | Self::KeyRefused { .. }
            | Self::Refused { .. }
            | Self::EntryTooLarge { .. }
            | Self::Read(_)
            | Self::View(_) => Self::Stopped,
        }
    }
}

/// What the writer and the readers share.
struct Shared {
    store: Arc<dyn Store>,
    blocks: blocks::Blocks,
    views: views::Views,
    kept: facts::KeptFacts,
    published: RwLock<Arc<Published>>,
    stopped: AtomicBool,
    stop: tokio::sync::Notify,
    /// Written when something stored turned out damaged, so that the next start checks everything.
    suspect: PathBuf,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tree of size {}", self.published().size())
    }
}

impl Shared {
    fn new(
        store: Arc<dyn Store>,
        views: views::Views,
        published: Published,
        suspect: PathBuf,
    ) -> Self {
        Self {
            store,
            blocks: blocks::Blocks::default(),
            views,
            kept: facts::KeptFacts::default(),
            published: RwLock::new(Arc::new(published)),
            stopped: AtomicBool::new(false),
            stop: tokio::sync::Notify::new(),
            suspect,
        }
    }

    fn published(&self) -> Arc<Published> {
        Arc::clone(
            &self
                .published
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn publish(&self, published: Published) {
        *self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(published);
    }

    fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stop.notify_waiters();
    }

    /// Stops the ledger because something stored turned out damaged, and makes the next start look at
    /// everything.
    fn suspect(&self, error: &(dyn Error + 'static)) {
        tracing::error!(error = %Chain(error), "what is stored cannot be read");
        if let Err(error) = std::fs::write(&self.suspect, Chain(error).to_string()) {
            tracing::error!(error = %error, "the suspicion could not be noted");
        }
        self.stop();
    }
}

/// A ledger that is open for writing and reading. Dropping it closes it; [`Ledger::close`] waits.
#[derive(Debug)]
pub struct Ledger {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<writer::Job>,
    room: Arc<Semaphore>,
    writer: Option<JoinHandle<Closed>>,
    vkey: VerifierKey,
    /// Dropped after `shared`, so that the store is closed by then.
    settle: open::Settle,
    /// Held for as long as the ledger is open.
    _lock: crate::store::DirectoryLock,
}

impl Ledger {
    /// Records the submissions, all or none, and answers when they are durable. Refuses at once when
    /// too much waits.
    ///
    /// # Errors
    /// See [`AppendError`]; on all but `Stopped` nothing was recorded.
    pub async fn append(&self, submissions: Vec<Submission>) -> Result<Vec<Accepted>, AppendError> {
        let kib = kib_of(&submissions);
        let room = Arc::clone(&self.room).try_acquire_many_owned(kib);
        let room = room.map_err(|_| AppendError::Busy)?;
        let (answer, answered) = oneshot::channel();
        let job = writer::Job {
            submissions,
            answer,
            room,
        };
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => AppendError::Busy,
            mpsc::error::TrySendError::Closed(_) => self.closed(),
        })?;
        answered.await.unwrap_or_else(|_| Err(self.closed()))
    }

    /// Queues the submissions, waiting for room, and returns what will answer: for streams, which keep
    /// their order by queueing one after the other.
    ///
    /// # Errors
    /// Where the ledger has stopped or is shutting down.
    pub async fn queue(
        &self,
        submissions: Vec<Submission>,
    ) -> Result<oneshot::Receiver<Result<Vec<Accepted>, AppendError>>, AppendError> {
        let kib = kib_of(&submissions);
        let room = Arc::clone(&self.room).acquire_many_owned(kib).await;
        let room = room.map_err(|_| self.closed())?;
        let (answer, answered) = oneshot::channel();
        let job = writer::Job {
            submissions,
            answer,
            room,
        };
        self.jobs.send(job).await.map_err(|_| self.closed())?;
        Ok(answered)
    }

    /// How much waits to be recorded, in KiB of records.
    pub fn queued_kib(&self) -> usize {
        QUEUE_KIB_MAX.saturating_sub(self.room.available_permits())
    }

    /// Why nothing more is taken.
    pub fn closed(&self) -> AppendError {
        if self.has_stopped() {
            AppendError::Stopped
        } else {
            AppendError::ShuttingDown
        }
    }

    /// Whether a commit or a read has failed, so that nothing more is written.
    pub fn has_stopped(&self) -> bool {
        self.shared.has_stopped()
    }

    /// Waits until the ledger stops writing because something failed.
    pub async fn stopped(&self) {
        let stop = self.shared.stop.notified();
        if !self.has_stopped() {
            stop.await;
        }
    }

    /// The newest published tree.
    pub fn published(&self) -> Arc<Published> {
        self.shared.published()
    }

    /// The key that checkpoints are signed with.
    pub fn vkey(&self) -> &VerifierKey {
        &self.vkey
    }

    /// The entry at an index below the published size.
    ///
    /// # Errors
    /// Where the store fails, or the entry is not there.
    pub fn entry(&self, index: Index) -> Result<Vec<u8>, ReadError> {
        let entry = reader::entry(self.shared.store.as_ref(), index);
        entry.inspect_err(|error| self.suspect(error))
    }

    /// The entry whose record has this id.
    ///
    /// # Errors
    /// Where the store or the view fails.
    pub fn entry_by_record_id(
        &self,
        record_id: &[u8; 16],
    ) -> Result<Option<(Index, Vec<u8>)>, AppendError> {
        let size = self.published().size();
        let (views, store) = (&self.shared.views, self.shared.store.as_ref());
        let candidates = views.ids.candidates(store, record_id);
        let candidates = candidates.inspect_err(|error| self.shared.suspect(error))?;
        for index in candidates {
            if size.value() <= index.value() {
                continue;
            }
            let entry = self.entry(index)?;
            if open::record_id_of(index, &entry)? == *record_id {
                return Ok(Some((index, entry)));
            }
        }
        Ok(None)
    }

    /// The facts of the newest published tree, by subject.
    pub fn facts(&self) -> LedgerFacts {
        LedgerFacts::new(Arc::clone(&self.shared))
    }

    /// The entries from `start` up to, and without, `end`, in constant memory.
    pub fn entries(&self, start: Index, end: TreeSize) -> Entries {
        Entries::new(Arc::clone(&self.shared.store), start, end)
    }

    /// The proof that the entry at `index` is in the published tree's prefix of `size`.
    ///
    /// # Errors
    /// Where `size` or `index` is beyond the tree, or the store fails.
    pub fn prove_inclusion(
        &self,
        published: &Published,
        index: Index,
        size: TreeSize,
    ) -> Result<Vec<Hash>, tlog::ReadError<ReadError>> {
        let made = tlog::prove_inclusion(&self.nodes(published), index, size);
        made.inspect_err(|error| self.suspect_proof(error))
    }

    /// The proof that the tree of `old` is a prefix of the tree of `new`.
    ///
    /// # Errors
    /// Where a size is beyond the tree, or the store fails.
    pub fn prove_consistency(
        &self,
        published: &Published,
        old: TreeSize,
        new: TreeSize,
    ) -> Result<Vec<Hash>, tlog::ReadError<ReadError>> {
        let made = tlog::prove_consistency(&self.nodes(published), old, new);
        made.inspect_err(|error| self.suspect_proof(error))
    }

    /// The root of the published tree's prefix of `size`.
    ///
    /// # Errors
    /// Where the size is beyond the tree, or the store fails.
    pub fn root_at(
        &self,
        published: &Published,
        size: TreeSize,
    ) -> Result<Hash, tlog::ReadError<ReadError>> {
        let made = tlog::root_at(&self.nodes(published), size);
        made.inspect_err(|error| self.suspect_proof(error))
    }

    fn nodes<'a>(&'a self, published: &'a Published) -> reader::Nodes<'a> {
        reader::Nodes {
            published,
            store: self.shared.store.as_ref(),
        }
    }

    /// The stored log, for the checks of the offline verifier.
    pub fn source(&self) -> fsck::StoredLog {
        fsck::StoredLog::new(Arc::clone(&self.shared.store), self.published())
    }

    /// Keeps the note that a witness has cosigned, in place of its last.
    ///
    /// # Errors
    /// The store's.
    pub fn keep_cosigned(&self, witness: &str, note: &str) -> Result<(), ReadError> {
        let key = layout::cosigned_key(witness);
        let write = crate::store::Write::Put {
            key,
            value: note.as_bytes().to_vec(),
        };
        self.shared.store.trail(&[write])?;
        Ok(self.shared.store.sync()?)
    }

    /// The notes that witnesses cosigned last.
    ///
    /// # Errors
    /// The store's.
    pub fn cosigned(&self) -> Result<Vec<String>, ReadError> {
        let found = self
            .shared
            .store
            .scan(&layout::cosigned_range(), Direction::Forward, 64)?;
        Ok(found
            .into_iter()
            .filter_map(|(_, note)| String::from_utf8(note).ok())
            .collect())
    }

    /// Writes what the queue holds, and closes both copies cleanly.
    pub fn close(self) {
        drop(self);
    }

    fn shut(&mut self) {
        // The writer ends when the last sender is gone; this is the last one.
        let (gone, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.jobs, gone));
        if let Some(writer) = self.writer.take() {
            if let Ok(closed) = writer.join() {
                self.settle.closed(closed);
            } else {
                tracing::error!("the writer panicked");
            }
        }
    }

    /// Something stored could not be read: stops the ledger, and makes the next start check everything.
    pub fn suspect(&self, error: &ReadError) {
        self.shared.suspect(error);
    }

    fn suspect_proof(&self, error: &tlog::ReadError<ReadError>) {
        if let tlog::ReadError::Read(error) = error {
            self.suspect(error);
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.shut();
    }
}

/// How the writer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    /// Everything is in both copies, and synced.
    Cleanly,
    /// Something failed; the next start looks at everything.
    Not,
}

/// A job's share of the queue.
fn kib_of(submissions: &[Submission]) -> u32 {
    let bytes: usize = submissions
        .iter()
        .map(|submission| submission.record.len() + 256)
        .sum();
    let kib = bytes.div_ceil(1_024).min(QUEUE_KIB_MAX);
    u32::try_from(kib).unwrap_or(u32::MAX)
}

/// Prints an error with its causes: "a: b: c". For the edge, once.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
