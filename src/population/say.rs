//! What the records of a population say: from an event of a life, or something said once, to the record of it.

use chrono::{Datelike as _, NaiveDate};
use sha2::{Digest as _, Sha256};

use super::{
    life::{Event, Patient, What},
    programme::{
        self, Product, Programme, RECONSENT, RECONSENT_DAYS, VERSIONS, earlier, later, maker,
        months_later, quarter, shelf_lot, site_gln, vector_lot, vector_maker,
    },
};
use crate::{
    pb::{self, ActorRole as Role, Finding, SamplePurpose, record::Kind},
    record::format::check_din,
};

/// The time zone of every site.
pub(super) const ZONE: &str = "Asia/Shanghai";

/// The signal for which consent is asked anew.
pub(super) const SIGNAL: &str = "SIG-CLASS-1";

/// The chance of a patient's record ids, of the identity commitment, and of measured numbers.
const OF_IDS: u64 = 1 << 32;
const OF_IDENTITY: u64 = 1 << 33;
const OF_NUMBERS: u64 = 1 << 34;

/// A lot, by its GTIN and its number.
pub(super) type Lot = (String, String);

/// An envelope without a kind.
pub(super) fn envelope(record_id: &str, on: NaiveDate, site: &str, role: Role) -> pb::Record {
    pb::Record {
        record_id: record_id.to_owned(),
        schema_version: 1,
        event_time: on.to_string(),
        site: site.to_owned(),
        site_tz: ZONE.to_owned(),
        actor_person: actor(site, role),
        actor_role: role.into(),
        signature_meaning: pb::SignatureMeaning::Authorship.into(),
        source_kind: pb::SourceKind::Direct.into(),
        ..pb::Record::default()
    }
}

/// The one who acts so at a site.
pub(super) fn actor(site: &str, role: Role) -> String {
    let role = match role {
        Role::Investigator => "investigator",
        Role::Nurse => "nurse",
        Role::Pharmacist => "pharmacist",
        Role::Lab => "laboratory",
        Role::Qp => "qp",
        Role::SponsorMed => "physician",
        Role::SponsorQa => "quality",
        Role::Administrator => return "administrator".to_owned(),
        Role::Unspecified
        | Role::SubI
        | Role::Courier
        | Role::Iec
        | Role::Monitor
        | Role::Auditor
        | Role::ExternalHcp
        | Role::Patient
        | Role::Lar
        | Role::Device
        | Role::System => "staff",
    };
    // The last digits but the check digit tell the sites apart.
    let digits = site.get(8..12).unwrap_or(site);
    format!("at{digits}.{role}")
}

/// A document of which only the hash exists.
pub(super) fn document(programme: &Programme, about: &str) -> pb::DocHash {
    let hash = Sha256::new()
        .chain_update(programme.seed.to_be_bytes())
        .chain_update(about)
        .finalize();
    pb::DocHash {
        sha256: hash.to_vec(),
        ..pb::DocHash::default()
    }
}

fn code(system: &str, code: &str) -> pb::Code {
    pb::Code {
        system: format!("https://population.example/{system}"),
        code: code.to_owned(),
        ..pb::Code::default()
    }
}

fn quantity(value: impl std::fmt::Display + Copy, unit: &str) -> pb::Quantity {
    pb::Quantity {
        value: value.to_string(),
        unit: unit.to_owned(),
        ..pb::Quantity::default()
    }
}

pub(super) fn lot_key((gtin, lot): &Lot) -> pb::LotKey {
    pb::LotKey {
        gtin: gtin.clone(),
        lot: lot.clone(),
        ..pb::LotKey::default()
    }
}

pub(super) fn lot_item(lot: &Lot) -> pb::Item {
    pb::Item {
        what: Some(pb::item::What::Lot(lot_key(lot))),
        ..pb::Item::default()
    }
}

pub(super) fn consent_key(product: Product, version: usize) -> pb::ConsentVersionKey {
    pb::ConsentVersionKey {
        family: product.family().to_owned(),
        version: VERSIONS
            .get(version)
            .copied()
            .unwrap_or_default()
            .to_owned(),
    }
}

