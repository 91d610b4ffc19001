//! What a watch delivers, and the bounded way it takes.
//!
//! Watches are one-shot and belong to a connection, so there can never be more events under way than the
//! caller has armed watches; a bounded channel with room for every sensible number of them loses nothing.
//! Should it fill up nevertheless, or the connection be lost with the watches in it, one
//! [`WatchEvent::Lost`] stands for everything that may have been missed. A caller that treats every event
//! as "read again, and arm again" is right in all cases.

use tokio::sync::mpsc;

/// A change of something that was watched. Paths are as they were watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// The znode was created.
    Created(String),
    /// The znode was deleted.
    Deleted(String),
    /// The znode's data was set.
    DataChanged(String),
    /// A child of the znode was created or deleted.
    ChildrenChanged(String),
    /// All watches are gone, with the connection or because their events were not taken in time: read
    /// everything again and arm again.
    Lost,
}

/// Where a caller takes its events from. Dropping it says that no events are wanted.
pub type Events = mpsc::Receiver<WatchEvent>;

/// The session's end of the channel.
#[derive(Debug)]
pub(super) struct EventSink {
    channel: mpsc::Sender<WatchEvent>,
    owes_lost: bool,
}

impl EventSink {
    /// A sink and where its events come out.
    pub(super) fn new() -> (EventSink, Events) {
        let (channel, events) = mpsc::channel(CAPACITY);
        let sink = EventSink {
            channel,
            owes_lost: false,
        };
        (sink, events)
    }

    /// Passes an event on; never waits, because pings and replies are behind it.
    pub(super) fn send(&mut self, event: WatchEvent) {
        if self.owes_lost {
            return; // everything is to be read again anyway, and order is kept
        }
        if let Err(mpsc::error::TrySendError::Full(_)) = self.channel.try_send(event) {
            self.owes_lost = true;
        }
    }

    /// All watches are gone.
    pub(super) fn send_lost(&mut self) {
        self.owes_lost = true;
    }

    /// Whether [`EventSink::settle`] has something to do.
    pub(super) fn owes(&self) -> bool {
        self.owes_lost
    }

    /// Delivers the [`WatchEvent::Lost`] that found no room, as soon as there is some.
    ///
    /// # Cancel safety
    /// Nothing is delivered, or lost, by a call that is dropped before it returns.
    pub(super) async fn settle(&mut self) {
        if let Ok(room) = self.channel.reserve().await {
            room.send(WatchEvent::Lost);
        }
        self.owes_lost = false;
    }
}

/// Events waiting to be taken; about 100 bytes each. Raising it only helps callers that arm more watches
/// than this and then do not read for a while.
const CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn overflow_is_told_as_one_lost() {
        let (mut sink, mut events) = EventSink::new();
        for i in 0..CAPACITY + 10 {
            sink.send(WatchEvent::Deleted(format!("/{i}")));
        }
        assert!(sink.owes());
        for i in 0..CAPACITY {
            assert_eq!(
                events.recv().await,
                Some(WatchEvent::Deleted(format!("/{i}")))
            );
        }
        sink.send(WatchEvent::Created("/behind".into()));
        sink.settle().await;
        assert!(!sink.owes());
        assert_eq!(events.recv().await, Some(WatchEvent::Lost));
        sink.send(WatchEvent::Created("/a".into()));
        assert_eq!(events.recv().await, Some(WatchEvent::Created("/a".into())));
    }

    #[tokio::test]
    async fn events_nobody_wants_cost_nothing() {
        let (mut sink, events) = EventSink::new();
        drop(events);
        sink.send(WatchEvent::Lost);
        assert!(!sink.owes());
        sink.settle().await;
    }
}
