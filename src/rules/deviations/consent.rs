//! Consent: signatures that are not valid and what is wrong with them, consent that came too late or not at all
//! before something was done, and what a version that was signed does not speak of.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{
    By, Details, Deviation,
    envelope::{day_after_hours, has_task, least, roles},
};
use crate::{
    pb::{
        self, ActorRole, AdministrationStatus, ConsentItemKind, DelegatedTask, DonorRelation,
        SamplePurpose, Signatory, record::Kind,
    },
    rules::{
        catalogue::{Catalogue, ConsentVersion},
        consent::{
            requirements::{Kind as Asked, List, Requirement, requirements},
            signatures::{Fault, Set, Signature, Signatures},
        },
        dossier::Dossier,
        flags::codes,
        follow_up::period::Period,
        patient::Patient,
        question::{Question, Seen},
    },
};

/// What the consent of a patient raises.
pub(super) fn of(
    dossier: &Dossier,
    patient: &Patient,
    catalogue: &Catalogue,
    question: &Question,
    signatures: &Signatures,
    by: By<'_>,
) -> Vec<Deviation> {
    let mut raised = Vec::new();
    for signature in signatures.all.iter().filter(|one| by.is(&one.said)) {
        raised.extend(
            signature
                .faults
                .iter()
                .map(|fault| at_fault(signature, fault)),
        );
    }
    raised.extend(without_consent(patient, signatures, by));
    raised.extend(treated_before(patient, signatures));
    raised.extend(lacking_items(patient, catalogue, signatures, by));
    let signed = patient.of_kind(pick!(ConsentSigned));
    for (fact, signed) in signed.filter(|(fact, _)| by.is(fact)) {
        raised.extend(discusser(fact, signed, catalogue));
        raised.extend(not_countersigned(fact, signed, patient, catalogue));
    }
    let signed = signatures.all.iter().filter(|one| by.is(&one.said));
    let mut days: Vec<NaiveDate> = signed.map(|one| one.on).collect();
    days.dedup();
    for day in days {
        raised.extend(late(dossier, catalogue, question, day));
    }
    raised
}

fn at_fault(signature: &Signature, fault: &Fault) -> Deviation {
    let (rule, field) = match fault {
        Fault::VersionUnknown => (codes::CONSENT_VERSION_UNKNOWN, "consent_signed.version"),
        Fault::NotEffective(_) => (
            codes::CONSENT_VERSION_NOT_EFFECTIVE,
            "consent_signed.version",
        ),
        Fault::Superseded(_) => (codes::CONSENT_VERSION_SUPERSEDED, "consent_signed.version"),
        Fault::WrongLanguage => (codes::WRONG_LANGUAGE, "consent_signed.language"),
        Fault::WrongDocument => (
            codes::CONSENT_DOCUMENT_UNKNOWN,
            "consent_signed.document_sha256",
        ),
        Fault::SignatoryNotAuthorised => {
            (codes::SIGNATORY_NOT_AUTHORISED, "consent_signed.signatory")
        }
        Fault::AssentMissing => (codes::ASSENT_MISSING, "consent_signed.signatory"),
    };
    let effective = if let Fault::NotEffective(effective) = fault {
        *effective
    } else {
        None
    };
    let details = Details {
        signed: Some(signature.on),
        effective,
        ..Details::default()
    };
    Deviation::new(rule, &signature.said, field)
        .of_version(&signature.version.version)
        .with(details)
}

fn consented_by(signatures: &Signatures, day: NaiveDate) -> Option<&Set> {
    signatures.sets.iter().rfind(|set| set.on <= day)
}

/// What was done to a patient who had not validly consented to anything by that day.
fn without_consent(patient: &Patient, signatures: &Signatures, by: By<'_>) -> Vec<Deviation> {
    let mut raised = Vec::new();
    for fact in patient.facts.iter().filter(|fact| by.is(fact)) {
        let (field, named) = match fact.kind() {
            Some(Kind::Administration(administration))
                if administration.status() != AdministrationStatus::NotDone =>
            {
                ("administration", None)
            }
            Some(Kind::SampleCollected(sample)) => {
                ("sample_collected.consent", Some(sample.consent.as_str()))
            }
            Some(Kind::FollowUpVisit(visit)) if visit.reached != Some(false) => {
                ("follow_up_visit", None)
            }
            Some(Kind::FollowUpEnrolment(enrolment)) => (
                "follow_up_enrolment.consent",
                Some(enrolment.consent.as_str()),
            ),
            // Material is often taken under the consent to treatment, which nobody records here: only where a
            // consent is named, one must be on record.
            Some(Kind::MaterialCollected(collected)) if !collected.consent.is_empty() => (
                "material_collected.consent",
                Some(collected.consent.as_str()),
            ),
            _ => continue,
        };
        let named = named.and_then(|named| self::named(signatures, named));
        let invalid = named.is_some_and(|signature| !signature.faults.is_empty());
        // A donor who is no patient has no other consent on record than the one that is named.
        let from_donor = match fact.kind() {
            Some(Kind::MaterialCollected(collected)) => !is_own(fact, collected),
            _ => false,
        };
        let lacks = !from_donor && consented_by(signatures, fact.on).is_none();
        if lacks || invalid {
            raised.push(Deviation::new(codes::NO_VALID_CONSENT, fact, field));
        }
    }
    raised
}

