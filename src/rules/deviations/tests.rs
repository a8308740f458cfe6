//! Each code is raised by a story, and not by the same story with one thing mended; and the worked history
//! raises what it is expected to raise.

mod catalogue;
mod consent;
mod follow_up;
mod lots;
mod people;
mod safety;
mod samples;

use std::{collections::BTreeSet, sync::LazyLock};

use chrono::{DateTime, NaiveDate, Utc};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};

use super::{Details, Deviation, Review, of_record, own};
use crate::{
    pb::{self, record::Kind},
    rules::{
        book::Book,
        catalogue::Catalogue,
        fact::{Fact, Facts as _, Subject, event_day},
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
            let Ok(of_record) = review.of_record(fact);
            raised.extend(of_record);
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
        let question = self.question(as_of);
        let Ok(about) = self.book.about(&Subject::Catalogue);
        let catalogue = Catalogue::of(&about, &question);
        let position = usize::try_from(index.value()).unwrap();
        let fact = &self.book.facts()[position];
        let Ok(raised) = of_record(&self.book, fact, &catalogue, &question);
        raised.iter().map(|one| one.rule.code).collect()
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
        let (code, patient) = (one.rule.code, &one.about.patient);
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

fn lot(number: &str, more: &Value) -> Value {
    let mut lot = json!({"gtin": GTIN, "lot": number, "role": "LOT_ROLE_DRUG_PRODUCT", "expiry": "2030-06-30",
        "storageRange": {"min": {"value": "-196", "unit": "Cel"}, "max": {"value": "-130", "unit": "Cel"}}});
    lot.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    json!({"lotRegistered": lot})
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
fn a_lot_that_may_not_be_given_is_flagged_when_it_is() {
    let with = |more: &'static [(&'static str, &'static str)]| {
        move || {
            let mut story = treated();
            for (day, disposition) in more {
                story.tell(day, "", disposed("L", disposition));
            }
            story
        }
    };
    let ok = || (DAY, given("X", "L"));
    check(&treated, "UNKNOWN_LOT", (DAY, given("X", "M")), ok());
    check(
        &treated,
        "EXPIRED_LOT",
        ("2030-07-01", given("X", "L")),
        ("2030-06-30", given("X", "L")),
    );
    for (disposition, code) in [
        ("QUARANTINED", "QUARANTINED_LOT"),
        ("RECALLED", "RECALLED_LOT"),
        ("REJECTED", "REJECTED_LOT"),
        ("DESTROYED", "REJECTED_LOT"),
        ("EXPIRED", "EXPIRED_LOT"),
    ] {
        let story = move || {
            let mut story = treated();
            story.tell("2026-01-10T09:00:01+08:00", "", disposed("L", disposition));
            story
        };
        // A second before it was decided, it could be given.
        check(
            &story,
            code,
            ("2026-01-10T09:00:01+08:00", given("X", "L")),
            ok(),
        );
    }
    let released_again = with(&[("2026-01-04", "QUARANTINED"), ("2026-01-05", "RELEASED")]);
    check(
        &released_again,
        "QUARANTINED_LOT",
        ("2026-01-04", given("X", "L")),
        ok(),
    );
    let out_of_specification = with(&[("2026-01-04", "RELEASED_OOS")]);
    let mut justified = given("X", "L");
    justified["administration"]["outOfSpecification"] = json!({"justification": "no other"});
    check(
        &out_of_specification,
        "LOT_OOS_UNJUSTIFIED",
        ok(),
        (DAY, justified),
    );
    check(
        &treated,
        "LOT_NOT_RELEASED",
        ("2026-01-02", given("X", "L")),
        ("2026-01-03", given("X", "L")),
    );
}

#[test]
fn one_cause_that_makes_a_lot_unfit_does_not_hide_another() {
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-05",
            "",
            json!({"recallOpened": {"recallId": "R", "roots": [key("L")]}}),
        );
        story.tell("2026-01-06", "", disposed("L", "QUARANTINED"));
        story
    };
    let given_late = || ("2030-07-01", given("X", "L"));
    check(&story, "EXPIRED_LOT", given_late(), (DAY, given("X", "L")));
    check(
        &story,
        "RECALLED_LOT",
        given_late(),
        ("2026-01-04", given("X", "L")),
    );
    check(
        &story,
        "QUARANTINED_LOT",
        given_late(),
        ("2026-01-05", given("X", "L")),
    );
}

