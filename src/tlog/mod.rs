//! The Merkle tree of RFC 6962 over SHA-256: hashes, proofs, and the tiles of C2SP `tlog-tiles` in which
//! the tree is kept.
//!
//! Deliberately absent: what a leaf means, who signed a root, and where a tile is stored. Everything here
//! is a function of its arguments.

#![warn(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::indexing_slicing
)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "a test that overflows fails"
    )
)]

mod edge;
mod frontier;
mod hash;
mod nodes;
mod proof;
#[cfg(test)]
mod reference;
mod tile;

pub use edge::Edge;
pub use frontier::Frontier;
pub use hash::{EMPTY_ROOT, HASH_BYTES, Hash, NotAHash, leaf_hash, leaf_hashes, node_hash};
pub use nodes::{NodeId, ReadError, ReadNodes, prove_consistency, prove_inclusion, root_at};
pub use proof::{ProofRejected, check_consistency, check_inclusion};
pub use tile::{TILE_HEIGHT, TILE_WIDTH, TileId, TileNodes, tile_of, tiles_at};

use std::fmt;

/// The 0-based position of an entry in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(u64);

impl Index {
    /// The index of this number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl Index {
    /// The index of the entry after this one. Indexes end with the numbers, which no log reaches.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many entries a tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u64);

impl TreeSize {
    /// The size of a tree without entries.
    pub const ZERO: Self = Self(0);

    /// The size of this number.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number.
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
