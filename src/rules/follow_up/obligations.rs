//! What is due for a patient: one row for each obligation, the earliest day of the rules that apply. The rules
//! themselves are in `samples`, `tasks`, `visits` and `contacts`; what is common to them is here: what cancels,
//! waives or blocks an obligation, and when it is overdue (R-D2).

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::{
    Why, contacts,
    period::{Course, Period, Status, decisions_of},
    plan::Plan,
    samples,
    specimens::Specimens,
    tasks, visits,
};
use crate::{
    pb::{
        self, MonitoringDecisionKind as Decision, MonitoringPart as Part, SamplePurpose,
        WithdrawalScope,
    },
    record::format::parse_civil_date,
    rules::{
        catalogue::Catalogue, consent::signatures::Signatures, patient::Patient, question::Seen,
    },
};

/// What is owed. A patient has at most one open row of each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A visit (R-V1).
    Visit,
    /// A contact (R-V2), or one that the plan has a slot for (R-V1).
    Contact,
    /// A sample: persistence (R-S1, R-C1, R-C2), or what the plan has a slot for (R-S4, R-V5).
    Sample(SamplePurpose),
    /// A sample that a plan version asks for beyond the version before (R-P1).
    Added(SamplePurpose, String),
    /// The result that confirms a dominant clone or not (R-C1).
    CloneConfirmation,
    /// The analysis of integration sites (R-C1).
    IntegrationSites,
    /// The assessment of clonality (R-C3).
    Clonality,
    /// The watch for signs of malignancy (R-C2).
    MalignancyWatch,
    /// The test for replication-competent virus after an adverse event (R-R1).
    RclTest,
    /// The assessment of off-target activity (R-V5).
    OffTarget,
}

/// How an obligation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Its day is past.
    Overdue,
    /// It is open, and in time.
    Due,
    /// A plan version introduced it, whose consent the patient has not given (R-P1).
    BlockedConsent,
    /// A waiver or a decision stands against it (R-S0).
    Waived,
    /// It was met.
    Met,
}

/// Something that is owed to a plan, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// What is owed.
    pub what: What,
    /// The product on account of which it is.
    pub product_id: String,
    /// How it stands.
    pub state: State,
    /// Its day. None has no deadline: nothing is invented.
    pub due: Option<NaiveDate>,
    /// How far from its day it may be, either way, in days.
    pub window_days: u32,
    /// How many days it is past its day, the window included; also where it is blocked.
    pub days_overdue: u64,
    /// The slot of the plan.
    pub slot: String,
    /// The consent version that must be given before it may be met.
    pub blocked_by: Option<pb::ConsentVersionKey>,
    /// Why.
    pub why: Why,
}

/// A patient who is followed for a product, on a day.
#[derive(Clone, Copy)]
pub(super) struct Followed<'a> {
    pub(super) patient: &'a Patient,
    pub(super) catalogue: &'a Catalogue,
    pub(super) signatures: &'a Signatures,
    pub(super) course: &'a Course,
    pub(super) specimens: &'a Specimens<'a>,
    pub(super) on: NaiveDate,
}

impl<'a> Followed<'a> {
    /// What was given of the product on a day.
    pub(super) fn given_on(&self, day: NaiveDate) -> impl Iterator<Item = &'a Seen> {
        let given = self
            .patient
            .given_of(self.catalogue, &self.course.product_id);
        given
            .map(|(fact, _)| fact)
            .filter(move |fact| fact.on == day)
    }

    /// Adds what a day of the plan is reckoned from: what was given on the anchor, and the version of the plan.
    pub(super) fn add_anchor(&self, why: &mut Why) {
        for fact in self.given_on(self.course.anchor) {
            why.add(fact);
        }
        if let Some(version) = self.course.plan.as_ref().and_then(Plan::said) {
            why.add(&version.said);
        }
    }
}

