//! What a log makes of files that are not as it left them.
//!
//! Each step of [`history`] writes one frame, so the states that may be read back are those between its steps. Images
//! are taken while the log is open, as a killed process would leave them.

use super::*;
use crate::ensemble::log::inspection::inspect_log;
use crate::ensemble::log::recent::Recent;
use crate::ensemble::log::record::{HEADER_BYTES, Place, Position, read_frame};
use crate::ensemble::log::recovery::recover;
use crate::ensemble::log::segment::segment_path;
use proptest::prelude::*;
use std::fs;
use std::ops::Range;

/// What was read back.
#[derive(Clone, Debug, Default, PartialEq)]
struct Contents {
    position: Position,
    entries: Vec<Entry>,
}

fn reread(dir: &Path) -> Result<Contents, OpenError> {
    let recovered = recover(dir, &identity(), Recent::new(usize::MAX))?;
    Ok(Contents {
        entries: recovered.recent.range(0, u64::MAX, usize::MAX),
        position: recovered.position,
    })
}

async fn contents(log: &mut Log) -> Contents {
    let entries = all(log).await;
    let position = log.inner.shared.state.lock().position.clone();
    Contents { position, entries }
}

/// A directory in memory if there is one: thousands of images are read here, and none depends on the disk.
fn memory_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => data_dir(),
    }
}

/// A log's segments as bytes, number one first.
#[derive(Clone)]
struct Image(Vec<Vec<u8>>);

impl Image {
    fn of(dir: &Path) -> Image {
        let read = |name: &String| fs::read(dir.join(name)).unwrap();
        Image(segments(dir).iter().map(read).collect())
    }

    /// Reads back what a process would find.
    fn reread(&self) -> Result<Contents, OpenError> {
        let dir = self.laid_out();
        let first = reread(dir.path());
        // Whatever was cut, a second process finds the same.
        if let Ok(contents) = &first {
            assert_eq!(reread(dir.path()).unwrap(), *contents);
        }
        first
    }

    /// What a process would find that only looks: how many damages.
    fn damages(&self) -> u64 {
        let dir = self.laid_out();
        inspect_log(dir.path(), None, &mut |_| Ok(())).unwrap()
    }

    fn laid_out(&self) -> tempfile::TempDir {
        let dir = memory_dir();
        for (bytes, number) in self.0.iter().zip(1..) {
            fs::write(segment_path(dir.path(), number), bytes).unwrap();
        }
        dir
    }

    /// The last segment that was begun.
    fn last(&self) -> usize {
        let is_begun = |at: &usize| !self.frames(*at).is_empty();
        (0..self.0.len()).rev().find(is_begun).unwrap()
    }

    /// Where the frames of a segment are.
    fn frames(&self, segment: usize) -> Vec<Range<usize>> {
        let bytes = &self.0[segment];
        let mut frames = Vec::new();
        let mut at = 0;
        let place = |at| Place {
            segment: segment as u64 + 1,
            offset: at as u32,
        };
        while let Some(frame) = read_frame(place(at), &bytes[at..]) {
            frames.push(at..at + frame.bytes());
            at += frame.bytes();
        }
        frames
    }
}

/// Writes some of everything, and tells what there was after each step.
async fn history(log: &mut Log, entries: u64) -> Vec<Contents> {
    let mut states = vec![Contents::default(), contents(log).await];
    for index in 1..=entries {
        append(log, vec![set_data(1, index, 20)]).await.unwrap();
        states.push(contents(log).await);
        match index % 7 {
            1 => log.save_vote(&vote(index)).await.unwrap(),
            3 => log.truncate_after(Some(id(1, index))).await.unwrap(),
            5 => log.save_committed(Some(id(1, index))).await.unwrap(),
            6 => log.purge(id(1, index - 4)).await.unwrap(),
            _ => {}
        }
        states.push(contents(log).await);
    }
    states
}

/// A history of one segment, with an append as its last frame.
async fn short() -> (Image, Vec<Contents>) {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let mut states = history(&mut log, 13).await;
    append(&mut log, vec![set_data(1, 14, 20)]).await.unwrap();
    states.push(contents(&mut log).await);
    let image = Image::of(dir.path());
    assert_eq!(image.last(), 0, "one segment");
    (image, states)
}

