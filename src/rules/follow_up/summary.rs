//! What a period came to: the figures of a development safety update report, each with the patients and the
//! entries that it counts, so that it can be counted again.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{
    contacts::is_contact, period::Period, schedule::Schedule, slots::SlotState,
    specimens::Specimens,
};
use crate::{
    pb::{Finding, SamplePurpose, WithdrawalScope, record::Kind},
    rules::{
        catalogue::Catalogue,
        consent::signatures::Signatures,
        fact::{Fact, civil_day},
        patient::Patient,
        question::Seen,
    },
    tlog::Index,
};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Patients treated by the end of the period.
    TreatedCumulative,
    /// Patients first treated in the period.
    TreatedInPeriod,
    /// Patients enrolled in follow-up in the period.
    Enrolled,
    /// Patients who died in the period.
    Deaths,
    /// Patients alive and followed at the end of the period, not lost, and not withdrawn from procedures.
    ActiveAtEnd,
    /// Patients who had withdrawn from procedures by then.
    WithdrawnAtEnd,
    /// Patients who were lost to follow-up then.
    LostAtEnd,
    /// Patients whose follow-up was over by then.
    CompletedAtEnd,
    /// Treated patients who were not enrolled then (R-E1).
    NotEnrolledAtEnd,
    /// Persistence samples.
    PersistenceSamples,
    /// Samples for replication-competent virus.
    RclSamples,
    /// Samples for other purposes alone.
    OtherSamples,
    /// Results that were issued.
    Results,
    /// Results with a clone that dominates or grows, or an integration near an oncogene.
    ClonalFindings,
    /// Results with replication-competent virus.
    RclPositive,
    /// Cases of adverse events that became known.
    AdverseEvents,
    /// Serious ones among them.
    SeriousAdverseEvents,
    /// New malignancies among them.
    NewMalignancies,
    /// Pregnancies that ended.
    Pregnancies,
    /// Visits held.
    Visits,
    /// Visits that were planned for the period and missed.
    VisitsMissed,
    /// Contacts made (R-AE1).
    Contacts,
    /// Attempts in which the patient was not reached.
    NotReached,
    /// Valid signatures of a later version by a patient who had signed an earlier one.
    Reconsents,
    /// Signatures that are not valid.
    InvalidSignatures,
    /// Withdrawals.
    Withdrawals,
}

/// A figure with what it counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// The patients.
    pub patients: BTreeSet<String>,
    /// The entries.
    pub evidence: BTreeMap<Index, String>,
}

/// The figures of a period, and of each site those of contacts (R-AE1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The figures.
    pub figures: BTreeMap<Figure, Counted>,
    /// Visits, visits missed, contacts and attempts, by site.
    pub sites: BTreeMap<(String, Figure), u64>,
}

/// A period of days, both of them in it.
#[derive(Debug, Clone, Copy)]
pub struct Days {
    /// The first.
    pub from: NaiveDate,
    /// The last: the data lock point.
    pub to: NaiveDate,
}

impl Days {
    fn hold(self, day: NaiveDate) -> bool {
        self.from <= day && day <= self.to
    }
}

impl Summary {
    /// Adds a patient, as asked of the last day of the period. Of a product: only patients who were given it.
    pub fn add(
        &mut self,
        patient: &Patient,
        catalogue: &Catalogue,
        signatures: &Signatures,
        days: Days,
        product_id: Option<&str>,
    ) {
        let is_of = |product| patient.given_of(catalogue, product).next().is_some();
        if product_id.is_some_and(|product| !is_of(product)) {
            return;
        }
        let period = Period::of(patient, catalogue, signatures, days.to);
        self.standing(patient, &period, days);
        self.facts(patient, days);
        self.samples(patient, days);
        self.adverse_events(patient, days);
        self.signatures(patient, signatures, days);
        let schedule = Schedule::of(patient, catalogue, signatures, days.to);
        for planned in schedule.planned {
            if planned.what == super::obligations::What::Visit
                && planned.state == SlotState::Missed
                && days.hold(planned.due)
            {
                self.count(Figure::VisitsMissed, patient, None);
                self.at_site(Figure::VisitsMissed, patient.site(planned.due));
            }
        }
    }

