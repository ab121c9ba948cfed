//! The two places that a management module can be in.

use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A management module's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModuleSlot {
    /// The first slot, `msm-a`.
    MsmA,
    /// The second slot, `msm-b`.
    MsmB,
}

/// A text that names no slot.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is no management module's slot; use msm-a or msm-b")]
pub struct UnknownSlot(String);

impl ModuleSlot {
    /// Both slots.
    pub const BOTH: [Self; 2] = [Self::MsmA, Self::MsmB];

    /// The slot of the other module.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::MsmA => Self::MsmB,
            Self::MsmB => Self::MsmA,
        }
    }

    /// The slot's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MsmA => "msm-a",
            Self::MsmB => "msm-b",
        }
    }

    /// The number that stands for the slot in messages.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::MsmA => 1,
            Self::MsmB => 2,
        }
    }

    /// The inverse of [`ModuleSlot::code`].
    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::MsmA),
            2 => Some(Self::MsmB),
            _ => None,
        }
    }
}

impl fmt::Display for ModuleSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ModuleSlot {
    type Err = UnknownSlot;

    fn from_str(text: &str) -> Result<Self, UnknownSlot> {
        Self::BOTH
            .into_iter()
            .find(|slot| slot.name() == text)
            .ok_or_else(|| UnknownSlot(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_have_names_and_codes() {
        for slot in ModuleSlot::BOTH {
            assert_eq!(slot.to_string().parse(), Ok(slot));
            assert_eq!(ModuleSlot::from_code(slot.code()), Some(slot));
            assert_ne!(slot, slot.other());
            assert_eq!(slot, slot.other().other());
        }
        assert_eq!(ModuleSlot::from_code(0), None);
        let wrong = "msm-c".parse::<ModuleSlot>().unwrap_err();
        assert!(wrong.to_string().contains("\"msm-c\""));
    }
}
