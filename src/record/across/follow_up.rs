//! Administrations, follow-up, samples and assays.

use std::collections::BTreeSet;

use super::{Across, envelope, shared};
use crate::{
    pb,
    record::{check::Checker, format::Decimal},
};

impl Across for pb::Administration {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            !c.is_before_event(&self.ended_at),
            "ended_at",
            "END_BEFORE_START",
            "it ended before it began, at event_time: look both up again",
        );
        let status = self.status();
        let not_done = status == pb::AdministrationStatus::NotDone;
        let unsaid = status == pb::AdministrationStatus::Unspecified;
        c.demand(
            not_done || unsaid || self.dose_actual.is_some(),
            "dose_actual",
            "DOSE_REQUIRED",
            "say how much was given, with its unit",
        );
        c.demand(
            !not_done || self.dose_actual.is_none(),
            "dose_actual",
            "DOSE_OF_NOT_DONE",
            "nothing was given, so there is no dose: leave it out, or correct the status",
        );
        let as_planned = unsaid || status == pb::AdministrationStatus::Given;
        c.demand_envelope(
            as_planned || envelope::has_reason(c.record()),
            "reason",
            "REASON_REQUIRED",
            "say why the product was not given as planned",
        );
    }
}

impl Across for pb::FollowUpPlanVersion {
    fn across(&self, c: &mut Checker<'_>) {
        let mut seen = BTreeSet::new();
        for (item, slot) in self.slots.iter().enumerate() {
            c.demand_item(
                slot.slot.is_empty() || seen.insert(&slot.slot),
                ("slots", item),
                "DUPLICATE",
                "give each slot a name of its own",
            );
        }
    }
}

impl Across for pb::PlanParameters {
    fn across(&self, c: &mut Checker<'_>) {
        let ages = self.assent_months.zip(self.majority_months);
        c.demand(
            ages.is_none_or(|(assent, majority)| assent < majority),
            "assent_months",
            "ASSENT_AFTER_MAJORITY",
            "assent is asked of minors: give an age below majority_months",
        );
    }
}

impl Across for pb::PlannedSlot {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            self.kind() != pb::SlotKind::Sample || !self.purposes.is_empty(),
            "purposes",
            "PURPOSE_REQUIRED",
            "say what the sample is for",
        );
    }
}

impl Across for pb::AddedObligation {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            self.once == (self.interval_months == 0),
            "once",
            "ONCE_OR_INTERVAL",
            "say either once, or at which interval",
        );
    }
}

impl Across for pb::PlanActivated {
    fn across(&self, c: &mut Checker<'_>) {
        c.not_before(
            "effective_from",
            &self.effective_from,
            &self.iec_approved_on,
            "EFFECTIVE_BEFORE_APPROVAL",
            "a plan is not in force before the ethics committee approved it: give a later day",
        );
        shared::period("effective_to", &self.effective_from, &self.effective_to, c);
    }
}

impl Across for pb::FollowUpVisit {
    fn across(&self, c: &mut Checker<'_>) {
        let mut seen = BTreeSet::new();
        for (item, block) in self.blocks.iter().enumerate() {
            c.demand_item(
                seen.insert(block.block),
                ("blocks", item),
                "DUPLICATE",
                "give each content block once",
            );
        }
    }
}

impl Across for pb::Exposure {
    fn across(&self, c: &mut Checker<'_>) {
        shared::period("to", &self.from, &self.to, c);
        c.demand(
            self.radiotherapy || self.drug.is_some(),
            "drug",
            "EXPOSURE_TO_NOTHING",
            "name the drug, or say that it was radiotherapy",
        );
    }
}

impl Across for pb::MonitoringDecision {
    fn across(&self, c: &mut Checker<'_>) {
        let record = c.record();
        let role = record.actor_role();
        let at_the_site = matches!(role, pb::ActorRole::Investigator | pb::ActorRole::SubI);
        let may = role == pb::ActorRole::SponsorMed
            || (at_the_site && self.decision() == pb::MonitoringDecisionKind::Intensify);
        c.demand_envelope(
            may,
            "actor_role",
            "DECISION_BY_ROLE",
            "the sponsor's physician decides on monitoring: submit it as SPONSOR_MED; an investigator may \
             INTENSIFY",
        );
        c.demand(
            !record.patient.is_empty() || !self.product_id.is_empty() || self.scope.is_some(),
            "scope",
            "SCOPE_REQUIRED",
            "say whom it concerns: a patient in the envelope, a product or a cohort",
        );
    }
}

