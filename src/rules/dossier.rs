//! Everything that bears on one patient: the patient's own facts, those of samples and cases, and the lots
//! given with all that they were made of. Gathered once; every question is then asked of it alone.
//!
//! A dossier holds every fact, whatever the question; [`Dossier::seen`] shows what a question sees.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    fact::{Fact, Facts, LotId, Material, Subject, corrected, material, subjects},
    question::{Question, Seen, View, is_correction, seen},
};
use crate::{
    pb::{self, SampleEventKind, record::Kind},
    tlog::{Index, TreeSize},
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
        Self::gathered(patient, true, |subject| facts.about(subject))
    }

    /// Gathers the patient's own facts, and those of pseudonyms that were merged with this one or split from it;
    /// not what leads from them to samples, cases and lots.
    pub fn of_person<F: Facts>(facts: &F, patient: &str) -> Result<Self, F::Error> {
        Self::gathered(patient, false, |subject| facts.about(subject))
    }

    /// Gathers what tells how the patient stands, and other pseudonyms of the patient; where they are asked for, also
    /// the lots that were given with all that they were made of. Not what was seen of the patient since, and no
    /// samples or cases.
    pub fn of_standing<F: Facts>(
        facts: &F,
        patient: &str,
        with_lots: bool,
    ) -> Result<Self, F::Error> {
        Self::gathered(patient, with_lots, |subject| {
            if let Subject::Patient(patient) = subject {
                facts.standing(patient)
            } else {
                facts.about(subject)
            }
        })
    }

    /// Gathers what `about` has of a patient's pseudonyms and, if it is to `follow`, of all that they lead to.
    fn gathered<E>(
        patient: &str,
        follow: bool,
        about: impl Fn(&Subject) -> Result<Vec<Arc<Fact>>, E>,
    ) -> Result<Self, E> {
        let mut gathered = Gathered::default();
        gathered.ask(Subject::Patient(patient.to_owned()));
        let mut trails = Trails::default();
        while !gathered.open.is_empty() {
            while let Some(subject) = gathered.open.pop_first() {
                let about = about(&subject)?;
                gathered.asked.insert(subject);
                for fact in about {
                    trails.meet(&fact);
                    gathered.lead_on(&fact.record, follow);
                    gathered.facts.insert(fact.index, fact);
                }
            }
            // What a correction makes of a record leads on as well: to another lot, to another sample.
            for record in trails.corrected() {
                gathered.lead_on(&record, follow);
            }
        }
        Ok(Self {
            patient: patient.to_owned(),
            facts: gathered.facts,
        })
    }

    /// The pseudonym of whom a record is about, as the question knows, which names one: another, if that one was
    /// given up, or the record was moved when pseudonyms were split.
    pub fn owner<F: Facts>(
        facts: &F,
        fact: &Fact,
        question: &Question,
    ) -> Result<String, F::Error> {
        let named = &fact.record.patient;
        let about = facts.about(&Subject::Patient(named.clone()))?;
        // Most are one person under one pseudonym.
        if !about.iter().any(|fact| tells_who(fact)) {
            return Ok(named.clone());
        }
        Ok(Self::of_person(facts, named)?.whose(fact, question))
    }

    /// The pseudonym that a pseudonym has become, as the question knows: one for each person.
    pub fn person<F: Facts>(
        facts: &F,
        pseudonym: &str,
        question: &Question,
    ) -> Result<String, F::Error> {
        let about = facts.about(&Subject::Patient(pseudonym.to_owned()))?;
        if !about.iter().any(|fact| tells_who(fact)) {
            return Ok(pseudonym.to_owned());
        }
        Ok(Self::of_person(facts, pseudonym)?.known_as(question))
    }

    /// Every fact, in the order of the log.
    pub fn facts(&self) -> impl Iterator<Item = &Arc<Fact>> {
        self.facts.values()
    }

    /// What a question sees of the patient, in the order of the day, of the instant where it is known, and of the log.
    ///
    /// With [`View::AsCorrected`], records of a pseudonym that was merged into this one are this patient's, and those
    /// that were split off are not; with [`View::AsRecorded`] each stays where it was recorded.
    pub fn seen(&self, question: &Question) -> Vec<Seen> {
        let facts: Vec<Arc<Fact>> = self.facts.values().map(Arc::clone).collect();
        let mut all = seen(&facts, question);
        let people = People::of(self.facts(), question);
        let me = people.now(&self.patient);
        let mut mine = BTreeSet::new();
        let mut all_named = true;
        let mut led = Gathered::default();
        let mut unnamed: BTreeMap<Subject, Vec<&Seen>> = BTreeMap::new();
        for fact in &all {
            let of = people.patient_of(fact);
            if of == me {
                mine.insert(fact.index);
            } else if of.is_empty() {
                all_named = false;
                for subject in subjects(&fact.record) {
                    // A lot's intended patient, a collection's donor.
                    if matches!(&subject, Subject::Patient(of) if people.now(of) == me) {
                        led.ask(subject.clone());
                    }
                    unnamed.entry(subject).or_default().push(fact);
                }
            }
        }
        if all_named {
            all.retain(|fact| mine.contains(&fact.index));
            return all;
        }
        // What names nobody is this patient's through what does: a result through its sample, which may turn out to
        // be another's.
        for fact in all.iter().filter(|fact| mine.contains(&fact.index)) {
            fact.kind().into_iter().for_each(|kind| led.follow(kind));
        }
        while let Some(subject) = led.open.pop_first() {
            let of_it = unnamed.remove(&subject).unwrap_or_default();
            led.asked.insert(subject);
            for fact in of_it {
                mine.insert(fact.index);
                fact.kind().into_iter().for_each(|kind| led.follow(kind));
            }
        }
        // A second signature is whose the record is that it is under.
        let of_mine = all.iter().filter(|fact| mine.contains(&fact.index));
        let ids: BTreeSet<&str> = of_mine.map(|fact| fact.record.record_id.as_str()).collect();
        let signed = all.iter().filter(|fact| {
            people.patient_of(fact).is_empty()
                && corrected(&fact.record).is_some_and(|target| ids.contains(target))
        });
        let signed: Vec<Index> = signed.map(|fact| fact.index).collect();
        mine.extend(signed);
        all.retain(|fact| mine.contains(&fact.index));
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
    /// The moves of each record that was split off: from whom, to whom.
    moved: BTreeMap<String, Vec<(String, String)>>,
}

