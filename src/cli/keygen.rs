//! `genetrail keygen`: an Ed25519 key for an author, a witness or a log.

use std::path::PathBuf;

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Hex, Outcome, keys, say};
use crate::{
    note::{KeyName, NoteSigner, Origin},
    rules::keys::{author_key_id, sign_possession},
};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to write the private key (PKCS #8 in PEM); never overwrites.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print the verifier key (C2SP vkey) under this name as well.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print the proof of possession that a log of this origin asks for when the key is registered.
    #[arg(long, value_name = "ORIGIN")]
    register_at: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments {
        out,
        name,
        register_at,
    } = arguments;
    let name = match name {
        Some(name) => {
            Some(KeyName::parse(name).context("a key's name has no spaces and no plus sign")?)
        }
        None => None,
    };
    let origin = match register_at {
        Some(origin) => Some(Origin::parse(origin).context("this cannot be the origin of a log")?),
        None => None,
    };
    let key = keys::generate()?;
    keys::create(out, &key)?;

    let public = key.verifying_key();
    say!("private key  {} (keep it secret)", out.display())?;
    say!("public key   {}", BASE64_STANDARD.encode(public.as_bytes()))?;
    say!("key id       {}", Hex(&author_key_id(&public)))?;
    if let Some(origin) = origin {
        let possession = sign_possession(&key, origin.as_str());
        say!("possession   {}", BASE64_STANDARD.encode(possession))?;
    }
    if let Some(name) = name {
        say!("vkey         {}", NoteSigner::new(name, key).vkey())?;
    }
    Ok(Outcome::Fine)
}
