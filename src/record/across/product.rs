//! Products, lots, materials and their custody.

use std::collections::BTreeSet;

use super::{Across, shared};
use crate::{pb, record::check::Checker};

impl Across for pb::ProductRegistered {
    fn across(&self, c: &mut Checker<'_>) {
        let integrates = self.product_classes().any(|class| {
            matches!(
                class,
                pb::ProductClass::Lenti
                    | pb::ProductClass::Gammaretro
                    | pb::ProductClass::Transposon
            )
        });
        c.demand(
            !(integrates && self.integrating == Some(false)),
            "integrating",
            "INTEGRATING_CLASS",
            "lentivirus, gammaretrovirus and transposon integrate: set it to true, or correct the class",
        );
        let factors: BTreeSet<i32> = self.risk_profile.iter().map(|risk| risk.factor).collect();
        c.demand(
            factors.len() == RISK_FACTORS && self.risk_profile.len() == RISK_FACTORS,
            "risk_profile",
            "RISK_PROFILE_INCOMPLETE",
            "give each of the ten risk factors once; what nobody knows is UNKNOWN",
        );
    }
}

/// The guideline names ten.
const RISK_FACTORS: usize = 10;

impl Across for pb::Authorisation {
    fn across(&self, c: &mut Checker<'_>) {
        shared::period("valid_to", &self.valid_from, &self.valid_to, c);
    }
}

impl Across for pb::LotRegistered {
    fn across(&self, c: &mut Checker<'_>) {
        c.not_before(
            "expiry",
            &self.expiry,
            &self.made_at,
            "EXPIRY_BEFORE_MADE",
            "the lot expires before it was made: look both up again",
        );
        if self.donor_relation() == pb::DonorRelation::Autologous {
            let remedy = "an autologous lot is made for one patient: say for which";
            c.demand(!self.coi.is_empty(), "coi", "AUTOLOGOUS_INCOMPLETE", remedy);
            c.demand(
                !self.intended_patient.is_empty(),
                "intended_patient",
                "AUTOLOGOUS_INCOMPLETE",
                remedy,
            );
        }
    }
}

impl Across for pb::LotDisposition {
    fn across(&self, c: &mut Checker<'_>) {
        let out_of_specification = self.disposition() == pb::Disposition::ReleasedOos;
        let released = out_of_specification || self.disposition() == pb::Disposition::Released;
        c.demand_envelope(
            !released || c.record().actor_role() == pb::ActorRole::Qp,
            "actor_role",
            "RELEASE_BY_QP",
            "only a qualified or authorised person releases a lot: submit it as QP",
        );
        c.demand(
            !out_of_specification || self.out_of_specification.is_some(),
            "out_of_specification",
            "OOS_JUSTIFICATION_REQUIRED",
            "say why a lot out of specification is released for this patient",
        );
    }
}

impl Across for pb::MaterialCollected {
    fn across(&self, c: &mut Checker<'_>) {
        if self.source() != pb::DonorRelation::Autologous {
            return;
        }
        let patient = &c.record().patient;
        c.demand_envelope(
            !patient.is_empty(),
            "patient",
            "REQUIRED",
            "an autologous donation is the patient's own: name the patient by pseudonym",
        );
        c.demand(
            self.donor.is_empty() || self.donor == *patient,
            "donor",
            "AUTOLOGOUS_DONOR",
            "an autologous donation is the patient's own: leave the donor out, or correct the source",
        );
    }
}

impl Across for pb::Transformation {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            !c.is_after_event(&self.started_at),
            "started_at",
            "END_BEFORE_START",
            "it ended, at event_time, before it began: look both up again",
        );
        let inputs: BTreeSet<_> = self.inputs.iter().filter_map(lot_of).collect();
        for (item, output) in self.outputs.iter().enumerate() {
            c.demand_item(
                lot_of(output).is_none_or(|lot| !inputs.contains(&lot)),
                ("outputs", item),
                "CYCLE",
                "a lot cannot be made from itself: give the output a lot number of its own",
            );
        }
    }
}

/// The lot that an item is, if it is one that could be read.
fn lot_of(item: &pb::Item) -> Option<(&str, &str)> {
    match item.what.as_ref()? {
        pb::item::What::Lot(lot) if !lot.lot.is_empty() => Some((&lot.gtin, &lot.lot)),
        pb::item::What::Lot(_) | pb::item::What::Din(_) | pb::item::What::SampleId(_) => None,
    }
}

impl Across for pb::Shipment {
    fn across(&self, c: &mut Checker<'_>) {
        another_place(&self.from_gln, &self.to_gln, c);
    }
}

impl Across for pb::ShipmentReceived {
    fn across(&self, c: &mut Checker<'_>) {
        another_place(&self.from_gln, &self.to_gln, c);
        c.demand(
            !c.is_after_event(&self.left_at),
            "left_at",
            "END_BEFORE_START",
            "it arrived, at event_time, before it left: look both up again",
        );
    }
}

impl Across for pb::CustodyTransfer {
    fn across(&self, c: &mut Checker<'_>) {
        // Between organisations as well: who hands over to nobody but oneself has no second signature to give.
        c.demand(
            self.handed_by.is_empty() || self.handed_by != self.received_by,
            "received_by",
            "FROM_IS_TO",
            "nothing changed hands: name another receiver",
        );
    }
}

impl Across for pb::Excursion {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            !c.is_before_event(&self.ended_at),
            "ended_at",
            "END_BEFORE_START",
            "it ended before it began, at event_time: look both up again",
        );
    }
}

impl Across for pb::ProductReturned {
    fn across(&self, c: &mut Checker<'_>) {
        another_place(&self.from_gln, &self.to_gln, c);
    }
}

impl Across for pb::ProductDestroyed {
    fn across(&self, c: &mut Checker<'_>) {
        c.demand(
            self.witness.is_empty() || self.witness != c.record().actor_person,
            "witness",
            "WITNESS_IS_ACTOR",
            "nobody is a witness to what they do: name somebody else who saw it",
        );
    }
}

impl Across for pb::Logger {
    fn across(&self, c: &mut Checker<'_>) {
        shared::min_not_above_max(self.min.as_ref(), self.max.as_ref(), c);
    }
}

impl Across for pb::LogCustodyTransferred {
    fn across(&self, c: &mut Checker<'_>) {
        another_place(&self.from_gln, &self.to_gln, c);
    }
}

fn another_place(from: &str, to: &str, c: &mut Checker<'_>) {
    c.demand(
        to.is_empty() || from != to,
        "to_gln",
        "FROM_IS_TO",
        "it goes to where it comes from: look both up again",
    );
}
