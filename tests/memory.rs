//! What the store keeps in memory of what was read. In a test binary of its own: resident memory is a process's, and no
//! other test's is to be counted.

#![cfg(feature = "server")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{fs, path::Path};

use genetrail::store::{Direction, Head, KeyRange, SledOptions, SledStore, Store as _, Write};

/// 98 and 196 MB: much more than the store may keep. Of values as blocks of entries are, and as large as they can be.
const STORES: [Values; 2] = [
    Values {
        count: 82_000,
        bytes: 1_200,
    },
    Values {
        count: 28_000,
        bytes: 7_000,
    },
];

#[derive(Clone, Copy)]
struct Values {
    count: u64,
    bytes: usize,
}

/// What it may: its cache, and some of what waits to be let go.
const KEPT_BYTES: u64 = 48 << 20;

fn open(dir: &Path) -> SledStore {
    let options = SledOptions {
        cache_bytes: 1 << 20,
        ..SledOptions::default()
    };
    SledStore::open(dir, &options).unwrap()
}

fn fill(store: &SledStore, values: Values) {
    let mut head = store.fence().unwrap();
    for first in (0..values.count).step_by(500) {
        let next = Head {
            size: head.size + 500,
            ..head
        };
        let writes = (first..first + 500).map(|number| Write::Put {
            key: number.to_be_bytes().to_vec(),
            // Not all the same, though nothing is compressed.
            value: number.to_be_bytes().repeat(values.bytes / 8),
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
    for values in STORES {
        read_through(values);
    }
}

fn read_through(values: Values) {
    let Values { count, bytes } = values;
    let dir = tempfile::tempdir().unwrap();
    fill(&open(dir.path()), values);

    let store = open(dir.path());
    let before = memory_bytes();
    for number in 0..count / 3 {
        // A prime: all over the store.
        let key = (number * 7_919 % count).to_be_bytes();
        assert!(store.get(&key).unwrap().is_some());
    }
    check(before, &format!("one by one, of {bytes} bytes"));
    for first in (0..count).step_by(100) {
        let range = KeyRange {
            start: first.to_be_bytes().to_vec(),
            end: (first + 100).to_be_bytes().to_vec(),
        };
        let pairs = store.scan(&range, Direction::Forward, 100).unwrap();
        assert_eq!(pairs.len(), 100);
    }
    check(before, &format!("in order, of {bytes} bytes"));
}
