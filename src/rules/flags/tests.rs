//! Each flag is raised by an example that is changed in one place, and is in the list of the docs.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::{Value, json};

use super::{Flag, codes, flags, is_within_days};
use crate::{
    pb::{self, Severity},
    record::{
        check, examine,
        tests::{kinds, now, spoilt},
    },
};

fn flags_of(record: &pb::Record) -> Vec<Flag> {
    flags(record, examine(record, now()).unverified, now())
}

fn raised(record: &pb::Record) -> BTreeSet<String> {
    let told = |Flag { code, field, .. }| format!("{code} {field}");
    flags_of(record).into_iter().map(told).collect()
}

/// Demands that a change of an example raises these flags, and no others that it did not raise before.
fn raises(kind: &str, spoils: &[(&'static str, Value)], expected: &[&str]) {
    let record = spoilt(kind, spoils);
    assert_eq!(check(&record, now()), [], "{kind} {spoils:?} is recorded");
    let before = raised(&spoilt(kind, &[]));
    let found: Vec<String> = raised(&record).difference(&before).cloned().collect();
    assert_eq!(found, expected, "{kind} {spoils:?}");
}

#[test]
fn the_envelope_raises() {
    let at = |time: &str| [("/eventTime", json!(time))];
    raises("consent_declined", &at("2026-04-21"), &[]);
    raises(
        "consent_declined",
        &at("2026-04"),
        &["PRECISION_TOO_COARSE event_time"],
    );
    raises(
        "material_collected",
        &at("2026-02-05"),
        &["PRECISION_TOO_COARSE event_time"],
    );
    raises(
        "administration",
        &[("/eventPrecision", json!("EVENT_PRECISION_DAY"))],
        &["PRECISION_TOO_COARSE event_time"],
    );
    let client = |time: &str| [("/clientTime", json!(time))];
    raises("administration", &client("2026-11-22T12:05:00Z"), &[]);
    raises(
        "administration",
        &client("2026-11-22T12:05:01Z"),
        &["CLIENT_CLOCK_SKEW client_time"],
    );
    raises(
        "administration",
        &client("2026-11-22T19:54:59+08:00"),
        &["CLIENT_CLOCK_SKEW client_time"],
    );
    let bare = ("/sourceDoc", json!(null));
    raises(
        "consent_signed",
        std::slice::from_ref(&bare),
        &["SOURCE_DOC_MISSING source_doc"],
    );
    raises(
        "consent_signed",
        &[bare, ("/reason", json!("paper lost in a fire"))],
        &[],
    );
}

#[test]
fn an_unreadable_label_is_raised_wherever_it_is() {
    let unreadable = json!({"quality": "IDENTIFIER_QUALITY_UNREADABLE", "asRead": "a smear"});
    raises(
        "administration",
        &[("lot", unreadable.clone())],
        &["IDENTIFIER_UNVERIFIED administration.lot"],
    );
    raises(
        "shipment",
        &[("items/0/lot", unreadable)],
        &["IDENTIFIER_UNVERIFIED shipment.items[0].lot"],
    );
    let person =
        json!({"system": 10, "quality": "IDENTIFIER_QUALITY_UNREADABLE", "asRead": "a smear"});
    raises(
        "coi_verification",
        &[
            ("personId", person),
            ("result", json!("COI_RESULT_UNREADABLE")),
        ],
        &[
            "COI_UNREADABLE coi_verification.result",
            "IDENTIFIER_UNVERIFIED coi_verification.person_id",
        ],
    );
}

#[test]
fn products_and_lots_raise() {
    raises(
        "actor_registered",
        &[("qualification", json!(null))],
        &["QUALIFICATION_MISSING actor_registered.qualification"],
    );
    raises(
        "product_registered",
        &[("riskProfile/4/state", json!("RISK_STATE_UNKNOWN"))],
        &["RISK_UNKNOWN product_registered.risk_profile[4].state"],
    );
    raises(
        "product_registered",
        &[("followUpDefaultMonths", json!(179))],
        &[
            "FOLLOW_UP_BELOW_GUIDELINE product_registered.follow_up_default_months",
            "FOLLOW_UP_BELOW_ONSET product_registered.follow_up_default_months",
        ],
    );
    let aav = ("productClasses", json!(["PRODUCT_CLASS_AAV"]));
    let onset = ("expectedOnsetMaxMonths", json!(null));
    let months = |months: u32| ("followUpDefaultMonths", json!(months));
    raises(
        "product_registered",
        &[aav.clone(), onset.clone(), months(60)],
        &[],
    );
    raises(
        "product_registered",
        &[aav, onset, months(59)],
        &["FOLLOW_UP_BELOW_GUIDELINE product_registered.follow_up_default_months"],
    );
    raises("lot_registered", &[("expiry", json!("2026-12-23"))], &[]);
    // The example's lot has expired; one that has just been recorded expires soon.
    assert!(raised(&spoilt("lot_registered", &[])).contains("EXPIRY_NEAR lot_registered.expiry"));
    let sec = |expiry: &str| {
        [
            (
                "sec",
                json!(format!("DE123456{:0>13}A0001234001{expiry}", "1")),
            ),
            ("expiry", json!("2027-08-20")),
        ]
    };
    raises("lot_registered", &sec("20270820"), &[]);
    raises("lot_registered", &sec("00000000"), &[]);
    raises(
        "lot_registered",
        &sec("20270821"),
        &["SEC_EXPIRY_DIFFERS lot_registered.sec"],
    );
    raises(
        "lot_disposition",
        &[("certificate", json!(null))],
        &["CERTIFICATE_MISSING lot_disposition.certificate"],
    );
    raises(
        "lot_disposition",
        &[("disposition", json!("DISPOSITION_DESTROYED"))],
        &["DESTRUCTION_UNWITNESSED lot_disposition.witness"],
    );
}

#[test]
fn materials_and_transformations_raise() {
    raises(
        "material_collected",
        &[("consent", json!(null))],
        &["CONSENT_NOT_NAMED material_collected.consent"],
    );
    let other = ("source", json!("DONOR_RELATION_ALLOGENEIC_RELATED"));
    raises(
        "material_collected",
        std::slice::from_ref(&other),
        &["DONOR_TESTS_MISSING material_collected.donor_tests"],
    );
    let test = json!([{"test": {"system": "http://loinc.org", "code": "5196-1"}, "result": 2, "testedOn": "2026-02-01"}]);
    raises(
        "material_collected",
        &[other, ("donorTests", test)],
        &["DONOR_TEST_POSITIVE material_collected.donor_tests[0].result"],
    );
    raises(
        "transformation",
        &[("batchRecord", json!(null))],
        &["BATCH_RECORD_MISSING transformation.batch_record"],
    );
}

#[test]
fn a_verification_of_identity_raises() {
    let raise = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("coi_verification", spoils, expected);
    };
    raise(
        &[("result", json!("COI_RESULT_MISMATCH"))],
        &["COI_VERIFICATION_MISMATCH coi_verification.result"],
    );
    raise(
        &[("labelId/value", json!("CHZ000119000002"))],
        &["COI_RESULT_CONTRADICTED coi_verification.result"],
    );
    raise(
        &[("verifiers", json!(["ana.01", "ana.01"]))],
        &["VERIFIER_TWICE coi_verification.verifiers"],
    );
    raise(
        &[("verifiers", json!(["ana.01"]))],
        &["VERIFIER_ALONE coi_verification.verifiers"],
    );
    raise(
        &[
            ("verifiers", json!(["ana.01"])),
            ("step", json!("COI_STEP_THAW")),
        ],
        &[],
    );
    let typed = ("labelId/quality", json!("IDENTIFIER_QUALITY_TYPED"));
    raise(std::slice::from_ref(&typed), &[]);
    raise(
        &[
            typed,
            ("verifiers", json!(["ana.01"])),
            ("step", json!("COI_STEP_THAW")),
        ],
        &["IDENTIFIER_TYPED_ALONE coi_verification.label_id"],
    );
}

#[test]
fn shipments_raise() {
    raises(
        "shipment",
        &[("logger/minutesOut", json!(1))],
        &["TEMPERATURE_EXCURSION shipment.logger.minutes_out"],
    );
    raises(
        "shipment",
        &[(
            "crossBorder",
            json!({"country": "DE", "approvalNumber": "HGR-1"}),
        )],
        &[],
    );
    raises(
        "shipment",
        &[("crossBorder", json!({"country": "DE"}))],
        &["CROSS_BORDER_UNAPPROVED shipment.cross_border.approval_number"],
    );
    raises(
        "shipment_received",
        &[
            ("condition", json!("CONDITION_DAMAGED")),
            ("discrepancy", json!("one bag short")),
        ],
        &[
            "CONDITION_NOT_CONFORMANT shipment_received.condition",
            "DISCREPANCY shipment_received.discrepancy",
        ],
    );
    raises(
        "custody_transfer",
        &[("condition", json!("CONDITION_OPENED"))],
        &["CONDITION_NOT_CONFORMANT custody_transfer.condition"],
    );
    assert!(raised(&spoilt("excursion", &[])).contains("TEMPERATURE_EXCURSION excursion.logger"));
}

#[test]
fn patients_and_consent_raise() {
    raises(
        "patient_status",
        &[("attempts", json!([]))],
        &["LOST_WITHOUT_ATTEMPT patient_status.attempts"],
    );
    raises(
        "patient_status",
        &[("state", json!("PATIENT_STATE_TRANSFERRED"))],
        &["TRANSFER_SITE_MISSING patient_status.transferred_to"],
    );
    raises(
        "patient_status",
        &[("state", json!("PATIENT_STATE_DECEASED"))],
        &["CAUSE_OF_DEATH_MISSING patient_status.death.cause"],
    );
    let version = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("consent_document_version", spoils, expected);
    };
    let items = |kinds: &[u32]| {
        let items: Vec<Value> = kinds
            .iter()
            .map(|kind| json!({"item": kind, "page": 1}))
            .collect();
        ("items", json!(items))
    };
    let initial = [
        ("changeClass", json!("CHANGE_CLASS_INITIAL")),
        ("supersedes", json!(null)),
    ];
    let [class, supersedes] = initial.clone();
    version(&initial, &[]);
    version(
        &[items(&[1, 2, 3, 4, 5, 6, 7])],
        &["CONSENT_ITEM_MISSING consent_document_version.items"],
    );
    version(
        &[
            class.clone(),
            supersedes.clone(),
            items(&[2, 3, 4, 5, 6, 7, 8]),
        ],
        &["CONSENT_ITEM_MISSING consent_document_version.items"],
    );
    version(
        &[class, supersedes, items(&[1, 2, 3, 4, 5, 6, 7])],
        &["INITIAL_CONSENT_INCOMPLETE consent_document_version.items"],
    );
    version(
        &[("trigger", json!(null))],
        &["TRIGGER_MISSING consent_document_version.trigger"],
    );
    version(
        &[("reconsentDue", json!(null))],
        &["RECONSENT_DUE_MISSING consent_document_version.reconsent_due"],
    );
    version(&[("reconsentDue/days", json!(365))], &[]);
    version(
        &[("reconsentDue/days", json!(366))],
        &["RECONSENT_DUE_LONG consent_document_version.reconsent_due.days"],
    );
    raises(
        "risk_notification",
        &[("outcome", json!("NOTIFICATION_OUTCOME_BOUNCED"))],
        &["NOTIFICATION_BOUNCED risk_notification.outcome"],
    );
}

