//! `TraceService`: parses what is asked, asks the rules, and puts their answers into messages.

use std::{collections::BTreeMap, sync::Arc};

use tonic::{Request, Response, Status, async_trait};

use super::{
    Answers,
    answers::{Asked, Page, PageOf},
    error::CallError,
    violations::Violations,
};
use crate::{
    pb::{
        self, GetChainOfIdentityRequest, GetChainOfIdentityResponse, GetRecallRequest,
        GetRecallResponse, ListDeviationsRequest, ListDeviationsResponse, ListRetentionRequest,
        ListRetentionResponse, ListStockRequest, ListStockResponse, Severity, TraceLotRequest,
        TraceLotResponse, TracePatientRequest, TracePatientResponse, TraceSampleRequest,
        TraceSampleResponse, record::Kind, trace_lot_request::Root,
        trace_service_server::TraceService,
    },
    record::format::{check_coi, check_gln},
    rules::{
        deviations::{self, Review},
        fact::{Fact, Facts as _, LotId, Material, Subject, subjects},
        flags::codes,
        question::{Seen, seen},
        trace::{
            forward::{self, Part, Position},
            graph::{Reached, Way, walk},
            identity,
            lot::Lot,
            patient,
            people::People,
            recall, retention, sample,
        },
    },
    tlog::Index,
};

mod convert;

/// Entries that one page of deviations looks at, at most, where neither a patient nor a lot is named: filters that
/// let little through make short pages.
const DEVIATIONS_SCAN: usize = 1_000;

/// The service.
#[derive(Clone)]
pub(crate) struct Trace {
    answers: Answers,
}

impl Trace {
    /// The service over these answers.
    pub(crate) fn new(answers: Answers) -> Self {
        Self { answers }
    }
}

