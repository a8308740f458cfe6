//! Product and peer in turn, with the same promise on either side: one record in a call and a transaction; many on
//! their way, each of them answered by itself; many in one transaction, all or none.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prost::Message as _;
use tonic::transport::Channel;

use super::super::{
    Bench, Row,
    callers::{Answered, Caller, Served, record_batch, submission},
    figures::{last, ratios, real_len},
    ledgers,
    row::Aim,
    stream::STREAMS,
};
use crate::{
    pb::{recording_service_client::RecordingServiceClient, submission::Form},
    record::format::parse_uuid,
};

/// Callers who record one after the other, of either side.
pub(super) const CALLERS: usize = 64;

/// Records of a transaction where many are taken together: as many as the product allows.
pub(super) const BATCH: usize = 1_000;

/// What is measured beside the product: records a second, for so long.
pub(super) trait Peer: Sized {
    /// What it is called, with its settings.
    const NAME: &'static str;

    /// Sets it up in this directory. Where that fails, it is not measured, and the error says why.
    fn start(dir: &Path) -> anyhow::Result<Self>;

    /// With [`CALLERS`] who wait for each answer; a record in a transaction.
    fn unary(&mut self, load: Duration) -> anyhow::Result<f64>;

    /// With [`STREAMS`] connections on which many are on their way; a record in a transaction.
    fn stream(&mut self, load: Duration) -> anyhow::Result<f64>;

    /// With [`STREAMS`] callers; [`BATCH`] in a transaction.
    fn batch(&mut self, load: Duration) -> anyhow::Result<f64>;

    /// Whether it has done what it is measured for: each row has the hash of the one before.
    fn check(&mut self) -> anyhow::Result<()>;
}

/// A record as the peer keeps it: its id, and its bytes.
pub(super) type Recorded = (Vec<u8>, Vec<u8>);

/// The same administration that the product takes.
pub(super) fn recorded(number: u64) -> Recorded {
    let record = ledgers::administration(number);
    let id = parse_uuid(&record.record_id).unwrap_or_default();
    (id.to_vec(), record.encode_to_vec())
}

/// A record in a call.
pub(super) fn unary<P: Peer>(bench: &Bench, name: &'static str, aim: f64) -> anyhow::Result<Row> {
    let load = bench.effort.load;
    let how = format!("{CALLERS} callers, a record in a transaction");
    measure::<P>(
        bench,
        (name, aim, how),
        |product| Ok(product.load(CALLERS, load)?.rate),
        |peer| peer.unary(load),
    )
}

/// Many records on their way, each answered by itself.
pub(super) fn stream<P: Peer>(bench: &Bench, name: &'static str, aim: f64) -> anyhow::Result<Row> {
    let load = bench.effort.load;
    let how = format!("{STREAMS} streams, each record answered by itself");
    measure::<P>(
        bench,
        (name, aim, how),
        |product| Ok(product.stream_for(load)?.0),
        |peer| peer.stream(load),
    )
}

/// Many records at once, all or none.
pub(super) fn batch<P: Peer>(bench: &Bench, name: &'static str, aim: f64) -> anyhow::Result<Row> {
    let load = bench.effort.load;
    let how = format!("{STREAMS} callers, {BATCH} records in a transaction");
    measure::<P>(
        bench,
        (name, aim, how),
        |product| product.batch(load),
        |peer| peer.batch(load),
    )
}

fn measure<P: Peer>(
    bench: &Bench,
    (name, aim, how): (&'static str, f64, String),
    of_product: impl Fn(&Served) -> anyhow::Result<f64>,
    of_peer: impl Fn(&mut P) -> anyhow::Result<f64>,
) -> anyhow::Result<Row> {
    let home = bench.scratch(name)?;
    let mut peer = match P::start(&home.join("peer")) {
        Ok(peer) => peer,
        Err(error) => return Ok(Row::skipped(name, format!("{error:#}"))),
    };
    let product = Served::new(&home.join("ledger"))?;
    let rounds = bench.rounds(|| Ok((of_peer(&mut peer)?, of_product(&product)?)))?;
    product.end()?;
    peer.check()?;
    let (peer, rate) = last(&rounds);
    let what = format!("{how}: {rate:.0}/s, {} {peer:.0}/s", P::NAME);
    Ok(Row::ratio(name, ratios(&rounds), Aim::AtLeast(aim), what))
}

impl Served {
    /// Records a second, all or none of a batch.
    fn batch(&self, load: Duration) -> anyhow::Result<f64> {
        let callers = self.channels.iter().cycle().take(STREAMS);
        let callers = callers.map(|channel| Batcher {
            client: RecordingServiceClient::new(channel.clone()),
            numbers: Arc::clone(&self.numbers),
        });
        let answered = self.runtime.block_on(Answered::to(callers, load))?;
        Ok(answered.rate * real_len(BATCH))
    }
}

/// A caller who records many at once.
struct Batcher {
    client: RecordingServiceClient<Channel>,
    numbers: Arc<AtomicU64>,
}

impl Caller for Batcher {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let count = u64::try_from(BATCH)?;
        let first = self.numbers.fetch_add(count, Ordering::Relaxed);
        let records = (first..first + count).map(|number| recorded(number).1);
        let records = records.map(|bytes| submission(Form::Encoded(bytes)));
        self.client.record_batch(record_batch(records)).await?;
        Ok(())
    }
}
