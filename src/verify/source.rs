//! Where a log is read from.

use std::{error::Error, fmt};

use crate::tlog::TileId;

/// A part of a log that is read as a whole, named as in an exported log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFile {
    /// The signed checkpoint.
    Checkpoint,
    /// The log's verifier key.
    VerifierKey,
    /// A tile of hashes.
    Tile(TileId),
    /// The entries under a tile of level 0.
    Entries(TileId),
}

/// The path in an exported log.
impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkpoint => f.write_str("checkpoint"),
            Self::VerifierKey => f.write_str("log.vkey"),
            Self::Tile(tile) => f.write_str(&tile.path()),
            Self::Entries(tile) => f.write_str(&tile.entries_path()),
        }
    }
}

/// Why a part of a log was not read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is not there.
    #[error("it is not there")]
    Missing,
    /// It is larger than it can be, and was not read.
    #[error("it has {have} bytes, more than {max}")]
    TooLarge {
        /// Its size.
        have: u64,
        /// The most it can have.
        max: u64,
    },
    /// Whether it is there cannot be told.
    #[error("it could not be read")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

/// A place that a log is kept in.
///
/// It is read from several threads at once. What is read goes into `bytes`, whose contents are replaced, so
/// that one buffer serves for many reads. Nobody asks for a tile or a bundle before the checkpoint, nor for
/// one that the checkpoint does not commit to; they must not change meanwhile.
pub trait LogSource: Sync {
    /// The signed note of the checkpoint.
    fn checkpoint(&self, bytes: &mut Vec<u8>) -> Result<(), SourceError>;

    /// The hashes of a tile, 32 bytes each.
    fn tile(&self, tile: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError>;

    /// The entries under a tile of level 0, each after its length in two big-endian bytes.
    fn entry_bundle(&self, bundle: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError>;
}
