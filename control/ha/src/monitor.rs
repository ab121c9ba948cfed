//! The standby's judgement: whether the master is gone, and what a takeover can build on.

use crate::cause::Cause;
use crate::schema::Subsystem;
use crate::state::{Standing, States, SubState};
use core::fmt;
use serde::{Deserialize, Serialize};

/// Counts the master's missing signs of life, by its own ticks: a standby that was stopped itself sees one miss when
/// it goes on, not as many as the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalives {
    allowed: u32,
    missed: u32,
}

impl Keepalives {
    /// The master is lost when `allowed` ticks in a row went by without a sign of life.
    #[must_use]
    pub const fn new(allowed: u32) -> Self {
        Self { allowed, missed: 0 }
    }

    /// Something was heard.
    pub const fn heard(&mut self) {
        self.missed = 0;
    }

    /// An interval has passed; everything that had arrived was received. Whether the master is lost.
    pub const fn tick(&mut self) -> bool {
        self.missed = self.missed.saturating_add(1);
        // The interval in which the last sign came is no miss.
        self.missed > self.allowed
    }

    /// Intervals in a row that have passed without a sign of life.
    #[must_use]
    pub const fn missed(&self) -> u32 {
        self.missed
    }
}

/// What the settings of `msm_failover` ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether the running configuration of the old master is used (`slave-config inherited`); else the new
    /// master's own file (`flash`).
    pub inherited: bool,
    /// Whether links stay up and anything is preserved at all (`keep-links-up` with a `preserve-state` other than
    /// none).
    pub preserve: bool,
    /// How old the checkpoint may be when a failover comes unannounced, in milliseconds.
    pub freshness_ms: u64,
}

/// What the standby knows when it is to take over.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// Why it takes over.
    pub cause: Cause,
    /// Whether the master, or its slot, said so, after which nothing can be missing.
    pub announced: bool,
    /// The standing of the subsystems.
    pub states: &'a States,
    /// [`crate::receiver::Receiver::checkpoint_age`] of the moment in which the master was found lost; `None`
    /// without any checkpoint.
    pub checkpoint_age_ms: Option<u64>,
}

/// Which configuration the new master runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigFrom {
    /// The old master's running one.
    Checkpoint,
    /// That of its own file.
    OwnFile,
}

/// What the new master takes for the state of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateFrom {
    /// The database, audited against the hardware.
    Checkpoint,
    /// The hardware alone, as a module that starts without another one does.
    Hardware,
    /// Nothing: learned addresses are flushed, protocols begin anew.
    Nothing,
}

/// Why a takeover is not hitless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotHitless {
    /// The operator asked to lose everything.
    HardReset,
    /// The settings preserve nothing.
    NotPreserved,
    /// A subsystem is not ready.
    NotReady {
        /// The first one.
        subsystem: Subsystem,
        /// Its standing.
        standing: Standing,
    },
    /// The master ended unannounced, and the last checkpoint is too old.
    Stale {
        /// Its age in milliseconds.
        age_ms: u64,
        /// How old it may be.
        limit_ms: u64,
    },
}

impl fmt::Display for NotHitless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HardReset => f.write_str("hard reset"),
            Self::NotPreserved => f.write_str("the settings preserve no state"),
            Self::NotReady {
                subsystem,
                standing: Standing { state, reason },
            } => write!(f, "{subsystem} is {state} ({reason})"),
            Self::Stale { age_ms, limit_ms } => {
                write!(
                    f,
                    "the checkpoint is {age_ms} ms old, {limit_ms} ms are allowed"
                )
            }
        }
    }
}

/// How the standby takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Verdict {
    /// Why it is not hitless; `None` if it is.
    pub not_hitless: Option<NotHitless>,
    /// Which configuration it runs.
    pub config: ConfigFrom,
    /// What it takes for the state of the switch.
    pub state: StateFrom,
}

impl Verdict {
    /// Whether nothing is lost.
    #[must_use]
    pub const fn is_hitless(&self) -> bool {
        self.not_hitless.is_none()
    }

    /// What the takeover discards, for people.
    #[must_use]
    pub const fn discards(&self) -> &'static str {
        match (self.config, self.state) {
            (ConfigFrom::Checkpoint, StateFrom::Checkpoint) => "nothing",
            (ConfigFrom::OwnFile, StateFrom::Checkpoint) => "the running configuration",
            (ConfigFrom::Checkpoint, StateFrom::Hardware) => "what only the old master knew",
            (ConfigFrom::OwnFile, StateFrom::Hardware) => {
                "the running configuration and what only the old master knew"
            }
            (ConfigFrom::Checkpoint, StateFrom::Nothing) => "all operational state",
            (ConfigFrom::OwnFile, StateFrom::Nothing) => {
                "the running configuration and all operational state"
            }
        }
    }
}

/// Decides how to take over (design.md, "Failover causes").
#[must_use]
pub fn verdict(situation: &Situation<'_>, settings: &Settings) -> Verdict {
    let config_ready = situation.states.state(Subsystem::Config) == SubState::Ready;
    let config = match settings.inherited && config_ready {
        true => ConfigFrom::Checkpoint,
        false => ConfigFrom::OwnFile,
    };
    let not = |why, config, state| Verdict {
        not_hitless: Some(why),
        config,
        state,
    };
    if situation.cause == Cause::HardReset {
        return not(
            NotHitless::HardReset,
            ConfigFrom::OwnFile,
            StateFrom::Nothing,
        );
    }
    if !settings.inherited || !settings.preserve {
        return not(NotHitless::NotPreserved, config, StateFrom::Nothing);
    }
    if let Some((subsystem, status)) = unready(situation.states) {
        let standing = status;
        return not(
            NotHitless::NotReady {
                subsystem,
                standing,
            },
            config,
            StateFrom::Hardware,
        );
    }
    if must_be_fresh(situation) {
        let age_ms = situation.checkpoint_age_ms.unwrap_or(u64::MAX);
        let limit_ms = settings.freshness_ms;
        if age_ms > limit_ms {
            return not(
                NotHitless::Stale { age_ms, limit_ms },
                ConfigFrom::OwnFile,
                StateFrom::Nothing,
            );
        }
    }
    Verdict {
        not_hitless: None,
        config,
        state: StateFrom::Checkpoint,
    }
}

/// The first subsystem that is not ready.
fn unready(states: &States) -> Option<(Subsystem, Standing)> {
    if states.ready() {
        return None;
    }
    states
        .iter()
        .map(|(subsystem, status)| (subsystem, status.current))
        .find(|(_, standing)| standing.state != SubState::Ready)
}

/// A master that hung or fell silent may have done things of which it could not tell.
const fn must_be_fresh(situation: &Situation<'_>) -> bool {
    !situation.announced
        && matches!(
            situation.cause,
            Cause::WatchdogTimeout | Cause::KeepaliveFailure | Cause::Unknown | Cause::None
        )
}

#[cfg(test)]
mod tests;
