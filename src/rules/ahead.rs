//! Facts as they would be if a few more records were recorded: what a record would be flagged with, or refused
//! for, before it is.

use std::{collections::BTreeSet, sync::Arc};

use super::fact::{Fact, Facts, Records, Subject, corrected, subjects, with_replacements};
use crate::tlog::TreeSize;

/// Facts, and a few more after them.
#[derive(Debug)]
pub struct Ahead<F> {
    facts: F,
    added: Vec<(Arc<Fact>, BTreeSet<Subject>)>,
}

impl<F: Records> Ahead<F> {
    /// Nothing more than these facts.
    pub const fn new(facts: F) -> Self {
        Self {
            facts,
            added: Vec::new(),
        }
    }

    /// One more.
    pub fn add(&mut self, fact: Fact) -> Result<(), F::Error> {
        let mut about = subjects(&fact.record);
        let mut target = corrected(&fact.record).map(str::to_owned);
        // A correction of a correction is about the record that both correct; each is later than its target.
        while let Some(id) = target.take() {
            if let Some(fact) = self.record(&id)? {
                about.extend(subjects(&fact.record));
                target = corrected(&fact.record).map(str::to_owned);
            }
        }
        self.added.push((Arc::new(fact), about));
        Ok(())
    }
}

impl<F: Records> Facts for Ahead<F> {
    type Error = F::Error;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, F::Error> {
        let mut facts = self.facts.about(subject)?;
        let added = self
            .added
            .iter()
            .filter(|(_, about)| about.contains(subject));
        facts.extend(added.map(|(fact, _)| Arc::clone(fact)));
        with_replacements(self, facts)
    }

    fn count(&self, subject: &Subject, size: TreeSize) -> Result<Option<usize>, F::Error> {
        // What is only tried may be tried otherwise next time.
        if self.added.iter().any(|(_, about)| about.contains(subject)) {
            return Ok(None);
        }
        self.facts.count(subject, size)
    }
}

impl<F: Records> Records for Ahead<F> {
    fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, F::Error> {
        let mut added = self.added.iter();
        let found = added.find(|(fact, _)| fact.record.record_id == record_id);
        match found {
            Some((fact, _)) => Ok(Some(Arc::clone(fact))),
            None => self.facts.record(record_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        pb::{self, record::Kind},
        rules::book::Book,
    };

    fn fact(index: u64, patient: &str, kind: Kind) -> Fact {
        Fact::told(index, "2020-01-10", patient, kind)
    }

    fn visit() -> Kind {
        Kind::FollowUpVisit(pb::FollowUpVisit::default())
    }

    fn correction(target: &str) -> Kind {
        Kind::Correction(pb::Correction {
            target: target.to_owned(),
            ..Default::default()
        })
    }

    fn about(facts: &Ahead<Book>, patient: &str) -> Vec<u64> {
        let Ok(about) = facts.about(&Subject::Patient(patient.to_owned()));
        about.iter().map(|fact| fact.index.value()).collect()
    }

    #[test]
    fn what_would_be_recorded_is_found_after_what_is() {
        let mut book = Book::default();
        book.insert(fact(0, "P", visit()));
        let mut ahead = Ahead::new(book);
        let Ok(()) = ahead.add(fact(1, "P", visit()));
        let Ok(()) = ahead.add(fact(2, "Q", visit()));
        // Of a correction of a correction, as of the first, is told where the record is.
        let Ok(()) = ahead.add(fact(3, "", correction("R-0")));
        let Ok(()) = ahead.add(fact(4, "", correction("R-3")));
        let Ok(()) = ahead.add(fact(5, "", correction("R-NONE")));
        assert_eq!(about(&ahead, "P"), [0, 1, 3, 4]);
        assert_eq!(about(&ahead, "Q"), [2]);
        for (id, index) in [("R-0", Some(0)), ("R-2", Some(2)), ("R-NONE", None)] {
            let Ok(found) = ahead.record(id);
            assert_eq!(found.map(|fact| fact.index.value()), index, "{id}");
        }
    }

    /// Facts of which it is known that there are seven about everything.
    struct Counted(Book);

    impl Facts for Counted {
        type Error = std::convert::Infallible;

        fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, Self::Error> {
            self.0.about(subject)
        }

        fn count(&self, _: &Subject, _: TreeSize) -> Result<Option<usize>, Self::Error> {
            Ok(Some(7))
        }
    }

    impl Records for Counted {
        fn record(&self, record_id: &str) -> Result<Option<Arc<Fact>>, Self::Error> {
            self.0.record(record_id)
        }
    }

    #[test]
    fn what_is_only_tried_is_not_counted_on() {
        let mut ahead = Ahead::new(Counted(Book::default()));
        let Ok(()) = ahead.add(fact(0, "P", visit()));
        for (patient, count) in [("P", None), ("Q", Some(7))] {
            let subject = Subject::Patient(patient.to_owned());
            let Ok(have) = ahead.count(&subject, TreeSize::new(1));
            assert_eq!(have, count, "{patient}");
        }
    }
}
