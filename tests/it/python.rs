//! What others could write from our documents, in Python: a verifier of exports that has the standard
//! library alone, and a client that has stock grpcio and the protos. Both are examples, too.
//!
//! Without python3, and for the client without a package registry, the tests say `skipped` and pass.

#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use ed25519_dalek::SigningKey;
use genetrail::{
    note::{Checkpoint, KeyName, NoteSigner, Origin, VerifierKey},
    pb::RecordBatchRequest,
    tlog::{Frontier, TreeSize, leaf_hash},
    verify::{ExportWriter, Options, verify_directory},
};

use crate::support::{ORIGIN, TestServer, administrator_key, as_actor, plain, record, signed};

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python")
}

/// Past the capture of a test's output: a test that shows nothing must not look like one that does.
fn skipped(why: &str) {
    let line = format!("skipped: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn has_python() -> bool {
    let has = Command::new("python3")
        .arg("--version")
        .output()
        .is_ok_and(|out| out.status.success());
    if !has {
        skipped("no python3");
    }
    has
}

/// An exported log in a directory of its own.
struct Export {
    home: tempfile::TempDir,
    key: VerifierKey,
}

impl Export {
    /// Of a ledger of this size, recorded through the server; the last `by_author` records are signed.
    async fn of(size: u32, by_author: u32) -> Self {
        let mut server = TestServer::start().await;
        let first_signed = size - by_author;
        let submissions = (1..size).map(|number| match record(number) {
            record if number < first_signed => plain(record),
            record => signed(&record, &administrator_key()),
        });
        let request = RecordBatchRequest {
            submissions: submissions.collect(),
            validate_only: false,
        };
        if 1 < size {
            server
                .recording()
                .record_batch(as_actor(request))
                .await
                .unwrap();
        }
        server.stop().await.unwrap();
        let export = Self {
            home: tempfile::tempdir().unwrap(),
            key: server.vkey.clone(),
        };
        let exported = server
            .open_ledger()
            .export(&export.dir(), &|_, _| {})
            .unwrap();
        assert_eq!(exported, TreeSize::new(u64::from(size)));
        export
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("export")
    }

    /// A copy to be changed.
    fn copy(&self) -> Self {
        let copy = Self {
            home: tempfile::tempdir().unwrap(),
            key: self.key.clone(),
        };
        for file in files_below(&self.dir()) {
            let target = copy.dir().join(file.strip_prefix(self.dir()).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&file, target).unwrap();
        }
        copy
    }

    /// Whether it holds, as both verifiers say.
    #[track_caller]
    fn holds(&self, what: &str) -> bool {
        let options = Options {
            key: self.key.clone(),
            since: None,
        };
        let ours = verify_directory(&self.dir(), &options, &|_, _| {});
        let python = Command::new("python3")
            .arg("-I")
            .arg(scripts().join("verify_export.py"))
            .arg(self.dir())
            .arg(self.key.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8(python.stdout).unwrap();
        let stderr = String::from_utf8(python.stderr).unwrap();
        let theirs = match (python.status.code(), said.split_once([' ', ':'])) {
            (Some(0), Some(("ok", size))) => Ok(size.trim().parse::<u64>().unwrap()),
            (Some(1), Some(("wrong", place))) => Err(place.trim().to_owned()),
            _ => panic!("{what}: {said}{stderr}"),
        };
        match (&ours, &theirs) {
            (Ok(report), Ok(size)) => assert_eq!(report.checkpoint.size.value(), *size, "{what}"),
            (Err(_), Err(_)) => {}
            (_, _) => panic!("{what}: we say {ours:?}, Python says {theirs:?}"),
        }
        ours.is_ok()
    }

    /// The entries in all bundles.
    fn entries(&self) -> Vec<Vec<u8>> {
        let mut entries = Vec::new();
        for file in files_below(&self.dir().join("tile/entries")) {
            let bundle = fs::read(file).unwrap();
            let mut rest = bundle.as_slice();
            while let Some((length, behind)) = rest.split_first_chunk() {
                let (entry, behind) = behind.split_at(usize::from(u16::from_be_bytes(*length)));
                entries.push(entry.to_vec());
                rest = behind;
            }
        }
        entries
    }

    /// What the keeper of the key can make of these entries: a log with other tiles, signed anew.
    fn signed_anew(&self, entries: &[Vec<u8>], key: u8) -> Self {
        let forged = Self {
            home: tempfile::tempdir().unwrap(),
            key: self.key.clone(),
        };
        let signer = SigningKey::from_bytes(&[key; 32]);
        let signer = NoteSigner::new(KeyName::parse(ORIGIN).unwrap(), signer);
        let mut writer = ExportWriter::create(&forged.dir()).unwrap();
        let mut tree = Frontier::default();
        for entry in entries {
            writer.append(entry).unwrap();
            tree.push(leaf_hash(entry));
        }
        let origin = Origin::parse(ORIGIN).unwrap();
        let checkpoint = Checkpoint {
            origin,
            size: tree.size(),
            root: tree.root(),
        };
        writer
            .finish(&checkpoint.sign(&signer), &signer.vkey())
            .unwrap();
        forged
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for found in fs::read_dir(dir).unwrap() {
        let path = found.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn a_stranger_verifies_our_exports() {
    if !has_python() {
        return;
    }
    for (size, by_author) in [
        (1, 0),
        (2, 0),
        (255, 0),
        (256, 0),
        (257, 0),
        (600, 0),
        (40, 7),
    ] {
        assert!(Export::of(size, by_author).await.holds("an export"));
    }
}

#[tokio::test]
async fn a_stranger_and_we_find_every_kind_of_changed_file() {
    if !has_python() {
        return;
    }
    let good = Export::of(300, 3).await;
    for file in files_below(&good.dir()) {
        let name = file.strip_prefix(good.dir()).unwrap().to_owned();
        let bytes = fs::read(&file).unwrap();
        let check = |what: &str, changed: Option<&[u8]>| {
            let copy = good.copy();
            match changed {
                Some(changed) => fs::write(copy.dir().join(&name), changed).unwrap(),
                None => fs::remove_file(copy.dir().join(&name)).unwrap(),
            }
            assert!(!copy.holds(what), "{}: {what}", name.display());
        };
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        check("a flipped bit", Some(&flipped));
        check("its last byte cut off", Some(&bytes[..bytes.len() - 1]));
        check("missing", None);
    }
    let copy = good.copy();
    fs::write(copy.dir().join("tile/0/001.p/43"), [0; 43 * 32]).unwrap();
    assert!(!copy.holds("a tile of an older tree"));

    let copy = good.copy();
    let note = copy.dir().join("checkpoint");
    let mut changed = fs::read_to_string(&note).unwrap();
    changed += "\u{2014} witness.example AAAAAUjzL2hQ5J1hQ5J1hQ5J1hQ=\n";
    fs::write(&note, changed).unwrap();
    assert!(copy.holds("the signature of somebody unknown"));
}

#[tokio::test]
async fn a_stranger_and_we_find_entries_that_were_moved() {
    if !has_python() {
        return;
    }
    let good = Export::of(40, 0).await;
    let entries = good.entries();
    let change = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut changed = entries.clone();
        change(&mut changed);
        changed
    };
    // 7 is the ledger's own key: against its keeper, only the chain and the indexes help.
    assert!(good.signed_anew(&entries, 7).holds("as it was"));
    assert!(
        good.signed_anew(&entries[..30], 7)
            .holds("the log as it once was")
    );
    let check = |what: &str, changed: &[Vec<u8>]| {
        assert!(!good.signed_anew(changed, 7).holds(what), "{what}");
    };
    check("swapped", &change(&|entries| entries.swap(20, 21)));
    check("dropped", &change(&|entries| drop(entries.remove(20))));
    check("dropped at the start", &entries[1..]);
    check(
        "twice",
        &change(&|entries| entries.insert(20, entries[20].clone())),
    );
    check("changed", &change(&|entries| entries[20][60] ^= 1));
    assert!(
        !good
            .signed_anew(&entries, 9)
            .holds("signed by somebody else")
    );

    let copy = good.copy();
    let bundle = entries.iter().rev().flat_map(|entry| {
        let length = u16::try_from(entry.len()).unwrap().to_be_bytes();
        [length.as_slice(), entry].concat()
    });
    fs::write(
        copy.dir().join("tile/entries/000.p/40"),
        bundle.collect::<Vec<u8>>(),
    )
    .unwrap();
    assert!(!copy.holds("reversed in their bundle"));
}

/// Runs a command to its end, or for a minute: whether it succeeded, and what it printed.
async fn run(command: &mut Command) -> (bool, String) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("printed");
    let printed = File::create(&path).unwrap();
    let stdio = || Stdio::from(printed.try_clone().unwrap());
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdio())
        .stderr(stdio())
        .spawn()
        .unwrap();
    for _ in 0..6_000 {
        if let Some(status) = child.try_wait().unwrap() {
            return (status.success(), fs::read_to_string(path).unwrap());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    (
        false,
        fs::read_to_string(path).unwrap() + "\nstill running after a minute",
    )
}

/// A Python with the packages of `requirements.txt`, installed once; `None` where that cannot be done.
async fn python_with_grpc(dir: &Path) -> Option<PathBuf> {
    let requirements = scripts().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).unwrap();
    let marker = dir.join("installed");
    let python = dir.join("venv/bin/python");
    if fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted) {
        return Some(python);
    }
    let (made, printed) = run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(dir.join("venv")))
    .await;
    if !made {
        skipped(&format!("no virtual environment: {printed}"));
        return None;
    }
    let options = [
        "--quiet",
        "--only-binary=:all:",
        "--retries=1",
        "--timeout=20",
    ];
    let pip = ["-m", "pip", "install"];
    let mut install = Command::new(&python);
    let (installed, printed) =
        run(install.args(pip).args(options).arg("-r").arg(requirements)).await;
    if !installed {
        skipped(&format!("grpcio cannot be installed: {printed}"));
        return None;
    }
    fs::write(marker, wanted).unwrap();
    Some(python)
}

#[tokio::test]
async fn a_client_of_stock_grpcio_drives_every_method() {
    if !has_python() {
        return;
    }
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("python");
    let Some(python) = python_with_grpc(&dir).await else {
        return;
    };

    let stubs = tempfile::tempdir().unwrap();
    let into = |option: &str| format!("--{option}={}", stubs.path().display());
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let (generated, printed) = run(Command::new(&python)
        .args(["-m", "grpc_tools.protoc", "-I"])
        .arg(&proto)
        .args([into("python_out"), into("grpc_python_out")])
        .args(files_below(&proto.join("genetrail"))))
    .await;
    assert!(generated, "{printed}");

    let mut server = TestServer::start().await;
    let (succeeded, printed) = run(Command::new(&python)
        .arg("-B")
        .arg(scripts().join("client.py"))
        .arg(server.running.addr.to_string())
        .arg(stubs.path())
        .arg(server.vkey.to_string()))
    .await;
    assert!(succeeded && printed.ends_with("done\n"), "{printed}");
    server.stop().await.unwrap();
}
