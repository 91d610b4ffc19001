//! The bytes of records.

use super::{blank, id, identity, set_data, vote};
use crate::ensemble::log::record::{
    Checkpoint, HEADER_BYTES, Kind, Place, Position, Record, RecordError, checkpoint_payload,
    find_frame, payload, put_frame, read_frame,
};

fn place(segment: u64, offset: usize) -> Place {
    Place {
        segment,
        offset: offset as u32,
    }
}

/// One record of each kind, as segment 5 would hold them.
fn examples() -> Vec<(Kind, Vec<u8>, Record)> {
    let checkpoint = Checkpoint {
        identity: identity(),
        previous_end: 4000,
        position: Position {
            vote: Some(vote(3)),
            committed: None,
            purged: Some(id(2, 7)),
            last: Some(id(3, 300)),
        },
    };
    let entry = set_data(3, 301, 5);
    vec![
        (
            Kind::Checkpoint,
            checkpoint_payload(&checkpoint),
            Record::Checkpoint(checkpoint),
        ),
        (Kind::Entry, payload(&entry), Record::Entry(entry)),
        (Kind::Vote, payload(&vote(4)), Record::Vote(vote(4))),
        (
            Kind::Committed,
            payload(&Some(id(3, 301))),
            Record::Committed(Some(id(3, 301))),
        ),
        (
            Kind::Truncate,
            payload(&Some(id(3, 300))),
            Record::Truncate(Some(id(3, 300))),
        ),
        (Kind::Purge, payload(&id(2, 250)), Record::Purge(id(2, 250))),
        (Kind::Mark, Vec::new(), Record::Mark),
    ]
}

fn example_segment() -> Vec<u8> {
    let mut out = Vec::new();
    for (kind, payload, _) in examples() {
        let at = place(5, out.len());
        put_frame(&mut out, at, 0, kind, &payload);
    }
    out
}

#[test]
fn records_are_read_as_written() {
    let bytes = example_segment();
    let mut at = 0;
    for (_, _, expected) in examples() {
        let frame = read_frame(place(5, at), &bytes[at..]).unwrap();
        assert_eq!(Record::decode(&frame).unwrap(), expected);
        at += frame.bytes();
    }
    assert_eq!(at, bytes.len());
}

/// Per frame its first 13 bytes, then its payload. The checksums were computed apart from this program.
const GOLDEN: &str = "\
1f000000 d93b7d9c 00000000 01 5a474154454c4f4702de1c01026e31a01f010301000001020107010301ac02
35000000 bcef044f 00000000 02 0301ad02010107ad0280a0abfef96200828080808080808002010005020f2f73657276696365732f7765622f6101052d2d2d2d2d01
03000000 fd1d5eba 00000000 03 040100
05000000 d936aa30 00000000 04 010301ad02
05000000 00afba05 00000000 05 010301ac02
04000000 fb2cfcd5 00000000 06 0201fa01
00000000 510b446f 00000000 07
";

#[test]
fn layout_is_as_documented() {
    let bytes = example_segment();
    let mut dump = String::new();
    let mut at = 0;
    while let Some(frame) = read_frame(place(5, at), &bytes[at..]) {
        let end = at + frame.bytes();
        for (index, byte) in bytes[at..end].iter().enumerate() {
            let breaks = [0, 4, 8, 12, 13].contains(&index);
            let space = if breaks && index > 0 { " " } else { "" };
            dump += &format!("{space}{byte:02x}");
        }
        dump += "\n";
        at = end;
    }
    assert_eq!(dump, GOLDEN);
}

#[test]
fn frame_is_valid_in_one_place_only() {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, place(5, 100), 0, Kind::Vote, b"payload");
    assert!(read_frame(place(5, 100), &bytes).is_some());
    for other in [place(4, 100), place(6, 100), place(5, 99), place(5, 101)] {
        assert_eq!(read_frame(other, &bytes), None, "{other:?}");
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, place(5, 0), 0, Kind::Vote, b"payload");
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            assert_eq!(read_frame(place(5, 0), &bytes), None, "byte {at} bit {bit}");
            bytes[at] ^= 1 << bit;
        }
    }
}

#[test]
fn zeroes_are_no_frame() {
    assert_eq!(read_frame(place(1, 0), &[0; 64]), None);
    assert_eq!(read_frame(place(1, 0), &[0; HEADER_BYTES - 1]), None);
    assert_eq!(find_frame(1, &[0; 64], 0, 0), None);
}

#[test]
fn frames_behind_damage_are_found_by_what_they_prove() {
    let mut bytes = vec![0xff; 30];
    put_frame(&mut bytes, place(5, 30), 30, Kind::Mark, &[]);
    assert_eq!(find_frame(5, &bytes, 0, 30), Some(30));
    assert_eq!(find_frame(5, &bytes, 0, 31), None, "it proves less");
    assert_eq!(find_frame(5, &bytes, 31, 0), None, "it lies before");
    assert_eq!(find_frame(6, &bytes, 0, 0), None, "of another segment");
}

#[test]
fn payloads_that_cannot_be_read_are_named() {
    let decode = |kind, payload: &[u8]| {
        let frame = crate::ensemble::log::record::Frame {
            kind,
            durable: 0,
            payload,
        };
        Record::decode(&frame).unwrap_err()
    };
    assert!(matches!(decode(99, &[]), RecordError::Kind(99)));
    assert!(matches!(decode(7, &[1]), RecordError::Trailing(1)));
    assert!(matches!(decode(2, &[1]), RecordError::Payload(_)));
    assert!(matches!(decode(1, b"ZGATEXXX\x01"), RecordError::Magic));
    assert!(matches!(
        decode(1, b"ZGATELOG\x01"),
        RecordError::Version(1)
    ));
}

#[test]
fn position_moves_as_the_log_does() {
    let mut position = Position::default();
    assert!(position.append(id(1, 5)), "an empty log may start anywhere");
    assert!(!position.append(id(1, 7)), "a hole");
    assert!(!position.append(id(1, 5)), "a repetition");
    assert!(position.append(id(1, 6)));
    position.truncate(Some(id(1, 9)));
    assert_eq!(position.last, Some(id(1, 6)), "nothing to remove");
    position.purge(id(1, 5));
    position.truncate(None);
    assert_eq!(position.last, Some(id(1, 5)), "never before what is purged");
    position.purge(id(2, 80));
    assert_eq!(position.last, Some(id(2, 80)), "a snapshot went ahead");
    position.purge(id(1, 3));
    assert_eq!(position.purged, Some(id(2, 80)), "purged stays purged");
    assert!(position.append(blank(2, 81).log_id));
}
