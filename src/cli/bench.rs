//! `genetrail bench`: measures the product, and makes what measurements need. `generate` writes a population that
//! never was, as a file of records or straight into a new ledger, each record at its own time.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use indicatif::ProgressBar;
use prost::Message as _;

use super::{Hex, Outcome, complain, init, keys, local, progress, random, record_json, say};
use crate::{
    bench::{self, Bench, Effort, Row, Soaked},
    clock::SettableClock,
    ledger::{Ledger, Options, Submission},
    population::{self, Programme, Recorded},
    record::format::parse_uuid,
    rules::keys::event_time,
    views::Posts,
};

/// The origin of a ledger that is generated.
const ORIGIN: &str = "population.example/trail";
/// Who submits what nobody in particular does.
const ADMINISTRATOR: &str = "administrator";
/// Records that are committed at once, of one day: what the service allows in a batch.
const BATCH_RECORDS_MAX: usize = 1_000;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write the records of an invented population, over fifteen years, in the order of their times.
    Generate(Generate),
    /// Keep a server under mixed load, kill it half-way, start it again, and see whether it kept its promises.
    Soak(Soak),
    /// Fill a new ledger with so many records, and tell what that took.
    #[command(hide = true)]
    Grow {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        #[arg(value_name = "ENTRIES", value_parser = clap::value_parser!(u64).range(1..))]
        entries: u64,
    },
}

/// What is measured, and how much.
#[derive(Debug, clap::Args)]
struct Measure {
    /// In two minutes instead of half an hour: smaller ledgers, fewer rounds.
    #[arg(long)]
    quick: bool,
    /// Print an array of objects instead of a table.
    #[arg(long)]
    json: bool,
    /// Draw two plots in this directory: by callers, and by the ledger's size.
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Entries of the large ledger.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    entries: Option<u64>,
    /// Patients of the large population.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    patients: Option<u64>,
    /// How long each load lasts, in milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
    load_ms: Option<u64>,
    /// Where the ledgers are made that are measured; the system's temporary directory by default.
    #[arg(long, value_name = "DIR")]
    within: Option<PathBuf>,
    /// The rows to measure; all of them by default.
    #[arg(value_name = "ROW", value_parser = PossibleValuesParser::new(bench::names()))]
    rows: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Generate {
    /// How many patients.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    patients: u64,
    /// Where chance comes from: the same seed and number of patients give the same records.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    to: To,
}

#[derive(Debug, clap::Args)]
struct Soak {
    /// For how long.
    #[arg(long, value_name = "MINUTES", default_value = "20", value_parser = minutes)]
    minutes: Duration,
    /// Print an array of objects instead of a table.
    #[arg(long)]
    json: bool,
    /// Where the ledger is made; the system's temporary directory by default.
    #[arg(long, value_name = "DIR")]
    within: Option<PathBuf>,
}

/// Where the records go.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To a file of records, one in proto3 JSON on each line, as `genetrail import` takes it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Into a new ledger in this data directory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    match &arguments.command {
        None => measure(&arguments.measure),
        Some(Command::Generate(arguments)) => generate(arguments),
        Some(Command::Soak(arguments)) => soak(arguments),
        Some(Command::Grow { dir, entries }) => {
            local::make_sled_sync();
            say!("{}", bench::grow(dir, *entries)?)?;
            Ok(Outcome::Fine)
        }
    }
}

impl Measure {
    fn effort(&self) -> Effort {
        let effort = if self.quick {
            Effort::QUICK
        } else {
            Effort::FULL
        };
        let effort = match self.entries {
            Some(entries) => effort.with_entries(entries),
            None => effort,
        };
        let effort = match self.patients {
            Some(patients) => effort.with_patients(patients),
            None => effort,
        };
        match self.load_ms {
            Some(load_ms) => Effort {
                load: Duration::from_millis(load_ms),
                ..effort
            },
            None => effort,
        }
    }
}

