//! Back from a sample: through its aliquots and labels to the collection, to the patient, to what the patient had
//! received by then, and to everything that was made from (R-L1).

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{
    about,
    forward::{TracedAdministration, administered},
    graph::{Reached, Way, walk},
    people::People,
    why,
};
use crate::{
    pb::{self, SampleEventKind, record::Kind},
    record::kind_name,
    rules::{
        fact::{Facts, LotId, Material, Subject},
        question::{Question, Seen},
    },
};

/// Where a sample came from, and what became of it.
#[derive(Debug, Clone)]
pub struct SampleTrace {
    /// The patient, as known to the question; empty if no record tells.
    pub patient: String,
    /// The sample as it was collected, then its aliquots and new labels, the older first.
    pub samples: Vec<TracedTube>,
    /// What the patient had received by the day of collection, in the order of the day.
    pub administrations: Vec<TracedAdministration>,
    /// The given lots and what they were made from, the nearest first.
    pub materials: Vec<Reached>,
}

/// One tube of a sample.
#[derive(Debug, Clone)]
pub struct TracedTube {
    /// Its id.
    pub sample_id: String,
    /// The tube that it came from: the sample that was divided, or the id that it had before. Empty for the
    /// sample as it was collected.
    pub from: String,
    /// What happened to it, in the order of the day.
    pub happenings: Vec<Happening>,
}

/// Something that happened to a sample.
#[derive(Debug, Clone)]
pub struct Happening {
    /// The day.
    pub on: NaiveDate,
    /// The kind of the record: `sample_collected`, `sample_event`, `assay_result`.
    pub kind: &'static str,
    /// What happened, of a sample event.
    pub event: SampleEventKind,
    /// Where, by GLN.
    pub site: String,
    /// The record.
    pub why: pb::Why,
}

/// Traces a sample by any of its ids. None if nothing is known of it.
pub fn trace_sample<F: Facts>(
    facts: &F,
    question: &Question,
    sample_id: &str,
) -> Result<Option<SampleTrace>, F::Error> {
    let tubes = tubes(facts, question, sample_id)?;
    if tubes.values().all(|tube| tube.facts.is_empty()) {
        return Ok(None);
    }
    let mut people = People::new(facts, question);
    let collected = tubes.values().flat_map(|tube| &tube.facts).find(|fact| {
        matches!(fact.kind(), Some(Kind::SampleCollected(_))) && !fact.record.patient.is_empty()
    });
    let mut trace = SampleTrace {
        patient: String::new(),
        samples: in_order(&tubes),
        administrations: Vec::new(),
        materials: Vec::new(),
    };
    let Some(collected) = collected else {
        return Ok(Some(trace));
    };
    trace.patient = people.whose(collected)?;
    let patient = people.patient(&trace.patient)?;
    let mut lots = BTreeSet::new();
    for (fact, administration) in patient.given().filter(|(fact, _)| fact.on <= collected.on) {
        if let Some(key) = &administration.lot {
            let lot = LotId::from(key);
            let row = administered(&mut people, &lot, fact, administration)?;
            trace.administrations.push(row);
            lots.insert(Material::Lot(lot));
        }
    }
    trace.materials = walk(facts, question, lots, Way::Ancestors)?;
    Ok(Some(trace))
}

#[derive(Debug, Default)]
struct Tube {
    from: String,
    facts: Vec<Seen>,
}

/// All tubes that hang together with one, by their ids.
fn tubes<F: Facts>(
    facts: &F,
    question: &Question,
    sample_id: &str,
) -> Result<BTreeMap<String, Tube>, F::Error> {
    let mut tubes: BTreeMap<String, Tube> = BTreeMap::new();
    let mut open = vec![sample_id.to_owned()];
    while let Some(id) = open.pop() {
        if tubes.contains_key(&id) {
            continue;
        }
        let mut tube = Tube::default();
        for fact in about(facts, question, &Subject::Sample(id.clone()))? {
            let Some(Kind::SampleEvent(event)) = fact.kind() else {
                tube.facts.push(fact);
                continue;
            };
            let parts = parts_of(event);
            if event.sample_id == id {
                open.extend(parts.iter().map(ToString::to_string));
            } else if parts.contains(&id.as_str()) {
                tube.from.clone_from(&event.sample_id);
                open.push(event.sample_id.clone());
            }
            tube.facts.push(fact);
        }
        tubes.insert(id, tube);
    }
    Ok(tubes)
}

/// The ids that an event gives to parts of a sample, or to all of it.
fn parts_of(event: &pb::SampleEvent) -> Vec<&str> {
    let aliquots = event
        .aliquots
        .iter()
        .map(|aliquot| aliquot.sample_id.as_str());
    let renamed = Some(event.new_sample_id.as_str()).filter(|id| !id.is_empty());
    aliquots.chain(renamed).collect()
}

/// The tubes, each after the one that it came from.
fn in_order(tubes: &BTreeMap<String, Tube>) -> Vec<TracedTube> {
    let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, tube) in tubes {
        parts.entry(&tube.from).or_default().push(id);
    }
    let mut ordered: Vec<&str> = Vec::new();
    let mut done = BTreeSet::new();
    // Labels that go round in a circle have no first; they follow in the order of their ids.
    let firsts = parts.get("").into_iter().flatten().copied();
    for first in firsts.chain(tubes.keys().map(String::as_str)) {
        let mut open = std::collections::VecDeque::from([first]);
        while let Some(id) = open.pop_front() {
            if done.insert(id) {
                ordered.push(id);
                open.extend(parts.get(id).into_iter().flatten());
            }
        }
    }
    let traced = |id: &str| {
        let tube = tubes.get(id)?;
        Some(TracedTube {
            sample_id: id.to_owned(),
            from: tube.from.clone(),
            happenings: tube.facts.iter().filter_map(happening).collect(),
        })
    };
    ordered.into_iter().filter_map(traced).collect()
}

fn happening(fact: &Seen) -> Option<Happening> {
    let kind = fact.kind()?;
    Some(Happening {
        on: fact.on,
        kind: kind_name(kind),
        event: if let Kind::SampleEvent(event) = kind {
            event.event()
        } else {
            SampleEventKind::Unspecified
        },
        site: fact.record.site.clone(),
        why: why("R-L1", [fact], ""),
    })
}
