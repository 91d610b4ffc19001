//! That a large family of siblings costs no more per child than a small one.

use super::fixture::*;
use crate::tree::{Actor, Command, Transaction};

/// Walking 50,000 siblings for each deletion would be a billion steps, which this test would not survive.
#[test]
fn children_of_a_large_parent_are_unlinked_directly() {
    let mut fixture = Fixture::new();
    let mut run = |op| {
        fixture.zxid.0 += 1;
        let transaction = Transaction {
            time_ms: 0,
            actor: Actor::Ensemble,
            command: Command::One(op),
        };
        let outcome = fixture.tree.apply(fixture.zxid, &transaction);
        assert!(outcome.result.is_ok());
    };
    run(create("/p"));
    for nth in 0..50_000 {
        run(create(&format!("/p/{nth}")));
    }
    for nth in (0..50_000).filter(|nth| nth % 5 != 0) {
        run(delete(&format!("/p/{nth}"), -1));
    }
    fixture.tree.check_invariants();
    let parent = fixture.tree.get("/p").expect("created");
    assert_eq!(parent.children().count(), 10_000);
    assert_eq!(parent.descendants(), 10_000);
}
