//! Why instances that are not there any more have gone: a memory for people, of bounded size.
//!
//! The transaction that removes a registration is noted while it is applied, with what it was; the address and the
//! state of the endpoint follow when a table is without it. Neither waits for the other, so either may come first: a
//! tree may be read after a removal that a wake-up has yet to tell of.
//!
//! The states are remembered as well, weakly: exchanges may go on after their endpoint has left, and whoever drains it
//! wants to know of them.

use crate::balance::{Endpoint, EndpointState};
use crate::config::ServiceName;
use crate::tree::SessionId;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

/// Instances that are remembered, beside those whose exchanges go on. Each costs about 300 bytes.
const MAX: usize = 4096;

/// Instances that are looked at to find one that can be forgotten: nobody waits longer than that takes.
const TRIES: usize = 16;

/// What removed a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Nothing was heard of its session's client for too long.
    Expired(SessionId),
    /// The client ended its session.
    Closed(SessionId),
    /// Somebody deleted its znode.
    Deleted,
}

/// How an instance has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Where it was, if it was an endpoint.
    pub address: Option<Arc<str>>,
    /// The transaction that removed it; without a `removal`, the one that the first table without it reflects.
    pub zxid: u64,
    /// What removed it; not known when it left by other settings, by another payload, or with a whole tree that came
    /// from the leader.
    pub removal: Option<Removal>,
    /// When this node saw it, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// The instances that have left last.
#[derive(Debug, Default)]
pub(super) struct Departures {
    services: BTreeMap<ServiceName, BTreeMap<Arc<str>, Remembered>>,
    /// One entry for each instance, the one that has been remembered longest first.
    order: VecDeque<(ServiceName, Arc<str>)>,
}

#[derive(Debug)]
struct Remembered {
    departure: Departure,
    states: Vec<Weak<EndpointState>>,
}

impl Departures {
    /// A transaction removed a registration.
    pub(super) fn removed(
        &mut self,
        service: &ServiceName,
        instance: &str,
        (zxid, removal): (u64, Removal),
        at_ms: i64,
    ) {
        let departure = Departure {
            address: None,
            zxid,
            removal: Some(removal),
            at_ms,
        };
        self.remember(service, &instance.into(), departure, None);
    }

    /// An endpoint is not in the table of that transaction any more.
    pub(super) fn left(
        &mut self,
        service: &ServiceName,
        endpoint: &Endpoint,
        zxid: u64,
        at_ms: i64,
    ) {
        let joined = endpoint.state.facts().joined.and_then(|mark| mark.zxid);
        let known = self.services.get(service);
        let known = known.and_then(|instances| instances.get(&endpoint.instance));
        // One that it came back from says nothing about this time.
        let known = known.filter(|known| known.departure.zxid > joined.unwrap_or(0));
        let departure = match known {
            Some(known) if known.departure.removal.is_some() => known.departure.clone(),
            _ => Departure {
                address: None,
                zxid,
                removal: None,
                at_ms,
            },
        };
        let departure = Departure {
            address: Some(Arc::clone(&endpoint.address)),
            ..departure
        };
        let instance = Arc::clone(&endpoint.instance);
        self.remember(service, &instance, departure, Some(&endpoint.state));
    }

    /// How an instance left the last time.
    pub(super) fn of(&self, service: &str, instance: &str) -> Option<Departure> {
        let remembered = self.services.get(service)?.get(instance)?;
        Some(remembered.departure.clone())
    }

    /// The instances of a service that have left, by their names.
    pub(super) fn of_service(&self, service: &str) -> Vec<(Arc<str>, Departure)> {
        let instances = self.services.get(service).into_iter().flatten();
        instances
            .map(|(instance, known)| (Arc::clone(instance), known.departure.clone()))
            .collect()
    }

    /// Exchanges that go on with what an instance was before; not those of the state `now` that it has now.
    pub(super) fn active(
        &self,
        service: &str,
        instance: &str,
        now: Option<&Arc<EndpointState>>,
    ) -> u32 {
        let known = self.services.get(service).and_then(|i| i.get(instance));
        let states = known.into_iter().flat_map(|known| &known.states);
        states
            .filter_map(Weak::upgrade)
            .filter(|state| now.is_none_or(|now| !Arc::ptr_eq(now, state)))
            .map(|state| state.active.load(Ordering::Relaxed))
            .sum()
    }

