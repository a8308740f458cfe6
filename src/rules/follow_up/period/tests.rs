//! The end of follow-up, rule by rule, with the day before and the day after.

use super::*;
use crate::rules::consent::signatures::Signatures;
use crate::rules::{
    example::car_t,
    follow_up::story::{Story, day, known_at, months},
};

#[track_caller]
fn check(story: &Story, patient: &str, rows: &[(&str, Status, &str)]) {
    for (as_of, status, end) in rows {
        let period = story.period(patient, as_of);
        let end = (!end.is_empty()).then(|| day(end));
        assert_eq!((period.status, period.end), (*status, end), "as of {as_of}");
    }
}

/// R-D1, R-D3: the end, by classes; the last administration on the last day of a month.
#[test]
fn the_end_follows_from_the_class_and_the_last_administration() {
    use ProductClass as P;
    for (classes, plan, end) in [
        (&[P::Lenti][..], None, "2031-02-28"),
        (&[P::Gammaretro], None, "2031-02-28"),
        (&[P::OtherRetro], None, "2031-02-28"),
        (&[P::Transposon], None, "2031-02-28"),
        (&[P::GeneEditedInVivo], None, "2031-02-28"),
        (&[P::GeneEditedExVivo], None, "2031-02-28"),
        (&[P::Herpes], None, "2031-02-28"),
        (&[P::Bacterial], None, "2031-02-28"),
        (&[P::Aav], None, "2021-02-28"),
        (&[P::Aav, P::Lenti], None, "2031-02-28"),
        (&[P::Aav, P::Herpes], None, "2031-02-28"),
        (&[P::Aav, P::Plasmid], None, "2021-02-28"),
        (&[P::Plasmid], Some(24), "2018-02-28"),
        (&[P::Lenti], Some(60), "2031-02-28"),
        (&[P::Lenti], Some(181), "2031-03-29"),
        (&[P::Herpes], Some(60), "2021-02-28"),
        (&[P::Aav], Some(180), "2031-02-28"),
    ] {
        let mut story = Story::of_product(classes);
        if let Some(plan) = plan {
            story.plan("1", "2010-01-01", months(plan));
        }
        story.patient("P1", "2016-02-29");
        check(&story, "P1", &[("2016-03-01", Status::Open, end)]);
    }
}

/// R-D3, A-16: no default for these; 0 months of the product is not at all.
#[test]
fn a_product_that_says_zero_months_is_not_followed_unless_its_plan_says_so() {
    let mut story = Story::of_product(&[ProductClass::Pox]);
    story.patient("P1", "2016-02-29");
    check(
        &story,
        "P1",
        &[("2016-03-01", Status::NotRequired, "2016-02-29")],
    );
    let mut story = Story::default();
    let kind = Kind::ProductRegistered(pb::ProductRegistered {
        product_id: "PRODUCT".to_owned(),
        gtins: vec![crate::rules::follow_up::story::GTIN.to_owned()],
        product_classes: vec![ProductClass::Rna.into()],
        ..Default::default()
    });
    story.tell("2010-01-01", "", kind);
    story.patient("P1", "2016-02-29");
    check(&story, "P1", &[("2066-03-01", Status::Open, "")]);
}

#[test]
fn who_is_not_treated_has_no_period_and_who_is_not_enrolled_is_told() {
    let mut story = Story::of_product(&[ProductClass::Aav]);
    story.tell(
        "2016-01-01",
        "P1",
        Kind::PatientRegistered(pb::PatientRegistered::default()),
    );
    check(&story, "P1", &[("2016-01-01", Status::NotTreated, "")]);
    story.given("P1", "2016-02-01");
    story.enrolled("P1", "2016-02-03");
    check(
        &story,
        "P1",
        &[
            ("2016-01-31", Status::NotTreated, ""),
            ("2016-02-01", Status::NotEnrolled, "2021-02-01"),
            ("2016-02-02", Status::NotEnrolled, "2021-02-01"),
            ("2016-02-03", Status::Open, "2021-02-01"),
            ("2021-02-01", Status::Open, "2021-02-01"),
            ("2021-02-02", Status::Completed, "2021-02-01"),
        ],
    );
    story.state("P1", pb::PatientState::Deceased, "2018-05-05");
    check(
        &story,
        "P1",
        &[
            ("2018-05-04", Status::Open, "2021-02-01"),
            ("2018-05-05", Status::Dead, "2021-02-01"),
        ],
    );
}

/// A.3-1: the last administration, unless the plan says the first.
#[test]
fn the_anchor_is_the_last_administration_unless_the_plan_says_the_first() {
    for (anchor, end) in [
        (Anchor::LastAdministration, "2021-08-31"),
        (Anchor::FirstAdministration, "2021-02-28"),
    ] {
        let mut story = Story::of_product(&[ProductClass::Aav]);
        let parameters = pb::PlanParameters {
            anchor: anchor.into(),
            ..Default::default()
        };
        story.plan("1", "2010-01-01", parameters);
        story.patient("P1", "2016-02-29");
        story.given("P1", "2016-08-31");
        check(
            &story,
            "P1",
            &[
                ("2016-08-30", Status::Open, "2021-02-28"),
                ("2016-08-31", Status::Open, end),
            ],
        );
    }
}

