//! What a report tells of a product, its plans, its documents and its reports, before any patient is seen.

use super::{
    super::{patient::words, *},
    row,
    stories::{aav, check, product, rows},
};
use crate::{
    pb::{MonitoringDecisionKind as Decision, ProductPhase, SamplePurpose, record::Kind},
    rules::follow_up::{
        obligations::What,
        story::{Story, months},
    },
};

/// The report on the product of a story, of which nobody received anything, in 2014.
fn told(story: &Story, id: &str) -> Row {
    let rows = rows(story, "2014-01-01");
    row(&rows, id).clone()
}

fn reasons(row: &Row) -> Vec<&str> {
    let reasons = row.exceptions.iter();
    reasons.map(|one| one.reason.as_str()).collect()
}

/// A story that begins with a product of this class, changed so.
fn of(class: ProductClass, change: impl Fn(&mut pb::ProductRegistered)) -> Story {
    let mut story = Story::default();
    story.tell("2010-01-01", "", product(class, change));
    story
}

#[test]
fn an_obligation_applies_to_the_products_that_it_is_about() {
    use ProductClass::{
        Aav, GeneEditedExVivo, GeneEditedInVivo, Herpes, Lenti, Plasmid, Transposon,
    };
    use ProductPhase::{Nda, Phase3, PostMarketing};
    use pb::Delivery::{ExVivo, Local, Systemic};
    const CLONAL: [&str; 6] = ["A-38", "A-39", "A-41", "A-42", "A-43", "A-44"];
    let edited = [&["A-14", "A-46"], &CLONAL[..]].concat();
    for (class, delivery, phase, applies) in [
        (Plasmid, Systemic, Phase3, vec!["A-16"]),
        (Aav, Systemic, Phase3, vec!["A-15"]),
        (Herpes, Local, Phase3, vec!["A-13"]),
        (
            Lenti,
            ExVivo,
            Phase3,
            [&["A-12", "A-45"], &CLONAL[..]].concat(),
        ),
        (
            Transposon,
            ExVivo,
            Phase3,
            [&["A-12"], &CLONAL[..]].concat(),
        ),
        (GeneEditedExVivo, ExVivo, Phase3, edited.clone()),
        (GeneEditedInVivo, Local, Phase3, edited.clone()),
        (
            GeneEditedInVivo,
            Systemic,
            Phase3,
            [&["A-14", "A-46", "A-47"], &CLONAL[..]].concat(),
        ),
        (Plasmid, Systemic, Nda, vec!["A-16", "A-53"]),
        (
            Plasmid,
            Systemic,
            PostMarketing,
            vec!["A-16", "A-49", "A-53"],
        ),
    ] {
        let story = of(class, |product| {
            product.set_delivery(delivery);
            product.set_phase(phase);
        });
        let rows = rows(&story, "2014-01-01");
        let of_some = [
            &[
                "A-12", "A-13", "A-14", "A-15", "A-16", "A-45", "A-46", "A-47", "A-49", "A-53",
            ],
            &CLONAL[..],
        ]
        .concat();
        for id in of_some {
            let because = row(&rows, id).because;
            let says_not =
                because.starts_with("the product ") || because.starts_with("the guideline ");
            assert_eq!(
                !says_not,
                applies.contains(&id),
                "{class:?} {delivery:?} {phase:?} {id} {because}"
            );
        }
    }
}

