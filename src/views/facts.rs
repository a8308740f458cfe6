//! Which entries are about what: the facts of a subject, the patients of a site, who signed which version
//! of a consent. Says where to look; what the entries say, and what follows from it, is for others.
//!
//! A correction is about all that its target is about, and about it for good: a correction of a correction
//! too. So each correction is posted under its target's groups, and these groups under the correction's
//! index, where a later correction of it finds them. It is posted as well under the subjects that the record has
//! by it: another lot, another patient. The record itself is not, as no entry is posted twice: who finds a
//! correction without its record goes and gets it.

use std::collections::BTreeSet;

use super::{ViewError, group, group::Signed, postings::Postings, tally::Tally};
use crate::{
    pb::{self, PatientState, record::Kind},
    record::format::parse_uuid,
    rules::fact::{Subject, corrected, subjects},
    store::Store,
    tlog::{Index, TreeSize},
};

/// What a record is posted under: made where the record is at hand, for the thread that knows its index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Posts {
    groups: BTreeSet<Vec<u8>>,
    target: Option<Target>,
}

/// What a correction says of its target.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    record_id: [u8; 16],
    /// The sites that it puts in place of others.
    sites: Vec<String>,
}

/// The target of a correction: its entry and what that is posted under by itself.
#[derive(Debug)]
pub struct Corrected {
    /// Its entry.
    pub index: Index,
    /// What its record is posted under.
    pub posts: Posts,
    /// What the record that is corrected in the end is about by this correction and all before it.
    pub becomes: BTreeSet<Subject>,
}

impl Posts {
    /// What a record is posted under, but for what a correction takes from its target.
    pub fn of(record: &pb::Record) -> Self {
        let mut groups: BTreeSet<Vec<u8>> =
            subjects(record).iter().map(group::of_subject).collect();
        let patient = record.patient.as_str();
        let mut place = |site: &str| {
            if !site.is_empty() && !patient.is_empty() {
                groups.insert(group::of_place(site, patient));
            }
        };
        let mut target = None;
        match &record.kind {
            Some(Kind::PatientRegistered(_) | Kind::Administration(_)) => place(&record.site),
            Some(Kind::PatientStatus(status)) if status.state() == PatientState::Transferred => {
                place(&status.transferred_to);
            }
            Some(Kind::ConsentSigned(signed)) => {
                if let Some(key) = &signed.version {
                    let (family, version) = (&key.family, &key.version);
                    groups.insert(group::of_signature(family, &record.site, patient, version));
                }
            }
            Some(Kind::Correction(correction)) => {
                let moved = correction.changes.iter().filter(|change| {
                    ["site", "patient_status.transferred_to"].contains(&change.path.as_str())
                });
                let sites = moved.map(|change| change.new.clone()).collect();
                let record_id = corrected(record).and_then(|target| parse_uuid(target).ok());
                target = record_id.map(|record_id| Target { record_id, sites });
            }
            _ => {}
        }
        Self { groups, target }
    }
}

/// The index of what entries are about. One thread inserts and keeps it up; any may ask.
#[derive(Debug)]
pub struct FactIndex(Postings);

impl FactIndex {
    /// Opens the index as the store holds it. What lies beyond [`FactIndex::watermark`] must be inserted by
    /// the caller.
    ///
    /// # Errors
    /// [`ViewError::Damaged`] where the stored view does not fit together: drop and rebuild it.
    pub fn open(store: &dyn Store) -> Result<Self, ViewError> {
        Postings::open(store).map(Self)
    }

    /// Up to where the stored runs reach.
    pub fn watermark(&self) -> TreeSize {
        self.0.watermark()
    }

    /// Inserts what the next entry is about. `find` finds the target of a correction by its record id, among
    /// the entries before this one; a target that is recorded later, or never, adds nothing.
    ///
    /// # Errors
    /// The store's, and those of `find`.
    pub fn insert<E: From<ViewError>>(
        &self,
        store: &dyn Store,
        index: Index,
        posts: Posts,
        find: impl FnOnce(&[u8; 16]) -> Result<Option<Corrected>, E>,
    ) -> Result<(), E> {
        let groups = self.all_groups(store, index, posts, find)?;
        self.0.insert(index, groups);
        Ok(())
    }

    /// Every group of an entry, with those that a correction takes from its target.
    fn all_groups<E: From<ViewError>>(
        &self,
        store: &dyn Store,
        index: Index,
        posts: Posts,
        find: impl FnOnce(&[u8; 16]) -> Result<Option<Corrected>, E>,
    ) -> Result<BTreeSet<Vec<u8>>, E> {
        let Posts { mut groups, target } = posts;
        let Some(Target { record_id, sites }) = target else {
            return Ok(groups);
        };
        let Some(corrected) = find(&record_id)? else {
            return Ok(groups);
        };
        // Who asks about these subjects finds the correction, and by it the record.
        groups.extend(corrected.becomes.iter().map(group::of_subject));
        let mut of_target = corrected.posts.groups;
        if corrected.posts.target.is_some() {
            let start = group::corrections(corrected.index.value());
            let (end, size) = (group::end_of(&start), TreeSize::new(index.value()));
            let further = self.0.groups(store, &start, &end, size, usize::MAX)?;
            let further = further.iter().filter_map(|group| group::of_target(group));
            of_target.extend(further.map(<[u8]>::to_vec));
        }
        for of_target in &of_target {
            groups.insert(group::of_correction(index.value(), of_target));
            groups.insert(group::corrected(of_target));
            if let Some(Subject::Patient(patient)) = group::subject(of_target) {
                let places = sites.iter().map(|site| group::of_place(site, &patient));
                groups.extend(places);
            }
        }
        Ok(groups)
    }

