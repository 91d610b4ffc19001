//! What each operation does to the model.

use super::quota::length;
use super::{Model, ModelZnode};
use crate::tree::tests::fixture::event_of;
use crate::tree::{
    Acl, Actor, Change, ErrorCode, Event, Identity, Lifetime, Op, OpReply, SessionId, Stat, acl,
    path,
};
use std::sync::Arc;

impl Model {
    pub(super) fn remove(&mut self, path: &str, events: &mut Vec<Event>) {
        let gone = self.znodes.remove(path).expect("exists");
        let parent = self.znodes.get_mut(path::parent(path)).expect("exists");
        parent.stat.cversion += 1;
        parent.stat.num_children -= 1;
        parent.stat.pzxid = self.zxid;
        events.push(event_of(Change::Deleted, path, &gone.acl));
        events.push(event_of(Change::Children, path::parent(path), &parent.acl));
        self.charge(path, -1, -length(&gone.data));
    }

    pub(super) fn run(
        &mut self,
        op: &Op,
        actor: &Actor,
        events: &mut Vec<Event>,
    ) -> Result<OpReply, ErrorCode> {
        let identities: &[Identity] = match actor {
            Actor::Session { identities, .. } => identities,
            Actor::Ensemble => &[],
        };
        match op {
            Op::Create { .. } => self.create(op, actor, events),
            Op::Delete { path, version } => {
                if path.contains('\0') || !path.contains('/') || path::is_protected(path) {
                    return Err(ErrorCode::BadArguments);
                }
                let parent = self.znodes.get(path::parent(path));
                may(actor, 8, parent.ok_or(ErrorCode::NoNode)?)?;
                let znode = self.znodes.get(&**path).ok_or(ErrorCode::NoNode)?;
                matches(*version, znode.stat.version)?;
                if znode.stat.num_children > 0 {
                    return Err(ErrorCode::NotEmpty);
                }
                self.remove(path, events);
                Ok(OpReply::Deleted)
            }
            Op::SetData {
                path,
                data,
                version,
            } => {
                path::validate(path)?;
                let znode = self.znodes.get(&**path).ok_or(ErrorCode::NoNode)?;
                may(actor, 2, znode)?;
                let data = data.as_ref().map(|data| data.to_vec());
                let growth = length(&data) - length(&znode.data);
                self.afford(path, 0, growth)?;
                matches(*version, znode.stat.version)?;
                let znode = self.znodes.get_mut(&**path).expect("found");
                znode.stat.data_length = length(&data) as i32;
                znode.data = data;
                znode.stat.version += 1;
                znode.stat.mzxid = self.zxid;
                znode.stat.mtime = self.time_ms;
                events.push(event_of(Change::Data, path, &znode.acl));
                let stat = znode.stat;
                self.charge(path, 0, growth);
                Ok(OpReply::DataSet(stat))
            }
            Op::SetAcl { path, acl, version } => {
                path::validate(path)?;
                let acl = normal(path, acl, identities)?;
                let znode = self.znodes.get_mut(&**path).ok_or(ErrorCode::NoNode)?;
                may(actor, 16, znode)?;
                matches(*version, znode.stat.aversion)?;
                znode.acl = acl;
                znode.stat.aversion += 1;
                Ok(OpReply::AclSet(znode.stat))
            }
            Op::Check { path, version } => {
                path::validate(path)?;
                let znode = self.znodes.get(&**path).ok_or(ErrorCode::NoNode)?;
                may(actor, 1, znode)?;
                matches(*version, znode.stat.version)?;
                Ok(OpReply::Checked)
            }
            Op::Refuse(code) => Err(*code),
        }
    }

