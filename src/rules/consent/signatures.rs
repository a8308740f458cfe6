//! Which signatures of a patient are valid (R-K1, R-K3), and which of them make a set that counts (R-M1, R-M2).
//! A signature that is not valid stays on record with what is wrong with it, and satisfies nothing.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use crate::{
    pb::{self, Signatory, WithdrawalScope},
    rules::{
        catalogue::{Catalogue, ConsentVersion},
        cohort::concerns,
        patient::Patient,
        question::Seen,
    },
};

/// What is wrong with a signature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No version of the family is called so.
    VersionUnknown,
    /// The version was not in force at the site on the day; from when it is, if ever.
    NotEffective(Option<NaiveDate>),
    /// A newer version had taken its place at the site.
    Superseded(String),
    /// The version has no document in the language that was signed.
    WrongLanguage,
    /// The document that was signed is none of the version's.
    WrongDocument,
    /// Whoever signed could not sign for the patient on that day.
    SignatoryNotAuthorised,
    /// The patient's own assent, needed by then, was never given with it.
    AssentMissing,
}

impl Fault {
    /// The flag's code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::VersionUnknown => "CONSENT_VERSION_UNKNOWN",
            Self::NotEffective(_) => "CONSENT_VERSION_NOT_EFFECTIVE",
            Self::Superseded(_) => "CONSENT_VERSION_SUPERSEDED",
            Self::WrongLanguage => "WRONG_LANGUAGE",
            Self::WrongDocument => "CONSENT_DOCUMENT_UNKNOWN",
            Self::SignatoryNotAuthorised => "SIGNATORY_NOT_AUTHORISED",
            Self::AssentMissing => "ASSENT_MISSING",
        }
    }
}

/// A signature, valid or not.
#[derive(Debug, Clone)]
pub struct Signature {
    /// What says so.
    pub said: Seen,
    /// The family and version.
    pub version: pb::ConsentVersionKey,
    /// Who signed.
    pub signatory: Signatory,
    /// The day of signing.
    pub on: NaiveDate,
    /// What is wrong with it; nothing, if it is valid.
    pub faults: BTreeSet<Fault>,
}

/// Signatures that together are a consent: one alone, or of a minor those of all who had to sign.
#[derive(Debug, Clone)]
pub struct Set {
    /// The family and version.
    pub version: pb::ConsentVersionKey,
    /// The version's place in its family.
    pub ordinal: u32,
    /// The versions before it whose requirements it meets as well.
    pub satisfies: Vec<String>,
    /// The day from which it counts: when the last of them signed.
    pub on: NaiveDate,
    /// Who decided: the patient, or somebody for a minor.
    pub by: Signatory,
    /// What says so.
    pub said: Vec<Seen>,
}

/// A patient's refusal of a version.
#[derive(Debug, Clone)]
pub struct Decline {
    /// What says so.
    pub said: Seen,
    /// The family and version.
    pub version: pb::ConsentVersionKey,
    /// Who declined.
    pub signatory: Signatory,
    /// The day.
    pub on: NaiveDate,
    /// Whether whoever declined may decline for the patient: the patient, or for a minor the representative.
    pub counts: bool,
}

/// What a patient, or somebody for the patient, has signed and declined.
#[derive(Debug, Clone, Default)]
pub struct Signatures {
    /// Every signature, in the order of the day.
    pub all: Vec<Signature>,
    /// The sets that count, in the order of the day.
    pub sets: Vec<Set>,
    /// Every refusal, in the order of the day.
    pub declines: Vec<Decline>,
}

impl Signatures {
    /// What a patient has signed and declined.
    pub fn of(patient: &Patient, catalogue: &Catalogue) -> Self {
        let mut signatures = Self::default();
        for (said, signed) in patient.of_kind(pick!(ConsentSigned)) {
            let Some(version) = signed.version.clone() else {
                continue;
            };
            signatures.all.push(Signature {
                faults: faults(patient, catalogue, said, signed, &version),
                said: said.clone(),
                version,
                signatory: signed.signatory(),
                on: said.on,
            });
        }
        for (said, declined) in patient.of_kind(pick!(ConsentDeclined)) {
            let Some(version) = declined.version.clone() else {
                continue;
            };
            signatures.declines.push(Decline {
                said: said.clone(),
                version,
                signatory: declined.signatory(),
                on: said.on,
                counts: may_decline(patient, said.on, declined.signatory()),
            });
        }
        signatures.make_sets(patient, catalogue);
        signatures
    }

