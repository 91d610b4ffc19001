//! Who may ask for more than a look.

use super::asked::Asked;
use super::routes::{Page, TEXT, page};
use crate::net::Secret;
use hyper::StatusCode;
use std::net::IpAddr;

/// The page that refuses `asked`, unless it may: by its token if one is configured, else from this machine.
pub(super) fn refuse(asked: &Asked, token: Option<&Secret>) -> Option<Page> {
    let (status, why) = match (token, &asked.bearer) {
        (Some(token), Some(shown)) if token.is(shown.as_bytes()) => return None,
        (Some(_), Some(_)) => (StatusCode::FORBIDDEN, "this is not the token of this node"),
        (Some(_), None) => (
            StatusCode::UNAUTHORIZED,
            "a token is needed: Authorization: Bearer TOKEN",
        ),
        (None, _) if asked.peer.ip().to_canonical().is_loopback() => return None,
        (None, _) => (
            StatusCode::FORBIDDEN,
            "without a token configured this is answered on loopback only",
        ),
    };
    Some(page(status, TEXT, format!("{why}\n")))
}

/// The page that refuses `asked` if a browser sends it for a page of somebody else's (DNS rebinding, or a plain
/// cross-site request): its `Host` must be an address or `localhost`, and no other origin may speak.
///
/// Whoever shows the token is no browser that was led astray.
pub(super) fn refuse_foreign(asked: &Asked) -> Option<Page> {
    let host = asked.host.as_deref().unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_local = bare.parse::<IpAddr>().is_ok() || bare.eq_ignore_ascii_case("localhost");
    let is_own = asked.origin.as_deref().is_none_or(|origin| {
        let rest = origin.split_once("://").map(|(_, rest)| rest);
        rest == Some(host)
    });
    let why = match (is_local || asked.bearer.is_some(), is_own) {
        (true, true) => return None,
        (false, _) => "the Host header must be an IP address or localhost",
        (_, false) => "a page of another origin may not ask for this",
    };
    Some(page(StatusCode::FORBIDDEN, TEXT, format!("{why}\n")))
}

#[cfg(test)]
mod tests {
    use super::super::asked::Pace;
    use super::*;
    use hyper::Method;
    use tokio::time::Instant;

    fn asked() -> Asked {
        Asked {
            method: Method::GET,
            path: "/".into(),
            peer: "127.0.0.1:1".parse().unwrap(),
            body: None,
            host: None,
            origin: None,
            bearer: None,
            pace: Pace::until(Instant::now()),
        }
    }

    #[tokio::test]
    async fn pages_of_others_may_not() {
        for (host, origin, bearer, allowed) in [
            ("127.0.0.1:9180", None, None, true),
            ("localhost:9180", None, None, true),
            ("[::1]:9180", None, None, true),
            ("127.0.0.1:9180", Some("http://127.0.0.1:9180"), None, true),
            ("127.0.0.1:9180", Some("http://evil.example"), None, false),
            ("127.0.0.1:9180", Some("null"), None, false),
            ("evil.example:9180", None, None, false),
            ("evil.example", Some("http://evil.example"), None, false),
            ("", None, None, false),
            ("node.example:9180", None, Some("token"), true),
        ] {
            let asked = Asked {
                host: Some(host.into()),
                origin: origin.map(str::to_owned),
                bearer: bearer.map(str::to_owned),
                ..asked()
            };
            assert_eq!(
                refuse_foreign(&asked).is_none(),
                allowed,
                "{host} {origin:?}"
            );
        }
    }

    #[tokio::test]
    async fn loopback_or_the_token_may() {
        for (peer, bearer, token, expected) in [
            ("127.0.0.1:1", None, None, None),
            ("[::1]:1", None, None, None),
            ("[::ffff:127.0.0.1]:1", None, None, None),
            ("10.0.0.1:1", None, None, Some(403)),
            ("10.0.0.1:1", Some("abc"), None, Some(403)),
            ("10.0.0.1:1", Some("abc"), Some("abc"), None),
            ("10.0.0.1:1", Some("abd"), Some("abc"), Some(403)),
            ("10.0.0.1:1", Some("ab"), Some("abc"), Some(403)),
            ("127.0.0.1:1", None, Some("abc"), Some(401)),
        ] {
            let asked = Asked {
                peer: peer.parse().unwrap(),
                bearer: bearer.map(str::to_owned),
                ..asked()
            };
            let token = token.map(|token: &str| Secret::new(token.as_bytes()));
            let refused = refuse(&asked, token.as_ref()).map(|page| page.status().as_u16());
            assert_eq!(refused, expected, "{peer} {bearer:?} {token:?}");
        }
    }
}
