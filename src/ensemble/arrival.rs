//! How a node comes to its number: from its log, by founding an ensemble with others, or by being admitted to one.
//!
//! ```text
//!   a log on disk ------------------------------------------------------> the number in it
//!   a number given up, or its log is gone -------> admission (replaces it)  ^
//!   no log, `join`, or an observer --------------> admission -------------> a new number
//!   no log, `members`: calls the roll, again and again
//!       somebody is a member, and its roll has this node's nonce --------> the number in that roll
//!       somebody is a member, and it has not -----> admission (by name)
//!       everybody waits with the same list -------> the roll: all names, addresses and nonces -> its number
//!       somebody does not answer ----------------> waits
//! ```
//! The nonce is drawn once per empty disk and written down before it is told to anybody. This is why losing a disk
//! never makes a second vote of one number. A member votes under number k of ensemble e only with a log that says so;
//! it makes such a log only after a roll, or an answer to its admission, that names the nonce on its disk; and
//! such a roll or answer is used up when the log is made. A disk that was lost comes back with another nonce, and
//! - while any of the listed members has a log, that one answers, and the way leads to admission, which takes a
//!   quorum of members with logs, and gives a number that nobody has voted under;
//! - while one does not answer, it might have a log: nothing is founded;
//! - only when all of them have nothing is an ensemble founded, and its id differs from every earlier one.
//!
//! Two nodes may see two different rolls if a disk is emptied in the middle of a founding. Then the ids differ, and
//! each node belongs to the one it wrote down first; a majority of both would have to have one node in common.
//!
//! What this cannot see is a disk that was put back as it was earlier: see `census`.

use super::admission::{AdmissionError, News, Request, admit};
use super::damage::AsideError;
use super::limits::{LOBBY_ASK, LOBBY_RETRY};
use super::log::{DiskError, OpenError, disk, owner};
use super::papers::{Number, Papers, PapersError, Standing};
use super::peer::{Answer, Ask, Link, Me, Presence, attend};
use super::readmission::{has_peers, readmit};
use super::roll::{Roll, fingerprint};
use super::start::Start;
use crate::config::EnsembleConfig;
use crate::net::{Secret, SecretError, TcpListener};
use crate::telemetry::chain;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Why a node has no number.
#[derive(Debug, thiserror::Error)]
pub enum ArrivalError {
    /// The founding list lacks this node.
    #[error("[ensemble] members does not list this node, {0:?}; add it, or set observer = true")]
    NotListed(String),
    /// The data directory is another node's.
    #[error(
        "{} belongs to the node {found:?}, but [node] name is {name:?}; give the node its directory, or its name back",
        dir.display()
    )]
    Name {
        /// The data directory.
        dir: PathBuf,
        /// Whose it is.
        found: String,
        /// Who opened it.
        name: String,
    },
    /// The log and the papers are of different members.
    #[error("{} holds files of different members", dir.display())]
    Mixed {
        /// The data directory.
        dir: PathBuf,
    },
    /// Others would not know where to reach it.
    #[error(
        "[ensemble] listen is a wildcard: set advertise to the address that other members reach"
    )]
    NoAddress,
    /// The token cannot be used.
    #[error("[ensemble] token_file cannot be used")]
    Token(#[from] SecretError),
    /// What the node knows of itself cannot be read or written.
    #[error(transparent)]
    Papers(#[from] PapersError),
    /// The log cannot be looked at.
    #[error("the log in {} cannot be read", dir.display())]
    Log {
        /// The data directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// A file operation failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another process has the directory.
    #[error("{} is in use by another process", dir.display())]
    InUse {
        /// The data directory.
        dir: PathBuf,
    },
    /// The ensemble does not take it.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// It was removed from the ensemble.
    #[error(
        "this node was member {member} and has been removed from its ensemble; to have it join again under a new number, empty {}",
        dir.display()
    )]
    Removed {
        /// Its number.
        member: u64,
        /// The data directory.
        dir: PathBuf,
    },
    /// What is left of a log cannot be set aside.
    #[error("the files of a log that is given up cannot be set aside")]
    Aside(#[from] AsideError),
    /// Nobody has admitted it again.
    #[error(
        "no peer has admitted this node again, which was member {member} and gave that up, within {} s; it asked {}. What it had lies in damaged-N below {}. \
         Start it again when a quorum of the others is there",
        patience.as_secs(), contacts.join(", "), dir.display()
    )]
    NotReadmitted {
        /// Its number.
        member: u64,
        /// How long it asked.
        patience: Duration,
        /// Whom it asked.
        contacts: Vec<String>,
        /// The data directory.
        dir: PathBuf,
    },
    /// An ensemble of one whose log is gone.
    #[error("the log of this ensemble of one is gone from {}; restore a backup, or empty the directory to begin anew", dir.display())]
    Lost {
        /// The data directory.
        dir: PathBuf,
    },
}

impl ArrivalError {
    /// Whether the ensemble does not want the node.
    pub fn is_dismissal(&self) -> bool {
        matches!(self, ArrivalError::Removed { .. })
    }

