//! `ConsentService`: parses what is asked, asks the rules, and puts their answers into messages.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tonic::{Request, Response, Status, async_trait};

use super::{
    Answers,
    answers::{Asked, Page, PageOf},
    call::Phase,
    driven::Driven,
    error::CallError,
    violations::Violations,
};
use crate::{
    pb::{
        self, ConsentStepKind, DeadlineState, GetConsentStatusRequest, GetConsentStatusResponse,
        ListReconsentRequest, ListReconsentResponse, ReconsentKind, ReconsentList, ReconsentRow,
        WatchReconsentRequest, WatchReconsentResponse, consent_service_server::ConsentService,
    },
    record::format::{check_civil_date, check_gln},
    rules::{
        consent::{requirements::requirements, standing::Standing},
        patient::Patient,
        pick,
        question::Seen,
    },
};

mod convert;
mod watching;

/// Patients that one page looks at, at most: what a page costs does not grow with the ledger.
const PATIENTS_SCAN: usize = 1_000;

/// Changes that are told before the caller asks for them.
const AHEAD: usize = 16;

/// The service.
#[derive(Clone)]
pub(crate) struct Consent {
    answers: Answers,
    phase: watch::Receiver<Phase>,
}

impl Consent {
    /// The service over these answers; what it streams ends when the server drains.
    pub(crate) const fn new(answers: Answers, phase: watch::Receiver<Phase>) -> Self {
        Self { answers, phase }
    }
}

#[async_trait]
impl ConsentService for Consent {
    async fn list_reconsent(
        &self,
        request: Request<ListReconsentRequest>,
    ) -> Result<Response<ListReconsentResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let size = std::mem::take(&mut request.page_size);
        let token = std::mem::take(&mut request.page_token);
        let mut wrong = Violations::default();
        wrong.values::<ReconsentList>("lists", &request.lists);
        wrong.check("site", &request.site, check_gln);
        wrong.values::<DeadlineState>("states", &request.states);
        wrong.values::<ReconsentKind>("kinds", &request.kinds);
        let page = PageOf::of("ListReconsent", size, &token, &request);
        let rows = move |asked: &Asked<'_>, page: &Page| {
            let (rows, next_page_token) = listed(asked, page, &request)?;
            Ok(ListReconsentResponse {
                answered: Some(asked.answered()),
                rows,
                next_page_token,
            })
        };
        let answer = self.answers.ask_page(wrong, question, page, rows);
        Ok(Response::new(answer.await?))
    }

    async fn get_consent_status(
        &self,
        request: Request<GetConsentStatusRequest>,
    ) -> Result<Response<GetConsentStatusResponse>, Status> {
        let GetConsentStatusRequest { question, patient } = request.into_inner();
        let mut wrong = Violations::default();
        wrong.demand("patient", &patient);
        let of_patient = move |asked: &Asked<'_>| status(asked, &patient);
        let answer = self.answers.ask(wrong, question, of_patient);
        Ok(Response::new(answer.await?))
    }

    type WatchReconsentStream = Driven<Result<WatchReconsentResponse, Status>>;

    async fn watch_reconsent(
        &self,
        request: Request<WatchReconsentRequest>,
    ) -> Result<Response<Self::WatchReconsentStream>, Status> {
        let request = request.into_inner();
        let mut wrong = Violations::default();
        wrong.check("as_of", &request.as_of, check_civil_date);
        wrong.check("site", &request.site, check_gln);
        wrong.none()?;
        let watching = watching::Watching::begin(self.answers.clone(), request)?;
        let phase = self.phase.clone();
        let work = |changes| watching.run(phase, changes);
        Ok(Response::new(Driven::new(AHEAD, work, |changes| changes)))
    }
}

/// A page of the lists: patient by patient, until it is full or has looked at enough of them.
fn listed(
    asked: &Asked<'_>,
    page: &Page,
    filters: &ListReconsentRequest,
) -> Result<(Vec<ReconsentRow>, String), CallError> {
    if page.after.is_empty() {
        asked.demand_product(&filters.product_id)?;
        asked.demand_site(&filters.site)?;
        let family = &filters.family;
        if !family.is_empty() && !asked.catalogue().families.contains_key(family) {
            return Err(asked.unknown("family of consent documents"));
        }
    }
    let mut rows = Vec::new();
    let patients = asked.patients_at(&filters.site, &page.after, PATIENTS_SCAN)?;
    let is_all = patients.len() < PATIENTS_SCAN;
    let count = patients.len();
    for (at, patient) in patients.into_iter().enumerate() {
        rows.extend(rows_of(asked, &patient, |patient, row| {
            is_asked_for(asked, filters, patient, row)
        })?);
        let is_end = is_all && at + 1 == count;
        let is_full = page.rows <= rows.len() || at + 1 == count;
        if is_full && !is_end {
            return Ok((rows, asked.next_page(page, &patient)));
        }
    }
    Ok((rows, String::new()))
}

