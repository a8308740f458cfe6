//! record.

pub mod format;
