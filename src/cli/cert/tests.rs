//! Files that are made, what is in them, and what they open.

use super::*;
use crate::cli::Args;
use crate::net::{PeerFiles, PeerTls, certificate_facts};
use clap::Parser;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

struct Dir(TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `zoogate cert ..`, with this directory for `@`.
    fn run(&self, line: &str) -> Result<Exit, CliError> {
        let dir = self.0.path().display().to_string();
        let words = line.split(' ').map(|word| word.replace('@', &dir));
        let words = ["zoogate", "cert"]
            .map(str::to_owned)
            .into_iter()
            .chain(words);
        match Args::try_parse_from(words).unwrap().verb {
            crate::cli::args::Verb::Cert(cert) => super::run(cert.verb, Output::new()),
            other => panic!("{other:?}"),
        }
    }

    fn refusal(&self, line: &str) -> (u8, String) {
        let error = self.run(line).unwrap_err();
        let dir = format!("{}/", self.0.path().display());
        (error.exit().code(), error.to_string().replace(&dir, ""))
    }

    fn mode(&self, name: &str) -> u32 {
        let meta = std::fs::metadata(self.path(name)).unwrap();
        meta.permissions().mode() & 0o777
    }

    fn peer(&self, name: &str, trust_domain: &str) -> PeerFiles {
        PeerFiles {
            certificate: self.path(&format!("ca/{name}.pem")),
            key: self.path(&format!("ca/{name}.key")),
            ca: self.path("ca/ca.pem"),
            trust_domain: trust_domain.into(),
            name: name.into(),
        }
    }
}

#[test]
fn what_is_made_is_what_a_node_needs_and_no_more() {
    let dir = Dir::new();
    dir.run("ca @/ca").unwrap();
    dir.run("node n1 --ca @/ca --host zk1.example --host 10.0.0.1 --host localhost")
        .unwrap();
    dir.run("client web --ca @/ca --days 7").unwrap();
    for (name, mode) in [("ca", 0o600), ("n1", 0o600), ("web", 0o600)] {
        assert_eq!(dir.mode(&format!("ca/{name}.key")), mode, "{name}");
        assert_eq!(dir.mode(&format!("ca/{name}.pem")), 0o644, "{name}");
    }
    let facts = |name: &str| {
        let mut facts = certificate_facts(&dir.path(&format!("ca/{name}.pem"))).unwrap();
        assert_eq!(facts.len(), 1);
        facts.remove(0)
    };
    let (ca, n1, web) = (facts("ca"), facts("n1"), facts("web"));
    assert!(ca.is_authority && ca.subject.starts_with("CN=Zoogate CA "));
    assert_eq!((ca.not_after - ca.not_before) / 86_400, 3650);
    assert_eq!((n1.subject.as_str(), &n1.issuer), ("CN=n1", &ca.subject));
    assert_eq!(
        n1.names,
        [
            "URI:spiffe://zoogate/node/n1",
            "DNS:localhost",
            "IP:127.0.0.1",
            "IP:::1",
            "DNS:zk1.example",
            "IP:10.0.0.1"
        ]
    );
    assert_eq!(n1.usages, ["server", "client"]);
    assert_eq!((n1.not_after - n1.not_before) / 86_400, 365);
    assert_eq!((web.subject.as_str(), web.names.len()), ("CN=web", 0));
    assert_eq!(web.usages, ["client"]);
    assert!(!n1.is_authority && !web.is_authority);

    let n1 = PeerTls::load(dir.peer("n1", "zoogate"));
    assert!(n1.is_ok(), "{:?}", n1.err());
    let client = PeerTls::load(dir.peer("web", "zoogate")).err().unwrap();
    assert!(
        client
            .to_string()
            .contains("does not allow extended key usage"),
        "{client}"
    );
    let domain = PeerTls::load(dir.peer("n1", "other")).err().unwrap();
    assert!(
        domain.to_string().contains("no node of trust domain"),
        "{domain}"
    );
}

