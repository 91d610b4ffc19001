//! The task that probes one endpoint again and again, and records what it finds.
//!
//! ```text
//!   wait (an interval, or until it is urgent) -> a place among the probes under way -> probe -> record -> wait
//! ```

use super::probe::{ProbeError, Tools, probe};
use super::verdict::Tally;
use crate::balance::{Endpoint, Mark};
use crate::config::{Check, SendProxy, ServiceName};
use crate::net::now_ms;
use crate::telemetry::{ServiceMetrics, chain};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep_until};

/// Who is told that what is known of a service's endpoints has changed.
pub type Changed = Arc<dyn Fn(&ServiceName) + Send + Sync>;

/// What all probers share.
pub(super) struct Probing {
    /// Places for probes under way.
    pub(super) places: Semaphore,
    /// What probes are made with.
    pub(super) tools: Tools,
    /// Who is told of news.
    pub(super) changed: Changed,
}

/// What one prober has to do.
pub(super) struct Prober {
    /// What all share.
    pub(super) probing: Arc<Probing>,
    /// The service's name.
    pub(super) service: ServiceName,
    /// Its metrics.
    pub(super) metrics: Arc<ServiceMetrics>,
    /// Whom it probes.
    pub(super) endpoint: Arc<Endpoint>,
    /// How.
    pub(super) check: Check,
    /// What endpoints are told about a connection's client.
    pub(super) send_proxy: SendProxy,
    /// Whether the service has that check, so that its results make the endpoint healthy or unhealthy. If not, it is
    /// only asked whether it answers.
    pub(super) is_verdict: bool,
    /// Told when the next probe must not wait.
    pub(super) urgent: Arc<Notify>,
}

/// What is decided by whether an endpoint answers, as it was when the probe began: what came up since, this probe
/// says nothing about.
struct Questions {
    suspect: Option<Mark>,
    held: Option<Mark>,
}

impl Prober {
    /// Probes for ever, at once for the first time.
    pub(super) async fn run(self) {
        let is_unhealthy = self.endpoint.state.facts().failing.is_some();
        let mut tally = Tally::new(is_unhealthy);
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.urgent.notified() => {}
            }
            // Not a part of the probe's time: it is this node that is busy.
            let Ok(place) = self.probing.places.acquire().await else {
                return;
            };
            let begun = Instant::now();
            next = begun + self.pause();
            let facts = self.endpoint.state.facts();
            let questions = Questions {
                suspect: facts.suspect,
                held: facts.held,
            };
            let result = self.probe().await;
            drop(place);
            self.metrics.probed(reason(&result), begun.elapsed());
            match result {
                Ok(()) => self.passed(&mut tally, &questions),
                Err(error) => self.failed(&mut tally, &questions, &error),
            }
        }
    }

    async fn probe(&self) -> Result<(), ProbeError> {
        let address = &self.endpoint.address;
        let tools = &self.probing.tools;
        probe(address, &self.check, self.send_proxy, tools).await
    }

    /// The interval, a little longer or shorter.
    fn pause(&self) -> Duration {
        let jitter = f64::from(self.check.jitter) / 100.0;
        let factor = 1.0 + jitter * (2.0 * rand::random::<f64>() - 1.0);
        self.check.interval.mul_f64(factor)
    }

    fn passed(&self, tally: &mut Tally, questions: &Questions) {
        let (service, endpoint) = (&self.service, &self.endpoint);
        let state = &endpoint.state;
        if let Some(suspect) = questions.suspect
            && state.answer(suspect)
        {
            let address = &endpoint.address;
            tracing::info!(%service, instance = %endpoint.instance, %address, "endpoint answers and is trusted again");
            self.changed();
        }
        if self.is_verdict && tally.note(true, &self.check) == Some(true) {
            // Of a first result nobody has to be told: it is as well as was assumed.
            if state.facts().failing.is_some() {
                state.recover(now_ms());
                let address = &endpoint.address;
                tracing::info!(%service, instance = %endpoint.instance, %address, "endpoint is healthy");
                self.changed();
            }
        }
    }

    fn failed(&self, tally: &mut Tally, questions: &Questions, error: &ProbeError) {
        let (service, endpoint) = (&self.service, &self.endpoint);
        let (instance, address) = (&endpoint.instance, &endpoint.address);
        let state = &endpoint.state;
        let Some(failure) = error.failure() else {
            let error = chain(error);
            tracing::warn!(%service, %instance, %address, %error, "endpoint cannot be probed");
            return;
        };
        if let Some(held) = questions.held
            && state.give_up(held)
        {
            tracing::info!(%service, %instance, %address, reason = failure.as_str(), "endpoint is held no more: it does not answer");
            self.changed();
        }
        if self.is_verdict && tally.note(false, &self.check) == Some(false) {
            state.fail(now_ms(), failure);
            let error = chain(error);
            tracing::warn!(%service, %instance, %address, reason = failure.as_str(), %error, "endpoint is unhealthy");
            self.changed();
        }
    }

    fn changed(&self) {
        (self.probing.changed)(&self.service);
    }
}

/// The word for a result in metrics.
fn reason(result: &Result<(), ProbeError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(error) => match error.failure() {
            Some(failure) => failure.as_str(),
            None => "exhausted",
        },
    }
}
