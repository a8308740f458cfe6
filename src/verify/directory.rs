//! An exported log: a directory in the layout of C2SP tlog-tiles, and `log.vkey` beside the checkpoint.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use super::{
    Finding, LogFile, LogSource, Options, Progress, Report, SourceError, VerifyError, verify_log,
};
use crate::{
    note::{NOTE_BYTES_MAX, VerifierKey},
    record::entry::ENTRY_BYTES_MAX,
    tlog::{HASH_BYTES, TileId, TreeSize},
};

/// The directory of the tiles and the entry bundles.
const TILES: &str = "tile";

/// A log in a directory.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

/// Checks an exported log: [`verify_log`], its key, and that no file is there that should not be.
pub fn verify_directory(
    dir: &Path,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Report, VerifyError> {
    let directory = Directory::new(dir);
    directory.check_key(&options.key)?;
    // Which files there are is asked for beside the reading of those that there should be.
    let (report, files) = rayon::join(
        || verify_log(&directory, options, progress),
        || directory.files(),
    );
    let mut report = report?;
    report.files = Some(check_files(&files?, report.checkpoint.size)?);
    Ok(report)
}

impl Directory {
    /// The log in the directory at this path.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// Reads a file of at most so many entries or hashes of at most so many bytes.
    fn read(
        &self,
        file: LogFile,
        count: usize,
        bytes_max: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), SourceError> {
        let max = count.saturating_mul(bytes_max);
        let max = u64::try_from(max).unwrap_or(u64::MAX);
        let path = self.path.join(file.to_string());
        match read_at_most(&path, max, bytes) {
            Ok(have) if max < have => Err(SourceError::TooLarge { have, max }),
            Ok(_) => Ok(()),
            Err(error) if is_absence(&error) => Err(SourceError::Missing),
            Err(error) => Err(SourceError::Failed(Box::new(error))),
        }
    }

    fn check_key(&self, key: &VerifierKey) -> Result<(), VerifyError> {
        let file = LogFile::VerifierKey;
        let mut bytes = Vec::new();
        let read = self.read(file, 1, NOTE_BYTES_MAX, &mut bytes);
        read.map_err(|error| VerifyError::reading(file, error))?;
        if bytes != format!("{key}\n").as_bytes() {
            let key = Box::new(key.clone());
            return Err(Finding::OtherKey { key }.into());
        }
        Ok(())
    }

    /// The files under `tile/`, and whatever else is there that is no directory.
    fn files(&self) -> Result<Vec<Listed>, VerifyError> {
        let mut files = Vec::new();
        let mut directories = vec![PathBuf::from(TILES)];
        while let Some(directory) = directories.pop() {
            let unlisted = |source| VerifyError::Unlisted {
                path: self.path.join(&directory),
                source,
            };
            for entry in fs::read_dir(self.path.join(&directory)).map_err(unlisted)? {
                let entry = entry.map_err(unlisted)?;
                let path = directory.join(entry.file_name());
                let file_type = entry.file_type().map_err(unlisted)?;
                if file_type.is_dir() {
                    directories.push(path);
                } else {
                    let is_file = file_type.is_file();
                    files.push(Listed { path, is_file });
                }
            }
        }
        Ok(files)
    }
}

/// What is found below a directory.
struct Listed {
    path: PathBuf,
    is_file: bool,
}

/// How many files there are; each must be one of a log of this size. That none of those is missing is known from
/// reading them.
fn check_files(listed: &[Listed], size: TreeSize) -> Result<u64, VerifyError> {
    let is_surplus = |one: &&Listed| !one.is_file || !is_of_log(&one.path, size);
    let surplus = listed.iter().filter(is_surplus).map(|one| &one.path);
    match surplus.min() {
        Some(path) => Err(Finding::SurplusFile { path: path.clone() }.into()),
        None => Ok(u64::try_from(listed.len()).unwrap_or(u64::MAX)),
    }
}

impl LogSource for Directory {
    fn checkpoint(&self, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        self.read(LogFile::Checkpoint, 1, NOTE_BYTES_MAX, bytes)
    }

    fn tile(&self, tile: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        let file = LogFile::Tile(tile);
        self.read(file, usize::from(tile.width), HASH_BYTES, bytes)
    }

    fn entry_bundle(&self, bundle: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        // The length of an entry goes before it, in two bytes.
        let entry_max = ENTRY_BYTES_MAX.saturating_add(2);
        let file = LogFile::Entries(bundle);
        self.read(file, usize::from(bundle.width), entry_max, bytes)
    }
}

/// The file's size; its bytes are read only if they are no more than `max`. What is not a file, and might
/// block whoever opens it, is taken for one that is not there.
fn read_at_most(path: &Path, max: u64, bytes: &mut Vec<u8>) -> io::Result<u64> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(ErrorKind::NotFound.into());
    }
    if max < metadata.len() {
        return Ok(metadata.len());
    }
    // What the buffer held is overwritten, so that only what it grows by needs to be cleared.
    let len = usize::try_from(metadata.len()).map_err(io::Error::other)?;
    bytes.resize(len, 0);
    File::open(path)?.read_exact(bytes)?;
    Ok(metadata.len())
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn is_of_log(path: &Path, size: TreeSize) -> bool {
    let tile = path
        .to_str()
        .and_then(|path| TileId::parse(path).or_else(|| TileId::parse_entries(path)));
    tile.is_some_and(|tile| tile.is_of(size))
}
