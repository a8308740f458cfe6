//! The records that a record names by their ids, and the lots that a recall, a signal or a safety report names;
//! and which of them are not known. Records arrive out of order, so that is no mistake; it is one if they never come.

use std::borrow::Cow;

use super::Deviation;
use crate::{
    pb::{record::Kind, trigger::Cause},
    rules::{
        fact::{LotId, Records, Subject},
        flags::codes,
        question::{Question, Seen, seen},
    },
};

/// What a record raises for want of those that it names.
pub(super) fn raised<F: Records>(
    facts: &F,
    fact: &Seen,
    question: &Question,
) -> Result<Vec<Deviation>, F::Error> {
    let mut raised = Vec::new();
    for (field, named) in named(fact) {
        let known = facts
            .record(named)?
            .is_some_and(|named| question.knows(&named));
        if !known {
            raised.push(Deviation::new(codes::DANGLING, fact, field));
        }
    }
    for (field, lot) in lots(fact) {
        let about = seen(&facts.about(&Subject::Lot(lot.clone()))?, question);
        let is_registered = about.iter().any(|one| match one.kind() {
            Some(Kind::LotRegistered(one)) => one.gtin == lot.gtin && one.lot == lot.lot,
            _ => false,
        });
        if !is_registered {
            raised.push(Deviation::new(codes::UNKNOWN_LOT, fact, field).of_lot(&lot));
        }
    }
    Ok(raised)
}

/// The fields that name lots of which a record is no part of the history, and the lots.
fn lots(fact: &Seen) -> Vec<(String, LotId)> {
    let (field, lots) = match fact.kind() {
        Some(Kind::RecallOpened(recall)) => ("recall_opened.roots", &recall.roots),
        Some(Kind::RiskSignal(signal)) => ("risk_signal.lots", &signal.lots),
        Some(Kind::AdverseEvent(event)) => ("adverse_event.suspect_lots", &event.suspect_lots),
        _ => return Vec::new(),
    };
    let lots = lots.iter().enumerate();
    lots.map(|(item, lot)| (format!("{field}[{item}]"), LotId::from(lot)))
        .collect()
}

/// The fields that name records, and the ids in them.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each kind that names a record"
)]
fn named(fact: &Seen) -> Vec<(Cow<'static, str>, &str)> {
    let mut named = Vec::new();
    let mut add = |field: Cow<'static, str>, id| {
        if !str::is_empty(id) {
            named.push((field, id));
        }
    };
    for (item, link) in fact.record.links.iter().enumerate() {
        add(format!("links[{item}].record_id").into(), &link.record_id);
    }
    match fact.kind() {
        Some(Kind::MaterialCollected(collected)) => {
            add("material_collected.consent".into(), &collected.consent);
        }
        Some(Kind::Administration(administration)) => {
            let verification = &administration.coi_verification;
            add("administration.coi_verification".into(), verification);
            if let Some(oos) = &administration.out_of_specification {
                let field = "administration.out_of_specification.regulator_notice";
                add(field.into(), &oos.regulator_notice);
            }
        }
        Some(Kind::LotDisposition(disposition)) => {
            if let Some(oos) = &disposition.out_of_specification {
                let field = "lot_disposition.out_of_specification.regulator_notice";
                add(field.into(), &oos.regulator_notice);
            }
        }
        Some(Kind::Excursion(excursion)) => {
            add("excursion.assessment".into(), &excursion.assessment);
        }
        Some(Kind::PatientSplit(split)) => {
            for (item, id) in split.moved_records.iter().enumerate() {
                add(format!("patient_split.moved_records[{item}]").into(), id);
            }
        }
        Some(Kind::ConsentDocumentVersion(version)) => {
            let cause = version
                .trigger
                .as_ref()
                .and_then(|trigger| trigger.cause.as_ref());
            let field = "consent_document_version.trigger.communication";
            add(field.into(), communication(cause));
        }
        Some(Kind::FollowUpEnrolment(enrolment)) => {
            add("follow_up_enrolment.consent".into(), &enrolment.consent);
        }
        Some(Kind::FollowUpPlanVersion(plan)) => {
            let cause = plan
                .trigger
                .as_ref()
                .and_then(|trigger| trigger.cause.as_ref());
            let field = "follow_up_plan_version.trigger.communication";
            add(field.into(), communication(cause));
            let field = "follow_up_plan_version.communication";
            add(field.into(), &plan.communication);
        }
        Some(Kind::MonitoringDecision(decision)) => {
            let field = "monitoring_decision.communication";
            add(field.into(), &decision.communication);
        }
        Some(Kind::SampleCollected(sample)) => {
            add("sample_collected.consent".into(), &sample.consent);
        }
        Some(Kind::AssayResult(result)) => {
            add("assay_result.supersedes".into(), &result.supersedes);
        }
        Some(Kind::CausalityAssessment(assessment)) => {
            for (item, evidence) in assessment.evidence.iter().enumerate() {
                let field = format!("causality_assessment.evidence[{item}].record_id");
                add(field.into(), &evidence.record_id);
            }
        }
        Some(Kind::Countersigned(signed)) => add("countersigned.target".into(), &signed.target),
        _ => {}
    }
    named
}

fn communication(cause: Option<&Cause>) -> &str {
    match cause {
        Some(Cause::Communication(communication)) => communication,
        Some(Cause::SignalId(_) | Cause::RecallId(_) | Cause::Plan(_)) | None => "",
    }
}
