//! The hosts, and how each gets its share of the time.
//!
//! One tick is a millisecond. In each, every host that is not paused runs until its own clock has moved by one, in an
//! order by chance; then the network delivers what has arrived.

use crate::chance::Chance;
use crate::history::History;
use crate::member::{self, End, Handle, Setup};
use crate::plan::Plan;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use zoogate::ensemble::Ensemble;
use zoogate::simulation::{self as world, HostId};

/// How far the time moves at once.
pub const TICK: Duration = Duration::from_millis(1);

/// A host with a process on it, or without.
pub struct Host {
    pub id: HostId,
    runtime: Option<Runtime>,
    /// Its process stands still until then.
    pub paused_until: Duration,
    paused_since: Duration,
    pub handle: Arc<Mutex<Handle>>,
    stop: CancellationToken,
    /// Whether a failure is to be expected of it.
    pub may_fail: bool,
}

/// All hosts: the members, then the clients'.
pub struct Sim {
    pub plan: Plan,
    pub hosts: Vec<Host>,
    clients: Runtime,
    pub clients_id: HostId,
    pub history: History,
    chance: Chance,
    pub now: Duration,
}

fn runtime() -> Runtime {
    let built = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    built.expect("a runtime without I/O needs nothing that can be missing")
}

impl Sim {
    /// A world in which every member has just been started.
    pub fn new(plan: Plan, history: History) -> Sim {
        world::start(plan.seed);
        let hosts = (0..plan.members).map(|_| Host {
            id: world::add_host(),
            runtime: None,
            paused_until: Duration::ZERO,
            paused_since: Duration::ZERO,
            handle: Arc::new(Mutex::new(Handle {
                ensemble: None,
                end: None,
            })),
            stop: CancellationToken::new(),
            may_fail: false,
        });
        let hosts: Vec<Host> = hosts.collect();
        let clients_id = world::add_host();
        let mut sim = Sim {
            chance: Chance::new(plan.seed ^ 0x0de7),
            hosts,
            clients: runtime(),
            clients_id,
            history,
            now: Duration::ZERO,
            plan,
        };
        for host in 0..sim.plan.members {
            sim.boot(host);
        }
        sim
    }

    /// Runs a task on the clients' host.
    pub fn spawn_client(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        world::enter(self.clients_id);
        let _inside = self.clients.enter();
        tokio::spawn(task);
    }

    /// Runs a task in a member's process.
    pub fn spawn_on(&mut self, host: usize, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.hosts[host].runtime {
            world::enter(self.hosts[host].id);
            let _inside = runtime.enter();
            tokio::spawn(task);
        }
    }

    /// What each member thinks.
    pub fn describe(&self) -> String {
        let describe = |host| match self.member(host) {
            None => {
                let state = &self.hosts[host];
                let what = match (&state.runtime, state.stop.is_cancelled()) {
                    (None, _) => "has no process",
                    (Some(_), true) => "is stopping",
                    (Some(_), false) => "is starting",
                };
                format!("member {} {what}", host + 1)
            }
            Some(member) => format!("{:?}", member.status()),
        };
        let all: Vec<String> = (0..self.plan.members).map(describe).collect();
        all.join("; ")
    }

    /// Starts a member's process.
    pub fn boot(&mut self, host: usize) {
        let runtime = runtime();
        let state = &mut self.hosts[host];
        world::boot(state.id);
        world::enter(state.id);
        state.stop = CancellationToken::new();
        state.paused_until = Duration::ZERO;
        state.handle = Arc::new(Mutex::new(Handle {
            ensemble: None,
            end: None,
        }));
        let setup = Setup {
            host,
            plan: self.plan.clone(),
            history: self.history.clone(),
            stop: state.stop.clone(),
        };
        let (published, ended) = (state.handle.clone(), state.handle.clone());
        self.history.booted(host);
        let task = async move {
            let publish = |ensemble: &Ensemble| lock(&published).ensemble = Some(ensemble.clone());
            let end = member::run(setup, publish).await;
            let mut handle = lock(&ended);
            handle.ensemble = None;
            handle.end = Some(end);
        };
        let inside = runtime.enter();
        tokio::spawn(task);
        drop(inside);
        state.runtime = Some(runtime);
    }

    /// Whether a process runs on it.
    pub fn is_up(&self, host: usize) -> bool {
        self.hosts[host].runtime.is_some()
    }

    /// The member on a host, once it has started.
    pub fn member(&self, host: usize) -> Option<Ensemble> {
        self.hosts[host].runtime.as_ref()?;
        lock(&self.hosts[host].handle).ensemble.clone()
    }

    /// Cuts the power of a host.
    pub fn power_cut(&mut self, host: usize) {
        world::power_cut(self.hosts[host].id);
        self.take_away(host);
    }

    /// Kills the process on a host.
    pub fn kill(&mut self, host: usize) {
        world::kill(self.hosts[host].id);
        self.take_away(host);
    }

    fn take_away(&mut self, host: usize) {
        lock(&self.hosts[host].handle).ensemble = None;
        self.hosts[host].runtime = None;
        self.history.gone(host);
    }

    /// Asks a member to stop in order.
    pub fn stop(&mut self, host: usize) {
        self.hosts[host].stop.cancel();
    }

    /// Stops a process for a while, as SIGSTOP does.
    pub fn pause(&mut self, host: usize, until: Duration) {
        self.hosts[host].paused_until = until;
        self.hosts[host].paused_since = self.now;
    }

    /// Whether its process stands still.
    pub fn is_paused(&self, host: usize) -> bool {
        self.hosts[host].paused_until > self.now
    }

    /// Moves the time by one tick.
    pub fn tick(&mut self) {
        self.now += TICK;
        world::set_now(self.now);
        world::deliver();
        let mut order: Vec<usize> = (0..=self.hosts.len()).collect();
        self.chance.shuffle(&mut order);
        for host in order {
            match host == self.hosts.len() {
                true => {
                    world::enter(self.clients_id);
                    self.clients
                        .block_on(async { tokio::time::sleep(TICK).await });
                }
                false => self.run(host),
            }
        }
        self.clear_up();
    }

    fn run(&mut self, host: usize) {
        let now = self.now;
        let state = &mut self.hosts[host];
        let Some(runtime) = &state.runtime else {
            return;
        };
        if state.paused_until > now {
            return;
        }
        world::enter(state.id);
        let slept = now.saturating_sub(state.paused_since);
        if std::mem::take(&mut state.paused_until) > Duration::ZERO && slept > TICK {
            runtime.block_on(async { tokio::time::advance(slept - TICK).await });
        }
        runtime.block_on(async { tokio::time::sleep(TICK).await });
    }

    /// Takes away processes that have ended by themselves.
    fn clear_up(&mut self) {
        for host in 0..self.hosts.len() {
            let ended = lock(&self.hosts[host].handle).end.clone();
            let Some(end) = ended.filter(|_| self.is_up(host)) else {
                continue;
            };
            match end {
                End::Stopped => world::count("members stopped in order"),
                End::Failed(_) if self.hosts[host].may_fail => {
                    world::count("members ended by a fault")
                }
                End::NotStarted(_) if self.hosts[host].may_fail => {
                    world::count("members not started for a fault");
                }
                end => self
                    .history
                    .violated("start", format!("member {}: {end:?}", host + 1)),
            }
            self.kill(host);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}
