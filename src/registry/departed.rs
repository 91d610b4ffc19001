//! Endpoints that left while exchanges with them were under way.
//!
//! A session may expire and its instance register again a moment later. If it does so before its old exchanges
//! have ended, it gets its old state back: the exchanges go on, and the load on it is known.

use crate::balance::{Endpoint, EndpointState};
use crate::config::ServiceName;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// The states of endpoints that left, for as long as someone else holds them: an exchange, or a table in use.
#[derive(Debug, Default)]
pub struct Departed {
    services: BTreeMap<ServiceName, Vec<Leaver>>,
}

#[derive(Debug)]
struct Leaver {
    instance: Arc<str>,
    address: Arc<str>,
    state: Weak<EndpointState>,
}

impl Departed {
    /// The state of that instance at that address, if it is still held.
    pub fn find(
        &self,
        service: &ServiceName,
        instance: &str,
        address: &str,
    ) -> Option<Arc<EndpointState>> {
        self.services
            .get(service)?
            .iter()
            .find(|leaver| *leaver.instance == *instance && *leaver.address == *address)?
            .state
            .upgrade()
    }

    /// Adds an endpoint that left.
    pub fn add(&mut self, service: &ServiceName, endpoint: &Endpoint) {
        let leaver = Leaver {
            instance: Arc::clone(&endpoint.instance),
            address: Arc::clone(&endpoint.address),
            state: Arc::downgrade(&endpoint.state),
        };
        let leavers = self.services.entry(service.clone()).or_default();
        leavers.retain(|old| !Weak::ptr_eq(&old.state, &leaver.state));
        leavers.push(leaver);
    }

    /// Forgets those whose exchanges have ended. Costs O(endpoints that left since the last time, or are held).
    pub fn prune(&mut self) {
        self.services.retain(|_, leavers| {
            leavers.retain(|leaver| leaver.state.strong_count() > 0);
            !leavers.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_known_while_they_are_held() {
        let web = ServiceName::new("web").unwrap();
        let state = Arc::new(EndpointState::default());
        let endpoint = Endpoint {
            instance: "i1".into(),
            address: "h:80".into(),
            weight: 1,
            tier: 0,
            state: Arc::clone(&state),
        };
        let mut departed = Departed::default();
        departed.add(&web, &endpoint);
        departed.add(&web, &endpoint);
        drop(endpoint);
        assert_eq!(departed.services[&web].len(), 1);
        let found = departed.find(&web, "i1", "h:80").unwrap();
        assert!(Arc::ptr_eq(&found, &state));
        assert!(departed.find(&web, "i1", "h:81").is_none());
        assert!(departed.find(&web, "i2", "h:80").is_none());

        departed.prune();
        assert!(departed.find(&web, "i1", "h:80").is_some());
        drop((found, state));
        assert!(departed.find(&web, "i1", "h:80").is_none());
        departed.prune();
        assert!(departed.services.is_empty());
    }
}
