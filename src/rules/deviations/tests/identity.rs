//! Chains of identity: whose product it is, and whether somebody looked.

use serde_json::json;

use super::{DAY, check, given, key, lot, treated};

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
    check(
        &story,
        "COI_VERIFICATION_MISSING",
        (DAY, given("X", "OWN")),
        (DAY, given("X", "L")),
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
        let own = json!({"intendedPatient": intended,
            "donorRelation": format!("DONOR_RELATION_{relation}")});
        story.tell("2026-01-02", "", lot("OWN", &own));
        let index = story.tell(DAY, "", given("X", "OWN"));
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
