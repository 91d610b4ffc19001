//! How many connections of a listener come from one source: an IPv4 address, or the /64 that one subscriber has of
//! IPv6.
//!
//! A source is remembered while it has a connection, so there are never more than the listener has connections. The
//! table is in parts, each behind a lock of its own that is held for one look-up, when a connection comes and when it
//! goes: never while bytes move, and not at all without a limit.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Parts of the table: workers rarely meet in one of them.
const PARTS: usize = 16;

/// Connections by source.
#[derive(Default)]
pub struct Sources {
    /// Connections that one source may have; 0 is no limit.
    limit: AtomicU32,
    parts: [Mutex<HashMap<Source, u32>>; PARTS],
}

/// Where connections come from, as far as they are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl Source {
    fn of(addr: IpAddr) -> Source {
        match addr.to_canonical() {
            IpAddr::V4(v4) => Source::V4(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, g, h, ..] = v6.octets();
                Source::V6([a, b, c, d, e, f, g, h])
            }
        }
    }

    fn part(&self) -> usize {
        let hash = match self {
            Source::V4(bytes) => xxh3_64(bytes),
            Source::V6(bytes) => xxh3_64(bytes),
        };
        hash as usize % PARTS
    }
}

/// The source has as many connections as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Sources {
    /// Another limit from the next connection on; `None` is none. Connections from before there was one do not count.
    pub fn set(&self, limit: Option<u32>) {
        self.limit.store(limit.unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts a connection from `addr`, if there is a limit.
    ///
    /// # Errors
    /// [`TooMany`]
    pub fn enter(self: &Arc<Self>, addr: IpAddr) -> Result<Option<Counted>, TooMany> {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return Ok(None);
        }
        let source = Source::of(addr);
        let mut part = self.parts[source.part()].lock();
        let count = part.entry(source).or_insert(0);
        if *count >= limit {
            return Err(TooMany);
        }
        *count += 1;
        Ok(Some(Counted {
            sources: Arc::clone(self),
            source,
        }))
    }
}

/// A connection that is counted; dropping it counts it no more.
pub struct Counted {
    sources: Arc<Sources>,
    source: Source,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut part = self.sources.parts[self.source.part()].lock();
        if let Some(count) = part.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                part.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(limit: u32) -> Arc<Sources> {
        let sources = Arc::new(Sources::default());
        sources.set(Some(limit));
        sources
    }

    fn enter(sources: &Arc<Sources>, addr: &str) -> Result<Option<Counted>, TooMany> {
        sources.enter(addr.parse().unwrap())
    }

    fn known(sources: &Sources) -> usize {
        sources.parts.iter().map(|part| part.lock().len()).sum()
    }

    #[test]
    fn each_source_has_its_own_count() {
        let sources = limited(2);
        let first = enter(&sources, "192.0.2.1");
        let _second = enter(&sources, "192.0.2.1");
        assert_eq!(enter(&sources, "192.0.2.1").err(), Some(TooMany));
        assert!(enter(&sources, "192.0.2.2").is_ok());
        drop(first);
        assert!(enter(&sources, "192.0.2.1").is_ok());
    }

    #[test]
    fn one_subscriber_of_ipv6_is_one_source() {
        let sources = limited(1);
        let _first = enter(&sources, "2001:db8:1:2::1");
        assert!(enter(&sources, "2001:db8:1:2:ffff::2").is_err());
        assert!(enter(&sources, "2001:db8:1:3::1").is_ok());
    }

    #[test]
    fn an_ipv4_address_is_the_same_source_however_it_is_written() {
        let sources = limited(1);
        let _first = enter(&sources, "192.0.2.1");
        assert!(enter(&sources, "::ffff:192.0.2.1").is_err());
    }

    #[test]
    fn nothing_is_remembered_of_sources_without_a_connection() {
        let sources = limited(1);
        let counted: Vec<_> = (0..=255)
            .map(|last| enter(&sources, &format!("192.0.2.{last}")))
            .collect();
        assert_eq!(known(&sources), 256);
        drop(counted);
        assert_eq!(known(&sources), 0);
        sources.set(None);
        let _uncounted = enter(&sources, "192.0.2.1");
        assert_eq!(known(&sources), 0);
    }
}
