//! Who is asked again, told, recontacted, or has declined: rule by rule, with the day before and the day after.

use std::collections::BTreeMap;

use super::*;
use crate::rules::example::car_t;

#[test]
fn the_worked_history_asks_whom_it_should() {
    let book = car_t();
    let needs = |as_of: &str| -> BTreeMap<&str, Vec<String>> {
        let of = |patient| required(&book, patient, as_of).iter().map(line).collect();
        let all = ["P1", "P2", "P3", "P4", "P5", "P6"].map(|patient| (patient, of(patient)));
        all.into_iter()
            .filter(|(_, rows): &(_, Vec<_>)| !rows.is_empty())
            .collect()
    };
    let table: &[(&str, &[(&str, &str)])] = &[
        ("2021-04-01", &[]),
        (
            "2024-04-01",
            &[
                ("P1", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P2", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P5", "Needs NewVersion 2.0 2024-05-14 due"),
            ],
        ),
        (
            "2024-04-20",
            &[
                ("P2", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P3", "Notify NewVersion 2.0 2024-06-09 due"),
                ("P4", "Needs NewVersion 2.0 2024-06-09 due"),
                ("P5", "Needs NewVersion 2.0 2024-05-14 due"),
                ("P6", "Needs NewVersion 2.0 2024-06-09 due"),
            ],
        ),
        (
            "2024-05-15",
            &[
                ("P2", "Needs NewVersion 2.0 2024-05-14 overdue 1"),
                ("P4", "Needs NewVersion 2.0 2024-06-09 due"),
                ("P6", "Needs NewVersion 2.0 2024-06-09 due"),
            ],
        ),
        (
            "2024-06-10",
            &[("P4", "Needs NewVersion 2.0 2024-06-09 overdue 1")],
        ),
        (
            "2025-09-15",
            &[
                ("P4", "Needs Cohort 3.0 2025-10-01 due"),
                ("P5", "Needs Cohort 3.0 2025-10-01 due unreachable"),
                ("P6", "Needs Cohort 3.0 2025-10-01 due"),
            ],
        ),
        (
            "2025-10-02",
            &[("P5", "Needs Cohort 3.0 2025-10-01 overdue 1 unreachable")],
        ),
    ];
    for (as_of, expected) in table {
        let expected: BTreeMap<&str, Vec<String>> = expected
            .iter()
            .map(|(patient, row)| (*patient, vec![(*row).to_owned()]))
            .collect();
        assert_eq!(needs(as_of), expected, "as of {as_of}");
    }
}

#[test]
fn a_version_asks_from_its_first_day_at_the_site_and_is_overdue_after_its_deadline() {
    let story = adult();
    story.check("2020-02-29", &[]);
    story.check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-31", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-04-01", &["Needs NewVersion 2 2020-03-31 overdue 1"]);
}

#[test]
fn a_signature_ends_what_was_asked_on_its_day_and_not_before() {
    let mut story = adult();
    story.sign("2020-03-10", "X", "2", Signatory::Self_);
    story.check("2020-03-09", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-10", &[]);
}

#[test]
fn a_later_version_that_satisfies_an_older_one_stands_for_it() {
    let mut story = adult();
    story.version("3", 3, pb::ChangeClass::Administrative, "2020-03-05", None);
    story.check("2020-03-10", &["Needs NewVersion 2 2020-03-31 due"]);
    story.sign("2020-03-10", "X", "3", Signatory::Self_);
    story.check("2020-03-10", &[]);
}

#[test]
fn without_a_deadline_none_is_invented() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-03-01",
        None,
    );
    story.check("2025-01-01", &["Needs NewVersion 2 - no deadline"]);
}

#[test]
fn the_untreated_and_the_dead_are_asked_nothing() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-03-01",
        Some(30),
    );
    story.check("2020-03-01", &[]);
    let mut story = adult();
    story.state("2020-03-10", "X", pb::PatientState::Deceased, "");
    story.check("2020-03-09", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-10", &[]);
}

#[test]
fn who_is_lost_stays_and_is_reachable_again_once_found() {
    let mut story = adult();
    story.state("2020-03-10", "X", pb::PatientState::LostToFollowUp, "");
    story.state("2020-03-20", "X", pb::PatientState::Found, "");
    story.check(
        "2020-03-10",
        &["Needs NewVersion 2 2020-03-31 due unreachable"],
    );
    story.check("2020-03-20", &["Needs NewVersion 2 2020-03-31 due"]);
}

