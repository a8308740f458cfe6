//! What was looked at for one obligation, and the verdict that follows from it: not met as soon as something does
//! not conform, met only if something was looked at and all of it conforms. Does not know the guideline.

use std::collections::BTreeMap;

use super::{
    Row,
    guideline::{Nothing, Obligation},
};
use crate::rules::{fact::Fact, follow_up::Why};

/// How a product stands to an obligation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Something was looked at, and all of it conforms.
    Met,
    /// Something does not conform.
    NotMet,
    /// The obligation is not this product's, or has not arisen.
    NotApplicable,
    /// The log does not hold what it would take.
    CannotTell,
}

/// Of whom or what an exception is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// The product itself.
    Product,
    /// A patient, by pseudonym.
    Patient(String),
    /// A plan, a consent version, a signal, a report: by its name.
    Document(String),
}

/// Something that does not conform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Of whom or what.
    pub of: Of,
    /// What is wrong.
    pub reason: String,
    /// The entries that show it: index and record id.
    pub evidence: Vec<(u64, String)>,
}

/// More exceptions of one obligation are counted, not told: nobody reads them on one page.
pub const EXCEPTIONS_MAX: usize = 100;

/// More entries that conform are counted, not named.
const EVIDENCE_MAX: usize = 50;

/// What was looked at for one obligation.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    not_applicable: Option<&'static str>,
    untold: Option<&'static str>,
    checked: u64,
    counts: Vec<(&'static str, u64)>,
    exceptions: Vec<Exception>,
    exceptions_all: u64,
    evidence: BTreeMap<u64, String>,
}

impl Tally {
    /// The obligation is not this product's.
    pub(super) fn not_applicable(&mut self, because: &'static str) {
        self.not_applicable = Some(because);
    }

    /// What was looked at does not suffice.
    pub(super) fn cannot_tell(&mut self, because: &'static str) {
        self.untold = Some(because);
    }

    /// Something was looked at.
    pub(super) fn look(&mut self) {
        self.checked += 1;
    }

    /// An entry was looked at.
    pub(super) fn look_at(&mut self, fact: &Fact) {
        self.checked += 1;
        if self.evidence.len() < EVIDENCE_MAX {
            let id = fact.record.record_id.clone();
            self.evidence.insert(fact.index.value(), id);
        }
    }

    /// Something was looked at that these entries show.
    pub(super) fn look_because(&mut self, why: &Why) {
        self.checked += 1;
        for (index, id) in reasons(why) {
            if self.evidence.len() < EVIDENCE_MAX {
                self.evidence.insert(index, id);
            }
        }
    }

    /// Counts something beside what was looked at.
    pub(super) fn count(&mut self, what: &'static str, by: u64) {
        match self.counts.iter_mut().find(|(have, _)| *have == what) {
            Some((_, count)) => *count += by,
            None => self.counts.push((what, by)),
        }
    }

    /// Something does not conform, as these entries show.
    pub(super) fn except(&mut self, of: Of, reason: String, evidence: Vec<(u64, String)>) {
        self.exceptions_all += 1;
        if self.exceptions.len() < EXCEPTIONS_MAX {
            self.exceptions.push(Exception {
                of,
                reason,
                evidence,
            });
        }
    }

    /// How many were looked at.
    pub(super) const fn checked(&self) -> u64 {
        self.checked
    }

    /// The row that it comes to.
    pub(super) fn row(mut self, obligation: &Obligation) -> Row {
        let (verdict, because) = self.verdict(obligation);
        if self.not_applicable.is_some() {
            // What was found all the same is nobody's concern.
            self = Self::default();
        }
        let mut counts = vec![(obligation.unit, self.checked)];
        counts.extend(self.counts);
        Row {
            id: obligation.id,
            section: obligation.section,
            asks: obligation.asks,
            checked: obligation.checked,
            verdict,
            because,
            counts,
            exceptions: self.exceptions,
            exceptions_all: self.exceptions_all,
            evidence: self.evidence.into_iter().collect(),
        }
    }

    fn verdict(&self, obligation: &Obligation) -> (Verdict, &'static str) {
        if let Some(because) = self.not_applicable {
            return (Verdict::NotApplicable, because);
        }
        if 0 < self.exceptions_all {
            return (Verdict::NotMet, "");
        }
        if let Some(because) = self.untold {
            return (Verdict::CannotTell, because);
        }
        if self.checked == 0 {
            return match obligation.nothing {
                Nothing::NotArisen(because) => (Verdict::NotApplicable, because),
                Nothing::Unknown(needed) => (Verdict::CannotTell, needed),
            };
        }
        (Verdict::Met, "")
    }
}

/// The entries of a fact.
pub(super) fn shown(fact: &Fact) -> Vec<(u64, String)> {
    vec![(fact.index.value(), fact.record.record_id.clone())]
}

/// The entries that a rule stands on.
pub(super) fn reasons(why: &Why) -> Vec<(u64, String)> {
    let entries = why.evidence.iter();
    entries
        .map(|(index, id)| (index.value(), id.clone()))
        .collect()
}
