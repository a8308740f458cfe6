//! The journal: an append-only, self-verifying sequence of frames, which is synced before anybody is
//! answered. The second copy of the log, sufficient by itself.
//!
//! A frame is some entries that follow one another and the checkpoint over them; what those mean is
//! not known here. Frames are kept in segments, files named for the index of their first entry, in
//! one directory, which may be on another disk (but not be a mount point itself: see
//! [`Journal::rewrite`]).
//!
//! **A segment is written by one life of one process.** After each opening, writing begins a new one,
//! so that nothing is ever written after a torn tail, nor after bytes of which the page cache says
//! that they are there and the disk does not. Segments are never changed, shortened or removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Cause;
use super::files::{self, FileError};
use super::lock::{DirectoryLock, LockError};

mod frame;
mod read;
mod segment;

pub use frame::{Frame, FrameRef};
pub use read::{Damage, DamageReason, Frames, JournalReader, SegmentState, Survey, TornTail};

use frame::{FRAME_BYTES_MAX, Header, LABEL_BYTES_MAX, Marker};
use segment::{FRAMES_START, SegmentName};

/// How a journal is opened for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalOptions {
    /// 32 random bytes, drawn for this opening. From them come the markers that frames begin with,
    /// so that nobody can submit an entry that looks like a frame.
    pub salt: [u8; 32],
    /// A segment that has reached this size is followed by a new one.
    pub segment_bytes: u64,
    /// Space that has to stay free on the volume.
    pub reserve_bytes: u64,
}

impl JournalOptions {
    /// Segments of 64 MiB, and 64 MiB in reserve.
    pub fn new(salt: [u8; 32]) -> JournalOptions {
        JournalOptions {
            salt,
            segment_bytes: 64 * 1024 * 1024,
            reserve_bytes: 64 * 1024 * 1024,
        }
    }
}

/// Why the journal could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Somebody else has it open for writing.
    #[error("the journal in {} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// The label is longer than a segment's header has room for.
    #[error("a label of {bytes} bytes is longer than {LABEL_BYTES_MAX}")]
    LabelTooLong {
        /// Its length.
        bytes: usize,
    },
    /// It cannot be said where the journal ends. Write it anew, with [`Journal::rewrite`].
    #[error("the journal is damaged where it ends")]
    Damaged(#[from] Damage),
    /// The frame holds no entry. Nothing was written.
    #[error("a frame holds at least one entry")]
    FrameEmpty,
    /// The frame is too long. Nothing was written.
    #[error("a frame of {bytes} bytes is longer than {FRAME_BYTES_MAX}")]
    FrameTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The frame does not begin where the journal ends. Nothing was written.
    #[error("the journal goes on with entry {expected}, and not with {got}")]
    NotNext {
        /// The index that comes next.
        expected: u64,
        /// The first index of the frame.
        got: u64,
    },
    /// The frame is written again, and holds less than before. Nothing was written.
    #[error("the journal reaches up to entry {have}, and would end before {got}")]
    Shorter {
        /// The index after the last entry.
        have: u64,
        /// The index after the last entry of the frame.
        got: u64,
    },
    /// Too little space. Nothing was written.
    #[error("only {free_bytes} bytes are free, and {reserve_bytes} are kept in reserve")]
    Full {
        /// Bytes free on the volume.
        free_bytes: u64,
        /// Bytes that have to stay free.
        reserve_bytes: u64,
    },
    /// Writing has failed, now or before; nothing more is written until the journal is opened anew.
    /// Whether the frame that failed is kept is not known until then.
    #[error("the journal has failed")]
    Failed {
        /// The first failure.
        #[source]
        cause: Cause,
    },
    /// A file or directory could not be prepared.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<LockError> for JournalError {
    fn from(error: LockError) -> JournalError {
        match error {
            LockError::Held { path } => JournalError::Locked { path },
            LockError::File(error) => JournalError::File(error),
        }
    }
}

