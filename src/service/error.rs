//! The one mapping from errors to what a caller is told: a code, a reason that is API, a sentence, and
//! `google.rpc` details. Every reason is described in `docs/errors.md`.
//!
//! What a caller did wrong is told in full; what is wrong with us is told to the log, and the caller gets
//! an id to quote. No value that may be personal data is repeated.

use std::{fmt, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use super::call;
use crate::{
    ledger::{AppendError, Chain, ReadError},
    note::NoteError,
    record::{Violation, format::FormatError},
    rules::keys::{AuthorRefused, KeyRefused},
    store::StoreError,
    tlog,
    verify::VerifyError,
    views::ViewError,
};

/// The domain of every `google.rpc.ErrorInfo`.
pub const DOMAIN: &str = "genetrail";

/// Field violations travel in the trailers, for which common clients have room for 8 KiB: 4,500 bytes
/// are 6,000 in base64, and the rest is for the sentence and the other details.
const VIOLATION_BYTES_MAX: usize = 4_500;

macro_rules! reasons {
    ($($name:ident = $text:literal, $code:ident, $meaning:literal;)*) => {
        /// What a caller can tell errors apart by. The texts are API: they are never changed or reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $meaning] $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As it stands in `google.rpc.ErrorInfo.reason`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The code that goes with it.
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }
        }
    };
}

reasons! {
    FieldInvalid = "FIELD_INVALID", InvalidArgument, "Fields of the request break a rule.";
    MessageMalformed = "MESSAGE_MALFORMED", InvalidArgument, "The bytes are not the message.";
    EntryTooLarge = "ENTRY_TOO_LARGE", InvalidArgument, "The entry would be too large.";
    CheckpointRejected = "CHECKPOINT_REJECTED", InvalidArgument, "A checkpoint is not one of ours.";
    SignatureWrong = "SIGNATURE_WRONG", InvalidArgument, "The author did not sign these bytes.";
    ActorMissing = "ACTOR_MISSING", Unauthenticated, "The call does not say who makes it.";
    ActorMalformed = "ACTOR_MALFORMED", Unauthenticated, "The actor's id is not in its format.";
    EntryNotFound = "ENTRY_NOT_FOUND", NotFound, "There is no such entry.";
    SubjectUnknown = "SUBJECT_UNKNOWN", NotFound, "Nothing is known of what was asked about.";
    RecordIdTaken = "RECORD_ID_TAKEN", AlreadyExists, "The record id says something else already.";
    BatchPartlyRecorded = "BATCH_PARTLY_RECORDED", AlreadyExists, "A part was recorded before.";
    AuthorKeyRefused = "AUTHOR_KEY_REFUSED", FailedPrecondition, "The author's key may not sign.";
    KeyRecordRefused = "KEY_RECORD_REFUSED", FailedPrecondition, "The key record does not fit.";
    RecordRefused = "RECORD_REFUSED", FailedPrecondition, "Another record stands against it.";
    WitnessUnknown = "WITNESS_UNKNOWN", FailedPrecondition, "No known witness cosigned.";
    OtherHistory = "OTHER_HISTORY", FailedPrecondition, "The checkpoint is of another history.";
    TreeSizeAhead = "TREE_SIZE_AHEAD", OutOfRange, "Asked beyond the tree.";
    MessageTooLarge = "MESSAGE_TOO_LARGE", ResourceExhausted, "The message is too large.";
    TooManyVerifications = "TOO_MANY_VERIFICATIONS", ResourceExhausted, "Enough checks run already.";
    QueueFull = "QUEUE_FULL", Unavailable, "Too much waits to be recorded.";
    ShuttingDown = "SHUTTING_DOWN", Unavailable, "The server is shutting down.";
    LedgerStopped = "LEDGER_STOPPED", Unavailable, "A commit failed; the server restarts.";
    DiskFull = "DISK_FULL", Unavailable, "There is too little space to write.";
    ClockWrong = "CLOCK_WRONG", Unavailable, "The ledger's clock cannot be right.";
    StoreFailed = "STORE_FAILED", Unavailable, "The store failed.";
    DeadlinePassed = "DEADLINE_PASSED", DeadlineExceeded, "The caller's deadline has passed.";
    StoredDataDamaged = "STORED_DATA_DAMAGED", DataLoss, "What is stored is damaged.";
    MethodUnknown = "METHOD_UNKNOWN", Unimplemented, "There is no such method.";
    CompressionUnknown = "COMPRESSION_UNKNOWN", Unimplemented, "The message is compressed.";
    Internal = "INTERNAL", Internal, "The server is wrong, not the caller.";
}

