//! The program: everything it does is in the library.

use std::process::ExitCode;

/// What a call allocates is freed by other threads, over which the system's allocator waits for its locks.
#[cfg(feature = "server")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    genetrail::cli::run()
}
