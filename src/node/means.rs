//! What traffic may have of this machine: source addresses and descriptors.
//!
//! ```text
//! limit of open files   |----------- traffic -----------|-- reserved --|
//!                        two for each connection         members, sessions, the log, the admin port, listeners
//! ```
//! Sessions of ZooKeeper clients take a descriptor each, and clients of the admin port too, so a node with thousands of
//! them wants `reserved_descriptors` set.

use super::error::NodeError;
use crate::config::Config;
use crate::net::{Descriptors, open_files_limit};
use crate::proxy::Means;
use crate::upstream::check_source;

/// Unless it is set, the part of the descriptors that traffic leaves to the rest: one in eight, and no more than
/// `RESERVED_MOST`, which is a leader of seven members with hundreds of sessions. More would only take connections
/// from traffic on small limits.
const RESERVED_PART: usize = 8;
const RESERVED_MOST: usize = 1024;

/// What `config` gives traffic; says in the log when that is less than its listeners may use.
///
/// # Errors
/// [`NodeError::Source`] when a source address is not this machine's, [`NodeError::Descriptors`] when none are left.
pub(super) fn means(config: &Config) -> Result<Means, NodeError> {
    for &address in &config.node.source_addresses {
        check_source(address).map_err(|reason| NodeError::Source { address, reason })?;
    }
    let limit = open_files_limit();
    let share = share(limit, config.node.reserved_descriptors);
    if share == 0 && !config.listeners.is_empty() {
        return Err(NodeError::Descriptors { limit });
    }
    let wanted = config.listeners.iter().map(|l| l.max_connections);
    let (wanted, possible) = (wanted.sum::<usize>(), share / 2);
    if wanted > possible {
        tracing::warn!(
            open_files = limit,
            possible,
            wanted,
            "listeners may serve more connections than there are descriptors for; those beyond are reset"
        );
    }
    Ok(Means {
        source_addresses: config.node.source_addresses.clone(),
        descriptors: Descriptors::new(share),
        ..Means::default()
    })
}

/// Descriptors for traffic, of `limit`.
fn share(limit: usize, reserved: Option<usize>) -> usize {
    let reserved = reserved.unwrap_or((limit / RESERVED_PART).min(RESERVED_MOST));
    limit.saturating_sub(reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_is_kept_from_traffic_and_no_more_than_a_thousand() {
        for (limit, reserved, expected) in [
            (1024, None, 896),
            (20_000, None, 18_976),
            (1_000_000, None, 998_976),
            (1024, Some(1000), 24),
            (1024, Some(5000), 0),
        ] {
            assert_eq!(share(limit, reserved), expected, "{limit} {reserved:?}");
        }
    }
}
