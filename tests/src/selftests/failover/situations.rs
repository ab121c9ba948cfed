//! What a switch may be doing in the moment in which its master is lost.

use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::signal::Signal;

use super::causes::Cause;
use super::rig::{Crowd, Rig, Shown, await_ready, await_shown, shown};
use crate::harness::{
    chassis::{Module, Part, Slot},
    switch::{DEADLINE, tail},
    wait::wait_for,
};

/// Stations that the switch knows all the time: so many that their transfer takes a while.
pub const RESIDENTS: u32 = 250_000;
/// Stations that turn up during a failover, or while the standby is stopped.
const NEWCOMERS: u32 = 120_000;
/// Records of the checkpoint that wait in a master beside those in its socket. These the standby gets although its
/// master dies.
const BEYOND: u64 = 10_000;
/// Tries to stop a standby in the middle of something.
const TRIES: usize = 50;
/// Age of what a standby has not acknowledged at which its master transfers everything anew.
const GIVES_UP: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// Nothing but forwarding.
    Idle,
    /// Addresses are being learned.
    Learning,
    /// The standby has just been started again and is being told everything.
    MidBulk,
    /// The standby has a part of what the master did last.
    MidBracket,
    /// The operator is changing the configuration.
    Configuring,
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A switch, and crowds of stations at two of its ports.
pub struct Scene<'a> {
    /// The switch.
    pub rig: Rig<'a>,
    /// Turn up anew every time.
    newcomers: Crowd,
    timeout: u32,
}

impl<'a> Scene<'a> {
    /// Makes the switch know the residents.
    ///
    /// # Errors
    /// When they are not learned.
    pub fn new(rig: Rig<'a>) -> Result<Self> {
        let hosts = &rig.others.lab.hosts;
        let mut residents = Crowd::new(&hosts[4], 5, RESIDENTS)?;
        let newcomers = Crowd::new(&hosts[5], 6, NEWCOMERS)?;
        let known = rig.known()?;
        residents.until_known(&rig, known + u64::from(RESIDENTS))?;
        Ok(Self {
            rig,
            newcomers,
            timeout: 60,
        })
    }

    /// Loses the master by a cause in a situation, and checks everything that follows.
    ///
    /// # Errors
    /// Tells what is not as it should be.
    pub fn cell(&mut self, situation: Situation, cause: Cause) -> Result<()> {
        let after = match situation {
            Situation::Idle => {
                let before = await_ready(self.rig.switch())?;
                cause
                    .strike(&self.rig, &before)?
                    .await_recovery(&self.rig)?
            }
            Situation::Learning => self.learning(cause)?,
            Situation::MidBulk => self.mid_bulk(cause)?,
            Situation::MidBracket => self.mid_bracket(cause)?,
            Situation::Configuring => self.configuring(cause)?,
        };
        // A standby that has not everything takes the hardware for what it is, which costs what only the master knew.
        let partial = situation == Situation::MidBulk && !cause.needs_standby();
        ensure!(
            after.last()["hitless"] == !partial,
            "hitless or not: {after}"
        );
        if !matches!(situation, Situation::Learning | Situation::MidBracket) {
            let writes = self.rig.switch().show("switch")?;
            ensure!(
                writes["hardware_writes"]["total"] == 0,
                "nothing had changed, and something was written: {writes}"
            );
        }
        Ok(())
    }

