//! Where bytes are kept: the seam that every engine implements, its engines (sled, memory) and the
//! journal beside them.
//!
//! The room knows keys, values, one head and frames of opaque bytes. It deliberately does not know
//! entries, trees, signatures, records or clocks: what the bytes mean is the ledger's business.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

pub mod files;
pub mod high_water;
pub mod journal;
pub mod lock;
pub mod memory;
mod open_sled;
pub mod sled_store;
pub mod sync_range;

#[cfg(test)]
mod conformance;

pub use files::FileError;
pub use high_water::{HighWater, HighWaterError};
pub use lock::{DirectoryLock, LockError};
pub use memory::MemoryStore;
pub use sled_store::{SledOptions, SledStore};

/// An ordered space of byte keys and values with one conditional, fenced and durable commit.
///
/// **One writer, many readers.** [`fence`](Store::fence) makes the caller the only writer. `commit`,
/// `trail` and `sync` are the writer's, from whichever of its threads: an engine takes one at a time, and
/// another call waits. The reads may be called by anybody at any moment, also while a commit is under way.
///
/// **What a commit promises.** On `Ok` all of its writes and the next head are durable: they survive
/// kill -9 and loss of power. On any error but [`CommitError::Unknown`] none of them was kept. After
/// `Unknown` nobody can tell: fence again and compare the head (an engine that cannot go on answers
/// [`StoreError::Failed`] to the fence, and has to be opened anew). Never repeat a commit blindly.
/// The head is written last, and its checkpoint with it: whoever finds a head finds everything that was
/// committed under it.
///
/// **The head makes a commit one.** Its writes are made in order, and then the head. A crash in between leaves the
/// first so many of them, of which no head speaks; so a commit writes where the head before it has nothing, and who
/// opens, or fences after `Unknown`, removes what it would otherwise read beyond the head.
///
/// **Trailing writes** are for what derives from committed data and can be derived again. They become
/// durable with the next `commit` or `sync`, in the order in which they were given and never later
/// than a commit that follows them. A crash keeps the first so many of them.
///
/// **What a read may see.** A value is whole or absent. But a commit under way may be seen before it
/// is durable, and in part; and a scan is not a snapshot. A reader who must not see that bounds its
/// reads by a size which the ledger has published.
///
/// **Keys** are 1 to [`Limits::key_bytes_max`] bytes, and do not begin with 0xff: that corner is the
/// engine's own, and holds the head. Writes of one call are applied in order: of two to the same
/// key the later one stays.
pub trait Store: Send + Sync + 'static {
    /// Becomes the only writer: adds one to the epoch, durably, and answers the head as it is now.
    /// Whoever commits with an earlier epoch is answered [`CommitError::Fenced`] from here on.
    fn fence(&self) -> Result<Head, StoreError>;

    /// Makes the writes, and moves the head from `expect` to `next`, with this checkpoint; durable on `Ok`.
    ///
    /// `next` keeps the epoch of `expect`, and is not smaller. The checkpoint is opaque here, and at most as long as a
    /// value without a head.
    fn commit(
        &self,
        expect: &Head,
        next: &Head,
        checkpoint: &[u8],
        writes: &[Write],
    ) -> Result<(), CommitError>;

    /// The checkpoint that the head was committed with; empty, where there was none.
    fn checkpoint(&self) -> Result<Vec<u8>, StoreError>;

    /// Writes derived data: ordered before the next commit, durable with it. What survives until then is the first
    /// so many of the writes, of this call and of those before.
    fn trail(&self, writes: &[Write]) -> Result<(), StoreError>;

    /// Makes every trailing write durable now.
    fn sync(&self) -> Result<(), StoreError>;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of several keys, in the order of the keys.
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Up to `limit` keys of the range with their values, from its start or from its end.
    fn scan(
        &self,
        range: &KeyRange,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError>;

    /// The sizes that the engine takes.
    fn limits(&self) -> Limits;

    /// How the engine is.
    fn health(&self) -> Health;
}

/// What the store has committed to: the one value that every commit is conditional on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// How many times a writer has fenced the store.
    pub epoch: u64,
    /// The ledger's tree size.
    pub size: u64,
    /// The ledger's chain hash at that size; opaque here.
    pub chain: [u8; 32],
}

