//! Turns a history into records: each event into one or several, after the registrations that a history
//! takes for granted. An event of an unknown kind, an unknown field or an unknown word is an error.
//!
//! A history is terser than a record. What it is silent about and a record requires is supplied here, always
//! the same way: each supplied value stands at its place with a comment that begins with "Supplied". What is
//! not known and not required stays missing, and is the rules' to flag.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, NaiveDate, Utc};
use genetrail::{
    pb::{self, ActorRole, record::Kind},
    record::format::{check_din, parse_civil_date},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    dictionary::kind_by_name,
    fields::{Fields, Unsayable},
    follow_up,
    parties::{PARTIES, Party, SPONSOR},
};

/// The check characters that a donation can have.
pub(crate) const CHECK_CHARACTERS: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*";

/// When one comes of age, and when one is asked for assent, where no plan says otherwise.
const MAJORITY_MONTHS: u32 = 216;
const ASSENT_MONTHS: u32 = 96;

/// All records of a history, in the order of `seq`, after the registrations.
pub(crate) fn convert(history: &Value) -> Result<Vec<pb::Record>> {
    let events = in_order(history)?;
    let mut converter = Converter::new(history)?;
    let first = events.first().context("a history has at least one event")?;
    let mut records = converter.registrations(&Happening::of(&mut Fields::of(first)?)?);
    for event in events {
        records.extend(converter.event(event)?);
    }
    Ok(records)
}

/// The events of a history in the order of `seq`.
pub(crate) fn in_order(history: &Value) -> Result<Vec<&Value>> {
    let events = history["events"].as_array();
    let mut events: Vec<&Value> = events.context("a history has events")?.iter().collect();
    events.sort_by_key(|event| event["seq"].as_u64());
    Ok(events)
}

/// What is known of a history while its events are converted.
pub(crate) struct Converter<'h> {
    pub(crate) scenario: &'h str,
    pub(crate) time_zone: &'h str,
    /// Every lot that is ever registered, by its number: a transformation names its output before that.
    pub(crate) lots: BTreeMap<&'h str, KnownLot<'h>>,
    /// Every donation with its check character.
    pub(crate) dins: BTreeMap<&'h str, &'h str>,
    pub(crate) products: BTreeMap<&'h str, Vec<&'h str>>,
    /// The GTINs of products that are made of the patient's own cells.
    pub(crate) autologous: BTreeSet<&'h str>,
    /// The first family of consent documents that has a version: a plan names the version alone.
    pub(crate) families: BTreeMap<&'h str, &'h str>,
    /// The site of each patient.
    pub(crate) sites: BTreeMap<&'h str, &'static Party>,
    /// The consent versions so far, by family and in their order.
    pub(crate) consent_versions: BTreeMap<&'h str, Vec<KnownConsentVersion<'h>>>,
    /// How many versions a plan has so far, and the records of each.
    pub(crate) plan_versions: BTreeMap<&'h str, u32>,
    pub(crate) plans: BTreeMap<(&'h str, &'h str), String>,
    /// The lot that a patient is treated with first, and its GTIN if the treatment says it.
    pub(crate) treatments: BTreeMap<&'h str, (&'h str, Option<&'h str>)>,
    /// What the versions of the plans say of when one comes of age, in their order.
    pub(crate) coming_of_age: Vec<ComingOfAge<'h>>,
    /// The latest record of a kind: of consent by patient, of a match at the bedside by lot, of a regulator's
    /// communication by plan and version.
    pub(crate) consents: BTreeMap<&'h str, String>,
    pub(crate) matches: BTreeMap<&'h str, String>,
    pub(crate) communications: BTreeMap<(&'h str, &'h str), String>,
    pub(crate) latest_communication: String,
    pub(crate) latest_signal: &'h str,
    /// How many doses a patient has had.
    pub(crate) doses: BTreeMap<&'h str, u32>,
}

/// What the Lot event of a lot says.
#[derive(Clone, Copy)]
pub(crate) struct KnownLot<'h> {
    pub(crate) gtin: &'h str,
    pub(crate) coi: Option<&'h str>,
    pub(crate) patient: Option<&'h str>,
}

