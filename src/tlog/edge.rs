//! The growing tree as its writer holds it: the tile at the right end of each tile level, and nothing
//! behind them.

use std::error::Error;

use super::{
    Hash, NodeId, ReadError, TILE_HEIGHT, TileId, TileNodes, TreeSize,
    frontier::fold,
    tile::{tile_of, tiles_of_level},
};

/// The right edge of a tree, in tiles: at most eight, of 16 KB each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The tile that is being filled at each tile level; never full.
    tiles: Vec<TileNodes>,
}

impl Edge {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self {
            size: 0,
            tiles: Vec::new(),
        }
    }

    /// The tree of this size, from its partial tiles, each of which `read` is asked for once.
    pub fn restore<E: Error + 'static>(
        size: TreeSize,
        mut read: impl FnMut(TileId) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, ReadError<E>> {
        let mut tiles = Vec::new();
        for level in 0..TILE_HEIGHT {
            let (index, width) = tiles_of_level(size, level);
            if index == 0 && width == 0 {
                break;
            }
            if width == 0 {
                tiles.push(TileNodes::new());
                continue;
            }
            let hashes = read(TileId {
                level,
                index,
                width: u16::from(width),
            })
            .map_err(ReadError::Read)?;
            let asked = usize::from(width);
            let tile = TileNodes::from_hashes(&hashes).filter(|tile| tile.len() == asked);
            tiles.push(tile.ok_or(ReadError::WrongCount {
                asked,
                have: hashes.len(),
            })?);
        }
        Ok(Self {
            size: size.value(),
            tiles,
        })
    }

    /// Adds a leaf at the right. Returns the tiles that became full by it, from the leaves up.
    pub fn push(&mut self, leaf: Hash) -> Vec<(TileId, TileNodes)> {
        self.size = self.size.saturating_add(1);
        self.add(0, leaf)
    }

    /// Adds 256 leaves at once, as the root of the full tile over them, whose own rows the caller keeps.
    /// Returns the tiles above it that became full by it; `None`, and nothing added, if the tree does not
    /// end on a full tile.
    pub fn push_full_tile(&mut self, root: Hash) -> Option<Vec<(TileId, TileNodes)>> {
        if self.tiles.first().is_some_and(|tile| !tile.is_empty()) {
            return None;
        }
        if self.tiles.is_empty() {
            self.tiles.push(TileNodes::new());
        }
        self.size = self.size.saturating_add(u64::from(super::TILE_WIDTH));
        Some(self.add(1, root))
    }

    /// How many leaves it has.
    pub const fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        let subtrees: Vec<Hash> = self
            .tiles
            .iter()
            .rev()
            .flat_map(TileNodes::subtrees)
            .collect();
        fold(&subtrees)
    }

    /// A node that stands in one of the tiles at the right end.
    pub fn node(&self, node: NodeId) -> Option<Hash> {
        let (tile, row, place) = tile_of(node);
        let (index, _) = tiles_of_level(self.size(), tile.level);
        if tile.index != index {
            return None;
        }
        self.tiles.get(usize::from(tile.level))?.node(row, place)
    }

    /// The partial tiles at the right end, from the leaves up: with the full ones that `push` returned,
    /// these are all tiles of the tree.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (TileId, &TileNodes)> {
        (0..TILE_HEIGHT)
            .zip(&self.tiles)
            .filter_map(|(level, tile)| {
                let (index, width) = tiles_of_level(self.size(), level);
                let width = u16::from(width);
                (width != 0).then_some((
                    TileId {
                        level,
                        index,
                        width,
                    },
                    tile,
                ))
            })
    }

    /// Adds a hash to the tile of a level, and carries the root of each tile that is full to the level
    /// above. `size` counts the new leaves already.
    fn add(&mut self, mut level: u8, mut hash: Hash) -> Vec<(TileId, TileNodes)> {
        let mut full = Vec::new();
        loop {
            let at = usize::from(level);
            if self.tiles.len() <= at {
                self.tiles.resize_with(at.saturating_add(1), TileNodes::new);
            }
            let Some(tile) = self.tiles.get_mut(at) else {
                return full;
            };
            tile.push(hash);
            let Some(root) = tile.root() else {
                return full;
            };
            let tile = std::mem::take(tile);
            let (count, _) = tiles_of_level(TreeSize::new(self.size), level);
            full.push((TileId::full(level, count.saturating_sub(1)), tile));
            level = level.saturating_add(1);
            hash = root;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, convert::Infallible};

    use super::*;
    use crate::tlog::{
        Frontier, Index, ReadNodes, TILE_WIDTH, check_inclusion, leaf_hash, prove_inclusion,
        reference, root_at, tiles_at,
    };

    /// Above 256 × 256, so that three levels of tiles are in play.
    const SIZE: u64 = 66_000;

    fn leaf(index: u64) -> Hash {
        leaf_hash(&index.to_be_bytes())
    }

    /// The tiles a store would keep, and the edge that it would keep beside them.
    struct Tree {
        tiles: BTreeMap<TileId, Vec<Hash>>,
        edge: Edge,
    }

    impl Tree {
        fn push(&mut self, leaf: Hash) {
            for (id, tile) in self.edge.push(leaf) {
                let before = self.tiles.insert(id, tile.hashes().to_vec());
                assert_eq!(before, None, "{id:?} is completed once");
            }
        }

        fn all_tiles(&self) -> BTreeMap<TileId, Vec<Hash>> {
            let partial = self.edge.partial_tiles();
            let mut all = self.tiles.clone();
            all.extend(partial.map(|(id, tile)| (id, tile.hashes().to_vec())));
            all
        }
    }

    impl ReadNodes for Tree {
        type Error = Infallible;

        fn read_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Infallible> {
            let read = |id: &NodeId| {
                let (tile, row, place) = tile_of(*id);
                let kept = || TileNodes::from_hashes(&self.tiles[&tile])?.node(row, place);
                self.edge.node(*id).or_else(kept).unwrap()
            };
            Ok(ids.iter().map(read).collect())
        }
    }

    #[test]
    fn a_tree_grown_leaf_by_leaf_has_its_root_its_tiles_and_its_nodes_at_every_size() {
        let mut frontier = Frontier::new();
        let mut tree = Tree {
            tiles: BTreeMap::new(),
            edge: Edge::new(),
        };
        assert_eq!(tree.edge.root(), frontier.root());
        for index in 0..SIZE {
            frontier.push(leaf(index));
            tree.push(leaf(index));
            let size = TreeSize::new(index + 1);
            assert_eq!(tree.edge.size(), size);
            assert_eq!(tree.edge.root(), frontier.root(), "at {size}");
            // What takes long is tried where something happens: around multiples of 256.
            let happens = matches!(size.value() % 256, 0 | 1 | 255);
            if (600..65_530).contains(&size.value()) || !happens {
                continue;
            }
            let all = tree.all_tiles();
            assert!(all.keys().copied().eq({
                let mut tiles: Vec<TileId> = tiles_at(size).collect();
                tiles.sort();
                tiles
            }));
            assert!(
                all.iter()
                    .all(|(id, tile)| usize::from(id.width) == tile.len())
            );
            assert_eq!(root_at(&tree, size), Ok(frontier.root()));
            for asked in [0, index / 2, index] {
                let (root, asked_leaf) = (frontier.root(), leaf(asked));
                let asked = Index::new(asked);
                let proof = prove_inclusion(&tree, asked, size).unwrap();
                assert_eq!(
                    check_inclusion(&proof, asked, size, asked_leaf, root),
                    Ok(())
                );
            }
            let restored = Edge::restore(size, |tile| Ok::<_, Infallible>(all[&tile].clone()));
            assert_eq!(restored, Ok(tree.edge.clone()));
        }
    }

    #[test]
    fn full_tiles_are_added_at_once_only_where_the_last_one_is_full() {
        let leaves = reference::leaves(512);
        let mut by_leaf = Edge::new();
        for leaf in &leaves {
            by_leaf.push(*leaf);
        }
        let mut by_tile = Edge::new();
        for leaves in leaves.chunks(usize::from(TILE_WIDTH)) {
            let root = TileNodes::from_hashes(leaves).and_then(|tile| tile.root());
            assert_eq!(by_tile.push_full_tile(root.unwrap()), Some(Vec::new()));
        }
        assert_eq!(by_tile, by_leaf);
        assert_eq!(by_tile.root(), reference::root(&leaves));

        by_tile.push(leaves[0]);
        let before = by_tile.clone();
        assert_eq!(by_tile.push_full_tile(leaves[0]), None);
        assert_eq!(by_tile, before);
    }

    #[test]
    fn an_edge_is_not_restored_from_tiles_of_another_width() {
        for have in [0, 2, 4, 257] {
            let restored = Edge::restore(TreeSize::new(3), |tile| {
                assert_eq!(tile.path(), "tile/0/000.p/3");
                Ok::<_, Infallible>(reference::leaves(have))
            });
            assert_eq!(restored, Err(ReadError::WrongCount { asked: 3, have }));
        }
    }

    #[test]
    fn a_node_behind_the_edge_or_beyond_it_is_not_known() {
        let mut edge = Edge::new();
        let leaves = reference::leaves(300);
        for leaf in &leaves {
            edge.push(*leaf);
        }
        let node = |level, index| edge.node(NodeId { level, index });
        assert_eq!(node(0, 255), None);
        assert_eq!(node(0, 256), Some(leaves[256]));
        assert_eq!(node(0, 299), Some(leaves[299]));
        assert_eq!(node(0, 300), None);
        assert_eq!(node(1, 128), Some(reference::root(&leaves[256..258])));
        assert_eq!(node(8, 0), Some(reference::root(&leaves[..256])));
        assert_eq!(node(8, 1), None);
        assert_eq!(node(64, 0), None);
        assert_eq!(node(u8::MAX, u64::MAX), None);
    }
}
