//! The facts of a ledger: those of the entries, through stops, rebuilds and damage.

use std::sync::Arc;

use chrono::TimeDelta;
use prost::Message as _;

use super::{Bench, entropy, noon};
use crate::{
    ledger::{FsckError, Ledger, LedgerFacts, Remembered, Submission, fsck},
    pb::{self, record::Kind},
    record::format::parse_uuid,
    rules::{
        ahead::Ahead,
        book::Book,
        fact::{Fact, Facts as _, LotId, Subject},
    },
    store::{SledOptions, SledStore, Store as _},
    tlog::{Index, TreeSize},
    views::{self, Posts},
};

fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-0000{number:08x}")
}

fn submission(number: u32, patient: &str, kind: Kind) -> Submission {
    let record = pb::Record {
        record_id: uuid(number),
        event_time: "2026-03-02".to_owned(),
        site: "9521123001015".to_owned(),
        patient: patient.to_owned(),
        kind: Some(kind),
        ..pb::Record::default()
    };
    Submission {
        record_id: parse_uuid(&record.record_id).unwrap(),
        record: record.encode_to_vec(),
        actor: "ward-1".to_owned(),
        author: None,
        event_time: None,
        authority: None,
        posts: Posts::of(&record),
    }
}

/// A patient may be treated any number of times, and is registered once.
fn treated(number: u32, patient: &str) -> Submission {
    let administration = pb::Administration::default();
    submission(number, patient, Kind::Administration(administration))
}

fn correction(number: u32, target: u32) -> Submission {
    let correction = pb::Correction {
        target: uuid(target),
        ..pb::Correction::default()
    };
    submission(number, "", Kind::Correction(correction))
}

/// A correction that changes a field of its target.
fn change(number: u32, target: u32, path: &str, new: &str) -> Submission {
    let correction = pb::Correction {
        target: uuid(target),
        correction_kind: pb::CorrectionKind::IncorrectData.into(),
        changes: vec![pb::FieldChange {
            path: path.to_owned(),
            new: new.to_owned(),
            ..pb::FieldChange::default()
        }],
        ..pb::Correction::default()
    };
    submission(number, "", Kind::Correction(correction))
}

/// A correction that takes its target back.
fn undone(number: u32, target: u32) -> Submission {
    let correction = pb::Correction {
        target: uuid(target),
        correction_kind: pb::CorrectionKind::DidNotOccur.into(),
        ..pb::Correction::default()
    };
    submission(number, "", Kind::Correction(correction))
}

/// A record that nothing is wrong with, before and after it is corrected.
fn given(number: u32, patient: &str, gtin: &str, lot: &str) -> Submission {
    let route = pb::Code {
        system: "http://snomed.info/sct".to_owned(),
        code: "47625008".to_owned(),
        ..pb::Code::default()
    };
    let dose = pb::Quantity {
        value: "1".to_owned(),
        unit: "{unit}".to_owned(),
        ..pb::Quantity::default()
    };
    let administration = pb::Administration {
        lot: Some(pb::LotKey {
            gtin: gtin.to_owned(),
            lot: lot.to_owned(),
            ..pb::LotKey::default()
        }),
        status: pb::AdministrationStatus::Given.into(),
        dose_actual: Some(dose),
        dose_number: 1,
        route: Some(route),
        performer: "ward-1".to_owned(),
        ..pb::Administration::default()
    };
    let record = pb::Record {
        record_id: uuid(number),
        event_time: "2023-03-02T10:00:00+08:00".to_owned(),
        site: "9521123001015".to_owned(),
        site_tz: "Asia/Shanghai".to_owned(),
        actor_person: "ward-1".to_owned(),
        actor_role: pb::ActorRole::Nurse.into(),
        signature_meaning: pb::SignatureMeaning::Authorship.into(),
        source_kind: pb::SourceKind::Direct.into(),
        patient: patient.to_owned(),
        kind: Some(Kind::Administration(administration)),
        ..pb::Record::default()
    };
    Submission {
        record: record.encode_to_vec(),
        posts: Posts::of(&record),
        ..treated(number, patient)
    }
}

