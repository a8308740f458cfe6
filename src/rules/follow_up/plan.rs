//! The follow-up plan of a patient: which version is in force (R-E2), and its numbers, each with where it comes
//! from. A number that a version leaves out is as in the version before, or else as the guideline has it. Does not
//! know what is due.

use std::sync::Arc;

use chrono::NaiveDate;

use crate::{
    pb::{self, Anchor},
    rules::{
        catalogue::{Catalogue, PlanVersion},
        cohort::concerns,
        patient::Patient,
    },
    tlog::Index,
};

/// Where a number comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The guideline has it, by this rule.
    Guideline(&'static str),
    /// A version of a plan says so.
    Plan(Arc<pb::PlanVersionKey>),
    /// The product's registration says so.
    Product(String),
    /// A decision says so, in this entry.
    Decision(Index),
}

/// A number of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<T> {
    /// The number.
    pub value: T,
    /// Where it comes from.
    pub source: Source,
}

/// The numbers of a plan. Those of the guideline stand unless a version says otherwise; of the others there may
/// be none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    /// From which administration everything is reckoned.
    pub anchor: Parameter<Anchor>,
    /// How long a patient is followed, in months.
    pub follow_up_months: Option<Parameter<u32>>,
    /// Whether the end is open until data show no risk.
    pub until_no_risk: Option<Parameter<bool>>,
    /// How long the intensive period is, in months.
    pub intensive_months: Parameter<u32>,
    /// Between two visits of the intensive period, in months.
    pub visit_interval_months: Option<Parameter<u32>>,
    /// How far a visit may be from its day, in days.
    pub visit_window_days: Parameter<u32>,
    /// The longest between two contacts after the intensive period, in months.
    pub contact_interval_months: Parameter<u32>,
    /// Between two persistence samples in the first years, in months.
    pub sample_interval_months_first_years: Parameter<u32>,
    /// How long the first years are, in months.
    pub sample_first_years_months: Parameter<u32>,
    /// Between two persistence samples after the first years, in months.
    pub sample_interval_months_after: Parameter<u32>,
    /// From the report of a dominant clone to its confirmation, in months.
    pub clone_retest_months: Parameter<u32>,
    /// Between two samples after a clonal expansion, in months.
    pub intensified_interval_months: Parameter<u32>,
    /// How many results without vector end the intensified sampling.
    pub undetectable_results: Parameter<u32>,
    /// The share of vector-positive cells that is expected at most, in per cent.
    pub expected_max_percent: Option<Parameter<String>>,
    /// From the report of a suspected replication-competent virus to its test, in days.
    pub rcl_test_days: Parameter<u32>,
    /// From a signal that changes the risk to what is done about it, in days.
    pub signal_action_days: Option<Parameter<u32>>,
}

impl Default for Parameters {
    /// The guideline's numbers, and those that the rules name as the default.
    fn default() -> Self {
        const fn by<T>(rule: &'static str, value: T) -> Parameter<T> {
            Parameter {
                value,
                source: Source::Guideline(rule),
            }
        }
        Self {
            anchor: by("R-D3", Anchor::LastAdministration),
            follow_up_months: None,
            until_no_risk: None,
            intensive_months: by("R-V2", 60),
            visit_interval_months: None,
            visit_window_days: by("R-V1", 0),
            contact_interval_months: by("R-V2", 12),
            sample_interval_months_first_years: by("R-S1", 6),
            sample_first_years_months: by("R-S1", 60),
            sample_interval_months_after: by("R-S1", 12),
            clone_retest_months: by("R-C1", 3),
            intensified_interval_months: by("R-C2", 3),
            undetectable_results: by("R-C2", 1),
            expected_max_percent: None,
            rcl_test_days: by("R-R1", 30),
            signal_action_days: None,
        }
    }
}

impl Parameters {
    /// The numbers by name, as the fields of `PlanParameters` are called; not the length of the follow-up, which
    /// is a patient's own.
    pub fn numbers(&self) -> Vec<(&'static str, &Parameter<u32>)> {
        let mut numbers = vec![
            ("intensive_months", &self.intensive_months),
            ("visit_window_days", &self.visit_window_days),
            ("contact_interval_months", &self.contact_interval_months),
            (
                "sample_interval_months_first_years",
                &self.sample_interval_months_first_years,
            ),
            ("sample_first_years_months", &self.sample_first_years_months),
            (
                "sample_interval_months_after",
                &self.sample_interval_months_after,
            ),
            ("clone_retest_months", &self.clone_retest_months),
            (
                "intensified_interval_months",
                &self.intensified_interval_months,
            ),
            ("undetectable_results", &self.undetectable_results),
            ("rcl_test_days", &self.rcl_test_days),
        ];
        let may = [
            ("visit_interval_months", &self.visit_interval_months),
            ("signal_action_days", &self.signal_action_days),
        ];
        let said = may.into_iter();
        numbers.extend(said.filter_map(|(name, number)| Some((name, number.as_ref()?))));
        numbers
    }