#[test]
fn signatures_raise() {
    let signed = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("consent_signed", spoils, expected);
    };
    signed(
        &[("copyGiven", json!(false))],
        &["COPY_NOT_GIVEN consent_signed.copy_given"],
    );
    signed(
        &[("discussedBy", json!(null))],
        &["DISCUSSER_MISSING consent_signed.discussed_by"],
    );
    signed(
        &[("discusserSignedOn", json!("2026-04-19"))],
        &["SIGNATURE_DATES_DIFFER consent_signed.discusser_signed_on"],
    );
    signed(&[("discusserSignedOn", json!(null))], &[]);
    signed(
        &[("method", json!("CONSENT_METHOD_VERBAL_WITNESSED"))],
        &["WITNESS_MISSING consent_signed.witness"],
    );
    let relation =
        json!({"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH"});
    signed(
        &[
            ("signatory", json!("SIGNATORY_LAR")),
            ("relation", relation),
        ],
        &["AUTHORITY_DOCUMENT_MISSING consent_signed.authority_document"],
    );
    signed(
        &[("signedDocument", json!(null))],
        &["SIGNED_DOCUMENT_MISSING consent_signed.signed_document"],
    );
    raises(
        "consent_declined",
        &[("discussedBy", json!(null))],
        &["DISCUSSER_MISSING consent_declined.discussed_by"],
    );
}

