//! Comparing both trees.

use super::Migration;
use super::copy::{children, walk};
use super::progress::count;
use crate::cli::CliError;
use std::cell::Cell;

/// Most differences that are listed; the number of all is told.
const LISTED: u64 = 1000;

impl Migration {
    /// Compares everything below the root, lists what is different, and tells how much. Ephemerals do not count.
    pub(super) async fn compare(&self) -> Result<u64, CliError> {
        let found = Cell::new(0);
        walk(&self.root, self.at_once, |path| {
            self.compare_one(path, &found)
        })
        .await?;
        if found.get() > LISTED {
            let more = found.get() - LISTED;
            self.output
                .message(format_args!("and {more} more differences"));
        }
        Ok(found.get())
    }

    /// Compares one znode, and tells the children of both.
    async fn compare_one(&self, path: String, found: &Cell<u64>) -> Result<Vec<String>, CliError> {
        let target = self.rules.target(&path);
        let (here, there) = tokio::try_join!(self.from.znode(&path), self.to.znode(&target))?;
        let here = here.filter(|znode| !znode.is_ephemeral());
        let there = there.filter(|znode| !znode.is_ephemeral());
        if here.is_none() && there.is_none() {
            return Ok(Vec::new());
        }
        let bytes = here.as_ref().and_then(|znode| znode.data.as_ref());
        self.progress.see(bytes.map_or(0, bytes::Bytes::len));
        let difference = match (&here, &there) {
            (Some(_), None) => Some("missing"),
            (None, Some(_)) => Some("extra"),
            (Some(here), Some(there)) => here.difference(there),
            (None, None) => None,
        };
        let mut below: Vec<String> = [&here, &there]
            .into_iter()
            .flatten()
            .flat_map(|znode| children(&path, znode))
            .collect();
        match difference {
            None => count(&self.progress.equal),
            Some(difference) => {
                count(found);
                if found.get() <= LISTED {
                    self.output
                        .lines([format!("differs {path} {difference}")])?;
                }
            }
        }
        if matches!(difference, Some("missing" | "extra")) {
            // One line for the whole of what is on one side only.
            below.clear();
        }
        below.sort_unstable();
        below.dedup();
        Ok(below)
    }
}