    fn count(&mut self, figure: Figure, patient: &Patient, fact: Option<&Fact>) {
        let counted = self.figures.entry(figure).or_default();
        counted.count += 1;
        counted.patients.insert(patient.id.clone());
        if let Some(fact) = fact {
            let record_id = fact.record.record_id.clone();
            counted.evidence.insert(fact.index, record_id);
        }
    }

    fn at_site(&mut self, figure: Figure, site: &str) {
        *self.sites.entry((site.to_owned(), figure)).or_default() += 1;
    }

    /// How the patient stood at the end of the period.
    fn standing(&mut self, patient: &Patient, period: &Period, days: Days) {
        use super::period::Status;
        let Some((first, _)) = patient.given().next() else {
            return;
        };
        self.count(Figure::TreatedCumulative, patient, Some(first));
        if days.hold(first.on) {
            self.count(Figure::TreatedInPeriod, patient, Some(first));
        }
        if let Some(death) = patient.died().filter(|death| days.hold(death.on)) {
            self.count(Figure::Deaths, patient, Some(death));
        }
        if !patient.is_alive(days.to) {
            return;
        }
        let withdrawn = patient.withdrawn(WithdrawalScope::AllProcedures, days.to);
        let lost = patient.lost(days.to);
        if let Some(withdrawn) = withdrawn {
            self.count(Figure::WithdrawnAtEnd, patient, Some(withdrawn));
        }
        if let Some(lost) = lost {
            self.count(Figure::LostAtEnd, patient, Some(lost));
        }
        match period.status {
            Status::Open | Status::OpenPendingReconsent => {
                if withdrawn.is_none() && lost.is_none() {
                    let enrolled = patient.enrolments().next().map(|(fact, _)| fact);
                    self.count(Figure::ActiveAtEnd, patient, enrolled.map(|fact| &**fact));
                }
            }
            Status::Completed => self.count(Figure::CompletedAtEnd, patient, None),
            Status::NotEnrolled => self.count(Figure::NotEnrolledAtEnd, patient, Some(first)),
            Status::NotTreated
            | Status::NotRequired
            | Status::Dead
            | Status::Waived
            | Status::Stopped => {}
        }
    }

    /// What is counted one by one.
    fn facts(&mut self, patient: &Patient, days: Days) {
        let own = |fact: &&Seen| !fact.record.patient.is_empty() && days.hold(fact.on);
        for fact in patient.facts.iter().filter(own) {
            let figure = match fact.kind() {
                Some(Kind::FollowUpEnrolment(_)) => Figure::Enrolled,
                Some(Kind::PregnancyOutcome(_)) => Figure::Pregnancies,
                Some(Kind::ConsentWithdrawn(_)) => Figure::Withdrawals,
                Some(Kind::FollowUpVisit(_)) if is_contact(fact) => Figure::Visits,
                Some(Kind::FollowUpContact(_)) if is_contact(fact) => Figure::Contacts,
                Some(Kind::FollowUpVisit(_) | Kind::FollowUpContact(_)) => Figure::NotReached,
                _ => continue,
            };
            self.count(figure, patient, Some(fact));
            if matches!(
                figure,
                Figure::Visits | Figure::Contacts | Figure::NotReached
            ) {
                self.at_site(figure, patient.site(fact.on));
            }
        }
    }

