//! Where the writer works: on a thread of its own, or, in a simulation, as a task, since virtual time does not wait for
//! threads.

use super::command::Command;
use super::shared::FailureGuard;
use super::writer::Writer;
use std::io;
use tokio::sync::mpsc::Receiver;

/// A writer at work.
pub(super) struct Worker {
    #[cfg(not(feature = "simulation"))]
    thread: Option<std::thread::JoinHandle<()>>,
}

#[cfg(not(feature = "simulation"))]
impl Worker {
    /// Puts a writer to work.
    pub(super) fn start(
        writer: Writer,
        commands: Receiver<Command>,
        guard: FailureGuard,
    ) -> io::Result<Worker> {
        let thread = std::thread::Builder::new()
            .name("log-write".into())
            .spawn(move || {
                let _guard = guard;
                writer.run(commands);
            })?;
        let thread = Some(thread);
        Ok(Worker { thread })
    }

    /// Waits until it has ended, which it does when its queue is closed.
    pub(super) fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic there was printed by its thread, and every wait for it has failed.
            let _ = thread.join();
        }
    }
}

#[cfg(feature = "simulation")]
impl Worker {
    /// Puts a writer to work.
    pub(super) fn start(
        writer: Writer,
        commands: Receiver<Command>,
        guard: FailureGuard,
    ) -> io::Result<Worker> {
        tokio::spawn(async move {
            let _guard = guard;
            writer.run_simulated(commands).await;
        });
        Ok(Worker {})
    }

    /// Nobody can wait for a task here; the simulation gives it the time.
    pub(super) fn wait(&mut self) {}
}
