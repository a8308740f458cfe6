//! A server in this process, and the callers that load it: each waits for its answer before it asks again.
//! Client and server share the machine.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{runtime::Runtime, task::JoinSet};
use tonic::{
    Request,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use super::{figures::real_len, ledgers};
use crate::{
    clock::SystemClock,
    ledger::Ledger,
    pb::{self, recording_service_client::RecordingServiceClient, submission::Form},
    server::{self, Running, Settings},
};

/// Connections that callers share.
const CONNECTIONS: usize = 8;

/// A server over a ledger, with connections to it.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) runtime: Runtime,
    pub(super) channels: Vec<Channel>,
    /// The next record's number: no record is sent twice.
    pub(super) numbers: Arc<AtomicU64>,
    running: Running,
}

impl Served {
    /// A server over a new ledger in this directory, which knows what a ledger does before the first patient.
    pub(super) fn new(dir: &Path) -> anyhow::Result<Self> {
        let served = Self::over(ledgers::create(dir)?)?;
        let mut client = RecordingServiceClient::new(served.channel()?);
        let known = ledgers::known().into_iter();
        let recording = client.record_batch(record_batch(known.map(whole)));
        served.runtime.block_on(recording)?;
        Ok(served)
    }

    /// A server over a ledger, which it closes at its end.
    pub(super) fn over(ledger: Ledger) -> anyhow::Result<Self> {
        let runtime = Runtime::new()?;
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            metrics: None,
            ..Settings::default()
        };
        let (running, channels) = runtime.block_on(async {
            let running = server::start(ledger, Arc::new(SystemClock), settings).await?;
            let channels = connect(running.addr).await?;
            anyhow::Ok((running, channels))
        })?;
        Ok(Self {
            runtime,
            channels,
            numbers: Arc::default(),
            running,
        })
    }

    /// One of the connections.
    pub(super) fn channel(&self) -> anyhow::Result<Channel> {
        self.channels.first().cloned().context("no connection")
    }

    /// What so many callers get, who record one administration after the other.
    pub(super) fn load(&self, callers: usize, duration: Duration) -> anyhow::Result<Answered> {
        self.load_other(&self.channels, callers, duration)
    }

    /// The same of another server, at these connections.
    pub(super) fn load_other(
        &self,
        channels: &[Channel],
        callers: usize,
        duration: Duration,
    ) -> anyhow::Result<Answered> {
        let callers = channels.iter().cycle().take(callers);
        let callers = callers.map(|channel| Recorder {
            client: RecordingServiceClient::new(channel.clone()),
            numbers: Arc::clone(&self.numbers),
        });
        self.runtime.block_on(Answered::to(callers, duration))
    }

    /// The numbers of records that nobody has sent yet.
    pub(super) fn fresh(&self, count: u64) -> std::ops::Range<u64> {
        let first = self.numbers.fetch_add(count, Ordering::Relaxed);
        first..first + count
    }

    /// Ends the server, and waits for that.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let Self {
            runtime,
            channels,
            numbers: _,
            mut running,
        } = self;
        drop(channels);
        running.shut_down();
        runtime.block_on(running.ended())?;
        Ok(())
    }
}

/// Connections to a server.
pub(super) async fn connect(addr: SocketAddr) -> anyhow::Result<Vec<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}"))?;
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(endpoint.connect().await?);
    }
    Ok(channels)
}

/// The request of a caller who is known by this name.
pub(super) fn by<T>(actor: &'static str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let actor = MetadataValue::from_static(actor);
    request.metadata_mut().insert("genetrail-actor", actor);
    request
}

/// A record that its author has not signed.
pub(super) fn submission(form: Form) -> pb::Submission {
    pb::Submission {
        form: Some(form),
        author: None,
    }
}

/// A record that is sent as the message that it is.
pub(super) fn whole(record: pb::Record) -> pb::Submission {
    submission(Form::Record(Box::new(record)))
}

/// Asks to record the administration of this number.
pub(super) fn record(number: u64) -> Request<pb::RecordRequest> {
    let record = ledgers::administration(number);
    by(
        ledgers::ACTOR,
        pb::RecordRequest {
            submission: Some(whole(record)),
            validate_only: false,
        },
    )
}

/// Asks to record these, all or none.
pub(super) fn record_batch(
    submissions: impl Iterator<Item = pb::Submission>,
) -> Request<pb::RecordBatchRequest> {
    by(
        ledgers::ACTOR,
        pb::RecordBatchRequest {
            submissions: submissions.collect(),
            validate_only: false,
        },
    )
}

/// Somebody who asks, and waits for the answer.
pub(super) trait Caller: Send + 'static {
    /// Has one more record recorded, durably.
    fn ask(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// A caller of the product, or of what stands in its place.
struct Recorder {
    client: RecordingServiceClient<Channel>,
    numbers: Arc<AtomicU64>,
}

impl Caller for Recorder {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.client.record(record(number)).await?;
        Ok(())
    }
}

/// What callers were answered.
#[derive(Debug)]
pub(super) struct Answered {
    /// Answers a second.
    pub(super) rate: f64,
    /// How long each waited, in order.
    pub(super) waits: Vec<Duration>,
}

impl Answered {
    /// What these callers get, each of whom asks again as soon as it is answered.
    ///
    /// They begin together, and are counted from a tenth of the time on, when they have spread.
    pub(super) async fn to(
        callers: impl Iterator<Item = impl Caller>,
        duration: Duration,
    ) -> anyhow::Result<Self> {
        let from = Instant::now() + duration / 10;
        let to = from + duration;
        let mut tasks = JoinSet::new();
        for mut caller in callers {
            tasks.spawn(async move {
                let (mut waits, mut counted) = (Vec::new(), 0_usize);
                loop {
                    let began = Instant::now();
                    if to <= began {
                        return anyhow::Ok((waits, counted));
                    }
                    caller.ask().await?;
                    let ended = Instant::now();
                    if from <= ended && ended < to {
                        counted += 1;
                    }
                    if from <= began {
                        waits.push(ended - began);
                    }
                }
            });
        }
        let mut waits = Vec::new();
        let mut counted = 0;
        while let Some(ended) = tasks.join_next().await {
            let (more, ended_in_time) = ended.context("a caller panicked")??;
            waits.extend(more);
            counted += ended_in_time;
        }
        waits.sort_unstable();
        let rate = real_len(counted) / duration.as_secs_f64();
        Ok(Self { rate, waits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_administration_is_flagged_for_what_is_known_of_no_patient_and_for_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let served = Served::new(&dir.path().join("ledger")).unwrap();
        let mut client = RecordingServiceClient::new(served.channel().unwrap());
        let receipt = served.runtime.block_on(client.record(record(7))).unwrap();
        let flags = receipt.into_inner().receipt.unwrap().flags;
        let codes: Vec<&str> = flags.iter().map(|flag| flag.code.as_str()).collect();
        let of_nobody = [
            "UNKNOWN_PATIENT",
            "DANGLING",
            "UNKNOWN_LOT",
            "NO_VALID_CONSENT",
        ];
        assert_eq!(codes, of_nobody);
        served.end().unwrap();
    }
}
