//! Traces of the CAR-T history, and of small graphs that are drawn here.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{
    forward::{Part, Position, part},
    graph::{Way, descends_from_any, walk},
    identity::chain_of_identity,
    lot::Lot,
    patient::trace_patient,
    people::Standing,
    recall::{Reconciliation, Source, recall},
    retention::retention,
    sample::trace_sample,
};
use crate::{
    pb::{self, Disposition, record::Kind},
    record::format::Decimal,
    rules::{
        book::{Book, Counted},
        example,
        fact::{Fact, Facts, LotId, Material, event_day, material},
        question::{Question, View},
    },
    tlog::{Index, TreeSize},
};

const MAKER: &str = "9521123000018";
const SITE: &str = "9521123001015";
const OTHER_SITE: &str = "9521123001022";
const GTIN: &str = "09521123450011";

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn on(as_of: &str) -> Question {
    Question {
        as_of: day(as_of),
        known_at: TreeSize::new(u64::MAX),
        view: View::AsCorrected,
    }
}

fn as_recorded(as_of: &str) -> Question {
    Question {
        view: View::AsRecorded,
        ..on(as_of)
    }
}

fn lot(number: &str) -> LotId {
    LotId {
        gtin: GTIN.to_owned(),
        lot: number.to_owned(),
    }
}

