//! What is due, rule by rule, with the day before and the day after; and the whole of the CAR-T history.

use serde_json::Value;

use super::*;
use crate::rules::{
    example::car_t,
    follow_up::story::{Story, day, known_at},
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

#[test]
fn no_row_of_the_car_t_history_is_without_the_entry_that_its_day_is_reckoned_from() {
    let story = Story::over(car_t());
    let days = [
        "2019-04-01",
        "2020-06-01",
        "2022-03-01",
        "2024-08-15",
        "2026-01-15",
    ];
    for (as_of, patient) in days
        .iter()
        .flat_map(|day| PATIENTS.map(|patient| (day, patient)))
    {
        for row in story.open(patient, as_of) {
            assert!(!row.why.evidence.is_empty(), "{as_of} {patient} {row:?}");
        }
    }
}

/// The due day, state and days overdue of what is open; empty where nothing is.
fn row(story: &Story, what: &What, as_of: &str) -> String {
    let open = story.open("P1", as_of);
    let Some(row) = open.iter().find(|row| row.what == *what) else {
        return String::new();
    };
    let due = row.due.map(|due| due.to_string()).unwrap_or_default();
    let basis: Vec<&str> = row.why.basis.iter().copied().collect();
    let (state, late) = (row.state, row.days_overdue);
    format!("{due} {state:?} {late} {}", basis.join(" "))
}

#[track_caller]
fn check(story: &Story, what: &What, rows: &[(&str, &str)]) {
    for (as_of, want) in rows {
        assert_eq!(row(story, what, as_of), *want, "as of {as_of}");
    }
}

const PERSISTENCE: What = What::Sample(SamplePurpose::Persistence);
const FOR_PERSISTENCE: [SamplePurpose; 1] = [SamplePurpose::Persistence];

/// A patient who was treated with a product of a class on 29 February 2016.
fn treated(class: pb::ProductClass) -> Story {
    let mut story = Story::of_product(&[class]);
    story.plan("1", "2010-01-01", pb::PlanParameters::default());
    story.patient("P1", "2016-02-29");
    story
}

/// A patient who follows these slots; AAV, for 60 months.
fn with_slots(slots: Vec<pb::PlannedSlot>, parameters: pb::PlanParameters) -> Story {
    let mut story = Story::of_product(&[pb::ProductClass::Aav]);
    let plan = pb::FollowUpPlanVersion {
        version: "1".to_owned(),
        slots,
        parameters: Some(parameters),
        ..Default::default()
    };
    story.plan_version("2010-01-01", plan);
    story.patient("P1", "2016-02-29");
    story
}

fn withdrawn(story: &mut Story, scope: WithdrawalScope, on: &str) {
    let withdrawn = pb::ConsentWithdrawn {
        scopes: vec![scope.into()],
        ..Default::default()
    };
    story.tell(on, "P1", pb::record::Kind::ConsentWithdrawn(withdrawn));
}

/// R-S1: reckoned from the administration, then from the last sample, and by when that one was taken.
#[test]
fn persistence_samples_are_half_yearly_for_five_years_and_yearly_from_then_on() {
    let mut story = treated(pb::ProductClass::Lenti);
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-02-28", ""),
            ("2016-02-29", "2016-08-29 Due 0 R-S1"),
            ("2016-08-29", "2016-08-29 Due 0 R-S1"),
            ("2016-08-30", "2016-08-29 Overdue 1 R-S1"),
        ],
    );
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2020-08-31");
    story.sample("P1", "S2", &FOR_PERSISTENCE, "2021-02-27");
    story.sample("P1", "S3", &FOR_PERSISTENCE, "2021-02-28");
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2020-08-31", "2021-02-28 Due 0 R-S1"),
            ("2021-02-27", "2021-08-27 Due 0 R-S1"),
            ("2021-02-28", "2022-02-28 Due 0 R-S1"),
        ],
    );
}

#[test]
fn only_integrating_and_edited_products_have_samples_by_themselves() {
    use pb::ProductClass as P;
    for class in [
        P::Gammaretro,
        P::OtherRetro,
        P::Transposon,
        P::GeneEditedInVivo,
        P::GeneEditedExVivo,
    ] {
        let want = [("2016-03-01", "2016-08-29 Due 0 R-S1")];
        check(&treated(class), &PERSISTENCE, &want);
    }
    for class in [P::Aav, P::Herpes, P::Bacterial] {
        check(&treated(class), &PERSISTENCE, &[("2016-03-01", "")]);
    }
}

/// R-S2.
#[test]
fn a_sample_counts_if_it_is_for_the_purpose_and_not_known_to_be_rejected() {
    let mut story = treated(pb::ProductClass::Lenti);
    story.sample("P1", "S1", &[SamplePurpose::Rcl], "2016-05-01");
    check(
        &story,
        &PERSISTENCE,
        &[("2016-05-01", "2016-08-29 Due 0 R-S1")],
    );
    story.sample("P1", "S2", &FOR_PERSISTENCE, "2016-06-01");
    let before = story.question("2016-06-02");
    check(
        &story,
        &PERSISTENCE,
        &[("2016-06-02", "2016-12-01 Due 0 R-S1")],
    );
    let rejected = pb::SampleEvent {
        sample_id: "S2".to_owned(),
        event: pb::SampleEventKind::Rejected.into(),
        ..Default::default()
    };
    let rejected = pb::record::Kind::SampleEvent(rejected);
    story.tell("2016-06-10", "P1", rejected);
    // As soon as it is known, also on days before its own; not before it is known.
    check(
        &story,
        &PERSISTENCE,
        &[("2016-06-02", "2016-08-29 Due 0 R-S1")],
    );
    let known_then = story.open_as("P1", &before);
    let row = known_then.iter().find(|row| row.what == PERSISTENCE);
    assert_eq!(row.unwrap().due, Some(day("2016-12-01")));
}

/// R-C1: the re-test, its confirmation and the integration sites.
#[test]
fn a_dominant_clone_is_retested_and_its_sites_are_looked_for() {
    let mut story = treated(pb::ProductClass::Lenti);
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-11-20");
    story.result("P1", "S1", pb::Finding::DominantClone, "2016-11-30");
    story.sample("P1", "S2", &[SamplePurpose::Clonality], "2016-11-30");
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-11-29", "2017-05-20 Due 0 R-S1"),
            ("2016-11-30", "2017-02-28 Due 0 R-C1"),
            ("2017-03-01", "2017-02-28 Overdue 1 R-C1"),
        ],
    );
    check(
        &story,
        &What::CloneConfirmation,
        &[
            ("2016-11-29", ""),
            ("2017-02-28", "2017-02-28 Due 0 R-C1"),
            ("2017-03-01", "2017-02-28 Overdue 1 R-C1"),
        ],
    );
    let sites = [("2017-03-05", " Due 0 R-C1")];
    check(&story, &What::IntegrationSites, &sites);
    story.sample("P1", "S3", &[SamplePurpose::Clonality], "2017-03-02");
    let back = [("2017-03-02", "2017-05-20 Due 0 R-S1")];
    check(&story, &PERSISTENCE, &back);
    check(
        &story,
        &What::CloneConfirmation,
        &[("2017-03-02", " Due 0 R-C1")],
    );
    story.result("P1", "S3", pb::Finding::Monoclonal, "2017-03-20");
    story.sample("P1", "S4", &[SamplePurpose::Isa], "2017-03-21");
    story.result("P1", "S4", pb::Finding::WithinExpected, "2017-04-01");
    let done = story.open("P1", "2017-04-01");
    assert!(done.iter().all(|row| row.what != What::IntegrationSites));
    let schedule = story.schedule("P1", "2017-04-01");
    let confirmed = schedule
        .tasks
        .iter()
        .filter(|task| task.what == What::CloneConfirmation && task.state == State::Met);
    assert_eq!(confirmed.count(), 1, "the first; the second waits");
}

