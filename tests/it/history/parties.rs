//! The organisations and sites that every history takes for granted, with one actor for each.

use anyhow::{Context as _, Result};
use genetrail::pb::{ActorRole, OrganisationRole};

use super::fields::Unsayable;

/// An organisation or a site, and the one actor it has in a history.
#[derive(Debug)]
pub(crate) struct Party {
    pub(crate) code: &'static str,
    pub(crate) gln: &'static str,
    pub(crate) name: &'static str,
    pub(crate) actor: &'static str,
    pub(crate) roles: &'static [OrganisationRole],
    pub(crate) actor_roles: &'static [ActorRole],
}

impl Party {
    /// A party by the code of a history, or by its GLN as in a record.
    pub(crate) fn by_code(code: &str) -> Result<&'static Self> {
        let is_named = |party: &&Self| party.code == code || party.gln == code;
        let party = PARTIES.iter().find(is_named);
        Ok(party.ok_or_else(|| Unsayable::word("party", code))?)
    }

    /// Who speaks for a place: the one whose it is, or else the sponsor.
    pub(crate) fn speaking_for(gln: &str) -> &'static Self {
        Self::by_gln(gln).unwrap_or(SPONSOR)
    }

    pub(crate) fn by_gln(gln: &str) -> Result<&'static Self> {
        let party = PARTIES.iter().find(|party| party.gln == gln);
        party.with_context(|| format!("no party has the GLN {gln}"))
    }
}

/// The sponsor: it holds the product, its plans and its consent documents.
pub(crate) const SPONSOR: &Party = &PARTIES[0];
/// The laboratory that issues every result.
pub(crate) const LABORATORY: &Party = &PARTIES[2];

const AT_A_SITE: &[ActorRole] = &[
    ActorRole::Investigator,
    ActorRole::Nurse,
    ActorRole::Pharmacist,
];

pub(crate) const PARTIES: [Party; 7] = [
    Party {
        code: "MFG",
        gln: "9521123000018",
        name: "Maker and sponsor",
        actor: "mfg-1",
        roles: &[
            OrganisationRole::Mah,
            OrganisationRole::Sponsor,
            OrganisationRole::Cmo,
        ],
        actor_roles: &[ActorRole::Qp, ActorRole::SponsorMed, ActorRole::SponsorQa],
    },
    Party {
        code: "VECMFG",
        gln: "9521123000025",
        name: "Maker of vectors",
        actor: "vecmfg-1",
        roles: &[OrganisationRole::VectorMfg],
        actor_roles: &[ActorRole::Qp, ActorRole::SponsorQa],
    },
    Party {
        code: "LAB",
        gln: "9521123002012",
        name: "Laboratory",
        actor: "lab-1",
        roles: &[OrganisationRole::Lab],
        actor_roles: &[ActorRole::Lab],
    },
    Party {
        code: "S01",
        gln: "9521123001015",
        name: "Site S01",
        actor: "s01-1",
        roles: &[OrganisationRole::Hospital],
        actor_roles: AT_A_SITE,
    },
    Party {
        code: "S02",
        gln: "9521123001022",
        name: "Site S02",
        actor: "s02-1",
        roles: &[OrganisationRole::Hospital],
        actor_roles: AT_A_SITE,
    },
    Party {
        code: "H01",
        gln: "9521123003019",
        name: "Site H01",
        actor: "h01-1",
        roles: &[OrganisationRole::Hospital],
        actor_roles: AT_A_SITE,
    },
    Party {
        code: "H02",
        gln: "9521123003026",
        name: "Site H02",
        actor: "h02-1",
        roles: &[OrganisationRole::Hospital],
        actor_roles: AT_A_SITE,
    },
];
