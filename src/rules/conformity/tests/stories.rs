//! What a report tells of a patient or two whose story is told in a few records.

use super::{super::*, patients, reasons_of, row};
use crate::{
    pb::{
        Finding, MonitoringDecisionKind as Decision, MonitoringPart as Part, RiskFactor, RiskState,
        SamplePurpose, record::Kind,
    },
    rules::follow_up::story::{OTHER_SITE, SITE, Story, consent, day, months},
};

/// The report on the story's product and its patient X1.
pub(super) fn rows(story: &Story, as_of: &str) -> Vec<Row> {
    let (patient, catalogue) = story.asked("X1", as_of);
    let mut report = Conformity::of(&catalogue, "PRODUCT", day(as_of)).unwrap();
    report.add(&patient, &Signatures::of(&patient, &catalogue));
    report.rows()
}

#[track_caller]
pub(super) fn check(story: &Story, as_of: &str, id: &str, verdict: Verdict, reasons: &[&str]) {
    let rows = rows(story, as_of);
    let row = row(&rows, id);
    let told: Vec<&str> = row
        .exceptions
        .iter()
        .map(|one| one.reason.as_str())
        .collect();
    assert_eq!(
        (row.verdict, told.as_slice()),
        (verdict, reasons),
        "{id} {as_of}"
    );
}

pub(super) fn aav() -> Story {
    Story::of_product(&[ProductClass::Aav])
}

/// A product of this class, changed so.
pub(super) fn product(class: ProductClass, change: impl Fn(&mut pb::ProductRegistered)) -> Kind {
    let mut product = pb::ProductRegistered {
        product_id: "PRODUCT".to_owned(),
        version: 1,
        gtins: vec![crate::rules::follow_up::story::GTIN.to_owned()],
        product_classes: vec![class.into()],
        ..pb::ProductRegistered::default()
    };
    change(&mut product);
    Kind::ProductRegistered(product)
}

fn factors(states: &[(RiskFactor, RiskState)]) -> Vec<pb::RiskFactorState> {
    let state = |(factor, state): &(RiskFactor, RiskState)| pb::RiskFactorState {
        factor: (*factor).into(),
        state: (*state).into(),
        evidence: None,
    };
    states.iter().map(state).collect()
}

#[test]
fn a_products_classes_and_factors_say_what_applies_to_it() {
    use ProductClass::{Bacterial, GeneEditedInVivo, Herpes, Lenti, Plasmid, Transposon};
    use RiskFactor::{LatencyReactivation, PersistentInfection, Shedding};
    use RiskState::{Absent, Present};
    for (class, integrating, states, integrates, latent, has_period) in [
        (Plasmid, None, &[][..], false, false, false),
        (Plasmid, Some(false), &[], false, false, false),
        (Plasmid, Some(true), &[], true, false, true),
        (Transposon, None, &[], true, false, true),
        (Lenti, Some(false), &[], true, false, true),
        (Herpes, None, &[], false, true, true),
        (Bacterial, None, &[], false, true, true),
        (GeneEditedInVivo, None, &[], false, false, true),
        (
            Plasmid,
            None,
            &[(LatencyReactivation, Present)],
            false,
            true,
            true,
        ),
        (
            Plasmid,
            None,
            &[(PersistentInfection, Present)],
            false,
            true,
            true,
        ),
        (
            Plasmid,
            None,
            &[(Shedding, Present), (PersistentInfection, Absent)],
            false,
            false,
            false,
        ),
    ] {
        let product = pb::ProductRegistered {
            product_classes: vec![class.into()],
            integrating,
            risk_profile: factors(states),
            ..pb::ProductRegistered::default()
        };
        let traits = Traits::of(&product);
        let have = (traits.integrating, traits.latent, traits.has_period);
        assert_eq!(have, (integrates, latent, has_period), "{product:?}");
    }
}

