//! Reads: what the tree, as it is applied here, has to say.

use super::dispatch::{Read, ReadWhat};
use super::watches::WatchKind;
use super::wire::{AclResponse, DataResponse, Wire, put_strings};
use crate::tree::{ErrorCode, Tree, Znode};
use bytes::BytesMut;

/// What a read found, in a tree that stays still meanwhile.
pub(super) struct Found<'t> {
    znode: Znode<'t>,
    what: ReadWhat,
}

impl<'t> Found<'t> {
    /// Does the read.
    ///
    /// # Errors
    /// [`ErrorCode::NoNode`], or [`ErrorCode::BadArguments`] for `exists` with a NUL in the path: the one
    /// case in which ZooKeeper's reads look at the form of a path.
    pub(super) fn of(read: &Read, tree: &'t Tree) -> Result<Found<'t>, ErrorCode> {
        if read.what == ReadWhat::Existence && read.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let znode = tree.get(&read.path).ok_or(ErrorCode::NoNode)?;
        let what = read.what;
        Ok(Found { znode, what })
    }

    /// Appends the reply's body.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        let znode = self.znode;
        match self.what {
            ReadWhat::Existence => znode.stat().encode(out),
            ReadWhat::Data => {
                let data = Some(znode.data().clone());
                let stat = znode.stat();
                DataResponse { data, stat }.encode(out);
            }
            ReadWhat::Acl => {
                let acl = znode.acl().to_vec();
                let stat = znode.stat();
                AclResponse { acl, stat }.encode(out);
            }
            ReadWhat::Children => put_strings(znode.children(), out),
            ReadWhat::ChildrenAndStat => {
                put_strings(znode.children(), out);
                znode.stat().encode(out);
            }
        }
    }
}

/// The watch that a read leaves behind, if it asked for one. A failed read leaves none, except that
/// `exists` then waits for the znode to appear.
pub(super) fn watch_of(read: &Read, found: Result<(), ErrorCode>) -> Option<WatchKind> {
    if !read.watch {
        return None;
    }
    match (read.what, found) {
        (ReadWhat::Existence | ReadWhat::Data, Ok(())) => Some(WatchKind::Data),
        (ReadWhat::Existence, Err(ErrorCode::NoNode)) => Some(WatchKind::Absence),
        (ReadWhat::Children | ReadWhat::ChildrenAndStat, Ok(())) => Some(WatchKind::Children),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReadWhat::*;

    fn read(what: ReadWhat, path: &str) -> Read {
        Read {
            what,
            path: path.into(),
            watch: true,
        }
    }

    fn error(read: &Read) -> Option<ErrorCode> {
        Found::of(read, &Tree::new()).err()
    }

    #[test]
    fn reads_do_not_judge_paths_but_for_exists_with_nul() {
        assert_eq!(error(&read(Data, "/a\0")), Some(ErrorCode::NoNode));
        assert_eq!(
            error(&read(Existence, "/a\0")),
            Some(ErrorCode::BadArguments)
        );
        assert_eq!(error(&read(Existence, "no/slash")), Some(ErrorCode::NoNode));
        assert_eq!(error(&read(Data, "")), None);
    }

    #[test]
    fn bodies_are_the_records_of_their_operations() {
        let tree = Tree::new();
        let root = tree.get("/").expect("the root exists");
        for (what, length) in [
            (Existence, 68),
            (Data, 4 + 68),
            (Children, 4 + 4 + "zookeeper".len()),
            (ChildrenAndStat, 4 + 4 + "zookeeper".len() + 68),
        ] {
            let found = Found { znode: root, what };
            let mut out = BytesMut::new();
            found.encode(&mut out);
            assert_eq!(out.len(), length, "{what:?}");
        }
    }

    #[test]
    fn only_exists_leaves_a_watch_when_it_fails() {
        let absent = Err(ErrorCode::NoNode);
        for (what, present, failed) in [
            (Existence, Some(WatchKind::Data), Some(WatchKind::Absence)),
            (Data, Some(WatchKind::Data), None),
            (Children, Some(WatchKind::Children), None),
            (ChildrenAndStat, Some(WatchKind::Children), None),
            (Acl, None, None),
        ] {
            assert_eq!(watch_of(&read(what, "/a"), Ok(())), present, "{what:?}");
            assert_eq!(watch_of(&read(what, "/a"), absent), failed, "{what:?}");
        }
        let silent = Read {
            watch: false,
            ..read(Data, "/a")
        };
        assert_eq!(watch_of(&silent, Ok(())), None);
    }
}
