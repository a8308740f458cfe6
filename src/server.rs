//! The server: a ledger, the services over it, and two listeners, from start to end. What the services do
//! is not known here; what every call has is in `service::call`.
//!
//! It ends in two steps. First it takes no more calls and finishes those it has: whatever was taken in is
//! answered. What has not ended after the grace period is cut. Then the ledger is closed. It ends by itself
//! when the ledger has stopped writing, with an error, so that whoever supervises it starts it anew.

mod socket;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, timeout},
};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{
    service::Routes,
    transport::server::{Server as Transport, TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};
use tonic_reflection::server::Builder as Reflection;

use self::socket::Socket;
use crate::{
    clock::Clock,
    ledger::{Ledger, ReadError},
    metrics::{self as counted, CallMetrics, SERVED},
    note::{SignatureType, VerifierKey},
    pb::{
        consent_service_server::ConsentServiceServer,
        follow_up_service_server::FollowUpServiceServer,
        ledger_service_server::LedgerServiceServer,
        recording_service_server::RecordingServiceServer, trace_service_server::TraceServiceServer,
    },
    service::{
        self, Answers, Consent, FollowUp, LEDGER_BYTES_MAX, LedgerReads, RECORDING_BYTES_MAX,
        Recording, Trace, WITNESSES_MAX, Witnesses,
        call::{Calls, Phase, reached},
    },
};

/// Calls on one connection at once: 10,000 idle streams leave room for others beside them.
const CALLS_MAX: u32 = 16_384;

/// The headers of a call: ours are a few hundred bytes.
const HEADER_BYTES_MAX: u32 = 16 << 10;

/// Calls of one connection that are taken back before they are begun: a burst of short deadlines must not
/// cost the other calls their connection.
const RESETS_MAX: usize = 1_024;

/// What a call may send before it is read.
const CALL_WINDOW_BYTES: u32 = 256 << 10;

/// What all calls of a connection together may: calls that are not read, because their callers do not fetch
/// the answers, leave room for others beside them.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// A connection on which nothing comes is asked whether the other side is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long it may take to answer that.
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(20);

/// How long calls that were cut may take to tell their callers so.
const CUT: Duration = Duration::from_secs(2);

/// What was measured is put into its buckets as often.
const UPKEEP: Duration = Duration::from_secs(5);

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where calls are taken; a loopback address. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the metrics are read, at `/metrics`; a loopback address.
    pub metrics: Option<SocketAddr>,
    /// The keys of the witnesses whose cosignatures are kept.
    pub witnesses: Vec<VerifierKey>,
    /// How long calls may take to end after the server was told to.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7_410)),
            metrics: Some(SocketAddr::from(([127, 0, 0, 1], 7_411))),
            witnesses: Vec::new(),
            grace: Duration::from_secs(30),
        }
    }
}