#[test]
fn who_declines_is_listed_as_such_until_signing_after_all() {
    let mut story = adult();
    story.decline("2020-03-10", "X", "2", Signatory::Self_);
    story.check("2020-03-09", &["Needs NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-10", &["Declined NewVersion 2 2020-03-31 due"]);
    story.sign("2020-03-12", "X", "2", Signatory::Self_);
    story.check("2020-03-12", &[]);
}

#[test]
fn who_withdrew_from_procedures_is_told_and_asked_no_more() {
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2020-03-01", &["Notify NewVersion 2 2020-03-31 due"]);
    story.told("2020-03-10", "X", pb::NotificationOutcome::Bounced);
    story.check("2020-03-10", &["Notify NewVersion 2 2020-03-31 due"]);
    story.told("2020-03-11", "X", pb::NotificationOutcome::Sent);
    story.check("2020-03-10", &["Notify NewVersion 2 2020-03-31 due"]);
    story.check("2020-03-11", &[]);
}

#[test]
fn who_refused_contact_as_well_is_not_told() {
    let mut story = adult();
    let scopes = [
        pb::WithdrawalScope::AllProcedures,
        pb::WithdrawalScope::Contact,
    ];
    story.withdraw("2020-02-01", "X", &scopes);
    story.check("2020-03-01", &[]);
    // Withdrawing from something else withdraws from nothing that is asked here.
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::SampleStorage]);
    story.check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
}

/// A patient who was followed for five years, until 2020-02-28, and for whom a plan of fifteen came a day later.
pub(super) fn completed() -> Story {
    let mut story = Story::new();
    story.plan("1", 1, 60, "2010-01-01");
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-02-29",
        Some(30),
    );
    story.plan("2", 2, 180, "2020-02-29");
    story.register("X", "", "");
    story.sign("2015-02-01", "X", "1", Signatory::Self_);
    story.treat("2015-02-28", "X");
    story.enrol("2015-02-28", "X");
    story
}

#[test]
fn who_was_completed_is_recontacted_until_a_new_enrolment() {
    let mut story = completed();
    story.check("2020-02-28", &[]);
    story.check("2020-02-29", &["Recontact NewVersion 2 2020-03-30 due"]);
    // R-A3: signing alone brings nobody back.
    story.sign("2020-03-10", "X", "2", Signatory::Self_);
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.enrol("2020-03-12", "X");
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.check("2020-03-12", &[]);
}

#[test]
fn who_was_completed_and_signed_is_not_recontacted_after_death_refusal_or_withdrawal() {
    let signed = || {
        let mut story = completed();
        story.sign("2020-03-10", "X", "2", Signatory::Self_);
        story
    };
    let mut story = signed();
    story.decline("2020-03-12", "X", "2", Signatory::Self_);
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.check("2020-03-12", &[]);
    let mut story = signed();
    story.state("2020-03-12", "X", pb::PatientState::Deceased, "");
    story.check("2020-03-12", &[]);
    let mut story = signed();
    story.withdraw("2020-03-12", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2020-03-11", &["Recontact NewVersion 2 2020-03-30 due"]);
    story.check("2020-03-12", &[]);
}

#[test]
fn who_signed_in_time_is_not_recontacted() {
    let mut story = completed();
    story.plan("3", 3, 240, "2020-01-01");
    story.version(
        "3",
        3,
        pb::ChangeClass::ReconsentRequired,
        "2020-01-01",
        Some(90),
    );
    story.sign("2020-02-10", "X", "3", Signatory::Self_);
    story.check("2020-03-10", &[]);
}

#[test]
fn a_consent_that_was_never_valid_is_asked_for_again() {
    let mut story = Story::new();
    story.register("X", "", "");
    story.sign("2009-12-31", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.check("2020-01-01", &["Needs InvalidSignature 1 - no deadline"]);
    story.sign("2020-01-02", "X", "1", Signatory::Self_);
    story.check("2020-01-02", &[]);
}

#[test]
fn a_version_that_is_only_elsewhere_is_not_signed_here() {
    let mut story = adult();
    story.state("2020-02-01", "X", pb::PatientState::Transferred, OTHER);
    let none = "Needs SiteTransfer  - no deadline";
    story.check("2020-03-10", &[none]);
    story.activate(OTHER, "2", "2020-03-20", "");
    story.check("2020-03-19", &[none]);
    story.check("2020-03-20", &["Needs NewVersion 2 2020-04-19 due"]);
}

#[test]
fn a_site_that_has_none_of_the_versions_signed_asks_for_its_own() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.version(
        "2",
        2,
        pb::ChangeClass::SubstantiveNoReconsent,
        "2020-03-01",
        None,
    );
    story.activate(OTHER, "2", "2020-03-01", "");
    story.state("2020-04-01", "X", pb::PatientState::Transferred, OTHER);
    story.check("2020-03-31", &[]);
    story.check("2020-04-01", &["Needs SiteTransfer 2 - no deadline"]);
}

#[test]
fn a_site_that_has_no_version_at_all_asks_for_one_that_is_not_known_yet() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.state("2020-04-01", "X", pb::PatientState::Transferred, OTHER);
    story.check("2020-03-31", &[]);
    story.check("2020-04-01", &["Needs SiteTransfer  - no deadline"]);
    // Nobody says where the patient went: nothing is known of that site.
    let mut nowhere = Story::new();
    nowhere.sign("2019-01-10", "X", "1", Signatory::Self_);
    nowhere.treat("2019-01-20", "X");
    nowhere.state("2020-04-01", "X", pb::PatientState::Transferred, "");
    nowhere.check("2020-04-01", &[]);
    // What was signed is in force there as well.
    story.activate(OTHER, "1", "2020-04-10", "");
    story.check("2020-04-09", &["Needs SiteTransfer  - no deadline"]);
    story.check("2020-04-10", &[]);
}

