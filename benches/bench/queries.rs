//! What questions cost, asked over gRPC of ledgers with invented populations: the first page of the reconsent list
//! at many patients against few, the trace of a lot that went to many against one that went to few, and the
//! schedule of a patient of whom much is recorded.

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, sync::Arc, time::Instant};

use genetrail::{
    clock::SystemClock,
    pb::{
        self, GetScheduleRequest, ListReconsentRequest, TraceLotRequest,
        consent_service_client::ConsentServiceClient,
        follow_up_service_client::FollowUpServiceClient, record::Kind, trace_lot_request::Root,
        trace_service_client::TraceServiceClient,
    },
    population::{self, Programme},
    server::{self, Running, Settings},
};
use tokio::runtime::Runtime;
use tonic::{
    Request,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

use crate::{Aim, Effort, Row, ledgers};

/// Patients of the small ledger, and of the larger one in which a lot is traced.
const FEW: u64 = 1_000;
const MORE: u64 = 10_000;

/// Records of the patient whose schedule is asked for.
const RECORDS: usize = 200;

/// The last day of the population.
const AS_OF: &str = "2025-01-03";

/// Times that a question is asked in a round; a schedule more often, since CPU is counted in steps of 10 ms.
const ASKED: u32 = 5;
const SCHEDULES: u32 = 500;
const CPU_STEP_SECONDS: f64 = 0.01;

/// The first page of the reconsent list.
pub(crate) fn reconsent(effort: Effort) -> Row {
    let home = tempfile::tempdir().unwrap();
    let few = Server::over(&home.path().join("few"), population(FEW));
    let many = Server::over(&home.path().join("many"), population(effort.patients));
    let first_time = [&few, &many].map(|server| server.seconds(1, Server::first_page));
    let rounds = (0..effort.rounds).map(|_| {
        let [few, many] = [&few, &many].map(|server| server.seconds(ASKED, Server::first_page));
        (few, many)
    });
    let rounds: Vec<(f64, f64)> = rounds.collect();
    few.end();
    many.end();
    let (small, large) = rounds.last().copied().unwrap_or_default();
    Row {
        name: "reconsent",
        what: format!(
            "first page of {} patients in {:.1} ms, of {FEW} in {:.1} ms; the first time in {:.0} and {:.0} ms",
            effort.patients,
            large * 1e3,
            small * 1e3,
            first_time[1] * 1e3,
            first_time[0] * 1e3,
        ),
        ratios: ratios(rounds),
        aim: Aim::AtMost(2.0),
    }
}

/// The trace of the lot that went to most patients, for each administration in the answer.
pub(crate) fn trace(effort: Effort) -> Row {
    let home = tempfile::tempdir().unwrap();
    let [small, large] = [("few", FEW), ("more", MORE)].map(|(name, patients)| {
        let mut uses = BTreeMap::new();
        let records = population(patients).inspect(|record| count_uses(record, &mut uses));
        let server = Server::over(&home.path().join(name), records);
        let (lot, _) = uses.into_iter().max_by_key(|(_, uses)| *uses).unwrap();
        let given = server.administrations(&lot);
        (server, lot, given)
    });
    let seconds_for_one = |(server, lot, given): &(Server, Lot, u32)| {
        let trace = |server: &Server| {
            server.administrations(lot);
        };
        server.seconds(ASKED, trace) / f64::from(*given)
    };
    let rounds = (0..effort.rounds).map(|_| (seconds_for_one(&small), seconds_for_one(&large)));
    let rounds: Vec<(f64, f64)> = rounds.collect();
    let given = (small.2, large.2);
    small.0.end();
    large.0.end();
    let one = rounds.last().copied().unwrap_or_default();
    Row {
        name: "trace",
        what: format!(
            "{:.0} us for each of {} administrations, {:.0} us for each of {}",
            one.1 * 1e6,
            given.1,
            one.0 * 1e6,
            given.0,
        ),
        ratios: ratios(rounds),
        aim: Aim::AtMost(1.5),
    }
}

/// The schedule of a patient with many records: milliseconds of CPU, of the client and the transport as well.
pub(crate) fn schedule(effort: Effort) -> Row {
    let home = tempfile::tempdir().unwrap();
    let mut records: Vec<pb::Record> = population(FEW).collect();
    let patient = prolong(&mut records);
    let server = Server::over(&home.path().join("ledger"), records.into_iter());
    let ask = |server: &Server| server.schedule(&patient);
    ask(&server);
    let mut elapsed = 0.0;
    let rounds = (0..effort.rounds).map(|_| {
        let before = cpu_seconds();
        elapsed = server.seconds(SCHEDULES, ask);
        (cpu_seconds() - before) / f64::from(SCHEDULES) * 1e3
    });
    let ratios: Vec<f64> = rounds.collect();
    server.end();
    Row {
        name: "schedule",
        what: format!(
            "ms of CPU for GetSchedule of a patient with {RECORDS} records; answered in {:.2} ms",
            elapsed * 1e3
        ),
        ratios,
        aim: Aim::AtMost(1.0),
    }
}

fn population(patients: u64) -> impl Iterator<Item = pb::Record> {
    let programme = Programme { seed: 1, patients };
    population::records(programme).map(|recorded| recorded.record)
}

/// A lot, by GTIN and number.
type Lot = (String, String);

/// Counts how often each lot went into another or to a patient.
fn count_uses(record: &pb::Record, uses: &mut BTreeMap<Lot, u64>) {
    let Some(Kind::Transformation(step)) = &record.kind else {
        return;
    };
    for input in &step.inputs {
        if let Some(pb::item::What::Lot(lot)) = &input.what {
            let uses = uses.entry((lot.gtin.clone(), lot.lot.clone()));
            *uses.or_default() += 1;
        }
    }
}

/// Tells more of the patient of whom most is told, and returns the pseudonym: the samples, results and visits again
/// and again, each under ids of their own.
fn prolong(records: &mut Vec<pb::Record>) -> String {
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.iter().filter(|record| !record.patient.is_empty()) {
        *told.entry(&record.patient).or_default() += 1;
    }
    let most = told.into_iter().max_by_key(|(_, count)| *count);
    let (patient, count) = most
        .map(|(patient, count)| (patient.to_owned(), count))
        .unwrap();
    let again = records.iter().filter(|record| {
        let is_followed = matches!(
            record.kind,
            Some(Kind::SampleCollected(_) | Kind::AssayResult(_) | Kind::FollowUpVisit(_))
        );
        record.patient == patient && is_followed
    });
    let again: Vec<pb::Record> = again.cloned().collect();
    for (number, record) in (0_u64..).zip(again.iter().cycle().take(RECORDS - count)) {
        let mut record = record.clone();
        record.record_id = ledgers::uuid(number);
        let suffix = format!("-{}", usize::try_from(number).unwrap() / again.len());
        match &mut record.kind {
            Some(Kind::SampleCollected(sample)) => sample.sample_id += &suffix,
            Some(Kind::AssayResult(result)) => result.sample_id += &suffix,
            _ => {}
        }
        records.push(record);
    }
    patient
}

/// The CPU time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    // utime and stime are the 14th and the 15th; the name was the second.
    let steps = fields.split(' ').skip(11).take(2);
    steps
        .map(|steps| steps.parse::<f64>().unwrap())
        .sum::<f64>()
        * CPU_STEP_SECONDS
}

