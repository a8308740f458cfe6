//! Whether a record costs more the more there are. A ledger is grown in a process of its own, so that what it takes
//! can be told; then some records are written to it and to a small one, in turn.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    rc::Rc,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{
    Bench, Row,
    figures::{disk_bytes, real, status_bytes},
    ledgers,
    row::{Aim, median},
};
use crate::ledger::Ledger;

/// Entries of the smallest ledger at which the cost of a record is told: a few commits.
const STEP_MIN: u64 = 4_000;

/// How often small and large are measured in turn: a sync takes longer now and then.
const TURNS: u32 = 10;

/// A ledger that was grown, and what it took.
#[derive(Debug)]
pub(crate) struct Grown {
    pub(super) dir: PathBuf,
    pub(super) entries: u64,
    /// The bytes of its entries.
    pub(super) entry_bytes: u64,
    /// What the directory takes of the disk.
    pub(super) disk_bytes: u64,
    /// What the process had in memory at the end, and at most.
    pub(super) resident_bytes: u64,
    pub(super) resident_bytes_max: u64,
    /// Microseconds for a record, in the half that ended with so many entries.
    pub(super) steps: Vec<(u64, f64)>,
}

/// Creates a ledger and fills it, and says what that took: the work of the other process.
pub(crate) fn grow(dir: &Path, entries: u64) -> anyhow::Result<Value> {
    let ledger = ledgers::create(dir)?;
    let halves = std::iter::successors(Some(entries), |entries| Some(entries / 2));
    let mut ends: Vec<u64> = halves.take_while(|end| STEP_MIN <= *end).collect();
    if ends.is_empty() {
        ends.push(entries);
    }
    let mut steps = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for end in ends.into_iter().rev() {
        let (took, more) = write(&ledger, from, end)?;
        bytes += more;
        steps.push(json!([end, took]));
        from = end;
    }
    let grown = json!({
        "entry_bytes": bytes,
        "resident_bytes": status_bytes("self", "VmRSS")?,
        "resident_bytes_max": status_bytes("self", "VmHWM")?,
        "steps": steps,
    });
    ledger.close();
    Ok(grown)
}

/// Writes the administrations of these numbers, and says how many microseconds each took, and their bytes.
fn write(ledger: &Ledger, from: u64, to: u64) -> anyhow::Result<(f64, u64)> {
    let start = Instant::now();
    let bytes = ledgers::fill(ledger, ledgers::administrations(from..to))?;
    let micros = start.elapsed().as_secs_f64() * 1e6 / real(to - from);
    Ok((micros, bytes))
}

impl Bench {
    /// The ledger with so many entries; grown when it is first asked for.
    pub(super) fn grown(&self, entries: u64) -> anyhow::Result<Rc<Grown>> {
        let mut all = self.grown.borrow_mut();
        if let Some(grown) = all.get(&entries) {
            return Ok(Rc::clone(grown));
        }
        let dir = self.home.join(format!("grown-{entries}"));
        let grown = Rc::new(Grown::in_process(dir, entries)?);
        all.insert(entries, Rc::clone(&grown));
        Ok(grown)
    }
}

impl Grown {
    /// Grows a ledger in a process of this program.
    fn in_process(dir: PathBuf, entries: u64) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("this program is not to be found")?;
        // As a benchmark of Cargo's, the program knows no other commands.
        let command = std::env::args_os().nth(1).filter(|first| first == "bench");
        let output = Command::new(program)
            .args(command)
            .arg("grow")
            .arg(&dir)
            .arg(entries.to_string())
            .stderr(Stdio::inherit())
            .output()
            .context("this program cannot be started again")?;
        ensure!(
            output.status.success(),
            "no ledger of {entries} entries: {}",
            output.status
        );
        let told: Value = serde_json::from_slice(&output.stdout)?;
        let number = |name: &str| {
            let number = told.get(name).and_then(Value::as_u64);
            number.with_context(|| format!("no {name}"))
        };
        let steps = told.get("steps").and_then(Value::as_array);
        let step = |step: &Value| Some((step.get(0)?.as_u64()?, step.get(1)?.as_f64()?));
        Ok(Self {
            entries,
            entry_bytes: number("entry_bytes")?,
            disk_bytes: disk_bytes(&dir)?,
            resident_bytes: number("resident_bytes")?,
            resident_bytes_max: number("resident_bytes_max")?,
            steps: steps.into_iter().flatten().filter_map(step).collect(),
            dir,
        })
    }
}

/// A record in a large ledger against one in a small ledger: not more than the tree is higher.
///
/// Of the large one, the mean of all turns, in which it grows by half: a long merge of its views is under way in some of them
/// and not in others, and each record has to bear its part of all.
pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("growth")?;
    let (few, many) = (bench.effort.entries_few, bench.effort.entries);
    let grown = bench.grown(many)?;
    let large = ledgers::open(&grown.dir)?;
    // Each time the second half of a new small ledger, and some more in the large one.
    let half = few.div_ceil(2);
    let more = many.div_ceil(2 * u64::from(TURNS));
    let mut next = many;
    let (mut of_small, mut of_large) = (Vec::new(), 0.0);
    for turn in 0..TURNS {
        let small = ledgers::create(&home.join(&format!("small-{turn}")))?;
        write(&small, 0, half)?;
        let (took, _) = write(&small, half, half * 2)?;
        of_small.push(took);
        small.close();
        let (took, _) = write(&large, next, next + more)?;
        of_large += took / f64::from(TURNS);
        next += more;
    }
    large.close();
    of_small.sort_by(f64::total_cmp);
    let small = median(&of_small);
    let what = format!("{of_large:.1} us for a record from {many} entries on, {small:.1} at {few}");
    let ratios = of_small.iter().map(|small| of_large / small).collect();
    let aim = Aim::as_the_tree(few, many);
    Ok(vec![Row::ratio("growth", ratios, aim, what)])
}