fn key(number: &str) -> pb::LotKey {
    pb::LotKey {
        gtin: GTIN.to_owned(),
        lot: number.to_owned(),
        ..pb::LotKey::default()
    }
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

/// A log that is written line by line.
#[derive(Default)]
struct Log(Book);

impl Log {
    /// Records, and answers the record's id.
    fn add(&mut self, on: &str, site: &str, patient: &str, kind: Kind) -> String {
        let index = self.0.facts().len();
        let record = pb::Record {
            record_id: format!("r{index}"),
            event_time: on.to_owned(),
            site: site.to_owned(),
            patient: patient.to_owned(),
            kind: Some(kind),
            ..pb::Record::default()
        };
        let id = record.record_id.clone();
        self.insert(record);
        id
    }

    fn insert(&mut self, record: pb::Record) {
        let index = u64::try_from(self.0.facts().len()).unwrap();
        self.0.insert(Fact {
            index: Index::new(index),
            recorded_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            actor: "ann".to_owned(),
            on: event_day(&record).unwrap(),
            record,
            replacement: None,
        });
    }

    fn lot(&mut self, on: &str, number: &str, quantity: &str, unit: &str, expiry: &str) -> String {
        let registered = pb::LotRegistered {
            gtin: GTIN.to_owned(),
            lot: number.to_owned(),
            manufacturer: MAKER.to_owned(),
            expiry: expiry.to_owned(),
            quantity: Some(amount(quantity, unit)),
            ..pb::LotRegistered::default()
        };
        self.add(on, MAKER, "", Kind::LotRegistered(registered))
    }

    fn step(&mut self, on: &str, inputs: &[&str], outputs: &[&str]) -> String {
        self.add(on, MAKER, "", Kind::Transformation(step(inputs, outputs)))
    }

    fn give(
        &mut self,
        on: &str,
        site: &str,
        patient: &str,
        number: &str,
        dose: (&str, &str),
    ) -> String {
        let administration = pb::Administration {
            lot: Some(key(number)),
            status: pb::AdministrationStatus::Given.into(),
            dose_actual: Some(amount(dose.0, dose.1)),
            ..pb::Administration::default()
        };
        self.add(on, site, patient, Kind::Administration(administration))
    }

    fn ship(&mut self, on: &str, to: &str, number: &str, quantity: &str) -> String {
        let shipment = pb::Shipment {
            sscc: "1".to_owned(),
            items: vec![item(number, quantity)],
            from_gln: MAKER.to_owned(),
            to_gln: to.to_owned(),
            ..pb::Shipment::default()
        };
        self.add(on, MAKER, "", Kind::Shipment(shipment))
    }

    fn receive(&mut self, on: &str, to: &str, number: &str, quantity: &str) -> String {
        let received = pb::ShipmentReceived {
            sscc: "1".to_owned(),
            items: vec![item(number, quantity)],
            to_gln: to.to_owned(),
            ..pb::ShipmentReceived::default()
        };
        self.add(on, to, "", Kind::ShipmentReceived(received))
    }

    fn destroy(&mut self, on: &str, site: &str, number: &str, quantity: &str) {
        let destroyed = pb::ProductDestroyed {
            items: vec![item(number, quantity)],
            ..pb::ProductDestroyed::default()
        };
        self.add(on, site, "", Kind::ProductDestroyed(destroyed));
    }

    fn give_back(&mut self, on: &str, from: &str, number: &str, quantity: &str) {
        let returned = pb::ProductReturned {
            items: vec![item(number, quantity)],
            from_gln: from.to_owned(),
            to_gln: MAKER.to_owned(),
            sscc: "2".to_owned(),
            ..pb::ProductReturned::default()
        };
        self.add(on, from, "", Kind::ProductReturned(returned));
    }

    fn decide(&mut self, on: &str, number: &str, disposition: Disposition) -> String {
        let decided = pb::LotDisposition {
            lot: Some(key(number)),
            disposition: disposition.into(),
            ..pb::LotDisposition::default()
        };
        self.add(on, MAKER, "", Kind::LotDisposition(decided))
    }

    fn correct(
        &mut self,
        on: &str,
        target: &str,
        kind: pb::CorrectionKind,
        change: Option<(&str, &str)>,
    ) -> String {
        let correction = pb::Correction {
            target: target.to_owned(),
            correction_kind: kind.into(),
            changes: change
                .map(|(path, new)| pb::FieldChange {
                    path: path.to_owned(),
                    old: String::new(),
                    new: new.to_owned(),
                })
                .into_iter()
                .collect(),
            ..pb::Correction::default()
        };
        self.add(on, MAKER, "", Kind::Correction(correction))
    }

    /// The whole trace from a lot.
    fn trace(&self, question: &Question, number: &str) -> Part {
        let Ok(reached) = walk(
            &self.0,
            question,
            [Material::Lot(lot(number))],
            Way::Descendants,
        );
        let Ok(part) = part(&self.0, question, &reached, Position::default(), 100_000);
        part
    }

    /// The lots that a walk from a lot comes to, in its order.
    fn lots(&self, question: &Question, number: &str, way: Way) -> Vec<String> {
        let Ok(reached) = walk(&self.0, question, [Material::Lot(lot(number))], way);
        reached.iter().map(|one| name(&one.material)).collect()
    }

    fn stock(&self, question: &Question, number: &str) -> super::stock::Stock {
        let Ok(lot) = Lot::of(&self.0, question, &lot(number));
        lot.stock()
    }

    fn state(&self, question: &Question, number: &str) -> Disposition {
        let Ok(lot) = Lot::of(&self.0, question, &lot(number));
        lot.state(&lot.stock())
    }
}

fn amount(value: &str, unit: &str) -> pb::Quantity {
    pb::Quantity {
        value: value.to_owned(),
        unit: unit.to_owned(),
        ..pb::Quantity::default()
    }
}

/// A lot of a consignment or a step; without a quantity, all of it.
fn item(number: &str, quantity: &str) -> pb::Item {
    pb::Item {
        what: Some(pb::item::What::Lot(key(number))),
        quantity: (!quantity.is_empty()).then(|| amount(quantity, "{vial}")),
        ..pb::Item::default()
    }
}

fn step(inputs: &[&str], outputs: &[&str]) -> pb::Transformation {
    let items = |names: &[&str]| names.iter().map(|name| item(name, "")).collect();
    pb::Transformation {
        inputs: items(inputs),
        outputs: items(outputs),
        ..pb::Transformation::default()
    }
}

/// Whether a step would make something from itself.
fn closes_cycle<F: Facts>(facts: &F, inputs: &[&str], outputs: &[&str]) -> Result<bool, F::Error> {
    let step = step(inputs, outputs);
    let outputs: BTreeSet<Material> = step.outputs.iter().filter_map(material).collect();
    for input in step.inputs.iter().filter_map(material) {
        if descends_from_any(facts, &Question::EVERYTHING, &input, &outputs)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn name(material: &Material) -> String {
    match material {
        Material::Lot(lot) => lot.lot.clone(),
        Material::Donation(din) => format!("APH-{din}"),
    }
}

/// The CAR-T history.
fn car_t() -> Log {
    let mut log = Log::default();
    for fact in example::car_t().facts() {
        log.insert(fact.record.clone());
    }
    log
}

/// A vector of the CAR-T history.
fn vector(number: &str) -> Material {
    Material::Lot(LotId {
        gtin: "09521123450028".to_owned(),
        lot: number.to_owned(),
    })
}

fn trace_of(log: &Log, question: &Question, from: Material) -> Part {
    let Ok(reached) = walk(&log.0, question, [from], Way::Descendants);
    let Ok(part) = part(&log.0, question, &reached, Position::default(), 1_000);
    part
}

#[test]
fn the_trace_of_the_recalled_vector_is_the_one_expected() {
    let log = car_t();
    let part = trace_of(&log, &on("2025-08-14"), vector("LV-B"));
    let lots: Vec<String> = part
        .materials
        .iter()
        .map(|one| name(&one.material))
        .collect();
    assert_eq!(
        lots,
        ["LV-B", "DP-002", "DP-004", "DP-005", "DP-006B", "DP-007"]
    );
    let depths: Vec<u32> = part.materials.iter().map(|one| one.depth).collect();
    assert_eq!(depths, [0, 1, 1, 1, 1, 1]);

    let given = part.administrations.iter().map(|row| {
        (
            row.lot.lot.as_str(),
            row.patient.as_str(),
            row.site.as_str(),
            row.on.to_string(),
            row.standing,
        )
    });
    let given: Vec<_> = given.collect();
    let expected = [
        ("DP-002", "P2", SITE, "2019-08-31", Standing::Deceased),
        ("DP-004", "P4", OTHER_SITE, "2020-11-20", Standing::Active),
        ("DP-005", "P5", SITE, "2021-06-18", Standing::LostToFollowUp),
        ("DP-006B", "P6", OTHER_SITE, "2022-05-10", Standing::Active),
    ];
    let expected = expected
        .map(|(lot, patient, site, on, standing)| (lot, patient, site, on.to_owned(), standing));
    assert_eq!(given, expected);

    let left = part.unadministered.iter().map(|row| {
        (
            row.lot.lot.as_str(),
            row.place.as_str(),
            row.state,
            row.held.to_string(),
        )
    });
    let left: Vec<_> = left.collect();
    assert_eq!(
        left,
        [("DP-007", SITE, Disposition::Quarantined, "1".to_owned())]
    );

    assert!(
        part.samples
            .iter()
            .any(|sample| sample.sample_id == "SMP-013" && sample.patient == "P2")
    );
    assert!(
        part.samples
            .iter()
            .all(|sample| ["P2", "P4", "P5", "P6"].contains(&sample.patient.as_str()))
    );
    assert!(
        part.administrations
            .iter()
            .all(|row| row.why.basis == ["R-L1"] && !row.why.evidence.is_empty())
    );
}

#[test]
fn a_destroyed_lot_and_a_patient_who_withdrew_are_in_the_trace() {
    let log = car_t();
    let part = trace_of(&log, &on("2025-08-14"), vector("LV-A"));
    let standings: BTreeMap<_, _> = part
        .administrations
        .iter()
        .map(|row| (row.patient.as_str(), row.standing))
        .collect();
    assert_eq!(standings["P3"], Standing::Withdrawn);
    assert_eq!(standings["P1"], Standing::Active);
    let left: Vec<_> = part
        .unadministered
        .iter()
        .map(|row| (row.lot.lot.as_str(), row.place.as_str(), row.state))
        .collect();
    assert_eq!(left, [("DP-006A", MAKER, Disposition::Destroyed)]);

    // The day before the withdrawal, and before the lot was destroyed.
    let before = trace_of(&log, &on("2022-06-30"), vector("LV-A"));
    let p3 = before
        .administrations
        .iter()
        .find(|row| row.patient == "P3")
        .unwrap();
    assert_eq!(p3.standing, Standing::Active);
    let before = trace_of(&log, &on("2022-04-29"), vector("LV-A"));
    assert_eq!(before.unadministered[0].state, Disposition::Unspecified);
    assert!(before.unadministered[0].held.is_positive());
}

#[test]
fn a_donation_is_traced_like_a_lot() {
    let log = car_t();
    let part = trace_of(
        &log,
        &on("2025-08-14"),
        Material::Donation("Z000122000006".to_owned()),
    );
    let lots: Vec<String> = part
        .materials
        .iter()
        .map(|one| name(&one.material))
        .collect();
    assert_eq!(lots, ["APH-Z000122000006", "DP-006A", "DP-006B"]);
}

#[test]
fn a_lot_that_names_its_donations_was_made_of_them_though_no_step_tells() {
    let mut log = Log::default();
    for (number, dins) in [("A", &["D1", "D2"][..]), ("B", &["D2"]), ("C", &[])] {
        let registered = pb::LotRegistered {
            gtin: GTIN.to_owned(),
            lot: number.to_owned(),
            dins: dins
                .iter()
                .map(|din| pb::Din {
                    number: (*din).to_owned(),
                    ..pb::Din::default()
                })
                .collect(),
            ..pb::LotRegistered::default()
        };
        log.add("2020-01-01", MAKER, "", Kind::LotRegistered(registered));
    }
    let question = on("2020-02-01");
    for (din, expected) in [
        ("D1", &["APH-D1", "A"][..]),
        ("D2", &["APH-D2", "A", "B"]),
        ("D3", &["APH-D3"]),
    ] {
        let from = [Material::Donation(din.to_owned())];
        let Ok(reached) = walk(&log.0, &question, from, Way::Descendants);
        let lots: Vec<String> = reached.iter().map(|one| name(&one.material)).collect();
        assert_eq!(lots, expected);
    }
    assert_eq!(
        log.lots(&question, "A", Way::Ancestors),
        ["A", "APH-D1", "APH-D2"]
    );
}

#[test]
fn the_trace_back_from_a_patient_is_the_one_expected() {
    let log = car_t();
    let Ok(trace) = trace_patient(&log.0, &on("2025-08-14"), "P6");
    let trace = trace.unwrap();
    let given: Vec<&str> = trace
        .administrations
        .iter()
        .map(|row| row.lot.lot.as_str())
        .collect();
    assert_eq!(given, ["DP-006B"]);
    let mut ancestors: Vec<String> = trace
        .ancestors
        .iter()
        .map(|one| name(&one.material))
        .collect();
    ancestors.sort();
    assert_eq!(ancestors, ["APH-Z000122000006", "LV-B"]);
    assert_eq!(trace.cois, ["CHZ000122000006"]);
    let never: Vec<&str> = trace
        .never_administered
        .iter()
        .map(|row| row.lot.lot.as_str())
        .collect();
    assert_eq!(never, ["DP-006A"]);

    // Before the second lot was given, both were made for the patient.
    let Ok(trace) = trace_patient(&log.0, &on("2022-05-09"), "P6");
    let never: Vec<String> = trace
        .unwrap()
        .never_administered
        .into_iter()
        .map(|row| row.lot.lot)
        .collect();
    assert_eq!(never, ["DP-006A", "DP-006B"]);
    let Ok(nobody) = trace_patient(&log.0, &on("2025-08-14"), "P60");
    assert!(nobody.is_none());
}

#[test]
fn the_trace_back_from_a_sample_ends_at_the_starting_materials() {
    let log = car_t();
    let Ok(trace) = trace_sample(&log.0, &on("2025-08-14"), "SMP-013");
    let trace = trace.unwrap();
    assert_eq!(trace.patient, "P2");
    let materials: Vec<String> = trace
        .materials
        .iter()
        .map(|one| name(&one.material))
        .collect();
    assert_eq!(materials, ["DP-002", "LV-B", "APH-Z000119000002"]);
    let tubes: Vec<&str> = trace
        .samples
        .iter()
        .map(|tube| tube.sample_id.as_str())
        .collect();
    assert_eq!(tubes, ["SMP-013"]);
    let Ok(unknown) = trace_sample(&log.0, &on("2020-02-27"), "SMP-013");
    assert!(unknown.is_none(), "it was taken a day later");
}

#[test]
fn a_chain_of_identity_tells_its_mismatches() {
    let log = car_t();
    let Ok(chain) = chain_of_identity(&log.0, &on("2025-08-14"), "CHZ000122000006");
    let chain = chain.unwrap();
    assert_eq!(chain.patients, ["P6"]);
    let lots: Vec<&str> = chain.lots.iter().map(|lot| lot.lot.as_str()).collect();
    assert_eq!(lots, ["DP-006A", "DP-006B"]);
    let kinds: Vec<&str> = chain.links.iter().map(|link| link.kind).collect();
    let expected = [
        "material_collected",
        "transformation",
        "lot_registered",
        "transformation",
        "lot_registered",
        "lot_disposition",
        "lot_disposition",
        "shipment",
        "shipment_received",
        "coi_verification",
        "coi_verification",
        "administration",
    ];
    assert_eq!(kinds, expected);
    let results: Vec<pb::CoiResult> = chain.links.iter().map(|link| link.result).collect();
    assert_eq!(
        results[9..11],
        [pb::CoiResult::Mismatch, pb::CoiResult::Match]
    );
}

#[test]
fn records_are_kept_for_thirty_years_after_the_latest_expiry_among_the_descendants() {
    let log = car_t();
    let lots = |number: &str| LotId {
        gtin: if number.starts_with("LV") {
            "09521123450028"
        } else {
            GTIN
        }
        .to_owned(),
        lot: number.to_owned(),
    };
    let expected = [
        ("DP-001", "2049-06-15"),
        ("DP-003", "2050-06-30"),
        ("DP-006B", "2052-10-31"),
        ("LV-B", "2056-01-31"),
    ];
    let ids: Vec<LotId> = expected.iter().map(|(number, _)| lots(number)).collect();
    let Ok(rows) = retention(&log.0, &on("2026-01-15"), &ids);
    for ((number, until), row) in expected.iter().zip(&rows) {
        assert_eq!(row.until, Some(day(until)), "{number}");
        assert_eq!(row.bases[0].years, 30);
    }
    let of_vector = &rows[3].bases[0];
    assert_eq!(
        (of_vector.of.lot.as_str(), of_vector.trigger),
        ("DP-007", Some(day("2026-01-31")))
    );
    // Before the last lot was made of it, the vector's own expiry was the latest.
    let Ok(rows) = retention(&log.0, &on("2025-06-19"), &[lots("LV-B")]);
    assert_eq!(rows[0].until, Some(day("2055-12-31")));
}

#[test]
fn other_laws_count_where_the_lot_names_them() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "10", "{vial}", "2021-02-28");
    let mut named = log.0.facts()[0].record.clone();
    named.legal_basis = [
        pb::LegalBasis::Eu200423Art8,
        pb::LegalBasis::Eu5362014Art58,
        pb::LegalBasis::CnDalArt12,
    ]
    .map(i32::from)
    .to_vec();
    let mut log = Log::default();
    log.insert(named);
    let rows = |log: &Log| {
        let Ok(mut rows) = retention(&log.0, &on("2026-01-01"), &[lot("A")]);
        rows.remove(0)
    };
    let row = rows(&log);
    let laws: Vec<_> = row
        .bases
        .iter()
        .map(|basis| (basis.law, basis.years, basis.until))
        .collect();
    let expected = [
        (pb::LegalBasis::Eu13942007Art15, 30, Some(day("2051-02-28"))),
        (pb::LegalBasis::Eu200423Art8, 30, None),
        (pb::LegalBasis::Eu5362014Art58, 25, None),
    ];
    assert_eq!(laws, expected);
    log.give("2022-05-01", SITE, "X1", "A", ("1", "{vial}"));
    log.give("2021-05-01", SITE, "X2", "A", ("1", "{vial}"));
    assert_eq!(rows(&log).until, Some(day("2052-05-01")));
}

#[test]
fn a_recall_has_its_roots_and_its_sites() {
    let log = car_t();
    let question = on("2025-08-14");
    let Ok(found) = recall(&log.0, &question, "RCL-2025-01");
    let found = found.unwrap();
    assert_eq!(found.class, pb::RecallClass::I);
    assert_eq!(found.roots.len(), 1);
    let Ok(none) = recall(&log.0, &on("2025-08-11"), "RCL-2025-01");
    assert!(none.is_none());

    let Ok(lot) = Lot::of(&log.0, &question, &lot("DP-007"));
    let rows = found.reconciliations(&lot);
    assert_eq!(rows[0].account.shipped, decimal("1"));
    assert_eq!(rows[0].account.held, decimal("1"));
    assert_eq!(rows[0].unaccounted, Some(Decimal::ZERO));
    assert!(rows.iter().all(|row| row.source == Source::Derived));
}

/// Twice as deep as the deepest graph that was promised, and as wide again at its end.
#[test]
fn a_deep_graph_is_walked_both_ways() {
    let mut log = Log::default();
    let number = |at: usize| format!("L{at:05}");
    let depth = 20_000;
    for at in 1..depth {
        log.step("2020-01-01", &[&number(at - 1)], &[&number(at)]);
    }
    let last = number(depth - 1);
    let forwards = log.lots(&on("2026-01-01"), &number(0), Way::Descendants);
    assert_eq!(forwards.len(), depth);
    assert_eq!(forwards.last(), Some(&last));
    let back = log.lots(&on("2026-01-01"), &last, Way::Ancestors);
    assert_eq!(back.len(), depth);
    assert_eq!(back.last(), Some(&number(0)));
    assert_eq!(closes_cycle(&log.0, &[&last], &["L00000"]), Ok(true));
    assert_eq!(closes_cycle(&log.0, &[&last], &["NEW"]), Ok(false));
    // The next step of the chain, a branch in its middle, and a step before its first: each looks at few of its lots.
    let middle = number(depth / 2);
    for (from, to) in [(last.as_str(), "NEW"), (&middle, "NEW"), ("OLD", "L00000")] {
        let counted = Counted::new(&log.0);
        assert_eq!(closes_cycle(&counted, &[from], &[to]), Ok(false));
        assert!(counted.asked() < 8, "{from} to {to}");
    }
    let Ok(rows) = retention(&log.0, &on("2026-01-01"), &[lot("L00000"), lot(&last)]);
    assert_eq!(rows.len(), 2);
}

/// Each level of two lots is made from both lots of the level before: 2^40 ways, 82 lots.
#[test]
fn a_lot_that_many_ways_lead_to_is_met_once() {
    let mut log = Log::default();
    for level in 0..40 {
        let (a, b) = (format!("A{level}"), format!("B{level}"));
        let (next_a, next_b) = (format!("A{}", level + 1), format!("B{}", level + 1));
        log.step("2020-01-01", &[&a, &b], &[&next_a, &next_b]);
    }
    assert_eq!(
        log.lots(&on("2026-01-01"), "A0", Way::Descendants).len(),
        81
    );
    assert_eq!(log.lots(&on("2026-01-01"), "A40", Way::Ancestors).len(), 81);
    let part = log.trace(&on("2026-01-01"), "A0");
    let depths: Vec<u32> = part.materials.iter().map(|one| one.depth).take(5).collect();
    assert_eq!(depths, [0, 1, 1, 2, 2]);
    // Every lot but the first is there because of the one step that made it.
    assert!(
        part.materials[1..]
            .iter()
            .all(|one| one.why.evidence.len() == 1)
    );
}

#[test]
fn every_step_that_leads_to_a_lot_is_told_once_of_whatever_depth() {
    let mut log = Log::default();
    for (inputs, outputs) in [
        (&["A"][..], &["B", "C"][..]),
        (&["B"], &["C"]),
        (&["B", "C"], &["D"]),
        (&["C"], &["D", "D"]),
    ] {
        log.step("2020-01-01", inputs, outputs);
    }
    let question = on("2020-02-01");
    let from = [Material::Lot(lot("A"))];
    let Ok(reached) = walk(&log.0, &question, from, Way::Descendants);
    let led: Vec<(String, u32, Vec<u64>)> = reached
        .iter()
        .map(|one| {
            let by = one.by.iter().map(|step| step.index.value());
            (name(&one.material), one.depth, by.collect())
        })
        .collect();
    let expected = [
        ("A", 0, vec![]),
        ("B", 1, vec![0]),
        ("C", 1, vec![0, 1]),
        ("D", 2, vec![2, 3]),
    ];
    assert_eq!(
        led,
        expected.map(|(name, depth, by)| (name.to_owned(), depth, by))
    );
}

#[test]
fn a_step_that_would_go_round_is_told() {
    let mut log = Log::default();
    log.step("2020-01-01", &["A"], &["B"]);
    log.step("2020-01-02", &["B", "X"], &["C", "D"]);
    let check = |log: &Log, inputs: &[&str], outputs: &[&str], expected: bool| {
        let closes = closes_cycle(&log.0, inputs, outputs);
        assert_eq!(closes, Ok(expected), "{inputs:?} to {outputs:?}");
    };
    check(&log, &["C"], &["A"], true);
    check(&log, &["C"], &["X"], true);
    check(&log, &["C"], &["NEW", "B"], true);
    check(&log, &["C"], &["C"], true);
    check(&log, &["C"], &["NEW"], false);
    // Siblings, and a lot that is made in several steps, go round nothing.
    check(&log, &["C"], &["D"], false);
    check(&log, &["A"], &["C"], false);
    check(&log, &[], &["A"], false);
    // What did not occur leads nowhere.
    log.correct("2020-01-03", "r1", pb::CorrectionKind::DidNotOccur, None);
    check(&log, &["C"], &["A"], false);
}

#[test]
fn a_walk_ends_where_the_log_goes_round_all_the_same() {
    let mut log = Log::default();
    log.step("2020-01-01", &["A"], &["B"]);
    log.step("2020-01-02", &["B"], &["C"]);
    log.step("2020-01-03", &["C"], &["A"]);
    log.lot("2020-01-01", "C", "1", "{vial}", "2021-01-01");
    let question = on("2026-01-01");
    assert_eq!(log.lots(&question, "A", Way::Descendants), ["A", "B", "C"]);
    assert_eq!(log.lots(&question, "A", Way::Ancestors), ["A", "C", "B"]);
    let Ok(rows) = retention(&log.0, &question, &[lot("A"), lot("B"), lot("C")]);
    assert!(rows.iter().all(|row| row.until == Some(day("2051-01-01"))));
    // To where it began nothing led; to each of the others one step.
    let Ok(reached) = walk(
        &log.0,
        &question,
        [Material::Lot(lot("A"))],
        Way::Descendants,
    );
    let led: Vec<usize> = reached.iter().map(|one| one.by.len()).collect();
    assert_eq!(led, [0, 1, 1]);
}

#[test]
fn what_happens_after_the_day_or_is_recorded_later_is_not_seen() {
    let mut log = Log::default();
    log.step("2020-01-02", &["A"], &["B"]);
    log.step("2020-01-01", &["A"], &["C"]);
    assert_eq!(
        log.lots(&on("2020-01-01"), "A", Way::Descendants),
        ["A", "C"]
    );
    assert_eq!(
        log.lots(&on("2020-01-02"), "A", Way::Descendants),
        ["A", "B", "C"]
    );
    let known = Question {
        known_at: TreeSize::new(1),
        ..on("2020-01-02")
    };
    assert_eq!(log.lots(&known, "A", Way::Descendants), ["A", "B"]);
}

#[test]
fn a_step_that_did_not_occur_leads_somewhere_only_as_recorded() {
    let mut log = Log::default();
    let id = log.step("2020-01-01", &["A"], &["B"]);
    log.correct("2020-06-01", &id, pb::CorrectionKind::DidNotOccur, None);
    assert_eq!(log.lots(&on("2026-01-01"), "A", Way::Descendants), ["A"]);
    assert_eq!(
        log.lots(&as_recorded("2026-01-01"), "A", Way::Descendants),
        ["A", "B"]
    );
    let before = Question {
        known_at: TreeSize::new(1),
        ..on("2026-01-01")
    };
    assert_eq!(log.lots(&before, "A", Way::Descendants), ["A", "B"]);
}

#[test]
fn a_lot_number_that_was_corrected_is_found_by_the_right_one_and_as_recorded_by_the_wrong_one() {
    let mut log = Log::default();
    let made = log.step("2020-01-01", &["WRONG"], &["B"]);
    let given = log.give("2020-02-01", SITE, "X1", "WRONG", ("1", "{vial}"));
    let path = "transformation.inputs[0].lot.lot";
    let first = log.correct(
        "2020-06-01",
        &made,
        pb::CorrectionKind::IncorrectData,
        Some((path, "RIGHT")),
    );
    let path = "administration.lot.lot";
    log.correct(
        "2020-06-01",
        &given,
        pb::CorrectionKind::IncorrectData,
        Some((path, "RIGHT")),
    );
    let (corrected, recorded) = (on("2026-01-01"), as_recorded("2026-01-01"));
    assert_eq!(
        log.lots(&corrected, "RIGHT", Way::Descendants),
        ["RIGHT", "B"]
    );
    assert_eq!(log.lots(&corrected, "WRONG", Way::Descendants), ["WRONG"]);
    assert_eq!(log.lots(&corrected, "B", Way::Ancestors), ["B", "RIGHT"]);
    assert_eq!(log.lots(&recorded, "RIGHT", Way::Descendants), ["RIGHT"]);
    assert_eq!(
        log.lots(&recorded, "WRONG", Way::Descendants),
        ["WRONG", "B"]
    );
    let patients = |question: &Question, number: &str| -> Vec<String> {
        let part = log.trace(question, number);
        part.administrations
            .into_iter()
            .map(|row| row.patient)
            .collect()
    };
    assert_eq!(patients(&corrected, "RIGHT"), ["X1"]);
    assert!(patients(&corrected, "WRONG").is_empty());
    assert!(patients(&recorded, "RIGHT").is_empty());
    assert_eq!(patients(&recorded, "WRONG"), ["X1"]);
    // The correction is part of the reason.
    let part = log.trace(&corrected, "RIGHT");
    assert_eq!(part.materials[1].why.evidence.len(), 2);

    // A correction that is taken back leaves the lot that was recorded.
    log.correct("2020-07-01", &first, pb::CorrectionKind::DidNotOccur, None);
    assert_eq!(log.lots(&corrected, "RIGHT", Way::Descendants), ["RIGHT"]);
    assert_eq!(
        log.lots(&corrected, "WRONG", Way::Descendants),
        ["WRONG", "B"]
    );
}

#[test]
fn a_treated_patient_stays_in_the_trace_until_the_replacement_is_on_record() {
    let mut log = Log::default();
    let given = log.give("2020-02-01", SITE, "X1", "A", ("1", "{vial}"));
    let correction = pb::Correction {
        target: given,
        correction_kind: pb::CorrectionKind::IncorrectData.into(),
        // The record after the correction.
        replacement: format!("r{}", log.0.facts().len() + 1),
        ..pb::Correction::default()
    };
    log.add("2020-06-01", MAKER, "", Kind::Correction(correction));
    let traced = |log: &Log, question: &Question| -> Vec<(String, String)> {
        let rows = ["A", "B"].map(|number| log.trace(question, number).administrations);
        let rows = rows.into_iter().flatten();
        rows.map(|row| (row.patient, row.lot.lot)).collect()
    };
    let as_given = |lot: &str| vec![("X1".to_owned(), lot.to_owned())];
    let now = on("2026-01-01");
    let until_then = Question {
        known_at: TreeSize::new(u64::try_from(log.0.facts().len()).unwrap()),
        ..now
    };
    assert_eq!(traced(&log, &now), as_given("A"));
    // It is about another lot, and is found all the same.
    log.give("2020-02-01", SITE, "X1", "B", ("1", "{vial}"));
    assert_eq!(traced(&log, &now), as_given("B"));
    assert_eq!(traced(&log, &until_then), as_given("A"));
}

#[test]
fn a_merged_patient_is_shown_by_the_pseudonym_that_stays() {
    let mut log = Log::default();
    log.give("2020-01-01", SITE, "OLD", "A", ("1", "{vial}"));
    log.give("2020-01-02", SITE, "STAYS", "A", ("1", "{vial}"));
    let merged = pb::PatientMerged {
        merged_patient: "OLD".to_owned(),
    };
    log.add("2020-03-01", SITE, "STAYS", Kind::PatientMerged(merged));
    let died = pb::PatientStatus {
        state: pb::PatientState::Deceased.into(),
        ..pb::PatientStatus::default()
    };
    log.add("2020-04-01", SITE, "STAYS", Kind::PatientStatus(died));
    let rows = |question: &Question| -> Vec<(String, Standing)> {
        let part = log.trace(question, "A");
        part.administrations
            .into_iter()
            .map(|row| (row.patient, row.standing))
            .collect()
    };
    let stays = ("STAYS".to_owned(), Standing::Deceased);
    assert_eq!(rows(&on("2020-04-01")), [stays.clone(), stays.clone()]);
    let old = ("OLD".to_owned(), Standing::Active);
    assert_eq!(rows(&as_recorded("2020-04-01")), [old, stays]);
    for pseudonym in ["OLD", "STAYS"] {
        let Ok(trace) = trace_patient(&log.0, &on("2020-04-01"), pseudonym);
        let trace = trace.unwrap();
        assert_eq!(
            (trace.patient.as_str(), trace.administrations.len()),
            ("STAYS", 2)
        );
    }
    let Ok(trace) = trace_patient(&log.0, &as_recorded("2020-04-01"), "OLD");
    assert_eq!(trace.unwrap().administrations.len(), 1);
}

#[test]
fn a_record_that_was_split_off_is_the_other_patients() {
    let mut log = Log::default();
    let moved = log.give("2020-01-01", SITE, "ONE", "A", ("1", "{vial}"));
    log.give("2020-01-02", SITE, "ONE", "A", ("1", "{vial}"));
    let split = pb::PatientSplit {
        split_patient: "TWO".to_owned(),
        moved_records: vec![moved],
    };
    log.add("2020-03-01", SITE, "ONE", Kind::PatientSplit(split));
    let patients = |question: &Question| -> Vec<String> {
        let part = log.trace(question, "A");
        part.administrations
            .into_iter()
            .map(|row| row.patient)
            .collect()
    };
    assert_eq!(patients(&on("2020-04-01")), ["TWO", "ONE"]);
    assert_eq!(patients(&as_recorded("2020-04-01")), ["ONE", "ONE"]);
}

#[test]
fn what_was_not_given_is_not_administered() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "1", "{vial}", "2021-01-01");
    let not_done = pb::Administration {
        lot: Some(key("A")),
        status: pb::AdministrationStatus::NotDone.into(),
        ..pb::Administration::default()
    };
    log.add("2020-02-01", SITE, "X1", Kind::Administration(not_done));
    let part = log.trace(&on("2020-02-01"), "A");
    assert!(part.administrations.is_empty());
    assert_eq!(part.unadministered.len(), 1);
    log.give("2020-02-02", SITE, "X1", "A", ("5", "{cells}"));
    let part = log.trace(&on("2020-02-02"), "A");
    assert_eq!(part.administrations.len(), 1);
    assert!(part.unadministered.is_empty());
}

