//! Whether the server's memory is flat. Something of each record stays in memory for ever, and everything goes up and
//! down with what is asked; what is left is what leaks.

use super::Row;
use crate::bench::{
    figures::{GIBIBYTE, MEBIBYTE, real},
    row::{Aim, Unit, median},
};

const GROWTH: &str = "soak-growth";
const MOST: &str = "soak-memory";

/// What may stay of a record: 1 GiB is promised at 10,000,000.
const RECORD_BYTES: f64 = 107.0;

/// What memory goes up and down by, when nothing stays: pages that the allocator keeps, and those of the store's that
/// wait to be let go.
const NOISE_BYTES: f64 = 32.0 * MEBIBYTE;

/// The part of a life, one in so many, in which caches fill and threads come.
const WARM_UP: usize = 3;

/// Fewer records than this between the halves that are compared say nothing beside the noise.
const RECORDS_MIN: f64 = 20_000.0;

/// What was seen in each life of the server.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lives: Vec<Vec<Sample>>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    entries: f64,
    bytes: f64,
}

/// How much more there was in the second half of a life, when it was warm, than in the first.
#[derive(Clone, Copy, Debug)]
struct Growth {
    from: Sample,
    to: Sample,
}

impl Memory {
    /// The server begins a life.
    pub(super) fn begin(&mut self) {
        self.lives.push(Vec::new());
    }

    /// The server has so many entries, and so much memory.
    pub(super) fn take(&mut self, entries: u64, bytes: u64) {
        let (entries, bytes) = (real(entries), real(bytes));
        if let Some(life) = self.lives.last_mut() {
            life.push(Sample { entries, bytes });
        }
    }

    /// The growth of the life that grew most beyond what it may, and the most that there was in any.
    pub(super) fn rows(&self) -> Vec<Row> {
        let bytes = self.lives.iter().flatten().map(|sample| sample.bytes);
        let most = bytes.fold(0.0, f64::max) / GIBIBYTE;
        let most = Row::measured(
            MOST,
            vec![most],
            Unit::Gibibytes,
            Aim::AtMost(1.0),
            "the most that the server had of its own".to_owned(),
        );
        let lives = self.lives.iter().filter_map(|life| Growth::of(life));
        let by_excess = |one: &Growth, other: &Growth| one.excess().total_cmp(&other.excess());
        let Some(growth) = lives.max_by(by_excess) else {
            let why = format!("fewer than {RECORDS_MIN} records came while the server was warm");
            return vec![Row::skipped(GROWTH, why), most];
        };
        let what = format!(
            "from {:.0} MiB at {:.0} entries to {:.0} at {:.0}",
            growth.from.bytes / MEBIBYTE,
            growth.from.entries,
            growth.to.bytes / MEBIBYTE,
            growth.to.entries,
        );
        let grown = Row::measured(
            GROWTH,
            vec![growth.bytes() / MEBIBYTE],
            Unit::Mebibytes,
            Aim::AtMost(growth.allowed() / MEBIBYTE),
            what,
        );
        vec![grown, most]
    }
}

impl Growth {
    /// Of a life that was long enough.
    fn of(life: &[Sample]) -> Option<Self> {
        let warm = life.get(life.len() / WARM_UP..)?;
        let (first, second) = warm.split_at(warm.len() / 2);
        let (from, to) = (middle(first), middle(second));
        (RECORDS_MIN <= to.entries - from.entries).then_some(Self { from, to })
    }

    fn bytes(&self) -> f64 {
        self.to.bytes - self.from.bytes
    }

    fn allowed(&self) -> f64 {
        NOISE_BYTES + RECORD_BYTES * (self.to.entries - self.from.entries)
    }

    fn excess(&self) -> f64 {
        self.bytes() - self.allowed()
    }
}

/// The medians of some samples.
fn middle(samples: &[Sample]) -> Sample {
    let of = |what: fn(&Sample) -> f64| {
        let mut figures: Vec<f64> = samples.iter().map(what).collect();
        figures.sort_by(f64::total_cmp);
        median(&figures)
    };
    Sample {
        entries: of(|sample| sample.entries),
        bytes: of(|sample| sample.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Ten minutes at 1,000 records a second, with so much memory at each second.
    fn life(memory: &mut Memory, bytes: impl Fn(u64) -> u64) {
        memory.begin();
        for second in 0..600 {
            memory.take(second * 1_000, bytes(second));
        }
    }

    /// Whether the growth is as it may be, and the most as well.
    fn met(memory: &Memory) -> [bool; 2] {
        let rows = memory.rows();
        [rows[0].is_met(), rows[1].is_met()]
    }

    fn check(bytes: impl Fn(u64) -> u64, expected: [bool; 2], why: &str) {
        let mut memory = Memory::default();
        life(&mut memory, &bytes);
        assert_eq!(met(&memory), expected, "{why}");
        // Whichever life it is in.
        life(&mut memory, |_| 200 * MIB);
        assert_eq!(met(&memory), expected, "{why}, at first");
        let mut memory = Memory::default();
        life(&mut memory, |_| 200 * MIB);
        life(&mut memory, &bytes);
        assert_eq!(met(&memory), expected, "{why}, after the restart");
    }

    #[test]
    fn memory_that_stays_or_falls_is_flat_and_memory_that_grows_with_the_records_is_not() {
        check(|_| 300 * MIB, [true, true], "flat");
        check(|at| 900 * MIB - at * MIB, [true, true], "falling");
        check(
            |at| 300 * MIB + at * 30_000,
            [true, true],
            "30 bytes of each record",
        );
        check(
            |at| 300 * MIB + at * 519_000,
            [false, true],
            "each record is kept",
        );
        check(
            |at| 300 * MIB + at * 2 * MIB,
            [false, false],
            "each receipt is kept",
        );
    }

    #[test]
    fn caches_that_fill_and_answers_that_are_large_are_not_taken_for_growth() {
        let filling = |at: u64| MIB * (100 + at.min(200));
        check(filling, [true, true], "caches fill");
        let spiky = |at: u64| MIB * (200 + (at * 7_919) % 150);
        check(spiky, [true, true], "up and down");
    }

    #[test]
    fn more_than_is_promised_is_noticed_however_flat_it_is() {
        check(|_| 1_025 * MIB, [true, false], "too much");
        let once = |at| if at == 17 { 1_025 * MIB } else { 300 * MIB };
        check(once, [true, false], "too much for a moment");
    }

    #[test]
    fn a_life_that_was_too_short_says_nothing_of_growth() {
        let mut memory = Memory::default();
        memory.begin();
        for second in 0..30 {
            memory.take(second * 1_000, second * 10 * MIB);
        }
        let [growth, most] = &memory.rows()[..] else {
            panic!("two rows");
        };
        assert!(growth.json()["skipped"].is_string());
        assert!(most.is_met());
        assert_eq!(Memory::default().rows().len(), 2);
    }
}
