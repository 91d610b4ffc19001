//! ClientHellos as rustls writes them, cut and damaged.

use super::super::fixture::Authority;
use super::*;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// The first flight of a client that asks for `host`.
fn first_flight(host: &str) -> Vec<u8> {
    let mut roots = RootCertStore::empty();
    let pem = Authority::new().pem();
    roots
        .add(PemObject::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same handshake message in records of `size` bytes.
fn in_records(flight: &[u8], size: usize) -> Vec<u8> {
    let (header, message) = flight.split_at(5);
    let record = |part: &[u8]| {
        let length = (part.len() as u16).to_be_bytes();
        [&header[..3], &length, part].concat()
    };
    message.chunks(size).flat_map(record).collect()
}

fn named(bytes: &[&[u8]]) -> Option<Box<str>> {
    let mut reader = HelloReader::default();
    let (last, before) = bytes.split_last().unwrap();
    for part in before {
        assert_eq!(reader.read(part).unwrap(), None);
    }
    reader.read(last).unwrap().expect("complete").server_name
}

#[test]
fn the_name_is_found_wherever_packets_and_records_end() {
    let flight = first_flight("Shop.Example");
    for bytes in [
        flight.clone(),
        in_records(&flight, 1),
        in_records(&flight, 100),
    ] {
        for cut in 1..bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(named(&[first, second]).as_deref(), Some("shop.example"));
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(named(&single).as_deref(), Some("shop.example"));
    }
}

#[test]
fn an_address_is_no_name() {
    assert_eq!(named(&[&first_flight("127.0.0.1")]), None);
    let dotted = first_flight("shop.example.");
    assert_eq!(named(&[&dotted]).as_deref(), Some("shop.example"));
}

fn alert_for(bytes: &[u8]) -> Vec<u8> {
    HelloReader::default().read(bytes).unwrap_err().alert()
}

#[test]
fn what_is_no_hello_is_answered_in_tls() {
    for garbage in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        &[0xff; 64],
    ] {
        let alert = alert_for(garbage);
        assert_eq!((alert[0], alert.len(), alert[5]), (21, 7, 2), "{alert:?}");
    }
    // A hello that says it is of 16 MiB is not waited for.
    assert!(
        HelloReader::default()
            .read(&[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff])
            .is_err()
    );
    let mut damaged = first_flight("shop.example");
    let at = damaged.windows(4).position(|w| w == b"shop").unwrap();
    damaged[at] = b'/';
    assert_eq!(alert_for(&damaged)[6], 47, "illegal_parameter");
}

#[test]
fn a_hello_without_an_end_is_too_long() {
    // One handshake message of 60,000 bytes, in records of 16,000.
    let message = [&[1, 0, 0xea, 0x60][..], &[0; 60_000]].concat();
    let endless = in_records(&[&[22, 3, 1, 0, 0][..], &message].concat(), 16_000);
    let error = HelloReader::default().read(&endless).unwrap_err();
    assert!(matches!(error, HelloError::TooLong), "{error}");
    assert_eq!(error.alert(), Alert::DecodeError.record());
}
