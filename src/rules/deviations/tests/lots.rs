//! Lots: whether one could be given, and as much of it; what it was made of; and its trace codes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{DAY, GTIN, Story, check, disposed, given, key, lot, of_record, planned, treated};
use crate::{
    pb::record::Kind,
    rules::{
        book::Counted,
        catalogue::Catalogue,
        fact::{Facts as _, Subject},
        question::Question,
    },
};

const MARKETED: &str = "09521123450042";

fn product(day: &str, version: u32, phase: &str, authority: &str) -> impl Fn(&mut Story) {
    let product = json!({"productRegistered": {"productId": "MARKETED", "version": version, "gtins": [MARKETED],
        "phase": format!("PRODUCT_PHASE_{phase}"), "authorisations": [{"authority": authority}]}});
    let day = day.to_owned();
    move |story| {
        story.tell(&day, "", product.clone());
    }
}

fn marketed(role: &str, codes: &[&str]) -> Value {
    json!({"lotRegistered": {"gtin": MARKETED, "lot": "T", "role": format!("LOT_ROLE_{role}"),
        "nmpaTraceCodes": codes}})
}

#[test]
fn a_lot_on_the_market_in_china_has_a_trace_code() {
    let code = "TRACE_CODES_MISSING";
    let with = |product: &dyn Fn(&mut Story)| {
        let mut story = treated();
        product(&mut story);
        story
    };
    let on_the_market = || with(&product("2026-01-05", 1, "POST_MARKETING", "NMPA"));
    let coded = || marketed("DRUG_PRODUCT", &["81234567890123456789"]);
    let bare = || marketed("DRUG_PRODUCT", &[]);
    check(&on_the_market, code, (DAY, bare()), (DAY, coded()));
    check(
        &on_the_market,
        code,
        (DAY, bare()),
        (DAY, marketed("VECTOR", &[])),
    );
    for (phase, authority) in [("NDA", "NMPA"), ("POST_MARKETING", "EMA")] {
        let mut story = with(&product("2026-01-05", 1, phase, authority));
        let index = story.tell(DAY, "", bare());
        assert!(!story.codes(index).contains(code), "{phase} {authority}");
    }
    // What was made for a trial is not for the market, whatever the product has become.
    let brought_to_market = || {
        let mut story = with(&product("2026-01-05", 1, "PHASE3", "NMPA"));
        product("2026-02-01", 2, "POST_MARKETING", "NMPA")(&mut story);
        story
    };
    check(
        &brought_to_market,
        code,
        ("2026-02-01", bare()),
        ("2026-01-31", bare()),
    );
    check(
        &on_the_market,
        code,
        ("2026-01-04", bare()),
        ("2026-01-04", coded()),
    );
}

#[test]
fn a_trace_code_names_a_unit_of_one_lot() {
    let code = "TRACE_CODE_TWICE";
    let registered =
        |number: &str, codes: [&str; 2]| lot(number, &json!({"nmpaTraceCodes": codes}));
    let [one, two, three, four] =
        ["81", "82", "83", "84"].map(|end| format!("812345678901234567{end}"));
    let story = || {
        let mut story = treated();
        story.tell("2026-01-05", "", registered("T", [&one, &two]));
        story
    };
    let other = registered("U", [&three, &two]);
    let good = registered("U", [&three, &four]);
    check(&story, code, (DAY, other), (DAY, good.clone()));
    let again = registered("T", [&one, &two]);
    check(
        &story,
        code,
        (DAY, registered("U", [&two, &one])),
        (DAY, again),
    );

    // It is one by a correction, and by another it is none.
    let mut story = story();
    let index = story.tell(DAY, "", good);
    let id = story.last_id_of(|kind| matches!(kind, Kind::LotRegistered(_)));
    for (new, raises) in [(&two, true), (&four, false)] {
        story.tell(
            "2026-01-12",
            "",
            json!({"correction": {"target": id, "correctionKind": "CORRECTION_KIND_INCORRECT_DATA",
                "changes": [{"path": "lot_registered.nmpa_trace_codes[1]", "new": new}]}}),
        );
        assert_eq!(story.codes(index).contains(code), raises, "{new}");
    }
}