#[test]
fn administrations_raise() {
    let given = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("administration", spoils, expected);
    };
    given(
        &[("secondChecker", json!(null))],
        &["SECOND_CHECKER_MISSING administration.second_checker"],
    );
    given(
        &[("secondChecker", json!("ana.01"))],
        &["SECOND_CHECKER_SAME_PERSON administration.second_checker"],
    );
    given(
        &[("coiVerification", json!(null))],
        &["COI_VERIFICATION_MISSING administration.coi_verification"],
    );
    given(
        &[("coiVerification", json!(null)), ("coi", json!(null))],
        &[],
    );
    given(&[("weight", json!(null))], &[]);
    given(
        &[
            ("weight", json!(null)),
            ("doseActual/unit", json!("10*6/kg")),
        ],
        &["WEIGHT_MISSING administration.weight"],
    );
    given(
        &[
            ("status", json!("ADMINISTRATION_STATUS_NOT_DONE")),
            ("doseActual", json!(null)),
            ("secondChecker", json!(null)),
            ("coiVerification", json!(null)),
            ("/reason", json!("fever")),
        ],
        &[],
    );
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of codes, each with its yes and its no"
)]
fn plans_and_decisions_raise() {
    raises(
        "follow_up_enrolment",
        &[("consent", json!(null)), ("covariates", json!([]))],
        &[
            "CONSENT_NOT_NAMED follow_up_enrolment.consent",
            "COVARIATES_MISSING follow_up_enrolment.covariates",
        ],
    );
    let plan = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("follow_up_plan_version", spoils, expected);
    };
    let empty = [("methods", json!([])), ("targetEvents", json!([]))];
    let [methods, events] = empty.clone();
    plan(
        &empty,
        &[
            "PLAN_BLOCK_EMPTY follow_up_plan_version.methods",
            "PLAN_BLOCK_EMPTY follow_up_plan_version.target_events",
        ],
    );
    plan(&[methods, events, ("ordinal", json!(2))], &[]);
    plan(
        &[("slots", json!([])), ("parameters", json!({}))],
        &["PLAN_BLOCK_EMPTY follow_up_plan_version.slots"],
    );
    // Visits and samples are each planned by a slot or by an interval.
    for (visit_slot, sample_slot, visit_interval, sample_interval, is_raised) in [
        (true, true, false, false, false),
        (true, false, false, false, true),
        (false, true, false, false, true),
        (false, false, true, true, false),
        (false, false, true, false, true),
        (false, false, false, true, true),
        (true, false, false, true, false),
        (false, true, true, false, false),
    ] {
        let mut record = spoilt("follow_up_plan_version", &[]);
        let Some(pb::record::Kind::FollowUpPlanVersion(plan)) = &mut record.kind else {
            panic!("{record:?}");
        };
        let slot = |kind: pb::SlotKind| pb::PlannedSlot {
            kind: kind.into(),
            ..pb::PlannedSlot::default()
        };
        let visit = visit_slot.then(|| slot(pb::SlotKind::Visit));
        let sample = sample_slot.then(|| slot(pb::SlotKind::Sample));
        plan.slots = visit.into_iter().chain(sample).collect();
        plan.parameters = Some(pb::PlanParameters {
            visit_interval_months: visit_interval.then_some(12),
            sample_interval_months_first_years: sample_interval.then_some(6),
            ..pb::PlanParameters::default()
        });
        let case = (visit_slot, sample_slot, visit_interval, sample_interval);
        let raised = raised(&record).contains("PLAN_BLOCK_EMPTY follow_up_plan_version.slots");
        assert_eq!(raised, is_raised, "{case:?}");
    }
    plan(
        &[("linkedConsent", json!(null))],
        &["LINKED_CONSENT_MISSING follow_up_plan_version.linked_consent"],
    );
    plan(
        &[("parameters/sampleIntervalMonthsFirstYears", json!(7))],
        &[],
    );
    for missing in ["communication", "justification"] {
        plan(
            &[
                (missing, json!(null)),
                ("parameters/sampleIntervalMonthsFirstYears", json!(7)),
                ("parameters/intensiveMonths", json!(59)),
            ],
            &[
                "LOOSER_THAN_GUIDELINE follow_up_plan_version.parameters.intensive_months",
                "LOOSER_THAN_GUIDELINE follow_up_plan_version.parameters.sample_interval_months_first_years",
            ],
        );
    }
    for (decision, code) in [
        ("EXTEND", Some("COMMUNICATION_MISSING")),
        ("SHORTEN", Some("LESS_MONITORING_UNCOMMUNICATED")),
        ("WAIVE", Some("LESS_MONITORING_UNCOMMUNICATED")),
        ("STOP", Some("LESS_MONITORING_UNCOMMUNICATED")),
        ("INTENSIFY", None),
        ("RESUME", None),
    ] {
        let decision = json!(format!("MONITORING_DECISION_KIND_{decision}"));
        let expected = code.map(|code| format!("{code} monitoring_decision.communication"));
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        raises(
            "monitoring_decision",
            &[("decision", decision), ("communication", json!(null))],
            &expected,
        );
    }
}

