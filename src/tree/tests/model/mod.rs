//! The same semantics, written down naively: a sorted map of full paths, and a copy of it to undo a multi.

mod operations;
mod quota;

use self::quota::length;
use super::fixture::{Seen, event_of};
use crate::tree::{
    Acl, Actor, Change, Command, ErrorCode, Event, Lifetime, MemberInfo, MultiFailure, Op, OpReply,
    Outcome, Reply, Session, SessionId, Stat, Transaction, Zxid, path,
};
use std::collections::BTreeMap;

#[derive(Clone)]
struct ModelZnode {
    stat: Stat,
    creates: i32,
    lifetime: Lifetime,
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
}

/// A tree that is right because there is nothing clever about it.
#[derive(Clone)]
pub(super) struct Model {
    znodes: BTreeMap<String, ModelZnode>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    members: BTreeMap<u64, MemberInfo>,
    pub(super) clients: BTreeMap<u64, Option<String>>,
    zxid: Zxid,
    time_ms: i64,
}

impl Model {
    pub(super) fn new() -> Model {
        let mut model = Model {
            znodes: BTreeMap::new(),
            sessions: BTreeMap::new(),
            members: BTreeMap::new(),
            clients: BTreeMap::new(),
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
                lifetime: Lifetime::Persistent,
                data: Some(vec![]),
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

    /// The empty path is the root's too.
    pub(super) fn exists(&self, path: &str) -> bool {
        path.is_empty() || self.znodes.contains_key(path)
    }

    pub(super) fn owned_by(&self, session: SessionId) -> Vec<String> {
        let owned = self.znodes.iter();
        owned
            .filter(|(_, znode)| znode.stat.ephemeral_owner == session)
            .map(|(path, _)| path.clone())
            .collect()
    }

    pub(super) fn reapable(&self, now_ms: i64) -> Vec<String> {
        let childless = self.znodes.iter().filter(|(_, z)| z.stat.num_children == 0);
        let over = childless.filter(|(_, znode)| match znode.lifetime {
            Lifetime::Container => znode.creates > 0,
            Lifetime::Ttl(ms) => now_ms > znode.stat.mtime + ms as i64,
            Lifetime::Persistent | Lifetime::Ephemeral => false,
        });
        over.map(|(path, _)| path.clone()).collect()
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
                let (id, timeout_ms) = (SessionId::new(*member, self.zxid), *timeout_ms);
                let session = Session {
                    password: *password,
                    timeout_ms,
                    attachment: self.zxid,
                    member: *member,
                };
                Ok(self.attach(id, session, events))
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
            Command::Reap { .. } | Command::Introduce { .. } if *actor != Actor::Ensemble => {
                Err(ErrorCode::Unimplemented)
            }
            Command::Reap { path } => self.reap(path, events),
            Command::Introduce { client, .. } if client.as_deref() == Some("nonsense") => {
                Err(ErrorCode::BadArguments)
            }
            Command::Introduce { member, client } => {
                *events = self.introduce(*member, client);
                Ok(Reply::Done)
            }
            // No history has them: `numbers` has tests of its own.
            Command::Admit { .. } | Command::Announce { .. } => unreachable!(),
            Command::One(op) => self.run(op, actor, events).map(Reply::One),
            Command::Multi(ops) => Ok(Reply::Multi(self.run_all(ops, actor, events))),
        }
    }

    fn reap(&mut self, path: &str, events: &mut Vec<Event>) -> Result<Reply, ErrorCode> {
        if !self.exists(path) {
            return Err(ErrorCode::NoNode);
        }
        if !self.reapable(self.time_ms).contains(&path.to_string()) {
            return Err(ErrorCode::BadVersion);
        }
        self.remove(path, events);
        Ok(Reply::Done)
    }

    fn run_all(
        &mut self,
        ops: &[Op],
        actor: &Actor,
        events: &mut Vec<Event>,
    ) -> Result<Vec<OpReply>, MultiFailure> {
        let before = self.clone();
        let mut replies = vec![];
        for (index, op) in ops.iter().enumerate() {
            match self.run(op, actor, events) {
                Ok(reply) => replies.push(reply),
                Err(code) => {
                    *self = before;
                    events.clear();
                    return Err(MultiFailure { index, code });
                }
            }
        }
        Ok(replies)
    }

    pub(super) fn set_membership(
        &mut self,
        zxid: Zxid,
        members: &BTreeMap<u64, MemberInfo>,
    ) -> Vec<Event> {
        self.zxid = zxid;
        let before = self.servers();
        self.members = members.clone();
        self.clients.retain(|id, _| members.contains_key(id));
        self.publish(before)
    }

    fn introduce(&mut self, member: u64, client: &Option<String>) -> Vec<Event> {
        let before = self.servers();
        self.clients.insert(member, client.clone());
        self.publish(before)
    }

    /// Histories have the addresses `h1:1`, `h2:2` and so on, or none.
    fn servers(&self) -> String {
        let lines = self.members.iter().map(|(id, member)| {
            let role = if member.voter {
                "participant"
            } else {
                "observer"
            };
            let client = self.clients.get(id).cloned().flatten();
            let client = client.map_or(String::new(), |client| format!(";{client}"));
            format!("server.{id}=h{id}:{id}:0:{role}{client}\n")
        });
        match self
            .members
            .values()
            .all(|member| !member.address.is_empty())
        {
            true => lines.collect(),
            false => String::new(),
        }
    }

    fn publish(&mut self, before: String) -> Vec<Event> {
        let text = self.servers();
        if text == before {
            return vec![];
        }
        let version = format!("version={:x}", self.zxid.0);
        let data = match text.is_empty() {
            true => text,
            false => text + &version,
        };
        let config = self.znodes.get_mut("/zookeeper/config").expect("exists");
        let growth = data.len() as i64 - length(&config.data);
        config.stat.data_length = data.len() as i32;
        config.data = Some(data.into());
        config.stat.version += 1;
        config.stat.mzxid = self.zxid;
        config.stat.mtime = self.time_ms;
        let event = event_of(Change::Data, "/zookeeper/config", &config.acl);
        self.charge("/zookeeper/config", 0, growth);
        vec![event]
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
        events.push(Event::SessionClosed {
            session,
            is_expired: attachment.is_some(),
        });
        Ok(Reply::Closed)
    }
}
