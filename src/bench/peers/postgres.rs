//! PostgreSQL as it is installed here: a cluster of its own in a temporary directory, on a socket in it, ended
//! afterwards. Nothing of another cluster is touched.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, Config, NoTls, Statement, types::ToSql};

use super::beside::{BATCH, CALLERS, Peer, Recorded, recorded};
use crate::bench::{
    callers::{Answered, Caller},
    figures::real_len,
    ledgers,
    stream::STREAMS,
};

/// A chain in a table: a lock for as long as the transaction lasts, the last row's hash, the new row's. It is the
/// cheapest that keeps its promise; updating a row that holds the last hash leaves dead rows behind.
const TABLE: &str = "
    CREATE TABLE audit (
        seq bigint PRIMARY KEY,
        record_id bytea NOT NULL UNIQUE,
        recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        actor text NOT NULL,
        previous bytea NOT NULL,
        record bytea NOT NULL,
        hash bytea NOT NULL
    );
    CREATE FUNCTION chain() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(1);
        SELECT seq + 1, hash INTO NEW.seq, NEW.previous FROM audit ORDER BY seq DESC LIMIT 1;
        NEW.seq := coalesce(NEW.seq, 0);
        NEW.previous := coalesce(NEW.previous, decode(repeat('00', 32), 'hex'));
        NEW.hash := sha256(NEW.previous || NEW.record_id || NEW.record);
        RETURN NEW;
    END $$;
    CREATE TRIGGER chain BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION chain();";

const INSERT: &str =
    "INSERT INTO audit (record_id, actor, record) VALUES ($1, $2, $3) RETURNING seq, hash";

const INSERT_MANY: &str = "INSERT INTO audit (record_id, actor, record)
    SELECT id, $2, record FROM unnest($1::bytea[], $3::bytea[]) AS records (id, record)
    RETURNING seq, hash";

/// Rows that do not name the hash of the row before.
const BROKEN: &str = "SELECT count(*) FROM
    (SELECT previous, lag(hash) OVER (ORDER BY seq) AS before FROM audit) AS rows
    WHERE before IS NOT NULL AND previous <> before";

/// What is durable is not touched: `fsync`, `synchronous_commit` and `full_page_writes` are on by default. No
/// checkpoint falls into a measurement, and a write-back hint is spared that this process has had refused for sled.
const SETTINGS: [&str; 8] = [
    "listen_addresses=",
    "synchronous_commit=on",
    "shared_buffers=256MB",
    "max_wal_size=8GB",
    "checkpoint_timeout=1h",
    "checkpoint_flush_after=0",
    "backend_flush_after=0",
    "bgwriter_flush_after=0",
];

/// Records on their way on one connection, where they are pipelined.
const PIPELINED: usize = 64;

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running cluster, and connections to it.
pub(super) struct Postgres {
    runtime: Runtime,
    connections: Vec<Arc<Connected>>,
    next: Arc<AtomicU64>,
    /// Ended last, after those who are connected to it.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is there to be dropped"))]
    server: Server,
}

/// A connection, with what is asked on it.
struct Connected {
    client: Client,
    insert: Statement,
    insert_many: Statement,
}

impl Peer for Postgres {
    const NAME: &'static str = "PostgreSQL (synchronous_commit on)";

    fn start(dir: &Path) -> anyhow::Result<Self> {
        let server = Server::start(dir)?;
        let runtime = Runtime::new()?;
        let connections = runtime.block_on(async {
            let first = server.ready().await?;
            first.batch_execute(TABLE).await?;
            let mut connections = Vec::new();
            for _ in 0..CALLERS {
                connections.push(Arc::new(Connected::new(server.connect().await?).await?));
            }
            anyhow::Ok(connections)
        })?;
        Ok(Self {
            runtime,
            connections,
            next: Arc::default(),
            server,
        })
    }

    fn unary(&mut self, load: Duration) -> anyhow::Result<f64> {
        self.insert(CALLERS, CALLERS, 1, load)
    }

    fn stream(&mut self, load: Duration) -> anyhow::Result<f64> {
        self.insert(STREAMS, STREAMS * PIPELINED, 1, load)
    }

    fn batch(&mut self, load: Duration) -> anyhow::Result<f64> {
        self.insert(STREAMS, STREAMS, BATCH, load)
    }

    fn check(&mut self) -> anyhow::Result<()> {
        let Some(connected) = self.connections.first() else {
            bail!("there is no connection");
        };
        let broken = connected.client.query_one(BROKEN, &[]);
        let broken: i64 = self.runtime.block_on(broken)?.try_get(0)?;
        ensure!(broken == 0, "{broken} rows of PostgreSQL's are not chained");
        Ok(())
    }
}

impl Connected {
    async fn new(client: Client) -> anyhow::Result<Self> {
        Ok(Self {
            insert: client.prepare(INSERT).await?,
            insert_many: client.prepare(INSERT_MANY).await?,
            client,
        })
    }

    /// Inserts these in one transaction.
    async fn insert(&self, records: &[Recorded]) -> anyhow::Result<()> {
        let inserted = if let [(id, record)] = records {
            let values: [&(dyn ToSql + Sync); 3] = [id, &ledgers::ACTOR, record];
            self.client.query(&self.insert, &values).await?
        } else {
            let ids: Vec<&[u8]> = records.iter().map(|(id, _)| id.as_slice()).collect();
            let bytes: Vec<&[u8]> = records.iter().map(|(_, bytes)| bytes.as_slice()).collect();
            let values: [&(dyn ToSql + Sync); 3] = [&ids, &ledgers::ACTOR, &bytes];
            self.client.query(&self.insert_many, &values).await?
        };
        ensure!(inserted.len() == records.len(), "not all was inserted");
        Ok(())
    }
}