/// Entries in [`long`].
const LONG: u64 = 180;

/// A history of several segments.
async fn long() -> (Image, Vec<Contents>) {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let mut states = vec![Contents::default(), contents(&mut log).await];
    for index in 1..=LONG {
        append(&mut log, vec![set_data(1, index, 40)])
            .await
            .unwrap();
        states.push(contents(&mut log).await);
    }
    let image = Image::of(dir.path());
    assert!(image.last() >= 3, "several segments");
    (image, states)
}

fn is_damage(result: &Result<Contents, OpenError>) -> bool {
    matches!(result, Err(OpenError::Damaged { .. }))
}

#[tokio::test]
async fn log_cut_at_any_byte_reads_as_it_once_was() {
    let (image, states) = short().await;
    let end = image.frames(0).last().unwrap().end;
    let mut reached = [0, 0];
    for at in 0..=end {
        let mut zeroed = image.clone();
        zeroed.0[0][at..].fill(0);
        let mut shortened = image.clone();
        shortened.0[0].truncate(at);
        for (image, reached) in [zeroed, shortened].iter().zip(&mut reached) {
            let contents = image.reread().unwrap();
            let state = states[*reached..].iter().position(|s| *s == contents);
            *reached += state.unwrap_or_else(|| panic!("cut at {at} reads {contents:?}"));
        }
    }
    let last = states.last().unwrap();
    assert!(
        reached.iter().all(|at| states[*at] == *last),
        "all is there at the end"
    );
}

#[tokio::test]
async fn flipped_bit_is_damage_unless_it_may_be_the_torn_end() {
    let (image, states) = short().await;
    let last = image.frames(0).pop().unwrap();
    for at in 0..last.end {
        let mut flipped = image.clone();
        flipped.0[0][at] ^= 1 << (at % 8);
        let result = flipped.reread();
        match at < last.start {
            true => assert!(is_damage(&result), "byte {at}: {result:?}"),
            false => assert_eq!(result.unwrap(), states[states.len() - 2], "byte {at}"),
        }
    }
}

#[tokio::test]
async fn damaged_vote_at_the_end_is_damage() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    log.save_vote(&vote(9)).await.unwrap();
    let image = Image::of(dir.path());
    let frames = image.frames(0);
    let [_, vote, mark] = &frames[..] else {
        panic!("{frames:?}");
    };
    assert_eq!(mark.len(), HEADER_BYTES);
    for at in vote.clone() {
        let mut flipped = image.clone();
        flipped.0[0][at] ^= 0x10;
        assert!(is_damage(&flipped.reread()), "byte {at}");
    }
}

#[tokio::test]
async fn after_an_orderly_end_any_flipped_bit_is_damage() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, vec![blank(1, 1), blank(1, 2)])
        .await
        .unwrap();
    drop(log);
    let image = Image::of(dir.path());
    let mark = image.frames(0).pop().unwrap();
    for at in 0..mark.start {
        let mut flipped = image.clone();
        flipped.0[0][at] ^= 0x01;
        assert!(is_damage(&flipped.reread()), "byte {at}");
    }
}

#[tokio::test]
async fn write_that_lost_its_beginning_is_torn_not_damaged() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, vec![blank(1, 1)]).await.unwrap();
    let entries: Vec<_> = (2..=12).map(|i| set_data(1, i, 20)).collect();
    append(&mut log, entries.clone()).await.unwrap();
    let image = Image::of(dir.path());
    let frames = image.frames(0);
    let group = frames.len() - entries.len();
    for lost in 0..entries.len() {
        let mut torn = image.clone();
        torn.0[0][frames[group + lost].clone()].fill(0);
        let contents = torn.reread().unwrap();
        let expected = [&[blank(1, 1)], &entries[..lost]].concat();
        assert_eq!(contents.entries, expected, "without frame {lost}");
    }
}

