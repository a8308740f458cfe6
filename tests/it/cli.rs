//! The program as it is typed: from a new ledger to the verification of its export, and to each no.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

const HISTORY: &str = include_str!("../../examples/car-t.ndjson");

/// Exit codes.
const FINE: i32 = 0;
const NO: i32 = 1;
const COULD_NOT_TELL: i32 = 2;

fn genetrail(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(args)
        .output()
        .unwrap()
}

/// Runs a command that must end with this code, and returns what it printed.
fn check(args: &[&str], code: i32) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = genetrail(args);
    let (out, err) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert_eq!(
        status.code(),
        Some(code),
        "genetrail {args:?}\n{out}\n{err}"
    );
    format!("{out}{err}")
}

/// A ledger in a directory of its own.
struct Ledger {
    dir: TempDir,
    key: String,
}

impl Ledger {
    fn create() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let printed = check(
            &[
                "init",
                "--data",
                str(&data),
                "--origin",
                "log.example/trail",
            ],
            FINE,
        );
        let key = printed.lines().next().unwrap().to_owned();
        Self { dir, key }
    }

    fn path(&self, name: &str) -> String {
        str(&self.dir.path().join(name)).to_owned()
    }

    fn data(&self) -> String {
        self.path("data")
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Serves it on this port; 0 is a free one.
    fn serve(&self, port: u16) -> Server {
        let data = self.data();
        let listen = format!("127.0.0.1:{port}");
        let mut child = Command::new(env!("CARGO_BIN_EXE_genetrail"))
            .args([
                "serve",
                "--data",
                &data,
                "--listen",
                &listen,
                "--no-metrics",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let addr = line
            .strip_prefix("listening on ")
            .unwrap()
            .trim_end()
            .to_owned();
        Server { child, addr }
    }
}

/// A server that is killed at the end, if it has not been stopped.
struct Server {
    child: Child,
    addr: String,
}

impl Server {
    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn port(&self) -> u16 {
        self.addr.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Stops it as a supervisor does.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(self.child.wait().unwrap().code(), Some(FINE));
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Changes one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// As many records as asked for, each with an id of its own.
fn records(count: usize) -> String {
    let record = HISTORY.lines().next().unwrap();
    let mut record: serde_json::Value = serde_json::from_str(record).unwrap();
    let mut lines = Vec::new();
    for number in 0..count {
        record["recordId"] = format!("00000000-0000-4000-8000-{number:012}").into();
        lines.push(format!("{record}\n"));
    }
    lines.concat()
}

/// The tree size that a server's checkpoint says.
fn tree_size(url: &str) -> usize {
    let checkpoint = check(&["checkpoint", "--server", url], FINE);
    checkpoint.lines().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_record_is_signed_sent_and_its_receipt_checked_offline() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let (url, key) = (server.url(), ledger.key.as_str());
    let record = ledger.write("record.json", HISTORY.lines().next().unwrap());
    let receipt = ledger.path("receipt");
    let admin = ledger.path("data.admin.key");
    let send = |record: &str, code| {
        let to = [
            "--server",
            &url,
            "--actor",
            "administrator",
            "--receipt",
            &receipt,
        ];
        check(
            &[
                &["record", record, "--sign", &admin, "--key", key],
                to.as_slice(),
            ]
            .concat(),
            code,
        )
    };

    assert!(send(&record, FINE).contains("recorded   index 1\n"));
    let first = fs::read(&receipt).unwrap();
    assert!(
        send(&record, FINE).contains("recorded   index 1\n"),
        "a repeat gets the first answer"
    );
    server.stop();

    let holds = check(&["check", &receipt, "--key", key], FINE);
    assert!(
        holds.contains("log.example/trail") && holds.contains("signed with the key"),
        "{holds}"
    );
    assert!(holds.contains("\"organisationRegistered\""), "{holds}");
    let key_file = format!("{}/log.vkey", ledger.data());
    check(&["check", &receipt, "--key", &key_file], FINE);

    let other = check(
        &[
            "keygen",
            "--out",
            &ledger.path("other"),
            "--name",
            "log.example/trail",
        ],
        FINE,
    );
    let other = other
        .lines()
        .find_map(|line| line.strip_prefix("vkey         "))
        .unwrap();
    check(&["check", &receipt, "--key", other], NO);
    check(&["check", &receipt, "--key", "no key"], COULD_NOT_TELL);
    check(
        &["check", &ledger.path("absent"), "--key", key],
        COULD_NOT_TELL,
    );
    for at in (0..first.len()).step_by(53) {
        let mut changed = first.clone();
        changed[at] ^= 1;
        fs::write(&receipt, changed).unwrap();
        check(&["check", &receipt, "--key", key], NO);
    }
}

#[test]
fn a_refused_record_is_told_every_field_that_is_wrong() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let url = server.url();
    let mut record: serde_json::Value =
        serde_json::from_str(HISTORY.lines().next().unwrap()).unwrap();
    record["eventTime"] = "2019-02-30".into();
    record["organisationRegistered"]["gln"] = "9521123000019".into();
    let record = ledger.write("record.json", &record.to_string());
    let to = ["--server", &url, "--actor", "administrator"];
    let told = check(&[&["record", &record], to.as_slice()].concat(), NO);
    assert!(told.contains("FIELD_INVALID\n"), "{told}");
    assert!(told.contains(".event_time: "), "{told}");
    assert!(
        told.contains(".organisation_registered.gln: GLN_CHECK_DIGIT: "),
        "{told}"
    );

    let record = ledger.write("no-record.json", "{\"noSuchField\": 1}");
    check(
        &[&["record", &record], to.as_slice()].concat(),
        COULD_NOT_TELL,
    );
    assert_eq!(tree_size(&url), 1, "nothing was recorded");
}

/// Imports a file as the administrator.
fn import_of<'a>(file: &'a str, url: &'a str) -> [&'a str; 6] {
    ["import", file, "--server", url, "--actor", "administrator"]
}

#[test]
fn an_export_is_verified_and_a_changed_one_refused() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let (url, data, key) = (server.url(), ledger.data(), ledger.key.clone());
    let old = ledger.write("old", &check(&["checkpoint", "--server", &url], FINE));
    let history = ledger.write("history.ndjson", HISTORY);
    let import = import_of(&history, &url);
    assert!(check(&import, FINE).contains("176 records are in the log, 0 lines were refused"));
    check(&import, FINE);

    let [from_server, beside, from_data] = ["1", "2", "3"].map(|name| ledger.path(name));
    check(&["export", &from_server, "--server", &url], FINE);
    check(&["export", &beside, "--data", &data], FINE);
    server.stop();
    check(&["export", &from_data, "--data", &data], FINE);
    check(&["export", &from_data, "--data", &data], COULD_NOT_TELL);
    for export in [&from_server, &beside, &from_data] {
        let report = check(&["verify", export, "--key", &key, "--since", &old], FINE);
        assert!(
            report.contains("177 entries") && report.contains("older checkpoint"),
            "{report}"
        );
    }

    let proof = ledger.path("proof");
    check(&["prove", "29", "--data", &data, "--out", &proof], FINE);
    assert!(check(&["check", &proof, "--key", &key], FINE).contains("\"DP-001\""));
    check(&["prove", "177", "--data", &data], COULD_NOT_TELL);

    let other = check(
        &[
            "keygen",
            "--out",
            &ledger.path("other"),
            "--name",
            "log.example/trail",
        ],
        FINE,
    );
    let other = other
        .lines()
        .find_map(|line| line.strip_prefix("vkey         "))
        .unwrap();
    check(&["verify", &from_data, "--key", other], NO);
    check(
        &["verify", &ledger.path("absent"), "--key", &key],
        COULD_NOT_TELL,
    );
    let bundle = PathBuf::from(&from_data).join("tile/entries/000.p/177");
    flip(&bundle);
    let told = check(&["verify", &from_data, "--key", &key], NO);
    assert!(
        told.contains("REFUSED") && told.contains("tile/entries/000.p/177"),
        "{told}"
    );
    flip(&bundle);
    check(&["verify", &from_data, "--key", &key], FINE);
}

/// Questions about the CAR-T history; what stands in the tables and in the CSV; the list in the JSON.
const QUESTIONS: [(&str, &[&str], &str); 13] = [
    (
        "reconsent --as-of 2024-05-15 --list needs",
        &["P2", "2024-05-14", "OVERDUE", "P6", "2024-06-09"],
        "rows",
    ),
    (
        "reconsent --as-of 2024-04-20 --list notify",
        &["to be told", "P3", "R-K6"],
        "rows",
    ),
    (
        "due --overdue --purpose persistence --as-of 2026-01-15",
        &["P5", "2024-11-28", "OVERDUE", "413", "R-S1"],
        "obligations",
    ),
    (
        "due --state blocked_consent --as-of 2026-01-15",
        &["P5", "ICF-LTFU-CAR19 3.0", "R-P1"],
        "obligations",
    ),
    (
        "due --not-enrolled --as-of 2019-03-15 --known-at 30",
        &["P1", "SYN-CAR19", "R-E1"],
        "patients",
    ),
    (
        "due --signals --as-of 2024-02-01",
        &["SIG-1", "CONSENT", "R-AE2"],
        "signals",
    ),
    (
        "schedule P2 --as-of 2024-08-15",
        &[
            "LTFU-CAR19 1",
            "2034-08-31",
            "SMP-022",
            "2024-07-29",
            "OVERDUE",
        ],
        "courses",
    ),
    (
        "trace lot 09521123450028 LV-B --as-of 2025-08-14",
        &[
            "DP-006B",
            "P2",
            "DECEASED",
            "LOST_TO_FOLLOW_UP",
            "DP-007",
            "QUARANTINED",
        ],
        "administrations",
    ),
    (
        "trace recall RCL-2025-01 --as-of 2025-08-14",
        &[
            "DP-006B",
            "P2",
            "DECEASED",
            "LOST_TO_FOLLOW_UP",
            "DP-007",
            "QUARANTINED",
        ],
        "materials",
    ),
    (
        "trace donation Z000122000006",
        &["DP-006A", "DP-006B", "P6"],
        "materials",
    ),
    (
        "trace patient P6",
        &["DP-006B", "LV-B", "Z000122000006", "DONATION", "DP-006A"],
        "ancestors",
    ),
    (
        "trace sample SMP-054",
        &["P6", "DP-006B", "assay_result"],
        "tubes",
    ),
    (
        "trace coi CHZ000122000006",
        &["MISMATCH", "DP-006B", "administration"],
        "links",
    ),
];

#[test]
fn a_question_is_answered_as_tables_as_csv_and_as_json() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let ask = asker(&ledger, &server);
    for (question, wanted, field) in QUESTIONS {
        let table = ask(question, FINE);
        let csv = ask(&format!("{question} --csv"), FINE);
        for wanted in wanted {
            assert!(table.contains(wanted), "{wanted} is not in\n{table}");
            assert!(csv.contains(wanted), "{wanted} is not in\n{csv}");
        }
        assert!(csv.starts_with("list,"), "{csv}");
        let json: serde_json::Value =
            serde_json::from_str(&ask(&format!("{question} --json"), FINE)).unwrap();
        assert!(json["answered"]["asOf"].is_string(), "{json}");
        assert!(!json[field].as_array().unwrap().is_empty(), "{json}");
        assert_eq!(json["nextPageToken"], serde_json::Value::Null);
    }
}

