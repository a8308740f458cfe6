//! A ledger in a data directory of this machine: where its parts lie, and opening it.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;

use super::{complain, random};
use crate::{
    clock::{Clock, SystemClock},
    ledger::{Entropy, Ledger, Opened, Options, Recovery},
    store::sync_range,
};

/// Where a ledger lies.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Place {
    /// The data directory.
    #[arg(long, value_name = "DIR")]
    pub(super) data: PathBuf,
    #[command(flatten)]
    pub(super) apart: Apart,
}

/// What of a ledger may lie elsewhere than in its data directory.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Apart {
    /// The journal's directory; by default in the data directory. Better on another disk.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// The file of the newest signed checkpoint; by default beside the data directory. Better on
    /// another disk: it tells an older copy of the data directory from the newest.
    #[arg(long, value_name = "FILE")]
    high_water: Option<PathBuf>,
}

impl Apart {
    /// The options of a ledger in this data directory.
    pub(super) fn options(&self, data: impl Into<PathBuf>) -> Options {
        let Self {
            journal,
            high_water,
        } = self.clone();
        Options {
            journal,
            high_water,
            ..Options::new(data)
        }
    }
}

impl Place {
    /// The ledger's options.
    pub(super) fn options(&self) -> Options {
        self.apart.options(&self.data)
    }
}

/// Makes sled's writes durable. To be called before the first thread starts.
pub(super) fn make_sled_sync() {
    if let Err(error) = sync_range::install() {
        complain(format_args!(
            "Warning: {:#}. Nothing that is acknowledged is lost: the journal holds it. But after an \
             unclean stop, the next start takes longer, for the store is then rebuilt from the journal.",
            anyhow::Error::new(error)
        ));
    }
}

/// Opens a ledger as it is used by one command, and says what had to be mended.
pub(super) fn open(options: &Options) -> anyhow::Result<Ledger> {
    make_sled_sync();
    open_with(options, Arc::new(SystemClock))
}

/// Opens a ledger under this clock, and says what had to be mended.
pub(super) fn open_with(options: &Options, clock: Arc<dyn Clock>) -> anyhow::Result<Ledger> {
    let Opened { ledger, recovered } = Ledger::open(options, clock, entropy()?)
        .with_context(|| format!("cannot open the ledger in {}", options.dir.display()))?;
    tell(&recovered);
    Ok(ledger)
}

/// Says what opening had to do.
pub(super) fn tell(recovered: &[Recovery]) {
    for recovery in recovered {
        complain(format_args!("{}", told(recovery)));
    }
}

/// Where salts come from.
pub(super) fn entropy() -> anyhow::Result<Entropy> {
    random::<1>()?;
    #[expect(
        clippy::expect_used,
        reason = "once it is seeded, the kernel always has random bytes"
    )]
    Ok(Box::new(|bytes| {
        getrandom::fill(bytes).expect("the kernel gave random bytes before");
    }))
}

/// What opening had to do, in a sentence.
fn told(recovery: &Recovery) -> String {
    match recovery {
        Recovery::Unclean => {
            "The last stop was not clean: both copies were looked through.".to_owned()
        }
        Recovery::StoreRebuilt(size) => {
            format!("The store was rebuilt from the journal, up to tree size {size}.")
        }
        Recovery::StoreCaughtUp(size) => {
            format!("The store was caught up from the journal, up to tree size {size}.")
        }
        Recovery::JournalRewritten(size) => {
            format!("The journal was written anew from the store, up to tree size {size}.")
        }
        Recovery::JournalCaughtUp(size) => {
            format!("The journal was caught up from the store, up to tree size {size}.")
        }
        Recovery::ViewsRebuilt => "The views were dropped and made again.".to_owned(),
        Recovery::HighWaterCreated(size) => format!(
            "There was no high-water checkpoint; one was written at tree size {size}. If you did not \
             move or delete it, find out who did."
        ),
    }
}
