//! How an exchange can end: a closed list, and what each end means to the client, to a log and to a metric.

use crate::balance::PickError;
use crate::upstream::DialError;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Both sides said all they had to say.
    Done,
    /// The request cannot be forwarded without guessing what it means.
    BadRequest,
    /// The request's method needs a forward proxy.
    MethodRefused,
    /// Who connects is not among the proxies that may.
    ProxyRefused,
    /// The connection does not begin with a right PROXY header.
    ProxyMalformed,
    /// What comes before the client's own bytes took too long.
    HandshakeTimeout,
    /// What comes is not the beginning of TLS.
    NotTls,
    /// Its source has as many connections as it may have.
    SourceLimit,
    /// There was no agreement with the client on TLS.
    TlsHandshake,
    /// No rule of the listener matches.
    NoRoute,
    /// The service has no endpoint that gets traffic.
    NoEndpoints,
    /// Every endpoint is full, and as many wait as may.
    QueueFull,
    /// Every endpoint was full for too long.
    QueueTimeout,
    /// The endpoint's host name does not resolve.
    Unresolved,
    /// The endpoint refuses connections.
    ConnectRefused,
    /// The endpoint cannot be reached.
    ConnectFailed,
    /// The endpoint does not answer in time.
    ConnectTimeout,
    /// No source port is left towards the endpoint, or no source address.
    PortsExhausted,
    /// This node has no descriptor left.
    Exhausted,
    /// The head of the response did not come in time.
    ResponseTimeout,
    /// What the endpoint answered is not HTTP.
    UpstreamProtocol,
    /// The endpoint closed the connection before the head of its response.
    UpstreamClosed,
    /// The endpoint broke off in the middle of its response.
    UpstreamTruncated,
    /// The endpoint reset the connection.
    UpstreamReset,
    /// The endpoint, or the way to it, is gone without a word: it no longer answers the kernel.
    UpstreamLost,
    /// The client reset the connection.
    ClientReset,
    /// The client, or the way to it, is gone without a word: it no longer answers the kernel.
    ClientLost,
    /// The client went away, or stopped in the middle of its request.
    ClientClosed,
    /// The client took too long to send the head of a request.
    HeadTimeout,
    /// Nothing was said for too long.
    IdleTimeout,
    /// The connection has reached the age it may have.
    Lifetime,
    /// The endpoint was removed or drained, and the time to finish was up.
    Drained,
    /// This node is stopping, and the time to finish was up.
    Stopped,
}

/// Who is to be asked about an [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Nobody: all went well.
    Neither,
    /// Who connects to us.
    Client,
    /// What is behind us.
    Upstream,
    /// This node or its settings.
    Us,
}

impl Side {
    /// The word in access lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Neither => "neither",
            Side::Client => "client",
            Side::Upstream => "upstream",
            Side::Us => "us",
        }
    }
}

