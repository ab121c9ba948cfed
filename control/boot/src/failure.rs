//! Why a boot can not work at all.

use std::fmt;
use std::io;

/// What was tried, and what the kernel said.
#[derive(Debug)]
pub struct Failure {
    what: String,
    source: io::Error,
}

impl Failure {
    /// For `map_err`: the failure of what is named.
    pub fn of<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        move |source| Self {
            what: what.into(),
            source: source.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.source)
    }
}

impl std::error::Error for Failure {}
