//! Consent: which signatures count, whether they came in time, and before what they come.

use serde_json::{Value, json};

use super::{DAY, SITE, Story, administered, check, extended, falls_due, given, planned, treated};
use crate::{pb::record::Kind, tlog::Index};

const FAMILY: &str = "ICF-LTFU-CAR19";

/// X, and Y of whom nothing is known but the pseudonym.
fn beside_another() -> Story {
    let mut story = treated();
    let registered = json!({"patientRegistered": {"identityCommitment": "BBBB"}});
    story.tell("2026-01-01", "Y", registered);
    story
}

fn signed(patient: &str, signatory: &str, more: &Value) -> Value {
    let signed = json!({"signatory": format!("SIGNATORY_{signatory}"),
        "version": {"family": FAMILY, "version": "2.0"}});
    json!({"patient": patient, "consentSigned": extended(signed, more)})
}

#[test]
fn what_is_signed_is_a_document_of_a_version_that_is_known() {
    let own = |more: &Value| (DAY, signed("X", "SELF", more));
    let version = |version: &str| own(&json!({"version": {"family": FAMILY, "version": version}}));
    check(
        &treated,
        "CONSENT_VERSION_UNKNOWN",
        version("9"),
        version("2.0"),
    );
    let language = |language: &str| own(&json!({"language": language}));
    check(
        &treated,
        "WRONG_LANGUAGE",
        language("en"),
        language("ZH-cn"),
    );
    check(&treated, "WRONG_LANGUAGE", language("zh"), language(""));
    let document = |hash: &str| own(&json!({"documentSha256": hash}));
    let (first, second) = (
        "ERERERERERERERERERERERERERERERERERERERERERE=",
        "MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM=",
    );
    let code = "CONSENT_DOCUMENT_UNKNOWN";
    check(&treated, code, document(first), document(second));
    check(&treated, code, document(first), document(""));
    let plan = |version: &str| {
        let linked = json!({"family": FAMILY, "version": version});
        (
            DAY,
            json!({"followUpPlanVersion": {"planId": "P", "version": "1", "ordinal": 1, "linkedConsent": linked}}),
        )
    };
    check(&treated, "CONSENT_VERSION_UNKNOWN", plan("9"), plan("2.0"));
}

#[test]
fn a_discussed_consent_is_signed_by_who_discussed_it() {
    let code = "COUNTERSIGNATURE_MISSING";
    let discussed = |by: &str| {
        let mut signed = signed("X", "SELF", &json!({"discussedBy": by}));
        signed["recordId"] = json!("cccccccc-cccc-4ccc-8ccc-cccccccccccc");
        signed
    };
    let told = |by: &str| {
        let mut story = planned(&json!({"countersignatureHours": 48}));
        let index = story.tell(DAY, "", discussed(by));
        (story, index)
    };
    let (story, index) = told("s02-1");
    falls_due(&story, index, code, ("2026-01-12", "2026-01-13"));
    let (story, index) = told("s01-1");
    assert!(
        !story.codes(index).contains(code),
        "who records it has signed it"
    );
    for (day, by, missing) in [
        ("2026-01-11", "s02-1", false),
        ("2026-02-01", "s02-1", false),
        ("2026-01-11", "h01-1", true),
    ] {
        let (mut story, index) = told("s02-1");
        let target = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";
        story.tell(
            day,
            "",
            json!({"actorPerson": by, "countersigned": {"target": target,
            "capacity": "CAPACITY_DISCUSSER"}}),
        );
        assert_eq!(story.codes(index).contains(code), missing, "{day} {by}");
    }
}

/// A minor with these days of assent and of majority.
fn minor(assent_on: &str, majority_on: &str) -> Story {
    let mut story = treated();
    story.tell(
        "2026-01-01",
        "M",
        json!({"patientRegistered": {"identityCommitment": "CCCC",
        "assentOn": assent_on, "majorityOn": majority_on}}),
    );
    story
}

