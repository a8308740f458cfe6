//! Reads entries, tiles and nodes back from the store. Knows the layout; trusts nothing it reads to be
//! there: a gap is [`ReadError::Damaged`], which stops the ledger.

use std::{collections::VecDeque, sync::Arc};

use super::{block::Block, blocks::Blocks, layout, published::Published};
use crate::{
    store::{Direction, Store, StoreError},
    tlog::{
        self, Edge, HASH_BYTES, Hash, Index, NodeId, ReadNodes, TILE_WIDTH, TileId, TileNodes,
        TreeSize, leaf_hash, tile_of,
    },
    views::ViewError,
};

/// Values read at once by a stream of entries: 84 KB for each stream that somebody leaves idle, with the entries of one
/// block besides; and more than the ten parts of the largest block, so that each page brings a whole one.
const PAGE: usize = 12;

/// Why an entry or a tile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A view failed.
    #[error("a view cannot be read")]
    View(#[from] ViewError),
    /// An entry that was acknowledged is missing or malformed.
    #[error("entry {index} is missing or damaged in the store")]
    EntryDamaged {
        /// The entry's index.
        index: u64,
    },
    /// A tile that was completed is missing or malformed.
    #[error("tile {path} is missing or damaged in the store")]
    TileDamaged {
        /// The tile's path in an export.
        path: String,
    },
}

impl ReadError {
    /// That of an entry which is missing or malformed.
    pub(crate) const fn damaged(index: Index) -> Self {
        Self::EntryDamaged {
            index: index.value(),
        }
    }
}

/// Reads one entry.
///
/// # Errors
/// [`ReadError::EntryDamaged`] where it is not there: ask only below the published tree size.
pub(crate) fn entry(store: &dyn Store, index: Index) -> Result<Vec<u8>, ReadError> {
    let mut found = Vec::new();
    entries_at(store, &Blocks::default(), &[index], |_, entry| {
        entry.clone_into(&mut found);
        Ok(())
    })?;
    Ok(found)
}

/// The block that holds an entry, and its first index.
fn block_of(
    store: &dyn Store,
    blocks: &Blocks,
    index: Index,
) -> Result<(Index, Vec<u8>), ReadError> {
    match blocks.first(index) {
        Some(first) => Ok((first, block_at(store, first)?)),
        None => block_around(store, index),
    }
}

/// The block that begins with an entry.
fn block_at(store: &dyn Store, first: Index) -> Result<Vec<u8>, ReadError> {
    let mut block = Vec::new();
    for part in 0..=u8::MAX {
        let value = store.get(&layout::block_key(first, part))?;
        let value = value.unwrap_or_default();
        let is_last = !layout::may_go_on(&value);
        if part == 0 {
            block = value;
        } else {
            block.extend(value);
        }
        if is_last {
            break;
        }
    }
    Ok(block)
}

/// The block that holds an entry, looked for from there back.
fn block_around(store: &dyn Store, index: Index) -> Result<(Index, Vec<u8>), ReadError> {
    let damaged = || ReadError::damaged(index);
    let parts = store.scan(&layout::blocks_up_to(index), Direction::Backward, 1)?;
    let (key, value) = parts.into_iter().next().ok_or_else(damaged)?;
    let (first, part) = layout::parse_block_key(&key).ok_or_else(damaged)?;
    let block = if part == 0 {
        value
    } else {
        block_at(store, first)?
    };
    Ok((first, block))
}

/// Hands the entries at `indexes`, which ascend, to `take`; each block is read once.
///
/// # Errors
/// [`ReadError::EntryDamaged`] where one is not there: ask only below the published tree size. And what
/// `take` answers.
pub(crate) fn entries_at(
    store: &dyn Store,
    blocks: &Blocks,
    indexes: &[Index],
    mut take: impl FnMut(Index, &[u8]) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let mut rest = indexes;
    while let Some(&index) = rest.first() {
        let (first, block) = block_of(store, blocks, index)?;
        let block = Block::read(block).ok_or_else(|| ReadError::damaged(index))?;
        let mut taken = 0;
        for &index in rest {
            let position = usize::try_from(index.value() - first.value()).unwrap_or(usize::MAX);
            let Some(entry) = block.entry(position) else {
                break;
            };
            take(index, entry)?;
            taken += 1;
        }
        if taken == 0 {
            return Err(ReadError::damaged(index));
        }
        rest = rest.get(taken..).unwrap_or_default();
    }
    Ok(())
}

/// Reads the hashes of a full tile.
///
/// # Errors
/// [`ReadError::TileDamaged`] where it is not there.
pub(crate) fn full_tile(store: &dyn Store, tile: TileId) -> Result<Vec<Hash>, ReadError> {
    let damaged = || ReadError::TileDamaged { path: tile.path() };
    let [low, high] = layout::tile_keys(tile);
    let halves = store.get_many(&[&low, &high])?;
    let bytes = halves
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(damaged)?
        .concat();
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    if hashes.len() != usize::from(TILE_WIDTH) || !rest.is_empty() {
        return Err(damaged());
    }
    Ok(hashes.iter().copied().map(Hash::new).collect())
}

