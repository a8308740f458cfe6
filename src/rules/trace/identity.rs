//! The life of a chain of identity: from the collection to the patient, with every verification on the way, the
//! mismatches among them, and the ways of its lots.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{about, people::People, why};
use crate::{
    pb::{self, record::Kind},
    record::kind_name,
    rules::{
        fact::{Facts, LotId, Material, Subject, material},
        question::{Question, Seen, put_in_order},
    },
    tlog::Index,
};

/// What happened to a chain of identity.
#[derive(Debug, Clone)]
pub struct ChainOfIdentity {
    /// The patients that its records name, as known to the question, in order: one, if nothing went wrong.
    pub patients: Vec<String>,
    /// The lots that are bound to it, in order.
    pub lots: Vec<LotId>,
    /// What happened, in the order of the day, of the instant where it is known, and of the log.
    pub links: Vec<ChainLink>,
}

/// One link of a chain of identity.
#[derive(Debug, Clone)]
pub struct ChainLink {
    /// The day.
    pub on: NaiveDate,
    /// When, as it was recorded.
    pub event_time: String,
    /// The kind of the record: `material_collected`, `coi_verification`, `shipment`.
    pub kind: &'static str,
    /// The lots of the chain that it is about.
    pub lots: Vec<LotId>,
    /// The patient, as known to the question; empty if it names none.
    pub patient: String,
    /// Where, by GLN.
    pub site: String,
    /// Where the goods went, by GLN.
    pub to: String,
    /// At which step it was verified.
    pub step: pb::CoiStep,
    /// What the verification showed.
    pub result: pb::CoiResult,
    /// The chain of identity that was found, where it is another than this.
    pub other_coi: String,
    /// The record.
    pub why: pb::Why,
}

/// The life of a chain of identity. None if nothing is known of it.
pub fn chain_of_identity<F: Facts>(
    facts: &F,
    question: &Question,
    coi: &str,
) -> Result<Option<ChainOfIdentity>, F::Error> {
    let named = about(facts, question, &Subject::Coi(coi.to_owned()))?;
    if named.is_empty() {
        return Ok(None);
    }
    let own: BTreeSet<LotId> = named.iter().flat_map(own_lots).collect();
    let given = named.iter().filter_map(given_lots);
    let lots: BTreeSet<LotId> = own.iter().cloned().chain(given).collect();
    let mut all: BTreeMap<Index, Seen> = BTreeMap::new();
    let mut add = |fact: Seen| all.insert(fact.index, fact);
    for fact in named {
        add(fact);
    }
    for lot in &lots {
        let is_of_chain = own.contains(lot);
        for subject in [Subject::Lot(lot.clone()), Subject::Stock(lot.clone())] {
            for fact in about(facts, question, &subject)? {
                // Of a lot that is made for many, what others received is no link of this chain.
                let is_administration = matches!(fact.kind(), Some(Kind::Administration(_)));
                if is_of_chain || !is_administration {
                    add(fact);
                }
            }
        }
    }
    let mut people = People::new(facts, question);
    let mut patients = BTreeSet::new();
    let mut links = Vec::new();
    let mut all: Vec<Seen> = all.into_values().collect();
    put_in_order(&mut all);
    for fact in &all {
        let mut link = link(fact, coi, &lots);
        link.patient = people.whose(fact)?;
        if let Some(Kind::LotRegistered(lot)) = fact.kind()
            && !lot.intended_patient.is_empty()
        {
            link.patient = people.known_as(&lot.intended_patient)?;
        }
        if !link.patient.is_empty() {
            patients.insert(link.patient.clone());
        }
        links.push(link);
    }
    Ok(Some(ChainOfIdentity {
        patients: patients.into_iter().collect(),
        lots: lots.into_iter().collect(),
        links,
    }))
}

/// The lots that a record of the chain makes its own. What was made for a chain is; a vector that went into it
/// is not.
fn own_lots(fact: &Seen) -> Vec<LotId> {
    match fact.kind() {
        Some(Kind::LotRegistered(lot)) => vec![LotId::from(lot)],
        Some(Kind::CoiAssigned(assigned)) => assigned.lots.iter().map(LotId::from).collect(),
        Some(Kind::Transformation(step)) => lots_of(&step.outputs),
        _ => Vec::new(),
    }
}

/// The lot that was given under a chain.
fn given_lots(fact: &Seen) -> Option<LotId> {
    match fact.kind() {
        Some(Kind::Administration(given)) => given.lot.as_ref().map(LotId::from),
        _ => None,
    }
}

fn lots_of(items: &[pb::Item]) -> Vec<LotId> {
    let lot = |item: &pb::Item| match material(item)? {
        Material::Lot(lot) => Some(lot),
        Material::Donation(_) => None,
    };
    items.iter().filter_map(lot).collect()
}

fn link(fact: &Seen, coi: &str, of_chain: &BTreeSet<LotId>) -> ChainLink {
    let mut link = ChainLink {
        on: fact.on,
        event_time: fact.record.event_time.clone(),
        kind: fact.kind().map_or("", kind_name),
        lots: Vec::new(),
        patient: String::new(),
        site: fact.record.site.clone(),
        to: String::new(),
        step: pb::CoiStep::Unspecified,
        result: pb::CoiResult::Unspecified,
        other_coi: String::new(),
        why: why("R-L1", [fact], ""),
    };
    let mut found = coi;
    match fact.kind() {
        Some(Kind::CoiVerification(verification)) => {
            link.lots.extend(verification.lot.iter().map(LotId::from));
            link.step = verification.step();
            link.result = verification.result();
            found = &verification.coi;
        }
        Some(Kind::Administration(administration)) => {
            link.lots.extend(administration.lot.iter().map(LotId::from));
            found = &administration.coi;
        }
        Some(Kind::LotDisposition(decision)) => {
            link.lots.extend(decision.lot.iter().map(LotId::from));
        }
        Some(Kind::Shipment(shipment)) => {
            link.lots = lots_of(&shipment.items);
            link.to.clone_from(&shipment.to_gln);
        }
        Some(Kind::ShipmentReceived(received)) => {
            link.lots = lots_of(&received.items);
            link.to.clone_from(&received.to_gln);
        }
        Some(Kind::CustodyTransfer(transfer)) => {
            link.lots = lots_of(&transfer.items);
            link.to.clone_from(&transfer.to_gln);
        }
        Some(Kind::ProductReturned(returned)) => {
            link.lots = lots_of(&returned.items);
            link.to.clone_from(&returned.to_gln);
        }
        Some(Kind::ProductDestroyed(destroyed)) => link.lots = lots_of(&destroyed.items),
        Some(Kind::StorageMoved(moved)) => link.lots = lots_of(&moved.items),
        Some(Kind::Excursion(excursion)) => link.lots = lots_of(&excursion.items),
        Some(Kind::LotRegistered(lot)) => found = &lot.coi,
        Some(Kind::Transformation(step)) => found = &step.coi,
        _ => {}
    }
    link.lots.extend(own_lots(fact));
    link.lots.retain(|lot| of_chain.contains(lot));
    link.lots.sort();
    link.lots.dedup();
    if found != coi && !found.is_empty() {
        found.clone_into(&mut link.other_coi);
    }
    link
}
