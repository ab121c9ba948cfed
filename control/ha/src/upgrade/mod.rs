//! An upgrade of both modules, as a machine without I/O and without a clock: the master feeds it with what it sees and does
//! what it says.
//!
//! Everything that it must remember is in its [`Journal`], which the master writes to disk before it acts. Whoever is master
//! next, of whichever version, reads it and goes on: the machine looks at what there is, never at what it did before, so a
//! step that was interrupted is done again or found done. Anything unexpected after the new image became master leads
//! back to the old one.

mod back;
mod forward;
mod journal;
mod loss;
mod machine;
mod world;

#[cfg(test)]
mod tests;

pub use journal::{
    Bank, Direction, FORMAT, Image, InvalidJournal, Journal, Mode, Outcome, Reboot, Snapshot, Step,
    StepTime,
};
pub use loss::{Loss, losses, measured};
pub use machine::{Action, Limits, NotNow, Upgrade};
pub use world::{Job, Observed, Running, Sample, Standby, Takeover};

/// A moment: by the wall clock for people, and by a clock of the machine for deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970-01-01 00:00 UTC.
    pub unix_ms: u64,
    /// Milliseconds since this machine was started, the same for every process.
    pub boot_ms: u64,
}