/// Rebuilds the right edge of the tree of a size: at most 255 entries and 255 tile roots a level.
///
/// # Errors
/// Where an entry or a tile's root is missing.
pub(crate) fn edge(store: &Arc<dyn Store>, size: TreeSize) -> Result<Edge, ReadError> {
    let restored = Edge::restore(size, |tile| {
        let width = u64::from(tile.width);
        let first = tile.index * u64::from(TILE_WIDTH);
        let Some(below) = tile.level.checked_sub(1) else {
            let end = TreeSize::new(first + width);
            let entries = Entries::new(Arc::clone(store), Index::new(first), end);
            return entries.map(|entry| Ok(leaf_hash(&entry?.1))).collect();
        };
        let roots = layout::tile_roots(below, first, first + width);
        let roots = store.scan(&roots, Direction::Forward, usize::from(tile.width))?;
        let hash = |(_, root): (Vec<u8>, Vec<u8>)| {
            let damaged = ReadError::TileDamaged { path: tile.path() };
            Hash::from_slice(&root).map_err(|_| damaged)
        };
        roots.into_iter().map(hash).collect()
    });
    restored.map_err(|error| match error {
        tlog::ReadError::Read(error) => error,
        tlog::ReadError::IndexBeyond { .. }
        | tlog::ReadError::OldTreeEmpty
        | tlog::ReadError::SizesReversed { .. }
        | tlog::ReadError::WrongCount { .. } => ReadError::TileDamaged {
            path: format!("at the right edge of size {size}"),
        },
    })
}

/// Reads consecutive entries, in constant memory.
pub struct Entries {
    store: Arc<dyn Store>,
    next: Index,
    end: Index,
    /// Blocks as they are stored, each with its first index.
    blocks: VecDeque<(Index, Vec<u8>)>,
    ready: VecDeque<Vec<u8>>,
}

impl Entries {
    /// The entries from `start` up to, and without, `end`.
    pub(crate) fn new(store: Arc<dyn Store>, start: Index, end: TreeSize) -> Self {
        Self {
            store,
            next: start,
            end: Index::new(end.value()),
            blocks: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Brings the next entries into `ready`: those of a block, from `self.next` on.
    fn fill(&mut self) -> Result<(), ReadError> {
        let next = self.next;
        let damaged = || ReadError::damaged(next);
        if self.blocks.is_empty() {
            self.read_page()?;
        }
        let (first, block) = self.blocks.pop_front().ok_or_else(damaged)?;
        let skip = next.value().checked_sub(first.value());
        let skip = usize::try_from(skip.ok_or_else(damaged)?).unwrap_or(usize::MAX);
        let block = Block::read(block).ok_or_else(damaged)?;
        self.ready
            .extend(block.entries_from(skip).map(<[u8]>::to_vec));
        if self.ready.is_empty() {
            Err(damaged())
        } else {
            Ok(())
        }
    }

    /// Reads the next blocks, from the one that holds `self.next`.
    fn read_page(&mut self) -> Result<(), ReadError> {
        let next = self.next;
        let damaged = || ReadError::damaged(next);
        let store = self.store.as_ref();
        let last = store.scan(&layout::blocks_up_to(next), Direction::Backward, 1)?;
        let first = last
            .first()
            .and_then(|(key, _)| layout::parse_block_key(key));
        let (first, _) = first.ok_or_else(damaged)?;

        // A commit may be under way, and behind the end may lie some parts of its blocks.
        let blocks = layout::blocks_between(first, self.end);
        let page = store.scan(&blocks, Direction::Forward, PAGE)?;
        let whole_page = page.len() < PAGE;
        for (key, value) in page {
            let (first, part) = layout::parse_block_key(&key).ok_or_else(damaged)?;
            match self.blocks.back_mut() {
                Some((last, block)) if *last == first && part != 0 => block.extend(value),
                _ => self.blocks.push_back((first, value)),
            }
        }
        // The last block may go on beyond the page.
        if !whole_page && 1 < self.blocks.len() {
            self.blocks.pop_back();
        }
        Ok(())
    }
}

impl Iterator for Entries {
    type Item = Result<(Index, Vec<u8>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.end <= self.next {
            return None;
        }
        if self.ready.is_empty()
            && let Err(error) = self.fill()
        {
            self.end = self.next;
            return Some(Err(error));
        }
        let entry = self.ready.pop_front()?;
        let index = self.next;
        self.next = index.next();
        Some(Ok((index, entry)))
    }
}

impl std::fmt::Debug for Entries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "entries {} up to {}", self.next, self.end)
    }
}

/// The nodes of a published tree: the right edge from memory, the rest from stored tiles.
#[derive(Clone, Copy)]
pub(crate) struct Nodes<'a> {
    pub(crate) published: &'a Published,
    pub(crate) store: &'a dyn Store,
}

