//! What can be typed: the verbs and their flags, with the texts of `--help`.
mod admin;
mod backup;
mod cert;
mod cluster;
mod drain;
mod explain;
mod migrate;
mod register;
mod values;
mod zk;

pub(super) use admin::{AdminArgs, NodeArgs};
pub(super) use backup::{BackupArgs, InspectArgs, RestoreArgs};
pub(super) use cert::{AuthorityArgs, CertArgs, CertVerb, ClientCertArgs, NodeCertArgs};
pub(super) use cluster::{ClusterArgs, ClusterVerb};
pub(super) use drain::{DrainArgs, Target, UndrainArgs};
pub(super) use explain::{ExplainArgs, Form, ServicesArgs, ShowArgs, Subject};
pub(super) use migrate::{AclMode, ConflictMode, MigrateArgs, Pattern};
pub(super) use register::RegisterArgs;
pub(super) use zk::{CreateArgs, GetArgs, ListArgs, RemoveArgs, SetArgs, WatchArgs};
pub(super) use zk::{ZkArgs, ZkVerb};

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "zoogate", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  zoogate dev                                        an ensemble, sample services and traffic, here
  zoogate serve -c /etc/zoogate/zoogate.toml         one node of a real ensemble
  zoogate register web --port 9001 -- ./server       run a server and register it while it answers
  zoogate explain web                                why each endpoint gets traffic or not
  zoogate drain web/10.0.0.5:8080 --wait             nothing new, and wait until what is under way has ended
  zoogate zk ls -r /services                         what is registered
  zoogate cert node n1 --ca /etc/zoogate/ca          what node n1 needs for TLS
  zoogate cluster members                            who the members are, and how far each is
  zoogate backup tree.snap                           the whole tree, from a running node

Exit codes:
  0 done                            4 version conflict, or exists already
  1 failed                          5 no server reachable, or no quorum
  2 bad usage or configuration      6 not permitted
  3 not found                       7 timed out
                                    8 removed from the ensemble: do not restart";

/// The verbs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Try it out: run a whole ensemble with sample services in this process
    Dev(DevArgs),
    /// Run one node
    Serve(ServeArgs),
    /// Register an endpoint for as long as this process, or the command it runs, lives
    Register(RegisterArgs),
    /// List the services, as a node sees them
    Services(ServicesArgs),
    /// Say why endpoints get traffic or not, since when, and which transaction did it
    Explain(ExplainArgs),
    /// Have endpoints finish what they have and get nothing new, on every node
    Drain(DrainArgs),
    /// Take a drain back
    Undrain(UndrainArgs),
    /// Read and change the tree of any ZooKeeper-compatible ensemble
    Zk(ZkArgs),
    /// Make and look at certificates: a private authority, and what it issues to nodes and clients
    Cert(CertArgs),
    /// Show and change the members of an ensemble
    Cluster(ClusterArgs),
    /// Copy the whole tree of a running node to a file
    Backup(BackupArgs),
    /// Make a member of a new ensemble out of a backup, offline
    Restore(RestoreArgs),
    /// Show and check what is in a data directory, a snapshot or a backup
    Inspect(InspectArgs),
    /// Copy a tree from any ZooKeeper ensemble into another one, and keep it in step
    Migrate(Box<MigrateArgs>),
    /// Work with configuration files
    Config(ConfigArgs),
}

/// `zoogate dev`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate dev                        three members, three sample servers, the usual ports
  zoogate dev --free-ports           the same where those ports are taken
  zoogate dev --nodes 1 --backends 5 --data-dir ./data")]
pub(super) struct DevArgs {
    /// Members of the ensemble, 1 to 9; an odd number tolerates the most failures for its size
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(super) nodes: u16,
    /// Sample servers registered as the endpoints of the service `web`, 0 to 100
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=100))]
    pub(super) backends: u16,
    /// Keep logs and snapshots in this directory, and continue from them the next time [default: a
    /// temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Let the system choose every port instead of using the usual ones
    #[arg(long)]
    pub(super) free_ports: bool,
}

/// `zoogate serve`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate serve -c /etc/zoogate/zoogate.toml

Signals: TERM and INT drain and stop, a second one stops at once; HUP reads the file again.")]
pub(super) struct ServeArgs {
    /// The node's configuration; `zoogate config check FILE` says whether it is valid
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: PathBuf,
}

/// `zoogate config`.
#[derive(Debug, ClapArgs)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    pub(super) verb: ConfigVerb,
}

/// The verbs of `zoogate config`.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Read a configuration file and report every error with its line and column; change nothing
    #[command(after_help = "\
Examples:
  zoogate config check /etc/zoogate/zoogate.toml && systemctl reload zoogate