#[test]
fn visits_and_samples_raise() {
    let visit = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("follow_up_visit", spoils, expected);
    };
    // Whether a visit must have all of its blocks depends on when it was held.
    visit(&[("blocks", json!([{"block": 1, "status": 1}]))], &[]);
    visit(
        &[("blocks/3/status", json!("BLOCK_STATUS_NOT_DONE"))],
        &["BLOCK_NOT_DONE follow_up_visit.blocks[3].status"],
    );
    visit(
        &[("exposures/0/mutagenic", json!(true))],
        &["MUTAGENIC_EXPOSURE follow_up_visit.exposures[0]"],
    );
    visit(
        &[("reached", json!(false)), ("blocks", json!([]))],
        &["NOT_REACHED follow_up_visit.reached"],
    );
    raises(
        "follow_up_contact",
        &[("reached", json!(false))],
        &["NOT_REACHED follow_up_contact.reached"],
    );
    raises(
        "sample_collected",
        &[("surrogateJustification", json!(null))],
        &["SURROGATE_UNJUSTIFIED sample_collected.surrogate_justification"],
    );
    raises(
        "sample_event",
        &[("event", json!("SAMPLE_EVENT_KIND_RELABELLED"))],
        &["RELABELLED_WITHOUT_NEW_ID sample_event.new_sample_id"],
    );
}