#[tokio::test]
async fn what_a_torn_write_left_does_not_come_back() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    append(&mut log, (1..=9).map(|i| set_data(1, i, 20)).collect())
        .await
        .unwrap();
    let mut image = Image::of(dir.path());
    drop(log);
    let frames = image.frames(0);
    image.0[0][frames[1].clone()].fill(0);
    let dir = data_dir();
    fs::write(segment_path(dir.path(), 1), &image.0[0]).unwrap();
    let mut log = open(dir.path()).unwrap();
    assert_eq!(all(&mut log).await, []);
    // With the mark before it as long as the lost one, so that the old second entry would follow.
    let new = set_data(1, 1, 20 - HEADER_BYTES);
    append(&mut log, vec![new.clone()]).await.unwrap();
    let image = Image::of(dir.path());
    assert_eq!(image.frames(0).last().unwrap().end, frames[1].end);
    assert_eq!(image.reread().unwrap().entries, [new]);
}

#[tokio::test]
async fn damage_in_any_segment_names_its_file_and_byte() {
    let (image, _) = long().await;
    for segment in 0..image.last() {
        for frame in image.frames(segment) {
            let mut flipped = image.clone();
            flipped.0[segment][frame.end - 1] ^= 0x80;
            let Err(OpenError::Damaged { path, offset, .. }) = flipped.reread() else {
                panic!("segment {segment}, frame at {}", frame.start);
            };
            let name = segment_path(Path::new(""), segment as u64 + 1);
            assert_eq!(path.file_name(), name.file_name());
            assert_eq!(offset, frame.start as u64);
        }
    }
}

#[tokio::test]
async fn segments_that_lost_their_ends_or_changed_places_are_damage() {
    let (image, _) = long().await;
    let mut shortened = image.clone();
    let end = image.frames(1).pop().unwrap().start;
    shortened.0[1].truncate(end);
    assert!(is_damage(&shortened.reread()));
    let mut swapped = image.clone();
    swapped.0.swap(1, 2);
    assert!(is_damage(&swapped.reread()));
    let mut replaced = image.clone();
    replaced.0[1] = vec![0; 4096];
    assert!(is_damage(&replaced.reread()));
}

#[tokio::test]
async fn older_copy_of_a_segment_is_damage_unless_it_is_the_last() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let (mut states, mut copies) = (Vec::new(), Vec::new());
    for index in 1..=LONG {
        append(&mut log, vec![set_data(1, index, 40)])
            .await
            .unwrap();
        states.push(contents(&mut log).await);
        copies.push(Image::of(dir.path()));
    }
    let image = copies.pop().unwrap();
    let (mut refused, mut taken) = (0, 0);
    for copy in copies.iter().step_by(5) {
        let at = copy.last();
        let mut mixed = image.clone();
        mixed.0[at].clone_from(&copy.0[at]);
        let result = mixed.reread();
        match at < image.last() {
            true if mixed.0[at] != image.0[at] => {
                assert!(is_damage(&result), "segment {at}: {result:?}");
                refused += 1;
            }
            // Nothing on this disk can tell; the other members can.
            _ => {
                assert!(states.contains(&result.unwrap()), "segment {at}");
                taken += 1;
            }
        }
    }
    assert!(
        refused > 10 && taken > 0,
        "{refused} refused, {taken} taken"
    );
}

#[tokio::test]
async fn damage_found_while_reading_names_its_file_and_byte_and_gives_no_entry() {
    let dir = data_dir();
    let mut log = open(dir.path()).unwrap();
    let entries: Vec<_> = (1..=60).map(|i| set_data(1, i, 100)).collect();
    for entry in &entries {
        append(&mut log, vec![entry.clone()]).await.unwrap();
    }
    let image = Image::of(dir.path());
    let frame = image.frames(0)[5].clone();
    let path = segment_path(dir.path(), 1);
    let mut bytes = image.0[0].clone();
    bytes[frame.end - 1] ^= 4;
    fs::write(&path, bytes).unwrap();
    assert_eq!(
        log.limited_get_log_entries(9, 12).await.unwrap(),
        entries[8..11]
    );
    let error = log
        .try_get_log_entries(1..61)
        .await
        .unwrap_err()
        .to_string();
    let place = format!("{} is damaged at byte {}", path.display(), frame.start);
    assert!(error.starts_with(&place), "{error}");
}

