//! The ways to lose a master, brought about for real.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::rig::{Rig, Shown, await_ready, await_shown};
use crate::harness::{
    chassis::{Part, Slot},
    process::Process,
    switch::DEADLINE,
    wait::wait_for,
};

/// A cause of a failover (guide, "Causes and Behaviors of MSM Failover").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// `run msm-failover`.
    Operator,
    /// The event loop panics.
    Panic,
    /// SIGKILL from outside.
    Kill,
    /// The event loop hangs; its boot's watchdog notices.
    Hang,
    /// The whole module, its boot too, stands still; the standby notices.
    Silence,
    /// The self-test fails.
    Diagnostic,
    /// The boot is gone, and the module with it.
    Removal,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A failover that was brought about, and what has to be done when it is over.
pub struct Struck {
    cause: Cause,
    before: Shown,
    slot: Slot,
    asker: Option<Process>,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Operator,
        Self::Panic,
        Self::Kill,
        Self::Hang,
        Self::Silence,
        Self::Diagnostic,
        Self::Removal,
    ];

    /// What is to be shown as the cause.
    #[must_use]
    pub fn shown(self) -> &'static str {
        match self {
            Self::Operator => "operator-command",
            Self::Panic | Self::Kill => "software-exception",
            Self::Hang => "watchdog-timeout",
            Self::Silence => "keepalive-failure",
            Self::Diagnostic => "diagnostic-failure",
            Self::Removal => "hot-removal",
        }
    }

    /// What its details must name.
    fn detail(self) -> &'static str {
        match self {
            Self::Panic => "a panic by request",
            Self::Kill => "SIGKILL",
            Self::Silence => "nothing was heard",
            Self::Diagnostic => "a failure by request",
            Self::Removal => "hitless-boot is gone",
            Self::Operator | Self::Hang => "",
        }
    }

    /// Whether the master itself hands over, for which it needs a standby that answers.
    #[must_use]
    pub fn needs_standby(self) -> bool {
        matches!(self, Self::Operator | Self::Diagnostic)
    }

    /// Brings it about in the master there is. When this returns the master is lost, or about to be; a master that
    /// hangs does so already.
    ///
    /// # Errors
    /// When there is no master, or the command fails.
    pub fn strike(self, rig: &Rig<'_>, before: &Shown) -> Result<Struck> {
        let slot = before.slot("master")?;
        let mut struck = Struck {
            cause: self,
            before: before.clone(),
            slot,
            asker: None,
        };
        let chassis = &rig.chassis;
        let fault = |kind| rig.switch().cli(&["debug", "fault", kind]).map(drop);
        match self {
            Self::Operator => drop(rig.switch().cli(&["run", "msm-failover"])?),
            Self::Panic => fault("panic")?,
            Self::Diagnostic => fault("diagnostic")?,
            Self::Kill => drop(chassis.signal(slot, Part::Daemon, Signal::SIGKILL)?),
            Self::Removal => drop(chassis.signal(slot, Part::Boot, Signal::SIGKILL)?),
            Self::Silence => {
                chassis.signal(slot, Part::Boot, Signal::SIGSTOP)?;
                chassis.signal(slot, Part::Daemon, Signal::SIGSTOP)?;
            }
            Self::Hang => {
                // Who asks is answered by the end of the connection only.
                struck.asker = Some(rig.background(&["debug", "fault", "hang"])?.0);
                await_hang(before.pid("master")?)?;
            }
        }
        Ok(struck)
    }
}

/// Waits until a process waits for what does not come: its event loop waits for events, and for nothing else. Or until
/// it was ended for that.
fn await_hang(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/syscall");
    wait_for(&format!("process {pid} to hang"), DEADLINE, || {
        let Ok(text) = fs::read_to_string(&path) else {
            return Ok(Some(()));
        };
        let call = text.split_whitespace().next().unwrap_or_default();
        Ok((call == libc::SYS_futex.to_string()).then_some(()))
    })
}

impl Struck {
    /// Waits until the other module has taken over.
    ///
    /// # Errors
    /// When it does not, or somebody else did, too.
    pub fn await_takeover(&self, rig: &Rig<'_>) -> Result<Shown> {
        let generation = self.before.generation()? + 1;
        let new = self.slot.other();
        let after = await_shown(rig.switch(), |shown| {
            shown.generation().is_ok_and(|g| g >= generation)
        })
        .with_context(|| format!("{} takes over after {}", new.name(), self.cause))?;
        ensure!(
            after.generation()? == generation && after.slot("master")? == new,
            "not one failover to {}: {after}",
            new.name()
        );
        Ok(after)
    }

    /// Waits until the other module has taken over, the old one is back and ready, and everybody agrees: on the
    /// cause, and on every table.
    ///
    /// # Errors
    /// Tells what is not as it should be.
    pub fn await_recovery(self, rig: &Rig<'_>) -> Result<Shown> {
        self.await_takeover(rig)?;
        if self.cause == Cause::Silence {
            rig.chassis
                .signal(self.slot, Part::Boot, Signal::SIGCONT)
                .context("let the old master's boot go on")?;
        }
        if let Some(asker) = &self.asker {
            asker.wait(DEADLINE)?;
        }
        await_ready(rig.switch())?;
        // Why a master has ended its boot may tell after the takeover.
        let after = await_shown(rig.switch(), |shown| {
            let last = shown.last();
            let detail = last["detail"].as_str().unwrap_or_default();
            shown.is_ready()
                && last["cause"] == self.cause.shown()
                && detail.contains(self.cause.detail())
        })
        .with_context(|| format!("{} is the cause", self.cause.shown()))?;
        let (from, to) = (self.slot.name(), self.slot.other().name());
        ensure!(
            after.last()["from"] == from && after.last()["to"] == to,
            "not from {from} to {to}: {after}"
        );
        ensure!(
            after.generation()? == self.before.generation()? + 1,
            "more than one failover: {after}"
        );
        super::rig::equal(rig.switch())?;
        Ok(after)
    }
}