#[test]
fn a_dose_is_as_planned_within_what_the_plan_allows() {
    let story = || planned(&json!({"doseDifferenceMaxPercent": "10", "minutesOutMax": 30}));
    let dose = |actual: &str, unit: &str| {
        let mut given = given("X", "L");
        given["administration"]["dosePlanned"] = json!({"value": "100", "unit": "10*6"});
        given["administration"]["doseActual"] = json!({"value": actual, "unit": unit});
        (DAY, given)
    };
    let code = "DOSE_DIFFERS";
    check(&story, code, dose("110.1", "10*6"), dose("110", "10*6"));
    check(&story, code, dose("89.9", "10*6"), dose("90", "10*6"));
    check(&story, code, dose("200", "10*6"), dose("200", "mL"));
    let out = |minutes: u32| {
        let mut given = given("X", "L");
        given["administration"]["minutesOut"] = json!(minutes);
        (DAY, given)
    };
    check(&story, "OUT_OF_STORAGE_TOO_LONG", out(31), out(30));
    for code in ["DOSE_DIFFERS", "OUT_OF_STORAGE_TOO_LONG"] {
        let mut story = treated();
        let (at, mut both) = dose("200", "10*6");
        both["administration"]["minutesOut"] = json!(999);
        let index = story.tell(at, "", both);
        assert!(!story.codes(index).contains(code), "no plan says {code}");
    }
}

#[test]
fn lots_that_a_recall_a_signal_or_a_report_names_are_known() {
    let code = "UNKNOWN_LOT";
    let recalled = |lot: &str| {
        (
            DAY,
            json!({"recallOpened": {"recallId": "R", "roots": [key("L"), key(lot)]}}),
        )
    };
    check(&treated, code, recalled("NONE"), recalled("L"));
    let signalled = |lot: &str| {
        (
            DAY,
            json!({"riskSignal": {"signalId": "S", "lots": [key(lot)]}}),
        )
    };
    check(&treated, code, signalled("NONE"), signalled("L"));
    let suspected = |lot: &str| {
        (
            DAY,
            json!({"patient": "X", "adverseEvent": {"caseId": "C", "suspectLots": [key(lot)]}}),
        )
    };
    check(&treated, code, suspected("NONE"), suspected("L"));
    let mut story = treated();
    let (at, kind) = recalled("NONE");
    let index = story.tell(at, "", kind);
    let raised = story.raised("2026-02-01");
    let raised = raised
        .iter()
        .find(|one| one.raised_by.index == index && one.rule.code == code);
    assert_eq!(raised.unwrap().field, "recall_opened.roots[1]");
    assert_eq!(raised.unwrap().about.lot.as_ref().unwrap().lot, "NONE");
}

#[test]
fn a_lot_that_may_not_be_given_is_flagged_when_it_is() {
    let with = |more: &'static [(&'static str, &'static str)]| {
        move || {
            let mut story = treated();
            for (day, disposition) in more {
                story.tell(day, "", disposed("L", disposition));
            }
            story
        }
    };
    let ok = || (DAY, given("X", "L"));
    check(&treated, "UNKNOWN_LOT", (DAY, given("X", "M")), ok());
    check(
        &treated,
        "EXPIRED_LOT",
        ("2030-07-01", given("X", "L")),
        ("2030-06-30", given("X", "L")),
    );
    for (disposition, code) in [
        ("QUARANTINED", "QUARANTINED_LOT"),
        ("RECALLED", "RECALLED_LOT"),
        ("REJECTED", "REJECTED_LOT"),
        ("DESTROYED", "REJECTED_LOT"),
        ("EXPIRED", "EXPIRED_LOT"),
    ] {
        let story = move || {
            let mut story = treated();
            story.tell("2026-01-10T09:00:01+08:00", "", disposed("L", disposition));
            story
        };
        // A second before it was decided, it could be given.
        check(
            &story,
            code,
            ("2026-01-10T09:00:01+08:00", given("X", "L")),
            ok(),
        );
    }
    let released_again = with(&[("2026-01-04", "QUARANTINED"), ("2026-01-05", "RELEASED")]);
    check(
        &released_again,
        "QUARANTINED_LOT",
        ("2026-01-04", given("X", "L")),
        ok(),
    );
    let out_of_specification = with(&[("2026-01-04", "RELEASED_OOS")]);
    let mut justified = given("X", "L");
    justified["administration"]["outOfSpecification"] = json!({"justification": "no other"});
    check(
        &out_of_specification,
        "LOT_OOS_UNJUSTIFIED",
        ok(),
        (DAY, justified),
    );
    check(
        &treated,
        "LOT_NOT_RELEASED",
        ("2026-01-02", given("X", "L")),
        ("2026-01-03", given("X", "L")),
    );
}