pub(super) fn product(programme: &Programme, product: Product) -> pb::ProductRegistered {
    use pb::{ProductClass, RiskFactor, RiskState};
    let is_car_t = product == Product::CarT;
    let classes = if is_car_t {
        vec![ProductClass::Lenti, ProductClass::CellExVivo]
    } else {
        vec![ProductClass::Aav]
    };
    let factors = (1..=10).filter_map(|factor| RiskFactor::try_from(factor).ok());
    let risk_profile = factors.map(|factor| {
        let is_present = match factor {
            RiskFactor::Integration => is_car_t,
            RiskFactor::LongExpression | RiskFactor::Immunogenicity => true,
            RiskFactor::Shedding => !is_car_t,
            RiskFactor::Unspecified
            | RiskFactor::LatencyReactivation
            | RiskFactor::PersistentInfection
            | RiskFactor::GeneEditing
            | RiskFactor::Biodistribution
            | RiskFactor::Recombination
            | RiskFactor::Other => false,
        };
        let state = if is_present {
            RiskState::Present
        } else {
            RiskState::Absent
        };
        pb::RiskFactorState {
            factor: factor.into(),
            state: state.into(),
            evidence: Some(document(programme, factor.as_str_name())),
        }
    });
    pb::ProductRegistered {
        product_id: product.id().to_owned(),
        version: 1,
        gtins: vec![product.gtin(), product.vector_gtin()],
        name: if is_car_t {
            "a lentiviral CAR-T of the population"
        } else {
            "an AAV of the population"
        }
        .to_owned(),
        authorisation_holder: maker(),
        phase: pb::ProductPhase::PostMarketing.into(),
        product_classes: classes.into_iter().map(Into::into).collect(),
        integrating: Some(is_car_t),
        replication_competent: Some(false),
        delivery: if is_car_t {
            pb::Delivery::ExVivo
        } else {
            pb::Delivery::Systemic
        }
        .into(),
        autologous: Some(is_car_t),
        single_dose: Some(true),
        risk_profile: risk_profile.collect(),
        expected_onset_max_months: Some(product.follow_up_months()),
        follow_up_default_months: Some(product.follow_up_months()),
        ..pb::ProductRegistered::default()
    }
}

fn method_id(product: Product) -> String {
    format!("VCN-{}", product.id())
}

pub(super) fn method(programme: &Programme, product: Product) -> pb::AssayMethodVersion {
    pb::AssayMethodVersion {
        method_id: method_id(product),
        version: "1".to_owned(),
        name: "vector copies by digital PCR".to_owned(),
        laboratory: programme::laboratory(),
        purposes: vec![
            SamplePurpose::Persistence.into(),
            SamplePurpose::Clonality.into(),
            SamplePurpose::Rcl.into(),
        ],
        lod: Some(quantity("0.001", "{copies}/{cell}")),
        sensitivity_percent: "98".to_owned(),
        specificity_percent: "99".to_owned(),
        reproducibility_percent: "6".to_owned(),
        validation_report: Some(document(programme, "validation")),
        validated_on: programme::START.to_string(),
        controls_required: Some(true),
        ..pb::AssayMethodVersion::default()
    }
}

pub(super) fn consent_version(
    programme: &Programme,
    product: Product,
    at: usize,
) -> pb::ConsentDocumentVersion {
    use pb::ChangeClass;
    let change = [
        ChangeClass::Initial,
        ChangeClass::Administrative,
        ChangeClass::ReconsentRequired,
    ];
    let change = change.get(at).copied().unwrap_or_default();
    let items = (1..=8).filter_map(|item| {
        Some(pb::ConsentItem {
            item: pb::ConsentItemKind::try_from(item).ok()?.into(),
            page: u32::try_from(item).ok()?,
        })
    });
    let key = consent_key(product, at);
    let anew = at == RECONSENT;
    pb::ConsentDocumentVersion {
        document: Some(document(programme, &format!("{key:?}"))),
        family: key.family,
        version: key.version,
        ordinal: u32::try_from(at + 1).unwrap_or(u32::MAX),
        language: "zh-CN".to_owned(),
        jurisdiction: "CN".to_owned(),
        audience: pb::ConsentAudience::Adult.into(),
        items: items.collect(),
        change_class: change.into(),
        scope: anew.then(|| pb::CohortScope {
            product_ids: vec![product.id().to_owned()],
            ..pb::CohortScope::default()
        }),
        reconsent_due: anew.then(|| pb::ReconsentDue {
            due: Some(pb::reconsent_due::Due::Days(
                u32::try_from(RECONSENT_DAYS).unwrap_or(u32::MAX),
            )),
            before_next_procedure: false,
        }),
        trigger: anew.then(|| pb::Trigger {
            cause: Some(pb::trigger::Cause::SignalId(SIGNAL.to_owned())),
        }),
        product_ids: vec![product.id().to_owned()],
        ..pb::ConsentDocumentVersion::default()
    }
}

