//! Consent for minors, and of those who come of age: the day itself, the day before, 29 February.

use super::*;

#[test]
fn assent_is_asked_from_its_day_on_and_within_sixty_days() {
    let mut story = child();
    story.check("2020-02-28", &[]);
    story.check("2020-02-29", &["Needs Assent 1 2020-04-29 due"]);
    story.check("2020-04-30", &["Needs Assent 1 2020-04-29 overdue 1"]);
    story.sign("2020-05-02", "X", "1", Signatory::Assent);
    story.check("2020-05-01", &["Needs Assent 1 2020-04-29 overdue 2"]);
    story.check("2020-05-02", &[]);
}

#[test]
fn a_refused_assent_is_a_decline() {
    let mut story = child();
    story.decline("2020-03-10", "X", "1", Signatory::Assent);
    story.check("2020-03-10", &["Declined Assent 1 2020-04-29 due"]);
}

#[test]
fn from_majority_on_ones_own_signature_is_asked() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.check("2030-02-27", &[]);
    story.check("2030-02-28", &["Needs AgeOfMajority 1 2030-04-29 due"]);
    story.sign("2030-03-01", "X", "1", Signatory::Lar);
    assert_eq!(story.faults("2030-03-01"), [Fault::SignatoryNotAuthorised]);
    story.check(
        "2030-04-30",
        &["Needs AgeOfMajority 1 2030-04-29 overdue 1"],
    );
    story.sign("2030-05-01", "X", "1", Signatory::Self_);
    story.check("2030-05-01", &[]);
}

/// R-M1: of each family by itself.
#[test]
fn who_comes_of_age_signs_what_the_representative_had_signed_of_that_family() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.document(of_family("ELSE", "1", 1), ("2010-01-01", ""));
    let of_else = |signatory: Signatory| pb::ConsentSigned {
        version: Some(pb::ConsentVersionKey {
            family: "ELSE".to_owned(),
            version: "1".to_owned(),
        }),
        signatory: signatory.into(),
        ..Default::default()
    };
    story.signed("2030-03-01", of_else(Signatory::Self_));
    story.check("2030-03-01", &["Needs AgeOfMajority 1 2030-04-29 due"]);
    story.sign("2030-03-02", "X", "1", Signatory::Self_);
    story.check("2030-03-02", &[]);
}

#[test]
fn a_minors_set_of_a_new_version_needs_representative_and_assent() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2025-01-01",
        Some(30),
    );
    let asked = "Needs NewVersion 2 2025-01-31 due";
    story.check("2025-01-01", &[asked]);
    story.sign("2025-01-05", "X", "2", Signatory::Lar);
    story.check("2025-01-05", &[asked]);
    assert_eq!(story.faults("2025-01-05"), [Fault::AssentMissing]);
    story.sign("2025-01-09", "X", "2", Signatory::Assent);
    story.check("2025-01-08", &[asked]);
    story.check("2025-01-09", &[]);
}

#[test]
fn before_the_age_of_assent_the_representative_is_enough() {
    let mut story = child();
    story.version(
        "2",
        2,
        pb::ChangeClass::ReconsentRequired,
        "2019-01-01",
        Some(30),
    );
    story.sign("2019-01-05", "X", "2", Signatory::Lar);
    story.check("2019-01-05", &[]);
}

/// R-M1: consented for as a minor, treated as an adult.
#[test]
fn who_comes_of_age_between_consent_and_treatment_consents_alone() {
    let story = |treated: &str, signed: &str, by: Signatory| {
        let mut story = Story::new();
        story.register("X", "2009-02-28", "2019-02-28");
        story.sign(signed, "X", "1", by);
        if by == Signatory::Lar {
            story.sign(signed, "X", "1", Signatory::Assent);
        }
        story.treat(treated, "X");
        story
    };
    let asked = "Needs AgeOfMajority 1 2019-04-29 due";
    let lar = Signatory::Lar;
    story("2019-02-27", "2019-02-01", lar).check("2019-02-27", &[]);
    story("2019-02-27", "2019-02-01", lar).check("2019-02-28", &[asked]);
    story("2019-02-28", "2019-02-27", lar).check("2019-02-28", &[asked]);
    story("2019-02-28", "2019-02-28", Signatory::Self_).check("2019-02-28", &[]);
    // Nobody signed for this adult as a minor: what was signed is not valid.
    story("2019-02-28", "2019-02-28", lar).check("2019-02-28", &[asked]);
}

