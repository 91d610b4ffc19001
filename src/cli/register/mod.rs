//! `zoogate register`: an endpoint is registered for as long as its process lives.
//!
//! ```text
//! without a command:  announce -- INT, TERM --> withdraw -> 0
//!
//! with a command:     start -> wait until it accepts connections -> announce --+-- it ends --> withdraw -> its exit code
//!                                                                              |
//!                     its exit code <- wait <- pass the signal on <- drain <- withdraw <-- INT, TERM
//! ```
//!
//! Withdrawing ends the session, which removes the znode in the same transaction; the load balancers stop
//! choosing the endpoint at once, and what is under way has the drain time to finish.
mod address;
mod announce;
mod payload;
#[cfg(test)]
mod tests;
mod wrapped;

pub(in crate::cli) use address::Address;

use super::args::RegisterArgs;
use super::output::Output;
use super::signals::Signals;
use super::{CliError, Exit};
use announce::Announcement;
use payload::Payload;
use rustix::process::Signal;
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wrapped::Wrapped;

/// Registers until told to stop, or until the command ends.
///
/// # Errors
/// [`CliError`].
pub(super) async fn run(args: RegisterArgs, output: Output) -> Result<Exit, CliError> {
    // Before anything can be left behind by a signal.
    let mut signals = Signals::new()?;
    let address = endpoint(&args).await?;
    let announcement = announcement(&args, &address, output);
    match args.command.split_first() {
        None => alone(&announcement, &mut signals, args.give_up_after).await,
        Some((program, arguments)) => {
            let mut command = Wrapped::start(program, arguments)?;
            match start(&mut command, &mut signals, &address, args.wait_ready).await? {
                Some(exit) => Ok(exit),
                None => {
                    let limits = Limits {
                        give_up_after: args.give_up_after,
                        drain: args.drain,
                    };
                    supervise(&announcement, &mut command, &mut signals, limits).await
                }
            }
        }
    }
}

/// The endpoint's address: what was given, or the port at this machine's own.
async fn endpoint(args: &RegisterArgs) -> Result<Address, CliError> {
    match (&args.address, args.port) {
        (Some(address), _) => Ok(address.clone()),
        (None, Some(port)) => match address::local_host(&args.zookeeper).await {
            Some(host) => Ok(Address {
                host: host.to_string(),
                port,
            }),
            None => Err(CliError::Usage(
                "cannot tell this machine's address; give it with --address".into(),
            )),
        },
        (None, None) => Err(CliError::Usage("--address or --port is needed".into())),
    }
}

fn announcement(args: &RegisterArgs, address: &Address, output: Output) -> Announcement {
    let parent = format!("/services/{}", args.service);
    let instance = args.instance.clone().unwrap_or_else(|| address.to_string());
    Announcement {
        hosts: args.zookeeper.clone(),
        login: args.auth.clone(),
        session_timeout: args.session_timeout,
        path: format!("{parent}/{instance}"),
        parent,
        payload: Payload::new(address, args.weight),
        output,
        registered: watch::Sender::new(false),
        withdraw: CancellationToken::new(),
    }
}

/// Registers with nothing to run.
async fn alone(
    announcement: &Announcement,
    signals: &mut Signals,
    give_up_after: Option<Duration>,
) -> Result<Exit, CliError> {
    let keep = announcement.keep();
    tokio::pin!(keep);
    tokio::select! {
        kept = &mut keep => return kept.map(|()| Exit::Ok),
        _ = signals.stop() => {}
        error = overdue(announcement, give_up_after) => {
            withdraw(announcement, keep).await;
            return Err(error);
        }
    }
    tokio::select! {
        () = withdraw(announcement, keep) => Ok(Exit::Ok),
        // A second signal: leave the rest to the session timeout.
        _ = signals.stop() => Ok(Exit::Failed),
    }
}

