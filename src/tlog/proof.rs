//! Checking inclusion and consistency proofs, as RFC 9162 sections 2.1.3.2 and 2.1.4.2 describe it.

use super::{Hash, Index, TreeSize, node_hash};

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofRejected {
    /// The leaf cannot be in a tree of that size.
    #[error("index {index} is not below the tree size {size}")]
    IndexBeyond {
        /// The leaf's index.
        index: Index,
        /// The tree's size.
        size: TreeSize,
    },
    /// Every tree extends the empty one, so a proof of it says nothing.
    #[error("consistency with the empty tree proves nothing")]
    OldTreeEmpty,
    /// The older tree is larger than the newer one.
    #[error("the older tree size {old} is above the newer tree size {new}")]
    SizesReversed {
        /// The older tree's size.
        old: TreeSize,
        /// The newer tree's size.
        new: TreeSize,
    },
    /// The proof ends before it reaches the root.
    #[error("a proof of {have} hashes is too short")]
    TooShort {
        /// How many hashes it has.
        have: usize,
    },
    /// The proof goes on beyond the root.
    #[error("a proof of {have} hashes is too long")]
    TooLong {
        /// How many hashes it has.
        have: usize,
    },
    /// The proof leads to another root.
    #[error("the proof leads to the root {computed}, not to {claimed}")]
    OtherRoot {
        /// The root it leads to.
        computed: Hash,
        /// The root it was to lead to.
        claimed: Hash,
    },
    /// The proof does not start from the older tree.
    #[error("the proof starts from the older root {computed}, not from {claimed}")]
    OtherOldRoot {
        /// The older root it starts from.
        computed: Hash,
        /// The older root it was to start from.
        claimed: Hash,
    },
}

/// Is `leaf` at `index` of the tree that has this size and root?
pub fn check_inclusion(
    proof: &[Hash],
    index: Index,
    size: TreeSize,
    leaf: Hash,
    root: Hash,
) -> Result<(), ProofRejected> {
    if size.value() <= index.value() {
        return Err(ProofRejected::IndexBeyond { index, size });
    }
    let mut climb = Climb::from_leaves(index.value(), size.value().saturating_sub(1));
    let mut computed = leaf;
    for sibling in proof {
        computed = match climb.step(proof.len())? {
            Sibling::Left => node_hash(sibling, &computed),
            Sibling::Right => node_hash(&computed, sibling),
        };
    }
    climb.finish(proof.len())?;
    if computed != root {
        return Err(ProofRejected::OtherRoot {
            computed,
            claimed: root,
        });
    }
    Ok(())
}

/// Is the tree of size `old` a prefix of the tree of size `new`?
///
/// An older size of 0 is always rejected: whoever starts from nothing has nothing to compare.
pub fn check_consistency(
    proof: &[Hash],
    old: TreeSize,
    new: TreeSize,
    old_root: Hash,
    new_root: Hash,
) -> Result<(), ProofRejected> {
    let have = proof.len();
    if old == TreeSize::ZERO {
        return Err(ProofRejected::OldTreeEmpty);
    }
    if new < old {
        return Err(ProofRejected::SizesReversed { old, new });
    }
    if old == new {
        if have != 0 {
            return Err(ProofRejected::TooLong { have });
        }
        return expect_roots((old_root, old_root), (old_root, new_root));
    }

    // A complete older tree is itself a node of the newer one: the proof starts from its root, which
    // is left out because the checker knows it.
    let (start, rest) = if old.value().is_power_of_two() && !proof.is_empty() {
        (&old_root, proof)
    } else {
        proof
            .split_first()
            .ok_or(ProofRejected::TooShort { have })?
    };

    let mut climb =
        Climb::from_leaves(old.value().saturating_sub(1), new.value().saturating_sub(1));
    climb.skip_complete();
    let (mut older, mut newer) = (*start, *start);
    for sibling in rest {
        match climb.step(have)? {
            Sibling::Left => {
                older = node_hash(sibling, &older);
                newer = node_hash(sibling, &newer);
            }
            Sibling::Right => newer = node_hash(&newer, sibling),
        }
    }
    climb.finish(have)?;
    expect_roots((older, newer), (old_root, new_root))
}

