//! Where a lot goes: what is sent, what arrives, and who signs for it.

use serde_json::json;

use super::{DAY, SITE, Story, check, falls_due, key, planned, treated};
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
