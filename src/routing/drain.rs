//! Why instances get nothing new.
//!
//! Three may ask for a drain, and each of them for its own reasons: the instance itself, by what it registers; the
//! settings, by their list; and an operator, by a znode of its own. An instance is in use when none of them does, so
//! nobody takes back what another asked for.

use std::sync::Arc;
use std::time::Duration;

/// An instance that is drained, or would be if it were registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The instance.
    pub instance: Arc<str>,
    /// Its registration asks for it.
    pub registration: bool,
    /// The settings name it.
    pub settings: bool,
    /// An operator asked for it.
    pub order: Option<DrainOrder>,
    /// The transaction by which the operator did.
    pub zxid: Option<u64>,
}

impl Drain {
    /// Of that instance, asked for by nobody yet.
    pub fn of(instance: &Arc<str>) -> Drain {
        Drain {
            instance: Arc::clone(instance),
            registration: false,
            settings: false,
            order: None,
            zxid: None,
        }
    }

    /// Who asked for it, in the words of JSON and of the command line. A published interface.
    pub fn words(&self) -> Vec<&'static str> {
        let words = [
            (self.order.is_some(), "operator"),
            (self.settings, "settings"),
            (self.registration, "registration"),
        ];
        let asked = words.into_iter().filter(|(asked, _)| *asked);
        asked.map(|(_, word)| word).collect()
    }
}

/// What an operator asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainOrder {
    /// How long exchanges under way may go on, in place of the service's `drain_timeout`.
    pub deadline: Option<Duration>,
    /// Who it was, as far as is known.
    pub by: Option<String>,
    /// When it was, in words.
    pub since: Option<String>,
}
