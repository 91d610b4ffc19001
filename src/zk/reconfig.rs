//! `reconfig`: who may change the ensemble, and what the request says.
//!
//! Source: `PrepRequestProcessor`, case `reconfig`; `ReconfigCommand`.

use super::port::Port;
use super::wire::ReconfigRequest;
use crate::ensemble::Reconfiguration;
use crate::tree::{CONFIG_PATH, ErrorCode, Identity, Permission};

/// The change that a client asks for which has proved `identities`.
///
/// # Errors
/// In this order, which is ZooKeeper's: [`ErrorCode::ReconfigDisabled`] unless the settings allow it; those of
/// [`parse`]; [`ErrorCode::BadVersion`] for another version than that of [`CONFIG_PATH`];
/// [`ErrorCode::BadArguments`] for a server that is not written as one; [`ErrorCode::NoAuth`] unless the client may
/// set the data of [`CONFIG_PATH`].
pub(super) fn wanted(
    port: &Port,
    identities: &[Identity],
    request: &ReconfigRequest,
) -> Result<Reconfiguration, ErrorCode> {
    if !port.takes_reconfig() {
        return Err(ErrorCode::ReconfigDisabled);
    }
    let wanted = parse(request)?;
    let (version, permitted) = port.ensemble.read(|tree| {
        let config = tree.get(CONFIG_PATH);
        let permitted = config.is_some_and(|it| it.permits(Permission::Write, identities));
        (tree.config_version(), permitted)
    });
    // The leader looks again, at its own. An ensemble of one has no version, and no use for a change.
    if version.is_some_and(|now| wanted.from_version.is_some_and(|from| from != now.0)) {
        return Err(ErrorCode::BadVersion);
    }
    wanted.check().map_err(|error| error.code())?;
    match permitted {
        true => Ok(wanted),
        false => Err(ErrorCode::NoAuth),
    }
}

/// Understands a request. What a member's text says is for the ensemble to judge.
///
/// # Errors
/// [`ErrorCode::BadArguments`] when a member that leaves is no number; [`ErrorCode::BadVersion`] for a version
/// that none can have.
fn parse(request: &ReconfigRequest) -> Result<Reconfiguration, ErrorCode> {
    let leaving = parts(request.leaving.as_deref(), &[','])
        .map(|number| number.parse().map_err(|_| ErrorCode::BadArguments))
        .collect::<Result<_, _>>()?;
    let owned = |text, separators| parts(text, separators).map(str::to_owned).collect();
    let from_version = match request.from_version {
        -1 => None,
        version => Some(u64::try_from(version).map_err(|_| ErrorCode::BadVersion)?),
    };
    Ok(Reconfiguration {
        joining: owned(request.joining.as_deref(), &[','][..]),
        leaving,
        new_members: request
            .new_members
            .as_deref()
            .map(|text| owned(Some(text), &[',', '\n', '\r'])),
        from_version,
    })
}

/// The parts between separators, without the blank ones.
fn parts<'t>(text: Option<&'t str>, separators: &'t [char]) -> impl Iterator<Item = &'t str> {
    let parts = text.unwrap_or_default().split(separators).map(str::trim);
    parts.filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ReconfigRequest {
        ReconfigRequest {
            joining: None,
            leaving: None,
            new_members: None,
            from_version: -1,
        }
    }

    #[test]
    fn members_are_separated_by_commas_and_blanks_do_not_count() {
        let request = ReconfigRequest {
            joining: Some("server.5=a:1:2;3, server.6=b:1:2:observer;3,".into()),
            leaving: Some(" 1,2".into()),
            from_version: 0x1_0000_0000,
            ..request()
        };
        let expected = Reconfiguration {
            joining: vec![
                "server.5=a:1:2;3".into(),
                "server.6=b:1:2:observer;3".into(),
            ],
            leaving: vec![1, 2],
            new_members: None,
            from_version: Some(0x1_0000_0000),
        };
        assert_eq!(parse(&request), Ok(expected));
    }

    #[test]
    fn a_whole_membership_may_have_a_line_for_each_member() {
        let request = ReconfigRequest {
            new_members: Some("server.1=a:1:2;3\nserver.2=b:1:2;3,server.3=c:1:2;3\n".into()),
            ..request()
        };
        let parsed = parse(&request).expect("well-formed");
        let members = parsed.new_members.expect("a whole membership");
        assert_eq!(members.len(), 3);
        assert_eq!(members[1], "server.2=b:1:2;3");
        assert_eq!(parsed.from_version, None);
        let none = ReconfigRequest {
            new_members: Some("".into()),
            ..self::request()
        };
        let parsed = parse(&none).expect("well-formed");
        assert_eq!(parsed.new_members, Some(Vec::new()));
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for leaving in ["x", "1,x", "-1", "1 2", "18446744073709551616"] {
            let request = ReconfigRequest {
                leaving: Some(leaving.into()),
                ..request()
            };
            let parsed = parse(&request);
            assert_eq!(parsed, Err(ErrorCode::BadArguments), "{leaving}");
        }
        let request = ReconfigRequest {
            from_version: -2,
            ..request()
        };
        let parsed = parse(&request);
        assert_eq!(parsed, Err(ErrorCode::BadVersion));
    }
}
