//! Making proofs and roots from stored nodes: which complete subtrees are needed, in one read, and how
//! they are folded into the hashes of a proof.

use std::error::Error;

use super::{EMPTY_ROOT, Hash, Index, TreeSize, frontier::fold};

/// The root of a complete subtree of 2^level leaves, the `index`-th of its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// How far above the leaves it stands: 0 for a leaf.
    pub level: u8,
    /// Its place among the nodes of its level, from the left.
    pub index: u64,
}

/// Where the nodes of a tree are kept.
pub trait ReadNodes {
    /// Why a read failed.
    type Error: Error + 'static;

    /// The hashes of these nodes, in the same order.
    ///
    /// Nodes are named only if they are complete in a tree of the size that was asked for, and all that
    /// a proof needs come in one call. A node that is not there is an error.
    fn read_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Self::Error>;
}

/// Why a proof, a root or an edge could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError<E: Error + 'static> {
    /// There is no such leaf in a tree of that size.
    #[error("index {index} is not below the tree size {size}")]
    IndexBeyond {
        /// The leaf asked for.
        index: Index,
        /// The tree's size.
        size: TreeSize,
    },
    /// A proof that starts from the empty tree would be empty and prove nothing.
    #[error("consistency with the empty tree cannot be proved")]
    OldTreeEmpty,
    /// The older tree is larger than the newer one.
    #[error("the older tree size {old} is above the newer tree size {new}")]
    SizesReversed {
        /// The older tree's size.
        old: TreeSize,
        /// The newer tree's size.
        new: TreeSize,
    },
    /// The stored hashes are not as many as were asked for.
    #[error("asked for {asked} hashes, read {have}")]
    WrongCount {
        /// How many were asked for.
        asked: usize,
        /// How many came.
        have: usize,
    },
    /// The nodes could not be read.
    #[error("the tree's hashes could not be read")]
    Read(#[source] E),
}

/// The proof that a leaf is in the tree of this size: siblings from the leaf up (RFC 6962, 2.1.1).
pub fn prove_inclusion<R: ReadNodes>(
    nodes: &R,
    index: Index,
    size: TreeSize,
) -> Result<Vec<Hash>, ReadError<R::Error>> {
    if size.value() <= index.value() {
        return Err(ReadError::IndexBeyond { index, size });
    }
    // One for each level of the tree at most.
    let mut siblings = Vec::with_capacity(64);
    let mut around = Span::whole(size);
    while let Some((left, right)) = around.split() {
        if index.value() < right.start {
            siblings.push(right);
            around = left;
        } else {
            siblings.push(left);
            around = right;
        }
    }
    siblings.reverse();
    read_spans(nodes, &siblings)
}

/// The proof that the tree of the newer size extends the tree of the older one (RFC 6962, 2.1.2).
pub fn prove_consistency<R: ReadNodes>(
    nodes: &R,
    old: TreeSize,
    new: TreeSize,
) -> Result<Vec<Hash>, ReadError<R::Error>> {
    if old == TreeSize::ZERO {
        return Err(ReadError::OldTreeEmpty);
    }
    if new < old {
        return Err(ReadError::SizesReversed { old, new });
    }
    let mut siblings = Vec::new();
    let mut around = Span::whole(new);
    // Halve until what is left ends where the older tree ends.
    while around.end != old.value() {
        let Some((left, right)) = around.split() else {
            break;
        };
        if old.value() <= right.start {
            siblings.push(right);
            around = left;
        } else {
            siblings.push(left);
            around = right;
        }
    }
    // The checker knows the older tree's root, but no other node to start from.
    if around.start != 0 {
        siblings.push(around);
    }
    siblings.reverse();
    read_spans(nodes, &siblings)
}

/// The root of the tree of this size.
pub fn root_at<R: ReadNodes>(nodes: &R, size: TreeSize) -> Result<Hash, ReadError<R::Error>> {
    let root = read_spans(nodes, &[Span::whole(size)])?;
    Ok(root.first().copied().unwrap_or(EMPTY_ROOT))
}

/// A run of leaves whose hash the RFC's recursion asks for: it starts on a multiple of the largest power
/// of two that fits into it.
#[derive(Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
}

impl Span {
    const fn whole(size: TreeSize) -> Self {
        Self {
            start: 0,
            end: size.value(),
        }
    }

    const fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// At the largest power of two below its length, as RFC 6962 splits; a single leaf is not split.
    fn split(self) -> Option<(Self, Self)> {
        let last = self.len().checked_sub(1)?;
        let middle = self
            .start
            .saturating_add(power_of_two(last.checked_ilog2()?));
        Some((
            Self {
                end: middle,
                ..self
            },
            Self {
                start: middle,
                ..self
            },
        ))
    }

    /// The complete subtrees it consists of, the largest first.
    fn subtrees(self) -> impl Iterator<Item = NodeId> {
        let mut start = self.start;
        std::iter::from_fn(move || {
            let level = self.end.saturating_sub(start).checked_ilog2()?;
            let node = NodeId {
                level: u8::try_from(level).ok()?,
                index: start.checked_shr(level)?,
            };
            start = start.saturating_add(power_of_two(level));
            Some(node)
        })
    }
}

/// 2^exponent, for an exponent below 64.
fn power_of_two(exponent: u32) -> u64 {
    1_u64.unbounded_shl(exponent)
}