/// R-C2: the earlier of the rules, until so many results in a row are without vector.
#[test]
fn an_expansion_intensifies_the_schedule_until_no_vector_is_found() {
    use pb::Finding as F;
    let mut story = treated(pb::ProductClass::GeneEditedExVivo);
    let parameters = pb::PlanParameters {
        undetectable_results: Some(2),
        ..Default::default()
    };
    story.plan("2", "2016-03-01", parameters);
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-04-30");
    story.result("P1", "S1", F::ClonalExpansion, "2016-08-15");
    story.result("P1", "S1", F::VectorNotDetected, "2016-08-16");
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-08-14", "2016-10-30 Due 0 R-S1"),
            ("2016-08-15", "2016-08-15 Due 0 R-C2"),
            ("2016-08-16", "2016-08-15 Overdue 1 R-C2"),
        ],
    );
    for (sample, taken, finding, issued) in [
        ("S2", "2016-08-31", F::VectorNotDetected, "2016-09-10"),
        ("S3", "2016-11-20", F::WithinExpected, "2016-11-30"),
        ("S4", "2017-02-01", F::VectorNotDetected, "2017-02-10"),
        ("S5", "2017-04-01", F::VectorNotDetected, "2017-04-10"),
    ] {
        story.sample("P1", sample, &FOR_PERSISTENCE, taken);
        story.result("P1", sample, finding, issued);
    }
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-08-31", "2016-11-30 Due 0 R-C2"),
            ("2017-02-10", "2017-05-01 Due 0 R-C2"),
            ("2017-04-09", "2017-07-01 Due 0 R-C2"),
            ("2017-04-10", "2017-10-01 Due 0 R-S1"),
        ],
    );
    check(
        &story,
        &What::MalignancyWatch,
        &[
            ("2016-08-14", ""),
            ("2016-08-15", " Due 0 R-C2"),
            ("2017-04-09", " Due 0 R-C2"),
            ("2017-04-10", ""),
        ],
    );
    let intensified = story.schedule("P1", "2018-01-01").intensified;
    let spans: Vec<_> = intensified.iter().map(|one| (one.from, one.to)).collect();
    assert_eq!(spans, [(day("2016-08-15"), Some(day("2017-04-10")))]);
    story.result("P1", "S5", F::IntegrationNearOncogene, "2017-05-01");
    assert_eq!(story.schedule("P1", "2018-01-01").intensified.len(), 2);
}

/// R-C2: while a schedule is intensified, a further finding keeps it so; a result on a sample of the very day that the
/// finding was issued does not end it.
#[test]
fn a_further_finding_keeps_a_schedule_intensified() {
    use pb::Finding as F;
    let mut story = treated(pb::ProductClass::Lenti);
    for (sample, taken, finding, issued) in [
        ("S1", "2016-08-01", F::ClonalExpansion, "2016-08-15"),
        ("S2", "2016-08-15", F::VectorNotDetected, "2016-08-20"),
        ("S3", "2016-10-01", F::IntegrationNearOncogene, "2016-10-10"),
        ("S4", "2016-12-01", F::VectorNotDetected, "2016-12-10"),
    ] {
        story.sample("P1", sample, &FOR_PERSISTENCE, taken);
        story.result("P1", sample, finding, issued);
    }
    for (as_of, expected) in [
        ("2016-08-14", &[][..]),
        ("2016-08-20", &[("2016-08-15", None)]),
        ("2016-10-10", &[("2016-08-15", None)]),
        ("2016-12-09", &[("2016-08-15", None)]),
        ("2016-12-10", &[("2016-08-15", Some("2016-12-10"))]),
    ] {
        let intensified = story.schedule("P1", as_of).intensified;
        let have: Vec<_> = intensified.iter().map(|one| (one.from, one.to)).collect();
        let expected = expected.iter().map(|(from, to)| (day(from), to.map(day)));
        assert_eq!(have, expected.collect::<Vec<_>>(), "{as_of}");
    }
}

fn rejected(story: &mut Story, sample: &str, on: &str) {
    let rejected = pb::SampleEvent {
        sample_id: sample.to_owned(),
        event: pb::SampleEventKind::Rejected.into(),
        ..Default::default()
    };
    story.tell(on, "P1", pb::record::Kind::SampleEvent(rejected));
}