    /// What a version says takes the place of what was said before.
    fn take(&mut self, version: &PlanVersion) {
        let Some(said) = &version.plan.parameters else {
            return;
        };
        let source = Source::Plan(Arc::new(key(version)));
        let new = |value| Parameter {
            value,
            source: source.clone(),
        };
        let given = |parameter: &mut Parameter<u32>, value: Option<u32>| {
            if let Some(value) = value {
                *parameter = new(value);
            }
        };
        let may = |parameter: &mut Option<Parameter<u32>>, value: Option<u32>| {
            if let Some(value) = value {
                *parameter = Some(new(value));
            }
        };
        if said.anchor() != Anchor::Unspecified {
            self.anchor = Parameter {
                value: said.anchor(),
                source: source.clone(),
            };
        }
        may(&mut self.follow_up_months, said.follow_up_months);
        if let Some(value) = said.until_no_risk {
            self.until_no_risk = Some(Parameter {
                value,
                source: source.clone(),
            });
        }
        given(&mut self.intensive_months, said.intensive_months);
        may(&mut self.visit_interval_months, said.visit_interval_months);
        given(&mut self.visit_window_days, said.visit_window_days);
        given(
            &mut self.contact_interval_months,
            said.contact_interval_months,
        );
        given(
            &mut self.sample_interval_months_first_years,
            said.sample_interval_months_first_years,
        );
        given(
            &mut self.sample_first_years_months,
            said.sample_first_years_months,
        );
        given(
            &mut self.sample_interval_months_after,
            said.sample_interval_months_after,
        );
        given(&mut self.clone_retest_months, said.clone_retest_months);
        given(
            &mut self.intensified_interval_months,
            said.intensified_interval_months,
        );
        given(&mut self.undetectable_results, said.undetectable_results);
        if !said.expected_max_percent.is_empty() {
            self.expected_max_percent = Some(Parameter {
                value: said.expected_max_percent.clone(),
                source: source.clone(),
            });
        }
        given(&mut self.rcl_test_days, said.rcl_test_days);
        may(&mut self.signal_action_days, said.signal_action_days);
    }
}

/// A plan as it is in force for a patient.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The version.
    pub version: pb::PlanVersionKey,
    /// Its number among the versions.
    pub ordinal: u32,
    /// What says so, and the versions that it stands on, the oldest first.
    pub versions: Vec<PlanVersion>,
    /// Its numbers.
    pub parameters: Parameters,
    /// What is planned on which day.
    pub slots: Vec<pb::PlannedSlot>,
    /// The tissues in which off-target activity is looked for.
    pub tissues: Vec<pb::Code>,
}

/// The key of a version.
pub fn key(version: &PlanVersion) -> pb::PlanVersionKey {
    pb::PlanVersionKey {
        plan_id: version.plan.plan_id.clone(),
        version: version.plan.version.clone(),
    }
}

/// The plan that a patient follows for a product, whichever of its versions are in force: the one that the
/// patient was last enrolled in, or else the product's own, or else one that is for every product.
pub fn followed<'a>(
    patient: &Patient,
    catalogue: &'a Catalogue,
    product_id: &str,
    on: NaiveDate,
) -> Option<&'a [PlanVersion]> {
    let enrolled: Vec<&str> = patient
        .enrolments()
        .filter(|(fact, _)| fact.on <= on)
        .map(|(_, enrolment)| enrolment.plan_id.as_str())
        .collect();
    let of_enrolment = enrolled.iter().rev().filter_map(|plan| {
        let versions = catalogue.plans.get(*plan)?;
        (names(versions, product_id) || is_for_all(versions)).then_some(versions)
    });
    let own = catalogue.plans.values();
    let own = own.filter(|versions| names(versions, product_id));
    let all = catalogue.plans.values();
    let all = all.filter(|versions| is_for_all(versions));
    of_enrolment.chain(own).chain(all).next().map(Vec::as_slice)
}

fn names(versions: &[PlanVersion], product_id: &str) -> bool {
    let mut named = versions.iter().flat_map(|one| &one.plan.product_ids);
    named.any(|named| named == product_id)
}

