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
    /// Every fact that bears on the patient, in the order of the day and then of the log.
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

    /// The facts of a kind, in the order of the day and then of the log.
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
