//! Histories: what happened to a product and its patients over years, told tersely in JSON, with the answers
//! that are expected. Here they become records.

mod answers;
mod compare;
pub(crate) mod convert;
mod dictionary;
mod fields;
mod follow_up;
mod malformed;
mod parties;
mod people;
mod play;
mod safety;
mod supply;

use std::{env, fs, path::Path, slice};

use genetrail::{
    pb::{self, record::Kind},
    record,
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::{Value, json};

use self::{convert::convert, dictionary::record_descriptor};
use crate::support::as_actor;

/// A history of `tests/histories`.
fn history(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/histories")
        .join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A record as a line of proto3 JSON.
fn to_json(descriptor: MessageDescriptor, record: &pb::Record) -> String {
    let message = DynamicMessage::decode(descriptor, record.encode_to_vec().as_slice()).unwrap();
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut json);
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .unwrap();
    String::from_utf8(json).unwrap()
}

#[test]
fn the_car_t_example_is_the_history_converted() {
    let records = convert(&history("car-t.json")).unwrap();
    let descriptor = record_descriptor();
    let converted: String = records
        .iter()
        .map(|record| to_json(descriptor.clone(), record) + "\n")
        .collect();

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/car-t.ndjson");
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &converted).unwrap();
    }
    let example = fs::read_to_string(&path).unwrap();
    for (number, (line, converted)) in example.lines().zip(converted.lines()).enumerate() {
        assert_eq!(
            line,
            converted,
            "line {}; UPDATE_EXPECT=1 rewrites the example",
            number + 1
        );
    }
    assert_eq!(
        example.len(),
        converted.len(),
        "UPDATE_EXPECT=1 rewrites the example"
    );
}

#[test]
fn every_record_of_a_history_is_in_order() {
    for name in [
        "car-t.json",
        "aav.json",
        "aav-amended.json",
        "lv.json",
        "hsc.json",
        "edited.json",
    ] {
        for record in convert(&history(name)).unwrap() {
            let now = record.client_time.parse().unwrap();
            assert_eq!(record::check(&record, now), [], "{}", record.record_id);
        }
    }
}

/// A history of a few events, each with what every event has.
fn history_of(events: &[Value]) -> Value {
    let events = events.iter().enumerate().map(|(at, event)| {
        let mut common = json!({
            "seq": at + 1,
            "event_date": "2026-03-01",
            "event_time": "2026-03-01T09:00:00+08:00",
            "recorded_at": "2026-03-01T10:00:00Z",
        });
        common
            .as_object_mut()
            .unwrap()
            .append(&mut event.as_object().unwrap().clone());
        common
    });
    let events: Vec<Value> = events.collect();
    json!({"scenario": "small", "title": "", "time_zone": "Asia/Shanghai", "events": events})
}

