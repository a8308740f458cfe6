//! Checkpoints: a log's origin, tree size and root hash as the text of a signed note (C2SP
//! tlog-checkpoint). Ours have no extension lines, so those are refused.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    KeyName, Note, NoteError, NoteSigner, SignatureType, VerifierKey, decode_base64, parse_decimal,
};
use crate::tlog::{Hash, TreeSize};

/// A domain name and a path fit into it many times over.
pub const ORIGIN_BYTES_MAX: usize = 255;

/// The log's name: the first line of its checkpoints, and the name of its key. By custom a URL without its
/// scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(KeyName);

impl Origin {
    /// The name, if it may be one: a key name of at most 255 bytes without any control character.
    pub fn parse(origin: &str) -> Option<Self> {
        if ORIGIN_BYTES_MAX < origin.len() || origin.contains(char::is_control) {
            return None;
        }
        KeyName::parse(origin).map(Self)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name that the log's key bears.
    pub const fn key_name(&self) -> &KeyName {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a log commits to when it signs: this many entries, with this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: Origin,
    /// How many entries it has.
    pub size: TreeSize,
    /// The root of the tree over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: three lines.
    pub fn text(&self) -> String {
        let root = BASE64_STANDARD.encode(self.root);
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// Reads the text of a note, and accepts only what [`Checkpoint::text`] gives back.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let mut line = |number| {
            let line = lines.next();
            line.ok_or(NoteError::CheckpointLine { line: number })
        };
        let (origin, size, root) = (line(1)?, line(2)?, line(3)?);
        // Nothing follows the newline of the third line.
        if !line(4)?.is_empty() || lines.next().is_some() {
            return Err(NoteError::CheckpointLine { line: 4 });
        }
        let root = decode_base64(root).and_then(|root| Hash::from_slice(&root).ok());
        Ok(Self {
            origin: Origin::parse(origin).ok_or(NoteError::CheckpointLine { line: 1 })?,
            size: parse_decimal(size)
                .map(TreeSize::new)
                .ok_or(NoteError::CheckpointLine { line: 2 })?,
            root: root.ok_or(NoteError::CheckpointLine { line: 3 })?,
        })
    }

    /// The signed note.
    pub fn sign(&self, signer: &NoteSigner) -> String {
        let text = self.text();
        format!("{text}\n{}\n", signer.sign(&text))
    }
}

/// The checkpoint in a note that is signed by the key of the log it names.
pub fn open_checkpoint(note: &str, key: &VerifierKey) -> Result<Checkpoint, NoteError> {
    open_note(&Note::parse(note)?, key)
}

pub(super) fn open_note(note: &Note, key: &VerifierKey) -> Result<Checkpoint, NoteError> {
    if key.signature_type() != SignatureType::Ed25519 {
        return Err(NoteError::wrong_signature_type(key));
    }
    note.verify(key)?;
    let checkpoint = Checkpoint::parse(note.text())?;
    if checkpoint.origin.key_name() != key.name() {
        return Err(NoteError::OriginIsNotKeyName {
            origin: checkpoint.origin,
            name: key.name().clone(),
        });
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::{note::key::witness_key, tlog::EMPTY_ROOT};

    fn signer(name: &str) -> NoteSigner {
        NoteSigner::new(
            KeyName::parse(name).unwrap(),
            SigningKey::from_bytes(&[1; 32]),
        )
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: Origin::parse("log.example/trail").unwrap(),
            size: TreeSize::new(20_852_163),
            root: EMPTY_ROOT,
        }
    }

    #[test]
    fn a_signed_checkpoint_is_opened_as_it_was() {
        let log = signer("log.example/trail");
        let note = checkpoint().sign(&log);
        assert_eq!(open_checkpoint(&note, &log.vkey()), Ok(checkpoint()));
        assert_eq!(Note::parse(&note).unwrap().encode(), note);
        assert_eq!(
            checkpoint().text(),
            "log.example/trail\n20852163\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
        );
    }

    #[test]
    fn no_truncated_and_no_changed_checkpoint_is_opened() {
        let log = signer("log.example/trail");
        let note = checkpoint().sign(&log);
        let open = |bytes: &[u8]| {
            let note = str::from_utf8(bytes).ok()?;
            open_checkpoint(note, &log.vkey()).ok()
        };
        for end in 0..note.len() {
            assert_eq!(open(&note.as_bytes()[..end]), None, "the first {end} bytes");
        }
        for at in 0..note.len() {
            for change in [1, 2, 4, 8, 16, 32, 64, 128, b'\n', b' ', 0xff] {
                let mut changed = note.clone().into_bytes();
                changed[at] ^= change;
                assert_eq!(open(&changed), None, "byte {at} changed by {change}");
            }
            let mut without = note.clone().into_bytes();
            let byte = without.remove(at);
            assert_eq!(open(&without), None, "without byte {at}");
            let mut doubled = note.clone().into_bytes();
            doubled.insert(at, byte);
            assert_eq!(open(&doubled), None, "byte {at} twice");
        }
    }

    #[test]
    fn a_text_that_is_no_checkpoint_is_refused_even_if_it_is_signed() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let log = signer("log.example/trail");
        let check = |text: &str, line: usize| {
            assert_eq!(
                Checkpoint::parse(text),
                Err(NoteError::CheckpointLine { line }),
                "{text:?}"
            );
            if text.ends_with('\n') {
                let note = format!("{text}\n{}\n", log.sign(text));
                assert!(open_checkpoint(&note, &log.vkey()).is_err(), "{text:?}");
            }
        };
        check("", 2);
        check("log\n", 3);
        check("log\n1\n", 4);
        check(&format!("log\n1\n{root}"), 4);
        check(&format!("\n1\n{root}\n"), 1);
        check(&format!("a log\n1\n{root}\n"), 1);
        check(&format!("a+log\n1\n{root}\n"), 1);
        check(&format!("{}\n1\n{root}\n", "a".repeat(256)), 1);
        for size in [
            "",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1e3",
            "18446744073709551616",
            "\u{661}",
        ] {
            check(&format!("log\n{size}\n{root}\n"), 2);
        }
        for bad in [
            "",
            "AAAA",
            &root[1..],
            &root[..43],
            &root.replace("FU=", "FV="),
            &root.replace('+', "-"),
        ] {
            check(&format!("log\n1\n{bad}\n"), 3);
        }
        check(&format!("log\n1\n{root}\nextension\n"), 4);
        check(&format!("log\n1\n{root}\n\n"), 4);
        check(&format!("log\n1\n{root}\n\n\n"), 4);
    }

    #[test]
    fn a_checkpoint_is_opened_only_with_its_own_logs_key() {
        let other = signer("other.example");
        let note = checkpoint().sign(&other);
        assert_eq!(
            open_checkpoint(&note, &other.vkey()),
            Err(NoteError::OriginIsNotKeyName {
                origin: checkpoint().origin,
                name: other.vkey().name().clone(),
            })
        );
        let name = checkpoint().origin.key_name().clone();
        let witness = witness_key(name, &SigningKey::from_bytes(&[1; 32]));
        assert!(matches!(
            open_checkpoint(&note, &witness),
            Err(NoteError::WrongSignatureType { .. })
        ));
    }

    #[test]
    fn an_origin_is_a_short_name_without_spaces() {
        for origin in [
            "",
            "a b",
            "a+b",
            "a\n",
            "a\u{7f}",
            "a\u{9f}",
            &"a".repeat(256),
        ] {
            assert_eq!(Origin::parse(origin), None, "{origin:?}");
        }
        for origin in ["a", "log.example/trail", &"a".repeat(255)] {
            assert_eq!(Origin::parse(origin).unwrap().as_str(), origin);
        }
    }
}
