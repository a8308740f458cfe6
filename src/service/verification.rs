//! `VerifyLedger`: the offline verifier over the stored log, told as it goes. What is checked is known in
//! `verify` alone.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::{blocking, error::CallError};
use crate::{
    ledger::{Chain, Ledger},
    pb::{VerifyLedgerResponse, VerifyOutcome},
    tlog::TileId,
    verify::{LogSource, Options, SourceError, VerifyError, verify_log},
};

type Answers = mpsc::Sender<Result<VerifyLedgerResponse, Status>>;

/// Verifies the stored log, unless nobody listens any more.
pub(super) async fn verify(
    ledger: Arc<Ledger>,
    since: Option<String>,
    slot: OwnedSemaphorePermit,
    answers: Answers,
) {
    let options = Options {
        key: ledger.vkey().clone(),
        since,
    };
    let listener = answers.clone();
    let outcome = blocking(move || {
        let source = WhileHeard {
            log: ledger.source(),
            listener,
        };
        let size = ledger.published().size().value();
        // On a thread of its own pool: the other cores are for the calls.
        let verified = match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
            Ok(pool) => pool.install(|| source.verify(&options)),
            Err(_) => source.verify(&options),
        };
        // The slot is held for as long as there is work, not for as long as somebody listens.
        drop(slot);
        let outcome = outcome(verified)?;
        Ok(VerifyLedgerResponse {
            checked: size,
            tree_size: size,
            outcome: Some(outcome),
        })
    });
    let outcome: Result<_, CallError> = outcome.await;
    // Whoever has gone does not hear the outcome.
    drop(answers.send(outcome.map_err(Status::from)).await);
}

fn outcome(
    verified: Result<crate::verify::Report, VerifyError>,
) -> Result<VerifyOutcome, CallError> {
    match verified {
        Ok(report) => Ok(VerifyOutcome {
            holds: true,
            checked: report.lines(),
            finding: String::new(),
        }),
        Err(VerifyError::Found(finding)) => {
            let finding = Chain(&finding).to_string();
            tracing::error!(finding, "the stored log is not what its checkpoint says");
            Ok(VerifyOutcome {
                holds: false,
                checked: Vec::new(),
                finding,
            })
        }
        Err(error) => Err(CallError::Verification(error)),
    }
}

/// A stored log that cannot be read any more once nobody listens: it ends the verification.
struct WhileHeard<S> {
    log: S,
    listener: Answers,
}

/// Nobody listens.
#[derive(Debug, thiserror::Error)]
#[error("nobody waits for the verification any more")]
struct Unheard;

impl<S: LogSource> WhileHeard<S> {
    fn verify(&self, options: &Options) -> Result<crate::verify::Report, VerifyError> {
        verify_log(self, options, &|checked, tree_size| {
            let progress = VerifyLedgerResponse {
                checked,
                tree_size,
                outcome: None,
            };
            // Where the listener is slow, the next progress will do.
            drop(self.listener.try_send(Ok(progress)));
        })
    }

    fn heard(&self) -> Result<&S, SourceError> {
        if self.listener.is_closed() {
            return Err(SourceError::Failed(Box::new(Unheard)));
        }
        Ok(&self.log)
    }
}

impl<S: LogSource> LogSource for WhileHeard<S> {
    fn checkpoint(&self, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        self.heard()?.checkpoint(bytes)
    }

    fn tile(&self, tile: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        self.heard()?.tile(tile, bytes)
    }

    fn entry_bundle(&self, bundle: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        self.heard()?.entry_bundle(bundle, bytes)
    }
}
