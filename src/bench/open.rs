//! Opening a large ledger against opening a small one, both after a clean stop.

use std::{path::Path, time::Instant};

use super::{
    Bench, Row,
    figures::{last, ratios},
    ledgers,
    row::Aim,
};

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (few, many) = (bench.effort.entries_few, bench.effort.entries);
    let (small, large) = (bench.grown(few)?, bench.grown(many)?);
    let rounds = bench.rounds(|| Ok((seconds(&small.dir)?, seconds(&large.dir)?)))?;
    let (small, large) = last(&rounds);
    let what = format!(
        "{many} entries in {:.0} ms, {few} in {:.0} ms",
        large * 1e3,
        small * 1e3
    );
    Ok(vec![Row::ratio(
        "open",
        ratios(&rounds),
        Aim::AtMost(3.0),
        what,
    )])
}

fn seconds(dir: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let ledger = ledgers::open(dir)?;
    let seconds = start.elapsed().as_secs_f64();
    ledger.close();
    Ok(seconds)
}
