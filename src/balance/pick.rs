//! What goes into a pick, and why one may fail.

use super::{Endpoint, EndpointState};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A [`PickInput::limit`] that no endpoint reaches.
pub const UNLIMITED: u32 = u32::MAX;

/// What a pick depends on besides the endpoints.
#[derive(Clone, Copy, Debug)]
pub struct PickInput<'a> {
    /// Hash of the key, for consistent hashing: all 64 bits well mixed, and the same on every node.
    pub key: u64,
    /// A random number: all 64 bits of it are used.
    pub random: u64,
    /// The time, [`crate::net::now_ms`]; looked at by `p2c` alone, which does without precision.
    pub now_ms: u64,
    /// Endpoints to pass over because this exchange tried them already: a few, as it is searched in line.
    pub tried: &'a [Arc<EndpointState>],
    /// Exchanges an endpoint may have under way; those that have as many are passed over.
    pub limit: u32,
}

impl PickInput<'_> {
    /// Whether this exchange may still go to `endpoint`.
    pub(super) fn allows(&self, endpoint: &Endpoint) -> bool {
        self.allows_state(&endpoint.state)
    }

    /// The same, of the endpoint with that state.
    pub(super) fn allows_state(&self, state: &Arc<EndpointState>) -> bool {
        !self.has_tried(state) && !self.is_full(state)
    }

    /// Whether it may go to any endpoint there is.
    pub(super) fn allows_all(&self) -> bool {
        self.tried.is_empty() && self.limit == UNLIMITED
    }

    pub(super) fn has_tried(&self, state: &Arc<EndpointState>) -> bool {
        self.tried.iter().any(|tried| Arc::ptr_eq(tried, state))
    }

    fn is_full(&self, state: &EndpointState) -> bool {
        self.limit != UNLIMITED && state.active.load(Ordering::Relaxed) >= self.limit
    }

    /// The first endpoint that may still be tried, from position `start` around to the one before it.
    pub(super) fn first_from(&self, endpoints: &[Arc<Endpoint>], start: usize) -> Option<usize> {
        (start..endpoints.len())
            .chain(0..start)
            .find(|&at| self.allows(&endpoints[at]))
    }
}

/// Why nothing could be picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// The service has no endpoint that gets traffic.
    #[error("the service has no endpoints")]
    NoEndpoints,
    /// Each of its endpoints was tried.
    #[error("every endpoint was tried")]
    AllTried,
    /// Each of its endpoints that was not tried has as many exchanges under way as it may have.
    #[error("every endpoint is full")]
    AllFull,
}