#[test]
fn a_risk_profile_that_changes_asks_for_a_look_at_the_follow_up() {
    use RiskState::{Absent, Present};
    let changed = |state| {
        let mut story = Story::default();
        for (version, on, state) in [(1, "2010-01-01", Absent), (2, "2012-06-15", state)] {
            let told = product(ProductClass::Aav, |product| {
                product.version = version;
                product.risk_profile = factors(&[(RiskFactor::Shedding, state)]);
            });
            story.tell(on, "", told);
        }
        story
    };
    let wanting = "version 2 of the product has another risk profile, and nothing on record reviews the \
                   follow-up";
    let judged = |story: &Story, verdict, reasons: &[&str]| {
        check(story, "2014-01-01", "A-06", verdict, reasons);
    };
    judged(&changed(Absent), Verdict::NotApplicable, &[]);
    judged(&changed(Present), Verdict::NotMet, &[wanting]);
    for (on, verdict, reasons) in [
        ("2012-06-14", Verdict::NotMet, &[wanting][..]),
        ("2012-06-15", Verdict::Met, &[]),
        ("2013-06-15", Verdict::Met, &[]),
    ] {
        let mut replanned = changed(Present);
        replanned.plan("1", on, months(60));
        judged(&replanned, verdict, reasons);
        let mut decided = changed(Present);
        decided.decided("", Decision::Extend, Some(180), on);
        judged(&decided, verdict, reasons);
        for (of_product, decided_on, counts) in [
            ("PRODUCT", "SIG", true),
            ("PRODUCT", "OTHER-SIG", false),
            ("OTHER", "SIG", false),
        ] {
            let mut signalled = changed(Present);
            let signal = Kind::RiskSignal(pb::RiskSignal {
                signal_id: "SIG".to_owned(),
                product_ids: vec![of_product.to_owned()],
                ..pb::RiskSignal::default()
            });
            signalled.tell("2011-01-01", "", signal);
            let decision = Kind::SignalDecision(pb::SignalDecision {
                signal_id: decided_on.to_owned(),
                ..pb::SignalDecision::default()
            });
            signalled.tell(on, "", decision);
            let (verdict, reasons) = if counts {
                (verdict, reasons)
            } else {
                (Verdict::NotMet, &[wanting][..])
            };
            judged(&signalled, verdict, reasons);
        }
    }
}

#[test]
fn a_class_without_a_period_needs_one_that_is_longer_than_nothing() {
    let none = "neither a plan nor the product says how long patients are followed";
    for (months, verdict, reasons) in [
        (None, Verdict::NotMet, &[none][..]),
        (Some(0), Verdict::NotMet, &[none]),
        (Some(1), Verdict::Met, &[]),
    ] {
        let mut story = Story::default();
        let told = product(ProductClass::Plasmid, |product| {
            product.follow_up_default_months = months;
        });
        story.tell("2010-01-01", "", told);
        check(&story, "2014-01-01", "A-16", verdict, reasons);
    }
}

#[test]
fn off_target_activity_is_looked_for_beyond_the_target() {
    let tissue = |code: &str| pb::Code {
        system: "S".to_owned(),
        code: code.to_owned(),
        ..pb::Code::default()
    };
    let none = "the plan names no tissue beyond the target";
    for (tissues, verdict, reasons) in [
        (&[][..], Verdict::NotMet, &[none][..]),
        (&["LIVER"], Verdict::NotMet, &[none]),
        (&["GONAD"], Verdict::Met, &[]),
        (&["LIVER", "GONAD"], Verdict::Met, &[]),
    ] {
        let mut story = Story::default();
        let told = product(ProductClass::GeneEditedInVivo, |product| {
            product.set_delivery(pb::Delivery::Systemic);
            product.target_tissues = vec![tissue("LIVER")];
        });
        story.tell("2010-01-01", "", told);
        let plan = pb::FollowUpPlanVersion {
            version: "1".to_owned(),
            tissues: tissues.iter().map(|code| tissue(code)).collect(),
            ..pb::FollowUpPlanVersion::default()
        };
        story.plan_version("2010-01-01", plan);
        check(&story, "2014-01-01", "A-47", verdict, reasons);
    }
}

#[test]
fn a_period_below_the_guidelines_needs_both_of_its_reasons() {
    let wanting = |missing| format!("followed for 48 months, and there is no {missing}");
    for (justification, communication, missing) in [
        (
            "",
            "",
            "justification and no communication with the regulator",
        ),
        (" ", "C", "justification"),
        ("J", "", "communication with the regulator"),
        ("J", "C", ""),
    ] {
        let mut story = aav();
        let plan = pb::FollowUpPlanVersion {
            version: "1".to_owned(),
            parameters: Some(months(48)),
            justification: justification.to_owned(),
            communication: communication.to_owned(),
            ..pb::FollowUpPlanVersion::default()
        };
        story.plan_version("2010-01-01", plan);
        story.patient("X1", "2010-06-01");
        let reason = wanting(missing);
        let (verdict, reasons) = if missing.is_empty() {
            (Verdict::Met, Vec::new())
        } else {
            (Verdict::NotMet, vec![reason.as_str()])
        };
        check(&story, "2012-01-01", "A-15", verdict, &reasons);
    }
}

