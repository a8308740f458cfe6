//! Samples and results: what happened to a sample that nobody took, was taken out of one beyond what was in
//! it, or was found on one that no longer counted; results of unvalidated methods, and results that came
//! late.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    By, Details, Deviation,
    envelope::{days_after, least},
};
use crate::{
    pb::{self, Finding, SampleEventKind, SampleInstruction, WithdrawalScope, record::Kind},
    record::format::Decimal,
    rules::{
        catalogue::Catalogue,
        fact::{Facts, Subject},
        flags::codes,
        parts::{Parts, new_name},
        patient::Patient,
        question::{Question, Seen, seen},
    },
};

/// The records of a sample that name a patient, also those from before it was divided or relabelled. They name one,
/// unless they contradict each other; whoever was named first may be the mistake.
pub(super) fn named_of<F: Facts>(
    facts: &F,
    sample: &str,
    question: &Question,
) -> Result<Vec<Seen>, F::Error> {
    let mut named = Vec::new();
    let mut open = vec![sample.to_owned()];
    let mut asked = BTreeSet::new();
    while let Some(sample) = open.pop() {
        if !asked.insert(sample.clone()) {
            continue;
        }
        for fact in seen(&facts.about(&Subject::Sample(sample))?, question) {
            if let Some(Kind::SampleEvent(event)) = fact.kind() {
                open.push(event.sample_id.clone());
            }
            if !fact.record.patient.is_empty() {
                named.push(fact);
            }
        }
    }
    Ok(named)
}

/// What is recorded of a sample that nobody took, and that came of no other.
pub(super) fn unknown(sample: &str, facts: &[Seen]) -> Vec<Deviation> {
    let comes_from = |fact: &Seen| match fact.kind() {
        Some(Kind::SampleCollected(collected)) => collected.sample_id == sample,
        Some(Kind::SampleEvent(event)) => {
            let mut aliquots = event.aliquots.iter();
            event.new_sample_id == sample || aliquots.any(|one| one.sample_id == sample)
        }
        _ => false,
    };
    if facts.iter().any(comes_from) {
        return Vec::new();
    }
    let of_sample = |fact: &Seen| {
        let field = match fact.kind() {
            Some(Kind::SampleEvent(_)) => "sample_event.sample_id",
            Some(Kind::AssayResult(_)) => "assay_result.sample_id",
            Some(Kind::Shipment(_)) => "shipment.items",
            Some(Kind::ShipmentReceived(_)) => "shipment_received.items",
            Some(Kind::CustodyTransfer(_)) => "custody_transfer.items",
            Some(Kind::StorageMoved(_)) => "storage_moved.items",
            Some(Kind::Excursion(_)) => "excursion.items",
            Some(Kind::ProductReturned(_)) => "product_returned.items",
            Some(Kind::ProductDestroyed(_)) => "product_destroyed.items",
            _ => return None,
        };
        Some(Deviation::new(codes::UNKNOWN_SAMPLE, fact, field).of_sample(sample))
    };
    facts.iter().filter_map(of_sample).collect()
}

/// What the samples of a patient raise.
pub(super) fn of(patient: &Patient, catalogue: &Catalogue, by: By<'_>) -> Vec<Deviation> {
    let mut raised = Vec::new();
    if by.may_be(|fact| matches!(fact.kind(), Some(Kind::SampleEvent(_)))) {
        raised.extend(volumes(patient));
        raised.extend(used_after_withdrawal(patient));
    }
    if by.may_be(|fact| matches!(fact.kind(), Some(Kind::ConsentWithdrawn(_)))) {
        raised.extend(not_destroyed(patient, catalogue));
    }
    if by.may_be(|fact| matches!(fact.kind(), Some(Kind::AssayResult(_)))) {
        raised.extend(measured(patient, catalogue, by));
    }
    raised
}

/// What results raise.
fn measured(patient: &Patient, catalogue: &Catalogue, by: By<'_>) -> Vec<Deviation> {
    let mut raised = Vec::new();
    let parts = Parts::of(patient);
    let results = patient.of_kind(pick!(AssayResult));
    for (fact, result) in results.filter(|(fact, _)| by.is(fact)) {
        raised.extend(of_method(fact, result, catalogue));
        // The plan is the one in force where the patient is, not at the laboratory.
        let taken = parts.collection(&result.sample_id).map(|(taken, _)| taken);
        raised.extend(above_expected(fact, result, taken, catalogue));
        raised.extend(on_rejected(fact, result, patient));
        raised.extend(taken.and_then(|taken| late(fact, result, taken, catalogue)));
    }
    raised
}

