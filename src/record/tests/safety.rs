//! Adverse events, signals, recalls and corrections.

use super::*;

#[test]
fn an_adverse_event_is_refused() {
    refuse(
        "adverse_event",
        &[
            row([("caseId", json!(null))], "adverse_event.case_id REQUIRED"),
            row([("/patient", json!(null))], "patient REQUIRED"),
            row(
                [("subjectKind", json!(null))],
                "adverse_event.subject_kind REQUIRED",
            ),
            row(
                [("term/verbatim", json!(null))],
                "adverse_event.term.verbatim REQUIRED",
            ),
            row(
                [("term/lltCode", json!("1001655"))],
                "adverse_event.term.llt_code MEDDRA_CODE",
            ),
            row(
                [("term/meddraVersion", json!(null))],
                "adverse_event.term.meddra_version VERSION_REQUIRED",
            ),
            row(
                [("endedOn", json!("2026-05-09"))],
                "adverse_event.ended_on END_BEFORE_START",
            ),
            row(
                [("endedOn", json!("2026-12"))],
                "adverse_event.ended_on IN_FUTURE",
            ),
            row(
                [("serious", json!([7]))],
                "adverse_event.serious[0] ENUM_UNKNOWN",
            ),
            row(
                [("grade/value", json!(6))],
                "adverse_event.grade.value TOO_LARGE",
            ),
            row(
                [("grade/value", json!(0))],
                "adverse_event.grade.value TOO_SMALL",
            ),
            row(
                [("newMalignancy", json!(null))],
                "adverse_event.new_malignancy REQUIRED",
            ),
            row(
                [("suspectedRcl", json!(null))],
                "adverse_event.suspected_rcl REQUIRED",
            ),
            row(
                [("suspectLots/0/lot", json!(null))],
                "adverse_event.suspect_lots[0].lot REQUIRED",
            ),
            row(
                [("awareAt", json!("2026-05-09T23:59:59+08:00"))],
                "adverse_event.aware_at AWARE_BEFORE_ONSET",
            ),
            row(
                [("awareAt", json!("2026-11-23"))],
                "adverse_event.aware_at IN_FUTURE",
            ),
        ],
    );
}

#[test]
fn a_judgement_or_a_pregnancy_is_refused() {
    refuse(
        "causality_assessment",
        &[
            row(
                [("category", json!("CAUSALITY_CATEGORY_DEFINITE"))],
                "causality_assessment.category OFF_SCALE",
            ),
            row(
                [("naranjoPoints", json!(14))],
                "causality_assessment.naranjo_points OFF_SCALE",
            ),
            row(
                [("naranjoPoints", json!(-5))],
                "causality_assessment.naranjo_points OFF_SCALE",
            ),
            row(
                [("assessor", json!(null))],
                "causality_assessment.assessor REQUIRED",
            ),
        ],
    );
    refuse(
        "pregnancy_outcome",
        &[
            row(
                [("who", json!("SUBJECT_KIND_OFFSPRING"))],
                "pregnancy_outcome.who PREGNANCY_OF_WHOM",
            ),
            row(
                [("lastMensesOn", json!("2026-11"))],
                "pregnancy_outcome.last_menses_on END_BEFORE_START",
            ),
            row(
                [("result", json!(null))],
                "pregnancy_outcome.result REQUIRED",
            ),
        ],
    );
}

#[test]
fn a_signal_is_refused() {
    refuse(
        "risk_signal",
        &[
            row(
                [("productClasses", json!([]))],
                "risk_signal.product_ids AFFECTED_EMPTY",
            ),
            row(
                [("changesRisk", json!(null))],
                "risk_signal.changes_risk REQUIRED",
            ),
            row(
                [("summary", json!("MRN: 12345678"))],
                "risk_signal.summary PERSONAL_DATA",
            ),
        ],
    );
    refuse(
        "signal_decision",
        &[
            row(
                [("notNeeded", json!(["SIGNAL_ACTION_CONSENT"]))],
                "signal_decision.not_needed[0] NEEDED_AND_NOT",
            ),
            row(
                [("justification", json!(null))],
                "signal_decision.justification REQUIRED",
            ),
        ],
    );
    refuse(
        "regulator_communication",
        &[
            row(
                [("subject", json!(null))],
                "regulator_communication.subject REQUIRED",
            ),
            row(
                [("direction", json!(null))],
                "regulator_communication.direction REQUIRED",
            ),
        ],
    );
    refuse(
        "regulatory_report",
        &[
            row(
                [("submittedOn", json!("2026-11-23"))],
                "regulatory_report.submitted_on IN_FUTURE",
            ),
            row(
                [("reportType", json!(null))],
                "regulatory_report.report_type REQUIRED",
            ),
        ],
    );
}

