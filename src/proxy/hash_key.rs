//! What consistent hashing hashes for an HTTP request.

use super::connect::client_key;
use crate::config::HashKey;
use hyper::header::{COOKIE, HeaderMap};
use hyper::http::request::Parts;
use std::net::IpAddr;
use xxhash_rust::xxh3::xxh3_64;

/// The hash of the part of `request` that `key` names; of the client's address when the request has no such part.
pub fn request_key(key: &HashKey, request: &Parts, client: IpAddr) -> u64 {
    let part = match key {
        HashKey::ClientAddress => None,
        HashKey::Header(name) => request.headers.get(name).map(|v| v.as_bytes()),
        HashKey::Cookie(name) => cookie(&request.headers, name),
        HashKey::Path => Some(request.uri.path().as_bytes()),
        HashKey::Query(name) => request.uri.query().and_then(|q| query(q, name)),
    };
    part.map_or_else(|| client_key(client), xxh3_64)
}

/// The value of a cookie, as sent (RFC 6265 section 4.2.1).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(COOKIE).into_iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|b| *b == b';'));
    pairs.find_map(|pair| value_of(pair.trim_ascii(), name))
}

/// The value of a query parameter, as sent: percent signs are not decoded, since equal requests hash equally so.
fn query<'a>(query: &'a str, name: &str) -> Option<&'a [u8]> {
    let mut pairs = query.as_bytes().split(|b| *b == b'&');
    pairs.find_map(|pair| value_of(pair, name))
}

fn value_of<'a>(pair: &'a [u8], name: &str) -> Option<&'a [u8]> {
    pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    #[test]
    fn request_key_hashes_the_named_part_or_the_client() {
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        let (request, ()) = Request::get("/cart?a=1&user=ann&users=x")
            .header("cookie", "theme=dark; sid=42")
            .header("cookie", "late=1")
            .header("x-user", "ann")
            .body(())
            .unwrap()
            .into_parts();
        let fallback = client_key(client);
        let cases: [(HashKey, u64); 9] = [
            (HashKey::ClientAddress, fallback),
            (HashKey::Header("x-user".into()), xxh3_64(b"ann")),
            (HashKey::Header("x-none".into()), fallback),
            (HashKey::Cookie("sid".into()), xxh3_64(b"42")),
            (HashKey::Cookie("late".into()), xxh3_64(b"1")),
            (HashKey::Cookie("si".into()), fallback),
            (HashKey::Path, xxh3_64(b"/cart")),
            (HashKey::Query("user".into()), xxh3_64(b"ann")),
            (HashKey::Query("use".into()), fallback),
        ];
        for (key, expected) in cases {
            assert_eq!(request_key(&key, &request, client), expected, "{key:?}");
        }
    }
}
