//! What a certificate says, for people.

use super::error::TlsError;
use super::files::{Pair, certificates};
use super::subject;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use std::net::IpAddr;
use std::path::Path;
use x509_cert::Certificate;
use x509_cert::der::{self, Decode};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, SubjectAltName};
use x509_cert::time::Time;

/// What a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Whose it is, as RFC 2253 writes it.
    pub subject: String,
    /// Whose authority vouches for it.
    pub issuer: String,
    /// The subject alternative names, each with its kind.
    pub names: Vec<String>,
    /// The extended key usages; empty if it has no such extension.
    pub usages: Vec<String>,
    /// Whether it may vouch for others.
    pub is_authority: bool,
    /// From when it is valid, seconds since the Unix epoch.
    pub not_before: i64,
    /// Until when.
    pub not_after: i64,
    /// All of it, in DER.
    pub der: Vec<u8>,
}

/// What the certificates in a PEM file say, in their order.
///
/// # Errors
/// [`TlsError`], if there is none or one does not parse.
pub fn certificate_facts(file: &Path) -> Result<Vec<CertificateFacts>, TlsError> {
    let facts = certificates(file)?.into_iter().map(|certificate| {
        of(&certificate).map_err(|source| TlsError::Certificate {
            file: file.into(),
            source,
        })
    });
    facts.collect()
}

fn of(certificate: &CertificateDer<'_>) -> der::Result<CertificateFacts> {
    let parsed = Certificate::from_der(certificate)?;
    let parsed = parsed.tbs_certificate();
    let names = parsed.get_extension::<SubjectAltName>()?;
    let usages = parsed.get_extension::<ExtendedKeyUsage>()?;
    let constraints = parsed.get_extension::<BasicConstraints>()?;
    let validity = parsed.validity();
    Ok(CertificateFacts {
        subject: subject::written(parsed.subject())?,
        issuer: subject::written(parsed.issuer())?,
        names: names.map_or_else(Vec::new, |(_, names)| names.0.iter().map(named).collect()),
        usages: usages.map_or_else(Vec::new, |(_, usages)| {
            usages
                .0
                .iter()
                .map(|usage| used(&usage.to_string()))
                .collect()
        }),
        is_authority: constraints.is_some_and(|(_, constraints)| constraints.ca),
        not_before: seconds(&validity.not_before),
        not_after: seconds(&validity.not_after),
        der: certificate.to_vec(),
    })
}

fn seconds(time: &Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

fn used(usage: &str) -> String {
    match usage {
        "1.3.6.1.5.5.7.3.1" => "server".to_owned(),
        "1.3.6.1.5.5.7.3.2" => "client".to_owned(),
        "2.5.29.37.0" => "any".to_owned(),
        other => other.to_owned(),
    }
}

fn named(name: &GeneralName) -> String {
    match name {
        GeneralName::DnsName(name) => format!("DNS:{name}"),
        GeneralName::UniformResourceIdentifier(uri) => format!("URI:{uri}"),
        GeneralName::Rfc822Name(address) => format!("email:{address}"),
        GeneralName::IpAddress(address) => match address.as_bytes() {
            bytes if bytes.len() == 4 => {
                <[u8; 4]>::try_from(bytes).map_or_else(unreadable, |ip| ip_name(ip.into()))
            }
            bytes => <[u8; 16]>::try_from(bytes).map_or_else(unreadable, |ip| ip_name(ip.into())),
        },
        GeneralName::DirectoryName(name) => {
            subject::written(name).map_or_else(unreadable, |name| format!("directory:{name}"))
        }
        _ => "another kind of name".to_owned(),
    }
}

fn ip_name(address: IpAddr) -> String {
    format!("IP:{address}")
}

fn unreadable<E>(_: E) -> String {
    "an unreadable name".to_owned()
}

/// Makes sure that a key belongs to a certificate and is for nobody else to read.
///
/// # Errors
/// [`TlsError`], for the first thing that is wrong.
pub fn check_pair(certificate: &Path, key: &Path) -> Result<(), TlsError> {
    Pair::load(certificate, key, &ring::default_provider()).map(|_| ())
}
