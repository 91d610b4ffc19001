//! The claims of snapshot files, tested.

use super::format::MAX_BLOCK_BYTES;
use super::{FormatError, Meta, SnapshotFile, SnapshotFileError, SnapshotStore};
use crate::ensemble::types::{Member, Types};
use openraft::alias::{LogIdOf, StoredMembershipOf};
use openraft::vote::leader_id_adv::LeaderId;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn store() -> (TempDir, SnapshotStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path()).unwrap();
    (dir, store)
}

fn meta(term: u64, index: u64) -> Meta {
    let member = Member {
        name: "n1".into(),
        address: "127.0.0.1:2888".into(),
        election: None,
    };
    let voters = vec![BTreeSet::from([1])];
    let membership = openraft::Membership::new(voters, BTreeMap::from([(1, member)])).unwrap();
    let id = |index| LogIdOf::<Types> {
        leader_id: LeaderId { term, node_id: 1 },
        index,
    };
    Meta {
        last_log_id: Some(id(index)),
        last_membership: StoredMembershipOf::<Types>::new(Some(id(0)), membership),
    }
}

fn write(store: &SnapshotStore, meta: &Meta, blocks: &[&[u8]]) -> SnapshotFile {
    let mut writer = store.writer(meta).unwrap();
    for block in blocks {
        writer.block(block).unwrap();
    }
    writer.finish().unwrap()
}

fn blocks(file: &SnapshotFile) -> Vec<Vec<u8>> {
    file.blocks().collect::<Result<_, _>>().unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names = crate::ensemble::log::disk::names(dir).unwrap();
    names.sort();
    names
}

/// Hands `bytes` over as a follower would get them.
fn receive(store: &SnapshotStore, bytes: &[u8]) -> Result<SnapshotFile, SnapshotFileError> {
    let mut incoming = store.incoming()?;
    for part in bytes.chunks(100) {
        incoming.write(part)?;
    }
    incoming.finish()
}

#[test]
fn what_was_written_is_read_back() {
    let (_dir, store) = store();
    let large = vec![7; MAX_BLOCK_BYTES];
    let cases: [&[&[u8]]; 3] = [&[], &[b"a"], &[b"first", b"", &large, &large, b"last"]];
    for (index, payloads) in cases.into_iter().enumerate() {
        let meta = meta(3, index as u64);
        let file = write(&store, &meta, payloads);
        let expected = payloads.iter().filter(|p| !p.is_empty());
        let expected: Vec<_> = expected.map(|p| p.to_vec()).collect();
        assert_eq!(blocks(&file), expected, "empty blocks are left out");
        let latest = store.latest().unwrap().unwrap();
        assert_eq!(
            (latest.meta.clone(), blocks(&latest)),
            (meta, blocks(&file))
        );
    }
}

#[test]
fn layout_is_as_documented() {
    let (_dir, store) = store();
    let file = write(&store, &meta(3, 9), &[b"zoo", b"gate"]);
    let bytes = fs::read(file.path()).unwrap();
    assert_eq!(hex(&bytes), GOLDEN);
}

/// Header with magic, version 2, 33 bytes of meta, checksum; two blocks; footer. The checksums were computed apart
/// from this program.
const GOLDEN: &str = "\
5a 47 41 54 53 4e 41 50 02 21 00 00 00 01 03 01
09 01 03 01 00 01 01 01 01 01 02 6e 31 0e 31 32
37 2e 30 2e 30 2e 31 3a 32 38 38 38 00 00 b6 bd
36 78 03 00 00 00 3d ce 66 2d 7a 6f 6f 04 00 00
00 27 35 39 b6 67 61 74 65 00 00 00 00 02 00 00
00 00 00 00 00 07 00 00 00 00 00 00 00 58 bc 6c
d6";

