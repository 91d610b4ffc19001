//! The greeting: both sides make sure they speak to whom they mean before anything else is said.
//!
//! ```text
//!   dialler:  Hello { magic, newest and oldest version spoken, ensemble, from, to, purpose, start }
//!   listener: Welcome { version, start, end of its log }, or a Refusal
//! ```
//! Both speak the newest version that both know, so that members of neighbouring releases work together while one
//! after the other is replaced, in either direction. The fields of both messages keep their order for ever, and new ones
//! are added at the end: who does not know them leaves them unread.

use super::frame::Framed;
use super::link::LinkError;
use super::transport::Transport;
use crate::ensemble::limits::HELLO_TIMEOUT;
use crate::net::{TcpStream, TlsFailure};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use tokio::time::timeout;

/// Version of everything members say to each other.
const PROTOCOL: u16 = 3;
/// The oldest version that this program still speaks: that of the release before. Who speaks only older or
/// newer ones is refused by name.
const OLDEST: u16 = 3;
/// First field of a greeting: tells a member from a stray client at once.
const MAGIC: u32 = 0x5a47_5250;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Requests and replies, one at a time.
    Control,
    /// Log replication.
    Append,
    /// Proposals for the leader.
    Forward,
    /// A snapshot file.
    Snapshot,
    /// A snapshot file for the member that dials, which asks for it.
    Supply,
    /// Questions of a node that is no member, or is not sure that it still is one.
    Inquiry,
}

/// Who this member is, for greetings, and how it reaches others.
#[derive(Clone)]
pub(in crate::ensemble) struct Me {
    /// The ensemble's id; 0 before it is known.
    pub(in crate::ensemble) ensemble: u64,
    /// This member's number; 0 before it is known.
    pub(in crate::ensemble) member: u64,
    /// How often it was started.
    pub(in crate::ensemble) boots: u64,
    /// What it drew at this start.
    pub(in crate::ensemble) boot: u64,
    /// What its connections run over.
    pub(in crate::ensemble) transport: Arc<Transport>,
}

impl Me {
    /// A node that is no member.
    pub(in crate::ensemble) fn nobody(transport: Arc<Transport>) -> Me {
        Me {
            ensemble: 0,
            member: 0,
            boots: 0,
            boot: 0,
            transport,
        }
    }
}

impl fmt::Debug for Me {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "member {} of {:x}", self.member, self.ensemble)
    }
}

/// Who the other side says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ensemble) struct Caller {
    /// Its number.
    pub(in crate::ensemble) member: u64,
    /// How often it was started.
    pub(in crate::ensemble) boots: u64,
    /// What it drew at that.
    pub(in crate::ensemble) boot: u64,
}

#[derive(Clone, Serialize, Deserialize)]
struct Hello {
    magic: u32,
    protocol: u16,
    oldest: u16,
    ensemble: u64,
    from: u64,
    to: Option<u64>,
    purpose: Purpose,
    boots: u64,
    boot: u64,
}

/// The answer to a greeting that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::ensemble) struct Welcome {
    /// The version that both speak.
    protocol: u16,
    member: u64,
    boots: u64,
    boot: u64,
    /// Where its log ends.
    pub(in crate::ensemble) last: Option<u64>,
}

impl Welcome {
    /// Who gave it.
    pub(in crate::ensemble) fn host(&self) -> Caller {
        Caller {
            member: self.member,
            boots: self.boots,
            boot: self.boot,
        }
    }
}

