//! `genetrail verify`: an exported log, offline.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};

use super::{Outcome, keys, progress, say};
use crate::verify::{Options, VerifyError, verify_directory};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The exported log.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The log's verifier key, or the file that holds it. Not from whoever handed the export over.
    #[arg(long, value_name = "VKEY|FILE")]
    key: String,
    /// An older checkpoint of the log, kept since: the log must extend it.
    #[arg(long, value_name = "CHECKPOINT")]
    since: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments { dir, key, since } = arguments;
    ensure!(dir.is_dir(), "{} is not a directory", dir.display());
    let key = keys::verifier_key(key)?;
    let since = match since {
        Some(path) => {
            let read = fs::read_to_string(path);
            Some(read.with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => None,
    };

    let bar = progress::bar(0, "entries");
    let verified = verify_directory(dir, &Options { key, since }, &|checked, size| {
        bar.set_length(size);
        bar.set_position(checked);
    });
    bar.finish_and_clear();
    match verified {
        Ok(report) => {
            say!("VERIFIED {}", dir.display())?;
            for line in report.lines() {
                say!("  {line}")?;
            }
            Ok(Outcome::Fine)
        }
        Err(VerifyError::Found(finding)) => {
            say!(
                "REFUSED {}: {:#}",
                dir.display(),
                anyhow::Error::from(finding)
            )?;
            Ok(Outcome::No)
        }
        Err(error) => Err(error).context("could not tell"),
    }
}
