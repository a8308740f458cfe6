//! What one patient's samples, results and administrations show.

use crate::{
    pb::{self, ControlOutcome, Finding, SamplePurpose, record::Kind},
    rules::{
        catalogue::Catalogue,
        fact::{LotId, Material, material},
        follow_up::specimens::Specimens,
        patient::Patient,
        question::Seen,
    },
};

use super::{Conformity, Of, tally::shown};

impl<'a> Conformity<'a> {
    pub(super) fn see_results(&mut self, patient: &Patient) {
        self.specimens(patient);
        for (fact, result) in patient.of_kind(pick!(AssayResult)) {
            self.methods(patient, fact, result);
            self.sites(patient, fact, result);
            if result.off_target.is_some() {
                self.tally(46).look_at(fact);
            }
        }
        self.substitutes(patient);
        self.origin(patient);
    }

    /// A-38, the findings of, and the purposes of A-04.
    fn specimens(&mut self, patient: &Patient) {
        let specimens = Specimens::of(patient);
        for (_, sample) in &specimens.collected {
            for purpose in sample.purposes() {
                match purpose {
                    SamplePurpose::Efficacy | SamplePurpose::Expression => self.purposes[2] += 1,
                    SamplePurpose::Persistence | SamplePurpose::Clonality | SamplePurpose::Isa => {
                        self.purposes[1] += 1;
                    }
                    SamplePurpose::Rcl
                    | SamplePurpose::OffTarget
                    | SamplePurpose::Immunogenicity
                    | SamplePurpose::Shedding
                    | SamplePurpose::NewMalignancy => self.purposes[0] += 1,
                    SamplePurpose::Unspecified | SamplePurpose::Archive => {}
                }
            }
        }
        let persistence = specimens.qualifying(SamplePurpose::Persistence, self.on);
        let samples: Vec<_> = persistence.collect();
        if let [(first, _), ..] = samples.as_slice() {
            self.tally(38).look();
            if specimens.results.is_empty() {
                let reason = format!("{} samples and no result on record", samples.len());
                let of = Of::Patient(patient.id.clone());
                self.tally(38).except(of, reason, shown(first));
            }
        }
        for (number, findings) in [
            (38, &[Finding::DominantClone, Finding::Monoclonal][..]),
            (38, &[Finding::ClonalExpansion]),
            (38, &[Finding::IntegrationNearOncogene]),
        ] {
            let found = specimens.results.iter().filter(|one| one.has(findings));
            let found = u64::try_from(found.count()).unwrap_or(u64::MAX);
            let what = match findings.first() {
                Some(Finding::DominantClone) => "findings of a dominant clone",
                Some(Finding::ClonalExpansion) => "findings of clonal growth",
                _ => "findings near an oncogene",
            };
            self.tally(number).count(what, found);
        }
    }

    ///
    fn methods(&mut self, patient: &Patient, fact: &Seen, result: &pb::AssayResult) {
        let of = || Of::Patient(patient.id.clone());
        let sample = &result.sample_id;
        self.tally(29).look_at(fact);
        self.tally(40).look_at(fact);
        let key = result.method.clone().unwrap_or_default();
        match self.method(&key, fact) {
            None => {
                let reason = format!(
                    "the result on {sample} is by method {}, which is not registered",
                    key.method_id
                );
                self.tally(29).except(of(), reason.clone(), shown(fact));
                self.tally(40).except(of(), reason, shown(fact));
            }
            Some(method) => {
                if method.validation_report.is_none() || method.lod.is_none() {
                    let reason = format!(
                        "the result on {sample} is by method {}, whose validation is not shown",
                        key.method_id
                    );
                    self.tally(29).except(of(), reason, shown(fact));
                }
                let figures = [
                    &method.sensitivity_percent,
                    &method.specificity_percent,
                    &method.reproducibility_percent,
                ];
                if figures.iter().any(|figure| figure.is_empty()) {
                    let reason = format!(
                        "the result on {sample} is by method {}, which lacks a figure of its validation",
                        key.method_id
                    );
                    self.tally(40).except(of(), reason, shown(fact));
                }
            }
        }
        let controls = result.controls.unwrap_or_default();
        let passed = controls.positive() == ControlOutcome::Pass
            && controls.negative() == ControlOutcome::Pass;
        let is_invalid = result.findings().any(|one| one == Finding::Invalid);
        if !passed && !is_invalid {
            let reason = format!("a control of the run on {sample} failed");
            self.tally(40).except(of(), reason, shown(fact));
        }
    }

