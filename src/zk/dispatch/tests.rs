//! Which request becomes what.

use super::*;
use crate::tree::Acl;
use bytes::BytesMut;

fn body(record: &impl Wire) -> Bytes {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.freeze()
}

fn parse(op: OpCode, record: &impl Wire) -> Request {
    Request::parse(op.to_wire(), body(record), SessionId(7))
}

fn create_request(flags: i32) -> CreateRequest {
    CreateRequest {
        path: "/a".into(),
        data: None,
        acl: Acl::open(),
        flags,
    }
}

fn create_op(ephemeral: bool, sequential: bool) -> Op {
    Op::Create {
        path: "/a".into(),
        data: Bytes::new(),
        acl: Acl::open(),
        mode: CreateMode {
            ephemeral,
            sequential,
        },
    }
}

const fn refused(code: ErrorCode, close: bool) -> Request {
    Request::Refused { code, close }
}

#[test]
fn create_flags_name_a_mode_or_are_refused() {
    for (flags, ephemeral, sequential) in [
        (0, false, false),
        (1, true, false),
        (2, false, true),
        (3, true, true),
    ] {
        let op = create_op(ephemeral, sequential);
        let expected = Request::one(op, Answer::PathAndStat);
        let parsed = parse(OpCode::Create2, &create_request(flags));
        assert_eq!(parsed, expected, "flags {flags}");
    }
    for (flags, code) in [
        (4, ErrorCode::Unimplemented),
        (5, ErrorCode::BadArguments),
        (7, ErrorCode::BadArguments),
        (-1, ErrorCode::BadArguments),
    ] {
        let parsed = parse(OpCode::Create, &create_request(flags));
        assert_eq!(parsed, refused(code, false), "flags {flags}");
    }
}

#[test]
fn truncated_bodies_are_refused_without_closing() {
    for op in [
        OpCode::Create,
        OpCode::Delete,
        OpCode::SetData,
        OpCode::SetAcl,
        OpCode::Multi,
        OpCode::GetData,
        OpCode::Exists,
        OpCode::GetChildren2,
        OpCode::GetAcl,
        OpCode::Sync,
        OpCode::SetWatches,
        OpCode::Auth,
    ] {
        let bytes = Bytes::from_static(b"\0\0\0\x64/x");
        let parsed = Request::parse(op.to_wire(), bytes, SessionId(7));
        assert_eq!(
            parsed,
            refused(ErrorCode::MarshallingError, false),
            "{op:?}"
        );
    }
}

#[test]
fn bytes_behind_a_record_are_ignored() {
    let bytes = Bytes::from_static(b"\0\0\0\x02/x\x01more");
    let parsed = Request::parse(OpCode::Exists.to_wire(), bytes, SessionId(7));
    let expected = Read {
        what: ReadWhat::Existence,
        path: "/x".into(),
        watch: true,
    };
    assert_eq!(parsed, Request::Read(expected));
}

#[test]
fn every_opcode_has_an_answer() {
    for op in OpCode::ALL {
        let parsed = Request::parse(op.to_wire(), Bytes::new(), SessionId(7));
        let is_refused = matches!(parsed, Request::Refused { .. });
        let is_bodiless = matches!(op, OpCode::Ping | OpCode::CloseSession);
        assert_eq!(is_refused, !is_bodiless, "{op:?}");
    }
    for opcode in [999, 10, 0, -1, -10, 13] {
        let parsed = Request::parse(opcode, Bytes::new(), SessionId(7));
        assert_eq!(parsed, refused(ErrorCode::Unimplemented, true), "{opcode}");
    }
    for opcode in [16, 20, 106, 107] {
        let parsed = Request::parse(opcode, Bytes::new(), SessionId(7));
        assert_eq!(parsed, refused(ErrorCode::Unimplemented, false), "{opcode}");
    }
}

#[test]
fn multis_keep_the_order_and_the_kind_of_their_operations() {
    let version = VersionRequest {
        path: "/a".into(),
        version: 3,
    };
    let request = MultiRequest(vec![
        MultiOp::Check(version.clone()),
        MultiOp::Create2(create_request(1)),
        MultiOp::Create(create_request(0)),
        MultiOp::Delete(version.clone()),
    ]);
    let expected = Request::Write {
        command: Command::Multi(vec![
            check(version.clone()),
            create_op(true, false),
            create_op(false, false),
            delete(version),
        ]),
        answer: Answer::Multi(vec![
            OpCode::Check,
            OpCode::Create2,
            OpCode::Create,
            OpCode::Delete,
        ]),
    };
    assert_eq!(parse(OpCode::Multi, &request), expected);
}

#[test]
fn a_multi_with_an_impossible_flag_fails_at_that_operation() {
    let request = MultiRequest(vec![
        MultiOp::Create(create_request(0)),
        MultiOp::Create(create_request(7)),
        MultiOp::Create(create_request(0)),
    ]);
    let failure = MultiFailure {
        index: 1,
        code: ErrorCode::BadArguments,
    };
    let expected = Request::FailedMulti { failure, count: 3 };
    assert_eq!(parse(OpCode::Multi, &request), expected);
}

#[test]
fn persistent_watches_are_not_taken_along() {
    let one_shot = SetWatchesRequest {
        relative_zxid: 4,
        data: vec!["/a".into()],
        exist: Vec::new(),
        child: Vec::new(),
    };
    let mut request = SetWatches2Request {
        one_shot: one_shot.clone(),
        persistent: Vec::new(),
        recursive: Vec::new(),
    };
    let parsed = parse(OpCode::SetWatches2, &request);
    assert_eq!(parsed, Request::SetWatches(one_shot));
    request.recursive.push("/a".into());
    let parsed = parse(OpCode::SetWatches2, &request);
    assert_eq!(parsed, refused(ErrorCode::Unimplemented, false));
}
