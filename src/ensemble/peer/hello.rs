//! The greeting: both sides make sure they speak to whom they mean before anything else is said.

use super::frame::Framed;
use super::link::LinkError;
use crate::ensemble::limits::HELLO_TIMEOUT;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Version of everything members say to each other. A member refuses another version by name.
const PROTOCOL: u16 = 2;
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
}

/// Who this member is, for greetings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ensemble) struct Me {
    /// Fingerprint of the ensemble.
    pub(in crate::ensemble) ensemble: u64,
    /// This member's number.
    pub(in crate::ensemble) member: u64,
}

#[derive(Serialize, Deserialize)]
struct Hello {
    magic: u32,
    protocol: u16,
    ensemble: u64,
    from: u64,
    to: Option<u64>,
    purpose: Purpose,
}

/// Why a greeting was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub(in crate::ensemble) enum Refusal {
    /// Other version.
    #[error("it speaks protocol version {0}, this member speaks {PROTOCOL}")]
    Protocol(u16),
    /// Other ensemble.
    #[error("it belongs to another ensemble: its list of members has other names")]
    Ensemble,
    /// Other member.
    #[error("it is member {0}, not the one meant; check the addresses in [ensemble] members")]
    Member(u64),
}

/// Dials `address` and greets member `to` (any member when `None`).
///
/// # Errors
/// [`LinkError`] with the address.
pub(super) async fn dial(
    address: &str,
    me: Me,
    to: Option<u64>,
    purpose: Purpose,
) -> Result<Framed, LinkError> {
    let attempt = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut framed = Framed::new(stream);
        let hello = Hello {
            magic: MAGIC,
            protocol: PROTOCOL,
            ensemble: me.ensemble,
            from: me.member,
            to,
            purpose,
        };
        framed.writer.send(&hello).await?;
        let welcome: Result<(), Refusal> = framed.reader.message().await?;
        Ok::<_, io::Error>((framed, welcome))
    };
    let io_error = |source| LinkError::Io {
        address: address.into(),
        source,
    };
    match timeout(HELLO_TIMEOUT, attempt).await {
        Ok(Ok((framed, Ok(())))) => Ok(framed),
        Ok(Ok((_, Err(refusal)))) => Err(LinkError::Refused {
            address: address.into(),
            refusal,
        }),
        Ok(Err(source)) => Err(io_error(source)),
        Err(_) => Err(io_error(io::ErrorKind::TimedOut.into())),
    }
}

/// Hears the greeting on an accepted connection and answers it. `None` when the other side was refused.
///
/// # Errors
/// When the greeting does not come in time or is none.
pub(super) async fn accept(
    stream: TcpStream,
    me: Me,
) -> io::Result<Option<(Framed, Purpose, u64)>> {
    stream.set_nodelay(true)?;
    let mut framed = Framed::new(stream);
    let hello: Hello = timeout(HELLO_TIMEOUT, framed.reader.message()).await??;
    if hello.magic != MAGIC {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a greeting between members",
        ));
    }
    let verdict = if hello.protocol != PROTOCOL {
        Err(Refusal::Protocol(PROTOCOL))
    } else if hello.ensemble != me.ensemble {
        Err(Refusal::Ensemble)
    } else if hello.to.is_some_and(|to| to != me.member) {
        Err(Refusal::Member(me.member))
    } else {
        Ok(())
    };
    framed.writer.send(&verdict).await?;
    Ok(verdict
        .is_ok()
        .then_some((framed, hello.purpose, hello.from)))
}
