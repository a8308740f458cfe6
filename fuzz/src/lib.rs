//! What must hold of every parser for any bytes at all: it ends, it does not panic, and what it accepts has
//! one spelling, which it gives back byte for byte. One function for each target.
//!
//! How bytes are found is the fuzzer's business (`fuzz/run`); whether a found input is a bug is decided here.

use chrono::DateTime;
use ed25519_dalek::SigningKey;
use genetrail::{
    note::{
        Checkpoint, Cosigner, KeyName, Note, NoteSigner, Origin, Signature, TlogProof, VerifierKey,
        open_checkpoint,
    },
    pb,
    record::{
        check_encoded,
        entry::{EntryView, record_kind},
        format,
    },
    tlog::{EMPTY_ROOT, TileId, TreeSize},
};
use prost::Message as _;

mod log;

/// A log whose keeper signs anything: verifying it ends, with yes or no.
pub fn log(bytes: &[u8]) {
    log::log(bytes);
}

/// A signed note.
pub fn note(bytes: &[u8]) {
    let Ok(mut note) = Note::parse(bytes) else {
        return;
    };
    assert_eq!(note.encode().as_bytes(), bytes);
    assert!(note.text().ends_with('\n'));

    let Ok(checkpoint) = Checkpoint::parse(note.text()) else {
        return;
    };
    let signer = NoteSigner::new(checkpoint.origin.key_name().clone(), key(1));
    if note.add(signer.sign(note.text())).is_ok() && note.verify(&signer.vkey()).is_ok() {
        assert_eq!(
            open_checkpoint(&note.encode(), &signer.vkey()),
            Ok(checkpoint)
        );
    }
}

/// The text of a checkpoint: what is read can be signed, and opened again.
pub fn checkpoint(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(checkpoint) = Checkpoint::parse(text) else {
        return;
    };
    assert_eq!(checkpoint.text(), text);
    let signer = NoteSigner::new(checkpoint.origin.key_name().clone(), key(1));
    let note = checkpoint.sign(&signer);
    assert_eq!(open_checkpoint(&note, &signer.vkey()), Ok(checkpoint));
}

/// A line under a checkpoint counts as a witness's cosignature only if the witness would have made it, at
/// the time that it says.
pub fn cosignature(bytes: &[u8]) {
    let Ok(line) = str::from_utf8(bytes) else {
        return;
    };
    let Some(signature) = Signature::parse(line) else {
        return;
    };
    assert_eq!(signature.to_string(), line);

    let (log, witness) = (name("log.example/1"), name("witness.example/w1"));
    let (Some(log), Some(witness), Some(origin)) = (log, witness, Origin::parse("log.example/1"))
    else {
        unreachable!("the names are names");
    };
    let witness = Cosigner::new(witness, key(2));
    let checkpoint = Checkpoint {
        origin,
        size: TreeSize::ZERO,
        root: EMPTY_ROOT,
    };
    let Ok(mut note) = Note::parse(checkpoint.sign(&NoteSigner::new(log, key(1)))) else {
        unreachable!("what is signed is a note");
    };
    if note.add(signature).is_ok()
        && let Ok(time) = note.cosigned_at(&witness.vkey())
    {
        assert_eq!(witness.cosign(note.text(), time).to_string(), line);
    }
}

/// The text of a proof.
pub fn tlog_proof(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(proof) = TlogProof::parse(text) {
        assert_eq!(proof.encode(), text);
    }
}

/// A verifier key.
pub fn vkey(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = VerifierKey::parse(text) {
        assert_eq!(key.to_string(), text);
    }
}

/// The path of a tile or of an entry bundle.
pub fn tile_path(bytes: &[u8]) {
    let Ok(path) = str::from_utf8(bytes) else {
        return;
    };
    let tile = TileId::parse(path);
    let bundle = TileId::parse_entries(path);
    assert!(
        tile.is_none() || bundle.is_none(),
        "one path names one file"
    );
    if let Some(tile) = tile {
        assert_eq!(tile.path(), path);
    }
    if let Some(bundle) = bundle {
        assert_eq!(bundle.entries_path(), path);
    }
}

