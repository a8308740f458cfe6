//! `FollowUpService` as its callers see it: the CAR-T history played in, and what is due then.

use std::{collections::BTreeMap, fs, path::Path};

use genetrail::pb::{
    self, FollowUpStatus, GetScheduleRequest, ListObligationsRequest, ListOpenSignalsRequest,
    ListTreatedNotEnrolledRequest, ObligationKind, ObligationState, PeriodFigureKind, Question,
    RecordBatchRequest, SamplePurpose, SignalAction, SummarizePeriodRequest,
    follow_up_service_client::FollowUpServiceClient, plan_number::Source,
};
use serde_json::{Value, json};
use tonic::{Code, transport::Channel};

use super::{
    history::convert::convert,
    support::{TestServer, as_actor, plain, refused},
};

const SITE: &str = "9521123001015";

/// A server to which the CAR-T history was told, all of it known.
async fn told() -> (TestServer, FollowUpServiceClient<Channel>, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories/car-t.json");
    let history: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let server = TestServer::start().await;
    let records = convert(&history).unwrap().into_iter();
    let request = RecordBatchRequest {
        submissions: records.map(plain).collect(),
        validate_only: false,
    };
    server
        .recording()
        .record_batch(as_actor(request))
        .await
        .unwrap();
    let client = FollowUpServiceClient::new(server.channel());
    (server, client, history)
}

#[expect(clippy::unnecessary_wraps, reason = "as the field takes it")]
fn on(as_of: &str) -> Option<Question> {
    Some(Question {
        as_of: as_of.to_owned(),
        ..Question::default()
    })
}

/// All pages of what is open.
async fn list(
    client: &mut FollowUpServiceClient<Channel>,
    request: ListObligationsRequest,
) -> Vec<pb::Obligation> {
    let mut rows = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListObligationsRequest {
            page_token,
            ..request.clone()
        };
        let page = client.list_obligations(request).await.unwrap().into_inner();
        rows.extend(page.obligations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return rows;
        }
    }
}

fn persistence(as_of: &str) -> ListObligationsRequest {
    ListObligationsRequest {
        question: on(as_of),
        kinds: vec![ObligationKind::Sample.into()],
        purposes: vec![SamplePurpose::Persistence.into()],
        ..ListObligationsRequest::default()
    }
}

#[tokio::test]
async fn the_samples_due_on_the_last_day_are_those_expected_whatever_the_page() {
    let (_server, mut client, history) = told().await;
    let expected = history["expected"]["sampling"].as_array().unwrap();
    let expected = expected.last().unwrap();
    let request = persistence(expected["as_of"].as_str().unwrap());
    let rows = list(&mut client, request.clone()).await;
    let have = rows.iter().map(|row| {
        let status = row.state().as_str_name();
        json!({"patient": row.patient, "obligation": "VECTOR_PERSISTENCE", "due": row.due,
            "status": status.strip_prefix("OBLIGATION_STATE_").unwrap(),
            "days_overdue": row.days_overdue, "basis": row.why.as_ref().unwrap().basis[0]})
    });
    assert_eq!(Value::Array(have.collect()), expected["rows"]);
    let lost = rows.iter().filter(|row| row.unreachable);
    assert_eq!(
        lost.map(|row| row.patient.as_str()).collect::<Vec<_>>(),
        ["P5"]
    );
    assert!(
        rows.iter()
            .all(|row| !row.why.as_ref().unwrap().evidence.is_empty())
    );

    let everything = ListObligationsRequest {
        question: request.question.clone(),
        ..ListObligationsRequest::default()
    };
    let whole = list(&mut client, everything.clone()).await;
    for page_size in 1..=4 {
        let paged = ListObligationsRequest {
            page_size,
            ..everything.clone()
        };
        assert_eq!(list(&mut client, paged).await, whole, "{page_size}");
    }
}

