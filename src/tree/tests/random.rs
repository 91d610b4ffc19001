//! The tree along random histories: against the model, its own replay, and its own snapshots.

use super::fixture::{dump, time_of};
use super::history::{log_of, steps};
use super::model::Model;
use crate::tree::{Scrub, Tree, TreeLoader};
use proptest::prelude::*;

fn load(chunks: &[Vec<u8>]) -> Tree {
    let mut loader = TreeLoader::new();
    for chunk in chunks {
        loader.chunk(chunk).expect("a chunk as it was written");
    }
    loader.finish().expect("a complete snapshot")
}

proptest! {
    #[test]
    fn tree_agrees_with_the_model(steps in steps()) {
        let log = log_of(&steps);
        let (mut tree, mut model) = (Tree::new(), Model::new());
        for (zxid, entry) in &log {
            let expected = entry.apply_to_model(*zxid, &mut model);
            prop_assert_eq!(entry.apply(*zxid, &mut tree), expected, "{:?}", entry);
            prop_assert_eq!(tree.last_zxid(), *zxid);
            prop_assert_eq!(tree.clients(), &model.clients);
            prop_assert_eq!(dump(&tree), model.dump());
            let sessions: Vec<_> = tree.sessions().map(|(id, s)| (id, *s)).collect();
            let expected: Vec<_> = model.sessions.iter().map(|(id, s)| (*id, *s)).collect();
            prop_assert_eq!(&sessions, &expected);
            for (id, _) in sessions {
                let mut owned: Vec<String> = tree.ephemerals(id).collect();
                owned.sort();
                prop_assert_eq!(owned, model.owned_by(id));
            }
            for now_ms in [time_of(*zxid), time_of(*zxid) + 100] {
                let reapable: Vec<String> =
                    tree.reapable(now_ms).iter().map(|path| path.to_string()).collect();
                prop_assert_eq!(reapable, model.reapable(now_ms));
            }
            tree.check_invariants();
        }
    }

    /// A walk over the tree finds nothing, however the tree changes meanwhile.
    #[test]
    fn scrubbing_finds_no_damage_where_there_is_none(steps in steps(), limit in 1..9usize) {
        let mut tree = Tree::new();
        for (zxid, entry) in &log_of(&steps) {
            prop_assert!(!matches!(tree.scrub(limit), Scrub::Damaged(_)));
            entry.apply(*zxid, &mut tree);
        }
        let found = (0..1000).map(|_| tree.scrub(limit)).find(|found| *found != Scrub::UnderWay);
        prop_assert_eq!(found, Some(Scrub::Sound));
    }

    /// A snapshot shows the tree at its start, whatever is written before its end; and the tree loaded from
    /// it goes on as the original does.
    #[test]
    fn snapshot_shows_its_start(
        steps in steps(),
        start in 0..60usize,
        limit in 1..5usize,
        every in 1..4usize,
    ) {
        let log = log_of(&steps);
        let start = start % log.len();
        let mut tree = Tree::new();
        for (zxid, entry) in &log[..start] {
            entry.apply(*zxid, &mut tree);
        }
        let at_start = (dump(&tree), tree.digest(), tree.counts(), tree.last_zxid());
        tree.start_snapshot();
        let mut chunks = vec![];
        let mut outcomes = vec![];
        for (nth, (zxid, entry)) in log[start..].iter().enumerate() {
            outcomes.push(entry.apply(*zxid, &mut tree));
            tree.check_invariants();
            if nth % every == 0 {
                chunks.extend(tree.snapshot_chunk(limit));
            }
        }
        chunks.extend(std::iter::from_fn(|| tree.snapshot_chunk(limit)));
        prop_assert!(tree.is_snapshot_sound());
        let mut loaded = load(&chunks);
        loaded.check_invariants();
        let found = (dump(&loaded), loaded.digest(), loaded.counts(), loaded.last_zxid());
        prop_assert_eq!(found, at_start);
        for ((zxid, entry), expected) in log[start..].iter().zip(outcomes) {
            prop_assert_eq!(entry.apply(*zxid, &mut loaded), expected);
        }
        loaded.check_invariants();
        prop_assert_eq!(loaded.digest(), tree.digest());
        prop_assert_eq!(dump(&loaded), dump(&tree));
    }

    #[test]
    fn replay_gives_the_same_digest(steps in steps()) {
        let log = log_of(&steps);
        let replay = || {
            let mut tree = Tree::new();
            let outcomes: Vec<_> =
                log.iter().map(|(zxid, entry)| entry.apply(*zxid, &mut tree)).collect();
            (outcomes, tree.digest())
        };
        prop_assert_eq!(replay(), replay());
    }

    #[test]
    fn damaged_snapshot_never_panics(
        steps in steps(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let log = log_of(&steps);
        let mut tree = Tree::new();
        for (zxid, entry) in &log {
            entry.apply(*zxid, &mut tree);
        }
        tree.start_snapshot();
        let mut bytes: Vec<u8> = std::iter::from_fn(|| tree.snapshot_chunk(100)).flatten().collect();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        let mut loader = TreeLoader::new();
        if loader.chunk(&bytes).is_ok() && let Ok(tree) = loader.finish() {
            tree.check_invariants();
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(0..6u8, 0..300)) {
        let mut loader = TreeLoader::new();
        let _ = loader.chunk(&bytes);
        prop_assert!(loader.finish().is_err());
    }
}