/// A sample at a place in a store.
fn stored(number: u32, place: &str) -> Submission {
    let position = pb::StoragePosition {
        facility: "BANK".to_owned(),
        unit: "FREEZER-1".to_owned(),
        place: place.to_owned(),
        ..pb::StoragePosition::default()
    };
    let event = pb::SampleEvent {
        sample_id: format!("S-{number}"),
        event: pb::SampleEventKind::Stored.into(),
        position: Some(position),
        ..pb::SampleEvent::default()
    };
    submission(number, "", Kind::SampleEvent(event))
}

/// A lot with a trace code.
fn coded(number: u32) -> Submission {
    let lot = pb::LotRegistered {
        gtin: "09521123450011".to_owned(),
        lot: format!("L-{number}"),
        nmpa_trace_codes: vec![format!("812345678901{number:08}")],
        ..pb::LotRegistered::default()
    };
    submission(number, "", Kind::LotRegistered(lot))
}

/// Records a batch, all or nothing.
fn record(ledger: &Ledger, batch: Vec<Submission>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(ledger.append(batch)).unwrap();
}

/// The ledger's facts are those of a book that is read from its entries.
#[track_caller]
fn check(ledger: &Ledger) {
    let size = ledger.published().size();
    let mut book = Book::default();
    // Entry 0 says nothing about anybody, and in these tests not when.
    for entry in ledger.entries(Index::new(1), size) {
        book.insert(Fact::read(&entry.unwrap().1).unwrap());
    }
    let facts = ledger.facts();
    let subjects: Vec<Subject> = book.after(&Subject::Catalogue).cloned().collect();
    let listed = facts
        .subjects_after(&Subject::Catalogue, usize::MAX)
        .unwrap();
    assert_eq!(listed, subjects);
    for subject in subjects.iter().chain([&Subject::Catalogue]) {
        // Twice: read from the store, and kept.
        for _ in 0..2 {
            assert_eq!(facts.about(subject).unwrap(), book.about(subject).unwrap());
        }
    }
    check_remembered(ledger, &subjects);
}

/// What is remembered at each of the last sizes is what the facts of that size are, asked once or again.
#[track_caller]
fn check_remembered(ledger: &Ledger, subjects: &[Subject]) {
    let size = ledger.published().size();
    for size in (size.value().saturating_sub(25).max(2)..=size.value()).map(TreeSize::new) {
        let facts = ledger.facts().at(size);
        let last = Index::new(size.value() - 1);
        let newest = facts.from(last, 1).unwrap();
        let mut remembered = Remembered::new(facts.clone());
        remembered.take_newest(&ledger.entry(last).unwrap().into(), &newest[0]);
        for subject in subjects.iter().chain(subjects) {
            let expected = facts.about(subject).unwrap();
            assert_eq!(remembered.about(subject).unwrap(), expected);
            let entries = facts.entries_about(subject).unwrap();
            let before = |size: TreeSize| {
                let is_before = |index: &&Index| index.value() < size.value();
                entries.iter().filter(is_before).count()
            };
            for of in [TreeSize::ZERO, TreeSize::new(size.value() / 2), size] {
                assert_eq!(remembered.count_about(subject, of).unwrap(), before(of));
            }
        }
    }
}

fn indexes(facts: &[Arc<Fact>]) -> Vec<u64> {
    facts.iter().map(|fact| fact.index.value()).collect()
}

fn patient(number: u32) -> Subject {
    Subject::Patient(format!("P-{number}"))
}

/// Batches of patients' records and corrections, some of records in the same batch.
fn record_history(ledger: &Ledger, batches: std::ops::Range<u32>) {
    for batch in batches {
        let first = batch * 20;
        let mut submissions: Vec<Submission> = (first..first + 16)
            .map(|number| treated(number, &format!("P-{}", number % 11)))
            .collect();
        submissions.push(stored(first + 16, &format!("A{}", batch % 3)));
        submissions.push(coded(first + 17));
        submissions.push(correction(first + 18, first + 3));
        submissions.push(correction(first + 19, (first + 18).saturating_sub(20)));
        record(ledger, submissions);
    }
}

