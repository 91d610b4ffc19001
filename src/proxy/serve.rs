//! The whole data plane: every listener bound, then every worker started, later stopped together.

use super::bind::{BindError, BoundListener, bind_all, front};
use super::greeting::Greeting;
use super::ledger::Ledger;
use super::listener::{Entrance, Listener};
use super::posts::Order;
use super::reload::Gate;
use super::worker::{Means, Worker, run};
use crate::config::ListenerConfig;
use crate::net::FrontTls;
use crate::routing::RoutingTable;
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use futures_util::future::select_all;
use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpListener as AsyncListener;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Orders that may wait for a worker, which takes them between two events: a reload with many new listeners waits for
/// it now and then.
const ORDERS: usize = 16;

/// Threads per worker that may wait for the resolver at once; the rest of its look-ups queue. Each costs a stack.
const RESOLVER_THREADS: usize = 8;

/// Listeners that are bound but not yet served: connections wait in the kernel's backlog.
pub struct Proxy {
    listeners: Vec<(ListenerConfig, Option<Arc<FrontTls>>)>,
    addrs: BTreeMap<String, SocketAddr>,
    /// In the order of `listeners`.
    bound: Vec<BoundListener>,
    workers: usize,
    means: Means,
}

impl Proxy {
    /// Binds every listener once per worker; all or none. With port 0 the kernel chooses one port, and all
    /// workers share it.
    ///
    /// # Errors
    /// [`BindError`], also when somebody else listens on the address already, or a certificate cannot be used.
    pub fn bind(listeners: &[ListenerConfig], workers: usize) -> Result<Proxy, BindError> {
        let workers = workers.max(1);
        let all: Vec<&ListenerConfig> = listeners.iter().collect();
        // Before an address is taken: what cannot be shown need not be bound.
        let with_tls = |config: &ListenerConfig| Ok((config.clone(), front(config)?));
        let listeners_with_tls = listeners.iter().map(with_tls).collect::<Result<_, _>>()?;
        let bound = bind_all(&all, workers, &[])?;
        let named =
            |(config, bound): (&ListenerConfig, &BoundListener)| (config.name.clone(), bound.addr);
        Ok(Proxy {
            listeners: listeners_with_tls,
            addrs: listeners.iter().zip(&bound).map(named).collect(),
            bound,
            workers,
            means: Means::default(),
        })
    }

    /// Gives traffic these means instead of whatever there is.
    pub fn with(self, means: Means) -> Proxy {
        Proxy { means, ..self }
    }

    /// Records exchanges in `ledger`.
    pub fn recording(mut self, ledger: Arc<Ledger>) -> Proxy {
        self.means.ledger = ledger;
        self
    }

    /// Where each listener listens, by its name.
    pub fn local_addrs(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addrs
    }

    /// Starts one thread per worker; returns when all of them serve.
    ///
    /// # Errors
    /// When a thread or its runtime cannot be made.
    pub fn serve(
        self,
        table: Arc<ArcSwap<RoutingTable>>,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Serving> {
        let (stop, stopping) = watch::channel(None);
        let mut gates = Vec::with_capacity(self.listeners.len());
        let mut by_worker: Vec<_> = (0..self.workers).map(|_| Vec::new()).collect();
        for ((config, tls), bound) in self.listeners.into_iter().zip(self.bound) {
            let greeting = Greeting::of(&config, tls, metrics);
            let listener = Arc::new(Listener::new(&config, greeting, metrics));
            let entrance = Entrance::new(bound.addr, listener.clone());
            for (sockets, socket) in by_worker.iter_mut().zip(bound.sockets) {
                sockets.push((entrance.clone(), socket));
            }
            gates.push(Gate {
                config,
                entrance,
                listener,
            });
        }
        let mut workers = Vec::with_capacity(self.workers);
        for (number, sockets) in by_worker.into_iter().enumerate() {
            let start = Start {
                table: table.clone(),
                sockets,
                stopping: stopping.clone(),
                means: self.means.clone(),
            };
            workers.push(start.on_thread(number)?);
        }
        Ok(Serving {
            stop: Arc::new(stop),
            workers,
            gates,
            metrics: metrics.clone(),
        })
    }
}

/// Workers at work. Dropping it stops them at once.
pub struct Serving {
    stop: Arc<watch::Sender<Option<Instant>>>,
    pub(super) workers: Vec<Thread>,
    pub(super) gates: Vec<Gate>,
    pub(super) metrics: Arc<Metrics>,
}

/// A worker's thread, and the word that it is done, by a panic or in order.
pub(super) struct Thread {
    handle: JoinHandle<()>,
    done: CancellationToken,
    pub(super) orders: mpsc::Sender<Order>,
}

impl Serving {
    /// Resolves when a worker has ended though nobody asked it to.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn failed(&self) {
        let workers = self.workers.iter().map(|w| Box::pin(w.done.cancelled()));
        match self.workers.is_empty() {
            true => pending().await,
            false => drop(select_all(workers).await),
        }
    }

