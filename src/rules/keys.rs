//! Whose key may sign a record: the authors' keys as the log itself names them, folded from its entries in
//! the order of their index.
//!
//! Who may submit a key record is not decided here, nor where a record's event time is found.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::{
    pb::{self, record::Kind},
    record::format::{EventTime, PartialDate},
    tlog::Index,
};

/// SHA-256 of a public key.
pub type AuthorKeyId = [u8; 32];

/// Why a record about keys cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// Entry 0 must be the genesis.
    #[error("entry 0 is not the genesis")]
    NoGenesis,
    /// Only entry 0 may be a genesis.
    #[error("a genesis stands after entry 0")]
    SecondGenesis,
    /// The genesis is of another log.
    #[error("the genesis names another origin")]
    OtherOrigin,
    /// The record names no actor.
    #[error("the key has no owner")]
    NoActor,
    /// The record has no key.
    #[error("no key is offered")]
    NoOffer,
    /// The key's algorithm is not Ed25519.
    #[error("the key's algorithm is not Ed25519")]
    OtherAlgorithm,
    /// The bytes are no Ed25519 public key, or one that verifies what nobody signed.
    #[error("the bytes are not a sound Ed25519 public key")]
    UnsoundKey,
    /// The offer is not signed with the key that it offers.
    #[error("the proof of possession is wrong")]
    NotPossessed,
    /// An instant is not RFC 3339, or a key's last one is not after its first.
    #[error("the instants of the key are malformed or reversed")]
    Instants,
    /// The key is on record already; a key is used once, and by one actor.
    #[error("the key is already on record")]
    AlreadyOnRecord,
    /// The actor has no such key.
    #[error("the actor has no such key on record")]
    NotOnRecord,
    /// The key to be replaced may sign no more.
    #[error("the key to be replaced was revoked or replaced before")]
    NoLongerInForce,
}

/// Why an author's signature cannot be attributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorRefused {
    /// The actor has no such key.
    #[error("the actor has no such key on record")]
    NotOnRecord,
    /// The key was revoked or replaced.
    #[error("the key was revoked or replaced at {at}")]
    Revoked {
        /// From when on it may sign no more.
        at: DateTime<Utc>,
    },
    /// The key was not valid when the record came in, nor when what it tells happened.
    #[error("the key is valid from {from} to {to} only")]
    OutsideValidity {
        /// The first instant of its validity.
        from: DateTime<Utc>,
        /// The last instant of its validity.
        to: DateTime<Utc>,
    },
}

/// What an accepted signature is flagged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyFlag {
    /// The record came in outside the key's validity, but tells of something within it.
    OutsideValidity,
    /// Somebody else may have held the key.
    Suspect,
}

impl KeyFlag {
    /// The flag's code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::OutsideValidity => "KEY_OUTSIDE_VALIDITY",
            Self::Suspect => "SUSPECT_KEY",
        }
    }
}

/// A key that may sign: with what to check the signature, and what to flag it with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorStanding<'r> {
    /// The public key.
    pub key: &'r VerifyingKey,
    /// The flags that follow.
    pub flags: Vec<KeyFlag>,
}

/// The authors' keys on record at one size of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRegistry {
    origin: String,
    keys: BTreeMap<AuthorKeyId, AuthorKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AuthorKey {
    actor: String,
    key: VerifyingKey,
    valid_from: DateTime<Utc>,
    valid_to: DateTime<Utc>,
    /// From when on it may sign no more.
    revoked_at: Option<DateTime<Utc>>,
    /// Since when somebody else may have held it.
    compromised_since: Option<DateTime<Utc>>,
}

