//! `Record`, unary, many callers: durable, with receipt and proof, against a handler that answers the
//! same bytes and does nothing. Client and server share the machine, in both.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use genetrail::{
    clock::SystemClock,
    pb::{
        self,
        recording_service_client::RecordingServiceClient,
        recording_service_server::{RecordingService, RecordingServiceServer},
    },
    server::{self, Settings},
};
use tokio_stream::Empty;
use tonic::{
    Request, Response, Status, Streaming,
    metadata::MetadataValue,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

use crate::{Aim, Effort, Row, ledgers};

const CALLERS: u64 = 512;

/// Connections that the callers share.
const CONNECTIONS: usize = 8;

/// Answers with a receipt that it was given, and does nothing.
struct NoOp {
    receipt: pb::Receipt,
}

#[tonic::async_trait]
impl RecordingService for NoOp {
    async fn record(
        &self,
        _: Request<pb::RecordRequest>,
    ) -> Result<Response<pb::RecordResponse>, Status> {
        Ok(Response::new(pb::RecordResponse {
            receipt: Some(self.receipt.clone()),
        }))
    }

    async fn record_batch(
        &self,
        _: Request<pb::RecordBatchRequest>,
    ) -> Result<Response<pb::RecordBatchResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    type RecordStreamStream = Empty<Result<pb::RecordStreamResponse, Status>>;

    async fn record_stream(
        &self,
        _: Request<Streaming<pb::RecordStreamRequest>>,
    ) -> Result<Response<Self::RecordStreamStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

pub(crate) fn measure(effort: Effort) -> Row {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("ledger");
    ledgers::create(&dir);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            metrics: None,
            ..Settings::default()
        };
        let ledger = ledgers::open(&dir);
        let mut product = server::start(ledger, Arc::new(SystemClock), settings)
            .await
            .unwrap();
        let numbers = Arc::new(AtomicU64::new(0));
        let channels = connect(product.addr).await;
        let one = request(numbers.fetch_add(1, Ordering::Relaxed));
        let answer = RecordingServiceClient::new(channels[0].clone())
            .record(one)
            .await
            .unwrap();
        let receipt = answer.into_inner().receipt.unwrap();
        let no_op = connect(serve_no_op(receipt).await).await;

        let mut rounds = Vec::new();
        for _ in 0..effort.rounds {
            let ceiling = load(&no_op, &numbers, effort.load).await;
            rounds.push((ceiling, load(&channels, &numbers, effort.load).await));
        }
        drop((channels, no_op));
        product.shut_down();
        product.ended().await.unwrap();
        let (ceiling, reached) = rounds.last().copied().unwrap_or_default();
        Row {
            name: "unary",
            what: format!("{CALLERS} callers: {reached:.0}/s, no-op handler {ceiling:.0}/s"),
            ratios: rounds
                .into_iter()
                .map(|(ceiling, reached)| reached / ceiling)
                .collect(),
            aim: Aim::AtLeast(0.4),
        }
    })
}

async fn serve_no_op(receipt: pb::Receipt) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let service = RecordingServiceServer::new(NoOp { receipt });
    let serving = Server::builder().add_service(service);
    // Sent at once, as the product's answers are and any server's by default.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // It ends with the runtime.
    drop(tokio::spawn(serving.serve_with_incoming(incoming)));
    addr
}

async fn connect(addr: SocketAddr) -> Vec<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).unwrap();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(endpoint.connect().await.unwrap());
    }
    channels
}

fn request(number: u64) -> Request<pb::RecordRequest> {
    let record = ledgers::administration(number);
    let mut request = Request::new(pb::RecordRequest {
        submission: Some(pb::Submission {
            form: Some(pb::submission::Form::Record(record)),
            author: None,
        }),
        validate_only: false,
    });
    let actor = MetadataValue::from_static("ward-1");
    request.metadata_mut().insert("genetrail-actor", actor);
    request
}

/// Answers a second, over `duration`, with every caller waiting for its answer before the next.
async fn load(channels: &[Channel], numbers: &Arc<AtomicU64>, duration: Duration) -> f64 {
    let (stop, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut callers = Vec::new();
    for (_, channel) in (0..CALLERS).zip(channels.iter().cycle()) {
        let mut client = RecordingServiceClient::new(channel.clone());
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        let numbers = Arc::clone(numbers);
        callers.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                client.record(request(number)).await.unwrap();
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let start = Instant::now();
    tokio::time::sleep(duration).await;
    let count = answered.load(Ordering::Relaxed);
    let seconds = start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    f64::from(u32::try_from(count).unwrap()) / seconds
}