/// R-S2, A.3-5: from the moment the rejection is known.
#[test]
fn no_vector_on_a_rejected_sample_does_not_end_the_intensified_schedule() {
    use pb::Finding as F;
    let mut story = treated(pb::ProductClass::Lenti);
    for (sample, taken, finding, issued) in [
        ("S1", "2016-08-01", F::ClonalExpansion, "2016-08-15"),
        ("S2", "2016-10-01", F::VectorNotDetected, "2016-10-10"),
    ] {
        story.sample("P1", sample, &FOR_PERSISTENCE, taken);
        story.result("P1", sample, finding, issued);
    }
    let before = story.question("2016-10-12");
    rejected(&mut story, "S2", "2016-10-20");
    let back = [("2016-10-12", "2016-11-01 Due 0 R-C2")];
    check(&story, &PERSISTENCE, &back);
    let watch = [("2016-10-12", " Due 0 R-C2")];
    check(&story, &What::MalignancyWatch, &watch);
    let known_then = story.open_as("P1", &before);
    let row = known_then.iter().find(|row| row.what == PERSISTENCE);
    assert_eq!(row.unwrap().due, Some(day("2017-04-01")));
    // Neither does one on a part of it.
    let divided = pb::SampleEvent {
        sample_id: "S2".to_owned(),
        event: pb::SampleEventKind::Aliquoted.into(),
        aliquots: vec![pb::Aliquot {
            sample_id: "S2-A".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    story.tell("2016-10-02", "P1", pb::record::Kind::SampleEvent(divided));
    story.result("P1", "S2-A", F::VectorNotDetected, "2016-10-11");
    check(&story, &PERSISTENCE, &back);
}

/// R-S2, R-C1.
#[test]
fn a_result_on_a_rejected_sample_does_not_confirm_a_clone() {
    use pb::Finding as F;
    let mut story = treated(pb::ProductClass::Lenti);
    for (sample, taken, finding, issued) in [
        ("S1", "2016-08-01", F::DominantClone, "2016-08-15"),
        ("S2", "2016-10-01", F::VectorNotDetected, "2016-10-10"),
    ] {
        story.sample("P1", sample, &FOR_PERSISTENCE, taken);
        story.result("P1", sample, finding, issued);
    }
    let confirmation = What::CloneConfirmation;
    check(&story, &confirmation, &[("2016-10-10", "")]);
    rejected(&mut story, "S2", "2016-10-20");
    let again = [("2016-10-20", "2016-11-15 Due 0 R-C1")];
    check(&story, &confirmation, &again);
    check(&story, &PERSISTENCE, &again);
}

/// R-C1: integration sites are analysed by a result that names some, finds one near an oncogene, or is on a sample for
/// it; not by one before the clone was found.
#[test]
fn integration_sites_are_analysed_by_a_result_that_tells_of_them() {
    use pb::Finding as F;
    let site = || vec![pb::IntegrationSite::default()];
    for (purpose, finding, sites, issued, is_done) in [
        (
            SamplePurpose::Persistence,
            F::WithinExpected,
            vec![],
            "2017-01-10",
            false,
        ),
        (
            SamplePurpose::Persistence,
            F::WithinExpected,
            site(),
            "2017-01-10",
            true,
        ),
        (
            SamplePurpose::Persistence,
            F::IntegrationNearOncogene,
            vec![],
            "2017-01-10",
            true,
        ),
        (
            SamplePurpose::Isa,
            F::WithinExpected,
            vec![],
            "2017-01-10",
            true,
        ),
        (
            SamplePurpose::Isa,
            F::WithinExpected,
            site(),
            "2016-11-30",
            true,
        ),
        (
            SamplePurpose::Isa,
            F::WithinExpected,
            site(),
            "2016-11-29",
            false,
        ),
    ] {
        let mut story = treated(pb::ProductClass::Lenti);
        story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-11-01");
        story.sample("P1", "S2", &[purpose], "2016-11-20");
        story.result("P1", "S1", F::DominantClone, "2016-11-30");
        let result = pb::AssayResult {
            sample_id: "S2".to_owned(),
            findings: vec![finding.into()],
            sites,
            ..Default::default()
        };
        story.tell(issued, "P1", pb::record::Kind::AssayResult(result));
        let open = row(&story, &What::IntegrationSites, "2017-02-01");
        assert_eq!(open.is_empty(), is_done, "{purpose:?} {finding:?} {issued}");
    }
}

/// On a tie R-C1 before R-C2 before R-S1.
#[test]
fn on_a_tie_the_clone_comes_before_the_expansion_and_both_before_the_interval() {
    use pb::Finding as F;
    let mut story = treated(pb::ProductClass::Lenti);
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-05-10");
    story.result("P1", "S1", F::ClonalExpansion, "2016-05-10");
    let alone = [("2016-05-10", "2016-08-10 Due 0 R-C2")];
    check(&story, &PERSISTENCE, &alone);
    story.result("P1", "S1", F::Monoclonal, "2016-05-10");
    let both = [("2016-05-10", "2016-08-10 Due 0 R-C1")];
    check(&story, &PERSISTENCE, &both);
    // What was taken was due by the same rule.
    story.sample("P1", "S2", &FOR_PERSISTENCE, "2016-08-11");
    let taken = story.schedule("P1", "2016-08-11").taken;
    let last = taken.last().unwrap();
    assert_eq!((last.sample_id.as_str(), last.days_late), ("S2", 1));
    assert!(last.why.basis.contains("R-C1"), "{:?}", last.why);
    let mut story = treated(pb::ProductClass::Lenti);
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-03-10");
    story.result("P1", "S1", F::IntegrationNearOncogene, "2016-09-10");
    let tie = [("2016-09-10", "2016-09-10 Due 0 R-C2")];
    check(&story, &PERSISTENCE, &tie);
}

/// R-C3.
#[test]
fn more_vector_than_expected_asks_for_clonality() {
    let mut story = treated(pb::ProductClass::Lenti);
    let parameters = pb::PlanParameters {
        expected_max_percent: "5".to_owned(),
        ..Default::default()
    };
    story.plan("2", "2016-03-01", parameters);
    let share = |sample: &str, percent: &str| {
        pb::record::Kind::AssayResult(pb::AssayResult {
            sample_id: sample.to_owned(),
            positive_fraction_percent: percent.to_owned(),
            findings: vec![pb::Finding::WithinExpected.into()],
            ..Default::default()
        })
    };
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-04-01");
    story.tell("2016-04-10", "P1", share("S1", "5.0"));
    story.tell("2016-04-11", "P1", share("S1", "5.01"));
    story.sample("P1", "S2", &[SamplePurpose::Clonality], "2016-04-20");
    story.result("P1", "S2", pb::Finding::WithinExpected, "2016-05-01");
    check(
        &story,
        &What::Clonality,
        &[
            ("2016-04-10", ""),
            ("2016-04-11", " Due 0 R-C3"),
            ("2016-04-30", " Due 0 R-C3"),
            ("2016-05-01", ""),
        ],
    );
}

/// R-R1: from the first report of the case, until a result that tells.
#[test]
fn a_suspected_virus_is_tested_for_once_a_case() {
    let mut story = treated(pb::ProductClass::Lenti);
    let event = |suspected, aware: &str| {
        pb::record::Kind::AdverseEvent(pb::AdverseEvent {
            case_id: "AE".to_owned(),
            suspected_rcl: Some(suspected),
            aware_at: aware.to_owned(),
            ..Default::default()
        })
    };
    story.tell("2016-04-01", "P1", event(false, "2016-04-02"));
    story.tell("2016-05-01", "P1", event(true, "2016-05-03"));
    story.tell("2016-05-05", "P1", event(true, "2016-05-09"));
    story.result("P1", "S1", pb::Finding::RclNegative, "2016-05-02");
    story.result("P1", "S2", pb::Finding::Inconclusive, "2016-06-03");
    story.result("P1", "S3", pb::Finding::RclNegative, "2016-06-05");
    check(
        &story,
        &What::RclTest,
        &[
            ("2016-04-03", ""),
            ("2016-05-02", ""),
            ("2016-05-03", "2016-06-02 Due 0 R-R1"),
            ("2016-06-02", "2016-06-02 Due 0 R-R1"),
            ("2016-06-03", "2016-06-02 Overdue 1 R-R1"),
            ("2016-06-05", ""),
        ],
    );
}

/// R-R1: reckoned from the first report that suspects it, in whatever order the reports came.
#[test]
fn the_test_for_virus_is_due_from_the_first_report() {
    for (first, second, due) in [
        ("2016-05-03", "2016-05-09", "2016-06-02"),
        ("2016-05-09", "2016-05-03", "2016-06-02"),
        ("2016-05-03", "2016-05-03", "2016-06-02"),
    ] {
        let mut story = treated(pb::ProductClass::Lenti);
        let mut reports = Vec::new();
        for (on, aware_at) in [("2016-05-10", first), ("2016-05-11", second)] {
            let event = pb::AdverseEvent {
                case_id: "AE".to_owned(),
                suspected_rcl: Some(true),
                aware_at: aware_at.to_owned(),
                ..Default::default()
            };
            reports.push(story.tell(on, "P1", pb::record::Kind::AdverseEvent(event)));
        }
        let open = story.open("P1", "2016-05-12");
        let test = open.iter().find(|row| row.what == What::RclTest).unwrap();
        assert_eq!(test.due, Some(day(due)), "{first} {second}");
        let shown: Vec<&String> = test.why.evidence.values().collect();
        let says = usize::from(second < first);
        assert_eq!(shown, [&reports[says]], "{first} {second}");
    }
}

/// R-R1: it closes when a result is issued.
#[test]
fn a_stop_of_the_monitoring_does_not_close_the_test_that_an_adverse_event_asks_for() {
    let suspected = || {
        let mut story = treated(pb::ProductClass::Lenti);
        let event = pb::AdverseEvent {
            case_id: "C".to_owned(),
            suspected_rcl: Some(true),
            ..Default::default()
        };
        story.tell("2016-03-01", "P1", pb::record::Kind::AdverseEvent(event));
        story
    };
    let stop = |story: &mut Story, decision: Decision, parts: &[Part]| {
        let decision = pb::MonitoringDecision {
            decision: decision.into(),
            parts: parts.iter().map(|part| i32::from(*part)).collect(),
            ..Default::default()
        };
        story.tell(
            "2016-03-10",
            "P1",
            pb::record::Kind::MonitoringDecision(decision),
        );
    };
    let overdue = [
        ("2016-03-09", "2016-03-31 Due 0 R-R1"),
        ("2016-03-10", "2016-03-31 Due 0 R-R1"),
        ("2016-04-05", "2016-03-31 Overdue 5 R-R1"),
    ];
    for (decision, parts) in [
        (Decision::Stop, &[][..]),
        (Decision::Stop, &[Part::Rcl]),
        (Decision::Waive, &[]),
    ] {
        let mut story = suspected();
        stop(&mut story, decision, parts);
        check(&story, &What::RclTest, &overdue);
        story.result("P1", "S1", pb::Finding::RclNegative, "2016-04-05");
        check(&story, &What::RclTest, &[("2016-04-05", "")]);
    }
    let mut story = suspected();
    stop(&mut story, Decision::Stop, &[]);
    withdrawn(&mut story, WithdrawalScope::AllProcedures, "2016-04-05");
    check(&story, &What::RclTest, &[("2016-04-05", "")]);
    let mut story = suspected();
    stop(&mut story, Decision::Stop, &[]);
    story.state("P1", pb::PatientState::Deceased, "2016-04-05");
    check(&story, &What::RclTest, &[("2016-04-05", "")]);
}

/// R-P1.
#[test]
fn what_a_plan_version_adds_waits_for_its_consent() {
    let mut story = treated(pb::ProductClass::Aav);
    let asked = |once, interval_months| pb::AddedObligation {
        purpose: SamplePurpose::Rcl.into(),
        within_months_of_effective: 3,
        once,
        interval_months,
    };
    let plan = |version: &str, added| pb::FollowUpPlanVersion {
        version: version.to_owned(),
        linked_consent: Some(crate::rules::follow_up::story::consent("2")),
        added_obligations: vec![added],
        ..Default::default()
    };
    story.consent_version("2", "2017-11-30", Some(30));
    story.plan_version("2017-11-30", plan("2", asked(true, 0)));
    let added = What::Added(SamplePurpose::Rcl, "2".to_owned());
    check(
        &story,
        &added,
        &[
            ("2017-11-29", ""),
            ("2017-11-30", "2018-02-28 BlockedConsent 0 R-P1"),
            ("2018-03-01", "2018-02-28 BlockedConsent 1 R-P1"),
        ],
    );
    story.signed("P1", "2", "2018-03-02");
    story.sample("P1", "S0", &[SamplePurpose::Rcl], "2017-11-29");
    let overdue = [("2018-03-02", "2018-02-28 Overdue 2 R-P1")];
    check(&story, &added, &overdue);
    story.sample("P1", "S1", &[SamplePurpose::Rcl], "2018-03-03");
    check(&story, &added, &[("2018-03-03", "")]);
    let met = story.schedule("P1", "2018-03-03").tasks;
    let met: Vec<_> = met.iter().filter(|task| task.what == added).collect();
    let [once] = met.as_slice() else {
        panic!("{met:?}");
    };
    assert_eq!(
        (once.state, once.due),
        (State::Met, Some(day("2018-02-28")))
    );
    // At intervals, it is due again.
    story.plan_version("2018-04-01", plan("3", asked(false, 12)));
    let again = What::Added(SamplePurpose::Rcl, "3".to_owned());
    check(&story, &again, &[("2018-04-01", "2018-07-01 Due 0 R-P1")]);
    story.sample("P1", "S2", &[SamplePurpose::Rcl], "2018-06-01");
    check(&story, &again, &[("2018-06-01", "2019-06-01 Due 0 R-P1")]);
}

/// R-P1: with its due date kept.
#[test]
fn a_second_administration_neither_reopens_nor_defers_what_a_plan_version_added_once() {
    for is_tested in [false, true] {
        let mut story = treated(pb::ProductClass::Lenti);
        story.plan_version(
            "2017-11-30",
            pb::FollowUpPlanVersion {
                version: "2".to_owned(),
                added_obligations: vec![pb::AddedObligation {
                    purpose: SamplePurpose::Rcl.into(),
                    within_months_of_effective: 3,
                    once: true,
                    interval_months: 0,
                }],
                ..Default::default()
            },
        );
        if is_tested {
            story.sample("P1", "S1", &[SamplePurpose::Rcl], "2018-01-10");
        }
        story.given("P1", "2018-06-01");
        let added = What::Added(SamplePurpose::Rcl, "2".to_owned());
        let rows = if is_tested {
            ["", ""]
        } else {
            ["2018-02-28 Overdue 92 R-P1", "2018-02-28 Overdue 93 R-P1"]
        };
        let days = ["2018-05-31", "2018-06-01"];
        check(&story, &added, &[(days[0], rows[0]), (days[1], rows[1])]);
    }
}

fn sample_slot(slot: &str, months: u32, purpose: SamplePurpose) -> pb::PlannedSlot {
    pb::PlannedSlot {
        slot: slot.to_owned(),
        kind: pb::SlotKind::Sample.into(),
        months,
        window_days: Some(10),
        purposes: vec![purpose.into()],
        ..Default::default()
    }
}

/// R-S4, R-V5.
#[test]
fn samples_of_the_plan_are_due_by_its_slots() {
    let off_target = SamplePurpose::OffTarget;
    let slots = vec![
        sample_slot("M6", 6, SamplePurpose::Persistence),
        sample_slot("M12", 12, SamplePurpose::Persistence),
        sample_slot("OT12", 12, off_target),
    ];
    let mut story = with_slots(slots, pb::PlanParameters::default());
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-09-08", "2016-08-29 Due 0 R-S4"),
            ("2016-09-09", "2016-08-29 Overdue 1 R-S4"),
            ("2017-02-17", "2016-08-29 Overdue 162 R-S4"),
            ("2017-02-18", "2017-02-28 Due 0 R-S4"),
        ],
    );
    story.sample("P1", "S1", &[off_target], "2017-02-20");
    check(&story, &What::OffTarget, &[("2017-02-20", " Due 0 R-V5")]);
    check(&story, &What::Sample(off_target), &[("2017-02-20", "")]);
    let result = pb::AssayResult {
        sample_id: "S1".to_owned(),
        off_target: Some(pb::OffTarget::default()),
        ..Default::default()
    };
    story.tell("2017-03-20", "P1", pb::record::Kind::AssayResult(result));
    check(&story, &What::OffTarget, &[("2017-03-20", "")]);
}

/// R-S1, R-C2, R-S3: L is the last qualifying collection, before or after what was given last.
#[test]
fn a_second_administration_makes_no_interval_longer_and_ends_no_schedule() {
    let mut story = treated(pb::ProductClass::Lenti);
    story.given("P1", "2016-06-30");
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-06-29", "2016-08-29 Due 0 R-S1"),
            ("2016-06-30", "2016-12-30 Due 0 R-S1"),
        ],
    );
    let mut story = treated(pb::ProductClass::Lenti);
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-09-05");
    story.given("P1", "2016-10-01");
    check(
        &story,
        &PERSISTENCE,
        &[("2016-10-01", "2017-03-05 Due 0 R-S1")],
    );
    let taken = story.schedule("P1", "2016-10-01").taken;
    let late: Vec<_> = taken.iter().map(|one| (one.due, one.days_late)).collect();
    assert_eq!(late, [(day("2016-08-29"), 7)], "what was late stays late");
    let expansion = pb::Finding::ClonalExpansion;
    story.result("P1", "S1", expansion, "2016-09-20");
    check(
        &story,
        &PERSISTENCE,
        &[("2016-10-01", "2016-12-05 Due 0 R-C2")],
    );
}

