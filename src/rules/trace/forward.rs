//! From lots and donations to everything that was made from them, to the patients who received it, to their
//! samples, and to what nobody received (R-L1). Who died, withdrew or was lost is there like everybody else.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::{
    about,
    graph::Reached,
    lot::Lot,
    people::{People, Standing, standing},
    stock::Stock,
    why,
};
use crate::{
    pb::{self, AdministrationStatus, Disposition, SampleEventKind, record::Kind},
    record::format::Decimal,
    rules::{
        fact::{Facts, LotId, Material, Subject},
        parts::new_name,
        patient::Patient,
        question::{Question, Seen, put_in_order},
    },
};

/// A lot or a donation of a trace.
#[derive(Debug, Clone)]
pub struct TracedMaterial {
    /// Which it is.
    pub material: Material,
    /// How many steps it is away from where the trace began.
    pub depth: u32,
    /// What it is in the making of a product; unspecified for a donation.
    pub role: pb::LotRole,
    /// Its last good day.
    pub expiry: Option<NaiveDate>,
    /// What has become of it.
    pub state: Disposition,
    /// The steps that lead to it, and what it is.
    pub why: pb::Why,
}

/// Product that a patient received.
#[derive(Debug, Clone)]
pub struct TracedAdministration {
    /// The lot.
    pub lot: LotId,
    /// The patient, as known to the question.
    pub patient: String,
    /// Where, by GLN.
    pub site: String,
    /// The day.
    pub on: NaiveDate,
    /// All of it, a part, or begun and stopped.
    pub status: AdministrationStatus,
    /// How much.
    pub dose: Option<pb::Quantity>,
    /// The chain of identity on the product.
    pub coi: String,
    /// What has become of the patient.
    pub standing: Standing,
    /// The administration, and what says what has become of the patient.
    pub why: pb::Why,
}

/// A sample of a patient who received product.
#[derive(Debug, Clone)]
pub struct TracedSample {
    /// Its id when it was taken.
    pub sample_id: String,
    /// The patient, as known to the question.
    pub patient: String,
    /// When it was taken.
    pub on: NaiveDate,
    /// What it is for.
    pub purposes: Vec<i32>,
    /// What happened to it last; unspecified if nothing did.
    pub last_event: SampleEventKind,
    /// The collection and the last event.
    pub why: pb::Why,
}

/// What is of a lot at a place.
#[derive(Debug, Clone)]
pub struct StockRow {
    /// The lot.
    pub lot: LotId,
    /// The place, by GLN; empty if no record tells.
    pub place: String,
    /// How much is there.
    pub held: Decimal,
    /// In which unit.
    pub unit: String,
    /// Where in its store it is.
    pub position: Option<pb::StoragePosition>,
    /// What has become of the lot.
    pub state: Disposition,
    /// Whether its last good day is over.
    pub is_expired: bool,
    /// How many of its records have an amount that cannot be counted in that unit.
    pub uncounted: u32,
    /// Its registration, the decisions about it, and where it went.
    pub why: pb::Why,
}

/// Where in a trace a part begins or ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    /// How many materials come before, with all their administrations.
    pub material: usize,
    /// How many rows of the next material come before: itself first, then its administrations.
    pub row: usize,
}

/// A part of a trace. Samples stand beside the administrations of their patients, what nobody received beside its
/// lot.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Lots and donations, the nearest first.
    pub materials: Vec<TracedMaterial>,
    /// Who received them: lot by lot, in the order of the day.
    pub administrations: Vec<TracedAdministration>,
    /// Samples of those patients, patient by patient, in the order of the day.
    pub samples: Vec<TracedSample>,
    /// What is left of the lots, and lots of which nobody received anything.
    pub unadministered: Vec<StockRow>,
    /// Where the next part begins, if there is one.
    pub next: Option<Position>,
}

/// The part of a trace that begins at a position, of at most so many materials and administrations together.
pub fn part<F: Facts>(
    facts: &F,
    question: &Question,
    reached: &[Reached],
    from: Position,
    rows: usize,
) -> Result<Part, F::Error> {
    let mut part = Part::default();
    let mut people = People::new(facts, question);
    let mut sampled = BTreeSet::new();
    let mut skip = from.row;
    for (material, reached) in reached.iter().enumerate().skip(from.material) {
        if rows <= part.rows() {
            part.next = Some(Position { material, row: 0 });
            break;
        }
        let Material::Lot(id) = &reached.material else {
            part.materials.push(donation(facts, question, reached)?);
            continue;
        };
        let lot = Lot::of(facts, question, id)?;
        if skip == 0 {
            let stock = lot.stock();
            part.materials.push(traced(&lot, &stock, reached));
            part.unadministered.extend(unadministered(&lot, &stock));
            skip = 1;
        }
        let mut given = lot.given().skip(skip.saturating_sub(1));
        let room = rows.saturating_sub(part.rows());
        for (fact, administration) in given.by_ref().take(room) {
            let row = administered(&mut people, id, fact, administration)?;
            if sampled.insert(row.patient.clone()) {
                let patient = people.patient(&row.patient)?;
                part.samples.extend(samples(facts, question, &patient)?);
            }
            part.administrations.push(row);
        }
        if given.next().is_some() {
            let row = skip.saturating_add(room);
            part.next = Some(Position { material, row });
            break;
        }
        skip = 0;
    }
    Ok(part)
}

