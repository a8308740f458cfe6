//! Opens a ledger: finds out what the two copies hold, makes them one again, and goes on from there.
//!
//! After a clean stop that nothing has touched, the heads of the two copies are compared and the right
//! edge of the tree is checked against the newest checkpoint. After any other stop both copies are
//! read and checked. Then:
//!
//! | store | journal | what is done |
//! |---|---|---|
//! | whole | whole | the longer one must extend the other; the shorter is caught up |
//! | whole | damaged, gone | the journal is written anew from the store |
//! | damaged, gone, unopenable | whole | the store is rebuilt from the journal |
//! | damaged | damaged | refused: what survives is named, and can be exported |
//!
//! Nothing that is damaged is thrown away: it is set aside under another name. Nothing is signed
//! before both copies and the high-water checkpoint agree.

pub(super) mod clean;
mod create;
mod recover;
mod state;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use ed25519_dalek::{SigningKey, pkcs8::DecodePrivateKey as _};
use prost::Message as _;
use tokio::sync::{Semaphore, mpsc};

pub use create::{NewLedger, write_secret_key};
pub(super) use state::{names_authority, record_id_of};

use self::state::{Care, JournalDamage, StoreDamage, StoreState};
use super::{
    Closed, CommitFailed, Entries, Ledger, QUEUE_JOBS_MAX, QUEUE_KIB_MAX, ReadError, Shared,
    copies::{Copies, Room},
    published::Published,
    reader,
    signer::{Signed, Signer},
    upkeep::Upkeep,
    views::{Viewed, Views},
    writer::{Entropy, Writer},
};
use crate::{
    clock::Clock,
    note::{Checkpoint, KeyError, NoteError, NoteSigner, VerifierKey, open_checkpoint},
    pb,
    record::entry::EntryView,
    rules::keys::{KeyRefused, KeyRegistry},
    store::{
        DirectoryLock, FileError, HighWater, HighWaterError, LockError, SledOptions, SledStore,
        Store, StoreError, files,
        journal::{JournalError, JournalOptions},
    },
    tlog::{self, Index, TreeSize},
    views::{self, ViewError, authority},
};

/// Where a ledger lies and how much disk it leaves free.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory.
    pub dir: PathBuf,
    /// Where the journal lies; by default `journal` in the data directory. Another disk is better.
    pub journal: Option<PathBuf>,
    /// Where the high-water checkpoint lies; by default beside the data directory, under its name
    /// with `.high-water` added. Another disk is better.
    pub high_water: Option<PathBuf>,
    /// Bytes that must stay free on the disks.
    pub reserve_bytes: u64,
}

impl Options {
    /// A ledger in `dir`, with everything else by default.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            journal: None,
            high_water: None,
            reserve_bytes: 64 << 20,
        }
    }

    /// The journal's directory.
    pub fn journal_dir(&self) -> PathBuf {
        self.journal
            .clone()
            .unwrap_or_else(|| self.dir.join("journal"))
    }

    /// The high-water checkpoint's file.
    pub fn high_water_path(&self) -> PathBuf {
        self.high_water.clone().unwrap_or_else(|| {
            let mut name = self.dir.file_name().unwrap_or_default().to_os_string();
            name.push(".high-water");
            files::parent(&self.dir).join(name)
        })
    }

    pub(super) fn store_dir(&self) -> PathBuf {
        self.dir.join("store")
    }

    pub(super) fn suspect_path(&self) -> PathBuf {
        self.dir.join("suspect")
    }

    /// The copies keep half of the reserve for themselves: the writer refuses before they would.
    pub(super) fn sled(&self) -> SledOptions {
        SledOptions {
            reserve_bytes: self.reserve_bytes / 2,
            ..SledOptions::default()
        }
    }

    fn journal_options(&self, entropy: &mut Entropy) -> JournalOptions {
        let mut salt = [0; 32];
        entropy(&mut salt);
        JournalOptions {
            reserve_bytes: self.reserve_bytes / 2,
            ..JournalOptions::new(salt)
        }
    }
}

