//! What follow-up has to know of consent: when a version was validly given, and whether a signature counts. How that
//! is decided is not known here.

use chrono::NaiveDate;

use crate::{
    pb,
    rules::{catalogue::Catalogue, patient::Patient},
    tlog::Index,
};

/// What tells whether a patient has validly consented.
pub trait Consents {
    /// The day of the first valid signature of a version, or of a later one that satisfies it, by a day.
    fn given_on(&self, version: &pb::ConsentVersionKey, by: NaiveDate) -> Option<NaiveDate>;

    /// Whether the signature of this entry is valid (R-K3).
    fn is_valid(&self, signature: Index) -> bool;
}

/// The signatures of versions that were in force at the site on the day they were signed.
#[derive(Debug)]
pub struct Signed(Vec<(Index, NaiveDate, pb::ConsentVersionKey)>);

impl Signed {
    /// Those of a patient.
    pub fn of(patient: &Patient, catalogue: &Catalogue) -> Self {
        let signed = patient.of_kind(pick!(ConsentSigned));
        let in_force = signed.filter_map(|(fact, signed)| {
            let key = signed.version.as_ref()?;
            let version = catalogue.consent_version(key)?;
            let activation = version.activations.get(patient.site(fact.on))?;
            let valid = activation.is_in_force(fact.on);
            valid.then(|| (fact.index, fact.on, key.clone()))
        });
        Self(in_force.collect())
    }
}

impl Consents for Signed {
    fn given_on(&self, version: &pb::ConsentVersionKey, by: NaiveDate) -> Option<NaiveDate> {
        let mut signed = self.0.iter();
        let first = signed.find(|(_, on, key)| *on <= by && key == version);
        first.map(|(_, on, _)| *on)
    }

    fn is_valid(&self, signature: Index) -> bool {
        self.0.iter().any(|(index, ..)| *index == signature)
    }
}
