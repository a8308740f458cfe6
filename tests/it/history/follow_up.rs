//! Follow-up: plans, enrolment, visits and contacts, samples and their results.

use anyhow::{Context as _, Result};
use genetrail::pb::{self, ActorRole, record::Kind};
use serde_json::Value;

use super::{
    convert::{Converter, Draft, Happening, own_code, quantity, token},
    fields::{Fields, NO_SUCH_WORD, Unsayable, named},
    parties::{LABORATORY, SPONSOR},
    people::{consent_key, iec_number, site_effective},
};

impl<'h> Converter<'h> {
    pub(crate) fn plan_version(
        &mut self,
        at: &Happening<'h>,
        fields: &mut Fields<'h>,
    ) -> Result<Vec<Draft>> {
        let (plan, version) = (fields.text("plan_id")?, fields.text("version")?);
        let ordinal = self.plan_versions.entry(plan).or_default();
        *ordinal += 1;
        let ordinal = *ordinal;
        self.plans
            .insert((plan, version), self.record_id(at.seq, 0));
        let linked = fields.maybe_text("linked_consent")?;
        let linked = linked.map(|linked| consent_key(self.family_of(linked), linked));
        let obligations = fields.maybe("added_obligations", Value::as_array)?;
        let obligations: Result<_> = obligations
            .into_iter()
            .flatten()
            .map(added_obligation)
            .collect();
        let kind = Kind::FollowUpPlanVersion(pb::FollowUpPlanVersion {
            plan_id: plan.to_owned(),
            version: version.to_owned(),
            ordinal,
            product_ids: fields
                .texts("product")?
                .into_iter()
                .map(str::to_owned)
                .collect(),
            parameters: fields.maybe_fields("params")?.map(parameters).transpose()?,
            added_obligations: obligations?,
            scope: self.scope(fields)?,
            linked_consent: linked,
            trigger: self.trigger(fields)?,
            communication: self
                .communications
                .get(&(plan, version))
                .cloned()
                .unwrap_or_default(),
            justification: fields.maybe_string("justification")?,
            ..Default::default()
        });
        let mut drafts = vec![Draft::new(SPONSOR, ActorRole::SponsorMed, kind).decided()];
        for (site, effective) in site_effective(fields)? {
            let kind = Kind::PlanActivated(pb::PlanActivated {
                plan: Some(plan_key(plan, version)),
                site: site.gln.to_owned(),
                effective_from: effective.to_owned(),
                iec_number: iec_number(site, plan, version),
                iec_approved_on: at.date.to_string().min(effective.to_owned()),
                ..Default::default()
            });
            drafts.push(Draft::new(SPONSOR, ActorRole::SponsorMed, kind).decided());
        }
        Ok(drafts)
    }

