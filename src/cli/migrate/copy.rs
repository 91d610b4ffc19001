//! One pass over the source: every znode looked at, and made at the destination.

use super::progress::count;
use super::rules::{child, is_own};
use super::side::Znode;
use super::{MigrateError, Migration};
use crate::cli::CliError;
use crate::cli::args::ConflictMode;
use crate::tree::ErrorCode;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::future::Future;

impl Migration {
    /// Copies everything below the root, parents before their children.
    pub(super) async fn copy_all(&self, mode: ConflictMode) -> Result<(), CliError> {
        let visit = async |path: String| {
            let children = self.copy(&path, mode).await?;
            match children {
                None if path == self.root => Err(MigrateError::NoRoot(path).into()),
                children => Ok(children.unwrap_or_default()),
            }
        };
        walk(&self.root, self.at_once, visit).await
    }

    /// Copies one znode, and tells its children; `None` if there is nothing to copy, or not any more.
    pub(super) async fn copy(
        &self,
        path: &str,
        mode: ConflictMode,
    ) -> Result<Option<Vec<String>>, CliError> {
        let Some(znode) = self.from.znode(path).await? else {
            return Ok(None);
        };
        self.progress
            .see(znode.data.as_ref().map_or(0, bytes::Bytes::len));
        if znode.is_ephemeral() {
            count(&self.progress.ephemerals);
            self.tell("ephemeral", path)?;
            return Ok(None);
        }
        if znode.has_hidden_acl() {
            return Err(MigrateError::HiddenAcl(path.to_owned()).into());
        }
        self.put(path, &znode, mode).await?;
        self.note_copied(path);
        Ok(Some(children(path, &znode)))
    }

    /// Makes a znode at the destination, or looks at the one there.
    async fn put(&self, path: &str, znode: &Znode, mode: ConflictMode) -> Result<(), CliError> {
        let target = self.rules.target(path);
        let lifetime = self.rules.lifetime(path, znode.stat.ephemeral_owner);
        // Created first: where nothing is yet, which is the usual case, one request does.
        let mut refused = None;
        if !self.is_dry && target != "/" {
            match self.to.create(&target, znode, lifetime).await {
                Ok(true) => {
                    count(&self.progress.created);
                    return self.tell("created", path);
                }
                Ok(false) => {}
                // Below a protected parent, whether it exists or not.
                Err(error) if is_not_permitted(&error) => refused = Some(error),
                Err(error) => return Err(error),
            }
        }
        let there = match (self.to.znode(&target).await?, refused) {
            (Some(there), _) => there,
            (None, Some(refused)) => return Err(refused),
            (None, None) if self.is_dry => {
                count(&self.progress.created);
                return self.tell("create", path);
            }
            // Deleted at the destination just now. The next pass, or run, finds it missing.
            (None, None) => return Err(MigrateError::Gone(target).into()),
        };
        let Some(difference) = znode.difference(&there) else {
            count(&self.progress.equal);
            return self.tell("equal", path);
        };
        // A root that nobody touched is part of an empty tree.
        let is_fresh = target == "/" && there.stat.version == 0 && there.stat.aversion == 0;
        let overwrites = mode == ConflictMode::Overwrite || is_fresh;
        if overwrites && !there.is_ephemeral() {
            if !self.is_dry {
                self.to.make_like(&target, znode, difference).await?;
            }
            count(&self.progress.overwritten);
            return self.tell("overwritten", path);
        }
        count(&self.progress.conflicts);
        let what = if there.is_ephemeral() {
            "ephemeral"
        } else {
            difference
        };
        self.output.lines([format!("conflict {path} {what}")])?;
        match mode {
            ConflictMode::Fail => Err(MigrateError::Conflict(path.to_owned()).into()),
            ConflictMode::Keep | ConflictMode::Overwrite => Ok(()),
        }
    }

    /// A line for those who want to know everything.
    fn tell(&self, what: &str, path: &str) -> Result<(), CliError> {
        match self.is_verbose {
            true => self.output.lines([format!("{what} {path}")]),
            false => Ok(()),
        }
    }
}

/// Whether an ACL is in the way.
pub(super) fn is_not_permitted(error: &CliError) -> bool {
    matches!(error, CliError::Client(error) if error.code() == Some(ErrorCode::NoAuth))
}

/// The paths of a znode's children, but for those that are left alone.
pub(super) fn children(path: &str, znode: &Znode) -> Vec<String> {
    let children = znode.children.iter().map(|name| child(path, name));
    children.filter(|path| !is_own(path)).collect()
}

/// Visits `root` and then what each visit tells, `at_once` at a time; a path only after the one that told it.
pub(super) async fn walk<F: Future<Output = Result<Vec<String>, CliError>>>(
    root: &str,
    at_once: usize,
    visit: impl Fn(String) -> F,
) -> Result<(), CliError> {
    // Last in, first out: what waits is the siblings of a few paths, not a whole level.
    let mut waiting = vec![root.to_owned()];
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < at_once
            && let Some(path) = waiting.pop()
        {
            running.push(visit(path));
        }
        match running.next().await {
            Some(told) => waiting.extend(told?),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[tokio::test]
    async fn parents_are_visited_before_their_children_and_few_at_once() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let seen = RefCell::new(Vec::new());
        let visit = |path: String| {
            let (running, most, seen) = (&running, &most, &seen);
            async move {
                running.set(running.get() + 1);
                most.set(most.get().max(running.get()));
                tokio::task::yield_now().await;
                running.set(running.get() - 1);
                seen.borrow_mut().push(path.clone());
                Ok(match path.len() < 6 {
                    true => (0..3).map(|n| format!("{path}/{n}")).collect(),
                    false => Vec::new(),
                })
            }
        };
        walk("", 4, visit).await.unwrap();
        let seen = seen.into_inner();
        assert_eq!(seen.len(), 1 + 3 + 9 + 27);
        assert_eq!(most.get(), 4);
        for (at, path) in seen.iter().enumerate() {
            if let Some((parent, _)) = path.rsplit_once('/') {
                assert!(seen[..at].iter().any(|before| before == parent), "{path}");
            }
        }
    }
}
