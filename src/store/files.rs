//! What the file system has to be told so that files and their names survive loss of power.
//!
//! Knows paths and bytes; does not know what is in them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// On which file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: names the action and the path of an I/O error.
    pub(crate) fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        let path = path.to_path_buf();
        move |source| FileError {
            action,
            path,
            source,
        }
    }
}

/// Makes the names in a directory durable: files created, renamed and removed in it.
pub fn sync_dir(dir: &Path) -> Result<(), FileError> {
    sync(dir)
}

/// Makes the content of a file durable, whoever wrote it.
pub fn sync_file(path: &Path) -> Result<(), FileError> {
    sync(path)
}

fn sync(path: &Path) -> Result<(), FileError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(FileError::of("sync", path))
}

/// The directory that holds this path. `data` and `./data` are held by the working directory.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    }
}

/// Creates a directory with all that lead to it, durably. It may exist.
pub fn create_dir(dir: &Path) -> Result<(), FileError> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = parent(dir);
    if above != dir && above != Path::new(".") {
        create_dir(above)?;
    }
    match fs::create_dir(dir) {
        // Somebody else has created it in the meantime.
        Err(_) if dir.is_dir() => {}
        other => other.map_err(FileError::of("create", dir))?,
    }
    sync_dir(above)
}

/// Renames, durably, within one directory.
pub fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(FileError::of("rename", from))?;
    sync_dir(parent(to))
}

/// Puts `bytes` under `path`, durably. Whoever reads finds the old content or the new, and never
/// something in between, whenever the machine stops.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let mut temporary = path.as_os_str().to_os_string();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);

    File::create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .map_err(FileError::of("write", &temporary))?;
    rename(&temporary, path)
}

/// Bytes that may still be written to the volume of this path.
pub fn free_bytes(path: &Path) -> Result<u64, FileError> {
    let volume = rustix::fs::statvfs(path)
        .map_err(io::Error::from)
        .map_err(FileError::of("ask for the free space of", path))?;
    Ok(volume.f_bavail.saturating_mul(volume.f_frsize))
}

/// Opens a file for reading and writing; creates it if it is not there.
pub(super) fn open_or_create(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(FileError::of("open", path))
}

/// The entries of a directory, sorted by name.
pub(super) fn list(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut paths = fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<io::Result<Vec<_>>>()
        })
        .map_err(FileError::of("list", dir))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_holds_the_new_bytes_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("note");
        for bytes in [&b"first"[..], b"second, and longer", b""] {
            replace(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(list(dir.path()).unwrap(), std::slice::from_ref(&path));
        }
    }

    #[test]
    fn a_temporary_file_left_by_a_crash_does_not_hinder_the_next_replacement() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("note");
        fs::write(dir.path().join("note.new"), b"longer than what is to come").unwrap();
        replace(&path, b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
    }

    #[test]
    fn a_directory_is_created_with_all_that_lead_to_it_and_may_exist() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        create_dir(&deep).unwrap();
        create_dir(&deep).unwrap();
        assert!(deep.is_dir());

        let file = dir.path().join("file");
        fs::write(&file, b"").unwrap();
        for taken in [&file, &file.join("below")] {
            assert_eq!(create_dir(taken).unwrap_err().action, "create");
        }
    }

    #[test]
    fn free_space_is_known_where_the_path_exists() {
        let dir = tempfile::tempdir().unwrap();
        assert!(0 < free_bytes(dir.path()).unwrap());
        free_bytes(&dir.path().join("absent")).unwrap_err();
    }
}
