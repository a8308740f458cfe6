//! Each code is raised by a story, and not by the same story with one thing mended; and the worked history
//! raises what it is expected to raise.

mod catalogue;
mod consent;
mod custody;
mod dangling;
mod envelope;
mod follow_up;
mod identity;
mod lots;
mod people;
mod plans;
mod safety;
mod samples;
mod storage;
mod told;

use std::{collections::BTreeSet, fs, path::PathBuf, sync::LazyLock};

use chrono::{DateTime, NaiveDate, Utc};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};

use super::{Details, Deviation, LotHistory, Review, of_lot, of_record, own};
use crate::{
    pb::{self, record::Kind},
    rules::{
        book::Book,
        catalogue::Catalogue,
        fact::{Fact, Facts as _, LotId, Subject, event_day},
        flags::codes,
        question::{Question, View},
    },
    tlog::{Index, TreeSize},
};

pub(in crate::rules) const GTIN: &str = "09521123450011";
const SITE: &str = "9521123001015";

/// A log that is told record by record.
#[derive(Default)]
pub(in crate::rules) struct Story {
    pub(in crate::rules) book: Book,
}

impl Deviation {
    /// The patient whom it is about, if there is one.
    pub(in crate::rules) fn patient(&self) -> &str {
        match self.about.patient.as_str() {
            "" => &self.raised_by.record.patient,
            patient => patient,
        }
    }
}

impl Story {
    /// The next record: its kind as JSON, when it happened, and whose it is.
    pub(in crate::rules) fn tell(&mut self, at: &str, patient: &str, kind: Value) -> Index {
        let day = at.get(..10).unwrap();
        self.tell_late(at, &format!("{day}T10:00:00Z"), patient, kind)
    }

    fn tell_late(&mut self, at: &str, recorded_at: &str, patient: &str, kind: Value) -> Index {
        let mut kind = kind;
        if !patient.is_empty() {
            kind["patient"] = json!(patient);
        }
        let record = self.json(at, kind);
        self.take(&record.to_string(), recorded_at)
    }

