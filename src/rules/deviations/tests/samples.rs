//! Samples and results: of what they are, whether they came in time, and whether the findings say what the numbers do.

use serde_json::{Value, json};

use super::{DAY, Story, check, extended, falls_due, given, planned, treated};

fn sampled(parameters: &Value) -> Story {
    let mut story = planned(parameters);
    story.tell(
        "2026-01-05",
        "X",
        json!({"sampleCollected": {"sampleId": "S", "purposes": [1]}}),
    );
    story
}

fn result(more: &Value) -> Value {
    let result = json!({"sampleId": "S"});
    json!({"assayResult": extended(result, more)})
}

#[test]
fn a_result_is_issued_in_the_days_of_the_plan() {
    let story = || sampled(&json!({"turnaroundDays": 14}));
    let on = |day: &'static str| (day, result(&json!({})));
    check(&story, "LATE_RESULT", on("2026-01-20"), on("2026-01-19"));
}

#[test]
fn the_findings_say_that_a_clone_is_dominant() {
    let code = "DOMINANT_CLONE_UNSAID";
    let story = || sampled(&json!({"dominantClonePercent": "20"}));
    let of = |largest: &str, findings: &[&str]| {
        let findings: Vec<String> = findings
            .iter()
            .map(|one| format!("FINDING_{one}"))
            .collect();
        let clones =
            json!([{"rank": 2, "abundancePercent": "3"}, {"rank": 1, "abundancePercent": largest}]);
        (
            "2026-01-20",
            result(&json!({"clones": clones, "findings": findings})),
        )
    };
    check(&story, code, of("20.1", &[]), of("20", &[]));
    for said in ["DOMINANT_CLONE", "MONOCLONAL", "INVALID"] {
        check(
            &story,
            code,
            of("20.1", &["WITHIN_EXPECTED"]),
            of("20.1", &[said]),
        );
    }
}

#[test]
fn the_findings_say_that_more_was_found_than_expected() {
    let code = "RESULT_ABOVE_EXPECTED_UNSAID";
    let by_plan = || sampled(&json!({"expectedMaxPercent": "5"}));
    let of = |more: Value| ("2026-01-20", result(&more));
    let found = |percent: &str| of(json!({"positiveFractionPercent": percent}));
    check(&by_plan, code, found("5.1"), found("5"));
    for said in ["ABOVE_EXPECTED", "INVALID"] {
        let said =
            json!({"positiveFractionPercent": "5.1", "findings": [format!("FINDING_{said}")]});
        check(&by_plan, code, found("5.1"), of(said));
    }
    let expecting = json!({"positiveFractionPercent": "5.1", "expectedMaxPercent": "9"});
    check(&by_plan, code, found("5.1"), of(expecting));
    // What the plan and the method expect, the less of the two.
    let by_both = || {
        let mut story = by_plan();
        story.tell(
            "2026-01-06",
            "",
            json!({"assayMethodVersion": {"methodId": "LOW", "version": "1",
            "expectedMaxPercent": "2"}}),
        );
        story
    };
    let by_method = |percent: &str, method: &str| {
        of(json!({"positiveFractionPercent": percent, "method": {"methodId": method}}))
    };
    check(
        &by_both,
        code,
        by_method("2.1", "LOW"),
        by_method("2", "LOW"),
    );
    check(
        &by_both,
        code,
        by_method("2.1", "LOW"),
        by_method("2.1", "OTHER"),
    );
}