fn visited(story: &mut Story, on: &str, slot: &str, blocks: i32) {
    let blocks = (1..=blocks).map(|block| pb::VisitBlock {
        block,
        status: pb::BlockStatus::Done.into(),
        ..Default::default()
    });
    let visit = pb::FollowUpVisit {
        slot: slot.to_owned(),
        blocks: blocks.collect(),
        reached: Some(true),
        ..Default::default()
    };
    story.tell(on, "P1", pb::record::Kind::FollowUpVisit(visit));
}

fn yearly() -> pb::PlanParameters {
    pb::PlanParameters {
        visit_interval_months: Some(12),
        visit_window_days: Some(30),
        ..Default::default()
    }
}

/// R-V1: the day, the actual day, how it stands and the days after the window, slot by slot.
fn visits(story: &Story, as_of: &str) -> Vec<String> {
    let planned = story.schedule("P1", as_of).planned.into_iter();
    let visits = planned.filter(|one| one.what == What::Visit).map(|one| {
        let actual = one.met_by.map(|met| met.on.to_string()).unwrap_or_default();
        let (due, state, late) = (one.due, one.state, one.days_after_window);
        format!("{due} {actual} {state:?} {late}")
    });
    visits.collect()
}

/// R-V1: from the first day of the window to its last; once that is over, what was held before it and is nearer to the
/// slot than to the one before.
#[test]
fn a_visit_is_of_the_slot_whose_window_it_is_in_or_that_it_is_nearer_to() {
    for (on, slots) in [
        (
            "2017-01-28",
            ["2017-02-28 2017-01-28 Early 0", "2018-02-28  Open 0"],
        ),
        (
            "2017-01-29",
            ["2017-02-28 2017-01-29 InWindow 0", "2018-02-28  Open 0"],
        ),
        (
            "2017-03-30",
            ["2017-02-28 2017-03-30 InWindow 0", "2018-02-28  Open 0"],
        ),
        (
            "2017-03-31",
            ["2017-02-28 2017-03-31 Late 1", "2018-02-28  Open 0"],
        ),
    ] {
        let mut story = with_slots(Vec::new(), yearly());
        visited(&mut story, on, "", 6);
        let have = visits(&story, "2018-01-01");
        assert_eq!(have[..2], slots, "{on}");
    }
    // 365 days lie between two slots: 182 before the second it is nearer to it, 183 before it is not.
    for (on, is_early) in [("2017-08-29", false), ("2017-08-30", true)] {
        let mut story = with_slots(Vec::new(), yearly());
        visited(&mut story, "2017-02-28", "", 6);
        visited(&mut story, on, "", 6);
        let early = format!("2018-02-28 {on} Early 0");
        let have = visits(&story, "2018-03-30");
        assert!(!have.contains(&early), "its time is not over: {have:?}");
        let have = visits(&story, "2018-03-31");
        assert_eq!(have.contains(&early), is_early, "{on} {have:?}");
    }
    // In a leap year the day in the middle is as near to one as to the other, and is of neither.
    let mut story = with_slots(Vec::new(), yearly());
    visited(&mut story, "2019-02-28", "", 6);
    visited(&mut story, "2019-08-30", "", 6);
    let early = "2020-02-29 2019-08-30 Early 0".to_owned();
    assert!(!visits(&story, "2020-06-01").contains(&early));
}

