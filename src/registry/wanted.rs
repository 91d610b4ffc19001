//! What registrations, settings and operators ask for: the endpoints of one service as they are wanted, before anything
//! is known of the previous table.

use super::drains;
use super::payload::{self, Status};
use super::reading::{Entry, MAX_INSTANCES, Registered};
use crate::config::{Origin, ServicePolicy};
use crate::routing::{Aside, Notes, Service, Unparsed};
use std::sync::Arc;
use std::time::Duration;

/// An endpoint as the tree or the settings want it.
pub(super) struct Wanted {
    pub(super) instance: Arc<str>,
    pub(super) address: Arc<str>,
    pub(super) weight: u16,
    pub(super) tier: u8,
    /// The transaction that registered it, if one did.
    pub(super) created: Option<u64>,
    /// The transaction that last changed its registration, if one did.
    pub(super) changed: Option<u64>,
    /// How long its exchanges may go on, if it is drained.
    pub(super) drain: Option<Duration>,
    /// They get this time once more, whatever they had.
    pub(super) is_renewed: bool,
}

/// What registrations and settings say of a service, read; each list in the order of the instances' names.
pub(super) struct Said<'r> {
    pub(super) wanted: Vec<Wanted>,
    pub(super) unparsed: Vec<Unparsed>,
    pub(super) aside: Vec<Aside>,
    /// Whose registrations ask for a drain.
    pub(super) asking: Vec<&'r Arc<str>>,
}

/// Reads what registrations and settings ask for. A registration hides a static endpoint of the same name.
pub(super) fn said<'r>(policy: &ServicePolicy, registered: &'r Registered) -> Said<'r> {
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
            Wanted {
                tier: endpoint.tier,
                ..Wanted::new(&address, Arc::clone(&address), endpoint.weight)
            }
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
            tier: registration.tier,
            created: Some(entry.created.0),
            changed: Some(entry.changed.0),
            ..Wanted::new(instance, address, registration.weight)
        });
    }

    pub(super) fn notes(
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
pub(super) fn apply(
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
    pub(super) fn new(instance: &Arc<str>, address: Arc<str>, weight: u16) -> Wanted {
        Wanted {
            instance: Arc::clone(instance),
            address,
            weight,
            tier: 0,
            created: None,
            changed: None,
            drain: None,
            is_renewed: false,
        }
    }
}
