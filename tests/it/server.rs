//! The server as a whole: what it refuses before any method sees it, what it says of itself, and how it
//! ends.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use genetrail::{
    pb::{ListEntriesRequest, RecordRequest, RecordStreamRequest, record_stream_response::Outcome},
    server::{ServeError, Settings, start},
};
use prost::Message as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Code, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::{
    ADMINISTRATOR, TestServer, as_actor, plain,
    raw::{RawClient, frame},
    record, refused,
};

const RECORD: &str = "/genetrail.v1.RecordingService/Record";
const ACTOR: (&str, &str) = ("genetrail-actor", ADMINISTRATOR);

fn request(number: u32) -> Vec<u8> {
    let submission = Some(plain(record(number)));
    frame(
        &RecordRequest {
            submission,
            validate_only: false,
        }
        .encode_to_vec(),
    )
}

#[tokio::test]
async fn what_is_no_request_is_refused_as_the_callers_mistake() {
    let server = TestServer::start().await;
    let client = RawClient::connect(server.running.addr).await;
    let malformed = (Code::InvalidArgument, "MESSAGE_MALFORMED");
    let mut compressed = request(1);
    compressed[0] = 1;
    let mut flagged = request(1);
    flagged[0] = 7;
    let mut nested = vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f];
    nested.extend([0x0b; 10_000]);
    let whole = request(1);
    let cases: &[(&str, &[u8], (Code, &str))] = &[
        ("garbage", &frame(&[0xff; 50]), malformed),
        ("a wrong wire type", &frame(&[0x0d, 1, 2, 3, 4]), malformed),
        ("a length beyond the end", &frame(&nested), malformed),
        ("groups without end", &frame(&[0x0b; 10_000]), malformed),
        ("no message", &[], malformed),
        ("half a frame's head", &whole[..3], malformed),
        ("half a message", &whole[..whole.len() - 1], malformed),
        ("an unknown flag", &flagged, malformed),
        ("a compressed message", &compressed, malformed),
        (
            "a length of 4 GiB",
            &[0, 0xff, 0xff, 0xff, 0xff],
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        ),
    ];
    for (what, body, (code, reason)) in cases {
        let answer = client.call(RECORD, &[ACTOR], body).await;
        assert_eq!(answer.status.code(), *code, "{what}: {:?}", answer.status);
        refused(&answer.status, *code, reason);
    }
    let gzip = client
        .call(RECORD, &[ACTOR, ("grpc-encoding", "gzip")], &compressed)
        .await;
    refused(&gzip.status, Code::Unimplemented, "COMPRESSION_UNKNOWN");
    for path in [
        "/genetrail.v1.RecordingService/Erase",
        "/genetrail.v1.Nothing/Record",
        "/",
        "/x",
    ] {
        let answer = client.call(path, &[ACTOR], &request(1)).await;
        refused(&answer.status, Code::Unimplemented, "METHOD_UNKNOWN");
    }
    // And what is one is answered.
    let answer = client.call(RECORD, &[ACTOR], &request(1)).await;
    assert_eq!(answer.status.code(), Code::Ok);
    assert_eq!(server.record(record(2)).await.unwrap().index, 2);
}

#[tokio::test]
async fn a_deadline_that_passes_is_told_as_such_and_nothing_is_recorded_late() {
    let server = TestServer::start().await;
    let client = RawClient::connect(server.running.addr).await;
    // Each has a record of its own: one that was taken in all the same would be answered at once.
    for (timeout, number) in [("0n", 1), ("1n", 2), ("1u", 3)] {
        let answer = client
            .call(
                RECORD,
                &[ACTOR, ("grpc-timeout", timeout)],
                &request(number),
            )
            .await;
        refused(&answer.status, Code::DeadlineExceeded, "DEADLINE_PASSED");
    }
    let answer = client
        .call(RECORD, &[ACTOR, ("grpc-timeout", "10S")], &request(1))
        .await;
    assert_eq!(answer.status.code(), Code::Ok);
}

