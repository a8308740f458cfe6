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

    /// A version of any family, in force at the site from a day to a day.
    fn document(&mut self, document: pb::ConsentDocumentVersion, effective: (&str, &str)) {
        let document = pb::ConsentDocumentVersion {
            language: "zh-CN".to_owned(),
            ..document
        };
        let activated = pb::ConsentVersionActivated {
            version: Some(pb::ConsentVersionKey {
                family: document.family.clone(),
                version: document.version.clone(),
            }),
            site: SITE.to_owned(),
            effective_from: effective.0.to_owned(),
            effective_to: effective.1.to_owned(),
            ..Default::default()
        };
        self.tell(
            "2010-01-01",
            "",
            pb::record::Kind::ConsentDocumentVersion(document),
        );
        self.tell(
            "2010-01-01",
            "",
            pb::record::Kind::ConsentVersionActivated(activated),
        );
    }

    fn signed(&mut self, on: &str, signed: pb::ConsentSigned) {
        self.tell(on, "X", pb::record::Kind::ConsentSigned(signed));
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

fn of_family(family: &str, version: &str, ordinal: u32) -> pb::ConsentDocumentVersion {
    pb::ConsentDocumentVersion {
        family: family.to_owned(),
        version: version.to_owned(),
        ordinal,
        change_class: pb::ChangeClass::Initial.into(),
        ..Default::default()
    }
}

fn by_days(days: u32) -> Option<pb::ReconsentDue> {
    Some(pb::ReconsentDue {
        due: Some(pb::reconsent_due::Due::Days(days)),
        ..Default::default()
    })
}

#[test]
fn an_invalid_signature_takes_no_withdrawal_back() {
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.sign("2020-03-02", "X", "1", Signatory::Self_);
    story.check("2020-03-02", &["Notify NewVersion 2 2020-03-31 due"]);
    story.sign("2020-03-03", "X", "2", Signatory::Self_);
    story.check("2020-03-03", &[]);
    story.version(
        "3",
        3,
        pb::ChangeClass::ReconsentRequired,
        "2020-05-01",
        Some(30),
    );
    story.check("2020-05-01", &["Needs NewVersion 3 2020-05-31 due"]);
}

#[test]
fn consent_to_the_version_on_the_day_of_the_withdrawal_does_not_take_it_back() {
    let mut story = adult();
    story.sign("2020-02-01", "X", "1", Signatory::Self_);
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2020-03-01", &["Notify NewVersion 2 2020-03-31 due"]);
    story.sign("2020-02-02", "X", "1", Signatory::Self_);
    story.check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
}

#[test]
fn a_withdrawal_from_one_family_is_none_from_another() {
    let withdrawn = |family: &str| {
        let mut story = adult();
        let kind = pb::record::Kind::ConsentWithdrawn(pb::ConsentWithdrawn {
            scopes: vec![pb::WithdrawalScope::AllProcedures.into()],
            family: family.to_owned(),
            ..Default::default()
        });
        story.tell("2020-02-01", "X", kind);
        story
    };
    let told = "Notify NewVersion 2 2020-03-31 due";
    withdrawn("ICF").check("2020-03-01", &[told]);
    withdrawn("").check("2020-03-01", &[told]);
    withdrawn("BANK").check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
}

/// R-K6 with R-K8: a decline ends nothing but the requirement to sign.
#[test]
fn who_withdrew_and_declines_is_still_to_be_told() {
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.decline("2020-03-05", "X", "2", Signatory::Self_);
    story.check("2020-03-05", &["Notify NewVersion 2 2020-03-31 due"]);
    story.told("2020-03-10", "X", pb::NotificationOutcome::Delivered);
    story.check("2020-03-10", &["Declined NewVersion 2 2020-03-31 due"]);
}

#[test]
fn a_notification_counts_if_it_is_of_what_made_the_version_necessary() {
    use pb::trigger::Cause;
    let signal = |id: &str| Some(Cause::SignalId(id.to_owned()));
    let recall = Some(Cause::RecallId("R".to_owned()));
    let notify = "Notify NewVersion 2 2020-03-31 due";
    for (told_on, cause, expected) in [
        ("2020-02-20", signal("S"), None),
        ("2020-03-01", signal("T"), Some(notify)),
        ("2020-03-01", recall.clone(), None),
        ("2020-02-29", recall, Some(notify)),
        ("2020-03-01", None, None),
        ("2020-02-29", None, Some(notify)),
    ] {
        let mut story = Story::new();
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        story.treat("2019-01-20", "X");
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            reconsent_due: by_days(30),
            trigger: Some(pb::Trigger { cause: signal("S") }),
            ..of_family("ICF", "2", 2)
        };
        story.document(document, ("2020-03-01", ""));
        story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
        let told = pb::RiskNotification {
            trigger: cause
                .clone()
                .map(|cause| pb::Trigger { cause: Some(cause) }),
            outcome: pb::NotificationOutcome::Sent.into(),
            ..Default::default()
        };
        story.tell(told_on, "X", pb::record::Kind::RiskNotification(told));
        let expected: Vec<&str> = expected.into_iter().collect();
        let lines = required(&story.book, "X", "2020-03-01");
        let lines: Vec<String> = lines.iter().map(line).collect();
        assert_eq!(lines, expected, "{cause:?} on {told_on}");
    }
}

