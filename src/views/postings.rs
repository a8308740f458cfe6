//! An ordered set of postings that only grows: which entries belong to what.
//!
//! A posting is a group - what it is about, in bytes of which none begin another group's - and an entry, marked or not
//! (8 bytes). Each is inserted once, with its entry. The newest are in memory; the others lie in sorted runs of
//! packed blocks, addressed by their first posting. Memory becomes a run, and eight small runs a larger one, in steps,
//! one after each commit and beside the next. A step is as large as what was inserted asks for: every posting pays for two
//! to be written from memory, and for one to be merged on each level and three more. Small runs go first, so that a long
//! merge does not let them pile up, which whoever asks would have to ask one by one. A run has a [`Filter`] of its
//! groups, read when it is first asked.
//!
//! Runs trail behind the log. The manifest's watermark says up to where they reach; what is beyond is read
//! from the entries when the ledger opens. What a run was merged from stays until nobody reads it.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use siphasher::sip::SipHasher13;

use super::{
    POSTINGS, POSTINGS_FILTER, POSTINGS_MANIFEST, RunFilter, STEP_KEYS, ViewError,
    block::{POSTING_BYTES_MAX, Packed, Packer, Unpacker},
    filter::{Filter, Probe},
    group::Group,
    lately::Lately,
    put_filter, remove_some, trail,
};
use crate::{
    store::{Direction, KeyRange, Store, Write},
    tlog::{Index, TreeSize},
};

/// Postings in memory before they become a run, and half as many again while they do: at most 5 MB, and 15,000 entries
/// to read again after a kill.
const RECENT_MAX: usize = 32_768;

/// Postings to write from memory for each that is inserted, and steps in which all are written at the latest.
const SPILL_FACTOR: u64 = 2;
const SPILL_STEPS: usize = 16;

/// Runs of one level that become one of the next. With four, a posting passes through half as many merges again; with more,
/// a record with a history waits for more runs, as nearly all are read for it.
const FAN_IN: usize = 8;

/// Postings to merge for each that is inserted, beside one for each level: what has piled up goes away.
const MERGE_MORE: u64 = 3;

/// A step merges at least these postings, a block of short names. It writes at most [`STEP_KEYS`] blocks.
const STEP_POSTINGS_MIN: u64 = 500;

/// Digests that go into a filter at once.
const DIGESTS: usize = 128;

/// Groups that were asked for lately, and whose entries are kept as the runs hold them: who records one thing of a
/// patient often records the next. At least so many groups and at most twice as many, each with a few entries: 5 MB,
/// and 12 at most.
const ASKED: usize = 8_192;
const ASKED_ENTRIES_MAX: usize = 64;

/// A posting ends with its entry.
const POSTED_BYTES: usize = 8;

/// What a run's keys begin with.
const KINDS: [u8; 2] = [POSTINGS, POSTINGS_FILTER];

/// What is posted under which groups, and how blocks and filters are made: another number than the manifest's, and the
/// set is made anew. Before the first number the manifest began with the watermark, whose first byte is 0.
const FORMAT: u8 = 7;

/// The longest group.
pub(super) const GROUP_BYTES_MAX: usize = POSTING_BYTES_MAX - POSTED_BYTES;

/// An entry under a group: twice its index, and one more if it is marked. What a mark means, the group's kind knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Posted(u64);

impl Posted {
    pub(super) const fn new(index: Index, marked: bool) -> Self {
        Self((index.value() << 1) | marked as u64)
    }

    /// Before the entry at this index, and behind all that come before it.
    const fn at_least(index: u64) -> Self {
        Self(index.saturating_mul(2))
    }

    pub(super) const fn index(self) -> Index {
        Index::new(self.0 >> 1)
    }

    pub(super) const fn is_marked(self) -> bool {
        self.0 & 1 == 1
    }
}

/// The set. One thread inserts, one keeps it up, and any may ask.
#[derive(Debug)]
pub(super) struct Postings {
    state: RwLock<State>,
    upkeep: Mutex<Upkeep>,
    asked: Mutex<Lately<Group, Asked>>,
    recent_max: usize,
}

/// The entries of a group below a watermark, in order. A merge of runs changes nothing about them.
#[derive(Debug)]
struct Asked {
    watermark: u64,
    entries: Vec<Posted>,
}

#[derive(Debug, Default)]
struct State {
    recent: Recent,
    /// How many postings that is.
    recent_count: usize,
    /// What was in memory before, and is on its way to become a run.
    spilling: Option<Arc<Recent>>,
    runs: Vec<Arc<Run>>,
    /// The postings of entries below are in the runs.
    watermark: u64,
    /// One past the last entry that was inserted.
    end: u64,
    /// Inserted since the last step of upkeep.
    unpaid: u64,
}

/// Groups with their entries.
type Recent = BTreeMap<Group, Entries>;

/// The entries of a group, which ascend. Most groups have one.
#[derive(Debug)]
struct Entries {
    first: Posted,
    more: Vec<Posted>,
}

impl Entries {
    fn iter(&self) -> impl Iterator<Item = Posted> {
        [self.first].into_iter().chain(self.more.iter().copied())
    }
}

#[derive(Debug, Default)]
struct Upkeep {
    next_run: u32,
    spill: Option<Spill>,
    /// Each of lower runs than those before it: the last goes on first.
    merges: Vec<Merge>,
    /// Runs that do not count any more, and may still be read.
    retired: Vec<Arc<Run>>,
}

/// Memory on its way to become a run.
#[derive(Debug)]
struct Spill {
    postings: Arc<Recent>,
    output: Writing,
    /// One past the last entry of these postings.
    end: u64,
}

#[derive(Debug)]
struct Run {
    id: u32,
    level: u8,
    postings: u64,
    /// What the filter was made for: at least as many as there are groups.
    groups: u64,
    filter: RunFilter,
}

/// A merge on its way.
#[derive(Debug)]
struct Merge {
    /// What is merged, and does not count any more when the output does.
    runs: Vec<Arc<Run>>,
    /// A place in each of the runs.
    inputs: Vec<Cursor>,
    /// Which inputs have more, by the posting that is next in each, the least last. Who has moved on finds a new place in
    /// one comparison, if it is still the least, or in four on average, where to look for the least takes one with each.
    order: Vec<usize>,
    output: Writing,
}

