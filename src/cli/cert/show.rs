//! What is in a file of certificates, for people.

use super::CertError;
use crate::net::{CertificateFacts, certificate_facts};
use crate::telemetry::unix_seconds;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

/// A paragraph per certificate.
///
/// # Errors
/// [`CertError`], if there is none or one does not parse.
pub(super) fn lines(file: &Path) -> Result<Vec<String>, CertError> {
    let facts = certificate_facts(file)?;
    let now = unix_seconds();
    let paragraphs: Vec<Vec<String>> = facts.iter().map(|facts| paragraph(facts, now)).collect();
    Ok(paragraphs.join(&String::new()))
}

fn paragraph(facts: &CertificateFacts, now: i64) -> Vec<String> {
    let or_none = |texts: &[String]| match texts {
        [] => "none".to_owned(),
        texts => texts.join(", "),
    };
    let kind = match facts.is_authority {
        true => "authority",
        false => "end certificate",
    };
    vec![
        format!("subject      {}", printable(&facts.subject)),
        format!("issuer       {}", printable(&facts.issuer)),
        format!("kind         {kind}"),
        format!("names        {}", printable(&or_none(&facts.names))),
        format!("usages       {}", or_none(&facts.usages)),
        format!("valid from   {}", date(facts.not_before)),
        format!(
            "valid until  {} ({})",
            date(facts.not_after),
            left(facts, now)
        ),
        format!("SHA-256      {}", fingerprint(&facts.der)),
    ]
}

/// Names come from whoever made the file; a terminal must not obey them.
fn printable(text: &str) -> String {
    let replaced = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(replaced).collect()
}

fn date(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    match UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        // Years have four digits there.
        Some(time) if seconds < 253_402_300_800 => {
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => "for ever".to_owned(),
    }
}

fn left(facts: &CertificateFacts, now: i64) -> String {
    let days = (facts.not_after - now) / (24 * 60 * 60);
    if facts.not_after <= now {
        "expired".to_owned()
    } else if facts.not_before > now {
        "not valid yet".to_owned()
    } else if days == 1 {
        "1 day left".to_owned()
    } else {
        format!("{days} days left")
    }
}

/// As `openssl x509 -fingerprint -sha256` writes it.
fn fingerprint(der: &[u8]) -> String {
    let bytes = Sha256::digest(der);
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    bytes.join(":")
}
