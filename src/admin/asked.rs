//! A request, as far as pages care, and how long its connection may go on.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, Request};
use parking_lot::Mutex;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// What is asked, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// How.
    pub method: Method,
    /// What for, without the query.
    pub path: String,
    /// Who asks.
    pub peer: SocketAddr,
    /// What it brings along; empty where nothing is expected, `None` if it is too long or did not come.
    pub body: Option<Bytes>,
    /// The header `Host`.
    pub host: Option<String>,
    /// The header `Origin`: whose page asks, if a browser does.
    pub origin: Option<String>,
    /// The token shown, if any.
    pub bearer: Option<String>,
    /// Of the connection.
    pub pace: Pace,
}

impl Asked {
    /// From a request's head.
    pub(super) fn new<B>(request: &Request<B>, peer: SocketAddr, pace: &Pace) -> Asked {
        Asked {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            peer,
            body: Some(Bytes::new()),
            host: text_of(request.headers(), &HOST),
            origin: text_of(request.headers(), &ORIGIN),
            bearer: bearer(request.headers()),
            pace: pace.clone(),
        }
    }
}

impl Asked {
    /// With its body, where one is expected: bodies of all else are ignored.
    pub(super) async fn with_body<B>(self, body: B) -> Asked
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if self.method == Method::GET || self.method == Method::HEAD {
            return self;
        }
        let read = timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES).collect()).await;
        let body = read.ok().and_then(Result::ok).map(|body| body.to_bytes());
        Asked { body, ..self }
    }
}

/// Longest body: what may be asked for is a handful of names.
const BODY_BYTES: usize = 64 << 10;

/// Longest wait for one.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// RFC 6750, 2.1: `Authorization: Bearer TOKEN`.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    is_bearer.then(|| token.trim().to_owned())
}

/// When a connection ends, if nothing moves that.
#[derive(Clone, Debug)]
pub(super) struct Pace(Arc<Mutex<Instant>>);

impl Pace {
    /// Ends at `at`.
    pub(super) fn until(at: Instant) -> Pace {
        Pace(Arc::new(Mutex::new(at)))
    }

    /// Ends at `at` instead, and tells when it would have.
    pub(super) fn move_to(&self, at: Instant) -> Instant {
        std::mem::replace(&mut *self.0.lock(), at)
    }

    /// Resolves when the connection is to end.
    pub(super) async fn over(&self) {
        loop {
            let at = *self.0.lock();
            sleep_until(at).await;
            if *self.0.lock() <= at {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_one() {
        for (value, expected) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("abc", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(bearer(&headers).as_deref(), expected, "{value}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[tokio::test]
    async fn a_connection_ends_when_it_was_moved_to() {
        let begun = Instant::now();
        let pace = Pace::until(begun + Duration::from_millis(50));
        let (end, mover) = (begun + Duration::from_millis(150), pace.clone());
        let (first, ()) = tokio::join!(async { mover.move_to(end) }, pace.over());
        assert_eq!(first, begun + Duration::from_millis(50));
        assert!(Instant::now() >= end);
    }
}
