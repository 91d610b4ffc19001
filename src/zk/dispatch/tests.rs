//! Which request becomes what.

use super::*;
use crate::tree::{Acl, CreateMode, Lifetime};
use crate::zk::wire::{
    AddWatchMode, AddWatchRequest, CreateRequest, CreateTtlRequest, MultiOp, MultiReadOp,
    MultiReadRequest, MultiRequest, SetWatches2Request, WatcherType, WatchesRequest,
};
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

fn create_op(lifetime: Lifetime) -> Op {
    let sequential = false;
    Op::Create {
        path: "/a".into(),
        data: None,
        acl: Acl::open(),
        mode: CreateMode {
            lifetime,
            sequential,
        },
    }
}

fn version() -> VersionRequest {
    VersionRequest {
        path: "/a".into(),
        version: 3,
    }
}

const fn refused(code: ErrorCode, close: bool) -> Request {
    Request::Refused { code, close }
}

#[test]
fn each_opcode_that_creates_has_its_lifetime_and_its_answer() {
    let ttl = CreateTtlRequest {
        create: create_request(5),
        ttl_ms: 9,
    };
    for (parsed, lifetime, answer) in [
        (
            parse(OpCode::Create, &create_request(1)),
            Lifetime::Ephemeral,
            Answer::Path,
        ),
        (
            parse(OpCode::Create2, &create_request(0)),
            Lifetime::Persistent,
            Answer::PathAndStat,
        ),
        (
            parse(OpCode::CreateContainer, &create_request(4)),
            Lifetime::Container,
            Answer::PathAndStat,
        ),
        (
            parse(OpCode::CreateTtl, &ttl),
            Lifetime::Ttl(9),
            Answer::PathAndStat,
        ),
    ] {
        let expected = Request::one(create_op(lifetime), answer);
        assert_eq!(parsed, expected, "{lifetime:?}");
    }
}

#[test]
fn flags_that_cannot_be_are_bad_arguments() {
    let bad = refused(ErrorCode::BadArguments, false);
    for flags in [5, 6, 7, -1] {
        for op in [OpCode::Create, OpCode::Create2, OpCode::CreateContainer] {
            let parsed = parse(op, &create_request(flags));
            assert_eq!(parsed, bad, "{op:?} {flags}");
        }
    }
    for (flags, ttl_ms) in [(5, 0), (6, 1 << 40), (0, 1), (4, 1), (0, -1)] {
        let create = create_request(flags);
        let parsed = parse(OpCode::CreateTtl, &CreateTtlRequest { create, ttl_ms });
        assert_eq!(parsed, bad, "{flags}, {ttl_ms} ms");
    }
}

#[test]
fn truncated_bodies_are_refused_without_closing() {
    for op in [
        OpCode::Create,
        OpCode::CreateContainer,
        OpCode::CreateTtl,
        OpCode::Delete,
        OpCode::SetData,
        OpCode::SetAcl,
        OpCode::Multi,
        OpCode::GetData,
        OpCode::Exists,
        OpCode::GetChildren2,
        OpCode::GetAcl,
        OpCode::GetAllChildrenNumber,
        OpCode::MultiRead,
        OpCode::GetEphemerals,
        OpCode::Reconfig,
        OpCode::Sasl,
        OpCode::Sync,
        OpCode::SetWatches,
        OpCode::SetWatches2,
        OpCode::AddWatch,
        OpCode::CheckWatches,
        OpCode::RemoveWatches,
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
        let is_bodiless = matches!(op, OpCode::Ping | OpCode::CloseSession | OpCode::WhoAmI);
        assert_eq!(is_refused, !is_bodiless, "{op:?}");
    }
    for opcode in [999, 10, 0, -1, -10, 13] {
        let parsed = Request::parse(opcode, Bytes::new(), SessionId(7));
        assert_eq!(parsed, refused(ErrorCode::Unimplemented, true), "{opcode}");
    }
    let parsed = Request::parse(20, Bytes::new(), SessionId(7));
    assert_eq!(parsed, refused(ErrorCode::Unimplemented, false));
}

#[test]
fn multis_keep_the_order_and_the_kind_of_their_operations() {
    let ttl = CreateTtlRequest {
        create: create_request(5),
        ttl_ms: 9,
    };
    let request = MultiRequest(vec![
        MultiOp::Check(version()),
        MultiOp::Create2(create_request(1)),
        MultiOp::Create(create_request(0)),
        MultiOp::Create(create_request(4)),
        MultiOp::CreateContainer(create_request(4)),
        MultiOp::CreateTtl(ttl),
        MultiOp::Delete(version()),
    ]);
    let expected = Request::Write {
        command: Command::Multi(vec![
            check(version()),
            create_op(Lifetime::Ephemeral),
            create_op(Lifetime::Persistent),
            create_op(Lifetime::Container),
            create_op(Lifetime::Container),
            create_op(Lifetime::Ttl(9)),
            delete(version()),
        ]),
        answer: Answer::Multi(vec![
            OpCode::Check,
            OpCode::Create2,
            OpCode::Create,
            OpCode::Create2,
            OpCode::Create2,
            OpCode::Create2,
            OpCode::Delete,
        ]),
    };
    assert_eq!(parse(OpCode::Multi, &request), expected);
}