/// A run being written.
#[derive(Debug)]
struct Writing {
    id: u32,
    level: u8,
    postings: u64,
    groups: u64,
    filter: Filter,
    /// Digests that are still to go into the filter.
    digests: Vec<u64>,
    packer: Packer,
}

impl Postings {
    /// Opens the set as the store holds it. What lies beyond [`Postings::watermark`] must be inserted by
    /// the caller.
    pub(super) fn open(store: &dyn Store) -> Result<Self, ViewError> {
        Self::with_recent(store, RECENT_MAX)
    }

    /// As [`Postings::open`], with so many postings in memory before they become a run.
    pub(super) fn with_recent(store: &dyn Store, recent_max: usize) -> Result<Self, ViewError> {
        let manifest = match store.get(&[POSTINGS_MANIFEST])? {
            Some(bytes) => Manifest::decode(&bytes).ok_or(ViewError::Damaged { run: 0 })?,
            None => Manifest::default(),
        };
        // What a spill left behind when it was interrupted would mix with the next run of its number.
        let beyond = u32::MAX;
        while remove_some(store, KINDS, manifest.next_run, beyond)? {}
        let retired = |&id: &u32| Arc::new(Run::new(id, 0, 0, 0));
        let upkeep = Upkeep {
            next_run: manifest.next_run,
            spill: None,
            merges: Vec::new(),
            retired: manifest.unfinished.iter().map(retired).collect(),
        };
        let state = State {
            runs: manifest.runs.into_iter().map(Arc::new).collect(),
            watermark: manifest.watermark,
            end: manifest.watermark,
            ..State::default()
        };
        Ok(Self {
            state: RwLock::new(state),
            upkeep: Mutex::new(upkeep),
            asked: Mutex::new(Lately::of(ASKED)),
            recent_max,
        })
    }

    /// Up to where the stored runs reach.
    pub(super) fn watermark(&self) -> TreeSize {
        TreeSize::new(self.read().watermark)
    }

    /// Inserts the postings of the next entry: one for each group, marked or not.
    pub(super) fn insert(&self, index: Index, groups: impl IntoIterator<Item = (Group, bool)>) {
        let mut state = self.write();
        for (group, marked) in groups {
            let posted = Posted::new(index, marked);
            let first = Entries {
                first: posted,
                more: Vec::new(),
            };
            let entries = state.recent.entry(group);
            entries
                .and_modify(|entries| entries.more.push(posted))
                .or_insert(first);
            state.recent_count += 1;
            state.unpaid += 1;
        }
        state.end = index.value() + 1;
    }

    /// The entries of a group below `end`, in order.
    pub(super) fn entries(
        &self,
        store: &dyn Store,
        group: &[u8],
        end: TreeSize,
    ) -> Result<Vec<Posted>, ViewError> {
        let below = Posted::at_least(end.value());
        let probe = Probe::of(digest(group));
        let (recent, watermark, runs) = {
            let state = self.read();
            let recent = state.in_memory().filter_map(|recent| recent.get(group));
            let recent = recent.flat_map(Entries::iter);
            let recent: Vec<Posted> = recent.filter(|&entry| entry < below).collect();
            // Most runs do not hold the group, and say so without being taken out of the set.
            let runs = state
                .runs
                .iter()
                .filter(|run| run.filter.is_worth_asking(&probe));
            let runs: Vec<Arc<Run>> = runs.map(Arc::clone).collect();
            (recent, state.watermark, runs)
        };
        if runs.is_empty() {
            return Ok(recent);
        }
        let mut entries = if end.value() < watermark {
            read_runs(store, &runs, group, &probe, below)?
        } else {
            self.below_watermark(store, &runs, group, &probe, watermark)?
        };
        // What is in memory comes after what is in runs.
        entries.extend(recent);
        Ok(entries)
    }

    /// The entries of a group that the runs hold, which reach up to `watermark`.
    fn below_watermark(
        &self,
        store: &dyn Store,
        runs: &[Arc<Run>],
        group: &[u8],
        probe: &Probe,
        watermark: u64,
    ) -> Result<Vec<Posted>, ViewError> {
        let asked = self.asked().find(group).and_then(|asked| {
            let holds = asked.watermark == watermark;
            holds.then(|| asked.entries.clone())
        });
        if let Some(entries) = asked {
            return Ok(entries);
        }
        let entries = read_runs(store, runs, group, probe, Posted::at_least(watermark))?;
        if entries.len() <= ASKED_ENTRIES_MAX {
            let asked = Asked {
                watermark,
                entries: entries.clone(),
            };
            self.asked().keep(group.into(), asked);
        }
        Ok(entries)
    }

