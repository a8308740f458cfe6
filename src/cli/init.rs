//! `genetrail init`: a new ledger, with its key and entry 0, which names the first administrator.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ed25519_dalek::SigningKey;

use super::{
    Outcome, keys,
    local::{self, Place},
    record_json, say,
};
use crate::{
    clock::{Clock as _, SystemClock},
    ledger::{Ledger, NewLedger, Options},
    note::{NoteSigner, Origin, VerifierKey},
    pb::{self, record::Kind},
    record,
    rules::keys::sign_possession,
};

/// How long the administrator's first key may sign: ten years. It can be replaced at any time.
const ADMINISTRATOR_KEY_DAYS: i64 = 3_652;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The log's name, for ever: by custom a URL without its scheme, such as trail.example.org/car-t.
    #[arg(long, value_name = "NAME")]
    origin: String,
    /// The first administrator's actor id: a pseudonym, never a person's name.
    #[arg(long, value_name = "ACTOR", default_value = "administrator")]
    admin: String,
    /// The administrator's private key; by default a new one is written beside the data directory.
    #[arg(long, value_name = "FILE")]
    admin_key: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let options = arguments.place.options();
    let origin = parse_origin(&arguments.origin)?;
    let administrator = arguments.admin.as_str();
    local::make_sled_sync();

    let now = SystemClock.now();
    let (admin_key, vkey) = if let Some(path) = &arguments.admin_key {
        let key = keys::read(path)?;
        let vkey = create(&options, origin, administrator, &key, now)?;
        (path.clone(), vkey)
    } else {
        create_with_new_key(&options, origin, administrator, now)?
    };
    report(&options, &vkey, administrator, &admin_key)?;
    Ok(Outcome::Fine)
}

/// A log's name.
pub(super) fn parse_origin(origin: &str) -> anyhow::Result<Origin> {
    Origin::parse(origin).context("an origin has no spaces, no plus sign, and at most 255 bytes")
}

/// Creates a ledger whose administrator has this key.
pub(super) fn create(
    options: &Options,
    origin: Origin,
    administrator: &str,
    administrator_key: &SigningKey,
    now: DateTime<Utc>,
) -> anyhow::Result<VerifierKey> {
    let key = keys::generate()?;
    let vkey = NoteSigner::new(origin.key_name().clone(), key.clone()).vkey();
    let genesis = genesis(&origin, &vkey, administrator, administrator_key, now)?;
    let violations = record::check(&genesis, now);
    if let Some(record::Violation {
        field,
        rule,
        remedy,
    }) = violations.first()
    {
        bail!("{field}: {rule}: {remedy}");
    }
    let new = NewLedger {
        origin,
        key,
        genesis,
        actor: administrator.to_owned(),
    };
    Ledger::create(options, new, now, local::entropy()?)
        .with_context(|| format!("cannot create a ledger in {}", options.dir.display()))
}

/// Creates a ledger, and a key for its administrator beside it. Returns the key's file.
pub(super) fn create_with_new_key(
    options: &Options,
    origin: Origin,
    administrator: &str,
    now: DateTime<Utc>,
) -> anyhow::Result<(PathBuf, VerifierKey)> {
    let dir = options.dir.display();
    ensure!(
        !options.dir.join("log.vkey").exists(),
        "there is a ledger in {dir} already"
    );
    let path = beside(&options.dir, ".admin.key");
    let key = keys::generate()?;
    // Before the ledger: a ledger whose administrator's key was never written is of no use.
    keys::create(&path, &key)?;
    match create(options, origin, administrator, &key, now) {
        Ok(vkey) => Ok((path, vkey)),
        Err(error) => {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            Err(error)
        }
    }
}

fn genesis(
    origin: &Origin,
    vkey: &VerifierKey,
    administrator: &str,
    key: &SigningKey,
    now: DateTime<Utc>,
) -> anyhow::Result<pb::Record> {
    let until = now.checked_add_signed(TimeDelta::days(ADMINISTRATOR_KEY_DAYS));
    let written = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let offer = pb::KeyOffer {
        algorithm: pb::KeyAlgorithm::Ed25519.into(),
        public_key: key.verifying_key().to_bytes().to_vec(),
        valid_from: written(now),
        valid_to: written(until.context("the clock is at the end of time")?),
        possession: sign_possession(key, origin.as_str()).to_vec(),
    };
    let genesis = pb::Genesis {
        origin: origin.to_string(),
        ledger_key: vkey.to_string(),
        administrator: administrator.to_owned(),
        administrator_key: Some(offer),
    };
    Ok(pb::Record {
        record_id: record_json::new_record_id()?,
        event_time: written(now),
        kind: Some(Kind::Genesis(genesis)),
        ..pb::Record::default()
    })
}

fn report(
    options: &Options,
    vkey: &VerifierKey,
    administrator: &str,
    admin_key: &Path,
) -> anyhow::Result<()> {
    let dir = options.dir.display();
    say!("{vkey}")?;
    say!("")?;
    say!(
        "Created the ledger {dir}. Its verifier key is the line above (also in {dir}/log.vkey): give it to"
    )?;
    say!("everybody who is to verify the log or a receipt, by a way that nobody can tamper with.")?;
    say!("")?;
    say!("Keep, and keep apart:")?;
    say!("  {dir}/ledger.key  signs for the log: secret, and backed up away from the data")?;
    say!(
        "  {}  signs as {administrator}: move it to where the administrator keeps it",
        admin_key.display()
    )?;
    say!(
        "  {}  the newest checkpoint: betrays an older copy that is put back",
        options.high_water_path().display()
    )?;
    say!(
        "  {}  the second copy of the log: best on another disk",
        options.journal_dir().display()
    )
}

/// The path with something added to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(suffix);
    path.with_file_name(name)
}
