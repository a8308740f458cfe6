//! `genetrail check`: a receipt, offline.

use std::{fs::File, io::Read as _, path::PathBuf};

use anyhow::{Context as _, bail};

use super::{Outcome, keys, receipt, say};
use crate::note::TlogProof;

/// An entry of 65,535 bytes in base64, 64 hashes and the largest note that is read: with room to spare.
const RECEIPT_BYTES_MAX: u64 = 2 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The receipt: a C2SP tlog-proof@v1 with the entry in it.
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// The log's verifier key, or the file that holds it. Not from whoever handed the receipt over.
    #[arg(long, value_name = "VKEY|FILE")]
    key: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let key = keys::verifier_key(&arguments.key)?;
    let shown = arguments.receipt.display();
    let mut bytes = Vec::new();
    File::open(&arguments.receipt)
        .and_then(|file| file.take(RECEIPT_BYTES_MAX).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the receipt {shown}"))?;
    let text = String::from_utf8_lossy(&bytes);

    let proof = match TlogProof::parse(&text) {
        Ok(proof) => proof,
        Err(error) => {
            say!(
                "REFUSED: {shown} is not a receipt: {:#}",
                anyhow::Error::from(error)
            )?;
            return Ok(Outcome::No);
        }
    };
    let Some(entry) = &proof.extra else {
        bail!("{shown} proves an entry that it does not hold; ask the ledger for the entry");
    };
    match receipt::check(&proof, entry, &key) {
        Ok(proved) => {
            say!("The receipt holds.\n{proved}")?;
            show_record(proved.entry.record)?;
            Ok(Outcome::Fine)
        }
        Err(error) => {
            say!(
                "REFUSED: the receipt proves nothing: {:#}",
                anyhow::Error::from(error)
            )?;
            Ok(Outcome::No)
        }
    }
}

#[cfg(feature = "server")]
fn show_record(record: &[u8]) -> anyhow::Result<()> {
    match super::record_json::to_json(record) {
        Ok(json) => say!("record       {json}"),
        // It is proved all the same: newer servers may know kinds that this program does not.
        Err(error) => say!("record       {} bytes; {error:#}", record.len()),
    }
}

#[cfg(not(feature = "server"))]
fn show_record(record: &[u8]) -> anyhow::Result<()> {
    say!(
        "record       {} bytes; this program is built without the records' names",
        record.len()
    )
}
