//! Faults that tests put under the log and the snapshots: the next operation of one kind on one file fails.
//!
//! Compiled for tests only. A rule holds for one directory, so that tests may run beside each other.

use parking_lot::Mutex;
use rustix::io::Errno;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

static RULES: Mutex<Vec<Rule>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

struct Rule {
    number: u64,
    dir: PathBuf,
    action: &'static str,
    part: &'static str,
    error: Errno,
}

/// A fault that lasts until this is dropped.
pub(in crate::ensemble) struct Injected(u64);

/// From now on `action` fails with `error` on every file or directory in and below `dir` whose name contains `part`.
pub(in crate::ensemble) fn inject(
    dir: &Path,
    action: &'static str,
    part: &'static str,
    error: Errno,
) -> Injected {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    RULES.lock().push(Rule {
        number,
        dir: dir.to_owned(),
        action,
        part,
        error,
    });
    Injected(number)
}

impl Drop for Injected {
    fn drop(&mut self) {
        RULES.lock().retain(|rule| rule.number != self.0);
    }
}

/// Fails as a rule says, if one does.
pub(super) fn check(action: &str, path: &Path) -> io::Result<()> {
    let rules = RULES.lock();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let rule = rules.iter().find(|rule| {
        rule.action == action && path.starts_with(&rule.dir) && name.contains(rule.part)
    });
    rule.map_or(Ok(()), |rule| Err(rule.error.into()))
}
