//! Snapshots by example: format, progress, and every reason to refuse one.

use super::fixture::*;
use crate::tree::{Actor, Command, SnapshotError, Tree, TreeLoader};
use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

fn chunks(tree: &mut Tree, limit: usize) -> Vec<Vec<u8>> {
    tree.start_snapshot();
    std::iter::from_fn(|| tree.snapshot_chunk(limit)).collect()
}

fn load(bytes: &[u8]) -> Result<Tree, SnapshotError> {
    let mut loader = TreeLoader::new();
    loader.chunk(bytes)?;
    loader.finish()
}

fn furnished() -> Fixture {
    let mut fixture = Fixture::new();
    let client = fixture.open();
    fixture.must(create("/a"));
    fixture.must(create("/a/b"));
    fixture
        .one(&client, create_as("/a/e", EPHEMERAL))
        .expect("created");
    fixture
}

/// Members of different versions compare digests and exchange snapshots, so neither may change unnoticed:
/// a new format needs a new version byte, a new digest the same.
#[test]
fn format_and_digest_are_those_of_version_3() {
    let mut fixture = furnished();
    fixture.must(set_null("/a"));
    fixture.must(create_as("/c", CONTAINER));
    fixture.must(create_as("/t", ttl(5_000)));
    fixture.members(&[(1, "a:1", true), (2, "b:2", false)]);
    fixture.introduce(1, Some("c:3"));
    fixture.introduce(2, None);
    for command in [
        Command::Admit {
            name: "n3".into(),
            nonce: 77,
            observer: false,
            replaces: Some(2),
            level: 1,
        },
        Command::Announce {
            member: 1,
            boots: 5,
            boot: 99,
            level: 1,
        },
    ] {
        let outcome = fixture.apply(&Actor::Ensemble, command);
        assert!(outcome.result.is_ok());
    }
    let bytes = chunks(&mut fixture.tree, 100).concat();
    assert_eq!(bytes[..2], [1, 3]);
    let loaded = load(&bytes).expect("complete");
    assert_eq!(loaded.numbers(), fixture.tree.numbers());
    let found = [
        Tree::new().digest(),
        fixture.tree.digest(),
        bytes.len() as u64,
        xxh3_64(&bytes),
    ];
    let expected = [
        13_713_998_935_783_184_560,
        6_389_783_789_221_998_320,
        1_253,
        1_800_214_654_820_428_446,
    ];
    assert_eq!(found, expected);
}

#[test]
fn chunks_cover_at_most_the_limit() {
    let mut fixture = furnished();
    // One session, four protected znodes, three more.
    for (limit, expected) in [(0, 8), (1, 8), (3, 3), (8, 1), (100, 1)] {
        let chunks = chunks(&mut fixture.tree, limit);
        assert_eq!(chunks.len(), expected, "limit {limit}");
        assert!(load(&chunks.concat()).is_ok());
        assert_eq!(fixture.tree.snapshot_chunk(limit), None);
    }
}

#[test]
fn chunks_end_after_a_mebibyte() {
    let mut fixture = Fixture::new();
    for nth in 0..5 {
        let data = Bytes::from(vec![nth; 700_000]);
        fixture.must(crate::tree::Op::Create {
            path: format!("/{nth}").into(),
            data: Some(data),
            acl: crate::tree::Acl::open(),
            mode: PERSISTENT,
        });
    }
    let chunks = chunks(&mut fixture.tree, 100);
    assert_eq!(chunks.len(), 3);
    let loaded = load(&chunks.concat()).expect("complete");
    assert_eq!(dump(&loaded), dump(&fixture.tree));
}

#[test]
fn cancelled_snapshot_has_no_more_chunks() {
    let mut fixture = furnished();
    assert_eq!(fixture.tree.snapshot_chunk(1), None);
    fixture.tree.start_snapshot();
    assert!(fixture.tree.snapshot_chunk(1).is_some());
    fixture.tree.cancel_snapshot();
    assert_eq!(fixture.tree.snapshot_chunk(1), None);
}

#[test]
fn starting_again_starts_over() {
    let mut fixture = furnished();
    fixture.tree.start_snapshot();
    assert!(fixture.tree.snapshot_chunk(3).is_some());
    fixture.must(delete("/a/b", -1));
    let bytes = chunks(&mut fixture.tree, 3).concat();
    let loaded = load(&bytes).expect("complete");
    assert_eq!(loaded.digest(), fixture.tree.digest());
}

/// Slots that are vacated, taken again and vacated again while the cursor is on its way to them.
#[test]
fn slots_may_change_hands_during_a_snapshot() {
    let mut fixture = furnished();
    for name in ["/1", "/2", "/3"] {
        fixture.must(create(name));
    }
    fixture.must(delete("/2", -1));
    let before = (dump(&fixture.tree), fixture.tree.digest());
    fixture.tree.start_snapshot();
    fixture.must(create("/into-the-vacant-slot"));
    fixture.must(delete("/3", -1));
    fixture.must(create("/into-the-slot-of-3"));
    fixture.must(delete("/into-the-slot-of-3", -1));
    fixture.must(set_data("/1", "late", -1));
    fixture.must(delete("/1", -1));
    fixture.must(create("/1"));
    let chunks: Vec<_> = std::iter::from_fn(|| fixture.tree.snapshot_chunk(2)).collect();
    let loaded = load(&chunks.concat()).expect("complete");
    assert_eq!((dump(&loaded), loaded.digest()), before);
}