/// Ten vials are shipped, eight arrive; three are given, one is given back, one destroyed, and three are held.
#[test]
fn what_was_shipped_is_accounted_for_or_missing() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "20", "{vial}", "2021-01-01");
    log.ship("2020-02-01", SITE, "A", "10");
    let unaccounted = |log: &Log, on_day: &str| log.stock(&on(on_day), "A").account.unaccounted();
    assert_eq!(unaccounted(&log, "2020-01-31"), Some(decimal("0")));
    assert_eq!(unaccounted(&log, "2020-02-01"), Some(decimal("10")));
    assert_eq!(
        log.stock(&on("2020-02-01"), "A").not_received(),
        decimal("10")
    );
    log.receive("2020-02-02", SITE, "A", "8");
    assert_eq!(unaccounted(&log, "2020-02-02"), Some(decimal("2")));
    log.give("2020-03-01", SITE, "X1", "A", ("3.0", "{vial}"));
    log.give_back("2020-03-02", SITE, "A", "1");
    log.destroy("2020-03-03", SITE, "A", "1");
    let stock = log.stock(&on("2020-03-03"), "A");
    let account = stock.account;
    let lines = [
        account.shipped,
        account.used,
        account.returned,
        account.destroyed,
        account.held,
    ];
    assert_eq!(lines, ["10", "3", "1", "1", "3"].map(decimal));
    assert_eq!(account.unaccounted(), Some(decimal("2")));
    assert_eq!(
        stock.held,
        BTreeMap::from([
            (MAKER.to_owned(), decimal("10")),
            (SITE.to_owned(), decimal("3"))
        ])
    );
    assert_eq!(stock.places()[MAKER], decimal("11"));
    assert_eq!(stock.accounts[SITE].shipped, decimal("8"));
    assert_eq!(stock.accounts[SITE].unaccounted(), Some(decimal("0")));
    assert!(!stock.is_overdrawn);
    assert_eq!(stock.uncounted, 0);
    assert_eq!(log.state(&on("2020-03-03"), "A"), Disposition::Unspecified);

    // The two come after all.
    log.receive("2020-04-01", SITE, "A", "2");
    assert_eq!(unaccounted(&log, "2020-04-01"), Some(decimal("0")));
    // What went back arrives, and is destroyed there: it was accounted for when it went.
    let back = pb::ShipmentReceived {
        sscc: "2".to_owned(),
        items: vec![item("A", "1")],
        to_gln: MAKER.to_owned(),
        ..pb::ShipmentReceived::default()
    };
    log.add("2020-04-02", MAKER, "", Kind::ShipmentReceived(back));
    assert_eq!(
        log.stock(&on("2020-04-02"), "A").places()[MAKER],
        decimal("11")
    );
    log.destroy("2020-04-03", MAKER, "A", "1");
    let stock = log.stock(&on("2020-04-03"), "A");
    assert_eq!(stock.places()[MAKER], decimal("10"));
    assert_eq!(stock.account.destroyed, decimal("1"));
}

