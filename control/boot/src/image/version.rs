//! Versions: three numbers.

use std::fmt;
use std::str::FromStr;

/// The version of an image, as in `0.4.0`. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// A text that is no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVersion;

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no version: three numbers with dots, as in 0.4.0")
    }
}

impl std::error::Error for NoVersion {}

impl FromStr for Version {
    type Err = NoVersion;

    /// Only what [`fmt::Display`] writes is a version: two texts are never the same one.
    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let mut numbers = text.split('.').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten().ok_or(NoVersion);
        let version = Self {
            major: next()?,
            minor: next()?,
            patch: next()?,
        };
        if version.to_string() == text {
            Ok(version)
        } else {
            Err(NoVersion)
        }
    }
}
