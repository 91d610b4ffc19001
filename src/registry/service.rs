//! One service of a new table: its registrations and static endpoints, merged with what the previous table knows.

use super::assemble::{Effects, Given};
use super::change::{Change, What};
use super::drains;
use super::payload::{self, Status};
use super::reading::{Entry, MAX_INSTANCES, Registered};
use crate::balance::{
    Availability, Balancer, Candidate, Endpoint, EndpointState, Facts, Mark, Method,
};
use crate::config::{Origin, ServiceName, ServicePolicy, ServiceSettings};
use crate::routing::{Aside, Notes, Service, Unparsed};
use std::sync::Arc;
use std::time::Duration;

/// A table in the making.
pub(super) struct Assembly<'a> {
    given: &'a Given<'a>,
    pub(super) effects: Effects,
    pub(super) changes: Vec<Change>,
    /// Of each service that was looked at: when it changes by time alone, if it does.
    pub(super) due: Vec<(ServiceName, Option<u64>)>,
}

/// An endpoint as the tree or the settings want it.
struct Wanted {
    instance: Arc<str>,
    address: Arc<str>,
    weight: u16,
    /// The transaction that registered it, if one did.
    created: Option<u64>,
    /// The transaction that last changed its registration, if one did.
    changed: Option<u64>,
    /// How long its exchanges may go on, if it is drained.
    drain: Option<Duration>,
    /// They get this time once more, whatever they had.
    is_renewed: bool,
}