pub(super) fn plan(
    programme: &Programme,
    product: Product,
    (ordinal, consent): (u32, usize),
    communication: String,
) -> pb::FollowUpPlanVersion {
    let is_car_t = product == Product::CarT;
    let first = ordinal == 1;
    let sample = |months| pb::PlannedSlot {
        slot: format!("SAMPLE-M{months}"),
        kind: pb::SlotKind::Sample.into(),
        months,
        window_days: Some(30),
        purposes: vec![SamplePurpose::Persistence.into()],
        ..pb::PlannedSlot::default()
    };
    let clonal = |months| (is_car_t && first).then_some(months);
    pb::FollowUpPlanVersion {
        plan_id: product.plan().to_owned(),
        version: ordinal.to_string(),
        ordinal,
        product_ids: vec![product.id().to_owned()],
        protocol_ids: vec![format!("{}-301", product.id())],
        purpose: "delayed reactions, persistence and effect over time".to_owned(),
        population: "everybody who received the product".to_owned(),
        content: "visits with six blocks, samples, contacts and target events".to_owned(),
        parameters: Some(pb::PlanParameters {
            anchor: pb::Anchor::LastAdministration.into(),
            // The amendment has the patients of the AAV followed for as long as those of the other.
            follow_up_months: Some(if first {
                product.follow_up_months()
            } else {
                180
            }),
            visit_interval_months: first.then_some(12),
            visit_window_days: first.then_some(30),
            contact_interval_months: first.then_some(12),
            sample_interval_months_first_years: clonal(6),
            sample_interval_months_after: clonal(12),
            clone_retest_months: clonal(3),
            intensified_interval_months: clonal(3),
            rcl_test_days: clonal(30),
            signal_action_days: first.then_some(90),
            late_recording_days: first.then_some(14),
            ..pb::PlanParameters::default()
        }),
        slots: if is_car_t || !first {
            Vec::new()
        } else {
            [6, 12, 24, 36, 48, 60].map(sample).to_vec()
        },
        methods: vec![pb::AssayMethodKey {
            method_id: method_id(product),
            version: "1".to_owned(),
        }],
        target_events: vec![code("target-event", "second-malignancy")],
        linked_consent: Some(consent_key(product, consent)),
        trigger: (!first).then(|| pb::Trigger {
            cause: Some(pb::trigger::Cause::SignalId(SIGNAL.to_owned())),
        }),
        communication,
        justification: "as agreed with the regulator".to_owned(),
        recording_guide: Some(document(programme, "guide")),
        ..pb::FollowUpPlanVersion::default()
    }
}

fn storage(min: i32, max: i32) -> pb::TemperatureRange {
    pb::TemperatureRange {
        min: Some(quantity(min, "Cel")),
        max: Some(quantity(max, "Cel")),
    }
}

/// A lot that many patients share.
pub(super) fn shared_lot(
    product: Product,
    (gtin, lot): &Lot,
    role: pb::LotRole,
    made: NaiveDate,
) -> pb::LotRegistered {
    let maker = if role == pb::LotRole::DrugProduct {
        maker()
    } else {
        vector_maker()
    };
    pb::LotRegistered {
        gtin: gtin.clone(),
        lot: lot.clone(),
        role: role.into(),
        manufacturer: maker,
        made_at: made.to_string(),
        expiry: later(made, 3 * 365).to_string(),
        quantity: Some(quantity(1_000, "{vial}")),
        storage_range: Some(storage(-80, -60)),
        product_id: product.id().to_owned(),
        ..pb::LotRegistered::default()
    }
}

