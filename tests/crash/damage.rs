//! Damaged files: whatever happens to one copy, the ledger opens unattended with everything; where both
//! are damaged, or what is there is not what was signed last, it refuses by the right name and changes
//! nothing. After a clean stop and after a kill.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    bench::{Bench, Place, copy},
    child::End,
    plan::{Shape, run as run_of},
    process::{self, Environment},
    rng::Rng,
};

/// What somebody does to a place.
type Deed = fn(&Place, &mut Rng) -> Result<()>;

/// A case with a place of its own.
type Case = fn(&mut Bench) -> Result<()>;

/// What one copy survives.
const HARM_TO_ONE: [(&str, Deed); 12] = [
    ("store deleted", |place, _| remove(&store(place))),
    ("store emptied", |place, _| {
        remove(&store(place))?;
        Ok(fs::create_dir(store(place))?)
    }),
    ("store/db deleted", |place, _| {
        remove(&store(place).join("db"))
    }),
    ("store/conf deleted", |place, _| {
        remove(&store(place).join("conf"))
    }),
    ("store/db truncated", |place, rng| {
        truncate(&store(place).join("db"), rng)
    }),
    ("store/conf truncated", |place, rng| {
        truncate(&store(place).join("conf"), rng)
    }),
    ("store scribbled over", |place, rng| {
        scribble(&store(place), 4_096, rng)
    }),
    ("store: a bit flipped", |place, rng| {
        scribble(&store(place), 1, rng)
    }),
    ("journal deleted", |place, _| remove(&journal(place))),
    ("journal segment deleted", |place, rng| {
        remove(&any_file(&journal(place), rng)?)
    }),
    ("journal truncated", |place, rng| {
        truncate(&any_file(&journal(place), rng)?, rng)
    }),
    ("journal: a bit flipped", |place, rng| {
        scribble(&journal(place), 1, rng)
    }),
];

/// What must be refused, and how.
const HARM_TO_BOTH: [(&str, Deed, &str); 4] = [
    (
        "store deleted, journal flipped",
        |place, rng| {
            remove(&store(place))?;
            flip_early(&journal(place), rng)
        },
        "BothDamaged",
    ),
    (
        "store/db truncated, journal flipped",
        |place, rng| {
            File::options()
                .write(true)
                .open(store(place).join("db"))?
                .set_len(100)?;
            flip_early(&journal(place), rng)
        },
        "BothDamaged",
    ),
    (
        "store/conf flipped, journal flipped",
        |place, rng| {
            flip(&store(place).join("conf"), 20)?;
            flip_early(&journal(place), rng)
        },
        "BothDamaged",
    ),
    (
        "store scribbled over, journal deleted",
        |place, _| {
            remove(&journal(place))?;
            flip(&store(place).join("conf"), 20)
        },
        "BothDamaged",
    ),
];

/// Runs every case.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut rng = bench.rng(5);
    let repeats = bench.rounds(1, 12);
    let mut cases = 0;
    for killed in [false, true] {
        let base = base(bench, killed, &mut rng)?;
        let after = if killed {
            "after a kill"
        } else {
            "after a clean stop"
        };
        for (name, harm) in HARM_TO_ONE {
            for _ in 0..repeats {
                let outcome = survive(bench, &base, harm, &mut rng);
                bench.score(&format!("{name}, {after}"), outcome);
                cases += 1;
            }
        }
        for (name, harm, wanted) in HARM_TO_BOTH {
            let outcome = refuse(bench, &base, harm, wanted, &mut rng);
            bench.score(&format!("{name}, {after}"), outcome);
            cases += 1;
        }
        base.remove()?;
    }
    for _ in 0..repeats {
        let outcome = rot(bench, &mut rng);
        bench.score("the store rots unseen", outcome);
        cases += 1;
    }
    let others: [(&str, Case); 4] = [
        ("an older copy put back", put_back_an_older_copy),
        ("one copy older than the other", put_back_one_older_copy),
        ("two histories", two_histories),
        ("a second opener", open_twice),
    ];
    for (name, case) in others {
        let outcome = case(bench);
        bench.score(name, outcome);
        cases += 1;
    }
    bench.summarize(&format!(
        "{cases} ways to damage, replace or share the files, of which those that harm one copy must open \
         unattended, and the rest be refused by name"
    ));
    Ok(())
}

fn store(place: &Place) -> PathBuf {
    place.data().join("store")
}