#[test]
fn a_version_that_ended_without_another_in_its_place_is_asked_for_again() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.activate(SITE, "1", "2010-01-01", "2020-01-01");
    story.check("2020-01-01", &[]);
    story.check("2020-01-02", &["Needs ConsentExpired 1 - no deadline"]);
    // Another in its place that asks nobody again: what was signed still counts.
    let class = pb::ChangeClass::SubstantiveNoReconsent;
    story.version("2", 2, class, "2020-02-01", None);
    story.check("2020-01-31", &["Needs ConsentExpired 1 - no deadline"]);
    story.check("2020-02-01", &[]);
}

#[test]
fn a_state_that_is_no_transfer_moves_nobody() {
    // Followed at a site that has none of the versions signed, and never transferred there.
    let mut story = Story::new();
    story.document(of_family("ELSE", "1", 1), ("2010-01-01", ""));
    story.activate(OTHER, "1", "2010-01-01", "");
    let registered = pb::Record {
        record_id: "R-REGISTERED".to_owned(),
        event_time: "2011-01-01".to_owned(),
        site: "9521123009998".to_owned(),
        patient: "X".to_owned(),
        kind: Some(pb::record::Kind::PatientRegistered(
            pb::PatientRegistered::default(),
        )),
        ..Default::default()
    };
    let index = u64::try_from(story.book.facts().len()).unwrap();
    story.book.insert(Fact::of_record(index, registered));
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    let class = pb::ChangeClass::SubstantiveNoReconsent;
    story.version("2", 2, class, "2020-03-01", None);
    story.activate("9521123009998", "2", "2020-03-01", "");
    story.state("2020-04-01", "X", pb::PatientState::Found, "");
    story.check("2020-04-01", &[]);
}

#[test]
fn every_row_says_by_which_rule_and_on_which_entries() {
    let story = adult();
    let row = required(&story.book, "X", "2020-03-01").remove(0);
    assert_eq!(row.list, List::Needs);
    assert_eq!(row.kind, Kind::NewVersion);
    assert_eq!(row.last_valid, "1");
    assert_eq!(
        row.why.basis.iter().copied().collect::<Vec<_>>(),
        ["R-K1", "R-K2", "R-K4"]
    );
    // The old signature, the administration, the version and its activation.
    let entries: Vec<u64> = row.why.evidence.keys().map(|index| index.value()).collect();
    assert_eq!(entries, [4, 5, 6, 7]);
}

#[test]
fn an_invalid_signature_takes_no_withdrawal_back() {
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.sign("2020-03-02", "X", "1", Signatory::Self_);
    story.check("2020-03-02", &["Notify NewVersion 2 2020-03-31 due"]);
    story.sign("2020-03-03", "X", "2", Signatory::Self_);
    story.check("2020-03-03", &[]);
    story.version(
        "3",
        3,
        pb::ChangeClass::ReconsentRequired,
        "2020-05-01",
        Some(30),
    );
    story.check("2020-05-01", &["Needs NewVersion 3 2020-05-31 due"]);
}

