//! Faults, by chance: each begins, lasts for a while and is healed.

use crate::chance::Chance;
use crate::member::{CLIENTS, address};
use crate::sim::Sim;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use zoogate::ensemble::{Reconfiguration, Role};
use zoogate::simulation::{self as world, DiskFault, Link};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// A member's machine loses its power, and with it what was not synced.
    PowerCut,
    /// All machines lose their power at once.
    Blackout,
    /// A member's process is killed.
    Kill,
    /// A member is stopped in order and started again; a leader hands over.
    Restart,
    /// Two groups of hosts hear nothing of each other.
    Partition,
    /// One member is not heard by the others, or does not hear them.
    OneWay,
    /// Two groups that only one member hears both of.
    Bridge,
    /// Members and clients hear nothing of each other.
    ClientCut,
    /// Everything takes long.
    Delay,
    /// Segments are lost and sent again.
    Loss,
    /// A disk takes long to sync.
    SlowDisk,
    /// A sync fails: the member must end.
    SyncError,
    /// A disk is full.
    DiskFull,
    /// A wall clock is wrong.
    ClockSkew,
    /// A process stands still.
    Pause,
    /// A member loses its vote and gets it back.
    Demotion,
}

impl Mode {
    pub const ALL: [Mode; 16] = [
        Mode::PowerCut,
        Mode::Blackout,
        Mode::Kill,
        Mode::Restart,
        Mode::Partition,
        Mode::OneWay,
        Mode::Bridge,
        Mode::ClientCut,
        Mode::Delay,
        Mode::Loss,
        Mode::SlowDisk,
        Mode::SyncError,
        Mode::DiskFull,
        Mode::ClockSkew,
        Mode::Pause,
        Mode::Demotion,
    ];

    /// What it is counted as.
    pub fn name(self) -> &'static str {
        match self {
            Mode::PowerCut => "fault: power cut",
            Mode::Blackout => "fault: power cut of all members",
            Mode::Kill => "fault: kill",
            Mode::Restart => "fault: restart in order",
            Mode::Partition => "fault: partition",
            Mode::OneWay => "fault: one-way cut",
            Mode::Bridge => "fault: bridge",
            Mode::ClientCut => "fault: clients cut off",
            Mode::Delay => "fault: delay",
            Mode::Loss => "fault: loss",
            Mode::SlowDisk => "fault: slow disk",
            Mode::SyncError => "fault: sync error",
            Mode::DiskFull => "fault: disk full",
            Mode::ClockSkew => "fault: wrong wall clock",
            Mode::Pause => "fault: pause",
            Mode::Demotion => "fault: vote taken away",
        }
    }
}

/// What is to be undone, and when.
enum Undo {
    Boot(usize),
    Heal(Vec<(usize, usize)>),
    Disk(usize),
    Join(usize),
}

/// The faults of one run.
pub struct Faults {
    chance: Chance,
    next: Duration,
    undo: Vec<(Duration, Undo)>,
    /// Members that have no vote now, or are about to.
    without_vote: BTreeSet<usize>,
    /// Held by each change of the members that is under way.
    changing: Arc<()>,
}

impl Faults {
    pub fn new(seed: u64) -> Faults {
        Faults {
            chance: Chance::new(seed ^ 0xfa17),
            next: Duration::from_millis(700),
            undo: Vec::new(),
            without_vote: BTreeSet::new(),
            changing: Arc::default(),
        }
    }

    /// Begins and heals what is due.
    pub fn tick(&mut self, sim: &mut Sim) {
        while let Some(at) = self.undo.iter().position(|(when, _)| *when <= sim.now) {
            let (_, undo) = self.undo.swap_remove(at);
            self.undo(sim, undo);
        }
        if sim.now >= self.next {
            let pause = sim.plan.pause.as_millis() as u64;
            self.next = sim.now + Duration::from_millis(20 + self.chance.below(pause));
            let mode = *self.chance.pick(&sim.plan.modes.clone());
            self.begin(sim, mode);
        }
    }

