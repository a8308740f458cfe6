//! What has become of a patient, as a question sees it: treated, enrolled, transferred, lost, withdrawn, dead.
//! What is owed to the patient or asked of the patient follows from it, elsewhere.

use chrono::NaiveDate;

use super::{
    catalogue::Catalogue,
    dossier::Dossier,
    question::{Question, Seen},
};
use crate::{
    pb::{
        self, AdministrationStatus, PatientState, SampleEventKind, WithdrawalScope, record::Kind,
    },
    record::format::parse_civil_date,
};

/// A patient as a question sees it.
#[derive(Debug, Clone)]
pub struct Patient {
    /// The pseudonym under which the patient is known to the question.
    pub id: String,
    /// The day that is asked about.
    pub as_of: NaiveDate,
    /// Every fact that bears on the patient, in the order of the day, of the instant where it is known, and of the log.
    pub facts: Vec<Seen>,
    /// The rejections of samples that are known, also those of a later day: like a correction, a rejection tells
    /// what was true of a sample (R-S2).
    pub rejections: Vec<Seen>,
    /// Where among the facts are those that register the patient, that say how the patient stands, of what was
    /// given, of enrolments, and those that give a consent or take it back. Asked for each of many facts, so found
    /// once.
    registrations: Vec<usize>,
    statuses: Vec<usize>,
    administrations: Vec<usize>,
    enrolments: Vec<usize>,
    consents: Vec<usize>,
}

impl Patient {
    /// The patient of a dossier, as the question sees it.
    pub fn of(dossier: &Dossier, question: &Question) -> Self {
        let mut facts = dossier.seen(&Question {
            as_of: NaiveDate::MAX,
            ..*question
        });
        let is_rejection = |fact: &&Seen| {
            let Some(Kind::SampleEvent(event)) = fact.kind() else {
                return false;
            };
            event.event() == SampleEventKind::Rejected
        };
        let rejections = facts.iter().filter(is_rejection).cloned().collect();
        facts.retain(|fact| fact.on <= question.as_of);
        let places = |is: fn(&Kind) -> bool| {
            let found = facts.iter().enumerate();
            let found = found.filter(|(_, fact)| fact.kind().is_some_and(is));
            found.map(|(place, _)| place).collect()
        };
        Self {
            registrations: places(|kind| matches!(kind, Kind::PatientRegistered(_))),
            statuses: places(|kind| matches!(kind, Kind::PatientStatus(_))),
            administrations: places(|kind| matches!(kind, Kind::Administration(_))),
            enrolments: places(|kind| matches!(kind, Kind::FollowUpEnrolment(_))),
            consents: places(|kind| {
                matches!(kind, Kind::ConsentWithdrawn(_) | Kind::ConsentSigned(_))
            }),
            id: dossier.known_as(question),
            as_of: question.as_of,
            facts,
            rejections,
        }
    }

    /// The facts of a kind, in the order of the day, of the instant where it is known, and of the log.
    pub fn of_kind<'a, T: 'a>(
        &'a self,
        pick: impl Fn(&'a Kind) -> Option<&'a T>,
    ) -> impl Iterator<Item = (&'a Seen, &'a T)> {
        let picked = move |fact: &'a Seen| Some((fact, pick(fact.kind()?)?));
        self.facts.iter().filter_map(picked)
    }

    /// The administrations in which the patient received product, the first first.
    pub fn given(&self) -> impl Iterator<Item = (&Seen, &pb::Administration)> {
        let administrations = self.picked(&self.administrations, pick!(Administration));
        administrations.filter(|(fact, administration)| {
            // Of a lot's facts, only those of this patient are among the dossier's.
            !fact.record.patient.is_empty()
                && administration.status() != AdministrationStatus::NotDone
        })
    }

    /// The administrations of one product.
    pub fn given_of<'a>(
        &'a self,
        catalogue: &'a Catalogue,
        product_id: &'a str,
    ) -> impl Iterator<Item = (&'a Seen, &'a pb::Administration)> {
        self.given().filter(move |(_, administration)| {
            let product = catalogue.product_given(administration);
            product.is_some_and(|product| product.product.product_id == product_id)
        })
    }

    /// The registration, where there is one.
    pub fn registered(&self) -> Option<(&Seen, &pb::PatientRegistered)> {
        let registered = || self.picked(&self.registrations, pick!(PatientRegistered));
        // Of merged patients, the one whose pseudonym stayed.
        let own = registered().find(|(fact, _)| fact.record.patient == self.id);
        own.or_else(|| registered().next())
    }

    /// The day from which the patient decides alone, if a minor was registered.
    pub fn majority_on(&self) -> Option<NaiveDate> {
        parse_civil_date(&self.registered()?.1.majority_on).ok()
    }

