//! An entry as the rules see it: a fact, with the day on which it happened, and the subjects it is about.
//! Who asks about a subject gets exactly the facts that name it; how they are found is not known here.

use std::{collections::BTreeSet, mem::discriminant, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use prost::Message as _;

use crate::{
    pb::{self, EventPrecision, record::Kind},
    record::{
        entry::{EntryRejected, EntryView},
        format::EventTime,
    },
    tlog::{Index, TreeSize},
};

/// A record that was accepted: where it stands in the log, when, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Its entry.
    pub index: Index,
    /// When the ledger took it in.
    pub recorded_at: DateTime<Utc>,
    /// Who submitted it.
    pub actor: String,
    /// The civil day, in the time zone of the site, on which it happened; of a time known to the month or the
    /// year, its first day.
    pub on: NaiveDate,
    /// What was submitted.
    pub record: pb::Record,
    /// Of a correction: the entry of the record that takes the place of its target, where that is on record. Nothing
    /// that was submitted, and nothing that the entry says: whoever keeps facts looks it up, see
    /// [`with_replacements`].
    pub replacement: Option<Index>,
}

/// Why an entry is not a fact. An accepted entry always is one.
#[derive(Debug, thiserror::Error)]
pub enum FactRejected {
    /// The entry's bytes.
    #[error("the entry cannot be read")]
    Entry(#[source] EntryRejected),
    /// The record's bytes.
    #[error("the record cannot be read")]
    Record(#[source] prost::DecodeError),
    /// The record's time.
    #[error("the record does not say when it happened")]
    EventTime,
}

impl Fact {
    /// Reads the fact of an entry's bytes.
    pub fn read(entry: &[u8]) -> Result<Self, FactRejected> {
        let view = EntryView::parse(entry).map_err(FactRejected::Entry)?;
        let record = pb::Record::decode(view.record).map_err(FactRejected::Record)?;
        let fact = Self::of(view.index, view.recorded_at.to_utc(), view.actor, record);
        fact.ok_or(FactRejected::EventTime)
    }

    /// The fact of a record as it stands in its entry; `None` if it does not say when it happened, as an accepted one does.
    pub fn of(
        index: Index,
        recorded_at: DateTime<Utc>,
        actor: &str,
        record: pb::Record,
    ) -> Option<Self> {
        Some(Self {
            index,
            recorded_at,
            actor: actor.to_owned(),
            on: event_day(&record)?,
            record,
            replacement: None,
        })
    }

    /// When it happened, among other facts: the day, the instant where it is known, and the place in the log.
    ///
    /// A fact that is known to the day only, whether or not an hour is written, comes before those of the day that are
    /// known to the instant, as a day stands for its beginning. So any two facts have one order, whatever else is there.
    pub fn moment(&self) -> (NaiveDate, Option<DateTime<Utc>>, Index) {
        let instant = match self.record.event_precision() {
            EventPrecision::Year | EventPrecision::Month | EventPrecision::Day => None,
            EventPrecision::Unspecified | EventPrecision::Minute | EventPrecision::Second => {
                match EventTime::parse(&self.record.event_time) {
                    Ok(EventTime::Instant(instant)) => Some(instant.date_time().to_utc()),
                    Ok(EventTime::Date(_)) | Err(_) => None,
                }
            }
        };
        (self.on, instant, self.index)
    }

    /// What kind of record it is; an accepted record has one.
    pub fn kind(&self) -> Option<&Kind> {
        self.record.kind.as_ref()
    }
}

/// The civil day of a record's `event_time`: in the zone of its site, or as written where it names no zone.
pub fn event_day(record: &pb::Record) -> Option<NaiveDate> {
    civil_day(&record.event_time, record.site_tz.parse().ok())
}

/// The civil day of a time in a zone.
pub fn civil_day(text: &str, zone: Option<Tz>) -> Option<NaiveDate> {
    Some(match EventTime::parse(text).ok()? {
        EventTime::Date(date) => date.first_day(),
        EventTime::Instant(instant) => match zone {
            Some(zone) => instant.date_time().with_timezone(&zone).date_naive(),
            None => instant.date_time().date_naive(),
        },
    })
}

/// What facts are about. Each subject's facts are asked for together, so a subject is as narrow as a question.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Products, plans, consent versions, methods, organisations, signals, recalls, decisions about a product:
    /// what is said once and holds for many.
    Catalogue,
    /// A patient, by pseudonym.
    Patient(String),
    /// What a lot is and what it was made of: registration, dispositions, excursions, the steps that made it.
    Lot(LotId),
    /// The steps that a lot or a donation went into.
    MadeOf(Material),
    /// Where a lot went: shipments, receipts, returns, destructions, administrations.
    Stock(LotId),
    /// A collected material, by its donation number.
    Donation(String),
    /// A chain of identity.
    Coi(String),
    /// A sample.
    Sample(String),
    /// A safety case.
    Case(String),
    /// A consignment, by its SSCC.
    Consignment(String),
    /// The identity commitment of a patient.
    Identity(Vec<u8>),
    /// A trace code of a unit.
    TraceCode(String),
    /// A place in a store. Boxed: it is three times as large as any other, and subjects are sorted by the dozen.
    Place(Box<Place>),
}

/// A lot: its GTIN and its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LotId {
    /// The GTIN-14.
    pub gtin: String,
    /// The lot number.
    pub lot: String,
}

