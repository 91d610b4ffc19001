//! Looking through snapshots, and carrying trees over: along random histories, and by example.

use super::fixture::*;
use super::history::{log_of, steps};
use crate::tree::{MemberInfo, Survey, Surveyed, Tree, Zxid};
use crate::tree::{SnapshotError, Stat};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn chunks(tree: &mut Tree) -> Vec<Vec<u8>> {
    tree.start_snapshot();
    std::iter::from_fn(|| tree.snapshot_chunk(3)).collect()
}

fn survey(
    chunks: &[Vec<u8>],
) -> Result<(crate::tree::Contents, BTreeMap<String, Stat>), SnapshotError> {
    let mut survey = Survey::new(true);
    let mut stats = BTreeMap::new();
    for chunk in chunks {
        survey.chunk::<SnapshotError>(chunk, &mut |item| {
            if let Surveyed::Znode { path, stat, .. } = item {
                stats.insert(path, stat);
            }
            Ok(())
        })?;
    }
    Ok((survey.finish()?, stats))
}

fn built(steps: &[super::history::Step]) -> Tree {
    let mut tree = Tree::new();
    for (zxid, entry) in &log_of(steps) {
        entry.apply(*zxid, &mut tree);
    }
    tree
}

fn two_members() -> BTreeMap<u64, MemberInfo> {
    let member = |address: &str| MemberInfo {
        address: address.into(),
        election: None,
        voter: true,
    };
    BTreeMap::from([(1, member("x:1")), (2, member("y:1"))])
}

proptest! {
    /// Slots are used again along the history, so children come before their parents here too.
    #[test]
    fn a_survey_finds_what_is_in_the_tree(steps in steps()) {
        let mut tree = built(&steps);
        let chunks = chunks(&mut tree);
        let (contents, stats) = survey(&chunks).expect("a complete snapshot");
        prop_assert_eq!(contents.digest, tree.digest());
        prop_assert_eq!(contents.zxid, tree.last_zxid());
        prop_assert_eq!(contents.znodes as usize, tree.counts().znodes - 1);
        prop_assert_eq!(contents.ephemerals as usize, tree.counts().ephemerals);
        prop_assert_eq!(contents.sessions as usize, tree.counts().sessions);
        let expected: BTreeMap<String, Stat> =
            dump(&tree).into_iter().map(|(path, seen)| (path, seen.stat)).collect();
        prop_assert_eq!(stats, expected);
    }

    #[test]
    fn a_tree_carried_over_is_the_same_but_for_sessions(steps in steps()) {
        let mut tree = built(&steps);
        let before = dump(&tree);
        let zxid = Zxid(tree.last_zxid().0 + 1_000_000);
        let left = tree.transplant(zxid, two_members());
        tree.check_invariants();
        prop_assert_eq!((tree.counts().sessions, tree.counts().ephemerals), (0, 0));
        prop_assert_eq!(tree.last_zxid(), zxid);
        let after = dump(&tree);
        let ephemerals = before.values().filter(|seen| seen.stat.ephemeral_owner.0 > 0);
        prop_assert_eq!(left.ephemerals, ephemerals.count());
        for (path, seen) in &before {
            if seen.stat.ephemeral_owner.0 > 0 {
                prop_assert!(!after.contains_key(path), "{}", path);
                continue;
            }
            let now = &after[path];
            if path == "/zookeeper/config" {
                let text = String::from_utf8(now.data.clone().expect("not null")).expect("text");
                prop_assert!(text.starts_with("server.1=x:1:0:participant\nserver.2="), "{}", text);
                continue;
            }
            // What a quota counts is part of the tree too, and here fewer znodes and a config of other members.
            let is_count = path.starts_with("/zookeeper/quota/") && path.ends_with("/zookeeper_stats");
            if is_count {
                prop_assert_eq!(&now.acl, &seen.acl, "{}", path);
                continue;
            }
            prop_assert_eq!((&now.data, &now.acl), (&seen.data, &seen.acl), "{}", path);
            let lost = seen.children.len() - now.children.len();
            let mut expected = seen.stat;
            if lost > 0 {
                expected.pzxid = zxid;
                expected.cversion = expected.cversion.wrapping_add(lost as i32);
                expected.num_children -= lost as i32;
            }
            prop_assert_eq!(now.stat, expected, "{}", path);
        }
        prop_assert_eq!(after.len() + left.ephemerals, before.len());
        let loaded = survey(&chunks(&mut tree)).expect("it can be written");
        prop_assert_eq!(loaded.0.digest, tree.digest());
    }

    /// Nothing is taken for a snapshot that was changed anywhere.
    #[test]
    fn a_changed_byte_is_noticed(steps in steps(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut tree = built(&steps);
        let mut bytes = chunks(&mut tree).concat();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        match survey(&[bytes]) {
            Err(_) => {}
            // The head's zxid and time, and the slots' numbers, are not part of the tree.
            Ok((contents, _)) => prop_assert_eq!(contents.digest, tree.digest()),
        }
    }
}

#[test]
fn a_survey_names_what_is_missing() {
    let mut fixture = Fixture::new();
    fixture.must(create("/a"));
    fixture.must(create("/a/b"));
    let chunks = chunks(&mut fixture.tree);
    assert!(matches!(
        survey(&chunks[..1]),
        Err(SnapshotError::Count { what: "znodes", .. })
    ));
    assert_eq!(survey(&[]).err(), Some(SnapshotError::Head));
    assert_eq!(survey(&chunks[1..]).err(), Some(SnapshotError::Head));
}