/// R-V1: a visit within a slot's window is that slot's, however many were held before it.
#[test]
fn an_extra_visit_does_not_take_the_slot_that_is_to_come() {
    let mut story = with_slots(Vec::new(), yearly());
    visited(&mut story, "2017-02-28", "", 6);
    visited(&mut story, "2017-10-10", "", 6);
    let due = [
        ("2017-10-10", "2018-02-28 Due 0 R-V1"),
        ("2018-03-30", "2018-02-28 Due 0 R-V1"),
    ];
    check(&story, &What::Visit, &due);
    visited(&mut story, "2018-02-28", "", 6);
    let held = [
        "2017-02-28 2017-02-28 InWindow 0",
        "2018-02-28 2018-02-28 InWindow 0",
        "2019-02-28  Open 0",
    ];
    assert_eq!(visits(&story, "2018-06-01")[..3], held);
}

/// R-V1: a visit between two slots is late for the one before, if that has none, though it is nearer to the next one;
/// the earliest is.
#[test]
fn a_visit_in_no_window_is_late_for_the_slot_that_has_none() {
    // Soon after the treatment it is of no slot.
    let mut story = with_slots(Vec::new(), yearly());
    visited(&mut story, "2016-03-01", "", 6);
    let missed = "2017-02-28  Missed 0";
    assert_eq!(visits(&story, "2018-06-01")[0], missed);
    for on in ["2017-10-10", "2017-12-10", "2018-02-20", "2018-03-05"] {
        visited(&mut story, on, "", 6);
    }
    let held = [
        "2017-02-28 2017-10-10 Late 194",
        "2018-02-28 2018-02-20 InWindow 0",
        "2019-02-28  Open 0",
    ];
    assert_eq!(visits(&story, "2018-06-01")[..3], held);
}

/// R-V1: the visit that names a slot is that slot's; of two windows that a day is in, the nearer one's slot is met.
#[test]
fn a_visit_that_names_its_slot_comes_before_one_in_the_window() {
    let slot = |slot: &str, months| pb::PlannedSlot {
        slot: slot.to_owned(),
        kind: pb::SlotKind::Visit.into(),
        months,
        window_days: Some(40),
        ..Default::default()
    };
    let slots = vec![slot("M1", 1), slot("M2", 2), slot("M12", 12)];
    let mut story = with_slots(slots, yearly());
    visited(&mut story, "2016-04-20", "", 6);
    visited(&mut story, "2017-02-20", "", 6);
    visited(&mut story, "2017-06-01", "M12", 6);
    assert_eq!(
        visits(&story, "2017-07-01"),
        [
            "2016-03-29  Missed 0",
            "2016-04-29 2016-04-20 InWindow 0",
            "2017-02-28 2017-06-01 Late 53",
        ]
    );
}

