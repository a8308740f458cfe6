//! The rules of consent, by number: the worked history, and stories of an adult and of a child.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{
    requirements::{Kind, List, Requirement, State, requirements},
    signatures::{Fault, Signatures},
};
use crate::{
    pb::{self, Signatory},
    record::format::parse_civil_date,
    rules::{
        book::Book,
        catalogue::Catalogue,
        dossier::Dossier,
        example::car_t,
        fact::{Fact, Facts as _, Subject, event_day},
        follow_up::period::Period,
        patient::Patient,
        question::{Question, View},
    },
    tlog::{Index, TreeSize},
};

const SITE: &str = "9521123001015";
const OTHER: &str = "9521123001022";
const GTIN: &str = "09521123450011";

fn day(text: &str) -> NaiveDate {
    parse_civil_date(text).unwrap()
}

/// A patient as everything in the book tells it on a day.
fn asked(book: &Book, patient: &str, as_of: &str) -> (Patient, Catalogue) {
    let known_at = TreeSize::new(u64::try_from(book.facts().len()).unwrap());
    let question = Question {
        as_of: day(as_of),
        known_at,
        view: View::AsCorrected,
    };
    let Ok(dossier) = Dossier::of_patient(book, patient);
    let Ok(about) = book.about(&Subject::Catalogue);
    let catalogue = Catalogue::of(&about, &question);
    (Patient::of(&dossier, &question), catalogue)
}

fn required(book: &Book, patient: &str, as_of: &str) -> Vec<Requirement> {
    let (patient, catalogue) = asked(book, patient, as_of);
    let signatures = Signatures::of(&patient, &catalogue);
    let period = Period::of(&patient, &catalogue, &signatures, patient.as_of);
    requirements(&patient, &catalogue, &signatures, &period)
}

/// A requirement as a line: list, kind, version, deadline, state.
fn line(row: &Requirement) -> String {
    let deadline = row.deadline.map_or("-".to_owned(), |day| day.to_string());
    let state = match row.state {
        State::Due => "due".to_owned(),
        State::Overdue(days) => format!("overdue {days}"),
        State::NoDeadline => "no deadline".to_owned(),
    };
    let unreachable = if row.is_unreachable {
        " unreachable"
    } else {
        ""
    };
    format!(
        "{:?} {:?} {} {deadline} {state}{unreachable}",
        row.list, row.kind, row.version.version
    )
}

#[track_caller]
fn check(book: &Book, patient: &str, as_of: &str, expected: &[&str]) {
    let lines: Vec<String> = required(book, patient, as_of).iter().map(line).collect();
    assert_eq!(lines, expected, "{patient} as of {as_of}");
}

