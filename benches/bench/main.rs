//! The product against its own ceilings, as ratios within one run: machines differ and are noisy, the
//! ratio of two things measured in turn on the same machine is not.
//!
//! `cargo bench` measures in full, `cargo bench -- --quick` in a minute; names of rows (`unary`, `views`)
//! measure those alone; `--json` prints rows of name, ratio, aim and met. Nothing here fails a build: a figure
//! is for people to read.

#![expect(clippy::print_stdout, reason = "it is what a benchmark is for")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run says where")]

mod ledgers;
mod open;
mod queries;
mod unary;
mod verify;
mod views;

use std::time::Duration;

/// The program's own, for both sides of each ratio.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Measurements of each side, in turn.
    rounds: usize,
    /// How long a measurement of a load takes.
    load: Duration,
    /// Entries of the large ledger.
    entries: u64,
    /// Patients of the large population.
    patients: u64,
}

const FULL: Effort = Effort {
    rounds: 7,
    load: Duration::from_secs(5),
    entries: 1_000_000,
    patients: 100_000,
};

const QUICK: Effort = Effort {
    rounds: 3,
    load: Duration::from_secs(1),
    entries: 100_000,
    patients: 10_000,
};

/// What measures one.
type Bench = fn(Effort) -> Row;

/// One figure: a ratio, with its spread over the rounds.
#[derive(Debug)]
struct Row {
    name: &'static str,
    /// What the ratio is of.
    what: String,
    ratios: Vec<f64>,
    aim: Aim,
}

/// What a ratio should reach.
#[derive(Clone, Copy, Debug)]
enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl Row {
    fn median(&self) -> f64 {
        let mut ratios = self.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn met(&self) -> bool {
        match self.aim {
            Aim::AtLeast(aim) => aim <= self.median(),
            Aim::AtMost(aim) => self.median() <= aim,
        }
    }

    fn spread(&self) -> (f64, f64) {
        let least = self.ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.ratios.iter().copied().fold(0.0, f64::max);
        (least, most)
    }

    fn print(&self) {
        let (least, most) = self.spread();
        let aim = match self.aim {
            Aim::AtLeast(aim) => format!("at least {aim}"),
            Aim::AtMost(aim) => format!("at most {aim}"),
        };
        let met = if self.met() { "met" } else { "not met" };
        println!(
            "{:<14} {:>6.2}  ({least:.2} to {most:.2})  {aim:<14} {met:<8} {}",
            self.name,
            self.median(),
            self.what
        );
    }

    fn json(&self) -> serde_json::Value {
        let (least, most) = self.spread();
        let (bound, aim) = match self.aim {
            Aim::AtLeast(aim) => ("at least", aim),
            Aim::AtMost(aim) => ("at most", aim),
        };
        serde_json::json!({
            "name": self.name,
            "ratio": self.median(),
            "least": least,
            "most": most,
            "bound": bound,
            "aim": aim,
            "met": self.met(),
            "what": self.what,
        })
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let effort = if has("--quick") { QUICK } else { FULL };
    // Before any thread starts, as the server does.
    if genetrail::store::sync_range::install().is_err() {
        println!("note: sled's syncs cannot be made real here; the figures are not the product's");
    }
    let benches: [(&str, Bench); 7] = [
        ("unary", unary::measure),
        ("verify", verify::measure),
        ("open", open::measure),
        ("views", views::measure),
        ("reconsent", queries::reconsent),
        ("trace", queries::trace),
        ("schedule", queries::schedule),
    ];
    let all = !benches.iter().any(|(name, _)| has(name));
    let mut rows = Vec::new();
    for (_, bench) in benches.into_iter().filter(|(name, _)| all || has(name)) {
        let row = bench(effort);
        if !has("--json") {
            row.print();
        }
        rows.push(row);
    }
    if has("--json") {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        println!("{}", serde_json::Value::Array(rows));
    }
}