fn journal(place: &Place) -> PathBuf {
    place.data().join("journal")
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.with_context(|| format!("removing {}", path.display()))
}

/// Any file of a copy that holds something; not its lock.
fn any_file(dir: &Path, rng: &mut Rng) -> Result<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_file() && 0 < metadata.len() && entry.file_name() != "lock" {
            files.push(entry.path());
        }
    }
    files.sort();
    ensure!(!files.is_empty(), "{} holds nothing", dir.display());
    Ok(files.swap_remove(rng.below(files.len())))
}

fn truncate(path: &Path, rng: &mut Rng) -> Result<()> {
    let length = usize::try_from(fs::metadata(path)?.len())?;
    let file = File::options().write(true).open(path)?;
    Ok(file.set_len(u64::try_from(rng.below(length))?)?)
}

/// Overwrites bytes somewhere in a copy with others.
fn scribble(dir: &Path, bytes: usize, rng: &mut Rng) -> Result<()> {
    let path = any_file(dir, rng)?;
    let length = usize::try_from(fs::metadata(&path)?.len())?;
    let at = rng.below(length);
    if bytes == 1 {
        return flip(&path, u64::try_from(at)?);
    }
    let noise: Vec<u8> = (0..bytes.min(length - at))
        .map(|_| rng.next().to_le_bytes()[0])
        .collect();
    Ok(File::options()
        .write(true)
        .open(path)?
        .write_all_at(&noise, u64::try_from(at)?)?)
}

fn flip(path: &Path, at: u64) -> Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    Ok(file.write_all_at(&[byte[0] ^ 0x10], at)?)
}

/// Flips a bit in the first half of the journal's first segment: no torn end.
fn flip_early(dir: &Path, rng: &mut Rng) -> Result<()> {
    let mut segments: Vec<PathBuf> = fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    segments.retain(|path| fs::metadata(path).is_ok_and(|file| 0 < file.len()));
    segments.sort();
    let first = segments.first().context("the journal has no segment")?;
    let half = usize::try_from(fs::metadata(first)?.len())? / 2;
    flip(first, u64::try_from(rng.below(half))?)
}

/// A ledger that was loaded, stopped or killed, and not opened since.
fn base(bench: &mut Bench, killed: bool, rng: &mut Rng) -> Result<Place> {
    let place = bench.place_with_ledger()?;
    load(&place, 0)?;
    if killed {
        let mut orders = place.orders();
        orders.run = run_of(Shape::Mixed, 1);
        orders.batches = 1_000;
        let mut running = process::start("load", &orders, &Environment::new())?;
        running.wait_for("open")?;
        running.kill_after(Duration::from_millis(u64::try_from(rng.between(20, 120))?))?;
    }
    Ok(place)
}

fn load(place: &Place, number: u32) -> Result<()> {
    let mut orders = place.orders();
    orders.run = run_of(Shape::Mixed, number);
    orders.batches = 12;
    let outcome = process::run("load", &orders, &Environment::new())?;
    ensure!(
        outcome.end == Some(End::Done),
        "the load {}",
        outcome.describe()
    );
    Ok(())
}

fn check(place: &Place) -> Result<()> {
    let mut orders = place.orders();
    orders.run = run_of(Shape::Mixed, 0);
    process::check_whole(&orders)?;
    Ok(())
}

/// Opening must be refused with one of these names, twice, and leave the log as it is.
fn check_refused(place: &Place, wanted: &[&str]) -> Result<()> {
    for _ in 0..2 {
        let outcome = process::run("check", &place.orders(), &Environment::new())?;
        let name = outcome
            .last_line()
            .strip_prefix("refused ")
            .and_then(|line| line.split(':').next());
        match name {
            Some(name) if outcome.end == Some(End::Refused) && wanted.contains(&name) => {}
            _ => bail!(
                "it should be refused as {wanted:?}, and the check {}",
                outcome.describe()
            ),
        }
    }
    Ok(())
}

fn survive(bench: &mut Bench, base: &Place, harm: Deed, rng: &mut Rng) -> Result<()> {
    let place = bench.place()?;
    base.copy_to(&place)?;
    harm(&place, rng)?;
    check(&place)?;
    place.remove()
}

