//! `Record`, unary, many callers: durable, with receipt and proof, against a handler that answers the
//! same bytes and does nothing.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use prost::Message as _;
use tokio_stream::Empty;
use tonic::{
    Request, Response, Status, Streaming, async_trait,
    transport::{Channel, Server, server::TcpIncoming},
};

use super::{
    Bench, Row,
    callers::{Served, connect, record_batch, whole},
    figures::{last, ratios},
    ledgers::administration,
    row::Aim,
};
use crate::{
    pb::{
        self,
        recording_service_client::RecordingServiceClient,
        recording_service_server::{RecordingService, RecordingServiceServer},
    },
    service::{EncodedOutcome, EncodedReceipt, EncodedReceipts},
};

const CALLERS: usize = 512;

/// About as many as a commit has when so many callers are answered.
const COMMIT: u64 = 256;

/// Answers with a receipt that it was given, and does nothing.
struct NoOp {
    answer: Arc<Mutex<Answer>>,
}

/// What is answered, until it is set anew.
type Answer = Arc<pb::Receipt>;

#[async_trait]
impl RecordingService for NoOp {
    async fn record(
        &self,
        _: Request<pb::RecordRequest>,
    ) -> Result<Response<EncodedReceipt>, Status> {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let receipt = Arc::clone(&answer);
        drop(answer);
        Ok(Response::new(EncodedReceipt {
            receipt: Some(receipt.encode_to_vec().into()),
        }))
    }

    async fn record_batch(
        &self,
        _: Request<pb::RecordBatchRequest>,
    ) -> Result<Response<EncodedReceipts>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    type RecordStreamStream = Empty<Result<EncodedOutcome, Status>>;

    async fn record_stream(
        &self,
        _: Request<Streaming<pb::RecordStreamRequest>>,
    ) -> Result<Response<Self::RecordStreamStream>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("unary")?;
    let product = Served::new(&home.join("ledger"))?;
    let answer = Arc::<Mutex<Answer>>::default();
    let no_op = product.runtime.block_on(serve_no_op(&answer))?;
    let load = bench.effort.load;
    let rounds = bench.rounds(|| {
        let receipt = product.runtime.block_on(usual_receipt(&product))?;
        *answer.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(receipt);
        let ceiling = product.load_other(&no_op, CALLERS, load)?;
        Ok((ceiling.rate, product.load(CALLERS, load)?.rate))
    })?;
    drop(no_op);
    product.end()?;
    let (ceiling, reached) = last(&rounds);
    let what = format!("{CALLERS} callers: {reached:.0}/s, no-op handler {ceiling:.0}/s");
    Ok(vec![Row::ratio(
        "unary",
        ratios(&rounds),
        Aim::AtLeast(0.6),
        what,
    )])
}

/// A receipt as long as the product's are as it stands: of an entry amid a commit, as a proof is shorter for the last.
async fn usual_receipt(product: &Served) -> anyhow::Result<pb::Receipt> {
    let mut client = RecordingServiceClient::new(product.channel()?);
    let records = product.fresh(COMMIT).map(administration);
    let answered = client.record_batch(record_batch(records.map(whole)));
    let answered = answered.await?.into_inner();
    let middle = answered.receipts.len() / 2;
    let receipt = answered.receipts.into_iter().nth(middle);
    receipt.context("no receipt")
}

/// Connections to a server that answers what it is given.
async fn serve_no_op(answer: &Arc<Mutex<Answer>>) -> anyhow::Result<Vec<Channel>> {
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let addr = listener.local_addr()?;
    let answer = Arc::clone(answer);
    let service = RecordingServiceServer::new(NoOp { answer });
    let serving = Server::builder().add_service(service);
    // Sent at once, as the product's answers are and any server's by default.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // It ends with the runtime.
    drop(tokio::spawn(serving.serve_with_incoming(incoming)));
    connect(addr).await
}
