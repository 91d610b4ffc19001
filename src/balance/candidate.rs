//! An endpoint that gets traffic, and how much of its weight counts at present.
//!
//! What makes a weight count in part is decided when a table is assembled: the endpoint is new and warms up, or its
//! tier takes only a part of the traffic. A pick knows nothing of either; it sees shares.

use super::Endpoint;
use std::sync::Arc;

/// The [`Candidate::scale`] of an endpoint whose weight counts as it is.
pub const WHOLE: u32 = 1000;

/// An endpoint that gets traffic.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// How much of its weight counts, in thousandths, at least 1. Only the proportion to its neighbours matters, so
    /// it may be above [`WHOLE`] too. Strategies that know no weights heed it as well.
    pub scale: u32,
}

impl From<Arc<Endpoint>> for Candidate {
    fn from(endpoint: Arc<Endpoint>) -> Candidate {
        Candidate {
            endpoint,
            scale: WHOLE,
        }
    }
}