#[test]
fn assays_raise() {
    raises(
        "assay_method_version",
        &[("lod", json!(null)), ("validationReport", json!(null))],
        &[
            "METHOD_UNVALIDATED assay_method_version.lod",
            "METHOD_UNVALIDATED assay_method_version.validation_report",
        ],
    );
    let result = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("assay_result", spoils, expected);
    };
    result(
        &[("controls/negative", json!("CONTROL_OUTCOME_FAIL"))],
        &["CONTROL_FAILED assay_result.controls"],
    );
    result(
        &[
            ("controls/negative", json!("CONTROL_OUTCOME_FAIL")),
            ("findings", json!(["FINDING_INVALID"])),
        ],
        &[],
    );
    result(
        &[("sites/0/databases/0/version", json!(null))],
        &["DATABASE_VERSION_MISSING assay_result.sites[0].databases"],
    );
    let fraction = ("positiveFractionPercent", json!("5"));
    let no_lod = ("lod", json!(null));
    for (finding, flag) in [
        ("WITHIN_EXPECTED", None),
        ("VECTOR_NOT_DETECTED", Some("LOD_MISSING assay_result.lod")),
        (
            "ABOVE_EXPECTED",
            Some("ABOVE_EXPECTED assay_result.findings[0]"),
        ),
        (
            "OFF_TARGET_EXCESS",
            Some("OFF_TARGET_EXCESS assay_result.findings[0]"),
        ),
        ("MONOCLONAL", Some("CLONAL_GROWTH assay_result.findings[0]")),
        (
            "INTEGRATION_NEAR_ONCOGENE",
            Some("NEAR_ONCOGENE assay_result.findings[0]"),
        ),
        (
            "RCL_POSITIVE",
            Some("RCL_POSITIVE assay_result.findings[0]"),
        ),
    ] {
        let findings = ("findings", json!([format!("FINDING_{finding}")]));
        let record = spoilt(
            "assay_result",
            &[findings, fraction.clone(), no_lod.clone()],
        );
        assert_eq!(
            raised(&record),
            flag.map(str::to_owned).into_iter().collect(),
            "{finding}"
        );
    }
    let above = spoilt(
        "assay_result",
        &[("findings", json!(["FINDING_WITHIN_EXPECTED"]))],
    );
    assert_eq!(
        raised(&above),
        ["FRACTION_WITHOUT_FINDING assay_result.findings".to_owned()].into()
    );
}

