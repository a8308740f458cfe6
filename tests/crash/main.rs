//! Crash tests: the ledger in a process of its own is killed, loses power, is given errors by its disk
//! or damaged files, and must come back by itself with everything that it had acknowledged.
//!
//! `cargo test --test crash` runs a short form; `docs/CRASH-TESTS.md` has the full one and says what
//! each kind proves. This harness knows what the ledger promises; it knows nothing of how its files
//! are laid out, but for the names of the two copies and of the high-water mark.
#![expect(clippy::print_stdout, reason = "a test reports on the console")]

mod acks;
mod bench;
mod check;
mod child;
mod damage;
mod disk;
mod faults;
mod full_disk;
mod kill;
mod plan;
mod power;
mod process;
mod recorder;
mod rng;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{bench::Bench, child::End};

/// A kind of test, by its name.
type Kind = (&'static str, fn(&mut Bench) -> Result<()>);

const KINDS: [Kind; 7] = [
    ("kill", kill::run),
    ("power", power::run),
    ("syncs", power::run_failed_syncs),
    ("controls", power::run_controls),
    ("faults", faults::run),
    ("full-disk", full_disk::run),
    ("damage", damage::run),
];

/// What the command line asks for.
#[derive(Debug, Default)]
struct Arguments {
    full: bool,
    list: bool,
    seed: Option<u64>,
    rounds: Option<usize>,
    /// Kinds whose names contain one of these; all, if there are none.
    only: Vec<String>,
}

impl Arguments {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self> {
        let mut parsed = Self::default();
        let mut args = args.peekable();
        while let Some(arg) = args.next() {
            let mut number = || args.next().context("a number is missing");
            match arg.as_str() {
                "--full" => parsed.full = true,
                "--list" => parsed.list = true,
                "--seed" => parsed.seed = Some(number()?.parse().context("--seed")?),
                "--rounds" => parsed.rounds = Some(number()?.parse().context("--rounds")?),
                // What cargo passes to every test binary means nothing here.
                flag if flag.starts_with('-') => {}
                _ => parsed.only.push(arg),
            }
        }
        Ok(parsed)
    }

    fn wants(&self, kind: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| kind.contains(only.as_str()))
    }
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).peekable();
    if args.next_if(|arg| arg == "child").is_some() {
        let args: Vec<String> = args.collect();
        let end = child::main(&args).unwrap_or_else(|error| {
            println!("broken {error:#}");
            End::Broken
        });
        return ExitCode::from(u8::try_from(end.status()).unwrap_or(u8::MAX));
    }
    match harness(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("the harness itself failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what is asked for; false if anything failed.
fn harness(args: impl Iterator<Item = String>) -> Result<bool> {
    let args = Arguments::parse(args)?;
    let kinds = KINDS.iter().filter(|(name, _)| args.wants(name));
    if args.list {
        kinds.for_each(|(name, _)| println!("{name}: test"));
        return Ok(true);
    }
    let mut bench = Bench::new(args.full, args.seed, args.rounds)?;
    for (name, run) in kinds {
        bench.begin(name);
        run(&mut bench)?;
    }
    Ok(bench.finish())
}