    /// The groups from `start` up to, and without, `end` that have an entry below `size`: the first `limit`
    /// of them, in order.
    pub(super) fn groups(
        &self,
        store: &dyn Store,
        start: &[u8],
        end: &[u8],
        size: TreeSize,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, ViewError> {
        let mut found = Vec::new();
        let mut start = start.to_vec();
        while found.len() < limit {
            let page = limit - found.len();
            let mut firsts = Firsts::new(end, page);
            let runs = self.snapshot(|recent| {
                firsts.begin();
                let range = (Bound::Included(start.as_slice()), Bound::Unbounded);
                for (group, entries) in recent.range::<[u8], _>(range) {
                    if !firsts.take(group, entries.first) {
                        break;
                    }
                }
            });
            for run in runs {
                let mut cursor = Cursor::new(run);
                cursor.seek(store, &start)?;
                firsts.begin();
                while let Some(posting) = cursor.current()
                    && let (Some(group), Some(first)) = (group_of(posting), entry_of(posting))
                    && firsts.take(group, first)
                {
                    let next = after_group(group);
                    cursor.skip_to(store, &next)?;
                }
            }
            let groups = firsts.page();
            let Some((last, _)) = groups.last().filter(|_| groups.len() == page) else {
                found.extend(known(groups, size));
                break;
            };
            start = after_group(last);
            found.extend(known(groups, size));
        }
        Ok(found)
    }

    /// Hands every posting to `take`, run by run.
    pub(super) fn each(
        &self,
        store: &dyn Store,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), ViewError> {
        let runs = self.snapshot(|recent| {
            for of_group in recent {
                postings_of(of_group, &mut take);
            }
        });
        for run in runs {
            let damaged = || ViewError::Damaged { run: run.id };
            let filter = run.filter(store)?;
            let mut cursor = Cursor::new(Arc::clone(&run));
            let mut previous = Vec::new();
            let mut count = 0_u64;
            cursor.seek(store, &[])?;
            while let Some(posting) = cursor.current() {
                let group = group_of(posting).ok_or_else(damaged)?;
                if posting <= previous.as_slice() || !filter.may_hold(&Probe::of(digest(group))) {
                    return Err(damaged());
                }
                take(posting);
                previous.clear();
                previous.extend_from_slice(posting);
                count += 1;
                cursor.advance(store)?;
            }
            if count != run.postings {
                return Err(damaged());
            }
        }
        Ok(())
    }

    /// One step of upkeep, for what was inserted since the one before: a few hundred keys, and a filter.
    pub(super) fn keep_up(&self, store: &dyn Store) -> Result<(), ViewError> {
        let mut upkeep = self.upkeep();
        let (recent, unpaid) = {
            let mut state = self.write();
            (state.recent_count, std::mem::take(&mut state.unpaid))
        };
        match upkeep.spill.take() {
            Some(spill) => {
                let least = u64::try_from(self.recent_max / SPILL_STEPS).unwrap_or(u64::MAX);
                let postings = unpaid.saturating_mul(SPILL_FACTOR).max(least);
                self.spill(store, &mut upkeep, spill, postings)?;
            }
            None if self.recent_max <= recent => self.begin_spill(&mut upkeep),
            None => {}
        }
        self.clear_retired(store, &mut upkeep)?;
        self.plan(store, &mut upkeep)?;
        let Some(merge) = upkeep.merges.pop() else {
            return Ok(());
        };
        let levels = self.read().runs.iter().map(|run| run.level).max();
        let levels = u64::from(levels.unwrap_or(0));
        let postings = unpaid.saturating_mul(levels + MERGE_MORE);
        self.step(store, &mut upkeep, merge, postings.max(STEP_POSTINGS_MIN))
    }

    /// Writes what is in memory as a run, so that nothing need be read again at the next start.
    pub(super) fn close(&self, store: &dyn Store) -> Result<(), ViewError> {
        let mut upkeep = self.upkeep();
        loop {
            if let Some(spill) = upkeep.spill.take() {
                self.spill(store, &mut upkeep, spill, u64::MAX)?;
            }
            let state = self.read();
            if state.watermark == state.end {
                return Ok(());
            }
            drop(state);
            self.begin_spill(&mut upkeep);
        }
    }

    /// Memory is on its way to become a run of level 0, and begins anew.
    fn begin_spill(&self, upkeep: &mut Upkeep) {
        let mut state = self.write();
        let postings = Arc::new(std::mem::take(&mut state.recent));
        state.recent_count = 0;
        state.spilling = Some(Arc::clone(&postings));
        let groups = u64::try_from(postings.len()).unwrap_or(u64::MAX);
        upkeep.spill = Some(Spill {
            postings,
            output: Writing::new(upkeep.next_run, 0, groups),
            end: state.end,
        });
        upkeep.next_run += 1;
    }

    /// Writes about so many postings from memory; at the end, puts the run in their place.
    fn spill(
        &self,
        store: &dyn Store,
        upkeep: &mut Upkeep,
        spill: Spill,
        postings: u64,
    ) -> Result<(), ViewError> {
        let Spill {
            postings: from,
            mut output,
            end,
        } = spill;
        let mut writes = Vec::new();
        let enough = output.postings.saturating_add(postings);
        let written = group_of(output.packer.last()).map(<[u8]>::to_vec);
        let after = written.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = from.range::<[u8], _>((after, Bound::Unbounded));
        while output.postings < enough {
            let Some(of_group) = rest.next() else {
                return self.finish_spill(store, upkeep, output, end, writes);
            };
            postings_of(of_group, |posting| output.push(posting, &mut writes));
        }
        trail(store, writes)?;
        upkeep.spill = Some(Spill {
            postings: from,
            output,
            end,
        });
        Ok(())
    }

    fn finish_spill(
        &self,
        store: &dyn Store,
        upkeep: &mut Upkeep,
        output: Writing,
        end: u64,
        mut writes: Vec<Write>,
    ) -> Result<(), ViewError> {
        // Entries may be about nothing.
        let run = (0 < output.postings).then(|| Arc::new(output.finish(&mut writes)));
        trail(store, writes)?;
        {
            let mut state = self.write();
            state.spilling = None;
            state.runs.extend(run);
            state.watermark = end;
        }
        self.put_on_record(store, upkeep)
    }

    /// Starts a merge where a level has enough runs: of lower runs than are being merged.
    fn plan(&self, store: &dyn Store, upkeep: &mut Upkeep) -> Result<(), ViewError> {
        let runs = self.read().runs.clone();
        let mut levels: BTreeMap<u8, Vec<&Arc<Run>>> = BTreeMap::new();
        for run in &runs {
            levels.entry(run.level).or_default().push(run);
        }
        let Some((level, runs)) = levels.into_iter().find(|(_, runs)| FAN_IN <= runs.len()) else {
            return Ok(());
        };
        let merged = upkeep.merges.last().map(|merge| merge.output.level);
        if merged.is_some_and(|output| output <= level.saturating_add(1)) {
            return Ok(());
        }
        let runs: Vec<Arc<Run>> = runs.into_iter().take(FAN_IN).map(Arc::clone).collect();
        let groups = runs.iter().map(|run| run.groups).sum();
        let output = Writing::new(upkeep.next_run, level.saturating_add(1), groups);
        upkeep.next_run += 1;
        upkeep.merges.push(Merge::begin(store, runs, output)?);
        // Before its first block, so that an interrupted merge can be cleared away.
        self.put_on_record(store, upkeep)
    }

    /// Merges so many postings, or what a step may write; at the end, puts the output in the inputs' place.
    fn step(
        &self,
        store: &dyn Store,
        upkeep: &mut Upkeep,
        mut merge: Merge,
        postings: u64,
    ) -> Result<(), ViewError> {
        let mut writes = Vec::new();
        let enough = merge.output.postings.saturating_add(postings);
        while merge.output.postings < enough && writes.len() < STEP_KEYS {
            let Some(least) = merge.order.pop() else {
                return self.finish_merge(store, upkeep, merge, writes);
            };
            let Some(input) = merge.inputs.get_mut(least) else {
                continue;
            };
            if let Some(posting) = input.current() {
                merge.output.push(posting, &mut writes);
            }
            input.advance(store)?;
            merge.sort_in(least);
        }
        trail(store, writes)?;
        upkeep.merges.push(merge);
        Ok(())
    }

    fn finish_merge(
        &self,
        store: &dyn Store,
        upkeep: &mut Upkeep,
        merge: Merge,
        mut writes: Vec<Write>,
    ) -> Result<(), ViewError> {
        let Merge {
            runs: merged,
            inputs: _,
            order: _,
            output,
        } = merge;
        // A block that has gone would be passed over.
        let postings: u64 = merged.iter().map(|run| run.postings).sum();
        if output.postings != postings {
            return Err(ViewError::Damaged { run: output.id });
        }
        let output = output.finish(&mut writes);
        trail(store, writes)?;
        {
            let mut state = self.write();
            state
                .runs
                .retain(|run| !merged.iter().any(|merged| merged.id == run.id));
            state.runs.push(Arc::new(output));
        }
        upkeep.retired.extend(merged);
        self.put_on_record(store, upkeep)
    }

    /// Writes the manifest, which makes what was written before it count. Nobody who asks waits for the store meanwhile.
    fn put_on_record(&self, store: &dyn Store, upkeep: &Upkeep) -> Result<(), ViewError> {
        let manifest = Manifest::of(&self.read(), upkeep).write();
        Ok(store.trail(&[manifest])?)
    }

    /// Removes some keys of a run that does not count any more and that nobody reads.
    fn clear_retired(&self, store: &dyn Store, upkeep: &mut Upkeep) -> Result<(), ViewError> {
        let unread = |run: &Arc<Run>| Arc::strong_count(run) == 1;
        let Some(at) = upkeep.retired.iter().position(unread) else {
            return Ok(());
        };
        let id = upkeep.retired.get(at).map_or(0, |run| run.id);
        if !remove_some(store, KINDS, id, id + 1)? {
            upkeep.retired.swap_remove(at);
            self.put_on_record(store, upkeep)?;
        }
        Ok(())
    }

    /// Hands over what is in memory, and returns the runs of the same moment.
    fn snapshot(&self, take: impl FnMut(&Recent)) -> Vec<Arc<Run>> {
        let state = self.read();
        state.in_memory().for_each(take);
        state.runs.clone()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self) -> MutexGuard<'_, Lately<Group, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What no run holds yet, the older entries first.
    fn in_memory(&self) -> impl Iterator<Item = &Recent> {
        self.spilling.as_deref().into_iter().chain([&self.recent])
    }
}

impl Run {
    fn new(id: u32, level: u8, postings: u64, groups: u64) -> Self {
        Self {
            id,
            level,
            postings,
            groups,
            filter: RunFilter::default(),
        }
    }