#[test]
fn a_question_is_asked_of_what_was_known_then() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let ask = asker(&ledger, &server);
    let mismatch = ask("deviations --code COI_VERIFICATION_MISMATCH", FINE);
    assert!(
        mismatch.contains("CRITICAL") && mismatch.contains("DP-006B"),
        "{mismatch}"
    );
    let early = ask("deviations --severity critical --known-at 16", FINE);
    assert!(early.contains("deviations: none"), "{early}");
    assert!(
        early.contains("known from the first 16 entries, as corrected"),
        "{early}"
    );
    let never = ask(
        "deviations --known-at 2000-01-01T00:00:00Z --as-recorded",
        FINE,
    );
    assert!(
        never.contains("the first 0 entries, as recorded"),
        "{never}"
    );
}

#[test]
fn a_question_that_makes_no_sense_is_no_answer() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let ask = asker(&ledger, &server);
    for question in [
        "trace patient P99",
        "trace patient P6 --known-at noon",
        "trace patient P6 --as-of 2025-02-30",
        "trace patient P6 --known-at 9999",
        "deviations --severity awful",
        "deviations --csv --json",
        "due --kind dinner",
        "due --signals --overdue",
        "reconsent --list everybody",
    ] {
        ask(question, COULD_NOT_TELL);
    }
}