    /// The first set by a day that is of this version, or of a later one that satisfies it.
    pub fn valid(&self, key: &pb::ConsentVersionKey, by: NaiveDate) -> Option<&Set> {
        let mut sets = self.sets.iter();
        sets.find(|set| set.on <= by && set.meets(key))
    }

    /// The set of the newest version of a family that was given by a day.
    pub fn newest(&self, family: &str, by: NaiveDate) -> Option<&Set> {
        let of_family = self
            .sets
            .iter()
            .filter(|set| set.version.family == family && set.on <= by);
        of_family.max_by_key(|set| (set.ordinal, set.on))
    }

    /// The first refusal of this version by a day, by somebody whose refusal counts.
    pub fn declined(&self, key: &pb::ConsentVersionKey, by: NaiveDate) -> Option<&Decline> {
        let mut declines = self.declines.iter();
        declines.find(|decline| decline.counts && decline.version == *key && decline.on <= by)
    }

    /// What says that the patient has withdrawn from this, as far as a family is concerned, and has not validly
    /// consented to the family anew since: an invalid signature takes nothing back (R-K3).
    pub fn withdrawn<'a>(
        &self,
        patient: &'a Patient,
        scope: WithdrawalScope,
        family: &str,
        on: NaiveDate,
    ) -> Option<&'a Seen> {
        let withdrawals = patient.of_kind(pick!(ConsentWithdrawn));
        let of_it = withdrawals.filter(|(fact, withdrawal)| {
            fact.on <= on
                && withdrawal.scopes().any(|one| one == scope)
                && (withdrawal.family.is_empty() || withdrawal.family == family)
        });
        let (last, _) = of_it.last()?;
        let mut sets = self.sets.iter();
        let anew = sets.any(|set| set.version.family == family && last.on < set.on && set.on <= on);
        (!anew).then_some(last)
    }

    /// The first valid signature by this signatory, from a day to a day, of a version that counts.
    pub fn own(
        &self,
        signatory: Signatory,
        from: NaiveDate,
        by: NaiveDate,
        counts: impl Fn(&pb::ConsentVersionKey) -> bool,
    ) -> Option<&Signature> {
        self.all.iter().find(|one| {
            one.signatory == signatory
                && one.faults.is_empty()
                && from <= one.on
                && one.on <= by
                && counts(&one.version)
        })
    }

    /// An adult's own signature is a set; a minor's are those of the representative and, from the age of assent
    /// on, of the minor (R-M2).
    fn make_sets(&mut self, patient: &Patient, catalogue: &Catalogue) {
        let mut lacking = Vec::new();
        for (at, signature) in self.all.iter().enumerate() {
            let is_first = matches!(signature.signatory, Signatory::Self_ | Signatory::Lar);
            if !is_first || !signature.faults.is_empty() {
                continue;
            }
            let mut said = vec![signature.said.clone()];
            let mut on = signature.on;
            if needs_assent(patient, signature) {
                let assent = self.all.iter().find(|other| {
                    other.signatory == Signatory::Assent
                        && other.faults.is_empty()
                        && other.version == signature.version
                });
                let Some(assent) = assent else {
                    lacking.push(at);
                    continue;
                };
                on = on.max(assent.on);
                said.push(assent.said.clone());
            }
            let document = catalogue.consent_version(&signature.version);
            self.sets.push(Set {
                version: signature.version.clone(),
                ordinal: document.map_or(0, |version| version.ordinal),
                satisfies: document
                    .map(|version| version.document().satisfies.clone())
                    .unwrap_or_default(),
                on,
                by: signature.signatory,
                said,
            });
        }
        for at in lacking {
            if let Some(signature) = self.all.get_mut(at) {
                signature.faults.insert(Fault::AssentMissing);
            }
        }
        self.sets.sort_by_key(|set| (set.on, set.ordinal));
    }
}

impl Set {
    /// Whether it meets what asks for a version.
    pub fn meets(&self, key: &pb::ConsentVersionKey) -> bool {
        self.version == *key
            || (self.version.family == key.family && self.satisfies.contains(&key.version))
    }
}

/// Whether a representative's signature needs the minor's own beside it: the minor was of that age.
fn needs_assent(patient: &Patient, signature: &Signature) -> bool {
    signature.signatory == Signatory::Lar
        && patient.assent_on().is_some_and(|age| age <= signature.on)
        && patient.majority_on().is_some()
}