#[test]
fn safety_raises() {
    let suspected = raised(&spoilt("adverse_event", &[]));
    assert_eq!(
        suspected,
        ["SUSPECTED_RCL adverse_event.suspected_rcl".to_owned()].into()
    );
    raises(
        "adverse_event",
        &[("newMalignancy", json!(true)), ("suspectLots", json!([]))],
        &[
            "LOT_MISSING adverse_event.suspect_lots",
            "NEW_MALIGNANCY_WITHOUT_SAMPLE adverse_event.malignancy_sample_id",
        ],
    );
    raises(
        "causality_assessment",
        &[("evidence", json!([]))],
        &["EVIDENCE_MISSING causality_assessment.evidence"],
    );
    raises(
        "regulator_communication",
        &[("document", json!(null))],
        &["DOCUMENT_MISSING regulator_communication.document"],
    );
    raises(
        "regulatory_report",
        &[("dueOn", json!("2026-08-19")), ("document", json!(null))],
        &[
            "DOCUMENT_MISSING regulatory_report.document",
            "REPORT_LATE regulatory_report.submitted_on",
        ],
    );
    raises(
        "regulatory_report",
        &[("submittedOn", json!(null)), ("document", json!(null))],
        &[],
    );
    for (due, submitted, is_late) in [
        ("2026-08-19", "2026-08-18", false),
        ("2026-08-19", "2026-08-19", false),
        ("2026-08-19", "2026-08-20", true),
        ("", "2026-08-20", false),
        ("2026-08-19", "", false),
    ] {
        let mut record = spoilt("regulatory_report", &[]);
        let Some(pb::record::Kind::RegulatoryReport(report)) = &mut record.kind else {
            panic!("{record:?}");
        };
        report.due_on = due.to_owned();
        report.submitted_on = submitted.to_owned();
        let late = raised(&record).contains("REPORT_LATE regulatory_report.submitted_on");
        assert_eq!(late, is_late, "{due} {submitted}");
    }
    raises(
        "correction",
        &[("correctionKind", json!("CORRECTION_KIND_WRONG_PATIENT"))],
        &["WRONG_PATIENT correction.correction_kind"],
    );
}

#[test]
fn a_recalled_lot_is_counted() {
    let count = |spoils: &[(&'static str, Value)], expected: &[&str]| {
        raises("recall_acknowledged", spoils, expected);
    };
    count(&[("stock/0/shipped/value", json!("2.0"))], &[]);
    count(
        &[("stock/0/shipped/value", json!("2.1"))],
        &["STOCK_UNACCOUNTED recall_acknowledged.stock[0]"],
    );
    count(
        &[("stock/0/shipped/value", json!("1.9"))],
        &["STOCK_EXCEEDS recall_acknowledged.stock[0]"],
    );
    count(&[("stock/0/shipped/unit", json!("mL"))], &[]);
    count(
        &[("patientAction", json!(null))],
        &["PATIENT_ACTION_MISSING recall_acknowledged.patient_action"],
    );
    raises(
        "recall_closed",
        &[("stock/0/used", json!(null))],
        &["STOCK_UNACCOUNTED recall_closed.stock[0]"],
    );
}

#[test]
fn what_the_ledger_writes_for_itself_raises_nothing() {
    for kind in kinds() {
        for flag in flags_of(&spoilt(&kind, &[])) {
            assert!(
                flag.severity != Severity::Unspecified
                    && flag.field.starts_with(|c: char| c.is_lowercase())
            );
        }
    }
    for kind in ["genesis", "key_registered", "key_rotated", "key_revoked"] {
        assert_eq!(raised(&spoilt(kind, &[])), BTreeSet::new(), "{kind}");
    }
}

#[test]
fn the_list_in_the_docs_is_this_list() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/flags.md");
    let told = |severity| match severity {
        Severity::Info => "INFO",
        Severity::Deviation => "DEVIATION",
        Severity::Critical => "CRITICAL",
        Severity::Unspecified => panic!("a flag has a severity"),
    };
    let all = || codes::ALONE.iter().chain(codes::ACROSS);
    let rows: Vec<String> = all()
        .map(|rule| {
            format!(
                "| `{}` | {} | {} |",
                rule.code,
                told(rule.severity),
                rule.text
            )
        })
        .collect();
    let docs = fs::read_to_string(path).unwrap();
    let listed: Vec<&str> = docs
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert_eq!(listed, rows);
    let different: BTreeSet<&str> = all().map(|rule| rule.code).collect();
    assert_eq!(different.len(), all().count());
}

#[test]
fn a_time_is_within_days_before_the_last_of_them_is_over() {
    let after = "2026-01-01T00:00:00Z".parse().unwrap();
    for (text, expected) in [
        ("2025-12-01T00:00:00Z", true),
        ("2026-01-08T23:59:59Z", true),
        ("2026-01-09T00:00:00Z", false),
        ("2026-01-09T00:00:01Z", false),
        ("2026-02-01", false),
        ("", false),
        ("soon", false),
    ] {
        assert_eq!(is_within_days(text, after, 8), expected, "{text}");
    }
}