/// A watch of the lists on a server, and the lines that it prints as they come.
fn watch(url: &str, more: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let watch = [
        "reconsent",
        "--watch",
        "--server",
        url,
        "--actor",
        "administrator",
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(watch)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

/// Reads lines until one is what is awaited.
fn until(lines: &mut impl BufRead, is_awaited: impl Fn(&str) -> bool) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(
            lines.read_line(&mut line).unwrap(),
            0,
            "the watch has ended"
        );
        if is_awaited(&line) {
            return line;
        }
    }
}

/// Stops a watch as the keyboard does, and returns what it says at the end.
fn interrupt(mut watch: Child) -> String {
    let pid = watch.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let Output { status, stderr, .. } = {
        drop(watch.stdout.take());
        watch.wait_with_output().unwrap()
    };
    assert_eq!(status.code(), Some(FINE));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_watch_prints_what_changes_until_it_is_stopped_and_goes_on_from_there() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let (url, history) = (server.url(), ledger.write("history.ndjson", HISTORY));
    let import = import_of(&history, &url);
    // From now on: nothing has happened yet.
    let (child, mut lines) = watch(&url, &["--family", "ICF-LTFU-CAR19"]);
    check(&import, FINE);
    let came = until(&mut lines, |line| {
        line.contains(" ADDED: P2 to sign, ICF-LTFU-CAR19 ")
    });
    assert!(
        came.contains("NEW_VERSION, site 9521123001015, by "),
        "{came}"
    );
    assert!(came.contains("; R-K"), "{came}");
    until(&mut lines, |line| {
        line.contains(" REMOVED: P2 to sign, ICF-LTFU-CAR19 ")
    });
    let told = interrupt(child);
    assert!(
        told.contains("to go on from here: --watch --since "),
        "{told}"
    );

    let size = tree_size(&url).to_string();
    let (child, mut lines) = watch(&url, &["--since", "0", "--json"]);
    let last = until(&mut lines, |line| {
        line.contains(&format!("\"treeSize\":\"{size}\""))
    });
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    let told = interrupt(child);
    let day = last["asOf"].as_str().unwrap();
    assert!(
        told.contains(&format!("--since {size} --as-of ")),
        "{told} {day}"
    );

    let too_far = ["--since", "9999"];
    let (child, _lines) = watch(&url, &too_far);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(COULD_NOT_TELL));
    for nonsense in [&["--known-at", "3"][..], &["--csv"], &["--list", "needs"]] {
        let (child, _lines) = watch(&url, nonsense);
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(COULD_NOT_TELL), "{nonsense:?}");
    }
    // A server that stops ends it, and that is not what was asked for.
    let (child, mut lines) = watch(&url, &["--since", "0", "--json"]);
    until(&mut lines, |line| line.contains("ADDED"));
    server.stop();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(COULD_NOT_TELL));
}