#[test]
fn what_is_used_without_a_shipment_was_shipped_without_a_word() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "2", "{vial}", "2021-01-01");
    log.give("2020-02-01", SITE, "X1", "A", ("2", "{vial}"));
    let stock = log.stock(&on("2020-02-01"), "A");
    assert_eq!(
        (stock.account.shipped, stock.account.used),
        (decimal("2"), decimal("2"))
    );
    assert_eq!(stock.account.unaccounted(), Some(decimal("0")));
    assert!(stock.held.is_empty() && !stock.is_overdrawn);
    assert_eq!(stock.places(), BTreeMap::from([(SITE, decimal("0"))]));
    // A third vial was never made.
    log.give("2020-02-02", SITE, "X2", "A", ("1", "{vial}"));
    assert!(log.stock(&on("2020-02-02"), "A").is_overdrawn);
}

#[test]
fn an_amount_in_another_unit_is_counted_only_of_a_lot_that_is_one_unit() {
    let mut log = Log::default();
    log.lot("2020-01-01", "ONE", "1", "{unit}", "2021-01-01");
    log.lot("2020-01-01", "TEN", "10", "{unit}", "2021-01-01");
    for number in ["ONE", "TEN"] {
        log.give("2020-02-01", SITE, "X1", number, ("120000000", "{cells}"));
    }
    let stock = log.stock(&on("2020-02-01"), "ONE");
    assert_eq!((stock.account.used, stock.uncounted), (decimal("1"), 0));
    let stock = log.stock(&on("2020-02-01"), "TEN");
    assert_eq!((stock.account.used, stock.uncounted), (decimal("0"), 1));
    assert_eq!(stock.end(), None);
}

#[test]
fn units_with_serial_numbers_are_counted_by_them() {
    let mut log = Log::default();
    let registered = pb::LotRegistered {
        gtin: GTIN.to_owned(),
        lot: "A".to_owned(),
        manufacturer: MAKER.to_owned(),
        quantity: Some(amount("3", "{vial}")),
        serials: ["1", "2", "3"].map(str::to_owned).to_vec(),
        ..pb::LotRegistered::default()
    };
    log.add("2020-01-01", MAKER, "", Kind::LotRegistered(registered));
    let administration = pb::Administration {
        lot: Some(key("A")),
        serials: vec!["1".to_owned(), "2".to_owned()],
        status: pb::AdministrationStatus::Given.into(),
        dose_actual: Some(amount("1e", "{vg}")),
        ..pb::Administration::default()
    };
    log.add(
        "2020-02-01",
        SITE,
        "X1",
        Kind::Administration(administration),
    );
    let stock = log.stock(&on("2020-02-01"), "A");
    assert_eq!(stock.account.used, decimal("2"));
    assert_eq!(stock.held[MAKER], decimal("1"));
}

/// An amount in another unit is counted by serial numbers only where it names some and the lot has some.
#[test]
fn an_amount_in_another_unit_is_counted_by_serial_numbers_or_not_at_all() {
    for (of_lot, of_item, used, uncounted) in [
        (&["1", "2", "3"][..], &["1", "2"][..], "2", 0),
        (&["1", "2", "3"], &[], "0", 1),
        (&[], &["1", "2"], "0", 1),
        (&[], &[], "0", 1),
    ] {
        let serials = |of: &[&str]| of.iter().map(|one| (*one).to_owned()).collect();
        let mut log = Log::default();
        let registered = pb::LotRegistered {
            gtin: GTIN.to_owned(),
            lot: "A".to_owned(),
            manufacturer: MAKER.to_owned(),
            quantity: Some(amount("3", "{vial}")),
            serials: serials(of_lot),
            ..pb::LotRegistered::default()
        };
        log.add("2020-01-01", MAKER, "", Kind::LotRegistered(registered));
        let given = |status: pb::AdministrationStatus| {
            Kind::Administration(pb::Administration {
                lot: Some(key("A")),
                serials: serials(of_item),
                status: status.into(),
                dose_actual: Some(amount("5", "{vg}")),
                ..pb::Administration::default()
            })
        };
        for status in [
            pb::AdministrationStatus::Given,
            pb::AdministrationStatus::NotDone,
        ] {
            log.add("2020-02-01", SITE, "X1", given(status));
        }
        let stock = log.stock(&on("2020-02-01"), "A");
        let have = (stock.account.used, stock.uncounted);
        assert_eq!(have, (decimal(used), uncounted), "{of_lot:?} {of_item:?}");
    }
}