/// After how many months one comes of age, and is asked for assent, under a plan.
pub(crate) struct ComingOfAge<'h> {
    /// The products of the plan; none are all of them.
    products: Vec<&'h str>,
    majority_months: u32,
    assent_months: u32,
}

impl<'h> ComingOfAge<'h> {
    fn of(plan: &'h Value, fields: &mut Fields<'h>) -> Self {
        let months = |name: &str| {
            let mut params = ["params", "parameters"].iter();
            let months = params.find_map(|params| plan[*params][name].as_u64());
            months.and_then(|months| u32::try_from(months).ok())
        };
        Self {
            products: fields.texts("product").unwrap_or_default(),
            majority_months: months("majority_months").unwrap_or(MAJORITY_MONTHS),
            assent_months: months("assent_months").unwrap_or(ASSENT_MONTHS),
        }
    }
}

pub(crate) struct KnownConsentVersion<'h> {
    pub(crate) version: &'h str,
    pub(crate) sha256: Vec<u8>,
    pub(crate) language: &'h str,
}

/// What every event has: when, and the number it is told by.
pub(crate) struct Happening<'h> {
    pub(crate) seq: u64,
    pub(crate) kind: &'h str,
    pub(crate) date: NaiveDate,
    pub(crate) time: &'h str,
    pub(crate) recorded_at: &'h str,
    pub(crate) reason: &'h str,
}

impl<'h> Happening<'h> {
    fn of(fields: &mut Fields<'h>) -> Result<Self> {
        fields.value("note");
        let seq = fields
            .maybe("seq", Value::as_u64)?
            .context("seq is missing")?;
        let date = fields.text("event_date")?;
        let recorded_at = fields.text("recorded_at")?;
        recorded_at
            .parse::<DateTime<Utc>>()
            .context("recorded_at is no instant")?;
        Ok(Self {
            seq,
            kind: fields.text("kind")?,
            date: parse_civil_date(date)?,
            time: fields.maybe_text("event_time")?.unwrap_or(date),
            recorded_at,
            reason: fields.maybe_text("reason")?.unwrap_or_default(),
        })
    }
}

/// A record without its envelope: where and as what the party's actor says it.
pub(crate) struct Draft {
    party: &'static Party,
    role: ActorRole,
    patient: String,
    is_decision: bool,
    /// The place, where it is not the party's own.
    gln: Option<String>,
    /// When it happened, where that is not the event's own time.
    event_time: Option<String>,
    kind: Kind,
}

impl Draft {
    pub(crate) fn new(party: &'static Party, role: ActorRole, kind: Kind) -> Self {
        Self {
            party,
            role,
            patient: String::new(),
            is_decision: false,
            gln: None,
            event_time: None,
            kind,
        }
    }

    pub(crate) fn at(self, gln: &str) -> Self {
        Self {
            gln: Some(gln.to_owned()),
            ..self
        }
    }

    pub(crate) fn on(self, day: NaiveDate) -> Self {
        Self {
            event_time: Some(day.to_string()),
            ..self
        }
    }

    pub(crate) fn of_patient(self, patient: &str) -> Self {
        Self {
            patient: patient.to_owned(),
            ..self
        }
    }

    /// A decision is signed as one.
    pub(crate) fn decided(self) -> Self {
        Self {
            is_decision: true,
            ..self
        }
    }
}

