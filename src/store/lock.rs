//! One process to a directory: a lock that ends with the process, however that ends.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::files::{self, FileError};

/// An exclusive hold on a directory, until it is dropped.
///
/// The file `lock` in it stays when the hold ends; only the kernel's lock on it means something.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

/// Why a directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{} is in use by another process", path.display())]
    Held {
        /// The directory.
        path: PathBuf,
    },
    /// The lock file could not be made.
    #[error(transparent)]
    File(#[from] FileError),
}

impl DirectoryLock {
    /// Takes the directory, or says at once that somebody else has it.
    pub fn acquire(dir: &Path) -> Result<DirectoryLock, LockError> {
        let path = dir.join("lock");
        let file = files::open_or_create(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Held {
                path: dir.to_path_buf(),
            }),
            Err(TryLockError::Error(source)) => Err(FileError::of("lock", &path)(source).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opener_is_refused_until_the_first_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(dir.path()).unwrap();
        let second = DirectoryLock::acquire(dir.path()).unwrap_err();
        assert!(matches!(second, LockError::Held { path } if path == dir.path()));
        drop(first);
        let _third = DirectoryLock::acquire(dir.path()).unwrap();
    }
}