/// The hash of each span, read in one go.
fn read_spans<R: ReadNodes>(nodes: &R, spans: &[Span]) -> Result<Vec<Hash>, ReadError<R::Error>> {
    // Most spans are one subtree; only the last in the tree may be several.
    let mut ids = Vec::with_capacity(spans.len().saturating_mul(2));
    let mut counts = Vec::with_capacity(spans.len());
    for span in spans {
        let before = ids.len();
        ids.extend(span.subtrees());
        counts.push(ids.len().saturating_sub(before));
    }
    let hashes = nodes.read_nodes(&ids).map_err(ReadError::Read)?;
    let wrong_count = ReadError::WrongCount {
        asked: ids.len(),
        have: hashes.len(),
    };
    let mut rest = hashes.as_slice();
    let mut folded = Vec::with_capacity(spans.len());
    for count in counts {
        let Some((subtrees, others)) = rest.split_at_checked(count) else {
            return Err(wrong_count);
        };
        folded.push(fold(subtrees));
        rest = others;
    }
    if rest.is_empty() {
        Ok(folded)
    } else {
        Err(wrong_count)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, fmt};

    use super::*;
    use crate::tlog::reference;

    struct Leaves {
        hashes: Vec<Hash>,
        reads: Cell<usize>,
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Absent(NodeId);

    impl fmt::Display for Absent {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:?} is not there", self.0)
        }
    }

    impl Error for Absent {}

    impl ReadNodes for Leaves {
        type Error = Absent;

        fn read_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Absent> {
            self.reads.set(self.reads.get() + 1);
            let node = |id: &NodeId| {
                let width = 1 << id.level;
                let start = usize::try_from(id.index).unwrap() * width;
                let leaves = self.hashes.get(start..start + width).ok_or(Absent(*id))?;
                Ok(reference::root(leaves))
            };
            ids.iter().map(node).collect()
        }
    }

    fn leaves(count: usize) -> Leaves {
        Leaves {
            hashes: reference::leaves(count),
            reads: Cell::new(0),
        }
    }

    #[test]
    fn every_proof_and_root_is_the_recursive_one() {
        let nodes = leaves(130);
        assert_eq!(root_at(&nodes, TreeSize::ZERO), Ok(EMPTY_ROOT));
        for size in 1..=nodes.hashes.len() {
            let leaves = &nodes.hashes[..size];
            let tree_size = reference::size(size);
            assert_eq!(root_at(&nodes, tree_size), Ok(reference::root(leaves)));
            for index in 0..size {
                assert_eq!(
                    prove_inclusion(&nodes, reference::index(index), tree_size),
                    Ok(reference::inclusion(index, leaves)),
                    "{index} of {size}"
                );
            }
            for old in 1..=size {
                assert_eq!(
                    prove_consistency(&nodes, reference::size(old), tree_size),
                    Ok(reference::consistency(old, leaves)),
                    "{old} to {size}"
                );
            }
        }
    }

    #[test]
    fn a_proof_asks_for_its_nodes_in_one_read() {
        let nodes = leaves(100);
        prove_inclusion(&nodes, Index::new(37), TreeSize::new(100)).unwrap();
        assert_eq!(nodes.reads.get(), 1);
        prove_consistency(&nodes, TreeSize::new(37), TreeSize::new(100)).unwrap();
        assert_eq!(nodes.reads.get(), 2);
    }

    #[test]
    fn what_cannot_be_proved_is_an_error_with_its_numbers() {
        let nodes = leaves(4);
        let (index, size) = (Index::new(4), TreeSize::new(4));
        let (zero, five) = (TreeSize::ZERO, TreeSize::new(5));
        assert_eq!(
            prove_inclusion(&nodes, index, size),
            Err(ReadError::IndexBeyond { index, size })
        );
        assert_eq!(
            prove_inclusion(&nodes, Index::new(0), zero),
            Err(ReadError::IndexBeyond {
                index: Index::new(0),
                size: zero
            })
        );
        assert_eq!(
            prove_consistency(&nodes, zero, size),
            Err(ReadError::OldTreeEmpty)
        );
        assert_eq!(
            prove_consistency(&nodes, five, size),
            Err(ReadError::SizesReversed {
                old: five,
                new: size
            })
        );
        let absent = Absent(NodeId { level: 0, index: 4 });
        assert_eq!(
            prove_inclusion(&nodes, Index::new(0), five),
            Err(ReadError::Read(absent))
        );
    }

    #[test]
    fn a_reader_that_returns_too_few_or_too_many_hashes_is_found_out() {
        struct Off(usize);
        impl ReadNodes for Off {
            type Error = Absent;

            fn read_nodes(&self, _: &[NodeId]) -> Result<Vec<Hash>, Absent> {
                Ok(vec![EMPTY_ROOT; self.0])
            }
        }
        for have in [0, 1, 3] {
            assert_eq!(
                prove_inclusion(&Off(have), Index::new(0), TreeSize::new(4)),
                Err(ReadError::WrongCount { asked: 2, have })
            );
        }
    }

    #[test]
    fn the_largest_tree_is_within_reach() {
        struct Any;
        impl ReadNodes for Any {
            type Error = Absent;

            fn read_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Absent> {
                Ok(vec![EMPTY_ROOT; ids.len()])
            }
        }
        let size = TreeSize::new(u64::MAX);
        let proof = prove_inclusion(&Any, Index::new(u64::MAX - 1), size).unwrap();
        assert_eq!(proof.len(), 63);
        prove_consistency(&Any, TreeSize::new(u64::MAX - 1), size).unwrap();
        assert_eq!(root_at(&Any, size).map(drop), Ok(()));
    }
}
