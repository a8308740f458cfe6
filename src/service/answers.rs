//! What every question has: a day, a tree size and a view, with their defaults; the facts behind it; and, where
//! the answer is a list, a page of it. Does not know what is asked.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::{blocking, catalogues::Catalogues, error::CallError};
use crate::{
    clock::Clock,
    ledger::{Ledger, LedgerFacts},
    pb::{self, QuestionView, question::KnownAt},
    record::{
        Violation,
        format::{Instant, parse_civil_date},
    },
    rules::{
        catalogue::Catalogue,
        dossier::Dossier,
        fact::{Fact, Facts, Subject},
        question::{Question, View},
    },
    tlog::{Index, TreeSize},
};

/// Rows of a page where the caller does not say, and at most.
const PAGE_ROWS: usize = 100;
const PAGE_ROWS_MAX: usize = 1_000;

/// Where questions are asked.
#[derive(Clone)]
pub(crate) struct Answers {
    ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    catalogues: Catalogues,
}

/// A question with what it is asked of.
pub(super) struct Asked<'a> {
    question: Question,
    catalogue: Arc<Catalogue>,
    facts: &'a LedgerFacts,
}

/// A page of a list: how many rows, and after which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) rows: usize,
    /// Where the page before ended, in the words of the list; empty at the start.
    pub(super) after: String,
    filters: [u8; 8],
}

/// The page that a request asks for.
pub(super) struct PageOf<'a> {
    pub(super) size: i32,
    pub(super) token: &'a str,
    /// The request's bytes without size, token and question: a token is good for the same filters only.
    pub(super) filters: Vec<u8>,
}

impl<'a> PageOf<'a> {
    /// The page of a request, given also without its question and its page.
    pub(super) fn of(size: i32, token: &'a str, filters: &impl Message) -> Self {
        Self {
            size,
            token,
            filters: filters.encode_to_vec(),
        }
    }
}

impl Answers {
    /// Questions about this ledger.
    pub(crate) fn new(ledger: Arc<Ledger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ledger,
            clock,
            catalogues: Catalogues::default(),
        }
    }

    /// Asks a question.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: Option<pb::Question>,
        work: impl FnOnce(&Asked<'_>) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let answers = self.clone();
        blocking(move || {
            let question = answers.question(question.unwrap_or_default())?;
            answers.answer(question, work)
        })
        .await
    }

    /// Asks for a page of a list. The pages after the first are of the question that the first was of.
    pub(super) async fn ask_page<T: Send + 'static>(
        &self,
        question: Option<pb::Question>,
        page: PageOf<'_>,
        work: impl FnOnce(&Asked<'_>, &Page) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let answers = self.clone();
        let rows = page_rows(page.size)?;
        let filters = fingerprint(&page.filters);
        let token = match page.token {
            "" => None,
            token => Some(Token::parse(token, filters).ok_or_else(|| {
                wrong(
                    "page_token",
                    "PAGE_TOKEN",
                    "give the next_page_token of the page before, with the same filters",
                )
            })?),
        };
        blocking(move || {
            let (question, after) = match token {
                None => (
                    answers.question(question.unwrap_or_default())?,
                    String::new(),
                ),
                Some(token) => (token.question, token.after),
            };
            let page = Page {
                rows,
                after,
                filters,
            };
            answers.answer(question, |asked| work(asked, &page))
        })
        .await
    }

    /// The size of the tree, for streams that wait for it to grow.
    pub(super) fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The time now, by the ledger's clock.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    fn answer<T>(
        &self,
        question: Question,
        work: impl FnOnce(&Asked<'_>) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let facts = self.ledger.facts();
        if facts.size() < question.known_at {
            let (asked, have) = (question.known_at.value(), facts.size().value());
            return Err(CallError::TreeSizeAhead { asked, have });
        }
        let facts = facts.at(question.known_at);
        work(&Asked {
            question,
            catalogue: self.catalogues.of(&facts, &question)?,
            facts: &facts,
        })
    }

    /// The question with its defaults.
    fn question(&self, question: pb::Question) -> Result<Question, CallError> {
        let view = match question.view() {
            QuestionView::Unspecified | QuestionView::AsCorrected => View::AsCorrected,
            QuestionView::AsRecorded => View::AsRecorded,
        };
        let mut violations = Vec::new();
        let as_of = match question.as_of.as_str() {
            "" => self.clock.now().date_naive(),
            text => parse_civil_date(text).unwrap_or_else(|error| {
                violations.push(violation("question.as_of", error.rule, error.remedy));
                chrono::NaiveDate::MIN
            }),
        };
        let known_at = match question.known_at {
            None => self.ledger.published().size(),
            Some(KnownAt::TreeSize(size)) => TreeSize::new(size),
            Some(KnownAt::RecordedBy(text)) => match Instant::parse(&text) {
                Ok(instant) => {
                    let facts = self.ledger.facts();
                    facts.size_at(instant.date_time().to_utc())?
                }
                Err(error) => {
                    violations.push(violation("question.recorded_by", error.rule, error.remedy));
                    TreeSize::new(0)
                }
            },
        };
        if !violations.is_empty() {
            return Err(CallError::Fields(violations));
        }
        Ok(Question {
            as_of,
            known_at,
            view,
        })
    }
}