/// What opening had to do, for the operator to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// The last stop was not clean; everything was looked at.
    Unclean,
    /// The store was rebuilt from the journal, up to this tree size.
    StoreRebuilt(u64),
    /// The store was caught up from the journal, by this many entries.
    StoreCaughtUp(u64),
    /// The journal was written anew from the store, up to this tree size.
    JournalRewritten(u64),
    /// The journal was caught up from the store, by this many entries.
    JournalCaughtUp(u64),
    /// The views were dropped and rebuilt.
    ViewsRebuilt,
    /// There was no high-water checkpoint; a new one was written at this tree size.
    HighWaterCreated(u64),
}

/// Why a ledger does not open. Each says what is wrong and, where something can be done, what.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is something in the way of a new ledger.
    #[error("{} exists already: a ledger is never created over something else", path.display())]
    Exists {
        /// The file or directory.
        path: PathBuf,
    },
    /// There is no ledger there.
    #[error("there is no ledger in {}; `genetrail init` creates one", path.display())]
    NotALedger {
        /// The data directory.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("the ledger in {} is in use by another process", path.display())]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The signing key and the verifier key are not a pair.
    #[error(
        "ledger.key does not belong to log.vkey; put back the key that the log was created with"
    )]
    WrongKey,
    /// The signing key cannot be read.
    #[error("{} is not an Ed25519 key, PKCS #8 in PEM", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// The verifier key cannot be read.
    #[error("{} is not a verifier key", path.display())]
    NotAVerifierKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: KeyError,
    },
    /// The data directory is older than what was signed.
    #[error(
        "the data directory ends at tree size {have}, but a checkpoint of tree size {signed} was signed \
         (see {}): this is an older copy. Put back the newer data directory; to go on from here would \
         sign a second history. If the newer one is lost, export this one, and begin a new log",
        high_water.display()
    )]
    OlderThanSigned {
        /// The size of what is there.
        have: u64,
        /// The size that was signed.
        signed: u64,
        /// The file that says so.
        high_water: PathBuf,
    },
    /// The data directory is another history than what was signed.
    #[error(
        "at tree size {size} the data directory has another root hash than the checkpoint that was \
         signed (see {}): this is another history of the log. Put back the right data directory",
        high_water.display()
    )]
    OtherHistory {
        /// The size at which the roots differ.
        size: u64,
        /// The file that says so.
        high_water: PathBuf,
    },
    /// The high-water checkpoint is of another log.
    #[error("{} is not a checkpoint of this log", path.display())]
    HighWaterForeign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: NoteError,
    },
    /// The two copies are of different histories.
    #[error(
        "the store and the journal differ from entry {index} on, and both are validly signed: two \
         servers have written to copies of one ledger. Keep both, and ask which one was in use"
    )]
    Diverged {
        /// The first entry that differs.
        index: u64,
    },
    /// Both copies are damaged.
    #[error(
        "both copies are damaged. Store: {store}. Journal: {journal}. Put back a backup; \
         `genetrail export OUT --data DIR --survivors` writes what can still be read"
    )]
    BothDamaged {
        /// What is wrong with the store.
        store: StoreDamage,
        /// What is wrong with the journal.
        journal: JournalDamage,
    },
    /// The clock shows a time that no entry can carry.
    #[error("the clock is not within the years 1 to 9999")]
    Clock,
    /// A key on record does not fold: the log contradicts itself.
    #[error("entry {index} names a key that the rules refuse")]
    KeyOnRecord {
        /// The entry.
        index: u64,
        /// Why.
        #[source]
        cause: KeyRefused,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// The journal failed.
    #[error("the journal failed")]
    Journal(#[from] JournalError),
    /// Something stored could not be read.
    #[error("what is stored cannot be read")]
    Read(#[from] ReadError),
    /// A view failed.
    #[error("a view failed")]
    View(#[from] ViewError),
    /// A commit failed while the ledger was made whole.
    #[error("a commit failed")]
    Commit(#[from] CommitFailed),
    /// The high-water checkpoint could not be read or written.
    #[error("the high-water checkpoint failed")]
    HighWater(#[from] HighWaterError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<LockError> for OpenError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { path } => Self::InUse { path },
            LockError::File(error) => Self::File(error),
        }
    }
}

/// A ledger that was opened, and what had to be done for it.
#[derive(Debug)]
pub struct Opened {
    /// The ledger.
    pub ledger: Ledger,
    /// What had to be done; empty after a clean stop.
    pub recovered: Vec<Recovery>,
}

/// How far what lies in the data directory is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// After a clean stop, nothing is read again.
    CleanStops,
    /// Everything is read.
    Nothing,
}

impl Ledger {
    /// Opens the ledger in a data directory, and makes it whole if it is not.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        options: &Options,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
    ) -> Result<Opened, OpenError> {
        Self::open_with(options, Trust::CleanStops, clock, entropy)
    }

    pub(super) fn open_with(
        options: &Options,
        trust: Trust,
        clock: Arc<dyn Clock>,
        mut entropy: Entropy,
    ) -> Result<Opened, OpenError> {
        let dir = &options.dir;
        if !dir.join(VKEY).is_file() {
            return Err(OpenError::NotALedger { path: dir.clone() });
        }
        let lock = DirectoryLock::acquire(dir)?;
        let (signer, vkey) = read_keys(dir)?;
        let mut recovered = Vec::new();

        let suspect = options.suspect_path().exists();
        let clean = clean::take(dir, &options.journal_dir())? && !suspect;
        if !clean {
            recovered.push(Recovery::Unclean);
        }
        let care = match (clean, suspect || trust == Trust::Nothing) {
            (_, true) => Care::Everything,
            (true, false) => Care::Heads,
            (false, false) => Care::Tail,
        };
        let (store, journal, state) =
            recover::recover(options, &vkey, care, &mut entropy, &mut recovered)?;
        if suspect {
            let path = options.suspect_path();
            fs::remove_file(&path).map_err(FileError::of("remove", &path))?;
        }

        let views = open_views(&store, state.head.size, suspect, &mut recovered)?;
        let keys = Arc::new(keys_on_record(&store, &vkey, &state)?);
        let high_water = check_high_water(options, &store, &vkey, &state, &keys, &mut recovered)?;

        let head = state.head;
        let (previous, recorded_at) = (state.leaf, state.recorded_at);
        let signer = Signer::open(signer, state.checkpoint.origin.clone(), state.edge.clone());
        let published = publish(state, &keys);
        let suspect = options.suspect_path();
        let shared = Arc::new(Shared::new(Arc::clone(&store), views, published, suspect));
        let room = Room {
            paths: vec![dir.clone(), options.journal_dir()],
            reserve: options.reserve_bytes,
        };
        let copies = Copies::new(store, head, journal, high_water, room, options)?;
        let no_thread = FileError::of("start a thread for", dir);
        let upkeep = Upkeep::start(Arc::clone(&shared)).map_err(no_thread)?;
        let (jobs, queue) = mpsc::channel(QUEUE_JOBS_MAX);
        let writer = Writer {
            shared: Arc::clone(&shared),
            jobs: queue,
            signer,
            copies,
            upkeep,
            keys,
            previous,
            recorded_at,
            clock,
            entropy,
        };
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run())
            .map_err(FileError::of("start a thread for", dir))?;
        let ledger = Ledger {
            shared,
            jobs,
            room: Arc::new(Semaphore::new(QUEUE_KIB_MAX)),
            writer: Some(writer),
            vkey,
            settle: Settle::new(options.clone()),
            _lock: lock,
        };
        Ok(Opened { ledger, recovered })
    }
}