/// R-A1: the version that is signed holds from that day on.
#[test]
fn a_longer_plan_holds_once_its_consent_is_signed() {
    let mut story = Story::of_amendment("2020-06-01");
    story.patient("P1", "2016-01-15");
    story.signed("P1", "2", "2020-07-31");
    check(
        &story,
        "P1",
        &[
            ("2020-06-01", Status::Open, "2021-01-15"),
            ("2020-07-30", Status::Open, "2021-01-15"),
            ("2020-07-31", Status::Open, "2031-01-15"),
            ("2031-01-16", Status::Completed, "2031-01-15"),
        ],
    );
    let course = &story.period("P1", "2020-06-01").courses[0];
    assert_eq!(course.plan.as_ref().unwrap().version.version, "2", "R-E2");
    let amendment = &course.amendments[0];
    assert_eq!(amendment.state, AmendmentState::Awaited);
    assert_eq!(amendment.deadline, Some(day("2020-07-31")));
    let course = &story.period("P1", "2020-07-31").courses[0];
    let given = AmendmentState::Given(day("2020-07-31"));
    assert_eq!(course.amendments[0].state, given);
    assert!(course.why.basis.contains("R-A1"));
}

/// R-A3: open past the old end until the deadline has passed.
#[test]
fn a_follow_up_stays_open_past_its_old_end_until_the_deadline_has_passed() {
    let mut story = Story::of_amendment("2021-01-15");
    story.patient("P1", "2016-01-15");
    check(
        &story,
        "P1",
        &[
            ("2021-01-15", Status::Open, "2021-01-15"),
            ("2021-01-16", Status::OpenPendingReconsent, "2021-01-15"),
            ("2021-03-16", Status::OpenPendingReconsent, "2021-01-15"),
            ("2021-03-17", Status::Completed, "2021-01-15"),
        ],
    );
    let missed = |as_of| story.period("P1", as_of).courses[0].missed().count();
    assert_eq!((missed("2021-03-16"), missed("2021-03-17")), (0, 1));
    for (as_of, waits) in [
        ("2021-01-15", false),
        ("2021-01-16", true),
        ("2021-03-16", true),
        ("2021-03-17", false),
    ] {
        let why = &story.period("P1", as_of).courses[0].why;
        assert_eq!(why.basis.contains("R-A3"), waits, "{as_of}");
    }
    // Signed on the last day it is in time; a day later it changes nothing.
    story.patient("P2", "2016-01-15");
    story.signed("P2", "2", "2021-03-16");
    check(
        &story,
        "P2",
        &[
            ("2021-03-15", Status::OpenPendingReconsent, "2021-01-15"),
            ("2021-03-16", Status::Open, "2031-01-15"),
        ],
    );
    story.patient("P3", "2016-01-15");
    story.signed("P3", "2", "2021-03-17");
    check(
        &story,
        "P3",
        &[("2021-03-17", Status::Completed, "2021-01-15")],
    );
}

/// R-A3: more months, or as many until no risk; not as many that end by themselves.
#[test]
fn a_version_is_longer_if_it_asks_for_more_months_or_for_no_risk() {
    for (before, after, expected) in [
        ((60, false), (72, false), Some(true)),
        ((60, false), (60, true), Some(true)),
        ((60, false), (48, true), Some(false)),
        ((60, true), (60, false), Some(false)),
        ((60, true), (48, false), Some(false)),
        ((60, false), (60, false), None),
        ((60, true), (60, true), None),
    ] {
        let asks = |(months, until_no_risk): (u32, bool)| pb::PlanParameters {
            follow_up_months: Some(months),
            until_no_risk: Some(until_no_risk),
            ..pb::PlanParameters::default()
        };
        let mut story = Story::of_product(&[ProductClass::Aav]);
        story.consent_version("1", "2010-01-01", None);
        story.plan("1", "2010-01-01", asks(before));
        story.consent_version("2", "2020-01-15", Some(60));
        story.plan("2", "2020-01-15", asks(after));
        story.patient("P1", "2016-01-15");
        let course = &story.period("P1", "2020-01-15").courses[0];
        let longer = course.amendments.first().map(|one| one.is_longer);
        assert_eq!(longer, expected, "{before:?} {after:?}");
    }
}

