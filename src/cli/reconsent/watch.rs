//! `genetrail reconsent --watch`: what changes in the lists, as it changes, until the keyboard says stop. Where to go
//! on from is told at the end, and in each line of JSON.

use anyhow::Context as _;
use prost::Message as _;

use super::{
    super::{
        client::{self, Connection},
        complain,
        query::{basis, entries, word},
        record_json, say, serve,
    },
    LISTS,
};
use crate::pb::{self, DeadlineState, ReconsentChangeKind, ReconsentKind};

/// Prints changes as they come: a line for each, or of JSON for each message.
pub(super) async fn watch(
    connection: Connection,
    mut request: pb::WatchReconsentRequest,
    from_now: bool,
    json: bool,
) -> anyhow::Result<()> {
    let told = serve::told_to_stop()?;
    let mut client = client::consent(connection);
    if from_now {
        let list = pb::ListReconsentRequest {
            page_size: 1,
            ..pb::ListReconsentRequest::default()
        };
        let answer = client.list_reconsent(list).await;
        let answer = answer.map_err(|status| client::failed(&status))?;
        let answered = answer.into_inner().answered.unwrap_or_default();
        request.tree_size = answered.tree_size;
        if request.as_of.is_empty() {
            request.as_of = answered.as_of;
        }
    }
    let mut here = (request.tree_size, request.as_of.clone());
    let stream = client.watch_reconsent(request).await;
    let mut stream = stream
        .map_err(|status| client::failed(&status))?
        .into_inner();
    let follow = async {
        while let Some(told) = stream
            .message()
            .await
            .map_err(|status| client::failed(&status))?
        {
            print(&told, json)?;
            here = (told.tree_size, told.as_of);
        }
        Err(anyhow::anyhow!("the server is stopping"))
    };
    let ended = tokio::select! {
        () = told => Ok(()),
        ended = follow => ended,
    };
    let (size, as_of) = here;
    let day = if as_of.is_empty() {
        String::new()
    } else {
        format!(" --as-of {as_of}")
    };
    complain(format_args!(
        "to go on from here: --watch --since {size}{day}"
    ));
    ended
}

fn print(told: &pb::WatchReconsentResponse, json: bool) -> anyhow::Result<()> {
    if json {
        let name = "genetrail.v1.WatchReconsentResponse";
        let line = record_json::to_json_line(name, &told.encode_to_vec())?;
        return say!("{line}");
    }
    for change in &told.changes {
        let line = line(told, change).context("the server told of a change without its row")?;
        say!("{line}")?;
    }
    Ok(())
}

/// A change in words: when, what happened to which row, and why.
fn line(told: &pb::WatchReconsentResponse, change: &pb::ReconsentChange) -> Option<String> {
    let row = change.row.as_ref()?;
    let happened = word(change.kind(), ReconsentChangeKind::as_str_name);
    let list = LISTS.iter().find(|(list, _)| *list == row.list());
    let list = list.map_or("", |(_, title)| *title);
    let required = row.required.clone().unwrap_or_default();
    let mut words = vec![format!(
        "{} {} {happened}: {} {list}, {} {}",
        told.as_of, told.tree_size, row.patient, required.family, required.version
    )];
    let state = word(row.state(), DeadlineState::as_str_name);
    let by = (!row.deadline.is_empty()).then(|| format!("by {}", row.deadline));
    let unreachable = row.unreachable.then(|| "unreachable".to_owned());
    let site = (!row.site.is_empty()).then(|| format!("site {}", row.site));
    let kind = word(row.kind(), ReconsentKind::as_str_name);
    let more = [Some(kind), site, by, Some(state), unreachable];
    words.extend(more.into_iter().flatten().filter(|word| !word.is_empty()));
    let why = row.why.as_ref();
    Some(format!(
        "{}; {}, entries {}",
        words.join(", "),
        basis(why),
        entries(why)
    ))
}
