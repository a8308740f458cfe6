//! The catalogue: whether its parts fit each other, and whether what they call for was done in time.

use serde_json::{Value, json};

use super::{DAY, GTIN, SITE, Story, check, extended, falls_due, key, planned, treated};

fn product(id: &str, version: u32, more: &Value) -> Value {
    let product = json!({"productId": id, "version": version});
    json!({"productRegistered": extended(product, more)})
}

fn plan(products: &[&str], more: &Value) -> Value {
    let plan = json!({"planId": "P", "version": "1", "ordinal": 1, "productIds": products});
    json!({"followUpPlanVersion": extended(plan, more)})
}

#[test]
fn a_plan_goes_on_until_a_delayed_reaction_would_have_come() {
    let story = || {
        let mut story = treated();
        for (id, months) in [("SLOW", 190), ("QUICK", 12)] {
            story.tell(
                "2026-01-02",
                "",
                product(id, 1, &json!({"expectedOnsetMaxMonths": months})),
            );
        }
        story
    };
    let of = |months: u32, products: &[&str]| {
        (
            DAY,
            plan(products, &json!({"parameters": {"followUpMonths": months}})),
        )
    };
    let code = "PLAN_BELOW_ONSET";
    check(&story, code, of(189, &["SLOW"]), of(190, &["SLOW"]));
    check(
        &story,
        code,
        of(189, &["QUICK", "SLOW"]),
        of(189, &["QUICK"]),
    );
    check(&story, code, of(189, &[]), of(190, &[]));
}

#[test]
fn a_plan_takes_effect_with_its_consent_at_the_earliest() {
    let code = "PLAN_BEFORE_CONSENT";
    let version = || json!({"family": "ICF-LTFU-CAR19", "version": "5"});
    let explained = || {
        let mut story = treated();
        story.tell(
            "2026-01-02",
            "",
            json!({"consentDocumentVersion": {"family": "ICF-LTFU-CAR19",
            "version": "5", "ordinal": 5, "language": "zh-CN"}}),
        );
        story.tell(
            "2026-01-02",
            "",
            plan(&[], &json!({"linkedConsent": version()})),
        );
        story
    };
    let in_force = || {
        let mut story = explained();
        story.tell(
            "2026-01-02",
            "",
            json!({"consentVersionActivated": {"version": version(), "site": SITE,
            "effectiveFrom": "2026-02-02"}}),
        );
        story
    };
    let from = |day: &str, site: &str| {
        (
            DAY,
            json!({"planActivated": {"plan": {"planId": "P", "version": "1"}, "site": site,
            "effectiveFrom": day}}),
        )
    };
    check(
        &in_force,
        code,
        from("2026-02-01", SITE),
        from("2026-02-02", SITE),
    );
    check(
        &in_force,
        code,
        from("2026-02-02", "9521123001022"),
        from("2026-02-02", SITE),
    );
    let mut nowhere = explained();
    let (at, kind) = from("2026-02-02", SITE);
    let index = nowhere.tell(at, "", kind);
    assert!(
        nowhere.codes(index).contains(code),
        "the consent is in force nowhere"
    );
    let mut unexplained = treated();
    unexplained.tell("2026-01-02", "", plan(&[], &json!({})));
    let (at, kind) = from("2026-02-02", SITE);
    let index = unexplained.tell(at, "", kind);
    assert!(
        !unexplained.codes(index).contains(code),
        "no consent explains it"
    );
}