#[test]
fn a_child_of_the_age_of_assent_assents_too() {
    let code = "ASSENT_MISSING";
    let represented = |assent_on: &str| {
        let mut story = minor(assent_on, "2036-01-10");
        let index = story.tell("2026-01-10", "", signed("M", "LAR", &json!({})));
        (story, index)
    };
    let (story, index) = represented("2026-01-11");
    assert!(!story.codes(index).contains(code), "younger by a day");
    let (mut story, index) = represented("2026-01-10");
    assert!(story.codes(index).contains(code));
    let other = json!({"version": {"family": FAMILY, "version": "9"}});
    story.tell("2026-01-12", "", signed("M", "ASSENT", &other));
    assert!(story.codes(index).contains(code), "to another version");
    story.tell("2026-01-12", "", signed("M", "ASSENT", &json!({})));
    assert!(!story.codes(index).contains(code));
}

#[test]
fn who_comes_of_age_signs_in_sixty_days() {
    let treated_young = || {
        let mut story = minor("2016-03-01", "2026-03-01");
        for signatory in ["LAR", "ASSENT"] {
            story.tell("2026-01-05", "", signed("M", signatory, &json!({})));
        }
        story.tell("2026-01-10", "", given("M", "L"));
        story
    };
    let own = || signed("M", "SELF", &json!({}));
    let code = "LATE_MAJORITY_CONSENT";
    check(
        &treated_young,
        code,
        ("2026-05-01", own()),
        ("2026-04-30", own()),
    );
    let again = || {
        let mut story = treated_young();
        story.tell("2026-04-30", "", own());
        story
    };
    let mut story = again();
    let index = story.tell("2026-05-01", "", own());
    assert!(
        !story.codes(index).contains(code),
        "it was signed in time before"
    );
}

#[test]
fn a_child_that_was_treated_younger_assents_in_sixty_days() {
    let treated_young = || {
        let mut story = minor("2026-03-01", "2036-03-01");
        story.tell("2026-01-05", "", signed("M", "LAR", &json!({})));
        story.tell("2026-01-10", "", given("M", "L"));
        story
    };
    let own = || signed("M", "ASSENT", &json!({}));
    check(
        &treated_young,
        "LATE_ASSENT",
        ("2026-05-01", own()),
        ("2026-04-30", own()),
    );
}

/// Who has signed a version that has only these items.
fn signed_of(family: &str, items: &[&str], patient: &str, story: &mut Story) -> String {
    let items: Vec<Value> = items
        .iter()
        .map(|item| json!({"item": format!("CONSENT_ITEM_KIND_{item}"), "page": 1}))
        .collect();
    let version = json!({"family": family, "version": "1"});
    story.tell(
        "2026-01-02",
        "",
        json!({"consentDocumentVersion": {"family": family, "version": "1",
        "ordinal": 1, "language": "zh-CN", "items": items}}),
    );
    story.tell(
        "2026-01-02",
        "",
        json!({"consentVersionActivated": {"version": version, "site": SITE,
        "effectiveFrom": "2026-01-03"}}),
    );
    story.tell(
        "2026-01-05",
        "",
        signed(patient, "SELF", &json!({"version": version})),
    );
    story.book.facts().last().unwrap().record.record_id.clone()
}

#[test]
fn a_sample_is_taken_under_a_version_that_speaks_of_it() {
    let code = "CONSENT_ITEM_LACKING";
    let with = |items: &'static [&'static str]| {
        move || {
            let mut story = treated();
            story.tell(
                "2026-01-01",
                "Z",
                json!({"patientRegistered": {"identityCommitment": "DDDD"}}),
            );
            signed_of("BARE", items, "Z", &mut story);
            story
        }
    };
    let sample = |patient: &str, purpose: &str| {
        (
            DAY,
            json!({"patient": patient, "sampleCollected": {"sampleId": "S",
            "purposes": [format!("SAMPLE_PURPOSE_{purpose}")]}}),
        )
    };
    check(
        &with(&["RISKS"]),
        code,
        sample("Z", "PERSISTENCE"),
        sample("X", "PERSISTENCE"),
    );
    for purpose in ["CLONALITY", "ISA", "OFF_TARGET"] {
        check(
            &with(&["SAMPLES"]),
            code,
            sample("Z", purpose),
            sample("Z", "PERSISTENCE"),
        );
        check(
            &with(&["SAMPLES"]),
            code,
            sample("Z", purpose),
            sample("X", purpose),
        );
    }
    check(
        &with(&["GENETIC_TESTING"]),
        code,
        sample("Z", "ISA"),
        sample("X", "ISA"),
    );
}