    /// The filter, read when it is first asked for.
    fn filter(&self, store: &dyn Store) -> Result<&Filter, ViewError> {
        self.filter
            .read(store, POSTINGS_FILTER, self.id, self.groups)
    }
}

impl Merge {
    /// Stands at the first posting of each run.
    fn begin(store: &dyn Store, runs: Vec<Arc<Run>>, output: Writing) -> Result<Self, ViewError> {
        let mut inputs = Vec::with_capacity(runs.len());
        for run in &runs {
            let mut input = Cursor::new(Arc::clone(run));
            input.seek(store, &[])?;
            inputs.push(input);
        }
        let mut merge = Self {
            order: Vec::with_capacity(runs.len()),
            runs,
            inputs,
            output,
        };
        (0..merge.inputs.len()).for_each(|input| merge.sort_in(input));
        Ok(merge)
    }

    /// Puts an input in its place; one that has ended has none.
    fn sort_in(&mut self, input: usize) {
        let next = |input: usize| self.inputs.get(input).and_then(Cursor::current);
        let Some(own) = next(input) else { return };
        let is_later = |&other: &usize| Some(own) < next(other);
        // From the least on: names and numbers are often given out in order, so that who was the least mostly still is.
        let later = self.order.iter().rposition(is_later);
        self.order.insert(later.map_or(0, |at| at + 1), input);
    }
}

impl Writing {
    fn new(id: u32, level: u8, groups: u64) -> Self {
        Self {
            id,
            level,
            postings: 0,
            groups,
            filter: Filter::for_ids(groups),
            digests: Vec::with_capacity(DIGESTS),
            packer: Packer::default(),
        }
    }

    fn push(&mut self, posting: &[u8], writes: &mut Vec<Write>) {
        let group = group_of(posting);
        if group != group_of(self.packer.last()) {
            if self.digests.len() == DIGESTS {
                self.fill_filter();
            }
            self.digests.extend(group.map(digest));
        }
        self.postings += 1;
        let full = self.packer.push(posting);
        writes.extend(full.map(|packed| put_block(self.id, packed)));
    }

    fn fill_filter(&mut self) {
        self.filter.insert_all(&self.digests);
        self.digests.clear();
    }

    /// The run, with the writes that complete it.
    fn finish(mut self, writes: &mut Vec<Write>) -> Run {
        self.fill_filter();
        let rest = self.packer.finish();
        writes.extend(rest.map(|packed| put_block(self.id, packed)));
        writes.extend(put_filter(POSTINGS_FILTER, self.id, &self.filter));
        let run = Run::new(self.id, self.level, self.postings, self.groups);
        Run {
            filter: RunFilter::from(self.filter),
            ..run
        }
    }
}

/// A place in a run.
#[derive(Debug)]
struct Cursor {
    run: Arc<Run>,
    /// The key of the block that is read.
    block: Vec<u8>,
    unpacker: Unpacker,
    ended: bool,
}

impl Cursor {
    /// A cursor that stands nowhere yet.
    fn new(run: Arc<Run>) -> Self {
        Self {
            run,
            block: Vec::new(),
            unpacker: Unpacker::default(),
            ended: true,
        }
    }

    /// The posting that it stands on; `None` past the last.
    fn current(&self) -> Option<&[u8]> {
        (!self.ended).then(|| self.unpacker.current())
    }

