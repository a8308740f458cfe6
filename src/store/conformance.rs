//! What every engine is held to, run on each of them: the promises of [`Store`], one by one, and a
//! property that compares it with a `BTreeMap`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{CommitError, Direction, Head, KeyRange, Pair, Store, StoreError, Write, WriteRefused};

/// An engine under test.
pub(super) trait Subject {
    /// The engine's type.
    type Store: Store;

    /// A store that nobody has written to.
    fn fresh(&mut self) -> Self::Store;

    /// Stops the store without a warning, and opens what that has left.
    fn crash(&mut self, store: Self::Store) -> Self::Store;
}

/// Runs the whole suite.
pub(super) fn run<S: Subject>(subject: &mut S) {
    a_new_store_is_empty(&subject.fresh());
    a_fence_raises_the_epoch_and_shuts_out_the_writer_before(&subject.fresh());
    a_commit_on_another_head_is_a_conflict_and_changes_nothing(&subject.fresh());
    a_head_that_goes_back_or_changes_its_epoch_is_refused(&subject.fresh());
    a_checkpoint_is_kept_with_its_head(subject);
    writes_outside_of_the_limits_are_refused_whole(&subject.fresh());
    the_largest_keys_and_values_are_taken(&subject.fresh());
    the_later_of_two_writes_to_a_key_stays(&subject.fresh());
    a_range_is_read_from_either_end(&subject.fresh());
    the_corner_of_the_engine_is_not_to_be_seen(&subject.fresh());
    readers_see_whole_values_that_never_go_back(&subject.fresh());
    what_was_committed_or_synced_is_there_after_a_crash(subject);
    a_commit_of_many_writes_is_there_whole(subject);
    it_holds_what_a_map_would_hold(subject);
}