    /// The next record, not told yet.
    pub(in crate::rules) fn record(&self, at: &str, kind: Value) -> pb::Record {
        record(&self.json(at, kind).to_string())
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "values are made where it is called"
    )]
    fn json(&self, at: &str, kind: Value) -> Value {
        let mut record = json!({
            "eventTime": at, "site": SITE, "siteTz": "Asia/Shanghai",
            "actorPerson": "s01-1", "actorRole": "ACTOR_ROLE_INVESTIGATOR",
            "recordId": format!("00000000-0000-4000-8000-{:012}", self.book.facts().len()),
        });
        let fields = kind.as_object().unwrap().clone();
        record.as_object_mut().unwrap().extend(fields);
        record
    }

    /// The id of the first record of a kind.
    pub(in crate::rules) fn id_of(&self, is: impl Fn(&Kind) -> bool) -> String {
        let mut facts = self.book.facts().iter();
        let fact = facts.find(|fact| is(fact.kind().unwrap())).unwrap();
        fact.record.record_id.clone()
    }

    /// The id of the last record of a kind.
    pub(in crate::rules) fn last_id_of(&self, is: impl Fn(&Kind) -> bool) -> String {
        let mut facts = self.book.facts().iter().rev();
        let fact = facts.find(|fact| is(fact.kind().unwrap())).unwrap();
        fact.record.record_id.clone()
    }

    pub(in crate::rules) fn take(&mut self, json: &str, recorded_at: &str) -> Index {
        let record = record(json);
        let index = Index::new(u64::try_from(self.book.facts().len()).unwrap());
        self.book.insert(Fact {
            index,
            recorded_at: recorded_at.parse::<DateTime<Utc>>().unwrap(),
            actor: "s01-1".to_owned(),
            on: event_day(&record).unwrap(),
            record,
            replacement: None,
        });
        index
    }

    fn question(&self, as_of: &str) -> Question {
        Question {
            as_of: as_of.parse::<NaiveDate>().unwrap(),
            known_at: TreeSize::new(u64::try_from(self.book.facts().len()).unwrap()),
            view: View::AsCorrected,
        }
    }

    /// What every entry raises, as known now.
    fn raised(&self, as_of: &str) -> Vec<Deviation> {
        self.raised_to(&self.question(as_of))
    }

    fn raised_to(&self, question: &Question) -> Vec<Deviation> {
        let Ok(about) = self.book.about(&Subject::Catalogue);
        let catalogue = Catalogue::of(&about, question);
        let mut review = Review::new(&self.book, &catalogue, *question);
        let mut raised = Vec::new();
        for fact in self.book.facts().iter().filter(|fact| question.knows(fact)) {
            let Ok(of_review) = review.of_record(fact);
            let Ok(of_receipt) = of_record(&self.book, fact, &catalogue, question);
            assert_eq!(of_receipt, of_review, "a receipt says what the list says");
            raised.extend(of_review);
            raised.extend(own(fact));
        }
        raised
    }

    /// The codes that an entry raises, in their order.
    fn codes(&self, index: Index) -> BTreeSet<&'static str> {
        self.codes_on(index, "2099-12-31")
    }

    /// The codes that an entry raises as of a day.
    fn codes_on(&self, index: Index, as_of: &str) -> BTreeSet<&'static str> {
        let raised = self.raised_by(index, as_of);
        raised.iter().map(|one| one.rule.code).collect()
    }

    /// What an entry raises together with others as of a day.
    fn raised_by(&self, index: Index, as_of: &str) -> Vec<Deviation> {
        let question = self.question(as_of);
        let Ok(about) = self.book.about(&Subject::Catalogue);
        let catalogue = Catalogue::of(&about, &question);
        let position = usize::try_from(index.value()).unwrap();
        let fact = &self.book.facts()[position];
        let Ok(raised) = of_record(&self.book, fact, &catalogue, &question);
        raised
    }

    /// The field by which an entry raises a code, if it does.
    fn field_of(&self, index: Index, code: &str) -> Option<String> {
        let raised = self.raised_by(index, "2099-12-31");
        let mut raised = raised.into_iter().filter(|one| one.rule.code == code);
        raised.next().map(|one| one.field.into_owned())
    }

    /// What the history of a lot raises, and which entry raises it.
    fn raised_of_lot(&self, lot: &str) -> BTreeSet<(Index, &'static str)> {
        let question = self.question("2026-02-01");
        let Ok(about) = self.book.about(&Subject::Catalogue);
        let catalogue = Catalogue::of(&about, &question);
        let lot = LotId {
            gtin: GTIN.to_owned(),
            lot: lot.to_owned(),
        };
        let Ok(history) = LotHistory::of(&self.book, &lot, &catalogue, &question);
        let raised = of_lot(&history, &catalogue, &question);
        let by_entry = raised.iter();
        by_entry
            .map(|one| (one.raised_by.index, one.rule.code))
            .collect()
    }
}

pub(in crate::rules) fn record(json: &str) -> pb::Record {
    static RECORD: LazyLock<MessageDescriptor> = LazyLock::new(|| {
        let pool = DescriptorPool::decode(pb::DESCRIPTORS).unwrap();
        pool.get_message_by_name("genetrail.v1.Record").unwrap()
    });
    let mut json = serde_json::Deserializer::from_str(json);
    let message = DynamicMessage::deserialize(RECORD.clone(), &mut json).unwrap();
    pb::Record::decode(message.encode_to_vec().as_slice()).unwrap()
}

/// The records of the worked history, and when their senders' clocks say that they were sent.
pub(in crate::rules) fn lines() -> Vec<(String, String)> {
    let history = include_str!("../../../examples/car-t.ndjson").lines();
    let sent = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        record["clientTime"].as_str().unwrap().to_owned()
    };
    history.map(|line| (line.to_owned(), sent(line))).collect()
}

