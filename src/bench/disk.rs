//! What a ledger takes: bytes of the disk for each byte of its entries, and memory while it is written.

use super::{
    Bench, Row,
    figures::{GIBIBYTE, MEBIBYTE, real},
    row::{Aim, Unit},
};

/// Both copies, the tree and the views.
pub(super) fn disk(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let grown = bench.grown(bench.effort.entries)?;
    let entries = real(grown.entries);
    let what = format!(
        "{} entries of {:.0} bytes take {:.0} each, both copies and the views",
        grown.entries,
        real(grown.entry_bytes) / entries,
        real(grown.disk_bytes) / entries,
    );
    let ratio = real(grown.disk_bytes) / real(grown.entry_bytes);
    Ok(vec![Row::ratio(
        "disk",
        vec![ratio],
        Aim::AtMost(4.0),
        what,
    )])
}

/// Of a process that does nothing else than write the ledger, from its first entry to its last.
pub(super) fn memory(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let grown = bench.grown(bench.effort.entries)?;
    let what = format!(
        "the most while {} entries were written; {:.0} MiB at the end",
        grown.entries,
        real(grown.resident_bytes) / MEBIBYTE,
    );
    let peak = real(grown.resident_bytes_max) / GIBIBYTE;
    Ok(vec![Row::measured(
        "memory",
        vec![peak],
        Unit::Gibibytes,
        Aim::AtMost(1.0),
        what,
    )])
}
