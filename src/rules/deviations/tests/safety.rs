//! Adverse events: when they began, and whether they were assessed and coded in time.

use serde_json::{Value, json};

use super::{DAY, Story, check, extended, falls_due, given, planned, treated};
use crate::tlog::Index;

fn event(more: &Value) -> Value {
    let event = json!({"caseId": "C", "subjectKind": "SUBJECT_KIND_PATIENT"});
    json!({"patient": "X", "adverseEvent": extended(event, more)})
}

fn told(more: &Value) -> (Story, Index) {
    let mut story = planned(&json!({"assessmentDays": 15, "codingDays": 10}));
    let index = story.tell("2026-02-01", "", event(more));
    (story, index)
}

const SERIOUS: &str = "SERIOUS_CRITERION_HOSPITALISATION";

#[test]
fn a_serious_event_is_assessed_in_the_days_of_the_plan() {
    let code = "ASSESSMENT_MISSING";
    let serious = json!({"serious": [SERIOUS]});
    let (story, index) = told(&serious);
    falls_due(&story, index, code, ("2026-02-16", "2026-02-17"));
    let known_later = json!({"serious": [SERIOUS], "awareAt": "2026-02-03T17:00:00Z"});
    let (story, index) = told(&known_later);
    falls_due(&story, index, code, ("2026-02-19", "2026-02-20"));
    let (story, index) = told(&json!({}));
    assert!(!story.codes(index).contains(code), "it is not serious");
    for (day, case, late) in [
        ("2026-02-16", "C", false),
        ("2026-02-17", "C", true),
        ("2026-02-16", "D", true),
    ] {
        let (mut story, index) = told(&serious);
        story.tell(day, "X", json!({"causalityAssessment": {"caseId": case}}));
        assert_eq!(story.codes(index).contains(code), late, "{day} {case}");
    }
}

#[test]
fn an_event_is_recorded_soon_after_it_became_known() {
    let code = "EVENT_REPORTED_LATE";
    for (days, aware, recorded, late) in [
        (None, "2026-02-01", "2026-02-08", false),
        (None, "2026-02-01", "2026-02-09", true),
        (None, "", "2026-01-17", false),
        (None, "", "2026-01-18", true),
        // In Shanghai it was the 2nd by then, and it is the 9th.
        (None, "2026-02-01T17:00:00Z", "2026-02-09", false),
        (Some(3), "2026-02-01", "2026-02-04", false),
        (Some(3), "2026-02-01", "2026-02-05", true),
    ] {
        let mut story =
            days.map_or_else(treated, |days| planned(&json!({"lateRecordingDays": days})));
        let recorded_at = format!("{recorded}T10:00:00Z");
        let told = event(&json!({"awareAt": aware}));
        let index = story.tell_late("2026-01-10", &recorded_at, "X", told);
        assert_eq!(
            story.codes(index).contains(code),
            late,
            "{days:?} {aware} {recorded}"
        );
    }
}

#[test]
fn an_event_is_coded_in_the_days_of_the_plan() {
    let code = "EVENT_UNCODED";
    let (mut story, index) = told(&json!({"term": {"verbatim": "fever"}}));
    falls_due(&story, index, code, ("2026-02-11", "2026-02-12"));
    story.tell(
        "2026-02-10",
        "",
        event(&json!({"followUpNumber": 1, "term": {"ptCode": "1"}})),
    );
    assert!(
        !story.codes(index).contains(code),
        "a later report codes it"
    );
    let (mut story, index) = told(&json!({"term": {"verbatim": "fever"}}));
    let coded = json!({"followUpNumber": 1, "term": {"ptCode": "1"}});
    story.tell("2026-03-01", "", event(&coded));
    falls_due(&story, index, code, ("2026-02-11", "2026-02-12"));
    assert!(!story.codes(index).contains(code), "done, though late");
    for coded in ["lltCode", "ptCode"] {
        let (story, index) = told(&json!({"term": {coded: "1"}}));
        assert!(!story.codes(index).contains(code), "{coded}");
    }
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
