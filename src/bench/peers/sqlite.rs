//! SQLite in this process: no protocol, and one connection, since it has one writer at a time.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::ensure;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};

use super::beside::{BATCH, Peer, Recorded, recorded};
use crate::bench::{figures::rate_since, ledgers::ACTOR};

const TABLE: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        record_id BLOB NOT NULL UNIQUE,
        recorded_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
        actor TEXT NOT NULL,
        previous BLOB NOT NULL,
        record BLOB NOT NULL,
        hash BLOB NOT NULL
    ) STRICT";

const LAST: &str = "SELECT hash FROM audit ORDER BY seq DESC LIMIT 1";

const INSERT: &str =
    "INSERT INTO audit (record_id, actor, previous, record, hash) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Rows that do not name the hash of the row before.
const BROKEN: &str = "SELECT count(*) FROM
    (SELECT previous, lag(hash, 1, zeroblob(32)) OVER (ORDER BY seq) AS before FROM audit)
    WHERE previous <> before";

/// A database in a file.
pub(super) struct Sqlite {
    database: Connection,
    next: u64,
}

impl Peer for Sqlite {
    const NAME: &'static str = "SQLite (WAL, synchronous FULL)";

    fn start(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir(dir)?;
        let database = Connection::open(dir.join("audit.sqlite"))?;
        database.execute_batch(TABLE)?;
        Ok(Self { database, next: 0 })
    }

    fn unary(&mut self, load: Duration) -> anyhow::Result<f64> {
        self.transactions(1, load)
    }

    /// There is nobody to send to: the next record waits for the one before.
    fn stream(&mut self, load: Duration) -> anyhow::Result<f64> {
        self.transactions(1, load)
    }

    fn batch(&mut self, load: Duration) -> anyhow::Result<f64> {
        self.transactions(BATCH, load)
    }

    fn check(&mut self) -> anyhow::Result<()> {
        let broken: i64 = self.database.query_one(BROKEN, [], |row| row.get(0))?;
        ensure!(broken == 0, "{broken} rows of SQLite's are not chained");
        Ok(())
    }
}

impl Sqlite {
    /// Records a second, so many in a transaction.
    fn transactions(&mut self, records: usize, load: Duration) -> anyhow::Result<f64> {
        let (start, first) = (Instant::now(), self.next);
        while start.elapsed() < load {
            let batch: Vec<Recorded> = (self.next..).take(records).map(recorded).collect();
            self.insert(&batch)?;
        }
        Ok(rate_since(start, self.next - first))
    }

    /// Inserts these records, chained, in one transaction.
    fn insert(&mut self, records: &[Recorded]) -> anyhow::Result<()> {
        let transaction = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut last = transaction.prepare_cached(LAST)?;
            let mut insert = transaction.prepare_cached(INSERT)?;
            let previous = last.query_row([], |row| row.get(0)).optional()?;
            let mut previous: [u8; 32] = previous.unwrap_or_default();
            for (id, record) in records {
                let mut hash = Sha256::new();
                hash.update(previous);
                hash.update(id);
                hash.update(record);
                let hash: [u8; 32] = hash.finalize().into();
                insert.execute(params![id, ACTOR, previous, record, hash])?;
                previous = hash;
            }
        }
        transaction.commit()?;
        self.next += u64::try_from(records.len())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_rows_are_chained_and_one_that_was_changed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut peer = Sqlite::start(&dir.path().join("peer")).unwrap();
        let load = Duration::from_millis(20);
        peer.unary(load).unwrap();
        peer.batch(load).unwrap();
        peer.check().unwrap();
        let change = "UPDATE audit SET hash = zeroblob(32) WHERE seq = 1";
        peer.database.execute(change, []).unwrap();
        assert!(peer.check().is_err());
    }
}
