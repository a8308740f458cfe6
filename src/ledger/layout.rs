//! Where the log lies in the store: key bytes and value bytes, big-endian, and nothing else.
//!
//! | key | value |
//! |---|---|
//! | `00` first index (8) part (1) | a block of consecutive entries, see `block` |
//! | `01` level (1) tile index (8) half (1) | half of a full tile: 128 hashes |
//! | `02` | what the newest checkpoint was before it was kept with the head: read where the head has none |
//! | `03` key name, `\0` | a witness's newest cosigned note |
//! | `04` level (1) tile index (8) | the root of a full tile |
//! | `10`..`1f` | views, see `views` |
//!
//! Entries are packed because sled pays for keys more than for bytes: one key an entry costs eight times the disk. A block
//! that is larger than a value may be has parts.

use super::block::Filling;
use crate::{
    store::{KeyRange, Write, every_second_first},
    tlog::{Index, TileId, TileNodes},
};

/// Values stay under the store's 7 KiB.
const PART_BYTES: usize = 7_000;

const BLOCK: u8 = 0x00;
const TILE: u8 = 0x01;
const CHECKPOINT: u8 = 0x02;
const COSIGNED: u8 = 0x03;
const TILE_ROOT: u8 = 0x04;

/// A full tile's 256 hashes are 8,192 bytes: two values.
const HALF_BYTES: usize = 128 * 32;

/// The key that the newest checkpoint once had.
pub(crate) const CHECKPOINT_KEY: &[u8] = &[CHECKPOINT];

/// The key of the note that a witness cosigned last.
pub(crate) fn cosigned_key(witness: &str) -> Vec<u8> {
    let mut key = vec![COSIGNED];
    key.extend_from_slice(witness.as_bytes());
    key.push(0);
    key
}

/// All cosigned notes.
pub(crate) fn cosigned_range() -> KeyRange {
    KeyRange {
        start: vec![COSIGNED],
        end: vec![COSIGNED + 1],
    }
}

/// The key of a part of the block that starts at `first`.
pub(crate) fn block_key(first: Index, part: u8) -> Vec<u8> {
    let mut key = Vec::with_capacity(10);
    key.push(BLOCK);
    key.extend_from_slice(&first.value().to_be_bytes());
    key.push(part);
    key
}

/// The first index of the block that a key names, and which part of it.
pub(crate) fn parse_block_key(key: &[u8]) -> Option<(Index, u8)> {
    let (&kind, rest) = key.split_first()?;
    let (first, part) = rest.split_first_chunk::<8>()?;
    match part {
        [part] if kind == BLOCK => Some((Index::new(u64::from_be_bytes(*first)), *part)),
        _ => None,
    }
}

/// All blocks that start at `first` or later.
pub(crate) fn blocks_from(first: Index) -> KeyRange {
    KeyRange {
        start: block_key(first, 0),
        end: vec![BLOCK + 1],
    }
}

/// All blocks that start at `first` or later, and before `end`.
pub(crate) fn blocks_between(first: Index, end: Index) -> KeyRange {
    KeyRange {
        start: block_key(first, 0),
        end: block_key(end, 0),
    }
}

/// All blocks that start at `last` or earlier.
pub(crate) fn blocks_up_to(last: Index) -> KeyRange {
    let mut end = block_key(last, u8::MAX);
    end.push(0);
    KeyRange {
        start: vec![BLOCK],
        end,
    }
}

/// Packs consecutive entries, the first at `first`, into blocks, as [`every_second_first`].
pub(crate) fn pack_blocks<'a>(
    first: Index,
    entries: impl IntoIterator<Item = &'a [u8]>,
    writes: &mut Vec<Write>,
) {
    let mut puts = Vec::new();
    let mut block_first = first;
    let mut index = first;
    let mut block = Filling::default();
    for entry in entries {
        if !block.has_room_for(entry) {
            put_block(block_first, std::mem::take(&mut block), &mut puts);
            block_first = index;
        }
        block.push(entry);
        index = index.next();
    }
    if !block.is_empty() {
        put_block(block_first, block, &mut puts);
    }
    writes.append(&mut every_second_first(puts));
}

fn put_block(first: Index, block: Filling, writes: &mut Vec<Write>) {
    // 65,535 bytes and a length are ten parts at most.
    for (part, value) in (0_u8..).zip(block.finish().chunks(PART_BYTES)) {
        writes.push(Write::Put {
            key: block_key(first, part),
            value: value.to_vec(),
        });
    }
}

/// Whether a part of a block may be followed by another: all but the last are as long as they can be.
pub(crate) const fn may_go_on(part: &[u8]) -> bool {
    part.len() == PART_BYTES
}

