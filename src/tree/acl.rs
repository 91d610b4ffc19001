//! Which ACL lists are well-formed, and what is stored of them.
//!
//! Source: `PrepRequestProcessor.fixupACL` and the `isValid` methods of ZooKeeper's authentication
//! providers. Permission bits that mean nothing are stored as given. `sasl` is refused, as by a ZooKeeper
//! that has no SASL configured; an entry for nobody is `world:anyone` without bits.
//!
//! One thing is refused that ZooKeeper stores: a list that `auth` entries make longer than any request. A request of
//! 1 MiB has room for 50,000 of them, and 32 identities of 1 KiB each would make 1.6 GiB of it, on every member.

use super::{Acl, ErrorCode, Identity};
use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

/// Bytes of a list as it is stored, each entry counted with [`ENTRY_BYTES`]: no less than the longest request can hold
/// without `auth` entries, and so little that a block of a snapshot has room for it (8 MiB).
pub(super) const MAX_STORED_BYTES: usize = 4 << 20;

/// What an entry counts besides its texts: more than the 12 bytes that its lengths and bits take in a request.
const ENTRY_BYTES: usize = 16;

/// The list as it is stored: repeated entries dropped, then `auth` entries replaced by one entry per identity
/// that the caller has proved, order otherwise kept.
///
/// # Errors
/// [`ErrorCode::InvalidAcl`] when the list is empty, when one entry is malformed, when it has an `auth`
/// entry and the caller has proved nothing, or when it is longer than [`MAX_STORED_BYTES`].
pub(super) fn normalize<'a>(
    entries: &'a [Acl],
    identities: &[Identity],
) -> Result<Cow<'a, [Acl]>, ErrorCode> {
    if entries.is_empty() {
        return Err(ErrorCode::InvalidAcl);
    }
    if let [only] = entries
        && only.scheme != "auth"
    {
        check(only)?;
        return Ok(Cow::Borrowed(entries));
    }
    let mut list = Vec::with_capacity(entries.len());
    // A set, because comparing 50,000 entries of one request with each other would stop every member.
    let mut seen = HashSet::with_capacity(entries.len());
    let mut bytes = 0;
    for entry in entries {
        if !seen.insert(entry) {
            continue;
        }
        if entry.scheme == "auth" {
            bytes += expand(entry, identities, &mut list)?;
        } else {
            check(entry)?;
            bytes += bytes_of(entry);
            list.push(entry.clone());
        }
        // As it grows, so that no more than this is ever made.
        if bytes > MAX_STORED_BYTES {
            return Err(ErrorCode::InvalidAcl);
        }
    }
    Ok(Cow::Owned(list))
}

/// An address is where a client comes from, not something it proved; `super` is a power, not a name.
fn is_proof(identity: &Identity) -> bool {
    !matches!(identity.scheme.as_str(), "ip" | "super" | "world")
}

fn bytes_of(entry: &Acl) -> usize {
    ENTRY_BYTES + entry.scheme.len() + entry.id.len()
}

/// Adds what an `auth` entry stands for, and tells how many bytes that is.
fn expand(auth: &Acl, identities: &[Identity], list: &mut Vec<Acl>) -> Result<usize, ErrorCode> {
    let before = list.len();
    list.extend(identities.iter().filter(|i| is_proof(i)).map(|proof| Acl {
        perms: auth.perms,
        scheme: proof.scheme.clone(),
        id: proof.id.clone(),
    }));
    if list.len() > before {
        Ok(list[before..].iter().map(bytes_of).sum())
    } else {
        Err(ErrorCode::InvalidAcl)
    }
}

fn check(entry: &Acl) -> Result<(), ErrorCode> {
    let id = entry.id.as_str();
    let sound = match entry.scheme.as_str() {
        "world" => id == "anyone",
        "digest" => is_digest(id),
        "ip" => is_network(id),
        "x509" => is_distinguished_name(id),
        _ => false,
    };
    if sound {
        Ok(())
    } else {
        Err(ErrorCode::InvalidAcl)
    }
}

/// `user:hash`. ZooKeeper splits at colons and drops empty parts at the end, so colons may follow.
fn is_digest(id: &str) -> bool {
    id.trim_end_matches(':').split(':').count() == 2
}

/// An address of either family, with or without a prefix length.
fn is_network(id: &str) -> bool {
    let (address, bits) = match id.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (id, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        return false;
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= longest))
}

