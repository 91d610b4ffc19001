//! What quotas say there is, is what there is: along random histories, and on from a snapshot.

use super::fixture::{EPHEMERAL, Fixture, create_as, create_with, delete, session_of, set_data};
use crate::tree::{Actor, Command, Op, Tree, TreeLoader};
use proptest::prelude::*;

/// The paths with quotas, one inside another.
const SUBJECTS: [&str; 3] = ["/a", "/a/a", "/b"];

#[derive(Clone, Debug)]
enum Step {
    One(Op),
    Multi(Vec<Op>),
    /// An ephemeral of a session that is closed at once, or stays.
    Ephemeral(String, bool),
    /// The tree is exchanged for one loaded from its snapshot.
    Reload,
}

fn op() -> impl Strategy<Value = Op> {
    let path =
        prop::collection::vec("[ab]", 1..4).prop_map(|parts| format!("/{}", parts.join("/")));
    let data = prop::sample::select(vec!["", "1", "four", "rather long"]);
    (0..4, path, data).prop_map(|(kind, path, data)| match kind {
        0 | 1 => create_with(&path, data),
        2 => set_data(&path, data, -1),
        _ => delete(&path, -1),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => op().prop_map(Step::One),
        3 => prop::collection::vec(op(), 1..4).prop_map(Step::Multi),
        2 => ("/[ab]/[cd]", any::<bool>()).prop_map(|(path, closes)| Step::Ephemeral(path, closes)),
        1 => Just(Step::Reload),
    ]
}

fn reload(tree: &mut Tree) -> Tree {
    let mut loader = TreeLoader::new();
    tree.start_snapshot();
    while let Some(chunk) = tree.snapshot_chunk(3) {
        loader.chunk(&chunk).expect("a chunk as it was written");
    }
    loader.finish().expect("a complete snapshot")
}

/// Znodes and bytes that a quota governs: those below its path that no longer path with a quota is above.
fn recount(tree: &Tree, subject: &str) -> (i64, i64) {
    let governor = |path: &str| {
        let above = |s: &&&str| path == **s || path.starts_with(&format!("{s}/"));
        SUBJECTS
            .iter()
            .filter(above)
            .max_by_key(|s| s.len())
            .copied()
    };
    let (mut count, mut bytes) = (0, 0);
    let mut open = vec![subject.to_owned()];
    while let Some(path) = open.pop() {
        let Some(znode) = tree.get(&path) else {
            continue;
        };
        open.extend(znode.children().map(|child| format!("{path}/{child}")));
        if governor(&path) == Some(subject) {
            count += 1;
            bytes += znode.data().map_or(0, |data| data.len()) as i64;
        }
    }
    (count, bytes)
}

proptest! {
    #[test]
    fn quotas_know_what_there_is(steps in prop::collection::vec(step(), 1..60)) {
        let mut fixture = Fixture::new();
        for subject in SUBJECTS {
            let mut at = "/zookeeper/quota".to_owned();
            for segment in subject[1..].split('/') {
                at = format!("{at}/{segment}");
                let _ = fixture.one(&Actor::Ensemble, create_with(&at, ""));
            }
            fixture.must(create_with(&format!("{at}/zookeeper_limits"), "count=5,bytes=9"));
            fixture.must(create_with(&format!("{at}/zookeeper_stats"), ""));
        }
        for step in &steps {
            match step {
                Step::One(op) => drop(fixture.one(&Actor::Ensemble, op.clone())),
                Step::Multi(ops) => drop(fixture.multi(&Actor::Ensemble, ops.clone())),
                Step::Ephemeral(path, closes) => {
                    let client = fixture.open();
                    let _ = fixture.one(&client, create_as(path, EPHEMERAL));
                    if *closes {
                        let session = session_of(&client);
                        let command = Command::CloseSession { session, attachment: None };
                        prop_assert!(fixture.apply(&client, command).result.is_ok());
                    }
                }
                Step::Reload => fixture.tree = reload(&mut fixture.tree),
            }
            for quota in fixture.tree.quotas() {
                let told = (quota.count.used, quota.bytes.used);
                prop_assert_eq!(told, recount(&fixture.tree, &quota.path), "{}", quota.path);
            }
        }
        prop_assert_eq!(fixture.tree.quotas().len(), SUBJECTS.len());
    }
}
