//! Connections kept for the next request, per endpoint, for one worker.
//!
//! The last one kept is the first one taken, so that under falling load the rest grows old and is closed. Every
//! connection is looked at before it is reused and at every sweep: one that the endpoint has closed, that is too
//! old, or whose endpoint gets no more traffic is dropped.

use super::Connection;
use crate::balance::{Endpoint, EndpointState};
use crate::net::{Descriptors, DescriptorsTaken};
use hyper::body::Body;
use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

/// Idle connections kept per endpoint and worker. More cost the endpoint memory; fewer cost a new connection
/// for each concurrent request above the number.
const MAX_IDLE: usize = 256;

/// Longest time a connection stays idle, in milliseconds. Many servers hang up after 60 s, some after 5 s; being
/// first avoids requests that meet a connection just being closed.
const MAX_AGE_MS: u64 = 30_000;

/// Idle connections of one worker.
pub struct Idle<B: Body + 'static> {
    /// By address of the endpoint's state, which each entry keeps alive, so that it names one endpoint only.
    endpoints: RefCell<HashMap<usize, Kept<B>>>,
    descriptors: Arc<Descriptors>,
}

struct Kept<B: Body + 'static> {
    state: Arc<EndpointState>,
    address: Arc<str>,
    /// Oldest first.
    connections: Vec<Waiting<B>>,
}

struct Waiting<B: Body + 'static> {
    since_ms: u64,
    connection: Connection<B>,
    _descriptor: DescriptorsTaken,
}

impl<B> Idle<B>
where
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    /// None so far; each will take one of `descriptors` while it is kept, if there is one to spare.
    pub fn new(descriptors: Arc<Descriptors>) -> Idle<B> {
        let endpoints = RefCell::default();
        Idle {
            endpoints,
            descriptors,
        }
    }

    /// A connection to `endpoint` that is ready for a request, if there is one.
    pub fn take(&self, endpoint: &Endpoint, now_ms: u64) -> Option<Connection<B>> {
        let mut endpoints = self.endpoints.borrow_mut();
        let kept = endpoints.get_mut(&key(endpoint))?;
        while let Some(mut waiting) = kept.connections.pop() {
            let usable = kept.address == endpoint.address && !is_old(waiting.since_ms, now_ms);
            if usable && waiting.connection.is_reusable() {
                return Some(waiting.connection);
            }
        }
        None
    }

    /// Keeps `connection` for the next request to `endpoint`, or closes it if it is of no use.
    pub fn keep(&self, endpoint: &Endpoint, mut connection: Connection<B>, now_ms: u64) {
        if endpoint.state.retire_at().is_some() || !connection.is_reusable() {
            return;
        }
        let Some(descriptor) = self.descriptors.take_spare(1) else {
            return;
        };
        let mut endpoints = self.endpoints.borrow_mut();
        let kept = endpoints.entry(key(endpoint)).or_insert_with(|| Kept {
            state: endpoint.state.clone(),
            address: endpoint.address.clone(),
            connections: Vec::new(),
        });
        if kept.address != endpoint.address {
            kept.address = endpoint.address.clone();
            kept.connections.clear();
        }
        if kept.connections.len() < MAX_IDLE {
            kept.connections.push(Waiting {
                since_ms: now_ms,
                connection,
                _descriptor: descriptor,
            });
        }
    }

    /// Closes what is of no more use.
    pub fn sweep(&self, now_ms: u64) {
        self.endpoints.borrow_mut().retain(|_, kept| {
            if kept.state.retire_at().is_some() {
                return false;
            }
            kept.connections
                .retain_mut(|w| !is_old(w.since_ms, now_ms) && w.connection.is_reusable());
            !kept.connections.is_empty()
        });
    }

    /// Closes all.
    pub fn clear(&self) {
        self.endpoints.borrow_mut().clear();
    }
}

fn key(endpoint: &Endpoint) -> usize {
    Arc::as_ptr(&endpoint.state) as usize
}

fn is_old(since_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(since_ms) > MAX_AGE_MS
}
