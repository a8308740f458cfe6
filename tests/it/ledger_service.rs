//! What an auditor asks of a running server: checkpoints, entries and proofs that hold against each other,
//! cosignatures, and the check of the whole log.

use ed25519_dalek::SigningKey;
use genetrail::{
    note::{Cosigner, KeyName, Note, open_checkpoint, open_cosigned_checkpoint},
    pb::{
        AddCosignatureRequest, GetCheckpointRequest, GetCheckpointResponse, GetEntryRequest,
        ListEntriesRequest, ListEntriesResponse, ProveConsistencyRequest, ProveInclusionRequest,
        RecordBatchRequest, VerifyLedgerRequest, VerifyLedgerResponse, get_entry_request::Key,
    },
    record::entry::EntryView,
    tlog::{Hash, Index, TreeSize, check_consistency, check_inclusion, leaf_hash},
};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};

use crate::support::{TestServer, as_actor, metadata, plain, record, refused, uuid};

/// Records so many entries after those that are there.
async fn fill(server: &TestServer, numbers: std::ops::Range<u32>) {
    let numbers: Vec<u32> = numbers.collect();
    for numbers in numbers.chunks(1_000) {
        let submissions = numbers
            .iter()
            .map(|number| plain(record(*number)))
            .collect();
        let batch = RecordBatchRequest {
            submissions,
            validate_only: false,
        };
        server
            .recording()
            .record_batch(as_actor(batch))
            .await
            .unwrap();
    }
}

async fn checkpoint(server: &TestServer) -> GetCheckpointResponse {
    server
        .ledger()
        .get_checkpoint(GetCheckpointRequest {})
        .await
        .unwrap()
        .into_inner()
}

async fn list(
    server: &TestServer,
    start: u64,
    end: u64,
) -> Result<Vec<ListEntriesResponse>, Status> {
    let entries = server
        .ledger()
        .list_entries(ListEntriesRequest { start, end })
        .await?;
    entries.into_inner().collect().await
}

fn hashes(hashes: &[Vec<u8>]) -> Vec<Hash> {
    hashes.iter().map(|hash| hash_of(hash)).collect()
}

fn hash_of(bytes: &[u8]) -> Hash {
    Hash::from_slice(bytes).unwrap()
}

#[tokio::test]
async fn the_checkpoint_is_signed_with_the_ledgers_key_and_says_what_the_answer_says() {
    let server = TestServer::start().await;
    fill(&server, 1..10).await;
    let answer = checkpoint(&server).await;
    let checkpoint = open_checkpoint(&answer.checkpoint, &server.vkey).unwrap();
    assert_eq!((checkpoint.size.value(), answer.tree_size), (10, 10));
    assert_eq!(answer.root_hash, checkpoint.root.as_bytes());
    assert_eq!(answer.verifier_key, server.vkey.to_string());
    assert_eq!(answer.cosigned_checkpoint, "");
}

