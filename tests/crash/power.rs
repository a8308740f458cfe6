//! Loss of power: a load is recorded call by call; at chosen points of the record the disk is rebuilt
//! as a file system could have left it that forgets what was not synced, and must open with everything
//! acknowledged up to there. Also while the ledger opens and recovers, and while a copy is rebuilt.
//!
//! The controls show that the test can fail, and that each copy suffices: with one copy's syncs turned
//! into lies nothing is lost; with both, the harness must find losses.

use std::{
    fmt,
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bench::{Bench, Place},
    child::End,
    disk::{ACKNOWLEDGED, Data, Disk, Event, Names, read_trace},
    plan::{Shape, run as run_of},
    process::{self, Environment},
    recorder,
    rng::Rng,
};

/// Images are checked side by side.
const WORKERS: usize = 2;

/// Which copies are lied to about their syncs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lies {
    /// sled as it is without the filter.
    Store,
    Journal,
    Both,
}

impl Lies {
    fn environment(self) -> Environment {
        let range = || ("CRASH_RANGE", "1".to_owned());
        let journal = || ("CRASH_LIE", "/journal/".to_owned());
        match self {
            Self::Store => vec![range()],
            Self::Journal => vec![journal()],
            Self::Both => vec![range(), journal()],
        }
    }
}

/// What was recorded: the disk before, and what happened to it.
struct Recording {
    before: Disk,
    events: Vec<Event>,
    after: Disk,
    /// What had been acknowledged before.
    acks: Vec<u8>,
}

/// An image: where the power failed, and what was lost.
#[derive(Clone)]
struct Image {
    place: Place,
    run: u32,
    event: usize,
    data: Data,
    names: Names,
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place: _,
            run: _,
            event,
            data,
            names,
        } = self;
        write!(
            f,
            "power lost after event {event}, unsynced data {data:?}, names {names:?}"
        )
    }
}

/// What is recorded: what a child does, how much, and what else the recorder is told.
struct Take {
    role: &'static str,
    run: u32,
    /// Submitters, and batches of each.
    sizes: (u16, u32),
    environment: Environment,
    /// How it may end.
    ends: &'static [End],
}

impl Take {
    /// A child that does what it does, and nothing fails.
    fn new(role: &'static str, run: u32, sizes: (u16, u32)) -> Self {
        Self {
            role,
            run,
            sizes,
            environment: Environment::new(),
            ends: &[End::Done],
        }
    }

    fn with(self, environment: Environment) -> Self {
        Self {
            environment,
            ..self
        }
    }

    /// Records it on the disk of a place, where everything is durable.
    fn record(self, place: &Place, recorder: &Path) -> Result<Recording> {
        let before = Disk::scan(&place.disk())?;
        self.record_on(before, place, recorder)
    }

    /// Records it on a disk as another recording has left it.
    fn record_on(self, before: Disk, place: &Place, recorder: &Path) -> Result<Recording> {
        let Self {
            role,
            run,
            sizes,
            environment: more,
            ends,
        } = self;
        let acks = fs::read(place.acks()).unwrap_or_default();
        let trace = place.beside("trace");
        let mut environment = recorder::watch(recorder, place);
        environment.push(("CRASH_TRACE", trace.display().to_string()));
        environment.extend(more);
        let mut orders = place.orders();
        (orders.submitters, orders.batches) = sizes;
        orders.run = run;
        let outcome = process::run(role, &orders, &environment)?;
        let end = outcome.end.filter(|end| ends.contains(end));
        ensure!(end.is_some(), "the recorded {role} {}", outcome.describe());
        let events = read_trace(&trace)?;
        fs::remove_file(&trace)?;
        let mut after = before.clone();
        for event in &events {
            after.play(event)?;
        }
        after
            .compare(&place.disk())
            .context("the record is not what happened")?;
        Ok(Recording {
            before,
            events,
            after,
            acks,
        })
    }
}

