//! The command that `register` runs: started in a process group of its own, so that a signal reaches it
//! when we pass it on, after the drain, and not when the terminal sends it to everybody.

use crate::cli::{CliError, Exit};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// A running command.
#[derive(Debug)]
pub(super) struct Wrapped {
    child: Child,
}

impl Wrapped {
    /// Starts a command.
    ///
    /// # Errors
    /// [`CliError::Spawn`].
    pub(super) fn start(program: &OsString, arguments: &[OsString]) -> Result<Wrapped, CliError> {
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).kill_on_drop(true);
        if io::stdin().is_terminal() {
            // A process group in the background that reads from the terminal is stopped by the kernel.
            command.stdin(Stdio::null());
        }
        let child = command.spawn().map_err(|source| CliError::Spawn {
            command: program.to_string_lossy().into_owned(),
            source,
        })?;
        Ok(Wrapped { child })
    }

    /// Waits for the command to end.
    ///
    /// # Errors
    /// When the system cannot tell.
    ///
    /// # Cancel safety
    /// May be called again.
    pub(super) async fn ended(&mut self) -> Result<Exit, CliError> {
        let status = self.child.wait().await.map_err(CliError::Supervise)?;
        Ok(exit_of(status))
    }

    /// Passes a signal on to the command and whatever it has started; nothing if it has ended.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), CliError> {
        let group = self
            .child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        match group.map(|group| kill_process_group(group, signal)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(CliError::Supervise(error.into())),
        }
    }

    /// Ends the command: politely, and after a while not so.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) async fn stop(&mut self) -> Result<(), CliError> {
        self.signal(Signal::TERM)?;
        if tokio::time::timeout(KILL_AFTER, self.ended())
            .await
            .is_err()
        {
            self.signal(Signal::KILL)?;
            self.ended().await?;
        }
        Ok(())
    }
}

/// As shells pass it on.
fn exit_of(status: ExitStatus) -> Exit {
    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    Exit::Command(u8::try_from(code).unwrap_or(1))
}

/// Time a command gets to end when we stop it for a reason of our own.
const KILL_AFTER: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Wrapped {
        Wrapped::start(&"sh".into(), &["-c".into(), script.into()]).unwrap()
    }

    #[tokio::test]
    async fn exit_codes_are_passed_on_as_shells_do() {
        for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137)] {
            let exit = shell(script).ended().await.unwrap();
            assert_eq!(exit.code(), code, "{script}");
        }
    }

    #[tokio::test]
    async fn signals_reach_the_whole_group() {
        let mut wrapped = shell("sleep 600 & wait; sleep 600");
        wrapped.signal(Signal::TERM).unwrap();
        assert_eq!(wrapped.ended().await.unwrap().code(), 143);
        wrapped.signal(Signal::TERM).unwrap();
    }

    #[test]
    fn a_command_that_is_not_there_ends_with_127() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let _entered = runtime.enter();
        let error = Wrapped::start(&"/nonexistent/command".into(), &[]).unwrap_err();
        assert_eq!(error.exit().code(), 127);
    }
}
