//! Why an endpoint gets no traffic: closed lists, each with the word that logs, metrics and JSON use.

/// Declares a closed list that fits an atomic: each variant has a word, and a code above zero.
macro_rules! causes {
    ($(#[$about:meta])* $Name:ident { $($(#[$doc:meta])* $Variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $Name {
            $($(#[$doc])* $Variant,)+
        }

        impl $Name {
            /// All of them.
            pub const ALL: &[$Name] = &[$($Name::$Variant,)+];

            /// The word for it in logs, metrics and JSON. A published interface.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($Name::$Variant => $word,)+
                }
            }

            /// Its code, for an atomic; never 0.
            pub(super) fn code(self) -> u8 {
                self as u8 + 1
            }

            /// What a code stands for; nothing for 0.
            pub(super) fn of(code: u8) -> Option<$Name> {
                $Name::ALL.get(usize::from(code).checked_sub(1)?).copied()
            }
        }
    };
}

causes! {
    /// Why a probe failed.
    ProbeFailure {
        /// The endpoint's host name does not resolve.
        Unresolved = "unresolved",
        /// It refuses connections.
        Refused = "connect-refused",
        /// It cannot be reached.
        Unreachable = "connect-failed",
        /// It was not done in time, connecting or answering.
        TimedOut = "timeout",
        /// It closed or reset the connection before its answer was whole.
        Closed = "closed",
        /// The TLS handshake failed.
        Tls = "tls",
        /// It answered with another status than expected.
        Status = "status",
        /// It answered something else than expected, or no HTTP.
        Answer = "answer",
    }
}

causes! {
    /// Why an endpoint was ejected.
    EjectionCause {
        /// So many exchanges with it failed in a row.
        Consecutive = "consecutive-failures",
        /// It fails clearly more often than the service's other endpoints.
        SuccessRate = "success-rate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_comes_back_from_its_code() {
        assert_eq!(ProbeFailure::of(0), None);
        for cause in ProbeFailure::ALL {
            assert_eq!(ProbeFailure::of(cause.code()), Some(*cause));
        }
        for cause in EjectionCause::ALL {
            assert_eq!(EjectionCause::of(cause.code()), Some(*cause));
        }
        assert_eq!(EjectionCause::of(200), None);
    }
}
