//! The condition of an endpoint: the one place that says what each means, and which counts when several hold.
//!
//! Facts are recorded as they happen, by whoever learns of them, in the endpoint's shared state
//! ([`super::EndpointState`]). What they come to is computed here, from a copy of them and the time; nobody stores a
//! condition. The first row that holds counts:
//!
//! | condition | holds | ends | traffic |
//! |---|---|---|---|
//! | `draining` | an operator, its registration or its removal says so | they say otherwise | nothing new, not even in need |
//! | `unhealthy` | the service's check found it failing | the check passes as often as it must | in need only |
//! | `ejected` | exchanges with it failed | its time is up | in need only |
//! | `suspect` | the connection of the session that registered it broke | it answers a probe, or the session comes back | in need only |
//! | `held` | it expired together with too many others, but still answers | it fails a probe, comes back, or its time is up | as usual |
//! | `warming` | it is new, or back from `unhealthy` or `ejected`, for less than `slow_start` | that time is up | a growing share |
//! | `up` | nothing else | | as usual |
//!
//! The order: what somebody has said comes before what was measured, what was measured before what is feared, and
//! what keeps an endpoint from traffic before what does not. So a condition that gets traffic says that nothing
//! speaks against it, and the one shown is the first to be mended.

use super::cause::{EjectionCause, ProbeFailure};
use super::fact::Mark;

/// What an endpoint is in now; see the module's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It gets traffic.
    Up,
    /// It gets a growing share of traffic.
    Warming,
    /// It expired with too many others and still answers: it gets traffic for a while.
    Held,
    /// The connection of the session that registered it broke.
    Suspect,
    /// Exchanges with it failed.
    Ejected,
    /// Its probes fail.
    Unhealthy,
    /// It gets no new exchanges; those under way may end.
    Draining,
}

/// Whether an endpoint gets new exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// Like any other.
    InUse,
    /// Only while too few others are in use.
    InNeed,
    /// Never.
    Never,
}

impl Condition {
    /// All of them, from the best to the worst.
    pub const ALL: [Condition; 7] = [
        Condition::Up,
        Condition::Warming,
        Condition::Held,
        Condition::Suspect,
        Condition::Ejected,
        Condition::Unhealthy,
        Condition::Draining,
    ];

    /// The word for it in metrics, JSON, logs and on the command line. A published interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Condition::Up => "up",
            Condition::Warming => "warming",
            Condition::Held => "held",
            Condition::Suspect => "suspect",
            Condition::Ejected => "ejected",
            Condition::Unhealthy => "unhealthy",
            Condition::Draining => "draining",
        }
    }

    /// Whether an endpoint in it gets new exchanges.
    pub fn availability(self) -> Availability {
        match self {
            Condition::Up | Condition::Warming | Condition::Held => Availability::InUse,
            Condition::Suspect | Condition::Ejected | Condition::Unhealthy => Availability::InNeed,
            Condition::Draining => Availability::Never,
        }
    }
}

/// What is recorded about an endpoint, at one moment. `None` where a fact does not hold. Times are those of
/// [`crate::net::now_ms`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// It came into the table.
    pub joined: Option<Mark>,
    /// When it last came back: its check found it well again, or nobody drains it any more.
    pub recovered_ms: Option<u64>,
    /// It is drained; until then exchanges under way may go on.
    pub drained: Option<Mark>,
    /// The connection of its session broke.
    pub suspect: Option<Mark>,
    /// Its check fails, and why.
    pub failing: Option<(Mark, ProbeFailure)>,
    /// It was ejected, and why. Stays recorded after its time is up.
    pub ejected: Option<(Mark, EjectionCause)>,
    /// Its registration is gone, and it is kept in the table nevertheless.
    pub held: Option<Mark>,
}

