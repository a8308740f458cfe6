//! Envelopes and corrections: who recorded what, where, how late, and with which right.

use serde_json::{Value, json};

use super::{DAY, SITE, Story, car_t, check, key, treated};
use crate::pb::record::Kind;

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

#[test]
fn what_is_recorded_late_says_why() {
    let code = "LATE_REASON_MISSING";
    let told = |recorded_at: &str, reason: &str| {
        let mut story: Story = treated();
        let status =
            json!({"lateReason": reason, "patientStatus": {"state": "PATIENT_STATE_ACTIVE"}});
        let index = story.tell_late("2026-01-10", recorded_at, "X", status);
        story.codes(index).contains(code)
    };
    assert!(told("2026-01-20T10:00:00Z", ""));
    assert!(told("2026-01-20T10:00:00Z", " "));
    assert!(!told("2026-01-20T10:00:00Z", "the line was down"));
    assert!(!told("2026-01-17T10:00:00Z", ""), "it is not late");
}

#[test]
fn a_correction_names_what_is_true_instead() {
    let code = "DANGLING";
    let administered = |id: &str| json!({"recordId": id, "administration": {"lot": key("L")}});
    let (wrong, right) = (
        "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
        "cccccccc-cccc-4ccc-8ccc-cccccccccccc",
    );
    let moved = json!([{"path": "patient", "old": "X", "new": "Y"}]);
    let none = json!([]);
    for (kind, replacement, changes, raises, raises_then) in [
        ("INCORRECT_DATA", right, &none, true, false),
        ("INCORRECT_DATA", "", &none, false, false),
        ("DUPLICATE", right, &none, true, false),
        ("DUPLICATE", "", &none, true, true),
        ("WRONG_PATIENT", right, &none, true, false),
        ("WRONG_PATIENT", "", &none, true, true),
        ("WRONG_PATIENT", "", &moved, false, false),
        ("DID_NOT_OCCUR", "", &none, false, false),
    ] {
        let mut story = treated();
        story.tell("2026-01-05", "X", administered(wrong));
        let corrected = json!({"correction": {"target": wrong, "replacement": replacement,
            "correctionKind": format!("CORRECTION_KIND_{kind}"), "changes": changes}});
        let index = story.tell(DAY, "", corrected);
        let what = format!("{kind} {replacement} {changes}");
        assert_eq!(story.codes(index).contains(code), raises, "{what}");
        story.tell("2026-01-05", "X", administered(right));
        assert_eq!(story.codes(index).contains(code), raises_then, "{what}");
        let taken_back = json!({"correction": {"target": story.last_id_of(|kind| matches!(kind, Kind::Correction(_))),
            "correctionKind": "CORRECTION_KIND_DID_NOT_OCCUR"}});
        story.tell(DAY, "", taken_back);
        assert!(!story.codes(index).contains(code), "{what}, taken back");
    }
}

#[test]
fn a_role_is_held_from_the_day_on_which_it_was_given() {
    let code = "ROLE_NOT_HELD";
    let changed = |actor: &'static str| {
        move || {
            let mut story = treated();
            let roles = ["ACTOR_ROLE_LAB"];
            let changed = json!({"roleChanged": {"actorId": actor, "roles": roles}});
            story.tell("2026-01-08", "", changed);
            story
        }
    };
    let by = |day: &'static str, role: &str| {
        let role = format!("ACTOR_ROLE_{role}");
        let state = json!({"state": "PATIENT_STATE_ACTIVE"});
        (
            day,
            json!({"patient": "X", "actorRole": role, "patientStatus": state}),
        )
    };
    let lab = |day| by(day, "LAB");
    check(
        &changed("s01-1"),
        code,
        lab("2026-01-07"),
        lab("2026-01-08"),
    );
    let nurse = |day| by(day, "NURSE");
    check(
        &changed("s01-1"),
        code,
        nurse("2026-01-08"),
        nurse("2026-01-07"),
    );
    // What another was given is another's.
    check(&changed("s02-1"), code, lab(DAY), nurse(DAY));
    // Before an actor was registered, the first roles count.
    check(&treated, code, lab("2018-12-31"), nurse("2018-12-31"));
}

