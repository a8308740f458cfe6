//! The journal as a whole: what is written, what a crash or a bad disk makes of it, what is read.

use std::fs;

use super::*;

const LABEL: &[u8] = b"log.example.org";

fn options(life: u8) -> JournalOptions {
    JournalOptions {
        salt: [life; 32],
        segment_bytes: 64 * 1024 * 1024,
        reserve_bytes: 0,
    }
}

fn open(dir: &Path, life: u8) -> Journal {
    Journal::open(dir, LABEL, options(life)).unwrap()
}

/// The frame that the tests expect at these indexes.
fn frame(first: u64, count: u64) -> Frame {
    Frame {
        first,
        entries: (first..first + count)
            .map(|index| format!("entry {index}").into_bytes())
            .collect(),
        checkpoint: format!("checkpoint {}", first + count).into_bytes(),
    }
}

fn bytes(first: u64, count: u64) -> usize {
    let mut bytes = Vec::new();
    with_ref(&frame(first, count), |frame| {
        frame.encode(&Marker::default(), &mut bytes).unwrap();
    });
    bytes.len()
}

fn with_ref<T>(frame: &Frame, use_it: impl FnOnce(&FrameRef<'_>) -> T) -> T {
    let entries: Vec<&[u8]> = frame.entries.iter().map(Vec::as_slice).collect();
    use_it(&FrameRef {
        first: frame.first,
        entries: &entries,
        checkpoint: &frame.checkpoint,
    })
}

fn append(journal: &mut Journal, first: u64, count: u64) -> Result<(), JournalError> {
    with_ref(&frame(first, count), |frame| journal.append(frame))
}

/// The frames from an index on, which are all in order.
fn frames(dir: &Path, from: u64) -> Vec<Frame> {
    let reader = Journal::open_read_only(dir).unwrap();
    reader.read(from).unwrap().map(Result::unwrap).collect()
}

/// What is read from the start, in short: `0+3` for a frame, and the reason for a damage.
fn script(dir: &Path) -> String {
    let reader = Journal::open_read_only(dir).unwrap();
    let found = reader.read(0).unwrap().map(|found| match found {
        Ok(found) => {
            let count = u64::try_from(found.entries.len()).unwrap();
            assert_eq!(found, frame(found.first, count));
            format!("{}+{count}", found.first)
        }
        Err(damage) => match damage.reason {
            DamageReason::Header => "header".to_owned(),
            DamageReason::OtherLog => "other log".to_owned(),
            DamageReason::Frame => "frame".to_owned(),
            DamageReason::Gap { expected, found } => format!("gap {expected}..{found}"),
            DamageReason::Overlap { expected, found } => format!("overlap {expected}>{found}"),
            DamageReason::Unreadable(error) => panic!("{error}"),
        },
    });
    found.collect::<Vec<String>>().join(", ")
}

/// The segments of a journal, in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths = files::list(dir).unwrap();
    paths.retain(|path| path.extension().is_some_and(|end| end == "gtj"));
    paths
}

/// A journal of one segment with the frames `0+3, 3+1, 4+2`.
fn three_frames() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    let mut journal = open(&path, 1);
    for (first, count) in [(0, 3), (3, 1), (4, 2)] {
        append(&mut journal, first, count).unwrap();
    }
    (dir, path)
}

/// Where the frames of `three_frames` begin, and where the last one ends.
fn offsets() -> [usize; 4] {
    let mut offset = usize::try_from(FRAMES_START).unwrap();
    let [one, two, three] = [bytes(0, 3), bytes(3, 1), bytes(4, 2)];
    [0, one, two, three].map(|bytes| {
        offset += bytes;
        offset
    })
}

#[test]
fn what_was_appended_is_read_from_any_index_on() {
    let (_dir, path) = three_frames();
    let all = [frame(0, 3), frame(3, 1), frame(4, 2)];
    for (from, skipped) in [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 1),
        (4, 2),
        (5, 2),
        (6, 3),
        (99, 3),
    ] {
        assert_eq!(frames(&path, from), all[skipped..], "from {from}");
    }
    let reader = Journal::open_read_only(&path).unwrap();
    assert_eq!(reader.label(), Some(LABEL));
    assert_eq!(reader.last_frame().unwrap(), Some(frame(4, 2)));
}

