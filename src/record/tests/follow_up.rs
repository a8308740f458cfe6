//! Administrations, follow-up, samples and assays.

use super::*;

#[test]
fn an_administration_is_refused() {
    refuse(
        "administration",
        &[
            row([("lot", json!(null))], "administration.lot REQUIRED"),
            row(
                [("lot/gtin", json!("09521123450012"))],
                "administration.lot.gtin GTIN_CHECK_DIGIT",
            ),
            row(
                [("serials", json!([""]))],
                "administration.serials[0] REQUIRED",
            ),
            row(
                [("coi", json!("CHO000119000001"))],
                "administration.coi COI_GRAMMAR",
            ),
            row(
                [("coiVerification", json!("1"))],
                "administration.coi_verification UUID_FORMAT",
            ),
            row(
                [("endedAt", json!("2026-03-10T08:59:59+08:00"))],
                "administration.ended_at END_BEFORE_START",
            ),
            row(
                [("endedAt", json!("2026-12-10T09:00:00+08:00"))],
                "administration.ended_at IN_FUTURE",
            ),
            row(
                [("dosePlanned/value", json!("0"))],
                "administration.dose_planned.value NOT_POSITIVE",
            ),
            row(
                [("doseActual/value", json!("-118000000"))],
                "administration.dose_actual.value NOT_POSITIVE",
            ),
            row(
                [("doseActual/value", json!("1.2e8"))],
                "administration.dose_actual.value DECIMAL_FORMAT",
            ),
            row(
                [("doseActual/unit", json!("cells"))],
                "administration.dose_actual.unit UCUM_UNKNOWN_UNIT",
            ),
            alone(
                [("doseActual", json!(null))],
                "administration.dose_actual DOSE_REQUIRED",
            ),
            alone(
                [
                    ("status", json!("ADMINISTRATION_STATUS_NOT_DONE")),
                    ("/reason", json!("fever")),
                ],
                "administration.dose_actual DOSE_OF_NOT_DONE",
            ),
            row(
                [("weight/value", json!("0"))],
                "administration.weight.value NOT_POSITIVE",
            ),
            row(
                [("weight/unit", json!("g"))],
                "administration.weight.unit UNIT",
            ),
            row([("route", json!(null))], "administration.route REQUIRED"),
            row(
                [("doseNumber", json!(0))],
                "administration.dose_number TOO_SMALL",
            ),
            row(
                [("performer", json!(null))],
                "administration.performer REQUIRED",
            ),
            row(
                [("outOfSpecification", json!({}))],
                "administration.out_of_specification.justification REQUIRED",
            ),
        ],
    );
}

#[test]
fn what_was_not_given_as_planned_has_a_reason() {
    for status in ["PARTIAL", "NOT_DONE", "STOPPED"] {
        let mut json = example("administration");
        json["administration"]["status"] = json!(format!("ADMINISTRATION_STATUS_{status}"));
        if status == "NOT_DONE" {
            json["administration"]
                .as_object_mut()
                .unwrap()
                .remove("doseActual");
        }
        assert_eq!(violations(&json), ["reason REASON_REQUIRED"], "{status}");
        json["reason"] = json!("reaction to the infusion");
        assert_eq!(violations(&json), [""; 0], "{status}");
    }
}