    /// Moves to the first posting that is not before `posting`.
    fn seek(&mut self, store: &dyn Store, posting: &[u8]) -> Result<(), ViewError> {
        // The block that begins at or before it may hold it; if there is none, the first block follows it.
        let mut end = block_key(self.run.id, posting);
        end.push(0);
        let before = KeyRange::new(block_key(self.run.id, &[]), end);
        let found = store.scan(&before, Direction::Backward, 1)?.pop();
        match found {
            Some((key, block)) => self.enter(key, block)?,
            None => self.next_block(store, &block_key(self.run.id, posting))?,
        }
        self.forward(store, posting)
    }

    /// Moves on to the first posting that is not before `posting`.
    fn skip_to(&mut self, store: &dyn Store, posting: &[u8]) -> Result<(), ViewError> {
        let block = self.block.clone();
        while let Some(current) = self.current()
            && current < posting
        {
            self.advance(store)?;
            if self.block != block {
                // Further away than the next block: look it up.
                return match self.current() {
                    Some(current) if current < posting => self.seek(store, posting),
                    _ => Ok(()),
                };
            }
        }
        Ok(())
    }

    fn forward(&mut self, store: &dyn Store, posting: &[u8]) -> Result<(), ViewError> {
        while !self.ended {
            match self.unpacker.seek(posting) {
                Ok(true) => return Ok(()),
                Ok(false) => self.leave(store)?,
                Err(_) => return Err(ViewError::Damaged { run: self.run.id }),
            }
        }
        Ok(())
    }

    /// Moves to the next posting.
    fn advance(&mut self, store: &dyn Store) -> Result<(), ViewError> {
        if self.ended {
            return Ok(());
        }
        match self.unpacker.advance() {
            Ok(true) => Ok(()),
            Ok(false) => self.leave(store),
            Err(_) => Err(ViewError::Damaged { run: self.run.id }),
        }
    }

    /// Moves to the first posting of the next block.
    fn leave(&mut self, store: &dyn Store) -> Result<(), ViewError> {
        let mut after = std::mem::take(&mut self.block);
        after.push(0);
        self.next_block(store, &after)
    }

    fn next_block(&mut self, store: &dyn Store, from: &[u8]) -> Result<(), ViewError> {
        let rest = KeyRange::new(from, block_key(self.run.id + 1, &[]));
        let Some((key, block)) = store.scan(&rest, Direction::Forward, 1)?.pop() else {
            self.ended = true;
            return Ok(());
        };
        self.enter(key, block)
    }

    /// Stands on the first posting of a block.
    fn enter(&mut self, key: Vec<u8>, block: Vec<u8>) -> Result<(), ViewError> {
        self.unpacker = Unpacker::new(block);
        let begun = matches!(self.unpacker.advance(), Ok(true));
        if !begun || key.get(BLOCK_PREFIX..) != Some(self.unpacker.current()) {
            return Err(ViewError::Damaged { run: self.run.id });
        }
        self.block = key;
        self.ended = false;
        Ok(())
    }
}

/// Groups with their first entries, gathered from several places: the first `limit` of them.
struct Firsts<'a> {
    end: &'a [u8],
    limit: usize,
    groups: BTreeMap<Vec<u8>, Posted>,
    /// Groups seen in the place that is read.
    seen: usize,
}

impl<'a> Firsts<'a> {
    fn new(end: &'a [u8], limit: usize) -> Self {
        Self {
            end,
            limit,
            groups: BTreeMap::new(),
            seen: 0,
        }
    }

    /// Begins with another place.
    fn begin(&mut self) {
        self.seen = 0;
    }

    /// Takes a group with its first entry; `false` when nothing more is wanted of this place.
    fn take(&mut self, group: &[u8], entry: Posted) -> bool {
        if self.end <= group || self.seen == self.limit {
            return false;
        }
        self.seen += 1;
        let first = self.groups.entry(group.to_vec()).or_insert(entry);
        *first = entry.min(*first);
        true
    }

    /// The first `limit` groups: beyond them, some places were not asked.
    fn page(self) -> Vec<(Vec<u8>, Posted)> {
        self.groups.into_iter().take(self.limit).collect()
    }
}

/// The entries of a group before `end` that these runs hold, in order.
fn read_runs(
    store: &dyn Store,
    runs: &[Arc<Run>],
    group: &[u8],
    probe: &Probe,
    end: Posted,
) -> Result<Vec<Posted>, ViewError> {
    let mut entries = Vec::new();
    let (first, last) = (posting(group, Posted::at_least(0)), posting(group, end));
    for run in runs {
        if !run.filter(store)?.may_hold(probe) {
            continue;
        }
        let mut cursor = Cursor::new(Arc::clone(run));
        cursor.seek(store, &first)?;
        while let Some(posting) = cursor.current()
            && posting < last.as_slice()
        {
            entries.extend(entry_of(posting));
            cursor.advance(store)?;
        }
    }
    entries.sort_unstable();
    Ok(entries)
}

/// Hands the postings of a group in memory to `take`, in order.
fn postings_of((group, entries): (&Group, &Entries), mut take: impl FnMut(&[u8])) {
    let mut posting = Vec::with_capacity(group.len() + POSTED_BYTES);
    for entry in entries.iter() {
        posting.clear();
        posting.extend_from_slice(group);
        posting.extend_from_slice(&entry.0.to_be_bytes());
        take(&posting);
    }
}

fn known(groups: Vec<(Vec<u8>, Posted)>, size: TreeSize) -> impl Iterator<Item = Vec<u8>> {
    let below = Posted::at_least(size.value());
    let known = groups.into_iter();
    let known = known.filter(move |(_, first)| *first < below);
    known.map(|(group, _)| group)
}

/// As bytes: postings of a group are in the order of its entries.
pub(super) fn posting(group: &[u8], entry: Posted) -> Vec<u8> {
    [group, &entry.0.to_be_bytes()].concat()
}

/// What a posting is about.
pub(super) fn group_of(posting: &[u8]) -> Option<&[u8]> {
    posting
        .split_last_chunk::<POSTED_BYTES>()
        .map(|(group, _)| group)
}