/// A place in a store that holds one sample: its site, and every part of its position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The GLN of the site.
    pub site: String,
    /// The room or facility.
    pub facility: String,
    /// The freezer, tank or refrigerator.
    pub unit: String,
    /// The rack in it.
    pub rack: String,
    /// The box in the rack.
    pub box_id: String,
    /// The spot in the box; never empty.
    pub spot: String,
}

/// What goes into a step of manufacture.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Material {
    /// A lot.
    Lot(LotId),
    /// A donation, by its number.
    Donation(String),
}

impl From<&pb::LotKey> for LotId {
    fn from(key: &pb::LotKey) -> Self {
        Self {
            gtin: key.gtin.clone(),
            lot: key.lot.clone(),
        }
    }
}

impl From<&pb::LotRegistered> for LotId {
    fn from(lot: &pb::LotRegistered) -> Self {
        Self {
            gtin: lot.gtin.clone(),
            lot: lot.lot.clone(),
        }
    }
}

/// The place in a store where a record says that samples are from then on. A room, a freezer or a box holds many
/// samples: what is known no further is not a place.
pub fn place(record: &pb::Record) -> Option<Place> {
    let position = match &record.kind {
        Some(Kind::SampleEvent(event)) => event.position.as_ref()?,
        Some(Kind::StorageMoved(moved)) => moved.to_position.as_ref()?,
        _ => return None,
    };
    let pb::StoragePosition {
        facility,
        unit,
        rack,
        box_id,
        place: spot,
    } = position.clone();
    (!spot.is_empty()).then(|| Place {
        site: record.site.clone(),
        facility,
        unit,
        rack,
        box_id,
        spot,
    })
}

/// The samples among some items.
pub fn samples(items: &[pb::Item]) -> impl Iterator<Item = &str> {
    items.iter().filter_map(|item| match item.what.as_ref()? {
        pb::item::What::SampleId(sample) => Some(sample.as_str()),
        pb::item::What::Lot(_) | pb::item::What::Din(_) => None,
    })
}

/// What an item of a step or a consignment is, if it is a lot or a donation.
pub fn material(item: &pb::Item) -> Option<Material> {
    use pb::item::What;
    match item.what.as_ref()? {
        What::Lot(lot) => Some(Material::Lot(lot.into())),
        What::Din(din) => Some(Material::Donation(din.number.clone())),
        What::SampleId(_) => None,
    }
}

/// The subjects that a record is about. A correction is about its target's as well: whoever keeps facts by
/// subject adds them, see [`corrected`].
pub fn subjects(record: &pb::Record) -> BTreeSet<Subject> {
    let mut subjects = Subjects(BTreeSet::new());
    subjects.patient(&record.patient);
    if let Some(kind) = &record.kind {
        of_kind(kind, &mut subjects);
    }
    let held = subjects
        .0
        .iter()
        .any(|one| matches!(one, Subject::Sample(_)));
    if let Some(place) = place(record).filter(|_| held) {
        subjects.add(Subject::Place(Box::new(place)));
    }
    subjects.0
}

