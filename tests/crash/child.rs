//! What runs in a process of its own, to be killed, recorded or failed: creates a ledger, loads it, or
//! opens it again and checks it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use ed25519_dalek::SigningKey;
use genetrail::{
    clock::{Clock as _, SystemClock},
    ledger::{
        Accepted, AppendError, Chain, Entropy, Ledger, NewLedger, OpenError, Opened, Options,
        fsck::fsck,
    },
    note::{NoteSigner, Origin, VerifierKey},
    pb,
    rules::keys::sign_possession,
    tlog::{check_inclusion, leaf_hash},
};

use crate::{
    acks::{self, Ack},
    check,
    plan::Batch,
    rng::Rng,
};

/// The name of the log.
const ORIGIN: &str = "crash.test/log";

/// How a child ended, by its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should.
    Done,
    /// It found a promise broken.
    Broken,
    /// The ledger did not open, and said why.
    Refused,
    /// The ledger opened, and stopped when something failed.
    Stopped,
}

impl End {
    /// The exit status.
    pub(crate) fn status(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Broken => 1,
            Self::Refused => 10,
            Self::Stopped => 11,
        }
    }

    /// What an exit status means; `None` for that of a crash.
    pub(crate) fn of(status: i32) -> Option<Self> {
        [Self::Done, Self::Broken, Self::Refused, Self::Stopped]
            .into_iter()
            .find(|end| end.status() == status)
    }
}

/// What a child is told to do.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) data: PathBuf,
    pub(crate) acks: PathBuf,
    /// The run to load.
    pub(crate) run: u32,
    pub(crate) submitters: u16,
    /// Batches for each submitter.
    pub(crate) batches: u32,
    /// Bytes that must stay free on the disk.
    pub(crate) reserve: u64,
    /// Check: end without closing, as a kill would.
    pub(crate) abrupt: bool,
    /// Check: append, at the end, what was acknowledged and what may have been under way.
    pub(crate) repeat: bool,
}

impl Orders {
    /// Orders for a ledger and the acknowledgements from it.
    pub(crate) fn new(data: &Path, acks: &Path) -> Self {
        Self {
            data: data.to_path_buf(),
            acks: acks.to_path_buf(),
            run: 0,
            submitters: 4,
            batches: 1,
            reserve: 8 << 20,
            abrupt: false,
            repeat: true,
        }
    }

    /// As arguments of the process.
    pub(crate) fn to_args(&self) -> Vec<String> {
        let Self {
            data,
            acks,
            run,
            submitters,
            batches,
            reserve,
            abrupt,
            repeat,
        } = self;
        let paths = [data, acks].map(|path| path.display().to_string());
        let numbers = [
            u64::from(*run),
            u64::from(*submitters),
            u64::from(*batches),
            *reserve,
        ];
        let flags = [*abrupt, *repeat].map(|flag| flag.to_string());
        paths
            .into_iter()
            .chain(numbers.map(|number| number.to_string()))
            .chain(flags)
            .collect()
    }

    fn parse(args: &[String]) -> Result<Self> {
        let [
            data,
            acks,
            run,
            submitters,
            batches,
            reserve,
            abrupt,
            repeat,
        ] = args
        else {
            bail!("a child takes 8 arguments");
        };
        Ok(Self {
            data: data.into(),
            acks: acks.into(),
            run: run.parse()?,
            submitters: submitters.parse()?,
            batches: batches.parse()?,
            reserve: reserve.parse()?,
            abrupt: abrupt.parse()?,
            repeat: repeat.parse()?,
        })
    }

    fn options(&self) -> Options {
        Options {
            reserve_bytes: self.reserve,
            ..Options::new(&self.data)
        }
    }
}

/// Does what the arguments say.
pub(crate) fn main(args: &[String]) -> Result<End> {
    let (role, args) = args.split_first().context("a child needs a role")?;
    let orders = Orders::parse(args)?;
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match role.as_str() {
        "create" => create(&orders),
        "load" => load(&orders, &runtime),
        "check" => {
            let Some(opened) = open(&orders) else {
                return Ok(End::Refused);
            };
            check::run(&orders, opened, &runtime)?;
            Ok(End::Done)
        }
        "fsck" => check_whole(&orders),
        _ => bail!("no child has the role {role}"),
    }
}

fn entropy(seed: u64) -> Entropy {
    let mut rng = Rng::new(seed, u64::from(std::process::id()));
    Box::new(move |bytes: &mut [u8]| {
        for byte in bytes {
            *byte = rng.next().to_le_bytes()[0];
        }
    })
}

fn create(orders: &Orders) -> Result<End> {
    let origin = Origin::parse(ORIGIN).context("the origin")?;
    let key = SigningKey::from_bytes(&[7; 32]);
    let vkey = NoteSigner::new(origin.key_name().clone(), key.clone()).vkey();
    let new = NewLedger {
        origin,
        key,
        genesis: genesis(&vkey),
        actor: "crash-test".to_owned(),
    };
    match Ledger::create(&orders.options(), new, SystemClock.now(), entropy(0)) {
        Ok(_) => Ok(End::Done),
        Err(error) => Ok(refused(&error)),
    }
}

