//! What a flag tells: whom and what it is about, which field raises it, and the days and the numbers of it.

use chrono::NaiveDate;
use serde_json::{Value, json};

use super::{
    DAY, Details, Deviation, Review, SITE, Story, car_t, disposed, extended, given, key, lot, own,
    planned, treated,
};
use crate::{
    rules::{
        catalogue::Catalogue,
        fact::{Facts as _, Subject},
    },
    tlog::Index,
};

/// The days and the numbers that a deviation has, by name.
fn details(one: &Deviation) -> String {
    let Details {
        due,
        actual,
        days,
        deadline,
        signed,
        effective,
        administered,
        consented,
        event,
        recorded,
        scanned,
    } = &one.details;
    let on = |name: &str, day: &Option<NaiveDate>| day.map(|day| format!("{name} {day}"));
    let told = [
        on("due", due),
        on("deadline", deadline),
        on("signed", signed),
        on("effective", effective),
        on("administered", administered),
        on("consented", consented),
        on("event", event),
        on("recorded", recorded),
        on("actual", actual),
        days.map(|days| format!("days {days}")),
        (!scanned.is_empty()).then(|| format!("scanned {scanned}")),
    ];
    let told: Vec<String> = told.into_iter().flatten().collect();
    told.join(", ")
}

/// Whom and what a deviation is about, by name.
fn about(one: &Deviation) -> String {
    let about = &one.about;
    let lot = about.lot.as_ref().map_or("", |lot| &lot.lot);
    let told = [
        ("patient", one.patient()),
        ("lot", lot),
        ("coi", &about.coi),
        ("sample", &about.sample),
        ("version", &about.version),
    ];
    let told = told.into_iter().filter(|(_, what)| !what.is_empty());
    let told: Vec<String> = told.map(|(name, what)| format!("{name} {what}")).collect();
    told.join(", ")
}

/// What an entry raises with this code, as of a day, by itself or together with others.
fn raised(story: &Story, index: Index, as_of: &str, code: &str) -> Deviation {
    let position = usize::try_from(index.value()).unwrap();
    let mut raised = story.raised_by(index, as_of);
    raised.extend(own(&story.book.facts()[position]));
    let mut of_code = raised.into_iter().filter(|one| one.rule.code == code);
    let one = of_code.next();
    assert!(one.is_some() && of_code.next().is_none(), "{code}, once");
    one.unwrap()
}

/// A story, the last record told of which raises a code with these details.
fn check(story: Story, at: &str, kind: &Value, code: &str, expected: &str) {
    let mut story = story;
    let index = story.tell(at, "", kind.clone());
    let one = raised(&story, index, "2027-01-01", code);
    assert_eq!(details(&one), expected, "{code}");
}

fn with(story: Story, told: &[(&str, Value)]) -> Story {
    let mut story = story;
    for (at, kind) in told {
        story.tell(at, "", kind.clone());
    }
    story
}

fn of(patient: &str, kind: &str, more: &Value) -> Value {
    json!({"patient": patient, kind: more})
}

#[test]
fn a_flag_of_the_catalogue_says_from_when_and_until_when() {
    let delegated = |from: &str, to: &str| {
        json!({"delegationGranted": {"delegate": "s02-1", "tasks": ["DELEGATED_TASK_SAMPLING"],
            "validFrom": from, "validTo": to}})
    };
    check(
        with(
            treated(),
            &[("2026-01-02", delegated("2026-01-05", "2026-01-31"))],
        ),
        DAY,
        &delegated("2026-02-03", ""),
        "DELEGATION_GAP",
        "deadline 2026-01-31, effective 2026-02-03",
    );
    let version = json!({"family": "F", "version": "1"});
    let consent = json!({"consentDocumentVersion": {"family": "F", "version": "1", "ordinal": 1,
        "language": "zh-CN"}});
    let in_force = json!({"consentVersionActivated": {"version": version, "site": SITE,
        "effectiveFrom": "2026-02-02"}});
    let plan = json!({"followUpPlanVersion": {"planId": "P", "version": "1", "ordinal": 1,
        "linkedConsent": version}});
    let activated = json!({"planActivated": {"plan": {"planId": "P", "version": "1"}, "site": SITE,
        "effectiveFrom": "2026-02-01"}});
    let explained = || {
        let told = [
            ("2026-01-02", consent.clone()),
            ("2026-01-02", plan.clone()),
        ];
        with(treated(), &told)
    };
    check(explained(), DAY, &activated, "PLAN_BEFORE_CONSENT", "");
    check(
        with(explained(), &[("2026-01-02", in_force)]),
        DAY,
        &activated,
        "PLAN_BEFORE_CONSENT",
        "effective 2026-02-02",
    );
    check(
        treated(),
        DAY,
        &json!({"riskSignal": {"signalId": "S", "changesRisk": true, "deadline": "2026-03-01"}}),
        "SIGNAL_WITHOUT_ACTION",
        "deadline 2026-03-01",
    );
    // Of a recall of class I, opened on the 12th of August.
    check(
        treated(),
        "2025-08-16",
        &json!({"recallNotice": {"recallId": "RCL-2025-01", "site": SITE}}),
        "NOTICE_LATE",
        "deadline 2025-08-13, actual 2025-08-16, days 3",
    );
}

