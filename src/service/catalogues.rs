//! The catalogue that was last asked for: most questions and records of a day find the same.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::NaiveDate;

use crate::rules::{
    catalogue::Catalogue,
    fact::{Facts, Subject},
    question::{Question, View},
};

/// Makes catalogues, and keeps the last.
#[derive(Clone, Default)]
pub(super) struct Catalogues(Arc<Mutex<Option<Kept>>>);

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
        if let Some(kept) = self.lock().as_ref()
            && Some(kept.facts) == count
            && kept.as_of == question.as_of
            && kept.view == question.view
        {
            return Ok(Arc::clone(&kept.catalogue));
        }
        let about = facts.about(&Subject::Catalogue)?;
        let catalogue = Arc::new(Catalogue::of(&about, question));
        if let Some(facts) = count {
            *self.lock() = Some(Kept {
                facts,
                as_of: question.as_of,
                view: question.view,
                catalogue: Arc::clone(&catalogue),
            });
        }
        Ok(catalogue)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
