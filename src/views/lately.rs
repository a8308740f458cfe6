//! What was used lately, kept at hand.

use std::{borrow::Borrow, collections::BTreeMap, mem};

/// Values by their keys: as many as were used last, at least, and at most twice as many.
#[derive(Debug)]
pub(super) struct Lately<K, V> {
    least: usize,
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
}

impl<K: Ord, V> Lately<K, V> {
    /// Keeps none yet, and so many at least.
    pub(super) fn of(least: usize) -> Self {
        Self {
            least,
            young: BTreeMap::new(),
            old: BTreeMap::new(),
        }
    }

    /// The value of a key, which counts as used.
    pub(super) fn find<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.keep(key, value);
        }
        self.young.get(key)
    }

    /// Keeps a value in place of the key's earlier one. What was not used since as many others were is forgotten.
    pub(super) fn keep(&mut self, key: K, value: V) {
        if self.least <= self.young.len() {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(least: usize, keys: impl IntoIterator<Item = u32>) -> Lately<u32, String> {
        let mut lately = Lately::of(least);
        for key in keys {
            lately.keep(key, key.to_string());
        }
        lately
    }

    #[test]
    fn as_many_as_were_used_last_are_there_and_never_more_than_twice_as_many() {
        for kept in 0..50 {
            let mut lately = holding(10, 0..kept);
            assert!(lately.young.len() + lately.old.len() <= 20);
            for key in kept.saturating_sub(10)..kept {
                assert_eq!(lately.find(&key), Some(&key.to_string()));
            }
            assert_eq!(lately.find(&kept), None);
        }
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let mut lately = holding(10, 0..10);
        for key in 10..100 {
            lately.keep(key, key.to_string());
            assert_eq!(lately.find(&3), Some(&"3".to_owned()));
        }
        assert_eq!(lately.find(&4), None);
    }

    #[test]
    fn a_later_value_is_found_in_place_of_an_earlier_one() {
        let mut lately = holding(2, [1, 2, 3]);
        lately.keep(1, "one".to_owned());
        assert_eq!(lately.find(&1), Some(&"one".to_owned()));
        for key in 4..8 {
            lately.keep(key, key.to_string());
        }
        assert_eq!(lately.find(&1), None);
    }
}
