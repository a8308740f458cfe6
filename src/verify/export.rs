//! Writing an exported log: entry by entry, in constant memory, in the layout that is verified.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::LogFile;
use crate::{
    note::{Checkpoint, NoteError, VerifierKey, open_checkpoint},
    tlog::{Edge, Hash, TILE_WIDTH, TileId, TileNodes, TreeSize, leaf_hash},
};

/// Why a log could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The directory is not empty; nothing was written.
    #[error("the directory {} is not empty", path.display())]
    NotEmpty {
        /// Which directory.
        path: PathBuf,
    },
    /// A file or a directory could not be written.
    #[error("{} could not be written", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An entry does not fit into a bundle.
    #[error("an entry of {have} bytes does not fit into a bundle")]
    EntryTooLong {
        /// Its length.
        have: usize,
    },
    /// The checkpoint is not one that the log's key signed.
    #[error("the checkpoint is not one that the log signed")]
    Checkpoint(#[source] NoteError),
    /// The entries are not those that the checkpoint commits to.
    #[error("the {size} entries have the root {root}, the checkpoint says {} with {}", checkpoint.size, checkpoint.root)]
    OtherTree {
        /// How many entries were written.
        size: TreeSize,
        /// The root over them.
        root: Hash,
        /// What was signed.
        checkpoint: Box<Checkpoint>,
    },
}

/// An export that is under way. The checkpoint is written last, so that a directory without it is known to be
/// unfinished.
#[derive(Debug)]
pub struct ExportWriter {
    dir: PathBuf,
    edge: Edge,
    /// The entries under the partial tile of level 0, each after its length.
    bundle: Vec<u8>,
}

impl ExportWriter {
    /// Begins an export into a directory that is empty or not there yet.
    pub fn create(dir: &Path) -> Result<Self, ExportError> {
        let path = dir.to_owned();
        let not_written = |source| ExportError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(dir).map_err(not_written)?;
        let mut files = fs::read_dir(dir).map_err(not_written)?;
        if files.next().is_some() {
            return Err(ExportError::NotEmpty { path });
        }
        Ok(Self {
            dir: path,
            edge: Edge::new(),
            bundle: Vec::new(),
        })
    }

    /// Adds the bytes of the next entry.
    pub fn append(&mut self, entry: &[u8]) -> Result<(), ExportError> {
        let have = entry.len();
        let Ok(length) = u16::try_from(have) else {
            return Err(ExportError::EntryTooLong { have });
        };
        self.bundle.extend_from_slice(&length.to_be_bytes());
        self.bundle.extend_from_slice(entry);
        for (tile, nodes) in self.edge.push(leaf_hash(entry)) {
            self.write_tile(tile, &nodes)?;
            if tile.level == 0 {
                self.write(LogFile::Entries(tile), &self.bundle)?;
                self.bundle.clear();
            }
        }
        Ok(())
    }

    /// Ends the export with the signed note of the checkpoint over these entries and the log's key.
    pub fn finish(self, checkpoint: &str, key: &VerifierKey) -> Result<(), ExportError> {
        let opened = open_checkpoint(checkpoint, key).map_err(ExportError::Checkpoint)?;
        let (size, root) = (self.edge.size(), self.edge.root());
        if opened.size != size || opened.root != root {
            let checkpoint = Box::new(opened);
            return Err(ExportError::OtherTree {
                size,
                root,
                checkpoint,
            });
        }
        for (tile, nodes) in self.edge.partial_tiles() {
            self.write_tile(tile, nodes)?;
            if tile.level == 0 {
                self.write(LogFile::Entries(tile), &self.bundle)?;
            }
        }
        self.write(LogFile::VerifierKey, format!("{key}\n").as_bytes())?;
        self.write(LogFile::Checkpoint, checkpoint.as_bytes())
    }

    fn write_tile(&self, tile: TileId, nodes: &TileNodes) -> Result<(), ExportError> {
        let mut bytes = Vec::with_capacity(usize::from(TILE_WIDTH).saturating_mul(32));
        for hash in nodes.hashes() {
            bytes.extend_from_slice(hash.as_bytes());
        }
        self.write(LogFile::Tile(tile), &bytes)
    }

    fn write(&self, file: LogFile, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.dir.join(file.to_string());
        let parent = path.parent().unwrap_or(&self.dir);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes));
        written.map_err(|source| ExportError::Io { path, source })
    }
}
