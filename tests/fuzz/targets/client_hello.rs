//! Bytes as the beginning of TLS: reading never panics, holds no more than its bound, and finds the same wherever
//! packets end.
//!
//! The first byte of an input says how long the packets are.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zoogate::net::{HelloReader, MAX_HELLO};

/// What comes of `bytes` in packets of `size`: the name, `None` while more is wanted, or the alert.
fn read(bytes: &[u8], size: usize) -> Result<Option<Option<Box<str>>>, Vec<u8>> {
    let mut reader = HelloReader::default();
    for packet in bytes.chunks(size) {
        match reader.read(packet) {
            Ok(None) => {}
            Ok(Some(hello)) => return Ok(Some(hello.server_name)),
            Err(error) => return Err(error.alert()),
        }
    }
    assert!(bytes.len() < MAX_HELLO, "more is not waited for");
    Ok(None)
}

fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else {
        return;
    };
    let whole = read(bytes, bytes.len().max(1));
    let cut = read(bytes, usize::from(*size).max(1));
    match (&whole, &cut) {
        // The name is what counts; with what is wrong, which of two errors is seen first may depend on the cut.
        (Ok(whole), Ok(cut)) => assert_eq!(whole, cut),
        (Err(_), Err(_)) => {}
        // Bytes behind a complete hello are looked at only if they came with it.
        (Err(_), Ok(Some(_))) => {}
        _ => panic!("{whole:?} but {cut:?}"),
    }
    if let Ok(Some(Some(name))) = whole {
        assert!(
            !name.is_empty() && name.len() <= 255 && !name.bytes().any(|b| b.is_ascii_uppercase())
        );
    }
});
