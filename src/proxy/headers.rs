//! What must be true of a message's head before it is passed on, and what is changed on the way.
//!
//! Requests are never forwarded as bytes: the HTTP library parses them and writes them anew with exactly one
//! framing, so no endpoint can see a request that this node did not. It already refuses malformed lines, names
//! and numbers; a `Content-Length` beside a `Transfer-Encoding` it drops, closing the connection afterwards
//! (RFC 9112 section 6.3, case 3). What remains ambiguous is refused here.
//!
//! Source: RFC 9110 section 7.6.1 (hop-by-hop fields), RFC 9112 sections 3.2 (target and host) and 6 (framing).

use super::origin::Origin;
use super::outcome::Outcome;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, Entry, HOST, HeaderMap, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::http::request::Parts;
use hyper::http::uri::{Authority, PathAndQuery};
use hyper::{Method, Uri, Version};
use std::net::IpAddr;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// CGI programs read it as `HTTP_PROXY` (httpoxy, CVE-2016-5385).
const PROXY: HeaderName = HeaderName::from_static("proxy");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Fields that concern one connection only, whether or not `Connection` names them.
const HOP_BY_HOP: [HeaderName; 8] = [
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    PROXY,
    HTTP2_SETTINGS,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Checks that a request means one thing only, and brings its target into origin form.
///
/// # Errors
/// [`Outcome::BadRequest`] or [`Outcome::MethodRefused`].
pub fn admit(request: &mut Parts) -> Result<(), Outcome> {
    if request.method == Method::CONNECT {
        return Err(Outcome::MethodRefused);
    }
    admit_host(request)?;
    match request.uri.scheme_str() {
        None => {}
        Some("http" | "https") => to_origin_form(request)?,
        Some(_) => return Err(Outcome::BadRequest),
    }
    let path = request.uri.path();
    let asterisk = path == "*" && request.method == Method::OPTIONS;
    if request.uri.authority().is_some() || !(path.starts_with('/') || asterisk) {
        return Err(Outcome::BadRequest);
    }
    if !has_plain_framing(&request.headers) || names_vital_field(&request.headers) {
        return Err(Outcome::BadRequest);
    }
    drop_underscored(&mut request.headers);
    Ok(())
}

/// The host a request asks for: lower case, without port. Call after [`admit`].
pub fn host_of(headers: &HeaderMap) -> Option<String> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let end = match host.rfind(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some(colon) if !host[colon..].contains(']') => colon,
        _ => host.len(),
    };
    Some(host[..end].to_ascii_lowercase())
}

/// One valid `Host`, which HTTP/1.0 may omit.
fn admit_host(request: &Parts) -> Result<(), Outcome> {
    let mut hosts = request.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if is_authority(host) => Ok(()),
        (None, _) if request.version == Version::HTTP_10 => Ok(()),
        _ => Err(Outcome::BadRequest),
    }
}

fn is_authority(host: &HeaderValue) -> bool {
    let parsed = Authority::try_from(host.as_bytes());
    parsed.is_ok_and(|a| !a.host().is_empty() && !a.as_str().contains('@'))
}

/// `GET http://host/path`: the target's host replaces the `Host` field (RFC 9112 section 3.2.2).
fn to_origin_form(request: &mut Parts) -> Result<(), Outcome> {
    let authority = request.uri.authority().map(Authority::as_str);
    let host = authority.and_then(|a| HeaderValue::from_str(a).ok());
    let host = host.filter(is_authority).ok_or(Outcome::BadRequest)?;
    request.headers.insert(HOST, host);
    let path = request.uri.path_and_query().cloned();
    request.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(())
}

/// At most one transfer coding, and that `chunked`: any other would be lost when the message is written anew.
pub fn has_plain_framing(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(one), None) => one.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// `Connection` names a field without which the message means something else.
fn names_vital_field(headers: &HeaderMap) -> bool {
    const VITAL: [HeaderName; 3] = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING];
    tokens(headers, CONNECTION).any(|t| VITAL.iter().any(|v| t.eq_ignore_ascii_case(v.as_str())))
}

/// Removes fields with `_` in their name: many endpoints cannot tell `x_forwarded_for` from `x-forwarded-for`.
fn drop_underscored(headers: &mut HeaderMap) {
    while let Some(name) = headers.keys().find(|n| n.as_str().contains('_')) {
        let name = name.clone();
        headers.remove(name);
    }
}