#[test]
fn consent_to_the_version_on_the_day_of_the_withdrawal_does_not_take_it_back() {
    let mut story = adult();
    story.sign("2020-02-01", "X", "1", Signatory::Self_);
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2020-03-01", &["Notify NewVersion 2 2020-03-31 due"]);
    story.sign("2020-02-02", "X", "1", Signatory::Self_);
    story.check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
}

#[test]
fn a_withdrawal_from_one_family_is_none_from_another() {
    let withdrawn = |family: &str| {
        let mut story = adult();
        let kind = pb::record::Kind::ConsentWithdrawn(pb::ConsentWithdrawn {
            scopes: vec![pb::WithdrawalScope::AllProcedures.into()],
            family: family.to_owned(),
            ..Default::default()
        });
        story.tell("2020-02-01", "X", kind);
        story
    };
    let told = "Notify NewVersion 2 2020-03-31 due";
    withdrawn("ICF").check("2020-03-01", &[told]);
    withdrawn("").check("2020-03-01", &[told]);
    withdrawn("BANK").check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
}

/// R-K6 with R-K8: a decline ends nothing but the requirement to sign.
#[test]
fn who_withdrew_and_declines_is_still_to_be_told() {
    let mut story = adult();
    story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.decline("2020-03-05", "X", "2", Signatory::Self_);
    story.check("2020-03-05", &["Notify NewVersion 2 2020-03-31 due"]);
    story.told("2020-03-10", "X", pb::NotificationOutcome::Delivered);
    story.check("2020-03-10", &["Declined NewVersion 2 2020-03-31 due"]);
}

#[test]
fn a_notification_counts_if_it_is_of_what_made_the_version_necessary() {
    use pb::trigger::Cause;
    let signal = |id: &str| Some(Cause::SignalId(id.to_owned()));
    let recall = Some(Cause::RecallId("R".to_owned()));
    let notify = "Notify NewVersion 2 2020-03-31 due";
    for (told_on, cause, expected) in [
        ("2020-02-20", signal("S"), None),
        ("2020-03-01", signal("T"), Some(notify)),
        ("2020-03-01", recall.clone(), None),
        ("2020-02-29", recall, Some(notify)),
        ("2020-03-01", None, None),
        ("2020-02-29", None, Some(notify)),
    ] {
        let mut story = Story::new();
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        story.treat("2019-01-20", "X");
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            reconsent_due: Some(due(Due::Days(30))),
            trigger: Some(pb::Trigger { cause: signal("S") }),
            ..of_family("ICF", "2", 2)
        };
        story.document(document, ("2020-03-01", ""));
        story.withdraw("2020-02-01", "X", &[pb::WithdrawalScope::AllProcedures]);
        let told = pb::RiskNotification {
            trigger: cause
                .clone()
                .map(|cause| pb::Trigger { cause: Some(cause) }),
            outcome: pb::NotificationOutcome::Sent.into(),
            ..Default::default()
        };
        story.tell(told_on, "X", pb::record::Kind::RiskNotification(told));
        let expected: Vec<&str> = expected.into_iter().collect();
        let lines = required(&story.book, "X", "2020-03-01");
        let lines: Vec<String> = lines.iter().map(line).collect();
        assert_eq!(lines, expected, "{cause:?} on {told_on}");
    }
}

#[test]
fn only_who_speaks_for_the_patient_declines() {
    let needs = "Needs NewVersion 2 2020-03-31 due";
    let declined = "Declined NewVersion 2 2020-03-31 due";
    // On the day before majority, and on it.
    for (majority, signatory, expected) in [
        ("2020-03-06", Signatory::Self_, declined),
        ("2020-03-06", Signatory::Lar, declined),
        ("2020-03-06", Signatory::Assent, declined),
        ("2020-03-06", Signatory::SecondParent, needs),
        ("2020-03-06", Signatory::Witness, needs),
        ("2020-03-05", Signatory::Lar, needs),
        ("2020-03-05", Signatory::Assent, needs),
        ("", Signatory::Lar, declined),
    ] {
        let mut story = Story::new();
        story.register("X", "2010-03-05", majority);
        story.treat("2019-01-20", "X");
        story.version(
            "2",
            2,
            pb::ChangeClass::ReconsentRequired,
            "2020-03-01",
            Some(30),
        );
        story.decline("2020-03-05", "X", "2", signatory);
        let rows = required(&story.book, "X", "2020-03-05");
        let of_version = rows.iter().find(|row| row.kind == Kind::NewVersion);
        let have = line(of_version.unwrap());
        assert_eq!(have, expected, "{signatory:?}, of age on {majority}");
    }
}

