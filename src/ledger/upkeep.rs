//! Keeps the views up on a thread of its own, while the writer makes the next commit: no answer needs their runs to be
//! written and merged by then, and the writer is the one thread that everybody waits for.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use super::{Chain, CommitFailed, Shared};
use crate::views::ViewError;

/// The thread that keeps the views up.
pub(super) struct Upkeep {
    steps: SyncSender<()>,
    /// Ends with whether all steps were taken.
    thread: JoinHandle<bool>,
}

impl Upkeep {
    /// Starts the thread.
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        // A step is handed over and not put down: one is under way at most.
        let (steps, to_take) = sync_channel(0);
        let work = move || {
            for () in to_take {
                if let Err(error) = shared.views.keep_up(shared.store.as_ref()) {
                    stop(&shared, &error);
                    return false;
                }
            }
            true
        };
        let thread = thread::Builder::new()
            .name("views".to_owned())
            .spawn(work)?;
        Ok(Self { steps, thread })
    }

    /// Has the next step taken, once the one before is done: what there is to keep up does not pile up. An error means
    /// that one has failed, and that none is taken any more.
    pub(super) fn step(&self) -> Result<(), CommitFailed> {
        self.steps.send(()).map_err(|_| CommitFailed::Stopped)
    }

    /// Waits for the step that is under way, ends, and says whether all steps were taken. After one that failed nothing
    /// more may be written of the views: what it was writing is in no run, and would be passed over.
    pub(super) fn end(self) -> bool {
        drop(self.steps);
        let kept_up = self.thread.join();
        kept_up.unwrap_or_else(|_| {
            tracing::error!("the upkeep of the views panicked");
            false
        })
    }
}

/// The entries are safe, and the views are made again from them at the next start, as far as it is needed.
fn stop(shared: &Shared, error: &ViewError) {
    match error {
        ViewError::Damaged { .. } => shared.suspect(error),
        ViewError::Store(_) => {
            tracing::error!(error = %Chain(error), "a view could not be kept up");
            shared.stop();
        }
    }
}
