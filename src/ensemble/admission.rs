//! Becoming a member of an ensemble that is there: a node asks, the leader gives it a number.
//!
//! ```text
//!   node with an empty disk                 any member              the leader
//!   draws a nonce, writes it down
//!   name, address, nonce, proof ----------> proof right? ---------> proof right? who is replaced, is that one gone?
//!                                                                    Admit -> number        (entry, decided in apply)
//!   writes its number down  <-------------- number <--------------- a member without vote  (entry of the membership)
//!   makes its log, follows                                          caught up? -> its vote, and the replaced one
//!                                                                                  leaves, in one change
//! ```
//! Every step may be lost and asked for again. The number is decided by the log, under the nonce, so the answer to the
//! same node is the same, whoever leads by then. That the member is to vote is kept in the tree: whoever leads when it
//! has caught up sees to it.
//!
//! A number is never used twice. A node that lost its disk gets a new number and takes the place of its old one,
//! which is found by its name. It is refused while the old one still answers: two nodes of one name are a mistake.

use super::barrier::leader_address;
use super::handle::Ensemble;
use super::limits::{ADMISSION_ASK, ADMISSION_NEWS, ADMISSION_RETRY, RECONFIG_TIMEOUT};
use super::papers::{Number, Papers, PapersError, Standing};
use super::peer::{Answer, Ask, Link, LinkError, Me};
use crate::net::Secret;
use crate::telemetry::chain;
use crate::tree::LEVEL;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use tokio::time::{Instant, sleep, timeout};

/// What a node asks for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Its `[node] name`.
    pub(super) name: String,
    /// Where other members reach it.
    pub(super) address: String,
    /// Whether it shall never vote.
    pub(super) observer: bool,
    /// The number that it had before its disk was lost, if it knows.
    pub(super) replaces: Option<u64>,
    /// The ensemble's token, if it has one.
    pub(super) token: Option<Arc<Secret>>,
}

/// What it got.
pub(super) type Admitted = Number;

/// A request as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Application {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) nonce: u64,
    pub(super) observer: bool,
    pub(super) replaces: Option<u64>,
    pub(super) level: u16,
    pub(super) proof: Option<Vec<u8>>,
}

/// Why a node was not admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(super) enum AdmissionRefusal {
    /// Nobody leads, or the leader was lost meanwhile.
    #[error("the ensemble has no leader that can be reached")]
    NoLeader,
    /// The members are being changed.
    #[error("another change of the members is under way")]
    Busy,
    /// The member whose place it would take is there.
    #[error(
        "member {0} has this node's name and answers; stop it, or give this node another [node] name"
    )]
    Alive(u64),
    /// The answer of the one who was asked makes no sense here.
    #[error("the node that was asked is no member itself")]
    NotAMember,
    /// The token is missing or wrong.
    #[error("the token is missing or wrong; see token_file in [ensemble]")]
    Token,
    /// The node is too old for this ensemble.
    #[error("this node's version is too old for the ensemble: level {0}, not {1}")]
    Level(u16, u16),
    /// It asks in another one's name.
    #[error("this node's certificate is that of {0:?}")]
    Certificate(String),
    /// A member is too old to hear of it.
    #[error("a member runs a version that knows no admission (level {0}); upgrade it first")]
    Early(u16),
    /// The request makes no sense.
    #[error("{0}")]
    BadArguments(String),
}

impl AdmissionRefusal {
    /// Whether to ask again helps.
    fn is_final(&self) -> bool {
        match self {
            AdmissionRefusal::NoLeader
            | AdmissionRefusal::Busy
            | AdmissionRefusal::Alive(_)
            | AdmissionRefusal::Early(_)
            | AdmissionRefusal::NotAMember => false,
            AdmissionRefusal::Token
            | AdmissionRefusal::Level(..)
            | AdmissionRefusal::Certificate(_)
            | AdmissionRefusal::BadArguments(_) => true,
        }
    }
}

