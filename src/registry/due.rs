//! When services change by time alone: an ejection ends, a slow start goes on, a hold is over.

use crate::config::ServiceName;
use std::collections::{BTreeMap, BTreeSet};

/// The next such time of each service that has one, in milliseconds of [`crate::net::now_ms`]. Each operation costs
/// O(log services in it).
#[derive(Debug, Default)]
pub(super) struct Due {
    by_time: BTreeSet<(u64, ServiceName)>,
    by_name: BTreeMap<ServiceName, u64>,
}

impl Due {
    /// The service changes at `at_ms` next, or not by time.
    pub(super) fn set(&mut self, service: &ServiceName, at_ms: Option<u64>) {
        if let Some(before) = self.by_name.remove(service) {
            self.by_time.remove(&(before, service.clone()));
        }
        if let Some(at_ms) = at_ms {
            self.by_name.insert(service.clone(), at_ms);
            self.by_time.insert((at_ms, service.clone()));
        }
    }

    /// The time of the next change of any of them.
    pub(super) fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// Takes a service whose time has come.
    pub(super) fn pop(&mut self, now_ms: u64) -> Option<ServiceName> {
        let (at_ms, _) = self.by_time.first()?;
        if *at_ms > now_ms {
            return None;
        }
        let (_, service) = self.by_time.pop_first()?;
        self.by_name.remove(&service);
        Some(service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_come_when_their_time_has_come() {
        let name = |text: &str| ServiceName::new(text).unwrap();
        let (a, b) = (name("a"), name("b"));
        let mut due = Due::default();
        due.set(&a, Some(20));
        due.set(&b, Some(10));
        due.set(&a, Some(5));
        assert_eq!(due.next(), Some(5));
        assert_eq!(due.pop(4), None);
        assert_eq!(due.pop(5), Some(a.clone()));
        assert_eq!(due.next(), Some(10));
        due.set(&b, None);
        due.set(&a, None);
        assert_eq!(due.next(), None);
        assert_eq!(due.pop(100), None);
    }
}