#[test]
fn samples_are_destroyed_in_the_days_of_the_plan() {
    let code = "SAMPLES_NOT_DESTROYED";
    let withdrawn = |instruction: &str| {
        let mut story = sampled(&json!({"sampleDestructionDays": 30}));
        let index = story.tell(
            "2026-02-01",
            "X",
            json!({"consentWithdrawn": {
            "scopes": ["WITHDRAWAL_SCOPE_SAMPLE_STORAGE"],
            "sampleInstruction": format!("SAMPLE_INSTRUCTION_{instruction}")}}),
        );
        (story, index)
    };
    let event = |event: &str, sample: &str| json!({"sampleEvent": {"sampleId": sample, "event": format!("SAMPLE_EVENT_KIND_{event}")}});
    let (mut story, index) = withdrawn("DESTROY");
    falls_due(&story, index, code, ("2026-03-03", "2026-03-04"));
    story.tell(
        "2026-02-02",
        "X",
        json!({"sampleCollected": {"sampleId": "LATER", "purposes": [1]}}),
    );
    story.tell("2026-03-03", "", event("STORED", "S"));
    assert!(story.codes(index).contains(code));
    story.tell("2026-03-03", "", event("DESTROYED", "S"));
    assert!(
        !story.codes(index).contains(code),
        "what was taken later is not meant"
    );
    let (mut story, index) = withdrawn("DESTROY");
    story.tell("2026-04-01", "", event("DESTROYED", "S"));
    falls_due(&story, index, code, ("2026-03-03", "2026-03-04"));
    assert!(!story.codes(index).contains(code), "done, though late");
    let (story, index) = withdrawn("KEEP");
    assert!(!story.codes(index).contains(code));
}

#[test]
fn a_part_of_a_sample_is_of_that_sample() {
    let divided = |parameters: &Value| {
        let mut story = sampled(parameters);
        story.tell(
            "2026-01-06",
            "",
            json!({"sampleEvent": {"sampleId": "S", "aliquots": [{"sampleId": "S-1"}],
            "event": "SAMPLE_EVENT_KIND_ALIQUOTED"}}),
        );
        story.tell(
            "2026-01-07",
            "",
            json!({"sampleEvent": {"sampleId": "S-1", "newSampleId": "N",
            "event": "SAMPLE_EVENT_KIND_RELABELLED"}}),
        );
        story
    };
    let on = |day: &'static str| (day, result(&json!({"sampleId": "N"})));
    let story = || divided(&json!({"turnaroundDays": 14}));
    check(&story, "LATE_RESULT", on("2026-01-20"), on("2026-01-19"));

    let mut story = divided(&json!({"sampleDestructionDays": 30}));
    let index = story.tell(
        "2026-02-01",
        "X",
        json!({"consentWithdrawn": {
        "sampleInstruction": "SAMPLE_INSTRUCTION_DESTROY"}}),
    );
    let mut kept_after = |sample: &str| {
        story.tell(
            "2026-02-02",
            "",
            json!({"sampleEvent": {"sampleId": sample,
            "event": "SAMPLE_EVENT_KIND_DESTROYED"}}),
        );
        story.codes(index).contains("SAMPLES_NOT_DESTROYED")
    };
    assert!(kept_after("S"), "a part of it is left");
    assert!(!kept_after("N"), "S-1 is called N");
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
fn a_sample_may_be_gone_before_its_result_is_issued() {
    let after = |event: &str| {
        let mut story = sampled(&json!({}));
        let event = format!("SAMPLE_EVENT_KIND_{event}");
        story.tell(
            "2026-01-06",
            "",
            json!({"sampleEvent": {"sampleId": "S", "event": event}}),
        );
        let index = story.tell(DAY, "", result(&json!({})));
        story.codes(index).contains("RESULT_ON_REJECTED_SAMPLE")
    };
    assert!(after("REJECTED"));
    assert!(!after("DESTROYED"));
    assert!(!after("CONSUMED"));
}

#[test]
fn a_result_is_whose_its_sample_is_whoever_was_named_first() {
    let event = |patient: &str, event: &str| {
        let event = format!("SAMPLE_EVENT_KIND_{event}");
        json!({"patient": patient, "sampleEvent": {"sampleId": "S", "event": event}})
    };
    // Somebody received it under another patient's pseudonym, and that arrived first, or last.
    for named_first in [true, false] {
        let mut story = treated();
        let received = event("Y", "RECEIVED");
        if named_first {
            story.tell("2026-01-06", "", received.clone());
        }
        let taken = json!({"sampleCollected": {"sampleId": "S", "purposes": [1]}});
        story.tell("2026-01-05", "X", taken);
        story.tell("2026-01-07", "", event("X", "REJECTED"));
        if !named_first {
            story.tell("2026-01-06", "", received);
        }
        let index = story.tell(DAY, "", result(&json!({})));
        let codes = story.codes(index);
        assert!(codes.contains("RESULT_ON_REJECTED_SAMPLE"), "{codes:?}");
    }
}

#[test]
fn a_persistence_sample_is_taken_by_the_day_it_is_due() {
    let story = || {
        let mut story = treated();
        story.tell("2026-01-10", "X", given("X", "L"));
        story
    };
    let taken = |day: &'static str| {
        let purposes = ["SAMPLE_PURPOSE_PERSISTENCE"];
        (
            day,
            json!({"patient": "X", "sampleCollected": {"sampleId": "S", "purposes": purposes}}),
        )
    };
    check(
        &story,
        "LATE_SAMPLE",
        taken("2026-07-11"),
        taken("2026-07-10"),
    );
}