#[test]
fn facts_are_those_of_the_entries_after_stops_and_rebuilds() {
    let bench = Bench::new();
    let ledger = bench.open();
    check(&ledger);
    record_history(&ledger, 0..20);
    check(&ledger);
    ledger.close();

    let ledger = bench.open();
    check(&ledger);
    record_history(&ledger, 20..25);
    ledger.close();

    // As a ledger that was written before there were views of facts.
    let store = SledStore::open(&bench.options().store_dir(), &SledOptions::default()).unwrap();
    views::drop_all(&store).unwrap();
    store.sync().unwrap();
    drop(store);
    Ledger::rebuild_views(&bench.options(), entropy()).unwrap();
    let ledger = bench.open();
    check(&ledger);
    ledger.close();
    let clock = Arc::clone(&bench.clock) as _;
    let checked = fsck(&bench.options(), clock, entropy(), &|_, _| {}).unwrap();
    let line = checked.lines.iter().find(|line| line.starts_with("views"));
    assert!(line.unwrap().contains("postings"), "{line:?}");
}

#[test]
fn a_corrected_record_is_found_by_what_it_is_about_now() {
    let bench = Bench::new();
    let ledger = bench.open();
    let (gtin, gtin_2) = ("09521123450011", "09521123450028");
    let stock = |gtin: &str, lot: &str| {
        Subject::Stock(LotId {
            gtin: gtin.to_owned(),
            lot: lot.to_owned(),
        })
    };
    record(&ledger, vec![given(1, "P-1", gtin, "L")]);
    record(
        &ledger,
        vec![
            change(2, 1, "administration.lot.lot", "L2"),
            change(3, 1, "administration.lot.gtin", gtin_2),
            change(4, 1, "patient", "P-2"),
        ],
    );
    check(&ledger);
    let found =
        |ledger: &Ledger, subject: &Subject| indexes(&ledger.facts().about(subject).unwrap());
    let before = ledger.facts();
    for (gtin, lot) in [(gtin, "L"), (gtin, "L2"), (gtin_2, "L2")] {
        assert_eq!(
            found(&ledger, &stock(gtin, lot)),
            [1, 2, 3, 4],
            "{gtin} {lot}"
        );
    }
    assert_eq!(found(&ledger, &stock(gtin_2, "L")), [0_u64; 0]);
    assert_eq!(found(&ledger, &patient(2)), [1, 2, 3, 4]);
    let known = ledger.facts().at(TreeSize::new(3));
    assert_eq!(indexes(&known.about(&stock(gtin, "L2")).unwrap()), [1, 2]);
    assert_eq!(
        indexes(&known.about(&stock(gtin_2, "L2")).unwrap()),
        [0_u64; 0]
    );

    // Without the first correction it is about a lot that nobody had named.
    record(&ledger, vec![undone(5, 2), treated(6, "P-2")]);
    check(&ledger);
    assert_eq!(found(&ledger, &stock(gtin_2, "L")), [1, 2, 3, 4, 5]);
    assert_eq!(
        indexes(&before.about(&stock(gtin_2, "L")).unwrap()),
        [0_u64; 0]
    );
    assert_eq!(found(&ledger, &patient(2)), [1, 2, 3, 4, 5, 6]);
    drop((before, known));
    ledger.close();
    Ledger::rebuild_views(&bench.options(), entropy()).unwrap();
    let ledger = bench.open();
    check(&ledger);
    ledger.close();
    let clock = Arc::clone(&bench.clock) as _;
    fsck(&bench.options(), clock, entropy(), &|_, _| {}).unwrap();
}

