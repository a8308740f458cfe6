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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pb::{CohortScope, ProductClass},
        rules::follow_up::story::{GTIN, OTHER_SITE, SITE, Story, day, months},
    };

    #[test]
    #[expect(
        clippy::too_many_lines,
        reason = "one table of conditions, each with its yes and its no"
    )]
    fn every_condition_of_a_scope_must_hold_by_the_day() {
        let mut story = Story::of_product(&[ProductClass::Aav]);
        story.plan("1", "2015-01-01", months(60));
        story.plan("2", "2021-01-01", months(60));
        story.patient("X1", "2020-01-10");
        let texts = |texts: &[&str]| texts.iter().map(|one| (*one).to_owned()).collect();
        let given = |all_treated| CohortScope {
            all_treated,
            ..CohortScope::default()
        };
        let products = |ids: &[&str]| CohortScope {
            product_ids: texts(ids),
            ..CohortScope::default()
        };
        let classes = |of: &[ProductClass]| CohortScope {
            product_classes: of.iter().map(|class| i32::from(*class)).collect(),
            ..CohortScope::default()
        };
        let lots = |lot: &str| CohortScope {
            descendants_of: vec![pb::LotKey {
                gtin: GTIN.to_owned(),
                lot: lot.to_owned(),
                ..pb::LotKey::default()
            }],
            ..CohortScope::default()
        };
        let sites = |glns: &[&str]| CohortScope {
            sites: texts(glns),
            ..CohortScope::default()
        };
        let enrolled = |before: &str| CohortScope {
            enrolled_before: before.to_owned(),
            ..CohortScope::default()
        };
        let follows = |plan_id: &str, version: &str| CohortScope {
            plan_versions: vec![pb::PlanVersionKey {
                plan_id: plan_id.to_owned(),
                version: version.to_owned(),
            }],
            ..CohortScope::default()
        };
        let patients = |ids: &[&str]| CohortScope {
            patients: texts(ids),
            ..CohortScope::default()
        };
        let (before, given_on) = ("2020-01-09", "2020-01-10");
        let both = CohortScope {
            sites: texts(&[SITE]),
            ..patients(&["X2"])
        };
        for (scope, on, expected) in [
            (given(false), before, true),
            (given(true), before, false),
            (given(true), given_on, true),
            (products(&["PRODUCT"]), before, false),
            (products(&["PRODUCT"]), given_on, true),
            (products(&["OTHER", "PRODUCT"]), given_on, true),
            (products(&["OTHER"]), given_on, false),
            (classes(&[ProductClass::Aav]), before, false),
            (classes(&[ProductClass::Aav]), given_on, true),
            (classes(&[ProductClass::Lenti]), given_on, false),
            (
                classes(&[ProductClass::Lenti, ProductClass::Aav]),
                given_on,
                true,
            ),
            (lots("LOT-X1"), before, false),
            (lots("LOT-X1"), given_on, true),
            (lots("LOT-X2"), given_on, false),
            (sites(&[SITE]), given_on, true),
            (sites(&[OTHER_SITE]), given_on, false),
            (sites(&[OTHER_SITE, SITE]), given_on, true),
            (enrolled("2020-01-09"), given_on, false),
            (enrolled("2020-01-10"), given_on, false),
            (enrolled("2020-01-11"), given_on, true),
            (follows("PLAN", "1"), "2020-12-31", true),
            (follows("PLAN", "2"), "2020-12-31", false),
            (follows("PLAN", "1"), "2021-01-01", false),
            (follows("PLAN", "2"), "2021-01-01", true),
            (follows("OTHER", "2"), "2021-01-01", false),
            (patients(&["X1"]), given_on, true),
            (patients(&["X2"]), given_on, false),
            (both, given_on, false),
        ] {
            let (patient, catalogue) = story.asked("X1", "2022-01-01");
            let have = concerns(Some(&scope), &patient, &catalogue, day(on));
            assert_eq!(have, expected, "{on} {scope:?}");
        }
        let (patient, catalogue) = story.asked("X1", "2022-01-01");
        assert!(concerns(None, &patient, &catalogue, day(before)));
    }

    /// R-K5: through the steps that made it, whatever else these made, and through no others.
    #[test]
    fn a_cohort_by_lot_holds_who_received_what_descends_from_it() {
        let key = |lot: &str| pb::LotKey {
            gtin: GTIN.to_owned(),
            lot: lot.to_owned(),
            ..pb::LotKey::default()
        };
        let items = |lots: &[&str]| -> Vec<pb::Item> {
            let item = |lot: &&str| pb::Item {
                what: Some(pb::item::What::Lot(key(lot))),
                ..pb::Item::default()
            };
            lots.iter().map(item).collect()
        };
        let mut story = Story::of_product(&[ProductClass::Aav]);
        for (inputs, outputs) in [
            (&["ROOT"][..], &["MIDDLE", "ASIDE"][..]),
            (&["MIDDLE", "SECOND"], &["ELSE", "LOT-X1"]),
            (&["STRANGER"], &["ELSE"]),
            // Labels that go round lead nowhere new.
            (&["LOT-X1"], &["MIDDLE"]),
        ] {
            let step = pb::Transformation {
                inputs: items(inputs),
                outputs: items(outputs),
                ..pb::Transformation::default()
            };
            story.tell("2019-01-01", "X1", Kind::Transformation(step));
        }
        story.patient("X1", "2020-01-10");
        let (patient, catalogue) = story.asked("X1", "2022-01-01");
        for (lot, expected) in [
            ("LOT-X1", true),
            ("MIDDLE", true),
            ("SECOND", true),
            ("ROOT", true),
            ("ASIDE", false),
            ("ELSE", false),
            ("STRANGER", false),
        ] {
            let scope = CohortScope {
                descendants_of: vec![key(lot)],
                ..CohortScope::default()
            };
            for (on, is_given) in [("2020-01-09", false), ("2020-01-10", true)] {
                let have = concerns(Some(&scope), &patient, &catalogue, day(on));
                assert_eq!(have, expected && is_given, "{lot} {on}");
            }
        }
    }
}
