//! `ReportConformity` as its callers see it: the CAR-T history played in, and how its product stands to the guideline.

use std::{fs, path::Path};

use genetrail::pb::{
    self, Conformity, ConformityVerdict, Question, RecordBatchRequest, ReportConformityRequest,
    follow_up_service_client::FollowUpServiceClient,
};
use serde_json::Value;
use tonic::{Code, Status, transport::Channel};

use super::{
    history::convert::convert,
    support::{TestServer, as_actor, plain, refused},
};

const PRODUCT: &str = "SYN-CAR19";

/// A server to which the CAR-T history was told.
async fn told() -> (TestServer, FollowUpServiceClient<Channel>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories/car-t.json");
    let history: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let records: Vec<pb::Record> = convert(&history).unwrap();
    let server = TestServer::start().await;
    let request = RecordBatchRequest {
        submissions: records.into_iter().map(plain).collect(),
        validate_only: false,
    };
    let told = server.recording().record_batch(as_actor(request)).await;
    told.unwrap();
    let client = FollowUpServiceClient::new(server.channel());
    (server, client)
}

fn request(product_id: &str, as_of: &str) -> ReportConformityRequest {
    ReportConformityRequest {
        question: Some(Question {
            as_of: as_of.to_owned(),
            ..Question::default()
        }),
        product_id: product_id.to_owned(),
    }
}

/// The report, after its progress.
async fn report(
    client: &mut FollowUpServiceClient<Channel>,
    request: ReportConformityRequest,
) -> Result<Conformity, Status> {
    let answers = client.report_conformity(as_actor(request)).await;
    let mut answers = answers?.into_inner();
    while let Some(answer) = answers.message().await? {
        if let Some(report) = answer.report {
            assert_eq!(answers.message().await?, None, "the report is the last");
            return Ok(report);
        }
    }
    Err(Status::data_loss("the stream ended without a report"))
}

#[tokio::test]
async fn a_product_is_reported_on_obligation_by_obligation() {
    let (_server, mut client) = told().await;
    let report = report(&mut client, request(PRODUCT, "2026-01-15")).await;
    let report = report.unwrap();
    assert_eq!(report.patients, 6);
    assert_eq!(report.rows.len(), 53);
    let answered = report.answered.clone().unwrap();
    assert_eq!(answered.as_of, "2026-01-15");
    assert!(0 < answered.tree_size);
    for (id, verdict, wanting) in [
        ("A-12", ConformityVerdict::Met, 0),
        ("A-14", ConformityVerdict::NotApplicable, 0),
        ("A-36", ConformityVerdict::CannotTell, 0),
        ("A-39", ConformityVerdict::NotMet, 4),
        ("A-50", ConformityVerdict::Met, 0),
    ] {
        let row = report.rows.iter().find(|row| row.obligation == id).unwrap();
        assert_eq!(row.verdict(), verdict, "{id} {:?}", row.exceptions);
        assert_eq!(row.exceptions_total, wanting, "{id} {:?}", row.exceptions);
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_report_and_another_day_another() {
    let (_server, mut client) = told().await;
    let first = report(&mut client, request(PRODUCT, "2026-01-15")).await;
    let again = report(&mut client, request(PRODUCT, "2026-01-15")).await;
    assert_eq!(first.unwrap(), again.unwrap());
    let earlier = report(&mut client, request(PRODUCT, "2021-11-15")).await;
    assert_eq!(earlier.unwrap().patients, 5);
}

#[tokio::test]
async fn a_product_that_is_not_named_or_not_known_is_refused() {
    let (_server, mut client) = told().await;
    let nameless = report(&mut client, request("", "2026-01-15")).await;
    refused(
        &nameless.unwrap_err(),
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    let unknown = report(&mut client, request("NONE", "2026-01-15")).await;
    refused(&unknown.unwrap_err(), Code::NotFound, "SUBJECT_UNKNOWN");
}
