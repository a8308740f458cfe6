//! The auditor's side: is everything in a log as its signed checkpoint, its own keys and its own rules say?
//!
//! [`verify_directory`] checks an exported log, [`verify_log`] the same over any place a log is kept in. Both
//! read it once from the first entry to the last, on all cores and in constant memory, and name the first
//! place that is wrong. Deliberately absent: the ledger and its store, and whether what the records tell
//! could have happened.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails"
    )
)]

mod bundle;
mod directory;
mod export;
mod finding;
mod log;
mod report;
mod source;
#[cfg(test)]
mod tests;

pub use directory::{Directory, verify_directory};
pub use export::{ExportError, ExportWriter};
pub use finding::{Finding, VerifyError};
pub use log::verify_log;
pub use report::Report;
pub use source::{LogFile, LogSource, SourceError};

use crate::note::VerifierKey;

/// What to hold a log against.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's key, obtained otherwise than from the log.
    pub key: VerifierKey,
    /// An older checkpoint of the log, as it was kept: the log must still extend it.
    pub since: Option<String>,
}

/// Is told how many entries were checked, and of how many.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);