/// What is in each sample, after what was taken out of it; what takes out more raises.
fn volumes(patient: &Patient) -> Vec<Deviation> {
    let mut left: BTreeMap<&str, Decimal> = BTreeMap::new();
    let millilitres = |quantity: Option<&pb::Quantity>| Decimal::parse(&quantity?.value).ok();
    let mut raised = Vec::new();
    for fact in &patient.facts {
        if let Some(Kind::SampleCollected(sample)) = fact.kind()
            && let Some(volume) = millilitres(sample.volume.as_ref())
        {
            left.insert(&sample.sample_id, volume);
        }
        let Some(Kind::SampleEvent(event)) = fact.kind() else {
            continue;
        };
        let aliquots = event.aliquots.iter().map(|aliquot| {
            let volume = millilitres(aliquot.volume.as_ref());
            (aliquot.sample_id.as_str(), volume)
        });
        let mut taken = millilitres(event.volume_used.as_ref()).unwrap_or(Decimal::ZERO);
        let mut parts = Vec::new();
        for (part, volume) in aliquots {
            let Some(volume) = volume else { continue };
            taken = taken.checked_add(volume).unwrap_or(taken);
            parts.push((part, volume));
        }
        if let Some(before) = left.get(event.sample_id.as_str()).copied() {
            if before < taken {
                let exceeded = Deviation::new(codes::VOLUME_EXCEEDED, fact, "sample_event");
                raised.push(exceeded.of_sample(&event.sample_id));
            }
            let after = before.checked_sub(taken).unwrap_or(before);
            left.insert(&event.sample_id, after);
            if let Some(name) = new_name(event) {
                left.insert(name, after);
            }
        }
        left.extend(parts);
    }
    raised
}

/// What was done with samples after consent to keeping them was withdrawn, but for what the withdrawal asks.
fn used_after_withdrawal(patient: &Patient) -> Vec<Deviation> {
    let used = patient.of_kind(pick!(SampleEvent)).filter(|(_, event)| {
        matches!(
            event.event(),
            SampleEventKind::Aliquoted
                | SampleEventKind::Processed
                | SampleEventKind::Stored
                | SampleEventKind::Thawed
                | SampleEventKind::Consumed
        )
    });
    used.filter_map(|(fact, event)| {
        let withdrawn = patient
            .withdrawn(WithdrawalScope::SampleStorage, fact.on)
            .filter(|withdrawn| withdrawn.on < fact.on)?;
        let used = Deviation::new(
            codes::PROCESSED_AFTER_WITHDRAWAL,
            fact,
            "sample_event.event",
        );
        Some(used.of_sample(&event.sample_id).shown_by(withdrawn))
    })
    .collect()
}

/// Withdrawals that ask for the samples to be destroyed, where some are not, though the days of the plan are over; until
/// they are, however late.
fn not_destroyed(patient: &Patient, catalogue: &Catalogue) -> Vec<Deviation> {
    let destroyed: BTreeSet<&str> = patient
        .of_kind(pick!(SampleEvent))
        .filter(|(_, event)| {
            matches!(
                event.event(),
                SampleEventKind::Destroyed | SampleEventKind::Consumed
            )
        })
        .map(|(_, event)| event.sample_id.as_str())
        .collect();
    let parts = Parts::of(patient);
    let mut raised = Vec::new();
    for (fact, withdrawal) in patient.of_kind(pick!(ConsentWithdrawn)) {
        if withdrawal.sample_instruction() != SampleInstruction::Destroy {
            continue;
        }
        let days = least(catalogue, fact, |plan| plan.sample_destruction_days);
        let Some(deadline) = days.and_then(|days| days_after(fact.on, days)) else {
            continue;
        };
        let mut kept = parts.kept();
        let kept = kept.find(|(sample, taken)| taken.on <= fact.on && !destroyed.contains(sample));
        if let Some((sample, taken)) = kept.filter(|_| deadline < patient.as_of) {
            let field = "consent_withdrawn.sample_instruction";
            let kept = Deviation::new(codes::SAMPLES_NOT_DESTROYED, fact, field);
            let details = Details {
                deadline: Some(deadline),
                ..Details::default()
            };
            raised.push(kept.of_sample(sample).with(details).shown_by(taken));
        }
    }
    raised
}

