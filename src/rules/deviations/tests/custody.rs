//! Where a lot goes: what is sent, what arrives, and who signs for it.

use serde_json::json;

use super::{DAY, SITE, Story, check, falls_due, key, lot, planned, treated};
use crate::tlog::Index;

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
fn the_other_side_signs_for_a_hand_over_in_the_hours_of_the_plan() {
    let code = "COUNTERSIGNATURE_MISSING";
    let transfer = || {
        json!({"recordId": "cccccccc-cccc-4ccc-8ccc-cccccccccccc", "custodyTransfer": {
            "items": [{"lot": key("L")}], "handedBy": "s01-1", "receivedBy": "lab-1"}})
    };
    let handed_over = || {
        let mut story = planned(&json!({"countersignatureHours": 24}));
        let index = story.tell(DAY, "", transfer());
        (story, index)
    };
    let (story, index) = handed_over();
    falls_due(&story, index, code, ("2026-01-11", "2026-01-12"));
    let signed_on = |day: &str, target: &str, by: &str| {
        let (mut story, index) = handed_over();
        story.tell(
            day,
            "",
            json!({"actorPerson": by, "actorRole": "ACTOR_ROLE_LAB",
            "countersigned": {"target": target, "capacity": "CAPACITY_RECEIVER"}}),
        );
        (
            story.codes_on(index, "2026-01-12").contains(code),
            story.codes(index).contains(code),
        )
    };
    let signed = |target: &str, by: &str| signed_on("2026-01-11", target, by).1;
    let late = signed_on(
        "2026-02-01",
        "cccccccc-cccc-4ccc-8ccc-cccccccccccc",
        "lab-1",
    );
    assert_eq!(late, (true, false), "done, though late");
    assert!(!signed("cccccccc-cccc-4ccc-8ccc-cccccccccccc", "lab-1"));
    assert!(
        signed("dddddddd-dddd-4ddd-8ddd-dddddddddddd", "lab-1"),
        "another hand-over"
    );
    assert!(
        signed("cccccccc-cccc-4ccc-8ccc-cccccccccccc", "s01-1"),
        "not who recorded it, too"
    );
    let mut unhurried = treated();
    let index = unhurried.tell(DAY, "", transfer());
    assert!(
        !unhurried.codes(index).contains(code),
        "no plan says in which hours"
    );
}

const SSCC: &str = "095211230000007017";

/// The kinds that say where items go, and the fields of the items.
const GOING: [(&str, &str); 7] = [
    ("shipment", "shipment.items"),
    ("shipmentReceived", "shipment_received.items"),
    ("custodyTransfer", "custody_transfer.items"),
    ("storageMoved", "storage_moved.items"),
    ("excursion", "excursion.items"),
    ("productReturned", "product_returned.items"),
    ("productDestroyed", "product_destroyed.items"),
];

#[test]
fn what_goes_somewhere_is_known() {
    for (kind, field) in GOING {
        let lots = |lot: &str| (DAY, json!({kind: {"items": [{"lot": key(lot)}]}}));
        check(&treated, "UNKNOWN_LOT", lots("NONE"), lots("L"));
        let taken = || {
            let mut story = treated();
            story.tell(
                "2026-01-05",
                "X",
                json!({"sampleCollected": {"sampleId": "S"}}),
            );
            story
        };
        let samples = |sample: &str| (DAY, json!({kind: {"items": [{"sampleId": sample}]}}));
        check(&taken, "UNKNOWN_SAMPLE", samples("NONE"), samples("S"));
        for (code, (at, told)) in [
            ("UNKNOWN_LOT", lots("NONE")),
            ("UNKNOWN_SAMPLE", samples("NONE")),
        ] {
            let mut story = treated();
            let index = story.tell(at, "", told);
            assert_eq!(story.field_of(index, code).as_deref(), Some(field));
        }
    }
}

/// What was corrected to another lot, or travelled in the same consignment, is not of this lot's history.
#[test]
fn the_history_of_a_lot_is_of_that_lot() {
    for (kind, field) in GOING {
        for corrected in [false, true] {
            let mut story = treated();
            let told = json!({kind: {"items": [{"lot": key("NONE")}]}});
            story.tell("2026-01-05", "", told);
            if corrected {
                let target = story.book.facts().last().unwrap().record.record_id.clone();
                let path = format!("{field}[0].lot.lot");
                let correction = json!({"target": target, "changes": [{"path": path, "new": "L"}],
                    "correctionKind": "CORRECTION_KIND_INCORRECT_DATA"});
                story.tell("2026-01-06", "", json!({"correction": correction}));
            }
            let raised = story.raised_of_lot("NONE");
            let mut codes = raised.iter().map(|(_, code)| *code);
            assert_eq!(
                codes.any(|code| code == "UNKNOWN_LOT"),
                !corrected,
                "{kind}"
            );
        }
    }
    for kind in ["shipment", "shipmentReceived", "productReturned"] {
        let mut story = treated();
        let of = |lot: &str| json!({"sscc": SSCC, "items": [{"lot": key(lot)}]});
        story.tell("2026-01-05", "", json!({"shipment": of("L")}));
        story.tell("2026-01-06", "", json!({"shipmentReceived": of("L")}));
        let before = story.raised_of_lot("L");
        let index = story.tell("2026-01-06", "", json!({kind: of("NONE")}));
        assert!(story.codes(index).contains("UNKNOWN_LOT"));
        assert_eq!(story.raised_of_lot("L"), before, "{kind}");
    }
}

