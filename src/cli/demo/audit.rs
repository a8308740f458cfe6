//! The auditor's part of the demonstration: an export, its verification, and a forgery that is found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::{
    cli::say,
    note::VerifierKey,
    pb,
    tlog::{TILE_WIDTH, TreeSize, tiles_at},
    verify::{Finding, Options, VerifyError, verify_directory},
};

/// Verifies the export, and prints what was checked.
pub(super) fn verify(export: &Path, key: &VerifierKey) -> anyhow::Result<()> {
    let options = Options {
        key: key.clone(),
        since: None,
    };
    let report = verify_directory(export, &options, &|_, _| {})?;
    for line in report.lines() {
        say!("     {line}")?;
    }
    Ok(())
}

/// What the verification finds in a copy in which one byte is another.
pub(super) fn verify_forgery(export: &Path, key: &VerifierKey) -> anyhow::Result<Finding> {
    let options = Options {
        key: key.clone(),
        since: None,
    };
    match verify_directory(export, &options, &|_, _| {}) {
        Err(VerifyError::Found(finding)) => Ok(finding),
        Err(error) => Err(error.into()),
        Ok(_) => bail!("the forgery was not found"),
    }
}

/// Copies an export, and makes the first digit of a number in the receipt's entry a 9. Returns the file.
pub(super) fn forge(
    export: &Path,
    copy: &Path,
    size: TreeSize,
    receipt: &pb::Receipt,
    number: &str,
) -> anyhow::Result<PathBuf> {
    let pb::Receipt { index, entry, .. } = receipt;
    copy_directory(export, copy)?;
    let bundle = tiles_at(size)
        .find(|tile| tile.level == 0 && tile.index == *index / u64::from(TILE_WIDTH))
        .context("the entry is not in the log")?;
    let path = PathBuf::from(bundle.entries_path());
    let mut bytes = fs::read(copy.join(&path))?;
    let at = find(&bytes, entry).context("the entry is not in its bundle")?;
    let digit = at + find(entry, number.as_bytes()).context("the number is not in the entry")?;
    *bytes.get_mut(digit).context("the number ends")? = b'9';
    fs::write(copy.join(&path), bytes)?;
    Ok(path)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn copy_directory(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let to = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy_directory(&file.path(), &to)?;
        } else {
            fs::copy(file.path(), to)?;
        }
    }
    Ok(())
}
