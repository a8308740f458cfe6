//! Whether the server's memory is flat: what each more record takes of it, once it is warm.

use crate::bench::{
    Row,
    figures::real,
    row::{Aim, Unit, median},
};

const NAME: &str = "soak-memory";

/// At 10,000,000 entries, 1 GiB is promised: 107 bytes for each.
const BYTES_MAX: f64 = 107.0;

/// The part of a life in which caches fill.
const WARM_UP: usize = 3;

/// Records that a life must have after that, for its growth to be told from noise.
const RECORDS_MIN: u64 = 10_000;

/// What was seen of it, in each life of the server.
#[derive(Debug, Default)]
pub(super) struct Memory {
    before: Vec<Vec<Sample>>,
    now: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    entries: u64,
    bytes: u64,
}

impl Memory {
    pub(super) fn take(&mut self, entries: u64, bytes: u64) {
        self.now.push(Sample { entries, bytes });
    }

    /// The server begins another life.
    pub(super) fn restart(&mut self) {
        self.before.push(std::mem::take(&mut self.now));
    }

    /// The growth of the life that grew most.
    pub(super) fn row(&self) -> Row {
        let lives = self.before.iter().chain([&self.now]);
        let grown: Vec<f64> = lives.clone().filter_map(|life| growth(life)).collect();
        let Some(most) = grown.iter().copied().max_by(f64::total_cmp) else {
            return Row::skipped(NAME, "too short".to_owned());
        };
        let what = format!("{grown:?}");
        Row::measured(NAME, vec![most], Unit::Bytes, Aim::AtMost(BYTES_MAX), what)
    }
}

/// Bytes for each record, after the warm-up.
fn growth(life: &[Sample]) -> Option<f64> {
    let warm = life.get(life.len() / WARM_UP..)?;
    let (first, second) = warm.split_at(warm.len() / 2);
    let middle = |samples: &[Sample]| {
        let mut bytes: Vec<f64> = samples.iter().map(|sample| real(sample.bytes)).collect();
        bytes.sort_by(f64::total_cmp);
        let mut entries: Vec<f64> = samples.iter().map(|sample| real(sample.entries)).collect();
        entries.sort_by(f64::total_cmp);
        (median(&entries), median(&bytes))
    };
    let ((from, less), (to, more)) = (middle(first), middle(second));
    (real(RECORDS_MIN) <= to - from).then(|| (more - less) / (to - from))
}
