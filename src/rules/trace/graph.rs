//! Lots and donations, and the steps that made the ones from the others. A walk goes level by level and meets
//! each material once: it ends in any graph, also in one that goes round.

use std::collections::{BTreeMap, BTreeSet};

use super::about;
use crate::{
    pb::record::Kind,
    rules::{
        fact::{Facts, LotId, Material, Subject, material},
        question::{Question, Seen},
    },
};

/// Which way a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To everything that was made from it.
    Descendants,
    /// To everything that it was made from.
    Ancestors,
}

/// A material that a walk came to.
#[derive(Debug, Clone)]
pub struct Reached {
    /// The lot or the donation.
    pub material: Material,
    /// How many steps it is away, by the shortest way; 0 for where the walk began.
    pub depth: u32,
    /// The steps that lead to it from what was reached before.
    pub by: Vec<Seen>,
}

/// Walks from some materials as far as there are steps. The nearer come first; of the same depth, donations come
/// after lots, each in their order.
pub fn walk<F: Facts>(
    facts: &F,
    question: &Question,
    from: impl IntoIterator<Item = Material>,
    way: Way,
) -> Result<Vec<Reached>, F::Error> {
    let mut reached: Vec<Reached> = Vec::new();
    let mut met: BTreeMap<Material, usize> = BTreeMap::new();
    let mut level: BTreeMap<Material, Vec<Seen>> = BTreeMap::new();
    level.extend(from.into_iter().map(|material| (material, Vec::new())));
    let mut depth = 0_u32;
    while !level.is_empty() {
        let here = reached.len();
        for (material, by) in std::mem::take(&mut level) {
            met.insert(material.clone(), reached.len());
            reached.push(Reached {
                material,
                depth,
                by,
            });
        }
        for position in here..reached.len() {
            let Some(from) = reached.get(position).map(|one| one.material.clone()) else {
                continue;
            };
            for (step, to) in edges(facts, question, &from, way)? {
                let known = met.get(&to).and_then(|at| reached.get_mut(*at));
                let by = match known {
                    // Where the walk began, nothing led.
                    Some(known) if known.depth == 0 => continue,
                    Some(known) => &mut known.by,
                    None => level.entry(to).or_default(),
                };
                if by.last().is_none_or(|last| last.index != step.index) {
                    by.push(step);
                }
            }
        }
        depth = depth.saturating_add(1);
    }
    Ok(reached)
}

/// What a lot was made of, with the lot itself, that is looked at before what was made of others is.
const ANCESTORS_FIRST: usize = 4;

/// Whether a material is one of others, or was made from one of them through however many steps.
///
/// It is looked for from both ends in turn, until either is at its end: before what was just made nothing was made from
/// it, and after a step that is told late nothing was told of what went in. So each step of a long chain costs the same.
/// Most lots were made of a few others, while a vector may have gone into thousands: those few are looked at first.
pub fn descends_from_any<F: Facts>(
    facts: &F,
    question: &Question,
    material: &Material,
    others: &BTreeSet<Material>,
) -> Result<bool, F::Error> {
    if others.is_empty() {
        return Ok(false);
    }
    let mut back = Search::new(Way::Ancestors, [material.clone()]);
    let mut forth = Search::new(Way::Descendants, others.iter().cloned());
    loop {
        match back.next(facts, question)? {
            Some(met) if others.contains(&met) => return Ok(true),
            Some(_) if back.been.len() <= ANCESTORS_FIRST => continue,
            Some(_) => {}
            None => return Ok(false),
        }
        match forth.next(facts, question)? {
            Some(met) if met == *material => return Ok(true),
            Some(_) => {}
            None => return Ok(false),
        }
    }
}

/// Materials that lead to each other, one after the other, each once.
struct Search {
    way: Way,
    open: Vec<Material>,
    been: BTreeSet<Material>,
}

impl Search {
    fn new(way: Way, from: impl IntoIterator<Item = Material>) -> Self {
        Self {
            way,
            open: from.into_iter().collect(),
            been: BTreeSet::new(),
        }
    }

    fn next<F: Facts>(
        &mut self,
        facts: &F,
        question: &Question,
    ) -> Result<Option<Material>, F::Error> {
        while let Some(material) = self.open.pop() {
            if self.been.insert(material.clone()) {
                let edges = edges(facts, question, &material, self.way)?;
                self.open.extend(edges.into_iter().map(|(_, to)| to));
                return Ok(Some(material));
            }
        }
        Ok(None)
    }
}

/// The steps from a material in one direction, with where each leads.
fn edges<F: Facts>(
    facts: &F,
    question: &Question,
    from: &Material,
    way: Way,
) -> Result<Vec<(Seen, Material)>, F::Error> {
    let subject = match (way, from) {
        (Way::Descendants, from) => Subject::MadeOf(from.clone()),
        (Way::Ancestors, Material::Lot(lot)) => Subject::Lot(lot.clone()),
        (Way::Ancestors, Material::Donation(din)) => Subject::Donation(din.clone()),
    };
    let mut edges = Vec::new();
    for fact in about(facts, question, &subject)? {
        for to in ends(&fact, from, way) {
            edges.push((fact.clone(), to));
        }
    }
    Ok(edges)
}

/// Where a fact leads from a material: a step to its other side, a registered lot from and to the donations in it.
fn ends(fact: &Seen, from: &Material, way: Way) -> Vec<Material> {
    match (fact.kind(), way) {
        (Some(Kind::Transformation(step)), Way::Descendants) => {
            step.outputs.iter().filter_map(material).collect()
        }
        (Some(Kind::Transformation(step)), Way::Ancestors) => {
            // A step that excursions or donations of the same name lead to is no step to this material.
            let made_it = step
                .outputs
                .iter()
                .any(|item| material(item).as_ref() == Some(from));
            let inputs = step.inputs.iter().filter_map(material);
            if made_it {
                inputs.collect()
            } else {
                Vec::new()
            }
        }
        (Some(Kind::LotRegistered(lot)), Way::Descendants) => vec![Material::Lot(LotId::from(lot))],
        (Some(Kind::LotRegistered(lot)), Way::Ancestors) => {
            let dins = lot.dins.iter();
            dins.map(|din| Material::Donation(din.number.clone()))
                .collect()
        }
        _ => Vec::new(),
    }
}
