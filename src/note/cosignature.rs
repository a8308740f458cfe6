//! Cosignatures of type 0x04: a witness says when it saw a checkpoint that extends all it saw before (C2SP
//! tlog-cosignature).

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};

use super::{
    Checkpoint, KeyName, Note, NoteError, Signature, SignatureType, VerifierKey,
    checkpoint::open_note, key::witness_key,
};

/// The specification's bound: 2^63 - 1.
const TIMESTAMP_MAX: u64 = u64::MAX >> 1;

/// A cosignature that was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cosignature<'k> {
    /// Whose it is.
    pub witness: &'k VerifierKey,
    /// When it was made, in seconds since 1970.
    pub timestamp: u64,
}

/// The checkpoint in a note that is signed by the log's key, and the cosignatures on it by the witnesses
/// that are known, in the order of `witnesses`. A wrong signature by any of these keys refuses the note; how
/// many cosignatures are enough is for the caller to say.
pub fn open_cosigned_checkpoint<'k>(
    note: &str,
    log: &VerifierKey,
    witnesses: &'k [VerifierKey],
) -> Result<(Checkpoint, Vec<Cosignature<'k>>), NoteError> {
    let note = Note::parse(note)?;
    let checkpoint = open_note(&note, log)?;
    let mut cosignatures = Vec::new();
    for witness in witnesses {
        match note.cosigned_at(witness) {
            Ok(timestamp) => cosignatures.push(Cosignature { witness, timestamp }),
            Err(NoteError::NotSigned { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok((checkpoint, cosignatures))
}

impl Note {
    /// When this witness last cosigned the note, in seconds since 1970.
    pub fn cosigned_at(&self, witness: &VerifierKey) -> Result<u64, NoteError> {
        if witness.signature_type() != SignatureType::Cosignature {
            return Err(NoteError::wrong_signature_type(witness));
        }
        let times = self.verify_each(witness, |signature| {
            let (timestamp, bytes) = signature.bytes().split_first_chunk()?;
            let timestamp = u64::from_be_bytes(*timestamp);
            witness.verify_ed25519(message(timestamp, self.text()).as_bytes(), bytes)?;
            (timestamp <= TIMESTAMP_MAX).then_some(timestamp)
        })?;
        let latest = times.into_iter().max();
        latest.ok_or_else(|| NoteError::not_signed(witness))
    }
}

fn message(timestamp: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {timestamp}\n{text}")
}

/// A private key under a name, with which a witness cosigns.
pub struct Cosigner {
    key: SigningKey,
    vkey: VerifierKey,
}

impl Cosigner {
    /// The witness of this name.
    pub fn new(name: KeyName, key: SigningKey) -> Self {
        let vkey = witness_key(name, &key);
        Self { key, vkey }
    }

    /// With what its cosignatures are checked.
    pub fn vkey(&self) -> VerifierKey {
        self.vkey.clone()
    }

    /// Its cosignature over the text of a checkpoint, made at this time in seconds since 1970.
    pub fn cosign(&self, text: &str, timestamp: u64) -> Signature {
        let signature = self.key.sign(message(timestamp, text).as_bytes());
        let bytes = [&timestamp.to_be_bytes(), signature.to_bytes().as_slice()].concat();
        Signature::new(self.vkey.name().clone(), self.vkey.id(), bytes)
    }
}

/// Without the private key.
impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cosigner").field(&self.vkey).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        note::{NoteSigner, Origin},
        tlog::{EMPTY_ROOT, TreeSize},
    };

    const TIME: u64 = 1_679_315_147;

    fn witness(name: &str, seed: u8) -> Cosigner {
        Cosigner::new(
            KeyName::parse(name).unwrap(),
            SigningKey::from_bytes(&[seed; 32]),
        )
    }

    fn log() -> NoteSigner {
        NoteSigner::new(
            KeyName::parse("log").unwrap(),
            SigningKey::from_bytes(&[1; 32]),
        )
    }

    fn note() -> Note {
        let checkpoint = Checkpoint {
            origin: Origin::parse("log").unwrap(),
            size: TreeSize::ZERO,
            root: EMPTY_ROOT,
        };
        Note::parse(checkpoint.sign(&log())).unwrap()
    }

    fn cosigned(signatures: &[Signature]) -> Note {
        let mut note = note();
        for signature in signatures {
            note.add(signature.clone()).unwrap();
        }
        note
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let examples = include_str!("../../tests/vectors/c2sp-examples/spec-examples.json");
        let examples: serde_json::Value = serde_json::from_str(examples).unwrap();
        let example = &examples["cosignature_checkpoint_parse_only"];
        let note = Note::parse(example["note"].as_str().unwrap()).unwrap();
        assert_eq!(note.encode(), example["note"].as_str().unwrap());
        let checkpoint = Checkpoint::parse(note.text()).unwrap();
        assert_eq!(checkpoint.origin.as_str(), example["expect"]["origin"]);
        assert_eq!(checkpoint.size.value(), example["expect"]["size"]);
        let [_, cosignature] = note.signatures() else {
            panic!("two signatures")
        };
        let (timestamp, rest) = cosignature.bytes().split_first_chunk().unwrap();
        assert_eq!(u64::from_be_bytes(*timestamp), TIME);
        assert_eq!(rest.len(), 64);
    }

    #[test]
    fn the_checkpoint_is_opened_with_the_cosignatures_of_known_witnesses() {
        let (one, two, three) = (witness("one", 2), witness("two", 3), witness("three", 4));
        let text = note().text().to_owned();
        let note = cosigned(&[
            two.cosign(&text, TIME),
            one.cosign(&text, TIME + 1),
            one.cosign(&text, TIME),
        ])
        .encode();
        let known = [one.vkey(), three.vkey()];
        let (checkpoint, cosignatures) =
            open_cosigned_checkpoint(&note, &log().vkey(), &known).unwrap();
        assert_eq!(checkpoint.size, TreeSize::ZERO);
        let timestamp = TIME + 1;
        assert_eq!(
            cosignatures,
            [Cosignature {
                witness: &known[0],
                timestamp
            }]
        );
    }

    #[test]
    fn a_wrong_cosignature_of_a_known_witness_refuses_the_note() {
        let known = witness("one", 2);
        let text = note().text().to_owned();
        let wrong = NoteError::WrongSignature {
            name: known.vkey().name().clone(),
            id: known.vkey().id(),
        };
        let good = known.cosign(&text, TIME);
        let forged =
            |bytes: Vec<u8>| Signature::new(known.vkey().name().clone(), known.vkey().id(), bytes);
        let check = |signature: Signature| {
            let note = cosigned(&[good.clone(), signature]);
            assert_eq!(note.cosigned_at(&known.vkey()), Err(wrong.clone()));
            let witnesses = [known.vkey()];
            let opened = open_cosigned_checkpoint(&note.encode(), &log().vkey(), &witnesses);
            assert_eq!(opened, Err(wrong.clone()));
        };
        for at in 0..good.bytes().len() {
            let mut changed = good.bytes().to_vec();
            changed[at] ^= 1;
            check(forged(changed));
        }
        check(forged(good.bytes()[..71].to_vec()));
        check(forged([good.bytes(), &[0]].concat()));
        check(forged(vec![0; 7]));
        check(known.cosign("other\n", TIME));
        check(known.cosign(&text, TIMESTAMP_MAX + 1));

        let latest = cosigned(&[known.cosign(&text, TIMESTAMP_MAX)]);
        assert_eq!(latest.cosigned_at(&known.vkey()), Ok(TIMESTAMP_MAX));
        assert!(matches!(
            note().cosigned_at(&known.vkey()),
            Err(NoteError::NotSigned { .. })
        ));
        assert!(matches!(
            note().cosigned_at(&log().vkey()),
            Err(NoteError::WrongSignatureType { .. })
        ));
    }
}
