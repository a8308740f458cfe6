//! What a verification says when it does not say yes.

use std::{error::Error, io, path::PathBuf};

use super::{LogFile, SourceError};
use crate::{
    note::{NoteError, VerifierKey},
    record::entry::EntryRejected,
    rules::keys::{AuthorRefused, KeyRefused},
    tlog::{Hash, Index, TreeSize},
};

/// Why a log is not found good.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The verification said no.
    #[error("the log is not what its checkpoint and its key say")]
    Found(#[from] Finding),
    /// The verification could not tell: a part that is there could not be read.
    #[error("{file} could not be read")]
    Unreadable {
        /// Which part.
        file: LogFile,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The verification could not tell: a directory that is there could not be listed.
    #[error("the directory {} could not be listed", path.display())]
    Unlisted {
        /// Which directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl VerifyError {
    pub(super) fn reading(file: LogFile, error: SourceError) -> Self {
        match error {
            SourceError::Missing => Finding::Missing { file }.into(),
            SourceError::TooLarge { have, max } => Finding::TooLarge { file, have, max }.into(),
            SourceError::Failed(source) => Self::Unreadable { file, source },
        }
    }
}

/// The first place of a log that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A part that the checkpoint commits to is not there.
    #[error("{file} is missing")]
    Missing {
        /// Which part.
        file: LogFile,
    },
    /// A part is larger than it can be.
    #[error("{file} has {have} bytes, more than the {max} it can have")]
    TooLarge {
        /// Which part.
        file: LogFile,
        /// Its size.
        have: u64,
        /// The most it can have.
        max: u64,
    },
    /// There is a file that the checkpoint does not commit to.
    #[error("{} is not part of the log", path.display())]
    SurplusFile {
        /// Its path, from the directory of the log.
        path: PathBuf,
    },
    /// The log brings another key than the one to verify it with.
    #[error("log.vkey is not the line {key}")]
    OtherKey {
        /// The key to verify it with.
        key: Box<VerifierKey>,
    },
    /// The checkpoint is not one that the log's key signed.
    #[error("the checkpoint is not one that the log signed")]
    Checkpoint(#[source] NoteError),
    /// The older checkpoint is not one that the log's key signed.
    #[error("the older checkpoint is not one that the log signed")]
    OlderCheckpoint(#[source] NoteError),
    /// The log had more entries once.
    #[error("the log was cut back: it had {old} entries, and has {size}")]
    CutBack {
        /// The size in the older checkpoint.
        old: TreeSize,
        /// The size now.
        size: TreeSize,
    },
    /// The log has no entry, not even its genesis.
    #[error("the log is empty, without its genesis")]
    Empty,
    /// A tile has too few hashes, or a part of one.
    #[error("{file} has {have} bytes, not {want}")]
    TileLength {
        /// Which tile.
        file: LogFile,
        /// Its size.
        have: usize,
        /// The size it must have.
        want: usize,
    },
    /// A hash in a tile above the leaves is not the root over the tile below.
    #[error("{file}: hash {place} is not that of the tile under it")]
    TileHash {
        /// Which tile.
        file: LogFile,
        /// The hash's place in it, from 0.
        place: usize,
    },
    /// An entry bundle ends before all its entries.
    #[error("{file} ends before entry {index} does")]
    BundleEnds {
        /// Which bundle.
        file: LogFile,
        /// The first entry that is not wholly there.
        index: Index,
    },
    /// An entry bundle goes on after its last entry.
    #[error("{file} has {have} bytes after its last entry")]
    BundleSurplus {
        /// Which bundle.
        file: LogFile,
        /// How many bytes.
        have: usize,
    },
    /// The bytes of an entry are not those that the tree commits to.
    #[error("entry {index} in {file} does not hash to its leaf in the tile beside it")]
    Leaf {
        /// Which entry.
        index: Index,
        /// The bundle it stands in.
        file: LogFile,
    },
    /// An entry's bytes are not an entry.
    #[error("entry {index} is malformed")]
    Entry {
        /// Which entry.
        index: Index,
        /// Why.
        #[source]
        source: EntryRejected,
    },
    /// An entry says that it stands elsewhere.
    #[error("entry {index} says that it is entry {says}")]
    OtherIndex {
        /// Where it stands.
        index: Index,
        /// Where it says it stands.
        says: Index,
    },
    /// An entry does not carry the leaf hash of the entry before.
    #[error(
        "the hash chain breaks at entry {index}: it does not carry the hash of the entry before"
    )]
    Chain {
        /// Which entry.
        index: Index,
    },
    /// An entry was recorded before the one that stands before it.
    #[error("the clock goes back at entry {index}")]
    ClockWentBack {
        /// Which entry.
        index: Index,
    },
    /// What an entry carries is not a record.
    #[error("what entry {index} carries is not a record")]
    NotARecord {
        /// Which entry.
        index: Index,
    },
    /// The genesis names another ledger key than the one to verify with.
    #[error("the genesis names another ledger key")]
    GenesisKey,
    /// A record about keys should not have been taken.
    #[error("entry {index} says about keys what cannot be")]
    Keys {
        /// Which entry.
        index: Index,
        /// Why.
        #[source]
        source: KeyRefused,
    },
    /// An author's signature is not by a key that could sign it.
    #[error("entry {index} is not signed by a key of its actor that was in force")]
    Author {
        /// Which entry.
        index: Index,
        /// Why.
        #[source]
        source: AuthorRefused,
    },
    /// An author's signature is wrong.
    #[error("the author's signature in entry {index} is wrong")]
    AuthorSignature {
        /// Which entry.
        index: Index,
    },
    /// The tree over all entries has another root than the checkpoint says.
    #[error("the root over all entries is {computed}, but the checkpoint says {claimed}")]
    Root {
        /// The root over the entries.
        computed: Hash,
        /// The root that was signed.
        claimed: Hash,
    },
    /// The log does not extend the older checkpoint.
    #[error(
        "the log was rewritten: the root over its first {old} entries is {computed}, but was {claimed}"
    )]
    OlderRoot {
        /// The size in the older checkpoint.
        old: TreeSize,
        /// The root over as many entries now.
        computed: Hash,
        /// The root that was signed.
        claimed: Hash,
    },
}