#[test]
fn one_cause_that_makes_a_lot_unfit_does_not_hide_another() {
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-05",
            "",
            json!({"recallOpened": {"recallId": "R", "roots": [key("L")]}}),
        );
        story.tell("2026-01-06", "", disposed("L", "QUARANTINED"));
        story
    };
    let given_late = || ("2030-07-01", given("X", "L"));
    check(&story, "EXPIRED_LOT", given_late(), (DAY, given("X", "L")));
    check(
        &story,
        "RECALLED_LOT",
        given_late(),
        ("2026-01-04", given("X", "L")),
    );
    check(
        &story,
        "QUARANTINED_LOT",
        given_late(),
        ("2026-01-05", given("X", "L")),
    );
}

#[test]
fn a_lot_that_descends_from_a_recalled_one_is_recalled() {
    let story = || {
        let mut story = treated();
        story.tell("2026-01-02", "", lot("ROOT", &json!({})));
        story.tell(
            "2026-01-02",
            "",
            json!({"transformation": {
            "inputs": [{"lot": key("ROOT")}], "outputs": [{"lot": key("L")}]}}),
        );
        story.tell(
            "2026-01-09",
            "",
            json!({"recallOpened": {"recallId": "R", "roots": [key("ROOT")]}}),
        );
        story
    };
    check(
        &story,
        "RECALLED_LOT",
        ("2026-01-09", given("X", "L")),
        ("2026-01-08", given("X", "L")),
    );
    let cleared = || {
        let mut story = story();
        story.tell("2026-01-10", "", disposed("L", "RELEASED"));
        story
    };
    check(
        &cleared,
        "RECALLED_LOT",
        ("2026-01-09", given("X", "L")),
        ("2026-01-10", given("X", "L")),
    );
}

/// Each lot of a long chain is looked at with what went into it, and not with the whole chain, as long as nothing of it
/// was recalled.
#[test]
fn a_lot_at_the_end_of_a_long_chain_costs_no_more_than_at_its_beginning() {
    let mut story = treated();
    for step in 0..200 {
        let (from, to) = (format!("C{step}"), format!("C{}", step + 1));
        story.tell(
            "2026-01-02",
            "",
            json!({"transformation": {
            "inputs": [{"lot": key(&from)}], "outputs": [{"lot": key(&to)}]}}),
        );
    }
    let asked = |story: &Story| {
        let Ok(about) = story.book.about(&Subject::Catalogue);
        let catalogue = Catalogue::of(&about, &Question::EVERYTHING);
        let counted = Counted::new(&story.book);
        let last = story.book.facts().last().unwrap();
        of_record(&counted, last, &catalogue, &Question::EVERYTHING).unwrap();
        counted.asked()
    };
    story.tell("2026-01-03", "", lot("C200", &json!({})));
    assert!(asked(&story) < 24, "{}", asked(&story));
    story.tell(
        "2026-01-09",
        "",
        json!({"recallOpened": {"recallId": "R", "roots": [key("C0")]}}),
    );
    story.tell("2026-01-10", "", disposed("C200", "RELEASED"));
    assert!(200 < asked(&story));
}

#[test]
fn what_went_into_a_lot_must_be_fit_for_it() {
    let story = || {
        let mut story = treated();
        story.tell(
            "2026-01-04",
            "",
            lot("BAD", &json!({"coi": "CHZ000119000001"})),
        );
        story.tell("2026-01-04", "", disposed("BAD", "REJECTED"));
        story
    };
    let made = |input: &str, coi: &str| {
        (
            DAY,
            json!({"transformation": {"inputs": [{"lot": key(input)}], "outputs": [{"lot": key("OUT")}], "coi": coi}}),
        )
    };
    check(&story, "UNKNOWN_INPUT", made("NONE", ""), made("L", ""));
    check(&story, "INPUT_NOT_USABLE", made("BAD", ""), made("L", ""));
    check(
        &story,
        "COI_OF_INPUT_DIFFERS",
        made("BAD", "CHZ000126000001"),
        made("BAD", "CHZ000119000001"),
    );
    check(
        &story,
        "UNKNOWN_LOT",
        (DAY, disposed("NONE", "REJECTED")),
        (DAY, disposed("L", "REJECTED")),
    );
    let after = || {
        let mut story = story();
        story.tell("2026-01-10", "", given("X", "L"));
        story
    };
    let code = "DISPOSITION_AFTER_ADMINISTRATION";
    check(
        &after,
        code,
        ("2026-01-11", disposed("L", "REJECTED")),
        ("2026-01-10", disposed("L", "REJECTED")),
    );
    let foreign = |gtin: &str| json!({"lotRegistered": {"gtin": gtin, "lot": "F"}});
    check(
        &story,
        "UNKNOWN_PRODUCT",
        (DAY, foreign("09521123450035")),
        (DAY, foreign(GTIN)),
    );
}