/// A journal that is open for writing, by nobody else.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    label: Vec<u8>,
    options: JournalOptions,
    reader: JournalReader,
    /// The first index of the last frame.
    last_first: Option<u64>,
    /// The index that comes next; `None` while the journal is empty, and any may.
    next: Option<u64>,
    /// When the last frame is written again: the index up to which it reached.
    reached: Option<u64>,
    active: Option<Active>,
    failure: Option<Cause>,
    buffer: Vec<u8>,
    _lock: DirectoryLock,
}

/// The segment that is being written.
#[derive(Debug)]
struct Active {
    file: File,
    path: PathBuf,
    marker: Marker,
    bytes: u64,
}

impl Journal {
    /// Opens the journal of the log with this label in `dir`, or creates it. Reads no more than is
    /// needed to find its last frame.
    pub fn open(
        dir: &Path,
        label: &[u8],
        options: JournalOptions,
    ) -> Result<Journal, JournalError> {
        let dir = resolved(dir);
        finish_rewrite(&dir)?;
        Journal::open_in(&dir, label, options)
    }

    /// Opens the journal in `dir` for reading only; takes no lock and writes nothing.
    pub fn open_read_only(dir: &Path) -> Result<JournalReader, JournalError> {
        JournalReader::open(dir)
    }

    fn open_in(dir: &Path, label: &[u8], options: JournalOptions) -> Result<Journal, JournalError> {
        if LABEL_BYTES_MAX < label.len() {
            return Err(JournalError::LabelTooLong { bytes: label.len() });
        }
        files::create_dir(dir)?;
        let lock = DirectoryLock::acquire(dir)?;
        let reader = JournalReader::with_label(dir, label);
        let last = reader.last_frame()?;
        Ok(Journal {
            dir: dir.to_path_buf(),
            label: label.to_vec(),
            options,
            reader,
            last_first: last.as_ref().map(|frame| frame.first),
            next: last.as_ref().map(Frame::next),
            reached: None,
            active: None,
            failure: None,
            buffer: Vec::new(),
            _lock: lock,
        })
    }

    /// For reading what is in it, also while it is written.
    pub fn reader(&self) -> &JournalReader {
        &self.reader
    }

    /// The last whole frame. See [`JournalReader::last_frame`].
    pub fn last_frame(&self) -> Result<Option<Frame>, JournalError> {
        self.reader.last_frame()
    }

    /// Reads forward from an index. See [`JournalReader::read`].
    pub fn read(&self, from: u64) -> Result<Frames, JournalError> {
        self.reader.read(from)
    }

    /// Reads and verifies everything. See [`JournalReader::survey`].
    pub fn survey(&self) -> Result<Survey, JournalError> {
        self.reader.survey()
    }

    /// The failure that has stopped all writing, if there was one.
    pub fn failure(&self) -> Option<&Cause> {
        self.failure.as_ref()
    }

    /// Appends a frame: durable on `Ok`.
    ///
    /// It begins where the journal ends; in an empty journal, anywhere. Any failure is final.
    pub fn append(&mut self, frame: &FrameRef<'_>) -> Result<(), JournalError> {
        self.write(frame)?;
        self.sync()
    }

    /// Lets the next frame begin at `first`, in a new segment: where the journal ends, or where its
    /// last frame begins. That frame is then to be written again, with as many entries or more, and
    /// the old one counts no longer as soon as the new one is there.
    ///
    /// It is for what was found when the journal was opened, and may be in the page cache only.
    pub fn start_segment(&mut self, first: u64) -> Result<(), JournalError> {
        self.check_usable()?;
        let reached = self.reached.or(self.next);
        match (reached, self.last_first) {
            (Some(next), _) if first == next => self.reached = None,
            (Some(next), Some(last_first)) if first == last_first => self.reached = Some(next),
            (None, _) => {}
            (Some(expected), _) => {
                return Err(JournalError::NotNext {
                    expected,
                    got: first,
                });
            }
        }
        self.next = Some(first);
        self.leave_segment()
    }

