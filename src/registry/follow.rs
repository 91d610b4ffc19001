//! The loop that keeps the routing table up with the tree.
//!
//! ```text
//! ensemble apply --applied/replaced--> dirty names --wake--> follow: read -> assemble -> swap
//! file reload ------------reload-----> everything is dirty ----^
//! probes, ejections -----changed-----> a service is dirty -----^
//! time ---------------------due------> a service is dirty -----^
//! ```
//! Level-triggered: a wake-up says that something changed, and the table is rebuilt from the tree as it is when it
//! is read, not as it was when the change happened. While one table is assembled, further changes gather and are
//! served together by the next; a lone change waits for nothing.
//!
//! Invariants:
//! - What is dirty is taken before the tree is read. A change in between is read now and rebuilt once more; none is
//!   ever missed.
//! - Tables are assembled one at a time, so each is assembled from its predecessor.
//! - If assembling fails, the table in use stays, and what was dirty stays dirty.

use super::assemble::{Assembled, FileLayer, Given, assemble};
use super::departed::Departed;
use super::departures::{Departure, Departures, Removal};
use super::dirty::Dirty;
use super::due::Due;
use super::layout;
use super::reading::{Reading, read};
use super::settings::{RefusedSettings, TreeSettings, Verdict};
use crate::balance::Bell;
use crate::config::ServiceName;
use crate::ensemble::{Ensemble, Follower};
use crate::net::now_ms;
use crate::routing::RoutingTable;
use crate::telemetry::{Metrics, contained_panic, unix_millis, unix_seconds};
use crate::tree::{Change, Event, Tree, Zxid};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The bridge from the tree to the data plane: it hears of every change and puts new tables into use.
pub struct Registry {
    table: Arc<ArcSwap<RoutingTable>>,
    metrics: Arc<Metrics>,
    file: Mutex<Arc<FileLayer>>,
    dirty: Mutex<Dirty>,
    wake: Notify,
    /// Held while a table is assembled, so that it is one at a time.
    memory: Mutex<Memory>,
    /// The time of the next change that time alone makes, in milliseconds.
    due: Mutex<Due>,
    /// Rung by the data plane.
    bell: Arc<Bell>,
    /// How many tables were put into use, for whoever follows them.
    swaps: watch::Sender<u64>,
    /// For whoever wants to show them; kept apart from `memory` so that showing waits for no assembling.
    refused: Mutex<Vec<RefusedSettings>>,
    /// The same of those that have left.
    departures: Mutex<Departures>,
}

/// Looks at the tree with its argument and returns what that read.
pub(super) type Reader<'a> = dyn Fn(&dyn Fn(&Tree) -> Reading) -> Reading + Send + Sync + 'a;

/// What is known from one table to the next besides the table itself.
#[derive(Default)]
struct Memory {
    settings: TreeSettings,
    departed: Departed,
    /// Services did not fit the table. Until they do, each table is assembled from a whole reading, so that one
    /// takes the place of another that goes.
    is_full: bool,
}

impl Registry {
    /// A registry that puts its tables into `table`. Everything is dirty at first.
    pub fn new(
        file: FileLayer,
        table: Arc<ArcSwap<RoutingTable>>,
        metrics: Arc<Metrics>,
    ) -> Registry {
        let registry = Registry {
            table,
            metrics,
            file: Mutex::new(Arc::new(file)),
            dirty: Mutex::new(Dirty::all()),
            wake: Notify::new(),
            memory: Mutex::default(),
            due: Mutex::default(),
            bell: Arc::default(),
            swaps: watch::Sender::new(0),
            refused: Mutex::default(),
            departures: Mutex::default(),
        };
        registry.wake.notify_one();
        registry
    }

    /// Goes by another file from now on. It is valid; the table follows as soon as [`Registry::follow`] gets to it.
    pub fn reload(&self, file: FileLayer) {
        *self.file.lock() = Arc::new(file);
        self.dirty.lock().mark_all();
        self.wake.notify_one();
    }

    /// What is recorded about an endpoint of `service` has changed; a table that goes by it follows.
    pub fn changed(&self, service: &ServiceName) {
        self.dirty.lock().mark_changed(service);
        self.wake.notify_one();
    }

    /// Changes with each table that is put into use.
    pub fn swaps(&self) -> watch::Receiver<u64> {
        self.swaps.subscribe()
    }

