//! What a ledger that was opened again must hold: everything that was acknowledged where it was
//! acknowledged, whole batches, one chain, one tree, and every checkpoint that anybody was given.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use genetrail::{
    ledger::{Accepted, AppendError, Chain, Ledger, Opened},
    note::open_checkpoint,
    record::entry::{EntryView, RecordedAt},
    tlog::{Frontier, Hash, Index, TreeSize, check_inclusion, leaf_hash},
    verify::{self, verify_log},
};

use crate::{
    acks::Acks,
    child::{Orders, acknowledge},
    plan::{Batch, id_of_record},
};

/// Checks an open ledger against what was acknowledged, and ends it.
#[expect(clippy::exit, reason = "to end without closing, as a kill would")]
pub(crate) fn run(
    orders: &Orders,
    opened: Opened,
    runtime: &tokio::runtime::Runtime,
) -> Result<()> {
    let acks = Acks::read(&orders.acks)?;
    let ledger = Arc::new(opened.ledger);
    let log = read_log(&ledger, &acks)?;
    for (id, ack) in &acks.records {
        let found = log
            .indexes
            .get(id)
            .with_context(|| format!("entry {} is lost", ack.index))?;
        ensure!(
            *found == (ack.index, ack.leaf),
            "entry {} is now {found:?}",
            ack.index
        );
        let by_id = ledger
            .entry_by_record_id(id)?
            .map(|(index, _)| index.value());
        ensure!(
            by_id == Some(ack.index),
            "entry {} is found by its id at {by_id:?}",
            ack.index
        );
    }
    check_stored_tree(&ledger, &acks, &log)?;
    let options = verify::Options {
        key: ledger.vkey().clone(),
        since: None,
    };
    verify_log(&ledger.source(), &options, &|_, _| {}).context("the offline verifier")?;
    let mut appended = 0;
    if orders.repeat {
        appended = runtime.block_on(repeat(orders.run, &ledger, &acks, &log))?;
    }
    println!(
        "ok entries={} acknowledged={} appended={appended}",
        log.leaves.len(),
        acks.records.len()
    );
    if orders.abrupt {
        std::process::exit(0);
    }
    let ledger = Arc::into_inner(ledger).context("somebody holds the ledger")?;
    ledger.close();
    Ok(())
}

/// What the log holds.
#[derive(Default)]
struct Log {
    leaves: Vec<Hash>,
    /// Index and leaf hash by record id.
    indexes: BTreeMap<[u8; 16], (u64, Hash)>,
    batches: BTreeSet<Batch>,
}

/// The log as far as it has been read.
#[derive(Default)]
struct Reading {
    log: Log,
    tree: Frontier,
    previous: Option<(Hash, RecordedAt)>,
    /// What is still to come of the last batch, the next at the end.
    rest: Vec<([u8; 16], Vec<u8>)>,
}

/// The record in an entry, which must be whole and of this index.
pub(crate) fn record_of(entry: &[u8], index: Index) -> Result<Vec<u8>> {
    let view = EntryView::parse(entry).with_context(|| format!("entry {index}"))?;
    ensure!(
        view.index == index,
        "entry {index} says that it is entry {}",
        view.index
    );
    Ok(view.record.to_vec())
}

/// Reads every entry: its chain, its record, its batch, and the root of each acknowledged size.
fn read_log(ledger: &Ledger, acks: &Acks) -> Result<Log> {
    let published = ledger.published();
    let size = published.size();
    let mut reading = Reading::default();
    for entry in ledger.entries(Index::new(0), size) {
        let (index, entry) = entry?;
        reading
            .take(index, &entry, acks)
            .with_context(|| format!("entry {index}"))?;
    }
    let Reading {
        log,
        tree,
        previous: _,
        rest,
    } = reading;
    ensure!(
        rest.is_empty(),
        "the last batch lacks {} records",
        rest.len()
    );
    let have = u64::try_from(log.leaves.len())?;
    ensure!(have == size.value(), "{have} entries can be read of {size}");
    let checkpoint = published.checkpoint();
    ensure!(
        tree.root() == checkpoint.root,
        "the entries have another root"
    );
    let signed = open_checkpoint(published.note(), ledger.vkey()).context("the checkpoint")?;
    ensure!(
        signed == *checkpoint,
        "the note says something else than the checkpoint"
    );
    if let Some(ahead) = acks.roots.keys().find(|size| have < **size) {
        bail!("a checkpoint of size {ahead} was acknowledged, and the log ends at {have}");
    }
    Ok(log)
}

