//! Closing a new tree to everybody, before anybody has seen it.
//!
//! If the operator wants it so, the leader takes all rights on the znodes that a tree begins with away from
//! everybody, which leaves them to the super user; and no member serves clients before that is applied there.
//! A tree that was used before is left alone. The proposal names the ACLs' first versions, so that of several
//! leaders' proposals one takes effect and the others do nothing.

use super::handle::{Ensemble, Role};
use super::limits::{CLOSING_INTERVAL, CLOSING_TIMEOUT};
use crate::tree::{Acl, Actor, Command, Op, Stat, Tree, Zxid};
use std::future::pending;
use tokio::time::{sleep, timeout};

/// The znodes that everybody may use in a new tree.
const OPEN: [&str; 3] = ["/", "/zookeeper", "/zookeeper/quota"];

/// Whether nobody has created, set or protected anything there yet.
pub(super) fn is_fresh(tree: &Tree) -> bool {
    let stats = OPEN.map(|path| tree.get(path).map(|znode| znode.stat()));
    let is_untouched =
        |stat: Stat| stat.version == 0 && stat.aversion == 0 && stat.pzxid == Zxid::default();
    stats.into_iter().all(|stat| stat.is_some_and(is_untouched))
}

/// Closes the tree if it is new, whenever this member leads; then idles.
pub(super) async fn close(ensemble: Ensemble) {
    while ensemble.read(is_fresh) {
        if ensemble.status().role == Role::Leader {
            let proposed = ensemble.propose(Actor::Ensemble, closing()).await;
            // Whatever became of it shows in the tree.
            if let Ok(applied) = proposed {
                let _ = timeout(CLOSING_TIMEOUT, applied).await;
            }
        }
        sleep(CLOSING_INTERVAL).await;
    }
    pending().await
}

fn closing() -> Command {
    let nothing = Acl {
        perms: 0,
        scheme: "world".into(),
        id: "anyone".into(),
    };
    let closed = OPEN.map(|path| Op::SetAcl {
        path: path.into(),
        acl: vec![nothing.clone()],
        version: 0,
    });
    Command::Multi(closed.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{CreateMode, Permission, Transaction};

    fn apply(tree: &mut Tree, zxid: u64, command: Command) {
        let transaction = Transaction {
            time_ms: 0,
            actor: Actor::Ensemble,
            command,
        };
        tree.apply(Zxid(zxid), &transaction);
    }

    fn create(path: &str) -> Command {
        Command::One(Op::Create {
            path: path.into(),
            data: None,
            acl: Acl::open(),
            mode: CreateMode::PERSISTENT,
        })
    }

    #[test]
    fn a_new_tree_is_closed_once() {
        let mut tree = Tree::new();
        assert!(is_fresh(&tree));
        for zxid in [1, 2] {
            apply(&mut tree, zxid, closing());
            assert!(!is_fresh(&tree));
            for path in OPEN {
                let znode = tree.get(path).expect("it is there from the start");
                assert!(!znode.permits(Permission::Read, &[]), "{path}");
                assert_eq!(znode.stat().aversion, 1, "{path}");
            }
        }
        let config = tree.get("/zookeeper/config").expect("it is there");
        assert!(config.permits(Permission::Read, &[]));
    }

    #[test]
    fn a_tree_in_use_is_not_new_even_when_it_is_empty_again() {
        let mut tree = Tree::new();
        apply(&mut tree, 1, create("/a"));
        let path = "/a".into();
        apply(&mut tree, 2, Command::One(Op::Delete { path, version: -1 }));
        assert!(!is_fresh(&tree));
        let mut tree = Tree::new();
        apply(&mut tree, 1, create("/zookeeper/quota/a"));
        assert!(!is_fresh(&tree));
    }
}
