//! What the ZooKeeper port tells about itself, as plain values: once for the four-letter words, once for the
//! admin door's commands, the same numbers for both.
//!
//! ```text
//! tally, watches, ensemble, tree, /proc --> numbers, connections, sessions, watching, settings, environment
//!                                              |--> words     text over the client port
//!                                              '--> commands  JSON over the admin port (through `node`)
//! ```
//! Answers that grow with connections, sessions or watches are put together on a thread of their own, one at a
//! time per node, from copies: nobody's lock is held while text is written. What would not fit in memory is
//! refused instead.

mod commands;
mod connections;
mod environment;
mod membership;
mod numbers;
mod sessions;
mod settings;
mod watching;

pub use commands::{Command, CommandFailure};
pub(super) use environment::environment;
pub(super) use numbers::{Measure, NO_MEASURE, Numbers};
pub(super) use sessions::{Sessions, Tracked};
#[cfg(test)]
pub(super) use settings::Quorum;
pub(super) use settings::Settings;

use super::port::Port;
use super::watches::Watches;
use crate::config::Config;
use crate::ensemble::Ensemble;
use crate::telemetry::{Metrics, contained_panic};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The version told to clients: dotted numbers first, because clients decide by them what to expect.
pub(super) const VERSION: &str = concat!("3.9.3-zoogate-", env!("CARGO_PKG_VERSION"));

/// What is said while no leader is within reach.
pub(super) const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests";

/// Sessions, ephemerals or watches in one answer: 250,000 make about 20 MB of text with paths of usual length.
const MAX_LISTED: usize = 250_000;

/// Bytes of paths in one answer; see [`MAX_LISTED`]. Paths may have up to 1 MiB each.
const MAX_LISTED_BYTES: usize = 32 << 20;

/// Longest wait for another large answer to be finished first.
const TURN: Duration = Duration::from_secs(5);

/// The ZooKeeper port of one member, for those who ask about it. Cheap to clone.
#[derive(Clone)]
pub struct Monitor(pub(super) Arc<Port>);

/// What does not change while the process runs.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Where clients connect.
    pub(super) client: SocketAddr,
    /// Where log and snapshots are kept.
    pub(super) data_dir: PathBuf,
    /// Where other members connect; `None` in an ensemble of one.
    pub(super) peers: Option<SocketAddr>,
    /// Whether the member has no vote.
    pub(super) is_observer: bool,
}

/// An answer would be too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many {what} to list: {count}, more than {max}")]
pub struct TooMany {
    what: &'static str,
    count: usize,
    max: usize,
}

/// Why a large answer was not put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Withheld {
    /// See [`TooMany`].
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Another one takes long, or the process ends.
    #[error("busy with another answer; try again")]
    Busy,
}

impl Monitor {
    /// The port that clients will reach at `client`, on a node with this configuration. `watches` must follow the
    /// ensemble from before the first connection.
    pub fn new(
        config: &Config,
        client: SocketAddr,
        ensemble: Ensemble,
        watches: Arc<Watches>,
        metrics: Arc<Metrics>,
    ) -> Monitor {
        let facts = Facts {
            client,
            data_dir: config.node.data_dir.clone(),
            peers: config.ensemble.as_ref().map(|ensemble| ensemble.listen),
            is_observer: config.ensemble.as_ref().is_some_and(|e| e.observer),
        };
        let settings = config.zookeeper.clone();
        Monitor(Arc::new(Port::new(
            ensemble, watches, settings, facts, metrics,
        )))
    }
}

/// Puts a large answer together when its turn comes.
///
/// # Errors
/// [`Withheld`]
pub(super) async fn in_turn<T: Send + 'static>(
    port: &Arc<Port>,
    work: impl FnOnce(&Port) -> Result<T, TooMany> + Send + 'static,
) -> Result<T, Withheld> {
    let turn = timeout(TURN, port.large_answers.clone().acquire_owned()).await;
    let turn = turn.ok().and_then(Result::ok).ok_or(Withheld::Busy)?;
    let port = port.clone();
    let done = tokio::task::spawn_blocking(move || {
        let answer = contained_panic(|| work(&port));
        drop(turn);
        answer
    });
    let answer = done.await.map_err(|_| Withheld::Busy)?;
    Ok(answer.map_err(|_| Withheld::Busy)??)
}

/// Refuses what does not fit into an answer.
///
/// # Errors
/// [`TooMany`]
fn listable(what: &'static str, count: usize) -> Result<(), TooMany> {
    let max = MAX_LISTED;
    match count <= max {
        true => Ok(()),
        false => Err(TooMany { what, count, max }),
    }
}

/// Refuses paths that are too long together.
///
/// # Errors
/// [`TooMany`]
fn listable_bytes(count: usize) -> Result<(), TooMany> {
    let (what, max) = ("bytes of paths", MAX_LISTED_BYTES);
    match count <= max {
        true => Ok(()),
        false => Err(TooMany { what, count, max }),
    }
}
