//! How long a patient is followed: from which administration, by which plan, until when, and whether it is over.
//! What changes an end - a plan version, a decision, a new administration, a second enrolment - is gone through in
//! the order of its days, because who was still followed on that day decides what it changes. What is due within
//! the period is not known here.

use std::{cell::OnceCell, sync::Arc};

use chrono::{Days, NaiveDate};

use super::{
    Why,
    plan::{self, Parameter, Parameters, Plan, Source},
    specimens::Specimens,
};
use crate::{
    pb::{
        self, Anchor, MonitoringDecisionKind as Decision, MonitoringPart as Part, ProductClass,
        RiskFactor, RiskState, record::Kind,
    },
    record::format::{add_months, parse_civil_date},
    rules::{
        catalogue::{Activation, Catalogue, PlanVersion, Product},
        cohort::concerns,
        consent::signatures::{Set, Signatures},
        patient::Patient,
        question::Seen,
    },
};

/// How a patient's follow-up stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Nothing was given that is followed.
    NotTreated,
    /// What was given asks for no follow-up.
    NotRequired,
    /// The patient died.
    Dead,
    /// A decision waived it.
    Waived,
    /// A decision ended it.
    Stopped,
    /// Its end is past.
    Completed,
    /// Treated, and not enrolled.
    NotEnrolled,
    /// Past the end of the old plan, and open until a longer one is signed, declined or its deadline passes.
    OpenPendingReconsent,
    /// The patient is followed.
    Open,
}

/// How long a patient is followed, over all products that were given.
#[derive(Debug, Clone)]
pub struct Period {
    /// How it stands.
    pub status: Status,
    /// Its last day, reckoned from the anchor. None where nothing says how long.
    pub end: Option<NaiveDate>,
    /// Product by product, in the order in which they were first given.
    pub courses: Vec<Course>,
    /// Whether results of samples were looked for: an end was past, and only they could keep it open (R-V4).
    pub rests_on_results: bool,
}

/// How long a patient is followed for one product.
#[derive(Debug, Clone)]
pub struct Course {
    /// The product.
    pub product_id: String,
    /// The day on which it was first given.
    pub first: NaiveDate,
    /// The day that everything is reckoned from.
    pub anchor: NaiveDate,
    /// The day from which the patient has been followed: of the last enrolment that began a follow-up.
    pub begun: NaiveDate,
    /// The plan in force; none where the site has none.
    pub plan: Option<Plan>,
    /// How it stands.
    pub status: Status,
    /// How long it is, in months.
    pub months: Option<Parameter<u32>>,
    /// Its last day.
    pub end: Option<NaiveDate>,
    /// Whether the end is open until a decision: data must first show no risk (R-D3, R-V4).
    pub until_decision: bool,
    /// Whether a decision says when the monitoring ends: else its samples go on after the end (R-S3).
    pub is_ended_by_decision: bool,
    /// The versions of the plan that would change the period of this patient, the oldest first.
    pub amendments: Vec<Amendment>,
    /// The spans between a completion and the return to follow-up.
    pub gaps: Vec<Gap>,
    /// Why.
    pub why: Why,
}

/// A span in which a patient was not followed: from the old end to the day of the return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The old end.
    pub from: NaiveDate,
    /// The day of the return.
    pub to: NaiveDate,
}

/// A plan version that would change the follow-up of a patient (R-A1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The plan version.
    pub plan: pb::PlanVersionKey,
    /// The consent version that must be given first. Without one it changes nothing.
    pub consent: Option<pb::ConsentVersionKey>,
    /// How long the follow-up would be, in months.
    pub months: u32,
    /// Whether it makes the follow-up longer.
    pub is_longer: bool,
    /// When it took effect for the patient.
    pub effective: NaiveDate,
    /// The last day on which it may be signed in time, where there is one.
    pub deadline: Option<NaiveDate>,
    /// What became of it.
    pub state: AmendmentState,
}

/// What became of an amendment for a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmendmentState {
    /// It is to be signed, whether or not the deadline has passed; the patient is still followed.
    Awaited,
    /// It was signed on this day, and holds.
    Given(NaiveDate),
    /// It was declined on this day.
    Declined(NaiveDate),
    /// The old end held before it was given: the patient is to be recontacted (R-A2, R-A3).
    Missed,
}

