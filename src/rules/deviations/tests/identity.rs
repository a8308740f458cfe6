//! Chains of identity: whose product it is, and whether somebody looked.

use serde_json::{Value, json};

use super::{DAY, Story, check, given, key, lot, treated};

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of what is flagged, read from top to bottom"
)]
fn a_product_of_another_patient_is_flagged() {
    let own = json!({"intendedPatient": "X", "coi": "CHZ000126000001", "donorRelation": 1});
    let story = || {
        let mut story = treated();
        story.tell("2026-01-02", "", lot("OWN", &own));
        story.tell(
            "2026-01-02",
            "",
            lot(
                "OTHER",
                &json!({"intendedPatient": "P1", "coi": "CHZ000119000001"}),
            ),
        );
        story
    };
    check(
        &story,
        "COI_MISMATCH_CRITICAL",
        (DAY, given("X", "OTHER")),
        (DAY, given("X", "OWN")),
    );
    let with_coi = |coi: &str| {
        let mut given = given("X", "OWN");
        given["administration"]["coi"] = json!(coi);
        given
    };
    check(
        &story,
        "COI_MISMATCH_CRITICAL",
        (DAY, with_coi("CHZ000126000002")),
        (DAY, with_coi("CHZ000126000001")),
    );
    let mut verified = given("X", "OWN");
    verified["administration"]["coiVerification"] = json!(VERIFIED);
    check(
        &story,
        "COI_VERIFICATION_MISSING",
        (DAY, given("X", "OWN")),
        (DAY, verified),
    );
    let verified = |result: &str, step: &str| {
        json!({"coiVerification": {"coi": "CHZ000126000001", "step": format!("COI_STEP_{step}"),
            "lot": key("OWN"), "result": format!("COI_RESULT_{result}")}, "patient": "X",
            "recordId": "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"})
    };
    let naming = || {
        let mut given = given("X", "OWN");
        given["administration"]["coiVerification"] = json!("aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa");
        given
    };
    for (result, step, code) in [
        ("MATCH", "BEDSIDE", ""),
        ("MISMATCH", "BEDSIDE", "COI_MISMATCH_CRITICAL"),
        ("UNREADABLE", "BEDSIDE", "COI_VERIFICATION_UNFIT"),
        ("MATCH", "THAW", "COI_VERIFICATION_UNFIT"),
    ] {
        let mut story = story();
        story.tell("2026-01-09", "", verified(result, step));
        let index = story.tell(DAY, "", naming());
        let codes = story.codes(index);
        for one in [
            "COI_MISMATCH_CRITICAL",
            "COI_VERIFICATION_UNFIT",
            "DANGLING",
        ] {
            assert_eq!(codes.contains(one), one == code, "{result} {step} {one}");
        }
    }
    let collected = |patient: &str| json!({"materialCollected": {"coi": "CHZ000126000001"}, "patient": patient});
    check(
        &story,
        "COI_OF_TWO_PATIENTS",
        (DAY, collected("P1")),
        (DAY, collected("X")),
    );
}

/// Two patients with a lot each, under chains of their own.
fn two_patients() -> Story {
    let mut story = treated();
    for (patient, number, coi) in [
        ("X", "OF-X", "CHZ000126000001"),
        ("Y", "OF-Y", "CHZ000126000002"),
    ] {
        let own = json!({"intendedPatient": patient, "coi": coi, "donorRelation": 1});
        story.tell("2026-01-02", "", lot(number, &own));
    }
    story
}

const VERIFIED: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";

/// A match at the bedside: of a chain and a lot, with what was read from the person, under a patient.
fn matched(coi: &str, number: &str, read: &str, patient: &str) -> Value {
    json!({"coiVerification": {"coi": coi, "step": "COI_STEP_BEDSIDE", "lot": key(number),
        "labelId": {"system": "IDENTIFIER_SYSTEM_COI", "value": coi},
        "personId": {"system": "IDENTIFIER_SYSTEM_PSEUDONYM", "value": read},
        "result": "COI_RESULT_MATCH"}, "patient": patient, "recordId": VERIFIED})
}