/// The worked history, recorded when it was sent.
pub(in crate::rules) fn car_t() -> Story {
    static FACTS: LazyLock<Vec<Fact>> = LazyLock::new(|| {
        let mut story = Story::default();
        for (line, sent) in lines() {
            story.take(&line, &sent);
        }
        let facts = story.book.facts().iter();
        facts.map(|fact| Fact::clone(fact)).collect()
    });
    let mut story = Story::default();
    for fact in FACTS.iter() {
        story.book.insert(fact.clone());
    }
    story
}

/// Those of the codes that the worked history is expected to raise, with whom and what they are about.
fn told(raised: &[Deviation]) -> Vec<String> {
    let day = |day: Option<NaiveDate>| day.map(|day| format!(" {day}")).unwrap_or_default();
    let told = |one: &Deviation| {
        let lot = one.about.lot.as_ref().map(|lot| format!(" {}", lot.lot));
        let Details {
            due,
            actual,
            days,
            deadline,
            signed,
            effective,
            administered,
            consented,
            event,
            recorded,
            scanned,
        } = &one.details;
        let days_of = [
            due,
            deadline,
            signed,
            effective,
            administered,
            consented,
            event,
            recorded,
            actual,
        ];
        let days_of: String = days_of.into_iter().copied().map(day).collect();
        let days = days.map(|days| format!(" {days}")).unwrap_or_default();
        let scanned = Some(scanned.as_str()).filter(|scanned| !scanned.is_empty());
        let scanned = scanned.map(|scanned| format!(" {scanned}"));
        let (code, patient) = (one.rule.code, one.patient());
        let (lot, scanned) = (lot.unwrap_or_default(), scanned.unwrap_or_default());
        format!("{code} {patient}{lot}{days_of}{days}{scanned}")
    };
    raised.iter().map(told).collect()
}

#[test]
fn the_worked_history_raises_what_it_is_expected_to() {
    let raised = told(&car_t().raised("2026-01-15"));
    let expected = [
        "COI_VERIFICATION_MISMATCH P6 DP-006B P4",
        "CONSENT_VERSION_NOT_EFFECTIVE P4 2024-04-05 2024-04-10",
        "LATE_RECONSENT P2 2024-05-14 2024-06-03 20",
        "LATE_RECONSENT P4 2024-06-09 2024-06-20 11",
        "LATE_RECORDING P6 2024-04-30 2024-05-20 20",
        "LATE_SAMPLE P2 2022-05-18 2022-05-25 7",
        "LATE_SAMPLE P2 2024-07-29 2024-08-20 22",
        "LATE_SAMPLE P4 2021-11-18 2021-11-30 12",
        "LATE_SAMPLE P4 2023-05-10 2023-06-02 23",
    ];
    let of_code = |code: &str| {
        let raised = raised
            .iter()
            .filter(|one| one.starts_with(&format!("{code} ")));
        raised.map(String::as_str).collect::<BTreeSet<_>>()
    };
    for code in [
        "COI_VERIFICATION_MISMATCH",
        "CONSENT_VERSION_NOT_EFFECTIVE",
        "LATE_RECONSENT",
        "LATE_RECORDING",
        "LATE_SAMPLE",
    ] {
        let expected = expected.into_iter().filter(|one| one.starts_with(code));
        assert_eq!(of_code(code), expected.collect(), "{code}");
    }
    // Nothing in it is wrong with a lot, a chain of identity, or the order of things.
    for code in [
        "UNKNOWN_LOT",
        "LOT_NOT_RELEASED",
        "EXPIRED_LOT",
        "RECALLED_LOT",
        "QUARANTINED_LOT",
        "COI_MISMATCH_CRITICAL",
        "COI_VERIFICATION_UNFIT",
        "SECOND_DOSE",
        "AFTER_DEATH",
        "AFTER_WITHDRAWAL",
        "DANGLING",
        "UNKNOWN_PATIENT",
        "UNKNOWN_SITE",
        "UNKNOWN_ACTOR",
        "ROLE_NOT_HELD",
        "RECEIPT_WITHOUT_SHIPMENT",
        "SHIPMENT_WITHOUT_RECEIPT",
        "QUANTITY_MISMATCH",
        "SUSPECTED_DUPLICATE",
        "POSSIBLE_DUPLICATE",
        "INPUT_NOT_USABLE",
        "UNKNOWN_INPUT",
        "COI_OF_INPUT_DIFFERS",
        "NO_VALID_CONSENT",
        "TREATED_BEFORE_CONSENT",
        "CONSENT_VERSION_SUPERSEDED",
        "SIGNATORY_NOT_AUTHORISED",
        "DISCUSSER_NOT_DELEGATED",
        "LATE_MAJORITY_CONSENT",
        "LATE_ASSENT",
        "VISIT_OUT_OF_WINDOW",
        "INCOMPLETE_VISIT",
    ] {
        assert_eq!(of_code(code), BTreeSet::new());
    }
}

