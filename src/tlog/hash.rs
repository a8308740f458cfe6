//! SHA-256 as RFC 6962 uses it: one prefix for leaves, another for inner nodes, so that a leaf can never
//! be passed off as a node.

use std::{fmt, slice};

use sha2::{Digest as _, Sha256, block_api::compress256};

/// The length of a SHA-256 hash.
pub const HASH_BYTES: usize = 32;

/// The root of the tree without leaves: SHA-256 of nothing (RFC 6962, section 2.1).
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// A SHA-256 hash: of a leaf, of an inner node, or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; HASH_BYTES]);

impl Hash {
    /// 32 zero bytes: no hash, but what stands where there is none.
    pub const ZERO: Self = Self([0; HASH_BYTES]);

    /// The hash with these bytes.
    pub const fn new(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// The hash in a slice of exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, NotAHash> {
        match <[u8; HASH_BYTES]>::try_from(bytes) {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(NotAHash { have: bytes.len() }),
        }
    }

    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Hash {
    type Error = NotAHash;

    fn try_from(bytes: &[u8]) -> Result<Self, NotAHash> {
        Self::from_slice(bytes)
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// In lower-case hex.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes that were to be a hash are not 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash has {HASH_BYTES} bytes, not {have}")]
pub struct NotAHash {
    /// How many there were.
    pub have: usize,
}

/// The state that SHA-256 begins with (FIPS 180-4, section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-256(0x00 || entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let Some(leaf) = Leaf::of(entry) else {
        let hasher = Sha256::new().chain_update([LEAF_PREFIX]);
        return Hash(hasher.chain_update(entry).finalize().into());
    };
    let mut state = INITIAL;
    for part in leaf.parts() {
        compress256(&mut state, part);
    }
    digest(state)
}

/// What [`leaf_hash`] gives for each of these entries, hashed two at a time (see [`both`]).
pub fn leaf_hashes(entries: &[&[u8]], hashes: &mut Vec<Hash>) {
    for pair in entries.chunks(2) {
        let leaves = (
            pair.first().and_then(|entry| Leaf::of(entry)),
            pair.get(1).and_then(|entry| Leaf::of(entry)),
        );
        match leaves {
            (Some(one), Some(other)) => hashes.extend(both(one.parts(), other.parts())),
            _ => hashes.extend(pair.iter().map(|entry| leaf_hash(entry))),
        }
    }
}

/// The blocks of a leaf: all but the first and the last two are hashed where they stand, and nothing is kept in
/// between. That spares a tenth of the time.
struct Leaf<'a> {
    first: [u8; 64],
    middle: &'a [[u8; 64]],
    padded: [[u8; 64]; 2],
    padded_len: usize,
}

impl<'a> Leaf<'a> {
    /// The leaf of an entry that fills the first block.
    fn of(entry: &'a [u8]) -> Option<Self> {
        let (begin, rest) = entry.split_first_chunk::<63>()?;
        let mut first = [LEAF_PREFIX; 64];
        first[1..].copy_from_slice(begin);
        let (middle, end) = rest.as_chunks::<64>();

        // A one bit, zeroes, and the number of bits in eight bytes: in the last block, or one more.
        let mut padded = [[0; 64]; 2];
        if let (text, [one, ..]) = padded.as_flattened_mut().split_at_mut(end.len()) {
            text.copy_from_slice(end);
            *one = 0x80;
        }
        let padded_len = if end.len() < 56 { 1 } else { 2 };
        let (last, _) = padded.split_at_mut(padded_len);
        if let Some(length) = last.as_flattened_mut().last_chunk_mut() {
            // No slice has 2^60 bytes.
            let bytes = u64::try_from(entry.len()).unwrap_or(u64::MAX);
            *length = bytes.saturating_add(1).saturating_mul(8).to_be_bytes();
        }
        Some(Self {
            first,
            middle,
            padded,
            padded_len,
        })
    }

    /// The blocks, as they follow each other.
    fn parts(&self) -> [&[[u8; 64]]; 3] {
        let (padded, _) = self.padded.split_at(self.padded_len);
        [slice::from_ref(&self.first), self.middle, padded]
    }
}

/// The hashes of two messages, given in parts, block by block in turn.
///
/// The rounds of SHA-256 wait for each other and leave most of the processor idle. It fills that by itself with a
/// block that does not depend on the one at hand, where that one comes next: nearly twice as many bytes a second.
fn both<const PARTS: usize>(one: [&[[u8; 64]]; PARTS], other: [&[[u8; 64]]; PARTS]) -> [Hash; 2] {
    let (mut first, mut second) = (INITIAL, INITIAL);
    for (one, other) in one.into_iter().zip(other) {
        let shared = one.len().min(other.len());
        let (one, longer_one) = one.split_at(shared);
        let (other, longer_other) = other.split_at(shared);
        for (one, other) in one.iter().zip(other) {
            compress256(&mut first, slice::from_ref(one));
            compress256(&mut second, slice::from_ref(other));
        }
        compress256(&mut first, longer_one);
        compress256(&mut second, longer_other);
    }
    [digest(first), digest(second)]
}

/// SHA-256(0x01 || left || right).
///
/// A tree has as many nodes as leaves, and their 65 bytes always fill the same two blocks, padding
/// included: laying them out here spares a fifth of the time.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut blocks = [[0; 64]; 2];
    lay_out_node(&mut blocks, left, right);
    let mut state = INITIAL;
    compress256(&mut state, &blocks);
    digest(state)
}

