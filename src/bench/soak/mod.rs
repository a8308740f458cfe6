//! The soak: a server in a process of its own under mixed load, killed half-way and started again. Its memory must stay
//! flat, no call may fail but around the restart, and what was acknowledged must be in the export at the end.

mod book;
mod door;
mod exports;
mod memory;
mod readers;
mod server;
mod writers;

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::{runtime::Runtime, task::JoinSet, time::timeout};

use super::{
    Bench, Row,
    callers::connect,
    figures::real,
    ledgers,
    row::{Aim, Unit},
};
use crate::pb::{self, record::Kind as RecordKind};
use book::{Book, Kept};
use door::{Door, Kind, PATIENCE};
use memory::Memory;
use server::Server;

/// How often the server's memory is looked at; in a short soak, so many times in all.
const SAMPLE: Duration = Duration::from_secs(1);
const SAMPLES_MIN: u32 = 50;

/// The ledger has this many records for each second of the soak when that begins, half as many as come: the store's
/// cache is filled by a part of them.
const FIRST_RATE: u64 = 500;

/// Those to whom something was administered, of whom questions are asked: the last so many of the story.
const SOMEONE_MAX: usize = 2_000;

/// Of the story, this many records are told in a second at most. A patient has more than so many on the average, though
/// some have two: the story does not end before the soak.
const STORY_RATE: u64 = 400;
const RECORDS_OF_A_PATIENT: u64 = 25;

/// What a soak found.
#[derive(Debug)]
pub(crate) struct Soaked {
    /// What is promised, a row each.
    pub(crate) rows: Vec<Row>,
    /// What went wrong, the first of it.
    pub(crate) wrong: Vec<String>,
}

/// The load, as those see it who are it.
struct Load {
    door: Door,
    book: Book,
    /// The number of the next administration.
    numbers: AtomicU64,
    /// Records that were sent and never acknowledged, because the call failed for good.
    abandoned: AtomicUsize,
    someone: Mutex<VecDeque<(String, pb::LotKey)>>,
}

impl Load {
    /// Takes in the receipt for a record.
    fn take(&self, record_id: &str, receipt: &pb::Receipt) {
        self.check("Record", self.book.take(record_id, receipt));
    }

    /// Counts records that nobody will have a receipt for.
    fn abandon(&self, records: usize) {
        self.abandoned.fetch_add(records, Ordering::Relaxed);
    }

    /// Takes down what is wrong with an answer.
    fn check<T>(&self, what: &str, checked: anyhow::Result<T>) {
        if let Err(error) = checked {
            let what = format_args!("{what}: {error:#}");
            self.door.wrong(Kind::Answer, what);
        }
    }

    /// Takes note of a record of the story that is acknowledged.
    fn told(&self, record: &pb::Record) {
        let Some(RecordKind::Administration(given)) = &record.kind else {
            return;
        };
        let mut someone = self.someone.lock().unwrap_or_else(PoisonError::into_inner);
        let lot = given.lot.clone().unwrap_or_default();
        someone.push_back((record.patient.clone(), lot));
        if SOMEONE_MAX < someone.len() {
            someone.pop_front();
        }
    }

    /// A patient of the story, and the lot that was administered; each in its turn.
    fn someone(&self, turn: usize) -> Option<(String, pb::LotKey)> {
        let someone = self.someone.lock().unwrap_or_else(PoisonError::into_inner);
        let at = turn.checked_rem(someone.len())?;
        someone.get(at).cloned()
    }
}

impl Bench {
    /// Soaks a server for so long, and tells now and then how it goes.
    pub(crate) fn soak(
        &self,
        duration: Duration,
        progress: &dyn Fn(String),
    ) -> anyhow::Result<Soaked> {
        let home = self.scratch("soak")?;
        let data = home.join("ledger");
        progress("the first records".to_owned());
        let ledger = ledgers::create(&data)?;
        let first = duration.as_secs() * FIRST_RATE;
        ledgers::fill(&ledger, ledgers::administrations(0..first))?;
        let book = Book::new(ledger.vkey().clone(), ledger.published().note())?;
        ledger.close();
        let runtime = Runtime::new()?;
        let server = Server::start(&data, &home.join("server-1"))?;
        let load = Arc::new(Load {
            door: Door::new(runtime.block_on(connect(server.addr))?),
            book,
            numbers: AtomicU64::new(first),
            abandoned: AtomicUsize::default(),
            someone: Mutex::default(),
        });
        let mut soak = Soak {
            runtime,
            load,
            server,
            memory: Memory::default(),
            restart: None,
        };
        soak.memory.begin();
        let tasks = soak.begin(duration)?;
        let exporting = {
            let (load, handle) = (Arc::clone(&soak.load), soak.runtime.handle().clone());
            let home = home.dir.clone();
            thread::spawn(move || exports::now_and_then(&load, &home, duration, &handle))
        };
        soak.supervise(&data, &home.join("server-2"), duration, progress)?;
        progress("the last answers".to_owned());
        soak.end(tasks);
        if exporting.join().is_err() {
            soak.load.door.wrong(Kind::Export, "the exporter panicked");
        }
        progress("the last export".to_owned());
        let kept = soak.settle(&data, &home.join("export"));
        Ok(soak.told(kept.as_ref()))
    }
}

/// A soak under way.
struct Soak {
    runtime: Runtime,
    load: Arc<Load>,
    server: Server,
    memory: Memory,
    /// How long the server was away, and how many entries there were.
    restart: Option<(Duration, u64)>,
}