    /// Ends all faults.
    pub fn heal(&mut self, sim: &mut Sim) {
        for (_, undo) in std::mem::take(&mut self.undo) {
            self.undo(sim, undo);
        }
        for host in 0..sim.plan.members {
            world::set_disk_fault(sim.hosts[host].id, DiskFault::default());
            world::set_clock_skew(sim.hosts[host].id, 0);
            sim.hosts[host].paused_until = sim.hosts[host].paused_until.min(sim.now);
            if self.without_vote.contains(&host) {
                self.undo(sim, Undo::Join(host));
            }
        }
        let all: Vec<usize> = (0..=sim.plan.members).collect();
        self.undo(sim, Undo::Heal(pairs(&all, &all)));
    }

    /// Keeps trying until every member has its vote; true once that is so, as far as `leader` knows.
    pub fn is_whole(&mut self, sim: &mut Sim) -> bool {
        let leader = (0..sim.plan.members).find_map(|host| {
            let member = sim.member(host)?;
            (member.status().role == Role::Leader).then_some(member)
        });
        let Some(leader) = leader else {
            return false;
        };
        if Arc::strong_count(&self.changing) > 1 {
            return false;
        }
        let voters = leader.status().voters;
        // Both halves of a change under way count, and it may end without one of them: so who is to be asked for is kept.
        if voters == sim.plan.members {
            return true;
        }
        if sim.now >= self.next {
            self.next = sim.now + Duration::from_millis(1000);
            for host in self.without_vote.clone() {
                self.undo(sim, Undo::Join(host));
            }
        }
        false
    }

    /// A supervisor starts again what has ended. It works to the end of a run: a member that was asked to stop may end
    /// long after the last fault.
    pub fn revive(&self, sim: &mut Sim) {
        for host in 0..sim.plan.members {
            let is_due =
                |(_, undo): &(Duration, Undo)| matches!(undo, Undo::Boot(of) if *of == host);
            if !sim.is_up(host) && !self.undo.iter().any(is_due) {
                sim.boot(host);
            }
        }
    }

    fn undo(&mut self, sim: &mut Sim, undo: Undo) {
        match undo {
            Undo::Boot(host) => {
                if !sim.is_up(host) {
                    sim.boot(host);
                }
            }
            Undo::Heal(links) => {
                for (from, to) in links {
                    let (from, to) = (self.id(sim, from), self.id(sim, to));
                    world::link(from, to, |link| *link = Link::default());
                }
            }
            Undo::Disk(host) => {
                world::set_disk_fault(sim.hosts[host].id, DiskFault::default());
            }
            Undo::Join(host) => {
                let change = Reconfiguration {
                    joining: vec![server(host, "participant")],
                    ..Reconfiguration::default()
                };
                self.reconfigure(sim, change);
            }
        }
    }

    fn id(&self, sim: &Sim, host: usize) -> world::HostId {
        sim.hosts.get(host).map_or(sim.clients_id, |host| host.id)
    }

    fn begin(&mut self, sim: &mut Sim, mode: Mode) {
        let members = sim.plan.members;
        let host = match self.chance.one_in(2) {
            true => self.leader(sim),
            false => None,
        };
        let host = host.unwrap_or(self.chance.below(members as u64) as usize);
        let until = sim.now + Duration::from_millis(30 + self.chance.below(900));
        match mode {
            Mode::PowerCut | Mode::Kill | Mode::Restart | Mode::Pause => {
                if !self.stop(sim, mode, host, until) {
                    return;
                }
            }
            Mode::Blackout => {
                for host in 0..members {
                    self.stop(sim, Mode::PowerCut, host, until);
                }
            }
            Mode::Partition | Mode::OneWay | Mode::Bridge | Mode::ClientCut => {
                let links = self.cut(mode, host, members);
                for (from, to) in &links {
                    let (from, to) = (self.id(sim, *from), self.id(sim, *to));
                    world::link(from, to, |link| link.is_cut = true);
                }
                self.undo.push((until, Undo::Heal(links)));
            }
            Mode::Delay | Mode::Loss => self.trouble(sim, mode, until),
            Mode::SlowDisk | Mode::SyncError | Mode::DiskFull => {
                let fault = DiskFault {
                    sync_fails: mode == Mode::SyncError,
                    is_full: mode == Mode::DiskFull,
                    slow: match mode == Mode::SlowDisk {
                        true => Duration::from_millis(10 + self.chance.below(150)),
                        false => Duration::ZERO,
                    },
                };
                sim.hosts[host].may_fail |= mode != Mode::SlowDisk;
                world::set_disk_fault(sim.hosts[host].id, fault);
                self.undo.push((until, Undo::Disk(host)));
            }
            Mode::ClockSkew => {
                let skew = self.chance.below(7_200_000) as i64 - 3_600_000;
                world::set_clock_skew(sim.hosts[host].id, skew);
            }
            Mode::Demotion => {
                // Open: a member that is removed ends, and comes back with an empty disk under a new number; the checkers
                // here know members by the number of their host.
                if !self.without_vote.is_empty() {
                    return;
                }
                self.without_vote.insert(host);
                let change = Reconfiguration {
                    joining: vec![server(host, "observer")],
                    ..Reconfiguration::default()
                };
                self.reconfigure(sim, change);
                self.undo.push((until, Undo::Join(host)));
            }
        }
        world::count(mode.name());
    }

