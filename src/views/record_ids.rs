//! Which entry carries a record id: what makes a submission idempotent for ever.
//!
//! Record ids are random, and a random key costs the store eight times what a sequential one does. So
//! they are kept as a log-structured index: the newest in memory, the others in sorted runs, eight
//! small runs merged into a large one, in small steps after each commit. A run is addressed by digest
//! (the first 8 bytes of the id's SHA-256): bucket `digest >> (64 - bits)`, each bucket one value,
//! each run with a [`Filter`], read when it is first asked. A digest names candidates; the caller
//! reads the entry and decides.
//!
//! Runs trail behind the log. The manifest's watermark says up to where they reach; what is beyond is
//! read from the entries when the ledger opens.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
};

use sha2::{Digest as _, Sha256};

use super::{
    FILTER, MANIFEST, RUN, RunFilter, STEP_KEYS, ViewError,
    filter::{Filter, Probe},
    put_filter, remove_some, run_key, trail,
};
use crate::{
    store::{Store, Write},
    tlog::{Index, TreeSize},
};

/// Ids in memory before they become a run, and while they do those that come: about 1 MB of memory, and 10 MB of
/// entries to read again after a kill.
const RECENT_MAX: usize = 16_384;

/// Runs of one level that become one of the next.
const FAN_IN: usize = 8;

/// A bucket's aim; with buckets a power of two, the mean is 128 to 256 of at most 512.
const BUCKET_IDS: u64 = 256;

/// A digest (8 bytes) and an index (6 bytes).
const ITEM_BYTES: usize = 14;

/// What a run's keys begin with.
const KINDS: [u8; 2] = [RUN, FILTER];

/// How runs and their filters are made: another number than the manifest's, and the index is made anew. Before the
/// first number the manifest began with the watermark, whose first byte is 0.
const FORMAT: u8 = 1;

/// The index from record ids to entries. One thread inserts, one keeps it up, and any may ask.
#[derive(Debug)]
pub struct RecordIds {
    state: RwLock<State>,
    upkeep: RwLock<Upkeep>,
}

#[derive(Debug, Default)]
struct State {
    /// Digest and index of the newest ids.
    recent: BTreeSet<Item>,
    /// What was in memory before, and is on its way to become a run.
    spilling: Arc<BTreeSet<Item>>,
    runs: Vec<Arc<Run>>,
    /// Entries below are in the runs.
    watermark: u64,
    /// One past the last inserted.
    end: u64,
}

#[derive(Debug, Default)]
struct Upkeep {
    next_run: u32,
    merge: Option<Merge>,
    /// Runs that were merged away, or that an interrupted merge left behind.
    retired: Vec<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    id: u32,
    level: u8,
    /// Buckets are `1 << bits`.
    bits: u8,
    ids: u64,
    filter: RunFilter,
}

/// A merge on its way: the inputs' buckets are read range by range, in the order of digests.
#[derive(Debug)]
struct Merge {
    inputs: Vec<Arc<Run>>,
    output: Run,
    filter: Filter,
    /// The next range, of `1 << range_bits`.
    next_range: u64,
    range_bits: u8,
}

type Item = (u64, u64);

impl RecordIds {
    /// Opens the index as the store holds it. What lies beyond [`RecordIds::watermark`] must be
    /// inserted by the caller.
    ///
    /// # Errors
    /// [`ViewError::Damaged`] where the stored view does not fit together: drop and rebuild it.
    pub fn open(store: &dyn Store) -> Result<Self, ViewError> {
        let manifest = match store.get(&[MANIFEST])? {
            Some(bytes) => Manifest::decode(&bytes).ok_or(ViewError::Damaged { run: 0 })?,
            None => Manifest::default(),
        };
        let watermark = manifest.watermark;
        let state = State {
            runs: manifest.runs.into_iter().map(Arc::new).collect(),
            watermark,
            end: watermark,
            ..State::default()
        };
        let upkeep = Upkeep {
            next_run: manifest.next_run,
            merge: None,
            retired: manifest.unfinished,
        };
        Ok(Self {
            state: RwLock::new(state),
            upkeep: RwLock::new(upkeep),
        })
    }