impl People {
    /// Merges and splits tell who somebody is, not what happened: like corrections they count as soon as they
    /// are known. A later split undoes a merge for the records that it names.
    fn of<'a>(facts: impl IntoIterator<Item = &'a Arc<Fact>>, question: &Question) -> Self {
        let mut people = Self {
            merged_into: BTreeMap::new(),
            moved: BTreeMap::new(),
        };
        if question.view == View::AsRecorded {
            return people;
        }
        let whenever = Question {
            as_of: chrono::NaiveDate::MAX,
            ..*question
        };
        let facts = facts.into_iter().filter(|fact| tells_who(fact));
        let facts: Vec<Arc<Fact>> = facts.cloned().collect();
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
                    let moves = people.moved.entry(record.clone()).or_default();
                    moves.push((patient.clone(), split.split_patient.clone()));
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

    /// Whose record it is; empty if it names nobody. A split moves only what is that patient's.
    fn patient_of<'a>(&'a self, fact: &'a Fact) -> &'a str {
        let mut owner = self.now(&fact.record.patient);
        let moves = self.moved.get(&fact.record.record_id);
        for (from, to) in moves.into_iter().flatten() {
            if owner == self.now(from) {
                owner = self.now(to);
            }
        }
        owner
    }
}

/// Whether a fact may tell which pseudonyms are one person: few do. Corrections decide which of them stand.
fn tells_who(fact: &Fact) -> bool {
    matches!(
        fact.kind(),
        Some(Kind::PatientMerged(_) | Kind::PatientSplit(_) | Kind::Correction(_))
    )
}

/// The facts that were met, by record id, and those of them that correct others.
#[derive(Default)]
struct Trails {
    /// Not sorted yet: where nothing is corrected, there is no need to.
    met: Vec<Arc<Fact>>,
    facts: BTreeMap<String, Arc<Fact>>,
    corrections: Vec<Arc<Fact>>,
    /// How many of the corrections were looked at.
    followed: usize,
}

impl Trails {
    fn meet(&mut self, fact: &Arc<Fact>) {
        self.met.push(Arc::clone(fact));
    }

    fn sort(&mut self) {
        for fact in self.met.drain(..) {
            let id = &fact.record.record_id;
            if !self.facts.contains_key(id) {
                self.facts.insert(id.clone(), Arc::clone(&fact));
                if is_correction(&fact) {
                    self.corrections.push(fact);
                }
            }
        }
    }

