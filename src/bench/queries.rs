//! What questions cost, asked over gRPC of ledgers with invented populations: the first page of the reconsent list
//! at many patients against few, the trace of a lot that went to many against one that went to few, and the
//! schedule of a patient of whom much is recorded.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use anyhow::{Context as _, ensure};

use super::{
    Bench, Row,
    callers::{Served, by},
    figures::{last, ratios},
    ledgers,
    row::{Aim, Unit},
};
use crate::{
    pb::{
        self, GetScheduleRequest, ListReconsentRequest, TraceLotRequest,
        consent_service_client::ConsentServiceClient,
        follow_up_service_client::FollowUpServiceClient, record::Kind, trace_lot_request::Root,
        trace_service_client::TraceServiceClient,
    },
    population::{self, Programme},
    rules::fact::LotId,
};

/// In the larger ledger in which a lot is traced there are so many times the patients of the smaller.
const TRACE_TIMES: u64 = 10;

/// Records of the patient whose schedule is asked for.
const RECORDS: usize = 200;

/// The last day of the population.
const AS_OF: &str = "2025-01-03";

/// Who asks.
const COORDINATOR: &str = "coordinator";

/// Times that a question is asked in a round; a schedule more often, since CPU is counted in steps of 10 ms.
const ASKED: u32 = 5;
const SCHEDULES: u32 = 500;
const CPU_STEP_SECONDS: f64 = 0.01;

/// The first page of the reconsent list.
pub(super) fn reconsent(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("reconsent")?;
    let (few, many) = (bench.effort.patients_few, bench.effort.patients);
    let small = Asked::over(&home.join("few"), population(few).filter(is_told_once))?;
    let large = Asked::over(&home.join("many"), population(many).filter(is_told_once))?;
    let first = (
        small.seconds(1, Asked::first_page)?,
        large.seconds(1, Asked::first_page)?,
    );
    let rounds = bench.rounds(|| {
        let seconds = small.seconds(ASKED, Asked::first_page)?;
        Ok((seconds, large.seconds(ASKED, Asked::first_page)?))
    })?;
    small.served.end()?;
    large.served.end()?;
    let (small, large) = last(&rounds);
    let what = format!(
        "first page of {many} patients in {:.1} ms, of {few} in {:.1} ms; the first time in {:.0} and {:.0} ms",
        large * 1e3,
        small * 1e3,
        first.1 * 1e3,
        first.0 * 1e3,
    );
    Ok(vec![Row::ratio(
        "reconsent",
        ratios(&rounds),
        Aim::AtMost(2.0),
        what,
    )])
}

/// The trace of the lot that went to most patients, for each administration in the answer.
pub(super) fn trace(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("trace")?;
    let few = bench.effort.patients_few;
    let small = Traced::over(&home.join("few"), few)?;
    let large = Traced::over(&home.join("more"), few * TRACE_TIMES)?;
    let rounds = bench.rounds(|| Ok((small.seconds_for_one()?, large.seconds_for_one()?)))?;
    let given = (small.given, large.given);
    small.asked.served.end()?;
    large.asked.served.end()?;
    let one = last(&rounds);
    let what = format!(
        "{:.0} us for each of {} administrations, {:.0} us for each of {}",
        one.1 * 1e6,
        given.1,
        one.0 * 1e6,
        given.0,
    );
    Ok(vec![Row::ratio(
        "trace",
        ratios(&rounds),
        Aim::AtMost(1.5),
        what,
    )])
}

/// The schedule of a patient with many records: milliseconds of CPU, of the client and the transport as well.
pub(super) fn schedule(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let home = bench.scratch("schedule")?;
    let mut records: Vec<pb::Record> = population(bench.effort.patients_few).collect();
    let patient = prolong(&mut records)?;
    let asked = Asked::over(&home.join("ledger"), records.into_iter())?;
    let ask = |asked: &Asked| asked.schedule(&patient);
    ask(&asked)?;
    let mut elapsed = 0.0;
    let rounds = bench.rounds(|| {
        let before = cpu_seconds()?;
        elapsed = asked.seconds(SCHEDULES, ask)?;
        Ok((cpu_seconds()? - before) / f64::from(SCHEDULES) * 1e3)
    })?;
    asked.served.end()?;
    let what = format!(
        "CPU for GetSchedule of a patient with {RECORDS} records; answered in {:.2} ms",
        elapsed * 1e3
    );
    let aim = Aim::AtMost(1.0);
    Ok(vec![Row::measured(
        "schedule",
        rounds,
        Unit::Milliseconds,
        aim,
        what,
    )])
}

/// The records of an invented population, in the order of their days.
pub(super) fn population(patients: u64) -> impl Iterator<Item = pb::Record> {
    let programme = Programme { seed: 1, patients };
    population::records(programme).map(|recorded| recorded.record)
}

/// Whether a record is not one of the many of follow-up, two thirds of all, nor a correction, which may be of one:
/// without them, a million patients fit on a disk.
fn is_told_once(record: &pb::Record) -> bool {
    !matches!(
        record.kind,
        Some(
            Kind::SampleCollected(_)
                | Kind::SampleEvent(_)
                | Kind::AssayResult(_)
                | Kind::FollowUpVisit(_)
                | Kind::FollowUpContact(_)
                | Kind::Correction(_)
        )
    )
}

/// Counts how often each lot went into another or to a patient.
fn count_uses(record: &pb::Record, uses: &mut BTreeMap<LotId, u64>) {
    let Some(Kind::Transformation(step)) = &record.kind else {
        return;
    };
    for input in &step.inputs {
        if let Some(pb::item::What::Lot(lot)) = &input.what {
            *uses.entry(lot.into()).or_default() += 1;
        }
    }
}