/// The record id that a correction or a second signature is about.
pub fn corrected(record: &pb::Record) -> Option<&str> {
    match &record.kind {
        Some(Kind::Correction(correction)) => Some(&correction.target),
        Some(Kind::Countersigned(signed)) => Some(&signed.target),
        _ => None,
    }
}

struct Subjects(BTreeSet<Subject>);

impl Subjects {
    fn add(&mut self, subject: Subject) {
        self.0.insert(subject);
    }

    fn patient(&mut self, patient: &str) {
        self.text(patient, Subject::Patient);
    }

    fn text(&mut self, text: &str, subject: fn(String) -> Subject) {
        if !text.is_empty() {
            self.add(subject(text.to_owned()));
        }
    }

    fn lot(&mut self, key: Option<&pb::LotKey>, subject: fn(LotId) -> Subject) {
        if let Some(key) = key {
            self.add(subject(key.into()));
        }
    }

    /// What goes somewhere: lots move, samples have a history of their own.
    fn items(&mut self, items: &[pb::Item], lot: fn(LotId) -> Subject) {
        for item in items {
            match &item.what {
                Some(pb::item::What::Lot(key)) => self.add(lot(key.into())),
                Some(pb::item::What::Din(din)) => self.text(&din.number, Subject::Donation),
                Some(pb::item::What::SampleId(sample)) => self.text(sample, Subject::Sample),
                None => {}
            }
        }
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "one arm for each kind; splitting it would hide the list"
)]
fn of_kind(kind: &Kind, subjects: &mut Subjects) {
    match kind {
        Kind::OrganisationRegistered(_)
        | Kind::ActorRegistered(_)
        | Kind::RoleChanged(_)
        | Kind::DelegationGranted(_)
        | Kind::ProductRegistered(_)
        | Kind::ConsentDocumentVersion(_)
        | Kind::ConsentVersionActivated(_)
        | Kind::FollowUpPlanVersion(_)
        | Kind::PlanActivated(_)
        | Kind::AssayMethodVersion(_)
        | Kind::RiskSignal(_)
        | Kind::SignalDecision(_)
        | Kind::RegulatorCommunication(_)
        | Kind::RecallOpened(_)
        | Kind::RecallNotice(_)
        | Kind::RecallAcknowledged(_)
        | Kind::RecallClosed(_) => subjects.add(Subject::Catalogue),
        Kind::RegulatoryReport(report) => {
            subjects.add(Subject::Catalogue);
            subjects.text(&report.case_id, Subject::Case);
        }
        // A decision about one patient is that patient's; any other holds for a product or a cohort.
        Kind::MonitoringDecision(_) => {
            if subjects.0.is_empty() {
                subjects.add(Subject::Catalogue);
            }
        }
        Kind::LotRegistered(lot) => {
            subjects.add(Subject::Lot(lot.into()));
            subjects.patient(&lot.intended_patient);
            subjects.text(&lot.coi, Subject::Coi);
            // The donations in it are what it was made of, whether or not a step says so.
            for din in &lot.dins {
                subjects.add(Subject::MadeOf(Material::Donation(din.number.clone())));
            }
            for code in &lot.nmpa_trace_codes {
                subjects.text(code, Subject::TraceCode);
            }
        }
        Kind::LotDisposition(disposition) => {
            subjects.lot(disposition.lot.as_ref(), Subject::Lot);
        }
        Kind::MaterialCollected(material) => {
            subjects.patient(&material.donor);
            subjects.text(&material.coi, Subject::Coi);
            if let Some(din) = &material.din {
                subjects.text(&din.number, Subject::Donation);
            }
        }
        Kind::Transformation(step) => {
            subjects.text(&step.coi, Subject::Coi);
            for input in step.inputs.iter().filter_map(material) {
                subjects.add(Subject::MadeOf(input));
            }
            subjects.items(&step.outputs, Subject::Lot);
        }
        Kind::CoiAssigned(assigned) => {
            subjects.text(&assigned.coi, Subject::Coi);
            for lot in &assigned.lots {
                subjects.add(Subject::Lot(lot.into()));
            }
        }
        Kind::CoiVerification(verification) => {
            subjects.text(&verification.coi, Subject::Coi);
            subjects.lot(verification.lot.as_ref(), Subject::Lot);
        }
        Kind::Shipment(shipment) => {
            subjects.text(&shipment.sscc, Subject::Consignment);
            subjects.items(&shipment.items, Subject::Stock);
        }
        Kind::ShipmentReceived(received) => {
            subjects.text(&received.sscc, Subject::Consignment);
            subjects.items(&received.items, Subject::Stock);
        }
        Kind::CustodyTransfer(transfer) => subjects.items(&transfer.items, Subject::Stock),
        Kind::StorageMoved(moved) => subjects.items(&moved.items, Subject::Stock),
        Kind::Excursion(excursion) => subjects.items(&excursion.items, Subject::Lot),
        Kind::ProductReturned(returned) => {
            subjects.text(&returned.sscc, Subject::Consignment);
            subjects.items(&returned.items, Subject::Stock);
        }
        Kind::ProductDestroyed(destroyed) => subjects.items(&destroyed.items, Subject::Stock),
        Kind::PatientRegistered(patient) => {
            if !patient.identity_commitment.is_empty() {
                subjects.add(Subject::Identity(patient.identity_commitment.clone()));
            }
        }
        Kind::PatientMerged(merged) => subjects.patient(&merged.merged_patient),
        Kind::PatientSplit(split) => subjects.patient(&split.split_patient),
        Kind::Administration(administration) => {
            subjects.lot(administration.lot.as_ref(), Subject::Stock);
            subjects.text(&administration.coi, Subject::Coi);
        }
        Kind::SampleCollected(sample) => subjects.text(&sample.sample_id, Subject::Sample),
        Kind::SampleEvent(event) => {
            subjects.text(&event.sample_id, Subject::Sample);
            subjects.text(&event.new_sample_id, Subject::Sample);
            for aliquot in &event.aliquots {
                subjects.text(&aliquot.sample_id, Subject::Sample);
            }
        }
        Kind::AssayResult(result) => subjects.text(&result.sample_id, Subject::Sample),
        Kind::AdverseEvent(event) => subjects.text(&event.case_id, Subject::Case),
        Kind::CausalityAssessment(assessment) => subjects.text(&assessment.case_id, Subject::Case),
        Kind::Genesis(_)
        | Kind::KeyRegistered(_)
        | Kind::KeyRotated(_)
        | Kind::KeyRevoked(_)
        | Kind::PatientStatus(_)
        | Kind::ConsentSigned(_)
        | Kind::ConsentDeclined(_)
        | Kind::ConsentWithdrawn(_)
        | Kind::RiskNotification(_)
        | Kind::FollowUpEnrolment(_)
        | Kind::FollowUpVisit(_)
        | Kind::FollowUpContact(_)
        | Kind::SamplingWaiver(_)
        | Kind::PregnancyOutcome(_)
        | Kind::Correction(_)
        | Kind::Countersigned(_)
        | Kind::LogCustodyTransferred(_)
        | Kind::AlgorithmMigrated(_)
        | Kind::ClockEvent(_)
        | Kind::SystemConfigChanged(_)
        | Kind::DocumentRegistered(_) => {}
    }
}

