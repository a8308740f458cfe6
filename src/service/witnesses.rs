//! The cosignatures that witnesses gave our checkpoints: the newest of each witness, and the notes made of
//! them. A cosignature is kept only if its witness is known, and its checkpoint is one of our history.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::error::CallError;
use crate::{
    ledger::{Ledger, Published, ReadError},
    note::{Checkpoint, Note, NoteError, VerifierKey, open_cosigned_checkpoint},
};

/// How many witnesses one ledger knows: with the log's own, their signature lines fit into a note.
pub const WITNESSES_MAX: usize = 64;

/// The witnesses that are known, and what each cosigned last.
#[derive(Debug)]
pub(crate) struct Witnesses {
    known: Vec<VerifierKey>,
    /// By the witness's name and key id.
    kept: Mutex<BTreeMap<String, Cosigned>>,
}

/// A checkpoint that one witness cosigned.
#[derive(Clone, Debug)]
struct Cosigned {
    checkpoint: Checkpoint,
    timestamp: u64,
    /// The note's text, and the log's own signature lines.
    signed: String,
    /// The witness's signature lines.
    lines: String,
}

impl Witnesses {
    /// The witnesses with these keys, and what the ledger keeps of theirs.
    ///
    /// # Errors
    /// Where the store fails.
    pub(crate) fn open(known: Vec<VerifierKey>, ledger: &Ledger) -> Result<Self, ReadError> {
        let mut kept = BTreeMap::new();
        for note in ledger.cosigned()? {
            // Of a witness that is known no more, or of a log that had another key.
            let Ok(found) = cosigned(&note, ledger.vkey(), &known) else {
                continue;
            };
            kept.extend(found);
        }
        Ok(Self {
            known,
            kept: Mutex::new(kept),
        })
    }

    /// Checks a cosigned checkpoint, keeps what is newer than what is kept, and says how many
    /// cosignatures that were. May read the store, and writes it.
    pub(super) fn add(&self, ledger: &Ledger, note: &str) -> Result<u32, CallError> {
        let found =
            cosigned(note, ledger.vkey(), &self.known).map_err(CallError::CheckpointRejected)?;
        let Some((_, Cosigned { checkpoint, .. })) = found.first() else {
            return Err(CallError::WitnessUnknown);
        };
        let published = ledger.published();
        let (asked, have) = (checkpoint.size, published.size());
        if have < asked {
            tracing::error!(
                signed = asked.value(),
                have = have.value(),
                "our key signed a larger tree"
            );
            return Err(CallError::TreeSizeAhead {
                asked: asked.value(),
                have: have.value(),
            });
        }
        if ledger.root_at(&published, asked)? != checkpoint.root {
            tracing::error!(size = asked.value(), "our key signed another history");
            return Err(CallError::OtherHistory {
                size: asked.value(),
            });
        }

        let mut kept = self.kept();
        let mut count = 0;
        for (witness, new) in found {
            if kept.get(&witness).is_some_and(|old| new.age() < old.age()) {
                continue;
            }
            ledger.keep_cosigned(&witness, &format!("{}{}", new.signed, new.lines))?;
            kept.insert(witness, new);
            count += 1;
        }
        Ok(count)
    }

    /// The published checkpoint with the cosignatures that are on it.
    pub(super) fn adorn(&self, published: &Published) -> String {
        let mut note = published.note().to_owned();
        for cosigned in self.kept().values() {
            if cosigned.checkpoint == *published.checkpoint() {
                note.push_str(&cosigned.lines);
            }
        }
        note
    }

    /// The newest checkpoint that any witness cosigned, with all cosignatures on it.
    pub(super) fn newest(&self) -> Option<String> {
        let kept = self.kept();
        let newest = kept
            .values()
            .max_by_key(|cosigned| cosigned.checkpoint.size)?;
        let mut note = newest.signed.clone();
        for cosigned in kept.values() {
            if cosigned.checkpoint == newest.checkpoint {
                note.push_str(&cosigned.lines);
            }
        }
        Some(note)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Cosigned>> {
        // One insert is all that ever happens under the lock: a poisoned one holds a whole map.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cosigned {
    fn age(&self) -> (crate::tlog::TreeSize, u64) {
        (self.checkpoint.size, self.timestamp)
    }
}

/// What each known witness cosigned in a note that the log signed.
fn cosigned(
    note: &str,
    log: &VerifierKey,
    known: &[VerifierKey],
) -> Result<Vec<(String, Cosigned)>, NoteError> {
    let (checkpoint, cosignatures) = open_cosigned_checkpoint(note, log, known)?;
    let note = Note::parse(note)?;
    let lines = |key: &VerifierKey| -> String {
        let signatures = note.signatures().iter();
        let own = signatures.filter(|found| found.name() == key.name() && found.id() == key.id());
        own.map(|signature| format!("{signature}\n")).collect()
    };
    let signed = format!("{}\n{}", note.text(), lines(log));
    let found = cosignatures.into_iter().map(|cosignature| {
        let witness = cosignature.witness;
        let name = format!("{}+{}", witness.name(), witness.id());
        let cosigned = Cosigned {
            checkpoint: checkpoint.clone(),
            timestamp: cosignature.timestamp,
            signed: signed.clone(),
            lines: lines(witness),
        };
        (name, cosigned)
    });
    Ok(found.collect())
}
