//! From the reasons of the rules to messages. What a reason says is not known here.

use crate::{
    pb,
    rules::{fact::Fact, follow_up::Why},
    tlog::Index,
};

impl From<Why> for pb::Why {
    fn from(why: Why) -> Self {
        let Why {
            basis,
            evidence: entries,
        } = why;
        Self {
            basis: basis.into_iter().map(str::to_owned).collect(),
            evidence: entries
                .iter()
                .map(|(index, id)| entry(*index, id))
                .collect(),
            text: String::new(),
        }
    }
}

/// An entry that an answer stands on.
pub(super) fn evidence(fact: &Fact) -> pb::Evidence {
    entry(fact.index, &fact.record.record_id)
}

/// An entry that an answer stands on, by its index and the id of its record.
pub(super) fn entry(index: Index, record_id: &str) -> pb::Evidence {
    pb::Evidence {
        index: index.value(),
        record_id: record_id.to_owned(),
    }
}
