//! `/v1/services`: services and their endpoints, and what operators want of them.
//!
//! | request | does | answers |
//! |---|---|---|
//! | `GET /v1/services` | | all of them: see `list` |
//! | `GET /v1/services/web` | | one, with everything that explains it: see `show` |
//! | `GET /v1/services/web/endpoints/a`, `/v1/services/web/a` | | one of its instances, also one that is not there any more |
//! | `POST /v1/services/web/endpoints/a/drain` `{"deadline":"30s","by":"ann"}` | the endpoint gets nothing new, on every node; what is under way has `deadline`, or else the service's `drain_timeout` | `{"zxid":99,..}`: see `orders` |
//! | `POST /v1/services/web/endpoints/a/undrain` | takes that back | the same |
//! | `GET /v1/services/web/endpoints/a/exchanges` | asks every node | how many exchanges each has with the endpoint: see `exchanges` |
//!
//! Names are percent-encoded where a path wants it. Any node may be asked. An answer that is not 2xx is
//! `{"error":"not-found","reason":"there is no service \"wbe\"; did you mean \"web\"?"}`: 400 the request makes no sense,
//! 401 and 403 it may not ask (see `access`), 404 no such service or instance, 405 wrong method, 413 too long, 503 no
//! leader, no room, or the outcome is not known. What changes something, or makes other nodes work, asks for what
//! changing the ensemble asks for.
mod exchanges;
mod known;
pub(super) mod list;
mod orders;
mod show;
mod why;

pub(super) use exchanges::answer_member;

use super::asked::Asked;
use super::reply::{failed, wrong_method};
use super::routes::{JSON, Page, found};
use super::{AdminState, access};
use hyper::{Method, StatusCode};
use percent_encoding::percent_decode_str;

/// Where it begins.
pub(super) const PREFIX: &str = "/v1/services";

/// An instance of a service, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    service: String,
    instance: String,
}

/// What a path is about.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    All,
    Service(String),
    Instance(Named),
    Exchanges(Named),
    Drain(Named),
    Undrain(Named),
    Nothing,
}

/// The answer to a request below [`PREFIX`], of which `rest` is what follows.
pub(super) async fn answer(state: &AdminState, asked: &Asked, rest: &str) -> Page {
    let is_read = asked.method == Method::GET || asked.method == Method::HEAD;
    let is_post = asked.method == Method::POST;
    let place = Place::of(rest);
    match &place {
        Place::Nothing => {
            let why = format!("no page {:?}", asked.path);
            return failed(StatusCode::NOT_FOUND, "not-found", &why);
        }
        Place::Drain(_) | Place::Undrain(_) if !is_post => return wrong_method("POST"),
        Place::Drain(_) | Place::Undrain(_) => {}
        _ if !is_read => return wrong_method("GET, HEAD"),
        _ => {}
    }
    let foreign = || access::refuse_foreign(asked);
    let stranger = || foreign().or_else(|| access::refuse(asked, state.token.as_deref()));
    let refusal = match &place {
        Place::All | Place::Nothing => None,
        Place::Service(_) | Place::Instance(_) => foreign(),
        Place::Exchanges(_) | Place::Drain(_) | Place::Undrain(_) => stranger(),
    };
    if let Some(refusal) = refusal {
        return refusal;
    }
    match &place {
        Place::All | Place::Nothing => found(JSON, list::page(&state.table.load())),
        Place::Service(name) => show::service(state, name),
        Place::Instance(named) => show::instance(state, named),
        Place::Exchanges(named) => exchanges::page(state, named).await,
        Place::Drain(named) => orders::drain(state, asked, named).await,
        Place::Undrain(named) => orders::undrain(state, asked, named).await,
    }
}

impl Place {
    fn of(rest: &str) -> Place {
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8().map(String::from);
        let segments: Result<Vec<String>, _> = rest.split('/').skip(1).map(decoded).collect();
        let Ok(segments) = segments else {
            return Place::Nothing;
        };
        let named = |service: &str, instance: &str| Named {
            service: service.into(),
            instance: instance.into(),
        };
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [] => Place::All,
            [service] if !service.is_empty() => Place::Service((*service).into()),
            [service, "endpoints", instance] => Place::Instance(named(service, instance)),
            [service, instance] if !instance.is_empty() => {
                Place::Instance(named(service, instance))
            }
            [service, "endpoints", instance, "drain"] => Place::Drain(named(service, instance)),
            [service, "endpoints", instance, "undrain"] => Place::Undrain(named(service, instance)),
            [service, "endpoints", instance, "exchanges"] => {
                Place::Exchanges(named(service, instance))
            }
            _ => Place::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_what_they_are_about() {
        let named = |service: &str, instance: &str| Named {
            service: service.into(),
            instance: instance.into(),
        };
        for (rest, place) in [
            ("", Place::All),
            ("/", Place::Nothing),
            ("/web", Place::Service("web".into())),
            ("/web/", Place::Nothing),
            ("/web/a", Place::Instance(named("web", "a"))),
            ("/web/endpoints/a", Place::Instance(named("web", "a"))),
            ("/web/endpoints/a/drain", Place::Drain(named("web", "a"))),
            (
                "/a%20b/endpoints/10.0.0.1:80/undrain",
                Place::Undrain(named("a b", "10.0.0.1:80")),
            ),
            (
                "/web/endpoints/%C3%A9%2f/exchanges",
                Place::Exchanges(named("web", "é/")),
            ),
            ("/web/endpoints/%ff/drain", Place::Nothing),
            ("/web/endpoints/a/b/drain", Place::Nothing),
            ("/web/endpoints/a/fly", Place::Nothing),
        ] {
            assert_eq!(Place::of(rest), place, "{rest}");
        }
    }
}