impl KeyRegistry {
    /// The registry of a log of this origin, before its first entry.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            keys: BTreeMap::new(),
        }
    }

    /// How many keys were ever on record.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Is no key on record?
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A key that was ever on record, whoever's it is and whether or not it may still sign.
    pub fn public_key(&self, key_id: &AuthorKeyId) -> Option<&VerifyingKey> {
        self.keys.get(key_id).map(|key| &key.key)
    }

    /// Takes in the record at an index, each index in turn; a record that is not about keys changes nothing.
    /// If it is refused, nothing is changed.
    pub fn apply(
        &mut self,
        index: Index,
        recorded_at: DateTime<Utc>,
        record: &pb::Record,
    ) -> Result<(), KeyRefused> {
        let kind = record.kind.as_ref();
        match (kind, index.value()) {
            (Some(Kind::Genesis(genesis)), 0) => return self.begin(genesis),
            (Some(Kind::Genesis(_)), _) => return Err(KeyRefused::SecondGenesis),
            (_, 0) => return Err(KeyRefused::NoGenesis),
            _ => {}
        }
        if let Some(Kind::KeyRegistered(record)) = kind {
            let (id, key) = self.accept(&record.actor_id, record.key.as_ref())?;
            self.keys.insert(id, key);
        } else if let Some(Kind::KeyRotated(record)) = kind {
            self.rotate(recorded_at, record)?;
        } else if let Some(Kind::KeyRevoked(record)) = kind {
            self.revoke(recorded_at, record)?;
        }
        Ok(())
    }

    /// May this actor's key sign a record that comes in now, which tells of something that happened at
    /// `event_time`? The signature itself is checked with the key that is returned.
    pub fn check_author(
        &self,
        actor: &str,
        key_id: &AuthorKeyId,
        recorded_at: DateTime<Utc>,
        event_time: Option<DateTime<Utc>>,
    ) -> Result<AuthorStanding<'_>, AuthorRefused> {
        let key = self.keys.get(key_id).filter(|key| key.actor == actor);
        let key = key.ok_or(AuthorRefused::NotOnRecord)?;
        if let Some(at) = key.revoked_at.filter(|at| *at <= recorded_at) {
            return Err(AuthorRefused::Revoked { at });
        }
        let validity = key.valid_from..=key.valid_to;
        let mut flags = Vec::new();
        if !validity.contains(&recorded_at) {
            if !event_time.is_some_and(|at| validity.contains(&at)) {
                return Err(AuthorRefused::OutsideValidity {
                    from: key.valid_from,
                    to: key.valid_to,
                });
            }
            flags.push(KeyFlag::OutsideValidity);
        }
        if key.is_suspect(recorded_at) {
            flags.push(KeyFlag::Suspect);
        }
        Ok(AuthorStanding {
            key: &key.key,
            flags,
        })
    }

    /// Is what this key signed at that time suspect, as far as is known by now?
    pub fn is_suspect(&self, key_id: &AuthorKeyId, recorded_at: DateTime<Utc>) -> bool {
        let key = self.keys.get(key_id);
        key.is_some_and(|key| key.is_suspect(recorded_at))
    }

    fn begin(&mut self, genesis: &pb::Genesis) -> Result<(), KeyRefused> {
        if genesis.origin != self.origin {
            return Err(KeyRefused::OtherOrigin);
        }
        let offer = genesis.administrator_key.as_ref();
        let (id, key) = self.accept(&genesis.administrator, offer)?;
        self.keys.insert(id, key);
        Ok(())
    }

    fn rotate(
        &mut self,
        recorded_at: DateTime<Utc>,
        record: &pb::KeyRotated,
    ) -> Result<(), KeyRefused> {
        let (id, key) = self.accept(&record.actor_id, record.key.as_ref())?;
        let old = self.key_of(&record.actor_id, &record.old_key_id)?;
        if old.revoked_at.is_some_and(|at| at <= recorded_at) {
            return Err(KeyRefused::NoLongerInForce);
        }
        old.revoked_at = Some(recorded_at);
        self.keys.insert(id, key);
        Ok(())
    }

    /// A key may be revoked again: the earliest instants count, so that nothing that was suspect becomes
    /// unsuspected.
    fn revoke(
        &mut self,
        recorded_at: DateTime<Utc>,
        record: &pb::KeyRevoked,
    ) -> Result<(), KeyRefused> {
        let instant = |text: &str| match text {
            "" => Ok(None),
            text => parse_instant(text).map(Some),
        };
        let revoked_at = instant(&record.revoked_at)?.unwrap_or(recorded_at);
        let compromised_since = instant(&record.compromised_since)?;
        let key = self.key_of(&record.actor_id, &record.key_id)?;
        key.revoked_at = earlier(key.revoked_at, Some(revoked_at));
        key.compromised_since = earlier(key.compromised_since, compromised_since);
        Ok(())
    }

    fn key_of(&mut self, actor: &str, key_id: &[u8]) -> Result<&mut AuthorKey, KeyRefused> {
        let key = self.keys.get_mut(key_id);
        let key = key.filter(|key| key.actor == actor);
        key.ok_or(KeyRefused::NotOnRecord)
    }

    fn accept(
        &self,
        actor: &str,
        offer: Option<&pb::KeyOffer>,
    ) -> Result<(AuthorKeyId, AuthorKey), KeyRefused> {
        let offer = offer.ok_or(KeyRefused::NoOffer)?;
        if actor.is_empty() {
            return Err(KeyRefused::NoActor);
        }
        if offer.algorithm() != pb::KeyAlgorithm::Ed25519 {
            return Err(KeyRefused::OtherAlgorithm);
        }
        let key = sound_public_key(&offer.public_key).ok_or(KeyRefused::UnsoundKey)?;
        let message = possession_message(&self.origin, &key);
        let possession = offer.possession.as_slice();
        if !is_signed(&key, &message, possession) {
            return Err(KeyRefused::NotPossessed);
        }
        let (valid_from, valid_to) = (
            parse_instant(&offer.valid_from)?,
            parse_instant(&offer.valid_to)?,
        );
        if valid_to <= valid_from {
            return Err(KeyRefused::Instants);
        }
        let id = author_key_id(&key);
        if self.keys.contains_key(&id) {
            return Err(KeyRefused::AlreadyOnRecord);
        }
        let key = AuthorKey {
            actor: actor.to_owned(),
            key,
            valid_from,
            valid_to,
            revoked_at: None,
            compromised_since: None,
        };
        Ok((id, key))
    }
}

