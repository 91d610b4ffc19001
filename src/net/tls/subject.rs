//! The subject of a certificate as text, the way Java writes it, because that is what ZooKeeper's ACLs hold.
//!
//! ```text
//! SEQUENCE { SET { C = DE }, SET { O = Example, Inc. }, SET { CN = web } }   ->   CN=web,O=Example\, Inc.,C=DE
//! ```
//! The parts come in reverse, most specific first. Only the nine attributes that RFC 2253 names are written by
//! name; others, and values that are no text, as the hexadecimal digits of their encoding.
//!
//! Source: RFC 2253, section 2; RFC 4514 for NUL; `X500Principal.getName()` for what both leave open: a `#` and
//! an `=` are escaped wherever they stand, and a carriage return at an end like a space.

use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::Any;
use x509_cert::der::{self, Decode, Encode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;

/// The attributes that have a name.
const NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// The subject of a certificate in DER.
///
/// # Errors
/// When the certificate does not parse.
pub(super) fn of(certificate: &[u8]) -> der::Result<String> {
    let certificate = Certificate::from_der(certificate)?;
    written(certificate.tbs_certificate().subject())
}

/// The common name in the subject of a certificate in DER, the most specific if there are several.
pub(super) fn common_name(certificate: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate().subject();
    let attributes = subject.iter_rdn().flat_map(|rdn| rdn.iter());
    let names = attributes.filter(|attribute| attribute.oid.to_string() == NAMES[0].0);
    names.filter_map(|name| text(&name.value)).last()
}

/// The DNS names that a certificate in DER is for.
///
/// # Errors
/// When the certificate does not parse.
pub(super) fn dns_names(certificate: &[u8]) -> der::Result<Vec<String>> {
    let certificate = Certificate::from_der(certificate)?;
    let names = certificate
        .tbs_certificate()
        .get_extension::<SubjectAltName>()?;
    let names = names.map_or_else(Vec::new, |(_, names)| names.0);
    let names = names.into_iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        _ => None,
    });
    Ok(names.collect())
}

/// A distinguished name as text.
pub(super) fn written(name: &Name) -> der::Result<String> {
    let mut parts = Vec::new();
    for rdn in name.iter_rdn() {
        let attributes: der::Result<Vec<String>> = rdn.iter().map(attribute).collect();
        parts.push(attributes?.join("+"));
    }
    parts.reverse();
    Ok(parts.join(","))
}

fn attribute(attribute: &AttributeTypeAndValue) -> der::Result<String> {
    let kind = attribute.oid.to_string();
    let name = NAMES.iter().find(|(oid, _)| *oid == kind);
    Ok(match name.zip(text(&attribute.value)) {
        Some(((_, name), value)) => format!("{name}={}", escaped(&value)),
        None => {
            let encoded = attribute.value.to_der()?;
            let digits: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
            let name = name.map_or(kind.as_str(), |(_, name)| name);
            format!("{name}=#{digits}")
        }
    })
}

/// The text of a value, if it is one of the string types and well-formed.
fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::GeneralString => {
            std::str::from_utf8(bytes).ok().map(str::to_owned)
        }
        // In practice Latin-1, whatever T.61 says.
        Tag::TeletexString => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let (units, rest) = bytes.as_chunks::<2>();
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            let text = char::decode_utf16(units).collect::<Result<_, _>>().ok();
            text.filter(|_| rest.is_empty())
        }
        _ => None,
    }
}

fn escaped(value: &str) -> String {
    let is_blank = |c: char| matches!(c, ' ' | '\r');
    let lead = value.len() - value.trim_start_matches(is_blank).len();
    let trail = value.trim_end_matches(is_blank).len();
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        match c {
            '\0' => out.push_str("\\00"),
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => out.extend(['\\', c]),
            _ if at < lead || at >= trail => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_cert::der::oid::ObjectIdentifier;

    fn value_of(oid: &str, tag: Tag, value: &[u8]) -> String {
        attribute(&AttributeTypeAndValue {
            oid: ObjectIdentifier::new(oid).expect("an OID"),
            value: Any::new(tag, value).expect("a value"),
        })
        .expect("encodable")
    }

    #[test]
    fn parts_come_in_reverse_and_those_of_one_level_together() {
        // Names are read from text most specific part first, too, so each comes back as it was.
        for name in [
            "CN=web,O=Example,C=DE",
            "OU=Sales+CN=J. Smith,DC=example,DC=net",
            "UID=jsmith,DC=example,DC=net",
            "CN=James \\\"Jim\\\" Smith\\, III,DC=example,DC=net",
            "CN=Zürich 東京,STREET=1 Main St,L=Bern,ST=Bern",
            "1.3.6.1.4.1.1466.0=#04024869,O=Test",
        ] {
            let parsed: Name = name
                .parse()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(written(&parsed).as_deref(), Ok(name));
        }
        assert_eq!(written(&Name::default()).as_deref(), Ok(""));
    }

    #[test]
    fn what_means_something_is_escaped() {
        for (value, expected) in [
            ("web", "web"),
            ("Example, Inc.", "Example\\, Inc."),
            ("a+b=c<d>e;f", "a\\+b\\=c\\<d\\>e\\;f"),
            ("say \"hi\" \\", "say \\\"hi\\\" \\\\"),
            ("#1 and #2", "\\#1 and \\#2"),
            ("  a b  ", "\\ \\ a b\\ \\ "),
            ("\ra\r", "\\\ra\\\r"),
            ("a\0b", "a\\00b"),
            ("Zürich/東京", "Zürich/東京"),
            (" ", "\\ "),
            ("", ""),
        ] {
            assert_eq!(escaped(value), expected, "{value:?}");
        }
    }

    #[test]
    fn nine_attributes_have_names_and_the_rest_digits() {
        let common_name = "2.5.4.3";
        for (oid, tag, value, expected) in [
            (common_name, Tag::Utf8String, &b"web"[..], "CN=web"),
            ("2.5.4.8", Tag::PrintableString, b"Bern", "ST=Bern"),
            (
                "0.9.2342.19200300.100.1.25",
                Tag::Ia5String,
                b"example",
                "DC=example",
            ),
            (common_name, Tag::TeletexString, b"Z\xfcrich", "CN=Zürich"),
            (common_name, Tag::BmpString, b"\0w\x67\x71", "CN=w東"),
            (common_name, Tag::BmpString, b"\0w\0", "CN=#1e03007700"),
            (common_name, Tag::Utf8String, b"\xff", "CN=#0c01ff"),
            (common_name, Tag::Integer, b"\x05", "CN=#020105"),
            (
                "1.2.840.113549.1.9.1",
                Tag::Ia5String,
                b"a@b",
                "1.2.840.113549.1.9.1=#1603614062",
            ),
        ] {
            assert_eq!(value_of(oid, tag, value), expected);
        }
    }
}
