//! Rules: which connections and requests a service gets.

use super::Service;
use std::sync::Arc;

/// What a connection or request asks for, as far as its protocol lets it say so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// The host name in its ClientHello, lower case.
    pub sni: Option<&'a str>,
    /// The request's host, lower case, without port.
    pub host: Option<&'a str>,
    /// The request's path.
    pub path: &'a str,
}

/// A match and where it leads.
pub struct Rule {
    /// Lower-case name in the ClientHello; `*.example` matches any subdomain; absent matches all.
    pub sni: Option<String>,
    /// Lower-case host without port; `*.example` matches any subdomain; absent matches all.
    pub host: Option<String>,
    /// Path prefix; absent matches all.
    pub path: Option<String>,
    /// The service.
    pub service: Arc<Service>,
}

impl Rule {
    /// Whether what is `asked` for is meant.
    ///
    /// A path matches as nginx's prefix `location` does: by its characters, so `/api` matches `/apis` too and
    /// `/api/` only what lies below it.
    pub fn matches(&self, asked: &Asked<'_>) -> bool {
        let fits = |pattern: &Option<String>, host: Option<&str>| match pattern {
            None => true,
            Some(pattern) => host.is_some_and(|host| host_matches(pattern, host)),
        };
        let path = self.path.as_deref();
        fits(&self.sni, asked.sni)
            && fits(&self.host, asked.host)
            && path.is_none_or(|prefix| asked.path.starts_with(prefix))
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
