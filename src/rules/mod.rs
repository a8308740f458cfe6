//! rules.

pub mod keys;