/// R-A1: of two versions that wait, the one that is signed holds; the newer one goes on waiting, the older one does
/// not.
#[test]
fn a_signature_leaves_only_newer_versions_to_be_waited_for() {
    let mut story = Story::of_amendment("2020-06-01");
    // The plan of the third is in force before its consent: until then the second may be signed.
    story.plan("3", "2020-07-01", months(240));
    story.consent_version("3", "2020-07-21", Some(60));
    for (patient, signed) in [
        ("P0", None),
        ("P2", Some(("2", "2020-07-20"))),
        ("P3", Some(("3", "2020-07-21"))),
    ] {
        story.patient(patient, "2016-01-15");
        if let Some((version, on)) = signed {
            story.signed(patient, version, on);
        }
    }
    let waiting = |patient: &str| -> Vec<(String, AmendmentState)> {
        let course = story.period(patient, "2020-07-21").courses.remove(0);
        let amendments = course.amendments.into_iter();
        amendments
            .map(|one| (one.plan.version, one.state))
            .collect()
    };
    let awaited = AmendmentState::Awaited;
    let given = |on| AmendmentState::Given(day(on));
    let of = |version: &str, state: &AmendmentState| (version.to_owned(), *state);
    assert_eq!(waiting("P0"), [of("2", &awaited), of("3", &awaited)]);
    assert_eq!(
        waiting("P2"),
        [of("2", &given("2020-07-20")), of("3", &awaited)]
    );
    assert_eq!(waiting("P3"), [of("3", &given("2020-07-21"))]);
}

/// R-A1, R-A3: who is enrolled again has missed nothing any more, and follows what was consented to by then.
#[test]
fn who_is_enrolled_again_has_missed_nothing_that_is_in_force() {
    let mut story = Story::of_amendment("2021-01-10");
    story.consent_version("3", "2021-01-12", Some(60));
    story.plan("3", "2021-01-12", months(240));
    story.patient("P1", "2016-01-15");
    story.enrolled("P1", "2021-06-01");
    let missed = |as_of| story.period("P1", as_of).courses[0].missed().count();
    assert_eq!((missed("2021-05-31"), missed("2021-06-01")), (2, 0));
    let states = |story: &Story, as_of| -> Vec<AmendmentState> {
        let course = story.period("P1", as_of).courses.remove(0);
        course.amendments.iter().map(|one| one.state).collect()
    };
    let waits = AmendmentState::Awaited;
    assert_eq!(states(&story, "2021-06-01"), [waits, waits]);
    let longest = "2036-01-15";
    story.signed("P1", "3", "2021-06-20");
    let followed = ("2021-06-20", Status::Open, longest);
    let waiting = Status::OpenPendingReconsent;
    check(
        &story,
        "P1",
        &[("2021-06-19", waiting, "2021-01-15"), followed],
    );
    // Signed before the return, it holds from the return on.
    story.signed("P1", "3", "2021-05-31");
    check(
        &story,
        "P1",
        &[
            ("2021-05-31", Status::Completed, "2021-01-15"),
            ("2021-06-01", Status::Open, longest),
        ],
    );
    assert_eq!(states(&story, "2021-06-01"), [], "none is waited for");
}

/// R-A1, R-K8: a return without a signature changes no end, and a refusal after it ends the waiting.
#[test]
fn who_is_enrolled_again_without_having_signed_is_not_followed_longer_without_being_asked() {
    let old = "2021-01-15";
    let waiting = Status::OpenPendingReconsent;
    for (declined, status) in [
        ("2021-02-01", waiting),
        ("2021-05-31", waiting),
        ("2021-06-01", Status::Completed),
        ("2021-07-01", waiting),
    ] {
        let mut story = Story::of_amendment("2021-01-10");
        story.patient("P1", "2016-01-15");
        story.enrolled("P1", "2021-06-01");
        story.declined("P1", "2", declined);
        let on_return = ("2021-06-01", status, old);
        let later = match declined {
            "2021-02-01" | "2021-05-31" => waiting,
            _ => Status::Completed,
        };
        check(&story, "P1", &[on_return, ("2021-07-01", later, old)]);
    }
}

/// R-A3, of as many months or until no risk: that may be longer, and is waited for like more months.
#[test]
fn a_version_that_asks_for_no_risk_is_a_longer_one() {
    for (months, until_no_risk, status) in [
        (60, true, Status::OpenPendingReconsent),
        (60, false, Status::Completed),
    ] {
        let asks = |until_no_risk| pb::PlanParameters {
            follow_up_months: Some(months),
            until_no_risk: Some(until_no_risk),
            ..pb::PlanParameters::default()
        };
        let mut story = Story::of_product(&[ProductClass::Aav]);
        story.consent_version("1", "2010-01-01", None);
        story.plan("1", "2010-01-01", asks(false));
        story.consent_version("2", "2021-01-15", Some(60));
        story.plan("2", "2021-01-15", asks(until_no_risk));
        story.patient("P1", "2016-01-15");
        check(
            &story,
            "P1",
            &[
                ("2021-01-15", Status::Open, "2021-01-15"),
                ("2021-01-16", status, "2021-01-15"),
                ("2021-03-17", Status::Completed, "2021-01-15"),
            ],
        );
    }
}

