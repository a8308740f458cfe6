//! Products, lots, what they are made from, and the way to the patient.

use anyhow::Result;
use genetrail::{
    pb::{self, ActorRole, record::Kind},
    record::format::check_din,
};

use super::{
    convert::{
        CHECK_CHARACTERS, Converter, Draft, Happening, document, own_code, quantity, sha256_of_hex,
    },
    fields::{Fields, named},
    parties::{Party, SPONSOR},
};

impl<'h> Converter<'h> {
    pub(crate) fn product(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let product_id = fields.text("product_id")?;
        let gtin = fields.text("gtin")?;
        // A holder that is named by a code of its own is the sponsor here.
        let holder = fields.maybe_text("mah")?;
        let holder = holder.filter(|holder| holder.bytes().all(|byte| byte.is_ascii_digit()));
        let mut classes = Vec::new();
        for class in fields.texts("vector_class")? {
            classes.push(named(
                pb::ProductClass::from_str_name,
                "PRODUCT_CLASS",
                class,
            )?);
        }
        let integrates = [
            pb::ProductClass::Lenti,
            pb::ProductClass::Gammaretro,
            pb::ProductClass::OtherRetro,
            pb::ProductClass::Transposon,
        ];
        let autologous = fields.maybe_flag("autologous")?.unwrap_or(false);
        let integrates = integrates.map(i32::from);
        let integrates = classes.iter().any(|class| integrates.contains(class));
        let is_short = classes == [i32::from(pb::ProductClass::Aav)];
        // Supplied: what is made of the patient's own cells is of that class as well as of its vector's.
        let is_classed = !classes.is_empty();
        let cells = (autologous && is_classed).then_some(pb::ProductClass::CellExVivo.into());
        let delivery = if autologous {
            pb::Delivery::ExVivo
        } else {
            pb::Delivery::Systemic
        };
        // Supplied: what the guideline asks of the class.
        let by_class = if is_short { 5 } else { 15 };
        let years = fields.maybe_count("ltfu_years")?.unwrap_or(by_class);
        let unknown = |factor| pb::RiskFactorState {
            factor,
            state: pb::RiskState::Unknown.into(),
            evidence: None,
        };
        let gtins = self
            .products
            .get(product_id)
            .filter(|known| known.contains(&gtin));
        let gtins = gtins.cloned().unwrap_or_else(|| vec![gtin]);
        let kind = Kind::ProductRegistered(pb::ProductRegistered {
            product_id: product_id.to_owned(),
            version: 1,
            gtins: gtins.iter().map(ToString::to_string).collect(),
            name: fields.string("name")?,
            authorisation_holder: holder.unwrap_or(SPONSOR.gln).to_owned(),
            // Supplied: a trial of phase 2, one dose, a vector that cannot replicate, and, unless the product
            // is autologous, into the circulation.
            phase: pb::ProductPhase::Phase2.into(),
            single_dose: Some(true),
            replication_competent: Some(false),
            delivery: delivery.into(),
            product_classes: classes.into_iter().chain(cells).collect(),
            integrating: Some(fields.maybe_flag("integrating")?.unwrap_or(integrates)),
            autologous: Some(autologous),
            // Supplied: the history does not say which risks it has.
            risk_profile: (1..=10).map(unknown).collect(),
            follow_up_default_months: Some(years * 12),
            ..Default::default()
        });
        Ok(Draft::new(SPONSOR, ActorRole::SponsorMed, kind))
    }