#[test]
fn the_worked_history_asks_whom_it_should() {
    let book = car_t();
    let needs = |as_of: &str| -> BTreeMap<&str, Vec<String>> {
        let of = |patient| required(&book, patient, as_of).iter().map(line).collect();
        let all = ["P1", "P2", "P3", "P4", "P5", "P6"].map(|patient| (patient, of(patient)));
        all.into_iter()
            .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
            .collect()
    };
    let table: &[(&str, &[(&str, &str)])] = &[
        ("2021-04-01", &[]),
        (
            "2024-04-01",
            &[
                ("P1", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P2", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P5", "Needs NewVersion 2.0 2024-05-14 due"),
            ],
        ),
        (
            "2024-04-20",
            &[
                ("P2", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P3", "Notify NewVersion 2.0 2024-06-09 due"),
                ("P4", "Needs NewVersion 2.0 2024-06-09 due"),
                ("P5", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P6", "Needs NewVersion 2.0 2024-06-09 due"),
            ],
        ),
        (
            "2024-05-15",
            &[
                ("P2", "Needs NewVersion 2.0 2024-05-14 overdue 1"),
                ("P4", "Needs NewVersion 2.0 2024-06-09 due"),
                ("P6", "Needs NewVersion 2.0 2024-06-09 due"),
            ],
        ),
        (
            "2024-06-10",
            &[("P4", "Needs NewVersion 2.0 2024-06-09 overdue 1")],
        ),
        (
            "2025-09-15",
            &[
                ("P4", "Needs Cohort 3.0 2025-10-01 due"),
                ("P5", "Needs Cohort 3.0 2025-10-01 due unreachable"),
                ("P6", "Needs Cohort 3.0 2025-10-01 due"),
            ],
        ),
        (
            "2025-10-02",
            &[("P5", "Needs Cohort 3.0 2025-10-01 overdue 1 unreachable")],
        ),
    ];
    for (as_of, expected) in table {
        let expected: BTreeMap<&str, Vec<String>> = expected
            .iter()
            .map(|(patient, row)| (*patient, vec![(*row).to_owned()]))
            .collect();
        assert_eq!(needs(as_of), expected, "as of {as_of}");
    }
}

#[test]
fn an_early_signature_satisfies_nothing_and_says_since_when_it_could_have() {
    let (patient, catalogue) = asked(&car_t(), "P4", "2024-05-01");
    let signatures = Signatures::of(&patient, &catalogue);
    let early = signatures.all.last().unwrap();
    assert_eq!(early.on, day("2024-04-05"));
    let since = Fault::NotEffective(Some(day("2024-04-10")));
    assert_eq!(early.faults.iter().collect::<Vec<_>>(), [&since]);
    assert_eq!(
        early.faults.first().unwrap().code(),
        "CONSENT_VERSION_NOT_EFFECTIVE"
    );
}

/// Records of an AAV product with consent version 1, and what a test adds.
struct Story {
    book: Book,
}

impl Story {
    fn new() -> Self {
        let mut story = Self {
            book: Book::default(),
        };
        story.tell(
            "2010-01-01",
            "",
            pb::record::Kind::ProductRegistered(pb::ProductRegistered {
                product_id: "PRODUCT".to_owned(),
                gtins: vec![GTIN.to_owned()],
                product_classes: vec![pb::ProductClass::Aav.into()],
                follow_up_default_months: Some(180),
                ..Default::default()
            }),
        );
        story.version("1", 1, pb::ChangeClass::Initial, "2010-01-01", None);
        story
    }

    fn tell(&mut self, on: &str, patient: &str, kind: pb::record::Kind) {
        let index = u64::try_from(self.book.facts().len()).unwrap();
        let record = pb::Record {
            record_id: format!("R-{index}"),
            event_time: on.to_owned(),
            site: SITE.to_owned(),
            patient: patient.to_owned(),
            kind: Some(kind),
            ..Default::default()
        };
        self.book.insert(Fact {
            index: Index::new(index),
            recorded_at: chrono::DateTime::default(),
            actor: "A".to_owned(),
            on: event_day(&record).unwrap(),
            record,
        });
    }

    /// A version that satisfies all before it, in force at the site from a day.
    fn version(
        &mut self,
        version: &str,
        ordinal: u32,
        class: pb::ChangeClass,
        effective: &str,
        days: Option<u32>,
    ) {
        let document = pb::ConsentDocumentVersion {
            family: "ICF".to_owned(),
            version: version.to_owned(),
            ordinal,
            language: "zh-CN".to_owned(),
            change_class: class.into(),
            satisfies: (1..ordinal).map(|earlier| earlier.to_string()).collect(),
            reconsent_due: days.map(|days| pb::ReconsentDue {
                due: Some(pb::reconsent_due::Due::Days(days)),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.tell(
            "2010-01-01",
            "",
            pb::record::Kind::ConsentDocumentVersion(document),
        );
        self.activate(SITE, version, effective, "");
    }

    fn activate(&mut self, site: &str, version: &str, from: &str, to: &str) {
        let activated = pb::ConsentVersionActivated {
            version: Some(key(version)),
            site: site.to_owned(),
            effective_from: from.to_owned(),
            effective_to: to.to_owned(),
            ..Default::default()
        };
        self.tell(
            "2010-01-01",
            "",
            pb::record::Kind::ConsentVersionActivated(activated),
        );
    }

    fn register(&mut self, patient: &str, assent_on: &str, majority_on: &str) {
        let registered = pb::PatientRegistered {
            majority_on: majority_on.to_owned(),
            assent_on: assent_on.to_owned(),
            ..Default::default()
        };
        self.tell(
            "2011-01-01",
            patient,
            pb::record::Kind::PatientRegistered(registered),
        );
    }

    fn treat(&mut self, on: &str, patient: &str) {
        let given = pb::Administration {
            product_id: "PRODUCT".to_owned(),
            status: pb::AdministrationStatus::Given.into(),
            ..Default::default()
        };
        self.tell(on, patient, pb::record::Kind::Administration(given));
    }

    fn sign(&mut self, on: &str, patient: &str, version: &str, signatory: Signatory) {
        let signed = pb::ConsentSigned {
            version: Some(key(version)),
            signatory: signatory.into(),
            ..Default::default()
        };
        self.tell(on, patient, pb::record::Kind::ConsentSigned(signed));
    }

    fn decline(&mut self, on: &str, patient: &str, version: &str, signatory: Signatory) {
        let declined = pb::ConsentDeclined {
            version: Some(key(version)),
            signatory: signatory.into(),
            ..Default::default()
        };
        self.tell(on, patient, pb::record::Kind::ConsentDeclined(declined));
    }

    fn withdraw(&mut self, on: &str, patient: &str, scopes: &[pb::WithdrawalScope]) {
        let withdrawn = pb::ConsentWithdrawn {
            scopes: scopes.iter().map(|scope| i32::from(*scope)).collect(),
            ..Default::default()
        };
        self.tell(on, patient, pb::record::Kind::ConsentWithdrawn(withdrawn));
    }

    fn state(&mut self, on: &str, patient: &str, state: pb::PatientState, to: &str) {
        let status = pb::PatientStatus {
            state: state.into(),
            transferred_to: to.to_owned(),
            ..Default::default()
        };
        self.tell(on, patient, pb::record::Kind::PatientStatus(status));
    }

    fn told(&mut self, on: &str, patient: &str, outcome: pb::NotificationOutcome) {
        let told = pb::RiskNotification {
            outcome: outcome.into(),
            ..Default::default()
        };
        self.tell(on, patient, pb::record::Kind::RiskNotification(told));
    }

    /// A version of the plan, explained by the consent version of the same number.
    fn plan(&mut self, version: &str, ordinal: u32, months: u32, effective: &str) {
        let plan = pb::PlanVersionKey {
            plan_id: "PLAN".to_owned(),
            version: version.to_owned(),
        };
        let parameters = pb::PlanParameters {
            follow_up_months: Some(months),
            ..Default::default()
        };
        let document = pb::FollowUpPlanVersion {
            plan_id: plan.plan_id.clone(),
            version: plan.version.clone(),
            ordinal,
            parameters: Some(parameters),
            linked_consent: Some(key(version)),
            ..Default::default()
        };
        self.tell(
            "2010-01-01",
            "",
            pb::record::Kind::FollowUpPlanVersion(document),
        );
        let activated = pb::PlanActivated {
            plan: Some(plan),
            site: SITE.to_owned(),
            effective_from: effective.to_owned(),
            ..Default::default()
        };
        self.tell("2010-01-01", "", pb::record::Kind::PlanActivated(activated));
    }

    fn enrol(&mut self, on: &str, patient: &str) {
        let enrolled = pb::FollowUpEnrolment {
            plan_id: "PLAN".to_owned(),
            ..Default::default()
        };
        self.tell(on, patient, pb::record::Kind::FollowUpEnrolment(enrolled));
    }

    #[track_caller]
    fn check(&self, as_of: &str, expected: &[&str]) {
        check(&self.book, "X", as_of, expected);
    }

    /// What is wrong with the last signature.
    fn faults(&self, as_of: &str) -> Vec<Fault> {
        let (patient, catalogue) = asked(&self.book, "X", as_of);
        let signatures = Signatures::of(&patient, &catalogue);
        signatures
            .all
            .last()
            .unwrap()
            .faults
            .iter()
            .cloned()
            .collect()
    }
}

fn key(version: &str) -> pb::ConsentVersionKey {
    pb::ConsentVersionKey {
        family: "ICF".to_owned(),
        version: version.to_owned(),
    }
}

/// An adult, treated with version 1 signed; version 2 asks from 2020-03-01 on, within 30 days.
fn adult() -> Story {
    let mut story = Story::new();
    story.register("X", "", "");
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-03-01",
        Some(30),
    );
    story
}

#[test]
fn a_version_asks_from_its_first_day_at_the_site_and_is_overdue_after_its_deadline() {
    let story = adult();
    story.check("2020-02-29", &[]);
    story.check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-31", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-04-01", &["Needs NewVersion 2 2020-03-31 overdue 1"]);
}

#[test]
fn a_signature_ends_what_was_asked_on_its_day_and_not_before() {
    let mut story = adult();
    story.sign("2020-03-10", "X", "2", Signatory::Self_);
    story.check("2020-03-09", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-10", &[]);
}

#[test]
fn a_superseded_version_can_no_longer_be_signed() {
    let mut story = adult();
    story.sign("2020-03-01", "X", "1", Signatory::Self_);
    assert_eq!(
        story.faults("2020-03-01"),
        [Fault::Superseded("2".to_owned())]
    );
    let mut story = adult();
    story.sign("2020-02-29", "X", "1", Signatory::Self_);
    assert_eq!(story.faults("2020-03-01"), []);
}

#[test]
fn a_later_version_that_satisfies_an_older_one_stands_for_it() {
    let mut story = adult();
    story.version("3", 3, pb::ChangeClass::Administrative, "2020-03-05", None);
    story.check("2020-03-10", &["Needs NewVersion 2 2020-03-31 due"]);
    story.sign("2020-03-10", "X", "3", Signatory::Self_);
    story.check("2020-03-10", &[]);
}

#[test]
fn without_a_deadline_none_is_invented() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-03-01",
        None,
    );
    story.check("2025-01-01", &["Needs NewVersion 2 - no deadline"]);
}

#[test]
fn the_untreated_and_the_dead_are_asked_nothing() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-03-01",
        Some(30),
    );
    story.check("2020-03-01", &[]);
    let mut story = adult();
    story.state("2020-03-10", "X", pb::PatientState::Deceased, "");
    story.check("2020-03-09", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-10", &[]);
}

#[test]
fn who_is_lost_stays_and_is_reachable_again_once_found() {
    let mut story = adult();
    story.state("2020-03-10", "X", pb::PatientState::LostToFollowUp, "");
    story.state("2020-03-20", "X", pb::PatientState::Found, "");
    story.check(
        "2020-03-10",
        &["Needs NewVersion 2 2020-03-31 due unreachable"],
    );
    story.check("2020-03-20", &["Needs NewVersion 2 2020-03-31 due"]);
}

#[test]
fn who_declines_is_listed_as_such_until_signing_after_all() {
    let mut story = adult();
    story.decline("2020-03-10", "X", "2", Signatory::Self_);
    story.check("2020-03-09", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-10", &["Declined NewVersion 2 2020-03-31 due"]);
    story.sign("2020-03-12", "X", "2", Signatory::Self_);
    story.check("2020-03-12", &[]);
}

#[test]
fn who_withdrew_from_procedures_is_told_and_asked_no_more() {
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2020-03-01", &["Notify NewVersion 2 2020-03-31 due"]);
    story.told("2020-03-10", "X", pb::NotificationOutcome::Bounced);
    story.check("2020-03-10", &["Notify NewVersion 2 2020-03-31 due"]);
    story.told("2020-03-11", "X", pb::NotificationOutcome::Sent);
    story.check("2020-03-10", &["Notify NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-11", &[]);
}

#[test]
fn who_refused_contact_as_well_is_not_told() {
    let mut story = adult();
    let scopes = [
        pb::WithdrawalScope::AllProcedures,
        pb::WithdrawalScope::Contact,
    ];
    story.withdraw("2020-02-01", "X", &scopes);
    story.check("2020-03-01", &[]);
    // Withdrawing from something else withdraws from nothing that is asked here.
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::SampleStorage]);
    story.check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
}

/// A patient who was followed for five years, until 2020-02-28, and for whom a plan of fifteen came a day later.
fn completed() -> Story {
    let mut story = Story::new();
    story.plan("1", 1, 60, "2010-01-01");
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-02-29",
        Some(30),
    );
    story.plan("2", 2, 180, "2020-02-29");
    story.register("X", "", "");
    story.sign("2015-02-01", "X", "1", Signatory::Self_);
    story.treat("2015-02-28", "X");
    story.enrol("2015-02-28", "X");
    story
}

