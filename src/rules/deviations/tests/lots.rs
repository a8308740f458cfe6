//! Lots: trace codes, doses, and hand-overs that the other side signs.

use serde_json::{Value, json};

use super::{DAY, Story, check, falls_due, given, key, planned, treated};

const MARKETED: &str = "09521123450042";

fn product(day: &str, version: u32, phase: &str, authority: &str) -> impl Fn(&mut Story) {
    let product = json!({"productRegistered": {"productId": "MARKETED", "version": version, "gtins": [MARKETED],
        "phase": format!("PRODUCT_PHASE_{phase}"), "authorisations": [{"authority": authority}]}});
    let day = day.to_owned();
    move |story| {
        story.tell(&day, "", product.clone());
    }
}

fn lot(role: &str, codes: &[&str]) -> Value {
    json!({"lotRegistered": {"gtin": MARKETED, "lot": "T", "role": format!("LOT_ROLE_{role}"),
        "nmpaTraceCodes": codes}})
}

#[test]
fn a_lot_on_the_market_in_china_has_a_trace_code() {
    let code = "TRACE_CODES_MISSING";
    let with = |product: &dyn Fn(&mut Story)| {
        let mut story = treated();
        product(&mut story);
        story
    };
    let marketed = || with(&product("2026-01-05", 1, "POST_MARKETING", "NMPA"));
    let coded = || lot("DRUG_PRODUCT", &["81234567890123456789"]);
    let bare = || lot("DRUG_PRODUCT", &[]);
    check(&marketed, code, (DAY, bare()), (DAY, coded()));
    check(&marketed, code, (DAY, bare()), (DAY, lot("VECTOR", &[])));
    for (phase, authority) in [("NDA", "NMPA"), ("POST_MARKETING", "EMA")] {
        let mut story = with(&product("2026-01-05", 1, phase, authority));
        let index = story.tell(DAY, "", bare());
        assert!(!story.codes(index).contains(code), "{phase} {authority}");
    }
    // What was made for a trial is not for the market, whatever the product has become.
    let brought_to_market = || {
        let mut story = with(&product("2026-01-05", 1, "PHASE3", "NMPA"));
        product("2026-02-01", 2, "POST_MARKETING", "NMPA")(&mut story);
        story
    };
    check(
        &brought_to_market,
        code,
        ("2026-02-01", bare()),
        ("2026-01-31", bare()),
    );
    check(
        &marketed,
        code,
        ("2026-01-04", bare()),
        ("2026-01-04", coded()),
    );
}

#[test]
fn a_dose_is_as_planned_within_what_the_plan_allows() {
    let story = || planned(&json!({"doseDifferenceMaxPercent": "10", "minutesOutMax": 30}));
    let dose = |actual: &str, unit: &str| {
        let mut given = given("X", "L");
        given["administration"]["dosePlanned"] = json!({"value": "100", "unit": "10*6"});
        given["administration"]["doseActual"] = json!({"value": actual, "unit": unit});
        (DAY, given)
    };
    let code = "DOSE_DIFFERS";
    check(&story, code, dose("110.1", "10*6"), dose("110", "10*6"));
    check(&story, code, dose("89.9", "10*6"), dose("90", "10*6"));
    check(&story, code, dose("200", "10*6"), dose("200", "mL"));
    let out = |minutes: u32| {
        let mut given = given("X", "L");
        given["administration"]["minutesOut"] = json!(minutes);
        (DAY, given)
    };
    check(&story, "OUT_OF_STORAGE_TOO_LONG", out(31), out(30));
    for code in ["DOSE_DIFFERS", "OUT_OF_STORAGE_TOO_LONG"] {
        let mut story = treated();
        let (at, mut both) = dose("200", "10*6");
        both["administration"]["minutesOut"] = json!(999);
        let index = story.tell(at, "", both);
        assert!(!story.codes(index).contains(code), "no plan says {code}");
    }
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
    let signed = |target: &str, by: &str| {
        let (mut story, index) = handed_over();
        story.tell(
            "2026-01-11",
            "",
            json!({"actorPerson": by, "actorRole": "ACTOR_ROLE_LAB",
            "countersigned": {"target": target, "capacity": "CAPACITY_RECEIVER"}}),
        );
        story.codes(index).contains(code)
    };
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

#[test]
fn lots_that_a_recall_a_signal_or_a_report_names_are_known() {
    let code = "UNKNOWN_LOT";
    let recalled = |lot: &str| {
        (
            DAY,
            json!({"recallOpened": {"recallId": "R", "roots": [key("L"), key(lot)]}}),
        )
    };
    check(&treated, code, recalled("NONE"), recalled("L"));
    let signalled = |lot: &str| {
        (
            DAY,
            json!({"riskSignal": {"signalId": "S", "lots": [key(lot)]}}),
        )
    };
    check(&treated, code, signalled("NONE"), signalled("L"));
    let suspected = |lot: &str| {
        (
            DAY,
            json!({"patient": "X", "adverseEvent": {"caseId": "C", "suspectLots": [key(lot)]}}),
        )
    };
    check(&treated, code, suspected("NONE"), suspected("L"));
    let mut story = treated();
    let (at, kind) = recalled("NONE");
    let index = story.tell(at, "", kind);
    let raised = story.raised("2026-02-01");
    let raised = raised
        .iter()
        .find(|one| one.raised_by.index == index && one.rule.code == code);
    assert_eq!(raised.unwrap().field, "recall_opened.roots[1]");
    assert_eq!(raised.unwrap().about.lot.as_ref().unwrap().lot, "NONE");
}
