//! Waiting for an endpoint that is not full, first come first served; the order is [`Queue`](crate::balance::Queue)'s.
//!
//! The one place where an exchange looks at the routing table again: while it waits, endpoints come and go, and so may
//! the limit. Whoever waits is one exchange like others: it ends by its deadline, or by what the watch decides.

use super::account::Exchange;
use super::connect::Attempts;
use super::outcome::Outcome;
use crate::balance::{Lease, PickError};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Time between two looks of those who are not called: leases that were taken before the service had a limit call
/// nobody when they are given back. Shorter only matters in that moment and wakes everybody who waits more often.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Waits until an endpoint has room for this exchange.
///
/// # Errors
/// [`Outcome::QueueFull`] if too many wait already, [`Outcome::QueueTimeout`] when the time is up, the watch's verdict,
/// and what a pick comes to when the service's endpoints are gone.
pub async fn wait(attempts: &mut Attempts<'_>, exchange: &mut Exchange) -> Result<Lease, Outcome> {
    let service = attempts.service().clone();
    // That of an endpoint which could not be connected: somebody else may try it meanwhile.
    exchange.watch.gives_back();
    let queue = service.balancer.queue();
    let ahead = queue.len();
    let place = queue
        .enter(service.policy.queue)
        .ok_or(Outcome::QueueFull)?;
    let began = Instant::now();
    let deadline = began + service.policy.queue_timeout;
    let watch = exchange.watch.clone();
    let mut timer = pin!(sleep(LOOK_AGAIN.min(service.policy.queue_timeout)));
    let waited = poll_fn(|cx| {
        if let Some(verdict) = watch.verdict(cx) {
            return Poll::Ready(Err(verdict));
        }
        if place.may_try(cx.waker()) {
            attempts.look_again(&watch)?;
            match attempts.pick() {
                Err(PickError::AllFull) if attempts.has_failed() => place.pass_on(),
                Err(PickError::AllFull) => {}
                picked => return Poll::Ready(picked.map_err(|none| attempts.failure_or(none))),
            }
        }
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(Err(Outcome::QueueTimeout));
            }
            timer.as_mut().reset(deadline.min(now + LOOK_AGAIN));
        }
        Poll::Pending
    })
    .await;
    drop(place);
    exchange.queued(began.elapsed(), ahead);
    waited
}
