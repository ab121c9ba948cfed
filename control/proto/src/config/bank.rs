//! The two saved configurations of a switch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of the two saved configurations.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigBank {
    /// The file that hitlessd is started with.
    #[default]
    Primary,
    /// The other one.
    Secondary,
}

impl ConfigBank {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Primary, Self::Secondary];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

impl fmt::Display for ConfigBank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is neither bank's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no saved configuration: use primary or secondary")]
pub struct InvalidBank(String);

impl FromStr for ConfigBank {
    type Err = InvalidBank;
    fn from_str(word: &str) -> Result<Self, InvalidBank> {
        Self::ALL
            .into_iter()
            .find(|bank| bank.as_str() == word)
            .ok_or_else(|| InvalidBank(word.into()))
    }
}
