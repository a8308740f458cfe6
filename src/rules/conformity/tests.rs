//! The verdicts on the worked history, by hand; each kind of verdict; and the rule that nothing is met by default.

mod patients;
mod products;
mod stories;

use std::collections::BTreeSet;

use super::*;
use crate::{
    record::format::parse_civil_date,
    rules::{
        book::Book,
        consent::signatures::Signatures,
        dossier::Dossier,
        example,
        fact::{Fact, Facts as _, Subject, event_day},
        question::{Question, View},
    },
    tlog::{Index, TreeSize},
};

/// The records of the worked history.
fn car_t() -> Vec<pb::Record> {
    let book = example::car_t();
    book.facts()
        .iter()
        .map(|fact| fact.record.clone())
        .collect()
}

/// The report on a product, from these records, as of a day.
fn report(records: Vec<pb::Record>, product_id: &str, as_of: &str) -> Vec<Row> {
    let mut book = Book::default();
    for record in records {
        book.insert(Fact {
            index: Index::new(book.facts().len().try_into().unwrap()),
            recorded_at: record.client_time.parse().unwrap_or_default(),
            actor: record.actor_person.clone(),
            on: event_day(&record).unwrap(),
            record,
            replacement: None,
        });
    }
    let question = Question {
        as_of: parse_civil_date(as_of).unwrap(),
        known_at: TreeSize::new(u64::MAX),
        view: View::AsCorrected,
    };
    let Ok(about) = book.about(&Subject::Catalogue);
    let catalogue = Catalogue::of(&about, &question);
    let mut report = Conformity::of(&catalogue, product_id, question.as_of).unwrap();
    let mut patients = BTreeSet::new();
    for fact in book.facts() {
        patients.insert(fact.record.patient.clone());
    }
    patients.remove("");
    for patient in patients {
        let Ok(dossier) = Dossier::of_patient(&book, &patient);
        let patient = Patient::of(&dossier, &question);
        report.add(&patient, &Signatures::of(&patient, &catalogue));
    }
    report.rows()
}

#[test]
fn the_table_is_the_guidelines() {
    for (number, obligation) in (1..).zip(&GUIDELINE) {
        assert_eq!(obligation.id, format!("A-{number:02}"));
    }
}

const CAR_T: &str = "SYN-CAR19";
const AS_OF: &str = "2026-01-15";

fn row<'a>(rows: &'a [Row], id: &str) -> &'a Row {
    rows.iter().find(|row| row.id == id).unwrap()
}

/// The patients whom an obligation's exceptions name, in order, each once.
fn patients(row: &Row) -> Vec<&str> {
    let named: BTreeSet<&str> = row
        .exceptions
        .iter()
        .filter_map(|one| match &one.of {
            Of::Patient(patient) => Some(patient.as_str()),
            Of::Product | Of::Document(_) => None,
        })
        .collect();
    named.into_iter().collect()
}

fn reasons_of<'a>(row: &'a Row, patient: &str) -> Vec<&'a str> {
    let of = Of::Patient(patient.to_owned());
    let own = row.exceptions.iter().filter(|one| one.of == of);
    own.map(|one| one.reason.as_str()).collect()
}

