//! What a strategy arranges: endpoints, and the share of the traffic that each is to have.

use super::{Candidate, Endpoint};
use std::sync::Arc;

/// Endpoints and their shares, position by position.
#[derive(Clone, Copy)]
pub(super) struct Arrangement<'a> {
    /// The endpoints, at least one when a pick is made.
    pub(super) endpoints: &'a [Arc<Endpoint>],
    /// What each gets in proportion to the others, at least 1. Thousandths of a weight, or of an endpoint where
    /// weights do not count.
    pub(super) shares: &'a [u64],
}

impl Arrangement<'_> {
    /// Whether a strategy that only looks at shares arranges both alike.
    pub(super) fn has_shares_of(&self, other: &Arrangement<'_>) -> bool {
        self.shares == other.shares
    }

    /// Whether a strategy that looks at names and shares arranges both alike.
    pub(super) fn has_places_of(&self, other: &Arrangement<'_>) -> bool {
        let names = |of: &Self| of.endpoints.iter().map(|e| &*e.instance).eq(other.names());
        self.has_shares_of(other) && names(self)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.endpoints.iter().map(|endpoint| &*endpoint.instance)
    }

    /// Whether nobody's share differs from another's.
    pub(super) fn is_even(&self) -> bool {
        self.shares.windows(2).all(|pair| pair[0] == pair[1])
    }
}

/// The shares of some candidates, by their weights or as if those were equal.
pub(super) fn shares(candidates: &[Candidate], by_weight: bool) -> Box<[u64]> {
    let share = |candidate: &Candidate| {
        let weight = if by_weight {
            candidate.endpoint.weight
        } else {
            1
        };
        u64::from(weight.max(1)) * u64::from(candidate.scale.max(1))
    };
    candidates.iter().map(share).collect()
}

/// The smallest numbers in the same proportion.
pub(super) fn reduced(shares: &[u64]) -> impl Iterator<Item = u64> {
    let divisor = shares.iter().copied().fold(0, gcd).max(1);
    shares.iter().map(move |share| share / divisor)
}

/// Numbers of 32 bits in the same proportion, at least 1 each. Where that takes rounding, a share is off by at most
/// one part in four billion of the largest.
pub(super) fn narrowed(shares: &[u64]) -> Box<[u32]> {
    let reduced: Vec<u64> = reduced(shares).collect();
    let bits = u64::BITS - reduced.iter().max().map_or(0, |max| max.leading_zeros());
    let excess = bits.saturating_sub(u32::BITS);
    let narrow = |share: &u64| u32::try_from(share >> excess).unwrap_or(u32::MAX).max(1);
    reduced.iter().map(narrow).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_narrowed_in_proportion() {
        for (shares, expected) in [
            (&[100_u64, 100, 100][..], &[1_u32, 1, 1][..]),
            (&[1000, 100], &[10, 1]),
            (&[7], &[1]),
            (&[], &[]),
            (&[3 << 40, 2 << 40], &[3, 2]),
            (&[(3 << 40) + 1, 2 << 40], &[3 << 30, 2 << 30]),
            (&[1 << 50, 1], &[1 << 31, 1]),
            (&[u64::MAX, u64::MAX - 1], &[u32::MAX, u32::MAX]),
        ] {
            assert_eq!(*narrowed(shares), *expected, "{shares:?}");
        }
    }
}