#[test]
fn visits_at_an_interval_go_on_to_the_first_that_is_not_past() {
    let every = |months| pb::PlanParameters {
        visit_interval_months: Some(months),
        intensive_months: Some(12),
        ..Default::default()
    };
    let mut story = with_slots(Vec::new(), every(6));
    // Held before the treatment, a visit is none of the follow-up.
    visited(&mut story, "2016-02-28", "", 6);
    for (as_of, last) in [
        ("2016-03-01", "2017-02-28  Open 0"),
        ("2017-02-28", "2017-02-28  Open 0"),
    ] {
        let have = visits(&story, as_of);
        assert_eq!(have.last().map(String::as_str), Some(last), "{as_of}");
    }
    assert!(
        visits(&story, "2017-03-01")
            .iter()
            .all(|one| !one.contains("2016-02-28"))
    );
    let none = with_slots(Vec::new(), every(0));
    assert_eq!(visits(&none, "2020-01-01"), Vec::<String>::new());
}

#[test]
fn visits_are_matched_to_their_slots_and_lateness_counts_from_the_window() {
    let mut story = with_slots(Vec::new(), yearly());
    check(
        &story,
        &What::Visit,
        &[
            ("2017-03-30", "2017-02-28 Due 0 R-V1"),
            ("2017-03-31", "2017-02-28 Overdue 1 R-V1"),
            ("2018-01-28", "2017-02-28 Overdue 304 R-V1"),
            ("2018-01-29", "2018-02-28 Due 0 R-V1"),
        ],
    );
    for on in [
        "2017-03-30",
        "2017-05-01",
        "2018-04-05",
        "2019-01-28",
        "2020-03-31",
    ] {
        visited(&mut story, on, "", 6);
    }
    assert_eq!(
        visits(&story, "2021-01-29"),
        [
            "2017-02-28 2017-03-30 InWindow 0",
            "2018-02-28 2018-04-05 Late 6",
            "2019-02-28 2019-01-28 Early 0",
            "2020-02-29 2020-03-31 Late 1",
            "2021-02-28  Open 0",
        ]
    );
}

/// R-V1, R-V2: none is asked for; one that is held belongs to its own slot, not to the last one before.
#[test]
fn a_visit_after_the_intensive_period_has_its_slot_though_none_is_asked_for() {
    let mut parameters = yearly();
    parameters.intensive_months = Some(24);
    parameters.follow_up_months = Some(60);
    let mut story = with_slots(Vec::new(), parameters);
    visited(&mut story, "2017-02-28", "", 6);
    let asked = ["2017-02-28 2017-02-28 InWindow 0", "2018-02-28  Open 0"];
    assert_eq!(visits(&story, "2020-06-01"), asked);
    visited(&mut story, "2020-04-02", "", 0);
    assert_eq!(
        visits(&story, "2020-06-01"),
        [
            "2017-02-28 2017-02-28 InWindow 0",
            "2018-02-28  Missed 0",
            "2020-02-29 2020-04-02 Late 3",
        ]
    );
    check(&story, &What::Visit, &[("2020-06-01", "")]);
    visited(&mut story, "2021-03-01", "", 0);
    let last = visits(&story, "2021-03-01").pop();
    assert_eq!(last.as_deref(), Some("2021-02-28 2021-03-01 InWindow 0"));
    visited(&mut story, "2022-02-28", "", 0);
    let last = visits(&story, "2022-02-28").pop();
    assert_eq!(
        last.as_deref(),
        Some("2021-02-28 2021-03-01 InWindow 0"),
        "nothing is planned after the end"
    );
}

/// R-V1: later is late, and recorded, under the anchor of its time.
#[test]
fn a_second_administration_does_not_erase_the_visits_before_it() {
    let mut story = with_slots(Vec::new(), yearly());
    visited(&mut story, "2017-05-15", "", 5);
    visited(&mut story, "2018-03-01", "", 6);
    let before = [
        "2017-02-28 2017-05-15 Late 46",
        "2018-02-28 2018-03-01 InWindow 0",
    ];
    assert_eq!(visits(&story, "2018-03-01")[..2], before);
    // What was held on the very day is of the time before.
    story.given("P1", "2018-03-01");
    assert_eq!(visits(&story, "2018-03-01")[..2], before);
    visited(&mut story, "2019-03-01", "", 6);
    let after = [
        "2017-02-28 2017-05-15 Late 46",
        "2018-02-28 2018-03-01 InWindow 0",
        "2019-03-01 2019-03-01 InWindow 0",
        "2020-03-01  Open 0",
    ];
    assert_eq!(visits(&story, "2019-06-01")[..4], after);
    let incomplete = story.schedule("P1", "2019-06-01").incomplete;
    let incomplete: Vec<_> = incomplete.iter().map(|one| one.visit.on).collect();
    assert_eq!(incomplete, [day("2017-05-15")]);
    // Nothing of that time is due any more, and a third administration erases nothing either.
    check(
        &story,
        &What::Visit,
        &[("2019-06-01", "2020-03-01 Due 0 R-V1")],
    );
    story.given("P1", "2019-06-01");
    assert_eq!(visits(&story, "2019-06-01")[..3], after[..3]);
}

#[test]
fn a_visit_names_its_slot_and_a_missed_one_stays_missed() {
    let slot = |slot: &str, months| pb::PlannedSlot {
        slot: slot.to_owned(),
        kind: pb::SlotKind::Visit.into(),
        months,
        ..Default::default()
    };
    let slots = vec![slot("Y1", 12), slot("Y2", 24), slot("Y6", 72)];
    let mut story = with_slots(slots, yearly());
    visited(&mut story, "2018-03-01", "Y2", 6);
    visited(&mut story, "2018-03-02", "Y2", 6);
    assert_eq!(
        visits(&story, "2018-03-02"),
        ["2017-02-28  Missed 0", "2018-02-28 2018-03-01 InWindow 0"],
        "nothing is planned after the end"
    );
    check(&story, &What::Visit, &[("2018-03-02", "")]);
}

/// R-V3: six blocks in the intensive period, its last slot included.
#[test]
fn a_visit_of_the_intensive_period_has_six_blocks() {
    let mut parameters = yearly();
    parameters.intensive_months = Some(24);
    parameters.follow_up_months = Some(60);
    let mut story = with_slots(Vec::new(), parameters);
    visited(&mut story, "2017-02-28", "", 6);
    visited(&mut story, "2017-04-28", "", 5);
    visited(&mut story, "2018-03-01", "", 4);
    visited(&mut story, "2018-03-02", "", 3);
    let incomplete = story.schedule("P1", "2019-01-01").incomplete;
    let missing: Vec<_> = incomplete
        .iter()
        .map(|one| (one.visit.on, one.missing.len()))
        .collect();
    assert_eq!(missing, [(day("2017-04-28"), 1), (day("2018-03-01"), 2)]);
}