/// Tells more of the patient of whom most is told, and returns the pseudonym: the samples, results and visits again
/// and again, each under ids of their own.
fn prolong(records: &mut Vec<pb::Record>) -> anyhow::Result<String> {
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records.iter().filter(|record| !record.patient.is_empty()) {
        *told.entry(&record.patient).or_default() += 1;
    }
    let most = told.into_iter().max_by_key(|(_, count)| *count);
    let (patient, count) = most
        .map(|(patient, count)| (patient.to_owned(), count))
        .context("nothing is told of a patient")?;
    let again = records.iter().filter(|record| {
        let is_followed = matches!(
            record.kind,
            Some(Kind::SampleCollected(_) | Kind::AssayResult(_) | Kind::FollowUpVisit(_))
        );
        record.patient == patient && is_followed
    });
    let again: Vec<pb::Record> = again.cloned().collect();
    for (number, record) in (0_u64..).zip(again.iter().cycle().take(RECORDS.saturating_sub(count)))
    {
        let mut record = record.clone();
        record.record_id = ledgers::uuid(number);
        let suffix = format!("-{}", usize::try_from(number)? / again.len());
        match &mut record.kind {
            Some(Kind::SampleCollected(sample)) => sample.sample_id += &suffix,
            Some(Kind::AssayResult(result)) => result.sample_id += &suffix,
            _ => {}
        }
        records.push(record);
    }
    Ok(patient)
}

/// The CPU time of this process so far.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("the system does not tell")?;
    let (_, fields) = stat.rsplit_once(") ").context("the system does not tell")?;
    // utime and stime are the 14th and the 15th; the name was the second.
    let mut steps = 0.0;
    for field in fields.split(' ').skip(11).take(2) {
        steps += field.parse::<f64>()?;
    }
    Ok(steps * CPU_STEP_SECONDS)
}

/// A server over a ledger that questions are asked of.
struct Asked {
    served: Served,
}

impl Asked {
    /// A server over a new ledger with these records.
    fn over(dir: &Path, records: impl Iterator<Item = pb::Record>) -> anyhow::Result<Self> {
        let ledger = ledgers::create(dir)?;
        let submissions = records.map(|record| ledgers::submission_of(&record));
        ledgers::fill(&ledger, submissions)?;
        let served = Served::over(ledger)?;
        Ok(Self { served })
    }

    /// The seconds that a question takes, asked so many times.
    fn seconds(
        &self,
        times: u32,
        ask: impl Fn(&Self) -> anyhow::Result<()>,
    ) -> anyhow::Result<f64> {
        let start = Instant::now();
        for _ in 0..times {
            ask(self)?;
        }
        Ok(start.elapsed().as_secs_f64() / f64::from(times))
    }

    fn first_page(&self) -> anyhow::Result<()> {
        let mut client = ConsentServiceClient::new(self.served.channel()?);
        let request = ListReconsentRequest {
            question: Some(question()),
            ..ListReconsentRequest::default()
        };
        let page = client.list_reconsent(by(COORDINATOR, request));
        let page = self.served.runtime.block_on(page)?.into_inner();
        ensure!(!page.rows.is_empty(), "nobody is asked for consent again");
        Ok(())
    }

    /// How many administrations the trace of a lot names, on all its pages.
    fn administrations(&self, LotId { gtin, lot }: &LotId) -> anyhow::Result<u32> {
        let mut client = TraceServiceClient::new(self.served.channel()?);
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
            let page = client.trace_lot(by(COORDINATOR, request.clone()));
            let page = self.served.runtime.block_on(page)?.into_inner();
            count += page.administrations.len();
            if page.next_page_token.is_empty() {
                return Ok(u32::try_from(count)?);
            }
            request.page_token = page.next_page_token;
        }
    }

    fn schedule(&self, patient: &str) -> anyhow::Result<()> {
        let mut client = FollowUpServiceClient::new(self.served.channel()?);
        let request = GetScheduleRequest {
            question: Some(question()),
            patient: patient.to_owned(),
        };
        let schedule = client.get_schedule(by(COORDINATOR, request));
        let schedule = self.served.runtime.block_on(schedule)?.into_inner();
        ensure!(!schedule.planned.is_empty(), "nothing is planned");
        Ok(())
    }
}

/// A population, the lot of it that went to most patients, and to how many.
struct Traced {
    asked: Asked,
    lot: LotId,
    given: u32,
}

impl Traced {
    fn over(dir: &Path, patients: u64) -> anyhow::Result<Self> {
        let mut uses = BTreeMap::new();
        let records = population(patients).inspect(|record| count_uses(record, &mut uses));
        let asked = Asked::over(dir, records)?;
        let most = uses.into_iter().max_by_key(|(_, uses)| *uses);
        let (lot, _) = most.context("no lot was used")?;
        let given = asked.administrations(&lot)?;
        ensure!(0 < given, "of {patients} patients, none was given anything");
        Ok(Self { asked, lot, given })
    }

    /// What the trace takes for each administration in it.
    fn seconds_for_one(&self) -> anyhow::Result<f64> {
        let trace = |asked: &Asked| asked.administrations(&self.lot).map(|_| ());
        Ok(self.asked.seconds(ASKED, trace)? / f64::from(self.given))
    }
}

fn question() -> pb::Question {
    pb::Question {
        as_of: AS_OF.to_owned(),
        ..pb::Question::default()
    }
}
