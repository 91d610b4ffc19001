//! Authorities and certificates for tests, right ones and wrong ones.

use super::{PeerFiles, PeerTls, TlsError, node_uri};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// The trust domain of the tests.
pub const DOMAIN: &str = "test";

/// An authority that certifies whatever it is asked to.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// The certificate of a node as it should be; tests make one thing wrong.
pub fn node(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.subject_alt_names = vec![uri(&node_uri(DOMAIN, name))];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

/// A URI among the names of a certificate.
pub fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Certifies what `params` say.
    pub fn issue(&self, params: &CertificateParams) -> Issued {
        let key = KeyPair::generate().unwrap();
        Issued {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// TLS as node `name` has it, that shows `params` and trusts this authority. The files are gone afterwards.
    ///
    /// # Errors
    /// [`TlsError`], if the node would refuse to start so.
    pub fn peer(&self, name: &str, params: &CertificateParams) -> Result<PeerTls, TlsError> {
        self.peer_trusting(name, params, &self.pem())
    }

    /// As [`Authority::peer`], trusting the authorities in `ca` instead.
    ///
    /// # Errors
    /// As for [`Authority::peer`].
    pub fn peer_trusting(
        &self,
        name: &str,
        params: &CertificateParams,
        ca: &str,
    ) -> Result<PeerTls, TlsError> {
        let dir = TempDir::new().unwrap();
        let issued = self.issue(params);
        PeerTls::load(files(dir.path(), name, &issued, ca))
    }
}

/// Writes the files of a node.
pub fn files(dir: &Path, name: &str, issued: &Issued, ca: &str) -> PeerFiles {
    let file = |file: &str, text: &str| {
        let path = dir.join(file);
        write_private(&path, text);
        path
    };
    PeerFiles {
        certificate: file("node.pem", &issued.certificate),
        key: file("node.key", &issued.key),
        ca: file("ca.pem", ca),
        trust_domain: DOMAIN.to_owned(),
        name: name.to_owned(),
    }
}

/// Writes a file that nobody else can read, as keys must be.
pub fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}
