//! `genetrail reconsent`: who must sign anew, who is only told, who is asked to return, who declined; once, or as it
//! changes.

#![expect(
    clippy::doc_markdown,
    reason = "what is said of arguments is printed as it stands"
)]

mod watch;

use super::{
    Outcome,
    client::{self, Connection},
    query::{Asking, PAGE_SIZE, Shown, Table, basis, days, entries, pages, values, word, yes},
};
use crate::pb::{self, DeadlineState, ReconsentKind, ReconsentList};

/// The lists, and what they are called.
const LISTS: [(ReconsentList, &str); 4] = [
    (ReconsentList::Needs, "to sign"),
    (ReconsentList::Notify, "to be told"),
    (ReconsentList::Recontact, "to be asked to return"),
    (ReconsentList::Declined, "declined"),
];

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
    /// Print what changes from now on, line by line, until stopped. --as-of is the day up to which changes were
    /// printed before.
    #[arg(long, conflicts_with_all = [
        "known_at", "as_recorded", "csv", "lists", "product", "kinds", "states",
    ])]
    watch: bool,
    /// Watch from this tree size on: what was told when a watch ended, or 0, from the beginning.
    #[arg(long, value_name = "SIZE", requires = "watch")]
    since: Option<u64>,
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
        watch,
        since,
    } = arguments;
    if *watch {
        let request = pb::WatchReconsentRequest {
            tree_size: since.unwrap_or_default(),
            as_of: asking.as_of.clone().unwrap_or_default(),
            site: site.clone().unwrap_or_default(),
            family: family.clone().unwrap_or_default(),
        };
        let from_now = since.is_none();
        let watched = asking
            .server
            .call(|connection| watch::watch(connection, request, from_now, asking.json));
        return watched.map(|()| Outcome::Fine);
    }
    let request = pb::ListReconsentRequest {
        question: Some(asking.question()),
        lists: values(
            lists,
            "RECONSENT_LIST",
            ReconsentList::from_str_name,
            ReconsentList::as_str_name,
        )?,
        product_id: product.clone().unwrap_or_default(),
        site: site.clone().unwrap_or_default(),
        family: family.clone().unwrap_or_default(),
        states: values(
            states,
            "DEADLINE_STATE",
            DeadlineState::from_str_name,
            DeadlineState::as_str_name,
        )?,
        kinds: values(
            kinds,
            "RECONSENT_KIND",
            ReconsentKind::from_str_name,
            ReconsentKind::as_str_name,
        )?,
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
        tables: LISTS.into_iter().map(table).collect(),
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