#[test]
fn a_plan_is_refused() {
    refuse(
        "follow_up_enrolment",
        &[
            row(
                [("planId", json!(null))],
                "follow_up_enrolment.plan_id REQUIRED",
            ),
            row(
                [("consent", json!("x"))],
                "follow_up_enrolment.consent UUID_FORMAT",
            ),
            row(
                [("claimedEndOn", json!("2041-02-29"))],
                "follow_up_enrolment.claimed_end_on DATE_NOT_IN_CALENDAR",
            ),
            row([("/patient", json!(null))], "patient REQUIRED"),
        ],
    );
    refuse(
        "follow_up_plan_version",
        &[
            row(
                [("ordinal", json!(0))],
                "follow_up_plan_version.ordinal TOO_SMALL",
            ),
            row(
                [("parameters/sampleIntervalMonthsAfter", json!(0))],
                "follow_up_plan_version.parameters.sample_interval_months_after TOO_SMALL",
            ),
            row(
                [("parameters/expectedMaxPercent", json!("-1"))],
                "follow_up_plan_version.parameters.expected_max_percent NOT_A_PERCENTAGE",
            ),
            row(
                [("parameters/assentMonths", json!(216))],
                "follow_up_plan_version.parameters.assent_months ASSENT_AFTER_MAJORITY",
            ),
            row(
                [("slots/1/slot", json!("M6"))],
                "follow_up_plan_version.slots[1] DUPLICATE",
            ),
            row(
                [("slots/0/purposes", json!([]))],
                "follow_up_plan_version.slots[0].purposes PURPOSE_REQUIRED",
            ),
            alone(
                [("addedObligations/0/intervalMonths", json!(6))],
                "follow_up_plan_version.added_obligations[0].once ONCE_OR_INTERVAL",
            ),
            alone(
                [("addedObligations/0/once", json!(false))],
                "follow_up_plan_version.added_obligations[0].once ONCE_OR_INTERVAL",
            ),
            row(
                [("scope", json!({}))],
                "follow_up_plan_version.scope.all_treated SCOPE_EMPTY",
            ),
            row(
                [("linkedConsent/family", json!(null))],
                "follow_up_plan_version.linked_consent.family REQUIRED",
            ),
        ],
    );
    refuse(
        "plan_activated",
        &[
            row(
                [("effectiveFrom", json!("2026-01-24"))],
                "plan_activated.effective_from EFFECTIVE_BEFORE_APPROVAL",
            ),
            alone(
                [("effectiveTo", json!("2026-01-31"))],
                "plan_activated.effective_to END_BEFORE_START",
            ),
        ],
    );
}

#[test]
fn a_visit_or_a_contact_is_refused() {
    refuse(
        "follow_up_visit",
        &[
            row([("mode", json!(null))], "follow_up_visit.mode REQUIRED"),
            row(
                [("blocks/5/block", json!("VISIT_BLOCK_KIND_HISTORY"))],
                "follow_up_visit.blocks[5] DUPLICATE",
            ),
            row(
                [("blocks/1/status", json!(null))],
                "follow_up_visit.blocks[1].status REQUIRED",
            ),
            row(
                [("exposures/0/to", json!("2026-04"))],
                "follow_up_visit.exposures[0].to END_BEFORE_START",
            ),
            row(
                [("exposures/0/drug", json!(null))],
                "follow_up_visit.exposures[0].drug EXPOSURE_TO_NOTHING",
            ),
            row(
                [("reached", json!(null))],
                "follow_up_visit.reached REQUIRED",
            ),
            row(
                [("reporter", json!(null))],
                "follow_up_visit.reporter REQUIRED",
            ),
        ],
    );
    refuse(
        "follow_up_contact",
        &[
            row([("mode", json!(null))], "follow_up_contact.mode REQUIRED"),
            row(
                [("purpose", json!(null))],
                "follow_up_contact.purpose REQUIRED",
            ),
            row(
                [("reached", json!(null))],
                "follow_up_contact.reached REQUIRED",
            ),
        ],
    );
}

