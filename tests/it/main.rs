//! The integration tests, in one binary: it links once.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cli;
mod conformity;
mod consent_service;
mod follow_up_service;
mod history;
mod hostile;
mod interop;
mod ledger_service;

mod properties;
mod python;
mod questions;
mod recording_service;
mod server;
mod soak;
mod support;
mod trace_service;
