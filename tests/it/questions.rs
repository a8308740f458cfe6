//! What every question has in common, as its callers see it: its page tokens, and what is refused in it.

use std::{fs, path::Path};

use genetrail::pb::{
    self, GetScheduleRequest, ListDeviationsRequest, ListObligationsRequest, ListReconsentRequest,
    ListStockRequest, ListTreatedNotEnrolledRequest, Question, QuestionView, RecordBatchRequest,
    SummarizePeriodRequest, consent_service_client::ConsentServiceClient,
    follow_up_service_client::FollowUpServiceClient, question::KnownAt,
    trace_service_client::TraceServiceClient,
};
use serde_json::Value;
use tonic::{Code, Status, transport::Channel};

use super::{
    history::convert::convert,
    support::{TestServer, as_actor, metadata, plain, record, refused},
};

/// A server to which the CAR-T history was told, and who asks it.
struct Told {
    server: TestServer,
    traces: TraceServiceClient<Channel>,
    follow_up: FollowUpServiceClient<Channel>,
    consents: ConsentServiceClient<Channel>,
}

async fn told() -> Told {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories/car-t.json");
    let history: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let server = TestServer::start().await;
    let request = RecordBatchRequest {
        submissions: convert(&history).unwrap().into_iter().map(plain).collect(),
        validate_only: false,
    };
    let mut recording = server.recording();
    recording.record_batch(as_actor(request)).await.unwrap();
    Told {
        traces: TraceServiceClient::new(server.channel()),
        follow_up: FollowUpServiceClient::new(server.channel()),
        consents: ConsentServiceClient::new(server.channel()),
        server,
    }
}

/// The fields that are refused, with their rules.
fn fields(status: &Status) -> Vec<(String, String)> {
    let details = refused(status, Code::InvalidArgument, "FIELD_INVALID");
    let violations = &details.bad_request().unwrap().field_violations;
    let fields = violations.iter().map(|one| {
        assert_ne!(one.description, "", "{}", one.field);
        (one.field.clone(), one.reason.clone())
    });
    fields.collect()
}

fn refused_token(status: &Status) {
    let expected = [("page_token".to_owned(), "PAGE_TOKEN".to_owned())];
    assert_eq!(fields(status), expected);
}

fn question(as_of: &str, tree_size: Option<u64>, view: QuestionView) -> Question {
    Question {
        as_of: as_of.to_owned(),
        known_at: tree_size.map(KnownAt::TreeSize),
        view: view.into(),
    }
}

fn page(question: Option<Question>, page_token: &str) -> ListDeviationsRequest {
    ListDeviationsRequest {
        question,
        page_size: 3,
        page_token: page_token.to_owned(),
        ..ListDeviationsRequest::default()
    }
}

#[tokio::test]
async fn a_token_of_another_method_does_not_pass_for_a_place_in_this_list() {
    let mut told = told().await;
    let first = told.traces.list_deviations(page(None, "")).await.unwrap();
    let token = first.into_inner().next_page_token;
    assert_ne!(token, "");
    let stock = ListStockRequest {
        page_token: token.clone(),
        ..ListStockRequest::default()
    };
    refused_token(&told.traces.list_stock(stock).await.unwrap_err());
    let obligations = ListObligationsRequest {
        page_token: token.clone(),
        ..ListObligationsRequest::default()
    };
    let status = told.follow_up.list_obligations(obligations).await;
    refused_token(&status.unwrap_err());
    let filtered = ListDeviationsRequest {
        codes: vec!["LATE_SAMPLE".to_owned()],
        ..page(None, &token)
    };
    refused_token(&told.traces.list_deviations(filtered).await.unwrap_err());
}

