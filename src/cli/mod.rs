//! The commands: what is typed, what is printed, and the exit code. Nothing else in the crate prints.
//!
//! Exit codes: 0 fine, 1 the answer is no (a verification failed, a record was refused), 2 could not
//! tell (wrong usage, no server, an unreadable file). The work itself is done elsewhere.

mod check;
mod keygen;
mod keys;
mod progress;
mod receipt;
mod verify;

#[cfg(feature = "server")]
mod bench;
#[cfg(feature = "server")]
mod client;
#[cfg(feature = "server")]
mod demo;
#[cfg(feature = "server")]
mod deviations;
#[cfg(feature = "server")]
mod due;
#[cfg(feature = "server")]
mod export;
#[cfg(feature = "server")]
mod import;
#[cfg(feature = "server")]
mod init;
#[cfg(feature = "server")]
mod inspect;
#[cfg(feature = "server")]
mod local;
#[cfg(feature = "server")]
mod maintain;
#[cfg(feature = "server")]
mod plan_template;
#[cfg(feature = "server")]
mod query;
#[cfg(feature = "server")]
mod reconsent;
#[cfg(feature = "server")]
mod record;
#[cfg(feature = "server")]
mod record_json;
#[cfg(feature = "server")]
mod rejection;
#[cfg(feature = "server")]
mod report;
#[cfg(feature = "server")]
mod schedule;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod trace;

use std::{
    ffi::OsString,
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// A verifiable audit trail for gene-therapy products.
#[derive(Debug, Parser)]
#[command(name = "genetrail", version, about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verify an exported log, offline.
    Verify(verify::Arguments),
    /// Check a receipt, offline.
    Check(check::Arguments),
    /// Create an Ed25519 key.
    Keygen(keygen::Arguments),
    /// Show it all on a fresh ledger: a worked history, receipts, an export, the verification.
    #[cfg(feature = "server")]
    Demo(demo::Arguments),
    /// Create a ledger and its key.
    #[cfg(feature = "server")]
    Init(init::Arguments),
    /// Serve a ledger over gRPC.
    #[cfg(feature = "server")]
    Serve(serve::Arguments),
    /// Record one record, and keep its receipt.
    #[cfg(feature = "server")]
    Record(record::Arguments),
    /// Record a file of records, one in proto3 JSON on each line. Safe to interrupt and to repeat.
    #[cfg(feature = "server")]
    Import(import::Arguments),
    /// Print a follow-up plan with the guideline's numbers, for the sponsor to complete.
    #[cfg(feature = "server")]
    PlanTemplate(plan_template::Arguments),
    /// List who must sign a consent anew, who is only told, who is asked to return, and who declined.
    #[cfg(feature = "server")]
    Reconsent(reconsent::Arguments),
    /// List what follow-up asks for and is not done yet.
    #[cfg(feature = "server")]
    Due(due::Arguments),
    /// Show the whole follow-up of a patient.
    #[cfg(feature = "server")]
    Schedule(schedule::Arguments),
    /// Say where a lot went, or where what a patient received came from.
    #[cfg(feature = "server")]
    Trace(trace::Arguments),
    /// List what was recorded and should not have been so.
    #[cfg(feature = "server")]
    Deviations(deviations::Arguments),
    /// Say how a product stands to each obligation of the guideline.
    #[cfg(feature = "server")]
    Report(report::Arguments),
    /// Write the log as a directory that anybody can verify.
    #[cfg(feature = "server")]
    Export(export::Arguments),
    /// Print the newest checkpoint.
    #[cfg(feature = "server")]
    Checkpoint(inspect::CheckpointArguments),
    /// Print the proof that an entry is in the log, with the entry.
    #[cfg(feature = "server")]
    Prove(inspect::ProveArguments),
    /// Check a ledger's data directory: the log, both copies, the views.
    #[cfg(feature = "server")]
    Fsck(maintain::FsckArguments),
    /// Measure it: against its own ceilings, as ratios.
    #[cfg(feature = "server")]
    Bench(bench::Arguments),
    /// Drop a ledger's views and make them again from entry 0.
    #[cfg(feature = "server")]
    RebuildViews(maintain::RebuildViewsArguments),
}

