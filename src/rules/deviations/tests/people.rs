//! People: what happened before somebody was born, and who acts for whom.

use serde_json::{Value, json};

use super::{DAY, SITE, Story, administered, check, given, planned, treated};
use crate::pb::record::Kind;

fn child(mut story: Story) -> Story {
    story.tell(
        "2026-01-03",
        "M",
        json!({"patientRegistered": {"identityCommitment": "CCCC",
        "assentOn": "2030-02-28", "majorityOn": "2040-02-29"}}),
    );
    story
}

#[test]
fn nothing_happens_to_a_patient_before_birth() {
    let code = "BEFORE_BIRTH";
    let story = || child(treated());
    let visit = |mode: &str, reached: bool| json!({"patient": "M", "followUpVisit": {"reached": reached, "mode": format!("VISIT_MODE_{mode}")}});
    let sample = json!({"patient": "M", "sampleCollected": {"sampleId": "S"}});
    let collected = json!({"patient": "M", "materialCollected": {"coi": "CHZ000126000001"}});
    let contact = json!({"patient": "M", "followUpContact": {"reached": true}});
    for kind in [
        given("M", "L"),
        sample,
        collected,
        contact,
        visit("ON_SITE", true),
    ] {
        check(
            &story,
            code,
            ("2022-02-27", kind.clone()),
            ("2022-02-28", kind),
        );
    }
    let early = |kind: Value| ("2022-02-27", kind);
    let held = || early(visit("ON_SITE", true));
    check(&story, code, held(), early(visit("ON_SITE", false)));
    check(&story, code, held(), early(visit("RECORD_REVIEW", true)));
    let mut other = visit("ON_SITE", true);
    other["patient"] = json!("X");
    check(&story, code, held(), early(other));
    // Where assent begins at ten, the birth was two years before.
    let at_ten = || child(planned(&json!({"assentMonths": 120})));
    check(
        &at_ten,
        code,
        ("2020-02-27", given("M", "L")),
        ("2020-02-28", given("M", "L")),
    );
}

const SPONSOR: &str = "9521123000018";

fn delegated(delegate: &str, tasks: &[&str], from: &str, to: &str) -> Value {
    let tasks: Vec<String> = tasks
        .iter()
        .map(|task| format!("DELEGATED_TASK_{task}"))
        .collect();
    json!({"delegationGranted": {"delegate": delegate, "tasks": tasks, "validFrom": from, "validTo": to}})
}

#[test]
fn who_acts_for_another_organisation_was_delegated_to() {
    let code = "ON_BEHALF_UNDELEGATED";
    let with = |by: Value| {
        move || {
            let mut story = treated();
            story.tell("2026-01-02", "", by.clone());
            story
        }
    };
    let of = |organisation: &str, day: &'static str| {
        (
            day,
            json!({"patient": "X", "onBehalfOf": organisation,
            "patientStatus": {"state": "PATIENT_STATE_ACTIVE"}}),
        )
    };
    let sponsor = || of(SPONSOR, "2026-01-10");
    check(&treated, code, sponsor(), of(SITE, "2026-01-10"));
    check(&treated, code, sponsor(), of("", "2026-01-10"));
    let grant = |delegate: &str, to: &str| delegated(delegate, &["RECORDING"], "2026-01-05", to);
    let mut at_site = grant("s01-1", "2026-01-10");
    at_site["site"] = json!(SPONSOR);
    check(&with(at_site), code, of(SPONSOR, "2026-01-11"), sponsor());
    let mut by_member = grant("s01-1", "");
    by_member["actorPerson"] = json!("mfg-1");
    check(
        &with(by_member),
        code,
        of(SPONSOR, "2026-01-04"),
        of(SPONSOR, "2026-01-05"),
    );
    let mut for_it = grant("s01-1", "");
    for_it["onBehalfOf"] = json!(SPONSOR);
    check(
        &with(for_it),
        code,
        of("9521123000025", "2026-01-10"),
        sponsor(),
    );
    let mut to_another = grant("s02-1", "");
    to_another["site"] = json!(SPONSOR);
    check(&with(to_another), code, sponsor(), of(SITE, "2026-01-10"));
    // One's own organisation is where one has gone to.
    let moved = with(
        json!({"roleChanged": {"actorId": "s01-1", "organisation": SPONSOR,
        "roles": ["ACTOR_ROLE_INVESTIGATOR"]}}),
    );
    check(&moved, code, of(SITE, "2026-01-10"), sponsor());
    // Where another has gone to is not one's own.
    let other_moved = with(
        json!({"roleChanged": {"actorId": "s02-1", "organisation": SPONSOR,
        "roles": ["ACTOR_ROLE_INVESTIGATOR"]}}),
    );
    check(&other_moved, code, sponsor(), of(SITE, "2026-01-10"));
}