#[test]
fn the_state_of_a_lot_is_what_was_decided_last_unless_all_of_it_is_gone() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "2", "{vial}", "2021-01-01");
    let state = |log: &Log, on_day: &str| log.state(&on(on_day), "A");
    assert_eq!(state(&log, "2020-01-01"), Disposition::Unspecified);
    log.decide("2020-01-03", "A", Disposition::Quarantined);
    log.decide("2020-01-02", "A", Disposition::Released);
    assert_eq!(state(&log, "2020-01-02"), Disposition::Released);
    assert_eq!(state(&log, "2020-01-03"), Disposition::Quarantined);
    log.destroy("2020-01-04", MAKER, "A", "1");
    assert_eq!(state(&log, "2020-01-04"), Disposition::Quarantined);
    log.destroy("2020-01-05", MAKER, "A", "");
    assert_eq!(state(&log, "2020-01-05"), Disposition::Destroyed);
    assert_eq!(
        log.stock(&on("2020-01-05"), "A").account.destroyed,
        Decimal::ZERO,
        "it was never shipped"
    );
}

#[test]
fn a_lot_that_is_said_to_be_destroyed_is_destroyed_where_it_is() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "2", "{vial}", "2021-01-01");
    log.ship("2020-02-01", SITE, "A", "");
    log.receive("2020-02-02", SITE, "A", "");
    log.decide("2020-03-01", "A", Disposition::Destroyed);
    let stock = log.stock(&on("2020-03-01"), "A");
    assert_eq!(stock.account.destroyed, decimal("2"));
    assert_eq!(stock.account.unaccounted(), Some(decimal("0")));
    assert_eq!(stock.places(), BTreeMap::from([(SITE, decimal("0"))]));
    let stock = log.stock(&on("2020-02-28"), "A");
    assert_eq!(stock.account.held, decimal("2"));
}

#[test]
fn what_all_went_back_is_returned() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "2", "{vial}", "2021-01-01");
    log.ship("2020-02-01", SITE, "A", "");
    log.receive("2020-02-02", SITE, "A", "");
    log.give_back("2020-02-03", SITE, "A", "");
    assert_eq!(log.state(&on("2020-02-03"), "A"), Disposition::Returned);
    let part = log.trace(&on("2020-02-03"), "A");
    let rows: Vec<_> = part
        .unadministered
        .iter()
        .map(|row| (row.place.as_str(), row.held, row.state))
        .collect();
    assert_eq!(rows, [(MAKER, decimal("2"), Disposition::Returned)]);
}

#[test]
fn what_went_back_and_is_then_said_to_be_destroyed_is_destroyed_where_it_went() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "3", "{vial}", "2021-01-01");
    log.ship("2020-02-01", SITE, "A", "2");
    log.receive("2020-02-02", SITE, "A", "2");
    log.give_back("2020-02-03", SITE, "A", "2");
    log.decide("2020-03-01", "A", Disposition::Destroyed);
    assert_eq!(log.state(&on("2020-03-01"), "A"), Disposition::Destroyed);
    let stock = log.stock(&on("2020-03-01"), "A");
    assert_eq!(stock.places(), BTreeMap::from([(MAKER, decimal("0"))]));
    // It was accounted for when it went back, and is not counted twice.
    let account = stock.account;
    assert_eq!(
        (account.returned, account.destroyed, account.unaccounted()),
        (decimal("2"), decimal("0"), Some(decimal("0")))
    );
}

#[test]
fn a_lot_has_one_end_only_if_nothing_else_became_of_it() {
    use Disposition::{Destroyed, Released, Returned};
    for (destroyed, given_back, used, expected) in [
        ("", "", "", Released),
        ("2", "", "", Destroyed),
        ("", "2", "", Returned),
        ("1", "1", "", Returned),
        ("1", "", "", Released),
        ("", "1", "", Released),
        ("1", "", "1", Released),
        ("", "1", "1", Released),
    ] {
        let mut log = Log::default();
        log.lot("2020-01-01", "A", "2", "{vial}", "");
        log.decide("2020-01-02", "A", Released);
        log.ship("2020-02-01", SITE, "A", "2");
        log.receive("2020-02-02", SITE, "A", "2");
        if !destroyed.is_empty() {
            log.destroy("2020-02-03", SITE, "A", destroyed);
        }
        if !given_back.is_empty() {
            log.give_back("2020-02-03", SITE, "A", given_back);
        }
        if !used.is_empty() {
            log.give("2020-02-03", SITE, "X1", "A", (used, "{vial}"));
        }
        let state = log.state(&on("2020-03-01"), "A");
        let case = (destroyed, given_back, used);
        assert_eq!(state, expected, "{case:?}");
    }
    // Of a lot without an amount nothing is left either, and nothing became of it.
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "", "{vial}", "");
    log.decide("2020-01-02", "A", Released);
    assert_eq!(log.state(&on("2020-03-01"), "A"), Released);
}

#[test]
fn a_patient_stands_in_a_trace_as_the_newest_word_has_it() {
    use pb::PatientState::{Active, Completed, LostToFollowUp};
    for (states, expected) in [
        (&[][..], Standing::Active),
        (&[Active], Standing::Active),
        (&[Completed], Standing::Completed),
        (&[Completed, Active], Standing::Active),
        (&[Active, Completed], Standing::Completed),
        (&[Completed, LostToFollowUp], Standing::LostToFollowUp),
    ] {
        let mut log = Log::default();
        log.give("2020-01-01", SITE, "X1", "A", ("1", "{vial}"));
        for (at, state) in (2..).zip(states) {
            let status = pb::PatientStatus {
                state: (*state).into(),
                ..pb::PatientStatus::default()
            };
            let on = format!("2020-01-0{at}");
            log.add(&on, SITE, "X1", Kind::PatientStatus(status));
        }
        let Ok(trace) = trace_patient(&log.0, &on("2020-02-01"), "X1");
        assert_eq!(trace.unwrap().standing, expected, "{states:?}");
    }
}

#[test]
fn a_lot_expires_after_its_last_good_day() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "2", "{vial}", "2021-01-31");
    for (on_day, is_expired) in [("2021-01-31", false), ("2021-02-01", true)] {
        let Ok(lot) = Lot::of(&log.0, &on(on_day), &lot("A"));
        assert_eq!(lot.is_expired(), is_expired, "{on_day}");
    }
}

/// A recall of ten vials: five were shipped to a site, and one was given at another of which nobody knew.
fn recalled() -> Log {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "10", "{vial}", "2021-01-01");
    log.ship("2020-02-01", SITE, "A", "5");
    log.receive("2020-02-02", SITE, "A", "5");
    log.give("2020-02-03", OTHER_SITE, "X1", "A", ("1", "{vial}"));
    let opened = pb::RecallOpened {
        recall_id: "R1".to_owned(),
        roots: vec![key("A")],
        recall_class: pb::RecallClass::Ii.into(),
        ..pb::RecallOpened::default()
    };
    log.add("2020-03-01", MAKER, "", Kind::RecallOpened(opened));
    let notice = pb::RecallNotice {
        recall_id: "R1".to_owned(),
        site: SITE.to_owned(),
        ..pb::RecallNotice::default()
    };
    log.add("2020-03-02", MAKER, "", Kind::RecallNotice(notice));
    log
}

/// A site's answer: of five vials one and a half were used, and so many are held.
fn answer(held: &str, unit: &str) -> Kind {
    Kind::RecallAcknowledged(pb::RecallAcknowledged {
        recall_id: "R1".to_owned(),
        stock: vec![pb::StockCount {
            lot: Some(key("A")),
            shipped: Some(amount("5", "{vial}")),
            used: Some(amount("1.5", "{vial}")),
            held: Some(amount(held, unit)),
            ..pb::StockCount::default()
        }],
        patient_action: "called".to_owned(),
        ..pb::RecallAcknowledged::default()
    })
}

fn reconciliations(log: &Log, on_day: &str) -> Vec<Reconciliation> {
    let question = on(on_day);
    let Ok(found) = recall(&log.0, &question, "R1");
    let Ok(lot) = Lot::of(&log.0, &question, &lot("A"));
    found.unwrap().reconciliations(&lot)
}

#[test]
fn the_newest_count_of_a_site_is_what_counts() {
    let mut log = recalled();
    log.add("2020-03-03", SITE, "", answer("3", "{vial}"));
    log.add("2020-03-04", SITE, "", answer("3.5", "{vial}"));
    log.add("2020-03-05", SITE, "", answer("3.5", "mL"));
    let counted = |on_day: &str| {
        let rows = reconciliations(&log, on_day).into_iter();
        let rows = rows.filter(|row| row.source == Source::Acknowledged);
        rows.map(|row| row.unaccounted).collect::<Vec<_>>()
    };
    assert_eq!(counted("2020-03-02"), []);
    assert_eq!(counted("2020-03-03"), [Some(decimal("0.5"))]);
    assert_eq!(counted("2020-03-04"), [Some(Decimal::ZERO)]);
    assert_eq!(counted("2020-03-05"), [None], "vials and mL make no sum");

    let end = pb::RecallClosed {
        recall_id: "R1".to_owned(),
        stock: vec![pb::StockCount {
            lot: Some(key("A")),
            shipped: Some(amount("6", "{vial}")),
            ..pb::StockCount::default()
        }],
        ..pb::RecallClosed::default()
    };
    log.add("2020-03-06", MAKER, "", Kind::RecallClosed(end));
    let rows = reconciliations(&log, "2020-03-06");
    let last = rows.last().unwrap();
    assert_eq!(
        (last.source, last.unaccounted),
        (Source::Closed, Some(decimal("6")))
    );
    assert!(
        reconciliations(&log, "2020-03-05")
            .iter()
            .all(|row| row.source != Source::Closed)
    );
}