/// Whether a record of this kind tells how a patient stands: who it is, what was given, what was consented to,
/// whether and by which plan the patient is followed. Not what was seen of the patient since.
pub const fn tells_standing(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::PatientRegistered(_)
            | Kind::PatientStatus(_)
            | Kind::PatientMerged(_)
            | Kind::PatientSplit(_)
            | Kind::Administration(_)
            | Kind::ConsentSigned(_)
            | Kind::ConsentDeclined(_)
            | Kind::ConsentWithdrawn(_)
            | Kind::RiskNotification(_)
            | Kind::FollowUpEnrolment(_)
            | Kind::MonitoringDecision(_)
    )
}

/// Where facts are kept by subject.
pub trait Facts {
    /// Why facts could not be had.
    type Error;

    /// All facts about a subject, in the order of the log; corrections of such facts among them, each with its
    /// replacement.
    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, Self::Error>;

    /// How many facts there are about a subject in the tree of this size, where that is known without reading them
    /// and no more can come to be in it: as many are the same ones.
    fn count(&self, _subject: &Subject, _size: TreeSize) -> Result<Option<usize>, Self::Error> {
        Ok(None)
    }

    /// Of the facts about a patient those that tell how the patient stands ([`tells_standing`]), in the order of the
    /// log; their corrections among them. A patient's other facts are many more: whoever can do without them asks
    /// here.
    fn standing(&self, patient: &str) -> Result<Vec<Arc<Fact>>, Self::Error> {
        let mut facts = self.about(&Subject::Patient(patient.to_owned()))?;
        facts.retain(|fact| {
            corrected(&fact.record).is_some() || fact.kind().is_some_and(tells_standing)
        });
        Ok(facts)
    }
}

