//! `zoogate cert`: certificates for those who have no authority of their own.
//!
//! ```text
//! ca DIR            -> DIR/ca.pem, DIR/ca.key              self-signed, may sign end certificates only
//! node NAME --ca D  -> NAME.pem, NAME.key                  URI spiffe://<trust domain>/node/NAME, hosts; server and client
//! client NAME ..    -> NAME.pem, NAME.key                  CN=NAME; client only, so it opens no port of the ensemble's
//! ```
//! Keys are ECDSA on P-256: every TLS library and every Java that ZooKeeper clients run on take them (Ed25519 came to
//! Java's TLS with version 15 only), and a handshake costs a tenth of what RSA of like strength does.
//!
//! Nothing is overwritten unless asked for, and what is written appears whole: first the key, for its owner's eyes
//! only, then the certificate.

mod authority;
mod error;
mod files;
mod show;
#[cfg(test)]
mod tests;

pub(super) use error::CertError;

use super::args::{AuthorityArgs, CertVerb, ClientCertArgs, NodeCertArgs};
use super::output::Output;
use super::{CliError, Exit};
use authority::{Authority, Wanted};
use files::Place;
use std::path::Path;

/// Does what the arguments say.
pub(super) fn run(verb: CertVerb, output: Output) -> Result<Exit, CliError> {
    match verb {
        CertVerb::Ca(args) => make(args, output)?,
        CertVerb::Node(args) => node(args, output)?,
        CertVerb::Client(args) => client(args, output)?,
        CertVerb::Show { file } => output.lines(show::lines(&file)?)?,
    }
    Ok(Exit::Ok)
}

fn make(args: AuthorityArgs, output: Output) -> Result<(), CliError> {
    let place = Place::new(&args.dir, "ca", args.force)?;
    let name = args
        .name
        .unwrap_or_else(|| format!("Zoogate CA {:08x}", rand::random::<u32>()));
    place.write(&authority::new(&name, args.days)?)?;
    output.lines(place.written())?;
    let dir = args.dir.display();
    output.aside([
        format!(
            "Made the authority {name:?}, valid for {} days. Next, for each node:",
            args.days
        ),
        format!("  zoogate cert node NAME --ca {dir} --host HOST"),
        format!("{dir}/ca.pem goes to every node and client; {dir}/ca.key to none of them."),
    ]);
    Ok(())
}

fn node(args: NodeCertArgs, output: Output) -> Result<(), CliError> {
    let NodeCertArgs {
        name,
        issue,
        host,
        trust_domain,
    } = args;
    let authority = Authority::load(&issue.ca)?;
    let out = issue.out.as_deref().unwrap_or(&issue.ca);
    let place = Place::new(out, &name, issue.force)?;
    let wanted = Wanted::node(&name, &trust_domain, &host)?;
    let (files, days) = authority.issue(wanted, issue.days)?;
    place.write(&files)?;
    output.lines(place.written())?;
    let mut told = vec![
        format!(
            "Node {name:?} is certified for {days} days. Copy both files, and {}, to the node; then, in its settings:",
            issue.ca.join("ca.pem").display()
        ),
        "  [ensemble.tls]".to_owned(),
        format!("  certificate = \"tls/{name}.pem\""),
        format!("  key = \"tls/{name}.key\""),
        "  ca = \"tls/ca.pem\"".to_owned(),
    ];
    if trust_domain != crate::config::DEFAULT_TRUST_DOMAIN {
        told.push(format!("  trust_domain = \"{trust_domain}\""));
    }
    told.push("The same pair serves [zookeeper.tls] and [admin.tls]. Renew it in time, with --force; a running node notices.".to_owned());
    output.aside(told);
    Ok(())
}

fn client(args: ClientCertArgs, output: Output) -> Result<(), CliError> {
    let ClientCertArgs { name, issue } = args;
    let authority = Authority::load(&issue.ca)?;
    let out = issue.out.as_deref().unwrap_or(&issue.ca);
    let place = Place::new(out, &name, issue.force)?;
    let (files, days) = authority.issue(Wanted::client(&name), issue.days)?;
    place.write(&files)?;
    output.lines(place.written())?;
    output.aside([
        format!("Client {name:?} is certified for {days} days. Nodes that have"),
        "  [zookeeper.tls]".to_owned(),
        "  client_ca = \"tls/ca.pem\"".to_owned(),
        format!("know it in ACLs as x509:CN={name}."),
    ]);
    Ok(())
}

/// The authority's two files in `dir`.
fn authority_files(dir: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
    (dir.join("ca.pem"), dir.join("ca.key"))
}
