//! What each operation does: its checks in ZooKeeper's order, its change, its events.
//!
//! The order of the checks decides which of several errors a client sees, so it must not change. No
//! operation changes anything before its last check has passed.
//!
//! Source: `PrepRequestProcessor.pRequest2Txn` and `DataTree.processTxn` of ZooKeeper 3.9.

use super::record::{Content, Record, ZnodeId, next_version};
use super::store::Store;
use super::{
    Acl, CreateMode, ErrorCode, Event, Identity, MultiFailure, Op, OpReply, SessionId, Zxid, acl,
    path,
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
    /// The session that asks, or none if it is the ensemble.
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

    fn create(
        &mut self,
        prefix: &Arc<str>,
        data: &Bytes,
        acl: &[Acl],
        mode: CreateMode,
    ) -> Result<OpReply, ErrorCode> {
        if mode.ephemeral && self.session == SessionId::NONE {
            return Err(ErrorCode::BadArguments);
        }
        let (parent_path, _) = path::split(prefix)?;
        let acl = acl::normalize(acl, self.identities)?;
        let parent = self.store.resolve(parent_path).ok_or(ErrorCode::NoNode)?;
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
        let owner = if mode.ephemeral {
            self.session
        } else {
            SessionId::NONE
        };
        let record = Record::new(self.zxid, self.time_ms, owner);
        let stat = record.stat(data);
        let content = Content {
            data: own(data),
            acl: self.store.intern(&acl),
        };
        self.store.insert(parent, segment, record, content);
        self.events.push(Event::Created(path.clone()));
        self.children_changed(&path);
        Ok(OpReply::Created { path, stat })
    }

    fn delete(&mut self, path: &Arc<str>, version: i32) -> Result<OpReply, ErrorCode> {
        let (parent_path, segment) = path::split(path)?;
        if path::is_protected(path) {
            return Err(ErrorCode::BadArguments);
        }
        let parent = self.store.resolve(parent_path).ok_or(ErrorCode::NoNode)?;
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
        data: &Bytes,
        version: i32,
    ) -> Result<OpReply, ErrorCode> {
        path::validate(path)?;
        let id = self.store.resolve(path).ok_or(ErrorCode::NoNode)?;
        let entry = self.store.entry(id);
        expect_version(version, entry.record.version)?;
        let record = Record {
            version: next_version(entry.record.version),
            mzxid: self.zxid,
            mtime: self.time_ms,
            ..entry.record
        };
        let content = Content {
            data: own(data),
            acl: entry.content.acl.clone(),
        };
        self.store.replace(id, record, content);
        self.events.push(Event::DataChanged(path.clone()));
        Ok(OpReply::DataSet(record.stat(data)))
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
        expect_version(version, self.store.entry(id).record.version)?;
        Ok(OpReply::Checked)
    }

    fn remove(&mut self, path: Arc<str>, id: ZnodeId) {
        self.store.remove(id, self.zxid);
        self.events.push(Event::Deleted(path.clone()));
        self.children_changed(&path);
    }

    fn children_changed(&mut self, path: &str) {
        let parent = path::parent(path);
        self.events.push(Event::ChildrenChanged(parent.into()));
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

/// A copy of its own: the data of a command may be a slice of a whole receive buffer, which a znode would
/// keep alive for as long as it lives.
fn own(data: &Bytes) -> Bytes {
    Bytes::copy_from_slice(data)
}
