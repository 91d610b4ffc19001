//! Transcripts run against the tree alone.
//!
//! `open s1`, `attach s1`, `close s1`, `expire s1 attachment=3`, the operations, `multi by s1: OP; OP`, `reap /a`,
//! `members 1=host:port 2=host:port/observer`, `introduce 1 client=host:port`, `proves s1 digest bob:x`, `clock 5000`,
//! and the reads `get /a`, `sessions`, `reapable`, `clients`, `quotas`, `counts`, `reload`. Whoever acts stands behind `by`, as session or `session@attachment`; without it the ensemble acts.

use super::transcript;
use super::words::Words;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use zoogate::tree::{
    Acl, Actor, Command, Event, Identity, MemberInfo, OpReply, Outcome, Reply, SessionId,
    Transaction, Tree, TreeLoader, Zxid,
};

#[test]
fn transcripts_of_the_tree_hold() {
    for name in [
        "acl",
        "create-and-delete",
        "lifetimes",
        "membership",
        "multi",
        "paths",
        "permissions",
        "quotas",
        "sequence",
        "sessions",
        "snapshot",
        "stat",
    ] {
        let mut stage = Stage::new();
        transcript::run(name, |line| stage.run(line));
    }
}

/// A tree, and the clients of one transcript.
struct Stage {
    tree: Tree,
    zxid: Zxid,
    clock_ms: i64,
    clients: BTreeMap<String, Client>,
}

struct Client {
    session: SessionId,
    attachment: Zxid,
    identities: Vec<Identity>,
}

const PASSWORD: [u8; 16] = [7; 16];

impl Stage {
    fn new() -> Stage {
        Stage {
            tree: Tree::new(),
            zxid: Zxid(0),
            clock_ms: 1000,
            clients: BTreeMap::new(),
        }
    }

    fn run(&mut self, line: &str) -> Vec<String> {
        let words = Words::new(line);
        if let Some(op) = words.op() {
            return self.apply(self.actor(&words), Command::One(op));
        }
        if let Some((head, ops)) = line.split_once(':').filter(|_| line.starts_with("multi")) {
            let ops = ops.split(';').filter(|op| !op.trim().is_empty());
            let ops = ops.map(|op| Words::new(op).op().expect("an operation"));
            let command = Command::Multi(ops.collect());
            return self.apply(self.actor(&Words::new(head)), command);
        }
        match words.verb() {
            "open" => self.open(&words),
            "attach" => self.attach(&words),
            "close" | "expire" => self.close(&words),
            "proves" => self.prove(line),
            "clock" => {
                self.clock_ms = words.argument().parse().expect("milliseconds");
                vec![]
            }
            "reap" => {
                let path = words.argument().into();
                self.apply(self.actor(&words), Command::Reap { path })
            }
            "members" => self.members(&words),
            "introduce" => {
                let introduction = Command::Introduce {
                    member: words.argument().parse().expect("a member's id"),
                    client: words.option("client").map(str::to_owned),
                };
                self.apply(self.actor(&words), introduction)
            }
            "clients" => vec![format!("{:?}", self.tree.clients())],
            "reapable" => vec![format!("{:?}", self.tree.reapable(self.clock_ms))],
            "get" => self.get(words.argument()),
            "sessions" => self.sessions(),
            "quotas" => {
                let quotas = self.tree.quotas();
                quotas.iter().map(|quota| format!("{quota:?}")).collect()
            }
            "counts" => vec![format!("{:?}", self.tree.counts())],
            "reload" => self.reload(),
            other => panic!("{other:?} is no command"),
        }
    }

    fn actor(&self, words: &Words<'_>) -> Actor {
        let Some(by) = words.by() else {
            return Actor::Ensemble;
        };
        let (name, attachment) = by.split_once('@').unwrap_or((by, ""));
        let client = &self.clients[name];
        Actor::Session {
            id: client.session,
            attachment: attachment.parse().map_or(client.attachment, Zxid),
            identities: Arc::from(client.identities.as_slice()),
        }
    }

    fn open(&mut self, words: &Words<'_>) -> Vec<String> {
        let member = words.number("member").unwrap_or(1);
        let attachment = Zxid(self.zxid.0 + 1);
        let client = Client {
            session: SessionId::new(member, attachment),
            attachment,
            identities: vec![],
        };
        self.clients.insert(words.argument().to_owned(), client);
        let command = Command::OpenSession {
            member,
            password: PASSWORD,
            timeout_ms: words.number("timeout").unwrap_or(4000),
        };
        self.apply(Actor::Ensemble, command)
    }

    fn attach(&mut self, words: &Words<'_>) -> Vec<String> {
        let password = match words.option("password") {
            Some(given) => Bytes::copy_from_slice(given.as_bytes()),
            None => Bytes::copy_from_slice(&PASSWORD),
        };
        let command = Command::AttachSession {
            session: self.clients[words.argument()].session,
            password,
            member: words.number("member").unwrap_or(1),
            timeout_ms: words.number("timeout").unwrap_or(4000),
        };
        let reply = self.apply(Actor::Ensemble, command);
        let client = self.clients.get_mut(words.argument()).expect("known");
        if let Some(session) = self.tree.session(client.session) {
            client.attachment = session.attachment;
        }
        reply
    }

    fn close(&mut self, words: &Words<'_>) -> Vec<String> {
        let client = &self.clients[words.argument()];
        let current = words.number("attachment").map(Zxid);
        let actor = match words.verb() {
            "close" => Actor::Session {
                id: client.session,
                attachment: client.attachment,
                identities: Arc::new([]),
            },
            _ => Actor::Ensemble,
        };
        let command = Command::CloseSession {
            session: client.session,
            attachment: current,
        };
        self.apply(actor, command)
    }

