//! A recall: from which lots it starts, which sites were told and which answered, and what was counted of the
//! stock beside what the records say (R-L3).

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::{about, graph::Reached, lot::Lot, stock::Account, why};
use crate::{
    pb::{self, record::Kind},
    record::format::Decimal,
    rules::{
        fact::{Facts, LotId, Material, Subject},
        question::{Question, Seen},
    },
};

/// A recall as a question sees it.
#[derive(Debug, Clone)]
pub struct Recall {
    /// What opened it; what it was opened with is in the record.
    pub opened: Seen,
    /// The lots that it starts from.
    pub roots: Vec<LotId>,
    /// How grave it is.
    pub class: pb::RecallClass,
    /// The notices, in the order of the day.
    pub notices: Vec<Seen>,
    /// The sites' answers, in the order of the day.
    pub answers: Vec<Seen>,
    /// What closed it.
    pub closed: Option<Seen>,
}

/// What a site was told of a recall, and what it answered.
#[derive(Debug, Clone)]
pub struct RecallSite {
    /// The site, by GLN.
    pub site: String,
    /// When it was told first.
    pub notified_on: Option<NaiveDate>,
    /// When it answered last.
    pub acknowledged_on: Option<NaiveDate>,
    /// What it does for its patients.
    pub patient_action: String,
    /// Whether one of the lots came to it, is on its way to it, or was given there.
    pub is_concerned: bool,
    /// The recall, the notices and the answers, and what brought the lots there.
    pub why: pb::Why,
}

/// What became of a lot: of what was shipped, everything, or something is missing.
#[derive(Debug, Clone)]
pub struct Reconciliation {
    /// The lot.
    pub lot: LotId,
    /// The site, by GLN; empty for all places together.
    pub site: String,
    /// Who says so.
    pub source: Source,
    /// In which unit.
    pub unit: String,
    /// What became of it.
    pub account: Account,
    /// What was shipped and has arrived nowhere: it is among what is unaccounted for.
    pub not_received: Decimal,
    /// What is missing. None where the counts are of several units.
    pub unaccounted: Option<Decimal>,
    /// How many records have an amount that cannot be counted in the unit.
    pub uncounted: u32,
    /// Whether more was used, shipped or destroyed than there was.
    pub is_overdrawn: bool,
    /// What it stands on.
    pub why: pb::Why,
}

/// Who says what became of a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The records of shipments, administrations and the rest.
    Derived,
    /// A site's answer to the recall.
    Acknowledged,
    /// The record that closed the recall.
    Closed,
}

/// A recall by its id, out of the catalogue. None if it is not known.
pub fn recall<F: Facts>(
    facts: &F,
    question: &Question,
    recall_id: &str,
) -> Result<Option<Recall>, F::Error> {
    let mut found: Option<Recall> = None;
    let mut notices = Vec::new();
    let mut answers = Vec::new();
    let mut closed = None;
    for fact in about(facts, question, &Subject::Catalogue)? {
        match fact.kind() {
            Some(Kind::RecallOpened(opened)) if opened.recall_id == recall_id => {
                let roots: Vec<LotId> = opened.roots.iter().map(LotId::from).collect();
                match &mut found {
                    // Opened again, with more lots.
                    Some(known) => known.roots.extend(roots),
                    None => {
                        found = Some(Recall {
                            roots,
                            class: opened.recall_class(),
                            opened: fact,
                            notices: Vec::new(),
                            answers: Vec::new(),
                            closed: None,
                        });
                    }
                }
            }
            Some(Kind::RecallNotice(notice)) if notice.recall_id == recall_id => notices.push(fact),
            Some(Kind::RecallAcknowledged(answer)) if answer.recall_id == recall_id => {
                answers.push(fact);
            }
            Some(Kind::RecallClosed(end)) if end.recall_id == recall_id => closed = Some(fact),
            _ => {}
        }
    }
    Ok(found.map(|recall| Recall {
        notices,
        answers,
        closed,
        ..recall
    }))
}

/// The places that one of the lots of a trace was sent to, came to or was given at, each with what brought it there:
/// not those of its maker. What is still under way counts: whoever is to receive it must be told.
pub fn concerned<F: Facts>(
    facts: &F,
    question: &Question,
    reached: &[Reached],
) -> Result<BTreeMap<String, Vec<Seen>>, F::Error> {
    let mut places: BTreeMap<String, Vec<Seen>> = BTreeMap::new();
    for reached in reached {
        let Material::Lot(id) = &reached.material else {
            continue;
        };
        let lot = Lot::of(facts, question, id)?;
        let maker = lot.registered().map(|(_, lot)| lot.manufacturer.as_str());
        let mut brought: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
        for fact in &lot.moves {
            let to = match fact.kind() {
                Some(Kind::Shipment(shipment)) => &shipment.to_gln,
                Some(Kind::ShipmentReceived(received)) => &received.to_gln,
                _ => continue,
            };
            if maker != Some(to) {
                brought.entry(to).or_default().push(fact);
            }
        }
        let accounts = lot.stock().accounts;
        let given = lot.given().map(|(fact, _)| fact.record.site.as_str());
        for place in accounts.keys().map(String::as_str).chain(given) {
            // Nothing says how it came there: the first that happened to it there shows that it did.
            brought.entry(place).or_insert_with(|| {
                let mut all = lot.moves.iter().chain(&lot.steps);
                all.find(|fact| fact.record.site == place)
                    .into_iter()
                    .collect()
            });
        }
        for (place, facts) in brought {
            let known = places.entry(place.to_owned()).or_default();
            known.extend(facts.into_iter().cloned());
        }
    }
    Ok(places)
}

