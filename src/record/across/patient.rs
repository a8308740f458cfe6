//! Patients, consent, and those who act for them.

use std::collections::BTreeSet;

use super::{Across, shared};
use crate::{pb, record::check::Checker};

impl Across for pb::KeyOffer {
    fn across(&self, c: &mut Checker<'_>) {
        let valid = time_order(&self.valid_from, &self.valid_to);
        c.demand(
            valid != Some(false),
            "valid_to",
            "END_BEFORE_START",
            "the key must be valid for some time: give an end after its start",
        );
    }
}

/// Whether the first of two instants is before the second; `None` if one is not an instant.
fn time_order(first: &str, second: &str) -> Option<bool> {
    use crate::record::format::Instant;
    let (first, second) = (Instant::parse(first).ok()?, Instant::parse(second).ok()?);
    Some(first < second)
}

impl Across for pb::KeyRevoked {
    fn across(&self, c: &mut Checker<'_>) {
        c.not_before(
            "compromised_since",
            &self.revoked_at,
            &self.compromised_since,
            "COMPROMISED_AFTER_REVOKED",
            "a key is revoked because it was compromised, not before: look both up again",
        );
    }
}

impl Across for pb::DelegationGranted {
    fn across(&self, c: &mut Checker<'_>) {
        let may = matches!(
            c.record().actor_role(),
            pb::ActorRole::Investigator | pb::ActorRole::SponsorMed | pb::ActorRole::SponsorQa
        );
        c.demand_envelope(
            may,
            "actor_role",
            "DELEGATION_BY_ROLE",
            "only an investigator or a sponsor delegates: submit it as INVESTIGATOR, SPONSOR_MED or SPONSOR_QA",
        );
        shared::period("valid_to", &self.valid_from, &self.valid_to, c);
    }
}

impl Across for pb::PatientRegistered {
    fn across(&self, c: &mut Checker<'_>) {
        let both = !self.majority_on.is_empty() && !self.assent_on.is_empty();
        c.demand(
            !both || self.assent_on < self.majority_on,
            "assent_on",
            "ASSENT_AFTER_MAJORITY",
            "assent is asked of minors: give a day before majority_on, or leave it out",
        );
    }
}

impl Across for pb::PatientStatus {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            self.death.is_none() || self.state() == pb::PatientState::Deceased,
            "death",
            "DEATH_OF_LIVING",
            "a death goes with the state DECEASED: correct one of the two",
        );
        c.demand(
            self.transferred_to.is_empty() || self.state() == pb::PatientState::Transferred,
            "transferred_to",
            "TRANSFER_WITHOUT_STATE",
            "another site goes with the state TRANSFERRED: correct one of the two",
        );
    }
}

impl Across for pb::PatientMerged {
    fn across(&self, c: &mut Checker<'_>) {
        another_patient("merged_patient", &self.merged_patient, c);
    }
}

impl Across for pb::PatientSplit {
    fn across(&self, c: &mut Checker<'_>) {
        another_patient("split_patient", &self.split_patient, c);
    }
}

fn another_patient(name: &'static str, patient: &str, c: &mut Checker<'_>) {
    c.demand(
        patient.is_empty() || patient != c.record().patient,
        name,
        "SAME_PATIENT",
        "this is the patient of the envelope: name the other pseudonym",
    );
}

impl Across for pb::ConsentDocumentVersion {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            self.change_class() != pb::ChangeClass::ReconsentRequired || self.scope.is_some(),
            "scope",
            "SCOPE_REQUIRED",
            "say who must sign the version anew",
        );
        c.demand(
            self.change_class() != pb::ChangeClass::Initial || self.supersedes.is_empty(),
            "supersedes",
            "INITIAL_SUPERSEDES",
            "an initial version takes the place of none: leave it out, or correct change_class",
        );
        let mut seen = BTreeSet::new();
        for (item, found) in self.items.iter().enumerate() {
            c.demand_item(
                seen.insert(found.item),
                ("items", item),
                "DUPLICATE",
                "name each item of the document once",
            );
        }
    }
}

impl Across for pb::ConsentVersionActivated {
    fn across(&self, c: &mut Checker<'_>) {
        c.not_before(
            "effective_from",
            &self.effective_from,
            &self.iec_approved_on,
            "EFFECTIVE_BEFORE_APPROVAL",
            "nobody may sign a version before the ethics committee approved it: give a later day",
        );
        shared::period("effective_to", &self.effective_from, &self.effective_to, c);
    }
}

impl Across for pb::ConsentSigned {
    fn across(&self, c: &mut Checker<'_>) {
        relation_of_lar(self.signatory(), self.relation.as_ref(), c);
        let mut seen = BTreeSet::new();
        for (item, choice) in self.options.iter().enumerate() {
            c.demand_item(
                seen.insert(choice.option),
                ("options", item),
                "DUPLICATE",
                "give each option once: it is given or refused",
            );
        }
    }
}

impl Across for pb::ConsentDeclined {
    fn across(&self, c: &mut Checker<'_>) {
        relation_of_lar(self.signatory(), self.relation.as_ref(), c);
    }
}

impl Across for pb::ConsentWithdrawn {
    fn across(&self, c: &mut Checker<'_>) {
        relation_of_lar(self.withdrawn_by(), self.relation.as_ref(), c);
        c.demand(
            !self
                .scopes()
                .any(|scope| scope == pb::WithdrawalScope::SampleStorage)
                || self.sample_instruction != 0,
            "sample_instruction",
            "SAMPLE_INSTRUCTION_REQUIRED",
            "say what becomes of the samples: DESTROY, ANONYMISE or KEEP",
        );
    }
}

fn relation_of_lar(signatory: pb::Signatory, relation: Option<&pb::Code>, c: &mut Checker<'_>) {
    c.demand(
        signatory != pb::Signatory::Lar || relation.is_some(),
        "relation",
        "RELATION_REQUIRED",
        "say what the representative is to the patient, as an HL7 RoleCode",
    );
}
