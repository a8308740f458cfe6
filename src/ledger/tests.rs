//! The ledger over real directories: what is acknowledged is there afterwards, whatever happens to
//! one of the copies in between.

mod facts;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use prost::Message as _;
use tempfile::TempDir;

use super::{AppendError, Ledger, NewLedger, OpenError, Opened, Options, Recovery, Submission};
use crate::{
    clock::SettableClock,
    note::{KeyName, NoteSigner, Origin, open_checkpoint},
    pb,
    record::entry::EntryView,
    rules::keys::sign_possession,
    store::{Direction, KeyRange, SledStore, Store as _, Write},
    tlog::{
        Hash, Index, TileId, TileNodes, TreeSize, check_consistency, check_inclusion, leaf_hash,
    },
    views::{Posts, authority},
};

const ORIGIN: &str = "log.example/trail";

fn noon() -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

/// A ledger in a directory of its own.
struct Bench {
    home: TempDir,
    clock: Arc<SettableClock>,
}

impl Bench {
    fn new() -> Self {
        let bench = Self {
            home: tempfile::tempdir().unwrap(),
            clock: Arc::new(SettableClock::new(noon())),
        };
        bench.create();
        bench
    }

    fn create(&self) {
        let key = SigningKey::from_bytes(&[7; 32]);
        let admin = SigningKey::from_bytes(&[8; 32]);
        let genesis = pb::Genesis {
            origin: ORIGIN.to_owned(),
            ledger_key: NoteSigner::new(KeyName::parse(ORIGIN).unwrap(), key.clone())
                .vkey()
                .to_string(),
            administrator: "admin".to_owned(),
            administrator_key: Some(pb::KeyOffer {
                algorithm: pb::KeyAlgorithm::Ed25519.into(),
                public_key: admin.verifying_key().to_bytes().to_vec(),
                valid_from: "2020-01-01T00:00:00Z".to_owned(),
                valid_to: "2050-01-01T00:00:00Z".to_owned(),
                possession: sign_possession(&admin, ORIGIN).to_vec(),
            }),
        };
        let new = NewLedger {
            origin: Origin::parse(ORIGIN).unwrap(),
            key,
            genesis: pb::Record {
                record_id: uuid(u32::MAX),
                kind: Some(pb::record::Kind::Genesis(genesis)),
                ..pb::Record::default()
            },
            actor: "admin".to_owned(),
        };
        Ledger::create(&self.options(), new, noon(), entropy()).unwrap();
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("ledger")
    }

    fn options(&self) -> Options {
        Options::new(self.dir())
    }

    fn try_open(&self) -> Result<Opened, OpenError> {
        Ledger::open(&self.options(), Arc::clone(&self.clock) as _, entropy())
    }

    fn open(&self) -> Ledger {
        self.try_open().unwrap().ledger
    }

    /// The store of a ledger that is closed.
    fn store(&self) -> SledStore {
        let options = self.options();
        SledStore::open(&options.store_dir(), &options.sled()).unwrap()
    }

    /// Opens, and demands these recoveries and entries `1..=records` with the numbers `0..records`.
    #[track_caller]
    fn check(&self, recovered: &[Recovery], records: u32) -> Ledger {
        let opened = self.try_open().unwrap();
        assert_eq!(opened.recovered, recovered);
        check_ledger(&opened.ledger, records);
        opened.ledger
    }
}

fn entropy() -> super::Entropy {
    let mut counter = 0_u8;
    Box::new(move |bytes| {
        counter = counter.wrapping_add(1);
        bytes.fill(counter);
    })
}

fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-0000{number:08x}")
}

fn submission(number: u32) -> Submission {
    let record = pb::Record {
        record_id: uuid(number),
        kind: Some(pb::record::Kind::Administration(
            pb::Administration::default(),
        )),
        ..pb::Record::default()
    };
    Submission {
        record_id: crate::record::format::parse_uuid(&record.record_id).unwrap(),
        record: record.encode_to_vec(),
        actor: "ward-1".to_owned(),
        author: None,
        event_time: None,
        authority: None,
        posts: Posts::of(&record),
    }
}

