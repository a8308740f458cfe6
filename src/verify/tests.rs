//! Logs that are good, and logs that are wrong in one way: the first kind is found good, the second is found
//! out, at the right place.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use ed25519_dalek::SigningKey;
use prost::Message as _;
use tempfile::TempDir;

use super::*;
use crate::{
    note::{Checkpoint, NoteError, NoteSigner, Origin},
    pb::{self, record::Kind},
    record::entry::{AuthorView, EntryRejected, EntryView, RecordedAt},
    rules::keys::{AuthorRefused, KeyRefused, author_key_id, sign_possession, sign_record},
    tlog::{EMPTY_ROOT, Frontier, Hash, Index, TileId, TreeSize, leaf_hash},
};

const ORIGIN: &str = "log.example/trail";

/// The first of June 2026; entry n is recorded n seconds later.
const BEGIN: i64 = 1_780_272_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn signer(seed: u8) -> NoteSigner {
    let origin = Origin::parse(ORIGIN).unwrap();
    NoteSigner::new(origin.key_name().clone(), key(seed))
}

fn options() -> Options {
    Options {
        key: signer(1).vkey(),
        since: None,
    }
}

/// What an entry is made of, besides its index and the entry before.
#[derive(Clone)]
struct Item {
    record: Vec<u8>,
    author: Option<([u8; 32], [u8; 64])>,
    recorded_at: i64,
}

fn encoded(kind: Kind) -> Vec<u8> {
    let record = pb::Record {
        record_id: "5f6c3f0e-6b1c-4d3e-9a59-0d7f4f3a1b2c".to_owned(),
        event_time: "2026-05-01T00:00:00Z".to_owned(),
        kind: Some(kind),
        ..pb::Record::default()
    };
    record.encode_to_vec()
}

fn offer(seed: u8) -> pb::KeyOffer {
    pb::KeyOffer {
        algorithm: pb::KeyAlgorithm::Ed25519.into(),
        public_key: key(seed).verifying_key().to_bytes().to_vec(),
        valid_from: "2026-01-01T00:00:00Z".to_owned(),
        valid_to: "2026-12-31T23:59:59Z".to_owned(),
        possession: sign_possession(&key(seed), ORIGIN).to_vec(),
    }
}

fn genesis() -> pb::Genesis {
    pb::Genesis {
        origin: ORIGIN.to_owned(),
        ledger_key: signer(1).vkey().to_string(),
        administrator: "ann".to_owned(),
        administrator_key: Some(offer(2)),
    }
}

fn fact() -> Vec<u8> {
    encoded(Kind::LotRegistered(pb::LotRegistered::default()))
}

/// A log before its entries have bytes, so that anything about it can be made wrong.
#[derive(Clone)]
struct Draft {
    items: Vec<Item>,
}

impl Draft {
    fn begun() -> Self {
        let mut draft = Self { items: Vec::new() };
        draft.push(encoded(Kind::Genesis(genesis())));
        draft
    }

    /// A log of this many facts after its genesis.
    fn of(size: usize) -> Self {
        let mut draft = Self::begun();
        while draft.items.len() < size {
            draft.push(fact());
        }
        draft
    }

    fn push(&mut self, record: Vec<u8>) -> &mut Item {
        let seconds = i64::try_from(self.items.len()).unwrap();
        self.items.push(Item {
            record,
            author: None,
            recorded_at: BEGIN + seconds,
        });
        self.items.last_mut().unwrap()
    }

    fn register(&mut self, seed: u8) {
        self.push(encoded(Kind::KeyRegistered(pb::KeyRegistered {
            actor_id: "ann".to_owned(),
            key: Some(offer(seed)),
        })));
    }

    fn revoke(&mut self, seed: u8) {
        self.push(encoded(Kind::KeyRevoked(pb::KeyRevoked {
            actor_id: "ann".to_owned(),
            key_id: author_key_id(&key(seed).verifying_key()).to_vec(),
            revoked_at: String::new(),
            compromised_since: String::new(),
        })));
    }

    fn push_signed(&mut self, seed: u8) -> &mut Item {
        let key = key(seed);
        let signature = sign_record(&key, ORIGIN, &fact());
        let item = self.push(fact());
        item.author = Some((author_key_id(&key.verifying_key()), signature));
        item
    }

