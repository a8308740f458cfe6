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
        fact::{Fact, Facts, Subject},
        question::{Question, View},
    },
};

/// Catalogues that are kept: today's, yesterday's where it still is, and those of a few questions.
const KEPT_MAX: usize = 8;

/// Makes catalogues, and keeps the newest.
#[derive(Clone, Default)]
pub(super) struct Catalogues(Arc<Mutex<VecDeque<Kept>>>);

/// A catalogue, and what it was made from: so many facts, seen on that day.
struct Kept {
    facts: usize,
    as_of: NaiveDate,
    view: View,
    catalogue: Arc<Catalogue>,
}

impl Catalogues {
    /// The catalogue as the question sees it.
    pub(super) fn of<F: Facts>(
        &self,
        facts: &F,
        question: &Question,
    ) -> Result<Arc<Catalogue>, F::Error> {
        let count = facts.count(&Subject::Catalogue, question.known_at)?;
        let is_it = |kept: &&Kept| {
            Some(kept.facts) == count && kept.as_of == question.as_of && kept.view == question.view
        };
        if let Some(kept) = self.lock().iter().find(is_it) {
            return Ok(Arc::clone(&kept.catalogue));
        }
        let about = facts.about(&Subject::Catalogue)?;
        let catalogue = Arc::new(Catalogue::of(&about, question));
        // A replacement that is still to come may be about a patient, and not be counted here.
        let awaits = |fact: &Arc<Fact>| match fact.kind() {
            Some(Kind::Correction(by)) => !by.replacement.is_empty() && fact.replacement.is_none(),
            _ => false,
        };
        if let Some(facts) = count.filter(|_| !about.iter().any(awaits)) {
            let mut kept = self.lock();
            kept.truncate(KEPT_MAX - 1);
            kept.push_front(Kept {
                facts,
                as_of: question.as_of,
                view: question.view,
                catalogue: Arc::clone(&catalogue),
            });
        }
        Ok(catalogue)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
