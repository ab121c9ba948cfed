//! What is answered about an upgrade.

use std::collections::BTreeMap;
use std::path::PathBuf;

use hitless_ha::slot::ModuleSlot;
use hitless_ha::upgrade::{Bank, Direction, Mode, Outcome, Step};
use serde::{Deserialize, Serialize};

/// Seconds that an operator has to accept an upgrade, unless it is said otherwise.
pub const ACCEPT_SECONDS: u32 = 45 * 60;

/// Longest time to accept an upgrade, in seconds: a week.
pub const MAX_ACCEPT_SECONDS: u32 = 7 * 86_400;

/// An image of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeImage {
    /// Its version.
    pub version: String,
    /// What it was built from; empty if that is not known.
    pub git: String,
    /// The bank that it is in, or goes to, in both slots.
    pub bank: Bank,
}

/// What an upgrade would do to state, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpgradeVerdict {
    /// Nothing is lost.
    Compatible,
    /// Something is lost; it is listed.
    Degraded,
    /// It can not be hitless; it is listed why.
    Incompatible,
    /// A verdict that only a newer version knows.
    #[serde(other)]
    Unknown,
}

/// Something that one of two versions does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeItem {
    /// On which way it matters.
    pub direction: Direction,
    /// What it is.
    pub what: String,
    /// What follows from it.
    pub consequence: String,
}

/// Something that has to be in order before an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeCheck {
    /// What was looked at.
    pub check: String,
    /// Whether it is in order.
    pub passed: bool,
    /// What was found, or what is wrong and what to do about it.
    pub detail: String,
}

/// What an upgrade would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradePlan {
    /// The image file.
    pub file: PathBuf,
    /// What runs on any later failover.
    pub mode: Mode,
    /// What runs.
    pub from: UpgradeImage,
    /// What is to run; `null` if the file is no image.
    pub to: Option<UpgradeImage>,
    /// What it would do to state; `null` if the file is no image.
    pub verdict: Option<UpgradeVerdict>,
    /// What has to be in order.
    pub checks: Vec<UpgradeCheck>,
    /// What one of the two versions does not know.
    pub items: Vec<UpgradeItem>,
    /// What would be done, a sentence each.
    pub steps: Vec<String>,
}

impl UpgradePlan {
    /// Whether it can be done: every check has passed, and it can be hitless.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
            && matches!(
                self.verdict,
                Some(UpgradeVerdict::Compatible | UpgradeVerdict::Degraded)
            )
    }

    /// Why it can not be done, a sentence; `None` if it can.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        if self.is_possible() {
            return None;
        }
        let failed = self.checks.iter().filter(|check| !check.passed);
        let mut why: Vec<String> = failed
            .map(|check| format!("{}: {}", check.check, check.detail))
            .collect();
        if self.verdict == Some(UpgradeVerdict::Incompatible) {
            why.extend(
                self.items
                    .iter()
                    .map(|item| format!("{}: {}", item.what, item.consequence)),
            );
            why.insert(0, "the upgrade can not be hitless".into());
        }
        Some(why.join("; "))
    }
}

/// A step with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeStep {
    /// Which.
    pub step: Step,
    /// When it began, in milliseconds since 1970-01-01 00:00 UTC.
    pub began_unix_ms: u64,
    /// How long it took, in milliseconds; so far, if it is under way.
    pub took_ms: u64,
    /// Whether it is under way.
    pub under_way: bool,
}

/// Where the last upgrade stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeStatus {
    /// The image file.
    pub file: PathBuf,
    /// What runs on any later failover.
    pub mode: Mode,
    /// The old image.
    pub from: UpgradeImage,
    /// The new image.
    pub to: UpgradeImage,
    /// Where it goes.
    pub direction: Direction,
    /// The step that it is in.
    pub step: Step,
    /// Steps so far.
    pub steps: Vec<UpgradeStep>,
    /// What it waits for; `null`: for nothing in particular.
    pub waiting: Option<String>,
    /// Octets of the image that are in banks, and all that will be; `null` while nothing is installed.
    pub installed: Option<(u64, u64)>,
    /// Seconds in which it has to be accepted; `null` while it does not wait for that.
    pub accept_seconds_left: Option<u64>,
    /// Microseconds without a master at the failover; `null` before.
    pub without_master_us: Option<u64>,
    /// Frames dropped from the failover until it was verified, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// How it ended; `null` while it is under way.
    pub outcome: Option<Outcome>,
    /// Why it was gone back from, or why it could not be.
    pub reason: Option<String>,
    /// What runs in each slot now: version and bank.
    pub modules: Vec<UpgradeModule>,
}

/// What a module runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeModule {
    /// Its slot.
    pub slot: ModuleSlot,
    /// Whether it is the master.
    pub master: bool,
    /// Its version.
    pub version: String,
    /// The bank that it was started from; `null`: the program that the slot was given.
    pub bank: Option<Bank>,
    /// Whether it could take over hitlessly, or is master.
    pub ready: bool,
}

/// The last upgrade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeInfo {
    /// Where it stands; `null` if there was none.
    pub upgrade: Option<UpgradeStatus>,
}
