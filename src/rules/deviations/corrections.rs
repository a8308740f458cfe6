//! Corrections: one that says that the record said what it did not, or that another site disputes.

use std::sync::Arc;

use super::{Deviation, envelope::has_task};
use crate::{
    pb::{DelegatedTask, record::Kind},
    rules::{
        catalogue::Catalogue,
        change,
        fact::{Fact, Records, subjects},
        flags::codes,
        question::{Question, Seen, seen},
    },
    tlog::TreeSize,
};

/// What a correction raises; what is not one raises nothing here.
pub(super) fn raised<F: Records>(
    facts: &F,
    fact: &Fact,
    catalogue: &Catalogue,
    question: &Question,
) -> Result<Vec<Deviation>, F::Error> {
    let Some(Kind::Correction(correction)) = fact.kind() else {
        return Ok(Vec::new());
    };
    let Some(target) = facts.record(&correction.target)? else {
        return Ok(Vec::new());
    };
    let by = Seen {
        fact: Arc::new(fact.clone()),
        corrections: Vec::new(),
    };
    let before = before(facts, &target, fact, question)?;
    let mut raised = Vec::new();
    for (item, one) in correction.changes.iter().enumerate() {
        // A value has several spellings: what is compared is the record that each makes.
        let said = change::set(&before, &one.path, &one.old);
        if said.is_ok_and(|said| said != before) {
            let field = format!("correction.changes[{item}].old");
            raised.push(Deviation::new(codes::OLD_DIFFERS, &by, &field));
        }
    }
    let (own, other) = (&fact.record.site, &target.record.site);
    let actor = &fact.record.actor_person;
    let foreign = !own.is_empty() && !other.is_empty() && own != other;
    if foreign && !has_task(actor, DelegatedTask::Recording, fact.on, catalogue) {
        raised.push(Deviation::new(codes::DISPUTED, &by, "correction.target"));
    }
    Ok(raised)
}

/// The target as it was known to be just before the correction; as it was recorded, if nothing was left of it.
fn before<F: Records>(
    facts: &F,
    target: &Fact,
    correction: &Fact,
    question: &Question,
) -> Result<crate::pb::Record, F::Error> {
    let then = Question {
        as_of: chrono::NaiveDate::MAX,
        known_at: TreeSize::new(correction.index.value()),
        ..*question
    };
    let subject = subjects(&target.record).into_iter().next();
    let known = match subject {
        Some(subject) => seen(&facts.about(&subject)?, &then),
        None => Vec::new(),
    };
    let known = known.iter().find(|fact| fact.index == target.index);
    Ok(known.map_or_else(|| target.record.clone(), |fact| fact.record.clone()))
}
