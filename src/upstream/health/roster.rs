//! Who is to be probed: the probers of one node, kept up with the table.

use super::prober::{Prober, Probing};
use crate::balance::{Endpoint, EndpointState, Facts, Mark};
use crate::config::{Check, Probe, SendProxy, ServiceName};
use crate::routing::{RoutingTable, Service};
use crate::telemetry::contained;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

/// How often an endpoint that is suspect or held is asked whether it answers, if its service has no check.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// The probers at work.
pub(super) struct Roster {
    probing: Arc<Probing>,
    /// As of which the probers are.
    table: Arc<RoutingTable>,
    services: HashMap<ServiceName, Probers>,
    tasks: TaskTracker,
}

/// The probers of a service, by the address of the endpoint's state, which each entry keeps alive.
type Probers = HashMap<usize, Entry>;

struct Entry {
    state: Arc<EndpointState>,
    duty: Duty,
    urgent: Arc<Notify>,
    /// What the prober was last told is urgent.
    told: [Option<Mark>; 2],
    task: AbortHandle,
}

/// What a prober has to do.
#[derive(Clone, PartialEq, Eq)]
struct Duty {
    check: Check,
    send_proxy: SendProxy,
    /// Whether it is the service's own check.
    is_verdict: bool,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Duty {
    /// What is to be done about an endpoint of which these are the facts.
    fn of(service: &Service, facts: &Facts) -> Option<Duty> {
        let policy = &service.policy;
        if let Some(check) = &policy.check {
            return Some(Duty {
                check: check.clone(),
                send_proxy: policy.send_proxy,
                is_verdict: true,
            });
        }
        let matters = facts.suspect.is_some() || facts.held.is_some();
        matters.then(|| Duty {
            check: Check {
                interval: ASK_INTERVAL,
                timeout: policy.connect_timeout.min(ASK_INTERVAL),
                ..Check::new(Probe::Tcp)
            },
            send_proxy: policy.send_proxy,
            is_verdict: false,
        })
    }
}

impl Roster {
    /// Nobody yet.
    pub(super) fn new(probing: Probing) -> Roster {
        Roster {
            probing: Arc::new(probing),
            table: Arc::default(),
            services: HashMap::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Begins, ends and hurries probers so that they are what `table` wants. Services that are the very ones of the
    /// table before are passed over.
    pub(super) fn update(&mut self, table: Arc<RoutingTable>) {
        let is_there = |name: &ServiceName| table.services.contains_key(name);
        self.services.retain(|name, _| is_there(name));
        let before = std::mem::replace(&mut self.table, table);
        let now = Arc::clone(&self.table);
        for (name, service) in &now.services {
            let is_same = |old: &Arc<Service>| Arc::ptr_eq(old, service);
            if !before.services.get(name).is_some_and(is_same) {
                self.update_service(service);
            }
        }
    }

    fn update_service(&mut self, service: &Service) {
        let mut old = self.services.remove(&service.name).unwrap_or_default();
        let mut new = HashMap::new();
        let mut is_forgotten = false;
        for endpoint in &service.endpoints {
            let key = Arc::as_ptr(&endpoint.state) as usize;
            let facts = endpoint.state.facts();
            let was_verdict = |entry: &Entry| entry.duty.is_verdict;
            let entry = old.remove(&key);
            let Some(duty) = Duty::of(service, &facts) else {
                if entry.is_some_and(|entry| was_verdict(&entry)) && facts.failing.is_some() {
                    endpoint.state.forget_check();
                    is_forgotten = true;
                }
                continue;
            };
            if !duty.is_verdict && facts.failing.is_some() {
                endpoint.state.forget_check();
                is_forgotten = true;
            }
            let mut entry = match entry.filter(|entry| entry.duty == duty) {
                Some(entry) => entry,
                None => self.begin(service, endpoint, duty),
            };
            entry.tell([facts.suspect, facts.held]);
            new.insert(key, entry);
        }
        if !new.is_empty() {
            self.services.insert(service.name.clone(), new);
        }
        if is_forgotten {
            (self.probing.changed)(&service.name);
        }
    }

    fn begin(&self, service: &Service, endpoint: &Arc<Endpoint>, duty: Duty) -> Entry {
        let urgent = Arc::new(Notify::new());
        let prober = Prober {
            probing: Arc::clone(&self.probing),
            service: service.name.clone(),
            metrics: Arc::clone(&service.metrics),
            endpoint: Arc::clone(endpoint),
            check: duty.check.clone(),
            send_proxy: duty.send_proxy,
            is_verdict: duty.is_verdict,
            urgent: Arc::clone(&urgent),
        };
        let task = self.tasks.spawn(contained(prober.run()));
        Entry {
            state: Arc::clone(&endpoint.state),
            duty,
            urgent,
            told: [None; 2],
            task: task.abort_handle(),
        }
    }

    /// Ends all probers.
    pub(super) async fn stop(mut self) {
        self.services.clear();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Entry {
    /// Has the prober look at once if something has come up for which that matters.
    fn tell(&mut self, urgent: [Option<Mark>; 2]) {
        debug_assert!(Arc::strong_count(&self.state) > 0);
        if self.told != urgent {
            self.told = urgent;
            if urgent.iter().any(Option::is_some) {
                self.urgent.notify_one();
            }
        }
    }
}