#[test]
fn a_lot_that_descends_from_a_recalled_one_is_recalled() {
    let story = || {
        let mut story = treated();
        story.tell("2026-01-02", "", lot("ROOT", &json!({})));
        story.tell(
            "2026-01-02",
            "",
            json!({"transformation": {
            "inputs": [{"lot": key("ROOT")}], "outputs": [{"lot": key("L")}]}}),
        );
        story.tell(
            "2026-01-09",
            "",
            json!({"recallOpened": {"recallId": "R", "roots": [key("ROOT")]}}),
        );
        story
    };
    check(
        &story,
        "RECALLED_LOT",
        ("2026-01-09", given("X", "L")),
        ("2026-01-08", given("X", "L")),
    );
    let cleared = || {
        let mut story = story();
        story.tell("2026-01-10", "", disposed("L", "RELEASED"));
        story
    };
    check(
        &cleared,
        "RECALLED_LOT",
        ("2026-01-09", given("X", "L")),
        ("2026-01-10", given("X", "L")),
    );
}

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

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of what is flagged, read from top to bottom"
)]
fn a_product_of_another_patient_is_flagged() {
    let own = json!({"intendedPatient": "X", "coi": "CHZ000126000001", "donorRelation": 1});
    let story = || {
        let mut story = treated();
        story.tell("2026-01-02", "", lot("OWN", &own));
        story.tell(
            "2026-01-02",
            "",
            lot(
                "OTHER",
                &json!({"intendedPatient": "P1", "coi": "CHZ000119000001"}),
            ),
        );
        story
    };
    check(
        &story,
        "COI_MISMATCH_CRITICAL",
        (DAY, given("X", "OTHER")),
        (DAY, given("X", "OWN")),
    );
    let with_coi = |coi: &str| {
        let mut given = given("X", "OWN");
        given["administration"]["coi"] = json!(coi);
        given
    };
    check(
        &story,
        "COI_MISMATCH_CRITICAL",
        (DAY, with_coi("CHZ000126000002")),
        (DAY, with_coi("CHZ000126000001")),
    );
    check(
        &story,
        "COI_VERIFICATION_MISSING",
        (DAY, given("X", "OWN")),
        (DAY, given("X", "L")),
    );
    let verified = |result: &str, step: &str| {
        json!({"coiVerification": {"coi": "CHZ000126000001", "step": format!("COI_STEP_{step}"),
            "lot": key("OWN"), "result": format!("COI_RESULT_{result}")}, "patient": "X",
            "recordId": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"})
    };
    let naming = || {
        let mut given = given("X", "OWN");
        given["administration"]["coiVerification"] = json!("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
        given
    };
    for (result, step, code) in [
        ("MATCH", "BEDSIDE", ""),
        ("MISMATCH", "BEDSIDE", "COI_MISMATCH_CRITICAL"),
        ("UNREADABLE", "BEDSIDE", "COI_VERIFICATION_UNFIT"),
        ("MATCH", "THAW", "COI_VERIFICATION_UNFIT"),
    ] {
        let mut story = story();
        story.tell("2026-01-09", "", verified(result, step));
        let index = story.tell(DAY, "", naming());
        let codes = story.codes(index);
        for one in [
            "COI_MISMATCH_CRITICAL",
            "COI_VERIFICATION_UNFIT",
            "DANGLING",
        ] {
            assert_eq!(codes.contains(one), one == code, "{result} {step} {one}");
        }
    }
    let collected = |patient: &str| json!({"materialCollected": {"coi": "CHZ000126000001"}, "patient": patient});
    check(
        &story,
        "COI_OF_TWO_PATIENTS",
        (DAY, collected("P1")),
        (DAY, collected("X")),
    );
}

#[test]
fn what_is_given_once_is_not_given_twice() {
    let story = || {
        let mut story = treated();
        story.tell("2026-01-04", "", lot("UNITS", &json!({})));
        let mut first = given("P1", "UNITS");
        first["administration"]["serials"] = json!(["1", "2"]);
        story.tell("2026-01-05", "", first);
        story
    };
    let units = |serials: &[&str]| {
        let mut given = given("X", "UNITS");
        given["administration"]["serials"] = json!(serials);
        (DAY, given)
    };
    check(
        &story,
        "UNIT_GIVEN_TWICE",
        units(&["3", "2"]),
        units(&["3"]),
    );
    // P1 has had the single dose of the product.
    check(
        &story,
        "SECOND_DOSE",
        (DAY, given("P1", "L")),
        (DAY, given("X", "L")),
    );
}

#[test]
fn what_went_into_a_lot_must_be_fit_for_it() {
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-04",
            "",
            lot("BAD", &json!({"coi": "CHZ000119000001"})),
        );
        story.tell("2026-01-04", "", disposed("BAD", "REJECTED"));
        story
    };
    let made = |input: &str, coi: &str| {
        (
            DAY,
            json!({"transformation": {"inputs": [{"lot": key(input)}], "outputs": [{"lot": key("OUT")}], "coi": coi}}),
        )
    };
    check(&story, "UNKNOWN_INPUT", made("NONE", ""), made("L", ""));
    check(&story, "INPUT_NOT_USABLE", made("BAD", ""), made("L", ""));
    check(
        &story,
        "COI_OF_INPUT_DIFFERS",
        made("BAD", "CHZ000126000001"),
        made("BAD", "CHZ000119000001"),
    );
    check(
        &story,
        "UNKNOWN_LOT",
        (DAY, disposed("NONE", "REJECTED")),
        (DAY, disposed("L", "REJECTED")),
    );
    let after = || {
        let mut story = story();
        story.tell("2026-01-10", "", given("X", "L"));
        story
    };
    let code = "DISPOSITION_AFTER_ADMINISTRATION";
    check(
        &after,
        code,
        ("2026-01-11", disposed("L", "REJECTED")),
        ("2026-01-10", disposed("L", "REJECTED")),
    );
    let foreign = |gtin: &str| json!({"lotRegistered": {"gtin": gtin, "lot": "F"}});
    check(
        &story,
        "UNKNOWN_PRODUCT",
        (DAY, foreign("09521123450035")),
        (DAY, foreign(GTIN)),
    );
}

#[test]
fn what_is_sent_arrives_as_it_was_sent() {
    let sent = |lot: &str, amount: &str| {
        json!({"shipment": {"sscc": "095211230000007017", "toGln": SITE, "items": [{"lot": key(lot),
            "quantity": {"value": amount, "unit": "mL"}}]}})
    };
    let arrived = |sscc: &str, amount: &str| {
        json!({"shipmentReceived": {"sscc": sscc, "toGln": SITE, "items": [{"lot": key("L"),
            "quantity": {"value": amount, "unit": "mL"}}]}})
    };
    let story = || {
        let mut story = treated();
        story.tell("2026-01-09", "", sent("L", "2.0"));
        story
    };
    let good = || (DAY, arrived("095211230000007017", "2"));
    check(
        &story,
        "RECEIPT_WITHOUT_SHIPMENT",
        (DAY, arrived("095211230000009999", "2")),
        good(),
    );
    check(
        &story,
        "RECEIPT_WITHOUT_SHIPMENT",
        ("2026-01-08", arrived("", "2")),
        ("2026-01-09", arrived("", "2")),
    );
    check(
        &story,
        "QUANTITY_MISMATCH",
        (DAY, arrived("095211230000007017", "2.5")),
        good(),
    );
    let mut logged = good();
    logged.1["shipmentReceived"]["logger"] = json!({"max": {"value": "-131", "unit": "Cel"}});
    let mut warm = logged.clone();
    warm.1["shipmentReceived"]["logger"]["max"]["value"] = json!("-129.9");
    check(&story, "LOGGER_MISSING", good(), logged.clone());
    check(&story, "TEMPERATURE_OUT_OF_RANGE", warm, logged);
    check(
        &treated,
        "LOT_NOT_RELEASED",
        ("2026-01-02", sent("L", "2")),
        ("2026-01-03", sent("L", "2")),
    );

    let mut story = story();
    let shipment = Index::new(u64::try_from(story.book.facts().len()).unwrap() - 1);
    let open = |story: &Story, as_of: &str| {
        let raised = story.raised(as_of);
        let mut of_it = raised.iter().filter(|one| one.raised_by.index == shipment);
        of_it.any(|one| one.rule.code == "SHIPMENT_WITHOUT_RECEIPT")
    };
    assert!(!open(&story, "2026-01-09") && open(&story, "2026-01-10"));
    story.tell(DAY, "", arrived("095211230000007017", "2"));
    assert!(!open(&story, "2026-01-09") && !open(&story, "2026-01-10"));
}

#[test]
fn patients_are_one_person_each_and_live() {
    let story = || {
        let mut story = treated();
        let died = json!({"patientStatus": {"state": "PATIENT_STATE_DECEASED"}});
        story.tell("2026-01-10", "X", died);
        story
    };
    let visit =
        || json!({"patient": "X", "followUpVisit": {"reached": true, "mode": "VISIT_MODE_PHONE"}});
    check(
        &story,
        "AFTER_DEATH",
        ("2026-01-11", visit()),
        ("2026-01-10", visit()),
    );
    let died = || json!({"patient": "X", "patientStatus": {"state": "PATIENT_STATE_DECEASED"}});
    let visited = || {
        let mut story = treated();
        story.tell("2026-01-10", "", visit());
        story
    };
    check(
        &visited,
        "CONTRADICTS_STATUS",
        ("2026-01-09", died()),
        ("2026-01-10", died()),
    );
    let lost = || {
        let mut story = treated();
        story.tell(
            "2026-01-09",
            "X",
            json!({"patientStatus": {"state": "PATIENT_STATE_LOST_TO_FOLLOW_UP"}}),
        );
        story
    };
    check(
        &lost,
        "AFTER_LOST_TO_FOLLOW_UP",
        ("2026-01-10", visit()),
        ("2026-01-09", visit()),
    );
    let twin = |commitment: &str| json!({"patient": "Y", "patientRegistered": {"identityCommitment": commitment}});
    check(
        &treated,
        "POSSIBLE_DUPLICATE",
        (DAY, twin("AAAA")),
        (DAY, twin("BBBB")),
    );
    let of = |patient: &str| json!({"patient": patient, "patientStatus": {"state": "PATIENT_STATE_ACTIVE"}});
    check(
        &treated,
        "UNKNOWN_PATIENT",
        (DAY, of("NOBODY")),
        (DAY, of("X")),
    );
    check(
        &visited,
        "SUSPECTED_DUPLICATE",
        ("2026-01-10", visit()),
        ("2026-01-11", visit()),
    );

    let mut story = treated();
    let index = story.tell(DAY, "", twin("AAAA"));
    assert!(story.codes(index).contains("POSSIBLE_DUPLICATE"));
    story.tell(DAY, "X", json!({"patientMerged": {"mergedPatient": "Y"}}));
    assert!(
        !story.codes(index).contains("POSSIBLE_DUPLICATE"),
        "a merge settles it"
    );
}

#[test]
fn what_was_withdrawn_from_is_no_longer_done() {
    let withdrawn = |scope: &'static str| {
        move || {
            let mut story = treated();
            story.tell(
                "2026-01-09",
                "X",
                json!({"consentWithdrawn": {
                "scopes": [format!("WITHDRAWAL_SCOPE_{scope}")]}}),
            );
            story
        }
    };
    let sample = || json!({"patient": "X", "sampleCollected": {"sampleId": "S", "purposes": [1]}});
    let visit = |mode: &str| json!({"patient": "X", "followUpVisit": {"reached": true, "mode": format!("VISIT_MODE_{mode}")}});
    let code = "AFTER_WITHDRAWAL";
    check(
        &withdrawn("ALL_PROCEDURES"),
        code,
        ("2026-01-10", sample()),
        ("2026-01-09", sample()),
    );
    check(
        &withdrawn("INVASIVE_SAMPLING"),
        code,
        (DAY, sample()),
        (DAY, visit("ON_SITE")),
    );
    for purpose in ["CLONALITY", "ISA", "OFF_TARGET"] {
        let mut genetic = sample();
        let purposes = json!([
            "SAMPLE_PURPOSE_PERSISTENCE",
            format!("SAMPLE_PURPOSE_{purpose}")
        ]);
        genetic["sampleCollected"]["purposes"] = purposes;
        let story = withdrawn("GENETIC_TESTING");
        check(&story, code, (DAY, genetic), (DAY, sample()));
    }
    check(
        &withdrawn("ALL_PROCEDURES"),
        code,
        (DAY, visit("ON_SITE")),
        (DAY, visit("PHONE")),
    );
    check(
        &withdrawn("CONTACT"),
        code,
        (DAY, visit("PHONE")),
        (DAY, visit("RECORD_REVIEW")),
    );
    let stored = || {
        let mut story = withdrawn("SAMPLE_STORAGE")();
        story.tell("2026-01-08", "", sample());
        story
    };
    let event = |event: &str| json!({"sampleEvent": {"sampleId": "S", "event": format!("SAMPLE_EVENT_KIND_{event}")}});
    let code = "PROCESSED_AFTER_WITHDRAWAL";
    check(
        &stored,
        code,
        ("2026-01-10", event("PROCESSED")),
        ("2026-01-09", event("PROCESSED")),
    );
    check(
        &stored,
        code,
        (DAY, event("PROCESSED")),
        (DAY, event("DESTROYED")),
    );
}

