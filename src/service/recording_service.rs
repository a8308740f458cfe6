//! `RecordingService`: takes records in, one, many at once, or as they come.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use prost::bytes::Bytes;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
};
use tokio_stream::StreamExt as _;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{
    Apart, EncodedOutcome, EncodedReceipt, EncodedReceipts, actor, blocking,
    call::{Phase, reached},
    driven::{self, Driven},
    error::{CallError, complete, in_request, item_status},
    flagging::Flagging,
    receipt,
    submission::{Checked, CheckedRecord, Desk, Path},
};
use crate::{
    clock::Clock,
    ledger::{Accepted, AppendError, Ledger, Published, Submission},
    pb::{
        self, RecordBatchRequest, RecordRequest, RecordStreamRequest,
        recording_service_server::RecordingService,
    },
};

/// Items of one stream that wait for their answer, or for the caller to fetch it: enough that a commit is
/// always full of them.
const IN_FLIGHT_MAX: usize = 256;

/// Items of all streams together that do, in KiB: 256 MiB. With as much, streams wait for each other.
const IN_FLIGHT_KIB_MAX: usize = 256 << 10;

/// The service.
#[derive(Clone)]
pub(crate) struct Recording {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    phase: watch::Receiver<Phase>,
    in_flight: Arc<Semaphore>,
    /// How many streams are read from.
    streams: Arc<AtomicUsize>,
    flagging: Flagging,
}

/// What the ledger answers.
type Answer = Result<Vec<Accepted>, AppendError>;

impl Recording {
    /// The service over this ledger.
    pub(crate) fn new(
        ledger: Arc<Ledger>,
        clock: Arc<dyn Clock>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_KIB_MAX));
        let flagging = Flagging::new(Arc::clone(&ledger));
        Self {
            ledger,
            clock,
            phase,
            in_flight,
            streams: Arc::default(),
            flagging,
        }
    }

    /// What submissions are checked with, against the keys of a published tree.
    fn desk<'a>(&'a self, actor: &'a str, published: &'a Published) -> Desk<'a> {
        Desk {
            actor,
            now: self.clock.now(),
            origin: self.ledger.vkey().name().as_str(),
            keys: published.keys(),
        }
    }

    fn check(&self, actor: &str, submission: Option<pb::Submission>) -> Result<Checked, CallError> {
        let published = self.ledger.published();
        self.desk(actor, &published).check(submission)
    }

    fn check_batch<K>(
        &self,
        actor: &str,
        submissions: Vec<pb::Submission>,
        keep: impl Fn(CheckedRecord) -> K,
    ) -> Result<Vec<(Submission, K)>, CallError> {
        let published = self.ledger.published();
        self.desk(actor, &published).check_batch(submissions, keep)
    }

    /// The bytes of the receipts of records that are only looked at.
    async fn preview(
        &self,
        actor: &str,
        records: Vec<(Path, CheckedRecord)>,
    ) -> Result<Vec<Bytes>, CallError> {
        let (flagging, now, actor) = (self.flagging.clone(), self.clock.now(), actor.to_owned());
        let previews = blocking(move || flagging.preview(records, &actor, now)).await?;
        Ok(previews
            .iter()
            .map(|flags| receipt::preview(flags))
            .collect())
    }
}

#[async_trait]
impl RecordingService for Recording {
    async fn record(
        &self,
        request: Request<RecordRequest>,
    ) -> Result<Response<EncodedReceipt>, Status> {
        let (metadata, _, request) = request.into_parts();
        let actor = actor::of(&metadata)?;
        let RecordRequest {
            submission,
            validate_only,
        } = request;
        let Checked { submission, record } = self.check(actor, submission)?;
        let receipt = if validate_only {
            let previews = self.preview(actor, vec![(Path::Alone, record)]).await?;
            previews.into_iter().next().unwrap_or_default()
        } else {
            let accepted = self
                .ledger
                .append(vec![submission])
                .await
                .map_err(CallError::from)?;
            receipt::receipt(&self.ledger, &self.flagging, only(accepted)?, record).await?
        };
        Ok(Response::new(EncodedReceipt {
            receipt: Some(receipt),
        }))
    }

    async fn record_batch(
        &self,
        request: Request<RecordBatchRequest>,
    ) -> Result<Response<EncodedReceipts>, Status> {
        let (metadata, _, request) = request.into_parts();
        let actor = actor::of(&metadata)?.to_owned();
        let RecordBatchRequest {
            submissions,
            validate_only,
        } = request;
        let service = self.clone();
        let by = actor.clone();
        let receipts = if validate_only {
            let check = move || service.check_batch(&by, submissions, |record| record);
            let records = blocking(check).await?.into_iter().map(|(_, record)| record);
            let paths = (0..).map(Path::Item);
            self.preview(&actor, paths.zip(records).collect()).await?
        } else {
            let check = move || {
                let batch = service.check_batch(&by, submissions, |record| record.unverified)?;
                Ok::<_, CallError>(batch.into_iter().unzip())
            };
            let (submissions, unverified): (Vec<_>, Vec<_>) = blocking(check).await?;
            let accepted = self.ledger.append(submissions).await.map_err(of_batch)?;
            let (ledger, flagging) = (Arc::clone(&self.ledger), self.flagging.clone());
            blocking(move || receipt::of_batch(&ledger, &flagging, accepted, unverified)).await?
        };
        Ok(Response::new(EncodedReceipts { receipts }))
    }

    type RecordStreamStream = Driven<Result<EncodedOutcome, Status>>;

