//! Registrations in every form they come in, one file per form, recognised by content.
//!
//! ```text
//! data                                      form
//! {"address": .., "port": .., ..}           native       our own JSON
//! the same with Curator's other keys        curator      Curator ServiceInstance: Spring Cloud Zookeeper, Dubbo 3
//! {"serviceEndpoint": {..}, ..}             serverset    Finagle, Aurora
//! {"host": .., "port": .., ..}              nerve        SmartStack
//! {"IP": .., "PublicPort": .., ..}          registrator  Registrator, for containers
//! host:port [weight=N]                      plain        one line of text
//! nothing                                   plain        the znode's name is the host:port
//! ```
//! Each JSON form is told by keys that no other form has, so the order in which they are tried does not matter.
//! What cannot be read is refused with what was found and what is expected, so that the operator who reads the
//! reason need not look the form up. Payloads come from anybody who may write below `/services`.
mod address;
mod curator;
mod error;
mod fields;
mod native;
mod nerve;
mod plain;
mod registrator;
mod serverset;

pub use error::PayloadError;
pub(super) use error::quoted;

use fields::Fields;

/// Longest payload that is read, in bytes. Real ones have a few hundred; a megabyte of JSON per instance, which
/// the tree would hold, would make each table cost seconds.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// What an instance says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `host:port`; the host is a name, an IPv4 address or a bracketed IPv6 address.
    pub address: String,
    /// Share of traffic relative to its neighbours, 1 to 65,535; 1 unless it says otherwise.
    pub weight: u16,
    /// Its tier, 0 unless it says otherwise: those of higher ones stand by for lower ones.
    pub tier: u8,
    /// What it wants of us.
    pub status: Status,
}

/// What an instance says about its own state. Forms that have fewer words than this use the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It serves.
    Up,
    /// It is up but asks for no new traffic.
    Draining,
    /// It does not serve yet.
    Starting,
    /// It does not serve any more.
    Stopped,
}

/// Reads the registration in `data`, of the znode called `instance`.
///
/// # Errors
/// [`PayloadError`] when it is in none of the known forms, or in one of them with a value that cannot be.
pub fn parse(instance: &str, data: &[u8]) -> Result<Registration, PayloadError> {
    if data.len() > MAX_PAYLOAD {
        return Err(PayloadError::TooLong(data.len()));
    }
    let text = std::str::from_utf8(data)
        .map_err(|e| PayloadError::NotText(e.valid_up_to()))?
        .trim();
    if text.is_empty() {
        return plain::parse_name(instance);
    }
    if !text.starts_with('{') {
        return plain::parse(text);
    }
    let object = serde_json::from_str(text).map_err(|e| PayloadError::NotJson(e.to_string()))?;
    let fields = Fields::new(&object);
    if serverset::recognises(&fields) {
        serverset::parse(&fields)
    } else if registrator::recognises(&fields) {
        registrator::parse(&fields)
    } else if curator::recognises(&fields) {
        curator::parse(&fields)
    } else if nerve::recognises(&fields) {
        nerve::parse(&fields)
    } else {
        native::parse(&fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(instance: &str, data: &[u8]) -> String {
        parse(instance, data).unwrap_err().to_string()
    }

    #[test]
    fn the_form_is_recognised_by_content() {
        for (instance, data, address) in [
            ("i1", r#"{"address":"10.0.0.1","port":80}"#, "10.0.0.1:80"),
            (
                "i1",
                " \n{\"address\":\"10.0.0.1\",\"port\":80}\n",
                "10.0.0.1:80",
            ),
            (
                "i1",
                r#"{"address":"10.0.0.2","port":81,"serviceType":"DYNAMIC"}"#,
                "10.0.0.2:81",
            ),
            (
                "i1",
                r#"{"serviceEndpoint":{"host":"10.0.0.5","port":84},"status":"ALIVE"}"#,
                "10.0.0.5:84",
            ),
            ("i1", r#"{"host":"10.0.0.6","port":85}"#, "10.0.0.6:85"),
            (
                "i1",
                r#"{"IP":"10.0.0.7","PublicPort":86,"PrivatePort":80}"#,
                "10.0.0.7:86",
            ),
            ("i1", "10.0.0.3:82\n", "10.0.0.3:82"),
            ("10.0.0.4:83", "", "10.0.0.4:83"),
            ("10.0.0.4:83", " \n", "10.0.0.4:83"),
        ] {
            assert_eq!(parse(instance, data.as_bytes()).unwrap().address, address);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_reason() {
        for (instance, data, expected) in [
            (
                "i1",
                &b""[..],
                r#"the payload is empty and the name "i1" has no port; expected host:port"#,
            ),
            (
                "i1",
                b"\xff\xfe",
                "byte 0 of the payload is not UTF-8; expected JSON or host:port",
            ),
            (
                "i1",
                b"{\"address\":",
                "the payload is not valid JSON: EOF while parsing a value at line 1 column 11",
            ),
            (
                "i1",
                b"[1]",
                r#"found "[1]" without a port; expected host:port"#,
            ),
            (
                "i1",
                b"{}",
                r#"found no "address"; expected a host name or an IP address"#,
            ),
        ] {
            assert_eq!(reason(instance, data), expected);
        }
    }

    #[test]
    fn payloads_have_a_longest_length() {
        let mut data = br#"{"address":"h","port":1}"#.to_vec();
        data.resize(MAX_PAYLOAD, b' ');
        assert!(parse("i1", &data).is_ok());
        data.push(b' ');
        assert_eq!(
            reason("i1", &data),
            "the payload has 65537 bytes; expected at most 65536"
        );
    }

    #[test]
    fn deep_nesting_is_refused_rather_than_followed() {
        let data = format!(r#"{{"tags":{}"#, "[".repeat(60_000));
        assert!(reason("i1", data.as_bytes()).contains("recursion limit"));
    }

    #[test]
    fn reasons_stay_short_whatever_was_found() {
        let data = format!(r#"{{"address":"{}","port":1}}"#, "é".repeat(10_000));
        assert!(reason("i1", data.as_bytes()).len() < 400);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_read_is_an_address_with_a_weight(
            instance in "\\PC{0,40}",
            data in proptest::prop_oneof![
                "\\PC{0,60}",
                r#"\{"address":("[a-z0-9.:\[\]-]{0,20}"|null|1),"port":-?[0-9]{1,6}(,"weight":"?[0-9]{1,6}"?)?\}"#,
                r"[a-z0-9.:\[\]-]{1,20}:[0-9]{1,6}( weight=[0-9]{1,6})?",
            ],
        ) {
            if let Ok(read) = parse(&instance, data.as_bytes()) {
                proptest::prop_assert!(read.weight >= 1);
                proptest::prop_assert_eq!(address::parse(&read.address), Ok(read.address));
            }
        }
    }
}