/// The rows of a patient. Whoever is known under another pseudonym now has them there.
fn rows_of(
    asked: &Asked<'_>,
    pseudonym: &str,
    is_asked_for: impl Fn(&Patient, &ReconsentRow) -> bool,
) -> Result<Vec<ReconsentRow>, CallError> {
    let standing = Standing::of(asked, pseudonym, asked.catalogue(), asked.question())?;
    let patient = &standing.patient;
    if patient.id != pseudonym {
        return Ok(Vec::new());
    }
    let rows = required(asked, &standing).into_iter();
    Ok(rows.filter(|row| is_asked_for(patient, row)).collect())
}

fn required(asked: &Asked<'_>, standing: &Standing) -> Vec<ReconsentRow> {
    let Standing {
        patient,
        signatures,
        period,
    } = standing;
    let required = requirements(patient, asked.catalogue(), signatures, period).into_iter();
    required.map(|one| convert::row(patient, one)).collect()
}

fn is_asked_for(
    asked: &Asked<'_>,
    filters: &ListReconsentRequest,
    patient: &Patient,
    row: &ReconsentRow,
) -> bool {
    let ListReconsentRequest {
        question: _,
        lists,
        product_id,
        site,
        family,
        states,
        kinds,
        page_size: _,
        page_token: _,
    } = filters;
    let among = |wanted: &[i32], value: i32| wanted.is_empty() || wanted.contains(&value);
    let catalogue = asked.catalogue();
    among(lists, row.list)
        && among(states, row.state)
        && among(kinds, row.kind)
        && (site.is_empty() || *site == row.site)
        && (family.is_empty()
            || row
                .required
                .as_ref()
                .is_some_and(|key| key.family == *family))
        && (product_id.is_empty() || patient.given_of(catalogue, product_id).next().is_some())
}

fn status(asked: &Asked<'_>, patient: &str) -> Result<GetConsentStatusResponse, CallError> {
    let dossier = asked.dossier(patient)?;
    let standing = Standing::in_dossier(&dossier, asked.catalogue(), asked.question());
    let Standing {
        patient,
        signatures,
        period: _,
    } = &standing;
    if patient.facts.is_empty() {
        return Err(asked.unknown("patient"));
    }
    let signed = signatures.all.iter();
    let mut history: Vec<(&Seen, pb::ConsentStep)> = signed
        .map(|signature| (&signature.said, convert::signed(signature)))
        .collect();
    for decline in &signatures.declines {
        let step = pb::ConsentStep {
            version: Some(decline.version.clone()),
            signatory: decline.signatory.into(),
            valid: decline.counts,
            ..convert::step(ConsentStepKind::Declined, &decline.said)
        };
        history.push((&decline.said, step));
    }
    for (said, withdrawn) in patient.of_kind(pick!(ConsentWithdrawn)) {
        let family = withdrawn.family.clone();
        let step = pb::ConsentStep {
            version: (!family.is_empty()).then(|| pb::ConsentVersionKey {
                family,
                ..Default::default()
            }),
            signatory: withdrawn.withdrawn_by,
            scopes: withdrawn.scopes.clone(),
            ..convert::step(ConsentStepKind::Withdrawn, said)
        };
        history.push((said, step));
    }
    for (said, _) in patient.of_kind(pick!(RiskNotification)) {
        history.push((said, convert::step(ConsentStepKind::Notified, said)));
    }
    history.sort_by_key(|(said, _)| said.moment());
    let families = asked.catalogue().families.keys();
    let in_force = families.filter_map(|family| signatures.newest(family, patient.as_of));
    Ok(GetConsentStatusResponse {
        answered: Some(asked.answered()),
        patient: patient.id.clone(),
        site: patient.site(patient.as_of).to_owned(),
        history: history.into_iter().map(|(_, step)| step).collect(),
        required: required(asked, &standing),
        in_force: in_force.map(convert::in_force).collect(),
    })
}

/// The rows of patients, by what makes each of them one row.
type Rows = BTreeMap<(String, String, i32, String), ReconsentRow>;