    fn members(&mut self, words: &Words<'_>) -> Vec<String> {
        let members = words.options().map(|(id, address)| {
            let bare = address.strip_suffix("/observer");
            let member = MemberInfo {
                address: bare.unwrap_or(address).to_owned(),
                election: None,
                voter: bare.is_none(),
            };
            (id.parse().expect("a member's id"), member)
        });
        self.zxid.0 += 1;
        let events = self.tree.set_membership(self.zxid, &members.collect());
        self.tree.check_invariants();
        let lines = events.iter().map(|event| self.event(event));
        std::iter::once(format!("ok zxid={}", self.zxid.0))
            .chain(lines)
            .collect()
    }

    fn prove(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, name, scheme, id] = words[..] else {
            panic!("proves SESSION SCHEME ID");
        };
        let identity = Identity {
            scheme: scheme.into(),
            id: id.into(),
        };
        let client = self.clients.get_mut(name).expect("known");
        client.identities.push(identity);
        vec![]
    }

    fn apply(&mut self, actor: Actor, command: Command) -> Vec<String> {
        self.zxid.0 += 1;
        let transaction = Transaction {
            time_ms: self.clock_ms,
            actor,
            command,
        };
        let Outcome { result, events } = self.tree.apply(self.zxid, &transaction);
        self.tree.check_invariants();
        let mut lines = match result {
            Ok(reply) => self.reply(&reply),
            Err(code) => vec![format!("error {code:?}")],
        };
        lines.extend(events.iter().map(|event| self.event(event)));
        lines
    }

    fn reply(&self, reply: &Reply) -> Vec<String> {
        let zxid = self.zxid.0;
        match reply {
            Reply::Session { timeout_ms, .. } => {
                vec![format!("ok zxid={zxid} timeout={timeout_ms}")]
            }
            Reply::Closed | Reply::Done => vec![format!("ok zxid={zxid}")],
            Reply::Admitted(number) => vec![format!("ok zxid={zxid} number={number}")],
            Reply::One(reply) => vec![format!("ok zxid={zxid}{}", op_reply(reply))],
            Reply::Multi(Err(failure)) => {
                vec![format!(
                    "failed at op {}: {:?}",
                    failure.index, failure.code
                )]
            }
            Reply::Multi(Ok(replies)) => {
                let replies = replies
                    .iter()
                    .map(|reply| format!(" ok{}", op_reply(reply)));
                std::iter::once(format!("ok zxid={zxid}"))
                    .chain(replies)
                    .collect()
            }
        }
    }

    fn event(&self, event: &Event) -> String {
        match event {
            Event::Znode { change, path, .. } => {
                format!("event {} {path}", format!("{change:?}").to_lowercase())
            }
            Event::SessionAttached {
                session,
                attachment,
                member,
            } => {
                let name = self.name(*session);
                format!("event attached {name}@{} member={member}", attachment.0)
            }
            Event::SessionClosed { session, .. } => format!("event closed {}", self.name(*session)),
        }
    }

    fn name(&self, session: SessionId) -> &str {
        let mut clients = self.clients.iter();
        let client = clients.find(|(_, client)| client.session == session);
        client.map_or("none", |(name, _)| name)
    }

    fn get(&self, path: &str) -> Vec<String> {
        let Some(znode) = self.tree.get(path) else {
            return vec!["absent".into()];
        };
        let stat = znode.stat();
        let acl = znode
            .acl()
            .iter()
            .map(|Acl { perms, scheme, id }| format!("{perms}:{scheme}:{id}"));
        let mut children: Vec<&str> = znode.children().collect();
        children.sort_unstable();
        vec![
            format!(
                "{} data={} acl={}",
                znode.path(),
                znode
                    .data()
                    .map_or("null".into(), |data| format!("{data:?}")),
                acl.collect::<Vec<_>>().join(",")
            ),
            format!(
                "czxid={} mzxid={} pzxid={} ctime={} mtime={}",
                stat.czxid.0, stat.mzxid.0, stat.pzxid.0, stat.ctime, stat.mtime
            ),
            format!(
                "version={} cversion={} aversion={} owner={} length={} children={} {children:?}",
                stat.version,
                stat.cversion,
                stat.aversion,
                self.name(stat.ephemeral_owner),
                stat.data_length,
                stat.num_children,
            ),
        ]
    }

    fn sessions(&self) -> Vec<String> {
        let lines = self.tree.sessions().map(|(id, session)| {
            let mut owned: Vec<String> = self.tree.ephemerals(id).collect();
            owned.sort();
            format!(
                "{}@{} id={id} member={} timeout={} {owned:?}",
                self.name(id),
                session.attachment.0,
                session.member,
                session.timeout_ms,
            )
        });
        lines.collect()
    }

    /// Goes on with what a snapshot of the tree gives.
    fn reload(&mut self) -> Vec<String> {
        let before = self.tree.digest();
        let mut loader = TreeLoader::new();
        self.tree.start_snapshot();
        while let Some(chunk) = self.tree.snapshot_chunk(2) {
            loader.chunk(&chunk).expect("a chunk as it was written");
        }
        self.tree = loader.finish().expect("a complete snapshot");
        assert_eq!(self.tree.digest(), before);
        vec!["same digest".into()]
    }
}

fn op_reply(reply: &OpReply) -> String {
    match reply {
        OpReply::Created { path, .. } => format!(" {path}"),
        OpReply::DataSet(stat) => format!(" version={}", stat.version),
        OpReply::AclSet(stat) => format!(" aversion={}", stat.aversion),
        OpReply::Deleted | OpReply::Checked => String::new(),
    }
}