pub(super) fn put(key: &[u8], value: &[u8]) -> Write {
    Write::Put {
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

fn remove(key: &[u8]) -> Write {
    Write::Remove { key: key.to_vec() }
}

fn grown(head: Head) -> Head {
    Head {
        size: head.size + 1,
        chain: [u8::try_from(head.size % 251).unwrap(); 32],
        ..head
    }
}

fn everything(store: &impl Store) -> Vec<Pair> {
    let all = KeyRange::prefix([]);
    store.scan(&all, Direction::Forward, usize::MAX).unwrap()
}

fn a_new_store_is_empty(store: &impl Store) {
    assert_eq!(store.get(b"absent").unwrap(), None);
    assert_eq!(everything(store), []);
    let fenced = Head {
        epoch: 1,
        ..Head::NEW
    };
    assert_eq!(store.fence().unwrap(), fenced);
    assert!(store.health().failure.is_none());
}

fn a_fence_raises_the_epoch_and_shuts_out_the_writer_before(store: &impl Store) {
    let first = store.fence().unwrap();
    let next = grown(first);
    store
        .commit(&first, &next, b"", &[put(b"k", b"first")])
        .unwrap();

    let second = store.fence().unwrap();
    assert_eq!(second, Head { epoch: 2, ..next });
    let error = store
        .commit(&next, &grown(next), b"", &[put(b"k", b"late")])
        .unwrap_err();
    assert!(
        matches!(error, CommitError::Fenced { have: 2, ours: 1 }),
        "{error:?}"
    );
    assert_eq!(store.get(b"k").unwrap().unwrap(), b"first");
    store.commit(&second, &grown(second), b"", &[]).unwrap();
}

fn a_commit_on_another_head_is_a_conflict_and_changes_nothing(store: &impl Store) {
    let head = store.fence().unwrap();
    let chain = Head {
        chain: [9; 32],
        ..head
    };
    let later = Head { epoch: 9, ..head };
    for wrong in [grown(head), chain, later] {
        let error = store
            .commit(&wrong, &grown(wrong), b"", &[put(b"k", b"v")])
            .unwrap_err();
        assert!(
            matches!(error, CommitError::Conflict { have } if have == head),
            "{error:?}"
        );
        assert_eq!(everything(store), []);
    }
    store
        .commit(&head, &grown(head), b"", &[put(b"k", b"v")])
        .unwrap();
}

fn a_head_that_goes_back_or_changes_its_epoch_is_refused(store: &impl Store) {
    let new = store.fence().unwrap();
    let head = grown(new);
    store.commit(&new, &head, b"", &[]).unwrap();
    let smaller = Head { size: 0, ..head };
    let fenced = Head { epoch: 2, ..head };
    for (next, expected) in [
        (smaller, WriteRefused::SizeShrinks { expect: 1, next: 0 }),
        (fenced, WriteRefused::EpochChanged { expect: 1, next: 2 }),
    ] {
        let error = store.commit(&head, &next, b"", &[]).unwrap_err();
        assert!(matches!(error, CommitError::Refused(is) if is == expected));
    }
}

fn a_checkpoint_is_kept_with_its_head<S: Subject>(subject: &mut S) {
    let store = subject.fresh();
    assert_eq!(store.checkpoint().unwrap(), b"");
    let limits = store.limits();
    let longest = vec![7; limits.value_bytes_max - Head::BYTES];
    let mut head = store.fence().unwrap();
    for checkpoint in [&b"first"[..], &longest, b"", b"last"] {
        let next = grown(head);
        store.commit(&head, &next, checkpoint, &[]).unwrap();
        head = next;
        assert_eq!(store.checkpoint().unwrap(), checkpoint);
    }

    // A commit that is refused leaves it as it is, and a fence.
    let bytes = longest.len() + 1;
    let too_long = vec![7; bytes];
    let refused = store.commit(&head, &grown(head), &too_long, &[]);
    let expected = WriteRefused::CheckpointTooLong {
        bytes,
        bytes_max: longest.len(),
    };
    assert!(matches!(refused.unwrap_err(), CommitError::Refused(is) if is == expected));
    let late = store.commit(&Head::NEW, &grown(Head::NEW), b"late", &[]);
    assert!(matches!(late.unwrap_err(), CommitError::Fenced { .. }));
    store.fence().unwrap();
    assert_eq!(store.checkpoint().unwrap(), b"last");
    assert_eq!(everything(&store), []);

    let store = subject.crash(store);
    assert_eq!(store.checkpoint().unwrap(), b"last");
    store.fence().unwrap();
    assert_eq!(store.checkpoint().unwrap(), b"last");
}

fn writes_outside_of_the_limits_are_refused_whole(store: &impl Store) {
    let limits = store.limits();
    let head = store.fence().unwrap();
    let key_bytes = limits.key_bytes_max + 1;
    let value_bytes = limits.value_bytes_max + 1;
    let too_many = limits.commit_bytes_max / limits.value_bytes_max + 1;
    let value = vec![0; limits.value_bytes_max];
    let bytes = b"fine".len() + too_many * (limits.value_bytes_max + 4);

    for (writes, expected) in [
        (vec![put(b"", b"")], WriteRefused::KeyEmpty),
        (vec![remove(b"")], WriteRefused::KeyEmpty),
        (vec![put(b"\xffh", b"")], WriteRefused::KeyReserved),
        (vec![remove(b"\xff")], WriteRefused::KeyReserved),
        (
            vec![put(&vec![1; key_bytes], b"")],
            WriteRefused::KeyTooLong {
                bytes: key_bytes,
                bytes_max: limits.key_bytes_max,
            },
        ),
        (
            vec![put(b"k", &vec![1; value_bytes])],
            WriteRefused::ValueTooLong {
                bytes: value_bytes,
                bytes_max: limits.value_bytes_max,
            },
        ),
        (
            (0..u32::try_from(too_many).unwrap())
                .map(|n| put(&n.to_be_bytes(), &value))
                .collect(),
            WriteRefused::TooMuch {
                bytes,
                bytes_max: limits.commit_bytes_max,
            },
        ),
    ] {
        let writes = [vec![put(b"fine", b"")], writes].concat();
        let error = store.commit(&head, &grown(head), b"", &writes).unwrap_err();
        assert!(
            matches!(error, CommitError::Refused(is) if is == expected),
            "{expected}"
        );
        let error = store.trail(&writes).unwrap_err();
        assert!(
            matches!(error, StoreError::Refused(is) if is == expected),
            "{expected}"
        );
        assert_eq!(everything(store), []);
    }
    store.commit(&head, &grown(head), b"", &[]).unwrap();
}

fn the_largest_keys_and_values_are_taken(store: &impl Store) {
    let limits = store.limits();
    let head = store.fence().unwrap();
    let value = vec![3; limits.value_bytes_max];
    let keys: Vec<Vec<u8>> = (0..500_u64)
        .map(|n| {
            let mut key = vec![7; limits.key_bytes_max];
            key[..8].copy_from_slice(&n.to_be_bytes());
            key
        })
        .collect();
    let writes: Vec<Write> = keys.iter().map(|key| put(key, &value)).collect();
    store.commit(&head, &grown(head), b"", &writes).unwrap();

    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let values = store.get_many(&keys).unwrap();
    assert!(values.iter().all(|found| found.as_ref() == Some(&value)));
    assert_eq!(values.len(), keys.len());
}

fn the_later_of_two_writes_to_a_key_stays(store: &impl Store) {
    let head = store.fence().unwrap();
    let writes = [
        put(b"a", b"1"),
        remove(b"b"),
        remove(b"a"),
        put(b"b", b"2"),
        put(b"b", b"3"),
    ];
    store.commit(&head, &grown(head), b"", &writes).unwrap();
    assert_eq!(everything(store), [(b"b".to_vec(), b"3".to_vec())]);
    store.trail(&[put(b"b", b"4"), remove(b"b")]).unwrap();
    assert_eq!(everything(store), []);
}

fn a_range_is_read_from_either_end(store: &impl Store) {
    let head = store.fence().unwrap();
    let writes: Vec<Write> = (10..20).map(|n| put(&[1, n], &[n])).collect();
    store.commit(&head, &grown(head), b"", &writes).unwrap();

    let between = |start: u8, end: u8| KeyRange::new([1, start], [1, end]);
    for (range, limit, forward, backward) in [
        (KeyRange::prefix([1]), 2, vec![10, 11], vec![19, 18]),
        (between(12, 15), 9, vec![12, 13, 14], vec![14, 13, 12]),
        (between(12, 15), 1, vec![12], vec![14]),
        (between(12, 15), 0, vec![], vec![]),
        (between(0, 11), 9, vec![10], vec![10]),
        (between(19, 255), 9, vec![19], vec![19]),
        (between(15, 15), 9, vec![], vec![]),
        (between(15, 12), 9, vec![], vec![]),
        (KeyRange::prefix([2]), 9, vec![], vec![]),
        (KeyRange::new([], [0xff, 0xff]), 1, vec![10], vec![19]),
    ] {
        for (direction, expected) in [
            (Direction::Forward, forward),
            (Direction::Backward, backward),
        ] {
            let found = store.scan(&range, direction, limit).unwrap();
            let expected: Vec<Pair> = expected
                .into_iter()
                .map(|n| (vec![1, n], vec![n]))
                .collect();
            assert_eq!(found, expected, "{range:?} {direction:?} {limit}");
        }
    }
}

fn the_corner_of_the_engine_is_not_to_be_seen(store: &impl Store) {
    store.fence().unwrap();
    assert_eq!(everything(store), []);
    assert_eq!(store.get(b"\xffh").unwrap(), None);
    for range in [
        KeyRange::prefix([0xff]),
        KeyRange::new([0xfe], [0xff, 0xff, 0xff]),
    ] {
        for direction in [Direction::Forward, Direction::Backward] {
            assert_eq!(store.scan(&range, direction, 9).unwrap(), []);
        }
    }
}

fn readers_see_whole_values_that_never_go_back(store: &impl Store) {
    const KEYS: u8 = 20;
    let mut head = store.fence().unwrap();
    let done = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                let mut seen = [0; KEYS as usize];
                while !done.load(Ordering::Relaxed) {
                    for (key, value) in everything(store) {
                        assert!(value.iter().all(|byte| *byte == value[0]), "a torn value");
                        let seen = &mut seen[usize::from(key[0])];
                        assert!(*seen <= value[0], "an older value");
                        *seen = value[0];
                    }
                }
            });
        }
        for round in 1..100 {
            let value = vec![round; 10 * usize::from(round)];
            let writes: Vec<Write> = (0..KEYS).map(|key| put(&[key], &value)).collect();
            let next = grown(head);
            store.commit(&head, &next, b"", &writes).unwrap();
            head = next;
        }
        done.store(true, Ordering::Relaxed);
    });
}

