//! A data plane with one listener and one service.
#![allow(clippy::unwrap_used)] // a data plane that cannot start has failed its test

use arc_swap::ArcSwap;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use zoogate::balance::{Balancer, Candidate, Endpoint, EndpointState};
use zoogate::config::{ListenerConfig, Protocol, ServiceName, ServicePolicy};
use zoogate::net::FrontTls;
use zoogate::proxy::{Leaving, Means, Proxy, ReloadError, Serving};
use zoogate::routing::{Notes, RoutingTable, Rule, Selection, Service};
use zoogate::telemetry::Metrics;

/// What to build.
pub struct Setup {
    pub policy: ServicePolicy,
    pub endpoints: Vec<SocketAddr>,
    pub max_connections: usize,
    pub workers: usize,
    pub host: Option<&'static str>,
    pub listener: ListenerConfig,
    pub means: Means,
}

impl Setup {
    pub fn new(protocol: Protocol, endpoints: &[SocketAddr]) -> Setup {
        Setup {
            policy: ServicePolicy::default(),
            endpoints: endpoints.to_vec(),
            max_connections: 1000,
            workers: 1,
            host: None,
            listener: ListenerConfig::new("front", "127.0.0.1:0".parse().unwrap(), protocol),
            means: Means::default(),
        }
    }

    /// Changes what the listener is like.
    pub fn listener(mut self, change: impl FnOnce(&mut ListenerConfig)) -> Setup {
        change(&mut self.listener);
        self
    }

    pub fn policy(mut self, change: impl FnOnce(&mut ServicePolicy)) -> Setup {
        change(&mut self.policy);
        self
    }

    pub fn start(self) -> Traffic {
        let listener = ListenerConfig {
            max_connections: self.max_connections,
            ..self.listener
        };
        let metrics = Metrics::new("n1");
        let endpoints: Vec<_> = self.endpoints.iter().map(endpoint).collect();
        let table = Arc::new(ArcSwap::from_pointee(RoutingTable::default()));
        let proxy = Proxy::bind(&[listener], self.workers).unwrap();
        let proxy = proxy.with(self.means);
        let addr = proxy.local_addrs()["front"];
        let serving = proxy.serve(table.clone(), &metrics).unwrap();
        let traffic = Traffic {
            addr,
            table,
            metrics,
            endpoints,
            serving,
            policy: self.policy,
            host: self.host,
        };
        traffic.use_endpoints(&traffic.endpoints);
        traffic
    }
}

/// An endpoint at `addr` that no table had before.
pub fn endpoint(addr: &SocketAddr) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        instance: addr.to_string().into(),
        address: addr.to_string().into(),
        weight: 1,
        tier: 0,
        state: Arc::new(EndpointState::default()),
    })
}

/// The data plane of one test. Dropping it stops it.
pub struct Traffic {
    pub addr: SocketAddr,
    pub table: Arc<ArcSwap<RoutingTable>>,
    pub metrics: Arc<Metrics>,
    pub endpoints: Vec<Arc<Endpoint>>,
    serving: Serving,
    policy: ServicePolicy,
    host: Option<&'static str>,
}

impl Traffic {
    /// Swaps in a table whose service picks among `endpoints`.
    pub fn use_endpoints(&self, endpoints: &[Arc<Endpoint>]) {
        let rule = Rule {
            sni: None,
            host: self.host.map(Into::into),
            path: None,
            service: self.service("web", endpoints),
        };
        self.use_rules(vec![rule]);
    }

    /// Swaps in a table whose rules lead by the names that clients ask for in TLS, each to a service and its endpoint.
    pub fn use_names(&self, rules: &[(Option<&str>, &str, SocketAddr)]) {
        let rule = |(sni, service, addr): &(Option<&str>, &str, SocketAddr)| Rule {
            sni: sni.map(Into::into),
            host: None,
            path: None,
            service: self.service(service, &[endpoint(addr)]),
        };
        self.use_rules(rules.iter().map(rule).collect());
    }

    fn use_rules(&self, rules: Vec<Rule>) {
        let named = |rule: &Rule| (rule.service.name.clone(), rule.service.clone());
        let before = self.table.load_full();
        self.table.store(Arc::new(RoutingTable {
            version: before.version + 1,
            services: rules.iter().map(named).collect(),
            listeners: HashMap::from([("front".into(), rules)]),
        }));
        // As the registry does after a swap.
        for service in before.services.values() {
            service.balancer.queue().call();
        }
    }

    fn service(&self, name: &str, endpoints: &[Arc<Endpoint>]) -> Arc<Service> {
        let before = self.table.load();
        let previous = before.services.get(name).map(|s| &s.balancer);
        let candidates = endpoints.iter().cloned().map(Candidate::from);
        Arc::new(Service {
            name: ServiceName::new(name).unwrap(),
            balancer: Balancer::new((&self.policy).into(), candidates.collect(), previous),
            policy: self.policy.clone(),
            endpoints: endpoints.to_vec(),
            unparsed: Vec::new(),
            selection: Selection::default(),
            notes: Notes::default(),
            bell: Arc::default(),
            metrics: Arc::new(self.metrics.service(name)),
        })
    }

    /// Goes on with another policy, and tells who waits.
    pub fn change_policy(&mut self, change: impl FnOnce(&mut ServicePolicy)) {
        change(&mut self.policy);
        self.use_endpoints(&self.endpoints);
    }

    /// Swaps in a table in which each of these listeners leads to the service.
    pub fn use_listeners(&self, names: &[&str]) {
        let service = self.service("web", &self.endpoints);
        let rule = |name: &&str| {
            let rule = Rule {
                sni: None,
                host: None,
                path: None,
                service: service.clone(),
            };
            ((*name).into(), vec![rule])
        };
        self.table.store(Arc::new(RoutingTable {
            version: self.table.load().version + 1,
            listeners: names.iter().map(rule).collect(),
            services: BTreeMap::from([(service.name.clone(), service.clone())]),
        }));
    }

    /// Where each listener listens.
    pub fn addrs(&self) -> BTreeMap<String, SocketAddr> {
        self.serving.local_addrs()
    }

    /// What listeners show to clients whose TLS they end.
    pub fn certificates(&self) -> Vec<(String, Arc<FrontTls>)> {
        self.serving.certificates()
    }

    /// Has these listeners take the place of those there are, whose names the table has to have.
    pub async fn reload(
        &mut self,
        listeners: &[ListenerConfig],
    ) -> Result<Vec<Leaving>, ReloadError> {
        let prepared = self.serving.prepare(listeners).await?;
        Ok(self.serving.switch(prepared).await)
    }

    /// The value of the metric whose line starts with `series`; zero if there is none.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.metrics.render();
        let line = text.lines().find(|l| l.starts_with(series));
        line.and_then(|l| l.rsplit(' ').next())
            .map_or(0.0, |v| v.parse().unwrap())
    }

    /// Connections that ended for `reason`.
    pub fn closed(&self, reason: &str) -> f64 {
        self.metric(&format!(
            "zoogate_connections_closed_total{{listener=\"front\",reason=\"{reason}\"}}"
        ))
    }

    pub async fn stop(self, grace: Duration) {
        self.serving.stop(grace).await;
    }
}