/// R-K2: an administrative version that takes its place does not take a requirement away.
#[test]
fn a_version_that_is_no_longer_signed_asks_on_where_a_later_one_satisfies_it() {
    for (satisfies, ends, expected) in [
        ("2", "2020-03-10", vec!["Needs NewVersion 2 2020-03-31 due"]),
        ("1", "2020-03-10", vec![]),
        ("1", "", vec!["Needs NewVersion 2 2020-03-31 due"]),
    ] {
        let mut story = adult();
        story.activate(SITE, "2", "2020-03-01", ends);
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::Administrative.into(),
            satisfies: vec![satisfies.to_owned()],
            ..of_family("ICF", "2.1", 3)
        };
        story.document(document, ("2020-03-11", ""));
        story.check("2020-03-10", &["Needs NewVersion 2 2020-03-31 due"]);
        story.check("2020-03-11", &expected);
    }
}

/// R-K2 with R-D2 and R-K8: what is overdue or declined stays so beside what a later version asks.
#[test]
fn a_later_version_does_not_hide_that_an_earlier_one_was_never_signed() {
    let old = "Needs NewVersion 2 2020-03-31 overdue 31";
    let declined = "Declined NewVersion 2 2020-03-31 overdue 31";
    let new = "Needs NewVersion 3 2020-05-31 due";
    let required = pb::ChangeClass::ReconsentRequired;
    let mut story = adult();
    story.version("3", 3, required, "2020-05-01", Some(30));
    story.check("2020-04-30", &["Needs NewVersion 2 2020-03-31 overdue 30"]);
    story.check("2020-05-01", &[old, new]);
    // The earlier one can no longer be signed; the later one is enough for both.
    story.sign("2020-05-01", "X", "2", Signatory::Self_);
    story.check("2020-05-01", &[old, new]);
    story.sign("2020-05-02", "X", "3", Signatory::Self_);
    story.check("2020-05-02", &[]);
    let mut story = adult();
    story.decline("2020-03-10", "X", "2", Signatory::Self_);
    story.version("3", 3, required, "2020-05-01", Some(30));
    story.check("2020-05-01", &[declined, new]);
    // One that satisfies none before it takes their place: nothing that can be signed would meet them.
    let mut story = adult();
    let document = pb::ConsentDocumentVersion {
        change_class: required.into(),
        reconsent_due: Some(due(Due::Days(30))),
        ..of_family("ICF", "3", 3)
    };
    story.document(document, ("2020-05-01", ""));
    story.check("2020-05-01", &[new]);
}

#[test]
fn a_version_does_not_ask_before_its_first_day_though_a_later_one_satisfies_it() {
    let mut story = adult();
    let document = pb::ConsentDocumentVersion {
        change_class: pb::ChangeClass::Administrative.into(),
        satisfies: vec!["2".to_owned()],
        ..of_family("ICF", "2.1", 3)
    };
    story.document(document, ("2020-02-01", ""));
    story.check("2020-02-29", &[]);
    story.check("2020-03-01", &["Needs NewVersion 2 2020-03-31 due"]);
}

#[test]
fn a_version_due_at_the_next_visit_is_due_until_that_day() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    let document = pb::ConsentDocumentVersion {
        change_class: pb::ChangeClass::ReconsentRequired.into(),
        reconsent_due: Some(due(Due::NextVisit(pb::NextVisit {}))),
        ..of_family("ICF", "2", 2)
    };
    story.document(document, ("2020-03-01", ""));
    for visit in ["2020-02-29", "2020-06-10"] {
        let visited = pb::FollowUpVisit {
            reached: Some(true),
            ..Default::default()
        };
        story.tell(visit, "X", pb::record::Kind::FollowUpVisit(visited));
    }
    story.check("2020-06-09", &["Needs NewVersion 2 - due"]);
    story.check("2020-06-10", &["Needs NewVersion 2 2020-06-10 due"]);
    story.check("2020-06-11", &["Needs NewVersion 2 2020-06-10 overdue 1"]);
}