#[test]
fn a_flag_of_consent_says_when_it_was_signed_and_what_it_came_after() {
    let signed = |patient: &str, by: &str| {
        json!({"patient": patient, "consentSigned": {"signatory": "SIGNATORY_SELF", "discussedBy": by,
            "version": {"family": "ICF-LTFU-CAR19", "version": "2.0"}}})
    };
    let new = || {
        let registered = of(
            "Y",
            "patientRegistered",
            &json!({"identityCommitment": "BBBB"}),
        );
        with(treated(), &[("2026-01-01", registered)])
    };
    let expected = "administered 2026-01-05, consented 2026-01-06";
    let code = "TREATED_BEFORE_CONSENT";
    let treated_first = with(new(), &[("2026-01-05", given("Y", "L"))]);
    check(
        treated_first,
        "2026-01-06",
        &signed("Y", ""),
        code,
        expected,
    );
    // Whichever was recorded later says so.
    let signed_first = with(new(), &[("2026-01-06", signed("Y", ""))]);
    check(signed_first, "2026-01-05", &given("Y", "L"), code, expected);
    check(
        planned(&json!({"countersignatureHours": 48})),
        DAY,
        &signed("X", "s02-1"),
        "COUNTERSIGNATURE_MISSING",
        "deadline 2026-01-12",
    );
    let transfer = json!({"custodyTransfer": {"items": [{"lot": key("L")}]}});
    check(
        planned(&json!({"countersignatureHours": 24})),
        DAY,
        &transfer,
        "COUNTERSIGNATURE_MISSING",
        "deadline 2026-01-11",
    );
}

#[test]
fn a_flag_of_follow_up_says_when_it_was_due_and_when_it_was() {
    let slots = json!([{"slot": "M1", "kind": "SLOT_KIND_VISIT", "months": 1, "windowDays": 7}]);
    let plan = json!({"followUpPlanVersion": {"planId": "LTFU-CAR19", "version": "3", "ordinal": 3,
        "slots": slots}});
    let activated = json!({"planActivated": {"plan": {"planId": "LTFU-CAR19", "version": "3"},
        "site": SITE, "effectiveFrom": "2026-01-03"}});
    let followed = || {
        with(
            treated(),
            &[
                ("2026-01-02", plan.clone()),
                ("2026-01-02", activated.clone()),
                ("2026-01-10", given("X", "L")),
            ],
        )
    };
    let visit = of(
        "X",
        "followUpVisit",
        &json!({"slot": "M1", "reached": true, "mode": "VISIT_MODE_ON_SITE"}),
    );
    check(
        followed(),
        "2026-02-20",
        &visit,
        "VISIT_OUT_OF_WINDOW",
        "due 2026-02-10, actual 2026-02-20, days 3",
    );
    let enrolled = of(
        "X",
        "followUpEnrolment",
        &json!({"planId": "LTFU-CAR19", "claimedEndOn": "2040-12-31"}),
    );
    check(
        followed(),
        DAY,
        &enrolled,
        "END_DATE_DIFFERS",
        "due 2041-01-10, actual 2040-12-31",
    );
    let taken = of(
        "X",
        "sampleCollected",
        &json!({"sampleId": "S", "purposes": ["SAMPLE_PURPOSE_PERSISTENCE"]}),
    );
    check(
        followed(),
        "2026-07-14",
        &taken,
        "LATE_SAMPLE",
        "due 2026-07-10, actual 2026-07-14, days 4",
    );
    let sampled = |parameters: &Value| with(planned(parameters), &[("2026-01-05", taken.clone())]);
    check(
        sampled(&json!({"turnaroundDays": 14})),
        "2026-01-22",
        &json!({"assayResult": {"sampleId": "S"}}),
        "LATE_RESULT",
        "due 2026-01-19, actual 2026-01-22, days 3",
    );
    check(
        sampled(&json!({"sampleDestructionDays": 30})),
        "2026-02-01",
        &of(
            "X",
            "consentWithdrawn",
            &json!({"sampleInstruction": "SAMPLE_INSTRUCTION_DESTROY"}),
        ),
        "SAMPLES_NOT_DESTROYED",
        "deadline 2026-03-03",
    );
}

