//! Which endpoints of a service get traffic, and how much of their weight counts. Pure.
//!
//! ```text
//! condition, tier, weight, age of each --> shares of the tiers --> who is in --> scales, for Candidate
//! ```
//! **Tiers.** Traffic is for the lowest tier. A tier counts as well while 1 / 1.4 of its endpoints (71.4 %) are available;
//! below that, what it is short of goes to the next one: with half of them it gets 50 x 1.4 = 70 %. So traffic moves as
//! gradually as endpoints fail. The simpler rule, the lowest tier with anybody available, sends everything to the last
//! endpoint left, and all at once elsewhere when that one fails.
//!
//! **Panic.** If all tiers together are short, shares are scaled up to the whole. Then a tier with fewer endpoints
//! available than the threshold says is used whole, whatever is known of their health: a fault that seems to befall so
//! many is more likely one of the checks, and what is left could not carry the load. Drained ones stay out.
//!
//! **Slow start.** An endpoint's weight grows with its age, in tenths, from one tenth; ages count relative to the
//! oldest of its tier, so that a service whose endpoints are all new divides its traffic as usual. It is done here, by
//! assembling the service anew at each tenth, and not at the pick: so it holds for every strategy alike, a pick stays
//! what it is, and each step has a version. The price is ten assemblies per newcomer.
//!
//! Sources: Envoy, "Priority levels", "Panic threshold" and "Slow start mode" (aggression 1, 10 % at the least).

use crate::balance::{Availability, Facts, WHOLE};
use crate::routing::TierUse;
use std::collections::BTreeMap;

/// Percent of its healthy share that a tier may carry: it is built to lose that much. Envoy's default.
const OVERPROVISIONING: u64 = 140;

/// Steps of a slow start.
const STEPS: u64 = 10;

/// No scale of a chosen endpoint is below this if that can be had: scales are whole numbers.
const FINEST: u128 = 100;

/// What matters of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    /// Its tier.
    pub(super) tier: u8,
    /// Its weight; 1 where weights do not count.
    pub(super) weight: u16,
    /// Whether it gets traffic.
    pub(super) availability: Availability,
    /// Steps of its slow start that it has taken, 1 to [`STEPS`].
    pub(super) step: u8,
}

/// Who gets traffic.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Eligible {
    /// By position: the scale of its weight, or 0 for nothing.
    pub(super) scales: Vec<u32>,
    /// What became of the tiers.
    pub(super) tiers: Vec<TierUse>,
}

/// Chooses among `contenders`; `panic_threshold` is in percent, 0 for never.
pub(super) fn choose(contenders: &[Contender], panic_threshold: u8) -> Eligible {
    let tiers = divide(&count(contenders), panic_threshold);
    let mut scales = vec![0; contenders.len()];
    let chosen: Vec<Chosen> = tiers
        .iter()
        .filter(|tier| tier.share > 0)
        .map(|tier| Chosen::of(tier, contenders))
        .collect();
    for magnified in (0..=5).map(|digits| 10_u128.pow(digits)) {
        chosen
            .iter()
            .for_each(|tier| tier.scale(&chosen[0], magnified, &mut scales));
        let used = || scales.iter().copied().filter(|scale| *scale > 0);
        let is_fine = used().min().is_none_or(|least| u128::from(least) >= FINEST);
        if is_fine || used().max().is_some_and(|most| most > u32::MAX / 10) {
            break;
        }
    }
    Eligible { scales, tiers }
}

/// The endpoints of each tier, and how many of them are available.
fn count(contenders: &[Contender]) -> Vec<TierUse> {
    let mut tiers: BTreeMap<u8, (usize, usize)> = BTreeMap::new();
    for contender in contenders
        .iter()
        .filter(|c| c.availability != Availability::Never)
    {
        let (endpoints, available) = tiers.entry(contender.tier).or_default();
        *endpoints += 1;
        *available += usize::from(contender.availability == Availability::InUse);
    }
    let tier = |(tier, (endpoints, available))| TierUse {
        tier,
        endpoints,
        available,
        share: 0,
        panics: false,
    };
    tiers.into_iter().map(tier).collect()
}

