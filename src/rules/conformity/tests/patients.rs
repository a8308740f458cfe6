//! What a report tells of one patient: who was asked and told, what ended early, what is overdue, what was counted.

use super::{
    super::*,
    reasons_of, row,
    stories::{aav, check, product, rows},
};
use crate::{
    pb::{Finding, MonitoringDecisionKind as Decision, SamplePurpose, record::Kind},
    rules::{
        consent::requirements::{Kind as Asked, requirements},
        follow_up::story::{SITE, Story, consent, months},
    },
};

/// A decision on the follow-up, with or without its reasons.
fn decision(decision: Decision, months: Option<u32>, communication: &str) -> Kind {
    Kind::MonitoringDecision(pb::MonitoringDecision {
        decision: decision.into(),
        product_id: "PRODUCT".to_owned(),
        follow_up_months: months,
        justification: "J".to_owned(),
        communication: communication.to_owned(),
        ..pb::MonitoringDecision::default()
    })
}

#[test]
fn a_follow_up_that_a_decision_made_shorter_has_the_reasons_of_the_decision() {
    use Decision::{Extend, Shorten, Stop, Waive};
    let shortened = "followed for 48 months, and there is no communication with the regulator";
    let ended = "ended by a decision without a communication";
    let waived = "waived by a decision without a communication";
    for (kind, months_left, communication, wanting) in [
        (Shorten, Some(48), "C", ""),
        (Shorten, Some(48), "", shortened),
        (Shorten, Some(60), "", ""),
        (Extend, Some(72), "", ""),
        (Stop, None, "C", ""),
        (Stop, None, "", ended),
        (Waive, None, "C", ""),
        (Waive, None, "", waived),
    ] {
        for patient in ["X1", ""] {
            let mut story = aav();
            story.plan("1", "2010-01-01", months(60));
            story.patient("X1", "2010-06-01");
            // What else was decided ended nothing, and needs no reasons here.
            story.tell("2010-07-01", patient, decision(Extend, None, ""));
            story.tell(
                "2011-01-01",
                patient,
                decision(kind, months_left, communication),
            );
            let (verdict, reasons) = if wanting.is_empty() {
                (Verdict::Met, vec![])
            } else {
                (Verdict::NotMet, vec![wanting])
            };
            check(&story, "2012-01-01", "A-15", verdict, &reasons);
        }
    }
}

#[test]
fn after_approval_patients_are_followed_until_a_communication_says_otherwise() {
    use Verdict::{CannotTell, Met, NotApplicable, NotMet};
    use pb::ProductPhase::{Phase3, PostMarketing};
    let ended = "follow-up was ended by a decision without a communication";
    let marketed = |phase: pb::ProductPhase| {
        let mut story = Story::default();
        let told = product(ProductClass::Aav, |product| product.set_phase(phase));
        story.tell("2010-01-01", "", told);
        story.plan("1", "2010-01-01", months(60));
        story.patient("X1", "2010-06-01");
        story
    };
    for (phase, stopped, communication, as_of, verdict, reasons) in [
        (PostMarketing, false, "", "2012-01-01", Met, &[][..]),
        // Nobody is followed any more.
        (PostMarketing, false, "", "2016-01-01", CannotTell, &[]),
        (PostMarketing, true, "C", "2012-01-01", CannotTell, &[]),
        (PostMarketing, true, "", "2012-01-01", NotMet, &[ended]),
        (Phase3, true, "", "2012-01-01", NotApplicable, &[]),
    ] {
        let mut story = marketed(phase);
        // Followed until the end of the period, and no longer.
        story.decided("X1", Decision::Shorten, Some(60), "2010-07-01");
        if stopped {
            story.tell(
                "2011-01-01",
                "X1",
                decision(Decision::Stop, None, communication),
            );
        }
        check(&story, as_of, "A-49", verdict, reasons);
    }
}

/// The obligations under which something of the patient is told to be overdue.
fn overdue(story: &Story, as_of: &str) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    for row in rows(story, as_of) {
        for reason in reasons_of(&row, "X1") {
            if reason.contains("is overdue by") {
                told.push((row.id, reason.to_owned()));
            }
        }
    }
    told
}

