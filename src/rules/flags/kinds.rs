//! What each kind raises by itself, row by row of the dictionary's column "flag if".

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{FlagRule, Raised, codes, is_within_days};
use crate::{
    pb::{self, record::Kind},
    record::format::{Decimal, EventTime},
};

#[expect(clippy::too_many_lines, reason = "one arm for each kind")]
pub(super) fn of_kind(
    record: &pb::Record,
    kind: &Kind,
    recorded_at: DateTime<Utc>,
    raised: &mut Raised,
) {
    match kind {
        Kind::ActorRegistered(actor) => actor_registered(actor, raised),
        Kind::ProductRegistered(product) => product_registered(product, raised),
        Kind::LotRegistered(lot) => lot_registered(lot, recorded_at, raised),
        Kind::LotDisposition(disposition) => lot_disposition(disposition, raised),
        Kind::MaterialCollected(material) => material_collected(material, raised),
        Kind::Transformation(step) => {
            raised.when(
                step.batch_record.is_none(),
                codes::BATCH_RECORD_MISSING,
                "batch_record",
            );
        }
        Kind::CoiVerification(verification) => coi_verification(verification, raised),
        Kind::Shipment(shipment) => shipment_sent(shipment, raised),
        Kind::ShipmentReceived(shipment) => shipment_received(shipment, raised),
        Kind::CustodyTransfer(transfer) => condition(transfer.condition(), raised),
        Kind::Excursion(_) => raised.when(true, codes::TEMPERATURE_EXCURSION, "logger"),
        Kind::PatientStatus(status) => patient_status(status, raised),
        Kind::ConsentDocumentVersion(version) => consent_version(version, raised),
        Kind::ConsentSigned(signed) => consent_signed(record, signed, raised),
        Kind::ConsentDeclined(declined) => {
            raised.when(
                declined.discussed_by.is_empty(),
                codes::DISCUSSER_MISSING,
                "discussed_by",
            );
        }
        Kind::RiskNotification(notification) => {
            let bounced = notification.outcome() == pb::NotificationOutcome::Bounced;
            raised.when(bounced, codes::NOTIFICATION_BOUNCED, "outcome");
        }
        Kind::Administration(administration) => administered(administration, raised),
        Kind::FollowUpEnrolment(enrolment) => {
            raised.when(
                enrolment.consent.is_empty(),
                codes::CONSENT_NOT_NAMED,
                "consent",
            );
            raised.when(
                enrolment.covariates.is_empty(),
                codes::COVARIATES_MISSING,
                "covariates",
            );
        }
        Kind::FollowUpPlanVersion(plan) => plan_version(plan, raised),
        Kind::FollowUpVisit(visit) => visit_held(visit, raised),
        Kind::FollowUpContact(contact) => {
            raised.when(
                contact.reached == Some(false),
                codes::NOT_REACHED,
                "reached",
            );
            exposures(&contact.exposures, raised);
        }
        Kind::MonitoringDecision(decision) => monitoring_decision(decision, raised),
        Kind::SampleCollected(sample) => {
            let bare =
                sample.surrogate == Some(true) && sample.surrogate_justification.trim().is_empty();
            raised.when(
                bare,
                codes::SURROGATE_UNJUSTIFIED,
                "surrogate_justification",
            );
        }
        Kind::SampleEvent(event) => {
            let nameless =
                event.event() == pb::SampleEventKind::Relabelled && event.new_sample_id.is_empty();
            raised.when(nameless, codes::RELABELLED_WITHOUT_NEW_ID, "new_sample_id");
        }
        Kind::AssayMethodVersion(method) => assay_method(method, raised),
        Kind::AssayResult(result) => assay_result(result, raised),
        Kind::AdverseEvent(event) => adverse_event(event, raised),
        Kind::CausalityAssessment(assessment) => {
            raised.when(
                assessment.evidence.is_empty(),
                codes::EVIDENCE_MISSING,
                "evidence",
            );
        }
        Kind::RegulatorCommunication(communication) => {
            raised.when(
                communication.document.is_none(),
                codes::DOCUMENT_MISSING,
                "document",
            );
        }
        Kind::RegulatoryReport(report) => regulatory_report(report, raised),
        Kind::RecallAcknowledged(recall) => recall_acknowledged(recall, raised),
        Kind::RecallClosed(recall) => stock(&recall.stock, raised),
        Kind::Correction(correction) => {
            let wrong = correction.correction_kind() == pb::CorrectionKind::WrongPatient;
            raised.when(wrong, codes::WRONG_PATIENT, "correction_kind");
        }
        // These raise nothing by themselves.
        Kind::Genesis(_)
        | Kind::KeyRegistered(_)
        | Kind::KeyRotated(_)
        | Kind::KeyRevoked(_)
        | Kind::RoleChanged(_)
        | Kind::DelegationGranted(_)
        | Kind::OrganisationRegistered(_)
        | Kind::CoiAssigned(_)
        | Kind::StorageMoved(_)
        | Kind::ProductReturned(_)
        | Kind::ProductDestroyed(_)
        | Kind::PatientRegistered(_)
        | Kind::PatientMerged(_)
        | Kind::PatientSplit(_)
        | Kind::ConsentVersionActivated(_)
        | Kind::ConsentWithdrawn(_)
        | Kind::PlanActivated(_)
        | Kind::SamplingWaiver(_)
        | Kind::PregnancyOutcome(_)
        | Kind::RiskSignal(_)
        | Kind::SignalDecision(_)
        | Kind::RecallOpened(_)
        | Kind::RecallNotice(_)
        | Kind::Countersigned(_)
        | Kind::LogCustodyTransferred(_)
        | Kind::AlgorithmMigrated(_)
        | Kind::ClockEvent(_)
        | Kind::SystemConfigChanged(_)
        | Kind::DocumentRegistered(_) => {}
    }
}

