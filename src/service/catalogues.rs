//! The catalogues that were last asked for: most questions and records of a day find the same few.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::NaiveDate;

use crate::{
    pb::record::Kind,
    rules::{
        catalogue::Catalogue,
        fact::{Fact, Records, Subject, replacement},
        question::{Question, View},
    },
    tlog::{Index, TreeSize},
};

/// Catalogues that are kept: today's, yesterday's where it still is, and those of a few questions.
const KEPT_MAX: usize = 8;

/// Makes catalogues, and keeps the newest.
#[derive(Clone, Default)]
pub(super) struct Catalogues(Arc<Mutex<VecDeque<Arc<Kept>>>>);

/// A catalogue, and what it was made from: so many facts, seen on that day; and the records that take the place of
/// others. Those may be about something else, such as a patient, and are not counted.
struct Kept {
    facts: usize,
    as_of: NaiveDate,
    view: View,
    /// The smallest tree with all the replacements that were known.
    replaced_at: TreeSize,
    /// The corrections whose replacement was not known.
    awaiting: Vec<Arc<Fact>>,
    catalogue: Arc<Catalogue>,
}

impl Kept {
    /// Whether the question knows the same replacements.
    fn is_current<F: Records>(&self, facts: &F, question: &Question) -> Result<bool, F::Error> {
        let mut current = self.replaced_at <= question.known_at;
        for by in &self.awaiting {
            let came = replacement(facts, by)?;
            current &= came.is_none_or(|fact| !is_below(fact.index, question));
        }
        Ok(current)
    }
}

fn is_below(entry: Index, question: &Question) -> bool {
    entry.value() < question.known_at.value()
}

impl Catalogues {
    /// The catalogue as the question sees it.
    pub(super) fn of<F: Records>(
        &self,
        facts: &F,
        question: &Question,
    ) -> Result<Arc<Catalogue>, F::Error> {
        let count = facts.count(&Subject::Catalogue, question.known_at)?;
        let is_it = |kept: &&Arc<Kept>| {
            Some(kept.facts) == count && kept.as_of == question.as_of && kept.view == question.view
        };
        let found: Vec<Arc<Kept>> = self.lock().iter().filter(is_it).map(Arc::clone).collect();
        for kept in found {
            if kept.is_current(facts, question)? {
                return Ok(Arc::clone(&kept.catalogue));
            }
        }
        let about = facts.about(&Subject::Catalogue)?;
        let catalogue = Arc::new(Catalogue::of(&about, question));
        if let Some(facts) = count {
            let named = about.iter().filter(|fact| names_replacement(fact));
            let (known, awaiting): (Vec<_>, Vec<_>) = named.map(Arc::clone).partition(|by| {
                by.replacement
                    .is_some_and(|entry| is_below(entry, question))
            });
            let last = known.iter().filter_map(|by| by.replacement).max();
            let replaced_at = last.map_or(TreeSize::ZERO, |entry| {
                TreeSize::new(entry.value().saturating_add(1))
            });
            let mut kept = self.lock();
            kept.truncate(KEPT_MAX - 1);
            kept.push_front(Arc::new(Kept {
                facts,
                as_of: question.as_of,
                view: question.view,
                replaced_at,
                awaiting,
                catalogue: Arc::clone(&catalogue),
            }));
        }
        Ok(catalogue)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn names_replacement(fact: &Fact) -> bool {
    matches!(fact.kind(), Some(Kind::Correction(by)) if !by.replacement.is_empty())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::{
        pb::{self, CorrectionKind},
        rules::{book::Book, fact::Facts},
    };

    /// A book that knows how many facts it has.
    struct Counting(Book);

    impl Facts for Counting {
        type Error = Infallible;

        fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, Infallible> {
            self.0.about(subject)
        }

        fn count(&self, subject: &Subject, size: TreeSize) -> Result<Option<usize>, Infallible> {
            let Ok(about) = self.about(subject);
            let below = about
                .iter()
                .filter(|fact| fact.index.value() < size.value());
            Ok(Some(below.count()))
        }
    }

    impl Records for Counting {
        fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, Infallible> {
            self.0.record(record_id)
        }
    }

    /// Whoever corrects a plan, and names what nobody ever records, must not have each receipt read all plans again.
    #[test]
    fn a_catalogue_that_waits_for_a_replacement_is_kept_until_it_comes() {
        let decision = || Kind::MonitoringDecision(pb::MonitoringDecision::default());
        let by = pb::Correction {
            target: "R-0".to_owned(),
            correction_kind: CorrectionKind::IncorrectData.into(),
            replacement: "R-3".to_owned(),
            ..Default::default()
        };
        let mut facts = Counting(Book::default());
        let tell = |facts: &mut Counting, index: u64, patient: &str, kind| {
            facts.0.insert(Fact {
                index: Index::new(index),
                recorded_at: chrono::DateTime::default(),
                actor: String::new(),
                on: NaiveDate::default(),
                record: pb::Record {
                    record_id: format!("R-{index}"),
                    patient: patient.to_owned(),
                    kind: Some(kind),
                    ..pb::Record::default()
                },
                replacement: None,
            });
        };
        tell(&mut facts, 0, "", decision());
        tell(&mut facts, 1, "", Kind::Correction(by));
        let kept = Catalogues::default();
        let of = |facts: &Counting, size| {
            let known_at = TreeSize::new(size);
            let Ok(catalogue) = kept.of(
                facts,
                &Question {
                    known_at,
                    ..Question::EVERYTHING
                },
            );
            catalogue
        };
        let waiting = of(&facts, 2);
        tell(&mut facts, 2, "P", decision());
        assert!(Arc::ptr_eq(&waiting, &of(&facts, 3)));
        // The replacement is a patient's, and counts for nothing here but for what it replaces.
        tell(&mut facts, 3, "P", decision());
        let replaced = of(&facts, 4);
        assert!(!Arc::ptr_eq(&waiting, &replaced));
        assert!(Arc::ptr_eq(&replaced, &of(&facts, 5)));
        // As it was known before.
        assert!(Arc::ptr_eq(&waiting, &of(&facts, 3)));
    }
}