    /// The corrected records as each correction that was met since left them.
    fn corrected(&mut self) -> Vec<pb::Record> {
        if self.corrections.is_empty() && !self.met.iter().any(|fact| is_correction(fact)) {
            return Vec::new();
        }
        self.sort();
        let met = self.corrections.iter().skip(self.followed);
        let records = met.filter_map(|by| self.after(by)).collect();
        self.followed = self.corrections.len();
        records
    }

    /// What a correction, and those before it, leave of the record that they are about.
    fn after(&self, by: &Fact) -> Option<pb::Record> {
        let first = self.first(by)?;
        let is_of_it = |fact: &&Arc<Fact>| {
            fact.index <= by.index && self.first(fact).is_some_and(|of| of.index == first.index)
        };
        let corrections = self.corrections.iter().filter(is_of_it);
        let trail = [first].into_iter().chain(corrections);
        let mut trail: Vec<Arc<Fact>> = trail.cloned().collect();
        trail.sort_by_key(|fact| fact.index);
        // What takes the record's place may come later still, and until then the record leads on.
        let then = Question {
            known_at: TreeSize::new(by.index.value().saturating_add(1)),
            ..Question::EVERYTHING
        };
        seen(&trail, &then).pop().map(|seen| seen.record.clone())
    }

    /// The record that a correction corrects in the end.
    fn first(&self, correction: &Fact) -> Option<&Arc<Fact>> {
        let mut fact = correction;
        // A correction is recorded after its target.
        loop {
            let target = self.facts.get(corrected(&fact.record)?);
            let target = target.filter(|one| one.index < fact.index)?;
            if !is_correction(target) {
                return Some(target);
            }
            fact = target;
        }
    }
}

#[derive(Default)]
struct Gathered {
    facts: BTreeMap<Index, Arc<Fact>>,
    asked: BTreeSet<Subject>,
    open: BTreeSet<Subject>,
}

impl Gathered {
    fn ask(&mut self, subject: Subject) {
        if !self.asked.contains(&subject) {
            self.open.insert(subject);
        }
    }

    /// Asks for what a record leads to: other pseudonyms and, if it is to `follow`, everything else.
    fn lead_on(&mut self, record: &pb::Record, follow: bool) {
        self.meet(record);
        if let Some(kind) = record.kind.as_ref().filter(|_| follow) {
            self.follow(kind);
        }
    }

    /// Asks for the other pseudonym of a merge or a split.
    fn meet(&mut self, record: &pb::Record) {
        let other = match &record.kind {
            Some(Kind::PatientMerged(merged)) => &merged.merged_patient,
            Some(Kind::PatientSplit(split)) => &split.split_patient,
            _ => return,
        };
        self.ask(Subject::Patient(other.clone()));
        self.ask(Subject::Patient(record.patient.clone()));
    }

