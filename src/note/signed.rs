//! Signed notes: a text, a blank line, signature lines (C2SP signed-note).

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{KeyId, KeyName, NoteError, VerifierKey, decode_base64};

/// As golang.org/x/mod/sumdb/note: room for a hundred signatures of any algorithm we know of.
pub const NOTE_BYTES_MAX: usize = 1_000_000;

/// How many signature lines are read; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 100;

/// A signature line begins with an em dash and a space.
const LINE_PREFIX: &str = "\u{2014} ";

/// The four bytes of the key id, and at least one of the signature.
const SIGNATURE_BYTES_MIN: usize = 5;

/// A well-formed note. Its text means nothing until [`Note::verify`] has found a signature by a key that
/// is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Reads a note, and accepts only what [`Note::encode`] gives back byte for byte.
    pub fn parse(note: impl AsRef<[u8]>) -> Result<Self, NoteError> {
        let bytes = note.as_ref();
        if NOTE_BYTES_MAX < bytes.len() {
            return Err(NoteError::TooLarge { have: bytes.len() });
        }
        let note = str::from_utf8(bytes).map_err(NoteError::NotUtf8)?;
        let mut characters = note.char_indices();
        if let Some((at, character)) = characters.find(|(_, c)| *c < ' ' && *c != '\n') {
            return Err(NoteError::ControlCharacter { character, at });
        }

        let (text, lines) = note
            .rsplit_once("\n\n")
            .ok_or(NoteError::NoSignatureBlock)?;
        let lines = lines
            .strip_suffix('\n')
            .ok_or(NoteError::NoSignatureBlock)?;
        let mut signatures = Vec::new();
        for (line, number) in lines.split('\n').zip(1..) {
            if SIGNATURES_MAX < number {
                return Err(NoteError::TooManySignatures);
            }
            let signature =
                Signature::parse(line).ok_or(NoteError::SignatureLine { line: number })?;
            signatures.push(signature);
        }
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }

    /// What is signed: it ends with a newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its signatures, checked or not, in the order of the lines.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a signature line.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        if SIGNATURES_MAX <= self.signatures.len() {
            return Err(NoteError::TooManySignatures);
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// The note as text.
    pub fn encode(&self) -> String {
        let mut note = format!("{}\n", self.text);
        for signature in &self.signatures {
            note.push_str(&signature.to_string());
            note.push('\n');
        }
        note
    }

    /// Is the text signed by this key? Every signature that bears the key's name and id must be right;
    /// those of other keys are ignored, as the specification asks.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let verified = self.verify_each(key, |signature| key.verify(&self.text, signature))?;
        if verified.is_empty() {
            return Err(NoteError::not_signed(key));
        }
        Ok(())
    }

    /// Applies `verify` to every signature that bears the key's name and id; all must be right, and there
    /// may be none.
    pub(super) fn verify_each<T>(
        &self,
        key: &VerifierKey,
        verify: impl Fn(&Signature) -> Option<T>,
    ) -> Result<Vec<T>, NoteError> {
        let mut verified = Vec::new();
        for signature in &self.signatures {
            if signature.name() != key.name() || signature.id() != key.id() {
                continue;
            }
            verified.push(verify(signature).ok_or_else(|| NoteError::WrongSignature {
                name: key.name().clone(),
                id: key.id(),
            })?);
        }
        Ok(verified)
    }
}

/// One signature line: whose it says it is, and the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    name: KeyName,
    id: KeyId,
    bytes: Vec<u8>,
}

impl Signature {
    pub(super) const fn new(name: KeyName, id: KeyId, bytes: Vec<u8>) -> Self {
        Self { name, id, bytes }
    }