impl<'h> Converter<'h> {
    pub(crate) fn new(history: &'h Value) -> Result<Self> {
        let mut fields = Fields::of(history)?;
        let mut converter = Self {
            scenario: fields.text("scenario")?,
            time_zone: fields.text("time_zone")?,
            lots: BTreeMap::new(),
            dins: BTreeMap::new(),
            products: BTreeMap::new(),
            autologous: BTreeSet::new(),
            families: BTreeMap::new(),
            sites: BTreeMap::new(),
            consent_versions: BTreeMap::new(),
            plan_versions: BTreeMap::new(),
            plans: BTreeMap::new(),
            treatments: BTreeMap::new(),
            coming_of_age: Vec::new(),
            consents: BTreeMap::new(),
            matches: BTreeMap::new(),
            communications: BTreeMap::new(),
            latest_communication: String::new(),
            latest_signal: "",
            doses: BTreeMap::new(),
        };
        check_parties(&history["parties"]["gln"])?;
        for event in in_order(history)? {
            converter.look_ahead(event)?;
        }
        converter.assign_gtins();
        Ok(converter)
    }

    /// Lots, donations, products and consent versions are named before the event that registers them, and a
    /// birth date becomes the days of coming of age before the plan and the product that they go by.
    pub(crate) fn look_ahead(&mut self, event: &'h Value) -> Result<()> {
        let mut fields = Fields::of(event)?;
        match fields.text("kind")? {
            "Lot" => {
                let lot = KnownLot {
                    gtin: fields.text("gtin")?,
                    coi: fields.maybe_text("coi")?,
                    patient: fields.maybe_text("intended_patient")?,
                };
                self.lots.insert(fields.text("lot")?, lot);
            }
            "Apheresis" => {
                let (din, check) = (fields.text("din")?, fields.text("din_check")?);
                check_din(din, check).with_context(|| format!("DIN {din}"))?;
                self.dins.insert(din, check);
            }
            "Product" => {
                let gtins = vec![fields.text("gtin")?];
                if fields.maybe_flag("autologous")? == Some(true) {
                    self.autologous.extend(&gtins);
                }
                self.products.insert(fields.text("product_id")?, gtins);
            }
            "ConsentVersion" => {
                let family = fields.text("family")?;
                self.families
                    .entry(fields.text("version")?)
                    .or_insert(family);
            }
            "Administration" => {
                let (patient, lot) = (event["patient"].as_str(), event["lot"].as_str());
                if let Some((patient, lot)) = patient.zip(lot) {
                    let treatment = (lot, event["gtin"].as_str());
                    self.treatments.entry(patient).or_insert(treatment);
                }
            }
            "PlanVersion" => self.coming_of_age.push(ComingOfAge::of(event, &mut fields)),
            _ => {}
        }
        Ok(())
    }

    /// Supplied: the GTINs of vectors and materials belong to the history's first product.
    fn assign_gtins(&mut self) {
        for lot in self.lots.values() {
            if self
                .products
                .values()
                .flatten()
                .all(|gtin| *gtin != lot.gtin)
                && let Some(gtins) = self.products.values_mut().next()
            {
                gtins.push(lot.gtin);
            }
        }
    }