#[test]
fn the_car_t_history_stands_to_the_guideline_as_reckoned_by_hand() {
    use Verdict::{CannotTell, Met, NotApplicable, NotMet};
    let rows = report(car_t(), CAR_T, AS_OF);
    for (id, verdict, looked_at, wanting) in [
        // Two classes: lentivirus, and cells.
        ("A-01", Met, 2, 0),
        ("A-02", Met, 2, 0),
        ("A-03", NotMet, 0, 1),
        // Of each risk factor nobody knows.
        ("A-05", NotMet, 10, 10),
        ("A-06", NotApplicable, 0, 0),
        ("A-07", CannotTell, 0, 0),
        // The history has no visit.
        ("A-08", CannotTell, 0, 0),
        // P2 has died; the other five are enrolled.
        ("A-09", Met, 5, 0),
        ("A-10", NotMet, 6, 6),
        ("A-11", CannotTell, 0, 0),
        ("A-12", Met, 6, 0),
        ("A-13", NotApplicable, 0, 0),
        ("A-14", NotApplicable, 0, 0),
        ("A-15", NotApplicable, 0, 0),
        ("A-16", NotApplicable, 0, 0),
        ("A-17", NotApplicable, 0, 0),
        ("A-18", NotApplicable, 0, 0),
        // v1.0, v1.1, v2.0, v3.0, with all eight items.
        ("A-19", Met, 4, 0),
        ("A-20", Met, 4, 0),
        ("A-21", Met, 4, 0),
        ("A-22", Met, 4, 0),
        // The suspected RCL of P6 was never assessed.
        ("A-24", NotMet, 1, 1),
        // Neither visits nor methods nor target events.
        ("A-25", NotMet, 1, 3),
        ("A-26", NotMet, 1, 1),
        // SIG-1 led to a consent version, and to no plan version.
        ("A-27", NotMet, 1, 1),
        // No method is registered.
        ("A-29", NotMet, 6, 6),
        ("A-30", NotApplicable, 0, 0),
        // P2, from 2021-12-10 to 2023-02-24.
        ("A-31", Met, 1, 0),
        // P1, P3 and P4.
        ("A-32", Met, 3, 0),
        ("A-33", NotApplicable, 0, 0),
        ("A-34", NotMet, 1, 1),
        // P5's RCL sample of plan version 2.
        ("A-35", NotMet, 5, 1),
        ("A-36", CannotTell, 0, 0),
        ("A-37", CannotTell, 0, 0),
        // P1, P3 and P5 have samples and no result.
        ("A-38", NotMet, 6, 3),
        ("A-41", Met, 1, 0),
        ("A-42", Met, 2, 0),
        // LMO2, compared with databases that are not said.
        ("A-43", NotMet, 1, 1),
        ("A-44", NotMet, 1, 1),
        ("A-45", Met, 1, 0),
        ("A-46", NotApplicable, 0, 0),
        ("A-47", NotApplicable, 0, 0),
        ("A-49", NotApplicable, 0, 0),
        ("A-50", Met, 6, 0),
        ("A-51", NotMet, 5, 5),
        ("A-52", NotMet, 1, 4),
        ("A-53", NotApplicable, 0, 0),
    ] {
        let row = row(&rows, id);
        assert_eq!(row.verdict, verdict, "{id} {:?}", row.exceptions);
        assert_eq!(row.exceptions_all, wanting, "{id} {:?}", row.exceptions);
        if verdict != NotApplicable {
            assert_eq!(row.counts[0].1, looked_at, "{id}");
        }
        assert!(verdict != Met || !row.evidence.is_empty(), "{id}");
        let says_why = matches!(verdict, NotApplicable | CannotTell);
        assert_eq!(!row.because.is_empty(), says_why, "{id}");
    }
}

#[test]
fn late_samples_of_the_car_t_history_are_those_of_its_expected_deviations() {
    let rows = report(car_t(), CAR_T, AS_OF);
    let interval = row(&rows, "A-39");
    assert_eq!(patients(interval), ["P2", "P4", "P5"]);
    assert!(reasons_of(interval, "P2")[0].contains("22 days after 2024-07-29"));
    assert!(reasons_of(interval, "P4")[0].contains("12 days after 2021-11-18"));
    assert!(reasons_of(interval, "P4")[1].contains("23 days after 2023-05-10"));
    assert!(reasons_of(interval, "P5")[0].contains("overdue by 413 days, due 2024-11-28"));
    let intensified = row(&rows, "A-44");
    assert_eq!(patients(intensified), ["P2"]);
    assert!(reasons_of(intensified, "P2")[0].contains("7 days after 2022-05-18"));
}

#[test]
fn every_exception_of_a_patient_shows_its_entries() {
    let records = car_t();
    let ids: BTreeSet<String> = records.iter().map(|one| one.record_id.clone()).collect();
    for row in report(records, CAR_T, AS_OF) {
        for exception in &row.exceptions {
            if matches!(exception.of, Of::Patient(_)) {
                assert!(!exception.evidence.is_empty(), "{} {exception:?}", row.id);
            }
            for (_, id) in &exception.evidence {
                assert!(ids.contains(id), "{} {exception:?}", row.id);
            }
        }
    }
}