fn actor_registered(actor: &pb::ActorRegistered, raised: &mut Raised) {
    let investigator = actor
        .roles()
        .any(|role| role == pb::ActorRole::Investigator);
    let bare = investigator && actor.qualification.is_none();
    raised.when(bare, codes::QUALIFICATION_MISSING, "qualification");
}

fn product_registered(product: &pb::ProductRegistered, raised: &mut Raised) {
    for (item, risk) in product.risk_profile.iter().enumerate() {
        let unknown = risk.state() == pb::RiskState::Unknown;
        raised.when(
            unknown,
            codes::RISK_UNKNOWN,
            &format!("risk_profile[{item}].state"),
        );
    }
    let followed = product.follow_up_default_months.unwrap_or_default();
    let asked = product
        .product_classes()
        .map(guideline_months)
        .max()
        .unwrap_or_default();
    let field = "follow_up_default_months";
    raised.when(followed < asked, codes::FOLLOW_UP_BELOW_GUIDELINE, field);
    let onset = product.expected_onset_max_months.unwrap_or_default();
    raised.when(followed < onset, codes::FOLLOW_UP_BELOW_ONSET, field);
}

/// How long the guideline follows the patients of a class (R-D3), in months; 0 where it names no number.
pub(in crate::rules) const fn guideline_months(class: pb::ProductClass) -> u32 {
    match class {
        pb::ProductClass::Gammaretro
        | pb::ProductClass::Lenti
        | pb::ProductClass::OtherRetro
        | pb::ProductClass::Transposon
        | pb::ProductClass::Herpes
        | pb::ProductClass::Bacterial
        | pb::ProductClass::GeneEditedInVivo
        | pb::ProductClass::GeneEditedExVivo => 180,
        pb::ProductClass::Aav => 60,
        pb::ProductClass::Unspecified
        | pb::ProductClass::Plasmid
        | pb::ProductClass::Rna
        | pb::ProductClass::NonintegratingViral
        | pb::ProductClass::Adeno
        | pb::ProductClass::Pox
        | pb::ProductClass::Oncolytic
        | pb::ProductClass::CellExVivo => 0,
    }
}

