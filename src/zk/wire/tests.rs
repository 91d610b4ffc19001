//! Round trips of every record, golden bytes, and hostile input.

use super::*;
use crate::tree::{Acl, SessionId, Stat, Zxid};
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use std::fmt::Debug;
use std::sync::Arc;

fn encoded(value: &impl Wire) -> Bytes {
    let mut out = BytesMut::new();
    value.encode(&mut out);
    out.freeze()
}

/// `value` survives a round trip, takes at least `MIN_LEN` bytes, leaves what follows it alone, and no
/// strict prefix of it passes for it.
fn holds<T: Wire + PartialEq + Debug>(value: T) {
    let bytes = encoded(&value);
    assert!(bytes.len() >= T::MIN_LEN);
    let mut input = Bytes::from([&bytes[..], b"tail"].concat());
    let tail = input.split_off(bytes.len());
    assert_eq!(T::decode(&mut input).as_ref(), Ok(&value));
    assert!(input.is_empty());
    assert_eq!(&tail[..], b"tail");
    for cut in (0..bytes.len()).step_by(1 + bytes.len() / 16) {
        assert_ne!(T::decode(&mut bytes.slice(..cut)).as_ref(), Ok(&value));
    }
}

fn text() -> impl Strategy<Value = Arc<str>> {
    "\\PC{0,12}".prop_map(Arc::from)
}

fn texts() -> impl Strategy<Value = Vec<Arc<str>>> {
    vec(text(), 0..5)
}