#[test]
fn what_the_car_t_history_does_not_tell_converts_as_well() {
    let of_patient = |mut event: Value| {
        event["patient"] = json!("X1");
        event["site"] = json!("H01");
        event
    };
    let history = history_of(&[
        json!({"kind": "Product", "product_id": "A", "gtin": "09521123450011", "name": "an AAV",
               "vector_class": "AAV", "integrating": false, "ltfu_years": 5}),
        json!({"kind": "ConsentVersion", "family": "ICF", "version": "1", "change_class": "INITIAL",
               "site_effective": {"H01": "2026-03-01"}}),
        json!({"kind": "RegulatorCommunication", "authority": "NMPA", "subject": "a longer follow-up",
               "justification": "late signals", "plan": "P", "version": "2"}),
        json!({"kind": "PlanVersion", "plan_id": "P", "version": "2", "linked_consent": "1",
               "site_effective": {"H01": "2026-03-01"},
               "params": {"ltfu_months": 120, "visit_interval_months": 12, "visit_window_days": 30,
                          "majority_months": 228, "assent_months": 84, "requirement_days": 60}}),
        of_patient(json!({"kind": "PatientRegistered", "birth_date": "2018-02-28"})),
        of_patient(
            json!({"kind": "ConsentSigned", "family": "ICF", "version": "1", "signatory": "LAR"}),
        ),
        of_patient(
            json!({"kind": "ConsentSigned", "family": "ICF", "version": "1", "signatory": "ASSENT"}),
        ),
        of_patient(
            json!({"kind": "ConsentDeclined", "family": "ICF", "version": "1", "signatory": "LAR"}),
        ),
        of_patient(json!({"kind": "Visit", "mode": "ON_SITE"})),
        of_patient(
            json!({"kind": "Visit", "mode": "ON_SITE", "blocks": {"a": "DONE", "f": "NOT_DONE"}}),
        ),
        of_patient(json!({"kind": "Contact", "mode": "PHONE", "purpose": "RECONTACT"})),
        of_patient(json!({"kind": "LostToFollowUp", "last_contact": "2026-02"})),
        of_patient(json!({"kind": "Found"})),
        json!({"kind": "MonitoringDecision", "patient": "X1", "decision": "EXTEND",
               "justification": "persistence", "communication": 3}),
        json!({"kind": "Correction", "target_seq": 9, "reason": "wrong chart",
               "correction_kind": "ENTERED_ON_WRONG_PATIENT"}),
        // Words that no record has as they are.
        json!({"kind": "RegulatorCommunication", "authority": "NMPA (药审中心)", "subject": "延长随访"}),
        json!({"kind": "RiskSignal", "signal": "S", "source": "SPONSOR_REVIEW", "summary": "肿瘤",
               "requires_plan_update": true}),
        of_patient(json!({"kind": "RiskNotification", "channel": "SMS"})),
        of_patient(json!({"kind": "Visit", "mode": "VISIT"})),
        of_patient(json!({"kind": "Death", "cause": "心肌梗死"})),
        json!({"kind": "MonitoringDecision", "product": "A", "decision": "WAIVE", "justification": "none",
               "communication": true}),
    ]);

    let records = convert(&history).unwrap();
    for record in &records {
        let now = record.client_time.parse().unwrap();
        assert_eq!(record::check(record, now), [], "{record:?}");
    }

    let minor = records.iter().find_map(|record| match &record.kind {
        Some(Kind::PatientRegistered(patient)) => Some(patient),
        _ => None,
    });
    let minor = minor.unwrap();
    assert_eq!(
        (minor.majority_on.as_str(), minor.assent_on.as_str()),
        ("2037-02-28", "2025-02-28")
    );
}

#[test]
fn what_is_left_out_or_told_in_another_shape_converts_as_well() {
    let given = |dose: Value| json!({"kind": "Administration", "lot": "V1", "dose": dose});
    let told = [
        json!({"kind": "Visit"}),
        json!({"kind": "Visit", "blocks": {"a": "DONE", "e": {"status": "NOT_DONE", "reason": "refused"}}}),
        json!({"kind": "Contact"}),
        json!({"kind": "CoiVerification", "lot": "V1", "scanned_patient": "X1", "result": "MATCH"}),
        given(json!({"value": "2.50", "unit": "mL"})),
        given(json!({"value": "1e13", "unit": "{vg}"})),
        given(json!("2 mL")),
        given(json!("2.5")),
        given(json!(2.5)),
    ];
    let of_patient = told.into_iter().map(|mut event| {
        event["patient"] = json!("X1");
        event["site"] = json!("H01");
        event
    });
    let of_none = [
        json!({"kind": "Product", "product_id": "A", "gtin": "09521123450011", "name": "an AAV",
               "vector_class": "AAV"}),
        json!({"kind": "ConsentVersion", "family": "ICF", "version": "1",
               "change_class": "RECONSENT_REQUIRED"}),
        json!({"kind": "ConsentVersion", "family": "ICF", "version": "2",
               "change_class": "RECONSENT_REQUIRED", "scope": "all_treated"}),
    ];
    let events: Vec<Value> = of_none.into_iter().chain(of_patient).collect();
    for record in convert(&history_of(&events)).unwrap() {
        let now = record.client_time.parse().unwrap();
        assert_eq!(record::check(&record, now), [], "{record:?}");
        if let Some(Kind::ConsentDocumentVersion(version)) = &record.kind {
            assert!(version.scope.as_ref().unwrap().all_treated);
        }
    }
}