/// The last step of closing a ledger, taken when the store has been closed.
#[derive(Debug)]
pub(super) struct Settle {
    options: Options,
    closed: Closed,
}

impl Settle {
    fn new(options: Options) -> Self {
        Self {
            options,
            closed: Closed::Not,
        }
    }

    pub(super) fn closed(&mut self, closed: Closed) {
        self.closed = closed;
    }

    fn settle(&self) -> Result<(), OpenError> {
        // sled writes a snapshot only when it opens: without this, the next start would read again
        // all that was written since the last.
        drop(SledStore::open(
            &self.options.store_dir(),
            &self.options.sled(),
        )?);
        clean::mark(&self.options.dir, &self.options.journal_dir())?;
        Ok(())
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        if self.closed == Closed::Cleanly
            && let Err(error) = self.settle()
        {
            let error = super::Chain(&error).to_string();
            tracing::warn!(error, "the next start will look at everything");
        }
    }
}

/// The file that holds the verifier key, one line.
pub(super) const VKEY: &str = "log.vkey";

/// The file that holds the signing key, PKCS #8 in PEM.
pub(super) const KEY: &str = "ledger.key";

fn read_keys(dir: &Path) -> Result<(NoteSigner, VerifierKey), OpenError> {
    let vkey = read_vkey(dir)?;
    let path = dir.join(KEY);
    let pem = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
    let key = SigningKey::from_pkcs8_pem(&pem).map_err(|_| OpenError::NotAKey { path })?;
    let signer = NoteSigner::new(vkey.name().clone(), key);
    if signer.vkey() != vkey {
        return Err(OpenError::WrongKey);
    }
    Ok((signer, vkey))
}