#[test]
fn what_one_consent_does_not_speak_of_another_may() {
    let code = "CONSENT_ITEM_LACKING";
    let story = || {
        let mut story = treated();
        let bare = signed_of("BARE", &["SAMPLES"], "X", &mut story);
        (story, bare)
    };
    let isa = |consent: &str| {
        json!({"patient": "X", "sampleCollected": {"sampleId": "S", "consent": consent,
            "purposes": ["SAMPLE_PURPOSE_ISA"]}})
    };
    let (_, bare) = story();
    // The consent that is named is the one that counts.
    check(&|| story().0, code, (DAY, isa(&bare)), (DAY, isa("")));
}

#[test]
fn consent_comes_before_what_is_done() {
    let story = beside_another;
    let sample = |patient: &str| json!({"patient": patient, "sampleCollected": {"sampleId": "S", "purposes": [1]}});
    check(
        &story,
        "NO_VALID_CONSENT",
        (DAY, sample("Y")),
        (DAY, sample("X")),
    );
    check(
        &story,
        "NO_VALID_CONSENT",
        ("2026-01-01", sample("X")),
        ("2026-01-02", sample("X")),
    );
    let signed = |patient: &str| {
        json!({"patient": patient, "consentSigned": {"signatory": "SIGNATORY_SELF",
            "version": {"family": "ICF-LTFU-CAR19", "version": "2.0"}}})
    };
    let treated_first = || {
        let mut story = story();
        story.tell("2026-01-05", "", given("Y", "L"));
        story
    };
    check(
        &treated_first,
        "TREATED_BEFORE_CONSENT",
        ("2026-01-06", signed("Y")),
        ("2026-01-05", signed("Y")),
    );
    let mut discussed = signed("X");
    discussed["consentSigned"]["discussedBy"] = json!("lab-1");
    let mut by_investigator = discussed.clone();
    by_investigator["consentSigned"]["discussedBy"] = json!("s01-1");
    check(
        &story,
        "DISCUSSER_NOT_DELEGATED",
        (DAY, discussed),
        (DAY, by_investigator),
    );
}

#[test]
fn what_is_signed_is_in_force_and_signed_by_who_may() {
    let own = |version: &str| {
        let key = json!({"version": {"family": FAMILY, "version": version}});
        signed("X", "SELF", &key)
    };
    let mut elsewhere = own("2.0");
    elsewhere["site"] = json!("9521123001022");
    let code = "CONSENT_VERSION_NOT_EFFECTIVE";
    check(
        &treated,
        code,
        ("2024-04-09", elsewhere.clone()),
        ("2024-04-10", elsewhere),
    );
    let code = "CONSENT_VERSION_SUPERSEDED";
    check(&treated, code, (DAY, own("1.1")), (DAY, own("2.0")));
    let child = || minor("2020-01-10", "2030-01-10");
    let by = |day: &'static str, signatory: &str| (day, signed("M", signatory, &json!({})));
    let code = "SIGNATORY_NOT_AUTHORISED";
    check(
        &child,
        code,
        by("2030-01-09", "SELF"),
        by("2030-01-10", "SELF"),
    );
    check(
        &child,
        code,
        by("2030-01-10", "LAR"),
        by("2030-01-09", "LAR"),
    );
}

/// Everybody who was treated is asked to sign version 5 of a family, within 60 days from 1 February.
fn ask_anew(story: &mut Story, family: &str, ordinal: u32) {
    story.tell(
        "2026-01-11",
        "",
        json!({"consentDocumentVersion": {"family": family, "version": "5",
        "ordinal": ordinal, "language": "zh-CN", "changeClass": "CHANGE_CLASS_RECONSENT_REQUIRED",
        "scope": {"allTreated": true}, "reconsentDue": {"days": 60}}}),
    );
    story.tell(
        "2026-01-11",
        "",
        json!({"consentVersionActivated": {"version": {"family": family, "version": "5"},
        "site": SITE, "effectiveFrom": "2026-02-01"}}),
    );
}

fn signed_anew(patient: &str, signatory: &str, family: &str) -> Value {
    let version = json!({"family": family, "version": "5"});
    signed(patient, signatory, &json!({"version": version}))
}