#[test]
fn a_sample_that_is_overdue_is_told_under_the_rule_that_asks_for_it() {
    let persistence = |days: u32, due: &str| {
        format!("a sample (persistence) is overdue by {days} days, due {due}")
    };
    let of = |ids: &[&'static str], reason: String| -> Vec<(&str, String)> {
        ids.iter().map(|id| (*id, reason.clone())).collect()
    };
    for (finding, as_of, expected) in [
        (Finding::WithinExpected, "2011-01-10", vec![]),
        // R-S1: six months after the last.
        (
            Finding::WithinExpected,
            "2011-01-11",
            of(&["A-39"], persistence(1, "2011-01-10")),
        ),
        // R-C1: three months after the result.
        (Finding::DominantClone, "2010-11-10", vec![]),
        (
            Finding::DominantClone,
            "2010-11-11",
            of(&["A-42"], persistence(1, "2010-11-10")),
        ),
        // R-C2: three months after the last.
        (Finding::ClonalExpansion, "2010-10-10", vec![]),
        (
            Finding::ClonalExpansion,
            "2010-10-12",
            of(&["A-31", "A-44"], persistence(2, "2010-10-10")),
        ),
    ] {
        let mut story = Story::of_product(&[ProductClass::Lenti]);
        story.plan("1", "2010-01-01", months(180));
        story.patient("X1", "2010-01-10");
        let purposes = [SamplePurpose::Persistence, SamplePurpose::Clonality];
        story.sample("X1", "S1", &purposes, "2010-07-10");
        story.result("X1", "S1", finding, "2010-08-10");
        assert_eq!(overdue(&story, as_of), expected, "{finding:?} {as_of}");
        // The sample that was taken was due by the interval (R-S1).
        let rows = rows(&story, as_of);
        assert_eq!(row(&rows, "A-39").counts[0].1, 1, "{finding:?} {as_of}");
    }
    // A sample for something else that the plan asks for is not among them (R-V1).
    let mut story = Story::of_product(&[ProductClass::Lenti]);
    let plan = pb::FollowUpPlanVersion {
        version: "1".to_owned(),
        parameters: Some(months(180)),
        slots: vec![pb::PlannedSlot {
            slot: "RCL-M3".to_owned(),
            kind: pb::SlotKind::Sample.into(),
            months: 3,
            purposes: vec![SamplePurpose::Rcl.into()],
            ..pb::PlannedSlot::default()
        }],
        ..pb::FollowUpPlanVersion::default()
    };
    story.plan_version("2010-01-01", plan);
    story.patient("X1", "2010-01-10");
    assert_eq!(overdue(&story, "2010-06-10"), []);
    let slots = story.schedule("X1", "2010-06-10").planned;
    assert_eq!(slots.len(), 1, "the slot is the patient's");
}

#[test]
fn what_is_asked_again_counts_for_its_product_and_for_a_change_of_the_risk() {
    let version = |products: &[&str], version: &str| pb::ConsentDocumentVersion {
        family: "ICF".to_owned(),
        version: version.to_owned(),
        ordinal: version.parse().unwrap(),
        change_class: pb::ChangeClass::ReconsentRequired.into(),
        product_ids: products.iter().map(|id| (*id).to_owned()).collect(),
        reconsent_due: Some(pb::ReconsentDue {
            due: Some(pb::reconsent_due::Due::Days(30)),
            before_next_procedure: false,
        }),
        ..pb::ConsentDocumentVersion::default()
    };
    for (products, is_told) in [
        (&[][..], true),
        (&["PRODUCT"], true),
        (&["OTHER", "PRODUCT"], true),
        (&["OTHER"], false),
    ] {
        let mut story = aav();
        story.consent_version("1", "2010-01-01", None);
        story.plan("1", "2010-01-01", months(60));
        story.patient("X1", "2010-06-01");
        let document = version(products, "2");
        story.tell("2011-01-01", "", Kind::ConsentDocumentVersion(document));
        let activated = pb::ConsentVersionActivated {
            version: Some(consent("2")),
            site: SITE.to_owned(),
            effective_from: "2011-01-01".to_owned(),
            ..pb::ConsentVersionActivated::default()
        };
        story.tell("2011-01-01", "", Kind::ConsentVersionActivated(activated));
        let rows = rows(&story, "2011-02-10");
        let told = reasons_of(row(&rows, "A-23"), "X1").join("; ");
        let expected = if is_told {
            "version 2 is overdue by 10 days"
        } else {
            ""
        };
        assert_eq!(told, expected, "{products:?}");
    }
    // Who comes of age is asked too, and not because the risk has changed.
    let mut story = aav();
    story.consent_version("1", "2010-01-01", None);
    story.plan("1", "2010-01-01", months(60));
    let registered = pb::PatientRegistered {
        majority_on: "2010-09-01".to_owned(),
        ..pb::PatientRegistered::default()
    };
    story.tell("2010-05-01", "X1", Kind::PatientRegistered(registered));
    let signed = pb::ConsentSigned {
        version: Some(consent("1")),
        signatory: pb::Signatory::Lar.into(),
        ..pb::ConsentSigned::default()
    };
    story.tell("2010-05-01", "X1", Kind::ConsentSigned(signed));
    story.given("X1", "2010-06-01");
    story.enrolled("X1", "2010-06-01");
    let as_of = "2012-01-01";
    let (patient, catalogue) = story.asked("X1", as_of);
    let signatures = Signatures::of(&patient, &catalogue);
    let asked = requirements(
        &patient,
        &catalogue,
        &signatures,
        &story.period("X1", as_of),
    );
    let asked: Vec<_> = asked.iter().map(|one| one.kind).collect();
    assert_eq!(asked, [Asked::AgeOfMajority]);
    let rows = rows(&story, as_of);
    assert_eq!(reasons_of(row(&rows, "A-23"), "X1"), Vec::<&str>::new());
}

