//! Keeps one ephemeral znode in the tree for as long as it is wanted.
//!
//! Level-triggered: whatever wakes it (an event, a new connection, a new session), it reads the znode and
//! does what is missing. Who owns the znode decides:
//!
//! | owner | then |
//! |---|---|
//! | none: no znode | create it |
//! | this session | nothing to do |
//! | this process's previous session, which expired | delete it, create it |
//! | another session with the same address, before the first success | a predecessor that crashed: delete it, create it |
//! | another session with the same address, later | somebody replaced us: wait for it to go, never fight |
//! | another session with another address | wait two session timeouts at first, for ever later |
//! | nobody: it is persistent | give up |

use super::payload::Payload;
use crate::cli::CliError;
use crate::cli::output::{Output, chain};
use crate::client::{Backoff, Client, ClientError, Events, Hosts, Login, Watch};
use crate::tree::{CreateMode, ErrorCode, SessionId, Stat};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// An endpoint to be kept registered.
pub(super) struct Announcement {
    /// Where the ensemble is.
    pub(super) hosts: Hosts,
    /// Who to be there.
    pub(super) login: Option<Login>,
    /// Session timeout to ask for.
    pub(super) session_timeout: Duration,
    /// `/services/<service>`.
    pub(super) parent: String,
    /// The instance's znode, below `parent`.
    pub(super) path: String,
    /// Its data.
    pub(super) payload: Payload,
    /// Where to report.
    pub(super) output: Output,
    /// Turns true with the first success, and stays so.
    pub(super) registered: watch::Sender<bool>,
    /// Says that the znode shall go.
    pub(super) withdraw: CancellationToken,
}

/// What one session leaves behind.
enum Over {
    Withdrawn,
    Expired,
}

impl Announcement {
    /// Registers and stays registered until withdrawn; after that the znode is gone, or goes with the
    /// session at the latest one session timeout later (which is then reported).
    ///
    /// # Errors
    /// [`CliError::Held`], or a refusal that trying again does not change.
    pub(super) async fn keep(&self) -> Result<(), CliError> {
        let mut former = None;
        loop {
            let Some((client, mut events)) = self.connect().await else {
                return Ok(());
            };
            let over = tokio::select! {
                over = self.hold(&client, &mut events, former) => over,
                () = self.withdraw.cancelled() => Ok(Over::Withdrawn),
            };
            match over {
                Ok(Over::Expired) => {
                    former = Some(client.session_id());
                    self.output
                        .message("the session expired, registering again");
                }
                Ok(Over::Withdrawn) => {
                    self.leave(client).await;
                    return Ok(());
                }
                Err(error) => {
                    self.leave(client).await;
                    return Err(error);
                }
            }
        }
    }