/// Whether material was taken from the patient whom the product is for.
pub(super) fn is_own(fact: &Seen, collected: &pb::MaterialCollected) -> bool {
    let patient = &fact.record.patient;
    let from_other = !collected.donor.is_empty() && collected.donor != *patient;
    collected.source() == DonorRelation::Autologous && !patient.is_empty() && !from_other
}

/// The signature in a record.
fn named<'a>(signatures: &'a Signatures, record_id: &str) -> Option<&'a Signature> {
    let mut all = signatures.all.iter();
    all.find(|one| one.said.record.record_id == record_id)
}

/// The first administration, where the first consent came later: raised by whichever was recorded later, so
/// that somebody's receipt says it.
fn treated_before(patient: &Patient, signatures: &Signatures) -> Option<Deviation> {
    let (given, _) = patient.given().next()?;
    let set = signatures.sets.first().filter(|set| given.on < set.on)?;
    let signed = set.said.iter().max_by_key(|said| said.index)?;
    let (by, other, field) = if given.index < signed.index {
        (signed, given, "event_time")
    } else {
        (given, signed, "administration")
    };
    let details = Details {
        administered: Some(given.on),
        consented: Some(set.on),
        ..Details::default()
    };
    let before = Deviation::new(codes::TREATED_BEFORE_CONSENT, by, field);
    Some(before.with(details).shown_by(other))
}

/// Samples under a consent that does not speak of samples, or of genetic testing where they are for that.
fn lacking_items(
    patient: &Patient,
    catalogue: &Catalogue,
    signatures: &Signatures,
    by: By<'_>,
) -> Vec<Deviation> {
    let mut raised = Vec::new();
    let samples = patient.of_kind(pick!(SampleCollected));
    for (fact, sample) in samples.filter(|(fact, _)| by.is(fact)) {
        let signed = under(signatures, &sample.consent, fact.on);
        let versions: Vec<&ConsentVersion> = signed
            .iter()
            .filter_map(|(key, _)| catalogue.consent_version(key))
            .collect();
        if versions.is_empty() {
            continue;
        }
        let documents = versions.iter().map(|version| version.document());
        let items: BTreeSet<ConsentItemKind> = documents
            .flat_map(|document| document.items.iter().map(pb::ConsentItem::item))
            .collect();
        let genetic = sample.purposes().any(is_genetic);
        let lacks = !items.contains(&ConsentItemKind::Samples)
            || genetic && !items.contains(&ConsentItemKind::GeneticTesting);
        if lacks {
            let field = "sample_collected.purposes";
            let mut lacking = Deviation::new(codes::CONSENT_ITEM_LACKING, fact, field)
                .of_sample(&sample.sample_id);
            if let [version] = versions.as_slice() {
                lacking = lacking.of_version(&version.version);
            }
            let said = signed.iter().flat_map(|(_, said)| said.iter());
            raised.push(said.fold(lacking, Deviation::shown_by));
        }
    }
    raised
}

/// Whether a sample for this is one for genetic testing.
pub(super) const fn is_genetic(purpose: SamplePurpose) -> bool {
    matches!(
        purpose,
        SamplePurpose::Clonality | SamplePurpose::Isa | SamplePurpose::OffTarget
    )
}

/// Under what something was done: the signature that it names, or else the patient's last consent by that day
/// of each family.
fn under<'a>(
    signatures: &'a Signatures,
    named: &str,
    on: NaiveDate,
) -> Vec<(&'a pb::ConsentVersionKey, &'a [Seen])> {
    if let Some(signature) = self::named(signatures, named) {
        return vec![(&signature.version, std::slice::from_ref(&signature.said))];
    }
    let mut last: BTreeMap<&str, &Set> = BTreeMap::new();
    for set in signatures.sets.iter().filter(|set| set.on <= on) {
        last.insert(&set.version.family, set);
    }
    let sets = last.into_values();
    sets.map(|set| (&set.version, set.said.as_slice()))
        .collect()
}

/// A consent that was discussed by somebody who is registered, and is neither an investigator nor delegated to.
fn discusser(fact: &Seen, signed: &pb::ConsentSigned, catalogue: &Catalogue) -> Option<Deviation> {
    let roles = roles(&signed.discussed_by, fact, catalogue)?;
    let investigator = roles.contains(&ActorRole::Investigator.into());
    let delegated = has_task(
        &signed.discussed_by,
        DelegatedTask::Consent,
        fact.on,
        catalogue,
    );
    let field = "consent_signed.discussed_by";
    let not = Deviation::new(codes::DISCUSSER_NOT_DELEGATED, fact, field);
    (!investigator && !delegated).then_some(not)
}