    async fn record_stream(
        &self,
        request: Request<Streaming<RecordStreamRequest>>,
    ) -> Result<Response<Self::RecordStreamStream>, Status> {
        let (metadata, _, items) = request.into_parts();
        let actor = actor::of(&metadata)?.to_owned();
        let service = self.clone();
        let (ledger, flagging) = (Arc::clone(&self.ledger), self.flagging.clone());
        let answers = Driven::new(
            IN_FLIGHT_MAX,
            |waiting| service.take_in(actor, items, waiting),
            |waiting| {
                waiting.then(move |waiting| answer(Arc::clone(&ledger), flagging.clone(), waiting))
            },
        );
        Ok(Response::new(answers))
    }
}

/// A stream that is counted while it is read from.
struct Open {
    streams: Arc<AtomicUsize>,
    threads: usize,
}

impl Open {
    fn count_in(streams: &Arc<AtomicUsize>) -> Self {
        streams.fetch_add(1, Ordering::Relaxed);
        Self {
            streams: Arc::clone(streams),
            threads: Handle::current().metrics().num_workers(),
        }
    }

    /// Whether there are more threads than streams: who streams alone has its receipts made by all of them. Where each
    /// has a stream to do, handing receipts over only costs.
    fn leaves_threads(&self) -> bool {
        self.streams.load(Ordering::Relaxed) < self.threads
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An item of a stream that was taken in.
enum Waiting {
    /// It is in the queue.
    Queued {
        answer: oneshot::Receiver<Answer>,
        record: CheckedRecord,
        _share: OwnedSemaphorePermit,
    },
    /// It is in the queue, and its receipt is made as soon as it is recorded, whether it is its turn or not.
    Begun {
        receipt: Apart<Result<Bytes, CallError>>,
        _share: OwnedSemaphorePermit,
    },
    /// It was refused.
    Refused(CallError),
    /// The stream ends here, and why.
    Cut(Status),
}

impl Recording {
    /// Reads a stream's items ahead of their answers, and queues them in order. Ends with the stream's
    /// first half, or when nobody listens, or when the server is about to end.
    async fn take_in(
        self,
        actor: String,
        mut items: Streaming<RecordStreamRequest>,
        waiting: mpsc::Sender<Waiting>,
    ) {
        let open = Open::count_in(&self.streams);
        let mut draining = std::pin::pin!(reached(self.phase.clone(), Phase::Draining));
        loop {
            // Room for the answer first: nothing is recorded whose answer could not be kept.
            let Ok(place) = driven::place(&waiting).await else {
                return;
            };
            let item = tokio::select! {
                item = items.message() => item,
                () = &mut draining => Err(CallError::ShuttingDown.into()),
            };
            match item {
                Ok(Some(item)) => place.send(self.queue(&open, &actor, item).await),
                Ok(None) => return,
                Err(status) => return place.send(Waiting::Cut(complete(status))),
            }
        }
    }

    async fn queue(&self, open: &Open, actor: &str, item: RecordStreamRequest) -> Waiting {
        let Checked { submission, record } = match self.check(actor, item.submission) {
            Ok(checked) => checked,
            Err(error) => return Waiting::Refused(error),
        };
        // The record, its entry, and what lies around them.
        let kib = (2 * submission.record.len() + 1_024).div_ceil(1_024);
        let kib = u32::try_from(kib).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&self.in_flight).acquire_many_owned(kib).await else {
            return Waiting::Refused(CallError::ShuttingDown);
        };
        match self.ledger.queue(vec![submission]).await {
            Ok(answer) if open.leaves_threads() => {
                let (ledger, flagging) = (Arc::clone(&self.ledger), self.flagging.clone());
                Waiting::Begun {
                    receipt: Apart::begin(made(ledger, flagging, answer, record)),
                    _share: share,
                }
            }
            Ok(answer) => Waiting::Queued {
                answer,
                record,
                _share: share,
            },
            Err(error) => Waiting::Refused(error.into()),
        }
    }
}

/// The bytes of the receipt of a record that is in the queue.
async fn made(
    ledger: Arc<Ledger>,
    flagging: Flagging,
    answer: oneshot::Receiver<Answer>,
    record: CheckedRecord,
) -> Result<Bytes, CallError> {
    let answered = answer.await;
    let accepted = answered.unwrap_or_else(|_| Err(ledger.closed()))?;
    receipt::receipt(&ledger, &flagging, only(accepted)?, record).await
}

/// The answer to one item.
async fn answer(
    ledger: Arc<Ledger>,
    flagging: Flagging,
    waiting: Waiting,
) -> Result<EncodedOutcome, Status> {
    let outcome = match waiting {
        Waiting::Cut(status) => return Err(status),
        Waiting::Refused(error) => Err(error),
        Waiting::Queued {
            answer,
            record,
            _share,
        } => made(ledger, flagging, answer, record).await,
        Waiting::Begun { receipt, _share } => receipt.await,
    };
    let (receipt, error) = match outcome {
        Ok(receipt) => (Some(receipt), None),
        Err(error) => (None, Some(item_status(error))),
    };
    Ok(EncodedOutcome { receipt, error })
}

/// Why a batch was not recorded.
fn of_batch(error: AppendError) -> CallError {
    if let AppendError::Refused { item, violations } = error {
        return CallError::Refused(in_request(&Path::Item(item), &violations));
    }
    error.into()
}

/// The one that was asked for.
fn only(accepted: Vec<Accepted>) -> Result<Accepted, CallError> {
    // The ledger answers each submission; if it does not, it has stopped in between.
    accepted
        .into_iter()
        .next()
        .ok_or(CallError::Append(AppendError::Stopped))
}