fn is_for_all(versions: &[PlanVersion]) -> bool {
    versions.iter().all(|one| one.plan.product_ids.is_empty())
}

/// The versions of the plan that a patient follows for a product, and which of them is in force on a day.
fn newest_in_force<'a>(
    patient: &Patient,
    catalogue: &'a Catalogue,
    product_id: &str,
    on: NaiveDate,
) -> Option<(&'a [PlanVersion], usize)> {
    let versions = followed(patient, catalogue, product_id, on)?;
    let site = patient.site(on);
    let mut begun = versions.iter().enumerate().rev().filter(|(_, one)| {
        let at_site = one.activations.get(site);
        at_site.is_some_and(|activation| activation.has_begun(on))
            && concerns(one.plan.scope.as_ref(), patient, catalogue, on)
    });
    let newest = begun.clone().next()?;
    // A version whose days are over gives way to an older one that is still in force; never to nothing.
    let (at, _) = begun
        .find(|(_, one)| {
            let at_site = one.activations.get(site);
            at_site.is_some_and(|activation| activation.is_in_force(on))
        })
        .unwrap_or(newest);
    Some((versions, at))
}

/// The versions up to one that concern a patient.
fn concerning<'a>(
    versions: &'a [PlanVersion],
    at: usize,
    patient: &Patient,
    catalogue: &Catalogue,
    on: NaiveDate,
) -> impl Iterator<Item = &'a PlanVersion> {
    let up_to = versions.iter().take(at + 1);
    up_to.filter(move |one| concerns(one.plan.scope.as_ref(), patient, catalogue, on))
}

impl Plan {
    /// The plan that is in force for a patient and a product on a day (R-E2, A-35): the latest version that
    /// concerns the patient and is activated at the site.
    pub fn in_force(
        patient: &Patient,
        catalogue: &Catalogue,
        product_id: &str,
        on: NaiveDate,
    ) -> Option<Self> {
        let (versions, at) = newest_in_force(patient, catalogue, product_id, on)?;
        Self::up_to(versions, at, patient, catalogue, on)
    }

    /// The numbers of the plan that is in force, as [`Plan::in_force`] has them.
    pub(super) fn parameters_in_force(
        patient: &Patient,
        catalogue: &Catalogue,
        product_id: &str,
        on: NaiveDate,
    ) -> Option<Parameters> {
        let (versions, at) = newest_in_force(patient, catalogue, product_id, on)?;
        let mut parameters = Parameters::default();
        for version in concerning(versions, at, patient, catalogue, on) {
            parameters.take(version);
        }
        Some(parameters)
    }

    /// The plan as a version leaves it: what that version says, and what it takes over from those before it
    /// that concern the patient.
    pub(super) fn up_to(
        versions: &[PlanVersion],
        at: usize,
        patient: &Patient,
        catalogue: &Catalogue,
        on: NaiveDate,
    ) -> Option<Self> {
        let top = versions.get(at)?;
        let mut plan = Self {
            version: key(top),
            ordinal: top.plan.ordinal,
            versions: Vec::new(),
            parameters: Parameters::default(),
            slots: Vec::new(),
            tissues: Vec::new(),
        };
        for version in concerning(versions, at, patient, catalogue, on) {
            plan.parameters.take(version);
            if !version.plan.slots.is_empty() {
                plan.slots.clone_from(&version.plan.slots);
            }
            if !version.plan.tissues.is_empty() {
                plan.tissues.clone_from(&version.plan.tissues);
            }
            plan.versions.push(version.clone());
        }
        Some(plan)
    }

    /// What says that this version is in force.
    pub fn said(&self) -> Option<&PlanVersion> {
        self.versions.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pb::record::Kind,
        rules::follow_up::story::{Story, day},
    };