#[test]
fn a_plan_is_looked_at_when_the_risk_is_judged_otherwise() {
    let code = "RISK_CHANGED_WITHOUT_PLAN";
    let risk = |state: &str| json!({"riskProfile": [{"factor": "RISK_FACTOR_SHEDDING", "state": format!("RISK_STATE_{state}")}]});
    let story = || {
        let mut story = treated();
        story.tell("2026-01-02", "", product("RISKY", 1, &risk("ABSENT")));
        story
    };
    let judged = |state: &str| (DAY, product("RISKY", 2, &risk(state)));
    check(&story, code, judged("PRESENT"), judged("ABSENT"));
    check(&story, code, judged("UNKNOWN"), judged("ABSENT"));
    let after = |day: &str, kind: Value| {
        let mut story = story();
        let (at, judged) = judged("PRESENT");
        let index = story.tell(at, "", judged);
        story.tell(day, "", kind);
        story.codes(index).contains(code)
    };
    assert!(!after("2026-01-10", plan(&["RISKY"], &json!({}))));
    assert!(
        !after("2026-01-10", plan(&[], &json!({}))),
        "a plan for every product"
    );
    assert!(
        after("2026-01-09", plan(&["RISKY"], &json!({}))),
        "a plan from before"
    );
    assert!(
        after("2026-01-10", plan(&["OTHER"], &json!({}))),
        "the plan of another product"
    );
    let decided = |action: &str| json!({"signalDecision": {"signalId": "S", "notNeeded": [format!("SIGNAL_ACTION_{action}")]}});
    assert!(!after("2026-01-10", decided("PLAN")));
    assert!(after("2026-01-10", decided("LABEL")));
    for (product, open) in [("RISKY", false), ("OTHER", true)] {
        let mut story = story();
        let (at, judged) = judged("PRESENT");
        let index = story.tell(at, "", judged);
        let signal = json!({"riskSignal": {"signalId": "S", "productIds": [product]}});
        story.tell("2026-01-03", "", signal);
        story.tell("2026-01-10", "", decided("PLAN"));
        assert_eq!(
            story.codes(index).contains(code),
            open,
            "a signal of {product}"
        );
    }
}

#[test]
fn where_genes_are_edited_throughout_the_body_other_tissues_are_looked_at() {
    let code = "ONE_TISSUE_PLAN";
    let tissue = |code: &str| json!({"system": "urn:tissue", "code": code});
    let story = || {
        let mut story = treated();
        let edited = |id: &str, class: &str, delivery: &str| {
            product(
                id,
                1,
                &json!({"productClasses": [format!("PRODUCT_CLASS_{class}")],
                "delivery": format!("DELIVERY_{delivery}"), "targetTissues": [tissue("liver")]}),
            )
        };
        story.tell(
            "2026-01-02",
            "",
            edited("EDITED", "GENE_EDITED_IN_VIVO", "SYSTEMIC"),
        );
        story.tell(
            "2026-01-02",
            "",
            edited("LOCAL", "GENE_EDITED_IN_VIVO", "LOCAL"),
        );
        story.tell("2026-01-02", "", edited("OTHER", "AAV", "SYSTEMIC"));
        story
    };
    let looks_at = |product: &str, tissues: &[&str]| {
        let tissues: Vec<Value> = tissues.iter().map(|code| tissue(code)).collect();
        (DAY, plan(&[product], &json!({"tissues": tissues})))
    };
    let liver = |product| looks_at(product, &["liver"]);
    check(
        &story,
        code,
        liver("EDITED"),
        looks_at("EDITED", &["liver", "gonad"]),
    );
    check(&story, code, liver("EDITED"), looks_at("EDITED", &[]));
    check(&story, code, liver("EDITED"), liver("LOCAL"));
    check(&story, code, liver("EDITED"), liver("OTHER"));
}

#[test]
fn a_site_answers_a_recall() {
    let code = "RECALL_UNACKNOWLEDGED";
    let told = || {
        let mut story = treated();
        let opened = json!({"recallOpened": {"recallId": "R", "roots": [key("L")]}});
        story.tell("2026-01-09", "", opened);
        let index = story.tell(
            DAY,
            "",
            json!({"recallNotice": {"recallId": "R", "site": SITE}}),
        );
        (story, index)
    };
    let (story, index) = told();
    falls_due(&story, index, code, ("2026-01-10", "2026-01-11"));
    for (recall, site, open) in [
        ("R", SITE, false),
        ("R", "9521123001022", true),
        ("OTHER", SITE, true),
    ] {
        let (mut story, index) = told();
        story.tell(
            "2026-02-01",
            "",
            json!({"site": site, "recallAcknowledged": {"recallId": recall}}),
        );
        assert_eq!(story.codes(index).contains(code), open, "{recall} {site}");
    }
}