#[test]
fn only_who_speaks_for_the_patient_declines() {
    let needs = "Needs NewVersion 2 2020-03-31 due";
    let declined = "Declined NewVersion 2 2020-03-31 due";
    // On the day before majority, and on it.
    for (majority, signatory, expected) in [
        ("2020-03-06", Signatory::Self_, declined),
        ("2020-03-06", Signatory::Lar, declined),
        ("2020-03-06", Signatory::Assent, declined),
        ("2020-03-06", Signatory::SecondParent, needs),
        ("2020-03-06", Signatory::Witness, needs),
        ("2020-03-05", Signatory::Lar, needs),
        ("2020-03-05", Signatory::Assent, needs),
        ("", Signatory::Lar, declined),
    ] {
        let mut story = Story::new();
        story.register("X", "2010-03-05", majority);
        story.treat("2019-01-20", "X");
        story.version(
            "2",
            2,
            pb::ChangeClass::ReconsentRequired,
            "2020-03-01",
            Some(30),
        );
        story.decline("2020-03-05", "X", "2", signatory);
        let rows = required(&story.book, "X", "2020-03-05");
        let of_version = rows.iter().find(|row| row.kind == Kind::NewVersion);
        let have = line(of_version.unwrap());
        assert_eq!(have, expected, "{signatory:?}, of age on {majority}");
    }
}

/// R-K2: an administrative version that takes its place does not take a requirement away.
#[test]
fn a_version_that_is_no_longer_signed_asks_on_where_a_later_one_satisfies_it() {
    for (satisfies, ends, expected) in [
        ("2", "2020-03-10", vec!["Needs NewVersion 2 2020-03-31 due"]),
        ("1", "2020-03-10", vec![]),
        ("1", "", vec!["Needs NewVersion 2 2020-03-31 due"]),
    ] {
        let mut story = adult();
        story.activate(SITE, "2", "2020-03-01", ends);
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::Administrative.into(),
            satisfies: vec![satisfies.to_owned()],
            ..of_family("ICF", "2.1", 3)
        };
        story.document(document, ("2020-03-11", ""));
        story.check("2020-03-10", &["Needs NewVersion 2 2020-03-31 due"]);
        story.check("2020-03-11", &expected);
    }
}

#[test]
fn a_version_due_at_the_next_visit_is_due_until_that_day() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    let at_next_visit = pb::reconsent_due::Due::NextVisit(pb::NextVisit {});
    let document = pb::ConsentDocumentVersion {
        change_class: pb::ChangeClass::ReconsentRequired.into(),
        reconsent_due: Some(pb::ReconsentDue {
            due: Some(at_next_visit),
            ..Default::default()
        }),
        ..of_family("ICF", "2", 2)
    };
    story.document(document, ("2020-03-01", ""));
    for visit in ["2020-02-29", "2020-06-10"] {
        let visited = pb::FollowUpVisit {
            reached: Some(true),
            ..Default::default()
        };
        story.tell(visit, "X", pb::record::Kind::FollowUpVisit(visited));
    }
    story.check("2020-06-09", &["Needs NewVersion 2 - due"]);
    story.check("2020-06-10", &["Needs NewVersion 2 2020-06-10 due"]);
    story.check("2020-06-11", &["Needs NewVersion 2 2020-06-10 overdue 1"]);
}

#[test]
fn a_version_due_on_a_day_is_due_until_that_day() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    let on = pb::reconsent_due::Due::On("2020-04-15".to_owned());
    let document = pb::ConsentDocumentVersion {
        change_class: pb::ChangeClass::ReconsentRequired.into(),
        reconsent_due: Some(pb::ReconsentDue {
            due: Some(on),
            ..Default::default()
        }),
        ..of_family("ICF", "2", 2)
    };
    story.document(document, ("2020-03-01", ""));
    story.check("2020-04-15", &["Needs NewVersion 2 2020-04-15 due"]);
    story.check("2020-04-16", &["Needs NewVersion 2 2020-04-15 overdue 1"]);
}