#[test]
fn what_a_site_counted_stands_beside_the_records_and_the_other_sites() {
    let mut log = recalled();
    log.add("2020-03-03", SITE, "", answer("3", "{vial}"));
    log.add("2020-03-03", OTHER_SITE, "", answer("2", "{vial}"));
    log.add("2020-03-04", SITE, "", answer("3.5", "{vial}"));
    let rows: Vec<_> = reconciliations(&log, "2020-03-04")
        .into_iter()
        .map(|row| (row.source, row.site, row.account.held))
        .collect();
    let expected = [
        (Source::Derived, "", "5"),
        (Source::Derived, SITE, "5"),
        (Source::Derived, OTHER_SITE, "0"),
        (Source::Acknowledged, OTHER_SITE, "2"),
        (Source::Acknowledged, SITE, "3.5"),
    ]
    .map(|(source, site, held)| (source, site.to_owned(), decimal(held)));
    assert_eq!(rows, expected);
}

#[test]
fn a_site_to_which_a_recalled_lot_is_under_way_is_not_left_out() {
    const THIRD: &str = "9521123003019";
    let mut log = recalled();
    log.ship("2020-02-28", THIRD, "A", "2");
    let question = on("2020-03-03");
    let Ok(found) = recall(&log.0, &question, "R1");
    let roots = [Material::Lot(lot("A"))];
    let Ok(reached) = walk(&log.0, &question, roots, Way::Descendants);
    let Ok(concerned) = super::recall::concerned(&log.0, &question, &reached);
    let sites = found.unwrap().sites(&concerned);
    let indexes = |site: &str| {
        let row = sites.iter().find(|row| row.site == site).unwrap();
        assert!(row.is_concerned, "{site}");
        let evidence = row.why.evidence.iter();
        evidence.map(|one| one.index).collect::<Vec<u64>>()
    };
    // The recall is entry 4, its notice 5.
    assert_eq!(indexes(THIRD), [4, 6], "the shipment, and the recall");
    assert_eq!(indexes(SITE), [1, 2, 4, 5]);
    assert_eq!(indexes(OTHER_SITE), [3, 4], "given there");
    assert_eq!(sites.len(), 3, "not the maker");
}

#[test]
fn a_site_is_concerned_though_nobody_told_it() {
    let mut log = recalled();
    log.add("2020-03-03", SITE, "", answer("3", "{vial}"));
    let question = on("2020-03-03");
    let Ok(found) = recall(&log.0, &question, "R1");
    let Ok(reached) = walk(
        &log.0,
        &question,
        [Material::Lot(lot("A"))],
        Way::Descendants,
    );
    let Ok(concerned) = super::recall::concerned(&log.0, &question, &reached);
    let sites = found.unwrap().sites(&concerned);
    let sites = sites.iter().map(|site| {
        let told = (site.notified_on, site.acknowledged_on);
        (
            site.site.as_str(),
            told,
            site.patient_action.as_str(),
            site.is_concerned,
        )
    });
    let sites: Vec<_> = sites.collect();
    let told = (Some(day("2020-03-02")), Some(day("2020-03-03")));
    assert_eq!(
        sites,
        [
            (SITE, told, "called", true),
            (OTHER_SITE, (None, None), "", true)
        ]
    );
}

#[test]
fn the_records_account_for_a_lot_in_all_and_at_each_site() {
    let rows = reconciliations(&recalled(), "2020-03-03");
    let shipped: Vec<_> = rows
        .iter()
        .map(|row| (row.site.as_str(), row.account.shipped))
        .collect();
    assert_eq!(
        shipped,
        [
            ("", decimal("6")),
            (SITE, decimal("5")),
            (OTHER_SITE, decimal("1"))
        ]
    );
    assert!(
        rows.iter()
            .all(|row| row.source == Source::Derived && row.why.basis == ["R-L3"])
    );
}

#[test]
fn a_sample_is_traced_through_aliquots_and_labels() {
    let mut log = Log::default();
    log.step("2020-01-01", &["V"], &["A"]);
    log.give("2020-01-02", SITE, "X1", "A", ("1", "{vial}"));
    log.give("2020-05-02", SITE, "X1", "LATER", ("1", "{vial}"));
    let collected = pb::SampleCollected {
        sample_id: "S1".to_owned(),
        ..pb::SampleCollected::default()
    };
    log.add("2020-05-01", SITE, "X1", Kind::SampleCollected(collected));
    let divided = pb::SampleEvent {
        sample_id: "S1".to_owned(),
        event: pb::SampleEventKind::Aliquoted.into(),
        aliquots: ["S1-b", "S1-a"]
            .map(|id| pb::Aliquot {
                sample_id: id.to_owned(),
                ..pb::Aliquot::default()
            })
            .to_vec(),
        ..pb::SampleEvent::default()
    };
    log.add("2020-05-02", SITE, "", Kind::SampleEvent(divided));
    let renamed = pb::SampleEvent {
        sample_id: "S1-a".to_owned(),
        event: pb::SampleEventKind::Relabelled.into(),
        new_sample_id: "Q9".to_owned(),
        ..pb::SampleEvent::default()
    };
    log.add("2020-05-03", SITE, "", Kind::SampleEvent(renamed));
    // A result on a tube names its patient too; when the sample was taken it does not say.
    let result = pb::AssayResult {
        sample_id: "Q9".to_owned(),
        ..pb::AssayResult::default()
    };
    log.add("2020-05-04", SITE, "X1", Kind::AssayResult(result));
    for id in ["S1", "S1-a", "S1-b", "Q9"] {
        let Ok(trace) = trace_sample(&log.0, &on("2020-06-01"), id);
        let trace = trace.unwrap();
        let tubes: Vec<_> = trace
            .samples
            .iter()
            .map(|tube| (tube.sample_id.as_str(), tube.from.as_str()))
            .collect();
        assert_eq!(
            tubes,
            [("S1", ""), ("S1-a", "S1"), ("S1-b", "S1"), ("Q9", "S1-a")]
        );
        assert_eq!(trace.patient, "X1");
        let materials: Vec<String> = trace
            .materials
            .iter()
            .map(|one| name(&one.material))
            .collect();
        assert_eq!(
            materials,
            ["A", "V"],
            "what was given on the day after is not in the sample"
        );
    }
}

#[test]
fn pages_of_a_trace_are_the_trace() {
    let mut log = Log::default();
    log.step("2020-01-01", &["A"], &["B", "C"]);
    for (number, patients) in [("B", 5), ("C", 3)] {
        for patient in 0..patients {
            log.give(
                "2020-02-01",
                SITE,
                &format!("{number}{patient}"),
                number,
                ("1", "{vial}"),
            );
        }
    }
    let question = on("2026-01-01");
    let whole = log.trace(&question, "A");
    let Ok(reached) = walk(
        &log.0,
        &question,
        [Material::Lot(lot("A"))],
        Way::Descendants,
    );
    for rows in 1..=12 {
        let (mut lots, mut patients) = (Vec::new(), Vec::new());
        let mut from = Some(Position::default());
        while let Some(position) = from {
            let Ok(page) = part(&log.0, &question, &reached, position, rows);
            assert!(page.materials.len() + page.administrations.len() <= rows);
            assert_ne!(page.materials.len() + page.administrations.len(), 0);
            lots.extend(page.materials.iter().map(|one| name(&one.material)));
            patients.extend(page.administrations.into_iter().map(|row| row.patient));
            from = page.next;
        }
        assert_eq!(lots, ["A", "B", "C"], "{rows}");
        let expected: Vec<_> = whole
            .administrations
            .iter()
            .map(|row| row.patient.clone())
            .collect();
        assert_eq!(patients, expected, "{rows}");
    }
}