/// The odd submissions of the worked history, each on top of it.
#[test]
fn the_odd_submissions_of_the_worked_history_are_flagged() {
    let given = |patient: &str, lot: &str| json!({"administration": {"lot": {"gtin": GTIN, "lot": lot}, "status": "ADMINISTRATION_STATUS_GIVEN"}, "patient": patient});
    let check = |day: &str, kind: Value, code: &str| {
        let mut story = car_t();
        let index = story.tell(&format!("{day}T09:00:00+08:00"), "", kind);
        let codes = story.codes(index);
        assert!(codes.contains(code), "{code} {codes:?}");
    };
    check("2020-01-01", given("P1", "DP-001"), "EXPIRED_LOT");
    check("2026-01-02", given("P1", "DP-999"), "UNKNOWN_LOT");
    check("2026-01-02", given("P1", "DP-002"), "COI_MISMATCH_CRITICAL");
    let sample = json!({"sampleCollected": {"sampleId": "SMP-999"}, "patient": "P2"});
    check("2025-02-01", sample, "AFTER_DEATH");
    check("2026-01-02", given("P-NEW", "DP-001"), "NO_VALID_CONSENT");
    let signed = json!({"consentSigned": {"version": {"family": "ICF-LTFU-CAR19", "version": "2.0"},
        "signatory": "SIGNATORY_SELF"}, "patient": "P4", "site": "9521123001022"});
    check("2024-04-05", signed, "CONSENT_VERSION_NOT_EFFECTIVE");
}

/// A record told on top of a story raises a code, and one with a thing mended does not.
fn check(
    story: &dyn Fn() -> Story,
    code: &str,
    (at, bad): (&str, Value),
    (then, good): (&str, Value),
) {
    for (at, kind, raises) in [(at, bad, true), (then, good, false)] {
        let mut story = story();
        let index = story.tell(at, "", kind.clone());
        let codes = story.codes(index);
        assert_eq!(codes.contains(code), raises, "{code} {kind} {codes:?}");
    }
}

fn key(lot: &str) -> Value {
    json!({"gtin": GTIN, "lot": lot})
}

fn given(patient: &str, lot: &str) -> Value {
    json!({"patient": patient, "administration": {"lot": key(lot), "status": "ADMINISTRATION_STATUS_GIVEN"}})
}

/// An object with more fields, or with others in their place.
fn extended(mut object: Value, more: &Value) -> Value {
    let fields = object.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    object
}

/// An administration with another status: `PARTIAL`, `NOT_DONE`.
fn administered(patient: &str, lot: &str, status: &str) -> Value {
    let mut given = given(patient, lot);
    given["administration"]["status"] = json!(format!("ADMINISTRATION_STATUS_{status}"));
    given
}

fn lot(number: &str, more: &Value) -> Value {
    let lot = json!({"gtin": GTIN, "lot": number, "role": "LOT_ROLE_DRUG_PRODUCT", "expiry": "2030-06-30",
        "storageRange": {"min": {"value": "-196", "unit": "Cel"}, "max": {"value": "-130", "unit": "Cel"}}});
    json!({"lotRegistered": extended(lot, more)})
}