    /// Rung when an endpoint may have to be ejected.
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Settings in the tree that are not in force because they are not valid.
    pub fn refused_settings(&self) -> Vec<RefusedSettings> {
        self.refused.lock().clone()
    }

    /// How an instance that is remembered left the last time; it may be back.
    pub fn departure(&self, service: &str, instance: &str) -> Option<Departure> {
        self.departures.lock().of(service, instance)
    }

    /// The instances of a service whose departure is remembered, by their names; they may be back.
    pub fn departures(&self, service: &str) -> Vec<(Arc<str>, Departure)> {
        self.departures.lock().of_service(service)
    }

    /// Exchanges under way with an instance: those of the endpoint in the table, and of what it was before.
    pub fn active(&self, service: &str, instance: &str) -> u32 {
        let table = self.table.load();
        let mut endpoints = table
            .service(service)
            .into_iter()
            .flat_map(|s| &s.endpoints);
        let endpoint = endpoints.find(|endpoint| *endpoint.instance == *instance);
        let state = endpoint.map(|endpoint| &endpoint.state);
        let now = state.map_or(0, |state| state.active.load(Ordering::Relaxed));
        now + self.departures.lock().active(service, instance, state)
    }

    /// Keeps the table up with the tree until `stop`.
    pub async fn follow(&self, ensemble: &Ensemble, stop: &CancellationToken) {
        self.follow_by(&|look| ensemble.read(look), stop).await;
    }

    /// Brings the table up with the tree now, if anything is dirty. Takes some milliseconds when thousands of
    /// endpoints changed. [`Registry::follow`] does it by itself; a node that starts calls it once before it
    /// accepts traffic.
    ///
    /// False if that failed: the table in use is the one before.
    pub fn catch_up(&self, ensemble: &Ensemble) -> bool {
        self.catch_up_by(&|look| ensemble.read(look))
    }

    pub(super) async fn follow_by(&self, reader: &Reader<'_>, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = self.wake.notified() => {
                    failpoint!("registry");
                    self.catch_up_by(reader);
                }
                () = self.until_due() => self.mark_due(),
                () = stop.cancelled() => return,
            }
        }
    }

    /// Waits for the next time at which a service changes by time alone. Times are set by the task that waits.
    async fn until_due(&self) {
        let next = self.due.lock().next();
        match next {
            Some(at_ms) => sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()))).await,
            None => pending().await,
        }
    }

    fn mark_due(&self) {
        let (now_ms, mut due) = (now_ms(), self.due.lock());
        while let Some(service) = due.pop(now_ms) {
            self.changed(&service);
        }
    }

    pub(super) fn catch_up_by(&self, reader: &Reader<'_>) -> bool {
        let mut memory = self.memory.lock();
        let Some(mut dirty) = self.dirty.lock().take() else {
            return true;
        };
        if memory.is_full {
            dirty.mark_all();
        }
        let file = Arc::clone(&self.file.lock());
        // Assembling changes nothing that is shared, so nothing is half done if it panics; and a defect in it
        // must not end the loop that the next change depends on.
        let assembled = contained_panic(|| {
            let reading = reader(&|tree| read(tree, dirty.scope()));
            self.take_settings(&mut memory, &reading);
            assemble(&Given {
                file: &file,
                settings: &memory.settings,
                reading: &reading,
                previous: &self.table.load(),
                departed: &memory.departed,
                metrics: &self.metrics,
                bell: &self.bell,
                now_ms: now_ms(),
            })
        });
        match assembled {
            Ok(assembled) => {
                self.put_into_use(assembled, &mut memory, dirty.since());
                true
            }
            Err(_) => {
                self.metrics.coordination.table_failures.inc();
                error!("a routing table could not be assembled; the one before stays in use");
                self.dirty.lock().merge(dirty);
                false
            }
        }
    }

    fn put_into_use(&self, new: Assembled, memory: &mut Memory, since: Option<Instant>) {
        let Assembled {
            table,
            effects,
            changes,
            omitted,
            due,
        } = new;
        let zxid = Zxid(table.version);
        {
            // Before the swap, so that what is under way is counted in one place or the other at any time.
            let (mut departures, at_ms) = (self.departures.lock(), unix_millis());
            for (service, endpoint) in &effects.left {
                departures.left(service, endpoint, zxid.0, at_ms);
            }
        }
        effects.before_swap();
        self.table.store(Arc::new(table));
        effects.after_swap(&mut memory.departed, &self.metrics);
        {
            let mut known = self.due.lock();
            due.iter().for_each(|(name, at_ms)| known.set(name, *at_ms));
        }
        self.swaps.send_modify(|swaps| *swaps += 1);

        let metrics = &self.metrics.coordination;
        metrics.table_swaps.inc();
        metrics.table_zxid.set(zxid.to_wire());
        metrics.table_swap_timestamp.set(unix_seconds());
        if let Some(since) = since {
            let seconds = since.elapsed().as_secs_f64();
            metrics.commit_to_swap.observe(seconds);
        }
        for change in &changes {
            change.log(zxid);
        }
        if omitted > 0 && !memory.is_full {
            warn!(
                omitted,
                %zxid,
                "the routing table is full; services are left out"
            );
        }
        memory.is_full = omitted > 0;
    }

    /// Takes the settings of the services that were read, as far as they are valid.
    fn take_settings(&self, memory: &mut Memory, reading: &Reading) {
        let mut changed = false;
        if reading.is_whole {
            let known = |service: &_| reading.services.contains_key(service);
            memory.settings.retain(known);
        }
        for (service, registered) in &reading.services {
            let path = || layout::settings_path(service);
            match memory
                .settings
                .update(service, registered.settings.as_ref())
            {
                Verdict::Unchanged => continue,
                Verdict::Taken => {
                    self.metrics.coordination.settings_reloads.inc();
                    info!(path = path(), zxid = %Zxid(reading.zxid), "settings taken");
                }
                Verdict::Refused => self.metrics.coordination.settings_refused.inc(),
            }
            changed = true;
        }
        if changed || reading.is_whole {
            self.show_refused(memory, Zxid(reading.zxid));
        }
    }

    fn show_refused(&self, memory: &Memory, zxid: Zxid) {
        let refused: Vec<RefusedSettings> = memory.settings.refused().cloned().collect();
        let mut shown = self.refused.lock();
        for new in refused.iter().filter(|new| !shown.contains(new)) {
            warn!(
                path = new.path,
                reason = new.reason,
                %zxid,
                "settings refused; those before stay in force"
            );
        }
        if *shown != refused {
            let ok = refused.is_empty();
            self.metrics.coordination.settings_ok.set(ok.into());
        }
        *shown = refused;
    }
}