pub(super) fn released(programme: &Programme, lot: &Lot) -> pb::LotDisposition {
    pb::LotDisposition {
        lot: Some(lot_key(lot)),
        disposition: pb::Disposition::Released.into(),
        certificate: Some(document(programme, &format!("certificate {}", lot.1))),
        ..pb::LotDisposition::default()
    }
}

/// A step of manufacture that ended on a day.
pub(super) fn step(
    programme: &Programme,
    inputs: Vec<pb::Item>,
    output: &Lot,
    ended: NaiveDate,
) -> pb::Transformation {
    pb::Transformation {
        inputs,
        outputs: vec![lot_item(output)],
        step: pb::ProcessStep::Transduction.into(),
        started_at: earlier(ended, 9).to_string(),
        batch_record: Some(document(programme, &format!("batch record {}", output.1))),
        ..pb::Transformation::default()
    }
}

/// The record of an event of a life.
pub(super) fn record(programme: &Programme, patient: Patient, event: &Event) -> pb::Record {
    let teller = Teller {
        programme,
        patient,
        on: event.on,
        site: site_gln(patient.site(event.on)),
        number: event.number,
    };
    let (site, role, kind) = teller.kind(event.what);
    let mut record = envelope(&teller.id(event.number), event.on, &site, role);
    record.patient = teller.pseudonym();
    teller.finish(&mut record, event.what);
    let delay = event.recorded.date_naive().signed_duration_since(event.on);
    if 14 < delay.num_days() {
        "found when the site was monitored".clone_into(&mut record.late_reason);
    }
    record.kind = Some(kind);
    record
}

struct Teller<'a> {
    programme: &'a Programme,
    patient: Patient,
    on: NaiveDate,
    site: String,
    number: u64,
}

