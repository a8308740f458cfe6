//! Versions of plans: which follow each other, what a change of the period needs, and what signals and recalls they
//! and the consent versions answer.

use serde_json::{Value, json};

use super::{DAY, SITE, check, extended, key, treated};

fn plan(version: &str, ordinal: u32, more: &Value) -> Value {
    let plan = json!({"planId": "P", "version": version, "ordinal": ordinal});
    json!({"followUpPlanVersion": extended(plan, more)})
}

fn consent(version: &str, ordinal: u32, more: &Value) -> Value {
    let document =
        json!({"family": "F", "version": version, "ordinal": ordinal, "language": "zh-CN"});
    json!({"consentDocumentVersion": extended(document, more)})
}

#[test]
fn versions_follow_each_other_without_a_gap() {
    let code = "ORDINAL_GAP";
    for version in [plan, consent] {
        let first = || {
            let mut story = treated();
            story.tell("2026-01-05", "", version("1", 1, &json!({})));
            story
        };
        let of = |ordinal: u32| (DAY, version("new", ordinal, &json!({})));
        check(&first, code, of(3), of(2));
        // The first version follows none.
        check(&treated, code, of(2), of(1));
        // One that another has followed already is no gap, even if it is told again.
        check(&first, code, of(4), of(1));
    }
}

#[test]
fn a_translation_is_of_a_version_in_another_language() {
    let code = "TRANSLATION_WITHOUT_SOURCE";
    let of = |version: &str, source: &str, language: &str| {
        let more = json!({"translationOf": source, "language": language});
        (DAY, consent(version, 1, &more))
    };
    let first = || {
        let mut story = treated();
        story.tell("2026-01-05", "", consent("1", 1, &json!({})));
        story
    };
    check(&first, code, of("new", "new", "en"), of("new", "1", "en"));
    check(&first, code, of("new", "1", "zh-CN"), of("1", "1", "en"));
    check(&first, code, of("new", "2", "en"), of("new", "", "en"));
}

const COMMUNICATION: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
const ANOTHER: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";

/// R-A4: a change of the period needs a justification and a communication.
#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of what is flagged, read from top to bottom"
)]
fn a_change_of_the_period_is_justified_and_communicated() {
    let about = |plan: &str, version: &str| json!({"planId": plan, "version": version});
    for (said, named, communication, flagged, why) in [
        ("", "", None, true, "nothing is said"),
        ("why", "", None, true, "no communication"),
        ("", COMMUNICATION, None, true, "no justification"),
        ("why", COMMUNICATION, None, false, "both are named"),
        (
            "",
            "",
            Some((about("P", "2"), "why")),
            false,
            "the communication is about it and says why",
        ),
        (
            "why",
            "",
            Some((about("P", "2"), "")),
            false,
            "the plan says why",
        ),
        ("", "", Some((about("P", "2"), "")), true, "nobody says why"),
        (
            " ",
            "",
            Some((about("P", "2"), " ")),
            true,
            "blank is no reason",
        ),
        (
            "why",
            "",
            Some((about("P", "1"), "")),
            true,
            "about another version",
        ),
        (
            "why",
            "",
            Some((about("Q", "2"), "")),
            true,
            "about another plan",
        ),
        (
            "",
            COMMUNICATION,
            Some((Value::Null, "why")),
            false,
            "the one that is named says why",
        ),
        (
            "",
            ANOTHER,
            Some((Value::Null, "why")),
            true,
            "another says why",
        ),
    ] {
        let of = |months: u32| json!({"parameters": {"followUpMonths": months}});
        for (months, code) in [
            (199, "LESS_MONITORING_UNCOMMUNICATED"),
            (201, "COMMUNICATION_MISSING"),
            (179, "LOOSER_THAN_GUIDELINE"),
        ] {
            let mut story = treated();
            story.tell("2026-01-05", "", plan("1", 1, &of(200)));
            if let Some((about, justification)) = &communication {
                let communication = json!({"justification": justification, "plan": about});
                let id = COMMUNICATION;
                let told = json!({"recordId": id, "regulatorCommunication": communication});
                story.tell("2026-01-06", "", told);
            }
            let mut more = of(months);
            more["justification"] = json!(said);
            more["communication"] = json!(named);
            let index = story.tell(DAY, "", plan("2", 2, &more));
            assert_eq!(story.codes(index).contains(code), flagged, "{code}: {why}");
        }
    }
}

#[test]
fn a_period_that_stays_as_it_was_needs_no_communication() {
    let story = || {
        let mut story = treated();
        let of = json!({"parameters": {"followUpMonths": 200}});
        story.tell("2026-01-05", "", plan("1", 1, &of));
        story
    };
    let of = |months: u32| {
        let more = json!({"parameters": {"followUpMonths": months}});
        (DAY, plan("2", 2, &more))
    };
    check(&story, "LESS_MONITORING_UNCOMMUNICATED", of(199), of(200));
    check(&story, "COMMUNICATION_MISSING", of(201), of(200));
}