    /// The bytes of the entries, each with the hash of the one before.
    fn entries(&self) -> Vec<Vec<u8>> {
        self.entries_with(|_, _| {})
    }

    /// The same, each entry changed before it is encoded.
    fn entries_with(&self, change: impl Fn(usize, &mut EntryView<'_>)) -> Vec<Vec<u8>> {
        let mut previous = Hash::ZERO;
        let encode = |(at, item): (usize, &Item)| {
            let author = item.author.as_ref();
            let mut view = EntryView {
                index: Index::new(u64::try_from(at).unwrap()),
                previous,
                recorded_at: RecordedAt::new(item.recorded_at, 5).unwrap(),
                salt: [7; 16],
                actor: "ann",
                record: &item.record,
                author: author.map(|(key_id, signature)| AuthorView { key_id, signature }),
            };
            change(at, &mut view);
            let entry = view.encode();
            previous = leaf_hash(&entry);
            entry
        };
        self.items.iter().enumerate().map(encode).collect()
    }
}

fn checkpoint(entries: &[Vec<u8>]) -> Checkpoint {
    let mut tree = Frontier::new();
    for entry in entries {
        tree.push(leaf_hash(entry));
    }
    Checkpoint {
        origin: Origin::parse(ORIGIN).unwrap(),
        size: tree.size(),
        root: tree.root(),
    }
}

fn signed(entries: &[Vec<u8>]) -> String {
    checkpoint(entries).sign(&signer(1))
}

/// A log in a directory, with tiles and a checkpoint that fit its entries, whatever those are.
struct Exported {
    dir: TempDir,
}

impl Exported {
    fn new(entries: &[Vec<u8>]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ExportWriter::create(dir.path()).unwrap();
        for entry in entries {
            writer.append(entry).unwrap();
        }
        writer.finish(&signed(entries), &signer(1).vkey()).unwrap();
        Self { dir }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn verify_with(&self, options: &Options) -> Result<Report, VerifyError> {
        verify_directory(self.dir.path(), options, &|_, _| {})
    }

    fn finding(&self) -> Finding {
        self.finding_with(&options())
    }

    fn finding_with(&self, options: &Options) -> Finding {
        match self.verify_with(options) {
            Err(VerifyError::Found(finding)) => finding,
            other => panic!("{other:?}"),
        }
    }

    /// Every file, by its path from the directory.
    fn files(&self) -> Vec<PathBuf> {
        fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    collect(&path, files);
                } else {
                    files.push(path);
                }
            }
        }
        let mut files = Vec::new();
        collect(self.dir.path(), &mut files);
        files.sort();
        files
    }

    /// The finding when this file has these bytes instead of its own.
    fn finding_if(&self, file: &Path, bytes: &[u8]) -> Finding {
        let before = fs::read(file).unwrap();
        fs::write(file, bytes).unwrap();
        let finding = self.finding();
        fs::write(file, before).unwrap();
        finding
    }
}

/// A log of six: a genesis, a key, and signed and unsigned facts.
fn small() -> Draft {
    let mut draft = Draft::begun();
    draft.register(3);
    draft.push(fact());
    draft.push_signed(3);
    draft.push_signed(2);
    draft.push(fact());
    draft
}

#[test]
fn a_good_log_is_found_good_at_every_shape_of_its_tree() {
    for size in [1, 2, 255, 256, 257, 511, 512, 513, 4_000, 65_537] {
        let exported = Exported::new(&Draft::of(size).entries());
        let checked = AtomicU64::new(0);
        let total = u64::try_from(size).unwrap();
        let report = verify_directory(exported.dir.path(), &options(), &|done, of| {
            assert!(checked.swap(done, Ordering::Relaxed) < done && of == total);
        });
        let report = report.unwrap();
        assert_eq!(report.checkpoint.size.value(), total);
        assert_eq!(checked.load(Ordering::Relaxed), total);
        // Each tile of level 0 has its entry bundle beside it.
        let level_0 = total.div_ceil(256);
        assert_eq!(report.files, Some(report.tiles + level_0), "{size}");
    }
}

