//! How long a caller waits for its receipt: the slowest of a hundred, at some callers in the time of a single sync,
//! at many in milliseconds.

use std::{fs::File, io::Write as _, path::Path, time::Instant};

use super::{
    Bench, Row,
    callers::Served,
    figures::quantile,
    row::{Aim, Unit},
};

const CALLERS: usize = 64;
const CALLERS_MANY: usize = 1_000;

/// Syncs of which the middle one is taken, and what each has to write: a page.
const SYNCS: usize = 101;
const SYNC_BYTES: usize = 4_096;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("latency")?;
    let product = Served::new(&home.join("ledger"))?;
    let load = bench.effort.load;
    let mut told = (0.0, 0.0, 0.0);
    let rounds = bench.rounds(|| {
        let sync = single_sync(&home.join("synced"))?;
        let some = product.load(CALLERS, load)?;
        let many = product.load(CALLERS_MANY, load)?;
        told = (
            sync * 1e3,
            quantile(&some.waits, 500) * 1e3,
            quantile(&many.waits, 500) * 1e3,
        );
        let (some, many) = (quantile(&some.waits, 990), quantile(&many.waits, 990));
        Ok((some / sync, many * 1e3))
    })?;
    product.end()?;
    let (syncs, milliseconds): (Vec<f64>, Vec<f64>) = rounds.into_iter().unzip();
    let (sync, median, median_many) = told;
    let last = syncs.last().copied().unwrap_or_default() * sync;
    let some = format!(
        "p99 at {CALLERS} callers, in syncs: {last:.2} ms, p50 {median:.2} ms, a sync {sync:.2} ms"
    );
    let many = format!("p99 at {CALLERS_MANY} callers; p50 {median_many:.1} ms");
    Ok(vec![
        Row::ratio("latency", syncs, Aim::AtMost(10.0), some),
        Row::measured(
            "latency-1000",
            milliseconds,
            Unit::Milliseconds,
            Aim::AtMost(50.0),
            many,
        ),
    ])
}

/// How long it takes to append a page to a file and to sync it, in seconds.
pub(super) fn single_sync(path: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(path)?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[0x5a; SYNC_BYTES])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(quantile(&times, 500))
}
