//! Where lots went and where they came from, and until when their records are kept.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use genetrail::pb::{
    self, Disposition, PatientStanding, trace_lot_request::Root,
    trace_service_client::TraceServiceClient, traced_material::Material,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{
    super::{compare::Differences, fields::Fields, play::Played},
    answers, lot_name, site_code, word,
};
use crate::support::as_actor;

/// So small that a trace of a few lots has several pages.
const PAGE_SIZE: i32 = 3;

impl Played<'_> {
    fn trace(&self) -> TraceServiceClient<Channel> {
        TraceServiceClient::new(self.server.channel())
    }

    pub(super) async fn recall_trace(
        &self,
        expected: &Value,
        found: &mut Differences,
    ) -> Result<()> {
        for expected in answers(expected) {
            let mut fields = Fields::of(expected)?;
            let recall = fields.text("recall")?;
            let question =
                self.question_of(fields.maybe_text("as_of")?, fields.value("known_at"))?;
            let trace = self.recall(recall, question).await?;
            let mut answered = json!({
                "recall": recall,
                "as_of": expected["as_of"],
                "known_at": expected["known_at"],
                "root": trace.root,
                "descendant_lots": trace.descendants,
                "administered": trace.administered,
                "not_administered": trace.not_administered,
            });
            if let Some(outside) = expected["not_in_scope"].as_array() {
                let inside: BTreeSet<&str> = trace.descendants.iter().map(String::as_str).collect();
                let outside = outside.iter().filter_map(Value::as_str);
                answered["not_in_scope"] = outside.filter(|lot| !inside.contains(lot)).collect();
            }
            found.compare(&format!("recall_trace {recall}"), expected, &answered);
        }
        Ok(())
    }

    async fn recall(&self, recall: &str, question: pb::Question) -> Result<RecallTrace> {
        let mut trace = RecallTrace::default();
        let mut page_token = String::new();
        loop {
            let request = as_actor(pb::GetRecallRequest {
                question: Some(question.clone()),
                recall_id: recall.to_owned(),
                page_size: PAGE_SIZE,
                page_token,
            });
            let answer = self.trace().get_recall(request).await?.into_inner();
            if let Some(root) = answer.roots.first() {
                trace.root.clone_from(&root.lot);
            }
            for material in &answer.materials {
                match &material.material {
                    Some(Material::Lot(lot)) if material.depth > 0 => {
                        trace.descendants.push(lot.lot.clone());
                    }
                    _ => {}
                }
            }
            trace
                .administered
                .extend(answer.administrations.iter().map(administered));
            trace.stock.extend(answer.unadministered);
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        let given: BTreeSet<&str> = trace
            .administered
            .iter()
            .filter_map(|row| row["lot"].as_str())
            .collect();
        trace.not_administered = trace
            .stock
            .iter()
            .filter(|row| {
                let lot = lot_name(row.lot.as_ref());
                trace.descendants.iter().any(|one| one == lot) && !given.contains(lot)
            })
            .map(|row| {
                json!({
                    "lot": lot_name(row.lot.as_ref()),
                    "location_gln": row.location_gln,
                    "status": word(row.state(), Disposition::as_str_name),
                })
            })
            .collect();
        Ok(trace)
    }

    pub(super) async fn reverse_trace(
        &self,
        expected: &Value,
        found: &mut Differences,
    ) -> Result<()> {
        for expected in answers(expected) {
            let mut fields = Fields::of(expected)?;
            let patient = fields.text("patient")?;
            let question =
                self.question_of(fields.maybe_text("as_of")?, fields.value("known_at"))?;
            let mut ancestors = Vec::new();
            let mut page_token = String::new();
            let answer = loop {
                let request = as_actor(pb::TracePatientRequest {
                    question: Some(question.clone()),
                    patient: patient.to_owned(),
                    page_size: PAGE_SIZE,
                    page_token,
                });
                let answer = self.trace().trace_patient(request).await?.into_inner();
                ancestors.extend(answer.ancestors.iter().map(material));
                if answer.next_page_token.is_empty() {
                    break answer;
                }
                page_token = answer.next_page_token;
            };
            let given: BTreeSet<&str> = answer
                .administrations
                .iter()
                .map(|row| lot_name(row.lot.as_ref()))
                .collect();
            let unused: BTreeSet<&str> = answer
                .never_administered
                .iter()
                .map(|row| lot_name(row.lot.as_ref()))
                .collect();
            let answered = json!({
                "patient": answer.patient,
                "as_of": expected["as_of"],
                "known_at": expected["known_at"],
                "lots": given,
                "ancestors": ancestors,
                "coi": answer.cois.join(" "),
                "never_administered": unused,
            });
            found.compare(&format!("reverse_trace {patient}"), expected, &answered);
        }
        Ok(())
    }

    /// A lot, and who received it or what was made from it.
    pub(super) async fn lot_trace(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        for (lot, expected) in expected.as_object().context("lot_trace goes by lot")? {
            let mut patients = BTreeSet::new();
            let mut page_token = String::new();
            loop {
                let request = as_actor(pb::TraceLotRequest {
                    question: Some(self.at_the_end()?),
                    root: Some(match lot.strip_prefix("APH-") {
                        Some(din) => Root::Din(din.to_owned()),
                        None => Root::Lot(self.told.lot_key(lot, None)),
                    }),
                    page_size: PAGE_SIZE,
                    page_token,
                });
                let answer = self.trace().trace_lot(request).await?.into_inner();
                patients.extend(answer.administrations.into_iter().map(|row| row.patient));
                page_token = answer.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            found.compare(&format!("lot_trace {lot}"), expected, &json!(patients));
        }
        Ok(())
    }

    /// Asked as of the last event: a lot and the last day on which its records are kept in the EU.
    pub(super) async fn retention(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        for (lot, expected) in expected.as_object().context("retention goes by lot")? {
            let request = as_actor(pb::ListRetentionRequest {
                question: Some(self.at_the_end()?),
                lot: Some(self.told.lot_key(lot, None)),
                ..Default::default()
            });
            let answer = self.trace().list_retention(request).await?.into_inner();
            let bases = answer.rows.iter().flat_map(|row| &row.bases);
            let law = pb::LegalBasis::Eu13942007Art15;
            let mut until = bases
                .filter(|basis| basis.law() == law)
                .map(|basis| &basis.until);
            found.compare(
                &format!("retention_eu_30y {lot}"),
                expected,
                &json!(until.next()),
            );
        }
        Ok(())
    }
}

/// A recall's trace in the words of a history.
#[derive(Default)]
struct RecallTrace {
    root: String,
    descendants: Vec<String>,
    administered: Vec<Value>,
    stock: Vec<pb::StockRow>,
    not_administered: Vec<Value>,
}

fn administered(row: &pb::TracedAdministration) -> Value {
    json!({
        "lot": lot_name(row.lot.as_ref()),
        "patient": row.patient,
        "site": site_code(&row.site),
        "date": row.administered_on,
        "patient_status": word(row.patient_status(), PatientStanding::as_str_name),
    })
}

/// A material by the name that a history has for it.
fn material(traced: &pb::TracedMaterial) -> String {
    match &traced.material {
        Some(Material::Lot(lot)) => lot.lot.clone(),
        Some(Material::Din(din)) => format!("APH-{din}"),
        None => String::new(),
    }
}