impl Teller<'_> {
    /// The record id of an event of this life.
    fn id(&self, number: u64) -> String {
        self.programme
            .chance(self.patient.number, OF_IDS + number)
            .uuid()
    }

    /// The pseudonym: letters alone, which are nobody's number. Multiplying by a number without a common factor
    /// with 20^7 scatters the numbers and keeps them apart.
    fn pseudonym(&self) -> String {
        const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
        const ALL: u64 = 20_u64.pow(7);
        let scattered =
            u128::from(self.patient.number) * 716_449_871 + u128::from(self.programme.seed);
        let mut rest = u64::try_from(scattered % u128::from(ALL)).unwrap_or_default();
        let mut name = String::from("P-");
        for _ in 0..7 {
            let letter = usize::try_from(rest % 20).unwrap_or_default();
            name.push(LETTERS.get(letter).copied().map_or('B', char::from));
            rest /= 20;
        }
        name
    }

    fn coi(&self) -> String {
        let year = self.programme.registered_on(self.patient.number).year() % 100;
        format!("CHZ0001{year:02}{:06}", self.patient.number % 1_000_000)
    }

    fn din(&self) -> pb::Din {
        let year = self.programme.registered_on(self.patient.number).year() % 100;
        let number = format!("Z0001{year:02}{:06}", self.patient.number % 1_000_000);
        let checks = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"
            .chars()
            .map(String::from);
        let check = checks
            .into_iter()
            .find(|check| check_din(&number, check).is_ok());
        pb::Din {
            number,
            check: check.unwrap_or_default(),
        }
    }

    /// The lot that the patient receives, if it is given on this day.
    fn lot(&self, given: NaiveDate) -> Lot {
        match self.patient.product {
            Product::CarT => (
                self.patient.product.gtin(),
                format!("DP-{:07}", self.patient.number),
            ),
            Product::Aav => (self.patient.product.gtin(), shelf_lot(quarter(given))),
        }
    }

    fn sample(&self, number: u64) -> String {
        format!("{}-{number}", self.pseudonym().replace("P-", "S-"))
    }

    fn case(&self, number: u64) -> String {
        format!("{}-{number}", self.pseudonym().replace("P-", "AE-"))
    }

    /// Where an event is recorded, as what, and what is recorded of it.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of event")]
    fn kind(&self, what: What) -> (String, Role, Kind) {
        let here = |role, kind| (self.site.clone(), role, kind);
        let at_the_maker = |role, kind| (maker(), role, kind);
        let lot = self.lot(self.on);
        match what {
            What::Registered => here(Role::Investigator, self.registered()),
            What::Signed(version, signatory) => {
                here(Role::Investigator, self.signed(version, signatory))
            }
            What::Declined(version) => here(
                Role::Investigator,
                Kind::ConsentDeclined(pb::ConsentDeclined {
                    version: Some(consent_key(self.patient.product, version)),
                    signatory: pb::Signatory::Self_.into(),
                    discussed_by: actor(&self.site, Role::Investigator),
                    ..pb::ConsentDeclined::default()
                }),
            ),
            What::Collected => here(
                Role::Nurse,
                Kind::MaterialCollected(pb::MaterialCollected {
                    coi: self.coi(),
                    din: Some(self.din()),
                    source: pb::DonorRelation::Autologous.into(),
                    procedure: Some(code("procedure", "apheresis")),
                    collector: actor(&self.site, Role::Nurse),
                    ..pb::MaterialCollected::default()
                }),
            ),
            What::Made => at_the_maker(Role::SponsorQa, self.made(&lot)),
            What::LotRegistered => at_the_maker(Role::Qp, self.lot_registered(&lot)),
            What::LotReleased => at_the_maker(
                Role::Qp,
                Kind::LotDisposition(released(self.programme, &lot)),
            ),
            What::Shipped => at_the_maker(
                Role::Qp,
                Kind::Shipment(pb::Shipment {
                    items: vec![lot_item(&lot)],
                    from_gln: maker(),
                    to_gln: self.site.clone(),
                    handed_by: actor(&maker(), Role::Qp),
                    ..pb::Shipment::default()
                }),
            ),
            What::Received => here(
                Role::Pharmacist,
                Kind::ShipmentReceived(pb::ShipmentReceived {
                    items: vec![lot_item(&lot)],
                    from_gln: maker(),
                    to_gln: self.site.clone(),
                    received_by: actor(&self.site, Role::Pharmacist),
                    logger: Some(pb::Logger {
                        max: Some(quantity(-151, "Cel")),
                        ..pb::Logger::default()
                    }),
                    condition: pb::Condition::Conformant.into(),
                    ..pb::ShipmentReceived::default()
                }),
            ),
            What::Verified => here(Role::Nurse, self.verified(&lot)),
            What::Given(verified) => here(Role::Nurse, self.given(&lot, verified)),
            What::Enrolled(consent) => here(
                Role::Investigator,
                Kind::FollowUpEnrolment(pb::FollowUpEnrolment {
                    plan_id: self.patient.product.plan().to_owned(),
                    consent: self.id(consent),
                    covariates: vec![code("covariate", "earlier-chemotherapy")],
                    ..pb::FollowUpEnrolment::default()
                }),
            ),
            What::Sampled(number, purpose) => here(Role::Nurse, self.sampled(number, purpose)),
            What::Rejected(number) => (
                programme::laboratory(),
                Role::Lab,
                Kind::SampleEvent(pb::SampleEvent {
                    sample_id: self.sample(number),
                    event: pb::SampleEventKind::Rejected.into(),
                    ..pb::SampleEvent::default()
                }),
            ),
            What::Result(number, purpose, finding) => (
                programme::laboratory(),
                Role::Lab,
                self.result(number, purpose, finding),
            ),
            What::Visited(incomplete) => here(Role::Investigator, visited(incomplete)),
            What::Contacted(reached) => here(
                Role::Investigator,
                Kind::FollowUpContact(pb::FollowUpContact {
                    mode: pb::VisitMode::Phone.into(),
                    purpose: pb::ContactPurpose::Routine.into(),
                    reached: Some(reached),
                    attempts: if reached { 1 } else { 3 },
                    reporter: pb::Reporter::Patient.into(),
                    ..pb::FollowUpContact::default()
                }),
            ),
            What::Withdrawn => here(
                Role::Investigator,
                Kind::ConsentWithdrawn(pb::ConsentWithdrawn {
                    scopes: vec![pb::WithdrawalScope::AllProcedures.into()],
                    withdrawn_by: pb::Signatory::Self_.into(),
                    ..pb::ConsentWithdrawn::default()
                }),
            ),
            What::Lost => here(Role::Investigator, self.lost()),
            What::Found => here(Role::Investigator, status(pb::PatientState::Found)),
            What::Transferred(to) => here(Role::Investigator, transferred(to)),
            What::Died => here(Role::Investigator, died()),
            What::Adverse(case, serious, suspected) => {
                here(Role::Investigator, self.adverse(case, serious, suspected))
            }
            What::Assessed(case) => here(
                Role::Investigator,
                Kind::CausalityAssessment(pb::CausalityAssessment {
                    case_id: self.case(case),
                    assessor: actor(&self.site, Role::Investigator),
                    scale: pb::CausalityScale::WhoUmc.into(),
                    category: pb::CausalityCategory::Possible.into(),
                    evidence: vec![pb::CausalityEvidence {
                        kind: pb::EvidenceKind::Clinical.into(),
                        ..pb::CausalityEvidence::default()
                    }],
                    ..pb::CausalityAssessment::default()
                }),
            ),
            What::Corrected(target, day) => here(
                Role::Investigator,
                Kind::Correction(pb::Correction {
                    target: self.id(target),
                    correction_kind: pb::CorrectionKind::IncorrectData.into(),
                    changes: vec![pb::FieldChange {
                        path: "event_time".to_owned(),
                        old: later(day, 1).to_string(),
                        new: day.to_string(),
                    }],
                    ..pb::Correction::default()
                }),
            ),
        }
    }

    /// What of the envelope depends on the event.
    fn finish(&self, record: &mut pb::Record, what: What) {
        let at = |time: &str| format!("{}T{time}+08:00", self.on);
        match what {
            What::Collected => record.event_time = at("08:40:00"),
            What::Verified => record.event_time = at("09:20:00"),
            What::Given(_) => record.event_time = at("09:30:00"),
            What::Rejected(_) => "clotted on arrival".clone_into(&mut record.reason),
            What::Corrected(..) => {
                "the day was copied wrongly".clone_into(&mut record.reason);
            }
            What::Registered
            | What::Signed(..)
            | What::Declined(_)
            | What::Made
            | What::LotRegistered
            | What::LotReleased
            | What::Shipped
            | What::Received
            | What::Enrolled(_)
            | What::Sampled(..)
            | What::Result(..)
            | What::Visited(_)
            | What::Contacted(_)
            | What::Withdrawn
            | What::Lost
            | What::Found
            | What::Transferred(_)
            | What::Died
            | What::Adverse(..)
            | What::Assessed(_) => {}
        }
    }

    fn registered(&self) -> Kind {
        let mut chance = self.programme.chance(self.patient.number, OF_IDENTITY);
        let day = |day: NaiveDate| day.to_string();
        let minor = self.patient.minor;
        Kind::PatientRegistered(pb::PatientRegistered {
            programme: "population".to_owned(),
            identity_commitment: chance.bytes().to_vec(),
            majority_on: minor.map(|(_, majority)| day(majority)).unwrap_or_default(),
            assent_on: minor.map(|(assent, _)| day(assent)).unwrap_or_default(),
        })
    }

    fn signed(&self, version: usize, signatory: pb::Signatory) -> Kind {
        let is_lar = signatory == pb::Signatory::Lar;
        let document_of = consent_version(self.programme, self.patient.product, version).document;
        Kind::ConsentSigned(pb::ConsentSigned {
            version: Some(consent_key(self.patient.product, version)),
            document_sha256: document_of.unwrap_or_default().sha256,
            language: "zh-CN".to_owned(),
            signatory: signatory.into(),
            relation: is_lar.then(|| code("relation", "PRN")),
            authority_document: is_lar.then(|| document(self.programme, "guardianship")),
            method: pb::ConsentMethod::WetInk.into(),
            discussed_by: actor(&self.site, Role::Investigator),
            discusser_signed_on: self.on.to_string(),
            signed_document: Some(document(self.programme, &self.id(self.number))),
            copy_given: Some(true),
            ..pb::ConsentSigned::default()
        })
    }

    fn made(&self, lot: &Lot) -> Kind {
        let vector = (
            self.patient.product.vector_gtin(),
            vector_lot(self.patient.product, quarter(self.on)),
        );
        let donation = pb::Item {
            what: Some(pb::item::What::Din(self.din())),
            ..pb::Item::default()
        };
        let mut step = step(
            self.programme,
            vec![lot_item(&vector), donation],
            lot,
            self.on,
        );
        step.coi = self.coi();
        Kind::Transformation(step)
    }

    fn lot_registered(&self, (gtin, lot): &Lot) -> Kind {
        Kind::LotRegistered(pb::LotRegistered {
            gtin: gtin.clone(),
            lot: lot.clone(),
            role: pb::LotRole::DrugProduct.into(),
            manufacturer: maker(),
            made_at: self.on.to_string(),
            expiry: months_later(self.on, 12).to_string(),
            quantity: Some(quantity(1, "{bag}")),
            coi: self.coi(),
            dins: vec![self.din()],
            intended_patient: self.pseudonym(),
            donor_relation: pb::DonorRelation::Autologous.into(),
            storage_range: Some(storage(-196, -130)),
            product_id: self.patient.product.id().to_owned(),
            ..pb::LotRegistered::default()
        })
    }

    fn verified(&self, lot: &Lot) -> Kind {
        let identifier = || pb::Identifier {
            system: pb::IdentifierSystem::Coi.into(),
            value: self.coi(),
            quality: pb::IdentifierQuality::Scanned.into(),
            ..pb::Identifier::default()
        };
        Kind::CoiVerification(pb::CoiVerification {
            coi: self.coi(),
            step: pb::CoiStep::Bedside.into(),
            lot: Some(lot_key(lot)),
            label_id: Some(identifier()),
            person_id: Some(identifier()),
            verifiers: vec![
                actor(&self.site, Role::Nurse),
                actor(&self.site, Role::Pharmacist),
            ],
            result: pb::CoiResult::Match.into(),
        })
    }

    fn given(&self, lot: &Lot, verified: u64) -> Kind {
        let is_car_t = self.patient.product == Product::CarT;
        let mut chance = self.programme.chance(self.patient.number, OF_NUMBERS);
        let cells = 90_000_000 + chance.between(0, 60_000) * 1_000;
        let dose = if is_car_t {
            quantity(cells, "{cells}")
        } else {
            quantity("10000000000000", "{vg}/kg")
        };
        Kind::Administration(pb::Administration {
            product_id: self.patient.product.id().to_owned(),
            lot: Some(lot_key(lot)),
            coi: if is_car_t { self.coi() } else { String::new() },
            coi_verification: if is_car_t {
                self.id(verified)
            } else {
                String::new()
            },
            ended_at: format!("{}T09:55:00+08:00", self.on),
            status: pb::AdministrationStatus::Given.into(),
            dose_actual: Some(dose),
            weight: Some(quantity(chance.between(12, 95), "kg")),
            route: Some(code("route", "intravenous")),
            dose_number: 1,
            performer: actor(&self.site, Role::Nurse),
            second_checker: actor(&self.site, Role::Pharmacist),
            ..pb::Administration::default()
        })
    }

    fn sampled(&self, number: u64, purpose: SamplePurpose) -> Kind {
        Kind::SampleCollected(pb::SampleCollected {
            sample_id: self.sample(number),
            purposes: vec![purpose.into()],
            specimen: Some(code("specimen", "peripheral-blood")),
            surrogate: Some(false),
            volume: Some(quantity(8, "mL")),
            collector: actor(&self.site, Role::Nurse),
            ..pb::SampleCollected::default()
        })
    }

    fn result(&self, sample: u64, purpose: SamplePurpose, finding: Finding) -> Kind {
        let mut chance = self
            .programme
            .chance(self.patient.number, OF_NUMBERS + self.number);
        let none = finding == Finding::VectorNotDetected;
        let pass = pb::ControlOutcome::Pass.into();
        let fraction = format!("{}.{}", chance.between(0, 3), chance.between(0, 9));
        let of_vector = purpose == SamplePurpose::Persistence;
        Kind::AssayResult(pb::AssayResult {
            sample_id: self.sample(sample),
            method: Some(pb::AssayMethodKey {
                method_id: method_id(self.patient.product),
                version: "1".to_owned(),
            }),
            controls: Some(pb::AssayControls {
                positive: pass,
                negative: pass,
            }),
            lod: Some(quantity("0.001", "{copies}/{cell}")),
            positive_fraction_percent: if of_vector && !none {
                fraction
            } else {
                String::new()
            },
            clones: if finding == Finding::DominantClone {
                vec![pb::Clone {
                    rank: 1,
                    abundance_percent: "31".to_owned(),
                }]
            } else {
                Vec::new()
            },
            findings: vec![finding.into()],
            ..pb::AssayResult::default()
        })
    }

    fn lost(&self) -> Kind {
        let attempt = |days| pb::ContactAttempt {
            attempted_on: earlier(self.on, days).to_string(),
            mode: pb::VisitMode::Phone.into(),
        };
        Kind::PatientStatus(pb::PatientStatus {
            state: pb::PatientState::LostToFollowUp.into(),
            last_contact: earlier(self.on, 180).to_string(),
            attempts: [60, 30, 10].map(attempt).to_vec(),
            ..pb::PatientStatus::default()
        })
    }

    fn adverse(&self, case: u64, serious: bool, suspected: bool) -> Kind {
        let hospital = pb::SeriousCriterion::Hospitalisation.into();
        Kind::AdverseEvent(pb::AdverseEvent {
            case_id: self.case(case),
            subject_kind: pb::SubjectKind::Patient.into(),
            term: Some(pb::EventTerm {
                verbatim: "fever for three days".to_owned(),
                ..pb::EventTerm::default()
            }),
            serious: serious.then_some(hospital).into_iter().collect(),
            new_malignancy: Some(false),
            suspected_rcl: Some(suspected),
            suspect_lots: Vec::new(),
            outcome: pb::EventOutcome::Recovered.into(),
            reporter: pb::ReporterKind::Physician.into(),
            source: if case.is_multiple_of(3) {
                pb::EventSource::PatientSelf
            } else {
                pb::EventSource::ActiveSolicited
            }
            .into(),
            aware_at: self.on.to_string(),
            ..pb::AdverseEvent::default()
        })
    }
}