#[test]
fn a_follow_up_past_its_old_end_is_over_on_the_day_of_the_decline() {
    let mut story = Story::of_amendment("2021-01-10");
    story.patient("P1", "2016-01-15");
    story.declined("P1", "2", "2021-02-01");
    check(
        &story,
        "P1",
        &[
            ("2021-01-31", Status::OpenPendingReconsent, "2021-01-15"),
            ("2021-02-01", Status::Completed, "2021-01-15"),
        ],
    );
    let course = &story.period("P1", "2021-02-01").courses[0];
    let declined = AmendmentState::Declined(day("2021-02-01"));
    assert_eq!(course.amendments[0].state, declined);
    assert_eq!(course.missed().count(), 0);
    // Declined while the old period ran, it still runs; signed after all, it holds.
    story.patient("P2", "2016-03-01");
    story.declined("P2", "2", "2021-02-01");
    story.signed("P2", "2", "2021-03-01");
    check(
        &story,
        "P2",
        &[
            ("2021-02-28", Status::Open, "2021-03-01"),
            ("2021-03-01", Status::Open, "2031-03-01"),
        ],
    );
    story.patient("P3", "2016-02-28");
    story.declined("P3", "2", "2021-02-01");
    story.signed("P3", "2", "2021-03-01");
    check(
        &story,
        "P3",
        &[("2021-03-01", Status::Completed, "2021-02-28")],
    );
}

/// R-A2: who is not followed any more on the effective day is recontacted.
#[test]
fn who_had_completed_before_an_amendment_is_missed_until_enrolled_again() {
    let mut story = Story::of_amendment("2021-01-16");
    story.patient("P1", "2016-01-15");
    story.signed("P1", "2", "2021-02-01");
    story.enrolled("P1", "2021-02-03");
    check(
        &story,
        "P1",
        &[
            ("2021-01-15", Status::Open, "2021-01-15"),
            ("2021-01-16", Status::Completed, "2021-01-15"),
            ("2021-02-02", Status::Completed, "2021-01-15"),
            ("2021-02-03", Status::Open, "2031-01-15"),
        ],
    );
    let before = story.period("P1", "2021-02-02");
    assert_eq!(before.courses[0].missed().count(), 1);
    assert!(before.gaps().is_empty());
    let after = story.period("P1", "2021-02-03");
    assert_eq!(after.courses[0].missed().count(), 0);
    let gap = Gap {
        from: day("2021-01-15"),
        to: day("2021-02-03"),
    };
    assert_eq!(after.gaps(), [gap]);
}

#[test]
fn a_second_enrolment_of_one_who_is_followed_changes_nothing() {
    let mut story = Story::of_amendment("2020-06-01");
    story.patient("P1", "2016-01-15");
    story.enrolled("P1", "2020-07-01");
    check(&story, "P1", &[("2020-07-01", Status::Open, "2021-01-15")]);
    assert!(story.period("P1", "2022-01-01").gaps().is_empty());
}

#[test]
fn who_is_enrolled_under_the_longer_plan_follows_it_from_the_start() {
    let mut story = Story::of_amendment("2016-01-15");
    story.patient("P1", "2016-01-15");
    check(&story, "P1", &[("2016-01-15", Status::Open, "2031-01-15")]);
}

/// R-V4, A-33.
#[test]
fn persistence_at_the_end_keeps_it_open_until_a_decision() {
    use pb::{Finding, MonitoringDecisionKind as D, SamplePurpose};
    let mut story = Story::of_amendment("2040-01-01");
    story.patient("P1", "2016-01-15");
    story.sample("P1", "S1", &[SamplePurpose::Persistence], "2020-12-01");
    story.result("P1", "S1", Finding::WithinExpected, "2021-01-15");
    check(&story, "P1", &[("2021-01-16", Status::Open, "2021-01-15")]);
    assert!(story.period("P1", "2021-01-16").courses[0].until_decision);
    story.result("P1", "S1", Finding::VectorNotDetected, "2021-01-17");
    check(&story, "P1", &[("2021-02-16", Status::Open, "2021-01-15")]);
    story.decided("P1", D::Stop, None, "2021-03-01");
    check(
        &story,
        "P1",
        &[
            ("2021-02-28", Status::Open, "2021-01-15"),
            ("2021-03-01", Status::Stopped, "2021-01-15"),
        ],
    );
    // Issued after the end, a result does not open it again; nor does one without vector.
    story.patient("P2", "2016-01-15");
    story.sample("P2", "S2", &[SamplePurpose::Persistence], "2020-12-01");
    story.result("P2", "S2", Finding::WithinExpected, "2021-01-14");
    story.result("P2", "S2", Finding::VectorNotDetected, "2021-01-15");
    story.result("P2", "S2", Finding::WithinExpected, "2021-01-16");
    check(
        &story,
        "P2",
        &[("2021-01-16", Status::Completed, "2021-01-15")],
    );
}