fn expect_roots(computed: (Hash, Hash), claimed: (Hash, Hash)) -> Result<(), ProofRejected> {
    if computed.0 != claimed.0 {
        return Err(ProofRejected::OtherOldRoot {
            computed: computed.0,
            claimed: claimed.0,
        });
    }
    if computed.1 != claimed.1 {
        return Err(ProofRejected::OtherRoot {
            computed: computed.1,
            claimed: claimed.1,
        });
    }
    Ok(())
}

/// The way from a node up to the root: `fn` and `sn` of RFC 9162.
struct Climb {
    /// The node's index at the present level.
    node: u64,
    /// The index of the last node at the present level.
    last: u64,
}

enum Sibling {
    Left,
    Right,
}

impl Climb {
    fn from_leaves(node: u64, last: u64) -> Self {
        Self { node, last }
    }

    fn up(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }

    /// Up to the root of the largest complete subtree that ends with this node.
    fn skip_complete(&mut self) {
        while self.node & 1 == 1 {
            self.up();
        }
    }

    /// On which side the next sibling stands; climbs above it.
    fn step(&mut self, have: usize) -> Result<Sibling, ProofRejected> {
        if self.last == 0 {
            return Err(ProofRejected::TooLong { have });
        }
        let sibling = if self.node & 1 == 1 {
            Sibling::Left
        } else if self.node == self.last {
            // The last node of a level without a right sibling moves up as it is.
            while self.node & 1 == 0 && self.node != 0 {
                self.up();
            }
            Sibling::Left
        } else {
            Sibling::Right
        };
        self.up();
        Ok(sibling)
    }

