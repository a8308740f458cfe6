//! Kills: SIGKILL at a random moment under load, also while the ledger opens. The kernel keeps what
//! was written, so this shows that the order of writes is right, and that opening finishes what was
//! begun; it says nothing of syncs.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use crate::{
    acks::Acks,
    bench::{Bench, Place},
    child::End,
    plan::{Shape, run as run_of},
    process::{self, Environment},
    rng::Rng,
};

/// Rounds in one directory; then a new one, so that reading all of it stays quick.
const ROUNDS_PER_LEDGER: usize = 25;

#[derive(Debug, Default)]
struct Seen {
    while_opening: u32,
    acknowledged: usize,
    recoveries: BTreeSet<String>,
}

/// Runs the rounds.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let rounds = bench.rounds(10, 200);
    let mut rng = bench.rng(1);
    let mut seen = Seen::default();
    let mut place = bench.place_with_ledger()?;
    let opening = time_to_open(&place)?;
    for round in 0..rounds {
        if round != 0 && round % ROUNDS_PER_LEDGER == 0 {
            seen.acknowledged += Acks::read(&place.acks())?.records.len();
            place.remove()?;
            place = bench.place_with_ledger()?;
        }
        let outcome = kill_once(&place, round, opening, &mut rng, &mut seen);
        if bench.score(&format!("round {round}"), outcome).is_none() {
            break;
        }
    }
    seen.acknowledged += Acks::read(&place.acks())?.records.len();
    let Seen {
        while_opening,
        acknowledged,
        recoveries,
    } = seen;
    let recoveries: Vec<String> = recoveries.into_iter().collect();
    bench.summarize(&format!(
        "{rounds} kills, {while_opening} of them while opening; {acknowledged} records acknowledged; \
         recoveries seen: {}",
        recoveries.join(", ")
    ));
    Ok(())
}

/// How long it takes to start and to open.
fn time_to_open(place: &Place) -> Result<Duration> {
    let begun = Instant::now();
    process::check(&place.orders(), &Environment::new())?;
    Ok(begun.elapsed())
}

fn kill_once(
    place: &Place,
    round: usize,
    opening: Duration,
    rng: &mut Rng,
    seen: &mut Seen,
) -> Result<()> {
    let shape = if round % 4 == 3 {
        Shape::Huge
    } else {
        Shape::Mixed
    };
    let mut orders = place.orders();
    orders.run = run_of(shape, u32::try_from(round)?);
    orders.submitters = 8;
    orders.batches = 150;
    // Mostly under load, sometimes before anything is appended.
    let longest = opening + Duration::from_millis(300);
    let delay = Duration::from_micros(u64::try_from(
        rng.below(usize::try_from(longest.as_micros())?),
    )?);
    let before = fs::metadata(place.acks()).map_or(0, |file| file.len());
    let killed = process::start("load", &orders, &Environment::new())?.kill_after(delay)?;
    note_recoveries(&killed.output, seen);
    if killed.end.is_none() && fs::metadata(place.acks()).map_or(0, |file| file.len()) == before {
        seen.while_opening += 1;
    }
    ensure!(
        killed.end.is_none_or(|end| end == End::Done),
        "before it was killed, the load {}",
        killed.describe()
    );
    orders.abrupt = rng.one_in(3);
    let checked = process::check(&orders, &Environment::new())?;
    note_recoveries(&checked.output, seen);
    if rng.one_in(4) {
        let whole = process::run("fsck", &orders, &Environment::new())?;
        ensure!(whole.end == Some(End::Done), "fsck {}", whole.describe());
    }
    Ok(())
}

/// Collects what opening said that it had to do.
fn note_recoveries(output: &str, seen: &mut Seen) {
    let Some(line) = output.lines().find_map(|line| line.strip_prefix("open [")) else {
        return;
    };
    for word in line
        .split(|char: char| !char.is_alphabetic())
        .filter(|word| !word.is_empty())
    {
        seen.recoveries.insert(word.to_owned());
    }
}
