//! How an exchange ended, in the two characters of HAProxy's logs: what ended it, and what was under way then.
//!
//! Source: HAProxy 2.6, configuration manual, section 8.5 ("Session state at disconnection").

use super::outcome::Outcome;

/// How far an exchange had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The client had not said yet what it wants.
    Request,
    /// It waited for an endpoint with room.
    Queue,
    /// It was being connected to an endpoint.
    Connect,
    /// It waited for the head of a response.
    Headers,
    /// Bytes went to and fro.
    Data,
}

impl Phase {
    fn letter(self) -> char {
        match self {
            Phase::Request => 'R',
            Phase::Queue => 'Q',
            Phase::Connect => 'C',
            Phase::Headers => 'H',
            Phase::Data => 'D',
        }
    }
}

impl Outcome {
    /// The two characters of an exchange that ended so in `phase`.
    pub fn termination(self, phase: Phase) -> [char; 2] {
        let what = match self {
            Outcome::Done => return ['-', '-'],
            Outcome::ClientReset | Outcome::ClientClosed => 'C',
            // It was for the client to say something.
            Outcome::HandshakeTimeout
            | Outcome::HeadTimeout
            | Outcome::IdleTimeout
            | Outcome::ClientLost => 'c',
            Outcome::NoEndpoints
            | Outcome::Unresolved
            | Outcome::ConnectRefused
            | Outcome::ConnectFailed
            | Outcome::UpstreamClosed
            | Outcome::UpstreamTruncated
            | Outcome::UpstreamReset => 'S',
            Outcome::ConnectTimeout
            | Outcome::ResponseTimeout
            | Outcome::QueueTimeout
            | Outcome::UpstreamLost => 's',
            Outcome::BadRequest
            | Outcome::MethodRefused
            | Outcome::ProxyRefused
            | Outcome::ProxyMalformed
            | Outcome::NotTls
            | Outcome::TlsHandshake
            | Outcome::SourceLimit
            | Outcome::NoRoute
            | Outcome::UpstreamProtocol => 'P',
            Outcome::QueueFull | Outcome::PortsExhausted | Outcome::Exhausted => 'R',
            // As when an operator of HAProxy ends a session.
            Outcome::Lifetime | Outcome::Stopped => 'K',
            // As when HAProxy finds a server down.
            Outcome::Drained => 'D',
        };
        [what, self.place(phase).letter()]
    }

    /// Where it was, which most outcomes say by themselves.
    fn place(self, phase: Phase) -> Phase {
        match self {
            Outcome::BadRequest
            | Outcome::MethodRefused
            | Outcome::ProxyRefused
            | Outcome::ProxyMalformed
            | Outcome::HandshakeTimeout
            | Outcome::NotTls
            | Outcome::TlsHandshake
            | Outcome::SourceLimit
            | Outcome::HeadTimeout
            | Outcome::NoRoute => Phase::Request,
            Outcome::QueueFull | Outcome::QueueTimeout => Phase::Queue,
            Outcome::NoEndpoints
            | Outcome::Unresolved
            | Outcome::ConnectRefused
            | Outcome::ConnectFailed
            | Outcome::ConnectTimeout
            | Outcome::PortsExhausted => Phase::Connect,
            Outcome::ResponseTimeout | Outcome::UpstreamProtocol | Outcome::UpstreamClosed => {
                Phase::Headers
            }
            Outcome::UpstreamTruncated => Phase::Data,
            Outcome::Done
            | Outcome::Exhausted
            | Outcome::UpstreamReset
            | Outcome::UpstreamLost
            | Outcome::ClientReset
            | Outcome::ClientClosed
            | Outcome::ClientLost
            | Outcome::IdleTimeout
            | Outcome::Lifetime
            | Outcome::Drained
            | Outcome::Stopped => phase,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_have_the_characters_that_haproxy_gives_them() {
        for (outcome, phase, expected) in [
            (Outcome::Done, Phase::Data, "--"),
            (Outcome::ClientReset, Phase::Data, "CD"),
            (Outcome::ClientClosed, Phase::Queue, "CQ"),
            (Outcome::ClientClosed, Phase::Connect, "CC"),
            (Outcome::IdleTimeout, Phase::Data, "cD"),
            (Outcome::HeadTimeout, Phase::Request, "cR"),
            (Outcome::ConnectRefused, Phase::Connect, "SC"),
            (Outcome::NoEndpoints, Phase::Queue, "SC"),
            (Outcome::ConnectTimeout, Phase::Connect, "sC"),
            (Outcome::QueueTimeout, Phase::Queue, "sQ"),
            (Outcome::UpstreamReset, Phase::Data, "SD"),
            (Outcome::UpstreamLost, Phase::Data, "sD"),
            (Outcome::ClientLost, Phase::Data, "cD"),
            (Outcome::TlsHandshake, Phase::Request, "PR"),
            (Outcome::UpstreamClosed, Phase::Headers, "SH"),
            (Outcome::ResponseTimeout, Phase::Headers, "sH"),
            (Outcome::UpstreamProtocol, Phase::Headers, "PH"),
            (Outcome::SourceLimit, Phase::Request, "PR"),
            (Outcome::PortsExhausted, Phase::Connect, "RC"),
            (Outcome::Drained, Phase::Data, "DD"),
            (Outcome::Stopped, Phase::Data, "KD"),
        ] {
            let got: String = outcome.termination(phase).iter().collect();
            assert_eq!(got, expected, "{outcome:?} {phase:?}");
        }
    }
}
