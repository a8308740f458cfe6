//! The high-water mark: the last checkpoint that was signed, kept outside of the data directory, so
//! that a directory restored from an old copy is recognised.
//!
//! It is written in place with every commit and not synced each time, so it costs a copy into the page
//! cache: it survives kill -9, and loss of power up to the last `sync`. A mark that is behind the
//! log is harmless; a log that is behind its mark is what we look for.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::files::{self, FileError};

/// Two slots of this size, written in turn: while one is torn, the other is whole. One page each, so
/// that neither shares a page with the other.
const SLOT_BYTES: usize = 4096;
const MAGIC: &[u8; 8] = b"gthwm\0\0\x01";
/// Magic, counter, length.
const PREFIX_BYTES: usize = 8 + 8 + 4;
const DIGEST_BYTES: usize = 32;

/// A small file that remembers the newest of the texts written to it.
///
/// A slot is magic (8), counter (8, big-endian), length (4, big-endian), text, zeros, and in its last
/// 32 bytes the SHA-256 of all before them. The valid slot with the higher counter counts.
#[derive(Debug)]
pub struct HighWater {
    file: File,
    path: PathBuf,
    counter: u64,
}

/// Why the mark could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HighWaterError {
    /// Neither slot is valid, and they are not empty: somebody else wrote here, or the disk lost both.
    #[error("the high-water mark in {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The text does not fit.
    #[error("a text of {bytes} bytes is longer than {}", HighWater::TEXT_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl HighWater {
    /// The longest text: 4,096 bytes less the prefix and the checksum.
    pub const TEXT_BYTES_MAX: usize = SLOT_BYTES - PREFIX_BYTES - DIGEST_BYTES;

    /// Creates an empty mark, durably, where there is no file yet.
    pub fn create(path: &Path) -> Result<HighWater, HighWaterError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(FileError::of("create", path))?;
        file.write_all_at(&[0; 2 * SLOT_BYTES], 0)
            .and_then(|()| file.sync_all())
            .map_err(FileError::of("write", path))?;
        files::sync_dir(files::parent(path))?;
        Ok(HighWater {
            file,
            path: path.to_path_buf(),
            counter: 0,
        })
    }

    /// Opens the mark in an existing file.
    pub fn open(path: &Path) -> Result<HighWater, HighWaterError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(FileError::of("open", path))?;
        let mut mark = HighWater {
            file,
            path: path.to_path_buf(),
            counter: 0,
        };
        mark.counter = mark.newest()?.map_or(0, |slot| slot.counter);
        Ok(mark)
    }

    /// The newest text, or `None` if none was ever written.
    pub fn read(&self) -> Result<Option<Vec<u8>>, HighWaterError> {
        Ok(self.newest()?.map(|slot| slot.text))
    }

    /// Writes a text over the older of the two slots. It survives the end of the process from here on.
    pub fn write(&mut self, text: &[u8]) -> Result<(), HighWaterError> {
        if Self::TEXT_BYTES_MAX < text.len() {
            return Err(HighWaterError::TooLong { bytes: text.len() });
        }
        let counter = self.counter.saturating_add(1);
        let slot = Slot {
            counter,
            text: text.to_vec(),
        };
        let offset = if counter.is_multiple_of(2) {
            0
        } else {
            SLOT_BYTES as u64
        };
        self.file
            .write_all_at(&slot.encode(), offset)
            .map_err(FileError::of("write", &self.path))?;
        self.counter = counter;
        Ok(())
    }

    /// Makes the newest text durable.
    pub fn sync(&self) -> Result<(), HighWaterError> {
        self.file
            .sync_data()
            .map_err(FileError::of("sync", &self.path))?;
        Ok(())
    }

    fn newest(&self) -> Result<Option<Slot>, HighWaterError> {
        let mut bytes = [0; 2 * SLOT_BYTES];
        match self.file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged());
            }
            other => other.map_err(FileError::of("read", &self.path))?,
        }
        let (even, odd) = bytes.split_at(SLOT_BYTES);
        let newest = [even, odd]
            .into_iter()
            .filter_map(Slot::decode)
            .max_by_key(|slot| slot.counter);

        // After the first write one slot is still empty; a torn one beside it is not.
        if newest.is_none() && bytes != [0; 2 * SLOT_BYTES] {
            return Err(self.damaged());
        }
        Ok(newest)
    }

    fn damaged(&self) -> HighWaterError {
        HighWaterError::Damaged {
            path: self.path.clone(),
        }
    }
}

