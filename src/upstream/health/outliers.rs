//! Who is ejected for how its exchanges went, and for how long. Pure.
//!
//! Source: Envoy's outlier detection (its consecutive failures, its success rate, its ejection time and its limit on
//! the share ejected), as its documentation describes it.

use crate::balance::{Endpoint, Facts};
use crate::config::Outlier;
use std::sync::Arc;

/// How many more endpoints of a service may be ejected now: of all that are not draining no greater share than it
/// allows, but one in any case, and never the last that is in use.
pub(super) fn room(facts: &[Facts], outlier: &Outlier, now_ms: u64) -> usize {
    let there = facts.iter().filter(|f| f.drained.is_none());
    let is_ejected = |f: &&Facts| f.ejected.is_some_and(|(mark, _)| mark.holds(now_ms));
    let (count, ejected) = (
        there.clone().count(),
        there.clone().filter(is_ejected).count(),
    );
    let is_usable = |f: &&Facts| {
        let condition = f.condition(now_ms, 0);
        condition.availability() == crate::balance::Availability::InUse
    };
    let usable = there.filter(is_usable).count();
    let allowed = (count * usize::from(outlier.max_ejected) / 100).max(1);
    allowed
        .saturating_sub(ejected)
        .min(usable.saturating_sub(1))
}

/// For how long an endpoint is ejected that was ejected `before` times lately, the last time until `last_until_ms`: how
/// often that makes, and milliseconds. Each further time is longer by `eject`, up to `max_eject`; each `eject` that
/// passed since without an ejection counts against it.
pub(super) fn term(
    outlier: &Outlier,
    before: u32,
    last_until_ms: Option<u64>,
    now_ms: u64,
) -> (u32, u64) {
    let eject_ms = millis(outlier.eject);
    let quiet_ms = last_until_ms.map_or(0, |until| now_ms.saturating_sub(until));
    let forgiven = u32::try_from(quiet_ms / eject_ms.max(1)).unwrap_or(u32::MAX);
    let nth = before.saturating_sub(forgiven).saturating_add(1);
    let term_ms = eject_ms.saturating_mul(nth.into());
    (nth, term_ms.min(millis(outlier.max_eject)).max(eject_ms))
}

/// An endpoint's exchanges in the interval that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Those that went well.
    pub(super) succeeded: u64,
    /// All of them.
    pub(super) total: u64,
}

/// The positions of those that succeed clearly less often than the others: by more than so many standard deviations
/// below the mean. Nobody, unless enough endpoints have exchanges enough to be compared.
pub(super) fn below_the_others(rates: &[Rate], outlier: &Outlier) -> Vec<usize> {
    let enough = |rate: &Rate| rate.total >= u64::from(outlier.min_requests) && rate.total > 0;
    let shares: Vec<(usize, f64)> = rates
        .iter()
        .enumerate()
        .filter(|(_, rate)| enough(rate))
        .map(|(at, rate)| (at, rate.succeeded as f64 / rate.total as f64))
        .collect();
    if shares.len() < outlier.min_endpoints as usize {
        return Vec::new();
    }
    let count = shares.len() as f64;
    let mean = shares.iter().map(|(_, share)| share).sum::<f64>() / count;
    let squares = shares.iter().map(|(_, share)| (share - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    let limit = mean - deviation * f64::from(outlier.success_rate) / 100.0;
    let below = shares.into_iter().filter(|(_, share)| *share < limit);
    below.map(|(at, _)| at).collect()
}

/// Whether it has failed so often in a row that it is to be ejected.
pub(super) fn is_failing(endpoint: &Arc<Endpoint>, outlier: &Outlier) -> bool {
    outlier.consecutive > 0 && endpoint.state.record.in_a_row() >= outlier.consecutive
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{EjectionCause, Mark, ProbeFailure};
    use std::time::Duration;

    const NOW: u64 = 1_000_000;

    fn ejected(until_ms: u64) -> Facts {
        let mark = Mark {
            until_ms: Some(until_ms),
            ..Mark::new(1)
        };
        Facts {
            ejected: Some((mark, EjectionCause::Consecutive)),
            ..Facts::default()
        }
    }

    #[test]
    fn no_more_than_a_share_is_ejected_but_one_in_any_case_and_never_the_last() {
        let well = Facts::default();
        let out = ejected(NOW + 1);
        let back = ejected(NOW);
        let failing = Facts {
            failing: Some((Mark::new(1), ProbeFailure::Refused)),
            ..Facts::default()
        };
        let draining = Facts {
            drained: Some(Mark::new(1)),
            ..Facts::default()
        };
        let half = Outlier::default();
        assert_eq!(half.max_ejected, 50);
        let tenth = Outlier {
            max_ejected: 10,
            ..half
        };
        for (facts, outlier, expected) in [
            (vec![], half, 0),
            (vec![well], half, 0),
            (vec![well; 2], half, 1),
            (vec![well; 4], half, 2),
            (vec![well; 5], half, 2),
            (vec![well; 5], tenth, 1),
            (vec![well, well, out, out], half, 0),
            (vec![well, well, well, out], half, 1),
            (vec![well, well, back, back], half, 2),
            (vec![well, failing, failing, failing], half, 0),
            (vec![well, well, failing, failing], half, 1),
            (vec![well, well, draining, draining], half, 1),
            (vec![well, draining], half, 0),
        ] {
            assert_eq!(room(&facts, &outlier, NOW), expected, "{facts:?}");
        }
    }

    #[test]
    fn each_further_ejection_is_longer_until_it_behaves() {
        let outlier = Outlier {
            eject: Duration::from_secs(30),
            max_eject: Duration::from_secs(100),
            ..Outlier::default()
        };
        for (before, quiet_ms, expected) in [
            (0, None, (1, 30_000)),
            (1, Some(0), (2, 60_000)),
            (1, Some(29_999), (2, 60_000)),
            (1, Some(30_000), (1, 30_000)),
            (2, Some(0), (3, 90_000)),
            (3, Some(0), (4, 100_000)),
            (9, Some(60_000), (8, 100_000)),
            (3, Some(900_000), (1, 30_000)),
        ] {
            let last = quiet_ms.map(|quiet| NOW - quiet);
            assert_eq!(
                term(&outlier, before, last, NOW),
                expected,
                "{before} {quiet_ms:?}"
            );
        }
        let short = Outlier {
            max_eject: Duration::from_secs(1),
            ..outlier
        };
        assert_eq!(
            term(&short, 0, None, NOW),
            (1, 30_000),
            "never shorter than asked for"
        );
    }

    #[test]
    fn who_succeeds_less_often_than_the_others_is_found() {
        let rate = |succeeded, total| Rate { succeeded, total };
        let well = rate(100, 100);
        let outlier = Outlier {
            success_rate: 190,
            ..Outlier::default()
        };
        assert_eq!((outlier.min_requests, outlier.min_endpoints), (100, 5));
        for (rates, expected) in [
            (vec![well, well, well, well, well, rate(60, 100)], vec![5]),
            (vec![well, well, rate(10, 100), well, well, well], vec![2]),
            // All alike, however bad; and too small a difference among many that differ.
            (vec![rate(10, 100); 6], vec![]),
            (
                vec![
                    rate(90, 100),
                    rate(95, 100),
                    well,
                    rate(92, 100),
                    rate(97, 100),
                ],
                vec![],
            ),
            // Too few endpoints with exchanges enough.
            (vec![well, well, well, rate(0, 100)], vec![]),
            (vec![well, well, well, well, rate(0, 99)], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(below_the_others(&rates, &outlier), expected, "{rates:?}");
        }
    }
}