#[test]
fn what_is_given_once_is_not_given_twice() {
    let story = || {
        let mut story = treated();
        story.tell("2026-01-04", "", lot("UNITS", &json!({})));
        let mut first = given("P1", "UNITS");
        first["administration"]["serials"] = json!(["1", "2"]);
        story.tell("2026-01-05", "", first);
        story
    };
    let units = |serials: &[&str]| {
        let mut given = given("X", "UNITS");
        given["administration"]["serials"] = json!(serials);
        (DAY, given)
    };
    check(
        &story,
        "UNIT_GIVEN_TWICE",
        units(&["3", "2"]),
        units(&["3"]),
    );
    let listed = || {
        let mut story = treated();
        story.tell(
            "2026-01-02",
            "",
            lot("UNITS", &json!({"serials": ["1", "2"]})),
        );
        story
    };
    check(
        &listed,
        "UNKNOWN_UNIT",
        units(&["1", "3"]),
        units(&["1", "2"]),
    );
    check(&listed, "UNKNOWN_UNIT", units(&["3"]), units(&[]));
    // P1 has had the single dose of the product.
    check(
        &story,
        "SECOND_DOSE",
        (DAY, given("P1", "L")),
        (DAY, given("X", "L")),
    );
}

#[test]
fn a_dose_is_off_by_more_than_the_plan_allows_or_not() {
    use crate::rules::deviations::lots::is_off_by_more;
    for (from, number, percent, expected) in [
        ("100", "110", "10", Some(false)),
        ("100", "110.1", "10", Some(true)),
        ("100", "89.9", "10", Some(true)),
        ("0.3", "0.3", "0", Some(false)),
        ("0.3", "0.30001", "0", Some(true)),
        ("1", "1", "x", None),
        ("99999999999999999999999999999999999999", "1", "1", None),
    ] {
        assert_eq!(
            is_off_by_more(from, number, percent),
            expected,
            "{from} {number} {percent}"
        );
    }
}

#[test]
fn what_another_lot_is_recalled_for_is_not_this_one() {
    let story = |opened: &'static str, root: &'static str| {
        move || {
            let mut story = treated();
            story.tell("2026-01-02", "", lot("OTHER", &json!({})));
            let recall = json!({"recallId": "R", "roots": [key(root)]});
            story.tell(opened, "", json!({"recallOpened": recall}));
            story
        }
    };
    let code = "RECALLED_LOT";
    for (root, recalled) in [("L", true), ("OTHER", false)] {
        let mut story = story("2026-01-09", root)();
        let index = story.tell(DAY, "", given("X", "L"));
        assert_eq!(story.codes(index).contains(code), recalled, "{root}");
    }
    // A release clears a lot of a recall that was opened before that day.
    for (opened, recalled) in [("2026-01-02", false), ("2026-01-03", true)] {
        let mut story = story(opened, "L")();
        let index = story.tell(DAY, "", given("X", "L"));
        assert_eq!(story.codes(index).contains(code), recalled, "{opened}");
    }
}

#[test]
fn what_was_decided_of_a_unit_is_of_that_unit() {
    let code = "QUARANTINED_LOT";
    let all = |disposition: &str| (disposition.to_owned(), json!([]));
    let unit = |disposition: &str, unit: &str| (disposition.to_owned(), json!([unit]));
    for (decided, given_units, flagged, why) in [
        (
            vec![unit("QUARANTINED", "1")],
            json!(["1"]),
            true,
            "that unit",
        ),
        (
            vec![unit("QUARANTINED", "1")],
            json!(["2"]),
            false,
            "another unit",
        ),
        (
            vec![unit("QUARANTINED", "1")],
            json!(["2", "1"]),
            true,
            "that one as well",
        ),
        (
            vec![unit("QUARANTINED", "1")],
            json!([]),
            true,
            "it may be that one",
        ),
        (vec![all("QUARANTINED")], json!(["1"]), true, "all units"),
        (
            vec![all("QUARANTINED"), unit("RELEASED", "1")],
            json!(["1"]),
            false,
            "that unit was let go",
        ),
        (
            vec![all("QUARANTINED"), unit("RELEASED", "1")],
            json!(["2"]),
            true,
            "another was let go",
        ),
        (
            vec![all("QUARANTINED"), unit("RELEASED", "1")],
            json!([]),
            true,
            "it may not be the one that was let go",
        ),
    ] {
        let mut story = treated();
        for (disposition, units) in decided {
            let mut disposed = disposed("L", &disposition);
            disposed["lotDisposition"]["serials"] = units;
            story.tell("2026-01-05", "", disposed);
        }
        let mut given = given("X", "L");
        given["administration"]["serials"] = given_units;
        let index = story.tell(DAY, "", given);
        assert_eq!(story.codes(index).contains(code), flagged, "{why}");
    }
}