impl Reading {
    /// Takes the next entry.
    fn take(&mut self, index: Index, entry: &[u8], acks: &Acks) -> Result<()> {
        let view = EntryView::parse(entry)?;
        ensure!(
            view.index == index,
            "it says that it is entry {}",
            view.index
        );
        let (previous, time) = self.previous.unwrap_or((Hash::ZERO, view.recorded_at));
        ensure!(
            view.previous == previous,
            "it is not chained to the one before"
        );
        ensure!(
            time <= view.recorded_at,
            "it is earlier than the one before"
        );
        let leaf = leaf_hash(entry);
        self.previous = Some((leaf, view.recorded_at));
        self.tree.push(leaf);
        self.log.leaves.push(leaf);
        if let Some(root) = acks.roots.get(&u64::try_from(self.log.leaves.len())?) {
            let same = *root == self.tree.root();
            ensure!(
                same,
                "the tree up to it has another root than was acknowledged: a fork"
            );
        }
        if index == Index::new(0) {
            return Ok(());
        }
        let id = id_of_record(view.record)?;
        let again = self.log.indexes.insert(id, (index.value(), leaf));
        ensure!(again.is_none(), "it repeats a record");
        if self.rest.is_empty() {
            let batch = Batch::of(&id);
            self.rest = batch.records();
            self.rest.reverse();
            self.log.batches.insert(batch);
        }
        let (wanted, record) = self
            .rest
            .pop()
            .context("it is of a batch without records")?;
        ensure!(wanted == id, "it stands in the middle of another batch");
        ensure!(record == view.record, "it does not say what was submitted");
        Ok(())
    }
}

/// What the stored tree answers, for a sample of the sizes and indexes.
fn check_stored_tree(ledger: &Ledger, acks: &Acks, log: &Log) -> Result<()> {
    let published = ledger.published();
    let checkpoint = published.checkpoint();
    for (size, root) in acks.roots.iter().step_by(acks.roots.len() / 50 + 1) {
        let stored = ledger.root_at(&published, TreeSize::new(*size))?;
        ensure!(
            stored == *root,
            "the stored tree has another root at size {size}"
        );
    }
    for (index, leaf) in (0..).zip(&log.leaves).step_by(log.leaves.len() / 50 + 1) {
        let index = Index::new(index);
        let proof = ledger.prove_inclusion(&published, index, checkpoint.size)?;
        check_inclusion(&proof, index, checkpoint.size, *leaf, checkpoint.root)
            .with_context(|| format!("the stored proof of entry {index}"))?;
    }
    Ok(())
}

/// Submits a batch until there is room for it: many large ones at once are more than the queue takes.
async fn again(ledger: &Ledger, batch: Batch) -> Result<Vec<Accepted>, AppendError> {
    loop {
        match ledger.append(batch.submissions()).await {
            Err(AppendError::Busy) => tokio::time::sleep(Duration::from_millis(2)).await,
            answer => return answer,
        }
    }
}

/// Submits again what was acknowledged of a run, and each submitter's next batch, which may have been
/// under way: what is in the log gets its old index, and the rest is appended. Returns how many were
/// appended.
async fn repeat(run: u32, ledger: &Arc<Ledger>, acks: &Acks, log: &Log) -> Result<usize> {
    let mut batches = acks.batches();
    batches.retain(|batch| batch.run == run);
    let last: BTreeMap<(u32, u16), u32> = batches
        .iter()
        .map(|batch| ((batch.run, batch.submitter), batch.number))
        .collect();
    batches.extend(last.into_iter().map(|((run, submitter), number)| Batch {
        run,
        submitter,
        number: number + 1,
    }));
    batches.extend(log.batches.iter().rev().take(8));
    let size = ledger.published().size();
    let mut appended = BTreeSet::new();
    for group in batches.chunks(64) {
        let tasks: Vec<_> = group
            .iter()
            .map(|&batch| {
                let ledger = Arc::clone(ledger);
                tokio::spawn(async move { (batch, again(&ledger, batch).await) })
            })
            .collect();
        for task in tasks {
            let (batch, answer) = task.await?;
            let accepted = match answer {
                Ok(accepted) => accepted,
                Err(error) => bail!(
                    "the repeated batch {batch:?} was refused: {}",
                    Chain(&error)
                ),
            };
            for ack in acknowledge(ledger, batch, &accepted)? {
                let Some(found) = log.indexes.get(&ack.record_id) else {
                    ensure!(
                        size.value() <= ack.index,
                        "a new record is at {}",
                        ack.index
                    );
                    appended.insert(ack.index);
                    continue;
                };
                ensure!(
                    *found == (ack.index, ack.leaf),
                    "a repeat of {found:?} is {ack:?}"
                );
            }
        }
    }
    let now = ledger.published().size().value();
    let grown = usize::try_from(now - size.value())?;
    ensure!(
        grown == appended.len(),
        "{} new records made {grown} entries",
        appended.len()
    );
    Ok(appended.len())
}
