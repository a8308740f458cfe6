//! Ledgers and records to measure with: the same each time, but for the day.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, OnceLock},
};

use anyhow::Context as _;
use chrono::Days;
use chrono_tz::Asia::Shanghai;
use ed25519_dalek::SigningKey;
use prost::Message as _;
use tokio::sync::oneshot;

use crate::{
    clock::{Clock as _, SystemClock},
    ledger::{Accepted, AppendError, Entropy, Ledger, NewLedger, Options, Submission},
    note::{KeyName, NoteSigner, Origin},
    pb::{self, record::Kind},
    record::format::parse_uuid,
    rules::keys::sign_possession,
    tlog::leaf_hash,
    views::Posts,
};

const ORIGIN: &str = "bench.example/trail";

/// Entries that are queued at once while a ledger is filled.
const FILL: usize = 500;

/// Such queues that wait for their commit.
const WAITING_MAX: usize = 5;

/// Who submits.
pub(super) const ACTOR: &str = "ward-1";

/// Where products are given, who gives them and who checks that, and what it is.
const SITE: &str = "9521123001015";
const NURSES: [&str; 2] = ["ward-1.nurse-2", "ward-1.nurse-3"];
const ADMINISTRATOR: &str = "ward-1.administrator";
const PRODUCT: &str = "SYN-CAR19";
const GTIN: &str = "09521123450011";
const ZONE: &str = "Asia/Shanghai";

/// A uniform, repeatable UUID for a number.
pub(super) fn uuid(number: u64) -> String {
    let hash = leaf_hash(&number.to_be_bytes()).to_string();
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

/// An instant of the day before this one, where products are given: a record that a hospital system sends is not late,
/// whenever it is measured.
fn yesterday(time: &str) -> String {
    static DAY: OnceLock<String> = OnceLock::new();
    let day = DAY.get_or_init(|| {
        let today = SystemClock.now().with_timezone(&Shanghai).date_naive();
        let day = today.checked_sub_days(Days::new(1)).unwrap_or(today);
        day.to_string()
    });
    // Callers make it while they are measured: in one piece, which a format is not.
    [day.as_str(), "T", time, "+08:00"].concat()
}

/// An administration as a hospital system sends it, of about 500 bytes.
pub(super) fn administration(number: u64) -> pb::Record {
    administration_of(number, number)
}

/// The pseudonym of a patient.
pub(super) fn patient(number: u64) -> String {
    format!("P-{:08}", number % 100_000_000)
}

/// The chain of identity of one product: a facility, a year from 2019 on, and a million numbers in each.
fn coi(number: u64) -> String {
    let year = (19 + number / 1_000_000) % 100;
    format!("CHZ0001{year:02}{:06}", number % 1_000_000)
}

/// The administration of this number, to a patient. Each is of a lot of its own, made for that patient.
pub(super) fn administration_of(number: u64, patient: u64) -> pb::Record {
    let [nurse, checker] = NURSES;
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
        product_id: PRODUCT.to_owned(),
        lot: Some(pb::LotKey {
            gtin: GTIN.to_owned(),
            lot: format!("DP-{number:06}"),
            quality: pb::IdentifierQuality::Scanned.into(),
            ..pb::LotKey::default()
        }),
        coi: coi(number),
        coi_verification: uuid(number + 1),
        ended_at: yesterday("09:55:00"),
        status: pb::AdministrationStatus::Given.into(),
        dose_planned: quantity("120000000", "{cells}"),
        dose_actual: quantity("118000000", "{cells}"),
        weight: quantity("71.5", "kg"),
        route: code("http://snomed.info/sct", "47625008", "intravenous route"),
        dose_number: 1,
        performer: nurse.to_owned(),
        second_checker: checker.to_owned(),
        thawed_at: yesterday("09:10:00"),
        minutes_out: Some(18),
        ..pb::Administration::default()
    };
    pb::Record {
        record_id: uuid(number),
        patient: self::patient(patient),
        kind: Some(Kind::Administration(administration)),
        ..envelope(nurse, pb::ActorRole::Nurse)
    }
}

/// What all records have.
fn envelope(actor: &str, role: pb::ActorRole) -> pb::Record {
    pb::Record {
        schema_version: 1,
        event_time: yesterday("09:30:00"),
        site: SITE.to_owned(),
        site_tz: ZONE.to_owned(),
        actor_person: actor.to_owned(),
        actor_role: role.into(),
        signature_meaning: pb::SignatureMeaning::Authorship.into(),
        source_kind: pb::SourceKind::Direct.into(),
        ..pb::Record::default()
    }
}