#[test]
fn samples_and_results_are_of_samples_that_count() {
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-05",
            "X",
            json!({"sampleCollected": {"sampleId": "S",
            "volume": {"value": "5", "unit": "mL"}}}),
        );
        story
    };
    let divided = |sample: &str, used: &str| {
        (
            DAY,
            json!({"sampleEvent": {"sampleId": sample, "event": "SAMPLE_EVENT_KIND_ALIQUOTED",
            "aliquots": [{"sampleId": "S-1", "volume": {"value": "3", "unit": "mL"}}],
            "volumeUsed": {"value": used, "unit": "mL"}}}),
        )
    };
    check(
        &story,
        "UNKNOWN_SAMPLE",
        divided("T", "1"),
        divided("S", "1"),
    );
    check(
        &story,
        "VOLUME_EXCEEDED",
        divided("S", "2.1"),
        divided("S", "2"),
    );
    let result =
        |method: &str| json!({"assayResult": {"sampleId": "S", "method": {"methodId": method}}});
    let rejected = || {
        let mut story = story();
        story.tell(
            "2026-01-06",
            "",
            json!({"sampleEvent": {"sampleId": "S", "event": "SAMPLE_EVENT_KIND_REJECTED"}}),
        );
        story.tell(
            "2026-01-06",
            "",
            json!({"assayMethodVersion": {"methodId": "BARE", "version": "1"}}),
        );
        story.tell("2026-01-06", "", json!({"assayMethodVersion": {"methodId": "SOUND", "version": "1",
            "lod": {"value": "1", "unit": "%"}, "sensitivityPercent": "9", "specificityPercent": "9",
            "reproducibilityPercent": "9", "validationReport": {"sha256": "AAAA"}}}));
        story
    };
    check(
        &rejected,
        "RESULT_ON_REJECTED_SAMPLE",
        ("2026-01-06", result("SOUND")),
        ("2026-01-05", result("SOUND")),
    );
    check(
        &rejected,
        "METHOD_UNVALIDATED",
        (DAY, result("BARE")),
        (DAY, result("SOUND")),
    );
    check(
        &rejected,
        "UNKNOWN_METHOD",
        (DAY, result("NONE")),
        (DAY, result("SOUND")),
    );
}