/// The two keys of a full tile.
pub(crate) fn tile_keys(tile: TileId) -> [Vec<u8>; 2] {
    [0_u8, 1].map(|half| {
        let mut key = Vec::with_capacity(11);
        key.push(TILE);
        key.push(tile.level);
        key.extend_from_slice(&tile.index.to_be_bytes());
        key.push(half);
        key
    })
}

/// The roots of the full tiles `first..end` of a level: the hashes of the tile above.
pub(crate) fn tile_roots(level: u8, first: u64, end: u64) -> KeyRange {
    let key = |index: u64| [&[TILE_ROOT, level], index.to_be_bytes().as_slice()].concat();
    KeyRange {
        start: key(first),
        end: key(end),
    }
}

/// Puts a full tile and its root.
pub(crate) fn put_tile(tile: TileId, nodes: &TileNodes, writes: &mut Vec<Write>) {
    if let Some(root) = nodes.root() {
        let key = tile_roots(tile.level, tile.index, tile.index).start;
        writes.push(Write::Put {
            key,
            value: root.as_bytes().to_vec(),
        });
    }
    let hashes = nodes.hashes();
    let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
    for (key, half) in tile_keys(tile).into_iter().zip(bytes.chunks(HALF_BYTES)) {
        writes.push(Write::Put {
            key,
            value: half.to_vec(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::block::{Block, noise};

    fn entries_of(writes: &[Write]) -> Vec<(Index, Vec<u8>)> {
        let mut puts = Vec::new();
        for write in writes {
            let Write::Put { key, value } = write else {
                panic!("a block is never removed here")
            };
            puts.push((key, value));
        }
        puts.sort();
        let mut blocks = std::collections::BTreeMap::<Index, Vec<u8>>::new();
        for (key, value) in puts {
            assert!(
                value.len() <= 7 * 1024,
                "the store takes values up to 7 KiB"
            );
            let (first, _) = parse_block_key(key).unwrap();
            blocks.entry(first).or_default().extend_from_slice(value);
        }
        let mut entries = Vec::new();
        for (first, block) in blocks {
            let mut index = first;
            for entry in Block::read(block).unwrap().entries_from(0) {
                entries.push((index, entry.to_vec()));
                index = index.next();
            }
        }
        entries
    }

    #[test]
    fn entries_of_every_size_come_back_from_their_blocks() {
        let sizes = [
            1, 100, 3_490, 3_496, 3_497, 6_996, 6_997, 7_000, 600, 600, 65_535, 0, 14_000, 3,
        ];
        let same = |size| vec![7; size];
        let both = |size| [noise(size / 2), vec![7; size - size / 2]].concat();
        for bytes in [noise as fn(usize) -> Vec<u8>, same, both] {
            let entries: Vec<Vec<u8>> = sizes.iter().map(|&size| bytes(size)).collect();
            let mut writes = Vec::new();
            pack_blocks(
                Index::new(41),
                entries.iter().map(Vec::as_slice),
                &mut writes,
            );
            let expected: Vec<_> = (41..).map(Index::new).zip(entries).collect();
            assert_eq!(entries_of(&writes), expected);
        }
    }

    #[test]
    fn only_what_stays_larger_than_a_value_may_be_has_parts() {
        let writes_of = |entry: &[u8]| {
            let mut writes = Vec::new();
            pack_blocks(Index::new(9), [entry], &mut writes);
            writes.len()
        };
        assert_eq!(writes_of(&noise(65_535)), 10);
        assert_eq!(writes_of(&vec![7; 65_535]), 1);
        assert_eq!(writes_of(&noise(6_996)), 1);
        assert_eq!(writes_of(&noise(6_997)), 2);
        assert_eq!(writes_of(&[noise(10_000), vec![7; 50_000]].concat()), 2);
    }

    #[test]
    fn every_second_key_comes_first_then_those_between_all_behind_what_was_there() {
        let before = Write::Remove { key: vec![7] };
        let mut writes = vec![before.clone()];
        let entries = vec![[0; 6_000]; 5];
        pack_blocks(
            Index::new(3),
            entries.iter().map(<[_; 6_000]>::as_slice),
            &mut writes,
        );
        let keys: Vec<&[u8]> = writes.iter().map(Write::key).collect();
        let blocks = [3, 5, 7, 4, 6].map(|first| block_key(Index::new(first), 0));
        assert_eq!(keys[0], before.key());
        assert_eq!(keys[1..], blocks.each_ref().map(Vec::as_slice));
    }
}
