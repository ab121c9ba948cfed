//! Three versions of `hitlessd` that were built from this tree: README, "Three versions from one tree".

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use super::switch::binary;

/// A version that was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edition {
    /// Lacks a field, has shorter counters.
    Older,
    /// The product.
    Current,
    /// Has more fields, another subsystem and another map; VLANs and addresses are laid out otherwise.
    Newer,
}

impl Edition {
    /// All of them, by version.
    pub const ALL: [Self; 3] = [Self::Older, Self::Current, Self::Newer];

    /// Every ordered pair of two.
    pub fn pairs() -> impl Iterator<Item = (Self, Self)> {
        let all = Self::ALL.into_iter();
        all.flat_map(|from| Self::ALL.map(|to| (from, to)))
            .filter(|(from, to)| from != to)
    }

    /// Its version.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::Older => "0.3.99",
            Self::Current => hitless_common::VERSION,
            Self::Newer => "0.5.0",
        }
    }

    /// Its `hitlessd`.
    ///
    /// # Errors
    /// When it was not built.
    pub fn hitlessd(self) -> Result<PathBuf> {
        let current = binary("hitlessd")?;
        if self == Self::Current {
            return Ok(current);
        }
        let folder = current.parent().context("the folder of hitlessd")?;
        let path = folder.join(format!("editions/{self}/hitlessd"));
        ensure!(
            path.is_file(),
            "{} is missing; run: cargo xtask build",
            path.display()
        );
        Ok(path)
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Older => "older",
            Self::Current => "current",
            Self::Newer => "newer",
        })
    }
}
