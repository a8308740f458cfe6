//! What the views of facts cost where entries are written: the rate of a ledger that keeps them against the
//! rate of one whose records are about nothing. And, beside the ratio, what a patient's facts cost to read.

use std::time::Instant;

use genetrail::{
    ledger::{Ledger, Submission},
    rules::fact::{Facts as _, Subject},
    views::Posts,
};

use crate::{Aim, Effort, Row, ledgers};

/// Entries of a patient, all over the log.
const OF_A_PATIENT: u64 = 200;

/// Submissions are made before they are timed; more of them would not fit a small machine.
const ENTRIES_MAX: u64 = 200_000;

pub(crate) fn measure(effort: Effort) -> Row {
    let home = tempfile::tempdir().unwrap();
    let entries = effort.entries.min(ENTRIES_MAX);
    let mut rates = Vec::new();
    let mut reading = String::new();
    for round in 0..effort.rounds {
        let rate = |name: &str, posted: bool| {
            let dir = home.path().join(format!("{name}-{round}"));
            ledgers::create(&dir);
            let ledger = ledgers::open(&dir);
            let submissions: Vec<Submission> = (0..entries)
                .map(|number| submission(number, entries / OF_A_PATIENT, posted))
                .collect();
            let start = Instant::now();
            ledgers::fill(&ledger, submissions.into_iter());
            let rate = rate_of(entries, start);
            (rate, ledger)
        };
        let (without, ledger) = rate("without", false);
        ledger.close();
        let (with, ledger) = rate("with", true);
        reading = read(&ledger, entries / OF_A_PATIENT);
        ledger.close();
        rates.push((with, without));
    }
    let (with, without) = rates.last().copied().unwrap_or_default();
    Row {
        name: "views",
        what: format!("{with:.0} entries/s with views of facts, {without:.0} without; {reading}"),
        ratios: rates
            .into_iter()
            .map(|(with, without)| with / without)
            .collect(),
        aim: Aim::AtLeast(0.5),
    }
}

/// An administration to one of so many patients, at their turn.
fn submission(number: u64, patients: u64, posted: bool) -> Submission {
    let record = ledgers::administration_of(number, number % patients);
    let posts = if posted {
        Posts::of(&record)
    } else {
        Posts::default()
    };
    Submission {
        posts,
        ..ledgers::submission_of(&record)
    }
}

/// The facts of some patients: read from the store, and read again.
fn read(ledger: &Ledger, patients: u64) -> String {
    let facts = ledger.facts();
    let some: Vec<Subject> = (0..patients)
        .step_by(usize::try_from(patients / 20).unwrap_or(1).max(1))
        .map(|patient| Subject::Patient(ledgers::patient(patient)))
        .collect();
    let micros = || {
        let start = Instant::now();
        for patient in &some {
            let about = facts.about(patient).unwrap();
            assert_eq!(u64::try_from(about.len()).unwrap(), OF_A_PATIENT);
        }
        1e6 / rate_of(u64::try_from(some.len()).unwrap(), start)
    };
    let (first, again) = (micros(), micros());
    format!("{OF_A_PATIENT} facts of a patient in {first:.0} us, again in {again:.0} us")
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a rate is for people to read"
)]
fn rate_of(count: u64, start: Instant) -> f64 {
    count as f64 / start.elapsed().as_secs_f64()
}
