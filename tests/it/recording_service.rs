//! Recording, through the real server: receipts that hold, refusals that say what to do, and repeats that
//! change nothing.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use genetrail::{
    pb::{
        self, Receipt, RecordBatchRequest, RecordRequest, RecordStreamRequest, record::Kind,
        record_stream_response::Outcome, submission::Form,
    },
    record::entry::EntryView,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    ADMINISTRATOR, TestServer, administrator_key, as_actor, key_offer, metadata, plain, record,
    refused, signed, uuid, wrong_record,
};

async fn submit(server: &TestServer, submission: pb::Submission) -> Result<Receipt, Status> {
    let request = RecordRequest {
        submission: Some(submission),
        validate_only: false,
    };
    let response = server.recording().record(as_actor(request)).await?;
    Ok(response.into_inner().receipt.unwrap())
}

async fn submit_batch(
    server: &TestServer,
    submissions: Vec<pb::Submission>,
) -> Result<Vec<Receipt>, Status> {
    let request = RecordBatchRequest {
        submissions,
        validate_only: false,
    };
    let response = server.recording().record_batch(as_actor(request)).await?;
    Ok(response.into_inner().receipts)
}

/// Code, reason and the rules by field of a refusal of fields.
fn violations(status: &Status) -> Vec<(String, String)> {
    let details = refused(status, Code::InvalidArgument, "FIELD_INVALID");
    let violations = &details.bad_request().unwrap().field_violations;
    let total: usize = metadata(&details, "violations").parse().unwrap();
    assert!(violations.len() <= total);
    assert!(
        violations
            .iter()
            .all(|violation| !violation.description.is_empty())
    );
    violations
        .iter()
        .map(|found| (found.field.clone(), found.reason.clone()))
        .collect()
}

fn pair(field: &str, rule: &str) -> (String, String) {
    (field.to_owned(), rule.to_owned())
}

#[tokio::test]
async fn a_record_comes_back_with_a_receipt_that_proves_it() {
    let server = TestServer::start().await;
    let receipt = server.record(record(1)).await.unwrap();
    assert_eq!(receipt.index, 1);
    let checkpoint = server.check(&receipt);
    assert_eq!(checkpoint.size.value(), 2);
    let entry = EntryView::parse(&receipt.entry).unwrap();
    assert_eq!(entry.actor, ADMINISTRATOR);
    assert_eq!(entry.record, record(1).encode_to_vec());
}

#[tokio::test]
async fn the_same_record_again_gets_the_same_entry_also_after_a_restart() {
    let mut server = TestServer::start().await;
    let first = server.record(record(1)).await.unwrap();
    for number in 2..40 {
        server.record(record(number)).await.unwrap();
    }
    server.restart().await;
    let again = server.record(record(1)).await.unwrap();
    assert_eq!((again.index, &again.entry), (first.index, &first.entry));
    assert_eq!(server.check(&again).size.value(), 40);

    let other = pb::Record {
        record_id: uuid(1),
        ..record(2)
    };
    let status = server.record(other).await.unwrap_err();
    let details = refused(&status, Code::AlreadyExists, "RECORD_ID_TAKEN");
    assert_eq!(metadata(&details, "index"), "1");
    assert_eq!(details.resource_info().unwrap().resource_name, "1");
}

#[tokio::test]
async fn a_call_names_its_actor() {
    let server = TestServer::start().await;
    let request = || RecordRequest {
        submission: Some(plain(record(1))),
        validate_only: false,
    };
    let status = server.recording().record(request()).await.unwrap_err();
    refused(&status, Code::Unauthenticated, "ACTOR_MISSING");
    let mut malformed = Request::new(request());
    malformed
        .metadata_mut()
        .insert("genetrail-actor", "two words".parse().unwrap());
    let status = server.recording().record(malformed).await.unwrap_err();
    let details = refused(&status, Code::Unauthenticated, "ACTOR_MALFORMED");
    assert_eq!(metadata(&details, "rule"), "ACTOR_ID_CHARACTER");
    assert!(!status.message().contains("two words"));
}