#[test]
fn sessions_closed_during_a_snapshot_are_in_it() {
    let mut fixture = furnished();
    let client = fixture.open();
    let before = fixture.tree.digest();
    fixture.tree.start_snapshot();
    let close = Command::CloseSession {
        session: session_of(&client),
        attachment: None,
    };
    assert!(fixture.apply(&Actor::Ensemble, close).result.is_ok());
    fixture.open();
    let chunks: Vec<_> = std::iter::from_fn(|| fixture.tree.snapshot_chunk(2)).collect();
    assert_eq!(load(&chunks.concat()).expect("complete").digest(), before);
}

#[test]
fn sequence_goes_on_after_loading() {
    let mut fixture = furnished();
    fixture.must(delete("/a/b", -1));
    let bytes = chunks(&mut fixture.tree, 100).concat();
    fixture.tree = load(&bytes).expect("complete");
    let reply = fixture.must(create_as("/a/", SEQUENTIAL));
    assert_eq!(created(&reply), "/a/0000000002");
}

#[test]
fn times_do_not_go_back_after_loading() {
    let mut fixture = Fixture::new();
    fixture.apply_at(9_000, &Actor::Ensemble, Command::One(create("/a")));
    let bytes = chunks(&mut fixture.tree, 100).concat();
    fixture.tree = load(&bytes).expect("complete");
    fixture.apply_at(5_000, &Actor::Ensemble, Command::One(create("/b")));
    assert_eq!(fixture.stat("/b").ctime, 9_000);
}

#[test]
fn incomplete_and_altered_snapshots_are_refused() {
    let mut fixture = furnished();
    let parts = chunks(&mut fixture.tree, 1);
    let whole = parts.concat();
    let refused = |bytes: &[u8]| load(bytes).map(|tree| tree.digest());
    assert_eq!(refused(&[]), Err(SnapshotError::Head));
    assert_eq!(refused(&parts[1..].concat()), Err(SnapshotError::Head));
    assert_eq!(
        refused(&[&whole[..], &parts[0]].concat()),
        Err(SnapshotError::Head)
    );
    assert_eq!(
        refused(&whole[..whole.len() - 1]),
        Err(SnapshotError::Truncated)
    );
    assert_eq!(
        refused(&parts[..parts.len() - 1].concat()),
        Err(SnapshotError::Count {
            what: "znodes",
            expected: 7,
            found: 6
        })
    );
    assert_eq!(
        refused(&[&whole[..], &[9]].concat()),
        Err(SnapshotError::UnknownItem(9))
    );
    let mut newer = whole.clone();
    newer[1] = 4;
    assert_eq!(refused(&newer), Err(SnapshotError::Version(4)));
    let mut altered = whole.clone();
    *altered.last_mut().expect("not empty") ^= 1;
    assert!(matches!(
        refused(&altered),
        Err(SnapshotError::Digest { .. })
    ));
    let twice = [&whole[..], parts.last().expect("not empty")].concat();
    assert!(matches!(refused(&twice), Err(SnapshotError::Znode { .. })));
}

#[test]
fn members_are_part_of_a_snapshot() {
    let mut fixture = furnished();
    let without = fixture.tree.digest();
    fixture.members(&[(1, "a:1", true), (2, "b:2", false)]);
    fixture.introduce(1, Some("c:3"));
    fixture.introduce(2, None);
    let before = fixture.tree.clients().clone();
    fixture.tree.start_snapshot();
    fixture.members(&[]);
    let parts: Vec<_> = std::iter::from_fn(|| fixture.tree.snapshot_chunk(1)).collect();
    let mut loaded = load(&parts.concat()).expect("complete");
    assert_ne!(loaded.digest(), without);
    assert_eq!(loaded.clients(), &before);
    // The same members again, which the loaded tree must know already.
    fixture.tree = loaded;
    let events = fixture.members(&[(1, "a:1", true), (2, "b:2", false)]);
    assert_eq!(events, []);
    loaded = load(&chunks(&mut fixture.tree, 100).concat()).expect("complete");
    assert_eq!(loaded.digest(), fixture.tree.digest());
    let mut lacking = parts.concat();
    // The head, then the first member: its kind, its id, whether it votes, its port for elections, and `a:1`.
    lacking.drain(58..58 + 1 + 8 + 1 + 2 + (4 + 3));
    assert_eq!(
        load(&lacking).err(),
        Some(SnapshotError::Count {
            what: "members",
            expected: 2,
            found: 1
        })
    );
}

#[test]
fn owners_of_no_kind_are_refused() {
    let mut fixture = furnished();
    fixture.must(create_as("/c", CONTAINER));
    let mut whole = chunks(&mut fixture.tree, 100).concat();
    // The owner stands before the lengths and the bytes of the segment `c` and the data `data`.
    let end = whole.len() - (4 + 1) - (4 + 4);
    assert_eq!(whole[end - 8..end], i64::MIN.to_le_bytes());
    whole[end - 1] = 0x81;
    assert_eq!(load(&whole).err(), Some(SnapshotError::Owner));
}

#[test]
fn promised_sizes_are_not_allocated() {
    let mut fixture = furnished();
    let mut whole = chunks(&mut fixture.tree, 100).concat();
    // Both counts of the head, then the length of the last data.
    whole[26..42].fill(0xff);
    assert!(matches!(
        load(&whole),
        Err(SnapshotError::Count {
            expected: u64::MAX,
            ..
        })
    ));
    let end = whole.len();
    // One less is what null data has.
    whole[end - 8..end - 4].copy_from_slice(&(u32::MAX - 1).to_le_bytes());
    assert_eq!(load(&whole).err(), Some(SnapshotError::Truncated));
    let list = [3, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(
        load(&[&whole[..58], &list].concat()).err(),
        Some(SnapshotError::Truncated)
    );
}
