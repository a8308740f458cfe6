//! record.

pub mod entry;
