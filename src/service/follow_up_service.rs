//! `FollowUpService`: parses what is asked, asks the rules, and puts their answers into messages.

use std::sync::Arc;

use tonic::{Request, Response, Status, async_trait};

use super::{
    Answers,
    answers::{Asked, Page, PageOf, check_question, wrong},
    driven::Driven,
    error::CallError,
    violations::Violations,
};
use crate::{
    pb::{
        self, GetScheduleRequest, GetScheduleResponse, ListObligationsRequest,
        ListObligationsResponse, ListOpenSignalsRequest, ListOpenSignalsResponse,
        ListTreatedNotEnrolledRequest, ListTreatedNotEnrolledResponse, ObligationKind,
        ObligationState, ReportConformityRequest, ReportConformityResponse, SamplePurpose,
        SummarizePeriodRequest, SummarizePeriodResponse, follow_up_service_server::FollowUpService,
    },
    record::format::{
        FormatError, check_civil_date, check_gln, check_pseudonym, check_token, parse_civil_date,
    },
    rules::{
        consent::signatures::Signatures,
        follow_up::{
            obligations,
            period::{Period, Status as Standing},
            schedule::Schedule,
            signals,
            summary::{Days, Summary},
        },
        patient::Patient,
    },
};

mod conformity;
mod convert;

use conformity::Reports;

/// Patients that one page looks at, at most: filters that let little through make short pages.
const PATIENTS_SCAN: usize = 5_000;

/// As long as a record may name one.
const PRODUCT_ID_CHARS_MAX: usize = 64;

/// Patients that are fetched in one go.
const PATIENTS_AHEAD: usize = 256;

/// The service.
#[derive(Clone)]
pub(crate) struct FollowUp {
    answers: Answers,
    reports: Arc<Reports>,
}

impl FollowUp {
    /// The service over these answers.
    pub(crate) fn new(answers: Answers) -> Self {
        Self {
            answers,
            reports: Arc::default(),
        }
    }
}

#[async_trait]
impl FollowUpService for FollowUp {
    type ReportConformityStream = Driven<Result<ReportConformityResponse, Status>>;

    async fn report_conformity(
        &self,
        request: Request<ReportConformityRequest>,
    ) -> Result<Response<Self::ReportConformityStream>, Status> {
        let ReportConformityRequest {
            question,
            product_id,
        } = request.into_inner();
        let mut wrong = Violations::default();
        wrong.demand("product_id", &product_id);
        wrong.check("product_id", &product_id, check_product);
        check_question(question.as_ref(), &mut wrong);
        wrong.none()?;
        let (answers, reports) = (self.answers.clone(), Arc::clone(&self.reports));
        let made = |sender| conformity::report(answers, question, product_id, reports, sender);
        Ok(Response::new(Driven::new(
            conformity::PROGRESS_AHEAD,
            made,
            |answers| answers,
        )))
    }