#[test]
fn who_completed_with_the_vector_found_last_is_an_exception() {
    let completed = |findings: &[(Finding, &str)]| {
        let mut story = aav();
        let parameters = pb::PlanParameters {
            until_no_risk: Some(false),
            ..months(60)
        };
        story.plan("1", "2010-01-01", parameters);
        story.patient("X1", "2010-01-10");
        for (at, (finding, on)) in findings.iter().enumerate() {
            let sample = format!("S{at}");
            story.sample("X1", &sample, &[SamplePurpose::Persistence], on);
            story.result("X1", &sample, *finding, on);
        }
        story
    };
    let (found, gone) = (Finding::WithinExpected, Finding::VectorNotDetected);
    let (one_day, later) = ("2013-01-10", "2014-01-10");
    let mut last = completed(&[(gone, one_day), (found, later)]);
    // Nobody has decided: the follow-up goes on.
    check(&last, "2016-01-11", "A-33", Verdict::Met, &[]);
    // For all patients it was decided that the period is shorter; of this one nobody decided that it is over.
    last.decided("", Decision::Shorten, Some(54), "2014-06-01");
    let wanting = "completed on 2014-07-10, and the last result found the vector";
    check(&last, "2014-07-11", "A-33", Verdict::NotMet, &[wanting]);
    let still = rows(&last, "2014-07-10");
    assert_eq!(row(&still, "A-33").counts[0].1, 0, "the period is not over");
    // Nor by what was decided about another product, or about something else.
    for (product_id, part) in [
        ("OTHER", Part::Persistence),
        ("PRODUCT", Part::Visits),
        ("", Part::Contacts),
    ] {
        let decision = pb::MonitoringDecision {
            decision: Decision::Stop.into(),
            product_id: product_id.to_owned(),
            parts: vec![part.into()],
            ..pb::MonitoringDecision::default()
        };
        last.tell("2014-06-02", "X1", Kind::MonitoringDecision(decision));
    }
    check(&last, "2014-07-11", "A-33", Verdict::NotMet, &[wanting]);
    last.decided("X1", Decision::Shorten, Some(54), "2014-06-02");
    check(&last, "2014-07-11", "A-33", Verdict::Met, &[]);
    let first = completed(&[(found, one_day), (gone, later)]);
    check(&first, "2015-01-11", "A-33", Verdict::Met, &[]);
    let none = completed(&[]);
    check(&none, "2015-01-11", "A-33", Verdict::Met, &[]);
}

#[test]
fn who_has_not_signed_what_the_risk_asks_for_is_an_exception() {
    let mut story = Story::of_amendment("2012-01-01");
    story.patient("X1", "2010-06-01");
    let told = |as_of| {
        let rows = rows(&story, as_of);
        reasons_of(row(&rows, "A-23"), "X1").join("; ")
    };
    assert_eq!(told("2012-03-01"), "");
    assert_eq!(told("2012-03-02"), "version 2 is overdue by 1 days");
    assert_eq!(told("2012-03-12"), "version 2 is overdue by 11 days");
}

#[test]
fn who_follows_an_older_plan_than_others_is_an_exception() {
    let mut story = aav();
    story.plan("1", "2010-01-01", months(60));
    story.patient("X1", "2010-06-01");
    let second = pb::FollowUpPlanVersion {
        plan_id: "PLAN".to_owned(),
        version: "2".to_owned(),
        ordinal: 2,
        parameters: Some(months(60)),
        linked_consent: Some(consent("1")),
        ..pb::FollowUpPlanVersion::default()
    };
    story.tell("2011-01-01", "", Kind::FollowUpPlanVersion(second));
    let activate = |story: &mut Story, site: &str, from: &str| {
        let activated = pb::PlanActivated {
            plan: Some(pb::PlanVersionKey {
                plan_id: "PLAN".to_owned(),
                version: "2".to_owned(),
            }),
            site: site.to_owned(),
            effective_from: from.to_owned(),
            ..pb::PlanActivated::default()
        };
        story.tell(from, "", Kind::PlanActivated(activated));
    };
    let told = |story: &Story| {
        let rows = rows(story, "2012-01-01");
        reasons_of(row(&rows, "A-35"), "X1").join("; ")
    };
    let elsewhere = |story: &Story| {
        let rows = rows(story, "2012-01-01");
        let mut told = row(&rows, "A-35").exceptions.iter();
        let reason =
            format!("it is in force at other sites and not at {SITE}, which follows patients");
        told.any(|one| one.reason == reason)
    };
    assert_eq!((told(&story).as_str(), elsewhere(&story)), ("", false));
    activate(&mut story, OTHER_SITE, "2011-02-01");
    let older = "follows version 1, and version 2 is in force";
    assert_eq!((told(&story).as_str(), elsewhere(&story)), (older, true));
    activate(&mut story, SITE, "2011-03-01");
    assert_eq!((told(&story).as_str(), elsewhere(&story)), ("", false));
}

