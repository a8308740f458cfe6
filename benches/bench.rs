//! `cargo bench -- ARGUMENTS` is `genetrail bench ARGUMENTS`, built with the options of a benchmark.

use std::{ffi::OsString, process::ExitCode};

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Cargo adds `--bench`, for harnesses that do more than one thing.
    let typed = std::env::args_os()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let command = ["genetrail", "bench"].map(OsString::from);
    genetrail::cli::run_with(command.into_iter().chain(typed))
}
