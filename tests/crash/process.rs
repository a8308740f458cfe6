//! Runs children: starts them with what is preloaded, waits or kills, and says how they ended.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::child::{End, Orders};

/// A child that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How the recorder is told what to do; see `recorder.c`.
pub(crate) type Environment = Vec<(&'static str, String)>;

/// What a child left behind.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// `None` where it was killed or crashed.
    pub(crate) end: Option<End>,
    /// What it printed.
    pub(crate) output: String,
    /// What it logged.
    pub(crate) log: String,
}

impl Outcome {
    /// What it printed last.
    pub(crate) fn last_line(&self) -> &str {
        self.output.lines().last().unwrap_or("nothing")
    }

    /// All that is known, for a report.
    pub(crate) fn describe(&self) -> String {
        let lines: Vec<&str> = self.log.lines().rev().take(12).collect();
        let log: Vec<&str> = lines.into_iter().rev().collect();
        let Self {
            end,
            output,
            log: _,
        } = self;
        format!(
            "ended {end:?}, said {output:?}, logged\n      {}",
            log.join("\n      ")
        )
    }
}

/// A child that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    output: PathBuf,
    log: PathBuf,
}

/// Starts a child. What it prints goes to files beside its acknowledgements, so that nothing it says
/// is lost with it.
pub(crate) fn start(role: &str, orders: &Orders, environment: &Environment) -> Result<Running> {
    let [output, log] = ["out", "log"].map(|end| orders.acks.with_extension(end));
    let child = Command::new(std::env::current_exe()?)
        .arg("child")
        .arg(role)
        .args(orders.to_args())
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::create(&log)?)
        .spawn()
        .context("starting a child")?;
    Ok(Running { child, output, log })
}

/// Runs a child to its end.
pub(crate) fn run(role: &str, orders: &Orders, environment: &Environment) -> Result<Outcome> {
    start(role, orders, environment)?.wait()
}

/// Runs a check, which must find everything in place.
pub(crate) fn check(orders: &Orders, environment: &Environment) -> Result<Outcome> {
    let outcome = run("check", orders, environment)?;
    ensure!(
        outcome.end == Some(End::Done),
        "the check {}",
        outcome.describe()
    );
    Ok(outcome)
}

/// Runs a check, and then the ledger's own of everything that it keeps.
pub(crate) fn check_whole(orders: &Orders) -> Result<Outcome> {
    let checked = check(orders, &Environment::new())?;
    let whole = run("fsck", orders, &Environment::new())?;
    ensure!(whole.end == Some(End::Done), "fsck {}", whole.describe());
    Ok(checked)
}

impl Running {
    /// Waits for the end.
    pub(crate) fn wait(mut self) -> Result<Outcome> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
                let end = status.code().and_then(End::of);
                let mut outcome = self.read(end)?;
                if end.is_none() {
                    outcome.log = format!("{}\n{status}", outcome.log);
                }
                return Ok(outcome);
            }
            if deadline < Instant::now() {
                self.child.kill()?;
                self.child.wait()?;
                bail!("a child hung: {}", self.read(None)?.describe());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills it after a time, if it still runs.
    pub(crate) fn kill_after(mut self, delay: Duration) -> Result<Outcome> {
        thread::sleep(delay);
        if self.child.try_wait()?.is_some() {
            return self.wait();
        }
        self.child.kill()?;
        self.child.wait()?;
        self.read(None)
    }

    /// Waits until it has printed a line that begins like this.
    pub(crate) fn wait_for(&mut self, word: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !read(&self.output)?
            .lines()
            .any(|line| line.starts_with(word))
        {
            if self.child.try_wait()?.is_some() || deadline < Instant::now() {
                bail!(
                    "a child never said {word:?}: {}",
                    self.read(None)?.describe()
                );
            }
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    fn read(&self, end: Option<End>) -> Result<Outcome> {
        Ok(Outcome {
            end,
            output: read(&self.output)?,
            log: read(&self.log)?,
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `wait` both have nothing left to do, and say so.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
