//! How the endpoints that get traffic were chosen: what was decided when the table was assembled, for whoever asks.

/// The outcome of choosing among a service's endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Its tiers, the lowest first.
    pub tiers: Vec<TierUse>,
    /// Since when ([`crate::net::now_ms`]) its endpoints are those of registrations that have vanished.
    pub kept_since_ms: Option<u64>,
}

/// What became of one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierUse {
    /// Its number.
    pub tier: u8,
    /// Its endpoints, but for those that are drained.
    pub endpoints: usize,
    /// Those of them against which nothing speaks.
    pub available: usize,
    /// Percent of the service's traffic that it gets.
    pub share: u8,
    /// Too few are available, so that all of its endpoints get traffic, whatever is known of their health.
    pub panics: bool,
}

/// Why a service is not served as it is meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degradation {
    /// Health is ignored in a tier.
    Panic,
    /// A tier above the lowest takes traffic.
    Spill,
    /// The registrations are gone, and their endpoints are kept.
    Kept,
    /// No endpoint gets traffic.
    Empty,
}

impl Degradation {
    /// All of them.
    pub const ALL: [Degradation; 4] = [
        Degradation::Panic,
        Degradation::Spill,
        Degradation::Kept,
        Degradation::Empty,
    ];

    /// The word for it in metrics and JSON. A published interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Degradation::Panic => "panic",
            Degradation::Spill => "spill",
            Degradation::Kept => "kept",
            Degradation::Empty => "empty",
        }
    }
}

impl Selection {
    /// Whether the service is degraded in that way.
    pub fn is(&self, degradation: Degradation) -> bool {
        let mut tiers = self.tiers.iter();
        match degradation {
            Degradation::Panic => tiers.any(|tier| tier.panics),
            Degradation::Spill => tiers.skip(1).any(|tier| tier.share > 0),
            Degradation::Kept => self.kept_since_ms.is_some(),
            Degradation::Empty => tiers.all(|tier| tier.share == 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degradations_are_told_apart() {
        let tier = |tier, share, panics| TierUse {
            tier,
            endpoints: 2,
            available: 1,
            share,
            panics,
        };
        for (tiers, kept_since_ms, expected) in [
            (vec![tier(0, 100, false), tier(1, 0, false)], None, vec![]),
            (vec![], None, vec!["empty"]),
            (vec![tier(0, 0, false)], None, vec!["empty"]),
            (
                vec![tier(0, 70, false), tier(1, 30, false)],
                None,
                vec!["spill"],
            ),
            (vec![tier(3, 100, true)], Some(7), vec!["panic", "kept"]),
        ] {
            let selection = Selection {
                tiers,
                kept_since_ms,
            };
            let is = Degradation::ALL.into_iter().filter(|d| selection.is(*d));
            assert_eq!(is.map(Degradation::as_str).collect::<Vec<_>>(), expected);
        }
    }
}