    /// The product that a patient is treated with first, or else meant for.
    fn product_of(&self, patient: &str) -> Option<&'h str> {
        let given = self.treatments.get(patient);
        let given = given.and_then(|(lot, gtin)| gtin.or(self.lots.get(lot).map(|lot| lot.gtin)));
        let mut lots = self.lots.values();
        let meant = lots.find(|lot| lot.patient == Some(patient));
        let gtin = given.or(meant.map(|lot| lot.gtin))?;
        let mut products = self.products.iter();
        let known = products.find(|(_, gtins)| gtins.contains(&gtin));
        known.map(|(product, _)| *product)
    }

    /// After how many months a patient comes of age, and is asked for assent: as the first version of a plan
    /// for the patient's product says, or, of a patient without one, the first version of any.
    pub(crate) fn months_of_age(&self, patient: &str) -> (u32, u32) {
        let product = self.product_of(patient);
        let is_of_plan = |plan: &&ComingOfAge<'_>| {
            let is_named = |product| plan.products.contains(&product);
            plan.products.is_empty() || product.is_none_or(is_named)
        };
        let plan = self.coming_of_age.iter().find(is_of_plan);
        plan.map_or((MAJORITY_MONTHS, ASSENT_MONTHS), |plan| {
            (plan.majority_months, plan.assent_months)
        })
    }

    /// The organisations, the sites and their actors, registered when the history begins.
    fn registrations(&self, first: &Happening<'h>) -> Vec<pb::Record> {
        let organisations = PARTIES.iter().map(|party| {
            Kind::OrganisationRegistered(pb::OrganisationRegistered {
                gln: party.gln.to_owned(),
                name: party.name.to_owned(),
                roles: party.roles.iter().map(|role| i32::from(*role)).collect(),
                // Supplied: a history does not say the country, and tells of China.
                country: "CN".to_owned(),
                time_zone: self.time_zone.to_owned(),
                ..Default::default()
            })
        });
        let actors = PARTIES.iter().map(|party| {
            Kind::ActorRegistered(pb::ActorRegistered {
                actor_id: party.actor.to_owned(),
                roles: party
                    .actor_roles
                    .iter()
                    .map(|role| i32::from(*role))
                    .collect(),
                organisation: party.gln.to_owned(),
                ..Default::default()
            })
        });
        let kinds = organisations.chain(actors).enumerate();
        kinds
            .map(|(part, kind)| pb::Record {
                record_id: self.record_id(0, part),
                schema_version: 1,
                event_time: first.time.to_owned(),
                client_time: first.recorded_at.to_owned(),
                kind: Some(kind),
                ..Default::default()
            })
            .collect()
    }

    /// The records of one event.
    pub(crate) fn event(&mut self, event: &'h Value) -> Result<Vec<pb::Record>> {
        let mut fields = Fields::of(event)?;
        let happening = Happening::of(&mut fields)?;
        let told = || format!("event {}, {}", happening.seq, happening.kind);
        let drafts = self.drafts(&happening, &mut fields).with_context(told)?;
        let records = drafts.into_iter().enumerate();
        let mut records: Vec<pb::Record> = records
            .map(|(part, draft)| self.envelope(&happening, part, draft))
            .collect();
        for (name, value) in fields.left() {
            self.put(&mut records, name, value).with_context(told)?;
        }
        Ok(records)
    }

    fn drafts(&mut self, at: &Happening<'h>, fields: &mut Fields<'h>) -> Result<Vec<Draft>> {
        match in_the_history(at.kind) {
            "Product" => self.product(fields).map(one),
            "Lot" => self.lot(at, fields),
            "LotQuarantined" => self
                .lot_disposition(fields, pb::Disposition::Quarantined)
                .map(one),
            "LotDestroyed" => self
                .lot_disposition(fields, pb::Disposition::Destroyed)
                .map(one),
            "Apheresis" => self.apheresis(fields).map(one),
            "Transformation" => self.transformation(at, fields).map(one),
            "CoiVerification" => self.coi_verification(at, fields).map(one),
            "Shipment" => self.shipment(fields).map(one),
            "Receipt" => self.receipt(fields).map(one),
            "Administration" => self.administration(fields).map(one),
            "PatientRegistered" => self.patient_registered(fields).map(one),
            "Death" => self.death(fields).map(one),
            "LostToFollowUp" => self.lost(fields).map(one),
            "Found" => self.found(fields).map(one),
            // An event of our own histories: the format has none for it.
            "Transfer" => self.transfer(fields).map(one),
            "ConsentVersion" => self.consent_version(at, fields),
            "ConsentSigned" => self.consent_signed(at, fields).map(one),
            "ConsentDeclined" => self.consent_declined(fields).map(one),
            "Withdrawal" => self.withdrawal(fields).map(one),
            "RiskNotification" => self.risk_notification(fields).map(one),
            "PlanVersion" => self.plan_version(at, fields),
            "LtfuEnrolment" => self.enrolment(fields).map(one),
            "Visit" => self.visit(fields).map(one),
            "Contact" => self.contact(fields).map(one),
            "MonitoringDecision" => self.monitoring_decision(fields).map(one),
            "SampleCollected" => self.sample_collected(fields).map(one),
            "SampleRejected" => follow_up::sample_rejected(fields).map(one),
            "AssayResult" => follow_up::assay_result(at, fields).map(one),
            "AdverseEvent" => self.adverse_event(at, fields).map(one),
            "RiskSignal" => self.risk_signal(fields).map(one),
            "RegulatorCommunication" => self.regulator_communication(at, fields).map(one),
            "Recall" => self.recall(fields).map(one),
            "Correction" => self.correction(fields).map(one),
            other => self.of_the_dictionary(other, at, fields).map(one),
        }
    }

    /// A record of a kind that only the dictionary names. What it says is put in by name.
    fn of_the_dictionary(
        &self,
        kind: &str,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Draft> {
        let known = kind_by_name(kind);
        let known = known.ok_or_else(|| Unsayable::word("kind of event", kind))?;
        let patient = fields.maybe_text("patient")?.unwrap_or_default();
        let own = self.sites.get(patient).copied().unwrap_or(SPONSOR);
        // What is said of a site is not said at it.
        let is_of_site = known
            .kind()
            .as_message()
            .is_some_and(|kind| kind.get_field_by_name("site").is_some());
        let party = if is_of_site {
            own
        } else {
            match fields.maybe_text("site")? {
                Some(code) => Party::by_code(code)?,
                None => own,
            }
        };
        let draft = Draft::new(party, party.actor_roles[0], self.blank(at, &known)?);
        Ok(draft.of_patient(patient).decided())
    }

    fn envelope(&self, at: &Happening<'h>, part: usize, draft: Draft) -> pb::Record {
        let Draft {
            party,
            role,
            patient,
            is_decision,
            gln,
            event_time,
            kind,
        } = draft;
        let meaning = if is_decision {
            pb::SignatureMeaning::Approval
        } else {
            pb::SignatureMeaning::Authorship
        };
        // Supplied: the commitment to the name that an approval shows.
        let printed_name = is_decision.then(|| self.digest(&["printed name", party.actor]));
        pb::Record {
            record_id: self.record_id(at.seq, part),
            schema_version: 1,
            event_time: event_time.unwrap_or_else(|| at.time.to_owned()),
            client_time: at.recorded_at.to_owned(),
            site: gln.unwrap_or_else(|| party.gln.to_owned()),
            site_tz: self.time_zone.to_owned(),
            actor_person: party.actor.to_owned(),
            actor_role: role.into(),
            signature_meaning: meaning.into(),
            printed_name_commitment: printed_name.unwrap_or_default(),
            // Supplied: a history is played as if recorded where and when it happened.
            source_kind: pb::SourceKind::Direct.into(),
            patient,
            reason: at.reason.to_owned(),
            kind: Some(kind),
            ..Default::default()
        }
    }

    /// The id of a record of an event: the same for the same history, a UUID of version 8.
    pub(crate) fn record_id(&self, seq: u64, part: usize) -> String {
        let digest = self.digest(&["record", &seq.to_string(), &part.to_string()]);
        let mut id: [u8; 16] = std::array::from_fn(|at| digest[at]);
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        let hex = format!("{:032x}", u128::from_be_bytes(id));
        let (first, rest) = hex.split_at(8);
        let (second, rest) = rest.split_at(4);
        let (third, rest) = rest.split_at(4);
        let (fourth, last) = rest.split_at(4);
        [first, second, third, fourth, last].join("-")
    }

    /// 32 bytes that stand for something a history does not tell.
    pub(crate) fn digest(&self, of: &[&str]) -> Vec<u8> {
        let mut hasher = Sha256::new();
        for word in ["genetrail history", self.scenario].iter().chain(of) {
            hasher.update(word);
            hasher.update(b"\n");
        }
        hasher.finalize().to_vec()
    }

    /// The site of an event: its own, or else its patient's.
    pub(crate) fn site(&self, fields: &mut Fields<'h>, patient: &str) -> Result<&'static Party> {
        match fields.maybe_text("site")? {
            Some(code) => Party::by_code(code),
            // Supplied: for somebody whom the history has not registered, the sponsor speaks.
            None => Ok(self.sites.get(patient).copied().unwrap_or(SPONSOR)),
        }
    }

    /// The family of a consent version: a history may name the version alone.
    pub(crate) fn family_of(&self, version: &str) -> &'h str {
        // Supplied: a version that nobody recorded is of the history's first family.
        let known = self.families.get(version).or(self.families.values().next());
        known.copied().unwrap_or_default()
    }

    /// A lot by the number that a history names it with.
    pub(crate) fn lot_key(&self, lot: &str, gtin: Option<&str>) -> pb::LotKey {
        let known = self.lots.get(lot).map(|known| known.gtin);
        // Supplied: a lot that nobody registered bears the GTIN of the history's first product.
        let first = self.products.values().flatten().next().copied();
        pb::LotKey {
            gtin: gtin.or(known).or(first).unwrap_or_default().to_owned(),
            lot: lot.to_owned(),
            ..Default::default()
        }
    }
}

