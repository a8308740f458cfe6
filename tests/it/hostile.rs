//! Callers that mean harm, or are only broken: they open and do not read, send and do not listen, go away in
//! the middle, or send what is no HTTP/2. Afterwards the server is healthy, records, and has not grown.

#![expect(clippy::panic, reason = "a test that cannot go on has failed")]

use std::{
    env, fs,
    net::SocketAddr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use genetrail::{
    pb::{
        self, ListEntriesRequest, RecordBatchRequest, RecordRequest, RecordStreamRequest,
        RecordStreamResponse, ledger_service_client::LedgerServiceClient, record::Kind,
        record_stream_response::Outcome, recording_service_client::RecordingServiceClient,
    },
    record::entry::EntryView,
    tlog::leaf_hash,
};
use prost::Message as _;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Streaming,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    ADMINISTRATOR, TestServer, as_actor, plain,
    raw::{RawClient, frame},
    record, refused,
};

/// The number of a record that no test has used yet.
const FRESH: u32 = 1 << 30;

const RECORD: &str = "/genetrail.v1.RecordingService/Record";

const ACTOR: (&str, &str) = ("genetrail-actor", ADMINISTRATOR);

/// A connection of its own. It takes in no more than HTTP/2 asks of everybody, so that what is not read
/// has to wait at the server.
async fn connect(server: &TestServer) -> Channel {
    let url = format!("http://{}", server.running.addr);
    let endpoint = Endpoint::from_shared(url).unwrap();
    let endpoint = endpoint.initial_stream_window_size(65_535);
    endpoint
        .initial_connection_window_size(65_535)
        .connect()
        .await
        .unwrap()
}

/// A connection as a good citizen makes it.
async fn connect_well(server: &TestServer) -> Channel {
    let url = format!("http://{}", server.running.addr);
    Endpoint::from_shared(url).unwrap().connect().await.unwrap()
}

/// Demands of a server that others have mistreated that it is healthy, and that a good record is answered
/// with a receipt that proves itself.
async fn is_well(server: &TestServer) {
    let channel = connect_well(server).await;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let health = HealthClient::new(channel.clone())
        .check(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);
    server.check(&submit(channel, record(FRESH)).await);
}

async fn submit(channel: Channel, record: pb::Record) -> pb::Receipt {
    let request = RecordRequest {
        submission: Some(plain(record)),
        validate_only: false,
    };
    let answer = RecordingServiceClient::new(channel)
        .record(as_actor(request))
        .await
        .unwrap();
    answer.into_inner().receipt.unwrap()
}

fn item(record: pb::Record) -> RecordStreamRequest {
    RecordStreamRequest {
        submission: Some(plain(record)),
    }
}

/// A good record of some 5 KB.
fn large_record(number: u32) -> pb::Record {
    let mut record = record(number);
    if let Some(Kind::SystemConfigChanged(changed)) = &mut record.kind {
        changed.old = "old ".repeat(70);
        changed.new = "new ".repeat(70);
    }
    record.reason = "reason ".repeat(280);
    record.late_reason = "reason ".repeat(280);
    record
}

/// Records as many large records.
async fn fill(server: &TestServer, records: u32) {
    let numbers: Vec<u32> = (0..records).collect();
    for numbers in numbers.chunks(750) {
        let submissions = numbers.iter().map(|number| plain(large_record(*number)));
        let request = RecordBatchRequest {
            submissions: submissions.collect(),
            validate_only: false,
        };
        let recorded = server.recording().record_batch(as_actor(request)).await;
        recorded.unwrap();
    }
}

/// The memory that this process holds, in MiB: for tests that run [`alone`].
fn resident_mib() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    (resident * 4_096) >> 20
}

/// Set in the process of a test that runs alone.
const ALONE: &str = "GENETRAIL_TEST_ALONE";

