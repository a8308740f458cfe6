//! Which entries are about what: the facts of a subject, how a patient stands, the patients of a site. Says where
//! to look; what the entries say, and what follows from it, is for others.
//!
//! A correction is about all that the record is about which it corrects in the end, and about what that
//! record is about by it, or was until then: a corrected lot number makes it one about that lot. No entry is posted
//! for another: who finds a correction without its record asks for the trail, which is the record and its
//! corrections.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

use super::{
    ViewError,
    group::{self, Group},
    postings::{Posted, Postings, posting},
    tally::Tally,
};
use crate::{
    pb::{self, PatientState, record::Kind},
    record::format::parse_uuid,
    rules::{
        fact::{Fact, Subject, corrected, subjects, tells_standing},
        question::{Question, seen},
    },
    store::Store,
    tlog::{Index, TreeSize},
};

/// What a record is posted under: made where the record is at hand, for the thread that knows its index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posts {
    groups: BTreeSet<Group>,
    /// Whether it tells how the patients stand whom it is about.
    tells_standing: bool,
    /// The record id of a correction's target.
    target: Option<[u8; 16]>,
}

impl Posts {
    /// What a record is posted under by itself.
    pub fn of(record: &pb::Record) -> Self {
        Self::about(record, &subjects(record))
    }

    /// The same of a record whose subjects are known.
    pub fn about(record: &pb::Record, subjects: &BTreeSet<Subject>) -> Self {
        let target = corrected(record).and_then(|target| parse_uuid(target).ok());
        Self {
            groups: groups_about(record, subjects),
            tells_standing: record.kind.as_ref().is_some_and(tells_standing),
            target,
        }
    }

    /// Adds the groups of others, and their mark. The target stays.
    fn extend(&mut self, others: Self) {
        self.groups.extend(others.groups);
        self.tells_standing |= others.tells_standing;
    }

    /// Each group, and whether its entry is marked.
    fn marked(self) -> impl Iterator<Item = (Group, bool)> {
        self.groups.into_iter().map(move |group| {
            let marked = self.tells_standing && group::is_of_patient(&group);
            (group, marked)
        })
    }
}

fn groups_about(record: &pb::Record, subjects: &BTreeSet<Subject>) -> BTreeSet<Group> {
    let mut groups: BTreeSet<Group> = subjects.iter().map(group::of_subject).collect();
    let patients = subjects.iter().filter_map(patient_of);
    if let Some(Kind::PatientMerged(_) | Kind::PatientSplit(_)) = &record.kind {
        groups.extend(patients.map(group::of_merges));
    }
    let patient = record.patient.as_str();
    let mut place = |site: &str| {
        if !site.is_empty() && !patient.is_empty() {
            groups.insert(group::of_place(site, patient));
        }
    };
    match &record.kind {
        Some(Kind::PatientRegistered(_) | Kind::Administration(_)) => place(&record.site),
        Some(Kind::PatientStatus(status)) if status.state() == PatientState::Transferred => {
            place(&status.transferred_to);
        }
        _ => {}
    }
    groups
}

fn patient_of(subject: &Subject) -> Option<&str> {
    if let Subject::Patient(patient) = subject {
        Some(patient)
    } else {
        None
    }
}

/// What records are posted under as they are corrected in the end.
fn posts_as_corrected(trail: &[Arc<Fact>]) -> Posts {
    let mut posts = Posts::default();
    for seen in seen(trail, &Question::EVERYTHING) {
        posts.extend(Posts::of(&seen.record));
    }
    posts
}

/// The entries that a correction leads to.
pub trait Earlier {
    /// Why one could not be had.
    type Error: From<ViewError>;

    /// The entry whose record has this id, if it comes before `end`.
    fn find(&self, record_id: &[u8; 16], end: Index) -> Result<Option<Index>, Self::Error>;

    /// The fact of an entry: of the correction, or of one before it.
    fn read(&self, index: Index) -> Result<Fact, Self::Error>;
}

/// The index of what entries are about. One thread inserts, one keeps it up, and any may ask.
#[derive(Debug)]
pub struct FactIndex {
    postings: Postings,
    /// The entries about the catalogue, in order, once somebody has asked: each receipt asks how many there are, and
    /// they may be thousands.
    catalogue: RwLock<Option<Vec<Index>>>,
}