/// R-V2.
#[test]
fn after_the_intensive_period_a_contact_is_due_every_year_until_the_end() {
    let mut story = with_slots(Vec::new(), {
        pb::PlanParameters {
            intensive_months: Some(24),
            ..Default::default()
        }
    });
    check(
        &story,
        &What::Contact,
        &[
            ("2018-02-28", ""),
            ("2018-03-01", "2019-02-28 Due 0 R-V2"),
            ("2019-03-01", "2019-02-28 Overdue 1 R-V2"),
        ],
    );
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2017-02-27");
    let old = [("2018-03-01", "2019-02-28 Due 0 R-V2")];
    check(&story, &What::Contact, &old);
    story.sample("P1", "S2", &FOR_PERSISTENCE, "2017-02-28");
    let within = [("2018-03-01", "2018-02-28 Overdue 1 R-V2")];
    check(&story, &What::Contact, &within);
    let contact = |reached| {
        pb::record::Kind::FollowUpContact(pb::FollowUpContact {
            reached: Some(reached),
            ..Default::default()
        })
    };
    story.tell("2018-06-01", "P1", contact(false));
    story.tell("2018-07-01", "P1", contact(true));
    story.tell("2020-02-29", "P1", contact(true));
    check(
        &story,
        &What::Contact,
        &[
            ("2018-06-30", "2018-02-28 Overdue 122 R-V2"),
            ("2018-07-01", "2019-07-01 Due 0 R-V2"),
            // The follow-up ends on 2021-02-28: no contact is due after that.
            ("2020-02-29", "2021-02-28 Due 0 R-V2"),
            ("2021-03-01", ""),
        ],
    );
    story.tell("2020-03-01", "P1", contact(true));
    check(&story, &What::Contact, &[("2020-03-01", "")]);
}

/// R-S3, A-39: at least yearly until there is no risk; the end of the follow-up (A-12, a floor) says nothing of that.
#[test]
fn samples_of_an_integrating_product_are_due_after_the_end_until_a_decision_or_death_or_withdrawal()
{
    let treated = || {
        let mut story = treated(pb::ProductClass::Lenti);
        story.sample("P1", "S1", &FOR_PERSISTENCE, "2030-06-01");
        story
    };
    let due = "2031-06-01 Due 0 R-S1";
    let overdue = [
        ("2031-02-28", due),
        ("2031-03-01", due),
        ("2031-06-11", "2031-06-01 Overdue 10 R-S1"),
    ];
    check(&treated(), &PERSISTENCE, &overdue);
    let what = |story: &Story| {
        let open = story.open("P1", "2031-06-11").into_iter();
        open.map(|row| row.what).collect::<Vec<_>>()
    };
    assert_eq!(what(&treated()), [PERSISTENCE], "no visit and no contact");
    // A decision of before the end, or of after it; taken back, it ends nothing.
    for (decision, months, on) in [
        (Decision::Stop, None, "2031-01-01"),
        (Decision::Shorten, Some(178), "2030-07-01"),
        (Decision::Stop, None, "2031-06-11"),
        (Decision::Waive, None, "2031-06-11"),
    ] {
        let mut story = treated();
        story.decided("P1", decision, months, on);
        assert_eq!(what(&story), [], "{decision:?} {on}");
        story.decided("P1", Decision::Resume, None, "2031-06-11");
        assert_eq!(what(&story), [PERSISTENCE], "{decision:?} {on}");
    }
    let mut story = treated();
    story.decided("P1", Decision::Stop, None, "2031-06-12");
    check(&story, &PERSISTENCE, &overdue);
    let mut story = treated();
    story.state("P1", pb::PatientState::Deceased, "2031-06-11");
    assert_eq!(what(&story), []);
    let mut story = treated();
    withdrawn(&mut story, WithdrawalScope::AllProcedures, "2031-06-11");
    assert_eq!(what(&story), []);
}

/// R-C1, R-C2: what a result has asked for does not end with the follow-up.
#[test]
fn what_a_clone_and_an_expansion_ask_for_goes_on_after_the_end() {
    use pb::Finding as F;
    let mut story = treated(pb::ProductClass::GeneEditedInVivo);
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2031-02-01");
    story.result("P1", "S1", F::ClonalExpansion, "2031-02-10");
    story.result("P1", "S1", F::Monoclonal, "2031-02-20");
    // The vector is still there: open until data show no risk (R-V4), and then it is not.
    story.sample("P1", "S2", &FOR_PERSISTENCE, "2031-02-12");
    story.result("P1", "S2", F::VectorNotDetected, "2031-02-21");
    story.result("P1", "S2", F::ClonalExpansion, "2031-03-02");
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2031-03-01", "2031-05-20 Due 0 R-C1"),
            ("2031-03-02", "2031-05-12 Due 0 R-C2"),
        ],
    );
    check(
        &story,
        &What::MalignancyWatch,
        &[("2031-03-02", " Due 0 R-C2")],
    );
    let confirmation = [("2031-03-02", "2031-05-20 Due 0 R-C1")];
    check(&story, &What::CloneConfirmation, &confirmation);
}

/// R-S3.
#[test]
fn death_and_withdrawal_cancel_what_they_concern_from_their_day() {
    use WithdrawalScope as W;
    let rows = |scope| {
        let mut story = treated(pb::ProductClass::Lenti);
        story.plan("2", "2016-03-01", {
            pb::PlanParameters {
                intensive_months: Some(6),
                ..yearly()
            }
        });
        let slot = pb::PlannedSlot {
            slot: "Y3".to_owned(),
            kind: pb::SlotKind::Visit.into(),
            months: 36,
            ..Default::default()
        };
        let plan = pb::FollowUpPlanVersion {
            version: "3".to_owned(),
            slots: vec![slot],
            ..Default::default()
        };
        story.plan_version("2016-03-02", plan);
        match scope {
            Some(scope) => withdrawn(&mut story, scope, "2017-01-10"),
            None => story.state("P1", pb::PatientState::Deceased, "2017-01-10"),
        }
        ["2017-01-09", "2017-01-10"].map(|as_of| {
            let open = story.open("P1", as_of);
            open.into_iter().map(|row| row.what).collect::<Vec<_>>()
        })
    };
    let all = vec![What::Visit, What::Contact, PERSISTENCE];
    for (scope, left) in [
        (None, vec![]),
        (Some(W::AllProcedures), vec![What::Contact]),
        (Some(W::InvasiveSampling), vec![What::Visit, What::Contact]),
        (Some(W::Contact), vec![What::Visit, PERSISTENCE]),
        (Some(W::DataFutureUse), all.clone()),
    ] {
        assert_eq!(rows(scope), [all.clone(), left], "{scope:?}");
    }
}

#[test]
fn the_lost_stay_on_the_lists() {
    let mut story = treated(pb::ProductClass::Lenti);
    story.state("P1", pb::PatientState::LostToFollowUp, "2016-05-01");
    let overdue = [("2016-09-01", "2016-08-29 Overdue 3 R-S1")];
    check(&story, &PERSISTENCE, &overdue);
}

/// R-S0.
#[test]
fn a_waiver_turns_an_obligation_into_waived_as_long_as_it_is_valid() {
    let mut story = treated(pb::ProductClass::Lenti);
    let waiver = |purpose: SamplePurpose| {
        pb::record::Kind::SamplingWaiver(pb::SamplingWaiver {
            purposes: vec![purpose.into()],
            valid_to: "2016-10-01".to_owned(),
            ..Default::default()
        })
    };
    story.tell("2016-08-01", "P1", waiver(SamplePurpose::Rcl));
    story.tell("2016-09-05", "P1", waiver(SamplePurpose::Persistence));
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-09-04", "2016-08-29 Overdue 6 R-S1"),
            ("2016-09-05", "2016-08-29 Waived 7 R-S0 R-S1"),
            ("2016-10-01", "2016-08-29 Waived 33 R-S0 R-S1"),
            ("2016-10-02", "2016-08-29 Overdue 34 R-S1"),
        ],
    );
}