impl Recording {
    /// Picks events after which the power fails: at random, and right after acknowledgements.
    fn points(&self, images: usize, within: usize, rng: &mut Rng) -> Vec<usize> {
        let acknowledged: Vec<usize> = (1..)
            .zip(&self.events)
            .filter(|(_, e)| e.kind == ACKNOWLEDGED)
            .map(|(at, _)| at)
            .collect();
        let mut points: Vec<usize> = (0..images)
            .map(|image| match image % 2 {
                0 if !acknowledged.is_empty() => acknowledged[rng.below(acknowledged.len())],
                _ => rng.between(1, within.min(self.events.len())),
            })
            .collect();
        points.sort_unstable();
        points
    }

    /// The event with which the ledger had finished opening, as far as anybody can tell from outside.
    fn first_acknowledged(&self) -> usize {
        self.events
            .iter()
            .position(|e| e.kind == ACKNOWLEDGED)
            .unwrap_or(self.events.len())
    }

    /// Builds an image at each point and hands it on.
    fn build(
        &self,
        points: &[usize],
        run: u32,
        bench: &mut Bench,
        rng: &mut Rng,
        mut with: impl FnMut(Image) -> Result<()>,
    ) -> Result<()> {
        let mut disk = self.before.clone();
        let mut acks = self.acks.clone();
        let mut played = 0;
        let modes = [
            Data::Dropped,
            Data::Pages,
            Data::Newest,
            Data::Pages,
            Data::Kept,
        ];
        for (number, &point) in points.iter().enumerate() {
            for event in &self.events[played..point] {
                disk.play(event)?;
                if event.kind == ACKNOWLEDGED {
                    acks.extend_from_slice(&event.data);
                }
            }
            played = point;
            let data = modes[number % modes.len()];
            let names = if number.is_multiple_of(3) {
                Names::Journaled
            } else {
                Names::Separate
            };
            let place = bench.place()?;
            disk.build(&place.disk(), data, names, rng)?;
            File::create(place.acks())?.write_all(&acks)?;
            with(Image {
                place,
                run,
                event: point,
                data,
                names,
            })?;
        }
        Ok(())
    }
}

/// Opens an image and checks it.
fn check(image: &Image) -> Result<()> {
    let mut orders = image.place.orders();
    orders.run = image.run;
    if image.event.is_multiple_of(2) {
        process::check_whole(&orders)?;
    } else {
        process::check(&orders, &Environment::new())?;
    }
    Ok(())
}

/// What images came to, by what they are.
type Outcomes = Vec<(String, Result<()>)>;

/// Builds images of a recording and checks them side by side.
fn check_images(
    bench: &mut Bench,
    name: &str,
    recording: &Recording,
    points: &[usize],
    run: u32,
    rng: &mut Rng,
) -> Result<Outcomes> {
    let (give, take) = sync_channel::<Image>(WORKERS);
    let take = Mutex::new(take);
    let outcomes = Mutex::new(Vec::new());
    let built = thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| work(&take, name, &outcomes));
        }
        let built = recording.build(points, run, bench, rng, |image| Ok(give.send(image)?));
        drop(give);
        built
    });
    built?;
    Ok(outcomes
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

fn work(take: &Mutex<Receiver<Image>>, name: &str, outcomes: &Mutex<Outcomes>) {
    loop {
        let image = take.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(image) = image else { return };
        let mut outcome = check(&image);
        if outcome.is_ok() {
            outcome = image.place.clone().remove();
        }
        let case = format!("{name}, {image}");
        outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((case, outcome));
    }
}

/// Checks images which must all be good.
fn demand_images(
    bench: &mut Bench,
    name: &str,
    recording: &Recording,
    points: &[usize],
    run: u32,
    rng: &mut Rng,
) -> Result<usize> {
    let outcomes = check_images(bench, name, recording, points, run, rng)?;
    let images = outcomes.len();
    for (case, outcome) in outcomes {
        bench.score(&case, outcome);
    }
    Ok(images)
}

/// How a workload looks: shape, submitters, batches of each.
fn workload(number: usize) -> (Shape, (u16, u32)) {
    match number % 4 {
        0 => (Shape::Mixed, (6, 12)),
        1 => (Shape::Small, (1, 30)),
        2 => (Shape::Huge, (2, 3)),
        _ => (Shape::Small, (24, 10)),
    }
}

/// Loads, recoveries and rebuilds under loss of power.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let Some(recorder) = bench.recorder() else {
        return Ok(());
    };
    let workloads = bench.rounds(1, 50);
    let (loaded, opened) = if bench.full { (12, 6) } else { (15, 6) };
    let mut rng = bench.rng(2);
    let mut images = 0;
    for number in 0..workloads {
        images += lose_power(bench, number, (loaded, opened), &recorder, &mut rng)?;
    }
    let created =
        lose_power_while_creating(bench, if bench.full { 40 } else { 8 }, &recorder, &mut rng)?;
    bench.summarize(&format!(
        "{workloads} recorded loads, each with opening, recovery and rebuilds; {images} images, and \
         {created} of a ledger being created"
    ));
    Ok(())
}

