//! Keys that sign notes: their names and ids, the text of a verifier key, and strict Ed25519.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{PUBLIC_KEY_LENGTH, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use super::{Signature, decode_base64};

/// A key's name: not empty, without spaces, `+` and control characters. By custom a URL without its scheme.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The name, if it may be one.
    pub fn parse(name: &str) -> Option<Self> {
        let refused = |c: char| c == '+' || c < ' ' || c.is_whitespace();
        (!name.is_empty() && !name.contains(refused)).then(|| Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells keys of one name apart. It is short, and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(u32);

impl KeyId {
    /// The id of this number.
    pub const fn new(value: u32) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }

    /// The first four bytes of SHA-256(name || 0x0A || signature type || public key).
    fn of(name: &KeyName, signature_type: SignatureType, key: &VerifyingKey) -> Self {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', signature_type.byte()])
            .chain_update(key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

/// In 8 digits of lower-case hex.
impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// The types of signatures that we make and check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignatureType {
    /// Ed25519 over the text of the note: how a log signs its checkpoints.
    Ed25519,
    /// Ed25519 over a time and the text of a checkpoint: how a witness cosigns.
    Cosignature,
}

impl SignatureType {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

/// Why the text of a verifier key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not of the form `name+id+key`.
    #[error("a verifier key is <name>+<8 hex digits>+<base64 of type and public key>")]
    Malformed,
    /// Its type of signatures is not one that we check.
    #[error("signature type {byte:#04x} is neither Ed25519 (0x01) nor a cosignature (0x04)")]
    UnknownType {
        /// The type's byte.
        byte: u8,
    },
    /// Its 32 bytes are no Ed25519 public key, or one that verifies what nobody signed.
    #[error("the bytes are not a sound Ed25519 public key")]
    UnsoundKey,
    /// Its id is not the hash of name, type and public key.
    #[error("the key id is {computed}, not {written}")]
    WrongId {
        /// The id in the text.
        written: KeyId,
        /// The id that follows from the key.
        computed: KeyId,
    },
}

/// A public key under a name, with which signatures of one type are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    signature_type: SignatureType,
    key: VerifyingKey,
}

impl VerifierKey {
    fn new(name: KeyName, signature_type: SignatureType, key: VerifyingKey) -> Self {
        Self {
            id: KeyId::of(&name, signature_type, &key),
            name,
            signature_type,
            key,
        }
    }

    /// Reads `<name>+<id>+<key>` as C2SP writes it, and accepts only what `Display` gives back.
    pub fn parse(vkey: &str) -> Result<Self, KeyError> {
        let mut parts = vkey.splitn(3, '+');
        let mut part = || parts.next().ok_or(KeyError::Malformed);
        let (name, id, key) = (part()?, part()?, part()?);
        let name = KeyName::parse(name).ok_or(KeyError::Malformed)?;
        let written = parse_id(id).ok_or(KeyError::Malformed)?;
        let key = decode_base64(key).ok_or(KeyError::Malformed)?;

        let (&byte, key) = key.split_first().ok_or(KeyError::Malformed)?;
        let signature_type =
            SignatureType::from_byte(byte).ok_or(KeyError::UnknownType { byte })?;
        let key = sound_public_key(key).ok_or(KeyError::UnsoundKey)?;
        let key = Self::new(name, signature_type, key);
        if key.id != written {
            return Err(KeyError::WrongId {
                written,
                computed: key.id,
            });
        }
        Ok(key)
    }

    /// The key's name.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The type of the signatures it checks.
    pub const fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// The 32 bytes of the Ed25519 public key.
    pub fn public_key(&self) -> &[u8; PUBLIC_KEY_LENGTH] {
        self.key.as_bytes()
    }

    /// Is this a signature of type 0x01 by this key over this text?
    pub(super) fn verify(&self, text: &str, signature: &Signature) -> Option<()> {
        match self.signature_type {
            SignatureType::Ed25519 => self.verify_ed25519(text.as_bytes(), signature.bytes()),
            SignatureType::Cosignature => None,
        }
    }

    pub(super) fn verify_ed25519(&self, message: &[u8], signature: &[u8]) -> Option<()> {
        let signature = ed25519_dalek::Signature::from_slice(signature).ok()?;
        self.key.verify_strict(message, &signature).ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [
            &[self.signature_type.byte()],
            self.key.as_bytes().as_slice(),
        ];
        let key = BASE64_STANDARD.encode(key.concat());
        write!(f, "{}+{}+{key}", self.name, self.id)
    }
}

fn parse_id(id: &str) -> Option<KeyId> {
    let number = u32::from_str_radix(id, 16).ok().map(KeyId)?;
    (number.to_string() == id).then_some(number)
}

/// A key in its one canonical encoding, and of an order large enough that a signature binds its text.
fn sound_public_key(bytes: &[u8]) -> Option<VerifyingKey> {
    let bytes = bytes.try_into().ok()?;
    let key = VerifyingKey::from_bytes(bytes).ok()?;
    let canonical = key.to_edwards().compress().as_bytes() == bytes;
    (canonical && !key.is_weak()).then_some(key)
}

/// A private key under a name, with which a log signs its notes.
pub struct NoteSigner {
    key: SigningKey,
    vkey: VerifierKey,
}

impl NoteSigner {
    /// The signer of this name.
    pub fn new(name: KeyName, key: SigningKey) -> Self {
        let vkey = VerifierKey::new(name, SignatureType::Ed25519, key.verifying_key());
        Self { key, vkey }
    }

    /// With what its signatures are checked.
    pub fn vkey(&self) -> VerifierKey {
        self.vkey.clone()
    }

    /// Its signature over the text of a note, which ends with a newline.
    pub fn sign(&self, text: &str) -> Signature {
        let signature = self.key.sign(text.as_bytes()).to_bytes().to_vec();
        Signature::new(self.vkey.name.clone(), self.vkey.id, signature)
    }
}

/// Without the private key.
impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NoteSigner").field(&self.vkey).finish()
    }
}