impl Period {
    /// The period of a patient on a day.
    pub fn of(
        patient: &Patient,
        catalogue: &Catalogue,
        signatures: &Signatures,
        on: NaiveDate,
    ) -> Self {
        let mut products: Vec<&Product> = Vec::new();
        for (_, administration) in patient.given().filter(|(fact, _)| fact.on <= on) {
            if let Some(product) = catalogue.product_given(administration) {
                let is_new = |one: &&&Product| one.product.product_id == product.product.product_id;
                if products.iter().find(is_new).is_none() {
                    products.push(product);
                }
            }
        }
        let mut rests_on_results = false;
        let mut courses: Vec<Course> = Vec::new();
        for product in products {
            if let Some((course, rests)) = Course::of(patient, catalogue, signatures, product, on) {
                courses.push(course);
                rests_on_results |= rests;
            }
        }
        // The strictest wins: who is followed for one product is followed.
        let status = courses.iter().map(|course| course.status).max();
        Self {
            status: status.unwrap_or(Status::NotTreated),
            end: courses.iter().filter_map(|course| course.end).max(),
            courses,
            rests_on_results,
        }
    }

    /// The spans between completions and returns, of the course that lasts longest.
    pub fn gaps(&self) -> &[Gap] {
        let longest = self.courses.iter().max_by_key(|course| course.end);
        longest.map_or(&[], |course| &course.gaps)
    }
}

impl Status {
    /// Whether the patient is followed: something may be due.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::OpenPendingReconsent)
    }
}

impl Course {
    /// The course, and whether results of samples were looked for.
    fn of(
        patient: &Patient,
        catalogue: &Catalogue,
        signatures: &Signatures,
        product: &Product,
        on: NaiveDate,
    ) -> Option<(Self, bool)> {
        let product_id = product.product.product_id.as_str();
        let given = patient.given_of(catalogue, product_id);
        let given = given.map(|(fact, _)| fact).filter(|fact| fact.on <= on);
        let given: Vec<&Seen> = given.collect();
        let first = given.first()?.on;
        let versions = plan::followed(patient, catalogue, product_id, on).unwrap_or_default();
        let changes: Vec<Change<'_>> = (0..versions.len())
            .filter_map(|at| {
                Change::of((patient, catalogue, signatures), versions, at, (first, on))
            })
            .collect();

        let mut turns: Vec<(NaiveDate, Turn<'_>)> = Vec::new();
        turns.extend(given.into_iter().map(|fact| (fact.on, Turn::Given(fact))));
        let enrolments = patient.enrolments().map(|(fact, _)| fact);
        // What was decided or signed before the patient was treated holds from then on.
        turns.extend(enrolments.map(|fact| (fact.on.max(first), Turn::Enrolled(fact))));
        for change in &changes {
            turns.push((change.effective, Turn::Effective(change)));
            turns.extend(change.holds().map(|holds| (holds, Turn::Consented(change))));
        }
        let decisions = decisions(patient, catalogue, product_id, on);
        turns.extend(
            decisions.map(|(fact, decision)| (fact.on.max(first), Turn::Decided(fact, decision))),
        );
        turns.retain(|(day, _)| first <= *day && *day <= on);
        turns.sort_by_key(|(day, turn)| (*day, turn.rank()));

        let mut walk = Walk::new(patient, catalogue, product, first);
        for (day, turn) in turns {
            walk.take(day, turn);
        }
        Some(walk.course(on))
    }

    /// The last day of the intensive period.
    pub fn intensive_until(&self) -> Option<NaiveDate> {
        let months = match &self.plan {
            Some(plan) => plan.parameters.intensive_months.value,
            None => Parameters::default().intensive_months.value,
        };
        add_months(self.anchor, months)
    }

    /// The amendments for which the patient is to be recontacted: the old end has held (R-A2, R-A3).
    pub fn missed(&self) -> impl Iterator<Item = &Amendment> {
        let missed = |one: &&Amendment| one.is_longer && one.state == AmendmentState::Missed;
        self.amendments.iter().filter(missed)
    }
}

/// What the class of a product asks for where neither plan nor product says more (R-D3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// The months that the guideline has for the class.
    pub months: Option<u32>,
    /// Whether no plan may say less without reasons.
    pub is_firm: bool,
}

