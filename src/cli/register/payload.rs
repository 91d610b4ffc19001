//! The data of a registered znode: our own JSON shape, the first of the formats the registry reads.

use super::Address;
use serde::{Deserialize, Serialize};

/// What the registry needs to know of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Payload {
    /// Host name or address; an IPv6 address without brackets.
    address: String,
    /// Port.
    port: u16,
    /// Share of the traffic, 1 to 65535.
    weight: u16,
}

/// The fields that say which process a registration stands for: two endpoints cannot have the same.
#[derive(Deserialize)]
struct Identity {
    address: String,
    port: u16,
}

impl Payload {
    /// The payload of an endpoint.
    pub(super) fn new(address: &Address, weight: u16) -> Payload {
        Payload {
            address: address.host.clone(),
            port: address.port,
            weight,
        }
    }

    /// As the znode holds it.
    pub(super) fn to_json(&self) -> String {
        // Only maps with keys that are no strings, or writers that fail, could make this an error.
        serde_json::to_string(self).expect("a struct of strings and numbers is JSON")
    }

    /// Whether `data` registers the same address, whatever its weight.
    pub(super) fn is_same_endpoint(&self, data: &[u8]) -> bool {
        serde_json::from_slice::<Identity>(data)
            .is_ok_and(|other| other.address == self.address && other.port == self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(address: &str) -> Payload {
        Payload::new(&address.parse().unwrap(), 3)
    }

    #[test]
    fn payload_is_the_native_shape() {
        assert_eq!(
            payload("10.0.0.5:8080").to_json(),
            r#"{"address":"10.0.0.5","port":8080,"weight":3}"#
        );
        assert_eq!(
            payload("[::1]:80").to_json(),
            r#"{"address":"::1","port":80,"weight":3}"#
        );
    }

    #[test]
    fn identity_is_the_address_and_nothing_else() {
        let ours = payload("10.0.0.5:8080");
        let same = br#"{"address":"10.0.0.5","port":8080,"weight":9,"zone":"a"}"#;
        assert!(ours.is_same_endpoint(same));
        for other in [
            &br#"{"address":"10.0.0.5","port":8081}"#[..],
            br#"{"address":"10.0.0.6","port":8080}"#,
            br#"{"name":"web","address":"10.0.0.5","port":"8080"}"#,
            b"10.0.0.5:8080",
            b"",
        ] {
            assert!(!ours.is_same_endpoint(other));
        }
    }
}