/// Waits until the command accepts connections. `Some` when it is over before that.
async fn start(
    command: &mut Wrapped,
    signals: &mut Signals,
    address: &Address,
    wait_ready: Duration,
) -> Result<Option<Exit>, CliError> {
    if wait_ready.is_zero() {
        return Ok(None);
    }
    let ready = tokio::time::timeout(wait_ready, accepts(address));
    tokio::pin!(ready);
    loop {
        tokio::select! {
            exit = command.ended() => return exit.map(Some),
            ready = &mut ready => match ready {
                Ok(()) => return Ok(None),
                Err(_) => {
                    command.stop().await?;
                    return Err(CliError::TimedOut {
                        what: format!("waiting for {address} to accept connections"),
                        limit: wait_ready,
                    });
                }
            },
            // Not registered yet: nothing to drain.
            signal = signals.next() => {
                command.signal(signal)?;
                if stops(signal) {
                    return finish(command, signals).await.map(Some);
                }
            }
        }
    }
}

/// Returns when a connection to the address is accepted.
async fn accepts(address: &Address) {
    let address = address.to_string();
    loop {
        let attempt = TcpStream::connect(&address);
        if let Ok(Ok(_)) = tokio::time::timeout(PROBE, attempt).await {
            return;
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
}

/// How long things may take while the command runs.
#[derive(Clone, Copy, Debug)]
struct Limits {
    give_up_after: Option<Duration>,
    drain: Duration,
}

/// Keeps the endpoint registered while the command runs; then drains and stops it, as asked.
async fn supervise(
    announcement: &Announcement,
    command: &mut Wrapped,
    signals: &mut Signals,
    limits: Limits,
) -> Result<Exit, CliError> {
    let keep = announcement.keep();
    let overdue = overdue(announcement, limits.give_up_after);
    tokio::pin!(keep, overdue);
    let signal = loop {
        tokio::select! {
            exit = command.ended() => {
                withdraw(announcement, keep).await;
                return exit;
            }
            // Ends by itself only with an error, because nobody has withdrawn it.
            kept = &mut keep => {
                command.stop().await?;
                return kept.map(|()| Exit::Failed);
            }
            error = &mut overdue => {
                withdraw(announcement, keep).await;
                command.stop().await?;
                return Err(error);
            }
            signal = signals.next() => match stops(signal) {
                true => break signal,
                false => command.signal(signal)?,
            },
        }
    };
    tokio::select! {
        () = withdraw(announcement, keep) => drain(command, signals, limits.drain).await,
        _ = signals.stop() => {}
    }
    command.signal(signal)?;
    finish(command, signals).await
}

/// Takes the endpoint out of the tree. What goes wrong with that is told and changes nothing: the session
/// expires by itself, and the command's end is what matters now.
async fn withdraw(announcement: &Announcement, keep: impl Future<Output = Result<(), CliError>>) {
    announcement.withdraw.cancel();
    if let Err(error) = keep.await {
        announcement.output.error(&error);
    }
}

/// Gives what is under way its time: until that is over, the command ends, or a second signal comes.
async fn drain(command: &mut Wrapped, signals: &mut Signals, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        _ = command.ended() => {}
        _ = signals.stop() => {}
    }
}

/// Waits for the command to end, passing on every further signal.
async fn finish(command: &mut Wrapped, signals: &mut Signals) -> Result<Exit, CliError> {
    loop {
        tokio::select! {
            exit = command.ended() => return exit,
            signal = signals.next() => command.signal(signal)?,
        }
    }
}

/// Returns when the time to register is over and it has not happened; else never.
async fn overdue(announcement: &Announcement, give_up_after: Option<Duration>) -> CliError {
    let Some(limit) = give_up_after else {
        return std::future::pending().await;
    };
    let mut registered = announcement.registered.subscribe();
    let at = Instant::now() + limit;
    match tokio::time::timeout_at(at, registered.wait_for(|registered| *registered)).await {
        Ok(_) => std::future::pending().await,
        Err(_) => CliError::NotRegistered(limit),
    }
}

/// Whether a signal means the end; the others are the command's own business.
fn stops(signal: Signal) -> bool {
    matches!(signal, Signal::INT | Signal::TERM)
}

/// The longest wait for one attempt to connect to the command.
const PROBE: Duration = Duration::from_secs(1);

/// Time between two attempts to connect to the command: short beside the time a process takes to start.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