impl Floor {
    /// Of several classes, the strictest.
    pub fn of(product: &pb::ProductRegistered) -> Self {
        let integrates = |class| {
            matches!(
                class,
                ProductClass::Lenti
                    | ProductClass::Gammaretro
                    | ProductClass::OtherRetro
                    | ProductClass::Transposon
            )
        };
        let mut classes = product.product_classes();
        if product.integrating == Some(true) || classes.any(integrates) {
            return Self {
                months: Some(180),
                is_firm: true,
            };
        }
        let of_class = |class| match class {
            ProductClass::GeneEditedInVivo
            | ProductClass::GeneEditedExVivo
            | ProductClass::Herpes
            | ProductClass::Bacterial => Some(180),
            ProductClass::Aav => Some(60),
            ProductClass::Unspecified
            | ProductClass::Plasmid
            | ProductClass::Rna
            | ProductClass::NonintegratingViral
            | ProductClass::Adeno
            | ProductClass::Pox
            | ProductClass::Gammaretro
            | ProductClass::Lenti
            | ProductClass::OtherRetro
            | ProductClass::Transposon
            | ProductClass::Oncolytic
            | ProductClass::CellExVivo => None,
        };
        let persists = product.risk_profile.iter().any(|risk| {
            let latent = matches!(
                risk.factor(),
                RiskFactor::LatencyReactivation | RiskFactor::PersistentInfection
            );
            latent && risk.state() == RiskState::Present
        });
        let of_classes = product.product_classes().filter_map(of_class).max();
        Self {
            months: of_classes.max(persists.then_some(180)),
            is_firm: false,
        }
    }

    /// How long the follow-up is: as the plan says, or else as the product says, or else as the class asks; the
    /// product never less than its class.
    fn months(
        &self,
        product: &pb::ProductRegistered,
        plan: Option<&Plan>,
    ) -> Option<Parameter<u32>> {
        let guideline = self.months.map(|value| Parameter {
            value,
            source: Source::Guideline("R-D3"),
        });
        let own = product.follow_up_default_months.map(|value| Parameter {
            value,
            source: Source::Product(product.product_id.clone()),
        });
        let default = match (own, guideline.clone()) {
            (Some(own), Some(guideline)) if own.value < guideline.value => Some(guideline),
            (own, guideline) => own.or(guideline),
        };
        let Some(said) = plan.and_then(|plan| plan.parameters.follow_up_months.clone()) else {
            return default;
        };
        match guideline {
            Some(guideline) if self.is_firm && said.value < guideline.value => {
                // Less than the floor counts with reasons that the regulator knows of.
                let has_reasons = plan.is_some_and(|plan| {
                    let by = plan.versions.iter().find(|one| {
                        let named = Source::Plan(Arc::new(plan::key(one)));
                        named == said.source
                    });
                    by.is_some_and(|one| {
                        !one.plan.justification.is_empty() && !one.plan.communication.is_empty()
                    })
                });
                Some(if has_reasons { said } else { guideline })
            }
            _ => Some(said),
        }
    }
}

/// The follow-up of a patient for a product, as far as its history has been gone through.
struct Walk<'a> {
    patient: &'a Patient,
    catalogue: &'a Catalogue,
    product: &'a Product,
    /// Looked at only where an end is past.
    specimens: OnceCell<Specimens<'a>>,
    floor: Floor,
    first: NaiveDate,
    last: NaiveDate,
    /// The day from which the plan has been followed.
    begun: Option<NaiveDate>,
    is_enrolled: bool,
    /// The plan that the period follows: the one in force when the patient was enrolled, or a later one that
    /// the patient has consented to.
    plan: Option<Plan>,
    months: Option<Parameter<u32>>,
    until_no_risk: bool,
    /// The longest that a decision has asked for.
    extended: Option<Parameter<u32>>,
    /// Whether a decision has said that persistence does not keep the end open.
    settled: bool,
    /// The day of the decision that the monitoring ends with the follow-up, or that ended it since.
    ended_by_decision: Option<NaiveDate>,
    halted: Option<(Status, NaiveDate)>,
    pending: Vec<Pending<'a>>,
    gaps: Vec<Gap>,
    why: Why,
}

