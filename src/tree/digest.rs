//! The running digest: 64 bits that are equal on two members exactly when their trees are, but for chance.
//!
//! ```text
//! digest        = sum over znodes of (record + content) + sum over sessions + sum over members
//!                 + sum over clients, that is members that introduced themselves
//!                 + sum over the numbers ever used; all wrapping
//! path(/)       = 0
//! path(P/S)     = xxh3(S, seed path(P))
//! record(Z)     = xxh3(the numbers of Z's stat, 72 bytes, seed path(Z))
//! content(Z)    = xxh3(data, seed xxh3(acl, seed path(Z))); of null data that seed alone
//! acl           = for each entry in turn: h = xxh3(id, seed xxh3(scheme, seed xxh3(perms, seed h)))
//! session(S)    = xxh3(password, timeout, attachment, member: 36 bytes; seed its id)
//! member(M)     = xxh3(address, seed 2 id; 2 id + 1 if it votes)
//! client(M)     = xxh3(address for clients, seed not (2 id)); if it has none xxh3(nothing, seed not (2 id + 1))
//! number(N)     = xxh3(the numbers of its record, 36 bytes; seed xxh3(its name, seed N))
//! ```
//! A sum, because then a change costs one subtraction and one addition, in any order. Two terms per znode,
//! because creating a child changes its parent's numbers: the parent's data need not be read for that.
//! All integers little-endian. xxh3 is fixed across versions and machines. The digest finds bugs and flipped
//! bits; it does not resist someone who constructs collisions.

use super::record::{Content, Record};
use super::{Acl, MemberInfo, NumberRecord, Session, SessionId};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// `path(/)`.
pub(super) const ROOT_PATH: u64 = 0;

/// Hash of the path of the child `segment`.
pub(super) fn path(parent: u64, segment: &str) -> u64 {
    xxh3_64_with_seed(segment.as_bytes(), parent)
}

/// The term of a znode's numbers.
pub(super) fn record(path: u64, record: &Record) -> u64 {
    let mut bytes = [0; 72];
    let numbers = [
        record.czxid.0,
        record.mzxid.0,
        record.pzxid.0,
        record.ctime as u64,
        record.mtime as u64,
        u64::from(record.version as u32),
        u64::from(record.aversion as u32),
        u64::from(record.creates as u32) << 32 | u64::from(record.children),
        record.owner.to_bits() as u64,
    ];
    for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes());
    }
    xxh3_64_with_seed(&bytes, path)
}

/// The term of a znode's data and ACL.
pub(super) fn content(path: u64, content: &Content) -> u64 {
    let seed = xxh3_64_with_seed(&content.acl.hash.to_le_bytes(), path);
    content
        .data
        .as_ref()
        .map_or(seed, |data| xxh3_64_with_seed(data, seed))
}

/// Hash of an ACL list.
pub(super) fn acl(entries: &[Acl]) -> u64 {
    entries.iter().fold(0, |hash, entry| {
        let hash = xxh3_64_with_seed(&entry.perms.to_le_bytes(), hash);
        let hash = xxh3_64_with_seed(entry.scheme.as_bytes(), hash);
        xxh3_64_with_seed(entry.id.as_bytes(), hash)
    })
}

/// The term of a member.
pub(super) fn member(id: u64, member: &MemberInfo) -> u64 {
    let election = u64::from(member.election.unwrap_or_default()) << 48;
    let seed = id.wrapping_mul(2).wrapping_add(u64::from(member.voter)) ^ election;
    xxh3_64_with_seed(member.address.as_bytes(), seed)
}

/// The term of a member's address for clients, once the member has told it.
pub(super) fn client(id: u64, client: Option<&str>) -> u64 {
    let seed = id.wrapping_mul(2).wrapping_add(u64::from(client.is_none()));
    xxh3_64_with_seed(client.unwrap_or_default().as_bytes(), !seed)
}

/// The term of a number that was ever used.
pub(super) fn number(id: u64, record: &NumberRecord) -> u64 {
    let mut bytes = [0; 36];
    let replaces = record.replaces.unwrap_or_default();
    let numbers = [record.nonce, replaces, record.boots, record.boot];
    for (to, number) in bytes.chunks_exact_mut(8).zip(numbers) {
        to.copy_from_slice(&number.to_le_bytes());
    }
    bytes[32..34].copy_from_slice(&record.level.to_le_bytes());
    bytes[34] = record.stage.to_byte();
    bytes[35] = record.wants_vote.into();
    let seed = xxh3_64_with_seed(record.name.as_bytes(), id);
    xxh3_64_with_seed(&bytes, seed)
}

/// The term of a session.
pub(super) fn session(id: SessionId, session: &Session) -> u64 {
    let mut bytes = [0; 36];
    bytes[..16].copy_from_slice(&session.password);
    bytes[16..20].copy_from_slice(&session.timeout_ms.to_le_bytes());
    bytes[20..28].copy_from_slice(&session.attachment.0.to_le_bytes());
    bytes[28..].copy_from_slice(&session.member.to_le_bytes());
    xxh3_64_with_seed(&bytes, id.0 as u64)
}