#[test]
fn what_a_version_says_that_it_answers_is_known() {
    let code = "UNKNOWN_SIGNAL";
    for version in [plan, consent] {
        let triggered = |trigger: Value| (DAY, version("1", 1, &json!({"trigger": trigger})));
        let unknown = || triggered(json!({"signalId": "NONE"}));
        check(
            &treated,
            code,
            unknown(),
            triggered(json!({"signalId": "SIG-1"})),
        );
        check(
            &treated,
            code,
            unknown(),
            triggered(json!({"recallId": "NONE"})),
        );
        check(&treated, code, unknown(), triggered(json!({})));
    }
    let code = "UNKNOWN_RECALL";
    for kind in ["recallNotice", "recallAcknowledged", "recallClosed"] {
        let of = |recall: &str| (DAY, json!({kind: {"recallId": recall}}));
        check(&treated, code, of("NONE"), of("RCL-2025-01"));
    }
}

/// R-AE2: both a consent version and a plan version, or a decision that one is not needed, by the last day.
#[test]
fn what_answers_a_signal_is_about_it_and_in_time() {
    let code = "SIGNAL_WITHOUT_ACTION";
    let by = |signal: &str| json!({"trigger": {"signalId": signal}});
    let (plan_of, consent_of) = (
        |signal: &str| plan("1", 1, &by(signal)),
        |signal: &str| consent("1", 1, &by(signal)),
    );
    let decided = |signal: &str, action: &str, closed: bool| {
        json!({"signalDecision": {"signalId": signal, "closed": closed,
            "notNeeded": [format!("SIGNAL_ACTION_{action}")]}})
    };
    let (consent, plan, either) = (&["CONSENT"][..], &["PLAN"][..], &[][..]);
    let (last, late) = ("2026-02-01", "2026-02-02");
    for (needed, answers, open) in [
        (consent, vec![(last, consent_of("S"))], false),
        (consent, vec![(late, consent_of("S"))], true),
        (consent, vec![(last, consent_of("T"))], true),
        (consent, vec![(last, plan_of("S"))], true),
        (plan, vec![(last, plan_of("S"))], false),
        (plan, vec![(late, plan_of("S"))], true),
        (plan, vec![(last, plan_of("T"))], true),
        (plan, vec![(last, consent_of("S"))], true),
        (consent, vec![(last, decided("S", "CONSENT", false))], false),
        (consent, vec![(last, decided("S", "PLAN", false))], true),
        (consent, vec![(last, decided("T", "CONSENT", false))], true),
        (consent, vec![(last, decided("S", "LABEL", true))], false),
        (consent, vec![(late, decided("S", "LABEL", true))], true),
        (consent, vec![(last, decided("T", "LABEL", true))], true),
        // Where the signal does not say what must be done, both must.
        (either, vec![(last, consent_of("S"))], true),
        (either, vec![(last, plan_of("S"))], true),
        (
            either,
            vec![(last, consent_of("S")), (last, plan_of("S"))],
            false,
        ),
    ] {
        let mut story = treated();
        let actions: Vec<String> = needed
            .iter()
            .map(|action| format!("SIGNAL_ACTION_{action}"))
            .collect();
        let signal = json!({"riskSignal": {"signalId": "S", "changesRisk": true,
            "deadline": last, "requiredActions": actions}});
        let index = story.tell(DAY, "", signal);
        for (day, answer) in &answers {
            story.tell(day, "", answer.clone());
        }
        assert_eq!(
            story.codes(index).contains(code),
            open,
            "{needed:?} {answers:?}"
        );
    }
}

/// NMPA gives a recall one, three or seven days, by its class.
#[test]
fn sites_are_told_of_a_recall_in_the_days_of_its_class() {
    let code = "NOTICE_LATE";
    let opened = |class: &str, authority: &str| {
        let mut story = treated();
        let opened = json!({"recallOpened": {"recallId": "R", "roots": [key("L")],
            "authority": authority, "recallClass": format!("RECALL_CLASS_{class}")}});
        story.tell("2026-01-10", "", opened);
        story
    };
    let notice = || json!({"recallNotice": {"recallId": "R", "site": SITE}});
    for (class, last, late) in [
        ("I", "2026-01-11", "2026-01-12"),
        ("II", "2026-01-13", "2026-01-14"),
        ("III", "2026-01-17", "2026-01-18"),
    ] {
        let story = || opened(class, "NMPA");
        check(&story, code, (late, notice()), (last, notice()));
    }
    // The days are NMPA's: what another authority allows is not known here.
    for (class, authority) in [("I", "EMA"), ("I", ""), ("UNSPECIFIED", "NMPA")] {
        let mut story = opened(class, authority);
        let index = story.tell("2026-03-01", "", notice());
        assert!(!story.codes(index).contains(code), "{class} {authority}");
    }
}
