//! The offline verifier against plain SHA-256 over the same files, on as many cores.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use genetrail::verify::{Options, verify_directory};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::{Aim, Effort, Row, ledgers};

pub(crate) fn measure(effort: Effort) -> Row {
    let home = tempfile::tempdir().unwrap();
    let (data, export) = (home.path().join("data"), home.path().join("export"));
    ledgers::filled(&data, effort.entries);
    let ledger = ledgers::open(&data);
    ledger.export(&export, &|_, _| {}).unwrap();
    let options = Options {
        key: ledger.vkey().clone(),
        since: None,
    };
    ledger.close();
    let files = files_below(&export);

    let mut ratios = Vec::new();
    let mut rates = (0.0, 0.0);
    for _ in 0..effort.rounds {
        let start = Instant::now();
        let bytes: usize = files.par_iter().map(|file| hash(file)).sum();
        let plain = start.elapsed().as_secs_f64();
        let start = Instant::now();
        verify_directory(&export, &options, &|_, _| {}).unwrap();
        let verified = start.elapsed().as_secs_f64();
        ratios.push(plain / verified);
        let megabytes = f64::from(u32::try_from(bytes / 1_000).unwrap()) / 1e3;
        rates = (megabytes / plain, megabytes / verified);
    }
    Row {
        name: "verify",
        what: format!(
            "{} entries: {:.0} MB/s, plain SHA-256 {:.0} MB/s",
            effort.entries, rates.1, rates.0
        ),
        ratios,
        aim: Aim::AtLeast(0.6),
    }
}

fn hash(file: &Path) -> usize {
    let bytes = fs::read(file).unwrap();
    std::hint::black_box(Sha256::digest(&bytes));
    bytes.len()
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
