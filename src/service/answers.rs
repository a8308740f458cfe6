//! What every question has: a day, a tree size and a view, with their defaults; the facts behind it; and, where
//! the answer is a list, a page of it. Does not know what is asked.

use std::{fmt, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDate, Utc};
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::{blocking, catalogues::Catalogues, error::CallError, violations::Violations};
use crate::{
    clock::Clock,
    ledger::{Ledger, LedgerFacts},
    pb::{self, QuestionView, question::KnownAt, record::Kind},
    record::{
        Violation,
        format::{Instant, check_civil_date, parse_civil_date},
    },
    rules::{
        catalogue::Catalogue,
        dossier::Dossier,
        fact::{Fact, Facts, Subject},
        question::{Question, Seen, View},
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

/// A question as it was sent: what it leaves open is not set.
struct Sent {
    as_of: Option<NaiveDate>,
    known_at: Option<SentKnownAt>,
    view: Option<View>,
}

enum SentKnownAt {
    Size(TreeSize),
    RecordedBy(DateTime<Utc>, Mark),
}

/// A page of a list: how many rows, and after which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) rows: usize,
    /// Where the page before ended, in the words of the list; empty at the start.
    pub(super) after: String,
    bound: Bound,
}

/// The page that a request asks for.
pub(super) struct PageOf<'a> {
    size: i32,
    token: &'a str,
    /// Of the method, and of the request's bytes without size, token and question.
    request: Mark,
}

impl<'a> PageOf<'a> {
    /// The page of a request to a method, given also without its question and its page.
    pub(super) fn of(
        method: &'static str,
        size: i32,
        token: &'a str,
        filters: &impl Message,
    ) -> Self {
        let mut hash = Sha256::new_with_prefix(method);
        hash.update([0]);
        hash.update(filters.encode_to_vec());
        let request = Mark::of(hash);
        Self {
            size,
            token,
            request,
        }
    }
}

/// What a token is good for, besides the question that it carries: one method with the same filters, and the instant
/// that the first page named, if it did. The tree that an instant means is told once, so that what is recorded
/// meanwhile is not on the pages that follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    request: Mark,
    recorded_by: Option<Mark>,
}

/// A few bytes that tell texts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark([u8; 8]);

