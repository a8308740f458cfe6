//! A real server on a free port, over a ledger in a directory of its own, with a clock that the test sets
//! and randomness that is the same every time; and what tests say to it.

pub(crate) mod raw;

use std::{path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use ed25519_dalek::SigningKey;
use genetrail::{
    clock::SettableClock,
    ledger::{Entropy, Ledger, NewLedger, Options},
    note::{Checkpoint, NoteSigner, Origin, VerifierKey, open_checkpoint},
    pb::{
        self, Receipt, RecordRequest, ledger_service_client::LedgerServiceClient, record::Kind,
        recording_service_client::RecordingServiceClient, submission::Form,
    },
    rules::keys::{author_key_id, sign_possession, sign_record},
    server::{Running, ServeError, Settings, start},
    tlog::{Hash, Index, check_inclusion, leaf_hash},
};
use prost::Message as _;
use tempfile::TempDir;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) const ORIGIN: &str = "log.example/trail";

/// The actor of a ledger's first key.
pub(crate) const ADMINISTRATOR: &str = "admin";

/// What the clock of a new server shows.
pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// The key of the administrator.
pub(crate) fn administrator_key() -> SigningKey {
    SigningKey::from_bytes(&[8; 32])
}

/// Bytes that are the same in every run, and never twice the same in one.
pub(crate) fn entropy() -> Entropy {
    let mut counter = 0_u64;
    Box::new(move |bytes| {
        for chunk in bytes.chunks_mut(8) {
            counter += 1;
            chunk.copy_from_slice(&counter.to_be_bytes()[8 - chunk.len()..]);
        }
    })
}

/// A server, its ledger and its directory. Dropping it stops it.
pub(crate) struct TestServer {
    pub(crate) clock: Arc<SettableClock>,
    pub(crate) running: Running,
    pub(crate) vkey: VerifierKey,
    settings: Settings,
    channel: Channel,
    home: TempDir,
}

impl TestServer {
    /// A server over a new ledger.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// The same, with other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_at(noon(), change).await
    }

    /// The same, at another time.
    pub(crate) async fn start_at(now: DateTime<Utc>, change: impl FnOnce(&mut Settings)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let vkey = create_ledger(&home.path().join("ledger"), now);
        let mut settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            metrics: None,
            grace: Duration::from_secs(5),
            ..Settings::default()
        };
        change(&mut settings);
        let clock = Arc::new(SettableClock::new(now));
        let (running, channel) = serve(home.path().join("ledger"), &clock, &settings).await;
        Self {
            clock,
            running,
            vkey,
            settings,
            channel,
            home,
        }
    }

    /// The ledger's directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("ledger")
    }

    /// Opens the ledger of a server that has ended.
    pub(crate) fn open_ledger(&self) -> Ledger {
        open_ledger(self.dir(), &self.clock)
    }

    /// Ends the server and starts another over the same ledger.
    pub(crate) async fn restart(&mut self) {
        self.stop().await.unwrap();
        self.start_again().await;
    }

    /// Starts another server over the ledger of one that has ended.
    pub(crate) async fn start_again(&mut self) {
        (self.running, self.channel) = serve(self.dir(), &self.clock, &self.settings).await;
    }

    /// Tells the server to end, and waits until it has.
    pub(crate) async fn stop(&mut self) -> Result<(), ServeError> {
        self.running.shut_down();
        self.running.ended().await
    }

    /// A connection to it.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn recording(&self) -> RecordingServiceClient<Channel> {
        RecordingServiceClient::new(self.channel()).max_decoding_message_size(64 << 20)
    }

    pub(crate) fn ledger(&self) -> LedgerServiceClient<Channel> {
        LedgerServiceClient::new(self.channel())
    }

    /// Records one record as the administrator.
    pub(crate) async fn record(&self, record: pb::Record) -> Result<Receipt, Status> {
        self.record_as(ADMINISTRATOR, record).await
    }

    /// Records one record as this actor.
    pub(crate) async fn record_as(
        &self,
        actor: &str,
        record: pb::Record,
    ) -> Result<Receipt, Status> {
        let request = RecordRequest {
            submission: Some(plain(record)),
            validate_only: false,
        };
        let response = self.recording().record(called_by(actor, request)).await?;
        Ok(response.into_inner().receipt.unwrap())
    }

    /// Checks a receipt against the ledger's key, and returns its checkpoint.
    pub(crate) fn check(&self, receipt: &Receipt) -> Checkpoint {
        let checkpoint = open_checkpoint(&receipt.checkpoint, &self.vkey).unwrap();
        let leaf = leaf_hash(&receipt.entry);
        assert_eq!(receipt.leaf_hash, leaf.as_bytes()[..]);
        let proof: Vec<Hash> = receipt
            .inclusion_proof
            .iter()
            .map(|hash| Hash::from_slice(hash).unwrap())
            .collect();
        let index = Index::new(receipt.index);
        check_inclusion(&proof, index, checkpoint.size, leaf, checkpoint.root).unwrap();
        checkpoint
    }
}