    fn samples(&mut self, patient: &Patient, days: Days) {
        let specimens = Specimens::of(patient);
        for (fact, sample) in &specimens.collected {
            if !days.hold(fact.on) {
                continue;
            }
            let is_for = |purpose| sample.purposes().any(|one| one == purpose);
            let persistence = is_for(SamplePurpose::Persistence);
            let rcl = is_for(SamplePurpose::Rcl);
            for (figure, is_counted) in [
                (Figure::PersistenceSamples, persistence),
                (Figure::RclSamples, rcl),
                (Figure::OtherSamples, !persistence && !rcl),
            ] {
                if is_counted {
                    self.count(figure, patient, Some(fact));
                }
            }
        }
        for outcome in &specimens.results {
            if !days.hold(outcome.fact.on) {
                continue;
            }
            self.count(Figure::Results, patient, Some(outcome.fact));
            if outcome.has(&CLONAL) {
                self.count(Figure::ClonalFindings, patient, Some(outcome.fact));
            }
            if outcome.has(&[Finding::RclPositive]) {
                self.count(Figure::RclPositive, patient, Some(outcome.fact));
            }
        }
    }

    /// Cases are counted once, in the period in which they became known; serious or malignant as soon as one of
    /// their reports is.
    fn adverse_events(&mut self, patient: &Patient, days: Days) {
        let mut cases: BTreeSet<(&str, Figure)> = BTreeSet::new();
        for (fact, event) in patient.of_kind(pick!(AdverseEvent)) {
            let zone = fact.record.site_tz.parse().ok();
            let known = civil_day(&event.aware_at, zone).unwrap_or(fact.on);
            for (figure, is_counted) in [
                (Figure::AdverseEvents, true),
                (Figure::SeriousAdverseEvents, !event.serious.is_empty()),
                (Figure::NewMalignancies, event.new_malignancy == Some(true)),
            ] {
                if is_counted && cases.insert((&event.case_id, figure)) && days.hold(known) {
                    self.count(figure, patient, Some(fact));
                }
            }
        }
    }

    fn signatures(&mut self, patient: &Patient, signatures: &Signatures, days: Days) {
        let faulty = signatures.all.iter().filter(|one| !one.faults.is_empty());
        for signature in faulty.filter(|one| days.hold(one.on)) {
            self.count(Figure::InvalidSignatures, patient, Some(&signature.said));
        }
        let mut newest: BTreeMap<&str, u32> = BTreeMap::new();
        for set in &signatures.sets {
            let before = newest.insert(&set.version.family, set.ordinal);
            let is_later = before.is_some_and(|before| before < set.ordinal);
            if is_later && days.hold(set.on) {
                let last = set.said.last().map(|said| &**said);
                self.count(Figure::Reconsents, patient, last);
            }
        }
    }
}