/// The method of a result: the version that is named, or else the latest.
fn method<'a>(
    key: &pb::AssayMethodKey,
    catalogue: &'a Catalogue,
) -> Option<(&'a Seen, &'a pb::AssayMethodVersion)> {
    let mut methods = catalogue
        .others
        .iter()
        .filter_map(|fact| match fact.kind() {
            Some(Kind::AssayMethodVersion(method)) if method.method_id == key.method_id => {
                Some((fact, method))
            }
            _ => None,
        });
    methods.rfind(|(_, method)| key.version.is_empty() || method.version == key.version)
}

fn of_method(fact: &Seen, result: &pb::AssayResult, catalogue: &Catalogue) -> Option<Deviation> {
    let raise =
        |rule| Deviation::new(rule, fact, "assay_result.method").of_sample(&result.sample_id);
    let Some((by, method)) = method(result.method.as_ref()?, catalogue) else {
        return Some(raise(codes::UNKNOWN_METHOD));
    };
    let validated = method.lod.is_some()
        && method.validation_report.is_some()
        && !method.sensitivity_percent.is_empty()
        && !method.specificity_percent.is_empty()
        && !method.reproducibility_percent.is_empty();
    (!validated).then(|| raise(codes::METHOD_UNVALIDATED).shown_by(by))
}

/// A share of cells or a clone above what the plan or the method expects, of which the findings say nothing.
fn above_expected(
    fact: &Seen,
    result: &pb::AssayResult,
    taken: Option<&Seen>,
    catalogue: &Catalogue,
) -> Vec<Deviation> {
    let findings: BTreeSet<Finding> = result.findings().collect();
    if findings.contains(&Finding::Invalid) {
        return Vec::new();
    }
    let number = |text: &str| Decimal::parse(text).ok();
    let of_method = result
        .method
        .as_ref()
        .and_then(|key| number(&method(key, catalogue)?.1.expected_max_percent));
    let of_plan =
        taken.and_then(|taken| least(catalogue, taken, |plan| number(&plan.expected_max_percent)));
    let expected = of_plan.into_iter().chain(of_method).min();
    let mut raised = Vec::new();
    let mut raise = |rule, field| {
        raised.push(Deviation::new(rule, fact, field).of_sample(&result.sample_id));
    };
    // Where the result says what was expected, it is held to that by itself.
    let unsaid = result.expected_max_percent.is_empty()
        && !findings.contains(&Finding::AboveExpected)
        && expected
            .zip(number(&result.positive_fraction_percent))
            .is_some_and(|(expected, found)| expected < found);
    if unsaid {
        raise(codes::RESULT_ABOVE_EXPECTED_UNSAID, "assay_result.findings");
    }
    let threshold = taken.and_then(|taken| {
        least(catalogue, taken, |plan| {
            number(&plan.dominant_clone_percent)
        })
    });
    let clones = result.clones.iter();
    let largest = clones
        .filter_map(|clone| number(&clone.abundance_percent))
        .max();
    let said =
        findings.contains(&Finding::DominantClone) || findings.contains(&Finding::Monoclonal);
    let dominant = threshold
        .zip(largest)
        .is_some_and(|(threshold, largest)| threshold < largest);
    if dominant && !said {
        raise(codes::DOMINANT_CLONE_UNSAID, "assay_result.findings");
    }
    raised
}

/// A result on a sample that had been rejected: it counts for nothing (R-S2). What is left of a sample is destroyed once
/// it was measured, so a result on one that is destroyed is none.
fn on_rejected(fact: &Seen, result: &pb::AssayResult, patient: &Patient) -> Option<Deviation> {
    if result.findings().any(|finding| finding == Finding::Invalid) {
        return None;
    }
    let mut events = patient.of_kind(pick!(SampleEvent));
    let (by, _) = events.find(|(by, event)| {
        event.sample_id == result.sample_id
            && event.event() == SampleEventKind::Rejected
            && by.on <= fact.on
    })?;
    let field = "assay_result.sample_id";
    let rejected = Deviation::new(codes::RESULT_ON_REJECTED_SAMPLE, fact, field);
    Some(rejected.of_sample(&result.sample_id).shown_by(by))
}

/// A result that was issued later after the sample than the plan allows.
fn late(
    fact: &Seen,
    result: &pb::AssayResult,
    taken: &Seen,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    let days = least(catalogue, taken, |plan| plan.turnaround_days)?;
    let due = days_after(taken.on, days)?;
    let details = Details {
        due: Some(due),
        actual: Some(fact.on),
        days: Some(fact.on.signed_duration_since(due).num_days()),
        ..Details::default()
    };
    let late = Deviation::new(codes::LATE_RESULT, fact, "event_time");
    let late = late
        .of_sample(&result.sample_id)
        .with(details)
        .shown_by(taken);
    (due < fact.on).then_some(late)
}