    fn check_usable(&self) -> Result<(), JournalError> {
        match &self.failure {
            None => Ok(()),
            Some(cause) => Err(JournalError::Failed {
                cause: Arc::clone(cause),
            }),
        }
    }

    fn fail(&mut self, error: FileError) -> JournalError {
        let cause: Cause = Arc::new(error);
        JournalError::Failed {
            cause: Arc::clone(self.failure.get_or_insert(cause)),
        }
    }

    /// Checks that this frame may come now, and answers the index after it.
    fn check(&self, frame: &FrameRef<'_>) -> Result<u64, JournalError> {
        self.check_usable()?;
        if frame.entries.is_empty() {
            return Err(JournalError::FrameEmpty);
        }
        let bytes = frame.bytes();
        if FRAME_BYTES_MAX < bytes {
            return Err(JournalError::FrameTooLong { bytes });
        }
        let got = frame.first;
        let expected = self.next.unwrap_or(got);
        let after = frame.next();
        let (true, Some(after)) = (got == expected, after) else {
            return Err(JournalError::NotNext { expected, got });
        };
        if let Some(have) = self.reached
            && after < have
        {
            return Err(JournalError::Shorter { have, got: after });
        }
        let free_bytes = files::free_bytes(&self.dir)?;
        let reserve_bytes = self.options.reserve_bytes;
        if free_bytes < reserve_bytes.saturating_add(bytes as u64) {
            return Err(JournalError::Full {
                free_bytes,
                reserve_bytes,
            });
        }
        Ok(after)
    }

    /// Writes a frame at the end; not durable yet.
    fn write(&mut self, frame: &FrameRef<'_>) -> Result<(), JournalError> {
        let after = self.check(frame)?;
        let is_full = |active: &Active| self.options.segment_bytes <= active.bytes;
        if self.active.as_ref().is_some_and(is_full) {
            self.leave_segment()?;
        }
        let mut active = match self.active.take() {
            Some(active) => active,
            None => self
                .create_segment(frame.first)
                .map_err(|error| self.fail(error))?,
        };

        self.buffer.clear();
        let encoded = frame.encode(&active.marker, &mut self.buffer);
        debug_assert!(encoded.is_some(), "the length was checked before");
        if let Err(source) = active.file.write_all_at(&self.buffer, active.bytes) {
            // It would be taken for a torn tail; without, a full disk has a little space again.
            // Whether that worked changes nothing: nothing more is written here.
            let _shortened = active.file.set_len(active.bytes);
            return Err(self.fail(FileError::of("write", &active.path)(source)));
        }
        active.bytes += self.buffer.len() as u64;
        self.active = Some(active);
        self.last_first = Some(frame.first);
        self.next = Some(after);
        self.reached = None;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        let Some(active) = &self.active else {
            return Ok(());
        };
        match active.file.sync_data() {
            Ok(()) => Ok(()),
            Err(source) => {
                let error = FileError::of("sync", &active.path)(source);
                Err(self.fail(error))
            }
        }
    }

    fn leave_segment(&mut self) -> Result<(), JournalError> {
        self.sync()?;
        self.active = None;
        Ok(())
    }

    /// Creates a segment with its header, durably: under its name it is whole from the start.
    fn create_segment(&self, first: u64) -> Result<Active, FileError> {
        let name = self
            .reader
            .names()?
            .into_iter()
            .rev()
            .find(|name| name.first == first)
            .map_or(SegmentName { first, nth: 1 }, |taken| SegmentName {
                first,
                nth: taken.nth.saturating_add(1),
            });
        let marker = self.marker(name);
        let header = Header {
            first,
            marker,
            label: self.label.clone(),
        };
        #[expect(clippy::expect_used, reason = "the label's length was checked at open")]
        let header = header.encode().expect("the label fits");

        let path = self.dir.join(name.file_name());
        files::replace(&path, &header)?;
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(FileError::of("open", &path))?;
        Ok(Active {
            file,
            path,
            marker,
            bytes: FRAMES_START,
        })
    }