/// Records the numbers, each in a call of its own, all at once.
fn record(ledger: &Ledger, numbers: std::ops::Range<u32>) -> Vec<Result<u64, AppendError>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut waiting = Vec::new();
        for number in numbers {
            waiting.push(ledger.queue(vec![submission(number)]).await.unwrap());
        }
        let mut outcomes = Vec::new();
        for answer in waiting {
            outcomes.push(
                answer
                    .await
                    .unwrap()
                    .map(|accepted| accepted[0].index.value()),
            );
        }
        outcomes
    })
}

fn record_all(ledger: &Ledger, numbers: std::ops::Range<u32>) {
    for (number, outcome) in numbers.clone().zip(record(ledger, numbers)) {
        assert_eq!(outcome.unwrap(), u64::from(number) + 1);
    }
}

#[track_caller]
fn check_ledger(ledger: &Ledger, records: u32) {
    let published = ledger.published();
    let size = published.size();
    assert_eq!(size, TreeSize::new(u64::from(records) + 1));
    let checkpoint = open_checkpoint(published.note(), ledger.vkey()).unwrap();
    assert_eq!(checkpoint.size, size);
    let mut previous = Hash::ZERO;
    for (expected, entry) in (0..).zip(ledger.entries(Index::new(0), size)) {
        let (index, entry) = entry.unwrap();
        assert_eq!(index, Index::new(expected));
        assert_eq!(ledger.entry(index).unwrap(), entry);
        let view = EntryView::parse(&entry).unwrap();
        assert_eq!((view.index, view.previous), (index, previous));
        previous = leaf_hash(&entry);
        if expected < 3 || expected % 97 == 0 || u64::from(records) < expected + 3 {
            let proof = ledger.prove_inclusion(&published, index, size).unwrap();
            check_inclusion(&proof, index, size, previous, checkpoint.root).unwrap();
            let old = TreeSize::new(expected + 1);
            let proof = ledger.prove_consistency(&published, old, size).unwrap();
            let root = ledger.root_at(&published, old).unwrap();
            check_consistency(&proof, old, size, root, checkpoint.root).unwrap();
        }
        if let Some(number) = expected.checked_sub(1) {
            let number = u32::try_from(number).unwrap();
            let id = submission(number).record_id;
            assert_eq!(
                ledger.entry_by_record_id(&id).unwrap(),
                Some((index, entry))
            );
        }
    }
    let unknown = submission(records + 7).record_id;
    assert_eq!(ledger.entry_by_record_id(&unknown).unwrap(), None);
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files_below(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

/// In a frame that others follow: at the very end it would be a frame that a crash cut short.
fn flip_a_bit_of_the_journal(dir: &Path) {
    let files = files_below(&dir.join("journal"));
    let length = |file: &&PathBuf| fs::metadata(file).unwrap().len();
    let file = files.iter().max_by_key(length).unwrap();
    let mut bytes = fs::read(file).unwrap();
    let early = bytes.len() / 10;
    bytes[early] ^= 1;
    fs::write(file, bytes).unwrap();
}

#[test]
fn what_was_recorded_is_there_after_a_clean_stop() {
    let bench = Bench::new();
    for (round, records) in [(0, 1), (1, 300), (300, 301), (301, 1_200)] {
        let ledger = bench.check(&[], round);
        record_all(&ledger, round..records);
        check_ledger(&ledger, records);
        ledger.close();
    }
    bench.check(&[], 1_200);
}

#[test]
fn a_record_id_is_answered_with_its_first_entry_for_ever() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..10);
    record_all(&ledger, 0..20);
    ledger.close();
    let ledger = bench.open();
    record_all(&ledger, 5..25);
    check_ledger(&ledger, 25);

    let mut other = submission(3);
    other.record.extend_from_slice(&[0x98, 0x06, 0x01]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let refused = runtime.block_on(ledger.append(vec![other])).unwrap_err();
    assert!(
        matches!(refused, AppendError::RecordIdTaken { item: 0, index: 4 }),
        "{refused}"
    );

    let repeat = runtime
        .block_on(ledger.append(vec![submission(4), submission(7)]))
        .unwrap();
    assert_eq!(
        repeat.iter().map(|a| a.index.value()).collect::<Vec<_>>(),
        [5, 8]
    );
    let partly = runtime
        .block_on(ledger.append(vec![submission(90), submission(7)]))
        .unwrap_err();
    assert!(
        matches!(partly, AppendError::PartlyRecorded { item: 1, index: _ }),
        "{partly}"
    );
    check_ledger(&ledger, 25);
}

#[test]
fn either_copy_is_enough() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage, Recovery); 6] = [
        (
            "no store",
            |dir| fs::remove_dir_all(dir.join("store")).unwrap(),
            Recovery::StoreRebuilt(0),
        ),
        (
            "a truncated store",
            |dir| {
                let file = fs::File::options()
                    .write(true)
                    .open(dir.join("store/db"))
                    .unwrap();
                file.set_len(9_000).unwrap();
            },
            // What is left of it is an older store, and whole.
            Recovery::StoreCaughtUp(0),
        ),
        (
            "a scribbled store",
            |dir| {
                for file in files_below(&dir.join("store")) {
                    let mut bytes = fs::read(&file).unwrap();
                    bytes.iter_mut().step_by(50).for_each(|byte| *byte = !*byte);
                    fs::write(&file, bytes).unwrap();
                }
            },
            Recovery::StoreRebuilt(0),
        ),
        (
            "no journal",
            |dir| fs::remove_dir_all(dir.join("journal")).unwrap(),
            Recovery::JournalRewritten(0),
        ),
        (
            "a journal without its beginning",
            |dir| {
                let mut segments = files_below(&dir.join("journal"));
                segments.retain(|path| path.extension().is_some_and(|end| end == "gtj"));
                segments.sort();
                fs::remove_file(&segments[0]).unwrap();
            },
            Recovery::JournalRewritten(0),
        ),
        (
            "a journal with one bit flipped",
            flip_a_bit_of_the_journal,
            Recovery::JournalRewritten(0),
        ),
    ];
    for (what, damage, recovery) in damages {
        let bench = Bench::new();
        let ledger = bench.open();
        for hundred in 0..5 {
            record_all(&ledger, hundred * 100..(hundred + 1) * 100);
        }
        ledger.close();
        damage(&bench.dir());
        let opened = bench.try_open().unwrap();
        assert_eq!(opened.recovered.len(), 2, "{what}: {:?}", opened.recovered);
        let same = std::mem::discriminant(&recovery);
        assert_eq!(std::mem::discriminant(&opened.recovered[1]), same, "{what}");
        let ledger = opened.ledger;
        check_ledger(&ledger, 500);
        record_all(&ledger, 500..510);
        ledger.close();
        bench.check(&[], 510);
    }
}

