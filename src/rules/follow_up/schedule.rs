//! The whole follow-up of one patient: its period, what was planned and what met it, the samples that were taken,
//! the tasks that were opened, the schedules that were intensified, and what is open. Nothing is decided here that
//! the other files do not decide.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{
    contacts, obligations,
    obligations::{Followed, Obligation, What},
    period::{Course, Period},
    samples::{self, Intensified, Taken},
    slots::{SlotState, Slots},
    specimens::Specimens,
    tasks, visits,
};
use crate::{
    pb::{ConsentVersionKey, VisitBlockKind},
    rules::{
        catalogue::Catalogue, consent::signatures::Signatures, fact::Fact, patient::Patient,
        question::Seen,
    },
    tlog::Index,
};

/// The follow-up of a patient on a day.
#[derive(Debug)]
pub struct Schedule {
    /// How long the patient is followed, and by which plan.
    pub period: Period,
    /// What was planned, product by product in the order of its days.
    pub planned: Vec<Planned>,
    /// The persistence samples that were taken.
    pub taken: Vec<Taken>,
    /// The tasks that were opened, and the samples that plan versions asked for; those that were met as well.
    pub tasks: Vec<Obligation>,
    /// The intensified schedules.
    pub intensified: Vec<Intensified>,
    /// The visits of the intensive period that lack content (R-V3).
    pub incomplete: Vec<Incomplete>,
    /// What is open.
    pub open: Vec<Obligation>,
}

/// A slot of the plan, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What is planned.
    pub what: What,
    /// The product.
    pub product_id: String,
    /// The name of the slot.
    pub slot: String,
    /// Its day.
    pub due: NaiveDate,
    /// How far from its day it may be met, either way, in days.
    pub window_days: u32,
    /// How it stands.
    pub state: SlotState,
    /// What met it: the day and the entry.
    pub met_by: Option<Met>,
    /// How many days after its window.
    pub days_after_window: u64,
    /// The consent version that must be given first.
    pub blocked_by: Option<ConsentVersionKey>,
}

/// What met a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The day.
    pub on: NaiveDate,
    /// The entry.
    pub index: Index,
    /// The record's id.
    pub record_id: String,
}

/// A visit that lacks content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incomplete {
    /// The visit.
    pub visit: Met,
    /// The blocks that are missing.
    pub missing: Vec<VisitBlockKind>,
}

impl From<&Fact> for Met {
    fn from(fact: &Fact) -> Self {
        Self {
            on: fact.on,
            index: fact.index,
            record_id: fact.record.record_id.clone(),
        }
    }
}

impl Schedule {
    /// The follow-up of a patient on a day.
    pub fn of(
        patient: &Patient,
        catalogue: &Catalogue,
        signatures: &Signatures,
        on: NaiveDate,
    ) -> Self {
        let period = Period::of(patient, catalogue, signatures, on);
        let specimens = Specimens::of(patient);
        let mut schedule = Self {
            open: obligations::open_of((patient, catalogue, signatures), &period, &specimens, on),
            period,
            planned: Vec::new(),
            taken: Vec::new(),
            tasks: Vec::new(),
            intensified: Vec::new(),
            incomplete: Vec::new(),
        };
        for course in &schedule.period.courses {
            let followed = Followed {
                patient,
                catalogue,
                signatures,
                course,
                specimens: &specimens,
                on,
            };
            let visits = visits::slots(&followed);
            incomplete(&mut schedule.incomplete, &followed, &visits);
            let planned = &mut schedule.planned;
            plan(planned, course, &What::Visit, &visits, on);
            for earlier in before_given_again(&followed) {
                let followed = Followed {
                    course: &earlier.0,
                    on: earlier.1,
                    ..followed
                };
                let mut visits = visits::slots(&followed);
                let has = |planned: &[Planned], fact: &Seen| {
                    let mut met = planned.iter().filter_map(|one| one.met_by.as_ref());
                    met.any(|met| met.index == fact.index)
                };
                visits
                    .0
                    .retain(|slot| slot.met_by.is_some_and(|fact| !has(planned, fact)));
                incomplete(&mut schedule.incomplete, &followed, &visits);
                plan(planned, &earlier.0, &What::Visit, &visits, earlier.1);
            }
            let contacts = contacts::slots(&followed);
            plan(planned, course, &What::Contact, &contacts, on);
            for (purpose, slots) in samples::slots(&followed) {
                plan(planned, course, &What::Sample(purpose), &slots, on);
            }
            schedule.taken.extend(samples::taken(&followed));
            let tasks = tasks::all(&followed).into_iter();
            let tasks = tasks.chain(samples::added(&followed));
            let tasks = tasks.filter_map(|task| followed.judged(task));
            schedule.tasks.extend(tasks);
            let intensified = samples::intensified(&followed, on);
            schedule.intensified.extend(intensified);
        }
        schedule.planned.sort_by(|one, other| {
            let key = |planned: &Planned| (planned.due, planned.what.clone());
            key(one).cmp(&key(other))
        });
        schedule
    }
}

/// The courses as they stood on the days before the product was given again, the earliest first, each with the day on
/// which it was: what was held until then stays what it was, and was late if it was late.
fn before_given_again(followed: &Followed<'_>) -> Vec<(Course, NaiveDate)> {
    let (patient, catalogue) = (followed.patient, followed.catalogue);
    let course = followed.course;
    let given = patient.given_of(catalogue, &course.product_id);
    let again = given.map(|(fact, _)| fact.on);
    let again = again.filter(|day| course.first < *day && *day <= course.anchor);
    let again: BTreeSet<NaiveDate> = again.collect();
    let courses = again.into_iter().filter_map(|day| {
        let before = Period::of(patient, catalogue, followed.signatures, day.pred_opt()?);
        let mut courses = before.courses.into_iter();
        let course = courses.find(|one| one.product_id == course.product_id)?;
        Some((course, day))
    });
    courses.collect()
}

/// The visits that lack content.
fn incomplete(incomplete: &mut Vec<Incomplete>, followed: &Followed<'_>, visits: &Slots<'_>) {
    for (fact, visit) in visits::held(followed) {
        let missing = visits::missing_blocks(followed, visits, fact, visit);
        let is_new = || incomplete.iter().all(|one| one.visit.index != fact.index);
        if !missing.is_empty() && is_new() {
            let visit = Met::from(&**fact);
            incomplete.push(Incomplete { visit, missing });
        }
    }
}

fn plan(
    planned: &mut Vec<Planned>,
    course: &Course,
    what: &What,
    slots: &Slots<'_>,
    on: NaiveDate,
) {
    for (at, slot) in slots.0.iter().enumerate() {
        planned.push(Planned {
            what: what.clone(),
            product_id: course.product_id.clone(),
            slot: slot.name.clone(),
            due: slot.due,
            window_days: slot.window_days,
            state: slots.state(at, on),
            met_by: slot.met_by.map(|fact: &Seen| Met::from(&**fact)),
            days_after_window: slot.days_after_window(),
            blocked_by: slot.blocked_by.clone(),
        });
    }
}