#[test]
fn a_label_that_could_not_be_read_names_no_lot() {
    let of = |lot: Value| {
        let mut given = given("X", "L");
        given["administration"]["lot"] = lot;
        (DAY, given)
    };
    for unread in [json!({"gtin": GTIN}), json!({"lot": "NONE"}), json!({})] {
        let unknown = of(key("NONE"));
        check(&treated, "UNKNOWN_LOT", unknown, of(unread));
    }
}

#[test]
fn a_product_that_is_given_by_its_id_is_known() {
    let of = |product: &str| {
        let mut given = given("X", "L");
        given["administration"]["productId"] = json!(product);
        (DAY, given)
    };
    check(&treated, "UNKNOWN_PRODUCT", of("NONE"), of("SYN-CAR19"));
    check(&treated, "UNKNOWN_PRODUCT", of("NONE"), of(""));
}

/// Such a record is refused; nothing that reads the log relies on that.
#[test]
fn what_was_given_to_nobody_is_told_twice_of_its_lot() {
    let mut story = treated();
    let first = story.tell(DAY, "", given("", "UNITS"));
    let second = story.tell(DAY, "", given("", "UNITS"));
    let twice = |index| story.codes(index).contains("SUSPECTED_DUPLICATE");
    assert_eq!([twice(first), twice(second)], [false, true]);
}

#[test]
fn what_was_not_given_is_neither_given_twice_nor_too_late_to_reject() {
    let story = |status: &'static str| {
        move || {
            let mut story = treated();
            story.tell("2026-01-04", "", lot("UNITS", &json!({})));
            let mut first = given("P1", "UNITS");
            let administration = &mut first["administration"];
            administration["serials"] = json!(["1"]);
            administration["status"] = json!(format!("ADMINISTRATION_STATUS_{status}"));
            story.tell("2026-01-05", "", first);
            story
        }
    };
    let mut again = given("X", "UNITS");
    again["administration"]["serials"] = json!(["1"]);
    for (status, given) in [
        ("GIVEN", true),
        ("PARTIAL", true),
        ("STOPPED", true),
        ("NOT_DONE", false),
    ] {
        for (code, kind) in [
            ("UNIT_GIVEN_TWICE", again.clone()),
            (
                "DISPOSITION_AFTER_ADMINISTRATION",
                disposed("UNITS", "REJECTED"),
            ),
        ] {
            let mut story = story(status)();
            let index = story.tell(DAY, "", kind);
            assert_eq!(story.codes(index).contains(code), given, "{code} {status}");
        }
    }
}

/// A lot's history has that of what it was made of as well: what is wrong there is told there.
#[test]
fn what_is_wrong_with_an_input_is_told_of_the_input() {
    let mut story = treated();
    // It bears the number of what was made of it, under another GTIN.
    let input = || json!({"gtin": "09521123450035", "lot": "OUT"});
    let made = |from: Value, to: Value| json!({"transformation": {"inputs": [{"lot": from}], "outputs": [{"lot": to}]}});
    let of_input = |mut kind: Value, name: &str| {
        kind[name]["lot"] = input();
        kind
    };
    let registered = story.tell("2026-01-04", "", json!({"lotRegistered": input()}));
    let step = story.tell("2026-01-04", "", made(key("NONE"), input()));
    let bound = json!({"coi": "CHZ000126000009", "intendedPatient": "X"});
    story.tell("2026-01-05", "", lot("OUT", &bound));
    story.tell("2026-01-05", "", made(input(), key("OUT")));
    story.tell("2026-01-06", "", given("X", "OUT"));
    story.tell(
        "2026-01-06",
        "",
        of_input(given("P1", ""), "administration"),
    );
    let rejected = of_input(disposed("", "REJECTED"), "lotDisposition");
    let rejected = story.tell("2026-01-07", "", rejected);
    for (index, code) in [
        (registered, "UNKNOWN_PRODUCT"),
        (step, "UNKNOWN_INPUT"),
        (rejected, "DISPOSITION_AFTER_ADMINISTRATION"),
    ] {
        assert!(story.codes(index).contains(code), "{code}");
    }
    assert_eq!(story.raised_of_lot("OUT"), BTreeSet::new());
}
