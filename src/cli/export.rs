//! `genetrail export`: the log as a directory that anybody can verify, from a data directory without asking
//! a server, or from a server without its disk.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::{
    Outcome,
    client::{self, Connection},
    inspect::{self, Found, Source},
    local, progress, say,
};
use crate::{
    ledger::{self, Options, Survivors},
    note::{VerifierKey, open_checkpoint},
    pb,
    tlog::TreeSize,
    verify::ExportWriter,
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The directory to write; empty, or not there yet.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    source: Source,
    /// Of a ledger of which both copies are damaged: write what can still be read.
    #[arg(long, requires = "data")]
    survivors: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments {
        dir,
        source,
        survivors,
    } = arguments;
    let size = match source.find()? {
        Found::Data(options) if *survivors => return save(dir, &options),
        Found::Data(options) => from_data(dir, &options)?,
        Found::Server(server) => server.call(|connection| from_server(dir, connection))?,
    };
    say!("exported {size} entries to {}", dir.display())?;
    Ok(Outcome::Fine)
}

fn from_data(dir: &Path, options: &Options) -> anyhow::Result<TreeSize> {
    let bar = progress::bar(0, "entries");
    let exported = ledger::export_directory(options, dir, &|done, size| {
        bar.set_length(size);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    exported.with_context(|| {
        let data = options.dir.display();
        format!("cannot export {data}; `genetrail fsck --data {data}` mends what can be mended")
    })
}

/// Takes out of a damaged ledger what can still be read.
fn save(dir: &Path, options: &Options) -> anyhow::Result<Outcome> {
    local::make_sled_sync();
    let Survivors { proved, loose } = ledger::export_survivors(options, dir)?;
    let shown = dir.display();
    say!(
        "{proved} entries, from the first on, are in {shown} under a checkpoint that `verify` can check"
    )?;
    for (first, end) in loose {
        say!(
            "entries {first} up to {end} are in {shown}/survivors: readable, but nothing proves them"
        )?;
    }
    Ok(Outcome::Fine)
}

pub(super) async fn from_server(dir: &Path, connection: Connection) -> anyhow::Result<TreeSize> {
    let newest = inspect::newest(connection.clone()).await?;
    // Believed here and compared by whoever verifies: `verify` takes its key from elsewhere.
    let key = VerifierKey::parse(&newest.verifier_key).context("the server's key is malformed")?;
    let checkpoint = open_checkpoint(&newest.checkpoint, &key)?;
    let size = checkpoint.size;

    let bar = progress::bar(size.value(), "entries");
    let mut export = ExportWriter::create(dir)?;
    let request = pb::ListEntriesRequest {
        start: 0,
        end: size.value(),
    };
    let answer = client::ledger(connection).list_entries(request).await;
    let mut entries = answer
        .map_err(|status| client::failed(&status))?
        .into_inner();
    let mut next = 0;
    while let Some(entry) = entries
        .message()
        .await
        .map_err(|status| client::failed(&status))?
    {
        ensure!(
            entry.index == next,
            "the server sent entry {}, not entry {next}",
            entry.index
        );
        export.append(&entry.entry)?;
        next += 1;
        bar.set_position(next);
    }
    export.finish(&newest.checkpoint, &key)?;
    bar.finish_and_clear();
    Ok(size)
}
