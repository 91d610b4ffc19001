//! Tables of what is decided.

use super::*;
use crate::balance::Mark;

/// A tier of that many endpoints, so many of them available.
fn tier(tier: u8, endpoints: usize, available: usize) -> Vec<Contender> {
    let contender = |at| Contender {
        tier,
        weight: 1,
        availability: match at < available {
            true => Availability::InUse,
            false => Availability::InNeed,
        },
        step: STEPS as u8,
    };
    (0..endpoints).map(contender).collect()
}

/// Shares of the tiers, and whether each panics.
fn shares(contenders: &[Contender], panic_threshold: u8) -> Vec<(u8, bool)> {
    let tiers = choose(contenders, panic_threshold).tiers;
    tiers.iter().map(|tier| (tier.share, tier.panics)).collect()
}

#[test]
fn tiers_share_as_envoy_documents_it() {
    // Percent available in two tiers of 100, and what each gets: the tables of Envoy's pages.
    for (first, second, expected) in [
        (100, 100, [(100, false), (0, false)]),
        (72, 100, [(100, false), (0, false)]),
        (71, 100, [(99, false), (1, false)]),
        (50, 100, [(70, false), (30, false)]),
        (25, 100, [(35, false), (65, false)]),
        (0, 100, [(0, false), (100, false)]),
        (72, 72, [(100, false), (0, false)]),
        (71, 71, [(99, false), (1, false)]),
        (50, 60, [(70, false), (30, false)]),
        (25, 25, [(50, true), (50, true)]),
        (5, 65, [(7, true), (93, false)]),
    ] {
        let all = [tier(0, 100, first), tier(1, 100, second)].concat();
        assert_eq!(shares(&all, 50), expected, "{first} % and {second} %");
    }
}

#[test]
fn a_single_tier_panics_below_the_threshold() {
    for (available, threshold, expected) in [
        (10, 50, (100, false)),
        (5, 50, (100, false)),
        (4, 50, (100, true)),
        (1, 0, (100, false)),
        (0, 50, (100, true)),
        (0, 0, (0, false)),
        (9, 100, (100, false)),
        (6, 100, (100, true)),
    ] {
        let shares = shares(&tier(0, 10, available), threshold);
        assert_eq!(shares, [expected], "{available} of 10, {threshold} %");
    }
}

#[test]
fn in_panic_everybody_gets_traffic_but_who_is_drained() {
    let mut all = tier(0, 4, 1);
    all[3].availability = Availability::Never;
    assert_eq!(choose(&all, 50).scales, [WHOLE, WHOLE, WHOLE, 0]);
    assert_eq!(choose(&all, 0).scales, [WHOLE, 0, 0, 0]);
    let drained = choose(&all[3..], 50);
    assert_eq!((drained.scales, drained.tiers), (vec![0], vec![]));
}

#[test]
fn drained_endpoints_do_not_count_as_lost() {
    let mut all = [tier(0, 10, 10), tier(1, 1, 1)].concat();
    all[..9]
        .iter_mut()
        .for_each(|c| c.availability = Availability::Never);
    assert_eq!(shares(&all, 50), [(100, false), (0, false)]);
}

#[test]
fn a_tier_gets_its_share_by_weight_and_the_lowest_keeps_its_weights() {
    // Half of the lowest is left: 70 % for one of weight 2, 30 % for weights 1 and 5.
    let mut all = [tier(0, 2, 1), tier(4, 2, 2)].concat();
    (all[0].weight, all[2].weight, all[3].weight) = (2, 1, 5);
    let chosen = choose(&all, 50);
    let parts = |scales: &[u32]| -> Vec<f64> {
        let part = |(c, scale): (&Contender, &u32)| f64::from(c.weight) * f64::from(*scale);
        let parts: Vec<f64> = all.iter().zip(scales).map(part).collect();
        let sum: f64 = parts.iter().sum();
        parts.iter().map(|part| part / sum).collect()
    };
    for (part, expected) in parts(&chosen.scales).iter().zip([0.7, 0.0, 0.05, 0.25]) {
        assert!((part - expected).abs() < 0.002, "{:?}", chosen.scales);
    }
    assert_eq!(chosen.scales[0], WHOLE);
}

#[test]
fn shares_are_right_even_between_one_and_a_thousand() {
    for (first, available, second) in [(1000, 710, 1), (7, 3, 1000), (3, 2, 4000)] {
        let all = [tier(0, first, available), tier(1, second, second)].concat();
        let chosen = choose(&all, 50);
        let sum = |scales: &[u32]| scales.iter().map(|s| f64::from(*s)).sum::<f64>();
        let part = sum(&chosen.scales[..first]) / sum(&chosen.scales);
        let expected = f64::from(chosen.tiers[0].share) / 100.0;
        assert!((part - expected).abs() < 0.01, "{part} for {expected}");
    }
}

#[test]
fn a_newcomer_gets_its_step_and_equals_get_the_same() {
    for (steps, expected) in [
        ([10, 10, 1], [1000, 1000, 100]),
        ([10, 10, 9], [1000, 1000, 900]),
        ([1, 1, 1], [1000, 1000, 1000]),
        ([5, 4, 5], [1000, 800, 1000]),
    ] {
        let mut all = tier(0, 3, 3);
        all.iter_mut()
            .zip(steps)
            .for_each(|(c, step)| c.step = step);
        assert_eq!(choose(&all, 50).scales, expected, "{steps:?}");
    }
}

#[test]
fn steps_are_tenths_of_the_time_from_one_tenth_on() {
    for (since, now, expected) in [
        (Some(1000), 1000, 1),
        (Some(1000), 1199, 1),
        (Some(1000), 1200, 2),
        (Some(1000), 1999, 9),
        (Some(1000), 2000, 10),
        (Some(1000), 500, 1),
        (None, 5, 10),
    ] {
        assert_eq!(step(since, 1000, now), expected, "{since:?} at {now}");
    }
    assert_eq!(step(Some(5), 0, 5), 10, "without a slow start");
}

#[test]
fn every_step_has_its_time() {
    let facts = Facts {
        joined: Some(Mark::new(1000)),
        ..Facts::default()
    };
    for slow_start in [1000, 1003, 7] {
        let (mut now, mut seen) = (1000, vec![step(Some(1000), slow_start, 1000)]);
        while let Some(next) = due(&facts, slow_start, now) {
            assert!(next > now, "{next} after {now}");
            now = next;
            seen.push(step(Some(1000), slow_start, now));
        }
        assert_eq!(now, 1000 + slow_start);
        assert_eq!(seen.last(), Some(&10));
        assert!(seen.is_sorted() && seen.len() <= 10, "{seen:?}");
    }
    assert_eq!(due(&facts, 0, 1000), None);
    assert_eq!(due(&Facts::default(), 1000, 5), None);
}
