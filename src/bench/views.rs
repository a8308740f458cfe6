//! What the views of facts cost where entries are written: the rate of a ledger that keeps them against the
//! rate of one whose records are about nothing. And, beside the ratio, what a patient's facts cost to read.

use std::time::Instant;

use anyhow::ensure;

use super::{
    Bench, Row,
    figures::{last, rate_since, ratios, real_len},
    ledgers,
    row::Aim,
};
use crate::{
    ledger::{Ledger, Submission},
    rules::fact::{Facts as _, Subject},
    views::Posts,
};

/// Entries of a patient, all over the log.
const OF_A_PATIENT: u64 = 200;

/// Submissions are made before they are timed; more of them would not fit a small machine.
const ENTRIES_MAX: u64 = 200_000;

/// Patients whose facts are read.
const READ: u64 = 20;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let patients = (bench.effort.entries.min(ENTRIES_MAX) / OF_A_PATIENT).max(1);
    let mut reading = String::new();
    let rounds = bench.rounds(|| {
        let home = bench.scratch("views")?;
        let rate = |posted: bool| {
            let name = if posted { "with" } else { "without" };
            let ledger = ledgers::create(&home.join(name))?;
            let entries = patients * OF_A_PATIENT;
            let submissions = (0..entries).map(|number| submission(number, patients, posted));
            let submissions = submissions.collect::<anyhow::Result<Vec<_>>>()?;
            let start = Instant::now();
            ledgers::fill(&ledger, submissions.into_iter().map(Ok))?;
            anyhow::Ok((rate_since(start, entries), ledger))
        };
        let (without, ledger) = rate(false)?;
        ledger.close();
        let (with, ledger) = rate(true)?;
        reading = read(&ledger, patients)?;
        ledger.close();
        Ok((without, with))
    })?;
    let (without, with) = last(&rounds);
    let what = format!("{with:.0} entries/s with views of facts, {without:.0} without; {reading}");
    Ok(vec![Row::ratio(
        "views",
        ratios(&rounds),
        Aim::AtLeast(0.5),
        what,
    )])
}

/// An administration to one of so many patients, at their turn.
fn submission(number: u64, patients: u64, posted: bool) -> anyhow::Result<Submission> {
    let record = ledgers::administration_of(number, number % patients);
    let submission = ledgers::submission_of(&record)?;
    if posted {
        return Ok(submission);
    }
    Ok(Submission {
        posts: Posts::default(),
        ..submission
    })
}

/// The facts of some patients: read from the store, and read again.
fn read(ledger: &Ledger, patients: u64) -> anyhow::Result<String> {
    let facts = ledger.facts();
    let step = usize::try_from((patients / READ).max(1))?;
    let some: Vec<Subject> = (0..patients)
        .step_by(step)
        .map(|patient| Subject::Patient(ledgers::patient(patient)))
        .collect();
    let micros = || {
        let start = Instant::now();
        for patient in &some {
            let about = facts.about(patient)?;
            ensure!(
                u64::try_from(about.len())? == OF_A_PATIENT,
                "{} facts of a patient",
                about.len()
            );
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / real_len(some.len()))
    };
    let (first, again) = (micros()?, micros()?);
    Ok(format!(
        "{OF_A_PATIENT} facts of a patient in {first:.0} us, again in {again:.0} us"
    ))
}
