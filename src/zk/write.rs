//! Replies to writes: what applying a command gave, in the form its request calls for.

use super::dispatch::Answer;
use super::wire::{Create2Response, MultiResponse, MultiResult, OpCode, Wire};
use crate::tree::{ErrorCode, MultiFailure, OpReply, Reply, Stat};
use bytes::BytesMut;
use std::sync::Arc;

/// The body of a write's reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// No body.
    Nothing,
    /// A path.
    Path(Arc<str>),
    /// A path and a stat.
    Created(Create2Response),
    /// A stat.
    Stat(Stat),
    /// The results of a multi.
    Multi(MultiResponse),
}

impl Written {
    /// The body that `answer` calls for.
    ///
    /// # Errors
    /// [`ErrorCode::MarshallingError`] if a multi got as far as an operation that cannot be read: that one has
    /// no results. [`ErrorCode::RuntimeInconsistency`] if the reply is not one to such a request, which the tree
    /// rules out: a reply has the shape of its command.
    pub(super) fn of(answer: &Answer, reply: Reply) -> Result<Written, ErrorCode> {
        Ok(match (answer, reply) {
            (Answer::Path, Reply::One(OpReply::Created { path, .. })) => Written::Path(path),
            (Answer::PathAndStat, Reply::One(OpReply::Created { path, stat })) => {
                Written::Created(Create2Response { path, stat })
            }
            (Answer::Nothing, Reply::One(OpReply::Deleted)) => Written::Nothing,
            (Answer::Closed, Reply::Closed) => Written::Nothing,
            (Answer::Stat, Reply::One(OpReply::DataSet(stat) | OpReply::AclSet(stat))) => {
                Written::Stat(stat)
            }
            (Answer::Multi(kinds), Reply::Multi(Ok(replies))) => {
                let results = kinds.iter().zip(replies).map(|(kind, r)| result(*kind, r));
                let results: Option<_> = results.collect();
                Written::Multi(MultiResponse(
                    results.ok_or(ErrorCode::RuntimeInconsistency)?,
                ))
            }
            (Answer::Multi(_), Reply::Multi(Err(failure)))
                if failure.code == ErrorCode::MarshallingError =>
            {
                return Err(failure.code);
            }
            (Answer::Multi(kinds), Reply::Multi(Err(failure))) => {
                Written::Multi(failed_multi(failure, kinds.len()))
            }
            _ => return Err(ErrorCode::RuntimeInconsistency),
        })
    }

    /// Appends the body.
    pub(super) fn encode(&self, out: &mut BytesMut) {
        match self {
            Written::Nothing => {}
            Written::Path(path) => path.encode(out),
            Written::Created(created) => created.encode(out),
            Written::Stat(stat) => stat.encode(out),
            Written::Multi(results) => results.encode(out),
        }
    }
}

/// The answer to a multi of `count` operations of which one failed: 0 for those before it, its code, and
/// "not tried" for those after it. The header above it says 0.
fn failed_multi(failure: MultiFailure, count: usize) -> MultiResponse {
    let code = |index: usize| match index.cmp(&failure.index) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => failure.code.to_wire(),
        std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency.to_wire(),
    };
    MultiResponse((0..count).map(|i| MultiResult::Error(code(i))).collect())
}

fn result(kind: OpCode, reply: OpReply) -> Option<MultiResult> {
    Some(match (kind, reply) {
        (OpCode::Create, OpReply::Created { path, .. }) => MultiResult::Create(path),
        (OpCode::Create2, OpReply::Created { path, stat }) => {
            MultiResult::Create2(Create2Response { path, stat })
        }
        (OpCode::Delete, OpReply::Deleted) => MultiResult::Delete,
        (OpCode::SetData, OpReply::DataSet(stat)) => MultiResult::SetData(stat),
        (OpCode::Check, OpReply::Checked) => MultiResult::Check,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created() -> OpReply {
        OpReply::Created {
            path: "/a".into(),
            stat: Stat::default(),
        }
    }

    #[test]
    fn create_answers_the_path_and_create2_the_stat_too() {
        let reply = || Reply::One(created());
        let path = Written::Path("/a".into());
        assert_eq!(Written::of(&Answer::Path, reply()), Ok(path));
        let both = Written::Created(Create2Response {
            path: "/a".into(),
            stat: Stat::default(),
        });
        assert_eq!(Written::of(&Answer::PathAndStat, reply()), Ok(both));
        let mismatch = Written::of(&Answer::Stat, reply());
        assert_eq!(mismatch, Err(ErrorCode::RuntimeInconsistency));
    }

    #[test]
    fn results_of_a_multi_have_the_types_of_its_operations() {
        let answer = Answer::Multi(vec![OpCode::Create, OpCode::Create2, OpCode::Check]);
        let replies = vec![created(), created(), OpReply::Checked];
        let Ok(Written::Multi(MultiResponse(results))) =
            Written::of(&answer, Reply::Multi(Ok(replies)))
        else {
            panic!("no results");
        };
        assert!(matches!(
            results[..],
            [
                MultiResult::Create(_),
                MultiResult::Create2(_),
                MultiResult::Check
            ]
        ));
    }

    #[test]
    fn a_failed_multi_tells_which_operation_failed() {
        let failure = MultiFailure {
            index: 1,
            code: ErrorCode::BadVersion,
        };
        let codes = [0, -103, -2].map(MultiResult::Error).to_vec();
        assert_eq!(failed_multi(failure, 3), MultiResponse(codes));
        let unreadable = MultiFailure {
            index: 1,
            code: ErrorCode::MarshallingError,
        };
        let answer = Answer::Multi(vec![OpCode::Check, OpCode::Create]);
        let written = Written::of(&answer, Reply::Multi(Err(unreadable)));
        assert_eq!(written, Err(ErrorCode::MarshallingError));
    }
}