#[test]
fn a_decision_on_monitoring_is_refused() {
    refuse(
        "monitoring_decision",
        &[
            row(
                [("/actorRole", json!("ACTOR_ROLE_INVESTIGATOR"))],
                "actor_role DECISION_BY_ROLE",
            ),
            row(
                [("justification", json!(null))],
                "monitoring_decision.justification REQUIRED",
            ),
            row(
                [("productId", json!(null))],
                "monitoring_decision.scope SCOPE_REQUIRED",
            ),
            row(
                [("sampleIntervalMonths", json!(0))],
                "monitoring_decision.sample_interval_months TOO_SMALL",
            ),
        ],
    );
    refuse(
        "sampling_waiver",
        &[
            row(
                [("purposes", json!([]))],
                "sampling_waiver.purposes REQUIRED",
            ),
            row(
                [("justification", json!(" "))],
                "sampling_waiver.justification REQUIRED",
            ),
            row(
                [("substitute", json!(null))],
                "sampling_waiver.substitute REQUIRED",
            ),
            row(
                [("validTo", json!("2026-03-09"))],
                "sampling_waiver.valid_to END_BEFORE_START",
            ),
        ],
    );
}

#[test]
fn an_investigator_may_intensify_monitoring_and_nothing_else() {
    for decision in ["EXTEND", "SHORTEN", "WAIVE", "STOP", "INTENSIFY", "RESUME"] {
        let mut json = example("monitoring_decision");
        json["actorRole"] = json!("ACTOR_ROLE_INVESTIGATOR");
        json["monitoringDecision"]["decision"] =
            json!(format!("MONITORING_DECISION_KIND_{decision}"));
        assert_eq!(
            violations(&json).is_empty(),
            decision == "INTENSIFY",
            "{decision}"
        );
    }
}

#[test]
fn a_sample_is_refused() {
    refuse(
        "sample_collected",
        &[
            row(
                [("sampleId", json!("SMP 001"))],
                "sample_collected.sample_id TOKEN_CHARACTER",
            ),
            row(
                [("purposes", json!([]))],
                "sample_collected.purposes REQUIRED",
            ),
            row(
                [("specimen", json!(null))],
                "sample_collected.specimen REQUIRED",
            ),
            row(
                [("surrogate", json!(null))],
                "sample_collected.surrogate REQUIRED",
            ),
            row(
                [("volume/value", json!("-0.1"))],
                "sample_collected.volume.value NEGATIVE",
            ),
            row(
                [("label/value", json!(null))],
                "sample_collected.label.value REQUIRED",
            ),
            row(
                [("/eventTime", json!("2027-01-01"))],
                "event_time IN_FUTURE",
            ),
        ],
    );
    refuse(
        "sample_event",
        &[
            row(
                [("event", json!("SAMPLE_EVENT_KIND_REJECTED"))],
                "reason REASON_REQUIRED",
            ),
            row(
                [("event", json!("SAMPLE_EVENT_KIND_DESTROYED"))],
                "reason REASON_REQUIRED",
            ),
            row(
                [("newSampleId", json!("SMP-001"))],
                "sample_event.new_sample_id SAME_SAMPLE",
            ),
            row(
                [("position/facility", json!(null))],
                "sample_event.position.facility REQUIRED",
            ),
            row(
                [("temperature/unit", json!("K"))],
                "sample_event.temperature.unit UNIT",
            ),
            row(
                [("volumeUsed", json!({"value": "-1", "unit": "mL"}))],
                "sample_event.volume_used.value NEGATIVE",
            ),
        ],
    );
}

