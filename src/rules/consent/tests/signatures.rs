//! Which signatures are valid, each fault with its day.

use super::*;
use crate::rules::example::car_t;

#[test]
fn an_early_signature_satisfies_nothing_and_says_since_when_it_could_have() {
    let (patient, catalogue) = asked(&car_t(), "P4", "2024-05-01");
    let signatures = Signatures::of(&patient, &catalogue);
    let early = signatures.all.last().unwrap();
    assert_eq!(early.on, day("2024-04-05"));
    let since = Fault::NotEffective(Some(day("2024-04-10")));
    assert_eq!(early.faults.iter().collect::<Vec<_>>(), [&since]);
    assert_eq!(
        early.faults.first().unwrap().code(),
        "CONSENT_VERSION_NOT_EFFECTIVE"
    );
}

#[test]
fn a_superseded_version_can_no_longer_be_signed() {
    let mut story = adult();
    story.sign("2020-03-01", "X", "1", Signatory::Self_);
    assert_eq!(
        story.faults("2020-03-01"),
        [Fault::Superseded("2".to_owned())]
    );
    let mut story = adult();
    story.sign("2020-02-29", "X", "1", Signatory::Self_);
    assert_eq!(story.faults("2020-03-01"), []);
}

#[test]
fn a_minor_does_not_sign_alone_nor_an_adult_through_another() {
    let mut story = child();
    story.sign("2030-02-27", "X", "1", Signatory::Self_);
    assert_eq!(story.faults("2030-02-27"), [Fault::SignatoryNotAuthorised]);
    let mut story = adult();
    story.sign("2020-03-10", "X", "2", Signatory::Lar);
    assert_eq!(story.faults("2020-03-10"), [Fault::SignatoryNotAuthorised]);
}

#[test]
fn a_document_that_is_none_of_the_versions_was_not_signed() {
    for (sha256, faults) in [
        (vec![7; 32], vec![]),
        (Vec::new(), vec![]),
        (vec![8; 32], vec![Fault::WrongDocument]),
    ] {
        let mut story = Story::new();
        let document = pb::ConsentDocumentVersion {
            document: Some(pb::DocHash {
                sha256: vec![7; 32],
                ..Default::default()
            }),
            ..of_family("BANK", "1", 1)
        };
        story.document(document, ("2010-01-01", ""));
        let signed = pb::ConsentSigned {
            version: Some(pb::ConsentVersionKey {
                family: "BANK".to_owned(),
                version: "1".to_owned(),
            }),
            signatory: Signatory::Self_.into(),
            document_sha256: sha256,
            ..Default::default()
        };
        story.signed("2019-01-10", signed);
        assert_eq!(story.faults("2019-01-10"), faults);
    }
}

#[test]
fn a_version_that_nobody_told_of_satisfies_nothing() {
    let mut story = Story::new();
    story.sign("2019-01-10", "X", "9", Signatory::Self_);
    assert_eq!(story.faults("2019-01-10"), [Fault::VersionUnknown]);
    // In force nowhere, and no longer in force.
    story.document(of_family("ICF", "0", 0), ("2010-01-01", "2019-01-09"));
    story.sign("2019-01-10", "X", "0", Signatory::Self_);
    let ended = Fault::NotEffective(Some(day("2010-01-01")));
    assert_eq!(story.faults("2019-01-10"), [ended]);
}

#[test]
fn a_version_for_others_takes_the_place_of_none() {
    for (patients, faults) in [
        (vec!["Y".to_owned()], vec![]),
        (
            vec!["X".to_owned()],
            vec![Fault::Superseded("2".to_owned())],
        ),
    ] {
        let mut story = Story::new();
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            scope: Some(pb::CohortScope {
                patients,
                ..Default::default()
            }),
            ..of_family("ICF", "2", 2)
        };
        story.document(document, ("2019-01-10", ""));
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        assert_eq!(story.faults("2019-01-10"), faults);
    }
}

#[test]
fn a_witness_or_a_second_parent_alone_is_no_consent() {
    for signatory in [Signatory::Witness, Signatory::SecondParent] {
        let mut story = adult();
        story.sign("2020-03-02", "X", "2", signatory);
        assert_eq!(story.faults("2020-03-02"), []);
        story.check("2020-03-02", &["Needs NewVersion 2 2020-03-31 due"]);
    }
}

#[test]
fn a_version_for_the_treated_takes_the_place_for_who_is_about_to_be_treated() {
    for treated in ["2019-01-09", "2019-01-10", "2019-01-11", ""] {
        let mut story = Story::new();
        let document = pb::ConsentDocumentVersion {
            change_class: pb::ChangeClass::ReconsentRequired.into(),
            scope: Some(pb::CohortScope {
                all_treated: true,
                ..Default::default()
            }),
            ..of_family("ICF", "2", 2)
        };
        story.document(document, ("2019-01-10", ""));
        story.sign("2019-01-10", "X", "1", Signatory::Self_);
        if !treated.is_empty() {
            story.treat(treated, "X");
        }
        let superseded = [Fault::Superseded("2".to_owned())];
        assert_eq!(story.faults("2019-01-11"), superseded, "treated {treated}");
    }
}
