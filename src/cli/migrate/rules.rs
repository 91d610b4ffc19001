//! What becomes of a path.

use crate::cli::args::{MigrateArgs, Pattern};
use crate::tree::{Lifetime, SessionId};

/// The znode that every tree has, and that is nobody's to copy.
const OWN: &str = "/zookeeper";

/// Bits of the owner that a server shows, if it shows them at all. Source: `EphemeralType` of ZooKeeper 3.9.
const CONTAINER: i64 = i64::MIN;
const TTL: i64 = -1 << 56;
const TTL_MS: i64 = (1 << 40) - 1;

/// Where znodes go, and as what.
#[derive(Debug)]
pub(super) struct Rules {
    chroot: String,
    containers: Vec<Pattern>,
    ttls: Vec<(Pattern, u64)>,
}

impl Rules {
    pub(super) fn new(args: &MigrateArgs) -> Rules {
        let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let ttls = args.ttl.iter();
        Rules {
            chroot: args.chroot.trim_end_matches('/').to_owned(),
            containers: args.container.clone(),
            ttls: ttls
                .map(|(paths, time)| (paths.clone(), ms(*time)))
                .collect(),
        }
    }

    /// The path at the destination.
    pub(super) fn target(&self, path: &str) -> String {
        match (self.chroot.as_str(), path) {
            ("", path) => path.to_owned(),
            (chroot, "/") => chroot.to_owned(),
            (chroot, path) => format!("{chroot}{path}"),
        }
    }

    /// How long a znode is to live, by its owner if the server tells, else by its path.
    pub(super) fn lifetime(&self, path: &str, owner: SessionId) -> Lifetime {
        let ttl = self.ttls.iter().find(|(paths, _)| paths.is_match(path));
        match (owner.0, ttl) {
            (CONTAINER, _) => Lifetime::Container,
            (bits, _) if bits & !TTL_MS == TTL => Lifetime::Ttl((bits & TTL_MS) as u64),
            (_, Some((_, ms))) => Lifetime::Ttl(*ms),
            _ if self.containers.iter().any(|paths| paths.is_match(path)) => Lifetime::Container,
            _ => Lifetime::Persistent,
        }
    }
}

/// The child `name` of `parent`.
pub(super) fn child(parent: &str, name: &str) -> String {
    format!("{}/{name}", parent.trim_end_matches('/'))
}

/// Whether a path is left alone.
pub(super) fn is_own(path: &str) -> bool {
    path.strip_prefix(OWN)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(chroot: &str) -> Rules {
        Rules {
            chroot: chroot.trim_end_matches('/').into(),
            containers: Vec::new(),
            ttls: Vec::new(),
        }
    }

    #[test]
    fn paths_go_below_the_chroot() {
        assert_eq!(rules("/").target("/"), "/");
        assert_eq!(rules("/").target("/a"), "/a");
        assert_eq!(rules("/x").target("/"), "/x");
        assert_eq!(rules("/x").target("/a/b"), "/x/a/b");
        assert_eq!(child("/", "a"), "/a");
        assert_eq!(child("/a", "b"), "/a/b");
    }

    #[test]
    fn only_the_servers_own_paths_are_left_alone() {
        assert!(is_own("/zookeeper") && is_own("/zookeeper/quota/a"));
        assert!(!is_own("/zookeepers") && !is_own("/a/zookeeper") && !is_own("/"));
    }

    #[test]
    fn an_owner_that_is_shown_counts() {
        let of = |bits: u64| rules("/").lifetime("/a", SessionId(bits as i64));
        assert_eq!(of(0), Lifetime::Persistent);
        assert_eq!(of(0x8000_0000_0000_0000), Lifetime::Container);
        assert_eq!(of(0xff00_0000_0000_1388), Lifetime::Ttl(5_000));
    }
}
