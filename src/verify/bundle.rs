//! One entry bundle and the tile over it: everything about them that can be checked without the entries
//! before, so that bundles are checked side by side.

use prost::Message as _;

use super::{Finding, LogFile, LogSource, VerifyError};
use crate::{
    pb,
    record::entry::{EntryView, RecordedAt, record_kind},
    rules::keys::{self, AuthorKeyId, KeyRegistry, is_about_keys, is_record_signed},
    tlog::{HASH_BYTES, Hash, Index, TILE_WIDTH, TileId, TileNodes, leaf_hashes},
};

/// The length of an entry goes before it.
const LENGTH_BYTES: usize = 2;

/// What was found in a bundle, up to where it stopped.
#[derive(Default)]
pub(super) struct Scan {
    /// Where the first entry joins the bundle before.
    pub(super) first: Option<Joint>,
    /// Where the bundle after joins the last entry.
    pub(super) last: Option<Joint>,
    /// The leaf hashes, and the nodes over them, if nothing is wrong.
    pub(super) nodes: Option<TileNodes>,
    /// What depends on the keys on record, in the order of the entries.
    pub(super) steps: Vec<Step>,
    /// The first thing that is wrong; what stands above was found before it.
    pub(super) stopped: Option<VerifyError>,
}

/// What two entries that follow each other must agree on.
#[derive(Clone, Copy)]
pub(super) struct Joint {
    /// The leaf hash of the earlier one.
    pub(super) hash: Hash,
    /// When the one at hand was recorded.
    pub(super) recorded_at: RecordedAt,
}

pub(super) enum Step {
    /// A record that may change which keys are on record.
    Keys {
        index: Index,
        recorded_at: RecordedAt,
        record: Box<pb::Record>,
    },
    /// A record that its author signed.
    Signed(Box<Signed>),
}

pub(super) struct Signed {
    pub(super) index: Index,
    pub(super) recorded_at: RecordedAt,
    pub(super) actor: String,
    pub(super) key_id: AuthorKeyId,
    /// When what the record tells happened.
    pub(super) event_time: Option<chrono::DateTime<chrono::Utc>>,
    pub(super) signature: Checked,
}

pub(super) enum Checked {
    /// The signature is by the key it names.
    Right,
    /// It is not.
    Wrong,
    /// Its key is not known yet: it is registered in this round or never.
    Later {
        record: Vec<u8>,
        signature: [u8; 64],
    },
}

/// What the bytes of files are read into, to be used again.
#[derive(Default)]
pub(super) struct Buffers {
    tile: Vec<u8>,
    entries: Vec<u8>,
    leaves: Vec<Hash>,
}

/// Checks a bundle against the keys that were on record before its round.
pub(super) fn scan(
    source: &impl LogSource,
    bundle: TileId,
    origin: &str,
    keys: &KeyRegistry,
    buffers: &mut Buffers,
) -> Scan {
    let mut scan = Scan::default();
    scan.stopped = scan.run(source, bundle, origin, keys, buffers).err();
    scan
}

impl Scan {
    fn run(
        &mut self,
        source: &impl LogSource,
        bundle: TileId,
        origin: &str,
        keys: &KeyRegistry,
        buffers: &mut Buffers,
    ) -> Result<(), VerifyError> {
        let Buffers {
            tile,
            entries,
            leaves,
        } = buffers;
        leaves.clear();
        read_tile(source, bundle, tile)?;
        let file = LogFile::Entries(bundle);
        let read = source.entry_bundle(bundle, entries);
        read.map_err(|error| VerifyError::reading(file, error))?;

        let mut rest = entries.as_slice();
        let mut whole = Vec::with_capacity(usize::from(bundle.width));
        while whole.len() < usize::from(bundle.width)
            && let Some((entry, after)) = split_entry(rest)
        {
            whole.push(entry);
            rest = after;
        }
        leaf_hashes(&whole, leaves);

        let first = bundle.index.saturating_mul(u64::from(TILE_WIDTH));
        let indexes = (first..).map(Index::new);
        let mut found = whole.iter().zip(leaves.iter());
        for (claimed, index) in tile.chunks_exact(HASH_BYTES).zip(indexes) {
            let (entry, leaf) = found.next().ok_or(Finding::BundleEnds { file, index })?;
            if leaf.as_bytes() != claimed {
                return Err(Finding::Leaf { index, file }.into());
            }
            let entry =
                EntryView::parse(entry).map_err(|source| Finding::Entry { index, source })?;
            self.place(index, *leaf, &entry)?;
            self.judge(&entry, origin, keys)?;
        }
        if !rest.is_empty() {
            let have = rest.len();
            return Err(Finding::BundleSurplus { file, have }.into());
        }
        self.nodes = TileNodes::from_hashes(leaves);
        Ok(())
    }

