//! What a seed decides before the run begins.

use crate::chance::Chance;
use crate::faults::Mode;
use std::time::Duration;

/// A run, as its seed wants it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub members: usize,
    /// Client sessions of the simulation's own client, which hides nothing.
    pub clients: usize,
    /// Whether a session of `zoogate::client` works beside them.
    pub library: bool,
    /// How long faults happen.
    pub faults_for: Duration,
    /// The kinds of faults that happen: few of them at a time show more than all of them always.
    pub modes: Vec<Mode>,
    /// Longest pause between two faults.
    pub pause: Duration,
    pub snapshot_entries: u64,
    pub session_timeout: Duration,
}

impl Plan {
    /// The plan of a seed, with this many members or a number by chance.
    pub fn new(seed: u64, members: Option<usize>) -> Plan {
        let mut chance = Chance::new(seed ^ 0x91a7);
        let members = members.unwrap_or_else(|| if chance.one_in(3) { 5 } else { 3 });
        let mut modes: Vec<Mode> = Mode::ALL.to_vec();
        chance.shuffle(&mut modes);
        modes.truncate(1 + chance.below(5) as usize);
        Plan {
            seed,
            members,
            clients: 2 + chance.below(3) as usize,
            library: chance.one_in(3),
            faults_for: Duration::from_millis(1500 + chance.below(2500)),
            modes,
            pause: Duration::from_millis([100, 300, 700][chance.below(3) as usize]),
            snapshot_entries: [20, 60, 200][chance.below(3) as usize],
            session_timeout: Duration::from_millis([600, 1500, 3000][chance.below(3) as usize]),
        }
    }
}