impl Part {
    fn rows(&self) -> usize {
        self.materials
            .len()
            .saturating_add(self.administrations.len())
    }
}

/// A donation of a trace.
pub(super) fn donation<F: Facts>(
    facts: &F,
    question: &Question,
    reached: &Reached,
) -> Result<TracedMaterial, F::Error> {
    let collected = match &reached.material {
        Material::Donation(din) => about(facts, question, &Subject::Donation(din.clone()))?,
        Material::Lot(_) => Vec::new(),
    };
    Ok(TracedMaterial {
        material: reached.material.clone(),
        depth: reached.depth,
        role: pb::LotRole::Unspecified,
        expiry: None,
        state: Disposition::Unspecified,
        why: why("R-L1", reached.by.iter().chain(&collected), ""),
    })
}

/// A lot of a trace.
pub(super) fn traced(lot: &Lot, stock: &Stock, reached: &Reached) -> TracedMaterial {
    let registered = lot.registered();
    let decided = lot.decided().map(|(fact, _)| fact);
    let facts = registered.map(|(fact, _)| fact).into_iter().chain(decided);
    TracedMaterial {
        material: reached.material.clone(),
        depth: reached.depth,
        role: registered.map_or(pb::LotRole::Unspecified, |(_, lot)| lot.role()),
        expiry: lot.expiry(),
        state: lot.state(stock),
        why: why("R-L1", reached.by.iter().chain(facts), ""),
    }
}

/// One administration of a lot.
pub(super) fn administered<F: Facts>(
    people: &mut People<'_, F>,
    lot: &LotId,
    fact: &Seen,
    administration: &pb::Administration,
) -> Result<TracedAdministration, F::Error> {
    let id = people.whose(fact)?;
    let patient = people.patient(&id)?;
    let (standing, said) = standing(&patient);
    Ok(TracedAdministration {
        lot: lot.clone(),
        patient: id,
        site: fact.record.site.clone(),
        on: fact.on,
        status: administration.status(),
        dose: administration.dose_actual.clone(),
        coi: administration.coi.clone(),
        standing,
        why: why("R-L1", std::iter::once(fact).chain(said), ""),
    })
}

/// What is there of a lot that nobody received: at each place; of a lot of which nobody received anything and
/// nothing is left, at the last.
fn unadministered(lot: &Lot, stock: &Stock) -> Vec<StockRow> {
    let is_unadministered = lot.is_unadministered();
    let rows = stock_rows(lot, stock).into_iter();
    rows.filter(|row| is_unadministered || row.held.is_positive())
        .collect()
}

/// Where a lot is: one row for each place.
pub fn stock_rows(lot: &Lot, stock: &Stock) -> Vec<StockRow> {
    let state = lot.state(stock);
    let facts = lot.moves.iter().chain(&lot.steps);
    let registered = lot.registered().map(|(fact, _)| fact);
    let decided = lot.decided().map(|(fact, _)| fact);
    let why = why("R-L3", facts.chain(registered).chain(decided), "");
    let places = stock.places().into_iter();
    let row = |(place, held): (&str, Decimal)| StockRow {
        lot: lot.id.clone(),
        place: place.to_owned(),
        held,
        unit: stock.unit.clone(),
        position: stock.positions.get(place).cloned(),
        state: if stock.is_only_returned(place) {
            Disposition::Returned
        } else {
            state
        },
        is_expired: lot.is_expired(),
        uncounted: stock.uncounted,
        why: why.clone(),
    };
    places.map(row).collect()
}

/// The samples of a patient.
fn samples<F: Facts>(
    facts: &F,
    question: &Question,
    patient: &Patient,
) -> Result<Vec<TracedSample>, F::Error> {
    let mut samples = Vec::new();
    for (collected, sample) in patient.of_kind(pick!(SampleCollected)) {
        let events = sample_events(facts, question, &sample.sample_id)?;
        let last = events.last();
        let last_event = match last.and_then(|fact| fact.kind()) {
            Some(Kind::SampleEvent(event)) => event.event(),
            _ => SampleEventKind::Unspecified,
        };
        let facts = std::iter::once(collected).chain(last);
        samples.push(TracedSample {
            sample_id: sample.sample_id.clone(),
            patient: patient.id.clone(),
            on: collected.on,
            purposes: sample.purposes.clone(),
            last_event,
            why: why("R-L1", facts, ""),
        });
    }
    Ok(samples)
}

/// What happened to a sample, under each label that it bore, in its order.
fn sample_events<F: Facts>(
    facts: &F,
    question: &Question,
    sample_id: &str,
) -> Result<Vec<Seen>, F::Error> {
    let mut labels = BTreeSet::from([sample_id.to_owned()]);
    let mut open = vec![sample_id.to_owned()];
    let mut events = Vec::new();
    while let Some(label) = open.pop() {
        for fact in about(facts, question, &Subject::Sample(label.clone()))? {
            let Some(Kind::SampleEvent(event)) = fact.kind() else {
                continue;
            };
            if event.sample_id != label {
                continue;
            }
            if let Some(new) = new_name(event)
                && labels.insert(new.to_owned())
            {
                open.push(new.to_owned());
            }
            events.push(fact);
        }
    }
    put_in_order(&mut events);
    Ok(events)
}