    pub(crate) fn enrolment(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let kind = Kind::FollowUpEnrolment(pb::FollowUpEnrolment {
            plan_id: fields.string("plan")?,
            plan_version: fields.maybe_string("version")?,
            consent: self.consents.get(patient).cloned().unwrap_or_default(),
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    pub(crate) fn visit(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        // Supplied: one comes to the site for a visit.
        let mode = fields.maybe_text("mode")?.unwrap_or("ON_SITE");
        let kind = Kind::FollowUpVisit(pb::FollowUpVisit {
            slot: fields.maybe_string("slot")?,
            mode: named(pb::VisitMode::from_str_name, "VISIT_MODE", mode)?,
            blocks: blocks(fields)?,
            // Supplied: the site's own people report, of a patient who came.
            reporter: pb::Reporter::Hcp.into(),
            reached: Some(true),
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    pub(crate) fn contact(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let purpose = fields.maybe_text("purpose")?.unwrap_or("ROUTINE");
        // Supplied: the site telephones.
        let mode = fields.maybe_text("mode")?.unwrap_or("PHONE");
        let kind = Kind::FollowUpContact(pb::FollowUpContact {
            mode: named(pb::VisitMode::from_str_name, "VISIT_MODE", mode)?,
            purpose: named(
                pb::ContactPurpose::from_str_name,
                "CONTACT_PURPOSE",
                purpose,
            )?,
            // Supplied: the patient was reached, and told.
            reached: Some(fields.maybe_flag("reached")?.unwrap_or(true)),
            reporter: pb::Reporter::Patient.into(),
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Investigator, kind).of_patient(patient))
    }

    /// A communication is named by the event that tells of it; any other word means the latest one.
    pub(crate) fn communication(&self, named: Option<&Value>) -> String {
        match named {
            None | Some(Value::Bool(false)) => String::new(),
            Some(named) => match named.as_u64() {
                Some(seq) => self.record_id(seq, 0),
                None => self.latest_communication.clone(),
            },
        }
    }

    pub(crate) fn monitoring_decision(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let decision = fields.text("decision")?;
        let communication = self.communication(fields.value("communication"));
        let kind = Kind::MonitoringDecision(pb::MonitoringDecision {
            decision: named(
                pb::MonitoringDecisionKind::from_str_name,
                "MONITORING_DECISION_KIND",
                decision,
            )?,
            product_id: fields.maybe_string("product")?,
            scope: self.scope(fields)?,
            follow_up_months: fields.maybe_count("ltfu_months")?,
            justification: fields.maybe_string("justification")?,
            communication,
            ..Default::default()
        });
        let patient = fields.maybe_text("patient")?.unwrap_or_default();
        let draft = Draft::new(SPONSOR, ActorRole::SponsorMed, kind).decided();
        Ok(draft.of_patient(patient))
    }

    pub(crate) fn sample_collected(&mut self, fields: &mut Fields<'h>) -> Result<Draft> {
        let patient = fields.text("patient")?;
        let site = self.site(fields, patient)?;
        let mut purposes = Vec::new();
        for purpose in fields.texts("purpose")? {
            purposes.push(named(
                pb::SamplePurpose::from_str_name,
                "SAMPLE_PURPOSE",
                purpose,
            )?);
        }
        let surrogate = fields.maybe_flag("surrogate")?.unwrap_or(false);
        // Supplied: why a surrogate may stand for the tissue.
        let justification = if surrogate {
            "the tissue itself is not sampled without need"
        } else {
            ""
        };
        let specimen = fields.maybe_text("specimen")?.unwrap_or("peripheral blood");
        let kind = Kind::SampleCollected(pb::SampleCollected {
            sample_id: fields.string("sample")?,
            purposes,
            specimen: Some(own_code("specimen", specimen)),
            surrogate: Some(surrogate),
            surrogate_justification: justification.to_owned(),
            collector: site.actor.to_owned(),
            ..Default::default()
        });
        Ok(Draft::new(site, ActorRole::Nurse, kind).of_patient(patient))
    }
}

pub(crate) fn sample_rejected(fields: &mut Fields<'_>) -> Result<Draft> {
    let patient = fields.maybe_text("patient")?.unwrap_or_default();
    fields.maybe_text("site")?;
    let kind = Kind::SampleEvent(pb::SampleEvent {
        sample_id: fields.string("sample")?,
        event: pb::SampleEventKind::Rejected.into(),
        ..Default::default()
    });
    Ok(Draft::new(LABORATORY, ActorRole::Lab, kind).of_patient(patient))
}

pub(crate) fn assay_result(at: &Happening<'_>, fields: &mut Fields<'_>) -> Result<Draft> {
    let patient = fields.maybe_text("patient")?.unwrap_or_default();
    let issued = fields.maybe_date("issued")?.unwrap_or(at.date);
    // The laboratory speaks, wherever the patient is.
    fields.maybe_text("site")?;
    let mut findings = Vec::new();
    for finding in fields.texts("finding")? {
        findings.push(named(pb::Finding::from_str_name, "FINDING", finding)?);
    }
    let unit = fields.maybe_text("unit")?.unwrap_or("{copies}/{cell}");
    let amount = fields
        .maybe_decimal("value")?
        .map(|value| quantity(value, unit));
    // Supplied: the controls passed.
    let pass = pb::ControlOutcome::Pass.into();
    let kind = Kind::AssayResult(pb::AssayResult {
        sample_id: fields.string("sample")?,
        method: Some(pb::AssayMethodKey {
            method_id: token(fields.maybe_text("assay")?.unwrap_or_default()),
            version: String::new(),
        }),
        controls: Some(pb::AssayControls {
            positive: pass,
            negative: pass,
        }),
        value: amount.map(|amount| pb::Measurement {
            outcome: Some(pb::measurement::Outcome::Amount(amount)),
        }),
        lod: fields.maybe_decimal("lod")?.map(|lod| quantity(lod, unit)),
        positive_fraction_percent: fields
            .maybe_decimal("positive_fraction_pct")?
            .unwrap_or_default(),
        expected_max_percent: fields
            .maybe_decimal("expected_max_pct")?
            .unwrap_or_default(),
        clones: fields
            .maybe_decimal("top_clone_pct")?
            .map(|abundance_percent| pb::Clone {
                rank: 1,
                abundance_percent,
            })
            .into_iter()
            .collect(),
        sites: integration_site(fields, &findings)?.into_iter().collect(),
        off_target: off_target(fields)?,
        findings,
        ..Default::default()
    });
    let draft = Draft::new(LABORATORY, ActorRole::Lab, kind).of_patient(patient);
    // A result happens when it is issued.
    Ok(if issued == at.date {
        draft
    } else {
        draft.on(issued)
    })
}

pub(crate) fn plan_key(plan: &str, version: &str) -> pb::PlanVersionKey {
    pb::PlanVersionKey {
        plan_id: plan.to_owned(),
        version: version.to_owned(),
    }
}

/// The numbers of a plan, by the history's names for them.
fn parameters(mut params: Fields<'_>) -> Result<pb::PlanParameters> {
    let anchor = params.maybe_text("anchor")?;
    let anchor = anchor
        .map(|anchor| named(pb::Anchor::from_str_name, "ANCHOR", anchor))
        .transpose()?;
    let parameters = pb::PlanParameters {
        anchor: anchor.unwrap_or_default(),
        follow_up_months: params.maybe_count("ltfu_months")?,
        until_no_risk: params.maybe_flag("until_no_risk")?,
        intensive_months: params.maybe_count("intensive_months")?,
        visit_interval_months: params.maybe_count("visit_interval_months")?,
        visit_window_days: params.maybe_count("visit_window_days")?,
        contact_interval_months: params
            .maybe_count("contact_interval_months_after_y5")?
            .or(params.maybe_count("contact_interval_months")?),
        sample_interval_months_first_years: params.maybe_count("sample_interval_months_y1_5")?,
        sample_interval_months_after: params.maybe_count("sample_interval_months_after")?,
        clone_retest_months: params.maybe_count("clone_retest_months")?,
        intensified_interval_months: params.maybe_count("intensified_interval_months")?,
        undetectable_results: params.maybe_count("undetectable_consecutive")?,
        expected_max_percent: params
            .maybe_decimal("expected_max_pct")?
            .unwrap_or_default(),
        dominant_clone_percent: params
            .maybe_decimal("dominant_clone_pct")?
            .unwrap_or_default(),
        rcl_test_days: params.maybe_count("rcl_test_days")?,
        majority_months: params.maybe_count("majority_months")?,
        assent_months: params.maybe_count("assent_months")?,
        requirement_days: params.maybe_count("requirement_days")?,
        signal_action_days: params.maybe_count("signal_action_days")?,
        late_recording_days: params.maybe_count("late_recording_days")?,
        ..Default::default()
    };
    params.finish()?;
    Ok(parameters)
}

fn added_obligation(value: &Value) -> Result<pb::AddedObligation> {
    let mut fields = Fields::of(value)?;
    let purpose = fields.text("purpose")?;
    let months = fields.maybe_count("within_months_of_effective")?;
    let obligation = pb::AddedObligation {
        purpose: named(pb::SamplePurpose::from_str_name, "SAMPLE_PURPOSE", purpose)?,
        within_months_of_effective: months.context("within_months_of_effective is missing")?,
        once: fields.maybe_flag("once")?.unwrap_or(false),
        interval_months: fields.maybe_count("interval_months")?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(obligation)
}

/// The content blocks of a visit: without `blocks` all six are done; else those that it names, by their
/// letters, with their status, or with it and why, or in a list of those done.
fn blocks(fields: &mut Fields<'_>) -> Result<Vec<pb::VisitBlock>> {
    let block = |letter: &str, status: &str, reason: Option<&str>| -> Result<pb::VisitBlock> {
        let block = match ["a", "b", "c", "d", "e", "f"]
            .iter()
            .position(|known| *known == letter)
        {
            Some(place) => i32::try_from(place)? + 1,
            None if letter == NO_SUCH_WORD => i32::MAX,
            None => return Err(Unsayable::word("block of a visit", letter).into()),
        };
        // Supplied: where the history does not say why a block was not done.
        let not_said = if status == "NOT_DONE" { "not said" } else { "" };
        let reason = reason.unwrap_or(not_said);
        Ok(pb::VisitBlock {
            block,
            status: named(pb::BlockStatus::from_str_name, "BLOCK_STATUS", status)?,
            reason: reason.to_owned(),
        })
    };
    let done = |letter: &&str| block(letter, "DONE", None);
    let told = |letter, value| {
        let mut fields = Fields::of(value)?;
        let (status, reason) = (fields.text("status")?, fields.maybe_text("reason")?);
        fields.finish()?;
        block(letter, status, reason)
    };
    match fields.value("blocks") {
        None => ["a", "b", "c", "d", "e", "f"].iter().map(done).collect(),
        Some(Value::Array(letters)) => {
            let letters: Option<Vec<&str>> = letters.iter().map(Value::as_str).collect();
            letters
                .context("blocks are letters")?
                .iter()
                .map(done)
                .collect()
        }
        Some(object) => {
            let mut statuses = Fields::of(object)?;
            let letters = statuses.names();
            letters
                .into_iter()
                .map(|letter| match statuses.value(letter) {
                    Some(value) if value.is_object() => told(letter, value),
                    _ => block(letter, statuses.text(letter)?, None),
                })
                .collect()
        }
    }
}

fn integration_site(
    fields: &mut Fields<'_>,
    findings: &[i32],
) -> Result<Option<pb::IntegrationSite>> {
    let gene = fields.maybe_text("nearest_gene")?;
    let distance = fields.maybe_count("distance_bp")?;
    let assembly = fields.maybe_text("assembly")?;
    if gene.is_none() && distance.is_none() && assembly.is_none() {
        return Ok(None);
    }
    // Supplied: the assembly that is in use.
    let assembly = assembly.unwrap_or("GRCh38");
    let near_oncogene = pb::Finding::IntegrationNearOncogene.into();
    Ok(Some(pb::IntegrationSite {
        assembly: named(pb::Assembly::from_str_name, "ASSEMBLY", assembly)?,
        nearest_gene: gene.unwrap_or_default().to_owned(),
        distance_bp: distance.map(u64::from),
        oncogene: findings.contains(&near_oncogene).then_some(true),
        ..Default::default()
    }))
}

fn off_target(fields: &mut Fields<'_>) -> Result<Option<pb::OffTarget>> {
    let on_target = fields.maybe_decimal("on_target_pct")?;
    let off_target = fields.maybe_decimal("off_target_pct")?;
    Ok(on_target
        .zip(off_target)
        .map(|(on_target_percent, off_target_percent)| pb::OffTarget {
            on_target_percent,
            off_target_percent,
            sites: Vec::new(),
        }))
}