    /// Whether the configuration is to blame.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            ArrivalError::NotListed(_)
                | ArrivalError::Name { .. }
                | ArrivalError::NoAddress
                | ArrivalError::Token(_)
        )
    }
}

/// The number of the node that `start` describes, which greets as `me` meanwhile, as long as it takes to have one, and its papers.
///
/// # Errors
/// [`ArrivalError`].
pub(super) async fn arrive(start: &Start, me: &Me) -> Result<(Number, Papers), ArrivalError> {
    let dir = &start.data_dir;
    disk::create_dir(dir)?;
    // Given back at the end, and taken again by the log.
    let lock = disk::Lock::take(&dir.join("lock"))?;
    let _lock = lock.ok_or_else(|| ArrivalError::InUse { dir: dir.clone() })?;
    let mut papers = Papers::open(dir)?;
    let log_error = |source| ArrivalError::Log {
        dir: dir.clone(),
        source,
    };
    let standing = papers.facts().standing;
    match standing {
        Standing::Removed(Number { member, .. }) => {
            let dir = dir.clone();
            return Err(ArrivalError::Removed { member, dir });
        }
        // What is on its disk does not matter any more, and may be damaged in any way.
        Standing::Outdated(number) => return readmit(start, me, number).await,
        Standing::New | Standing::Settled(_) | Standing::Member(_) => {}
    }
    if let Some(owner) = owner(dir).map_err(log_error)? {
        if owner.name != start.name {
            return Err(ArrivalError::Name {
                dir: dir.clone(),
                found: owner.name,
                name: start.name.clone(),
            });
        }
        let number = Number {
            ensemble: owner.ensemble,
            member: owner.member,
        };
        return match standing {
            Standing::Settled(other) | Standing::Member(other) if other != number => {
                Err(ArrivalError::Mixed { dir: dir.clone() })
            }
            _ => Ok((number, papers)),
        };
    }
    match standing {
        Standing::Settled(number) => Ok((number, papers)),
        Standing::New => begin(start, me, &mut papers).await,
        // Segments without a readable beginning: opening the log says what is wrong with them.
        Standing::Member(number) if has_segments(dir)? => Ok((number, papers)),
        Standing::Member(number) if has_peers(start) => {
            papers.give_up(number)?;
            readmit(start, me, number).await
        }
        Standing::Member(_) => Err(ArrivalError::Lost { dir: dir.clone() }),
        Standing::Removed(_) | Standing::Outdated(_) => unreachable!("returned above"),
    }
}

/// The way of a node with nothing on its disk.
async fn begin(
    start: &Start,
    me: &Me,
    papers: &mut Papers,
) -> Result<(Number, Papers), ArrivalError> {
    let Some(config) = &start.config else {
        let alone = BTreeMap::from([(start.name.clone(), String::new())]);
        return found(start, papers, &alone);
    };
    let contacts = contacts(&start.name, config);
    if config.observer || !config.join.is_empty() {
        return enter(start, me, config, &contacts, None).await;
    }
    if !config.members.contains_key(&start.name) {
        return Err(ArrivalError::NotListed(start.name.clone()));
    }
    if contacts.is_empty() {
        return found(start, papers, &config.members);
    }
    let presence = {
        let (name, list) = (start.name.clone(), fingerprint(&config.members));
        let nonce = papers.facts().nonce;
        move || Presence::Waiting {
            name: name.clone(),
            list,
            nonce,
        }
    };
    let called = call_roll(me, &start.name, config, papers.facts().nonce);
    match receiving(me, start.listener.as_ref(), presence, called).await {
        Called::All(roll) => settle(start, papers, roll),
        Called::Exists => enter(start, me, config, &contacts, None).await,
    }
}

/// What calling the roll came to.
enum Called {
    /// Everybody waits, or somebody has called it already.
    All(Roll),
    /// The ensemble exists, and this node is not one of its founders, or not any more.
    Exists,
}

async fn call_roll(me: &Me, name: &str, config: &EnsembleConfig, nonce: u64) -> Called {
    let list = fingerprint(&config.members);
    let others: Vec<(&String, &String)> = config
        .members
        .iter()
        .filter(|(other, _)| *other != name)
        .collect();
    let mut news = News::default();
    loop {
        let round = others.iter().map(|(_, address)| standing(me, address));
        let round = join_all(round).await;
        let mut nonces = BTreeMap::from([(name, nonce)]);
        let mut exists = false;
        for ((other, address), answer) in others.iter().zip(round) {
            match answer {
                Ok(Presence::Member {
                    number,
                    roll: Some(roll),
                }) if roll.ensemble() == number.ensemble && roll.number(name, nonce).is_some() => {
                    return Called::All(roll);
                }
                Ok(Presence::Member { number, .. }) => {
                    exists = true;
                    let ensemble = format!("{:016x}", number.ensemble);
                    tracing::info!(%ensemble, member = %other, "the ensemble exists without this node");
                }
                Ok(Presence::Waiting { name, .. }) if name != **other => {
                    news.tell(
                        address,
                        &format!("the node there is {name:?}, not {other:?}"),
                    );
                }
                Ok(Presence::Waiting { list: theirs, .. }) if theirs != list => {
                    news.tell(address, "its [ensemble] members differ from this node's");
                }
                Ok(Presence::Waiting { nonce, .. }) => {
                    nonces.insert(other, nonce);
                }
                Ok(Presence::Joining) => news.tell(address, "it waits to be admitted"),
                Err(why) => news.tell(address, &why),
            }
        }
        if exists {
            return Called::Exists;
        }
        if nonces.len() == config.members.len() {
            let nonce = |name: &str| nonces.get(name).copied().unwrap_or_default();
            return Called::All(Roll::new(&config.members, nonce));
        }
        sleep(LOBBY_RETRY).await;
    }
}

