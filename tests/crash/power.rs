use crate::bench::Bench;
pub(crate) fn run(_: &mut Bench) -> anyhow::Result<()> { Ok(()) }
pub(crate) fn run_controls(_: &mut Bench) -> anyhow::Result<()> { Ok(()) }