#[test]
fn an_empty_journal_has_no_frames_and_takes_any_first_index() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/journal");
    let mut journal = open(&path, 1);
    assert_eq!(journal.last_frame().unwrap(), None);
    assert_eq!(frames(&path, 0), []);
    assert!(journal.survey().unwrap().is_sound());
    append(&mut journal, 7, 2).unwrap();
    assert_eq!(frames(&path, 7), [frame(7, 2)]);
    assert_eq!(script(&path), "gap 0..7, 7+2");
}

#[test]
fn each_opening_writes_to_a_segment_of_its_own() {
    let (_dir, path) = three_frames();
    let first = fs::read(&segments(&path)[0]).unwrap();
    append(&mut open(&path, 2), 6, 4).unwrap();
    drop(open(&path, 3));
    append(&mut open(&path, 4), 10, 1).unwrap();

    assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+4, 10+1");
    assert_eq!(segments(&path).len(), 3);
    assert_eq!(fs::read(&segments(&path)[0]).unwrap(), first);
    assert_eq!(frames(&path, 9), [frame(6, 4), frame(10, 1)]);
}

#[test]
fn a_full_segment_is_followed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(
        dir.path(),
        LABEL,
        JournalOptions {
            segment_bytes: FRAMES_START + 250,
            ..options(1)
        },
    )
    .unwrap();
    for first in 0..20 {
        append(&mut journal, first, 1).unwrap();
        assert_eq!(journal.last_frame().unwrap(), Some(frame(first, 1)));
    }
    let survey = journal.survey().unwrap();
    assert!(survey.is_sound());
    let ranges: Vec<(u64, u64, u64)> = survey
        .segments
        .iter()
        .map(|state| (state.first, state.next, state.frames))
        .collect();
    assert_eq!(&ranges[..2], [(0, 3, 3), (3, 6, 3)]);
    for from in 0..20 {
        assert_eq!(
            frames(dir.path(), from).len(),
            usize::try_from(20 - from).unwrap()
        );
    }
}

#[test]
fn a_frame_that_does_not_follow_is_refused_and_the_next_right_one_taken() {
    let (_dir, path) = three_frames();
    let mut journal = open(&path, 2);
    for (first, count) in [(5, 1), (7, 1), (0, 1), (4, 2)] {
        let error = append(&mut journal, first, count).unwrap_err();
        assert!(matches!(error, JournalError::NotNext { expected: 6, got } if got == first));
    }
    let error = append(&mut journal, 6, 0).unwrap_err();
    assert!(matches!(error, JournalError::FrameEmpty));
    let too_long = vec![0; FRAME_BYTES_MAX];
    let too_long = FrameRef {
        first: 6,
        entries: &[&too_long],
        checkpoint: b"",
    };
    let error = journal.append(&too_long).unwrap_err();
    assert!(matches!(error, JournalError::FrameTooLong { bytes } if FRAME_BYTES_MAX < bytes));
    append(&mut journal, 6, 1).unwrap();
    assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+1");
}

#[test]
fn a_second_writer_is_refused_and_a_reader_is_not() {
    let (_dir, path) = three_frames();
    let writer = open(&path, 2);
    let error = Journal::open(&path, LABEL, options(3)).unwrap_err();
    assert!(matches!(error, JournalError::Locked { path: is } if is == path));
    assert_eq!(frames(&path, 0).len(), 3);
    drop(writer);
    drop(open(&path, 3));
}

#[test]
fn a_journal_of_another_log_is_not_opened() {
    let (_dir, path) = three_frames();
    let error = Journal::open(&path, b"log.example.com", options(2)).unwrap_err();
    let JournalError::Damaged(damage) = error else {
        panic!("{error}");
    };
    assert!(matches!(damage.reason, DamageReason::OtherLog));
}