#[test]
fn who_was_completed_is_recontacted_until_a_new_enrolment() {
    let mut story = completed();
    story.check("2020-02-28", &[]);
    story.check("2020-02-29", &["Recontact NewVersion 2 2020-03-30 due"]);
    // R-A3: signing alone brings nobody back.
    story.sign("2020-03-10", "X", "2", Signatory::Self_);
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.enrol("2020-03-12", "X");
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.check("2020-03-12", &[]);
}

#[test]
fn who_was_completed_and_signed_is_not_recontacted_after_death_refusal_or_withdrawal() {
    let signed = || {
        let mut story = completed();
        story.sign("2020-03-10", "X", "2", Signatory::Self_);
        story
    };
    let mut story = signed();
    story.decline("2020-03-12", "X", "2", Signatory::Self_);
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.check("2020-03-12", &[]);
    let mut story = signed();
    story.state("2020-03-12", "X", pb::PatientState::Deceased, "");
    story.check("2020-03-12", &[]);
    let mut story = signed();
    story.withdraw("2020-03-12", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.check("2020-03-12", &[]);
}

#[test]
fn who_signed_in_time_is_not_recontacted() {
    let mut story = completed();
    story.plan("3", 3, 240, "2020-01-01");
    story.version(
        "3",
        3,
        pb::ChangeClass::ReconsentRequired,
        "2020-01-01",
        Some(90),
    );
    story.sign("2020-02-10", "X", "3", Signatory::Self_);
    story.check("2020-03-10", &[]);
}

/// A child, treated at six with the consent of a representative; eight on 2020-02-29, eighteen on 2030-02-28.
fn child() -> Story {
    let mut story = Story::new();
    story.register("X", "2020-02-29", "2030-02-28");
    story.sign("2018-06-01", "X", "1", Signatory::Lar);
    story.treat("2018-06-10", "X");
    story
}

#[test]
fn assent_is_asked_from_its_day_on_and_within_sixty_days() {
    let mut story = child();
    story.check("2020-02-28", &[]);
    story.check("2020-02-29", &["Needs Assent 1 2020-04-29 due"]);
    story.check("2020-04-30", &["Needs Assent 1 2020-04-29 overdue 1"]);
    story.sign("2020-05-02", "X", "1", Signatory::Assent);
    story.check("2020-05-01", &["Needs Assent 1 2020-04-29 overdue 2"]);
    story.check("2020-05-02", &[]);
}

#[test]
fn a_refused_assent_is_a_decline() {
    let mut story = child();
    story.decline("2020-03-10", "X", "1", Signatory::Assent);
    story.check("2020-03-10", &["Declined Assent 1 2020-04-29 due"]);
}

#[test]
fn from_majority_on_ones_own_signature_is_asked() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.check("2030-02-27", &[]);
    story.check("2030-02-28", &["Needs AgeOfMajority 1 2030-04-29 due"]);
    story.sign("2030-03-01", "X", "1", Signatory::Lar);
    assert_eq!(story.faults("2030-03-01"), [Fault::SignatoryNotAuthorised]);
    story.check(
        "2030-04-30",
        &["Needs AgeOfMajority 1 2030-04-29 overdue 1"],
    );
    story.sign("2030-05-01", "X", "1", Signatory::Self_);
    story.check("2030-05-01", &[]);
}

