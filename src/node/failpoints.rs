//! Failures on purpose, for the tests of what a node does then; only with the feature `failpoints`.
//!
//! The file that `ZOOGATE_FAILPOINTS` names is read again and again; each line of it sets one place, by the syntax of the
//! crate `fail`: `log-before-sync=panic`, `apply=sleep(60000)`, `append=return` (the process aborts there),
//! `apply=100*off->panic` (at the 101st time), `apply=off`. The places are wherever `failpoint!` stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// The variable that names the file.
const VARIABLE: &str = "ZOOGATE_FAILPOINTS";
/// How soon a change of the file is noticed.
const POLL: Duration = Duration::from_millis(20);

/// Begins to follow the file, if one is named.
pub(super) fn follow() {
    let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        return;
    };
    let mut set = BTreeMap::new();
    // Once before anything has begun, so that a start can fail too.
    apply(&path, &mut set);
    let follow = move || {
        loop {
            thread::sleep(POLL);
            apply(&path, &mut set);
        }
    };
    let thread = thread::Builder::new().name("failpoints".into());
    if let Err(error) = thread.spawn(follow) {
        tracing::error!(%error, "cannot fail on purpose");
    }
}

/// Sets what the file says and was not `set` so before.
fn apply(path: &Path, set: &mut BTreeMap<String, String>) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    for (place, actions) in text.lines().filter_map(|line| line.split_once('=')) {
        if set.insert(place.into(), actions.into()).as_deref() == Some(actions) {
            continue;
        }
        match fail::cfg(place, actions) {
            Ok(()) => tracing::warn!(place, actions, "failing on purpose"),
            Err(error) => tracing::error!(place, actions, %error, "not a failure"),
        }
    }
}
