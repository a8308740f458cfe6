//! Adverse events, signals, regulators, recalls and corrections.

use anyhow::{Context as _, Result};
use genetrail::pb::{self, ActorRole, record::Kind};
use serde_json::Value;

use super::{
    convert::{Converter, Draft, Happening, token},
    fields::{Fields, named},
    follow_up::plan_key,
    parties::SPONSOR,
};

impl<'h> Converter<'h> {
    pub(crate) fn adverse_event(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        // Supplied: what makes it serious, where the history says no more than that it is.
        let other = pb::SeriousCriterion::OtherImportant.into();
        let serious: Result<Vec<i32>> = match fields.value("serious") {
            Some(Value::Bool(true)) => Ok(vec![other]),
            Some(Value::Array(_) | Value::String(_)) => fields
                .texts("serious")?
                .into_iter()
                .map(|criterion| {
                    named(
                        pb::SeriousCriterion::from_str_name,
                        "SERIOUS_CRITERION",
                        criterion,
                    )
                })
                .collect(),
            Some(_) | None => Ok(Vec::new()),
        };
        let aware = fields.maybe_date("reported_date")?.unwrap_or(at.date);
        let kind = Kind::AdverseEvent(pb::AdverseEvent {
            // Supplied: the case is numbered by its event.
            case_id: format!("AE-{}", at.seq),
            subject_kind: pb::SubjectKind::Patient.into(),
            term: Some(pb::EventTerm {
                verbatim: fields.maybe_string("term")?,
                meddra_version: fields.maybe_string("meddra_version")?,
                ..Default::default()
            }),
            serious: serious?,
            new_malignancy: Some(fields.maybe_flag("new_malignancy")?.unwrap_or(false)),
            suspected_rcl: Some(fields.maybe_flag("suspected_rcl")?.unwrap_or(false)),
            // Supplied: a health professional reported it.
            source: pb::EventSource::Hcp.into(),
            aware_at: aware.to_string(),
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    pub(crate) fn risk_signal(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let consent = fields
            .maybe_flag("requires_consent_update")?
            .unwrap_or(false);
        let plan = fields.maybe_flag("requires_plan_update")?.unwrap_or(false);
        let actions = [
            (consent, pb::SignalAction::Consent),
            (plan, pb::SignalAction::Plan),
        ];
        let needed = actions.into_iter().filter(|(needed, _)| *needed);
        let signal = fields.text("signal")?;
        self.latest_signal = signal;
        let source = fields.maybe_text("source")?.unwrap_or_default();
        let source = named(pb::SignalSource::from_str_name, "SIGNAL_SOURCE", source);
        let kind = Kind::RiskSignal(pb::RiskSignal {
            signal_id: signal.to_owned(),
            // Supplied: a trial, where the history has another source than there are: the dictionary lists none.
            source: source.unwrap_or(pb::SignalSource::ClinicalTrial.into()),
            summary: fields.maybe_string("summary")?,
            // Supplied: it affects the history's products, and changes the risk if anything must be done.
            product_ids: self.products.keys().map(ToString::to_string).collect(),
            changes_risk: Some(consent || plan),
            required_actions: needed.map(|(_, action)| action.into()).collect(),
            ..Default::default()
        });
        Ok(Draft::new(SPONSOR, ActorRole::SponsorMed, kind))
    }

    pub(crate) fn regulator_communication(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Draft> {
        let plan = fields
            .maybe_text("plan")?
            .zip(fields.maybe_text("version")?);
        self.latest_communication = self.record_id(at.seq, 0);
        if let Some(plan) = plan {
            self.communications.insert(plan, self.record_id(at.seq, 0));
        }
        let kind = Kind::RegulatorCommunication(pb::RegulatorCommunication {
            authority: token(fields.text("authority")?),
            // Supplied: the sponsor wrote.
            direction: pb::Direction::Sent.into(),
            subject: fields.string("subject")?,
            justification: fields.maybe_string("justification")?,
            reference: fields.maybe_string("reference")?,
            outcome: fields.maybe_string("outcome")?,
            product_id: fields.maybe_string("product")?,
            plan: plan.map(|(plan, version)| plan_key(plan, version)),
            ..Default::default()
        });
        Ok(Draft::new(SPONSOR, ActorRole::SponsorMed, kind))
    }

    pub(crate) fn recall(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let lots = fields.texts("lots")?;
        let class = fields.text("class_")?;
        let kind = Kind::RecallOpened(pb::RecallOpened {
            recall_id: fields.string("recall")?,
            roots: lots
                .into_iter()
                .map(|lot| self.lot_key(lot, None))
                .collect(),
            recall_class: named(pb::RecallClass::from_str_name, "RECALL_CLASS", class)?,
            authority: token(fields.maybe_text("regulator")?.unwrap_or_default()),
            signal_id: fields.maybe_string("signal")?,
        });
        Ok(Draft::new(SPONSOR, ActorRole::SponsorQa, kind).decided())
    }

    pub(crate) fn correction(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let target = fields.maybe("target_seq", Value::as_u64)?;
        let target = target.context("target_seq is missing")?;
        // Supplied: where the history does not say what is wrong, it is a datum.
        let what = fields
            .maybe_text("correction_kind")?
            .unwrap_or("INCORRECT_DATA");
        let kind = Kind::Correction(pb::Correction {
            target: self.record_id(target, 0),
            correction_kind: named(pb::CorrectionKind::from_str_name, "CORRECTION_KIND", what)?,
            replacement: fields
                .maybe("replacement_seq", Value::as_u64)?
                .map(|replacement| self.record_id(replacement, 0))
                .unwrap_or_default(),
            ..Default::default()
        });
        Ok(Draft::new(SPONSOR, ActorRole::SponsorQa, kind))
    }
}
