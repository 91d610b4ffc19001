//! One run: faults for a while, then healing, then everything must be well again within a bounded time.

use crate::client::Client;
use crate::faults::Faults;
use crate::history::{History, Violation};
use crate::library;
use crate::plan::Plan;
use crate::sim::Sim;
use std::time::Duration;
use zoogate::simulation::{self as world, Fact};

/// How long the ensemble has, once all faults are over, until every client has written, and again until all members
/// are equal. Longest what is waited for: a peer that owes answers (5 s), a session that has to expire (3 s), pauses
/// between attempts.
const RECOVERY: Duration = Duration::from_secs(20);

/// How a run ended.
pub struct Outcome {
    pub violation: Option<Violation>,
    pub trace: u64,
}

/// Runs a plan.
pub fn run(plan: Plan) -> Outcome {
    let clients = plan.clients + usize::from(plan.library);
    let history = History::new(plan.members, clients);
    let panics = history.clone();
    let seed = plan.seed;
    std::panic::set_hook(Box::new(move |info| {
        eprintln!("seed {seed}: {info}");
        panics.try_violated("panic", info.to_string());
    }));
    let mut sim = Sim::new(plan, history.clone());
    for number in 0..sim.plan.clients {
        let client = Client {
            number,
            plan: sim.plan.clone(),
            history: history.clone(),
        };
        sim.spawn_client(client.run());
    }
    if sim.plan.library {
        let number = sim.plan.clients;
        sim.spawn_client(library::run(number, sim.plan.clone(), history.clone()));
    }
    let mut faults = Faults::new(sim.plan.seed);
    phases(&mut sim, &mut faults, &history);
    let _ = std::panic::take_hook();
    let counts = history.with(|record| record.checks.acknowledged.counts());
    for (what, count) in ["writes done", "writes refused", "writes unknown"]
        .into_iter()
        .zip(counts)
    {
        world::add(what, count);
    }
    world::add("reads", history.with(|record| record.reads));
    world::add("ms simulated", sim.now.as_millis() as u64);
    Outcome {
        violation: history.violation(),
        trace: world::trace_hash(),
    }
}

fn phases(sim: &mut Sim, faults: &mut Faults, history: &History) {
    while sim.now < sim.plan.faults_for {
        faults.tick(sim);
        if !step(sim, faults, history) {
            return;
        }
    }
    faults.heal(sim);
    let healed = sim.now;
    let wrote = |history: &History| history.with(|r| r.progress.iter().all(|at| *at >= healed));
    while !(faults.is_whole(sim) && wrote(history)) {
        if sim.now > healed + RECOVERY {
            let progress = history.with(|record| record.progress.clone());
            let what = format!(
                "healed at {healed:?}, last writes at {progress:?}: {}",
                sim.describe()
            );
            return history.violated("liveness", what);
        }
        if !step(sim, faults, history) {
            return;
        }
    }
    history.with(|record| record.is_quiet = true);
    let quiet = sim.now;
    let mut equal_since = None;
    loop {
        match is_equal(sim) {
            true => {
                let since = *equal_since.get_or_insert(sim.now);
                // Long enough for what was sent to arrive, and for clients to see it.
                if sim.now > since + Duration::from_millis(100) {
                    break;
                }
            }
            false => equal_since = None,
        }
        if sim.now > quiet + RECOVERY {
            return history.violated("liveness", format!("not equal: {}", sim.describe()));
        }
        if !step(sim, faults, history) {
            return;
        }
    }
    finish(sim, history);
}

/// One tick, and what is checked at each.
fn step(sim: &mut Sim, faults: &Faults, history: &History) -> bool {
    faults.revive(sim);
    sim.tick();
    let members: Vec<_> = (0..sim.plan.members).map(|host| sim.member(host)).collect();
    let views = members.iter().map(|member| {
        let member = member.as_ref()?;
        let tree = member.read(|tree| (tree.last_zxid().0, tree.digest()));
        Some((member.status(), member.pointers(), tree))
    });
    let views: Vec<_> = views.collect();
    history.with(|record| {
        for (host, fact) in world::take_facts() {
            let checks = &mut record.checks;
            let (checker, verdict) = match fact {
                Fact::Applied {
                    index,
                    leader,
                    hash,
                } => (
                    "committed",
                    checks.committed.applied(host, index, leader, hash),
                ),
                Fact::Purged { index } => {
                    world::count("purges");
                    ("pointers", checks.pointers.purged(host, index))
                }
                Fact::Saved { index } => {
                    world::count("snapshots saved");
                    checks.pointers.saved(host, index);
                    continue;
                }
                Fact::Voted { term, candidate } => {
                    ("leader", checks.leader.voted(host, (term, candidate)))
                }
                Fact::Installed { .. } => continue,
            };
            record.judge(checker, verdict);
        }
        for (host, view) in views.iter().enumerate() {
            let Some((status, pointers, (zxid, digest))) = view else {
                continue;
            };
            let checks = &mut record.checks;
            let leader = checks.leader.status(host, status);
            let told = checks.pointers.told(host, *pointers);
            let digest = checks.digest.at(host, *zxid, *digest);
            record.judge("leader", leader);
            record.judge("pointers", told);
            record.judge("digest", digest);
        }
        record.violation.is_none()
    })
}

/// Whether all members serve, have applied the same and know it.
fn is_equal(sim: &Sim) -> bool {
    let mut first = None;
    (0..sim.plan.members).all(|host| {
        sim.member(host).is_some_and(|member| {
            let status = member.status();
            let now = (status.applied, member.read(|tree| tree.digest()));
            status.serving && status.applied == status.last_log && *first.get_or_insert(now) == now
        })
    })
}

/// What can be said only at the end.
fn finish(sim: &Sim, history: &History) {
    history.with(|record| {
        let verdict = record.checks.acknowledged.check(&record.truth);
        record.judge("acknowledged", verdict);
    });
    for host in 0..sim.plan.members {
        let Some(member) = sim.member(host) else {
            continue;
        };
        history.with(|record| {
            let verdict = record.checks.pointers.at_rest(host);
            record.judge("pointers", verdict);
            let verdict = member.read(|tree| {
                let tree_as_told = record.checks.acknowledged.tree(&record.truth, tree);
                tree_as_told.and_then(|()| record.checks.ephemeral.whole(tree))
            });
            record.judge(
                "acknowledged",
                verdict.map_err(|e| format!("member {}: {e}", host + 1)),
            );
        });
    }
}
