//! `ConsentService` as its callers see it: the CAR-T history played in, and who is asked for consent again.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use genetrail::pb::{
    self, ConsentStepKind, DeadlineState, GetConsentStatusRequest, ListReconsentRequest, Question,
    ReconsentChangeKind, ReconsentKind, ReconsentList, RecordBatchRequest, WatchReconsentRequest,
    consent_service_client::ConsentServiceClient, question::KnownAt,
};
use serde_json::Value;
use tokio::time::timeout;
use tonic::{Code, Streaming, transport::Channel};

use super::{
    history::convert::convert,
    support::{TestServer, as_actor, metadata, plain, refused},
};

const S01: &str = "9521123001015";
const S02: &str = "9521123001022";
const FAMILY: &str = "ICF-LTFU-CAR19";

fn records() -> Vec<pb::Record> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories/car-t.json");
    let history: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    convert(&history).unwrap()
}

/// A server to which the CAR-T history was told.
async fn told() -> (TestServer, ConsentServiceClient<Channel>) {
    let server = TestServer::start().await;
    tell(&server, records()).await;
    let consents = ConsentServiceClient::new(server.channel());
    (server, consents)
}

async fn tell(server: &TestServer, records: Vec<pb::Record>) {
    let request = RecordBatchRequest {
        submissions: records.into_iter().map(plain).collect(),
        validate_only: false,
    };
    server
        .recording()
        .record_batch(as_actor(request))
        .await
        .unwrap();
}

#[expect(clippy::unnecessary_wraps, reason = "as the field takes it")]
fn on(as_of: &str) -> Option<Question> {
    Some(Question {
        as_of: as_of.to_owned(),
        ..Question::default()
    })
}

fn needs(as_of: &str) -> ListReconsentRequest {
    ListReconsentRequest {
        question: on(as_of),
        lists: vec![ReconsentList::Needs.into()],
        ..ListReconsentRequest::default()
    }
}

async fn patients(
    consents: &mut ConsentServiceClient<Channel>,
    request: ListReconsentRequest,
) -> Vec<String> {
    let answer = consents.list_reconsent(request).await.unwrap().into_inner();
    assert_eq!(answer.next_page_token, "");
    answer.rows.into_iter().map(|row| row.patient).collect()
}

#[tokio::test]
async fn the_list_is_filtered_by_what_is_asked_for() {
    let (_server, mut consents) = told().await;
    let all = ["P2", "P4", "P5", "P6"];
    assert_eq!(patients(&mut consents, needs("2024-04-20")).await, all);
    let at = |site: &str| ListReconsentRequest {
        site: site.to_owned(),
        ..needs("2024-04-20")
    };
    assert_eq!(patients(&mut consents, at(S01)).await, ["P2", "P5"]);
    assert_eq!(patients(&mut consents, at(S02)).await, ["P4", "P6"]);
    let of = |family: &str, product: &str| ListReconsentRequest {
        family: family.to_owned(),
        product_id: product.to_owned(),
        ..needs("2024-04-20")
    };
    assert_eq!(patients(&mut consents, of(FAMILY, "SYN-CAR19")).await, all);
    for unknown in [of("OTHER", ""), of("", "OTHER")] {
        let status = consents.list_reconsent(unknown).await.unwrap_err();
        refused(&status, Code::NotFound, "SUBJECT_UNKNOWN");
    }
    let in_state = |state: DeadlineState, kind: ReconsentKind| ListReconsentRequest {
        states: vec![state.into()],
        kinds: vec![kind.into()],
        ..needs("2024-05-15")
    };
    let overdue = in_state(DeadlineState::Overdue, ReconsentKind::NewVersion);
    assert_eq!(patients(&mut consents, overdue).await, ["P2"]);
    let cohort = in_state(DeadlineState::Overdue, ReconsentKind::Cohort);
    assert!(patients(&mut consents, cohort).await.is_empty());
    let notify = ListReconsentRequest {
        lists: vec![ReconsentList::Notify.into()],
        ..needs("2024-04-20")
    };
    assert_eq!(patients(&mut consents, notify).await, ["P3"]);
}

#[tokio::test]
async fn who_was_merged_into_another_is_still_at_the_site() {
    let (server, mut consents) = told().await;
    let mut merged = records()
        .into_iter()
        .find(|record| record.patient == "P6")
        .unwrap();
    merged.record_id = super::support::uuid(79);
    merged.patient = "P6-2".to_owned();
    merged.reason = "one person, registered twice".to_owned();
    merged.kind = Some(pb::record::Kind::PatientMerged(pb::PatientMerged {
        merged_patient: "P6".to_owned(),
    }));
    tell(&server, vec![merged]).await;
    let at_site = ListReconsentRequest {
        site: S02.to_owned(),
        ..needs("2024-04-20")
    };
    assert_eq!(patients(&mut consents, at_site).await, ["P4", "P6-2"]);
}

