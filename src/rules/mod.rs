//! The domain: what recorded facts mean together. Pure: time comes in as an argument, records as they were
//! accepted; nothing here knows the log, the store or the wire.

pub mod flags;