/// Something that bears on the period. On one day, they count in this order.
#[derive(Clone, Copy)]
enum Turn<'a> {
    Given(&'a Seen),
    Enrolled(&'a Seen),
    Effective(&'a Change<'a>),
    Decided(&'a Seen, &'a pb::MonitoringDecision),
    Consented(&'a Change<'a>),
}

/// A plan version that may change the period, and when.
struct Change<'a> {
    version: &'a PlanVersion,
    plan: Plan,
    consent: Option<pb::ConsentVersionKey>,
    effective: NaiveDate,
    /// From when the site has it in force.
    in_force: NaiveDate,
    signed: Option<&'a Set>,
    deadline: Option<NaiveDate>,
    declined: Option<NaiveDate>,
}

impl<'a> Change<'a> {
    /// What a version of the plan means for a patient; none where the patient's site does not have it.
    fn of(
        (patient, catalogue, signatures): (&Patient, &'a Catalogue, &'a Signatures),
        versions: &'a [PlanVersion],
        at: usize,
        (first, on): (NaiveDate, NaiveDate),
    ) -> Option<Self> {
        let version = versions.get(at)?;
        let in_force = first_day_under(patient, &version.activations, on)?;
        if !concerns(version.plan.scope.as_ref(), patient, catalogue, on) {
            return None;
        }
        let consent = linked_consent(catalogue, version);
        let consent_version = consent
            .as_ref()
            .and_then(|key| catalogue.consent_version(key));
        let explained =
            consent_version.and_then(|one| first_day_under(patient, &one.activations, on));
        // The amendment begins with the first of its two documents that is in force; a consent version that was
        // there before explains nothing yet.
        let effective = explained.map_or(in_force, |day| {
            day.max(version.said.on).max(first).min(in_force)
        });
        if on < effective {
            return None;
        }
        let deadline = consent_version
            .zip(explained)
            .and_then(|(version, from)| deadline(version.document(), from, patient));
        let signed = consent.as_ref().and_then(|key| signatures.valid(key, on));
        let declined = consent
            .as_ref()
            .and_then(|key| signatures.declined(key, on));
        Some(Self {
            version,
            plan: Plan::up_to(versions, at, patient, catalogue, on)?,
            consent,
            effective,
            in_force,
            signed,
            deadline,
            declined: declined.map(|decline| decline.on),
        })
    }

    fn ordinal(&self) -> u32 {
        self.version.plan.ordinal
    }

    /// From when it holds for the patient: in force, and consented to.
    fn holds(&self) -> Option<NaiveDate> {
        Some(self.signed?.on.max(self.in_force).max(self.effective))
    }

    /// Whether its signature may still be waited for.
    fn is_awaited(&self, day: NaiveDate) -> bool {
        self.deadline.is_none_or(|deadline| day <= deadline)
            && self.declined.is_none_or(|declined| day < declined)
    }
}

/// An amendment that has taken effect for a patient.
struct Pending<'a> {
    change: &'a Change<'a>,
    is_longer: bool,
    was_open: bool,
    months: Parameter<u32>,
    given: Option<NaiveDate>,
    /// When the patient came back and had not consented to it.
    returned: Option<NaiveDate>,
}