#[tokio::test]
async fn pages_come_to_one_long_page_and_do_not_see_what_is_recorded_between_them() {
    let (server, mut consents) = told().await;
    let whole = needs("2024-04-20");
    let whole = consents.list_reconsent(whole).await.unwrap().into_inner();
    let mut request = ListReconsentRequest {
        page_size: 1,
        ..needs("2024-04-20")
    };
    let mut rows = Vec::new();
    loop {
        let page = consents.list_reconsent(request.clone()).await.unwrap();
        let page = page.into_inner();
        assert!(page.rows.len() <= 1);
        assert_eq!(page.answered, whole.answered);
        rows.extend(page.rows);
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
        // P6 dies between two pages: the list stays as it was asked for.
        if rows.len() == 1 {
            let mut death = records()
                .into_iter()
                .find(|record| {
                    let death = matches!(record.kind, Some(pb::record::Kind::PatientStatus(_)));
                    death && record.patient == "P2"
                })
                .unwrap();
            death.record_id = super::support::uuid(77);
            death.patient = "P6".to_owned();
            death.event_time = "2024-04-18".to_owned();
            tell(&server, vec![death]).await;
        }
    }
    assert_eq!(rows, whole.rows);
    let since = patients(&mut consents, needs("2024-04-20")).await;
    assert_eq!(since, ["P2", "P4", "P5"]);

    request.site = S01.to_owned();
    let status = consents.list_reconsent(request).await.unwrap_err();
    let details = refused(&status, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(metadata(&details, "violations"), "1");
}

#[tokio::test]
async fn a_row_says_what_is_required_by_which_rule_and_on_which_entries() {
    let (server, mut consents) = told().await;
    let answer = consents.list_reconsent(needs("2025-10-02")).await.unwrap();
    let row = answer.into_inner().rows.remove(0);
    assert_eq!((row.patient.as_str(), row.unreachable), ("P5", true));
    assert_eq!((row.deadline.as_str(), row.days_overdue), ("2025-10-01", 1));
    assert_eq!(row.required.as_ref().unwrap().version, "3.0");
    assert_eq!(row.last_valid_version, "2.0");
    let why = row.why.unwrap();
    assert_eq!(why.basis, ["R-K1", "R-K2", "R-K4", "R-K5", "R-K7"]);
    for evidence in why.evidence {
        let key = Some(pb::get_entry_request::Key::Index(evidence.index));
        let mut ledger = server.ledger();
        let entry = ledger.get_entry(pb::GetEntryRequest { key });
        let entry = entry.await.unwrap().into_inner().entry;
        let id = evidence.record_id.as_bytes();
        assert!(entry.windows(id.len()).any(|window| window == id));
    }
}

#[tokio::test]
async fn what_a_patient_signed_is_told_with_what_is_wrong_with_it() {
    let (_server, mut consents) = told().await;
    let request = |patient: &str| GetConsentStatusRequest {
        question: on("2024-05-20"),
        patient: patient.to_owned(),
    };
    let answer = consents.get_consent_status(request("P4")).await.unwrap();
    let answer = answer.into_inner();
    let steps: Vec<_> = answer
        .history
        .iter()
        .map(|step| {
            assert_eq!(step.kind(), ConsentStepKind::Signed);
            let version = step.version.as_ref().unwrap().version.as_str();
            (step.on.as_str(), version, step.valid, step.faults.join(" "))
        })
        .collect();
    let none = String::new();
    let early = "CONSENT_VERSION_NOT_EFFECTIVE".to_owned();
    assert_eq!(
        steps,
        [
            ("2020-11-01", "1.0", true, none),
            ("2024-04-05", "2.0", false, early)
        ]
    );
    let [in_force] = answer.in_force.as_slice() else {
        panic!("{:?}", answer.in_force);
    };
    assert_eq!(in_force.version.as_ref().unwrap().version, "1.0");
    assert_eq!(answer.required.len(), 1);

    let status = consents.get_consent_status(request("P99")).await;
    refused(&status.unwrap_err(), Code::NotFound, "SUBJECT_UNKNOWN");
}

/// Takes changes in until the stream has come to this size and has nothing more to say of it.
async fn taken_in(
    watch: &mut Streaming<pb::WatchReconsentResponse>,
    size: u64,
    rows: &mut BTreeMap<(String, i32), pb::ReconsentRow>,
) -> pb::WatchReconsentResponse {
    loop {
        let told = timeout(Duration::from_secs(60), watch.message());
        let told = told.await.unwrap().unwrap().unwrap();
        for change in &told.changes {
            let row = change.row.clone().unwrap();
            let key = (row.patient.clone(), row.kind);
            match change.kind() {
                ReconsentChangeKind::Added => assert_eq!(rows.insert(key, row), None),
                ReconsentChangeKind::Changed => assert!(rows.insert(key, row).is_some()),
                ReconsentChangeKind::Removed => assert!(rows.remove(&key).is_some()),
                ReconsentChangeKind::Unspecified => assert_eq!(change.kind, -1),
            }
        }
        if size <= told.tree_size && told.changes.is_empty() {
            return told;
        }
    }
}

#[tokio::test]
async fn a_watch_comes_to_what_the_list_says_and_goes_on_from_where_it_was_left() {
    let server = TestServer::start().await;
    let mut consents = ConsentServiceClient::new(server.channel());
    let records = records();
    let (early, late) = records.split_at(120);
    tell(&server, early.to_vec()).await;
    let size = u64::try_from(early.len()).unwrap() + 1;

    let mut rows = BTreeMap::new();
    let mut watch = consents
        .watch_reconsent(WatchReconsentRequest::default())
        .await
        .unwrap()
        .into_inner();
    let here = taken_in(&mut watch, size, &mut rows).await;
    drop(watch);

    tell(&server, late.to_vec()).await;
    let size = size + u64::try_from(late.len()).unwrap();
    let mut watch = consents
        .watch_reconsent(WatchReconsentRequest {
            tree_size: here.tree_size,
            as_of: here.as_of,
            ..WatchReconsentRequest::default()
        })
        .await
        .unwrap()
        .into_inner();
    let here = taken_in(&mut watch, size, &mut rows).await;

    let question = Question {
        as_of: here.as_of.clone(),
        known_at: Some(KnownAt::TreeSize(here.tree_size)),
        ..Question::default()
    };
    let listed = consents
        .list_reconsent(ListReconsentRequest {
            question: Some(question),
            ..ListReconsentRequest::default()
        })
        .await
        .unwrap()
        .into_inner();
    let bare = |mut row: pb::ReconsentRow| {
        row.why = None;
        row.days_overdue = 0;
        row
    };
    let watched: Vec<_> = rows.into_values().map(bare).collect();
    let listed: Vec<_> = listed.rows.into_iter().map(bare).collect();
    assert_eq!(watched, listed);
    assert!(!listed.is_empty(), "P5 has not signed version 3.0");
}

#[tokio::test]
async fn what_is_recorded_under_a_pseudonym_that_was_given_up_is_told_of_the_one_that_stays() {
    let (server, mut consents) = told().await;
    let records = records();
    let size = u64::try_from(records.len()).unwrap() + 1;
    let mut watch = consents
        .watch_reconsent(WatchReconsentRequest {
            tree_size: size,
            ..WatchReconsentRequest::default()
        })
        .await
        .unwrap()
        .into_inner();
    let merged = pb::Record {
        record_id: super::support::uuid(79),
        event_time: "2025-11-01".to_owned(),
        site: S01.to_owned(),
        patient: "P5".to_owned(),
        reason: "one person under two pseudonyms".to_owned(),
        kind: Some(pb::record::Kind::PatientMerged(pb::PatientMerged {
            merged_patient: "P9".to_owned(),
        })),
        ..records.last().unwrap().clone()
    };
    tell(&server, vec![merged]).await;
    let size = size + 1;
    taken_in(&mut watch, size, &mut BTreeMap::new()).await;
    let signed = records.iter().rev().find(|record| {
        matches!(record.kind, Some(pb::record::Kind::ConsentSigned(_))) && record.patient == "P6"
    });
    let mut signed = signed.unwrap().clone();
    signed.record_id = super::support::uuid(78);
    signed.patient = "P9".to_owned();
    signed.site = S01.to_owned();
    tell(&server, vec![signed]).await;
    let told = timeout(Duration::from_secs(60), watch.message());
    let told = told.await.unwrap().unwrap().unwrap();
    assert_eq!(told.tree_size, size + 1);
    let [change] = told.changes.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(change.kind(), ReconsentChangeKind::Removed);
    assert_eq!(change.row.as_ref().unwrap().patient, "P5");
}

#[tokio::test]
async fn a_watch_from_beyond_the_tree_is_refused() {
    let (_server, mut consents) = told().await;
    let request = WatchReconsentRequest {
        tree_size: 1_000_000,
        ..WatchReconsentRequest::default()
    };
    let status = consents.watch_reconsent(request).await.unwrap_err();
    refused(&status, Code::OutOfRange, "TREE_SIZE_AHEAD");
}
