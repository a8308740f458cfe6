//! The store in sled 0.34, made honest.
//!
//! Left to itself, that version loses acknowledged data with the power, and may not open again after
//! a crash. What is done about it here: `sync_file_range` is answered so that sled really syncs
//! ([`sync_range`]); files that a crash can tear are removed or synced around `open`; no flusher
//! thread; no batches, as large ones stay in memory; values that never become separate files; nothing
//! is written, nor even opened, on a disk that is nearly full; a failure is final; and panics end at
//! this border. `docs/decisions/` has the measurements.

use std::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::files::{self, FileError};
use super::lock::DirectoryLock;
use super::open_sled::{OpenSled, Panicked, caught};
use super::{
    Cause, CommitError, Direction, Head, Health, KeyRange, Limits, Pair, RESERVED, Store,
    StoreError, Write, check_checkpoint, check_heads, check_writes, sync_range,
};

/// What this engine takes.
///
/// Keys and values: a leaf of sled's tree holds up to 17 of them for a moment, and what is bigger than a quarter of a
/// segment, which once had 512 KiB, goes to a file of its own, which sled never syncs:
/// 17 x (7,168 + 255) = 126,191 < 131,072. An inner node holds up to 257 keys: 257 x 255 = 65,535.
pub const LIMITS: Limits = Limits {
    key_bytes_max: 255,
    value_bytes_max: 7 * 1024,
    commit_bytes_max: 64 * 1024 * 1024,
};

/// A read that takes longer may have brought a leaf of sled's tree into memory.
///
/// A leaf has up to some 60 KB, of compressed blocks less, which are read, summed and copied. What is in memory is there in one or two microseconds.
const FROM_DISK: Duration = Duration::from_micros(8);

/// How often sled is asked again for what may have been on the disk: at most, for all keys of a read together; at least,
/// for each; and once for so many bytes of their values.
///
/// sled takes down which leaf was asked for in one of 256 queues, and looks whether its cache is too large when a
/// queue has 64 entries. Until then all that is read stays: 256 x 64 leaves x 60 KB are 1 GB, however small the cache
/// is to be. Asked for 16 times, a leaf fills a quarter of its queue: 256 x 4 x 60 KB are 61 MB. Of a long scan, a
/// leaf has eight keys. Where values are small, because little was committed at once, so are their leaves: of 450
/// bytes each, 256 x 64 leaves x 4 KB are 61 MB as well. But a neighbour may be larger.
const AGAIN_MAX: usize = 15;
const AGAIN_EACH: usize = 2;
const AGAIN_BYTES: usize = 450;

/// The size of sled's segments. sled reads the beginning of each when it opens: with its own size, of 512 KiB, 21,000 of
/// them for 10,000,000 entries. From 2 MiB on, clearing old ones away costs more than that: what is long and what is short
/// of life lies side by side in them.
const SEGMENT_BYTES: usize = 1024 * 1024;

/// The size of the segments of stores that were made before: a store keeps its own for ever.
const SEGMENT_BYTES_ONCE: usize = 512 * 1024;

/// Where the head is kept, and behind it its checkpoint.
const HEAD_KEY: &[u8] = &[RESERVED, b'h'];

/// How a [`SledStore`] is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SledOptions {
    /// The size of sled's page cache. Its page table comes on top: about 40 bytes a key.
    pub cache_bytes: u64,
    /// Space that has to stay free on the volume. It must hold what sled writes to recover.
    pub reserve_bytes: u64,
}

impl Default for SledOptions {
    fn default() -> SledOptions {
        SledOptions {
            cache_bytes: 64 * 1024 * 1024,
            reserve_bytes: 64 * 1024 * 1024,
        }
    }
}

/// A [`Store`] in a directory, by sled.
pub struct SledStore {
    db: OpenSled,
    dir: PathBuf,
    reserve_bytes: u64,
    sync_proved: bool,
    /// The head as committed; the lock makes commits one at a time.
    head: Mutex<Head>,
    /// The first failure. Nothing is written after it.
    failure: OnceLock<Cause>,
    // Dropped last, after sled has closed its files.
    _lock: DirectoryLock,
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // sled's own prints all that it holds.
        f.debug_struct("SledStore")
            .field("dir", &self.dir)
            .field("head", &*self.head())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}