impl Head {
    /// The head of a store that nobody has written to.
    pub const NEW: Head = Head {
        epoch: 0,
        size: 0,
        chain: [0; 32],
    };

    /// Epoch, size (big-endian) and chain: 8 + 8 + 32.
    pub const BYTES: usize = 48;

    /// The fixed-size encoding.
    pub fn encode(&self) -> [u8; Head::BYTES] {
        let mut bytes = [0; Head::BYTES];
        bytes[..8].copy_from_slice(&self.epoch.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.size.to_be_bytes());
        bytes[16..].copy_from_slice(&self.chain);
        bytes
    }

    /// The head that these bytes encode, if they have the right length.
    pub fn decode(bytes: &[u8]) -> Option<Head> {
        let (epoch, rest) = bytes.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        Some(Head {
            epoch: u64::from_be_bytes(*epoch),
            size: u64::from_be_bytes(*size),
            chain: rest.try_into().ok()?,
        })
    }
}

/// One write of a commit or of a trailing call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets a key.
    Put {
        /// The key.
        key: Vec<u8>,
        /// Its value from now on.
        value: Vec<u8>,
    },
    /// Removes a key. For derived keyspaces, whose content can be had again, and for what a crash
    /// has left beyond the head; never for what a head has covered.
    Remove {
        /// The key.
        key: Vec<u8>,
    },
}

impl Write {
    /// The key that is written.
    pub fn key(&self) -> &[u8] {
        match self {
            Write::Put { key, value: _ } | Write::Remove { key } => key,
        }
    }

    /// The value that the key has afterwards.
    pub fn value(&self) -> Option<&[u8]> {
        match self {
            Write::Put { key: _, value } => Some(value),
            Write::Remove { key: _ } => None,
        }
    }
}

/// Writes to ascending keys, every second one first, then those between: where all ascend, sled takes 4 to 6 % more disk,
/// as measured.
pub(crate) fn every_second_first(writes: Vec<Write>) -> Vec<Write> {
    let mut first = Vec::with_capacity(writes.len());
    let mut between = Vec::with_capacity(writes.len() / 2);
    for (position, write) in writes.into_iter().enumerate() {
        let order = match position % 2 {
            0 => &mut first,
            _ => &mut between,
        };
        order.push(write);
    }
    first.append(&mut between);
    first
}

/// A range of keys: `start` is in it, `end` is not. Empty if `end` is not after `start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key of the range.
    pub start: Vec<u8>,
    /// The first key after it.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// The keys from `start` up to, but not including, `end`.
    pub fn new(start: impl Into<Vec<u8>>, end: impl Into<Vec<u8>>) -> KeyRange {
        KeyRange {
            start: start.into(),
            end: end.into(),
        }
    }

    /// The keys that begin with `prefix`; all keys, if it is empty.
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> KeyRange {
        let start = prefix.into();
        let mut end = start.clone();

        // The next prefix of any length: 61 62 ff -> 61 63. No key begins with ff, so that what
        // consists of nothing else, or of nothing at all, ends where the engine's corner begins.
        while end.last() == Some(&u8::MAX) {
            end.pop();
        }
        match end.last_mut() {
            Some(last) => *last += 1,
            None => end.push(RESERVED),
        }
        KeyRange { start, end }
    }

    /// The range without the engine's own corner; `None` if nothing is left.
    fn clamped(&self) -> Option<(&[u8], &[u8])> {
        let end = self.end.as_slice().min(&[RESERVED]);
        (self.start.as_slice() < end).then_some((&self.start, end))
    }
}

/// Keys that begin with this byte are the engine's own.
const RESERVED: u8 = 0xff;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// From which end a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the start of the range, in ascending order.
    Forward,
    /// From the end of the range, in descending order.
    Backward,
}

/// The sizes that an engine takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_field_names,
    reason = "each is a maximum, and says so where it is used"
)]
pub struct Limits {
    /// The longest key.
    pub key_bytes_max: usize,
    /// The longest value.
    pub value_bytes_max: usize,
    /// Keys and values of one commit, together.
    pub commit_bytes_max: usize,
}