/// The record of entry 0.
fn genesis(vkey: &VerifierKey) -> pb::Record {
    let key = SigningKey::from_bytes(&[9; 32]);
    let offer = pb::KeyOffer {
        algorithm: pb::KeyAlgorithm::Ed25519.into(),
        public_key: key.verifying_key().to_bytes().to_vec(),
        valid_from: "2020-01-01T00:00:00Z".to_owned(),
        valid_to: "2120-01-01T00:00:00Z".to_owned(),
        possession: sign_possession(&key, ORIGIN).to_vec(),
    };
    let genesis = pb::Genesis {
        origin: ORIGIN.to_owned(),
        administrator: "crash-test".to_owned(),
        administrator_key: Some(offer),
        ledger_key: vkey.to_string(),
    };
    pb::Record {
        record_id: "ffffffff-ffff-8fff-8fff-ffffffffffff".to_owned(),
        kind: Some(pb::record::Kind::Genesis(genesis)),
        ..pb::Record::default()
    }
}

/// Opens the ledger, or says why it does not open.
fn open(orders: &Orders) -> Option<Opened> {
    match Ledger::open(&orders.options(), Arc::new(SystemClock), entropy(1)) {
        Ok(opened) => {
            println!("open {:?}", opened.recovered);
            Some(opened)
        }
        Err(error) => {
            refused(&error);
            None
        }
    }
}

/// Runs the ledger's own check of everything: the log, the views, the journal against the store.
fn check_whole(orders: &Orders) -> Result<End> {
    let checked = fsck(
        &orders.options(),
        Arc::new(SystemClock),
        entropy(2),
        &|_, _| {},
    )?;
    println!("fsck mended {:?}", checked.recovered);
    Ok(End::Done)
}

fn refused(error: &OpenError) -> End {
    let variant: String = format!("{error:?}")
        .chars()
        .take_while(|char| char.is_alphanumeric())
        .collect();
    println!("refused {variant}: {}", Chain(error));
    End::Refused
}

fn load(orders: &Orders, runtime: &tokio::runtime::Runtime) -> Result<End> {
    let Some(opened) = open(orders) else {
        return Ok(End::Refused);
    };
    let ledger = Arc::new(opened.ledger);
    let acks = Arc::new(acks::open(&orders.acks)?);
    let stopped = runtime.block_on(async {
        let submitters: Vec<_> = (0..orders.submitters)
            .map(|submitter| {
                let (ledger, acks) = (Arc::clone(&ledger), Arc::clone(&acks));
                let (run, batches) = (orders.run, orders.batches);
                tokio::spawn(async move {
                    for number in 0..batches {
                        let batch = Batch {
                            run,
                            submitter,
                            number,
                        };
                        if submit(&ledger, &acks, batch).await? == End::Stopped {
                            return Ok(true);
                        }
                    }
                    anyhow::Ok(false)
                })
            })
            .collect();
        let mut stopped = false;
        for submitter in submitters {
            stopped |= submitter.await??;
        }
        anyhow::Ok(stopped)
    })?;
    // It may have stopped after the last answer, in the upkeep of its views.
    let has_stopped = ledger.has_stopped();
    ensure!(
        has_stopped || !stopped,
        "a ledger answered that it has stopped, and has not"
    );
    let ledger = Arc::into_inner(ledger).context("somebody holds the ledger")?;
    ledger.close();
    Ok(if has_stopped { End::Stopped } else { End::Done })
}

/// Appends a batch until it is recorded or the ledger has stopped, and acknowledges it.
async fn submit(ledger: &Ledger, acks: &File, batch: Batch) -> Result<End> {
    loop {
        match ledger.append(batch.submissions()).await {
            Ok(accepted) => {
                acks::write(acks, &acknowledge(ledger, batch, &accepted)?)?;
                return Ok(End::Done);
            }
            Err(AppendError::Busy) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(AppendError::Stopped | AppendError::DiskFull { .. }) if ledger.has_stopped() => {
                let again = ledger.append(batch.submissions()).await;
                ensure!(again.is_err(), "a ledger that has stopped took a batch");
                return Ok(End::Stopped);
            }
            Err(AppendError::DiskFull { .. }) => {
                println!("full");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => bail!("the batch {batch:?} was refused: {}", Chain(&error)),
        }
    }
}

/// Checks the answer to a batch, and says what it acknowledges.
pub(crate) fn acknowledge(
    ledger: &Ledger,
    batch: Batch,
    accepted: &[Accepted],
) -> Result<Vec<Ack>> {
    let records = batch.records();
    ensure!(
        records.len() == accepted.len(),
        "{batch:?} has {} answers",
        accepted.len()
    );
    let mut acks = Vec::with_capacity(records.len());
    for (
        (record_id, record),
        Accepted {
            index,
            entry,
            published,
            leaf: _,
            repeated: _,
        },
    ) in records.into_iter().zip(accepted)
    {
        ensure!(
            check::record_of(entry, *index)? == record,
            "the entry at {index} is of another record"
        );
        let checkpoint = published.checkpoint();
        let leaf = leaf_hash(entry);
        acks.push(Ack {
            index: index.value(),
            record_id,
            leaf,
            size: checkpoint.size.value(),
            root: checkpoint.root,
        });
    }
    if let (
        Some(ack),
        Some(Accepted {
            index,
            published,
            entry: _,
            leaf: _,
            repeated: _,
        }),
    ) = (acks.first(), accepted.first())
    {
        let checkpoint = published.checkpoint();
        let proof = ledger.prove_inclusion(published, *index, checkpoint.size)?;
        check_inclusion(&proof, *index, checkpoint.size, ack.leaf, checkpoint.root)
            .with_context(|| format!("the proof of entry {index}"))?;
    }
    Ok(acks)
}