    fn finish(&self, have: usize) -> Result<(), ProofRejected> {
        if self.last != 0 {
            return Err(ProofRejected::TooShort { have });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde_json::Value;

    use super::*;
    use crate::tlog::{EMPTY_ROOT, leaf_hash, reference};

    /// As many sizes as reach one full level of 128 leaves and a little beyond.
    const SIZES: usize = 130;

    /// As many as reach every shape of the right edge over a full level of 32.
    const SIZES_MANGLED: usize = 35;

    #[test]
    fn every_inclusion_is_accepted_and_every_mangled_one_is_not() {
        let leaves = reference::leaves(SIZES);
        for size in 1..=leaves.len() {
            let root = reference::root(&leaves[..size]);
            for index in 0..size {
                let proof = reference::inclusion(index, &leaves[..size]);
                let check = |proof: &[Hash], leaf, root| {
                    check_inclusion(
                        proof,
                        reference::index(index),
                        reference::size(size),
                        leaf,
                        root,
                    )
                };
                assert_eq!(
                    check(&proof, leaves[index], root),
                    Ok(()),
                    "{index} of {size}"
                );
                assert!(check(&proof, leaves[index], EMPTY_ROOT).is_err());
                assert!(check(&proof, EMPTY_ROOT, root).is_err());
                // Mangling and moving repeat themselves from tree to tree: a part of them is enough.
                if SIZES_MANGLED < size {
                    continue;
                }
                for mangled in reference::mangled(&proof) {
                    assert!(
                        check(&mangled, leaves[index], root).is_err(),
                        "{index} of {size}"
                    );
                }
                // The same proof does not hold at another place.
                for other in 0..=size {
                    let result = check_inclusion(
                        &proof,
                        reference::index(other),
                        reference::size(size),
                        leaves[index],
                        root,
                    );
                    assert_eq!(
                        result.is_ok(),
                        other == index,
                        "{index} at {other} of {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_consistency_is_accepted_and_every_mangled_one_is_not() {
        let leaves = reference::leaves(SIZES);
        for new in 1..=leaves.len() {
            let new_root = reference::root(&leaves[..new]);
            for old in 1..=new {
                let old_root = reference::root(&leaves[..old]);
                let proof = reference::consistency(old, &leaves[..new]);
                let check = |proof: &[Hash], old_root, new_root| {
                    let (old, new) = (reference::size(old), reference::size(new));
                    check_consistency(proof, old, new, old_root, new_root)
                };
                assert_eq!(check(&proof, old_root, new_root), Ok(()), "{old} to {new}");
                assert!(check(&proof, EMPTY_ROOT, new_root).is_err());
                assert!(check(&proof, old_root, EMPTY_ROOT).is_err());
                if SIZES_MANGLED < new {
                    continue;
                }
                for mangled in reference::mangled(&proof) {
                    assert!(
                        check(&mangled, old_root, new_root).is_err(),
                        "{old} to {new}"
                    );
                }
            }
        }
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_with_their_numbers() {
        let (zero, one, two) = (TreeSize::ZERO, TreeSize::new(1), TreeSize::new(2));
        let root = EMPTY_ROOT;
        let inclusion = |index, size| check_inclusion(&[], Index::new(index), size, root, root);
        let beyond = |index, size| {
            let index = Index::new(index);
            Err(ProofRejected::IndexBeyond { index, size })
        };
        assert_eq!(inclusion(0, zero), beyond(0, zero));
        assert_eq!(inclusion(1, one), beyond(1, one));
        assert_eq!(inclusion(u64::MAX, two), beyond(u64::MAX, two));
        assert_eq!(
            inclusion(0, TreeSize::new(u64::MAX)),
            Err(ProofRejected::TooShort { have: 0 })
        );

        let consistency = |old, new| check_consistency(&[], old, new, root, root);
        assert_eq!(consistency(zero, zero), Err(ProofRejected::OldTreeEmpty));
        assert_eq!(consistency(zero, one), Err(ProofRejected::OldTreeEmpty));
        assert_eq!(
            consistency(two, one),
            Err(ProofRejected::SizesReversed { old: two, new: one })
        );
        assert_eq!(
            consistency(one, two),
            Err(ProofRejected::TooShort { have: 0 })
        );
    }

    fn bytes(value: &Value) -> Vec<u8> {
        BASE64_STANDARD
            .decode(value.as_str().unwrap_or(""))
            .unwrap()
    }

    /// Some vectors put other bytes than 32 where only equality matters; here another hash stands for them.
    fn root(value: &Value) -> Hash {
        let bytes = bytes(value);
        Hash::from_slice(&bytes).unwrap_or_else(|_| leaf_hash(&bytes))
    }

    /// `None` if one of them is no hash: such a proof must be one to refuse.
    fn proof(vector: &Value) -> Option<Vec<Hash>> {
        let hashes = vector["proof"].as_array().into_iter().flatten();
        hashes
            .map(|hash| Hash::from_slice(&bytes(hash)).ok())
            .collect()
    }

    fn json_files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        entries
            .flat_map(|path| {
                if path.is_dir() {
                    json_files(&path)
                } else {
                    vec![path]
                }
            })
            .collect()
    }

    fn check_vectors(kind: &str, check: impl Fn(&Value, &[Hash]) -> bool) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors/transparency-dev-merkle/testdata")
            .join(kind);
        let files = json_files(&folder);
        assert_eq!(files.len(), 98);
        for path in files {
            let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let accepted = proof(&vector).is_some_and(|proof| check(&vector, &proof));
            let expected = !vector["wantErr"].as_bool().unwrap();
            assert_eq!(accepted, expected, "{}", path.display());
        }
    }

    #[test]
    fn the_inclusion_vectors_of_others_agree() {
        check_vectors("inclusion", |vector, proof| {
            let index = Index::new(vector["leafIdx"].as_u64().unwrap());
            let size = TreeSize::new(vector["treeSize"].as_u64().unwrap());
            let leaf = Hash::from_slice(&bytes(&vector["leafHash"]));
            let root = Hash::from_slice(&bytes(&vector["root"]));
            leaf.is_ok_and(|leaf| {
                root.is_ok_and(|root| check_inclusion(proof, index, size, leaf, root).is_ok())
            })
        });
    }

    #[test]
    fn the_consistency_vectors_of_others_agree() {
        check_vectors("consistency", |vector, proof| {
            let old = TreeSize::new(vector["size1"].as_u64().unwrap());
            let new = TreeSize::new(vector["size2"].as_u64().unwrap());
            let (old_root, new_root) = (root(&vector["root1"]), root(&vector["root2"]));
            check_consistency(proof, old, new, old_root, new_root).is_ok()
        });
    }
}