#[tokio::test]
async fn a_question_that_is_sent_with_the_token_of_another_is_refused_not_ignored() {
    let mut told = told().await;
    let any = QuestionView::Unspecified;
    let first = told.traces.list_deviations(page(None, "")).await.unwrap();
    let first = first.into_inner();
    let (token, answered) = (first.next_page_token, first.answered.unwrap());
    let size = answered.tree_size;
    // What is recorded meanwhile, and midnight, do not move the pages that follow.
    told.server.record(record(1)).await.unwrap();
    let mut all = Vec::new();
    let same = [
        None,
        Some(Question::default()),
        Some(question(&answered.as_of, None, any)),
        Some(question("", Some(size), QuestionView::AsCorrected)),
    ];
    for question in same {
        let second = told.traces.list_deviations(page(question, &token)).await;
        let second = second.unwrap().into_inner();
        assert_eq!(second.answered.as_ref(), Some(&answered));
        all.push(second.rows);
    }
    assert!(all.iter().all(|rows| *rows == all[0] && !rows.is_empty()));
    let other = [
        question("2020-01-01", None, any),
        question("", Some(size - 1), any),
        question("", Some(size + 1), any),
        question("", None, QuestionView::AsRecorded),
        Question {
            known_at: Some(KnownAt::RecordedBy("2026-11-22T12:00:00Z".to_owned())),
            ..Question::default()
        },
    ];
    for question in other {
        let second = told.traces.list_deviations(page(Some(question), &token));
        refused_token(&second.await.unwrap_err());
    }
}

#[tokio::test]
async fn an_instant_that_is_sent_again_means_the_tree_of_the_first_page() {
    let mut told = told().await;
    let by = |instant: &str| {
        Some(Question {
            known_at: Some(KnownAt::RecordedBy(instant.to_owned())),
            ..Question::default()
        })
    };
    // Ahead of the clock: more is recorded by then after the first page.
    let (later, latest) = ("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z");
    let first = told.traces.list_deviations(page(by(later), "")).await;
    let first = first.unwrap().into_inner();
    told.server.record(record(1)).await.unwrap();
    let request = page(by(later), &first.next_page_token);
    let second = told.traces.list_deviations(request).await.unwrap();
    assert_eq!(second.into_inner().answered, first.answered);
    let request = page(by(latest), &first.next_page_token);
    refused_token(&told.traces.list_deviations(request).await.unwrap_err());
}

