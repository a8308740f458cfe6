//! A log of two entries whose keeper is dishonest: the second entry carries whatever is given, and is then
//! chained, hashed and signed as if it were right.

use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use genetrail::{
    note::{Checkpoint, NoteSigner, Origin, VerifierKey},
    pb::{self, record::Kind},
    record::entry::{AuthorView, EntryView, RecordedAt},
    rules::keys::{AuthorKeyId, KeyRegistry, author_key_id, sign_possession, sign_record},
    tlog::{Edge, Hash, Index, TileId, leaf_hash},
    verify::{LogSource, Options, SourceError, verify_log},
};
use prost::Message as _;

const ORIGIN: &str = "log.example/1";
const ADMINISTRATOR: &str = "administrator";

/// What is the same in all of them.
struct Keeper {
    signer: NoteSigner,
    origin: Origin,
    administrator: SigningKey,
    key_id: AuthorKeyId,
    genesis: pb::Record,
}

static KEEPER: LazyLock<Keeper> = LazyLock::new(|| {
    let origin = Origin::parse(ORIGIN).unwrap_or_else(|| unreachable!("it is an origin"));
    let signer = NoteSigner::new(origin.key_name().clone(), SigningKey::from_bytes(&[1; 32]));
    let administrator = SigningKey::from_bytes(&[2; 32]);
    let offer = pb::KeyOffer {
        algorithm: pb::KeyAlgorithm::Ed25519.into(),
        public_key: administrator.verifying_key().to_bytes().to_vec(),
        valid_from: "2026-01-01T00:00:00Z".to_owned(),
        valid_to: "2027-01-01T00:00:00Z".to_owned(),
        possession: sign_possession(&administrator, ORIGIN).to_vec(),
    };
    let genesis = pb::Genesis {
        origin: ORIGIN.to_owned(),
        ledger_key: signer.vkey().to_string(),
        administrator: ADMINISTRATOR.to_owned(),
        administrator_key: Some(offer),
    };
    Keeper {
        key_id: author_key_id(&administrator.verifying_key()),
        genesis: pb::Record {
            kind: Some(Kind::Genesis(genesis)),
            ..pb::Record::default()
        },
        signer,
        origin,
        administrator,
    }
});

/// A log in memory, with one tile and one bundle.
struct Memory {
    checkpoint: String,
    tile: Vec<u8>,
    bundle: Vec<u8>,
}

impl LogSource for Memory {
    fn checkpoint(&self, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        give(self.checkpoint.as_bytes(), bytes)
    }

    fn tile(&self, _: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        give(&self.tile, bytes)
    }

    fn entry_bundle(&self, _: TileId, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        give(&self.bundle, bytes)
    }
}

fn give(from: &[u8], bytes: &mut Vec<u8>) -> Result<(), SourceError> {
    bytes.clear();
    bytes.extend_from_slice(from);
    Ok(())
}

/// The first byte says whether the administrator signs the record, which is the rest.
pub(super) fn log(bytes: &[u8]) {
    let Some((how, record)) = bytes.split_first() else {
        return;
    };
    if record.is_empty() || 60_000 < record.len() {
        return;
    }
    let keeper = &*KEEPER;
    let signature = sign_record(&keeper.administrator, ORIGIN, record);
    let author = AuthorView {
        key_id: &keeper.key_id,
        signature: &signature,
    };
    let first = entry(0, Hash::ZERO, &keeper.genesis.encode_to_vec(), None);
    let second = entry(
        1,
        leaf_hash(&first),
        record,
        (how & 1 == 1).then_some(author),
    );
    let key: VerifierKey = keeper.signer.vkey();
    let options = Options { key, since: None };
    if verify_log(&keep(keeper, &[first, second]), &options, &|_, _| {}).is_err() {
        return;
    }

    // What was found right has left the keys as the rules themselves leave them.
    let mut keys = KeyRegistry::new(ORIGIN);
    let genesis = keys.apply(Index::new(0), at().to_utc(), &keeper.genesis);
    assert_eq!(genesis, Ok(()));
    if let Ok(record) = pb::Record::decode(record) {
        assert_eq!(keys.apply(Index::new(1), at().to_utc(), &record), Ok(()));
    }
}

fn at() -> RecordedAt {
    RecordedAt::new(1_780_000_000, 0).unwrap_or_else(|| unreachable!("it is a time"))
}

fn entry(index: u64, previous: Hash, record: &[u8], author: Option<AuthorView<'_>>) -> Vec<u8> {
    let entry = EntryView {
        index: Index::new(index),
        previous,
        recorded_at: at(),
        salt: [3; 16],
        actor: ADMINISTRATOR,
        record,
        author,
    };
    entry.encode()
}

fn keep(keeper: &Keeper, entries: &[Vec<u8>]) -> Memory {
    let mut edge = Edge::new();
    let (mut tile, mut bundle) = (Vec::new(), Vec::new());
    for entry in entries {
        let leaf = leaf_hash(entry);
        edge.push(leaf);
        tile.extend_from_slice(leaf.as_bytes());
        bundle.extend_from_slice(&u16::try_from(entry.len()).unwrap_or(0).to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    let checkpoint = Checkpoint {
        origin: keeper.origin.clone(),
        size: edge.size(),
        root: edge.root(),
    };
    Memory {
        checkpoint: checkpoint.sign(&keeper.signer),
        tile,
        bundle,
    }
}
