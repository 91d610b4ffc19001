//! Options of sockets that carry traffic.

use std::time::Duration;

/// Whether a silent connection is probed, so that a peer that is gone without a word is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keepalive {
    /// It is not.
    Off,
    /// It is: lost after `idle` and `probes` times `interval` without a sign of life.
    Probes {
        /// Silence before the first probe; whole seconds.
        idle: Duration,
        /// Time between probes; whole seconds.
        interval: Duration,
        /// Probes without an answer before the connection is given up.
        probes: u32,
    },
}

impl Default for Keepalive {
    /// Two minutes. Shorter costs a packet each way per connection and probe.
    fn default() -> Keepalive {
        Keepalive::Probes {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(10),
            probes: 6,
        }
    }
}

/// Options of a listener's socket and of its clients' connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenerSocket {
    /// Connections the kernel completes ahead of us, per worker; it lowers it to `net.core.somaxconn`.
    pub backlog: u32,
    /// Whether silent clients are probed.
    pub keepalive: Keepalive,
    /// How long sent bytes may stay unacknowledged, or a closed window closed; zero leaves it to the kernel.
    pub user_timeout: Duration,
    /// Bytes the kernel may hold of what a client sent; 0 lets it adapt.
    pub receive_buffer: usize,
    /// Bytes the kernel may hold of what a client has not taken; 0 lets it adapt.
    pub send_buffer: usize,
}

impl Default for ListenerSocket {
    fn default() -> ListenerSocket {
        ListenerSocket {
            backlog: 4096,
            keepalive: Keepalive::default(),
            user_timeout: Duration::ZERO,
            receive_buffer: 0,
            send_buffer: 0,
        }
    }
}