#[test]
fn a_link_of_a_chain_tells_its_lots_its_patient_and_another_chain() {
    let mut log = Log::default();
    let assigned = pb::CoiAssigned {
        coi: "C".to_owned(),
        lots: vec![key("A")],
        ..pb::CoiAssigned::default()
    };
    log.add("2020-01-01", MAKER, "X1", Kind::CoiAssigned(assigned));
    let registered = |number: &str, patient: &str| {
        Kind::LotRegistered(pb::LotRegistered {
            gtin: GTIN.to_owned(),
            lot: number.to_owned(),
            coi: "C".to_owned(),
            intended_patient: patient.to_owned(),
            ..pb::LotRegistered::default()
        })
    };
    log.add("2020-01-02", MAKER, "", registered("A", "X2"));
    log.add("2020-01-03", MAKER, "", registered("B", ""));
    let Kind::LotRegistered(mut again) = registered("A", "X1") else {
        panic!("a lot");
    };
    again.coi = "E".to_owned();
    log.add("2020-01-03", MAKER, "", Kind::LotRegistered(again));
    let made = pb::Transformation {
        coi: "F".to_owned(),
        ..step(&[], &["A"])
    };
    log.add("2020-01-03", MAKER, "", Kind::Transformation(made));
    log.ship("2020-01-04", SITE, "A", "1");
    for (on_day, coi) in [("2020-01-05", "C"), ("2020-01-06", ""), ("2020-01-07", "D")] {
        let given = pb::Administration {
            lot: Some(key("A")),
            coi: coi.to_owned(),
            ..pb::Administration::default()
        };
        log.add(on_day, SITE, "X1", Kind::Administration(given));
    }
    let Ok(chain) = chain_of_identity(&log.0, &on("2020-02-01"), "C");
    let chain = chain.unwrap();
    let links: Vec<String> = chain
        .links
        .iter()
        .map(|link| {
            let lots: Vec<&str> = link.lots.iter().map(|lot| lot.lot.as_str()).collect();
            let (kind, lots) = (link.kind, lots.join("+"));
            format!("{kind} {lots} {} {}", link.patient, link.other_coi)
        })
        .collect();
    assert_eq!(
        links,
        [
            "coi_assigned A X1 ",
            "lot_registered A X2 ",
            "lot_registered B  ",
            "lot_registered A X1 E",
            "transformation A  F",
            "shipment A  ",
            "administration A X1 ",
            "administration A X1 ",
            "administration A X1 D",
        ]
    );
    assert_eq!(chain.patients, ["X1", "X2"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one row for each way of a lot")]
fn every_way_of_a_lot_is_a_link_of_its_chain_with_where_it_went() {
    let items = || vec![item("A", ""), item("STRANGER", "")];
    let to = || "TO".to_owned();
    let ways = [
        Kind::Shipment(pb::Shipment {
            items: items(),
            to_gln: to(),
            ..pb::Shipment::default()
        }),
        Kind::ShipmentReceived(pb::ShipmentReceived {
            items: items(),
            to_gln: to(),
            ..pb::ShipmentReceived::default()
        }),
        Kind::CustodyTransfer(pb::CustodyTransfer {
            items: items(),
            to_gln: to(),
            ..pb::CustodyTransfer::default()
        }),
        Kind::ProductReturned(pb::ProductReturned {
            items: items(),
            to_gln: to(),
            ..pb::ProductReturned::default()
        }),
        Kind::ProductDestroyed(pb::ProductDestroyed {
            items: items(),
            ..pb::ProductDestroyed::default()
        }),
        Kind::StorageMoved(pb::StorageMoved {
            items: items(),
            ..pb::StorageMoved::default()
        }),
        Kind::Excursion(pb::Excursion {
            items: items(),
            ..pb::Excursion::default()
        }),
        Kind::LotDisposition(pb::LotDisposition {
            lot: Some(key("A")),
            ..pb::LotDisposition::default()
        }),
        Kind::CoiVerification(pb::CoiVerification {
            lot: Some(key("A")),
            ..pb::CoiVerification::default()
        }),
    ];
    let mut log = Log::default();
    let registered = pb::LotRegistered {
        gtin: GTIN.to_owned(),
        lot: "A".to_owned(),
        coi: "C".to_owned(),
        ..pb::LotRegistered::default()
    };
    log.add("2020-01-01", MAKER, "", Kind::LotRegistered(registered));
    for way in ways {
        log.add("2020-01-02", MAKER, "", way);
    }
    let Ok(chain) = chain_of_identity(&log.0, &on("2020-02-01"), "C");
    let chain = chain.unwrap();
    let links: Vec<_> = chain
        .links
        .iter()
        .map(|link| (link.kind, link.to.as_str()))
        .collect();
    let expected = [
        ("lot_registered", ""),
        ("shipment", "TO"),
        ("shipment_received", "TO"),
        ("custody_transfer", "TO"),
        ("product_returned", "TO"),
        ("product_destroyed", ""),
        ("storage_moved", ""),
        ("excursion", ""),
        ("lot_disposition", ""),
        ("coi_verification", ""),
    ];
    assert_eq!(links, expected);
    // What went with it and is of no chain is not told.
    assert!(chain.links.iter().all(|link| link.lots == [lot("A")]));
}

#[test]
fn a_lot_stands_where_it_was_put_last_in_the_store_of_each_place() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "2", "{vial}", "");
    log.ship("2020-01-02", SITE, "A", "1");
    log.receive("2020-01-03", SITE, "A", "1");
    for (on_day, site, number, unit) in [
        ("2020-01-04", SITE, "A", "FIRST"),
        ("2020-01-05", SITE, "A", "SECOND"),
        ("2020-01-06", SITE, "B", "OF-ANOTHER"),
        ("2020-01-04", MAKER, "A", "THIRD"),
    ] {
        let moved = pb::StorageMoved {
            items: vec![item(number, "")],
            to_position: Some(pb::StoragePosition {
                unit: unit.to_owned(),
                ..pb::StoragePosition::default()
            }),
            ..pb::StorageMoved::default()
        };
        log.add(on_day, site, "", Kind::StorageMoved(moved));
    }
    let part = log.trace(&on("2020-02-01"), "A");
    let stands: BTreeMap<&str, &str> = part
        .unadministered
        .iter()
        .map(|row| {
            (
                row.place.as_str(),
                row.position.as_ref().unwrap().unit.as_str(),
            )
        })
        .collect();
    assert_eq!(stands, BTreeMap::from([(SITE, "SECOND"), (MAKER, "THIRD")]));
}

#[test]
fn a_lot_is_known_by_anything_that_is_said_of_it() {
    let tells: [fn(&mut Log); 4] = [
        |_| {},
        |log| drop(log.lot("2020-01-01", "A", "1", "{vial}", "")),
        |log| drop(log.ship("2020-01-01", SITE, "A", "1")),
        |log| drop(log.step("2020-01-01", &["A"], &["B"])),
    ];
    for (tell, is_known) in tells.into_iter().zip([false, true, true, true]) {
        let mut log = Log::default();
        tell(&mut log);
        let Ok(lot) = Lot::of(&log.0, &on("2020-02-01"), &lot("A"));
        assert_eq!(lot.is_known(), is_known);
    }
}

#[test]
fn a_decision_on_some_units_is_none_on_the_lot() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "2", "{vial}", "");
    log.decide("2020-01-02", "A", Disposition::Released);
    let decided = pb::LotDisposition {
        lot: Some(key("A")),
        serials: vec!["1".to_owned()],
        disposition: Disposition::Rejected.into(),
        ..pb::LotDisposition::default()
    };
    log.add("2020-01-03", MAKER, "", Kind::LotDisposition(decided));
    assert_eq!(log.state(&on("2020-02-01"), "A"), Disposition::Released);
}

#[test]
fn a_decision_that_a_lot_went_back_accounts_for_what_places_hold() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "3", "{vial}", "");
    log.ship("2020-01-02", SITE, "A", "2");
    log.receive("2020-01-03", SITE, "A", "2");
    log.decide("2020-01-04", "A", Disposition::Returned);
    let before = log.stock(&on("2020-01-03"), "A").account;
    assert_eq!((before.held, before.returned), (decimal("2"), decimal("0")));
    let after = log.stock(&on("2020-01-04"), "A");
    assert_eq!(
        (after.account.held, after.account.returned),
        (decimal("0"), decimal("2"))
    );
    assert_eq!(after.places()[MAKER], decimal("3"));
}

/// Of two lots of material for two patients, one's own.
#[test]
fn a_patients_chains_and_lots_are_those_that_were_meant_for_the_patient() {
    let mut log = Log::default();
    let collected = |coi: &str, donor: &str| {
        Kind::MaterialCollected(pb::MaterialCollected {
            coi: coi.to_owned(),
            donor: donor.to_owned(),
            ..pb::MaterialCollected::default()
        })
    };
    let registered = |number: &str, coi: &str, patient: &str| {
        Kind::LotRegistered(pb::LotRegistered {
            gtin: GTIN.to_owned(),
            lot: number.to_owned(),
            manufacturer: MAKER.to_owned(),
            coi: coi.to_owned(),
            intended_patient: patient.to_owned(),
            quantity: Some(amount("1", "{vial}")),
            ..pb::LotRegistered::default()
        })
    };
    // X1 gave material for X2, and material of which only the donor is named.
    log.add("2020-01-01", MAKER, "X2", collected("FOR-X2", "X1"));
    log.add("2020-01-01", MAKER, "", collected("OWN", "X1"));
    log.add("2020-01-02", MAKER, "", registered("NAMED", "", "X1"));
    log.add("2020-01-02", MAKER, "", registered("CHAINED", "OWN", ""));
    log.add("2020-01-02", MAKER, "", registered("BOTH", "OWN", "X1"));
    log.add("2020-01-02", MAKER, "", registered("ANOTHERS", "OWN", "X2"));
    log.give("2020-01-03", SITE, "X1", "OTHER", ("1", "{vial}"));
    let Ok(trace) = trace_patient(&log.0, &on("2020-02-01"), "X1");
    let trace = trace.unwrap();
    assert_eq!(trace.cois, ["OWN"]);
    let mut never: Vec<&str> = trace
        .never_administered
        .iter()
        .map(|row| row.lot.lot.as_str())
        .collect();
    never.sort_unstable();
    assert_eq!(never, ["BOTH", "CHAINED", "NAMED"]);
}

#[test]
fn a_recall_is_found_by_its_id_and_shows_what_opened_and_closed_it() {
    let mut log = Log::default();
    let opened = |recall_id: &str, root: &str, class: pb::RecallClass| {
        Kind::RecallOpened(pb::RecallOpened {
            recall_id: recall_id.to_owned(),
            roots: vec![key(root)],
            recall_class: class.into(),
            ..pb::RecallOpened::default()
        })
    };
    let first = opened("R1", "A", pb::RecallClass::I);
    let first = log.add("2020-01-01", MAKER, "", first);
    log.add(
        "2020-01-02",
        MAKER,
        "",
        opened("R2", "B", pb::RecallClass::Ii),
    );
    log.add(
        "2020-01-03",
        MAKER,
        "",
        opened("R1", "C", pb::RecallClass::I),
    );
    let closed = |recall_id: &str| {
        Kind::RecallClosed(pb::RecallClosed {
            recall_id: recall_id.to_owned(),
            ..pb::RecallClosed::default()
        })
    };
    let end = log.add("2020-01-04", MAKER, "", closed("R1"));
    for (id, roots, evidence) in [
        ("R1", vec!["A", "C"], vec![first.as_str(), end.as_str()]),
        ("R2", vec!["B"], vec!["r1"]),
    ] {
        let Ok(found) = recall(&log.0, &on("2020-02-01"), id);
        let found = found.unwrap();
        let lots: Vec<&str> = found.roots.iter().map(|lot| lot.lot.as_str()).collect();
        assert_eq!(lots, roots, "{id}");
        let why = found.why();
        let shown: Vec<&str> = why
            .evidence
            .iter()
            .map(|one| one.record_id.as_str())
            .collect();
        assert_eq!(shown, evidence, "{id}");
    }
}

#[test]
fn what_happened_to_a_sample_is_told_in_its_order() {
    let mut log = Log::default();
    let collected = pb::SampleCollected {
        sample_id: "S1".to_owned(),
        ..pb::SampleCollected::default()
    };
    log.add("2020-05-01", SITE, "X1", Kind::SampleCollected(collected));
    let stored = pb::SampleEvent {
        sample_id: "S1".to_owned(),
        event: pb::SampleEventKind::Rejected.into(),
        ..pb::SampleEvent::default()
    };
    log.add("2020-05-02", OTHER_SITE, "", Kind::SampleEvent(stored));
    let Ok(trace) = trace_sample(&log.0, &on("2020-06-01"), "S1");
    let trace = trace.unwrap();
    let happenings: Vec<_> = trace.samples[0]
        .happenings
        .iter()
        .map(|one| (one.kind, one.event, one.site.as_str()))
        .collect();
    assert_eq!(
        happenings,
        [
            ("sample_collected", pb::SampleEventKind::Unspecified, SITE),
            ("sample_event", pb::SampleEventKind::Rejected, OTHER_SITE),
        ]
    );
}

/// Two shipments of three and two under their own numbers.
fn two_consignments() -> Log {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "10", "{vial}", "");
    for (sscc, quantity) in [("1", "3"), ("2", "2")] {
        let shipment = pb::Shipment {
            sscc: sscc.to_owned(),
            items: vec![item("A", quantity)],
            from_gln: MAKER.to_owned(),
            to_gln: SITE.to_owned(),
            ..pb::Shipment::default()
        };
        log.add("2020-01-02", MAKER, "", Kind::Shipment(shipment));
    }
    log
}