impl AuthorKey {
    fn is_suspect(&self, at: DateTime<Utc>) -> bool {
        self.compromised_since.is_some_and(|since| since <= at)
    }
}

/// When what a record tells happened, as far as that may vouch for a key outside its validity: an instant as
/// it stands, a day as its noon in UTC; what is known less precisely vouches for nothing.
pub fn event_time(record: &pb::Record) -> Option<DateTime<Utc>> {
    match EventTime::parse(&record.event_time).ok()? {
        EventTime::Instant(instant) => Some(instant.date_time().to_utc()),
        EventTime::Date(PartialDate::Day(day)) => Some(day.and_hms_opt(12, 0, 0)?.and_utc()),
        EventTime::Date(PartialDate::Year(_) | PartialDate::Month(_)) => None,
    }
}

/// Whether records of this kind (its field number in `Record`) are about keys.
pub const fn is_about_keys(kind: u32) -> bool {
    // Genesis, KeyRegistered, KeyRotated and KeyRevoked.
    matches!(kind, 100..=103)
}

/// The id under which a key is on record.
pub fn author_key_id(key: &VerifyingKey) -> AuthorKeyId {
    Sha256::digest(key.as_bytes()).into()
}

/// The author's signature over the bytes of a record for the log of this origin.
pub fn sign_record(key: &SigningKey, origin: &str, record: &[u8]) -> [u8; 64] {
    key.sign(&record_message(origin, record)).to_bytes()
}

/// Is this the author's signature over the bytes of a record for the log of this origin?
pub fn is_record_signed(
    key: &VerifyingKey,
    origin: &str,
    record: &[u8],
    signature: &[u8; 64],
) -> bool {
    is_signed(key, &record_message(origin, record), signature)
}