/// The protocol a request wants to switch to, where switching is passed on: HTTP/1.1, without a body, and not
/// to HTTP/2, which would carry further requests past every rule.
pub fn upgrade_wanted(request: &Parts, has_body: bool) -> Option<HeaderValue> {
    let headers = &request.headers;
    let wanted = headers.get(UPGRADE)?;
    let named = tokens(headers, CONNECTION).any(|t| t.eq_ignore_ascii_case("upgrade"));
    let http2 = tokens(headers, UPGRADE).any(|t| t.to_ascii_lowercase().starts_with("h2"));
    let allowed = named && !http2 && !has_body && request.version == Version::HTTP_11;
    allowed.then(|| wanted.clone())
}

/// Turns the client's head into the one for the endpoint. `upgrade` is what [`upgrade_wanted`] said.
pub fn towards_endpoint(request: &mut Parts, origin: &Origin, upgrade: Option<HeaderValue>) {
    let headers = &mut request.headers;
    let trailers = tokens(headers, TE).any(|t| t.eq_ignore_ascii_case("trailers"));
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    strip(headers);
    // This node answers the expectation itself as soon as the endpoint wants the body.
    headers.remove(EXPECT);
    if chunked {
        // Said explicitly, because the library takes a GET of unknown length for one without a body.
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(protocol) = upgrade {
        switch(headers, protocol);
    }
    forwarded_for(headers, origin.client.ip());
    let scheme = match origin.secured {
        Some(_) => "https",
        None => "http",
    };
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    match headers.get(HOST).cloned() {
        Some(host) => headers.insert(X_FORWARDED_HOST, host),
        None => headers.remove(X_FORWARDED_HOST),
    };
    request.version = Version::HTTP_11;
}

/// Turns the endpoint's head into the one for the client.
pub fn towards_client(headers: &mut HeaderMap, upgrade: Option<HeaderValue>) {
    strip(headers);
    if let Some(protocol) = upgrade {
        switch(headers, protocol);
    }
}

fn switch(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Removes what concerns one connection only.
fn strip(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named = tokens(headers, CONNECTION).filter_map(|t| t.parse().ok());
        let named: Vec<HeaderName> = named.collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    headers.remove(TE);
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Appends the client to the chain of addresses, on one line, since many endpoints read only one.
fn forwarded_for(headers: &mut HeaderMap, client: IpAddr) {
    let mut chain = String::with_capacity(40);
    for earlier in headers.get_all(X_FORWARDED_FOR) {
        if let Ok(earlier) = earlier.to_str() {
            chain.push_str(earlier);
            chain.push_str(", ");
        }
    }
    chain.push_str(&client.to_string());
    if let Ok(chain) = HeaderValue::try_from(chain) {
        match headers.entry(X_FORWARDED_FOR) {
            Entry::Occupied(mut earlier) => drop(earlier.insert(chain)),
            Entry::Vacant(none) => drop(none.insert(chain)),
        }
    }
}

/// The comma-separated tokens of all lines of a field.
fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter();
    let texts = lines.filter_map(|line| line.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn head(fields: &[(&str, &str)]) -> Parts {
        let mut request = Request::get("/");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn hosts_lose_their_port_and_their_case() {
        for (field, expected) in [
            ("Shop.Example", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[2001:db8::1]:80", "[2001:db8::1]"),
        ] {
            let host = host_of(&head(&[("host", field)]).headers);
            assert_eq!(host.as_deref(), Some(expected), "{field}");
        }
        assert_eq!(host_of(&head(&[]).headers), None);
    }

    #[test]
    fn upgrades_pass_only_where_they_hide_nothing() {
        let upgrade = |connection, protocol| {
            let request = head(&[("connection", connection), ("upgrade", protocol)]);
            upgrade_wanted(&request, false).is_some()
        };
        assert!(upgrade("upgrade", "websocket"));
        assert!(upgrade("keep-alive, Upgrade", "WebSocket"));
        assert!(!upgrade("keep-alive", "websocket"));
        assert!(!upgrade("upgrade, http2-settings", "h2c"));
        assert!(!upgrade("upgrade", "websocket, H2C"));
        let request = head(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        assert!(upgrade_wanted(&request, true).is_none(), "with a body");
    }

    #[test]
    fn the_chain_of_clients_is_one_line() {
        let mut request = head(&[
            ("x-forwarded-for", "192.0.2.1, 192.0.2.2"),
            ("x-forwarded-for", "192.0.2.3"),
        ]);
        let origin = Origin::of("[2001:db8::1]:1".parse().unwrap());
        towards_endpoint(&mut request, &origin, None);
        let lines: Vec<_> = request
            .headers
            .get_all("x-forwarded-for")
            .into_iter()
            .collect();
        assert_eq!(lines, ["192.0.2.1, 192.0.2.2, 192.0.2.3, 2001:db8::1"]);
    }
}
