//! The domain: what the records say when they are read together, as folds over them. Time comes in as an
//! argument; nothing here knows where records are kept.

pub mod flags;
pub mod keys;