#[test]
fn who_is_asked_to_sign_anew_signs_by_the_deadline() {
    let asked = || {
        let mut story = treated();
        story.tell("2026-01-10", "X", given("X", "L"));
        ask_anew(&mut story, FAMILY, 5);
        story
    };
    let own = || signed_anew("X", "SELF", FAMILY);
    check(
        &asked,
        "LATE_RECONSENT",
        ("2026-04-03", own()),
        ("2026-04-02", own()),
    );
    // Declined after the deadline, it was late already; declined in time, it was answered.
    for (declined, is_late) in [("2026-04-02", false), ("2026-04-03", true)] {
        let mut story = asked();
        let version = json!({"family": FAMILY, "version": "5"});
        let decline = json!({"signatory": "SIGNATORY_SELF", "version": version});
        story.tell(declined, "X", json!({"consentDeclined": decline}));
        let index = story.tell("2026-04-10", "", own());
        let codes = story.codes(index);
        assert_eq!(codes.contains("LATE_RECONSENT"), is_late, "{declined}");
    }
}

/// R-A3: the follow-up ended meanwhile, and the signature came late all the same. R-A2: who had completed before
/// was asked to return, by no day.
#[test]
fn who_signs_after_the_follow_up_was_over_is_late_if_it_was_waited_for() {
    use crate::rules::follow_up::story::Story as FollowUp;
    for (effective, signed, late) in [
        ("2021-01-15", &["2021-03-16"][..], &[false][..]),
        ("2021-01-15", &["2021-03-17", "2021-03-20"], &[true, false]),
        ("2021-01-16", &["2021-03-18"], &[false]),
    ] {
        let mut followed = FollowUp::of_amendment(effective);
        followed.patient("P1", "2016-01-15");
        for on in signed {
            followed.signed("P1", "2", on);
        }
        let story = Story {
            book: followed.book,
        };
        let first = story.book.facts().len() - signed.len();
        let is_late = |at| {
            let index = Index::new(u64::try_from(first + at).unwrap());
            story.codes(index).contains("LATE_RECONSENT")
        };
        let have: Vec<bool> = (0..signed.len()).map(is_late).collect();
        assert_eq!(have, late, "{effective} {signed:?}");
    }
}

#[test]
fn nobody_is_enrolled_or_donates_under_a_consent_that_was_not_given() {
    let story = beside_another;
    let code = "NO_VALID_CONSENT";
    let enrolled = |patient: &str, consent: &str| json!({"patient": patient, "followUpEnrolment": {"planId": "LTFU-CAR19", "consent": consent}});
    let signature = story().last_id_of(|kind| matches!(kind, Kind::ConsentSigned(_)));
    let no_signature = story().last_id_of(|kind| matches!(kind, Kind::LotDisposition(_)));
    for consent in ["", &no_signature] {
        check(
            &story,
            code,
            (DAY, enrolled("Y", consent)),
            (DAY, enrolled("X", consent)),
        );
    }
    check(
        &story,
        code,
        ("2026-01-01", enrolled("X", "")),
        ("2026-01-02", enrolled("X", "")),
    );
    let collected = |patient: &str, source: &str, donor: &str, consent: &str| {
        json!({"patient": patient, "materialCollected": {"coi": "CHZ000126000009", "donor": donor,
            "source": format!("DONOR_RELATION_{source}"), "consent": consent}})
    };
    let own = |patient: &str, consent: &str| collected(patient, "AUTOLOGOUS", "", consent);
    for consent in [&no_signature, &signature] {
        check(
            &story,
            code,
            (DAY, own("Y", consent)),
            (DAY, own("X", consent)),
        );
    }
    check(
        &story,
        code,
        ("2026-01-01", own("X", &signature)),
        ("2026-01-02", own("X", &signature)),
    );
    // What nobody names may be under the consent to treatment; a donor's consent is the donor's.
    check(
        &story,
        code,
        (DAY, own("Y", &no_signature)),
        (DAY, own("Y", "")),
    );
    let donated = collected("Y", "ALLOGENEIC_RELATED", "DONOR", &no_signature);
    check(&story, code, (DAY, own("Y", &no_signature)), (DAY, donated));
}

