//! From a submission as it comes over the wire to one that the ledger takes: decoded once, its bytes kept
//! or made once, checked in full. All that is wrong is told at once, each field by its path in the
//! request. Whether the author's key may sign, and whether the record id is taken, is for the ledger.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, Utc};
use prost::Message as _;

use super::error::CallError;
use crate::{
    ledger::{self, AppendError, Author},
    pb::{self, submission::Form},
    record::{self, Violation, entry::ENTRY_BYTES_MAX, entry::record_kind, format::parse_uuid},
    rules::{
        fact::{Subject, subjects},
        keys::{KeyRegistry, event_time, is_about_keys, is_record_signed},
    },
    views::Posts,
};

/// What an entry holds besides its record, at most: index 11 bytes, previous 34, time 18, salt 18, actor
/// 2 + 64, the record's tag and length 4, author 102; together 253.
const OVERHEAD_BYTES_MAX: usize = 535;

/// A record of this size fits into an entry with room to spare for fields to come: 65,000 bytes.
pub(super) const RECORD_BYTES_MAX: usize = ENTRY_BYTES_MAX - OVERHEAD_BYTES_MAX;

/// Records in a batch.
pub(super) const BATCH_RECORDS_MAX: usize = 1_000;

/// Bytes of records in a batch: 4 MiB.
pub(super) const BATCH_BYTES_MAX: usize = 4 << 20;

/// A submission that may be queued, and the record that it was made from.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) submission: ledger::Submission,
    pub(super) record: CheckedRecord,
}

/// A record that has passed its checks.
#[derive(Debug)]
pub(super) struct CheckedRecord {
    /// Boxed: it is larger than a kilobyte, and goes from hand to hand.
    pub(super) record: Box<pb::Record>,
    /// What it is about.
    pub(super) subjects: BTreeSet<Subject>,
    pub(super) unverified: Unverified,
}

/// The labels in a record that could not be read with certainty.
pub(super) type Unverified = Vec<String>;

/// Where in a request a submission stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path {
    /// It is all of it.
    Alone,
    /// It is one of many.
    Item(usize),
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone => f.write_str("submission"),
            Self::Item(item) => write!(f, "submissions[{item}]"),
        }
    }
}

/// What a submission is checked with.
pub(super) struct Desk<'a> {
    pub(super) actor: &'a str,
    pub(super) now: DateTime<Utc>,
    pub(super) origin: &'a str,
    pub(super) keys: &'a KeyRegistry,
}

