//! What a patient's samples were divided into, and what they are called since: from a tube to the collection that it
//! came from. What was done with a sample is not known here.

use std::collections::{BTreeMap, BTreeSet};

use super::{patient::Patient, question::Seen};
use crate::pb::{self, SampleEventKind};

/// A patient's samples, what was divided off them, and what they are called since.
#[derive(Debug)]
pub struct Parts<'a> {
    collections: BTreeMap<&'a str, (&'a Seen, &'a pb::SampleCollected)>,
    came_from: BTreeMap<&'a str, &'a str>,
    called_otherwise: BTreeSet<&'a str>,
}

impl<'a> Parts<'a> {
    /// The samples of a patient.
    pub fn of(patient: &'a Patient) -> Self {
        let mut parts = Self {
            collections: BTreeMap::new(),
            came_from: BTreeMap::new(),
            called_otherwise: BTreeSet::new(),
        };
        for (fact, sample) in patient.of_kind(pick!(SampleCollected)) {
            let first = parts.collections.entry(&sample.sample_id);
            first.or_insert((fact, sample));
        }
        for (_, event) in patient.of_kind(pick!(SampleEvent)) {
            for aliquot in &event.aliquots {
                parts.came_from.insert(&aliquot.sample_id, &event.sample_id);
            }
            if let Some(new) = new_name(event) {
                parts.came_from.insert(new, &event.sample_id);
                parts.called_otherwise.insert(&event.sample_id);
            }
        }
        parts
    }

    /// The collection of a sample, or of the one that it came from.
    pub fn collection(&self, sample: &str) -> Option<(&'a Seen, &'a pb::SampleCollected)> {
        let mut sample = sample;
        // What came from itself by some mistake was never collected.
        for _ in 0..=self.came_from.len() {
            if let Some(taken) = self.collections.get(sample) {
                return Some(*taken);
            }
            sample = self.came_from.get(sample)?;
        }
        None
    }

    /// What there is of the samples under its present name, with the collection that it came from.
    pub fn kept(&self) -> impl Iterator<Item = (&'a str, &'a Seen)> {
        let names = self.collections.keys().chain(self.came_from.keys());
        let present = names.filter(|name| !self.called_otherwise.contains(*name));
        present.filter_map(|name| Some((*name, self.collection(name)?.0)))
    }
}

/// What a sample is called from an event on, if that gives it another name.
pub fn new_name(event: &pb::SampleEvent) -> Option<&str> {
    let is_relabelled = event.event() == SampleEventKind::Relabelled;
    (is_relabelled && !event.new_sample_id.is_empty()).then_some(&event.new_sample_id)
}
