//! The two places of management modules.

use std::fmt;
use std::str::FromStr;

/// A place for a management module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// `msm-a`.
    A,
    /// `msm-b`.
    B,
}

impl Slot {
    /// Both slots.
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// The slot's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "msm-a",
            Self::B => "msm-b",
        }
    }

    /// The other slot.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSlot;

impl fmt::Display for NoSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is no slot: msm-a or msm-b")
    }
}

impl std::error::Error for NoSlot {}

impl FromStr for Slot {
    type Err = NoSlot;

    fn from_str(text: &str) -> Result<Self, NoSlot> {
        Self::ALL
            .into_iter()
            .find(|slot| slot.name() == text)
            .ok_or(NoSlot)
    }
}
