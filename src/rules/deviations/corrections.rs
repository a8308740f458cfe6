//! Corrections: one that says that the record said what it did not, that another site disputes, or that leaves open
//! what is true instead.

use std::sync::Arc;

use super::{Deviation, dangling, envelope::has_task};
use crate::{
    pb::{self, CorrectionKind, DelegatedTask, record::Kind},
    rules::{
        catalogue::Catalogue,
        change,
        fact::{Fact, Records, replacement, subjects},
        flags::codes,
        question::{Question, Seen, moves, seen, stands},
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
            raised.push(Deviation::new(codes::OLD_DIFFERS, &by, field));
        }
    }
    let (own, other) = (&fact.record.site, &target.record.site);
    let actor = &fact.record.actor_person;
    let foreign = !own.is_empty() && !other.is_empty() && own != other;
    if foreign && !has_task(actor, DelegatedTask::Recording, fact.on, catalogue) {
        raised.push(Deviation::new(codes::DISPUTED, &by, "correction.target"));
    }
    if stands(&about(facts, &target, fact)?, fact, question) {
        raised.extend(dangling::raised(facts, &by, question)?);
        let replacement = replacement(facts, fact)?.filter(|one| question.knows(one));
        if replacement.is_none() && names_another(correction) {
            let field = "correction.replacement";
            raised.push(Deviation::new(codes::DANGLING, &by, field));
        }
    }
    Ok(raised)
}

/// Whether a correction names a record that takes its target's place, or should: what was recorded twice was recorded
/// once before, and what was recorded of the wrong patient happened to somebody.
fn names_another(correction: &pb::Correction) -> bool {
    let should = match correction.correction_kind() {
        CorrectionKind::Duplicate => true,
        CorrectionKind::WrongPatient => !moves(correction),
        CorrectionKind::IncorrectData
        | CorrectionKind::DidNotOccur
        | CorrectionKind::Addition
        | CorrectionKind::Unspecified => false,
    };
    should || !correction.replacement.is_empty()
}

/// A correction's target among what is known of the same, with all that corrects it; of what keeps house for the
/// ledger, the correction is all that is known.
fn about<F: Records>(
    facts: &F,
    target: &Fact,
    correction: &Fact,
) -> Result<Vec<Arc<Fact>>, F::Error> {
    match subjects(&target.record).into_iter().next() {
        Some(subject) => facts.about(&subject),
        None => Ok(vec![Arc::new(correction.clone())]),
    }
}

/// The target as it was known to be just before the correction; as it was recorded, if nothing was left of it.
fn before<F: Records>(
    facts: &F,
    target: &Fact,
    correction: &Fact,
    question: &Question,
) -> Result<pb::Record, F::Error> {
    let then = Question {
        as_of: chrono::NaiveDate::MAX,
        known_at: TreeSize::new(correction.index.value()),
        ..*question
    };
    let known = seen(&about(facts, target, correction)?, &then);
    let known = known.iter().find(|fact| fact.index == target.index);
    Ok(known.map_or_else(|| target.record.clone(), |fact| fact.record.clone()))
}
