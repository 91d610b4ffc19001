//! Why a registration cannot be read: what was found, and what is expected instead.

use super::MAX_PAYLOAD;

/// Longest piece of a payload that a reason quotes, in characters.
const QUOTED: usize = 80;

/// What is wrong with a registration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Longer than [`MAX_PAYLOAD`].
    #[error("the payload has {0} bytes; expected at most {MAX_PAYLOAD}")]
    TooLong(usize),
    /// Not UTF-8, from this byte on.
    #[error("byte {0} of the payload is not UTF-8; expected JSON or host:port")]
    NotText(usize),
    /// It begins like a JSON object but is not one.
    #[error("the payload is not valid JSON: {0}")]
    NotJson(String),
    /// A JSON object without something it must have.
    #[error("found no {key:?}; expected {expected}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What its value would be.
        expected: &'static str,
    },
    /// A value that cannot be.
    #[error("found {key:?}: {found}; expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value, shortened.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
    /// An address that ends without a port.
    #[error("found {0:?} without a port; expected host:port")]
    NoPort(String),
    /// A host that is neither name nor address.
    #[error(
        "found the host {0:?}; expected a name, an IPv4 address or an IPv6 address in brackets"
    )]
    Host(String),
    /// A port that is no port.
    #[error("found the port {0:?}; expected 1 to 65535")]
    Port(String),
    /// A word after the address that means nothing.
    #[error(
        "found {0:?} after the address; expected weight=N, 1 to 65535, tier=N, 0 to 255, or nothing"
    )]
    Word(String),
    /// An empty payload, and a name that is no address.
    #[error("the payload is empty and the name {0:?} has no port; expected host:port")]
    Empty(String),
}

/// `text`, shortened so that a reason stays readable.
pub(in crate::registry) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}
