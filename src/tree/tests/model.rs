//! The same semantics, written down naively: a sorted map of full paths, and a copy of it to undo a multi.

use super::fixture::Seen;
use crate::tree::{
    Acl, Actor, Command, ErrorCode, Event, Identity, MultiFailure, Op, OpReply, Outcome, Reply,
    Session, SessionId, Stat, Transaction, Zxid, acl, path,
};
use std::collections::BTreeMap;
use std::sync::Arc;

#[derive(Clone)]
struct ModelZnode {
    stat: Stat,
    creates: i32,
    data: Vec<u8>,
    acl: Vec<Acl>,
}

/// A tree that is right because there is nothing clever about it.
#[derive(Clone)]
pub(super) struct Model {
    znodes: BTreeMap<String, ModelZnode>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    zxid: Zxid,
    time_ms: i64,
}

impl Model {
    pub(super) fn new() -> Model {
        let mut model = Model {
            znodes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            zxid: Zxid(0),
            time_ms: 0,
        };
        for (path, cversion, perms) in [
            ("/", -1, 31),
            ("/zookeeper", -2, 31),
            ("/zookeeper/quota", 0, 31),
            ("/zookeeper/config", 0, 1),
        ] {
            let mut acl = Acl::open();
            acl[0].perms = perms;
            let stat = Stat {
                cversion,
                num_children: -cversion,
                ..Stat::default()
            };
            let znode = ModelZnode {
                stat,
                creates: 0,
                data: vec![],
                acl,
            };
            model.znodes.insert(path.into(), znode);
        }
        model
    }

    /// Everything there is to read.
    pub(super) fn dump(&self) -> BTreeMap<String, Seen> {
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        for (path, znode) in &self.znodes {
            if path != "/" {
                let parent = seen.get_mut(path::parent(path)).expect("sorts before");
                let (_, name) = path.rsplit_once('/').expect("absolute");
                parent.children.push(name.into());
            }
            let of_this = Seen {
                stat: znode.stat,
                data: znode.data.clone(),
                acl: znode.acl.clone(),
                children: vec![],
            };
            seen.insert(path.clone(), of_this);
        }
        for znode in seen.values_mut() {
            znode.children.sort();
        }
        seen
    }

    pub(super) fn owned_by(&self, session: SessionId) -> Vec<String> {
        let owned = self.znodes.iter();
        owned
            .filter(|(_, znode)| znode.stat.ephemeral_owner == session)
            .map(|(path, _)| path.clone())
            .collect()
    }

    pub(super) fn apply(&mut self, zxid: Zxid, transaction: &Transaction) -> Outcome {
        self.zxid = zxid;
        self.time_ms = self.time_ms.max(transaction.time_ms);
        let mut events = vec![];
        let result = self.perform(transaction, &mut events);
        Outcome { result, events }
    }

    fn perform(
        &mut self,
        transaction: &Transaction,
        events: &mut Vec<Event>,
    ) -> Result<Reply, ErrorCode> {
        let actor = &transaction.actor;
        if let Actor::Session { id, attachment, .. } = actor {
            let session = self.sessions.get(id).ok_or(ErrorCode::SessionExpired)?;
            if session.attachment != *attachment {
                return Err(ErrorCode::SessionMoved);
            }
        }
        match &transaction.command {
            Command::OpenSession {
                member,
                password,
                timeout_ms,
            } => {
                let session = Session {
                    password: *password,
                    timeout_ms: *timeout_ms,
                    attachment: self.zxid,
                    member: *member,
                };
                Ok(self.attach(SessionId::new(*member, self.zxid), session, events))
            }
            Command::AttachSession {
                session,
                password,
                member,
                timeout_ms,
            } => match self.sessions.get(session) {
                Some(known) if known.password[..] == password[..] => {
                    let moved = Session {
                        password: known.password,
                        timeout_ms: *timeout_ms,
                        attachment: self.zxid,
                        member: *member,
                    };
                    Ok(self.attach(*session, moved, events))
                }
                _ => Err(ErrorCode::SessionExpired),
            },
            Command::CloseSession {
                session,
                attachment,
            } => self.close(actor, *session, *attachment, events),
            Command::One(op) => self.run(op, actor, events).map(Reply::One),
            Command::Multi(ops) => {
                let before = self.clone();
                let mut replies = vec![];
                for (index, op) in ops.iter().enumerate() {
                    match self.run(op, actor, events) {
                        Ok(reply) => replies.push(reply),
                        Err(code) => {
                            *self = before;
                            events.clear();
                            return Ok(Reply::Multi(Err(MultiFailure { index, code })));
                        }
                    }
                }
                Ok(Reply::Multi(Ok(replies)))
            }
        }
    }