#[test]
fn a_history_with_a_word_that_nobody_knows_is_refused() {
    let visit = json!({"kind": "Visit", "patient": "X1", "site": "H01", "mode": "ON_SITE"});
    convert(&history_of(slice::from_ref(&visit))).unwrap();
    for (field, value) in [
        ("kind", json!("Visitation")),
        ("mode", json!("TELEPATHY")),
        ("mode", json!(1)),
        ("site", json!("H99")),
        ("blocks", json!({"g": "DONE"})),
        ("blocks", json!({"a": "MAYBE"})),
        ("weather", json!("fine")),
        ("event_date", json!("2026-02-30")),
        ("recorded_at", json!("yesterday")),
        ("seq", json!(-1)),
    ] {
        let mut wrong = visit.clone();
        wrong[field] = value;
        assert!(convert(&history_of(&[wrong.clone()])).is_err(), "{wrong}");
    }
}

#[test]
fn what_cannot_be_a_faithful_record_is_refused_at_its_field() {
    let history = history("car-t.json");
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut refused = Vec::new();
    for (number, item) in malformed::items(&history) {
        // That a record does not exist, only the ledger knows.
        if item["expect"] == "REFUSE" && item["target_seq"] != 999_999 {
            let said = malformed::said(&history, &[], number, item, now).unwrap();
            let violations = said.records.iter().flat_map(|one| record::check(one, now));
            refused.extend(violations.map(|violation| violation.field));
        }
    }
    assert_eq!(
        refused,
        [
            "lot_registered.gtin",
            "lot_registered.expiry",
            "lot_registered.lot",
            "material_collected.coi",
            "material_collected.coi",
            "material_collected.din.number",
            "event_time",
            "reason",
        ]
    );
}

#[tokio::test]
async fn a_history_is_played_at_its_own_times() {
    let history = history("car-t.json");
    let played = Box::pin(play::play(&history)).await.unwrap();
    let records = convert(&history).unwrap().len();
    let request = as_actor(pb::GetEntryRequest {
        key: Some(pb::get_entry_request::Key::Index(records as u64)),
    });
    let last = played.server.ledger().get_entry(request).await.unwrap();
    let entry = pb::Entry::decode(last.into_inner().entry.as_slice()).unwrap();
    let recorded = entry.recorded_at.unwrap();
    assert_eq!(recorded.to_string(), "2025-11-10T10:00:00Z");
}

/// Plays a history, asks it everything, and then tries what is malformed.
async fn judge(history: &Value) {
    let played = Box::pin(play::play(history)).await.unwrap();
    let mut found = compare::Differences::default();
    played.ask_all(&mut found).await.unwrap();
    played.try_malformed(&mut found).await.unwrap();
    assert!(found.is_empty(), "{}:\n{found}", history["scenario"]);
}

#[tokio::test]
async fn the_car_t_history_is_answered_as_expected() {
    Box::pin(judge(&history("car-t.json"))).await;
}

#[tokio::test]
async fn the_aav_history_is_answered_as_expected() {
    Box::pin(judge(&history("aav.json"))).await;
}

#[tokio::test]
async fn the_lentiviral_history_is_answered_as_expected() {
    Box::pin(judge(&history("lv.json"))).await;
}

#[tokio::test]
async fn the_history_of_an_amendment_is_answered_as_expected() {
    Box::pin(judge(&history("aav-amended.json"))).await;
}

#[tokio::test]
async fn the_stem_cell_history_is_answered_as_expected() {
    Box::pin(judge(&history("hsc.json"))).await;
}

#[tokio::test]
async fn the_history_of_an_edited_product_is_answered_as_expected() {
    Box::pin(judge(&history("edited.json"))).await;
}

/// The history that the variable names is played as ours are.
#[tokio::test]
async fn a_history_from_elsewhere_is_answered_as_expected() {
    if let Some(path) = env::var_os("GENETRAIL_HISTORY") {
        Box::pin(judge(
            &serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
        ))
        .await;
    }
}
