//! sled's handle, with two of its habits kept from those who use it: that closing it panics, and that a
//! flush may sleep for ever. Knows nothing of what is stored.
//!
//! sled writes on threads of its own. Where such a write fails after the last reservation of a buffer,
//! it notes the error and wakes nobody (`exit_reservation` in its `logger.rs`), so that a flush which
//! waits for that buffer never returns. A second flush sees the error, and wakes the first.

use std::any::Any;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Cause;

/// How long a flush may take before another is sent after it. Where the disk is only slow, that one
/// waits for the same write and does no harm.
const PATIENCE: Duration = Duration::from_secs(1);

/// sled, until it is dropped. It syncs its file once more then, and panics where that fails: what was
/// committed is durable without it, so that this is logged and no more.
pub(super) struct OpenSled {
    /// `None` only while it is dropped.
    db: Option<sled::Db>,
    flushes: Arc<Flushes>,
    /// `None` where the system had no thread to give: then only the watch is missing.
    watch: Option<JoinHandle<()>>,
}

/// What the watch looks at.
#[derive(Default)]
struct Flushes {
    /// How many have begun or ended, in turns: odd while one is under way.
    count: AtomicU64,
    closing: AtomicBool,
}

impl OpenSled {
    pub(super) fn new(db: sled::Db) -> OpenSled {
        let flushes = Arc::new(Flushes::default());
        let (watched, watching) = (db.clone(), Arc::clone(&flushes));
        let watch = thread::Builder::new()
            .name("sled-watch".to_owned())
            .spawn(move || watch(&watched, &watching));
        OpenSled {
            db: Some(db),
            flushes,
            watch: watch.ok(),
        }
    }

    /// Makes everything written so far durable. Called by one thread at a time.
    pub(super) fn flush(&self) -> Result<(), Cause> {
        let db: &sled::Db = self;
        self.flushes.count.fetch_add(1, Ordering::SeqCst);
        let flushed = caught(|| db.flush());
        self.flushes.count.fetch_add(1, Ordering::SeqCst);
        flushed.map(|_bytes| ())
    }
}

impl Deref for OpenSled {
    type Target = sled::Db;

    #[expect(clippy::expect_used, reason = "only `drop` takes it")]
    fn deref(&self) -> &sled::Db {
        self.db.as_ref().expect("sled is open until it is dropped")
    }
}

impl Drop for OpenSled {
    fn drop(&mut self) {
        self.flushes.closing.store(true, Ordering::SeqCst);
        if let Some(watch) = self.watch.take() {
            watch.thread().unpark();
            if watch.join().is_err() {
                tracing::error!("the watch over sled panicked");
            }
        }
        let db = self.db.take();
        let closed = caught(|| {
            drop(db);
            Ok(())
        });
        if let Err(cause) = closed {
            tracing::error!(error = %cause, "sled did not close cleanly");
        }
    }
}

/// Sends a flush after each that takes too long, until sled is closed.
fn watch(db: &sled::Db, flushes: &Flushes) {
    let mut seen = 0;
    while !flushes.closing.load(Ordering::SeqCst) {
        thread::park_timeout(PATIENCE);
        let count = flushes.count.load(Ordering::SeqCst);
        if count == seen && !count.is_multiple_of(2) {
            tracing::warn!("sled takes long to flush");
            let db = db.clone();
            let sent = thread::Builder::new().spawn(move || {
                // Whatever comes of it, the flush that it was sent after tells.
                drop(caught(move || db.flush()));
            });
            if let Err(error) = sent {
                tracing::error!(error = %error, "no flush could be sent after it");
            }
        }
        seen = count;
    }
}

/// A panic inside sled.
#[derive(Debug, thiserror::Error)]
#[error("sled panicked: {message}")]
pub(super) struct Panicked {
    message: String,
}

impl Panicked {
    pub(super) fn new(payload: &(dyn Any + Send)) -> Panicked {
        let message = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("without a message");
        Panicked {
            message: message.to_owned(),
        }
    }
}

/// Errors and panics of sled, as one.
pub(super) fn caught<T>(work: impl FnOnce() -> sled::Result<T>) -> Result<T, Cause> {
    // What a panic leaves half done is sled's, and nothing is asked of sled's writer afterwards.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Arc::new(error)),
        Err(payload) => Err(Arc::new(Panicked::new(payload.as_ref()))),
    }
}
