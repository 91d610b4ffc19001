//! What each operation does: its checks in ZooKeeper's order, its change, its events.
//!
//! The order of the checks decides which of several errors a client sees, so it must not change. No
//! operation changes anything before its last check has passed.
//!
//! Source: `PrepRequestProcessor.pRequest2Txn` and `DataTree.processTxn` of ZooKeeper 3.9.

use super::acl_table::AclList;
use super::owner::Owner;
use super::record::{Content, Record, ZnodeId, next_version};
use super::store::Store;
use super::{
    Acl, Change, CreateMode, ErrorCode, Event, Identity, MultiFailure, Op, OpReply, Permission,
    SessionId, Stat, Zxid, acl, path, quota,
};
use bytes::Bytes;
use std::sync::Arc;

/// One transaction while it is carried out.
pub(super) struct Execution<'a> {
    /// What it changes.
    pub(super) store: &'a mut Store,
    /// Its id.
    pub(super) zxid: Zxid,
    /// Its time, milliseconds since the Unix epoch.
    pub(super) time_ms: i64,
    /// The session that asks, or none if it is the ensemble, which no ACL stops.
    pub(super) session: SessionId,
    /// What the client has proved.
    pub(super) identities: &'a [Identity],
    /// What happened so far.
    pub(super) events: Vec<Event>,
}

