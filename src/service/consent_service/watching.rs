//! The lists as they change: entry by entry and day by day. Nothing is kept between two steps but where the
//! stream has come to, so whoever comes back goes on from there.

use std::time::Duration;

use chrono::NaiveDate;
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::{Rows, rows_of};
use crate::{
    pb::{
        self, Question, ReconsentChange, ReconsentChangeKind, WatchReconsentRequest,
        WatchReconsentResponse, question::KnownAt,
    },
    record::format::parse_civil_date,
    rules::consent::concerned::{Concerned, patients_at},
    service::{
        Answers,
        answers::{Asked, wrong},
        blocking,
        call::{Phase, reached},
        error::CallError,
        violations::Violations,
    },
    tlog::Index,
};

/// How often the tree and the clock are looked at.
const PULSE: Duration = Duration::from_millis(250);

/// Entries that are read in one go.
const ENTRIES: usize = 64;

/// Patients that are looked at in one go.
const PATIENTS: usize = 256;

/// A stream, and where it has come to.
pub(super) struct Watching {
    answers: Answers,
    site: String,
    family: String,
    size: u64,
    as_of: NaiveDate,
}

impl Watching {
    /// A stream that goes on from where the request says.
    pub(super) fn begin(
        answers: Answers,
        request: WatchReconsentRequest,
    ) -> Result<Self, CallError> {
        let WatchReconsentRequest {
            tree_size,
            as_of,
            site,
            family,
        } = request;
        let have = answers.ledger().published().size().value();
        if have < tree_size {
            let asked = tree_size;
            return Err(CallError::TreeSizeAhead { asked, have });
        }
        let as_of = match as_of.as_str() {
            "" => match tree_size.checked_sub(1) {
                None => NaiveDate::MIN,
                Some(last) => {
                    let entry = answers.ledger().facts().from(Index::new(last), 1)?;
                    let day = entry.first().map(|fact| fact.recorded_at.date_naive());
                    day.unwrap_or(NaiveDate::MIN)
                }
            },
            text => {
                parse_civil_date(text).map_err(|error| wrong("as_of", error.rule, error.remedy))?
            }
        };
        Ok(Self {
            answers,
            site,
            family,
            size: tree_size,
            as_of,
        })
    }