    fn attach(&mut self, id: SessionId, session: Session, events: &mut Vec<Event>) -> Reply {
        self.sessions.insert(id, session);
        events.push(Event::SessionAttached {
            session: id,
            attachment: session.attachment,
            member: session.member,
        });
        Reply::Session {
            id,
            password: session.password,
            timeout_ms: session.timeout_ms,
        }
    }

    fn close(
        &mut self,
        actor: &Actor,
        session: SessionId,
        attachment: Option<Zxid>,
        events: &mut Vec<Event>,
    ) -> Result<Reply, ErrorCode> {
        if matches!(actor, Actor::Session { id, .. } if *id != session) {
            return Err(ErrorCode::BadArguments);
        }
        let known = self.sessions.get(&session);
        let known = known.ok_or(ErrorCode::SessionExpired)?;
        if attachment.is_some_and(|expired| expired != known.attachment) {
            return Err(ErrorCode::SessionMoved);
        }
        for path in self.owned_by(session) {
            self.remove(&path, events);
        }
        self.sessions.remove(&session);
        events.push(Event::SessionClosed(session));
        Ok(Reply::Closed)
    }

    fn remove(&mut self, path: &str, events: &mut Vec<Event>) {
        self.znodes.remove(path);
        let parent = self.znodes.get_mut(path::parent(path)).expect("exists");
        parent.stat.cversion += 1;
        parent.stat.num_children -= 1;
        parent.stat.pzxid = self.zxid;
        events.push(Event::Deleted(path.into()));
        events.push(Event::ChildrenChanged(path::parent(path).into()));
    }

    fn run(
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
                let znode = self.znodes.get_mut(&**path).ok_or(ErrorCode::NoNode)?;
                matches(*version, znode.stat.version)?;
                znode.data = data.to_vec();
                znode.stat.version += 1;
                znode.stat.mzxid = self.zxid;
                znode.stat.mtime = self.time_ms;
                znode.stat.data_length = data.len() as i32;
                events.push(Event::DataChanged(path.clone()));
                Ok(OpReply::DataSet(znode.stat))
            }
            Op::SetAcl { path, acl, version } => {
                path::validate(path)?;
                let acl = normal(path, acl, identities)?;
                let znode = self.znodes.get_mut(&**path).ok_or(ErrorCode::NoNode)?;
                matches(*version, znode.stat.aversion)?;
                znode.acl = acl;
                znode.stat.aversion += 1;
                Ok(OpReply::AclSet(znode.stat))
            }
            Op::Check { path, version } => {
                path::validate(path)?;
                let znode = self.znodes.get(&**path).ok_or(ErrorCode::NoNode)?;
                matches(*version, znode.stat.version)?;
                Ok(OpReply::Checked)
            }
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
            Actor::Ensemble if mode.ephemeral => return Err(ErrorCode::BadArguments),
            Actor::Ensemble => (SessionId::NONE, &[]),
        };
        let acl = normal(path, acl, identities)?;
        let above = match path.rsplit_once('/') {
            Some(("", _)) | None => "/",
            Some((above, _)) => above,
        };
        let parent = self.znodes.get(above).ok_or(ErrorCode::NoNode)?;
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
        let stat = Stat {
            czxid: self.zxid,
            mzxid: self.zxid,
            pzxid: self.zxid,
            ctime: self.time_ms,
            mtime: self.time_ms,
            data_length: data.len() as i32,
            ephemeral_owner: if mode.ephemeral {
                owner
            } else {
                SessionId::NONE
            },
            ..Stat::default()
        };
        let znode = ModelZnode {
            stat,
            creates: 0,
            data: data.to_vec(),
            acl,
        };
        self.add(&path, znode, events);
        let path = Arc::from(path);
        Ok(OpReply::Created { path, stat })
    }

    fn add(&mut self, path: &str, znode: ModelZnode, events: &mut Vec<Event>) {
        self.znodes.insert(path.into(), znode);
        let parent = self.znodes.get_mut(path::parent(path)).expect("exists");
        parent.creates += 1;
        parent.stat.cversion += 1;
        parent.stat.num_children += 1;
        parent.stat.pzxid = self.zxid;
        events.push(Event::Created(path.into()));
        events.push(Event::ChildrenChanged(path::parent(path).into()));
    }
}

/// Slash and NUL first, then the ACL, whose own rules are tested where they stand.
fn normal(path: &str, acl: &[Acl], identities: &[Identity]) -> Result<Vec<Acl>, ErrorCode> {
    if path.contains('\0') || !path.contains('/') {
        return Err(ErrorCode::BadArguments);
    }
    acl::normalize(acl, identities).map(|acl| acl.into_owned())
}

fn matches(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    match expected == -1 || expected == actual {
        true => Ok(()),
        false => Err(ErrorCode::BadVersion),
    }
}