    async fn list_obligations(
        &self,
        request: Request<ListObligationsRequest>,
    ) -> Result<Response<ListObligationsResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let size = std::mem::take(&mut request.page_size);
        let token = std::mem::take(&mut request.page_token);
        let page = PageOf::of("ListObligations", size, &token, &request);
        let mut wrong = Violations::default();
        wrong.check("patient", &request.patient, check_pseudonym);
        wrong.check("site", &request.site, check_gln);
        wrong.check("product_id", &request.product_id, check_product);
        wrong.values::<ObligationKind>("kinds", &request.kinds);
        // Of no purpose is what is no sample.
        for (item, purpose) in request.purposes.iter().enumerate() {
            wrong.value::<SamplePurpose>(format!("purposes[{item}]"), *purpose);
        }
        wrong.values::<ObligationState>("states", &request.states);
        for (item, state) in request.states().enumerate() {
            if state == ObligationState::Met {
                let remedy = "what was met is not listed: see the schedule of the patient";
                wrong.add(format!("states[{item}]"), "NOT_LISTED", remedy);
            }
        }
        let rows = move |asked: &Asked<'_>, page: &Page| {
            demand_known(asked, page, &request.product_id, &request.site)?;
            asked.demand_patient(&request.patient)?;
            let among = (request.site.as_str(), request.patient.as_str());
            let rows = |patient: &Patient| open(asked, patient, &request);
            let (obligations, next_page_token) = of_patients(asked, page, among, rows)?;
            Ok(ListObligationsResponse {
                answered: Some(asked.answered()),
                obligations,
                next_page_token,
            })
        };
        let answer = self.answers.ask_page(wrong, question, page, rows);
        Ok(Response::new(answer.await?))
    }

    async fn get_schedule(
        &self,
        request: Request<GetScheduleRequest>,
    ) -> Result<Response<GetScheduleResponse>, Status> {
        let GetScheduleRequest { question, patient } = request.into_inner();
        let mut wrong = Violations::default();
        wrong.demand("patient", &patient);
        wrong.check("patient", &patient, check_pseudonym);
        let answer = self.answers.ask(wrong, question, move |asked| {
            let patient = Patient::of(&asked.dossier(&patient)?, asked.question());
            if patient.facts.is_empty() {
                return Err(asked.unknown("patient"));
            }
            let signatures = Signatures::of(&patient, asked.catalogue());
            let on = asked.question().as_of;
            let schedule = Schedule::of(&patient, asked.catalogue(), &signatures, on);
            Ok(convert::schedule(asked.answered(), &patient, on, schedule))
        });
        Ok(Response::new(answer.await?))
    }

    async fn list_treated_not_enrolled(
        &self,
        request: Request<ListTreatedNotEnrolledRequest>,
    ) -> Result<Response<ListTreatedNotEnrolledResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let size = std::mem::take(&mut request.page_size);
        let token = std::mem::take(&mut request.page_token);
        let page = PageOf::of("ListTreatedNotEnrolled", size, &token, &request);
        let mut wrong = Violations::default();
        wrong.check("site", &request.site, check_gln);
        wrong.check("product_id", &request.product_id, check_product);
        let rows = move |asked: &Asked<'_>, page: &Page| {
            demand_known(asked, page, &request.product_id, &request.site)?;
            let rows = |patient: &Patient| not_enrolled(asked, patient, &request);
            let among = (request.site.as_str(), "");
            let (patients, next_page_token) = of_patients(asked, page, among, rows)?;
            Ok(ListTreatedNotEnrolledResponse {
                answered: Some(asked.answered()),
                patients,
                next_page_token,
            })
        };
        let answer = self.answers.ask_page(wrong, question, page, rows);
        Ok(Response::new(answer.await?))
    }

    async fn list_open_signals(
        &self,
        request: Request<ListOpenSignalsRequest>,
    ) -> Result<Response<ListOpenSignalsResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let size = std::mem::take(&mut request.page_size);
        let token = std::mem::take(&mut request.page_token);
        let page = PageOf::of("ListOpenSignals", size, &token, &request);
        let mut wrong = Violations::default();
        wrong.check("product_id", &request.product_id, check_product);
        let rows = move |asked: &Asked<'_>, page: &Page| {
            let on = asked.question().as_of;
            let mut open = signals::open(asked.catalogue(), on);
            let product = &request.product_id;
            asked.demand_product(product)?;
            open.retain(|one| product.is_empty() || one.products.contains(product));
            let done: usize = page.after.parse().unwrap_or(0);
            let until = done.saturating_add(page.rows);
            let next_page_token = if until < open.len() {
                asked.next_page(page, &until.to_string())
            } else {
                String::new()
            };
            let rows = open.into_iter().skip(done).take(page.rows);
            Ok(ListOpenSignalsResponse {
                answered: Some(asked.answered()),
                signals: rows.map(convert::signal).collect(),
                next_page_token,
            })
        };
        let answer = self.answers.ask_page(wrong, question, page, rows);
        Ok(Response::new(answer.await?))
    }

    async fn summarize_period(
        &self,
        request: Request<SummarizePeriodRequest>,
    ) -> Result<Response<SummarizePeriodResponse>, Status> {
        let SummarizePeriodRequest {
            question,
            from,
            product_id,
        } = request.into_inner();
        let mut violations = Violations::default();
        if from.is_empty() {
            violations.add("from", "REQUIRED", "give the first day of the period");
        }
        violations.check("from", &from, check_civil_date);
        violations.check("product_id", &product_id, check_product);
        // What is no day is told of before it would be used.
        let from = parse_civil_date(&from).unwrap_or_default();
        let answer = self.answers.ask(violations, question, move |asked| {
            let to = asked.question().as_of;
            if to < from {
                let remedy = "give a day that is not after the question's";
                return Err(wrong("from", "FROM_AFTER_END", remedy));
            }
            asked.demand_product(&product_id)?;
            let days = Days { from, to };
            let product = (!product_id.is_empty()).then_some(product_id.as_str());
            let mut summary = Summary::default();
            let mut names = Pseudonyms::after(asked, "", "");
            while let Some(name) = names.next()? {
                let patient = Patient::of(&asked.dossier(&name)?, asked.question());
                if patient.id == name {
                    let signatures = Signatures::of(&patient, asked.catalogue());
                    summary.add(&patient, asked.catalogue(), &signatures, days, product);
                }
            }
            Ok(convert::summary(asked.answered(), from, summary))
        });
        Ok(Response::new(answer.await?))
    }
}

/// What a list is asked for is on record; looked up with its first page.
fn demand_known(
    asked: &Asked<'_>,
    page: &Page,
    product_id: &str,
    site: &str,
) -> Result<(), CallError> {
    if !page.after.is_empty() {
        return Ok(());
    }
    asked.demand_product(product_id)?;
    asked.demand_site(site)
}