#[test]
fn two_damaged_copies_are_refused_and_left_alone() {
    let bench = Bench::new();
    let ledger = bench.open();
    for hundred in 0..5 {
        record_all(&ledger, hundred * 100..(hundred + 1) * 100);
    }
    ledger.close();
    fs::remove_dir_all(bench.dir().join("store")).unwrap();
    flip_a_bit_of_the_journal(&bench.dir());
    let journal = files_below(&bench.dir().join("journal"));
    let error = bench.try_open().unwrap_err();
    assert!(matches!(error, OpenError::BothDamaged { .. }), "{error}");
    assert_eq!(files_below(&bench.dir().join("journal")), journal);
}

#[test]
fn an_older_copy_of_the_directory_is_refused() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..5);
    ledger.close();
    let backup = bench.home.path().join("backup");
    copy_dir(&bench.dir(), &backup);
    let ledger = bench.open();
    record_all(&ledger, 5..6);
    ledger.close();
    fs::remove_dir_all(bench.dir()).unwrap();
    copy_dir(&backup, &bench.dir());
    let error = bench.try_open().unwrap_err();
    assert!(
        matches!(
            error,
            OpenError::OlderThanSigned {
                have: 6,
                signed: 7,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn fsck_reads_everything_and_an_export_verifies() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..600);
    let out = bench.home.path().join("export");
    assert_eq!(ledger.export(&out, &|_, _| {}).unwrap(), TreeSize::new(601));
    let verifying = crate::verify::Options {
        key: ledger.vkey().clone(),
        since: None,
    };
    crate::verify::verify_directory(&out, &verifying, &|_, _| {}).unwrap();

    // Beside the open ledger, from the journal.
    let beside = bench.home.path().join("beside");
    super::export::export_directory(&bench.options(), &beside, &|_, _| {}).unwrap();
    crate::verify::verify_directory(&beside, &verifying, &|_, _| {}).unwrap();
    ledger.close();

    Ledger::rebuild_views(&bench.options(), entropy()).unwrap();
    let clock = Arc::clone(&bench.clock) as _;
    let checked = super::fsck::fsck(&bench.options(), clock, entropy(), &|_, _| {});
    let checked = checked.unwrap();
    assert_eq!(checked.recovered, []);
    assert!(checked.lines.len() > 5, "{:?}", checked.lines);
    bench.check(&[], 600);
}

#[test]
fn what_survives_in_two_damaged_copies_is_saved() {
    let bench = Bench::new();
    let ledger = bench.open();
    for hundred in 0..5 {
        record_all(&ledger, hundred * 100..(hundred + 1) * 100);
    }
    let vkey = ledger.vkey().clone();
    ledger.close();
    fs::remove_dir_all(bench.dir().join("store")).unwrap();
    flip_a_bit_of_the_journal(&bench.dir());
    let out = bench.home.path().join("survivors");
    let saved = super::export::export_survivors(&bench.options(), &out).unwrap();
    let verifying = crate::verify::Options {
        key: vkey,
        since: None,
    };
    crate::verify::verify_directory(&out, &verifying, &|_, _| {}).unwrap();
    assert!(TreeSize::new(1) <= saved.proved && saved.proved < TreeSize::new(501));
    let (first, next) = saved.loose[0];
    assert!(saved.proved.value() < first && next == 501);
    let kept = fs::read(out.join(format!("survivors/{first}-{next}.entries"))).unwrap();
    let length = usize::from(u16::from_be_bytes([kept[0], kept[1]]));
    let view = EntryView::parse(&kept[2..2 + length]).unwrap();
    assert_eq!(view.index, Index::new(first));
}

#[test]
fn a_part_of_an_entry_whose_beginning_was_not_written_is_not_taken_for_entries() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..3);
    ledger.close();
    let store = bench.store();
    let mut writes = Vec::new();
    let mut entries = [3_000, 20_000, 3_000, 20_000].map(super::block::noise);
    // Compressed, and in parts all the same, of which the last will not be there.
    entries[3].resize(40_000, 0);
    // Its second part could be a block with an entry.
    entries[1][6_996..7_000].copy_from_slice(&6_996_u32.to_be_bytes());
    super::layout::pack_blocks(
        Index::new(10),
        entries.iter().map(Vec::as_slice),
        &mut writes,
    );
    let of = |index, part| {
        let key = super::layout::block_key(Index::new(index), part);
        writes
            .iter()
            .find(|write| write.key() == key)
            .unwrap()
            .clone()
    };
    store
        .trail(&[of(10, 0), of(11, 1), of(12, 0), of(13, 0)])
        .unwrap();
    store.sync().unwrap();
    drop(store);

    let out = bench.home.path().join("survivors");
    let saved = super::export::export_survivors(&bench.options(), &out).unwrap();
    assert_eq!(saved.loose, [(10, 11), (12, 13)]);
}

