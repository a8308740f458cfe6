//! What the store keeps in memory of what was read. In a test binary of its own: resident memory is a process's, and no
//! other test's is to be counted.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path};

use genetrail::store::{Direction, Head, KeyRange, SledOptions, SledStore, Store as _, Write};

/// 196 MB: much more than the store may keep.
const VALUES: u64 = 28_000;
const VALUE_BYTES: usize = 7_000;

/// What it may: its cache, and some of what waits to be let go.
const KEPT_BYTES: u64 = 48 << 20;

fn open(dir: &Path) -> SledStore {
    let options = SledOptions {
        cache_bytes: 1 << 20,
        ..SledOptions::default()
    };
    SledStore::open(dir, &options).unwrap()
}

fn fill(store: &SledStore) {
    let mut head = store.fence().unwrap();
    for first in (0..VALUES).step_by(500) {
        let next = Head {
            size: head.size + 500,
            ..head
        };
        let writes = (first..first + 500).map(|number| Write::Put {
            key: number.to_be_bytes().to_vec(),
            // Not all the same, though nothing is compressed.
            value: number.to_be_bytes().repeat(VALUE_BYTES / 8),
        });
        let writes: Vec<Write> = writes.collect();
        store.commit(&head, &next, b"", &writes).unwrap();
        head = next;
    }
}

/// The memory that is this process's own.
fn memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() << 10
}

fn check(before: u64, what: &str) {
    let kept = memory_bytes().saturating_sub(before);
    assert!(kept < KEPT_BYTES, "{what}: {} MiB are kept", kept >> 20);
}

#[test]
fn reading_a_large_store_through_does_not_bring_all_of_it_into_memory() {
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()));

    let store = open(dir.path());
    let before = memory_bytes();
    for number in 0..VALUES / 3 {
        // A prime: all over the store.
        let key = (number * 7_919 % VALUES).to_be_bytes();
        assert!(store.get(&key).unwrap().is_some());
    }
    check(before, "one by one");
    for first in (0..VALUES).step_by(100) {
        let range = KeyRange {
            start: first.to_be_bytes().to_vec(),
            end: (first + 100).to_be_bytes().to_vec(),
        };
        let pairs = store.scan(&range, Direction::Forward, 100).unwrap();
        assert_eq!(pairs.len(), 100);
    }
    check(before, "in order");
}
