//! Readers of texts that several sections share: encodings, names and addresses.

use crate::config::{ConfigError, ConfigErrors, ServiceName, limits, words};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// The text in `bytes`.
///
/// # Errors
/// [`ConfigErrors`] if it is too long, or at the first byte that is not UTF-8.
pub(super) fn decoded<'b>(bytes: &'b [u8], source: &str) -> Result<&'b str, ConfigErrors> {
    check_length(bytes.len(), source)?;
    std::str::from_utf8(bytes).map_err(|error| {
        let text = String::from_utf8_lossy(bytes);
        let valid = error.valid_up_to();
        let message = "the text is not UTF-8 from here".to_owned();
        let error = ConfigError::at(&source.into(), &text, valid..valid + 1, message);
        ConfigErrors::new(vec![error], 0)
    })
}

/// # Errors
/// [`ConfigErrors`] if a text of `length` bytes is too long to be settings.
pub(super) fn check_length(length: usize, source: &str) -> Result<(), ConfigErrors> {
    if length <= limits::TEXT_BYTES {
        return Ok(());
    }
    let message = format!("settings have at most {} bytes", limits::TEXT_BYTES);
    Err(ConfigErrors::whole(source, message))
}

/// `name` as a TOML key, quoted where TOML asks for it.
pub(super) fn as_key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(is_bare) {
        words::shortened(name)
    } else {
        format!("{:?}", words::shortened(name))
    }
}

/// The name of a node, member, zone or listener: what can be a host name's label, a file name and a metric label.
pub(super) fn name(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > limits::NAME_BYTES {
        let (max, length) = (limits::NAME_BYTES, text.len());
        return Err(format!(
            "a name has 1 to {max} characters, this one has {length}"
        ));
    }
    if !text.chars().all(is_allowed) {
        return Err(format!(
            "name {text:?} may have letters, digits, '-', '_' and '.' only"
        ));
    }
    Ok(text.to_owned())
}

/// The name of a service.
pub(super) fn service_name(text: &str) -> Result<ServiceName, String> {
    ServiceName::new(text).map_err(|error| error.to_string())
}

/// The name of an endpoint's instance, which is the name of its znode or a static endpoint's `host:port`.
pub(super) fn instance(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > limits::INSTANCE_BYTES {
        let (max, length) = (limits::INSTANCE_BYTES, text.len());
        return Err(format!(
            "an instance's name has 1 to {max} bytes, this one has {length}"
        ));
    }
    if text.chars().any(|c| c == '/' || c.is_control()) {
        let text = words::shortened(text);
        return Err(format!(
            "instance {text:?} has a '/' or a control character; give its name, not its path"
        ));
    }
    Ok(text.to_owned())
}

/// An IP address and port to listen on.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let shown = words::shortened(text);
        match text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
            Some(port) if port.parse::<u16>().is_ok() => format!(
                "{shown:?} has no IP address; write \"0.0.0.0:{port}\", or \"[::]:{port}\" with IPv6, for all"
            ),
            _ => format!(
                "{shown:?} is not an IP address and port, such as \"127.0.0.1:8080\" or \"[::1]:8080\""
            ),
        }
    })
}

/// A network in CIDR notation, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let shown = words::shortened(text);
    match text.parse::<IpNet>() {
        Ok(network) if network == network.trunc() => Ok(network),
        Ok(network) => Err(format!(
            "{shown:?} has bits behind its prefix; write \"{}\"",
            network.trunc()
        )),
        Err(_) => Err(format!(
            "{shown:?} is not a network, such as \"10.0.0.0/8\" or \"fd00::/8\""
        )),
    }
}

/// A `host:port` to connect to; the host may be a DNS name, an IPv4 address or an IPv6 address in brackets.
pub(super) fn host_port(text: &str) -> Result<String, String> {
    let wrong = |what: &str| {
        let text = words::shortened(text);
        Err(format!(
            "{text:?} {what}; write \"host:port\", such as \"10.0.0.5:8080\""
        ))
    };
    let Some((host, port)) = text.rsplit_once(':') else {
        return wrong("has no port");
    };
    if !matches!(port.parse::<u16>(), Ok(1..)) || port.starts_with('+') {
        return wrong("has no port from 1 to 65535");
    }
    if text.len() > limits::ADDRESS_BYTES || !is_host(host) {
        return wrong("has no valid host");
    }
    Ok(text.to_owned())
}

/// The path of a file.
pub(super) fn file_path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.len() > limits::FILE_PATH_BYTES || text.contains('\0') {
        let text = words::shortened(text);
        return Err(format!("{text:?} is not a file's path"));
    }
    Ok(text.into())
}

/// The trust domain of nodes' names, as SPIFFE has it.
pub(super) fn trust_domain(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let is_right = (1..=limits::TRUST_DOMAIN_BYTES).contains(&text.len());
    match is_right && text.chars().all(is_allowed) {
        true => Ok(text.to_owned()),
        false => {
            let text = words::shortened(text);
            let max = limits::TRUST_DOMAIN_BYTES;
            Err(format!(
                "{text:?} is not a trust domain: 1 to {max} lower-case letters, digits, '-', '_' and '.'"
            ))
        }
    }
}

/// A digest identity as ACLs name it: `user:base64(sha1(user:password))`.
pub(super) fn digest(text: &str) -> Result<String, String> {
    let is_hash = |hash: &str| {
        STANDARD
            .decode(hash)
            .is_ok_and(|hash| hash.len() == SHA1_BYTES)
    };
    match text.split_once(':') {
        Some((user, hash)) if user.len() <= limits::DIGEST_USER_BYTES && is_hash(hash) => {
            Ok(text.to_owned())
        }
        // Not shown: somebody may have written the password itself.
        _ => Err("not a digest; write \"user:HASH\", where HASH is what \
             `printf %s user:password | openssl sha1 -binary | base64` prints"
            .to_owned()),
    }
}

/// Bytes of a SHA-1 hash.
const SHA1_BYTES: usize = 20;

/// Whether `text` is a DNS name, an IPv4 address, or an IPv6 address in brackets. Not empty.
pub(super) fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[') {
        return inner
            .strip_suffix(']')
            .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    text.split('.').all(is_label)
}
