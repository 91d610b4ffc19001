//! Keeping the destination in step: what changes at the source is looked at again, until somebody says stop.
//!
//! ```text
//! recursive watch --events--> set of paths --batch--> there: copied again | gone: deleted
//!    lost --> watch again, and a whole pass
//! ```
//! Level-triggered: an event says only that a path is to be looked at. So nothing is lost by taking many events of
//! a path for one, and a pass over everything makes up for events that were missed.

use super::copy::is_not_permitted;
use super::progress::count;
use super::rules::is_own;
use super::side::retried;
use super::{MigrateError, Migration};
use crate::cli::CliError;
use crate::cli::args::ConflictMode;
use crate::cli::signals::Signals;
use crate::client::{ClientError, Events, WatchEvent};
use crate::tree::ErrorCode;
use futures_util::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

/// Paths that may wait to be looked at, about 100 bytes each; more are looked at by a whole pass.
const WAITING: usize = 100_000;

/// How long events are gathered before they are looked at: changes of one path in between are copied once.
const GATHER: Duration = Duration::from_millis(20);

/// How long after a `sync` its server may take to send the events before it. They travel on the same connection
/// and in order, so they are there; this is for the task that takes them.
const SETTLE: Duration = Duration::from_millis(100);

/// What is to be looked at again.
#[derive(Debug, Default)]
struct Dirty {
    paths: BTreeSet<String>,
    /// Events were missed.
    everything: bool,
}

/// Takes events off the session as fast as they come.
#[derive(Debug)]
pub(super) struct Follower {
    dirty: Arc<Mutex<Dirty>>,
    arrived: Arc<Notify>,
    _taker: AbortOnDropHandle<()>,
}

impl Follower {
    pub(super) fn new(mut events: Events) -> Follower {
        let dirty = Arc::<Mutex<Dirty>>::default();
        let arrived = Arc::<Notify>::default();
        let taker = {
            let (dirty, arrived) = (dirty.clone(), arrived.clone());
            tokio::spawn(async move {
                while let Some(event) = events.recv().await {
                    dirty.lock().note(event);
                    arrived.notify_one();
                }
            })
        };
        Follower {
            dirty,
            arrived,
            _taker: AbortOnDropHandle::new(taker),
        }
    }

    fn take(&self) -> Dirty {
        std::mem::take(&mut *self.dirty.lock())
    }
}

impl Dirty {
    fn note(&mut self, event: WatchEvent) {
        match event {
            WatchEvent::Created(path)
            | WatchEvent::Deleted(path)
            | WatchEvent::DataChanged(path) => {
                if !self.everything {
                    self.paths.insert(path);
                }
            }
            // What a recursive watch does not say.
            WatchEvent::ChildrenChanged(_) => {}
            WatchEvent::Lost => self.everything = true,
        }
        if self.paths.len() > WAITING {
            self.everything = true;
        }
        if self.everything {
            self.paths.clear();
        }
    }
}

impl Migration {
    /// Has the source tell every change from now on.
    pub(super) async fn watch(&self) -> Result<(), CliError> {
        let watch = async || self.from.client.watch_below(&self.root).await;
        match retried(watch).await {
            Err(error) if is_unknown(&error) => Err(MigrateError::NoRecursiveWatch.into()),
            done => Ok(done?),
        }
    }

    /// Repeats every change until a signal asks to stop, then everything that is left.
    pub(super) async fn follow(
        &self,
        follower: &Follower,
        signals: &mut Signals,
    ) -> Result<(), CliError> {
        loop {
            tokio::select! {
                _ = signals.stop() => break,
                () = follower.arrived.notified() => {}
            }
            // Not cut short by a signal: what was begun is finished.
            tokio::time::sleep(GATHER).await;
            self.catch_up(follower.take()).await?;
        }
        self.from.sync().await?;
        tokio::time::sleep(SETTLE).await;
        self.catch_up(follower.take()).await?;
        // Changes of ACLs are not announced.
        self.everything_again().await
    }