fn lot_registered(lot: &pb::LotRegistered, recorded_at: DateTime<Utc>, raised: &mut Raised) {
    let near = is_within_days(&lot.expiry, recorded_at, 30);
    raised.when(near, codes::EXPIRY_NEAR, "expiry");
    // The code ends with YYYYMMDD; eight zeroes say that no day is defined.
    let coded = lot.sec.get(32..).filter(|day| *day != "00000000");
    let day = lot.expiry.get(..10).map(|day| day.replace('-', ""));
    let differs = coded.zip(day).is_some_and(|(coded, day)| coded != day);
    raised.when(differs, codes::SEC_EXPIRY_DIFFERS, "sec");
}

fn lot_disposition(disposition: &pb::LotDisposition, raised: &mut Raised) {
    let state = disposition.disposition();
    let released = state == pb::Disposition::Released && disposition.certificate.is_none();
    raised.when(released, codes::CERTIFICATE_MISSING, "certificate");
    let unseen = state == pb::Disposition::Destroyed && disposition.witness.is_empty();
    raised.when(unseen, codes::DESTRUCTION_UNWITNESSED, "witness");
}

fn material_collected(material: &pb::MaterialCollected, raised: &mut Raised) {
    raised.when(
        material.consent.is_empty(),
        codes::CONSENT_NOT_NAMED,
        "consent",
    );
    let allogeneic = material.source() != pb::DonorRelation::Autologous;
    let untested = allogeneic && material.donor_tests.is_empty();
    raised.when(untested, codes::DONOR_TESTS_MISSING, "donor_tests");
    for (item, test) in material.donor_tests.iter().enumerate() {
        let positive = test.result() == pb::DonorTestResult::Positive;
        let field = format!("donor_tests[{item}].result");
        raised.when(positive, codes::DONOR_TEST_POSITIVE, &field);
    }
}

fn coi_verification(verification: &pb::CoiVerification, raised: &mut Raised) {
    let captured = [
        ("label_id", verification.label_id.as_ref()),
        ("person_id", verification.person_id.as_ref()),
    ];
    let verifiers: BTreeSet<&String> = verification.verifiers.iter().collect();
    for (field, identifier) in captured {
        let typed = identifier.is_some_and(|id| id.quality() == pb::IdentifierQuality::Typed);
        raised.when(
            typed && verifiers.len() < 2,
            codes::IDENTIFIER_TYPED_ALONE,
            field,
        );
    }
    let named = verification.verifiers.len();
    raised.when(verifiers.len() < named, codes::VERIFIER_TWICE, "verifiers");
    let bedside = verification.step() == pb::CoiStep::Bedside;
    raised.when(bedside && named == 1, codes::VERIFIER_ALONE, "verifiers");
    match verification.result() {
        pb::CoiResult::Mismatch => raised.when(true, codes::COI_VERIFICATION_MISMATCH, "result"),
        pb::CoiResult::Unreadable => raised.when(true, codes::COI_UNREADABLE, "result"),
        pb::CoiResult::Match | pb::CoiResult::Unspecified => {
            let contradicted = contradicts_itself(verification);
            raised.when(contradicted, codes::COI_RESULT_CONTRADICTED, "result");
        }
    }
}

/// Whether a verification's own identifiers cannot be of its chain.
pub(in crate::rules) fn contradicts_itself(verification: &pb::CoiVerification) -> bool {
    let captured = [&verification.label_id, &verification.person_id];
    let mut captured = captured.into_iter().flatten();
    captured.any(|identifier| is_other_chain(identifier, &verification.coi))
}