/// The proof that whoever offers a key to the log of this origin holds its private half.
pub fn sign_possession(key: &SigningKey, origin: &str) -> [u8; 64] {
    key.sign(&possession_message(origin, &key.verifying_key()))
        .to_bytes()
}

fn record_message(origin: &str, record: &[u8]) -> Vec<u8> {
    [b"genetrail/record/v1\n", origin.as_bytes(), b"\n", record].concat()
}

fn possession_message(origin: &str, key: &VerifyingKey) -> Vec<u8> {
    [
        b"genetrail/key/v1\n",
        origin.as_bytes(),
        b"\n",
        key.as_bytes(),
    ]
    .concat()
}

fn is_signed(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    let signature = Signature::from_slice(signature);
    signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
}

/// A key in its one canonical encoding, and of an order large enough that a signature binds its text.
fn sound_public_key(bytes: &[u8]) -> Option<VerifyingKey> {
    let bytes = bytes.try_into().ok()?;
    let key = VerifyingKey::from_bytes(bytes).ok()?;
    let canonical = key.to_edwards().compress().as_bytes() == bytes;
    (canonical && !key.is_weak()).then_some(key)
}

fn parse_instant(text: &str) -> Result<DateTime<Utc>, KeyRefused> {
    match DateTime::parse_from_rfc3339(text) {
        Ok(instant) => Ok(instant.to_utc()),
        Err(_) => Err(KeyRefused::Instants),
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "log.example/trail";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn id(seed: u8) -> AuthorKeyId {
        author_key_id(&key(seed).verifying_key())
    }

    fn at(text: &str) -> DateTime<Utc> {
        parse_instant(text).unwrap()
    }

    /// A key that is valid through 2026.
    fn offer(seed: u8) -> pb::KeyOffer {
        pb::KeyOffer {
            algorithm: pb::KeyAlgorithm::Ed25519.into(),
            public_key: key(seed).verifying_key().to_bytes().to_vec(),
            valid_from: "2026-01-01T00:00:00Z".to_owned(),
            valid_to: "2027-01-01T00:00:00+00:00".to_owned(),
            possession: sign_possession(&key(seed), ORIGIN).to_vec(),
        }
    }

    fn record(kind: Kind) -> pb::Record {
        pb::Record {
            kind: Some(kind),
            ..pb::Record::default()
        }
    }

    fn genesis() -> pb::Genesis {
        pb::Genesis {
            origin: ORIGIN.to_owned(),
            ledger_key: String::new(),
            administrator: "admin".to_owned(),
            administrator_key: Some(offer(1)),
        }
    }

    fn registered(actor: &str, key: pb::KeyOffer) -> Kind {
        Kind::KeyRegistered(pb::KeyRegistered {
            actor_id: actor.to_owned(),
            key: Some(key),
        })
    }

    fn rotated(actor: &str, old: u8, new: u8) -> Kind {
        Kind::KeyRotated(pb::KeyRotated {
            actor_id: actor.to_owned(),
            old_key_id: id(old).to_vec(),
            key: Some(offer(new)),
        })
    }

    fn revoked(actor: &str, seed: u8, revoked_at: &str, compromised_since: &str) -> Kind {
        Kind::KeyRevoked(pb::KeyRevoked {
            actor_id: actor.to_owned(),
            key_id: id(seed).to_vec(),
            revoked_at: revoked_at.to_owned(),
            compromised_since: compromised_since.to_owned(),
        })
    }

    /// A log whose entry `n` came in at noon of the first of month n + 1.
    struct Log {
        registry: KeyRegistry,
        index: u64,
    }

    impl Log {
        fn begun() -> Self {
            let mut log = Self {
                registry: KeyRegistry::new(ORIGIN),
                index: 0,
            };
            log.takes(Kind::Genesis(genesis()));
            log
        }

        fn apply(&mut self, kind: Kind) -> Result<(), KeyRefused> {
            let now = at(&format!("2026-{:02}-01T12:00:00Z", self.index + 1));
            let before = self.registry.clone();
            let applied = self
                .registry
                .apply(Index::new(self.index), now, &record(kind));
            if applied.is_err() {
                assert_eq!(self.registry, before, "a refusal changes nothing");
            }
            applied
        }

        fn takes(&mut self, kind: Kind) {
            assert_eq!(self.apply(kind), Ok(()));
            self.index += 1;
        }

        fn refuses(&mut self, kind: Kind, expected: KeyRefused) {
            assert_eq!(self.apply(kind), Err(expected));
        }

        /// The codes of the flags of a record signed by an actor with a key, or why it is refused.
        fn standing(
            &self,
            actor: &str,
            seed: u8,
            recorded_at: &str,
            event_time: Option<&str>,
        ) -> Result<Vec<&'static str>, AuthorRefused> {
            let standing = self.registry.check_author(
                actor,
                &id(seed),
                at(recorded_at),
                event_time.map(at),
            )?;
            assert_eq!(*standing.key, key(seed).verifying_key());
            Ok(standing.flags.into_iter().map(KeyFlag::code).collect())
        }
    }

    #[test]
    fn the_log_begins_with_its_genesis_and_has_no_other() {
        let mut log = Log {
            registry: KeyRegistry::new(ORIGIN),
            index: 0,
        };
        log.refuses(registered("ann", offer(2)), KeyRefused::NoGenesis);
        let other = pb::Genesis {
            origin: "other.example".to_owned(),
            ..genesis()
        };
        log.refuses(Kind::Genesis(other), KeyRefused::OtherOrigin);
        let keyless = pb::Genesis {
            administrator_key: None,
            ..genesis()
        };
        log.refuses(Kind::Genesis(keyless), KeyRefused::NoOffer);
        log.takes(Kind::Genesis(genesis()));
        log.refuses(Kind::Genesis(genesis()), KeyRefused::SecondGenesis);
        assert_eq!(
            log.standing("admin", 1, "2026-02-01T00:00:00Z", None),
            Ok(vec![])
        );
        assert_eq!(log.registry.len(), 1);
    }

    #[test]
    fn a_key_is_on_record_from_its_registration_on_and_stays() {
        let mut log = Log {
            registry: KeyRegistry::new(ORIGIN),
            index: 0,
        };
        let known = |log: &Log| {
            let keys = [1, 2].map(|seed| log.registry.public_key(&id(seed)).copied());
            (log.registry.len(), log.registry.is_empty(), keys)
        };
        let of = |seed| Some(key(seed).verifying_key());
        assert_eq!(known(&log), (0, true, [None, None]));
        log.takes(Kind::Genesis(genesis()));
        assert_eq!(known(&log), (1, false, [of(1), None]));
        log.takes(registered("ann", offer(2)));
        assert_eq!(known(&log), (2, false, [of(1), of(2)]));
        log.takes(revoked("ann", 2, "2026-02-01T00:00:00Z", ""));
        assert_eq!(known(&log), (2, false, [of(1), of(2)]));
    }

    #[test]
    fn a_key_is_taken_only_if_everything_about_it_is_right() {
        let mut log = Log::begun();
        let with = |change: fn(&mut pb::KeyOffer)| {
            let mut offer = offer(2);
            change(&mut offer);
            registered("ann", offer)
        };
        log.refuses(registered("", offer(2)), KeyRefused::NoActor);
        log.refuses(registered("ann", offer(1)), KeyRefused::AlreadyOnRecord);
        log.refuses(with(|key| key.algorithm = 0), KeyRefused::OtherAlgorithm);
        log.refuses(with(|key| key.algorithm = 2), KeyRefused::OtherAlgorithm);
        log.refuses(
            with(|key| key.public_key.truncate(31)),
            KeyRefused::UnsoundKey,
        );
        log.refuses(
            with(|key| key.public_key = vec![0; 32]),
            KeyRefused::UnsoundKey,
        );
        log.refuses(
            with(|key| key.public_key = offer(3).public_key),
            KeyRefused::NotPossessed,
        );
        log.refuses(with(|key| key.possession[0] ^= 1), KeyRefused::NotPossessed);
        log.refuses(
            with(|key| key.possession.truncate(63)),
            KeyRefused::NotPossessed,
        );
        let elsewhere = |key: &mut pb::KeyOffer| {
            key.possession = sign_possession(&tests::key(2), "other.example").to_vec();
        };
        log.refuses(with(elsewhere), KeyRefused::NotPossessed);
        log.refuses(with(|key| key.valid_from.clear()), KeyRefused::Instants);
        log.refuses(
            with(|key| key.valid_to = "2027-01-01".to_owned()),
            KeyRefused::Instants,
        );
        log.refuses(
            with(|key| key.valid_to.clone_from(&key.valid_from)),
            KeyRefused::Instants,
        );
        log.takes(registered("ann", offer(2)));
        log.refuses(registered("ann", offer(2)), KeyRefused::AlreadyOnRecord);
    }

    #[test]
    fn only_the_actors_own_key_may_sign_for_it() {
        let mut log = Log::begun();
        let day = "2026-06-01T00:00:00Z";
        assert_eq!(
            log.standing("ann", 2, day, None),
            Err(AuthorRefused::NotOnRecord)
        );
        log.takes(registered("ann", offer(2)));
        assert_eq!(log.standing("ann", 2, day, None), Ok(vec![]));
        assert_eq!(
            log.standing("bob", 2, day, None),
            Err(AuthorRefused::NotOnRecord)
        );
        assert_eq!(
            log.standing("ann", 1, day, None),
            Err(AuthorRefused::NotOnRecord)
        );
    }

    #[test]
    fn a_key_outside_its_validity_may_sign_only_of_what_happened_within_it() {
        let mut log = Log::begun();
        log.takes(registered("ann", offer(2)));
        let refused = Err(AuthorRefused::OutsideValidity {
            from: at("2026-01-01T00:00:00Z"),
            to: at("2027-01-01T00:00:00Z"),
        });
        let flagged = Ok(vec!["KEY_OUTSIDE_VALIDITY"]);
        let (before, within, after) = (
            "2025-12-31T23:59:59Z",
            "2026-05-01T00:00:00Z",
            "2027-01-01T00:00:01Z",
        );
        let standing = |recorded_at, event_time| log.standing("ann", 2, recorded_at, event_time);
        assert_eq!(standing("2026-01-01T00:00:00Z", None), Ok(vec![]));
        assert_eq!(standing("2027-01-01T00:00:00Z", None), Ok(vec![]));
        assert_eq!(standing(within, Some(before)), Ok(vec![]));
        assert_eq!(standing(before, None), refused);
        assert_eq!(standing(after, None), refused);
        assert_eq!(standing(after, Some(after)), refused);
        assert_eq!(standing(after, Some(before)), refused);
        assert_eq!(standing(after, Some(within)), flagged);
        assert_eq!(standing(before, Some(within)), flagged);
    }

    #[test]
    fn a_records_event_time_vouches_if_it_is_known_to_the_day() {
        let check = |text: &str, expected: Option<&str>| {
            let record = pb::Record {
                event_time: text.to_owned(),
                ..pb::Record::default()
            };
            assert_eq!(event_time(&record), expected.map(at), "{text:?}");
        };
        check("2026-05-01T08:00:00+02:00", Some("2026-05-01T06:00:00Z"));
        check("2026-05-01", Some("2026-05-01T12:00:00Z"));
        check("2026-05", None);
        check("2026", None);
        check("", None);
        check("yesterday", None);
    }

    #[test]
    fn a_replaced_key_signs_no_more_and_its_successor_does() {
        let mut log = Log::begun();
        log.takes(registered("ann", offer(2)));
        log.refuses(rotated("bob", 2, 3), KeyRefused::NotOnRecord);
        log.refuses(rotated("ann", 4, 3), KeyRefused::NotOnRecord);
        log.refuses(rotated("ann", 2, 1), KeyRefused::AlreadyOnRecord);
        log.refuses(rotated("ann", 2, 2), KeyRefused::AlreadyOnRecord);
        log.takes(rotated("ann", 2, 3));
        let replaced = AuthorRefused::Revoked {
            at: at("2026-03-01T12:00:00Z"),
        };
        assert_eq!(
            log.standing("ann", 2, "2026-03-01T12:00:00Z", None),
            Err(replaced)
        );
        assert_eq!(
            log.standing("ann", 3, "2026-03-01T12:00:00Z", None),
            Ok(vec![])
        );
        log.refuses(rotated("ann", 2, 4), KeyRefused::NoLongerInForce);
    }

    #[test]
    fn a_revoked_key_signs_no_more_and_what_it_signed_since_the_compromise_is_suspect() {
        let mut log = Log::begun();
        log.takes(registered("ann", offer(2)));
        let (april, may, june) = (
            "2026-04-01T00:00:00Z",
            "2026-05-01T00:00:00Z",
            "2026-06-01T00:00:00Z",
        );
        log.refuses(revoked("bob", 2, "", ""), KeyRefused::NotOnRecord);
        log.refuses(revoked("ann", 2, "soon", ""), KeyRefused::Instants);
        log.refuses(revoked("ann", 2, "", "once"), KeyRefused::Instants);

        // Announced for May, and lost since April.
        log.takes(revoked("ann", 2, may, april));
        let suspect = |log: &Log, time| log.registry.is_suspect(&id(2), at(time));
        assert_eq!(
            log.standing("ann", 2, "2026-03-15T00:00:00Z", None),
            Ok(vec![])
        );
        assert_eq!(log.standing("ann", 2, april, None), Ok(vec!["SUSPECT_KEY"]));
        let refused = |time| Err(AuthorRefused::Revoked { at: at(time) });
        assert_eq!(log.standing("ann", 2, may, None), refused(may));
        assert!(suspect(&log, april) && !suspect(&log, "2026-03-31T23:59:59Z"));

        // A later and milder revocation takes nothing back; an earlier one counts.
        log.takes(revoked("ann", 2, june, ""));
        assert_eq!(log.standing("ann", 2, may, None), refused(may));
        assert!(suspect(&log, april));
        log.takes(revoked("ann", 2, april, "2026-03-01T00:00:00Z"));
        assert_eq!(log.standing("ann", 2, april, None), refused(april));
        assert!(suspect(&log, "2026-03-01T00:00:00Z"));
    }

    #[test]
    fn a_revocation_without_an_instant_counts_from_when_it_was_recorded() {
        let mut log = Log::begun();
        log.takes(registered("ann", offer(2)));
        log.takes(revoked("ann", 2, "", ""));
        let recorded = at("2026-03-01T12:00:00Z");
        assert_eq!(
            log.standing("ann", 2, "2026-03-01T12:00:00Z", None),
            Err(AuthorRefused::Revoked { at: recorded })
        );
    }

    #[test]
    fn a_signature_holds_for_one_key_one_origin_and_one_record() {
        let signature = sign_record(&key(1), ORIGIN, b"record");
        let check = |key: &SigningKey, origin, record: &[u8], signature: &[u8; 64]| {
            is_record_signed(&key.verifying_key(), origin, record, signature)
        };
        assert!(check(&key(1), ORIGIN, b"record", &signature));
        assert!(!check(&key(2), ORIGIN, b"record", &signature));
        assert!(!check(&key(1), "other.example", b"record", &signature));
        assert!(!check(&key(1), ORIGIN, b"recorded", &signature));
        for at in 0..64 {
            let mut changed = signature;
            changed[at] ^= 1;
            assert!(!check(&key(1), ORIGIN, b"record", &changed), "byte {at}");
        }
        // A possession is no signature of a record, whatever the record.
        let possession = sign_possession(&key(1), ORIGIN);
        let public_key = key(1).verifying_key().to_bytes();
        assert!(!check(&key(1), ORIGIN, &public_key, &possession));
    }
}