impl Pending<'_> {
    /// Whether it keeps a follow-up open past its old end on a day (R-A3).
    fn keeps_open(&self, day: NaiveDate) -> bool {
        let change = self.change;
        // Signed in time, and waiting for the plan to be in force.
        let signed = change.signed.filter(|set| change.is_awaited(set.on));
        let waits = signed.and(change.holds()).is_some_and(|holds| day <= holds);
        self.was_open
            && self.is_longer
            && self.given.is_none()
            && change.consent.is_some()
            && (waits || self.is_awaited(day))
    }

    /// Whether its signature may still be waited for. Of who came back since, without a deadline: that was for those
    /// who were still followed; and whatever was declined before the return.
    fn is_awaited(&self, day: NaiveDate) -> bool {
        match self.returned {
            Some(_) => self.declined().is_none_or(|declined| day < declined),
            None => self.change.is_awaited(day),
        }
    }

    /// When it was declined, by who has not come back since.
    fn declined(&self) -> Option<NaiveDate> {
        let declined = self.change.declined;
        declined.filter(|day| self.returned.is_none_or(|returned| returned <= *day))
    }

    /// Whether it was consented to by a day, and is in force.
    fn is_given_by(&self, day: NaiveDate) -> bool {
        self.change.holds().is_some_and(|holds| holds <= day)
    }

    fn state(&self, completed: bool, on: NaiveDate) -> AmendmentState {
        if let Some(given) = self.given {
            return AmendmentState::Given(given);
        }
        match self.declined().filter(|day| *day <= on) {
            Some(declined) => AmendmentState::Declined(declined),
            None if completed || !self.was_open => AmendmentState::Missed,
            None => AmendmentState::Awaited,
        }
    }
}

/// The consent version that explains a plan version: the one that it names, or else one that names it.
pub(super) fn linked_consent(
    catalogue: &Catalogue,
    version: &PlanVersion,
) -> Option<pb::ConsentVersionKey> {
    let named = version.plan.linked_consent.clone();
    named.or_else(|| {
        let plan = plan::key(version);
        let mut versions = catalogue.families.values().flatten();
        let by = versions.find(|one| one.document().plan.as_ref() == Some(&plan))?;
        Some(pb::ConsentVersionKey {
            family: by.family.clone(),
            version: by.version.clone(),
        })
    })
}

/// The first day on which the patient was followed at a site where a version was in force.
pub(super) fn first_day_under(
    patient: &Patient,
    activations: &std::collections::BTreeMap<String, Activation>,
    on: NaiveDate,
) -> Option<NaiveDate> {
    let moves: Vec<NaiveDate> = patient.statuses().map(|(fact, _)| fact.on).collect();
    let at_sites = patient
        .sites()
        .filter_map(|site| Some((site, activations.get(site)?)));
    let days = at_sites.flat_map(|(site, activation)| {
        let moves = moves.iter().copied();
        let candidates = std::iter::once(activation.from).chain(moves);
        candidates.filter(move |day| activation.is_in_force(*day) && patient.site(*day) == site)
    });
    days.filter(|day| *day <= on).min()
}

/// The last day on which a version is signed in time (R-K4). Of the next visit, the day is known once it is held.
pub fn deadline(
    document: &pb::ConsentDocumentVersion,
    from: NaiveDate,
    patient: &Patient,
) -> Option<NaiveDate> {
    use pb::reconsent_due::Due;
    match document.reconsent_due.as_ref()?.due.as_ref()? {
        Due::Days(days) => from.checked_add_days(Days::new(u64::from(*days))),
        Due::On(day) => parse_civil_date(day).ok(),
        Due::NextVisit(_) => {
            let mut visits = patient.of_kind(pick!(FollowUpVisit));
            let next = visits.find(|(fact, visit)| from <= fact.on && visit.reached != Some(false));
            next.map(|(fact, _)| fact.on)
        }
    }
}

/// The decisions that bear on the whole follow-up of a patient for a product, in their order.
fn decisions<'a>(
    patient: &'a Patient,
    catalogue: &'a Catalogue,
    product_id: &'a str,
    on: NaiveDate,
) -> impl Iterator<Item = (&'a Seen, &'a pb::MonitoringDecision)> {
    decisions_of(patient, catalogue, product_id, on).filter(|(_, one)| one.parts.is_empty())
}

/// The decisions that bear on a patient's monitoring for a product, or on parts of it: the patient's own and those
/// for many, in the order in which they were made.
pub(super) fn decisions_of<'a>(
    patient: &'a Patient,
    catalogue: &'a Catalogue,
    product_id: &'a str,
    on: NaiveDate,
) -> impl DoubleEndedIterator<Item = (&'a Seen, &'a pb::MonitoringDecision)> {
    let own = patient.of_kind(pick!(MonitoringDecision));
    let of_many = catalogue.others.iter().filter_map(|fact| {
        let Some(Kind::MonitoringDecision(decision)) = fact.kind() else {
            return None;
        };
        let names = !decision.product_id.is_empty() || decision.scope.is_some();
        let holds = names && concerns(decision.scope.as_ref(), patient, catalogue, on);
        holds.then_some((fact, decision))
    });
    let both = own
        .chain(of_many)
        .filter(|(fact, decision)| is_of_product(decision, product_id) && fact.on <= on);
    let mut both: Vec<_> = both.collect();
    both.sort_by_cached_key(|(fact, _)| fact.moment());
    both.into_iter()
}

