//! The one writer: takes what waits in the queue, decides, builds entries, has the tree signed,
//! commits both copies, publishes, answers. It runs on a thread of its own, at its own pace.
//!
//! Nothing is answered, and nothing is visible, before the commit is durable. After a commit that
//! failed nobody can tell what the disks hold, so the writer stops for good; opening the ledger again
//! finds out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use prost::{Message as _, bytes::Bytes};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{
    Accepted, AppendError, Author, Closed, LedgerFacts, Shared, Submission,
    ahead::{Ahead, Drafted, DraftedRecords},
    copies::{Copies, Group},
    layout,
    published::Published,
    reader,
    signer::Signer,
    upkeep::Upkeep,
    views::Viewed,
};
use crate::{
    clock::Clock,
    pb,
    record::{
        entry::{AuthorView, ENTRY_BYTES_MAX, EntryView, RecordedAt, record_kind},
        format::parse_uuid,
    },
    rules::{
        fact::{Fact, Subject},
        keys::{KeyRegistry, is_record_signed},
        refusals,
    },
    tlog::{Hash, Index, leaf_hash},
    views::{Posts, authority},
};

/// A commit takes at most this many entries: enough that a sync is shared by every caller, few enough
/// that nobody waits for long.
const GROUP_ENTRIES_MAX: usize = 1_024;

/// And at most this many bytes of records.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// So many callers at once are company: more of them are likely to come within a moment, and a commit costs
/// little more for hundreds than for one. Who comes alone waits for nobody.
const COMPANY: usize = 8;

/// How long to wait for more, again as long as company came and half of those around are not there, and how often
/// at most. The other half is answered, and comes again, while this one is committed.
const COMPANY_WAIT: Duration = Duration::from_millis(1);
const COMPANY_WAITS_MAX: usize = 12;

/// A clock that steps back by no more than this is an ordinary correction: entries keep the last
/// entry's time until it has caught up. Further back, somebody must look.
const STEP_BACK_MAX: TimeDelta = TimeDelta::seconds(10);

/// Where salts come from.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

type Answer = Result<Vec<Accepted>, AppendError>;

/// What waits in the queue.
pub(super) struct Job {
    pub(super) submissions: Vec<Submission>,
    pub(super) answer: oneshot::Sender<Answer>,
    /// Its share of the queue's bytes, given back when the job is done.
    pub(super) room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) signer: Signer,
    pub(super) copies: Copies,
    pub(super) upkeep: Upkeep,
    pub(super) keys: Arc<KeyRegistry>,
    /// The last entry's leaf hash.
    pub(super) previous: Hash,
    /// The last entry's time.
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Entropy,
}

/// The jobs of a commit.
#[derive(Default)]
struct Gathered {
    jobs: Vec<Job>,
    entries: usize,
    bytes: usize,
}

impl Gathered {
    fn has_room(&self) -> bool {
        self.entries < GROUP_ENTRIES_MAX && self.bytes < GROUP_BYTES_MAX
    }

    fn push(&mut self, job: Job) {
        self.entries += job.submissions.len();
        self.bytes += job
            .submissions
            .iter()
            .map(|one| one.record.len())
            .sum::<usize>();
        self.jobs.push(job);
    }

    /// Takes what waits, and says how many.
    fn take_from(&mut self, queue: &mut mpsc::Receiver<Job>) -> usize {
        let before = self.jobs.len();
        while self.has_room()
            && let Ok(job) = queue.try_recv()
        {
            self.push(job);
        }
        self.jobs.len() - before
    }
}

/// What a job comes to, once the commit is durable.
enum Decision {
    Refused(AppendError),
    /// Each submission's entry.
    Accepted(Vec<Place>),
}

/// Where a submission's entry is.
enum Place {
    /// In the commit, at this position.
    New(usize),
    /// It was recorded before.
    Old(Index, Bytes),
}

