//! The bytes of a snapshot.
//!
//! A snapshot is a sequence of items; a chunk holds whole items. All integers are little-endian.
//!
//! ```text
//! head     1  version u8 = 3, last zxid u64, last time i64, digest u64, sessions u64, znodes u64, members u64,
//!             clients u64, numbers u64
//! session  2  id i64, password 16 bytes, timeout u32 (ms), attachment u64, member u64
//! acl      3  entries u32, each: perms i32, scheme text, id text
//! znode    4  slot u32, parent's slot u32, acl u32, czxid u64, mzxid u64, pzxid u64, ctime i64, mtime i64,
//!             version i32, aversion i32, creates i32, children u32, owner i64, segment text, data bytes
//! member   5  id u64, votes u8 (0 no, 1 yes), election port u16 (0 none of its own), address text
//! client   6  id u64 of a member that introduced itself, address for clients bytes; null if it has none
//! number   7  id u64 of a number ever used, stage u8 (0 reserved, 1 member, 2 removed), wants to vote u8, nonce u64,
//!             number it replaces u64 (0 none), boots u64, boot u64, level u16, name text
//! text, bytes: length u32, then as many bytes; length 2^32 - 1 is null
//! ```
//! Order: the head; the members by id; the clients by id; the numbers; the sessions by id; the znodes by slot, beginning with the root in slot 0. An ACL list
//! comes before the first znode that has it; znodes refer to lists by their position among the lists, from 0.

use super::membership::Membership;
use super::owner::Owner;
use super::record::Record;
use super::{Acl, MemberInfo, NumberRecord, Session, SessionId, SnapshotError, Stage, Zxid};
use bytes::{Buf, BufMut, TryGetError};

/// Version of the format, in the head.
const VERSION: u8 = 3;

/// The length of null data: no frame is as long as that.
const NULL: u32 = u32::MAX;

const HEAD: u8 = 1;
const SESSION: u8 = 2;
const ACL: u8 = 3;
const ZNODE: u8 = 4;
const MEMBER: u8 = 5;
const CLIENT: u8 = 6;
const NUMBER: u8 = 7;

/// What the items add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The last transaction in the snapshot.
    pub(super) last_zxid: Zxid,
    /// The latest time seen, milliseconds since the Unix epoch.
    pub(super) last_time_ms: i64,
    /// Digest of the tree.
    pub(super) digest: u64,
    /// Number of session items.
    pub(super) sessions: u64,
    /// Number of znode items.
    pub(super) znodes: u64,
    /// Number of member items.
    pub(super) members: u64,
    /// Number of client items.
    pub(super) clients: u64,
    /// Number of number items.
    pub(super) numbers: u64,
}

/// A znode as it travels.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZnodeItem<'a> {
    /// Its slot in the tree that was written.
    pub(super) slot: u32,
    /// Its parent's slot there.
    pub(super) parent: u32,
    /// Which ACL list.
    pub(super) acl: u32,
    /// Its numbers.
    pub(super) record: Record,
    /// Last segment of its path.
    pub(super) segment: &'a str,
    /// Its data.
    pub(super) data: Option<&'a [u8]>,
}

/// One item, as it is read.
#[derive(Debug)]
pub(super) enum Item<'a> {
    /// The head.
    Head(Head),
    /// A session.
    Session(SessionId, Session),
    /// An ACL list.
    Acl(Vec<Acl>),
    /// A znode.
    Znode(ZnodeItem<'a>),
    /// A member.
    Member(u64, MemberInfo),
    /// Where clients reach a member.
    Client(u64, Option<String>),
    /// A number that was used.
    Number(u64, NumberRecord),
}

impl Head {
    /// Appends it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.put_u8(HEAD);
        out.put_u8(VERSION);
        out.put_u64_le(self.last_zxid.0);
        out.put_i64_le(self.last_time_ms);
        out.put_u64_le(self.digest);
        out.put_u64_le(self.sessions);
        out.put_u64_le(self.znodes);
        out.put_u64_le(self.members);
        out.put_u64_le(self.clients);
        out.put_u64_le(self.numbers);
    }

    fn read(input: &mut &[u8]) -> Result<Head, SnapshotError> {
        let version = input.try_get_u8()?;
        if version != VERSION {
            return Err(SnapshotError::Version(version));
        }
        Ok(Head {
            last_zxid: Zxid(input.try_get_u64_le()?),
            last_time_ms: input.try_get_i64_le()?,
            digest: input.try_get_u64_le()?,
            sessions: input.try_get_u64_le()?,
            znodes: input.try_get_u64_le()?,
            members: input.try_get_u64_le()?,
            clients: input.try_get_u64_le()?,
            numbers: input.try_get_u64_le()?,
        })
    }
}