#[test]
fn the_envelope_names_who_and_where_is_registered() {
    let with = |field: &str, value: &str| {
        let mut status =
            json!({"patient": "X", "patientStatus": {"state": "PATIENT_STATE_ACTIVE"}});
        status[field] = json!(value);
        (DAY, status)
    };
    let good = || with("actorPerson", "s01-1");
    check(
        &treated,
        "UNKNOWN_SITE",
        with("site", "9521123009999"),
        good(),
    );
    check(
        &treated,
        "UNKNOWN_ACTOR",
        with("actorPerson", "nobody"),
        good(),
    );
    check(
        &treated,
        "ROLE_NOT_HELD",
        with("actorRole", "ACTOR_ROLE_QP"),
        good(),
    );
    let linked = |id: &str| {
        (
            DAY,
            json!({"patient": "X", "patientStatus": {"state": "PATIENT_STATE_ACTIVE"},
            "links": [{"relation": "LINK_RELATION_CAUSE", "recordId": id}]}),
        )
    };
    let known = car_t().id_of(|kind| matches!(kind, Kind::Administration(_)));
    check(
        &treated,
        "DANGLING",
        linked("ffffffff-ffff-4fff-8fff-ffffffffffff"),
        linked(&known),
    );
}

#[test]
fn a_record_is_late_after_a_week_or_when_a_plan_says() {
    let late = |story: &mut Story, recorded_at: &str| {
        let status = json!({"patientStatus": {"state": "PATIENT_STATE_ACTIVE"}});
        let index = story.tell_late("2026-01-10", recorded_at, "X", status);
        story.codes(index).contains("LATE_RECORDING")
    };
    // The day is the site's: it begins eight hours before UTC's.
    assert!(!late(&mut treated(), "2026-01-17T15:59:59Z"));
    assert!(late(&mut treated(), "2026-01-17T16:00:00Z"));
    let mut planned = treated();
    planned.tell(
        "2026-01-02",
        "",
        json!({"followUpPlanVersion": {"planId": "STRICT", "version": "1",
        "ordinal": 1, "parameters": {"lateRecordingDays": 1}}}),
    );
    planned.tell(
        "2026-01-02",
        "",
        json!({"planActivated": {"plan": {"planId": "STRICT", "version": "1"},
        "site": SITE, "effectiveFrom": "2026-01-03"}}),
    );
    assert!(!late(&mut planned, "2026-01-11T12:00:00Z"));
    assert!(late(&mut planned, "2026-01-12T12:00:00Z"));
}