#[test]
fn a_minor_does_not_sign_alone_nor_an_adult_through_another() {
    let mut story = child();
    story.sign("2030-02-27", "X", "1", Signatory::Self_);
    assert_eq!(story.faults("2030-02-27"), [Fault::SignatoryNotAuthorised]);
    let mut story = adult();
    story.sign("2020-03-10", "X", "2", Signatory::Lar);
    assert_eq!(story.faults("2020-03-10"), [Fault::SignatoryNotAuthorised]);
}

#[test]
fn a_minors_set_of_a_new_version_needs_representative_and_assent() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2025-01-01",
        Some(30),
    );
    let asked = "Needs NewVersion 2 2025-01-31 due";
    story.check("2025-01-01", &[asked]);
    story.sign("2025-01-05", "X", "2", Signatory::Lar);
    story.check("2025-01-05", &[asked]);
    assert_eq!(story.faults("2025-01-05"), [Fault::AssentMissing]);
    story.sign("2025-01-09", "X", "2", Signatory::Assent);
    story.check("2025-01-08", &[asked]);
    story.check("2025-01-09", &[]);
}

#[test]
fn before_the_age_of_assent_the_representative_is_enough() {
    let mut story = child();
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2019-01-01",
        Some(30),
    );
    story.sign("2019-01-05", "X", "2", Signatory::Lar);
    story.check("2019-01-05", &[]);
}

