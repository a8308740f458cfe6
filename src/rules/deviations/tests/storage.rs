//! Places in a store: one sample at a time.

use serde_json::{Value, json};

use super::{Story, check, treated};
use crate::pb::record::Kind;

const CODE: &str = "POSITION_TAKEN";

fn position(place: &str) -> Value {
    json!({"facility": "BANK", "unit": "FREEZER-1", "rack": "R", "boxId": "B", "place": place})
}

fn event(sample: &str, event: &str) -> Value {
    json!({"sampleEvent": {"sampleId": sample, "event": format!("SAMPLE_EVENT_KIND_{event}")}})
}

fn put(sample: &str, place: &str) -> Value {
    let mut put = event(sample, "STORED");
    put["sampleEvent"]["position"] = position(place);
    put
}

fn relabelled(from: &str, to: &str) -> Value {
    let mut relabelled = event(from, "RELABELLED");
    relabelled["sampleEvent"]["newSampleId"] = json!(to);
    relabelled
}

fn moved(samples: &[&str], place: &str) -> Value {
    let items: Vec<Value> = samples.iter().map(|one| json!({"sampleId": one})).collect();
    json!({"storageMoved": {"items": items, "toPosition": position(place)}})
}

/// Two samples that were taken, one of which is at A1 since 6 January.
fn stored() -> Story {
    let mut story = treated();
    for sample in ["S", "T"] {
        let taken = json!({"sampleCollected": {"sampleId": sample, "purposes": [1]}});
        story.tell("2026-01-05", "X", taken);
    }
    story.tell("2026-01-06", "", put("S", "A1"));
    story
}

#[test]
fn a_place_holds_one_sample() {
    let taken = || ("2026-01-07", put("T", "A1"));
    let with = |field: &str, value: &str| {
        let mut other = put("T", "A1");
        if field == "site" {
            other["site"] = json!(value);
        } else {
            other["sampleEvent"]["position"][field] = json!(value);
        }
        ("2026-01-07", other)
    };
    for (field, value) in [
        ("place", "A2"),
        ("boxId", "C"),
        ("rack", "Q"),
        ("unit", "FREEZER-2"),
        ("facility", "ROOM"),
        ("site", "9521123001022"),
        // What is known to the box only may be anywhere in it.
        ("place", ""),
    ] {
        check(&stored, CODE, taken(), with(field, value));
    }
    check(&stored, CODE, taken(), ("2026-01-07", put("S", "A1")));
    check(&stored, CODE, taken(), ("2026-01-05", put("T", "A1")));
    let on = |day: &'static str, samples: &[&str], place: &str| (day, moved(samples, place));
    check(
        &stored,
        CODE,
        on("2026-01-07", &["S", "T"], "A1"),
        on("2026-01-07", &["S"], "A1"),
    );
    check(
        &stored,
        CODE,
        on("2026-01-07", &["T"], "A1"),
        on("2026-01-07", &["T"], "A2"),
    );
    check(
        &treated,
        CODE,
        on("2026-01-07", &["S", "T"], "A1"),
        on("2026-01-07", &["S", "T"], ""),
    );
}

#[test]
fn a_place_is_free_when_the_sample_has_left_it() {
    let items = || json!([{"sampleId": "S"}]);
    let after = |between: &Value, at: &str| {
        let mut story = stored();
        story.tell("2026-01-08", "", between.clone());
        let index = story.tell(at, "", put("T", "A1"));
        story.codes(index).contains(CODE)
    };
    for leaves in [
        put("S", "A2"),
        moved(&["S"], "A2"),
        event("S", "MOVED"),
        event("S", "STORED"),
        event("S", "RECEIVED"),
        event("S", "THAWED"),
        event("S", "SHIPPED"),
        event("S", "CONSUMED"),
        event("S", "DESTROYED"),
        json!({"shipment": {"items": items()}}),
        json!({"shipmentReceived": {"items": items()}}),
        json!({"custodyTransfer": {"items": items()}}),
        json!({"productReturned": {"items": items()}}),
        json!({"productDestroyed": {"items": items()}}),
    ] {
        assert!(after(&leaves, "2026-01-07"), "not yet: {leaves}");
        assert!(!after(&leaves, "2026-01-08"), "of one day: {leaves}");
        assert!(!after(&leaves, "2026-01-09"), "{leaves}");
    }
    let mut destroyed = event("S", "DESTROYED");
    destroyed["sampleEvent"]["position"] = position("A1");
    assert!(!after(&destroyed, "2026-01-09"), "where it was");
    for stays in [
        event("S", "REJECTED"),
        event("S", "QUARANTINED"),
        event("S", "PROCESSED"),
        event("S", "ALIQUOTED"),
        event("T", "MOVED"),
        put("S", "A1"),
    ] {
        assert!(after(&stays, "2026-01-09"), "{stays}");
    }
}

