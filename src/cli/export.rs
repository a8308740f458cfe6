//! `genetrail export`: the log as a directory that anybody can verify, from a data directory without a
//! server, or from a server without its disk.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::{
    Outcome,
    client::{self, Connection},
    inspect::{self, Opened, Source},
    local, progress, say,
};
use crate::{
    ledger::Options,
    note::{VerifierKey, open_checkpoint},
    pb,
    tlog::{Index, TreeSize},
    verify::ExportWriter,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The directory to write; empty, or not there yet.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    source: Source,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let dir = &arguments.dir;
    let size = match arguments.source.open()? {
        Opened::Data(options) => from_data(dir, &options)?,
        Opened::Server(connection) => client::wait(from_server(dir, connection))?,
    };
    say!("exported {size} entries to {}", dir.display())?;
    Ok(Outcome::Fine)
}

fn from_data(dir: &Path, options: &Options) -> anyhow::Result<TreeSize> {
    let ledger = local::open(options)?;
    let published = ledger.published();
    let size = published.size();
    let bar = progress::bar(size.value(), "entries");
    let mut export = ExportWriter::create(dir)?;
    for entry in ledger.entries(Index::new(0), size) {
        let (_, entry) = entry?;
        export.append(&entry)?;
        bar.inc(1);
    }
    export.finish(published.note(), ledger.vkey())?;
    bar.finish_and_clear();
    ledger.close();
    Ok(size)
}

pub(super) async fn from_server(dir: &Path, connection: Connection) -> anyhow::Result<TreeSize> {
    let newest = inspect::newest(connection.clone()).await?;
    // Believed here and compared by whoever verifies: `verify` takes its key from elsewhere.
    let key = VerifierKey::parse(&newest.verifier_key).context("the server's key is malformed")?;
    let checkpoint = open_checkpoint(&newest.checkpoint, &key)?;
    let size = checkpoint.size;

    let bar = progress::bar(size.value(), "entries");
    let mut export = ExportWriter::create(dir)?;
    let request = pb::ListEntriesRequest { start: 0, end: size.value() };
    let answer = client::ledger(connection).list_entries(request).await;
    let mut entries = answer.map_err(|status| client::failed(&status))?.into_inner();
    let mut next = 0;
    while let Some(entry) = entries.message().await.map_err(|status| client::failed(&status))? {
        ensure!(entry.index == next, "the server sent entry {}, not entry {next}", entry.index);
        export.append(&entry.entry)?;
        next += 1;
        bar.set_position(next);
    }
    export.finish(&newest.checkpoint, &key)?;
    bar.finish_and_clear();
    Ok(size)
}