    fn remember(
        &mut self,
        service: &ServiceName,
        instance: &Arc<str>,
        departure: Departure,
        state: Option<&Arc<EndpointState>>,
    ) {
        let instances = self.services.entry(service.clone()).or_default();
        if !instances.contains_key(instance) {
            self.order
                .push_back((service.clone(), Arc::clone(instance)));
        }
        let known = instances
            .entry(Arc::clone(instance))
            .or_insert_with(|| Remembered {
                departure: departure.clone(),
                states: Vec::new(),
            });
        known.departure = departure;
        known.states.retain(|state| state.strong_count() > 0);
        if let Some(state) = state {
            let state = Arc::downgrade(state);
            known.states.retain(|known| !known.ptr_eq(&state));
            known.states.push(state);
        }
        self.forget();
    }

    /// Forgets the oldest ones beyond the bound, but none whose exchanges go on.
    fn forget(&mut self) {
        for _ in 0..TRIES {
            if self.order.len() <= MAX {
                return;
            }
            let Some((service, instance)) = self.order.pop_front() else {
                return;
            };
            let Some(instances) = self.services.get_mut(&service) else {
                continue;
            };
            let goes_on = |known: &Remembered| {
                let states = known.states.iter().filter_map(Weak::upgrade);
                states
                    .into_iter()
                    .any(|s| s.active.load(Ordering::Relaxed) > 0)
            };
            if instances.get(&instance).is_some_and(goes_on) {
                self.order.push_back((service, instance));
                continue;
            }
            instances.remove(&instance);
            if instances.is_empty() {
                self.services.remove(&service);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{Lease, Mark};

    fn web() -> ServiceName {
        ServiceName::new("web").unwrap()
    }

    fn endpoint(instance: &str, joined: u64) -> Arc<Endpoint> {
        let endpoint = Endpoint {
            instance: instance.into(),
            address: "10.0.0.1:80".into(),
            weight: 1,
            tier: 0,
            state: Arc::default(),
        };
        endpoint.state.join(Mark {
            zxid: Some(joined),
            ..Mark::new(1)
        });
        Arc::new(endpoint)
    }

    #[test]
    fn a_departure_is_whole_whichever_half_comes_first() {
        let expired = (7, Removal::Expired(SessionId(3)));
        let whole = Departure {
            address: Some("10.0.0.1:80".into()),
            zxid: 7,
            removal: Some(Removal::Expired(SessionId(3))),
            at_ms: 50,
        };
        let mut departures = Departures::default();
        departures.removed(&web(), "a", expired, 50);
        departures.left(&web(), &endpoint("a", 5), 9, 60);
        assert_eq!(departures.of("web", "a"), Some(whole.clone()));
        assert_eq!(departures.of("web", "b"), None);
        assert_eq!(departures.of("api", "a"), None);

        departures.left(&web(), &endpoint("b", 5), 9, 60);
        assert_eq!(departures.of("web", "b").unwrap().removal, None);
        departures.removed(&web(), "b", expired, 50);
        let known = departures.of("web", "b").unwrap();
        assert_eq!((known.removal, known.zxid), (whole.removal, 7));
    }

    #[test]
    fn an_old_removal_does_not_explain_a_new_departure() {
        let mut departures = Departures::default();
        departures.removed(&web(), "a", (7, Removal::Deleted), 50);
        departures.left(&web(), &endpoint("a", 8), 9, 60);
        let known = departures.of("web", "a").unwrap();
        assert_eq!((known.removal, known.zxid), (None, 9));
    }

    #[test]
    fn exchanges_that_go_on_are_counted_once() {
        let mut departures = Departures::default();
        let (old, new) = (endpoint("a", 1), endpoint("a", 2));
        let leases = [Lease::new(Arc::clone(&old)), Lease::new(Arc::clone(&new))];
        departures.left(&web(), &old, 3, 0);
        departures.left(&web(), &new, 4, 0);
        departures.left(&web(), &new, 5, 0);
        assert_eq!(departures.active("web", "a", None), 2);
        assert_eq!(departures.active("web", "a", Some(&new.state)), 1);
        drop(leases);
        assert_eq!(departures.active("web", "a", None), 0);
    }

    #[test]
    fn the_memory_is_bounded_but_for_what_goes_on() {
        let mut departures = Departures::default();
        let busy = endpoint("busy", 1);
        let lease = Lease::new(Arc::clone(&busy));
        departures.left(&web(), &busy, 2, 0);
        for number in 0..MAX + 100 {
            let name = format!("i{number}");
            departures.removed(&web(), &name, (3, Removal::Deleted), 0);
        }
        assert_eq!(departures.of_service("web").len(), MAX);
        assert_eq!(departures.order.len(), MAX);
        assert_eq!(departures.of("web", "i0"), None);
        assert_eq!(departures.active("web", "busy", None), 1);
        drop(lease);
    }
}