#[test]
fn what_was_decided_before_the_treatment_counts_in_the_order_in_which_it_was_decided() {
    use pb::MonitoringDecisionKind as D;
    for (of_product, of_patient, status) in [
        ("2015-01-01", "2015-06-01", Status::Open),
        ("2015-06-01", "2015-01-01", Status::Stopped),
    ] {
        let mut story = Story::of_product(&[ProductClass::Aav]);
        story.decided("P1", D::Resume, None, of_patient);
        story.decided("", D::Stop, None, of_product);
        story.patient("P1", "2016-02-01");
        let end = if status == Status::Open {
            "2021-02-01"
        } else {
            "2016-02-01"
        };
        check(&story, "P1", &[("2017-01-01", status, end)]);
    }
}

#[test]
fn only_a_decision_ends_waives_or_changes_a_follow_up() {
    use pb::MonitoringDecisionKind as D;
    for (decision, months, rows) in [
        (
            D::Stop,
            None,
            [Status::Stopped, Status::Stopped, Status::Stopped],
        ),
        (
            D::Waive,
            None,
            [Status::Waived, Status::Waived, Status::Waived],
        ),
        (
            D::Shorten,
            Some(48),
            [Status::Completed, Status::Completed, Status::Completed],
        ),
        (
            D::Shorten,
            Some(55),
            [Status::Open, Status::Completed, Status::Completed],
        ),
        (
            D::Extend,
            Some(72),
            [Status::Open, Status::Open, Status::Completed],
        ),
        (D::Extend, None, [Status::Open, Status::Open, Status::Open]),
        (
            D::Intensify,
            None,
            [Status::Open, Status::Open, Status::Completed],
        ),
        (
            D::Resume,
            None,
            [Status::Open, Status::Open, Status::Completed],
        ),
    ] {
        for of_product in [false, true] {
            let mut story = Story::of_amendment("2040-01-01");
            story.patient("P1", "2016-01-15");
            let of = if of_product { "" } else { "P1" };
            story.decided(of, decision, months, "2020-03-01");
            let days = ["2020-03-01", "2021-01-15", "2022-01-16"];
            assert_eq!(story.period("P1", "2020-02-29").status, Status::Open);
            let have = days.map(|on| story.period("P1", on).status);
            let mut rows = rows;
            if of_product && (decision, months) == (D::Extend, None) {
                // For many, it is the plan version that says how long.
                rows[2] = Status::Completed;
            }
            assert_eq!(have, rows, "{decision:?} {months:?} {of_product}");
        }
    }
}

/// R-A1 to R-A3: that a product is followed longer is decided once, for all; each patient's end is changed by the
/// patient's own consent.
#[test]
fn a_decision_to_extend_for_all_keeps_nobody_followed_who_has_not_consented() {
    use pb::MonitoringDecisionKind as D;
    let amended = |effective: &str| {
        let mut story = Story::of_amendment(effective);
        story.patient("P1", "2016-01-15");
        story.decided("", D::Extend, None, "2020-12-20");
        story
    };
    let old = "2021-01-15";
    check(
        &amended("2021-01-16"),
        "P1",
        &[("2021-01-16", Status::Completed, old)],
    );
    let waiting = ("2021-01-16", Status::OpenPendingReconsent, old);
    let missed = ("2021-03-17", Status::Completed, old);
    check(&amended("2021-01-15"), "P1", &[waiting, missed]);
    let mut story = amended("2021-01-15");
    story.declined("P1", "2", "2021-02-01");
    check(
        &story,
        "P1",
        &[waiting, ("2021-02-01", Status::Completed, old)],
    );
    let mut story = amended("2021-01-15");
    story.signed("P1", "2", "2021-03-16");
    let longer = "2031-01-15";
    check(
        &story,
        "P1",
        &[
            waiting,
            ("2021-03-16", Status::Open, longer),
            ("2031-01-16", Status::Completed, longer),
        ],
    );
}