/// What is stored as the head is none.
#[derive(Debug, thiserror::Error)]
#[error("the stored head has {bytes} bytes and not {} at least", Head::BYTES)]
struct HeadDamaged {
    bytes: usize,
}

impl SledStore {
    /// Opens the store in `dir`, or creates it, and prepares it for loss of power.
    ///
    /// A damaged snapshot of sled is set aside, since sled can do without. If it cannot be opened
    /// even so, the answer is [`StoreError::Unopenable`]: set the directory aside, and rebuild.
    pub fn open(dir: &Path, options: &SledOptions) -> Result<SledStore, StoreError> {
        files::create_dir(dir)?;
        let lock = DirectoryLock::acquire(dir)?;

        // Opening writes a snapshot. One cut short by a full disk makes every later open fail.
        let free_bytes = files::free_bytes(dir)?;
        if free_bytes < options.reserve_bytes {
            return Err(StoreError::Full {
                free_bytes,
                reserve_bytes: options.reserve_bytes,
            });
        }
        let sync_proved = sync_range::install().is_ok();

        // A crash may leave `snap.<lsn>.generating`, which sled would take for a snapshot.
        for unfinished in snapshots(dir)? {
            if unfinished
                .extension()
                .is_some_and(|end| end == "generating")
            {
                fs::remove_file(&unfinished).map_err(FileError::of("remove", &unfinished))?;
            }
        }
        let db = match open_sled(dir, options) {
            Err(StoreError::Unopenable { path, cause }) => {
                if set_snapshots_aside(dir)? == 0 {
                    return Err(StoreError::Unopenable { path, cause });
                }
                open_sled(dir, options)?
            }
            other => other?,
        };
        sync_all_files(dir)?;

        let unopenable = |cause: Cause| StoreError::Unopenable {
            path: dir.to_path_buf(),
            cause,
        };
        let head = match caught(|| db.get(HEAD_KEY)).map_err(unopenable)? {
            None => Head::NEW,
            Some(bytes) => {
                let damaged = HeadDamaged { bytes: bytes.len() };
                let head = bytes.get(..Head::BYTES).and_then(Head::decode);
                head.ok_or_else(|| unopenable(Arc::new(damaged)))?
            }
        };
        Ok(SledStore {
            db,
            dir: dir.to_path_buf(),
            reserve_bytes: options.reserve_bytes,
            sync_proved,
            head: Mutex::new(head),
            failure: OnceLock::new(),
            _lock: lock,
        })
    }

    fn head(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets sled work; any failure of it is the last.
    fn run<T>(&self, work: impl FnOnce() -> sled::Result<T>) -> Result<T, Cause> {
        self.keep(caught(work))
    }

    /// The first failure stays.
    fn keep<T>(&self, outcome: Result<T, Cause>) -> Result<T, Cause> {
        outcome.map_err(|cause| Arc::clone(self.failure.get_or_init(|| cause)))
    }

    /// Whether so many bytes may be written now.
    fn check_ready(&self, bytes: usize) -> Result<(), NotReady> {
        if let Some(cause) = self.failure.get() {
            return Err(NotReady::Failed {
                cause: Arc::clone(cause),
            });
        }
        let free_bytes = files::free_bytes(&self.dir).map_err(|error| NotReady::Failed {
            cause: Arc::new(error),
        })?;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if free_bytes < self.reserve_bytes.saturating_add(bytes) {
            return Err(NotReady::Full {
                free_bytes,
                reserve_bytes: self.reserve_bytes,
            });
        }
        Ok(())
    }

    /// Makes the writes in order, each by itself; not durable before the next flush.
    ///
    /// sled recovers a prefix of its log, and so the first so many of them. A batch of it is kept whole or not at all, and
    /// costs a write and a sync of its own.
    fn write_each(&self, writes: &[Write]) -> Result<(), Cause> {
        self.run(|| {
            writes.iter().try_for_each(|write| match write {
                Write::Put { key, value } => self.db.insert(key, value.as_slice()).map(drop),
                Write::Remove { key } => self.db.remove(key).map(drop),
            })
        })
    }

    /// Writes the head, and makes it durable with all that was written before it.
    fn put_head(&self, head: &Head, checkpoint: &[u8]) -> Result<(), Cause> {
        let value = [&head.encode(), checkpoint].concat();
        self.run(|| self.db.insert(HEAD_KEY, value).map(drop))?;
        self.flush()
    }

    fn flush(&self) -> Result<(), Cause> {
        self.keep(self.db.flush())
    }

    /// Has sled see that these keys were read, if that began so long ago that it was from the disk. Their values have
    /// so many bytes, all together, where there are any.
    fn tell_read<'a>(
        &self,
        began: Instant,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
        value_bytes: Option<usize>,
    ) -> sled::Result<()> {
        if began.elapsed() < FROM_DISK {
            return Ok(());
        }
        let count = keys.clone().count().max(1);
        let of_a_value = value_bytes.map(|bytes| bytes / count / AGAIN_BYTES);
        let times = of_a_value.unwrap_or(AGAIN_MAX).min(AGAIN_MAX) / count;
        let times = times.max(AGAIN_EACH);
        for key in keys {
            for _ in 0..times {
                self.db.contains_key(key)?;
            }
        }
        Ok(())
    }
}

