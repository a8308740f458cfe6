//! The rules between the fields of one message, and between a message and its envelope: what the dictionary
//! refuses because the record contradicts itself, or is a decision without its mandatory parts. Written by
//! hand, one file for a group of kinds; a message has some if its proto says `option (across) = true`.
//!
//! A rule that needs another record is not here: it is a flag, or a refusal of the ledger's own.

mod envelope;
mod follow_up;
mod patient;
mod product;
mod safety;
mod shared;

use super::check::Checker;

/// A message with rules between its fields.
pub(super) trait Across {
    /// Refuses what its fields do not say together.
    fn across(&self, c: &mut Checker<'_>);
}
