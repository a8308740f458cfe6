//! From what the ledger took to the receipt that is kept for thirty years. The proof and the flags are
//! made here; that they hold is for whoever checks the receipt.

use std::sync::Arc;

use prost::bytes::Bytes;

use super::{
    blocking,
    codec::ReceiptParts,
    error::CallError,
    flagging::Flagging,
    submission::{CheckedRecord, Unverified},
};
use crate::{
    ledger::{Accepted, Ledger, ReadError, Remembered},
    pb,
    record::entry::EntryView,
    rules::{
        fact::Fact,
        flags::Flag,
        keys::{AuthorStanding, KeyFlag, KeyRegistry, event_time},
    },
};

/// The bytes of the receipt of an entry that carries this record.
pub(super) async fn receipt(
    ledger: &Arc<Ledger>,
    flagging: &Flagging,
    accepted: Accepted,
    record: CheckedRecord,
) -> Result<Bytes, CallError> {
    let facts = flagging.facts_up_to(accepted.index);
    if !accepted.repeated && Flagging::is_quick(&facts, &record.subjects)? {
        return make(ledger, flagging, facts, accepted, record.into());
    }
    // A long history must not hold up a thread that answers calls.
    let (ledger, flagging) = (Arc::clone(ledger), flagging.clone());
    blocking(move || make(&ledger, &flagging, facts, accepted, record.into())).await
}

/// The bytes of the receipts of the entries of a batch, in order, given what of each was unverified. Reads the store.
pub(super) fn of_batch(
    ledger: &Ledger,
    flagging: &Flagging,
    accepted: Vec<Accepted>,
    unverified: Vec<Unverified>,
) -> Result<Vec<Bytes>, CallError> {
    let both = accepted.into_iter().zip(unverified);
    let receipts = both.map(|(accepted, unverified)| {
        let facts = flagging.facts_up_to(accepted.index);
        let known = Known {
            record: None,
            unverified,
        };
        make(ledger, flagging, facts, accepted, known)
    });
    receipts.collect()
}

/// What is known of the record of an entry.
struct Known {
    /// Itself, where it is at hand.
    record: Option<Box<pb::Record>>,
    unverified: Unverified,
}

impl From<CheckedRecord> for Known {
    fn from(checked: CheckedRecord) -> Self {
        Self {
            record: Some(checked.record),
            unverified: checked.unverified,
        }
    }
}

/// The bytes of the receipt of an entry, from the facts up to it. Reads the store.
fn make(
    ledger: &Ledger,
    flagging: &Flagging,
    facts: Remembered,
    accepted: Accepted,
    known: Known,
) -> Result<Bytes, CallError> {
    let Accepted {
        index,
        entry,
        leaf,
        published,
        repeated: _,
    } = accepted;
    let damaged = || ReadError::damaged(index);
    let view = EntryView::parse(&entry).ok().ok_or_else(damaged)?;
    let fact = match known.record {
        Some(record) => Fact::of(index, view.recorded_at.to_utc(), view.actor, *record),
        None => Fact::read(&entry).ok(),
    };
    let fact = fact.ok_or_else(damaged)?;
    let of_key = key_flags(published.keys(), &view, &fact.record);
    let mut flags = flagging.of_entry(facts, &entry, fact, known.unverified)?;
    flags.extend(of_key);
    let proof = ledger.prove_inclusion(&published, index, published.size())?;
    let parts = ReceiptParts {
        index: index.value(),
        leaf_hash: leaf.as_bytes(),
        entry: &entry,
        inclusion_proof: &proof,
        checkpoint: published.note(),
        flags: &flags,
    };
    Ok(parts.encode())
}

/// The bytes of the receipt of a record that was only looked at: what would be flagged.
pub(super) fn preview(flags: &[Flag]) -> Bytes {
    let parts = ReceiptParts {
        flags,
        ..ReceiptParts::default()
    };
    parts.encode()
}

/// What the author's key is flagged with, as far as is known now.
fn key_flags(keys: &KeyRegistry, entry: &EntryView<'_>, record: &pb::Record) -> Vec<Flag> {
    let Some(author) = &entry.author else {
        return Vec::new();
    };
    let recorded_at = entry.recorded_at.to_utc();
    let event_time = event_time(record);
    let standing = keys.check_author(entry.actor, author.key_id, recorded_at, event_time);
    let raised = match standing {
        Ok(AuthorStanding { key: _, flags }) => flags,
        // Revoked since, for a time before: it is told if it is suspect.
        Err(_) if keys.is_suspect(author.key_id, recorded_at) => vec![KeyFlag::Suspect],
        Err(_) => Vec::new(),
    };
    raised.into_iter().map(key_flag).collect()
}

fn key_flag(flag: KeyFlag) -> Flag {
    let text = match flag {
        KeyFlag::OutsideValidity => {
            "the author's key was not valid when this was recorded, only when it happened: \
             confirm who signed"
        }
        KeyFlag::Suspect => {
            "somebody else may have held the author's key when this was signed: \
             have the author confirm it"
        }
    };
    Flag {
        code: flag.code(),
        severity: pb::Severity::Deviation,
        field: "".into(),
        text,
    }
}