/// A condition, and what is known of how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The condition.
    pub condition: Condition,
    /// Since when, if that is recorded.
    pub since_ms: Option<u64>,
    /// When it ends by itself, if it does; of a draining one, when exchanges under way end.
    pub until_ms: Option<u64>,
    /// The transaction that did it, if one did.
    pub zxid: Option<u64>,
    /// Why, in the words of [`ProbeFailure`] and [`EjectionCause`].
    pub cause: Option<&'static str>,
}

impl Facts {
    /// What the facts come to at `now_ms`, with the service's `slow_start` in milliseconds.
    pub fn condition(&self, now_ms: u64, slow_start_ms: u64) -> Condition {
        self.standing(now_ms, slow_start_ms).condition
    }

    /// The same, with how it came about.
    pub fn standing(&self, now_ms: u64, slow_start_ms: u64) -> Standing {
        if let Some(mark) = self.drained {
            return Standing::new(Condition::Draining, mark, None);
        }
        if let Some((mark, why)) = self.failing {
            return Standing::new(Condition::Unhealthy, mark, Some(why.as_str()));
        }
        if let Some((mark, why)) = self.ejected.filter(|(mark, _)| mark.holds(now_ms)) {
            return Standing::new(Condition::Ejected, mark, Some(why.as_str()));
        }
        if let Some(mark) = self.suspect {
            return Standing::new(Condition::Suspect, mark, None);
        }
        if let Some(mark) = self.held {
            return Standing::new(Condition::Held, mark, None);
        }
        let back_ms = self.in_use_since(now_ms);
        let warm_ms = back_ms.map(|since| since.saturating_add(slow_start_ms));
        if let Some(warm_ms) = warm_ms.filter(|warm_ms| now_ms < *warm_ms) {
            return Standing {
                until_ms: Some(warm_ms),
                ..self.in_use(Condition::Warming, now_ms, back_ms)
            };
        }
        self.in_use(Condition::Up, now_ms, warm_ms)
    }

    /// Since when nothing has kept the endpoint from traffic: since it joined or recovered, or since its ejection
    /// ended. A suspicion that was unfounded does not count.
    pub fn in_use_since(&self, now_ms: u64) -> Option<u64> {
        let ejection_ended = self.ejected.and_then(|(mark, _)| mark.until_ms);
        let ejection_ended = ejection_ended.filter(|until| *until <= now_ms);
        let joined = self.joined.map(|mark| mark.since_ms);
        // Of one that was there before this node looked, nobody knows since when.
        let joined = joined.filter(|since| *since > 1);
        joined.max(self.recovered_ms).max(ejection_ended)
    }

    /// The next time, after `now_ms`, at which time alone changes the condition.
    pub fn changes_at(&self, now_ms: u64, slow_start_ms: u64) -> Option<u64> {
        let held_until = self.held.and_then(|mark| mark.until_ms);
        let ejected_until = self.ejected.and_then(|(mark, _)| mark.until_ms);
        let warm = self.in_use_since(now_ms);
        let warm = warm.map(|since| since.saturating_add(slow_start_ms));
        let times = [held_until, ejected_until, warm].into_iter().flatten();
        times.filter(|at| *at > now_ms).min()
    }

    /// In use, `since_ms`. The transaction by which it joined did that unless something kept it from traffic since.
    fn in_use(&self, condition: Condition, now_ms: u64, since_ms: Option<u64>) -> Standing {
        let back_ms = self.in_use_since(now_ms);
        let joined = self.joined.filter(|mark| Some(mark.since_ms) == back_ms);
        Standing {
            condition,
            since_ms,
            until_ms: None,
            zxid: joined.and_then(|mark| mark.zxid),
            cause: None,
        }
    }
}