async fn serve(
    dir: PathBuf,
    clock: &Arc<SettableClock>,
    settings: &Settings,
) -> (Running, Channel) {
    let ledger = open_ledger(dir, clock);
    let running = start(ledger, Arc::clone(clock) as _, settings.clone())
        .await
        .unwrap();
    let url = format!("http://{}", running.addr);
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    (running, channel)
}

fn open_ledger(dir: PathBuf, clock: &Arc<SettableClock>) -> Ledger {
    Ledger::open(&Options::new(dir), Arc::clone(clock) as _, entropy())
        .unwrap()
        .ledger
}

fn create_ledger(dir: &std::path::Path, now: DateTime<Utc>) -> VerifierKey {
    let key = SigningKey::from_bytes(&[7; 32]);
    let origin = Origin::parse(ORIGIN).unwrap();
    let vkey = NoteSigner::new(origin.key_name().clone(), key.clone()).vkey();
    let genesis = pb::Genesis {
        origin: ORIGIN.to_owned(),
        ledger_key: vkey.to_string(),
        administrator: ADMINISTRATOR.to_owned(),
        administrator_key: Some(key_offer(&administrator_key())),
    };
    let genesis = pb::Record {
        event_time: now.to_rfc3339(),
        kind: Some(Kind::Genesis(genesis)),
        ..envelope(u32::MAX)
    };
    let actor = ADMINISTRATOR.to_owned();
    let new = NewLedger {
        origin,
        key,
        genesis,
        actor,
    };
    Ledger::create(&Options::new(dir), new, now, entropy()).unwrap()
}

/// A key that is valid in every test, offered with its proof of possession.
pub(crate) fn key_offer(key: &SigningKey) -> pb::KeyOffer {
    pb::KeyOffer {
        algorithm: pb::KeyAlgorithm::Ed25519.into(),
        public_key: key.verifying_key().to_bytes().to_vec(),
        valid_from: "2020-01-01T00:00:00Z".to_owned(),
        valid_to: "2050-01-01T00:00:00Z".to_owned(),
        possession: sign_possession(key, ORIGIN).to_vec(),
    }
}

/// A record id.
pub(crate) fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-0000{number:08x}")
}

fn envelope(number: u32) -> pb::Record {
    pb::Record {
        record_id: uuid(number),
        event_time: "2026-11-22T10:00:00Z".to_owned(),
        ..pb::Record::default()
    }
}

/// A record that nothing is wrong with; another for every number.
pub(crate) fn record(number: u32) -> pb::Record {
    let setting = pb::SystemConfigChanged {
        setting: "retention_days".to_owned(),
        old: String::new(),
        new: format!("{number} days"),
    };
    pb::Record {
        kind: Some(Kind::SystemConfigChanged(setting)),
        ..envelope(number)
    }
}

/// A record of a lot whose identifiers and quantities are all wrong.
pub(crate) fn wrong_record(number: u32) -> pb::Record {
    let lot = pb::LotRegistered {
        gtin: "09506000134353".to_owned(),
        lot: "LOT 1".to_owned(),
        ..pb::LotRegistered::default()
    };
    pb::Record {
        kind: Some(Kind::LotRegistered(lot)),
        ..envelope(number)
    }
}

/// A submission of a record as a message.
pub(crate) fn plain(record: pb::Record) -> pb::Submission {
    pb::Submission {
        form: Some(Form::Record(Box::new(record))),
        author: None,
    }
}

/// A submission of a record as bytes that are signed.
pub(crate) fn signed(record: &pb::Record, key: &SigningKey) -> pb::Submission {
    let bytes = record.encode_to_vec();
    let author = pb::Author {
        key_id: author_key_id(&key.verifying_key()).to_vec(),
        signature: sign_record(key, ORIGIN, &bytes).to_vec(),
    };
    pb::Submission {
        form: Some(Form::Encoded(bytes)),
        author: Some(author),
    }
}

/// A request by the administrator.
pub(crate) fn as_actor<T>(message: T) -> Request<T> {
    called_by(ADMINISTRATOR, message)
}

/// A request by an actor.
pub(crate) fn called_by<T>(actor: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("genetrail-actor", actor.parse().unwrap());
    request
}

/// Asserts code and reason of a refusal, and returns its details.
pub(crate) fn refused(status: &Status, code: Code, reason: &str) -> ErrorDetails {
    let details = status.get_error_details();
    assert!(details.error_info().is_some(), "no ErrorInfo: {status:?}");
    let info = details.error_info().unwrap();
    assert_eq!(
        (status.code(), info.reason.as_str()),
        (code, reason),
        "{status:?}"
    );
    assert_eq!(info.domain, "genetrail");
    details
}

/// The value of a key of the details' metadata.
pub(crate) fn metadata(details: &ErrorDetails, key: &str) -> String {
    details
        .error_info()
        .unwrap()
        .metadata
        .get(key)
        .cloned()
        .unwrap_or_default()
}
