//! The whole log: bundles side by side in rounds, and what depends on the entries before, in order, after
//! each round.

use rayon::prelude::*;

use super::{
    Finding, LogFile, LogSource, Options, Progress, Report, VerifyError,
    bundle::{Buffers, Checked, Joint, Scan, Signed, Step, read_tile, scan},
};
use crate::{
    note::{Checkpoint, NoteError, VerifierKey, open_checkpoint},
    pb::{self, record::Kind},
    record::entry::RecordedAt,
    rules::keys::{KeyFlag, KeyRegistry, is_record_signed},
    tlog::{Edge, HASH_BYTES, Hash, Index, TILE_WIDTH, TileId, TileNodes, TreeSize},
};

/// How many bundles a round has for each thread: enough that no thread waits long for the last one, and few
/// enough that what is kept of them until the round's end is little.
const BUNDLES_PER_THREAD: usize = 64;

/// Checks everything about a log but where it is kept.
pub fn verify_log(
    source: &impl LogSource,
    options: &Options,
    progress: Progress<'_>,
) -> Result<Report, VerifyError> {
    let mut note = Vec::new();
    let read = source.checkpoint(&mut note);
    read.map_err(|error| VerifyError::reading(LogFile::Checkpoint, error))?;
    let note = str::from_utf8(&note).map_err(NoteError::NotUtf8);
    let checkpoint = note.and_then(|note| open_checkpoint(note, &options.key));
    let checkpoint = checkpoint.map_err(Finding::Checkpoint)?;
    let since = options.since.as_ref();
    let older = since.map(|note| open_checkpoint(note, &options.key));
    let older = older.transpose().map_err(Finding::OlderCheckpoint)?;
    let size = checkpoint.size;
    if let Some(older) = older.as_ref().filter(|older| size < older.size) {
        let old = older.size;
        return Err(Finding::CutBack { old, size }.into());
    }
    if size == TreeSize::ZERO {
        return Err(Finding::Empty.into());
    }

    let mut reading = Reading::new(&options.key, &checkpoint, older);
    let threads = rayon::current_num_threads();
    let mut bundles = (0..).map_while(|index| bundle(index, size));
    // Most keys are registered early: small rounds first make them known to those that follow.
    let mut round_len = threads;
    loop {
        let round: Vec<TileId> = bundles.by_ref().take(round_len).collect();
        if round.is_empty() {
            break;
        }
        reading.take_round(source, &round)?;
        progress(reading.edge.size().value(), size.value());
        let longest = threads.saturating_mul(BUNDLES_PER_THREAD);
        round_len = round_len.saturating_mul(2).min(longest);
    }
    reading.finish(source)
}

/// The bundle at an index of a log of this size.
fn bundle(index: u64, size: TreeSize) -> Option<TileId> {
    let width = u64::from(TILE_WIDTH);
    let before = index.checked_mul(width)?;
    let left = size.value().checked_sub(before).filter(|left| *left != 0)?;
    Some(TileId {
        level: 0,
        index,
        width: u16::try_from(left).unwrap_or(TILE_WIDTH).min(TILE_WIDTH),
    })
}

/// What is known of the log up to an entry.
struct Reading<'a> {
    key: &'a VerifierKey,
    checkpoint: &'a Checkpoint,
    older: Option<Checkpoint>,
    edge: Edge,
    keys: KeyRegistry,
    last: Option<Joint>,
    report: Report,
}

/// An author's signature that could not be checked at once.
struct Later {
    index: Index,
    key: ed25519_dalek::VerifyingKey,
    record: Vec<u8>,
    signature: [u8; 64],
}

impl<'a> Reading<'a> {
    fn new(key: &'a VerifierKey, checkpoint: &'a Checkpoint, older: Option<Checkpoint>) -> Self {
        Self {
            key,
            checkpoint,
            edge: Edge::new(),
            keys: KeyRegistry::new(checkpoint.origin.as_str()),
            last: None,
            report: Report::new(key, checkpoint, older.as_ref()),
            older,
        }
    }

    fn take_round(&mut self, source: &impl LogSource, round: &[TileId]) -> Result<(), VerifyError> {
        let checkpoint = self.checkpoint;
        let (origin, keys) = (checkpoint.origin.as_str(), &self.keys);
        let scans: Vec<Scan> = round
            .par_iter()
            .map_init(Buffers::default, |buffers, bundle| {
                scan(source, *bundle, origin, keys, buffers)
            })
            .collect();

        let mut later = Vec::new();
        let in_order = scans
            .into_iter()
            .try_for_each(|scan| self.take_scan(source, scan, &mut later));
        // Whatever stopped the reading stands after the signatures that are still to be checked.
        let wrong = later.par_iter().find_first(|later| {
            !is_record_signed(&later.key, origin, &later.record, &later.signature)
        });
        if let Some(Later { index, .. }) = wrong {
            return Err(Finding::AuthorSignature { index: *index }.into());
        }
        in_order
    }