#[test]
fn damage_that_a_read_finds_stops_the_ledger_and_the_next_start_mends_it() {
    let bench = Bench::new();
    let ledger = bench.open();
    for hundred in 0..3 {
        record_all(&ledger, hundred * 100..(hundred + 1) * 100);
    }
    let whole = ledger.entry(Index::new(40)).unwrap();
    let store = &ledger.shared.store;
    let blocks = super::layout::blocks_from(Index::new(1));
    let (key, _) = store
        .scan(&blocks, Direction::Forward, 1)
        .unwrap()
        .remove(0);
    store.trail(&[Write::Remove { key }]).unwrap();

    ledger.entry(Index::new(1)).unwrap_err();
    assert!(ledger.has_stopped());
    let outcome = record(&ledger, 300..301).remove(0);
    assert!(matches!(outcome, Err(AppendError::Stopped)));
    ledger.close();

    let opened = bench.try_open().unwrap();
    let expected = [
        Recovery::Unclean,
        Recovery::StoreRebuilt(301),
        Recovery::ViewsRebuilt,
    ];
    assert_eq!(opened.recovered, expected);
    assert_eq!(opened.ledger.entry(Index::new(40)).unwrap(), whole);
    check_ledger(&opened.ledger, 300);
    record_all(&opened.ledger, 300..310);
    opened.ledger.close();
    bench.check(&[], 310);
}

