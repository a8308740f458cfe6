//! Everything that bears on one patient: the patient's own facts, those of samples and cases, and the lots
//! given with all that they were made of. Gathered once; every question is then asked of it alone.
//!
//! A dossier holds every fact, whatever the question; [`Dossier::seen`] shows what a question sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    fact::{Fact, Facts, LotId, Material, Subject, material},
    question::{Question, Seen, View, seen},
};
use crate::{
    pb::{self, SampleEventKind, record::Kind},
    tlog::Index,
};

/// The facts that bear on a patient.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// The patient that was asked for.
    pub patient: String,
    facts: BTreeMap<Index, Arc<Fact>>,
}

impl Dossier {
    /// Gathers the facts that bear on a patient: also those of pseudonyms that were merged with this one or
    /// split from it.
    pub fn of_patient<F: Facts>(facts: &F, patient: &str) -> Result<Self, F::Error> {
        let mut gathered = Gathered {
            facts: BTreeMap::new(),
            asked: BTreeSet::new(),
            open: vec![Subject::Patient(patient.to_owned())],
        };
        while let Some(subject) = gathered.open.pop() {
            for fact in facts.about(&subject)? {
                gathered.take(&subject, fact);
            }
        }
        Ok(Self {
            patient: patient.to_owned(),
            facts: gathered.facts,
        })
    }

    /// Gathers the patient's own facts, and those of pseudonyms that were merged with this one or split from it;
    /// not what leads from them to samples, cases and lots.
    pub fn of_person<F: Facts>(facts: &F, patient: &str) -> Result<Self, F::Error> {
        let mut gathered = Gathered {
            facts: BTreeMap::new(),
            asked: BTreeSet::new(),
            open: Vec::new(),
        };
        gathered.ask(Subject::Patient(patient.to_owned()));
        while let Some(subject) = gathered.open.pop() {
            for fact in facts.about(&subject)? {
                gathered.meet(&fact);
                gathered.facts.insert(fact.index, fact);
            }
        }
        Ok(Self {
            patient: patient.to_owned(),
            facts: gathered.facts,
        })
    }

    /// Gathers what tells how the patient stands, and other pseudonyms of the patient; where they are asked for, also
    /// the lots that were given with all that they were made of. Not what was seen of the patient since, and no
    /// samples or cases.
    pub fn of_standing<F: Facts>(
        facts: &F,
        patient: &str,
        with_lots: bool,
    ) -> Result<Self, F::Error> {
        let mut gathered = Gathered {
            facts: BTreeMap::new(),
            asked: BTreeSet::new(),
            open: Vec::new(),
        };
        gathered.ask(Subject::Patient(patient.to_owned()));
        while let Some(subject) = gathered.open.pop() {
            let about = if let Subject::Patient(patient) = &subject {
                facts.standing(patient)?
            } else {
                facts.about(&subject)?
            };
            for fact in about {
                if with_lots {
                    gathered.take(&subject, fact);
                } else {
                    gathered.meet(&fact);
                    gathered.facts.insert(fact.index, fact);
                }
            }
        }
        Ok(Self {
            patient: patient.to_owned(),
            facts: gathered.facts,
        })
    }

    /// Every fact, in the order of the log.
    pub fn facts(&self) -> impl Iterator<Item = &Arc<Fact>> {
        self.facts.values()
    }

    /// What a question sees of the patient, in the order of the day and then of the log.
    ///
    /// With [`View::AsCorrected`], records of a pseudonym that was merged into this one are this patient's, and those
    /// that were split off are not; with [`View::AsRecorded`] each stays where it was recorded.
    pub fn seen(&self, question: &Question) -> Vec<Seen> {
        let facts: Vec<Arc<Fact>> = self.facts.values().map(Arc::clone).collect();
        let mut all = seen(&facts, question);
        let people = People::of(self.facts(), question);
        let me = people.now(&self.patient);
        all.retain(|fact| {
            let of = people.patient_of(fact);
            of.is_empty() || of == me
        });
        // A lot's intended patient, a collection's donor: the lot is here for what it is, whoever is named.
        all
    }

    /// The pseudonym under which the patient is known to the question: another, if this one was given up.
    pub fn known_as(&self, question: &Question) -> String {
        self.known_as_of(&self.patient, question)
    }

    /// What one of the patient's pseudonyms has become.
    pub fn known_as_of(&self, pseudonym: &str, question: &Question) -> String {
        People::of(self.facts(), question).now(pseudonym).to_owned()
    }

    /// The pseudonym of whom one of these facts is about, as the question knows; empty if it names nobody.
    pub fn whose(&self, fact: &Fact, question: &Question) -> String {
        People::of(self.facts(), question)
            .patient_of(fact)
            .to_owned()
    }
}

/// Which pseudonyms are one person, and which records are another's, as known.
struct People {
    merged_into: BTreeMap<String, String>,
    moved_to: BTreeMap<String, String>,
}

