//! Follow-up: enrolments, visits in their windows and with their content, and attempts to find a patient.

use serde_json::{Value, json};

use super::{DAY, SITE, Story, check, given, planned, treated};

/// A patient treated on 2026-01-10, and a plan with a visit at the site a month later, give or take a week.
fn followed() -> Story {
    let mut story = treated();
    story.tell("2026-01-02", "", json!({"followUpPlanVersion": {"planId": "LTFU-CAR19", "version": "3", "ordinal": 3,
        "parameters": {"visitWindowDays": 7}, "slots": [{"slot": "M1", "kind": "SLOT_KIND_VISIT", "months": 1,
        "mode": "VISIT_MODE_ON_SITE"}]}}));
    story.tell(
        "2026-01-02",
        "",
        json!({"planActivated": {"plan": {"planId": "LTFU-CAR19", "version": "3"},
        "site": SITE, "effectiveFrom": "2026-01-03"}}),
    );
    story.tell(DAY, "", given("X", "L"));
    story
}

fn visit(slot: &str, mode: &str, blocks: &[&str]) -> Value {
    let done = |block: &&str| json!({"block": format!("VISIT_BLOCK_KIND_{block}"), "status": "BLOCK_STATUS_DONE"});
    let blocks: Vec<Value> = blocks.iter().map(done).collect();
    json!({"patient": "X", "followUpVisit": {"slot": slot, "reached": true,
        "mode": format!("VISIT_MODE_{mode}"), "blocks": blocks}})
}

#[test]
fn a_visit_is_held_in_its_window() {
    let code = "VISIT_OUT_OF_WINDOW";
    let held = |day: &'static str| (day, visit("M1", "ON_SITE", &[]));
    check(&followed, code, held("2026-02-02"), held("2026-02-03"));
    check(&followed, code, held("2026-02-18"), held("2026-02-17"));
    for (day, days) in [("2026-02-02", 1), ("2026-02-20", 3)] {
        let mut story = followed();
        let (at, kind) = held(day);
        story.tell(at, "", kind);
        let raised = story.raised("2026-03-01");
        let raised = raised.iter().find(|one| one.rule.code == code).unwrap();
        assert_eq!(raised.details.days, Some(days), "{day}");
        assert_eq!(raised.details.due.unwrap().to_string(), "2026-02-10");
    }
}

const BLOCKS: [&str; 6] = [
    "HISTORY",
    "DRUGS",
    "ADVERSE_EVENTS",
    "DISEASES",
    "EXAMINATION",
    "PREGNANCY",
];

#[test]
fn a_visit_of_the_first_five_years_has_its_content() {
    let code = "INCOMPLETE_VISIT";
    let on = |day: &'static str, blocks: &[&str]| (day, visit("M1", "ON_SITE", blocks));
    for lacking in BLOCKS {
        let rest: Vec<&str> = BLOCKS
            .into_iter()
            .filter(|block| *block != lacking)
            .collect();
        check(
            &followed,
            code,
            on("2026-02-10", &rest),
            on("2026-02-10", &BLOCKS),
        );
    }
    let visited = || {
        let mut story = followed();
        let (at, kind) = on("2026-02-10", &BLOCKS);
        story.tell(at, "", kind);
        story
    };
    let bare = |day: &'static str| (day, visit("", "ON_SITE", &[]));
    check(&visited, code, bare("2031-01-10"), bare("2031-01-11"));
}

#[test]
fn a_visit_that_is_planned_at_the_site_is_not_a_call() {
    let code = "PHONE_INSTEAD_OF_VISIT";
    let by = |mode: &str| ("2026-02-10", visit("M1", mode, &[]));
    for mode in ["PHONE", "QUESTIONNAIRE", "VIDEO"] {
        for good in ["ON_SITE", "HOME", "EXTERNAL_HCP"] {
            check(&followed, code, by(mode), by(good));
        }
    }
    let unplanned = || ("2026-02-10", visit("", "PHONE", &[]));
    let mut story = treated();
    story.tell(DAY, "", given("X", "L"));
    let (at, kind) = unplanned();
    let index = story.tell(at, "", kind);
    assert!(!story.codes(index).contains(code), "no plan has a visit");
}

#[test]
fn a_patient_is_looked_for_as_often_as_the_plan_says() {
    let code = "FEW_ATTEMPTS";
    let story = || planned(&json!({"contactAttemptsMin": 3}));
    let state = |state: &str, attempts: usize| {
        let attempts: Vec<Value> = vec![json!({}); attempts];
        (
            DAY,
            json!({"patient": "X", "patientStatus": {"state": format!("PATIENT_STATE_{state}"),
            "attempts": attempts}}),
        )
    };
    check(
        &story,
        code,
        state("LOST_TO_FOLLOW_UP", 2),
        state("LOST_TO_FOLLOW_UP", 3),
    );
    check(
        &story,
        code,
        state("LOST_TO_FOLLOW_UP", 0),
        state("ACTIVE", 0),
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
fn a_visit_may_be_a_call_where_the_plan_has_a_call() {
    let code = "PHONE_INSTEAD_OF_VISIT";
    let story = || {
        let mut story = treated();
        let slot = |slot: &str, months: u32, mode: &str| json!({"slot": slot, "kind": "SLOT_KIND_VISIT", "months": months, "mode": format!("VISIT_MODE_{mode}")});
        let slots = json!([slot("M1", 1, "PHONE"), slot("M2", 2, "ON_SITE")]);
        let plan = json!({"planId": "LTFU-CAR19", "version": "3", "ordinal": 3, "slots": slots});
        story.tell("2026-01-02", "", json!({"followUpPlanVersion": plan}));
        let plan = json!({"planId": "LTFU-CAR19", "version": "3"});
        let activated = json!({"plan": plan, "site": SITE, "effectiveFrom": "2026-01-03"});
        story.tell("2026-01-02", "", json!({"planActivated": activated}));
        story.tell(DAY, "", given("X", "L"));
        story
    };
    let called = |day: &'static str, slot: &str| (day, visit(slot, "PHONE", &[]));
    check(
        &story,
        code,
        called("2026-03-10", "M2"),
        called("2026-02-10", "M1"),
    );
}