#[test]
fn nothing_is_overwritten_unless_asked_for() {
    let dir = Dir::new();
    dir.run("ca @/ca").unwrap();
    dir.run("node n1 --ca @/ca --out @/n1").unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.path(name)).unwrap();
    let before = (read("ca/ca.pem"), read("n1/n1.key"));
    let exists = |file: &str| (4, format!("{file} exists; --force overwrites it"));
    assert_eq!(dir.refusal("ca @/ca"), exists("ca/ca.pem"));
    assert_eq!(
        dir.refusal("node n1 --ca @/ca --out @/n1"),
        exists("n1/n1.pem")
    );
    std::fs::remove_file(dir.path("n1/n1.pem")).unwrap();
    assert_eq!(
        dir.refusal("client n1 --ca @/ca --out @/n1"),
        exists("n1/n1.key")
    );
    assert_eq!((read("ca/ca.pem"), read("n1/n1.key")), before);
    dir.run("node n1 --ca @/ca --out @/n1 --force").unwrap();
    assert_ne!(read("n1/n1.key"), before.1);
    assert_eq!(dir.mode("n1/n1.key"), 0o600);
    let left = std::fs::read_dir(dir.path("n1")).unwrap().count();
    assert_eq!(left, 2, "nothing is left lying about");
}

#[test]
fn an_authority_that_cannot_sign_says_why() {
    let dir = Dir::new();
    let (code, told) = dir.refusal("node n1 --ca @/nowhere");
    assert_eq!((code, told.as_str()), (3, "nowhere/ca.pem cannot be read"));
    dir.run("ca @/ca --days 2").unwrap();
    dir.run("client web --ca @/ca").unwrap();
    let web = certificate_facts(&dir.path("ca/web.pem")).unwrap();
    let ca = certificate_facts(&dir.path("ca/ca.pem")).unwrap();
    assert_eq!(
        web[0].not_after, ca[0].not_after,
        "no longer than its authority"
    );

    std::fs::create_dir(dir.path("leaf")).unwrap();
    for (from, to) in [("ca/web.pem", "leaf/ca.pem"), ("ca/web.key", "leaf/ca.key")] {
        std::fs::copy(dir.path(from), dir.path(to)).unwrap();
    }
    let (code, told) = dir.refusal("node n1 --ca @/leaf");
    assert_eq!(code, 1);
    assert!(
        told.contains("its certificate may not sign others"),
        "{told}"
    );
    std::fs::copy(dir.path("ca/web.key"), dir.path("ca/ca.key")).unwrap();
    let (_, told) = dir.refusal("node n1 --ca @/ca");
    assert!(
        told.contains("does not belong to the certificate"),
        "{told}"
    );
    std::fs::set_permissions(
        dir.path("ca/ca.key"),
        std::fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let (_, told) = dir.refusal("node n1 --ca @/ca");
    assert!(told.contains("can be read or changed by others"), "{told}");
}

#[test]
fn names_of_authorities_may_have_characters_that_mean_something() {
    let dir = Dir::new();
    let place = Place::new(&dir.path("ca"), "ca", false).unwrap();
    let name = "Söhne, Inc. + #1 = \"x\" ";
    place.write(&authority::new(name, 3).unwrap()).unwrap();
    dir.run("node n1 --ca @/ca --trust-domain shop.example")
        .unwrap();
    let peer = PeerTls::load(dir.peer("n1", "shop.example"));
    assert!(peer.is_ok(), "{:?}", peer.err());
}

#[test]
fn what_is_in_a_file_is_shown_certificate_by_certificate() {
    let dir = Dir::new();
    dir.run("ca @/ca").unwrap();
    dir.run("node n1 --ca @/ca --days 30").unwrap();
    let pem = |name: &str| std::fs::read_to_string(dir.path(name)).unwrap();
    let chain = format!("{}{}", pem("ca/n1.pem"), pem("ca/ca.pem"));
    std::fs::write(dir.path("chain.pem"), chain).unwrap();
    let shown = show::lines(&dir.path("chain.pem")).unwrap();
    assert_eq!(shown.len(), 17, "two paragraphs of eight lines: {shown:#?}");
    assert_eq!(shown[0], "subject      CN=n1");
    assert_eq!(shown[2], "kind         end certificate");
    assert_eq!(shown[4], "usages       server, client");
    assert!(shown[6].ends_with("(29 days left)") || shown[6].ends_with("(30 days left)"));
    assert_eq!(shown[8], "");
    assert_eq!(shown[11], "kind         authority");
    assert_eq!(
        dir.refusal("show @/ca/n1.key"),
        (1, "ca/n1.key holds no certificate".into())
    );
    assert_eq!(dir.refusal("show @/none").0, 3);
}