#[test]
fn what_arrives_is_of_the_consignment_of_its_number() {
    for (sscc, at, quantity, held, shipped, not_received) in [
        ("1", SITE, "3", "3", "5", "2"),
        ("2", SITE, "2", "2", "5", "3"),
        // Without a number, all that was sent there.
        ("", SITE, "5", "5", "5", "0"),
        ("", SITE, "", "5", "5", "0"),
        ("2", SITE, "", "2", "5", "3"),
        // More than was sent under the number was sent without a word.
        ("2", SITE, "3", "3", "6", "3"),
        ("3", SITE, "4", "4", "9", "5"),
        ("1", OTHER_SITE, "1", "1", "6", "5"),
        // All of what nobody sent is all that the maker has.
        ("3", SITE, "", "5", "10", "5"),
    ] {
        let mut log = two_consignments();
        let received = pb::ShipmentReceived {
            sscc: sscc.to_owned(),
            items: vec![item("A", quantity)],
            to_gln: at.to_owned(),
            ..pb::ShipmentReceived::default()
        };
        log.add("2020-01-03", at, "", Kind::ShipmentReceived(received));
        let stock = log.stock(&on("2020-02-01"), "A");
        let have = (
            stock.places()[at],
            stock.account.shipped,
            stock.not_received(),
        );
        let expected = (decimal(held), decimal(shipped), decimal(not_received));
        assert_eq!(have, expected, "{sscc} {at} {quantity}");
    }
}

#[test]
fn a_place_has_only_what_went_back_to_it_or_more() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "3", "{vial}", "");
    log.ship("2020-01-02", SITE, "A", "3");
    log.receive("2020-01-03", SITE, "A", "3");
    let only_returned = |log: &Log| {
        let stock = log.stock(&on("2020-02-01"), "A");
        [MAKER, SITE, OTHER_SITE].map(|place| stock.is_only_returned(place))
    };
    assert_eq!(only_returned(&log), [false, false, false]);
    log.give_back("2020-01-04", SITE, "A", "3");
    assert_eq!(only_returned(&log), [true, false, false]);
    // The maker has one more, which never left.
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "4", "{vial}", "");
    log.ship("2020-01-02", SITE, "A", "3");
    log.receive("2020-01-03", SITE, "A", "3");
    log.give_back("2020-01-04", SITE, "A", "3");
    assert_eq!(only_returned(&log), [false, false, false]);
}

#[test]
fn a_recall_has_its_own_notices_and_answers_and_the_words_that_opened_it() {
    let mut log = recalled();
    let first = answer("3", "{vial}");
    log.add("2020-03-03", SITE, "", first.clone());
    let Kind::RecallAcknowledged(mut another) = first else {
        panic!("an answer");
    };
    another.recall_id = "R2".to_owned();
    log.add("2020-03-04", SITE, "", Kind::RecallAcknowledged(another));
    let notice = pb::RecallNotice {
        recall_id: "R2".to_owned(),
        site: SITE.to_owned(),
        ..pb::RecallNotice::default()
    };
    log.add("2020-03-04", MAKER, "", Kind::RecallNotice(notice));
    let Ok(found) = recall(&log.0, &on("2020-04-01"), "R1");
    let found = found.unwrap();
    let answered: Vec<NaiveDate> = found.answers.iter().map(|fact| fact.on).collect();
    assert_eq!(answered, [day("2020-03-03")]);
    let told: Vec<NaiveDate> = found.notices.iter().map(|fact| fact.on).collect();
    assert_eq!(told, [day("2020-03-02")]);
    let opening = found.opening();
    assert_eq!(
        (opening.recall_id.as_str(), opening.roots),
        ("R1", vec![key("A")])
    );
}

#[test]
fn what_a_walk_came_to_is_told_of_each_material() {
    let mut log = Log::default();
    log.lot("2020-01-01", "A", "1", "{vial}", "");
    log.lot("2020-01-01", "B", "1", "{vial}", "");
    log.step("2020-01-02", &["A"], &["B"]);
    let question = on("2020-02-01");
    let Ok(reached) = walk(
        &log.0,
        &question,
        [Material::Lot(lot("A"))],
        Way::Descendants,
    );
    let Ok(told) = super::patient::materials(&log.0, &question, &reached);
    let told: Vec<String> = told.iter().map(|one| name(&one.material)).collect();
    assert_eq!(told, ["A", "B"]);
}

#[test]
fn a_patients_chains_are_those_of_every_record_that_names_one() {
    let mut log = Log::default();
    let collected = pb::MaterialCollected {
        coi: "COLLECTED".to_owned(),
        ..pb::MaterialCollected::default()
    };
    log.add("2020-01-01", SITE, "X1", Kind::MaterialCollected(collected));
    let donated = pb::MaterialCollected {
        coi: "DONATED".to_owned(),
        donor: "X1".to_owned(),
        ..pb::MaterialCollected::default()
    };
    log.add("2020-01-01", SITE, "", Kind::MaterialCollected(donated));
    let assigned = pb::CoiAssigned {
        coi: "ASSIGNED".to_owned(),
        ..pb::CoiAssigned::default()
    };
    log.add("2020-01-01", SITE, "X1", Kind::CoiAssigned(assigned));
    for (number, patient) in [("1", "X1"), ("2", "X2")] {
        let registered = pb::LotRegistered {
            gtin: GTIN.to_owned(),
            lot: number.to_owned(),
            coi: format!("LOT-{patient}"),
            intended_patient: patient.to_owned(),
            ..pb::LotRegistered::default()
        };
        log.add("2020-01-02", MAKER, "", Kind::LotRegistered(registered));
    }
    for number in ["1", "2"] {
        let given = pb::Administration {
            lot: Some(key(number)),
            coi: format!("GIVEN-{number}"),
            status: pb::AdministrationStatus::Given.into(),
            ..pb::Administration::default()
        };
        log.add("2020-01-03", SITE, "X1", Kind::Administration(given));
    }
    let Ok(trace) = trace_patient(&log.0, &on("2020-02-01"), "X1");
    let expected = [
        "ASSIGNED",
        "COLLECTED",
        "DONATED",
        "GIVEN-1",
        "GIVEN-2",
        "LOT-X1",
    ];
    assert_eq!(trace.unwrap().cois, expected);
}

#[test]
fn a_step_makes_its_outputs_of_the_chain_and_not_its_inputs() {
    let mut log = Log::default();
    let made = pb::Transformation {
        coi: "C".to_owned(),
        ..step(&["VECTOR"], &["MADE"])
    };
    log.add("2020-01-01", MAKER, "", Kind::Transformation(made));
    for (number, patient) in [("VECTOR", "X2"), ("MADE", "X1")] {
        log.give("2020-01-02", SITE, patient, number, ("1", "{vial}"));
    }
    let Ok(chain) = chain_of_identity(&log.0, &on("2020-02-01"), "C");
    let chain = chain.unwrap();
    assert_eq!(chain.lots, [lot("MADE")]);
    assert_eq!(chain.patients, ["X1"]);
}

#[test]
fn the_last_event_of_a_sample_is_its_own_under_whatever_label() {
    use pb::SampleEventKind::{Aliquoted, Received, Rejected, Relabelled, Unspecified};
    let told = |sample: &str, kind: pb::SampleEventKind, new: &str, aliquot: &str| {
        let aliquots = Some(aliquot).filter(|id| !id.is_empty());
        Kind::SampleEvent(pb::SampleEvent {
            sample_id: sample.to_owned(),
            event: kind.into(),
            new_sample_id: new.to_owned(),
            aliquots: aliquots
                .map(|id| pb::Aliquot {
                    sample_id: id.to_owned(),
                    ..pb::Aliquot::default()
                })
                .into_iter()
                .collect(),
            ..pb::SampleEvent::default()
        })
    };
    let relabelled = ("S1", Relabelled, "S1-NEW", "");
    for (events, last) in [
        (&[][..], Unspecified),
        (&[("S1", Received, "", "")], Received),
        // What another sample was divided into is nothing that happened to this one.
        (&[("S9", Aliquoted, "", "S1")], Unspecified),
        (&[relabelled], Relabelled),
        (&[relabelled, ("S1-NEW", Rejected, "", "")], Rejected),
        // Labels that go in a circle end.
        (
            &[
                relabelled,
                ("S1-NEW", Relabelled, "S1", ""),
                ("S1", Received, "", ""),
            ],
            Received,
        ),
        // A part has a fate of its own.
        (
            &[("S1", Aliquoted, "", "S1-A"), ("S1-A", Rejected, "", "")],
            Aliquoted,
        ),
    ] {
        let mut log = Log::default();
        log.lot("2020-01-01", "A", "1", "{vial}", "");
        log.give("2020-01-02", SITE, "X1", "A", ("1", "{vial}"));
        let collected = pb::SampleCollected {
            sample_id: "S1".to_owned(),
            ..pb::SampleCollected::default()
        };
        log.add("2020-05-01", SITE, "X1", Kind::SampleCollected(collected));
        for (at, (sample, kind, new, aliquot)) in events.iter().enumerate() {
            let on_day = format!("2020-05-{:02}", at + 2);
            log.add(&on_day, SITE, "", told(sample, *kind, new, aliquot));
        }
        let part = log.trace(&on("2020-06-01"), "A");
        let row = &part.samples[0];
        assert_eq!(
            (row.sample_id.as_str(), row.last_event),
            ("S1", last),
            "{events:?}"
        );
    }
}

#[test]
fn of_a_lot_for_many_a_chain_has_its_way_and_nobody_elses_administration() {
    let mut log = Log::default();
    log.lot("2020-01-01", "MANY", "2", "{vial}", "");
    log.ship("2020-01-02", SITE, "MANY", "2");
    for (coi, patient) in [("C", "X1"), ("", "X2")] {
        let given = pb::Administration {
            lot: Some(key("MANY")),
            coi: coi.to_owned(),
            status: pb::AdministrationStatus::Given.into(),
            ..pb::Administration::default()
        };
        log.add("2020-01-03", SITE, patient, Kind::Administration(given));
    }
    let Ok(chain) = chain_of_identity(&log.0, &on("2020-02-01"), "C");
    let chain = chain.unwrap();
    let kinds: Vec<&str> = chain.links.iter().map(|link| link.kind).collect();
    assert_eq!(kinds, ["lot_registered", "shipment", "administration"]);
    assert_eq!(chain.patients, ["X1"]);
}
