//! Errors of the disk: of all calls that a load makes on its files, the n-th fails with EIO or ENOSPC,
//! once or from then on, for every n. Each append is answered with an entry that stays, or with an
//! error; the process ends by itself; and without the fault it opens with everything acknowledged.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bench::{Bench, Place},
    child::End,
    plan::{Shape, run as run_of},
    process::{self, Environment},
    recorder,
};

/// What a fault is: the error's number, and whether it lasts.
const FAULTS: [(&str, &str); 4] = [
    ("EIO", "5 once"),
    ("ENOSPC", "28 on"),
    ("EIO", "5 on"),
    ("ENOSPC", "28 once"),
];

/// What a child does while a call fails, and the disk that it does it on.
struct Scene {
    name: &'static str,
    place: Place,
    role: &'static str,
    /// Whether reads fail as well.
    reads: bool,
}

/// Runs the sweep over the calls of each scene.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let Some(recorder) = bench.recorder() else {
        return Ok(());
    };
    let mut ends = Vec::new();
    let mut calls_of_all = 0;
    for scene in scenes(bench)? {
        let calls = count_calls(bench, &scene, &recorder)?;
        calls_of_all += calls;
        let step = if bench.full { 1 } else { calls / 8 + 1 };
        // Where a sweep with gaps begins is left to chance.
        let first = 1 + bench.rng(4).below(step);
        for (number, call) in (first..=calls).step_by(step).enumerate() {
            // All of them where commits are, by turns elsewhere.
            let faults = if bench.full && scene.name == "load" {
                &FAULTS[..]
            } else {
                &FAULTS[number % FAULTS.len()..][..1]
            };
            for (error, fault) in faults {
                let case = format!("{}, call {call} of {calls}, {error} ({fault})", scene.name);
                let outcome = fail_call(bench, &scene, call, fault, &recorder);
                ends.extend(bench.score(&case, outcome));
            }
        }
        scene.place.remove()?;
    }
    let count = |wanted| ends.iter().filter(|end| **end == wanted).count();
    bench.summarize(&format!(
        "{} faults among {calls_of_all} calls: {} harmless, {} refused to open, {} stopped",
        ends.len(),
        count(End::Done),
        count(End::Refused),
        count(End::Stopped)
    ));
    Ok(())
}

/// Commits on a whole disk; and openings on disks where one copy is behind or gone.
fn scenes(bench: &mut Bench) -> Result<Vec<Scene>> {
    let whole = loaded(bench)?;
    let mut scenes = vec![Scene {
        name: "create",
        place: bench.place()?,
        role: "create",
        reads: false,
    }];
    for (name, gone) in [("store gone", "store"), ("journal gone", "journal")] {
        let place = bench.place()?;
        whole.copy_to(&place)?;
        fs::remove_dir_all(place.data().join(gone))?;
        scenes.push(Scene {
            name,
            place,
            role: "load",
            reads: false,
        });
    }
    let reads = bench.place()?;
    whole.copy_to(&reads)?;
    scenes.push(Scene {
        name: "reads",
        place: reads,
        role: "load",
        reads: true,
    });
    scenes.push(Scene {
        name: "load",
        place: whole,
        role: "load",
        reads: false,
    });
    Ok(scenes)
}

/// A ledger with some entries.
fn loaded(bench: &mut Bench) -> Result<Place> {
    let place = bench.place_with_ledger()?;
    let mut orders = place.orders();
    orders.run = run_of(Shape::Mixed, 0);
    orders.batches = 6;
    let outcome = process::run("load", &orders, &Environment::new())?;
    ensure!(
        outcome.end == Some(End::Done),
        "the first load {}",
        outcome.describe()
    );
    Ok(place)
}

fn environment(scene: &Scene, place: &Place, recorder: &Path) -> Environment {
    let mut environment = recorder::watch(recorder, place);
    environment.push(("CRASH_CALLS", place.beside("calls").display().to_string()));
    if scene.reads {
        environment.push(("CRASH_READS", "1".to_owned()));
    }
    environment
}

fn play(scene: &Scene, place: &Place, environment: &Environment) -> Result<process::Outcome> {
    let mut orders = place.orders();
    orders.run = run_of(Shape::Mixed, 1);
    (orders.submitters, orders.batches) = (2, 3);
    process::run(scene.role, &orders, environment)
}

/// How many calls there are to fail.
fn count_calls(bench: &mut Bench, scene: &Scene, recorder: &Path) -> Result<usize> {
    let place = bench.place()?;
    scene.place.copy_to(&place)?;
    let outcome = play(scene, &place, &environment(scene, &place, recorder))?;
    ensure!(
        outcome.end == Some(End::Done),
        "without a fault, {} {}",
        scene.name,
        outcome.describe()
    );
    let calls = fs::read_to_string(place.beside("calls"))?.lines().count();
    place.remove()?;
    Ok(calls)
}

/// Lets one call fail, and says how the child took it.
fn fail_call(
    bench: &mut Bench,
    scene: &Scene,
    call: usize,
    fault: &str,
    recorder: &Path,
) -> Result<End> {
    let place = bench.place()?;
    scene.place.copy_to(&place)?;
    let mut environment = environment(scene, &place, recorder);
    environment.push(("CRASH_FAULT", format!("{call} {fault}")));
    let outcome = play(scene, &place, &environment)?;
    let calls = fs::read_to_string(place.beside("calls"))?;
    let failed = calls
        .lines()
        .find(|line| line.ends_with(" FAILED"))
        .unwrap_or("no call");
    let end = outcome.end.filter(|end| *end != End::Broken);
    let end =
        end.with_context(|| format!("{failed}: the {} {}", scene.role, outcome.describe()))?;

    let mut orders = place.orders();
    orders.run = run_of(Shape::Mixed, 1);
    let mut checked = process::run("check", &orders, &Environment::new())?;
    if scene.role == "create"
        && end != End::Done
        && checked.last_line().starts_with("refused NotALedger")
    {
        // Nothing was promised; but it must not stand in its own way.
        let created = process::run("create", &orders, &Environment::new())?;
        ensure!(
            created.end == Some(End::Done),
            "{failed}: creating it again {}",
            created.describe()
        );
        checked = process::run("check", &orders, &Environment::new())?;
    }
    ensure!(
        checked.end == Some(End::Done),
        "{failed}: the {} ended {end:?}, said {:?}; the check {}",
        scene.role,
        outcome.output,
        checked.describe()
    );
    place.remove()?;
    Ok(end)
}
