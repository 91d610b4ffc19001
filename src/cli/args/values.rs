//! Parsers of single values: what a flag accepts, and what it says when it does not.

use std::time::Duration;

/// A duration with its unit, like `500ms`, `10s` or `1m 30s`; zero is allowed.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write it like 500ms, 10s or 2m"))
}

/// A session timeout: one second to one hour. ZooKeeper servers clamp it further (by default to 4 s ..
/// 40 s); below one second the pings alone would be a load, above an hour stale entries would outlive
/// every use.
pub(super) fn session_timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&timeout) {
        Ok(timeout)
    } else {
        Err("a session timeout is 1s to 1h".into())
    }
}

/// A limit of time that must leave time to do anything at all.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be more than zero".into()),
        limit if limit > MAX_DEADLINE => Err("at most one day".into()),
        limit => Ok(limit),
    }
}

/// A znode's path, as far as it can be told without a server: absolute, and no empty, `.` or `..` segment.
pub(super) fn path(text: &str) -> Result<String, String> {
    let Some(segments) = text.strip_prefix('/') else {
        return Err("a path starts with '/'".into());
    };
    if text == "/" {
        return Ok(text.into());
    }
    for segment in segments.split('/') {
        match segment {
            "" => return Err("a path has no empty segment and no '/' at its end".into()),
            "." | ".." => return Err("a path has no '.' or '..' segment".into()),
            _ => {}
        }
    }
    Ok(text.into())
}

/// The path of a new znode: like [`path`], but a sequential one may end with '/', because the server
/// appends its number.
pub(super) fn new_path(text: &str) -> Result<String, String> {
    let prefix = text.strip_suffix('/').unwrap_or(text);
    if !prefix.is_empty() {
        path(prefix)?;
    }
    if text.is_empty() {
        return Err("a path starts with '/'".into());
    }
    Ok(text.into())
}

/// The name of an instance or service: one segment of a path, as the registry accepts it.
pub(super) fn segment(text: &str) -> Result<String, String> {
    match text {
        "" | "." | ".." => Err("a name is not empty, '.' or '..'".into()),
        _ if text.contains('/') => Err("a name has no '/'".into()),
        _ if text.len() > 255 => Err("a name has at most 255 bytes".into()),
        _ if text.chars().any(char::is_control) => Err("a name has no control characters".into()),
        _ => Ok(text.into()),
    }
}

/// Longer waits are not waits of a command line.
const MAX_DEADLINE: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_accepts_only_what_a_server_could_hold() {
        for good in ["/", "/a", "/a/b c", "/services/[::1]:80"] {
            assert_eq!(path(good).as_deref(), Ok(good));
        }
        for bad in ["", "a", "/a/", "//", "/a//b", "/a/./b", "/.."] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn new_path_may_end_with_a_slash() {
        for good in ["/a", "/a/", "/"] {
            assert_eq!(new_path(good).as_deref(), Ok(good));
        }
        for bad in ["", "a", "/a//"] {
            assert!(new_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn segment_is_one_name() {
        assert_eq!(segment("10.0.0.5:80").as_deref(), Ok("10.0.0.5:80"));
        for bad in ["", ".", "..", "a/b", "a\n", &"x".repeat(256)] {
            assert!(segment(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn durations_need_units_and_sense() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert!(duration("10").is_err());
        assert!(deadline("0s").is_err());
        assert!(deadline("2d").is_err());
        assert!(session_timeout("999ms").is_err());
        assert!(session_timeout("61m").is_err());
        assert_eq!(session_timeout("4s"), Ok(Duration::from_secs(4)));
    }
}
