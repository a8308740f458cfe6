//! Samples: when the next one is due, and what each one met. Integrating and gene-edited products by their own
//! rules (R-S1, R-C1, R-C2; A-46), every product by the slots of its plan (R-S4, R-V5) and by what a plan version
//! asks for beyond (R-P1).

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{
    Why,
    obligations::{Followed, Obligation, State, What},
    period::{bears_on, decisions_of, first_day_under},
    plan::{Parameters, Plan, key},
    slots::{Held, Slots},
    specimens::Outcome,
};
use crate::{
    pb::{Finding, MonitoringPart as Part, ProductClass, SamplePurpose, SlotKind},
    record::format::add_months,
    rules::question::Seen,
};

/// An intensified schedule: opened by a finding, ended by results without vector (R-C2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intensified {
    /// The day on which the finding was issued.
    pub from: NaiveDate,
    /// The day on which the last of the results was issued that end it.
    pub to: Option<NaiveDate>,
    /// Why.
    pub why: Why,
}

/// A sample that was taken, and what it was due for on the day before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The sample's id.
    pub sample_id: String,
    /// When it was due.
    pub due: NaiveDate,
    /// When it was taken.
    pub on: NaiveDate,
    /// How many days after it was due.
    pub days_late: u64,
    /// Why it was due then; the collection is the last entry.
    pub why: Why,
}

/// Findings that are confirmed with a further sample (R-C1).
const CLONE: [Finding; 2] = [Finding::DominantClone, Finding::Monoclonal];

/// Findings that shorten the interval (R-C2).
const EXPANSION: [Finding; 2] = [Finding::ClonalExpansion, Finding::IntegrationNearOncogene];

/// The samples that are open.
pub(super) fn open(followed: &Followed<'_>) -> Vec<Obligation> {
    let mut open = persistence(followed, followed.on);
    open.extend(planned(followed));
    open.extend(
        added(followed)
            .into_iter()
            .filter(|one| one.state != State::Met),
    );
    open
}

/// When the next persistence sample is due as things stood on a day: every rule's own row, in the order in which
/// they win a tie.
pub(super) fn persistence(followed: &Followed<'_>, on: NaiveDate) -> Vec<Obligation> {
    if !is_sampled(followed) {
        return Vec::new();
    }
    let parameters = parameters(followed, on);
    let row = |due: Option<NaiveDate>, why| {
        let what = What::Sample(SamplePurpose::Persistence);
        due.map(|due| Obligation::new(what, Some(due), why))
    };
    let mut rows = Vec::new();
    for clone in clones(followed, on) {
        if retest(followed, &clone, on).is_none() {
            let due = add_months(clone.fact.on, parameters.clone_retest_months.value);
            rows.extend(row(due, Why::by("R-C1").on(clone.fact)));
        }
    }
    let (last, last_fact) = last_sample(followed, on);
    let given = followed.given_on(last).filter(|_| last_fact.is_none());
    let reckoned_from: Vec<&Seen> = last_fact.into_iter().chain(given).collect();
    let since = |why: Why| reckoned_from.iter().fold(why, |why, fact| why.on(fact));
    for intensified in intensified(followed, on) {
        if intensified.to.is_none() {
            let due = add_months(last, parameters.intensified_interval_months.value);
            let due = due.map(|due| due.max(intensified.from));
            rows.extend(row(due, since(intensified.why)));
        }
    }
    let first_years = add_months(
        anchor(followed, on),
        parameters.sample_first_years_months.value,
    );
    let interval = if first_years.is_none_or(|end| last < end) {
        &parameters.sample_interval_months_first_years
    } else {
        &parameters.sample_interval_months_after
    };
    let mut why = since(Why::by("R-S1"));
    let mut months = interval.value;
    if let Some((decided, fact)) = decided_interval(followed, on) {
        months = decided;
        why.add(fact);
    }
    rows.extend(row(add_months(last, months), why));
    rows
}

/// Whether the product's samples follow the rules of integrating and gene-edited products.
pub(super) fn is_sampled(followed: &Followed<'_>) -> bool {
    let product = followed.catalogue.product(&followed.course.product_id);
    product.is_some_and(|product| {
        let mut classes = product.product.product_classes();
        product.product.integrating == Some(true)
            || classes.any(|class| {
                matches!(
                    class,
                    ProductClass::Lenti
                        | ProductClass::Gammaretro
                        | ProductClass::OtherRetro
                        | ProductClass::Transposon
                        | ProductClass::GeneEditedInVivo
                        | ProductClass::GeneEditedExVivo
                )
            })
    })
}

