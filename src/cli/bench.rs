//! `genetrail bench`: what measurements need. `generate` writes a population that never was, as a file of records
//! or straight into a new ledger, each record at its own time.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use indicatif::ProgressBar;
use prost::Message as _;

use super::{Outcome, init, keys, local, progress, record_json, say};
use crate::{
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

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Write the records of an invented population, over fifteen years, in the order of their times.
    Generate(Arguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How many patients.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    patients: u64,
    /// Where chance comes from: the same seed and number of patients give the same records.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    to: To,
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

pub(super) fn run(command: &Command) -> anyhow::Result<Outcome> {
    let Command::Generate(arguments) = command;
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