#[test]
fn a_communication_is_about_the_product_a_plan_of_it_or_everything() {
    let none = "no communication with a regulator is on record";
    for (product_id, plan_id, is_about) in [
        ("PRODUCT", "", true),
        ("", "PLAN", true),
        ("OTHER", "PLAN", true),
        ("", "", true),
        ("OTHER", "", false),
        ("", "OTHER-PLAN", false),
        ("OTHER", "OTHER-PLAN", false),
    ] {
        let mut story = of(ProductClass::Aav, |product| {
            product.set_phase(ProductPhase::Nda);
        });
        story.plan("1", "2010-01-01", months(60));
        let communication = pb::RegulatorCommunication {
            product_id: product_id.to_owned(),
            plan: (!plan_id.is_empty()).then(|| pb::PlanVersionKey {
                plan_id: plan_id.to_owned(),
                version: "1".to_owned(),
            }),
            ..pb::RegulatorCommunication::default()
        };
        story.tell(
            "2011-01-01",
            "",
            Kind::RegulatorCommunication(communication),
        );
        let has_one = told(&story, "A-03");
        let (looked_at, wanting) = if is_about {
            (1, vec![])
        } else {
            (0, vec![none])
        };
        assert_eq!(
            (has_one.counts[0].1, reasons(&has_one)),
            (looked_at, wanting),
            "{product_id} {plan_id}"
        );
        // What is applied for was talked about.
        let agreed = told(&story, "A-52");
        assert_eq!(reasons(&agreed).contains(&none), !is_about);
    }
}

#[test]
fn a_risk_factor_is_present_or_absent_as_a_document_shows() {
    use RiskState::{Absent, Present, Unknown, Unspecified};
    for (state, is_shown, wanting) in [
        (Present, true, ""),
        (Absent, true, ""),
        (Present, false, "shedding: no document shows it"),
        (Absent, false, "shedding: no document shows it"),
        (
            Unknown,
            true,
            "shedding: nobody knows whether it is present",
        ),
        (
            Unspecified,
            false,
            "shedding: nobody knows whether it is present",
        ),
    ] {
        let story = of(ProductClass::Aav, |product| {
            product.risk_profile = vec![pb::RiskFactorState {
                factor: RiskFactor::Shedding.into(),
                state: state.into(),
                evidence: is_shown.then(pb::DocHash::default),
            }];
        });
        let row = told(&story, "A-05");
        assert_eq!(row.counts[0].1, 1);
        assert_eq!(reasons(&row).join("; "), wanting, "{state:?} {is_shown}");
    }
}