/// Whether a decision is about a product; one that names none is about each.
pub fn is_of_product(decision: &pb::MonitoringDecision, product_id: &str) -> bool {
    decision.product_id.is_empty() || decision.product_id == product_id
}

/// Whether a decision bears on a part of the monitoring; one that names none bears on all.
pub fn bears_on(decision: &pb::MonitoringDecision, part: Part) -> bool {
    decision.parts.is_empty() || decision.parts().any(|one| one == part)
}

impl Turn<'_> {
    /// Its place among those of one day.
    fn rank(&self) -> u8 {
        match self {
            Self::Given(_) => 0,
            Self::Enrolled(_) => 1,
            Self::Effective(_) => 2,
            Self::Decided(..) => 3,
            Self::Consented(_) => 4,
        }
    }
}

impl<'a> Walk<'a> {
    fn new(
        patient: &'a Patient,
        catalogue: &'a Catalogue,
        product: &'a Product,
        first: NaiveDate,
    ) -> Self {
        Self {
            patient,
            catalogue,
            product,
            specimens: OnceCell::new(),
            floor: Floor::of(&product.product),
            first,
            last: first,
            begun: None,
            is_enrolled: false,
            plan: None,
            months: None,
            until_no_risk: false,
            extended: None,
            settled: false,
            ended_by_decision: None,
            halted: None,
            pending: Vec::new(),
            gaps: Vec::new(),
            why: Why::by("R-D3").on(&product.said),
        }
    }

    fn take(&mut self, day: NaiveDate, turn: Turn<'a>) {
        match turn {
            Turn::Given(fact) => {
                self.why.add(fact);
                // Who is treated again is followed again.
                let was_stopped = self
                    .halted
                    .take_if(|(status, _)| *status == Status::Stopped);
                let is_over = was_stopped.is_some() || self.returns(day);
                self.last = day;
                if is_over || self.begun.is_none() {
                    self.begin(day);
                }
            }
            Turn::Enrolled(fact) => {
                self.why.add(fact);
                if self.returns(day) {
                    self.come_back(day);
                } else if !self.is_enrolled {
                    self.begin(day);
                }
                self.is_enrolled = true;
            }
            Turn::Effective(change) => self.take_effect(day, change),
            Turn::Decided(fact, decision) => {
                self.why.merge(&Why::by("R-A4").on(fact));
                self.decided(day, fact, decision);
            }
            Turn::Consented(change) => self.consented(day, change),
        }
    }

    /// Whether the patient comes back after a completion: notes the gap.
    fn returns(&mut self, day: NaiveDate) -> bool {
        if self.begun.is_none() || self.standing(day) != Status::Completed {
            return false;
        }
        if let Some(from) = self.end().filter(|_| self.is_enrolled) {
            self.gaps.push(Gap { from, to: day });
        }
        true
    }

    /// From this day on, the patient follows the plan that is in force.
    fn begin(&mut self, day: NaiveDate) {
        let product = &self.product.product;
        let plan = Plan::in_force(self.patient, self.catalogue, &product.product_id, day);
        self.months = self.longest(self.floor.months(product, plan.as_ref()));
        self.until_no_risk = asks_for_no_risk(plan.as_ref());
        self.settled = false;
        self.ended_by_decision = None;
        let ordinal = plan.as_ref().map_or(0, |plan| plan.ordinal);
        self.pending.retain(|one| ordinal < one.change.ordinal());
        self.plan = plan;
        self.begun = Some(day);
    }

