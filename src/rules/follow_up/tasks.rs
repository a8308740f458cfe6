//! Tasks that a result or an adverse event opens: the confirmation of a clone and its integration sites (R-C1), the
//! watch for malignancy (R-C2), clonality (R-C3), replication-competent virus (R-R1), off-target activity (R-V5).
//! Those without a number in the guideline have no day.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};

use super::{
    Why,
    obligations::{Followed, Obligation, State, What},
    samples::{clones, intensified, is_sampled, issued, parameters, retest},
    specimens::Outcome,
};
use crate::{
    pb::{Finding, SamplePurpose},
    record::format::Decimal,
    rules::{fact::civil_day, question::Seen},
};

/// The tasks that are open.
pub(super) fn open(followed: &Followed<'_>) -> Vec<Obligation> {
    let all = all(followed).into_iter();
    all.filter(|task| task.state != State::Met).collect()
}

/// All tasks, the oldest of a kind first; those that were done with what did them.
pub(super) fn all(followed: &Followed<'_>) -> Vec<Obligation> {
    let mut tasks = Vec::new();
    if is_sampled(followed) {
        for clone in clones(followed, followed.on) {
            tasks.push(confirmation(followed, &clone));
            tasks.push(integration_sites(followed, &clone));
        }
        tasks.extend(malignancy_watches(followed));
        tasks.extend(clonality(followed));
    }
    tasks.extend(rcl_tests(followed));
    tasks.extend(off_target(followed));
    tasks
}

fn task(what: What, due: Option<NaiveDate>, why: Why, done: Option<&Seen>) -> Obligation {
    let mut task = Obligation::new(what, due, why);
    if let Some(done) = done {
        task.state = State::Met;
        task.why.add(done);
    }
    task
}

/// Open until a result on a sample that was taken after the report is issued.
fn confirmation(followed: &Followed<'_>, clone: &Outcome<'_>) -> Obligation {
    let months = parameters(followed, clone.fact.on)
        .clone_retest_months
        .value;
    let due = crate::record::format::add_months(clone.fact.on, months);
    let mut why = Why::by("R-C1").on(clone.fact);
    let retest = retest(followed, clone, followed.on);
    if let Some(sample) = retest {
        why.add(sample);
    }
    let confirmed = issued(followed, followed.on).find(|outcome| {
        let is_of_retest = outcome.is_of_sample_after(clone.fact.on) && !outcome.is_of_rejected;
        is_of_retest && outcome.tells_of_clones()
    });
    // Once the sample is taken there is no day by which its result must be there.
    let due = due.filter(|_| retest.is_none());
    task(
        What::CloneConfirmation,
        due,
        why,
        confirmed.map(|outcome| outcome.fact),
    )
}

fn integration_sites(followed: &Followed<'_>, clone: &Outcome<'_>) -> Obligation {
    let analysed = issued(followed, followed.on).find(|outcome| {
        let has_sites = !outcome.result.sites.is_empty()
            || outcome.has(&[Finding::IntegrationNearOncogene])
            || outcome.is_for(SamplePurpose::Isa);
        clone.fact.on <= outcome.fact.on && has_sites
    });
    task(
        What::IntegrationSites,
        None,
        Why::by("R-C1").on(clone.fact),
        analysed.map(|outcome| outcome.fact),
    )
}

fn malignancy_watches(followed: &Followed<'_>) -> Vec<Obligation> {
    let schedules = intensified(followed, followed.on).into_iter();
    let watches = schedules.map(|schedule| {
        let mut watch = Obligation::new(What::MalignancyWatch, None, schedule.why);
        if schedule.to.is_some() {
            watch.state = State::Met;
        }
        watch
    });
    watches.collect()
}

/// A share of vector-positive cells above the expected maximum, until clonality is assessed.
fn clonality(followed: &Followed<'_>) -> Vec<Obligation> {
    let above =
        issued(followed, followed.on).filter(|outcome| is_above_expected(followed, outcome));
    let tasks = above.map(|outcome| {
        let mut later = issued(followed, followed.on);
        let assessed =
            later.find(|later| outcome.fact.on <= later.fact.on && later.tells_of_clones());
        task(
            What::Clonality,
            None,
            Why::by("R-C3").on(outcome.fact),
            assessed.map(|later| later.fact),
        )
    });
    tasks.collect()
}

fn is_above_expected(followed: &Followed<'_>, outcome: &Outcome<'_>) -> bool {
    if outcome.has(&[Finding::AboveExpected]) {
        return true;
    }
    let plan = parameters(followed, outcome.fact.on).expected_max_percent;
    let plan = plan.map(|parameter| parameter.value);
    let expected = plan.unwrap_or_else(|| outcome.result.expected_max_percent.clone());
    let share = Decimal::parse(&outcome.result.positive_fraction_percent).ok();
    let expected = Decimal::parse(&expected).ok();
    share.zip(expected).is_some_and(|(share, max)| max < share)
}

/// One test for each case, from its first report that suspects the virus.
fn rcl_tests(followed: &Followed<'_>) -> Vec<Obligation> {
    let mut cases: BTreeMap<&str, (NaiveDate, &Seen)> = BTreeMap::new();
    for (fact, event) in followed.patient.of_kind(pick!(AdverseEvent)) {
        if event.suspected_rcl != Some(true) {
            continue;
        }
        let zone = fact.record.site_tz.parse().ok();
        let reported = civil_day(&event.aware_at, zone).unwrap_or(fact.on);
        let case = cases.entry(&event.case_id).or_insert((reported, fact));
        if reported < case.0 {
            *case = (reported, fact);
        }
    }
    let tests = cases
        .into_values()
        .filter(|(reported, _)| *reported <= followed.on);
    let tests = tests.map(|(reported, fact)| {
        let days = parameters(followed, reported).rcl_test_days.value;
        let due = reported.checked_add_days(Days::new(u64::from(days)));
        let mut results = followed.specimens.results.iter();
        let tested = results.find(|outcome| {
            reported <= outcome.fact.on
                && outcome.fact.on <= followed.on
                && outcome.has(&[Finding::RclPositive, Finding::RclNegative])
        });
        task(
            What::RclTest,
            due,
            Why::by("R-R1").on(fact),
            tested.map(|outcome| outcome.fact),
        )
    });
    tests.collect()
}

/// Samples for off-target activity that were taken and not assessed: on target and off target.
fn off_target(followed: &Followed<'_>) -> Vec<Obligation> {
    let taken = followed
        .specimens
        .qualifying(SamplePurpose::OffTarget, followed.on);
    let tasks = taken.map(|(fact, sample)| {
        let mut results = issued(followed, followed.on);
        let assessed = results.find(|outcome| {
            let of_sample = outcome
                .sample
                .is_some_and(|(_, own)| own.sample_id == sample.sample_id);
            of_sample && outcome.result.off_target.is_some()
        });
        task(
            What::OffTarget,
            None,
            Why::by("R-V5").on(fact),
            assessed.map(|outcome| outcome.fact),
        )
    });
    tasks.collect()
}