    fn create(
        &mut self,
        op: &Op,
        actor: &Actor,
        events: &mut Vec<Event>,
    ) -> Result<OpReply, ErrorCode> {
        let Op::Create {
            path,
            data,
            acl,
            mode,
        } = op
        else {
            panic!("not a create: {op:?}");
        };
        let (owner, identities): (SessionId, &[Identity]) = match actor {
            Actor::Session { id, identities, .. } => (*id, identities),
            Actor::Ensemble if mode.is_ephemeral() => return Err(ErrorCode::BadArguments),
            Actor::Ensemble => (SessionId::NONE, &[]),
        };
        if matches!(mode.lifetime, Lifetime::Ttl(ms) if ms == 0 || ms >= 1 << 40) {
            return Err(ErrorCode::BadArguments);
        }
        let acl = normal(path, acl, identities)?;
        let above = match path.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((above, _)) => above,
        };
        let parent = self.znodes.get(above).ok_or(ErrorCode::NoNode)?;
        may(actor, 4, parent)?;
        let path = match mode.sequential {
            true => format!("{path}{:010}", parent.creates),
            false => path.to_string(),
        };
        path::validate(&path)?;
        if self.znodes.contains_key(&path) {
            return Err(ErrorCode::NodeExists);
        }
        if parent.stat.ephemeral_owner != SessionId::NONE {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let data = data.as_ref().map(|data| data.to_vec());
        self.afford(&path, 1, length(&data))?;
        let stat = Stat {
            czxid: self.zxid,
            mzxid: self.zxid,
            pzxid: self.zxid,
            ctime: self.time_ms,
            mtime: self.time_ms,
            data_length: length(&data) as i32,
            ephemeral_owner: if mode.is_ephemeral() {
                owner
            } else {
                SessionId::NONE
            },
            ..Stat::default()
        };
        let znode = ModelZnode {
            stat,
            creates: 0,
            lifetime: mode.lifetime,
            data,
            acl,
        };
        self.add(&path, znode, events);
        let path = Arc::from(path);
        Ok(OpReply::Created { path, stat })
    }

    fn add(&mut self, path: &str, znode: ModelZnode, events: &mut Vec<Event>) {
        events.push(event_of(Change::Created, path, &znode.acl));
        let bytes = length(&znode.data);
        self.znodes.insert(path.into(), znode);
        let parent = self.znodes.get_mut(path::parent(path)).expect("exists");
        parent.creates += 1;
        parent.stat.cversion += 1;
        parent.stat.num_children += 1;
        parent.stat.pzxid = self.zxid;
        events.push(event_of(Change::Children, path::parent(path), &parent.acl));
        self.fill_stats(path);
        self.charge(path, 1, bytes);
    }
}

/// Slash and NUL first, then the ACL, whose own rules are tested where they stand.
fn normal(path: &str, acl: &[Acl], identities: &[Identity]) -> Result<Vec<Acl>, ErrorCode> {
    if path.contains('\0') || !path.contains('/') {
        return Err(ErrorCode::BadArguments);
    }
    acl::normalize(acl, identities).map(|acl| acl.into_owned())
}

/// The rules of the few identities and entries that random histories are made of.
fn may(actor: &Actor, bit: i32, znode: &ModelZnode) -> Result<(), ErrorCode> {
    let Actor::Session { identities, .. } = actor else {
        return Ok(());
    };
    let proved = |scheme: &str, id: &str| {
        let mut identities = identities.iter();
        identities.any(|i| i.scheme == scheme && (i.id == id || scheme == "super"))
    };
    let mut granting = znode.acl.iter().filter(|entry| entry.perms & bit != 0);
    let granted = granting.any(|entry| match &*entry.scheme {
        "world" => true,
        "digest" => proved("digest", &entry.id),
        "ip" => entry.id == "10.0.0.0/8" && proved("ip", "10.1.2.3"),
        other => panic!("histories have no entries of {other}"),
    });
    match granted || proved("super", "") {
        true => Ok(()),
        false => Err(ErrorCode::NoAuth),
    }
}

fn matches(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    match expected == -1 || expected == actual {
        true => Ok(()),
        false => Err(ErrorCode::BadVersion),
    }
}