    async fn catch_up(&self, dirty: Dirty) -> Result<(), CliError> {
        if dirty.everything {
            self.watch().await?;
            return self.everything_again().await;
        }
        let paths = dirty.paths.into_iter().filter(|path| !is_own(path));
        let mut gone = Vec::new();
        // Parents before their children.
        for paths in by_depth(paths).into_values() {
            let looks = stream::iter(paths).map(|path| self.look_again(path));
            let looks = looks.buffer_unordered(self.at_once);
            let here: Vec<Option<String>> = looks.try_collect().await?;
            gone.extend(here.into_iter().flatten());
        }
        self.delete_all(gone).await
    }

    /// Copies a znode that has changed; tells its path if it is gone and was copied before.
    async fn look_again(&self, path: String) -> Result<Option<String>, CliError> {
        match self.copy_with_parents(&path).await {
            Ok(true) => Ok(None),
            Ok(false) => Ok(self.copied.borrow_mut().remove(&path).then_some(path)),
            Err(error) if is_not_permitted(&error) => {
                count(&self.progress.conflicts);
                self.output
                    .lines([format!("conflict {path} not permitted")])?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A pass over everything; what it does not meet any more is gone.
    async fn everything_again(&self) -> Result<(), CliError> {
        let before = std::mem::take(&mut *self.copied.borrow_mut());
        self.copy_all(ConflictMode::Overwrite).await?;
        let gone = {
            let now = self.copied.borrow();
            before
                .into_iter()
                .filter(|path| !now.contains(path))
                .collect()
        };
        self.delete_all(gone).await
    }

    /// Copies a znode; false if there is none. Its parent may be new as well, and its event still on its way.
    async fn copy_with_parents(&self, path: &str) -> Result<bool, CliError> {
        let mode = ConflictMode::Overwrite;
        match self.copy(path, mode).await {
            Err(CliError::Client(error)) if error.code() == Some(ErrorCode::NoNode) => {
                let above = path.rmatch_indices('/').map(|(at, _)| &path[..at]);
                let below_root = |above: &&str| above.len() > self.root.len();
                let mut above: Vec<&str> = above.filter(below_root).collect();
                above.reverse();
                for parent in above {
                    self.copy(parent, mode).await?;
                }
                Ok(self.copy(path, mode).await?.is_some())
            }
            done => Ok(done?.is_some()),
        }
    }

    /// Deletes what the source has not any more, children first. What has children of its own, or belongs to a
    /// session, stays.
    async fn delete_all(&self, gone: Vec<String>) -> Result<(), CliError> {
        for paths in by_depth(gone.into_iter()).into_values().rev() {
            let deletes = stream::iter(paths).map(async |path| {
                match self.to.delete(&self.rules.target(&path)).await? {
                    true => count(&self.progress.deleted),
                    false => self
                        .output
                        .lines([format!("conflict {path} not deleted")])?,
                }
                Ok::<_, CliError>(())
            });
            deletes
                .buffer_unordered(self.at_once)
                .try_collect::<()>()
                .await?;
        }
        Ok(())
    }
}

/// Paths by how many are above them.
fn by_depth(paths: impl Iterator<Item = String>) -> BTreeMap<usize, Vec<String>> {
    let mut depths = BTreeMap::<usize, Vec<String>>::new();
    for path in paths {
        let depth = path.matches('/').count();
        depths.entry(depth).or_default().push(path);
    }
    depths
}

fn is_unknown(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::Unimplemented)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_events_of_a_path_are_one_look_and_too_many_paths_a_pass() {
        let mut dirty = Dirty::default();
        for _ in 0..3 {
            dirty.note(WatchEvent::DataChanged("/a".into()));
            dirty.note(WatchEvent::ChildrenChanged("/b".into()));
        }
        assert_eq!(dirty.paths.len(), 1);
        for nth in 0..=WAITING {
            dirty.note(WatchEvent::Created(format!("/{nth}")));
        }
        assert!(dirty.everything && dirty.paths.is_empty());
        let mut dirty = Dirty::default();
        dirty.note(WatchEvent::Created("/a".into()));
        dirty.note(WatchEvent::Lost);
        dirty.note(WatchEvent::Created("/b".into()));
        assert!(dirty.everything && dirty.paths.is_empty());
    }
}
