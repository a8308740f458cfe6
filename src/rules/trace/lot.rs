//! One lot as a question sees it: what it is, what was decided about it, what was made from it, where it went.

use chrono::NaiveDate;

use super::{
    about,
    stock::{Stock, stock},
};
use crate::{
    pb::{self, AdministrationStatus, Disposition, record::Kind},
    rules::{
        fact::{Facts, LotId, Material, Subject, civil_day},
        question::{Question, Seen},
    },
};

/// A lot as a question sees it.
#[derive(Debug, Clone)]
pub struct Lot {
    /// Which lot.
    pub id: LotId,
    /// The day that is asked about.
    pub as_of: NaiveDate,
    /// Its registration, dispositions, verifications, excursions and the steps that made it.
    pub facts: Vec<Seen>,
    /// Its shipments, receipts, returns, destructions and administrations.
    pub moves: Vec<Seen>,
    /// The steps that it went into.
    pub steps: Vec<Seen>,
}

impl Lot {
    /// Looks a lot up.
    pub fn of<F: Facts>(facts: &F, question: &Question, id: &LotId) -> Result<Self, F::Error> {
        let made_of = Subject::MadeOf(Material::Lot(id.clone()));
        Ok(Self {
            id: id.clone(),
            as_of: question.as_of,
            facts: about(facts, question, &Subject::Lot(id.clone()))?,
            moves: about(facts, question, &Subject::Stock(id.clone()))?,
            steps: about(facts, question, &made_of)?,
        })
    }

    /// Whether anything is known of it.
    pub fn is_known(&self) -> bool {
        !(self.facts.is_empty() && self.moves.is_empty() && self.steps.is_empty())
    }

    /// Its registration; of several, the first.
    pub fn registered(&self) -> Option<(&Seen, &pb::LotRegistered)> {
        self.facts.iter().find_map(|fact| match fact.kind() {
            Some(Kind::LotRegistered(lot)) => Some((fact, lot)),
            _ => None,
        })
    }

    /// Its last good day.
    pub fn expiry(&self) -> Option<NaiveDate> {
        let (fact, lot) = self.registered()?;
        civil_day(&lot.expiry, fact.record.site_tz.parse().ok())
    }

    /// Whether its last good day is over.
    pub fn is_expired(&self) -> bool {
        self.expiry().is_some_and(|expiry| expiry < self.as_of)
    }

    /// The administrations in which it was given to somebody.
    pub fn given(&self) -> impl Iterator<Item = (&Seen, &pb::Administration)> {
        let administrations = self.moves.iter().filter_map(|fact| match fact.kind() {
            Some(Kind::Administration(administration)) => Some((fact, administration)),
            _ => None,
        });
        administrations.filter(|(_, given)| given.status() != AdministrationStatus::NotDone)
    }

    /// Whether none of it was given to anybody, and none of it went into another lot.
    pub fn is_unadministered(&self) -> bool {
        self.given().next().is_none() && self.steps.is_empty()
    }

    /// The newest decision about the whole of it.
    pub fn decided(&self) -> Option<(&Seen, Disposition)> {
        let mut decisions = self
            .facts
            .iter()
            .rev()
            .filter_map(|fact| match fact.kind() {
                Some(Kind::LotDisposition(decision)) if decision.serials.is_empty() => {
                    Some((fact, decision.disposition()))
                }
                _ => None,
            });
        decisions.next()
    }

    /// How much of it is where.
    pub fn stock(&self) -> Stock {
        stock(self)
    }

    /// What has become of it: what was decided, unless all of it was destroyed or given back.
    pub fn state(&self, stock: &Stock) -> Disposition {
        let decided = self
            .decided()
            .map_or(Disposition::Unspecified, |(_, decision)| decision);
        stock.end().unwrap_or(decided)
    }
}