#[test]
fn the_report_says_what_was_checked() {
    let exported = Exported::new(&small().entries());
    let report = exported.verify_with(&Options {
        since: Some(signed(&small().entries()[..4])),
        ..options()
    });
    let report = report.unwrap();
    let vkey = signer(1).vkey();
    let root = checkpoint(&small().entries()).root;
    assert_eq!(
        report.lines(),
        [
            format!("checkpoint: log.example/trail, 6 entries, root {root}"),
            format!("signature: by the key {vkey}"),
            "entries: 6, each hashed to its leaf and read field by field".to_owned(),
            "hash tiles: 1, each compared with the entries under it".to_owned(),
            "root: the one that was signed".to_owned(),
            "indexes: 0 to 5, without gap".to_owned(),
            "hash chain: each entry carries the hash of the entry before".to_owned(),
            "times: 2026-06-01T00:00:00.000000005+00:00 to 2026-06-01T00:00:05.000000005+00:00, \
             never going back"
                .to_owned(),
            "genesis: names this origin and this key".to_owned(),
            "author signatures: 2, by 2 keys on record; 0 outside a key's validity; 4 entries without"
                .to_owned(),
            "older checkpoint: its 4 entries are the first of these".to_owned(),
            "files: 2 under tile/, none missing and none too many".to_owned(),
        ]
    );
}

#[test]
fn no_changed_byte_of_a_small_log_goes_unnoticed() {
    let exported = Exported::new(&small().entries());
    let files = exported.files();
    assert_eq!(files.len(), 4);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << (at % 8);
            exported.finding_if(&file, &changed);
        }
    }
    assert_eq!(exported.verify_with(&options()).unwrap().signed, 2);
}

#[test]
fn no_file_that_is_cut_short_or_goes_on_is_accepted() {
    let exported = Exported::new(&small().entries());
    for file in exported.files() {
        let bytes = fs::read(&file).unwrap();
        for end in 0..bytes.len() {
            exported.finding_if(&file, &bytes[..end]);
        }
        for more in [&[0][..], b"\n", &bytes] {
            exported.finding_if(&file, &[&bytes, more].concat());
        }
    }
}

#[test]
fn no_sampled_byte_of_a_larger_log_goes_unnoticed() {
    let exported = Exported::new(&Draft::of(300).entries());
    let files = exported.files();
    assert_eq!(files.len(), 7);
    for file in files {
        let bytes = fs::read(&file).unwrap();
        // A prime step, so that every kind of field is met.
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 23) {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            exported.finding_if(&file, &changed);
        }
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let exported = Exported::new(&Draft::of(300).entries());
    let tile = |level, index, width| TileId {
        level,
        index,
        width,
    };
    for file in [
        LogFile::Checkpoint,
        LogFile::VerifierKey,
        LogFile::Tile(tile(0, 0, 256)),
        LogFile::Tile(tile(0, 1, 44)),
        LogFile::Tile(tile(1, 0, 1)),
        LogFile::Entries(tile(0, 0, 256)),
        LogFile::Entries(tile(0, 1, 44)),
    ] {
        let path = exported.path(&file.to_string());
        let aside = exported.path("aside");
        fs::rename(&path, &aside).unwrap();
        assert_eq!(exported.finding(), Finding::Missing { file });
        fs::create_dir(&path).unwrap();
        assert_eq!(exported.finding(), Finding::Missing { file });
        fs::remove_dir(&path).unwrap();
        fs::rename(&aside, &path).unwrap();
    }
    exported.verify_with(&options()).unwrap();
}