    /// Reads one line, without its newline.
    pub fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(LINE_PREFIX)?.split_once(' ')?;
        let name = KeyName::parse(name)?;
        let signature = decode_base64(signature)?;
        if signature.len() < SIGNATURE_BYTES_MIN {
            return None;
        }
        let (id, bytes) = signature.split_first_chunk()?;
        Some(Self {
            name,
            id: KeyId::new(u32::from_be_bytes(*id)),
            bytes: bytes.to_vec(),
        })
    }

    /// The name of the key that is said to have signed.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id of the key that is said to have signed.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The signature itself, without the key id.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The line, without its newline.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = [&self.id.value().to_be_bytes(), self.bytes.as_slice()].concat();
        let signature = BASE64_STANDARD.encode(signature);
        write!(f, "{LINE_PREFIX}{} {signature}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::NoteSigner;
    use ed25519_dalek::SigningKey;

    const TEXT: &str = "one\n\ntwo\n";

    fn signer(name: &str, seed: u8) -> NoteSigner {
        NoteSigner::new(
            KeyName::parse(name).unwrap(),
            SigningKey::from_bytes(&[seed; 32]),
        )
    }

    fn note(text: &str, signatures: &[Signature]) -> String {
        let lines: Vec<String> = signatures.iter().map(ToString::to_string).collect();
        format!("{text}\n{}\n", lines.join("\n"))
    }

    #[test]
    fn the_example_of_the_specification_is_verified() {
        let examples = include_str!("../../tests/vectors/c2sp-examples/spec-examples.json");
        let examples: serde_json::Value = serde_json::from_str(examples).unwrap();
        let text = |pointer: &str| examples.pointer(pointer).unwrap().as_str().unwrap();
        let key = VerifierKey::parse(text("/signed_note/vkey")).unwrap();
        let note = Note::parse(text("/signed_note/note")).unwrap();
        assert_eq!(note.text(), "This is an example message.\n");
        assert_eq!(note.verify(&key), Ok(()));
        assert_eq!(note.encode(), text("/signed_note/note"));
    }

    #[test]
    fn a_note_that_is_read_is_written_back_byte_for_byte() {
        let (ann, bob) = (signer("ann", 1), signer("bob", 2));
        for text in [
            "\n",
            "\n\n",
            "one\n",
            TEXT,
            "\u{2014} ann AAAAAAA=\n",
            "é\u{7f}\n",
        ] {
            let encoded = note(text, &[ann.sign(text), bob.sign(text)]);
            let note = Note::parse(&encoded).unwrap();
            assert_eq!(note.text(), text);
            assert_eq!(note.signatures(), [ann.sign(text), bob.sign(text)]);
            assert_eq!(note.encode(), encoded);
            assert_eq!(note.verify(&ann.vkey()), Ok(()));
            assert_eq!(note.verify(&bob.vkey()), Ok(()));
        }
    }

    #[test]
    fn a_malformed_note_is_refused() {
        let good = signer("ann", 1).sign(TEXT).to_string();
        let check = |note: &str, expected: NoteError| {
            assert_eq!(Note::parse(note), Err(expected), "{note:?}");
        };
        let no_block = || NoteError::NoSignatureBlock;
        check("", no_block());
        check("\n", no_block());
        check("one\n", no_block());
        check("one\n\n", no_block());
        check(&format!("one\n{good}\n"), no_block());
        check(&format!("\n{good}\n"), no_block());
        check(&format!("one\n\n{good}"), no_block());
        check(&format!("one\n\n{good}\n\n"), no_block());

        for bad in ["\0", "\t", "\r", "\u{1f}"] {
            let control = |at| NoteError::ControlCharacter {
                character: bad.chars().next().unwrap(),
                at,
            };
            check(&format!("é{bad}\n\n{good}\n"), control(2));
            check(&format!("one\n\n{good}\n{bad}"), control(6 + good.len()));
        }
        assert!(matches!(
            Note::parse(b"\xff\n\n\xe2\x80\x94 ann AAAAAAA=\n"),
            Err(NoteError::NotUtf8(_))
        ));

        let many = |count: usize| note(TEXT, &vec![signer("ann", 1).sign(TEXT); count]);
        assert_eq!(Note::parse(many(100)).map(drop), Ok(()));
        check(&many(101), NoteError::TooManySignatures);
        let large = format!("{}\n\n{good}\n", "a".repeat(NOTE_BYTES_MAX));
        check(&large, NoteError::TooLarge { have: large.len() });
    }

    #[test]
    fn a_malformed_signature_line_is_refused() {
        let bad = [
            "",
            "ann AAAAAAA=",
            "\u{2014}ann AAAAAAA=",
            "- ann AAAAAAA=",
            " \u{2014} ann AAAAAAA=",
            "\u{2014}  AAAAAAA=",
            "\u{2014} ann",
            "\u{2014} ann ",
            "\u{2014} ann AAAAAAA= ",
            "\u{2014} ann  AAAAAAA=",
            "\u{2014} a+n AAAAAAA=",
            "\u{2014} a\u{a0}n AAAAAAA=",
            "\u{2014} a\u{2003}n AAAAAAA=",
            "\u{2014} a b AAAAAAA=",
            // No padding, too much of it, stray bits, another alphabet, no signature after the id.
            "\u{2014} ann AAAAAAA",
            "\u{2014} ann AAAAAAA==",
            "\u{2014} ann AAAAAAB=",
            "\u{2014} ann AAAA-_A=",
            "\u{2014} ann AAAAAA==",
            "\u{2014} ann AAAA",
        ];
        for line in bad {
            assert_eq!(Signature::parse(line), None, "{line:?}");
            let parsed = Note::parse(format!("one\n\n\u{2014} ann AAAAAAA=\n{line}\n"));
            assert!(parsed.is_err(), "{line:?}");
        }
        let line = "\u{2014} ann AAAAAAA=";
        let read = Signature::parse(line).unwrap();
        assert_eq!(read.to_string(), line);
        assert_eq!((read.id(), read.bytes()), (KeyId::new(0), &[0][..]));
    }

    #[test]
    fn signatures_of_unknown_keys_are_ignored_and_those_of_known_keys_must_be_right() {
        let (ann, bob, impostor) = (signer("ann", 1), signer("bob", 2), signer("ann", 2));
        let wrong = Signature::new(
            ann.vkey().name().clone(),
            ann.vkey().id(),
            ann.sign("other\n").bytes().to_vec(),
        );
        let short = Signature::new(ann.vkey().name().clone(), ann.vkey().id(), vec![0; 63]);
        let same_id = Signature::new(bob.vkey().name().clone(), ann.vkey().id(), vec![0; 64]);
        let not_signed = NoteError::NotSigned {
            name: ann.vkey().name().clone(),
            id: ann.vkey().id(),
        };
        let wrong_signature = NoteError::WrongSignature {
            name: ann.vkey().name().clone(),
            id: ann.vkey().id(),
        };
        let check = |signatures: &[Signature], expected: Result<(), &NoteError>| {
            let note = Note::parse(note(TEXT, signatures)).unwrap();
            assert_eq!(note.verify(&ann.vkey()), expected.map_err(Clone::clone));
        };
        check(&[ann.sign(TEXT)], Ok(()));
        check(&[bob.sign(TEXT), same_id.clone(), ann.sign(TEXT)], Ok(()));
        check(&[impostor.sign("other\n"), ann.sign(TEXT)], Ok(()));
        check(&[ann.sign(TEXT), ann.sign(TEXT)], Ok(()));
        check(&[bob.sign(TEXT), same_id], Err(&not_signed));
        check(&[impostor.sign(TEXT)], Err(&not_signed));
        check(std::slice::from_ref(&wrong), Err(&wrong_signature));
        check(&[wrong.clone(), ann.sign(TEXT)], Err(&wrong_signature));
        check(&[ann.sign(TEXT), wrong], Err(&wrong_signature));
        check(&[short], Err(&wrong_signature));
    }

    #[test]
    fn a_signature_is_added_as_long_as_there_is_room() {
        let ann = signer("ann", 1);
        let mut added = Note::parse(note(TEXT, &vec![ann.sign(TEXT); 99])).unwrap();
        assert_eq!(added.add(ann.sign(TEXT)), Ok(()));
        assert_eq!(added.encode(), note(TEXT, &vec![ann.sign(TEXT); 100]));
        assert_eq!(added.add(ann.sign(TEXT)), Err(NoteError::TooManySignatures));
    }
}