/// Reads the verifier key of a data directory.
///
/// # Errors
/// Where there is none.
pub(super) fn read_vkey(dir: &Path) -> Result<VerifierKey, OpenError> {
    let path = dir.join(VKEY);
    let line = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
    VerifierKey::parse(line.trim_end()).map_err(|cause| OpenError::NotAVerifierKey { path, cause })
}

fn open_views(
    store: &Arc<dyn Store>,
    size: u64,
    suspect: bool,
    recovered: &mut Vec<Recovery>,
) -> Result<Views, OpenError> {
    let opened = match Views::open(store.as_ref()) {
        Ok(views) if !suspect && views.is_within(TreeSize::new(size)) => {
            // A filter, a bucket or a block may turn out damaged when it is first asked.
            catch_up(store, &views, size).map(|()| Some(views))
        }
        Ok(_) => Ok(None),
        Err(error) => Err(error.into()),
    };
    match opened {
        Ok(Some(views)) => Ok(views),
        Err(error) if !is_of_a_damaged_view(&error) => Err(error),
        Ok(None) | Err(_) => {
            recovered.push(Recovery::ViewsRebuilt);
            rebuild_views(store, size)
        }
    }
}

const fn is_of_a_damaged_view(error: &OpenError) -> bool {
    matches!(
        error,
        OpenError::View(ViewError::Damaged { .. })
            | OpenError::Read(ReadError::View(ViewError::Damaged { .. }))
    )
}

impl Ledger {
    /// Drops the views of the ledger in a data directory and makes them again from entry 0. Returns
    /// how many entries were read.
    ///
    /// # Errors
    /// Where the ledger does not open.
    pub fn rebuild_views(options: &Options, mut entropy: Entropy) -> Result<TreeSize, OpenError> {
        let lock = DirectoryLock::acquire(&options.dir)?;
        let vkey = read_vkey(&options.dir)?;
        let mut settle = Settle::new(options.clone());
        clean::take(&options.dir, &options.journal_dir())?;
        let care = Care::Tail;
        let recovered = recover::recover(options, &vkey, care, &mut entropy, &mut Vec::new())?;
        let (store, journal, state) = recovered;
        rebuild_views(&store, state.head.size)?;
        drop((store, journal));
        settle.closed(Closed::Cleanly);
        drop(settle);
        drop(lock);
        Ok(TreeSize::new(state.head.size))
    }
}

/// Drops the views and makes them again from entry 0.
fn rebuild_views(store: &Arc<dyn Store>, size: u64) -> Result<Views, OpenError> {
    views::drop_all(store.as_ref())?;
    let views = Views::open(store.as_ref())?;
    let mut listed = Vec::new();
    for entry in Entries::new(Arc::clone(store), Index::new(0), TreeSize::new(size)) {
        let (index, entry) = entry?;
        if names_authority(index, &entry)? {
            listed.push(authority::list(index));
        }
    }
    for writes in listed.chunks(256) {
        store.trail(writes)?;
    }
    catch_up(store, &views, size)?;
    views.close(store.as_ref())?;
    store.sync()?;
    Ok(views)
}

