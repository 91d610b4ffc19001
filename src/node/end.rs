//! The end of a node that cannot go on: soon, whatever its threads are doing.
//!
//! An orderly end waits for threads, and a thread may wait for a disk that hangs. So it has a limit.

use super::error::NodeError;
use crate::ensemble::MemberFailed;
use std::process;
use std::thread;
use std::time::Duration;

/// How long an end in order may take once a critical part has died: much longer than it does, and short enough that
/// the process has ended within 5 s.
const ORDERLY_END: Duration = Duration::from_secs(2);
/// How long those who were told to close their sockets get before the process ends. The kernel closes those that are
/// left, but not before the last thread is gone.
pub(super) const CLOSING_TIME: Duration = Duration::from_millis(200);

/// Ends the process with this code after [`ORDERLY_END`], unless it has ended by then.
pub(super) fn at_the_latest(code: u8) {
    let timer = move || {
        thread::sleep(ORDERLY_END);
        end(code);
    };
    if thread::Builder::new()
        .name("last-resort".into())
        .spawn(timer)
        .is_err()
    {
        end(code);
    }
}

/// Ends the process after `close` has told everybody to close their sockets.
pub(super) fn now(failed: &MemberFailed, close: impl FnOnce()) -> ! {
    close();
    thread::sleep(CLOSING_TIME);
    tracing::error!(%failed, "ending the process");
    end(FAILED)
}

/// The exit code for the end that `error` causes, as the command line has it.
pub(super) fn code(error: &NodeError) -> u8 {
    match error.is_dismissal() {
        true => DISMISSED,
        false => FAILED,
    }
}

/// Not in order, but certain: a process that hangs in its own end looks alive.
fn end(code: u8) -> ! {
    process::exit(i32::from(code))
}

/// The exit code for "failed", as the command line has it.
pub(super) const FAILED: u8 = 1;
/// The exit code for "the others do not want this node any more".
const DISMISSED: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::{ArrivalError, StartError};

    #[test]
    fn an_end_that_takes_too_long_has_the_code_of_one_in_order() {
        let removed = ArrivalError::Removed {
            member: 3,
            dir: "/data".into(),
        };
        let dismissed = NodeError::Ensemble(StartError::Arrival(removed));
        assert_eq!(code(&dismissed), 8);
        assert_eq!(code(&NodeError::Panicked), 1);
    }
}