/// Asks what is typed of a server that has been given the CAR-T history.
fn asker<'a>(ledger: &Ledger, server: &'a Server) -> impl Fn(&str, i32) -> String + 'a {
    let url = server.url();
    let to = move |command: &[&str], code| {
        let to = ["--server", &url, "--actor", "administrator"];
        check(&[command, &to].concat(), code)
    };
    to(&["import", &ledger.write("history.ndjson", HISTORY)], FINE);
    move |question, code| to(&question.split(' ').collect::<Vec<_>>(), code)
}

#[test]
fn an_import_that_is_interrupted_is_finished_by_repeating_it() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let url = server.url();
    let count = 20_000;
    let file = ledger.write("records.ndjson", &records(count));
    let import = import_of(&file, &url);
    let mut first = Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(import)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while tree_size(&url) < 100 && Instant::now() < patience {
        thread::sleep(Duration::from_millis(10));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let reached = tree_size(&url);
    assert!(
        (100..count).contains(&reached),
        "the import was interrupted at {reached}"
    );

    let told = check(&import, FINE);
    assert!(
        told.contains("20000 records are in the log, 0 lines were refused"),
        "{told}"
    );
    assert_eq!(tree_size(&url), count + 1);
}

#[test]
fn an_import_goes_on_after_the_server_was_killed_and_started_again() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let (url, port) = (server.url(), server.port());
    let count = 20_000;
    let file = ledger.write("records.ndjson", &records(count));
    let import = Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(import_of(&file, &url))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while tree_size(&url) < 100 && Instant::now() < patience {
        thread::sleep(Duration::from_millis(10));
    }
    server.kill();
    let server = ledger.serve(port);
    let Output {
        status,
        stdout,
        stderr,
    } = import.wait_with_output().unwrap();
    let (told, error) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert_eq!(status.code(), Some(FINE), "{told}\n{error}");
    assert!(told.contains("20000 records are in the log"), "{told}");
    assert_eq!(tree_size(&url), count + 1);
    server.stop();
    check(&["fsck", "--data", &ledger.data()], FINE);
}