/// R-M1: whoever else signed, and when, the own consent is missing from the day of majority on.
#[test]
fn an_adult_for_whom_only_a_representative_signed_is_asked_for_an_own_consent_in_time() {
    let mut story = Story::new();
    story.register("X", "2009-02-28", "2019-02-28");
    story.sign("2019-03-01", "X", "1", Signatory::Lar);
    story.sign("2019-03-01", "X", "1", Signatory::Assent);
    story.treat("2019-03-10", "X");
    story.check("2019-04-29", &["Needs AgeOfMajority 1 2019-04-29 due"]);
    story.check(
        "2019-04-30",
        &["Needs AgeOfMajority 1 2019-04-29 overdue 1"],
    );
    story.sign("2019-05-01", "X", "1", Signatory::Self_);
    story.check("2019-05-01", &[]);
    // Who signed alone, though not validly, is asked to sign validly.
    let mut story = Story::new();
    story.register("X", "2009-02-28", "2019-02-28");
    story.sign("2009-12-31", "X", "1", Signatory::Self_);
    story.sign("2019-03-01", "X", "1", Signatory::Lar);
    story.treat("2019-03-10", "X");
    story.check("2019-03-10", &["Needs InvalidSignature 1 - no deadline"]);
}

/// R-K8: a decline ends nothing but that requirement.
#[test]
fn who_declines_a_later_version_still_owes_the_own_consent_of_majority() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    let required = pb::ChangeClass::ReconsentRequired;
    story.version("2", 2, required, "2030-03-01", Some(30));
    story.decline("2030-03-10", "X", "2", Signatory::Self_);
    story.check(
        "2030-04-30",
        &[
            "Declined NewVersion 2 2030-03-31 overdue 30",
            "Needs AgeOfMajority 1 2030-04-29 overdue 1",
        ],
    );
    story.sign("2030-05-01", "X", "2", Signatory::Self_);
    story.check("2030-05-01", &[]);
}

/// R-M2: consented for before the age of assent, treated after it.
#[test]
fn a_child_who_reaches_the_age_of_assent_before_treatment_assents() {
    let story = |signed: &str| {
        let mut story = Story::new();
        story.register("X", "2019-02-28", "2029-02-28");
        story.sign(signed, "X", "1", Signatory::Lar);
        story.treat("2019-03-10", "X");
        story
    };
    story("2019-02-27").check("2019-03-10", &["Needs Assent 1 2019-04-29 due"]);
    // From that age on, the representative's signature alone is no set.
    let never = "Needs InvalidSignature 1 - no deadline";
    story("2019-02-28").check("2019-03-10", &[never]);
}