/// Whether an identifier cannot be of the chain: it is another chain's, or nobody could read it.
fn is_other_chain(identifier: &pb::Identifier, coi: &str) -> bool {
    let other = identifier.system() == pb::IdentifierSystem::Coi && identifier.value != coi;
    other || identifier.quality() == pb::IdentifierQuality::Unreadable
}

fn shipment_sent(shipment: &pb::Shipment, raised: &mut Raised) {
    logger(shipment.logger.as_ref(), raised);
    let crossing = shipment.cross_border.as_ref();
    let unapproved = crossing.is_some_and(|crossing| crossing.approval_number.is_empty());
    raised.when(
        unapproved,
        codes::CROSS_BORDER_UNAPPROVED,
        "cross_border.approval_number",
    );
}

fn shipment_received(shipment: &pb::ShipmentReceived, raised: &mut Raised) {
    logger(shipment.logger.as_ref(), raised);
    condition(shipment.condition(), raised);
    raised.when(
        !shipment.discrepancy.is_empty(),
        codes::DISCREPANCY,
        "discrepancy",
    );
}

fn logger(logger: Option<&pb::Logger>, raised: &mut Raised) {
    let out = logger
        .and_then(|logger| logger.minutes_out)
        .unwrap_or_default();
    raised.when(0 < out, codes::TEMPERATURE_EXCURSION, "logger.minutes_out");
}

fn condition(condition: pb::Condition, raised: &mut Raised) {
    let amiss = condition != pb::Condition::Conformant;
    raised.when(amiss, codes::CONDITION_NOT_CONFORMANT, "condition");
}

fn patient_status(status: &pb::PatientStatus, raised: &mut Raised) {
    let state = status.state();
    let given_up = state == pb::PatientState::LostToFollowUp && status.attempts.is_empty();
    raised.when(given_up, codes::LOST_WITHOUT_ATTEMPT, "attempts");
    let nowhere = state == pb::PatientState::Transferred && status.transferred_to.is_empty();
    raised.when(nowhere, codes::TRANSFER_SITE_MISSING, "transferred_to");
    let cause = status.death.as_ref().and_then(|death| death.cause.as_ref());
    let unexplained = state == pb::PatientState::Deceased && cause.is_none();
    raised.when(unexplained, codes::CAUSE_OF_DEATH_MISSING, "death.cause");
}

fn consent_version(version: &pb::ConsentDocumentVersion, raised: &mut Raised) {
    let found: BTreeSet<i32> = version.items.iter().map(|item| item.item).collect();
    let initial = version.change_class() == pb::ChangeClass::Initial;
    let risks = i32::from(pb::ConsentItemKind::Risks);
    let genes = i32::from(pb::ConsentItemKind::GeneticTesting);
    let missing = (risks..=genes).any(|item| !found.contains(&item));
    let incomplete = (risks..=genes).any(|item| item != risks && !found.contains(&item));
    if initial && incomplete {
        raised.when(true, codes::INITIAL_CONSENT_INCOMPLETE, "items");
    } else {
        raised.when(missing, codes::CONSENT_ITEM_MISSING, "items");
    }
    if version.change_class() != pb::ChangeClass::ReconsentRequired {
        return;
    }
    raised.when(version.trigger.is_none(), codes::TRIGGER_MISSING, "trigger");
    let due = version
        .reconsent_due
        .as_ref()
        .and_then(|due| due.due.as_ref());
    raised.when(due.is_none(), codes::RECONSENT_DUE_MISSING, "reconsent_due");
    let days = match due {
        Some(pb::reconsent_due::Due::Days(days)) => *days,
        Some(pb::reconsent_due::Due::On(_) | pb::reconsent_due::Due::NextVisit(_)) | None => 0,
    };
    raised.when(365 < days, codes::RECONSENT_DUE_LONG, "reconsent_due.days");
}

