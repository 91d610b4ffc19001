//! Exit codes: the part of the command line that scripts read.

use std::process::ExitCode;

/// How a command ended. Anything but 0 comes with a message on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: failed for a reason that has no code of its own.
    Failed,
    /// 2: bad usage, or an invalid configuration.
    Usage,
    /// 3: the znode (or the parent of a new one) does not exist.
    NotFound,
    /// 4: the version does not match, or the znode exists already and belongs to somebody else.
    Conflict,
    /// 5: no server can be reached, or the ensemble has no quorum.
    Unreachable,
    /// 6: the ACL does not permit it.
    NotPermitted,
    /// 7: no answer in time.
    TimedOut,
    /// 8: the ensemble does not want this node any more; to start it again as it is changes nothing.
    Dismissed,
    /// What the wrapped command ended with; 128 + n when signal n ended it, 126 and 127 when it could
    /// not be started, as shells have it.
    Command(u8),
}

impl Exit {
    /// As the parent process sees it.
    pub fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Conflict => 4,
            Exit::Unreachable => 5,
            Exit::NotPermitted => 6,
            Exit::TimedOut => 7,
            Exit::Dismissed => 8,
            Exit::Command(code) => code,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}
