//! The way to a server: the channel, the caller's name, and a runtime to wait on.

use std::time::Duration;

use anyhow::Context as _;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use super::rejection::Rejection;
use crate::pb::{
    consent_service_client::ConsentServiceClient, follow_up_service_client::FollowUpServiceClient,
    ledger_service_client::LedgerServiceClient, recording_service_client::RecordingServiceClient,
    trace_service_client::TraceServiceClient,
};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest answer is a receipt: an entry of 65,535 bytes, its proof and a checkpoint of 1 MB at most.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// A page of 1,000 rows, each with the entries that it stands on: 256 of them, of 50 bytes, are 13 MB.
const PAGE_BYTES_MAX: usize = 16 << 20;

#[derive(Clone, Debug, clap::Args)]
pub(super) struct Server {
    /// The server.
    #[arg(
        long = "server",
        value_name = "URL",
        default_value = "http://127.0.0.1:7410"
    )]
    pub(super) url: String,
    /// As whom to call.
    #[arg(long, value_name = "NAME")]
    pub(super) actor: Option<String>,
}

impl Server {
    /// Does what takes a server, and waits for it.
    pub(super) fn call<T, F>(&self, work: impl FnOnce(Connection) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start")?;
        runtime.block_on(async {
            let connection = call_as(channel(&self.url)?, self.actor.as_deref())?;
            let actor = self.actor.as_deref().unwrap_or("nobody (--actor says who)");
            let called = work(connection).await;
            called.with_context(|| format!("calling {} as {actor}", self.url))
        })
    }
}

/// A channel on which each call says who calls.
pub(super) type Connection = InterceptedService<Channel, Caller>;

/// Puts the caller's name into each call.
#[derive(Clone, Debug)]
pub(super) struct Caller(Option<MetadataValue<Ascii>>);

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(actor) = &self.0 {
            request
                .metadata_mut()
                .insert("genetrail-actor", actor.clone());
        }
        Ok(request)
    }
}

/// A channel that is opened with the first call, and opened again after it broke. Only on a runtime.
pub(super) fn channel(server: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(server.to_owned())
        .with_context(|| format!("{server:?} is not the URL of a server"))?;
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy())
}

/// The channel, with the caller's name in each call.
pub(super) fn call_as(channel: Channel, actor: Option<&str>) -> anyhow::Result<Connection> {
    let actor = actor
        .map(str::parse)
        .transpose()
        .context("an actor's name is printable ASCII")?;
    Ok(InterceptedService::new(channel, Caller(actor)))
}

/// The service that takes records.
pub(super) fn recording(connection: Connection) -> RecordingServiceClient<Connection> {
    RecordingServiceClient::new(connection).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service that shows the log.
pub(super) fn ledger(connection: Connection) -> LedgerServiceClient<Connection> {
    LedgerServiceClient::new(connection).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The service that says where things went.
pub(super) fn trace(connection: Connection) -> TraceServiceClient<Connection> {
    TraceServiceClient::new(connection).max_decoding_message_size(PAGE_BYTES_MAX)
}

/// The service that says who must sign anew.
pub(super) fn consent(connection: Connection) -> ConsentServiceClient<Connection> {
    ConsentServiceClient::new(connection).max_decoding_message_size(PAGE_BYTES_MAX)
}

/// The service that says what follow-up asks for.
pub(super) fn follow_up(connection: Connection) -> FollowUpServiceClient<Connection> {
    FollowUpServiceClient::new(connection).max_decoding_message_size(PAGE_BYTES_MAX)
}

/// An error of a call, for the end of the command.
pub(super) fn failed(status: &Status) -> anyhow::Error {
    Rejection::from(status).into()
}