impl Execution<'_> {
    /// Carries out one operation.
    ///
    /// # Errors
    /// Nothing was changed then, and no event was noted.
    pub(super) fn run(&mut self, op: &Op) -> Result<OpReply, ErrorCode> {
        match op {
            Op::Create {
                path,
                data,
                acl,
                mode,
            } => self.create(path, data, acl, *mode),
            Op::Delete { path, version } => self.delete(path, *version),
            Op::SetData {
                path,
                data,
                version,
            } => self.set_data(path, data, *version),
            Op::SetAcl { path, acl, version } => self.set_acl(path, acl, *version),
            Op::Check { path, version } => self.check(path, *version),
            Op::Refuse(code) => Err(*code),
        }
    }

    /// Carries out all operations or none.
    ///
    /// # Errors
    /// Which one failed first; nothing was changed then, and no event is left.
    pub(super) fn run_all(&mut self, ops: &[Op]) -> Result<Vec<OpReply>, MultiFailure> {
        self.store.begin();
        let replies = ops
            .iter()
            .enumerate()
            .map(|(index, op)| self.run(op).map_err(|code| MultiFailure { index, code }))
            .collect();
        match replies {
            Ok(_) => self.store.commit(),
            Err(_) => {
                self.store.roll_back();
                self.events.clear();
            }
        }
        replies
    }

    /// Removes all ephemerals of a session, in the order of their paths.
    pub(super) fn remove_ephemerals(&mut self, session: SessionId) {
        let mut owned: Vec<(String, ZnodeId)> = self
            .store
            .ephemerals(session)
            .map(|id| (self.store.path(id), id))
            .collect();
        owned.sort_unstable();
        for (path, id) in owned {
            self.remove(path.into(), id);
        }
    }

    /// Removes a container or a TTL znode whose time is up, whoever may delete it otherwise.
    ///
    /// # Errors
    /// [`ErrorCode::NoNode`] when it is gone, [`ErrorCode::BadVersion`] when its time is not up (any more);
    /// nothing was changed then.
    pub(super) fn reap(&mut self, path: &Arc<str>) -> Result<(), ErrorCode> {
        let id = self.store.resolve(path).ok_or(ErrorCode::NoNode)?;
        if !self.store.entry(id).record.is_over(self.time_ms) {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(path.clone(), id);
        Ok(())
    }

    fn create(
        &mut self,
        prefix: &Arc<str>,
        data: &Option<Bytes>,
        acl: &[Acl],
        mode: CreateMode,
    ) -> Result<OpReply, ErrorCode> {
        let owner = Owner::new(mode.lifetime, self.session)?;
        let (parent_path, _) = path::split(prefix)?;
        let acl = acl::normalize(acl, self.identities)?;
        let parent = self.store.resolve(parent_path).ok_or(ErrorCode::NoNode)?;
        self.may(Permission::Create, parent)?;
        let above = &self.store.entry(parent).record;
        let path = if mode.sequential {
            format!("{prefix}{:010}", above.creates).into()
        } else {
            prefix.clone()
        };
        path::validate(&path)?;
        let (_, segment) = path::split(&path)?;
        // The only valid path without a last segment is that of the root.
        if segment.is_empty() || self.store.find(parent, segment).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if above.is_ephemeral() {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let length = length(data);
        self.store.afford(&path, 1, length)?;
        let record = Record::new(self.zxid, self.time_ms, owner);
        let stat = record.stat(data);
        let content = Content {
            data: own(data),
            acl: self.store.intern(&acl),
        };
        let content_acl = content.acl.clone();
        let id = self.store.insert(parent, segment, record, content);
        if segment == quota::STATS {
            self.store.fill_stats(&path, id);
        }
        self.store.charge(&path, 1, length);
        self.tell(Change::Created, path.clone(), content_acl);
        self.children_changed(&path, parent);
        Ok(OpReply::Created { path, stat })
    }

    fn delete(&mut self, path: &Arc<str>, version: i32) -> Result<OpReply, ErrorCode> {
        let (parent_path, segment) = path::split(path)?;
        if path::is_protected(path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.store.resolve(parent_path).ok_or(ErrorCode::NoNode)?;
        self.may(Permission::Delete, parent)?;
        let id = self.store.find(parent, segment).ok_or(ErrorCode::NoNode)?;
        let record = &self.store.entry(id).record;
        expect_version(version, record.version)?;
        if record.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.remove(path.clone(), id);
        Ok(OpReply::Deleted)
    }

    fn set_data(
        &mut self,
        path: &Arc<str>,
        data: &Option<Bytes>,
        version: i32,
    ) -> Result<OpReply, ErrorCode> {
        path::validate(path)?;
        let id = self.store.resolve(path).ok_or(ErrorCode::NoNode)?;
        self.may(Permission::Write, id)?;
        let entry = self.store.entry(id);
        let growth = length(data) - length(&entry.content.data);
        self.store.afford(path, 0, growth)?;
        expect_version(version, entry.record.version)?;
        Ok(OpReply::DataSet(self.write(path, id, data)))
    }

    /// Sets data, whoever may and however much it is.
    pub(super) fn write(&mut self, path: &Arc<str>, id: ZnodeId, data: &Option<Bytes>) -> Stat {
        let entry = self.store.entry(id);
        let growth = length(data) - length(&entry.content.data);
        let record = Record {
            version: next_version(entry.record.version),
            mzxid: self.zxid,
            mtime: self.time_ms,
            ..entry.record
        };
        let acl = entry.content.acl.clone();
        let content = Content {
            data: own(data),
            acl: acl.clone(),
        };
        self.store.replace(id, record, content);
        self.store.charge(path, 0, growth);
        self.tell(Change::Data, path.clone(), acl);
        record.stat(data)
    }

    fn set_acl(
        &mut self,
        path: &Arc<str>,
        acl: &[Acl],
        version: i32,
    ) -> Result<OpReply, ErrorCode> {
        path::validate(path)?;
        let acl = acl::normalize(acl, self.identities)?;
        let id = self.store.resolve(path).ok_or(ErrorCode::NoNode)?;
        self.may(Permission::Admin, id)?;
        let entry = self.store.entry(id);
        expect_version(version, entry.record.aversion)?;
        let record = Record {
            aversion: next_version(entry.record.aversion),
            ..entry.record
        };
        let data = entry.content.data.clone();
        let stat = record.stat(&data);
        let content = Content {
            data,
            acl: self.store.intern(&acl),
        };
        self.store.replace(id, record, content);
        Ok(OpReply::AclSet(stat))
    }

    fn check(&self, path: &str, version: i32) -> Result<OpReply, ErrorCode> {
        path::validate(path)?;
        let id = self.store.resolve(path).ok_or(ErrorCode::NoNode)?;
        self.may(Permission::Read, id)?;
        expect_version(version, self.store.entry(id).record.version)?;
        Ok(OpReply::Checked)
    }

    /// Whether the caller has a permission on a znode. The ensemble has all: what it does is its own
    /// housekeeping, or was asked of it by whoever runs it.
    fn may(&self, permission: Permission, id: ZnodeId) -> Result<(), ErrorCode> {
        let acl = &self.store.entry(id).content.acl;
        if self.session == SessionId::NONE || acl.permits(permission, self.identities) {
            Ok(())
        } else {
            Err(ErrorCode::NoAuth)
        }
    }

    fn remove(&mut self, path: Arc<str>, id: ZnodeId) {
        let entry = self.store.entry(id);
        let (acl, parent) = (entry.content.acl.clone(), entry.parent);
        let length = length(&entry.content.data);
        self.store.remove(id, self.zxid);
        self.store.charge(&path, -1, -length);
        self.tell(Change::Deleted, path.clone(), acl);
        self.children_changed(&path, parent);
    }

    fn children_changed(&mut self, path: &str, parent: ZnodeId) {
        let acl = self.store.entry(parent).content.acl.clone();
        self.tell(Change::Children, path::parent(path).into(), acl);
    }

    fn tell(&mut self, change: Change, path: Arc<str>, acl: Arc<AclList>) {
        self.events.push(Event::Znode { change, path, acl });
    }
}

/// Version -1 matches any.
fn expect_version(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == actual {
        Ok(())
    } else {
        Err(ErrorCode::BadVersion)
    }
}

/// Bytes of data, as quotas count them.
fn length(data: &Option<Bytes>) -> i64 {
    data.as_ref().map_or(0, Bytes::len) as i64
}

/// A copy of its own: the data of a command may be a slice of a whole receive buffer, which a znode would
/// keep alive for as long as it lives.
fn own(data: &Option<Bytes>) -> Option<Bytes> {
    data.as_deref().map(Bytes::copy_from_slice)
}
