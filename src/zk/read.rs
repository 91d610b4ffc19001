//! Reads: what the tree, as it is applied here, has to say.

use super::dispatch::{Read, ReadWhat};
use super::watches::WatchKind;
use super::wire::{
    AclResponse, ClientIdentity, DataResponse, MAX_REPLY_FRAME, MultiHeader, OpCode, Wire,
    put_failure, put_strings,
};
use crate::tree::{ErrorCode, Identity, Permission, SessionId, Tree, Znode};
use bytes::BytesMut;

/// What a read found, in a tree that stays still meanwhile.
pub(super) struct Found<'t> {
    znode: Znode<'t>,
    read: &'t Read,
    identities: &'t [Identity],
}

impl<'t> Found<'t> {
    /// Does the read, for a client that has proved `identities`.
    ///
    /// # Errors
    /// [`ErrorCode::NoNode`]; [`ErrorCode::NoAuth`], which the ACL of a znode that exists may give; or
    /// [`ErrorCode::BadArguments`] for `exists` with a NUL in the path: the one case in which ZooKeeper's reads
    /// look at the form of a path.
    pub(super) fn of(
        read: &'t Read,
        tree: &'t Tree,
        identities: &'t [Identity],
    ) -> Result<Found<'t>, ErrorCode> {
        if read.what == ReadWhat::Existence && read.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let znode = tree.get(&read.path).ok_or(ErrorCode::NoNode)?;
        // Whoever may set an ACL may see it.
        let permitted = znode.permits(Permission::Read, identities)
            || read.what == ReadWhat::Acl && znode.permits(Permission::Admin, identities);
        match permitted {
            true => Ok(Found {
                znode,
                read,
                identities,
            }),
            false => Err(ErrorCode::NoAuth),
        }
    }

    /// Appends the reply's body.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        let znode = self.znode;
        match self.read.what {
            ReadWhat::Existence => znode.stat().encode(out),
            ReadWhat::Data => {
                let data = znode.data().cloned();
                let stat = znode.stat();
                DataResponse { data, stat }.encode(out);
            }
            ReadWhat::Acl => {
                let acl = znode.acl_shown_to(self.identities);
                let stat = znode.stat();
                AclResponse { acl, stat }.encode(out);
            }
            ReadWhat::Children => put_strings(znode.children(), out),
            ReadWhat::ChildrenAndStat => {
                put_strings(znode.children(), out);
                znode.stat().encode(out);
            }
            ReadWhat::Descendants => {
                // By its empty name, the root is below itself in ZooKeeper.
                let itself = usize::from(self.read.path.is_empty());
                let number = znode.descendants() + itself;
                i32::try_from(number).unwrap_or(i32::MAX).encode(out);
            }
        }
    }
}

/// The body of the reply to a `multiRead`: each result or its error, all of one state of the tree.
///
/// # Errors
/// [`ErrorCode::MarshallingError`] when it would be longer than any client takes. ZooKeeper sends such a reply, and
/// its clients give the connection up over it; a short request could make a member compose gigabytes.
pub(super) fn multi_read(
    reads: &[Read],
    tree: &Tree,
    identities: &[Identity],
) -> Result<BytesMut, ErrorCode> {
    let mut out = BytesMut::new();
    for read in reads {
        match Found::of(read, tree, identities) {
            Ok(found) => {
                MultiHeader::result(opcode(read.what)).encode(&mut out);
                found.encode(&mut out);
            }
            Err(code) => put_failure(code.to_wire(), &mut out),
        }
        if out.len() > MAX_MULTI_READ {
            return Err(ErrorCode::MarshallingError);
        }
    }
    MultiHeader::END.encode(&mut out);
    Ok(out)
}

/// Longest body of a reply to a `multiRead`, bytes: a frame without its headers.
const MAX_MULTI_READ: usize = MAX_REPLY_FRAME - 64;

fn opcode(what: ReadWhat) -> OpCode {
    match what {
        ReadWhat::Existence => OpCode::Exists,
        ReadWhat::Data => OpCode::GetData,
        ReadWhat::Acl => OpCode::GetAcl,
        ReadWhat::Children => OpCode::GetChildren,
        ReadWhat::ChildrenAndStat => OpCode::GetChildren2,
        ReadWhat::Descendants => OpCode::GetAllChildrenNumber,
    }
}

/// The ephemerals of a session whose paths begin with `prefix`, in order; all of them if it is null, blank or
/// the root. It is a prefix of text, not of path segments.
pub(super) fn ephemerals(tree: &Tree, session: SessionId, prefix: Option<&str>) -> Vec<String> {
    let prefix = prefix.filter(|prefix| !matches!(prefix.trim(), "" | "/"));
    let mut paths: Vec<String> = tree
        .ephemerals(session)
        .filter(|path| prefix.is_none_or(|prefix| path.starts_with(prefix)))
        .collect();
    paths.sort_unstable();
    paths
}

/// What `whoAmI` answers: the address first, then what was proved, in that order. Of a digest the user only.
/// ZooKeeper keeps identities in a hash set, so that its order is none.
pub(super) fn who_am_i(identities: &[Identity]) -> Vec<ClientIdentity> {
    let shown = |identity: &Identity| {
        let user = match identity.id.split_once(':') {
            Some((user, _)) if identity.scheme == "digest" => user,
            _ => &identity.id,
        };
        ClientIdentity {
            scheme: identity.scheme.as_str().into(),
            user: user.into(),
        }
    };
    identities.iter().map(shown).collect()
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
mod tests;
