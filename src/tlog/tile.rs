//! Tiles: the tree cut into pieces of 256 hashes and 8 levels, with the paths C2SP `tlog-tiles` gives
//! them. What a tile's bytes are kept in is not known here.

use super::{EMPTY_ROOT, Hash, NodeId, TreeSize, hash::node_hashes, node_hash};

/// How many levels of the tree a tile spans.
pub const TILE_HEIGHT: u8 = 8;

/// How many hashes a full tile holds in its bottom row: 2^8.
pub const TILE_WIDTH: u16 = 256;

/// The same, for counting in memory.
const WIDTH: usize = 256;

/// The hashes of all rows of a full tile: 256 + 128 + ... + 1.
const NODES: usize = 511;

/// The highest tile level a path may name (C2SP tlog-tiles).
const LEVEL_MAX: u8 = 63;

/// One tile, or the entry bundle below a tile of level 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    /// The tile's level: its bottom row stands 8 × level above the leaves.
    pub level: u8,
    /// Its place among the tiles of its level, from the left.
    pub index: u64,
    /// How many hashes its bottom row has: 256 if it is full, 1 to 255 if it is partial.
    pub width: u16,
}

impl TileId {
    /// The full tile at this place.
    pub const fn full(level: u8, index: u64) -> Self {
        Self {
            level,
            index,
            width: TILE_WIDTH,
        }
    }

    /// Are all its 256 hashes there?
    pub const fn is_full(self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Is it one of the tiles of a tree of this size, as [`tiles_at`] lists them?
    pub fn is_of(self, size: TreeSize) -> bool {
        let (full, width) = tiles_of_level(size, self.level);
        if self.is_full() {
            return self.index < full;
        }
        self.index == full && self.width == u16::from(width) && self.width != 0
    }

    /// `tile/<L>/<N>[.p/<W>]`.
    pub fn path(self) -> String {
        format!("tile/{}/{}", self.level, self.numbers())
    }

    /// `tile/entries/<N>[.p/<W>]`: the entries whose leaf hashes are in this tile of level 0.
    pub fn entries_path(self) -> String {
        format!("tile/entries/{}", self.numbers())
    }

    /// The tile at a path that is exactly as [`TileId::path`] writes it.
    pub fn parse(path: &str) -> Option<Self> {
        let (level, numbers) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = level.parse().ok().filter(|level| *level <= LEVEL_MAX)?;
        Self::parse_numbers(level, numbers).filter(|tile| tile.path() == path)
    }

    /// The entry bundle at a path that is exactly as [`TileId::entries_path`] writes it.
    pub fn parse_entries(path: &str) -> Option<Self> {
        let numbers = path.strip_prefix("tile/entries/")?;
        Self::parse_numbers(0, numbers).filter(|tile| tile.entries_path() == path)
    }

    /// `x001/x234/067.p/112` for the partial tile 1,234,067 of width 112.
    fn numbers(self) -> String {
        let mut path = format!("{:03}", self.index % 1000);
        let mut above = self.index / 1000;
        while above != 0 {
            path = format!("x{:03}/{path}", above % 1000);
            above /= 1000;
        }
        if !self.is_full() {
            path = format!("{path}.p/{}", self.width);
        }
        path
    }

    /// Reads generously; the caller compares with the one way to write it.
    fn parse_numbers(level: u8, numbers: &str) -> Option<Self> {
        let (groups, width) = match numbers.split_once(".p/") {
            Some((groups, width)) => (groups, width.parse().ok()?),
            None => (numbers, TILE_WIDTH),
        };
        if numbers != groups && !(1..TILE_WIDTH).contains(&width) {
            return None;
        }
        let mut index: u64 = 0;
        for group in groups.split('/') {
            let group: u64 = group.trim_start_matches('x').parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(group)?;
        }
        Some(Self {
            level,
            index,
            width,
        })
    }
}

/// Every tile of a tree of this size, from the leaves up, each level from the left, its partial tile last.
pub fn tiles_at(size: TreeSize) -> impl Iterator<Item = TileId> {
    (0..TILE_HEIGHT).flat_map(move |level| {
        let (full, width) = tiles_of_level(size, level);
        let partial = (width != 0).then_some(TileId {
            level,
            index: full,
            width: u16::from(width),
        });
        (0..full)
            .map(move |index| TileId::full(level, index))
            .chain(partial)
    })
}

/// How many full tiles a tree of this size has at a level, and the width of the partial one after them.
pub(super) fn tiles_of_level(size: TreeSize, level: u8) -> (u64, u8) {
    let bits = u32::from(level).saturating_mul(u32::from(TILE_HEIGHT));
    let hashes = size.value().unbounded_shr(bits);
    (hashes >> TILE_HEIGHT, low_byte(hashes))
}

const fn low_byte(number: u64) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

/// The full tile in whose rows a node stands, its row above the tile's bottom row, and its place there.
pub fn tile_of(node: NodeId) -> (TileId, u8, usize) {
    let level = node.level / TILE_HEIGHT;
    let row = node.level % TILE_HEIGHT;
    // The row has 2^(8 - row) nodes.
    let bits = u32::from(TILE_HEIGHT.saturating_sub(row));
    let index = node.index.unbounded_shr(bits);
    let first = index.unbounded_shl(bits);
    let place = usize::from(low_byte(node.index.saturating_sub(first)));
    (TileId::full(level, index), row, place)
}

/// What is in one tile, full or partial: its hashes, and every inner node over them.
#[derive(Clone, PartialEq, Eq)]
pub struct TileNodes {
    len: usize,
    /// Row above row, the bottom one first, each row at its own offset: 256, 128, ... 1 places. A place
    /// that is not yet known holds a filler.
    nodes: Box<[Hash; NODES]>,
}

impl TileNodes {
    /// A tile without hashes.
    pub fn new() -> Self {
        Self {
            len: 0,
            nodes: Box::new([EMPTY_ROOT; NODES]),
        }
    }