#[test]
fn the_period_that_holds_is_compared_with_the_latest_onset() {
    // The product's own period, those of the plan's versions, and the period that holds.
    for (own, versions, holds) in [
        (None, &[][..], 60),
        (Some(48), &[], 60),
        (Some(72), &[], 72),
        (Some(72), &[Some(84)], 84),
        (Some(72), &[Some(84), Some(96)], 96),
        (Some(72), &[Some(84), None], 84),
        (Some(72), &[None], 72),
    ] {
        for (onset, is_short) in [(holds - 1, false), (holds, false), (holds + 1, true)] {
            let mut story = of(ProductClass::Aav, |product| {
                product.follow_up_default_months = own;
                product.expected_onset_max_months = Some(onset);
            });
            for (number, months) in (1..).zip(versions) {
                let parameters = pb::PlanParameters {
                    follow_up_months: *months,
                    ..pb::PlanParameters::default()
                };
                story.plan(&format!("{number}"), "2010-01-01", parameters);
            }
            let row = told(&story, "A-11");
            let wanting = format!(
                "{holds} months, and a delayed reaction may come up to {onset} months after"
            );
            let expected = if is_short {
                vec![wanting.as_str()]
            } else {
                vec![]
            };
            let have = (row.counts[0].1, reasons(&row));
            assert_eq!(have, (1, expected), "{own:?} {versions:?} {onset}");
        }
    }
    let story = of(ProductClass::Plasmid, |product| {
        product.expected_onset_max_months = Some(12);
    });
    let row = told(&story, "A-11");
    assert_eq!(row.verdict, Verdict::CannotTell, "no period holds");
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one row for each of what a plan says"
)]
fn a_plan_says_each_of_what_it_is_asked_for() {
    use pb::SlotKind::{Contact, Sample, Visit};
    type Change = fn(&mut pb::FollowUpPlanVersion);
    let slot = |kind: pb::SlotKind| pb::PlannedSlot {
        kind: kind.into(),
        ..pb::PlannedSlot::default()
    };
    let says: [(&str, &str, Change); 11] = [
        ("A-25", "its visits", |plan| {
            plan.parameters
                .get_or_insert_default()
                .visit_interval_months = Some(12);
        }),
        ("A-25", "its samples", |plan| {
            let numbers = plan.parameters.get_or_insert_default();
            numbers.sample_interval_months_first_years = Some(6);
        }),
        ("A-25", "its methods", |plan| {
            plan.methods = vec![pb::AssayMethodKey::default()];
        }),
        ("A-25", "its target events", |plan| {
            plan.target_events = vec![pb::Code::default()];
        }),
        ("A-26", "a guide for those who record", |plan| {
            plan.recording_guide = Some(pb::DocHash::default());
        }),
        ("A-52", "its purpose", |plan| {
            plan.purpose = "safety".to_owned();
        }),
        ("A-52", "its population", |plan| {
            plan.population = "all".to_owned();
        }),
        ("A-52", "its content", |plan| {
            plan.content = "visits".to_owned();
        }),
        ("A-52", "its duration", |plan| {
            plan.parameters.get_or_insert_default().follow_up_months = Some(60);
        }),
        ("A-34", "", |plan| plan.protocol_ids = vec!["P".to_owned()]),
        ("A-47", "", |plan| plan.tissues = vec![pb::Code::default()]),
    ];
    let all: Vec<(&str, &str)> = says.iter().map(|(id, what, _)| (*id, *what)).collect();
    let lacking = |versions: Vec<pb::FollowUpPlanVersion>| -> Vec<(&str, &str)> {
        let mut story = of(ProductClass::GeneEditedInVivo, |product| {
            product.set_delivery(pb::Delivery::Systemic);
        });
        for (number, version) in (1..).zip(versions) {
            let version = pb::FollowUpPlanVersion {
                version: format!("{number}"),
                ..version
            };
            story.plan_version("2010-01-01", version);
        }
        let rows = rows(&story, "2014-01-01");
        let lacks = |(id, what): &(&str, &str)| {
            let reason = match *id {
                "A-34" => "the plan names no protocol".to_owned(),
                "A-47" => "the plan names no tissue beyond the target".to_owned(),
                _ => format!("the plan does not state {what}"),
            };
            reasons(row(&rows, id)).contains(&reason.as_str())
        };
        all.iter().copied().filter(lacks).collect()
    };
    let empty = pb::FollowUpPlanVersion::default;
    assert_eq!(lacking(vec![empty()]), all);
    let mut full = empty();
    for (_, _, change) in &says {
        change(&mut full);
    }
    assert_eq!(lacking(vec![full.clone()]), []);
    // The versions of a plan say it together, whichever of them does.
    assert_eq!(lacking(vec![full, empty()]), []);
    for (at, (_, _, change)) in says.iter().enumerate() {
        let mut one = empty();
        change(&mut one);
        let mut rest = all.clone();
        let said = rest.remove(at);
        assert_eq!(lacking(vec![one]), rest, "{said:?}");
    }
    for (kind, says) in [
        (Visit, Some("its visits")),
        (Sample, Some("its samples")),
        (Contact, None),
    ] {
        let slots = pb::FollowUpPlanVersion {
            slots: vec![slot(kind)],
            ..empty()
        };
        let rest = all.iter().copied();
        let rest: Vec<_> = rest.filter(|(_, what)| Some(*what) != says).collect();
        assert_eq!(lacking(vec![slots]), rest, "{kind:?}");
    }
}