impl Mark {
    fn of(hash: Sha256) -> Self {
        let hash: [u8; 32] = hash.finalize().into();
        Self(hash.first_chunk().copied().unwrap_or_default())
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
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

    /// Asks a question, unless something is wrong with it or with the rest of its request.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        mut violations: Violations,
        question: Option<pb::Question>,
        work: impl FnOnce(&Asked<'_>) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let sent = Sent::parse(question.unwrap_or_default(), &mut violations);
        violations.none()?;
        let answers = self.clone();
        blocking(move || {
            let question = answers.question(&sent)?;
            answers.answer(question, work)
        })
        .await
    }

    /// Asks for a page of a list. The pages after the first are of the question that the first was of; a caller who
    /// sends another with its token is refused.
    pub(super) async fn ask_page<T: Send + 'static>(
        &self,
        mut violations: Violations,
        question: Option<pb::Question>,
        page: PageOf<'_>,
        work: impl FnOnce(&Asked<'_>, &Page) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let sent = Sent::parse(question.unwrap_or_default(), &mut violations);
        let rows = page_rows(page.size, &mut violations);
        let request = page.request;
        let token = match page.token {
            "" => None,
            token => {
                let token = Token::parse(token);
                let token = token.filter(|token| token.is_of(request) && sent.is_of(token));
                if token.is_none() {
                    violations.add("page_token", "PAGE_TOKEN", PAGE_TOKEN);
                }
                token
            }
        };
        violations.none()?;
        let answers = self.clone();
        blocking(move || {
            let (question, after, bound) = match token {
                None => {
                    let recorded_by = sent.recorded_by();
                    let bound = Bound {
                        request,
                        recorded_by,
                    };
                    (answers.question(&sent)?, String::new(), bound)
                }
                Some(token) => (token.question, token.after, token.bound),
            };
            let page = Page { rows, after, bound };
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
    fn question(&self, sent: &Sent) -> Result<Question, CallError> {
        let known_at = match sent.known_at {
            None => self.ledger.published().size(),
            Some(SentKnownAt::Size(size)) => size,
            Some(SentKnownAt::RecordedBy(instant, _)) => self.ledger.facts().size_at(instant)?,
        };
        let today = || self.clock.now().date_naive();
        Ok(Question {
            as_of: sent.as_of.unwrap_or_else(today),
            known_at,
            view: sent.view.unwrap_or_default(),
        })
    }
}

/// What is wrong with a question, for whoever asks it later.
pub(super) fn check_question(question: Option<&pb::Question>, violations: &mut Violations) {
    Sent::parse(question.cloned().unwrap_or_default(), violations);
}

impl Sent {
    fn parse(question: pb::Question, violations: &mut Violations) -> Self {
        let pb::Question {
            as_of,
            known_at,
            view,
        } = question;
        violations.value::<QuestionView>("question.view", view);
        let view = match QuestionView::try_from(view) {
            Ok(QuestionView::AsCorrected) => Some(View::AsCorrected),
            Ok(QuestionView::AsRecorded) => Some(View::AsRecorded),
            Ok(QuestionView::Unspecified) | Err(_) => None,
        };
        violations.check("question.as_of", &as_of, check_civil_date);
        let known_at = known_at.and_then(|known_at| match known_at {
            KnownAt::TreeSize(size) => Some(SentKnownAt::Size(TreeSize::new(size))),
            KnownAt::RecordedBy(text) => match Instant::parse(&text) {
                Ok(instant) => {
                    let mark = Mark::of(Sha256::new_with_prefix(&text));
                    let instant = instant.date_time().to_utc();
                    Some(SentKnownAt::RecordedBy(instant, mark))
                }
                Err(error) => {
                    violations.add("question.recorded_by", error.rule, error.remedy);
                    None
                }
            },
        });
        Self {
            as_of: parse_civil_date(&as_of).ok(),
            known_at,
            view,
        }
    }

    fn recorded_by(&self) -> Option<Mark> {
        match self.known_at {
            Some(SentKnownAt::RecordedBy(_, mark)) => Some(mark),
            Some(SentKnownAt::Size(_)) | None => None,
        }
    }

    /// Whether what it sets is what the token's first page was asked of.
    fn is_of(&self, token: &Token) -> bool {
        let Question {
            as_of,
            known_at,
            view,
        } = token.question;
        let known = match self.known_at {
            None => true,
            Some(SentKnownAt::Size(size)) => size == known_at,
            Some(SentKnownAt::RecordedBy(_, mark)) => token.bound.recorded_by == Some(mark),
        };
        known
            && self.as_of.is_none_or(|own| own == as_of)
            && self.view.is_none_or(|own| own == view)
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

    /// That the product that a list is asked for is on record: an empty list would read as "nobody" also where a name
    /// was mistyped.
    pub(super) fn demand_product(&self, product_id: &str) -> Result<(), CallError> {
        if product_id.is_empty() || self.catalogue.product(product_id).is_some() {
            return Ok(());
        }
        Err(self.unknown("product"))
    }

    /// The same for a site: it is registered, or a patient may be there.
    pub(super) fn demand_site(&self, site: &str) -> Result<(), CallError> {
        let is_this = |fact: &Seen| matches!(fact.kind(), Some(Kind::OrganisationRegistered(one)) if one.gln == site);
        let is_known = site.is_empty()
            || self.catalogue.others.iter().any(is_this)
            || !self.facts.patients_at(site, "", 1)?.is_empty();
        if is_known {
            return Ok(());
        }
        Err(self.unknown("site"))
    }

    /// The same for a patient: the pseudonym is on record, whatever it is told of.
    pub(super) fn demand_patient(&self, pseudonym: &str) -> Result<(), CallError> {
        let subject = Subject::Patient(pseudonym.to_owned());
        if pseudonym.is_empty() || 0 < self.facts.count_about(&subject, self.question.known_at)? {
            return Ok(());
        }
        Err(self.unknown("patient"))
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
            bound: page.bound,
            after: after.to_owned(),
        }
        .print()
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
    bound: Bound,
    after: String,
}

/// What stands in a token where the first page named no instant.
const NO_INSTANT: &str = "-";

const PAGE_TOKEN: &str =
    "give the next_page_token of the page before, with the same filters and the same question";

impl Token {
    fn print(&self) -> String {
        let Bound {
            request,
            recorded_by,
        } = &self.bound;
        let view = match self.question.view {
            View::AsCorrected => 'c',
            View::AsRecorded => 'r',
        };
        let instant = recorded_by.map_or_else(|| NO_INSTANT.to_owned(), |mark| mark.to_string());
        let text = format!(
            "{} {} {view} {request} {instant} {}",
            self.question.known_at, self.question.as_of, self.after
        );
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    fn parse(token: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let mut parts = text.splitn(6, ' ');
        let known_at = TreeSize::new(parts.next()?.parse().ok()?);
        let as_of = parse_civil_date(parts.next()?).ok()?;
        let view = match parts.next()? {
            "c" => View::AsCorrected,
            "r" => View::AsRecorded,
            _ => return None,
        };
        let mark = |text: &str| {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
            Some(Mark(bytes.try_into().ok()?))
        };
        let request = mark(parts.next()?)?;
        let recorded_by = match parts.next()? {
            NO_INSTANT => None,
            text => Some(mark(text)?),
        };
        Some(Self {
            question: Question {
                as_of,
                known_at,
                view,
            },
            bound: Bound {
                request,
                recorded_by,
            },
            after: parts.next()?.to_owned(),
        })
    }

    fn is_of(&self, request: Mark) -> bool {
        self.bound.request == request
    }
}

fn page_rows(size: i32, violations: &mut Violations) -> usize {
    match usize::try_from(size) {
        Ok(0) => PAGE_ROWS,
        Ok(rows) => rows.min(PAGE_ROWS_MAX),
        Err(_) => {
            violations.add("page_size", "NEGATIVE", "give how many rows, or 0");
            0
        }
    }
}

/// One field that is wrong.
pub(super) fn wrong(field: &str, rule: &'static str, remedy: &str) -> CallError {
    CallError::Fields(vec![Violation {
        field: field.to_owned(),
        rule,
        remedy: remedy.to_owned(),
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTANT: &str = "2024-03-01T00:00:00Z";

    fn mark(text: &str) -> Mark {
        Mark::of(Sha256::new_with_prefix(text))
    }

    fn token() -> Token {
        Token {
            question: Question {
                as_of: parse_civil_date("2024-02-29").unwrap(),
                known_at: TreeSize::new(17),
                view: View::AsRecorded,
            },
            bound: Bound {
                request: mark("request"),
                recorded_by: Some(mark(INSTANT)),
            },
            after: "P 1 2".to_owned(),
        }
    }

    #[test]
    fn a_token_comes_back_as_it_went() {
        let unnamed = Bound {
            recorded_by: None,
            ..token().bound
        };
        for bound in [token().bound, unnamed] {
            let printed = Token { bound, ..token() }.print();
            let parsed = Token::parse(&printed).unwrap();
            assert_eq!(parsed.question, token().question);
            assert_eq!(parsed.bound, bound);
            assert_eq!(parsed.after, token().after);
        }
    }

    #[test]
    fn a_token_cut_short_is_refused() {
        let printed = token().print();
        for end in 0..printed.len() - 8 {
            let cut = printed.get(..end).unwrap();
            assert!(Token::parse(cut).is_none(), "{end}");
        }
        assert!(Token::parse("").is_none());
        assert!(Token::parse("***").is_none());
    }

    #[test]
    fn a_token_is_of_one_method_and_one_set_of_filters() {
        let request = |method, filters: &pb::ListStockRequest| {
            let page = PageOf::of(method, 0, "", filters);
            page.request
        };
        let none = pb::ListStockRequest::default();
        let site = pb::ListStockRequest {
            site: "9521123001015".to_owned(),
            ..none.clone()
        };
        let own = request("ListStock", &none);
        assert_eq!(own, request("ListStock", &none));
        assert_ne!(own, request("ListStock", &site));
        assert_ne!(own, request("ListDeviations", &none));
    }

    #[test]
    fn what_is_asked_with_a_token_is_what_the_first_page_was_asked() {
        let check = |question: pb::Question, expected: bool| {
            let mut violations = Violations::default();
            let sent = Sent::parse(question.clone(), &mut violations);
            violations.none().unwrap();
            assert_eq!(sent.is_of(&token()), expected, "{question:?}");
        };
        let of = |as_of: &str, known_at, view: QuestionView| pb::Question {
            as_of: as_of.to_owned(),
            known_at,
            view: view.into(),
        };
        let recorded_by = |text: &str| Some(KnownAt::RecordedBy(text.to_owned()));
        let any = QuestionView::Unspecified;
        check(of("", None, any), true);
        check(of("2024-02-29", None, any), true);
        check(of("2024-02-28", None, any), false);
        check(of("", Some(KnownAt::TreeSize(17)), any), true);
        check(of("", Some(KnownAt::TreeSize(18)), any), false);
        check(of("", recorded_by(INSTANT), any), true);
        check(of("", recorded_by("2024-03-02T00:00:00Z"), any), false);
        check(of("", None, QuestionView::AsRecorded), true);
        check(of("", None, QuestionView::AsCorrected), false);
    }

    #[test]
    fn a_page_has_its_size_within_bounds() {
        let check = |size: i32, expected: usize, is_fine: bool| {
            let mut violations = Violations::default();
            assert_eq!(page_rows(size, &mut violations), expected);
            assert_eq!(violations.none().is_ok(), is_fine);
        };
        check(0, PAGE_ROWS, true);
        check(7, 7, true);
        check(i32::MAX, PAGE_ROWS_MAX, true);
        check(-1, 0, false);
    }
}
