//! What a record says: the bytes that carry it, and the formats of its values.

pub mod entry;
pub mod format;
