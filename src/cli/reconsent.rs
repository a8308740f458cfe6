//! `genetrail reconsent`: who must sign anew, who is only told, who is asked to return, who declined.

#![expect(
    clippy::doc_markdown,
    reason = "what is said of arguments is printed as it stands"
)]

use super::{
    Outcome,
    client::{self, Connection},
    query::{Asking, PAGE_SIZE, Shown, Table, basis, days, entries, pages, values, word, yes},
};
use crate::pb::{self, DeadlineState, ReconsentKind, ReconsentList};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    asking: Asking,
    /// Only this list: NEEDS, NOTIFY, RECONTACT or DECLINED; may be given several times.
    #[arg(long = "list", value_name = "LIST")]
    lists: Vec<String>,
    /// Only patients whom this site follows, by GLN.
    #[arg(long, value_name = "GLN")]
    site: Option<String>,
    /// Only patients who received this product.
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,
    /// Only this family of consent documents.
    #[arg(long, value_name = "FAMILY")]
    family: Option<String>,
    /// Only this kind, as NEW_VERSION or AGE_OF_MAJORITY; may be given several times.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only in this state: DUE, OVERDUE or NO_DEADLINE; may be given several times.
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let Arguments {
        asking,
        lists,
        site,
        product,
        family,
        kinds,
        states,
    } = arguments;
    let request = pb::ListReconsentRequest {
        question: Some(asking.question()),
        lists: values(lists, "RECONSENT_LIST", ReconsentList::from_str_name)?,
        product_id: product.clone().unwrap_or_default(),
        site: site.clone().unwrap_or_default(),
        family: family.clone().unwrap_or_default(),
        states: values(states, "DEADLINE_STATE", DeadlineState::from_str_name)?,
        kinds: values(kinds, "RECONSENT_KIND", ReconsentKind::from_str_name)?,
        page_size: PAGE_SIZE,
        page_token: String::new(),
    };
    let answer = asking.server.call(|connection| all(connection, request))?;
    asking.print(&answer, &shown(&answer))
}

/// All pages, as one.
pub(super) async fn all(
    connection: Connection,
    request: pb::ListReconsentRequest,
) -> anyhow::Result<pb::ListReconsentResponse> {
    let mut client = client::consent(connection);
    let mut all = pb::ListReconsentResponse::default();
    let ask = async |page_token| {
        let request = pb::ListReconsentRequest {
            page_token,
            ..request.clone()
        };
        client.list_reconsent(request).await
    };
    let join = |page: pb::ListReconsentResponse| {
        all.answered = page.answered;
        all.rows.extend(page.rows);
        page.next_page_token
    };
    pages(ask, join).await?;
    Ok(all)
}

/// The lists for people: one table for each.
pub(super) fn shown(answer: &pb::ListReconsentResponse) -> Shown {
    let lists = [
        (ReconsentList::Needs, "to sign"),
        (ReconsentList::Notify, "to be told"),
        (ReconsentList::Recontact, "to be asked to return"),
        (ReconsentList::Declined, "declined"),
    ];
    let table = |(list, title)| Table {
        title,
        empty: "nobody",
        columns: &[
            "patient",
            "site",
            "family",
            "version",
            "why",
            "signed so far",
            "deadline",
            "state",
            "days over",
            "unreachable",
            "rule",
            "entries",
        ],
        rows: answer
            .rows
            .iter()
            .filter(|row| row.list() == list)
            .map(row)
            .collect(),
    };
    Shown {
        message: "genetrail.v1.ListReconsentResponse",
        answered: answer.answered.clone(),
        tables: lists.into_iter().map(table).collect(),
    }
}

fn row(row: &pb::ReconsentRow) -> Vec<String> {
    let required = row.required.clone().unwrap_or_default();
    vec![
        row.patient.clone(),
        row.site.clone(),
        required.family,
        required.version,
        word(row.kind(), ReconsentKind::as_str_name),
        row.last_valid_version.clone(),
        row.deadline.clone(),
        word(row.state(), DeadlineState::as_str_name),
        days(row.days_overdue.into()),
        yes(row.unreachable),
        basis(row.why.as_ref()),
        entries(row.why.as_ref()),
    ]
}
