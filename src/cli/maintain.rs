//! `genetrail fsck` and `genetrail rebuild-views`: for whoever runs a ledger.
use super::Outcome;
#[derive(Debug, clap::Args)]
pub(super) struct FsckArguments {}
pub(super) fn fsck(_: &FsckArguments) -> anyhow::Result<Outcome> { Ok(Outcome::Fine) }
#[derive(Debug, clap::Args)]
pub(super) struct RebuildViewsArguments {}
pub(super) fn rebuild_views(_: &RebuildViewsArguments) -> anyhow::Result<Outcome> { Ok(Outcome::Fine) }