/// The tiers with their shares.
fn divide(tiers: &[TierUse], panic_threshold: u8) -> Vec<TierUse> {
    let mut tiers = tiers.to_vec();
    let health = |tier: &TierUse| {
        let percent = OVERPROVISIONING * tier.available as u64 / tier.endpoints.max(1) as u64;
        percent.min(100) as u32
    };
    let sum: u32 = tiers.iter().map(health).sum();
    if sum == 0 {
        // Nobody is available anywhere, and nobody knows better.
        if let Some(lowest) = tiers.first_mut().filter(|_| panic_threshold > 0) {
            (lowest.share, lowest.panics) = (100, true);
        }
        return tiers;
    }
    let mut left = 100;
    for tier in &mut tiers {
        let share = (health(tier) * 100 / sum.min(100)).min(left);
        tier.share = share as u8;
        left -= share;
        let available = tier.available as u64 * 100;
        let is_short = available < u64::from(panic_threshold) * tier.endpoints as u64;
        tier.panics = sum < 100 && share > 0 && is_short;
    }
    // What rounding has left, where it matters least.
    if let Some(largest) = tiers.iter_mut().max_by_key(|tier| tier.share) {
        largest.share += left as u8;
    }
    tiers
}

/// The endpoints of a tier that get traffic.
struct Chosen {
    share: u128,
    /// Position, and scale within the tier.
    members: Vec<(usize, u32)>,
    /// The sum of their weights, scaled.
    weight: u128,
}

impl Chosen {
    fn of(tier: &TierUse, contenders: &[Contender]) -> Chosen {
        let is_in = |contender: &Contender| match contender.availability {
            Availability::InUse => contender.tier == tier.tier,
            Availability::InNeed => contender.tier == tier.tier && tier.panics,
            Availability::Never => false,
        };
        let all = || contenders.iter().enumerate().filter(|(_, c)| is_in(c));
        let oldest = all().map(|(_, c)| c.step).max().unwrap_or(1).max(1);
        let scale = |c: &Contender| (WHOLE * u32::from(c.step) / u32::from(oldest)).max(1);
        Chosen {
            share: tier.share.into(),
            members: all().map(|(at, c)| (at, scale(c))).collect(),
            weight: all()
                .map(|(_, c)| u128::from(c.weight) * u128::from(scale(c)))
                .sum(),
        }
    }

    /// Writes down the scales by which this tier gets its share and `first`, which keeps its weights, gets its.
    fn scale(&self, first: &Chosen, magnified: u128, scales: &mut [u32]) {
        for (at, scale) in &self.members {
            let scaled = u128::from(*scale) * self.share * first.weight * magnified
                / (first.share * self.weight).max(1);
            scales[*at] = u32::try_from(scaled).unwrap_or(u32::MAX).max(1);
        }
    }
}

/// Steps of a slow start of `slow_start_ms` taken by an endpoint that was idle until `since_ms`.
pub(super) fn step(since_ms: Option<u64>, slow_start_ms: u64, now_ms: u64) -> u8 {
    let age = since_ms.map_or(u64::MAX, |since| now_ms.saturating_sub(since));
    if age >= slow_start_ms {
        return STEPS as u8;
    }
    (age * STEPS / slow_start_ms).max(1) as u8
}

/// When, after `now_ms`, time alone changes what an endpoint gets.
pub(super) fn due(facts: &Facts, slow_start_ms: u64, now_ms: u64) -> Option<u64> {
    let next_step = facts.in_use_since(now_ms).and_then(|since| {
        let taken = now_ms
            .saturating_sub(since)
            .checked_mul(STEPS)?
            .checked_div(slow_start_ms)?;
        // The first step is where it begins, so the next one after that is the second.
        let next = taken.max(1) + 1;
        (next <= STEPS).then(|| since + (next * slow_start_ms).div_ceil(STEPS))
    });
    next_step
        .into_iter()
        .chain(facts.changes_at(now_ms, slow_start_ms))
        .min()
}

#[cfg(test)]
mod tests;