/// A commit being prepared.
#[derive(Default)]
struct Draft {
    entries: Vec<Bytes>,
    leaves: Vec<Hash>,
    /// Record id and record, by position.
    records: Vec<([u8; 16], Vec<u8>)>,
    /// What each record is about, by position.
    posts: Vec<Posts>,
    /// What the next record is held against.
    facts: Drafted,
    /// The index of the first entry.
    first: u64,
    positions: BTreeMap<[u8; 16], usize>,
    /// Indexes of entries that name actors or keys.
    authority: Vec<Index>,
}

impl Writer {
    /// Works until every sender is gone or a commit fails; then closes the copies.
    pub(super) fn run(mut self) -> Closed {
        let mut commits = [0; 2];
        while let Some(first) = self.jobs.blocking_recv() {
            let jobs = self.gather(first, commits);
            commits = [commits[1], jobs.len()];
            if let Err(error) = self.record(jobs) {
                tracing::error!(error = %super::Chain(&error), "the ledger stops writing");
                self.shared.stop();
                self.jobs.close();
                while let Some(job) = self.jobs.blocking_recv() {
                    answer(job.answer, Err(AppendError::Stopped));
                }
                self.upkeep.end();
                self.copies.abandon();
                return Closed::Not;
            }
        }
        if !self.upkeep.end() {
            self.copies.abandon();
            return Closed::Not;
        }
        if let Err(error) = self.shared.views.close(self.shared.store.as_ref()) {
            tracing::warn!(error = %super::Chain(&error), "a view was left to be caught up");
        }
        if let Err(error) = self.copies.close() {
            tracing::error!(error = %super::Chain(&error), "the ledger did not close cleanly");
            return Closed::Not;
        }
        Closed::Cleanly
    }

    /// The first job and what else waits, up to a commit's bounds; so many came to the last two commits.
    fn gather(&mut self, first: Job, commits: [usize; 2]) -> Vec<Job> {
        let mut gathered = Gathered::default();
        gathered.push(first);
        gathered.take_from(&mut self.jobs);
        // Whoever waits for an answer came to one of two commits, as one is made while others are answered.
        let [before, last] = commits;
        let half = usize::midpoint(before, last);
        let mut waits = 0;
        let mut came = last.max(gathered.jobs.len());
        while COMPANY <= came
            && gathered.jobs.len() < half
            && waits < COMPANY_WAITS_MAX
            && gathered.has_room()
        {
            thread::sleep(COMPANY_WAIT);
            came = gathered.take_from(&mut self.jobs);
            waits += 1;
        }
        // Who no longer waits (its deadline has passed) is not recorded for.
        gathered.jobs.retain(|job| !job.answer.is_closed());
        gathered.jobs
    }

    /// Decides and commits the jobs, then answers them. An error means that the ledger has stopped;
    /// every job has been told.
    fn record(&mut self, jobs: Vec<Job>) -> Result<(), super::CommitFailed> {
        if self.shared.has_stopped() {
            answer_all(jobs, &AppendError::Stopped);
            return Err(super::CommitFailed::Stopped);
        }
        let now = match self.now() {
            Ok(now) => now,
            Err(refused) => {
                answer_all(jobs, &refused);
                return Ok(());
            }
        };
        if let Err(refused) = self.copies.check_room() {
            answer_all(jobs, &refused);
            return Ok(());
        }
        let mut draft = Draft {
            first: self.signer.size().value(),
            ..Draft::default()
        };
        let mut decided = Vec::with_capacity(jobs.len());
        for Job {
            submissions,
            answer,
            room,
        } in jobs
        {
            let decision = self.decide(submissions, now, &mut draft);
            if let Decision::Refused(error @ (AppendError::Read(_) | AppendError::View(_))) =
                &decision
            {
                self.shared.suspect(error);
            }
            decided.push((decision, answer, room));
        }
        let mut committed = Committed::default();
        if !draft.entries.is_empty() {
            match self.commit(draft, now) {
                Ok(durable) => committed = durable,
                Err(error) => {
                    // Who hears of it must not find the ledger running.
                    self.shared.stop();
                    for (_, reply, _) in decided {
                        answer(reply, Err(AppendError::Stopped));
                    }
                    return Err(error);
                }
            }
        }
        let published = self.shared.published();
        for (decision, reply, room) in decided {
            let outcome = match decision {
                Decision::Refused(error) => Err(error),
                // A place that is not in the commit cannot be; nobody is told of an entry that is not there.
                Decision::Accepted(places) => places
                    .into_iter()
                    .map(|place| committed.accepted(place, &published))
                    .collect::<Option<_>>()
                    .ok_or(AppendError::Stopped),
            };
            answer(reply, outcome);
            drop(room);
        }
        self.upkeep.step()
    }

