//! `LedgerService`: what an auditor needs to check the log without trusting its keeper.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tonic::{Request, Response, Status, async_trait};

use super::{Witnesses, blocking, driven::Driven, error::CallError, verification::verify};
use crate::{
    ledger::{Entries, Ledger, ReadError},
    note::open_checkpoint,
    pb::{
        AddCosignatureRequest, AddCosignatureResponse, GetCheckpointRequest, GetCheckpointResponse,
        GetEntryRequest, GetEntryResponse, ListEntriesRequest, ListEntriesResponse,
        ProveConsistencyRequest, ProveConsistencyResponse, ProveInclusionRequest,
        ProveInclusionResponse, VerifyLedgerRequest, VerifyLedgerResponse, get_entry_request::Key,
        ledger_service_server::LedgerService,
    },
    record::{Violation, format::parse_uuid},
    tlog::{Hash, Index, TreeSize, leaf_hash},
};

/// Entries that are read before the caller asks for them; with a page, at most 32 of a stream wait.
const AHEAD: usize = 16;

/// Entries read in one go: fewer, when they are large.
const PAGE_ENTRIES: usize = 16;

/// Bytes of entries after which a page is full.
const PAGE_BYTES: usize = 16 << 10;

/// Each reads the whole log and takes a core while it does.
const VERIFICATIONS_MAX: usize = 2;

/// Progress that is told before the caller asks for it.
const PROGRESS_AHEAD: usize = 4;

/// The service.
#[derive(Clone)]
pub(crate) struct LedgerReads {
    ledger: Arc<Ledger>,
    witnesses: Arc<Witnesses>,
    verifications: Arc<Semaphore>,
}

impl LedgerReads {
    /// The service over this ledger.
    pub(crate) fn new(ledger: Arc<Ledger>, witnesses: Arc<Witnesses>) -> Self {
        let verifications = Arc::new(Semaphore::new(VERIFICATIONS_MAX));
        Self {
            ledger,
            witnesses,
            verifications,
        }
    }

    /// Asks the ledger something that may read the store.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Ledger) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let ledger = Arc::clone(&self.ledger);
        blocking(move || question(&ledger)).await
    }
}

#[async_trait]
impl LedgerService for LedgerReads {
    async fn get_checkpoint(
        &self,
        _request: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let published = self.ledger.published();
        Ok(Response::new(GetCheckpointResponse {
            checkpoint: self.witnesses.adorn(&published),
            tree_size: published.size().value(),
            root_hash: bytes(&published.checkpoint().root),
            verifier_key: self.ledger.vkey().to_string(),
            cosigned_checkpoint: self.witnesses.newest().unwrap_or_default(),
        }))
    }

    async fn get_entry(
        &self,
        request: Request<GetEntryRequest>,
    ) -> Result<Response<GetEntryResponse>, Status> {
        let key = match request.into_inner().key {
            Some(Key::Index(index)) => Ok(Index::new(index)),
            Some(Key::RecordId(id)) => Err(parse_uuid(&id)
                .map_err(|error| wrong_field("record_id", error.rule, error.remedy))?),
            None => {
                return Err(wrong_field("key", "REQUIRED", "give an index or a record id").into());
            }
        };
        let found = self.ask(move |ledger| {
            let size = ledger.published().size().value();
            match key {
                Ok(index) if index.value() < size => Ok((index, ledger.entry(index)?)),
                Ok(index) => Err(CallError::NoEntryAt {
                    index: index.value(),
                    size,
                }),
                Err(id) => ledger
                    .entry_by_record_id(&id)?
                    .ok_or(CallError::NoEntryOf { size }),
            }
        });
        let (index, entry) = found.await?;
        Ok(Response::new(GetEntryResponse {
            index: index.value(),
            leaf_hash: bytes(&leaf_hash(&entry)),
            entry,
        }))
    }

    type ListEntriesStream = Driven<Result<ListEntriesResponse, Status>>;

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<Self::ListEntriesStream>, Status> {
        let ListEntriesRequest { start, end } = request.into_inner();
        let have = self.ledger.published().size().value();
        if end != 0 && end < start {
            let remedy = "give an end that is not below the start; 0 is the tree size";
            return Err(wrong_field("end", "RANGE_REVERSED", remedy).into());
        }
        let end = if end == 0 { have } else { end };
        let asked = start.max(end);
        if have < asked {
            return Err(CallError::TreeSizeAhead { asked, have }.into());
        }
        let entries = self.ledger.entries(Index::new(start), TreeSize::new(end));
        let ledger = Arc::clone(&self.ledger);
        let work = |items| send_entries(ledger, entries, items);
        Ok(Response::new(Driven::new(AHEAD, work, |items| items)))
    }

