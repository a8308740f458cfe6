//! The soak, for some seconds: that it finds nothing where nothing is wrong, and says so where something is.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

const FINE: i32 = 0;
const NO: i32 = 1;

/// All that is looked at.
const ROWS: [&str; 6] = [
    "soak-errors",
    "soak-answers",
    "soak-exports",
    "soak-records",
    "soak-growth",
    "soak-memory",
];

fn soak(within: &Path, minutes: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(["bench", "soak", "--json", "--minutes", minutes, "--within"])
        .arg(within)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end, which must be with this code, and returns the rows and what was complained of.
fn check(soak: Child, within: &Path, code: i32) -> (Vec<Value>, String) {
    let output = soak.wait_with_output().unwrap();
    let (out, err) = (output.stdout, output.stderr);
    let (out, err) = (
        String::from_utf8(out).unwrap(),
        String::from_utf8(err).unwrap(),
    );
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    let rows: Vec<Value> = serde_json::from_str(&out).unwrap();
    let names: Vec<&str> = rows
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ROWS);
    assert_eq!(fs::read_dir(within).unwrap().count(), 0, "nothing is left");
    (rows, err)
}

#[test]
fn a_server_that_is_killed_under_load_keeps_what_it_has_acknowledged() {
    let within = tempfile::tempdir().unwrap();
    let (rows, complaints) = check(soak(within.path(), "0.1"), within.path(), FINE);
    assert_eq!(complaints, "");
    for row in &rows[..4] {
        assert_eq!(
            (&row["ratio"], &row["met"]),
            (&0.0.into(), &true.into()),
            "{row}"
        );
    }
    // A few seconds say nothing of growth.
    assert!(rows[4]["skipped"].is_string(), "{}", rows[4]);
    assert_eq!(rows[5]["met"], true, "{}", rows[5]);
    let told = |row: usize| rows[row]["what"].as_str().unwrap();
    assert!(told(0).starts_with("killed at "), "{}", told(0));
    for done in [
        " Record,",
        " RecordBatch,",
        " records by RecordStream",
        " GetEntry,",
        " ProveInclusion,",
        " ProveConsistency,",
    ] {
        assert!(told(1).contains(done), "{done}: {}", told(1));
    }
    assert!(!told(2).starts_with("0 "), "{}", told(2));
}

#[test]
fn a_server_that_ends_when_nobody_killed_it_fails_the_soak() {
    let within = tempfile::tempdir().unwrap();
    let soak = soak(within.path(), "1");
    let server = server_of(&soak, within.path());
    let killed = Command::new("kill").args(["-9", &server]).status().unwrap();
    assert!(killed.success());
    let (rows, complaints) = check(soak, within.path(), NO);
    assert_eq!(rows[0]["met"], false);
    assert_eq!(rows[0]["what"], "never killed");
    assert!(
        complaints.contains("ended by itself with signal: 9"),
        "{complaints}"
    );
}

/// The process id of the soak's first server, once it has taken records in.
fn server_of(soak: &Child, within: &Path) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    while size_in(within).is_none_or(|size| size < 100) {
        assert!(Instant::now() < deadline, "nothing is recorded");
        thread::sleep(Duration::from_millis(20));
    }
    child_of(soak.id())
}

/// How many entries the soak's first server has, if it takes calls.
fn size_in(within: &Path) -> Option<u64> {
    let home = fs::read_dir(within).unwrap().next()?.unwrap().path();
    let said = fs::read_to_string(home.join("soak/server-1.out")).ok()?;
    let addr = said.strip_prefix("listening on ")?.strip_suffix('\n')?;
    let checkpoint = Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(["checkpoint", "--server", &format!("http://{addr}")])
        .output()
        .unwrap();
    let checkpoint = String::from_utf8(checkpoint.stdout).unwrap();
    checkpoint.lines().nth(1)?.parse().ok()
}

/// The only process that this one has started.
fn child_of(parent: u32) -> String {
    let parent = format!("PPid:\t{parent}");
    let mut children = fs::read_dir("/proc").unwrap().filter_map(|process| {
        let path = process.unwrap().path();
        // Processes end while they are looked at.
        let status = fs::read_to_string(path.join("status")).ok()?;
        let is_child = status.lines().any(|line| line == parent);
        is_child.then(|| path.file_name().unwrap().to_str().unwrap().to_owned())
    });
    children.next().unwrap()
}
