//! What the requests that create a znode ask for.
//!
//! ```text
//! flags   create, create2        createContainer         createTTL                any of them in a multi
//! 0       persistent             container               refused                  persistent
//! 1       ephemeral              container               refused                  ephemeral
//! 2, 3    as 0 and 1, sequential container, sequential   refused                  as 0 and 1, sequential
//! 4       persistent             container               refused                  container
//! 5, 6    refused                refused                 TTL, with 6 sequential   TTL, only as createTTL
//! ```
//! That the container flag alone makes no container, outside of a multi, is what ZooKeeper 3.8 does: there the
//! opcode decides. Its own clients always send the opcode that goes with the flag. ZooKeeper dies of a
//! `createTTL` with a negative time and a flag below 5; here it is refused like the others.
//!
//! Source: `CreateMode`, `EphemeralType.validateTTL`, `PrepRequestProcessor.pRequest2TxnCreate`, `Op.create`.

use crate::tree::{CreateMode, ErrorCode, Lifetime, Op};
use crate::zk::wire::{CreateRequest, CreateTtlRequest};

/// Longest time to live, milliseconds: ZooKeeper has 40 bits for it.
const MAX_TTL_MS: i64 = (1 << 40) - 1;

/// `create` or `create2` by itself.
///
/// # Errors
/// [`ErrorCode::BadArguments`] for flags that it cannot have; so with all of these.
pub(super) fn plain(request: CreateRequest) -> Result<Op, ErrorCode> {
    let mode = match mode(request.flags, None)? {
        CreateMode {
            lifetime: Lifetime::Container,
            ..
        } => CreateMode::PERSISTENT,
        mode => mode,
    };
    Ok(op(request, mode))
}

/// In a multi, where the flags decide and the opcode does not count.
pub(super) fn by_flags(request: CreateRequest) -> Result<Op, ErrorCode> {
    let mode = mode(request.flags, None)?;
    Ok(op(request, mode))
}

/// `createTTL` in a multi: the time only counts with the flags that call for one.
pub(super) fn by_flags_or_ttl(request: CreateTtlRequest) -> Result<Op, ErrorCode> {
    match wants_ttl(&request.create) {
        true => ttl(request),
        false => by_flags(request.create),
    }
}

/// `createContainer`.
pub(super) fn container(request: CreateRequest) -> Result<Op, ErrorCode> {
    let mode = CreateMode {
        lifetime: Lifetime::Container,
        ..mode(request.flags, None)?
    };
    Ok(op(request, mode))
}

/// `createTTL`.
pub(super) fn ttl(CreateTtlRequest { create, ttl_ms }: CreateTtlRequest) -> Result<Op, ErrorCode> {
    let mode = mode(create.flags, Some(ttl_ms))?;
    Ok(op(create, mode))
}

/// Whether the flags are those of a container.
pub(super) fn is_container(request: &CreateRequest) -> bool {
    request.flags == 4
}

/// Whether the flags call for a time to live.
pub(super) fn wants_ttl(request: &CreateRequest) -> bool {
    matches!(request.flags, 5 | 6)
}

fn mode(flags: i32, ttl_ms: Option<i64>) -> Result<CreateMode, ErrorCode> {
    let lifetime = match (flags, ttl_ms) {
        (0 | 2, None) => Lifetime::Persistent,
        (1 | 3, None) => Lifetime::Ephemeral,
        (4, None) => Lifetime::Container,
        (5 | 6, Some(ttl_ms @ 1..=MAX_TTL_MS)) => Lifetime::Ttl(ttl_ms.unsigned_abs()),
        _ => return Err(ErrorCode::BadArguments),
    };
    let sequential = matches!(flags, 2 | 3 | 6);
    Ok(CreateMode {
        lifetime,
        sequential,
    })
}

fn op(request: CreateRequest, mode: CreateMode) -> Op {
    Op::Create {
        path: request.path,
        data: request.data,
        acl: request.acl,
        mode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Lifetime::*;

    const REFUSED: Result<(Lifetime, bool), ErrorCode> = Err(ErrorCode::BadArguments);

    fn request(flags: i32) -> CreateRequest {
        CreateRequest {
            path: "/a".into(),
            data: None,
            acl: Vec::new(),
            flags,
        }
    }

    fn asked(op: Result<Op, ErrorCode>) -> Result<(Lifetime, bool), ErrorCode> {
        match op? {
            Op::Create { mode, .. } => Ok((mode.lifetime, mode.sequential)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_name_a_mode_or_are_refused() {
        for (flags, alone, in_a_multi, as_container) in [
            (
                0,
                Ok((Persistent, false)),
                Persistent,
                Ok((Container, false)),
            ),
            (1, Ok((Ephemeral, false)), Ephemeral, Ok((Container, false))),
            (2, Ok((Persistent, true)), Persistent, Ok((Container, true))),
            (3, Ok((Ephemeral, true)), Ephemeral, Ok((Container, true))),
            (
                4,
                Ok((Persistent, false)),
                Container,
                Ok((Container, false)),
            ),
        ] {
            assert_eq!(asked(plain(request(flags))), alone, "flags {flags}");
            let multi = asked(by_flags(request(flags))).map(|(lifetime, _)| lifetime);
            assert_eq!(multi, Ok(in_a_multi), "flags {flags}");
            let container = asked(container(request(flags)));
            assert_eq!(container, as_container, "flags {flags}");
        }
        for flags in [5, 6, 7, 8, -1, i32::MIN, i32::MAX] {
            for create in [plain, by_flags, container] {
                assert_eq!(asked(create(request(flags))), REFUSED, "flags {flags}");
            }
        }
    }

    #[test]
    fn a_time_to_live_needs_its_flag_and_its_bounds() {
        for (flags, ttl_ms, expected) in [
            (5, 1, Ok((Ttl(1), false))),
            (6, 1_000, Ok((Ttl(1_000), true))),
            (5, (1 << 40) - 1, Ok((Ttl((1 << 40) - 1), false))),
            (5, 0, REFUSED),
            (5, -1, REFUSED),
            (5, 1 << 40, REFUSED),
            (5, i64::MAX, REFUSED),
            (0, 5, REFUSED),
            (0, 0, REFUSED),
            (0, -1, REFUSED),
            (4, 5, REFUSED),
            (7, 5, REFUSED),
        ] {
            let create = request(flags);
            let asked = asked(ttl(CreateTtlRequest { create, ttl_ms }));
            assert_eq!(asked, expected, "flags {flags}, {ttl_ms} ms");
        }
    }
}