fn hex(bytes: &[u8]) -> String {
    let rows = bytes.chunks(16).map(|row| {
        let bytes: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(" ")
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[test]
fn block_that_is_too_long_is_refused() {
    let (_dir, store) = store();
    let mut writer = store.writer(&meta(1, 1)).unwrap();
    let error = writer.block(&vec![0; MAX_BLOCK_BYTES + 1]).unwrap_err();
    assert!(matches!(
        error,
        SnapshotFileError::Damaged {
            source: FormatError::Length { .. },
            ..
        }
    ));
}

#[test]
fn snapshot_of_nothing_is_kept_like_any_other() {
    let (_dir, store) = store();
    store.writer(&Meta::default()).unwrap().finish().unwrap();
    assert_eq!(store.latest().unwrap().unwrap().meta, Meta::default());
}

#[test]
fn two_newest_are_kept() {
    let (dir, store) = store();
    for (term, index) in [(1, 5), (2, 300), (1, 40), (3, 301)] {
        write(&store, &meta(term, index), &[b"x"]);
    }
    let expected = [
        "snap-000000000000012c-0000000000000002",
        "snap-000000000000012d-0000000000000003",
    ];
    assert_eq!(names(dir.path()), expected);
    assert_eq!(store.latest().unwrap().unwrap().meta, meta(3, 301));
}

#[test]
fn snapshot_just_made_is_kept_though_older_than_others() {
    let (_dir, store) = store();
    for index in [10, 20, 3] {
        write(&store, &meta(1, index), &[b"x"]);
    }
    let verdicts = store.verdicts().unwrap();
    let kept: Vec<_> = verdicts.into_iter().map(|v| v.unwrap().meta).collect();
    assert_eq!(kept, [meta(1, 20), meta(1, 3)]);
}

#[test]
fn removed_snapshot_stays_readable_to_who_has_it() {
    let (_dir, store) = store();
    let file = write(&store, &meta(1, 1), &[b"old"]);
    for index in 2..5 {
        write(&store, &meta(1, index), &[b"new"]);
    }
    assert!(!file.path().exists());
    assert_eq!(blocks(&file), [b"old"]);
}

#[test]
fn unfinished_files_vanish() {
    let (dir, store) = store();
    let mut writer = store.writer(&meta(1, 1)).unwrap();
    writer.block(b"half").unwrap();
    drop(writer);
    assert!(names(dir.path()).is_empty(), "dropped");
    std::mem::forget(store.writer(&meta(1, 2)).unwrap());
    std::mem::forget(store.incoming().unwrap());
    assert_eq!(names(dir.path()).len(), 2, "as after a crash");
    SnapshotStore::open(dir.path()).unwrap();
    assert!(names(dir.path()).is_empty(), "opened again");
}

#[test]
fn received_file_equals_the_sent_one() {
    let (_dir, leader) = store();
    let (_dir2, follower) = store();
    let sent = write(&leader, &meta(4, 70), &[b"a", &[1; 5000], b"b"]);
    let mut incoming = follower.incoming().unwrap();
    let mut buffer = [0; 333];
    loop {
        let count = sent.read_raw(&mut buffer, incoming.received()).unwrap();
        if count == 0 {
            break;
        }
        incoming.write(&buffer[..count]).unwrap();
    }
    let got = incoming.finish().unwrap();
    assert_eq!(
        (got.meta.clone(), blocks(&got)),
        (meta(4, 70), blocks(&sent))
    );
    assert_eq!(got.path().file_name(), sent.path().file_name());
    assert_eq!(
        fs::read(got.path()).unwrap(),
        fs::read(sent.path()).unwrap()
    );
}

#[test]
fn damaged_file_is_reported_beside_the_older_one() {
    let (_dir, store) = store();
    write(&store, &meta(1, 1), &[b"old"]);
    let newest = write(&store, &meta(1, 2), &[b"new"]);
    let mut bytes = fs::read(newest.path()).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(newest.path(), bytes).unwrap();
    store.latest().unwrap_err();
    let verdicts = store.verdicts().unwrap();
    assert!(matches!(
        &verdicts[..],
        [Err(SnapshotFileError::Damaged { path, .. }), Ok(old)]
            if path == newest.path() && old.meta == meta(1, 1)
    ));
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let (_dir, sender) = store();
    let bytes = fs::read(write(&sender, &meta(1, 1), &[b"zoo", b"gate"]).path()).unwrap();
    let (dir, follower) = store();
    for at in 0..bytes.len() {
        let error = receive(&follower, &bytes[..at]).unwrap_err();
        assert!(matches!(error, SnapshotFileError::Damaged { .. }));
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let error = receive(&follower, &flipped).unwrap_err();
            assert!(matches!(error, SnapshotFileError::Damaged { .. }));
        }
    }
    let longer = [&bytes[..], b"x"].concat();
    receive(&follower, &longer).unwrap_err();
    assert!(names(dir.path()).is_empty(), "nothing of it stays");
    receive(&follower, &bytes).unwrap();
}

#[test]
fn blocks_in_another_order_are_refused() {
    let (_dir, store) = store();
    let bytes = fs::read(write(&store, &meta(1, 1), &[b"one", b"two"]).path()).unwrap();
    let block = super::format::BLOCK_HEADER_BYTES + 3;
    let footer = bytes.len() - super::format::FOOTER_BYTES;
    let (first, second) = (footer - 2 * block, footer - block);
    let swapped = [
        &bytes[..first],
        &bytes[second..footer],
        &bytes[first..second],
        &bytes[footer..],
    ];
    receive(&store, &swapped.concat()).unwrap_err();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn arbitrary_bytes_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        keeps_magic in any::<bool>(),
    ) {
        let (_dir, store) = store();
        let start: &[u8] = if keeps_magic { b"ZGATSNAP\x01" } else { b"" };
        prop_assert!(receive(&store, &[start, &bytes].concat()).is_err());
    }
}