/// Why a server does not start, or has ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can be reached from elsewhere.
    #[error(
        "{addr} is not a loopback address; callers are not authenticated, so listen on 127.0.0.1"
    )]
    NotLoopback {
        /// The address.
        addr: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// More witnesses than cosignatures fit into a note.
    #[error("{have} witnesses are more than {WITNESSES_MAX}")]
    TooManyWitnesses {
        /// How many there are.
        have: usize,
    },
    /// The key makes no cosignatures.
    #[error("the key {key} is not a witness's")]
    NotAWitness {
        /// The key.
        key: Box<VerifierKey>,
    },
    /// The cosignatures that are kept cannot be read.
    #[error("the cosignatures cannot be read")]
    Cosignatures(#[source] ReadError),
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    Entropy(#[source] getrandom::Error),
    /// The metrics cannot be set up.
    #[error("the metrics cannot be set up")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    /// The descriptors that the build wrote are not readable.
    #[error("the descriptors of the services cannot be read")]
    Descriptors(#[from] prost::DecodeError),
    /// Nor by reflection.
    #[error("the descriptors of the services cannot be reflected")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The connections failed.
    #[error("the server failed")]
    Transport(#[from] tonic::transport::Error),
    /// The ledger stopped writing. Start again: opening it finds out what was kept.
    #[error("the ledger has stopped writing; start again to recover")]
    LedgerStopped,
    /// The code panicked.
    #[error("the server panicked")]
    Panicked,
}

/// A server that runs. Dropping it ends it at once; [`Running::shut_down`] lets it finish.
#[derive(Debug)]
pub struct Running {
    /// Where it takes calls.
    pub addr: SocketAddr,
    /// Where its metrics are read.
    pub metrics_addr: Option<SocketAddr>,
    phase: Arc<watch::Sender<Phase>>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Tells the server to take no more calls, to finish those it has, and to end.
    pub fn shut_down(&self) {
        advance(&self.phase, Phase::Draining);
    }

    /// Waits until the server has ended and the ledger is closed.
    ///
    /// # Errors
    /// Where it ended by itself.
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        (&mut self.task).await.unwrap_or(Err(ServeError::Panicked))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts a server over a ledger, which it closes at its end.
///
/// # Errors
/// See [`ServeError`].
pub async fn start(
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    settings: Settings,
) -> Result<Running, ServeError> {
    let Settings {
        listen,
        metrics,
        witnesses,
        grace,
    } = settings;
    check_witnesses(&witnesses)?;
    let listener = Listener::bind(listen).await?;
    let metrics = match metrics {
        None => None,
        Some(addr) => Some(Listener::bind(addr).await?),
    };
    let addr = listener.addr;
    let metrics_addr = metrics.as_ref().map(|metrics| metrics.addr);

    let page = counted::install().map_err(ServeError::Metrics)?;
    let calls = Arc::new(CallMetrics::new(&SERVED)?);
    let seed = getrandom::u32().map_err(ServeError::Entropy)?;
    let (phase, phases) = watch::channel(Phase::Serving);
    let phase = Arc::new(phase);
    let calls = Calls::new(seed, calls, phases.clone());
    let ledger = Arc::new(ledger);
    let witnesses = Witnesses::open(witnesses, &ledger).map_err(ServeError::Cosignatures)?;
    let answers = Answers::new(Arc::clone(&ledger), Arc::clone(&clock));
    let recording = Recording::new(Arc::clone(&ledger), clock, phases.clone());
    let reads = LedgerReads::new(Arc::clone(&ledger), Arc::new(witnesses));

    let consent = Consent::new(answers.clone(), phases.clone());
    let (services, health) = services(recording, reads, answers, consent)?;
    set_health(&health, ServingStatus::Serving).await;
    let end = reached(phases, Phase::Draining);
    let serving = Transport::builder()
        .max_concurrent_streams(CALLS_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_MAX))
        .initial_stream_window_size(CALL_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(HEADER_BYTES_MAX)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
        .layer(calls)
        .add_routes(services)
        .serve_with_incoming_shutdown(listener.incoming(), end);

    let counting = Counting {
        page,
        ledger: Arc::downgrade(&ledger),
        listener: metrics,
    };
    let life = Life {
        ledger,
        health,
        phase: Arc::clone(&phase),
        grace,
    };
    let task = tokio::spawn(async move {
        let mut counting = JoinSet::from_iter([counting.run()]);
        let ended = life.live(serving).await;
        counting.abort_all();
        ended
    });
    let metrics = metrics_addr.map(tracing::field::display);
    tracing::info!(%addr, metrics, "serving");
    Ok(Running {
        addr,
        metrics_addr,
        phase,
        task,
    })
}

fn check_witnesses(witnesses: &[VerifierKey]) -> Result<(), ServeError> {
    let have = witnesses.len();
    if WITNESSES_MAX < have {
        return Err(ServeError::TooManyWitnesses { have });
    }
    let is_witness = |key: &&VerifierKey| key.signature_type() == SignatureType::Cosignature;
    match witnesses.iter().find(|key| !is_witness(key)) {
        Some(key) => Err(ServeError::NotAWitness {
            key: Box::new(key.clone()),
        }),
        None => Ok(()),
    }
}

/// A socket on a loopback address, and which it is.
struct Listener {
    socket: TcpListener,
    addr: SocketAddr,
}

impl Listener {
    async fn bind(addr: SocketAddr) -> Result<Self, ServeError> {
        if !addr.ip().is_loopback() {
            return Err(ServeError::NotLoopback { addr });
        }
        let failed = |cause| ServeError::Listen { addr, cause };
        let socket = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, addr })
    }

    fn incoming(self) -> impl Stream<Item = io::Result<Socket<TcpStream>>> {
        let incoming = TcpIncoming::from(self.socket).with_nodelay(Some(true));
        incoming.map(|accepted| accepted.map(Socket::new))
    }
}

/// All services, and what tells whether they serve.
fn services(
    recording: Recording,
    reads: LedgerReads,
    answers: Answers,
    consent: Consent,
) -> Result<(Routes, HealthReporter), ServeError> {
    let recording = RecordingServiceServer::new(recording);
    let reads = LedgerServiceServer::new(reads);
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = SERVED
        .into_iter()
        .chain([tonic_types::pb::FILE_DESCRIPTOR_SET])
        .fold(
            Reflection::configure(),
            Reflection::register_encoded_file_descriptor_set,
        )
        .build_v1()?;
    let services = Routes::new(recording.max_decoding_message_size(RECORDING_BYTES_MAX))
        .add_service(reads.max_decoding_message_size(LEDGER_BYTES_MAX))
        .add_service(TraceServiceServer::new(Trace::new(answers.clone())))
        .add_service(FollowUpServiceServer::new(FollowUp::new(answers)))
        .add_service(ConsentServiceServer::new(consent))
        .add_service(health)
        .add_service(reflection);
    Ok((services, reporter))
}

/// Phases only go forward.
fn advance(phase: &watch::Sender<Phase>, to: Phase) {
    phase.send_if_modified(|now| {
        let forward = *now < to;
        *now = (*now).max(to);
        forward
    });
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    for service in [
        "",
        "genetrail.v1.RecordingService",
        "genetrail.v1.LedgerService",
        "genetrail.v1.TraceService",
        "genetrail.v1.ConsentService",
        "genetrail.v1.FollowUpService",
    ] {
        health.set_service_status(service, status).await;
    }
}

/// What a server lives by.
struct Life {
    ledger: Arc<Ledger>,
    health: HealthReporter,
    phase: Arc<watch::Sender<Phase>>,
    grace: Duration,
}

impl Life {
    async fn live(
        self,
        serving: impl Future<Output = Result<(), tonic::transport::Error>>,
    ) -> Result<(), ServeError> {
        let Self {
            ledger,
            health,
            phase,
            grace,
        } = self;
        let mut serving = Box::pin(serving);
        let mut served = tokio::select! {
            served = &mut serving => Some(served.map_err(ServeError::from)),
            () = reached(phase.subscribe(), Phase::Draining) => None,
            () = ledger.stopped() => None,
        };
        let stopped = ledger.has_stopped();
        metrics::gauge!("genetrail_stopped").set(if stopped { 1.0 } else { 0.0 });
        set_health(&health, ServingStatus::NotServing).await;
        tracing::info!(stopped, "taking no more calls");

        advance(&phase, Phase::Draining);
        if served.is_none() {
            served = timeout(grace, &mut serving)
                .await
                .ok()
                .map(|served| Ok(served?));
        }
        advance(&phase, Phase::Over);
        if served.is_none() {
            served = timeout(CUT, &mut serving)
                .await
                .ok()
                .map(|served| Ok(served?));
        }
        drop(serving);
        close(ledger).await;
        tracing::info!("ended");
        if stopped {
            Err(ServeError::LedgerStopped)
        } else {
            served.unwrap_or(Ok(()))
        }
    }
}

/// Closes the ledger once no call holds it any more.
async fn close(mut ledger: Arc<Ledger>) {
    let patience = tokio::time::Instant::now() + CUT;
    loop {
        ledger = match Arc::try_unwrap(ledger) {
            Ok(ledger) => return service::blocking(|| ledger.close()).await,
            Err(shared) => shared,
        };
        if patience < tokio::time::Instant::now() {
            tracing::warn!("a call still reads the ledger, which is closed when it ends");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What keeps the metrics, and shows them where it was asked to.
struct Counting {
    page: PrometheusHandle,
    ledger: Weak<Ledger>,
    listener: Option<Listener>,
}

impl Counting {
    async fn run(self) {
        let Self {
            page,
            ledger,
            listener,
        } = self;
        let render = {
            let page = page.clone();
            move || {
                if let Some(ledger) = ledger.upgrade() {
                    set_gauges(&ledger);
                }
                std::future::ready(page.render())
            }
        };
        let upkeep = async move {
            let mut tick = tokio::time::interval(UPKEEP);
            tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tick.tick().await;
                page.run_upkeep();
            }
        };
        let Some(listener) = listener else {
            return upkeep.await;
        };
        let routes = Router::new().route("/metrics", get(render));
        tokio::select! {
            () = upkeep => {}
            served = axum::serve(listener.socket, routes).into_future() => {
                if let Err(error) = served {
                    tracing::error!(%error, "the metrics cannot be read any more");
                }
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; 2^53 entries are far away"
)]
fn set_gauges(ledger: &Ledger) {
    metrics::gauge!("genetrail_tree_size").set(ledger.published().size().value() as f64);
    metrics::gauge!("genetrail_queue_kib").set(ledger.queued_kib() as f64);
    metrics::gauge!("genetrail_stopped").set(if ledger.has_stopped() { 1.0 } else { 0.0 });
}