    fn follow(&mut self, kind: &Kind) {
        if let Kind::Administration(administration) = kind {
            self.lot(administration.lot.as_ref());
            self.coi(&administration.coi);
        } else if let Kind::LotRegistered(lot) = kind {
            self.ask(Subject::Lot(LotId::from(lot)));
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
    use crate::rules::book::Book;

    /// A log of who said what of whom.
    #[derive(Default)]
    struct Log(Book);

    impl Log {
        fn add(&mut self, patient: &str, kind: Kind) -> Index {
            let index = u64::try_from(self.0.facts().len()).unwrap();
            self.0
                .insert(Fact::told(index, "2020-01-10", patient, kind));
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
            view,
            ..Question::EVERYTHING
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

#[cfg(test)]
mod tests_of_corrections {
    use super::*;
    use crate::{rules::book::Book, tlog::TreeSize};

    /// Records of one day each, in their order.
    fn book(records: Vec<(&str, &str, Kind)>) -> Book {
        let mut book = Book::default();
        for (index, (record_id, patient, kind)) in (0..).zip(records) {
            let record = pb::Record {
                record_id: record_id.to_owned(),
                event_time: "2026-01-05".to_owned(),
                patient: patient.to_owned(),
                kind: Some(kind),
                ..Default::default()
            };
            book.insert(Fact::of_record(index, record));
        }
        book
    }

    fn collected(sample: &str) -> Kind {
        Kind::SampleCollected(pb::SampleCollected {
            sample_id: sample.to_owned(),
            ..Default::default()
        })
    }

    fn result(sample: &str) -> Kind {
        Kind::AssayResult(pb::AssayResult {
            sample_id: sample.to_owned(),
            ..Default::default()
        })
    }

    fn change(target: &str, path: &str, new: &str) -> Kind {
        Kind::Correction(pb::Correction {
            target: target.to_owned(),
            correction_kind: pb::CorrectionKind::IncorrectData.into(),
            changes: vec![pb::FieldChange {
                path: path.to_owned(),
                new: new.to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        })
    }

    fn split(of: &str, moved: &str) -> Kind {
        Kind::PatientSplit(pb::PatientSplit {
            split_patient: of.to_owned(),
            moved_records: vec![moved.to_owned()],
        })
    }

    #[track_caller]
    fn check(book: &Book, patient: &str, known: u64, expected: &[&str]) {
        let question = Question {
            as_of: chrono::NaiveDate::MAX,
            known_at: TreeSize::new(known),
            view: View::AsCorrected,
        };
        let Ok(dossier) = Dossier::of_patient(book, patient);
        let seen = dossier.seen(&question);
        let ids: Vec<&str> = seen
            .iter()
            .map(|one| one.record.record_id.as_str())
            .collect();
        assert_eq!(ids, expected, "{patient} of {known}");
    }

    #[test]
    fn a_result_that_names_nobody_is_whose_sample_it_is_known_to_be() {
        let book = book(vec![
            ("sample", "A", collected("S")),
            ("result", "", result("S")),
            ("correction", "", change("sample", "patient", "B")),
        ]);
        check(&book, "A", 2, &["sample", "result"]);
        check(&book, "B", 2, &[]);
        check(&book, "A", 3, &[]);
        check(&book, "B", 3, &["sample", "result"]);
    }

    #[test]
    fn a_corrected_record_leads_to_what_it_is_about_now() {
        let registered = pb::LotRegistered {
            gtin: "09521123450011".to_owned(),
            lot: "L2".to_owned(),
            ..Default::default()
        };
        let given = pb::Administration {
            lot: Some(pb::LotKey {
                gtin: registered.gtin.clone(),
                lot: "L1".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let book = book(vec![
            ("lot", "", Kind::LotRegistered(registered)),
            ("given", "A", Kind::Administration(given)),
            (
                "correction",
                "",
                change("given", "administration.lot.lot", "L2"),
            ),
        ]);
        check(&book, "A", 2, &["given"]);
        check(&book, "A", 3, &["lot", "given"]);
    }

    #[test]
    fn a_second_signature_does_not_stand_between_a_record_and_its_correction() {
        let lot = |lot: &str| pb::LotKey {
            lot: lot.to_owned(),
            ..Default::default()
        };
        let given = Kind::Administration(pb::Administration {
            lot: Some(lot("L1")),
            ..Default::default()
        });
        let registered = Kind::LotRegistered(pb::LotRegistered {
            lot: "L2".to_owned(),
            ..Default::default()
        });
        let signed = Kind::Countersigned(pb::Countersigned {
            target: "given".to_owned(),
            ..Default::default()
        });
        let corrected = change("given", "administration.lot.lot", "L2");
        let book = book(vec![
            ("lot", "", registered),
            ("given", "A", given),
            ("signed", "", signed),
            ("correction", "", corrected),
        ]);
        check(&book, "A", 3, &["given", "signed"]);
        check(&book, "A", 4, &["lot", "given", "signed"]);
    }

    #[test]
    fn a_corrected_merge_leads_to_whom_it_merges_now() {
        let merged = Kind::PatientMerged(pb::PatientMerged {
            merged_patient: "B".to_owned(),
        });
        let book = book(vec![
            ("sample", "A", collected("S")),
            ("merge", "C", merged),
            ("correction", "", change("merge", "patient", "A")),
        ]);
        check(&book, "B", 2, &["merge"]);
        check(&book, "B", 3, &["sample", "merge"]);
    }

    #[test]
    fn a_split_moves_what_is_that_patients_and_no_more() {
        let book = book(vec![
            ("one", "A", collected("S-1")),
            ("two", "C", collected("S-2")),
            ("split", "A", split("B", "one")),
            ("wrong", "A", split("B", "two")),
            ("again", "B", split("C", "one")),
        ]);
        check(&book, "A", 3, &["split"]);
        check(&book, "B", 4, &["one"]);
        check(&book, "C", 4, &["two"]);
        check(&book, "C", 5, &["one", "two"]);
    }
}
