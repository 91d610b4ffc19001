//! The table: everything the data plane decides by.

use super::{Asked, Rule, Service};
use crate::config::{OnEmpty, ServiceName};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Everything the data plane needs for its decisions, as of one transaction.
#[derive(Default)]
pub struct RoutingTable {
    /// The transaction it reflects.
    pub version: u64,
    /// Rules by listener name, first match wins.
    pub listeners: HashMap<Arc<str>, Vec<Rule>>,
    /// Services by name: every one that is registered, configured or named by a rule.
    pub services: BTreeMap<ServiceName, Arc<Service>>,
}

impl RoutingTable {
    /// The service that a connection or request on `listener` goes to, which asks for this. If the one that its rule
    /// names has no endpoint that gets traffic, it may be its backup.
    pub fn route(&self, listener: &str, asked: &Asked<'_>) -> Option<&Arc<Service>> {
        let rules = self.listeners.get(listener)?;
        let rule = rules.iter().find(|rule| rule.matches(asked))?;
        Some(self.stand_in(&rule.service).unwrap_or(&rule.service))
    }

    /// The service that takes the traffic of one without endpoints, by its settings. Whether it has any itself is its
    /// own affair: a chain of backups could be a circle.
    fn stand_in(&self, service: &Service) -> Option<&Arc<Service>> {
        let policy = &service.policy;
        let is_due = policy.on_empty == OnEmpty::Backup && service.balancer.endpoints().is_empty();
        self.services
            .get(policy.backup.as_ref().filter(|_| is_due)?)
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Arc<Service>> {
        self.services.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::Balancer;
    use crate::config::{ServicePolicy, Strategy};
    use crate::routing::{Notes, Selection};
    use crate::telemetry::Metrics;

    fn service(name: &str) -> Arc<Service> {
        Arc::new(Service {
            name: ServiceName::new(name).unwrap(),
            policy: ServicePolicy::default(),
            balancer: Balancer::new(Strategy::RoundRobin.into(), Vec::new(), None),
            endpoints: Vec::new(),
            unparsed: Vec::new(),
            selection: Selection::default(),
            notes: Notes::default(),
            bell: Arc::default(),
            metrics: Arc::new(Metrics::new("n1").service(name)),
        })
    }

    fn table(listener: &str, rules: &[(Option<&str>, Option<&str>, &str)]) -> RoutingTable {
        let rule = |(host, path, to): &(Option<&str>, Option<&str>, &str)| Rule {
            sni: None,
            host: host.map(String::from),
            path: path.map(String::from),
            service: service(to),
        };
        let rules: Vec<Rule> = rules.iter().map(rule).collect();
        let named = |rule: &Rule| (rule.service.name.clone(), Arc::clone(&rule.service));
        RoutingTable {
            version: 1,
            services: rules.iter().map(named).collect(),
            listeners: HashMap::from([(listener.into(), rules)]),
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let table = table(
            "web",
            &[
                (Some("shop.example"), Some("/api/"), "api"),
                (Some("shop.example"), None, "shop"),
                (Some("*.example"), None, "tenants"),
                (None, Some("/static"), "files"),
            ],
        );
        for (host, path, expected) in [
            (Some("shop.example"), "/api/v1", Some("api")),
            (Some("shop.example"), "/api", Some("shop")),
            (Some("shop.example"), "/", Some("shop")),
            (Some("a.example"), "/api/v1", Some("tenants")),
            (Some("other.test"), "/static/x", Some("files")),
            (Some("other.test"), "/statics", Some("files")),
            (None, "/static/x", Some("files")),
            (Some("other.test"), "/", None),
            (None, "", None),
        ] {
            let asked = Asked {
                host,
                path,
                ..Asked::default()
            };
            let to = table.route("web", &asked).map(|s| s.name.as_str());
            assert_eq!(to, expected, "{host:?} {path}");
        }
    }

    #[test]
    fn names_in_hellos_lead_as_hosts_do() {
        let mut table = table("tls", &[(None, None, "shop"), (None, None, "tenants")]);
        let rules = table.listeners.get_mut("tls").unwrap();
        rules[0].sni = Some("shop.example".into());
        rules[1].sni = Some("*.example".into());
        for (sni, expected) in [
            (Some("shop.example"), Some("shop")),
            (Some("a.b.example"), Some("tenants")),
            (Some("example"), None),
            (None, None),
        ] {
            let asked = Asked {
                sni,
                ..Asked::default()
            };
            let to = table.route("tls", &asked).map(|s| s.name.as_str());
            assert_eq!(to, expected, "{sni:?}");
        }
    }

    #[test]
    fn a_rule_without_conditions_takes_everything() {
        let table = table("tcp", &[(None, None, "db")]);
        let to = table
            .route("tcp", &Asked::default())
            .map(|s| s.name.as_str());
        assert_eq!(to, Some("db"));
    }

    #[test]
    fn a_service_without_endpoints_may_have_another_take_its_traffic() {
        let mut table = table("tcp", &[(None, None, "db")]);
        let policy = |on_empty, backup: &str| ServicePolicy {
            on_empty,
            backup: Some(ServiceName::new(backup).unwrap()),
            ..ServicePolicy::default()
        };
        let spare = service("spare");
        table.services.insert(spare.name.clone(), spare);
        let endpoint = Arc::new(crate::balance::Endpoint {
            instance: "a".into(),
            address: "127.0.0.1:1".into(),
            weight: 1,
            tier: 0,
            state: Arc::default(),
        });
        for (policy, endpoints, expected) in [
            (policy(OnEmpty::Backup, "spare"), vec![], "spare"),
            (
                policy(OnEmpty::Backup, "spare"),
                vec![endpoint.into()],
                "db",
            ),
            (policy(OnEmpty::Reject, "spare"), vec![], "db"),
            (policy(OnEmpty::Backup, "nobody"), vec![], "db"),
            (policy(OnEmpty::Backup, "db"), vec![], "db"),
        ] {
            let db = Service {
                balancer: Balancer::new(Strategy::Random.into(), endpoints, None),
                policy,
                ..Arc::into_inner(service("db")).unwrap()
            };
            table.listeners.get_mut("tcp").unwrap()[0].service = Arc::new(db);
            let to = table.route("tcp", &Asked::default()).unwrap();
            assert_eq!(to.name.as_str(), expected);
        }
    }

    #[test]
    fn an_unknown_listener_leads_nowhere() {
        let table = table("web", &[(None, None, "web")]);
        assert!(table.route("other", &Asked::default()).is_none());
    }

    #[test]
    fn services_are_found_by_name() {
        let table = table("web", &[(None, None, "web")]);
        assert!(table.service("web").is_some());
        assert!(table.service("wei").is_none());
    }
}