fn visit(reached: bool, blocks: &[pb::VisitBlockKind]) -> Kind {
    let block = |kind: &pb::VisitBlockKind| pb::VisitBlock {
        block: (*kind).into(),
        status: pb::BlockStatus::Done.into(),
        ..pb::VisitBlock::default()
    };
    Kind::FollowUpVisit(pb::FollowUpVisit {
        reached: Some(reached),
        blocks: blocks.iter().map(block).collect(),
        ..pb::FollowUpVisit::default()
    })
}

fn contact(reached: bool) -> Kind {
    Kind::FollowUpContact(pb::FollowUpContact {
        reached: Some(reached),
        ..pb::FollowUpContact::default()
    })
}

fn adverse_event(case_id: &str, source: pb::EventSource, subject: pb::SubjectKind) -> Kind {
    Kind::AdverseEvent(pb::AdverseEvent {
        case_id: case_id.to_owned(),
        source: source.into(),
        subject_kind: subject.into(),
        ..pb::AdverseEvent::default()
    })
}

#[test]
fn a_patient_was_asked_by_a_visit_by_a_contact_or_for_an_event() {
    use pb::{
        EventSource::{ActiveSolicited, Hcp, PatientSelf},
        SubjectKind::Patient,
        VisitBlockKind::{AdverseEvents, History},
    };
    let never = "followed for a year or longer and never asked";
    for (told, was_asked) in [
        (None, false),
        (Some(visit(true, &[AdverseEvents])), true),
        (Some(visit(true, &[History, AdverseEvents])), true),
        (Some(visit(true, &[History])), false),
        (Some(contact(true)), true),
        (Some(contact(false)), false),
        (Some(adverse_event("C", ActiveSolicited, Patient)), true),
        (Some(adverse_event("C", PatientSelf, Patient)), false),
        (Some(adverse_event("C", Hcp, Patient)), false),
    ] {
        let mut story = aav();
        story.plan("1", "2010-01-01", months(60));
        story.patient("X1", "2010-06-01");
        let case = format!("{told:?}");
        if let Some(kind) = told {
            story.tell("2010-12-01", "X1", kind);
        }
        for (as_of, is_a_year) in [("2011-05-31", false), ("2011-06-01", true)] {
            let rows = rows(&story, as_of);
            let row = row(&rows, "A-51");
            assert_eq!(row.counts[0].1, u64::from(is_a_year), "{case}");
            let missing = reasons_of(row, "X1").contains(&never);
            assert_eq!(missing, is_a_year && !was_asked, "{as_of} {case}");
        }
    }
}

