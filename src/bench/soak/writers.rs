//! Those who write, each at a pace: callers with one record at a time, one with batches, and a stream that tells the
//! story of a population, in its order. Who is not answered sends the same record again.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use prost::Message as _;
use tokio::{sync::mpsc, time::Interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};

use super::{
    Load,
    door::{Kind, ticks, within_patience},
};
use crate::{
    bench::{
        callers::{by, record_batch, submission},
        ledgers,
    },
    pb::{
        self, RecordStreamRequest, record_stream_response::Outcome,
        recording_service_client::RecordingServiceClient, submission::Form,
    },
    population::{self, Programme},
};

/// Callers with one record at a time, and how often each has one: 320 a second.
pub(super) const CALLERS: u32 = 8;
const CALLER_PERIOD: Duration = Duration::from_millis(25);

/// Records of a batch, and how often there is one: 300 a second.
const BATCH: u64 = 150;
const BATCH_PERIOD: Duration = Duration::from_millis(500);

/// Records that a stream has on their way at once, and how often: 400 a second.
const WINDOW: usize = 40;
const WINDOW_PERIOD: Duration = Duration::from_millis(100);

/// After so many windows, the stream is ended and another begun.
const WINDOWS_OF_A_STREAM: u32 = 100;

/// Records that the story is ahead of the stream.
const AHEAD: usize = 1_000;

/// Patients to whom the others administer: each has more and more.
const PATIENTS: u64 = 50_000;

/// The administration of a number, for those who write nothing else.
fn administration(number: u64) -> pb::Record {
    ledgers::administration_of(number, number % PATIENTS)
}

/// A caller with one record at a time.
pub(super) async fn singly(load: Arc<Load>) {
    let mut ticks = ticks(CALLER_PERIOD);
    while load.door.turn(&mut ticks).await {
        let number = load.numbers.fetch_add(1, Ordering::Relaxed);
        let record = administration(number);
        let send = |channel| {
            let request = by(
                ledgers::ACTOR,
                pb::RecordRequest {
                    submission: Some(encoded(&record)),
                    validate_only: false,
                },
            );
            // On the heap: a call with its request is large.
            Box::pin(async move { RecordingServiceClient::new(channel).record(request).await })
        };
        let Some(answer) = load.door.call("Record", send).await else {
            load.abandon(1);
            continue;
        };
        load.take(&record.record_id, &answer.receipt.unwrap_or_default());
    }
}

/// A caller with batches.
pub(super) async fn in_batches(load: Arc<Load>) {
    let mut ticks = ticks(BATCH_PERIOD);
    while load.door.turn(&mut ticks).await {
        let first = load.numbers.fetch_add(BATCH, Ordering::Relaxed);
        let records: Vec<pb::Record> = (first..first + BATCH).map(administration).collect();
        let send = |channel| {
            let request = record_batch(records.iter().map(encoded));
            async move {
                let client = RecordingServiceClient::new(channel);
                // 150 receipts of some 2 KB, and more where a proof is long.
                let mut client = client.max_decoding_message_size(16 << 20);
                client.record_batch(request).await
            }
        };
        let Some(answer) = load.door.call("RecordBatch", send).await else {
            load.abandon(records.len());
            continue;
        };
        if answer.receipts.len() != records.len() {
            let (have, asked) = (answer.receipts.len(), records.len());
            let what = format_args!("RecordBatch: {have} receipts for {asked} records");
            load.door.wrong(Kind::Answer, what);
        }
        for (record, receipt) in records.iter().zip(&answer.receipts) {
            load.take(&record.record_id, receipt);
        }
    }
}

/// The records of a population, as fast as they are taken.
pub(super) fn tell(patients: u64) -> anyhow::Result<mpsc::Receiver<pb::Record>> {
    let (sender, records) = mpsc::channel(AHEAD);
    let tell = move || {
        for recorded in population::records(Programme { seed: 1, patients }) {
            if sender.blocking_send(recorded.record).is_err() {
                return;
            }
        }
    };
    // It takes its time: not on a thread on which others wait for their turns. It ends with who listens.
    std::thread::Builder::new()
        .name("story".to_owned())
        .spawn(tell)?;
    Ok(records)
}

/// One stream after the other, with the records of the story.
pub(super) async fn in_streams(load: Arc<Load>, records: mpsc::Receiver<pb::Record>) {
    let mut story = Story {
        records,
        ticks: ticks(WINDOW_PERIOD),
        waiting: VecDeque::new(),
    };
    while load.door.is_open() || !story.waiting.is_empty() {
        let Some((entered, channel)) = load.door.enter() else {
            break;
        };
        let Err(status) = story.stream(&load, channel).await else {
            continue;
        };
        if !load.door.excuses(entered, "RecordStream", &status).await {
            break;
        }
    }
    load.abandon(story.waiting.len());
}

/// What is still to be told.
struct Story {
    records: mpsc::Receiver<pb::Record>,
    ticks: Interval,
    /// Not answered yet, in order.
    waiting: VecDeque<pb::Record>,
}

impl Story {
    /// One stream, until it has lasted long enough or broken.
    async fn stream(&mut self, load: &Load, channel: Channel) -> Result<(), Status> {
        let (sender, items) = mpsc::channel(WINDOW);
        let request = by(ledgers::ACTOR, ReceiverStream::new(items));
        let mut client = RecordingServiceClient::new(channel);
        let answers = within_patience(client.record_stream(request)).await?;
        let mut answers = answers.into_inner();
        for _ in 0..WINDOWS_OF_A_STREAM {
            if self.waiting.is_empty() && !self.listen(load).await {
                break;
            }
            for record in &self.waiting {
                let item = RecordStreamRequest {
                    submission: Some(encoded(record)),
                };
                if sender.send(item).await.is_err() {
                    // It has broken; the answers say why.
                    break;
                }
            }
            while let Some(record) = self.waiting.front() {
                let answer = within_patience(answers.message()).await?;
                match answer.and_then(|answer| answer.outcome) {
                    Some(Outcome::Receipt(receipt)) => {
                        load.take(&record.record_id, &receipt);
                        load.door.count("records by RecordStream", 1);
                    }
                    Some(Outcome::Error(status)) => {
                        return Err(Status::new(Code::from(status.code), status.message));
                    }
                    None => return Err(Status::unavailable("the server ended the stream")),
                }
                if let Some(record) = self.waiting.pop_front() {
                    load.told(&record);
                }
            }
        }
        drop(sender);
        if within_patience(answers.message()).await?.is_some() {
            load.door
                .wrong(Kind::Answer, "RecordStream: an answer is for nothing");
        }
        load.door.count("RecordStream", 1);
        Ok(())
    }

    /// Waits for its turn, and takes the next part of the story; whether there is one.
    async fn listen(&mut self, load: &Load) -> bool {
        if !load.door.turn(&mut self.ticks).await {
            return false;
        }
        while self.waiting.len() < WINDOW {
            let Some(record) = self.records.recv().await else {
                break;
            };
            self.waiting.push_back(record);
        }
        !self.waiting.is_empty()
    }
}

/// A record as its bytes.
fn encoded(record: &pb::Record) -> pb::Submission {
    submission(Form::Encoded(record.encode_to_vec()))
}
