//! Failovers back and forth, very often: nothing is lost, and nothing grows.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::causes::Cause;
use super::rig::{PATIENT, Rig, Shown, await_ready};
use crate::harness::{
    chassis::Slot,
    ktap::{Case, Ctx},
};
use crate::selftests::lab::Mode;
use crate::selftests::pinned::Pinned;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "failover.two-hundred",
    "200 failovers back and forth, by the operator and by SIGKILL: nothing lost, the same links, and descriptors, \
     memory and pins flat (seed: 6, 7, 16, 17, 29)",
    |ctx| back_and_forth(ctx, 200),
)
.timeout(Duration::from_secs(1_200))];

/// What `cargo xtask soak` runs.
pub const SOAK: &[Case] = &[Case::new(
    "failover.soak",
    "2,000 failovers back and forth: nothing lost, and nothing grows (seed: 6, 7, 16, 17, 29)",
    |ctx| back_and_forth(ctx, 2_000),
)
.timeout(Duration::from_secs(4 * 3_600))];

/// Frames a second that leave the CPUs to others.
const RATE: u32 = 20_000;
/// Frames of each flow after each failover.
const SOME: u64 = 200;
/// Failovers in a phase of the flows, which have no more than 64.
const PHASES: u32 = 40;
/// Failovers after which everything has the size that it keeps: each module was everything some times.
const WARM: u32 = 10;

fn back_and_forth(ctx: &Ctx, failovers: u32) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let pinned = Pinned::of(rig.switch());
    let links = pinned.state()?.links;
    let mut at_first = None;
    for number in 1..=failovers {
        if (number - 1).is_multiple_of(failovers.div_ceil(PHASES)) {
            rig.others.phase(&format!("failover {number}"))?;
        }
        let cause = match number % 2 {
            0 => Cause::Kill,
            _ => Cause::Operator,
        };
        let step = || -> Result<Shown> {
            let before = await_ready(rig.switch())?;
            let after = cause.strike(&rig, &before)?.await_recovery(&rig)?;
            ensure!(after.last()["hitless"] == true, "not hitless: {after}");
            rig.others.go_on(SOME)?;
            Ok(after)
        };
        let after = step().with_context(|| format!("failover {number}, {cause}"))?;
        let now = Sizes::of(&rig, &after)?;
        match &mut at_first {
            None if number == WARM => at_first = Some(now),
            None => {}
            Some(at_first) => now
                .as_before(at_first)
                .with_context(|| format!("after failover {number}"))?,
        }
    }
    ensure!(pinned.state()?.links == links, "other links are pinned");
    let after = await_ready(rig.switch())?;
    let counted: u64 = [Cause::Operator, Cause::Kill]
        .iter()
        .filter_map(|cause| after.0["failovers"][cause.shown()].as_u64())
        .sum();
    ensure!(
        counted == u64::from(failovers),
        "{failovers} failovers were made: {after}"
    );
    rig.others.finish()
}

/// What would grow if something was not given back.
#[derive(Debug)]
struct Sizes {
    /// Who, open descriptors and memory in kB; the same who, in whatever process.
    processes: Vec<(String, usize, u64)>,
    pins: BTreeSet<PathBuf>,
    /// Files in the run directory.
    files: usize,
}

impl Sizes {
    fn of(rig: &Rig<'_>, shown: &Shown) -> Result<Self> {
        let mut pids = vec![("chassis".to_owned(), rig.chassis.process().pid())];
        for slot in Slot::ALL {
            pids.push((
                format!("boot of {}", slot.name()),
                rig.chassis.module(slot)?.boot,
            ));
        }
        for role in ["master", "standby"] {
            pids.push((role.into(), shown.pid(role)?));
        }
        let processes = pids
            .into_iter()
            .map(|(who, pid)| {
                let open = fs::read_dir(format!("/proc/{pid}/fd"))
                    .with_context(|| format!("{who}, process {pid}"))?;
                Ok((who, open.count(), memory(pid)?))
            })
            .collect::<Result<_>>()?;
        let mut pins = BTreeSet::new();
        list(&rig.switch().pins(), &mut pins)?;
        Ok(Self {
            processes,
            pins,
            files: fs::read_dir(rig.switch().state())?.count(),
        })
    }

    fn as_before(&self, before: &Self) -> Result<()> {
        /// Descriptors that come and go: connections of those who ask.
        const ASKING: usize = 4;
        /// What an allocator may keep for later, in kB.
        const KEPT: u64 = 4_096;
        for ((who, open, memory), (_, open_before, memory_before)) in
            self.processes.iter().zip(&before.processes)
        {
            if *open > open_before + ASKING {
                bail!("{who} has {open} descriptors open; there were {open_before}");
            }
            if *memory > memory_before * 5 / 4 + KEPT {
                bail!("{who} takes {memory} kB; there were {memory_before}");
            }
        }
        ensure!(
            self.pins == before.pins,
            "pins: {:?}; there were {:?}",
            self.pins,
            before.pins
        );
        ensure!(
            self.files <= before.files + 2,
            "{} files in the run directory; there were {}",
            self.files,
            before.files
        );
        Ok(())
    }
}

/// Memory in use that is a process's own, in kB.
fn memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|l| l.trim().strip_suffix("kB"));
    Ok(kilobytes.context("RssAnon")?.trim().parse()?)
}

fn list(dir: &Path, found: &mut BTreeSet<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), found)?;
        }
        found.insert(entry.path());
    }
    Ok(())
}