#[test]
fn one_plan_and_one_alone_is_for_a_product() {
    let plan = |plan_id: &str, products: &[&str]| {
        Kind::FollowUpPlanVersion(pb::FollowUpPlanVersion {
            plan_id: plan_id.to_owned(),
            version: "1".to_owned(),
            ordinal: 1,
            product_ids: products.iter().map(|id| (*id).to_owned()).collect(),
            protocol_ids: vec!["P".to_owned()],
            ..pb::FollowUpPlanVersion::default()
        })
    };
    let own: &[&str] = &["PRODUCT"];
    for (plans, looked_at, wanting) in [
        (vec![], 0, ""),
        (vec![own], 1, ""),
        (vec![own, own], 2, "2 plans are for the product"),
        (vec![own, &["OTHER"]], 1, ""),
        (vec![own, &[]], 1, ""),
        (vec![&[]], 1, ""),
        (vec![&[], &[]], 2, "2 plans are for the product"),
        (vec![&["OTHER"]], 0, ""),
    ] {
        let mut story = of(ProductClass::Aav, |_| {});
        for (number, products) in plans.iter().enumerate() {
            story.tell("2010-01-01", "", plan(&format!("PLAN-{number}"), products));
        }
        let row = told(&story, "A-34");
        let have = (row.counts[0].1, reasons(&row).join("; "));
        assert_eq!(have, (looked_at, wanting.to_owned()), "{plans:?}");
    }
}

#[test]
fn what_changes_the_period_has_both_of_its_reasons() {
    use Decision::{Extend, Intensify, Resume, Shorten, Stop, Waive};
    for (justification, communication, missing) in [
        ("J", "C", None),
        ("J", "", Some("communication with the regulator")),
        ("", "C", Some("justification")),
    ] {
        for (decision, product_id, name) in [
            (Extend, "PRODUCT", "EXTEND"),
            (Shorten, "PRODUCT", "SHORTEN"),
            (Waive, "PRODUCT", "WAIVE"),
            (Stop, "PRODUCT", "STOP"),
            (Intensify, "PRODUCT", ""),
            (Resume, "PRODUCT", ""),
            (Stop, "OTHER", ""),
        ] {
            let mut story = aav();
            let decided = pb::MonitoringDecision {
                decision: decision.into(),
                product_id: product_id.to_owned(),
                justification: justification.to_owned(),
                communication: communication.to_owned(),
                ..pb::MonitoringDecision::default()
            };
            story.tell("2012-01-01", "", Kind::MonitoringDecision(decided));
            let row = told(&story, "A-17");
            let missing = missing.filter(|_| !name.is_empty());
            let wanting = missing.map(|missing| format!("a decision to {name} has no {missing}"));
            let looked_at = u64::from(!name.is_empty());
            let have = (row.counts[0].1, reasons(&row));
            let expected = wanting.iter().map(String::as_str).collect();
            assert_eq!(have, (looked_at, expected), "{decision:?} {product_id}");
        }
        // A plan version changes it that says another number than the last one that says any.
        for (before, after, is_change) in [
            (Some(60), Some(72), true),
            (Some(60), Some(48), true),
            (Some(60), Some(60), false),
            (Some(60), None, false),
            (None, Some(60), false),
        ] {
            let mut story = aav();
            for (version, months) in [("1", before), ("2", None), ("3", after)] {
                let plan = pb::FollowUpPlanVersion {
                    version: version.to_owned(),
                    parameters: Some(pb::PlanParameters {
                        follow_up_months: months,
                        ..pb::PlanParameters::default()
                    }),
                    justification: justification.to_owned(),
                    communication: communication.to_owned(),
                    ..pb::FollowUpPlanVersion::default()
                };
                story.plan_version("2010-01-01", plan);
            }
            let row = told(&story, "A-17");
            let wanting = missing.filter(|_| is_change).map(|missing| {
                let months = after.unwrap_or_default();
                format!("the period becomes {months} months, and there is no {missing}")
            });
            let of = row.exceptions.first().map(|one| one.of.clone());
            let named = Of::Document("plan PLAN version 3".to_owned());
            assert_eq!(of, wanting.is_some().then_some(named));
            let have = (row.counts[0].1, reasons(&row));
            let expected = wanting.iter().map(String::as_str).collect();
            assert_eq!(
                have,
                (u64::from(is_change), expected),
                "{before:?} {after:?}"
            );
        }
    }
}

