//! Stories for tests: records of a product, a plan, a consent and patients, in as few words as they take, and
//! the questions that are asked of them.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::{
    obligations::{self, Obligation},
    period::Period,
    schedule::Schedule,
};
use crate::{
    pb::{self, record::Kind},
    record::format::parse_civil_date,
    rules::{
        book::Book,
        catalogue::Catalogue,
        consent::signatures::Signatures,
        dossier::Dossier,
        fact::{Fact, Facts as _, Subject, event_day},
        patient::Patient,
        question::{Question, View},
    },
    tlog::{Index, TreeSize},
};

pub(in crate::rules) const SITE: &str = "9521123001015";
pub(in crate::rules) const OTHER_SITE: &str = "9521123001022";
pub(in crate::rules) const GTIN: &str = "09521123450011";
const FAMILY: &str = "ICF";
const PLAN: &str = "PLAN";

pub(in crate::rules) fn day(text: &str) -> NaiveDate {
    parse_civil_date(text).unwrap()
}

/// Records, one after the other.
#[derive(Default)]
pub(in crate::rules) struct Story {
    pub(in crate::rules) book: Book,
    count: u64,
}

impl Story {
    /// A product of these classes, 0 months by default.
    pub(in crate::rules) fn of_product(classes: &[pb::ProductClass]) -> Self {
        let mut story = Self::default();
        story.tell(
            "2010-01-01",
            "",
            Kind::ProductRegistered(pb::ProductRegistered {
                product_id: "PRODUCT".to_owned(),
                version: 1,
                gtins: vec![GTIN.to_owned()],
                product_classes: classes.iter().map(|class| i32::from(*class)).collect(),
                follow_up_default_months: Some(0),
                ..Default::default()
            }),
        );
        story
    }

    /// What is told in a book.
    pub(in crate::rules) fn over(book: Book) -> Self {
        let count = book.facts().len().try_into().unwrap();
        Self { book, count }
    }

    /// AAV, plan and consent version 1 in force from 2010 on; version 2 of both from a day on, which asks for
    /// 180 months, to be signed within 60 days.
    pub(in crate::rules) fn of_amendment(effective: &str) -> Self {
        let mut story = Self::of_product(&[pb::ProductClass::Aav]);
        story.consent_version("1", "2010-01-01", None);
        story.plan("1", "2010-01-01", months(60));
        story.consent_version("2", effective, Some(60));
        story.plan("2", effective, months(180));
        story
    }

    pub(in crate::rules) fn tell(&mut self, on: &str, patient: &str, kind: Kind) -> String {
        self.tell_at(SITE, on, patient, kind)
    }

    pub(in crate::rules) fn tell_at(
        &mut self,
        site: &str,
        on: &str,
        patient: &str,
        kind: Kind,
    ) -> String {
        let record_id = format!("R-{}", self.count);
        let record = pb::Record {
            record_id: record_id.clone(),
            event_time: on.to_owned(),
            site: site.to_owned(),
            site_tz: "Asia/Shanghai".to_owned(),
            patient: patient.to_owned(),
            kind: Some(kind),
            ..Default::default()
        };
        self.book.insert(Fact {
            index: Index::new(self.count),
            recorded_at: DateTime::<Utc>::default(),
            actor: "A".to_owned(),
            on: event_day(&record).unwrap(),
            record,
            replacement: None,
        });
        self.count += 1;
        record_id
    }

    pub(in crate::rules) fn plan(
        &mut self,
        version: &str,
        effective: &str,
        parameters: pb::PlanParameters,
    ) {
        self.plan_version(
            effective,
            pb::FollowUpPlanVersion {
                version: version.to_owned(),
                parameters: Some(parameters),
                linked_consent: Some(consent(version)),
                ..Default::default()
            },
        );
    }

