//! Damage that the running digest does not see is found by the walk, and by the writing of a snapshot.

use super::fixture::{Fixture, create};
use crate::tree::{Flip, Scrub, Tree};

fn full() -> Tree {
    let mut fixture = Fixture::new();
    fixture.open();
    for number in 0..50 {
        fixture.must(create(&format!("/{number:02}")));
    }
    fixture.tree
}

/// Walks to the end.
fn verdict(tree: &mut Tree, limit: usize) -> Scrub {
    loop {
        match tree.scrub(limit) {
            Scrub::UnderWay => {}
            end => return end,
        }
    }
}

fn is_snapshot_sound(tree: &mut Tree) -> bool {
    tree.start_snapshot();
    while tree.snapshot_chunk(7).is_some() {}
    tree.is_snapshot_sound()
}

#[test]
fn what_is_sound_is_found_sound() {
    for limit in [0, 1, 7, 1000] {
        let mut tree = full();
        assert_eq!(verdict(&mut tree, limit), Scrub::Sound);
        assert_eq!(verdict(&mut tree, limit), Scrub::Sound);
        assert!(is_snapshot_sound(&mut tree));
    }
}

#[test]
fn every_kind_of_damage_is_found() {
    for flip in Flip::ALL {
        let mut tree = full();
        let digest = tree.digest();
        tree.flip(flip, "/07");
        let follows = flip == Flip::Applied;
        assert_eq!(tree.digest() != digest, follows, "{flip:?}");
        let found = matches!(verdict(&mut tree, 7), Scrub::Damaged(_));
        assert_eq!(found, !follows, "{flip:?}");
        // Sessions are copied when a snapshot begins, and hashed as they are written.
        assert_eq!(is_snapshot_sound(&mut tree), follows, "{flip:?}");
    }
}

#[test]
fn damage_behind_the_walk_is_found_by_the_next_one() {
    let mut tree = full();
    assert_eq!(tree.scrub(40), Scrub::UnderWay);
    tree.flip(Flip::Data, "/07");
    assert_eq!(verdict(&mut tree, 7), Scrub::Sound);
    assert!(matches!(verdict(&mut tree, 7), Scrub::Damaged(_)));
}
