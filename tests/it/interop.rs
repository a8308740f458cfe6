//! Implementations by others as judges: `ct-merkle` of the tree and its proofs, Cloudflare's `signed_note`
//! and `tlog_tiles` of what the ledger signs and of the tiles that it exports. What we make they accept,
//! what they make we accept, and what we refuse they refuse.

use std::{convert::Infallible, fs, path::Path};

use ct_merkle::{
    ConsistencyProof, InclusionProof, RootHash, digest::Output, mem_backed_tree::MemoryBackedTree,
};
use ed25519_dalek::SigningKey;
use genetrail::{
    note::{Checkpoint, KeyName, NoteSigner, Origin, open_checkpoint},
    tlog::{
        self, Hash, Index, NodeId, ReadNodes, TreeSize, check_consistency, check_inclusion,
        leaf_hash, node_hash, prove_consistency, prove_inclusion, root_at,
    },
    verify::ExportWriter,
};
use sha2::Sha256;
use signed_note::{StandardSigner, StandardVerifier, VerifierList};
use tlog_tiles::{HashReader, Tile, TileHashReader, TileReader};

const ORIGIN: &str = "log.example/trail";

/// The complete subtrees of a growing tree, by level.
#[derive(Default)]
struct Levels(Vec<Vec<Hash>>);

impl Levels {
    fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.0.len() == level {
                self.0.push(Vec::new());
            }
            let nodes = &mut self.0[level];
            nodes.push(hash);
            let [.., left, right] = nodes.as_slice() else {
                return;
            };
            if nodes.len() % 2 == 1 {
                return;
            }
            hash = node_hash(left, right);
        }
    }
}

impl ReadNodes for Levels {
    type Error = Infallible;

    fn read_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Infallible> {
        let node = |id: &NodeId| self.0[usize::from(id.level)][usize::try_from(id.index).unwrap()];
        Ok(ids.iter().map(node).collect())
    }
}

/// A tree of which all leaves are the same, so that it may be as large as one likes: the complete subtrees
/// of a level are the same, too.
struct Endless(Vec<Hash>);

impl Endless {
    fn of(entry: &[u8]) -> Self {
        let above = |hash: &Hash| Some(node_hash(hash, hash));
        Self(
            std::iter::successors(Some(leaf_hash(entry)), above)
                .take(64)
                .collect(),
        )
    }
}

impl ReadNodes for Endless {
    type Error = Infallible;

    fn read_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, Infallible> {
        Ok(ids.iter().map(|id| self.0[usize::from(id.level)]).collect())
    }
}

impl HashReader for Endless {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let hash = |index: &u64| {
            let (level, _) = tlog_tiles::split_stored_hash_index(*index);
            tlog_tiles::Hash(*self.0[usize::from(level)].as_bytes())
        };
        Ok(indexes.iter().map(hash).collect())
    }
}

fn entry(index: u64) -> Vec<u8> {
    format!("entry {index}").into_bytes()
}

fn joined(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(Hash::as_bytes).copied().collect()
}

fn parted(bytes: &[u8]) -> Vec<Hash> {
    bytes
        .chunks(32)
        .map(|hash| Hash::from_slice(hash).unwrap())
        .collect()
}

fn their_root(root: Hash, size: u64) -> RootHash<Sha256> {
    RootHash::new(Output::<Sha256>::from(*root.as_bytes()), size)
}

/// Our tree and theirs, side by side.
#[derive(Default)]
struct Both {
    ours: Levels,
    theirs: MemoryBackedTree<Sha256, Vec<u8>>,
}

impl Both {
    fn grow_to(&mut self, size: u64) {
        for index in self.theirs.len()..size {
            self.ours.push(leaf_hash(&entry(index)));
            self.theirs.push(entry(index));
        }
    }

    fn root(&self, size: u64) -> Hash {
        root_at(&self.ours, TreeSize::new(size)).unwrap()
    }