impl FactIndex {
    /// Opens the index as the store holds it. What lies beyond [`FactIndex::watermark`] must be inserted by
    /// the caller.
    ///
    /// # Errors
    /// [`ViewError::Damaged`] where the stored view does not fit together: drop and rebuild it.
    pub fn open(store: &dyn Store) -> Result<Self, ViewError> {
        Postings::open(store).map(Self::over)
    }

    fn over(postings: Postings) -> Self {
        Self {
            postings,
            catalogue: RwLock::default(),
        }
    }

    /// Up to where the stored runs reach.
    pub fn watermark(&self) -> TreeSize {
        self.postings.watermark()
    }

    /// Inserts what the next entry is about. A correction that was recorded before its target takes nothing
    /// from it.
    ///
    /// # Errors
    /// The store's, and those of `earlier`.
    pub fn insert<E: Earlier>(
        &self,
        store: &dyn Store,
        index: Index,
        posts: Posts,
        earlier: &E,
    ) -> Result<(), E::Error> {
        let posts = self.all_posts(store, index, posts, earlier)?;
        let is_catalogue = posts.groups.contains(group::CATALOGUE_GROUP);
        self.postings.insert(index, posts.marked());
        if is_catalogue
            && let Some(entries) = &mut *self.catalogue_mut()
            // Who asked first may have found it there already.
            && entries.last().is_none_or(|last| *last < index)
        {
            entries.push(index);
        }
        Ok(())
    }

    /// Adds to `tally` what [`FactIndex::insert`] would insert for an entry.
    ///
    /// # Errors
    /// The store's, and those of `earlier`.
    pub fn expect<E: Earlier>(
        &self,
        store: &dyn Store,
        index: Index,
        posts: Posts,
        earlier: &E,
        tally: &mut Tally,
    ) -> Result<(), E::Error> {
        let posts = self.all_posts(store, index, posts, earlier)?;
        for (group, marked) in posts.marked() {
            tally.add(&posting(&group, Posted::new(index, marked)));
        }
        Ok(())
    }

    /// All that an entry is posted under: its own, and that of a correction by what it corrects.
    fn all_posts<E: Earlier>(
        &self,
        store: &dyn Store,
        index: Index,
        mut posts: Posts,
        earlier: &E,
    ) -> Result<Posts, E::Error> {
        let target = match &posts.target {
            Some(target) => earlier.find(target, index)?,
            None => None,
        };
        let Some(target) = target else {
            return Ok(posts);
        };
        let before = TreeSize::new(index.value());
        // A target that is itself a correction leads on, if what it corrects was there.
        let mut trail = self.trail(store, target, before)?;
        if trail.is_empty() {
            trail = self.trail_of(store, target, before)?;
        }
        let first = trail.first().copied().unwrap_or(target);
        let facts = trail.iter().chain([&index]);
        let facts: Vec<Arc<Fact>> = facts
            .map(|&index| Ok(Arc::new(earlier.read(index)?)))
            .collect::<Result<_, E::Error>>()?;

        if let Some(fact) = facts.first() {
            posts.extend(Posts::of(&fact.record));
        }
        posts.extend(posts_as_corrected(&facts));
        // What the record was about before, it may not be about any more.
        if let Some((_, before)) = facts.split_last() {
            posts.extend(posts_as_corrected(before));
        }
        posts.groups.insert(group::corrections_of(first));
        posts.groups.insert(group::first_of(index, first));
        Ok(posts)
    }