fn consent_signed(record: &pb::Record, signed: &pb::ConsentSigned, raised: &mut Raised) {
    raised.when(
        signed.copy_given == Some(false),
        codes::COPY_NOT_GIVEN,
        "copy_given",
    );
    raised.when(
        signed.discussed_by.is_empty(),
        codes::DISCUSSER_MISSING,
        "discussed_by",
    );
    let signed_on = record.event_time.get(..10).unwrap_or_default();
    let discussed = &signed.discusser_signed_on;
    let differ = !discussed.is_empty() && signed_on != discussed;
    raised.when(differ, codes::SIGNATURE_DATES_DIFFER, "discusser_signed_on");
    let verbal = signed.method() == pb::ConsentMethod::VerbalWitnessed;
    raised.when(
        verbal && signed.witness.is_empty(),
        codes::WITNESS_MISSING,
        "witness",
    );
    let lar = signed.signatory() == pb::Signatory::Lar;
    let bare = lar && signed.authority_document.is_none();
    raised.when(
        bare,
        codes::AUTHORITY_DOCUMENT_MISSING,
        "authority_document",
    );
    let unseen = signed.signed_document.is_none();
    raised.when(unseen, codes::SIGNED_DOCUMENT_MISSING, "signed_document");
}

fn administered(administration: &pb::Administration, raised: &mut Raised) {
    if administration.status() == pb::AdministrationStatus::NotDone {
        return;
    }
    let checker = &administration.second_checker;
    raised.when(
        checker.is_empty(),
        codes::SECOND_CHECKER_MISSING,
        "second_checker",
    );
    let alone = *checker == administration.performer;
    raised.when(alone, codes::SECOND_CHECKER_SAME_PERSON, "second_checker");
    let chained = !administration.coi.is_empty() && administration.coi_verification.is_empty();
    raised.when(chained, codes::COI_VERIFICATION_MISSING, "coi_verification");
    let doses = [&administration.dose_planned, &administration.dose_actual];
    let per_kg = doses
        .into_iter()
        .flatten()
        .any(|dose| dose.unit.ends_with("/kg"));
    let weightless = per_kg && administration.weight.is_none();
    raised.when(weightless, codes::WEIGHT_MISSING, "weight");
}

fn plan_version(plan: &pb::FollowUpPlanVersion, raised: &mut Raised) {
    let no_slot = |kind| !plan.slots.iter().any(|slot| slot.kind() == kind);
    let parameters = plan.parameters.clone().unwrap_or_default();
    let unscheduled = no_slot(pb::SlotKind::Visit) && parameters.visit_interval_months.is_none();
    let unsampled =
        no_slot(pb::SlotKind::Sample) && parameters.sample_interval_months_first_years.is_none();
    let first = plan.ordinal == 1;
    raised.when(
        first && (unscheduled || unsampled),
        codes::PLAN_BLOCK_EMPTY,
        "slots",
    );
    raised.when(
        first && plan.methods.is_empty(),
        codes::PLAN_BLOCK_EMPTY,
        "methods",
    );
    raised.when(
        first && plan.target_events.is_empty(),
        codes::PLAN_BLOCK_EMPTY,
        "target_events",
    );
    raised.when(
        plan.linked_consent.is_none(),
        codes::LINKED_CONSENT_MISSING,
        "linked_consent",
    );
    if plan.communication.is_empty() || plan.justification.trim().is_empty() {
        looser_than_guideline(&parameters, raised);
    }
}

/// The guideline's numbers that hold for every class; the length of follow-up depends on the product's.
fn looser_than_guideline(plan: &pb::PlanParameters, raised: &mut Raised) {
    let first_years = plan.sample_interval_months_first_years;
    let at_most = [
        ("sample_interval_months_first_years", first_years, 6),
        (
            "sample_interval_months_after",
            plan.sample_interval_months_after,
            12,
        ),
        ("contact_interval_months", plan.contact_interval_months, 12),
        ("clone_retest_months", plan.clone_retest_months, 3),
        (
            "intensified_interval_months",
            plan.intensified_interval_months,
            3,
        ),
    ];
    let at_least = [
        ("intensive_months", plan.intensive_months, 60),
        (
            "sample_first_years_months",
            plan.sample_first_years_months,
            60,
        ),
    ];
    let longer =
        at_most.map(|(field, value, most)| (field, value.is_some_and(|value| most < value)));
    let shorter =
        at_least.map(|(field, value, least)| (field, value.is_some_and(|value| value < least)));
    for (field, looser) in longer.into_iter().chain(shorter) {
        let field = format!("parameters.{field}");
        raised.when(looser, codes::LOOSER_THAN_GUIDELINE, &field);
    }
}

