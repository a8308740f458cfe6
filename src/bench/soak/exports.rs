//! Exports: some while others write, over the server; the last from the data directory, when the server is stopped.
//! Each is verified as an auditor would, who has kept the newest checkpoint from before.

use std::{
    fs,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use tokio::runtime::Handle;
use tonic::{Status, transport::Channel};

use super::{
    Load,
    book::Kept,
    door::{Kind, within_patience},
};
use crate::{
    bench::callers::by,
    ledger::{self, Options},
    note::VerifierKey,
    pb::{self, ledger_service_client::LedgerServiceClient},
    verify::{self, ExportWriter, Report, verify_directory},
};

/// The log is exported so often while others write, at the same distance: also when the server is killed, half-way.
const EXPORTS: u32 = 8;

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_millis(50);

/// What an export is counted as.
pub(super) const VERIFIED: &str = "exports verified";

const AUDITOR: &str = "auditor";

/// Exports the log every now and then. It verifies on a thread of its own, beside those that wait for their turns.
pub(super) fn now_and_then(load: &Arc<Load>, home: &Path, duration: Duration, runtime: &Handle) {
    let start = Instant::now();
    for number in 1..EXPORTS {
        while start.elapsed() < duration * number / EXPORTS {
            if !load.door.is_open() {
                return;
            }
            thread::sleep(LOOK);
        }
        let dir = home.join(format!("export-{number}"));
        let since = load.book.newest().note;
        if !runtime.block_on(fetch(load, &dir)) {
            continue;
        }
        match verified(&dir, load.book.key(), since) {
            Ok(_) => load.door.count(VERIFIED, 1),
            Err(error) => load.refuse(&error),
        }
        if let Err(error) = fs::remove_dir_all(&dir) {
            load.refuse(&error.into());
        }
    }
}

/// Fetches the log from the server, again and again until it is there; whether it is.
async fn fetch(load: &Load, dir: &Path) -> bool {
    while let Some((entered, channel)) = load.door.enter() {
        let Err(error) = try_to_fetch(channel, dir, load.book.key()).await else {
            load.door.count("ListEntries", 1);
            return true;
        };
        let Some(status) = error.downcast_ref::<Status>() else {
            load.refuse(&error);
            return false;
        };
        if !load.door.excuses(entered, "ListEntries", status).await {
            return false;
        }
        // What there is of it; where nothing is, there is nothing to remove.
        drop(fs::remove_dir_all(dir));
    }
    false
}

async fn try_to_fetch(channel: Channel, dir: &Path, key: &VerifierKey) -> anyhow::Result<()> {
    let mut client = LedgerServiceClient::new(channel);
    let newest = client.get_checkpoint(by(AUDITOR, pb::GetCheckpointRequest {}));
    let newest = within_patience(newest).await?.into_inner();
    let request = pb::ListEntriesRequest {
        start: 0,
        end: newest.tree_size,
    };
    let entries = within_patience(client.list_entries(by(AUDITOR, request))).await?;
    let mut entries = entries.into_inner();
    let mut export = ExportWriter::create(dir)?;
    let mut next = 0;
    while let Some(entry) = within_patience(entries.message()).await? {
        let index = entry.index;
        ensure!(index == next, "entry {index} came instead of entry {next}");
        export.append(&entry.entry)?;
        next += 1;
    }
    export.finish(&newest.checkpoint, key)?;
    Ok(())
}

/// Exports the log of a server that is stopped, verifies it, and holds it against all that was promised.
pub(super) fn last(load: &Load, data: &Path, dir: &Path) -> anyhow::Result<Kept> {
    ledger::export_directory(&Options::new(data), dir, &|_, _| {})
        .context("the log cannot be exported")?;
    let report = verified(dir, load.book.key(), load.book.newest().note)?;
    load.book.compare(dir, report.checkpoint.size)
}

/// What an auditor finds who has kept this checkpoint.
fn verified(dir: &Path, key: &VerifierKey, since: String) -> anyhow::Result<Report> {
    let options = verify::Options {
        key: key.clone(),
        since: Some(since),
    };
    let report = verify_directory(dir, &options, &|_, _| {});
    report.context("an export is refused")
}

impl Load {
    fn refuse(&self, error: &anyhow::Error) {
        self.door.wrong(Kind::Export, format_args!("{error:#}"));
    }
}