/// How an engine is.
#[derive(Debug, Clone)]
pub struct Health {
    /// Bytes free on the volume, where there is one and it can be asked.
    pub free_bytes: Option<u64>,
    /// The failure that has stopped all writing, if there was one. It stays until the store is
    /// opened anew.
    pub failure: Option<Cause>,
    /// Whether it was shown in this process that what the engine calls durable is so. If not, the
    /// content cannot be trusted after an unclean stop, and is rebuilt from the journal.
    pub sync_proved: bool,
}

/// Why something failed, kept as long as anybody may ask.
pub type Cause = Arc<dyn Error + Send + Sync>;

/// What kept the store from doing what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has the directory open.
    #[error("{} is in use by another process", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// Too little space to write, or even to open: opening on a full disk does damage.
    #[error("only {free_bytes} bytes are free, and {reserve_bytes} are kept in reserve")]
    Full {
        /// Bytes free on the volume.
        free_bytes: u64,
        /// Bytes that have to stay free.
        reserve_bytes: u64,
    },
    /// The directory holds something that the engine cannot open. Set it aside, and rebuild.
    #[error("the store in {} cannot be opened", path.display())]
    Unopenable {
        /// The directory.
        path: PathBuf,
        /// What the engine said.
        #[source]
        cause: Cause,
    },
    /// The writes are outside of what the store takes. Nothing was written.
    #[error("the write is outside of what the store takes")]
    Refused(#[from] WriteRefused),
    /// The engine has failed, now or before. It accepts no more writes until it is opened anew.
    #[error("the store has failed")]
    Failed {
        /// The failure, or the first of them.
        #[source]
        cause: Cause,
    },
    /// A file or directory could not be prepared.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<LockError> for StoreError {
    fn from(error: LockError) -> StoreError {
        match error {
            LockError::Held { path } => StoreError::Locked { path },
            LockError::File(error) => StoreError::File(error),
        }
    }
}

/// Why a commit was not made; or, for one variant only, may have been.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The head is not the expected one, though the epoch is.
    #[error("the head is not the expected one: its size is {}", have.size)]
    Conflict {
        /// The head as it is.
        have: Head,
    },
    /// Another writer has taken over.
    #[error("another writer has fenced the store: its epoch is {have}, ours is {ours}")]
    Fenced {
        /// The epoch of the store.
        have: u64,
        /// The epoch of the commit.
        ours: u64,
    },
    /// The commit may be kept, and may not be. Fence and compare; never repeat it blindly.
    #[error("it is not known whether the commit was kept")]
    Unknown {
        /// What went wrong.
        #[source]
        cause: Cause,
    },
    /// Too little space. Nothing was written; the store goes on when there is space again.
    #[error("only {free_bytes} bytes are free, and {reserve_bytes} are kept in reserve")]
    Full {
        /// Bytes free on the volume.
        free_bytes: u64,
        /// Bytes that have to stay free.
        reserve_bytes: u64,
    },
    /// The store had failed before this commit, which was not tried.
    #[error("the store has failed")]
    Failed {
        /// The first failure.
        #[source]
        cause: Cause,
    },
    /// The writes are outside of what the store takes. Nothing was written.
    #[error("the commit is outside of what the store takes")]
    Refused(#[from] WriteRefused),
}

/// What is wrong with a write, before anything was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteRefused {
    /// A key is empty.
    #[error("a key is empty")]
    KeyEmpty,
    /// A key is too long.
    #[error("a key of {bytes} bytes is longer than {bytes_max}")]
    KeyTooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        bytes_max: usize,
    },
    /// A key begins with 0xff.
    #[error("keys that begin with 0xff are the engine's own")]
    KeyReserved,
    /// A value is too long.
    #[error("a value of {bytes} bytes is longer than {bytes_max}")]
    ValueTooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        bytes_max: usize,
    },
    /// A checkpoint is too long.
    #[error("a checkpoint of {bytes} bytes is longer than {bytes_max}")]
    CheckpointTooLong {
        /// Its length.
        bytes: usize,
        /// The longest.
        bytes_max: usize,
    },
    /// All writes together are too much.
    #[error("writes of {bytes} bytes together are more than {bytes_max}")]
    TooMuch {
        /// Keys and values, together.
        bytes: usize,
        /// The most that one commit takes.
        bytes_max: usize,
    },
    /// The next head has another epoch than the expected one: only a fence changes it.
    #[error("the next head has epoch {next}, and the expected one {expect}")]
    EpochChanged {
        /// The epoch of the expected head.
        expect: u64,
        /// The epoch of the next head.
        next: u64,
    },
    /// The next head is smaller than the expected one.
    #[error("the next head has size {next}, and the expected one {expect}")]
    SizeShrinks {
        /// The size of the expected head.
        expect: u64,
        /// The size of the next head.
        next: u64,
    },
}

