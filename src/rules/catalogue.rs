//! What is said once and holds for many, as a question sees it: products, consent versions and plans with the
//! sites where they are in force, signals, recalls, decisions, communications. A fold over its facts.

use std::{collections::BTreeMap, sync::Arc};

use chrono::NaiveDate;

use super::{
    fact::{Fact, LotId},
    question::{Question, Seen, seen},
};
use crate::{
    pb::{self, record::Kind},
    record::format::parse_civil_date,
};

/// The catalogue as a question sees it.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    /// The versions of each product, by product id, in order of version.
    pub products: BTreeMap<String, Vec<Product>>,
    /// The versions of each consent family, in order of ordinal.
    pub families: BTreeMap<String, Vec<ConsentVersion>>,
    /// The versions of each plan, in order of ordinal.
    pub plans: BTreeMap<String, Vec<PlanVersion>>,
    /// Everything else of the catalogue, in the order of the day, of the instant where it is known, and of the log.
    pub others: Vec<Seen>,
}

/// A version of a product.
#[derive(Debug, Clone)]
pub struct Product {
    /// What says so.
    pub said: Seen,
    /// The product.
    pub product: pb::ProductRegistered,
}

/// A version of a consent document: all its languages and audiences, and where it is in force.
#[derive(Debug, Clone)]
pub struct ConsentVersion {
    /// The family.
    pub family: String,
    /// The version.
    pub version: String,
    /// Its place among the versions of the family.
    pub ordinal: u32,
    /// Its documents, the first recorded first: one for each language and audience.
    pub documents: Vec<(Seen, pb::ConsentDocumentVersion)>,
    /// Where it is in force, by the site's GLN.
    pub activations: BTreeMap<String, Activation>,
}

/// A version of a follow-up plan, and where it is in force. Cheap to clone: every patient's period has its own.
#[derive(Debug, Clone)]
pub struct PlanVersion {
    /// What says so.
    pub said: Seen,
    /// The version.
    pub plan: Arc<pb::FollowUpPlanVersion>,
    /// Where it is in force, by the site's GLN.
    pub activations: Arc<BTreeMap<String, Activation>>,
}

/// From when to when a version is in force at a site.
#[derive(Debug, Clone)]
pub struct Activation {
    /// What says so: the newest activation of the version at the site.
    pub said: Seen,
    /// The first day.
    pub from: NaiveDate,
    /// The last day, if there is one.
    pub to: Option<NaiveDate>,
}

impl Activation {
    /// Whether it has taken effect by a day, whether or not it has ended since.
    pub fn has_begun(&self, on: NaiveDate) -> bool {
        self.from <= on
    }

    /// Whether it is in force on a day.
    pub fn is_in_force(&self, on: NaiveDate) -> bool {
        self.from <= on && self.to.is_none_or(|to| on <= to)
    }
}

impl ConsentVersion {
    /// The document that speaks for the version: scope, deadline and change class are the same in all.
    pub fn document(&self) -> &pb::ConsentDocumentVersion {
        static NONE: std::sync::LazyLock<pb::ConsentDocumentVersion> =
            std::sync::LazyLock::new(pb::ConsentDocumentVersion::default);
        self.documents
            .first()
            .map_or(&*NONE, |(_, document)| document)
    }
}

impl Catalogue {
    /// The catalogue as the question sees it, from all facts about it.
    pub fn of(facts: &[Arc<Fact>], question: &Question) -> Self {
        let mut catalogue = Self::default();
        let mut activations = Vec::new();
        for fact in seen(facts, question) {
            match fact.kind() {
                Some(Kind::ProductRegistered(product)) => catalogue.add_product(&fact, product),
                Some(Kind::ConsentDocumentVersion(document)) => {
                    catalogue.add_document(&fact, document);
                }
                Some(Kind::FollowUpPlanVersion(plan)) => catalogue.add_plan(&fact, plan),
                Some(Kind::ConsentVersionActivated(_) | Kind::PlanActivated(_)) => {
                    activations.push(fact);
                }
                _ => catalogue.others.push(fact),
            }
        }
        // An activation may be recorded before its version.
        for fact in activations {
            catalogue.activate(fact);
        }
        catalogue
    }

    /// The product as its newest version has it.
    pub fn product(&self, product_id: &str) -> Option<&Product> {
        self.products.get(product_id)?.last()
    }

    /// The product that a GTIN belongs to.
    pub fn product_of_gtin(&self, gtin: &str) -> Option<&Product> {
        let newest = self
            .products
            .values()
            .filter_map(|versions| versions.last());
        newest
            .into_iter()
            .find(|product| product.product.gtins.iter().any(|own| own == gtin))
    }

    /// The product of an administration: the one that it names, or else that of its lot.
    pub fn product_given(&self, administration: &pb::Administration) -> Option<&Product> {
        let named = self.product(&administration.product_id);
        named.or_else(|| {
            let lot = LotId::from(administration.lot.as_ref()?);
            self.product_of_gtin(&lot.gtin)
        })
    }

