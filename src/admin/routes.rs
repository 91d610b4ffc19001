//! Which page a request gets.

use super::{AdminState, commands, mirror, services};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

/// What every page is.
pub(super) type Page = Response<Full<Bytes>>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The body is JSON.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The exposition format names its version so that scrapers need not guess.
const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

const INDEX: &str = "\
Zoogate
/healthz      200 while the node works, else 503 and why
/readyz       200 while it should get clients, else 503 and why
/metrics      Prometheus metrics
/v1/services  services and endpoints as JSON
/commands     what ZooKeeper's AdminServer answers, as JSON
";

/// The page for `method` and `path` (without its query). For `HEAD` the server sends the head of the page
/// that `GET` would get.
pub(super) async fn answer(state: &AdminState, method: &Method, path: &str) -> Page {
    let is_read = method == Method::GET || method == Method::HEAD;
    let command = path.strip_prefix(commands::PREFIX);
    if let Some(rest) = command.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        return match is_read {
            true => state.commands.answer(rest).await,
            false => method_not_allowed(method),
        };
    }
    let page: fn(&AdminState) -> Page = match path {
        "/" => |_| found(TEXT, INDEX),
        "/healthz" => healthz,
        "/readyz" => readyz,
        "/metrics" => metrics,
        "/v1/services" => |state| found(JSON, services::page(&state.table.load())),
        _ => return not_found(path),
    };
    if is_read {
        page(state)
    } else {
        method_not_allowed(method)
    }
}

fn healthz(state: &AdminState) -> Page {
    match state.health.failure() {
        None => found(TEXT, "ok\n"),
        Some(why) => page(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            format!("failed: {why}\n"),
        ),
    }
}

fn readyz(state: &AdminState) -> Page {
    let serving = state.ensemble.status().serving;
    let routed = state.metrics.coordination.table_swaps.get() > 0;
    let obstacles = state.health.obstacles(serving, routed);
    if obstacles.is_empty() {
        return found(TEXT, "ready\n");
    }
    let text = obstacles.join("\n") + "\n";
    page(StatusCode::SERVICE_UNAVAILABLE, TEXT, text)
}

fn metrics(state: &AdminState) -> Page {
    let text = state.metrics.scrape(|metrics| {
        mirror::table(metrics, &state.table.load());
        mirror::ensemble(metrics, &state.ensemble.status());
        mirror::tree(metrics, &state.ensemble.read(|tree| tree.counts()));
    });
    found(EXPOSITION, text)
}

fn not_found(path: &str) -> Page {
    let text = format!("no page {path:?}; see /\n");
    page(StatusCode::NOT_FOUND, TEXT, text)
}

fn method_not_allowed(method: &Method) -> Page {
    let text = format!("{method} is not allowed here, only GET and HEAD\n");
    let mut page = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
    let allowed = HeaderValue::from_static("GET, HEAD");
    page.headers_mut().insert(ALLOW, allowed);
    page
}

/// A page that is there.
pub(super) fn found(kind: HeaderValue, text: impl Into<Bytes>) -> Page {
    page(StatusCode::OK, kind, text)
}

/// Every page is about this moment, so nobody may keep it.
pub(super) fn page(status: StatusCode, kind: HeaderValue, text: impl Into<Bytes>) -> Page {
    let mut page = Response::new(Full::new(text.into()));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, kind);
    let now_only = HeaderValue::from_static("no-store");
    page.headers_mut().insert(CACHE_CONTROL, now_only);
    page
}