/// The bytes of the writes, if they are within the limits. Every engine refuses the same.
fn check_writes(writes: &[Write], limits: &Limits) -> Result<usize, WriteRefused> {
    let mut total = 0_usize;
    for write in writes {
        let key = write.key();
        let value_bytes = write.value().map_or(0, <[u8]>::len);
        if key.is_empty() {
            return Err(WriteRefused::KeyEmpty);
        }
        if key[0] == RESERVED {
            return Err(WriteRefused::KeyReserved);
        }
        if limits.key_bytes_max < key.len() {
            return Err(WriteRefused::KeyTooLong {
                bytes: key.len(),
                bytes_max: limits.key_bytes_max,
            });
        }
        if limits.value_bytes_max < value_bytes {
            return Err(WriteRefused::ValueTooLong {
                bytes: value_bytes,
                bytes_max: limits.value_bytes_max,
            });
        }
        total = total.saturating_add(key.len()).saturating_add(value_bytes);
    }
    if limits.commit_bytes_max < total {
        return Err(WriteRefused::TooMuch {
            bytes: total,
            bytes_max: limits.commit_bytes_max,
        });
    }
    Ok(total)
}

/// Whether a checkpoint may be kept with the head. Every engine refuses the same.
fn check_checkpoint(checkpoint: &[u8], limits: &Limits) -> Result<(), WriteRefused> {
    let bytes_max = limits.value_bytes_max.saturating_sub(Head::BYTES);
    match checkpoint.len() {
        bytes if bytes_max < bytes => Err(WriteRefused::CheckpointTooLong { bytes, bytes_max }),
        _ => Ok(()),
    }
}

/// Whether a commit from `expect` to `next` may be tried on a store whose head is `have`.
fn check_heads(have: &Head, expect: &Head, next: &Head) -> Result<(), CommitError> {
    if next.epoch != expect.epoch {
        let (expect, next) = (expect.epoch, next.epoch);
        return Err(WriteRefused::EpochChanged { expect, next }.into());
    }
    if next.size < expect.size {
        let (expect, next) = (expect.size, next.size);
        return Err(WriteRefused::SizeShrinks { expect, next }.into());
    }
    if expect.epoch < have.epoch {
        return Err(CommitError::Fenced {
            have: have.epoch,
            ours: expect.epoch,
        });
    }
    if expect != have {
        return Err(CommitError::Conflict { have: *have });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_decoded_from_its_own_encoding_and_from_no_other_length() {
        let head = Head {
            epoch: 3,
            size: u64::MAX,
            chain: [7; 32],
        };
        let bytes = head.encode();
        assert_eq!(Head::decode(&bytes), Some(head));
        for length in 0..bytes.len() {
            assert_eq!(Head::decode(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(Head::decode(&[bytes.as_slice(), &[0]].concat()), None);
    }

    #[test]
    fn the_range_of_a_prefix_ends_where_the_next_prefix_begins() {
        for (prefix, end) in [
            (&[][..], &[0xff][..]),
            (&[0], &[1]),
            (&[1, 0xff], &[2]),
            (&[1, 0xff, 0xff, 3], &[1, 0xff, 0xff, 4]),
            (&[0xfe, 0xff], &[0xff]),
            (&[0xff], &[0xff]),
        ] {
            assert_eq!(KeyRange::prefix(prefix), KeyRange::new(prefix, end));
        }
    }
}