    /// The time that the next entries get.
    fn now(&self) -> Result<DateTime<Utc>, AppendError> {
        let now = self.clock.now();
        let now = whole_microseconds(now);
        if self.recorded_at <= now {
            return Ok(now);
        }
        let back = self.recorded_at - now;
        if back <= STEP_BACK_MAX {
            return Ok(self.recorded_at);
        }
        tracing::error!(
            seconds = back.num_seconds(),
            "the clock is behind the last entry"
        );
        Err(AppendError::ClockWentBack {
            seconds: back.num_seconds(),
        })
    }

    /// Decides one job; what it adds goes into the draft whole or not at all.
    fn decide(
        &mut self,
        submissions: Vec<Submission>,
        now: DateTime<Utc>,
        draft: &mut Draft,
    ) -> Decision {
        let mut places = Vec::with_capacity(submissions.len());
        for (item, submission) in submissions.iter().enumerate() {
            match self.find(item, submission, draft) {
                Ok(place) => places.push(place),
                Err(refused) => return Decision::Refused(refused),
            }
        }
        let recorded = places
            .iter()
            .enumerate()
            .find_map(|(item, place)| place.as_ref().map(|place| (item, place)));
        match recorded {
            None => {}
            Some(_) if places.iter().all(Option::is_some) => {
                return Decision::Accepted(places.into_iter().flatten().collect());
            }
            Some((item, place)) => {
                let index = match place {
                    Place::New(position) => index_at(self.signer.size().value(), *position),
                    Place::Old(index, _) => *index,
                };
                let index = index.value();
                return Decision::Refused(AppendError::PartlyRecorded { item, index });
            }
        }

        let mark = draft.entries.len();
        let mut keys = Arc::clone(&self.keys);
        let mut previous = self.previous;
        let mut places = Vec::with_capacity(submissions.len());
        for (item, submission) in submissions.into_iter().enumerate() {
            let index = Index::new(self.signer.size().value() + count(draft.entries.len()));
            let made = self.make(item, index, &previous, submission, now, &mut keys, draft);
            match made {
                Ok(leaf) => previous = leaf,
                Err(refused) => {
                    draft.cut_back(mark, index_at(self.signer.size().value(), mark));
                    return Decision::Refused(refused);
                }
            }
            places.push(Place::New(draft.entries.len() - 1));
        }
        self.previous = previous;
        self.keys = keys;
        Decision::Accepted(places)
    }

    /// The entry that a submission already has, by its record id.
    fn find(
        &self,
        item: usize,
        submission: &Submission,
        draft: &Draft,
    ) -> Result<Option<Place>, AppendError> {
        let id = &submission.record_id;
        if let Some(&position) = draft.positions.get(id) {
            let same = draft
                .records
                .get(position)
                .is_some_and(|(_, r)| *r == submission.record);
            let index = index_at(self.signer.size().value(), position).value();
            return if same {
                Ok(Some(Place::New(position)))
            } else {
                Err(AppendError::RecordIdTaken { item, index })
            };
        }
        let store = self.shared.store.as_ref();
        for index in self.shared.views.ids.candidates(store, id)? {
            let entry = reader::entry(store, index)?;
            let damaged = || reader::ReadError::damaged(index);
            let record = EntryView::parse(&entry).map_err(|_| damaged())?.record;
            if record == submission.record.as_slice() {
                return Ok(Some(Place::Old(index, entry.into())));
            }
            let other = pb::Record::decode(record).map_err(|_| damaged())?;
            if parse_uuid(&other.record_id).is_ok_and(|other| other == *id) {
                return Err(AppendError::RecordIdTaken {
                    item,
                    index: index.value(),
                });
            }
        }
        Ok(None)
    }