/// A place to measure in.
fn bench(effort: Effort, within: Option<&Path>) -> anyhow::Result<Bench> {
    // Before any thread starts, as the server does.
    local::make_sled_sync();
    let within = within.map_or_else(std::env::temp_dir, Path::to_owned);
    let home = within.join(format!("genetrail-bench-{}", Hex(&random::<4>()?)));
    Bench::new(effort, home)
}

fn measure(arguments: &Measure) -> anyhow::Result<Outcome> {
    let bench = bench(arguments.effort(), arguments.within.as_deref())?;
    let is_asked_for =
        |name: &&str| arguments.rows.is_empty() || arguments.rows.iter().any(|row| row == name);
    if !arguments.json {
        say!("{}", bench.machine()?)?;
    }
    let bar = progress::naming();
    let mut rows = Vec::new();
    for name in bench::names().filter(is_asked_for) {
        bar.set_message(name);
        for row in bench.measure(name)? {
            if !arguments.json {
                bar.suspend(|| say!("{row}"))?;
            }
            rows.push(row.json());
        }
    }
    if let Some(dir) = &arguments.plot {
        bar.set_message("plots");
        for file in bench::plot(&bench, dir)? {
            bar.suspend(|| complain(format_args!("drawn: {}", file.display())));
        }
    }
    bar.finish_and_clear();
    if arguments.json {
        say!("{}", serde_json::Value::Array(rows))?;
    }
    Ok(Outcome::Fine)
}

/// So many minutes: a few seconds at the least, a day at the most.
fn minutes(typed: &str) -> anyhow::Result<Duration> {
    let minutes: f64 = typed.parse()?;
    ensure!(
        (0.05..=1_440.0).contains(&minutes),
        "from 0.05 minutes to 1440"
    );
    Ok(Duration::from_secs_f64(minutes * 60.0))
}

fn soak(arguments: &Soak) -> anyhow::Result<Outcome> {
    let bench = bench(Effort::QUICK, arguments.within.as_deref())?;
    if !arguments.json {
        say!("{}", bench.machine()?)?;
    }
    let bar = progress::naming();
    let soaked = bench.soak(arguments.minutes, &|how| bar.set_message(how));
    bar.finish_and_clear();
    let Soaked { rows, wrong } = soaked?;
    for wrong in wrong {
        complain(format_args!("{wrong}"));
    }
    if arguments.json {
        let rows = rows.iter().map(Row::json).collect();
        say!("{}", serde_json::Value::Array(rows))?;
    } else {
        for row in &rows {
            say!("{row}")?;
        }
    }
    let is_met = rows.iter().all(Row::is_met);
    Ok(if is_met { Outcome::Fine } else { Outcome::No })
}

fn generate(arguments: &Generate) -> anyhow::Result<Outcome> {
    let programme = Programme {
        seed: arguments.seed,
        patients: arguments.patients,
    };
    let bar = progress::endless("records");
    let records = population::records(programme);
    let written = match (&arguments.to.out, &arguments.to.data) {
        (Some(file), _) => write(records, file, &bar)?,
        (None, Some(data)) => load(records, data, &bar)?,
        (None, None) => 0,
    };
    bar.finish_and_clear();
    say!("{written} records of {} patients", arguments.patients)?;
    Ok(Outcome::Fine)
}

/// Writes the records to a file.
fn write(
    records: impl Iterator<Item = Recorded>,
    path: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<u64> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut file = BufWriter::new(file);
    let mut written = 0;
    for Recorded { record, .. } in records {
        let line = record_json::to_json_line("genetrail.v1.Record", &record.encode_to_vec())?;
        writeln!(file, "{line}").with_context(|| format!("cannot write {}", path.display()))?;
        written += 1;
        bar.inc(1);
    }
    file.flush()
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(written)
}