    fn take_scan(
        &mut self,
        source: &impl LogSource,
        scan: Scan,
        later: &mut Vec<Later>,
    ) -> Result<(), VerifyError> {
        let index = Index::new(self.edge.size().value());
        if let Some(first) = scan.first {
            // Before the first entry stand 32 zero bytes and the beginning of time.
            let before = self.last.unwrap_or(Joint {
                hash: Hash::ZERO,
                recorded_at: first.recorded_at,
            });
            before.check(index, first)?;
            self.report.begin(first.recorded_at);
        }
        for step in scan.steps {
            match step {
                Step::Keys {
                    index,
                    recorded_at,
                    record,
                } => self.take_keys(index, recorded_at, &record)?,
                Step::Signed(signed) => later.extend(self.take_signed(*signed)?),
            }
        }
        if let Some(error) = scan.stopped {
            return Err(error);
        }
        self.last = scan.last;
        scan.nodes.map_or(Ok(()), |nodes| self.grow(source, &nodes))
    }

    fn take_keys(
        &mut self,
        index: Index,
        recorded_at: RecordedAt,
        record: &pb::Record,
    ) -> Result<(), Finding> {
        let applied = self.keys.apply(index, recorded_at.to_utc(), record);
        applied.map_err(|source| Finding::Keys { index, source })?;
        if let Some(Kind::Genesis(genesis)) = &record.kind
            && genesis.ledger_key != self.key.to_string()
        {
            return Err(Finding::GenesisKey);
        }
        Ok(())
    }

    fn take_signed(&mut self, signed: Signed) -> Result<Option<Later>, Finding> {
        let index = signed.index;
        let standing = self
            .keys
            .check_author(
                &signed.actor,
                &signed.key_id,
                signed.recorded_at.to_utc(),
                signed.event_time,
            )
            .map_err(|source| Finding::Author { index, source })?;
        let outside_validity = standing.flags.contains(&KeyFlag::OutsideValidity);
        self.report.count_signed(outside_validity);
        match signed.signature {
            Checked::Right => Ok(None),
            Checked::Wrong => Err(Finding::AuthorSignature { index }),
            Checked::Later { record, signature } => Ok(Some(Later {
                index,
                key: *standing.key,
                record,
                signature,
            })),
        }
    }

    /// Adds the leaves of a bundle to the tree, and checks the tiles above that they complete.
    fn grow(&mut self, source: &impl LogSource, nodes: &TileNodes) -> Result<(), VerifyError> {
        self.check_older(nodes)?;
        let full = nodes.root().and_then(|root| self.edge.push_full_tile(root));
        if let Some(full) = full {
            for (tile, nodes) in full {
                check_tile(source, tile, &nodes)?;
                self.report.count_tile();
            }
        } else {
            for leaf in nodes.hashes() {
                self.edge.push(*leaf);
            }
        }
        self.report.count_tile();
        if let Some(last) = self.last {
            self.report.end(last.recorded_at);
        }
        Ok(())
    }

    /// If the older tree ends among these leaves, its root must have been the same.
    fn check_older(&self, nodes: &TileNodes) -> Result<(), Finding> {
        let Some(older) = &self.older else {
            return Ok(());
        };
        let (size, old) = (self.edge.size().value(), older.size.value());
        let count = old
            .checked_sub(size)
            .and_then(|count| usize::try_from(count).ok());
        let Some(leaves) = count.and_then(|count| nodes.hashes().get(..count)) else {
            return Ok(());
        };
        let mut edge = self.edge.clone();
        for leaf in leaves {
            edge.push(*leaf);
        }
        let (computed, claimed) = (edge.root(), older.root);
        if computed != claimed {
            return Err(Finding::OlderRoot {
                old: older.size,
                computed,
                claimed,
            });
        }
        Ok(())
    }

    fn finish(mut self, source: &impl LogSource) -> Result<Report, VerifyError> {
        for (tile, nodes) in self.edge.partial_tiles() {
            // The partial tile of level 0 was checked with its entries.
            if tile.level != 0 {
                check_tile(source, tile, nodes)?;
                self.report.count_tile();
            }
        }
        let (computed, claimed) = (self.edge.root(), self.checkpoint.root);
        if computed != claimed {
            return Err(Finding::Root { computed, claimed }.into());
        }
        self.report.keys = self.keys.len();
        Ok(self.report)
    }
}

/// Are these the hashes that a tile above level 0 has?
fn check_tile(source: &impl LogSource, tile: TileId, nodes: &TileNodes) -> Result<(), VerifyError> {
    let mut bytes = Vec::new();
    read_tile(source, tile, &mut bytes)?;
    let claimed = bytes.chunks_exact(HASH_BYTES);
    let mut pairs = claimed.zip(nodes.hashes());
    if let Some(place) = pairs.position(|(claimed, computed)| claimed != computed.as_bytes()) {
        let file = LogFile::Tile(tile);
        return Err(Finding::TileHash { file, place }.into());
    }
    Ok(())
}