    /// Builds one entry into the draft.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one thing that the entry is made of"
    )]
    fn make(
        &mut self,
        item: usize,
        index: Index,
        previous: &Hash,
        submission: Submission,
        now: DateTime<Utc>,
        keys: &mut Arc<KeyRegistry>,
        draft: &mut Draft,
    ) -> Result<Hash, AppendError> {
        let Submission {
            record_id,
            record,
            actor,
            author,
            event_time,
            authority,
            posts,
        } = submission;
        if let Some(author) = &author {
            let standing = keys
                .check_author(&actor, &author.key_id, now, event_time)
                .map_err(|cause| AppendError::AuthorRefused { item, cause })?;
            let origin = self.signer.origin().as_str();
            let checked = author.checked;
            if !checked && !is_record_signed(standing.key, origin, &record, &author.signature) {
                return Err(AppendError::SignatureWrong { item });
            }
        }
        let judged = self.judge(item, index, &actor, &record, now, draft)?;
        if let Some(authority) = authority {
            Arc::make_mut(keys)
                .apply(index, now, &authority)
                .map_err(|cause| AppendError::KeyRefused { item, cause })?;
            draft.authority.push(index);
        }
        let recorded_at = recorded_at(now).ok_or(AppendError::ClockOutOfRange)?;
        let mut salt = [0; 16];
        (self.entropy)(&mut salt);
        let author = author.as_ref();
        let entry = EntryView {
            index,
            previous: *previous,
            recorded_at,
            salt,
            actor: &actor,
            record: &record,
            author: author.map(
                |Author {
                     key_id, signature, ..
                 }| AuthorView { key_id, signature },
            ),
        };
        let entry = Bytes::from(entry.encode());
        if ENTRY_BYTES_MAX < entry.len() {
            return Err(AppendError::EntryTooLarge {
                item,
                bytes: entry.len(),
            });
        }
        let leaf = leaf_hash(&entry);
        draft.positions.insert(record_id, draft.entries.len());
        draft.entries.push(entry);
        draft.leaves.push(leaf);
        draft.records.push((record_id, record));
        draft.posts.push(posts);
        if let Some((fact, about)) = judged {
            draft.facts.insert(fact, about);
        }
        Ok(leaf)
    }

    /// Holds a record against those that are recorded or about to be. One that others are held against is
    /// given back, with what it is about.
    fn judge(
        &self,
        item: usize,
        index: Index,
        actor: &str,
        record: &[u8],
        now: DateTime<Utc>,
        draft: &Draft,
    ) -> Result<Option<(Fact, BTreeSet<Subject>)>, AppendError> {
        if !record_kind(record).is_some_and(refusals::is_judged) {
            return Ok(None);
        }
        // The record was decoded and checked before it was queued.
        let Ok(record) = pb::Record::decode(record) else {
            return Ok(None);
        };
        let ahead = Ahead {
            published: LedgerFacts::new(Arc::clone(&self.shared)),
            drafted: &draft.facts,
            records: draft,
            now,
        };
        let violations = ahead.refuse(&record)?;
        if !violations.is_empty() {
            return Err(AppendError::Refused { item, violations });
        }
        let about = ahead.subjects(&record)?;
        Ok(Fact::of(index, now, actor, record).map(|fact| (fact, about)))
    }

    /// Signs and commits the draft, and publishes it. The commit point.
    fn commit(
        &mut self,
        draft: Draft,
        now: DateTime<Utc>,
    ) -> Result<Committed, super::CommitFailed> {
        let Draft {
            entries,
            leaves,
            records,
            posts,
            facts: _,
            first: _,
            positions: _,
            authority,
        } = draft;
        let first = Index::new(self.signer.size().value());
        // Sign before commit: a checkpoint that was never stored was never published either.
        let signed = self.signer.extend(&leaves);
        let mut writes = Vec::new();
        layout::pack_blocks(first, entries.iter().map(AsRef::as_ref), &mut writes);
        for (tile, nodes) in &signed.tiles {
            layout::put_tile(*tile, nodes, &mut writes);
        }
        writes.extend(authority.into_iter().map(authority::list));
        let bytes: usize = entries.iter().map(Bytes::len).sum();
        let group = Group {
            first: first.value(),
            entries,
            checkpoint: signed.note.as_bytes().to_vec(),
        };
        let entries = self.copies.commit(group, self.previous, &writes)?;
        let end = index_at(first.value(), entries.len());
        self.shared.blocks.take(&writes, end);

        let committed = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        metrics::histogram!("genetrail_commit_entries").record(f64::from(committed));
        metrics::counter!("genetrail_entries_total").increment(count(entries.len()));
        metrics::counter!("genetrail_entry_bytes_total").increment(count(bytes));
        metrics::counter!("genetrail_tree_size").absolute(signed.checkpoint.size.value());
        self.recorded_at = now;
        for (((record_id, _), posts), position) in records.into_iter().zip(posts).zip(0..) {
            let index = index_at(first.value(), position);
            let viewed = Viewed { record_id, posts };
            let inserted = self
                .shared
                .views
                .insert(self.shared.store.as_ref(), index, viewed);
            inserted.map_err(super::CommitFailed::Target)?;
        }
        let keys = Arc::clone(&self.keys);
        self.shared.publish(Published::new(signed, keys));
        Ok(Committed {
            first: first.value(),
            entries,
            leaves,
        })
    }
}