/// Attributes `TYPE=value` separated by commas, semicolons or plus signs, which quotes and backslashes
/// protect (RFC 2253, sections 3 and 4). Types and values themselves are not looked into.
fn is_distinguished_name(id: &str) -> bool {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    for (at, c) in id.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ';' | '+' if !quoted => {
                if !is_attribute(&id[start..at]) {
                    return false;
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    !quoted && !escaped && is_attribute(&id[start..])
}

fn is_attribute(text: &str) -> bool {
    text.split_once('=').is_some_and(|(kind, _)| {
        let kind = kind.trim();
        !kind.is_empty()
            && kind
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(text: &str) -> Acl {
        let (scheme, id) = text.split_once('|').expect("scheme|id");
        Acl {
            perms: 31,
            scheme: scheme.into(),
            id: id.into(),
        }
    }

    fn identity(text: &str) -> Identity {
        let Acl { scheme, id, .. } = acl(text);
        Identity { scheme, id }
    }

    fn check_list(entries: &[&str], identities: &[&str]) -> Result<Vec<Acl>, ErrorCode> {
        let entries: Vec<Acl> = entries.iter().map(|t| acl(t)).collect();
        let identities: Vec<Identity> = identities.iter().map(|t| identity(t)).collect();
        normalize(&entries, &identities).map(Cow::into_owned)
    }

    #[test]
    fn well_formed_entries_are_kept() {
        for entry in [
            "world|anyone",
            "digest|bob:hash=",
            "digest|:hash=",
            "digest|bob:hash::",
            "ip|10.0.0.1",
            "ip|10.0.0.0/8",
            "ip|0.0.0.0/0",
            "ip|10.0.0.1/32",
            "ip|::1",
            "ip|2001:db8::/32",
            "ip|::1/128",
            "x509|CN=web",
            "x509|CN=web,O=\"a, b\",OU=x\\,y",
        ] {
            assert_eq!(check_list(&[entry], &[]), Ok(vec![acl(entry)]), "{entry}");
        }
    }

    #[test]
    fn malformed_entries_refuse_the_list() {
        for entry in [
            "world|someone",
            "world|",
            "digest|bob",
            "digest|bob:",
            "digest|a:b:c",
            "digest|:",
            "digest|::b",
            "ip|",
            "ip|10.0.0",
            "ip|10.0.0.1/33",
            "ip|10.0.0.1/-1",
            "ip|10.0.0.1/",
            "ip|::1/129",
            "x509|",
            "x509|web",
            "x509|CN=web,",
            "x509|CN=\"web",
            "x509|=web",
            "super|",
            "sasl|bob",
            "|",
        ] {
            let refused = Err(ErrorCode::InvalidAcl);
            assert_eq!(check_list(&[entry], &[]), refused, "{entry}");
            assert_eq!(
                check_list(&["world|anyone", entry], &[]),
                refused,
                "{entry}"
            );
        }
        assert_eq!(check_list(&[], &[]), Err(ErrorCode::InvalidAcl));
    }

    #[test]
    fn auth_becomes_what_the_caller_proved() {
        let caller = ["ip|127.0.0.1", "digest|a:1", "super|", "x509|CN=b"];
        let stored = check_list(&["world|anyone", "auth|whatever"], &caller);
        let expected = ["world|anyone", "digest|a:1", "x509|CN=b"];
        assert_eq!(stored, Ok(expected.map(acl).to_vec()));
        for nobody in [&["ip|127.0.0.1"][..], &["super|"], &[]] {
            assert_eq!(check_list(&["auth|"], nobody), Err(ErrorCode::InvalidAcl));
        }
    }

    #[test]
    fn proofs_do_not_multiply_without_bound() {
        // As many different entries as a request can hold, and a client that has proved all it may.
        let auth = |number: i32| Acl {
            perms: number,
            scheme: "auth".into(),
            id: String::new(),
        };
        let entries: Vec<Acl> = (0..50_000).map(auth).collect();
        let proved = |bytes: usize| -> Vec<Identity> {
            let proof = |number| identity(&format!("digest|{}{number}:hash", "u".repeat(bytes)));
            (0..32).map(proof).collect()
        };
        assert_eq!(
            normalize(&entries, &proved(1024)),
            Err(ErrorCode::InvalidAcl)
        );
        assert_eq!(normalize(&entries, &proved(1)), Err(ErrorCode::InvalidAcl));
        let few = normalize(&entries[..100], &proved(1024)).map(|list| list.len());
        assert_eq!(few, Ok(3200));
    }

    #[test]
    fn the_longest_request_without_proofs_is_stored() {
        // 26 bytes each in the request, of 1 MiB.
        let entry = |number| acl(&format!("ip|10.{}.{}.1", number / 200, number % 200));
        let entries: Vec<Acl> = (0..40_000).map(entry).collect();
        assert_eq!(normalize(&entries, &[]).map(|list| list.len()), Ok(40_000));
    }

    #[test]
    fn repeated_entries_collapse_in_order() {
        let entries = [
            "ip|10.0.0.1",
            "world|anyone",
            "ip|10.0.0.1",
            "auth|",
            "auth|",
        ];
        let stored = check_list(&entries, &["digest|a:1"]);
        let expected = ["ip|10.0.0.1", "world|anyone", "digest|a:1"];
        assert_eq!(stored, Ok(expected.map(acl).to_vec()));
    }
}