#[test]
fn what_a_site_owes_a_recall_is_found_by_that_site() {
    let mut story = treated();
    let told = "9521123001022";
    let opened = json!({"recallOpened": {"recallId": "R", "roots": [key("L")],
        "authority": "NMPA", "recallClass": "RECALL_CLASS_I"}});
    story.tell("2026-01-05", "", opened);
    let notice = json!({"recallNotice": {"recallId": "R", "site": told}});
    let index = story.tell(DAY, "", notice);
    let raised = story.raised("2026-02-01");
    let notice = &story.book.facts()[usize::try_from(index.value()).unwrap()];
    for code in ["RECALL_UNACKNOWLEDGED", "NOTICE_LATE"] {
        let mut of_code = raised.iter().filter(|one| one.rule.code == code);
        let of_notice = of_code.find(|one| one.raised_by.index == index).unwrap();
        assert_eq!(of_notice.site(notice), told, "{code}");
    }
    // Everything else is found where it was recorded.
    let others = raised.iter().filter(|one| one.about.site.is_empty());
    for one in others {
        assert_eq!(one.site(&one.raised_by), one.raised_by.record.site);
    }
}

#[test]
fn what_takes_effect_is_on_record() {
    let activated = |version: &str| {
        (
            DAY,
            json!({"consentVersionActivated": {"site": SITE, "effectiveFrom": "2026-01-10",
            "version": {"family": "ICF-LTFU-CAR19", "version": version}}}),
        )
    };
    check(
        &treated,
        "CONSENT_VERSION_UNKNOWN",
        activated("77"),
        activated("2.0"),
    );
    let activated = |version: &str| {
        (
            DAY,
            json!({"planActivated": {"site": SITE, "effectiveFrom": "2026-01-10",
            "plan": {"planId": "STRICT", "version": version}}}),
        )
    };
    check(
        &|| planned(&json!({})),
        "UNKNOWN_PLAN",
        activated("77"),
        activated("1"),
    );
    let told = |signal: &str| {
        (
            DAY,
            json!({"patient": "X", "riskNotification": {"trigger": {"signalId": signal}}}),
        )
    };
    check(&treated, "UNKNOWN_SIGNAL", told("NONE"), told("SIG-1"));
}

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "one table of what is flagged, read from top to bottom"
)]
fn the_catalogue_fits_together() {
    let document = |version: &str, ordinal: u32, hash: &str, of: &str| {
        (
            DAY,
            json!({"consentDocumentVersion": {"family": "ICF-LTFU-CAR19", "version": version,
            "ordinal": ordinal, "language": "en", "document": {"sha256": hash}, "translationOf": of}}),
        )
    };
    check(
        &treated,
        "ORDINAL_GAP",
        document("5", 6, "AAAA", ""),
        document("4", 5, "AAAA", ""),
    );
    let ones = "ERERERERERERERERERERERERERERERERERERERERERE=";
    check(
        &treated,
        "DOCUMENT_SEEN_BEFORE",
        document("4", 5, ones, ""),
        document("1.0", 1, ones, ""),
    );
    check(
        &treated,
        "TRANSLATION_WITHOUT_SOURCE",
        document("3.0", 4, "AAAA", "9"),
        document("3.0", 4, "AAAA", "3.0"),
    );
    let product = |id: &str| {
        (
            DAY,
            json!({"productRegistered": {"productId": id, "version": 2, "gtins": [GTIN]}}),
        )
    };
    check(
        &treated,
        "GTIN_ON_TWO_PRODUCTS",
        product("OTHER"),
        product("SYN-CAR19"),
    );
    let plan = |months: Option<u32>, communicated: bool| {
        let text = |text: &str| {
            if communicated {
                text.to_owned()
            } else {
                String::new()
            }
        };
        (
            DAY,
            json!({"followUpPlanVersion": {"planId": "LTFU-CAR19", "version": "3", "ordinal": 3,
            "parameters": {"followUpMonths": months}, "justification": text("why"),
            "communication": text("ffffffff-ffff-4fff-8fff-ffffffffffff")}}),
        )
    };
    check(
        &treated,
        "LESS_MONITORING_UNCOMMUNICATED",
        plan(Some(179), false),
        plan(Some(179), true),
    );
    check(
        &treated,
        "LOOSER_THAN_GUIDELINE",
        plan(Some(179), false),
        plan(Some(180), false),
    );
    check(
        &treated,
        "COMMUNICATION_MISSING",
        plan(Some(181), false),
        plan(Some(180), false),
    );
    check(
        &treated,
        "COMMUNICATION_MISSING",
        plan(Some(181), false),
        plan(None, false),
    );
    let notice = |recall: &str| json!({"recallNotice": {"recallId": recall, "site": SITE}});
    check(
        &treated,
        "UNKNOWN_RECALL",
        (DAY, notice("NONE")),
        (DAY, notice("RCL-2025-01")),
    );
    check(
        &treated,
        "NOTICE_LATE",
        ("2025-08-14", notice("RCL-2025-01")),
        ("2025-08-13", notice("RCL-2025-01")),
    );
    let decided = |signal: &str| (DAY, json!({"signalDecision": {"signalId": signal}}));
    check(
        &treated,
        "UNKNOWN_SIGNAL",
        decided("NONE"),
        decided("SIG-1"),
    );
    let gln = |name: &str| {
        (
            DAY,
            json!({"organisationRegistered": {"gln": SITE, "name": name, "timeZone": "Asia/Shanghai",
            "roles": ["ORGANISATION_ROLE_HOSPITAL"], "country": "CN"}}),
        )
    };
    check(&treated, "DUPLICATE_GLN", gln("Another"), gln("Site S01"));
}