#[test]
fn a_recall_is_refused() {
    refuse(
        "recall_opened",
        &[
            row([("roots", json!([]))], "recall_opened.roots REQUIRED"),
            row(
                [("recallClass", json!(4))],
                "recall_opened.recall_class ENUM_UNKNOWN",
            ),
            row([("/reason", json!(null))], "reason REASON_REQUIRED"),
        ],
    );
    refuse(
        "recall_notice",
        &[row([("site", json!(null))], "recall_notice.site REQUIRED")],
    );
    refuse(
        "recall_acknowledged",
        &[
            row(
                [("stock/0/shipped", json!(null))],
                "recall_acknowledged.stock[0].shipped REQUIRED",
            ),
            row(
                [("stock/0/used/value", json!("-1"))],
                "recall_acknowledged.stock[0].used.value NEGATIVE",
            ),
        ],
    );
    refuse(
        "recall_closed",
        &[row(
            [("summary", json!(null))],
            "recall_closed.summary REQUIRED",
        )],
    );
}

#[test]
fn a_correction_is_refused() {
    refuse(
        "correction",
        &[
            row([("target", json!(null))], "correction.target REQUIRED"),
            row(
                [("target", json!("999999"))],
                "correction.target UUID_FORMAT",
            ),
            row(
                [("correctionKind", json!(null))],
                "correction.correction_kind REQUIRED",
            ),
            row([("/reason", json!(""))], "reason REASON_REQUIRED"),
            row(
                [("changes/0/path", json!("Sample ID"))],
                "correction.changes[0].path FIELD_PATH",
            ),
            row(
                [("changes/0/new", json!("10"))],
                "correction.changes[0].new NO_CHANGE",
            ),
            row(
                [(
                    "changes",
                    json!([{"path": "reason", "old": "call 13812345678"}]),
                )],
                "correction.changes[0].old PERSONAL_DATA",
            ),
            row(
                [("evidence/sha256", json!(null))],
                "correction.evidence.sha256 REQUIRED",
            ),
        ],
    );
}

#[test]
fn a_record_is_not_corrected_or_signed_by_itself() {
    let mut json = example("correction");
    let (own, target) = (
        json["recordId"].clone(),
        json["correction"]["target"].clone(),
    );
    json["correction"]["replacement"] = target;
    assert_eq!(violations(&json), ["correction.replacement CYCLE"]);
    json["correction"]["replacement"] = own.clone();
    assert_eq!(violations(&json), ["correction.replacement SELF_LINK"]);
    json["correction"]["target"] = own;
    json["correction"]
        .as_object_mut()
        .unwrap()
        .remove("replacement");
    assert_eq!(violations(&json), ["correction.target SELF_LINK"]);

    let mut json = example("countersigned");
    json["countersigned"]["target"] = json["recordId"].clone();
    assert_eq!(violations(&json), ["countersigned.target SELF_LINK"]);

    let mut json = example("assay_result");
    json["assayResult"]["supersedes"] = json["recordId"].clone();
    assert_eq!(violations(&json), ["assay_result.supersedes SELF_LINK"]);
}

#[test]
fn a_countersignature_is_refused() {
    refuse(
        "countersigned",
        &[
            row([("target", json!(null))], "countersigned.target REQUIRED"),
            row(
                [("capacity", json!(null))],
                "countersigned.capacity REQUIRED",
            ),
            row(
                [("recordSha256", json!("AAAA"))],
                "countersigned.record_sha256 LENGTH",
            ),
        ],
    );
}
