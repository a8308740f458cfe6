//! Those who read, each at a pace: entries that are acknowledged, proofs that they are in the log and that the log only
//! grows, and what a coordinator asks about patients and lots. Every answer is held against what was promised.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;

use super::{
    Load,
    book::hashes,
    door::{Kind, ticks},
};
use crate::{
    bench::callers::by,
    note::Checkpoint,
    pb::{
        self, consent_service_client::ConsentServiceClient,
        follow_up_service_client::FollowUpServiceClient, get_entry_request::Key,
        ledger_service_client::LedgerServiceClient, trace_lot_request::Root,
        trace_service_client::TraceServiceClient,
    },
    tlog::{Index, TreeSize, check_consistency, check_inclusion, leaf_hash},
};

/// How often an entry is read, an entry proved, the log's growth proved, and a question asked.
const READ_PERIOD: Duration = Duration::from_millis(20);
const PROOF_PERIOD: Duration = Duration::from_millis(50);
const AUDIT_PERIOD: Duration = Duration::from_millis(200);
const QUESTION_PERIOD: Duration = Duration::from_millis(100);

/// The largest page of an answer.
const PAGE_BYTES_MAX: usize = 16 << 20;

const READER: &str = "auditor";
const COORDINATOR: &str = "coordinator";

/// Reads entries back by their records' ids and by their indexes.
pub(super) async fn entries(load: Arc<Load>) {
    let mut ticks = ticks(READ_PERIOD);
    let mut number = 0;
    while load.door.turn(&mut ticks).await {
        number += 1;
        let Some((index, acknowledged)) = load.book.some(number) else {
            continue;
        };
        let read = |channel| {
            let key = if number % 2 == 0 {
                Key::Index(index)
            } else {
                Key::RecordId(acknowledged.record_id.to_string())
            };
            let request = by(READER, pb::GetEntryRequest { key: Some(key) });
            async move { LedgerServiceClient::new(channel).get_entry(request).await }
        };
        let Some(answer) = load.door.call("GetEntry", read).await else {
            continue;
        };
        let leaf = leaf_hash(&answer.entry);
        let is_same =
            answer.index == index && leaf == acknowledged.leaf && leaf.as_ref() == answer.leaf_hash;
        if !is_same {
            let what = format_args!("GetEntry: another entry {index} than was acknowledged");
            load.door.wrong(Kind::Answer, what);
        }
    }
}

/// Has entries proved to be in the log.
pub(super) async fn inclusion(load: Arc<Load>) {
    let mut ticks = ticks(PROOF_PERIOD);
    let mut number = 0;
    while load.door.turn(&mut ticks).await {
        number += 1;
        let Some((index, acknowledged)) = load.book.some(number) else {
            continue;
        };
        let prove = |channel| {
            let request = by(
                READER,
                pb::ProveInclusionRequest {
                    index,
                    tree_size: 0,
                },
            );
            async move {
                LedgerServiceClient::new(channel)
                    .prove_inclusion(request)
                    .await
            }
        };
        let Some(answer) = load.door.call("ProveInclusion", prove).await else {
            continue;
        };
        let checked = load.book.show(&answer.checkpoint).and_then(|checkpoint| {
            let Checkpoint { size, root, .. } = checkpoint;
            ensure!(
                answer.tree_size == size.value(),
                "the proof is for {} entries, the checkpoint of {size}",
                answer.tree_size
            );
            let proof = hashes(&answer.hashes)?;
            check_inclusion(&proof, Index::new(index), size, acknowledged.leaf, root)?;
            Ok(())
        });
        load.check("ProveInclusion", checked);
    }
}