/// Why nothing can be written at the moment.
enum NotReady {
    Full { free_bytes: u64, reserve_bytes: u64 },
    Failed { cause: Cause },
}

impl From<NotReady> for StoreError {
    fn from(reason: NotReady) -> StoreError {
        match reason {
            NotReady::Full {
                free_bytes,
                reserve_bytes,
            } => StoreError::Full {
                free_bytes,
                reserve_bytes,
            },
            NotReady::Failed { cause } => StoreError::Failed { cause },
        }
    }
}

impl From<NotReady> for CommitError {
    fn from(reason: NotReady) -> CommitError {
        match reason {
            NotReady::Full {
                free_bytes,
                reserve_bytes,
            } => CommitError::Full {
                free_bytes,
                reserve_bytes,
            },
            NotReady::Failed { cause } => CommitError::Failed { cause },
        }
    }
}

impl Store for SledStore {
    fn fence(&self) -> Result<Head, StoreError> {
        let mut head = self.head();
        let checkpoint = self.checkpoint()?;
        self.check_ready(Head::BYTES.saturating_add(checkpoint.len()))?;
        let fenced = Head {
            epoch: head.epoch.saturating_add(1),
            ..*head
        };
        self.put_head(&fenced, &checkpoint)
            .map_err(|cause| StoreError::Failed { cause })?;
        *head = fenced;
        Ok(fenced)
    }

    fn commit(
        &self,
        expect: &Head,
        next: &Head,
        checkpoint: &[u8],
        writes: &[Write],
    ) -> Result<(), CommitError> {
        let bytes = check_writes(writes, &LIMITS)?.saturating_add(checkpoint.len());
        check_checkpoint(checkpoint, &LIMITS)?;
        let mut head = self.head();
        check_heads(&head, expect, next)?;
        self.check_ready(bytes)?;

        // Where the head is found, all that was written before it is as well.
        self.write_each(writes)
            .and_then(|()| self.put_head(next, checkpoint))
            .map_err(|cause| CommitError::Unknown { cause })?;
        *head = *next;
        Ok(())
    }

    fn checkpoint(&self) -> Result<Vec<u8>, StoreError> {
        let value = self.run(|| self.db.get(HEAD_KEY));
        let value = value.map_err(|cause| StoreError::Failed { cause })?;
        let value = value.as_deref().and_then(|value| value.get(Head::BYTES..));
        Ok(value.unwrap_or_default().to_vec())
    }

    fn trail(&self, writes: &[Write]) -> Result<(), StoreError> {
        let bytes = check_writes(writes, &LIMITS)?;
        let _one_at_a_time = self.head();
        self.check_ready(bytes)?;
        self.write_each(writes)
            .map_err(|cause| StoreError::Failed { cause })
    }