#[test]
fn a_sample_is_where_it_was_under_its_old_label() {
    let story = || {
        let mut story = stored();
        story.tell("2026-01-07", "", relabelled("S", "N"));
        story
    };
    check(
        &story,
        CODE,
        ("2026-01-08", put("T", "A1")),
        ("2026-01-08", put("N", "A1")),
    );
    let moved_on = || {
        let mut story = story();
        story.tell("2026-01-08", "", put("N", "A2"));
        story
    };
    check(
        &moved_on,
        CODE,
        ("2026-01-09", put("T", "A2")),
        ("2026-01-09", put("T", "A1")),
    );
}

#[test]
fn a_sample_whose_labels_go_round_in_a_circle_is_one_sample() {
    let mut story = stored();
    story.tell("2026-01-07", "", relabelled("S", "N"));
    story.tell("2026-01-08", "", relabelled("N", "S"));
    story.tell("2026-01-09", "", put("N", "A1"));
    let raised = story.raised("2026-02-01");
    assert!(raised.iter().all(|one| one.rule.code != CODE), "{raised:?}");
}

#[test]
fn a_taken_place_is_told_of_until_it_is_known_to_have_been_free() {
    let mut story = stored();
    let index = story.tell("2026-01-09", "", put("T", "A1"));
    let raised = story.raised("2026-02-01");
    let of_code: Vec<_> = raised.iter().filter(|one| one.rule.code == CODE).collect();
    let [taken] = of_code.as_slice() else {
        panic!("{of_code:?}")
    };
    assert_eq!(taken.raised_by.index, index);
    assert_eq!(taken.field, "sample_event.position");
    assert_eq!(taken.about.sample, "T");
    let evidence: Vec<_> = taken
        .evidence
        .iter()
        .map(|one| one.record.kind.as_ref())
        .collect();
    assert!(matches!(evidence[..], [Some(Kind::SampleEvent(by))] if by.sample_id == "S"));
    // Later it is too late: they were there together.
    story.tell("2026-01-10", "", event("S", "MOVED"));
    assert!(story.codes(index).contains(CODE));
    story.tell("2026-01-08", "", event("S", "MOVED"));
    assert!(!story.codes(index).contains(CODE));
    let mut story = stored();
    let index = story.tell("2026-01-09", "", put("T", "A1"));
    let id = story.last_id_of(|kind| matches!(kind, Kind::SampleEvent(_)));
    let corrected = json!({"correction": {"target": id, "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
        "changes": [{"path": "sample_event.position.place", "new": "A2"}]}});
    story.tell("2026-01-10", "", corrected);
    assert!(!story.codes(index).contains(CODE));
    let index = story.tell("2026-01-11", "", put("S", "A2"));
    assert!(story.codes(index).contains(CODE), "as corrected");
}

#[test]
fn the_field_that_puts_a_sample_where_another_is_says_so() {
    for (kind, field) in [
        (put("T", "A1"), "sample_event.position"),
        (moved(&["T"], "A1"), "storage_moved.to_position"),
    ] {
        let mut story = stored();
        let index = story.tell("2026-01-09", "", kind);
        assert_eq!(story.field_of(index, CODE).as_deref(), Some(field));
    }
}

#[test]
fn a_sample_is_followed_through_every_label_that_it_bore() {
    // It left the place under another label, and got its first one back.
    let mut story = stored();
    story.tell("2026-01-07", "", relabelled("S", "N"));
    story.tell("2026-01-08", "", put("N", "A2"));
    story.tell("2026-01-09", "", relabelled("N", "S"));
    for (place, taken) in [("A1", false), ("A2", true)] {
        let index = story.tell("2026-01-10", "", put("T", place));
        assert_eq!(story.codes(index).contains(CODE), taken, "{place}");
    }
}

#[test]
fn where_a_sample_is_divided_is_not_where_its_parts_are() {
    let mut story = stored();
    let mut divided = event("S", "ALIQUOTED");
    divided["sampleEvent"]["position"] = position("A1");
    divided["sampleEvent"]["aliquots"] = json!([{"sampleId": "PART"}]);
    story.tell("2026-01-07", "", divided);
    story.tell("2026-01-08", "", event("S", "SHIPPED"));
    story.tell("2026-01-09", "", put("PART", "A1"));
    let raised = story.raised("2026-02-01");
    assert!(raised.iter().all(|one| one.rule.code != CODE), "{raised:?}");
}