/// The entry of a posting.
pub(super) fn entry_of(posting: &[u8]) -> Option<Posted> {
    let (_, entry) = posting.split_last_chunk::<POSTED_BYTES>()?;
    Some(Posted(u64::from_be_bytes(*entry)))
}

/// The first that could stand behind all postings of a group.
fn after_group(group: &[u8]) -> Vec<u8> {
    [group, &[u8::MAX; POSTED_BYTES], &[0]].concat()
}

/// What filters know of a group. Each merge digests every group again, and each question what it asks for: a hash for
/// short keys costs a fraction of SHA-256. Whoever makes two groups collide on purpose gains that a block is read in vain.
fn digest(group: &[u8]) -> u64 {
    SipHasher13::new().hash(group)
}

/// What stands before the first posting in a block's key.
const BLOCK_PREFIX: usize = 5;

fn block_key(run: u32, first: &[u8]) -> Vec<u8> {
    [&[POSTINGS], run.to_be_bytes().as_slice(), first].concat()
}

fn put_block(run: u32, packed: Packed) -> Write {
    let Packed { first, block } = packed;
    Write::Put {
        key: block_key(run, &first),
        value: block,
    }
}

#[derive(Debug, Default)]
struct Manifest {
    watermark: u64,
    next_run: u32,
    runs: Vec<Run>,
    /// Runs whose keys may be there and do not count.
    unfinished: Vec<u32>,
}

impl Manifest {
    fn of(state: &State, upkeep: &Upkeep) -> Self {
        let mut unfinished: Vec<u32> = upkeep.retired.iter().map(|run| run.id).collect();
        unfinished.extend(upkeep.spill.iter().map(|spill| spill.output.id));
        unfinished.extend(upkeep.merges.iter().map(|merge| merge.output.id));
        let runs = state.runs.iter();
        Self {
            watermark: state.watermark,
            next_run: upkeep.next_run,
            runs: runs
                .map(|run| Run::new(run.id, run.level, run.postings, run.groups))
                .collect(),
            unfinished,
        }
    }

    /// format (1), watermark (8), next run (4), runs' count (4), each run: id (4) level (1) postings (8) groups (8);
    /// then the unfinished runs' ids (4 each).
    fn write(&self) -> Write {
        let mut value = vec![FORMAT];
        value.extend_from_slice(&self.watermark.to_be_bytes());
        value.extend_from_slice(&self.next_run.to_be_bytes());
        let count = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        value.extend_from_slice(&count.to_be_bytes());
        for Run {
            id,
            level,
            postings,
            groups,
            filter: _,
        } in &self.runs
        {
            value.extend_from_slice(&id.to_be_bytes());
            value.push(*level);
            value.extend_from_slice(&postings.to_be_bytes());
            value.extend_from_slice(&groups.to_be_bytes());
        }
        for run in &self.unfinished {
            value.extend_from_slice(&run.to_be_bytes());
        }
        Write::Put {
            key: vec![POSTINGS_MANIFEST],
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
            let (&level, later) = later.split_first()?;
            let (postings, later) = later.split_first_chunk()?;
            let (groups, later) = later.split_first_chunk()?;
            let (postings, groups) = (u64::from_be_bytes(*postings), u64::from_be_bytes(*groups));
            runs.push(Run::new(u32::from_be_bytes(*id), level, postings, groups));
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
    use std::{
        collections::BTreeSet,
        sync::atomic::{AtomicU64, Ordering},
    };

    use super::{super::run_key, *};
    use crate::store::MemoryStore;

    /// A spill is some five keys, a merge of eight runs some twenty-five.
    const RECENT: usize = 2_000;

    const ALL: TreeSize = TreeSize::new(u64::MAX);

    /// A group as those of names are.
    fn named(name: String) -> Vec<u8> {
        [name.into_bytes(), vec![0, 1]].concat()
    }

    /// Each entry is about a patient of its own kind of frequency: some often, most seldom.
    fn groups(index: u64) -> Vec<Vec<u8>> {
        let often = format!("a{}", index % 7);
        let seldom = format!("b{:05}", index.wrapping_mul(2_654_435_761) % 10_007);
        [often, seldom].map(named).to_vec()
    }

    fn is_marked(index: u64) -> bool {
        index % 3 == 1
    }

    fn posted(index: u64) -> Posted {
        Posted::new(Index::new(index), is_marked(index))
    }

    /// Groups of names so long and so different that a block holds few, as pseudonyms may be.
    fn long_groups(index: u64) -> Vec<Vec<u8>> {
        let name = |of: u64| {
            let mixed = of.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let more = mixed.rotate_left(29).wrapping_mul(0xd134_2543_de82_ef95);
            named(format!("{mixed:016x}{more:016x}"))
        };
        [2 * index, 2 * index + 1].map(name).to_vec()
    }

    /// The set and what it should hold.
    struct Bench {
        /// What an entry is about.
        groups: fn(u64) -> Vec<Vec<u8>>,
        store: MemoryStore,
        postings: Postings,
        model: BTreeMap<Vec<u8>, Vec<u64>>,
        next: u64,
    }

    impl Bench {
        fn new() -> Self {
            Self::with_recent(RECENT)
        }

        fn with_recent(recent: usize) -> Self {
            let store = MemoryStore::default();
            Self {
                groups,
                postings: Postings::with_recent(&store, recent).unwrap(),
                store,
                model: BTreeMap::new(),
                next: 0,
            }
        }

        fn post(&self, index: u64) {
            let groups = (self.groups)(index).into_iter();
            let groups = groups.map(|group| (Group::from(group), is_marked(index)));
            self.postings.insert(Index::new(index), groups);
        }

        fn insert(&mut self, entries: u64) {
            (self.next..self.next + entries).for_each(|index| self.post(index));
            self.expect(entries);
        }

        /// So many more entries are to be found.
        fn expect(&mut self, entries: u64) {
            for index in self.next..self.next + entries {
                for group in (self.groups)(index) {
                    self.model.entry(group).or_default().push(index);
                }
            }
            self.next += entries;
        }

        fn keep_up(&self) {
            self.postings.keep_up(&self.store).unwrap();
        }

        /// Opens what the store holds, and inserts again what lies beyond the watermark.
        fn reopen(&mut self, store: MemoryStore) {
            self.store = store;
            let recent = self.postings.recent_max;
            self.postings = Postings::with_recent(&self.store, recent).unwrap();
            for index in self.postings.watermark().value()..self.next {
                self.post(index);
            }
        }

        #[track_caller]
        fn check(&self) {
            let every = self.model.len() / 50 + 1;
            let none = vec![
                b"a".to_vec(),
                named("b".to_owned()),
                named("b0000x".to_owned()),
                vec![],
            ];
            let some = self.model.keys().step_by(every).cloned();
            for group in some.chain(none) {
                for size in [0, self.next / 2, self.next] {
                    let found = self
                        .postings
                        .entries(&self.store, &group, TreeSize::new(size));
                    let known = self.model.get(&group).into_iter().flatten().copied();
                    let expected = known.filter(|&index| index < size).map(posted);
                    let expected: Vec<Posted> = expected.collect();
                    assert_eq!(found.unwrap(), expected, "{group:?} below {size}");
                }
            }
            let mut all = BTreeSet::new();
            let insert =
                |posting: &[u8]| assert!(all.insert(posting.to_vec()), "{posting:?} twice");
            self.postings.each(&self.store, insert).unwrap();
            let model = self.model.iter();
            let expected =
                model.flat_map(|(group, of)| of.iter().map(|&i| posting(group, posted(i))));
            assert_eq!(all, expected.collect());
        }

        fn run_ids(&self) -> BTreeSet<u32> {
            let state = self.postings.read();
            state.runs.iter().map(|run| run.id).collect()
        }

        fn stored_run_ids(&self) -> BTreeSet<u32> {
            let range = KeyRange::new([POSTINGS], [POSTINGS_MANIFEST]);
            let keys = self.store.scan(&range, Direction::Forward, usize::MAX);
            let run =
                |(key, _): (Vec<u8>, Vec<u8>)| u32::from_be_bytes(*key[1..].first_chunk().unwrap());
            keys.unwrap().into_iter().map(run).collect()
        }
    }

    #[test]
    fn what_was_inserted_is_found_at_any_moment_while_it_becomes_runs_and_they_are_merged() {
        let mut bench = Bench::new();
        let inserted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let inserting = scope.spawn(|| {
                for index in 0..20_000 {
                    bench.post(index);
                    inserted.store(index + 1, Ordering::SeqCst);
                }
            });
            let asking = scope.spawn(|| {
                let mut asked = 0_u64;
                while inserted.load(Ordering::SeqCst) < 20_000 {
                    asked += 7_919;
                    let Some(index) = asked.checked_rem(inserted.load(Ordering::SeqCst)) else {
                        continue;
                    };
                    for group in groups(index) {
                        let found = bench.postings.entries(&bench.store, &group, ALL).unwrap();
                        assert!(found.contains(&posted(index)), "entry {index}");
                    }
                }
            });
            while !inserting.is_finished() || !asking.is_finished() {
                bench.keep_up();
            }
        });
        bench.expect(20_000);
        bench.check();
    }

