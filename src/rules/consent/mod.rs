//! Consent: which signatures are valid, what is still to be signed, and by when. It deliberately knows nothing
//! of how long a patient is followed but what `follow_up::period` says.

pub mod concerned;
pub mod requirements;
pub mod signatures;
pub mod standing;

#[cfg(test)]
mod tests;
