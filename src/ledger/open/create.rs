//! Creates a ledger: its directory, its key, and entry 0. All of it is made under another name and
//! renamed at the end, so that there is a whole ledger or none.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use ed25519_dalek::{SigningKey, pkcs8::EncodePrivateKey as _};
use prost::Message as _;

use super::{KEY, OpenError, Options, VKEY, clean};
use crate::{
    ledger::{CommitFailed, Entropy, Ledger, layout, signer::Signer, writer::recorded_at},
    note::{NoteSigner, Origin, VerifierKey},
    pb,
    record::entry::EntryView,
    store::{
        FileError, Head, HighWater, SledStore, Store as _, files,
        journal::{FrameRef, Journal},
    },
    tlog::{Edge, Hash, Index, leaf_hash},
    views::authority,
};

/// What a new log begins with.
#[derive(Debug)]
pub struct NewLedger {
    /// The log's name.
    pub origin: Origin,
    /// The key that signs its checkpoints.
    pub key: SigningKey,
    /// The record of entry 0, a Genesis that has been checked.
    pub genesis: pb::Record,
    /// Who submits it.
    pub actor: String,
}

impl Ledger {
    /// Creates a ledger with its first entry, and returns the key to verify it with.
    ///
    /// # Errors
    /// Where there is something in the data directory or at the high-water checkpoint already, or a
    /// file cannot be written.
    pub fn create(
        options: &Options,
        new: NewLedger,
        now: DateTime<Utc>,
        mut entropy: Entropy,
    ) -> Result<VerifierKey, OpenError> {
        check_vacant(options)?;
        let draft = draft_beside(&options.dir)?;
        let NewLedger {
            origin,
            key,
            genesis,
            actor,
        } = new;
        let signer = NoteSigner::new(origin.key_name().clone(), key.clone());
        let vkey = signer.vkey();
        write_keys(&draft, &key, &vkey)?;

        let entry = first_entry(&genesis, &actor, now, &mut entropy)?;
        let tree = Signer::open(signer, origin, Edge::new()).extend(&[leaf_hash(&entry)]);
        commit_first(options, &draft, &vkey, &entry, &tree.note, &mut entropy)?;
        if options.dir.exists() {
            // It is empty: that was looked at above.
            fs::remove_dir(&options.dir).map_err(FileError::of("replace", &options.dir))?;
        }
        files::rename(&draft, &options.dir)?;
        clean::mark(&options.dir, &options.journal_dir())?;
        let mut mark = HighWater::create(&options.high_water_path())?;
        mark.write(tree.note.as_bytes())?;
        mark.sync()?;
        Ok(vkey)
    }
}

/// Nothing may lie where the ledger is to lie.
fn check_vacant(options: &Options) -> Result<(), OpenError> {
    let (high_water, journal) = (options.high_water_path(), options.journal_dir());
    for path in [&options.dir, &high_water, &journal] {
        let occupied = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_some(),
            Err(_) => path.exists(),
        };
        if occupied {
            return Err(OpenError::Exists { path: path.clone() });
        }
    }
    Ok(())
}

/// A new directory beside `dir`. One that is there already is left alone, whatever it is: a ledger may
/// bear any name.
fn draft_beside(dir: &Path) -> Result<PathBuf, FileError> {
    let parent = files::parent(dir);
    files::create_dir(parent)?;
    let mut number = 1_u32;
    loop {
        let mut name = dir.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".init.{number}"));
        let draft = parent.join(name);
        match fs::create_dir(&draft) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            created => {
                return created
                    .map(|()| draft.clone())
                    .map_err(FileError::of("create", &draft));
            }
        }
    }
}

fn first_entry(
    genesis: &pb::Record,
    actor: &str,
    now: DateTime<Utc>,
    entropy: &mut Entropy,
) -> Result<Vec<u8>, OpenError> {
    let mut salt = [0; 16];
    entropy(&mut salt);
    let entry = EntryView {
        index: Index::new(0),
        previous: Hash::ZERO,
        recorded_at: recorded_at(now).ok_or(OpenError::Clock)?,
        salt,
        actor,
        record: &genesis.encode_to_vec(),
        author: None,
    };
    Ok(entry.encode())
}

/// Commits entry 0 to both copies of a ledger that is being made in `draft`.
fn commit_first(
    options: &Options,
    draft: &Path,
    vkey: &VerifierKey,
    entry: &[u8],
    note: &str,
    entropy: &mut Entropy,
) -> Result<(), OpenError> {
    let store = SledStore::open(&draft.join("store"), &options.sled())?;
    let head = store.fence()?;
    let mut writes = vec![authority::list(Index::new(0))];
    layout::pack_blocks(Index::new(0), [entry], &mut writes);
    let next = Head {
        size: 1,
        chain: *leaf_hash(entry).as_bytes(),
        ..head
    };
    let committed = store.commit(&head, &next, note.as_bytes(), &writes);
    committed.map_err(CommitFailed::Store)?;

    let dir = options.journal.clone();
    let dir = dir.unwrap_or_else(|| draft.join("journal"));
    let label = vkey.to_string();
    let salted = options.journal_options(entropy);
    let mut journal = Journal::open(&dir, label.as_bytes(), salted)?;
    Ok(journal.append(&FrameRef {
        first: 0,
        entries: &[entry],
        checkpoint: note.as_bytes(),
    })?)
}

fn write_keys(dir: &Path, key: &SigningKey, vkey: &VerifierKey) -> Result<(), OpenError> {
    write_secret_key(&dir.join(KEY), key)?;
    Ok(files::replace(
        &dir.join(VKEY),
        format!("{vkey}\n").as_bytes(),
    )?)
}

/// Writes a private key as PKCS #8 in PEM, readable by its owner only.
///
/// # Errors
/// Where the file exists or cannot be written.
pub fn write_secret_key(path: &Path, key: &SigningKey) -> Result<(), FileError> {
    let failed = || FileError::of("write the key", path);
    let pem = key
        .to_pkcs8_pem(ed25519_dalek::pkcs8::spki::der::pem::LineEnding::LF)
        .map_err(|error| failed()(std::io::Error::other(error.to_string())))?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed())?;
    file.write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed())?;
    files::sync_dir(files::parent(path))
}