/// Why a node cannot become a member.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// There is nobody to ask.
    #[error("there is no member to ask: name one in join, or in members, of [ensemble]")]
    NoContacts,
    /// The ensemble does not want it.
    #[error("the member at {address} does not admit this node: {why}")]
    Refused {
        /// Who was asked.
        address: String,
        /// Why.
        why: String,
    },
    /// What was asked and answered cannot be written down.
    #[error(transparent)]
    Papers(#[from] PapersError),
}

/// Asks the members at `contacts` in turn until one has this node admitted, for as long as that takes. What is
/// asked and answered is kept in `dir`, the data directory, so that after a crash the same is asked again and gives the same number.
///
/// A node that was a member before gives up its old number by this: its old log must not be used again.
///
/// # Errors
/// [`AdmissionError`] when asking again does not help.
///
/// # Cancel safety
/// Safe: the next call goes on where this one was.
pub(super) async fn admit(
    contacts: &[String],
    request: Request,
    me: &Me,
    dir: &Path,
) -> Result<Admitted, AdmissionError> {
    if contacts.is_empty() {
        return Err(AdmissionError::NoContacts);
    }
    let mut papers = Papers::open(dir)?;
    match papers.facts().standing {
        Standing::New | Standing::Outdated(_) => {}
        Standing::Settled(number) => return Ok(number),
        Standing::Member(number) | Standing::Removed(number) => papers.give_up(number)?,
    }
    let application = Application::new(&request, papers.facts().nonce);
    let mut news = News::default();
    loop {
        for address in contacts {
            match ask(me, address, &application).await {
                Ok(number) => {
                    papers.change(|facts| facts.standing = Standing::Settled(number))?;
                    let Number { ensemble, member } = number;
                    let ensemble = format_args!("{ensemble:016x}");
                    tracing::info!(%ensemble, member, by = address, "admitted to the ensemble");
                    return Ok(number);
                }
                Err(Unheard::Refusal(refusal)) if refusal.is_final() => {
                    return Err(AdmissionError::Refused {
                        address: address.clone(),
                        why: refusal.to_string(),
                    });
                }
                Err(Unheard::Refusal(refusal)) => news.tell(address, &refusal.to_string()),
                Err(Unheard::Link(error)) => news.tell(address, &chain(&error).to_string()),
            }
        }
        sleep(ADMISSION_RETRY).await;
    }
}

/// No number came of asking.
enum Unheard {
    Refusal(AdmissionRefusal),
    Link(LinkError),
}

async fn ask(me: &Me, address: &str, application: &Application) -> Result<Number, Unheard> {
    let mut link = Link::inquiry(me, address);
    let ask = Ask::Admit(application.clone());
    match link.ask(&ask, ADMISSION_ASK).await {
        Ok(Answer::Admission(answer)) => answer.map_err(Unheard::Refusal),
        Ok(_) => Err(Unheard::Refusal(AdmissionRefusal::NotAMember)),
        Err(error) => Err(Unheard::Link(error)),
    }
}

impl Application {
    fn new(request: &Request, nonce: u64) -> Application {
        let mut application = Application {
            name: request.name.clone(),
            address: request.address.clone(),
            nonce,
            observer: request.observer,
            replaces: request.replaces,
            level: LEVEL,
            proof: None,
        };
        let message = application.message();
        application.proof = request.token.as_ref().map(|token| token.prove(&message));
        application
    }

    /// What the proof is about. Whoever hears it can use it for this very request only, which gives the same number.
    fn message(&self) -> Vec<u8> {
        let facts = (
            "zoogate admission",
            &self.name,
            &self.address,
            self.nonce,
            self.observer,
            self.replaces,
        );
        postcard::to_stdvec(&facts).expect("a growing buffer takes texts and numbers")
    }

    /// Whether whoever asks knows `token`, if there is one.
    pub(super) fn is_proven(&self, token: Option<&Secret>) -> bool {
        token.is_none_or(|token| {
            let proof = self.proof.as_deref().unwrap_or_default();
            token.proves(&self.message(), proof)
        })
    }
}