#[test]
fn a_change_that_is_not_of_this_kind_asks_nobody() {
    for class in [
        pb::ChangeClass::Initial,
        pb::ChangeClass::Administrative,
        pb::ChangeClass::SubstantiveNoReconsent,
    ] {
        let mut story = Story::new();
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        story.treat("2019-01-20", "X");
        story.version("2", 2, class, "2020-03-01", Some(30));
        story.check("2020-04-15", &[]);
    }
}

/// R-M1: consented for as a minor, treated as an adult.
#[test]
fn who_comes_of_age_between_consent_and_treatment_consents_alone() {
    let story = |treated: &str, signed: &str, by: Signatory| {
        let mut story = Story::new();
        story.register("X", "2009-02-28", "2019-02-28");
        story.sign(signed, "X", "1", by);
        if by == Signatory::Lar {
            story.sign(signed, "X", "1", Signatory::Assent);
        }
        story.treat(treated, "X");
        story
    };
    let asked = "Needs AgeOfMajority 1 2019-04-29 due";
    let lar = Signatory::Lar;
    story("2019-02-27", "2019-02-01", lar).check("2019-02-27", &[]);
    story("2019-02-27", "2019-02-01", lar).check("2019-02-28", &[asked]);
    story("2019-02-28", "2019-02-27", lar).check("2019-02-28", &[asked]);
    story("2019-02-28", "2019-02-28", Signatory::Self_).check("2019-02-28", &[]);
    // Nobody signed for this adult as a minor: what was signed is not valid, and nobody came of age.
    let never = "Needs InvalidSignature 1 - no deadline";
    story("2019-02-28", "2019-02-28", lar).check("2019-02-28", &[never]);
}

/// R-M2: consented for before the age of assent, treated after it.
#[test]
fn a_child_who_reaches_the_age_of_assent_before_treatment_assents() {
    let story = |signed: &str| {
        let mut story = Story::new();
        story.register("X", "2019-02-28", "2029-02-28");
        story.sign(signed, "X", "1", Signatory::Lar);
        story.treat("2019-03-10", "X");
        story
    };
    story("2019-02-27").check("2019-03-10", &["Needs Assent 1 2019-04-29 due"]);
    // From that age on, the representative's signature alone is no set.
    let never = "Needs InvalidSignature 1 - no deadline";
    story("2019-02-28").check("2019-03-10", &[never]);
}

/// R-M1: the version then in force, where the patient was followed then.
#[test]
fn the_version_at_majority_is_the_one_in_force_then_unless_a_newer_one_asks() {
    let grown = |class, effective: &str| {
        let mut story = child();
        story.sign("2020-03-01", "X", "1", Signatory::Assent);
        story.version("2", 2, class, effective, Some(30));
        story
    };
    let administrative = pb::ChangeClass::Administrative;
    let required = pb::ChangeClass::ReconsentRequired;
    // In force on the day itself, and from the next day on.
    let own = "Needs AgeOfMajority 2 2030-04-29 due";
    grown(administrative, "2030-02-28").check("2030-03-02", &[own]);
    let own = "Needs AgeOfMajority 1 2030-04-29 due";
    grown(administrative, "2030-03-01").check("2030-03-02", &[own]);
    let mut story = grown(required, "2030-03-01");
    story.check("2030-02-28", &[own]);
    let both = [
        "Needs NewVersion 2 2030-03-31 due",
        "Needs AgeOfMajority 2 2030-04-29 due",
    ];
    story.check("2030-03-01", &both);
    story.sign("2030-03-05", "X", "2", Signatory::Self_);
    story.check("2030-03-05", &[]);
    // Who had signed the version then in force has consented alone, whatever comes after.
    let mut story = grown(required, "2030-03-02");
    story.sign("2030-03-01", "X", "1", Signatory::Self_);
    story.check("2030-03-02", &["Needs NewVersion 2 2030-04-01 due"]);
}

#[test]
fn who_came_of_age_at_another_site_is_asked_where_followed_now() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.activate(OTHER, "1", "2030-03-15", "");
    story.state("2030-03-20", "X", pb::PatientState::Transferred, OTHER);
    let own = "Needs AgeOfMajority 1 2030-04-29 due";
    story.check("2030-03-19", &[own]);
    story.check("2030-03-20", &[own]);
}

