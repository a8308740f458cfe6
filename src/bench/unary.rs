//! `Record`, unary, many callers: durable, with receipt and proof, against a handler that answers the
//! same bytes and does nothing.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio_stream::Empty;
use tonic::{
    Request, Response, Status, Streaming, async_trait,
    transport::{Channel, Server, server::TcpIncoming},
};

use super::{
    Bench, Row,
    callers::{Served, connect, record},
    figures::{last, ratios},
    row::Aim,
};
use crate::pb::{
    self,
    recording_service_client::RecordingServiceClient,
    recording_service_server::{RecordingService, RecordingServiceServer},
};

const CALLERS: usize = 512;

/// Answers with a receipt that it was given, and does nothing.
struct NoOp {
    receipt: pb::Receipt,
}

#[async_trait]
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

pub(super) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("unary")?;
    let product = Served::new(&home.join("ledger"))?;
    let no_op = product.runtime.block_on(serve_no_op(&product))?;
    let load = bench.effort.load;
    let rounds = bench.rounds(|| {
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

/// Connections to a server that answers what the product answered once.
async fn serve_no_op(product: &Served) -> anyhow::Result<Vec<Channel>> {
    let mut client = RecordingServiceClient::new(product.channel()?);
    let number = product.fresh(1).start;
    let answer = client.record(record(number)).await?;
    let receipt = answer.into_inner().receipt.context("no receipt")?;

    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let addr = listener.local_addr()?;
    let service = RecordingServiceServer::new(NoOp { receipt });
    let serving = Server::builder().add_service(service);
    // Sent at once, as the product's answers are and any server's by default.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // It ends with the runtime.
    drop(tokio::spawn(serving.serve_with_incoming(incoming)));
    connect(addr).await
}