/// A closed ledger of five records, with a checkpoint in its store as stores had it before it was kept with the head: of so
/// many records.
fn with_a_checkpoint_of_its_own(records: u32) -> Bench {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..records);
    let checkpoint = ledger.published().note().to_owned();
    record_all(&ledger, records..5);
    ledger.close();
    let store = bench.store();
    let head = store.fence().unwrap();
    let once = Write::Put {
        key: super::layout::CHECKPOINT_KEY.to_vec(),
        value: checkpoint.into(),
    };
    store.commit(&head, &head, b"", &[once]).unwrap();
    bench
}

#[test]
fn a_store_with_its_checkpoint_under_a_key_of_its_own_is_read_and_written_on() {
    let bench = with_a_checkpoint_of_its_own(5);
    let ledger = bench.check(&[Recovery::Unclean], 5);
    assert_eq!(ledger.shared.store.checkpoint().unwrap(), b"");
    record_all(&ledger, 5..9);
    ledger.close();
    let ledger = bench.check(&[], 9);
    let with_head = ledger.shared.store.checkpoint().unwrap();
    assert_eq!(with_head, ledger.published().note().as_bytes());
}

#[test]
fn a_store_whose_blocks_are_not_compressed_is_read_and_written_on() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..60);
    let all = ledger.entries(Index::new(0), ledger.published().size());
    let all: Vec<(Index, Vec<u8>)> = all.map(Result::unwrap).collect();
    ledger.close();
    let store = bench.store();
    let blocks = super::layout::blocks_from(Index::new(0));
    let blocks = store.scan(&blocks, Direction::Forward, 100).unwrap();
    let mut writes: Vec<Write> = blocks
        .into_iter()
        .map(|(key, _)| Write::Remove { key })
        .collect();
    // As older versions wrote them.
    let blocks = all.chunks(20).map(|entries| Write::Put {
        key: super::layout::block_key(entries[0].0, 0),
        value: entries
            .iter()
            .flat_map(|(_, entry)| {
                [
                    &u32::try_from(entry.len()).unwrap().to_be_bytes(),
                    &entry[..],
                ]
                .concat()
            })
            .collect(),
    });
    writes.extend(blocks);
    store.trail(&writes).unwrap();
    store.sync().unwrap();
    drop(store);

    let ledger = bench.check(&[Recovery::Unclean], 60);
    let read = ledger.entries(Index::new(0), ledger.published().size());
    assert_eq!(read.map(Result::unwrap).collect::<Vec<_>>(), all);
    record_all(&ledger, 60..70);
    ledger.close();
    bench.check(&[], 70).close();
    let clock = Arc::clone(&bench.clock) as _;
    super::fsck::fsck(&bench.options(), clock, entropy(), &|_, _| {}).unwrap();
}