#[test]
fn a_match_with_another_patients_wristband_is_contradicted_and_so_is_what_was_given_on_it() {
    let (own, other) = ("CHZ000126000001", "CHZ000126000002");
    for (what, verified, is_contradicted) in [
        ("own", matched(own, "OF-X", "X", "X"), false),
        (
            "the other's wristband",
            matched(own, "OF-X", "Y", "X"),
            true,
        ),
        ("the other's envelope", matched(own, "OF-X", "Y", "Y"), true),
        (
            "the other's envelope alone",
            matched(own, "OF-X", "X", "Y"),
            true,
        ),
        ("the other's lot", matched(own, "OF-Y", "X", "X"), true),
        (
            "nobody's wristband",
            matched(own, "OF-X", "NOBODY", "X"),
            true,
        ),
    ] {
        let mut story = two_patients();
        let index = story.tell("2026-01-09", "", verified);
        let codes = story.codes(index);
        let have = codes.contains("COI_RESULT_CONTRADICTED");
        assert_eq!(have, is_contradicted, "{what} {codes:?}");
        let mut given = given("X", "OF-X");
        given["administration"]["coiVerification"] = json!(VERIFIED);
        let index = story.tell(DAY, "", given);
        let codes = story.codes(index);
        let have = codes.contains("COI_VERIFICATION_UNFIT");
        assert_eq!(have, is_contradicted, "{what} {codes:?}");
    }
    // All of it is the other's: nothing in it is wrong, but it shows nothing of this patient.
    let mut story = two_patients();
    let index = story.tell("2026-01-09", "", matched(other, "OF-Y", "Y", "Y"));
    assert!(!story.codes(index).contains("COI_RESULT_CONTRADICTED"));
    let mut given = given("X", "OF-X");
    given["administration"]["coiVerification"] = json!(VERIFIED);
    let index = story.tell(DAY, "", given);
    assert!(story.codes(index).contains("COI_VERIFICATION_UNFIT"));
}

#[test]
fn a_chain_that_was_assigned_to_another_contradicts_a_match() {
    let coi = "CHZ000126000003";
    let verified = || matched(coi, "L", "X", "X");
    for (patient, lots, is_contradicted) in [
        ("X", json!([]), false),
        ("Y", json!([]), true),
        ("X", json!([key("L")]), false),
    ] {
        let mut story = treated();
        story.tell(
            "2026-01-05",
            patient,
            json!({"coiAssigned": {"coi": coi, "lots": lots}}),
        );
        let index = story.tell("2026-01-09", "", verified());
        let have = story.codes(index).contains("COI_RESULT_CONTRADICTED");
        assert_eq!(have, is_contradicted, "{patient} {lots}");
    }
    // The lot was assigned to another chain.
    let mut story = treated();
    let assigned = json!({"coiAssigned": {"coi": "CHZ000126000004", "lots": [key("L")]}});
    story.tell("2026-01-05", "X", assigned);
    let index = story.tell("2026-01-09", "", verified());
    assert!(story.codes(index).contains("COI_RESULT_CONTRADICTED"));
}

#[test]
fn a_merged_patient_contradicts_no_match() {
    let mut story = two_patients();
    story.tell(
        "2026-01-08",
        "X",
        json!({"patientMerged": {"mergedPatient": "OLD-X"}}),
    );
    let index = story.tell(
        "2026-01-09",
        "",
        matched("CHZ000126000001", "OF-X", "OLD-X", "X"),
    );
    assert!(!story.codes(index).contains("COI_RESULT_CONTRADICTED"));
}

#[test]
fn a_verification_that_was_taken_back_shows_nothing() {
    let mut story = two_patients();
    story.tell(
        "2026-01-09",
        "",
        matched("CHZ000126000001", "OF-X", "X", "X"),
    );
    let mut given = given("X", "OF-X");
    given["administration"]["coiVerification"] = json!(VERIFIED);
    let index = story.tell(DAY, "", given);
    assert!(!story.codes(index).contains("COI_VERIFICATION_UNFIT"));
    let never = json!({"correction": {"target": VERIFIED, "correctionKind": "CORRECTION_KIND_DID_NOT_OCCUR"}});
    story.tell(DAY, "", never);
    assert!(story.codes(index).contains("COI_VERIFICATION_UNFIT"));
}

