//! `zoogate serve`: one node from a file, driven by signals.
//!
//! | signal | does |
//! |---|---|
//! | TERM, INT | drain and stop; a second one stops at once |
//! | HUP | read the file again, and certificates; nothing changes if it cannot all be done |

use super::bind::Bound;
use super::end;
use super::error::NodeError;
use super::running::Node;
use crate::config::Config;
use crate::net::raise_open_files_limit;
use crate::telemetry::init_logs;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long exchanges under way may go on after TERM; as long as service managers wait by default, less a
/// margin to stop the rest.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);

/// Runs the node that the file at `path` describes until it is told to stop.
///
/// # Errors
/// [`NodeError`] when it cannot start, or when a critical part dies.
pub async fn serve(path: &Path) -> Result<(), NodeError> {
    let config = Config::load(path)?;
    init_logs(&config.node.name)?;
    #[cfg(feature = "failpoints")]
    super::failpoints::follow();
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    raise_open_files_limit();
    // Signals first: a TERM during start must not kill the process half-way through a write.
    let mut signals = Signals::new()?;
    let bound = Bound::bind(&config).await?;
    // It may have to wait for others before it is a member.
    let mut node = tokio::select! {
        started = Node::start(config, bound) => started?,
        () = signals.stop() => {
            tracing::info!("stopped before this node was a member");
            return Ok(());
        }
    };
    node.end_process_when_stalled();
    let addrs = node.addrs();
    if let Some(zookeeper_tls) = addrs.zookeeper_tls {
        tracing::info!(%zookeeper_tls, "serving ZooKeeper clients with TLS");
    }
    tracing::info!(zookeeper = %addrs.zookeeper, admin = %addrs.admin, listeners = ?addrs.listeners, "serving");
    loop {
        tokio::select! {
            error = node.failed() => {
                end::at_the_latest(end::code(&error));
                return Err(error);
            }
            asked = signals.next() => match asked {
                Asked::Stop => break,
                Asked::Reload => {
                    node.reload_certificates();
                    match Config::load(path) {
                        Ok(config) => node.reload(config).await,
                        Err(errors) => node.refuse_reload(&errors.to_string()),
                    }
                }
            },
        }
    }
    tracing::info!(
        "stopping: draining for up to {SHUTDOWN_GRACE:?}; a second signal stops at once"
    );
    tokio::select! {
        () = node.stop(SHUTDOWN_GRACE) => tracing::info!("stopped"),
        () = signals.stop() => {
            end::at_the_latest(end::FAILED);
            tracing::warn!("stopped without draining");
        }
    }
    Ok(())
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// TERM or INT.
    Stop,
    /// HUP.
    Reload,
}

/// The signals a node listens to.
pub(super) struct Signals {
    hup: Signal,
    int: Signal,
    term: Signal,
}

impl Signals {
    /// Takes the signals over from their defaults.
    ///
    /// # Errors
    /// [`NodeError::System`].
    pub(super) fn new() -> Result<Signals, NodeError> {
        let take = |kind| {
            signal(kind).map_err(|source| NodeError::System {
                action: "listen for signals",
                source,
            })
        };
        Ok(Signals {
            hup: take(SignalKind::hangup())?,
            int: take(SignalKind::interrupt())?,
            term: take(SignalKind::terminate())?,
        })
    }

    /// Resolves at the next signal.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.int.recv() => Asked::Stop,
            _ = self.term.recv() => Asked::Stop,
            _ = self.hup.recv() => Asked::Reload,
        }
    }

    /// Resolves at TERM or INT.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
