//! The tree as RFC 6962 section 2.1 defines it, by recursion over all leaves: slow, obvious, and only
//! there for the tests to agree with.

use super::{EMPTY_ROOT, Hash, Index, TreeSize, leaf_hash, node_hash};

/// The leaf hashes of `count` different entries.
pub(super) fn leaves(count: usize) -> Vec<Hash> {
    (0..count)
        .map(|i| leaf_hash(format!("entry {i}").as_bytes()))
        .collect()
}

pub(super) fn index(index: usize) -> Index {
    Index::new(u64::try_from(index).unwrap())
}

pub(super) fn size(size: usize) -> TreeSize {
    TreeSize::new(u64::try_from(size).unwrap())
}

/// The largest power of two below `n`, for `n` above 1.
fn split(n: usize) -> usize {
    1 << (n - 1).ilog2()
}

/// MTH(D).
pub(super) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// PATH(m, D).
pub(super) fn inclusion(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if m < k {
        (inclusion(m, left), root(right))
    } else {
        (inclusion(m - k, right), root(left))
    };
    path.push(sibling);
    path
}

/// PROOF(m, D).
pub(super) fn consistency(m: usize, leaves: &[Hash]) -> Vec<Hash> {
    subproof(m, leaves, true)
}

fn subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if m == leaves.len() {
        return if known {
            Vec::new()
        } else {
            vec![root(leaves)]
        };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) = if m <= k {
        (subproof(m, left, known), root(right))
    } else {
        (subproof(m - k, right, false), root(left))
    };
    path.push(sibling);
    path
}

/// Proofs that are wrong in one way each: a hash changed, missing, doubled, or one too many.
pub(super) fn mangled(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for i in 0..proof.len() {
        let mut changed = proof.to_vec();
        let mut bytes = *changed[i].as_bytes();
        bytes[i % 32] ^= 1;
        changed[i] = Hash::new(bytes);
        all.push(changed);
        let mut missing = proof.to_vec();
        missing.remove(i);
        all.push(missing);
        let mut doubled = proof.to_vec();
        doubled.insert(i, proof[i]);
        all.push(doubled);
    }
    all.push([proof, &[EMPTY_ROOT]].concat());
    all.push([&[EMPTY_ROOT], proof].concat());
    all
}
