//! `genetrail demo`.
use super::Outcome;
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}
pub(super) fn run(_: Arguments) -> anyhow::Result<Outcome> { Ok(Outcome::Fine) }
