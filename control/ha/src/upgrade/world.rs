//! What the machine is told of the switch.

use std::collections::BTreeMap;

use super::journal::{Bank, Image};
use crate::cause::Cause;
use crate::slot::ModuleSlot;

/// A module and the program that it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Its slot.
    pub slot: ModuleSlot,
    /// The program's version.
    pub version: String,
    /// The bank that the program came from; `None`: the program that the slot was given at its start.
    pub bank: Option<Bank>,
    /// Its process.
    pub pid: u32,
}

impl Running {
    /// Whether it runs this image.
    #[must_use]
    pub fn runs(&self, image: &Image) -> bool {
        match self.bank {
            Some(bank) => bank == image.bank,
            None => image.factory && self.version == image.version,
        }
    }
}

/// The standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standby {
    /// What it runs.
    pub running: Running,
    /// Whether it could take over hitlessly.
    pub ready: bool,
    /// Its state for people: the subsystems that are not ready, and why.
    pub state: String,
}

/// The last change of mastership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takeover {
    /// Why.
    pub cause: Cause,
    /// Whether nothing was given up.
    pub hitless: bool,
    /// More about it, for people.
    pub detail: Option<String>,
    /// Microseconds without a master.
    pub took_us: u64,
}

/// Work on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Job {
    /// This process was not told to install anything.
    #[default]
    Idle,
    /// It is being done.
    Running,
    /// It was done.
    Done,
    /// It failed, and nothing that runs was changed.
    Failed(String),
}

/// Counters at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When, as [`super::Now::boot_ms`].
    pub boot_ms: u64,
    /// Frames received on all ports.
    pub frames: u64,
    /// Frames dropped by the name of the reason; reasons that did not occur may be left out.
    pub drops: BTreeMap<String, u64>,
}

/// What the master sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The master itself.
    pub master: Running,
    /// How many masters the hardware has had.
    pub generation: u64,
    /// The module in the other slot, once it has introduced itself.
    pub standby: Option<Standby>,
    /// The bank selected for each slot.
    pub selected: BTreeMap<ModuleSlot, Bank>,
    /// The installation that this process was told to make.
    pub install: Job,
    /// How this master became one; `None` if it took over from nobody.
    pub takeover: Option<Takeover>,
    /// The counters now.
    pub counters: Sample,
    /// The oldest counters that are known of the minute before.
    pub minute: Sample,
    /// The newest counters that are known of before, some seconds old.
    pub recent: Sample,
    /// State of the protocols, a line for each thing whose change neighbours would notice.
    pub protocols: BTreeMap<String, String>,
}