#[test]
fn wherever_the_file_is_cut_the_whole_frames_before_are_read_and_writing_goes_on_after_them() {
    let (_dir, path) = three_frames();
    let segment = segments(&path).remove(0);
    let whole = fs::read(&segment).unwrap();
    let offsets = offsets();
    let all = [(0, 3), (3, 1), (4, 2)].map(|(first, count)| frame(first, count));

    for length in offsets[0]..=whole.len() {
        fs::write(&segment, &whole[..length]).unwrap();
        let kept = offsets[1..].iter().filter(|end| **end <= length).count();
        let reader = Journal::open_read_only(&path).unwrap();
        let mut read = reader.read(0).unwrap();
        let found: Vec<Frame> = read.by_ref().map(Result::unwrap).collect();
        assert_eq!(found, all[..kept], "{length} bytes");
        assert_eq!(reader.last_frame().unwrap(), found.last().cloned());

        let torn = length - offsets[kept];
        let tail = (0 < torn).then(|| TornTail {
            path: segment.clone(),
            offset: u64::try_from(offsets[kept]).unwrap(),
            bytes: u64::try_from(torn).unwrap(),
        });
        assert_eq!(read.tail(), tail.as_ref(), "{length} bytes");
        let survey = reader.survey().unwrap();
        assert!(survey.is_sound());
        assert_eq!(survey.torn_tail, tail);

        let mut journal = open(&path, 2);
        let next = found.last().map_or(0, Frame::next);
        append(&mut journal, next, 5).unwrap();
        assert_eq!(frames(&path, next), [frame(next, 5)], "{length} bytes");
        assert!(journal.survey().unwrap().is_sound());
        assert_eq!(journal.survey().unwrap().torn_tail, None);
        assert_eq!(fs::read(&segment).unwrap(), whole[..length]);
        fs::remove_file(segments(&path).remove(1)).unwrap();
    }
}

#[test]
fn a_segment_cut_inside_of_its_header_is_damaged() {
    let (_dir, path) = three_frames();
    let segment = segments(&path).remove(0);
    let whole = fs::read(&segment).unwrap();
    for length in 0..offsets()[0] {
        fs::write(&segment, &whole[..length]).unwrap();
        assert_eq!(script(&path), "header", "{length} bytes");
        let error = Journal::open(&path, LABEL, options(2)).unwrap_err();
        assert!(matches!(error, JournalError::Damaged(_)));
    }
}

#[test]
fn whichever_byte_is_flipped_it_is_noticed_and_the_other_frames_are_read() {
    let (_dir, path) = three_frames();
    let segment = segments(&path).remove(0);
    let whole = fs::read(&segment).unwrap();
    let offsets = offsets();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x04;
        fs::write(&segment, &flipped).unwrap();
        let expected = match offsets.iter().filter(|offset| **offset <= at).count() {
            0 => "header, 0+3, 3+1, 4+2",
            1 => "frame, 3+1, 4+2",
            2 => "0+3, frame, 4+2",
            // The end: only the other copy can tell whether a crash did it.
            _ => "0+3, 3+1",
        };
        assert_eq!(script(&path), expected, "byte {at}");
        let survey = Journal::open_read_only(&path).unwrap().survey().unwrap();
        assert_eq!(survey.is_sound(), offsets[2] <= at, "byte {at}");
        assert_eq!(survey.torn_tail.is_some(), offsets[2] <= at, "byte {at}");
    }
}

#[test]
fn a_flipped_byte_at_the_end_of_a_segment_is_damage_once_others_follow() {
    let (_dir, path) = three_frames();
    append(&mut open(&path, 2), 6, 1).unwrap();
    let segment = segments(&path).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&segment, &bytes).unwrap();
    assert_eq!(script(&path), "0+3, 3+1, frame, 6+1");
}

#[test]
fn a_missing_segment_is_a_gap_and_a_copied_one_is_damage() {
    let (_dir, path) = three_frames();
    append(&mut open(&path, 2), 6, 1).unwrap();
    append(&mut open(&path, 3), 7, 1).unwrap();
    let [first, second, third] = segments(&path).try_into().unwrap();

    fs::copy(&third, path.join("00000000000000000009.gtj")).unwrap();
    assert_eq!(
        script(&path),
        "0+3, 3+1, 4+2, 6+1, 7+1, header, overlap 8>7"
    );
    fs::remove_file(path.join("00000000000000000009.gtj")).unwrap();

    fs::remove_file(&second).unwrap();
    assert_eq!(script(&path), "0+3, 3+1, 4+2, gap 6..7, 7+1");
    fs::remove_file(&first).unwrap();
    assert_eq!(script(&path), "gap 0..7, 7+1");
}