Exit codes: 0 valid, 2 invalid.")]
    Check {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;
    use std::time::Duration;

    fn parse(line: &str) -> Result<Verb, ErrorKind> {
        let words = ["zoogate"].into_iter().chain(line.split(' '));
        Args::try_parse_from(words)
            .map(|args| args.verb)
            .map_err(|error| error.kind())
    }

    #[test]
    fn the_definitions_hold_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_verb_has_help_with_examples() {
        for verb in [
            "dev",
            "serve",
            "register",
            "zk",
            "services",
            "explain",
            "drain",
            "undrain",
            "config check",
            "cert",
            "cert ca",
            "cert node",
            "cert client",
            "cert show",
            "backup",
            "restore",
            "inspect",
            "migrate",
        ] {
            let line = format!("{verb} --help");
            let words = ["zoogate"].into_iter().chain(line.split(' '));
            let help = Args::try_parse_from(words).unwrap_err();
            assert_eq!(help.kind(), ErrorKind::DisplayHelp);
            assert!(help.to_string().contains("Examples:\n"), "{verb}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        use ErrorKind::*;
        for (line, kind) in [
            ("fly", InvalidSubcommand),
            ("serve", MissingRequiredArgument),
            ("dev --nodes 0", ValueValidation),
            ("dev --nodes 10", ValueValidation),
            ("register web", MissingRequiredArgument),
            ("register web --port 0", ValueValidation),
            ("register a/b --port 80", ValueValidation),
            ("register web --port 80 --address h:80", ArgumentConflict),
            ("register web --address h", ValueValidation),
            ("register web --port 80 --weight 0", ValueValidation),
            ("register web --port 80 --weight 65536", ValueValidation),
            (
                "register web --port 80 --session-timeout 5",
                ValueValidation,
            ),
            ("register web --port 80 command", UnknownArgument),
            ("explain", MissingRequiredArgument),
            ("explain web/", ValueValidation),
            ("explain web --output xml", InvalidValue),
            ("drain", MissingRequiredArgument),
            ("drain web", ValueValidation),
            ("drain web/", ValueValidation),
            ("drain web/a --deadline 30", ValueValidation),
            ("drain web/a --timeout 0s", ValueValidation),
            ("undrain web/a --wait", UnknownArgument),
            ("zk ls", MissingRequiredArgument),
            ("zk ls a", ValueValidation),
            ("zk --server a:b ls /", ValueValidation),
            ("zk --timeout 0s ls /", ValueValidation),
            ("zk set --version -2 /a b", ValueValidation),
            ("zk rm -r --version 1 /a", ArgumentConflict),
            ("zk watch --count 0 /a", ValueValidation),
            ("cert", DisplayHelpOnMissingArgumentOrSubcommand),
            ("cert ca", MissingRequiredArgument),
            ("cert node n1", MissingRequiredArgument),
            ("cert node a/b --ca d", ValueValidation),
            ("cert node ca --ca d", ValueValidation),
            ("cert node .. --ca d", ValueValidation),
            ("cert node n1 --ca d --days 0", ValueValidation),
            ("cert node n1 --ca d --host a:b:c/d", ValueValidation),
            ("cert node n1 --ca d --trust-domain A", ValueValidation),
            ("cert client web --ca d --host h", UnknownArgument),
            ("backup", MissingRequiredArgument),
            ("backup --admin h f", ValueValidation),
            ("restore f --name a", MissingRequiredArgument),
            ("restore f --data-dir d --name a/b", ValueValidation),
            ("restore f --data-dir d --name a --bump 0", ValueValidation),
            ("restore f --data-dir d --name a --token x", ValueValidation),
            (
                "restore f --data-dir d --name a --members a",
                ValueValidation,
            ),
            ("inspect", MissingRequiredArgument),
            ("inspect --verify --znodes d", ArgumentConflict),
            ("migrate --from a", MissingRequiredArgument),
            ("migrate --from a --to b --path a", ValueValidation),
            ("migrate --from a --to b --ttl /a", ValueValidation),
            (
                "migrate --from a --to b --dry-run --follow",
                ArgumentConflict,
            ),
            ("config", DisplayHelpOnMissingArgumentOrSubcommand),
        ] {
            assert_eq!(parse(line).map(|_| ()), Err(kind), "{line}");
        }
    }

    #[test]
    fn register_takes_everything_behind_the_dashes_as_the_command() {
        let verb = parse("register web --port 9001 --drain 30s -- python3 -m http.server -h");
        let Ok(Verb::Register(args)) = verb else {
            panic!("{verb:?}");
        };
        assert_eq!((args.service.as_str(), args.port), ("web", Some(9001)));
        assert_eq!((args.weight, args.drain), (1, Duration::from_secs(30)));
        assert_eq!(args.wait_ready, Duration::from_secs(30));
        assert_eq!(args.command, ["python3", "-m", "http.server", "-h"]);
    }

    #[test]
    fn zk_flags_may_stand_behind_the_verb_and_data_may_look_like_one() {
        let verb = parse("zk set /a -x --server b:1");
        let Ok(Verb::Zk(args)) = verb else {
            panic!("{verb:?}");
        };
        assert_eq!(args.server.to_string(), "b:1");
        let ZkVerb::Set(set) = args.verb else {
            panic!("{:?}", args.verb);
        };
        assert_eq!((set.path.as_str(), set.data.to_str()), ("/a", Some("-x")));
    }
}