#[test]
fn a_flag_of_a_patient_says_when_it_happened_and_what_it_contradicts() {
    let visit = of(
        "X",
        "followUpVisit",
        &json!({"reached": true, "mode": "VISIT_MODE_PHONE"}),
    );
    let died = of(
        "X",
        "patientStatus",
        &json!({"state": "PATIENT_STATE_DECEASED"}),
    );
    check(
        with(treated(), &[("2026-01-10", died)]),
        "2026-01-12",
        &visit,
        "AFTER_DEATH",
        "event 2026-01-12",
    );
    let child = of(
        "M",
        "patientRegistered",
        &json!({"identityCommitment": "CCCC", "assentOn": "2030-02-28"}),
    );
    check(
        with(treated(), &[("2026-01-03", child)]),
        "2022-02-26",
        &given("M", "L"),
        "BEFORE_BIRTH",
        "event 2022-02-26",
    );
    check(
        with(treated(), &[("2026-01-10", given("X", "L"))]),
        "2026-01-13",
        &disposed("L", "REJECTED"),
        "DISPOSITION_AFTER_ADMINISTRATION",
        "administered 2026-01-10, event 2026-01-13",
    );
    let mut naming = given("X", "L");
    naming["administration"]["coiVerification"] = json!("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
    let mut verified = of(
        "X",
        "coiVerification",
        &json!({"coi": "CHZ000126000001", "result": "COI_RESULT_MISMATCH",
        "lot": key("L"), "personId": {"value": "P4"}}),
    );
    verified["recordId"] = naming["administration"]["coiVerification"].clone();
    check(
        with(treated(), &[("2026-01-09", verified)]),
        DAY,
        &naming,
        "COI_MISMATCH_CRITICAL",
        "scanned P4",
    );
}

#[test]
fn a_flag_of_an_event_says_when_it_was_known_and_until_when_it_was_to_be_looked_at() {
    let event = |more: Value| {
        let event = json!({"caseId": "C", "subjectKind": "SUBJECT_KIND_PATIENT"});
        of("X", "adverseEvent", &extended(event, &more))
    };
    check(
        with(treated(), &[("2026-01-10", given("X", "L"))]),
        "2026-01-08",
        &event(json!({})),
        "ONSET_BEFORE_ADMINISTRATION",
        "administered 2026-01-10, event 2026-01-08",
    );
    check(
        treated(),
        "2026-01-20",
        &event(json!({"awareAt": "2026-01-11"})),
        "EVENT_REPORTED_LATE",
        "event 2026-01-11, recorded 2026-01-20, days 9",
    );
    let story = || planned(&json!({"assessmentDays": 15, "codingDays": 10}));
    check(
        story(),
        "2026-02-01",
        &event(json!({"serious": [1]})),
        "ASSESSMENT_MISSING",
        "deadline 2026-02-16",
    );
    check(
        story(),
        "2026-02-01",
        &event(json!({})),
        "EVENT_UNCODED",
        "deadline 2026-02-11",
    );
    let mut story = story();
    let index = story.tell("2026-02-01", "", event(json!({"serious": [1]})));
    for day in ["2026-02-20", "2026-03-01"] {
        story.tell(day, "X", json!({"causalityAssessment": {"caseId": "C"}}));
    }
    let late = raised(&story, index, "2027-01-01", "ASSESSMENT_MISSING");
    assert_eq!(
        details(&late),
        "deadline 2026-02-16, actual 2026-02-20, days 4",
        "by the first assessment"
    );
}

/// Copied without its source: any record raises this by itself, and it is about what the record is about.
#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of what is flagged, read from top to bottom"
)]
fn what_a_record_raises_by_itself_is_about_what_it_names() {
    let version = json!({"family": "F", "version": "7"});
    let sample = |sample: &str| json!({"sampleId": sample});
    for (kind, expected) in [
        (of("X", "patientStatus", &json!({})), "patient X"),
        // The one that stays, not the one that is given up.
        (
            of("X", "patientMerged", &json!({"mergedPatient": "A"})),
            "patient X",
        ),
        (
            of("X", "patientMerged", &json!({"mergedPatient": "Z"})),
            "patient X",
        ),
        (
            lot(
                "T",
                &json!({"intendedPatient": "X", "coi": "CHZ000126000001"}),
            ),
            "patient X, lot T, coi CHZ000126000001",
        ),
        (
            of(
                "X",
                "materialCollected",
                &json!({"coi": "CHZ000126000001", "donor": "D"}),
            ),
            "patient X, coi CHZ000126000001",
        ),
        (
            json!({"materialCollected": {"coi": "CHZ000126000001", "donor": "D"}}),
            "patient D, coi CHZ000126000001",
        ),
        (
            json!({"consentDocumentVersion": {"family": "F", "version": "7"}}),
            "version 7",
        ),
        (
            of("X", "consentSigned", &json!({"version": version})),
            "patient X, version 7",
        ),
        (
            json!({"followUpPlanVersion": {"planId": "P", "version": "7"}}),
            "version 7",
        ),
        (json!({"assayResult": sample("S")}), "sample S"),
        (
            json!({"storageMoved": {"items": [sample("S")]}}),
            "sample S",
        ),
        (
            json!({"storageMoved": {"items": [sample("S"), sample("T")]}}),
            "sample S",
        ),
        // What was divided or relabelled, not what came of it.
        (
            json!({"sampleEvent": {"sampleId": "S", "aliquots": [sample("A")]}}),
            "sample S",
        ),
        (
            json!({"sampleEvent": {"sampleId": "S", "aliquots": [sample("T")]}}),
            "sample S",
        ),
        (
            json!({"sampleEvent": {"sampleId": "S", "newSampleId": "N"}}),
            "sample S",
        ),
    ] {
        let mut story = treated();
        let mut copied = kind.clone();
        copied["sourceKind"] = json!("SOURCE_KIND_TRANSCRIBED");
        let index = story.tell(DAY, "", copied);
        let one = raised(&story, index, "2027-01-01", "SOURCE_DOC_MISSING");
        assert_eq!(about(&one), expected, "{kind}");
    }
}