impl People {
    /// Merges and splits tell who somebody is, not what happened: like corrections they count as soon as they
    /// are known. A later split undoes a merge for the records that it names.
    fn of<'a>(facts: impl IntoIterator<Item = &'a Arc<Fact>>, question: &Question) -> Self {
        let mut people = Self {
            merged_into: BTreeMap::new(),
            moved_to: BTreeMap::new(),
        };
        if question.view == View::AsRecorded {
            return people;
        }
        let whenever = Question {
            as_of: chrono::NaiveDate::MAX,
            ..*question
        };
        // Few facts are of a kind that matters here; corrections decide which of them stand.
        let matters = |fact: &&Arc<Fact>| {
            matches!(
                fact.kind(),
                Some(Kind::PatientMerged(_) | Kind::PatientSplit(_) | Kind::Correction(_))
            )
        };
        let facts: Vec<Arc<Fact>> = facts.into_iter().filter(matters).cloned().collect();
        let mut told = seen(&facts, &whenever);
        told.sort_by_key(|fact| fact.index);
        for fact in &told {
            let patient = fact.record.patient.clone();
            if let Some(Kind::PatientMerged(merged)) = fact.kind() {
                people
                    .merged_into
                    .insert(merged.merged_patient.clone(), patient);
            } else if let Some(Kind::PatientSplit(split)) = fact.kind() {
                // The other's own pseudonym stands for itself again.
                people.merged_into.remove(&split.split_patient);
                for record in &split.moved_records {
                    let to = split.split_patient.clone();
                    people.moved_to.insert(record.clone(), to);
                }
            }
        }
        people
    }

    /// The pseudonym that a pseudonym has become.
    fn now<'a>(&'a self, patient: &'a str) -> &'a str {
        let mut now = patient;
        // Merges that go in a circle end where they began to repeat.
        for _ in 0..=self.merged_into.len() {
            match self.merged_into.get(now) {
                Some(into) if into != patient => now = into,
                _ => break,
            }
        }
        now
    }

    /// Whose record it is; empty if it names nobody.
    fn patient_of<'a>(&'a self, fact: &'a Fact) -> &'a str {
        let moved = self.moved_to.get(&fact.record.record_id);
        self.now(moved.unwrap_or(&fact.record.patient))
    }
}

struct Gathered {
    facts: BTreeMap<Index, Arc<Fact>>,
    asked: BTreeSet<Subject>,
    open: Vec<Subject>,
}

impl Gathered {
    fn ask(&mut self, subject: Subject) {
        if self.asked.insert(subject.clone()) {
            self.open.push(subject);
        }
    }

    /// Keeps a fact about a subject, and asks for what it leads to.
    fn take(&mut self, subject: &Subject, fact: Arc<Fact>) {
        self.asked.insert(subject.clone());
        self.meet(&fact);
        if let Some(kind) = fact.kind() {
            self.follow(kind);
        }
        self.facts.insert(fact.index, fact);
    }

    /// Asks for the other pseudonym of a merge or a split.
    fn meet(&mut self, fact: &Fact) {
        let other = match fact.kind() {
            Some(Kind::PatientMerged(merged)) => &merged.merged_patient,
            Some(Kind::PatientSplit(split)) => &split.split_patient,
            _ => return,
        };
        self.ask(Subject::Patient(other.clone()));
        self.ask(Subject::Patient(fact.record.patient.clone()));
    }

    fn follow(&mut self, kind: &Kind) {
        if let Kind::Administration(administration) = kind {
            self.lot(administration.lot.as_ref());
            self.coi(&administration.coi);
        } else if let Kind::LotRegistered(lot) = kind {
            self.ask(Subject::Lot(LotId {
                gtin: lot.gtin.clone(),
                lot: lot.lot.clone(),
            }));
            self.coi(&lot.coi);
        } else if let Kind::MaterialCollected(collected) = kind {
            self.coi(&collected.coi);
        } else if let Kind::Transformation(step) = kind {
            for input in step.inputs.iter().filter_map(material) {
                self.ask(match input {
                    Material::Lot(lot) => Subject::Lot(lot),
                    Material::Donation(din) => Subject::Donation(din),
                });
            }
        } else if let Kind::SampleCollected(sample) = kind {
            self.sample(&sample.sample_id);
        } else if let Kind::SampleEvent(event) = kind {
            let leads_on = matches!(
                event.event(),
                SampleEventKind::Aliquoted | SampleEventKind::Relabelled
            );
            if leads_on {
                self.sample(&event.sample_id);
                self.sample(&event.new_sample_id);
                for aliquot in &event.aliquots {
                    self.sample(&aliquot.sample_id);
                }
            }
        } else if let Kind::AdverseEvent(event) = kind {
            self.ask(Subject::Case(event.case_id.clone()));
        }
    }