    #[test]
    fn a_version_takes_over_the_slots_and_tissues_that_it_does_not_replace() {
        let mut story = Story::of_product(&[pb::ProductClass::Aav]);
        let version = |version: &str, slot: &str, tissue: &str| pb::FollowUpPlanVersion {
            version: version.to_owned(),
            slots: (!slot.is_empty())
                .then(|| pb::PlannedSlot {
                    slot: slot.to_owned(),
                    ..pb::PlannedSlot::default()
                })
                .into_iter()
                .collect(),
            tissues: (!tissue.is_empty())
                .then(|| pb::Code {
                    code: tissue.to_owned(),
                    ..pb::Code::default()
                })
                .into_iter()
                .collect(),
            ..pb::FollowUpPlanVersion::default()
        };
        for (year, number, slot, tissue) in [
            ("2010-01-01", "1", "A", "T"),
            ("2011-01-01", "2", "B", ""),
            ("2012-01-01", "3", "", "U"),
        ] {
            story.plan_version(year, version(number, slot, tissue));
        }
        story.patient("X1", "2010-06-01");
        for (on, number, slot, tissue) in [
            ("2010-12-31", "1", "A", "T"),
            ("2011-12-31", "2", "B", "T"),
            ("2012-12-31", "3", "B", "U"),
        ] {
            let (patient, catalogue) = story.asked("X1", on);
            let plan = Plan::in_force(&patient, &catalogue, "PRODUCT", day(on)).unwrap();
            assert_eq!(plan.version.version, number);
            let slots: Vec<&str> = plan.slots.iter().map(|one| one.slot.as_str()).collect();
            let tissues: Vec<&str> = plan.tissues.iter().map(|one| one.code.as_str()).collect();
            assert_eq!((slots, tissues), (vec![slot], vec![tissue]), "{on}");
        }
    }

    #[test]
    fn who_is_enrolled_in_another_plan_follows_it_from_that_day() {
        let mut story = Story::of_product(&[pb::ProductClass::Aav]);
        for plan_id in ["FIRST", "SECOND"] {
            let plan = pb::FollowUpPlanVersion {
                plan_id: plan_id.to_owned(),
                version: "1".to_owned(),
                ordinal: 1,
                ..pb::FollowUpPlanVersion::default()
            };
            story.tell("2010-01-01", "", Kind::FollowUpPlanVersion(plan));
        }
        story.given("X1", "2010-06-01");
        for (on, plan_id) in [("2010-07-01", "SECOND"), ("2011-07-01", "FIRST")] {
            let enrolled = pb::FollowUpEnrolment {
                plan_id: plan_id.to_owned(),
                ..pb::FollowUpEnrolment::default()
            };
            story.tell(on, "X1", Kind::FollowUpEnrolment(enrolled));
        }
        let (patient, catalogue) = story.asked("X1", "2012-01-01");
        for (on, plan_id) in [
            ("2010-06-30", "FIRST"),
            ("2010-07-01", "SECOND"),
            ("2011-06-30", "SECOND"),
            ("2011-07-01", "FIRST"),
        ] {
            let versions = followed(&patient, &catalogue, "PRODUCT", day(on)).unwrap();
            assert_eq!(versions[0].plan.plan_id, plan_id, "{on}");
        }
    }

    /// R-E2: the newest version that has begun at the site and concerns the patient.
    #[test]
    fn a_version_that_concerns_others_is_not_followed() {
        for (patients, number) in [(vec!["X1"], "2"), (vec!["X2"], "1"), (vec![], "2")] {
            let mut story = Story::of_product(&[pb::ProductClass::Aav]);
            story.plan("1", "2010-01-01", pb::PlanParameters::default());
            let plan = pb::FollowUpPlanVersion {
                version: "2".to_owned(),
                scope: Some(pb::CohortScope {
                    patients: patients.iter().map(|id| (*id).to_owned()).collect(),
                    ..pb::CohortScope::default()
                }),
                ..pb::FollowUpPlanVersion::default()
            };
            story.plan_version("2011-01-01", plan);
            story.patient("X1", "2010-06-01");
            for (on, number) in [("2010-12-31", "1"), ("2011-01-01", number)] {
                let (patient, catalogue) = story.asked("X1", on);
                let plan = Plan::in_force(&patient, &catalogue, "PRODUCT", day(on)).unwrap();
                assert_eq!(plan.version.version, number, "{patients:?} {on}");
            }
        }
    }

    #[test]
    fn who_is_not_enrolled_follows_the_products_plan_or_one_for_all() {
        for (product_ids, is_followed) in [
            (&[][..], true),
            (&["PRODUCT"], true),
            (&["OTHER", "PRODUCT"], true),
            (&["OTHER"], false),
        ] {
            let mut story = Story::of_product(&[pb::ProductClass::Aav]);
            let plan = pb::FollowUpPlanVersion {
                version: "1".to_owned(),
                product_ids: product_ids.iter().map(|id| (*id).to_owned()).collect(),
                ..pb::FollowUpPlanVersion::default()
            };
            story.plan_version("2010-01-01", plan);
            story.given("X1", "2010-06-01");
            let (patient, catalogue) = story.asked("X1", "2011-01-01");
            let plan = Plan::in_force(&patient, &catalogue, "PRODUCT", day("2011-01-01"));
            assert_eq!(plan.is_some(), is_followed, "{product_ids:?}");
        }
    }
}