/// The verifier key of a witness.
pub(super) fn witness_key(name: KeyName, key: &SigningKey) -> VerifierKey {
    VerifierKey::new(name, SignatureType::Cosignature, key.verifying_key())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

    #[test]
    fn a_verifier_key_is_written_back_as_it_was_read() {
        let key = VerifierKey::parse(VKEY).unwrap();
        assert_eq!(key.name().as_str(), "example.com/foo");
        assert_eq!(key.id(), KeyId::new(0x530d_903a));
        assert_eq!(key.signature_type(), SignatureType::Ed25519);
        assert_eq!(key.to_string(), VKEY);

        let key = SigningKey::from_bytes(&[3; 32]);
        let name = KeyName::parse("witness.example/w1").unwrap();
        let witness = witness_key(name.clone(), &key);
        let log = NoteSigner::new(name, key).vkey();
        assert_eq!(
            VerifierKey::parse(&witness.to_string()),
            Ok(witness.clone())
        );
        assert_eq!(VerifierKey::parse(&log.to_string()), Ok(log.clone()));
        assert_ne!(log.id(), witness.id(), "the type is in the id");
    }

    #[test]
    fn no_part_of_a_verifier_key_is_a_verifier_key() {
        for start in 0..VKEY.len() {
            for end in start..=VKEY.len() {
                let part = &VKEY[start..end];
                assert_eq!(VerifierKey::parse(part).is_ok(), part == VKEY, "{part}");
            }
        }
    }

    #[test]
    fn no_changed_byte_of_a_verifier_key_goes_unnoticed() {
        for at in 0..VKEY.len() {
            for byte in 0..0x80 {
                let mut changed = VKEY.as_bytes().to_vec();
                changed[at] = byte;
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(
                    VerifierKey::parse(&changed).is_ok(),
                    changed == VKEY,
                    "{changed:?}"
                );
            }
        }
    }

    #[test]
    fn a_verifier_key_that_is_wrong_in_one_way_is_refused_for_it() {
        let vkey = |byte: u8, key: &[u8]| {
            let key = BASE64_STANDARD.encode([&[byte], key].concat());
            VerifierKey::parse(&format!("foo+00000000+{key}"))
        };
        let sound = SigningKey::from_bytes(&[3; 32]).verifying_key().to_bytes();
        assert!(matches!(vkey(1, &sound), Err(KeyError::WrongId { .. })));
        assert_eq!(vkey(2, &sound), Err(KeyError::UnknownType { byte: 2 }));
        assert_eq!(vkey(6, &sound), Err(KeyError::UnknownType { byte: 6 }));
        assert_eq!(vkey(1, &sound[1..]), Err(KeyError::UnsoundKey));
        assert_eq!(
            vkey(1, &[&sound[..], &[0]].concat()),
            Err(KeyError::UnsoundKey)
        );
        assert_eq!(
            VerifierKey::parse("foo+00000000+"),
            Err(KeyError::Malformed)
        );

        // The neutral element, and a point of order 8: anybody can make signatures for them.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(vkey(1, &neutral), Err(KeyError::UnsoundKey));
        assert_eq!(vkey(1, &[0; 32]), Err(KeyError::UnsoundKey));
        // y = p + 3 says the same point as y = 3, in a second way.
        let mut twice = [0xff; 32];
        twice[0] = 0xf0;
        twice[31] = 0x7f;
        let mut once = [0; 32];
        once[0] = 3;
        assert!(matches!(vkey(1, &once), Err(KeyError::WrongId { .. })));
        VerifyingKey::from_bytes(&twice).unwrap();
        assert_eq!(vkey(1, &twice), Err(KeyError::UnsoundKey));
    }

    #[test]
    fn names_have_no_spaces_no_plus_and_no_control_characters() {
        for name in [
            "",
            " ",
            "a b",
            "a+b",
            "a\n",
            "\ta",
            "a\u{85}",
            "a\u{2028}b",
            "a\u{3000}",
        ] {
            assert_eq!(KeyName::parse(name), None, "{name:?}");
        }
        for name in ["a", "example.com/log", "größe", "oid/1.2.3"] {
            assert_eq!(KeyName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn the_private_key_does_not_show_in_debug_output() {
        let secret = [0x5a; 32];
        let name = KeyName::parse("log").unwrap();
        let shown = format!(
            "{:?}",
            NoteSigner::new(name, SigningKey::from_bytes(&secret))
        );
        assert!(
            !shown.contains("90, 90") && !shown.contains("5a5a"),
            "{shown}"
        );
    }

    #[test]
    fn the_ed25519_vectors_of_others_agree() {
        let vectors =
            include_str!("../../tests/vectors/wycheproof-ed25519/testvectors_v1/ed25519_test.json");
        let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
        let bytes = |value: &serde_json::Value| -> Vec<u8> {
            let hex = value.as_str().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(byte).collect()
        };
        let mut seen = 0;
        for group in vectors["testGroups"].as_array().unwrap() {
            let key = sound_public_key(&bytes(&group["publicKey"]["pk"])).unwrap();
            let name = KeyName::parse("wycheproof").unwrap();
            let key = VerifierKey::new(name, SignatureType::Ed25519, key);
            for test in group["tests"].as_array().unwrap() {
                let accepted = key.verify_ed25519(&bytes(&test["msg"]), &bytes(&test["sig"]));
                assert_eq!(accepted.is_some(), test["result"] == "valid", "{test}");
                seen += 1;
            }
        }
        assert_eq!(seen, 151);
    }
}
