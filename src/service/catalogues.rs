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
        let mut about = facts.about(&Subject::Catalogue)?;
        about.retain(|fact| question.knows(fact));
        if let Some(kept) = self.lock().as_ref()
            // The facts about the catalogue only ever grow: as many are the same ones.
            && kept.facts == about.len()
            && kept.as_of == question.as_of
            && kept.view == question.view
        {
            return Ok(Arc::clone(&kept.catalogue));
        }
        let catalogue = Arc::new(Catalogue::of(&about, question));
        *self.lock() = Some(Kept {
            facts: about.len(),
            as_of: question.as_of,
            view: question.view,
            catalogue: Arc::clone(&catalogue),
        });
        Ok(catalogue)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