#[tokio::test]
async fn an_entry_is_found_by_its_index_and_by_its_records_id() {
    let server = TestServer::start().await;
    fill(&server, 1..10).await;
    let find = async |key| {
        let entry = server.ledger().get_entry(GetEntryRequest { key }).await?;
        Ok::<_, Status>(entry.into_inner())
    };
    let found = find(Some(Key::Index(5))).await.unwrap();
    assert_eq!(found.index, 5);
    assert_eq!(found.leaf_hash, leaf_hash(&found.entry).as_bytes());
    assert_eq!(find(Some(Key::RecordId(uuid(5)))).await.unwrap(), found);
    assert_eq!(
        find(Some(Key::RecordId(uuid(5).to_uppercase())))
            .await
            .unwrap(),
        found
    );

    let status = find(Some(Key::Index(10))).await.unwrap_err();
    let details = refused(&status, Code::NotFound, "ENTRY_NOT_FOUND");
    assert_eq!(
        (metadata(&details, "index"), metadata(&details, "tree_size")),
        ("10".into(), "10".into())
    );
    assert_eq!(
        details.resource_info().unwrap().resource_type,
        "genetrail.v1.Entry"
    );
    let status = find(Some(Key::Index(u64::MAX))).await.unwrap_err();
    refused(&status, Code::NotFound, "ENTRY_NOT_FOUND");
    let status = find(Some(Key::RecordId(uuid(77)))).await.unwrap_err();
    refused(&status, Code::NotFound, "ENTRY_NOT_FOUND");
    let status = find(Some(Key::RecordId("five".to_owned())))
        .await
        .unwrap_err();
    let details = refused(&status, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(
        details.bad_request().unwrap().field_violations[0].reason,
        "UUID_FORMAT"
    );
    let status = find(None).await.unwrap_err();
    let details = refused(&status, Code::InvalidArgument, "FIELD_INVALID");
    assert_eq!(
        details.bad_request().unwrap().field_violations[0].field,
        "key"
    );
}

#[tokio::test]
async fn twenty_thousand_entries_are_listed_in_order_and_chained() {
    let server = TestServer::start().await;
    fill(&server, 1..20_000).await;
    let request = ListEntriesRequest { start: 0, end: 0 };
    let mut entries = server
        .ledger()
        .list_entries(request)
        .await
        .unwrap()
        .into_inner();
    let mut previous = Hash::new([0; 32]);
    let mut count = 0;
    while let Some(entry) = entries.next().await {
        let ListEntriesResponse { index, entry } = entry.unwrap();
        assert_eq!(index, count);
        assert_eq!(EntryView::parse(&entry).unwrap().previous, previous);
        previous = leaf_hash(&entry);
        count += 1;
    }
    assert_eq!(count, 20_000);
}

#[tokio::test]
async fn a_part_of_the_entries_is_listed_and_nothing_beyond_the_tree() {
    let server = TestServer::start().await;
    fill(&server, 1..100).await;
    let check = async |start, end, expected: std::ops::Range<u64>| {
        let found = list(&server, start, end).await.unwrap();
        let indexes: Vec<u64> = found.iter().map(|entry| entry.index).collect();
        assert_eq!(indexes, expected.collect::<Vec<_>>(), "{start}..{end}");
    };
    check(0, 0, 0..100).await;
    check(98, 0, 98..100).await;
    check(17, 18, 17..18).await;
    check(20, 71, 20..71).await;
    check(50, 50, 50..50).await;
    check(100, 0, 100..100).await;
    check(100, 100, 100..100).await;

    refused(
        &list(&server, 8, 7).await.unwrap_err(),
        Code::InvalidArgument,
        "FIELD_INVALID",
    );
    for (start, end, asked) in [
        (0, 101, "101"),
        (101, 0, "101"),
        (200, u64::MAX, "18446744073709551615"),
    ] {
        let status = list(&server, start, end).await.unwrap_err();
        let details = refused(&status, Code::OutOfRange, "TREE_SIZE_AHEAD");
        assert_eq!(metadata(&details, "tree_size"), "100");
        assert_eq!(metadata(&details, "asked"), asked);
    }
}

#[tokio::test]
async fn every_entry_is_proved_in_every_tree_and_every_tree_in_every_later_one() {
    let server = TestServer::start().await;
    fill(&server, 1..20).await;
    for tree_size in 1..=20 {
        let mut root = None;
        for index in 0..tree_size {
            let request = ProveInclusionRequest { index, tree_size };
            let proof = server
                .ledger()
                .prove_inclusion(request)
                .await
                .unwrap()
                .into_inner();
            let (leaf, computed) = (hash_of(&proof.leaf_hash), hash_of(&proof.root_hash));
            let (index, size) = (Index::new(index), TreeSize::new(proof.tree_size));
            check_inclusion(&hashes(&proof.hashes), index, size, leaf, computed).unwrap();
            assert_eq!(*root.get_or_insert(computed), computed);
        }
        for old_size in 1..=tree_size {
            let request = ProveConsistencyRequest {
                old_size,
                new_size: tree_size,
            };
            let proof = server
                .ledger()
                .prove_consistency(request)
                .await
                .unwrap()
                .into_inner();
            let (old, new) = (TreeSize::new(proof.old_size), TreeSize::new(proof.new_size));
            let (old_root, new_root) = (hash_of(&proof.old_root), hash_of(&proof.new_root));
            check_consistency(&hashes(&proof.hashes), old, new, old_root, new_root).unwrap();
            assert_eq!(Some(new_root), root);
        }
    }
}

#[tokio::test]
async fn proofs_over_stored_tiles_lead_to_the_checkpoint() {
    let server = TestServer::start().await;
    fill(&server, 1..700).await;
    let before = checkpoint(&server).await;
    fill(&server, 700..1_500).await;
    let newest = open_checkpoint(&checkpoint(&server).await.checkpoint, &server.vkey).unwrap();
    for index in [0, 1, 255, 256, 511, 699, 700, 1_498, 1_499] {
        let request = ProveInclusionRequest {
            index,
            tree_size: 0,
        };
        let proof = server
            .ledger()
            .prove_inclusion(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(
            open_checkpoint(&proof.checkpoint, &server.vkey).unwrap(),
            newest
        );
        let leaf = hash_of(&proof.leaf_hash);
        let index = Index::new(index);
        check_inclusion(
            &hashes(&proof.hashes),
            index,
            newest.size,
            leaf,
            newest.root,
        )
        .unwrap();
    }
    let request = ProveConsistencyRequest {
        old_size: 700,
        new_size: 0,
    };
    let proof = server
        .ledger()
        .prove_consistency(request)
        .await
        .unwrap()
        .into_inner();
    let old_root = hash_of(&before.root_hash);
    check_consistency(
        &hashes(&proof.hashes),
        TreeSize::new(700),
        newest.size,
        old_root,
        newest.root,
    )
    .unwrap();
}

#[tokio::test]
async fn a_proof_beyond_the_tree_is_refused_with_its_size() {
    let server = TestServer::start().await;
    fill(&server, 1..10).await;
    for (index, tree_size) in [(10, 0), (0, 11), (7, 7), (u64::MAX, 0), (3, u64::MAX)] {
        let request = ProveInclusionRequest { index, tree_size };
        let status = server.ledger().prove_inclusion(request).await.unwrap_err();
        let details = refused(&status, Code::OutOfRange, "TREE_SIZE_AHEAD");
        assert!(!metadata(&details, "tree_size").is_empty());
    }
    for (old_size, new_size) in [(11, 0), (1, 11), (u64::MAX, u64::MAX)] {
        let request = ProveConsistencyRequest { old_size, new_size };
        let status = server
            .ledger()
            .prove_consistency(request)
            .await
            .unwrap_err();
        let details = refused(&status, Code::OutOfRange, "TREE_SIZE_AHEAD");
        assert_eq!(metadata(&details, "tree_size"), "10");
    }
    for (old_size, new_size) in [(0, 0), (0, 5), (6, 5)] {
        let request = ProveConsistencyRequest { old_size, new_size };
        let status = server
            .ledger()
            .prove_consistency(request)
            .await
            .unwrap_err();
        refused(&status, Code::InvalidArgument, "FIELD_INVALID");
    }
}

fn witness(seed: u8) -> Cosigner {
    let name = KeyName::parse(&format!("witness-{seed}.example")).unwrap();
    Cosigner::new(name, SigningKey::from_bytes(&[seed; 32]))
}

/// A checkpoint with the cosignatures of these witnesses at a time.
fn cosigned(checkpoint: &str, witnesses: &[&Cosigner], timestamp: u64) -> String {
    let mut note = Note::parse(checkpoint).unwrap();
    for witness in witnesses {
        note.add(witness.cosign(note.text(), timestamp)).unwrap();
    }
    note.encode()
}

#[tokio::test]
async fn cosignatures_of_known_witnesses_are_served_with_their_checkpoint() {
    let (one, two, stranger) = (witness(31), witness(32), witness(33));
    let known = [one.vkey(), two.vkey()];
    let mut server = TestServer::start_with(|settings| settings.witnesses = known.to_vec()).await;
    fill(&server, 1..10).await;
    let add = async |server: &TestServer, cosigned_checkpoint: String| {
        let request = AddCosignatureRequest {
            cosigned_checkpoint,
        };
        let answer = server.ledger().add_cosignature(request).await?;
        Ok::<_, Status>(answer.into_inner())
    };
    let at_10 = checkpoint(&server).await.checkpoint;
    let answer = add(&server, cosigned(&at_10, &[&one, &stranger], 1_000))
        .await
        .unwrap();
    assert_eq!(answer.kept, 1);
    let answer = add(&server, cosigned(&at_10, &[&two], 1_001))
        .await
        .unwrap();
    let opened = open_cosigned_checkpoint(&answer.checkpoint, &server.vkey, &known).unwrap();
    assert_eq!(
        opened
            .1
            .iter()
            .map(|found| found.timestamp)
            .collect::<Vec<_>>(),
        [1_000, 1_001]
    );

    // The tree grows on: the newest checkpoint has no cosignatures, the last cosigned one keeps its own.
    fill(&server, 10..12).await;
    for _ in 0..2 {
        let now = checkpoint(&server).await;
        assert_eq!(
            open_cosigned_checkpoint(&now.checkpoint, &server.vkey, &known)
                .unwrap()
                .1,
            []
        );
        let (kept, by) =
            open_cosigned_checkpoint(&now.cosigned_checkpoint, &server.vkey, &known).unwrap();
        assert_eq!((kept.size.value(), by.len()), (10, 2));
        server.restart().await;
    }

    // What is older than what is kept changes nothing.
    let at_12 = checkpoint(&server).await.checkpoint;
    assert_eq!(
        add(&server, cosigned(&at_12, &[&one], 1_002))
            .await
            .unwrap()
            .kept,
        1
    );
    assert_eq!(
        add(&server, cosigned(&at_10, &[&one], 1_003))
            .await
            .unwrap()
            .kept,
        0
    );
    let kept = checkpoint(&server).await.cosigned_checkpoint;
    let (kept, by) = open_cosigned_checkpoint(&kept, &server.vkey, &known).unwrap();
    assert_eq!((kept.size.value(), by.len()), (12, 1));
}

#[tokio::test]
async fn a_cosignature_that_does_not_count_is_refused() {
    let (known, stranger) = (witness(31), witness(33));
    let server = TestServer::start_with(|settings| settings.witnesses = vec![known.vkey()]).await;
    fill(&server, 1..10).await;
    let current = checkpoint(&server).await.checkpoint;
    let check = async |cosigned_checkpoint: String, code, reason| {
        let request = AddCosignatureRequest {
            cosigned_checkpoint,
        };
        let status = server.ledger().add_cosignature(request).await.unwrap_err();
        refused(&status, code, reason);
    };
    let unknown = (Code::FailedPrecondition, "WITNESS_UNKNOWN");
    check(current.clone(), unknown.0, unknown.1).await;
    check(cosigned(&current, &[&stranger], 1), unknown.0, unknown.1).await;
    let rejected = (Code::InvalidArgument, "CHECKPOINT_REJECTED");
    for malformed in ["", "not a note", "a\nb\n\n"] {
        check(malformed.to_owned(), rejected.0, rejected.1).await;
    }
    let good = cosigned(&current, &[&known], 1);
    check(good.replacen("\n10\n", "\n11\n", 1), rejected.0, rejected.1).await;
    let mut wrong = Note::parse(&current).unwrap();
    wrong.add(known.cosign("another text\n", 1)).unwrap();
    check(wrong.encode(), rejected.0, rejected.1).await;
}

#[tokio::test]
async fn a_checkpoint_of_another_history_signed_with_our_key_is_refused() {
    let known = witness(31);
    let start =
        async || TestServer::start_with(|settings| settings.witnesses = vec![known.vkey()]).await;
    let (server, other) = (start().await, start().await);
    fill(&server, 1..10).await;
    fill(&other, 100..109).await;
    let add = async |cosigned_checkpoint: String| {
        let request = AddCosignatureRequest {
            cosigned_checkpoint,
        };
        server.ledger().add_cosignature(request).await.unwrap_err()
    };
    let fork = checkpoint(&other).await.checkpoint;
    let status = add(cosigned(&fork, &[&known], 1)).await;
    refused(&status, Code::FailedPrecondition, "OTHER_HISTORY");
    fill(&other, 109..111).await;
    let ahead = checkpoint(&other).await.checkpoint;
    let status = add(cosigned(&ahead, &[&known], 1)).await;
    refused(&status, Code::OutOfRange, "TREE_SIZE_AHEAD");
}

async fn verify(server: &TestServer, since: &str) -> Result<Vec<VerifyLedgerResponse>, Status> {
    let request = VerifyLedgerRequest {
        since_checkpoint: since.to_owned(),
    };
    server
        .ledger()
        .verify_ledger(request)
        .await?
        .into_inner()
        .collect()
        .await
}

#[tokio::test]
async fn the_stored_log_is_verified_and_says_what_was_checked() {
    let server = TestServer::start().await;
    let before = checkpoint(&server).await.checkpoint;
    fill(&server, 1..1_000).await;
    let answers = verify(&server, &before).await.unwrap();
    let (last, progress) = answers.split_last().unwrap();
    assert_eq!((last.checked, last.tree_size), (1_000, 1_000));
    let outcome = last.outcome.as_ref().unwrap();
    assert!(outcome.holds, "{outcome:?}");
    assert!(5 < outcome.checked.len());
    assert!(
        progress
            .iter()
            .all(|answer| answer.outcome.is_none() && answer.checked <= 1_000)
    );

    let status = verify(&server, "no note").await.unwrap_err();
    refused(&status, Code::InvalidArgument, "CHECKPOINT_REJECTED");
}

#[tokio::test]
async fn a_log_that_does_not_extend_the_older_checkpoint_does_not_hold() {
    let (server, other) = (TestServer::start().await, TestServer::start().await);
    fill(&server, 1..10).await;
    fill(&other, 100..105).await;
    for numbers in [105..106, 106..120] {
        let since = checkpoint(&other).await.checkpoint;
        let answers = verify(&server, &since).await.unwrap();
        let outcome = answers.last().unwrap().outcome.clone().unwrap();
        assert!(!outcome.holds && !outcome.finding.is_empty());
        fill(&other, numbers).await;
    }
}