#[test]
fn a_product_on_the_market_or_applied_for_has_a_risk_management_plan() {
    use pb::ReportType::{Dsur, Psur, Recall, Rmp, Susar};
    let none = "no risk-management plan is on record";
    for (kind, of_product, is_plan, is_summary) in [
        (Rmp, "PRODUCT", true, false),
        (Rmp, "", true, false),
        (Rmp, "OTHER", false, false),
        (Dsur, "PRODUCT", false, true),
        (Psur, "PRODUCT", false, true),
        (Psur, "OTHER", false, false),
        (Susar, "PRODUCT", false, false),
        (Recall, "PRODUCT", false, false),
    ] {
        let mut story = of(ProductClass::Aav, |product| {
            product.set_phase(ProductPhase::Nda);
        });
        let report = pb::RegulatoryReport {
            report_type: kind.into(),
            product_id: of_product.to_owned(),
            submitted_on: "2011-01-01".to_owned(),
            ..pb::RegulatoryReport::default()
        };
        story.tell("2011-01-01", "", Kind::RegulatoryReport(report));
        let plan = told(&story, "A-53");
        let expected = if is_plan { vec![] } else { vec![none] };
        let have = (plan.counts[0].1, reasons(&plan));
        assert_eq!(
            have,
            (u64::from(is_plan), expected),
            "{kind:?} {of_product}"
        );
        let summaries = told(&story, "A-36").counts[0].1;
        assert_eq!(summaries, u64::from(is_summary), "{kind:?} {of_product}");
    }
}

#[test]
fn a_signal_is_about_a_product_by_its_name_its_class_or_its_lots() {
    use crate::rules::follow_up::story::GTIN;
    for (product_id, class, gtin, is_about) in [
        ("PRODUCT", ProductClass::Lenti, "", true),
        ("OTHER", ProductClass::Aav, "", true),
        ("OTHER", ProductClass::Lenti, GTIN, true),
        ("OTHER", ProductClass::Lenti, "09521123459999", false),
    ] {
        let mut story = aav();
        let signal = pb::RiskSignal {
            signal_id: "SIG".to_owned(),
            changes_risk: Some(true),
            product_ids: vec![product_id.to_owned()],
            product_classes: vec![class.into()],
            lots: vec![pb::LotKey {
                gtin: gtin.to_owned(),
                ..pb::LotKey::default()
            }],
            ..pb::RiskSignal::default()
        };
        story.tell("2011-01-01", "", Kind::RiskSignal(signal));
        for id in ["A-23", "A-27"] {
            let looked_at = told(&story, id).counts[0].1;
            assert_eq!(
                looked_at,
                u64::from(is_about),
                "{id} {product_id} {class:?}"
            );
        }
    }
}

#[test]
fn a_serious_case_is_reported_or_nobody_can_tell() {
    use Verdict::{CannotTell, Met, NotApplicable, NotMet};
    for (serious, case_id, due, submitted, verdict) in [
        (true, "C1", "2011-02-01", "2011-02-01", Met),
        (true, "C1", "2011-02-01", "2011-02-02", NotMet),
        (true, "C1", "2011-02-01", "", NotMet),
        (true, "C2", "2011-02-01", "2011-02-02", CannotTell),
        (true, "", "", "", CannotTell),
        (false, "C1", "2011-02-01", "2011-02-02", NotApplicable),
        (false, "", "", "", NotApplicable),
    ] {
        let mut story = aav();
        story.plan("1", "2010-01-01", months(60));
        story.patient("X1", "2010-06-01");
        let event = pb::AdverseEvent {
            case_id: "C1".to_owned(),
            serious: serious
                .then(|| pb::SeriousCriterion::Hospitalisation.into())
                .into_iter()
                .collect(),
            ..pb::AdverseEvent::default()
        };
        story.tell("2011-01-01", "X1", Kind::AdverseEvent(event));
        if !case_id.is_empty() {
            let report = pb::RegulatoryReport {
                report_type: pb::ReportType::Susar.into(),
                case_id: case_id.to_owned(),
                due_on: due.to_owned(),
                submitted_on: submitted.to_owned(),
                ..pb::RegulatoryReport::default()
            };
            story.tell("2011-02-02", "", Kind::RegulatoryReport(report));
        }
        let row = told(&story, "A-37");
        assert_eq!(row.verdict, verdict, "{serious} {case_id} {submitted}");
    }
}