fn faults(
    patient: &Patient,
    catalogue: &Catalogue,
    said: &Seen,
    signed: &pb::ConsentSigned,
    key: &pb::ConsentVersionKey,
) -> BTreeSet<Fault> {
    let mut faults = BTreeSet::new();
    if !is_authorised(patient, said.on, signed) {
        faults.insert(Fault::SignatoryNotAuthorised);
    }
    let Some(version) = catalogue.consent_version(key) else {
        faults.insert(Fault::VersionUnknown);
        return faults;
    };
    let site = site_of(patient, said);
    let activation = version.activations.get(site);
    match activation {
        Some(activation) if activation.is_in_force(said.on) => {
            let newer = superseding(patient, catalogue, version, site, said.on);
            faults.extend(newer.map(|newer| Fault::Superseded(newer.version.clone())));
        }
        _ => {
            faults.insert(Fault::NotEffective(activation.map(|one| one.from)));
        }
    }
    let mut documents = version.documents.iter().map(|(_, document)| document);
    let speaks = |language: &str| {
        let mut documents = version.documents.iter();
        documents.any(|(_, document)| document.language.eq_ignore_ascii_case(language))
    };
    if !signed.language.is_empty() && !speaks(&signed.language) {
        faults.insert(Fault::WrongLanguage);
    }
    let is_signed = |document: &pb::ConsentDocumentVersion| {
        let own = document.document.as_ref();
        own.is_some_and(|own| own.sha256 == signed.document_sha256)
    };
    if !signed.document_sha256.is_empty() && !documents.any(is_signed) {
        faults.insert(Fault::WrongDocument);
    }
    faults
}

/// The site where something was signed: the record's own, or else the patient's on that day.
pub fn site_of<'a>(patient: &'a Patient, said: &'a Seen) -> &'a str {
    if said.record.site.is_empty() {
        patient.site(said.on)
    } else {
        &said.record.site
    }
}

/// The newest version for this patient that took the place of another at a site by a day: a version for others
/// only, such as a cohort, takes nothing from this patient.
pub fn superseding<'a>(
    patient: &Patient,
    catalogue: &'a Catalogue,
    version: &ConsentVersion,
    site: &str,
    on: NaiveDate,
) -> Option<&'a ConsentVersion> {
    let versions = catalogue.families.get(&version.family)?;
    versions.iter().rev().find(|newer| {
        let at_site = newer.activations.get(site);
        version.ordinal < newer.ordinal
            && at_site.is_some_and(|activation| activation.is_in_force(on))
            && concerns_at(patient, catalogue, newer, on)
    })
}

/// Whether a version is for the patient: by its scope, and where it names products by what was given. Before
/// anything was given, a scope of the treated concerns whoever is about to be.
fn concerns_at(
    patient: &Patient,
    catalogue: &Catalogue,
    version: &ConsentVersion,
    on: NaiveDate,
) -> bool {
    let Some(scope) = &version.document().scope else {
        return true;
    };
    let scope = pb::CohortScope {
        all_treated: false,
        ..scope.clone()
    };
    concerns(Some(&scope), patient, catalogue, on)
}

/// Whether somebody may sign so for the patient on a day (R-M1). A witness or a second parent signs beside
/// another, and is never wrong to.
fn is_authorised(patient: &Patient, on: NaiveDate, signed: &pb::ConsentSigned) -> bool {
    let is_minor = patient.majority_on().is_some_and(|majority| on < majority);
    match signed.signatory() {
        Signatory::Self_ => !is_minor,
        // Of somebody registered as an adult, only with a document that says so.
        Signatory::Lar => {
            is_minor || (patient.majority_on().is_none() && signed.authority_document.is_some())
        }
        Signatory::Assent => is_minor,
        Signatory::Witness | Signatory::SecondParent | Signatory::Unspecified => true,
    }
}

/// Whether a refusal by this signatory is one of the patient's (R-M1). A minor's own refusal is one of assent; a
/// witness or a second parent refuses beside another.
fn may_decline(patient: &Patient, on: NaiveDate, signatory: Signatory) -> bool {
    let is_of_age = patient.majority_on().is_some_and(|majority| majority <= on);
    match signatory {
        Signatory::Self_ => true,
        Signatory::Lar | Signatory::Assent => !is_of_age,
        Signatory::Witness | Signatory::SecondParent | Signatory::Unspecified => false,
    }
}