fn visit_held(visit: &pb::FollowUpVisit, raised: &mut Raised) {
    raised.when(visit.reached == Some(false), codes::NOT_REACHED, "reached");
    for (item, block) in visit.blocks.iter().enumerate() {
        let not_done = block.status() == pb::BlockStatus::NotDone;
        raised.when(
            not_done,
            codes::BLOCK_NOT_DONE,
            &format!("blocks[{item}].status"),
        );
    }
    exposures(&visit.exposures, raised);
}

fn exposures(exposures: &[pb::Exposure], raised: &mut Raised) {
    for (item, exposure) in exposures.iter().enumerate() {
        let field = format!("exposures[{item}]");
        raised.when(exposure.mutagenic, codes::MUTAGENIC_EXPOSURE, &field);
    }
}

fn monitoring_decision(decision: &pb::MonitoringDecision, raised: &mut Raised) {
    use pb::MonitoringDecisionKind::{
        Extend, Intensify, Resume, Shorten, Stop, Unspecified, Waive,
    };
    let rule = match decision.decision() {
        Extend => codes::COMMUNICATION_MISSING,
        Shorten | Waive | Stop => codes::LESS_MONITORING_UNCOMMUNICATED,
        Intensify | Resume | Unspecified => return,
    };
    raised.when(decision.communication.is_empty(), rule, "communication");
}

fn assay_method(method: &pb::AssayMethodVersion, raised: &mut Raised) {
    for (field, missing) in [
        ("lod", method.lod.is_none()),
        ("sensitivity_percent", method.sensitivity_percent.is_empty()),
        ("specificity_percent", method.specificity_percent.is_empty()),
        (
            "reproducibility_percent",
            method.reproducibility_percent.is_empty(),
        ),
        ("validation_report", method.validation_report.is_none()),
    ] {
        raised.when(missing, codes::METHOD_UNVALIDATED, field);
    }
}

fn assay_result(result: &pb::AssayResult, raised: &mut Raised) {
    let findings: BTreeSet<pb::Finding> = result.findings().collect();
    let controls = result.controls.as_ref();
    let failed = controls.is_some_and(|controls| {
        [controls.positive(), controls.negative()].contains(&pb::ControlOutcome::Fail)
    });
    let unheeded = failed && !findings.contains(&pb::Finding::Invalid);
    raised.when(unheeded, codes::CONTROL_FAILED, "controls");
    let undetected = findings.contains(&pb::Finding::VectorNotDetected);
    raised.when(
        undetected && result.lod.is_none(),
        codes::LOD_MISSING,
        "lod",
    );
    let above = findings.contains(&pb::Finding::AboveExpected);
    let fraction = Decimal::parse(&result.positive_fraction_percent).ok();
    let expected = Decimal::parse(&result.expected_max_percent).ok();
    let unsaid = fraction
        .zip(expected)
        .is_some_and(|(fraction, expected)| expected < fraction)
        && !above
        && !findings.contains(&pb::Finding::Invalid);
    raised.when(unsaid, codes::FRACTION_WITHOUT_FINDING, "findings");
    for (item, finding) in result.findings().enumerate() {
        if let Some(rule) = of_finding(finding) {
            raised.when(true, rule, &format!("findings[{item}]"));
        }
    }
    for (item, site) in result.sites.iter().enumerate() {
        let undated = site
            .databases
            .iter()
            .any(|database| database.version.is_empty());
        let field = format!("sites[{item}].databases");
        raised.when(undated, codes::DATABASE_VERSION_MISSING, &field);
    }
}

