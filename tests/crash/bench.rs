//! What all kinds of tests share: the seed, the place for files, the recorder, and the score.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher as _, Hasher as _},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    child::{End, Orders},
    process::{self, Environment},
    recorder,
    rng::Rng,
};

/// The bench that the tests run on.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The full form, or the short one.
    pub(crate) full: bool,
    /// What chance begins with.
    pub(crate) seed: u64,
    rounds: Option<usize>,
    dir: TempDir,
    recorder: Option<PathBuf>,
    kind: &'static str,
    begun: Instant,
    failed_before: u32,
    places: u32,
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Bench {
    /// A bench with a seed, or with one that nobody has chosen.
    pub(crate) fn new(full: bool, seed: Option<u64>, rounds: Option<usize>) -> Result<Self> {
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32);
        let dir = tempfile::Builder::new()
            .prefix("genetrail-crash-")
            .tempdir()?;
        let recorder = recorder::compile(dir.path())?;
        let form = if full { "full" } else { "short" };
        println!("crash tests, {form} form, seed {seed}");
        Ok(Self {
            full,
            seed,
            rounds,
            dir,
            recorder,
            kind: "",
            begun: Instant::now(),
            failed_before: 0,
            places: 0,
            passed: 0,
            failed: 0,
            skipped: 0,
        })
    }

    /// Begins a kind of test.
    pub(crate) fn begin(&mut self, kind: &'static str) {
        self.kind = kind;
        self.begun = Instant::now();
        self.failed_before = self.failed;
    }

    /// How many rounds to run.
    pub(crate) fn rounds(&self, short: usize, full: usize) -> usize {
        self.rounds.unwrap_or(if self.full { full } else { short })
    }

    /// Random numbers for a purpose.
    pub(crate) fn rng(&self, purpose: u64) -> Rng {
        Rng::new(self.seed, purpose)
    }

    /// Scores one case; a failure is printed with the way to see it again.
    pub(crate) fn score<T>(&mut self, case: &str, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.passed += 1;
                Some(value)
            }
            Err(error) => {
                self.failed += 1;
                let (kind, seed) = (self.kind, self.seed);
                let form = if self.full { " --full" } else { "" };
                println!("FAILED {kind}, {case}: {error:#}");
                println!(
                    "    again: cargo test --release --test crash -- {kind}{form} --seed {seed}"
                );
                None
            }
        }
    }

    /// Says what a kind of test came to.
    pub(crate) fn summarize(&self, summary: &str) {
        let verdict = match self.failed - self.failed_before {
            0 => "all is well".to_owned(),
            failed => format!("{failed} FAILED"),
        };
        let seconds = self.begun.elapsed().as_secs_f64();
        println!("{:<10} {summary}: {verdict} ({seconds:.1} s)", self.kind);
    }

    /// Leaves out a kind of test, loudly.
    pub(crate) fn skip(&mut self, why: &str) {
        self.skipped += 1;
        println!("{:<10} SKIPPED: {why}", self.kind);
    }

    /// The compiled recorder; where there is none, the kind is skipped.
    pub(crate) fn recorder(&mut self) -> Option<PathBuf> {
        if self.recorder.is_none() {
            self.skip("there is no C compiler `cc` to build tests/crash/recorder.c with");
        }
        self.recorder.clone()
    }

    /// An empty directory of its own.
    pub(crate) fn place(&mut self) -> Result<Place> {
        self.places += 1;
        let dir = self
            .dir
            .path()
            .join(format!("{}-{}", self.kind, self.places));
        fs::create_dir(&dir)?;
        // Paths are compared with what the kernel calls the files.
        Place::new(&fs::canonicalize(dir)?)
    }

    /// A place with a new ledger.
    pub(crate) fn place_with_ledger(&mut self) -> Result<Place> {
        let place = self.place()?;
        let created = process::run("create", &place.orders(), &Environment::new())?;
        anyhow::ensure!(
            created.end == Some(End::Done),
            "creating a ledger {}",
            created.describe()
        );
        Ok(place)
    }

    /// Prints the score; true if nothing failed.
    pub(crate) fn finish(self) -> bool {
        println!(
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        );
        if self.failed != 0 {
            println!("left for a look: {}", self.dir.keep().display());
        }
        self.failed == 0
    }
}

/// A directory for one ledger: `disk/` has the data directory and the high-water mark, and is what a
/// loss of power harms; the acknowledgements are outside of it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    dir: PathBuf,
}

impl Place {
    /// A place in an existing directory.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let place = Self {
            dir: dir.to_path_buf(),
        };
        fs::create_dir_all(place.disk()).context("making a place")?;
        Ok(place)
    }

    /// What the ledger is on.
    pub(crate) fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    /// The acknowledgements.
    pub(crate) fn acks(&self) -> PathBuf {
        self.dir.join("acks")
    }

    /// A file beside the disk.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Orders for the ledger here.
    pub(crate) fn orders(&self) -> Orders {
        Orders::new(&self.data(), &self.acks())
    }

    /// A copy of everything, in another place.
    pub(crate) fn copy_to(&self, other: &Place) -> Result<()> {
        copy(&self.dir, &other.dir)
    }

    /// Removes it, when it is no longer needed.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.dir).with_context(|| format!("removing {}", self.dir.display()))
    }
}

/// Copies a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("listing {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