impl ReadNodes for Nodes<'_> {
    type Error = ReadError;

    fn read_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, ReadError> {
        // Neighbours in a proof share tiles; the last one read is enough to keep.
        let mut loaded: Option<(TileId, TileNodes)> = None;
        let mut hashes = Vec::with_capacity(ids.len());
        for &id in ids {
            if let Some(hash) = self.published.node(id) {
                hashes.push(hash);
                continue;
            }
            let (tile, row, place) = tile_of(id);
            let damaged = || ReadError::TileDamaged { path: tile.path() };
            let nodes = match loaded.take() {
                Some((have, nodes)) if have == tile => nodes,
                _ => TileNodes::from_hashes(&full_tile(self.store, tile)?).ok_or_else(damaged)?,
            };
            hashes.push(nodes.node(row, place).ok_or_else(damaged)?);
            loaded = Some((tile, nodes));
        }
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::block::noise,
        store::{Head, MemoryStore},
    };

    #[test]
    fn entries_are_read_alike_whether_it_is_known_where_their_blocks_begin_or_not() {
        let store = MemoryStore::default();
        let known = Blocks::default();
        let mut head = store.fence().unwrap();
        // Small ones together; of one part that is full, of two, of ten; one entry that fills a part is the next.
        let sizes = [100, 3_000, 3_000, 6_996, 6_997, 14_000, 65_535, 6_996, 1];
        let mut all: Vec<Vec<u8>> = sizes.iter().map(|&size| noise(size)).collect();
        // Compressed, and of several parts all the same.
        all.insert(4, [noise(20_000), vec![0; 20_000]].concat());
        for commit in all.chunks(4) {
            let first = Index::new(head.size);
            let mut writes = Vec::new();
            layout::pack_blocks(first, commit.iter().map(Vec::as_slice), &mut writes);
            let size = head.size + u64::try_from(commit.len()).unwrap();
            let next = Head { size, ..head };
            store.commit(&head, &next, b"", &writes).unwrap();
            known.take(&writes, Index::new(size));
            head = next;
        }

        let indexes: Vec<Index> = (0..head.size).map(Index::new).collect();
        for blocks in [known, Blocks::default()] {
            let mut read = Vec::new();
            let take = |_, entry: &[u8]| {
                read.push(entry.to_vec());
                Ok(())
            };
            entries_at(&store, &blocks, &indexes, take).unwrap();
            assert_eq!(read, all);
            for (index, entry) in indexes.iter().zip(&all) {
                let take = |found, read: &[u8]| {
                    assert_eq!((found, read), (*index, entry.as_slice()));
                    Ok(())
                };
                entries_at(&store, &blocks, &[*index], take).unwrap();
            }
        }
    }

    #[test]
    fn a_stream_of_entries_holds_no_more_of_large_ones_than_a_page_and_one_of_them() {
        let store = MemoryStore::default();
        let all = vec![vec![7; 65_535]; 2 * PAGE];
        let mut writes = Vec::new();
        layout::pack_blocks(Index::new(0), all.iter().map(Vec::as_slice), &mut writes);
        assert_eq!(writes.len(), all.len());
        store.trail(&writes).unwrap();
        let end = TreeSize::new(u64::try_from(all.len()).unwrap());
        let mut entries = Entries::new(Arc::new(store), Index::new(0), end);
        for (index, entry) in (0..).map(Index::new).zip(&all) {
            let read = entries.next().unwrap().unwrap();
            assert_eq!(read, (index, entry.clone()));
            let blocks: usize = entries.blocks.iter().map(|(_, block)| block.len()).sum();
            assert!(entries.ready.is_empty() && blocks <= PAGE * 7_000);
        }
        assert!(entries.next().is_none());
    }

    #[test]
    fn entries_are_read_to_the_end_while_the_next_commit_is_written() {
        let store = MemoryStore::default();
        let all = [b"one".to_vec(), noise(20_000), b"three".to_vec()];
        let mut writes = Vec::new();
        layout::pack_blocks(Index::new(0), all.iter().map(Vec::as_slice), &mut writes);
        store.trail(&writes).unwrap();
        let mut writes = Vec::new();
        layout::pack_blocks(Index::new(3), [noise(20_000).as_slice()], &mut writes);
        assert_eq!(writes.len(), 3);

        let store: Arc<dyn Store> = Arc::new(store);
        for write in &writes {
            store.trail(std::slice::from_ref(write)).unwrap();
            for start in 0..3 {
                let read = Entries::new(Arc::clone(&store), Index::new(start), TreeSize::new(3));
                let read: Vec<Vec<u8>> = read.map(|entry| entry.unwrap().1).collect();
                assert_eq!(read, all[usize::try_from(start).unwrap()..]);
            }
        }
    }

    #[test]
    fn a_block_that_is_gone_is_damage_where_it_is_known_and_where_it_is_not() {
        let store = MemoryStore::default();
        let known = Blocks::default();
        let mut writes = Vec::new();
        layout::pack_blocks(Index::new(0), [b"one".as_slice(), b"two"], &mut writes);
        known.take(&writes, Index::new(2));
        for blocks in [known, Blocks::default()] {
            let read = entries_at(&store, &blocks, &[Index::new(1)], |_, _| Ok(()));
            let damaged = matches!(read, Err(ReadError::EntryDamaged { index: 1 }));
            assert!(damaged, "{read:?}");
        }
    }
}