impl Asked<'_> {
    /// The question, with its defaults.
    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// The catalogue as the question sees it.
    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// That nothing is known, as the question sees it, of what was asked about.
    pub(super) fn unknown(&self, what: &'static str) -> CallError {
        CallError::SubjectUnknown {
            what,
            as_of: self.question.as_of,
            size: self.question.known_at.value(),
        }
    }

    /// What was answered, for the answer.
    pub(super) fn answered(&self) -> pb::Answered {
        let view = match self.question.view {
            View::AsCorrected => QuestionView::AsCorrected,
            View::AsRecorded => QuestionView::AsRecorded,
        };
        pb::Answered {
            as_of: self.question.as_of.to_string(),
            tree_size: self.question.known_at.value(),
            view: view.into(),
        }
    }

    /// Everything about a patient.
    pub(super) fn dossier(&self, patient: &str) -> Result<Dossier, CallError> {
        Dossier::of_patient(self, patient)
    }

    /// The patients after one, in the order of their pseudonyms; the empty text is before all.
    pub(super) fn patients(&self, after: &str, limit: usize) -> Result<Vec<String>, CallError> {
        let after = Subject::Patient(after.to_owned());
        let subjects = self.facts.subjects_after(&after, limit)?;
        let patients = subjects.into_iter().map_while(|subject| match subject {
            Subject::Patient(patient) => Some(patient),
            Subject::Catalogue
            | Subject::Lot(_)
            | Subject::MadeOf(_)
            | Subject::Stock(_)
            | Subject::Donation(_)
            | Subject::Coi(_)
            | Subject::Sample(_)
            | Subject::Case(_)
            | Subject::Consignment(_)
            | Subject::Identity(_)
            | Subject::TraceCode(_)
            | Subject::Place(_) => None,
        });
        Ok(patients.collect())
    }

    /// The patients after one who may be at a site, in the order of their pseudonyms; where no site is named, all.
    pub(super) fn patients_at(
        &self,
        site: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<String>, CallError> {
        match site {
            "" => self.patients(after, limit),
            site => Ok(self.facts.patients_at(site, after, limit)?),
        }
    }

    /// The subjects that have facts after one, in their order.
    pub(super) fn subjects_after(
        &self,
        after: &Subject,
        limit: usize,
    ) -> Result<Vec<Subject>, CallError> {
        Ok(self.facts.subjects_after(after, limit)?)
    }

    /// The facts from an index on, in the order of the log; those that the question knows.
    pub(super) fn facts_from(
        &self,
        from: Index,
        limit: usize,
    ) -> Result<Vec<Arc<Fact>>, CallError> {
        Ok(self.facts.from(from, limit)?)
    }

    /// The facts of the tree that the question knows, with all their orders.
    pub(super) fn facts(&self) -> &LedgerFacts {
        self.facts
    }

    /// The token of the page that comes after one that ended so.
    pub(super) fn next_page(&self, page: &Page, after: &str) -> String {
        Token {
            question: self.question,
            after: after.to_owned(),
        }
        .print(page.filters)
    }
}

