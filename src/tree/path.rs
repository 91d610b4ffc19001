//! What a path is: the rules a new one must obey, and how it splits into parent and last segment.
//!
//! The rules are applied to writes only. A read of a malformed path finds nothing, because the tree holds
//! no such znode. There is no limit on length or depth beyond that of a request: the tree stores single
//! segments, walks them in loops, and never recurses.
//!
//! Source: `PathUtils.validatePath` and `DataTree.isSpecialPath` of ZooKeeper.

use super::ErrorCode;

/// The znode that tells clients who the members are.
pub const CONFIG: &str = "/zookeeper/config";

/// The znodes that exist from the start and cannot be deleted.
pub(super) const PROTECTED: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", CONFIG];

/// Checks the rules for a full path.
///
/// # Errors
/// [`ErrorCode::BadArguments`] unless it starts with a slash, has no empty, `.` or `..` segment, does not
/// end in a slash (but for the root), and has no forbidden character.
pub(super) fn validate(path: &str) -> Result<(), ErrorCode> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(ErrorCode::BadArguments);
    };
    let sound = rest.is_empty() || rest.split('/').all(is_segment);
    if sound {
        Ok(())
    } else {
        Err(ErrorCode::BadArguments)
    }
}

/// Whether `segment` may stand between two slashes.
pub(super) fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && !segment.chars().any(is_forbidden)
}

/// Control characters, surrogates, the private use area and the specials. ZooKeeper looks at UTF-16 units,
/// so everything outside the basic plane, being a pair of surrogates, is forbidden with them.
fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..)
}

/// Splits a path at its last slash. The parent of `/a` comes out as the empty path, which also names the
/// root; the segment is empty if the path ends in a slash.
///
/// # Errors
/// [`ErrorCode::BadArguments`] when there is no slash to split at, or a NUL anywhere.
pub(super) fn split(path: &str) -> Result<(&str, &str), ErrorCode> {
    if path.contains('\0') {
        return Err(ErrorCode::BadArguments);
    }
    path.rsplit_once('/').ok_or(ErrorCode::BadArguments)
}

/// The path of the parent, as events name it: `/` for `/a`.
pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((parent, _)) => parent,
    }
}

/// Whether the znode is one of those that cannot be deleted.
pub(super) fn is_protected(path: &str) -> bool {
    PROTECTED.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths_are_accepted() {
        for path in [
            "/",
            "/a",
            "/a/b",
            "/...",
            "/.a",
            "/a./b..",
            "/a b",
            "/\u{20}",
            "/\u{a0}",
            "/\u{d7ff}",
            "/\u{f900}",
            "/\u{ffef}",
            "/\u{4e2d}",
        ] {
            assert_eq!(validate(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn invalid_paths_are_refused() {
        for path in [
            "",
            "a",
            "a/b",
            "/a/",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/..",
            "/a/./b",
            "/a/../b",
            "/a/..",
            "/\0",
            "/a\u{1}",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{9f}",
            "/\u{e000}",
            "/\u{f8ff}",
            "/\u{fff0}",
            "/\u{ffff}",
            "/\u{1f600}",
        ] {
            assert_eq!(validate(path), Err(ErrorCode::BadArguments), "{path:?}");
        }
    }

    #[test]
    fn split_needs_a_slash_and_no_nul() {
        assert_eq!(split("/a"), Ok(("", "a")));
        assert_eq!(split("/a/b"), Ok(("/a", "b")));
        assert_eq!(split("/a/"), Ok(("/a", "")));
        assert_eq!(split("/"), Ok(("", "")));
        assert_eq!(split("a"), Err(ErrorCode::BadArguments));
        assert_eq!(split(""), Err(ErrorCode::BadArguments));
        assert_eq!(split("/a\0"), Err(ErrorCode::BadArguments));
    }

    #[test]
    fn parent_of_a_top_znode_is_the_root() {
        assert_eq!(parent("/a"), "/");
        assert_eq!(parent("/a/b"), "/a");
        assert_eq!(parent("/"), "/");
    }
}