/// What registrations and settings say of a service, read; each list in the order of the instances' names.
struct Said<'r> {
    wanted: Vec<Wanted>,
    unparsed: Vec<Unparsed>,
    aside: Vec<Aside>,
    /// Whose registrations ask for a drain.
    asking: Vec<&'r Arc<str>>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(given: &'a Given<'a>) -> Assembly<'a> {
        Assembly {
            given,
            effects: Effects::default(),
            changes: Vec::new(),
            due: Vec::new(),
        }
    }

    /// The service as it is to be now: the previous one if nothing about it changes.
    pub(super) fn service(&mut self, name: &ServiceName, registered: &Registered) -> Arc<Service> {
        let previous = self.given.previous.services.get(name);
        let policy = self.policy(name);
        let said = said(&policy, registered);
        let notes = Notes {
            strategy_from: self.strategy_origin(name),
            ..said.notes(&policy, registered, previous)
        };
        let Said {
            mut wanted,
            unparsed,
            ..
        } = said;
        apply(&policy, &notes, previous, &mut wanted);
        let mut endpoints = Vec::with_capacity(wanted.len());
        let mut facts = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let before = previous.and_then(|service| at(&service.endpoints, &wanted.instance));
            let (endpoint, known) = self.settle(name, &wanted, before);
            endpoints.push(endpoint);
            facts.push(known);
        }
        let live = in_use(&endpoints, &facts, self.given.now_ms);
        let changes = facts.iter();
        let changes = changes.filter_map(|f| f.changes_at(self.given.now_ms, 0));
        self.due.push((name.clone(), changes.min()));
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
                && service.notes == notes
            {
                return Arc::clone(service);
            }
            self.effects.call.push(Arc::clone(service.balancer.queue()));
        }
        self.report_unparsed(name, &unparsed, previous);
        self.report_misread(name, &notes.misread, previous);
        Arc::new(Service {
            name: name.clone(),
            balancer: Balancer::new(
                Method::from(&policy),
                live.into_iter().map(Candidate::from).collect(),
                previous.map(|s| &s.balancer),
            ),
            policy,
            endpoints,
            unparsed,
            notes,
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
        self.due.push((service.name.clone(), None));
        self.effects.call.push(Arc::clone(service.balancer.queue()));
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

    fn strategy_origin(&self, name: &ServiceName) -> Origin {
        let sets = |layer: &ServiceSettings| layer.strategy.is_some();
        let (file, tree) = (
            self.given.file.services.get(name),
            self.given.settings.valid(name),
        );
        match (file.is_some_and(sets), tree.is_some_and(sets)) {
            (_, true) => Origin::Tree,
            (true, false) => Origin::File,
            (false, false) => Origin::BuiltIn,
        }
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
            tier: 0,
            state,
        })
    }

    /// The endpoint of the table, after noting what its state needs and what is new about it; and what will be
    /// recorded about it once the table is in use.
    fn settle(
        &mut self,
        service: &ServiceName,
        wanted: &Wanted,
        before: Option<&Arc<Endpoint>>,
    ) -> (Arc<Endpoint>, Facts) {
        let endpoint = self.endpoint(service, wanted, before);
        let mut facts = endpoint.state.facts();
        let is_new = before.is_none_or(|old| old.address != endpoint.address);
        let was_retired = endpoint.state.retire_at().is_some();
        let address = || Arc::clone(&endpoint.address);
        if is_new {
            let joined = self.mark(wanted.created);
            facts.joined = Some(joined);
            self.effects
                .join
                .push((Arc::clone(&endpoint.state), joined));
            self.note(service, &endpoint.instance, What::Joined(address()));
        }
        match (wanted.drain, was_retired) {
            (Some(timeout), false) => {
                let drained = self.mark(wanted.changed);
                facts.drained = Some(drained);
                self.retire(&endpoint.state, drained, timeout);
                self.note(service, &endpoint.instance, What::Draining(address()));
            }
            (Some(timeout), true) if wanted.is_renewed => {
                let drained = facts.drained.unwrap_or(self.mark(wanted.changed));
                self.retire(&endpoint.state, drained, timeout);
            }
            (None, true) => {
                facts.drained = None;
                self.effects.restore.push(Arc::clone(&endpoint.state));
                if !is_new {
                    self.note(service, &endpoint.instance, What::Restored(address()));
                }
            }
            (Some(_), true) | (None, false) => {}
        }
        (endpoint, facts)
    }

    /// From now on, by that transaction.
    fn mark(&self, zxid: Option<u64>) -> Mark {
        Mark {
            zxid,
            ..Mark::new(self.given.now_ms)
        }
    }

    fn leave(&mut self, service: &ServiceName, endpoint: &Arc<Endpoint>, drain_timeout: Duration) {
        // One that was draining keeps the deadline it has.
        if endpoint.state.retire_at().is_none() {
            self.retire(&endpoint.state, self.mark(None), drain_timeout);
        }
        let left = What::Left(Arc::clone(&endpoint.address));
        self.note(service, &endpoint.instance, left);
        self.effects
            .left
            .push((service.clone(), Arc::clone(endpoint)));
    }

    fn retire(&mut self, state: &Arc<EndpointState>, since: Mark, drain_timeout: Duration) {
        let timeout_ms = u64::try_from(drain_timeout.as_millis()).unwrap_or(u64::MAX);
        let deadline_ms = self.given.now_ms.saturating_add(timeout_ms);
        let retired = (Arc::clone(state), since, deadline_ms);
        self.effects.retire.push(retired);
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

    fn report_misread(
        &mut self,
        service: &ServiceName,
        misread: &[Unparsed],
        previous: Option<&Arc<Service>>,
    ) {
        let known = previous.map_or(&[][..], |service| &service.notes.misread);
        for order in misread.iter().filter(|order| !known.contains(order)) {
            let what = What::Misread(order.reason.clone());
            self.note(service, &order.instance, what);
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

/// Reads what registrations and settings ask for. A registration hides a static endpoint of the same name.
fn said<'r>(policy: &ServicePolicy, registered: &'r Registered) -> Said<'r> {
    let mut said = Said {
        wanted: Vec::with_capacity(registered.entries.len() + policy.endpoints.len()),
        unparsed: Vec::new(),
        aside: Vec::new(),
        asking: Vec::new(),
    };
    for entry in &registered.entries {
        said.read(entry);
    }
    let is_aside = |name: &str| said.aside.iter().any(|aside| *aside.instance == *name);
    let fixed = policy.endpoints.iter().filter(|e| !is_aside(&e.address));
    let fixed: Vec<Wanted> = fixed
        .map(|endpoint| {
            let address: Arc<str> = endpoint.address.as_str().into();
            Wanted::new(&address, Arc::clone(&address), endpoint.weight)
        })
        .collect();
    said.wanted.extend(fixed);
    // Stable, so that of two with one name the registration comes first and stays.
    said.wanted.sort_by(|a, b| a.instance.cmp(&b.instance));
    said.wanted
        .dedup_by(|later, first| later.instance == first.instance);
    said.aside.sort_by(|a, b| a.instance.cmp(&b.instance));
    said.unparsed.sort_by(|a, b| a.instance.cmp(&b.instance));
    if registered.omitted > 0 {
        said.unparsed.push(Unparsed {
            instance: "*".into(),
            reason: format!(
                "{} more registrations are not used; expected at most {MAX_INSTANCES} of one service",
                registered.omitted
            ),
        });
    }
    said
}

impl<'r> Said<'r> {
    /// Reads one registration.
    fn read(&mut self, entry: &'r Entry) {
        let instance = &entry.instance;
        let registration = match payload::parse(instance, &entry.data) {
            Ok(registration) => registration,
            Err(error) => {
                return self.unparsed.push(Unparsed {
                    instance: Arc::clone(instance),
                    reason: error.to_string(),
                });
            }
        };
        let address = registration.address.into();
        match registration.status {
            Status::Up => {}
            Status::Draining => self.asking.push(instance),
            Status::Starting | Status::Stopped => {
                return self.aside.push(Aside {
                    instance: Arc::clone(instance),
                    address,
                    is_starting: registration.status == Status::Starting,
                });
            }
        }
        self.wanted.push(Wanted {
            created: Some(entry.created.0),
            changed: Some(entry.changed.0),
            ..Wanted::new(instance, address, registration.weight)
        });
    }

    fn notes(
        &self,
        policy: &ServicePolicy,
        registered: &Registered,
        previous: Option<&Arc<Service>>,
    ) -> Notes {
        let asking = self.asking.iter().copied();
        let (drains, misread) = drains::gather(policy, registered, asking, previous);
        Notes {
            drains,
            misread,
            aside: self.aside.clone(),
            strategy_from: Origin::default(),
        }
    }
}

/// Lays what settings and operators want over what was registered.
fn apply(
    policy: &ServicePolicy,
    notes: &Notes,
    previous: Option<&Arc<Service>>,
    wanted: &mut [Wanted],
) {
    for wanted in wanted {
        let weight = policy.weights.get(&*wanted.instance);
        wanted.weight = *weight.unwrap_or(&wanted.weight);
        if let Some(drain) = notes.drain(&wanted.instance) {
            let deadline = drain.order.as_ref().and_then(|order| order.deadline);
            wanted.drain = Some(deadline.unwrap_or(policy.drain_timeout));
            let registered = wanted.changed.filter(|_| drain.registration);
            wanted.changed = drain.zxid.or(registered);
            wanted.is_renewed = drains::is_renewed(drain, previous);
        }
    }
}

impl Wanted {
    fn new(instance: &Arc<str>, address: Arc<str>, weight: u16) -> Wanted {
        Wanted {
            instance: Arc::clone(instance),
            address,
            weight,
            created: None,
            changed: None,
            drain: None,
            is_renewed: false,
        }
    }
}

/// Those that get traffic; if there are none, those that get it in need.
fn in_use(endpoints: &[Arc<Endpoint>], facts: &[Facts], now_ms: u64) -> Vec<Arc<Endpoint>> {
    let those = |wanted: Availability| -> Vec<Arc<Endpoint>> {
        let all = endpoints.iter().zip(facts);
        let is_wanted = |facts: &Facts| facts.condition(now_ms, 0).availability() == wanted;
        all.filter(|(_, facts)| is_wanted(facts))
            .map(|(endpoint, _)| Arc::clone(endpoint))
            .collect()
    };
    let in_use = those(Availability::InUse);
    match in_use.is_empty() {
        true => those(Availability::InNeed),
        false => in_use,
    }
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