#[tokio::test]
async fn every_answer_bears_a_request_id_the_callers_own_if_it_has_one() {
    let server = TestServer::start().await;
    let client = RawClient::connect(server.running.addr).await;
    let id = async |headers: &[(&str, &str)], path: &str| {
        let answer = client.call(path, headers, &request(1)).await;
        answer
            .headers
            .get("x-request-id")
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        id(&[ACTOR, ("x-request-id", "abc-1")], RECORD).await,
        "abc-1"
    );
    assert_eq!(id(&[("x-request-id", "abc-2")], RECORD).await, "abc-2");
    assert_eq!(id(&[("x-request-id", "abc-3")], "/x").await, "abc-3");
    let (one, two) = (
        id(&[ACTOR], RECORD).await,
        id(&[ACTOR, ("x-request-id", "a b")], RECORD).await,
    );
    assert!(one != two && two != "a b");
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    let mut server = TestServer::start().await;
    server.stop().await.unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let ledger = server.open_ledger();
        let listen: SocketAddr = listen.parse().unwrap();
        let settings = Settings {
            listen,
            ..Settings::default()
        };
        let refused = start(ledger, Arc::clone(&server.clock) as _, settings)
            .await
            .unwrap_err();
        assert!(matches!(refused, ServeError::NotLoopback { addr } if addr == listen));
    }
}

#[tokio::test]
async fn health_is_told_for_the_server_and_for_each_service() {
    let server = TestServer::start().await;
    let mut health = HealthClient::new(server.channel());
    for service in [
        "",
        "genetrail.v1.RecordingService",
        "genetrail.v1.LedgerService",
        "genetrail.v1.TraceService",
        "genetrail.v1.ConsentService",
        "genetrail.v1.FollowUpService",
        "genetrail.v1.ConsentService",
    ] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service}");
    }
    let request = HealthCheckRequest {
        service: "genetrail.v1.Nothing".to_owned(),
    };
    assert_eq!(
        health.check(request).await.unwrap_err().code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn reflection_knows_every_service_and_the_details_of_errors() {
    let server = TestServer::start().await;
    let mut client = ServerReflectionClient::new(server.channel());
    let ask = |message_request| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol(
            "genetrail.v1.RecordingService".to_owned(),
        )),
        ask(MessageRequest::FileContainingSymbol(
            "genetrail.v1.Record".to_owned(),
        )),
        ask(MessageRequest::FileContainingSymbol(
            "google.rpc.ErrorInfo".to_owned(),
        )),
    ];
    let answers = client
        .server_reflection_info(tokio_stream::iter(requests))
        .await
        .unwrap();
    let answers: Vec<_> = answers
        .into_inner()
        .collect::<Result<_, _>>()
        .await
        .unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = &answers[0].message_response else {
        panic!("{:?}", answers[0]);
    };
    let mut names: Vec<&str> = list
        .service
        .iter()
        .map(|service| service.name.as_str())
        .collect();
    names.sort_unstable();
    let expected = [
        "genetrail.v1.ConsentService",
        "genetrail.v1.FollowUpService",
        "genetrail.v1.LedgerService",
        "genetrail.v1.RecordingService",
        "genetrail.v1.TraceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(names, expected);
    for answer in &answers[1..] {
        let found = answer.message_response.as_ref().unwrap();
        assert!(
            matches!(found, MessageResponse::FileDescriptorResponse(_)),
            "{found:?}"
        );
    }
}

/// The page of the metrics.
async fn page(addr: SocketAddr) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).await.unwrap();
    page
}

#[tokio::test]
async fn metrics_are_read_from_their_own_listener_and_name_no_actor() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let server = TestServer::start_with(|settings| settings.metrics = Some(listen)).await;
    server.record(record(1)).await.unwrap();
    server.record(plain_wrong()).await.unwrap_err();
    let page = page(server.running.metrics_addr.unwrap()).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    for line in [
        "genetrail_calls_total{method=\"/genetrail.v1.RecordingService/Record\",code=\"Ok\"}",
        "genetrail_calls_total{method=\"/genetrail.v1.RecordingService/Record\",code=\"InvalidArgument\"}",
        "genetrail_call_seconds_bucket{method=\"/genetrail.v1.RecordingService/Record\"",
        "genetrail_commit_entries_bucket",
        "genetrail_entries_total",
        "genetrail_tree_size",
        "genetrail_queue_kib",
        "genetrail_stopped 0",
    ] {
        assert!(page.contains(line), "{line} is missing in\n{page}");
    }
    assert!(!page.contains(ADMINISTRATOR));
}

fn plain_wrong() -> genetrail::pb::Record {
    crate::support::wrong_record(2)
}

