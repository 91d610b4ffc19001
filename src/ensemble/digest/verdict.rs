//! Who is right when digests differ: a majority of the voters, whoever leads.

use std::collections::{BTreeMap, BTreeSet};

/// What the votes mean for this member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A majority has its digest.
    Right,
    /// A majority has another one.
    Wrong,
    /// More votes may decide.
    Open,
    /// No vote that is missing can make a majority.
    Split,
}

/// Judges the digest `mine` by the digests of voters that are known; `voters` is one set, or two while the
/// membership changes, and a majority is one of each.
pub(super) fn judge(mine: u64, votes: &BTreeMap<u64, u64>, voters: &[BTreeSet<u64>]) -> Verdict {
    let has = |set: &BTreeSet<u64>, supporters: usize| supporters * 2 > set.len();
    let of = |set: &BTreeSet<u64>, digest: u64| {
        set.iter()
            .filter(|id| votes.get(id) == Some(&digest))
            .count()
    };
    let silent = |set: &BTreeSet<u64>| set.iter().filter(|id| !votes.contains_key(id)).count();
    let digests: BTreeSet<u64> = votes.values().copied().chain([mine]).collect();
    let mut winners = digests
        .iter()
        .filter(|digest| voters.iter().all(|set| has(set, of(set, **digest))));
    if let Some(winner) = winners.next() {
        return match *winner == mine {
            true => Verdict::Right,
            false => Verdict::Wrong,
        };
    }
    let may_win = |digest: &u64| {
        voters
            .iter()
            .all(|set| has(set, of(set, *digest) + silent(set)))
    };
    match digests.iter().any(may_win) {
        true => Verdict::Open,
        false => Verdict::Split,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(mine: u64, votes: &[(u64, u64)], voters: &[&[u64]]) -> Verdict {
        let voters: Vec<BTreeSet<u64>> = voters
            .iter()
            .map(|set| set.iter().copied().collect())
            .collect();
        judge(mine, &votes.iter().copied().collect(), &voters)
    }

    #[test]
    fn the_majority_is_right_whoever_it_is() {
        let votes = [(1, 9), (2, 8), (3, 8)];
        assert_eq!(verdict(9, &votes, &[&[1, 2, 3]]), Verdict::Wrong);
        assert_eq!(verdict(8, &votes, &[&[1, 2, 3]]), Verdict::Right);
        // An observer has no vote, and is judged like everybody.
        assert_eq!(verdict(7, &votes, &[&[1, 2, 3]]), Verdict::Wrong);
    }

    #[test]
    fn without_a_majority_nobody_is_wrong() {
        assert_eq!(verdict(9, &[(1, 9), (2, 8)], &[&[1, 2]]), Verdict::Split);
        assert_eq!(verdict(9, &[(1, 9), (2, 8)], &[&[1, 2, 3]]), Verdict::Open);
        let three_ways = [(1, 7), (2, 8), (3, 9)];
        assert_eq!(verdict(7, &three_ways, &[&[1, 2, 3]]), Verdict::Split);
        let five = [(1, 7), (2, 7), (3, 8), (4, 8), (5, 9)];
        assert_eq!(verdict(7, &five, &[&[1, 2, 3, 4, 5]]), Verdict::Split);
        assert_eq!(verdict(7, &five[..4], &[&[1, 2, 3, 4, 5]]), Verdict::Open);
    }

    #[test]
    fn two_sets_of_voters_must_agree() {
        let votes = [(1, 7), (2, 7), (3, 8), (4, 8)];
        assert_eq!(verdict(7, &votes[..2], &[&[1, 2, 3]]), Verdict::Right);
        assert_eq!(
            verdict(7, &votes, &[&[1, 2, 3], &[2, 3, 4]]),
            Verdict::Split
        );
        assert_eq!(verdict(8, &votes[1..], &[&[2, 3, 4]]), Verdict::Right);
    }
}
