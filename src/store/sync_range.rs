//! Makes sled sync: answers the system call `sync_file_range` with ENOSYS in this whole process.
//!
//! sled 0.34 calls it where durability needs `fsync`. It writes pages, but neither the file's length
//! nor the cache of the disk, so that acknowledged data is lost with the power (spacejam/sled#1077).
//! When the call is not implemented, sled falls back to `File::sync_all`, which is what we want. So a
//! seccomp filter says that it is not. Nothing else in this process calls it.
//!
//! This is the one module of the crate with `unsafe` in it: libc has no other way to make the call
//! that proves the filter. It knows nothing of what is stored.
#![allow(
    unsafe_code,
    reason = "one call of sync_file_range, on no file, to see what it answers"
)]

use std::collections::BTreeMap;
use std::io;
use std::sync::OnceLock;

use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter, TargetArch};

/// Why the filter is not in place. The store then runs, but without the proof that it syncs.
#[derive(Debug, thiserror::Error)]
pub enum NotInstalled {
    /// The filter cannot be written for this processor.
    #[error("cannot build a system call filter for this machine")]
    Build(#[source] BackendError),
    /// The kernel, or the container around us, does not let us install it.
    #[error("the kernel refused the system call filter")]
    Apply(#[source] seccompiler::Error),
    /// It was installed, and the call does still something else.
    #[error("the system call filter has no effect")]
    NoEffect,
}

/// Installs the filter for all threads, those that run and those to come, once for the process; and
/// proves it. Later calls answer what the first one did.
///
/// Call it before threads start: a thread with a filter of its own would make it fail. It cannot be
/// taken back, it is inherited by child processes, and it sets `no_new_privs` for them.
pub fn install() -> Result<(), &'static NotInstalled> {
    static OUTCOME: OnceLock<Result<(), NotInstalled>> = OnceLock::new();
    match OUTCOME.get_or_init(install_now) {
        Ok(()) => Ok(()),
        Err(error) => Err(error),
    }
}

fn install_now() -> Result<(), NotInstalled> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(NotInstalled::Build)?;
    let always = Vec::new();
    let enosys = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter: BpfProgram = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_sync_file_range, always)]),
        SeccompAction::Allow,
        enosys,
        arch,
    )
    .and_then(BpfProgram::try_from)
    .map_err(NotInstalled::Build)?;

    seccompiler::apply_filter_all_threads(&filter).map_err(NotInstalled::Apply)?;
    if is_installed() {
        Ok(())
    } else {
        Err(NotInstalled::NoEffect)
    }
}

/// Whether `sync_file_range` is answered with ENOSYS on this thread, by trying it.
pub fn is_installed() -> bool {
    // On a file that is none: without the filter the kernel answers EBADF, and touches nothing.
    // SAFETY: the call takes four numbers and no pointer; no memory is at stake.
    let answer = unsafe { libc::sync_file_range(-1, 0, 0, 0) };
    answer == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_reaches_threads_that_ran_before_it_and_threads_that_start_after_it() {
        let (ask, asked) = std::sync::mpsc::channel::<()>();
        let earlier = std::thread::spawn(move || {
            asked.recv().unwrap();
            is_installed()
        });

        install().unwrap();
        install().unwrap();
        ask.send(()).unwrap();

        assert!(is_installed());
        assert!(earlier.join().unwrap());
        assert!(std::thread::spawn(is_installed).join().unwrap());
    }
}
