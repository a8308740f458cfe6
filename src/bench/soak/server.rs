//! The server that is soaked: a process of this program, of which the soak knows the address, the memory and the log,
//! and which it kills or stops by its id. What is asked of it is not known here.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::figures::status_bytes;

/// A server that takes longer to begin or to end hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(5);

/// Lines of its log that are told.
const LINES_MAX: usize = 5;

/// A server that runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) addr: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Serves the ledger in `data`, and waits until it takes calls. What it prints and logs goes to files that begin
    /// like this.
    pub(super) fn start(data: &Path, files: &Path) -> anyhow::Result<Self> {
        // As a benchmark of Cargo's, the program knows no other commands.
        ensure!(
            std::env::args_os()
                .nth(1)
                .is_some_and(|first| first == "bench"),
            "only the program itself can serve: `cargo run --release -- bench soak`"
        );
        let program = std::env::current_exe().context("this program is not to be found")?;
        let (said, log) = (files.with_extension("out"), files.with_extension("log"));
        let child = Command::new(program)
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", "127.0.0.1:0", "--no-metrics"])
            .env("RUST_LOG", "info")
            .stdin(Stdio::null())
            .stdout(File::create(&said)?)
            .stderr(File::create(&log)?)
            .spawn()
            .context("this program cannot be started again")?;
        let mut server = Self {
            child,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            log,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = fs::read_to_string(&said)?;
            let addr = lines.strip_prefix("listening on ");
            // A line that is not ended may not be whole.
            if let Some(addr) = addr.and_then(|addr| addr.strip_suffix('\n')) {
                server.addr = addr.parse()?;
                return Ok(server);
            }
            if let Some(status) = server.ended()? {
                bail!(
                    "the server does not start: {status}: {}",
                    server.last_words()
                );
            }
            ensure!(Instant::now() < deadline, "the server does not start");
            thread::sleep(LOOK);
        }
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().context("the server is not ours")
    }

    /// The anonymous memory that it has: what is its own, without the pages of files.
    pub(super) fn memory_bytes(&self) -> anyhow::Result<u64> {
        status_bytes(&self.child.id().to_string(), "RssAnon")
    }

    /// Ends it at once, as `kill -9` does.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("the server cannot be killed")?;
        self.child.wait().context("the server is not ours")?;
        Ok(())
    }

    /// Stops it as a supervisor does, and waits until it has closed its ledger.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        if self.ended()?.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM)
                .context("the server cannot be stopped")?;
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended()? {
                ensure!(status.success(), "the server stopped with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the server does not stop");
            thread::sleep(LOOK);
        }
    }

    /// The errors in its log, the first few of them.
    pub(super) fn errors(&self) -> anyhow::Result<Vec<String>> {
        let log = fs::read_to_string(&self.log).context("the server's log cannot be read")?;
        let errors = log.lines().filter(|line| is_error(line));
        Ok(errors.take(LINES_MAX).map(str::to_owned).collect())
    }

    /// The end of its log.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LINES_MAX);
        lines.get(from..).unwrap_or_default().join("; ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended has nothing left to do, and says so.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Whether the server calls it an error. What is not JSON, it says before it logs: what it had to mend.
fn is_error(line: &str) -> bool {
    let line: Option<Value> = serde_json::from_str(line).ok();
    let level = line.as_ref().and_then(|line| line.get("level"));
    level.is_some_and(|level| level == "ERROR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_log_is_told_from_what_only_speaks_of_one() {
        for (line, is_one) in [
            (
                r#"{"level":"ERROR","fields":{"message":"the writer panicked"}}"#,
                true,
            ),
            (r#"{"level":"WARN","fields":{"message":"ERROR"}}"#, false),
            (r#"{"level":"INFO","fields":{"message":"serving"}}"#, false),
            (
                "The last stop was not clean: both copies were looked through.",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(is_error(line), is_one, "{line}");
        }
    }
}
