//! Risk signals that something is still to be done about (R-AE2): one that changes the risk asks for a consent
//! version and a plan version, or a decision that one is not needed. Only a further record closes a signal.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};

use super::Why;
use crate::{
    pb::{self, ProductClass, SignalAction as Action, record::Kind, trigger::Cause},
    record::format::parse_civil_date,
    rules::{
        catalogue::{Catalogue, PlanVersion, Product},
        question::Seen,
    },
};

/// A signal with what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSignal {
    /// The signal.
    pub signal_id: String,
    /// The day it came to be known.
    pub on: NaiveDate,
    /// The products that it affects.
    pub products: Vec<String>,
    /// What is still to be done.
    pub missing: Vec<Action>,
    /// The last day on which it is done in time, where one is set.
    pub due: Option<NaiveDate>,
    /// How many days it has been open.
    pub days_open: u64,
    /// How many days it is past its day.
    pub days_overdue: u64,
    /// Why.
    pub why: Why,
}

/// The signals that are open on a day, the oldest first.
pub fn open(catalogue: &Catalogue, on: NaiveDate) -> Vec<OpenSignal> {
    let signals = catalogue.others.iter().filter_map(|fact| {
        let Some(Kind::RiskSignal(signal)) = fact.kind() else {
            return None;
        };
        (fact.on <= on).then(|| of(catalogue, fact, signal, on))?
    });
    signals.collect()
}

fn of(
    catalogue: &Catalogue,
    fact: &Seen,
    signal: &pb::RiskSignal,
    on: NaiveDate,
) -> Option<OpenSignal> {
    let mut why = Why::by("R-AE2").on(fact);
    let mut missing: BTreeSet<Action> = signal.required_actions().collect();
    if signal.changes_risk == Some(true) {
        missing.extend([Action::Consent, Action::Plan]);
    }
    for decided in &catalogue.others {
        let Some(Kind::SignalDecision(decision)) = decided.kind() else {
            continue;
        };
        if decision.signal_id != signal.signal_id || on < decided.on {
            continue;
        }
        if decision.closed == Some(true) {
            return None;
        }
        why.add(decided);
        missing.extend(decision.needed());
        for not_needed in decision.not_needed() {
            missing.remove(&not_needed);
        }
    }
    missing.retain(|action| !is_done(catalogue, &signal.signal_id, *action, on));
    if missing.is_empty() {
        return None;
    }
    let products = affected(catalogue, signal);
    let ids: BTreeSet<String> = products
        .iter()
        .map(|product| product.product.product_id.clone())
        .collect();
    let due = parse_civil_date(&signal.deadline)
        .ok()
        .or_else(|| by_plan(catalogue, &ids, fact.on));
    Some(OpenSignal {
        signal_id: signal.signal_id.clone(),
        on: fact.on,
        products: ids.into_iter().collect(),
        missing: missing.into_iter().collect(),
        due,
        days_open: days(fact.on, on),
        days_overdue: due.map_or(0, |due| days(due, on)),
        why,
    })
}

/// Whether a record shows that it was done by a day. Labels and notifications are shown by a decision alone.
fn is_done(catalogue: &Catalogue, signal_id: &str, action: Action, on: NaiveDate) -> bool {
    let is_of = |trigger: Option<&pb::Trigger>| {
        let cause = trigger.and_then(|trigger| trigger.cause.as_ref());
        matches!(cause, Some(Cause::SignalId(by)) if by == signal_id)
    };
    match action {
        Action::Consent => {
            let documents = catalogue.families.values().flatten();
            let mut documents = documents.flat_map(|version| &version.documents);
            documents.any(|(fact, document)| fact.on <= on && is_of(document.trigger.as_ref()))
        }
        Action::Plan => {
            let mut versions = catalogue.plans.values().flatten();
            versions.any(|one| one.said.on <= on && is_of(one.plan.trigger.as_ref()))
        }
        Action::Recall => catalogue.others.iter().any(|fact| {
            let opened = fact.kind();
            matches!(opened, Some(Kind::RecallOpened(recall)) if recall.signal_id == signal_id)
                && fact.on <= on
        }),
        Action::Unspecified | Action::Label | Action::Notify => false,
    }
}