/// Why a call, or one item of it, is not answered as it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Fields break rules; all of them at once.
    #[error("{} fields are not as they must be", .0.len())]
    Fields(Vec<Violation>),
    /// Other records stand against a record; its fields by their path in the request.
    #[error("{} fields do not fit what is recorded", .0.len())]
    Refused(Vec<Violation>),
    /// The bytes are not the message.
    #[error("the bytes are not the message that the method takes")]
    MessageMalformed,
    /// The message is larger than the method takes.
    #[error("the message is larger than the method takes")]
    MessageTooLarge,
    /// Nobody is named as the actor.
    #[error("say who submits: set the metadata key genetrail-actor, once, to the actor's id")]
    ActorMissing,
    /// The actor's id is not in its format.
    #[error("the actor in the metadata key genetrail-actor is malformed")]
    ActorMalformed(#[source] FormatError),
    /// There is no entry at the index.
    #[error("there is no entry at index {index}; the tree size is {size}")]
    NoEntryAt { index: u64, size: u64 },
    /// No entry has the record id.
    #[error("no entry has this record id; the tree size is {size}")]
    NoEntryOf { size: u64 },
    /// Nothing was recorded, as the question sees it, of what was asked about.
    #[error("nothing is known of this {what} on {as_of} at tree size {size}")]
    SubjectUnknown {
        what: &'static str,
        as_of: NaiveDate,
        size: u64,
    },
    /// Asked about a larger tree than there is.
    #[error("tree size {asked} is beyond the current tree size {have}")]
    TreeSizeAhead { asked: u64, have: u64 },
    /// A note is not a checkpoint of this log, or a signature on it is wrong.
    #[error("the note is not a checkpoint of this log with signatures that hold")]
    CheckpointRejected(#[source] NoteError),
    /// The checkpoint is signed, and of another tree.
    #[error("the checkpoint of size {size} is of another history than this log's")]
    OtherHistory { size: u64 },
    /// No cosignature is by a witness that is known here.
    #[error("none of the cosignatures is by a witness that this ledger knows")]
    WitnessUnknown,
    /// Enough verifications run already.
    #[error("{max} verifications run already; wait until one of them ends")]
    TooManyVerifications { max: usize },
    /// The log could not be read while it was verified.
    #[error("the verification could not tell")]
    Verification(#[source] VerifyError),
    /// The ledger did not record.
    #[error("not recorded")]
    Append(#[from] AppendError),
    /// The ledger could not read.
    #[error("what is stored cannot be read")]
    Read(#[from] ReadError),
    /// The stored hashes do not make the proof.
    #[error("the stored hashes do not make the proof")]
    ProofImpossible,
    /// The caller's deadline has passed.
    #[error("the deadline of the call has passed")]
    DeadlinePassed,
    /// The server ends, and the call with it.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// The method does not exist.
    #[error("there is no such method")]
    MethodUnknown,
    /// The message is compressed.
    #[error("the message is compressed, which this server does not take")]
    CompressionUnknown,
    /// The code panicked.
    #[error("a call panicked")]
    Panicked,
}

impl From<tlog::ReadError<ReadError>> for CallError {
    fn from(error: tlog::ReadError<ReadError>) -> Self {
        match error {
            tlog::ReadError::IndexBeyond { index, size } => {
                let (index, size) = (index.value(), size.value());
                Self::NoEntryAt { index, size }
            }
            tlog::ReadError::SizesReversed { old, new } => Self::TreeSizeAhead {
                asked: old.value(),
                have: new.value(),
            },
            tlog::ReadError::OldTreeEmpty | tlog::ReadError::WrongCount { .. } => {
                Self::ProofImpossible
            }
            tlog::ReadError::Read(error) => Self::Read(error),
        }
    }
}

impl From<ViewError> for CallError {
    fn from(error: ViewError) -> Self {
        Self::Append(AppendError::View(error))
    }
}

/// The answer to a call that failed, before it is put into protobuf.
struct Answer {
    reason: Reason,
    message: String,
    metadata: Vec<(&'static str, String)>,
    violations: Vec<Violation>,
    /// What was not found, or is there already.
    resource: Option<(&'static str, String)>,
    /// The precondition that does not hold: its type, and what it is about.
    precondition: Option<(&'static str, String)>,
    retry_after: Option<Duration>,
}

impl Answer {
    fn new(reason: Reason, message: &(impl ToString + ?Sized)) -> Self {
        Self {
            reason,
            message: message.to_string(),
            metadata: Vec::new(),
            violations: Vec::new(),
            resource: None,
            precondition: None,
            retry_after: None,
        }
    }

    fn with(mut self, key: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.metadata.push((key, value.to_string()));
        self
    }

    fn about(mut self, kind: &'static str, name: &(impl ToString + ?Sized)) -> Self {
        self.resource = Some((kind, name.to_string()));
        self
    }

    fn unless(mut self, kind: &'static str, subject: &(impl ToString + ?Sized)) -> Self {
        self.precondition = Some((kind, subject.to_string()));
        self
    }

    fn retry_after_ms(mut self, delay: u64) -> Self {
        self.retry_after = Some(Duration::from_millis(delay));
        self
    }

    fn into_status(self) -> Status {
        let Self {
            reason,
            message,
            metadata,
            violations,
            resource,
            precondition,
            retry_after,
        } = self;
        let mut details = ErrorDetails::new();
        let metadata = metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value));
        details.set_error_info(reason.as_str(), DOMAIN, metadata.collect::<Pairs>());
        if !violations.is_empty() {
            details.set_bad_request(
                violations
                    .into_iter()
                    .map(field_violation)
                    .collect::<Vec<_>>(),
            );
        }
        if let Some((kind, name)) = resource {
            details.set_resource_info(kind, name, "", message.clone());
        }
        if let Some((kind, subject)) = precondition {
            details.add_precondition_failure_violation(kind, subject, message.clone());
        }
        if retry_after.is_some() {
            details.set_retry_info(retry_after);
        }
        Status::with_error_details(reason.code(), message, details)
    }
}

/// The map that the details want; its order never reaches anything but the wire, where maps have none.
#[expect(
    clippy::disallowed_types,
    reason = "the interface of the details asks for it"
)]
type Pairs = std::collections::HashMap<String, String>;

fn field_violation(violation: Violation) -> FieldViolation {
    let Violation {
        field,
        rule,
        remedy,
    } = violation;
    FieldViolation {
        field,
        description: remedy,
        reason: rule.to_owned(),
        localized_message: None,
    }
}

impl From<CallError> for Status {
    fn from(error: CallError) -> Self {
        answer(error).into_status()
    }
}

impl CallError {
    /// The reason that the caller is told.
    #[cfg(test)]
    pub(super) fn reason(self) -> Reason {
        answer(self).reason
    }
}

/// The answer to one item of a stream, the same as the status of a call.
pub(super) fn item_status(error: CallError) -> tonic_types::Status {
    let status = Status::from(error);
    tonic_types::Status::decode(status.details()).unwrap_or_else(|_| tonic_types::Status {
        code: i32::from(status.code()),
        message: status.message().to_owned(),
        details: Vec::new(),
    })
}

fn answer(error: CallError) -> Answer {
    let message = error.to_string();
    let new = |reason| Answer::new(reason, &message);
    match error {
        CallError::Fields(violations) => fields(Reason::FieldInvalid, violations),
        CallError::Refused(violations) => refused(violations),
        CallError::MessageMalformed => new(Reason::MessageMalformed),
        CallError::MessageTooLarge => new(Reason::MessageTooLarge),
        CallError::ActorMissing => new(Reason::ActorMissing),
        CallError::ActorMalformed(cause) => {
            Answer::new(Reason::ActorMalformed, &format!("{message}: {cause}"))
                .with("rule", cause.rule)
        }
        CallError::NoEntryAt { index, size } => new(Reason::EntryNotFound)
            .with("index", &index)
            .with("tree_size", &size)
            .about("genetrail.v1.Entry", &index),
        CallError::NoEntryOf { size } => new(Reason::EntryNotFound)
            .with("tree_size", &size)
            .about("genetrail.v1.Entry", ""),
        CallError::SubjectUnknown { what, as_of, size } => new(Reason::SubjectUnknown)
            .with("what", what)
            .with("as_of", &as_of)
            .with("tree_size", &size)
            .about(what, ""),
        CallError::TreeSizeAhead { asked, have } => new(Reason::TreeSizeAhead)
            .with("asked", &asked)
            .with("tree_size", &have),
        CallError::CheckpointRejected(cause) => {
            Answer::new(Reason::CheckpointRejected, &format!("{message}: {cause}"))
                .with("cause", &cause)
        }
        CallError::OtherHistory { size } => new(Reason::OtherHistory)
            .with("size", &size)
            .unless("HISTORY", &size),
        CallError::WitnessUnknown => new(Reason::WitnessUnknown).unless("WITNESS", "cosignatures"),
        CallError::TooManyVerifications { max } => {
            new(Reason::TooManyVerifications).with("max", &max)
        }
        error @ CallError::Verification(_) => store_failed(&error),
        CallError::Append(error) => append(&error),
        CallError::Read(error) => read(&error),
        error @ CallError::ProofImpossible => damaged(&error),
        CallError::DeadlinePassed => new(Reason::DeadlinePassed),
        CallError::ShuttingDown => new(Reason::ShuttingDown).retry_after_ms(2_000),
        CallError::MethodUnknown => new(Reason::MethodUnknown),
        CallError::CompressionUnknown => new(Reason::CompressionUnknown),
        error @ CallError::Panicked => internal(&error),
    }
}

/// All violations, or as many as travel; how many there are is told in any case.
fn fields(reason: Reason, mut violations: Vec<Violation>) -> Answer {
    let total = violations.len();
    let mut bytes = 0_usize;
    violations.retain(|violation| {
        let Violation {
            field,
            rule,
            remedy,
        } = violation;
        bytes = bytes.saturating_add(field.len() + rule.len() + remedy.len() + 16);
        bytes <= VIOLATION_BYTES_MAX
    });
    let first = violations.first().map_or_else(String::new, |violation| {
        format!("{}: {}", violation.field, violation.remedy)
    });
    let message = match total.saturating_sub(1) {
        0 => first,
        more => format!("{first} (and {more} more)"),
    };
    let mut answer = Answer::new(reason, &message).with("violations", &total);
    answer.violations = violations;
    answer
}

/// The fields that do not fit, and the first of them as the precondition that does not hold.
fn refused(violations: Vec<Violation>) -> Answer {
    let answer = fields(Reason::RecordRefused, violations);
    match answer.violations.first() {
        Some(first) => {
            let (rule, field) = (first.rule, first.field.clone());
            answer.unless(rule, &field)
        }
        None => answer,
    }
}

/// Violations of a record, by their path in the request.
pub(super) fn in_request(path: &impl fmt::Display, violations: &[Violation]) -> Vec<Violation> {
    let of_record = violations.iter().cloned();
    of_record
        .map(|violation| {
            let field = format!("{path}.record.{}", violation.field);
            Violation { field, ..violation }
        })
        .collect()
}

fn append(error: &AppendError) -> Answer {
    let new = |reason| Answer::new(reason, error);
    match error {
        AppendError::Busy => new(Reason::QueueFull).retry_after_ms(200),
        AppendError::ShuttingDown => new(Reason::ShuttingDown).retry_after_ms(2_000),
        AppendError::Stopped => Answer::new(
            Reason::LedgerStopped,
            "the ledger has stopped writing; whether this was recorded, the same record id will tell",
        )
        .retry_after_ms(5_000),
        AppendError::DiskFull { free, reserve } => new(Reason::DiskFull)
            .with("free_bytes", free)
            .with("reserve_bytes", reserve)
            .retry_after_ms(30_000),
        AppendError::ClockWentBack { seconds } => {
            new(Reason::ClockWrong).with("seconds", seconds).retry_after_ms(30_000)
        }
        AppendError::ClockOutOfRange => new(Reason::ClockWrong).retry_after_ms(30_000),
        AppendError::RecordIdTaken { item, index } => new(Reason::RecordIdTaken)
            .with("item", item)
            .with("index", index)
            .about("genetrail.v1.Entry", index),
        AppendError::PartlyRecorded { item, index } => new(Reason::BatchPartlyRecorded)
            .with("item", item)
            .with("index", index)
            .about("genetrail.v1.Entry", index),
        AppendError::AuthorRefused { item, cause } => {
            let (rule, instants) = author_rule(*cause);
            let mut answer = Answer::new(Reason::AuthorKeyRefused, &Chain(error))
                .with("item", item)
                .with("rule", rule)
                .unless(rule, "author.key_id");
            for (key, at) in instants {
                answer = answer.with(key, &at.to_rfc3339());
            }
            answer
        }
        AppendError::SignatureWrong { item } => new(Reason::SignatureWrong).with("item", item),
        AppendError::KeyRefused { item, cause } => {
            let rule = key_rule(*cause);
            Answer::new(Reason::KeyRecordRefused, &Chain(error))
                .with("item", item)
                .with("rule", rule)
                .unless(rule, "record")
        }
        // Of a batch, the service has said which submission it is.
        AppendError::Refused { item: _, violations } => {
            refused(in_request(&"submission", violations))
        }
        AppendError::EntryTooLarge { item, bytes } => {
            new(Reason::EntryTooLarge).with("item", item).with("bytes", bytes)
        }
        AppendError::Read(error) => read(error),
        AppendError::View(ViewError::Store(error)) => store(error),
        AppendError::View(error @ ViewError::Damaged { .. }) => damaged(error),
    }
}

/// The rule that the author's key breaks, and the instants that matter.
fn author_rule(refused: AuthorRefused) -> (&'static str, Vec<(&'static str, DateTime<Utc>)>) {
    match refused {
        AuthorRefused::NotOnRecord => ("KEY_NOT_ON_RECORD", Vec::new()),
        AuthorRefused::Revoked { at } => ("KEY_REVOKED", vec![("at", at)]),
        AuthorRefused::OutsideValidity { from, to } => {
            ("KEY_OUTSIDE_VALIDITY", vec![("from", from), ("to", to)])
        }
    }
}

const fn key_rule(refused: KeyRefused) -> &'static str {
    match refused {
        KeyRefused::NoGenesis => "GENESIS_MISSING",
        KeyRefused::SecondGenesis => "GENESIS_REPEATED",
        KeyRefused::OtherOrigin => "ORIGIN_OTHER",
        KeyRefused::NoActor => "KEY_OWNER_MISSING",
        KeyRefused::NoOffer => "KEY_MISSING",
        KeyRefused::OtherAlgorithm => "KEY_ALGORITHM",
        KeyRefused::UnsoundKey => "KEY_UNSOUND",
        KeyRefused::NotPossessed => "KEY_NOT_POSSESSED",
        KeyRefused::Instants => "KEY_VALIDITY",
        KeyRefused::AlreadyOnRecord => "KEY_ON_RECORD",
        KeyRefused::NotOnRecord => "KEY_NOT_ON_RECORD",
        KeyRefused::NoLongerInForce => "KEY_REVOKED",
    }
}

fn read(error: &ReadError) -> Answer {
    match error {
        ReadError::Store(error) | ReadError::View(ViewError::Store(error)) => store(error),
        ReadError::EntryDamaged { .. }
        | ReadError::TileDamaged { .. }
        | ReadError::View(ViewError::Damaged { .. }) => damaged(error),
    }
}

fn store(error: &StoreError) -> Answer {
    match error {
        StoreError::Full {
            free_bytes,
            reserve_bytes,
        } => {
            let (free, reserve) = (*free_bytes, *reserve_bytes);
            append(&AppendError::DiskFull { free, reserve })
        }
        StoreError::Locked { .. }
        | StoreError::Unopenable { .. }
        | StoreError::Failed { .. }
        | StoreError::File(_) => store_failed(error),
        StoreError::Refused(_) => internal(error),
    }
}

fn store_failed(error: &(dyn std::error::Error + 'static)) -> Answer {
    log(error);
    Answer::new(Reason::StoreFailed, "the store failed").retry_after_ms(5_000)
}

fn damaged(error: &(dyn std::error::Error + 'static)) -> Answer {
    log(error);
    Answer::new(
        Reason::StoredDataDamaged,
        "what is stored is damaged; the operator has been told",
    )
    .with("request_id", &call::request_id())
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Answer {
    log(error);
    let id = call::request_id();
    Answer::new(
        Reason::Internal,
        &format!("the server is at fault; to the operator, quote {id}"),
    )
    .with("request_id", &id)
}

fn log(error: &(dyn std::error::Error + 'static)) {
    tracing::error!(request_id = %call::request_id(), error = %Chain(error), "a call met an error of ours");
}

/// What gRPC itself refuses carries no details: tells what it means here. Our own answers pass
/// unchanged.
pub(super) fn complete(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    match status.code() {
        // What it could not decode, or what was no request at all.
        Code::Internal | Code::InvalidArgument => CallError::MessageMalformed.into(),
        Code::OutOfRange | Code::ResourceExhausted => CallError::MessageTooLarge.into(),
        Code::Unimplemented if status.message().is_empty() => CallError::MethodUnknown.into(),
        Code::Unimplemented => CallError::CompressionUnknown.into(),
        Code::DeadlineExceeded => CallError::DeadlinePassed.into(),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => status,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc};

    use super::*;
    use crate::store::WriteRefused;

    const DOCUMENT: &str = include_str!("../../docs/errors.md");

    #[test]
    fn every_reason_is_described_with_its_code_and_no_other_is() {
        let described: Vec<(&str, &str)> = DOCUMENT
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split(" | ");
                let (reason, code) = (cells.next()?.strip_suffix('`')?, cells.next()?);
                let is_code = |c: char| c.is_ascii_uppercase() || c == '_';
                code.chars().all(is_code).then_some((reason, code))
            })
            .collect();
        let all: Vec<(&str, String)> = Reason::ALL
            .iter()
            .map(|reason| (reason.as_str(), name(reason.code())))
            .collect();
        let all: Vec<(&str, &str)> = all
            .iter()
            .map(|(text, code)| (*text, code.as_str()))
            .collect();
        assert_eq!(described, all);
    }

    /// As the specification of gRPC writes it: `NotFound` is `NOT_FOUND`.
    fn name(code: Code) -> String {
        let mut name = String::new();
        for c in format!("{code:?}").chars() {
            if c.is_ascii_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
        }
        name
    }

    #[test]
    fn reasons_are_distinct_and_in_the_form_that_clients_expect() {
        let texts: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(texts.len(), Reason::ALL.len());
        for text in texts {
            let form = |c: char| c.is_ascii_uppercase() || c == '_';
            assert!(text.chars().all(form) && text.len() <= 63, "{text}");
        }
    }

    #[test]
    fn every_rule_about_keys_is_described() {
        let authors = [
            AuthorRefused::NotOnRecord,
            AuthorRefused::Revoked {
                at: DateTime::UNIX_EPOCH,
            },
            AuthorRefused::OutsideValidity {
                from: DateTime::UNIX_EPOCH,
                to: DateTime::UNIX_EPOCH,
            },
        ];
        let keys = [
            KeyRefused::NoGenesis,
            KeyRefused::SecondGenesis,
            KeyRefused::OtherOrigin,
            KeyRefused::NoActor,
            KeyRefused::NoOffer,
            KeyRefused::OtherAlgorithm,
            KeyRefused::UnsoundKey,
            KeyRefused::NotPossessed,
            KeyRefused::Instants,
            KeyRefused::AlreadyOnRecord,
            KeyRefused::NotOnRecord,
            KeyRefused::NoLongerInForce,
        ];
        let authors = authors.into_iter().map(|refused| author_rule(refused).0);
        for rule in authors.chain(keys.into_iter().map(key_rule)) {
            assert!(DOCUMENT.contains(&format!("`{rule}`")), "{rule}");
        }
    }

    fn check(error: impl Into<CallError>, reason: Reason, metadata: &[(&str, &str)]) {
        let error = error.into();
        let what = format!("{error:?}");
        let status = Status::from(error);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (status.code(), info.reason.as_str()),
            (reason.code(), reason.as_str()),
            "{what}"
        );
        assert_eq!(info.domain, DOMAIN, "{what}");
        for (key, value) in metadata {
            assert_eq!(
                info.metadata.get(*key).map(String::as_str),
                Some(*value),
                "{what}"
            );
        }
        // The one code that clients repeat by themselves says when.
        assert_eq!(
            details.retry_info().is_some(),
            status.code() == Code::Unavailable,
            "{what}"
        );
    }

    #[test]
    fn what_the_ledger_refuses_is_told_with_its_numbers() {
        let item = 3;
        check(AppendError::Busy, Reason::QueueFull, &[]);
        check(AppendError::ShuttingDown, Reason::ShuttingDown, &[]);
        check(AppendError::Stopped, Reason::LedgerStopped, &[]);
        let full = AppendError::DiskFull {
            free: 7,
            reserve: 9,
        };
        check(
            full,
            Reason::DiskFull,
            &[("free_bytes", "7"), ("reserve_bytes", "9")],
        );
        let back = AppendError::ClockWentBack { seconds: 60 };
        check(back, Reason::ClockWrong, &[("seconds", "60")]);
        check(AppendError::ClockOutOfRange, Reason::ClockWrong, &[]);
        let taken = AppendError::RecordIdTaken { item, index: 5 };
        check(
            taken,
            Reason::RecordIdTaken,
            &[("item", "3"), ("index", "5")],
        );
        let partly = AppendError::PartlyRecorded { item, index: 5 };
        check(
            partly,
            Reason::BatchPartlyRecorded,
            &[("item", "3"), ("index", "5")],
        );
        check(
            AppendError::SignatureWrong { item },
            Reason::SignatureWrong,
            &[("item", "3")],
        );
        let large = AppendError::EntryTooLarge {
            item,
            bytes: 70_000,
        };
        check(
            large,
            Reason::EntryTooLarge,
            &[("item", "3"), ("bytes", "70000")],
        );
        let cause = AuthorRefused::Revoked {
            at: DateTime::UNIX_EPOCH,
        };
        let revoked = AppendError::AuthorRefused { item, cause };
        let metadata = [("rule", "KEY_REVOKED"), ("at", "1970-01-01T00:00:00+00:00")];
        check(revoked, Reason::AuthorKeyRefused, &metadata);
        let refused = AppendError::KeyRefused {
            item,
            cause: KeyRefused::NotPossessed,
        };
        check(
            refused,
            Reason::KeyRecordRefused,
            &[("rule", "KEY_NOT_POSSESSED")],
        );
    }

    #[test]
    fn what_is_stored_and_cannot_be_read_is_told_without_saying_where() {
        let path = || std::path::PathBuf::from("/secret");
        let entry = || ReadError::EntryDamaged { index: 5 };
        check(entry(), Reason::StoredDataDamaged, &[]);
        check(AppendError::Read(entry()), Reason::StoredDataDamaged, &[]);
        check(
            ViewError::Damaged { run: 1 },
            Reason::StoredDataDamaged,
            &[],
        );
        let tile = ReadError::TileDamaged {
            path: "tile/0/000".to_owned(),
        };
        check(tile, Reason::StoredDataDamaged, &[]);
        let cause = || Arc::new(std::io::Error::other("secret")) as _;
        let failed = || StoreError::Failed { cause: cause() };
        check(ReadError::Store(failed()), Reason::StoreFailed, &[]);
        check(ViewError::Store(failed()), Reason::StoreFailed, &[]);
        check(
            ReadError::Store(StoreError::Locked { path: path() }),
            Reason::StoreFailed,
            &[],
        );
        let full = StoreError::Full {
            free_bytes: 7,
            reserve_bytes: 9,
        };
        check(
            ReadError::Store(full),
            Reason::DiskFull,
            &[("free_bytes", "7")],
        );
        let refused = StoreError::Refused(WriteRefused::KeyEmpty);
        check(ReadError::Store(refused), Reason::Internal, &[]);
        let unopenable = StoreError::Unopenable {
            path: path(),
            cause: cause(),
        };
        let status = Status::from(CallError::Read(ReadError::Store(unopenable)));
        assert!(!format!("{status:?}").contains("secret"));
    }

    #[test]
    fn what_grpc_refuses_by_itself_is_given_a_reason() {
        let check = |status: Status, expected: Reason| {
            let status = complete(status);
            let reason = status.get_details_error_info().map(|info| info.reason);
            assert_eq!(reason.as_deref(), Some(expected.as_str()));
            assert_eq!(status.code(), expected.code());
        };
        check(
            Status::internal("failed to decode"),
            Reason::MessageMalformed,
        );
        check(Status::out_of_range("too large"), Reason::MessageTooLarge);
        check(
            Status::resource_exhausted("too large"),
            Reason::MessageTooLarge,
        );
        check(Status::unimplemented(""), Reason::MethodUnknown);
        check(Status::unimplemented("gzip"), Reason::CompressionUnknown);
        check(Status::deadline_exceeded(""), Reason::DeadlinePassed);
        // Our own pass unchanged.
        check(CallError::Panicked.into(), Reason::Internal);
        check(CallError::WitnessUnknown.into(), Reason::WitnessUnknown);
    }

    #[test]
    fn an_item_of_a_stream_is_told_what_a_call_is_told() {
        let status = Status::from(CallError::ActorMissing);
        let item = item_status(CallError::ActorMissing);
        assert_eq!(
            (item.code, item.message.as_str()),
            (status.code().into(), status.message())
        );
        assert_eq!(item.encode_to_vec(), status.details());
    }
}
