//! Until when the records of a lot are kept: the latest over its legal bases, each with its trigger and its years
//! (R-L2). No record shortens it but a signed decision, and the log knows no kind of record for that: nothing does.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use chrono::NaiveDate;

use super::{
    graph::{Reached, Way, walk},
    lot::Lot,
    why,
};
use crate::{
    pb::{self, LegalBasis},
    record::format::add_months,
    rules::{
        fact::{Facts, LotId, Material},
        question::{Question, Seen},
    },
};

/// Until when the records of a lot are kept.
#[derive(Debug, Clone)]
pub struct Retention {
    /// The lot.
    pub lot: LotId,
    /// The last day; none while no trigger is known.
    pub until: Option<NaiveDate>,
    /// The legal bases, the one of Regulation 1394/2007 first.
    pub bases: Vec<Basis>,
}

/// A legal basis on which records are kept.
#[derive(Debug, Clone)]
pub struct Basis {
    /// The law.
    pub law: LegalBasis,
    /// From when it counts; none while that is not known.
    pub trigger: Option<NaiveDate>,
    /// The lot whose expiry or use that is: this one, or the descendant that has the latest.
    pub of: LotId,
    /// For how many years.
    pub years: u32,
    /// The last day.
    pub until: Option<NaiveDate>,
    /// What says so.
    pub why: pb::Why,
}

/// What a period counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// The last good day of the lot or of what was made from it.
    Expiry,
    /// The last administration of the lot or of what was made from it.
    Use,
    /// The end of the trial, which no record tells.
    EndOfTrial,
}

/// The laws that say for how long. The others are bases to keep records, and say nothing of years.
const LAWS: [(LegalBasis, u32, Trigger); 4] = [
    (LegalBasis::Eu13942007Art15, 30, Trigger::Expiry),
    (LegalBasis::Eu200423Art8, 30, Trigger::Use),
    (LegalBasis::Eu5362014Art58, 25, Trigger::EndOfTrial),
    (LegalBasis::SgCtgtp, 30, Trigger::Expiry),
];

/// Until when the records of these lots are kept, in their order. Regulation 1394/2007 counts for every lot; the
/// other laws for lots whose registration names them.
pub fn retention<F: Facts>(
    facts: &F,
    question: &Question,
    lots: &[LotId],
) -> Result<Vec<Retention>, F::Error> {
    let family = Family::of(facts, question, lots)?;
    let expiries = family.latest(|lot| {
        let (said, _) = lot.registered()?;
        Some((lot.expiry()?, said.clone()))
    });
    let uses = family.latest(|lot| {
        let (said, _) = lot.given().last()?;
        Some((said.on, said.clone()))
    });
    let mut rows = Vec::new();
    for id in lots {
        let Some(lot) = family.lots.get(id) else {
            continue;
        };
        let named: Vec<LegalBasis> = lot
            .registered()
            .map(|(said, _)| said.record.legal_basis().collect())
            .unwrap_or_default();
        let counts = |law| law == LegalBasis::Eu13942007Art15 || named.contains(&law);
        let bases = LAWS.into_iter().filter(|(law, _, _)| counts(*law));
        let bases: Vec<Basis> = bases
            .map(|(law, years, trigger)| {
                let latest = match trigger {
                    Trigger::Expiry => expiries.get(id),
                    Trigger::Use => uses.get(id),
                    Trigger::EndOfTrial => None,
                };
                basis(law, years, lot, latest)
            })
            .collect();
        rows.push(Retention {
            lot: id.clone(),
            until: bases.iter().filter_map(|basis| basis.until).max(),
            bases,
        });
    }
    Ok(rows)
}

fn basis(law: LegalBasis, years: u32, lot: &Lot, latest: Option<&Latest>) -> Basis {
    let trigger = latest.map(|latest| latest.on);
    let months = years.saturating_mul(12);
    let registered = lot.registered().map(|(said, _)| said);
    let said = latest.map(|latest| &latest.said);
    Basis {
        law,
        trigger,
        of: latest.map_or_else(|| lot.id.clone(), |latest| latest.of.clone()),
        years,
        until: trigger.and_then(|on| add_months(on, months)),
        why: why("R-L2", registered.into_iter().chain(said), ""),
    }
}

/// The latest day of its kind among a lot and its descendants.
#[derive(Debug, Clone)]
struct Latest {
    on: NaiveDate,
    of: LotId,
    said: Seen,
}

/// Lots with everything that was made from them, each looked up once however many of the lots it descends from.
struct Family {
    lots: BTreeMap<LotId, Lot>,
    /// What each lot was made from, within the family.
    made_from: BTreeMap<LotId, BTreeSet<LotId>>,
}

impl Family {
    fn of<F: Facts>(facts: &F, question: &Question, lots: &[LotId]) -> Result<Self, F::Error> {
        let from = lots.iter().cloned().map(Material::Lot);
        let reached = walk(facts, question, from, Way::Descendants)?;
        let mut family = Self {
            lots: BTreeMap::new(),
            made_from: BTreeMap::new(),
        };
        for Reached { material, .. } in reached {
            let Material::Lot(id) = material else {
                continue;
            };
            let lot = Lot::of(facts, question, &id)?;
            let outputs = lot.steps.iter().flat_map(|step| match step.kind() {
                Some(pb::record::Kind::Transformation(step)) => step.outputs.as_slice(),
                _ => &[],
            });
            for output in outputs.filter_map(crate::rules::fact::material) {
                if let Material::Lot(output) = output {
                    let made_from = family.made_from.entry(output).or_default();
                    made_from.insert(id.clone());
                }
            }
            family.lots.insert(id, lot);
        }
        Ok(family)
    }

    /// The latest day of a kind among each lot and its descendants. The latest of all goes up first to every lot
    /// that it descends from; whom a later one has reached, an earlier one passes by: each lot is met once.
    fn latest(&self, day: impl Fn(&Lot) -> Option<(NaiveDate, Seen)>) -> BTreeMap<LotId, Latest> {
        let mut days: Vec<Latest> = Vec::new();
        for (id, lot) in &self.lots {
            if let Some((on, said)) = day(lot) {
                days.push(Latest {
                    on,
                    of: id.clone(),
                    said,
                });
            }
        }
        days.sort_by(|a, b| b.on.cmp(&a.on).then_with(|| a.of.cmp(&b.of)));
        let mut latest: BTreeMap<LotId, Latest> = BTreeMap::new();
        for day in days {
            let mut open = vec![day.of.clone()];
            while let Some(id) = open.pop() {
                if let Entry::Vacant(new) = latest.entry(id) {
                    let made_from = self.made_from.get(new.key());
                    open.extend(made_from.into_iter().flatten().cloned());
                    new.insert(day.clone());
                }
            }
        }
        latest
    }
}