    /// The tile with these hashes; `None` if they are more than 256.
    pub fn from_hashes(hashes: &[Hash]) -> Option<Self> {
        let mut tile = Self::new();
        tile.len = hashes.len();
        tile.nodes
            .get_mut(..WIDTH)?
            .get_mut(..hashes.len())?
            .copy_from_slice(hashes);
        for row in 1..=TILE_HEIGHT {
            let (below, above) = tile.nodes.split_at_mut(position(row, 0));
            let (_, below) = below.split_at(position(row.saturating_sub(1), 0));
            let count = hashes.len().unbounded_shr(u32::from(row));
            let (pairs, _) = below.as_chunks();
            node_hashes(pairs.get(..count)?, above);
        }
        Some(tile)
    }

    /// Adds a hash at the right; `None`, and nothing added, if the tile is full.
    pub fn push(&mut self, hash: Hash) -> Option<()> {
        let mut place = self.len;
        if WIDTH <= place {
            return None;
        }
        let mut node = hash;
        self.put(0, place, node);
        for row in 1..=TILE_HEIGHT {
            if place & 1 == 0 {
                break;
            }
            let left = self.get(row.saturating_sub(1), place.saturating_sub(1));
            node = node_hash(&left, &node);
            place >>= 1;
            self.put(row, place, node);
        }
        self.len = self.len.saturating_add(1);
        Some(())
    }

    /// How many hashes are in its bottom row.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Has it no hash yet?
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Are all 256 there?
    pub const fn is_full(&self) -> bool {
        self.len == WIDTH
    }

    /// The bottom row: what a tile file holds.
    pub fn hashes(&self) -> &[Hash] {
        let (hashes, _) = self.nodes.split_at(self.len);
        hashes
    }

    /// The node at a place of a row (0 is the bottom row, 8 the root), if all hashes under it are there.
    pub fn node(&self, row: u8, place: usize) -> Option<Hash> {
        let complete = self.len.checked_shr(u32::from(row))?;
        let known = row <= TILE_HEIGHT && place < complete;
        known.then(|| self.get(row, place))
    }

    /// The root over all 256 hashes, if the tile is full.
    pub fn root(&self) -> Option<Hash> {
        self.node(TILE_HEIGHT, 0)
    }