#[tokio::test]
async fn filters_narrow_what_is_due() {
    let (_server, mut client, _) = told().await;
    let whole = list(&mut client, persistence("2026-01-15")).await;
    let count =
        |keep: &dyn Fn(&pb::Obligation) -> bool| whole.iter().filter(|row| keep(row)).count();
    for (request, want) in [
        (
            ListObligationsRequest {
                patient: "P5".to_owned(),
                ..persistence("2026-01-15")
            },
            count(&|row| row.patient == "P5"),
        ),
        (
            ListObligationsRequest {
                site: SITE.to_owned(),
                ..persistence("2026-01-15")
            },
            count(&|row| row.site == SITE),
        ),
        (
            ListObligationsRequest {
                states: vec![ObligationState::Overdue.into()],
                ..persistence("2026-01-15")
            },
            count(&|row| row.state() == ObligationState::Overdue),
        ),
        (
            ListObligationsRequest {
                product_id: "SYN-CAR19".to_owned(),
                ..persistence("2026-01-15")
            },
            whole.len(),
        ),
    ] {
        assert_eq!(
            list(&mut client, request.clone()).await.len(),
            want,
            "{request:?}"
        );
    }
    let blocked = ListObligationsRequest {
        states: vec![ObligationState::BlockedConsent.into()],
        kinds: vec![],
        purposes: vec![],
        ..persistence("2026-01-15")
    };
    let blocked = list(&mut client, blocked).await;
    let [row] = blocked.as_slice() else {
        panic!("{blocked:?}");
    };
    assert_eq!((row.patient.as_str(), row.days_overdue), ("P5", 45));
    assert_eq!(
        (row.kind(), row.plan_version.as_str()),
        (ObligationKind::AddedSample, "2")
    );
    assert_eq!(row.blocked_by.as_ref().unwrap().version, "3.0");
}

#[tokio::test]
async fn a_schedule_tells_the_whole_follow_up_of_a_patient() {
    let (_server, mut client, history) = told().await;
    let expected = &history["expected"];
    let mut schedules = BTreeMap::new();
    for (patient, end) in expected["ltfu_end"].as_object().unwrap() {
        let request = GetScheduleRequest {
            question: on("2026-01-15"),
            patient: patient.clone(),
        };
        let schedule = client.get_schedule(request).await.unwrap().into_inner();
        assert_eq!(json!(schedule.end), *end);
        let intensive = &schedule.courses[0].intensive_until;
        assert_eq!(json!(intensive), expected["year5_end"][patient]);
        schedules.insert(patient.clone(), schedule);
    }
    assert_eq!(schedules["P1"].status(), FollowUpStatus::Open);
    assert_eq!(schedules["P2"].status(), FollowUpStatus::Dead);
    assert!(schedules["P2"].open.is_empty());
    let intensified = &schedules["P2"].intensified;
    assert_eq!(intensified.len(), 1);
    assert_eq!(
        (intensified[0].from.as_str(), intensified[0].to.as_str()),
        ("2021-12-10", "2023-02-24")
    );
    let course = &schedules["P4"].courses[0];
    assert_eq!(course.plan.as_ref().unwrap().version, "2", "in the cohort");
    let other = &schedules["P1"].courses[0];
    assert_eq!(other.plan.as_ref().unwrap().version, "1", "not in it");
    let rule = |name: &str| {
        let number = other.numbers.iter().find(|number| number.name == name);
        number.unwrap().source.clone().unwrap()
    };
    assert!(matches!(rule("clone_retest_months"), Source::Plan(_)));
    assert_eq!(rule("intensive_months"), Source::Rule("R-V2".to_owned()));
    let samples = schedules["P6"].taken.iter();
    assert_eq!(samples.filter(|taken| 0 < taken.days_late).count(), 0);
    assert!(schedules["P6"].tasks.iter().any(|task| {
        task.kind() == ObligationKind::RclTest && task.state() == ObligationState::Met
    }));
}