/// Appends the members and their addresses for clients.
pub(super) fn write_members(membership: &Membership, out: &mut Vec<u8>) {
    for (id, member) in &membership.members {
        out.put_u8(MEMBER);
        out.put_u64_le(*id);
        out.put_u8(member.voter.into());
        out.put_u16_le(member.election.unwrap_or_default());
        write_bytes(member.address.as_bytes(), out);
    }
    for (id, client) in &membership.clients {
        out.put_u8(CLIENT);
        out.put_u64_le(*id);
        write_data(client.as_ref().map(String::as_bytes), out);
    }
    for (id, record) in &membership.numbers {
        out.put_u8(NUMBER);
        out.put_u64_le(*id);
        out.put_u8(record.stage.to_byte());
        out.put_u8(record.wants_vote.into());
        out.put_u64_le(record.nonce);
        out.put_u64_le(record.replaces.unwrap_or_default());
        out.put_u64_le(record.boots);
        out.put_u64_le(record.boot);
        out.put_u16_le(record.level);
        write_bytes(record.name.as_bytes(), out);
    }
}

fn read_number(input: &mut &[u8]) -> Result<(u64, NumberRecord), SnapshotError> {
    let id = input.try_get_u64_le()?;
    let stage = input.try_get_u8()?;
    let record = NumberRecord {
        stage: Stage::from_byte(stage).ok_or(SnapshotError::Stage(stage))?,
        wants_vote: input.try_get_u8()? == 1,
        nonce: input.try_get_u64_le()?,
        replaces: Some(input.try_get_u64_le()?).filter(|number| *number != 0),
        boots: input.try_get_u64_le()?,
        boot: input.try_get_u64_le()?,
        level: input.try_get_u16_le()?,
        name: read_text(input)?.into(),
    };
    Ok((id, record))
}

fn read_member(input: &mut &[u8]) -> Result<(u64, MemberInfo), SnapshotError> {
    let id = input.try_get_u64_le()?;
    let member = MemberInfo {
        voter: input.try_get_u8()? == 1,
        election: Some(input.try_get_u16_le()?).filter(|port| *port != 0),
        address: read_text(input)?.into(),
    };
    Ok((id, member))
}

fn read_client(input: &mut &[u8]) -> Result<(u64, Option<String>), SnapshotError> {
    let id = input.try_get_u64_le()?;
    let client = match read_data(input)? {
        Some(bytes) => Some(text(bytes)?.into()),
        None => None,
    };
    Ok((id, client))
}

/// Appends a session.
pub(super) fn write_session(id: SessionId, session: &Session, out: &mut Vec<u8>) {
    out.put_u8(SESSION);
    out.put_i64_le(id.0);
    out.put_slice(&session.password);
    out.put_u32_le(session.timeout_ms);
    out.put_u64_le(session.attachment.0);
    out.put_u64_le(session.member);
}

fn read_session(input: &mut &[u8]) -> Result<(SessionId, Session), SnapshotError> {
    let id = SessionId(input.try_get_i64_le()?);
    let mut password = [0; 16];
    input.try_copy_to_slice(&mut password)?;
    let session = Session {
        password,
        timeout_ms: input.try_get_u32_le()?,
        attachment: Zxid(input.try_get_u64_le()?),
        member: input.try_get_u64_le()?,
    };
    Ok((id, session))
}

/// Appends an ACL list.
pub(super) fn write_acl(entries: &[Acl], out: &mut Vec<u8>) {
    out.put_u8(ACL);
    out.put_u32_le(entries.len() as u32);
    for entry in entries {
        out.put_i32_le(entry.perms);
        write_bytes(entry.scheme.as_bytes(), out);
        write_bytes(entry.id.as_bytes(), out);
    }
}

