//! Headers whole, cut at every byte, and wrong in every way that the specification names.

use super::*;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ends(source: &str, destination: &str) -> Option<Addresses> {
    Some(Addresses {
        source: addr(source),
        destination: addr(destination),
    })
}

/// The header in `bytes`, which must be one, with something behind it, and nothing at all when cut anywhere.
fn whole(bytes: &[u8]) -> ProxyHeader {
    for cut in 0..bytes.len() {
        assert_eq!(parse(&bytes[..cut]), Ok(Parsed::Partial), "cut at {cut}");
    }
    let followed = [bytes, b"PROXY UNKNOWN\r\npayload"].concat();
    match parse(&followed) {
        Ok(Parsed::Whole { header, length }) => {
            assert_eq!(length, bytes.len(), "what follows belongs to the stream");
            header
        }
        other => panic!("{other:?}: {bytes:x?}"),
    }
}

/// A header of version 2 by its parts.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u16).to_be_bytes();
    [
        &b"\r\n\r\n\0\r\nQUIT\n"[..],
        &[command, family],
        &length,
        body,
    ]
    .concat()
}

const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xc8, 0x22, 1, 0xbb];

#[test]
fn lines_say_who_connected_to_where() {
    for (line, expected) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n",
            ends("192.0.2.1:51234", "198.51.100.7:443"),
        ),
        (
            "PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
            ends("0.0.0.0:0", "255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 2001:db8::1 ::1 51234 443\r\n",
            ends("[2001:db8::1]:51234", "[::1]:443"),
        ),
        ("PROXY UNKNOWN\r\n", None),
        ("PROXY UNKNOWN what\tever it is\r\n", None),
    ] {
        let header = whole(line.as_bytes());
        assert_eq!(header.addresses, expected, "{line}");
        assert_eq!(header.tlvs, Tlvs::default());
    }
    let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
    assert_eq!(longest.len(), 107);
    whole(longest.as_bytes());
}

#[test]
fn a_line_that_could_mean_something_else_is_refused() {
    for line in [
        "PROXY  TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.7 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 65536 2\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY TCP5 192.0.2.1 198.51.100.7 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n",
        "PROXY \r\n",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(Malformed::Line), "{line:?}");
    }
    for other in [
        "GET / HTTP/1.1\r\n",
        "PROXYTCP4",
        "proxy TCP4",
        " PROXY",
        "PRI * HTTP/2",
    ] {
        assert_eq!(
            parse(other.as_bytes()),
            Err(Malformed::Signature),
            "{other:?}"
        );
    }
    let endless = format!("PROXY UNKNOWN {}", "f".repeat(200));
    assert_eq!(parse(endless.as_bytes()), Err(Malformed::LineTooLong));
    let late = format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16));
    assert_eq!(parse(late.as_bytes()), Err(Malformed::LineTooLong));
}

#[test]
fn binary_headers_say_who_connected_to_where() {
    let ipv6 = [
        &[0x20, 1, 0xd, 0xb8][..],
        &[0; 11],
        &[1],
        &[0; 15],
        &[1],
        &IPV4[8..],
    ]
    .concat();
    let unix = [0x2f; 216];
    for (family, body, expected) in [
        (0x11, &IPV4[..], ends("192.0.2.1:51234", "198.51.100.7:443")),
        (0x21, &ipv6, ends("[2001:db8::1]:51234", "[::1]:443")),
        (0x31, &unix, None),
        (0x00, &[], None),
        (0x00, b"of no meaning", None),
    ] {
        let header = whole(&binary(0x21, family, body));
        assert_eq!(header.addresses, expected, "{family:x}");
    }
}

#[test]
fn local_means_the_connection_itself_whatever_else_is_said() {
    for (family, body) in [
        (0x00, &[][..]),
        (0x11, &IPV4),
        (0x11, &[1]),
        (0xff, b"\x01\xff\xff"),
    ] {
        assert_eq!(whole(&binary(0x20, family, body)), ProxyHeader::default());
    }
}

#[test]
fn a_binary_header_that_is_wrong_is_refused() {
    let tlv = |bytes: &[u8]| [&IPV4[..], bytes].concat();
    for (command, family, body, expected) in [
        (0x22, 0x11, IPV4.to_vec(), Malformed::Command),
        (0x2f, 0x11, IPV4.to_vec(), Malformed::Command),
        (0x11, 0x11, IPV4.to_vec(), Malformed::Version),
        (0x31, 0x11, IPV4.to_vec(), Malformed::Version),
        (0x21, 0x12, IPV4.to_vec(), Malformed::Family),
        (0x21, 0x10, IPV4.to_vec(), Malformed::Family),
        (0x21, 0x01, IPV4.to_vec(), Malformed::Family),
        (0x21, 0x41, IPV4.to_vec(), Malformed::Family),
        (0x21, 0x11, IPV4[..11].to_vec(), Malformed::Length),
        (0x21, 0x21, vec![0; 35], Malformed::Length),
        (0x21, 0x31, vec![0; 215], Malformed::Length),
        (0x21, 0x11, tlv(&[0xea]), Malformed::Tlv),
        (0x21, 0x11, tlv(&[0xea, 0]), Malformed::Tlv),
        (0x21, 0x11, tlv(&[0xea, 0, 2, 1]), Malformed::Tlv),
        (
            0x21,
            0x11,
            tlv(&[0xea, 0, 0, 0xeb, 0xff, 0xff]),
            Malformed::Tlv,
        ),
        (0x21, 0x11, tlv(&[3, 0, 4, 0, 0, 0, 0]), Malformed::Checksum),
        (0x21, 0x11, tlv(&[3, 0, 3, 0, 0, 0]), Malformed::Checksum),
        (0x21, 0x11, vec![0; MAX_TLVS + 1], Malformed::TooLong),
    ] {
        let header = binary(command, family, &body);
        assert_eq!(parse(&header), Err(expected), "{command:x} {family:x}");
    }
    // The signature's last byte is wrong.
    assert_eq!(parse(b"\r\n\r\n\0\r\nQUIT\r"), Err(Malformed::Signature));
    // Too long is known before it has come.
    let header = binary(0x21, 0x11, &vec![0; MAX_TLVS + 1]);
    assert_eq!(parse(&header[..16]), Err(Malformed::TooLong));
}

