//! From what the tree says to a new routing table. Pure: what has to be done about the endpoints of the old table
//! is returned, not done.
//!
//! ```text
//! file layer ----+
//! tree settings -+--> policy --+
//! reading ------ payloads -----+--> Service --+--> RoutingTable
//! previous table -- states, metrics, positions +     Effects (restore before the swap, retire after it)
//!                                                    Changes (for the log)
//! ```
//! Invariants:
//! - A service that was not read, or that nothing changed for, is the very one of the previous table.
//! - An endpoint whose service, instance and address stay keeps its state.
//! - Every service that a rule names is in the table, even without endpoints.
//! - The same tree, the same file and the same facts about endpoints give the same table on every node.

use super::change::Change;
use super::departed::Departed;
use super::reading::{Reading, Registered};
use super::service::Assembly;
use super::settings::TreeSettings;
use crate::balance::{Bell, Endpoint, EndpointState, Mark, Queue};
use crate::config::{ListenerConfig, RuleConfig, ServiceName, ServiceSettings};
use crate::routing::{RoutingTable, Rule, Service};
use crate::telemetry::Metrics;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Most services in a table, not counting those that the file names. Each costs about 20 KiB in every node, most of
/// it metrics.
pub const MAX_SERVICES: usize = 10_000;

/// What the file says: the layer of settings below the tree's, and the rules.
#[derive(Clone, Debug, Default)]
pub struct FileLayer {
    /// `[service.<name>]`
    pub services: BTreeMap<ServiceName, ServiceSettings>,
    /// `[[listener]]`
    pub listeners: Vec<ListenerConfig>,
}

impl FileLayer {
    /// The services that it configures or that its rules name.
    pub fn names(&self) -> BTreeSet<ServiceName> {
        let ruled = self.listeners.iter().flat_map(|listener| &listener.rules);
        let ruled = ruled.map(|rule| rule.service.clone());
        self.services.keys().cloned().chain(ruled).collect()
    }
}

/// What a table is assembled from.
pub struct Given<'a> {
    /// The file.
    pub file: &'a FileLayer,
    /// The settings in the tree, as far as they are valid.
    pub settings: &'a TreeSettings,
    /// What was read from the tree.
    pub reading: &'a Reading,
    /// The table in use.
    pub previous: &'a RoutingTable,
    /// Endpoints that left and may come back.
    pub departed: &'a Departed,
    /// Where the metrics of new services come from.
    pub metrics: &'a Metrics,
    /// What services ring when an endpoint may have to be ejected.
    pub bell: &'a Arc<Bell>,
    /// The monotonic time, in milliseconds.
    pub now_ms: u64,
}

/// A new table and what comes with it.
#[derive(Default)]
pub struct Assembled {
    /// The table.
    pub table: RoutingTable,
    /// What to do about endpoints.
    pub effects: Effects,
    /// What is different.
    pub changes: Vec<Change>,
    /// Services that are not in the table because it is full.
    pub omitted: usize,
    /// Of each service that was looked at: when it changes by time alone, if it does, in milliseconds.
    pub due: Vec<(ServiceName, Option<u64>)>,
}

/// What has to be done about the states that endpoints share across tables.
#[derive(Default)]
pub struct Effects {
    /// Endpoints that were not in the table before.
    pub(super) join: Vec<(Arc<EndpointState>, Mark)>,
    /// Endpoints in use again, and since when.
    pub(super) restore: Vec<(Arc<EndpointState>, u64)>,
    /// Endpoints that get no new exchanges: since when, by which transaction, and when those under way end.
    pub(super) retire: Vec<(Arc<EndpointState>, Mark, u64)>,
    /// Endpoints that are not in the table any more.
    pub(super) left: Vec<(ServiceName, Arc<Endpoint>)>,
    /// The queues of services that changed or are gone: who waits there may have other endpoints now, or none.
    pub(super) call: Vec<Arc<Queue>>,
    /// Services that are not in the table any more.
    pub(super) removed: Vec<ServiceName>,
}

impl Effects {
    /// To be called before the table is put into use: an exchange that picks a restored endpoint must not find it
    /// retired still.
    pub fn before_swap(&self) {
        for (state, mark) in &self.join {
            state.forget_ejection();
            state.join(*mark);
        }
        for (state, now_ms) in &self.restore {
            state.restore();
            state.come_back(*now_ms);
        }
    }

    /// To be called after the table is put into use: before, the old one would still pick retired endpoints.
    pub fn after_swap(&self, departed: &mut Departed, metrics: &Metrics) {
        for (state, mark, deadline_ms) in &self.retire {
            state.note_drained(*mark);
            state.retire(*deadline_ms);
        }
        self.call.iter().for_each(|queue| queue.call());
        departed.prune();
        for (service, endpoint) in &self.left {
            departed.add(service, endpoint);
        }
        for service in &self.removed {
            metrics.forget_service(service.as_str());
        }
    }
}

/// Assembles the table that follows `given.previous`. Costs O(services in the table + registrations read).
pub fn assemble(given: &Given<'_>) -> Assembled {
    let named = given.file.names();
    let mut assembly = Assembly::new(given);
    let mut services = given.previous.services.clone();
    if given.reading.is_whole {
        let gone = |name: &ServiceName| {
            !named.contains(name) && !given.reading.services.contains_key(name)
        };
        services.retain(|name, service| {
            let stays = !gone(name);
            if !stays {
                assembly.remove(service);
            }
            stays
        });
    }
    let mut omitted = 0;
    for (name, registered) in names_to_visit(given, &named) {
        let is_named = named.contains(name);
        if !is_named && !registered.exists && registered.settings.is_none() {
            if let Some(service) = services.remove(name) {
                assembly.remove(&service);
            }
        } else if is_named || services.contains_key(name) || services.len() < MAX_SERVICES {
            let service = assembly.service(name, registered);
            services.insert(name.clone(), service);
        } else {
            omitted += 1;
        }
    }
    let Assembly {
        effects,
        changes,
        due,
        ..
    } = assembly;
    Assembled {
        table: RoutingTable {
            version: given.reading.zxid,
            listeners: rules(&given.file.listeners, &services),
            services,
        },
        effects,
        changes,
        omitted,
        due,
    }
}

/// The services that were read, and, if all were, those that only the file names.
fn names_to_visit<'a>(
    given: &Given<'a>,
    named: &'a BTreeSet<ServiceName>,
) -> impl Iterator<Item = (&'a ServiceName, &'a Registered)> {
    static NOTHING: Registered = Registered::NOTHING;
    let reading = given.reading;
    let only_named = named
        .iter()
        .filter(|name| reading.is_whole && !reading.services.contains_key(*name))
        .map(|name| (name, &NOTHING));
    only_named.chain(&reading.services)
}

fn rules(
    listeners: &[ListenerConfig],
    services: &BTreeMap<ServiceName, Arc<Service>>,
) -> HashMap<Arc<str>, Vec<Rule>> {
    let rule =
        |rule: &RuleConfig| Rule {
            sni: rule.sni.clone(),
            host: rule.host.clone(),
            path: rule.path.clone(),
            service: Arc::clone(services.get(&rule.service).expect(
                "the first table has every service a rule names, and none of them is removed",
            )),
        };
    listeners
        .iter()
        .map(|l| (Arc::from(&*l.name), l.rules.iter().map(rule).collect()))
        .collect()
}
