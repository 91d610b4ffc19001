//! `zoogate cluster ..`: the members of an ensemble.

use super::{NodeArgs, values};
use clap::{Args as ClapArgs, Subcommand};
use std::time::Duration;

/// `zoogate cluster`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate cluster members
  zoogate cluster status --json | jq .quorum
  zoogate cluster add n4 10.0.0.4:2888        then start n4 with join = [\"10.0.0.1:2888\"]
  zoogate cluster remove n2                   n2 ends with exit code 8; its number is never used again
  zoogate cluster demote 3 && zoogate cluster promote 3
  zoogate cluster transfer-leader n1
  zoogate cluster --admin 10.0.0.1:9180,10.0.0.2:9180 --token-file /etc/zoogate/admin.token members
  zoogate cluster --admin zk1.example:9180 --ca ca.pem --cert ops.pem --key ops.key members     over TLS

A MEMBER is a number, or the name of one. Any node may be asked: it passes changes on to the leader.

There is no way to force a change without a majority: the members that were left out could go on as well, \
and two histories cannot be made one again. Who has lost a majority for good restores a backup.

Exit codes: 0 done, 1 failed, 2 it makes no sense, 3 no such member, 4 another change is under way, 5 no node \
reachable, no leader or no quorum, 6 not permitted, 7 timed out: the outcome is not known.")]
pub(in crate::cli) struct ClusterArgs {
    #[command(flatten)]
    pub(in crate::cli) nodes: NodeArgs,
    /// Longest wait for the whole verb; while another change is under way, or there is no leader, it tries again
    #[arg(long, value_name = "DURATION", global = true, default_value = "30s", value_parser = values::deadline)]
    pub(in crate::cli) timeout: Duration,
    #[command(subcommand)]
    pub(in crate::cli) verb: ClusterVerb,
}

/// The verbs of `zoogate cluster`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClusterVerb {
    /// List the members: number, name, addresses, role, and how far each is behind the leader
    Members {
        /// As JSON, all of it
        #[arg(long)]
        json: bool,
    },
    /// Say in one line whether there is a quorum; exit code 5 if not
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Keep a number for a node that is to join, and print it; without this a node can join by itself as well
    Add {
        /// It shall never vote
        #[arg(long)]
        observer: bool,
        /// The node's name, as its [node] section says
        #[arg(value_name = "NAME", value_parser = values::segment)]
        name: String,
        /// Where the others will reach it: its [ensemble] listen or advertise
        #[arg(value_name = "HOST:PORT", value_parser = values::host_port)]
        address: String,
    },
    /// Remove a member for ever; if it leads, another one leads first
    Remove {
        /// The member
        #[arg(value_name = "MEMBER")]
        member: String,
    },
    /// Give an observer a vote, once it has caught up
    Promote {
        /// The member
        #[arg(value_name = "MEMBER")]
        member: String,
    },
    /// Take a member's vote; it stays as an observer
    Demote {
        /// The member
        #[arg(value_name = "MEMBER")]
        member: String,
    },
    /// Have another voter lead, and print who does
    TransferLeader {
        /// The member; the one that is furthest by default
        #[arg(value_name = "MEMBER")]
        member: Option<String>,
    },
}
