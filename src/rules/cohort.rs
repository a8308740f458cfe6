//! Whom a consent version, a plan version or a decision concerns: a patient against a cohort scope. Every
//! condition that is set must hold; of the values of one condition, any. Does not know what is asked of the cohort.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{
    catalogue::{Catalogue, Product},
    fact::{LotId, Material, material},
    patient::Patient,
};
use crate::{
    pb::{self, record::Kind},
    record::format::parse_civil_date,
};

/// Whether a scope holds a patient on a day. No scope holds everybody.
pub fn concerns(
    scope: Option<&pb::CohortScope>,
    patient: &Patient,
    catalogue: &Catalogue,
    on: NaiveDate,
) -> bool {
    let Some(scope) = scope else { return true };
    let pb::CohortScope {
        all_treated,
        product_ids,
        product_classes: _,
        descendants_of,
        sites,
        enrolled_before,
        plan_versions,
        patients,
    } = scope;
    let treated = patient.given().any(|(fact, _)| fact.on <= on);
    let products: Vec<&Product> = products_given(patient, catalogue, on);
    let of_product = || {
        let mut given = products.iter();
        given.any(|product| product_ids.contains(&product.product.product_id))
    };
    let of_class = || {
        let mut classes = scope.product_classes();
        let has = |class| {
            let mut given = products.iter();
            given.any(|product| product.product.product_classes().any(|own| own == class))
        };
        classes.any(has)
    };
    let enrolled = || {
        let before = parse_civil_date(enrolled_before).ok();
        let first = patient.enrolments().next();
        first
            .zip(before)
            .is_some_and(|((fact, _), before)| fact.on < before)
    };
    let follows = || {
        let site = patient.site(on);
        let mut keys = plan_versions.iter();
        keys.any(|key| newest_begun(catalogue, &key.plan_id, site, on) == Some(&key.version))
    };
    (!all_treated || treated)
        && (product_ids.is_empty() || of_product())
        && (scope.product_classes.is_empty() || of_class())
        && (descendants_of.is_empty() || descends(patient, descendants_of, on))
        && (sites.is_empty() || sites.iter().any(|site| site == patient.site(on)))
        && (enrolled_before.is_empty() || enrolled())
        && (plan_versions.is_empty() || follows())
        && (patients.is_empty() || patients.contains(&patient.id))
}

fn products_given<'a>(
    patient: &Patient,
    catalogue: &'a Catalogue,
    on: NaiveDate,
) -> Vec<&'a Product> {
    let given = patient.given().filter(|(fact, _)| fact.on <= on);
    given
        .filter_map(|(_, administration)| catalogue.product_given(administration))
        .collect()
}

/// The newest version of a plan that has taken effect at a site, whomever it concerns.
fn newest_begun<'a>(
    catalogue: &'a Catalogue,
    plan_id: &str,
    site: &str,
    on: NaiveDate,
) -> Option<&'a String> {
    let versions = catalogue.plans.get(plan_id)?;
    let begun = versions.iter().rev().find(|one| {
        let at_site = one.activations.get(site);
        at_site.is_some_and(|activation| activation.has_begun(on))
    });
    begun.map(|one| &one.plan.version)
}

/// Whether a lot that the patient received is one of these or was made from one of them (R-K5).
fn descends(patient: &Patient, from: &[pb::LotKey], on: NaiveDate) -> bool {
    let wanted: BTreeSet<LotId> = from.iter().map(LotId::from).collect();
    let given = patient.given().filter(|(fact, _)| fact.on <= on);
    let mut open: Vec<LotId> = given
        .filter_map(|(_, administration)| administration.lot.as_ref().map(LotId::from))
        .collect();
    let mut asked: BTreeSet<LotId> = open.iter().cloned().collect();
    while let Some(lot) = open.pop() {
        if wanted.contains(&lot) {
            return true;
        }
        for fact in &patient.facts {
            let Some(Kind::Transformation(step)) = fact.kind() else {
                continue;
            };
            let makes = Material::Lot(lot.clone());
            if step
                .outputs
                .iter()
                .filter_map(material)
                .all(|out| out != makes)
            {
                continue;
            }
            for input in step.inputs.iter().filter_map(material) {
                if let Material::Lot(input) = input
                    && asked.insert(input.clone())
                {
                    open.push(input);
                }
            }
        }
    }
    false
}