impl Follower for Registry {
    fn applied(&self, _tree: &Tree, zxid: Zxid, events: &[Event]) {
        let mut touched = events.iter().filter_map(service_of).peekable();
        // Most transactions (sessions, somebody else's locks) concern no service and take no lock here.
        if touched.peek().is_none() {
            return;
        }
        let mut dirty = self.dirty.lock();
        let mut wake = false;
        for service in touched {
            wake |= dirty.mark(service);
        }
        drop(dirty);
        self.note_removals(zxid, events);
        if wake {
            self.wake.notify_one();
        }
    }

    fn replaced(&self, _tree: &Tree) {
        self.dirty.lock().mark_all_committed();
        self.wake.notify_one();
    }
}

impl Registry {
    /// Remembers which registrations a transaction removed, and why.
    fn note_removals(&self, zxid: Zxid, events: &[Event]) {
        let removed = events.iter().filter_map(removed_by);
        let mut removed = removed.peekable();
        if removed.peek().is_none() {
            return;
        }
        let ended = events.iter().find_map(|event| match event {
            Event::SessionClosed {
                session,
                is_expired: true,
            } => Some(Removal::Expired(*session)),
            Event::SessionClosed { session, .. } => Some(Removal::Closed(*session)),
            _ => None,
        });
        let what = (zxid.0, ended.unwrap_or(Removal::Deleted));
        let (mut departures, at_ms) = (self.departures.lock(), unix_millis());
        for (service, instance) in removed {
            departures.removed(&service, instance, what, at_ms);
        }
    }
}

/// The registration that an event says is removed.
fn removed_by(event: &Event) -> Option<(ServiceName, &str)> {
    let Event::Znode {
        change: Change::Deleted,
        path,
        ..
    } = event
    else {
        return None;
    };
    let (service, instance) = layout::registration(path)?;
    Some((ServiceName::new(service).ok()?, instance))
}

/// The name of the service that an event concerns.
fn service_of(event: &Event) -> Option<&str> {
    match event {
        Event::Znode { path, .. } => layout::touched(path),
        Event::SessionAttached { .. } | Event::SessionClosed { .. } => None,
    }
}
