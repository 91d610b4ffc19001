//! What can be set about the health of a service's endpoints.

use std::time::Duration;

/// An active check: how an endpoint is probed, and how many probes decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What a probe does.
    pub probe: Probe,
    /// Where it connects, if not to the endpoint's own port.
    pub port: Option<u16>,
    /// From the beginning of one probe to that of the next.
    pub interval: Duration,
    /// Longest time of one probe; at most the interval.
    pub timeout: Duration,
    /// By how much each interval is longer or shorter at random, in hundredths of it, so that the probes of many
    /// nodes spread.
    pub jitter: u16,
    /// Probes in a row that must pass before an unhealthy endpoint is healthy.
    pub rise: u32,
    /// Probes in a row that must fail before a healthy endpoint is unhealthy.
    pub fall: u32,
}

/// What one probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Connects.
    Tcp,
    /// Connects and does a TLS handshake. What certificate is shown does not matter.
    Tls {
        /// The name asked for; the endpoint's host if absent.
        host: Option<String>,
    },
    /// Sends a GET by HTTP/1.1 and looks at the status.
    Http {
        /// The path, with its query.
        path: String,
        /// The `Host` header; the endpoint's address if absent.
        host: Option<String>,
        /// Lowest status that passes.
        lowest: u16,
        /// Highest status that passes.
        highest: u16,
    },
    /// Sends a text, if any, and waits for another.
    Expect {
        /// What is sent; may be empty.
        send: String,
        /// What must be among the first bytes of the answer.
        expect: String,
    },
}

impl Check {
    /// A probe as often and as patiently as when nothing is set.
    pub fn new(probe: Probe) -> Check {
        Check {
            probe,
            port: None,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            jitter: 10,
            rise: 2,
            fall: 3,
        }
    }
}

/// When an endpoint whose exchanges fail gets no traffic for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// Failures in a row after which it is ejected; 0 for never.
    pub consecutive: u32,
    /// How long the first ejection lasts, and by how much each further one is longer.
    pub eject: Duration,
    /// How long one lasts at most, unless `eject` is longer.
    pub max_eject: Duration,
    /// Which share of a service's endpoints is ejected at most, in hundredths.
    pub max_ejected: u16,
    /// By how many standard deviations, in hundredths, its success rate must be below the mean of all; 0 for never.
    pub success_rate: u16,
    /// Over how long success rates are counted.
    pub interval: Duration,
    /// Exchanges that an endpoint must have in it to be compared.
    pub min_requests: u32,
    /// Endpoints that must have so many before any is compared.
    pub min_endpoints: u32,
}

impl Default for Outlier {
    fn default() -> Outlier {
        Outlier {
            consecutive: 5,
            eject: Duration::from_secs(30),
            max_eject: Duration::from_secs(300),
            max_ejected: 50,
            success_rate: 0,
            interval: Duration::from_secs(10),
            min_requests: 100,
            min_endpoints: 5,
        }
    }
}

impl Outlier {
    /// It, if it ever ejects anybody.
    pub fn active(&self) -> Option<&Outlier> {
        (self.consecutive > 0 || self.success_rate > 0).then_some(self)
    }
}