#[test]
fn a_signal_that_changes_the_risk_is_answered_in_time() {
    let signal = |deadline: &str, changes: bool| {
        (
            DAY,
            json!({"riskSignal": {"signalId": "S", "changesRisk": changes, "deadline": deadline,
            "requiredActions": ["SIGNAL_ACTION_CONSENT"]}}),
        )
    };
    let code = "SIGNAL_WITHOUT_ACTION";
    check(
        &treated,
        code,
        signal("2026-02-01", true),
        signal("2026-02-01", false),
    );
    check(
        &treated,
        code,
        signal("2099-12-30", true),
        signal("2099-12-31", true),
    );
    check(&treated, code, signal("2026-02-01", true), signal("", true));
    let answered = |day: &'static str| {
        move || {
            let mut story = treated();
            story.tell(day, "", json!({"signalDecision": {"signalId": "S", "notNeeded": ["SIGNAL_ACTION_CONSENT"]}}));
            story
        }
    };
    let index_raises = |story: Story| {
        let mut story = story;
        let (at, kind) = signal("2026-02-01", true);
        let index = story.tell(at, "", kind);
        story.codes(index).contains(code)
    };
    assert!(!index_raises(answered("2026-02-01")()));
    assert!(
        index_raises(answered("2026-02-02")()),
        "too late stays too late"
    );
}

#[test]
fn a_plan_version_that_comes_too_late_does_not_take_away_that_it_did() {
    let story = |days: &Value| {
        let mut story = treated();
        let within = json!({"parameters": {"signalActionDays": 30}});
        story.tell("2026-01-02", "", plan(&[], &within));
        let signal = json!({"signalId": "S", "changesRisk": true, "requiredActions": ["SIGNAL_ACTION_PLAN"]});
        let index = story.tell(DAY, "", json!({"riskSignal": signal}));
        let late = json!({"version": "2", "ordinal": 2, "trigger": {"signalId": "S"},
            "parameters": {"signalActionDays": days}});
        story.tell("2026-03-01", "", plan(&[], &late));
        (story, index)
    };
    for days in [Value::Null, json!(365)] {
        let (story, index) = story(&days);
        let raises = |as_of| {
            story
                .codes_on(index, as_of)
                .contains("SIGNAL_WITHOUT_ACTION")
        };
        assert!(!raises("2026-02-09"), "{days}");
        assert!(raises("2026-02-10"), "{days}");
        assert!(raises("2026-03-01"), "{days}");
    }
}
