//! Panics: each is logged with its place, counted, and, unless it is contained, dooms the process.
//!
//! A panic is a defect. In the task of one connection it ends that connection; anywhere else nobody knows what has ended
//! with it, so the node is unhealthy from that moment and ends. What is *contained* is said by those who spawn it.
//!
//! ```text
//!   panic --hook--> count, log line --in contained(..)?--> yes: that is all
//!                                                    `---> no: doomed() resolves, is_doomed() is true
//! ```

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::future::poll_fn;
use std::panic::{self, PanicHookInfo};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tokio::sync::watch;

/// Of the process: a panic does not know its node.
static PANICS: AtomicU64 = AtomicU64::new(0);
/// Set by the first panic that is not contained.
static DOOMED: LazyLock<watch::Sender<bool>> = LazyLock::new(|| watch::Sender::new(false));

thread_local! {
    /// Whether a panic of this thread would be contained now.
    static IS_CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Panics of this process since its log was set up.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Whether there was a panic that was not contained.
pub fn is_doomed() -> bool {
    *DOOMED.borrow()
}

/// Resolves once [`is_doomed`].
///
/// # Cancel safety
/// Safe.
pub async fn doomed() {
    // The sender is never dropped.
    let _ = DOOMED.subscribe().wait_for(|doomed| *doomed).await;
}

/// A task whose panic ends nothing but itself.
///
/// Boxed: an async function would keep room for its argument beside the pinned one, and tasks are many and large.
pub fn contained<F: Future>(task: F) -> impl Future<Output = F::Output> {
    let mut task = Box::pin(task);
    poll_fn(move |cx| {
        let _scope = Scope::enter();
        task.as_mut().poll(cx)
    })
}

/// Work whose panic the caller catches.
///
/// # Errors
/// The panic.
pub fn contained_panic<R>(work: impl FnOnce() -> R) -> thread::Result<R> {
    let _scope = Scope::enter();
    panic::catch_unwind(panic::AssertUnwindSafe(work))
}

/// While this lives, panics are contained.
struct Scope {
    before: bool,
}

impl Scope {
    fn enter() -> Scope {
        let before = IS_CONTAINED.replace(true);
        Scope { before }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        IS_CONTAINED.set(self.before);
    }
}

/// From now on a panic writes one line to the log, with a backtrace if `RUST_BACKTRACE` asks for it.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(|info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let is_contained = IS_CONTAINED.get();
        if !is_contained {
            DOOMED.send_replace(true);
        }
        log(info, is_contained);
    }));
}

fn log(info: &PanicHookInfo<'_>, is_contained: bool) {
    let location = info.location().map(ToString::to_string);
    let thread = thread::current();
    tracing::error!(
        location = location.as_deref().unwrap_or("unknown"),
        thread = thread.name().unwrap_or("unnamed"),
        contained = is_contained,
        "panicked: {}",
        info.payload_as_str().unwrap_or("without a message"),
    );
    // A line of its own: to find names takes a while, and a process that ends does not wait for it.
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(%backtrace, "where it panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;

    #[tokio::test]
    async fn a_panic_is_contained_while_its_task_runs_and_not_between() {
        let (seen, yielded) = (Cell::new(false), Cell::new(false));
        let task = contained(async {
            seen.set(IS_CONTAINED.get());
            tokio::task::yield_now().await;
            yielded.set(IS_CONTAINED.get());
        });
        let mut task = pin!(task);
        poll_fn(|cx| {
            let polled = task.as_mut().poll(cx);
            assert!(!IS_CONTAINED.get());
            polled
        })
        .await;
        assert!(seen.get() && yielded.get());
    }

    #[test]
    fn a_panic_that_was_caught_is_given_back_and_the_scope_ends() {
        let caught = contained_panic(|| panic::resume_unwind(Box::new("on purpose")));
        let caught: Box<dyn std::any::Any + Send> = match caught {
            Ok(()) => Box::new(()),
            Err(panic) => panic,
        };
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"on purpose"));
        assert!(!IS_CONTAINED.get());
    }
}