struct Slot {
    counter: u64,
    text: Vec<u8>,
}

impl Slot {
    fn encode(&self) -> Vec<u8> {
        #[expect(
            clippy::expect_used,
            reason = "a text is shorter than a slot of 4,096 bytes"
        )]
        let length = u32::try_from(self.text.len()).expect("a text fits its slot");
        let mut bytes = Vec::with_capacity(SLOT_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.counter.to_be_bytes());
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&self.text);
        bytes.resize(SLOT_BYTES - DIGEST_BYTES, 0);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Slot> {
        let (body, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
        if Sha256::digest(body)[..] != digest[..] {
            return None;
        }
        let (counter, rest) = body.strip_prefix(MAGIC)?.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        Some(Slot {
            counter: u64::from_be_bytes(*counter),
            text: rest.get(..length)?.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn written(texts: &[&[u8]]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("high-water");
        let mut mark = HighWater::create(&path).unwrap();
        for text in texts {
            mark.write(text).unwrap();
        }
        mark.sync().unwrap();
        (dir, path)
    }

    #[test]
    fn the_newest_text_is_read_back_after_any_number_of_writes() {
        let texts: Vec<Vec<u8>> = (0..7_u8).map(|n| vec![n; usize::from(n) * 500]).collect();
        for count in 0..=texts.len() {
            let given: Vec<&[u8]> = texts[..count].iter().map(Vec::as_slice).collect();
            let (_dir, path) = written(&given);
            let mut mark = HighWater::open(&path).unwrap();
            assert_eq!(mark.read().unwrap().as_deref(), given.last().copied());
            mark.write(b"after reopening").unwrap();
            assert_eq!(mark.read().unwrap().unwrap(), b"after reopening");
        }
    }

    #[test]
    fn a_slot_is_refused_at_every_truncation_and_with_every_flipped_byte() {
        let slot = Slot {
            counter: 7,
            text: b"a checkpoint".to_vec(),
        };
        let whole = slot.encode();
        assert_eq!(whole.len(), SLOT_BYTES);
        assert_eq!(Slot::decode(&whole).unwrap().text, slot.text);
        for at in 0..whole.len() {
            assert!(Slot::decode(&whole[..at]).is_none(), "{at} bytes");
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            assert!(Slot::decode(&flipped).is_none(), "byte {at}");
        }
    }

    #[test]
    fn with_a_damaged_slot_the_other_text_is_read() {
        let (_dir, path) = written(&[b"older", b"newer"]);
        let whole = fs::read(&path).unwrap();
        // The second write went to the slot in front.
        for (at, expected) in [
            (0, &b"older"[..]),
            (SLOT_BYTES - 1, b"older"),
            (SLOT_BYTES, b"newer"),
            (2 * SLOT_BYTES - 1, b"newer"),
        ] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            let mut mark = HighWater::open(&path).unwrap();
            assert_eq!(mark.read().unwrap().unwrap(), expected, "byte {at}");
            mark.write(b"newest").unwrap();
            assert_eq!(mark.read().unwrap().unwrap(), b"newest");
        }
    }

    #[test]
    fn a_file_with_no_valid_slot_is_damaged_and_not_empty() {
        let (_dir, path) = written(&[b"only"]);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[SLOT_BYTES + 9] ^= 1;
        for bytes in [&flipped[..], &[], &whole[..whole.len() - 1]] {
            fs::write(&path, bytes).unwrap();
            let error = HighWater::open(&path).unwrap_err();
            assert!(matches!(error, HighWaterError::Damaged { .. }));
        }
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused_and_the_last_one_stays() {
        let (_dir, path) = written(&[b"stays"]);
        let mut mark = HighWater::open(&path).unwrap();
        let error = mark.write(&[0; HighWater::TEXT_BYTES_MAX + 1]).unwrap_err();
        assert!(matches!(error, HighWaterError::TooLong { bytes } if bytes == 4045));
        assert_eq!(mark.read().unwrap().unwrap(), b"stays");
        mark.write(&[1; HighWater::TEXT_BYTES_MAX]).unwrap();
        assert_eq!(
            mark.read().unwrap().unwrap(),
            [1; HighWater::TEXT_BYTES_MAX]
        );
    }

    #[test]
    fn an_existing_file_is_not_created_again_and_an_absent_one_not_opened() {
        let (dir, path) = written(&[]);
        HighWater::create(&path).unwrap_err();
        HighWater::open(&dir.path().join("absent")).unwrap_err();
    }
}
