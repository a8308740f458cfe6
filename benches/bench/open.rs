//! Opening a large ledger against opening a small one, both after a clean stop.

use std::{path::Path, time::Instant};

use crate::{Aim, Effort, Row, ledgers};

const SMALL: u64 = 10_000;

pub(crate) fn measure(effort: Effort) -> Row {
    let home = tempfile::tempdir().unwrap();
    let (small, large) = (home.path().join("small"), home.path().join("large"));
    ledgers::filled(&small, SMALL);
    ledgers::filled(&large, effort.entries);
    let rounds = (0..effort.rounds).map(|_| (seconds(&small), seconds(&large)));
    let rounds: Vec<(f64, f64)> = rounds.collect();
    let (small, large) = rounds.last().copied().unwrap_or_default();
    Row {
        name: "open",
        what: format!(
            "{} entries in {:.0} ms, {SMALL} in {:.0} ms",
            effort.entries,
            large * 1e3,
            small * 1e3
        ),
        ratios: rounds
            .into_iter()
            .map(|(small, large)| large / small)
            .collect(),
        aim: Aim::AtMost(3.0),
    }
}

fn seconds(dir: &Path) -> f64 {
    let start = Instant::now();
    let ledger = ledgers::open(dir);
    let seconds = start.elapsed().as_secs_f64();
    ledger.close();
    seconds
}