/// Runs a test in a process of its own, so that what the process holds is the test's.
#[track_caller]
fn alone(name: &str, test: impl Future<Output = ()>) {
    if env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        return runtime.unwrap().block_on(test);
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([&format!("hostile::{name}"), "--exact", "--nocapture"])
        .env(ALONE, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let was_run = output.status.success() && printed.contains(" 1 passed;");
    assert!(
        was_run,
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn ten_thousand_idle_streams_cost_little_and_leave_the_server_to_others() {
    alone(
        "ten_thousand_idle_streams_cost_little_and_leave_the_server_to_others",
        idle_streams(),
    );
}

async fn idle_streams() {
    let mut server = TestServer::start().await;
    fill(&server, 100).await;
    let before = (resident_mib(), descriptors());
    let mut idle = Vec::new();
    for _ in 0..20 {
        let channel = connect(&server).await;
        let mut recording = RecordingServiceClient::new(channel.clone());
        let mut ledger = LedgerServiceClient::new(channel);
        for _ in 0..250 {
            let (items, stream) = mpsc::channel::<RecordStreamRequest>(1);
            let stream = as_actor(ReceiverStream::new(stream));
            let answers = recording.record_stream(stream).await.unwrap();
            let entries = ledger
                .list_entries(ListEntriesRequest::default())
                .await
                .unwrap();
            idle.push((items, answers, entries));
        }
    }
    assert_eq!(2 * idle.len(), 10_000);
    // 100 KiB each, those of the callers included, which are in this process, too.
    let after = (resident_mib(), descriptors());
    assert!(
        after.0 < before.0 + 1_000,
        "from {} to {} MiB",
        before.0,
        after.0
    );
    assert!(
        after.1 < before.1 + 200,
        "from {} to {} descriptors",
        before.1,
        after.1
    );

    let channel = connect_well(&server).await;
    let mut calls = JoinSet::new();
    for number in 1_000..1_500 {
        calls.spawn(submit(channel.clone(), record(number)));
    }
    for receipt in calls.join_all().await {
        server.check(&receipt);
    }
    drop(idle);
    is_well(&server).await;
    server.stop().await.unwrap();
}

#[test]
fn slow_readers_of_a_long_log_hold_nothing_of_it() {
    alone(
        "slow_readers_of_a_long_log_hold_nothing_of_it",
        slow_readers(),
    );
}

async fn slow_readers() {
    let server = TestServer::start().await;
    // 15 MB of entries: 50 readers would hold 750 MB.
    fill(&server, 3_000).await;
    let before = resident_mib();
    let mut readers = Vec::new();
    for _ in 0..50 {
        let mut ledger = LedgerServiceClient::new(connect(&server).await);
        let entries = ledger.list_entries(ListEntriesRequest::default()).await;
        let mut entries = entries.unwrap().into_inner();
        let first = entries.message().await.unwrap().unwrap();
        readers.push((first, entries));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = resident_mib();
    assert!(after < before + 60, "from {before} to {after} MiB");
    is_well(&server).await;

    // What comes at last is the log as it was when it was asked for.
    let (first, mut slow) = readers.pop().unwrap();
    let mut previous = leaf_hash(&first.entry);
    let mut count = 1;
    while let Some(entry) = slow.message().await.unwrap() {
        assert_eq!(EntryView::parse(&entry.entry).unwrap().previous, previous);
        previous = leaf_hash(&entry.entry);
        count += 1;
    }
    assert_eq!(count, 3_001);
}

/// A stream of large records whose answers nobody fetches, until it takes no more: the answers, and what will
/// send the rest of `items`, which were this many when it stalled.
async fn stalled(
    channel: Channel,
    items: u32,
) -> (Streaming<RecordStreamResponse>, JoinHandle<()>, u32) {
    let (sender, stream) = mpsc::channel(1);
    let mut recording = RecordingServiceClient::new(channel);
    let stream = as_actor(ReceiverStream::new(stream));
    let answers = recording.record_stream(stream).await.unwrap().into_inner();
    let sent = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        for number in 0..items {
            sender.send(item(large_record(number))).await.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = sent.load(Ordering::SeqCst);
        if now == last {
            return (answers, sending, now);
        }
        last = now;
    }
}

#[test]
fn a_stream_whose_answers_are_not_fetched_is_held_back_and_loses_nothing() {
    alone(
        "a_stream_whose_answers_are_not_fetched_is_held_back_and_loses_nothing",
        a_stream_without_a_listener(),
    );
}

async fn a_stream_without_a_listener() {
    const ITEMS: u32 = 5_000;
    let server = TestServer::start().await;
    let before = resident_mib();
    // 25 MB, and as much again of answers.
    let (mut answers, sending, sent) = stalled(connect(&server).await, ITEMS).await;
    let after = resident_mib();
    assert!(sent < 1_000, "{sent} items were taken in");
    assert!(after < before + 40, "from {before} to {after} MiB");
    is_well(&server).await;

    let mut count = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(Outcome::Receipt(receipt)) = answer.outcome else {
            panic!("item {count} is refused")
        };
        if count % 500 == 0 {
            server.check(&receipt);
        }
        count += 1;
    }
    assert_eq!(count, ITEMS);
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_whose_answers_are_not_fetched_leave_their_connection_to_other_calls() {
    let server = TestServer::start().await;
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(stalled(server.channel(), u32::MAX).await);
    }
    let other = submit(server.channel(), record(FRESH));
    let receipt = tokio::time::timeout(Duration::from_secs(10), other).await;
    server.check(&receipt.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_given_up_in_the_middle_leave_the_server_well_and_their_records_whole() {
    let server = TestServer::start().await;
    for round in 0..20 {
        let first = round * 1_000;
        let channel = connect_well(&server).await;
        let mut calls = JoinSet::new();
        for number in first..first + 50 {
            calls.spawn(submit(channel.clone(), record(number)));
        }
        let stream = tokio_stream::iter((first + 100..first + 400).map(record).map(item));
        let mut recording = RecordingServiceClient::new(channel.clone());
        let mut answers = recording
            .record_stream(as_actor(stream))
            .await
            .unwrap()
            .into_inner();
        let mut entries = LedgerServiceClient::new(channel);
        let mut entries = entries
            .list_entries(ListEntriesRequest::default())
            .await
            .unwrap();
        answers.message().await.unwrap().unwrap();
        entries.get_mut().message().await.unwrap().unwrap();
        // Every one is dropped, and with the last of them the connection.
        calls.abort_all();
    }
    is_well(&server).await;
    let mut recorded = std::collections::BTreeSet::new();
    for number in (0..50).chain(100..400) {
        let receipt = server.record(record(number)).await.unwrap();
        server.check(&receipt);
        assert!(
            recorded.insert(receipt.index),
            "entry {} twice",
            receipt.index
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deadlines_of_a_millisecond_under_load_leave_the_server_well() {
    let server = TestServer::start().await;
    let channel = server.channel();
    let mut calls = JoinSet::new();
    for number in 0..2_000 {
        let mut recording = RecordingServiceClient::new(channel.clone());
        let mut request = as_actor(RecordRequest {
            submission: Some(plain(record(number))),
            validate_only: false,
        });
        let deadline = if number % 2 == 0 { 1 } else { 30_000 };
        request.set_timeout(Duration::from_millis(deadline));
        calls.spawn(async move { (number, recording.record(request).await) });
    }
    let mut given_up = Vec::new();
    for (number, answer) in calls.join_all().await {
        match answer {
            Ok(answer) => drop(server.check(&answer.into_inner().receipt.unwrap())),
            // Whichever clock was first: the client's says cancelled.
            Err(status) => {
                let passed = [Code::DeadlineExceeded, Code::Cancelled].contains(&status.code());
                assert!(passed && number % 2 == 0, "{number}: {status:?}");
                given_up.push(number);
            }
        }
    }
    assert!(!given_up.is_empty());
    is_well(&server).await;
    for number in given_up.into_iter().take(100) {
        server.check(&server.record(record(number)).await.unwrap());
    }
}

#[tokio::test]
async fn records_and_batches_beyond_their_limits_are_refused_by_field() {
    let server = TestServer::start().await;
    let long = "a".repeat(65_535);
    let mut setting = record(1);
    let Some(Kind::SystemConfigChanged(changed)) = &mut setting.kind else {
        panic!("{setting:?}")
    };
    (changed.old, changed.new) = (long.clone(), long.clone());
    let texts = pb::Record {
        reason: long,
        ..setting
    };
    let links = pb::Record {
        links: vec![pb::Link::default(); 20_000],
        ..record(2)
    };
    for (record, field) in [
        (texts, "submission.record.reason"),
        (links, "submission.record.links"),
    ] {
        let status = server.record(record).await.unwrap_err();
        let details = refused(&status, Code::InvalidArgument, "FIELD_INVALID");
        let violations = &details.bad_request().unwrap().field_violations;
        assert!(
            violations.iter().any(|violation| violation.field == field),
            "{violations:?}"
        );
    }
    let batch = |size| RecordBatchRequest {
        submissions: (0..size).map(record).map(plain).collect(),
        validate_only: false,
    };
    let status = server
        .recording()
        .record_batch(as_actor(batch(1_001)))
        .await
        .unwrap_err();
    refused(&status, Code::InvalidArgument, "FIELD_INVALID");
    let whole = server
        .recording()
        .record_batch(as_actor(batch(1_000)))
        .await
        .unwrap();
    assert_eq!(whole.into_inner().receipts.len(), 1_000);
    is_well(&server).await;
}

#[tokio::test]
async fn messages_nested_without_end_are_refused_and_harm_nothing() {
    let server = TestServer::start().await;
    let client = RawClient::connect(server.running.addr).await;
    let request = RecordRequest {
        submission: Some(plain(record(1))),
        validate_only: true,
    };
    for (depth, code) in [
        (50, Code::Ok),
        (1_000, Code::InvalidArgument),
        (2_000_000, Code::InvalidArgument),
    ] {
        // Groups of a field that there is not, one in the other.
        let groups = [vec![0x5b; depth], vec![0x5c; depth]].concat();
        let message = [request.encode_to_vec(), groups].concat();
        let answer = client.call(RECORD, &[ACTOR], &frame(&message)).await;
        assert_eq!(answer.status.code(), code, "{depth}: {:?}", answer.status);
    }
    for levels in [99, 101, 5_000] {
        // Messages, each the first field of the one around it.
        let nested = (0..levels).fold(Vec::new(), |inner, _| {
            let mut outer = vec![0x0a];
            prost::encoding::encode_varint(u64::try_from(inner.len()).unwrap(), &mut outer);
            [outer, inner].concat()
        });
        let answer = client.call(RECORD, &[ACTOR], &frame(&nested)).await;
        refused(&answer.status, Code::InvalidArgument, "MESSAGE_MALFORMED");
    }
    is_well(&server).await;
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

/// A frame of HTTP/2.
fn http2(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a call, as they are written without a table.
fn headers(path: &str) -> Vec<u8> {
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ACTOR,
    ];
    let literal = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let field = |(name, value): (&str, &str)| [vec![0], literal(name), literal(value)].concat();
    fields.into_iter().flat_map(field).collect()
}

/// Says something to the server after the greeting of HTTP/2, listens for a while or to the end, and goes.
async fn say(addr: SocketAddr, frames: &[u8]) {
    const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let said = async {
        let (mut reader, mut writer) = socket.split();
        let talk = async {
            writer.write_all(GREETING).await?;
            writer.write_all(frames).await
        };
        let mut heard = tokio::io::sink();
        // The server may hang up before all is said.
        drop(tokio::join!(talk, tokio::io::copy(&mut reader, &mut heard)));
    };
    drop(tokio::time::timeout(Duration::from_millis(300), said).await);
}

#[test]
fn frames_that_break_the_rules_of_http2_harm_only_their_connection() {
    alone(
        "frames_that_break_the_rules_of_http2_harm_only_their_connection",
        broken_frames(),
    );
}

async fn broken_frames() {
    let server = TestServer::start().await;
    let before = resident_mib();
    for (what, frames) in against_the_rules().into_iter().chain(without_end()) {
        say(server.running.addr, &frames).await;
        let after = resident_mib();
        assert!(after < before + 400, "{what}: from {before} to {after} MiB");
    }
    is_well(&server).await;
}

/// A call to record that is opened and goes no further.
fn call(stream: u32) -> Vec<u8> {
    http2(HEADERS, 4, stream, &headers(RECORD))
}

/// Frames that HTTP/2 forbids, or that end before they should.
fn against_the_rules() -> Vec<(&'static str, Vec<u8>)> {
    let call_and = |frame: Vec<u8>| [call(1), frame].concat();
    let garbage = (0..5_000_u32).flat_map(|number| (number * number * 31).to_le_bytes());
    let (small, long) = ([0; 8], vec![0; (1 << 24) - 1]);
    let window = [0x7f, 0xff, 0xff, 0xff];
    vec![
        ("half a head", vec![0, 0, 8, DATA]),
        ("half a frame", http2(PING, 0, 0, &small)[..12].to_vec()),
        ("a frame of 16 MiB", http2(DATA, 0, 1, &long)),
        ("an unknown frame", http2(200, 0xff, 7, &small)),
        ("garbage", garbage.collect()),
        ("no headers", http2(HEADERS, 4, 1, &[0xff; 2_000])),
        ("a call on stream 0", call(0)),
        ("a call on an even stream", call(2)),
        ("data before headers", http2(DATA, 1, 1, b"data")),
        ("data of stream 0", http2(DATA, 1, 0, b"data")),
        ("all padding", call_and(http2(DATA, 8, 1, &[255, 0]))),
        ("a window of 0", call_and(http2(WINDOW, 0, 1, &[0; 4]))),
        ("a large window", http2(WINDOW, 0, 0, &window).repeat(2)),
        ("settings of 5 bytes", http2(SETTINGS, 0, 0, &[0; 5])),
        (
            "frames of 0 bytes",
            http2(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 0]),
        ),
        (
            "a call after the end",
            [http2(GO_AWAY, 0, 0, &small), call(1)].concat(),
        ),
    ]
}

/// Frames that are in order one by one, and too many.
fn without_end() -> Vec<(&'static str, Vec<u8>)> {
    let flood = |frame: Vec<u8>| frame.repeat(20_000);
    let calls = || (0..20_000).map(|number| 2 * number + 1);
    let taken_back = |stream| [call(stream), http2(RESET, 0, stream, &[0, 0, 0, 8])].concat();
    let begun = http2(HEADERS, 0, 1, &headers(RECORD));
    let field = [0, 1, b'a', 1, b'b'];
    let more = http2(CONTINUATION, 0, 1, &field);
    let much_more = http2(CONTINUATION, 0, 1, &field.repeat(3_000)).repeat(70);
    vec![
        ("headers", [begun.clone(), flood(more)].concat()),
        ("large headers", [begun, much_more].concat()),
        ("calls taken back", calls().flat_map(taken_back).collect()),
        ("calls", calls().flat_map(call).collect()),
        ("pings", flood(http2(PING, 0, 0, &[0; 8]))),
        ("settings", flood(http2(SETTINGS, 0, 0, &[]))),
        (
            "empty data",
            [call(1), flood(http2(DATA, 0, 1, &[]))].concat(),
        ),
    ]
}