/// R-K4: what is due at the next visit is due on the day of the first that was held, not of one that reached nobody.
#[test]
fn what_is_due_at_the_next_visit_is_due_when_it_is_held() {
    let document = pb::ConsentDocumentVersion {
        reconsent_due: Some(pb::ReconsentDue {
            due: Some(pb::reconsent_due::Due::NextVisit(pb::NextVisit {})),
            before_next_procedure: false,
        }),
        ..Default::default()
    };
    let mut story = Story::of_product(&[ProductClass::Aav]);
    for (on, reached) in [
        ("2020-05-31", Some(true)),
        ("2020-06-02", Some(false)),
        ("2020-06-10", Some(true)),
        ("2020-07-10", None),
    ] {
        let visit = pb::FollowUpVisit {
            reached,
            ..Default::default()
        };
        story.tell(on, "P1", Kind::FollowUpVisit(visit));
    }
    let (patient, _) = story.asked("P1", "2021-01-01");
    for (from, due) in [
        ("2020-05-31", Some("2020-05-31")),
        ("2020-06-01", Some("2020-06-10")),
        ("2020-06-10", Some("2020-06-10")),
        ("2020-06-11", Some("2020-07-10")),
        ("2020-07-11", None),
    ] {
        let have = deadline(&document, day(from), &patient);
        assert_eq!(have, due.map(day), "from {from}");
    }
}

/// R-D3: what may persist as an infection or become latent is followed like a latent vector.
#[test]
fn a_risk_of_persistence_has_the_period_of_a_latent_vector() {
    use pb::{RiskFactor as R, RiskState as S};
    for (factor, state, end) in [
        (R::LatencyReactivation, S::Present, "2031-02-28"),
        (R::PersistentInfection, S::Present, "2031-02-28"),
        (R::PersistentInfection, S::Absent, ""),
        (R::PersistentInfection, S::Unknown, ""),
        (R::Shedding, S::Present, ""),
    ] {
        let mut story = Story::default();
        let kind = Kind::ProductRegistered(pb::ProductRegistered {
            product_id: "PRODUCT".to_owned(),
            gtins: vec![crate::rules::follow_up::story::GTIN.to_owned()],
            product_classes: vec![ProductClass::Plasmid.into()],
            risk_profile: vec![pb::RiskFactorState {
                factor: factor.into(),
                state: state.into(),
                evidence: None,
            }],
            ..Default::default()
        });
        story.tell("2010-01-01", "", kind);
        story.patient("P1", "2016-02-29");
        check(&story, "P1", &[("2016-03-01", Status::Open, end)]);
    }
}

#[test]
fn a_follow_up_that_is_over_is_not_ended_or_taken_up_by_a_decision() {
    use pb::MonitoringDecisionKind as D;
    for (decision, months) in [
        (D::Stop, None),
        (D::Waive, None),
        (D::Shorten, Some(48)),
        (D::Extend, Some(180)),
        (D::Extend, None),
    ] {
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        story.decided("P1", decision, months, "2021-02-01");
        check(
            &story,
            "P1",
            &[("2021-02-01", Status::Completed, "2021-01-15")],
        );
    }
}

#[test]
fn a_decision_about_another_product_ends_nothing() {
    use pb::MonitoringDecisionKind as D;
    for (product_id, status) in [
        ("", Status::Stopped),
        ("PRODUCT", Status::Stopped),
        ("OTHER", Status::Open),
    ] {
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        let decision = pb::MonitoringDecision {
            decision: D::Stop.into(),
            product_id: product_id.to_owned(),
            ..pb::MonitoringDecision::default()
        };
        story.tell("2018-01-01", "P1", Kind::MonitoringDecision(decision));
        let have = story.period("P1", "2018-01-01").status;
        assert_eq!(have, status, "{product_id}");
    }
}

/// Who is treated again is followed again; a waiver holds for what is given later too.
#[test]
fn a_second_administration_ends_a_stop_and_no_waiver() {
    use pb::MonitoringDecisionKind as D;
    for (decision, status, end) in [
        (D::Stop, Status::Open, "2023-06-01"),
        (D::Waive, Status::Waived, "2018-01-01"),
    ] {
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        story.decided("P1", decision, None, "2018-01-01");
        story.given("P1", "2018-06-01");
        check(&story, "P1", &[("2018-06-01", status, end)]);
    }
}

/// A plan version is explained by the consent version that it names, or else by the one that names it.
#[test]
fn a_consent_version_may_name_the_plan_that_it_explains() {
    let plan = |version: &str| pb::PlanVersionKey {
        plan_id: "PLAN".to_owned(),
        version: version.to_owned(),
    };
    for (named, expected) in [(None, Some("2")), (Some("1"), Some("1"))] {
        let mut story = Story::of_product(&[ProductClass::Aav]);
        for (version, explains) in [("1", None), ("2", Some(plan("1"))), ("3", Some(plan("2")))] {
            let document = pb::ConsentDocumentVersion {
                family: "ICF".to_owned(),
                version: version.to_owned(),
                ordinal: version.parse().unwrap(),
                plan: explains,
                ..Default::default()
            };
            story.tell("2010-01-01", "", Kind::ConsentDocumentVersion(document));
        }
        let version = pb::FollowUpPlanVersion {
            version: "1".to_owned(),
            linked_consent: named.map(crate::rules::follow_up::story::consent),
            ..Default::default()
        };
        story.plan_version("2010-01-01", version);
        let (_, catalogue) = story.asked("P1", "2011-01-01");
        let version = catalogue.plan_version(&plan("1")).unwrap();
        let linked = linked_consent(&catalogue, version).map(|key| key.version);
        assert_eq!(linked.as_deref(), expected, "{named:?}");
    }
}