impl Outcome {
    /// The name in logs, in metric labels and in the `x-zoogate-reason` header. A published interface.
    pub fn reason(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::BadRequest => "bad-request",
            Outcome::MethodRefused => "method-refused",
            Outcome::ProxyRefused => "proxy-refused",
            Outcome::ProxyMalformed => "proxy-malformed",
            Outcome::HandshakeTimeout => "handshake-timeout",
            Outcome::NotTls => "not-tls",
            Outcome::SourceLimit => "source-limit",
            Outcome::TlsHandshake => "tls-handshake",
            Outcome::NoRoute => "no-route",
            Outcome::NoEndpoints => "no-endpoints",
            Outcome::QueueFull => "queue-full",
            Outcome::QueueTimeout => "queue-timeout",
            Outcome::Unresolved => "unresolved",
            Outcome::ConnectRefused => "connect-refused",
            Outcome::ConnectFailed => "connect-failed",
            Outcome::ConnectTimeout => "connect-timeout",
            Outcome::PortsExhausted => "ports-exhausted",
            Outcome::Exhausted => "exhausted",
            Outcome::ResponseTimeout => "response-timeout",
            Outcome::UpstreamProtocol => "upstream-protocol",
            Outcome::UpstreamClosed => "upstream-closed",
            Outcome::UpstreamTruncated => "upstream-truncated",
            Outcome::UpstreamReset => "upstream-reset",
            Outcome::UpstreamLost => "upstream-lost",
            Outcome::ClientReset => "client-reset",
            Outcome::ClientLost => "client-lost",
            Outcome::ClientClosed => "client-closed",
            Outcome::HeadTimeout => "head-timeout",
            Outcome::IdleTimeout => "idle-timeout",
            Outcome::Lifetime => "lifetime",
            Outcome::Drained => "drained",
            Outcome::Stopped => "stopped",
        }
    }

    /// The status a client gets when the exchange ends so before the head of a response.
    pub fn status(self) -> u16 {
        match self {
            Outcome::Done => 200,
            Outcome::BadRequest
            | Outcome::ProxyRefused
            | Outcome::ProxyMalformed
            | Outcome::NotTls
            | Outcome::TlsHandshake
            | Outcome::ClientReset
            | Outcome::ClientLost
            | Outcome::ClientClosed => 400,
            Outcome::SourceLimit => 429,
            Outcome::NoRoute => 404,
            Outcome::MethodRefused => 405,
            Outcome::HandshakeTimeout | Outcome::HeadTimeout | Outcome::IdleTimeout => 408,
            Outcome::Unresolved
            | Outcome::ConnectRefused
            | Outcome::ConnectFailed
            | Outcome::UpstreamProtocol
            | Outcome::UpstreamClosed
            | Outcome::UpstreamTruncated
            | Outcome::UpstreamReset
            | Outcome::UpstreamLost => 502,
            Outcome::NoEndpoints
            | Outcome::PortsExhausted
            | Outcome::QueueFull
            | Outcome::QueueTimeout
            | Outcome::Exhausted
            | Outcome::Lifetime
            | Outcome::Drained
            | Outcome::Stopped => 503,
            Outcome::ConnectTimeout | Outcome::ResponseTimeout => 504,
        }
    }

    /// One line for the person who reads the response.
    pub fn explanation(self) -> &'static str {
        match self {
            Outcome::Done => "all went well",
            Outcome::BadRequest => "the request is malformed or ambiguous",
            Outcome::MethodRefused => "this is a reverse proxy; CONNECT is not served",
            Outcome::ProxyRefused => "only proxies in accept_proxy may connect",
            Outcome::ProxyMalformed => "the connection does not begin with a valid PROXY header",
            Outcome::HandshakeTimeout => "what comes before the client's own bytes took too long",
            Outcome::NotTls => "the connection does not begin with a valid ClientHello",
            Outcome::SourceLimit => "too many connections from this address",
            Outcome::TlsHandshake => "the TLS handshake with the client failed",
            Outcome::NoRoute => "no rule matches this host and path",
            Outcome::NoEndpoints => "the service has no endpoint that gets traffic",
            Outcome::QueueFull => "every endpoint of the service is full, and so is its queue",
            Outcome::QueueTimeout => "every endpoint of the service was full for too long",
            Outcome::Unresolved => "the endpoint's name does not resolve",
            Outcome::ConnectRefused => "the endpoint refuses connections",
            Outcome::ConnectFailed => "the endpoint cannot be reached",
            Outcome::ConnectTimeout => "the endpoint does not accept connections in time",
            Outcome::PortsExhausted => "no source port is left towards the endpoint",
            Outcome::Exhausted => "no descriptors left for another connection",
            Outcome::ResponseTimeout => "the endpoint does not respond in time",
            Outcome::UpstreamProtocol => "the endpoint's answer is not valid HTTP",
            Outcome::UpstreamClosed => "the endpoint closed the connection without a response",
            Outcome::UpstreamTruncated => "the endpoint broke off its response",
            Outcome::UpstreamReset => "the endpoint reset the connection",
            Outcome::UpstreamLost => "the endpoint has vanished",
            Outcome::ClientReset => "the client reset the connection",
            Outcome::ClientLost => "the client has vanished",
            Outcome::ClientClosed => "the client went away",
            Outcome::HeadTimeout => "the request's head took too long",
            Outcome::IdleTimeout => "nothing was said for too long",
            Outcome::Lifetime => "the connection has reached its greatest age",
            Outcome::Drained => "the endpoint was removed",
            Outcome::Stopped => "this node is stopping",
        }
    }

    /// Who is to be asked about it.
    pub fn side(self) -> Side {
        match self {
            Outcome::Done | Outcome::Lifetime => Side::Neither,
            Outcome::BadRequest
            | Outcome::MethodRefused
            | Outcome::ProxyRefused
            | Outcome::ProxyMalformed
            | Outcome::HandshakeTimeout
            | Outcome::NotTls
            | Outcome::SourceLimit
            | Outcome::TlsHandshake
            | Outcome::ClientReset
            | Outcome::ClientLost
            | Outcome::ClientClosed
            | Outcome::HeadTimeout
            | Outcome::IdleTimeout => Side::Client,
            Outcome::Unresolved
            | Outcome::ConnectRefused
            | Outcome::ConnectFailed
            | Outcome::ConnectTimeout
            | Outcome::ResponseTimeout
            | Outcome::UpstreamProtocol
            | Outcome::UpstreamClosed
            | Outcome::UpstreamTruncated
            | Outcome::UpstreamReset
            | Outcome::UpstreamLost => Side::Upstream,
            Outcome::NoRoute
            | Outcome::NoEndpoints
            | Outcome::PortsExhausted
            | Outcome::QueueFull
            | Outcome::QueueTimeout
            | Outcome::Exhausted
            | Outcome::Drained
            | Outcome::Stopped => Side::Us,
        }
    }
}

impl From<&DialError> for Outcome {
    fn from(error: &DialError) -> Outcome {
        match error {
            DialError::Unresolved { .. } => Outcome::Unresolved,
            DialError::Refused { .. } => Outcome::ConnectRefused,
            DialError::Unreachable { .. } => Outcome::ConnectFailed,
            DialError::TimedOut { .. } => Outcome::ConnectTimeout,
            DialError::PortsExhausted { .. } | DialError::SourceLost { .. } => {
                Outcome::PortsExhausted
            }
            DialError::Exhausted { .. } => Outcome::Exhausted,
        }
    }
}

impl From<PickError> for Outcome {
    fn from(error: PickError) -> Outcome {
        match error {
            PickError::NoEndpoints | PickError::AllTried => Outcome::NoEndpoints,
            PickError::AllFull => Outcome::QueueFull,
        }
    }
}