#[tokio::test]
async fn a_period_comes_to_the_figures_that_are_expected() {
    let (_server, mut client, history) = told().await;
    let expected = &history["expected"]["dsur"];
    let period = |index: usize| expected["period"][index].as_str().unwrap().to_owned();
    let request = SummarizePeriodRequest {
        question: on(&period(1)),
        from: period(0),
        product_id: "SYN-CAR19".to_owned(),
    };
    let answer = client.summarize_period(request.clone()).await.unwrap();
    let answer = answer.into_inner();
    let figure = |kind| {
        let mut figures = answer.figures.iter();
        figures
            .find(|figure| figure.kind() == kind)
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(
        json!(figure(PeriodFigureKind::PersistenceSamples).count),
        expected["persistence_samples"]
    );
    assert_eq!(
        json!(figure(PeriodFigureKind::Reconsents).count),
        expected["valid_reconsents"]
    );
    assert_eq!(
        json!(figure(PeriodFigureKind::Deaths).count),
        expected["deaths"]
    );
    let active = figure(PeriodFigureKind::ActiveAtEnd);
    assert_eq!(json!(active.patients), expected["active_followup_at_dlp"]);
    // Asked again as it was answered, it is the same.
    let tree_size = answer.answered.as_ref().unwrap().tree_size;
    let mut again = request;
    again.question.as_mut().unwrap().known_at = Some(pb::question::KnownAt::TreeSize(tree_size));
    assert_eq!(
        client.summarize_period(again).await.unwrap().into_inner(),
        answer
    );
}

#[tokio::test]
async fn a_signal_without_its_plan_version_is_open_and_nobody_is_left_unenrolled() {
    let (_server, mut client, _) = told().await;
    let signals = |as_of: &str| ListOpenSignalsRequest {
        question: on(as_of),
        ..ListOpenSignalsRequest::default()
    };
    let missing = |answer: pb::ListOpenSignalsResponse| {
        let signals = answer.signals.iter();
        signals
            .flat_map(|signal| signal.missing().collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let before = client
        .list_open_signals(signals("2024-02-19"))
        .await
        .unwrap();
    let both = [SignalAction::Consent, SignalAction::Plan];
    assert_eq!(missing(before.into_inner()), both);
    let after = client
        .list_open_signals(signals("2024-02-20"))
        .await
        .unwrap();
    assert_eq!(missing(after.into_inner()), [SignalAction::Plan]);
    let request = ListTreatedNotEnrolledRequest {
        question: on("2026-01-15"),
        ..ListTreatedNotEnrolledRequest::default()
    };
    let answer = client.list_treated_not_enrolled(request).await.unwrap();
    assert!(answer.into_inner().patients.is_empty());
}

#[tokio::test]
async fn who_was_treated_and_not_enrolled_is_listed_until_enrolled() {
    let (server, mut client, history) = told().await;
    // The first patient's enrolment did not happen, after all.
    let records = convert(&history).unwrap();
    let enrolment = records.iter().find(|record| {
        matches!(record.kind, Some(pb::record::Kind::FollowUpEnrolment(_)))
            && record.patient == "P1"
    });
    let enrolment = enrolment.unwrap();
    let correction = pb::Record {
        record_id: "00000000-0000-4000-8000-000000000001".to_owned(),
        event_time: "2026-01-10".to_owned(),
        reason: "entered by mistake".to_owned(),
        kind: Some(pb::record::Kind::Correction(pb::Correction {
            target: enrolment.record_id.clone(),
            correction_kind: pb::CorrectionKind::DidNotOccur.into(),
            ..pb::Correction::default()
        })),
        ..enrolment.clone()
    };
    server.record(correction).await.unwrap();
    let request = ListTreatedNotEnrolledRequest {
        question: on("2019-03-20"),
        site: SITE.to_owned(),
        product_id: "SYN-CAR19".to_owned(),
        ..ListTreatedNotEnrolledRequest::default()
    };
    let answer = client
        .list_treated_not_enrolled(request.clone())
        .await
        .unwrap();
    let patients = answer.into_inner().patients;
    let [row] = patients.as_slice() else {
        panic!("{patients:?}");
    };
    assert_eq!((row.patient.as_str(), row.days), ("P1", 5));
    assert!(row.why.as_ref().unwrap().basis.contains(&"R-E1".to_owned()));
    let elsewhere = ListTreatedNotEnrolledRequest {
        site: "9521123001022".to_owned(),
        ..request
    };
    let answer = client.list_treated_not_enrolled(elsewhere).await.unwrap();
    assert!(answer.into_inner().patients.is_empty());
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused() {
    let (_server, mut client, _) = told().await;
    let request = GetScheduleRequest {
        question: None,
        patient: "NOBODY".to_owned(),
    };
    let unknown = client.get_schedule(request).await.unwrap_err();
    refused(&unknown, Code::NotFound, "SUBJECT_UNKNOWN");
    let missing = client.get_schedule(GetScheduleRequest::default()).await;
    refused(
        &missing.unwrap_err(),
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    let request = ListObligationsRequest {
        patient: "no spaces".to_owned(),
        site: "1".to_owned(),
        ..ListObligationsRequest::default()
    };
    let wrong = client.list_obligations(request).await.unwrap_err();
    let details = refused(&wrong, Code::InvalidArgument, "FIELD_INVALID");
    let fields = details.bad_request().unwrap().field_violations.len();
    assert_eq!(fields, 2, "all of them");
    for from in ["", "2024-02-30", "2024-07-01"] {
        let request = SummarizePeriodRequest {
            question: on("2024-06-30"),
            from: from.to_owned(),
            ..SummarizePeriodRequest::default()
        };
        let wrong = client.summarize_period(request).await.unwrap_err();
        refused(&wrong, Code::InvalidArgument, "FIELD_INVALID");
    }
}