    #[track_caller]
    fn compare_roots(&self) {
        let size = self.theirs.len();
        assert_eq!(
            self.root(size).as_bytes(),
            self.theirs.root().as_bytes().as_slice(),
            "{size}"
        );
    }

    #[track_caller]
    fn compare_inclusion(&self, index: u64) {
        let size = self.theirs.len();
        let root = self.root(size);
        let ours = prove_inclusion(&self.ours, Index::new(index), TreeSize::new(size)).unwrap();
        let theirs = self.theirs.prove_inclusion(usize::try_from(index).unwrap());
        assert_eq!(joined(&ours), theirs.as_bytes(), "{index} in {size}");
        let leaf = leaf_hash(&entry(index));
        let theirs = parted(theirs.as_bytes());
        check_inclusion(&theirs, Index::new(index), TreeSize::new(size), leaf, root).unwrap();
        let ours = InclusionProof::from_bytes(joined(&ours));
        their_root(root, size)
            .verify_inclusion(&entry(index), index, &ours)
            .unwrap();
    }

    #[track_caller]
    fn compare_consistency(&self, old: u64) {
        let new = self.theirs.len();
        let roots = (self.root(old), self.root(new));
        let ours = prove_consistency(&self.ours, TreeSize::new(old), TreeSize::new(new)).unwrap();
        let theirs = self
            .theirs
            .prove_consistency(usize::try_from(new - old).unwrap());
        assert_eq!(joined(&ours), theirs.as_bytes(), "{old} to {new}");
        let theirs = parted(theirs.as_bytes());
        check_consistency(
            &theirs,
            TreeSize::new(old),
            TreeSize::new(new),
            roots.0,
            roots.1,
        )
        .unwrap();
        let ours = ConsistencyProof::try_from_bytes(joined(&ours)).unwrap();
        their_root(roots.1, new)
            .verify_consistency(&their_root(roots.0, old), &ours)
            .unwrap();
    }
}

#[test]
fn ct_merkle_makes_the_same_roots_and_inclusion_proofs_at_every_size() {
    let mut both = Both::default();
    for size in 1..=300 {
        both.grow_to(size);
        both.compare_roots();
        for index in 0..size {
            both.compare_inclusion(index);
        }
    }
}

#[test]
fn ct_merkle_makes_the_same_consistency_proofs_at_every_size() {
    let mut both = Both::default();
    for new in 1..=300 {
        both.grow_to(new);
        for old in 1..=new {
            both.compare_consistency(old);
        }
    }
}

#[test]
fn ct_merkle_makes_the_same_proofs_of_larger_trees() {
    let mut both = Both::default();
    for size in [1_000, 4_096, 4_097, 10_007, 32_767, 65_536, 65_537] {
        both.grow_to(size);
        both.compare_roots();
        for index in (0..size).step_by(977).chain([size - 1]) {
            both.compare_inclusion(index);
            both.compare_consistency(index + 1);
        }
    }
}

