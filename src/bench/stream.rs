//! `RecordStream` against the store alone, which takes the same entries in commits of the same size, under sequential
//! keys only, with the same syncs: once a key for each entry, and once in blocks of as many as a value holds.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use prost::{Message as _, bytes::Bytes};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::transport::Channel;

use super::{
    Bench, Row,
    callers::{Served, by, submission},
    figures::{last, rate_since, ratios, real},
    ledgers,
    row::Aim,
};
use crate::{
    pb::{
        self, RecordStreamRequest, record_stream_response::Outcome,
        recording_service_client::RecordingServiceClient, submission::Form,
    },
    store::{Head, SledOptions, SledStore, Store as _, Write},
};

/// Streams at once.
pub(super) const STREAMS: usize = 4;

/// Items of a stream on their way to the server, as `import` keeps them.
const AHEAD: usize = 1_024;

/// Records of the first stream, from whose rate it is known how many the next one takes for as long as it is to last.
const FIRST: u64 = 4_000;

/// Entries of a stream that are kept, for the store to take.
const KEPT: usize = 250;

/// What a value of the store holds.
const BLOCK_BYTES: usize = 7_000;

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("stream")?;
    let product = Served::new(&home.join("ledger"))?;
    // Once for the entries that the store will take.
    let (_, first) = product.stream(FIRST)?;
    let entries = first.entries;
    let mut batch = 1;
    let rounds = bench.rounds(|| {
        let (rate, streamed) = product.stream_for(bench.effort.load)?;
        batch = streamed.batch().max(1);
        let alone = |layout: Layout| {
            let home = bench.scratch("alone")?;
            Alone::open(&home.dir, &entries)?.take(bench.effort.load / 2, batch, layout)
        };
        let (single, packed) = (alone(singly)?, alone(in_blocks)?);
        Ok(((single, rate), (packed, rate)))
    })?;
    product.end()?;
    let (single, packed): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
    let (ceiling, reached) = last(&single);
    let (ceiling_in_blocks, _) = last(&packed);
    let what = format!(
        "{STREAMS} streams: {reached:.0}/s, {batch} in a commit; the store alone {ceiling:.0}/s, a key each"
    );
    let strict =
        format!("the store alone {ceiling_in_blocks:.0}/s, in blocks of {BLOCK_BYTES} bytes");
    Ok(vec![
        Row::ratio("stream", ratios(&single), Aim::AtLeast(0.5), what),
        Row::ratio("stream-blocks", ratios(&packed), Aim::AtLeast(0.5), strict),
    ])
}

/// What streams were answered.
#[derive(Debug, Default)]
pub(super) struct Streamed {
    receipts: usize,
    /// The tree sizes that receipts were made at, one for each commit.
    commits: BTreeSet<u64>,
    /// The entries of the first receipts.
    entries: Vec<Bytes>,
}

impl Streamed {
    /// Records in a commit, on average.
    fn batch(&self) -> usize {
        self.receipts / self.commits.len().max(1)
    }

    fn take(&mut self, receipt: pb::Receipt) {
        self.receipts += 1;
        self.commits.extend(tree_size(&receipt));
        if self.entries.len() < KEPT {
            self.entries.push(receipt.entry);
        }
    }

    fn append(&mut self, mut other: Self) {
        self.receipts += other.receipts;
        self.commits.append(&mut other.commits);
        self.entries.append(&mut other.entries);
    }
}

impl Served {
    /// Streams as many records as that takes for so long: receipts a second, and what was answered.
    pub(super) fn stream_for(&self, load: Duration) -> anyhow::Result<(f64, Streamed)> {
        let (rate, _) = self.stream(FIRST)?;
        let first = Duration::from_secs_f64(real(FIRST) / rate);
        let times = load.as_micros() / first.as_micros().max(1);
        self.stream(FIRST * u64::try_from(times)?.max(1))
    }

    /// Records so many administrations over some streams, each item as the bytes of its record.
    fn stream(&self, count: u64) -> anyhow::Result<(f64, Streamed)> {
        let mut shares = vec![Vec::new(); STREAMS];
        for (number, to) in self.fresh(count).zip((0..STREAMS).cycle()) {
            if let Some(share) = shares.get_mut(to) {
                share.push(item(&ledgers::administration(number)));
            }
        }
        let channels = self.channels.iter().cycle().cloned();
        self.runtime.block_on(async {
            let start = Instant::now();
            let mut tasks = JoinSet::new();
            for (items, channel) in shares.into_iter().zip(channels) {
                tasks.spawn(one(channel, items));
            }
            let mut streamed = Streamed::default();
            while let Some(ended) = tasks.join_next().await {
                streamed.append(ended.context("a stream panicked")??);
            }
            Ok((rate_since(start, count), streamed))
        })
    }
}