#[test]
fn a_plan_says_within_how_many_days_a_patient_of_age_consents() {
    let mut story = Story::new();
    let key = pb::PlanVersionKey {
        plan_id: "PLAN".to_owned(),
        version: "1".to_owned(),
    };
    let plan = pb::FollowUpPlanVersion {
        plan_id: "PLAN".to_owned(),
        version: "1".to_owned(),
        ordinal: 1,
        parameters: Some(pb::PlanParameters {
            requirement_days: Some(10),
            ..Default::default()
        }),
        ..Default::default()
    };
    story.tell(
        "2010-01-01",
        "",
        pb::record::Kind::FollowUpPlanVersion(plan),
    );
    let activated = pb::PlanActivated {
        plan: Some(key),
        site: SITE.to_owned(),
        effective_from: "2010-01-01".to_owned(),
        ..Default::default()
    };
    story.tell("2010-01-01", "", pb::record::Kind::PlanActivated(activated));
    story.register("X", "2010-02-28", "2020-02-28");
    story.sign("2019-01-01", "X", "1", Signatory::Lar);
    story.sign("2019-01-01", "X", "1", Signatory::Assent);
    story.treat("2019-01-10", "X");
    story.check("2020-03-09", &["Needs AgeOfMajority 1 2020-03-09 due"]);
    story.check(
        "2020-03-10",
        &["Needs AgeOfMajority 1 2020-03-09 overdue 1"],
    );
}

#[test]
fn an_own_refusal_at_majority_is_a_decline_and_an_earlier_one_is_not() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.decline("2030-02-27", "X", "1", Signatory::Self_);
    story.check("2030-02-28", &["Needs AgeOfMajority 1 2030-04-29 due"]);
    story.decline("2030-02-28", "X", "1", Signatory::Self_);
    story.check("2030-02-28", &["Declined AgeOfMajority 1 2030-04-29 due"]);
}

#[test]
fn who_withdrew_from_procedures_is_not_asked_at_majority() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.withdraw("2030-01-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2030-02-28", &[]);
}

#[test]
fn an_invalid_consent_that_is_then_declined_is_declined() {
    let mut story = Story::new();
    story.sign("2009-12-31", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.decline("2020-01-02", "X", "1", Signatory::Self_);
    story.check("2020-01-01", &["Needs InvalidSignature 1 - no deadline"]);
    story.check("2020-01-02", &["Declined InvalidSignature 1 - no deadline"]);
}

#[test]
fn a_version_signed_in_a_language_that_it_does_not_have_is_asked_for_again() {
    let signed = |language: &str, on: &str| {
        let mut story = Story::new();
        let signed = pb::ConsentSigned {
            version: Some(key("1")),
            signatory: Signatory::Self_.into(),
            language: language.to_owned(),
            ..Default::default()
        };
        story.signed(on, signed);
        story.treat("2019-01-20", "X");
        story
    };
    let story = signed("ug", "2019-01-10");
    assert_eq!(story.faults("2019-01-20"), [Fault::WrongLanguage]);
    story.check("2019-01-20", &["Needs LanguageChange 1 - no deadline"]);
    signed("ZH-cn", "2019-01-10").check("2019-01-20", &[]);
    signed("", "2019-01-10").check("2019-01-20", &[]);
    // Something else is wrong with it as well.
    let story = signed("ug", "2009-12-31");
    story.check("2019-01-20", &["Needs InvalidSignature 1 - no deadline"]);
}

#[test]
fn a_document_that_is_none_of_the_versions_was_not_signed() {
    for (sha256, faults) in [
        (vec![7; 32], vec![]),
        (Vec::new(), vec![]),
        (vec![8; 32], vec![Fault::WrongDocument]),
    ] {
        let mut story = Story::new();
        let document = pb::ConsentDocumentVersion {
            document: Some(pb::DocHash {
                sha256: vec![7; 32],
                ..Default::default()
            }),
            ..of_family("BANK", "1", 1)
        };
        story.document(document, ("2010-01-01", ""));
        let signed = pb::ConsentSigned {
            version: Some(pb::ConsentVersionKey {
                family: "BANK".to_owned(),
                version: "1".to_owned(),
            }),
            signatory: Signatory::Self_.into(),
            document_sha256: sha256,
            ..Default::default()
        };
        story.signed("2019-01-10", signed);
        assert_eq!(story.faults("2019-01-10"), faults);
    }
}

#[test]
fn a_version_that_nobody_told_of_satisfies_nothing() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "9", Signatory::Self_);
    assert_eq!(story.faults("2019-01-10"), [Fault::VersionUnknown]);
    // In force nowhere, and no longer in force.
    story.document(of_family("ICF", "0", 0), ("2010-01-01", "2019-01-09"));
    story.sign("2019-01-10", "X", "0", Signatory::Self_);
    let ended = Fault::NotEffective(Some(day("2010-01-01")));
    assert_eq!(story.faults("2019-01-10"), [ended]);
}