    fn sync(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.head();
        self.check_ready(0)?;
        self.flush().map_err(|cause| StoreError::Failed { cause })
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if key.first() == Some(&RESERVED) {
            return Ok(None);
        }
        let read = || {
            let began = Instant::now();
            let value = self.db.get(key)?;
            let bytes = value.as_ref().map(|value| value.len());
            self.tell_read(began, std::iter::once(key), bytes)?;
            Ok(value)
        };
        let value = self.run(read);
        let value = value.map_err(|cause| StoreError::Failed { cause })?;
        Ok(value.map(|bytes| bytes.to_vec()))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let Some((start, end)) = range.clamped() else {
            return Ok(Vec::new());
        };
        let owned = |pair: sled::Result<(sled::IVec, sled::IVec)>| {
            pair.map(|(key, value)| (key.to_vec(), value.to_vec()))
        };
        self.run(|| {
            let began = Instant::now();
            let pairs = self.db.range(start..end).map(owned);
            let pairs: Vec<Pair> = match direction {
                Direction::Forward => pairs.take(limit).collect::<sled::Result<_>>()?,
                Direction::Backward => pairs.rev().take(limit).collect::<sled::Result<_>>()?,
            };
            // Where nothing was found, a leaf was read all the same.
            let nothing = pairs.is_empty().then_some(start);
            let bytes = pairs.iter().map(|(_, value)| value.len()).sum();
            let bytes = nothing.is_none().then_some(bytes);
            let keys = pairs.iter().map(|(key, _)| key.as_slice());
            self.tell_read(began, keys.chain(nothing), bytes)?;
            Ok(pairs)
        })
        .map_err(|cause| StoreError::Failed { cause })
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn health(&self) -> Health {
        Health {
            free_bytes: files::free_bytes(&self.dir).ok(),
            failure: self.failure.get().cloned(),
            sync_proved: self.sync_proved,
        }
    }
}

fn open_sled(dir: &Path, options: &SledOptions) -> Result<OpenSled, StoreError> {
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(options.cache_bytes)
        // Its errors would only be logged, and it gains nothing: we flush.
        .flush_every_ms(None);

    let mut segment_bytes = SEGMENT_BYTES;
    // After a close in this process, threads of sled may hold its own lock for a moment. Ours says
    // that nobody else is there: wait up to 2 s.
    let mut attempts = 200;
    loop {
        let config = config.clone().segment_size(segment_bytes);
        let cause: Cause = match catch_unwind(AssertUnwindSafe(|| config.open())) {
            Ok(Ok(db)) => return Ok(OpenSled::new(db)),
            // Said of what stands in `conf`, before anything else is opened.
            Ok(Err(sled::Error::Unsupported(_))) if segment_bytes == SEGMENT_BYTES => {
                segment_bytes = SEGMENT_BYTES_ONCE;
                continue;
            }
            Ok(Err(sled::Error::Io(source))) => {
                if source.kind() == io::ErrorKind::Other && 0 < attempts {
                    attempts -= 1;
                    thread::sleep(Duration::from_millis(10));
                    continue;
                }
                if source.raw_os_error().is_some() {
                    // The system refused, and the files may be fine: no reason to rebuild.
                    return Err(FileError::of("open the store in", dir)(source).into());
                }
                Arc::new(source)
            }
            Ok(Err(error)) => Arc::new(error),
            Err(payload) => Arc::new(Panicked::new(payload.as_ref())),
        };
        return Err(StoreError::Unopenable {
            path: dir.to_path_buf(),
            cause,
        });
    }
}

/// sled's snapshots, finished or not. They are redundant: the log holds everything.
fn snapshots(dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut paths = files::list(dir)?;
    paths.retain(|path| file_name(path).starts_with("snap."));
    Ok(paths)
}

fn set_snapshots_aside(dir: &Path) -> Result<usize, FileError> {
    let snapshots = snapshots(dir)?;
    for path in &snapshots {
        let aside = dir.join(format!("damaged.{}", file_name(path)));
        files::rename(path, &aside)?;
    }
    Ok(snapshots.len())
}

fn file_name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// sled syncs its log only; not `conf`, snapshots, blobs, nor any directory.
fn sync_all_files(dir: &Path) -> Result<(), FileError> {
    for path in files::list(dir)? {
        if path.is_dir() {
            for blob in files::list(&path)? {
                files::sync_file(&blob)?;
            }
            files::sync_dir(&path)?;
        } else {
            files::sync_file(&path)?;
        }
    }
    files::sync_dir(dir)?;
    files::sync_dir(files::parent(dir))
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Subject, put};
    use super::*;

    const OPTIONS: SledOptions = SledOptions {
        cache_bytes: 1024 * 1024,
        reserve_bytes: 1024 * 1024,
    };

    fn open(dir: &Path) -> SledStore {
        SledStore::open(dir, &OPTIONS).unwrap()
    }