/// The flag of a finding that somebody must look at.
const fn of_finding(finding: pb::Finding) -> Option<FlagRule> {
    match finding {
        pb::Finding::AboveExpected => Some(codes::ABOVE_EXPECTED),
        pb::Finding::DominantClone | pb::Finding::Monoclonal | pb::Finding::ClonalExpansion => {
            Some(codes::CLONAL_GROWTH)
        }
        pb::Finding::IntegrationNearOncogene => Some(codes::NEAR_ONCOGENE),
        pb::Finding::RclPositive => Some(codes::RCL_POSITIVE),
        pb::Finding::OffTargetExcess => Some(codes::OFF_TARGET_EXCESS),
        pb::Finding::Unspecified
        | pb::Finding::WithinExpected
        | pb::Finding::VectorNotDetected
        | pb::Finding::RclNegative
        | pb::Finding::Inconclusive
        | pb::Finding::Invalid => None,
    }
}

fn adverse_event(event: &pb::AdverseEvent, raised: &mut Raised) {
    raised.when(
        event.suspected_rcl == Some(true),
        codes::SUSPECTED_RCL,
        "suspected_rcl",
    );
    let unsampled = event.new_malignancy == Some(true) && event.malignancy_sample_id.is_empty();
    raised.when(
        unsampled,
        codes::NEW_MALIGNANCY_WITHOUT_SAMPLE,
        "malignancy_sample_id",
    );
    raised.when(
        event.suspect_lots.is_empty(),
        codes::LOT_MISSING,
        "suspect_lots",
    );
}

fn regulatory_report(report: &pb::RegulatoryReport, raised: &mut Raised) {
    let submitted = EventTime::parse(&report.submitted_on).is_ok();
    let due = EventTime::parse(&report.due_on).is_ok();
    // Days of the calendar, written one way, are in the order of their texts.
    let late = submitted && due && report.due_on < report.submitted_on;
    raised.when(late, codes::REPORT_LATE, "submitted_on");
    raised.when(
        submitted && report.document.is_none(),
        codes::DOCUMENT_MISSING,
        "document",
    );
}

fn recall_acknowledged(recall: &pb::RecallAcknowledged, raised: &mut Raised) {
    stock(&recall.stock, raised);
    let given = recall.stock.iter().any(|count| {
        let used = count
            .used
            .as_ref()
            .and_then(|used| Decimal::parse(&used.value).ok());
        used.is_some_and(Decimal::is_positive)
    });
    let unheeded = given && recall.patient_action.trim().is_empty();
    raised.when(unheeded, codes::PATIENT_ACTION_MISSING, "patient_action");
}

/// Counts each lot (R-L3): shipped = used + returned + destroyed + held + unaccounted.
fn stock(counts: &[pb::StockCount], raised: &mut Raised) {
    for (item, count) in counts.iter().enumerate() {
        let Some(shipped) = &count.shipped else {
            continue;
        };
        let parts = [&count.used, &count.returned, &count.destroyed, &count.held];
        let number = |part: &pb::Quantity| {
            (part.unit == shipped.unit)
                .then(|| Decimal::parse(&part.value).ok())
                .flatten()
        };
        let sum = parts
            .into_iter()
            .flatten()
            .try_fold(Decimal::ZERO, |sum, part| sum.checked_add(number(part)?));
        // Amounts in different units cannot be counted up here.
        let Some((sum, shipped)) = sum.zip(Decimal::parse(&shipped.value).ok()) else {
            continue;
        };
        let field = format!("stock[{item}]");
        raised.when(sum < shipped, codes::STOCK_UNACCOUNTED, &field);
        raised.when(shipped < sum, codes::STOCK_EXCEEDS, &field);
    }
}
