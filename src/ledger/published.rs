//! What the outside may see: the newest tree whose checkpoint is durable, and what proofs in it need.

use std::sync::Arc;

use super::signer::Signed;
use crate::{
    note::Checkpoint,
    rules::keys::KeyRegistry,
    tlog::{Edge, Hash, NodeId, TileId, TileNodes, TreeSize, tile_of},
};

/// A published tree. Immutable: the next commit publishes another.
#[derive(Debug)]
pub struct Published {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) note: String,
    edge: Edge,
    /// Tiles that the commit completed: its receipts need them, and are spared the store.
    tiles: Vec<(TileId, TileNodes)>,
    keys: Arc<KeyRegistry>,
}

impl Published {
    pub(crate) fn new(signed: Signed, keys: Arc<KeyRegistry>) -> Self {
        let Signed {
            checkpoint,
            note,
            edge,
            tiles,
        } = signed;
        Self {
            checkpoint,
            note,
            edge,
            tiles,
            keys,
        }
    }

    /// The tree size.
    pub fn size(&self) -> TreeSize {
        self.checkpoint.size
    }

    /// The checkpoint: its body, parsed.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The checkpoint: a signed note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The keys on record.
    pub fn keys(&self) -> &KeyRegistry {
        &self.keys
    }

    /// A tile of the right edge that is not full.
    pub(crate) fn partial_tile(&self, tile: TileId) -> Option<&TileNodes> {
        let mut partial = self.edge.partial_tiles();
        partial.find_map(|(have, nodes)| (have == tile).then_some(nodes))
    }

    /// A node of the right edge, or of a tile completed by the last commit.
    pub(crate) fn node(&self, id: NodeId) -> Option<Hash> {
        self.edge.node(id).or_else(|| {
            let (tile, row, place) = tile_of(id);
            let (_, nodes) = self.tiles.iter().find(|(have, _)| *have == tile)?;
            nodes.node(row, place)
        })
    }
}