    /// The roots of the largest complete subtrees, from the left: what the tree's root is made of.
    pub(super) fn subtrees(&self) -> impl Iterator<Item = Hash> {
        (0..=TILE_HEIGHT).rev().filter_map(|row| {
            let complete = self.len.unbounded_shr(u32::from(row));
            (complete & 1 == 1).then(|| self.get(row, complete.saturating_sub(1)))
        })
    }

    #[expect(clippy::indexing_slicing, reason = "row <= 8 and place < 2^(8 - row)")]
    fn get(&self, row: u8, place: usize) -> Hash {
        self.nodes[position(row, place)]
    }

    #[expect(clippy::indexing_slicing, reason = "row <= 8 and place < 2^(8 - row)")]
    fn put(&mut self, row: u8, place: usize, node: Hash) {
        self.nodes[position(row, place)] = node;
    }
}

impl Default for TileNodes {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for TileNodes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hashes()).finish()
    }
}

/// Below row r are 256 + 128 + ... nodes: 512 - 2^(9 - r).
fn position(row: u8, place: usize) -> usize {
    const TWICE: usize = WIDTH * 2;
    let below = TWICE.saturating_sub(TWICE.unbounded_shr(u32::from(row)));
    below.saturating_add(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::reference;

    fn tile(level: u8, index: u64, width: u16) -> TileId {
        TileId {
            level,
            index,
            width,
        }
    }

    #[test]
    fn paths_are_written_as_the_specification_writes_them_and_read_back() {
        let check = |tile: TileId, numbers: &str| {
            let path = format!("tile/{}/{numbers}", tile.level);
            assert_eq!(tile.path(), path);
            assert_eq!(TileId::parse(&path), Some(tile));
            let path = format!("tile/entries/{numbers}");
            assert_eq!(tile.entries_path(), path);
            assert_eq!(
                TileId::parse_entries(&path),
                Some(TileId { level: 0, ..tile })
            );
        };
        check(tile(0, 0, 256), "000");
        check(tile(0, 0, 1), "000.p/1");
        check(tile(7, 999, 255), "999.p/255");
        check(tile(1, 1000, 256), "x001/000");
        check(tile(0, 1_234_067, 256), "x001/x234/067");
        check(tile(63, 1_234_067, 112), "x001/x234/067.p/112");
        check(tile(0, u64::MAX, 256), "x018/x446/x744/x073/x709/x551/615");
    }

    #[test]
    fn a_path_written_in_any_other_way_is_refused() {
        let numbers = [
            "",
            "0",
            "00",
            "0000",
            "1000",
            "x000/000",
            "x000",
            "001/000",
            "x001/0",
            "x001/x000",
            "xx01/000",
            "x1/000",
            "+01",
            "-01",
            " 01",
            "000 ",
            "000/",
            "/000",
            "000.p",
            "000.p/",
            "000.p/0",
            "000.p/00",
            "000.p/01",
            "000.p/256",
            "000.p/257",
            "000.p/+1",
            "000.p/1/",
            "000.p/1.p/1",
            "000.P/1",
            "x001.p/1/000",
            "x018/x446/x744/x073/x709/x551/616",
            "x001/x018/x446/x744/x073/x709/x551/615",
            "\u{660}00",
            "000\n",
        ];
        for numbers in numbers {
            assert_eq!(
                TileId::parse(&format!("tile/0/{numbers}")),
                None,
                "{numbers}"
            );
            assert_eq!(
                TileId::parse_entries(&format!("tile/entries/{numbers}")),
                None
            );
        }
        for path in [
            "",
            "tile",
            "tile/",
            "tile/0",
            "tile/64/000",
            "tile/00/000",
            "tile/+0/000",
            "tile/-1/000",
            "tile//000",
            "/tile/0/000",
            "Tile/0/000",
            "tile/entries/000",
            "tile/256/000",
            "tile/0/../0/000",
        ] {
            assert_eq!(TileId::parse(path), None, "{path}");
        }
        assert_eq!(TileId::parse_entries("tile/0/000"), None);
    }

    #[test]
    fn the_tiles_of_a_size_are_those_of_the_specification() {
        let count = |size, level, full| {
            let tiles = tiles_at(TreeSize::new(size));
            tiles
                .filter(|tile| tile.level == level && tile.is_full() == full)
                .count()
        };
        assert_eq!(count(70_000, 0, true), 273);
        assert_eq!(count(70_000, 1, true), 1);
        assert_eq!(count(70_000, 2, true), 0);
        let partial: Vec<TileId> = tiles_at(TreeSize::new(70_000))
            .filter(|tile| !tile.is_full())
            .collect();
        assert_eq!(partial, [tile(0, 273, 112), tile(1, 1, 17), tile(2, 0, 1)]);

        let all = |size| tiles_at(TreeSize::new(size)).collect::<Vec<_>>();
        assert_eq!(all(0), []);
        assert_eq!(all(1), [tile(0, 0, 1)]);
        assert_eq!(all(255), [tile(0, 0, 255)]);
        assert_eq!(all(256), [tile(0, 0, 256), tile(1, 0, 1)]);
        assert_eq!(all(257), [tile(0, 0, 256), tile(0, 1, 1), tile(1, 0, 1)]);
        assert_eq!(count(65_536, 0, true), 256);
        assert_eq!(count(65_536, 1, true), 1);
        assert_eq!(count(65_536, 2, false), 1);
        let top = tiles_of_level(TreeSize::new(u64::MAX), 7);
        assert_eq!(top, (0, 255));
    }

    #[test]
    fn a_tile_is_of_a_tree_if_the_tree_lists_it() {
        for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537] {
            let size = TreeSize::new(size);
            let all: Vec<TileId> = tiles_at(size).collect();
            for level in [0, 1, 2, 3, 63] {
                for index in [0, 1, 2, 255, 256] {
                    for width in [0, 1, 2, 255, 256] {
                        let tile = tile(level, index, width);
                        assert_eq!(tile.is_of(size), all.contains(&tile), "{tile:?} of {size}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_node_is_found_in_the_tile_whose_rows_hold_it() {
        let check = |level, index, expected: (TileId, u8, usize)| {
            assert_eq!(tile_of(NodeId { level, index }), expected);
        };
        check(0, 0, (TileId::full(0, 0), 0, 0));
        check(0, 255, (TileId::full(0, 0), 0, 255));
        check(0, 256, (TileId::full(0, 1), 0, 0));
        check(1, 129, (TileId::full(0, 1), 1, 1));
        check(7, 3, (TileId::full(0, 1), 7, 1));
        check(8, 3, (TileId::full(1, 0), 0, 3));
        check(8, 256, (TileId::full(1, 1), 0, 0));
        check(17, 128, (TileId::full(2, 1), 1, 0));
        check(0, u64::MAX, (TileId::full(0, u64::MAX >> 8), 0, 255));
    }

    #[test]
    fn a_tile_knows_every_node_whose_hashes_are_there_and_no_other() {
        let leaves = reference::leaves(256);
        let mut tile = TileNodes::default();
        for len in 0..=256 {
            assert_eq!(tile.len(), len);
            assert_eq!(tile.is_empty(), len == 0);
            assert_eq!(tile.is_full(), len == 256);
            assert_eq!(tile.hashes(), &leaves[..len]);
            assert_eq!(tile.root().is_some(), len == 256);
            let expected = |row: u8, place: usize| {
                let width = 1_usize << row;
                let under = leaves[..len].get(place * width..(place + 1) * width)?;
                Some(reference::root(under))
            };
            // Each row's last known node, and the first that is not; all of them once, at the end.
            for row in 0..=9_u8 {
                let complete = if row <= 8 { len >> row } else { 0 };
                let first = if len == 256 {
                    0
                } else {
                    complete.saturating_sub(1)
                };
                for place in first..=complete {
                    assert_eq!(tile.node(row, place), expected(row, place), "{row} {place}");
                }
            }
            assert_eq!(tile.node(255, 0), None);
            assert_eq!(TileNodes::from_hashes(&leaves[..len]), Some(tile.clone()));
            if let Some(leaf) = leaves.get(len) {
                tile.push(*leaf).unwrap();
            }
        }
        assert_eq!(tile.push(leaves[0]), None);
        assert_eq!(tile.root(), Some(reference::root(&leaves)));
        assert_eq!(TileNodes::from_hashes(&reference::leaves(257)), None);
    }
}