fn lose_power(
    bench: &mut Bench,
    number: usize,
    (loaded, opened): (usize, usize),
    recorder: &Path,
    rng: &mut Rng,
) -> Result<usize> {
    let (shape, sizes) = workload(number);
    let run = run_of(shape, u32::try_from(number)?);
    let place = bench.place_with_ledger()?;
    let recording = Take::new("load", run, sizes).record(&place, recorder)?;
    let points = recording.points(loaded, recording.events.len(), rng);
    let mut images = demand_images(
        bench,
        &format!("load {number}"),
        &recording,
        &points,
        run,
        rng,
    )?;

    // The same disk again: as the power left it, or with one copy gone. Opened, it is made whole; the
    // power fails meanwhile.
    for way in ["recovery", "store rebuilt", "journal rewritten"] {
        let again = bench.place()?;
        match way {
            "recovery" => {
                let points = recording.points(1, recording.events.len(), rng);
                let mut built = None;
                recording.build(&points, run, bench, rng, |image| {
                    built = Some(image.place);
                    Ok(())
                })?;
                built.context("an image")?.copy_to(&again)?;
            }
            "store rebuilt" => {
                place.copy_to(&again)?;
                fs::remove_dir_all(again.data().join("store"))?;
            }
            _ => {
                place.copy_to(&again)?;
                fs::remove_dir_all(again.data().join("journal"))?;
            }
        }
        let case = format!("load {number}, {way}");
        let recovery = Take::new("load", run, (1, 1)).record(&again, recorder);
        let Some(recovery) = bench.score(&case, recovery) else {
            continue;
        };
        let within = recovery.first_acknowledged();
        let points = recovery.points(opened, within, rng);
        images += demand_images(bench, &case, &recovery, &points, run, rng)?;
        again.remove()?;
    }
    place.remove()?;
    Ok(images)
}

/// Loss of power after a sync had failed.
pub(crate) fn run_failed_syncs(bench: &mut Bench) -> Result<()> {
    let Some(recorder) = bench.recorder() else {
        return Ok(());
    };
    let rounds = bench.rounds(3, 60);
    let mut rng = bench.rng(6);
    let mut images = 0;
    for number in 0..rounds {
        images += lose_power_after_a_failed_sync(bench, number, 6, &recorder, &mut rng)?;
    }
    bench.summarize(&format!(
        "{rounds} failed syncs, after each of which the ledger was opened again, loaded, and its disk \
         rebuilt: {images} images"
    ));
    Ok(())
}

