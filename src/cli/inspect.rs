//! `genetrail checkpoint` and `genetrail prove`: what somebody else needs in order to check the log, from
//! a server or from a data directory.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, ensure};

use super::{
    Outcome,
    client::{self, Connection, Server},
    local::{self, Apart},
    say,
};
use crate::{
    ledger::Options,
    note::{Checkpoint, Note, TlogProof},
    pb::{self, get_entry_request::Key},
    tlog::{Hash, Index},
};

/// Where to read the log: a data directory, or a server.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// The ledger's data directory. For all but `export`, no server may have it open.
    #[arg(
        long,
        value_name = "LEDGER",
        required_unless_present = "server",
        conflicts_with = "server"
    )]
    data: Option<PathBuf>,
    #[command(flatten)]
    apart: Apart,
    /// The server.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// As whom to call the server.
    #[arg(long, value_name = "NAME", requires = "server")]
    actor: Option<String>,
}

/// One or the other.
pub(super) enum Found {
    Data(Options),
    Server(Server),
}

impl Source {
    pub(super) fn find(&self) -> anyhow::Result<Found> {
        match (&self.data, &self.server) {
            (Some(data), _) => Ok(Found::Data(self.apart.options(data))),
            (None, server) => {
                let url = server.clone().context("give --data or --server")?;
                Ok(Found::Server(Server {
                    url,
                    actor: self.actor.clone(),
                }))
            }
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct CheckpointArguments {
    #[command(flatten)]
    source: Source,
}

#[derive(Debug, clap::Args)]
pub(super) struct ProveArguments {
    /// The entry's index.
    #[arg(value_name = "INDEX")]
    index: u64,
    #[command(flatten)]
    source: Source,
    /// Where to write the proof; by default to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn checkpoint(arguments: &CheckpointArguments) -> anyhow::Result<Outcome> {
    let note = match arguments.source.find()? {
        Found::Data(options) => {
            let ledger = local::open(&options)?;
            let note = ledger.published().note().to_owned();
            ledger.close();
            note
        }
        Found::Server(server) => server.call(newest)?.checkpoint,
    };
    say!("{}", note.trim_end_matches('\n'))?;
    Ok(Outcome::Fine)
}

/// The newest checkpoint of a server.
pub(super) async fn newest(connection: Connection) -> anyhow::Result<pb::GetCheckpointResponse> {
    let answer = client::ledger(connection)
        .get_checkpoint(pb::GetCheckpointRequest {})
        .await;
    Ok(answer
        .map_err(|status| client::failed(&status))?
        .into_inner())
}

pub(super) fn prove(arguments: &ProveArguments) -> anyhow::Result<Outcome> {
    let index = Index::new(arguments.index);
    let proof = match arguments.source.find()? {
        Found::Data(options) => prove_from_data(&options, index)?,
        Found::Server(server) => server.call(|connection| prove_from_server(connection, index))?,
    };
    let proof = proof.encode();
    match &arguments.out {
        Some(out) => {
            let written = fs::write(out, proof);
            written.with_context(|| format!("cannot write {}", out.display()))?;
        }
        None => say!("{}", proof.trim_end_matches('\n'))?,
    }
    Ok(Outcome::Fine)
}

fn prove_from_data(options: &Options, index: Index) -> anyhow::Result<TlogProof> {
    let ledger = local::open(options)?;
    let published = ledger.published();
    let size = published.size();
    ensure!(
        index.value() < size.value(),
        "there is no entry {index}: the tree size is {size}"
    );
    let proof = TlogProof {
        extra: Some(ledger.entry(index)?),
        index,
        hashes: ledger.prove_inclusion(&published, index, size)?,
        checkpoint: published.note().to_owned(),
    };
    ledger.close();
    Ok(proof)
}

async fn prove_from_server(connection: Connection, index: Index) -> anyhow::Result<TlogProof> {
    let mut client = client::ledger(connection);
    let request = pb::GetEntryRequest {
        key: Some(Key::Index(index.value())),
    };
    let entry = client
        .get_entry(request)
        .await
        .map_err(|status| client::failed(&status))?;
    let request = pb::ProveInclusionRequest {
        index: index.value(),
        tree_size: 0,
    };
    let proof = client
        .prove_inclusion(request)
        .await
        .map_err(|status| client::failed(&status))?;
    let pb::ProveInclusionResponse {
        tree_size,
        hashes,
        checkpoint,
        ..
    } = proof.into_inner();

    let note = Note::parse(&checkpoint).context("the server's checkpoint is malformed")?;
    let signed = Checkpoint::parse(note.text()).context("the server's checkpoint is malformed")?;
    let size = signed.size;
    ensure!(
        size.value() == tree_size,
        "the server's proof is for size {tree_size}, its checkpoint for {size}"
    );
    let hashes = hashes.iter().map(|hash| Hash::from_slice(hash));
    Ok(TlogProof {
        extra: Some(entry.into_inner().entry),
        index,
        hashes: hashes
            .collect::<Result<_, _>>()
            .context("the server's proof is malformed")?,
        checkpoint,
    })
}
