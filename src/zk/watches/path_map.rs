//! A map by path, which can also be asked for everything along a path, from the root down.
//!
//! Looking up each ancestor of a path as a string of its own would hash it anew each time: quadratic in the
//! length of a path, which clients choose. So the hash of a path is put together from those of its
//! segments, and the hashes of all its ancestors fall off on the way.
//!
//! ```text
//! /a/b   hash() = the root's     hash("/a") = that of /a     hash("/a" "/b") = that of /a/b
//! ```

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

/// Values by path. Any string can be a path; those that are none have no ancestors but the root.
pub(super) struct PathMap<V> {
    places: HashTable<(Arc<str>, V)>,
    // Seeded at random, against clients that craft collisions.
    hasher: RandomState,
}

impl<V> Default for PathMap<V> {
    fn default() -> PathMap<V> {
        PathMap {
            places: HashTable::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<V> PathMap<V> {
    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What is at a path.
    pub(super) fn at(&mut self, path: &str) -> Option<&mut V> {
        let hash = hash(&self.hasher, path);
        let found = self.places.find_mut(hash, |(at, _)| **at == *path);
        found.map(|(_, value)| value)
    }

    /// What is at a path; `new` if nothing was.
    pub(super) fn at_or_insert(&mut self, path: &Arc<str>, new: impl FnOnce() -> V) -> &mut V {
        let hasher = &self.hasher;
        let entry = self.places.entry(
            hash(hasher, path),
            |(at, _)| *at == *path,
            |(at, _)| hash(hasher, at),
        );
        let place = match entry {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => vacant.insert((path.clone(), new())).into_mut(),
        };
        &mut place.1
    }

    /// Takes out what is at a path.
    pub(super) fn remove(&mut self, path: &str) -> Option<V> {
        let hash = hash(&self.hasher, path);
        let found = self.places.find_entry(hash, |(at, _)| **at == *path);
        found.ok().map(|place| place.remove().0.1)
    }

    /// What is at the root, at each ancestor of a path, and at the path itself.
    pub(super) fn along<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a V> {
        let found = move |(above, hash)| self.find(hash, above);
        lineage(&self.hasher, path).filter_map(found)
    }

    /// Everything, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.places.iter().map(|(path, value)| (path, value))
    }

    fn find(&self, hash: u64, path: &str) -> Option<&V> {
        let found = self.places.find(hash, |(at, _)| **at == *path);
        found.map(|(_, value)| value)
    }
}

/// The root, the ancestors of a path in order, and the path itself, each with its hash.
fn lineage<'a>(
    hasher: &RandomState,
    path: &'a str,
) -> impl Iterator<Item = (&'a str, u64)> + use<'a> {
    let mut so_far = hasher.build_hasher();
    let root = ("/", so_far.finish());
    let mut start = 0;
    let below = std::iter::from_fn(move || {
        let rest = path.get(start..).filter(|rest| !rest.is_empty())?;
        // The slash in front belongs to the segment.
        let length = rest.bytes().skip(1).position(|byte| byte == b'/');
        let end = length.map_or(path.len(), |length| start + 1 + length);
        so_far.write(&path.as_bytes()[start..end]);
        start = end;
        Some((&path[..end], so_far.finish()))
    });
    let is_root = path == "/";
    std::iter::once(root).chain(below.filter(move |_| !is_root))
}

/// The hash of a path: the last of its lineage.
fn hash(hasher: &RandomState, path: &str) -> u64 {
    lineage(hasher, path).last().map_or(0, |(_, hash)| hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(paths: &[&str]) -> PathMap<String> {
        let mut map = PathMap::default();
        for path in paths {
            map.at_or_insert(&Arc::from(*path), || path.to_string());
        }
        map
    }

    #[test]
    fn what_was_put_in_comes_out() {
        // Among them what is no path: clients may name anything.
        let paths = [
            "/",
            "/a",
            "/a/b",
            "/a/",
            "//",
            "",
            "a",
            "a/b",
            "/\u{4e2d}/x",
        ];
        let mut map = map(&paths);
        for path in paths {
            assert_eq!(map.at(path).map(|at| &**at), Some(path));
            map.at_or_insert(&path.into(), || unreachable!("it is there"));
        }
        assert_eq!(map.iter().count(), paths.len());
        for path in paths {
            assert_eq!(map.remove(path).as_deref(), Some(path));
            assert_eq!(map.at(path), None);
        }
        assert!(map.is_empty());
    }

    #[test]
    fn along_a_path_are_its_ancestors_and_nobody_else() {
        let map = map(&["/", "/a", "/a/b/c", "/a/bc", "/ab", "/b", "/a/b/c/d"]);
        for (path, expected) in [
            ("/", &["/"][..]),
            ("/a", &["/", "/a"]),
            ("/a/b", &["/", "/a"]),
            ("/a/b/c", &["/", "/a", "/a/b/c"]),
            ("/abc", &["/"]),
            ("/a/b/c/d/e", &["/", "/a", "/a/b/c", "/a/b/c/d"]),
        ] {
            let found: Vec<&String> = map.along(path).collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn a_path_of_a_megabyte_is_walked_in_one_pass() {
        let deep = "/a".repeat(1 << 19);
        let map = map(&[&deep, "/a/a"]);
        // As strings of their own, the ancestors are 2^39 bytes to hash: minutes.
        assert_eq!(map.along(&deep).count(), 2);
    }
}