    /// The day from which the patient's own assent is needed, if a minor was registered.
    pub fn assent_on(&self) -> Option<NaiveDate> {
        parse_civil_date(&self.registered()?.1.assent_on).ok()
    }

    /// The record of death.
    pub fn died(&self) -> Option<&Seen> {
        self.statuses()
            .find(|(_, status)| status.state() == PatientState::Deceased)
            .map(|(fact, _)| fact)
    }

    /// Whether no death on or before a day is known.
    pub fn is_alive(&self, on: NaiveDate) -> bool {
        self.died().is_none_or(|death| on < death.on)
    }

    /// What says that the patient is lost to follow-up on a day: no record since has found the patient.
    pub fn lost(&self, on: NaiveDate) -> Option<&Seen> {
        let until = self.statuses().filter(|(fact, _)| fact.on <= on);
        let mut lost = None;
        for (fact, status) in until {
            match status.state() {
                PatientState::LostToFollowUp => lost = Some(fact),
                PatientState::Found | PatientState::Active => lost = None,
                PatientState::Unspecified
                | PatientState::Transferred
                | PatientState::Deceased
                | PatientState::Completed
                | PatientState::ProcessingRestricted
                | PatientState::Erased => {}
            }
        }
        lost
    }

    /// What says that the patient has withdrawn from this on a day, and has not consented anew since.
    pub fn withdrawn(&self, scope: WithdrawalScope, on: NaiveDate) -> Option<&Seen> {
        let mut withdrawn = None;
        for fact in self.at(&self.consents).filter(|fact| fact.on <= on) {
            match fact.kind() {
                Some(Kind::ConsentWithdrawn(withdrawal))
                    if withdrawal.scopes().any(|one| one == scope) =>
                {
                    withdrawn = Some(fact);
                }
                Some(Kind::ConsentSigned(_)) => {
                    let before = |withdrawn: &&Seen| withdrawn.on < fact.on;
                    if withdrawn.as_ref().is_some_and(before) {
                        withdrawn = None;
                    }
                }
                _ => {}
            }
        }
        withdrawn
    }

    /// The GLN of the site that follows the patient on a day: where transferred to, or else registered, or
    /// else treated. Empty if nothing tells.
    pub fn site(&self, on: NaiveDate) -> &str {
        let transfers = self
            .statuses()
            .filter(|(fact, status)| status.state() == PatientState::Transferred && fact.on <= on);
        if let Some((_, transfer)) = transfers.last() {
            return &transfer.transferred_to;
        }
        if let Some((fact, _)) = self.registered() {
            return &fact.record.site;
        }
        self.given()
            .next()
            .map_or("", |(fact, _)| &fact.record.site)
    }

    /// The sites that may have followed the patient on some day, each at least once.
    pub fn sites(&self) -> impl Iterator<Item = &str> {
        let first = std::iter::once(self.site(NaiveDate::MIN));
        let transfers = self.statuses();
        let transfers = transfers.filter(|(_, status)| status.state() == PatientState::Transferred);
        first.chain(transfers.map(|(_, transfer)| transfer.transferred_to.as_str()))
    }

    /// The enrolments in follow-up, the first first.
    pub fn enrolments(&self) -> impl Iterator<Item = (&Seen, &pb::FollowUpEnrolment)> {
        self.picked(&self.enrolments, pick!(FollowUpEnrolment))
    }

    /// What was recorded of the patient's state, in the order of the day.
    pub fn statuses(&self) -> impl Iterator<Item = (&Seen, &pb::PatientStatus)> {
        self.picked(&self.statuses, pick!(PatientStatus))
    }

