//! Why a master lost its mastership (guide, "Causes and Behaviors of MSM Failover").

use core::fmt;
use serde::{Deserialize, Serialize};

/// The cause of a failover, or of a start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// No failover happened: the first start of a switch.
    #[default]
    None,
    /// `run msm-failover`.
    OperatorCommand,
    /// The master ended by itself: a panic, a signal, an exit.
    SoftwareException,
    /// The master hung, and its watchdog ended it.
    WatchdogTimeout,
    /// The standby heard nothing from the master.
    KeepaliveFailure,
    /// The master found its hardware or its module to be broken.
    DiagnosticFailure,
    /// The master's slot is gone.
    HotRemoval,
    /// The operator asked for a reset that loses everything.
    HardReset,
    /// A cause that this version does not know, or none was reported.
    #[serde(other)]
    Unknown,
}

impl Cause {
    /// Every cause, in the order of the guide.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::OperatorCommand,
        Self::SoftwareException,
        Self::WatchdogTimeout,
        Self::KeepaliveFailure,
        Self::DiagnosticFailure,
        Self::HotRemoval,
        Self::HardReset,
        Self::Unknown,
    ];

    /// The guide's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OperatorCommand => "operator command",
            Self::SoftwareException => "software exception",
            Self::WatchdogTimeout => "watchdog timeout",
            Self::KeepaliveFailure => "keepalive failure",
            Self::DiagnosticFailure => "diagnostic failure",
            Self::HotRemoval => "hot-removal",
            Self::HardReset => "hard-reset",
            Self::Unknown => "unknown",
        }
    }

    /// The number that stands for the cause in messages.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::None => 0,
            Self::OperatorCommand => 1,
            Self::SoftwareException => 2,
            Self::WatchdogTimeout => 3,
            Self::KeepaliveFailure => 4,
            Self::DiagnosticFailure => 5,
            Self::HotRemoval => 6,
            Self::HardReset => 7,
            Self::Unknown => 255,
        }
    }

    /// The cause with this number; [`Cause::Unknown`] for those of later versions.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|cause| cause.code() == code)
            .unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_survive_the_way_to_a_number_and_back() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_code(cause.code()), cause);
        }
        assert_eq!(Cause::from_code(99), Cause::Unknown);
    }
}
