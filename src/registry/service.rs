//! One service of a new table: its registrations and static endpoints, merged with what the previous table knows.

use super::assemble::{Effects, Given};
use super::change::{Change, What};
use super::payload;
use super::reading::{MAX_INSTANCES, Registered};
use crate::balance::{Balancer, Endpoint, EndpointState};
use crate::config::{ServiceName, ServicePolicy};
use crate::routing::{Service, Unparsed};
use std::sync::Arc;
use std::time::Duration;

/// A table in the making.
pub(super) struct Assembly<'a> {
    given: &'a Given<'a>,
    effects: Effects,
    changes: Vec<Change>,
}

/// An endpoint as the tree or the settings want it.
struct Wanted {
    instance: Arc<str>,
    address: Arc<str>,
    weight: u16,
    draining: bool,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(given: &'a Given<'a>) -> Assembly<'a> {
        Assembly {
            given,
            effects: Effects::default(),
            changes: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> (Effects, Vec<Change>) {
        (self.effects, self.changes)
    }

    /// The service as it is to be now: the previous one if nothing about it changes.
    pub(super) fn service(&mut self, name: &ServiceName, registered: &Registered) -> Arc<Service> {
        let previous = self.given.previous.services.get(name);
        let policy = self.policy(name);
        let (wanted, unparsed) = wanted(&policy, registered);
        let mut endpoints = Vec::with_capacity(wanted.len());
        let mut live = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let before = previous.and_then(|service| at(&service.endpoints, &wanted.instance));
            let endpoint = self.settle(name, &wanted, before, policy.drain_timeout);
            if !wanted.draining {
                live.push(Arc::clone(&endpoint));
            }
            endpoints.push(endpoint);
        }
        if let Some(service) = previous {
            let stays = |old: &&Arc<Endpoint>| {
                at(&endpoints, &old.instance).is_some_and(|new| new.address == old.address)
            };
            for gone in service.endpoints.iter().filter(|old| !stays(old)) {
                self.leave(name, gone, policy.drain_timeout);
            }
            if service.policy == policy
                && same(&service.endpoints, &endpoints)
                && same(service.balancer.endpoints(), &live)
                && service.unparsed == unparsed
            {
                return Arc::clone(service);
            }
        }
        self.report_unparsed(name, &unparsed, previous);
        Arc::new(Service {
            name: name.clone(),
            balancer: Balancer::new(policy.strategy, live, previous.map(|s| &s.balancer)),
            policy,
            endpoints,
            unparsed,
            metrics: match previous {
                Some(service) => Arc::clone(&service.metrics),
                None => Arc::new(self.given.metrics.service(name.as_str())),
            },
        })
    }

    /// The service is gone, and with it all its endpoints.
    pub(super) fn remove(&mut self, service: &Service) {
        for endpoint in &service.endpoints {
            self.leave(&service.name, endpoint, service.policy.drain_timeout);
        }
        self.effects.removed.push(service.name.clone());
    }

    fn policy(&self, name: &ServiceName) -> ServicePolicy {
        let layers = [
            self.given.file.services.get(name),
            self.given.settings.valid(name),
        ];
        layers
            .into_iter()
            .flatten()
            .fold(ServicePolicy::default(), ServicePolicy::overlaid)
    }

    /// The endpoint of the table: the very one of the previous if it is the same, and in any case with the state
    /// that this instance had at this address.
    fn endpoint(
        &self,
        service: &ServiceName,
        wanted: &Wanted,
        before: Option<&Arc<Endpoint>>,
    ) -> Arc<Endpoint> {
        let state = match before.filter(|old| old.address == wanted.address) {
            Some(old) if old.weight == wanted.weight => return Arc::clone(old),
            Some(old) => Arc::clone(&old.state),
            None => self
                .given
                .departed
                .find(service, &wanted.instance, &wanted.address)
                .unwrap_or_default(),
        };
        Arc::new(Endpoint {
            instance: Arc::clone(&wanted.instance),
            address: Arc::clone(&wanted.address),
            weight: wanted.weight,
            state,
        })
    }