    pub(crate) fn lot(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Vec<Draft>> {
        let lot = fields.text("lot")?;
        let gtin = fields.text("gtin")?;
        let made_by = fields.text("manufacturer_gln")?;
        let maker = Party::speaking_for(made_by);
        let role = named(pb::LotRole::from_str_name, "LOT_ROLE", fields.text("role")?)?;
        // Supplied: cells are kept in the vapour of nitrogen, everything else in a deep freezer.
        let of_cells = [
            pb::LotRole::DrugProduct,
            pb::LotRole::DrugSubstance,
            pb::LotRole::CellBank,
            pb::LotRole::StartingMaterial,
        ];
        let has_coi = self.lots.get(lot).is_some_and(|known| known.coi.is_some());
        let is_frozen = has_coi && of_cells.map(i32::from).contains(&role);
        let (min, max) = if is_frozen {
            ("-196", "-130")
        } else {
            ("-80", "-60")
        };
        let own = pb::DonorRelation::Autologous;
        // Supplied: what bears the number of an autologous product is made of the patient's own cells.
        let of_product = [pb::LotRole::DrugProduct, pb::LotRole::DrugSubstance];
        let is_own = of_product.map(i32::from).contains(&role) && self.autologous.contains(gtin);
        let product = self
            .products
            .iter()
            .find(|(_, gtins)| gtins.contains(&gtin));
        let registered = Kind::LotRegistered(pb::LotRegistered {
            gtin: gtin.to_owned(),
            lot: lot.to_owned(),
            role,
            manufacturer: made_by.to_owned(),
            // Supplied: made on the day it is told, one unit of it.
            made_at: at.date.to_string(),
            quantity: Some(quantity("1", "{unit}")),
            expiry: fields.string("expiry")?,
            coi: fields.maybe_string("coi")?,
            intended_patient: fields.maybe_string("intended_patient")?,
            donor_relation: if has_coi || is_own { own.into() } else { 0 },
            storage_range: Some(pb::TemperatureRange {
                min: Some(quantity(min, "Cel")),
                max: Some(quantity(max, "Cel")),
            }),
            product_id: product
                .map(|(product, _)| (*product).to_owned())
                .unwrap_or_default(),
            ..Default::default()
        });
        let released = fields.maybe_flag("released")? == Some(true);
        let disposition = fields.maybe_text("disposition")?;
        let disposition = disposition.or(released.then_some("RELEASED"));
        let mut drafts = vec![Draft::new(maker, ActorRole::Qp, registered)];
        if let Some(disposition) = disposition {
            let kind = Kind::LotDisposition(pb::LotDisposition {
                lot: Some(self.lot_key(lot, Some(gtin))),
                disposition: named(pb::Disposition::from_str_name, "DISPOSITION", disposition)?,
                ..Default::default()
            });
            drafts.push(Draft::new(maker, ActorRole::Qp, kind).decided());
        }
        Ok(drafts)
    }

    pub(crate) fn lot_disposition(
        &mut self,
        fields: &mut Fields<'h>,
        disposition: pb::Disposition,
    ) -> Result<Draft> {
        let gln = fields.text("gln")?;
        let party = Party::speaking_for(gln);
        let kind = Kind::LotDisposition(pb::LotDisposition {
            lot: Some(self.lot_key(fields.text("lot")?, fields.maybe_text("gtin")?)),
            disposition: disposition.into(),
            recall_id: fields.maybe_string("recall")?,
            ..Default::default()
        });
        Ok(Draft::new(party, party.actor_roles[0], kind).at(gln))
    }

    pub(crate) fn apheresis(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let din = pb::Din {
            number: fields.string("din")?,
            check: fields.string("din_check")?,
        };
        let kind = Kind::MaterialCollected(pb::MaterialCollected {
            coi: fields.string("coi")?,
            din: Some(din),
            source: pb::DonorRelation::Autologous.into(),
            procedure: Some(own_code("procedure", "apheresis")),
            collector: site.actor.to_owned(),
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Nurse, kind).of_patient(patient))
    }

    pub(crate) fn transformation(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Draft> {
        let gln = fields.text("gln")?;
        let party = Party::speaking_for(gln);
        let inputs = fields.texts("inputs")?.into_iter();
        let inputs = inputs.map(|input| self.input(input)).collect();
        let output = |lot: &str| pb::Item {
            what: Some(pb::item::What::Lot(self.lot_key(lot, None))),
            ..Default::default()
        };
        let outputs = [fields.texts("output")?, fields.texts("outputs")?].concat();
        let kind = Kind::Transformation(pb::Transformation {
            inputs,
            outputs: outputs.into_iter().map(output).collect(),
            // Supplied: a vector was brought into cells, on that day.
            step: pb::ProcessStep::Transduction.into(),
            started_at: at.time.to_owned(),
            coi: fields.maybe_string("coi")?,
            ..Default::default()
        });
        Ok(Draft::new(party, ActorRole::SponsorQa, kind).at(gln))
    }

    /// A lot, or as `APH-` and its number a donation.
    fn input(&self, name: &str) -> pb::Item {
        let what = match name.strip_prefix("APH-") {
            Some(din) => {
                // Supplied: the check character of a donation that nobody recorded.
                let fits = |one: &&str| check_din(din, one).is_ok();
                let computed = || CHECK_CHARACTERS.split("").find(fits);
                let check = self.dins.get(din).copied().or_else(computed);
                // What is no donation's number has no check character: the ledger has to refuse it.
                let check = check.unwrap_or_default();
                pb::item::What::Din(pb::Din {
                    number: din.to_owned(),
                    check: check.to_owned(),
                })
            }
            None => pb::item::What::Lot(self.lot_key(name, None)),
        };
        pb::Item {
            what: Some(what),
            ..Default::default()
        }
    }

    pub(crate) fn coi_verification(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Draft> {
        let lot = fields.text("lot")?;
        let known = self.lots.get(lot).copied();
        let coi = fields
            .maybe_text("coi")?
            .or(known.and_then(|known| known.coi));
        // Supplied: a chain of its own for a lot that has none, as nothing is compared without one.
        let digest = self.digest(&["coi", lot]);
        let own: [u8; 4] = std::array::from_fn(|at| digest[at]);
        let own = format!("CHZ000100{:06X}", u32::from_be_bytes(own) >> 8);
        let coi = coi.unwrap_or(&own);
        let intended = known.and_then(|known| known.patient);
        let patient = fields
            .maybe_text("patient")?
            .or(intended)
            .unwrap_or_default();
        let site = self.site(fields, patient)?;
        // Supplied: at the bedside, both identifiers scanned; who looked besides the actor is not known.
        let step = fields.maybe_text("step")?.unwrap_or("BEDSIDE");
        let scanned = |system: pb::IdentifierSystem, value: &str| pb::Identifier {
            system: system.into(),
            value: value.to_owned(),
            quality: pb::IdentifierQuality::Scanned.into(),
            ..Default::default()
        };
        let result = fields.text("result")?;
        if result == "MATCH" {
            self.matches.insert(lot, self.record_id(at.seq, 0));
        }
        let person = fields.text("scanned_patient")?;
        let kind = Kind::CoiVerification(pb::CoiVerification {
            coi: coi.to_owned(),
            step: named(pb::CoiStep::from_str_name, "COI_STEP", step)?,
            lot: Some(self.lot_key(lot, None)),
            label_id: Some(scanned(pb::IdentifierSystem::Coi, coi)),
            person_id: Some(scanned(pb::IdentifierSystem::Pseudonym, person)),
            verifiers: vec![site.actor.to_owned()],
            result: named(pb::CoiResult::from_str_name, "COI_RESULT", result)?,
        });
        Ok(Draft::new(site, ActorRole::Nurse, kind).of_patient(patient))
    }

    fn items(&self, lots: &[&str]) -> Vec<pb::Item> {
        let item = |lot: &&str| pb::Item {
            what: Some(pb::item::What::Lot(self.lot_key(lot, None))),
            ..Default::default()
        };
        lots.iter().map(item).collect()
    }

    pub(crate) fn shipment(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let from_gln = fields.text("from_gln")?;
        let from = Party::speaking_for(from_gln);
        let log = fields.maybe_text("temp_log_sha256")?.map(sha256_of_hex);
        let max = fields.maybe_decimal("max_temp_cel")?;
        let logger = (log.is_some() || max.is_some()).then(|| pb::Logger {
            log: log.map(document),
            max: max.map(|max| quantity(max, "Cel")),
            ..Default::default()
        });
        let kind = Kind::Shipment(pb::Shipment {
            sscc: fields.maybe_string("sscc")?,
            items: self.items(&fields.texts("lots")?),
            from_gln: from_gln.to_owned(),
            to_gln: fields.string("to_gln")?,
            handed_by: from.actor.to_owned(),
            logger,
            ..Default::default()
        });
        Ok(Draft::new(from, from.actor_roles[0], kind).at(from_gln))
    }

    pub(crate) fn receipt(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let to_gln = fields.text("at_gln")?;
        let here = Party::speaking_for(to_gln);
        let condition = fields.text("condition")?;
        let kind = Kind::ShipmentReceived(pb::ShipmentReceived {
            sscc: fields.maybe_string("sscc")?,
            items: self.items(&fields.texts("lots")?),
            to_gln: to_gln.to_owned(),
            received_by: here.actor.to_owned(),
            condition: named(pb::Condition::from_str_name, "CONDITION", condition)?,
            ..Default::default()
        });
        Ok(Draft::new(here, ActorRole::Pharmacist, kind).at(to_gln))
    }

    pub(crate) fn administration(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let lot = fields.text("lot")?;
        let known = self.lots.get(lot).and_then(|known| known.coi);
        // Supplied: one unit, where the history does not say the dose.
        let dose = match fields.maybe_fields("dose")? {
            Some(mut dose) => {
                dose.maybe_text("system")?;
                // A dose without its value or its unit is for the ledger to refuse.
                let value = dose.maybe_decimal("value")?.unwrap_or_default();
                // Vector genomes are many, and written with an exponent, which no decimal has.
                let many = value.parse().ok().filter(|_| value.contains(['e', 'E']));
                let value = many.map_or(value, |many: f64| many.to_string());
                let given = quantity(value, dose.maybe_text("unit")?.unwrap_or_default());
                dose.finish()?;
                given
            }
            None => quantity("1", "{unit}"),
        };
        let dose_number = self.doses.entry(patient).or_default();
        *dose_number += 1;
        let dose_number = *dose_number;
        let kind = Kind::Administration(pb::Administration {
            lot: Some(self.lot_key(lot, fields.maybe_text("gtin")?)),
            coi: fields
                .maybe_text("coi")?
                .or(known)
                .unwrap_or_default()
                .to_owned(),
            coi_verification: self.matches.get(lot).cloned().unwrap_or_default(),
            // Supplied: all of it was given, by the site's actor, and into a vein unless the history says.
            status: pb::AdministrationStatus::Given.into(),
            performer: site.actor.to_owned(),
            route: Some(own_code(
                "route",
                fields.maybe_text("route")?.unwrap_or("IV"),
            )),
            dose_actual: Some(dose),
            dose_number,
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Nurse, kind).of_patient(patient))
    }
}
