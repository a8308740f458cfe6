//! What a record says, and whether it can be a faithful record at all: the formats of its values, the rules
//! of its fields, and the rules between fields of one record. A record that breaks one is refused, with
//! every field that is wrong and what to do about it.
//!
//! It deliberately does not know other records, the log, or who may do what: whether a lot is known, a key
//! valid or a patient alive is for the rooms that hold the state.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing
)]

mod across;
mod check;
pub mod entry;
pub mod format;
mod own;
mod time;

#[cfg(test)]
#[cfg(feature = "server")]
pub(crate) mod tests;

pub use check::{
    DecodeError, Findings, VIOLATIONS_MAX, Violation, check, check_encoded, examine, kind_name,
    kind_rule,
};
pub use time::{SKEW_MAX, Span, event_precision, event_span};
