//! The store in memory: the model that the other engines are compared with, and the one that fails
//! on command and yields what a crash would have left.
//!
//! It keeps nothing beyond the process, and is as strict about limits as the strictest engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Cause, CommitError, Direction, Head, Health, KeyRange, Limits, Pair, Store, StoreError, Write,
    check_checkpoint, check_heads, check_writes,
};

/// A [`Store`] over a `BTreeMap`, with a script of faults.
#[derive(Debug)]
pub struct MemoryStore {
    state: Mutex<State>,
}

/// What goes wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The answer is [`CommitError::Unknown`].
    Unknown {
        /// What the store has kept nevertheless.
        kept: Kept,
        /// What the store does with the calls that follow.
        after: After,
    },
    /// The answer is [`CommitError::Full`]; nothing is kept.
    Full,
    /// The answer is [`CommitError::Failed`], now and to all that follows; nothing is kept.
    Failed,
}

/// How much of a commit is kept when its outcome is reported unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Nothing of it.
    Nothing,
    /// The first so many of its writes, and not the head.
    First(usize),
    /// All of it: only the answer was lost.
    All,
}

/// How a store is after a commit with unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// As a server is after a lost connection: it goes on.
    GoesOn,
    /// As an engine on a disk is after a failed sync: it has to be opened anew.
    Stops,
}

/// The failure of a [`MemoryStore`] that was told to fail.
#[derive(Debug, thiserror::Error)]
#[error("a fault was injected")]
pub struct Injected;

#[derive(Debug)]
struct State {
    head: Head,
    checkpoint: Vec<u8>,
    pairs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// For each write that is not durable yet, first to last: what it replaced.
    undo: Vec<Replaced>,
    commits: u64,
    faults: BTreeMap<u64, Fault>,
    failure: Option<Cause>,
}

/// A key, and what it held before.
type Replaced = (Vec<u8>, Option<Vec<u8>>);

/// As sled: see [`super::sled_store`], where the numbers come from.
const LIMITS: Limits = super::sled_store::LIMITS;

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::holding(Head::NEW, Vec::new(), BTreeMap::new())
    }
}

impl MemoryStore {
    fn holding(head: Head, checkpoint: Vec<u8>, pairs: BTreeMap<Vec<u8>, Vec<u8>>) -> MemoryStore {
        MemoryStore {
            state: Mutex::new(State {
                head,
                checkpoint,
                pairs,
                undo: Vec::new(),
                commits: 0,
                faults: BTreeMap::new(),
                failure: None,
            }),
        }
    }

    /// Lets the n-th commit from now on fail, counted from 0 and by calls that pass the checks.
    pub fn fail_commit(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        let number = state.commits.saturating_add(n);
        state.faults.insert(number, fault);
    }

    /// What a crash at this moment leaves: everything durable, and of the writes that trail behind it the first
    /// `trailing_kept`.
    #[must_use]
    pub fn crash_image(&self, trailing_kept: usize) -> MemoryStore {
        let state = self.state();
        let mut pairs = state.pairs.clone();
        for (key, replaced) in state.undo.iter().skip(trailing_kept).rev() {
            match replaced {
                Some(value) => pairs.insert(key.clone(), value.clone()),
                None => pairs.remove(key),
            };
        }
        MemoryStore::holding(state.head, state.checkpoint.clone(), pairs)
    }

