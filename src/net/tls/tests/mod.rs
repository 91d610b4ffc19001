//! Files, well and broken, and what becomes of them when they change.

mod hello;
mod peer;

use super::*;
use rcgen::{CertificateParams, DnType, KeyPair};
use std::cell::RefCell;
use std::error::Error;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A directory with a certificate for `localhost`, its key, and an authority's certificate, which is the same.
struct Dir(TempDir);

impl Dir {
    fn new() -> Dir {
        let dir = Dir(TempDir::new().unwrap());
        let (certificate, key) = pair(2099);
        dir.write("node.pem", &certificate);
        dir.write("node.key", &key);
        dir.write("ca.pem", &certificate);
        dir
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn files(&self) -> TlsFiles {
        let path = |name| self.0.path().join(name);
        TlsFiles {
            certificate: path("node.pem"),
            key: path("node.key"),
            clients: Some(ClientAuthorities {
                file: path("ca.pem"),
                required: false,
            }),
        }
    }

    /// What loading says, with its first cause, without the directory.
    fn refusal(&self) -> String {
        let error = self.files().load().err().expect("refused");
        let mut text = error.to_string();
        if let Some(cause) = error.source() {
            text = format!("{text}: {cause}");
        }
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// A certificate until the end of `year`, and its key.
fn pair(year: i32) -> (String, String) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 12, 31);
    params.distinguished_name.push(DnType::CommonName, "node");
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

#[test]
fn each_broken_file_is_named_with_what_is_wrong() {
    let (certificate, key) = pair(2099);
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let long = "#".repeat((1 << 20) + 1);
    for (name, text, expected) in [
        ("node.pem", "", "node.pem holds no certificate"),
        ("node.pem", key.as_str(), "node.pem holds no certificate"),
        ("node.pem", no_certificate, "node.pem holds a malformed"),
        (
            "node.pem",
            "-----BEGIN CERTIFICATE-----\nAAAA\n",
            "node.pem is not PEM: ",
        ),
        ("node.pem", &long, "node.pem is longer than 1048576 bytes"),
        ("node.key", "", "node.key holds no private key"),
        ("node.key", encrypted, "node.key holds no private key"),
        ("node.key", no_key, "the key in node.key cannot be used: "),
        (
            "node.key",
            &key,
            "the key in node.key does not belong to the certificate in node.pem",
        ),
        (
            "node.pem",
            &certificate,
            "the key in node.key does not belong to the certificate in node.pem",
        ),
        ("ca.pem", "", "ca.pem holds no certificate"),
        (
            "ca.pem",
            no_certificate,
            "the authorities in ca.pem cannot be used: ",
        ),
    ] {
        let dir = Dir::new();
        dir.write(name, text);
        let refusal = dir.refusal();
        assert!(refusal.starts_with(expected), "{name}: {refusal}");
    }
    let dir = Dir::new();
    fs::remove_file(dir.files().key).unwrap();
    let refusal = dir.refusal();
    assert!(
        refusal.starts_with("node.key cannot be read: No such file"),
        "{refusal}"
    );
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_to_do() {
    let dir = Dir::new();
    let key = dir.files().key;
    let is_root = rustix::process::geteuid().is_root();
    for (mode, is_private) in [
        (0o600, true),
        (0o400, true),
        (0o640, is_root),
        (0o644, false),
        (0o660, false),
        (0o606, false),
    ] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let refused = dir.files().load().err().map(|error| error.to_string());
        assert_eq!(refused.is_none(), is_private, "{mode:o}: {refused:?}");
        if let Some(refused) = refused {
            let told = format!("can be read or changed by others (mode {mode:04o}, owner ");
            assert!(refused.contains(&told), "{refused}");
            assert!(refused.contains("chmod 600"), "{refused}");
        }
    }
}

#[test]
fn an_expired_certificate_is_served_and_its_end_is_known() {
    let dir = Dir::new();
    let tls = ServerTls::load(dir.files()).unwrap();
    assert_eq!(tls.expires_at(), 4_102_358_400);
    let (certificate, key) = pair(2001);
    dir.write("node.pem", &certificate);
    dir.write("node.key", &key);
    let tls = ServerTls::load(dir.files()).unwrap();
    assert_eq!(tls.expires_at(), 1_009_756_800);
}

#[tokio::test]
async fn files_that_change_are_read_once_they_are_left_alone() {
    let dir = Dir::new();
    let tls = Arc::new(ServerTls::load(dir.files()).unwrap());
    let told = RefCell::new(Vec::new());
    let heard = async |expected: &[bool]| {
        while told.borrow().len() < expected.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(*told.borrow(), expected, "each change is told of once");
    };
    let story = async {
        let (certificate, key) = pair(2098);
        dir.write("node.pem", &certificate);
        heard(&[false]).await;
        assert_eq!(tls.expires_at(), 4_102_358_400);

        dir.write("node.key", &key);
        heard(&[false, true]).await;
        assert_eq!(tls.expires_at(), 4_070_822_400);

        fs::remove_file(dir.files().certificate).unwrap();
        heard(&[false, true, false]).await;
        assert_eq!(tls.expires_at(), 4_070_822_400);
    };
    let interval = Duration::from_millis(5);
    let follow = tls.clone().follow_every(interval, |reloaded| {
        told.borrow_mut().push(reloaded.is_ok())
    });
    tokio::select! {
        () = follow => panic!("it goes on for ever"),
        story = tokio::time::timeout(Duration::from_secs(20), story) => story.unwrap(),
    }
}