#[test]
fn a_file_that_the_checkpoint_does_not_commit_to_is_named() {
    let exported = Exported::new(&Draft::of(300).entries());
    for file in [
        "tile/0/001",
        "tile/0/002",
        "tile/0/000.p/255",
        "tile/0/001.p/43",
        "tile/0/001.p/45",
        "tile/0/1",
        "tile/0/x000/000",
        "tile/1/000",
        "tile/1/000.p/2",
        "tile/2/000.p/1",
        "tile/entries/001",
        "tile/entries/001.p/1",
        "tile/entries/x000/001.p/44",
        "tile/README",
        "tile/0/000~",
    ] {
        let path = exported.path(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        let surplus = Finding::SurplusFile { path: file.into() };
        assert_eq!(exported.finding(), surplus);
        fs::remove_file(path).unwrap();
    }
    // Of several, the first by name; beside `tile/`, whatever is there is not part of the log.
    for file in ["tile/0/009", "tile/0/008", "README"] {
        fs::write(exported.path(file), "").unwrap();
    }
    let path = "tile/0/008".into();
    assert_eq!(exported.finding(), Finding::SurplusFile { path });
}

#[cfg(unix)]
#[test]
fn a_link_among_the_tiles_is_not_part_of_the_log() {
    let exported = Exported::new(&Draft::of(3).entries());
    let (tile, aside) = (exported.path("tile/0/000.p/3"), exported.path("aside"));
    fs::rename(&tile, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &tile).unwrap();
    let path = "tile/0/000.p/3".into();
    assert_eq!(exported.finding(), Finding::SurplusFile { path });
}

#[test]
fn a_bundle_larger_than_any_is_not_read() {
    let exported = Exported::new(&Draft::of(2).entries());
    let bundle = TileId {
        level: 0,
        index: 0,
        width: 2,
    };
    let file = LogFile::Entries(bundle);
    let large = fs::File::create(exported.path(&file.to_string())).unwrap();
    large.set_len(1 << 40).unwrap();
    let (have, max) = (1 << 40, 2 * 65_537);
    assert_eq!(exported.finding(), Finding::TooLarge { file, have, max });
}

/// The log's operator writes a log that is wrong, and signs it: the finding, of entries with tiles and a
/// checkpoint that fit them.
fn finding_of(entries: &[Vec<u8>]) -> Finding {
    Exported::new(entries).finding()
}

#[test]
fn entries_that_were_swapped_dropped_or_doubled_are_found_even_under_a_new_signature() {
    let good = Draft::of(300).entries();
    let check = |change: fn(&mut Vec<Vec<u8>>), at: u64, says: u64| {
        let mut entries = good.clone();
        change(&mut entries);
        let (index, says) = (Index::new(at), Index::new(says));
        assert_eq!(finding_of(&entries), Finding::OtherIndex { index, says });
    };
    check(|entries| entries.swap(3, 4), 3, 4);
    check(|entries| entries.swap(255, 256), 255, 256);
    check(|entries| drop(entries.remove(7)), 7, 8);
    check(|entries| drop(entries.remove(256)), 256, 257);
    check(|entries| entries.insert(9, entries[9].clone()), 10, 9);
    check(
        |entries| entries.insert(256, entries[255].clone()),
        256,
        255,
    );
}

#[test]
fn an_entry_that_was_replaced_breaks_the_chain_after_it() {
    let good = Draft::of(300).entries();
    let other = Draft::of(300).entries_with(|_, entry| entry.salt = [8; 16]);
    for at in [0_usize, 5, 254, 255, 256, 298] {
        // The entry itself is in order: it carries what the good one carries.
        let mut entries = good.clone();
        let mut entry = EntryView::parse(&other[at]).unwrap();
        entry.previous = EntryView::parse(&good[at]).unwrap().previous;
        entries[at] = entry.encode();
        let index = Index::new(u64::try_from(at + 1).unwrap());
        assert_eq!(finding_of(&entries), Finding::Chain { index });
    }
    let claims_a_past = Draft::of(2).entries_with(|_, entry| entry.previous = EMPTY_ROOT);
    let index = Index::new(0);
    assert_eq!(finding_of(&claims_a_past), Finding::Chain { index });
}

#[test]
fn a_clock_that_goes_back_is_found() {
    for at in [1, 255, 256, 299] {
        let mut draft = Draft::of(300);
        draft.items[at].recorded_at = BEGIN - 1;
        let index = Index::new(u64::try_from(at).unwrap());
        assert_eq!(
            finding_of(&draft.entries()),
            Finding::ClockWentBack { index }
        );
    }
    let mut draft = Draft::of(300);
    for item in &mut draft.items {
        item.recorded_at = BEGIN;
    }
    Exported::new(&draft.entries())
        .verify_with(&options())
        .unwrap();
}

#[test]
fn an_entry_that_is_no_entry_or_carries_no_record_is_found() {
    let mut entries = Draft::of(4).entries();
    entries[2].extend_from_slice(&[0x40, 1]);
    let index = Index::new(2);
    let source = EntryRejected::Field { field: 7 };
    assert_eq!(finding_of(&entries), Finding::Entry { index, source });
    entries[2].clear();
    let source = EntryRejected::Field { field: 2 };
    assert_eq!(finding_of(&entries), Finding::Entry { index, source });

    let no_kind = pb::Record {
        record_id: "x".to_owned(),
        ..pb::Record::default()
    };
    let mut cut = fact();
    cut.pop();
    for record in [no_kind.encode_to_vec(), cut, b"\xff".to_vec()] {
        let mut draft = Draft::of(3);
        draft.items[2].record = record;
        let index = Index::new(2);
        assert_eq!(finding_of(&draft.entries()), Finding::NotARecord { index });
    }
}

#[test]
fn the_genesis_must_name_this_log_and_this_key() {
    let check = |change: fn(&mut pb::Genesis), expected: Finding| {
        let mut genesis = genesis();
        change(&mut genesis);
        let mut draft = Draft::of(3);
        draft.items[0].record = encoded(Kind::Genesis(genesis));
        assert_eq!(finding_of(&draft.entries()), expected);
    };
    let keys = |index, source| Finding::Keys {
        index: Index::new(index),
        source,
    };
    let other_key = |genesis: &mut pb::Genesis| genesis.ledger_key = signer(9).vkey().to_string();
    check(other_key, Finding::GenesisKey);
    check(|genesis| genesis.ledger_key.push('\n'), Finding::GenesisKey);
    let other_origin = |genesis: &mut pb::Genesis| genesis.origin = "other.example".to_owned();
    check(other_origin, keys(0, KeyRefused::OtherOrigin));
    check(
        |genesis| genesis.administrator_key = None,
        keys(0, KeyRefused::NoOffer),
    );

    let mut draft = Draft::of(3);
    draft.items[0].record = fact();
    assert_eq!(finding_of(&draft.entries()), keys(0, KeyRefused::NoGenesis));
    let mut draft = Draft::of(3);
    draft.items[2].record = encoded(Kind::Genesis(genesis()));
    assert_eq!(
        finding_of(&draft.entries()),
        keys(2, KeyRefused::SecondGenesis)
    );
}

#[test]
fn a_record_about_keys_that_cannot_be_is_found() {
    let mut draft = Draft::of(2);
    draft.register(2);
    let index = Index::new(2);
    let source = KeyRefused::AlreadyOnRecord;
    assert_eq!(
        finding_of(&draft.entries()),
        Finding::Keys { index, source }
    );

    // Hidden behind a kind that nobody knows: protobuf still reads it.
    draft.items[2].record.extend_from_slice(&[0xfa, 0x3e, 0]);
    assert_eq!(
        finding_of(&draft.entries()),
        Finding::Keys { index, source }
    );
}

fn last_author(draft: &mut Draft) -> &mut ([u8; 32], [u8; 64]) {
    draft.items.last_mut().unwrap().author.as_mut().unwrap()
}

/// A log whose author key is registered after some facts, and signs the last entry after some more.
fn signed_after(facts: usize, later: usize) -> Draft {
    let mut draft = Draft::of(1 + facts);
    draft.register(3);
    for _ in 0..later {
        draft.push(fact());
    }
    draft.push_signed(3);
    draft
}

/// What is wrong with the last entry of such logs, when it is changed: whether its key is registered in the
/// same bundle, in another, or in another round.
fn check_author(wrong: impl Fn(&mut Draft), expected: impl Fn(Index) -> Finding) {
    for (facts, later) in [(0, 0), (3, 0), (3, 300), (3, 1_200)] {
        let mut draft = signed_after(facts, later);
        wrong(&mut draft);
        let index = Index::new(u64::try_from(draft.items.len() - 1).unwrap());
        draft.push(fact());
        assert_eq!(finding_of(&draft.entries()), expected(index));
    }
}

#[test]
fn an_authors_signature_must_be_right() {
    for (facts, later) in [(0, 0), (3, 0), (3, 300), (3, 1_200)] {
        let exported = Exported::new(&signed_after(facts, later).entries());
        assert_eq!(exported.verify_with(&options()).unwrap().signed, 1);
    }
    let wrong_signature = |index| Finding::AuthorSignature { index };
    let signed_otherwise = |signature: [u8; 64]| {
        check_author(|draft| last_author(draft).1 = signature, wrong_signature);
    };
    let mut changed = sign_record(&key(3), ORIGIN, &fact());
    changed[0] ^= 1;
    signed_otherwise(changed);
    signed_otherwise(sign_record(&key(2), ORIGIN, &fact()));
    signed_otherwise(sign_record(&key(3), "other.example", &fact()));
    // Bytes that mean the same to protobuf, but were not signed.
    let other_bytes = |draft: &mut Draft| {
        let item = draft.items.last_mut().unwrap();
        item.record.extend_from_slice(&[0x0a, 0]);
    };
    check_author(other_bytes, wrong_signature);
}

#[test]
fn an_authors_key_must_be_on_record_and_in_force() {
    let not_on_record = |index| Finding::Author {
        index,
        source: AuthorRefused::NotOnRecord,
    };
    check_author(|draft| last_author(draft).0 = [0; 32], not_on_record);
    let unknown_key = |draft: &mut Draft| drop(draft.push_signed(4).clone());
    check_author(unknown_key, not_on_record);
    let revoked = |draft: &mut Draft| {
        draft.revoke(3);
        draft.push_signed(3);
    };
    check_author(revoked, |index| {
        let seconds = BEGIN + i64::try_from(index.value()).unwrap() - 1;
        let at = RecordedAt::new(seconds, 5).unwrap().to_utc();
        let source = AuthorRefused::Revoked { at };
        Finding::Author { index, source }
    });
}

#[test]
fn a_key_signs_nothing_before_it_is_registered() {
    let mut draft = Draft::of(3);
    draft.push_signed(3);
    draft.register(3);
    draft.push_signed(3);
    let (index, source) = (Index::new(3), AuthorRefused::NotOnRecord);
    assert_eq!(
        finding_of(&draft.entries()),
        Finding::Author { index, source }
    );
}

#[test]
fn a_key_outside_its_validity_signs_only_of_what_happened_within_it() {
    let late = |event_time: &str| {
        let mut record = pb::Record::decode(&*fact()).unwrap();
        record.event_time = event_time.to_owned();
        let record = record.encode_to_vec();
        let signature = sign_record(&key(2), ORIGIN, &record);
        let mut draft = Draft::of(2);
        let author = author_key_id(&key(2).verifying_key());
        // A year later than the keys of these logs are valid.
        let item = draft.push(record);
        item.recorded_at += 31_536_000;
        item.author = Some((author, signature));
        Exported::new(&draft.entries())
    };
    let report = late("2026-06-02T00:00:00Z")
        .verify_with(&options())
        .unwrap();
    assert_eq!((report.signed, report.outside_validity), (1, 1));
    for event_time in ["2027-06-01T00:00:00Z", "2025-12-31T00:00:00Z", "2026", ""] {
        let refused = matches!(
            late(event_time).finding(),
            Finding::Author {
                source: AuthorRefused::OutsideValidity { .. },
                ..
            }
        );
        assert!(refused, "{event_time:?}");
    }
}

#[test]
fn the_first_of_several_wrong_places_is_named() {
    let mut draft = Draft::begun();
    draft.register(3);
    for _ in 0..400 {
        draft.push_signed(3);
    }
    // A wrong signature that is checked after its round, and bytes that are wrong from the start.
    let mut wrong = draft.clone();
    wrong.items[9].author.as_mut().unwrap().1[0] ^= 1;
    let exported = Exported::new(&wrong.entries());
    let bundles = ["tile/entries/000", "tile/entries/001.p/146"];
    let damage = |bundle: &str, from_end: usize| {
        let mut bytes = fs::read(exported.path(bundle)).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        fs::write(exported.path(bundle), bytes).unwrap();
    };
    damage(bundles[1], 1);
    let index = Index::new(9);
    assert_eq!(exported.finding(), Finding::AuthorSignature { index });
    damage(bundles[0], 1);
    assert_eq!(exported.finding(), Finding::AuthorSignature { index });

    // Both bundles wrong in their last byte: the first one counts.
    let exported = Exported::new(&draft.entries());
    let damage = |bundle: &str| {
        let mut bytes = fs::read(exported.path(bundle)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(exported.path(bundle), bytes).unwrap();
    };
    let leaf = |index, bundle| Finding::Leaf {
        index: Index::new(index),
        file: LogFile::Entries(TileId::parse_entries(bundle).unwrap()),
    };
    damage(bundles[1]);
    assert_eq!(exported.finding(), leaf(401, bundles[1]));
    damage(bundles[0]);
    assert_eq!(exported.finding(), leaf(255, bundles[0]));
}

#[test]
fn a_tile_above_the_leaves_is_compared_hash_by_hash() {
    let exported = Exported::new(&Draft::of(65_793).entries());
    for (tile, place) in [
        ("tile/1/000", 200),
        ("tile/1/001.p/1", 0),
        ("tile/2/000.p/1", 0),
    ] {
        let path = exported.path(tile);
        let mut bytes = fs::read(&path).unwrap();
        bytes[place * 32 + 31] ^= 1;
        let file = LogFile::Tile(TileId::parse(tile).unwrap());
        let finding = exported.finding_if(&path, &bytes);
        assert_eq!(finding, Finding::TileHash { file, place });
        bytes.pop();
        let (have, want) = (bytes.len(), bytes.len() + 1);
        let finding = exported.finding_if(&path, &bytes);
        assert_eq!(finding, Finding::TileLength { file, have, want });
    }
}

#[test]
fn a_checkpoint_of_another_key_or_another_tree_is_found() {
    let entries = Draft::of(5).entries();
    let exported = Exported::new(&entries);
    let check = |note: &str, expected: &dyn Fn(&Finding) -> bool| {
        let finding = exported.finding_if(&exported.path("checkpoint"), note.as_bytes());
        assert!(expected(&finding), "{finding:?}");
    };
    let sign = |change: &dyn Fn(&mut Checkpoint)| {
        let mut checkpoint = checkpoint(&entries);
        change(&mut checkpoint);
        checkpoint.sign(&signer(1))
    };
    check(&checkpoint(&entries).sign(&signer(9)), &|finding| {
        matches!(finding, Finding::Checkpoint(NoteError::NotSigned { .. }))
    });
    let other = |checkpoint: &mut Checkpoint| {
        checkpoint.origin = Origin::parse("other.example").unwrap();
    };
    check(&sign(&other), &|finding| {
        matches!(
            finding,
            Finding::Checkpoint(NoteError::OriginIsNotKeyName { .. })
        )
    });
    check(
        &sign(&|checkpoint| checkpoint.root = EMPTY_ROOT),
        &|finding| {
            matches!(
                finding,
                Finding::Root {
                    claimed: EMPTY_ROOT,
                    ..
                }
            )
        },
    );
    for size in [1, 4, 6, 256, 261, u64::MAX] {
        check(
            &sign(&|checkpoint| checkpoint.size = TreeSize::new(size)),
            &|finding| matches!(finding, Finding::Missing { .. }),
        );
    }
    check(
        &sign(&|checkpoint| checkpoint.size = TreeSize::ZERO),
        &|finding| *finding == Finding::Empty,
    );

    // The whole log signed by another key, under the same name: its own vkey file does not help it.
    let options = Options {
        key: signer(9).vkey(),
        since: None,
    };
    let key = Box::new(options.key.clone());
    assert_eq!(exported.finding_with(&options), Finding::OtherKey { key });
    let line = format!("{}\n", signer(9).vkey());
    fs::write(exported.path("log.vkey"), line).unwrap();
    assert!(matches!(
        exported.finding_with(&options),
        Finding::Checkpoint(_)
    ));
    assert!(matches!(exported.finding(), Finding::OtherKey { .. }));
}

#[test]
fn a_log_extends_every_checkpoint_of_its_past_and_no_other() {
    let entries = Draft::of(600).entries();
    let rewritten = Draft::of(600).entries_with(|_, entry| entry.salt = [8; 16]);
    for new in [1, 2, 255, 256, 257, 512, 513, 600] {
        let exported = Exported::new(&entries[..new]);
        for old in [0, 1, 2, 254, 255, 256, 257, 511, 512, 513, 599, 600] {
            let since = |entries: &[Vec<u8>]| Options {
                since: Some(signed(&entries[..old])),
                ..options()
            };
            let size = |size: usize| TreeSize::new(u64::try_from(size).unwrap());
            if new < old {
                let (old, size) = (size(old), size(new));
                let finding = exported.finding_with(&since(&entries));
                assert_eq!(finding, Finding::CutBack { old, size });
                continue;
            }
            let report = exported.verify_with(&since(&entries)).unwrap();
            assert_eq!(report.older, Some(size(old)));
            if old != 0 {
                let finding = exported.finding_with(&since(&rewritten));
                let (computed, claimed) = (
                    checkpoint(&entries[..old]).root,
                    checkpoint(&rewritten[..old]).root,
                );
                let old = size(old);
                assert_eq!(
                    finding,
                    Finding::OlderRoot {
                        old,
                        computed,
                        claimed
                    }
                );
            }
        }
    }
}

#[test]
fn an_older_checkpoint_that_the_log_did_not_sign_is_refused() {
    let entries = Draft::of(5).entries();
    let exported = Exported::new(&entries);
    let older = checkpoint(&entries[..3]);
    for note in [older.sign(&signer(9)), older.text(), String::new()] {
        let since = Options {
            since: Some(note),
            ..options()
        };
        assert!(matches!(
            exported.finding_with(&since),
            Finding::OlderCheckpoint(_)
        ));
    }
}

#[test]
fn what_cannot_be_read_is_not_called_wrong() {
    struct Broken<'a>(&'a Directory);
    impl LogSource for Broken<'_> {
        fn checkpoint(&self, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
            self.0.checkpoint(bytes)
        }

        fn tile(&self, tile: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
            self.0.tile(tile, bytes)
        }

        fn entry_bundle(&self, _: TileId, _: &mut Vec<u8>) -> Result<(), SourceError> {
            Err(SourceError::Failed("the disk is gone".into()))
        }
    }
    let exported = Exported::new(&Draft::of(5).entries());
    let directory = Directory::new(exported.dir.path());
    let verified = verify_log(&Broken(&directory), &options(), &|_, _| {});
    let file = LogFile::Entries(TileId::parse_entries("tile/entries/000.p/5").unwrap());
    assert!(matches!(verified, Err(VerifyError::Unreadable { file: which, .. }) if which == file));
}

