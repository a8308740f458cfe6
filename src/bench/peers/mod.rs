//! The product beside what people would take otherwise: a table in PostgreSQL or SQLite, each row of it chained to the
//! one before by a hash. The same records, as durable, on the same disk, in turn. The peer answers a number and a hash,
//! the product a receipt with a proof under a signed checkpoint.
//!
//! Without the feature `peers` nothing of them is in the program, and their rows are skipped.

#[cfg(feature = "peers")]
mod beside;
#[cfg(feature = "peers")]
mod postgres;
#[cfg(feature = "peers")]
mod sqlite;

use super::{Bench, Row};

/// A row of this room: what is beside the product, and how many records come at once.
#[derive(Clone, Copy, Debug)]
pub(super) enum PeerRow {
    PostgresUnary,
    PostgresStream,
    PostgresBatch,
    SqliteUnary,
    SqliteStream,
    SqliteBatch,
}

impl PeerRow {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::PostgresUnary => "postgres-unary",
            Self::PostgresStream => "postgres-stream",
            Self::PostgresBatch => "postgres-batch",
            Self::SqliteUnary => "sqlite-unary",
            Self::SqliteStream => "sqlite-stream",
            Self::SqliteBatch => "sqlite-batch",
        }
    }
}

#[cfg(feature = "peers")]
pub(super) fn measure(bench: &Bench, row: PeerRow) -> anyhow::Result<Vec<Row>> {
    use {postgres::Postgres, sqlite::Sqlite};
    let name = row.name();
    let row = match row {
        PeerRow::PostgresUnary => beside::unary::<Postgres>(bench, name, 5.0)?,
        PeerRow::PostgresStream => beside::stream::<Postgres>(bench, name, 10.0)?,
        PeerRow::PostgresBatch => beside::batch::<Postgres>(bench, name, 1.0)?,
        PeerRow::SqliteUnary => beside::unary::<Sqlite>(bench, name, 1.0)?,
        PeerRow::SqliteStream => beside::stream::<Sqlite>(bench, name, 1.0)?,
        PeerRow::SqliteBatch => beside::batch::<Sqlite>(bench, name, 1.0)?,
    };
    Ok(vec![row])
}

#[cfg(not(feature = "peers"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature, this can fail")]
pub(super) fn measure(_: &Bench, row: PeerRow) -> anyhow::Result<Vec<Row>> {
    let why = "this program was built without the feature `peers`".to_owned();
    Ok(vec![Row::skipped(row.name(), why)])
}
