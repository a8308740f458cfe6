//! What is read of a patient, and that no less will do.

use super::*;
use crate::{pb::record::Kind as RecordKind, rules::example::car_t};

/// The kinds of what is read of X, but for the registration.
fn read(story: &Story, as_of: &str) -> Vec<&'static str> {
    let question = question(&story.book, as_of);
    let Ok(about) = story.book.about(&Subject::Catalogue);
    let catalogue = Catalogue::of(&about, &question);
    let Ok(standing) = Standing::of(&story.book, "X", &catalogue, &question);
    let facts = standing.patient.facts.iter();
    let kinds = facts.filter_map(|fact| fact.kind().map(crate::record::kind_name));
    kinds.filter(|kind| *kind != "patient_registered").collect()
}

fn result(finding: pb::Finding) -> RecordKind {
    RecordKind::AssayResult(pb::AssayResult {
        findings: vec![finding.into()],
        ..Default::default()
    })
}

#[test]
fn what_was_seen_since_is_read_where_an_end_is_past_or_a_visit_is_waited_for() {
    let mut story = adult();
    story.tell("2019-03-01", "X", result(pb::Finding::WithinExpected));
    assert_eq!(
        read(&story, "2034-01-20"),
        ["consent_signed", "administration"]
    );
    assert_eq!(
        read(&story, "2034-01-21"),
        ["consent_signed", "administration", "assay_result"]
    );
    let next_visit = pb::ConsentDocumentVersion {
        reconsent_due: Some(due(Due::NextVisit(pb::NextVisit {}))),
        ..of_family("OTHER", "1", 1)
    };
    story.document(next_visit, ("2020-01-01", ""));
    assert_eq!(
        read(&story, "2020-01-01"),
        ["consent_signed", "administration", "assay_result"]
    );
}

#[test]
fn lots_are_read_where_something_is_for_the_descendants_of_one() {
    let lot = pb::LotKey {
        gtin: GTIN.to_owned(),
        lot: "L".to_owned(),
        ..Default::default()
    };
    let treated = || {
        let mut story = Story::new();
        let item = pb::Item {
            what: Some(pb::item::What::Lot(lot.clone())),
            ..Default::default()
        };
        let step = pb::Transformation {
            outputs: vec![item],
            ..Default::default()
        };
        story.tell("2018-01-01", "", RecordKind::Transformation(step));
        let given = pb::Administration {
            lot: Some(lot.clone()),
            status: pb::AdministrationStatus::Given.into(),
            ..Default::default()
        };
        story.tell("2019-01-20", "X", RecordKind::Administration(given));
        story
    };
    assert_eq!(read(&treated(), "2020-01-01"), ["administration"]);

    let scope = Some(pb::CohortScope {
        descendants_of: vec![lot.clone()],
        ..Default::default()
    });
    let of_document = pb::ConsentDocumentVersion {
        scope: scope.clone(),
        ..of_family("OTHER", "1", 1)
    };
    let of_plan = pb::FollowUpPlanVersion {
        plan_id: "OTHER".to_owned(),
        scope: scope.clone(),
        ..Default::default()
    };
    let of_decision = pb::MonitoringDecision {
        scope,
        ..Default::default()
    };
    for kind in [
        RecordKind::ConsentDocumentVersion(of_document),
        RecordKind::FollowUpPlanVersion(of_plan),
        RecordKind::MonitoringDecision(of_decision),
    ] {
        let mut story = treated();
        story.tell("2019-12-31", "", kind);
        assert_eq!(
            read(&story, "2020-01-01"),
            ["transformation", "administration"]
        );
    }
}

/// R-V4: the follow-up of whom the vector still persists in is not over, so nobody is to be recontacted.
#[test]
fn a_result_keeps_open_what_would_be_over() {
    let story = |finding| {
        let mut story = requirements::completed();
        story.tell("2020-02-01", "X", result(finding));
        story
    };
    story(pb::Finding::VectorNotDetected)
        .check("2020-02-29", &["Recontact NewVersion 2 2020-03-30 due"]);
    story(pb::Finding::WithinExpected).check("2020-02-29", &["Needs NewVersion 2 2020-03-30 due"]);
}

#[test]
fn the_worked_history_asks_the_same_however_much_is_read() {
    let book = car_t();
    let mut rows = 0;
    for year in 2024..2045 {
        for month in 1..=12 {
            for number in 1..=9 {
                let as_of = format!("{year}-{month:02}-28");
                rows += required(&book, &format!("P{number}"), &as_of).len();
            }
        }
    }
    assert!(0 < rows);
}
