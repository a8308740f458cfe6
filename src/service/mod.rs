//! gRPC: one file per service. Each parses what it was sent, calls the ledger, and converts the answer;
//! what the answer means was decided elsewhere. This is the one room that knows protobuf services and
//! `Status`.
//!
//! | File | What it is for |
//! |---|---|
//! | `recording_service` | `Record`, `RecordBatch`, `RecordStream` |
//! | `catalogues` | the catalogue that was last asked for |
//! | `consent_service` | who must be asked again, what was signed, what changes |
//! | `follow_up_service` | what is due, schedules, open signals, the figures of a period |
//! | `ledger_service` | checkpoints, entries, proofs, cosignatures, the check of the whole log |
//! | `trace_service` | lots, patients, samples and stock, where they went and came from; deviations |
//! | `answers` | what every question has: a day, a tree size, a view; the facts; the page |
//! | `violations` | what is wrong with the fields of a request, told all at once |
//! | `submission`, `actor` | from a message to something the ledger takes |
//! | `receipt` | from something the ledger took to a message |
//! | `flagging` | what a record is flagged with, and what it would be |
//! | `why` | from the reasons of the rules to messages |
//! | `witnesses` | the cosignatures that are kept, and the notes made of them |
//! | `verification` | the offline verifier over the stored log |
//! | `error` | the one mapping from errors to answers |
//! | `codec` | how messages become the bytes of an answer |
//! | `apart` | work in a task of its own |
//! | `driven` | an answer that is a stream, and the work behind it |
//! | `call` | what every call has: an id, a deadline, a line in the log, a place in the metrics |
//!
//! Deliberately absent: who may do what. Until callers are authenticated, the server listens on the
//! loopback interface only.

mod actor;
mod answers;
mod apart;
pub(crate) mod call;
mod catalogues;
mod codec;
mod consent_service;
mod driven;
pub mod error;
mod flagging;
mod follow_up_service;
mod ledger_service;
mod receipt;
mod recording_service;
mod submission;
mod trace_service;
mod verification;
mod violations;
mod why;
mod witnesses;

pub(crate) use answers::Answers;
use apart::Apart;
pub use codec::{Codec, EncodedOutcome, EncodedReceipt, EncodedReceipts};
pub(crate) use consent_service::Consent;
pub(crate) use follow_up_service::FollowUp;
pub(crate) use ledger_service::LedgerReads;
pub(crate) use recording_service::Recording;
pub(crate) use trace_service::Trace;
pub use witnesses::WITNESSES_MAX;
pub(crate) use witnesses::Witnesses;

/// A batch, and the tags, lengths and signatures around its records: 1,000 of them, 200 bytes each.
pub(crate) const RECORDING_BYTES_MAX: usize = submission::BATCH_BYTES_MAX + 1_000 * 200;

/// The largest note, 1,000,000 bytes, and its tag.
pub(crate) const LEDGER_BYTES_MAX: usize = crate::note::NOTE_BYTES_MAX + 16;

/// Runs work that reads the store or computes for long, off the threads that answer calls.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the function that the others use"
    )]
    let task = tokio::task::spawn_blocking(work);
    Apart::of(task).await
}
