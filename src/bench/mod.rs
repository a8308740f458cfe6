//! What the product is measured by: against its own ceilings, and beside its peers, as ratios within one run.
//! Machines differ and are noisy; the ratio of two things measured in turn on the same machine does so less.
//!
//! Every row of the promised numbers has its measurement here. Nothing here fails a build: a figure is for people
//! to read. How it is printed is the command's business. All persons, lots and numbers are invented.

mod callers;
mod disk;
mod figures;
mod growth;
mod histories;
mod latency;
mod ledgers;
mod open;
mod peers;
mod plot;
mod queries;
mod row;
mod soak;
mod stream;
mod unary;
mod verify;
mod views;

use std::{
    cell::RefCell, collections::BTreeMap, fs, num::NonZeroU32, path::PathBuf, rc::Rc,
    time::Duration,
};

use anyhow::Context as _;

use growth::Grown;
pub(crate) use growth::grow;
use peers::PeerRow;
pub(crate) use plot::plot;
pub(crate) use row::Row;
pub(crate) use soak::Soaked;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Measurements of each side, in turn.
    pub(crate) rounds: NonZeroU32,
    /// How long a measurement of a load takes.
    pub(crate) load: Duration,
    /// Entries of the large ledger.
    pub(crate) entries: u64,
    /// And of the small one, that it is held against.
    pub(crate) entries_few: u64,
    /// Patients of the large population.
    pub(crate) patients: u64,
    /// And of the small one.
    pub(crate) patients_few: u64,
}

impl Effort {
    /// For people: half an hour, and 20 GB of disk.
    pub(crate) const FULL: Self = Self {
        rounds: NonZeroU32::new(7).unwrap(),
        load: Duration::from_secs(5),
        entries: 10_000_000,
        entries_few: 100_000,
        patients: 100_000,
        patients_few: 1_000,
    };

    /// For a change on its way: two minutes.
    pub(crate) const QUICK: Self = Self {
        rounds: NonZeroU32::new(3).unwrap(),
        load: Duration::from_secs(1),
        entries: 100_000,
        entries_few: 10_000,
        patients: 10_000,
        patients_few: 1_000,
    };

    /// With a large ledger of another size, and a small one as many times smaller as before.
    pub(crate) fn with_entries(self, entries: u64) -> Self {
        let times = self.entries / self.entries_few;
        Self {
            entries,
            entries_few: (entries / times).max(1),
            ..self
        }
    }

    /// With a large population of another size, and a small one as many times smaller as before.
    pub(crate) fn with_patients(self, patients: u64) -> Self {
        let times = self.patients / self.patients_few;
        Self {
            patients,
            patients_few: (patients / times).max(1),
            ..self
        }
    }
}

/// What measures some rows.
type Measurement = fn(&Bench) -> anyhow::Result<Vec<Row>>;

/// The measurements, in the order in which they are made.
const MEASUREMENTS: [(&str, Measurement); 19] = [
    ("unary", unary::measure),
    ("stream", stream::measure),
    ("latency", latency::measure),
    ("verify", verify::measure),
    ("views", views::measure),
    ("open", open::measure),
    ("disk", disk::disk),
    ("memory", disk::memory),
    ("growth", growth::measure),
    ("histories", histories::measure),
    ("reconsent", queries::reconsent),
    ("trace", queries::trace),
    ("schedule", queries::schedule),
    (PeerRow::PostgresUnary.name(), |bench| {
        peers::measure(bench, PeerRow::PostgresUnary)
    }),
    (PeerRow::PostgresStream.name(), |bench| {
        peers::measure(bench, PeerRow::PostgresStream)
    }),
    (PeerRow::PostgresBatch.name(), |bench| {
        peers::measure(bench, PeerRow::PostgresBatch)
    }),
    (PeerRow::SqliteUnary.name(), |bench| {
        peers::measure(bench, PeerRow::SqliteUnary)
    }),
    (PeerRow::SqliteStream.name(), |bench| {
        peers::measure(bench, PeerRow::SqliteStream)
    }),
    (PeerRow::SqliteBatch.name(), |bench| {
        peers::measure(bench, PeerRow::SqliteBatch)
    }),
];

