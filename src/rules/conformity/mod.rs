//! How a product stands to the guideline: each of its obligations, A-01 to A-53, with what was looked at in the
//! log and what was found wanting. Nothing is met by default: where nothing could be looked at, the row says what
//! the log would have to hold.
//!
//! | File | What it is for |
//! |---|---|
//! | `guideline` | the obligations, and for each what is checked |
//! | `tally` | what was looked at for one obligation, and the verdict that follows |
//! | `product` | what the product, its plans, reports and communications show |
//! | `documents` | what the consent versions and the signals show |
//! | `patient` | what one patient's follow-up shows |
//! | `results` | what one patient's samples, results and administrations show |
//!
//! Patients are added one by one and forgotten, so that a report needs no more memory for more of them.

mod documents;
pub mod guideline;
mod patient;
mod product;
mod results;
mod tally;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;

use self::{guideline::GUIDELINE, tally::Tally};
use super::{
    catalogue::{Catalogue, PlanVersion, Product},
    consent::signatures::Signatures,
    patient::Patient,
    template,
};
use crate::pb::{self, ProductClass, RiskFactor, RiskState};
pub use tally::{EXCEPTIONS_MAX, Exception, Of, Verdict};

/// How a product stands to one obligation of the guideline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The obligation: A-01.
    pub id: &'static str,
    /// The section of the guideline.
    pub section: &'static str,
    /// What it asks for.
    pub asks: &'static str,
    /// What was checked.
    pub checked: &'static str,
    /// How the product stands.
    pub verdict: Verdict,
    /// Why, where the exceptions do not say: what the log lacks, or why it does not apply.
    pub because: &'static str,
    /// What was counted, in the order in which it is told.
    pub counts: Vec<(&'static str, u64)>,
    /// What does not conform; at most [`EXCEPTIONS_MAX`] of them.
    pub exceptions: Vec<Exception>,
    /// How many there are.
    pub exceptions_all: u64,
    /// Entries that were looked at: index and record id, in the order of the log; the first of them.
    pub evidence: Vec<(u64, String)>,
}

/// A report that is being made.
#[derive(Debug)]
pub struct Conformity<'a> {
    catalogue: &'a Catalogue,
    product: &'a Product,
    on: NaiveDate,
    traits: Traits,
    tallies: Vec<Tally>,
    patients: u64,
    /// Safety cases that are serious, and the reports that name a case.
    cases: std::collections::BTreeSet<String>,
    /// What the follow-up serves: safety, persistence, efficacy.
    purposes: [u64; 3],
    /// The sites that follow patients of the product, with the plans that these follow.
    followed_at: std::collections::BTreeSet<(String, String)>,
}

/// What of a product decides which obligations apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or false of a product by itself"
)]
struct Traits {
    /// It integrates: the period is a floor.
    integrating: bool,
    /// Genes are edited.
    edited: bool,
    /// It is made with a retrovirus or a lentivirus.
    retroviral: bool,
    /// It may persist as an infection or become latent.
    latent: bool,
    /// It is an adeno-associated virus.
    aav: bool,
    /// The guideline names a period for it.
    has_period: bool,
    /// It is on the market.
    marketed: bool,
}

impl Traits {
    fn of(product: &pb::ProductRegistered) -> Self {
        let classes: Vec<ProductClass> = product.product_classes().collect();
        let any = |of: &[ProductClass]| classes.iter().any(|class| of.contains(class));
        let retroviral = any(&[
            ProductClass::Lenti,
            ProductClass::Gammaretro,
            ProductClass::OtherRetro,
        ]);
        let present = |factor| risk(product, factor) == RiskState::Present;
        let latent = any(&[ProductClass::Herpes, ProductClass::Bacterial])
            || present(RiskFactor::LatencyReactivation)
            || present(RiskFactor::PersistentInfection);
        let integrating =
            retroviral || any(&[ProductClass::Transposon]) || product.integrating == Some(true);
        Self {
            integrating,
            edited: any(&[
                ProductClass::GeneEditedInVivo,
                ProductClass::GeneEditedExVivo,
            ]),
            retroviral,
            latent,
            aav: any(&[ProductClass::Aav]),
            has_period: integrating || latent || template::follow_up(&classes).is_some(),
            marketed: product.phase() == pb::ProductPhase::PostMarketing,
        }
    }

    /// Whether the rules on clones and integration sites hold.
    const fn clonal(self) -> bool {
        self.integrating || self.edited
    }
}

/// Whether a product has a risk factor; unknown where it does not say.
fn risk(product: &pb::ProductRegistered, factor: RiskFactor) -> RiskState {
    let mut profile = product.risk_profile.iter();
    let said = profile.find(|risk| risk.factor() == factor);
    said.map_or(RiskState::Unknown, pb::RiskFactorState::state)
}