fn disposed(number: &str, disposition: &str) -> Value {
    json!({"lotDisposition": {"lot": key(number), "disposition": format!("DISPOSITION_{disposition}")}})
}

/// A patient who has consented, and a lot that was released.
fn treated() -> Story {
    let mut story = car_t();
    story.tell(
        "2026-01-01",
        "X",
        json!({"patientRegistered": {"identityCommitment": "AAAA"}}),
    );
    story.tell(
        "2026-01-02",
        "X",
        json!({"consentSigned": {"signatory": "SIGNATORY_SELF",
        "version": {"family": "ICF-LTFU-CAR19", "version": "2.0"}}}),
    );
    story.tell("2026-01-02", "", lot("L", &json!({})));
    story.tell("2026-01-03", "", disposed("L", "RELEASED"));
    story
}

/// The same, where a plan says what its parameters say.
fn planned(parameters: &Value) -> Story {
    let mut story = treated();
    let plan = json!({"planId": "STRICT", "version": "1", "ordinal": 1, "parameters": parameters});
    story.tell("2026-01-02", "", json!({"followUpPlanVersion": plan}));
    let activated = json!({"plan": {"planId": "STRICT", "version": "1"}, "site": SITE,
        "effectiveFrom": "2026-01-03"});
    story.tell("2026-01-02", "", json!({"planActivated": activated}));
    story
}

/// Whether what was told last raises a code, as of each of two days that follow each other: not yet, and then.
fn falls_due(story: &Story, index: Index, code: &str, (not_yet, then): (&str, &str)) {
    for (as_of, raises) in [(not_yet, false), (then, true)] {
        let codes = story.codes_on(index, as_of);
        assert_eq!(codes.contains(code), raises, "{code} {as_of} {codes:?}");
    }
}

const DAY: &str = "2026-01-10T09:00:00+08:00";

#[test]
fn a_flag_goes_when_the_missing_record_comes() {
    let mut story = treated();
    let index = story.tell(DAY, "", given("X", "M"));
    assert!(story.codes(index).contains("UNKNOWN_LOT"));
    let known_before = story.question("2026-02-01");
    story.tell("2026-01-05", "", lot("M", &json!({})));
    assert!(!story.codes(index).contains("UNKNOWN_LOT"));
    assert!(story.codes(index).contains("LOT_NOT_RELEASED"));
    story.tell("2026-01-05", "", disposed("M", "RELEASED"));
    assert!(!story.codes(index).contains("LOT_NOT_RELEASED"));
    let then = story.raised_to(&known_before);
    let of_then = then.iter().filter(|one| one.raised_by.index == index);
    assert!(
        of_then
            .into_iter()
            .any(|one| one.rule.code == "UNKNOWN_LOT"),
        "as known then"
    );
}

/// A code that no test of its topic names has nobody who raises it on purpose. Whether it is raised is for those
/// tests to say; the worked history alone does not count.
#[test]
fn every_code_is_named_by_a_test_of_its_topic() {
    let rules = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/rules");
    let topics = fs::read_dir(rules.join("deviations/tests")).unwrap();
    let mut files: Vec<PathBuf> = topics.map(|file| file.unwrap().path()).collect();
    files.push(rules.join("flags/tests.rs"));
    let text = |file: &PathBuf| fs::read_to_string(file).unwrap();
    let tests: String = files.iter().map(text).collect();
    let is_named = |code: &str| {
        tests.contains(&format!("\"{code}\"")) || tests.contains(&format!("\"{code} "))
    };
    let codes = codes::ALONE
        .iter()
        .chain(codes::ACROSS)
        .map(|rule| rule.code);
    let unnamed: Vec<&str> = codes.filter(|code| !is_named(code)).collect();
    assert_eq!(unnamed, Vec::<&str>::new());
}
