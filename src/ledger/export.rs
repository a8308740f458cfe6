//! Takes the log out of a ledger, in the layout that anybody can verify.

use std::{
    fs,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use super::{Ledger, OpenError, Options, ReadError, block::Block, layout, open};
use crate::{
    note::open_checkpoint,
    store::{
        Direction, SledStore, Store as _, StoreError,
        journal::{Frame, Journal, JournalError, JournalReader},
    },
    tlog::{Index, TreeSize},
    verify::{ExportError, ExportWriter, Progress},
};

/// Why a ledger was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportFailed {
    /// The data directory cannot be read.
    #[error("the ledger cannot be read")]
    Open(#[from] OpenError),
    /// An entry cannot be read.
    #[error("what is stored cannot be read")]
    Read(#[from] ReadError),
    /// The journal cannot be read, or is damaged. A server that opens the ledger mends it.
    #[error("the journal cannot be read")]
    Journal(#[from] JournalError),
    /// The journal has no entry under a valid checkpoint.
    #[error("the journal holds no entry under a checkpoint of this log")]
    NoCheckpoint,
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The export cannot be written.
    #[error("the export cannot be written")]
    Write(#[from] ExportError),
    /// A file of survivors cannot be written.
    #[error("{} cannot be written", path.display())]
    Survivors {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Ledger {
    /// Exports the published log into a new directory, and returns its size.
    ///
    /// # Errors
    /// Where an entry cannot be read, or the directory is not empty or cannot be written.
    pub fn export(&self, dir: &Path, progress: Progress<'_>) -> Result<TreeSize, ExportFailed> {
        let published = self.published();
        let size = published.size();
        let mut export = ExportWriter::create(dir)?;
        for entry in self.entries(Index::new(0), size) {
            let (index, entry) = entry?;
            export.append(&entry)?;
            tell(progress, index.value() + 1, size.value());
        }
        export.finish(published.note(), self.vkey())?;
        Ok(size)
    }
}

/// Exports the log of a data directory from its journal, without opening it for writing: also beside
/// a running server, up to the last commit.
///
/// # Errors
/// Where the journal is damaged or missing: a server that opens the ledger mends it.
pub fn export_directory(
    options: &Options,
    dir: &Path,
    progress: Progress<'_>,
) -> Result<TreeSize, ExportFailed> {
    let vkey = open::read_vkey(&options.dir)?;
    let journal = Journal::open_read_only(&options.journal_dir())?;
    let last = journal.last_frame()?.ok_or(ExportFailed::NoCheckpoint)?;
    let note = String::from_utf8_lossy(&last.checkpoint).into_owned();
    let size = last.next();
    let mut export = ExportWriter::create(dir)?;
    for frame in journal.read(0)? {
        let frame = frame.map_err(JournalError::Damaged)?;
        // A running server may have added frames since.
        for (index, entry) in (frame.first..size).zip(&frame.entries) {
            export.append(entry)?;
            tell(progress, index + 1, size);
        }
    }
    export.finish(&note, &vkey)?;
    Ok(TreeSize::new(size))
}

/// What could be saved of a ledger of which both copies are damaged.
#[derive(Debug, PartialEq, Eq)]
pub struct Survivors {
    /// The size of the log in the export: entries under a checkpoint, provable.
    pub proved: TreeSize,
    /// The runs of entries in `survivors/`, first and one past the last: readable, not provable.
    pub loose: Vec<(u64, u64)>,
}

/// Saves what can still be read: the longest beginning that a checkpoint covers as an export, and
/// every other readable entry of the journal and of the store as bundles in `survivors/`, named for
/// their first index and the one after their last.
///
/// # Errors
/// Where nothing can be read, or the directory cannot be written.
pub fn export_survivors(options: &Options, dir: &Path) -> Result<Survivors, ExportFailed> {
    let vkey = open::read_vkey(&options.dir)?;
    let journal = Journal::open_read_only(&options.journal_dir())?;
    let mut proved = None;
    for frame in unbroken(&journal)? {
        let note = String::from_utf8_lossy(&frame.checkpoint).into_owned();
        let covers = |size: TreeSize| size.value() == frame.next();
        if open_checkpoint(&note, &vkey).is_ok_and(|checkpoint| covers(checkpoint.size)) {
            proved = Some((frame.next(), note));
        }
    }
    let size = proved.as_ref().map_or(0, |(size, _)| *size);
    let mut export = ExportWriter::create(dir)?;
    let mut loose = Loose::new(dir.join("survivors"));
    for frame in journal.read(0)?.flatten() {
        for (index, entry) in (frame.first..).zip(&frame.entries) {
            if index < size {
                export.append(entry)?;
            } else {
                loose.keep(index, entry)?;
            }
        }
    }
    if let Some((_, note)) = proved {
        export.finish(&note, &vkey)?;
    }
    keep_stored(options, size, &mut loose)?;
    let loose = loose.finish()?;
    Ok(Survivors {
        proved: TreeSize::new(size),
        loose,
    })
}

/// The journal's frames up to the first damage, from entry 0.
fn unbroken(journal: &JournalReader) -> Result<impl Iterator<Item = Frame>, JournalError> {
    let mut next = 0;
    Ok(journal.read(0)?.map_while(move |frame| {
        let frame = frame.ok().filter(|frame| frame.first == next)?;
        next = frame.next();
        Some(frame)
    }))
}

/// Keeps what a store that still opens holds from `size` on; also of a commit that was interrupted, and that nobody was
/// answered.
fn keep_stored(options: &Options, size: u64, loose: &mut Loose) -> Result<(), ExportFailed> {
    let store = match SledStore::open(&options.store_dir(), &options.sled()) {
        Ok(store) => store,
        Err(StoreError::Unopenable { .. } | StoreError::Failed { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut range = layout::blocks_from(Index::new(0));
    let mut block: Option<Stored> = None;
    // A page that cannot be read ends the search: what lies behind it cannot be listed.
    while let Ok(page) = store.scan(&range, Direction::Forward, 64) {
        let Some((last, _)) = page.last() else { break };
        range.start = [last.as_slice(), &[0]].concat();
        for (key, value) in page {
            match (layout::parse_block_key(&key), &mut block) {
                (Some((first, 0)), _) => {
                    let begun = Stored {
                        first,
                        parts: 1,
                        bytes: value,
                    };
                    keep_block(block.replace(begun), size, loose)?;
                }
                (Some((first, part)), Some(block))
                    if block.first == first && block.parts == part =>
                {
                    block.parts += 1;
                    block.bytes.extend(value);
                }
                // A part of a commit that was interrupted before the one before it was written; or no block.
                (Some(_) | None, _) => {}
            }
        }
    }
    keep_block(block, size, loose)
}

/// A block as far as its parts were read.
struct Stored {
    first: Index,
    parts: u8,
    bytes: Vec<u8>,
}

fn keep_block(block: Option<Stored>, size: u64, loose: &mut Loose) -> Result<(), ExportFailed> {
    let Some(Stored { first, bytes, .. }) = block else {
        return Ok(());
    };
    let Some(block) = Block::read(bytes) else {
        return Ok(());
    };
    for (index, entry) in (first.value()..).zip(block.entries_from(0)) {
        if size <= index {
            loose.keep(index, entry)?;
        }
    }
    Ok(())
}

/// Entries outside any checkpoint, in runs, each run a file of entries behind their lengths.
struct Loose {
    dir: PathBuf,
    kept: Vec<(u64, u64)>,
    run: Option<Run>,
}

struct Run {
    first: u64,
    next: u64,
    path: PathBuf,
    file: BufWriter<fs::File>,
}

impl Loose {
    fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            kept: Vec::new(),
            run: None,
        }
    }

    /// Keeps an entry, unless it was kept before.
    fn keep(&mut self, index: u64, entry: &[u8]) -> Result<(), ExportFailed> {
        let covered = |(first, next): &(u64, u64)| *first <= index && index < *next;
        let open = self.run.as_ref().map(|run| (run.first, run.next));
        if self.kept.iter().chain(&open).any(covered) {
            return Ok(());
        }
        if open.is_none_or(|(_, next)| next != index) {
            self.end_run()?;
            let path = self.dir.join(format!("{index}.entries"));
            let failed = |source| survivors(&path, source);
            fs::create_dir_all(&self.dir).map_err(failed)?;
            let file = BufWriter::new(fs::File::create(&path).map_err(failed)?);
            self.run = Some(Run {
                first: index,
                next: index,
                path,
                file,
            });
        }
        let Some(run) = &mut self.run else {
            return Ok(());
        };
        let length = u16::try_from(entry.len()).unwrap_or(u16::MAX).to_be_bytes();
        let written = run.file.write_all(&length);
        let written = written.and_then(|()| run.file.write_all(entry));
        written.map_err(|source| survivors(&run.path, source))?;
        run.next = index + 1;
        Ok(())
    }

    fn end_run(&mut self) -> Result<(), ExportFailed> {
        if let Some(mut run) = self.run.take() {
            let named = self.dir.join(format!("{}-{}.entries", run.first, run.next));
            let flushed = run.file.flush();
            let renamed = flushed.and_then(|()| fs::rename(&run.path, &named));
            renamed.map_err(|source| survivors(&run.path, source))?;
            self.kept.push((run.first, run.next));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<(u64, u64)>, ExportFailed> {
        self.end_run()?;
        self.kept.sort_unstable();
        Ok(self.kept)
    }
}

fn survivors(path: &Path, source: std::io::Error) -> ExportFailed {
    ExportFailed::Survivors {
        path: path.to_owned(),
        source,
    }
}

/// Progress every so often: a million calls would cost more than the export.
fn tell(progress: Progress<'_>, done: u64, of: u64) {
    if done.is_multiple_of(1_024) || done == of {
        progress(done, of);
    }
}
