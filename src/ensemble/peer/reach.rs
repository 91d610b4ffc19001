//! Which peers can be reached, so that the log says once when one is lost and once when it is back.
//!
//! openraft dials a lost peer several times a second from several tasks; a line for each would bury the rest.

use super::link::LinkError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// What the last attempt to dial each peer gave. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Reach(Arc<Mutex<HashMap<u64, bool>>>);

impl Reach {
    /// A peer was dialled with this result.
    pub(super) fn dialled(&self, peer: u64, address: &str, error: Option<&LinkError>) {
        if !self.changed(peer, error.is_none()) {
            return;
        }
        match error {
            None => tracing::info!(peer, address, "member reached"),
            Some(error) => {
                let error = crate::telemetry::chain(error);
                tracing::warn!(peer, %error, "member lost; trying again until it is back");
            }
        }
    }

    /// Whether this differs from what was known.
    fn changed(&self, peer: u64, reached: bool) -> bool {
        self.0.lock().insert(peer, reached) != Some(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_news() {
        let reach = Reach::default();
        let news: Vec<bool> = [true, true, false, false, true]
            .map(|reached| reach.changed(1, reached))
            .into();
        assert_eq!(news, [true, false, true, false, true]);
        assert!(reach.changed(2, true), "peers are told apart");
    }
}
