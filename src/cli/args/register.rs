//! `zoogate register ..`: what to announce, where, and for how long.

use super::values;
use crate::client::{Hosts, Login};
use clap::{ArgGroup, Args as ClapArgs};
use std::ffi::OsString;
use std::time::Duration;

/// `zoogate register`.
#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("where").required(true).args(["address", "port"]))]
#[command(after_help = "\
Examples:
  zoogate register web --port 9001 -- python3 -m http.server 9001
  zoogate register web --address 10.0.0.5:8080 --weight 3
  zoogate register api --address [::1]:7000 --drain 30s --zookeeper zk1,zk2,zk3 -- ./api

The endpoint is the ephemeral znode /services/SERVICE/INSTANCE: it goes when this process goes, at \
the latest one session timeout later.

With a command: it is started first and registered when its address accepts connections. On INT or \
TERM the endpoint is withdrawn at once, so that new traffic stops; after `--drain` the command gets \
the signal; a second signal is passed on without waiting. If the command ends, so does the \
registration, and its exit code is passed on (128 + n when signal n ended it).")]
pub(in crate::cli) struct RegisterArgs {
    /// The service; it exists as soon as its first endpoint is registered
    #[arg(value_name = "SERVICE", value_parser = values::segment)]
    pub(in crate::cli) service: String,
    /// The endpoint's address, as the load balancer reaches it
    #[arg(long, value_name = "HOST:PORT")]
    pub(in crate::cli) address: Option<crate::cli::register::Address>,
    /// The endpoint's port; the host is this machine's address on the way to the ZooKeeper server
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) port: Option<u16>,
    /// Name of the instance within the service [default: HOST:PORT]
    #[arg(long, value_name = "NAME", value_parser = values::segment)]
    pub(in crate::cli) instance: Option<String>,
    /// Share of the traffic relative to the other endpoints, 1 to 65535; strategies without weights ignore it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) weight: u16,
    /// Servers, tried in turn: HOST[:PORT][,HOST[:PORT]...], port 2181 unless given
    #[arg(
        long,
        value_name = "HOSTS",
        env = "ZOOGATE_ZOOKEEPER",
        default_value = "127.0.0.1:2181"
    )]
    pub(in crate::cli) zookeeper: Hosts,
    /// Who to be, for ACLs of the scheme `digest`; the environment shows it to fewer eyes than the command line
    #[arg(
        long,
        value_name = "USER:PASSWORD",
        env = "ZOOGATE_AUTH",
        hide_env_values = true
    )]
    pub(in crate::cli) auth: Option<Login>,
    /// Session timeout to ask for: how long the endpoint outlives a crash of the machine
    #[arg(long, value_name = "DURATION", default_value = "6s", value_parser = values::session_timeout)]
    pub(in crate::cli) session_timeout: Duration,
    /// Give up, with exit code 5, if not registered by then [default: keep trying]
    #[arg(long, value_name = "DURATION", value_parser = values::deadline)]
    pub(in crate::cli) give_up_after: Option<Duration>,
    /// With a command: how long its address may take to accept a connection before it is registered; on
    /// time-out the command is stopped and the exit code is 7. 0s registers without looking
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    pub(in crate::cli) wait_ready: Duration,
    /// With a command: time between withdrawing the endpoint and signalling the command, for traffic
    /// under way to finish
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = values::duration)]
    pub(in crate::cli) drain: Duration,
    /// The command to run, and its arguments
    #[arg(value_name = "CMD", last = true)]
    pub(in crate::cli) command: Vec<OsString>,
}
