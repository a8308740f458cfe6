//! `genetrail serve`: opens a ledger and serves it until told to stop.

use std::{
    io::{self, IsTerminal as _},
    net::SocketAddr,
    sync::Arc,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    EnvFilter, fmt::MakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::{
    Outcome, keys,
    local::{self, Place},
    say,
};
use crate::{
    clock::{Clock, SystemClock},
    server::{self, Settings},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Where to take calls: a loopback address, for callers are not authenticated. Port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7410")]
    listen: SocketAddr,
    /// Where to show the metrics, at /metrics: a loopback address.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7411")]
    metrics: SocketAddr,
    /// Show no metrics.
    #[arg(long, conflicts_with = "metrics")]
    no_metrics: bool,
    /// The verifier key of a witness whose cosignatures are kept, or its file. May be repeated.
    #[arg(long, value_name = "VKEY|FILE")]
    witness: Vec<String>,
    /// How many MiB must stay free on the disks; below that, nothing more is recorded.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..1 << 40))]
    reserve_mib: u64,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let witnesses = arguments.witness.iter().map(|key| keys::verifier_key(key));
    let settings = Settings {
        listen: arguments.listen,
        metrics: (!arguments.no_metrics).then_some(arguments.metrics),
        witnesses: witnesses.collect::<anyhow::Result<_>>()?,
        ..Settings::default()
    };
    let mut options = arguments.place.options();
    options.reserve_bytes = arguments.reserve_mib << 20;

    log_to(io::stderr, io::stderr().is_terminal())?;
    let ledger = local::open(&options)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let runtime = tokio::runtime::Runtime::new().context("cannot start")?;
    runtime.block_on(async {
        let told = told_to_stop()?;
        let mut running = server::start(ledger, clock, settings).await?;
        say!("listening on {}", running.addr)?;
        tokio::select! {
            ended = running.ended() => ended?,
            () = told => {
                running.shut_down();
                running.ended().await?;
            }
        }
        Ok(Outcome::Fine)
    })
}

/// Waits until the process is told to stop, by a supervisor or from the keyboard.
pub(super) fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Logs for people on a terminal, and one JSON object a line for everything else. `RUST_LOG` says how much.
fn log_to<W>(writer: W, is_terminal: bool) -> anyhow::Result<()>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env()
        .context("RUST_LOG is not a filter")?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(filter);
    if is_terminal {
        registry.with(lines).try_init().context("cannot log")
    } else {
        registry.with(lines.json()).try_init().context("cannot log")
    }
}