/// A history's kind of event for the dictionary's kind of record.
pub(crate) fn in_the_history(kind: &str) -> &str {
    match kind {
        "ProductRegistered" => "Product",
        "LotRegistered" => "Lot",
        "MaterialCollected" => "Apheresis",
        "ShipmentReceived" => "Receipt",
        "FollowUpEnrolment" => "LtfuEnrolment",
        "FollowUpPlanVersion" => "PlanVersion",
        "FollowUpVisit" => "Visit",
        "FollowUpContact" => "Contact",
        "ConsentDocumentVersion" => "ConsentVersion",
        "AssentGiven" => "ConsentSigned",
        "ReconsentDeclined" => "ConsentDeclined",
        "ConsentWithdrawn" => "Withdrawal",
        "RecallOpened" => "Recall",
        other => other,
    }
}

/// What a history calls something, where a record has a name without spaces: the same, or what stands for it.
pub(crate) fn token(words: &str) -> String {
    if words.bytes().all(|byte| byte.is_ascii_graphic()) {
        return words.to_owned();
    }
    let slug = words.split(|c: char| !c.is_ascii_alphanumeric());
    let slug: Vec<&str> = slug.filter(|word| !word.is_empty()).collect();
    if slug.is_empty() {
        // Words without a letter of ours: their hash tells them from others.
        let digest = Sha256::digest(words);
        let first: [u8; 8] = std::array::from_fn(|at| digest[at]);
        return format!("{:016x}", u64::from_be_bytes(first));
    }
    slug.join("-")
}