/// Everything that is open for a patient on a day: one row for each obligation, in the order of [`What`].
pub fn open(
    patient: &Patient,
    catalogue: &Catalogue,
    signatures: &Signatures,
    period: &Period,
    on: NaiveDate,
) -> Vec<Obligation> {
    let specimens = Specimens::of(patient);
    open_of((patient, catalogue, signatures), period, &specimens, on)
}

/// Everything that is open for a patient whose specimens are at hand.
pub(super) fn open_of(
    (patient, catalogue, signatures): (&Patient, &Catalogue, &Signatures),
    period: &Period,
    specimens: &Specimens<'_>,
    on: NaiveDate,
) -> Vec<Obligation> {
    let mut open: BTreeMap<What, Obligation> = BTreeMap::new();
    for course in &period.courses {
        let followed = Followed {
            patient,
            catalogue,
            signatures,
            course,
            specimens,
            on,
        };
        let mut found = Vec::new();
        match course.status {
            Status::Open | Status::OpenPendingReconsent => {
                found.extend(samples::open(&followed));
                found.extend(tasks::open(&followed));
                found.extend(visits::open(&followed));
                found.extend(contacts::open(&followed));
            }
            // Visits and contacts end with the follow-up, samples until no risk is left by a decision alone (R-S3, A-39).
            Status::Completed if !course.is_ended_by_decision => {
                found.extend(samples::persistence(&followed, on));
                found.extend(tasks::open(&followed));
            }
            // What an adverse event asks for is done when it is tested, not when the monitoring is stopped (R-R1).
            Status::Completed | Status::Stopped | Status::Waived => {
                let tasks = tasks::open(&followed).into_iter();
                found.extend(tasks.filter(|task| task.what == What::RclTest));
            }
            Status::NotTreated | Status::NotRequired | Status::Dead | Status::NotEnrolled => {}
        }
        for obligation in found.into_iter().filter_map(|one| followed.judged(one)) {
            let what = obligation.what.clone();
            let earlier = open.get(&what).is_none_or(|have| before(&obligation, have));
            if earlier {
                open.insert(what, obligation);
            }
        }
    }
    open.into_values().collect()
}