#[test]
fn tlvs_are_kept_and_found() {
    let tlvs = [
        &IPV4[..],
        &[
            0x05, 0, 2, b'i', b'd', 4, 0, 0, 0xea, 0, 1, 7, 0xea, 0, 1, 8,
        ],
    ]
    .concat();
    let header = whole(&binary(0x21, 0x11, &tlvs));
    assert_eq!(header.tlvs.find(TlvKind::UNIQUE_ID), Some(&b"id"[..]));
    assert_eq!(
        header.tlvs.find(TlvKind(0xea)),
        Some(&[7][..]),
        "the first of two"
    );
    assert_eq!(header.tlvs.find(TlvKind::NOOP), Some(&[][..]));
    assert_eq!(header.tlvs.find(TlvKind(0xeb)), None);
    let kinds: Vec<u8> = header.tlvs.iter().map(|(kind, _)| kind.0).collect();
    assert_eq!(kinds, [5, 4, 0xea, 0xea]);
}

/// As HAProxy writes it with `proxy-v2-options crc32c`: computed over the header with zeros in the value.
#[test]
fn a_checksum_is_verified_wherever_it_stands() {
    for before in [&[][..], &[5, 0, 2, 1, 2]] {
        let body = [&IPV4[..], before, &[3, 0, 4, 0, 0, 0, 0], &[4, 0, 1, 9]].concat();
        let mut header = binary(0x21, 0x11, &body);
        let sum = crc32c::crc32c(&header).to_be_bytes();
        let at = header.len() - 8;
        header[at..at + 4].copy_from_slice(&sum);
        whole(&header);
        header[20] ^= 1;
        assert_eq!(parse(&header), Err(Malformed::Checksum));
    }
}

#[test]
fn what_is_written_is_read_again() {
    let mut tlvs = TlvWriter::default();
    tlvs.push(TlvKind::AUTHORITY, b"shop.example");
    tlvs.push_ssl(&SslTlv {
        version: "TLSv1.3",
        cipher: "TLS_AES_128_GCM_SHA256",
        certificate: ClientCertificateSeen::Now,
        common_name: Some("web"),
    });
    for (from, to) in [
        ("192.0.2.1:1", "192.0.2.2:2"),
        ("[2001:db8::1]:1", "[::1]:65535"),
    ] {
        let addresses = ends(from, to).unwrap();
        assert_eq!(whole(&v1(&addresses)).addresses, Some(addresses));
        let header = whole(&v2(&addresses, &tlvs));
        assert_eq!(header.addresses, Some(addresses));
        assert_eq!(
            header.tlvs.find(TlvKind::AUTHORITY),
            Some(&b"shop.example"[..])
        );
        let ssl = header.tlvs.find(TlvKind::SSL).unwrap();
        let (fixed, inner) = ssl.split_at(5);
        assert_eq!(fixed, [0b111, 0, 0, 0, 0]);
        let inner = Tlvs::read(inner).unwrap();
        assert_eq!(inner.find(TlvKind(0x21)), Some(&b"TLSv1.3"[..]));
        assert_eq!(inner.find(TlvKind(0x22)), Some(&b"web"[..]));
        assert_eq!(
            inner.find(TlvKind(0x23)),
            Some(&b"TLS_AES_128_GCM_SHA256"[..])
        );
    }
    assert_eq!(whole(&v2_local()), ProxyHeader::default());
    assert_eq!(whole(&v1_unknown()), ProxyHeader::default());
}

#[test]
fn addresses_of_two_families_are_written_as_what_the_version_has() {
    let mixed = ends("192.0.2.1:1", "[::1]:2").unwrap();
    assert_eq!(v1(&mixed), b"PROXY UNKNOWN\r\n");
    let mapped = ends("[::ffff:192.0.2.1]:1", "[::1]:2");
    assert_eq!(whole(&v2(&mixed, &TlvWriter::default())).addresses, mapped);
}

#[test]
fn what_does_not_fit_a_header_is_left_out_of_it() {
    let mut tlvs = TlvWriter::default();
    for kind in 0..8 {
        tlvs.push(TlvKind(kind), &[kind; 4096]);
    }
    tlvs.push(TlvKind(9), &[0; 70_000]);
    tlvs.push(TlvKind(10), b"fits");
    let header = v2(&ends("192.0.2.1:1", "192.0.2.2:2").unwrap(), &tlvs);
    assert!(header.len() <= 16 + 36 + 10 * 1024, "{}", header.len());
    assert!(header.ends_with(b"fits"));
}
