//! What `[zookeeper]` means: the port that ZooKeeper clients use, and whom it serves how.

use super::{DEFAULT_REAP_INTERVAL, DEFAULT_TICK_TIME, ZookeeperTls, limits};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// `[zookeeper]`: the client port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZookeeperConfig {
    /// Where ZooKeeper clients connect.
    pub listen: SocketAddr,
    /// ZooKeeper's basic time unit; only the default session bounds derive from it.
    pub tick_time: Duration,
    /// Shortest session timeout granted.
    pub session_timeout_min: Duration,
    /// Longest session timeout granted.
    pub session_timeout_max: Duration,
    /// `host:port` that `/zookeeper/config` tells clients; absent: see [`ZookeeperConfig::advertised`].
    pub advertise: Option<String>,
    /// The four-letter words that are answered.
    pub four_letter_words: FourLetterWords,
    /// `user:base64(sha1(user:password))` of the digest identity that may do everything.
    pub super_digest: Option<String>,
    /// Serves reads to clients that allow it while no leader is within reach.
    pub read_only: bool,
    /// Clients may change the ensemble with `reconfig`.
    pub reconfig: bool,
    /// Time between the leader's searches for containers and TTL znodes whose time is up.
    pub reap_interval: Duration,
    /// Who may use the znodes that a new tree begins with.
    pub fresh_acl: FreshAcl,
    /// A second port, with TLS.
    pub tls: Option<ZookeeperTls>,
    /// `listen`, which has no TLS, may be beyond this machine.
    pub insecure: bool,
}

/// Who may use `/` and `/zookeeper` in a new tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreshAcl {
    /// Everybody, as in a new ZooKeeper.
    #[default]
    Open,
    /// Nobody but the super user.
    Closed,
}

impl FreshAcl {
    /// Each as it is written.
    pub(super) const NAMES: [(&str, FreshAcl); 2] =
        [("open", FreshAcl::Open), ("closed", FreshAcl::Closed)];
}

/// The four-letter words that are answered; the others say that they are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FourLetterWords(BTreeSet<String>);

impl FourLetterWords {
    /// Every word that ZooKeeper has.
    pub const ALL: [&str; 15] = [
        "conf", "cons", "crst", "dirs", "dump", "envi", "isro", "mntr", "ruok", "srst", "srvr",
        "stat", "wchc", "wchp", "wchs",
    ];

    /// These words and no others.
    pub fn only<'w>(words: impl IntoIterator<Item = &'w str>) -> FourLetterWords {
        FourLetterWords(words.into_iter().map(str::to_owned).collect())
    }

    /// All words.
    pub fn all() -> FourLetterWords {
        FourLetterWords::only(FourLetterWords::ALL)
    }

    /// Whether `word` is answered.
    pub fn allows(&self, word: &str) -> bool {
        self.0.contains(word)
    }
}

impl Default for FourLetterWords {
    /// What monitoring needs, and nothing that names clients or costs much.
    fn default() -> FourLetterWords {
        FourLetterWords::only(["mntr", "ruok", "srvr"])
    }
}

impl ZookeeperConfig {
    /// A port at `listen`, and all defaults.
    pub fn at(listen: SocketAddr) -> ZookeeperConfig {
        ZookeeperConfig {
            listen,
            tick_time: DEFAULT_TICK_TIME,
            session_timeout_min: DEFAULT_TICK_TIME * limits::SESSION_MIN_TICKS,
            session_timeout_max: DEFAULT_TICK_TIME * limits::SESSION_MAX_TICKS,
            advertise: None,
            four_letter_words: FourLetterWords::default(),
            super_digest: None,
            read_only: false,
            reconfig: false,
            reap_interval: DEFAULT_REAP_INTERVAL,
            fresh_acl: FreshAcl::default(),
            tls: None,
            insecure: false,
        }
    }

    /// What to tell clients of a port that is bound at `bound`: what `advertise` says, else the address itself,
    /// unless it is a wildcard, which leads nowhere.
    pub fn advertised(&self, bound: SocketAddr) -> Option<String> {
        let bound = (!bound.ip().to_canonical().is_unspecified()).then(|| bound.to_string());
        self.advertise.clone().or(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitoring_words_are_answered_by_default() {
        let words = FourLetterWords::default();
        let allowed = FourLetterWords::ALL.map(|word| words.allows(word));
        assert_eq!(allowed.iter().filter(|is_allowed| **is_allowed).count(), 3);
        assert!(words.allows("srvr") && words.allows("ruok") && words.allows("mntr"));
        assert!(!words.allows("*") && !words.allows("SRVR"));
        assert!(FourLetterWords::all().allows("wchp"));
    }

    #[test]
    fn a_wildcard_is_not_advertised() {
        let mut config = ZookeeperConfig::at(([0, 0, 0, 0], 2181).into());
        for (bound, advertised) in [
            ("10.0.0.1:2181", Some("10.0.0.1:2181")),
            ("[fe80::1]:2181", Some("[fe80::1]:2181")),
            ("0.0.0.0:2181", None),
            ("[::]:2181", None),
            ("[::ffff:0.0.0.0]:2181", None),
        ] {
            let bound = bound.parse().unwrap();
            assert_eq!(config.advertised(bound).as_deref(), advertised, "{bound}");
        }
        config.advertise = Some("zk1.example:2181".into());
        let bound = ([0, 0, 0, 0], 2181).into();
        assert_eq!(
            config.advertised(bound).as_deref(),
            Some("zk1.example:2181")
        );
    }
}