fn delegated(task: &str, delegate: &str) -> Value {
    let task = format!("DELEGATED_TASK_{task}");
    json!({"delegationGranted": {"delegate": delegate, "tasks": [task],
        "validFrom": "2026-01-05", "validTo": "2026-01-20"}})
}

#[test]
fn who_corrects_for_another_site_was_delegated_to() {
    let code = "DISPUTED";
    let elsewhere = "9521123001022";
    for (task, delegate, day, of, by, disputed) in [
        ("RECORDING", "s01-1", DAY, SITE, elsewhere, false),
        ("CONSENT", "s01-1", DAY, SITE, elsewhere, true),
        ("RECORDING", "s02-1", DAY, SITE, elsewhere, true),
        ("RECORDING", "s01-1", "2026-01-21", SITE, elsewhere, true),
        ("CONSENT", "s01-1", DAY, SITE, SITE, false),
        // What is of no site is not another's.
        ("CONSENT", "s01-1", DAY, SITE, "", false),
        ("CONSENT", "s01-1", DAY, "", SITE, false),
    ] {
        let mut story = treated();
        story.tell("2026-01-02", "", delegated(task, delegate));
        let id = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
        let target = json!({"recordId": id, "site": of, "patientStatus": {}});
        story.tell("2026-01-03", "X", target);
        let kind = "CORRECTION_KIND_ADDITION";
        let corrected = json!({"target": id, "correctionKind": kind});
        let index = story.tell(day, "", json!({"site": by, "correction": corrected}));
        let codes = story.codes(index);
        assert_eq!(
            codes.contains(code),
            disputed,
            "{task} {delegate} {day} {of} {by}"
        );
    }
}

#[test]
fn who_discusses_a_consent_was_delegated_to() {
    let code = "DISCUSSER_NOT_DELEGATED";
    for (task, delegate, day, by, undelegated) in [
        ("CONSENT", "lab-1", DAY, "lab-1", false),
        ("RECORDING", "lab-1", DAY, "lab-1", true),
        ("CONSENT", "s02-1", DAY, "lab-1", true),
        ("CONSENT", "lab-1", "2026-01-04", "lab-1", true),
        ("CONSENT", "lab-1", "2026-01-05", "lab-1", false),
        ("CONSENT", "lab-1", "2026-01-20", "lab-1", false),
        ("CONSENT", "lab-1", "2026-01-21", "lab-1", true),
        // Nothing is known of who is not registered.
        ("RECORDING", "lab-1", DAY, "nobody", false),
    ] {
        let mut story = treated();
        story.tell("2026-01-02", "", delegated(task, delegate));
        let version = json!({"family": "ICF-LTFU-CAR19", "version": "2.0"});
        let signed = json!({"signatory": "SIGNATORY_SELF", "discussedBy": by, "version": version});
        let index = story.tell(day, "X", json!({"consentSigned": signed}));
        let codes = story.codes(index);
        assert_eq!(
            codes.contains(code),
            undelegated,
            "{task} {delegate} {day} {by}"
        );
    }
}

#[test]
fn a_correction_is_compared_with_what_was_known_just_before_it() {
    let code = "OLD_DIFFERS";
    let id = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
    let corrected = |old: &str, new: &str| {
        let changes = json!([{"path": "administration.dose_number", "old": old, "new": new}]);
        json!({"correction": {"target": id, "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
            "changes": changes}})
    };
    let mut story = treated();
    let given = json!({"recordId": id, "administration": {"lot": key("L"), "doseNumber": 1}});
    story.tell("2026-01-05", "X", given);
    let first = story.tell("2026-01-06", "", corrected("1", "2"));
    let second = story.tell("2026-01-07", "", corrected("2", "3"));
    let wrong = story.tell("2026-01-08", "", corrected("1", "4"));
    // Whatever day is asked about, even one on which it had not happened yet.
    for as_of in ["2026-01-01", "2026-02-01"] {
        for (index, raises) in [(first, false), (second, false), (wrong, true)] {
            let codes = story.codes_on(index, as_of);
            assert_eq!(codes.contains(code), raises, "{as_of} {}", index.value());
        }
    }
}