    /// The entries below `size` that are about a subject, in order.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn about(
        &self,
        store: &dyn Store,
        subject: &Subject,
        size: TreeSize,
    ) -> Result<Vec<Index>, ViewError> {
        self.0.indexes(store, &group::of_subject(subject), size)
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
        let groups = self.0.groups(store, &start, end, size, limit)?;
        Ok(groups
            .iter()
            .filter_map(|one| group::subject(one))
            .collect())
    }

    /// The patients after one, of whom an entry below `tree` says that they may be at a site: registered or
    /// treated there, transferred to it, or so after a correction. The first `limit`, in order; the empty
    /// text is before all.
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
        let of_site = group::places_of(site);
        let start = match after {
            "" => of_site.clone(),
            patient => group::end_of(&group::of_place(site, patient)),
        };
        let end = group::end_of(&of_site);
        let groups = self.0.groups(store, &start, &end, tree, limit)?;
        Ok(groups.iter().filter_map(|one| group::placed(one)).collect())
    }

    /// Which versions of a consent family the patients after one have signed at a site, by entries below
    /// `tree`: in the order of patients, `limit` signatures and what the last patient has besides.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn signed_at(
        &self,
        store: &dyn Store,
        family: &str,
        site: &str,
        after: &str,
        tree: TreeSize,
        limit: usize,
    ) -> Result<Vec<Signed>, ViewError> {
        let at_site = group::signatures_at(family, site);
        let start = match after {
            "" => at_site.clone(),
            patient => group::end_of(&group::signatures_of(family, site, patient)),
        };
        let end = group::end_of(&at_site);
        let groups = self.0.groups(store, &start, &end, tree, limit)?;
        let mut signed: Vec<Signed> = groups.iter().filter_map(|one| group::signed(one)).collect();
        if let (Some(group), Some(Signed { patient, .. })) = (groups.last(), signed.last()) {
            let of_patient = group::signatures_of(family, site, patient);
            let (rest, end) = (group::end_of(group), group::end_of(&of_patient));
            let rest = self.0.groups(store, &rest, &end, tree, usize::MAX)?;
            signed.extend(rest.iter().filter_map(|one| group::signed(one)));
        }
        Ok(signed)
    }

    /// Adds to `tally` what [`FactIndex::insert`] would insert for an entry.
    ///
    /// # Errors
    /// The store's, and those of `find`.
    pub fn expect<E: From<ViewError>>(
        &self,
        store: &dyn Store,
        index: Index,
        posts: Posts,
        find: impl FnOnce(&[u8; 16]) -> Result<Option<Corrected>, E>,
        tally: &mut Tally,
    ) -> Result<(), E> {
        for mut posting in self.all_groups(store, index, posts, find)? {
            posting.extend_from_slice(&index.value().to_be_bytes());
            tally.add(&posting);
        }
        Ok(())
    }

    /// Adds every posting to `tally`.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn tally(&self, store: &dyn Store, tally: &mut Tally) -> Result<(), ViewError> {
        self.0.each(store, |posting| tally.add(posting))
    }

    /// One step of upkeep, called by the writer after a commit: a few hundred keys at most.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run to be merged is.
    pub fn keep_up(&self, store: &dyn Store) -> Result<(), ViewError> {
        self.0.keep_up(store)
    }

    /// Writes what is in memory as a run, so that nothing need be read again at the next start.
    ///
    /// # Errors
    /// The store's.
    pub fn close(&self, store: &dyn Store) -> Result<(), ViewError> {
        self.0.close(store)
    }
}

#[cfg(test)]
mod tests {
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