impl Desk<'_> {
    /// Checks one submission.
    pub(super) fn check(&self, submission: Option<pb::Submission>) -> Result<Checked, CallError> {
        let mut violations = Vec::new();
        let checked = self.parse(submission, Path::Alone, &mut violations);
        match checked.filter(|_| violations.is_empty()) {
            Some(mut checked) => {
                self.check_signature(0, &mut checked.submission)?;
                Ok(checked)
            }
            None => Err(CallError::Fields(violations)),
        }
    }

    /// Checks the submissions of a batch, and keeps of each record what `keep` says. A thousand decoded records that wait
    /// until all are recorded have left the processor's caches by then: decoding one again costs less.
    pub(super) fn check_batch<K>(
        &self,
        submissions: Vec<pb::Submission>,
        keep: impl Fn(CheckedRecord) -> K,
    ) -> Result<Vec<(ledger::Submission, K)>, CallError> {
        let mut violations = Vec::new();
        if submissions.is_empty() || BATCH_RECORDS_MAX < submissions.len() {
            let remedy = format!("send 1 to {BATCH_RECORDS_MAX} submissions in a batch");
            violations.push(violation("submissions", "BATCH_SIZE", remedy));
            return Err(CallError::Fields(violations));
        }
        let mut batch = Vec::with_capacity(submissions.len());
        let mut ids = std::collections::BTreeMap::new();
        let mut bytes = 0_usize;
        for (item, submission) in submissions.into_iter().enumerate() {
            let path = Path::Item(item);
            let checked = self.parse(Some(submission), path, &mut violations);
            let Some(Checked { submission, record }) = checked else {
                continue;
            };
            bytes += submission.record.len();
            if let Some(first) = ids.insert(submission.record_id, item) {
                let field = format!("{path}.record.record_id");
                let remedy = format!("submissions[{first}] has the same; give each record its own");
                violations.push(violation(field, "RECORD_ID_REPEATED", remedy));
            }
            batch.push((submission, keep(record)));
        }
        if BATCH_BYTES_MAX < bytes {
            let remedy = format!("send records of at most {BATCH_BYTES_MAX} bytes together");
            violations.push(violation("submissions", "BATCH_BYTES", remedy));
        }
        if !violations.is_empty() {
            return Err(CallError::Fields(violations));
        }
        for (item, (submission, _)) in batch.iter_mut().enumerate() {
            self.check_signature(item, submission)?;
        }
        Ok(batch)
    }

    /// Parses a submission and gathers what is wrong with it; `None` where nothing can be made of it.
    fn parse(
        &self,
        submission: Option<pb::Submission>,
        path: Path,
        violations: &mut Vec<Violation>,
    ) -> Option<Checked> {
        let pb::Submission { form, author } = submission.unwrap_or_default();
        let is_encoded = matches!(form, Some(Form::Encoded(_)));
        let mut refuse = |field, rule, remedy| {
            violations.push(violation(format!("{path}.{field}"), rule, remedy));
        };
        let (record, bytes) = match form {
            Some(Form::Record(record)) => {
                let bytes = record.encode_to_vec();
                (record, bytes)
            }
            Some(Form::Encoded(bytes)) => {
                let Ok(record) = pb::Record::decode(bytes.as_slice()) else {
                    let remedy = "send the bytes of a genetrail.v1.Record";
                    refuse("encoded", "RECORD_MALFORMED", remedy);
                    return None;
                };
                (Box::new(record), bytes)
            }
            None => {
                let remedy = "give the record, or its encoded bytes";
                refuse("record", "REQUIRED", remedy);
                return None;
            }
        };
        if RECORD_BYTES_MAX < bytes.len() {
            let have = bytes.len();
            let remedy = format!("a record is at most {RECORD_BYTES_MAX} bytes, this one {have}");
            violations.push(violation(
                format!("{path}.record"),
                "RECORD_TOO_LARGE",
                remedy,
            ));
        }
        let found = record::examine(&record, self.now);
        for violation in found.violations {
            let field = format!("{path}.record.{}", violation.field);
            violations.push(Violation { field, ..violation });
        }
        let author = author.and_then(|author| parse_author(author, is_encoded, path, violations));
        let subjects = subjects(&record);
        let about_keys = record_kind(&bytes).is_some_and(is_about_keys);
        let submission = ledger::Submission {
            record_id: parse_uuid(&record.record_id).ok()?,
            actor: self.actor.to_owned(),
            author,
            event_time: event_time(&record),
            authority: about_keys.then(|| record.clone()),
            posts: Posts::about(&record, &subjects),
            record: bytes,
        };
        let record = CheckedRecord {
            record,
            subjects,
            unverified: found.unverified,
        };
        Some(Checked { submission, record })
    }

    /// Checks an author's signature here, so that the ledger's one writer need not. A key that is not
    /// known yet may be by the time that the writer looks.
    fn check_signature(
        &self,
        item: usize,
        submission: &mut ledger::Submission,
    ) -> Result<(), CallError> {
        if let Some(author) = &mut submission.author
            && let Some(key) = self.keys.public_key(&author.key_id)
        {
            if !is_record_signed(key, self.origin, &submission.record, &author.signature) {
                return Err(AppendError::SignatureWrong { item }.into());
            }
            author.checked = true;
        }
        Ok(())
    }
}

fn parse_author(
    author: pb::Author,
    is_encoded: bool,
    path: Path,
    violations: &mut Vec<Violation>,
) -> Option<Author> {
    let pb::Author { key_id, signature } = author;
    let mut demand = |holds: bool, field: &str, rule, remedy: &str| {
        if !holds {
            violations.push(violation(format!("{path}.{field}"), rule, remedy));
        }
    };
    let remedy = "a signature is over bytes: send the record as the encoded bytes that were signed";
    demand(is_encoded, "author", "AUTHOR_WITHOUT_ENCODED", remedy);
    let remedy = "give the SHA-256 of the public key, 32 bytes";
    demand(key_id.len() == 32, "author.key_id", "KEY_ID_LENGTH", remedy);
    let remedy = "give the Ed25519 signature, 64 bytes";
    demand(
        signature.len() == 64,
        "author.signature",
        "SIGNATURE_LENGTH",
        remedy,
    );
    Some(Author {
        key_id: key_id.try_into().ok()?,
        signature: signature.try_into().ok()?,
        checked: false,
    })
}

fn violation(field: impl Into<String>, rule: &'static str, remedy: impl Into<String>) -> Violation {
    Violation {
        field: field.into(),
        rule,
        remedy: remedy.into(),
    }
}