fn ratios(rounds: Vec<(f64, f64)>) -> Vec<f64> {
    let ratios = rounds.into_iter().map(|(small, large)| large / small);
    ratios.collect()
}

/// A server over a ledger, with a connection to it.
struct Server {
    runtime: Runtime,
    running: Running,
    channel: Channel,
}

impl Server {
    /// A server over a new ledger with these records.
    fn over(dir: &Path, records: impl Iterator<Item = pb::Record>) -> Self {
        ledgers::create(dir);
        let ledger = ledgers::open(dir);
        ledgers::fill(
            &ledger,
            records.map(|record| ledgers::submission_of(&record)),
        );
        let runtime = Runtime::new().unwrap();
        let (running, channel) = runtime.block_on(async {
            let settings = Settings {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                metrics: None,
                ..Settings::default()
            };
            let running = server::start(ledger, Arc::new(SystemClock), settings);
            let running = running.await.unwrap();
            let endpoint = Endpoint::from_shared(format!("http://{}", running.addr)).unwrap();
            (running, endpoint.connect().await.unwrap())
        });
        Self {
            runtime,
            running,
            channel,
        }
    }

    /// The seconds that a question takes, asked so many times.
    fn seconds(&self, times: u32, ask: impl Fn(&Self)) -> f64 {
        let start = Instant::now();
        (0..times).for_each(|_| ask(self));
        start.elapsed().as_secs_f64() / f64::from(times)
    }

    fn first_page(&self) {
        let mut client = ConsentServiceClient::new(self.channel.clone());
        let request = ListReconsentRequest {
            question: Some(question()),
            ..ListReconsentRequest::default()
        };
        let page = self.runtime.block_on(client.list_reconsent(by(request)));
        assert!(!page.unwrap().into_inner().rows.is_empty());
    }

    /// How many administrations the trace of a lot names, on all its pages.
    fn administrations(&self, (gtin, lot): &Lot) -> u32 {
        let mut client = TraceServiceClient::new(self.channel.clone());
        let mut request = TraceLotRequest {
            question: Some(question()),
            root: Some(Root::Lot(pb::LotKey {
                gtin: gtin.clone(),
                lot: lot.clone(),
                ..pb::LotKey::default()
            })),
            ..TraceLotRequest::default()
        };
        let mut count = 0;
        loop {
            let page = self.runtime.block_on(client.trace_lot(by(request.clone())));
            let page = page.unwrap().into_inner();
            count += page.administrations.len();
            if page.next_page_token.is_empty() {
                return u32::try_from(count).unwrap();
            }
            request.page_token = page.next_page_token;
        }
    }

    fn schedule(&self, patient: &str) {
        let mut client = FollowUpServiceClient::new(self.channel.clone());
        let request = GetScheduleRequest {
            question: Some(question()),
            patient: patient.to_owned(),
        };
        let schedule = self.runtime.block_on(client.get_schedule(by(request)));
        assert!(!schedule.unwrap().into_inner().planned.is_empty());
    }

    fn end(mut self) {
        drop(self.channel);
        self.running.shut_down();
        self.runtime.block_on(self.running.ended()).unwrap();
    }
}

fn question() -> pb::Question {
    pb::Question {
        as_of: AS_OF.to_owned(),
        ..pb::Question::default()
    }
}

fn by<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let actor = MetadataValue::from_static("coordinator");
    request.metadata_mut().insert("genetrail-actor", actor);
    request
}