fn status(state: pb::PatientState) -> Kind {
    Kind::PatientStatus(pb::PatientStatus {
        state: state.into(),
        ..pb::PatientStatus::default()
    })
}

fn transferred(to: u64) -> Kind {
    Kind::PatientStatus(pb::PatientStatus {
        state: pb::PatientState::Transferred.into(),
        transferred_to: site_gln(to),
        ..pb::PatientStatus::default()
    })
}

fn died() -> Kind {
    Kind::PatientStatus(pb::PatientStatus {
        state: pb::PatientState::Deceased.into(),
        death: Some(pb::Death {
            cause: Some(code("cause-of-death", "underlying-disease")),
            related: Some(false),
            autopsy: Some(false),
        }),
        ..pb::PatientStatus::default()
    })
}

/// A visit with its six blocks; an incomplete one has a block that was not done, and says why.
fn visited(incomplete: bool) -> Kind {
    let blocks = (1..=6).filter_map(|block| {
        let not_done = incomplete && block == 5;
        let status = if not_done {
            pb::BlockStatus::NotDone
        } else {
            pb::BlockStatus::Done
        };
        Some(pb::VisitBlock {
            block: pb::VisitBlockKind::try_from(block).ok()?.into(),
            status: status.into(),
            reason: if not_done {
                "the patient had to leave".to_owned()
            } else {
                String::new()
            },
        })
    });
    Kind::FollowUpVisit(pb::FollowUpVisit {
        mode: pb::VisitMode::OnSite.into(),
        blocks: blocks.collect(),
        reporter: pb::Reporter::Hcp.into(),
        reached: Some(true),
        attempts: 1,
        ..pb::FollowUpVisit::default()
    })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::{super::life::Life, *};

    #[test]
    fn pseudonyms_differ_from_each_other() {
        let programme = Programme {
            seed: 5,
            patients: 2_000,
        };
        let mut seen = std::collections::BTreeSet::new();
        for number in 1..=2_000 {
            let life = Life::of(&programme, number);
            let record = record(&programme, life.patient, &life.events[0]);
            assert!(record.encoded_len() < 1_000);
            assert!(seen.insert(record.patient), "{number}");
        }
    }
}