#[test]
fn a_lot_of_an_autologous_product_says_whose_it_is() {
    let code = "AUTOLOGOUS_LOT_UNBOUND";
    let bound = || json!({"intendedPatient": "X", "coi": "CHZ000126000001"});
    for field in ["intendedPatient", "coi"] {
        let mut lacking = bound();
        lacking[field] = json!("");
        let bad = lot("UNBOUND", &lacking);
        check(
            &treated,
            code,
            (DAY, bad.clone()),
            (DAY, lot("BOUND", &bound())),
        );
        // What it was made of is not given to anybody.
        let mut vector = bad.clone();
        vector["lotRegistered"]["role"] = json!("LOT_ROLE_VECTOR");
        check(&treated, code, (DAY, bad), (DAY, vector));
    }
    // The lot L names neither, and goes to somebody; as little do X's records say whose an unknown lot is.
    let mut named = given("X", "L");
    named["administration"]["coi"] = json!("CHZ000126000001");
    named["administration"]["coiVerification"] = json!(VERIFIED);
    check(&treated, code, (DAY, given("X", "L")), (DAY, named.clone()));
    let missing = "COI_VERIFICATION_MISSING";
    check(
        &treated,
        missing,
        (DAY, given("X", "L")),
        (DAY, named.clone()),
    );
    check(
        &treated,
        missing,
        (DAY, given("X", "UNKNOWN")),
        (DAY, named),
    );
}

#[test]
fn a_product_that_is_registered_later_or_as_for_many_tells_of_its_lots() {
    let gtin = "09521123459991";
    let code = "AUTOLOGOUS_LOT_UNBOUND";
    let mut story = treated();
    let mut lot = lot("LATER", &json!({}));
    lot["lotRegistered"]["gtin"] = json!(gtin);
    let index = story.tell("2026-01-05", "", lot);
    assert!(!story.codes(index).contains(code));
    let product = |version: u32, autologous: bool| {
        json!({"productRegistered": {"productId": "LATER", "version": version, "gtins": [gtin],
            "autologous": autologous}})
    };
    story.tell("2026-01-06", "", product(1, true));
    assert!(story.codes(index).contains(code));
    story.tell("2026-01-04", "", product(2, false));
    assert!(!story.codes(index).contains(code), "as it was then");
}

#[test]
fn a_verification_that_is_another_patients_by_a_split_contradicts_a_match() {
    let mut story = two_patients();
    let index = story.tell(
        "2026-01-09",
        "",
        matched("CHZ000126000001", "OF-X", "X", "X"),
    );
    assert!(!story.codes(index).contains("COI_RESULT_CONTRADICTED"));
    let split = json!({"patientSplit": {"splitPatient": "Y", "movedRecords": [VERIFIED]}});
    story.tell(DAY, "X", split);
    assert!(story.codes(index).contains("COI_RESULT_CONTRADICTED"));
}

#[test]
fn a_product_is_one_patients_by_its_donor_or_by_who_is_named() {
    let code = "COI_VERIFICATION_MISSING";
    for (relation, intended, missing) in [
        ("AUTOLOGOUS", "", true),
        ("AUTOLOGOUS", "X", true),
        ("ALLOGENEIC_RELATED", "X", true),
        ("ALLOGENEIC_RELATED", "", false),
        ("UNSPECIFIED", "", false),
    ] {
        let mut story = treated();
        // Of a product that is not registered, and so not as autologous.
        let gtin = "09521123450042";
        let own = json!({"gtin": gtin, "intendedPatient": intended,
            "donorRelation": format!("DONOR_RELATION_{relation}")});
        story.tell("2026-01-02", "", lot("OWN", &own));
        let mut given = given("X", "OWN");
        given["administration"]["lot"]["gtin"] = json!(gtin);
        let index = story.tell(DAY, "", given);
        assert_eq!(
            story.codes(index).contains(code),
            missing,
            "{relation} {intended}"
        );
    }
}

