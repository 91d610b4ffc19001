//! From a service to an endpoint: pick one, if need be after waiting for room, and one other when it cannot be connected.
//!
//! A retry is safe for any protocol and method here, because nothing was sent yet.

use super::account::Exchange;
use super::options;
use super::outcome::{Outcome, Side};
use super::queue;
use super::watch::Watch;
use super::worker::Worker;
use crate::balance::{Endpoint, EndpointState, Lease, PickError, PickInput, UNLIMITED};
use crate::net::{Stream, now_ms};
use crate::routing::Service;
use crate::upstream::Opening;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::time::Instant;

/// Endpoints that may fail to connect before an exchange fails: the first and one other. More would multiply the
/// load on a service whose endpoints fail one after another, and the time a client waits for bad news.
const ATTEMPTS: usize = 2;

/// The endpoints tried for one exchange.
pub struct Attempts<'a> {
    worker: &'a Worker,
    service: Arc<Service>,
    key: u64,
    announcement: Vec<u8>,
    /// Those that could not be connected.
    failed: Vec<Arc<EndpointState>>,
    failure: Option<Outcome>,
}

impl<'a> Attempts<'a> {
    /// None so far. `key` is the hash for consistent hashing.
    pub fn new(worker: &'a Worker, service: Arc<Service>, key: u64) -> Attempts<'a> {
        Attempts {
            worker,
            service,
            key,
            announcement: Vec::new(),
            failed: Vec::new(),
            failure: None,
        }
    }

    /// Says `announcement` to each endpoint, before anything of the client's.
    pub fn announcing(mut self, announcement: Vec<u8>) -> Attempts<'a> {
        self.announcement = announcement;
        self
    }

    /// An endpoint that has not failed yet, once one has room; `exchange` then holds the lease on it.
    ///
    /// # Errors
    /// The outcome of the first endpoint that failed, since a second failure only repeats the news;
    /// [`Outcome::NoEndpoints`] if there was none to begin with; what may come of waiting.
    pub async fn next(&mut self, exchange: &mut Exchange) -> Result<Arc<Endpoint>, Outcome> {
        if let Some(failure) = self.failure
            && self.failed.len() >= ATTEMPTS
        {
            return Err(failure);
        }
        // Before the pick: what comes free belongs to who has waited for it.
        let must_wait = self.service.policy.max_connections.is_some()
            && !self.service.balancer.queue().is_empty();
        let picked = match must_wait {
            true => Err(PickError::AllFull),
            false => self.pick(),
        };
        let lease = match picked {
            Err(PickError::AllFull) => queue::wait(self, exchange).await?,
            picked => picked.map_err(|none| self.failure_or(none))?,
        };
        if self.has_failed() {
            exchange.retried();
        }
        let endpoint = lease.endpoint().clone();
        exchange.watch.leased(lease);
        Ok(endpoint)
    }

    /// A lease on an endpoint that has not failed yet, without waiting.
    ///
    /// # Errors
    /// Those of [`Balancer::pick`](crate::balance::Balancer::pick).
    pub fn pick(&self) -> Result<Lease, PickError> {
        let now_ms = match self.service.policy.strategy.knows_latency() {
            true => now_ms(),
            false => 0,
        };
        self.service.balancer.pick(&PickInput {
            key: self.key,
            random: self.worker.random(),
            now_ms,
            tried: &self.failed,
            limit: self.service.policy.max_connections.unwrap_or(UNLIMITED),
        })
    }

    /// Goes on with the service as the table has it now.
    ///
    /// # Errors
    /// [`Outcome::NoEndpoints`] if the table has it no more.
    pub fn look_again(&mut self, watch: &Watch) -> Result<(), Outcome> {
        let table = self.worker.table.load();
        let service = table.service(self.service.name.as_str());
        let service = service.ok_or(Outcome::NoEndpoints)?;
        if !Arc::ptr_eq(service, &self.service) {
            self.service = service.clone();
            watch.routed(service.clone());
        }
        Ok(())
    }

    /// The service they are for.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// An endpoint could not be connected.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The outcome of the first endpoint that failed, or else what `none` means.
    pub fn failure_or(&self, none: PickError) -> Outcome {
        self.failure.unwrap_or(none.into())
    }

    /// A new connection to `endpoint`, or `None`, which is noted.
    pub async fn dial(&mut self, endpoint: &Endpoint, exchange: &mut Exchange) -> Option<Stream> {
        let started = Instant::now();
        let policy = &self.service.policy;
        let options = options::of_service(policy);
        let opening = Opening {
            dialer: &self.worker.dialer,
            options: &options,
            address: &endpoint.address,
            within: policy.connect_timeout,
            announcement: &self.announcement,
        };
        match opening.open().await {
            Ok(stream) => {
                exchange.connected(started.elapsed());
                Some(stream)
            }
            Err(error) => {
                // The totals are in the metrics; each single failure is for whoever looks closer.
                tracing::debug!(service = %self.service.name, %error, "cannot connect");
                let outcome = Outcome::from(&error);
                // What this node lacks is not the endpoint's failure.
                if outcome.side() == Side::Upstream {
                    let failures = &endpoint.state.connect_failures;
                    failures.fetch_add(1, Ordering::Relaxed);
                    self.service.failed(endpoint);
                }
                exchange.watch.asked();
                exchange.watch.ended(outcome);
                self.failure.get_or_insert(outcome);
                self.failed.push(endpoint.state.clone());
                None
            }
        }
    }

    /// A new connection to an endpoint of the service.
    ///
    /// # Errors
    /// Those of [`Attempts::next`].
    pub async fn connect(&mut self, exchange: &mut Exchange) -> Result<Stream, Outcome> {
        loop {
            let endpoint = self.next(exchange).await?;
            if let Some(stream) = self.dial(&endpoint, exchange).await {
                return Ok(stream);
            }
        }
    }
}