impl Across for pb::SamplingWaiver {
    fn across(&self, c: &mut Checker<'_>) {
        shared::period("valid_to", &self.valid_from, &self.valid_to, c);
    }
}

impl Across for pb::SampleEvent {
    fn across(&self, c: &mut Checker<'_>) {
        let ends = matches!(
            self.event(),
            pb::SampleEventKind::Rejected | pb::SampleEventKind::Destroyed
        );
        c.demand_envelope(
            !ends || envelope::has_reason(c.record()),
            "reason",
            "REASON_REQUIRED",
            "say why the sample was rejected or destroyed",
        );
        c.demand(
            self.new_sample_id.is_empty() || self.new_sample_id != self.sample_id,
            "new_sample_id",
            "SAME_SAMPLE",
            "the new id is the old one: look the label up again",
        );
    }
}

impl Across for pb::AssayResult {
    fn across(&self, c: &mut Checker<'_>) {
        let shares = self
            .clones
            .iter()
            .map(|clone| Decimal::parse(&clone.abundance_percent).ok());
        let sum = shares
            .flatten()
            .try_fold(Decimal::ZERO, Decimal::checked_add);
        // A sum that cannot be reckoned is of shares that were refused one by one.
        let most = Decimal::parse(CLONES_MAX_PERCENT).ok();
        c.demand(
            sum.is_none_or(|sum| most.is_none_or(|most| sum <= most)),
            "clones",
            "CLONES_OVER_100_PERCENT",
            "the clones are parts of one whole: their shares make at most 100 per cent",
        );
        let mut seen = BTreeSet::new();
        for (item, clone) in self.clones.iter().enumerate() {
            c.demand_item(
                seen.insert(clone.rank),
                ("clones", item),
                "DUPLICATE",
                "give each clone a rank of its own",
            );
        }
        let findings: BTreeSet<pb::Finding> = self.findings().collect();
        c.demand(
            !contradict(&findings),
            "findings",
            "FINDINGS_CONTRADICT",
            "these findings cannot hold at once: leave out those that do not",
        );
        c.demand(
            !envelope::is_same_id(&self.supersedes, &c.record().record_id),
            "supersedes",
            "SELF_LINK",
            "a result cannot take its own place: name the other record",
        );
    }
}

/// Half a per cent for the rounding of many small shares.
const CLONES_MAX_PERCENT: &str = "100.5";

/// Whether findings cannot hold at once.
fn contradict(findings: &BTreeSet<pb::Finding>) -> bool {
    use pb::Finding::{
        AboveExpected, ClonalExpansion, DominantClone, Inconclusive, IntegrationNearOncogene,
        Invalid, Monoclonal, RclNegative, RclPositive, VectorNotDetected, WithinExpected,
    };
    let both = |one, other| findings.contains(&one) && findings.contains(&other);
    let of_vector = [
        AboveExpected,
        DominantClone,
        Monoclonal,
        ClonalExpansion,
        IntegrationNearOncogene,
    ];
    // An invalid run finds nothing, but it may be called inconclusive as well.
    let more_than_invalid = findings
        .iter()
        .any(|finding| !matches!(finding, Invalid | Inconclusive));
    both(RclPositive, RclNegative)
        || both(WithinExpected, AboveExpected)
        || of_vector
            .iter()
            .any(|finding| both(VectorNotDetected, *finding))
        || (findings.contains(&Invalid) && more_than_invalid)
}

impl Across for pb::IntegrationSite {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            self.position.is_none() || !self.chromosome.is_empty(),
            "chromosome",
            "REQUIRED",
            "a position is on a chromosome: say on which",
        );
    }
}