#[test]
fn a_dose_is_off_by_more_than_the_plan_allows_or_not() {
    use super::lots::is_off_by_more;
    for (from, number, percent, expected) in [
        ("100", "110", "10", Some(false)),
        ("100", "110.1", "10", Some(true)),
        ("100", "89.9", "10", Some(true)),
        ("0.3", "0.3", "0", Some(false)),
        ("0.3", "0.30001", "0", Some(true)),
        ("1", "1", "x", None),
        ("99999999999999999999999999999999999999", "1", "1", None),
    ] {
        assert_eq!(
            is_off_by_more(from, number, percent),
            expected,
            "{from} {number} {percent}"
        );
    }
}

#[test]
fn consent_comes_before_what_is_done() {
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-01",
            "Y",
            json!({"patientRegistered": {"identityCommitment": "BBBB"}}),
        );
        story
    };
    let sample = |patient: &str| json!({"patient": patient, "sampleCollected": {"sampleId": "S", "purposes": [1]}});
    check(
        &story,
        "NO_VALID_CONSENT",
        (DAY, sample("Y")),
        (DAY, sample("X")),
    );
    check(
        &story,
        "NO_VALID_CONSENT",
        ("2026-01-01", sample("X")),
        ("2026-01-02", sample("X")),
    );
    let signed = |patient: &str| {
        json!({"patient": patient, "consentSigned": {"signatory": "SIGNATORY_SELF",
            "version": {"family": "ICF-LTFU-CAR19", "version": "2.0"}}})
    };
    let treated_first = || {
        let mut story = story();
        story.tell("2026-01-05", "", given("Y", "L"));
        story
    };
    check(
        &treated_first,
        "TREATED_BEFORE_CONSENT",
        ("2026-01-06", signed("Y")),
        ("2026-01-05", signed("Y")),
    );
    let mut discussed = signed("X");
    discussed["consentSigned"]["discussedBy"] = json!("lab-1");
    let mut by_investigator = discussed.clone();
    by_investigator["consentSigned"]["discussedBy"] = json!("s01-1");
    check(
        &story,
        "DISCUSSER_NOT_DELEGATED",
        (DAY, discussed),
        (DAY, by_investigator),
    );
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of what is flagged, read from top to bottom"
)]
fn the_catalogue_fits_together() {
    let document = |version: &str, ordinal: u32, hash: &str, of: &str| {
        (
            DAY,
            json!({"consentDocumentVersion": {"family": "ICF-LTFU-CAR19", "version": version,
            "ordinal": ordinal, "language": "en", "document": {"sha256": hash}, "translationOf": of}}),
        )
    };
    check(
        &treated,
        "ORDINAL_GAP",
        document("5", 6, "AAAA", ""),
        document("4", 5, "AAAA", ""),
    );
    let ones = "ERERERERERERERERERERERERERERERERERERERERERE=";
    check(
        &treated,
        "DOCUMENT_SEEN_BEFORE",
        document("4", 5, ones, ""),
        document("1.0", 1, ones, ""),
    );
    check(
        &treated,
        "TRANSLATION_WITHOUT_SOURCE",
        document("3.0", 4, "AAAA", "9"),
        document("3.0", 4, "AAAA", "3.0"),
    );
    let product = |id: &str| {
        (
            DAY,
            json!({"productRegistered": {"productId": id, "version": 2, "gtins": [GTIN]}}),
        )
    };
    check(
        &treated,
        "GTIN_ON_TWO_PRODUCTS",
        product("OTHER"),
        product("SYN-CAR19"),
    );
    let plan = |months: Option<u32>, communicated: bool| {
        let text = |text: &str| {
            if communicated {
                text.to_owned()
            } else {
                String::new()
            }
        };
        (
            DAY,
            json!({"followUpPlanVersion": {"planId": "LTFU-CAR19", "version": "3", "ordinal": 3,
            "parameters": {"followUpMonths": months}, "justification": text("why"),
            "communication": text("ffffffff-ffff-4fff-8fff-ffffffffffff")}}),
        )
    };
    check(
        &treated,
        "LESS_MONITORING_UNCOMMUNICATED",
        plan(Some(179), false),
        plan(Some(179), true),
    );
    check(
        &treated,
        "LOOSER_THAN_GUIDELINE",
        plan(Some(179), false),
        plan(Some(180), false),
    );
    check(
        &treated,
        "COMMUNICATION_MISSING",
        plan(Some(181), false),
        plan(Some(180), false),
    );
    check(
        &treated,
        "COMMUNICATION_MISSING",
        plan(Some(181), false),
        plan(None, false),
    );
    let notice = |recall: &str| json!({"recallNotice": {"recallId": recall, "site": SITE}});
    check(
        &treated,
        "UNKNOWN_RECALL",
        (DAY, notice("NONE")),
        (DAY, notice("RCL-2025-01")),
    );
    check(
        &treated,
        "NOTICE_LATE",
        ("2025-08-14", notice("RCL-2025-01")),
        ("2025-08-13", notice("RCL-2025-01")),
    );
    let decided = |signal: &str| (DAY, json!({"signalDecision": {"signalId": signal}}));
    check(
        &treated,
        "UNKNOWN_SIGNAL",
        decided("NONE"),
        decided("SIG-1"),
    );
    let gln = |name: &str| {
        (
            DAY,
            json!({"organisationRegistered": {"gln": SITE, "name": name, "timeZone": "Asia/Shanghai",
            "roles": ["ORGANISATION_ROLE_HOSPITAL"], "country": "CN"}}),
        )
    };
    check(&treated, "DUPLICATE_GLN", gln("Another"), gln("Site S01"));
}