/// Why a greeting was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(in crate::ensemble) enum Refusal {
    /// Other versions.
    #[error("it speaks protocol versions {0} to {1}, this member speaks {OLDEST} to {PROTOCOL}")]
    Protocol(u16, u16),
    /// Other ensemble.
    #[error("it belongs to another ensemble")]
    Ensemble,
    /// Other member.
    #[error("it is member {0}, not the one meant; check the addresses in [ensemble] members")]
    Member(u64),
    /// Other name.
    #[error(
        "member {number} is called {known:?} there, and the certificate of this node is {shown:?}'s"
    )]
    Name {
        /// The number in the greeting.
        number: u64,
        /// Whose number it is.
        known: String,
        /// Whose certificate was shown.
        shown: String,
    },
    /// It speaks TLS.
    #[error("it speaks TLS only, and this member does not: set [ensemble.tls] on every member")]
    Tls,
    /// It does not speak TLS.
    #[error("it does not speak TLS, and this member does: set [ensemble.tls] on every member")]
    Plain,
    /// It has no number yet, or is not sure of it.
    #[error("it does not take part yet")]
    NotReady,
    /// That member was removed.
    #[error("member {0} was removed from the ensemble")]
    Removed(u64),
    /// That member was started later than it says, or has lost what it acknowledged.
    #[error("member {0} runs from an older copy of its disk")]
    Outdated(u64),
}

/// A connection that was greeted.
pub(super) struct Greeted {
    /// What is spoken.
    pub(super) framed: Framed,
    /// What for.
    pub(super) purpose: Purpose,
    /// The other member's number.
    pub(super) from: u64,
    /// The name in its certificate; `None` without TLS.
    pub(super) name: Option<String>,
}

/// Dials `address` and greets member `to` (any member when `None`).
///
/// # Errors
/// [`LinkError`] with the address.
pub(super) async fn dial(
    address: &str,
    me: &Me,
    to: Option<u64>,
    purpose: Purpose,
) -> Result<(Framed, Welcome), LinkError> {
    let attempt = async {
        let mut framed = me.transport.dial(address, to).await?;
        let hello = Hello {
            magic: MAGIC,
            protocol: PROTOCOL,
            oldest: OLDEST,
            ensemble: me.ensemble,
            from: me.member,
            to,
            purpose,
            boots: me.boots,
            boot: me.boot,
        };
        framed.writer.send(&hello).await?;
        let welcome: Result<Welcome, Refusal> = framed.reader.message().await?;
        Ok::<_, io::Error>((framed, welcome))
    };
    let io_error = |source| LinkError::Io {
        address: address.into(),
        source,
    };
    match timeout(HELLO_TIMEOUT, attempt).await {
        Ok(Ok((framed, Ok(welcome)))) => Ok((framed, welcome)),
        Ok(Ok((_, Err(refusal)))) => Err(LinkError::Refused {
            address: address.into(),
            refusal,
        }),
        Ok(Err(source)) => Err(io_error(source)),
        Err(_) => Err(io_error(io::ErrorKind::TimedOut.into())),
    }
}

/// Hears the greeting on an accepted connection and answers it; `last` is where this member's log ends, and `judge`
/// says whether a member may be talked to. `None` when the other side was refused.
///
/// # Errors
/// When the greeting does not come in time or is none.
pub(super) async fn accept(
    stream: TcpStream,
    me: &Me,
    last: Option<u64>,
    judge: impl Fn(&Caller) -> Result<(), Refusal>,
) -> io::Result<Option<Greeted>> {
    let greeting = async {
        let (mut framed, name) = me.transport.open(stream).await?;
        let hello: Hello = framed.reader.message().await?;
        Ok::<_, io::Error>((framed, name, hello))
    };
    let (mut framed, name, hello) = match timeout(HELLO_TIMEOUT, greeting).await {
        Ok(greeting) => greeting?,
        Err(late) => {
            me.transport.failed(TlsFailure::TimedOut);
            return Err(late.into());
        }
    };
    if hello.magic != MAGIC {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a greeting between members",
        ));
    }
    let verdict = verdict(&hello, me, judge);
    let verdict = verdict.and_then(|protocol| {
        // A node that is no member has no number that its name could belie.
        if hello.purpose != Purpose::Inquiry {
            me.transport.check_caller(hello.from, name.as_deref())?;
        }
        Ok(protocol)
    });
    let verdict = verdict.map(|protocol| Welcome {
        protocol,
        member: me.member,
        boots: me.boots,
        boot: me.boot,
        last,
    });
    framed.writer.send(&verdict).await?;
    Ok(verdict.is_ok().then_some(Greeted {
        framed,
        purpose: hello.purpose,
        from: hello.from,
        name,
    }))
}