impl Recall {
    /// What it was opened with.
    pub fn opening(&self) -> pb::RecallOpened {
        match self.opened.kind() {
            Some(Kind::RecallOpened(opened)) => opened.clone(),
            _ => pb::RecallOpened::default(),
        }
    }

    /// The records that opened and closed it.
    pub fn why(&self) -> pb::Why {
        why(
            "R-L1",
            std::iter::once(&self.opened).chain(&self.closed),
            "",
        )
    }

    /// The sites: those that were told or answered, and those that one of the lots came to or is on its way to.
    pub fn sites(&self, concerned: &BTreeMap<String, Vec<Seen>>) -> Vec<RecallSite> {
        let mut sites: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
        for site in concerned.keys() {
            sites.entry(site).or_default();
        }
        for fact in self.notices.iter().chain(&self.answers) {
            let site = match fact.kind() {
                Some(Kind::RecallNotice(notice)) => &notice.site,
                _ => &fact.record.site,
            };
            sites.entry(site).or_default().push(fact);
        }
        let row = |(site, facts): (&str, Vec<&Seen>)| {
            let is_notice = |fact: &&&Seen| matches!(fact.kind(), Some(Kind::RecallNotice(_)));
            let is_answer = |fact: &&&Seen| !is_notice(fact);
            let answer = facts.iter().rfind(is_answer);
            let action = match answer.and_then(|fact| fact.kind()) {
                Some(Kind::RecallAcknowledged(answer)) => answer.patient_action.clone(),
                _ => String::new(),
            };
            RecallSite {
                site: site.to_owned(),
                notified_on: facts.iter().find(is_notice).map(|fact| fact.on),
                acknowledged_on: answer.map(|fact| fact.on),
                patient_action: action,
                is_concerned: concerned.contains_key(site),
                why: {
                    let brought = concerned.get(site).into_iter().flatten();
                    let told = facts.into_iter().chain(brought);
                    why("R-L3", told.chain([&self.opened]), "")
                },
            }
        };
        sites.into_iter().map(row).collect()
    }

    /// What became of one of the lots: as the records say, in all and at each place, then as it was counted by
    /// the sites, and at the end.
    pub fn reconciliations(&self, lot: &Lot) -> Vec<Reconciliation> {
        let mut rows = derived(lot);
        for fact in &self.answers {
            if let Some(Kind::RecallAcknowledged(answer)) = fact.kind() {
                // A site's newest count of a lot is what counts.
                let site = &fact.record.site;
                let counted = answer
                    .stock
                    .iter()
                    .filter_map(|count| counted(&lot.id, count, site, Source::Acknowledged, fact));
                for row in counted {
                    rows.retain(|known| known.source == Source::Derived || known.site != *site);
                    rows.push(row);
                }
            }
        }
        if let Some(fact) = &self.closed
            && let Some(Kind::RecallClosed(end)) = fact.kind()
        {
            let counts = end.stock.iter();
            rows.extend(
                counts.filter_map(|count| counted(&lot.id, count, "", Source::Closed, fact)),
            );
        }
        rows
    }
}

fn derived(lot: &Lot) -> Vec<Reconciliation> {
    let stock = lot.stock();
    let facts = lot.moves.iter().chain(&lot.steps);
    let decided = lot.decided().map(|(fact, _)| fact);
    let why = why("R-L3", facts.chain(decided), "");
    let row = |site: &str, account: Account, not_received| Reconciliation {
        lot: lot.id.clone(),
        site: site.to_owned(),
        source: Source::Derived,
        unit: stock.unit.clone(),
        account,
        not_received,
        unaccounted: account.unaccounted(),
        uncounted: stock.uncounted,
        is_overdrawn: stock.is_overdrawn,
        why: why.clone(),
    };
    let mut rows = vec![row("", stock.account, stock.not_received())];
    for (site, account) in &stock.accounts {
        rows.push(row(site, *account, Decimal::ZERO));
    }
    rows
}

/// A count of a lot. What a count does not say is nothing.
fn counted(
    lot: &LotId,
    count: &pb::StockCount,
    site: &str,
    source: Source,
    fact: &Seen,
) -> Option<Reconciliation> {
    if count.lot.as_ref().map(LotId::from).as_ref() != Some(lot) {
        return None;
    }
    let shipped = count.shipped.as_ref()?;
    let lines = [&count.used, &count.returned, &count.destroyed, &count.held];
    let is_of_unit =
        |line: &&Option<pb::Quantity>| line.as_ref().is_none_or(|line| line.unit == shipped.unit);
    let others = lines.iter().filter(|line| !is_of_unit(line)).count();
    let amount = |line: &Option<pb::Quantity>| {
        let value = line
            .as_ref()
            .and_then(|line| Decimal::parse(&line.value).ok());
        value.unwrap_or_default()
    };
    let account = Account {
        shipped: Decimal::parse(&shipped.value).unwrap_or_default(),
        used: amount(&count.used),
        returned: amount(&count.returned),
        destroyed: amount(&count.destroyed),
        held: amount(&count.held),
    };
    Some(Reconciliation {
        lot: lot.clone(),
        site: site.to_owned(),
        source,
        unit: shipped.unit.clone(),
        account,
        not_received: Decimal::ZERO,
        unaccounted: account.unaccounted().filter(|_| others == 0),
        uncounted: u32::try_from(others).unwrap_or(u32::MAX),
        is_overdrawn: false,
        why: why("R-L3", [fact], ""),
    })
}
