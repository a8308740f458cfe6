//! Whether a record of a patient who has a history costs more, the more such patients there are: an invented population
//! over fifteen years, in the order of its days, by one stream. Each record is flagged from those before it.

use std::time::Instant;

use prost::Message as _;

use super::{
    Bench, Row,
    callers::{Served, submission},
    figures::{last, ratios, real},
    queries::population,
    row::Aim,
    stream::one,
};
use crate::pb::{RecordStreamRequest, submission::Form};

/// How often few and many are measured: many take long.
const TURNS: u32 = 3;

/// Of how many patients of the other rows one is in these populations: all that is known of each is recorded here, and
/// flagged.
const SHARE: u64 = 10;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let few = (bench.effort.patients_few / SHARE).max(1);
    let many = (bench.effort.patients / SHARE).max(1);
    let mut records = (0, 0);
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let (of_few, told) = bench.tell(few)?;
        records.0 = told;
        let (of_many, told) = bench.tell(many)?;
        records.1 = told;
        turns.push((of_few, of_many));
    }
    let (of_few, of_many) = last(&turns);
    let what = format!(
        "{of_many:.0} us for a record of {many} patients, {}; {of_few:.0} of {few}, {}",
        records.1, records.0
    );
    let higher = real(records.1).ln() / real(records.0.max(2)).ln();
    let aim = Aim::AtMost(higher);
    Ok(vec![Row::ratio("histories", ratios(&turns), aim, what)])
}

impl Bench {
    /// Records all of a population in a new ledger: microseconds for each record, and how many there are.
    fn tell(&self, patients: u64) -> anyhow::Result<(f64, u64)> {
        let home = self.scratch("histories")?;
        let served = Served::new(&home.join("ledger"))?;
        let items = population(patients).map(|record| RecordStreamRequest {
            submission: Some(submission(Form::Encoded(record.encode_to_vec()))),
        });
        let items: Vec<RecordStreamRequest> = items.collect();
        let told = u64::try_from(items.len())?;
        let start = Instant::now();
        served.runtime.block_on(one(served.channel()?, items))?;
        let micros = start.elapsed().as_secs_f64() * 1e6 / real(told);
        served.end()?;
        Ok((micros, told))
    }
}
