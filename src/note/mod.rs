//! What a ledger and its witnesses sign: C2SP signed notes, verifier keys, checkpoints, cosignatures, and
//! the text of a proof that is checked offline.
//!
//! Every text is read strictly: what is accepted is written back byte for byte. Deliberately absent: where
//! keys are kept, which keys to trust, and ML-DSA.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        reason = "a test that overflows, or cuts a character, fails"
    )
)]

mod checkpoint;
mod cosignature;
mod key;
mod proof_text;
mod signed;

pub use checkpoint::{Checkpoint, ORIGIN_BYTES_MAX, Origin, open_checkpoint};
pub use cosignature::{Cosignature, Cosigner, open_cosigned_checkpoint};
pub use key::{KeyError, KeyId, KeyName, NoteSigner, SignatureType, VerifierKey};
pub use proof_text::{TlogProof, TlogProofError};
pub use signed::{NOTE_BYTES_MAX, Note, SIGNATURES_MAX, Signature};

use std::str::Utf8Error;

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// Why a note, or what it was to be, is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is larger than any note we read.
    #[error("a note of {have} bytes is larger than {NOTE_BYTES_MAX}")]
    TooLarge {
        /// Its length.
        have: usize,
    },
    /// It is not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8(#[source] Utf8Error),
    /// A control character other than the newline is in it.
    #[error("the note has the control character {character:?} at byte {at}")]
    ControlCharacter {
        /// The character.
        character: char,
        /// Where it stands.
        at: usize,
    },
    /// It does not end with a blank line and at least one signature line.
    #[error("the note does not end with a blank line and signature lines")]
    NoSignatureBlock,
    /// A signature line is not written as it must be.
    #[error("signature line {line} of the note is malformed")]
    SignatureLine {
        /// Which of the signature lines, from 1.
        line: usize,
    },
    /// There are more signature lines than we check.
    #[error("the note has more than {SIGNATURES_MAX} signature lines")]
    TooManySignatures,
    /// No signature is by the key.
    #[error("the note is not signed by the key {name}+{id}")]
    NotSigned {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: KeyId,
    },
    /// A signature that is said to be by the key is not.
    #[error("the signature by the key {name}+{id} is wrong")]
    WrongSignature {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: KeyId,
    },
    /// The key makes signatures of another type than this place needs.
    #[error("the key {name}+{id} makes another type of signatures")]
    WrongSignatureType {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: KeyId,
    },
    /// The text is not that of a checkpoint without extension lines.
    #[error("line {line} of the checkpoint is malformed")]
    CheckpointLine {
        /// Which line of the text, from 1.
        line: usize,
    },
    /// The checkpoint is of another log than the key.
    #[error("the checkpoint of {origin} is signed by the key of {name}")]
    OriginIsNotKeyName {
        /// The origin on the checkpoint's first line.
        origin: Origin,
        /// The key's name.
        name: KeyName,
    },
}

impl NoteError {
    fn not_signed(key: &VerifierKey) -> Self {
        Self::NotSigned {
            name: key.name().clone(),
            id: key.id(),
        }
    }

    fn wrong_signature_type(key: &VerifierKey) -> Self {
        Self::WrongSignatureType {
            name: key.name().clone(),
            id: key.id(),
        }
    }
}

/// Standard base64 with its padding and without stray bits: one text for one value, or `None`.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// A decimal number without sign and leading zeroes.
fn parse_decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