/// What left in several parts is one consignment: each lot is held to the part that it was in.
#[test]
fn what_arrives_is_held_to_the_record_that_it_was_sent_by() {
    let of = |lot: &str, amount: &str| {
        json!({"sscc": SSCC, "toGln": SITE, "items": [{"lot": key(lot),
            "quantity": {"value": amount, "unit": "mL"}}]})
    };
    let code = "QUANTITY_MISMATCH";
    for (amount, differs) in [("2", false), ("3", true)] {
        for first in ["L", "M"] {
            let mut story = treated();
            story.tell("2026-01-04", "", lot("M", &json!({})));
            for lot in ["L", "M", "L"]
                .into_iter()
                .skip_while(|lot| *lot != first)
                .take(2)
            {
                story.tell("2026-01-05", "", json!({"shipment": of(lot, "2")}));
            }
            let index = story.tell(DAY, "", json!({"shipmentReceived": of("L", amount)}));
            assert_eq!(
                story.codes(index).contains(code),
                differs,
                "{amount} {first}"
            );
        }
    }
}

/// A consignment has one number: what left in it has arrived with it, and is missing if it is not in it.
#[test]
fn a_consignment_arrives_with_everything_that_left_in_it() {
    let mut story = treated();
    story.tell("2026-01-04", "", lot("M", &json!({})));
    let of = |lot: &str| json!({"sscc": SSCC, "toGln": SITE, "items": [{"lot": key(lot)}]});
    let sent = story.tell("2026-01-05", "", json!({"shipment": of("L")}));
    assert!(story.codes(sent).contains("SHIPMENT_WITHOUT_RECEIPT"));
    let arrived = story.tell("2026-01-06", "", json!({"shipmentReceived": of("M")}));
    assert!(!story.codes(sent).contains("SHIPMENT_WITHOUT_RECEIPT"));
    let codes = story.codes(arrived);
    assert!(codes.contains("QUANTITY_MISMATCH"), "{codes:?}");
    assert!(!codes.contains("RECEIPT_WITHOUT_SHIPMENT"), "{codes:?}");
}

#[test]
fn as_many_units_arrive_as_were_sent() {
    let of = |units: &[&str]| json!({"sscc": SSCC, "toGln": SITE, "items": [{"lot": key("L"), "serials": units}]});
    let story = || {
        let mut story = treated();
        story.tell("2026-01-05", "", json!({"shipment": of(&["1", "2"])}));
        story
    };
    let arrived = |units: &[&str]| (DAY, json!({"shipmentReceived": of(units)}));
    let code = "QUANTITY_MISMATCH";
    check(&story, code, arrived(&["1"]), arrived(&["1", "2"]));
    // Where the units are not named, nothing is known of them.
    check(&story, code, arrived(&["1", "2", "3"]), arrived(&[]));
}

#[test]
fn what_a_logger_read_is_held_to_the_range_of_the_lot() {
    let code = "TEMPERATURE_OUT_OF_RANGE";
    let cel = |value: &str| json!({"value": value, "unit": "Cel"});
    for kind in ["shipment", "shipmentReceived"] {
        let read = |min: &str, max: &str| {
            let logger = json!({"min": cel(min), "max": cel(max)});
            (
                DAY,
                json!({kind: {"items": [{"lot": key("L")}], "logger": logger}}),
            )
        };
        let within = || read("-196", "-130");
        check(&treated, code, read("-196.1", "-130"), within());
        check(&treated, code, read("-196", "-129.9"), within());
    }
}

#[test]
fn a_product_that_is_not_frozen_may_arrive_without_a_logger() {
    let kept = |max: &'static str| {
        move || {
            let mut story = treated();
            let cel = |value: &str| json!({"value": value, "unit": "Cel"});
            let range = json!({"min": cel("-20"), "max": cel(max)});
            story.tell("2026-01-04", "", lot("M", &json!({"storageRange": range})));
            story
        }
    };
    let arrived = json!({"shipmentReceived": {"items": [{"lot": key("M")}]}});
    for (max, missing) in [("-0.1", true), ("0", false), ("8", false)] {
        let mut story = kept(max)();
        let index = story.tell(DAY, "", arrived.clone());
        assert_eq!(
            story.codes(index).contains("LOGGER_MISSING"),
            missing,
            "{max}"
        );
    }
}
