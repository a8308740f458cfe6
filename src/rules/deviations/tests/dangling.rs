//! What records name by their ids, and what is not known of it.

use serde_json::{Value, json};

use super::{DAY, Story, car_t, check, key, lot, treated};
use crate::pb::record::Kind;

const CODE: &str = "DANGLING";

/// The fields of the last record that name what is not known.
fn dangling(story: &Story) -> Vec<String> {
    let last = story.book.facts().last().unwrap().index;
    let raised = story.raised_by(last, "2099-12-31");
    let dangling = raised.into_iter().filter(|one| one.rule.code == CODE);
    dangling.map(|one| one.field.into_owned()).collect()
}

/// A field that names a record, and a record in which it names this one.
type Naming = (&'static str, fn(&str) -> Value);

const NAMING: [Naming; 18] = [
    (
        "links[1].record_id",
        |id| json!({"links": [{}, {"recordId": id}], "riskSignal": {}}),
    ),
    (
        "material_collected.consent",
        |id| json!({"patient": "X", "materialCollected": {"consent": id}}),
    ),
    (
        "administration.coi_verification",
        |id| json!({"patient": "X", "administration": {"coiVerification": id}}),
    ),
    (
        "administration.out_of_specification.regulator_notice",
        |id| json!({"patient": "X", "administration": {"outOfSpecification": {"regulatorNotice": id}}}),
    ),
    (
        "lot_disposition.out_of_specification.regulator_notice",
        |id| json!({"lotDisposition": {"lot": key("L"), "outOfSpecification": {"regulatorNotice": id}}}),
    ),
    (
        "excursion.assessment",
        |id| json!({"excursion": {"items": [{"lot": key("L")}], "assessment": id}}),
    ),
    (
        "patient_split.moved_records[0]",
        |id| json!({"patient": "X", "patientSplit": {"splitPatient": "Z", "movedRecords": [id]}}),
    ),
    (
        "consent_document_version.trigger.communication",
        |id| json!({"consentDocumentVersion": {"family": "F", "trigger": {"communication": id}}}),
    ),
    (
        "follow_up_enrolment.consent",
        |id| json!({"patient": "X", "followUpEnrolment": {"consent": id}}),
    ),
    (
        "follow_up_plan_version.trigger.communication",
        |id| json!({"followUpPlanVersion": {"planId": "P", "trigger": {"communication": id}}}),
    ),
    (
        "follow_up_plan_version.communication",
        |id| json!({"followUpPlanVersion": {"planId": "P", "communication": id}}),
    ),
    (
        "monitoring_decision.communication",
        |id| json!({"patient": "X", "monitoringDecision": {"communication": id}}),
    ),
    (
        "monitoring_decision.communication",
        |id| json!({"monitoringDecision": {"communication": id}}),
    ),
    (
        "sample_collected.consent",
        |id| json!({"patient": "X", "sampleCollected": {"sampleId": "S", "consent": id}}),
    ),
    (
        "assay_result.supersedes",
        |id| json!({"patient": "X", "assayResult": {"sampleId": "S", "supersedes": id}}),
    ),
    ("causality_assessment.evidence[1].record_id", |id| {
        json!({"patient": "X", "causalityAssessment": {"caseId": "C",
                "evidence": [{}, {"recordId": id}]}})
    }),
    (
        "countersigned.target",
        |id| json!({"countersigned": {"target": id}}),
    ),
    (
        "links[0].record_id",
        |id| json!({"links": [{"recordId": id}], "countersigned": {}}),
    ),
];

#[test]
fn every_field_that_names_a_record_is_looked_up() {
    let known = car_t().id_of(|kind| matches!(kind, Kind::Administration(_)));
    let unknown = "ffffffff-ffff-4fff-8fff-ffffffffffff";
    for (field, naming) in NAMING {
        for (id, expected) in [(unknown, vec![field]), (&known, vec![]), ("", vec![])] {
            let mut story = treated();
            story.tell(DAY, "", naming(id));
            assert_eq!(dangling(&story), expected, "{field} {id}");
        }
    }
}

#[test]
fn a_record_that_comes_later_dangles_until_then() {
    let mut story = treated();
    let id = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";
    let index = story.tell(DAY, "", json!({"countersigned": {"target": id}}));
    let before = story.question("2026-02-01");
    assert!(story.codes(index).contains(CODE));
    story.tell(DAY, "", json!({"recordId": id, "riskSignal": {}}));
    assert!(!story.codes(index).contains(CODE));
    let then = story.raised_to(&before);
    let mut of_then = then.iter().filter(|one| one.raised_by.index == index);
    assert!(of_then.any(|one| one.rule.code == CODE), "as known then");
}

#[test]
fn a_lot_is_known_by_the_number_that_it_was_corrected_to() {
    let corrected = || {
        let mut story = treated();
        story.tell("2026-01-04", "", lot("M", &json!({})));
        let id = story.last_id_of(|kind| matches!(kind, Kind::LotRegistered(_)));
        let changes = json!([{"path": "lot_registered.lot", "old": "M", "new": "N"}]);
        story.tell(
            "2026-01-05",
            "",
            json!({"correction": {"target": id, "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
                "changes": changes}}),
        );
        story
    };
    let recalled = |lot: &str| {
        let recall = json!({"recallId": "R", "roots": [key(lot)]});
        (DAY, json!({"recallOpened": recall}))
    };
    check(&corrected, "UNKNOWN_LOT", recalled("M"), recalled("N"));
    let signalled = |gtin: &str| {
        let lot = json!({"gtin": gtin, "lot": "N"});
        (DAY, json!({"riskSignal": {"signalId": "S", "lots": [lot]}}))
    };
    check(
        &corrected,
        "UNKNOWN_LOT",
        signalled("09521123450028"),
        signalled(super::GTIN),
    );
}