#[test]
fn delegations_of_a_task_follow_each_other() {
    let code = "DELEGATION_GAP";
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-02",
            "",
            delegated("s02-1", &["SAMPLING"], "2026-01-05", "2026-01-31"),
        );
        story
    };
    let next = |tasks: &[&str], from: &str| (DAY, delegated("s02-1", tasks, from, ""));
    check(
        &story,
        code,
        next(&["SAMPLING"], "2026-02-02"),
        next(&["SAMPLING"], "2026-02-01"),
    );
    let both = ["CONSENT", "SAMPLING"];
    check(
        &story,
        code,
        next(&both, "2026-02-02"),
        next(&["CONSENT"], "2026-02-02"),
    );
    let other = (DAY, delegated("s01-1", &["SAMPLING"], "2026-02-02", ""));
    check(&story, code, next(&["SAMPLING"], "2026-02-02"), other);
    let mut elsewhere = next(&["SAMPLING"], "2026-02-02");
    elsewhere.1["site"] = json!("9521123001022");
    check(&story, code, next(&["SAMPLING"], "2026-02-02"), elsewhere);
    // A shorter one within a longer one ends nothing.
    let covered = |to: &'static str| {
        move || {
            let mut story = story();
            story.tell(
                "2026-01-02",
                "",
                delegated("s02-1", &["SAMPLING"], "2026-01-03", to),
            );
            story
        }
    };
    check(
        &covered("2026-03-01"),
        code,
        next(&["SAMPLING"], "2026-03-03"),
        next(&["SAMPLING"], "2026-03-02"),
    );
    // Nor does one that ends within the other, whichever began first.
    let overlapped = || {
        let mut story = story();
        let longer = delegated("s02-1", &["SAMPLING"], "2026-01-20", "2026-03-01");
        story.tell("2026-01-02", "", longer);
        story
    };
    check(
        &overlapped,
        code,
        next(&["SAMPLING"], "2026-03-03"),
        next(&["SAMPLING"], "2026-03-02"),
    );
    let mut endless = covered("")();
    let (at, kind) = next(&["SAMPLING"], "2027-01-01");
    let index = endless.tell(at, "", kind);
    assert!(!endless.codes(index).contains(code));
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
fn what_was_moved_in_a_split_is_flagged_with_what_it_was_moved_to() {
    let story = |moved: bool| {
        let mut story = treated();
        let registered = json!({"patientRegistered": {"identityCommitment": "DDDD"}});
        story.tell("2026-01-03", "Z", registered);
        let died = json!({"patientStatus": {"state": "PATIENT_STATE_DECEASED"}});
        story.tell("2026-01-04", "Z", died);
        let taken = json!({"sampleCollected": {"sampleId": "S", "purposes": [1]}});
        let sample = story.tell("2026-01-10", "X", taken);
        let rejected =
            json!({"sampleEvent": {"sampleId": "S", "event": "SAMPLE_EVENT_KIND_REJECTED"}});
        story.tell("2026-01-10", "", rejected);
        let result = story.tell("2026-01-11", "", json!({"assayResult": {"sampleId": "S"}}));
        let id =
            story.id_of(|kind| matches!(kind, Kind::SampleCollected(one) if one.sample_id == "S"));
        if moved {
            let split = json!({"patientSplit": {"splitPatient": "Z", "movedRecords": [id]}});
            story.tell("2026-01-12", "X", split);
        }
        (story, sample, result)
    };
    for moved in [false, true] {
        let (story, sample, result) = story(moved);
        assert_eq!(story.codes(sample).contains("AFTER_DEATH"), moved);
        assert!(story.codes(result).contains("RESULT_ON_REJECTED_SAMPLE"));
    }
}

/// A patient who has withdrawn from something.
fn withdrawn(scope: &'static str) -> impl Fn() -> Story {
    move || {
        let mut story = treated();
        let withdrawn = json!({"scopes": [format!("WITHDRAWAL_SCOPE_{scope}")]});
        story.tell("2026-01-09", "X", json!({"consentWithdrawn": withdrawn}));
        story
    }
}

#[test]
fn nothing_is_taken_from_a_donor_who_has_withdrawn() {
    let code = "AFTER_WITHDRAWAL";
    let collected = |source: &str| {
        json!({"patient": "X", "materialCollected": {"coi": "CHZ000126000009",
            "source": format!("DONOR_RELATION_{source}")}})
    };
    for scope in ["ALL_PROCEDURES", "INVASIVE_SAMPLING"] {
        let (own, donated) = (collected("AUTOLOGOUS"), collected("ALLOGENEIC_RELATED"));
        check(
            &withdrawn(scope),
            code,
            ("2026-01-10", own.clone()),
            ("2026-01-09", own.clone()),
        );
        check(&withdrawn(scope), code, (DAY, own), (DAY, donated));
    }
}