#[test]
fn a_report_of_an_earlier_day_knows_nothing_of_what_came_later() {
    let rows = report(car_t(), CAR_T, "2021-11-15");
    // No signal yet, no intensified schedule, one dominant clone that is not due for its test.
    assert_eq!(row(&rows, "A-23").verdict, Verdict::NotApplicable);
    assert_eq!(row(&rows, "A-44").verdict, Verdict::NotApplicable);
    assert_eq!(row(&rows, "A-45").verdict, Verdict::NotApplicable);
    assert_eq!(row(&rows, "A-12").counts[0].1, 5);
    // From the day after its three months on, the sample would be overdue.
    assert_eq!(patients(row(&rows, "A-39")), Vec::<&str>::new());
}

#[test]
fn of_a_product_without_patients_and_plans_nothing_is_met_but_its_class() {
    let records = car_t();
    let product = records
        .into_iter()
        .filter(|record| matches!(record.kind, Some(pb::record::Kind::ProductRegistered(_))));
    let rows = report(product.collect(), CAR_T, AS_OF);
    for row in &rows {
        let is_met = row.verdict == Verdict::Met;
        assert_eq!(is_met, row.id == "A-01", "{} {:?}", row.id, row.counts);
    }
    assert_eq!(row(&rows, "A-02").verdict, Verdict::CannotTell);
    assert_eq!(row(&rows, "A-04").verdict, Verdict::NotApplicable);
    assert_eq!(row(&rows, "A-25").verdict, Verdict::CannotTell);
}

#[test]
fn a_product_that_nobody_registered_has_no_report() {
    let catalogue = Catalogue::default();
    let on = parse_civil_date(AS_OF).unwrap();
    assert!(Conformity::of(&catalogue, "NONE", on).is_none());
}

/// The records with every record of a kind changed.
fn changed(mut records: Vec<pb::Record>, change: impl Fn(&mut pb::Record)) -> Vec<pb::Record> {
    for record in &mut records {
        change(record);
    }
    records
}

/// Checks the verdict of an obligation after every record was changed so.
fn check(id: &str, verdict: Verdict, change: impl Fn(&mut pb::Record)) {
    let rows = report(changed(car_t(), change), CAR_T, AS_OF);
    let row = row(&rows, id);
    assert_eq!(row.verdict, verdict, "{id} {:?}", row.exceptions);
}

macro_rules! on {
    ($kind:ident, |$record:ident| $change:expr) => {
        move |record: &mut pb::Record| {
            if let Some(pb::record::Kind::$kind($record)) = &mut record.kind {
                $change;
            }
        }
    };
}

#[test]
fn an_obligation_of_the_product_is_met_when_what_is_asked_for_is_on_record() {
    use Verdict::{CannotTell, Met, NotApplicable, NotMet};
    let evidence = || {
        Some(pb::DocHash {
            sha256: vec![7; 32],
            ..pb::DocHash::default()
        })
    };
    check(
        "A-05",
        Met,
        on!(ProductRegistered, |product| {
            for risk in &mut product.risk_profile {
                risk.set_state(RiskState::Absent);
                risk.evidence = evidence();
            }
        }),
    );
    check(
        "A-05",
        NotMet,
        on!(ProductRegistered, |product| {
            for risk in &mut product.risk_profile {
                risk.set_state(RiskState::Absent);
            }
        }),
    );
    let shed = |state| {
        on!(ProductRegistered, |product| {
            for risk in &mut product.risk_profile {
                risk.set_state(state);
            }
        })
    };
    check("A-07", NotApplicable, shed(RiskState::Absent));
    check("A-07", CannotTell, shed(RiskState::Present));
    check("A-13", Met, shed(RiskState::Present));
    for (onset, verdict) in [(179, Met), (180, Met), (181, NotMet)] {
        check(
            "A-11",
            verdict,
            on!(ProductRegistered, |product| {
                product.expected_onset_max_months = Some(onset);
            }),
        );
    }
    check(
        "A-53",
        NotMet,
        on!(ProductRegistered, |product| {
            product.set_phase(pb::ProductPhase::PostMarketing);
        }),
    );
    check(
        "A-49",
        Met,
        on!(ProductRegistered, |product| {
            product.set_phase(pb::ProductPhase::PostMarketing);
        }),
    );
}