    /// Up to where the stored runs reach.
    pub fn watermark(&self) -> TreeSize {
        TreeSize::new(self.read().watermark)
    }

    /// Inserts the next entry's record id.
    pub fn insert(&self, record_id: &[u8; 16], index: Index) {
        let mut state = self.write();
        state.recent.insert((digest(record_id), index.value()));
        state.end = index.value() + 1;
    }

    /// The entries that may carry the record id, the oldest first. Nearly always none or the one.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a bucket is missing or malformed.
    pub fn candidates(
        &self,
        store: &dyn Store,
        record_id: &[u8; 16],
    ) -> Result<Vec<Index>, ViewError> {
        let digest = digest(record_id);
        let probe = Probe::of(digest);
        loop {
            let (mut found, runs) = {
                let state = self.read();
                let recent = state.in_memory(digest).collect::<Vec<u64>>();
                let runs = state
                    .runs
                    .iter()
                    .filter(|run| run.filter.is_worth_asking(&probe));
                (recent, runs.map(Arc::clone).collect::<Vec<_>>())
            };
            match candidates_in(store, &runs, (digest, &probe), &mut found) {
                Ok(()) => {
                    found.sort_unstable();
                    found.dedup();
                    return Ok(found.into_iter().map(Index::new).collect());
                }
                // The runs may have been merged away while we read.
                Err(ViewError::Damaged { .. }) if !self.still_has(&runs) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn still_has(&self, runs: &[Arc<Run>]) -> bool {
        let state = self.read();
        runs.iter().all(|run| state.runs.contains(run))
    }

    /// One step of upkeep: a few hundred keys, and a filter.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run to be merged is.
    pub fn keep_up(&self, store: &dyn Store) -> Result<(), ViewError> {
        let mut upkeep = self.upkeep.write().unwrap_or_else(PoisonError::into_inner);
        if RECENT_MAX <= self.read().recent.len() {
            return self.spill(store, &mut upkeep);
        }
        if let Some(&run) = upkeep.retired.last() {
            if !remove_some(store, KINDS, run, run + 1)? {
                upkeep.retired.pop();
            }
            return Ok(());
        }
        if let Some(merge) = upkeep.merge.take() {
            return self.step(store, &mut upkeep, merge);
        }
        self.plan(store, &mut upkeep)
    }

    /// Writes what is in memory as a run, so that nothing need be read again at the next start.
    ///
    /// # Errors
    /// The store's.
    pub fn close(&self, store: &dyn Store) -> Result<(), ViewError> {
        let mut upkeep = self.upkeep.write().unwrap_or_else(PoisonError::into_inner);
        if self.read().recent.is_empty() {
            return Ok(());
        }
        self.spill(store, &mut upkeep)
    }

    /// How many ids are indexed, in memory and in the runs.
    pub fn count(&self) -> u64 {
        let state = self.read();
        let recent = state.recent.len() + state.spilling.len();
        let recent = u64::try_from(recent).unwrap_or(u64::MAX);
        state.runs.iter().map(|run| run.ids).sum::<u64>() + recent
    }

    /// Memory becomes a run of level 0.
    fn spill(&self, store: &dyn Store, upkeep: &mut Upkeep) -> Result<(), ViewError> {
        let (spilling, end) = {
            let mut state = self.write();
            state.spilling = Arc::new(std::mem::take(&mut state.recent));
            (Arc::clone(&state.spilling), state.end)
        };
        let items: Vec<Item> = spilling.iter().copied().collect();
        let ids = u64::try_from(items.len()).unwrap_or(u64::MAX);
        let run = Run::new(upkeep.next_run, 0, ids);
        let mut filter = Filter::for_ids(ids);
        upkeep.next_run += 1;
        let mut writes = Vec::new();
        let mut rest = items.as_slice();
        for bucket in 0..1_u64 << run.bits {
            let (items, later) =
                rest.split_at(rest.partition_point(|&(d, _)| range_of(d, run.bits) <= bucket));
            put_bucket(run.id, &mut filter, bucket, items, &mut writes);
            rest = later;
        }
        writes.extend(put_filter(FILTER, run.id, &filter));
        trail(store, writes)?;

        {
            let mut state = self.write();
            state.spilling = Arc::default();
            state.runs.push(Arc::new(run.with(filter)));
            state.watermark = end;
        }
        self.put_on_record(store, upkeep)
    }

    /// Starts a merge where a level has enough runs.
    fn plan(&self, store: &dyn Store, upkeep: &mut Upkeep) -> Result<(), ViewError> {
        let runs = self.read().runs.clone();
        let full = (0..=u8::MAX)
            .find(|&level| FAN_IN <= runs.iter().filter(|run| run.level == level).count());
        let Some(level) = full else { return Ok(()) };
        let inputs: Vec<Arc<Run>> = runs.into_iter().filter(|run| run.level == level).collect();
        let ids = inputs.iter().map(|run| run.ids).sum();
        let output = Run::new(upkeep.next_run, level.saturating_add(1), ids);
        upkeep.next_run += 1;
        let range_bits = inputs
            .iter()
            .map(|run| run.bits)
            .min()
            .unwrap_or(0)
            .min(output.bits);
        upkeep.merge = Some(Merge {
            inputs,
            output,
            filter: Filter::for_ids(ids),
            next_range: 0,
            range_bits,
        });
        // Before its first key, so that an interrupted merge can be cleared away.
        self.put_on_record(store, upkeep)
    }

    /// Merges as many ranges as a step may write; at the end, puts the output in the inputs' place.
    fn step(
        &self,
        store: &dyn Store,
        upkeep: &mut Upkeep,
        mut merge: Merge,
    ) -> Result<(), ViewError> {
        let mut writes = Vec::new();
        while writes.len() < STEP_KEYS / 2 && merge.next_range < 1 << merge.range_bits {
            let mut items = Vec::new();
            for run in &merge.inputs {
                let width = run.bits - merge.range_bits;
                let first = merge.next_range << width;
                for bucket in first..first + (1 << width) {
                    items.extend(read_bucket(store, run, bucket)?);
                }
            }
            items.sort_unstable();
            let width = merge.output.bits - merge.range_bits;
            let first = merge.next_range << width;
            let mut rest = items.as_slice();
            for bucket in first..first + (1 << width) {
                let bits = merge.output.bits;
                let (items, later) =
                    rest.split_at(rest.partition_point(|&(d, _)| range_of(d, bits) <= bucket));
                let (run, filter) = (merge.output.id, &mut merge.filter);
                put_bucket(run, filter, bucket, items, &mut writes);
                rest = later;
            }
            merge.next_range += 1;
        }
        trail(store, writes)?;
        if merge.next_range < 1 << merge.range_bits {
            upkeep.merge = Some(merge);
            return Ok(());
        }

        let writes: Vec<Write> = put_filter(FILTER, merge.output.id, &merge.filter).collect();
        trail(store, writes)?;
        {
            let mut state = self.write();
            state.runs.retain(|run| !merge.inputs.contains(run));
            state.runs.push(Arc::new(merge.output.with(merge.filter)));
        }
        upkeep.retired.extend(merge.inputs.iter().map(|run| run.id));
        self.put_on_record(store, upkeep)
    }

    /// Writes the manifest, which makes what was written before it count. Nobody who asks waits for the store meanwhile.
    fn put_on_record(&self, store: &dyn Store, upkeep: &Upkeep) -> Result<(), ViewError> {
        let manifest = Manifest::of(&self.read(), upkeep).write();
        Ok(store.trail(&[manifest])?)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The entries of a digest that no run holds yet.
    fn in_memory(&self, digest: u64) -> impl Iterator<Item = u64> {
        let of_digest = (digest, 0)..=(digest, u64::MAX);
        let both = [self.spilling.as_ref(), &self.recent].into_iter();
        both.flat_map(move |ids| ids.range(of_digest.clone()))
            .map(|&(_, index)| index)
    }
}

impl Run {
    fn new(id: u32, level: u8, ids: u64) -> Self {
        let buckets = ids.div_ceil(BUCKET_IDS).max(1).next_power_of_two();
        // A power of two of u64 has at most 63 trailing zeroes.
        let bits = u8::try_from(buckets.trailing_zeros()).unwrap_or(63);
        Self {
            id,
            level,
            bits,
            ids,
            filter: RunFilter::default(),
        }
    }

    fn with(self, filter: Filter) -> Self {
        let filter = RunFilter::from(filter);
        Self { filter, ..self }
    }

    /// The filter, read when it is first asked for.
    fn filter(&self, store: &dyn Store) -> Result<&Filter, ViewError> {
        self.filter.read(store, FILTER, self.id, self.ids)
    }
}

/// Adds the indexes that runs have for a digest.
fn candidates_in(
    store: &dyn Store,
    runs: &[Arc<Run>],
    (digest, probe): (u64, &Probe),
    found: &mut Vec<u64>,
) -> Result<(), ViewError> {
    for run in runs {
        if !run.filter(store)?.may_hold(probe) {
            continue;
        }
        let bucket = read_bucket(store, run, range_of(digest, run.bits))?;
        let start = bucket.partition_point(|&(d, _)| d < digest);
        let same = bucket.iter().skip(start).take_while(|&&(d, _)| d == digest);
        found.extend(same.map(|&(_, index)| index));
    }
    Ok(())
}

/// Which of `1 << bits` equal ranges a digest falls in.
fn range_of(digest: u64, bits: u8) -> u64 {
    digest.checked_shr(64 - u32::from(bits)).unwrap_or(0)
}

fn digest(record_id: &[u8; 16]) -> u64 {
    let hash: [u8; 32] = Sha256::digest(record_id).into();
    hash.first_chunk().copied().map_or(0, u64::from_be_bytes)
}

fn put_bucket(run: u32, filter: &mut Filter, bucket: u64, items: &[Item], writes: &mut Vec<Write>) {
    let mut value = Vec::with_capacity(items.len() * ITEM_BYTES);
    for &(digest, index) in items {
        filter.insert(digest);
        value.extend_from_slice(&digest.to_be_bytes());
        // 48 bits of index: 280 trillion entries.
        let [_, _, index @ ..] = index.to_be_bytes();
        value.extend_from_slice(&index);
    }
    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
    writes.push(Write::Put {
        key: run_key(RUN, run, bucket),
        value,
    });
}

fn read_bucket(store: &dyn Store, run: &Run, bucket: u64) -> Result<Vec<Item>, ViewError> {
    let damaged = ViewError::Damaged { run: run.id };
    let bucket = u32::try_from(bucket).unwrap_or(u32::MAX);
    let Some(value) = store.get(&run_key(RUN, run.id, bucket))? else {
        return Err(damaged);
    };
    let (items, rest) = value.as_chunks::<ITEM_BYTES>();
    if !rest.is_empty() {
        return Err(damaged);
    }
    let item = |&[a, b, c, d, e, f, g, h, i, j, k, l, m, n]: &[u8; ITEM_BYTES]| {
        let digest = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        (digest, u64::from_be_bytes([0, 0, i, j, k, l, m, n]))
    };
    Ok(items.iter().map(item).collect())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Manifest {
    watermark: u64,
    next_run: u32,
    /// Runs without their filters' bits.
    runs: Vec<Run>,
    /// Runs whose keys may be there and do not count.
    unfinished: Vec<u32>,
}

impl Manifest {
    fn of(state: &State, upkeep: &Upkeep) -> Self {
        let mut unfinished = upkeep.retired.clone();
        unfinished.extend(upkeep.merge.iter().map(|merge| merge.output.id));
        Self {
            watermark: state.watermark,
            next_run: upkeep.next_run,
            runs: state.runs.iter().map(|run| Run::clone(run)).collect(),
            unfinished,
        }
    }

    /// format (1), watermark (8), next run (4), runs' count (4), each run: id (4) level (1) bits (1) ids (8); then
    /// the unfinished runs' ids (4 each).
    fn write(&self) -> Write {
        let mut value = vec![FORMAT];
        value.extend_from_slice(&self.watermark.to_be_bytes());
        value.extend_from_slice(&self.next_run.to_be_bytes());
        let count = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        value.extend_from_slice(&count.to_be_bytes());
        for Run {
            id,
            level,
            bits,
            ids,
            filter: _,
        } in &self.runs
        {
            value.extend_from_slice(&id.to_be_bytes());
            value.extend_from_slice(&[*level, *bits]);
            value.extend_from_slice(&ids.to_be_bytes());
        }
        for run in &self.unfinished {
            value.extend_from_slice(&run.to_be_bytes());
        }
        Write::Put {
            key: vec![MANIFEST],
            value,
        }
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (&FORMAT, rest) = bytes.split_first()? else {
            return None;
        };
        let (watermark, rest) = rest.split_first_chunk()?;
        let (next_run, rest) = rest.split_first_chunk()?;
        let (count, mut rest) = rest.split_first_chunk()?;
        let mut runs = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (id, later) = rest.split_first_chunk()?;
            let (&[level, bits], later) = later.split_first_chunk()?;
            let (ids, later) = later.split_first_chunk()?;
            let ids = u64::from_be_bytes(*ids);
            runs.push(Run {
                id: u32::from_be_bytes(*id),
                level,
                bits,
                ids,
                filter: RunFilter::default(),
            });
            rest = later;
        }
        let (unfinished, rest) = rest.as_chunks();
        rest.is_empty().then(|| Self {
            watermark: u64::from_be_bytes(*watermark),
            next_run: u32::from_be_bytes(*next_run),
            runs,
            unfinished: unfinished.iter().copied().map(u32::from_be_bytes).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::store::{Direction, KeyRange, MemoryStore};

    fn id(n: u64) -> [u8; 16] {
        let hash = crate::tlog::leaf_hash(&n.to_be_bytes());
        *hash.as_bytes().first_chunk().unwrap()
    }

    fn check(ids: &RecordIds, store: &MemoryStore, present: u64) {
        let found = |n| ids.candidates(store, &id(n)).unwrap();
        for n in (0..present).step_by(37) {
            assert_eq!(found(n), [Index::new(n)], "record id {n} of {present}");
        }
        for n in present..present + 100 {
            assert_eq!(found(n), [], "record id {n} was never inserted");
        }
    }

    #[test]
    fn every_id_is_found_through_spills_and_merges_and_after_reopening() {
        let store = MemoryStore::default();
        let ids = RecordIds::open(&store).unwrap();
        let total = 200_000;
        for n in 0..total {
            ids.insert(&id(n), Index::new(n));
            if n % 512 == 511 {
                ids.keep_up(&store).unwrap();
            }
        }
        assert!(
            ids.read().runs.iter().any(|run| run.level == 1),
            "a merge has happened"
        );
        check(&ids, &store, total);
        assert_eq!(ids.count(), total);

        ids.close(&store).unwrap();
        let reopened = RecordIds::open(&store).unwrap();
        assert_eq!(reopened.watermark(), TreeSize::new(total));
        check(&reopened, &store, total);
    }

    #[test]
    fn an_id_is_found_at_any_moment_while_it_becomes_part_of_a_run_and_that_is_merged() {
        let store = MemoryStore::default();
        let ids = RecordIds::open(&store).unwrap();
        let total = 200_000;
        let inserted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let inserting = scope.spawn(|| {
                for n in 0..total {
                    ids.insert(&id(n), Index::new(n));
                    inserted.store(n + 1, Ordering::SeqCst);
                }
            });
            let asking = scope.spawn(|| {
                let mut asked = 0_u64;
                while inserted.load(Ordering::SeqCst) < total {
                    asked += 7_919;
                    let Some(n) = asked.checked_rem(inserted.load(Ordering::SeqCst)) else {
                        continue;
                    };
                    assert_eq!(ids.candidates(&store, &id(n)).unwrap(), [Index::new(n)]);
                }
            });
            while !inserting.is_finished() || !asking.is_finished() {
                ids.keep_up(&store).unwrap();
            }
        });
        check(&ids, &store, total);
        assert_eq!(ids.count(), total);
    }

    /// Opening takes as long with ten millions of ids as with none.
    #[test]
    fn filters_are_read_when_they_are_first_asked() {
        let store = MemoryStore::default();
        let ids = RecordIds::open(&store).unwrap();
        ids.insert(&id(0), Index::new(0));
        ids.close(&store).unwrap();
        let reopened = RecordIds::open(&store).unwrap();
        let are_read = |ids: &RecordIds| {
            let state = ids.read();
            assert_eq!(state.runs.len(), 1);
            state.runs.iter().all(|run| run.filter.0.get().is_some())
        };
        assert!(!are_read(&reopened));
        check(&reopened, &store, 1);
        assert!(are_read(&reopened));

        let reopened = RecordIds::open(&store).unwrap();
        let key = run_key(FILTER, 0, 0);
        store.trail(&[Write::Remove { key }]).unwrap();
        let found = reopened.candidates(&store, &id(0));
        assert!(matches!(found, Err(ViewError::Damaged { run: 0 })));
    }

    #[test]
    fn what_is_beyond_the_watermark_is_inserted_again_after_a_crash() {
        let store = MemoryStore::default();
        let ids = RecordIds::open(&store).unwrap();
        for n in 0..40_000 {
            ids.insert(&id(n), Index::new(n));
            ids.keep_up(&store).unwrap();
        }
        let reopened = RecordIds::open(&store).unwrap();
        let watermark = reopened.watermark().value();
        assert!(0 < watermark && watermark < 40_000);
        for n in watermark..40_000 {
            reopened.insert(&id(n), Index::new(n));
        }
        check(&reopened, &store, 40_000);
        assert_eq!(reopened.count(), 40_000);
    }

    #[test]
    fn a_merge_that_was_interrupted_leaves_nothing_behind() {
        let store = MemoryStore::default();
        let ids = RecordIds::open(&store).unwrap();
        let mut n = 0;
        while ids.upkeep.read().unwrap().merge.is_none() {
            ids.insert(&id(n), Index::new(n));
            ids.keep_up(&store).unwrap();
            n += 1;
        }
        // One step of the merge, then the crash.
        ids.keep_up(&store).unwrap();
        let reopened = RecordIds::open(&store).unwrap();
        check(&reopened, &store, reopened.watermark().value());
        for _ in 0..1_000 {
            reopened.keep_up(&store).unwrap();
        }
        let live: BTreeSet<u32> = reopened.read().runs.iter().map(|run| run.id).collect();
        let range = KeyRange {
            start: vec![RUN],
            end: vec![MANIFEST],
        };
        for (key, _) in store.scan(&range, Direction::Forward, usize::MAX).unwrap() {
            let run = u32::from_be_bytes(*key[1..].first_chunk().unwrap());
            assert!(
                live.contains(&run),
                "a key of run {run}, which does not count"
            );
        }
    }

    #[test]
    fn a_damaged_manifest_is_not_opened() {
        let store = MemoryStore::default();
        let ids = RecordIds::open(&store).unwrap();
        ids.insert(&id(0), Index::new(0));
        ids.close(&store).unwrap();
        let manifest = store.get(&[MANIFEST]).unwrap().unwrap();
        assert!(Manifest::decode(&manifest).is_some());
        for cut in 0..manifest.len() {
            assert_eq!(Manifest::decode(&manifest[..cut]), None, "cut at {cut}");
        }
        // Another format, and the one that had no number.
        let other = [&[FORMAT + 1], &manifest[1..]].concat();
        assert_eq!(Manifest::decode(&other), None);
        assert_eq!(Manifest::decode(&manifest[1..]), None);
    }
}
