//! Sessions, when they end unless they show a sign of life, and their ephemerals.

use super::{TooMany, listable, listable_bytes};
use crate::telemetry::unix_millis;
use crate::tree::SessionId;
use crate::zk::port::Port;
use std::collections::BTreeMap;
use std::time::Duration;

/// Sessions whose ephemerals are looked up at a time: the tree is held meanwhile, so that nothing is applied.
const AT_ONCE: usize = 256;

/// Every session of the ensemble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zk) struct Sessions {
    /// What is known of their time.
    pub(in crate::zk) tracked: Tracked,
    /// The paths of those that have ephemerals, in order. Collected piece by piece while the tree goes on.
    pub(in crate::zk) ephemerals: BTreeMap<SessionId, Vec<String>>,
}

/// What a member knows of the sessions' time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::zk) enum Tracked {
    /// On the leader: the sessions that end in each second, by that second, Unix time.
    Ends(BTreeMap<i64, Vec<SessionId>>),
    /// Elsewhere: their timeouts, milliseconds.
    Timeouts(BTreeMap<SessionId, u32>),
}

impl Sessions {
    /// The sessions as this member knows them.
    ///
    /// # Errors
    /// [`TooMany`]
    pub(in crate::zk) fn of(port: &Port) -> Result<Sessions, TooMany> {
        let counts = port.ensemble.read(|tree| tree.counts());
        listable("sessions", counts.sessions)?;
        listable("ephemerals", counts.ephemerals)?;
        let timeouts: BTreeMap<SessionId, u32> = port.ensemble.read(|tree| {
            let timeouts = tree
                .sessions()
                .map(|(id, session)| (id, session.timeout_ms));
            timeouts.collect()
        });
        let ids: Vec<SessionId> = timeouts.keys().copied().collect();
        let mut ephemerals = BTreeMap::new();
        let mut bytes = 0;
        for ids in ids.chunks(AT_ONCE) {
            let paths = port.ensemble.read(|tree| {
                let of = |id: &SessionId| (*id, tree.ephemerals(*id).collect::<Vec<_>>());
                ids.iter().map(of).collect::<Vec<_>>()
            });
            for (id, mut paths) in paths {
                bytes += paths.iter().map(String::len).sum::<usize>();
                listable_bytes(bytes)?;
                if !paths.is_empty() {
                    paths.sort_unstable();
                    ephemerals.insert(id, paths);
                }
            }
        }
        let tracked = match port.ensemble.session_time_left() {
            Some(left) => Tracked::Ends(ends(left, unix_millis())),
            None => Tracked::Timeouts(timeouts),
        };
        Ok(Sessions {
            tracked,
            ephemerals,
        })
    }
}

/// Groups sessions by the second in which their time is up.
fn ends(left: Vec<(SessionId, Duration)>, now_ms: i64) -> BTreeMap<i64, Vec<SessionId>> {
    let mut ends: BTreeMap<i64, Vec<SessionId>> = BTreeMap::new();
    for (session, left) in left {
        let at_ms = now_ms + left.as_millis() as i64;
        ends.entry((at_ms + 999) / 1000).or_default().push(session);
    }
    for sessions in ends.values_mut() {
        sessions.sort_unstable();
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_end_by_the_second() {
        let left = [(3, 1500), (1, 900), (2, 901)];
        let left = left.map(|(id, ms)| (SessionId(id), Duration::from_millis(ms)));
        let ends = ends(left.into(), 10_100);
        let expected = [(11, vec![1]), (12, vec![2, 3])];
        let expected = expected.map(|(at, ids)| (at, ids.into_iter().map(SessionId).collect()));
        assert_eq!(ends, BTreeMap::from(expected));
    }
}