/// Where a fact is had by the id of its record.
pub trait Records: Facts {
    /// The fact whose record has this id; a correction does not change it.
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, Self::Error>;
}

/// The record that a correction puts in the place of its target, where it is on record: one of the same kind. What
/// was named before it came may turn out to be of another, and takes no place then.
pub fn replacement<R: Records>(records: &R, by: &Fact) -> Result<Option<Arc<Fact>>, R::Error> {
    let Some(Kind::Correction(correction)) = by.kind() else {
        return Ok(None);
    };
    if correction.replacement.is_empty() {
        return Ok(None);
    }
    let Some(replacement) = records.record(&correction.replacement)? else {
        return Ok(None);
    };
    let target = records.record(&correction.target)?;
    let same = target.is_some_and(|target| {
        target.kind().map(discriminant) == replacement.kind().map(discriminant)
    });
    Ok(same.then_some(replacement))
}

/// Facts about a subject, each correction among them with its replacement: that may be about something else, and may
/// have come later.
pub fn with_replacements<R: Records>(
    records: &R,
    mut facts: Vec<Arc<Fact>>,
) -> Result<Vec<Arc<Fact>>, R::Error> {
    for fact in &mut facts {
        if let Some(replacement) = replacement(records, fact)? {
            *fact = Arc::new(Fact {
                replacement: Some(replacement.index),
                ..Fact::clone(fact)
            });
        }
    }
    Ok(facts)
}

#[cfg(test)]
impl Fact {
    /// A fact for a test: told of a patient at a time, as `R-` and its index.
    pub(in crate::rules) fn told(index: u64, event_time: &str, patient: &str, kind: Kind) -> Self {
        let record = pb::Record {
            record_id: format!("R-{index}"),
            event_time: event_time.to_owned(),
            patient: patient.to_owned(),
            kind: Some(kind),
            ..pb::Record::default()
        };
        Self::of_record(index, record)
    }

    /// A fact for a test: a record as it is.
    pub(in crate::rules) fn of_record(index: u64, record: pb::Record) -> Self {
        Self {
            index: Index::new(index),
            recorded_at: DateTime::default(),
            actor: "A".to_owned(),
            on: event_day(&record).unwrap(),
            record,
            replacement: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_where_samples_are_and_where_its_record_names_it() {
        use pb::item::What;
        let told_at = |place: &str, what: What| {
            let position = pb::StoragePosition {
                place: place.to_owned(),
                ..pb::StoragePosition::default()
            };
            let item = pb::Item {
                what: Some(what),
                ..pb::Item::default()
            };
            let moved = pb::StorageMoved {
                items: vec![item],
                to_position: Some(position),
                ..pb::StorageMoved::default()
            };
            let fact = Fact::told(0, "2026-01-05", "", Kind::StorageMoved(moved));
            let about = subjects(&fact.record);
            about.iter().any(|one| matches!(one, Subject::Place(_)))
        };
        let sample = || What::SampleId("S".to_owned());
        assert!(told_at("A1", sample()));
        assert!(!told_at("", sample()));
        assert!(!told_at("A1", What::Lot(pb::LotKey::default())));
    }

    #[test]
    fn a_correction_and_a_second_signature_are_about_their_target() {
        let target = || "11111111-1111-4111-8111-111111111111".to_owned();
        let correction = pb::Correction {
            target: target(),
            ..pb::Correction::default()
        };
        let signed = pb::Countersigned {
            target: target(),
            ..pb::Countersigned::default()
        };
        let visit = Kind::FollowUpVisit(pb::FollowUpVisit::default());
        for (kind, expected) in [
            (Kind::Correction(correction), Some(target())),
            (Kind::Countersigned(signed), Some(target())),
            (visit, None),
        ] {
            let record = pb::Record {
                kind: Some(kind),
                ..pb::Record::default()
            };
            assert_eq!(corrected(&record), expected.as_deref());
        }
    }
}