    /// Tells of changes until the caller goes or the server drains.
    pub(super) async fn run(
        mut self,
        phase: watch::Receiver<Phase>,
        changes: mpsc::Sender<Result<WatchReconsentResponse, Status>>,
    ) {
        let mut draining = std::pin::pin!(reached(phase, Phase::Draining));
        loop {
            let told = tokio::select! {
                () = &mut draining => return,
                told = self.catch_up(&changes) => told,
            };
            match told {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    // Who no longer listens need not be told.
                    let _gone = changes.send(Err(error.into())).await;
                    return;
                }
            }
            tokio::select! {
                () = &mut draining => return,
                () = changes.closed() => return,
                () = tokio::time::sleep(PULSE) => {}
            }
        }
    }

    /// Goes through what was recorded and which days have passed. `false`: nobody listens any more.
    async fn catch_up(
        &mut self,
        changes: &mpsc::Sender<Result<WatchReconsentResponse, Status>>,
    ) -> Result<bool, CallError> {
        let have = self.answers.ledger().published().size().value();
        let before = (self.size, self.as_of);
        let mut told = before;
        while self.size < have {
            let entries = self.answers.ledger().facts();
            let from = Index::new(self.size);
            let entries = blocking(move || entries.from(from, ENTRIES)).await?;
            for entry in entries {
                if have <= entry.index.value() {
                    break;
                }
                let day = self.as_of.max(entry.recorded_at.date_naive());
                if self.as_of < day {
                    let size = self.size;
                    if !self
                        .step((size, day), Concerned::All, changes, &mut told)
                        .await?
                    {
                        return Ok(false);
                    }
                }
                let next = (entry.index.value() + 1, self.as_of);
                let concerned = Concerned::by(&entry);
                if !self.step(next, concerned, changes, &mut told).await? {
                    return Ok(false);
                }
            }
        }
        let today = self.answers.now().date_naive();
        if self.as_of < today {
            let next = (self.size, today);
            if !self.step(next, Concerned::All, changes, &mut told).await? {
                return Ok(false);
            }
        }
        let here = (self.size, self.as_of);
        if told != here {
            let position = response(here, Vec::new());
            return Ok(changes.send(Ok(position)).await.is_ok());
        }
        Ok(true)
    }

    /// Goes on to a size and a day, and tells what that changed.
    async fn step(
        &mut self,
        next: (u64, NaiveDate),
        concerned: Concerned,
        changes: &mpsc::Sender<Result<WatchReconsentResponse, Status>>,
        told: &mut (u64, NaiveDate),
    ) -> Result<bool, CallError> {
        let before = (self.size, self.as_of);
        (self.size, self.as_of) = next;
        let mut found = Vec::new();
        match concerned {
            Concerned::ThoseAt(leads) => {
                if !leads.is_empty() {
                    let at = move |asked: &Asked<'_>| patients_at(asked, asked.question(), leads);
                    let patients = self
                        .answers
                        .ask(Violations::default(), Some(question(next)), at)
                        .await?;
                    found = self.changes(before, next, patients).await?;
                }
            }
            Concerned::All => {
                let mut after = String::new();
                loop {
                    let cursor = after.clone();
                    let question = question(next);
                    let patients = self
                        .answers
                        .ask(Violations::default(), Some(question), move |asked| {
                            asked.patients(&cursor, PATIENTS)
                        })
                        .await?;
                    let Some(last) = patients.last() else { break };
                    after.clone_from(last);
                    found.extend(self.changes(before, next, patients).await?);
                }
            }
        }
        if found.is_empty() {
            return Ok(!changes.is_closed());
        }
        *told = next;
        Ok(changes.send(Ok(response(next, found))).await.is_ok())
    }

    async fn changes(
        &self,
        before: (u64, NaiveDate),
        after: (u64, NaiveDate),
        patients: Vec<String>,
    ) -> Result<Vec<ReconsentChange>, CallError> {
        let (site, family) = (self.site.clone(), self.family.clone());
        let rows = move |asked: &Asked<'_>, patients: &[String]| -> Result<Rows, CallError> {
            let mut rows = Rows::new();
            for patient in patients {
                for row in rows_of(asked, patient, |_, _| true)? {
                    let key = row.required.clone().unwrap_or_default();
                    let wanted = (site.is_empty() || site == row.site)
                        && (family.is_empty() || family == key.family);
                    if wanted {
                        let key = (row.patient.clone(), key.family, row.kind, key.version);
                        rows.insert(key, row);
                    }
                }
            }
            Ok(rows)
        };
        let (rows_before, of) = (rows.clone(), patients.clone());
        let was = self
            .answers
            .ask(
                Violations::default(),
                Some(question(before)),
                move |asked| rows_before(asked, &of),
            )
            .await?;
        let is = self
            .answers
            .ask(Violations::default(), Some(question(after)), move |asked| {
                rows(asked, &patients)
            })
            .await?;
        Ok(differences(was, is))
    }
}

fn question((size, as_of): (u64, NaiveDate)) -> Question {
    Question {
        as_of: as_of.max(first_day()).to_string(),
        known_at: Some(KnownAt::TreeSize(size)),
        ..Question::default()
    }
}

/// The first day that a question can be asked about.
fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or(NaiveDate::MIN)
}

fn differences(mut was: Rows, is: Rows) -> Vec<ReconsentChange> {
    let mut changes = Vec::new();
    for (key, row) in is {
        match was.remove(&key) {
            None => changes.push(change(ReconsentChangeKind::Added, row)),
            Some(old) if !is_same(&old, &row) => {
                changes.push(change(ReconsentChangeKind::Changed, row));
            }
            Some(_) => {}
        }
    }
    let gone = was.into_values();
    changes.extend(gone.map(|row| change(ReconsentChangeKind::Removed, row)));
    changes
}

/// Days overdue that grow, and entries that are known besides, are no change.
fn is_same(old: &pb::ReconsentRow, new: &pb::ReconsentRow) -> bool {
    let bare = |row: &pb::ReconsentRow| pb::ReconsentRow {
        days_overdue: 0,
        why: None,
        ..row.clone()
    };
    bare(old) == bare(new)
}

fn change(kind: ReconsentChangeKind, row: pb::ReconsentRow) -> ReconsentChange {
    ReconsentChange {
        kind: kind.into(),
        row: Some(row),
    }
}

fn response(
    (tree_size, as_of): (u64, NaiveDate),
    changes: Vec<ReconsentChange>,
) -> WatchReconsentResponse {
    WatchReconsentResponse {
        tree_size,
        as_of: as_of.max(first_day()).to_string(),
        changes,
    }
}
