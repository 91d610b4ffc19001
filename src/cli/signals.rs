//! The signals a long-running verb listens to.

use super::CliError;
use rustix::process::Signal;
use std::future::poll_fn;
use std::io;
use std::task::Poll;
use tokio::signal::unix::{self, SignalKind};

/// Streams of the signals that would otherwise end the process.
#[derive(Debug)]
pub(super) struct Signals(Source);

#[derive(Debug)]
enum Source {
    System(Vec<(Signal, unix::Signal)>),
    #[cfg(test)]
    Script(tokio::sync::mpsc::Receiver<Signal>),
}

impl Signals {
    /// From now on these signals are delivered here instead of ending the process.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn new() -> Result<Signals, CliError> {
        let stream = |(signal, kind)| -> Result<(Signal, unix::Signal), io::Error> {
            Ok((signal, unix::signal(kind)?))
        };
        [
            (Signal::INT, SignalKind::interrupt()),
            (Signal::TERM, SignalKind::terminate()),
            (Signal::HUP, SignalKind::hangup()),
            (Signal::QUIT, SignalKind::quit()),
            (Signal::USR1, SignalKind::user_defined1()),
            (Signal::USR2, SignalKind::user_defined2()),
        ]
        .into_iter()
        .map(stream)
        .collect::<Result<_, _>>()
        .map(|streams| Signals(Source::System(streams)))
        .map_err(CliError::Supervise)
    }

    /// Signals as a test sends them: real ones would reach every test of the process.
    #[cfg(test)]
    pub(super) fn scripted() -> (Signals, tokio::sync::mpsc::Sender<Signal>) {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        (Signals(Source::Script(receiver)), sender)
    }

    /// The next signal.
    ///
    /// # Cancel safety
    /// A signal that arrives between two calls is returned by the later one.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|cx| match &mut self.0 {
            Source::System(streams) => {
                for (signal, stream) in streams {
                    if let Poll::Ready(Some(())) = stream.poll_recv(cx) {
                        return Poll::Ready(*signal);
                    }
                }
                Poll::Pending
            }
            #[cfg(test)]
            Source::Script(signals) => match signals.poll_recv(cx) {
                Poll::Ready(Some(signal)) => Poll::Ready(signal),
                _ => Poll::Pending,
            },
        })
        .await
    }

    /// The next signal that asks to stop.
    pub(super) async fn stop(&mut self) -> Signal {
        loop {
            let signal = self.next().await;
            if matches!(
                signal,
                Signal::INT | Signal::TERM | Signal::HUP | Signal::QUIT
            ) {
                return signal;
            }
        }
    }
}