/// An entry: what is accepted is what protobuf itself reads and writes.
pub fn entry(bytes: &[u8]) {
    let Ok(view) = EntryView::parse(bytes) else {
        return;
    };
    assert_eq!(view.encode(), bytes);
    let entry = pb::Entry::decode(bytes).map(|entry| entry.encode_to_vec());
    assert_eq!(entry.as_deref(), Ok(bytes));
}

/// A record: it is refused or checked, and what is told of it never repeats it.
pub fn record(bytes: &[u8]) {
    let kind = record_kind(bytes);
    let now = DateTime::from_timestamp(1_795_344_000, 0).unwrap_or_default();
    let Ok((record, violations)) = check_encoded(bytes, now) else {
        return;
    };
    let (again, same) = match check_encoded(&record.encode_to_vec(), now) {
        Ok(again) => again,
        Err(error) => panic!("a record that was decoded does not decode again: {error}"),
    };
    assert_eq!(again, record);
    // However the record is written, it is of the kind that protobuf reads.
    if record.kind.is_some() {
        assert_eq!(kind, record_kind(&record.encode_to_vec()));
    }
    assert_eq!(same, violations);
    for violation in violations {
        assert!(!violation.field.is_empty() && !violation.remedy.is_empty());
    }
}

/// A format of one value: its name, and the check.
type Format = (&'static str, fn(&str) -> Result<(), format::FormatError>);

/// The formats of identifiers, codes, dates and numbers: none is free text.
const FORMATS: &[Format] = &[
    ("actor", format::check_actor),
    ("civil date", format::check_civil_date),
    ("CoI", format::check_coi),
    ("country", format::check_country),
    ("decimal", format::check_decimal),
    ("DIN with check", format::check_din_with_check),
    ("EU tissue code", format::check_eu_te_code),
    ("event time", format::check_event_time),
    ("FIN", format::check_fin),
    ("GLN", format::check_gln),
    ("GSRN", format::check_gsrn),
    ("GTIN", format::check_gtin),
    ("instant", format::check_instant),
    ("language", format::check_language),
    ("lot", format::check_lot),
    ("media type", format::check_media_type),
    ("NMPA trace code", format::check_nmpa_trace_code),
    ("partial date", format::check_partial_date),
    ("pseudonym", format::check_pseudonym),
    ("SEC", format::check_sec),
    ("serial", format::check_serial),
    ("SSCC", format::check_sscc),
    ("time zone", format::check_time_zone),
    ("UCUM", format::check_ucum),
    ("URI", format::check_uri),
    ("USCC", format::check_uscc),
    ("UUID", format::check_uuid),
];

/// Every format of a single value, on one text.
pub fn formats(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    for (name, check) in FORMATS {
        match check(text) {
            Ok(()) => {
                let printable = !text.is_empty() && !text.contains(char::is_control);
                assert!(printable, "a {name} is printable: {text:?}");
                assert_eq!(text.trim(), text, "a {name} has no space around it");
            }
            Err(error) => assert!(!error.rule.is_empty() && !error.remedy.is_empty()),
        }
    }
    let (front, back) = text.split_once(' ').unwrap_or((text, ""));
    // Of these it is enough that they end and do not panic.
    let _ = format::check_din(front, back);
    let _ = format::check_free_text(text, 100);
    let _ = format::check_token(text, 50);
    if let (Ok(a), Ok(b)) = (format::Decimal::parse(front), format::Decimal::parse(back)) {
        assert_eq!(a.checked_add(b), b.checked_add(a));
    }
}

/// A unit.
pub fn ucum(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if format::check_ucum(text).is_ok() {
        assert!(!text.contains(char::is_whitespace), "{text:?}");
    }
}

fn name(name: &str) -> Option<KeyName> {
    KeyName::parse(name)
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}
