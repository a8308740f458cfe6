//! What follow-up asks for: how long a patient is followed and by which plan, what is due when and what met it,
//! what is open, and what a period came to. Pure; days come in as arguments. What a row means to a patient, a
//! site or a regulator is theirs to say.

mod contacts;
pub mod obligations;
pub mod period;
pub mod plan;
pub mod samples;
pub mod schedule;
pub mod signals;
pub mod slots;
pub mod specimens;
#[cfg(test)]
pub(super) mod story;
pub mod summary;
mod tasks;
mod visits;
mod why;

pub use why::Why;
