//! `ReportConformity`: patient by patient through the product's follow-up, told as it goes. What the verdicts are
//! is known in the rules; here is how a report is made once and kept.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc};
use tonic::Status;

use super::{
    super::{Answers, answers::Asked, error::CallError, violations::Violations},
    PATIENTS_AHEAD,
};
use crate::{
    pb::{
        Conformity, ConformityCount, ConformityException, ConformityRow, ConformityVerdict,
        Evidence, Question, ReportConformityResponse, conformity_exception,
    },
    rules::{
        conformity::{self, Of, Row, Verdict},
        consent::signatures::Signatures,
        patient::Patient,
        question,
    },
};

/// Answers of a report that may wait for a slow caller.
pub(super) const PROGRESS_AHEAD: usize = 4;

/// Reports that are kept, the newest: of today, of the data lock point, and two to compare.
const KEPT_MAX: usize = 4;

type Sender = mpsc::Sender<Result<ReportConformityResponse, Status>>;

/// Makes reports one at a time, and keeps the last: the same question of the same tree has the same answer.
#[derive(Debug)]
pub(super) struct Reports {
    turn: Semaphore,
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    question: question::Question,
    report: Conformity,
}

impl Default for Reports {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            kept: Mutex::new(Vec::new()),
        }
    }
}

impl Reports {
    fn kept(&self, question: &question::Question, product_id: &str) -> Option<Conformity> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |one: &&Kept| one.question == *question && one.report.product_id == product_id;
        kept.iter().find(same).map(|one| one.report.clone())
    }

    fn keep(&self, question: question::Question, report: Conformity) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if KEPT_MAX <= kept.len() {
            kept.remove(0);
        }
        kept.push(Kept { question, report });
    }
}

/// Makes the report, or finds it, and sends it after its progress.
pub(super) async fn report(
    answers: Answers,
    question: Option<Question>,
    product_id: String,
    reports: Arc<Reports>,
    sender: Sender,
) {
    let Ok(turn) = reports.turn.acquire().await else {
        return;
    };
    let (listener, kept) = (sender.clone(), Arc::clone(&reports));
    let made = answers.ask(Violations::default(), question, move |asked| {
        if let Some(report) = kept.kept(asked.question(), &product_id) {
            return Ok(Some(report));
        }
        let made = make(asked, &product_id, &listener)?;
        if let Some(report) = &made {
            kept.keep(*asked.question(), report.clone());
        }
        Ok(made)
    });
    let made: Result<Option<Conformity>, CallError> = made.await;
    drop(turn);
    let answer = made.map(|report| ReportConformityResponse {
        patients_seen: report.as_ref().map_or(0, |report| report.patients),
        report,
    });
    // Whoever has gone does not hear the report.
    drop(sender.send(answer.map_err(Status::from)).await);
}

/// The report, unless nobody listens any more.
fn make(
    asked: &Asked<'_>,
    product_id: &str,
    listener: &Sender,
) -> Result<Option<Conformity>, CallError> {
    let (catalogue, question) = (asked.catalogue(), asked.question());
    let unknown = || asked.unknown("product");
    let product = catalogue.product(product_id).ok_or_else(unknown)?;
    let report = conformity::Conformity::of(catalogue, product_id, question.as_of);
    let mut report = report.ok_or_else(unknown)?;
    let (mut after, mut seen) = (String::new(), 0);
    loop {
        let patients = asked.patients(&after, PATIENTS_AHEAD)?;
        let Some(last) = patients.last() else { break };
        after.clone_from(last);
        for id in &patients {
            let patient = Patient::of(&asked.dossier(id)?, question);
            // What was recorded under a pseudonym that was given up is the other's, who comes as well.
            if patient.id == *id {
                report.add(&patient, &Signatures::of(&patient, catalogue));
            }
            seen += 1;
        }
        if listener.is_closed() {
            return Ok(None);
        }
        // Progress that nobody takes is not worth waiting for.
        let progress = ReportConformityResponse {
            patients_seen: seen,
            report: None,
        };
        let _full = listener.try_send(Ok(progress));
    }
    Ok(Some(Conformity {
        answered: Some(asked.answered()),
        product_id: product_id.to_owned(),
        product_name: product.product.name.clone(),
        patients: report.patients(),
        rows: report.rows().into_iter().map(row).collect(),
    }))
}

fn row(row: Row) -> ConformityRow {
    let Row {
        id,
        section,
        asks,
        checked,
        verdict,
        because,
        counts,
        exceptions,
        exceptions_all,
        evidence: looked_at,
    } = row;
    let verdict = match verdict {
        Verdict::Met => ConformityVerdict::Met,
        Verdict::NotMet => ConformityVerdict::NotMet,
        Verdict::NotApplicable => ConformityVerdict::NotApplicable,
        Verdict::CannotTell => ConformityVerdict::CannotTell,
    };
    let counts = counts.into_iter().map(|(what, count)| ConformityCount {
        what: what.to_owned(),
        count,
    });
    let exceptions = exceptions.into_iter().map(|one| ConformityException {
        of: match one.of {
            Of::Product => None,
            Of::Patient(patient) => Some(conformity_exception::Of::Patient(patient)),
            Of::Document(name) => Some(conformity_exception::Of::Document(name)),
        },
        reason: one.reason,
        evidence: evidence(one.evidence),
    });
    ConformityRow {
        obligation: id.to_owned(),
        section: section.to_owned(),
        asks: asks.to_owned(),
        checked: checked.to_owned(),
        verdict: verdict.into(),
        because: because.to_owned(),
        counts: counts.collect(),
        exceptions: exceptions.collect(),
        exceptions_total: exceptions_all,
        evidence: evidence(looked_at),
    }
}

fn evidence(entries: Vec<(u64, String)>) -> Vec<Evidence> {
    let entries = entries.into_iter();
    entries
        .map(|(index, record_id)| Evidence { index, record_id })
        .collect()
}
