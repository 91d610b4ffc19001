//! The bell that the data plane rings when something may have to be decided about endpoints.

use futures_util::task::AtomicWaker;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

/// A bell that anybody may ring and one task hears. Rings that come before it is heard are one.
#[derive(Debug, Default)]
pub struct Bell {
    is_rung: AtomicBool,
    hearer: AtomicWaker,
}

impl Bell {
    /// Rings it. Takes no lock.
    pub fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::AcqRel) {
            self.hearer.wake();
        }
    }

    /// Resolves when it was rung since the last time. For one task.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn heard(&self) {
        poll_fn(|cx| {
            self.hearer.register(cx.waker());
            match self.is_rung.swap(false, Ordering::AcqRel) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn rings_are_heard_once() {
        let bell = Bell::default();
        assert_eq!(bell.heard().now_or_never(), None);
        bell.ring();
        bell.ring();
        assert_eq!(bell.heard().now_or_never(), Some(()));
        assert_eq!(bell.heard().now_or_never(), None);
    }
}