    pub(in crate::rules) fn plan_version(
        &mut self,
        effective: &str,
        plan: pb::FollowUpPlanVersion,
    ) {
        let key = pb::PlanVersionKey {
            plan_id: PLAN.to_owned(),
            version: plan.version.clone(),
        };
        let plan = pb::FollowUpPlanVersion {
            plan_id: PLAN.to_owned(),
            ordinal: plan.version.parse().unwrap(),
            ..plan
        };
        self.tell(effective, "", Kind::FollowUpPlanVersion(plan));
        for site in [SITE, OTHER_SITE] {
            let activated = pb::PlanActivated {
                plan: Some(key.clone()),
                site: site.to_owned(),
                effective_from: effective.to_owned(),
                ..Default::default()
            };
            self.tell(effective, "", Kind::PlanActivated(activated));
        }
    }

    pub(in crate::rules) fn consent_version(
        &mut self,
        version: &str,
        effective: &str,
        days: Option<u32>,
    ) {
        let document = pb::ConsentDocumentVersion {
            family: FAMILY.to_owned(),
            version: version.to_owned(),
            ordinal: version.parse().unwrap(),
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            reconsent_due: days.map(|days| pb::ReconsentDue {
                due: Some(pb::reconsent_due::Due::Days(days)),
                before_next_procedure: false,
            }),
            ..Default::default()
        };
        self.tell(effective, "", Kind::ConsentDocumentVersion(document));
        for site in [SITE, OTHER_SITE] {
            let activated = pb::ConsentVersionActivated {
                version: Some(consent(version)),
                site: site.to_owned(),
                effective_from: effective.to_owned(),
                ..Default::default()
            };
            self.tell(effective, "", Kind::ConsentVersionActivated(activated));
        }
    }

    /// A patient who is registered, signatures to version 1, is treated and enrolled on one day.
    pub(in crate::rules) fn patient(&mut self, patient: &str, on: &str) {
        self.tell(
            on,
            patient,
            Kind::PatientRegistered(pb::PatientRegistered::default()),
        );
        self.signed(patient, "1", on);
        self.given(patient, on);
        self.enrolled(patient, on);
    }

    pub(in crate::rules) fn given(&mut self, patient: &str, on: &str) {
        let administration = pb::Administration {
            lot: Some(pb::LotKey {
                gtin: GTIN.to_owned(),
                lot: format!("LOT-{patient}"),
                ..Default::default()
            }),
            status: pb::AdministrationStatus::Given.into(),
            ..Default::default()
        };
        self.tell(on, patient, Kind::Administration(administration));
    }

    pub(in crate::rules) fn enrolled(&mut self, patient: &str, on: &str) {
        let enrolment = pb::FollowUpEnrolment {
            plan_id: PLAN.to_owned(),
            ..Default::default()
        };
        self.tell(on, patient, Kind::FollowUpEnrolment(enrolment));
    }

    pub(in crate::rules) fn signed(&mut self, patient: &str, version: &str, on: &str) {
        let signed = pb::ConsentSigned {
            version: Some(consent(version)),
            signatory: pb::Signatory::Self_.into(),
            ..Default::default()
        };
        self.tell(on, patient, Kind::ConsentSigned(signed));
    }

    pub(in crate::rules) fn declined(&mut self, patient: &str, version: &str, on: &str) {
        let declined = pb::ConsentDeclined {
            version: Some(consent(version)),
            signatory: pb::Signatory::Self_.into(),
            ..Default::default()
        };
        self.tell(on, patient, Kind::ConsentDeclined(declined));
    }

    pub(in crate::rules) fn state(&mut self, patient: &str, state: pb::PatientState, on: &str) {
        let status = pb::PatientStatus {
            state: state.into(),
            ..Default::default()
        };
        self.tell(on, patient, Kind::PatientStatus(status));
    }