#[tokio::test]
async fn segment_whose_first_write_was_torn_is_made_anew() {
    let (mut image, states) = long().await;
    let last = image.last();
    let before = image.frames(last).len();
    let first = image.frames(last)[0].clone();
    // Its checkpoint is torn, and nothing behind it proves that the write had ended.
    image.0[last].fill(0);
    image.0[last][first.start..first.end - 1].fill(0x55);
    let contents = image.reread().unwrap();
    assert!(states.contains(&contents));
    assert_eq!(contents.entries.len(), LONG as usize - (before - 1));
}

#[tokio::test]
async fn last_segment_in_the_place_of_the_prepared_one_is_damage() {
    let (image, _) = long().await;
    let last = image.last();
    assert_eq!(image.0.len(), last + 2, "one is prepared");
    let mut swapped = image.clone();
    swapped.0.swap(last, last + 1);
    assert_eq!(swapped.damages(), 1);
    let dir = swapped.laid_out();
    // With a log that writes, because that takes unbegun segments into use again under other numbers.
    for _ in 0..2 {
        let error = open(dir.path()).err().expect("it is refused");
        let Some((path, 0, _)) = error.damage() else {
            panic!("{error}");
        };
        let holder = segment_path(dir.path(), last as u64 + 2);
        assert_eq!(path, holder, "{error}");
    }
    // As it is when there is no other segment: then all of the log, and its vote, would be forgotten.
    let (image, _) = short().await;
    let alone = Image(vec![vec![0; 4096], image.0[0].clone()]);
    assert!(is_damage(&alone.reread()));
}

#[tokio::test]
async fn more_unbegun_segments_than_a_crash_leaves_are_damage() {
    let (mut image, states) = long().await;
    let last = image.last();
    image.0[last].fill(0);
    assert!(states.contains(&image.reread().unwrap()), "two are left");
    assert_eq!(image.damages(), 0);
    image.0[last - 1].fill(0);
    assert!(is_damage(&image.reread()));
    assert_eq!(image.damages(), 1);
}

#[tokio::test]
async fn version_that_is_not_known_is_refused_as_such() {
    let mut bytes = Vec::new();
    let place = Place {
        segment: 1,
        offset: 0,
    };
    let kind = crate::ensemble::log::record::Kind::Checkpoint;
    crate::ensemble::log::record::put_frame(&mut bytes, place, 0, kind, b"ZGATELOG\x63later");
    let error = Image(vec![bytes]).reread().unwrap_err();
    assert!(
        matches!(error, OpenError::Version { found: 0x63, .. }),
        "{error}"
    );
}

/// Bytes that replace some of an image's.
fn splice() -> impl Strategy<Value = (prop::sample::Index, prop::sample::Index, Vec<u8>)> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..40),
        (1..600_usize).prop_map(|n| vec![0; n]),
    ];
    (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        bytes,
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn no_splice_invents_anything() {
    let (image, states) = runtime().block_on(long());
    let used = image.last() + 1;
    let config = ProptestConfig::with_cases(300);
    let run = |splices: Vec<(prop::sample::Index, prop::sample::Index, Vec<u8>)>| {
        let mut spliced = image.clone();
        for (segment, at, bytes) in splices {
            let target = &mut spliced.0[segment.index(used)];
            let at = at.index(target.len());
            let end = (at + bytes.len()).min(target.len());
            target[at..end].copy_from_slice(&bytes[..end - at]);
        }
        match spliced.reread() {
            Ok(contents) => prop_assert!(states.contains(&contents), "{contents:?}"),
            Err(error) => prop_assert!(matches!(error, OpenError::Damaged { .. }), "{error}"),
        }
        Ok(())
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    runner
        .run(&prop::collection::vec(splice(), 1..3), run)
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn arbitrary_bytes_are_no_log(files in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..4)) {
        let count = files.len();
        match Image(files).reread() {
            Ok(contents) => prop_assert_eq!((contents, count.min(2)), (Contents::default(), count)),
            error => prop_assert!(is_damage(&error) && count == 3, "{error:?}"),
        }
    }
}