fn what_was_committed_or_synced_is_there_after_a_crash<S: Subject>(subject: &mut S) {
    let store = subject.fresh();
    let head = store.fence().unwrap();
    let next = grown(head);
    store.trail(&[put(b"before the commit", b"")]).unwrap();
    store
        .commit(&head, &next, b"", &[put(b"committed", b"1")])
        .unwrap();
    store.trail(&[put(b"synced", b"2")]).unwrap();
    store.sync().unwrap();

    let store = subject.crash(store);
    for key in [&b"before the commit"[..], b"committed", b"synced"] {
        assert!(store.get(key).unwrap().is_some(), "{}", key.escape_ascii());
    }
    let fenced = store.fence().unwrap();
    assert_eq!(fenced, Head { epoch: 2, ..next });

    let store = subject.crash(store);
    assert_eq!(store.fence().unwrap(), Head { epoch: 3, ..next });
}

fn a_commit_of_many_writes_is_there_whole<S: Subject>(subject: &mut S) {
    let store = subject.fresh();
    let mut head = store.fence().unwrap();
    let counts = [1, 17, 500, 5_000];
    for (round, count) in (0_u8..).zip(counts) {
        let writes: Vec<Write> = (0..u32::try_from(count).unwrap())
            .map(|n| put(&[&[round][..], &n.to_be_bytes()].concat(), b"v"))
            .collect();
        let next = grown(head);
        store.commit(&head, &next, b"", &writes).unwrap();
        head = next;
    }
    let store = subject.crash(store);
    for (round, count) in (0_u8..).zip(counts) {
        let range = KeyRange::prefix([round]);
        let found = store.scan(&range, Direction::Backward, usize::MAX).unwrap();
        assert_eq!(found.len(), count);
    }
    assert_eq!(store.fence().unwrap(), Head { epoch: 2, ..head });
}

