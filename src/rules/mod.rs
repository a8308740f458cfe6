//! The domain: what the records say when they are read together, as folds over them. Time comes in as an
//! argument; nothing here knows where records are kept.

/// A function that picks the records of one kind: `pick!(Administration)`.
#[cfg(feature = "server")]
macro_rules! pick {
    ($kind:ident) => {
        |kind| {
            if let $crate::pb::record::Kind::$kind(record) = kind {
                Some(record)
            } else {
                None
            }
        }
    };
}
#[cfg(feature = "server")]
pub(crate) use pick;

#[cfg(feature = "server")]
pub mod ahead;
#[cfg(feature = "server")]
pub mod book;
#[cfg(feature = "server")]
pub mod catalogue;
#[cfg(feature = "server")]
pub mod change;
#[cfg(feature = "server")]
pub mod cohort;
#[cfg(feature = "server")]
pub mod conformity;
#[cfg(feature = "server")]
pub mod consent;
#[cfg(feature = "server")]
pub mod deviations;
#[cfg(feature = "server")]
pub mod dossier;
#[cfg(test)]
#[cfg(feature = "server")]
pub(crate) mod example;
#[cfg(feature = "server")]
pub mod fact;
pub mod flags;
#[cfg(feature = "server")]
pub mod follow_up;
pub mod keys;
#[cfg(feature = "server")]
pub mod parts;
#[cfg(feature = "server")]
pub mod patient;
#[cfg(feature = "server")]
pub mod question;
#[cfg(feature = "server")]
pub mod refusals;
#[cfg(feature = "server")]
pub mod template;
#[cfg(test)]
#[cfg(feature = "server")]
mod tests;
#[cfg(feature = "server")]
pub mod trace;
