//! Which entries are about what: the facts of a subject, the patients of a site, who signed which version
//! of a consent. Says where to look; what the entries say, and what follows from it, is for others.
//!
//! A correction is about all that its target is about, and about it for good: a correction of a correction
//! too. So each correction is posted under its target's groups, and these groups under the correction's
//! index, where a later correction of it finds them.

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
        Ok(groups.iter().filter_map(|one| group::subject(one)).collect())
    }

    /// The patients after one, of whom an entry below `size` says that they may be at a site: registered or
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
        size: TreeSize,
        limit: usize,
    ) -> Result<Vec<String>, ViewError> {
        let of_site = group::places_of(site);
        let start = match after {
            "" => of_site.clone(),
            patient => group::end_of(&group::of_place(site, patient)),
        };
        let end = group::end_of(&of_site);
        let groups = self.0.groups(store, &start, &end, size, limit)?;
        Ok(groups.iter().filter_map(|one| group::placed(one)).collect())
    }

    /// Which versions of a consent family the patients after one have signed at a site, by entries below
    /// `size`: in the order of patients, `limit` signatures and what the last patient has besides.
    ///
    /// # Errors
    /// The store's; [`ViewError::Damaged`] where a run is.
    pub fn signed_at(
        &self,
        store: &dyn Store,
        family: &str,
        site: &str,
        after: &str,
        size: TreeSize,
        limit: usize,
    ) -> Result<Vec<Signed>, ViewError> {
        let at_site = group::signatures_at(family, site);
        let start = match after {
            "" => at_site.clone(),
            patient => group::end_of(&group::signatures_of(family, site, patient)),
        };
        let end = group::end_of(&at_site);
        let groups = self.0.groups(store, &start, &end, size, limit)?;
        let mut signed: Vec<Signed> = groups
            .iter()
            .filter_map(|one| group::signed(one))
            .collect();
        if let (Some(group), Some(Signed { patient, .. })) = (groups.last(), signed.last()) {
            let of_patient = group::signatures_of(family, site, patient);
            let (rest, end) = (group::end_of(group), group::end_of(&of_patient));
            let rest = self.0.groups(store, &rest, &end, size, usize::MAX)?;
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