#[test]
fn what_serves_safety_is_counted_and_who_told_it() {
    use pb::{
        EventSource::{Hcp, PatientSelf},
        SubjectKind::{Contact, Partner, Patient},
    };
    let mut story = aav();
    story.plan("1", "2010-01-01", months(60));
    story.patient("X1", "2010-06-01");
    for kind in [
        visit(true, &[]),
        visit(true, &[]),
        visit(false, &[]),
        contact(true),
        contact(false),
        adverse_event("C1", PatientSelf, Patient),
        adverse_event("C2", PatientSelf, Contact),
        adverse_event("C3", Hcp, Contact),
        adverse_event("C4", Hcp, Partner),
    ] {
        story.tell("2010-12-01", "X1", kind);
    }
    let rows = rows(&story, "2011-01-01");
    for (id, what, expected) in [
        // Two visits, a contact and four events.
        ("A-04", "of safety", 7),
        ("A-07", "events in contacts", 2),
        ("A-08", "visits", 2),
        ("A-24", "adverse events", 4),
        ("A-51", "events that patients reported", 2),
        ("A-51", "contacts made", 1),
        ("A-51", "contacts that reached nobody", 1),
    ] {
        let mut counts = row(&rows, id).counts.iter();
        let count = counts.find(|(name, _)| *name == what);
        assert_eq!(count, Some(&(what, expected)), "{id}");
    }
}

#[test]
fn what_stands_in_for_a_sample_is_named_and_justified() {
    use Verdict::{Met, NotApplicable, NotMet};
    use pb::WaiverSubstitute::{ClinicalFollowUp, None as Nothing, SurrogateCells};
    let waiver = |substitute: pb::WaiverSubstitute| {
        Kind::SamplingWaiver(pb::SamplingWaiver {
            substitute: substitute.into(),
            ..pb::SamplingWaiver::default()
        })
    };
    let sample = |surrogate: Option<bool>, justification: &str| {
        Kind::SampleCollected(pb::SampleCollected {
            sample_id: "S1".to_owned(),
            surrogate,
            surrogate_justification: justification.to_owned(),
            ..pb::SampleCollected::default()
        })
    };
    let nothing = "a waiver puts nothing in the place of the samples";
    let unjustified = "surrogate sample S1 has no justification";
    for (kind, verdict, reasons) in [
        (waiver(SurrogateCells), Met, &[][..]),
        (waiver(ClinicalFollowUp), Met, &[]),
        (waiver(Nothing), NotMet, &[nothing]),
        (sample(Some(true), "J"), Met, &[]),
        (sample(Some(true), " "), NotMet, &[unjustified]),
        (sample(Some(false), ""), NotApplicable, &[]),
        (sample(None, ""), NotApplicable, &[]),
    ] {
        let mut story = aav();
        story.plan("1", "2010-01-01", months(60));
        story.patient("X1", "2010-06-01");
        story.tell("2010-12-01", "X1", kind);
        check(&story, "2011-01-01", "A-48", verdict, reasons);
    }
}

#[test]
fn each_integration_site_names_its_gene_and_its_databases_with_their_versions() {
    use Verdict::{Met, NotApplicable, NotMet};
    let site = |gene: &str, databases: &[&str]| pb::IntegrationSite {
        nearest_gene: gene.to_owned(),
        databases: databases
            .iter()
            .map(|version| pb::Database {
                name: "COSMIC".to_owned(),
                version: (*version).to_owned(),
            })
            .collect(),
        ..pb::IntegrationSite::default()
    };
    let lacks = "a site on S1 lacks its nearest gene, or a database with its version";
    for (sites, verdict, reasons) in [
        (vec![], NotApplicable, &[][..]),
        (vec![site("LMO2", &["98"])], Met, &[]),
        (vec![site("LMO2", &["98", "99"])], Met, &[]),
        (vec![site("", &["98"])], NotMet, &[lacks]),
        (vec![site("LMO2", &[])], NotMet, &[lacks]),
        (vec![site("LMO2", &["98", ""])], NotMet, &[lacks]),
        (
            vec![site("LMO2", &["98"]), site("", &["98"])],
            NotMet,
            &[lacks],
        ),
    ] {
        let mut story = Story::of_product(&[ProductClass::Lenti]);
        story.plan("1", "2010-01-01", months(180));
        story.patient("X1", "2010-01-10");
        let result = pb::AssayResult {
            sample_id: "S1".to_owned(),
            sites,
            ..pb::AssayResult::default()
        };
        story.tell("2010-07-10", "X1", Kind::AssayResult(result));
        check(&story, "2011-01-01", "A-43", verdict, reasons);
    }
}