#[test]
fn an_assay_is_refused() {
    refuse(
        "assay_method_version",
        &[
            row(
                [("lod/value", json!("-1"))],
                "assay_method_version.lod.value NEGATIVE",
            ),
            row(
                [("sensitivityPercent", json!("101"))],
                "assay_method_version.sensitivity_percent NOT_A_PERCENTAGE",
            ),
            row(
                [("specificityPercent", json!("-1"))],
                "assay_method_version.specificity_percent NOT_A_PERCENTAGE",
            ),
            row(
                [("reproducibilityPercent", json!("-8"))],
                "assay_method_version.reproducibility_percent NEGATIVE",
            ),
            row(
                [("validatedOn", json!("2026-12-01"))],
                "assay_method_version.validated_on IN_FUTURE",
            ),
        ],
    );
    refuse(
        "assay_result",
        &[
            row(
                [("method/methodId", json!(null))],
                "assay_result.method.method_id REQUIRED",
            ),
            row(
                [("controls/negative", json!(null))],
                "assay_result.controls.negative REQUIRED",
            ),
            row(
                [("value", json!({}))],
                "assay_result.value.outcome REQUIRED",
            ),
            row(
                [("value/amount/unit", json!("copies"))],
                "assay_result.value.amount.unit UCUM_UNKNOWN_UNIT",
            ),
            row(
                [("positiveFractionPercent", json!("100.1"))],
                "assay_result.positive_fraction_percent NOT_A_PERCENTAGE",
            ),
            row([("findings", json!([]))], "assay_result.findings REQUIRED"),
            row(
                [("clones/1/abundancePercent", json!("66.6"))],
                "assay_result.clones CLONES_OVER_100_PERCENT",
            ),
            row(
                [("clones/1/rank", json!(1))],
                "assay_result.clones[1] DUPLICATE",
            ),
            row(
                [("sites/0/position", json!("0"))],
                "assay_result.sites[0].position TOO_SMALL",
            ),
            row(
                [("sites/0/chromosome", json!("23"))],
                "assay_result.sites[0].chromosome CHROMOSOME_UNKNOWN",
            ),
            row(
                [("sites/0/chromosome", json!(null))],
                "assay_result.sites[0].chromosome REQUIRED",
            ),
            row(
                [(
                    "offTarget",
                    json!({"onTargetPercent": "80", "offTargetPercent": "100.5"}),
                )],
                "assay_result.off_target.off_target_percent NOT_A_PERCENTAGE",
            ),
            alone(
                [("/eventTime", json!("2026-12-01"))],
                "event_time IN_FUTURE",
            ),
        ],
    );
}

#[test]
fn clones_may_make_a_little_more_than_all_by_rounding() {
    for (share, holds) in [("66", true), ("66.5", true), ("66.51", false)] {
        let mut json = example("assay_result");
        json["assayResult"]["clones"][1]["abundancePercent"] = json!(share);
        assert_eq!(violations(&json).is_empty(), holds, "{share}");
    }
}

#[test]
fn findings_that_cannot_hold_at_once_are_refused() {
    for (findings, holds) in [
        (&["WITHIN_EXPECTED"][..], true),
        (
            &["ABOVE_EXPECTED", "DOMINANT_CLONE", "CLONAL_EXPANSION"],
            true,
        ),
        (&["DOMINANT_CLONE", "MONOCLONAL"], true),
        (&["WITHIN_EXPECTED", "VECTOR_NOT_DETECTED"], true),
        (&["VECTOR_NOT_DETECTED", "RCL_NEGATIVE"], true),
        (&["INVALID"], true),
        (&["INVALID", "INCONCLUSIVE"], true),
        (&["RCL_POSITIVE", "RCL_NEGATIVE"], false),
        (&["WITHIN_EXPECTED", "ABOVE_EXPECTED"], false),
        (&["VECTOR_NOT_DETECTED", "ABOVE_EXPECTED"], false),
        (&["VECTOR_NOT_DETECTED", "DOMINANT_CLONE"], false),
        (&["VECTOR_NOT_DETECTED", "MONOCLONAL"], false),
        (&["VECTOR_NOT_DETECTED", "CLONAL_EXPANSION"], false),
        (&["VECTOR_NOT_DETECTED", "INTEGRATION_NEAR_ONCOGENE"], false),
        (&["INVALID", "RCL_NEGATIVE"], false),
        (&["INVALID", "WITHIN_EXPECTED"], false),
    ] {
        let mut json = example("assay_result");
        let names: Vec<String> = findings
            .iter()
            .map(|name| format!("FINDING_{name}"))
            .collect();
        json["assayResult"]["findings"] = json!(names);
        let expected: &[&str] = if holds {
            &[]
        } else {
            &["assay_result.findings FINDINGS_CONTRADICT"]
        };
        assert_eq!(violations(&json), expected, "{findings:?}");
    }
}