#[test]
fn a_decision_stops_waives_or_changes_a_part_of_the_monitoring() {
    let decide = |decision: Decision, parts: &[Part], interval| {
        pb::record::Kind::MonitoringDecision(pb::MonitoringDecision {
            decision: decision.into(),
            parts: parts.iter().map(|part| i32::from(*part)).collect(),
            sample_interval_months: interval,
            ..Default::default()
        })
    };
    let mut story = treated(pb::ProductClass::Lenti);
    let persistence = [Part::Persistence];
    for (on, decision) in [
        ("2016-03-05", decide(Decision::Stop, &[Part::Rcl], None)),
        (
            "2016-03-10",
            decide(Decision::Intensify, &persistence, Some(2)),
        ),
        ("2016-03-15", decide(Decision::Waive, &persistence, None)),
        ("2016-03-20", decide(Decision::Stop, &persistence, None)),
        ("2016-03-25", decide(Decision::Resume, &persistence, None)),
    ] {
        story.tell(on, "P1", decision);
    }
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-03-09", "2016-08-29 Due 0 R-S1"),
            ("2016-03-10", "2016-04-29 Due 0 R-S1"),
            ("2016-03-15", "2016-04-29 Waived 0 R-S1"),
            ("2016-03-20", ""),
            ("2016-03-25", "2016-04-29 Due 0 R-S1"),
        ],
    );
}

/// A slot that a later version introduced waits for that version's consent.
#[test]
fn a_slot_of_a_later_version_is_blocked_until_its_consent_is_given() {
    let month_6 = sample_slot("M6", 6, SamplePurpose::Persistence);
    let mut story = with_slots(vec![month_6.clone()], pb::PlanParameters::default());
    story.consent_version("2", "2016-09-10", Some(30));
    let plan = pb::FollowUpPlanVersion {
        version: "2".to_owned(),
        linked_consent: Some(crate::rules::follow_up::story::consent("2")),
        slots: vec![month_6, sample_slot("M12", 12, SamplePurpose::Persistence)],
        ..Default::default()
    };
    story.plan_version("2016-09-10", plan);
    story.sample("P1", "S1", &FOR_PERSISTENCE, "2016-08-29");
    story.signed("P1", "2", "2016-10-01");
    check(
        &story,
        &PERSISTENCE,
        &[
            ("2016-09-09", ""),
            ("2016-09-10", "2017-02-28 BlockedConsent 0 R-S4"),
            ("2016-10-01", "2017-02-28 Due 0 R-S4"),
        ],
    );
}

/// The days late of the samples that the CAR-T history calls late.
/// R-S1: from the administration on; what was taken on its day is where it begins, and due by nothing.
#[test]
fn a_sample_is_due_from_the_day_after_the_administration() {
    let mut story = treated(pb::ProductClass::Lenti);
    for (sample, on) in [
        ("S0", "2016-02-28"),
        ("S1", "2016-02-29"),
        ("S2", "2016-08-30"),
    ] {
        story.sample("P1", sample, &FOR_PERSISTENCE, on);
    }
    let taken = story.schedule("P1", "2017-01-01").taken;
    let taken: Vec<_> = taken
        .iter()
        .map(|one| (one.sample_id.as_str(), one.due, one.days_late))
        .collect();
    assert_eq!(taken, [("S2", day("2016-08-29"), 1)]);
}

#[test]
fn the_car_t_history_has_the_late_samples_that_it_expects() {
    let story = Story::over(car_t());
    let mut late = Vec::new();
    for patient in PATIENTS {
        for taken in story.schedule(patient, "2026-01-15").taken {
            if 0 < taken.days_late {
                late.push((patient, taken.due, taken.on, taken.days_late));
            }
        }
    }
    assert_eq!(
        late,
        [
            ("P2", day("2022-05-18"), day("2022-05-25"), 7),
            ("P2", day("2024-07-29"), day("2024-08-20"), 22),
            ("P4", day("2021-11-18"), day("2021-11-30"), 12),
            ("P4", day("2023-05-10"), day("2023-06-02"), 23),
        ]
    );
}

#[test]
fn the_car_t_history_has_the_fifth_years_that_it_expects() {
    let history = include_str!("../../../../tests/histories/car-t.json");
    let history: Value = serde_json::from_str(history).unwrap();
    let story = Story::over(car_t());
    for patient in PATIENTS {
        let want = history["expected"]["year5_end"][patient].as_str().unwrap();
        let period = story.period(patient, "2026-01-15");
        assert_eq!(period.courses[0].intensive_until(), Some(day(want)));
    }
}

#[test]
fn a_slot_is_met_by_who_was_reached_and_shows_the_plan_that_asks() {
    let slot = |slot: &str, months| pb::PlannedSlot {
        slot: slot.to_owned(),
        kind: pb::SlotKind::Contact.into(),
        months,
        window_days: Some(10),
        ..Default::default()
    };
    let contact = |reached| {
        pb::record::Kind::FollowUpContact(pb::FollowUpContact {
            slot: "C1".to_owned(),
            reached: Some(reached),
            ..Default::default()
        })
    };
    let due = |story: &Story| {
        let open = story.open("P1", "2017-03-02");
        let mut contacts = open.iter().filter(|row| row.what == What::Contact);
        contacts.next().unwrap().clone()
    };
    let slots = vec![slot("C1", 12), slot("C2", 24)];
    let mut story = with_slots(slots, yearly());
    let facts = story.book.facts().iter();
    let mut plans =
        facts.filter(|fact| matches!(fact.kind(), Some(pb::record::Kind::FollowUpPlanVersion(_))));
    let plan = plans.next().unwrap().index;
    story.tell("2016-02-28", "P1", contact(true));
    story.tell("2017-03-01", "P1", contact(false));
    story.tell("2017-03-03", "P1", contact(true));
    let open = due(&story);
    assert_eq!(
        (open.slot.as_str(), open.due),
        ("C1", Some(day("2017-02-28")))
    );
    assert!(open.why.evidence.contains_key(&plan), "{:?}", open.why);
    story.tell("2017-03-02", "P1", contact(true));
    assert_eq!(due(&story).slot, "C2");
}

#[test]
fn an_off_target_sample_is_assessed_by_a_result_on_it_that_tells_of_off_target_activity() {
    let mut story = Story::of_product(&[pb::ProductClass::GeneEditedInVivo]);
    story.plan("1", "2010-01-01", pb::PlanParameters::default());
    story.patient("X1", "2010-01-10");
    story.sample("X1", "S1", &[SamplePurpose::OffTarget], "2010-07-10");
    story.sample("X1", "S2", &[SamplePurpose::OffTarget], "2010-07-10");
    let open = |story: &Story| {
        let tasks = story.schedule("X1", "2011-01-01").tasks.into_iter();
        let of_kind = tasks.filter(|task| task.what == What::OffTarget);
        of_kind.filter(|task| task.state != State::Met).count()
    };
    assert_eq!(open(&story), 2);
    for (sample, tells, left) in [("S1", false, 2), ("S2", true, 1), ("S1", true, 0)] {
        let result = pb::AssayResult {
            sample_id: sample.to_owned(),
            off_target: tells.then(Default::default),
            ..pb::AssayResult::default()
        };
        story.tell("2010-08-10", "X1", pb::record::Kind::AssayResult(result));
        assert_eq!(open(&story), left, "{sample}");
    }
}