    fn lot(&mut self, key: Option<&pb::LotKey>) {
        if let Some(key) = key {
            self.ask(Subject::Lot(key.into()));
        }
    }

    fn coi(&mut self, coi: &str) {
        if !coi.is_empty() {
            self.ask(Subject::Coi(coi.to_owned()));
        }
    }

    fn sample(&mut self, sample: &str) {
        if !sample.is_empty() {
            self.ask(Subject::Sample(sample.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rules::book::Book, tlog::TreeSize};

    /// A log of who said what of whom.
    #[derive(Default)]
    struct Log(Book);

    impl Log {
        fn add(&mut self, patient: &str, kind: Kind) -> Index {
            let index = u64::try_from(self.0.facts().len()).unwrap();
            self.0.insert(Fact {
                index: Index::new(index),
                recorded_at: chrono::DateTime::default(),
                actor: "A".to_owned(),
                on: chrono::NaiveDate::MIN,
                record: pb::Record {
                    record_id: format!("R-{index}"),
                    patient: patient.to_owned(),
                    kind: Some(kind),
                    ..Default::default()
                },
            });
            Index::new(index)
        }

        fn visit(&mut self, patient: &str) -> Index {
            self.add(patient, Kind::FollowUpVisit(pb::FollowUpVisit::default()))
        }

        fn merge(&mut self, into: &str, merged: &str) -> Index {
            let merged = pb::PatientMerged {
                merged_patient: merged.to_owned(),
            };
            self.add(into, Kind::PatientMerged(merged))
        }

        fn dossier(&self, patient: &str) -> Dossier {
            let Ok(dossier) = Dossier::of_patient(&self.0, patient);
            dossier
        }

        fn known_as(&self, patient: &str) -> String {
            self.dossier(patient).known_as(&whenever(View::AsCorrected))
        }

        fn seen(&self, patient: &str, view: View) -> Vec<Index> {
            let seen = self.dossier(patient).seen(&whenever(view));
            seen.iter().map(|fact| fact.index).collect()
        }
    }

    const fn whenever(view: View) -> Question {
        Question {
            as_of: chrono::NaiveDate::MAX,
            known_at: TreeSize::new(u64::MAX),
            view,
        }
    }

    #[test]
    fn a_pseudonym_becomes_the_last_that_it_was_merged_into() {
        let mut log = Log::default();
        log.merge("B", "A");
        log.merge("C", "B");
        for patient in ["A", "B", "C"] {
            assert_eq!(log.known_as(patient), "C");
        }
        // Round in a circle, each ends at the one before it.
        log.merge("A", "C");
        for (patient, known_as) in [("A", "C"), ("B", "A"), ("C", "B")] {
            assert_eq!(log.known_as(patient), known_as);
        }
    }

    #[test]
    fn what_was_split_off_is_the_other_patients() {
        let mut log = Log::default();
        let own = log.visit("P");
        let moved = log.visit("P");
        let split = pb::PatientSplit {
            split_patient: "Q".to_owned(),
            moved_records: vec![format!("R-{}", moved.value())],
        };
        let split = log.add("P", Kind::PatientSplit(split));
        assert_eq!(log.seen("P", View::AsCorrected), [own, split]);
        assert_eq!(log.seen("Q", View::AsCorrected), [moved]);
        assert_eq!(log.seen("P", View::AsRecorded), [own, moved, split]);
        assert_eq!(log.seen("Q", View::AsRecorded), []);
    }

    #[test]
    fn a_split_undoes_the_merge_of_its_pseudonym() {
        let mut log = Log::default();
        let visit = log.visit("Q");
        let merged = log.merge("P", "Q");
        assert_eq!(log.seen("P", View::AsCorrected), [visit, merged]);
        let split = pb::PatientSplit {
            split_patient: "Q".to_owned(),
            ..Default::default()
        };
        let split = log.add("P", Kind::PatientSplit(split));
        assert_eq!(log.seen("P", View::AsCorrected), [merged, split]);
        assert_eq!(log.seen("Q", View::AsCorrected), [visit]);
    }

    #[test]
    fn a_chain_of_identity_leads_to_what_was_collected_for_it() {
        let collected = |coi: &str| {
            Kind::MaterialCollected(pb::MaterialCollected {
                coi: coi.to_owned(),
                ..Default::default()
            })
        };
        let given = |coi: &str| {
            Kind::Administration(pb::Administration {
                coi: coi.to_owned(),
                ..Default::default()
            })
        };
        for (coi, is_found) in [("COI-1", true), ("COI-2", false), ("", false)] {
            let mut log = Log::default();
            let material = log.add("", collected("COI-1"));
            let given = log.add("P", given(coi));
            let facts: Vec<Index> = log.dossier("P").facts.into_keys().collect();
            let expected = if is_found {
                vec![material, given]
            } else {
                vec![given]
            };
            assert_eq!(facts, expected, "{coi}");
        }
    }
}