    /// How many writes are not durable yet.
    pub fn trailing(&self) -> usize {
        self.state().undo.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check_usable(&self) -> Result<(), StoreError> {
        match &self.failure {
            Some(cause) => Err(StoreError::Failed {
                cause: Arc::clone(cause),
            }),
            None => Ok(()),
        }
    }

    fn stop(&mut self) -> Cause {
        let cause: Cause = Arc::new(Injected);
        Arc::clone(self.failure.get_or_insert(cause))
    }

    fn apply(&mut self, writes: &[Write]) {
        for write in writes {
            let replaced = match write {
                Write::Put { key, value } => self.pairs.insert(key.clone(), value.clone()),
                Write::Remove { key } => self.pairs.remove(key),
            };
            self.undo.push((write.key().to_vec(), replaced));
        }
    }

    fn keep(&mut self, next: &Head, checkpoint: &[u8], writes: &[Write]) {
        self.apply(writes);
        self.head = *next;
        checkpoint.clone_into(&mut self.checkpoint);
        self.undo.clear();
    }
}

impl Store for MemoryStore {
    fn fence(&self) -> Result<Head, StoreError> {
        let mut state = self.state();
        state.check_usable()?;
        state.head.epoch += 1;
        state.undo.clear();
        Ok(state.head)
    }

    fn commit(
        &self,
        expect: &Head,
        next: &Head,
        checkpoint: &[u8],
        writes: &[Write],
    ) -> Result<(), CommitError> {
        let mut state = self.state();
        if let Some(cause) = &state.failure {
            return Err(CommitError::Failed {
                cause: Arc::clone(cause),
            });
        }
        check_writes(writes, &LIMITS)?;
        check_checkpoint(checkpoint, &LIMITS)?;
        check_heads(&state.head, expect, next)?;

        let number = state.commits;
        state.commits += 1;
        match state.faults.remove(&number) {
            None => {
                state.keep(next, checkpoint, writes);
                Ok(())
            }
            Some(Fault::Full) => Err(CommitError::Full {
                free_bytes: 0,
                reserve_bytes: 0,
            }),
            Some(Fault::Failed) => Err(CommitError::Failed {
                cause: state.stop(),
            }),
            Some(Fault::Unknown { kept, after }) => {
                match kept {
                    Kept::Nothing => {}
                    Kept::First(count) => {
                        state.apply(writes.get(..count).unwrap_or(writes));
                        // They got as far as the disk, with all that trailed before them.
                        state.undo.clear();
                    }
                    Kept::All => state.keep(next, checkpoint, writes),
                }
                let cause = match after {
                    After::GoesOn => Arc::new(Injected),
                    After::Stops => state.stop(),
                };
                Err(CommitError::Unknown { cause })
            }
        }
    }

    fn checkpoint(&self) -> Result<Vec<u8>, StoreError> {
        Ok(self.state().checkpoint.clone())
    }