/// What the node at `address` says of itself, or why it says nothing.
async fn standing(me: &Me, address: &str) -> Result<Presence, String> {
    let mut link = Link::inquiry(me, address);
    match link.ask(&Ask::Standing, LOBBY_ASK).await {
        Ok(Answer::Standing(presence)) => Ok(presence),
        Ok(_) => Err("it gives an answer that makes no sense".into()),
        Err(error) => Err(chain(&error).to_string()),
    }
}

fn found(
    start: &Start,
    papers: &mut Papers,
    list: &BTreeMap<String, String>,
) -> Result<(Number, Papers), ArrivalError> {
    let nonce = papers.facts().nonce;
    settle(start, papers, Roll::new(list, |_| nonce))
}

/// Writes down the number that the roll gives this node.
fn settle(
    start: &Start,
    papers: &mut Papers,
    roll: Roll,
) -> Result<(Number, Papers), ArrivalError> {
    let member = roll.number(&start.name, papers.facts().nonce);
    let number = Number {
        ensemble: roll.ensemble(),
        member: member.ok_or_else(|| ArrivalError::NotListed(start.name.clone()))?,
    };
    papers.change(|facts| {
        facts.standing = Standing::Settled(number);
        facts.roll = Some(roll);
    })?;
    Ok((number, Papers::open(&start.data_dir)?))
}

/// Has the node admitted.
pub(super) async fn enter(
    start: &Start,
    me: &Me,
    config: &EnsembleConfig,
    contacts: &[String],
    replaces: Option<u64>,
) -> Result<(Number, Papers), ArrivalError> {
    let request = request(&start.name, config, replaces)?;
    let admission = admit(contacts, request, me, &start.data_dir);
    let joining = || Presence::Joining;
    let number = receiving(me, start.listener.as_ref(), joining, admission).await?;
    Ok((number, Papers::open(&start.data_dir)?))
}

/// Does `work` while whoever asks this node is told its presence.
pub(super) async fn receiving<T>(
    me: &Me,
    listener: Option<&TcpListener>,
    presence: impl Fn() -> Presence + Send + Sync + 'static,
    work: impl Future<Output = T>,
) -> T {
    let Some(listener) = listener else {
        return work.await;
    };
    tokio::select! {
        done = work => done,
        never = attend(listener, Me::nobody(me.transport.clone()), presence) => match never {},
    }
}

/// Whom the node called `name` asks for admission.
pub(super) fn contacts(name: &str, config: &EnsembleConfig) -> Vec<String> {
    let listed = config.members.iter().filter(|(other, _)| *other != name);
    let listed = listed.map(|(_, address)| address.clone());
    listed.chain(config.join.iter().cloned()).collect()
}

/// What the node called `name` asks for.
///
/// # Errors
/// [`ArrivalError::NoAddress`], [`ArrivalError::Token`].
pub(super) fn request(
    name: &str,
    config: &EnsembleConfig,
    replaces: Option<u64>,
) -> Result<Request, ArrivalError> {
    Ok(Request {
        name: name.into(),
        address: address(name, config).ok_or(ArrivalError::NoAddress)?,
        observer: config.observer,
        replaces,
        token: token(Some(config))?,
    })
}

/// Where other members reach the node called `name`; `None` if nobody said.
pub(super) fn address(name: &str, config: &EnsembleConfig) -> Option<String> {
    let advertised = config.advertise.as_ref().or(config.members.get(name));
    let is_wildcard = config.listen.ip().is_unspecified();
    let listen = (!is_wildcard).then(|| config.listen.to_string());
    advertised.cloned().or(listen)
}

/// The ensemble's token.
///
/// # Errors
/// [`SecretError`].
pub(super) fn token(config: Option<&EnsembleConfig>) -> Result<Option<Arc<Secret>>, SecretError> {
    let path = config.and_then(|config| config.token_file.as_ref());
    path.map(|path| Secret::load(path).map(Arc::new))
        .transpose()
}

fn has_segments(dir: &Path) -> Result<bool, DiskError> {
    let names = disk::names(dir)?;
    Ok(names.iter().any(|name| name.ends_with(".wal")))
}