    /// A version of a consent family.
    pub fn consent_version(&self, key: &pb::ConsentVersionKey) -> Option<&ConsentVersion> {
        let versions = self.families.get(&key.family)?;
        versions.iter().find(|one| one.version == key.version)
    }

    /// A version of a plan.
    pub fn plan_version(&self, key: &pb::PlanVersionKey) -> Option<&PlanVersion> {
        let versions = self.plans.get(&key.plan_id)?;
        versions.iter().find(|one| one.plan.version == key.version)
    }

    /// The signals of an id: one, unless it was told again.
    pub fn signals(&self, signal_id: &str) -> impl Iterator<Item = &pb::RiskSignal> {
        self.others
            .iter()
            .filter_map(move |fact| match fact.kind() {
                Some(Kind::RiskSignal(signal)) if signal.signal_id == signal_id => Some(signal),
                _ => None,
            })
    }

    fn add_product(&mut self, said: &Seen, product: &pb::ProductRegistered) {
        let versions = self.products.entry(product.product_id.clone()).or_default();
        versions.push(Product {
            said: said.clone(),
            product: product.clone(),
        });
        // What was said of one version again stays in the order in which it was said.
        versions.sort_by_key(|one| one.product.version);
    }

    fn add_document(&mut self, said: &Seen, document: &pb::ConsentDocumentVersion) {
        let versions = self.families.entry(document.family.clone()).or_default();
        let known = versions
            .iter_mut()
            .find(|one| one.version == document.version);
        if let Some(version) = known {
            version.documents.push((said.clone(), document.clone()));
            return;
        }
        versions.push(ConsentVersion {
            family: document.family.clone(),
            version: document.version.clone(),
            ordinal: document.ordinal,
            documents: vec![(said.clone(), document.clone())],
            activations: BTreeMap::new(),
        });
        versions.sort_by_key(|one| one.ordinal);
    }

    fn add_plan(&mut self, said: &Seen, plan: &pb::FollowUpPlanVersion) {
        let versions = self.plans.entry(plan.plan_id.clone()).or_default();
        versions.push(PlanVersion {
            said: said.clone(),
            plan: Arc::new(plan.clone()),
            activations: Arc::default(),
        });
        versions.sort_by_key(|one| one.plan.ordinal);
    }

    /// An activation of a version that is not known is kept with what else is said.
    fn activate(&mut self, said: Seen) {
        let day = |text: &str| parse_civil_date(text).ok();
        match said.kind() {
            Some(Kind::ConsentVersionActivated(activated)) => {
                let key = activated.version.as_ref();
                let versions = key.and_then(|key| self.families.get_mut(&key.family));
                let version = versions.into_iter().flatten().find(|one| {
                    activated
                        .version
                        .as_ref()
                        .is_some_and(|key| key.version == one.version)
                });
                if let (Some(version), Some(from)) = (version, day(&activated.effective_from)) {
                    let (site, to) = (activated.site.clone(), day(&activated.effective_to));
                    version
                        .activations
                        .insert(site, Activation { said, from, to });
                } else {
                    self.others.push(said);
                }
            }
            Some(Kind::PlanActivated(activated)) => {
                let key = activated.plan.as_ref();
                let versions = key.and_then(|key| self.plans.get_mut(&key.plan_id));
                let version = versions.into_iter().flatten().find(|one| {
                    activated
                        .plan
                        .as_ref()
                        .is_some_and(|key| key.version == one.plan.version)
                });
                if let (Some(version), Some(from)) = (version, day(&activated.effective_from)) {
                    let (site, to) = (activated.site.clone(), day(&activated.effective_to));
                    let activations = Arc::make_mut(&mut version.activations);
                    activations.insert(site, Activation { said, from, to });
                } else {
                    self.others.push(said);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_last_of_one_version_of_a_product_holds_whenever_it_arrived() {
        let said = |index, day, version, name: &str| {
            let product = pb::ProductRegistered {
                product_id: "PRODUCT".to_owned(),
                version,
                name: name.to_owned(),
                ..pb::ProductRegistered::default()
            };
            Arc::new(Fact::told(index, day, "", Kind::ProductRegistered(product)))
        };
        let check = |first: Arc<Fact>, second: Arc<Fact>| {
            let catalogue = Catalogue::of(&[first, second], &Question::EVERYTHING);
            assert_eq!(catalogue.product("PRODUCT").unwrap().product.name, "new");
        };
        let (march, may) = ("2026-03-01", "2026-05-01");
        check(said(0, march, 1, "old"), said(1, may, 1, "new"));
        check(said(0, may, 1, "new"), said(1, march, 1, "old"));
        // The version comes before the day.
        check(said(0, march, 2, "new"), said(1, may, 1, "old"));
    }
}