impl<'a> Conformity<'a> {
    /// A report on a product, as of a day; none if the catalogue does not know the product.
    pub fn of(catalogue: &'a Catalogue, product_id: &str, on: NaiveDate) -> Option<Self> {
        let product = catalogue.product(product_id)?;
        let mut report = Self {
            catalogue,
            product,
            on,
            traits: Traits::of(&product.product),
            tallies: GUIDELINE.iter().map(|_| Tally::default()).collect(),
            patients: 0,
            cases: std::collections::BTreeSet::new(),
            purposes: [0; 3],
            followed_at: std::collections::BTreeSet::new(),
        };
        report.what_applies();
        report.see_product();
        report.see_documents();
        Some(report)
    }

    /// Adds a patient, if the patient received the product. Whether that is so.
    pub fn add(&mut self, patient: &Patient, signatures: &Signatures) -> bool {
        let product_id = self.product.product.product_id.as_str();
        let mut given = patient.given_of(self.catalogue, product_id);
        if !given.any(|(fact, _)| fact.on <= self.on) {
            return false;
        }
        self.patients += 1;
        self.see_patient(patient, signatures);
        self.see_results(patient);
        true
    }

    /// How many patients received the product.
    pub const fn patients(&self) -> u64 {
        self.patients
    }

    /// The rows, in the order of the guideline.
    pub fn rows(mut self) -> Vec<Row> {
        self.conclude();
        let rows = GUIDELINE.iter().zip(self.tallies);
        rows.map(|(obligation, tally)| tally.row(obligation))
            .collect()
    }

    /// The tally of an obligation, by its number in the guideline.
    fn tally(&mut self, number: usize) -> &mut Tally {
        #[expect(
            clippy::indexing_slicing,
            reason = "there is a tally for each of the 53 obligations, and numbers are written out"
        )]
        &mut self.tallies[number - 1]
    }

    /// What does not apply to a product like this.
    fn what_applies(&mut self) {
        let Traits {
            integrating,
            edited,
            retroviral,
            latent,
            aav,
            has_period,
            marketed,
        } = self.traits;
        let clonal = self.traits.clonal();
        let systemic = self.product.product.delivery() == pb::Delivery::Systemic;
        let phase = self.product.product.phase();
        let near_market = marketed || phase == pb::ProductPhase::Nda;
        let is_shed = risk(&self.product.product, RiskFactor::Shedding);
        for (number, applies, because) in [
            (7, is_shed != RiskState::Absent, "the product is not shed"),
            (12, integrating, "the product does not integrate"),
            (
                13,
                latent,
                "the product neither persists as an infection nor becomes latent",
            ),
            (14, edited, "the product edits no genes"),
            (15, aav, "the product is no adeno-associated virus"),
            (
                16,
                !has_period,
                "the guideline names a period for the product's class",
            ),
            (38, clonal, "the product neither integrates nor edits genes"),
            (39, clonal, "the product neither integrates nor edits genes"),
            (41, clonal, "the product neither integrates nor edits genes"),
            (42, clonal, "the product neither integrates nor edits genes"),
            (43, clonal, "the product neither integrates nor edits genes"),
            (44, clonal, "the product neither integrates nor edits genes"),
            (
                45,
                retroviral,
                "the product is not made with a retrovirus or a lentivirus",
            ),
            (46, edited, "the product edits no genes"),
            (
                47,
                edited && systemic,
                "the product does not edit genes after systemic delivery",
            ),
            (49, marketed, "the product is not on the market"),
            (
                53,
                near_market,
                "the product is neither on the market nor applied for",
            ),
        ] {
            if !applies {
                self.tally(number).not_applicable(because);
            }
        }
    }

    /// The plans that are for the product: those that name it, or else those for every product; the versions of
    /// each in their order.
    fn plans(&self) -> Vec<&'a [PlanVersion]> {
        let product_id = &self.product.product.product_id;
        let catalogue: &'a Catalogue = self.catalogue;
        let all = || catalogue.plans.values().map(Vec::as_slice);
        let names = |versions: &&[PlanVersion]| {
            let mut versions = versions.iter();
            versions.any(|one| one.plan.product_ids.contains(product_id))
        };
        let own: Vec<_> = all().filter(names).collect();
        if !own.is_empty() {
            return own;
        }
        let is_for_all =
            |versions: &&[PlanVersion]| versions.iter().all(|one| one.plan.product_ids.is_empty());
        all().filter(is_for_all).collect()
    }
}