/// A code of a history's own: it names no code system that it would have to be right in.
pub(crate) fn own_code(system: &str, words: &str) -> pb::Code {
    let spaced: String = words
        .chars()
        .map(|c| if c.is_ascii_punctuation() { ' ' } else { c })
        .collect();
    pb::Code {
        system: format!("https://genetrail.example/{system}"),
        code: token(spaced.trim()).to_lowercase(),
        display: words.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn quantity(value: impl Into<String>, unit: &str) -> pb::Quantity {
    pb::Quantity {
        value: value.into(),
        unit: unit.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn document(sha256: Vec<u8>) -> pb::DocHash {
    pb::DocHash {
        sha256,
        ..Default::default()
    }
}

/// The bytes of a hash; how many there must be is for the ledger to say.
/// What is not hexadecimal stands for itself, and is no hash.
pub(crate) fn sha256_of_hex(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2);
    let byte = |pair| {
        let digits = str::from_utf8(pair)
            .ok()
            .filter(|digits| digits.len() == 2)?;
        u8::from_str_radix(digits, 16).ok()
    };
    let bytes: Option<Vec<u8>> = pairs.map(byte).collect();
    bytes.unwrap_or_else(|| hex.as_bytes().to_vec())
}

/// A code that a history names must be one of the table; a history need not have the table.
fn check_parties(glns: &Value) -> Result<()> {
    for (code, gln) in glns.as_object().into_iter().flatten() {
        ensure!(
            Party::by_code(code)?.gln == gln,
            "{code} has another GLN than in the table"
        );
    }
    Ok(())
}

fn one(draft: Draft) -> Vec<Draft> {
    vec![draft]
}
