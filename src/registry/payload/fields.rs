//! The members of a JSON object, read strictly: a value is of its type and in its range, or refused by name.

use super::PayloadError;
use super::address;
use super::error::quoted;
use serde_json::{Map, Value};

const HOST: &str = "a host name or an IP address";
const PORT: &str = "a number from 1 to 65535";
const WEIGHT: &str = "a number from 1 to 65535";
const TIER: &str = "a number from 0 to 255";
const TEXT: &str = "a text";

/// A JSON object. A member that is `null` counts as absent, as serialisers write it for what was never set.
pub(super) struct Fields<'a> {
    object: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(object: &'a Map<String, Value>) -> Fields<'a> {
        Fields { object }
    }

    /// Whether the object has this key, even as `null`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.object.contains_key(key)
    }

    /// The value of a key.
    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.object.get(key).filter(|value| !value.is_null())
    }

    /// The object that is the value of a key, if there is one.
    pub(super) fn object(&self, key: &str) -> Option<Fields<'a>> {
        self.value(key)?.as_object().map(Fields::new)
    }

    /// A text.
    pub(super) fn text(&self, key: &'static str) -> Result<Option<&'a str>, PayloadError> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(refused(key, other, TEXT)),
        }
    }

    /// A port.
    pub(super) fn port(&self, key: &'static str) -> Result<Option<u16>, PayloadError> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
        match port {
            Some(port) if port > 0 => Ok(Some(port)),
            _ => Err(refused(key, value, PORT)),
        }
    }

    /// A weight, written as a number or as text (Spring's metadata has only texts); 1 when absent.
    pub(super) fn weight(&self, key: &'static str) -> Result<u16, PayloadError> {
        let Some(value) = self.value(key) else {
            return Ok(1);
        };
        let weight = match value {
            Value::String(text) => text.parse::<u16>().ok(),
            _ => value.as_u64().and_then(|weight| u16::try_from(weight).ok()),
        };
        match weight {
            Some(weight) if weight > 0 => Ok(weight),
            _ => Err(refused(key, value, WEIGHT)),
        }
    }

    /// A tier, written as a number or as text; 0 when absent.
    pub(super) fn tier(&self, key: &'static str) -> Result<u8, PayloadError> {
        let Some(value) = self.value(key) else {
            return Ok(0);
        };
        let tier = match value {
            Value::String(text) => text.parse::<u8>().ok(),
            _ => value.as_u64().and_then(|tier| u8::try_from(tier).ok()),
        };
        tier.ok_or_else(|| refused(key, value, TIER))
    }

    /// `host:port` of the text under `host_key` and a port that was found, or was looked for under `port_key`.
    pub(super) fn address(
        &self,
        host_key: &'static str,
        port_key: &'static str,
        port: Option<u16>,
    ) -> Result<String, PayloadError> {
        let host = self.text(host_key)?.ok_or(PayloadError::Missing {
            key: host_key,
            expected: HOST,
        })?;
        let port = port.ok_or(PayloadError::Missing {
            key: port_key,
            expected: PORT,
        })?;
        address::join(host, port)
    }
}

/// The error for a value that cannot be.
pub(super) fn refused(key: &'static str, found: &Value, expected: &'static str) -> PayloadError {
    PayloadError::Value {
        key,
        found: quoted(&found.to_string()),
        expected,
    }
}
