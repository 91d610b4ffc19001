//! `zoogate migrate`: from one ensemble into another.

use super::values;
use crate::client::{Hosts, Login};
use clap::{Args as ClapArgs, ValueEnum};
use std::time::Duration;

/// `zoogate migrate`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate migrate --from zk1,zk2,zk3 --to 10.0.0.1:2181 --dry-run
  zoogate migrate --from zk1,zk2,zk3 --to 10.0.0.1:2181
  zoogate migrate --from zk1,zk2,zk3 --to 10.0.0.1:2181 --follow
  zoogate migrate --from zk1,zk2,zk3 --to 10.0.0.1:2181 --verify
  zoogate migrate --from zk1 --to zg1 --container /locks/* --ttl /cache/*=10m --path /locks --chroot /old

Works with Zoogate and Apache ZooKeeper on both sides. Copies parents before their children, many at a time. \
What exists already and is equal is skipped, so it can be interrupted and run again; what exists and is \
different is a conflict, and listed. /zookeeper, quotas included, is never touched.

Not copied: ephemeral znodes (their clients create them again where they connect), and what no client can set: \
zxids, times, versions, and a parent's count of children ever created, from which sequential names are made. \
The next sequential number of a copied parent is therefore the number of children copied, and may meet \
a name that exists: let clients of locks and queues start with empty parents. (zoogate backup and \
zoogate restore keep all of this, between Zoogate ensembles.) Creating and deleting dummies would raise the \
counter, but every client that watches the parent would be woken each time.

Containers and times to live: no server tells its clients which znodes have them. Name them with --container \
and --ttl; others become persistent.

--acl keep needs the right to read ACLs in full; a server hides digests from others, and then the znode is \
refused rather than copied with an ACL that locks everybody out. --from-auth of a super user reads everything, \
--to-auth of one writes below protected parents.

--follow copies, and then repeats every change until INT or TERM; then it goes over everything once more and \
compares. Needs a source of version 3.6 or later. Changes of ACLs alone are not announced; the last pass brings \
them. What clients write at the destination to a znode that changes at the source is overwritten. Znodes \
deleted at the source are deleted at the destination if this run has copied them.

Exit codes: 0 done (with --verify and --follow: equal), 1 not equal or failed, 3 no such --path, 4 conflicts \
(listed), 5 not reachable, 6 not permitted, 7 no answer in time.")]
pub(in crate::cli) struct MigrateArgs {
    /// Servers to copy from: HOST[:PORT][,HOST[:PORT]...]
    #[arg(long, value_name = "HOSTS")]
    pub(in crate::cli) from: Hosts,
    /// Servers to copy to
    #[arg(long, value_name = "HOSTS")]
    pub(in crate::cli) to: Hosts,
    /// Who to be at the source, for the scheme `digest`
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "ZOOGATE_FROM_AUTH",
        hide_env_values = true
    )]
    pub(in crate::cli) from_auth: Option<Login>,
    /// Who to be at the destination
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "ZOOGATE_TO_AUTH",
        hide_env_values = true
    )]
    pub(in crate::cli) to_auth: Option<Login>,
    /// Copy this znode and everything below it
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = values::path)]
    pub(in crate::cli) path: String,
    /// Put everything below this znode at the destination; it is created if it is not there
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = values::path)]
    pub(in crate::cli) chroot: String,
    /// ACLs at the destination: those of the source, or everything for everybody
    #[arg(long, value_name = "MODE", value_enum, default_value_t = AclMode::Keep)]
    pub(in crate::cli) acl: AclMode,
    /// What to do where the destination has something else: leave it, replace it, or end at the first
    #[arg(long, value_name = "MODE", value_enum, default_value_t = ConflictMode::Keep)]
    pub(in crate::cli) on_conflict: ConflictMode,
    /// Make these containers; `*` is any one name, `**` at the end anything below
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(in crate::cli) container: Vec<Pattern>,
    /// Give these a time to live
    #[arg(long, value_name = "PATTERN=DURATION", value_parser = ttl)]
    pub(in crate::cli) ttl: Vec<(Pattern, Duration)>,
    /// Keep the destination in step until interrupted
    #[arg(long, conflicts_with_all = ["dry_run", "verify"])]
    pub(in crate::cli) follow: bool,
    /// Only say what would be done
    #[arg(long, conflicts_with = "verify")]
    pub(in crate::cli) dry_run: bool,
    /// Only compare both trees, data and ACLs
    #[arg(long)]
    pub(in crate::cli) verify: bool,
    /// Znodes under way at a time, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(in crate::cli) at_once: u16,
    /// Session timeout to ask both sides for
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::session_timeout)]
    pub(in crate::cli) session_timeout: Duration,
    /// List every znode that is created or skipped
    #[arg(short, long)]
    pub(in crate::cli) verbose: bool,
}

/// What becomes of ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum AclMode {
    /// They stay as they are
    Keep,
    /// Everything for everybody
    Open,
}

/// What becomes of what is different at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ConflictMode {
    /// It stays
    Keep,
    /// It becomes as at the source
    Overwrite,
    /// It stays, and nothing more is copied
    Fail,
}

/// Some paths: names, `*` for any one, and `**` at the end for at least one more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Pattern(Vec<String>);

impl Pattern {
    /// Whether `path` is one of them.
    pub(in crate::cli) fn is_match(&self, path: &str) -> bool {
        let mut segments = path.split('/').skip(1);
        for part in &self.0 {
            match (part.as_str(), segments.next()) {
                ("**", Some(_)) => return true,
                ("*", Some(_)) => {}
                (part, Some(segment)) if part == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

fn pattern(text: &str) -> Result<Pattern, String> {
    let path = values::path(text)?;
    let parts: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
    let last = parts.len() - 1;
    match parts.iter().position(|part| part == "**") {
        Some(at) if at < last => Err("'**' can only be at the end".into()),
        _ => Ok(Pattern(parts)),
    }
}

fn ttl(text: &str) -> Result<(Pattern, Duration), String> {
    let (paths, time) = text
        .rsplit_once('=')
        .ok_or("write it as PATTERN=DURATION")?;
    let time = values::duration(time)?;
    match time.as_millis() {
        0 => Err("a time to live is at least 1ms".into()),
        _ => Ok((pattern(paths)?, time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        for (text, path, expected) in [
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("/a", "/a/b", false),
            ("/a/*", "/a/b", true),
            ("/a/*", "/a", false),
            ("/a/*", "/a/b/c", false),
            ("/*/x", "/a/x", true),
            ("/a/**", "/a", false),
            ("/a/**", "/a/b/c", true),
        ] {
            let pattern = pattern(text).unwrap();
            assert_eq!(pattern.is_match(path), expected, "{text} {path}");
        }
        assert!(pattern("/a/**/b").is_err());
        assert!(pattern("a").is_err());
    }

    #[test]
    fn a_ttl_follows_the_last_equals_sign() {
        let (paths, time) = ttl("/a=b/*=5s").unwrap();
        assert!(paths.is_match("/a=b/c"));
        assert_eq!(time, Duration::from_secs(5));
        for bad in ["/a", "/a=", "/a=0s", "a=1s"] {
            assert!(ttl(bad).is_err(), "{bad}");
        }
    }
}