#[test]
fn the_intensive_period_needs_a_visit_and_each_that_was_planned() {
    let slot = |slot: &str, kind: pb::SlotKind, months, purposes| pb::PlannedSlot {
        slot: slot.to_owned(),
        kind: kind.into(),
        months,
        purposes,
        ..pb::PlannedSlot::default()
    };
    let persistence = || vec![SamplePurpose::Persistence.into()];
    let mut story = aav();
    let plan = pb::FollowUpPlanVersion {
        version: "1".to_owned(),
        parameters: Some(pb::PlanParameters {
            intensive_months: Some(24),
            ..months(60)
        }),
        slots: vec![
            slot("V6", pb::SlotKind::Visit, 6, Vec::new()),
            slot("V12", pb::SlotKind::Visit, 12, Vec::new()),
            slot("S6", pb::SlotKind::Sample, 9, persistence()),
            slot("S12", pb::SlotKind::Sample, 15, persistence()),
        ],
        ..pb::FollowUpPlanVersion::default()
    };
    story.plan_version("2010-01-01", plan);
    story.patient("X1", "2010-01-10");
    let told = |story: &Story, as_of: &str| -> Vec<String> {
        let rows = rows(story, as_of);
        let told = reasons_of(row(&rows, "A-28"), "X1").into_iter();
        told.map(str::to_owned).collect()
    };
    let none = "past the intensive period without a single visit".to_owned();
    let missed = "the visit due 2010-07-10 was not held".to_owned();
    let is_of_sample = |reason: &String| reason.contains("2010-10-10");
    for (as_of, without_any) in [("2012-01-10", false), ("2012-01-11", true)] {
        let told = told(&story, as_of);
        assert!(told.contains(&missed), "{told:?}");
        assert!(!told.iter().any(is_of_sample), "{told:?}");
        assert_eq!(told.contains(&none), without_any, "{as_of}");
    }
    let visit = Kind::FollowUpVisit(pb::FollowUpVisit {
        reached: Some(true),
        ..pb::FollowUpVisit::default()
    });
    story.tell("2010-07-10", "X1", visit);
    assert!(!told(&story, "2012-01-11").contains(&none));
    assert!(!told(&story, "2012-01-11").contains(&missed));
}

#[test]
fn an_assessment_is_in_time_on_the_day_that_it_is_due() {
    let late = "serious case C1 was assessed on 2011-01-12, due 2011-01-11";
    let none = "serious case C1 has no assessment of its cause";
    for (on, verdict, reasons) in [
        ("2011-01-11", Verdict::Met, &[][..]),
        ("2011-01-12", Verdict::NotMet, &[late]),
        ("", Verdict::NotMet, &[none]),
    ] {
        let mut story = aav();
        let parameters = pb::PlanParameters {
            assessment_days: Some(10),
            ..months(60)
        };
        story.plan("1", "2010-01-01", parameters);
        story.patient("X1", "2010-06-01");
        let event = Kind::AdverseEvent(pb::AdverseEvent {
            case_id: "C1".to_owned(),
            serious: vec![pb::SeriousCriterion::Hospitalisation.into()],
            aware_at: "2011-01-01".to_owned(),
            ..pb::AdverseEvent::default()
        });
        story.tell("2011-01-01", "X1", event);
        if !on.is_empty() {
            let assessed = Kind::CausalityAssessment(pb::CausalityAssessment {
                case_id: "C1".to_owned(),
                ..pb::CausalityAssessment::default()
            });
            story.tell(on, "X1", assessed);
        }
        check(&story, "2012-01-01", "A-24", verdict, reasons);
    }
}

