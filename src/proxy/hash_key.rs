//! What consistent hashing hashes for a connection, and for an HTTP request on one.

use super::origin::Origin;
use crate::config::HashKey;
use crate::net::proxy_protocol::TlvKind;
use hyper::header::{COOKIE, HeaderMap};
use hyper::http::request::Parts;
use std::net::IpAddr;
use xxhash_rust::xxh3::xxh3_64;

/// The hash of a client: its address without the port, so that all its connections agree.
fn client_key(client: IpAddr) -> u64 {
    match client {
        IpAddr::V4(v4) => xxh3_64(&v4.octets()),
        IpAddr::V6(v6) => xxh3_64(&v6.octets()),
    }
}

/// The hash of the part of a connection that `key` names; of the client's address when it has no such part.
pub fn connection_key(key: &HashKey, origin: &Origin) -> u64 {
    let part = match key {
        HashKey::Sni => origin.sni.as_deref().map(str::as_bytes),
        HashKey::ProxyTlv(kind) => origin.tlvs.find(TlvKind(*kind)),
        HashKey::ClientAddress
        | HashKey::Header(_)
        | HashKey::Cookie(_)
        | HashKey::Path
        | HashKey::Query(_) => None,
    };
    part.map_or_else(|| client_key(origin.client.ip()), xxh3_64)
}

/// The hash of the part of `request` that `key` names; if the request has no such part, of its connection's.
pub fn request_key(key: &HashKey, request: &Parts, origin: &Origin) -> u64 {
    let part = match key {
        HashKey::ClientAddress | HashKey::Sni | HashKey::ProxyTlv(_) => None,
        HashKey::Header(name) => request.headers.get(name).map(|v| v.as_bytes()),
        HashKey::Cookie(name) => cookie(&request.headers, name),
        HashKey::Path => Some(request.uri.path().as_bytes()),
        HashKey::Query(name) => request.uri.query().and_then(|q| query(q, name)),
    };
    part.map_or_else(|| connection_key(key, origin), xxh3_64)
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
    use crate::net::proxy_protocol::{Parsed, Tlvs, parse};
    use hyper::Request;
    use std::net::SocketAddr;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn connection_key_hashes_what_the_proxy_said_or_the_client_without_its_port() {
        let from = |client: &str| Origin::of(addr(client));
        let mut told = from("192.0.2.7:1");
        told.tlvs = tlvs(&[0xea, 0, 3, b'v', b'p', b'c']);
        let key = HashKey::ProxyTlv(0xea);
        assert_eq!(connection_key(&key, &told), xxh3_64(b"vpc"));
        let mut named = from("192.0.2.7:1");
        named.sni = Some("shop.example".into());
        assert_eq!(
            connection_key(&HashKey::Sni, &named),
            xxh3_64(b"shop.example")
        );
        let client = xxh3_64(&[192, 0, 2, 7]);
        for (key, origin) in [
            (HashKey::ProxyTlv(0xeb), told),
            (key, from("192.0.2.7:1")),
            (HashKey::ClientAddress, named),
            (HashKey::Sni, from("192.0.2.7:2")),
            (HashKey::Path, from("192.0.2.7:2")),
        ] {
            assert_eq!(connection_key(&key, &origin), client, "{key:?}");
        }
    }

    fn tlvs(bytes: &[u8]) -> Tlvs {
        let ends = [192, 0, 2, 7, 192, 0, 2, 8, 0, 1, 0, 80];
        let length = (ends.len() + bytes.len()) as u8;
        let header = [
            &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0"[..],
            &[length],
            &ends,
            bytes,
        ]
        .concat();
        match parse(&header) {
            Ok(Parsed::Whole { header, .. }) => header.tlvs,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn request_key_hashes_the_named_part_or_the_client() {
        let origin = Origin::of(addr("192.0.2.7:1"));
        let (request, ()) = Request::get("/cart?a=1&user=ann&users=x")
            .header("cookie", "theme=dark; sid=42")
            .header("cookie", "late=1")
            .header("x-user", "ann")
            .body(())
            .unwrap()
            .into_parts();
        let fallback = client_key(origin.client.ip());
        let cases: [(HashKey, u64); 10] = [
            (HashKey::ClientAddress, fallback),
            (HashKey::Header("x-user".into()), xxh3_64(b"ann")),
            (HashKey::Header("x-none".into()), fallback),
            (HashKey::Cookie("sid".into()), xxh3_64(b"42")),
            (HashKey::Cookie("late".into()), xxh3_64(b"1")),
            (HashKey::Cookie("si".into()), fallback),
            (HashKey::Path, xxh3_64(b"/cart")),
            (HashKey::Query("user".into()), xxh3_64(b"ann")),
            (HashKey::Query("use".into()), fallback),
            (HashKey::ProxyTlv(0xea), fallback),
        ];
        for (key, expected) in cases {
            assert_eq!(request_key(&key, &request, &origin), expected, "{key:?}");
        }
    }
}