    fn correction(number: u64, target: u64, site: Option<&str>) -> pb::Record {
        let change = |site: &str| pb::FieldChange {
            path: "site".to_owned(),
            new: site.to_owned(),
            ..pb::FieldChange::default()
        };
        let correction = pb::Correction {
            target: uuid(target),
            changes: site.map(change).into_iter().collect(),
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
            let index = FactIndex(Postings::with_recent(&store, 7).unwrap());
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
            let find = |id: &[u8; 16]| -> Result<_, ViewError> { Ok(self.find(id, at)) };
            let inserted = self
                .index
                .insert(&self.store, Index::new(number), posts, find);
            inserted.unwrap();
        }

        fn find(&self, id: &[u8; 16], before: usize) -> Option<Corrected> {
            let mut records = self.records[..before].iter();
            let at = records.position(|record| parse_uuid(&record.record_id).unwrap() == *id)?;
            Some(Corrected {
                index: Index::new(u64::try_from(at).unwrap()),
                posts: Posts::of(&self.records[at]),
                becomes: BTreeSet::new(),
            })
        }

        fn reopen(&mut self) {
            self.store = self.store.crash_image(usize::MAX);
            self.index = FactIndex(Postings::with_recent(&self.store, 7).unwrap());
            let watermark = usize::try_from(self.index.watermark().value()).unwrap();
            (watermark..self.records.len()).for_each(|at| self.insert(at));
        }

        fn size(&self) -> TreeSize {
            TreeSize::new(u64::try_from(self.records.len()).unwrap())
        }

        fn about(&self, subject: &Subject, size: TreeSize) -> Vec<u64> {
            let about = self.index.about(&self.store, subject, size).unwrap();
            about.into_iter().map(Index::value).collect()
        }

        fn patients_at(&self, site: &str) -> Vec<String> {
            let (store, tree) = (&self.store, self.size());
            self.index.patients_at(store, site, "", tree, 9).unwrap()
        }

        fn signed_at(&self, site: &str, after: &str, limit: usize) -> Vec<(String, String)> {
            let (store, tree) = (&self.store, self.size());
            let signed = self
                .index
                .signed_at(store, "main", site, after, tree, limit);
            let plain = |one: Signed| (one.patient, one.version.unwrap_or_default());
            signed.unwrap().into_iter().map(plain).collect()
        }

        fn tallies(&self) -> (Tally, Tally) {
            let size = self.size();
            let mut expected = Tally::new(size, 0..u64::MAX);
            for at in 0..self.records.len() {
                let number = Index::new(u64::try_from(at).unwrap());
                let posts = Posts::of(&self.records[at]);
                let find = |id: &[u8; 16]| -> Result<_, ViewError> { Ok(self.find(id, at)) };
                let store = &self.store;
                let done = self.index.expect(store, number, posts, find, &mut expected);
                done.unwrap();
            }
            let mut have = Tally::new(size, 0..u64::MAX);
            self.index.tally(&self.store, &mut have).unwrap();
            (expected, have)
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
            correction(5, 2, Some("site-0")),
            correction(6, 5, Some("site-9")),
        ]);
        assert_eq!(bench.patients_at("site-0"), ["P-1", "P-3"]);
        assert_eq!(bench.patients_at("site-1"), ["P-1", "P-2"]);
        assert_eq!(bench.patients_at("site-2"), ["P-3"]);
        assert_eq!(bench.patients_at("site-9"), ["P-3"]);
        assert_eq!(bench.patients_at("site-"), [""; 0]);
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
    fn who_signed_what_at_a_site_is_one_range_and_a_corrected_signature_is_marked() {
        let bench = Bench::of([
            signature(0, "P-1", "v1"),
            signature(3, "P-1", "v2"),
            signature(6, "P-2", "v1"),
            signature(9, "P-0", "v1"),
            signature(1, "P-9", "v1"),
            correction(11, 6, None),
        ]);
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            let owned =
                |&(patient, version): &(&str, &str)| (patient.to_owned(), version.to_owned());
            pairs.iter().map(owned).collect()
        };
        let all = pairs(&[
            ("P-0", "v1"),
            ("P-1", "v1"),
            ("P-1", "v2"),
            ("P-2", ""),
            ("P-2", "v1"),
        ]);
        assert_eq!(bench.signed_at("site-0", "", 9), all);
        assert_eq!(bench.signed_at("site-0", "", 2), all[..3]);
        assert_eq!(bench.signed_at("site-0", "P-1", 1), all[3..]);
        assert_eq!(bench.signed_at("site-1", "", 9), pairs(&[("P-9", "v1")]));
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
        bench.index.0.insert(Index::new(40), []);
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
            // Also of records that do not exist yet, or of itself.
            _ => correction(
                number,
                number.saturating_sub(other) + 2,
                (who < 2).then_some("site-7"),
            ),
        }
    }

    /// After each record: nothing, upkeep, a stop or a crash.
    fn any_history() -> impl Strategy<Value = Vec<((u8, u8, u64), u8)>> {
        prop::collection::vec((any_record(), 0_u8..8), 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn facts_are_those_of_the_book_and_of_a_rebuild_whatever_happens_in_between(
            history in any_history(),
        ) {
            let mut bench = Bench::new();
            let mut book = Book::default();
            for (number, (choices, then)) in (0..).zip(history) {
                let record = made(choices, number);
                bench.push(record.clone());
                book.insert(Fact {
                    index: Index::new(number),
                    recorded_at: chrono::DateTime::UNIX_EPOCH,
                    actor: String::new(),
                    on: chrono::NaiveDate::MIN,
                    record,
                });
                match then {
                    0..4 => bench.index.keep_up(&bench.store).unwrap(),
                    4 => bench.index.close(&bench.store).unwrap(),
                    5 => bench.reopen(),
                    _ => {}
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
