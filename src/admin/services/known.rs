//! Whether a service and an instance are there, and what is said when they are not: what exists, and what was
//! probably meant.

use super::Named;
use crate::admin::reply::failed;
use crate::admin::routes::Page;
use crate::config::closest_name;
use crate::routing::{RoutingTable, Service};
use hyper::StatusCode;
use std::sync::Arc;

/// Names that a wrong one is compared with, at most: each costs a microsecond of the thread that serves operators.
const COMPARED: usize = 1000;

/// Names that are listed when none is close, at most: a few lines.
const LISTED: usize = 10;

/// The service of that name.
///
/// # Errors
/// The page that says there is none.
pub(super) fn service<'t>(
    table: &'t RoutingTable,
    name: &str,
) -> Result<&'t Arc<Service>, Box<Page>> {
    table.service(name).ok_or_else(|| {
        let names = table.services.keys().map(|name| name.as_str());
        Box::new(missing("service", name, names))
    })
}

/// Whether the service has the instance, as an endpoint or as a registration that is none.
pub(super) fn has(service: &Service, instance: &str) -> bool {
    names(service).any(|name| name == instance)
}

/// The page that says that the service has no such instance.
pub(super) fn no_instance(service: &Service, named: &Named) -> Page {
    let what = format!("instance of {:?}", named.service);
    missing(&what, &named.instance, names(service))
}

fn names(service: &Service) -> impl Iterator<Item = &str> {
    let endpoints = service.endpoints.iter().map(|endpoint| &*endpoint.instance);
    let aside = service.notes.aside.iter().map(|aside| &*aside.instance);
    let unparsed = service.unparsed.iter().map(|entry| &*entry.instance);
    endpoints
        .chain(aside)
        .chain(unparsed.filter(|name| *name != "*"))
}

fn missing<'n>(what: &str, name: &str, known: impl Iterator<Item = &'n str>) -> Page {
    let known: Vec<&str> = known.take(COMPARED).collect();
    let hint = match closest_name(name, &known) {
        Some(close) => format!("did you mean {close:?}?"),
        None if known.is_empty() => "there is none at all".to_owned(),
        None => {
            let listed = known.iter().take(LISTED).map(|name| format!("{name:?}"));
            let listed: Vec<String> = listed.collect();
            let more = match known.len() > LISTED {
                true => " and more",
                false => "",
            };
            format!("there are {}{more}", listed.join(", "))
        }
    };
    let why = format!("there is no {what} called {name:?}; {hint}");
    failed(StatusCode::NOT_FOUND, "not-found", &why)
}
