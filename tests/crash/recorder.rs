//! The recorder: `recorder.c`, compiled when the tests run, and how a process is told to load it.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::{bench::Place, process::Environment};

/// Compiles the recorder into `dir`; `None` where there is no compiler, or nothing to preload into.
pub(crate) fn compile(dir: &Path) -> Result<Option<PathBuf>> {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        return Ok(None);
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/recorder.c");
    let library = dir.join("recorder.so");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    let Ok(output) = cc.args(["-ldl", "-lpthread"]).output() else {
        return Ok(None);
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "recorder.c does not compile: {said}"
    );
    Ok(Some(library))
}

/// Loads the recorder for the disk of a place.
pub(crate) fn watch(recorder: &Path, place: &Place) -> Environment {
    vec![
        ("LD_PRELOAD", recorder.display().to_string()),
        ("CRASH_ROOT", format!("{}/", place.disk().display())),
        ("CRASH_ACKS", place.acks().display().to_string()),
    ]
}