#[test]
fn a_version_due_on_a_day_is_due_until_that_day() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    let document = pb::ConsentDocumentVersion {
        change_class: pb::ChangeClass::ReconsentRequired.into(),
        reconsent_due: Some(due(Due::On("2020-04-15".to_owned()))),
        ..of_family("ICF", "2", 2)
    };
    story.document(document, ("2020-03-01", ""));
    story.check("2020-04-15", &["Needs NewVersion 2 2020-04-15 due"]);
    story.check("2020-04-16", &["Needs NewVersion 2 2020-04-15 overdue 1"]);
}

#[test]
fn a_change_that_is_not_of_this_kind_asks_nobody() {
    for class in [
        pb::ChangeClass::Initial,
        pb::ChangeClass::Administrative,
        pb::ChangeClass::SubstantiveNoReconsent,
    ] {
        let mut story = Story::new();
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        story.treat("2019-01-20", "X");
        story.version("2", 2, class, "2020-03-01", Some(30));
        story.check("2020-04-15", &[]);
    }
}

#[test]
fn an_invalid_consent_that_is_then_declined_is_declined() {
    let mut story = Story::new();
    story.sign("2009-12-31", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.decline("2020-01-02", "X", "1", Signatory::Self_);
    story.check("2020-01-01", &["Needs InvalidSignature 1 - no deadline"]);
    story.check("2020-01-02", &["Declined InvalidSignature 1 - no deadline"]);
}

#[test]
fn a_version_signed_in_a_language_that_it_does_not_have_is_asked_for_again() {
    let signed = |language: &str, on: &str| {
        let mut story = Story::new();
        let signed = pb::ConsentSigned {
            version: Some(key("1")),
            signatory: Signatory::Self_.into(),
            language: language.to_owned(),
            ..Default::default()
        };
        story.signed(on, signed);
        story.treat("2019-01-20", "X");
        story
    };
    let story = signed("ug", "2019-01-10");
    assert_eq!(story.faults("2019-01-20"), [Fault::WrongLanguage]);
    story.check("2019-01-20", &["Needs LanguageChange 1 - no deadline"]);
    signed("ZH-cn", "2019-01-10").check("2019-01-20", &[]);
    signed("", "2019-01-10").check("2019-01-20", &[]);
    // Something else is wrong with it as well.
    let story = signed("ug", "2009-12-31");
    story.check("2019-01-20", &["Needs InvalidSignature 1 - no deadline"]);
}

/// R-A2 of who had completed, R-A3 of who was still followed.
#[test]
fn a_row_of_recontact_says_whether_the_follow_up_was_over_before_or_after() {
    let basis = |book: &Book, as_of: &str| -> Vec<&'static str> {
        let rows = required(book, "X", as_of);
        let [row] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!(row.list, List::Recontact);
        row.why.basis.iter().copied().collect()
    };
    let before = completed();
    assert_eq!(
        basis(&before.book, "2020-02-29"),
        ["R-A2", "R-K1", "R-K2", "R-K4"]
    );
    let mut after = Story::new();
    after.plan("1", 1, 60, "2010-01-01");
    after.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2020-02-28",
        Some(30),
    );
    after.plan("2", 2, 180, "2020-02-28");
    after.sign("2015-02-01", "X", "1", Signatory::Self_);
    after.treat("2015-02-28", "X");
    after.enrol("2015-02-28", "X");
    after.check("2020-03-29", &["Needs NewVersion 2 2020-03-29 due"]);
    after.check(
        "2020-03-30",
        &["Recontact NewVersion 2 2020-03-29 overdue 1"],
    );
    assert_eq!(
        basis(&after.book, "2020-03-30"),
        ["R-A3", "R-K1", "R-K2", "R-K4"]
    );
}

#[test]
fn a_family_that_is_linked_to_a_plan_asks_whom_the_plan_is_for() {
    let asked = "Needs NewVersion 1 2020-03-31 due";
    for (of_plan, linked, expected) in [
        ("PRODUCT", "PLAN-ICF", &[asked][..]),
        ("OTHER", "PLAN-ICF", &[]),
        // Linked to no plan, it is for everybody.
        ("OTHER", "ELSE", &[asked]),
    ] {
        let mut story = Story::new();
        story.treat("2019-01-20", "X");
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            reconsent_due: Some(due(Due::Days(30))),
            ..of_family("PLAN-ICF", "1", 1)
        };
        story.document(document, ("2020-03-01", ""));
        let plan = pb::FollowUpPlanVersion {
            plan_id: "PLAN".to_owned(),
            version: "1".to_owned(),
            ordinal: 1,
            product_ids: vec![of_plan.to_owned()],
            linked_consent: Some(pb::ConsentVersionKey {
                family: linked.to_owned(),
                version: "1".to_owned(),
            }),
            ..Default::default()
        };
        let kind = pb::record::Kind::FollowUpPlanVersion(plan);
        story.tell("2010-01-01", "", kind);
        story.check("2020-03-01", expected);
    }
}