#[test]
fn an_import_reports_what_is_refused_by_its_line_and_goes_on() {
    let ledger = Ledger::create();
    let server = ledger.serve(0);
    let mut lines: Vec<String> = records(5).lines().map(str::to_owned).collect();
    lines[1] = "{".to_owned();
    lines[3] = lines[3].replace("9521123000018", "9521123000019");
    lines.insert(2, String::new());
    let mut import = Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(import_of("-", &server.url()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    import
        .stdin
        .take()
        .unwrap()
        .write_all(lines.join("\n").as_bytes())
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = import.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(NO), "{told}");
    assert!(
        told.contains("line 2: REFUSED: not a Record in proto3 JSON"),
        "{told}"
    );
    assert!(told.contains("line 5: REFUSED: FIELD_INVALID\n"), "{told}");
    assert!(told.contains("gln: GLN_CHECK_DIGIT: "), "{told}");
    let counted = String::from_utf8_lossy(&stdout);
    assert!(
        counted.contains("3 records are in the log, 2 lines were refused"),
        "{counted}"
    );
    assert_eq!(tree_size(&server.url()), 4);
}

#[test]
fn what_would_endanger_a_ledger_is_refused() {
    let ledger = Ledger::create();
    let data = ledger.data();
    let again = check(
        &["init", "--data", &data, "--origin", "log.example/trail"],
        COULD_NOT_TELL,
    );
    assert!(again.contains("there is a ledger"), "{again}");
    let key = fs::read(ledger.path("data.admin.key")).unwrap();
    check(
        &["keygen", "--out", &ledger.path("data.admin.key")],
        COULD_NOT_TELL,
    );
    assert_eq!(
        fs::read(ledger.path("data.admin.key")).unwrap(),
        key,
        "no key is overwritten"
    );

    let open = check(
        &[
            "serve",
            "--data",
            &data,
            "--listen",
            "0.0.0.0:0",
            "--no-metrics",
        ],
        COULD_NOT_TELL,
    );
    assert!(open.contains("loopback"), "{open}");
    let server = ledger.serve(0);
    for command in ["serve", "fsck", "rebuild-views", "checkpoint"] {
        let second = check(&[command, "--data", &data], COULD_NOT_TELL);
        assert!(second.contains("in use"), "{command}: {second}");
    }
    server.stop();
    check(&["rebuild-views", "--data", &data], FINE);
    check(&["fsck", "--data", &data], FINE);
    assert!(check(&["fsck", "--data", &ledger.path("absent")], COULD_NOT_TELL).contains("init"));
}

#[test]
fn wrong_usage_is_no_answer() {
    check(&[], COULD_NOT_TELL);
    check(&["no-such-command"], COULD_NOT_TELL);
    check(&["checkpoint"], COULD_NOT_TELL);
    check(
        &[
            "checkpoint",
            "--data",
            "x",
            "--server",
            "http://127.0.0.1:1",
        ],
        COULD_NOT_TELL,
    );
    check(
        &["checkpoint", "--server", "http://127.0.0.1:1"],
        COULD_NOT_TELL,
    );
    check(&["--help"], FINE);
    check(&["--version"], FINE);
}

#[test]
fn the_demonstration_shows_it_all_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let data = str(&dir.path().join("kept")).to_owned();
    let demo = Command::new(env!("CARGO_BIN_EXE_genetrail"))
        .args(["demo", "--once", "--data", &data])
        .env("TMPDIR", dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&demo.stdout);
    assert_eq!(demo.status.code(), Some(FINE), "{told}");
    for shown in [
        "176 records",
        "COI_",
        "DOSE_REQUIRED",
        "hash chain",
        "REFUSED: entry 29",
        "OVERDUE",
        "LOST_TO_FOLLOW_UP",
        "QUARANTINED",
        "obligations",
        "genetrail report --product SYN-CAR19 --html",
    ] {
        assert!(told.contains(shown), "{shown} is not shown in\n{told}");
    }
    assert!(!told.contains("file://"), "a page that is gone:\n{told}");
    let mut left: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["kept", "kept.admin.key", "kept.high-water"]);
    check(&["fsck", "--data", &data], FINE);
}

