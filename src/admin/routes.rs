//! Which page a request gets.

use super::asked::Asked;
use super::snapshot::Parts;
use super::{AdminState, access, cluster, commands, mirror, services, snapshot};
use crate::ensemble::Fault;
use crate::telemetry::is_doomed;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};

/// What every page is.
pub(super) type Page = Response<Either<Full<Bytes>, Parts>>;

/// The body is text.
pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
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
/v1/cluster   the members as JSON; see `zoogate cluster`
/v1/snapshot  a backup of the tree; see `zoogate backup`
/commands     what ZooKeeper's AdminServer answers, as JSON
";

/// The page that is asked for. For `HEAD` the server sends the head of the page that `GET` would get.
pub(super) async fn answer(state: &AdminState, asked: &Asked) -> Page {
    let (method, path) = (&asked.method, asked.path.as_str());
    if path == snapshot::PATH {
        // Not for HEAD: the whole tree would be written for nothing.
        return match (
            method == Method::GET,
            access::refuse(asked, state.token.as_deref()),
        ) {
            (false, _) => method_not_allowed(method),
            (true, Some(refusal)) => refusal,
            (true, None) => snapshot::answer(state, asked).await,
        };
    }
    let cluster = path.strip_prefix(cluster::PREFIX);
    if let Some(rest) = cluster.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        return cluster::answer(state, asked, rest).await;
    }
    let services = path.strip_prefix(services::PREFIX);
    if let Some(rest) = services.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
        return services::answer(state, asked, rest).await;
    }
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
        _ => return not_found(path),
    };
    if is_read {
        page(state)
    } else {
        method_not_allowed(method)
    }
}

fn healthz(state: &AdminState) -> Page {
    let stalled = || {
        let faults = state.ensemble.status().faults;
        let is_stall = |fault: &Fault| matches!(fault, Fault::Stalled { .. });
        faults.into_iter().find(is_stall).map(|f| f.to_string())
    };
    let doomed = || is_doomed().then(|| "a task has panicked".to_owned());
    let failure = state.health.failure().map(str::to_owned);
    match failure.or_else(stalled).or_else(doomed) {
        None => found(TEXT, "ok\n"),
        Some(why) => page(
            StatusCode::SERVICE_UNAVAILABLE,
            TEXT,
            format!("failed: {why}\n"),
        ),
    }
}

fn readyz(state: &AdminState) -> Page {
    let status = state.ensemble.status();
    let routed = state.metrics.coordination.table_swaps.get() > 0;
    let obstacles = state
        .health
        .obstacles(status.serving, &status.faults, routed);
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
        mirror::panics(metrics);
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
    let mut page = Response::new(Either::Left(Full::new(text.into())));
    *page.status_mut() = status;
    page.headers_mut().insert(CONTENT_TYPE, kind);
    let now_only = HeaderValue::from_static("no-store");
    page.headers_mut().insert(CACHE_CONTROL, now_only);
    page
}