#[async_trait]
impl TraceService for Trace {
    async fn trace_lot(
        &self,
        request: Request<TraceLotRequest>,
    ) -> Result<Response<TraceLotResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let page = PageOf::of("TraceLot", size, &token, &request);
        let mut wrong = Violations::default();
        let root = match request.root.take() {
            Some(Root::Lot(key)) => Material::Lot(wrong.lot("lot", &key)),
            Some(Root::Din(din)) => {
                wrong.demand("din", &din);
                Material::Donation(din)
            }
            None => {
                wrong.add("root", "REQUIRED", "give a lot or a donation");
                Material::Donation(String::new())
            }
        };
        let answer = self
            .answers
            .ask_page(wrong, question, page, move |asked, page| {
                demand_known(asked, &root)?;
                let (part, next_page_token) = traced(asked, page, vec![root])?;
                Ok(TraceLotResponse {
                    answered: Some(asked.answered()),
                    materials: convert::all(part.materials),
                    administrations: convert::all(part.administrations),
                    samples: convert::all(part.samples),
                    unadministered: convert::all(part.unadministered),
                    next_page_token,
                })
            });
        Ok(Response::new(answer.await?))
    }

    async fn trace_patient(
        &self,
        request: Request<TracePatientRequest>,
    ) -> Result<Response<TracePatientResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let page = PageOf::of("TracePatient", size, &token, &request);
        let mut wrong = Violations::default();
        let pseudonym = request.patient.clone();
        wrong.demand("patient", &pseudonym);
        let answer = self
            .answers
            .ask_page(wrong, question, page, move |asked, page| {
                let trace = patient::trace_patient(asked, asked.question(), &pseudonym)?
                    .ok_or_else(|| asked.unknown("patient"))?;
                let (ancestors, next_page_token) = materials(asked, page, &trace.ancestors)?;
                Ok(TracePatientResponse {
                    answered: Some(asked.answered()),
                    patient: trace.patient,
                    patient_status: convert::standing(trace.standing).into(),
                    cois: trace.cois,
                    administrations: convert::all(trace.administrations),
                    never_administered: convert::all(trace.never_administered),
                    ancestors,
                    next_page_token,
                })
            });
        Ok(Response::new(answer.await?))
    }

    async fn trace_sample(
        &self,
        request: Request<TraceSampleRequest>,
    ) -> Result<Response<TraceSampleResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let page = PageOf::of("TraceSample", size, &token, &request);
        let mut wrong = Violations::default();
        let sample_id = request.sample_id.clone();
        wrong.demand("sample_id", &sample_id);
        let answer = self
            .answers
            .ask_page(wrong, question, page, move |asked, page| {
                let trace = sample::trace_sample(asked, asked.question(), &sample_id)?
                    .ok_or_else(|| asked.unknown("sample"))?;
                let (materials, next_page_token) = materials(asked, page, &trace.materials)?;
                Ok(TraceSampleResponse {
                    answered: Some(asked.answered()),
                    patient: trace.patient,
                    tubes: convert::all(trace.samples),
                    administrations: convert::all(trace.administrations),
                    materials,
                    next_page_token,
                })
            });
        Ok(Response::new(answer.await?))
    }

    async fn get_chain_of_identity(
        &self,
        request: Request<GetChainOfIdentityRequest>,
    ) -> Result<Response<GetChainOfIdentityResponse>, Status> {
        let GetChainOfIdentityRequest { question, coi } = request.into_inner();
        let mut wrong = Violations::default();
        wrong.demand("coi", &coi);
        wrong.check("coi", &coi, check_coi);
        let answer = self.answers.ask(wrong, question, move |asked| {
            let chain = identity::chain_of_identity(asked, asked.question(), &coi)?
                .ok_or_else(|| asked.unknown("chain of identity"))?;
            Ok(GetChainOfIdentityResponse {
                answered: Some(asked.answered()),
                patients: chain.patients,
                lots: convert::all(chain.lots),
                links: convert::all(chain.links),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn list_stock(
        &self,
        request: Request<ListStockRequest>,
    ) -> Result<Response<ListStockResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let page = PageOf::of("ListStock", size, &token, &request);
        let mut wrong = Violations::default();
        let only = request.lot.as_ref().map(|key| wrong.lot("lot", key));
        let place = request.site.clone();
        wrong.check("site", &place, check_gln);
        let answer = self
            .answers
            .ask_page(wrong, question, page, move |asked, page| {
                let (lots, next_page_token) = lots(asked, page, only.as_ref())?;
                let mut rows = Vec::new();
                for id in &lots {
                    let lot = Lot::of(asked, asked.question(), id)?;
                    if !lot.is_known() {
                        continue;
                    }
                    let of_lot = forward::stock_rows(&lot, &lot.stock()).into_iter();
                    let is_asked = |row: &forward::StockRow| {
                        place.is_empty() || (row.place == place && row.held.is_positive())
                    };
                    rows.extend(of_lot.filter(is_asked));
                }
                demand_site(asked, page, &place, rows.is_empty(), &next_page_token)?;
                Ok(ListStockResponse {
                    answered: Some(asked.answered()),
                    rows: convert::all(rows),
                    next_page_token,
                })
            });
        Ok(Response::new(answer.await?))
    }

    async fn get_recall(
        &self,
        request: Request<GetRecallRequest>,
    ) -> Result<Response<GetRecallResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let page = PageOf::of("GetRecall", size, &token, &request);
        let mut wrong = Violations::default();
        let recall_id = request.recall_id.clone();
        wrong.demand("recall_id", &recall_id);
        let answer = self
            .answers
            .ask_page(wrong, question, page, move |asked, page| {
                let recall = recall::recall(asked, asked.question(), &recall_id)?
                    .ok_or_else(|| asked.unknown("recall"))?;
                recalled(asked, page, &recall)
            });
        Ok(Response::new(answer.await?))
    }

    async fn list_retention(
        &self,
        request: Request<ListRetentionRequest>,
    ) -> Result<Response<ListRetentionResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let page = PageOf::of("ListRetention", size, &token, &request);
        let mut wrong = Violations::default();
        let only = request.lot.as_ref().map(|key| wrong.lot("lot", key));
        let answer = self
            .answers
            .ask_page(wrong, question, page, move |asked, page| {
                let (mut lots, next_page_token) = lots(asked, page, only.as_ref())?;
                let mut known = Vec::new();
                for id in lots.drain(..) {
                    if Lot::of(asked, asked.question(), &id)?.is_known() {
                        known.push(id);
                    }
                }
                Ok(ListRetentionResponse {
                    answered: Some(asked.answered()),
                    rows: convert::all(retention::retention(asked, asked.question(), &known)?),
                    next_page_token,
                })
            });
        Ok(Response::new(answer.await?))
    }

    async fn list_deviations(
        &self,
        request: Request<ListDeviationsRequest>,
    ) -> Result<Response<ListDeviationsResponse>, Status> {
        let mut request = request.into_inner();
        let question = request.question.take();
        let (size, token) = page_of(&mut request.page_size, &mut request.page_token);
        let page = PageOf::of("ListDeviations", size, &token, &request);
        let mut wrong = Violations::default();
        for (item, code) in request.codes.iter().enumerate() {
            if !codes::ALONE
                .iter()
                .chain(codes::ACROSS)
                .any(|rule| rule.code == code)
            {
                let remedy = "give a code of docs/flags.md, as LATE_SAMPLE";
                wrong.add(format!("codes[{item}]"), "CODE_UNKNOWN", remedy);
            }
        }
        wrong.value::<Severity>("severity", request.severity);
        wrong.check("site", &request.site, check_gln);
        let lot = request.lot.as_ref().map(|key| wrong.lot("lot", key));
        let answer = self
            .answers
            .ask_page(wrong, question, page, move |asked, page| {
                deviations(asked, page, &request, lot.as_ref())
            });
        Ok(Response::new(answer.await?))
    }
}

/// The page that is asked for, taken out of the request: what stays are the filters.
fn page_of(size: &mut i32, token: &mut String) -> (i32, String) {
    (std::mem::take(size), std::mem::take(token))
}

/// A trace of what nobody knows would read as "nobody received it".
fn demand_known(asked: &Asked<'_>, root: &Material) -> Result<(), CallError> {
    let (is_known, what) = match root {
        Material::Lot(id) => (Lot::of(asked, asked.question(), id)?.is_known(), "lot"),
        Material::Donation(din) => {
            let mut facts = asked.about(&Subject::Donation(din.clone()))?;
            facts.extend(asked.about(&Subject::MadeOf(root.clone()))?);
            (!seen(&facts, asked.question()).is_empty(), "donation")
        }
    };
    if is_known {
        Ok(())
    } else {
        Err(asked.unknown(what))
    }
}

/// A site of which a whole list has no row is on record. Records name sites that nobody registered, so only such a
/// list tells.
fn demand_site(
    asked: &Asked<'_>,
    page: &Page,
    site: &str,
    is_empty: bool,
    next_page_token: &str,
) -> Result<(), CallError> {
    if page.after.is_empty() && is_empty && next_page_token.is_empty() {
        return asked.demand_site(site);
    }
    Ok(())
}

/// A page of the trace from some roots, and the token of the next.
fn traced(
    asked: &Asked<'_>,
    page: &Page,
    roots: Vec<Material>,
) -> Result<(Part, String), CallError> {
    let reached = walk(asked, asked.question(), roots, Way::Descendants)?;
    let mut from = page
        .after
        .split(' ')
        .map(|number| number.parse().unwrap_or(0));
    let from = Position {
        material: from.next().unwrap_or(0),
        row: from.next().unwrap_or(0),
    };
    let part = forward::part(asked, asked.question(), &reached, from, page.rows)?;
    let token = part.next.map(|next| {
        let after = format!("{} {}", next.material, next.row);
        asked.next_page(page, &after)
    });
    Ok((part, token.unwrap_or_default()))
}

/// A page of what a walk came to, and the token of the next.
fn materials(
    asked: &Asked<'_>,
    page: &Page,
    reached: &[Reached],
) -> Result<(Vec<pb::TracedMaterial>, String), CallError> {
    let from: usize = page.after.parse().unwrap_or(0);
    let rest = reached.get(from..).unwrap_or_default();
    let here = rest.get(..page.rows).unwrap_or(rest);
    let token = if here.len() < rest.len() {
        asked.next_page(page, &from.saturating_add(page.rows).to_string())
    } else {
        String::new()
    };
    Ok((
        convert::all(patient::materials(asked, asked.question(), here)?),
        token,
    ))
}

/// A page of lots in their order, and the token of the next: those that somebody registered, and those that
/// somebody moved or used.
fn lots(
    asked: &Asked<'_>,
    page: &Page,
    only: Option<&LotId>,
) -> Result<(Vec<LotId>, String), CallError> {
    if let Some(only) = only {
        return if Lot::of(asked, asked.question(), only)?.is_known() {
            Ok((vec![only.clone()], String::new()))
        } else {
            Err(asked.unknown("lot"))
        };
    }
    // Neither a GTIN nor a lot number has a space in it.
    let (gtin, lot) = page.after.split_once(' ').unwrap_or_default();
    let after = LotId {
        gtin: gtin.to_owned(),
        lot: lot.to_owned(),
    };
    let registered = asked.subjects_after(&Subject::Lot(after.clone()), page.rows)?;
    let moved = asked.subjects_after(&Subject::Stock(after), page.rows)?;
    // The subjects of one kind stand together: the first of another ends them.
    let registered = registered.into_iter().map_while(|subject| {
        if let Subject::Lot(lot) = subject {
            Some(lot)
        } else {
            None
        }
    });
    let moved = moved.into_iter().map_while(|subject| {
        if let Subject::Stock(lot) = subject {
            Some(lot)
        } else {
            None
        }
    });
    let mut lots: Vec<LotId> = registered.chain(moved).collect();
    lots.sort();
    lots.dedup();
    lots.truncate(page.rows);
    let token = match lots.last() {
        Some(last) if lots.len() == page.rows => {
            asked.next_page(page, &format!("{} {}", last.gtin, last.lot))
        }
        _ => String::new(),
    };
    Ok((lots, token))
}

fn recalled(
    asked: &Asked<'_>,
    page: &Page,
    recall: &recall::Recall,
) -> Result<GetRecallResponse, CallError> {
    let roots: Vec<Material> = recall.roots.iter().cloned().map(Material::Lot).collect();
    let sites = if page.after.is_empty() {
        let reached = walk(asked, asked.question(), roots.clone(), Way::Descendants)?;
        recall.sites(&recall::concerned(asked, asked.question(), &reached)?)
    } else {
        Vec::new()
    };
    let (part, next_page_token) = traced(asked, page, roots)?;
    let mut reconciliations = Vec::new();
    for material in &part.materials {
        if let Material::Lot(id) = &material.material {
            let lot = Lot::of(asked, asked.question(), id)?;
            reconciliations.extend(recall.reconciliations(&lot));
        }
    }
    let opened = recall.opening();
    Ok(GetRecallResponse {
        answered: Some(asked.answered()),
        recall_id: opened.recall_id,
        roots: convert::all(recall.roots.clone()),
        recall_class: recall.class.into(),
        opened_on: recall.opened.on.to_string(),
        closed_on: recall
            .closed
            .as_ref()
            .map_or_else(String::new, |end| end.on.to_string()),
        authority: opened.authority,
        reason: recall.opened.record.reason.clone(),
        why: Some(recall.why()),
        sites: convert::all(sites),
        materials: convert::all(part.materials),
        administrations: convert::all(part.administrations),
        samples: convert::all(part.samples),
        unadministered: convert::all(part.unadministered),
        reconciliations: convert::all(reconciliations),
        next_page_token,
    })
}

/// A page of deviations: what each entry raises by itself and together with others, as things stand.
fn deviations(
    asked: &Asked<'_>,
    page: &Page,
    filters: &ListDeviationsRequest,
    lot: Option<&LotId>,
) -> Result<ListDeviationsResponse, CallError> {
    asked.demand_patient(&filters.patient)?;
    let mut people = People::new(asked, asked.question());
    let patient = match filters.patient.as_str() {
        "" => None,
        pseudonym => Some(people.known_as(pseudonym)?),
    };
    let mut review = Review::new(asked.facts(), asked.catalogue(), *asked.question());
    let (index, row) = page.after.split_once(' ').unwrap_or_default();
    let begin: (u64, usize) = (index.parse().unwrap_or(0), row.parse().unwrap_or(0));
    let (facts, further) = candidates(asked, begin.0, patient.as_deref(), lot)?;
    let mut rows: Vec<pb::Deviation> = Vec::new();
    for fact in facts {
        let index = fact.index.value();
        let Some(own) = as_seen(asked, &fact)? else {
            continue;
        };
        let mut raised = deviations::own(&own.fact);
        raised.extend(review.of_record(&fact)?);
        let skip = if index == begin.0 { begin.1 } else { 0 };
        for (position, one) in raised.iter().enumerate().skip(skip) {
            let whose = match one.about.patient.as_str() {
                pseudonym if pseudonym.is_empty() || pseudonym == own.record.patient => {
                    people.whose(&own)?
                }
                pseudonym => people.known_as(pseudonym)?,
            };
            let is_asked = patient.as_ref().is_none_or(|patient| *patient == whose)
                && lot.is_none_or(|lot| one.about.lot.as_ref() == Some(lot))
                && (filters.site.is_empty() || filters.site == one.site(&own))
                && (filters.codes.is_empty()
                    || filters.codes.iter().any(|code| code == one.rule.code))
                && filters.severity <= i32::from(one.rule.severity);
            if !is_asked {
                continue;
            }
            if rows.len() == page.rows {
                return Ok(ListDeviationsResponse {
                    answered: Some(asked.answered()),
                    rows,
                    next_page_token: asked.next_page(page, &format!("{index} {position}")),
                });
            }
            rows.push(convert::deviation(&own, one, whose));
        }
    }
    let next_page_token = further.map(|index| asked.next_page(page, &format!("{index} 0")));
    let next_page_token = next_page_token.unwrap_or_default();
    let site = &filters.site;
    demand_site(asked, page, site, rows.is_empty(), &next_page_token)?;
    Ok(ListDeviationsResponse {
        answered: Some(asked.answered()),
        rows,
        next_page_token,
    })
}

/// The entries from an index on that may raise what is asked about, and where there are further ones: all that
/// bear on the patient or the lot, or else a stretch of the log.
fn candidates(
    asked: &Asked<'_>,
    from: u64,
    patient: Option<&str>,
    lot: Option<&LotId>,
) -> Result<(Vec<Arc<Fact>>, Option<u64>), CallError> {
    let mut facts: BTreeMap<Index, Arc<Fact>> = BTreeMap::new();
    if let Some(patient) = patient {
        let dossier = asked.dossier(patient)?;
        facts.extend(dossier.facts().map(|fact| (fact.index, Arc::clone(fact))));
    } else if let Some(lot) = lot {
        let made_of = Subject::MadeOf(Material::Lot(lot.clone()));
        for subject in [
            Subject::Lot(lot.clone()),
            Subject::Stock(lot.clone()),
            made_of,
        ] {
            let about = asked.about(&subject)?.into_iter();
            facts.extend(about.map(|fact| (fact.index, fact)));
        }
        if facts.is_empty() {
            return Err(asked.unknown("lot"));
        }
    } else {
        let stretch = asked.facts_from(Index::new(from), DEVIATIONS_SCAN)?;
        let last = stretch.last().filter(|_| stretch.len() == DEVIATIONS_SCAN);
        let further = last.map(|last| last.index.value().saturating_add(1));
        return Ok((stretch, further));
    }
    facts.retain(|index, _| from <= index.value());
    Ok((facts.into_values().collect(), None))
}

/// An entry as the question sees it; none if it does not. A correction is seen as it was recorded.
fn as_seen(asked: &Asked<'_>, fact: &Arc<Fact>) -> Result<Option<Seen>, CallError> {
    let about = match subjects(&fact.record).into_iter().next() {
        Some(subject) if !matches!(fact.kind(), Some(Kind::Correction(_))) => {
            asked.about(&subject)?
        }
        _ => {
            let is_visible = asked.question().knows(fact) && fact.on <= asked.question().as_of;
            return Ok(is_visible.then(|| Seen {
                fact: Arc::clone(fact),
                corrections: Vec::new(),
            }));
        }
    };
    let all = seen(&about, asked.question());
    Ok(all.into_iter().find(|one| one.index == fact.index))
}
