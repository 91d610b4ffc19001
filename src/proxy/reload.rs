//! Changing listeners while they serve: all of it or nothing, and no client refused or reset.
//!
//! ```text
//! prepare  bind what is new, then listen, then register with every worker     fails: nothing has changed
//!          (the caller puts a table into use that has the new listeners' rules and still the old ones')
//! switch   kept addresses lead to their listeners, new ones accept, old ones have their last call
//! leaving  what is not there any more ends when its last exchange does; its rules are needed until then
//! ```
//! Sockets belong to addresses, listeners to sockets. An address that is in both configurations keeps its sockets,
//! whatever changes about its listener: name, protocol, limits.

use super::bind::{BindError, bind_all, front};
use super::greeting::{Greeting, tls_label};
use super::listener::{Entrance, Listener};
use super::options;
use super::posts::{Order, Switch};
use super::serve::Serving;
use crate::config::ListenerConfig;
use crate::net::FrontTls;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long a worker may take to register a socket: it does so between two events. One that takes longer is stuck.
const WORKER_PATIENCE: Duration = Duration::from_secs(5);

/// Why listeners stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// A listener cannot be set up.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A socket cannot be registered.
    #[error("listener {listener}: a worker cannot use {addr}")]
    Register {
        /// The listener's name.
        listener: String,
        /// Its address.
        addr: SocketAddr,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// A worker does not answer.
    #[error("a worker does not answer within {WORKER_PATIENCE:?}")]
    Worker,
}

/// An address, and the listener it leads to.
pub(super) struct Gate {
    pub(super) config: ListenerConfig,
    pub(super) entrance: Arc<Entrance>,
    pub(super) listener: Arc<Listener>,
}

impl Gate {
    /// Whether its sockets are those that `config` asks for.
    fn fits(&self, config: &ListenerConfig) -> bool {
        self.config.bind == config.bind
            && (config.bind.port() != 0 || self.config.name == config.name)
    }

    fn is_at(&self, entrance: &Arc<Entrance>) -> bool {
        Arc::ptr_eq(&self.entrance, entrance)
    }
}

/// A change of the listeners that is ready to take effect. Dropping it leaves everything as it is.
pub struct Prepared {
    gates: Vec<Gate>,
    fresh: Fresh,
}

/// Entrances that are registered with the workers and not in use.
struct Fresh {
    entrances: Vec<Arc<Entrance>>,
    workers: Vec<mpsc::Sender<Order>>,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        for entrance in &self.entrances {
            for worker in &self.workers {
                // A worker with so many orders before it that this finds no room keeps a socket that nobody serves
                // until it stops; no client is misled for long, since its backlog fills.
                let _ = worker.try_send(Order::Close(entrance.clone()));
            }
        }
    }
}

/// A listener that is no more.
pub struct Leaving {
    /// As it was.
    pub config: ListenerConfig,
    listener: Arc<Listener>,
    closing: Vec<Arc<Entrance>>,
}

impl Leaving {
    /// Resolves when its last connection has ended. Its rules may go then.
    pub async fn drained(self) -> ListenerConfig {
        for entrance in &self.closing {
            entrance.posts.close();
            entrance.posts.wait().await;
        }
        self.listener.admission.connections.wait().await;
        self.config
    }
}

impl Serving {
    /// Where each listener listens, by its name.
    pub fn local_addrs(&self) -> BTreeMap<String, SocketAddr> {
        let named = |gate: &Gate| (gate.config.name.clone(), gate.entrance.addr);
        self.gates.iter().map(named).collect()
    }

    /// Makes everything ready for these listeners to take the place of those there are. Connections to new addresses
    /// wait in the kernel until [`Serving::switch`].
    ///
    /// # Errors
    /// [`ReloadError`]; nothing has changed then.
    pub async fn prepare(&self, listeners: &[ListenerConfig]) -> Result<Prepared, ReloadError> {
        let missing: Vec<&ListenerConfig> = listeners
            .iter()
            .filter(|config| !self.gates.iter().any(|gate| gate.fits(config)))
            .collect();
        let held: Vec<SocketAddr> = self.gates.iter().map(|gate| gate.entrance.addr).collect();
        let mut bound = bind_all(&missing, self.workers.len(), &held)?.into_iter();
        let mut prepared = Prepared {
            gates: Vec::with_capacity(listeners.len()),
            fresh: Fresh {
                entrances: Vec::new(),
                workers: self.workers.iter().map(|w| w.orders.clone()).collect(),
            },
        };
        for config in listeners {
            let listener = self.listener(config)?;
            let config = config.clone();
            let entrance = match self.gates.iter().find(|gate| gate.fits(&config)) {
                Some(gate) => gate.entrance.clone(),
                None => {
                    let bound = bound.next().expect("what is missing was bound");
                    let entrance = Entrance::new(bound.addr, listener.clone());
                    prepared.fresh.entrances.push(entrance.clone());
                    self.register(&config, &entrance, bound.sockets).await?;
                    entrance
                }
            };
            prepared.gates.push(Gate {
                config,
                entrance,
                listener,
            });
        }
        Ok(prepared)
    }

