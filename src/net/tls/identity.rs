//! Which node a certificate speaks for.
//!
//! ```text
//! URI subject alternative name   spiffe://<trust domain>/node/<node name>      exactly one, compared as bytes
//! extended key usages            serverAuth and clientAuth                     both written down
//! ```
//! A URI rather than a DNS name, because no public or company authority issues one by accident to whoever holds a host
//! name, and because node names need not be host names. A certificate without it is nobody's here: neither the subject
//! nor a DNS name takes its place. The trust domain keeps ensembles under one authority apart.
//!
//! Source: SPIFFE-ID and X.509-SVID (one URI SAN, section 2); RFC 5280, 4.2.1.6 and 4.2.1.12.

use std::fmt;
use x509_cert::Certificate;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{self, Decode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// Why a certificate does not speak for a node, or not for the one that is meant.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTheNode {
    /// It does not parse.
    #[error("the certificate is malformed")]
    Malformed,
    /// It has no URI among its names, or several.
    #[error("the certificate has {0} URI names, where a node's has one")]
    Names(usize),
    /// Its URI is of another form or another trust domain.
    #[error("the certificate is for {found:?}, which is no node of trust domain {domain:?}")]
    Form {
        /// The URI.
        found: String,
        /// What is expected.
        domain: String,
    },
    /// It is not meant for both sides of a connection.
    #[error("the certificate lacks the extended key usages of a node, serverAuth and clientAuth")]
    Usage,
    /// It is another node's.
    #[error("the certificate is of node {found:?}, not of {expected:?}")]
    Another {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}

// rustls shows errors of others by `Debug`.
impl fmt::Debug for NotTheNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The URI that names a node.
pub fn node_uri(domain: &str, name: &str) -> String {
    format!("spiffe://{domain}/node/{name}")
}

/// The name of the node that a certificate in DER speaks for.
///
/// # Errors
/// [`NotTheNode`], never [`NotTheNode::Another`].
pub(super) fn node_name(certificate: &[u8], domain: &str) -> Result<String, NotTheNode> {
    let certificate = Certificate::from_der(certificate).map_err(|_| NotTheNode::Malformed)?;
    let uri = only_uri(&certificate)?;
    let name = uri
        .strip_prefix(&node_uri(domain, ""))
        .filter(|name| !name.is_empty() && !name.contains('/'));
    let name = name.ok_or_else(|| NotTheNode::Form {
        found: uri.clone(),
        domain: domain.to_owned(),
    })?;
    let usages = certificate
        .tbs_certificate()
        .get_extension::<ExtendedKeyUsage>()
        .map_err(|_: der::Error| NotTheNode::Malformed)?;
    let usages = usages.map_or_else(Vec::new, |(_, usages)| usages.0);
    match usages.contains(&SERVER_AUTH) && usages.contains(&CLIENT_AUTH) {
        true => Ok(name.to_owned()),
        false => Err(NotTheNode::Usage),
    }
}

fn only_uri(certificate: &Certificate) -> Result<String, NotTheNode> {
    let names = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()
        .map_err(|_: der::Error| NotTheNode::Malformed)?;
    let names = names.map_or_else(Vec::new, |(_, names)| names.0);
    let mut uris: Vec<String> = names
        .into_iter()
        .filter_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
            _ => None,
        })
        .collect();
    match (uris.pop(), uris.len()) {
        (Some(uri), 0) => Ok(uri),
        (None, _) => Err(NotTheNode::Names(0)),
        (Some(_), more) => Err(NotTheNode::Names(more + 1)),
    }
}