    /// What ends all workers at once, without waiting for them; may be called from any thread.
    pub fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let stop = Arc::downgrade(&self.stop);
        move || {
            if let Some(stop) = stop.upgrade() {
                stop.send_replace(Some(Instant::now()));
            }
        }
    }

    /// Stops accepting, lets exchanges under way finish for up to `grace`, then ends the rest; returns when
    /// every thread has ended.
    pub async fn stop(self, grace: Duration) {
        self.stop.send_replace(Some(Instant::now() + grace));
        for worker in self.workers {
            worker.done.cancelled().await;
            if worker.handle.join().is_err() {
                tracing::error!("a worker had panicked");
            }
        }
    }
}

/// One worker's sockets, each with its entrance.
type Sockets<S> = Vec<(Arc<Entrance>, S)>;

/// Everything a worker starts with.
struct Start {
    table: Arc<ArcSwap<RoutingTable>>,
    sockets: Sockets<TcpListener>,
    stopping: watch::Receiver<Option<Instant>>,
    means: Means,
}

impl Start {
    fn on_thread(self, number: usize) -> io::Result<Thread> {
        let (started, has_started) = sync_channel(1);
        let (orders, ordered) = mpsc::channel(ORDERS);
        let done = CancellationToken::new();
        let finished = done.clone().drop_guard();
        let handle = std::thread::Builder::new()
            .name(format!("proxy-{number}"))
            .spawn(move || {
                let _finished = finished;
                self.work(&started, ordered);
            })?;
        let ended_early = |_| io::Error::other("the worker's thread ended at once");
        has_started.recv().map_err(ended_early)??;
        Ok(Thread {
            handle,
            done,
            orders,
        })
    }

    /// Runs the worker; says over `started` whether it could begin.
    fn work(self, started: &SyncSender<io::Result<()>>, ordered: mpsc::Receiver<Order>) {
        let (runtime, sockets) = match prepare(self.sockets) {
            Ok(prepared) => prepared,
            Err(error) => return drop(started.send(Err(error))),
        };
        let worker = Rc::new(Worker::new(self.table, self.means));
        let _ = started.send(Ok(()));
        runtime.block_on(run(worker, sockets, ordered, self.stopping));
    }
}

/// A runtime, and the sockets registered with it; both belong to the thread that calls.
fn prepare(sockets: Sockets<TcpListener>) -> io::Result<(LocalRuntime, Sockets<AsyncListener>)> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(RESOLVER_THREADS)
        .build_local(LocalOptions::default())?;
    let registered = {
        let _inside = runtime.enter();
        let register = |(listener, socket)| Ok((listener, AsyncListener::from_std(socket)?));
        sockets.into_iter().map(register).collect::<io::Result<_>>()
    };
    Ok((runtime, registered?))
}