/// What a ledger knows before the first patient: the site, who acts there, and the product.
pub(super) fn known() -> Vec<pb::Record> {
    let hospital = pb::OrganisationRegistered {
        gln: SITE.to_owned(),
        name: "Hospital 1".to_owned(),
        roles: vec![pb::OrganisationRole::Hospital.into()],
        country: "CN".to_owned(),
        time_zone: ZONE.to_owned(),
        ..pb::OrganisationRegistered::default()
    };
    let nurse = |actor: &str| {
        Kind::ActorRegistered(pb::ActorRegistered {
            actor_id: actor.to_owned(),
            roles: vec![pb::ActorRole::Nurse.into()],
            organisation: SITE.to_owned(),
            ..pb::ActorRegistered::default()
        })
    };
    let factors = (1..=10).map(|factor| pb::RiskFactorState {
        factor,
        state: pb::RiskState::Unknown.into(),
        ..pb::RiskFactorState::default()
    });
    let product = pb::ProductRegistered {
        product_id: PRODUCT.to_owned(),
        version: 1,
        gtins: vec![GTIN.to_owned()],
        name: "a lentiviral CAR-T".to_owned(),
        phase: pb::ProductPhase::PostMarketing.into(),
        product_classes: vec![pb::ProductClass::Lenti.into()],
        integrating: Some(true),
        replication_competent: Some(false),
        delivery: pb::Delivery::ExVivo.into(),
        autologous: Some(true),
        single_dose: Some(true),
        risk_profile: factors.collect(),
        follow_up_default_months: Some(180),
        ..pb::ProductRegistered::default()
    };
    let kinds = [Kind::OrganisationRegistered(hospital)]
        .into_iter()
        .chain(NURSES.map(nurse))
        .chain([Kind::ProductRegistered(product)]);
    let record = |(kind, number): (Kind, u64)| pb::Record {
        record_id: uuid(u64::MAX - 1 - number),
        kind: Some(kind),
        ..envelope(ADMINISTRATOR, pb::ActorRole::Administrator)
    };
    kinds.zip(0..).map(record).collect()
}

/// Salts that are different each time and the same each run.
pub(super) fn entropy() -> Entropy {
    let mut counter = 0_u64;
    Box::new(move |bytes| {
        counter += 1;
        let hash = leaf_hash(&counter.to_be_bytes());
        for (byte, random) in bytes.iter_mut().zip(hash.as_bytes()) {
            *byte = *random;
        }
    })
}

/// Creates a ledger in a directory that is not there yet, and opens it.
pub(super) fn create(dir: &Path) -> anyhow::Result<Ledger> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let admin = SigningKey::from_bytes(&[8; 32]);
    let name = KeyName::parse(ORIGIN).context("no key's name")?;
    let signer = NoteSigner::new(name, key.clone());
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
        kind: Some(Kind::Genesis(genesis)),
        ..pb::Record::default()
    };
    let new = NewLedger {
        origin: Origin::parse(ORIGIN).context("no origin")?,
        key,
        genesis,
        actor: "admin".to_owned(),
    };
    Ledger::create(&Options::new(dir), new, SystemClock.now(), entropy())?;
    open(dir)
}

/// Opens the ledger in a directory.
pub(super) fn open(dir: &Path) -> anyhow::Result<Ledger> {
    let opened = Ledger::open(&Options::new(dir), Arc::new(SystemClock), entropy());
    let opened = opened.with_context(|| format!("cannot open {}", dir.display()))?;
    Ok(opened.ledger)
}

/// Records all of it, as fast as the ledger takes it, and says how many bytes the entries have.
pub(super) fn fill(
    ledger: &Ledger,
    submissions: impl Iterator<Item = anyhow::Result<Submission>>,
) -> anyhow::Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut submissions = submissions;
    runtime.block_on(async {
        let mut waiting = VecDeque::new();
        let mut bytes = 0;
        loop {
            let some = submissions.by_ref().take(FILL);
            let some = some.collect::<anyhow::Result<Vec<Submission>>>()?;
            let is_last = some.is_empty();
            if !is_last {
                waiting.push_back(ledger.queue(some).await?);
            }
            // Some commits under way at once keep the writer busy, and memory small.
            while is_last || WAITING_MAX <= waiting.len() {
                let Some(answer) = waiting.pop_front() else {
                    return Ok(bytes);
                };
                bytes += entry_bytes(answer).await?;
            }
        }
    })
}

/// The bytes of the entries that a job is answered with.
async fn entry_bytes(
    answer: oneshot::Receiver<Result<Vec<Accepted>, AppendError>>,
) -> anyhow::Result<u64> {
    let accepted = answer.await.context("the ledger has ended")??;
    let bytes: usize = accepted.iter().map(|accepted| accepted.entry.len()).sum();
    Ok(u64::try_from(bytes)?)
}

/// Administrations of these numbers, to be recorded.
pub(super) fn administrations(
    numbers: impl Iterator<Item = u64>,
) -> impl Iterator<Item = anyhow::Result<Submission>> {
    numbers.map(|number| submission_of(&administration(number)))
}

/// A record, to be recorded.
pub(super) fn submission_of(record: &pb::Record) -> anyhow::Result<Submission> {
    Ok(Submission {
        record_id: parse_uuid(&record.record_id)
            .ok()
            .context("a record has no id")?,
        record: record.encode_to_vec(),
        actor: ACTOR.to_owned(),
        author: None,
        event_time: None,
        authority: None,
        posts: Posts::of(record),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::format::check_coi;

    fn given(number: u64) -> pb::Administration {
        match administration(number).kind {
            Some(Kind::Administration(given)) => given,
            _ => pb::Administration::default(),
        }
    }

    #[test]
    fn no_two_administrations_are_of_one_lot_or_one_chain_of_identity() {
        for (first, second) in [(0, 1), (7, 1_000_007), (1_000_007, 9_000_007)] {
            let (one, other) = (given(first), given(second));
            assert_ne!(one.lot, other.lot);
            assert_ne!(one.coi, other.coi);
            assert_eq!(check_coi(&other.coi), Ok(()));
        }
    }
}