    /// The method of a result: the version that it names, or else the newest by then.
    fn method(
        &self,
        key: &pb::AssayMethodKey,
        result: &Seen,
    ) -> Option<&'a pb::AssayMethodVersion> {
        let catalogue: &'a Catalogue = self.catalogue;
        let mut known = catalogue.others.iter().rev().filter_map(|fact| {
            let Some(Kind::AssayMethodVersion(method)) = fact.kind() else {
                return None;
            };
            let is_it = method.method_id == key.method_id
                && (key.version.is_empty() || method.version == key.version)
                && fact.on <= result.on;
            is_it.then_some(method)
        });
        known.next()
    }

    ///
    fn sites(&mut self, patient: &Patient, fact: &Seen, result: &pb::AssayResult) {
        if result.sites.is_empty() {
            return;
        }
        self.tally(43).look_at(fact);
        let is_compared = |site: &pb::IntegrationSite| {
            !site.nearest_gene.is_empty()
                && !site.databases.is_empty()
                && site.databases.iter().all(|one| !one.version.is_empty())
        };
        if !result.sites.iter().all(is_compared) {
            let reason = format!(
                "a site on {} lacks its nearest gene, or a database with its version",
                result.sample_id
            );
            let of = Of::Patient(patient.id.clone());
            self.tally(43).except(of, reason, shown(fact));
        }
    }

    ///
    fn substitutes(&mut self, patient: &Patient) {
        let of = || Of::Patient(patient.id.clone());
        for (fact, waiver) in patient.of_kind(pick!(SamplingWaiver)) {
            self.tally(48).look_at(fact);
            self.tally(48).count("waivers", 1);
            if waiver.substitute() == pb::WaiverSubstitute::None {
                let reason = "a waiver puts nothing in the place of the samples".to_owned();
                self.tally(48).except(of(), reason, shown(fact));
            }
        }
        for (fact, sample) in patient.of_kind(pick!(SampleCollected)) {
            if sample.surrogate != Some(true) {
                continue;
            }
            self.tally(48).look_at(fact);
            self.tally(48).count("surrogate samples", 1);
            if sample.surrogate_justification.trim().is_empty() {
                let reason = format!("surrogate sample {} has no justification", sample.sample_id);
                self.tally(48).except(of(), reason, shown(fact));
            }
        }
    }

    ///
    fn origin(&mut self, patient: &Patient) {
        let catalogue = self.catalogue;
        let product_id = self.product.product.product_id.as_str();
        let given: Vec<_> = patient.given_of(catalogue, product_id).collect();
        for (fact, administration) in given {
            self.tally(50).look_at(fact);
            let Some(key) = &administration.lot else {
                continue;
            };
            let lot = LotId::from(key);
            let registered = patient.of_kind(pick!(LotRegistered));
            let mut registered = registered.filter(|(_, one)| one.gtin == lot.gtin);
            let is_known = registered.any(|(_, one)| one.lot == lot.lot);
            let made = Material::Lot(lot.clone());
            let mut steps = patient.of_kind(pick!(Transformation));
            let is_made = steps.any(|(_, step)| {
                step.outputs
                    .iter()
                    .filter_map(material)
                    .any(|out| out == made)
            });
            let missing = match (is_known, is_made) {
                (true, true) => continue,
                (true, false) => "nothing says what it was made of",
                (false, true) => "it is not registered",
                (false, false) => "it is not registered, and nothing says what it was made of",
            };
            let reason = format!("lot {}: {missing}", lot.lot);
            let of = Of::Patient(patient.id.clone());
            self.tally(50).except(of, reason, shown(fact));
        }
    }
}
