//! Rules: which requests a service gets.

use super::Service;
use std::sync::Arc;

/// A match and where it leads.
pub struct Rule {
    /// Lower-case host without port; `*.example` matches any subdomain; absent matches all.
    pub host: Option<String>,
    /// Path prefix; absent matches all.
    pub path: Option<String>,
    /// The service.
    pub service: Arc<Service>,
}

impl Rule {
    /// Whether a request to `host` (lower case, without port) and `path` is meant.
    ///
    /// A path matches as nginx's prefix `location` does: by its characters, so `/api` matches `/apis` too and
    /// `/api/` only what lies below it.
    pub fn matches(&self, host: Option<&str>, path: &str) -> bool {
        let host_fits = match &self.host {
            None => true,
            Some(pattern) => host.is_some_and(|host| host_matches(pattern, host)),
        };
        host_fits
            && self
                .path
                .as_deref()
                .is_none_or(|prefix| path.starts_with(prefix))
    }
}

/// A pattern `*.example` stands for every name that ends in `.example`, at any depth, but not for `example`
/// itself. A host may be written with the root's dot at its end.
fn host_matches(pattern: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    match pattern.strip_prefix('*') {
        None => pattern == host,
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
    }
}

#[cfg(test)]
mod tests {
    use super::host_matches;

    #[test]
    fn hosts_match_exactly_or_by_suffix() {
        for (pattern, host, expected) in [
            ("shop.example", "shop.example", true),
            ("shop.example", "shop.example.", true),
            ("shop.example", "www.shop.example", false),
            ("shop.example", "shop.exampl", false),
            ("*.example", "shop.example", true),
            ("*.example", "a.b.example", true),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("*.example", "badexample", false),
            ("shop.example", "", false),
        ] {
            assert_eq!(host_matches(pattern, host), expected, "{pattern} {host}");
        }
    }
}
