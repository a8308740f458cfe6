//! `genetrail record`: one record, signed by its author if asked. The receipt is checked before it is
//! kept, so that what lies in the drawer for thirty years is worth it.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use ed25519_dalek::SigningKey;

use super::{
    Outcome,
    client::{self, Connection, Server},
    complain, keys, receipt,
    record_json::{self, EncodedRecord},
    rejection::{Meaning, Rejection},
    say,
};
use crate::{
    note::{TlogProof, VerifierKey},
    pb::{self, submission::Form},
    rules::keys::{author_key_id, sign_record},
    tlog::{Hash, Index},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The record in proto3 JSON, or - for standard input.
    #[arg(value_name = "FILE.json")]
    file: PathBuf,
    /// Sign the record with this author's key.
    #[arg(long, value_name = "KEY.pem")]
    sign: Option<PathBuf>,
    /// The log's verifier key, or the file that holds it. Without it, the server is asked and believed.
    #[arg(long, value_name = "VKEY|FILE")]
    key: Option<String>,
    /// Where to keep the receipt; by default RECORD-ID.tlog-proof here.
    #[arg(long, value_name = "OUT")]
    receipt: Option<PathBuf>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let json = read(&arguments.file)?;
    let (record, nameless) = record_json::parse_or_name(&json)
        .with_context(|| format!("cannot use {}", arguments.file.display()))?;
    if nameless {
        complain(format_args!(
            "The record has no recordId, so it was given {}. Write it into the file before you send \
             the file again: without it, the same fact would be recorded twice.",
            record.record_id
        ));
    }
    let author = arguments.sign.as_deref().map(keys::read).transpose()?;
    let key = arguments
        .key
        .as_deref()
        .map(keys::verifier_key)
        .transpose()?;
    arguments
        .server
        .call(|connection| submit(arguments, connection, &record, author.as_ref(), key))
}

async fn submit(
    arguments: &Arguments,
    connection: Connection,
    record: &EncodedRecord,
    author: Option<&SigningKey>,
    key: Option<VerifierKey>,
) -> anyhow::Result<Outcome> {
    let key = match key {
        Some(key) => key,
        None => key_of_server(connection.clone()).await?,
    };
    let request = pb::RecordRequest {
        submission: Some(submission(
            record.bytes.clone(),
            author,
            key.name().as_str(),
        )),
        validate_only: false,
    };
    let answer = match client::recording(connection).record(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => {
            let rejection = Rejection::from(&status);
            if rejection.meaning() != Meaning::No {
                return Err(rejection.into());
            }
            complain(format_args!("REFUSED: {rejection}"));
            return Ok(Outcome::No);
        }
    };
    let receipt = answer
        .receipt
        .context("the server answered without a receipt")?;
    let out = arguments.receipt.clone();
    let out = out.unwrap_or_else(|| PathBuf::from(format!("{}.tlog-proof", record.record_id)));
    keep(&receipt, record, &key, &out)
}

/// Checks the receipt, writes it, and says what is in it.
fn keep(
    receipt: &pb::Receipt,
    record: &EncodedRecord,
    key: &VerifierKey,
    out: &Path,
) -> anyhow::Result<Outcome> {
    let proof = proof_of(receipt)?;
    let proved = receipt::check(&proof, &receipt.entry, key).context(
        "the server's receipt proves nothing; keep it apart, and tell whoever audits the log",
    )?;
    ensure!(
        proved.entry.record == record.bytes,
        "the server's receipt is for another record; tell whoever audits the log"
    );
    fs::write(out, proof.encode()).with_context(|| {
        let shown = out.display();
        format!(
            "recorded at index {}, but {shown} cannot be written; send the record again",
            receipt.index
        )
    })?;
    say!("recorded   index {}", proved.entry.index)?;
    say!("leaf hash  {}", proved.leaf)?;
    for flag in &receipt.flags {
        say!("flag       {}", shown(flag))?;
    }
    say!("receipt    {}", out.display())?;
    Ok(Outcome::Fine)
}

/// A submission of exactly these bytes.
pub(super) fn submission(
    record: Vec<u8>,
    author: Option<&SigningKey>,
    origin: &str,
) -> pb::Submission {
    let author = author.map(|key| pb::Author {
        key_id: author_key_id(&key.verifying_key()).to_vec(),
        signature: sign_record(key, origin, &record).to_vec(),
    });
    pb::Submission {
        form: Some(Form::Encoded(record)),
        author,
    }
}

/// The receipt as a proof that can be kept in a file.
pub(super) fn proof_of(receipt: &pb::Receipt) -> anyhow::Result<TlogProof> {
    let hashes = receipt
        .inclusion_proof
        .iter()
        .map(|hash| Hash::from_slice(hash));
    Ok(TlogProof {
        extra: Some(receipt.entry.to_vec()),
        index: Index::new(receipt.index),
        hashes: hashes
            .collect::<Result<_, _>>()
            .context("the server's proof is malformed")?,
        checkpoint: receipt.checkpoint.clone(),
    })
}

/// The verifier key that a server says is its log's. It is believed: whoever knows better gives `--key`.
pub(super) async fn key_of_server(connection: Connection) -> anyhow::Result<VerifierKey> {
    let answer = client::ledger(connection)
        .get_checkpoint(pb::GetCheckpointRequest {})
        .await;
    let answer = answer
        .map_err(|status| client::failed(&status))?
        .into_inner();
    VerifierKey::parse(&answer.verifier_key).context("the server's verifier key is malformed")
}

/// A flag on one line.
pub(super) fn shown(flag: &pb::Flag) -> String {
    let severity = match flag.severity() {
        pb::Severity::Unspecified => "",
        pb::Severity::Info => "INFO",
        pb::Severity::Deviation => "DEVIATION",
        pb::Severity::Critical => "CRITICAL",
    };
    let pb::Flag {
        code,
        severity: _,
        field,
        text,
    } = flag;
    format!("{severity} {code} {field}: {text}")
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut json = String::new();
        io::stdin()
            .read_to_string(&mut json)
            .context("cannot read standard input")?;
        return Ok(json);
    }
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