#[tokio::test]
async fn a_server_that_ends_answers_what_it_took_in() {
    let mut server = TestServer::start().await;
    let (items, stream) = mpsc::channel(512);
    let stream = as_actor(ReceiverStream::new(stream));
    let mut answers = server
        .recording()
        .record_stream(stream)
        .await
        .unwrap()
        .into_inner();
    for number in 1..=400 {
        let submission = Some(plain(record(number)));
        items
            .send(RecordStreamRequest { submission })
            .await
            .unwrap();
    }
    let first = answers.next().await.unwrap().unwrap();
    let unary: Vec<_> = (1_001..1_033)
        .map(|number| {
            let mut client = server.recording();
            let submission = Some(plain(record(number)));
            let request = as_actor(RecordRequest {
                submission,
                validate_only: false,
            });
            tokio::spawn(async move { client.record(request).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.running.shut_down();

    let mut receipts = vec![first];
    let end = loop {
        match answers.next().await {
            Some(Ok(answer)) => receipts.push(answer),
            Some(Err(status)) => break status,
            None => panic!("the stream was not cut"),
        }
    };
    refused(&end, Code::Unavailable, "SHUTTING_DOWN");
    for answer in unary {
        match answer.await.unwrap() {
            Ok(receipt) => drop(server.check(&receipt.into_inner().receipt.unwrap())),
            // It came too late to be taken in.
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    }
    server.running.ended().await.unwrap();

    // What was answered is there; what was not was not taken in, or is answered again.
    server.start_again().await;
    for (number, answer) in (1..).zip(receipts) {
        let Some(Outcome::Receipt(receipt)) = answer.outcome else {
            panic!("{answer:?}")
        };
        let again = server.record(record(number)).await.unwrap();
        assert_eq!((again.index, again.entry), (receipt.index, receipt.entry));
    }
}

#[tokio::test]
async fn a_stream_that_never_ends_is_cut_after_the_grace_period() {
    let mut server =
        TestServer::start_with(|settings| settings.grace = Duration::from_millis(200)).await;
    for number in 1..200 {
        server.record(record(number)).await.unwrap();
    }
    // One that nobody reads, one that only watches, one that could go on.
    let request = ListEntriesRequest { start: 0, end: 0 };
    let _unread = server.ledger().list_entries(request).await.unwrap();
    let mut health = HealthClient::new(server.channel());
    let mut watching = health
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        watching.next().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    let began = tokio::time::Instant::now();
    tokio::time::timeout(Duration::from_secs(10), server.stop())
        .await
        .unwrap()
        .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_ledger_that_stops_takes_the_server_with_it() {
    let mut server = TestServer::start().await;
    for number in 1..1_000 {
        server.record(record(number)).await.unwrap();
    }
    server.restart().await;
    // What was read back in this process is in memory; the rest is not there any more.
    let store = server.dir().join("store");
    for file in std::fs::read_dir(store).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
            std::fs::write(&file, vec![0x5a; length]).unwrap();
        }
    }
    let request = ListEntriesRequest { start: 0, end: 0 };
    let entries = server
        .ledger()
        .list_entries(request)
        .await
        .unwrap()
        .into_inner();
    let entries: Result<Vec<_>, Status> = entries.collect().await;
    refused(&entries.unwrap_err(), Code::Unavailable, "STORE_FAILED");
    let ended = tokio::time::timeout(Duration::from_secs(10), server.running.ended())
        .await
        .unwrap();
    assert!(matches!(ended, Err(ServeError::LedgerStopped)), "{ended:?}");
}

#[tokio::test]
async fn idle_streams_leave_the_server_to_others() {
    let server = TestServer::start().await;
    let client = RawClient::connect(server.running.addr).await;
    let path = "/genetrail.v1.RecordingService/RecordStream";
    let mut idle = Vec::new();
    for _ in 0..10_000 {
        idle.push(client.open(path, &[ACTOR]).await);
    }
    let answer = client.call(RECORD, &[ACTOR], &request(1)).await;
    assert_eq!(answer.status.code(), Code::Ok, "{:?}", answer.status);
    assert_eq!(server.record(record(2)).await.unwrap().index, 2);
    drop(idle);
    let status: Status = client.call(RECORD, &[ACTOR], &request(3)).await.status;
    assert_eq!(status.code(), Code::Ok);
}
