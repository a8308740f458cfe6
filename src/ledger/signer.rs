//! The one place that signs checkpoints.
//!
//! It cannot sign two inconsistent ones: it is never handed a root to sign. It is handed leaf hashes,
//! grows its own tree by them, and signs what comes out; so each tree it signs is the one before with
//! leaves added. Across restarts, it opens only on the tree of the newest stored checkpoint, and only
//! if the high-water checkpoint, which is kept outside the data directory, is of a prefix of it.

use crate::{
    note::{Checkpoint, NoteSigner, Origin},
    tlog::{Edge, Hash, TileId, TileNodes, TreeSize},
};

/// Grows the tree and signs it.
#[derive(Debug)]
pub(crate) struct Signer {
    key: NoteSigner,
    origin: Origin,
    edge: Edge,
}

/// A signed tree: what a commit needs of it, and what the next receipts are made from.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) checkpoint: Checkpoint,
    /// The checkpoint as a signed note.
    pub(crate) note: String,
    pub(crate) edge: Edge,
    /// The tiles that became full, in order.
    pub(crate) tiles: Vec<(TileId, TileNodes)>,
}

impl Signer {
    /// A signer that goes on from a tree. The caller has checked `edge` against the newest checkpoint
    /// and the high-water checkpoint.
    pub(crate) fn open(key: NoteSigner, origin: Origin, edge: Edge) -> Self {
        Self { key, origin, edge }
    }

    /// Adds leaves to the tree and signs it.
    pub(crate) fn extend(&mut self, leaves: &[Hash]) -> Signed {
        let mut tiles = Vec::new();
        for leaf in leaves {
            tiles.extend(self.edge.push(*leaf));
        }
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: self.edge.size(),
            root: self.edge.root(),
        };
        let note = checkpoint.sign(&self.key);
        Signed {
            checkpoint,
            note,
            edge: self.edge.clone(),
            tiles,
        }
    }

    /// The log's name.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The size of the tree signed last.
    pub(crate) fn size(&self) -> TreeSize {
        self.edge.size()
    }
}