#[test]
fn a_store_whose_only_checkpoint_is_of_another_size_is_made_again() {
    let bench = with_a_checkpoint_of_its_own(4);
    bench.check(&[Recovery::Unclean, Recovery::StoreRebuilt(6)], 5);
}

/// What a commit writes before its head: blocks, a tile, and that one of its entries names a key.
fn writes_of_a_commit(first: Index) -> Vec<Write> {
    let mut writes = Vec::new();
    // A part of the large one is written before its first.
    let entries = [1_500, 1_500, 20_000, 1_500, 1_500].map(super::block::noise);
    super::layout::pack_blocks(first, entries.iter().map(Vec::as_slice), &mut writes);
    let mut tile = TileNodes::new();
    while tile.push(Hash::ZERO).is_some() {}
    super::layout::put_tile(TileId::full(0, 0), &tile, &mut writes);
    writes.push(authority::list(first.next()));
    writes
}

#[test]
fn a_commit_that_was_interrupted_is_taken_back_wherever_that_was() {
    let writes = writes_of_a_commit(Index::new(201));
    assert_eq!(writes.len(), 5 + 3 + 1);
    for made in 1..=writes.len() {
        let bench = Bench::new();
        let ledger = bench.open();
        record_all(&ledger, 0..200);
        ledger.close();
        let store = bench.store();
        store.trail(&writes[..made]).unwrap();
        store.sync().unwrap();
        drop(store);

        let ledger = bench.check(&[Recovery::Unclean], 200);
        let listed = authority::listed(ledger.shared.store.as_ref(), Index::new(u64::MAX));
        assert_eq!(listed.unwrap(), [Index::new(0)]);
        record_all(&ledger, 200..300);
        ledger.close();
        fs::remove_file(bench.dir().join("clean")).unwrap();
        bench.check(&[Recovery::Unclean], 300).close();
        bench.check(&[], 300);
    }
}

/// Records the numbers, one after another, each as an entry of several parts.
fn record_large(ledger: &Ledger, numbers: std::ops::Range<u32>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for number in numbers {
        let submission = submission(number);
        let mut record = pb::Record::decode(submission.record.as_slice()).unwrap();
        let letters = super::block::noise(30_000).into_iter();
        record.reason = letters.map(|byte| char::from(b'a' + byte % 26)).collect();
        let record = record.encode_to_vec();
        let job = ledger.queue(vec![Submission {
            record,
            ..submission
        }]);
        let answer = runtime.block_on(async { job.await.unwrap().await });
        answer.unwrap().unwrap();
    }
}

#[test]
fn the_log_is_read_to_its_end_while_large_entries_are_recorded() {
    let bench = Bench::new();
    let ledger = &bench.open();
    thread::scope(|scope| {
        let recording = scope.spawn(|| record_large(ledger, 0..300));
        while !recording.is_finished() {
            let size = ledger.published().size();
            let (first, last) = (size.value().saturating_sub(3), size.value() - 1);
            let read = ledger.entries(Index::new(first), size);
            let (index, entry) = read.map(Result::unwrap).last().unwrap();
            assert_eq!(index, Index::new(last));
            assert_eq!(ledger.entry(index).unwrap(), entry);
        }
    });
    assert_eq!(ledger.published().size(), TreeSize::new(301));
}

