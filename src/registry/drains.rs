//! Who wants which instances of a service drained: what they register, the settings and operators, put together.

use super::order;
use super::reading::{MAX_INSTANCES, Registered};
use crate::config::ServicePolicy;
use crate::routing::{Drain, Service, Unparsed};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Puts it together; `asking` are the instances whose registrations ask for it. An order that cannot be read counts as
/// the one that was in force in `previous`. Returns the drains, and those orders. Costs O(drains).
pub(super) fn gather<'a>(
    policy: &ServicePolicy,
    registered: &Registered,
    asking: impl Iterator<Item = &'a Arc<str>>,
    previous: Option<&Arc<Service>>,
) -> (Vec<Drain>, Vec<Unparsed>) {
    let mut drains: BTreeMap<Arc<str>, Drain> = BTreeMap::new();
    let mut drain = |instance: &Arc<str>, ask: &dyn Fn(&mut Drain)| {
        let entry = drains.entry(Arc::clone(instance));
        ask(entry.or_insert_with(|| Drain::of(instance)));
    };
    for instance in asking {
        drain(instance, &|drain| drain.registration = true);
    }
    for instance in &policy.drain {
        drain(&instance.as_str().into(), &|drain| drain.settings = true);
    }
    let mut misread = Vec::new();
    for entry in &registered.orders {
        let instance = &entry.instance;
        let (order, zxid) = match order::parse(&entry.data) {
            Ok(order) => (order, Some(entry.changed.0)),
            Err(error) => {
                misread.push(Unparsed {
                    instance: Arc::clone(instance),
                    reason: error.to_string(),
                });
                let before = previous.and_then(|service| service.notes.drain(instance));
                before.map_or((None, None), |drain| (drain.order.clone(), drain.zxid))
            }
        };
        if order.is_some() {
            drain(instance, &|drain| {
                drain.order = order.clone();
                drain.zxid = zxid;
            });
        }
    }
    misread.sort_by(|a, b| a.instance.cmp(&b.instance));
    if registered.orders_omitted > 0 {
        misread.push(Unparsed {
            instance: "*".into(),
            reason: format!(
                "{} more orders are not followed; expected at most {MAX_INSTANCES} for one service",
                registered.orders_omitted
            ),
        });
    }
    (drains.into_values().collect(), misread)
}

/// Whether its exchanges get another deadline although it may be drained already: an operator has asked for it since,
/// with a deadline.
pub(super) fn is_renewed(drain: &Drain, previous: Option<&Arc<Service>>) -> bool {
    let has_deadline = drain.order.as_ref().is_some_and(|o| o.deadline.is_some());
    let before = previous.and_then(|service| service.notes.drain(&drain.instance));
    has_deadline && before.and_then(|drain| drain.zxid) != drain.zxid
}