    /// The entry that a correction corrects in the end, and that entry's corrections below `size`, in order.
    /// Empty if it was not there yet when the correction was recorded.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn trail(
        &self,
        store: &dyn Store,
        correction: Index,
        size: TreeSize,
    ) -> Result<Vec<Index>, ViewError> {
        let start = group::firsts_of(correction);
        let end = group::end_of(&start);
        let firsts = self.postings.groups(store, &start, &end, size, 1)?;
        match firsts.first().and_then(|group| group::first(group)) {
            Some(first) => self.trail_of(store, first, size),
            None => Ok(Vec::new()),
        }
    }

    fn trail_of(
        &self,
        store: &dyn Store,
        first: Index,
        size: TreeSize,
    ) -> Result<Vec<Index>, ViewError> {
        let group = group::corrections_of(first);
        let mut trail = vec![first];
        trail.extend(self.entries(store, &group, size)?);
        Ok(trail)
    }

    /// The entries below `size` that are about a subject, in order; of a record that became so by corrections,
    /// only the corrections.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn about(
        &self,
        store: &dyn Store,
        subject: &Subject,
        size: TreeSize,
    ) -> Result<Vec<Index>, ViewError> {
        if *subject == Subject::Catalogue {
            return self.with_catalogue(store, size, <[Index]>::to_vec);
        }
        self.entries(store, &group::of_subject(subject), size)
    }

    /// The entries of a group below `size`, in order.
    fn entries(
        &self,
        store: &dyn Store,
        group: &[u8],
        size: TreeSize,
    ) -> Result<Vec<Index>, ViewError> {
        let entries = self.postings.entries(store, group, size)?;
        Ok(entries.into_iter().map(Posted::index).collect())
    }

    /// How many entries below `size` are about a subject.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn count(
        &self,
        store: &dyn Store,
        subject: &Subject,
        size: TreeSize,
    ) -> Result<usize, ViewError> {
        if *subject == Subject::Catalogue {
            return self.with_catalogue(store, size, <[Index]>::len);
        }
        Ok(self.about(store, subject, size)?.len())
    }

    /// Shows the entries below `size` about the catalogue, which are read when they are first asked for.
    fn with_catalogue<T>(
        &self,
        store: &dyn Store,
        size: TreeSize,
        show: impl FnOnce(&[Index]) -> T,
    ) -> Result<T, ViewError> {
        let show_below = |entries: &[Index]| {
            let until = entries.partition_point(|index| index.value() < size.value());
            show(entries.get(..until).unwrap_or_default())
        };
        let kept = self.catalogue.read();
        let kept = kept.unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = &*kept {
            return Ok(show_below(entries));
        }
        drop(kept);
        let mut kept = self.catalogue_mut();
        if kept.is_none() {
            let everything = TreeSize::new(u64::MAX);
            *kept = Some(self.entries(store, group::CATALOGUE_GROUP, everything)?);
        }
        Ok(show_below(kept.as_deref().unwrap_or_default()))
    }

    fn catalogue_mut(&self) -> RwLockWriteGuard<'_, Option<Vec<Index>>> {
        self.catalogue
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The subjects after one that have an entry below `size`: the first `limit` of them, in order, whatever
    /// their kind.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn subjects_after(
        &self,
        store: &dyn Store,
        after: &Subject,
        size: TreeSize,
        limit: usize,
    ) -> Result<Vec<Subject>, ViewError> {
        let start = group::end_of(&group::of_subject(after));
        let end = group::SUBJECTS_END;
        let groups = self.postings.groups(store, &start, end, size, limit)?;
        Ok(groups
            .iter()
            .filter_map(|one| group::subject(one))
            .collect())
    }

    /// The entries below `size` that tell how a patient stands, in order; see [`FactIndex::about`].
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn standing(
        &self,
        store: &dyn Store,
        patient: &str,
        size: TreeSize,
    ) -> Result<Vec<Index>, ViewError> {
        let group = group::of_subject(&Subject::Patient(patient.to_owned()));
        let entries = self.postings.entries(store, &group, size)?;
        let telling = entries.into_iter().filter(|entry| entry.is_marked());
        Ok(telling.map(Posted::index).collect())
    }

    /// The patients after one, of whom an entry below `tree` says that they may be at a site: registered or
    /// treated there, transferred to it, or so after a correction. And, wherever they are, those who were merged
    /// with another or split: what puts them at the site may be said of the other. The first `limit`, in order; the
    /// empty text is before all.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn patients_at(
        &self,
        store: &dyn Store,
        site: &str,
        after: &str,
        tree: TreeSize,
        limit: usize,
    ) -> Result<Vec<String>, ViewError> {
        let range = |start: Vec<u8>, all: &[u8]| {
            let start = if after.is_empty() { all } else { &start };
            self.postings
                .groups(store, start, &group::end_of(all), tree, limit)
        };
        let of_site = group::places_of(site);
        let at_site = range(group::end_of(&group::of_place(site, after)), &of_site)?;
        let merged = range(group::end_of(&group::of_merges(after)), group::MERGES)?;
        let at_site = at_site.iter().filter_map(|one| group::placed(one));
        let merged = merged.iter().filter_map(|one| group::merged(one));
        let patients: BTreeSet<String> = at_site.chain(merged).collect();
        Ok(patients.into_iter().take(limit).collect())
    }

    /// Adds every posting to `tally`.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn tally(&self, store: &dyn Store, tally: &mut Tally) -> Result<(), ViewError> {
        self.postings.each(store, |posting| tally.add(posting))
    }

    /// One step of upkeep: a few hundred keys, and a filter.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run to be merged is.
    pub fn keep_up(&self, store: &dyn Store) -> Result<(), ViewError> {
        self.postings.keep_up(store)
    }

    /// Writes what is in memory as a run, so that nothing need be read again at the next start.
    ///
    /// # Errors
    /// The store's.
    pub fn close(&self, store: &dyn Store) -> Result<(), ViewError> {
        self.postings.close(store)
    }
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        rules::{
            book::Book,
            fact::{Fact, Facts as _},
        },
        store::MemoryStore,
    };

    fn uuid(number: u64) -> String {
        format!("00000000-0000-4000-8000-{number:012x}")
    }

    fn record(number: u64, patient: &str, kind: Kind) -> pb::Record {
        pb::Record {
            record_id: uuid(number),
            event_time: "2026-03-02".to_owned(),
            site: format!("site-{}", number % 3),
            patient: patient.to_owned(),
            kind: Some(kind),
            ..pb::Record::default()
        }
    }

    /// A correction that changes nothing, or what stands at a path.
    fn correction(number: u64, target: u64, change: Option<(&str, &str)>) -> pb::Record {
        let made = |(path, new): (&str, &str)| pb::FieldChange {
            path: path.to_owned(),
            new: new.to_owned(),
            ..pb::FieldChange::default()
        };
        let correction = pb::Correction {
            target: uuid(target),
            correction_kind: pb::CorrectionKind::IncorrectData.into(),
            changes: change.map(made).into_iter().collect(),
            ..pb::Correction::default()
        };
        record(number, "", Kind::Correction(correction))
    }

    fn signature(number: u64, patient: &str, version: &str) -> pb::Record {
        let signed = pb::ConsentSigned {
            version: Some(pb::ConsentVersionKey {
                family: "main".to_owned(),
                version: version.to_owned(),
            }),
            ..pb::ConsentSigned::default()
        };
        record(number, patient, Kind::ConsentSigned(signed))
    }

    /// An index, and the records that it should know.
    struct Bench {
        store: MemoryStore,
        index: FactIndex,
        records: Vec<pb::Record>,
    }

    impl Bench {
        fn new() -> Self {
            let store = MemoryStore::default();
            let index = FactIndex::over(Postings::with_recent(&store, 7).unwrap());
            Self {
                store,
                index,
                records: Vec::new(),
            }
        }

        fn of(records: impl IntoIterator<Item = pb::Record>) -> Self {
            let mut bench = Self::new();
            records.into_iter().for_each(|record| bench.push(record));
            bench
        }

        fn push(&mut self, record: pb::Record) {
            self.records.push(record);
            self.insert(self.records.len() - 1);
        }

        fn insert(&self, at: usize) {
            let number = u64::try_from(at).unwrap();
            let posts = Posts::of(&self.records[at]);
            let inserted = self
                .index
                .insert(&self.store, Index::new(number), posts, self);
            inserted.unwrap();
        }

        fn reopen(&mut self) {
            self.store = self.store.crash_image(usize::MAX);
            self.index = FactIndex::over(Postings::with_recent(&self.store, 7).unwrap());
            let watermark = usize::try_from(self.index.watermark().value()).unwrap();
            (watermark..self.records.len()).for_each(|at| self.insert(at));
        }

        fn size(&self) -> TreeSize {
            TreeSize::new(u64::try_from(self.records.len()).unwrap())
        }

        fn about(&self, subject: &Subject, size: TreeSize) -> Vec<u64> {
            let mut about = BTreeSet::new();
            let entries = self.index.about(&self.store, subject, size).unwrap();
            let count = self.index.count(&self.store, subject, size).unwrap();
            assert_eq!(count, entries.len(), "{subject:?}");
            for index in entries {
                about.insert(index);
                about.extend(self.index.trail(&self.store, index, size).unwrap());
            }
            about.into_iter().map(Index::value).collect()
        }

        fn patients_at(&self, site: &str) -> Vec<String> {
            let (store, tree) = (&self.store, self.size());
            self.index.patients_at(store, site, "", tree, 9).unwrap()
        }

        fn standing(&self, patient: &str) -> Vec<u64> {
            let mut standing = BTreeSet::new();
            let size = self.size();
            for index in self.index.standing(&self.store, patient, size).unwrap() {
                standing.insert(index);
                standing.extend(self.index.trail(&self.store, index, size).unwrap());
            }
            standing.into_iter().map(Index::value).collect()
        }

        fn tallies(&self) -> (Tally, Tally) {
            let size = self.size();
            let mut expected = Tally::new(size, 0..u64::MAX);
            for at in 0..self.records.len() {
                let number = Index::new(u64::try_from(at).unwrap());
                let posts = Posts::of(&self.records[at]);
                let store = &self.store;
                let done = self.index.expect(store, number, posts, self, &mut expected);
                done.unwrap();
            }
            let mut have = Tally::new(size, 0..u64::MAX);
            self.index.tally(&self.store, &mut have).unwrap();
            (expected, have)
        }
    }

    impl Earlier for Bench {
        type Error = ViewError;

        fn find(&self, id: &[u8; 16], end: Index) -> Result<Option<Index>, ViewError> {
            let mut records = self.records.iter();
            let at = records.position(|record| parse_uuid(&record.record_id).unwrap() == *id);
            let index = at.map(|at| Index::new(u64::try_from(at).unwrap()));
            Ok(index.filter(|&index| index < end))
        }

        fn read(&self, index: Index) -> Result<Fact, ViewError> {
            let at = usize::try_from(index.value()).unwrap_or(usize::MAX);
            Ok(fact(index.value(), self.records[at].clone()))
        }
    }

    fn fact(number: u64, record: pb::Record) -> Fact {
        Fact {
            index: Index::new(number),
            recorded_at: chrono::DateTime::UNIX_EPOCH,
            actor: String::new(),
            on: NaiveDate::MIN,
            record,
            replacement: None,
        }
    }

    fn registered() -> Kind {
        Kind::PatientRegistered(pb::PatientRegistered::default())
    }

    #[test]
    fn a_correction_is_about_all_that_its_target_is_about_however_often_corrected() {
        let lot = Subject::Sample("S-1".to_owned());
        let patient = Subject::Patient("P-1".to_owned());
        let sample = pb::SampleCollected {
            sample_id: "S-1".to_owned(),
            ..pb::SampleCollected::default()
        };
        let bench = Bench::of([
            record(0, "P-1", Kind::SampleCollected(sample)),
            record(1, "P-2", registered()),
            correction(2, 0, None),
            correction(3, 2, None),
            correction(4, 3, None),
            correction(5, 99, None),
        ]);
        for subject in [lot, patient] {
            assert_eq!(bench.about(&subject, bench.size()), [0, 2, 3, 4]);
            assert_eq!(bench.about(&subject, TreeSize::new(3)), [0, 2]);
            assert_eq!(bench.about(&subject, TreeSize::new(0)), [0_u64; 0]);
        }
    }

    #[test]
    fn a_record_and_its_corrections_are_also_about_what_it_is_about_as_corrected() {
        let sample = pb::SampleCollected {
            sample_id: "S-1".to_owned(),
            ..pb::SampleCollected::default()
        };
        let path = "sample_collected.sample_id";
        let mut moved = correction(3, 0, Some(("patient", "P-2")));
        moved.patient = "P-2".to_owned();
        let mut book = Book::default();
        let mut bench = Bench::new();
        for record in [
            record(0, "P-1", Kind::SampleCollected(sample)),
            correction(1, 0, Some((path, "S-2"))),
            correction(2, 1, None),
            moved,
            correction(4, 0, Some((path, "S-3"))),
        ] {
            let number = bench.size().value();
            bench.push(record.clone());
            book.insert(fact(number, record));
        }
        for subject in [
            Subject::Patient("P-1".to_owned()),
            Subject::Patient("P-2".to_owned()),
            Subject::Sample("S-1".to_owned()),
            Subject::Sample("S-2".to_owned()),
            Subject::Sample("S-3".to_owned()),
        ] {
            let all = [0, 1, 2, 3, 4];
            assert_eq!(bench.about(&subject, bench.size()), all, "{subject:?}");
            let known = book.about(&subject).unwrap();
            let known: Vec<u64> = known.iter().map(|fact| fact.index.value()).collect();
            assert_eq!(known, all, "{subject:?} in the book");
        }
    }

    #[test]
    fn a_patient_is_at_the_sites_that_registered_treated_or_took_over_and_where_corrected_to() {
        let status = |state: PatientState, to: &str| {
            Kind::PatientStatus(pb::PatientStatus {
                state: state.into(),
                transferred_to: to.to_owned(),
                ..pb::PatientStatus::default()
            })
        };
        let given = Kind::Administration(pb::Administration::default());
        let bench = Bench::of([
            record(0, "P-1", registered()),
            record(1, "P-2", given),
            record(2, "P-3", registered()),
            record(3, "P-1", status(PatientState::Transferred, "site-1")),
            record(4, "P-3", status(PatientState::Active, "site-1")),
            correction(5, 2, Some(("site", "site-0"))),
            correction(6, 5, None),
        ]);
        assert_eq!(bench.patients_at("site-0"), ["P-1", "P-3"]);
        assert_eq!(bench.patients_at("site-1"), ["P-1", "P-2"]);
        assert_eq!(bench.patients_at("site-2"), ["P-3"]);
        assert_eq!(bench.patients_at("site-"), [""; 0]);
        let patient = Subject::Patient("P-3".to_owned());
        assert_eq!(bench.about(&patient, bench.size()), [2, 4, 5, 6]);
        let (store, size) = (&bench.store, bench.size());
        let after = |after| {
            bench
                .index
                .patients_at(store, "site-1", after, size, 1)
                .unwrap()
        };
        assert_eq!(after("P-1"), ["P-2"]);
        assert_eq!(after("P-2"), [""; 0]);
    }

    #[test]
    fn who_was_merged_or_split_is_at_every_site() {
        let merged = Kind::PatientMerged(pb::PatientMerged {
            merged_patient: "P-5".to_owned(),
        });
        let split = Kind::PatientSplit(pb::PatientSplit {
            split_patient: "P-0".to_owned(),
            ..pb::PatientSplit::default()
        });
        let bench = Bench::of([
            record(0, "P-1", registered()),
            record(3, "P-3", registered()),
            record(1, "P-2", registered()),
            record(4, "P-4", merged),
            record(5, "P-2", split),
        ]);
        assert_eq!(
            bench.patients_at("site-0"),
            ["P-0", "P-1", "P-2", "P-3", "P-4", "P-5"]
        );
        let mut pages: Vec<String> = Vec::new();
        let (store, size) = (&bench.store, bench.size());
        while pages.len() < 9 {
            let after = pages.last().cloned().unwrap_or_default();
            let page = bench
                .index
                .patients_at(store, "site-1", &after, size, 2)
                .unwrap();
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, ["P-0", "P-2", "P-4", "P-5"]);
    }

    #[test]
    fn what_tells_how_a_patient_stands_is_marked_and_so_are_its_corrections() {
        let bench = Bench::of([
            record(0, "P-1", registered()),
            signature(1, "P-1", "v1"),
            record(
                2,
                "P-1",
                Kind::SampleCollected(pb::SampleCollected::default()),
            ),
            correction(3, 1, Some(("patient", "P-2"))),
            correction(4, 2, None),
            signature(5, "P-2", "v1"),
        ]);
        assert_eq!(bench.standing("P-1"), [0, 1, 3]);
        assert_eq!(bench.standing("P-2"), [1, 3, 5]);
        assert_eq!(bench.standing("P-"), [0; 0]);
    }

    #[test]
    fn a_dropped_posting_is_noticed_and_its_entry_named() {
        let mut bench = Bench::of((0..40).map(|number| {
            let patient = format!("P-{}", number % 5);
            record(number, &patient, registered())
        }));
        let (expected, have) = bench.tallies();
        assert_eq!(expected.differs(&have), None);
        // The entry is told, but not posted.
        bench.records.push(record(40, "P-1", registered()));
        bench.index.postings.insert(Index::new(40), []);
        let (expected, have) = bench.tallies();
        assert!(expected.differs(&have).is_some());
        assert_eq!(expected.differs_at(&have), Some(Index::new(40)));
    }

    /// A record, by its choices: what kind, of whom, and which earlier record it is about.
    fn any_record() -> impl Strategy<Value = (u8, u8, u64)> {
        (0_u8..6, 0_u8..5, 0_u64..30)
    }

    fn made((kind, who, other): (u8, u8, u64), number: u64) -> pb::Record {
        let patient = format!("P-{who}");
        let sample = |sample_id: String| pb::SampleCollected {
            sample_id,
            ..pb::SampleCollected::default()
        };
        match kind {
            0 => record(number, &patient, registered()),
            1 => record(
                number,
                &patient,
                Kind::SampleCollected(sample(format!("S-{other}"))),
            ),
            2 => signature(number, &patient, &format!("v{}", other % 4)),
            3 => record(number, "", Kind::RiskSignal(pb::RiskSignal::default())),
            _ => {
                // Also of records that there are not.
                let target = number.checked_sub(other + 1).unwrap_or(9_999);
                let new = format!("{patient}{}", other % 2);
                let paths = ["patient", "sample_collected.sample_id", "site", "no.such"];
                let path = paths.get(usize::from(who)).copied();
                let corrected = correction(number, target, path.map(|path| (path, new.as_str())));
                // Whose correction it is may be said as well.
                let patient = if other % 3 == 0 { new } else { String::new() };
                pb::Record {
                    patient,
                    ..corrected
                }
            }
        }
    }

    /// After each record: nothing, upkeep, a stop or a crash.
    fn any_history() -> impl Strategy<Value = Vec<((u8, u8, u64), u8)>> {
        prop::collection::vec((any_record(), 0_u8..8), 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn facts_are_those_of_the_book_and_of_a_rebuild_whatever_happens_in_between(
            history in any_history(),
        ) {
            let mut bench = Bench::new();
            let mut book = Book::default();
            for (number, (choices, then)) in (0..).zip(history) {
                let record = made(choices, number);
                bench.push(record.clone());
                book.insert(fact(number, record));
                match then {
                    0..4 => bench.index.keep_up(&bench.store).unwrap(),
                    4 => bench.index.close(&bench.store).unwrap(),
                    5 => bench.reopen(),
                    _ => {}
                }
                // From when it is first asked for, the catalogue is kept in memory.
                if then % 2 == 1 {
                    let known = book.about(&Subject::Catalogue).unwrap();
                    let known: Vec<u64> = known.iter().map(|fact| fact.index.value()).collect();
                    prop_assert_eq!(bench.about(&Subject::Catalogue, bench.size()), known);
                }
            }
            let rebuilt = Bench::of(bench.records.clone());
            let none = Subject::Patient(String::new());
            let subjects: Vec<Subject> = book.after(&Subject::Catalogue).cloned().collect();
            for subject in subjects.iter().chain([&Subject::Catalogue, &none]) {
                let known = book.about(subject).unwrap();
                let expected: Vec<u64> = known.iter().map(|fact| fact.index.value()).collect();
                prop_assert_eq!(&bench.about(subject, bench.size()), &expected);
                prop_assert_eq!(&rebuilt.about(subject, bench.size()), &expected);
            }
            for patient in subjects.iter().filter_map(patient_of) {
                let standing = book.standing(patient).unwrap();
                // Who says that a correction is of somebody has not made its record one of that person; and a record
                // that was corrected to be of another kind tells nothing any more.
                let seen = |facts: &[Arc<Fact>]| {
                    let mut seen = seen(facts, &Question::EVERYTHING);
                    seen.retain(|fact| {
                        fact.record.patient == patient && fact.kind().is_some_and(tells_standing)
                    });
                    seen
                };
                let found = bench.standing(patient);
                let found: Vec<Arc<Fact>> = standing
                    .iter()
                    .filter(|fact| found.contains(&fact.index.value()))
                    .cloned()
                    .collect();
                prop_assert_eq!(seen(&found), seen(&standing), "{}", patient);
                prop_assert_eq!(bench.standing(patient), rebuilt.standing(patient));
            }
            let listed = |limit| {
                let (store, size) = (&bench.store, bench.size());
                let mut listed = vec![Subject::Catalogue];
                while let Some(last) = listed.last() {
                    let page = bench.index.subjects_after(store, last, size, limit).unwrap();
                    if page.is_empty() {
                        break;
                    }
                    listed.extend(page);
                }
                listed.split_off(1)
            };
            prop_assert_eq!(&listed(3), &subjects);
            prop_assert_eq!(&listed(usize::MAX), &subjects);
            let ((expected, have), (_, again)) = (bench.tallies(), rebuilt.tallies());
            prop_assert_eq!(expected.differs(&have), None);
            prop_assert_eq!(have.differs_at(&again), None);
        }
    }
}