#[test]
fn a_flag_of_identity_names_the_chain_and_the_field() {
    let coi = "CHZ000126000001";
    let own = lot("OWN", &json!({"intendedPatient": "P1", "coi": coi}));
    let mut story = with(treated(), &[("2026-01-02", own)]);
    let index = story.tell(DAY, "", given("X", "OWN"));
    let one = raised(&story, index, "2027-01-01", "COI_MISMATCH_CRITICAL");
    assert_eq!(about(&one), format!("patient X, lot OWN, coi {coi}"));
    for (kind, field) in [
        (
            lot("NEXT", &json!({"intendedPatient": "X", "coi": coi})),
            "lot_registered.coi",
        ),
        (
            of("X", "materialCollected", &json!({"coi": coi})),
            "material_collected.coi",
        ),
        (
            of("X", "coiAssigned", &json!({"coi": coi})),
            "coi_assigned.coi",
        ),
    ] {
        let index = story.tell(DAY, "", kind);
        let one = raised(&story, index, "2027-01-01", "COI_OF_TWO_PATIENTS");
        assert_eq!(one.field, field);
        assert_eq!(about(&one), format!("patient X, coi {coi}"));
    }
    let registered =
        |number: &str, codes: [&str; 2]| lot(number, &json!({"nmpaTraceCodes": codes}));
    story.tell("2026-01-05", "", registered("T", ["81", "82"]));
    let index = story.tell(DAY, "", registered("U", ["83", "82"]));
    let one = raised(&story, index, "2027-01-01", "TRACE_CODE_TWICE");
    assert_eq!(one.field, "lot_registered.nmpa_trace_codes[1]");
}

#[test]
fn each_entry_of_a_review_is_given_what_it_raises_and_nothing_else() {
    let story = car_t();
    let question = story.question("2026-01-15");
    let Ok(about) = story.book.about(&Subject::Catalogue);
    let catalogue = Catalogue::of(&about, &question);
    let mut review = Review::new(&story.book, &catalogue, question);
    let mut raising = 0;
    for fact in story.book.facts() {
        let Ok(raised) = review.of_record(fact);
        assert!(raised.iter().all(|one| one.raised_by.index == fact.index));
        raising += usize::from(!raised.is_empty());
    }
    assert!(9 < raising, "{raising}");
}
