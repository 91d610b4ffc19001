//! The whole data plane: every listener bound, then every worker started, later stopped together.

use super::listener::Listener;
use super::options;
use super::worker::{Means, Worker, run};
use crate::config::ListenerConfig;
use crate::net::{ensure_free, listen_shared};
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
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Threads per worker that may wait for the resolver at once; the rest of its look-ups queue. Each costs a stack.
const RESOLVER_THREADS: usize = 8;

/// Listeners that are bound but not yet served: connections wait in the kernel's backlog.
pub struct Proxy {
    listeners: Vec<ListenerConfig>,
    addrs: BTreeMap<String, SocketAddr>,
    /// By worker, the sockets in the order of `listeners`.
    sockets: Vec<Vec<TcpListener>>,
    means: Means,
}

/// A listener's address cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("listener {listener}: cannot bind {addr}")]
pub struct BindError {
    /// The listener's name.
    pub listener: String,
    /// The address it asks for.
    pub addr: SocketAddr,
    /// The kernel's reason.
    #[source]
    pub source: io::Error,
}

impl Proxy {
    /// Binds every listener once per worker; all or none. With port 0 the kernel chooses one port, and all
    /// workers share it.
    ///
    /// # Errors
    /// [`BindError`], also when somebody else listens on the address already.
    pub fn bind(listeners: &[ListenerConfig], workers: usize) -> Result<Proxy, BindError> {
        let workers = workers.max(1);
        let mut proxy = Proxy {
            listeners: listeners.to_vec(),
            addrs: BTreeMap::new(),
            sockets: (0..workers).map(|_| Vec::new()).collect(),
            means: Means::default(),
        };
        for listener in listeners {
            proxy.bind_one(listener).map_err(|source| BindError {
                listener: listener.name.clone(),
                addr: listener.bind,
                source,
            })?;
        }
        Ok(proxy)
    }

    /// Gives traffic these means instead of whatever there is.
    pub fn with(self, means: Means) -> Proxy {
        Proxy { means, ..self }
    }

    fn bind_one(&mut self, listener: &ListenerConfig) -> io::Result<()> {
        let mut addr = listener.bind;
        if addr.port() != 0 {
            ensure_free(addr)?;
        }
        for sockets in &mut self.sockets {
            let options = options::of_listener(&listener.socket);
            let socket = listen_shared(addr, listener.socket.backlog, &options)?;
            addr = socket.local_addr()?;
            sockets.push(socket);
        }
        self.addrs.insert(listener.name.clone(), addr);
        Ok(())
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
        metrics: &Metrics,
    ) -> io::Result<Serving> {
        let (stop, stopping) = watch::channel(None);
        let shared = |config| Arc::new(Listener::new(config, metrics));
        let listeners: Vec<_> = self.listeners.iter().map(shared).collect();
        let mut workers = Vec::with_capacity(self.sockets.len());
        for (number, sockets) in self.sockets.into_iter().enumerate() {
            let start = Start {
                table: table.clone(),
                sockets: listeners.iter().cloned().zip(sockets).collect(),
                stopping: stopping.clone(),
                means: self.means.clone(),
            };
            workers.push(start.on_thread(number)?);
        }
        let stop = Arc::new(stop);
        Ok(Serving { stop, workers })
    }
}

/// Workers at work. Dropping it stops them at once.
pub struct Serving {
    stop: Arc<watch::Sender<Option<Instant>>>,
    workers: Vec<Thread>,
}

/// A worker's thread, and the word that it is done, by a panic or in order.
struct Thread {
    handle: JoinHandle<()>,
    done: CancellationToken,
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

/// One worker's sockets, each with its listener.
type Sockets<S> = Vec<(Arc<Listener>, S)>;

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
        let done = CancellationToken::new();
        let finished = done.clone().drop_guard();
        let handle = std::thread::Builder::new()
            .name(format!("proxy-{number}"))
            .spawn(move || {
                let _finished = finished;
                self.work(&started);
            })?;
        let ended_early = |_| io::Error::other("the worker's thread ended at once");
        has_started.recv().map_err(ended_early)??;
        Ok(Thread { handle, done })
    }

    /// Runs the worker; says over `started` whether it could begin.
    fn work(self, started: &SyncSender<io::Result<()>>) {
        let (runtime, sockets) = match prepare(self.sockets) {
            Ok(prepared) => prepared,
            Err(error) => return drop(started.send(Err(error))),
        };
        let worker = Rc::new(Worker::new(self.table, self.means));
        let _ = started.send(Ok(()));
        runtime.block_on(run(worker, sockets, self.stopping));
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