impl Standing {
    fn new(condition: Condition, mark: Mark, cause: Option<&'static str>) -> Standing {
        Standing {
            condition,
            // A fact without a recorded beginning is stored as of the first millisecond.
            since_ms: Some(mark.since_ms).filter(|since| *since > 1),
            until_ms: mark.until_ms,
            zxid: mark.zxid,
            cause,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW_START: u64 = 100;

    fn mark(since_ms: u64, until_ms: Option<u64>) -> Mark {
        Mark {
            since_ms,
            until_ms,
            zxid: Some(since_ms * 10),
        }
    }

    /// Everything there is to say against an endpoint.
    fn worst() -> Facts {
        Facts {
            joined: Some(mark(1000, None)),
            recovered_ms: None,
            drained: Some(mark(2000, Some(9000))),
            suspect: Some(mark(2100, None)),
            failing: Some((mark(2200, None), ProbeFailure::Refused)),
            ejected: Some((mark(2300, Some(5000)), EjectionCause::Consecutive)),
            held: Some(mark(2400, Some(6000))),
        }
    }

    #[test]
    fn the_first_condition_that_holds_counts() {
        let now = 3000;
        let mut facts = worst();
        let mut check = |take: fn(&mut Facts), expected: Condition, since_ms: u64| {
            let standing = facts.standing(now, SLOW_START);
            assert_eq!(standing.condition, expected);
            assert_eq!(standing.since_ms, Some(since_ms), "{expected:?}");
            take(&mut facts);
        };
        check(|f| f.drained = None, Condition::Draining, 2000);
        check(|f| f.failing = None, Condition::Unhealthy, 2200);
        check(|f| f.ejected = None, Condition::Ejected, 2300);
        check(|f| f.suspect = None, Condition::Suspect, 2100);
        check(|f| f.held = None, Condition::Held, 2400);
        check(|f| f.recovered_ms = Some(2950), Condition::Up, 1100);
        check(|_| (), Condition::Warming, 2950);
    }

    #[test]
    fn conditions_end_with_their_time() {
        let joined = Facts {
            joined: Some(mark(1000, None)),
            ..Facts::default()
        };
        let ejected = Facts {
            ejected: worst().ejected,
            ..joined
        };
        for (facts, now, slow_start, expected, changes_at) in [
            (joined, 1000, SLOW_START, Condition::Warming, Some(1100)),
            (joined, 1099, SLOW_START, Condition::Warming, Some(1100)),
            (joined, 1100, SLOW_START, Condition::Up, None),
            (joined, 1000, 0, Condition::Up, None),
            (Facts::default(), 1, SLOW_START, Condition::Up, None),
            (ejected, 4999, SLOW_START, Condition::Ejected, Some(5000)),
            (ejected, 5000, SLOW_START, Condition::Warming, Some(5100)),
            (ejected, 5000, 0, Condition::Up, None),
            (ejected, 5100, SLOW_START, Condition::Up, None),
        ] {
            assert_eq!(
                facts.condition(now, slow_start),
                expected,
                "{now} {facts:?}"
            );
            assert_eq!(facts.changes_at(now, slow_start), changes_at, "{now}");
        }
    }

    #[test]
    fn a_standing_says_why_and_by_which_transaction() {
        let facts = worst();
        let draining = facts.standing(3000, 0);
        assert_eq!(draining.zxid, Some(20_000));
        assert_eq!(draining.until_ms, Some(9000));
        let unhealthy = Facts {
            drained: None,
            ..facts
        };
        let cause = unhealthy.standing(3000, 0).cause;
        assert_eq!(cause, Some("connect-refused"));
        let joined = Facts {
            joined: facts.joined,
            ..Facts::default()
        };
        assert_eq!(joined.standing(3000, 0).zxid, Some(10_000));
        let back = Facts {
            recovered_ms: Some(2500),
            ..joined
        };
        assert_eq!(back.standing(3000, 0).zxid, None);
    }

    #[test]
    fn words_are_distinct_and_the_worse_gets_no_more_traffic() {
        let mut words = Condition::ALL.map(Condition::as_str).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Condition::ALL.len());
        assert!(Condition::ALL.is_sorted());
        let grade = |condition: Condition| match condition.availability() {
            Availability::InUse => 0,
            Availability::InNeed => 1,
            Availability::Never => 2,
        };
        assert!(Condition::ALL.map(grade).is_sorted());
    }
}