#[test]
fn a_signal_is_late_after_the_day_that_it_is_due() {
    for (as_of, late) in [("2012-03-31", ""), ("2012-04-01", ", due 2012-03-31")] {
        let mut story = aav();
        let signal = Kind::RiskSignal(pb::RiskSignal {
            signal_id: "SIG".to_owned(),
            product_ids: vec!["PRODUCT".to_owned()],
            changes_risk: Some(true),
            deadline: "2012-03-31".to_owned(),
            ..pb::RiskSignal::default()
        });
        story.tell("2012-03-01", "", signal);
        let open = day(as_of)
            .signed_duration_since(day("2012-03-01"))
            .num_days();
        for (id, what) in [("A-23", "consent version"), ("A-27", "plan version")] {
            let reason =
                format!("no {what} and no decision that none is needed, {open} days on{late}");
            check(&story, as_of, id, Verdict::NotMet, &[reason.as_str()]);
        }
    }
}

#[test]
fn samples_are_counted_by_what_the_follow_up_serves_and_findings_by_what_they_find() {
    use SamplePurpose::{
        Archive, Clonality, Efficacy, Expression, Isa, Persistence, Rcl, Shedding,
    };
    let mut story = Story::of_product(&[ProductClass::Lenti]);
    story.plan("1", "2010-01-01", months(180));
    story.patient("X1", "2010-01-10");
    let purposes = [
        Archive,
        Clonality,
        Efficacy,
        Expression,
        Isa,
        Persistence,
        Rcl,
        Shedding,
    ];
    for (at, purpose) in purposes.into_iter().enumerate() {
        story.sample("X1", &format!("S{at}"), &[purpose], "2010-07-10");
    }
    for (sample, finding) in [
        ("S1", Finding::ClonalExpansion),
        ("S1", Finding::ClonalExpansion),
        ("S1", Finding::ClonalExpansion),
        ("S5", Finding::DominantClone),
        ("S5", Finding::Monoclonal),
        ("S4", Finding::IntegrationNearOncogene),
    ] {
        story.result("X1", sample, finding, "2010-08-10");
    }
    let rows = rows(&story, "2011-01-01");
    for (id, what, count) in [
        ("A-04", "of safety", 2),
        ("A-04", "of persistence", 3),
        ("A-04", "of efficacy", 2),
        ("A-38", "findings of clonal growth", 3),
        ("A-38", "findings of a dominant clone", 2),
        ("A-38", "findings near an oncogene", 1),
    ] {
        let mut counts = row(&rows, id).counts.iter();
        assert_eq!(counts.find(|(name, _)| *name == what), Some(&(what, count)));
    }
}

#[test]
fn a_control_that_failed_is_an_exception_unless_the_result_is_called_invalid() {
    use Finding::{Invalid, WithinExpected};
    use pb::ControlOutcome::{Fail, Pass};
    for (positive, negative, findings, wanting) in [
        (Pass, Pass, &[][..], false),
        (Fail, Pass, &[], true),
        (Pass, Fail, &[], true),
        (Fail, Fail, &[], true),
        (Pass, Pass, &[WithinExpected], false),
        (Fail, Pass, &[WithinExpected], true),
        (Pass, Pass, &[Invalid], false),
        (Fail, Pass, &[Invalid], false),
        (Pass, Fail, &[Invalid, WithinExpected], false),
    ] {
        let mut story = aav();
        story.plan("1", "2010-01-01", months(60));
        story.patient("X1", "2010-01-10");
        let result = pb::AssayResult {
            sample_id: "S".to_owned(),
            controls: Some(pb::AssayControls {
                positive: positive.into(),
                negative: negative.into(),
            }),
            findings: findings.iter().map(|one| (*one).into()).collect(),
            ..pb::AssayResult::default()
        };
        story.tell("2010-07-10", "X1", Kind::AssayResult(result));
        let rows = rows(&story, "2011-01-01");
        let failed = patients(row(&rows, "A-40"));
        let reasons = reasons_of(row(&rows, "A-40"), "X1");
        assert_eq!(failed, ["X1"], "the method is not registered");
        let told = reasons.contains(&"a control of the run on S failed");
        assert_eq!(told, wanting, "{positive:?} {negative:?} {findings:?}");
    }
}
