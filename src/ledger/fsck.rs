//! Checks a ledger from the first entry to the last: the stored log as the offline verifier does, the
//! views against the entries, and the journal against the store. What can be mended is mended by
//! opening it, which looks at everything here and says what it did; the checks themselves only read.

use std::sync::Arc;

use super::{
    AppendError, Entropy, Ledger, OpenError, Options, ReadError, Recovery, open,
    published::Published, reader, views::Viewed,
};
use crate::{
    clock::Clock,
    store::{
        Store,
        journal::{Damage, Journal, JournalError},
    },
    tlog::{HASH_BYTES, Index, TileId, TreeSize},
    verify::{self, LogSource, SourceError, VerifyError, verify_log},
    views::{Tally, ViewError, authority},
};

/// What a check found good.
#[derive(Debug)]
pub struct Checked {
    /// What opening mended.
    pub recovered: Vec<Recovery>,
    /// What was checked, a line each.
    pub lines: Vec<String>,
}

/// Why a ledger is not good.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// It does not open.
    #[error("the ledger does not open")]
    Open(#[from] OpenError),
    /// The stored log does not verify.
    #[error("the stored log does not verify")]
    Log(#[from] VerifyError),
    /// A view is not what a rebuild would make. `rebuild-views` makes it anew.
    #[error("the view of {view} differs from the entries at entry {index}")]
    ViewDiffers {
        /// Which view.
        view: &'static str,
        /// The first entry where it differs.
        index: u64,
    },
    /// A view holds more than the entries.
    #[error("the view of record ids has {have} ids, and the log {size} entries")]
    ViewTooLarge {
        /// How many it has.
        have: u64,
        /// How many there are.
        size: u64,
    },
    /// The journal does not hold what the store does.
    #[error("the journal differs from the store at entry {index}")]
    JournalDiffers {
        /// The first entry that differs.
        index: u64,
    },
    /// The journal is damaged.
    #[error("the journal is damaged")]
    Damage(#[from] Damage),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[from] JournalError),
    /// The store cannot be read.
    #[error("what is stored cannot be read")]
    Read(#[from] ReadError),
    /// A view cannot be read.
    #[error("a view cannot be read")]
    View(#[from] ViewError),
    /// A lookup failed.
    #[error("a record id cannot be looked up")]
    Lookup(#[from] AppendError),
}

/// Checks the ledger in a data directory that no server has open.
///
/// # Errors
/// The first thing that is wrong.
pub fn fsck(
    options: &Options,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    progress: verify::Progress<'_>,
) -> Result<Checked, FsckError> {
    let opened = Ledger::open_with(options, open::Trust::Nothing, clock, entropy)?;
    let (ledger, recovered) = (opened.ledger, opened.recovered);
    let checking = verify::Options {
        key: ledger.vkey().clone(),
        since: None,
    };
    let mut lines = verify_log(&ledger.source(), &checking, progress)?.lines();
    lines.push(check_views(&ledger)?);
    lines.push(check_journal(&ledger, options)?);
    ledger.close();
    Ok(Checked { recovered, lines })
}

/// Every record id leads to its entry and no other is there; the entries that name keys are listed; the
/// postings are those that a rebuild would make.
fn check_views(ledger: &Ledger) -> Result<String, FsckError> {
    let size = ledger.published().size();
    let store = ledger.shared.store.as_ref();
    let listed = authority::listed(store, Index::new(size.value())).map_err(ReadError::from)?;
    let mut listed = listed.into_iter();
    let views = &ledger.shared.views;
    let mut expected = Tally::new(size, 0..0);
    for entry in ledger.entries(Index::new(0), size) {
        let (index, entry) = entry?;
        let Viewed { record_id, posts } = Viewed::read(index, &entry)?;
        views.expect(store, index, posts, &mut expected)?;
        if !views.ids.candidates(store, &record_id)?.contains(&index) {
            return Err(FsckError::ViewDiffers {
                view: "record ids",
                index: index.value(),
            });
        }
        if open::names_authority(index, &entry)? && listed.next() != Some(index) {
            return Err(FsckError::ViewDiffers {
                view: "keys",
                index: index.value(),
            });
        }
    }
    if let Some(index) = listed.next() {
        return Err(FsckError::ViewDiffers {
            view: "keys",
            index: index.value(),
        });
    }
    let (have, entries) = (views.ids.count(), size.value());
    if have != entries {
        let size = entries;
        return Err(FsckError::ViewTooLarge { have, size });
    }
    compare_postings(ledger, size, &expected)?;
    let postings = expected.count();
    Ok(format!(
        "views: {entries} record ids lead to their entries; every entry about keys is listed; {postings} \
         postings are what a rebuild would make"
    ))
}

/// The postings are those that the entries ask for. Where they are not, the first entry that differs is
/// looked for among its neighbours.
fn compare_postings(ledger: &Ledger, size: TreeSize, expected: &Tally) -> Result<(), FsckError> {
    let (views, store) = (&ledger.shared.views, ledger.shared.store.as_ref());
    let mut have = Tally::new(size, 0..0);
    views.facts.tally(store, &mut have)?;
    let Some(stretch) = expected.differs(&have) else {
        return Ok(());
    };
    let mut have = Tally::new(size, stretch.clone());
    views.facts.tally(store, &mut have)?;
    let mut expected = Tally::new(size, stretch.clone());
    let end = TreeSize::new(stretch.end.min(size.value()));
    for entry in ledger.entries(Index::new(stretch.start), end) {
        let (index, entry) = entry?;
        let posts = Viewed::read(index, &entry)?.posts;
        views.expect(store, index, posts, &mut expected)?;
    }
    let index = expected.differs_at(&have);
    Err(FsckError::ViewDiffers {
        view: "facts",
        index: index.map_or(stretch.start, Index::value),
    })
}

/// The journal holds the same entries as the store, to the last one.
fn check_journal(ledger: &Ledger, options: &Options) -> Result<String, FsckError> {
    let size = ledger.published().size();
    let journal = Journal::open_read_only(&options.journal_dir())?;
    let mut frames = 0_u64;
    let mut stored = ledger.entries(Index::new(0), size);
    for frame in journal.read(0)? {
        let frame = frame?;
        frames += 1;
        for (index, entry) in (frame.first..).zip(&frame.entries) {
            let same = stored.next().transpose()?;
            if same.is_none_or(|(at, stored)| at.value() != index || stored != *entry) {
                return Err(FsckError::JournalDiffers { index });
            }
        }
    }
    match stored.next() {
        Some(missing) => Err(FsckError::JournalDiffers {
            index: missing?.0.value(),
        }),
        None => Ok(format!(
            "journal: {frames} frames hold the same {size} entries"
        )),
    }
}

/// A stored log, laid out as an exported one.
pub struct StoredLog {
    store: Arc<dyn Store>,
    published: Arc<Published>,
}

impl std::fmt::Debug for StoredLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stored log of size {}", self.published.size())
    }
}

impl StoredLog {
    pub(super) fn new(store: Arc<dyn Store>, published: Arc<Published>) -> Self {
        Self { store, published }
    }
}

impl LogSource for StoredLog {
    fn checkpoint(&self, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        bytes.clear();
        bytes.extend_from_slice(self.published.note().as_bytes());
        Ok(())
    }

    fn tile(&self, tile: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        bytes.clear();
        bytes.reserve(usize::from(tile.width) * HASH_BYTES);
        if tile.is_full() {
            let hashes = reader::full_tile(self.store.as_ref(), tile).map_err(unreadable)?;
            bytes.extend(hashes.iter().flat_map(|hash| *hash.as_bytes()));
            return Ok(());
        }
        let partial = self
            .published
            .partial_tile(tile)
            .ok_or(SourceError::Missing)?;
        bytes.extend(partial.hashes().iter().flat_map(|hash| *hash.as_bytes()));
        Ok(())
    }

    fn entry_bundle(&self, bundle: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        bytes.clear();
        let first = bundle.index * u64::from(crate::tlog::TILE_WIDTH);
        let end = TreeSize::new(first + u64::from(bundle.width));
        for entry in super::Entries::new(Arc::clone(&self.store), Index::new(first), end) {
            let (_, entry) = entry.map_err(unreadable)?;
            // An entry is at most 65,535 bytes: its length fits.
            let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&entry);
        }
        Ok(())
    }
}

fn unreadable(error: ReadError) -> SourceError {
    match error {
        // Damage is a finding; what cannot be read at all is not.
        ReadError::EntryDamaged { .. } | ReadError::TileDamaged { .. } => SourceError::Missing,
        ReadError::Store(_) | ReadError::View(_) => SourceError::Failed(Box::new(error)),
    }
}