#[test]
fn a_decision_for_many_holds_for_those_whom_it_names() {
    use pb::MonitoringDecisionKind as D;
    let scope = |patients: &[&str]| {
        Some(pb::CohortScope {
            patients: patients.iter().map(|id| (*id).to_owned()).collect(),
            ..pb::CohortScope::default()
        })
    };
    for (product_id, scope, status) in [
        ("PRODUCT", None, Status::Stopped),
        ("PRODUCT", scope(&["P1"]), Status::Stopped),
        ("PRODUCT", scope(&["P2"]), Status::Open),
        ("", scope(&["P1"]), Status::Stopped),
        ("", scope(&["P2"]), Status::Open),
        ("", None, Status::Open),
    ] {
        let mut story = Story::of_amendment("2040-01-01");
        story.patient("P1", "2016-01-15");
        let case = format!("{product_id} {scope:?}");
        let decision = pb::MonitoringDecision {
            decision: D::Stop.into(),
            product_id: product_id.to_owned(),
            scope,
            ..pb::MonitoringDecision::default()
        };
        story.tell("2018-01-01", "", Kind::MonitoringDecision(decision));
        let have = story.period("P1", "2018-01-01").status;
        assert_eq!(have, status, "{case}");
    }
}

#[test]
fn a_version_is_waited_for_from_the_day_on_which_it_is_effective() {
    let mut story = Story::of_amendment("2020-06-01");
    story.patient("P1", "2016-01-15");
    // Recorded, and effective on a later day.
    let plan = pb::FollowUpPlanVersion {
        plan_id: "PLAN".to_owned(),
        version: "3".to_owned(),
        ordinal: 3,
        parameters: Some(months(240)),
        linked_consent: Some(crate::rules::follow_up::story::consent("2")),
        ..Default::default()
    };
    story.tell("2020-01-01", "", Kind::FollowUpPlanVersion(plan));
    let activated = pb::PlanActivated {
        plan: Some(pb::PlanVersionKey {
            plan_id: "PLAN".to_owned(),
            version: "3".to_owned(),
        }),
        site: crate::rules::follow_up::story::SITE.to_owned(),
        effective_from: "2020-09-01".to_owned(),
        ..Default::default()
    };
    story.tell("2020-01-01", "", Kind::PlanActivated(activated));
    for (as_of, versions) in [
        ("2020-05-31", &[][..]),
        ("2020-06-01", &["2"]),
        ("2020-08-31", &["2"]),
        ("2020-09-01", &["2", "3"]),
    ] {
        let course = story.period("P1", as_of).courses.remove(0);
        let amendments = course.amendments.into_iter();
        let have: Vec<String> = amendments.map(|one| one.plan.version).collect();
        assert_eq!(have, versions, "{as_of}");
    }
}

#[test]
fn what_was_stopped_goes_on_when_it_is_resumed() {
    use pb::MonitoringDecisionKind as D;
    let mut story = Story::of_amendment("2040-01-01");
    story.patient("P1", "2016-01-15");
    story.decided("P1", D::Stop, None, "2018-01-01");
    story.decided("P1", D::Resume, None, "2018-06-01");
    check(
        &story,
        "P1",
        &[
            ("2018-05-31", Status::Stopped, "2018-01-01"),
            ("2018-06-01", Status::Open, "2021-01-15"),
        ],
    );
}

#[test]
fn who_is_treated_again_after_the_end_is_followed_again() {
    let mut story = Story::of_amendment("2040-01-01");
    story.patient("P1", "2010-01-15");
    story.given("P1", "2016-01-15");
    check(
        &story,
        "P1",
        &[
            ("2016-01-14", Status::Completed, "2015-01-15"),
            ("2016-01-15", Status::Open, "2021-01-15"),
        ],
    );
}

#[test]
fn the_car_t_history_ends_when_it_says() {
    let book = car_t();
    let known_at = known_at(&book, "2026-01-15");
    let story = Story::over(book);
    for (patient, end, status) in [
        ("P1", "2034-03-15", Status::Open),
        ("P2", "2034-08-31", Status::Dead),
        ("P3", "2035-02-28", Status::Open),
        ("P4", "2035-11-20", Status::Open),
        ("P5", "2036-06-18", Status::Open),
        ("P6", "2037-05-10", Status::Open),
    ] {
        let question = crate::rules::question::Question {
            known_at,
            ..story.question("2026-01-15")
        };
        let (patient, catalogue) = story.asked_as(patient, &question);
        let signatures = Signatures::of(&patient, &catalogue);
        let period = Period::of(&patient, &catalogue, &signatures, question.as_of);
        assert_eq!((period.end, period.status), (Some(day(end)), status));
    }
}

