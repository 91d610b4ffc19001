//! One service of a new table: its registrations and static endpoints, merged with what the previous table knows.

use super::assemble::{Effects, Given};
use super::change::{Change, What};
use super::eligible::{self, Contender, Eligible};
use super::reading::Registered;
use super::wanted::{Said, Wanted, apply, said};
use crate::balance::{Balancer, Candidate, Endpoint, EndpointState, Facts, Mark, Method};
use crate::config::{OnEmpty, Origin, ServiceName, ServicePolicy, ServiceSettings};
use crate::routing::{Notes, Selection, Service, Unparsed};
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
        let kept_since_ms = self.keep(&policy, &notes, previous, &mut wanted);
        apply(&policy, &notes, previous, &mut wanted);
        let mut endpoints = Vec::with_capacity(wanted.len());
        let mut facts = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            let before = previous.and_then(|service| at(&service.endpoints, &wanted.instance));
            let (endpoint, known) = self.settle(name, &wanted, before);
            endpoints.push(endpoint);
            facts.push(known);
        }
        let Eligible { scales, tiers } = self.choose(name, &policy, &endpoints, &facts);
        let selection = Selection {
            tiers,
            kept_since_ms,
        };
        if let Some(service) = previous {
            let stays = |old: &&Arc<Endpoint>| {
                at(&endpoints, &old.instance).is_some_and(|new| new.address == old.address)
            };
            for gone in service.endpoints.iter().filter(|old| !stays(old)) {
                self.leave(name, gone, policy.drain_timeout);
            }
            if service.policy == policy
                && same(&service.endpoints, &endpoints)
                && picks_same(service, &scales)
                && service.selection == selection
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
                candidates(&endpoints, &scales),
                previous.map(|s| &s.balancer),
            ),
            policy,
            endpoints,
            unparsed,
            selection,
            notes,
            bell: Arc::clone(self.given.bell),
            metrics: match previous {
                Some(service) => Arc::clone(&service.metrics),
                None => Arc::new(self.given.metrics.service(name.as_str())),
            },
        })
    }

    /// Who gets traffic, after noting when that changes by time alone.
    fn choose(
        &mut self,
        name: &ServiceName,
        policy: &ServicePolicy,
        endpoints: &[Arc<Endpoint>],
        facts: &[Facts],
    ) -> Eligible {
        let now_ms = self.given.now_ms;
        let slow_start_ms = u64::try_from(policy.slow_start.as_millis()).unwrap_or(u64::MAX);
        let contender = |(endpoint, facts): (&Arc<Endpoint>, &Facts)| Contender {
            tier: endpoint.tier,
            weight: match policy.strategy.knows_weights() {
                true => endpoint.weight,
                false => 1,
            },
            availability: facts.condition(now_ms, slow_start_ms).availability(),
            step: eligible::step(facts.in_use_since(now_ms), slow_start_ms, now_ms),
        };
        let contenders: Vec<Contender> = endpoints.iter().zip(facts).map(contender).collect();
        let due = facts.iter();
        let due = due.filter_map(|facts| eligible::due(facts, slow_start_ms, now_ms));
        self.due.push((name.clone(), due.min()));
        eligible::choose(&contenders, policy.panic_threshold)
    }

    /// Wants the endpoints of the previous table, if the last registrations have vanished and the settings say so;
    /// then also since when. One that was drained before it vanished was meant to go.
    fn keep(
        &self,
        policy: &ServicePolicy,
        notes: &Notes,
        previous: Option<&Arc<Service>>,
        wanted: &mut Vec<Wanted>,
    ) -> Option<u64> {
        // Who says of itself that it does not serve has not vanished.
        let is_empty = wanted.is_empty() && notes.aside.is_empty();
        let previous = previous.filter(|_| is_empty && policy.on_empty == OnEmpty::KeepLast)?;
        let in_use = previous.endpoints.iter();
        let in_use = in_use.filter(|endpoint| endpoint.state.retire_at().is_none());
        wanted.extend(in_use.map(|endpoint| Wanted {
            tier: endpoint.tier,
            ..Wanted::new(
                &endpoint.instance,
                Arc::clone(&endpoint.address),
                endpoint.weight,
            )
        }));
        let since_ms = previous
            .selection
            .kept_since_ms
            .unwrap_or(self.given.now_ms);
        (!wanted.is_empty()).then_some(since_ms)
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
            Some(old) if (old.weight, old.tier) == (wanted.weight, wanted.tier) => {
                return Arc::clone(old);
            }
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
            tier: wanted.tier,
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
        // Another registration under the same name is another process, of which nothing is known yet.
        let is_reborn = facts.joined.is_some_and(|mark| mark.zxid != wanted.created);
        if is_new || is_reborn {
            let mut joined = self.mark(wanted.created);
            if self.given.previous.version == 0 {
                // It was there before this node was: nobody knows since when, and nothing warms up.
                joined.since_ms = 1;
            }
            facts.joined = Some(joined);
            facts.ejected = None;
            self.effects
                .join
                .push((Arc::clone(&endpoint.state), joined));
        }
        if is_new {
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
                facts.recovered_ms = Some(self.given.now_ms);
                let restored = (Arc::clone(&endpoint.state), self.given.now_ms);
                self.effects.restore.push(restored);
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

/// Those of the endpoints whose scale is not 0.
fn candidates(endpoints: &[Arc<Endpoint>], scales: &[u32]) -> Vec<Candidate> {
    let chosen = endpoints
        .iter()
        .zip(scales)
        .filter(|(_, scale)| **scale > 0);
    let candidate = |(endpoint, scale): (&Arc<Endpoint>, &u32)| Candidate {
        endpoint: Arc::clone(endpoint),
        scale: *scale,
    };
    chosen.map(candidate).collect()
}

/// Whether a service picks among its endpoints by these scales.
fn picks_same(service: &Service, scales: &[u32]) -> bool {
    let now = candidates(&service.endpoints, scales);
    let picked = service
        .balancer
        .endpoints()
        .iter()
        .zip(service.balancer.scales());
    let is_same = |(now, (endpoint, scale)): (&Candidate, (&Arc<Endpoint>, &u32))| {
        now.scale == *scale && Arc::ptr_eq(&now.endpoint, endpoint)
    };
    now.len() == service.balancer.endpoints().len() && now.iter().zip(picked).all(is_same)
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