/// Takes the records into a new ledger, under a clock that shows their times.
fn load(
    records: impl Iterator<Item = Recorded>,
    data: &Path,
    bar: &ProgressBar,
) -> anyhow::Result<u64> {
    let mut records = records.peekable();
    let start = records.peek().context("there are no records")?.at;
    let ledger = Loader::create(data, start)?;
    let mut written = 0;
    let mut batch: Vec<Recorded> = Vec::new();
    for recorded in records {
        let is_over = batch.last().is_some_and(|last| {
            last.at.date_naive() < recorded.at.date_naive() || BATCH_RECORDS_MAX <= batch.len()
        });
        if is_over {
            ledger.commit(&batch)?;
            bar.inc(u64::try_from(batch.len())?);
            batch.clear();
        }
        batch.push(recorded);
        written += 1;
    }
    ledger.commit(&batch)?;
    ledger.close();
    Ok(written)
}

/// A ledger that is being filled.
struct Loader {
    ledger: Ledger,
    clock: Arc<SettableClock>,
    runtime: tokio::runtime::Runtime,
}

impl Loader {
    fn create(data: &Path, start: DateTime<Utc>) -> anyhow::Result<Self> {
        let options = Options::new(data);
        ensure!(
            !options.dir.join("log.vkey").exists(),
            "there is a ledger in {} already",
            options.dir.display()
        );
        local::make_sled_sync();
        let origin = init::parse_origin(ORIGIN)?;
        init::create(&options, origin, ADMINISTRATOR, &keys::generate()?, start)?;
        let clock = Arc::new(SettableClock::new(start));
        let ledger = local::open_with(&options, Arc::<SettableClock>::clone(&clock))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .context("no runtime")?;
        Ok(Self {
            ledger,
            clock,
            runtime,
        })
    }

    /// Commits records of one day, at the time of the last of them.
    fn commit(&self, batch: &[Recorded]) -> anyhow::Result<()> {
        let Some(last) = batch.last() else {
            return Ok(());
        };
        self.clock.set(last.at);
        let submissions = batch.iter().map(submission);
        let submissions = submissions.collect::<anyhow::Result<Vec<_>>>()?;
        self.runtime
            .block_on(self.ledger.append(submissions))
            .context("the ledger refused a record of the population")?;
        Ok(())
    }

    fn close(self) {
        self.ledger.close();
    }
}

fn submission(recorded: &Recorded) -> anyhow::Result<Submission> {
    let record = &recorded.record;
    let record_id = parse_uuid(&record.record_id).ok();
    Ok(Submission {
        record_id: record_id.context("a record of the population has no id")?,
        record: record.encode_to_vec(),
        actor: record.actor_person.clone(),
        author: None,
        event_time: event_time(record),
        authority: None,
        posts: Posts::of(record),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{pb, record, tlog::Index};

    const FEW: Programme = Programme {
        seed: 11,
        patients: 3,
    };

    #[test]
    fn what_is_written_to_a_file_is_what_import_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("population.ndjson");
        let bar = ProgressBar::hidden();
        let written = write(population::records(FEW), &path, &bar).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), usize::try_from(written).unwrap());
        for (line, recorded) in text.lines().zip(population::records(FEW)) {
            let parsed = record_json::parse(line).unwrap();
            let read = pb::Record::decode(parsed.bytes.as_slice()).unwrap();
            assert_eq!(read, recorded.record);
        }
    }

    #[test]
    fn a_loaded_ledger_has_the_records_at_their_own_days() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let bar = ProgressBar::hidden();
        let few = || population::records(FEW).take(300);
        let written = load(few(), &data, &bar).unwrap();
        assert_eq!(written, 300);
        let ledger = local::open(&Options::new(&data)).unwrap();
        assert_eq!(ledger.published().size().value(), written + 1);
        for (recorded, index) in few().zip(1..) {
            let entry = ledger.entry(Index::new(index)).unwrap();
            let entry = record::entry::EntryView::parse(&entry).unwrap();
            assert_eq!(entry.record, recorded.record.encode_to_vec());
            let day = entry.recorded_at.to_utc().date_naive();
            assert_eq!(day, recorded.at.date_naive());
        }
        ledger.close();
        assert!(
            load(few(), &data, &bar).is_err(),
            "the ledger is there already"
        );
    }
}