/// Removes the filter of the first run of record ids, which is read when it is first asked.
fn damage_a_filter(ledger: &Ledger) {
    let key = [&[0x11][..], &[0; 8]].concat();
    let store = &ledger.shared.store;
    assert!(store.get(&key).unwrap().is_some());
    store.trail(&[Write::Remove { key }]).unwrap();
    store.sync().unwrap();
}

/// Leaves as many runs of record ids as are merged, without what they hold.
fn damage_runs_that_are_about_to_be_merged(ledger: &Ledger) {
    let (views, store) = (&ledger.shared.views, ledger.shared.store.as_ref());
    for index in 1_000..1_000 + 8 * 16_384_u64 {
        let hash = leaf_hash(&index.to_be_bytes());
        let id = hash.as_bytes().first_chunk().unwrap();
        views.ids.insert(id, Index::new(index));
        if index % 16_384 == 999 {
            views.ids.keep_up(store).unwrap();
        }
    }
    views.ids.close(store).unwrap();
    let buckets = KeyRange::prefix([0x10]);
    let buckets = store.scan(&buckets, Direction::Forward, usize::MAX);
    let buckets = buckets.unwrap().into_iter();
    let removes: Vec<Write> = buckets.map(|(key, _)| Write::Remove { key }).collect();
    assert!(!removes.is_empty());
    store.trail(&removes).unwrap();
}

#[test]
fn damage_that_the_upkeep_of_views_finds_stops_the_ledger_and_is_mended_at_the_next_start() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..3);
    damage_runs_that_are_about_to_be_merged(&ledger);
    // The merge begins with the first of these, and reads with the second.
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let mut recorded = 3;
    let refused = loop {
        assert!(recorded < 20, "nothing was found");
        match runtime.block_on(ledger.append(vec![submission(recorded)])) {
            Ok(_) => recorded += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, AppendError::Stopped), "{refused}");
    ledger.close();
    assert!(bench.options().suspect_path().exists());
    let opened = bench.try_open().unwrap();
    assert!(opened.recovered.contains(&Recovery::ViewsRebuilt));
    check_ledger(&opened.ledger, recorded);
}

/// What a step was writing that failed is nowhere: nothing may be written that says otherwise.
#[test]
fn a_ledger_whose_last_step_of_upkeep_failed_is_not_closed_cleanly() {
    let bench = Bench::new();
    let ledger = bench.open();
    damage_runs_that_are_about_to_be_merged(&ledger);
    // The merge begins with the first of these, and reads with the second.
    record_all(&ledger, 0..1);
    record_all(&ledger, 1..2);
    let clean = |bench: &Bench| bench.dir().join("clean").exists();
    ledger.close();
    assert!(!clean(&bench));
    let opened = bench.try_open().unwrap();
    check_ledger(&opened.ledger, 2);
    opened.ledger.close();
    assert!(clean(&bench));
}

#[test]
fn a_damaged_filter_that_a_question_finds_is_mended_at_the_next_start() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..5);
    ledger.close();
    let ledger = bench.open();
    damage_a_filter(&ledger);
    let id = submission(0).record_id;
    ledger.entry_by_record_id(&id).unwrap_err();
    assert!(ledger.has_stopped());
    ledger.close();
    let opened = bench.try_open().unwrap();
    assert!(opened.recovered.contains(&Recovery::ViewsRebuilt));
    check_ledger(&opened.ledger, 5);
}

