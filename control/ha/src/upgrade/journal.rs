//! What an upgrade has to remember, as it stands on disk.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::Now;
use crate::slot::ModuleSlot;

/// The form of the journal. A reader takes this and every later one: what it does not know it keeps.
pub const FORMAT: u32 = 1;

/// A place for an image in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bank {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

impl Bank {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Primary, Self::Secondary];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        }
    }
}

impl fmt::Display for Bank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One of the two images of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// Its version.
    pub version: String,
    /// The bank that it is in, in both slots.
    pub bank: Bank,
    /// Whether the program that the slots were given at their start is the same one.
    #[serde(default)]
    pub factory: bool,
    /// Of the manifest: what it was built from.
    #[serde(default)]
    pub git: String,
    /// SHA-256 of the program, in hexadecimal.
    #[serde(default)]
    pub sha256: String,
}

/// What runs on any failover after the upgrade (guide, "Standard Upgrade" and "Conservative Upgrade").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The new version.
    Standard,
    /// The old version, which waits in the other slot until the upgrade is accepted.
    Conservative,
}

/// Where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// To the new image.
    Forward,
    /// To the old one.
    Back,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The image goes into the banks of both slots that do not run.
    Install,
    /// The standby is started again with the new image, and gets ready.
    StartStandby,
    /// The standby becomes master.
    Failover,
    /// The new master looks at itself and at what it forwards.
    Verify,
    /// The other module is started again with the new image, and gets ready.
    StartOther,
    /// It waits for `upgrade accept`.
    Accept,
    /// On the way back: the standby is started again with the old image, and gets ready.
    StartOld,
    /// On the way back: the old image becomes master.
    FailBack,
    /// On the way back: the other module is started again with the old image, and gets ready.
    Restore,
    /// It is over.
    Done,
    /// A step that only another version knows.
    #[serde(other)]
    Unknown,
}

impl Step {
    /// Its name, as in `--json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::StartStandby => "start-standby",
            Self::Failover => "failover",
            Self::Verify => "verify",
            Self::StartOther => "start-other",
            Self::Accept => "accept",
            Self::StartOld => "start-old",
            Self::FailBack => "fail-back",
            Self::Restore => "restore",
            Self::Done => "done",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The new image runs in both modules, and stays.
    Accepted,
    /// The old image runs again, or still.
    RolledBack,
    /// The way back is barred; what runs goes on running.
    Stuck,
    /// An outcome that only another version knows.
    #[serde(other)]
    Unknown,
}

/// A step with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// Which.
    pub step: Step,
    /// When it began, in milliseconds since 1970-01-01 00:00 UTC.
    pub began_unix_ms: u64,
    /// The same by the machine's own clock.
    pub began_boot_ms: u64,
    /// How long it took, in milliseconds; `None` while it is under way.
    #[serde(default)]
    pub took_ms: Option<u64>,
}

/// A module that was told to start again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// Its slot.
    pub slot: ModuleSlot,
    /// The process that it was then.
    pub pid: Option<u32>,
    /// When it was told.
    pub boot_ms: u64,
    /// How often it was told in this step.
    pub times: u32,
}

/// The switch right before a failover.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When, by the machine's own clock.
    pub boot_ms: u64,
    /// Milliseconds before that over which the following was counted.
    pub span_ms: u64,
    /// Frames received in that time.
    pub span_frames: u64,
    /// Frames dropped in that time, by reason.
    #[serde(default)]
    pub span_drops: BTreeMap<String, u64>,
    /// Milliseconds before that, some seconds, over which `recent_frames` were counted.
    #[serde(default)]
    pub recent_ms: u64,
    /// Frames received in that time: whether there was traffic in the end.
    #[serde(default)]
    pub recent_frames: u64,
    /// Frames received until then.
    pub frames: u64,
    /// Frames dropped until then, by reason.
    #[serde(default)]
    pub drops: BTreeMap<String, u64>,
    /// State of the protocols.
    #[serde(default)]
    pub protocols: BTreeMap<String, String>,
}