#[test]
fn a_proof_that_was_changed_is_refused_by_all() {
    let mut both = Both::default();
    both.grow_to(77);
    let (old, new) = (50, 77);
    let roots = (both.root(old), both.root(new));
    let sizes = (TreeSize::new(old), TreeSize::new(new));
    let inclusion = joined(&prove_inclusion(&both.ours, Index::new(old), sizes.1).unwrap());
    let consistency = joined(&prove_consistency(&both.ours, sizes.0, sizes.1).unwrap());
    let refused = |inclusion: &[u8], consistency: &[u8]| {
        let (leaf, index) = (leaf_hash(&entry(old)), Index::new(old));
        check_inclusion(&parted(inclusion), index, sizes.1, leaf, roots.1).unwrap_err();
        check_consistency(&parted(consistency), sizes.0, sizes.1, roots.0, roots.1).unwrap_err();
        let theirs = InclusionProof::from_bytes(inclusion.to_vec());
        let root = their_root(roots.1, new);
        root.verify_inclusion(&entry(old), old, &theirs)
            .unwrap_err();
        let theirs = ConsistencyProof::try_from_bytes(consistency.to_vec()).unwrap();
        root.verify_consistency(&their_root(roots.0, old), &theirs)
            .unwrap_err();
        let hash = |hash: Hash| tlog_tiles::Hash(*hash.as_bytes());
        let theirs = |proof: &[u8]| parted(proof).into_iter().map(hash).collect::<Vec<_>>();
        let (old_root, root) = (hash(roots.0), hash(roots.1));
        tlog_tiles::check_record(&theirs(inclusion), new, root, old, hash(leaf)).unwrap_err();
        tlog_tiles::check_tree(&theirs(consistency), new, root, old, old_root).unwrap_err();
    };
    for byte in 0..inclusion.len().min(consistency.len()) {
        let mut changed = (inclusion.clone(), consistency.clone());
        changed.0[byte] ^= 1;
        changed.1[byte] ^= 1;
        refused(&changed.0, &changed.1);
    }
    refused(&inclusion[32..], &consistency[32..]);
    refused(
        &inclusion[..inclusion.len() - 32],
        &consistency[..consistency.len() - 32],
    );
    refused(
        &[inclusion.as_slice(), &[0; 32]].concat(),
        &[consistency.as_slice(), &[0; 32]].concat(),
    );
}

#[test]
fn proofs_of_trees_larger_than_any_disk_are_the_same_for_all() {
    let tree = Endless::of(b"entry");
    let leaf = leaf_hash(b"entry");
    let hash = |hash: &Hash| tlog_tiles::Hash(*hash.as_bytes());
    let hashes = |proof: &[Hash]| proof.iter().map(hash).collect::<Vec<_>>();
    let row = |index: u64, size: u64| {
        let root = root_at(&tree, TreeSize::new(size)).unwrap();
        let ours = prove_inclusion(&tree, Index::new(index), TreeSize::new(size)).unwrap();
        check_inclusion(&ours, Index::new(index), TreeSize::new(size), leaf, root).unwrap();
        assert_eq!(tlog_tiles::tree_hash(size, &tree).unwrap(), hash(&root));
        assert_eq!(
            tlog_tiles::prove_record(size, index, &tree).unwrap(),
            hashes(&ours)
        );
        let proof = InclusionProof::from_bytes(joined(&ours));
        their_root(root, size)
            .verify_inclusion(&b"entry", index, &proof)
            .unwrap();

        let old = index + 1;
        let old_root = root_at(&tree, TreeSize::new(old)).unwrap();
        let ours = prove_consistency(&tree, TreeSize::new(old), TreeSize::new(size)).unwrap();
        assert_eq!(
            tlog_tiles::prove_tree(size, old, &tree).unwrap(),
            hashes(&ours)
        );
        let proof = ConsistencyProof::try_from_bytes(joined(&ours)).unwrap();
        let (old_root, root) = (their_root(old_root, old), their_root(root, size));
        root.verify_consistency(&old_root, &proof).unwrap();
    };
    for size in [
        1 << 32,
        (1 << 32) + 1,
        (1 << 40) - 1,
        (1 << 40) + 12_345,
        (1 << 48) + (1 << 17),
    ] {
        for index in [
            0,
            1,
            255,
            256,
            65_536,
            1 << 31,
            size / 3,
            size / 2,
            size - 2,
            size - 1,
        ] {
            row(index, size);
        }
    }
}

fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn our_signer() -> NoteSigner {
    NoteSigner::new(KeyName::parse(ORIGIN).unwrap(), signing_key())
}

/// The same key, as they write it.
fn their_signer() -> StandardSigner {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    let public = [&[1], signing_key().verifying_key().as_bytes().as_slice()].concat();
    let id = signed_note::key_id(ORIGIN, &public);
    let secret = BASE64_STANDARD.encode([&[1], signing_key().as_bytes().as_slice()].concat());
    StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{id:08x}+{secret}")).unwrap()
}

