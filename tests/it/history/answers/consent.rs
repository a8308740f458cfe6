//! Who must sign anew, who is only told, who is asked to return, and who declined.

use std::collections::BTreeSet;

use anyhow::Result;
use genetrail::pb::{
    self, DeadlineState, ReconsentKind, ReconsentList, consent_service_client::ConsentServiceClient,
};
use serde_json::{Value, json};

use super::{
    super::{compare::Differences, fields::Fields, play::Played},
    answers, site_code, with_site_codes, word,
};
use crate::support::as_actor;

/// So small that a list of a few patients has several pages.
const PAGE_SIZE: i32 = 2;

impl Played<'_> {
    /// Both blocks of lists, `reconsent` and `consent_lists`: they differ in what they tell.
    pub(super) async fn consent_lists(
        &self,
        block: &str,
        expected: &Value,
        found: &mut Differences,
    ) -> Result<()> {
        for expected in answers(expected) {
            let mut fields = Fields::of(expected)?;
            let as_of = fields.text("as_of")?;
            let known_at = fields.value("known_at");
            let rows = self
                .asked_anew(self.question_of(Some(as_of), known_at)?)
                .await?;
            let of = |list: ReconsentList| rows.iter().filter(move |row| row.list() == list);
            let patients =
                |list| -> BTreeSet<&str> { of(list).map(|row| row.patient.as_str()).collect() };
            let answered = json!({
                "as_of": as_of,
                "known_at": known_at,
                "rows": of(ReconsentList::Needs).map(row).collect::<Vec<_>>(),
                "notify": patients(ReconsentList::Notify),
                "recontact": patients(ReconsentList::Recontact),
                "declined": patients(ReconsentList::Declined),
            });
            let known_at = known_at.map(Value::to_string).unwrap_or_default();
            let place = format!("{block} {as_of} {known_at}");
            let expected = with_site_codes(&in_api_words(expected));
            found.compare(place.trim_end(), &expected, &answered);
        }
        Ok(())
    }

    async fn asked_anew(&self, question: pb::Question) -> Result<Vec<pb::ReconsentRow>> {
        let mut client = ConsentServiceClient::new(self.server.channel());
        let mut rows = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = as_actor(pb::ListReconsentRequest {
                question: Some(question.clone()),
                page_size: PAGE_SIZE,
                page_token,
                ..Default::default()
            });
            let answer = client.list_reconsent(request).await?.into_inner();
            rows.extend(answer.rows);
            page_token = answer.next_page_token;
            if page_token.is_empty() {
                return Ok(rows);
            }
        }
    }
}

/// An expected answer with the API's words for the history's.
fn in_api_words(expected: &Value) -> Value {
    let mut expected = expected.clone();
    let rows = expected["rows"].as_array_mut();
    for row in rows.into_iter().flatten() {
        if row["kind"] == "LANGUAGE" {
            row["kind"] = json!("LANGUAGE_CHANGE");
        }
    }
    expected
}

fn row(row: &pb::ReconsentRow) -> Value {
    json!({
        "patient": row.patient,
        "site": site_code(&row.site),
        "kind": word(row.kind(), ReconsentKind::as_str_name),
        "version": row.required.as_ref().map(|required| &required.version),
        "deadline": Some(&row.deadline).filter(|deadline| !deadline.is_empty()),
        "state": word(row.state(), DeadlineState::as_str_name),
        "days_overdue": row.days_overdue,
        "unreachable": row.unreachable,
        "basis": row.why.as_ref().map(|why| &why.basis),
    })
}