impl Facts for Asked<'_> {
    type Error = CallError;

    fn about(&self, subject: &Subject) -> Result<Vec<Arc<Fact>>, CallError> {
        Ok(self.facts.about(subject)?)
    }

    fn count(&self, subject: &Subject, size: TreeSize) -> Result<Option<usize>, CallError> {
        Ok(self.facts.count(subject, size)?)
    }

    fn standing(&self, patient: &str) -> Result<Vec<Arc<Fact>>, CallError> {
        Ok(self.facts.standing(patient)?)
    }
}

/// Where a list goes on.
struct Token {
    question: Question,
    after: String,
}

impl Token {
    fn print(&self, filters: [u8; 8]) -> String {
        let view = match self.question.view {
            View::AsCorrected => 'c',
            View::AsRecorded => 'r',
        };
        let text = format!(
            "{} {} {view} {} {}",
            self.question.known_at,
            self.question.as_of,
            BASE64_URL_SAFE_NO_PAD.encode(filters),
            self.after
        );
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn parse(token: &str, filters: [u8; 8]) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(5, ' ');
        let known_at = TreeSize::new(parts.next()?.parse().ok()?);
        let as_of = parse_civil_date(parts.next()?).ok()?;
        let view = match parts.next()? {
            "c" => View::AsCorrected,
            "r" => View::AsRecorded,
            _ => return None,
        };
        let same = parts.next()? == BASE64_URL_SAFE_NO_PAD.encode(filters);
        let question = Question {
            as_of,
            known_at,
            view,
        };
        let after = parts.next()?.to_owned();
        same.then_some(Self { question, after })
    }
}

fn fingerprint(filters: &[u8]) -> [u8; 8] {
    let hash: [u8; 32] = Sha256::digest(filters).into();
    hash.first_chunk().copied().unwrap_or_default()
}

fn page_rows(size: i32) -> Result<usize, CallError> {
    match usize::try_from(size) {
        Ok(0) => Ok(PAGE_ROWS),
        Ok(rows) => Ok(rows.min(PAGE_ROWS_MAX)),
        Err(_) => Err(wrong("page_size", "NEGATIVE", "give how many rows, or 0")),
    }
}

/// One field that is wrong.
pub(super) fn wrong(field: &str, rule: &'static str, remedy: &'static str) -> CallError {
    CallError::Fields(vec![violation(field, rule, remedy)])
}

fn violation(field: &str, rule: &'static str, remedy: &'static str) -> Violation {
    Violation {
        field: field.to_owned(),
        rule,
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token {
            question: Question {
                as_of: parse_civil_date("2024-02-29").unwrap(),
                known_at: TreeSize::new(17),
                view: View::AsRecorded,
            },
            after: "P 1 2".to_owned(),
        }
    }

    #[test]
    fn a_token_comes_back_as_it_went() {
        let printed = token().print([7; 8]);
        let parsed = Token::parse(&printed, [7; 8]).unwrap();
        assert_eq!(parsed.question, token().question);
        assert_eq!(parsed.after, token().after);
    }

    #[test]
    fn a_token_of_other_filters_or_cut_short_is_refused() {
        let printed = token().print([7; 8]);
        assert!(Token::parse(&printed, [8; 8]).is_none());
        for end in 0..printed.len() - 8 {
            let cut = printed.get(..end).unwrap();
            assert!(Token::parse(cut, [7; 8]).is_none(), "{end}");
        }
        assert!(Token::parse("", [7; 8]).is_none());
        assert!(Token::parse("***", [7; 8]).is_none());
    }

    #[test]
    fn a_page_has_its_size_within_bounds() {
        assert_eq!(page_rows(0).unwrap(), PAGE_ROWS);
        assert_eq!(page_rows(7).unwrap(), 7);
        assert_eq!(page_rows(i32::MAX).unwrap(), PAGE_ROWS_MAX);
        page_rows(-1).unwrap_err();
    }
}