fn refuse(bench: &mut Bench, base: &Place, harm: Deed, wanted: &str, rng: &mut Rng) -> Result<()> {
    let place = bench.place()?;
    base.copy_to(&place)?;
    harm(&place, rng)?;
    check_refused(&place, &[wanted])?;
    // What it refused for put right, everything is there: it has thrown nothing away.
    for copy_of in ["store", "journal"] {
        remove(&place.data().join(copy_of)).or_else(|error| {
            if place.data().join(copy_of).exists() {
                Err(error)
            } else {
                Ok(())
            }
        })?;
    }
    copy(&journal(base), &journal(&place))?;
    check(&place)?;
    place.remove()
}

/// After a clean stop a page goes bad, and nothing about the file betrays it. Whoever reads it may be
/// told so, and the next start mends it.
fn rot(bench: &mut Bench, rng: &mut Rng) -> Result<()> {
    let place = bench.place_with_ledger()?;
    load(&place, 0)?;
    let db = store(&place).join("db");
    let written = fs::metadata(&db)?.modified()?;
    let length = usize::try_from(fs::metadata(&db)?.len())?;
    let file = File::options().read(true).write(true).open(&db)?;
    for _ in 0..64 {
        let at = u64::try_from(rng.below(length))?;
        file.write_all_at(&rng.next().to_le_bytes(), at)?;
    }
    file.set_modified(written)?;
    drop(file);

    let mut orders = place.orders();
    orders.run = run_of(Shape::Mixed, 0);
    let first = process::run("check", &orders, &Environment::new())?;
    let told = first.last_line();
    ensure!(
        first.end == Some(End::Done) || told.contains("damaged") || told.contains("cannot be read"),
        "the first check {}",
        first.describe()
    );
    check(&place).with_context(|| format!("first it said {told:?}; then"))?;
    place.remove()
}

fn put_back_an_older_copy(bench: &mut Bench) -> Result<()> {
    let place = bench.place_with_ledger()?;
    load(&place, 0)?;
    let older = place.beside("older");
    copy(&place.data(), &older)?;
    load(&place, 1)?;
    let newer = place.beside("newer");
    fs::rename(place.data(), &newer)?;
    fs::rename(&older, place.data())?;
    check_refused(&place, &["OlderThanSigned"])?;
    remove(&place.data())?;
    fs::rename(&newer, place.data())?;
    check(&place)?;
    place.remove()
}

fn put_back_one_older_copy(bench: &mut Bench) -> Result<()> {
    for part in ["store", "journal"] {
        let place = bench.place_with_ledger()?;
        load(&place, 0)?;
        let older = place.beside("older");
        copy(&place.data().join(part), &older)?;
        load(&place, 1)?;
        remove(&place.data().join(part))?;
        fs::rename(&older, place.data().join(part))?;
        check(&place).with_context(|| format!("an older {part}"))?;
        place.remove()?;
    }
    Ok(())
}

fn two_histories(bench: &mut Bench) -> Result<()> {
    let place = bench.place_with_ledger()?;
    load(&place, 0)?;
    let other = bench.place()?;
    place.copy_to(&other)?;
    load(&place, 1)?;
    load(&other, 2)?;

    let mixed = bench.place()?;
    place.copy_to(&mixed)?;
    remove(&journal(&mixed))?;
    copy(&journal(&other), &journal(&mixed))?;
    check_refused(&mixed, &["Diverged", "OtherHistory"])
        .context("store and journal of different histories")?;

    remove(&place.data())?;
    copy(&other.data(), &place.data())?;
    check_refused(&place, &["OtherHistory", "OlderThanSigned"])
        .context("the other's data directory")?;
    for place in [place, other, mixed] {
        place.remove()?;
    }
    Ok(())
}

fn open_twice(bench: &mut Bench) -> Result<()> {
    let place = bench.place_with_ledger()?;
    let mut orders = place.orders();
    orders.run = run_of(Shape::Small, 0);
    orders.batches = 100_000;
    let mut running = process::start("load", &orders, &Environment::new())?;
    running.wait_for("open")?;
    let mut second = place.orders();
    second.acks = place.beside("none");
    File::create(&second.acks)?.flush()?;
    let outcome = process::run("check", &second, &Environment::new())?;
    let refused = outcome.last_line().starts_with("refused InUse");
    ensure!(refused, "the second opener {}", outcome.describe());
    let killed = running.kill_after(Duration::from_millis(50))?;
    ensure!(
        killed.end.is_none(),
        "the first opener {}",
        killed.describe()
    );
    check(&place)?;
    place.remove()
}