    #[test]
    fn a_merge_does_not_pass_over_a_block_that_has_gone() {
        let mut bench = Bench::new();
        while bench.postings.upkeep().merges.is_empty() {
            bench.insert(10);
            bench.keep_up();
        }
        let range = KeyRange::new([POSTINGS], [POSTINGS_FILTER]);
        let blocks = bench.store.scan(&range, Direction::Forward, usize::MAX);
        let of_run = |key: &[u8]| key.get(1..BLOCK_PREFIX).map(<[u8]>::to_vec);
        let blocks: Vec<Vec<u8>> = blocks.unwrap().into_iter().map(|(key, _)| key).collect();
        // The last block of a run.
        let last = blocks.windows(2).find_map(|pair| match pair {
            [key, next] if of_run(key) != of_run(next) => Some(key.clone()),
            _ => None,
        });
        let remove = Write::Remove { key: last.unwrap() };
        bench.store.trail(&[remove]).unwrap();
        let outcome = (0..1_000).find_map(|_| bench.postings.keep_up(&bench.store).err());
        assert!(matches!(outcome, Some(ViewError::Damaged { .. })));
    }

    #[test]
    fn every_posting_is_found_through_spills_and_merges_and_after_reopening() {
        let mut bench = Bench::new();
        let mut merges = 0;
        let mut half_spilled = 0;
        for _ in 0..4_300 {
            bench.insert(17);
            bench.keep_up();
            merges += u32::from(!bench.postings.upkeep().merges.is_empty());
            let spills = bench.postings.upkeep().spill.is_some();
            if spills && half_spilled < 40 {
                half_spilled += 1;
                bench.check();
            }
        }
        assert!(0 < merges);
        assert_eq!(half_spilled, 40);
        assert!(bench.postings.read().runs.iter().any(|run| run.level == 2));
        bench.check();

        bench.postings.close(&bench.store).unwrap();
        let image = bench.store.crash_image(usize::MAX);
        bench.reopen(image);
        assert_eq!(bench.postings.watermark().value(), bench.next);
        bench.check();
    }

    #[test]
    fn a_crash_at_any_step_of_a_spill_or_a_merge_loses_nothing_and_leaves_nothing() {
        let mut bench = Bench::with_recent(RECENT / 4);
        // A sync now and then, so that a crash may keep any part of what trails behind it.
        let mut tried = 0;
        for round in 0..400_u64 {
            bench.insert(40);
            let before = bench.store.trailing();
            bench.keep_up();
            let steps = bench.store.trailing() - before;
            if steps == 0 {
                continue;
            }
            for kept in [before, before + steps / 2, before + steps - 1] {
                tried += 1;
                let mut crashed = Bench::with_recent(bench.postings.recent_max);
                crashed.model = bench.model.clone();
                crashed.next = bench.next;
                crashed.reopen(bench.store.crash_image(kept));
                if round % 10 == 9 {
                    crashed.check();
                }
                for _ in 0..10 {
                    crashed.keep_up();
                }
                crashed.postings.close(&crashed.store).unwrap();
                let upkeep = crashed.postings.upkeep();
                let merging = upkeep.merges.iter().map(|merge| merge.output.id);
                let live: BTreeSet<u32> = crashed.run_ids().into_iter().chain(merging).collect();
                let retired = upkeep.retired.iter().map(|run| run.id).collect();
                drop(upkeep);
                let stored = crashed.stored_run_ids();
                assert!(
                    stored.is_subset(&live.union(&retired).copied().collect()),
                    "{stored:?} are stored, {live:?} count, {retired:?} are to go"
                );
                if round % 10 == 9 {
                    crashed.check();
                }
            }
            if round % 5 == 0 {
                bench.store.sync().unwrap();
            }
        }
        assert!(100 < tried, "{tried}");
    }