/// The products that a signal names, by themselves, by their class or by their lots.
fn affected<'a>(catalogue: &'a Catalogue, signal: &pb::RiskSignal) -> Vec<&'a Product> {
    let classes: Vec<ProductClass> = signal.product_classes().collect();
    let newest = catalogue
        .products
        .values()
        .filter_map(|versions| versions.last());
    let named = newest.filter(|one| {
        let product = &one.product;
        signal.product_ids.contains(&product.product_id)
            || product
                .product_classes()
                .any(|class| classes.contains(&class))
            || signal
                .lots
                .iter()
                .any(|lot| product.gtins.contains(&lot.gtin))
    });
    named.collect()
}

/// The day that the plans of the products set: the earliest of them.
fn by_plan(
    catalogue: &Catalogue,
    products: &BTreeSet<String>,
    from: NaiveDate,
) -> Option<NaiveDate> {
    let is_of = |version: &PlanVersion| {
        let own = &version.plan.product_ids;
        own.is_empty() || own.iter().any(|product| products.contains(product))
    };
    let plans = catalogue.plans.values();
    let days =
        plans.filter_map(|versions| days_to_act(versions.iter().filter(|one| is_of(one)), from));
    from.checked_add_days(Days::new(u64::from(days.min()?)))
}

/// The days that the versions of a plan leave for what a signal asks for: as the last version by the day of the signal
/// says, or else the first one after it. A version that is made because of the signal defers nothing, and takes over what
/// it does not say.
pub(in crate::rules) fn days_to_act<'a>(
    versions: impl Iterator<Item = &'a PlanVersion>,
    from: NaiveDate,
) -> Option<u32> {
    let mut days = None;
    for version in versions {
        let parameters = version.plan.parameters.as_ref();
        let said = parameters.and_then(|parameters| parameters.signal_action_days);
        if version.said.on <= from {
            days = said.or(days);
        } else {
            days = days.or(said);
        }
    }
    days
}