/// R-M1: the version then in force, where the patient was followed then. A newer one asks for itself, and its
/// signature is enough.
#[test]
fn the_version_at_majority_is_the_one_in_force_then() {
    let grown = |class, effective: &str| {
        let mut story = child();
        story.sign("2020-03-01", "X", "1", Signatory::Assent);
        story.version("2", 2, class, effective, Some(30));
        story
    };
    let administrative = pb::ChangeClass::Administrative;
    let required = pb::ChangeClass::ReconsentRequired;
    // In force on the day itself, and from the next day on.
    let own = "Needs AgeOfMajority 2 2030-04-29 due";
    grown(administrative, "2030-02-28").check("2030-03-02", &[own]);
    let own = "Needs AgeOfMajority 1 2030-04-29 due";
    grown(administrative, "2030-03-01").check("2030-03-02", &[own]);
    let mut story = grown(required, "2030-03-01");
    story.check("2030-02-28", &[own]);
    let both = [
        "Needs NewVersion 2 2030-03-31 due",
        "Needs AgeOfMajority 1 2030-04-29 due",
    ];
    story.check("2030-03-01", &both);
    story.sign("2030-03-05", "X", "2", Signatory::Self_);
    story.check("2030-03-05", &[]);
    // Who had signed the version then in force has consented alone, whatever comes after.
    let mut story = grown(required, "2030-03-02");
    story.sign("2030-03-01", "X", "1", Signatory::Self_);
    story.check("2030-03-02", &["Needs NewVersion 2 2030-04-01 due"]);
}

#[test]
fn who_came_of_age_at_another_site_is_asked_where_followed_now() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.activate(OTHER, "1", "2030-03-15", "");
    story.state("2030-03-20", "X", pb::PatientState::Transferred, OTHER);
    let own = "Needs AgeOfMajority 1 2030-04-29 due";
    story.check("2030-03-19", &[own]);
    story.check("2030-03-20", &[own]);
}

#[test]
fn a_plan_says_within_how_many_days_a_patient_of_age_consents() {
    let mut story = Story::new();
    let key = pb::PlanVersionKey {
        plan_id: "PLAN".to_owned(),
        version: "1".to_owned(),
    };
    let plan = pb::FollowUpPlanVersion {
        plan_id: "PLAN".to_owned(),
        version: "1".to_owned(),
        ordinal: 1,
        parameters: Some(pb::PlanParameters {
            requirement_days: Some(10),
            ..Default::default()
        }),
        ..Default::default()
    };
    story.tell(
        "2010-01-01",
        "",
        pb::record::Kind::FollowUpPlanVersion(plan),
    );
    let activated = pb::PlanActivated {
        plan: Some(key),
        site: SITE.to_owned(),
        effective_from: "2010-01-01".to_owned(),
        ..Default::default()
    };
    story.tell("2010-01-01", "", pb::record::Kind::PlanActivated(activated));
    story.register("X", "2010-02-28", "2020-02-28");
    story.sign("2019-01-01", "X", "1", Signatory::Lar);
    story.sign("2019-01-01", "X", "1", Signatory::Assent);
    story.treat("2019-01-10", "X");
    story.check("2020-03-09", &["Needs AgeOfMajority 1 2020-03-09 due"]);
    story.check(
        "2020-03-10",
        &["Needs AgeOfMajority 1 2020-03-09 overdue 1"],
    );
}

#[test]
fn an_own_refusal_at_majority_is_a_decline_and_an_earlier_one_is_not() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.decline("2030-02-27", "X", "1", Signatory::Self_);
    story.check("2030-02-28", &["Needs AgeOfMajority 1 2030-04-29 due"]);
    story.decline("2030-02-28", "X", "1", Signatory::Self_);
    story.check("2030-02-28", &["Declined AgeOfMajority 1 2030-04-29 due"]);
}

#[test]
fn who_withdrew_from_procedures_is_not_asked_at_majority() {
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    story.withdraw("2030-01-01", "X", &[pb::WithdrawalScope::AllProcedures]);
    story.check("2030-02-28", &[]);
}

/// A child, consented for by one representative; another signs for a second family, on a day.
fn represented(first: &[u8], second: &[u8], on: &str) -> Story {
    let mut story = Story::new();
    story.document(of_family("BANK", "1", 1), ("2010-01-01", ""));
    story.register("X", "2030-01-01", "2040-01-01");
    for (on, family, authority) in [("2019-01-10", "ICF", first), (on, "BANK", second)] {
        let signed = pb::ConsentSigned {
            version: Some(pb::ConsentVersionKey {
                family: family.to_owned(),
                version: "1".to_owned(),
            }),
            signatory: Signatory::Lar.into(),
            authority_document: (!authority.is_empty()).then(|| pb::DocHash {
                sha256: authority.to_vec(),
                ..Default::default()
            }),
            ..Default::default()
        };
        story.signed(on, signed);
    }
    story.treat("2019-01-20", "X");
    story
}