    /// Whoever asks has to ask each run.
    #[test]
    fn a_long_merge_does_not_let_small_runs_pile_up_however_long_the_names_are() {
        for groups in [groups, long_groups] {
            let mut bench = Bench {
                groups,
                ..Bench::with_recent(RECENT / 4)
            };
            let mut together = 0;
            for _ in 0..2_200 {
                bench.insert(125);
                bench.keep_up();
                let state = bench.postings.read();
                let of_level = |level| state.runs.iter().filter(|run| run.level == level).count();
                let runs: Vec<usize> = (0..4).map(of_level).collect();
                // Two postings of a level at least are merged for each that comes, so that half as many runs come meanwhile.
                let most = FAN_IN + FAN_IN / 2;
                assert!(runs.iter().all(|&runs| runs <= most), "{runs:?}");
                together = bench.postings.upkeep().merges.len().max(together);
            }
            assert!(bench.postings.read().runs.iter().any(|run| run.level == 3));
            assert!(1 < together, "no long merge was under way");
            bench.check();
        }
    }

    #[test]
    fn a_merged_run_stays_until_nobody_reads_it_and_is_removed_then() {
        let mut bench = Bench::new();
        while bench.postings.upkeep().merges.is_empty() {
            bench.insert(100);
            bench.keep_up();
        }
        let reader = bench.postings.snapshot(|_| ());
        while bench.postings.upkeep().retired.is_empty() {
            bench.keep_up();
        }
        for _ in 0..100 {
            bench.keep_up();
        }
        let old: BTreeSet<u32> = reader.iter().map(|run| run.id).collect();
        assert!(old.is_subset(&bench.stored_run_ids()));
        for run in reader {
            let mut cursor = Cursor::new(run);
            cursor.seek(&bench.store, &[]).unwrap();
            assert!(cursor.current().is_some());
        }
        for _ in 0..100 {
            bench.keep_up();
        }
        assert_eq!(bench.stored_run_ids(), bench.run_ids());
        bench.check();
    }

    #[test]
    fn groups_are_listed_in_order_page_by_page_as_of_a_size() {
        let mut bench = Bench::new();
        for _ in 0..100 {
            bench.insert(97);
            bench.keep_up();
        }
        for size in [3, 5_000, bench.next] {
            let first = |group: &Vec<u8>| bench.model[group][0];
            let known = bench.model.keys().filter(|group| first(group) < size);
            let expected: Vec<Vec<u8>> = known.cloned().collect();
            for limit in [1_000, 777, usize::MAX] {
                let mut found: Vec<Vec<u8>> = Vec::new();
                loop {
                    let start = found.last().map_or(vec![], |last| after_group(last));
                    let size = TreeSize::new(size);
                    let page = bench
                        .postings
                        .groups(&bench.store, &start, b"c", size, limit);
                    let page = page.unwrap();
                    assert!(page.len() <= limit);
                    if page.is_empty() {
                        break;
                    }
                    found.extend(page);
                }
                assert_eq!(found, expected, "pages of {limit} below {size}");
            }
        }
        let some = bench
            .postings
            .groups(&bench.store, b"a2", b"a5", ALL, 9)
            .unwrap();
        assert_eq!(some, ["a2", "a3", "a4"].map(|name| named(name.to_owned())));
    }

    #[test]
    fn damage_is_told() {
        let mut bench = Bench::new();
        bench.insert(20_000);
        bench.postings.close(&bench.store).unwrap();
        let range = KeyRange::new([POSTINGS], [POSTINGS_FILTER]);
        let (key, mut block) = bench
            .store
            .scan(&range, Direction::Forward, 2)
            .unwrap()
            .pop()
            .unwrap();
        // A block that is another's, a block that lacks its last posting, no block, and a filter's page.
        let mut other = key.clone();
        *other.last_mut().unwrap() ^= 1;
        let put = |key: &[u8], value: &[u8]| Write::Put {
            key: key.to_vec(),
            value: value.to_vec(),
        };
        let cut = block.len() - 1;
        let moved = put(&other, &block);
        block.truncate(cut);
        let filter = run_key(POSTINGS_FILTER, 0, 0);
        for damage in [
            moved,
            put(&key, &block),
            put(&key, &[]),
            Write::Remove { key: key.clone() },
            put(&filter, &[0; 7_000]),
            Write::Remove { key: filter },
        ] {
            let store = bench.store.crash_image(usize::MAX);
            let postings = Postings::open(&store).unwrap();
            postings.each(&store, |_| {}).unwrap();
            store.trail(std::slice::from_ref(&damage)).unwrap();
            let postings = Postings::open(&store).unwrap();
            let outcome = postings.each(&store, |_| {});
            assert!(
                matches!(outcome, Err(ViewError::Damaged { run: 0 })),
                "{damage:?}"
            );
        }
    }

    #[test]
    fn a_damaged_manifest_is_not_opened() {
        let mut bench = Bench::new();
        bench.insert(1);
        bench.postings.close(&bench.store).unwrap();
        let manifest = bench.store.get(&[POSTINGS_MANIFEST]).unwrap().unwrap();
        assert!(Manifest::decode(&manifest).is_some());
        for cut in 0..manifest.len() {
            assert!(Manifest::decode(&manifest[..cut]).is_none(), "cut at {cut}");
        }
        // Another format, and the one that had no number.
        let other = [&[FORMAT + 1], &manifest[1..]].concat();
        assert!(Manifest::decode(&other).is_none());
        assert!(Manifest::decode(&manifest[1..]).is_none());
    }

    #[test]
    fn entries_about_nothing_move_the_watermark() {
        let store = MemoryStore::default();
        let postings = Postings::open(&store).unwrap();
        postings.insert(Index::new(0), []);
        postings.close(&store).unwrap();
        assert_eq!(
            Postings::open(&store).unwrap().watermark(),
            TreeSize::new(1)
        );
        assert!(postings.read().runs.is_empty());
    }
}
