//! One segment of the journal, as a file: its name, and how frames are found in it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::DamageReason;
use super::frame::{self, Frame, HEADER_BYTES, Header, Marker, PREFIX_BYTES, TRAILER_BYTES};

/// Where the first frame of every segment is.
pub(super) const FRAMES_START: u64 = HEADER_BYTES as u64;
/// How much is read at a time in search of a frame.
const WINDOW_BYTES: usize = 1024 * 1024;

/// The name of a segment's file: the index of its first entry, and, when several segments begin
/// there, the how manieth it is. They sort in the order in which they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SegmentName {
    pub(super) first: u64,
    pub(super) nth: u32,
}

impl SegmentName {
    pub(super) fn file_name(self) -> String {
        let SegmentName { first, nth } = self;
        match nth {
            1 => format!("{first:020}.gtj"),
            _ => format!("{first:020}_{nth}.gtj"),
        }
    }

    /// The name of this file, if it is exactly one that we would give.
    pub(super) fn parse(path: &Path) -> Option<SegmentName> {
        let file_name = path.file_name()?.to_str()?;
        let stem = file_name.strip_suffix(".gtj")?;
        let (first, nth) = stem.split_once('_').unwrap_or((stem, "1"));
        let name = SegmentName {
            first: first.parse().ok()?,
            nth: nth.parse().ok()?,
        };
        (name.file_name() == file_name).then_some(name)
    }
}

/// A segment that is open for reading, as long as it was when it was opened.
#[derive(Debug)]
pub(super) struct Segment {
    file: File,
    bytes: u64,
    /// What its frames begin with, if that could be found out.
    marker: Option<Marker>,
    /// Which log it says it belongs to.
    pub(super) label: Option<Vec<u8>>,
    /// What is wrong with its header. Its frames may be in order nevertheless.
    pub(super) damage: Option<DamageReason>,
}

impl Segment {
    /// Opens the segment of this name. With a label, one of another log has no frames for us.
    pub(super) fn open(dir: &Path, name: SegmentName, label: Option<&[u8]>) -> io::Result<Segment> {
        let file = File::open(dir.join(name.file_name()))?;
        let bytes = file.metadata()?.len();
        let mut segment = Segment {
            file,
            bytes,
            marker: None,
            label: None,
            damage: Some(DamageReason::Header),
        };
        if bytes < FRAMES_START {
            return Ok(segment);
        }
        let mut header = [0; HEADER_BYTES];
        segment.file.read_exact_at(&mut header, 0)?;
        let Some(header) = Header::decode(&header) else {
            segment.find_marker()?;
            return Ok(segment);
        };
        let Header {
            first,
            marker,
            label: found,
        } = header;
        if label.is_some_and(|label| label != found) {
            segment.damage = Some(DamageReason::OtherLog);
        } else {
            segment.marker = Some(marker);
            segment.damage = (first != name.first).then_some(DamageReason::Header);
        }
        segment.label = Some(found);
        Ok(segment)
    }

    /// Without its header, a segment's marker can still be read off its first frame.
    fn find_marker(&mut self) -> io::Result<()> {
        if self.bytes < FRAMES_START + PREFIX_BYTES as u64 {
            return Ok(());
        }
        let mut marker = Marker::default();
        self.file.read_exact_at(&mut marker, FRAMES_START)?;
        self.marker = Some(marker);
        if self.frame_at(FRAMES_START)?.is_none() {
            self.marker = None;
        }
        Ok(())
    }

    /// Its length.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The frame at this offset and the offset after it, if every byte of it is right.
    pub(super) fn frame_at(&self, offset: u64) -> io::Result<Option<(Frame, u64)>> {
        let Some(marker) = &self.marker else {
            return Ok(None);
        };
        let left = self.bytes.saturating_sub(offset);
        if left < PREFIX_BYTES as u64 {
            return Ok(None);
        }
        let mut prefix = [0; PREFIX_BYTES];
        self.file.read_exact_at(&mut prefix, offset)?;
        let Some(bytes) = frame::frame_bytes(marker, &prefix) else {
            return Ok(None);
        };
        if left < bytes as u64 {
            return Ok(None);
        }
        let mut whole = vec![0; bytes];
        self.file.read_exact_at(&mut whole, offset)?;
        Ok(frame::decode(marker, &whole).map(|frame| (frame, offset + bytes as u64)))
    }

    /// The first offset at or after this one where a whole frame begins.
    pub(super) fn find_frame(&self, from: u64) -> io::Result<Option<u64>> {
        let Some(marker) = &self.marker else {
            return Ok(None);
        };
        let mut window = vec![0; WINDOW_BYTES];
        let mut start = from;
        while start + marker.len() as u64 <= self.bytes {
            let length = (self.bytes - start).min(WINDOW_BYTES as u64);
            let window = &mut window[..usize::try_from(length).unwrap_or(WINDOW_BYTES)];
            self.file.read_exact_at(window, start)?;
            for (at, candidate) in window.windows(marker.len()).enumerate() {
                let offset = start + at as u64;
                if candidate == marker && self.frame_at(offset)?.is_some() {
                    return Ok(Some(offset));
                }
            }
            // A marker may lie across the edge of two windows.
            start += length - (marker.len() as u64 - 1);
        }
        Ok(None)
    }

    /// The first whole frame, wherever it begins.
    pub(super) fn has_frames(&self) -> io::Result<bool> {
        Ok(self.frame_at(FRAMES_START)?.is_some() || self.find_frame(FRAMES_START)?.is_some())
    }

    /// The last whole frame: from the end at once, or by reading from the start if the end is torn.
    pub(super) fn last_frame(&self) -> io::Result<Option<Frame>> {
        if let Some(frame) = self.frame_at_end()? {
            return Ok(Some(frame));
        }
        let mut last = None;
        let mut offset = FRAMES_START;
        loop {
            if let Some((frame, after)) = self.frame_at(offset)? {
                last = Some(frame);
                offset = after;
            } else if let Some(later) = self.find_frame(offset)? {
                offset = later;
            } else {
                return Ok(last);
            }
        }
    }

    fn frame_at_end(&self) -> io::Result<Option<Frame>> {
        if self.bytes < FRAMES_START + TRAILER_BYTES as u64 {
            return Ok(None);
        }
        let mut trailer = [0; TRAILER_BYTES];
        let at = self.bytes - TRAILER_BYTES as u64;
        self.file.read_exact_at(&mut trailer, at)?;
        let Some(bytes) = frame::frame_bytes_from_end(trailer) else {
            return Ok(None);
        };
        match self.bytes.checked_sub(bytes as u64) {
            Some(start) if FRAMES_START <= start => {
                let found = self.frame_at(start)?;
                Ok(found.and_then(|(frame, end)| (end == self.bytes).then_some(frame)))
            }
            Some(_) | None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_a_segments_only_if_it_is_written_as_we_write_it() {
        for (file_name, expected) in [
            ("00000000000000000000.gtj", Some((0, 1))),
            ("18446744073709551615.gtj", Some((u64::MAX, 1))),
            ("00000000000000000100_2.gtj", Some((100, 2))),
            ("00000000000000000100_1.gtj", None),
            ("00000000000000000100_02.gtj", None),
            ("100.gtj", None),
            ("+0000000000000000100.gtj", None),
            ("18446744073709551616.gtj", None),
            ("00000000000000000100.gtj.new", None),
            ("lock", None),
        ] {
            let name = SegmentName::parse(Path::new("journal").join(file_name).as_path());
            let expected = expected.map(|(first, nth)| SegmentName { first, nth });
            assert_eq!(name, expected, "{file_name}");
        }
    }
}
