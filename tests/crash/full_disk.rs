//! A disk that is really full: a small volume is filled under load, and space is made again. With the
//! ledger's reserve, appends are refused and go on by themselves; without one, the ledger stops on the
//! first error and opens again. Nothing acknowledged is lost either way.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    bench::{Bench, Place},
    child::{End, Orders},
    plan::{Shape, run as run_of},
    process::{self, Environment},
};

/// A volume of its own, until it is dropped.
struct Volume {
    at: PathBuf,
}

impl Volume {
    /// Mounts a volume of so many MiB in memory; an error where that is not allowed.
    fn mount(at: &Path, mib: u32) -> Result<Self> {
        mount(
            &["-t", "tmpfs", "-o", &format!("size={mib}m"), "crash-test"],
            at,
        )?;
        Ok(Self {
            at: at.to_path_buf(),
        })
    }

    fn resize(&self, mib: u32) -> Result<()> {
        mount(&["-o", &format!("remount,size={mib}m")], &self.at)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // There is nobody to tell; a volume that stays mounted keeps its place from being removed.
        drop(Command::new("umount").arg(&self.at).status());
    }
}

fn mount(args: &[&str], at: &Path) -> Result<()> {
    let output = Command::new("mount")
        .args(args)
        .arg(at)
        .output()
        .context("running mount")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// Runs both cases, where volumes can be mounted.
pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let trial = bench.place()?;
    if let Err(error) = Volume::mount(&trial.disk(), 1) {
        bench.skip(&format!("no volume can be mounted here: {error:#}"));
        return Ok(());
    }
    let within = fill_up_to_the_reserve(bench);
    bench.score("with a reserve", within);
    let beyond = fill_up(bench);
    let openings = bench.score("without a reserve", beyond).unwrap_or_default();
    bench.summarize(&format!(
        "a volume filled twice: refused and resumed at the reserve; stopped without one, {openings}"
    ));
    Ok(())
}

/// A place on a small volume, with a ledger.
fn small_place(bench: &mut Bench, mib: u32, reserve: u64) -> Result<(Place, Volume, Orders)> {
    let place = bench.place()?;
    let volume = Volume::mount(&place.disk(), mib)?;
    let mut orders = place.orders();
    orders.reserve = reserve;
    let created = process::run("create", &orders, &Environment::new())?;
    ensure!(
        created.end == Some(End::Done),
        "creating a ledger {}",
        created.describe()
    );
    orders.run = run_of(Shape::Mixed, 0);
    orders.batches = 100_000;
    Ok((place, volume, orders))
}

fn fill_up_to_the_reserve(bench: &mut Bench) -> Result<()> {
    let (place, volume, orders) = small_place(bench, 48, 16 << 20)?;
    let mut running = process::start("load", &orders, &Environment::new())?;
    running.wait_for("full")?;
    let acknowledged = fs::metadata(place.acks())?.len();
    volume.resize(96)?;
    for _ in 0..500 {
        if acknowledged < fs::metadata(place.acks())?.len() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    ensure!(
        acknowledged < fs::metadata(place.acks())?.len(),
        "it did not go on when there was space"
    );
    let killed = running.kill_after(Duration::from_millis(100))?;
    ensure!(killed.end.is_none(), "the load {}", killed.describe());
    volume.resize(512)?;
    process::check(&orders, &Environment::new())?;
    drop(volume);
    place.remove()
}

/// Returns how it went while the disk was full.
fn fill_up(bench: &mut Bench) -> Result<String> {
    let (place, volume, orders) = small_place(bench, 40, 0)?;
    let loaded = process::run("load", &orders, &Environment::new())?;
    ensure!(
        loaded.end == Some(End::Stopped),
        "on a full disk, the load {}",
        loaded.describe()
    );
    // Not a byte is left.
    let mut ballast = File::create(place.disk().join("ballast"))?;
    while ballast.write(&[1; 4096]).is_ok_and(|written| 0 < written) {}
    drop(ballast);
    let mut openings = Vec::new();
    for _ in 0..3 {
        let mut again = orders.clone();
        again.repeat = false;
        let outcome = process::run("check", &again, &Environment::new())?;
        let end = outcome
            .end
            .filter(|end| matches!(end, End::Done | End::Refused));
        let end =
            end.with_context(|| format!("opened on a full disk, it {}", outcome.describe()))?;
        openings.push(format!("{end:?}").to_lowercase());
    }
    volume.resize(512)?;
    process::check(&orders, &Environment::new()).context("when there was space again")?;
    drop(volume);
    place.remove()?;
    Ok(format!(
        "opened three times while full: {}",
        openings.join(", ")
    ))
}