/// The tree that a receipt's proof is in.
fn tree_size(receipt: &pb::Receipt) -> Option<u64> {
    receipt.checkpoint.lines().nth(1)?.parse().ok()
}

/// The item of a stream that is sent as the bytes of its record.
pub(super) fn item(record: &pb::Record) -> RecordStreamRequest {
    RecordStreamRequest {
        submission: Some(submission(Form::Encoded(record.encode_to_vec()))),
    }
}

/// One stream, to its last answer.
pub(super) async fn one(
    channel: Channel,
    items: Vec<RecordStreamRequest>,
) -> anyhow::Result<Streamed> {
    let mut streamed = Streamed::default();
    let (sender, to_send) = mpsc::channel(AHEAD);
    let sending = async {
        for item in items {
            sender.send(item).await?;
        }
        drop(sender);
        anyhow::Ok(())
    };
    let answering = async {
        let mut client = RecordingServiceClient::new(channel);
        let request = by(ledgers::ACTOR, ReceiverStream::new(to_send));
        let mut answers = client.record_stream(request).await?.into_inner();
        while let Some(answer) = answers.next().await {
            match answer?.outcome.context("an answer without outcome")? {
                Outcome::Receipt(receipt) => streamed.take(receipt),
                Outcome::Error(status) => bail!("an item was refused: {}", status.message),
            }
        }
        Ok(())
    };
    tokio::try_join!(sending, answering)?;
    Ok(streamed)
}

/// The store with nothing above it, and the entries that it takes, again and again.
struct Alone<'a> {
    store: SledStore,
    head: Head,
    entries: &'a [Bytes],
}

/// How entries that follow one another are written, from the index of the first on.
type Layout = fn(u64, &[&[u8]]) -> Vec<Write>;

impl<'a> Alone<'a> {
    fn open(dir: &Path, entries: &'a [Bytes]) -> anyhow::Result<Self> {
        let store = SledStore::open(dir, &SledOptions::default())?;
        let head = store.fence()?;
        Ok(Self {
            store,
            head,
            entries,
        })
    }

    /// Takes entries for so long, in commits of `batch`; entries a second.
    fn take(&mut self, load: Duration, batch: usize, layout: Layout) -> anyhow::Result<f64> {
        let mut entries = self.entries.iter().map(AsRef::as_ref).cycle();
        let start = Instant::now();
        while start.elapsed() < load {
            let some: Vec<&[u8]> = entries.by_ref().take(batch).collect();
            let next = Head {
                size: self.head.size + u64::try_from(some.len())?,
                ..self.head
            };
            let writes = layout(self.head.size, &some);
            self.store.commit(&self.head, &next, b"", &writes)?;
            self.head = next;
        }
        Ok(rate_since(start, self.head.size))
    }
}

/// A key for each entry.
fn singly(first: u64, entries: &[&[u8]]) -> Vec<Write> {
    let writes = (first..).zip(entries);
    writes
        .map(|(index, entry)| put(index, entry.to_vec()))
        .collect()
}

/// A key for as many as fit into a block.
fn in_blocks(first: u64, entries: &[&[u8]]) -> Vec<Write> {
    let mut writes = Vec::new();
    let (mut block_first, mut block) = (first, Vec::new());
    for (index, entry) in (first..).zip(entries) {
        if !block.is_empty() && BLOCK_BYTES < block.len() + entry.len() {
            writes.push(put(block_first, std::mem::take(&mut block)));
            block_first = index;
        }
        block.extend_from_slice(entry);
    }
    writes.push(put(block_first, block));
    writes
}

fn put(index: u64, value: Vec<u8>) -> Write {
    Write::Put {
        key: index.to_be_bytes().to_vec(),
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_every_entry_once_and_are_not_larger_than_a_block() {
        let entries: Vec<Vec<u8>> = (0..40_u8).map(|fill| vec![fill; 650]).collect();
        let slices: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
        let writes = in_blocks(7, &slices);
        assert_eq!(writes.len(), 4);
        let values: Vec<&[u8]> = writes.iter().filter_map(Write::value).collect();
        assert!(values.iter().all(|value| value.len() <= BLOCK_BYTES));
        assert_eq!(values.concat(), entries.concat());
        assert_eq!(writes[1].key(), 17_u64.to_be_bytes());
    }
}
