//! The flags of `zoogate cert`.

use super::values;
use crate::config::DEFAULT_TRUST_DOMAIN;
use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `zoogate cert`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate cert ca ./ca                            an authority: ca.pem for everybody, ca.key for nobody else
  zoogate cert node n1 --ca ./ca --host 10.0.0.1  what node n1 shows to members, ZooKeeper clients and operators
  zoogate cert client web --ca ./ca               what a ZooKeeper client shows; x509:CN=web in ACLs
  zoogate cert show ./ca/n1.pem                   what is in a certificate

Who has an authority already can do without: README.md says what a node's certificate must hold.")]
pub(in crate::cli) struct CertArgs {
    #[command(subcommand)]
    pub(in crate::cli) verb: CertVerb,
}

/// The verbs of `zoogate cert`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum CertVerb {
    /// Make a private authority
    Ca(AuthorityArgs),
    /// Issue a node's certificate: for members, ZooKeeper clients and operators alike
    Node(NodeCertArgs),
    /// Issue a client's certificate: an identity for ACLs, which opens no port of the ensemble's
    Client(ClientCertArgs),
    /// Print what is in a file of certificates
    #[command(after_help = "\
Examples:
  zoogate cert show /etc/zoogate/tls/n1.pem

Exit codes: 0 printed, whether it has expired or not; 1 no certificate in it; 3 no such file.")]
    Show {
        /// A PEM file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `zoogate cert ca`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate cert ca ./ca
  zoogate cert ca ./ca-2027 --name 'Shop registry 2027' --days 1830

Keep ca.key where no node runs: whoever has it can make members of anything.")]
pub(in crate::cli) struct AuthorityArgs {
    /// Where to put ca.pem and ca.key; made if missing
    #[arg(value_name = "DIR")]
    pub(in crate::cli) dir: PathBuf,
    /// Its common name, which tells it from others [default: \"Zoogate CA\" and a random number]
    #[arg(long, value_name = "NAME", value_parser = values::common_name)]
    pub(in crate::cli) name: Option<String>,
    /// How long it is valid, 1 to 7300 days
    #[arg(long, value_name = "N", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=7300))]
    pub(in crate::cli) days: u32,
    /// Overwrite files that exist: everything issued before is worthless then
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

/// What is the same for whatever is issued.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct IssueArgs {
    /// Where ca.pem and ca.key are, made by `zoogate cert ca`
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) ca: PathBuf,
    /// Where to put NAME.pem and NAME.key [default: beside the authority]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// How long it is valid, 1 to 7300 days, at most as long as the authority
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=7300))]
    pub(in crate::cli) days: u32,
    /// Overwrite files that exist; a running node takes the new ones within seconds
    #[arg(long)]
    pub(in crate::cli) force: bool,
}

/// `zoogate cert node`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate cert node n1 --ca ./ca --host zk1.example --host 10.0.0.1
  zoogate cert node n1 --ca ./ca --host zk1.example --out /etc/zoogate/tls --force     renew it")]
pub(in crate::cli) struct NodeCertArgs {
    /// The node's `[node] name`
    #[arg(value_name = "NAME", value_parser = values::certified_name)]
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) issue: IssueArgs,
    /// A DNS name or IP address by which ZooKeeper clients and operators reach it; may be repeated. This machine's own
    /// (localhost, 127.0.0.1, ::1) are always there
    #[arg(long, value_name = "H", value_parser = values::certified_host)]
    pub(in crate::cli) host: Vec<String>,
    /// `[ensemble.tls] trust_domain`
    #[arg(long, value_name = "D", default_value = DEFAULT_TRUST_DOMAIN, value_parser = values::trust_domain)]
    pub(in crate::cli) trust_domain: String,
}

/// `zoogate cert client`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  zoogate cert client web --ca ./ca
  openssl pkcs12 -export -in ca/web.pem -inkey ca/web.key -out web.p12      for Java")]
pub(in crate::cli) struct ClientCertArgs {
    /// Its common name; ACLs know it as x509:CN=NAME
    #[arg(value_name = "NAME", value_parser = values::certified_name)]
    pub(in crate::cli) name: String,
    #[command(flatten)]
    pub(in crate::cli) issue: IssueArgs,
}