#[test]
fn a_measurement_is_a_table_for_people_and_an_array_for_programs() {
    let small = [
        "bench",
        "--quick",
        "--entries",
        "500",
        "--load-ms",
        "300",
        "disk",
        "memory",
        "unary",
    ];
    let table = check(&small, FINE);
    let mut rows = table.lines();
    let machine = rows.next().unwrap();
    assert!(machine.contains(" cores, "), "{machine}");
    let rows: Vec<&str> = rows.collect();
    assert_eq!(rows.len(), 3, "{table}");
    // In their own order, however they were asked for.
    for (row, name) in rows.iter().zip(["unary", "disk", "memory"]) {
        assert!(row.starts_with(name), "{row}");
        assert!(row.contains("at least") || row.contains("at most"), "{row}");
    }

    let array = check(&[&small[..], &["--json"]].concat(), FINE);
    let rows: serde_json::Value = serde_json::from_str(&array).unwrap();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 3, "{array}");
    for row in rows {
        assert!(row["ratio"].is_number() && row["aim"].is_number(), "{row}");
        assert!(row["met"].is_boolean() && row["name"].is_string(), "{row}");
    }

    let refused = check(&["bench", "speed"], COULD_NOT_TELL);
    assert!(refused.contains("growth"), "it names the rows: {refused}");
}