fn days(from: NaiveDate, to: NaiveDate) -> u64 {
    let days = to.signed_duration_since(from).num_days();
    days.try_into().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::follow_up::story::{Story, day};

    fn signal() -> pb::RiskSignal {
        pb::RiskSignal {
            signal_id: "SIG".to_owned(),
            product_classes: vec![ProductClass::Aav.into()],
            changes_risk: Some(true),
            ..Default::default()
        }
    }

    fn told(signal: pb::RiskSignal) -> Story {
        let mut story = Story::of_product(&[ProductClass::Aav]);
        let parameters = pb::PlanParameters {
            signal_action_days: Some(30),
            ..Default::default()
        };
        story.plan("1", "2010-01-01", parameters);
        story.tell("2020-01-31", "", Kind::RiskSignal(signal));
        story
    }

    fn trigger() -> pb::Trigger {
        pb::Trigger {
            cause: Some(Cause::SignalId("SIG".to_owned())),
        }
    }

    fn decide(story: &mut Story, on: &str, decision: pb::SignalDecision) {
        let decision = pb::SignalDecision {
            signal_id: "SIG".to_owned(),
            ..decision
        };
        story.tell(on, "", Kind::SignalDecision(decision));
    }

    #[track_caller]
    fn check(story: &Story, as_of: &str, missing: &[Action], days_overdue: u64) {
        let (_, catalogue) = story.asked("", as_of);
        let open = open(&catalogue, day(as_of));
        let have: Vec<Action> = open.iter().flat_map(|one| one.missing.clone()).collect();
        assert_eq!(have, missing, "{as_of}");
        assert_eq!(open.first().map_or(0, |one| one.days_overdue), days_overdue);
    }

    #[test]
    fn a_signal_is_open_until_consent_and_plan_follow_it() {
        let mut story = told(signal());
        check(&story, "2020-01-30", &[], 0);
        check(&story, "2020-01-31", &[Action::Consent, Action::Plan], 0);
        check(&story, "2020-03-01", &[Action::Consent, Action::Plan], 0);
        check(&story, "2020-03-02", &[Action::Consent, Action::Plan], 1);
        story.tell(
            "2020-03-03",
            "",
            Kind::ConsentDocumentVersion(pb::ConsentDocumentVersion {
                family: "ICF".to_owned(),
                version: "2".to_owned(),
                trigger: Some(trigger()),
                ..Default::default()
            }),
        );
        check(&story, "2020-03-03", &[Action::Plan], 2);
        story.plan_version(
            "2020-03-04",
            pb::FollowUpPlanVersion {
                version: "2".to_owned(),
                trigger: Some(trigger()),
                ..Default::default()
            },
        );
        check(&story, "2020-03-03", &[Action::Plan], 2);
        check(&story, "2020-03-04", &[], 0);
    }

    /// A version that is made because of the signal gives no more time for it.
    #[test]
    fn a_later_plan_version_does_not_make_a_late_action_one_in_time() {
        for days in [None, Some(365)] {
            let mut story = told(signal());
            let parameters = pb::PlanParameters {
                signal_action_days: days,
                ..Default::default()
            };
            story.plan("2", "2020-02-10", parameters);
            check(&story, "2020-03-02", &[Action::Consent, Action::Plan], 1);
        }
    }

    #[test]
    fn a_decision_that_something_is_not_needed_stands_for_it() {
        let mut story = told(signal());
        let decision = pb::SignalDecision {
            not_needed: vec![Action::Plan.into()],
            needed: vec![Action::Label.into()],
            closed: Some(false),
            ..Default::default()
        };
        decide(&mut story, "2020-02-01", decision);
        check(&story, "2020-01-31", &[Action::Consent, Action::Plan], 0);
        check(&story, "2020-02-01", &[Action::Consent, Action::Label], 0);
        let decision = pb::SignalDecision {
            closed: Some(true),
            ..Default::default()
        };
        decide(&mut story, "2020-02-03", decision);
        check(&story, "2020-02-02", &[Action::Consent, Action::Label], 0);
        check(&story, "2020-02-03", &[], 0);
    }

    #[test]
    fn what_was_done_about_another_signal_is_not_done_about_this() {
        let mut story = told(signal());
        let decision = pb::SignalDecision {
            signal_id: "OTHER".to_owned(),
            closed: Some(true),
            ..Default::default()
        };
        story.tell("2020-02-01", "", Kind::SignalDecision(decision));
        let other = || {
            Some(pb::Trigger {
                cause: Some(Cause::SignalId("OTHER".to_owned())),
            })
        };
        for (version, trigger) in [("2", None), ("3", other())] {
            let document = pb::ConsentDocumentVersion {
                family: "ICF".to_owned(),
                version: version.to_owned(),
                trigger: trigger.clone(),
                ..Default::default()
            };
            story.tell("2020-02-01", "", Kind::ConsentDocumentVersion(document));
            let plan = pb::FollowUpPlanVersion {
                version: version.to_owned(),
                trigger,
                ..Default::default()
            };
            story.plan_version("2020-02-01", plan);
        }
        check(&story, "2020-02-01", &[Action::Consent, Action::Plan], 0);
    }

    #[test]
    fn a_signal_is_about_the_products_that_it_names_by_themselves_by_class_or_by_lot() {
        use crate::rules::follow_up::story::GTIN;
        for (product_id, class, gtin, is_about) in [
            ("PRODUCT", ProductClass::Lenti, "", true),
            ("OTHER", ProductClass::Aav, "", true),
            ("OTHER", ProductClass::Lenti, GTIN, true),
            ("OTHER", ProductClass::Lenti, "09521123459999", false),
        ] {
            let story = told(pb::RiskSignal {
                product_ids: vec![product_id.to_owned()],
                product_classes: vec![class.into()],
                lots: vec![pb::LotKey {
                    gtin: gtin.to_owned(),
                    ..Default::default()
                }],
                ..signal()
            });
            let (_, catalogue) = story.asked("", "2020-02-01");
            let open = open(&catalogue, day("2020-02-01"));
            let expected: &[&str] = if is_about { &["PRODUCT"] } else { &[] };
            assert_eq!(open[0].products, expected, "{product_id} {class:?} {gtin}");
        }
    }

    #[test]
    fn a_signal_that_does_not_change_the_risk_asks_for_what_it_names() {
        let unchanged = |required_actions: &[Action]| pb::RiskSignal {
            changes_risk: Some(false),
            required_actions: required_actions.iter().map(|one| i32::from(*one)).collect(),
            deadline: "2020-02-10".to_owned(),
            ..signal()
        };
        check(&told(unchanged(&[])), "2020-03-01", &[], 0);
        let mut story = told(unchanged(&[Action::Recall]));
        check(&story, "2020-02-10", &[Action::Recall], 0);
        check(&story, "2020-02-11", &[Action::Recall], 1);
        let recall = pb::RecallOpened {
            signal_id: "SIG".to_owned(),
            ..Default::default()
        };
        story.tell("2020-02-12", "", Kind::RecallOpened(recall));
        check(&story, "2020-02-11", &[Action::Recall], 1);
        check(&story, "2020-02-12", &[], 0);
    }
}