#[test]
fn facts_are_of_the_tree_that_was_published_when_they_were_asked_for() {
    let bench = Bench::new();
    let ledger = bench.open();
    record(&ledger, vec![treated(1, "P-1"), treated(2, "P-2")]);
    let before = ledger.facts();
    record(&ledger, vec![treated(3, "P-1"), treated(4, "P-4")]);
    let after = ledger.facts();
    assert_eq!(before.size(), TreeSize::new(3));
    assert_eq!(indexes(&before.about(&patient(1)).unwrap()), [1]);
    assert_eq!(indexes(&after.about(&patient(1)).unwrap()), [1, 3]);
    assert_eq!(indexes(&before.about(&patient(4)).unwrap()), [0_u64; 0]);
    let site = "9521123001015";
    assert_eq!(before.patients_at(site, "", 9).unwrap(), ["P-1", "P-2"]);
    assert_eq!(after.patients_at(site, "P-1", 9).unwrap(), ["P-2", "P-4"]);
    let standing = |facts: &LedgerFacts, patient| indexes(&facts.standing(patient).unwrap());
    assert_eq!(standing(&before, "P-1"), [1]);
    assert_eq!(standing(&after, "P-1"), [1, 3]);
}

#[test]
fn facts_are_counted_in_the_tree_that_is_asked_for_and_not_where_some_are_only_tried() {
    let bench = Bench::new();
    let ledger = bench.open();
    record(&ledger, vec![treated(1, "P-1"), treated(2, "P-1")]);
    let facts = ledger.facts();
    for (size, count) in [(1, 0), (2, 1), (3, 2), (9, 2)] {
        let size = TreeSize::new(size);
        assert_eq!(facts.count(&patient(1), size).unwrap(), Some(count));
    }
    let tried = |patient: &str| {
        let mut ahead = Ahead::new(ledger.facts());
        let mut fact = Fact::clone(&facts.about(&self::patient(1)).unwrap()[0]);
        fact.record.record_id = uuid(3);
        fact.record.patient = patient.to_owned();
        fact.index = Index::new(3);
        ahead.add(fact).unwrap();
        ahead
    };
    let all = TreeSize::new(9);
    assert_eq!(tried("P-1").count(&patient(1), all).unwrap(), None);
    assert_eq!(tried("P-2").count(&patient(1), all).unwrap(), Some(2));
}

#[test]
fn the_size_at_an_instant_counts_the_entries_recorded_by_then() {
    let bench = Bench::new();
    let ledger = bench.open();
    for number in 1..=4 {
        bench.clock.advance(TimeDelta::seconds(10));
        record(&ledger, vec![treated(number, "P-1")]);
    }
    let facts = ledger.facts();
    for (seconds, size) in [(-1, 0), (0, 1), (9, 1), (10, 2), (39, 4), (40, 5), (999, 5)] {
        let instant = noon() + TimeDelta::seconds(seconds);
        let found = facts.size_at(instant).unwrap();
        assert_eq!(found, TreeSize::new(size), "{seconds} seconds after noon");
    }
}

#[test]
fn fsck_names_the_entry_that_the_view_of_facts_lacks_and_a_rebuild_mends_it() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_history(&ledger, 0..2);
    let forgotten = Submission {
        posts: Posts::default(),
        ..treated(50, "P-1")
    };
    record(&ledger, vec![treated(49, "P-1"), forgotten]);
    let about = ledger.facts().about(&patient(1)).unwrap();
    assert_eq!(about.last().unwrap().index, Index::new(41));
    ledger.close();

    let clock = || Arc::clone(&bench.clock) as _;
    let error = fsck(&bench.options(), clock(), entropy(), &|_, _| {}).unwrap_err();
    assert!(
        matches!(
            error,
            FsckError::ViewDiffers {
                view: "facts",
                index: 42
            }
        ),
        "{error}"
    );
    Ledger::rebuild_views(&bench.options(), entropy()).unwrap();
    fsck(&bench.options(), clock(), entropy(), &|_, _| {}).unwrap();
    let ledger = bench.open();
    let about = ledger.facts().about(&patient(1)).unwrap();
    assert_eq!(about.last().unwrap().index, Index::new(42));
    check(&ledger);
}