/// Opens a note as they do: its text, if our key signed it.
fn opened_by_them(note: &[u8]) -> Option<Vec<u8>> {
    let verifier = StandardVerifier::new(&our_signer().vkey().to_string()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    let note = signed_note::Note::from_bytes(note).ok()?;
    note.verify(&known).ok()?;
    tlog_tiles::Checkpoint::from_bytes(note.text()).ok()?;
    Some(note.text().to_vec())
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        origin: Origin::parse(ORIGIN).unwrap(),
        size: TreeSize::new(15_368_405),
        root: leaf_hash(b"root"),
    }
}

#[test]
fn signed_note_opens_our_checkpoints() {
    for size in [0, 1, 256, 15_368_405, u64::MAX] {
        let checkpoint = Checkpoint {
            size: TreeSize::new(size),
            ..checkpoint()
        };
        let text = opened_by_them(checkpoint.sign(&our_signer()).as_bytes()).unwrap();
        let theirs = tlog_tiles::Checkpoint::from_bytes(&text).unwrap();
        assert_eq!((theirs.origin(), theirs.size()), (ORIGIN, size));
        assert_eq!(theirs.hash().0, *checkpoint.root.as_bytes());
        assert_eq!(theirs.extension(), "");
        assert_eq!(theirs.to_bytes(), checkpoint.text().as_bytes());
    }
}

#[test]
fn we_open_the_checkpoints_of_signed_note() {
    let hash = tlog_tiles::Hash(*checkpoint().root.as_bytes());
    let theirs = tlog_tiles::Checkpoint::new(ORIGIN, 15_368_405, hash, "").unwrap();
    let mut note = signed_note::Note::new(&theirs.to_bytes(), &[]).unwrap();
    note.add_sigs(&[&their_signer()]).unwrap();
    let note = String::from_utf8(note.to_bytes()).unwrap();
    assert_eq!(
        open_checkpoint(&note, &our_signer().vkey()).unwrap(),
        checkpoint()
    );
    // Ed25519 signs in one way only, so that even the bytes are the same.
    assert_eq!(note, checkpoint().sign(&our_signer()));
}

#[test]
fn a_note_that_was_changed_is_refused_by_both() {
    let stranger = "\u{2014} witness.example AAAAAUjzL2hQ5J1hQ5J1hQ5J1hQ=\n";
    let note = checkpoint().sign(&our_signer()) + stranger;
    let opened_by_us = |note: &[u8]| {
        let note = String::from_utf8(note.to_vec()).ok()?;
        let checkpoint = open_checkpoint(&note, &our_signer().vkey()).ok()?;
        Some(checkpoint.text().into_bytes())
    };
    assert!(opened_by_us(note.as_bytes()).is_some());
    let check = |changed: &[u8]| {
        let said = String::from_utf8_lossy(changed);
        assert_eq!(opened_by_us(changed), opened_by_them(changed), "{said}");
    };
    let note = note.as_bytes();
    for at in 0..note.len() {
        check(&note[..at]);
        check(&note[at..]);
        for bit in 0..8 {
            let mut changed = note.to_vec();
            changed[at] ^= 1 << bit;
            check(&changed);
        }
        for inserted in [b'\n', b' ', b'=', b'0', b'\r', 0] {
            check(&[&note[..at], &[inserted], &note[at..]].concat());
        }
    }
}

/// The tiles of an exported log, in their files.
struct Exported<'a>(&'a Path);