    /// Who is enrolled again follows what is in force, as far as it was consented to. What was not changes no end yet
    /// (R-A1): the patient is followed while it is waited for.
    fn come_back(&mut self, day: NaiveDate) {
        let given = self.pending.iter().filter(|one| one.is_given_by(day));
        let given = given.max_by_key(|one| one.change.ordinal());
        let given = given.map(|one| (one.change, one.months.clone()));
        let newest = given.as_ref().map(|(change, _)| change.ordinal());
        let is_newer =
            |one: &Pending<'_>| newest.is_none_or(|newest| newest < one.change.ordinal());
        let waits = |one: &Pending<'_>| is_newer(one) && one.change.consent.is_some();
        if !self.pending.iter().any(waits) {
            self.begin(day);
            return;
        }
        if let Some((change, months)) = given {
            self.follow(change, months);
        }
        self.pending
            .retain(|one| one.given.is_some() || is_newer(one));
        for one in self.pending.iter_mut().filter(|one| one.given.is_none()) {
            one.was_open = true;
            one.returned = Some(day);
        }
    }

    /// From now on, the period is that of a plan version that the patient has consented to.
    fn follow(&mut self, change: &'a Change<'a>, months: Parameter<u32>) {
        self.months = self.longest(Some(months));
        self.until_no_risk = asks_for_no_risk(Some(&change.plan));
        self.plan = Some(change.plan.clone());
        self.why.merge(&Why::by("R-A1").on(&change.version.said));
        for said in change.signed.iter().flat_map(|set| &set.said) {
            self.why.add(said);
        }
    }

    /// The months, or those that a decision has asked for, if they are more.
    fn longest(&self, months: Option<Parameter<u32>>) -> Option<Parameter<u32>> {
        let both = [months, self.extended.clone()];
        both.into_iter().flatten().max_by_key(|one| one.value)
    }

    fn take_effect(&mut self, day: NaiveDate, change: &'a Change<'a>) {
        if self
            .plan
            .as_ref()
            .is_some_and(|plan| change.ordinal() <= plan.ordinal)
        {
            return;
        }
        let until_no_risk = asks_for_no_risk(Some(&change.plan));
        let months = self.floor.months(&self.product.product, Some(&change.plan));
        let Some(months) = months else { return };
        let now = self.months.as_ref().map(|one| one.value);
        if now == Some(months.value) && until_no_risk == self.until_no_risk {
            return;
        }
        let more = now.is_none_or(|now| now < months.value);
        let same = now == Some(months.value);
        self.pending.push(Pending {
            change,
            is_longer: more || (same && until_no_risk),
            was_open: self.standing(day).is_open(),
            months,
            given: None,
            returned: None,
        });
    }

    /// A patient who is still followed has given the consent: the version holds (R-A1).
    fn consented(&mut self, day: NaiveDate, change: &'a Change<'a>) {
        if !self.standing(day).is_open() {
            return;
        }
        let ordinal = change.ordinal();
        let mut pending = self.pending.iter_mut();
        let Some(amendment) = pending.find(|one| one.change.ordinal() == ordinal) else {
            return;
        };
        amendment.given = Some(day);
        let months = amendment.months.clone();
        self.follow(change, months);
        self.pending
            .retain(|one| one.given.is_some() || ordinal < one.change.ordinal());
    }

    fn decided(&mut self, day: NaiveDate, fact: &Seen, decision: &pb::MonitoringDecision) {
        let months = decision.follow_up_months.map(|value| Parameter {
            value,
            source: Source::Decision(fact.index),
        });
        match decision.decision() {
            Decision::Resume => {
                self.halted = None;
                self.ended_by_decision = None;
            }
            // A follow-up that is over is taken up again by an enrolment, not by a decision; the samples that are due
            // after it are ended by one (R-S3).
            kind if !self.standing(day).is_open() => {
                if matches!(kind, Decision::Stop | Decision::Waive) {
                    self.ended_by_decision = Some(day);
                }
            }
            Decision::Waive => self.halted = Some((Status::Waived, day)),
            Decision::Stop => self.halted = Some((Status::Stopped, day)),
            Decision::Extend | Decision::Intensify => {
                // One for many that does not say how long changes nobody's end: the plan version that follows
                // from it does, once the patient has consented to it (R-A1).
                let Some(months) = months else {
                    let is_own = !fact.record.patient.is_empty();
                    self.until_no_risk |= is_own && decision.decision() == Decision::Extend;
                    return;
                };
                self.extended = Some(months);
                self.months = self.longest(self.months.clone());
                self.settled = false;
                self.ended_by_decision = None;
            }
            Decision::Shorten => {
                let both = [months, self.months.clone()];
                self.months = both.into_iter().flatten().min_by_key(|one| one.value);
                self.extended = None;
                self.until_no_risk = false;
                self.settled = true;
                self.ended_by_decision = Some(day);
            }
            Decision::Unspecified => {}
        }
    }

