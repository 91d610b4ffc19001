//! Quotas of the model: texts, read each time they are needed.

use super::Model;
use crate::tree::ErrorCode;

impl Model {
    /// Counts what a quota governs, if these are its stats.
    pub(super) fn fill_stats(&mut self, path: &str) {
        if let Some(subject) = quota_subject(path, "zookeeper_stats") {
            let (mut count, mut bytes) = (0, 0);
            let all = self.znodes.iter();
            for (_, znode) in all.filter(|(path, _)| is_within(path, subject)) {
                count += 1;
                bytes += length(&znode.data);
            }
            self.write_stats(path, count, bytes);
        }
    }

    /// The quota with the longest path that governs `path`.
    fn quota_over(&self, path: &str) -> Option<String> {
        let subjects = self
            .znodes
            .keys()
            .filter_map(|limits| quota_subject(limits, "zookeeper_limits"));
        let governing = subjects.filter(|subject| !subject.is_empty() && is_within(path, subject));
        let longest = governing.max_by_key(|subject| subject.len())?;
        Some(format!("/zookeeper/quota{longest}"))
    }

    pub(super) fn afford(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        let Some(quota) = self.quota_over(path) else {
            return Ok(());
        };
        let limits = &self.znodes[&format!("{quota}/zookeeper_limits")];
        let Some(stats) = self.znodes.get(&format!("{quota}/zookeeper_stats")) else {
            return Ok(());
        };
        for (change, name, limit) in [
            (count, "count", "countHardLimit"),
            (bytes, "bytes", "byteHardLimit"),
        ] {
            let hard = number(&limits.data, limit);
            if change != 0 && hard >= 0 && number(&stats.data, name) + change > hard {
                return Err(ErrorCode::QuotaExceeded);
            }
        }
        Ok(())
    }

    pub(super) fn charge(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(quota) = self.quota_over(path) else {
            return;
        };
        let path = format!("{quota}/zookeeper_stats");
        if let Some(stats) = self.znodes.get(&path) {
            let count = count + number(&stats.data, "count");
            let bytes = bytes + number(&stats.data, "bytes");
            self.write_stats(&path, count, bytes);
        }
    }

    fn write_stats(&mut self, path: &str, count: i64, bytes: i64) {
        let stats = self.znodes.get_mut(path).expect("exists");
        let text = format!("count={count},bytes={bytes}");
        stats.stat.data_length = text.len() as i32;
        stats.data = Some(text.into());
    }
}

pub(super) fn length(data: &Option<Vec<u8>>) -> i64 {
    data.as_ref().map_or(0, Vec::len) as i64
}

/// Whose quota a znode below `/zookeeper/quota` belongs to, if it has that name.
fn quota_subject<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let (dir, last) = path.strip_prefix("/zookeeper/quota")?.rsplit_once('/')?;
    (last == name).then_some(dir)
}

fn is_within(path: &str, subject: &str) -> bool {
    subject.is_empty() || path == subject || path.starts_with(&format!("{subject}/"))
}

/// The number after `name=`, or -1.
fn number(data: &Option<Vec<u8>>, name: &str) -> i64 {
    let text = String::from_utf8(data.clone().unwrap_or_default()).unwrap_or_default();
    let pairs = text
        .split([',', ';'])
        .map(|pair| pair.split('=').collect::<Vec<_>>());
    let mut named = pairs.filter(|pair| pair[0] == name && pair.len() > 1);
    named
        .next_back()
        .and_then(|pair| pair[1].parse().ok())
        .unwrap_or(-1)
}