#[tokio::test]
async fn a_value_that_no_enum_has_is_refused_not_answered_with_nobody() {
    let mut told = told().await;
    let check = |status: Status, expected: &[&str]| {
        let expected = expected
            .iter()
            .map(|field| ((*field).to_owned(), "ENUM_UNKNOWN".to_owned()));
        assert_eq!(fields(&status), expected.collect::<Vec<_>>());
    };
    let request = ListReconsentRequest {
        question: Some(Question {
            view: 7,
            ..Question::default()
        }),
        lists: vec![0, pb::ReconsentList::Needs.into(), 9],
        states: vec![77],
        kinds: vec![99],
        ..ListReconsentRequest::default()
    };
    let status = told.consents.list_reconsent(request).await.unwrap_err();
    check(
        status,
        &[
            "lists[0]",
            "lists[2]",
            "states[0]",
            "kinds[0]",
            "question.view",
        ],
    );
    let request = ListObligationsRequest {
        kinds: vec![99],
        purposes: vec![99],
        states: vec![99],
        ..ListObligationsRequest::default()
    };
    let status = told.follow_up.list_obligations(request).await.unwrap_err();
    check(status, &["kinds[0]", "purposes[0]", "states[0]"]);
    let request = ListDeviationsRequest {
        severity: 9,
        ..ListDeviationsRequest::default()
    };
    let status = told.traces.list_deviations(request).await.unwrap_err();
    check(status, &["severity"]);
    let request = GetScheduleRequest {
        question: Some(Question {
            view: 7,
            ..Question::default()
        }),
        patient: "P1".to_owned(),
    };
    let status = told.follow_up.get_schedule(request).await.unwrap_err();
    check(status, &["question.view"]);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_request_is_told_at_once() {
    let mut told = told().await;
    let request = ListReconsentRequest {
        question: Some(Question {
            as_of: "x".to_owned(),
            known_at: Some(KnownAt::RecordedBy("y".to_owned())),
            view: 7,
        }),
        site: "z".to_owned(),
        page_size: -3,
        page_token: "q".to_owned(),
        ..ListReconsentRequest::default()
    };
    let status = told.consents.list_reconsent(request).await.unwrap_err();
    let named: Vec<String> = fields(&status)
        .into_iter()
        .map(|(field, _)| field)
        .collect();
    let expected = [
        "site",
        "question.view",
        "question.as_of",
        "question.recorded_by",
        "page_size",
        "page_token",
    ];
    assert_eq!(named, expected);
}

/// Nothing is known of a patient, a product or a site.
fn unknown(status: &Status, what: &str) {
    let details = refused(status, Code::NotFound, "SUBJECT_UNKNOWN");
    assert_eq!(metadata(&details, "what"), what);
}

const NOBODY: &str = "NOBODY";
const NOTHING: &str = "NOTHING";
const NOWHERE: &str = "9521123001039";

#[tokio::test]
async fn a_list_of_follow_up_of_what_is_not_on_record_does_not_read_as_nobody() {
    let mut told = told().await;
    for (what, request) in [
        (
            "patient",
            ListObligationsRequest {
                patient: NOBODY.to_owned(),
                ..ListObligationsRequest::default()
            },
        ),
        (
            "product",
            ListObligationsRequest {
                product_id: NOTHING.to_owned(),
                ..ListObligationsRequest::default()
            },
        ),
        (
            "site",
            ListObligationsRequest {
                site: NOWHERE.to_owned(),
                ..ListObligationsRequest::default()
            },
        ),
    ] {
        unknown(
            &told.follow_up.list_obligations(request).await.unwrap_err(),
            what,
        );
    }
    let request = ListTreatedNotEnrolledRequest {
        product_id: NOTHING.to_owned(),
        ..ListTreatedNotEnrolledRequest::default()
    };
    let status = told.follow_up.list_treated_not_enrolled(request).await;
    unknown(&status.unwrap_err(), "product");
    let request = SummarizePeriodRequest {
        from: "2019-01-01".to_owned(),
        product_id: NOTHING.to_owned(),
        ..SummarizePeriodRequest::default()
    };
    let status = told.follow_up.summarize_period(request).await;
    unknown(&status.unwrap_err(), "product");
    // Of who is on record nothing may be due.
    let request = ListObligationsRequest {
        patient: "P1".to_owned(),
        ..ListObligationsRequest::default()
    };
    told.follow_up.list_obligations(request).await.unwrap();
}

#[tokio::test]
async fn a_list_of_consent_or_deviations_of_what_is_not_on_record_does_not_read_as_nobody() {
    let mut told = told().await;
    for (what, request) in [
        (
            "product",
            ListReconsentRequest {
                product_id: NOTHING.to_owned(),
                ..ListReconsentRequest::default()
            },
        ),
        (
            "site",
            ListReconsentRequest {
                site: NOWHERE.to_owned(),
                ..ListReconsentRequest::default()
            },
        ),
    ] {
        unknown(
            &told.consents.list_reconsent(request).await.unwrap_err(),
            what,
        );
    }
    for (what, request) in [
        (
            "patient",
            ListDeviationsRequest {
                patient: NOBODY.to_owned(),
                ..ListDeviationsRequest::default()
            },
        ),
        (
            "site",
            ListDeviationsRequest {
                site: NOWHERE.to_owned(),
                ..ListDeviationsRequest::default()
            },
        ),
    ] {
        unknown(
            &told.traces.list_deviations(request).await.unwrap_err(),
            what,
        );
    }
    let request = ListStockRequest {
        site: NOWHERE.to_owned(),
        ..ListStockRequest::default()
    };
    unknown(&told.traces.list_stock(request).await.unwrap_err(), "site");
}

#[tokio::test]
async fn a_flag_or_a_state_that_is_never_listed_is_refused() {
    let mut told = told().await;
    let request = ListDeviationsRequest {
        codes: vec!["LATE_SAMPLE".to_owned(), "late sample".to_owned()],
        ..ListDeviationsRequest::default()
    };
    let status = told.traces.list_deviations(request).await.unwrap_err();
    let expected = [("codes[1]".to_owned(), "CODE_UNKNOWN".to_owned())];
    assert_eq!(fields(&status), expected);
    let request = ListObligationsRequest {
        states: vec![pb::ObligationState::Met.into()],
        ..ListObligationsRequest::default()
    };
    let status = told.follow_up.list_obligations(request).await.unwrap_err();
    let expected = [("states[0]".to_owned(), "NOT_LISTED".to_owned())];
    assert_eq!(fields(&status), expected);
}
