//! Where everything went and where it came from: from a lot to every descendant, patient, sample and what is
//! left of it (R-L1), and back; how long records of a lot are kept (R-L2); whether what was shipped is
//! accounted for (R-L3).
//!
//! | File | What it is for |
//! |---|---|
//! | `graph` | lots and donations, and the steps between them: forwards, backwards, without end in a circle |
//! | `lot` | one lot: what it is, what was decided about it, where it went |
//! | `stock` | how much of a lot is where, and what became of the rest: R-L3 |
//! | `people` | whose records they are, and what has become of the patients |
//! | `forward` | from lots to patients, samples and stock |
//! | `patient`, `sample`, `identity` | back from a patient and from a sample; the life of a chain of identity |
//! | `recall` | a recall: who was told, who answered, what was counted |
//! | `retention` | until when records are kept: R-L2 |
//!
//! Nothing here goes by recursion: the depth of a graph is the length of a list. Each lot, donation and patient
//! of an answer is looked up once.

pub mod forward;
pub mod graph;
pub mod identity;
pub mod lot;
pub mod patient;
pub mod people;
pub mod recall;
pub mod retention;
pub mod sample;
pub mod stock;

use std::{collections::BTreeMap, sync::Arc};

pub use graph::descends_from_any;

use super::{
    fact::{Fact, Facts, Subject, subjects},
    question::{Question, Seen, seen},
};
use crate::pb;

/// What the question sees of a subject. Facts that were about it before they were corrected are not.
fn about<F: Facts>(
    facts: &F,
    question: &Question,
    subject: &Subject,
) -> Result<Vec<Seen>, F::Error> {
    let mut seen = seen(&facts.about(subject)?, question);
    seen.retain(|fact| subjects(&fact.record).contains(subject));
    Ok(seen)
}

/// The reason of an answer: the rule, and the entries with their corrections, in the order of the log.
fn why<'a>(rule: &str, facts: impl IntoIterator<Item = &'a Seen>, text: &str) -> pb::Why {
    let mut entries: BTreeMap<u64, &Arc<Fact>> = BTreeMap::new();
    for seen in facts {
        for fact in std::iter::once(&seen.fact).chain(&seen.corrections) {
            entries.insert(fact.index.value(), fact);
        }
    }
    let evidence = entries.into_iter().map(|(index, fact)| pb::Evidence {
        index,
        record_id: fact.record.record_id.clone(),
    });
    pb::Why {
        basis: vec![rule.to_owned()],
        evidence: evidence.collect(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
