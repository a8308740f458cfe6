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