#[test]
fn a_version_for_others_takes_the_place_of_none() {
    for (patients, faults) in [
        (vec!["Y".to_owned()], vec![]),
        (
            vec!["X".to_owned()],
            vec![Fault::Superseded("2".to_owned())],
        ),
    ] {
        let mut story = Story::new();
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            scope: Some(pb::CohortScope {
                patients,
                ..Default::default()
            }),
            ..of_family("ICF", "2", 2)
        };
        story.document(document, ("2019-01-10", ""));
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        assert_eq!(story.faults("2019-01-10"), faults);
    }
}

#[test]
fn a_witness_or_a_second_parent_alone_is_no_consent() {
    for signatory in [Signatory::Witness, Signatory::SecondParent] {
        let mut story = adult();
        story.sign("2020-03-02", "X", "2", signatory);
        assert_eq!(story.faults("2020-03-02"), []);
        story.check("2020-03-02", &["Needs NewVersion 2 2020-03-31 due"]);
    }
}

/// A child, consented for by one representative; another signs for a second family.
fn represented(first: &[u8], second: &[u8]) -> Story {
    let mut story = Story::new();
    story.document(of_family("BANK", "1", 1), ("2010-01-01", ""));
    story.register("X", "2030-01-01", "2040-01-01");
    for (on, family, authority) in [("2019-01-10", "ICF", first), ("2020-01-10", "BANK", second)] {
        let signed = pb::ConsentSigned {
            version: Some(pb::ConsentVersionKey {
                family: family.to_owned(),
                version: "1".to_owned(),
            }),
            signatory: Signatory::Lar.into(),
            authority_document: (!authority.is_empty()).then(|| pb::DocHash {
                sha256: authority.to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        };
        story.signed(on, signed);
    }
    story.treat("2019-01-20", "X");
    story
}

#[test]
fn another_representative_consents_again() {
    let story = represented(&[1; 32], &[2; 32]);
    story.check("2020-01-09", &[]);
    story.check("2020-01-10", &["Needs LarChange 1 - no deadline"]);
    represented(&[1; 32], &[1; 32]).check("2020-01-10", &[]);
    represented(&[], &[2; 32]).check("2020-01-10", &[]);
    represented(&[1; 32], &[]).check("2020-01-10", &[]);
    let mut story = represented(&[1; 32], &[2; 32]);
    let signed = pb::ConsentSigned {
        version: Some(key("1")),
        signatory: Signatory::Lar.into(),
        authority_document: Some(pb::DocHash {
            sha256: vec![2; 32],
            ..Default::default()
        }),
        ..Default::default()
    };
    story.signed("2020-01-20", signed);
    story.check("2020-01-20", &[]);
}

/// R-A2 of who had completed, R-A3 of who was still followed.
#[test]
fn a_row_of_recontact_says_whether_the_follow_up_was_over_before_or_after() {
    let basis = |book: &Book, as_of: &str| -> Vec<&'static str> {
        let rows = required(book, "X", as_of);
        let [row] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!(row.list, List::Recontact);
        row.why.basis.iter().copied().collect()
    };
    let before = completed();
    assert_eq!(
        basis(&before.book, "2020-02-29"),
        ["R-A2", "R-K1", "R-K2", "R-K4"]
    );
    let mut after = Story::new();
    after.plan("1", 1, 60, "2010-01-01");
    after.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-02-28",
        Some(30),
    );
    after.plan("2", 2, 180, "2020-02-28");
    after.sign("2015-02-01", "X", "1", Signatory::Self_);
    after.treat("2015-02-28", "X");
    after.enrol("2015-02-28", "X");
    after.check("2020-03-29", &["Needs NewVersion 2 2020-03-29 due"]);
    after.check(
        "2020-03-30",
        &["Recontact NewVersion 2 2020-03-29 overdue 1"],
    );
    assert_eq!(
        basis(&after.book, "2020-03-30"),
        ["R-A3", "R-K1", "R-K2", "R-K4"]
    );
}
