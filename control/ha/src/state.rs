//! States and reason codes of the subsystems (guide, "Displaying Hitless Failover Statistics" and Table 2).

use crate::schema::Subsystem;
use core::fmt;
use serde::{Deserialize, Serialize};

/// How far a subsystem is on its way to the standby.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SubState {
    /// Hitless failover is disabled for it.
    #[default]
    Disable,
    /// Enabled; the transfer has not begun.
    Initial,
    /// All of its state is being transferred.
    Xfr,
    /// Transferred; changes follow.
    Ready,
    /// It failed; only a reboot of the standby helps.
    Failed,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

impl SubState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Disable,
        Self::Initial,
        Self::Xfr,
        Self::Ready,
        Self::Failed,
        Self::Unknown,
    ];

    /// The guide's word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Initial => "initial",
            Self::Xfr => "xfr",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// The number that stands for the state in messages.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Disable => 0,
            Self::Initial => 1,
            Self::Xfr => 2,
            Self::Ready => 3,
            Self::Failed => 4,
            Self::Unknown => 255,
        }
    }

    /// The inverse of [`SubState::code`]; states of later versions are unknown.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL
            .into_iter()
            .find(|state| state.code() == code)
            .unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for SubState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a subsystem is in its state: the guide's reason codes (Table 2).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// No failure.
    #[default]
    None,
    /// The standby is older than the master, and no hitless upgrade was made.
    Revision,
    /// A standby was removed after a conservative upgrade.
    Hotswap,
    /// A configuration command was given after a conservative upgrade.
    ConfigCommand,
    /// The standby has no room for the state.
    Memory,
    /// More was to be sent in one piece, or to wait for the standby, than is allowed.
    BracketOverflow,
    /// A bracket was opened twice, closed without being open, not closed in time, or lost a part.
    InvalidBracket,
    /// A message of a kind that the standby does not know.
    InvalidSubtype,
    /// A message's contents broke a rule, or the standby did not keep up.
    CommError,
    /// The other module does not support hitless failover.
    NoSupport,
    /// The hardware does not hold what it should.
    HardwareFailed,
    /// The standby could not use the configuration.
    ConfigFailed,
    /// The master was not heard in time.
    Keepalive,
    /// The master hung.
    Watchdog,
}

impl Reason {
    /// Every reason, in the order of Table 2; its place is its number in messages.
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::Revision,
        Self::Hotswap,
        Self::ConfigCommand,
        Self::Memory,
        Self::BracketOverflow,
        Self::InvalidBracket,
        Self::InvalidSubtype,
        Self::CommError,
        Self::NoSupport,
        Self::HardwareFailed,
        Self::ConfigFailed,
        Self::Keepalive,
        Self::Watchdog,
    ];

    /// The guide's spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Revision => "rev(M) > rev(S)",
            Self::Hotswap => "hotswap",
            Self::ConfigCommand => "config command",
            Self::Memory => "memory",
            Self::BracketOverflow => "brkt ovflow",
            Self::InvalidBracket => "invalid brkt",
            Self::InvalidSubtype => "invalid subtype",
            Self::CommError => "comm error",
            Self::NoSupport => "no xh support",
            Self::HardwareFailed => "L2,L3 failed",
            Self::ConfigFailed => "config failed",
            Self::Keepalive => "keepalive",
            Self::Watchdog => "watchdog",
        }
    }

    /// What it means, for people (guide, Table 2); empty where the guide says no more than the word.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Revision => {
                "it is older than the master, and no hitless upgrade was made from it to the master"
            }
            Self::Hotswap => "it was taken out after a conservative upgrade",
            Self::ConfigCommand => {
                "a configuration command was entered after a conservative upgrade"
            }
            _ => "",
        }
    }

    /// The number that stands for the reason in messages.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The inverse of [`Reason::code`]; reasons of later versions read as `comm error`.
    pub(crate) fn from_code(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::CommError)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A state and its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// The state.
    pub state: SubState,
    /// Why.
    pub reason: Reason,
}

/// What `show msm-failover` says about a subsystem: its current standing and the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// How it is.
    pub current: Standing,
    /// How it was before.
    pub old: Standing,
}

impl Status {
    /// Enters a state. Gives back whether that changed anything.
    pub fn set(&mut self, state: SubState, reason: Reason) -> bool {
        let new = Standing { state, reason };
        let changed = new != self.current;
        if changed {
            self.old = core::mem::replace(&mut self.current, new);
        }
        changed
    }
}