impl Soak {
    /// Begins the load.
    fn begin(&self, duration: Duration) -> anyhow::Result<JoinSet<()>> {
        let _inside = self.runtime.enter();
        let mut tasks = JoinSet::new();
        for _ in 0..writers::CALLERS {
            tasks.spawn(writers::singly(Arc::clone(&self.load)));
        }
        tasks.spawn(writers::in_batches(Arc::clone(&self.load)));
        let patients = (duration.as_secs() * STORY_RATE / RECORDS_OF_A_PATIENT).max(100);
        let story = writers::tell(patients)?;
        tasks.spawn(writers::in_streams(Arc::clone(&self.load), story));
        tasks.spawn(readers::entries(Arc::clone(&self.load)));
        tasks.spawn(readers::inclusion(Arc::clone(&self.load)));
        tasks.spawn(readers::growth(Arc::clone(&self.load)));
        tasks.spawn(readers::questions(Arc::clone(&self.load)));
        Ok(tasks)
    }

    /// Watches the server for so long; half-way, kills it and starts it again.
    fn supervise(
        &mut self,
        data: &Path,
        files: &Path,
        duration: Duration,
        progress: &dyn Fn(String),
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        while start.elapsed() < duration {
            thread::sleep(SAMPLE.min(duration / SAMPLES_MIN));
            if let Some(status) = self.server.ended()? {
                self.lose(format!(
                    "the server ended by itself with {status}: {}",
                    self.server.last_words()
                ));
                return Ok(());
            }
            let size = self.load.book.size();
            if let Ok(bytes) = self.server.memory_bytes() {
                self.memory.take(size, bytes);
                progress(format!("{size} entries, {} MiB", bytes >> 20));
            }
            if self.restart.is_none() && duration / 2 <= start.elapsed() {
                progress(format!("{size} entries, killed"));
                if let Err(error) = self.restart(data, files) {
                    self.lose(format!("the server was killed, and {error:#}"));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn restart(&mut self, data: &Path, files: &Path) -> anyhow::Result<()> {
        self.load.door.begin_restart();
        let start = Instant::now();
        self.server.kill()?;
        let size = self.load.book.size();
        let server = Server::start(data, files)?;
        let channels = self.runtime.block_on(connect(server.addr))?;
        self.load.door.end_restart(channels);
        self.restart = Some((start.elapsed(), size));
        // The killed one's log is whole now.
        self.read_log();
        self.server = server;
        self.memory.begin();
        Ok(())
    }

    /// What the server called an error, is one.
    fn read_log(&self) {
        match self.server.errors() {
            Ok(errors) => {
                for error in errors {
                    self.load.door.wrong(Kind::Error, error);
                }
            }
            Err(error) => self.load.door.wrong(Kind::Error, format_args!("{error:#}")),
        }
    }

    /// The server has ended, and not because it was told to.
    fn lose(&self, what: String) {
        self.load.door.lose();
        self.load.door.wrong(Kind::Error, what);
    }

    /// Waits until everybody has had their last answer.
    fn end(&self, mut tasks: JoinSet<()>) {
        self.load.door.close();
        let ended = self.runtime.block_on(async {
            let last = async {
                while let Some(ended) = tasks.join_next().await {
                    ended.context("a caller panicked")?;
                }
                anyhow::Ok(())
            };
            timeout(PATIENCE * 2, last)
                .await
                .context("a caller hangs")
                .flatten()
        });
        if let Err(error) = ended {
            self.load.door.wrong(Kind::Error, format_args!("{error:#}"));
        }
    }

    /// Stops the server, and looks whether the log has what was promised.
    fn settle(&mut self, data: &Path, export: &Path) -> Option<Kept> {
        let door = &self.load.door;
        if let Err(error) = self.server.stop() {
            door.wrong(Kind::Error, format_args!("{error:#}"));
        }
        self.read_log();
        match exports::last(&self.load, data, export) {
            Ok(kept) => Some(kept),
            Err(error) => {
                door.wrong(Kind::Export, format_args!("{error:#}"));
                None
            }
        }
    }

    /// What was found.
    fn told(&self, kept: Option<&Kept>) -> Soaked {
        let door = &self.load.door;
        let abandoned = self.load.abandoned.load(Ordering::Relaxed);
        let records = match kept {
            None => Row::skipped("soak-records", "the log was not verified".to_owned()),
            Some(kept) => {
                for wrong in kept.wrong(abandoned) {
                    door.wrong(Kind::Record, wrong);
                }
                let acknowledged = self.load.book.acknowledged();
                let what = format!(
                    "{acknowledged} receipts held against {} entries",
                    kept.entries
                );
                none("soak-records", door.times(Kind::Record), what)
            }
        };
        let restart = match self.restart {
            Some((took, size)) => format!(
                "killed at {size} entries and back in {:.1} s; {} calls met that",
                took.as_secs_f64(),
                door.excused()
            ),
            None => "never killed".to_owned(),
        };
        let exports = format!(
            "{} verified while others wrote",
            door.done_of(exports::VERIFIED)
        );
        let rows = vec![
            none("soak-errors", door.times(Kind::Error), restart),
            none("soak-answers", door.times(Kind::Answer), door.done()),
            none("soak-exports", door.times(Kind::Export), exports),
            records,
        ];
        let rows = rows.into_iter().chain(self.memory.rows()).collect();
        Soaked {
            rows,
            wrong: door.told(),
        }
    }
}

/// A row of what must not be.
fn none(name: &'static str, times: u64, what: String) -> Row {
    let times = vec![real(times)];
    Row::measured(name, times, Unit::Count, Aim::AtMost(0.0), what)
}
