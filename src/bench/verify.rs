//! The offline verifier against plain SHA-256 over the same files, on as many cores.

use std::{fs, path::Path, time::Instant};

use anyhow::Context as _;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{
    Bench, Row,
    figures::{files_below, last, ratios, real},
    ledgers,
    row::Aim,
};
use crate::verify::{Options, verify_directory};

/// More of them say nothing new: each is verified like the one before.
const ENTRIES_MAX: u64 = 1_000_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("verify")?;
    let export = home.join("export");
    let entries = bench.effort.entries.min(ENTRIES_MAX);
    let ledger = ledgers::create(&home.join("data"))?;
    ledgers::fill(&ledger, ledgers::administrations(0..entries))?;
    ledger.export(&export, &|_, _| {})?;
    let options = Options {
        key: ledger.vkey().clone(),
        since: None,
    };
    ledger.close();
    let files = files_below(&export)?;

    let mut bytes = 0;
    let rounds = bench.rounds(|| {
        let start = Instant::now();
        let hashed: anyhow::Result<Vec<u64>> = files.par_iter().map(|file| hash(file)).collect();
        bytes = hashed?.into_iter().sum();
        let plain = start.elapsed().as_secs_f64();
        let start = Instant::now();
        verify_directory(&export, &options, &|_, _| {})?;
        Ok((start.elapsed().as_secs_f64(), plain))
    })?;
    let (verified, plain) = last(&rounds);
    let megabytes = real(bytes) / 1e6;
    let what = format!(
        "{entries} entries: {:.0} MB/s, plain SHA-256 {:.0} MB/s",
        megabytes / verified,
        megabytes / plain
    );
    Ok(vec![Row::ratio(
        "verify",
        ratios(&rounds),
        Aim::AtLeast(0.8),
        what,
    )])
}

fn hash(file: &Path) -> anyhow::Result<u64> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    std::hint::black_box(Sha256::digest(&bytes));
    Ok(u64::try_from(bytes.len())?)
}