const CLONAL: [Finding; 4] = [
    Finding::DominantClone,
    Finding::Monoclonal,
    Finding::ClonalExpansion,
    Finding::IntegrationNearOncogene,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pb,
        rules::{
            example::car_t,
            follow_up::story::{SITE, Story, day, months},
            question::Question,
        },
    };

    fn summarized(story: &Story, patients: &[&str], days: Days, product: Option<&str>) -> Summary {
        let mut summary = Summary::default();
        for patient in patients {
            let question = Question {
                as_of: days.to,
                ..story.question("2020-01-01")
            };
            let (patient, catalogue) = story.asked_as(patient, &question);
            let signatures = Signatures::of(&patient, &catalogue);
            summary.add(&patient, &catalogue, &signatures, days, product);
        }
        summary
    }

    #[test]
    fn the_car_t_history_has_the_figures_that_it_expects() {
        use Figure as F;
        let history = include_str!("../../../tests/histories/car-t.json");
        let history: serde_json::Value = serde_json::from_str(history).unwrap();
        let want = &history["expected"]["dsur"];
        let story = Story::over(car_t());
        let days = Days {
            from: day(want["period"][0].as_str().unwrap()),
            to: day(want["period"][1].as_str().unwrap()),
        };
        let patients = ["P1", "P2", "P3", "P4", "P5", "P6", "SCR-07"];
        let summary = summarized(&story, &patients, days, Some("SYN-CAR19"));
        for (name, figure) in [
            ("treated_cumulative", F::TreatedCumulative),
            ("deaths", F::Deaths),
            ("persistence_samples", F::PersistenceSamples),
            ("rcl_samples", F::RclSamples),
            ("serious_ae", F::SeriousAdverseEvents),
            ("valid_reconsents", F::Reconsents),
            ("invalid_signatures", F::InvalidSignatures),
        ] {
            let counted = summary.figures.get(&figure).cloned().unwrap_or_default();
            assert_eq!(Some(counted.count), want[name].as_u64(), "{name}");
            let entries = u64::try_from(counted.evidence.len()).unwrap();
            assert_eq!(entries, counted.count, "{name}");
        }
        for (name, figure) in [
            ("active_followup_at_dlp", F::ActiveAtEnd),
            ("withdrawn_procedures_at_dlp", F::WithdrawnAtEnd),
        ] {
            let have = serde_json::json!(summary.figures[&figure].patients);
            assert_eq!(have, want[name], "{name}");
        }
        let none = summarized(&story, &patients, days, Some("OTHER"));
        assert_eq!(none, Summary::default());
    }

    #[test]
    fn a_period_holds_its_first_and_its_last_day_and_no_other() {
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        let persistence = [SamplePurpose::Persistence];
        for (sample, on) in [
            ("S1", "2016-12-31"),
            ("S2", "2017-01-01"),
            ("S3", "2017-12-31"),
            ("S4", "2018-01-01"),
        ] {
            story.sample("P1", sample, &persistence, on);
        }
        let days = Days {
            from: day("2017-01-01"),
            to: day("2017-12-31"),
        };
        let summary = summarized(&story, &["P1"], days, None);
        assert_eq!(summary.figures[&Figure::PersistenceSamples].count, 2);
    }

    #[test]
    fn the_lost_the_dead_and_the_completed_are_not_active() {
        use pb::PatientState as S;
        let mut story = Story::of_amendment("2040-01-01");
        for patient in ["P1", "P2", "P3", "P4"] {
            story.patient(patient, "2016-01-15");
        }
        story.patient("P5", "2011-01-15");
        story.state("P2", S::LostToFollowUp, "2017-01-01");
        story.state("P3", S::Deceased, "2017-01-01");
        let withdrawn = pb::ConsentWithdrawn {
            scopes: vec![WithdrawalScope::AllProcedures.into()],
            ..Default::default()
        };
        story.tell("2017-01-01", "P4", Kind::ConsentWithdrawn(withdrawn));
        let days = Days {
            from: day("2017-01-01"),
            to: day("2017-12-31"),
        };
        let summary = summarized(&story, &["P1", "P2", "P3", "P4", "P5"], days, None);
        for (figure, patient) in [
            (Figure::ActiveAtEnd, "P1"),
            (Figure::LostAtEnd, "P2"),
            (Figure::Deaths, "P3"),
            (Figure::WithdrawnAtEnd, "P4"),
            (Figure::CompletedAtEnd, "P5"),
        ] {
            let patients = &summary.figures[&figure].patients;
            assert_eq!(
                patients,
                &BTreeSet::from([patient.to_owned()]),
                "{figure:?}"
            );
        }
    }

    fn visit(reached: bool) -> Kind {
        Kind::FollowUpVisit(pb::FollowUpVisit {
            reached: Some(reached),
            ..Default::default()
        })
    }

    fn contact(reached: bool) -> Kind {
        Kind::FollowUpContact(pb::FollowUpContact {
            reached: Some(reached),
            ..Default::default()
        })
    }

    fn case(case_id: &str, aware_at: &str, serious: bool, malignant: bool) -> Kind {
        let death = pb::SeriousCriterion::Death.into();
        Kind::AdverseEvent(pb::AdverseEvent {
            case_id: case_id.to_owned(),
            aware_at: aware_at.to_owned(),
            serious: serious.then_some(death).into_iter().collect(),
            new_malignancy: Some(malignant),
            ..Default::default()
        })
    }

    /// The counts of a period of 2017 in which P1 was followed at one site.
    #[track_caller]
    fn check(story: &Story, expected: &[(Figure, u64)]) -> Summary {
        let days = Days {
            from: day("2017-01-01"),
            to: day("2017-12-31"),
        };
        let summary = summarized(story, &["P1"], days, None);
        for (figure, count) in expected {
            let counted = summary.figures.get(figure).cloned().unwrap_or_default();
            assert_eq!(counted.count, *count, "{figure:?}");
        }
        summary
    }

    #[test]
    fn visits_contacts_and_attempts_are_told_apart_in_all_and_by_site() {
        use Figure as F;
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        for (on, kind) in [
            ("2017-01-10", visit(true)),
            ("2017-02-10", visit(true)),
            ("2017-03-10", visit(true)),
            ("2017-04-10", contact(true)),
            ("2017-05-10", contact(true)),
            ("2017-06-10", visit(false)),
            ("2017-07-10", contact(false)),
            ("2017-07-11", contact(false)),
            ("2017-07-12", contact(false)),
            // Not of the period.
            ("2016-12-31", visit(true)),
            ("2018-01-01", contact(true)),
        ] {
            story.tell(on, "P1", kind);
        }
        let expected = [(F::Visits, 3), (F::Contacts, 2), (F::NotReached, 4)];
        let summary = check(&story, &expected);
        for (figure, count) in expected {
            let at_site = summary.sites.get(&(SITE.to_owned(), figure));
            assert_eq!(at_site, Some(&count), "{figure:?}");
        }
    }

    #[test]
    fn enrolments_pregnancies_and_withdrawals_are_counted_one_by_one() {
        use Figure as F;
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2017-01-01");
        let outcome = pb::PregnancyOutcome::default();
        story.tell("2017-03-01", "P1", Kind::PregnancyOutcome(outcome));
        for scope in [
            WithdrawalScope::AllProcedures,
            WithdrawalScope::DataFutureUse,
        ] {
            let withdrawn = pb::ConsentWithdrawn {
                scopes: vec![scope.into()],
                ..Default::default()
            };
            story.tell("2017-04-01", "P1", Kind::ConsentWithdrawn(withdrawn));
        }
        let summary = check(
            &story,
            &[
                (F::TreatedCumulative, 1),
                (F::TreatedInPeriod, 1),
                (F::Enrolled, 1),
                (F::Pregnancies, 1),
                (F::Withdrawals, 2),
                (F::WithdrawnAtEnd, 1),
                (F::ActiveAtEnd, 0),
            ],
        );
        assert!(summary.sites.is_empty(), "nothing of it is by site");
    }

    #[test]
    fn a_death_is_of_its_period_and_who_is_dead_no_longer_lost() {
        use pb::PatientState as S;
        for (on, deaths) in [("2016-12-31", 0), ("2017-01-01", 1), ("2017-12-31", 1)] {
            let mut story = Story::of_amendment("2040-01-01");
            story.patient("P1", "2016-01-15");
            story.state("P1", S::LostToFollowUp, "2016-06-01");
            story.state("P1", S::Deceased, on);
            check(
                &story,
                &[
                    (Figure::Deaths, deaths),
                    (Figure::LostAtEnd, 0),
                    (Figure::ActiveAtEnd, 0),
                    (Figure::TreatedCumulative, 1),
                    (Figure::TreatedInPeriod, 0),
                ],
            );
        }
    }

    #[test]
    fn a_treated_patient_who_was_not_enrolled_is_told_as_such() {
        let mut story = Story::of_amendment("2040-01-01");
        story.signed("P1", "1", "2016-01-15");
        story.given("P1", "2016-01-15");
        let expected = [(Figure::NotEnrolledAtEnd, 1), (Figure::ActiveAtEnd, 0)];
        check(&story, &expected);
    }

    #[test]
    fn samples_and_results_are_counted_by_what_they_are_for_and_what_they_found() {
        use Figure as F;
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        let (persistence, rcl) = (SamplePurpose::Persistence, SamplePurpose::Rcl);
        for (sample, purposes, on) in [
            ("S1", vec![persistence, rcl], "2017-02-01"),
            ("S2", vec![rcl], "2017-02-02"),
            ("S3", vec![SamplePurpose::Isa], "2017-02-03"),
            ("S4", vec![rcl, SamplePurpose::Isa], "2017-02-04"),
            ("S5", vec![SamplePurpose::Isa], "2016-12-31"),
        ] {
            story.sample("P1", sample, &purposes, on);
        }
        story.result("P1", "S1", Finding::RclPositive, "2017-03-01");
        story.result("P1", "S2", Finding::RclPositive, "2018-01-01");
        for (finding, on) in [
            (Finding::DominantClone, "2017-03-01"),
            (Finding::Monoclonal, "2017-12-31"),
            (Finding::ClonalExpansion, "2017-01-01"),
            (Finding::IntegrationNearOncogene, "2017-03-02"),
            (Finding::Monoclonal, "2016-12-31"),
        ] {
            story.result("P1", "S3", finding, on);
        }
        check(
            &story,
            &[
                (F::PersistenceSamples, 1),
                (F::RclSamples, 3),
                (F::OtherSamples, 1),
                (F::Results, 5),
                (F::ClonalFindings, 4),
                (F::RclPositive, 1),
            ],
        );
    }

    #[test]
    fn a_case_is_counted_once_where_it_became_known() {
        use Figure as F;
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        for (on, kind) in [
            // Known in the period, though it happened before; then serious, then malignant.
            (
                "2016-12-30",
                case("A", "2017-01-01T09:00:00+08:00", false, false),
            ),
            (
                "2017-02-01",
                case("A", "2017-02-02T09:00:00+08:00", true, false),
            ),
            (
                "2017-02-03",
                case("A", "2017-02-04T09:00:00+08:00", true, true),
            ),
            // Happened in the period, and known after it.
            (
                "2017-12-31",
                case("B", "2018-01-01T09:00:00+08:00", true, true),
            ),
            // Known by the day of the record, for want of a better one.
            ("2017-06-01", case("C", "", false, false)),
        ] {
            story.tell(on, "P1", kind);
        }
        let expected = [
            (F::AdverseEvents, 2),
            (F::SeriousAdverseEvents, 1),
            (F::NewMalignancies, 1),
        ];
        check(&story, &expected);
    }

    #[test]
    fn a_valid_signature_of_a_later_version_is_a_reconsent_of_its_day() {
        use Figure as F;
        for (signed, reconsents, invalid) in [
            (&[("2", "2017-06-30")][..], 0, 1),
            (&[("2", "2017-07-01")], 1, 0),
            (&[("2", "2017-12-31")], 1, 0),
            (&[("2", "2018-01-01")], 0, 0),
            (&[("2", "2017-07-01"), ("2", "2017-07-02")], 1, 0),
            (&[("1", "2017-06-30")], 0, 0),
        ] {
            let mut story = Story::of_amendment("2017-07-01");
            story.patient("P1", "2016-01-15");
            for (version, on) in signed {
                story.signed("P1", version, on);
            }
            let expected = [(F::Reconsents, reconsents), (F::InvalidSignatures, invalid)];
            check(&story, &expected);
        }
    }

    #[test]
    fn a_visit_is_missed_in_the_period_in_which_it_was_due() {
        let mut story = Story::of_product(&[pb::ProductClass::Aav]);
        story.consent_version("1", "2010-01-01", None);
        // Of the period are the second to the fourth; the last of them is open still.
        let slots = [12, 20, 22, 24, 36].map(|months| pb::PlannedSlot {
            slot: format!("M{months}"),
            kind: pb::SlotKind::Visit.into(),
            months,
            window_days: Some(10),
            ..Default::default()
        });
        let plan = pb::FollowUpPlanVersion {
            version: "1".to_owned(),
            parameters: Some(months(60)),
            slots: slots.to_vec(),
            ..Default::default()
        };
        story.plan_version("2010-01-01", plan);
        story.patient("P1", "2015-06-15");
        story.sample("P1", "S1", &[SamplePurpose::Persistence], "2016-06-15");
        let summary = check(&story, &[(Figure::VisitsMissed, 2)]);
        let site = SITE.to_owned();
        assert_eq!(summary.sites.get(&(site, Figure::VisitsMissed)), Some(&2));
    }
}