    /// Opens a session, however long it takes; `None` when withdrawn first.
    async fn connect(&self) -> Option<(Client, Events)> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let mut told = false;
        loop {
            let login = self.login.as_ref();
            let attempt = Client::connect_as(&self.hosts, self.session_timeout, login);
            let error = tokio::select! {
                connected = attempt => match connected {
                    Ok(connected) => return Some(connected),
                    Err(error) => error,
                },
                () = self.withdraw.cancelled() => return None,
            };
            if !told {
                self.output
                    .message(format_args!("{}; trying again", chain(&error)));
                told = true;
            }
            tokio::select! {
                () = tokio::time::sleep(backoff.wait()) => {}
                () = self.withdraw.cancelled() => return None,
            }
        }
    }

    /// Looks after the znode for as long as the session lives.
    async fn hold(
        &self,
        client: &Client,
        events: &mut Events,
        former: Option<SessionId>,
    ) -> Result<Over, CliError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        let patience = Instant::now() + client.session_timeout() * 2;
        let mut told = None;
        let mut is_failing = false;
        loop {
            let owner = match self.ensure(client, former).await {
                Ok(Some(owner)) => owner,
                Ok(None) => {
                    tokio::time::sleep(backoff.wait()).await;
                    continue;
                }
                Err(ClientError::Expired) => return Ok(Over::Expired),
                Err(error) if is_passing(&error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        let message = format_args!("{error}; trying again");
                        self.output.message(message);
                    }
                    tokio::time::sleep(backoff.wait()).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            is_failing = false;
            backoff.reset();
            if owner == client.session_id() {
                self.registered.send_replace(true);
            }
            let is_patient = self.is_registered();
            if owner == SessionId::NONE && !is_patient {
                return Err(self.held_by(owner));
            }
            if told.replace(owner) != Some(owner) {
                self.tell(owner, client.session_id());
            }
            let event = tokio::select! {
                event = events.recv() => event,
                () = tokio::time::sleep_until(patience), if !is_patient => {
                    return Err(self.held_by(owner));
                }
            };
            if event.is_none() {
                return Ok(Over::Expired);
            }
        }
    }

    /// Brings the znode about if it can be, leaves a watch on it, and returns its owner. `None` when others
    /// create and delete it all the time.
    async fn ensure(
        &self,
        client: &Client,
        former: Option<SessionId>,
    ) -> Result<Option<SessionId>, ClientError> {
        for _ in 0..ATTEMPTS {
            match client.data(&self.path, Watch::Once).await {
                Ok((data, stat)) => {
                    let is_ours = stat.ephemeral_owner == client.session_id();
                    if is_ours || !self.may_replace(&data, &stat, former) {
                        return Ok(Some(stat.ephemeral_owner));
                    }
                    match client.delete(&self.path, Some(stat.version)).await {
                        Err(error) if is_overtaken(&error) => continue,
                        deleted => deleted?,
                    }
                }
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {}
                Err(error) => return Err(error),
            }
            let data = self.payload.to_json();
            match client.create(&self.path, data, EPHEMERAL).await {
                Err(error) if error.code() == Some(ErrorCode::NoNode) => {
                    client.create_all(&self.parent).await?;
                }
                Err(error) if error.code() == Some(ErrorCode::NodeExists) => {}
                created => {
                    created?;
                }
            }
        }
        Ok(None)
    }

    fn may_replace(&self, data: &[u8], stat: &Stat, former: Option<SessionId>) -> bool {
        let owner = stat.ephemeral_owner;
        let is_our_own = former == Some(owner);
        let is_predecessors = !self.is_registered() && self.payload.is_same_endpoint(data);
        owner != SessionId::NONE && (is_our_own || is_predecessors)
    }

    fn is_registered(&self) -> bool {
        *self.registered.borrow()
    }

    fn tell(&self, owner: SessionId, ours: SessionId) {
        if owner == ours {
            let path = &self.path;
            self.output.message(format_args!("registered {path}"));
        } else {
            let held = self.held_by(owner);
            self.output
                .message(format_args!("{held}; waiting for it to go"));
        }
    }

    fn held_by(&self, owner: SessionId) -> CliError {
        CliError::Held {
            path: self.path.clone(),
            owner,
        }
    }

    /// Ends the session, and the znode with it.
    async fn leave(&self, client: Client) {
        let session_timeout = client.session_timeout();
        let closed = tokio::time::timeout(LEAVING, client.close()).await;
        if !matches!(closed, Ok(Ok(()))) {
            self.output.message(format_args!(
                "could not withdraw {}; it goes when its session expires, in {} at most",
                self.path,
                humantime::format_duration(session_timeout)
            ));
        }
    }
}

/// Whether the ensemble may answer differently in a moment.
fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::ConnectionLoss | ClientError::Timeout(_) => true,
        ClientError::Refused { refusal, .. } => {
            // Operation timeout, request timeout, throttled; and session expired or moved, after which the
            // server closes the connection and reattaching tells what is left of the session.
            matches!(refusal.0, -7 | -122 | -127 | -112 | -118)
        }
        _ => false,
    }
}

/// Whether the znode changed between reading and deleting it.
fn is_overtaken(error: &ClientError) -> bool {
    matches!(
        error.code(),
        Some(ErrorCode::NoNode | ErrorCode::BadVersion)
    )
}

const EPHEMERAL: CreateMode = CreateMode::EPHEMERAL;

/// Rounds of read, delete and create before the znode counts as contended.
const ATTEMPTS: usize = 10;

/// The wait after the first failure to connect.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest wait between two attempts: how stale "the ensemble is away" may be.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// How long to try to close the session; after that it expires by itself.
const LEAVING: Duration = Duration::from_secs(2);