/// R-M2: a child's assent alone is no consent, nor is a representative's.
#[test]
fn a_child_has_signed_anew_when_both_have() {
    let code = "LATE_RECONSENT";
    for (first, second) in [("ASSENT", "LAR"), ("LAR", "ASSENT")] {
        let mut story = minor("2020-01-10", "2036-01-10");
        for signatory in ["LAR", "ASSENT"] {
            story.tell("2026-01-05", "", signed("M", signatory, &json!({})));
        }
        story.tell("2026-01-10", "", given("M", "L"));
        ask_anew(&mut story, FAMILY, 5);
        let alone = story.tell("2026-04-03", "", signed_anew("M", first, FAMILY));
        assert!(!story.codes(alone).contains(code), "{first}");
        let both = story.tell("2026-04-05", "", signed_anew("M", second, FAMILY));
        assert!(!story.codes(alone).contains(code), "{first}");
        assert!(story.codes(both).contains(code), "{second}");
    }
}

#[test]
fn what_did_not_take_place_needs_no_consent() {
    let code = "NO_VALID_CONSENT";
    let visited =
        |reached: bool| json!({"followUpVisit": {"reached": reached, "mode": "VISIT_MODE_PHONE"}});
    let administered = |status: &str| administered("Y", "L", status);
    for (kind, raises) in [
        (administered("GIVEN"), true),
        (administered("PARTIAL"), true),
        (administered("NOT_DONE"), false),
        (visited(true), true),
        (visited(false), false),
        (json!({"sampleCollected": {"sampleId": "S"}}), true),
        (json!({"followUpContact": {"reached": true}}), false),
        // Under the consent to treatment, which is not recorded here.
        (json!({"materialCollected": {}}), false),
    ] {
        for (patient, consented) in [("Y", false), ("X", true)] {
            let mut story = beside_another();
            let index = story.tell(DAY, patient, kind.clone());
            let raises = raises && !consented;
            assert_eq!(
                story.codes(index).contains(code),
                raises,
                "{patient} {kind}"
            );
        }
    }
}

#[test]
fn a_consent_that_is_named_is_valid_itself() {
    let code = "NO_VALID_CONSENT";
    let (valid, invalid) = (
        "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",
        "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb",
    );
    let story = || {
        let mut story = treated();
        for (id, version) in [(valid, "2.0"), (invalid, "9")] {
            let version = json!({"version": {"family": FAMILY, "version": version}});
            let mut signed = signed("X", "SELF", &version);
            signed["recordId"] = json!(id);
            story.tell("2026-01-05", "", signed);
        }
        story
    };
    for (kind, field) in [
        ("sampleCollected", "sample_collected.consent"),
        ("materialCollected", "material_collected.consent"),
    ] {
        let under = |id: &str| {
            let named = json!({"consent": id, "sampleId": "S"});
            let mut told = json!({"patient": "X", kind: named});
            if kind == "materialCollected" {
                told[kind] = json!({"consent": id});
            }
            (DAY, told)
        };
        check(&story, code, under(invalid), under(valid));
        check(&story, code, under(invalid), under(""));
        let mut story = story();
        let (at, told) = under(invalid);
        let index = story.tell(at, "", told);
        assert_eq!(story.field_of(index, code).as_deref(), Some(field));
    }
}

/// A patient who is asked to sign new versions of two families.
fn asked_for_two() -> Story {
    let mut story = treated();
    story.tell("2026-01-10", "X", given("X", "L"));
    let items = ["SAMPLES"];
    signed_of("OTHER", &items, "X", &mut story);
    ask_anew(&mut story, "OTHER", 2);
    ask_anew(&mut story, FAMILY, 5);
    story
}

#[test]
fn who_signs_one_of_two_late_is_late_with_that_one() {
    let code = "LATE_RECONSENT";
    let own = |family: &str| signed_anew("X", "SELF", family);
    for (first, second) in [(FAMILY, "OTHER"), ("OTHER", FAMILY)] {
        // One is late, whether or not the other is asked for still.
        let mut story = asked_for_two();
        let late = story.tell("2026-04-03", "", own(first));
        assert!(story.codes(late).contains(code), "{first}");
        // The other was signed in time, and once more on the day of the late one.
        let mut story = asked_for_two();
        let in_time = story.tell("2026-04-02", "", own(second));
        let late = story.tell("2026-04-03", "", own(first));
        let again = story.tell("2026-04-03", "", own(second));
        for (index, raises) in [(in_time, false), (late, true), (again, false)] {
            assert_eq!(story.codes(index).contains(code), raises, "{first}");
        }
    }
}