impl Postgres {
    /// Records a second of so many callers, on so many connections, so many in a transaction.
    fn insert(
        &mut self,
        connections: usize,
        callers: usize,
        records: usize,
        load: Duration,
    ) -> anyhow::Result<f64> {
        let connections = self.connections.iter().take(connections).cycle();
        let callers = connections.take(callers).map(|connected| Inserter {
            connected: Arc::clone(connected),
            next: Arc::clone(&self.next),
            records,
        });
        let answered = self.runtime.block_on(Answered::to(callers, load))?;
        Ok(answered.rate * real_len(records))
    }
}

/// Somebody who inserts, on a connection that others may share.
struct Inserter {
    connected: Arc<Connected>,
    next: Arc<AtomicU64>,
    /// How many in a transaction.
    records: usize,
}

impl Caller for Inserter {
    async fn ask(&mut self) -> anyhow::Result<()> {
        let count = u64::try_from(self.records)?;
        let first = self.next.fetch_add(count, Ordering::Relaxed);
        let records: Vec<Recorded> = (first..first + count).map(recorded).collect();
        self.connected.insert(&records).await
    }
}

/// The server's process: a shell that ends it when our end of the pipe is closed, also when we are killed.
struct Server {
    socket: PathBuf,
    process: Child,
}

/// Runs a program until standard input ends; then interrupts it, which makes PostgreSQL close, and waits.
const UNTIL_CLOSED: &str = r#""$0" "$@" & cat; kill -INT $!; wait $!"#;

impl Server {
    fn start(dir: &Path) -> anyhow::Result<Self> {
        let programs = programs().context("PostgreSQL's server is not installed")?;
        let user = user()?;
        fs::create_dir(dir)?;
        if let Some((uid, gid)) = user {
            chown(dir, Some(uid), Some(gid))?;
        }
        let data = dir.join("data");
        let made = command(&programs.join("initdb"), user, dir)
            .args([
                "--username=bench",
                "--auth=trust",
                "--no-locale",
                "--encoding=UTF8",
            ])
            .arg("--pgdata")
            .arg(&data)
            .status()
            .context("PostgreSQL cannot be run")?;
        ensure!(made.success(), "PostgreSQL cannot make a cluster: {made}");
        let process = command(Path::new("sh"), user, dir)
            .args(["-c", UNTIL_CLOSED])
            .arg(programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(dir)
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .stdin(Stdio::piped())
            .spawn()
            .context("PostgreSQL cannot be run")?;
        Ok(Self {
            socket: dir.to_owned(),
            process,
        })
    }

    /// The first connection, once there is one.
    async fn ready(&self) -> anyhow::Result<Client> {
        let start = Instant::now();
        loop {
            match self.connect().await {
                Ok(client) => return Ok(client),
                Err(_) if start.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error.context("PostgreSQL does not start")),
            }
        }
    }

    async fn connect(&self) -> anyhow::Result<Client> {
        let mut config = Config::new();
        config
            .host_path(&self.socket)
            .user("bench")
            .dbname("postgres");
        let (client, connection) = config.connect(NoTls).await?;
        // It ends with the client.
        drop(tokio::spawn(connection));
        Ok(client)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

/// A program, for whom it is to run, in a directory of theirs; its words go nowhere.
fn command(program: &Path, user: Option<(u32, u32)>, dir: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some((uid, gid)) = user {
        command.gid(gid).uid(uid);
    }
    command
}

/// Where the programs of the newest version lie: on the path, or where Debian puts them.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path()).collect();
        versions.sort();
        places.extend(
            versions
                .into_iter()
                .rev()
                .map(|version| version.join("bin")),
        );
    }
    let needed = ["initdb", "postgres"];
    let has_all = |place: &PathBuf| needed.iter().all(|name| place.join(name).is_file());
    places.into_iter().find(has_all)
}

/// For whom the server is to run, where we are root, for whom it refuses to.
fn user() -> anyhow::Result<Option<(u32, u32)>> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("the users are not known")?;
    let find = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = find("postgres").or_else(|| find("nobody"));
    let found = found.context("PostgreSQL does not run as root, and there is nobody else")?;
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn its_rows_are_chained_and_one_that_was_changed_is_found() {
        if programs().is_none() {
            println!("PostgreSQL is not installed: not tried");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        // The server is somebody else, who has to get there.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut peer = Postgres::start(&dir.path().join("peer")).unwrap();
        let load = Duration::from_millis(100);
        peer.unary(load).unwrap();
        peer.stream(load).unwrap();
        peer.batch(load).unwrap();
        peer.check().unwrap();
        let change = "UPDATE audit SET hash = '' WHERE seq = 0";
        let changed = peer.connections[0].client.execute(change, &[]);
        assert_eq!(peer.runtime.block_on(changed).unwrap(), 1);
        assert!(peer.check().is_err());

        let running = peer.server.socket.join("data/postmaster.pid");
        assert!(running.exists());
        drop(peer);
        assert!(!running.exists(), "it has ended");
    }
}
