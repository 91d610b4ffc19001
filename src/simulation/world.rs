//! The time, the hosts, chance and the trace.

use super::disk::Disk;
use super::link::Link;
use super::net::{self, Network};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::task::Waker;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A host, by number; its address is `10.0.0.<number + 1>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// Everything there is.
#[derive(Default)]
pub(super) struct World {
    pub(super) now: Duration,
    pub(super) current: usize,
    pub(super) net: Network,
    pub(super) hosts: Vec<Host>,
    chance: u64,
    trace: u64,
    counts: BTreeMap<&'static str, u64>,
}

/// A machine.
pub(super) struct Host {
    /// Counts power cuts: what the kernel knew before is gone.
    pub(super) boot: u64,
    /// Whether it has power.
    pub(super) is_on: bool,
    /// Its process is being taken away: what it does on its way out does not reach the disk.
    pub(super) is_dying: bool,
    pub(super) disk: Disk,
    skew_ms: i64,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::default());
}

/// Works on the world. Whoever is woken runs later, when the world is not held any more.
pub(super) fn with<R>(work: impl FnOnce(&mut World) -> R) -> R {
    let (result, woken) = WORLD.with_borrow_mut(|world| {
        let result = work(world);
        (result, std::mem::take(&mut world.net.woken))
    });
    woken.into_iter().for_each(Waker::wake);
    result
}

/// As [`with`], for the end of a thread, when there is no world any more.
pub(super) fn with_if_there(work: impl FnOnce(&mut World)) {
    let woken = WORLD.try_with(|world| {
        let Ok(mut world) = world.try_borrow_mut() else {
            return Vec::new();
        };
        work(&mut world);
        std::mem::take(&mut world.net.woken)
    });
    woken.into_iter().flatten().for_each(Waker::wake);
}

impl World {
    /// A number out of all there are, by the seed (splitmix64).
    pub(super) fn random(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && (self.random() >> 11) as f64 / ((1_u64 << 53) as f64) < probability
    }

    /// A time up to `limit`.
    pub(super) fn up_to(&mut self, limit: Duration) -> Duration {
        let limit = limit.as_micros() as u64;
        Duration::from_micros(self.random() % (limit + 1))
    }

    pub(super) fn trace(&mut self, kind: u64, bytes: &[u8]) {
        self.trace = xxh3_64_with_seed(bytes, self.trace.rotate_left(7) ^ kind);
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The disk of a host, unless its process is being taken away.
    pub(super) fn disk_of(&mut self, host: usize) -> io::Result<&mut Disk> {
        let machine = &mut self.hosts[host];
        match machine.is_dying {
            true => Err(io::Error::other("the process is gone")),
            false => Ok(&mut machine.disk),
        }
    }

    /// The disk of the host whose code runs.
    pub(super) fn disk(&mut self) -> io::Result<&mut Disk> {
        self.disk_of(self.current)
    }
}

/// Begins a new world without hosts.
pub fn start(seed: u64) {
    WORLD.set(World {
        chance: seed,
        trace: seed,
        ..World::default()
    });
}

/// Adds a host that is switched on.
pub fn add_host() -> HostId {
    with(|world| {
        world.hosts.push(Host {
            boot: 0,
            is_on: true,
            is_dying: false,
            disk: Disk::default(),
            skew_ms: 0,
        });
        HostId(world.hosts.len() - 1)
    })
}

/// The time since the world began.
pub fn now() -> Duration {
    with(|world| world.now)
}

/// Moves the time.
pub fn set_now(now: Duration) {
    with(|world| world.now = now);
}

/// Says whose code runs from now on.
pub fn enter(host: HostId) {
    with(|world| world.current = host.0);
}

/// Delivers what has arrived by now.
pub fn deliver() {
    with(net::deliver);
}

/// Cuts a host's power: its connections are gone without a word, and of what it did not sync some part is lost. Drop
/// its runtime after this.
pub fn power_cut(host: HostId) {
    with(|world| {
        world.current = host.0;
        let machine = &mut world.hosts[host.0];
        machine.is_on = false;
        machine.is_dying = true;
        machine.boot += 1;
        net::forget(world, host.0);
        let mut disk = std::mem::take(&mut world.hosts[host.0].disk);
        disk.lose_power(world);
        world.hosts[host.0].disk = disk;
    });
}

/// Kills a host's process: nothing that was written is lost, and its kernel closes its connections. Drop its runtime
/// after this.
pub fn kill(host: HostId) {
    with(|world| {
        world.current = host.0;
        world.hosts[host.0].is_dying = true;
        world.hosts[host.0].disk.unlock();
    });
}

/// Readies a host for a new process, and switches it on if it was off.
pub fn boot(host: HostId) {
    with(|world| {
        let machine = &mut world.hosts[host.0];
        machine.is_on = true;
        machine.is_dying = false;
    });
}

/// The host whose code runs.
pub fn current() -> HostId {
    with(|world| HostId(world.current))
}

/// The time and the host whose code runs, unless the world is being worked on.
pub fn now_and_current() -> Option<(Duration, HostId)> {
    WORLD.with(|world| {
        let world = world.try_borrow().ok()?;
        Some((world.now, HostId(world.current)))
    })
}

/// Changes the way from one host to another.
pub fn link(from: HostId, to: HostId, change: impl FnOnce(&mut Link)) {
    with(|world| net::change_link(world, from.0, to.0, change));
}

/// A number out of all there are, by the seed.
pub fn random() -> u64 {
    with(World::random)
}

/// Lets a host's wall clock be wrong.
pub fn set_clock_skew(host: HostId, skew_ms: i64) {
    with(|world| world.hosts[host.0].skew_ms = skew_ms);
}

/// The wall clock of the host whose code runs, milliseconds since 1970.
pub fn wall_clock_ms() -> i64 {
    const BEGIN: i64 = 1_700_000_000_000;
    with(|world| {
        let skew = world.hosts.get(world.current).map_or(0, |h| h.skew_ms);
        BEGIN + world.now.as_millis() as i64 + skew
    })
}

/// Adds something to the trace that two runs of one seed must have in common.
pub fn trace(bytes: &[u8]) {
    with(|world| world.trace(0, bytes));
}

/// A number for everything that was traced so far.
pub fn trace_hash() -> u64 {
    with(|world| world.trace)
}

/// Counts something that happened.
pub fn count(what: &'static str) {
    with(|world| world.count(what));
}

/// Counts something that happened so often.
pub fn add(what: &'static str, times: u64) {
    with(|world| *world.counts.entry(what).or_default() += times);
}

/// What happened how often.
pub fn counts() -> BTreeMap<&'static str, u64> {
    with(|world| world.counts.clone())
}
