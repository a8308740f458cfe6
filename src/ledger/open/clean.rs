//! The mark of a clean stop: which files the copies consisted of, how long they were and when they
//! were last written. Where it is there and still true, nothing need be read again; where it is not,
//! everything is looked at.

use std::{fmt::Write as _, fs, path::Path};

use crate::store::{FileError, files};

const NAME: &str = "clean";

/// Marks a clean stop.
pub(in crate::ledger) fn mark(dir: &Path, journal: &Path) -> Result<(), FileError> {
    files::replace(&dir.join(NAME), describe(dir, journal)?.as_bytes())
}

/// Whether the last stop was clean and nothing was touched since. The mark is taken away: the ledger
/// is in use from here on.
pub(super) fn take(dir: &Path, journal: &Path) -> Result<bool, FileError> {
    let path = dir.join(NAME);
    let Ok(marked) = fs::read_to_string(&path) else {
        return Ok(false);
    };
    let clean = marked == describe(dir, journal)?;
    fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
    files::sync_dir(dir)?;
    Ok(clean)
}

/// A line for each file: its path, its length, its time of modification in nanoseconds.
fn describe(dir: &Path, journal: &Path) -> Result<String, FileError> {
    let mut lines = Vec::new();
    list(&dir.join("store"), "store", &mut lines)?;
    list(journal, "journal", &mut lines)?;
    lines.sort();
    Ok(lines.concat())
}

/// Lists a directory under a name of its own, so that the mark holds wherever the ledger is opened from.
fn list(dir: &Path, name: &str, lines: &mut Vec<String>) -> Result<(), FileError> {
    use std::os::unix::fs::MetadataExt as _;

    let read = || FileError::of("list", dir);
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(read())?,
    };
    for entry in entries {
        let entry = entry.map_err(read())?;
        let metadata = entry.metadata().map_err(read())?;
        let name = format!("{name}/{}", entry.file_name().display());
        if metadata.is_dir() {
            list(&entry.path(), &name, lines)?;
            continue;
        }
        let mut line = String::new();
        let (length, seconds, nanos) = (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        if writeln!(line, "{name} {length} {seconds}.{nanos:09}").is_ok() {
            lines.push(line);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_stop_is_believed_once_and_only_if_nothing_was_touched() {
        let dir = tempfile::tempdir().unwrap();
        let (dir, journal) = (dir.path(), dir.path().join("journal"));
        for sub in ["store/blobs", "journal"] {
            fs::create_dir_all(dir.join(sub)).unwrap();
        }
        fs::write(dir.join("store/db"), "data").unwrap();
        fs::write(journal.join("1"), "frames").unwrap();

        assert!(!take(dir, &journal).unwrap(), "there is no mark yet");
        mark(dir, &journal).unwrap();
        assert!(take(dir, &journal).unwrap());
        assert!(!take(dir, &journal).unwrap(), "the mark was taken away");

        let touches: [fn(&Path); 4] = [
            |dir| fs::write(dir.join("store/db"), "dat").unwrap(),
            |dir| fs::write(dir.join("journal/1"), "fRames").unwrap(),
            |dir| fs::remove_file(dir.join("journal/1")).unwrap(),
            |dir| fs::write(dir.join("store/blobs/new"), "").unwrap(),
        ];
        for touch in touches {
            mark(dir, &journal).unwrap();
            touch(dir);
            assert!(!take(dir, &journal).unwrap());
        }
    }
}