#[test]
fn a_signal_that_changes_the_risk_is_answered_in_time() {
    let signal = |deadline: &str, changes: bool| {
        (
            DAY,
            json!({"riskSignal": {"signalId": "S", "changesRisk": changes, "deadline": deadline,
            "requiredActions": ["SIGNAL_ACTION_CONSENT"]}}),
        )
    };
    let code = "SIGNAL_WITHOUT_ACTION";
    check(
        &treated,
        code,
        signal("2026-02-01", true),
        signal("2026-02-01", false),
    );
    check(
        &treated,
        code,
        signal("2099-12-30", true),
        signal("2099-12-31", true),
    );
    check(&treated, code, signal("2026-02-01", true), signal("", true));
    let answered = |day: &'static str| {
        move || {
            let mut story = treated();
            story.tell(day, "", json!({"signalDecision": {"signalId": "S", "notNeeded": ["SIGNAL_ACTION_CONSENT"]}}));
            story
        }
    };
    let index_raises = |story: Story| {
        let mut story = story;
        let (at, kind) = signal("2026-02-01", true);
        let index = story.tell(at, "", kind);
        story.codes(index).contains(code)
    };
    assert!(!index_raises(answered("2026-02-01")()));
    assert!(
        index_raises(answered("2026-02-02")()),
        "too late stays too late"
    );
}