#[tokio::test]
async fn all_that_is_wrong_with_a_record_is_told_at_once_by_field() {
    let server = TestServer::start().await;
    let status = server.record(wrong_record(1)).await.unwrap_err();
    let found = violations(&status);
    let of = |field: &str| {
        found
            .iter()
            .find(|(path, _)| path == field)
            .map(|(_, rule)| rule.as_str())
    };
    assert_eq!(
        of("submission.record.lot_registered.gtin"),
        Some("GTIN_CHECK_DIGIT"),
        "{found:?}"
    );
    assert!(
        of("submission.record.lot_registered.lot").is_some(),
        "{found:?}"
    );
    assert!(3 < found.len(), "{found:?}");
}

#[tokio::test]
async fn a_submission_has_a_form_and_an_author_only_with_bytes() {
    let server = TestServer::start().await;
    let check = async |submission: Option<pb::Submission>, expected: &[(&str, &str)]| {
        let request = RecordRequest {
            submission,
            validate_only: false,
        };
        let status = server
            .recording()
            .record(as_actor(request))
            .await
            .unwrap_err();
        let expected: Vec<_> = expected
            .iter()
            .map(|(field, rule)| pair(field, rule))
            .collect();
        assert_eq!(violations(&status), expected);
    };
    let missing = [("submission.record", "REQUIRED")];
    check(None, &missing).await;
    check(Some(pb::Submission::default()), &missing).await;
    let garbage = |bytes: &[u8]| pb::Submission {
        form: Some(Form::Encoded(bytes.to_vec())),
        author: None,
    };
    let malformed = [("submission.encoded", "RECORD_MALFORMED")];
    check(Some(garbage(&[0xff; 20])), &malformed).await;
    let deep = [0x0b; 4_000];
    check(Some(garbage(&deep)), &malformed).await;

    let author = pb::Author {
        key_id: vec![1; 31],
        signature: vec![2; 65],
    };
    let unsigned = pb::Submission {
        author: Some(author),
        ..plain(record(1))
    };
    check(
        Some(unsigned),
        &[
            ("submission.author", "AUTHOR_WITHOUT_ENCODED"),
            ("submission.author.key_id", "KEY_ID_LENGTH"),
            ("submission.author.signature", "SIGNATURE_LENGTH"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_record_is_as_large_as_an_entry_holds_and_no_larger() {
    let server = TestServer::start().await;
    // Fields that this version does not know are kept: they pad the record to its size.
    let padded = |size: usize| {
        let mut bytes = record(1).encode_to_vec();
        let rest = size - bytes.len();
        bytes.extend([0xfa, 0xff, 0x03]);
        let length = rest - 6;
        prost::encoding::encode_varint(u64::try_from(length).unwrap(), &mut bytes);
        bytes.resize(size, 0);
        pb::Submission {
            form: Some(Form::Encoded(bytes)),
            author: None,
        }
    };
    let receipt = submit(&server, padded(65_000)).await.unwrap();
    server.check(&receipt);
    let status = submit(&server, padded(65_001)).await.unwrap_err();
    assert_eq!(
        violations(&status),
        [pair("submission.record", "RECORD_TOO_LARGE")]
    );
}

#[tokio::test]
async fn an_author_signs_the_bytes_with_a_key_on_record() {
    let server = TestServer::start().await;
    let key = administrator_key();
    let receipt = submit(&server, signed(&record(1), &key)).await.unwrap();
    server.check(&receipt);
    assert!(receipt.flags.is_empty(), "{:?}", receipt.flags);
    assert!(EntryView::parse(&receipt.entry).unwrap().author.is_some());

    let mut forged = signed(&record(2), &key);
    forged.author.as_mut().unwrap().signature[0] ^= 1;
    let status = submit(&server, forged).await.unwrap_err();
    refused(&status, Code::InvalidArgument, "SIGNATURE_WRONG");

    let stranger = SigningKey::from_bytes(&[99; 32]);
    let status = submit(&server, signed(&record(2), &stranger))
        .await
        .unwrap_err();
    let details = refused(&status, Code::FailedPrecondition, "AUTHOR_KEY_REFUSED");
    assert_eq!(metadata(&details, "rule"), "KEY_NOT_ON_RECORD");
    assert_eq!(
        details.precondition_failure().unwrap().violations[0].r#type,
        "KEY_NOT_ON_RECORD"
    );
}

/// The administrator's key is put on record.
fn key_registered(number: u32, key: &SigningKey) -> pb::Record {
    let registered = pb::KeyRegistered {
        actor_id: ADMINISTRATOR.to_owned(),
        key: Some(key_offer(key)),
    };
    pb::Record {
        kind: Some(Kind::KeyRegistered(registered)),
        ..record(number)
    }
}

/// The administrator's key is taken off, as somebody else may have held it for three weeks.
fn key_revoked(number: u32, key: &SigningKey) -> pb::Record {
    let revoked = pb::KeyRevoked {
        actor_id: ADMINISTRATOR.to_owned(),
        key_id: signed(&record(number), key).author.unwrap().key_id,
        compromised_since: "2026-11-01T00:00:00Z".to_owned(),
        ..pb::KeyRevoked::default()
    };
    pb::Record {
        kind: Some(Kind::KeyRevoked(revoked)),
        ..record(number)
    }
}

#[tokio::test]
async fn a_key_is_put_on_record_and_taken_off() {
    let server = TestServer::start().await;
    let key = SigningKey::from_bytes(&[21; 32]);
    let mut offered = key_registered(1, &key);
    server.record(offered.clone()).await.unwrap();
    submit(&server, signed(&record(2), &key)).await.unwrap();

    offered.record_id = uuid(3);
    let status = server.record(offered).await.unwrap_err();
    let details = refused(&status, Code::FailedPrecondition, "KEY_RECORD_REFUSED");
    assert_eq!(metadata(&details, "rule"), "KEY_ON_RECORD");

    server.record(key_revoked(4, &key)).await.unwrap();
    let status = submit(&server, signed(&record(5), &key)).await.unwrap_err();
    refused(&status, Code::FailedPrecondition, "AUTHOR_KEY_REFUSED");
    // What it signed before stays, and is suspect as far as is known now.
    let again = submit(&server, signed(&record(2), &key)).await.unwrap();
    assert_eq!(
        again
            .flags
            .iter()
            .map(|flag| flag.code.as_str())
            .collect::<Vec<_>>(),
        ["SUSPECT_KEY"]
    );
}

#[tokio::test]
async fn what_is_only_validated_is_not_recorded() {
    let server = TestServer::start().await;
    let check = async |record: pb::Record| {
        let request = RecordRequest {
            submission: Some(plain(record)),
            validate_only: true,
        };
        server.recording().record(as_actor(request)).await
    };
    let receipt = check(record(1))
        .await
        .unwrap()
        .into_inner()
        .receipt
        .unwrap();
    assert_eq!(
        receipt,
        Receipt {
            flags: receipt.flags.clone(),
            ..Receipt::default()
        }
    );
    violations(&check(wrong_record(1)).await.unwrap_err());
    let batch = RecordBatchRequest {
        submissions: (0..3).map(|number| plain(record(number))).collect(),
        validate_only: true,
    };
    let receipts = server
        .recording()
        .record_batch(as_actor(batch))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(receipts.receipts.len(), 3);
    assert_eq!(server.record(record(1)).await.unwrap().index, 1);
}

#[tokio::test]
async fn what_should_not_have_happened_is_recorded_with_a_flag_and_validation_tells_it_before() {
    let server = TestServer::start().await;
    let record = pb::Record {
        client_time: "2026-11-22T15:00:00Z".to_owned(),
        ..record(1)
    };
    let submission = Some(plain(record.clone()));
    let request = RecordRequest {
        submission,
        validate_only: true,
    };
    let preview = server
        .recording()
        .record(as_actor(request))
        .await
        .unwrap()
        .into_inner();
    let flags = preview.receipt.unwrap().flags;
    assert_eq!(flags.len(), 1);
    assert_eq!(
        (flags[0].code.as_str(), flags[0].field.as_str()),
        ("CLIENT_CLOCK_SKEW", "client_time")
    );
    let receipt = server.record(record.clone()).await.unwrap();
    assert_eq!(receipt.flags, flags);
    // Also when it is asked for again, at another time: it is judged as of its entry.
    server.clock.advance(chrono::TimeDelta::hours(3));
    assert_eq!(server.record(record).await.unwrap().flags, flags);
}

#[tokio::test]
async fn a_batch_is_recorded_whole_and_repeated_whole() {
    let server = TestServer::start().await;
    let batch = || {
        (1..=300)
            .map(|number| plain(record(number)))
            .collect::<Vec<_>>()
    };
    let first = submit_batch(&server, batch()).await.unwrap();
    assert_eq!(
        first
            .iter()
            .map(|receipt| receipt.index)
            .collect::<Vec<_>>(),
        (1..=300).collect::<Vec<_>>()
    );
    for receipt in &first {
        assert_eq!(server.check(receipt).size.value(), 301);
    }
    let again = submit_batch(&server, batch()).await.unwrap();
    assert_eq!(again, first);

    let overlap: Vec<_> = (298..303).map(|number| plain(record(number))).collect();
    let status = submit_batch(&server, overlap).await.unwrap_err();
    let details = refused(&status, Code::AlreadyExists, "BATCH_PARTLY_RECORDED");
    assert_eq!(metadata(&details, "item"), "0");
    assert_eq!(metadata(&details, "index"), "298");

    let taken = pb::Record {
        record_id: uuid(7),
        ..record(8)
    };
    let mixed = vec![plain(record(400)), plain(taken)];
    let status = submit_batch(&server, mixed).await.unwrap_err();
    let details = refused(&status, Code::AlreadyExists, "RECORD_ID_TAKEN");
    assert_eq!(metadata(&details, "item"), "1");
    assert_eq!(metadata(&details, "index"), "7");
    assert_eq!(server.record(record(400)).await.unwrap().index, 301);
}

/// A record of a patient's, as a nurse tells it.
fn told(number: u32, patient: &str, kind: Kind) -> pb::Record {
    pb::Record {
        schema_version: 1,
        event_time: "2026-11-22T10:00:00+08:00".to_owned(),
        site: "9521123001015".to_owned(),
        site_tz: "Asia/Shanghai".to_owned(),
        actor_person: "ward-1.nurse-2".to_owned(),
        actor_role: pb::ActorRole::Nurse.into(),
        signature_meaning: pb::SignatureMeaning::Authorship.into(),
        source_kind: pb::SourceKind::Direct.into(),
        patient: patient.to_owned(),
        kind: Some(kind),
        ..record(number)
    }
}

/// A chain of identity is a patient's.
fn coi_assigned(number: u32, patient: &str) -> pb::Record {
    let assigned = pb::CoiAssigned {
        coi: "CHZ000126000001".to_owned(),
        product_id: "SYN-CAR19".to_owned(),
        ..pb::CoiAssigned::default()
    };
    told(number, patient, Kind::CoiAssigned(assigned))
}

/// A lot was given whose label could not be read.
fn given(number: u32, patient: &str) -> pb::Record {
    let administration = pb::Administration {
        product_id: "SYN-CAR19".to_owned(),
        lot: Some(pb::LotKey {
            quality: pb::IdentifierQuality::Unreadable.into(),
            as_read: "a smear".to_owned(),
            ..pb::LotKey::default()
        }),
        status: pb::AdministrationStatus::Given.into(),
        dose_actual: Some(pb::Quantity {
            value: "118000000".to_owned(),
            unit: "{cells}".to_owned(),
            ..pb::Quantity::default()
        }),
        dose_number: 1,
        route: Some(pb::Code {
            system: "http://snomed.info/sct".to_owned(),
            code: "47625008".to_owned(),
            display: "intravenous route".to_owned(),
            ..pb::Code::default()
        }),
        performer: "ward-1.nurse-2".to_owned(),
        ..pb::Administration::default()
    };
    told(number, patient, Kind::Administration(administration))
}

/// The codes and fields of each receipt's flags.
fn flags_of(receipts: &[Receipt]) -> Vec<Vec<(String, String)>> {
    let told = |flag: &pb::Flag| pair(&flag.field, &flag.code);
    let flags = receipts.iter().map(|receipt| &receipt.flags);
    flags
        .map(|flags| flags.iter().map(told).collect())
        .collect()
}

async fn submit_singly(server: &TestServer, submissions: Vec<pb::Submission>) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for submission in submissions {
        receipts.push(submit(server, submission).await.unwrap());
    }
    receipts
}

#[tokio::test]
async fn a_batch_is_flagged_as_its_records_are_one_by_one() {
    let (together, singly) = (TestServer::start().await, TestServer::start().await);
    let key = SigningKey::from_bytes(&[21; 32]);
    let late = pb::Record {
        client_time: "2026-11-22T15:00:00Z".to_owned(),
        ..record(1)
    };
    let batch = || {
        let records = [
            late.clone(),
            given(2, "P-1"),
            coi_assigned(3, "P-1"),
            record(4),
            coi_assigned(5, "P-2"),
        ];
        let signed = [signed(&record(6), &key), signed(&given(7, "P-2"), &key)];
        records
            .map(plain)
            .into_iter()
            .chain(signed)
            .collect::<Vec<_>>()
    };
    for server in [&together, &singly] {
        server.record(key_registered(20, &key)).await.unwrap();
    }
    let request = RecordBatchRequest {
        submissions: batch(),
        validate_only: true,
    };
    let preview = together.recording().record_batch(as_actor(request)).await;
    let preview = flags_of(&preview.unwrap().into_inner().receipts);
    let first = flags_of(&submit_batch(&together, batch()).await.unwrap());
    assert_eq!(first, flags_of(&submit_singly(&singly, batch()).await));
    assert_eq!(first, preview);
    let raised = |item: usize, field: &str, code: &str| first[item].contains(&pair(field, code));
    assert!(raised(0, "client_time", "CLIENT_CLOCK_SKEW"));
    assert!(raised(1, "administration.lot", "IDENTIFIER_UNVERIFIED"));
    assert!(raised(4, "coi_assigned.coi", "COI_OF_TWO_PATIENTS"));
    assert!(raised(6, "administration.lot", "IDENTIFIER_UNVERIFIED"));
    assert_eq!(first[3], []);
    assert_eq!(first[5], []);

    for server in [&together, &singly] {
        server.record(key_revoked(21, &key)).await.unwrap();
    }
    let again = flags_of(&submit_batch(&together, batch()).await.unwrap());
    assert_eq!(again, flags_of(&submit_singly(&singly, batch()).await));
    assert_eq!(again[..5], first[..5]);
    assert_eq!(again[5], [pair("", "SUSPECT_KEY")]);
}

#[tokio::test]
async fn what_is_wrong_in_a_batch_is_told_by_item_and_nothing_of_it_is_recorded() {
    let server = TestServer::start().await;
    let wrong = vec![
        plain(record(1)),
        plain(wrong_record(2)),
        pb::Submission::default(),
        plain(record(1)),
    ];
    let found = violations(&submit_batch(&server, wrong).await.unwrap_err());
    assert!(found.contains(&pair(
        "submissions[1].record.lot_registered.gtin",
        "GTIN_CHECK_DIGIT"
    )));
    assert!(found.contains(&pair("submissions[2].record", "REQUIRED")));
    assert!(found.contains(&pair(
        "submissions[3].record.record_id",
        "RECORD_ID_REPEATED"
    )));

    let size = [pair("submissions", "BATCH_SIZE")];
    assert_eq!(
        violations(&submit_batch(&server, Vec::new()).await.unwrap_err()),
        size
    );
    let many = (0..1_001).map(|number| plain(record(number))).collect();
    assert_eq!(
        violations(&submit_batch(&server, many).await.unwrap_err()),
        size
    );

    let signer = SigningKey::from_bytes(&[99; 32]);
    let unknown = vec![plain(record(1)), signed(&record(2), &signer)];
    let status = submit_batch(&server, unknown).await.unwrap_err();
    let details = refused(&status, Code::FailedPrecondition, "AUTHOR_KEY_REFUSED");
    assert_eq!(metadata(&details, "item"), "1");
    assert_eq!(server.record(record(3)).await.unwrap().index, 1);
}

#[tokio::test]
async fn a_violation_for_each_of_a_thousand_records_still_fits_into_the_answer() {
    let server = TestServer::start().await;
    let wrong = (0..1_000)
        .map(|number| plain(wrong_record(number)))
        .collect();
    let status = submit_batch(&server, wrong).await.unwrap_err();
    let details = refused(&status, Code::InvalidArgument, "FIELD_INVALID");
    let total: usize = metadata(&details, "violations").parse().unwrap();
    assert!(3_000 < total);
    assert!(20 < details.bad_request().unwrap().field_violations.len());
    assert!(status.details().len() < 6_000, "{}", status.details().len());
}

#[tokio::test]
async fn a_stream_is_answered_in_order_whatever_becomes_of_its_items() {
    stream_of_all_kinds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_is_answered_in_order_by_several_threads_as_well() {
    stream_of_all_kinds().await;
}

#[expect(clippy::panic, reason = "a part of two tests")]
async fn stream_of_all_kinds() {
    let server = TestServer::start().await;
    let items = (0..600_u32).map(|number| RecordStreamRequest {
        submission: Some(match number % 4 {
            1 => plain(wrong_record(number)),
            2 => pb::Submission::default(),
            3 => plain(pb::Record {
                record_id: uuid(0),
                ..record(number)
            }),
            _ => plain(record(number)),
        }),
    });
    let stream = tokio_stream::iter(items.collect::<Vec<_>>());
    let answers = server
        .recording()
        .record_stream(as_actor(stream))
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.collect::<Result<_, _>>().await.unwrap();
    assert_eq!(answers.len(), 600);
    let mut index = 0;
    for (number, answer) in (0_u32..).zip(answers) {
        match (number % 4, answer.outcome.unwrap()) {
            (0, Outcome::Receipt(receipt)) => {
                index += 1;
                assert_eq!(receipt.index, index);
                let entry = EntryView::parse(&receipt.entry).unwrap();
                assert_eq!(entry.record, record(number).encode_to_vec());
                server.check(&receipt);
            }
            (1 | 2, Outcome::Error(error)) => {
                let status = unary(error);
                assert!(
                    violations(&status)
                        .iter()
                        .all(|(field, _)| field.starts_with("submission."))
                );
            }
            (3, Outcome::Error(error)) => {
                refused(&unary(error), Code::AlreadyExists, "RECORD_ID_TAKEN");
            }
            (_, outcome) => panic!("item {number}: {outcome:?}"),
        }
    }
}

/// The status of an item, as that of a call.
fn unary(status: tonic_types::Status) -> Status {
    let details = status.encode_to_vec().into();
    Status::with_details(Code::from(status.code), status.message, details)
}

#[tokio::test]
async fn a_stream_answers_an_item_before_the_next_one_comes() {
    let server = TestServer::start().await;
    let (items, stream) = mpsc::channel(1);
    let stream = as_actor(ReceiverStream::new(stream));
    let mut answers = server
        .recording()
        .record_stream(stream)
        .await
        .unwrap()
        .into_inner();
    for number in 1..=3 {
        let submission = Some(plain(record(number)));
        items
            .send(RecordStreamRequest { submission })
            .await
            .unwrap();
        let answer = answers.next().await.unwrap().unwrap().outcome.unwrap();
        let Outcome::Receipt(receipt) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(receipt.index, u64::from(number));
    }
    drop(items);
    assert!(answers.next().await.is_none());
}

#[tokio::test]
async fn a_stream_whose_caller_does_not_fetch_answers_is_read_no_further_and_loses_nothing() {
    let server = TestServer::start().await;
    let items: Vec<_> = (1..=5_000)
        .map(|number| RecordStreamRequest {
            submission: Some(plain(record(number))),
        })
        .collect();
    let stream = as_actor(tokio_stream::iter(items));
    let mut answers = server
        .recording()
        .record_stream(stream)
        .await
        .unwrap()
        .into_inner();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(server.record(record(9_999)).await.unwrap().index < 4_000);
    let mut count = 0;
    while let Some(answer) = answers.next().await {
        assert!(matches!(answer.unwrap().outcome, Some(Outcome::Receipt(_))));
        count += 1;
    }
    assert_eq!(count, 5_000);
}

#[tokio::test]
async fn a_stream_needs_an_actor() {
    let server = TestServer::start().await;
    let stream = tokio_stream::iter(Vec::<RecordStreamRequest>::new());
    let status = server.recording().record_stream(stream).await.unwrap_err();
    refused(&status, Code::Unauthenticated, "ACTOR_MISSING");
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let server = TestServer::start().await;
    let (_items, stream) = mpsc::channel::<RecordStreamRequest>(1);
    let mut stream = as_actor(ReceiverStream::new(stream));
    stream
        .metadata_mut()
        .insert("grpc-timeout", "50m".parse().unwrap());
    let mut answers = server
        .recording()
        .record_stream(stream)
        .await
        .unwrap()
        .into_inner();
    let status = answers.next().await.unwrap().unwrap_err();
    refused(&status, Code::DeadlineExceeded, "DEADLINE_PASSED");
}

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_as_such() {
    let server = TestServer::start().await;
    let form = Some(Form::Encoded(vec![0; 5 << 20]));
    let status = submit(&server, pb::Submission { form, author: None })
        .await
        .unwrap_err();
    refused(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
    let large = |number: u32| {
        let mut bytes = record(number).encode_to_vec();
        bytes.extend([0xfa, 0xff, 0x03, 0xe0, 0xd4, 0x03]);
        bytes.resize(bytes.len() + 60_000, 0);
        pb::Submission {
            form: Some(Form::Encoded(bytes)),
            author: None,
        }
    };
    let status = submit_batch(&server, (0..70).map(large).collect())
        .await
        .unwrap_err();
    assert_eq!(violations(&status), [pair("submissions", "BATCH_BYTES")]);
    submit_batch(&server, (0..60).map(large).collect())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_clock_that_went_back_records_nothing() {
    let server = TestServer::start().await;
    server.record(record(1)).await.unwrap();
    server.clock.advance(-chrono::TimeDelta::hours(1));
    let status = server.record(record(2)).await.unwrap_err();
    // What happens at ten is not yet at eleven.
    let details = refused(&status, Code::Unavailable, "CLOCK_WRONG");
    assert_eq!(metadata(&details, "seconds"), "3600");
    assert!(status.get_details_retry_info().is_some());
}