/// The standing of every checkpointed subsystem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States([Status; Subsystem::CHECKPOINTED.len()]);

impl States {
    /// All subsystems enabled, none transferred.
    #[must_use]
    pub fn initial() -> Self {
        let mut states = Self::default();
        for status in &mut states.0 {
            status.set(SubState::Initial, Reason::None);
        }
        states
    }

    /// A subsystem's status; that of [`Subsystem::Module`], which is not checkpointed, is `disable`.
    #[must_use]
    pub fn get(&self, subsystem: Subsystem) -> Status {
        subsystem
            .place()
            .map(|place| self.0[place])
            .unwrap_or_default()
    }

    /// Enters a state. Gives back whether that changed anything.
    pub fn set(&mut self, subsystem: Subsystem, state: SubState, reason: Reason) -> bool {
        subsystem
            .place()
            .is_some_and(|place| self.0[place].set(state, reason))
    }

    /// Takes out what the other module does not know: nothing of it is checkpointed, and nobody waits for it.
    pub(crate) fn without(&mut self, unknown: impl Iterator<Item = Subsystem>) {
        for subsystem in unknown {
            self.set(subsystem, SubState::Disable, Reason::NoSupport);
        }
    }

    /// The state that a subsystem is in.
    #[must_use]
    pub fn state(&self, subsystem: Subsystem) -> SubState {
        self.get(subsystem).current.state
    }

    /// Whether a failover would find everything: each subsystem is ready or disabled, and one at least is ready.
    #[must_use]
    pub fn ready(&self) -> bool {
        let states = || self.0.iter().map(|status| status.current.state);
        states().all(|state| matches!(state, SubState::Ready | SubState::Disable))
            && states().any(|state| state == SubState::Ready)
    }

    /// What is not ready, and why, for people: `fdb is xfr (none), …`.
    #[must_use]
    pub fn missing(&self) -> String {
        let missing = self
            .iter()
            .map(|(subsystem, status)| (subsystem, status.current));
        let missing = missing.filter(|(_, current)| current.state != SubState::Ready);
        let told: Vec<String> = missing
            .map(|(subsystem, Standing { state, reason })| {
                format!("{subsystem} is {state} ({reason})")
            })
            .collect();
        told.join(", ")
    }

    /// The subsystems and their standing, in the order of their transfer.
    pub fn iter(&self) -> impl Iterator<Item = (Subsystem, Status)> + '_ {
        Subsystem::CHECKPOINTED.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_65_the_reason_codes_are_spelled_as_in_table_2() {
        let spelled: Vec<String> = Reason::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            spelled.join(" | "),
            "none | rev(M) > rev(S) | hotswap | config command | memory | brkt ovflow | invalid brkt | \
             invalid subtype | comm error | no xh support | L2,L3 failed | config failed | keepalive | watchdog"
        );
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), reason);
        }
        assert_eq!(Reason::from_code(200), Reason::CommError);
    }

    #[test]
    fn seed_64_the_states_are_spelled_as_in_the_guide() {
        let spelled: Vec<String> = SubState::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(
            spelled.join(" "),
            "disable initial xfr ready failed unknown"
        );
        for state in SubState::ALL {
            assert_eq!(SubState::from_code(state.code()), state);
        }
        assert_eq!(SubState::from_code(77), SubState::Unknown);
    }

    #[test]
    fn seed_63_the_old_standing_is_kept_until_the_next_change() {
        let mut states = States::initial();
        assert!(states.set(Subsystem::Fdb, SubState::Xfr, Reason::None));
        assert!(states.set(Subsystem::Fdb, SubState::Failed, Reason::InvalidSubtype));
        assert!(!states.set(Subsystem::Fdb, SubState::Failed, Reason::InvalidSubtype));
        let status = states.get(Subsystem::Fdb);
        assert_eq!(status.old.state, SubState::Xfr);
        assert_eq!(status.current.reason, Reason::InvalidSubtype);
        assert!(!states.set(Subsystem::Module, SubState::Ready, Reason::None));
    }

    #[test]
    fn ready_is_all_that_are_enabled() {
        let mut states = States::default();
        assert!(!states.ready(), "everything disabled is not ready");
        states.set(Subsystem::Config, SubState::Ready, Reason::None);
        assert!(states.ready());
        states.set(Subsystem::Fdb, SubState::Xfr, Reason::None);
        assert!(!states.ready());
        assert!(
            states.missing().ends_with("fdb is xfr (none)"),
            "{}",
            states.missing()
        );
        assert!(!states.missing().contains("config"));
    }
}