    async fn prove_inclusion(
        &self,
        request: Request<ProveInclusionRequest>,
    ) -> Result<Response<ProveInclusionResponse>, Status> {
        let ProveInclusionRequest { index, tree_size } = request.into_inner();
        let answer = self.ask(move |ledger| {
            let published = ledger.published();
            let have = published.size().value();
            let size = if tree_size == 0 { have } else { tree_size };
            if have < size {
                return Err(CallError::TreeSizeAhead { asked: size, have });
            }
            if size <= index {
                return Err(CallError::TreeSizeAhead {
                    asked: index.saturating_add(1),
                    have: size,
                });
            }
            let (index, size) = (Index::new(index), TreeSize::new(size));
            let entry = ledger.entry(index)?;
            let hashes = ledger.prove_inclusion(&published, index, size)?;
            Ok(ProveInclusionResponse {
                index: index.value(),
                tree_size: size.value(),
                leaf_hash: bytes(&leaf_hash(&entry)),
                hashes: hashes.iter().map(bytes).collect(),
                root_hash: bytes(&ledger.root_at(&published, size)?),
                checkpoint: published.note().to_owned(),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn prove_consistency(
        &self,
        request: Request<ProveConsistencyRequest>,
    ) -> Result<Response<ProveConsistencyResponse>, Status> {
        let ProveConsistencyRequest { old_size, new_size } = request.into_inner();
        if old_size == 0 {
            let remedy = "give the older tree's size, at least 1: every tree extends the empty one";
            return Err(wrong_field("old_size", "REQUIRED", remedy).into());
        }
        if new_size != 0 && new_size < old_size {
            let remedy = "give a newer size that is not below the older one; 0 is the newest";
            return Err(wrong_field("new_size", "RANGE_REVERSED", remedy).into());
        }
        let answer = self.ask(move |ledger| {
            let published = ledger.published();
            let have = published.size().value();
            let new_size = if new_size == 0 { have } else { new_size };
            let asked = old_size.max(new_size);
            if have < asked {
                return Err(CallError::TreeSizeAhead { asked, have });
            }
            let (old, new) = (TreeSize::new(old_size), TreeSize::new(new_size));
            let hashes = ledger.prove_consistency(&published, old, new)?;
            Ok(ProveConsistencyResponse {
                old_size,
                new_size,
                hashes: hashes.iter().map(bytes).collect(),
                old_root: bytes(&ledger.root_at(&published, old)?),
                new_root: bytes(&ledger.root_at(&published, new)?),
                checkpoint: published.note().to_owned(),
            })
        });
        Ok(Response::new(answer.await?))
    }

    async fn add_cosignature(
        &self,
        request: Request<AddCosignatureRequest>,
    ) -> Result<Response<AddCosignatureResponse>, Status> {
        let AddCosignatureRequest {
            cosigned_checkpoint,
        } = request.into_inner();
        let witnesses = Arc::clone(&self.witnesses);
        let kept = self
            .ask(move |ledger| witnesses.add(ledger, &cosigned_checkpoint))
            .await?;
        let checkpoint = self.witnesses.adorn(&self.ledger.published());
        Ok(Response::new(AddCosignatureResponse { kept, checkpoint }))
    }

    type VerifyLedgerStream = Driven<Result<VerifyLedgerResponse, Status>>;

    async fn verify_ledger(
        &self,
        request: Request<VerifyLedgerRequest>,
    ) -> Result<Response<Self::VerifyLedgerStream>, Status> {
        let VerifyLedgerRequest { since_checkpoint } = request.into_inner();
        let since = Some(since_checkpoint).filter(|since| !since.is_empty());
        if let Some(since) = &since {
            open_checkpoint(since, self.ledger.vkey()).map_err(CallError::CheckpointRejected)?;
        }
        let slot = Arc::clone(&self.verifications).try_acquire_owned();
        let max = VERIFICATIONS_MAX;
        let slot = slot.map_err(|_| CallError::TooManyVerifications { max })?;
        let ledger = Arc::clone(&self.ledger);
        let verification = |answers| verify(ledger, since, slot, answers);
        Ok(Response::new(Driven::new(
            PROGRESS_AHEAD,
            verification,
            |answers| answers,
        )))
    }
}

/// Reads entries page by page, each page when the last one is under way: a stream that nobody reads holds
/// no thread.
async fn send_entries(
    ledger: Arc<Ledger>,
    mut entries: Entries,
    items: mpsc::Sender<Result<ListEntriesResponse, Status>>,
) {
    loop {
        let page;
        (entries, page) = blocking(move || {
            let page = read_page(&mut entries);
            (entries, page)
        })
        .await;
        if page.is_empty() {
            return;
        }
        for entry in page {
            let entry = entry
                .map(|(index, entry)| ListEntriesResponse {
                    index: index.value(),
                    entry,
                })
                .inspect_err(|error| ledger.suspect(error))
                .map_err(|error| Status::from(CallError::from(error)));
            if items.send(entry).await.is_err() {
                return;
            }
        }
    }
}

/// The next entries; none at the end. What cannot be read is the last of them.
fn read_page(entries: &mut Entries) -> Vec<Result<(Index, Vec<u8>), ReadError>> {
    let mut page = Vec::new();
    let mut bytes = 0;
    while page.len() < PAGE_ENTRIES && bytes < PAGE_BYTES {
        let Some(entry) = entries.next() else { break };
        bytes += entry.as_ref().map_or(PAGE_BYTES, |(_, entry)| entry.len());
        page.push(entry);
    }
    page
}

fn bytes(hash: &Hash) -> Vec<u8> {
    hash.as_bytes().to_vec()
}

fn wrong_field(field: &str, rule: &'static str, remedy: &str) -> CallError {
    let (field, remedy) = (field.to_owned(), remedy.to_owned());
    CallError::Fields(vec![Violation {
        field,
        rule,
        remedy,
    }])
}