/// Has it proved that the log only grows: from the newest checkpoint that anybody was shown, to one asked for now.
pub(super) async fn growth(load: Arc<Load>) {
    let mut ticks = ticks(AUDIT_PERIOD);
    while load.door.turn(&mut ticks).await {
        let before = load.book.newest().checkpoint;
        let show = |channel| {
            let request = by(READER, pb::GetCheckpointRequest {});
            async move {
                LedgerServiceClient::new(channel)
                    .get_checkpoint(request)
                    .await
            }
        };
        let Some(answer) = load.door.call("GetCheckpoint", show).await else {
            continue;
        };
        let shown = load.book.show(&answer.checkpoint).and_then(|now| {
            let (size, old) = (now.size, before.size);
            ensure!(old <= size, "{old} entries were signed, and now {size}");
            Ok(now)
        });
        let now = match shown {
            Ok(now) => now,
            wrong @ Err(_) => {
                load.check("GetCheckpoint", wrong);
                continue;
            }
        };
        let (old_size, new_size) = (before.size.value(), now.size.value());
        let prove = |channel| {
            let request = by(READER, pb::ProveConsistencyRequest { old_size, new_size });
            async move {
                LedgerServiceClient::new(channel)
                    .prove_consistency(request)
                    .await
            }
        };
        if let Some(answer) = load.door.call("ProveConsistency", prove).await {
            let proved = hashes(&answer.hashes).and_then(|proof| {
                let (old, new) = (TreeSize::new(old_size), TreeSize::new(new_size));
                check_consistency(&proof, old, new, before.root, now.root)?;
                Ok(())
            });
            load.check("ProveConsistency", proved);
        }
    }
}

/// Asks about the patients and lots of the story, each question in its turn.
pub(super) async fn questions(load: Arc<Load>) {
    let mut ticks = ticks(QUESTION_PERIOD);
    let mut number = 0;
    while load.door.turn(&mut ticks).await {
        let Some((patient, lot)) = load.someone(number / 5) else {
            continue;
        };
        match number % 5 {
            0 => reconsent(&load).await,
            1 => obligations(&load).await,
            2 => schedule(&load, &patient).await,
            3 => trace_patient(&load, &patient).await,
            _ => trace_lot(&load, &lot).await,
        }
        number += 1;
    }
}

async fn reconsent(load: &Load) {
    let ask = |channel| {
        let request = by(COORDINATOR, pb::ListReconsentRequest::default());
        let client = ConsentServiceClient::new(channel);
        let mut client = client.max_decoding_message_size(PAGE_BYTES_MAX);
        async move { client.list_reconsent(request).await }
    };
    drop(load.door.call("ListReconsent", ask).await);
}

async fn obligations(load: &Load) {
    let ask = |channel| {
        let request = by(COORDINATOR, pb::ListObligationsRequest::default());
        let client = FollowUpServiceClient::new(channel);
        let mut client = client.max_decoding_message_size(PAGE_BYTES_MAX);
        async move { client.list_obligations(request).await }
    };
    drop(load.door.call("ListObligations", ask).await);
}

async fn schedule(load: &Load, patient: &str) {
    let ask = |channel| {
        let request = by(
            COORDINATOR,
            pb::GetScheduleRequest {
                patient: patient.to_owned(),
                ..pb::GetScheduleRequest::default()
            },
        );
        let client = FollowUpServiceClient::new(channel);
        let mut client = client.max_decoding_message_size(PAGE_BYTES_MAX);
        async move { client.get_schedule(request).await }
    };
    drop(load.door.call("GetSchedule", ask).await);
}

async fn trace_patient(load: &Load, patient: &str) {
    let ask = |channel| {
        let request = by(
            COORDINATOR,
            pb::TracePatientRequest {
                patient: patient.to_owned(),
                ..pb::TracePatientRequest::default()
            },
        );
        let client = TraceServiceClient::new(channel);
        let mut client = client.max_decoding_message_size(PAGE_BYTES_MAX);
        async move { client.trace_patient(request).await }
    };
    if let Some(answer) = load.door.call("TracePatient", ask).await {
        load.check("TracePatient", found(&answer.administrations));
    }
}

async fn trace_lot(load: &Load, lot: &pb::LotKey) {
    let ask = |channel| {
        let request = by(
            COORDINATOR,
            pb::TraceLotRequest {
                root: Some(Root::Lot(lot.clone())),
                ..pb::TraceLotRequest::default()
            },
        );
        let client = TraceServiceClient::new(channel);
        let mut client = client.max_decoding_message_size(PAGE_BYTES_MAX);
        async move { client.trace_lot(request).await }
    };
    if let Some(answer) = load.door.call("TraceLot", ask).await {
        load.check("TraceLot", found(&answer.administrations));
    }
}

/// Who is asked about has been given something, and that is acknowledged.
fn found<T>(administrations: &[T]) -> anyhow::Result<()> {
    ensure!(
        !administrations.is_empty(),
        "an acknowledged administration is not found"
    );
    Ok(())
}