    fn picked<'a, T: 'a>(
        &'a self,
        places: &'a [usize],
        pick: impl Fn(&'a Kind) -> Option<&'a T>,
    ) -> impl DoubleEndedIterator<Item = (&'a Seen, &'a T)> {
        let facts = self.at(places);
        facts.filter_map(move |fact| Some((fact, pick(fact.kind()?)?)))
    }

    fn at<'a>(&'a self, places: &'a [usize]) -> impl DoubleEndedIterator<Item = &'a Seen> {
        places.iter().filter_map(|place| self.facts.get(*place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{book::Book, fact::Fact};

    /// The patient P, of whom these were recorded: the day, the pseudonym, what.
    fn patient(told: Vec<(&str, &str, Kind)>) -> Patient {
        let mut book = Book::default();
        for (index, (on, patient, kind)) in (0..).zip(told) {
            let record = pb::Record {
                record_id: format!("R-{index}"),
                event_time: on.to_owned(),
                patient: patient.to_owned(),
                site: format!("SITE-{patient}"),
                kind: Some(kind),
                ..Default::default()
            };
            book.insert(Fact::of_record(index, record));
        }
        let Ok(dossier) = Dossier::of_patient(&book, "P");
        Patient::of(&dossier, &Question::EVERYTHING)
    }

    fn day(text: &str) -> NaiveDate {
        parse_civil_date(text).unwrap()
    }

    fn given(status: AdministrationStatus) -> Kind {
        Kind::Administration(pb::Administration {
            status: status.into(),
            ..Default::default()
        })
    }

    fn status(state: PatientState) -> Kind {
        Kind::PatientStatus(pb::PatientStatus {
            state: state.into(),
            transferred_to: "SITE-NEW".to_owned(),
            ..Default::default()
        })
    }

    #[test]
    fn what_was_begun_was_given_and_what_was_not_done_was_not() {
        use AdministrationStatus as S;
        for (status, count) in [(S::Given, 1), (S::Partial, 1), (S::NotDone, 0)] {
            let patient = patient(vec![("2020-01-10", "P", given(status))]);
            assert_eq!(patient.given().count(), count, "{status:?}");
        }
    }

    #[test]
    fn of_merged_patients_the_registration_of_the_pseudonym_that_stays_counts() {
        let registered = |majority_on: &str| {
            Kind::PatientRegistered(pb::PatientRegistered {
                majority_on: majority_on.to_owned(),
                ..Default::default()
            })
        };
        let merged = || {
            Kind::PatientMerged(pb::PatientMerged {
                merged_patient: "Q".to_owned(),
            })
        };
        let (other, own) = ("2030-01-01", "2031-01-01");
        let told = vec![
            ("2020-01-10", "Q", registered(other)),
            ("2020-01-11", "P", registered(own)),
            ("2020-01-12", "P", merged()),
        ];
        assert_eq!(patient(told).majority_on(), Some(day(own)));
        let told = vec![
            ("2020-01-10", "Q", registered(other)),
            ("2020-01-12", "P", merged()),
        ];
        assert_eq!(patient(told).majority_on(), Some(day(other)));
    }

    #[test]
    fn a_withdrawal_holds_until_something_is_signed_on_a_later_day() {
        let scope = WithdrawalScope::AllProcedures;
        let withdrawn = || {
            Kind::ConsentWithdrawn(pb::ConsentWithdrawn {
                scopes: vec![scope.into()],
                ..Default::default()
            })
        };
        let signed = || Kind::ConsentSigned(pb::ConsentSigned::default());
        for (signed_on, asked, is_withdrawn) in [
            ("2020-01-09", "2020-03-01", true),
            ("2020-01-10", "2020-03-01", true),
            ("2020-01-11", "2020-03-01", false),
            ("2020-01-11", "2020-01-11", false),
            ("2020-01-11", "2020-01-10", true),
            ("2020-01-11", "2020-01-09", false),
        ] {
            let patient = patient(vec![
                ("2020-01-10", "P", withdrawn()),
                (signed_on, "P", signed()),
            ]);
            let have = patient.withdrawn(scope, day(asked)).is_some();
            assert_eq!(have, is_withdrawn, "signed {signed_on}, asked {asked}");
            let other = WithdrawalScope::Contact;
            assert!(patient.withdrawn(other, day(asked)).is_none());
        }
    }

    #[test]
    fn who_is_lost_is_lost_until_found() {
        use PatientState as S;
        for (state, is_lost) in [
            (S::Found, false),
            (S::Active, false),
            (S::Transferred, true),
            (S::Completed, true),
        ] {
            let patient = patient(vec![
                ("2020-01-10", "P", status(S::LostToFollowUp)),
                ("2020-02-10", "P", status(state)),
            ]);
            let lost = |on| patient.lost(day(on)).is_some();
            assert!(!lost("2020-01-09"));
            assert!(lost("2020-01-10"));
            assert!(lost("2020-02-09"));
            assert_eq!(lost("2020-02-10"), is_lost, "{state:?}");
        }
    }

    #[test]
    fn the_site_is_where_transferred_to_or_registered_or_treated() {
        let given = || given(AdministrationStatus::Given);
        let registered = Kind::PatientRegistered(pb::PatientRegistered::default());
        let transferred = status(PatientState::Transferred);
        let followed = patient(vec![
            ("2020-01-10", "P", registered),
            ("2020-01-20", "P", given()),
            ("2020-02-10", "P", transferred),
        ]);
        assert_eq!(followed.site(day("2020-02-09")), "SITE-P");
        assert_eq!(followed.site(day("2020-02-10")), "SITE-NEW");
        let treated = patient(vec![("2020-01-20", "P", given())]);
        assert_eq!(treated.site(day("2020-01-20")), "SITE-P");
        assert_eq!(patient(Vec::new()).site(day("2020-01-20")), "");
    }

    #[test]
    fn nobody_is_alive_on_the_day_of_death() {
        let died = status(PatientState::Deceased);
        let patient = patient(vec![("2020-01-10", "P", died)]);
        assert!(patient.is_alive(day("2020-01-09")));
        assert!(!patient.is_alive(day("2020-01-10")));
    }
}