#[test]
fn an_obligation_of_the_documents_follows_the_documents() {
    use Verdict::{Met, NotMet};
    for (id, item) in [
        ("A-19", pb::ConsentItemKind::Risks),
        ("A-20", pb::ConsentItemKind::VisitInterval),
        ("A-21", pb::ConsentItemKind::Contacts),
        ("A-22", pb::ConsentItemKind::GeneticTesting),
    ] {
        check(
            id,
            NotMet,
            on!(ConsentDocumentVersion, |document| {
                document.items.retain(|one| one.item() != item);
            }),
        );
    }
    check(
        "A-34",
        Met,
        on!(FollowUpPlanVersion, |plan| {
            plan.protocol_ids = vec!["CAR19-301".to_owned()];
        }),
    );
    check(
        "A-52",
        Met,
        on!(FollowUpPlanVersion, |plan| {
            plan.purpose = "safety".to_owned();
            plan.population = "all".to_owned();
            plan.content = "visits".to_owned();
            plan.parameters.get_or_insert_default().follow_up_months = Some(180);
        }),
    );
    check(
        "A-26",
        Met,
        on!(FollowUpPlanVersion, |plan| {
            plan.recording_guide = Some(pb::DocHash::default());
        }),
    );
    check(
        "A-27",
        Met,
        on!(FollowUpPlanVersion, |plan| {
            plan.trigger = Some(pb::Trigger {
                cause: Some(pb::trigger::Cause::SignalId("SIG-1".to_owned())),
            });
        }),
    );
    check(
        "A-23",
        NotMet,
        on!(ConsentDocumentVersion, |document| {
            document.trigger = None;
        }),
    );
    check(
        "A-02",
        NotMet,
        on!(FollowUpPlanVersion, |plan| {
            let numbers = plan.parameters.get_or_insert_default();
            numbers.sample_interval_months_first_years = Some(7);
        }),
    );
}

#[test]
fn an_obligation_of_a_patient_follows_what_is_recorded_of_the_patient() {
    use Verdict::{Met, NotMet};
    check(
        "A-10",
        Met,
        on!(FollowUpEnrolment, |enrolment| {
            enrolment.covariates = vec![pb::Code::default()];
        }),
    );
    check(
        "A-48",
        NotMet,
        on!(SampleCollected, |sample| {
            sample.surrogate_justification.clear();
        }),
    );
    check(
        "A-24",
        Met,
        on!(AdverseEvent, |event| event.serious.clear()),
    );
    check(
        "A-40",
        NotMet,
        on!(AssayResult, |result| {
            result.controls = None;
        }),
    );
    check(
        "A-43",
        Met,
        on!(AssayResult, |result| {
            for site in &mut result.sites {
                site.nearest_gene = "LMO2".to_owned();
                site.databases = vec![pb::Database {
                    name: "COSMIC".to_owned(),
                    version: "98".to_owned(),
                }];
            }
        }),
    );
    // A lot that nobody registered, and one of which nothing says what it was made of.
    check(
        "A-50",
        NotMet,
        on!(LotRegistered, |lot| lot.lot = "X".to_owned()),
    );
    check(
        "A-50",
        NotMet,
        on!(Transformation, |step| step.outputs.clear()),
    );
}

#[test]
fn a_treated_patient_who_is_not_enrolled_is_an_exception() {
    let mut records = car_t();
    records.retain(|record| {
        let enrolment = matches!(record.kind, Some(pb::record::Kind::FollowUpEnrolment(_)));
        !(enrolment && record.patient == "P4")
    });
    let rows = report(records, CAR_T, AS_OF);
    let enrolled = row(&rows, "A-09");
    assert_eq!(enrolled.verdict, Verdict::NotMet);
    assert_eq!(patients(enrolled), ["P4"]);
}

#[test]
fn more_exceptions_than_are_told_are_counted() {
    let mut tally = Tally::default();
    for number in 0..EXCEPTIONS_MAX + 5 {
        let of = Of::Patient(format!("P{number}"));
        tally.except(of, "wrong".to_owned(), Vec::new());
    }
    let row = tally.row(&GUIDELINE[8]);
    assert_eq!(row.exceptions.len(), EXCEPTIONS_MAX);
    assert_eq!(row.exceptions_all, EXCEPTIONS_MAX as u64 + 5);
    assert_eq!(row.verdict, Verdict::NotMet);
}

#[test]
fn more_entries_than_are_named_are_counted() {
    let book = example::car_t();
    let mut tally = Tally::default();
    for fact in book.facts() {
        tally.look_at(fact);
    }
    let row = tally.row(&GUIDELINE[8]);
    assert_eq!(row.counts[0].1, u64::try_from(book.facts().len()).unwrap());
    let named: Vec<u64> = row.evidence.iter().map(|(index, _)| *index).collect();
    assert_eq!(named, (0..50).collect::<Vec<_>>());
}

