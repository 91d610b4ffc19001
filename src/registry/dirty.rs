//! Which services the table has yet to catch up with, and since when.

use super::reading::Scope;
use crate::config::ServiceName;
use std::collections::BTreeSet;
use tokio::time::Instant;

/// Most services that are told apart; beyond them everything counts as dirty. Reading them one by one costs about
/// as much as reading all by then.
const MAX_NAMES: usize = 1024;

/// Services that changed since they were last read.
#[derive(Debug)]
pub(super) struct Dirty {
    scope: Scope,
    /// When the first of the changes was applied; `None` if no transaction caused any.
    since: Option<Instant>,
}

impl Dirty {
    fn nothing() -> Dirty {
        Dirty {
            scope: Scope::Services(BTreeSet::new()),
            since: None,
        }
    }

    /// Everything, as at start.
    pub(super) fn all() -> Dirty {
        Dirty {
            scope: Scope::All,
            since: None,
        }
    }

    /// Everything is dirty, by another file.
    pub(super) fn mark_all(&mut self) {
        self.scope = Scope::All;
    }

    /// Everything is dirty, by a transaction applied now.
    pub(super) fn mark_all_committed(&mut self) {
        self.scope = Scope::All;
        self.since.get_or_insert_with(Instant::now);
    }

    /// One service is dirty, by a transaction applied now. False if its name is none that a service can have.
    pub(super) fn mark(&mut self, service: &str) -> bool {
        if let Scope::Services(names) = &mut self.scope
            && !names.contains(service)
        {
            let Ok(name) = ServiceName::new(service) else {
                return false;
            };
            names.insert(name);
            self.bound();
        }
        self.since.get_or_insert_with(Instant::now);
        true
    }

    /// One service is dirty, but not by a transaction: what is known of its endpoints has changed.
    pub(super) fn mark_changed(&mut self, service: &ServiceName) {
        if let Scope::Services(names) = &mut self.scope {
            names.insert(service.clone());
            self.bound();
        }
    }

    fn bound(&mut self) {
        if matches!(&self.scope, Scope::Services(names) if names.len() > MAX_NAMES) {
            self.scope = Scope::All;
        }
    }

    /// Adds what another has, which is older.
    pub(super) fn merge(&mut self, older: Dirty) {
        self.since = older.since.or(self.since);
        match (&mut self.scope, older.scope) {
            (Scope::Services(names), Scope::Services(more)) => names.extend(more),
            (scope, _) => *scope = Scope::All,
        }
    }

    /// Takes all of it, leaving nothing; `None` if nothing is dirty.
    pub(super) fn take(&mut self) -> Option<Dirty> {
        match &self.scope {
            Scope::Services(names) if names.is_empty() => None,
            _ => Some(std::mem::replace(self, Dirty::nothing())),
        }
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dirty: &Dirty) -> Vec<&str> {
        match dirty.scope() {
            Scope::All => vec!["all"],
            Scope::Services(names) => names.iter().map(ServiceName::as_str).collect(),
        }
    }

    #[test]
    fn names_gather_until_they_are_taken() {
        let mut dirty = Dirty::nothing();
        assert!(dirty.take().is_none());
        assert!(dirty.mark("b") && dirty.mark("a") && dirty.mark("b"));
        let taken = dirty.take().unwrap();
        assert_eq!(names(&taken), ["a", "b"]);
        assert!(taken.since().is_some());
        assert!(dirty.take().is_none());
    }

    #[test]
    fn what_no_transaction_caused_is_not_timed() {
        let mut dirty = Dirty::nothing();
        dirty.mark_changed(&ServiceName::new("a").unwrap());
        let taken = dirty.take().unwrap();
        assert_eq!(names(&taken), ["a"]);
        assert_eq!(taken.since(), None);
    }

    #[test]
    fn names_that_no_service_can_have_are_ignored() {
        let mut dirty = Dirty::nothing();
        assert!(!dirty.mark(&"x".repeat(256)));
        assert!(dirty.take().is_none());
    }

    #[test]
    fn many_names_become_everything() {
        let mut dirty = Dirty::nothing();
        for number in 0..=MAX_NAMES {
            dirty.mark(&number.to_string());
        }
        assert_eq!(*dirty.scope(), Scope::All);
        assert!(dirty.mark("more"));
    }

    #[test]
    fn the_first_change_counts_even_if_serving_it_failed() {
        let mut dirty = Dirty::nothing();
        dirty.mark("a");
        let first = dirty.since();
        dirty.mark("b");
        assert_eq!(dirty.since(), first);
        let failed = dirty.take().unwrap();
        dirty.mark("c");
        assert!(dirty.since() >= first);
        dirty.merge(failed);
        assert_eq!(dirty.since(), first);
        assert_eq!(names(&dirty), ["a", "b", "c"]);
    }
}