/// The numbers of the plan that was in force on a day.
pub(super) fn parameters(followed: &Followed<'_>, on: NaiveDate) -> Parameters {
    let course = followed.course;
    let parameters = if on == followed.on {
        course.plan.as_ref().map(|plan| plan.parameters.clone())
    } else {
        let product_id = &course.product_id;
        Plan::parameters_in_force(followed.patient, followed.catalogue, product_id, on)
    };
    parameters.unwrap_or_default()
}

/// The last qualifying collection of the treated patient by a day, or the administration if there is none (R-S1). A
/// later administration does not make the time between two samples longer.
fn last_sample<'a>(followed: &Followed<'a>, on: NaiveDate) -> (NaiveDate, Option<&'a Seen>) {
    let first = followed.course.first;
    let qualifying = followed
        .specimens
        .qualifying(SamplePurpose::Persistence, on);
    let since = qualifying.filter(|(fact, _)| first <= fact.on);
    since
        .last()
        .map_or((anchor(followed, on), None), |(fact, _)| {
            (fact.on, Some(fact))
        })
}

/// The anchor as it was on a day: what was given later is not reckoned from.
fn anchor(followed: &Followed<'_>, on: NaiveDate) -> NaiveDate {
    let course = followed.course;
    if course.anchor <= on {
        return course.anchor;
    }
    let given = followed
        .patient
        .given_of(followed.catalogue, &course.product_id);
    let by_then = given.map(|(fact, _)| fact.on).filter(|day| *day <= on);
    by_then.max().unwrap_or(course.first)
}

/// The interval that a decision has set, and the decision.
fn decided_interval<'a>(followed: &Followed<'a>, on: NaiveDate) -> Option<(u32, &'a Seen)> {
    let product_id = &followed.course.product_id;
    let decisions = decisions_of(followed.patient, followed.catalogue, product_id, on);
    let of_samples = decisions.filter(|(_, one)| bears_on(one, Part::Persistence));
    let mut set = of_samples.filter_map(|(fact, one)| Some((one.sample_interval_months?, fact)));
    set.next_back()
}

/// The results by a day that found a dominant clone.
pub(super) fn clones<'a>(
    followed: &Followed<'a>,
    on: NaiveDate,
) -> impl Iterator<Item = Outcome<'a>> {
    issued(followed, on).filter(|outcome| outcome.has(&CLONE))
}

/// The results of this follow-up that were issued by a day: since the product was first given. What a result asks for
/// does not end because the product is given again (R-S3).
pub(super) fn issued<'a>(
    followed: &Followed<'a>,
    on: NaiveDate,
) -> impl Iterator<Item = Outcome<'a>> {
    let first = followed.course.first;
    let results = followed.specimens.results.iter().copied();
    results.filter(move |outcome| first <= outcome.fact.on && outcome.fact.on <= on)
}

/// The first sample after a clone was reported that may confirm it.
pub(super) fn retest<'a>(
    followed: &Followed<'a>,
    clone: &Outcome<'_>,
    on: NaiveDate,
) -> Option<&'a Seen> {
    let mut collected = followed.specimens.collected.iter();
    let after = collected.find(|(fact, sample)| {
        let fits = sample
            .purposes()
            .any(|one| matches!(one, SamplePurpose::Persistence | SamplePurpose::Clonality));
        fits && clone.fact.on < fact.on && fact.on <= on
    });
    after.map(|(fact, _)| *fact)
}

/// The intensified schedules that began by a day. While one is open, a further finding keeps it open.
pub(super) fn intensified(followed: &Followed<'_>, on: NaiveDate) -> Vec<Intensified> {
    let count = parameters(followed, on).undetectable_results.value;
    let mut schedules: Vec<Intensified> = Vec::new();
    for finding in issued(followed, on).filter(|outcome| outcome.has(&EXPANSION)) {
        let from = finding.fact.on;
        let ended = without_vector(followed, from, count, on);
        let why = Why::by("R-C2").on(finding.fact);
        let to = ended.last().map(|last| last.fact.on);
        let why = ended.iter().fold(why, |why, outcome| why.on(outcome.fact));
        match schedules.last_mut() {
            Some(open) if open.to.is_none_or(|to| from <= to) => {
                open.to = to;
                open.why.merge(&why);
            }
            _ => schedules.push(Intensified { from, to, why }),
        }
    }
    schedules
}

