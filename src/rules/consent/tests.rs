//! The rules of consent, by number: the worked history, and stories of an adult and of a child.

mod of_age;
mod requirements;
mod signatures;
mod standing;

use chrono::NaiveDate;

use super::{
    requirements::{Kind, List, Requirement, State, requirements},
    signatures::{Fault, Signatures},
    standing::Standing,
};
use crate::{
    pb::{self, Signatory, reconsent_due::Due},
    record::format::parse_civil_date,
    rules::{
        book::Book,
        catalogue::Catalogue,
        dossier::Dossier,
        fact::{Fact, Facts as _, Subject},
        patient::Patient,
        question::{Question, View},
    },
    tlog::TreeSize,
};

const SITE: &str = "9521123001015";
const OTHER: &str = "9521123001022";
const GTIN: &str = "09521123450011";

fn day(text: &str) -> NaiveDate {
    parse_civil_date(text).unwrap()
}

/// A question of everything in the book about a day.
fn question(book: &Book, as_of: &str) -> Question {
    Question {
        as_of: day(as_of),
        known_at: TreeSize::new(u64::try_from(book.facts().len()).unwrap()),
        view: View::AsCorrected,
    }
}

/// A patient as everything in the book tells it on a day.
fn asked(book: &Book, patient: &str, as_of: &str) -> (Patient, Catalogue) {
    let question = question(book, as_of);
    let Ok(dossier) = Dossier::of_patient(book, patient);
    let Ok(about) = book.about(&Subject::Catalogue);
    let catalogue = Catalogue::of(&about, &question);
    (Patient::of(&dossier, &question), catalogue)
}

/// What is asked of a patient, of whom as little is read as may be: the same as where everything is read.
fn required(book: &Book, patient: &str, as_of: &str) -> Vec<Requirement> {
    let question = question(book, as_of);
    let Ok(about) = book.about(&Subject::Catalogue);
    let catalogue = Catalogue::of(&about, &question);
    let asked_of = |standing: &Standing| {
        let Standing {
            patient,
            signatures,
            period,
        } = standing;
        requirements(patient, &catalogue, signatures, period)
    };
    let Ok(standing) = Standing::of(book, patient, &catalogue, &question);
    let Ok(dossier) = Dossier::of_patient(book, patient);
    let everything = Standing::in_dossier(&dossier, &catalogue, &question);
    let required = asked_of(&standing);
    assert_eq!(required, asked_of(&everything), "{patient} as of {as_of}");
    required
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
        self.book.insert(Fact::of_record(index, record));
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
            reconsent_due: days.map(|days| due(Due::Days(days))),
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

fn of_family(family: &str, version: &str, ordinal: u32) -> pb::ConsentDocumentVersion {
    pb::ConsentDocumentVersion {
        family: family.to_owned(),
        version: version.to_owned(),
        ordinal,
        change_class: pb::ChangeClass::Initial.into(),
        ..Default::default()
    }
}

fn due(due: Due) -> pb::ReconsentDue {
    pb::ReconsentDue {
        due: Some(due),
        ..Default::default()
    }
}

/// A child, treated at six with the consent of a representative; eight on 2020-02-29, eighteen on 2030-02-28.
fn child() -> Story {
    let mut story = Story::new();
    story.register("X", "2020-02-29", "2030-02-28");
    story.sign("2018-06-01", "X", "1", Signatory::Lar);
    story.treat("2018-06-10", "X");
    story
}