#[test]
fn the_last_frame_can_be_written_again_and_counts_once_its_copy_is_whole() {
    let (_dir, path) = three_frames();
    let mut journal = open(&path, 2);
    for wrong in [0, 3, 5, 7] {
        let error = journal.start_segment(wrong).unwrap_err();
        assert!(matches!(error, JournalError::NotNext { expected: 6, got } if got == wrong));
    }
    journal.start_segment(4).unwrap();
    let error = append(&mut journal, 4, 1).unwrap_err();
    assert!(matches!(error, JournalError::Shorter { have: 6, got: 5 }));
    let error = append(&mut journal, 6, 1).unwrap_err();
    assert!(matches!(
        error,
        JournalError::NotNext {
            expected: 4,
            got: 6
        }
    ));
    append(&mut journal, 4, 2).unwrap();
    append(&mut journal, 6, 1).unwrap();
    drop(journal);

    assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+1");
    let second = segments(&path).remove(1);
    let whole = fs::read(&second).unwrap();
    let frame_bytes = bytes(4, 2);

    // A crash while the copy is written: the first writing counts.
    for length in offsets()[0]..offsets()[0] + frame_bytes {
        fs::write(&second, &whole[..length]).unwrap();
        assert_eq!(script(&path), "0+3, 3+1, 4+2", "{length} bytes");
    }
    // The disk never had the first writing: the copy counts.
    fs::write(&second, &whole).unwrap();
    let first = segments(&path).remove(0);
    let mut bytes = fs::read(&first).unwrap();
    bytes[offsets()[2]..].fill(0);
    fs::write(&first, &bytes).unwrap();
    assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+1");
}

#[test]
fn a_frame_that_is_alone_in_its_segment_can_be_written_again_and_again() {
    let (_dir, path) = three_frames();
    for life in 2..6 {
        let mut journal = open(&path, life);
        if 2 < life {
            journal.start_segment(6).unwrap();
        }
        append(&mut journal, 6, 2).unwrap();
        drop(journal);
        assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+2");
        assert_eq!(frames(&path, 7), [frame(6, 2)]);
    }
    append(&mut open(&path, 6), 8, 1).unwrap();
    assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+2, 8+1");
    assert_eq!(
        segments(&path)[2..5]
            .iter()
            .map(|path| path.file_name().unwrap())
            .collect::<Vec<_>>(),
        [
            "00000000000000000006_2.gtj",
            "00000000000000000006_3.gtj",
            "00000000000000000006_4.gtj"
        ]
    );
}

#[test]
fn an_entry_that_looks_like_a_frame_is_not_taken_for_one_when_the_frame_around_it_is_torn() {
    // The attacker knows everything but the salt, and so not the marker.
    let (_dir, path) = three_frames();
    let mut forged = Vec::new();
    with_ref(&frame(6, 1), |frame| frame.encode(&[7; 16], &mut forged)).unwrap();
    let mut journal = open(&path, 2);
    let frame = FrameRef {
        first: 6,
        entries: &[&forged],
        checkpoint: b"",
    };
    journal.append(&frame).unwrap();
    drop(journal);

    let segment = segments(&path).remove(1);
    let bytes = fs::read(&segment).unwrap();
    let end = bytes
        .windows(forged.len())
        .position(|window| window == forged)
        .unwrap();
    fs::write(&segment, &bytes[..end + forged.len()]).unwrap();
    assert_eq!(script(&path), "0+3, 3+1, 4+2");
    let survey = Journal::open_read_only(&path).unwrap().survey().unwrap();
    assert!(survey.is_sound());
    assert!(survey.torn_tail.is_some());
}

#[test]
fn below_the_reserve_nothing_is_written_and_above_it_it_goes_on() {
    let (_dir, path) = three_frames();
    let mut journal = open(&path, 2);
    journal.options.reserve_bytes = u64::MAX;
    let error = append(&mut journal, 6, 1).unwrap_err();
    assert!(matches!(
        error,
        JournalError::Full {
            reserve_bytes: u64::MAX,
            ..
        }
    ));
    assert!(journal.failure().is_none());
    journal.options.reserve_bytes = 0;
    append(&mut journal, 6, 1).unwrap();
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let (_dir, path) = three_frames();
    let mut journal = open(&path, 2);
    append(&mut journal, 6, 1).unwrap();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    journal.active.as_mut().unwrap().file = full;

    for _ in 0..2 {
        let error = append(&mut journal, 7, 1).unwrap_err();
        assert!(matches!(error, JournalError::Failed { .. }), "{error:?}");
    }
    assert!(matches!(
        journal.start_segment(7),
        Err(JournalError::Failed { .. })
    ));
    assert!(journal.failure().is_some());
    drop(journal);
    append(&mut open(&path, 3), 7, 1).unwrap();
    assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+1, 7+1");
}