    fn stop(&mut self, sim: &mut Sim, mode: Mode, host: usize, until: Duration) -> bool {
        if !sim.is_up(host) || sim.is_paused(host) {
            return false;
        }
        match mode {
            Mode::PowerCut => {
                sim.power_cut(host);
                self.undo.push((until, Undo::Boot(host)));
            }
            Mode::Kill => {
                sim.kill(host);
                self.undo.push((until, Undo::Boot(host)));
            }
            Mode::Restart => sim.stop(host),
            _ => {
                let longer = self.chance.below(2000);
                sim.pause(host, until + Duration::from_millis(longer));
            }
        }
        true
    }

    /// The links that a fault cuts.
    fn cut(&mut self, mode: Mode, host: usize, members: usize) -> Vec<(usize, usize)> {
        let mut hosts: Vec<usize> = (0..members).collect();
        self.chance.shuffle(&mut hosts);
        let others: Vec<usize> = hosts.iter().copied().filter(|h| *h != host).collect();
        match mode {
            Mode::OneWay => match self.chance.one_in(2) {
                true => pairs(&[host], &others),
                false => pairs(&others, &[host]),
            },
            Mode::Bridge => {
                let (left, right) = others.split_at(others.len() / 2);
                both(left, right)
            }
            Mode::ClientCut => both(&hosts[..1 + self.chance.below(2) as usize], &[members]),
            _ => {
                let (left, right) =
                    hosts.split_at(1 + self.chance.below(members as u64 - 1) as usize);
                let mut links = both(left, right);
                if self.chance.one_in(2) {
                    links.extend(both(left, &[members]));
                }
                links
            }
        }
    }

    fn trouble(&mut self, sim: &Sim, mode: Mode, until: Duration) {
        let all: Vec<usize> = (0..sim.plan.members).collect();
        let links = pairs(&all, &all);
        let max = Duration::from_millis(5 + self.chance.below(120));
        let loss = 0.01 + self.chance.below(20) as f64 / 100.0;
        for (from, to) in &links {
            world::link(sim.hosts[*from].id, sim.hosts[*to].id, |link| match mode {
                Mode::Delay => link.max = max,
                _ => link.loss = loss,
            });
        }
        self.undo.push((until, Undo::Heal(links)));
    }

    fn leader(&self, sim: &Sim) -> Option<usize> {
        (0..sim.plan.members).find(|host| {
            let member = sim.member(*host);
            member.is_some_and(|member| member.status().role == Role::Leader)
        })
    }

    fn reconfigure(&self, sim: &mut Sim, change: Reconfiguration) {
        let through = self.leader(sim).unwrap_or(0);
        if let Some(member) = sim.member(through) {
            let changing = self.changing.clone();
            sim.spawn_on(through, async move {
                let _changing = changing;
                match member.reconfigure(change).await {
                    Ok(_) => world::count("changes of the members done"),
                    Err(error) => {
                        tracing::info!(%error, "the members were not changed");
                        world::count("changes of the members not done");
                    }
                }
            });
        }
    }
}

fn server(host: usize, role: &str) -> String {
    format!(
        "server.{}={}:2888:{role};{}",
        host + 1,
        address(host, 2888),
        CLIENTS
    )
}

fn pairs(from: &[usize], to: &[usize]) -> Vec<(usize, usize)> {
    let pairs = from.iter().flat_map(|a| to.iter().map(move |b| (*a, *b)));
    pairs.filter(|(a, b)| a != b).collect()
}

fn both(left: &[usize], right: &[usize]) -> Vec<(usize, usize)> {
    let mut links = pairs(left, right);
    links.extend(pairs(right, left));
    links
}
