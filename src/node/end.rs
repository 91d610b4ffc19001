//! The end of a node that cannot go on: soon, whatever its threads are doing.
//!
//! An orderly end waits for threads, and a thread may wait for a disk that hangs. So it has a limit.

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

/// Ends the process after [`ORDERLY_END`], unless it has ended by then.
pub(super) fn at_the_latest() {
    let timer = || {
        thread::sleep(ORDERLY_END);
        end();
    };
    if thread::Builder::new()
        .name("last-resort".into())
        .spawn(timer)
        .is_err()
    {
        end();
    }
}

/// Ends the process after `close` has told everybody to close their sockets.
pub(super) fn now(failed: &MemberFailed, close: impl FnOnce()) -> ! {
    close();
    thread::sleep(CLOSING_TIME);
    tracing::error!(%failed, "ending the process");
    end()
}

/// Not in order, but certain: a process that hangs in its own end looks alive.
fn end() -> ! {
    process::exit(i32::from(FAILED))
}

/// The exit code for "failed", as the command line has it.
const FAILED: u8 = 1;