#[test]
fn what_is_given_is_of_no_other_patient_and_of_no_other_chain() {
    let code = "COI_MISMATCH_CRITICAL";
    let (own, other, free) = ("CHZ000126000001", "CHZ000119000009", "CHZ000126000003");
    for (intended, made, given_coi, mismatch, why) in [
        ("", "", "", false, "for nobody by name, and of no chain"),
        ("P1", "", "", true, "for another patient"),
        ("X", "", "", false, "for the patient"),
        ("X", own, own, false, "of one chain"),
        ("X", own, "", false, "the chain is not said when given"),
        ("X", "", own, false, "the chain is not on the lot"),
        ("X", own, free, true, "of two chains"),
        ("", other, "", true, "the lot's chain is another patient's"),
        (
            "",
            "",
            other,
            true,
            "the chain that is said is another patient's",
        ),
        ("", free, free, false, "the chain is nobody's yet"),
    ] {
        let mut story = treated();
        let assigned = |coi: &str| json!({"coiAssigned": {"coi": coi}});
        story.tell("2026-01-01", "X", assigned(own));
        story.tell("2026-01-01", "P1", assigned(other));
        let registered = json!({"intendedPatient": intended, "coi": made});
        story.tell("2026-01-02", "", lot("OWN", &registered));
        let mut given = given("X", "OWN");
        given["administration"]["coi"] = json!(given_coi);
        let index = story.tell(DAY, "", given);
        assert_eq!(story.codes(index).contains(code), mismatch, "{why}");
    }
}

#[test]
fn a_chain_is_bound_by_what_names_both_it_and_a_patient() {
    let code = "COI_OF_TWO_PATIENTS";
    let coi = "CHZ000126000005";
    let bound = || {
        let mut story = treated();
        let assigned = json!({"coiAssigned": {"coi": coi}});
        story.tell("2026-01-01", "X", assigned);
        story
    };
    for (kind, two) in [
        (json!({"patient": "P1", "coiAssigned": {"coi": coi}}), true),
        (
            json!({"patient": "P1", "materialCollected": {"coi": coi}}),
            true,
        ),
        (
            lot("NEXT", &json!({"intendedPatient": "P1", "coi": coi})),
            true,
        ),
        // The same patient, or none by name, or another chain.
        (
            json!({"patient": "X", "materialCollected": {"coi": coi}}),
            false,
        ),
        (json!({"materialCollected": {"coi": coi}}), false),
        (lot("NEXT", &json!({"coi": coi})), false),
        (lot("NEXT", &json!({"intendedPatient": "P1"})), false),
        (
            json!({"patient": "P1", "coiVerification": {"coi": coi}}),
            false,
        ),
    ] {
        let mut story = bound();
        let index = story.tell(DAY, "", kind.clone());
        assert_eq!(story.codes(index).contains(code), two, "{kind}");
    }
}

#[test]
fn a_verification_is_of_the_lot_and_the_chain_that_were_given() {
    let code = "COI_VERIFICATION_UNFIT";
    let (own, other) = ("CHZ000126000001", "CHZ000126000002");
    for (on_lot, coi, number, unfit) in [
        (own, own, "OWN", false),
        (own, other, "OWN", true),
        (own, own, "L", true),
        // Of a lot without a chain, whichever was read.
        ("", other, "OWN", false),
        ("", other, "L", true),
    ] {
        let mut story = treated();
        let id = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
        story.tell("2026-01-02", "", lot("OWN", &json!({"coi": on_lot})));
        let verified = json!({"coi": coi, "lot": key(number), "step": "COI_STEP_BEDSIDE",
            "result": "COI_RESULT_MATCH"});
        story.tell(
            "2026-01-09",
            "X",
            json!({"recordId": id, "coiVerification": verified}),
        );
        let mut given = given("X", "OWN");
        given["administration"]["coiVerification"] = json!(id);
        let index = story.tell(DAY, "", given);
        assert_eq!(
            story.codes(index).contains(code),
            unfit,
            "{on_lot} {coi} {number}"
        );
    }
}
