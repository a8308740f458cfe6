//! Ledgers and records for the benchmarks. All persons, lots and numbers are invented.

use std::{path::Path, sync::Arc};

use ed25519_dalek::SigningKey;
use genetrail::{
    clock::{Clock as _, SystemClock},
    ledger::{Entropy, Ledger, NewLedger, Options, Submission},
    note::{KeyName, NoteSigner, Origin},
    pb,
    record::format::parse_uuid,
    rules::keys::sign_possession,
    views::Posts,
};
use prost::Message as _;

const ORIGIN: &str = "bench.example/trail";

/// Entries that are queued at once while a ledger is filled.
const FILL: usize = 500;

/// A uniform, repeatable UUID for a number.
pub(crate) fn uuid(number: u64) -> String {
    let hash = genetrail::tlog::leaf_hash(&number.to_be_bytes()).to_string();
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    parts.join("-")
}

/// An administration as a hospital system sends it, of about 500 bytes.
pub(crate) fn administration(number: u64) -> pb::Record {
    administration_of(number, number)
}

/// The pseudonym of a patient.
pub(crate) fn patient(number: u64) -> String {
    format!("P-{:08}", number % 100_000_000)
}

/// The administration of this number, to a patient.
pub(crate) fn administration_of(number: u64, patient: u64) -> pb::Record {
    let quantity = |value: &str, unit: &str| {
        Some(pb::Quantity {
            value: value.to_owned(),
            unit: unit.to_owned(),
            ..pb::Quantity::default()
        })
    };
    let code = |system: &str, code: &str, display: &str| {
        Some(pb::Code {
            system: system.to_owned(),
            code: code.to_owned(),
            display: display.to_owned(),
            ..pb::Code::default()
        })
    };
    let administration = pb::Administration {
        product_id: "SYN-CAR19".to_owned(),
        lot: Some(pb::LotKey {
            gtin: "09521123450011".to_owned(),
            lot: format!("DP-{:06}", number % 1_000_000),
            quality: pb::IdentifierQuality::Scanned.into(),
            ..pb::LotKey::default()
        }),
        coi: format!("CHZ000119{:06}", number % 1_000_000),
        coi_verification: uuid(number + 1),
        ended_at: "2026-03-02T09:55:00+08:00".to_owned(),
        status: pb::AdministrationStatus::Given.into(),
        dose_planned: quantity("120000000", "{cells}"),
        dose_actual: quantity("118000000", "{cells}"),
        weight: quantity("71.5", "kg"),
        route: code("http://snomed.info/sct", "47625008", "intravenous route"),
        dose_number: 1,
        performer: "ward-1.nurse-2".to_owned(),
        second_checker: "ward-1.nurse-3".to_owned(),
        thawed_at: "2026-03-02T09:10:00+08:00".to_owned(),
        minutes_out: Some(18),
        ..pb::Administration::default()
    };
    pb::Record {
        record_id: uuid(number),
        schema_version: 1,
        event_time: "2026-03-02T09:30:00+08:00".to_owned(),
        site: "9521123001015".to_owned(),
        site_tz: "Asia/Shanghai".to_owned(),
        actor_person: "ward-1.nurse-2".to_owned(),
        actor_role: pb::ActorRole::Nurse.into(),
        signature_meaning: pb::SignatureMeaning::Authorship.into(),
        source_kind: pb::SourceKind::Direct.into(),
        patient: self::patient(patient),
        kind: Some(pb::record::Kind::Administration(administration)),
        ..pb::Record::default()
    }
}

/// Salts that are different each time and the same each run.
pub(crate) fn entropy() -> Entropy {
    let mut counter = 0_u64;
    Box::new(move |bytes| {
        counter += 1;
        let hash = genetrail::tlog::leaf_hash(&counter.to_be_bytes());
        for (byte, random) in bytes.iter_mut().zip(hash.as_bytes()) {
            *byte = *random;
        }
    })
}

/// Creates a ledger in a directory that is not there yet.
pub(crate) fn create(dir: &Path) {
    let (key, admin) = (
        SigningKey::from_bytes(&[7; 32]),
        SigningKey::from_bytes(&[8; 32]),
    );
    let origin = Origin::parse(ORIGIN).unwrap();
    let signer = NoteSigner::new(KeyName::parse(ORIGIN).unwrap(), key.clone());
    let genesis = pb::Genesis {
        origin: ORIGIN.to_owned(),
        ledger_key: signer.vkey().to_string(),
        administrator: "admin".to_owned(),
        administrator_key: Some(pb::KeyOffer {
            algorithm: pb::KeyAlgorithm::Ed25519.into(),
            public_key: admin.verifying_key().to_bytes().to_vec(),
            valid_from: "2020-01-01T00:00:00Z".to_owned(),
            valid_to: "2050-01-01T00:00:00Z".to_owned(),
            possession: sign_possession(&admin, ORIGIN).to_vec(),
        }),
    };
    let genesis = pb::Record {
        record_id: uuid(u64::MAX),
        event_time: "2026-01-01T00:00:00Z".to_owned(),
        kind: Some(pb::record::Kind::Genesis(genesis)),
        ..pb::Record::default()
    };
    let actor = "admin".to_owned();
    let new = NewLedger {
        origin,
        key,
        genesis,
        actor,
    };
    Ledger::create(&Options::new(dir), new, SystemClock.now(), entropy()).unwrap();
}

/// Opens the ledger in a directory.
pub(crate) fn open(dir: &Path) -> Ledger {
    let opened = Ledger::open(&Options::new(dir), Arc::new(SystemClock), entropy());
    opened.unwrap().ledger
}

/// A ledger with this many entries, closed cleanly.
pub(crate) fn filled(dir: &Path, entries: u64) {
    create(dir);
    let ledger = open(dir);
    fill(&ledger, (0..entries).map(submission));
    ledger.close();
}

/// Records all of it, as fast as the ledger takes it.
pub(crate) fn fill(ledger: &Ledger, mut submissions: impl Iterator<Item = Submission>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut waiting = std::collections::VecDeque::new();
        loop {
            let some: Vec<Submission> = submissions.by_ref().take(FILL).collect();
            if some.is_empty() {
                break;
            }
            waiting.push_back(ledger.queue(some).await.unwrap());
            // Two commits under way at once keep the writer busy, and memory small.
            while 4 < waiting.len() {
                let answer = waiting.pop_front().unwrap();
                answer.await.unwrap().unwrap();
            }
        }
        for answer in waiting {
            answer.await.unwrap().unwrap();
        }
    });
}

/// An administration, to be recorded.
pub(crate) fn submission(number: u64) -> Submission {
    submission_of(&administration(number))
}

/// A record, to be recorded.
pub(crate) fn submission_of(record: &pb::Record) -> Submission {
    Submission {
        record_id: parse_uuid(&record.record_id).unwrap(),
        record: record.encode_to_vec(),
        actor: "ward-1".to_owned(),
        author: None,
        event_time: None,
        authority: None,
        posts: Posts::of(record),
    }
}
