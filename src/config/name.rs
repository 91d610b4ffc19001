//! Names that appear in files, in the tree and in metric labels.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of a service: one path segment under `/services`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Arc<str>);

impl ServiceName {
    /// Accepts what can be one znode name and one label: 1 to 255 bytes, no `/`, no control characters,
    /// not `.` or `..`.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong with it.
    pub fn new(name: &str) -> Result<ServiceName, NameError> {
        if name.is_empty() || name.len() > 255 {
            return Err(NameError::Length(name.len()));
        }
        if name == "." || name == ".." || name.chars().any(|c| c == '/' || c.is_control()) {
            return Err(NameError::Character(name.into()));
        }
        Ok(ServiceName(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text cannot name a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Too short or too long.
    #[error("a service name has 1 to 255 bytes, this one has {0}")]
    Length(usize),
    /// It could not be one path segment.
    #[error("service name {0:?} is '.', '..' or has a '/' or a control character")]
    Character(String),
}