#[test]
fn an_export_goes_only_into_an_empty_directory() {
    let exported = Exported::new(&Draft::of(5).entries());
    let path = exported.dir.path();
    assert!(matches!(
        ExportWriter::create(path),
        Err(ExportError::NotEmpty { .. })
    ));
    ExportWriter::create(&path.join("a/new/one")).unwrap();
}

#[test]
fn an_export_ends_only_with_a_checkpoint_over_its_entries() {
    let entries = Draft::of(5).entries();
    let finish = |checkpoint: &str, seed| {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = ExportWriter::create(dir.path()).unwrap();
        let long = writer.append(&vec![0; 65_536]);
        assert!(matches!(
            long,
            Err(ExportError::EntryTooLong { have: 65_536 })
        ));
        for entry in &entries {
            writer.append(entry).unwrap();
        }
        let finished = writer.finish(checkpoint, &signer(seed).vkey());
        assert_eq!(dir.path().join("checkpoint").exists(), finished.is_ok());
        finished
    };
    assert!(matches!(finish(&signed(&entries), 1), Ok(())));
    assert!(matches!(
        finish(&signed(&entries), 9),
        Err(ExportError::Checkpoint(_))
    ));
    let other = finish(&signed(&entries[..4]), 1);
    assert!(matches!(other, Err(ExportError::OtherTree { .. })));
}
