//! Reading the journal: forward from an index, its last frame, and a survey of all of it.
//!
//! **What counts.** Segments are read in the order of their names. A later one begins where it says;
//! what an earlier one has from that index on is superseded by it, because a frame whose durability
//! is in doubt is written again to a new segment. A segment without a whole frame supersedes nothing.
//!
//! **What is damage, and what is not.** Bytes that are no frame, at the end of a segment, after which
//! nothing is missing, are what a crash leaves: a torn tail. Bytes that are no frame with whole
//! frames after them, an index that is missing and an index that comes twice are damage.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::frame::Frame;
use super::segment::{FRAMES_START, Segment, SegmentName};
use super::{FileError, JournalError, files};

/// A journal that is open for reading. It holds no file and no lock: each call sees the segments as
/// they are at that moment, also while they are being written.
#[derive(Debug, Clone)]
pub struct JournalReader {
    dir: PathBuf,
    label: Option<Vec<u8>>,
}

/// A place in the journal where it is not as it was written.
#[derive(Debug, thiserror::Error)]
#[error("{} is damaged at byte {offset}", path.display())]
pub struct Damage {
    /// The segment's file.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// What is wrong there.
    #[source]
    pub reason: DamageReason,
}

/// What is wrong with a journal.
#[derive(Debug, thiserror::Error)]
pub enum DamageReason {
    /// The segment does not begin as segments do, or begins with another index than its name says.
    #[error("the segment's header is not what was written")]
    Header,
    /// The segment is of another log.
    #[error("the segment belongs to another log")]
    OtherLog,
    /// Here should be a frame.
    #[error("there is no whole frame here")]
    Frame,
    /// Entries are missing.
    #[error("the entries from {expected} up to {found} are missing")]
    Gap {
        /// The index that should have come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// Entries come twice.
    #[error("entry {expected} should have come, and {found} comes again")]
    Overlap {
        /// The index that should have come.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// The disk does not give it back.
    #[error("it cannot be read")]
    Unreadable(#[source] io::Error),
}

/// The end of a frame that a crash cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's file.
    pub path: PathBuf,
    /// Where the frame began.
    pub offset: u64,
    /// How much of it there is.
    pub bytes: u64,
}

/// What a full verification has found.
#[derive(Debug)]
pub struct Survey {
    /// Each segment, in the order in which they are read.
    pub segments: Vec<SegmentState>,
    /// What a crash has left at the end, if it has.
    pub torn_tail: Option<TornTail>,
}

impl Survey {
    /// Whether no segment is damaged.
    pub fn is_sound(&self) -> bool {
        self.segments.iter().all(|state| state.damage.is_none())
    }
}

/// What a full verification has found in one segment.
#[derive(Debug)]
pub struct SegmentState {
    /// The segment's file.
    pub path: PathBuf,
    /// The index that it begins with, by its name.
    pub first: u64,
    /// The index after its last whole frame that counts; `first` if there is none.
    pub next: u64,
    /// How many whole frames count.
    pub frames: u64,
    /// The first damage, if there is any.
    pub damage: Option<Damage>,
}

impl JournalReader {
    /// Opens the journal in `dir`. Its label is that of the first segment that has one.
    pub(super) fn open(dir: &Path) -> Result<JournalReader, JournalError> {
        let mut reader = JournalReader {
            dir: dir.to_path_buf(),
            label: None,
        };
        for name in reader.names()? {
            let segment = Segment::open(dir, name, None)
                .map_err(FileError::of("read", &reader.path(name)))?;
            if segment.damage.is_none() {
                reader.label = segment.label;
                break;
            }
        }
        Ok(reader)
    }

    /// Opens the journal in `dir` of the log with this label.
    pub(super) fn with_label(dir: &Path, label: &[u8]) -> JournalReader {
        JournalReader {
            dir: dir.to_path_buf(),
            label: Some(label.to_vec()),
        }
    }

    /// What was given as label when the journal was created; `None` if it is empty.
    pub fn label(&self) -> Option<&[u8]> {
        self.label.as_deref()
    }

    /// The last whole frame, found from the end of the newest segment.
    ///
    /// A torn tail is passed over. A segment whose header is damaged, or of another log, is an error:
    /// nobody can say what it held.
    pub fn last_frame(&self) -> Result<Option<Frame>, JournalError> {
        for name in self.names()?.into_iter().rev() {
            let damaged = |reason| Damage {
                path: self.path(name),
                offset: 0,
                reason,
            };
            let unreadable = |error| damaged(DamageReason::Unreadable(error));
            let segment = self.segment(name).map_err(unreadable)?;
            let last = segment.last_frame().map_err(unreadable)?;
            if let Some(reason) = segment.damage {
                return Err(damaged(reason).into());
            }
            if last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Reads forward, beginning with the frame that holds the index `from`.
    pub fn read(&self, from: u64) -> Result<Frames, JournalError> {
        Ok(self.frames(self.names()?, from))
    }

    fn frames(&self, names: Vec<SegmentName>, from: u64) -> Frames {
        let mut position = names.partition_point(|name| name.first <= from);

        // One that holds nothing may lie inside of the indexes of one before it.
        while 0 < position {
            position -= 1;
            if self.holds(names[position]) {
                break;
            }
        }
        let expected = names
            .get(position)
            .map_or(from, |name| name.first.min(from));
        Frames {
            reader: self.clone(),
            names,
            position,
            current: None,
            from,
            expected,
            excused: false,
            after_gap: None,
            tail: None,
        }
    }

    /// Reads and verifies everything.
    pub fn survey(&self) -> Result<Survey, JournalError> {
        let names = self.names()?;
        let mut segments: Vec<SegmentState> = names
            .iter()
            .map(|name| SegmentState {
                path: self.path(*name),
                first: name.first,
                next: name.first,
                frames: 0,
                damage: None,
            })
            .collect();
        let from = names.first().map_or(0, |name| name.first);
        let mut frames = self.frames(names, from);
        while let Some((position, found)) = frames.step() {
            let state = &mut segments[position];
            match found {
                Ok(frame) => {
                    state.next = frame.next();
                    state.frames += 1;
                }
                Err(damage) => {
                    state.damage.get_or_insert(damage);
                }
            }
        }
        Ok(Survey {
            segments,
            torn_tail: frames.tail,
        })
    }

    pub(super) fn names(&self) -> Result<Vec<SegmentName>, FileError> {
        let mut names: Vec<SegmentName> = files::list(&self.dir)?
            .iter()
            .filter_map(|path| SegmentName::parse(path))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    fn path(&self, name: SegmentName) -> PathBuf {
        self.dir.join(name.file_name())
    }

    fn segment(&self, name: SegmentName) -> io::Result<Segment> {
        Segment::open(&self.dir, name, self.label.as_deref())
    }

    /// Whether a segment has a whole frame. One that cannot be read reports that when it is read.
    fn holds(&self, name: SegmentName) -> bool {
        self.segment(name)
            .and_then(|segment| segment.has_frames())
            .unwrap_or(false)
    }
}

/// Frames in the order of their indexes, each verified, one at a time in memory.
///
/// After damage it goes on with the next whole frame: whoever needs all entries stops at the first
/// error, whoever saves what can be saved does not.
pub struct Frames {
    reader: JournalReader,
    names: Vec<SegmentName>,
    position: usize,
    current: Option<Reading>,
    from: u64,
    /// The index that comes next.
    expected: u64,
    /// Damage was reported since the last frame, so that missing indexes are no news.
    excused: bool,
    /// A frame that was found behind a gap, to come after the gap was reported.
    after_gap: Option<Frame>,
    tail: Option<TornTail>,
}

impl fmt::Debug for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frames")
            .field("dir", &self.reader.dir)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// The segment that is being read.
struct Reading {
    segment: Segment,
    offset: u64,
    /// From this index on, a later segment counts.
    until: Option<u64>,
}

impl Iterator for Frames {
    type Item = Result<Frame, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().map(|(_position, found)| found)
    }
}

impl Frames {
    /// The torn tail at the end of the journal, known when the iteration has ended.
    pub fn tail(&self) -> Option<&TornTail> {
        self.tail.as_ref()
    }

    /// The next frame or damage, with the position of its segment.
    fn step(&mut self) -> Option<(usize, Result<Frame, Damage>)> {
        loop {
            if let Some(frame) = self.after_gap.take() {
                return Some((self.position, Ok(frame)));
            }
            let name = *self.names.get(self.position)?;
            let Some(mut reading) = self.current.take() else {
                match self.begin(name) {
                    Ok(reading) => {
                        let position = self.position;
                        let reason = self.current.insert(reading).segment.damage.take();
                        match reason {
                            Some(reason) => return Some((position, self.damage(0, reason))),
                            None => continue,
                        }
                    }
                    Err(error) => {
                        let found = self.damage(0, DamageReason::Unreadable(error));
                        self.position += 1;
                        return Some((self.position - 1, found));
                    }
                }
            };
            match self.read_on(&mut reading) {
                Ok(Read::End) => self.position += 1,
                Ok(Read::Skip) => self.current = Some(reading),
                Ok(Read::Found(found)) => {
                    self.current = Some(reading);
                    return Some((self.position, found));
                }
                Err(error) => {
                    let found = self.damage(reading.offset, DamageReason::Unreadable(error));
                    self.position += 1;
                    return Some((self.position - 1, found));
                }
            }
        }
    }

    fn begin(&self, name: SegmentName) -> io::Result<Reading> {
        let later = &self.names[self.position + 1..];
        let until = later.iter().find(|later| self.reader.holds(**later));
        Ok(Reading {
            segment: self.reader.segment(name)?,
            offset: FRAMES_START,
            until: until.map(|name| name.first),
        })
    }

    fn read_on(&mut self, reading: &mut Reading) -> io::Result<Read> {
        let offset = reading.offset;
        if reading.segment.bytes() <= offset {
            return Ok(Read::End);
        }
        let Some((frame, after)) = reading.segment.frame_at(offset)? else {
            return self.read_past(reading);
        };
        if reading.until.is_some_and(|until| until <= frame.first) {
            return Ok(Read::End);
        }
        reading.offset = after;

        let (expected, found) = (self.expected, frame.first);
        if found < expected {
            return Ok(Read::Found(
                self.damage(offset, DamageReason::Overlap { expected, found }),
            ));
        }
        self.expected = frame.next();
        let wanted = self.from < frame.next();
        if expected < found && !self.excused {
            self.after_gap = wanted.then_some(frame);
            let gap = DamageReason::Gap { expected, found };
            let damage = self.damage(offset, gap);
            self.excused = false;
            return Ok(Read::Found(damage));
        }
        self.excused = false;
        Ok(if wanted {
            Read::Found(Ok(frame))
        } else {
            Read::Skip
        })
    }

    /// Here is no frame: a torn tail, or damage with something after it.
    fn read_past(&mut self, reading: &mut Reading) -> io::Result<Read> {
        let offset = reading.offset;
        let later = reading.segment.find_frame(offset)?;
        reading.offset = later.unwrap_or(reading.segment.bytes());
        let missing = match (later, reading.until) {
            (Some(_), _) => true,
            (None, Some(until)) => self.expected < until,
            (None, None) => false,
        };
        // What was reported already, as a damaged header, is not reported again.
        if self.excused {
            return Ok(match later {
                Some(_) => Read::Skip,
                None => Read::End,
            });
        }
        if missing {
            return Ok(Read::Found(self.damage(offset, DamageReason::Frame)));
        }
        if reading.until.is_none() {
            self.tail = Some(TornTail {
                path: self.reader.path(self.names[self.position]),
                offset,
                bytes: reading.segment.bytes() - offset,
            });
        }
        Ok(Read::End)
    }

    fn damage(&mut self, offset: u64, reason: DamageReason) -> Result<Frame, Damage> {
        self.excused = true;
        Err(Damage {
            path: self.reader.path(self.names[self.position]),
            offset,
            reason,
        })
    }
}

/// What came of reading on in a segment.
enum Read {
    Found(Result<Frame, Damage>),
    /// A frame that nobody has asked for.
    Skip,
    /// Nothing more of this segment counts.
    End,
}