/// A call of the writer, or a crash.
#[derive(Debug, Clone)]
enum Step {
    Commit(Vec<Write>),
    Trail(Vec<Write>),
    Sync,
    Fence,
    Crash,
}

fn a_write() -> impl Strategy<Value = Write> {
    // Few keys, so that they meet again; some are prefixes of others.
    let key = vec(prop_oneof![Just(0_u8), Just(1), Just(0xfe)], 1..4);
    prop_oneof![
        3 => (key.clone(), vec(any::<u8>(), 0..40)).prop_map(|(key, value)| Write::Put { key, value }),
        1 => key.prop_map(|key| Write::Remove { key }),
    ]
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => vec(a_write(), 0..12).prop_map(Step::Commit),
        3 => vec(a_write(), 0..12).prop_map(Step::Trail),
        1 => Just(Step::Sync),
        1 => Just(Step::Fence),
        1 => Just(Step::Crash),
    ]
}

fn it_holds_what_a_map_would_hold<S: Subject>(subject: &mut S) {
    let mut runner = TestRunner::new(Config {
        cases: 16,
        failure_persistence: None,
        ..Config::default()
    });
    let subject = std::cell::RefCell::new(subject);
    runner
        .run(&vec(a_step(), 1..40), |steps| {
            let mut subject = subject.borrow_mut();
            let mut store = subject.fresh();
            let mut head = store.fence().unwrap();
            let mut model = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Commit(writes) => {
                        let next = grown(head);
                        store.commit(&head, &next, b"", &writes).unwrap();
                        head = next;
                        apply(&mut model, &writes);
                    }
                    Step::Trail(writes) => {
                        store.trail(&writes).unwrap();
                        apply(&mut model, &writes);
                    }
                    Step::Sync => store.sync().unwrap(),
                    Step::Fence => head = store.fence().unwrap(),
                    Step::Crash => {
                        // How much of the trail a crash keeps is not promised: take none along.
                        store.sync().unwrap();
                        store = subject.crash(store);
                        let fenced = store.fence().unwrap();
                        prop_assert_eq!(
                            fenced,
                            Head {
                                epoch: head.epoch + 1,
                                ..head
                            }
                        );
                        head = fenced;
                    }
                }
                check_equal(&store, &model);
            }
            Ok(())
        })
        .unwrap();
}

fn apply(model: &mut BTreeMap<Vec<u8>, Vec<u8>>, writes: &[Write]) {
    for write in writes {
        match write {
            Write::Put { key, value } => model.insert(key.clone(), value.clone()),
            Write::Remove { key } => model.remove(key),
        };
    }
}

fn check_equal(store: &impl Store, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
    let owned = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
    let expected: Vec<Pair> = model.iter().map(owned).collect();
    assert_eq!(everything(store), expected);

    let (start, end) = (vec![1], vec![0xfe, 1]);
    let some = KeyRange::new(start.clone(), end.clone());
    let found = store.scan(&some, Direction::Backward, 3).unwrap();
    let expected: Vec<Pair> = model.range(start..end).rev().take(3).map(owned).collect();
    assert_eq!(found, expected);

    let keys = [&[0][..], &[1, 1], &[0xfe]];
    let expected: Vec<Option<Vec<u8>>> = keys.iter().map(|key| model.get(*key).cloned()).collect();
    assert_eq!(store.get_many(&keys).unwrap(), expected);
}
