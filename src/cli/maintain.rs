//! `genetrail fsck` and `genetrail rebuild-views`: for whoever runs a ledger. No server may have it open.

use std::sync::Arc;

use super::{
    Outcome,
    local::{self, Place},
    progress, say,
};
use crate::{
    clock::SystemClock,
    ledger::{self, FsckError, Ledger, OpenError},
    verify::VerifyError,
};

#[derive(Debug, clap::Args)]
pub(super) struct FsckArguments {
    #[command(flatten)]
    place: Place,
}

pub(super) fn fsck(arguments: &FsckArguments) -> anyhow::Result<Outcome> {
    local::make_sled_sync();
    let options = arguments.place.options();
    let dir = options.dir.display();
    let bar = progress::bar(0, "entries");
    let checked = ledger::fsck(
        &options,
        Arc::new(SystemClock),
        local::entropy()?,
        &|done, size| {
            bar.set_length(size);
            bar.set_position(done);
        },
    );
    bar.finish_and_clear();
    match checked {
        Ok(ledger::Checked { recovered, lines }) => {
            local::tell(&recovered);
            say!("SOUND {dir}")?;
            for line in lines {
                say!("  {line}")?;
            }
            Ok(Outcome::Fine)
        }
        Err(error) if is_finding(&error) => {
            say!("DAMAGED {dir}: {:#}", anyhow::Error::from(error))?;
            Ok(Outcome::No)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether something is known to be wrong with the ledger, other than that it could not be looked at.
fn is_finding(error: &FsckError) -> bool {
    match error {
        FsckError::Log(VerifyError::Found(_))
        | FsckError::ViewDiffers { .. }
        | FsckError::ViewTooLarge { .. }
        | FsckError::JournalDiffers { .. }
        | FsckError::Damage(_) => true,
        FsckError::Open(error) => matches!(
            error,
            OpenError::BothDamaged { .. }
                | OpenError::Diverged { .. }
                | OpenError::OlderThanSigned { .. }
                | OpenError::OtherHistory { .. }
                | OpenError::HighWaterForeign { .. }
                | OpenError::KeyOnRecord { .. }
        ),
        FsckError::Log(VerifyError::Unreadable { .. } | VerifyError::Unlisted { .. })
        | FsckError::Journal(_)
        | FsckError::Read(_)
        | FsckError::View(_)
        | FsckError::Lookup(_) => false,
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct RebuildViewsArguments {
    #[command(flatten)]
    place: Place,
}

pub(super) fn rebuild_views(arguments: &RebuildViewsArguments) -> anyhow::Result<Outcome> {
    local::make_sled_sync();
    let options = arguments.place.options();
    let size = Ledger::rebuild_views(&options, local::entropy()?)?;
    say!(
        "the views of {} were made again from {size} entries",
        options.dir.display()
    )?;
    Ok(Outcome::Fine)
}