    pub(in crate::rules) fn decided(
        &mut self,
        patient: &str,
        decision: pb::MonitoringDecisionKind,
        months: Option<u32>,
        on: &str,
    ) {
        let product_id = if patient.is_empty() { "PRODUCT" } else { "" };
        let decision = pb::MonitoringDecision {
            decision: decision.into(),
            product_id: product_id.to_owned(),
            follow_up_months: months,
            ..Default::default()
        };
        self.tell(on, patient, Kind::MonitoringDecision(decision));
    }

    pub(in crate::rules) fn sample(
        &mut self,
        patient: &str,
        sample: &str,
        purposes: &[pb::SamplePurpose],
        on: &str,
    ) {
        let collected = pb::SampleCollected {
            sample_id: sample.to_owned(),
            purposes: purposes.iter().map(|one| i32::from(*one)).collect(),
            ..Default::default()
        };
        self.tell(on, patient, Kind::SampleCollected(collected));
    }

    pub(in crate::rules) fn result(
        &mut self,
        patient: &str,
        sample: &str,
        finding: pb::Finding,
        on: &str,
    ) {
        let result = pb::AssayResult {
            sample_id: sample.to_owned(),
            findings: vec![finding.into()],
            ..Default::default()
        };
        self.tell(on, patient, Kind::AssayResult(result));
    }

    pub(in crate::rules) fn question(&self, as_of: &str) -> Question {
        Question {
            as_of: day(as_of),
            known_at: TreeSize::new(self.count),
            view: View::AsCorrected,
        }
    }

    pub(in crate::rules) fn asked(&self, patient: &str, as_of: &str) -> (Patient, Catalogue) {
        self.asked_as(patient, &self.question(as_of))
    }

    pub(in crate::rules) fn asked_as(
        &self,
        patient: &str,
        question: &Question,
    ) -> (Patient, Catalogue) {
        let Ok(dossier) = Dossier::of_patient(&self.book, patient);
        let Ok(facts) = self.book.about(&Subject::Catalogue);
        (
            Patient::of(&dossier, question),
            Catalogue::of(&facts, question),
        )
    }

    /// What is open for a patient.
    pub(in crate::rules) fn open(&self, patient: &str, as_of: &str) -> Vec<Obligation> {
        self.open_as(patient, &self.question(as_of))
    }

    pub(in crate::rules) fn open_as(&self, patient: &str, question: &Question) -> Vec<Obligation> {
        let (patient, catalogue) = self.asked_as(patient, question);
        let signatures = Signatures::of(&patient, &catalogue);
        let period = Period::of(&patient, &catalogue, &signatures, question.as_of);
        obligations::open(&patient, &catalogue, &signatures, &period, question.as_of)
    }

    pub(in crate::rules) fn schedule(&self, patient: &str, as_of: &str) -> Schedule {
        let (patient, catalogue) = self.asked(patient, as_of);
        let signatures = Signatures::of(&patient, &catalogue);
        Schedule::of(&patient, &catalogue, &signatures, day(as_of))
    }

    pub(in crate::rules) fn period(&self, patient: &str, as_of: &str) -> Period {
        let (patient, catalogue) = self.asked(patient, as_of);
        Period::of(
            &patient,
            &catalogue,
            &Signatures::of(&patient, &catalogue),
            day(as_of),
        )
    }
}

pub(in crate::rules) fn months(months: u32) -> pb::PlanParameters {
    pb::PlanParameters {
        follow_up_months: Some(months),
        ..Default::default()
    }
}

pub(in crate::rules) fn consent(version: &str) -> pb::ConsentVersionKey {
    pb::ConsentVersionKey {
        family: FAMILY.to_owned(),
        version: version.to_owned(),
    }
}

/// How much of a book is known at the end of a day.
pub(in crate::rules) fn known_at(book: &Book, on: &str) -> TreeSize {
    let end = day(on).succ_opt().unwrap();
    let known = |fact: &&Arc<Fact>| fact.recorded_at.date_naive() < end;
    TreeSize::new(
        book.facts()
            .iter()
            .filter(known)
            .count()
            .try_into()
            .unwrap(),
    )
}
