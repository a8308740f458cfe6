//! The domain: what the records say when they are read together, as folds over them. Time comes in as an
//! argument; nothing here knows where records are kept.

#[cfg(feature = "server")]
pub mod book;
#[cfg(feature = "server")]
pub mod catalogue;
#[cfg(feature = "server")]
pub mod change;
#[cfg(feature = "server")]
pub mod dossier;
#[cfg(feature = "server")]
pub mod fact;
pub mod flags;
pub mod keys;
#[cfg(feature = "server")]
pub mod question;