/// Everything that an upgrade remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// [`FORMAT`] of who made it.
    pub format: u32,
    /// The image file that was given.
    pub file: String,
    /// What runs on any later failover.
    pub mode: Mode,
    /// The image that ran before, and that is gone back to.
    pub from: Image,
    /// The image to be run.
    pub to: Image,
    /// Where it goes.
    pub direction: Direction,
    /// The step that it is in.
    pub step: Step,
    /// Steps so far, with their times; the last one is [`Journal::step`].
    pub steps: Vec<StepTime>,
    /// The slot of the master when it was last looked at.
    pub master: ModuleSlot,
    /// How many masters the hardware had had then.
    pub generation: u64,
    /// The standby that is being started again.
    #[serde(default)]
    pub reboot: Option<Reboot>,
    /// Failovers tried in this step.
    #[serde(default)]
    pub attempts: u32,
    /// Times that modules ended which should not have, and it went on.
    #[serde(default)]
    pub disturbances: u32,
    /// Seconds that the operator has to accept it; 0: it is accepted once it is verified.
    pub accept_within_s: u32,
    /// Whether it was accepted.
    #[serde(default)]
    pub accepted: bool,
    /// The switch right before the failover.
    #[serde(default)]
    pub before: Option<Snapshot>,
    /// Microseconds without a master at the failover.
    #[serde(default)]
    pub without_master_us: Option<u64>,
    /// Frames lost from the failover until it was verified, by the reason for which they were dropped.
    #[serde(default)]
    pub lost: BTreeMap<String, u64>,
    /// How it ended.
    #[serde(default)]
    pub outcome: Option<Outcome>,
    /// Why it was gone back from, or is stuck.
    #[serde(default)]
    pub reason: Option<String>,
    /// What is being waited for, for people.
    #[serde(default)]
    pub waiting: Option<String>,
    /// What another version wrote beside this.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A journal that can not be used.
#[derive(Debug, Error)]
#[error("the journal of an upgrade is not understood: {0}")]
pub struct InvalidJournal(#[from] serde_json::Error);

impl Journal {
    /// Reads one.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(octets: &[u8]) -> Result<Self, InvalidJournal> {
        Ok(serde_json::from_slice(octets)?)
    }

    /// The octets to be written.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = serde_json::to_vec_pretty(self).unwrap_or_default();
        octets.push(b'\n');
        octets
    }

    /// Goes to a step; its time begins, and that of the last one ends.
    pub(super) fn enter(&mut self, now: Now, step: Step) {
        if self.step == step && !self.steps.is_empty() {
            return;
        }
        self.end_step(now);
        self.step = step;
        self.reboot = None;
        self.attempts = 0;
        self.waiting = None;
        self.steps.push(StepTime {
            step,
            began_unix_ms: now.unix_ms,
            began_boot_ms: now.boot_ms,
            took_ms: None,
        });
    }

    fn end_step(&mut self, now: Now) {
        if let Some(last) = self.steps.last_mut() {
            // After a start of the machine its clock begins anew.
            let took = now.boot_ms.saturating_sub(last.began_boot_ms);
            last.took_ms.get_or_insert(took);
        }
    }

    /// It is over.
    pub(super) fn finish(&mut self, now: Now, outcome: Outcome) {
        self.enter(now, Step::Done);
        self.end_step(now);
        self.outcome = Some(outcome);
    }

    /// Milliseconds that the step has lasted.
    #[must_use]
    pub fn in_step_ms(&self, now: Now) -> u64 {
        let began = self.steps.last().map_or(0, |last| last.began_boot_ms);
        now.boot_ms.saturating_sub(began)
    }

    /// Seconds until it is gone back from because nobody accepted it; `None` if it does not wait for that.
    #[must_use]
    pub fn accept_seconds_left(&self, now: Now) -> Option<u64> {
        let all = u64::from(self.accept_within_s) * 1_000;
        (self.step == Step::Accept)
            .then(|| all.saturating_sub(self.in_step_ms(now)).div_ceil(1_000))
    }

    /// Whether anything is still to be done.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.step == Step::Done
    }

    /// Whether the switch is between two states, so that nobody should change anything else.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        !self.is_over() && self.step != Step::Accept
    }
}
