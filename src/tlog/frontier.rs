//! The compact right edge of a tree: the roots of its complete subtrees, enough to add leaves and to
//! know the root, and nothing else.

use super::{EMPTY_ROOT, Hash, TreeSize, node_hash};

/// A tree that can grow and knows its root, in at most 64 hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One for each bit set in `size`: the roots of the complete subtrees, the largest first.
    subtrees: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    pub const fn new() -> Self {
        Self {
            size: 0,
            subtrees: Vec::new(),
        }
    }

    /// The tree of this size with these complete subtrees, the largest first; `None` if a tree of this
    /// size has another number of them.
    pub fn from_complete_subtrees(size: TreeSize, subtrees: Vec<Hash>) -> Option<Self> {
        let size = size.value();
        let fits = usize::try_from(size.count_ones()) == Ok(subtrees.len());
        fits.then_some(Self { size, subtrees })
    }

    /// Adds a leaf at the right.
    pub fn push(&mut self, leaf: Hash) {
        let mut subtree = leaf;
        // As in adding 1 to a binary number: each trailing 1 is a complete subtree that is carried.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                subtree = node_hash(&left, &subtree);
            }
        }
        self.subtrees.push(subtree);
        self.size = self.size.saturating_add(1);
    }

    /// How many leaves it has.
    pub const fn size(&self) -> TreeSize {
        TreeSize::new(self.size)
    }

    /// Its root.
    pub fn root(&self) -> Hash {
        fold(&self.subtrees)
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

/// The root over complete subtrees, the largest first.
pub(super) fn fold(subtrees: &[Hash]) -> Hash {
    let smallest_first = subtrees.iter().rev().copied();
    smallest_first
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or(EMPTY_ROOT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::reference;

    #[test]
    fn the_root_is_the_recursive_one_at_every_size() {
        let leaves = reference::leaves(130);
        let mut frontier = Frontier::default();
        assert_eq!(frontier.root(), EMPTY_ROOT);
        for (index, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf);
            assert_eq!(frontier.size(), reference::size(index + 1));
            assert_eq!(frontier.root(), reference::root(&leaves[..=index]));
            let (size, subtrees) = (frontier.size(), frontier.subtrees.clone());
            let again = Frontier::from_complete_subtrees(size, subtrees);
            assert_eq!(again, Some(frontier.clone()));
        }
    }

    #[test]
    fn a_wrong_number_of_subtrees_is_refused() {
        for (size, count) in [(0, 1), (1, 0), (1, 2), (6, 1), (6, 3), (u64::MAX, 63)] {
            let subtrees = vec![EMPTY_ROOT; count];
            assert_eq!(
                Frontier::from_complete_subtrees(TreeSize::new(size), subtrees),
                None,
                "{size} with {count}"
            );
        }
    }
}
