//! What a connection between members runs over: TCP, or TLS over TCP, and who is at its other end.
//!
//! ```text
//! dialling    connect -> [TLS: the certificate of the member meant] -> frames
//! accepting   first byte 0x16? -> [TLS: a node's certificate]       -> frames, the node's name
//! ```
//! A TLS handshake begins with byte 22, a greeting with the length of a small frame, so with byte 0: each side sees at
//! once that the other one is configured differently, and says so in a plain frame, which the other understands or at
//! least tells from TLS.
//!
//! Members dial each other by number, and a certificate has a name. The name of a number is what the membership says,
//! or else what was heard from the list of voters or when the way was made.

use super::frame::Framed;
use super::hello::Refusal;
use crate::ensemble::types::Types;
use crate::net::{PeerTls, TcpStream, TlsFailure};
use crate::telemetry::Metrics;
use openraft::alias::WatchReceiverOf;
use openraft::async_runtime::WatchReceiver;
use openraft::metrics::RaftServerMetrics;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock};

/// First byte of a TLS handshake: the content type of its record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// The value of the label `listener` in metrics.
const LISTENER: &str = "ensemble";

/// Names that were heard besides those in the membership, at most; the lowest numbers are forgotten first.
const HEARD: usize = 1024;

/// How this member's connections to others are made.
pub(in crate::ensemble) struct Transport {
    tls: Option<Arc<PeerTls>>,
    metrics: Arc<Metrics>,
    heard: Mutex<BTreeMap<u64, String>>,
    facts: OnceLock<WatchReceiverOf<Types, RaftServerMetrics<Types>>>,
}

/// A connection, and the name in the certificate at its other end, if it has one.
pub(super) type Opened = (Framed, Option<String>);

impl Transport {
    /// With TLS, if there is a certificate for it.
    pub(in crate::ensemble) fn new(tls: Option<Arc<PeerTls>>, metrics: Arc<Metrics>) -> Transport {
        Transport {
            tls,
            metrics,
            heard: Mutex::default(),
            facts: OnceLock::new(),
        }
    }

    /// From now on the membership tells who has which number.
    pub(in crate::ensemble) fn follow(
        &self,
        facts: WatchReceiverOf<Types, RaftServerMetrics<Types>>,
    ) {
        // A second time would be for the same Raft.
        let _ = self.facts.set(facts);
    }

    /// Member `number` is called `name`, unless the membership says otherwise.
    pub(in crate::ensemble) fn hear(&self, number: u64, name: &str) {
        let mut heard = self.heard.lock();
        heard.insert(number, name.to_owned());
        if heard.len() > HEARD {
            heard.pop_first();
        }
    }

    /// What member `number` is called.
    pub(super) fn name_of(&self, number: u64) -> Option<String> {
        let in_membership = self.facts.get().and_then(|facts| {
            let facts = facts.borrow_watched();
            let membership = facts.membership_config.membership();
            membership.get_node(&number).map(|node| node.name.clone())
        });
        in_membership.or_else(|| self.heard.lock().get(&number).cloned())
    }

    /// Connects to `address`, where member `to` should be, or anybody.
    ///
    /// # Errors
    /// The socket's, among them `ConnectionRefused` when nothing listens there, or those of the handshake.
    pub(super) async fn dial(&self, address: &str, to: Option<u64>) -> io::Result<Framed> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Framed::plain(stream));
        };
        let expected = match to {
            None => None,
            Some(to) => Some(self.name_of(to).ok_or_else(|| unnamed(to))?),
        };
        match tls.connect(stream, expected.as_deref()).await {
            Ok((stream, _)) => Ok(Framed::secure(stream)),
            Err(error) => {
                let failure = TlsFailure::of(&error);
                self.failed(failure);
                Err(match failure {
                    TlsFailure::NotTls => io::Error::new(
                        io::ErrorKind::InvalidData,
                        "the other side does not speak TLS, and this one does: set [ensemble.tls] on every member",
                    ),
                    _ => error,
                })
            }
        }
    }

    /// Makes frames of a connection that was accepted.
    ///
    /// # Errors
    /// When it is not what it should be: the other side has been told as far as it can understand.
    pub(super) async fn open(&self, mut stream: TcpStream) -> io::Result<Opened> {
        stream.set_nodelay(true)?;
        let speaks_tls = first_byte(&mut stream).await? == Some(HANDSHAKE);
        match (&self.tls, speaks_tls) {
            (None, false) => Ok((Framed::plain(stream), None)),
            (Some(tls), true) => {
                let accepted = tls.accept(stream).await;
                let (stream, name) =
                    accepted.inspect_err(|error| self.failed(TlsFailure::of(error)))?;
                Ok((Framed::secure(stream), Some(name)))
            }
            (None, true) => Err(self.tell(stream, TlsFailure::Tls, Refusal::Plain).await),
            (Some(_), false) => Err(self.tell(stream, TlsFailure::NotTls, Refusal::Tls).await),
        }
    }

    /// Tells the other side in a plain frame why this one does not talk to it.
    async fn tell(&self, stream: TcpStream, failure: TlsFailure, refusal: Refusal) -> io::Error {
        self.failed(failure);
        let mut framed = Framed::plain(stream);
        // It may not listen; then it learns from the end of the connection.
        let _ = framed.writer.send(&Err::<(), Refusal>(refusal)).await;
        // What it has sent must be read, or the end is a reset, which overtakes the answer.
        framed.reader.drain().await;
        let what = match failure {
            TlsFailure::Tls => "the other side speaks TLS, and this one does not",
            _ => "the other side does not speak TLS, and this one does",
        };
        let what = format!("{what}: set [ensemble.tls] on every member");
        io::Error::new(io::ErrorKind::InvalidData, what)
    }

    /// Counts a handshake that failed.
    pub(super) fn failed(&self, failure: TlsFailure) {
        self.metrics.tls.failed(LISTENER, failure.as_str());
    }

    /// Whether member `number` may be at the other end of a connection whose certificate names `shown`. A number that
    /// nobody has heard of passes: a member that was away does not know those who came meanwhile, and must hear them.
    ///
    /// # Errors
    /// [`Refusal::Name`].
    pub(super) fn check_caller(&self, number: u64, shown: Option<&str>) -> Result<(), Refusal> {
        let Some(shown) = shown else { return Ok(()) };
        match self.name_of(number) {
            Some(known) if known != shown => {
                self.failed(TlsFailure::WrongNode);
                Err(Refusal::Name {
                    number,
                    known,
                    shown: shown.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

fn unnamed(number: u64) -> io::Error {
    let what =
        format!("nobody knows what member {number} is called, which its certificate must say");
    io::Error::other(what)
}

/// The first byte that the other side sends, which stays to be read; `None` at the end of the connection.
async fn first_byte(stream: &mut TcpStream) -> io::Result<Option<u8>> {
    let mut first = [0];
    let count = stream.peek(&mut first).await?;
    Ok((count > 0).then_some(first[0]))
}