/// Has the leader, whoever that is, admit the node that asks.
///
/// # Errors
/// [`AdmissionRefusal`].
pub(super) async fn pass_on(
    ensemble: &Ensemble,
    application: &Application,
) -> Result<Number, AdmissionRefusal> {
    let inner = ensemble.inner();
    if !application.is_proven(inner.token.as_deref()) {
        tracing::warn!(name = %application.name, "refused a node that does not know the token");
        return Err(AdmissionRefusal::Token);
    }
    match leader_address(&inner.raft) {
        None => Err(AdmissionRefusal::NoLeader),
        Some((leader, _)) if leader == inner.me.member => {
            let granting = super::reconfig::grant(ensemble, application);
            let granted = timeout(RECONFIG_TIMEOUT, granting).await;
            granted.unwrap_or(Err(AdmissionRefusal::NoLeader))
        }
        Some((leader, address)) => {
            let mut link = Link::new(&inner.me, Some(leader), &address);
            let ask = Ask::Admit(application.clone());
            match link.ask(&ask, ADMISSION_ASK).await {
                Ok(Answer::Admission(answer)) => answer,
                Ok(_) | Err(_) => Err(AdmissionRefusal::NoLeader),
            }
        }
    }
}

/// Tells why a node waits: when the reason changes, and else rarely.
#[derive(Default)]
pub(super) struct News {
    told: HashMap<String, (String, Instant)>,
}

impl News {
    /// The reason now.
    pub(super) fn tell(&mut self, at: &str, why: &str) {
        let is_old =
            |(last, told): &(String, Instant)| *last == why && told.elapsed() < ADMISSION_NEWS;
        if !self.told.get(at).is_some_and(is_old) {
            tracing::warn!(at, reason = %why, "waiting to become a member");
            self.told.insert(at.into(), (why.into(), Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::peer::Transport;
    use crate::telemetry::Metrics;

    fn request(token: Option<&[u8]>) -> Request {
        Request {
            name: "n4".into(),
            address: "h:1".into(),
            observer: false,
            replaces: None,
            token: token.map(|token| Arc::new(Secret::new(token))),
        }
    }

    #[test]
    fn a_proof_is_for_one_request() {
        let token = Secret::new(b"correct horse battery");
        let application = Application::new(&request(Some(b"correct horse battery")), 7);
        assert!(application.is_proven(Some(&token)));
        assert!(application.is_proven(None));
        for changed in [
            Application {
                name: "n5".into(),
                ..application.clone()
            },
            Application {
                address: "x:1".into(),
                ..application.clone()
            },
            Application {
                nonce: 8,
                ..application.clone()
            },
            Application {
                proof: None,
                ..application.clone()
            },
        ] {
            assert!(!changed.is_proven(Some(&token)), "{changed:?}");
        }
        let without = Application::new(&request(None), 7);
        assert!(!without.is_proven(Some(&token)));
    }

    #[tokio::test]
    async fn a_number_that_was_settled_is_not_asked_for_again() {
        let dir = tempfile::tempdir().unwrap();
        let number = Number {
            ensemble: 5,
            member: 4,
        };
        let mut papers = Papers::open(dir.path()).unwrap();
        papers
            .change(|facts| facts.standing = Standing::Settled(number))
            .unwrap();
        // Nobody listens there.
        let contacts = ["127.0.0.1:1".to_owned()];
        let transport = Transport::new(None, Metrics::new("n4"));
        let me = Me::nobody(Arc::new(transport));
        let admitted = admit(&contacts, request(None), &me, dir.path());
        let admitted = admitted.await.unwrap();
        assert_eq!(admitted, number);
        let nobody = admit(&[], request(None), &me, dir.path()).await;
        assert!(matches!(nobody, Err(AdmissionError::NoContacts)));
    }
}