#[test]
fn a_plan_version_names_the_consent_that_explains_it() {
    let mut story = aav();
    story.plan("1", "2010-01-01", months(60));
    check(&story, "2014-01-01", "A-35", Verdict::CannotTell, &[]);
    let plan = pb::FollowUpPlanVersion {
        version: "2".to_owned(),
        ..pb::FollowUpPlanVersion::default()
    };
    story.plan_version("2011-01-01", plan);
    let none = "no consent version explains the plan version";
    check(&story, "2014-01-01", "A-35", Verdict::NotMet, &[none]);
    let row = told(&story, "A-35");
    let of = Of::Document("plan PLAN version 2".to_owned());
    assert_eq!(row.exceptions[0].of, of);
}

#[test]
fn a_consent_document_has_each_item_if_it_is_one_of_the_product() {
    use pb::ConsentAudience::{Adult, Lar, Partner};
    for (products, audience, looked_at) in [
        (&[][..], Adult, 1),
        (&["PRODUCT"], Lar, 1),
        (&["OTHER", "PRODUCT"], Adult, 1),
        (&["OTHER"], Adult, 0),
        (&[], Partner, 0),
        (&["PRODUCT"], Partner, 0),
    ] {
        let mut story = aav();
        let document = pb::ConsentDocumentVersion {
            family: "ICF".to_owned(),
            version: "1".to_owned(),
            ordinal: 1,
            audience: audience.into(),
            product_ids: products.iter().map(|id| (*id).to_owned()).collect(),
            ..pb::ConsentDocumentVersion::default()
        };
        story.tell("2010-01-01", "", Kind::ConsentDocumentVersion(document));
        let lacks = |item: &str| format!("the document lacks {item}");
        for (id, items) in [
            ("A-19", &["I1, foreseeable risks"][..]),
            (
                "A-20",
                &[
                    "I2, purpose",
                    "I3, procedures",
                    "I4, duration",
                    "I5, visit interval",
                ],
            ),
            ("A-21", &["I6, contacts"]),
            ("A-22", &["I7, samples", "I8, genetic testing"]),
        ] {
            let row = told(&story, id);
            let items = items.iter().filter(|_| looked_at == 1);
            let wanting: Vec<String> = items.map(|item| lacks(item)).collect();
            let have = (row.counts[0].1, reasons(&row));
            let wanting: Vec<&str> = wanting.iter().map(String::as_str).collect();
            assert_eq!(have, (looked_at, wanting), "{id} {products:?} {audience:?}");
            let of = Of::Document("consent ICF version 1".to_owned());
            assert!(row.exceptions.iter().all(|one| one.of == of));
        }
    }
}

#[test]
fn what_is_owed_is_told_in_words() {
    for (what, told) in [
        (What::Visit, "a visit"),
        (What::Contact, "a contact"),
        (
            What::Sample(SamplePurpose::OffTarget),
            "a sample (off target)",
        ),
        (
            What::Added(SamplePurpose::Rcl, "2".to_owned()),
            "a sample (rcl)",
        ),
        (What::CloneConfirmation, "the confirmation of a clone"),
        (What::IntegrationSites, "the analysis of integration sites"),
        (What::Clonality, "the assessment of clonality"),
        (What::MalignancyWatch, "the watch for malignancy"),
        (What::RclTest, "the test for replication-competent virus"),
        (What::OffTarget, "the assessment of off-target activity"),
    ] {
        assert_eq!(words(&what), told);
    }
}
