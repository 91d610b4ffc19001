//! The way from one host to another, in one direction.

use std::time::Duration;

/// How bytes travel from one host to another. What is lost is sent again, as TCP does: it only comes later, and what
/// follows it on the same connection waits for it.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Shortest time on the way.
    pub min: Duration,
    /// Longest time on the way.
    pub max: Duration,
    /// How probably a segment is lost and sent again.
    pub loss: f64,
    /// Nothing arrives.
    pub is_cut: bool,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            min: Duration::ZERO,
            max: Duration::from_millis(2),
            loss: 0.0,
            is_cut: false,
        }
    }
}

/// The longest wait before what was lost is sent again.
pub(super) const RESEND: Duration = Duration::from_millis(200);