#[test]
fn a_consent_that_was_never_valid_is_asked_for_again() {
    let mut story = Story::new();
    story.register("X", "", "");
    story.sign("2009-12-31", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.check("2020-01-01", &["Needs InvalidSignature 1 - no deadline"]);
    story.sign("2020-01-02", "X", "1", Signatory::Self_);
    story.check("2020-01-02", &[]);
}

#[test]
fn a_version_that_is_only_elsewhere_is_not_signed_here() {
    let mut story = adult();
    story.state("2020-02-01", "X", pb::PatientState::Transferred, OTHER);
    story.check("2020-03-10", &[]);
    story.activate(OTHER, "2", "2020-03-20", "");
    story.check("2020-03-19", &[]);
    story.check("2020-03-20", &["Needs NewVersion 2 2020-04-19 due"]);
}

#[test]
fn a_site_that_has_none_of_the_versions_signed_asks_for_its_own() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.version(
        "2",
        2,
        pb::ChangeClass::SubstantiveNoReconsent,
        "2020-03-01",
        None,
    );
    story.activate(OTHER, "2", "2020-03-01", "");
    story.state("2020-04-01", "X", pb::PatientState::Transferred, OTHER);
    story.check("2020-03-31", &[]);
    story.check("2020-04-01", &["Needs SiteTransfer 2 - no deadline"]);
}

#[test]
fn a_version_that_ended_without_another_in_its_place_is_asked_for_again() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.activate(SITE, "1", "2010-01-01", "2020-01-01");
    story.check("2020-01-01", &[]);
    story.check("2020-01-02", &["Needs ConsentExpired 1 - no deadline"]);
}

#[test]
fn every_row_says_by_which_rule_and_on_which_entries() {
    let story = adult();
    let row = required(&story.book, "X", "2020-03-01").remove(0);
    assert_eq!(row.list, List::Needs);
    assert_eq!(row.kind, Kind::NewVersion);
    assert_eq!(row.last_valid, "1");
    assert_eq!(
        row.why.basis.iter().copied().collect::<Vec<_>>(),
        ["R-K1", "R-K2", "R-K4"]
    );
    // The old signature, the administration, the version and its activation.
    let entries: Vec<u64> = row.why.evidence.keys().map(|index| index.value()).collect();
    assert_eq!(entries, [4, 5, 6, 7]);
}