    fn anchor(&self) -> NaiveDate {
        let policy = self.plan.as_ref().map(|plan| plan.parameters.anchor.value);
        match policy {
            Some(Anchor::FirstAdministration) => self.first,
            Some(Anchor::LastAdministration | Anchor::Unspecified) | None => self.last,
        }
    }

    fn end(&self) -> Option<NaiveDate> {
        let months = self.months.as_ref()?;
        add_months(self.anchor(), months.value)
    }

    /// Whether data must show that there is no risk any more before the end holds, and what says so.
    fn is_until_decision(&self, end: NaiveDate) -> Option<Why> {
        if self.until_no_risk {
            return Some(Why::by("R-D3"));
        }
        let specimens = self.specimens.get_or_init(|| Specimens::of(self.patient));
        let (persists, fact) = specimens.persists(end)?;
        (persists && !self.settled).then(|| Why::by("R-V4").on(fact))
    }

    fn standing(&self, day: NaiveDate) -> Status {
        if let Some((status, _)) = self.halted {
            return status;
        }
        let Some(end) = self.end() else {
            return Status::Open;
        };
        if day <= end {
            Status::Open
        } else if self.pending.iter().any(|one| one.keeps_open(day)) {
            Status::OpenPendingReconsent
        } else if self.is_until_decision(end).is_some() {
            Status::Open
        } else {
            Status::Completed
        }
    }

    fn course(mut self, on: NaiveDate) -> (Course, bool) {
        let product_id = self.product.product.product_id.clone();
        let standing = self.standing(on);
        let mut end = self.end();
        let held = end.filter(|end| *end < on && standing == Status::Open);
        let held = held.and_then(|end| self.is_until_decision(end));
        if let Some(why) = &held {
            self.why.merge(why);
        }
        if let Some((_, halted)) = self.halted {
            end = Some(end.map_or(halted, |end| end.min(halted)));
        }
        let needs_none = self.months.as_ref().is_some_and(|one| one.value == 0);
        let status = if !self.patient.is_alive(on) {
            Status::Dead
        } else if self.halted.is_some() {
            standing
        } else if needs_none {
            Status::NotRequired
        } else if !self.is_enrolled {
            self.why.basis.insert("R-E1");
            Status::NotEnrolled
        } else {
            standing
        };
        if status == Status::OpenPendingReconsent {
            self.why.basis.insert("R-A3");
        }
        let completed = status == Status::Completed;
        let amendments = self.pending.iter().map(|one| Amendment {
            plan: plan::key(one.change.version),
            consent: one.change.consent.clone(),
            months: one.months.value,
            is_longer: one.is_longer,
            effective: one.change.effective,
            deadline: one.change.deadline,
            state: one.state(completed, on),
        });
        let course = Course {
            first: self.first,
            anchor: self.anchor(),
            begun: self.begun.unwrap_or(self.first),
            plan: Plan::in_force(self.patient, self.catalogue, &product_id, on),
            status,
            end,
            until_decision: self.until_no_risk || held.is_some(),
            is_ended_by_decision: self.ended_by_decision.is_some(),
            amendments: amendments.collect(),
            months: self.months,
            gaps: self.gaps,
            why: self.why,
            product_id,
        };
        (course, self.specimens.get().is_some())
    }
}

fn asks_for_no_risk(plan: Option<&Plan>) -> bool {
    let parameter = plan.and_then(|plan| plan.parameters.until_no_risk.as_ref());
    parameter.is_some_and(|parameter| parameter.value)
}

#[cfg(test)]
mod tests;
