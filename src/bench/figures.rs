//! Numbers for people to read: rates, ratios, quantiles, and the directory's bytes.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;

pub(super) const MEBIBYTE: f64 = 1_048_576.0;
pub(super) const GIBIBYTE: f64 = 1_073_741_824.0;

/// A count as a number to divide by.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a figure is for people to read"
)]
pub(super) fn real(count: u64) -> f64 {
    count as f64
}

/// A length as such a number.
pub(super) fn real_len(count: usize) -> f64 {
    real(u64::try_from(count).unwrap_or(u64::MAX))
}

/// So many a second, since then.
pub(super) fn rate_since(start: Instant, count: u64) -> f64 {
    real(count) / start.elapsed().as_secs_f64()
}

/// The second of each pair in terms of the first.
pub(super) fn ratios(pairs: &[(f64, f64)]) -> Vec<f64> {
    pairs.iter().map(|(first, second)| second / first).collect()
}

/// The last round, to be told beside the ratio.
pub(super) fn last(pairs: &[(f64, f64)]) -> (f64, f64) {
    pairs.last().copied().unwrap_or_default()
}

/// Of durations in order, the one that so many of a thousand do not exceed, in seconds.
pub(super) fn quantile(ordered: &[Duration], of_thousand: usize) -> f64 {
    let at = (ordered.len() * of_thousand).div_ceil(1_000);
    let found = ordered.get(at.saturating_sub(1));
    found.map_or(f64::NAN, Duration::as_secs_f64)
}

/// What the system says of a process's memory: of this one, or of the one with an id.
pub(super) fn status_bytes(process: &str, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.context("the system does not tell")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    let kib: u64 = kib.context("the system does not tell")?.parse()?;
    Ok(kib * 1_024)
}

/// All files below a directory.
pub(super) fn files_below(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let unreadable = || format!("cannot read {}", dir.display());
    for entry in fs::read_dir(dir).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// What a directory takes of the disk: blocks, not lengths.
pub(super) fn disk_bytes(dir: &Path) -> anyhow::Result<u64> {
    /// The unit in which the system counts blocks, whatever the file system's are.
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for file in files_below(dir)? {
        let known = fs::metadata(&file);
        let known = known.with_context(|| format!("cannot look at {}", file.display()))?;
        bytes += known.blocks() * BLOCK_BYTES;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_durations_and_never_below_its_share() {
        let ordered: Vec<Duration> = (1..=200).map(Duration::from_secs).collect();
        for (of_thousand, seconds) in [(5, 1.0), (500, 100.0), (990, 198.0), (1_000, 200.0)] {
            let found = quantile(&ordered, of_thousand);
            assert!((found - seconds).abs() < 1e-9, "{of_thousand}: {found}");
        }
        assert!(quantile(&[], 990).is_nan());
    }

    #[test]
    fn the_disk_counts_what_is_written_and_not_what_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        fs::write(dir.path().join("below/whole"), vec![1; 65_536]).unwrap();
        let sparse = fs::File::create(dir.path().join("sparse")).unwrap();
        sparse.set_len(1 << 30).unwrap();
        let bytes = disk_bytes(dir.path()).unwrap();
        assert!((65_536..1 << 20).contains(&bytes), "{bytes}");
    }
}