    /// The listener that `config` describes: the very one there is, if nothing about it changes.
    fn listener(&self, config: &ListenerConfig) -> Result<Arc<Listener>, BindError> {
        let named = |gate: &&Gate| gate.config.name == config.name;
        let before = self.gates.iter().find(named);
        if let Some(gate) = before.filter(|gate| gate.config == *config) {
            return Ok(gate.listener.clone());
        }
        // Files that are named already are followed already.
        let tls = match before.filter(|gate| gate.config.tls == config.tls) {
            Some(gate) => gate.listener.greeting.certificates().cloned(),
            None => front(config)?,
        };
        let greeting = Greeting::of(config, tls, &self.metrics);
        Ok(Arc::new(match before {
            Some(gate) => Listener::after(config, greeting, &gate.listener),
            None => Listener::new(config, greeting, &self.metrics),
        }))
    }

    /// What listeners show to clients whose TLS they end, each with what metrics and logs call it.
    pub fn certificates(&self) -> Vec<(String, Arc<FrontTls>)> {
        let ending = |gate: &Gate| {
            let tls = gate.listener.greeting.certificates()?;
            Some((tls_label(&gate.config.name), tls.clone()))
        };
        self.gates.iter().filter_map(ending).collect()
    }

    /// Gives each worker its socket for `entrance`.
    async fn register(
        &self,
        config: &ListenerConfig,
        entrance: &Arc<Entrance>,
        sockets: Vec<std::net::TcpListener>,
    ) -> Result<(), ReloadError> {
        for (worker, socket) in self.workers.iter().zip(sockets) {
            let (ready, is_ready) = oneshot::channel();
            let order = Order::Hold {
                entrance: entrance.clone(),
                socket,
                ready,
            };
            let answer = async {
                worker.orders.send(order).await.ok()?;
                is_ready.await.ok()
            };
            let answer = timeout(WORKER_PATIENCE, answer).await.ok().flatten();
            let registered = answer.ok_or(ReloadError::Worker)?;
            registered.map_err(|source| ReloadError::Register {
                listener: config.name.clone(),
                addr: config.bind,
                source,
            })?;
        }
        Ok(())
    }

    /// Puts what is prepared into use; returns the listeners that are no more. The routing table must have the rules
    /// of both.
    pub async fn switch(&mut self, mut prepared: Prepared) -> Vec<Leaving> {
        let old = std::mem::take(&mut self.gates);
        let mut switch = Switch {
            open: std::mem::take(&mut prepared.fresh.entrances),
            ..Switch::default()
        };
        for gate in std::mem::take(&mut prepared.gates) {
            gate.listener.admission.limit_by(&gate.config);
            gate.entrance.leads_to(gate.listener.clone());
            let socket = &gate.config.socket;
            let before = old.iter().find(|old| gate.is_at(&old.entrance));
            if before.is_some_and(|old| old.config.socket != *socket) {
                let options = options::of_listener(socket);
                let retuned = (gate.entrance.clone(), socket.backlog, options);
                switch.retune.push(retuned);
            }
            self.gates.push(gate);
        }
        let closed = |gate: &&Gate| !self.gates.iter().any(|new| new.is_at(&gate.entrance));
        switch.close = old
            .iter()
            .filter(closed)
            .map(|g| g.entrance.clone())
            .collect();
        let leaving = self.leaving(old, &switch.close);
        switch.wakes = !leaving.is_empty();
        let switch = Arc::new(switch);
        for worker in &self.workers {
            // A worker that is gone ends the process.
            let _ = worker.orders.send(Order::Switch(switch.clone())).await;
        }
        leaving
    }

    fn leaving(&self, old: Vec<Gate>, closing: &[Arc<Entrance>]) -> Vec<Leaving> {
        let stays = |name: &str| self.gates.iter().any(|gate| gate.config.name == name);
        let gone = old.into_iter().filter(|gate| !stays(&gate.config.name));
        let leaves = |gate: Gate| {
            gate.listener.admission.leave();
            let is_closing = closing.iter().any(|entrance| gate.is_at(entrance));
            Leaving {
                config: gate.config,
                listener: gate.listener,
                closing: is_closing.then_some(gate.entrance).into_iter().collect(),
            }
        };
        gone.map(leaves).collect()
    }
}