#[test]
fn a_method_that_lacks_a_part_of_its_validation_is_unvalidated() {
    let code = "METHOD_UNVALIDATED";
    let sound = || {
        json!({"methodId": "M", "version": "2", "lod": {"value": "1", "unit": "%"},
            "sensitivityPercent": "9", "specificityPercent": "9", "reproducibilityPercent": "9",
            "validationReport": {"sha256": "AAAA"}})
    };
    let by = |version: &str, method: Value| {
        let mut story = sampled(&json!({}));
        let bare = json!({"methodId": "M", "version": "1"});
        story.tell("2026-01-05", "", json!({"assayMethodVersion": bare}));
        story.tell("2026-01-06", "", json!({"assayMethodVersion": method}));
        let key = json!({"methodId": "M", "version": version});
        let index = story.tell(DAY, "", result(&json!({"method": key})));
        story.codes(index)
    };
    for part in [
        "lod",
        "sensitivityPercent",
        "specificityPercent",
        "reproducibilityPercent",
        "validationReport",
    ] {
        let mut lacking = sound();
        lacking[part] = Value::Null;
        assert!(by("2", lacking).contains(code), "{part}");
    }
    for (version, unvalidated) in [("1", true), ("2", false), ("", false)] {
        let codes = by(version, sound());
        assert_eq!(codes.contains(code), unvalidated, "version {version}");
    }
    assert!(by("3", sound()).contains("UNKNOWN_METHOD"));
}

#[test]
fn a_result_is_on_the_sample_that_was_rejected() {
    let code = "RESULT_ON_REJECTED_SAMPLE";
    for (sample, event, findings, on_rejected) in [
        ("S", "REJECTED", json!([]), true),
        ("T", "REJECTED", json!([]), false),
        ("S", "QUARANTINED", json!([]), false),
        ("S", "REJECTED", json!(["FINDING_INVALID"]), false),
    ] {
        let mut story = sampled(&json!({}));
        let taken = json!({"sampleCollected": {"sampleId": "T", "purposes": [1]}});
        story.tell("2026-01-05", "X", taken);
        let event = format!("SAMPLE_EVENT_KIND_{event}");
        let handled = json!({"sampleEvent": {"sampleId": sample, "event": event}});
        story.tell("2026-01-06", "X", handled);
        let told = result(&json!({"findings": findings}));
        let index = story.tell(DAY, "", told);
        assert_eq!(
            story.codes(index).contains(code),
            on_rejected,
            "{sample} {event}"
        );
    }
}

#[test]
fn a_result_on_a_sample_that_nobody_took_says_so() {
    let of = |sample: &str| (DAY, result(&json!({"sampleId": sample})));
    let story = || sampled(&json!({}));
    check(&story, "UNKNOWN_SAMPLE", of("T"), of("S"));
}

#[test]
fn of_the_samples_of_one_day_the_one_that_was_due_is_late() {
    let mut story = treated();
    story.tell("2026-01-10", "X", given("X", "L"));
    let mut taken = |sample: &str, purpose: &str| {
        let purposes = [format!("SAMPLE_PURPOSE_{purpose}")];
        let kind = json!({"sampleCollected": {"sampleId": sample, "purposes": purposes}});
        story.tell("2026-07-14", "X", kind)
    };
    let first = taken("FIRST", "ARCHIVE");
    let due = taken("DUE", "PERSISTENCE");
    let last = taken("LAST", "ARCHIVE");
    for (index, late) in [(first, false), (due, true), (last, false)] {
        assert_eq!(story.codes(index).contains("LATE_SAMPLE"), late);
    }
}