#[test]
fn what_does_not_apply_tells_nothing_else() {
    let mut tally = Tally::default();
    tally.look();
    tally.except(Of::Product, "wrong".to_owned(), Vec::new());
    tally.cannot_tell("unknown");
    tally.not_applicable("another class");
    let row = tally.row(&GUIDELINE[12]);
    assert_eq!(row.verdict, Verdict::NotApplicable);
    assert_eq!((row.exceptions.len(), row.counts[0].1), (0, 0));
    assert_eq!(row.because, "another class");
}

/// The worked history, changed so, with more records after it: the day, the patient, what.
fn row_with(
    id: &str,
    more: Vec<(&str, &str, pb::record::Kind)>,
    change: impl Fn(&mut pb::Record),
) -> Row {
    let mut records = changed(car_t(), change);
    for (number, (on, patient, kind)) in more.into_iter().enumerate() {
        records.push(pb::Record {
            record_id: format!("MORE-{number}"),
            event_time: on.to_owned(),
            patient: patient.to_owned(),
            kind: Some(kind),
            ..pb::Record::default()
        });
    }
    let mut rows = report(records, CAR_T, AS_OF).into_iter();
    rows.find(|row| row.id == id).unwrap()
}

#[test]
fn a_visit_has_a_block_on_pregnancy_and_names_what_it_lacks() {
    use pb::{BlockStatus as S, VisitBlockKind as Block};
    let visit = |reached: bool, status: Option<S>| {
        let block = |kind: Block, status: S| pb::VisitBlock {
            block: kind.into(),
            status: status.into(),
            ..pb::VisitBlock::default()
        };
        pb::record::Kind::FollowUpVisit(pb::FollowUpVisit {
            reached: Some(reached),
            blocks: status
                .map(|status| block(Block::Pregnancy, status))
                .into_iter()
                .chain([block(Block::History, S::Done)])
                .collect(),
            ..pb::FollowUpVisit::default()
        })
    };
    for (reached, status, looked_at, wanting) in [
        (true, Some(S::Done), 1, 0),
        (true, Some(S::NotDone), 1, 1),
        (true, None, 1, 1),
        (false, None, 0, 0),
    ] {
        let more = vec![("2025-12-01", "P1", visit(reached, status))];
        let row = row_with("A-08", more, |_| {});
        let have = (row.counts[0].1, row.exceptions_all);
        assert_eq!(
            have,
            (looked_at, wanting),
            "{status:?} {:?}",
            row.exceptions
        );
    }
    let more = vec![("2021-12-01", "P1", visit(true, Some(S::Done)))];
    let row = row_with("A-28", more, |_| {});
    let lacks = "lacks drugs, adverse events, diseases, examination";
    let told = reasons_of(&row, "P1");
    assert!(
        told.iter().any(|reason| reason.ends_with(lacks)),
        "{told:?}"
    );
    let none = "past the intensive period without a single visit";
    assert!(!told.contains(&none), "{told:?}");
    let row = row_with("A-28", Vec::new(), |_| {});
    assert!(reasons_of(&row, "P1").contains(&none), "{row:?}");
}

#[test]
fn a_result_is_by_a_method_that_was_registered_by_then() {
    let method = |version: &str, figure: &str, report: bool| {
        pb::record::Kind::AssayMethodVersion(pb::AssayMethodVersion {
            method_id: "QPCR".to_owned(),
            version: version.to_owned(),
            lod: Some(pb::Quantity::default()),
            sensitivity_percent: figure.to_owned(),
            specificity_percent: "99".to_owned(),
            reproducibility_percent: "5".to_owned(),
            validation_report: report.then(pb::DocHash::default),
            ..pb::AssayMethodVersion::default()
        })
    };
    let named = |method_id: &'static str, version: &'static str| {
        on!(AssayResult, |result| {
            result.method = Some(pb::AssayMethodKey {
                method_id: method_id.to_owned(),
                version: version.to_owned(),
            });
            result.controls = Some(pb::AssayControls {
                positive: pb::ControlOutcome::Pass.into(),
                negative: pb::ControlOutcome::Pass.into(),
            });
        })
    };
    let early = "2015-01-01";
    for (registered, of_method, named, validation, figures) in [
        (early, method("1", "98", true), named("QPCR", "1"), 0, 0),
        (early, method("1", "98", true), named("QPCR", ""), 0, 0),
        (early, method("1", "98", true), named("QPCR", "2"), 6, 6),
        (early, method("1", "98", true), named("OTHER", ""), 6, 6),
        (early, method("1", "", true), named("QPCR", "1"), 0, 6),
        (early, method("1", "98", false), named("QPCR", "1"), 6, 0),
        (AS_OF, method("1", "98", true), named("QPCR", "1"), 6, 6),
    ] {
        for (id, wanting) in [("A-29", validation), ("A-40", figures)] {
            let more = vec![(registered, "", of_method.clone())];
            let row = row_with(id, more, named);
            assert_eq!(row.exceptions_all, wanting, "{id} {:?}", row.exceptions);
        }
    }
}