#[test]
fn a_multi_with_an_impossible_flag_tries_what_comes_before_it() {
    let request = MultiRequest(vec![
        MultiOp::Check(version()),
        MultiOp::Create(create_request(7)),
        MultiOp::Delete(version()),
    ]);
    let expected = Request::Write {
        command: Command::Multi(vec![check(version()), Op::Refuse(ErrorCode::BadArguments)]),
        answer: Answer::Multi(vec![OpCode::Check, OpCode::Create, OpCode::Delete]),
    };
    assert_eq!(parse(OpCode::Multi, &request), expected);
}

#[test]
fn in_a_multi_the_flags_decide_what_a_create_makes() {
    let untimed = |flags, ttl_ms| CreateTtlRequest {
        create: create_request(flags),
        ttl_ms,
    };
    let request = MultiRequest(vec![
        MultiOp::CreateContainer(create_request(1)),
        MultiOp::CreateTtl(untimed(1, -5)),
        MultiOp::CreateTtl(untimed(4, 5)),
    ]);
    let expected = Request::Write {
        command: Command::Multi(vec![
            create_op(Lifetime::Ephemeral),
            create_op(Lifetime::Ephemeral),
            create_op(Lifetime::Container),
        ]),
        answer: Answer::Multi(vec![OpCode::Create, OpCode::Create, OpCode::Create2]),
    };
    assert_eq!(parse(OpCode::Multi, &request), expected);
    let request = MultiRequest(vec![
        MultiOp::Check(version()),
        MultiOp::Create(create_request(5)),
    ]);
    let expected = Request::Write {
        command: Command::Multi(vec![
            check(version()),
            Op::Refuse(ErrorCode::MarshallingError),
        ]),
        answer: Answer::Multi(vec![OpCode::Check, OpCode::Create2]),
    };
    assert_eq!(parse(OpCode::Multi, &request), expected);
}

#[test]
fn reads_of_a_multi_read_leave_no_watch() {
    let request = ReadRequest {
        path: "/a".into(),
        watch: true,
    };
    let requested = MultiReadRequest(vec![
        MultiReadOp::Data(request.clone()),
        MultiReadOp::Children(request),
    ]);
    let read = |what| Read {
        what,
        path: "/a".into(),
        watch: false,
    };
    let expected = vec![read(ReadWhat::Data), read(ReadWhat::Children)];
    let parsed = parse(OpCode::MultiRead, &requested);
    assert_eq!(parsed, Request::MultiRead(expected));
}

#[test]
fn paths_that_may_be_null_are_taken_as_they_are() {
    let null: Option<Arc<str>> = None;
    assert_eq!(parse(OpCode::Sync, &null), Request::Sync(None));
    let ephemerals = parse(OpCode::GetEphemerals, &null);
    assert_eq!(ephemerals, Request::Ephemerals(None));
    let read = parse(OpCode::GetAllChildrenNumber, &null);
    assert_eq!(read, refused(ErrorCode::MarshallingError, false));
}

#[test]
fn requests_about_watches_keep_path_and_kind() {
    let path = || Arc::from("/a");
    let one_shot = SetWatchesRequest {
        relative_zxid: 4,
        data: vec![path()],
        exist: Vec::new(),
        child: Vec::new(),
    };
    let again = SetWatches2Request {
        one_shot: one_shot.clone(),
        persistent: vec![path()],
        recursive: vec![path()],
    };
    let add = AddWatchRequest {
        path: path(),
        mode: AddWatchMode::Recursive,
    };
    let named = WatchesRequest {
        path: path(),
        kind: WatcherType::Any,
    };
    for (parsed, expected) in [
        (
            parse(OpCode::SetWatches, &one_shot),
            WatchRequest::Set(one_shot.clone().into()),
        ),
        (
            parse(OpCode::SetWatches2, &again),
            WatchRequest::Set(again.clone()),
        ),
        (
            parse(OpCode::AddWatch, &add),
            WatchRequest::Add(add.clone()),
        ),
        (
            parse(OpCode::CheckWatches, &named),
            WatchRequest::Check(named.clone()),
        ),
        (
            parse(OpCode::RemoveWatches, &named),
            WatchRequest::Remove(named.clone()),
        ),
    ] {
        assert_eq!(parsed, Request::Watches(expected));
    }
}

#[test]
fn modes_and_types_of_watches_that_do_not_exist_are_refused() {
    for (op, numbers) in [
        (OpCode::AddWatch, [-1, 2]),
        (OpCode::CheckWatches, [0, 6]),
        (OpCode::RemoveWatches, [0, 6]),
    ] {
        for number in numbers {
            let mut bytes = BytesMut::from(&b"\0\0\0\x02/x"[..]);
            number.encode(&mut bytes);
            let parsed = Request::parse(op.to_wire(), bytes.freeze(), SessionId(7));
            assert_eq!(
                parsed,
                refused(ErrorCode::MarshallingError, false),
                "{op:?}"
            );
        }
    }
}