/// What a command comes to when it could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Fine,
    No,
}

/// Runs the command that was typed.
pub fn run() -> ExitCode {
    run_with(std::env::args_os())
}

/// Runs this command; the first word is the program's name.
pub fn run_with(command: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(command) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version go to standard output and are fine; everything else is wrong usage.
            let printed = error.print();
            let code = if error.use_stderr() || printed.is_err() {
                2
            } else {
                0
            };
            return ExitCode::from(code);
        }
    };
    match arguments.command.run() {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) => {
            complain(format_args!("genetrail: {error:#}"));
            ExitCode::from(2)
        }
    }
}

impl Command {
    fn run(self) -> anyhow::Result<Outcome> {
        match self {
            Self::Verify(arguments) => verify::run(&arguments),
            Self::Check(arguments) => check::run(&arguments),
            Self::Keygen(arguments) => keygen::run(&arguments),
            #[cfg(feature = "server")]
            Self::Demo(arguments) => demo::run(&arguments),
            #[cfg(feature = "server")]
            Self::Init(arguments) => init::run(&arguments),
            #[cfg(feature = "server")]
            Self::Serve(arguments) => serve::run(&arguments),
            #[cfg(feature = "server")]
            Self::Record(arguments) => record::run(&arguments),
            #[cfg(feature = "server")]
            Self::Import(arguments) => import::run(&arguments),
            #[cfg(feature = "server")]
            Self::PlanTemplate(arguments) => plan_template::run(&arguments),
            #[cfg(feature = "server")]
            Self::Reconsent(arguments) => reconsent::run(&arguments),
            #[cfg(feature = "server")]
            Self::Due(arguments) => due::run(&arguments),
            #[cfg(feature = "server")]
            Self::Schedule(arguments) => schedule::run(&arguments),
            #[cfg(feature = "server")]
            Self::Trace(arguments) => trace::run(&arguments),
            #[cfg(feature = "server")]
            Self::Deviations(arguments) => deviations::run(&arguments),
            #[cfg(feature = "server")]
            Self::Report(arguments) => report::run(&arguments),
            #[cfg(feature = "server")]
            Self::Export(arguments) => export::run(&arguments),
            #[cfg(feature = "server")]
            Self::Checkpoint(arguments) => inspect::checkpoint(&arguments),
            #[cfg(feature = "server")]
            Self::Prove(arguments) => inspect::prove(&arguments),
            #[cfg(feature = "server")]
            Self::Fsck(arguments) => maintain::fsck(&arguments),
            #[cfg(feature = "server")]
            Self::Bench(arguments) => bench::run(&arguments),
            #[cfg(feature = "server")]
            Self::RebuildViews(arguments) => maintain::rebuild_views(&arguments),
        }
    }
}

/// Prints a line to standard output. `println!` would panic where the reader has gone away.
fn print(line: fmt::Arguments<'_>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Prints a line to standard error. Where even that fails, the exit code has to say it.
fn complain(line: fmt::Arguments<'_>) {
    let _unprinted = writeln!(io::stderr(), "{line}");
}

/// Prints a line to standard output; gives a `Result`.
macro_rules! say {
    ($($line:tt)*) => { $crate::cli::print(format_args!($($line)*)) };
}
use say;

/// Random bytes of the operating system.
fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the operating system gives no random bytes")?;
    Ok(bytes)
}

/// Bytes in lower-case hex.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_commands_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn only_help_and_version_have_short_options() {
        for command in Arguments::command().get_subcommands() {
            for argument in command.get_arguments() {
                assert_eq!(
                    argument.get_short(),
                    None,
                    "{} {argument}",
                    command.get_name()
                );
            }
        }
    }
}
