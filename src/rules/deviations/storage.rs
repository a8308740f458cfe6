//! Places in a store: which samples were at one, from when to when, and which was put there while another still
//! was. Nothing is known here of boxes and freezers: they hold many.

use std::collections::{BTreeMap, BTreeSet};

use super::{Deviation, had_happened};
use crate::{
    pb::{self, SampleEventKind, record::Kind},
    rules::{
        fact::{Facts, Place, Subject, place, samples},
        flags::codes,
        parts::new_name,
        question::{Question, Seen, put_in_order, seen},
    },
};

/// What puts a sample where another one is.
pub(super) fn taken<F: Facts>(
    facts: &F,
    at: &Place,
    question: &Question,
) -> Result<Vec<Deviation>, F::Error> {
    let about = facts.about(&Subject::Place(Box::new(at.clone())))?;
    let put = seen(&about, question);
    let mut tubes: BTreeMap<String, Tube> = BTreeMap::new();
    for sample in put.iter().flat_map(|fact| put_there(fact)) {
        if tubes.values().all(|tube| !tube.names.contains(sample)) {
            let tube = Tube::of(facts, sample, question)?;
            tubes.entry(tube.name.clone()).or_insert(tube);
        }
    }
    let stays = tubes.values().flat_map(|tube| tube.stays(at));
    let mut stays: Vec<Stay<'_>> = stays.collect();
    stays.sort_by_cached_key(|stay| stay.entered.moment());
    let mut raised = Vec::new();
    for (number, stay) in stays.iter().enumerate() {
        let mut before = stays.iter().take(number);
        if let Some(other) = before.find(|other| other.is_still_there(stay)) {
            let field = match stay.entered.kind() {
                Some(Kind::StorageMoved(_)) => "storage_moved.to_position",
                _ => "sample_event.position",
            };
            let taken = Deviation::new(codes::POSITION_TAKEN, stay.entered, field);
            raised.push(taken.of_sample(stay.sample).shown_by(other.entered));
        }
    }
    Ok(raised)
}

/// The samples that a record tells of that says where they are.
fn put_there(fact: &Seen) -> Vec<&str> {
    match fact.kind() {
        Some(Kind::SampleEvent(event)) => vec![&event.sample_id],
        Some(Kind::StorageMoved(moved)) => samples(&moved.items).collect(),
        _ => Vec::new(),
    }
}

/// A sample, under one name after the other.
struct Tube {
    /// The last one.
    name: String,
    names: BTreeSet<String>,
    /// What happened to it since it bore the first of the names that were asked for.
    facts: Vec<Seen>,
}

/// Where a sample is from then on.
enum Now {
    At(Place),
    /// At no place that is known.
    Elsewhere,
}

impl Now {
    fn of(place: Option<Place>) -> Self {
        place.map_or(Self::Elsewhere, Self::At)
    }
}

/// A sample at a place.
struct Stay<'a> {
    sample: &'a str,
    entered: &'a Seen,
    left: Option<&'a Seen>,
}

impl Stay<'_> {
    /// Whether this sample was there when another came.
    fn is_still_there(&self, other: &Stay<'_>) -> bool {
        self.left
            .is_none_or(|left| !had_happened(left, other.entered))
    }
}

impl Tube {
    fn of<F: Facts>(facts: &F, sample: &str, question: &Question) -> Result<Self, F::Error> {
        let mut tube = Self {
            name: sample.to_owned(),
            names: BTreeSet::new(),
            facts: Vec::new(),
        };
        // Labels that go round in a circle end where they began to repeat.
        while tube.names.insert(tube.name.clone()) {
            let about = facts.about(&Subject::Sample(tube.name.clone()))?;
            let about = seen(&about, question);
            let name = about.iter().rev().find_map(|fact| match fact.kind() {
                Some(Kind::SampleEvent(event)) if event.sample_id == tube.name => new_name(event),
                _ => None,
            });
            if let Some(name) = name {
                tube.name = name.to_owned();
            }
            tube.facts.extend(about);
        }
        tube.facts.sort_by_key(|fact| fact.index);
        tube.facts.dedup_by_key(|fact| fact.index);
        put_in_order(&mut tube.facts);
        Ok(tube)
    }

    /// From when to when it was at a place.
    fn stays<'a>(&'a self, at: &Place) -> Vec<Stay<'a>> {
        let mut stays: Vec<Stay<'a>> = Vec::new();
        let mut is_there = false;
        for fact in &self.facts {
            let Some((sample, now)) = self.moved(fact) else {
                continue;
            };
            let came = matches!(&now, Now::At(place) if place == at);
            let was_there = std::mem::replace(&mut is_there, came);
            if is_there && !was_there {
                stays.push(Stay {
                    sample,
                    entered: fact,
                    left: None,
                });
            } else if was_there
                && !is_there
                && let Some(stay) = stays.last_mut()
            {
                stay.left = Some(fact);
            }
        }
        stays
    }

    /// The name under which a fact tells where this sample is from then on, and where; nothing, if it does not tell.
    fn moved<'a>(&'a self, fact: &'a Seen) -> Option<(&'a str, Now)> {
        let of_this = |items: &'a [pb::Item]| samples(items).find(|one| self.names.contains(*one));
        let gone = |items| Some((of_this(items)?, Now::Elsewhere));
        match fact.kind() {
            Some(Kind::SampleEvent(event)) if self.names.contains(&event.sample_id) => {
                Some((&event.sample_id, after(event, place(&fact.record))?))
            }
            Some(Kind::StorageMoved(moved)) => {
                Some((of_this(&moved.items)?, Now::of(place(&fact.record))))
            }
            Some(Kind::Shipment(shipment)) => gone(&shipment.items),
            Some(Kind::ShipmentReceived(received)) => gone(&received.items),
            Some(Kind::CustodyTransfer(transfer)) => gone(&transfer.items),
            Some(Kind::ProductReturned(returned)) => gone(&returned.items),
            Some(Kind::ProductDestroyed(destroyed)) => gone(&destroyed.items),
            _ => None,
        }
    }
}

/// Where a sample is after an event; nothing, if it stays where it was.
fn after(event: &pb::SampleEvent, said: Option<Place>) -> Option<Now> {
    match event.event() {
        SampleEventKind::Shipped | SampleEventKind::Consumed | SampleEventKind::Destroyed => {
            Some(Now::Elsewhere)
        }
        SampleEventKind::Received
        | SampleEventKind::Stored
        | SampleEventKind::Moved
        | SampleEventKind::Thawed => Some(Now::of(said)),
        SampleEventKind::Rejected
        | SampleEventKind::Aliquoted
        | SampleEventKind::Processed
        | SampleEventKind::Relabelled
        | SampleEventKind::Quarantined
        | SampleEventKind::Unspecified => event.position.is_some().then(|| Now::of(said)),
    }
}