    /// The endpoint of the table, after noting what its state needs and what is new about it.
    fn settle(
        &mut self,
        service: &ServiceName,
        wanted: &Wanted,
        before: Option<&Arc<Endpoint>>,
        drain_timeout: Duration,
    ) -> Arc<Endpoint> {
        let endpoint = self.endpoint(service, wanted, before);
        let is_new = before.is_none_or(|old| old.address != endpoint.address);
        let was_retired = endpoint.state.retire_at().is_some();
        let address = || Arc::clone(&endpoint.address);
        if is_new {
            self.note(service, &endpoint.instance, What::Joined(address()));
        }
        match (wanted.draining, was_retired) {
            (true, false) => {
                self.retire(&endpoint.state, drain_timeout);
                self.note(service, &endpoint.instance, What::Draining(address()));
            }
            (false, true) => {
                self.effects.restore.push(Arc::clone(&endpoint.state));
                if !is_new {
                    self.note(service, &endpoint.instance, What::Restored(address()));
                }
            }
            (true, true) | (false, false) => {}
        }
        endpoint
    }

    fn leave(&mut self, service: &ServiceName, endpoint: &Arc<Endpoint>, drain_timeout: Duration) {
        // One that was draining keeps the deadline it has.
        if endpoint.state.retire_at().is_none() {
            self.retire(&endpoint.state, drain_timeout);
        }
        let left = What::Left(Arc::clone(&endpoint.address));
        self.note(service, &endpoint.instance, left);
        self.effects
            .left
            .push((service.clone(), Arc::clone(endpoint)));
    }

    fn retire(&mut self, state: &Arc<EndpointState>, drain_timeout: Duration) {
        let timeout_ms = u64::try_from(drain_timeout.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = self.given.now_ms.saturating_add(timeout_ms);
        self.effects.retire.push((Arc::clone(state), deadline_ms));
    }

    fn report_unparsed(
        &mut self,
        service: &ServiceName,
        unparsed: &[Unparsed],
        previous: Option<&Arc<Service>>,
    ) {
        let known = previous.map_or(&[][..], |service| &service.unparsed);
        for entry in unparsed.iter().filter(|entry| !known.contains(entry)) {
            let what = What::Unparsed(entry.reason.clone());
            self.note(service, &entry.instance, what);
        }
    }

    fn note(&mut self, service: &ServiceName, instance: &Arc<str>, what: What) {
        self.changes.push(Change {
            service: service.clone(),
            instance: Arc::clone(instance),
            what,
        });
    }
}

/// The endpoints that registrations and settings ask for, and the registrations that cannot be read, both in the
/// order of the instances' names. A registration hides a static endpoint of the same name.
fn wanted(policy: &ServicePolicy, registered: &Registered) -> (Vec<Wanted>, Vec<Unparsed>) {
    let mut wanted = Vec::with_capacity(registered.entries.len() + policy.endpoints.len());
    let mut unparsed = Vec::new();
    for (instance, data) in &registered.entries {
        match payload::parse(instance, data) {
            Ok(registration) => wanted.push(Wanted {
                instance: Arc::clone(instance),
                address: registration.address.into(),
                weight: registration.weight,
                draining: registration.draining,
            }),
            Err(error) => unparsed.push(Unparsed {
                instance: Arc::clone(instance),
                reason: error.to_string(),
            }),
        }
    }
    wanted.extend(policy.endpoints.iter().map(|endpoint| Wanted {
        instance: endpoint.address.as_str().into(),
        address: endpoint.address.as_str().into(),
        weight: endpoint.weight,
        draining: false,
    }));
    // Stable, so that of two with one name the registration comes first and stays.
    wanted.sort_by(|a, b| a.instance.cmp(&b.instance));
    wanted.dedup_by(|later, first| later.instance == first.instance);
    for wanted in &mut wanted {
        wanted.weight = *policy
            .weights
            .get(&*wanted.instance)
            .unwrap_or(&wanted.weight);
        wanted.draining |= policy.drain.contains(&*wanted.instance);
    }
    unparsed.sort_by(|a, b| a.instance.cmp(&b.instance));
    if registered.omitted > 0 {
        unparsed.push(Unparsed {
            instance: "*".into(),
            reason: format!(
                "{} more registrations are not used; expected at most {MAX_INSTANCES} of one service",
                registered.omitted
            ),
        });
    }
    (wanted, unparsed)
}

/// The endpoint of that instance among some in the order of their names.
fn at<'e>(endpoints: &'e [Arc<Endpoint>], instance: &str) -> Option<&'e Arc<Endpoint>> {
    let found = endpoints.binary_search_by(|endpoint| (*endpoint.instance).cmp(instance));
    found.ok().map(|at| &endpoints[at])
}

/// Whether two lists have the very same endpoints.
fn same(a: &[Arc<Endpoint>], b: &[Arc<Endpoint>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}