    fn trail(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.check_usable()?;
        check_writes(writes, &LIMITS)?;
        state.apply(writes);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        state.check_usable()?;
        state.undo.clear();
        Ok(())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.state().pairs.get(key).cloned())
    }

    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(key)).collect()
    }

    fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let Some((start, end)) = range.clamped() else {
            return Ok(Vec::new());
        };
        let state = self.state();
        let pairs = state
            .pairs
            .range::<[u8], _>((
                std::ops::Bound::Included(start),
                std::ops::Bound::Excluded(end),
            ))
            .map(|(key, value)| (key.clone(), value.clone()));
        Ok(match direction {
            Direction::Forward => pairs.take(limit).collect(),
            Direction::Backward => pairs.rev().take(limit).collect(),
        })
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn health(&self) -> Health {
        Health {
            free_bytes: None,
            failure: self.state().failure.clone(),
            sync_proved: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, Subject, put};
    use super::*;

    struct Memory {
        trailing_kept: usize,
    }

    impl Subject for Memory {
        type Store = MemoryStore;

        fn fresh(&mut self) -> MemoryStore {
            MemoryStore::default()
        }

        fn crash(&mut self, store: MemoryStore) -> MemoryStore {
            store.crash_image(self.trailing_kept)
        }
    }

    #[test]
    fn it_keeps_the_promises_of_a_store_however_much_of_the_trail_a_crash_keeps() {
        for trailing_kept in [0, 1, usize::MAX] {
            conformance::run(&mut Memory { trailing_kept });
        }
    }

    /// Commits three keys under a fault, and says what was answered and which keys are there.
    fn outcome(fault: Fault) -> (CommitError, MemoryStore, Head, Vec<u8>) {
        let store = MemoryStore::default();
        let head = store.fence().unwrap();
        let next = Head { size: 3, ..head };
        store.fail_commit(0, fault);
        let writes: Vec<Write> = (0..3).map(|key| put(&[key], b"value")).collect();
        let error = store.commit(&head, &next, b"", &writes).unwrap_err();

        let all = KeyRange::prefix([]);
        let pairs = store.scan(&all, Direction::Forward, 9).unwrap();
        let keys = pairs.into_iter().map(|(key, _)| key[0]).collect();
        let image = store.crash_image(0);
        let head = image.fence().unwrap();
        (error, store, head, keys)
    }

    #[test]
    fn a_fault_keeps_what_the_script_says_and_answers_what_the_script_says() {
        let unknown = |kept, after| Fault::Unknown { kept, after };
        for (fault, size, keys, stops) in [
            (unknown(Kept::Nothing, After::GoesOn), 0, vec![], false),
            (unknown(Kept::Nothing, After::Stops), 0, vec![], true),
            (unknown(Kept::First(2), After::Stops), 0, vec![0, 1], true),
            (
                unknown(Kept::First(9), After::Stops),
                0,
                vec![0, 1, 2],
                true,
            ),
            (unknown(Kept::All, After::GoesOn), 3, vec![0, 1, 2], false),
            (unknown(Kept::All, After::Stops), 3, vec![0, 1, 2], true),
            (Fault::Full, 0, vec![], false),
            (Fault::Failed, 0, vec![], true),
        ] {
            let (error, store, head, found) = outcome(fault);
            assert_eq!((head.size, found), (size, keys), "{fault:?}");
            let as_told = match fault {
                Fault::Unknown { .. } => matches!(error, CommitError::Unknown { .. }),
                Fault::Full => matches!(error, CommitError::Full { .. }),
                Fault::Failed => matches!(error, CommitError::Failed { .. }),
            };
            assert!(as_told, "{fault:?} was answered {error:?}");

            assert_eq!(store.health().failure.is_some(), stops, "{fault:?}");
            assert_eq!(store.fence().is_err(), stops, "{fault:?}");
            assert_eq!(store.sync().is_err(), stops, "{fault:?}");
            assert_eq!(store.trail(&[]).is_err(), stops, "{fault:?}");
        }
    }

    #[test]
    fn only_the_commit_that_was_named_fails() {
        let store = MemoryStore::default();
        let mut head = store.fence().unwrap();
        store.fail_commit(2, Fault::Full);
        let answers: Vec<bool> = (0..4)
            .map(|_| {
                let next = Head {
                    size: head.size + 1,
                    ..head
                };
                let kept = store.commit(&head, &next, b"", &[]).is_ok();
                if kept {
                    head = next;
                }
                kept
            })
            .collect();
        assert_eq!(answers, [true, true, false, true]);
        assert_eq!(head.size, 3);
    }

    #[test]
    fn a_crash_keeps_the_first_of_the_trailing_writes_and_undoes_the_others() {
        let store = MemoryStore::default();
        store.trail(&[put(b"a", b"durable")]).unwrap();
        store.sync().unwrap();
        store
            .trail(&[put(b"a", b"first"), put(b"b", b"first")])
            .unwrap();
        let remove = Write::Remove { key: b"a".to_vec() };
        store.trail(&[remove, put(b"b", b"second")]).unwrap();
        assert_eq!(store.trailing(), 4);

        for (kept, a, b) in [
            (0, Some(&b"durable"[..]), None),
            (1, Some(b"first"), None),
            (2, Some(b"first"), Some(&b"first"[..])),
            (3, None, Some(b"first")),
            (4, None, Some(b"second")),
            (5, None, Some(b"second")),
        ] {
            let image = store.crash_image(kept);
            assert_eq!(image.get(b"a").unwrap().as_deref(), a, "{kept} kept");
            assert_eq!(image.get(b"b").unwrap().as_deref(), b, "{kept} kept");
        }
    }
}
