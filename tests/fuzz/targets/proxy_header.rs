//! Bytes as a header of the PROXY protocol: reading never panics, a header is whole at its last byte and not before,
//! and what it says is said again by what is written for it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use zoogate::net::proxy_protocol::{Malformed, Parsed, TlvKind, TlvWriter, parse, v1, v2};

fuzz_target!(|input: &[u8]| {
    let whole = parse(input);
    let Ok(Parsed::Whole { header, length }) = &whole else {
        // What is wrong stays wrong, whatever follows.
        if whole.is_err() {
            assert_eq!(parse(&[input, b"\r\n"].concat()), whole);
        }
        return;
    };
    assert!(*length <= input.len());
    for cut in 0..*length {
        assert_eq!(parse(&input[..cut]), Ok(Parsed::Partial), "cut at {cut}");
    }
    assert_eq!(
        parse(&input[..*length]),
        whole,
        "what follows is not looked at"
    );
    let Some(addresses) = header.addresses else {
        return;
    };
    let mut tlvs = TlvWriter::default();
    for (kind, value) in header
        .tlvs
        .iter()
        .filter(|(kind, _)| *kind != TlvKind::CRC32C)
    {
        tlvs.push(kind, value);
    }
    let Ok(Parsed::Whole { header: again, .. }) = parse(&v2(&addresses, &tlvs)) else {
        panic!("what is written is read");
    };
    assert_eq!(again.addresses, header.addresses);
    for (kind, value) in again.tlvs.iter() {
        assert!(header.tlvs.iter().any(|tlv| tlv == (kind, value)));
    }
    match parse(&v1(&addresses)) {
        Ok(Parsed::Whole { header: again, .. }) => assert_eq!(again.addresses, header.addresses),
        other => panic!("{other:?}, not {:?}", Malformed::Line),
    }
});
