//! Who was refused at the door, so that the log says so without being filled by whoever keeps knocking.

use crate::ensemble::limits::{STRANGER_INTERVAL, STRANGERS};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// Who was told about when, and why each was refused.
#[derive(Default)]
pub(in crate::ensemble) struct Strangers(Mutex<HashMap<Refused, Instant>>);

/// From where, and a hash of the reason: another reason from the same address is news.
type Refused = (IpAddr, u64);

impl Strangers {
    /// Says that a connection ended before the greeting was over.
    pub(super) fn tell(&self, peer: SocketAddr, error: &dyn Error) {
        let error = crate::telemetry::chain(error).to_string();
        let refused = (peer.ip(), xxh3_64(error.as_bytes()));
        if self.is_news(refused, STRANGER_INTERVAL) {
            tracing::warn!(%peer, %error, "refused a connection to the ensemble's port");
        } else {
            tracing::debug!(%peer, %error, "refused a connection to the ensemble's port");
        }
    }

    fn is_news(&self, from: Refused, interval: Duration) -> bool {
        let now = Instant::now();
        let mut told = self.0.lock();
        if told.len() >= STRANGERS {
            told.retain(|_, at| now - *at < interval);
        }
        match told.get(&from) {
            Some(at) if now - *at < interval => false,
            None if told.len() >= STRANGERS => false,
            _ => {
                told.insert(from, now);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_news_once_in_a_while_for_each_reason() {
        let strangers = Strangers::default();
        let [a, b] = ["10.0.0.1", "10.0.0.2"].map(|ip| (ip.parse().unwrap(), 1));
        let news = |refused| strangers.is_news(refused, STRANGER_INTERVAL);
        assert_eq!([news(a), news(a), news(b)], [true, false, true]);
        assert!(news((a.0, 2)), "another reason");
        assert!(
            strangers.is_news(a, Duration::ZERO),
            "when the time is over"
        );
    }

    #[test]
    fn not_more_addresses_are_remembered_than_there_is_room_for() {
        let strangers = Strangers::default();
        for number in 0..2 * STRANGERS as u32 {
            strangers.is_news((IpAddr::from(number.to_be_bytes()), 1), STRANGER_INTERVAL);
        }
        assert_eq!(strangers.0.lock().len(), STRANGERS);
    }
}
