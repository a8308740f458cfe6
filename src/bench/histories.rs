//! Whether a record of a patient who has a history costs more, the more such patients there are: an invented population
//! over fifteen years, in the order of its days, by one stream. Each record is flagged from those before it.

use std::time::Instant;

use super::{
    Bench, Row,
    callers::Served,
    figures::{last, ratios, real},
    ledgers,
    queries::population,
    row::Aim,
    stream::{item, one},
};

/// How often few and many are measured: many take long.
const TURNS: u32 = 3;

/// Of how many patients of the other rows one is in these populations: all that is known of each is recorded here, and
/// flagged.
const SHARE: u64 = 10;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let few = (bench.effort.patients_few / SHARE).max(1);
    let many = (bench.effort.patients / SHARE).max(1);
    let (mut records_few, mut records_many) = (0, 0);
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let (of_few, of_many);
        (of_few, records_few) = bench.tell(few)?;
        (of_many, records_many) = bench.tell(many)?;
        turns.push((of_few, of_many));
    }
    let (of_few, of_many) = last(&turns);
    let what = format!(
        "{of_many:.0} us for a record of {many} patients, {records_many}; {of_few:.0} of {few}, {records_few}"
    );
    let aim = Aim::as_the_tree(records_few, records_many);
    Ok(vec![Row::ratio("histories", ratios(&turns), aim, what)])
}

impl Bench {
    /// Records all of a population in a new ledger: microseconds for each record, and how many there are.
    fn tell(&self, patients: u64) -> anyhow::Result<(f64, u64)> {
        let home = self.scratch("histories")?;
        let served = Served::over(ledgers::create(&home.join("ledger"))?)?;
        let items: Vec<_> = population(patients).map(|record| item(&record)).collect();
        let told = u64::try_from(items.len())?;
        let start = Instant::now();
        served.runtime.block_on(one(served.channel()?, items))?;
        let micros = start.elapsed().as_secs_f64() * 1e6 / real(told);
        served.end()?;
        Ok((micros, told))
    }
}