    /// Copies the files as a killed process would leave them: sled has not been told.
    fn kill_image(dir: &Path, image: &Path) {
        fs::create_dir(image).unwrap();
        for path in files::list(dir).unwrap() {
            let copy = image.join(file_name(&path).as_ref());
            if path.is_dir() {
                kill_image(&path, &copy);
            } else {
                fs::copy(&path, &copy).unwrap();
            }
        }
    }

    struct Sled {
        dir: tempfile::TempDir,
        opened: u32,
    }

    impl Sled {
        fn new() -> Sled {
            Sled {
                dir: tempfile::tempdir().unwrap(),
                opened: 0,
            }
        }

        fn next_dir(&mut self) -> PathBuf {
            self.opened += 1;
            self.dir.path().join(self.opened.to_string())
        }
    }

    impl Subject for Sled {
        type Store = SledStore;

        fn fresh(&mut self) -> SledStore {
            open(&self.next_dir())
        }

        fn crash(&mut self, store: SledStore) -> SledStore {
            let image = self.next_dir();
            kill_image(&store.dir, &image);
            open(&image)
        }
    }

    #[test]
    fn it_keeps_the_promises_of_a_store() {
        conformance::run(&mut Sled::new());
    }

    /// A closed store in a directory, with one committed key and a snapshot.
    fn closed_store() -> (tempfile::TempDir, PathBuf, Head) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let store = open(&path);
        let head = store.fence().unwrap();
        let next = Head { size: 1, ..head };
        store
            .commit(&head, &next, b"", &[put(b"key", b"value")])
            .unwrap();
        drop(store);
        drop(open(&path));
        assert_eq!(snapshots(&path).unwrap().len(), 1);
        (dir, path, next)
    }

    fn check_content(store: &SledStore, head: Head) {
        assert_eq!(store.get(b"key").unwrap().unwrap(), b"value");
        let epoch = head.epoch + 1;
        assert_eq!(store.fence().unwrap(), Head { epoch, ..head });
    }

    #[test]
    fn syncing_is_proved_on_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let health = open(dir.path()).health();
        assert!(health.sync_proved);
        assert!(health.failure.is_none());
        assert!(OPTIONS.reserve_bytes < health.free_bytes.unwrap());
    }

    #[test]
    fn a_second_opener_is_refused_until_the_first_is_gone() {
        let (_dir, path, head) = closed_store();
        let first = open(&path);
        let error = SledStore::open(&path, &OPTIONS).unwrap_err();
        assert!(matches!(error, StoreError::Locked { path: is } if is == path));
        drop(first);
        check_content(&open(&path), head);
    }

    #[test]
    fn an_unfinished_snapshot_is_removed_before_sled_sees_it() {
        let (_dir, path, head) = closed_store();
        let unfinished = path.join("snap.00000000FFFFFFFF.generating");
        for torn in [&b""[..], b"short", &[7; 64]] {
            fs::write(&unfinished, torn).unwrap();
            drop(open(&path));
            assert!(!unfinished.exists());
        }
        check_content(&open(&path), head);
    }

    #[test]
    fn a_damaged_snapshot_is_set_aside_and_nothing_is_lost() {
        for damage in [
            |bytes: &mut Vec<u8>| bytes.clear(),
            |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2),
            |bytes: &mut Vec<u8>| bytes[0] ^= 0x40,
        ] {
            let (_dir, path, head) = closed_store();
            let snapshot = snapshots(&path).unwrap().remove(0);
            let mut bytes = fs::read(&snapshot).unwrap();
            damage(&mut bytes);
            fs::write(&snapshot, &bytes).unwrap();

            check_content(&open(&path), head);
            let aside = path.join(format!("damaged.{}", file_name(&snapshot)));
            assert_eq!(fs::read(aside).unwrap(), bytes);
        }
    }

    #[test]
    fn a_store_of_smaller_segments_is_opened_and_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let head = Head {
            size: 1,
            ..Head::NEW
        };
        let config = sled::Config::new().path(&path).flush_every_ms(None);
        let old = config.segment_size(SEGMENT_BYTES_ONCE).open().unwrap();
        old.insert(HEAD_KEY, head.encode().as_slice()).unwrap();
        old.insert(b"key", b"value").unwrap();
        old.flush().unwrap();
        drop(old);

        for epoch in 0..2 {
            check_content(&open(&path), Head { epoch, ..head });
            let conf = fs::read(path.join("conf")).unwrap();
            let own = format!("segment_size: {SEGMENT_BYTES_ONCE}\n");
            assert!(conf.starts_with(own.as_bytes()));
        }
    }

    #[test]
    fn a_directory_that_sled_cannot_open_is_reported_as_such_and_left_alone() {
        let (_dir, path, _head) = closed_store();
        let conf = path.join("conf");
        let mut bytes = fs::read(&conf).unwrap();
        bytes.truncate(30);
        fs::write(&conf, &bytes).unwrap();
        let error = SledStore::open(&path, &OPTIONS).unwrap_err();
        assert!(matches!(error, StoreError::Unopenable { path: is, .. } if is == path));
        assert_eq!(fs::read(&conf).unwrap(), bytes);
    }

    #[test]
    fn a_head_of_a_wrong_length_is_not_taken_for_a_new_store() {
        let (_dir, path, _head) = closed_store();
        let store = open(&path);
        store.db.insert(HEAD_KEY, vec![0; 47]).unwrap();
        drop(store);
        let error = SledStore::open(&path, &OPTIONS).unwrap_err();
        assert!(matches!(error, StoreError::Unopenable { .. }));
    }

    #[test]
    fn below_the_reserve_nothing_is_opened_and_nothing_is_written() {
        let (_dir, path, head) = closed_store();
        let all = SledOptions {
            reserve_bytes: u64::MAX,
            ..OPTIONS
        };
        let error = SledStore::open(&path, &all).unwrap_err();
        assert!(matches!(
            error,
            StoreError::Full {
                reserve_bytes: u64::MAX,
                ..
            }
        ));

        let mut store = open(&path);
        store.reserve_bytes = u64::MAX;
        let next = Head { size: 2, ..head };
        let error = store
            .commit(&head, &next, b"", &[put(b"k", b"v")])
            .unwrap_err();
        assert!(matches!(error, CommitError::Full { .. }), "{error:?}");
        assert!(matches!(
            store.trail(&[]).unwrap_err(),
            StoreError::Full { .. }
        ));
        assert!(matches!(
            store.fence().unwrap_err(),
            StoreError::Full { .. }
        ));
        assert!(store.health().failure.is_none());

        // There is space again: it goes on.
        store.reserve_bytes = 0;
        check_content(&store, head);
    }

    #[test]
    fn after_a_failure_and_after_a_panic_nothing_more_is_written() {
        let failures: [fn() -> sled::Result<()>; 2] = [
            || Err(sled::Error::ReportableBug("injected".to_owned())),
            || panic!("injected"),
        ];
        for failure in failures {
            let (_dir, path, head) = closed_store();
            let store = open(&path);
            store.run(failure).unwrap_err();

            let next = Head { size: 2, ..head };
            let error = store
                .commit(&head, &next, b"", &[put(b"key", b"new")])
                .unwrap_err();
            assert!(matches!(error, CommitError::Failed { .. }), "{error:?}");
            assert!(matches!(
                store.trail(&[]).unwrap_err(),
                StoreError::Failed { .. }
            ));
            assert!(matches!(
                store.sync().unwrap_err(),
                StoreError::Failed { .. }
            ));
            assert!(matches!(
                store.fence().unwrap_err(),
                StoreError::Failed { .. }
            ));
            let failure = store.health().failure.unwrap();
            assert!(failure.to_string().contains("injected"), "{failure}");

            // What was committed can be read still, and is there when it is opened anew.
            assert_eq!(store.get(b"key").unwrap().unwrap(), b"value");
            drop(store);
            check_content(&open(&path), head);
        }
    }

    #[test]
    fn the_largest_values_do_not_become_files_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let mut head = store.fence().unwrap();
        let value = vec![5; LIMITS.value_bytes_max];
        for round in 0..4_u8 {
            let writes: Vec<Write> = (0..500_u32)
                .map(|n| {
                    let mut key = vec![round; LIMITS.key_bytes_max];
                    // Spread, so that leaves are split in all places.
                    let spread = u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    key[..8].copy_from_slice(&(spread >> 1).to_be_bytes());
                    put(&key, &value)
                })
                .collect();
            let next = Head {
                size: head.size + 1,
                ..head
            };
            store.commit(&head, &next, b"", &writes).unwrap();
            head = next;
        }
        assert_eq!(
            files::list(&dir.path().join("blobs")).unwrap(),
            [""; 0].map(PathBuf::from)
        );
    }
}