#[test]
fn a_report_is_in_time_on_the_day_that_it_is_due() {
    use Verdict::{CannotTell, Met, NotMet};
    let told = |product_id: &str, due: &str, submitted: &str| {
        pb::record::Kind::RegulatoryReport(pb::RegulatoryReport {
            report_type: pb::ReportType::Dsur.into(),
            product_id: product_id.to_owned(),
            due_on: due.to_owned(),
            submitted_on: submitted.to_owned(),
            ..pb::RegulatoryReport::default()
        })
    };
    for (product_id, due, submitted, verdict) in [
        (CAR_T, "2025-06-30", "2025-06-30", Met),
        (CAR_T, "2025-06-30", "2025-07-01", NotMet),
        ("", "2025-06-30", "2025-07-01", NotMet),
        ("OTHER", "2025-06-30", "2025-07-01", CannotTell),
        (CAR_T, AS_OF, "", Met),
        (CAR_T, "2026-01-14", "", NotMet),
        (CAR_T, "", "2025-07-01", Met),
        (CAR_T, "", "", CannotTell),
    ] {
        let more = vec![("2025-07-01", "", told(product_id, due, submitted))];
        let row = row_with("A-36", more, |_| {});
        assert_eq!(row.verdict, verdict, "{product_id} {due} {submitted}");
    }
}

#[test]
fn a_signal_is_a_products_by_its_name_its_class_or_its_lots() {
    let names = |products: &'static [&str], gtin: &'static str| {
        on!(RiskSignal, |signal| {
            signal.product_classes.clear();
            signal.product_ids = products.iter().map(|id| (*id).to_owned()).collect();
            signal.lots = vec![pb::LotKey {
                gtin: gtin.to_owned(),
                ..pb::LotKey::default()
            }];
        })
    };
    for (products, gtin, looked_at) in [
        (&[CAR_T][..], "", 1),
        (&["OTHER"], "09521123450011", 1),
        (&["OTHER"], "09521123459999", 0),
        (&[], "", 0),
    ] {
        let row = row_with("A-27", Vec::new(), names(products, gtin));
        assert_eq!(row.counts[0].1, looked_at, "{products:?} {gtin}");
    }
}

#[test]
fn what_is_counted_beside_is_added_up_by_what_it_is() {
    let mut tally = Tally::default();
    tally.count("contacts", 2);
    tally.count("waivers", 1);
    tally.count("contacts", 3);
    tally.look();
    let row = tally.row(&GUIDELINE[8]);
    let of = |what| row.counts.iter().find(|(have, _)| *have == what).unwrap().1;
    assert_eq!((of("contacts"), of("waivers")), (5, 1));
}

#[test]
fn contacts_are_counted_by_whether_anybody_was_reached() {
    let contact = |reached| {
        pb::record::Kind::FollowUpContact(pb::FollowUpContact {
            reached: Some(reached),
            ..pb::FollowUpContact::default()
        })
    };
    let more = [true, false, true].map(|reached| ("2025-12-01", "P1", contact(reached)));
    let row = row_with("A-51", more.to_vec(), |_| {});
    let of = |what| row.counts.iter().find(|(have, _)| *have == what).unwrap().1;
    let (made, vain) = (of("contacts made"), of("contacts that reached nobody"));
    assert_eq!((made, vain), (2, 1));
    let of_safety = |more: Vec<_>| {
        let row = row_with("A-04", more, |_| {});
        let mut counts = row.counts.iter();
        counts.find(|(what, _)| *what == "of safety").unwrap().1
    };
    assert_eq!(of_safety(more.to_vec()), of_safety(Vec::new()) + 2);
}