/// R-K1 with R-K3: what is for others is not the version in force for the patient.
#[test]
fn what_is_lacking_is_asked_of_the_version_that_is_for_the_patient() {
    for (patient, expected) in [
        ("X", "Needs InvalidSignature 2 - no deadline"),
        ("Y", "Needs InvalidSignature 1 - no deadline"),
    ] {
        let mut story = Story::new();
        story.sign("2009-12-31", "X", "1", Signatory::Self_);
        story.treat("2019-01-20", "X");
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::Administrative.into(),
            scope: Some(pb::CohortScope {
                patients: vec![patient.to_owned()],
                ..Default::default()
            }),
            ..of_family("ICF", "2", 2)
        };
        story.document(document, ("2020-03-01", ""));
        story.check("2020-03-01", &[expected]);
    }
}

/// A document for another product is asked of who was given that, or has said something to it before.
#[test]
fn a_family_for_another_product_asks_who_signed_or_declined_it() {
    for (signs, declines, expected) in [
        (false, false, &[][..]),
        (true, false, &["Needs NewVersion 2 2020-03-31 due"]),
        (false, true, &["Declined NewVersion 2 2020-03-31 due"]),
    ] {
        let mut story = Story::new();
        story.register("X", "", "");
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        story.treat("2019-01-20", "X");
        let document = |version: &str, ordinal| pb::ConsentDocumentVersion {
            product_ids: vec!["OTHER".to_owned()],
            ..of_family("ELSE", version, ordinal)
        };
        let key = |version: &str| {
            Some(pb::ConsentVersionKey {
                family: "ELSE".to_owned(),
                version: version.to_owned(),
            })
        };
        story.document(document("1", 1), ("2010-01-01", ""));
        let second = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            reconsent_due: Some(due(Due::Days(30))),
            ..document("2", 2)
        };
        story.document(second, ("2020-03-01", ""));
        if signs {
            let signed = pb::ConsentSigned {
                version: key("1"),
                signatory: Signatory::Self_.into(),
                ..Default::default()
            };
            story.signed("2019-01-10", signed);
        }
        if declines {
            let declined = pb::ConsentDeclined {
                version: key("2"),
                signatory: Signatory::Self_.into(),
                ..Default::default()
            };
            let declined = pb::record::Kind::ConsentDeclined(declined);
            story.tell("2020-03-01", "X", declined);
        }
        story.check("2020-03-01", expected);
    }
}

#[test]
fn a_consent_of_another_family_does_not_count_at_the_site_of_a_transfer() {
    let mut story = Story::new();
    story.register("X", "", "");
    story.sign("2019-01-10", "X", "1", Signatory::Self_);
    story.treat("2019-01-20", "X");
    story.document(of_family("ELSE", "1", 1), ("2010-01-01", ""));
    let else_1 = || {
        Some(pb::ConsentVersionKey {
            family: "ELSE".to_owned(),
            version: "1".to_owned(),
        })
    };
    let signed = pb::ConsentSigned {
        version: else_1(),
        signatory: Signatory::Self_.into(),
        ..Default::default()
    };
    story.signed("2019-01-10", signed);
    let activated = pb::ConsentVersionActivated {
        version: else_1(),
        site: OTHER.to_owned(),
        effective_from: "2010-01-01".to_owned(),
        ..Default::default()
    };
    let activated = pb::record::Kind::ConsentVersionActivated(activated);
    story.tell("2010-01-01", "", activated);
    let class = pb::ChangeClass::SubstantiveNoReconsent;
    story.version("2", 2, class, "2020-03-01", None);
    story.activate(OTHER, "2", "2020-03-01", "");
    story.state("2020-04-01", "X", pb::PatientState::Transferred, OTHER);
    story.check("2020-04-01", &["Needs SiteTransfer 2 - no deadline"]);
}