/// The nodes over these pairs: what [`node_hash`] gives for each. Many are laid out before the first is
/// hashed, because the processor waits when it reads at once what it has written piece by piece; and they are hashed
/// two at a time (see [`both`]).
pub(super) fn node_hashes(pairs: &[[Hash; 2]], nodes: &mut [Hash]) {
    const TOGETHER: usize = 16;
    let mut laid_out = [[[0; 64]; 2]; TOGETHER];
    for (pairs, nodes) in pairs.chunks(TOGETHER).zip(nodes.chunks_mut(TOGETHER)) {
        for (blocks, [left, right]) in laid_out.iter_mut().zip(pairs) {
            lay_out_node(blocks, left, right);
        }
        let (two, _) = laid_out.as_chunks();
        let (nodes, _) = nodes.split_at_mut(pairs.len().min(nodes.len()));
        for ([one, other], nodes) in two.iter().zip(nodes.chunks_mut(2)) {
            for (node, hash) in nodes.iter_mut().zip(both([one], [other])) {
                *node = hash;
            }
        }
    }
}

/// Writes a node's bytes and their padding over blocks of zeroes, or of another node.
fn lay_out_node(blocks: &mut [[u8; 64]; 2], left: &Hash, right: &Hash) {
    let [first, second] = blocks;
    first[0] = NODE_PREFIX;
    first[1..33].copy_from_slice(&left.0);
    let (begin, [end]) = right.0.split_at(31) else {
        return;
    };
    first[33..].copy_from_slice(begin);
    second[0] = *end;
    // A one bit, zeroes, and the number of bits: 65 × 8.
    second[1] = 0x80;
    second[62..].copy_from_slice(&520_u16.to_be_bytes());
}

/// The hash that a state stands for.
fn digest(state: [u32; 8]) -> Hash {
    let mut digest = [0; HASH_BYTES];
    let (words, _) = digest.as_chunks_mut();
    for (bytes, word) in words.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    Hash(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(EMPTY_ROOT, Hash(Sha256::digest([]).into()));
    }

    #[test]
    fn leaves_and_nodes_hash_as_known_from_certificate_transparency() {
        let row = |hash: Hash, hex: &str| assert_eq!(hash.to_string(), hex);
        row(
            leaf_hash(b""),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        );
        row(
            node_hash(&leaf_hash(b""), &leaf_hash(b"\0")),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        );
    }

    #[test]
    fn a_leaf_of_any_length_is_hashed_as_the_bytes_it_stands_for() {
        let bytes: Vec<u8> = (0..=255).cycle().take(65_536).collect();
        for length in (0..=1_000).chain([65_473, 65_534, 65_535]) {
            let entry = &bytes[1..=length];
            let prefixed = [&[LEAF_PREFIX][..], entry].concat();
            assert_eq!(
                leaf_hash(entry),
                Hash(Sha256::digest(prefixed).into()),
                "{length}"
            );
        }
    }

    #[test]
    fn leaves_together_are_hashed_as_each_by_itself() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let entry = |length: usize| &bytes[..length];
        // Shorter than a block, as long, longer; alike and not; an odd one at the end.
        let lengths = [0, 62, 63, 64, 118, 119, 127, 128, 519, 520, 1_000];
        for one in lengths {
            for other in lengths {
                let entries = [entry(one), entry(other), entry(one)];
                for count in 0..=entries.len() {
                    let mut hashes = vec![Hash::ZERO];
                    leaf_hashes(&entries[..count], &mut hashes);
                    let each = entries[..count].iter().map(|entry| leaf_hash(entry));
                    let expected: Vec<Hash> = [Hash::ZERO].into_iter().chain(each).collect();
                    assert_eq!(hashes, expected, "{one} {other} {count}");
                }
            }
        }
    }

    #[test]
    fn a_node_is_hashed_as_the_bytes_it_stands_for() {
        for byte in 0..=255 {
            let (left, right) = (leaf_hash(&[byte]), leaf_hash(&[byte, byte]));
            let bytes = [&[NODE_PREFIX][..], left.as_ref(), right.as_ref()].concat();
            assert_eq!(node_hash(&left, &right), Hash(Sha256::digest(bytes).into()));
        }
    }

    #[test]
    fn nodes_together_are_hashed_as_each_by_itself() {
        let leaf = |byte| leaf_hash(&[byte]);
        let pairs: Vec<[Hash; 2]> = (0..40).map(|byte| [leaf(byte), leaf(byte + 100)]).collect();
        for count in 0..=pairs.len() {
            let mut nodes = vec![Hash::ZERO; 41];
            node_hashes(&pairs[..count], &mut nodes);
            let mut expected: Vec<Hash> = pairs[..count]
                .iter()
                .map(|[l, r]| node_hash(l, r))
                .collect();
            expected.resize(41, Hash::ZERO);
            assert_eq!(nodes, expected);
        }
    }

    #[test]
    fn a_hash_is_read_from_32_bytes_only() {
        for have in [0, 1, 31, 33, 64] {
            assert_eq!(Hash::from_slice(&vec![0; have]), Err(NotAHash { have }));
        }
        assert_eq!(Hash::from_slice(&[7; 32]), Ok(Hash([7; 32])));
    }
}