    fn marker(&self, name: SegmentName) -> Marker {
        let digest = Sha256::new()
            .chain_update(self.options.salt)
            .chain_update(name.file_name())
            .finalize();
        #[expect(clippy::expect_used, reason = "a SHA-256 digest has 32 bytes")]
        *digest.first_chunk().expect("16 bytes of 32")
    }

    /// Begins to write the journal in `dir` anew, from entries that the caller has. What is there
    /// stays in force until [`Rewrite::put_in_place`], and is kept aside after it.
    ///
    /// Both need to create and rename directories beside `dir`. The journal must not be open.
    pub fn rewrite(
        dir: &Path,
        label: &[u8],
        options: JournalOptions,
    ) -> Result<Rewrite, JournalError> {
        let dir = resolved(dir);
        finish_rewrite(&dir)?;
        let old = if dir.is_dir() {
            Some(DirectoryLock::acquire(&dir)?)
        } else {
            None
        };
        let building = beside(&dir, "rewriting");
        remove_dir(&building)?;
        Ok(Rewrite {
            journal: Journal::open_in(&building, label, options)?,
            dir,
            _old: old,
        })
    }
}

/// A journal that is being written anew, beside the one that it is to replace.
#[derive(Debug)]
pub struct Rewrite {
    journal: Journal,
    dir: PathBuf,
    _old: Option<DirectoryLock>,
}

impl Rewrite {
    /// Adds a frame. It becomes durable when the whole is put in place.
    pub fn append(&mut self, frame: &FrameRef<'_>) -> Result<(), JournalError> {
        self.journal.write(frame)
    }

    /// Makes the new journal durable and puts it in the place of the old one, which is kept as
    /// `<dir>.damaged.<n>`. A crash leaves the one or the other in place, whole.
    pub fn put_in_place(mut self) -> Result<(), JournalError> {
        self.journal.leave_segment()?;
        let building = beside(&self.dir, "rewriting");
        files::sync_dir(&building)?;

        // From here on it is complete: if the old one is gone, this one takes its place.
        let rewritten = beside(&self.dir, "rewritten");
        files::rename(&building, &rewritten)?;
        if self.dir.is_dir() {
            let mut n = 1_u32;
            let aside = loop {
                let aside = beside(&self.dir, &format!("damaged.{n}"));
                if !aside.exists() {
                    break aside;
                }
                n = n.saturating_add(1);
            };
            files::rename(&self.dir, &aside)?;
        }
        files::rename(&rewritten, &self.dir)?;
        Ok(())
    }
}

/// Takes up a rewriting that a crash has stopped. Complete, with the old journal moved away already:
/// puts it in place. Otherwise the old journal is in force, and the new one is dropped.
fn finish_rewrite(dir: &Path) -> Result<(), FileError> {
    let rewritten = beside(dir, "rewritten");
    if !rewritten.is_dir() {
        return Ok(());
    }
    if dir.is_dir() {
        remove_dir(&rewritten)
    } else {
        files::rename(&rewritten, dir)
    }
}

fn remove_dir(dir: &Path) -> Result<(), FileError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError::of("remove", dir)(error))
        }
        Err(_) | Ok(()) => Ok(()),
    }
}

/// Where the directory is, if the path is a link to it, perhaps on another disk: there it is renamed,
/// and the link stays. A crash while it is renamed leaves the link without an aim.
fn resolved(dir: &Path) -> PathBuf {
    fs::canonicalize(dir)
        .or_else(|_absent| fs::read_link(dir).map(|target| files::parent(dir).join(target)))
        .unwrap_or_else(|_no_link| dir.to_path_buf())
}

/// `journal` -> `journal.rewriting`.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(suffix);
    dir.with_file_name(name)
}

#[cfg(test)]
mod tests;
