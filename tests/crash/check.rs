//! What a ledger that was opened again must hold: everything that was acknowledged where it was
//! acknowledged, whole batches, one chain, one tree, and every checkpoint that anybody was given.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context as _, Result, bail, ensure};
use genetrail::{
    ledger::{Chain, Ledger, Opened},
    note::open_checkpoint,
    record::entry::EntryView,
    tlog::{Frontier, Hash, Index, TreeSize, check_inclusion, leaf_hash},
};

use crate::{
    acks::Acks,
    child::{Orders, acknowledge},
    plan::{Batch, id_of_record},
};

/// Checks an open ledger against what was acknowledged, and ends it.
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
    let mut appended = 0;
    if orders.repeat {
        appended = runtime.block_on(repeat(orders.run, &ledger, &acks, &log))?;
    }
    println!(
        "ok entries={} acknowledged={} appended={appended}",
        log.leaves.len(),
        acks.records.len()
    );
    if !orders.abrupt {
        let ledger = Arc::into_inner(ledger).context("somebody holds the ledger")?;
        ledger.close();
    } else {
        std::process::exit(0);
    }
    Ok(())
}

/// What the log holds.
struct Log {
    leaves: Vec<Hash>,
    /// Index and leaf hash by record id.
    indexes: BTreeMap<[u8; 16], (u64, Hash)>,
    batches: BTreeSet<Batch>,
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
    let mut log = Log {
        leaves: Vec::new(),
        indexes: BTreeMap::new(),
        batches: BTreeSet::new(),
    };
    let mut previous = Hash::ZERO;
    let mut time = None;
    let mut tree = Frontier::new();
    let mut rest: Vec<([u8; 16], Vec<u8>)> = Vec::new();
    for entry in ledger.entries(Index::new(0), size) {
        let (index, entry) = entry?;
        let view = EntryView::parse(&entry).with_context(|| format!("entry {index}"))?;
        ensure!(
            view.index == index,
            "entry {index} says that it is entry {}",
            view.index
        );
        ensure!(
            view.previous == previous,
            "entry {index} is not chained to the one before"
        );
        ensure!(
            time <= Some(view.recorded_at),
            "entry {index} is earlier than the one before"
        );
        time = Some(view.recorded_at);
        previous = leaf_hash(&entry);
        tree.push(previous);
        log.leaves.push(previous);
        let have = u64::try_from(log.leaves.len())?;
        if let Some(root) = acks.roots.get(&have) {
            ensure!(
                *root == tree.root(),
                "size {have} has another root than was acknowledged: a fork"
            );
        }
        if index == Index::new(0) {
            continue;
        }
        let id = id_of_record(view.record)?;
        let again = log.indexes.insert(id, (index.value(), previous));
        ensure!(again.is_none(), "entry {index} repeats a record");
        if rest.is_empty() {
            let (batch, _) = Batch::of(&id);
            rest = batch.records();
            rest.reverse();
            log.batches.insert(batch);
        }
        let (wanted, record) = rest.pop().context("a batch has no records")?;
        ensure!(
            wanted == id,
            "entry {index} stands in the middle of another batch"
        );
        ensure!(
            record == view.record,
            "entry {index} does not say what was submitted"
        );
    }
    ensure!(
        rest.is_empty(),
        "the last batch lacks {} records",
        rest.len()
    );
    let have = u64::try_from(log.leaves.len())?;
    ensure!(have == size.value(), "{have} entries can be read of {size}");
    ensure!(
        tree.root() == published.checkpoint().root,
        "the entries have another root"
    );
    let signed = open_checkpoint(published.note(), ledger.vkey()).context("the checkpoint")?;
    ensure!(
        signed == *published.checkpoint(),
        "the note says something else than the checkpoint"
    );
    if let Some(ahead) = acks.roots.keys().find(|size| have < **size) {
        bail!("a checkpoint of size {ahead} was acknowledged, and the log ends at {have}");
    }
    Ok(log)
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
                tokio::spawn(async move { (batch, ledger.append(batch.submissions()).await) })
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
                match log.indexes.get(&ack.record_id) {
                    Some(found) => {
                        ensure!(
                            *found == (ack.index, ack.leaf),
                            "a repeat of {found:?} is {ack:?}"
                        );
                    }
                    None => {
                        ensure!(
                            size.value() <= ack.index,
                            "a new record is at {}",
                            ack.index
                        );
                        appended.insert(ack.index);
                    }
                }
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