/// A sync fails, and the ledger with it; Linux forgets what it could not write. The ledger is opened
/// again and goes on, and then the power fails.
fn lose_power_after_a_failed_sync(
    bench: &mut Bench,
    number: usize,
    count: usize,
    recorder: &Path,
    rng: &mut Rng,
) -> Result<usize> {
    let place = bench.place_with_ledger()?;
    let runs = [0, 1].map(|run| run_of(Shape::Small, run));
    // Once, for one copy; or from then on, for both.
    let lasting = if number.is_multiple_of(2) {
        "on"
    } else {
        "once"
    };
    let failing = format!("{} 5 {lasting}", rng.between(8, 40));
    let failed = Take {
        environment: vec![("CRASH_ONLY", "sync".to_owned()), ("CRASH_FAULT", failing)],
        ends: &[End::Done, End::Stopped, End::Refused],
        ..Take::new("load", runs[0], (3, 10))
    };
    let case = format!("failed sync {number}");
    let failed = failed.record(&place, recorder);
    let Some(failed) = bench.score(&case, failed) else {
        return Ok(0);
    };
    let again = Take::new("load", runs[1], (3, 4)).record_on(failed.after, &place, recorder);
    let Some(again) = bench.score(&case, again) else {
        return Ok(0);
    };
    let points = again.points(count, again.events.len(), rng);
    let images = demand_images(bench, &case, &again, &points, runs[0], rng)?;
    place.remove()?;
    Ok(images)
}

/// A ledger that is being created is there or not; once it is created, it is there.
fn lose_power_while_creating(
    bench: &mut Bench,
    count: usize,
    recorder: &Path,
    rng: &mut Rng,
) -> Result<usize> {
    let place = bench.place()?;
    let recording = Take::new("create", 0, (1, 1)).record(&place, recorder)?;
    let end = recording.events.len();
    let mut points = recording.points(count - 2, end, rng);
    points.extend([end, end]);
    let mut outcomes = Vec::new();
    recording.build(&points, 0, bench, rng, |image| {
        outcomes.push((image.to_string(), check_created(&image, image.event == end)));
        image.place.remove()
    })?;
    let images = outcomes.len();
    for (case, outcome) in outcomes {
        bench.score(&format!("creating, {case}"), outcome);
    }
    Ok(images)
}

fn check_created(image: &Image, must_open: bool) -> Result<()> {
    let orders = image.place.orders();
    let outcome = process::run("check", &orders, &Environment::new())?;
    let absent = outcome.last_line().starts_with("refused NotALedger");
    if absent && !must_open {
        // Then it can be created after all.
        let created = process::run("create", &orders, &Environment::new())?;
        ensure!(
            created.end == Some(End::Done),
            "creating it again {}",
            created.describe()
        );
        return check(image);
    }
    ensure!(
        outcome.end == Some(End::Done),
        "the check {}",
        outcome.describe()
    );
    Ok(())
}

/// The negative control and its opposite.
pub(crate) fn run_controls(bench: &mut Bench) -> Result<()> {
    let Some(recorder) = bench.recorder() else {
        return Ok(());
    };
    let rounds = if bench.full { 4 } else { 1 };
    let images = if bench.full { 20 } else { 8 };
    let mut rng = bench.rng(3);
    let (mut one_copy, mut both, mut found) = (0, 0, 0);
    for number in 0..rounds {
        let (shape, sizes) = workload(number);
        let run = run_of(shape, u32::try_from(number)?);
        for lies in [Lies::Store, Lies::Journal, Lies::Both] {
            let place = bench.place_with_ledger()?;
            let recording = Take::new("load", run, sizes)
                .with(lies.environment())
                .record(&place, &recorder)?;
            let points = recording.points(images, recording.events.len(), &mut rng);
            let case = format!("load {number}, lies to {lies:?}");
            if lies == Lies::Both {
                let outcomes = check_images(bench, &case, &recording, &points, run, &mut rng)?;
                both += outcomes.len();
                found += outcomes
                    .iter()
                    .filter(|(_, outcome)| outcome.is_err())
                    .count();
            } else {
                one_copy += demand_images(bench, &case, &recording, &points, run, &mut rng)?;
            }
            place.remove()?;
        }
    }
    let caught = || -> Result<()> {
        ensure!(
            0 < found,
            "without syncs, no loss was found in {both} images"
        );
        Ok(())
    };
    bench.score("the negative control", caught());
    bench.summarize(&format!(
        "{one_copy} images with the syncs of one copy ignored, none of which may lose anything; {both} with \
         those of both, losses found in {found}"
    ));
    Ok(())
}