/// A consent that the discusser has not signed, though the hours that a plan gives are over; until it is, however
/// late.
fn not_countersigned(
    fact: &Seen,
    signed: &pb::ConsentSigned,
    patient: &Patient,
    catalogue: &Catalogue,
) -> Option<Deviation> {
    if signed.discussed_by.is_empty() || signed.discussed_by == fact.record.actor_person {
        return None;
    }
    let hours = least(catalogue, fact, |plan| plan.countersignature_hours)?;
    let deadline = day_after_hours(fact, hours)?;
    let mut second = patient.of_kind(pick!(Countersigned));
    let is_signed = second.any(|(by, second)| {
        second.target == fact.record.record_id && by.record.actor_person == signed.discussed_by
    });
    let details = Details {
        deadline: Some(deadline),
        ..Details::default()
    };
    let missing = Deviation::new(
        codes::COUNTERSIGNATURE_MISSING,
        fact,
        "consent_signed.discussed_by",
    );
    (!is_signed && deadline < patient.as_of).then(|| missing.with(details))
}

/// What was asked of the patient until its deadline, and was signed on this later day only: asked still on the day
/// before, or by then declined after its deadline, or the follow-up had ended meanwhile (R-A3). What was declined
/// in time, and what began when the follow-up was over (R-A2), has no deadline that is missed.
fn late(
    dossier: &Dossier,
    catalogue: &Catalogue,
    question: &Question,
    day: NaiveDate,
) -> Vec<Deviation> {
    let Some(eve) = day.pred_opt() else {
        return Vec::new();
    };
    let (before, asked) = asked(dossier, catalogue, question, eve);
    let was_asked = |row: &Requirement, last: NaiveDate| {
        let then = self::asked(dossier, catalogue, question, last).1;
        let is_it = |one: &Requirement| {
            one.list == List::Needs && one.kind == row.kind && one.version == row.version
        };
        then.iter().any(is_it)
    };
    let late: Vec<Requirement> = asked
        .into_iter()
        .filter(|row| {
            let Some(last) = row.deadline.filter(|last| *last < day) else {
                return false;
            };
            match row.list {
                List::Needs => true,
                List::Notify => false,
                List::Declined => was_asked(row, last),
                // Signed already, it is only a return that is waited for.
                List::Recontact => {
                    before.valid(&row.version, eve).is_none() && was_asked(row, last)
                }
            }
        })
        .collect();
    if late.is_empty() {
        return Vec::new();
    }
    let (signatures, still) = self::asked(dossier, catalogue, question, day);
    let is_met = |row: &&Requirement| {
        if matches!(row.kind, Asked::NewVersion | Asked::Cohort) {
            return signatures.valid(&row.version, day).is_some();
        }
        let same =
            |one: &Requirement| one.kind == row.kind && one.version.family == row.version.family;
        !still.iter().any(same)
    };
    let raised = late.iter().filter(is_met).filter_map(|row| {
        let (rule, signatory) = match row.kind {
            Asked::AgeOfMajority => (codes::LATE_MAJORITY_CONSENT, Some(Signatory::Self_)),
            Asked::Assent => (codes::LATE_ASSENT, Some(Signatory::Assent)),
            Asked::NewVersion
            | Asked::Cohort
            | Asked::InvalidSignature
            | Asked::LarChange
            | Asked::LanguageChange
            | Asked::ConsentExpired
            | Asked::SiteTransfer => (codes::LATE_RECONSENT, None),
        };
        let mut of_day = signatures.all.iter().rev().filter(|one| one.on == day);
        let by = of_day.find(|one| {
            one.faults.is_empty()
                && one.version.family == row.version.family
                && signatory.is_none_or(|signatory| signatory == one.signatory)
        })?;
        let deadline = row.deadline?;
        let details = Details {
            deadline: Some(deadline),
            actual: Some(day),
            days: Some(day.signed_duration_since(deadline).num_days()),
            ..Details::default()
        };
        let late = Deviation::new(rule, &by.said, "event_time");
        Some(late.of_version(&row.version.version).with(details))
    });
    raised.collect()
}

/// What is asked of the patient on a day, as known to the question.
fn asked(
    dossier: &Dossier,
    catalogue: &Catalogue,
    question: &Question,
    day: NaiveDate,
) -> (Signatures, Vec<Requirement>) {
    let then = Question {
        as_of: day,
        ..*question
    };
    let patient = Patient::of(dossier, &then);
    let signatures = Signatures::of(&patient, catalogue);
    let period = Period::of(&patient, catalogue, &signatures, day);
    let rows = requirements(&patient, catalogue, &signatures, &period);
    (signatures, rows)
}