#[test]
fn a_damaged_filter_that_a_start_after_a_kill_finds_is_mended_by_it() {
    let bench = Bench::new();
    let append = |ledger: &Ledger, number: u32, kind: pb::record::Kind| {
        let record = pb::Record {
            record_id: uuid(number),
            event_time: "2023-01-05".to_owned(),
            kind: Some(kind),
            ..pb::Record::default()
        };
        let submission = Submission {
            record: record.encode_to_vec(),
            posts: Posts::of(&record),
            ..submission(number)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let outcome = runtime.unwrap().block_on(ledger.append(vec![submission]));
        outcome.unwrap();
    };
    let ledger = bench.open();
    let given = pb::Administration::default();
    append(&ledger, 0, pb::record::Kind::Administration(given));
    ledger.close();
    let ledger = bench.open();
    // The record that it corrects is looked for by its id again at the next start.
    let correction = pb::Correction {
        target: uuid(0),
        ..pb::Correction::default()
    };
    append(&ledger, 1, pb::record::Kind::Correction(correction));
    damage_a_filter(&ledger);
    let killed = bench.home.path().join("killed");
    copy_dir(&bench.dir(), &killed);
    ledger.close();
    fs::remove_dir_all(bench.dir()).unwrap();
    copy_dir(&killed, &bench.dir());

    let opened = bench.try_open().unwrap();
    assert!(opened.recovered.contains(&Recovery::ViewsRebuilt));
    let id = submission(0).record_id;
    let found = opened.ledger.entry_by_record_id(&id).unwrap();
    assert_eq!(found.unwrap().0, Index::new(1));
}

#[test]
fn a_second_opener_is_refused() {
    let bench = Bench::new();
    let ledger = bench.open();
    assert!(matches!(
        bench.try_open().unwrap_err(),
        OpenError::InUse { .. }
    ));
    record_all(&ledger, 0..1);
    ledger.close();
    bench.check(&[], 1);
}

#[test]
fn a_clock_that_steps_back_a_little_is_held_and_far_back_is_refused() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..1);
    bench.clock.set(noon() - TimeDelta::seconds(9));
    record_all(&ledger, 1..2);
    bench.clock.set(noon() - TimeDelta::seconds(11));
    let outcome = record(&ledger, 2..3).remove(0);
    assert!(matches!(
        outcome,
        Err(AppendError::ClockWentBack { seconds: 11 })
    ));
    bench.clock.set(noon() + TimeDelta::seconds(1));
    record_all(&ledger, 2..3);
    check_ledger(&ledger, 3);
}

#[test]
fn a_missing_high_water_checkpoint_is_made_anew_and_said() {
    let bench = Bench::new();
    let ledger = bench.open();
    record_all(&ledger, 0..3);
    ledger.close();
    fs::remove_file(bench.options().high_water_path()).unwrap();
    bench.check(&[Recovery::HighWaterCreated(4)], 3);
}

#[test]
fn another_history_under_the_same_key_is_refused() {
    let bench = Bench::new();
    let backup = bench.home.path().join("backup");
    copy_dir(&bench.dir(), &backup);
    let ledger = bench.open();
    record_all(&ledger, 0..3);
    ledger.close();
    let mark = fs::read(bench.options().high_water_path()).unwrap();
    fs::remove_dir_all(bench.dir()).unwrap();
    copy_dir(&backup, &bench.dir());
    fs::remove_file(bench.options().high_water_path()).unwrap();
    let ledger = bench.open();
    bench.clock.advance(TimeDelta::seconds(1));
    record_all(&ledger, 0..9);
    ledger.close();
    fs::write(bench.options().high_water_path(), mark).unwrap();
    let error = bench.try_open().unwrap_err();
    assert!(
        matches!(error, OpenError::OtherHistory { size: 4, .. }),
        "{error}"
    );
}

#[test]
fn creating_a_ledger_leaves_its_neighbours_alone() {
    let bench = Bench::new();
    for neighbour in ["ledger.init", "ledger.init.1"] {
        let path = bench.home.path().join(neighbour);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("kept"), "kept").unwrap();
    }
    fs::remove_dir_all(bench.dir()).unwrap();
    fs::remove_file(bench.options().high_water_path()).unwrap();
    bench.create();
    for neighbour in ["ledger.init", "ledger.init.1"] {
        assert!(
            bench.home.path().join(neighbour).join("kept").exists(),
            "{neighbour}"
        );
    }
    bench.check(&[], 0);
}
