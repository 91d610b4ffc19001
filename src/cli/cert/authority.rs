//! An authority: how it comes to be, and what it signs.
//!
//! It is read back from its own two files. rcgen signs in the name that it is given, so the name is built again from the
//! certificate and compared with what comes out, byte for byte: a certificate whose issuer is written differently from
//! the authority's subject leads nowhere (RFC 5280, 4.1.2.4).

use super::files::Made;
use super::{CertError, authority_files};
use crate::net::{certificate_facts, check_pair, node_uri};
use crate::telemetry::unix_seconds;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, date_time_ymd,
};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// How long before now certificates begin to be valid: clocks differ, and nobody wants to wait.
const BACKDATED: i64 = 60 * 60;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// By what this machine's own clients reach it.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A new authority.
///
/// # Errors
/// [`CertError::Make`].
pub(super) fn new(name: &str, days: u32) -> Result<Made, CertError> {
    let now = unix_seconds();
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    // Signs end certificates, and no further authorities.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid(&mut params, now, now + i64::from(days) * DAY);
    let key = new_key()?;
    Ok(Made {
        certificate: params.self_signed(&key)?.pem(),
        key: key.serialize_pem(),
    })
}

fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    let at = |seconds: i64| {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    };
    params.not_before = at(from - BACKDATED);
    params.not_after = at(to);
}

/// What a certificate shall say.
pub(super) struct Wanted(CertificateParams);

impl Wanted {
    /// A node's: its name for members, `hosts` for clients.
    ///
    /// # Errors
    /// [`CertError::Make`], for names that are not ASCII.
    pub(super) fn node(name: &str, domain: &str, hosts: &[String]) -> Result<Wanted, CertError> {
        let mut params = end(name);
        let uri = Ia5String::try_from(node_uri(domain, name))?;
        params.subject_alt_names.push(SanType::URI(uri));
        let hosts = hosts.iter().map(String::as_str);
        for host in LOCAL.into_iter().chain(hosts) {
            let name = match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(Ia5String::try_from(host)?),
            };
            if !params.subject_alt_names.contains(&name) {
                params.subject_alt_names.push(name);
            }
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        Ok(Wanted(params))
    }

    /// A client's.
    pub(super) fn client(name: &str) -> Wanted {
        let mut params = end(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Wanted(params)
    }
}

fn end(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
}

/// An authority at work.
pub(super) struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    subject: Vec<u8>,
    not_after: i64,
}

impl Authority {
    /// The one in `dir`.
    ///
    /// # Errors
    /// [`CertError`].
    pub(super) fn load(dir: &Path) -> Result<Authority, CertError> {
        let (certificate, key) = authority_files(dir);
        check_pair(&certificate, &key)?;
        let foreign = |why| CertError::Foreign {
            dir: dir.into(),
            why,
        };
        let facts = certificate_facts(&certificate)?;
        let facts = facts.into_iter().next().filter(|facts| facts.is_authority);
        let facts = facts.ok_or(foreign("its certificate may not sign others"))?;
        if facts.not_after <= unix_seconds() {
            return Err(CertError::Expired(dir.into()));
        }
        let parsed = Certificate::from_der(&facts.der).ok();
        let subject = parsed.and_then(|it| it.tbs_certificate().subject().to_der().ok());
        let subject = subject.ok_or(foreign("its certificate is malformed"))?;
        let name = facts.subject.strip_prefix("CN=").and_then(unescaped);
        let name = name.ok_or(foreign("its name is more than a common name"))?;
        let text = fs::read_to_string(&key).map_err(|source| CertError::Io {
            action: "read",
            path: key,
            source,
        })?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&name);
        Ok(Authority {
            dir: dir.into(),
            issuer: Issuer::new(params, KeyPair::from_pem(&text)?),
            subject,
            not_after: facts.not_after,
        })
    }

    /// Signs what is wanted, for `days` days or as long as the authority lasts; says how many days that is.
    ///
    /// # Errors
    /// [`CertError`].
    pub(super) fn issue(&self, wanted: Wanted, days: u32) -> Result<(Made, i64), CertError> {
        let Wanted(mut params) = wanted;
        let now = unix_seconds();
        let end = (now + i64::from(days) * DAY).min(self.not_after);
        valid(&mut params, now, end);
        let key = new_key()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let issuer = Certificate::from_der(certificate.der()).ok();
        let issuer = issuer.and_then(|it| it.tbs_certificate().issuer().to_der().ok());
        if issuer.as_ref() != Some(&self.subject) {
            let (dir, why) = (self.dir.clone(), "its name is written in another way");
            return Err(CertError::Foreign { dir, why });
        }
        let made = Made {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        };
        Ok((made, (end - now) / DAY))
    }
}

/// The value of a name's only part as it was before RFC 2253 escaped it; `None` if there are more parts.
fn unescaped(value: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => plain.push(characters.next()?),
            ',' | '+' => return None,
            c => plain.push(c),
        }
    }
    Some(plain)
}
