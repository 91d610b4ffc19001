//! Requests and answers in JSON, as those pages have them that change something.

use super::asked::Asked;
use super::routes::{JSON, Page, page};
use hyper::StatusCode;
use hyper::header::{ALLOW, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

/// The body, of which an empty one says nothing: `{}`.
///
/// # Errors
/// The page that says what is wrong with it.
pub(super) fn body<'a, T: Deserialize<'a>>(asked: &'a Asked) -> Result<T, Box<Page>> {
    let Some(body) = &asked.body else {
        let why = "the body is longer than 64 KiB, or did not come";
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(Box::new(failed(status, "too-long", why)));
    };
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let why = format!("the body is not what is expected here: {error}");
        Box::new(failed(StatusCode::BAD_REQUEST, "bad-request", &why))
    })
}

/// The page for a method that does not go with the path.
pub(super) fn wrong_method(allowed: &'static str) -> Page {
    let why = format!("only {allowed} here");
    let mut page = failed(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", &why);
    let allowed = HeaderValue::from_static(allowed);
    page.headers_mut().insert(ALLOW, allowed);
    page
}

/// The page that refuses: `error` for programs, `reason` for people.
pub(super) fn failed(status: StatusCode, name: &str, reason: &str) -> Page {
    done(status, &json!({ "error": name, "reason": reason }))
}

/// A page of JSON.
pub(super) fn done(status: StatusCode, value: &Value) -> Page {
    page(status, JSON, format!("{value}\n"))
}