fn read_acl(input: &mut &[u8]) -> Result<Vec<Acl>, SnapshotError> {
    let count = input.try_get_u32_le()?;
    // Not reserved in advance: the count is not to be believed before the entries are there.
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(Acl {
            perms: input.try_get_i32_le()?,
            scheme: read_text(input)?.into(),
            id: read_text(input)?.into(),
        });
    }
    Ok(entries)
}

impl<'a> ZnodeItem<'a> {
    /// Appends it.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let record = &self.record;
        out.put_u8(ZNODE);
        out.put_u32_le(self.slot);
        out.put_u32_le(self.parent);
        out.put_u32_le(self.acl);
        out.put_u64_le(record.czxid.0);
        out.put_u64_le(record.mzxid.0);
        out.put_u64_le(record.pzxid.0);
        out.put_i64_le(record.ctime);
        out.put_i64_le(record.mtime);
        out.put_i32_le(record.version);
        out.put_i32_le(record.aversion);
        out.put_i32_le(record.creates);
        out.put_u32_le(record.children);
        out.put_i64_le(record.owner.to_bits());
        write_bytes(self.segment.as_bytes(), out);
        write_data(self.data, out);
    }

    fn read(input: &mut &'a [u8]) -> Result<ZnodeItem<'a>, SnapshotError> {
        Ok(ZnodeItem {
            slot: input.try_get_u32_le()?,
            parent: input.try_get_u32_le()?,
            acl: input.try_get_u32_le()?,
            record: Record {
                czxid: Zxid(input.try_get_u64_le()?),
                mzxid: Zxid(input.try_get_u64_le()?),
                pzxid: Zxid(input.try_get_u64_le()?),
                ctime: input.try_get_i64_le()?,
                mtime: input.try_get_i64_le()?,
                version: input.try_get_i32_le()?,
                aversion: input.try_get_i32_le()?,
                creates: input.try_get_i32_le()?,
                children: input.try_get_u32_le()?,
                owner: Owner::from_bits(input.try_get_i64_le()?).ok_or(SnapshotError::Owner)?,
            },
            segment: read_text(input)?,
            data: read_data(input)?,
        })
    }
}

impl<'a> Item<'a> {
    /// Takes the next item off the front of `input`.
    ///
    /// # Errors
    /// [`SnapshotError`] when the input ends too early or makes no sense.
    pub(super) fn read(input: &mut &'a [u8]) -> Result<Item<'a>, SnapshotError> {
        match input.try_get_u8()? {
            HEAD => Head::read(input).map(Item::Head),
            SESSION => read_session(input).map(|(id, session)| Item::Session(id, session)),
            ACL => read_acl(input).map(Item::Acl),
            ZNODE => ZnodeItem::read(input).map(Item::Znode),
            MEMBER => read_member(input).map(|(id, member)| Item::Member(id, member)),
            CLIENT => read_client(input).map(|(id, client)| Item::Client(id, client)),
            NUMBER => read_number(input).map(|(id, record)| Item::Number(id, record)),
            other => Err(SnapshotError::UnknownItem(other)),
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.put_u32_le(bytes.len() as u32);
    out.put_slice(bytes);
}

fn write_data(data: Option<&[u8]>, out: &mut Vec<u8>) {
    match data {
        Some(data) => write_bytes(data, out),
        None => out.put_u32_le(NULL),
    }
}

fn read_data<'a>(input: &mut &'a [u8]) -> Result<Option<&'a [u8]>, SnapshotError> {
    let mut ahead = *input;
    if ahead.try_get_u32_le()? == NULL {
        *input = ahead;
        return Ok(None);
    }
    read_bytes(input).map(Some)
}

fn read_bytes<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], SnapshotError> {
    let length = input.try_get_u32_le()? as usize;
    let (bytes, rest) = input
        .split_at_checked(length)
        .ok_or(SnapshotError::Truncated)?;
    *input = rest;
    Ok(bytes)
}

fn read_text<'a>(input: &mut &'a [u8]) -> Result<&'a str, SnapshotError> {
    text(read_bytes(input)?)
}

fn text(bytes: &[u8]) -> Result<&str, SnapshotError> {
    std::str::from_utf8(bytes).map_err(|_| SnapshotError::NotText)
}

impl From<TryGetError> for SnapshotError {
    fn from(_: TryGetError) -> SnapshotError {
        SnapshotError::Truncated
    }
}