/// Of two rows of one obligation the earlier; on a tie R-C1 before R-C2 before R-S1, which is their order as
/// found. One without a day comes last.
fn before(one: &Obligation, other: &Obligation) -> bool {
    match (one.due, other.due) {
        (Some(one), Some(other)) => one < other,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

impl Obligation {
    /// An obligation that is open, by a rule.
    pub(super) fn new(what: What, due: Option<NaiveDate>, why: Why) -> Self {
        Self {
            what,
            product_id: String::new(),
            state: State::Due,
            due,
            window_days: 0,
            days_overdue: 0,
            slot: String::new(),
            blocked_by: None,
            why,
        }
    }

    /// The last day on which it is in time.
    fn last_day(&self) -> Option<NaiveDate> {
        self.due?
            .checked_add_days(Days::new(u64::from(self.window_days)))
    }

    /// The part of monitoring that it belongs to.
    fn part(&self) -> Part {
        match &self.what {
            What::Visit => Part::Visits,
            What::Contact => Part::Contacts,
            What::Sample(purpose) | What::Added(purpose, _) => match purpose {
                SamplePurpose::Clonality | SamplePurpose::Isa => Part::Clonality,
                SamplePurpose::Rcl => Part::Rcl,
                SamplePurpose::OffTarget => Part::OffTarget,
                SamplePurpose::Unspecified
                | SamplePurpose::Persistence
                | SamplePurpose::Immunogenicity
                | SamplePurpose::Expression
                | SamplePurpose::Shedding
                | SamplePurpose::Efficacy
                | SamplePurpose::Archive
                | SamplePurpose::NewMalignancy => Part::Persistence,
            },
            What::CloneConfirmation
            | What::IntegrationSites
            | What::Clonality
            | What::MalignancyWatch => Part::Clonality,
            What::RclTest => Part::Rcl,
            What::OffTarget => Part::OffTarget,
        }
    }

    /// What the samples are for that it needs; a waiver names one of them.
    fn purposes(&self) -> &[SamplePurpose] {
        match &self.what {
            What::Sample(purpose) | What::Added(purpose, _) => std::slice::from_ref(purpose),
            What::CloneConfirmation => &[SamplePurpose::Persistence, SamplePurpose::Clonality],
            What::IntegrationSites => &[SamplePurpose::Isa],
            What::Clonality => &[SamplePurpose::Clonality],
            What::RclTest => &[SamplePurpose::Rcl],
            What::OffTarget => &[SamplePurpose::OffTarget],
            What::Visit | What::Contact | What::MalignancyWatch => &[],
        }
    }
}

impl Followed<'_> {
    /// The obligation as it stands; none where it is cancelled (R-S3) or its monitoring was stopped.
    pub(super) fn judged(&self, mut obligation: Obligation) -> Option<Obligation> {
        let withdrawn = |scope| self.patient.withdrawn(scope, self.on).is_some();
        let is_sampling = !obligation.purposes().is_empty();
        let cancelled = if obligation.what == What::Contact {
            withdrawn(WithdrawalScope::Contact)
        } else {
            withdrawn(WithdrawalScope::AllProcedures)
                || is_sampling && withdrawn(WithdrawalScope::InvasiveSampling)
        };
        if cancelled {
            return None;
        }
        obligation.product_id.clone_from(&self.course.product_id);
        match self.decided_on(obligation.part()) {
            Some((Decision::Stop, _)) if obligation.what != What::RclTest => return None,
            Some((Decision::Waive, fact)) => {
                obligation.state = State::Waived;
                obligation.why.add(fact);
            }
            _ => {}
        }
        for fact in self.waivers(&obligation) {
            obligation.state = State::Waived;
            obligation.why.merge(&Why::by("R-S0").on(fact));
        }
        let last_day = obligation.last_day().filter(|last_day| *last_day < self.on);
        let late = last_day.map(|last_day| self.on.signed_duration_since(last_day).num_days());
        obligation.days_overdue = late.and_then(|days| days.try_into().ok()).unwrap_or(0);
        if obligation.state == State::Due {
            if obligation.blocked_by.is_some() {
                obligation.state = State::BlockedConsent;
            } else if 0 < obligation.days_overdue {
                obligation.state = State::Overdue;
            }
        }
        Some(obligation)
    }

    /// The last decision that bears on a part of the monitoring alone.
    fn decided_on(&self, part: Part) -> Option<(Decision, &Seen)> {
        let product_id = &self.course.product_id;
        let mut of_part = decisions_of(self.patient, self.catalogue, product_id, self.on)
            .filter(|(_, decision)| decision.parts().any(|one| one == part));
        let last = of_part.next_back();
        last.map(|(fact, decision)| (decision.decision(), fact))
    }

    /// The waivers that stand against an obligation on the day.
    fn waivers(&self, obligation: &Obligation) -> Vec<&Seen> {
        let purposes = obligation.purposes();
        let waivers = self.patient.of_kind(pick!(SamplingWaiver));
        let standing = waivers.filter(|(fact, waiver)| {
            let from = parse_civil_date(&waiver.valid_from).unwrap_or(fact.on);
            let to = parse_civil_date(&waiver.valid_to).unwrap_or(NaiveDate::MAX);
            let waived = waiver.purposes().any(|one| purposes.contains(&one));
            waived && from <= self.on && self.on <= to
        });
        standing.map(|(fact, _)| fact).collect()
    }

    /// The consent version that a patient has still to give before what a plan version introduced may be met.
    pub(super) fn blocks(
        &self,
        version: &crate::rules::catalogue::PlanVersion,
    ) -> Option<pb::ConsentVersionKey> {
        let consent = super::period::linked_consent(self.catalogue, version)?;
        let given = self.signatures.valid(&consent, self.on);
        given.is_none().then_some(consent)
    }
}

#[cfg(test)]
mod tests;