#[test]
fn another_representative_consents_again() {
    let later = "2020-01-10";
    let story = represented(&[1; 32], &[2; 32], later);
    story.check("2020-01-09", &[]);
    story.check("2020-01-10", &["Needs LarChange 1 - no deadline"]);
    // A child's assent, of either family, takes the place of no representative's consent.
    let assent = "Needs Assent 1 2030-03-02 due";
    let lar_change = "Needs LarChange 1 - no deadline";
    story.check("2030-01-01", &[assent, assent, lar_change]);
    represented(&[1; 32], &[1; 32], later).check("2020-01-10", &[]);
    represented(&[], &[2; 32], later).check("2020-01-10", &[]);
    represented(&[1; 32], &[], later).check("2020-01-10", &[]);
    // Of two on one day, neither has taken the other's place.
    represented(&[1; 32], &[2; 32], "2019-01-10").check("2020-01-10", &[]);
    let mut story = represented(&[1; 32], &[2; 32], later);
    let signed = pb::ConsentSigned {
        version: Some(key("1")),
        signatory: Signatory::Lar.into(),
        authority_document: Some(pb::DocHash {
            sha256: vec![2; 32],
            ..Default::default()
        }),
        ..Default::default()
    };
    story.signed("2020-01-20", signed);
    story.check("2020-01-20", &[]);
}

#[test]
fn ones_own_signature_counts_if_it_is_valid_and_not_before_the_day_of_majority() {
    let asked = "Needs AgeOfMajority 1 2030-04-29 due";
    let invalid = |mut story: Story| {
        let signed = pb::ConsentSigned {
            version: Some(key("1")),
            signatory: Signatory::Self_.into(),
            language: "ug".to_owned(),
            ..Default::default()
        };
        story.signed("2030-03-01", signed);
        story
    };
    let mut story = child();
    story.sign("2020-03-01", "X", "1", Signatory::Assent);
    let mut story = invalid(story);
    story.check("2030-03-01", &[asked]);
    story.sign("2030-03-02", "X", "1", Signatory::Self_);
    story.check("2030-03-02", &[]);
    for (signed, expected) in [("2030-02-27", &[asked][..]), ("2030-02-28", &[])] {
        let mut story = child();
        story.sign("2020-03-01", "X", "1", Signatory::Assent);
        story.sign(signed, "X", "1", Signatory::Self_);
        story.check("2030-03-01", expected);
    }
}

/// R-M1: it is asked of who was treated, or consented for, before it; a consent for another family is none.
#[test]
fn who_consented_only_as_an_adult_is_not_asked_at_majority() {
    // What the other family asks for is its own.
    let of_the_other = "Needs ConsentExpired 1 - no deadline";
    for (represented, expected) in [(false, &[][..]), (true, &[of_the_other])] {
        let mut story = Story::new();
        story.register("X", "", "2009-06-01");
        if represented {
            story.document(of_family("ELSE", "1", 1), ("2009-01-01", "2009-05-31"));
            let signed = pb::ConsentSigned {
                version: Some(pb::ConsentVersionKey {
                    family: "ELSE".to_owned(),
                    version: "1".to_owned(),
                }),
                signatory: Signatory::Lar.into(),
                ..Default::default()
            };
            story.signed("2009-05-01", signed);
        }
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        story.treat("2019-01-20", "X");
        story.version("2", 2, pb::ChangeClass::Administrative, "2020-03-01", None);
        // No version was in force on that day: the one that is now would be asked for.
        story.check("2020-03-01", expected);
    }
}
