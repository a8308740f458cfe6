//! A patient's samples and their results, as known: which collections count, and what was found on them. What
//! they are due for is not known here.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use crate::{
    pb::{self, Finding, SamplePurpose, record::Kind},
    rules::{
        parts::{Parts, new_name},
        patient::Patient,
        question::Seen,
    },
};

/// A patient's samples and results.
#[derive(Debug)]
pub struct Specimens<'a> {
    /// The collections that are not rejected (R-S2), in the order of the day.
    pub collected: Vec<(&'a Seen, &'a pb::SampleCollected)>,
    /// The collections that are, with what says so.
    pub rejected: Vec<(&'a Seen, &'a pb::SampleCollected, &'a Seen)>,
    /// The results that stand: none took their place, and the run counts. In the order of issue.
    pub results: Vec<Outcome<'a>>,
}

/// A result with the sample that it was had on.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// What says so; its day is the day of issue.
    pub fact: &'a Seen,
    /// The result.
    pub result: &'a pb::AssayResult,
    /// The sample, or the one that it is a part of, where its collection is known.
    pub sample: Option<(&'a Seen, &'a pb::SampleCollected)>,
    /// Whether the sample is known to be rejected (R-S2).
    pub is_of_rejected: bool,
}

impl<'a> Specimens<'a> {
    /// The samples and results of a patient.
    pub fn of(patient: &'a Patient) -> Self {
        let own = |fact: &&Seen| !fact.record.patient.is_empty();
        let mut rejections: BTreeMap<&str, &Seen> = BTreeMap::new();
        for fact in &patient.rejections {
            if let Some(Kind::SampleEvent(event)) = fact.kind() {
                rejections.entry(&event.sample_id).or_insert(fact);
            }
        }
        // A sample that bears another id is the same sample: rejected under either.
        let collections = patient.of_kind(pick!(SampleCollected));
        let collections: Vec<_> = collections.filter(|(fact, _)| own(fact)).collect();
        let relabelled: BTreeMap<&str, &str> = patient
            .of_kind(pick!(SampleEvent))
            .filter_map(|(_, event)| Some((event.sample_id.as_str(), new_name(event)?)))
            .collect();
        let rejection = |sample: &str| {
            let mut id = sample;
            // Labels that go in a circle end where they began to repeat.
            for _ in 0..=relabelled.len() {
                if let Some(rejected) = rejections.get(id) {
                    return Some(*rejected);
                }
                id = relabelled.get(id)?;
            }
            None
        };
        let mut specimens = Self {
            collected: Vec::new(),
            rejected: Vec::new(),
            results: Vec::new(),
        };
        for (fact, sample) in collections {
            match rejection(&sample.sample_id) {
                None => specimens.collected.push((fact, sample)),
                Some(by) => specimens.rejected.push((fact, sample, by)),
            }
        }
        specimens.results = results(patient, |sample| rejection(sample).is_some());
        specimens
    }

    /// The collections for a purpose that count, by a day.
    pub fn qualifying(
        &self,
        purpose: SamplePurpose,
        by: NaiveDate,
    ) -> impl Iterator<Item = (&'a Seen, &'a pb::SampleCollected)> {
        let collected = self.collected.iter().copied();
        collected.filter(move |(fact, sample)| {
            fact.on <= by && sample.purposes().any(|one| one == purpose)
        })
    }

    /// What the last persistence result that was issued by a day says: whether the vector is still there. An
    /// inconclusive one says nothing.
    pub fn persists(&self, by: NaiveDate) -> Option<(bool, &'a Seen)> {
        let until = self.results.iter().filter(|outcome| outcome.fact.on <= by);
        let mut persists = None;
        for outcome in until {
            if outcome.has(&[Finding::VectorNotDetected]) {
                persists = Some((false, outcome.fact));
            } else if outcome.finds_vector() {
                persists = Some((true, outcome.fact));
            }
        }
        persists
    }
}

/// Findings that only a vector that is there can give.
const VECTOR_FOUND: [Finding; 6] = [
    Finding::WithinExpected,
    Finding::AboveExpected,
    Finding::DominantClone,
    Finding::Monoclonal,
    Finding::ClonalExpansion,
    Finding::IntegrationNearOncogene,
];

const TELLS_OF_CLONES: [Finding; 4] = [
    Finding::DominantClone,
    Finding::Monoclonal,
    Finding::ClonalExpansion,
    Finding::VectorNotDetected,
];

fn results(patient: &Patient, is_rejected: impl Fn(&str) -> bool) -> Vec<Outcome<'_>> {
    let all: Vec<_> = patient.of_kind(pick!(AssayResult)).collect();
    let replaced: BTreeSet<&str> = all
        .iter()
        .map(|(_, result)| result.supersedes.as_str())
        .collect();
    let parts = Parts::of(patient);
    let standing = all.iter().filter(|(fact, result)| {
        !replaced.contains(fact.record.record_id.as_str())
            && result.findings().all(|one| one != Finding::Invalid)
    });
    let outcomes = standing.map(|(fact, result)| {
        let sample = parts.collection(&result.sample_id);
        let is_of_rejected = is_rejected(&result.sample_id)
            || sample.is_some_and(|(_, collected)| is_rejected(&collected.sample_id));
        Outcome {
            fact,
            result,
            sample,
            is_of_rejected,
        }
    });
    outcomes.collect()
}

impl Outcome<'_> {
    /// Whether it found one of these.
    pub fn has(&self, findings: &[Finding]) -> bool {
        self.result.findings().any(|one| findings.contains(&one))
    }

    /// Whether it found the vector.
    pub fn finds_vector(&self) -> bool {
        self.has(&VECTOR_FOUND)
    }

    /// Whether its sample was taken for a purpose.
    pub fn is_for(&self, purpose: SamplePurpose) -> bool {
        let sample = self.sample.map(|(_, sample)| sample);
        sample.is_some_and(|sample| sample.purposes().any(|one| one == purpose))
    }

    /// Whether it tells of clones: measured, found, looked for, or nothing left to look at.
    pub fn tells_of_clones(&self) -> bool {
        !self.result.clones.is_empty()
            || self.is_for(SamplePurpose::Clonality)
            || self.has(&TELLS_OF_CLONES)
    }

    /// Whether its sample was collected after a day.
    pub fn is_of_sample_after(&self, day: NaiveDate) -> bool {
        self.sample.is_some_and(|(fact, _)| day < fact.on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pb::{Finding, ProductClass, SampleEventKind, SamplePurpose},
        rules::follow_up::story::Story,
    };

    #[test]
    fn a_result_on_a_sample_that_bears_another_id_is_the_samples() {
        for (event, sample) in [
            (SampleEventKind::Relabelled, Some("S1")),
            (SampleEventKind::Stored, None),
        ] {
            let mut story = Story::of_product(&[ProductClass::Aav]);
            story.patient("X1", "2010-01-10");
            story.sample("X1", "S1", &[SamplePurpose::Persistence], "2010-07-10");
            let event = pb::SampleEvent {
                sample_id: "S1".to_owned(),
                event: event.into(),
                new_sample_id: "S2".to_owned(),
                ..pb::SampleEvent::default()
            };
            story.tell("2010-07-11", "X1", Kind::SampleEvent(event));
            story.result("X1", "S2", Finding::WithinExpected, "2010-07-12");
            let (patient, _) = story.asked("X1", "2011-01-01");
            let specimens = Specimens::of(&patient);
            let found = specimens.results[0].sample;
            assert_eq!(found.map(|(_, own)| own.sample_id.as_str()), sample);
        }
    }
}
