//! What is due, rule by rule, with the day before and the day after; and the whole of the CAR-T history.

use serde_json::Value;

use super::*;
use crate::rules::{
    follow_up::story::{Story, car_t, day, known_at},
    question::Question,
};

const PATIENTS: [&str; 6] = ["P1", "P2", "P3", "P4", "P5", "P6"];

/// The answers that the history expects, in a block.
fn expected(block: &str) -> Vec<Value> {
    let history = include_str!("../../../../tests/histories/car-t.json");
    let history: Value = serde_json::from_str(history).unwrap();
    history["expected"][block].as_array().unwrap().clone()
}

/// The CAR-T history, asked as of a day as known at the end of another.
fn asked(story: &Story, answer: &Value) -> Question {
    let as_of = answer["as_of"].as_str().unwrap();
    let known = answer["known_at"].as_str().unwrap_or(as_of);
    Question {
        known_at: known_at(&story.book, known.split('T').next().unwrap()),
        ..story.question(as_of)
    }
}

/// The rows of one kind, as the history writes them.
fn rows(story: &Story, question: &Question, what: fn(&What) -> bool) -> Vec<[String; 5]> {
    let mut rows = Vec::new();
    for patient in PATIENTS {
        let open = story.open_as(patient, question);
        for row in open.into_iter().filter(|row| what(&row.what)) {
            let due = row.due.map(|due| due.to_string()).unwrap_or_default();
            let state = format!("{:?}", row.state);
            let basis: Vec<&str> = row.why.basis.into_iter().collect();
            let late = row.days_overdue.to_string();
            rows.push([patient.to_owned(), due, state, late, basis.join(" ")]);
        }
    }
    rows
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap().to_owned()
}

fn state(row: &Value, name: &str) -> String {
    match row[name].as_str().unwrap() {
        "DUE" => "Due",
        "OVERDUE" => "Overdue",
        "BLOCKED_CONSENT" => "BlockedConsent",
        other => panic!("{other}"),
    }
    .to_owned()
}

#[test]
fn the_car_t_history_has_the_samples_due_that_it_expects() {
    let story = Story::over(car_t());
    let answers = expected("sampling");
    assert_eq!(answers.len(), 12);
    for answer in answers {
        let want = answer["rows"].as_array().unwrap().iter().map(|row| {
            let late = row["days_overdue"].to_string();
            let (due, basis) = (text(row, "due"), text(row, "basis"));
            [text(row, "patient"), due, state(row, "status"), late, basis]
        });
        let question = asked(&story, &answer);
        let have = rows(&story, &question, |what| {
            *what == What::Sample(SamplePurpose::Persistence)
        });
        let want: Vec<_> = want.collect();
        assert_eq!(have, want, "{answer}");
    }
}

#[test]
fn the_car_t_history_has_the_virus_tests_that_it_expects() {
    let story = Story::over(car_t());
    for answer in expected("rcl_tasks") {
        let want = answer["rows"].as_array().unwrap().iter().map(|row| {
            let late = row["days_past_due"].as_u64().unwrap_or(0).to_string();
            let basis = match row["obligation"].as_str().unwrap() {
                "RCL_AE" => "R-R1",
                _ => "R-P1",
            };
            let (patient, due) = (text(row, "patient"), text(row, "due"));
            [patient, due, state(row, "state"), late, basis.to_owned()]
        });
        let question = asked(&story, &answer);
        let have = rows(&story, &question, |what| {
            matches!(what, What::RclTest | What::Added(SamplePurpose::Rcl, _))
        });
        assert_eq!(have, want.collect::<Vec<_>>(), "{answer}");
    }
}

#[test]
fn the_car_t_history_has_the_contacts_due_that_it_expects() {
    let story = Story::over(car_t());
    for answer in expected("contact_after_year5") {
        let want = answer["rows"].as_array().unwrap().iter().map(|row| {
            let (patient, due) = (text(row, "patient"), text(row, "due"));
            let (late, basis) = ("0".to_owned(), "R-V2".to_owned());
            [patient, due, state(row, "status"), late, basis]
        });
        let question = asked(&story, &answer);
        let have = rows(&story, &question, |what| *what == What::Contact);
        assert_eq!(have, want.collect::<Vec<_>>(), "{answer}");
    }
}
