//! `zoogate zk ..`: the verbs on znodes.

use super::values;
use crate::client::{Hosts, Login};
use clap::{Args as ClapArgs, Subcommand};
use std::ffi::OsString;
use std::time::Duration;

/// `zoogate zk`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate zk ls -r /services
  zoogate zk get /services/web/10.0.0.5:8080
  echo 'strategy = \"random\"' | zoogate zk create -p /zoogate/config/services/web -
  zoogate zk set --version 3 /a 'only if nobody changed it meanwhile'
  zoogate zk watch --count 1 /a && echo 'it changed'
  zoogate zk --server zk1:2181,zk2:2181 stat /
  zoogate zk --auth super:secret create /services

Works with Zoogate and with Apache ZooKeeper.")]
pub(in crate::cli) struct ZkArgs {
    /// Servers, tried in turn: HOST[:PORT][,HOST[:PORT]...], port 2181 unless given
    #[arg(
        long,
        value_name = "HOSTS",
        global = true,
        env = "ZOOGATE_ZOOKEEPER",
        default_value = "127.0.0.1:2181"
    )]
    pub(in crate::cli) server: Hosts,
    /// Who to be, for ACLs of the scheme `digest`; the environment shows it to fewer eyes than the command line
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        global = true,
        env = "ZOOGATE_AUTH",
        hide_env_values = true
    )]
    pub(in crate::cli) auth: Option<Login>,
    /// Longest wait for the server, for the whole verb; with `watch` and `create -e` until it starts to wait
    #[arg(long, value_name = "DURATION", global = true, default_value = "10s", value_parser = values::deadline)]
    pub(in crate::cli) timeout: Duration,
    /// Session timeout to ask for; ephemeral znodes outlive a killed client by this long
    #[arg(long, value_name = "DURATION", global = true, default_value = "10s", value_parser = values::session_timeout)]
    pub(in crate::cli) session_timeout: Duration,
    #[command(subcommand)]
    pub(in crate::cli) verb: ZkVerb,
}

/// The verbs of `zoogate zk`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ZkVerb {
    /// List the names of a znode's children, sorted, one per line
    Ls(ListArgs),
    /// Write a znode's data to stdout, byte for byte
    Get(GetArgs),
    /// Replace a znode's data; prints the new version
    Set(SetArgs),
    /// Create a znode; prints its path
    Create(CreateArgs),
    /// Delete a znode
    Rm(RemoveArgs),
    /// Show a znode's versions, times, owner and sizes
    Stat(StatArgs),
    /// Print a line for every change of a znode, its data and its children's names
    Watch(WatchArgs),
}

/// `zoogate zk ls`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ListArgs {
    /// List the full paths of everything below, parents before their children
    #[arg(short, long)]
    pub(in crate::cli) recursive: bool,
    /// The znode
    #[arg(value_name = "PATH", value_parser = values::path)]
    pub(in crate::cli) path: String,
}

/// `zoogate zk get`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct GetArgs {
    /// Show the stat as well, on stderr, so that stdout stays the data
    #[arg(long)]
    pub(in crate::cli) stat: bool,
    /// The znode
    #[arg(value_name = "PATH", value_parser = values::path)]
    pub(in crate::cli) path: String,
}

/// `zoogate zk set`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct SetArgs {
    /// Only if the data has this version; a mismatch ends with exit code 4; -1 is any [default: -1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1..))]
    pub(in crate::cli) version: Option<i32>,
    /// The znode
    #[arg(value_name = "PATH", value_parser = values::path)]
    pub(in crate::cli) path: String,
    /// The data; `-` reads it from stdin
    #[arg(value_name = "DATA", allow_hyphen_values = true)]
    pub(in crate::cli) data: OsString,
}

/// `zoogate zk create`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct CreateArgs {
    /// Ephemeral: keep it until interrupted (INT, TERM), then remove it
    #[arg(short, long)]
    pub(in crate::cli) ephemeral: bool,
    /// Sequential: the server appends ten digits that only grow
    #[arg(short, long)]
    pub(in crate::cli) sequential: bool,
    /// Create missing parents, persistent and empty
    #[arg(short, long)]
    pub(in crate::cli) parents: bool,
    /// The new znode
    #[arg(value_name = "PATH", value_parser = values::new_path)]
    pub(in crate::cli) path: String,
    /// Its data; `-` reads it from stdin [default: empty]
    #[arg(value_name = "DATA", allow_hyphen_values = true)]
    pub(in crate::cli) data: Option<OsString>,
}

/// `zoogate zk rm`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct RemoveArgs {
    /// Delete everything below it first
    #[arg(short, long)]
    pub(in crate::cli) recursive: bool,
    /// Only if the data has this version; a mismatch ends with exit code 4; -1 is any [default: -1]
    #[arg(long, value_name = "N", conflicts_with = "recursive", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(-1..))]
    pub(in crate::cli) version: Option<i32>,
    /// The znode
    #[arg(value_name = "PATH", value_parser = values::path)]
    pub(in crate::cli) path: String,
}

/// `zoogate zk stat`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct StatArgs {
    /// The znode
    #[arg(value_name = "PATH", value_parser = values::path)]
    pub(in crate::cli) path: String,
}

/// `zoogate zk watch`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Lines:
  created PATH version=N bytes=N
  changed PATH version=N bytes=N
  children PATH count=N +NAME.. -NAME..
  deleted PATH

The znode need not exist yet. Changes that follow each other closely may be reported as one: the \
last line always tells the present state, also after a change of server. Ends when interrupted.")]
pub(in crate::cli) struct WatchArgs {
    /// End after this many lines [default: never]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) count: Option<u64>,
    /// The znode
    #[arg(value_name = "PATH", value_parser = values::path)]
    pub(in crate::cli) path: String,
}