    fn learning(&mut self, cause: Cause) -> Result<Shown> {
        let rig = &self.rig;
        let before = await_ready(rig.switch())?;
        let known = rig.known()?;
        let (newcomers, over) = (&mut self.newcomers, AtomicBool::new(false));
        let after = std::thread::scope(|scope| {
            let over = &over;
            let sender = scope.spawn(move || -> Result<&mut Crowd> {
                // A fiftieth of them at a time, round and round until after the failover.
                while !over.load(Ordering::Relaxed) {
                    newcomers.send(NEWCOMERS / 50)?;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Ok(newcomers)
            });
            let lost = || {
                wait_for("the first newcomers to be known", DEADLINE, || {
                    Ok((rig.known()? > known).then_some(()))
                })?;
                let struck = cause.strike(rig, &before)?;
                struck.await_takeover(rig)?;
                Ok(struck)
            };
            let struck: Result<_> = lost();
            over.store(true, Ordering::Relaxed);
            let newcomers = sender
                .join()
                .map_err(|_| anyhow!("the sender panicked"))??;
            newcomers.until_known(rig, known + u64::from(NEWCOMERS))?;
            struck?.await_recovery(rig)
        })?;
        self.forget_newcomers()?;
        Ok(after)
    }

    fn mid_bulk(&mut self, cause: Cause) -> Result<Shown> {
        let rig = &self.rig;
        let (before, standby) = self.stop_in_transfer()?;
        match cause {
            Cause::Operator => {
                rig.is_refused(&["run", "msm-failover"], "the standby is not ready")?;
                resume(rig, standby)?;
                await_ready(rig.switch())?;
            }
            Cause::Diagnostic => {
                rig.switch().cli(&["debug", "fault", "diagnostic"])?;
                let still = shown(rig.switch())?;
                ensure!(
                    still.generation()? == before.generation()?,
                    "a broken master has handed over to a standby that is not ready: {still}"
                );
                resume(rig, standby)?;
                await_ready(rig.switch())?;
            }
            _ => {
                let struck = cause.strike(rig, &before)?;
                resume(rig, standby)?;
                let after = struck.await_recovery(rig)?;
                let detail = after.last()["detail"].as_str().unwrap_or_default();
                ensure!(
                    cause == Cause::Kill || cause == Cause::Panic || detail.contains("fdb is"),
                    "why it is not hitless is not told: {after}"
                );
                return Ok(after);
            }
        }
        cause.strike(rig, &before)?.await_recovery(rig)
    }

    /// A standby that is stopped in the middle of the transfer of the residents.
    fn stop_in_transfer(&self) -> Result<(Shown, Slot)> {
        let rig = &self.rig;
        for _ in 0..TRIES {
            let slot = await_ready(rig.switch())?.slot("standby")?;
            let killed = rig.chassis.signal(slot, Part::Daemon, Signal::SIGKILL)?;
            let again = |module: &Module| {
                module.daemon.is_some_and(|pid| pid != killed)
                    && module.role.as_deref() == Some("standby")
            };
            rig.chassis.await_module(slot, again)?;
            rig.chassis.signal(slot, Part::Daemon, Signal::SIGSTOP)?;
            let now = shown(rig.switch())?;
            let waiting = now.0["checkpoint"]["records"].as_u64().unwrap_or(0);
            if waiting >= in_socket()? + BEYOND
                && now.standby_state("fdb").is_ok_and(|s| s == "xfr")
            {
                return Ok((now, slot));
            }
            resume(rig, slot)?;
        }
        Err(anyhow!("no standby was stopped in a transfer"))
    }

    fn mid_bracket(&mut self, cause: Cause) -> Result<Shown> {
        let (before, standby, known, untold) = self.stop_in_bracket()?;
        let rig = &self.rig;
        if cause.needs_standby() {
            // It does not answer, so the master stays what it is.
            match cause {
                Cause::Operator => rig.is_refused(
                    &["run", "msm-failover"],
                    "the standby has not acknowledged everything",
                )?,
                _ => drop(rig.switch().cli(&["debug", "fault", "diagnostic"])?),
            }
            let still = shown(rig.switch())?;
            ensure!(
                still.generation()? == before.generation()?,
                "handed over to a standby that does not answer: {still}"
            );
            resume(rig, standby)?;
            await_shown(rig.switch(), |s| {
                s.is_ready() && s.0["checkpoint"]["records"] == 0
            })?;
        }
        let struck = cause.strike(rig, &before)?;
        if !cause.needs_standby() {
            resume(rig, standby)?;
        }
        let after = struck.await_recovery(rig)?;
        ensure!(
            rig.known()? >= known + untold,
            "{} addresses are known, before there were {known} and {untold}",
            rig.known()?
        );
        self.forget_newcomers()?;
        Ok(after)
    }

    /// A standby that is stopped while its master has learned more than it can be told: who was what, the stopped one,
    /// the addresses known before, and those that are new.
    fn stop_in_bracket(&mut self) -> Result<(Shown, Slot, u64, u64)> {
        let enough = in_socket()? + BEYOND;
        for _ in 0..TRIES {
            let rig = &self.rig;
            let before = await_ready(rig.switch())?;
            let known = rig.known()?;
            let standby = before.slot("standby")?;
            rig.chassis.signal(standby, Part::Daemon, Signal::SIGSTOP)?;
            // At full rate the kernel drops most of a crowd, and after two seconds the master gives the standby up.
            let start = Instant::now();
            while start.elapsed() < GIVES_UP / 2 {
                self.newcomers.send(NEWCOMERS / 4)?;
                let untold = rig.known()?.saturating_sub(known);
                if untold >= enough {
                    return Ok((before, standby, known, untold));
                }
            }
            resume(rig, standby)?;
            self.forget_newcomers()?;
        }
        Err(anyhow!("the standby was never told too little"))
    }

    fn configuring(&mut self, cause: Cause) -> Result<Shown> {
        self.timeout = if self.timeout == 60 {
            61
        } else {
            self.timeout + 1
        };
        let rig = &self.rig;
        let before = await_ready(rig.switch())?;
        let was = before.0["settings"]["timeout_seconds"].clone();
        let timeout = self.timeout.to_string();
        let (asker, said) = rig.background(&["configure", "msm-failover", "timeout", &timeout])?;
        // Now in this moment of the change, now in that.
        std::thread::sleep(Duration::from_millis(u64::from(self.timeout % 8) * 2));
        let struck = cause.strike(rig, &before)?;
        let after = struck.await_recovery(rig)?;
        let status = asker.wait(DEADLINE)?;
        let now = shown(rig.switch())?.0;
        let is = &now["settings"]["timeout_seconds"];
        match status.code() {
            Some(0) => ensure!(
                *is == self.timeout && now["unsaved"] == true,
                "what was answered as done is lost: {now}"
            ),
            // The master went away meanwhile, or was about to: it may have been done or not.
            Some(1 | 3 | 4) => ensure!(
                *is == self.timeout || *is == was,
                "neither the old nor the new setting: {now}"
            ),
            _ => return Err(anyhow!("it ended with {status}: {}", tail(&said))),
        }
        Ok(after)
    }

    fn forget_newcomers(&self) -> Result<()> {
        self.rig.switch().cli(&["clear", "fdb", "port", "6"])?;
        Ok(())
    }
}

/// Records of the FDB that the socket between two modules holds at most.
fn in_socket() -> Result<u64> {
    /// Octets of the shortest record.
    const RECORD: u64 = 26;
    /// What a module asks for.
    const WANTED: u64 = 1 << 20;
    let path = "/proc/sys/net/core/wmem_max";
    let limit: u64 = fs::read_to_string(path).context(path)?.trim().parse()?;
    // The kernel doubles what it is asked for.
    Ok(2 * limit.min(WANTED) / RECORD)
}

/// Lets a stopped standby go on.
fn resume(rig: &Rig<'_>, standby: Slot) -> Result<()> {
    rig.chassis
        .signal(standby, Part::Daemon, Signal::SIGCONT)
        .map(drop)
        .context("let the standby go on")
}

impl Situation {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Idle,
        Self::Learning,
        Self::MidBulk,
        Self::MidBracket,
        Self::Configuring,
    ];
}