#[test]
fn what_was_withdrawn_from_is_no_longer_done() {
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
fn what_can_happen_to_the_living_only_is_flagged_after_death() {
    let code = "AFTER_DEATH";
    let story = || {
        let mut story = treated();
        let died = json!({"patientStatus": {"state": "PATIENT_STATE_DECEASED"}});
        story.tell("2026-01-09", "X", died);
        story
    };
    let seen = |kind: &str, reached: bool, mode: &str| json!({kind: {"reached": reached, "mode": format!("VISIT_MODE_{mode}")}});
    let state = |state: &str| json!({"patientStatus": {"state": format!("PATIENT_STATE_{state}")}});
    let administered = |status: &str| administered("X", "L", status);
    for (kind, raises) in [
        (administered("GIVEN"), true),
        (administered("PARTIAL"), true),
        (administered("NOT_DONE"), false),
        (seen("followUpVisit", true, "ON_SITE"), true),
        (seen("followUpVisit", false, "ON_SITE"), false),
        (seen("followUpVisit", true, "RECORD_REVIEW"), false),
        (seen("followUpContact", true, "PHONE"), true),
        (seen("followUpContact", false, "PHONE"), false),
        (seen("followUpContact", true, "RECORD_REVIEW"), false),
        (state("ACTIVE"), true),
        (state("TRANSFERRED"), true),
        (state("LOST_TO_FOLLOW_UP"), true),
        (state("FOUND"), true),
        (state("COMPLETED"), false),
        (state("PROCESSING_RESTRICTED"), false),
        (json!({"sampleCollected": {"sampleId": "S"}}), true),
        (json!({"materialCollected": {}}), true),
        (json!({"consentSigned": {}}), true),
        (json!({"consentDeclined": {}}), true),
        (json!({"consentWithdrawn": {}}), true),
        (json!({"followUpEnrolment": {}}), true),
        (json!({"riskNotification": {}}), false),
        (json!({"adverseEvent": {"caseId": "C"}}), false),
        (json!({"assayResult": {"sampleId": "S"}}), false),
    ] {
        let mut story = story();
        let index = story.tell(DAY, "X", kind.clone());
        assert_eq!(story.codes(index).contains(code), raises, "{kind}");
    }
}

#[test]
fn what_did_not_take_place_is_not_done_after_a_withdrawal() {
    let code = "AFTER_WITHDRAWAL";
    let seen = |kind: &str, reached: bool, mode: &str| json!({kind: {"reached": reached, "mode": format!("VISIT_MODE_{mode}")}});
    let administered = |status: &str| administered("X", "L", status);
    for (scope, kind, raises) in [
        ("ALL_PROCEDURES", administered("GIVEN"), true),
        ("ALL_PROCEDURES", administered("NOT_DONE"), false),
        ("CONTACT", administered("GIVEN"), false),
        ("ALL_PROCEDURES", seen("followUpVisit", true, "HOME"), true),
        (
            "ALL_PROCEDURES",
            seen("followUpVisit", false, "HOME"),
            false,
        ),
        ("CONTACT", seen("followUpVisit", true, "HOME"), true),
        ("CONTACT", seen("followUpVisit", false, "HOME"), false),
        ("CONTACT", seen("followUpContact", true, "PHONE"), true),
        ("CONTACT", seen("followUpContact", false, "PHONE"), false),
        (
            "ALL_PROCEDURES",
            seen("followUpContact", true, "PHONE"),
            false,
        ),
        (
            "RECORD_FOLLOWUP",
            seen("followUpContact", true, "RECORD_REVIEW"),
            true,
        ),
        (
            "RECORD_FOLLOWUP",
            seen("followUpContact", true, "PHONE"),
            false,
        ),
        (
            "DATA_FUTURE_USE",
            seen("followUpContact", true, "PHONE"),
            false,
        ),
    ] {
        let mut story = treated();
        let scopes = [format!("WITHDRAWAL_SCOPE_{scope}")];
        story.tell(
            "2026-01-09",
            "X",
            json!({"consentWithdrawn": {"scopes": scopes}}),
        );
        let index = story.tell(DAY, "X", kind.clone());
        assert_eq!(story.codes(index).contains(code), raises, "{scope} {kind}");
    }
}

#[test]
fn who_is_registered_twice_is_so_until_both_are_said_to_be_one_or_two() {
    let code = "POSSIBLE_DUPLICATE";
    for (patient, said, raises) in [
        ("X", json!({"patientMerged": {"mergedPatient": "Y"}}), false),
        ("Y", json!({"patientMerged": {"mergedPatient": "X"}}), false),
        ("X", json!({"patientSplit": {"splitPatient": "Y"}}), false),
        ("X", json!({"patientMerged": {"mergedPatient": "Z"}}), true),
        ("Y", json!({"patientSplit": {"splitPatient": "Z"}}), true),
        ("X", json!({"patientStatus": {}}), true),
    ] {
        let mut story = treated();
        let twin = json!({"patientRegistered": {"identityCommitment": "AAAA"}});
        let index = story.tell(DAY, "Y", twin);
        story.tell(DAY, patient, said.clone());
        assert_eq!(
            story.codes(index).contains(code),
            raises,
            "{patient} {said}"
        );
    }
}