#[test]
fn an_adverse_event_begins_after_the_product_was_given() {
    let story = || {
        let mut story = treated();
        story.tell("2026-01-05", "", given("X", "L"));
        story
    };
    let event = || json!({"patient": "X", "adverseEvent": {"caseId": "C", "subjectKind": "SUBJECT_KIND_PATIENT"}});
    check(
        &story,
        "ONSET_BEFORE_ADMINISTRATION",
        ("2026-01-04", event()),
        ("2026-01-05", event()),
    );
    let assessed = |case: &str| json!({"patient": "X", "causalityAssessment": {"caseId": case}});
    let known = || {
        let mut story = story();
        story.tell("2026-01-06", "", event());
        story
    };
    check(
        &known,
        "UNKNOWN_CASE",
        (DAY, assessed("D")),
        (DAY, assessed("C")),
    );
}

#[test]
fn an_enrolment_is_in_the_plan_that_is_in_force() {
    let enrolled = |plan: &str, version: &str, end: &str| {
        (
            DAY,
            json!({"patient": "X", "followUpEnrolment": {"planId": plan, "planVersion": version, "claimedEndOn": end}}),
        )
    };
    let story = || {
        let mut story = treated();
        story.tell("2026-01-05", "", given("X", "L"));
        story
    };
    check(
        &story,
        "UNKNOWN_PLAN",
        enrolled("NONE", "", ""),
        enrolled("LTFU-CAR19", "", ""),
    );
    check(
        &story,
        "UNKNOWN_PLAN",
        enrolled("LTFU-CAR19", "9", ""),
        enrolled("LTFU-CAR19", "2", ""),
    );
    check(
        &story,
        "PLAN_NOT_LATEST",
        enrolled("LTFU-CAR19", "1", ""),
        enrolled("LTFU-CAR19", "2", ""),
    );
    let wrong = enrolled("LTFU-CAR19", "2", "2041-01-06");
    check(
        &story,
        "END_DATE_DIFFERS",
        wrong,
        enrolled("LTFU-CAR19", "2", "2041-01-05"),
    );
}

#[test]
fn a_correction_says_what_the_record_said_and_is_of_ones_own_site() {
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-05",
            "X",
            json!({"recordId": "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
            "administration": {"lot": key("L"), "doseNumber": 1}}),
        );
        story
    };
    let corrected = |path: &str, old: &str, site: &str| {
        (
            DAY,
            json!({"site": site, "correction": {"target": "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
            "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
            "changes": [{"path": path, "old": old, "new": ""}]}}),
        )
    };
    let good = || corrected("administration.dose_number", "1", SITE);
    check(
        &story,
        "OLD_DIFFERS",
        corrected("administration.dose_number", "2", SITE),
        good(),
    );
    check(
        &story,
        "OLD_DIFFERS",
        corrected("administration.ward", "W", SITE),
        corrected("administration.ward", "", SITE),
    );
    check(
        &story,
        "DISPUTED",
        corrected("administration.dose_number", "1", "9521123001022"),
        good(),
    );
}
