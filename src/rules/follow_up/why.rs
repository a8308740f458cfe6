//! Why a row is as it is: the rules that made it, and the entries that it stands on.

use std::collections::{BTreeMap, BTreeSet};

use crate::{rules::fact::Fact, tlog::Index};

/// The rules and the entries behind a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Why {
    /// The rules, by number.
    pub basis: BTreeSet<&'static str>,
    /// The record ids of the entries, by index.
    pub evidence: BTreeMap<Index, String>,
}

impl Why {
    /// By this rule.
    pub fn by(rule: &'static str) -> Self {
        Self {
            basis: BTreeSet::from([rule]),
            evidence: BTreeMap::new(),
        }
    }

    /// And by this rule.
    #[must_use]
    pub fn and(mut self, rule: &'static str) -> Self {
        self.basis.insert(rule);
        self
    }

    /// On the ground of this fact.
    #[must_use]
    pub fn on(mut self, fact: &Fact) -> Self {
        self.add(fact);
        self
    }

    /// Adds a fact.
    pub fn add(&mut self, fact: &Fact) {
        self.evidence
            .insert(fact.index, fact.record.record_id.clone());
    }

    /// Adds what another row stands on.
    pub fn merge(&mut self, other: &Self) {
        self.basis.extend(&other.basis);
        let entries = other.evidence.iter();
        self.evidence
            .extend(entries.map(|(index, id)| (*index, id.clone())));
    }
}
