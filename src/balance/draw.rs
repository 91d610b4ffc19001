//! Drawing lots: one endpoint, or two different ones, each with a probability in proportion to its share.

use super::arrangement::Arrangement;
use std::sync::Arc;

/// What is drawn from. With equal shares a draw is a multiplication, otherwise a binary search.
pub(super) struct Draw {
    count: usize,
    /// Sums of the shares up to and including each, unless all are equal.
    sums: Option<Arc<[u64]>>,
}

impl Draw {
    /// Takes what the `previous` table has if the shares are the same.
    pub(super) fn new(of: Arrangement<'_>, previous: Option<(Arrangement<'_>, &Draw)>) -> Draw {
        let sums = match previous {
            _ if of.is_even() => None,
            Some((before, draw)) if before.has_shares_of(&of) => draw.sums.clone(),
            _ => Some(sums(of.shares)),
        };
        Draw {
            count: of.shares.len(),
            sums,
        }
    }

    /// The share of the endpoint at a position.
    pub(super) fn share(&self, at: usize) -> u64 {
        match &self.sums {
            None => 1,
            Some(sums) => sums[at] - start_of(sums, at),
        }
    }

    /// One of the endpoints, of which there is at least one.
    pub(super) fn one(&self, random: u64) -> usize {
        match &self.sums {
            None => scale(random, self.count as u64) as usize,
            Some(sums) => {
                let point = scale(random, sums[self.count - 1]);
                sums.partition_point(|sum| *sum <= point)
            }
        }
    }

    /// One of the endpoints, of which there are at least two, other than the one at `taken`.
    pub(super) fn another(&self, random: u64, taken: usize) -> usize {
        match &self.sums {
            None => {
                let at = scale(random, self.count as u64 - 1) as usize;
                at + usize::from(at >= taken)
            }
            Some(sums) => {
                let (start, end) = (start_of(sums, taken), sums[taken]);
                let point = scale(random, sums[self.count - 1] - (end - start));
                let point = if point < start {
                    point
                } else {
                    point + (end - start)
                };
                sums.partition_point(|sum| *sum <= point)
            }
        }
    }
}

fn sums(shares: &[u64]) -> Arc<[u64]> {
    let add = |sum: &mut u64, share: &u64| {
        *sum += share;
        Some(*sum)
    };
    shares.iter().scan(0, add).collect()
}

fn start_of(sums: &[u64], at: usize) -> u64 {
    at.checked_sub(1).map_or(0, |before| sums[before])
}

/// Maps a random 64-bit number to `0..length` by its place in the range, which needs no division. Its bias is
/// below `length / 2^64` (Lemire, "Fast Random Integer Generation in an Interval", 2019).
pub(super) fn scale(random: u64, length: u64) -> u64 {
    ((u128::from(random) * u128::from(length)) >> 64) as u64
}

/// Another random number from one, as good and, for these purposes, independent of it (the last steps of SplitMix64).
pub(super) fn mixed(random: u64) -> u64 {
    let z = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::fixture::{Numbers, assert_fits};

    fn draw(shares: &[u64]) -> Draw {
        let of = Arrangement {
            endpoints: &[],
            shares,
        };
        Draw::new(of, None)
    }

    #[test]
    fn scales_the_whole_range() {
        for (random, length, expected) in [
            (0, 3, 0),
            (u64::MAX / 3, 3, 0),
            (u64::MAX / 3 + 1, 3, 1),
            (u64::MAX, 3, 2),
            (u64::MAX, 1, 0),
        ] {
            assert_eq!(scale(random, length), expected, "{random} of {length}");
        }
    }

    #[test]
    fn one_is_drawn_in_proportion_to_its_share() {
        for shares in [&[1_u64, 1, 1, 1][..], &[5, 1, 1, 3], &[1000, 100, 1000]] {
            let draw = draw(shares);
            let mut counts = vec![0; shares.len()];
            for random in Numbers::new(11).take(100_000) {
                counts[draw.one(random)] += 1;
            }
            assert_fits(&counts, shares);
            assert!(
                (0..shares.len())
                    .all(|at| draw.share(at) * shares[0] == shares[at] * draw.share(0))
            );
        }
    }

    #[test]
    fn another_is_drawn_in_proportion_among_the_rest() {
        for shares in [&[1_u64, 1, 1, 1][..], &[5, 1, 1, 3]] {
            for taken in 0..shares.len() {
                let draw = draw(shares);
                let mut counts = vec![0; shares.len()];
                for random in Numbers::new(12).take(50_000) {
                    counts[draw.another(random, taken)] += 1;
                }
                assert_eq!(counts.remove(taken), 0);
                let mut rest = shares.to_vec();
                rest.remove(taken);
                assert_fits(&counts, &rest);
            }
        }
    }

    #[test]
    fn a_mixed_number_tells_nothing_of_the_first() {
        let mut counts = [0; 64];
        for random in Numbers::new(13).take(100_000) {
            let pair = scale(random, 8) * 8 + scale(mixed(random), 8);
            counts[pair as usize] += 1;
        }
        assert_fits(&counts, &[1; 64]);
    }
}