/// The first so many results in a row without vector, on samples collected after a day; none if there are fewer. What
/// was not found on a sample that is known to be rejected may be there (R-S2); what was found is.
fn without_vector<'a>(
    followed: &Followed<'a>,
    after: NaiveDate,
    count: u32,
    on: NaiveDate,
) -> Vec<Outcome<'a>> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut in_a_row: Vec<Outcome<'a>> = Vec::new();
    for outcome in issued(followed, on).filter(|one| one.is_of_sample_after(after)) {
        if outcome.has(&[Finding::VectorNotDetected]) {
            if outcome.is_of_rejected {
                continue;
            }
            in_a_row.push(outcome);
            if count <= in_a_row.len() {
                return in_a_row;
            }
        } else if outcome.finds_vector() {
            in_a_row.clear();
        }
    }
    Vec::new()
}

/// The slots of the plan for samples, purpose by purpose, with the samples that met them.
pub(super) fn slots<'a>(followed: &Followed<'a>) -> Vec<(SamplePurpose, Slots<'a>)> {
    let Some(plan) = &followed.course.plan else {
        return Vec::new();
    };
    let of_samples = plan
        .slots
        .iter()
        .filter(|slot| slot.kind() == SlotKind::Sample);
    let purposes: BTreeSet<SamplePurpose> = of_samples.flat_map(|slot| slot.purposes()).collect();
    let slots = purposes.into_iter().map(|purpose| {
        let mut slots = Slots::of(followed, SlotKind::Sample, |slot| {
            slot.purposes().any(|one| one == purpose)
        });
        let taken = followed.specimens.qualifying(purpose, followed.on);
        slots.fill(
            followed,
            taken.map(|(fact, sample)| Held {
                fact,
                slot: sample.slot.as_str(),
            }),
        );
        (purpose, slots)
    });
    slots.collect()
}

fn planned(followed: &Followed<'_>) -> Vec<Obligation> {
    let slots = slots(followed).into_iter().filter_map(|(purpose, slots)| {
        let rule = if purpose == SamplePurpose::OffTarget {
            "R-V5"
        } else {
            "R-S4"
        };
        slots.next(followed, What::Sample(purpose), rule)
    });
    slots.collect()
}

/// What the versions of the plan ask for beyond the versions before (R-P1), those that are met among them.
pub(super) fn added(followed: &Followed<'_>) -> Vec<Obligation> {
    let versions = followed.course.plan.iter().flat_map(|plan| &plan.versions);
    let mut rows = Vec::new();
    for version in versions {
        let Some(effective) = first_day_under(followed.patient, &version.activations, followed.on)
        else {
            continue;
        };
        // Not from a later administration: what was asked for once stays met, and keeps its day.
        let from = effective.max(followed.course.first);
        for asked in &version.plan.added_obligations {
            let purpose = asked.purpose();
            let mut why = Why::by("R-P1").on(&version.said);
            let taken = followed.specimens.qualifying(purpose, followed.on);
            let taken = taken.filter(|(fact, _)| from <= fact.on).last();
            let due = match taken {
                Some((fact, _)) if !asked.once => add_months(fact.on, asked.interval_months),
                _ => add_months(from, asked.within_months_of_effective),
            };
            if let Some((fact, _)) = taken {
                why.add(fact);
            }
            let what = What::Added(purpose, key(version).version);
            let mut row = Obligation::new(what, due, why);
            if taken.is_some() && asked.once {
                row.state = State::Met;
            }
            row.blocked_by = followed.blocks(version);
            rows.push(row);
        }
    }
    rows
}

/// The persistence samples that were taken, each with the day on which it was due as things stood the day before.
pub(super) fn taken(followed: &Followed<'_>) -> Vec<Taken> {
    let qualifying = followed
        .specimens
        .qualifying(SamplePurpose::Persistence, followed.on);
    let since = qualifying.filter(|(fact, _)| followed.course.first < fact.on);
    let taken = since.filter_map(|(fact, sample)| {
        let before = fact.on.pred_opt()?;
        let mut rows = persistence(followed, before).into_iter();
        let first = rows.next()?;
        let was = rows.fold(
            first,
            |first, row| if row.due < first.due { row } else { first },
        );
        let due = was.due?;
        let late = fact.on.signed_duration_since(due).num_days();
        Some(Taken {
            sample_id: sample.sample_id.clone(),
            due,
            on: fact.on,
            days_late: late.try_into().unwrap_or(0),
            why: was.why.on(fact),
        })
    });
    taken.collect()
}