    /// Does the entry stand where it says, after the entry that it says is before?
    fn place(&mut self, index: Index, leaf: Hash, entry: &EntryView<'_>) -> Result<(), Finding> {
        if entry.index != index {
            let says = entry.index;
            return Err(Finding::OtherIndex { index, says });
        }
        let here = Joint {
            hash: entry.previous,
            recorded_at: entry.recorded_at,
        };
        match self.last {
            Some(before) => before.check(index, here)?,
            None => self.first = Some(here),
        }
        self.last = Some(Joint { hash: leaf, ..here });
        Ok(())
    }

    /// What does the entry mean to the keys, or the keys to it?
    fn judge(
        &mut self,
        entry: &EntryView<'_>,
        origin: &str,
        keys: &KeyRegistry,
    ) -> Result<(), Finding> {
        let index = entry.index;
        // Entry 0 must be the genesis, whatever it is.
        let concerns_keys =
            index == Index::new(0) || record_kind(entry.record).is_none_or(is_about_keys);
        if entry.author.is_none() && !concerns_keys {
            return Ok(());
        }
        let record = pb::Record::decode(entry.record).ok();
        let record = record.filter(|record| record.kind.is_some());
        let record = record.ok_or(Finding::NotARecord { index })?;

        // A key does not sign the record that brings it, so the signature comes first.
        if let Some(author) = entry.author {
            let signature = match keys.public_key(author.key_id) {
                Some(key) if is_record_signed(key, origin, entry.record, author.signature) => {
                    Checked::Right
                }
                Some(_) => Checked::Wrong,
                None => Checked::Later {
                    record: entry.record.to_vec(),
                    signature: *author.signature,
                },
            };
            self.steps.push(Step::Signed(Box::new(Signed {
                index,
                recorded_at: entry.recorded_at,
                actor: entry.actor.to_owned(),
                key_id: *author.key_id,
                event_time: keys::event_time(&record),
                signature,
            })));
        }
        if concerns_keys {
            self.steps.push(Step::Keys {
                index,
                recorded_at: entry.recorded_at,
                record: Box::new(record),
            });
        }
        Ok(())
    }
}

impl Joint {
    /// Does the entry at this index follow the one whose end this is?
    pub(super) fn check(self, index: Index, next: Self) -> Result<(), Finding> {
        if next.hash != self.hash {
            return Err(Finding::Chain { index });
        }
        if next.recorded_at < self.recorded_at {
            return Err(Finding::ClockWentBack { index });
        }
        Ok(())
    }
}

/// Reads a tile that must have as many hashes as its width.
pub(super) fn read_tile(
    source: &impl LogSource,
    tile: TileId,
    bytes: &mut Vec<u8>,
) -> Result<(), VerifyError> {
    let file = LogFile::Tile(tile);
    let read = source.tile(tile, bytes);
    read.map_err(|error| VerifyError::reading(file, error))?;
    let (have, want) = (
        bytes.len(),
        usize::from(tile.width).saturating_mul(HASH_BYTES),
    );
    if have != want {
        return Err(Finding::TileLength { file, have, want }.into());
    }
    Ok(())
}

fn split_entry(bundle: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bundle.split_first_chunk::<LENGTH_BYTES>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