/// Inserts the entries from the watermark on.
fn catch_up(store: &Arc<dyn Store>, views: &Views, size: u64) -> Result<(), OpenError> {
    let start = Index::new(views.watermark().value());
    for entry in Entries::new(Arc::clone(store), start, TreeSize::new(size)) {
        let (index, entry) = entry?;
        views.insert(store.as_ref(), index, Viewed::read(index, &entry)?)?;
        if index.value() % 256 == 255 {
            views.keep_up(store.as_ref())?;
        }
    }
    Ok(())
}

fn keys_on_record(
    store: &Arc<dyn Store>,
    vkey: &VerifierKey,
    state: &StoreState,
) -> Result<KeyRegistry, OpenError> {
    let mut keys = KeyRegistry::new(vkey.name().as_str());
    for index in authority::listed(store.as_ref(), Index::new(state.head.size))? {
        let entry = reader::entry(store.as_ref(), index)?;
        let damaged = || ReadError::damaged(index);
        let view = EntryView::parse(&entry).map_err(|_| damaged())?;
        let record = pb::Record::decode(view.record).map_err(|_| damaged())?;
        keys.apply(index, view.recorded_at.to_utc(), &record)
            .map_err(|cause| OpenError::KeyOnRecord {
                index: index.value(),
                cause,
            })?;
    }
    Ok(keys)
}

/// The high-water checkpoint must be of this tree or of a prefix of it.
fn check_high_water(
    options: &Options,
    store: &Arc<dyn Store>,
    vkey: &VerifierKey,
    state: &StoreState,
    keys: &Arc<KeyRegistry>,
    recovered: &mut Vec<Recovery>,
) -> Result<HighWater, OpenError> {
    let path = options.high_water_path();
    let mut mark = match HighWater::open(&path) {
        Ok(mark) => mark,
        Err(HighWaterError::Damaged { .. }) => {
            // A loss of power can tear both of its slots; what it said is then known to nobody.
            files::rename(&path, &path.with_extension("high-water.damaged"))?;
            HighWater::create(&path)?
        }
        Err(HighWaterError::File(_)) if !path.exists() => HighWater::create(&path)?,
        Err(error) => return Err(error.into()),
    };
    match mark.read()? {
        None => recovered.push(Recovery::HighWaterCreated(state.head.size)),
        Some(note) => {
            let signed =
                open_checkpoint(&String::from_utf8_lossy(&note), vkey).map_err(|cause| {
                    OpenError::HighWaterForeign {
                        path: path.clone(),
                        cause,
                    }
                })?;
            compare(&signed, store, state, keys, path)?;
        }
    }
    mark.write(state.note.as_bytes())?;
    mark.sync()?;
    Ok(mark)
}

fn compare(
    signed: &Checkpoint,
    store: &Arc<dyn Store>,
    state: &StoreState,
    keys: &Arc<KeyRegistry>,
    high_water: PathBuf,
) -> Result<(), OpenError> {
    let (have, size) = (state.head.size, signed.size.value());
    if have < size {
        return Err(OpenError::OlderThanSigned {
            have,
            signed: size,
            high_water,
        });
    }
    let published = publish(state.clone(), keys);
    let nodes = reader::Nodes {
        published: &published,
        store: store.as_ref(),
    };
    let root = tlog::root_at(&nodes, signed.size).map_err(|error| match error {
        tlog::ReadError::Read(error) => error,
        tlog::ReadError::IndexBeyond { .. }
        | tlog::ReadError::OldTreeEmpty
        | tlog::ReadError::SizesReversed { .. }
        | tlog::ReadError::WrongCount { .. } => ReadError::TileDamaged {
            path: format!("for the root at size {size}"),
        },
    })?;
    if root == signed.root {
        Ok(())
    } else {
        Err(OpenError::OtherHistory { size, high_water })
    }
}

fn publish(state: StoreState, keys: &Arc<KeyRegistry>) -> Published {
    let StoreState {
        head: _,
        checkpoint,
        note,
        edge,
        leaf: _,
        recorded_at: _,
    } = state;
    let signed = Signed {
        checkpoint,
        note,
        edge,
        tiles: Vec::new(),
    };
    Published::new(signed, Arc::clone(keys))
}