/// R-D3: the product may ask for more than its class, and not for less.
#[test]
fn a_product_says_how_long_as_long_as_it_is_not_less_than_its_class() {
    let own = || Source::Product("PRODUCT".to_owned());
    let class = || Source::Guideline("R-D3");
    for (months, end, source) in [
        (Some(180), "2031-02-28", own()),
        (Some(61), "2021-03-29", own()),
        (Some(60), "2021-02-28", own()),
        (Some(59), "2021-02-28", class()),
        (None, "2021-02-28", class()),
    ] {
        let mut story = Story::default();
        let kind = Kind::ProductRegistered(pb::ProductRegistered {
            product_id: "PRODUCT".to_owned(),
            gtins: vec![crate::rules::follow_up::story::GTIN.to_owned()],
            product_classes: vec![ProductClass::Aav.into()],
            follow_up_default_months: months,
            ..Default::default()
        });
        story.tell("2010-01-01", "", kind);
        story.patient("P1", "2016-02-29");
        check(&story, "P1", &[("2016-03-01", Status::Open, end)]);
        let course = story.period("P1", "2016-03-01").courses.remove(0);
        assert_eq!(course.months.unwrap().source, source, "{months:?}");
    }
}

/// R-D3, A-12, A-17: less than the floor of an integrating product counts with reasons that the regulator knows of.
#[test]
fn a_plan_below_the_floor_holds_with_both_of_its_reasons() {
    let plan_says = || {
        let key = pb::PlanVersionKey {
            plan_id: "PLAN".to_owned(),
            version: "1".to_owned(),
        };
        Source::Plan(Arc::new(key))
    };
    let floor = || Source::Guideline("R-D3");
    for (months, justification, communication, holds, source) in [
        (120, "", "", 180, floor()),
        (120, "J", "", 180, floor()),
        (120, "", "C", 180, floor()),
        (120, "J", "C", 120, plan_says()),
        (179, "", "", 180, floor()),
        (180, "", "", 180, plan_says()),
        (181, "", "", 181, plan_says()),
    ] {
        let mut story = Story::of_product(&[ProductClass::Lenti]);
        let plan = pb::FollowUpPlanVersion {
            version: "1".to_owned(),
            parameters: Some(super::super::story::months(months)),
            justification: justification.to_owned(),
            communication: communication.to_owned(),
            ..Default::default()
        };
        story.plan_version("2010-01-01", plan);
        story.patient("P1", "2016-02-29");
        let course = story.period("P1", "2016-03-01").courses.remove(0);
        let have = course.months.unwrap();
        let case = (months, justification, communication);
        assert_eq!((have.value, have.source), (holds, source), "{case:?}");
    }
}

/// R-D4: it is until decided from the day after the end on, and only while it is open.
#[test]
fn what_is_held_open_at_the_end_is_held_from_the_day_after_it() {
    use pb::{Finding, SamplePurpose};
    let mut story = Story::of_amendment("2040-01-01");
    story.patient("P1", "2016-01-15");
    story.sample("P1", "S1", &[SamplePurpose::Persistence], "2020-12-01");
    story.result("P1", "S1", Finding::WithinExpected, "2021-01-10");
    let held = |story: &Story, on: &str| story.period("P1", on).courses[0].until_decision;
    assert!(!held(&story, "2021-01-15"), "the last day of its own");
    assert!(held(&story, "2021-01-16"));
    story.state("P1", pb::PatientState::Deceased, "2021-02-01");
    let period = story.period("P1", "2021-02-01");
    assert_eq!(period.status, Status::Dead);
}

#[test]
fn a_product_that_is_given_twice_has_one_course() {
    let mut story = Story::of_product(&[ProductClass::Aav]);
    story.plan("1", "2010-01-01", months(60));
    story.patient("X1", "2010-01-10");
    story.given("X1", "2010-03-10");
    let products = |story: &Story| -> Vec<String> {
        let courses = story.period("X1", "2011-01-01").courses;
        courses.into_iter().map(|one| one.product_id).collect()
    };
    assert_eq!(products(&story), ["PRODUCT"]);
    let second = pb::ProductRegistered {
        product_id: "SECOND".to_owned(),
        version: 1,
        product_classes: vec![ProductClass::Aav.into()],
        ..pb::ProductRegistered::default()
    };
    story.tell("2010-01-01", "", Kind::ProductRegistered(second));
    for on in ["2010-04-10", "2010-05-10"] {
        let given = pb::Administration {
            product_id: "SECOND".to_owned(),
            status: pb::AdministrationStatus::Given.into(),
            ..pb::Administration::default()
        };
        story.tell(on, "X1", Kind::Administration(given));
    }
    story.given("X1", "2010-06-10");
    assert_eq!(products(&story), ["PRODUCT", "SECOND"]);
}
