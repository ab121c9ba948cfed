//! Who is master, who is standby, and who is neither: whatever is killed, stopped or started, in whatever order.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::causes::Cause;
use super::rig::{PATIENT, Rig, await_equal, await_ready, equal, shown};
use super::writers::{Watch, holder, is_running, listens_at};
use crate::harness::{
    chassis::{Part, Slot},
    ktap::{Case, Ctx},
};
use crate::selftests::lab::Mode;
use crate::selftests::socket::Noise;
use crate::selftests::trial::ends;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "failover.one-writer",
        "modules killed, stopped and continued in random order: never two writers, the generation only rises, no frame \
         lost, and in the end both are ready (seed: 1, 4, 7, 29)",
        one_writer,
    )
    .timeout(Duration::from_secs(300)),
    Case::new(
        "failover.stopped-master",
        "a master that was stopped and is let go on after the takeover is dead, and wrote nothing (seed: 9, 4)",
        stopped_master,
    ),
    Case::new(
        "failover.third-module",
        "a third module is refused with the reason in either slot, and harms nobody (seed: 1, 2)",
        third_module,
    ),
    Case::new(
        "failover.standby-is-passive",
        "a standby does not have the role lock, listens nowhere and needs next to no CPU (seed: 4)",
        passive,
    ),
];

const RATE: u32 = 20_000;

/// Signals that are sent.
const STEPS: u64 = 40;

fn one_writer(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let watch = Watch::start(rig.switch())?;
    let before = shown(rig.switch())?.generation()?;
    // The same in every run.
    let mut noise = Noise(0x6869_746c_6573_7321);
    let mut rounds = 0;
    for step in 0..STEPS {
        let slot = Slot::ALL[(noise.draw() % 2) as usize];
        let (part, signal) = match noise.draw() % 8 {
            0..=2 => (Part::Daemon, Signal::SIGKILL),
            3 | 4 => (Part::Daemon, Signal::SIGSTOP),
            5 => (Part::Boot, Signal::SIGKILL),
            _ => (Part::Daemon, Signal::SIGCONT),
        };
        ctx.note(format!(
            "step {step}: {signal} to the {part:?} of {}",
            slot.name()
        ));
        // Who is just not there gets no signal.
        let _ = rig.chassis.signal(slot, part, signal);
        if step % 10 == 0 {
            rig.others.phase(&format!("from step {step}"))?;
        }
        if noise.draw().is_multiple_of(4) {
            for slot in Slot::ALL {
                let _ = rig.chassis.signal(slot, Part::Daemon, Signal::SIGCONT);
            }
            await_ready(rig.switch()).with_context(|| format!("after step {step}"))?;
            await_equal(rig.switch()).with_context(|| format!("after step {step}"))?;
            rounds += 1;
        }
        std::thread::sleep(Duration::from_millis(noise.draw() % 150));
    }
    for slot in Slot::ALL {
        let _ = rig.chassis.signal(slot, Part::Daemon, Signal::SIGCONT);
    }
    let after = await_ready(rig.switch())?;
    await_equal(rig.switch())?;
    rig.others.unharmed()?;
    let seen = watch.finish()?;
    ensure!(
        seen.looks > STEPS && seen.holders > 3 && rounds > 0 && after.generation()? > before,
        "{seen:?}, {rounds} times ready, generations {before} to {after}"
    );
    rig.others.finish()
}

fn stopped_master(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let watch = Watch::start(rig.switch())?;
    let before = await_ready(rig.switch())?;
    let old = before.pid("master")?;
    let struck = Cause::Silence.strike(&rig, &before)?;
    struck.await_takeover(&rig)?;
    // Its boot still stands, so its number is still its own.
    let old = Pid::from_raw(old.cast_signed());
    kill(old, Signal::SIGCONT).context("let the old master go on")?;
    let status = fs::read_to_string(format!("/proc/{old}/status")).unwrap_or_default();
    ensure!(
        status.contains("State:\tZ") && !is_running(old.as_raw().cast_unsigned()),
        "the old master lives:\n{status}"
    );
    struck.await_recovery(&rig)?;
    rig.others.unharmed()?;
    watch.finish()?;
    rig.others.finish()
}

fn third_module(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let before = await_ready(rig.switch())?;
    let busy = format!(
        "switch {} already has a running hitlessd",
        rig.switch().name()
    );
    for slot in Slot::ALL {
        let mut command = rig.switch().daemon()?;
        command.args(["--slot", slot.name()]);
        ends(ctx, &mut command, 1, &[&busy])?;
    }
    let after = await_ready(rig.switch())?;
    ensure!(
        after.generation()? == before.generation()?
            && after.pid("master")? == before.pid("master")?
            && after.pid("standby")? == before.pid("standby")?,
        "other modules: {after}"
    );
    equal(rig.switch())?;
    rig.others.unharmed()?;
    rig.others.finish()
}

fn passive(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let now = await_ready(rig.switch())?;
    let (master, standby) = (now.pid("master")?, now.pid("standby")?);
    let lock = holder(&rig.switch().pins())?;
    ensure!(
        lock == Some(master),
        "process {lock:?} has the role lock, not {master}"
    );
    let (at, state) = (listens_at(master)?, rig.switch().state());
    // The control socket got its name after it was bound.
    ensure!(
        at.len() >= 2 && at.iter().all(|path| path.starts_with(&state)),
        "the master listens at {at:?}"
    );
    let at = listens_at(standby)?;
    ensure!(at.is_empty(), "the standby listens at {at:?}");
    let before = ticks(standby)?;
    std::thread::sleep(Duration::from_secs(2));
    let spent = ticks(standby)? - before;
    // Of 200 hundredths of a second.
    ensure!(spent <= 10, "the standby took {spent} of 200 ticks");
    rig.others.unharmed()?;
    rig.others.finish()
}

/// CPU time of a process, in hundredths of a second.
fn ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a stat line")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let [user, system] = [11, 12].map(|at| fields.get(at).and_then(|f| f.parse::<u64>().ok()));
    Ok(user.context("utime")? + system.context("stime")?)
}
