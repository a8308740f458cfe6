//! What follow-up asks for, how long it is, and what a period came to.

use anyhow::{Context as _, Result};
use genetrail::pb::{
    self, FollowUpStatus, ObligationKind, ObligationState, PeriodFigureKind, PlannedState,
    SamplePurpose, follow_up_service_client::FollowUpServiceClient, record::Kind,
    trace_service_client::TraceServiceClient,
};
use prost::Message as _;
use serde_json::{Map, Value, json};
use tonic::transport::Channel;

use super::{
    super::{compare::Differences, fields::Fields, play::Played},
    answers, site_code, with_site_codes, word,
};
use crate::support::as_actor;

/// So small that a list of a few patients has several pages.
const PAGE_SIZE: i32 = 3;

impl Played<'_> {
    fn follow_up(&self) -> FollowUpServiceClient<Channel> {
        FollowUpServiceClient::new(self.server.channel())
    }

    /// The persistence samples that are due.
    pub(super) async fn sampling(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        let only = pb::ListObligationsRequest {
            kinds: vec![ObligationKind::Sample.into()],
            purposes: vec![SamplePurpose::Persistence.into()],
            ..Default::default()
        };
        self.obligations("sampling", expected, &only, found).await
    }

    /// The tests for replication-competent virus: after an adverse event, and those that a plan asks for.
    pub(super) async fn rcl_tasks(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        let only = pb::ListObligationsRequest {
            kinds: vec![
                ObligationKind::RclTest.into(),
                ObligationKind::AddedSample.into(),
            ],
            purposes: vec![SamplePurpose::Rcl.into(), SamplePurpose::Unspecified.into()],
            ..Default::default()
        };
        self.obligations("rcl_tasks", expected, &only, found).await
    }

    /// The contacts that are due once the intensive period is over.
    pub(super) async fn contacts(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        let only = pb::ListObligationsRequest {
            kinds: vec![ObligationKind::Contact.into()],
            ..Default::default()
        };
        self.obligations("contact_after_year5", expected, &only, found)
            .await
    }

    async fn obligations(
        &self,
        block: &str,
        expected: &Value,
        only: &pb::ListObligationsRequest,
        found: &mut Differences,
    ) -> Result<()> {
        for expected in answers(expected) {
            let mut fields = Fields::of(expected)?;
            let as_of = fields.text("as_of")?;
            let known_at = fields.value("known_at");
            let question = self.question_of(Some(as_of), known_at)?;
            let mut rows = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = as_actor(pb::ListObligationsRequest {
                    question: Some(question.clone()),
                    page_size: PAGE_SIZE,
                    page_token,
                    ..only.clone()
                });
                let answer = self
                    .follow_up()
                    .list_obligations(request)
                    .await?
                    .into_inner();
                rows.extend(answer.obligations.iter().map(obligation));
                page_token = answer.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            let answered = json!({"as_of": as_of, "known_at": known_at, "rows": rows});
            found.compare(
                &format!("{block} {as_of}"),
                &with_site_codes(expected),
                &answered,
            );
        }
        Ok(())
    }

    /// By day and patient, or, as of the last event, by patient alone.
    pub(super) async fn ends(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        self.of_patients("ltfu_end", expected, found, |schedule| json!(schedule.end))
            .await
    }

    pub(super) async fn statuses(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        // The dictionary's word for the dead is another.
        let status = |schedule: &pb::GetScheduleResponse| match word(
            schedule.status(),
            FollowUpStatus::as_str_name,
        ) {
            "DEAD" => json!("DECEASED"),
            status => json!(status),
        };
        self.of_patients("ltfu_status", expected, found, status)
            .await
    }

    pub(super) async fn year_5_ends(
        &self,
        expected: &Value,
        found: &mut Differences,
    ) -> Result<()> {
        let end = |schedule: &pb::GetScheduleResponse| {
            json!(
                schedule
                    .courses
                    .first()
                    .map(|course| &course.intensive_until)
            )
        };
        self.of_patients("year5_end", expected, found, end).await
    }

    async fn of_patients(
        &self,
        block: &str,
        expected: &Value,
        found: &mut Differences,
        of: impl Fn(&pb::GetScheduleResponse) -> Value,
    ) -> Result<()> {
        let expected = expected
            .as_object()
            .context("the block goes by patient, or by day")?;
        let undated: Map<String, Value> = expected
            .iter()
            .filter(|(_, value)| !value.is_object())
            .map(owned)
            .collect();
        let dated = expected
            .iter()
            .filter_map(|(day, value)| Some((Some(day.as_str()), value.as_object()?)));
        for (as_of, patients) in dated.chain([(None, &undated)]) {
            for (patient, expected) in patients {
                let schedule = self
                    .schedule(patient, self.question_of(as_of, None)?)
                    .await?;
                let place = format!("{block} {} {patient}", as_of.unwrap_or("at the end"));
                // Nothing is answered of a patient whom nobody knows yet.
                let answered = schedule.map_or(Value::Null, |schedule| of(&schedule));
                found.compare(&place, expected, &answered);
            }
        }
        Ok(())
    }

    /// The schedule of a patient, if the patient is known.
    async fn schedule(
        &self,
        patient: &str,
        question: pb::Question,
    ) -> Result<Option<pb::GetScheduleResponse>> {
        let request = as_actor(pb::GetScheduleRequest {
            question: Some(question),
            patient: patient.to_owned(),
        });
        match self.follow_up().get_schedule(request).await {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(status).with_context(|| format!("the schedule of {patient}")),
        }
    }

    pub(super) async fn treated_not_enrolled(
        &self,
        expected: &Value,
        found: &mut Differences,
    ) -> Result<()> {
        for expected in answers(expected) {
            let mut fields = Fields::of(expected)?;
            let as_of = fields.text("as_of")?;
            let known_at = fields.value("known_at");
            let mut patients = Vec::new();
            let mut page_token = String::new();
            loop {
                let request = as_actor(pb::ListTreatedNotEnrolledRequest {
                    question: Some(self.question_of(Some(as_of), known_at)?),
                    page_size: 1,
                    page_token,
                    ..Default::default()
                });
                let answer = self.follow_up().list_treated_not_enrolled(request).await?;
                let answer = answer.into_inner();
                patients.extend(answer.patients.into_iter().map(|row| row.patient));
                page_token = answer.next_page_token;
                if page_token.is_empty() {
                    break;
                }
            }
            let answered = json!({"as_of": as_of, "known_at": known_at, "patients": patients});
            found.compare(
                &format!("treated_not_enrolled {as_of}"),
                expected,
                &answered,
            );
        }
        Ok(())
    }

    /// The gaps of all patients.
    pub(super) async fn gaps(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        let mut gaps = Vec::new();
        for patient in self.told.sites.keys() {
            let schedule = self.schedule(patient, self.at_the_end()?).await?;
            let told = |gap: &pb::FollowUpGap| json!({"patient": patient, "from_": gap.from, "to": gap.to});
            gaps.extend(
                schedule
                    .iter()
                    .flat_map(|schedule| &schedule.gaps)
                    .map(told),
            );
        }
        found.compare("followup_gaps", expected, &json!(gaps));
        Ok(())
    }

    /// The visits of a patient: those that were made, and of those that were not, those that are expected.
    pub(super) async fn visits(
        &self,
        patient: &str,
        expected: &Value,
        found: &mut Differences,
    ) -> Result<()> {
        let schedule = self.schedule(patient, self.at_the_end()?).await?;
        let planned = schedule.iter().flat_map(|schedule| &schedule.planned);
        let visits = planned.filter(|item| item.kind() == ObligationKind::Visit);
        let place = format!("visits_{patient}");
        let surplus = found.take(&place, answers(expected), visits.map(visit).collect());
        for visit in surplus.iter().filter(|visit| visit["actual"].is_string()) {
            found.tell(format!("{place}: {visit} is answered, and not expected"));
        }
        Ok(())
    }

    /// What is on record beside a plan version: read from its entry, and from the deviations that it raised.
    pub(super) async fn plan_amendment(
        &self,
        expected: &Value,
        found: &mut Differences,
    ) -> Result<()> {
        for expected in answers(expected) {
            let mut fields = Fields::of(expected)?;
            let (plan, version) = (fields.text("plan")?, fields.text("version")?);
            let id = self.told.plans.get(&(plan, version));
            let id = id.with_context(|| format!("no plan is {plan} {version}"))?;
            let record = self
                .record(id)
                .await?
                .context("the plan version is in the log")?;
            let Some(Kind::FollowUpPlanVersion(record)) = record.kind else {
                anyhow::bail!("{id} is no plan version");
            };
            // Named by the plan version, or else naming it: a communication may follow.
            let of_plan = self.told.communications.get(&(plan, version));
            let communication = match record.communication.as_str() {
                "" => of_plan.map(String::as_str),
                id => Some(id),
            };
            let communication = match communication {
                Some(id) => self.record(id).await?,
                None => None,
            };
            let request = as_actor(pb::ListDeviationsRequest {
                question: Some(self.at_the_end()?),
                codes: vec!["PLAN_BEFORE_CONSENT".to_owned()],
                ..Default::default()
            });
            let before = TraceServiceClient::new(self.server.channel())
                .list_deviations(request)
                .await?;
            let before = before.into_inner().rows;
            let answered = json!({
                "plan": record.plan_id,
                "version": record.version,
                "regulator_communication_recorded": communication
                    .is_some_and(|record| matches!(record.kind, Some(Kind::RegulatorCommunication(_)))),
                "linked_consent_version": record.linked_consent.map(|consent| consent.version),
                "consent_effective_no_later_than_plan": before.iter().all(|row| row.version != version),
            });
            found.compare(
                &format!("plan_amendment_check {plan} {version}"),
                expected,
                &answered,
            );
        }
        Ok(())
    }

    /// The record of this id, if it is in the log.
    async fn record(&self, id: &str) -> Result<Option<pb::Record>> {
        let key = pb::get_entry_request::Key::RecordId(id.to_owned());
        let request = as_actor(pb::GetEntryRequest { key: Some(key) });
        match self.server.ledger().get_entry(request).await {
            Ok(answer) => {
                let entry = pb::Entry::decode(answer.into_inner().entry.as_slice())?;
                Ok(Some(pb::Record::decode(entry.record.as_slice())?))
            }
            Err(status) if status.code() == tonic::Code::NotFound => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    /// What a period came to, as known at its end.
    pub(super) async fn period(&self, expected: &Value, found: &mut Differences) -> Result<()> {
        for expected in answers(expected) {
            let period: Vec<&str> = Fields::of(expected)?.texts("period")?;
            let [from, to] = period.as_slice() else {
                anyhow::bail!("a period has two days");
            };
            let request = as_actor(pb::SummarizePeriodRequest {
                question: Some(self.question_of(Some(to), None)?),
                from: (*from).to_owned(),
                ..Default::default()
            });
            let answer = self
                .follow_up()
                .summarize_period(request)
                .await?
                .into_inner();
            let figure =
                |kind: PeriodFigureKind| answer.figures.iter().find(|one| one.kind() == kind);
            let count = |kind| json!(figure(kind).map_or(0, |figure| figure.count));
            let patients = |kind| json!(figure(kind).map_or(&[][..], |figure| &figure.patients));
            let answered = json!({
                "period": period,
                "treated_cumulative": count(PeriodFigureKind::TreatedCumulative),
                "deaths": count(PeriodFigureKind::Deaths),
                "active_followup_at_dlp": patients(PeriodFigureKind::ActiveAtEnd),
                "withdrawn_procedures_at_dlp": patients(PeriodFigureKind::WithdrawnAtEnd),
                "lost_at_dlp": patients(PeriodFigureKind::LostAtEnd),
                "completed_at_dlp": patients(PeriodFigureKind::CompletedAtEnd),
                "not_enrolled_at_dlp": patients(PeriodFigureKind::NotEnrolledAtEnd),
                "persistence_samples": count(PeriodFigureKind::PersistenceSamples),
                "rcl_samples": count(PeriodFigureKind::RclSamples),
                "adverse_events": count(PeriodFigureKind::AdverseEvents),
                "serious_ae": count(PeriodFigureKind::SeriousAdverseEvents),
                "visits": count(PeriodFigureKind::Visits),
                "contacts": count(PeriodFigureKind::Contacts),
                "withdrawals": count(PeriodFigureKind::Withdrawals),
                "valid_reconsents": count(PeriodFigureKind::Reconsents),
                "invalid_signatures": count(PeriodFigureKind::InvalidSignatures),
            });
            found.compare(&format!("dsur {from} to {to}"), expected, &answered);
        }
        Ok(())
    }
}

/// An obligation in the words of a history.
fn obligation(row: &pb::Obligation) -> Value {
    let name = match (row.kind(), row.purpose()) {
        (ObligationKind::Sample, SamplePurpose::Persistence) => "VECTOR_PERSISTENCE".to_owned(),
        (ObligationKind::RclTest, _) => "RCL_AE".to_owned(),
        (ObligationKind::AddedSample, purpose) => {
            let purpose = word(purpose, SamplePurpose::as_str_name);
            format!("{purpose}_PLAN_V{}", row.plan_version)
        }
        (kind, _) => word(kind, ObligationKind::as_str_name).to_owned(),
    };
    let state = word(row.state(), ObligationState::as_str_name);
    json!({
        "patient": row.patient,
        "site": site_code(&row.site),
        "obligation": name,
        "due": row.due,
        "status": state,
        "state": state,
        "days_overdue": row.days_overdue,
        "days_past_due": row.days_overdue,
        "basis": row.why.as_ref().map(|why| &why.basis),
    })
}

fn visit(item: &pb::PlannedItem) -> Value {
    json!({
        "due": item.due,
        "actual": Some(&item.actual).filter(|actual| !actual.is_empty()),
        "ok": item.state() == PlannedState::InWindow,
        "days_after_window": item.days_after_window,
    })
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}