fn data() -> impl Strategy<Value = Option<Bytes>> {
    proptest::option::of(vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn acl() -> impl Strategy<Value = Vec<Acl>> {
    let entry = (any::<i32>(), "\\PC{0,8}", "\\PC{0,8}").prop_map(|(perms, scheme, id)| Acl {
        perms,
        scheme,
        id,
    });
    vec(entry, 0..4)
}

fn stat() -> impl Strategy<Value = Stat> {
    (any::<[i64; 6]>(), any::<[i32; 5]>()).prop_map(|(long, int)| Stat {
        czxid: Zxid(long[0] as u64),
        mzxid: Zxid(long[1] as u64),
        ctime: long[2],
        mtime: long[3],
        version: int[0],
        cversion: int[1],
        aversion: int[2],
        ephemeral_owner: SessionId(long[4]),
        data_length: int[3],
        num_children: int[4],
        pzxid: Zxid(long[5] as u64),
    })
}

fn create() -> impl Strategy<Value = CreateRequest> {
    (text(), data(), acl(), any::<i32>()).prop_map(|(path, data, acl, flags)| CreateRequest {
        path,
        data,
        acl,
        flags,
    })
}

fn create_ttl() -> impl Strategy<Value = CreateTtlRequest> {
    (create(), any::<i64>()).prop_map(|(create, ttl_ms)| CreateTtlRequest { create, ttl_ms })
}

fn read() -> impl Strategy<Value = ReadRequest> {
    (text(), any::<bool>()).prop_map(|(path, watch)| ReadRequest { path, watch })
}

fn read_op() -> impl Strategy<Value = MultiReadOp> {
    prop_oneof![
        read().prop_map(MultiReadOp::Data),
        read().prop_map(MultiReadOp::Children),
    ]
}

fn version() -> impl Strategy<Value = VersionRequest> {
    (text(), any::<i32>()).prop_map(|(path, version)| VersionRequest { path, version })
}

fn set_data() -> impl Strategy<Value = SetDataRequest> {
    (text(), data(), any::<i32>()).prop_map(|(path, data, version)| SetDataRequest {
        path,
        data,
        version,
    })
}

fn op() -> impl Strategy<Value = MultiOp> {
    prop_oneof![
        create().prop_map(MultiOp::Create),
        create().prop_map(MultiOp::Create2),
        create().prop_map(MultiOp::CreateContainer),
        create_ttl().prop_map(MultiOp::CreateTtl),
        version().prop_map(MultiOp::Delete),
        set_data().prop_map(MultiOp::SetData),
        version().prop_map(MultiOp::Check),
    ]
}

fn result() -> impl Strategy<Value = MultiResult> {
    prop_oneof![
        text().prop_map(MultiResult::Create),
        (text(), stat())
            .prop_map(|(path, stat)| MultiResult::Create2(Create2Response { path, stat })),
        Just(MultiResult::Delete),
        stat().prop_map(MultiResult::SetData),
        Just(MultiResult::Check),
        (data(), stat()).prop_map(|(data, stat)| MultiResult::Data(DataResponse { data, stat })),
        texts().prop_map(MultiResult::Children),
        any::<i32>().prop_map(MultiResult::Error),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn requests_round_trip(
        create in create(), create_ttl in create_ttl(), version in version(), set_data in set_data(), acl in acl(),
        path in text(), flag: bool, int: i32, long: i64, paths in texts(), buffer in data(),
    ) {
        holds(create);
        holds(create_ttl);
        holds(version);
        holds(set_data);
        holds(ReadRequest { path: path.clone(), watch: flag });
        holds(PathRequest { path: path.clone() });
        holds(SetAclRequest { path: path.clone(), acl, version: int });
        holds(AuthRequest { kind: int, scheme: path.clone(), auth: buffer });
        holds(RequestHeader { xid: int, opcode: int });
        let one_shot = SetWatchesRequest {
            relative_zxid: long,
            data: paths.clone(),
            exist: Vec::new(),
            child: paths.clone(),
        };
        holds(one_shot.clone());
        holds(SetWatches2Request { one_shot, persistent: paths.clone(), recursive: paths });
        holds(AddWatchRequest { path: path.clone(), mode: AddWatchMode::Recursive });
        holds(WatchesRequest { path, kind: WatcherType::Persistent });
        holds(ErrorResponse { error: int });
    }

    #[test]
    fn replies_round_trip(
        stat in stat(), acl in acl(), path in text(), children in texts(), buffer in data(), int: i32, long: i64,
    ) {
        holds(stat);
        holds(Create2Response { path: path.clone(), stat });
        holds(DataResponse { data: buffer, stat });
        holds(AclResponse { acl, stat });
        holds(ChildrenResponse { children: children.clone(), stat });
        holds(children);
        holds(ReplyHeader { xid: int, zxid: long, error: int });
        holds(WatcherEvent { kind: int, state: STATE_SYNC_CONNECTED, path });
    }

    #[test]
    fn reconfigs_and_identities_round_trip(
        text in text(), other in proptest::option::of(text()), version: i64, token in data(),
    ) {
        holds(ReconfigRequest {
            joining: other.clone(),
            leaving: None,
            new_members: other.clone(),
            from_version: version,
        });
        holds(vec![ClientIdentity { scheme: text.clone(), user: text }]);
        holds(other);
        holds(token);
    }

    #[test]
    fn handshakes_round_trip(
        int: i32, long: i64, id: i64, password in data(), read_only: Option<bool>,
    ) {
        let fields = ConnectFields {
            protocol_version: int,
            last_zxid_seen: long,
            timeout_ms: int,
            session: SessionId(id),
            password: password.clone(),
        };
        holds(ConnectRequest { fields, read_only });
        let fields = ConnectedFields {
            protocol_version: int,
            timeout_ms: int,
            session: SessionId(id),
            password,
        };
        holds(ConnectResponse { fields, read_only });
    }

    #[test]
    fn multis_round_trip(
        ops in vec(op(), 0..6), reads in vec(read_op(), 0..6), results in vec(result(), 0..6),
    ) {
        holds(MultiRequest(ops));
        holds(MultiReadRequest(reads));
        holds(MultiResponse(results));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = CreateRequest::decode(&mut bytes.clone());
        let _ = SetWatches2Request::decode(&mut bytes.clone());
        let _ = MultiRequest::decode(&mut bytes.clone());
        let _ = MultiResponse::decode(&mut bytes.clone());
        let _ = MultiReadRequest::decode(&mut bytes.clone());
        let _ = CreateTtlRequest::decode(&mut bytes.clone());
        let _ = ReconfigRequest::decode(&mut bytes.clone());
        let _ = ConnectRequest::decode(&mut bytes.clone());
        let _ = ConnectResponse::decode(&mut bytes.clone());
        let _ = AclResponse::decode(&mut bytes.clone());
        let _ = take_frame(&mut BytesMut::from(&bytes[..]), MAX_FRAME);
    }
}

#[test]
fn bytes_are_as_zookeeper_lays_them_out() {
    let request = CreateRequest {
        path: "/a".into(),
        data: None,
        acl: Acl::open(),
        flags: 1,
    };
    assert_eq!(
        &encoded(&request)[..],
        b"\0\0\0\x02/a\xff\xff\xff\xff\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone\0\0\0\x01"
    );
    let mut frame = BytesMut::new();
    let header = ReplyHeader {
        xid: XID_EVENT,
        zxid: 258,
        error: 0,
    };
    let event = WatcherEvent {
        kind: EventType::Deleted as i32,
        state: STATE_SYNC_CONNECTED,
        path: "/a".into(),
    };
    put_frame(&mut frame, &header, &event);
    assert_eq!(
        &frame[..],
        b"\0\0\0\x1e\xff\xff\xff\xff\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x02\0\0\0\x03\0\0\0\x02/a"
    );
    assert_eq!(encoded(&Stat::default()).len(), 68);
    assert_eq!(
        &encoded(&MultiResponse(vec![
            MultiResult::Delete,
            MultiResult::Error(-2)
        ]))[..],
        b"\0\0\0\x02\0\0\0\0\0\xff\xff\xff\xff\0\xff\xff\xff\xfe\xff\xff\xff\xfe\xff\xff\xff\xff\x01\xff\xff\xff\xff"
    );
}

#[test]
fn connect_response_is_37_bytes_with_and_36_without_the_read_only_byte() {
    for (read_only, length) in [(Some(false), 37), (None, 36)] {
        let fields = ConnectedFields {
            protocol_version: 0,
            timeout_ms: 10_000,
            session: SessionId(1),
            password: Some(Bytes::from_static(&[7; 16])),
        };
        assert_eq!(
            encoded(&ConnectResponse { fields, read_only }).len(),
            length
        );
    }
}

#[test]
fn null_and_empty_buffers_differ() {
    for data in [None, Some(Bytes::new())] {
        holds(data);
    }
    assert_eq!(
        Arc::<str>::decode(&mut Bytes::from_static(&[0xff; 4])),
        Err(WireError::Null)
    );
    assert_eq!(
        Vec::<Acl>::decode(&mut Bytes::from_static(&[0xff; 4])),
        Ok(Vec::new())
    );
}

#[test]
fn claimed_counts_and_lengths_are_checked_against_what_is_there() {
    let huge = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
    assert_eq!(
        Option::<Bytes>::decode(&mut huge.clone()),
        Err(WireError::Short {
            needed: 0x7fff_ffff,
            left: 4
        })
    );
    assert!(matches!(
        Vec::<Acl>::decode(&mut huge.clone()),
        Err(WireError::Short { left: 4, .. })
    ));
    let negative = Bytes::from_static(&[0xff, 0xff, 0xff, 0xfe]);
    assert_eq!(
        Option::<Bytes>::decode(&mut negative.clone()),
        Err(WireError::Length(-2))
    );
}

#[test]
fn what_is_not_utf_8_reads_as_replacement_characters() {
    let decoded = Arc::<str>::decode(&mut Bytes::from_static(b"\0\0\0\x05/a\xff\xc3("));
    assert_eq!(decoded, Ok("/a\u{fffd}\u{fffd}(".into()));
}

#[test]
fn an_operation_of_another_kind_is_refused_in_a_multi() {
    let header = |op: OpCode| {
        encoded(&MultiHeader {
            opcode: op.to_wire(),
            done: false,
            error: -1,
        })
    };
    for op in [
        OpCode::Exists,
        OpCode::SetAcl,
        OpCode::GetData,
        OpCode::DeleteContainer,
        OpCode::Multi,
    ] {
        let decoded = MultiRequest::decode(&mut header(op));
        assert_eq!(decoded, Err(WireError::ForeignOp(op.to_wire())));
    }
    for op in [OpCode::Exists, OpCode::GetChildren2, OpCode::Create] {
        let decoded = MultiReadRequest::decode(&mut header(op));
        assert_eq!(decoded, Err(WireError::ForeignOp(op.to_wire())));
    }
}

#[test]
fn null_identity_of_an_acl_is_an_empty_one() {
    let bytes = [&[0, 0, 0, 31][..], &[0, 0, 0, 4], b"auth", &[0xff; 4]].concat();
    let acl = Acl::decode(&mut Bytes::from(bytes)).unwrap();
    let expected = Acl {
        perms: 31,
        scheme: "auth".into(),
        id: String::new(),
    };
    assert_eq!(acl, expected);
}