impl Draft {
    /// Forgets what a refused job had added.
    fn cut_back(&mut self, mark: usize, first_forgotten: Index) {
        self.entries.truncate(mark);
        self.leaves.truncate(mark);
        self.posts.truncate(mark);
        self.facts.cut_back(first_forgotten);
        self.authority.retain(|index| *index < first_forgotten);
        for (record_id, _) in self.records.drain(mark..) {
            self.positions.remove(&record_id);
        }
    }
}

/// A commit that is durable; nothing, where all was recorded before.
#[derive(Default)]
struct Committed {
    /// The index of the first entry.
    first: u64,
    entries: Vec<Bytes>,
    leaves: Vec<Hash>,
}

impl Committed {
    fn accepted(&self, place: Place, published: &Arc<Published>) -> Option<Accepted> {
        let published = Arc::clone(published);
        Some(match place {
            // Two submissions may name one entry.
            Place::New(position) => Accepted {
                index: index_at(self.first, position),
                entry: self.entries.get(position)?.clone(),
                leaf: *self.leaves.get(position)?,
                published,
                repeated: false,
            },
            Place::Old(index, entry) => Accepted {
                index,
                leaf: leaf_hash(&entry),
                entry,
                published,
                repeated: true,
            },
        })
    }
}

impl DraftedRecords for Draft {
    fn drafted(&self, record_id: &[u8; 16]) -> Option<(Index, &[u8])> {
        let position = *self.positions.get(record_id)?;
        let (_, record) = self.records.get(position)?;
        Some((index_at(self.first, position), record))
    }
}

/// Microseconds are what every reader of a Timestamp keeps.
fn whole_microseconds(now: DateTime<Utc>) -> DateTime<Utc> {
    let nanos = now.nanosecond() / 1_000 * 1_000;
    now.with_nanosecond(nanos).unwrap_or(now)
}

/// The time that an entry carries; `None` outside the years that it can.
pub(super) fn recorded_at(now: DateTime<Utc>) -> Option<RecordedAt> {
    let now = whole_microseconds(now);
    let nanos = i32::try_from(now.timestamp_subsec_nanos()).ok()?;
    RecordedAt::new(now.timestamp(), nanos)
}

fn answer(reply: oneshot::Sender<Answer>, outcome: Answer) {
    // The caller may have gone; the record id answers it when it comes back.
    drop(reply.send(outcome));
}

fn answer_all(jobs: Vec<Job>, refused: &AppendError) {
    for job in jobs {
        answer(job.answer, Err(refused.again()));
    }
}

fn index_at(first: u64, position: usize) -> Index {
    Index::new(first + count(position))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
