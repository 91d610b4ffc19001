//! `zoogate zk watch`: what changed, line by line.
//!
//! An event is only the reason to look again: what is printed is the difference between what was seen
//! before and what is there now. So nothing that lasts is missed when changes come faster than watches can
//! be armed, or while the connection is lost.

use super::Deadline;
use crate::cli::CliError;
use crate::cli::args::WatchArgs;
use crate::cli::output::Output;
use crate::cli::signals::Signals;
use crate::client::{Client, ClientError, Events, Watch};
use crate::tree::{ErrorCode, Stat};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A znode at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    stat: Stat,
    children: BTreeSet<Arc<str>>,
}

/// Prints a line for each change until interrupted, or until `--count` lines are printed.
///
/// # Errors
/// [`CliError`]; a lost connection is none as long as the session lives.
pub(super) async fn run(
    client: &Client,
    events: &mut Events,
    args: &WatchArgs,
    deadline: Deadline,
    output: Output,
) -> Result<(), CliError> {
    let mut signals = Signals::new()?;
    let path = args.path.as_str();
    let mut seen = deadline.bound("reading", look(client, path)).await?;
    output.message(match &seen {
        Some(now) => format!("watching {path}, {}", facts(&now.stat)),
        None => format!("watching {path}, which does not exist"),
    });
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        tokio::select! {
            _ = signals.stop() => return Ok(()),
            event = events.recv() => {
                event.ok_or(ClientError::Expired)?;
            }
        }
        let now = tokio::select! {
            _ = signals.stop() => return Ok(()),
            now = look(client, path) => match now {
                // Followed by an event as soon as the session has another server.
                Err(ClientError::ConnectionLoss) => continue,
                now => now?,
            },
        };
        let lines = changes(path, seen.as_ref(), now.as_ref());
        let printed = lines.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        output.lines(&lines[..printed])?;
        left -= printed as u64;
        seen = now;
    }
    Ok(())
}

/// Reads the znode and leaves watches for whatever may happen to it next.
async fn look(client: &Client, path: &str) -> Result<Option<Seen>, ClientError> {
    if client.exists(path, Watch::Once).await?.is_none() {
        return Ok(None);
    }
    match client.children(path, Watch::Once).await {
        Ok((names, stat)) => Ok(Some(Seen {
            stat,
            children: names.into_iter().collect(),
        })),
        // Deleted in between: the first watch has seen it.
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One line for each way in which `now` differs from `before`.
fn changes(path: &str, before: Option<&Seen>, now: Option<&Seen>) -> Vec<String> {
    let mut lines = Vec::new();
    let same = match (before, now) {
        (Some(before), Some(now)) => before.stat.czxid == now.stat.czxid,
        _ => false,
    };
    if before.is_some() && !same {
        lines.push(format!("deleted {path}"));
    }
    let Some(now) = now else {
        return lines;
    };
    let none = Seen::default();
    let before = before.filter(|_| same).unwrap_or(&none);
    if !same {
        lines.push(format!("created {path} {}", facts(&now.stat)));
    } else if before.stat.mzxid != now.stat.mzxid {
        lines.push(format!("changed {path} {}", facts(&now.stat)));
    }
    let touched = same && before.stat.pzxid != now.stat.pzxid;
    if before.children != now.children || touched {
        lines.push(format!("children {path} {}", difference(before, now)));
    }
    lines
}

fn facts(stat: &Stat) -> String {
    format!("version={} bytes={}", stat.version, stat.data_length)
}

fn difference(before: &Seen, now: &Seen) -> String {
    let mut text = format!("count={}", now.children.len());
    for name in now.children.difference(&before.children) {
        text.push_str(" +");
        text.push_str(name);
    }
    for name in before.children.difference(&now.children) {
        text.push_str(" -");
        text.push_str(name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Zxid;

    fn seen(created: u64, version: i32, children: &[&str]) -> Option<Seen> {
        Some(Seen {
            stat: Stat {
                czxid: Zxid(created),
                mzxid: Zxid(created + version as u64),
                version,
                data_length: 5,
                ..Stat::default()
            },
            children: children.iter().map(|name| Arc::from(*name)).collect(),
        })
    }

    #[test]
    fn each_difference_is_one_line() {
        let check = |before: Option<Seen>, now: Option<Seen>, expected: &[&str]| {
            assert_eq!(changes("/a", before.as_ref(), now.as_ref()), expected);
        };
        check(None, None, &[]);
        check(seen(1, 0, &["x"]), seen(1, 0, &["x"]), &[]);
        check(None, seen(1, 0, &[]), &["created /a version=0 bytes=5"]);
        check(seen(1, 0, &["x"]), None, &["deleted /a"]);
        check(
            seen(1, 0, &[]),
            seen(1, 2, &[]),
            &["changed /a version=2 bytes=5"],
        );
        check(
            seen(1, 0, &["x", "y"]),
            seen(1, 0, &["y", "z"]),
            &["children /a count=2 +z -x"],
        );
        let mut replaced = seen(1, 0, &["x"]);
        if let Some(replaced) = &mut replaced {
            replaced.stat.pzxid = Zxid(7);
        }
        check(seen(1, 0, &["x"]), replaced, &["children /a count=1"]);
        check(
            seen(1, 1, &["x"]),
            seen(9, 0, &["y"]),
            &[
                "deleted /a",
                "created /a version=0 bytes=5",
                "children /a count=1 +y",
            ],
        );
    }
}
