//! A stat in words.

use crate::tree::Stat;
use std::time::{Duration, UNIX_EPOCH};

/// One line per field, `name value`, by the names of ZooKeeper's record.
pub(super) fn stat(stat: &Stat) -> Vec<String> {
    vec![
        format!("czxid {}", stat.czxid),
        format!("mzxid {}", stat.mzxid),
        format!("pzxid {}", stat.pzxid),
        format!("ctime {}", time(stat.ctime)),
        format!("mtime {}", time(stat.mtime)),
        format!("version {}", stat.version),
        format!("cversion {}", stat.cversion),
        format!("aversion {}", stat.aversion),
        format!("ephemeralOwner {}", stat.ephemeral_owner),
        format!("dataLength {}", stat.data_length),
        format!("numChildren {}", stat.num_children),
    ]
}

/// Milliseconds since the Unix epoch as RFC 3339, in UTC; a number that is no time of this or the next
/// millennia as it is.
fn time(ms: i64) -> String {
    match u64::try_from(ms) {
        Ok(ms) if ms < YEAR_10000_MS => {
            humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
        }
        _ => format!("{ms} ms"),
    }
}

/// 10000-01-01T00:00:00Z, behind which RFC 3339 has no notation.
const YEAR_10000_MS: u64 = 253_402_300_800_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{SessionId, Zxid};

    #[test]
    fn stat_names_every_field() {
        let shown = stat(&Stat {
            czxid: Zxid(16),
            ctime: 1_000,
            version: 3,
            ephemeral_owner: SessionId(255),
            ..Stat::default()
        });
        assert_eq!(shown.len(), 11);
        for line in [
            "czxid 0x10",
            "ctime 1970-01-01T00:00:01.000Z",
            "version 3",
            "ephemeralOwner 0xff",
        ] {
            assert!(shown.iter().any(|shown| shown == line), "{line}");
        }
    }

    #[test]
    fn impossible_times_are_shown_as_they_are() {
        assert_eq!(time(-5), "-5 ms");
        assert_eq!(time(i64::MAX), format!("{} ms", i64::MAX));
    }
}