#[test]
fn after_a_failed_sync_nothing_more_is_written() {
    let (_dir, path) = three_frames();
    let mut journal = open(&path, 2);
    append(&mut journal, 6, 1).unwrap();
    // It takes the bytes, and cannot be synced.
    let unsyncable = OpenOptions::new().write(true).open("/dev/null").unwrap();
    journal.active.as_mut().unwrap().file = unsyncable;

    for _ in 0..2 {
        let error = append(&mut journal, 7, 1).unwrap_err();
        assert!(matches!(error, JournalError::Failed { .. }), "{error:?}");
    }
    drop(journal);
    assert_eq!(script(&path), "0+3, 3+1, 4+2, 6+1");
}

fn rewrite_of_two(path: &Path, life: u8) -> Rewrite {
    let mut rewrite = Journal::rewrite(path, LABEL, options(life)).unwrap();
    for (first, count) in [(0, 4), (4, 4)] {
        with_ref(&frame(first, count), |frame| rewrite.append(frame)).unwrap();
    }
    rewrite
}

#[test]
fn a_rewritten_journal_takes_the_place_of_the_old_one_which_is_kept() {
    let (dir, path) = three_frames();
    rewrite_of_two(&path, 2).put_in_place().unwrap();
    rewrite_of_two(&path, 3).put_in_place().unwrap();
    assert_eq!(script(&path), "0+4, 4+4");
    append(&mut open(&path, 4), 8, 1).unwrap();
    assert_eq!(
        script(&dir.path().join("journal.damaged.1")),
        "0+3, 3+1, 4+2"
    );
    assert_eq!(script(&dir.path().join("journal.damaged.2")), "0+4, 4+4");
    assert_eq!(files::list(dir.path()).unwrap().len(), 3);
}

#[test]
fn a_lost_journal_is_written_anew() {
    let (_dir, path) = three_frames();
    fs::remove_dir_all(&path).unwrap();
    rewrite_of_two(&path, 2).put_in_place().unwrap();
    assert_eq!(script(&path), "0+4, 4+4");
}

#[test]
fn a_crash_while_rewriting_leaves_the_old_journal_or_the_new_one_in_place() {
    // Before it was complete.
    let (dir, path) = three_frames();
    drop(rewrite_of_two(&path, 2));
    drop(open(&path, 3));
    assert_eq!(script(&path), "0+3, 3+1, 4+2");

    // Complete, and the old one still in place.
    fs::rename(
        dir.path().join("journal.rewriting"),
        dir.path().join("journal.rewritten"),
    )
    .unwrap();
    drop(open(&path, 3));
    assert_eq!(script(&path), "0+3, 3+1, 4+2");
    assert!(!dir.path().join("journal.rewritten").exists());

    // Complete, and the old one moved away.
    drop(rewrite_of_two(&path, 4));
    fs::rename(
        dir.path().join("journal.rewriting"),
        dir.path().join("journal.rewritten"),
    )
    .unwrap();
    fs::rename(&path, dir.path().join("journal.damaged.1")).unwrap();
    drop(open(&path, 5));
    assert_eq!(script(&path), "0+4, 4+4");
}

#[test]
fn a_journal_behind_a_link_is_rewritten_where_it_is() {
    let (dir, path) = three_frames();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("journal", &link).unwrap();
    rewrite_of_two(&link, 2).put_in_place().unwrap();
    assert_eq!(script(&link), "0+4, 4+4");
    assert_eq!(script(&path), "0+4, 4+4");
    assert!(link.is_symlink());

    // A crash between the two renames.
    fs::rename(&path, dir.path().join("journal.rewritten")).unwrap();
    append(&mut open(&link, 3), 8, 1).unwrap();
    assert_eq!(script(&path), "0+4, 4+4, 8+1");
}

#[test]
fn a_journal_in_use_is_not_rewritten() {
    let (_dir, path) = three_frames();
    let _writer = open(&path, 2);
    let error = Journal::rewrite(&path, LABEL, options(3)).unwrap_err();
    assert!(matches!(error, JournalError::Locked { .. }));
}