impl TileReader for Exported<'_> {
    fn height(&self) -> u8 {
        tlog::TILE_HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &Tile| {
            // The paths of C2SP leave out the height, which is always 8.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            fs::read(self.0.join(path)).or(Err(tlog_tiles::Error::InvalidTile))
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

/// Exports a log of so many entries.
fn export(dir: &Path, size: u64) {
    let mut tree = Levels::default();
    let mut writer = ExportWriter::create(dir).unwrap();
    for index in 0..size {
        tree.push(leaf_hash(&entry(index)));
        writer.append(&entry(index)).unwrap();
    }
    let size = TreeSize::new(size);
    let root = root_at(&tree, size).unwrap();
    let note = Checkpoint {
        size,
        root,
        ..checkpoint()
    }
    .sign(&our_signer());
    writer.finish(&note, &our_signer().vkey()).unwrap();
}

/// Size and root of an exported log, as they read them.
fn opened_export(dir: &Path) -> (u64, tlog_tiles::Hash) {
    let text = opened_by_them(&fs::read(dir.join("checkpoint")).unwrap()).unwrap();
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(&text).unwrap();
    (checkpoint.size(), *checkpoint.hash())
}

#[test]
fn tlog_tiles_proves_every_entry_from_our_export() {
    for size in [1, 2, 255, 256, 257, 511, 512, 600, 65_536, 65_793] {
        let home = tempfile::tempdir().unwrap();
        export(home.path(), size);
        let (read, root) = opened_export(home.path());
        assert_eq!(read, size);
        let tiles = Exported(home.path());
        let reader = TileHashReader::new(size, root, &tiles);
        assert_eq!(tlog_tiles::tree_hash(size, &reader).unwrap(), root);
        let step = usize::try_from(size / 60 + 1).unwrap();
        for index in (0..size).step_by(step).chain([size - 1]) {
            let leaf = tlog_tiles::record_hash(&entry(index));
            let proof = tlog_tiles::prove_record(size, index, &reader).unwrap();
            tlog_tiles::check_record(&proof, size, root, index, leaf).unwrap();
            let ours: Vec<Hash> = proof.iter().map(|hash| Hash::new(hash.0)).collect();
            let (leaf, root) = (leaf_hash(&entry(index)), Hash::new(root.0));
            check_inclusion(&ours, Index::new(index), TreeSize::new(size), leaf, root).unwrap();
        }
    }
}

#[test]
fn tlog_tiles_finds_every_tile_of_an_export_and_no_other() {
    for size in [1, 256, 257, 600, 65_793] {
        let home = tempfile::tempdir().unwrap();
        export(home.path(), size);
        let mut expected = Vec::new();
        for tile in Tile::new_tiles(tlog::TILE_HEIGHT, 0, size) {
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            if tile.level() == 0 {
                expected.push(path.replacen("tile/0/", "tile/entries/", 1));
            }
            expected.push(path);
        }
        expected.extend(["checkpoint".to_owned(), "log.vkey".to_owned()]);
        expected.sort();
        assert_eq!(files_below(home.path(), home.path()), expected, "{size}");
    }
}

/// The files of a directory by their paths from `root`, in order.
fn files_below(root: &Path, dir: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for found in fs::read_dir(dir).unwrap() {
        let path = found.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(root, &path));
        } else {
            files.push(
                path.strip_prefix(root)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned(),
            );
        }
    }
    files.sort();
    files
}

#[test]
fn tlog_tiles_refuses_a_tile_of_which_a_bit_was_changed() {
    let home = tempfile::tempdir().unwrap();
    let size = 600;
    export(home.path(), size);
    let (_, root) = opened_export(home.path());
    let exported = Exported(home.path());
    let reader = TileHashReader::new(size, root, &exported);
    let indexes: Vec<u64> = (0..size)
        .map(|index| tlog_tiles::stored_hash_index(0, index))
        .collect();
    let leaves: Vec<_> = (0..size)
        .map(|index| tlog_tiles::record_hash(&entry(index)))
        .collect();
    // Version 0.2.0 takes the first full tiles unproved where several subtrees of the root lie in one
    // tile: so what it reads is held against the entries, as an auditor would.
    let is_good = || {
        reader
            .read_hashes(&indexes)
            .is_ok_and(|read| read == leaves)
    };
    assert!(is_good());
    for tile in Tile::new_tiles(tlog::TILE_HEIGHT, 0, size) {
        let path = home
            .path()
            .join(tile.path().replacen("tile/8/", "tile/", 1));
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(131) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(!is_good(), "{tile:?}, byte {at}");
        }
        fs::write(&path, bytes).unwrap();
    }
    assert!(is_good());
}