/// The names of the measurements, in their order.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    MEASUREMENTS.iter().map(|(name, _)| *name)
}

/// A place to measure in: a directory of its own, which is gone afterwards.
#[derive(Debug)]
pub(crate) struct Bench {
    effort: Effort,
    home: PathBuf,
    /// Ledgers that several rows look at, by their number of entries.
    grown: RefCell<BTreeMap<u64, Rc<Grown>>>,
}

impl Bench {
    /// In a directory that is not there yet.
    pub(crate) fn new(effort: Effort, home: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir(&home).with_context(|| format!("cannot make {}", home.display()))?;
        Ok(Self {
            effort,
            home,
            grown: RefCell::default(),
        })
    }

    /// What everything is measured on, in a line.
    pub(crate) fn machine(&self) -> anyhow::Result<String> {
        let (processors, memory) = (
            fs::read_to_string("/proc/cpuinfo").unwrap_or_default(),
            fs::read_to_string("/proc/meminfo").unwrap_or_default(),
        );
        let value = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim_matches([':', ' ', '\t']).to_owned())
        };
        let model = value(&processors, "model name").unwrap_or_else(|| "unknown".to_owned());
        let kib = value(&memory, "MemTotal").unwrap_or_default();
        let kib: u64 = kib.trim_end_matches(" kB").parse().unwrap_or_default();
        let home = self.scratch("machine")?;
        let sync = latency::single_sync(&home.join("synced"))?;
        Ok(format!(
            "{model}, {} cores, {} GiB of memory; a page is synced in {:.2} ms",
            std::thread::available_parallelism()?,
            kib >> 20,
            sync * 1e3
        ))
    }

    /// Makes the measurement of this name; one that nobody knows gives no row.
    pub(crate) fn measure(&self, name: &str) -> anyhow::Result<Vec<Row>> {
        let named = MEASUREMENTS.iter().filter(|(known, _)| *known == name);
        let mut rows = Vec::new();
        for (_, measure) in named {
            rows.extend(measure(self).with_context(|| format!("`{name}` cannot be measured"))?);
        }
        Ok(rows)
    }

    /// A directory for one measurement, gone with what is answered.
    fn scratch(&self, name: &str) -> anyhow::Result<Scratch> {
        let dir = self.home.join(name);
        fs::create_dir(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Scratch { dir })
    }

    /// What each round answers, of as many as are asked for. In a round both sides are measured, in turn.
    fn rounds<T>(&self, mut round: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
        (0..self.effort.rounds.get()).map(|_| round()).collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // What stays behind lies among the system's temporary files.
        drop(fs::remove_dir_all(&self.home));
    }
}

/// A directory that is removed when it is no longer used.
#[derive(Debug)]
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn join(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // At the latest, it goes with the directory that it is in.
        drop(fs::remove_dir_all(&self.dir));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_measurement_keeps_the_distance_between_its_sides() {
        let quick = Effort::QUICK.with_entries(2_000).with_patients(30);
        assert_eq!((quick.entries, quick.entries_few), (2_000, 200));
        assert_eq!((quick.patients, quick.patients_few), (30, 3));
        let full = Effort::FULL.with_patients(1_000_000);
        assert_eq!((full.patients, full.patients_few), (1_000_000, 10_000));
        assert_eq!(full.with_entries(1).entries_few, 1);
    }

    #[test]
    fn a_bench_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("bench");
        let bench = Bench::new(Effort::QUICK.with_entries(100), home.clone()).unwrap();
        let scratch = bench.scratch("one").unwrap();
        assert!(scratch.dir.is_dir());
        drop(scratch);
        assert!(!home.join("one").exists());
        assert!(bench.measure("nothing").unwrap().is_empty());
        drop(bench);
        assert!(!home.exists());
    }
}