/// The version to speak, or why not.
fn verdict(
    hello: &Hello,
    me: &Me,
    judge: impl Fn(&Caller) -> Result<(), Refusal>,
) -> Result<u16, Refusal> {
    let protocol = common(OLDEST..=PROTOCOL, hello.oldest..=hello.protocol)
        .ok_or(Refusal::Protocol(OLDEST, PROTOCOL))?;
    if hello.purpose == Purpose::Inquiry {
        return Ok(protocol);
    }
    if me.ensemble == 0 {
        return Err(Refusal::NotReady);
    }
    if hello.ensemble != me.ensemble {
        return Err(Refusal::Ensemble);
    }
    if hello.to.is_some_and(|to| to != me.member) {
        return Err(Refusal::Member(me.member));
    }
    judge(&Caller {
        member: hello.from,
        boots: hello.boots,
        boot: hello.boot,
    })?;
    Ok(protocol)
}

/// The newest version in both.
fn common(mine: RangeInclusive<u16>, theirs: RangeInclusive<u16>) -> Option<u16> {
    let newest = *mine.end().min(theirs.end());
    (newest >= *mine.start() && newest >= *theirs.start()).then_some(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    fn me() -> Me {
        let transport = Transport::new(None, Metrics::new("n1"));
        Me {
            ensemble: 7,
            member: 1,
            ..Me::nobody(Arc::new(transport))
        }
    }

    fn hello() -> Hello {
        Hello {
            magic: MAGIC,
            protocol: PROTOCOL,
            oldest: OLDEST,
            ensemble: 7,
            from: 2,
            to: Some(1),
            purpose: Purpose::Append,
            boots: 1,
            boot: 1,
        }
    }

    #[test]
    fn neighbouring_releases_speak_the_newest_version_that_both_know() {
        for (mine, theirs, expected) in [
            (2..=3, 2..=3, Some(3)),
            (2..=3, 1..=2, Some(2)),
            (1..=2, 2..=3, Some(2)),
            (3..=4, 1..=2, None),
            (1..=2, 3..=4, None),
        ] {
            assert_eq!(common(mine, theirs), expected);
        }
    }

    #[test]
    fn a_newer_member_that_still_speaks_this_version_is_welcome() {
        let newer = Hello {
            protocol: PROTOCOL + 1,
            ..hello()
        };
        assert_eq!(verdict(&newer, &me(), |_| Ok(())), Ok(PROTOCOL));
        let too_new = Hello {
            protocol: PROTOCOL + 2,
            oldest: PROTOCOL + 1,
            ..hello()
        };
        let refused = verdict(&too_new, &me(), |_| Ok(()));
        assert_eq!(refused, Err(Refusal::Protocol(OLDEST, PROTOCOL)));
    }

    #[test]
    fn fields_of_a_later_version_are_left_unread() {
        let mut bytes = postcard::to_stdvec(&hello()).unwrap();
        bytes.extend([1, 2, 3]);
        let read: Hello = super::super::frame::decode(&bytes).unwrap();
        assert_eq!((read.from, read.boot), (2, 1));
    }

    #[test]
    fn who_is_refused_is_told_why() {
        let judged = |hello: &Hello| verdict(hello, &me(), |_| Err(Refusal::Removed(2)));
        assert_eq!(judged(&hello()), Err(Refusal::Removed(2)));
        let stranger = Hello {
            ensemble: 8,
            ..hello()
        };
        assert_eq!(judged(&stranger), Err(Refusal::Ensemble));
        let misled = Hello {
            to: Some(3),
            ..hello()
        };
        assert_eq!(judged(&misled), Err(Refusal::Member(1)));
        let node = Hello {
            purpose: Purpose::Inquiry,
            ensemble: 0,
            ..hello()
        };
        assert_eq!(judged(&node), Ok(PROTOCOL));
        let early = verdict(&hello(), &Me::nobody(me().transport), |_| Ok(()));
        assert_eq!(early, Err(Refusal::NotReady));
    }
}