/// The id of a product.
fn check_product(text: &str) -> Result<(), FormatError> {
    check_token(text, PRODUCT_ID_CHARS_MAX)
}

/// The open obligations of a patient that a request asks for.
fn open(
    asked: &Asked<'_>,
    patient: &Patient,
    request: &ListObligationsRequest,
) -> Vec<pb::Obligation> {
    let (catalogue, on) = (asked.catalogue(), asked.question().as_of);
    let site = patient.site(on);
    if !request.site.is_empty() && request.site != site {
        return Vec::new();
    }
    let signatures = Signatures::of(patient, catalogue);
    let period = Period::of(patient, catalogue, &signatures, on);
    let open = obligations::open(patient, catalogue, &signatures, &period, on);
    let rows = open
        .into_iter()
        .map(|row| convert::obligation(patient, on, row));
    let is_asked_for = |row: &pb::Obligation| {
        (request.product_id.is_empty() || request.product_id == row.product_id)
            && (request.kinds.is_empty() || request.kinds.contains(&row.kind))
            && (request.purposes.is_empty() || request.purposes.contains(&row.purpose))
            && (request.states.is_empty() || request.states.contains(&row.state))
    };
    rows.filter(is_asked_for).collect()
}

fn not_enrolled(
    asked: &Asked<'_>,
    patient: &Patient,
    request: &ListTreatedNotEnrolledRequest,
) -> Vec<pb::TreatedNotEnrolled> {
    let (catalogue, on) = (asked.catalogue(), asked.question().as_of);
    let site = patient.site(on);
    if !request.site.is_empty() && request.site != site {
        return Vec::new();
    }
    let signatures = Signatures::of(patient, catalogue);
    let mut period = Period::of(patient, catalogue, &signatures, on);
    period
        .courses
        .retain(|course| course.status == Standing::NotEnrolled);
    let product = &request.product_id;
    let mut courses = period.courses.iter();
    if !product.is_empty() && courses.all(|course| course.product_id != *product) {
        return Vec::new();
    }
    convert::not_enrolled(patient, on, &period.courses)
        .into_iter()
        .collect()
}

/// The rows of patients, page by page: of one, or of all who may be at a site, or of all, in the order of their
/// pseudonyms. A token says with whom the next page begins, and how many of that patient's rows were there already.
fn of_patients<T>(
    asked: &Asked<'_>,
    page: &Page,
    (site, only): (&str, &str),
    rows_of: impl Fn(&Patient) -> Vec<T>,
) -> Result<(Vec<T>, String), CallError> {
    let begin = page.after.split_once(' ');
    let begin = begin.and_then(|(skip, first)| Some((skip.parse().ok()?, first.to_owned())));
    let (mut skip, first): (usize, _) = match begin {
        Some((skip, first)) => (skip, Some(first)),
        None => (0, (!only.is_empty()).then(|| only.to_owned())),
    };
    let mut names = Pseudonyms::after(asked, site, first.as_deref().unwrap_or_default());
    let mut next = match first {
        Some(first) => Some(first),
        None => names.next()?,
    };
    let mut rows = Vec::new();
    let mut looked_at = 0_usize;
    while let Some(name) = next {
        if rows.len() == page.rows || looked_at == PATIENTS_SCAN {
            return Ok((rows, asked.next_page(page, &format!("{skip} {name}"))));
        }
        looked_at += 1;
        let patient = Patient::of(&asked.dossier(&name)?, asked.question());
        // Who is known under another pseudonym now has the rows there.
        if patient.id == name || !only.is_empty() {
            let of_patient = rows_of(&patient).into_iter().skip(skip);
            let room = page.rows - rows.len();
            if room < of_patient.len() {
                rows.extend(of_patient.take(room));
                skip += room;
                return Ok((rows, asked.next_page(page, &format!("{skip} {name}"))));
            }
            rows.extend(of_patient);
        }
        skip = 0;
        next = match only {
            "" => names.next()?,
            _ => None,
        };
    }
    Ok((rows, String::new()))
}

/// The pseudonyms of the patients who may be at a site, or of all, in their order.
struct Pseudonyms<'a> {
    asked: &'a Asked<'a>,
    site: &'a str,
    last: String,
    ahead: std::vec::IntoIter<String>,
}

impl<'a> Pseudonyms<'a> {
    fn after(asked: &'a Asked<'a>, site: &'a str, last: &str) -> Self {
        Self {
            asked,
            site,
            last: last.to_owned(),
            ahead: Vec::new().into_iter(),
        }
    }

    fn next(&mut self) -> Result<Option<String>, CallError> {
        if self.ahead.len() == 0 {
            let more = self
                .asked
                .patients_at(self.site, &self.last, PATIENTS_AHEAD)?;
            self.ahead = more.into_iter();
        }
        let next = self.ahead.next();
        if let Some(next) = &next {
            self.last.clone_from(next);
        }
        Ok(next)
    }
}
