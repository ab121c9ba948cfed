//! Failovers between versions whose maps and records differ: the data path is migrated under traffic, both ways, and
//! whenever that is cut short.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::failover::rig::{PATIENT, Rig, Shown, await_ready, await_shown, equal};
use crate::harness::{
    chassis::{Part, Slot},
    images::Edition,
    ktap::{Case, Ctx},
    switch::{DEADLINE, Switch},
    wait::wait_for,
};
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "migrate.pairs-tc",
        "failovers to and fro between all pairs of versions, in TC at full rate: nothing lost, counters go on, the \
         standby told everything (seed: 46, 53, 59)",
        |ctx| pairs(ctx, Mode::Tc),
    )
    .timeout(LONG),
    Case::new(
        "migrate.pairs-xdp",
        "the same in XDP (seed: 46, 53, 59)",
        |ctx| pairs(ctx, Mode::Xdp),
    )
    .timeout(LONG),
    Case::new(
        "migrate.pairs-killed",
        "a master that is killed is followed by another version, and that one by the first: nothing lost (seed: 8, 46)",
        killed,
    )
    .timeout(LONG),
    Case::new(
        "migrate.cut-short",
        "a module that ends at any step of a migration, up as well as down, costs no frame, and leaves hardware that \
         every version can go on with (seed: 16, 17)",
        cut_short,
    )
    .timeout(LONG),
    Case::new(
        "migrate.cut-at-random",
        "the same for modules that are killed at random moments of a takeover (seed: 16, 17)",
        cut_at_random,
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(600);

/// Frames of each flow after each failover.
const SOME: u64 = 2_000;

/// Frames a second that leave the CPUs to others.
const RATE: u32 = 20_000;

/// Every two versions, the lower one first: it is the first master, since without a failover from it no older version
/// may be the standby of a newer one.
const PAIRS: [(Edition, Edition); 3] = [
    (Edition::Older, Edition::Current),
    (Edition::Current, Edition::Newer),
    (Edition::Older, Edition::Newer),
];

/// A switch whose slots have these versions, and whose modules see this variable.
fn rig<'a>(
    ctx: &'a Ctx,
    mode: Mode,
    rate: Option<u32>,
    (low, high): (Edition, Edition),
    step: Option<&str>,
) -> Result<Rig<'a>> {
    let rig = Rig::with(ctx, mode, PATIENT, rate, |command| {
        command.arg("--image-a").arg(low.program()?);
        command.arg("--image-b").arg(high.program()?);
        if let Some(step) = step {
            command.env("HITLESS_FAULT_STEP", step);
        }
        Ok(())
    })
    .with_context(|| format!("{low:?} in msm-a, {high:?} in msm-b"))?;
    ensure!(
        await_ready(rig.switch())?.slot("master")? == Slot::A,
        "msm-b is the first master"
    );
    Ok(rig)
}

/// What must never go back, and what the hardware must hold.
struct State {
    counters: Vec<u64>,
    links: Vec<String>,
}

impl State {
    fn of(switch: &Switch) -> Result<Self> {
        let shown = switch.show("ports")?;
        let ports = shown.as_array().context("show ports is an array")?;
        let names = ["rx_frames", "rx_bytes", "tx_frames", "tx_bytes"];
        let counters = ports
            .iter()
            .flat_map(|port| names.map(|name| port[name].as_u64().unwrap_or_default()));
        Ok(Self {
            counters: counters.collect(),
            links: links(&switch.pins())?,
        })
    }

    /// Whether counters went on and no port lost a program since `before`.
    fn follows(&self, before: &Self) -> Result<()> {
        let back = self.counters.iter().zip(&before.counters);
        let back: Vec<_> = back.filter(|(now, then)| now < then).collect();
        ensure!(back.is_empty(), "counters went back: {back:?}");
        ensure!(
            self.counters.len() == before.counters.len() && self.counters.iter().any(|&n| n > 0),
            "other counters than before: {} and {}",
            before.counters.len(),
            self.counters.len()
        );
        ensure!(
            self.links == before.links,
            "other links than before: {:?}, {:?}",
            before.links,
            self.links
        );
        Ok(())
    }
}

/// The links that are pinned, in the one directory that there may be.
fn links(pins: &Path) -> Result<Vec<String>> {
    let names = |dir: &Path| -> Result<Vec<String>> {
        let entries = fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?;
        let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        names.collect()
    };
    let layouts = names(pins)?;
    ensure!(layouts.len() == 1, "not one set of pins: {layouts:?}");
    let mut links = names(&pins.join(&layouts[0]))?;
    links.retain(|name| name.starts_with("link_"));
    links.sort();
    Ok(links)
}

/// A failover by command, and everything as it should be after it.
fn fail_over(rig: &Rig<'_>, to: Slot) -> Result<()> {
    let before = State::of(rig.switch())?;
    rig.switch().cli(&["run", "msm-failover"])?;
    arrived(rig, to, &before)
}

fn arrived(rig: &Rig<'_>, at: Slot, before: &State) -> Result<()> {
    let is = |shown: &Shown| shown.is_ready() && shown.slot("master").is_ok_and(|slot| slot == at);
    // The standby loads its programs first, for which a busy machine takes longer than for all else.
    let again = |_| await_shown(rig.switch(), is);
    let after = await_shown(rig.switch(), is)
        .or_else(again)
        .or_else(again)?;
    ensure!(after.last()["hitless"] == true, "not hitless: {after}");
    State::of(rig.switch())?.follows(before)?;
    equal(rig.switch())?;
    rig.others.unharmed()?;
    rig.others.go_on(SOME)
}

fn pairs(ctx: &Ctx, mode: Mode) -> Result<()> {
    for pair in PAIRS {
        let mut rig = rig(ctx, mode, None, pair, None)?;
        for round in 1..=3 {
            for to in [Slot::B, Slot::A] {
                let name = format!("{pair:?} to {} {round}", to.name());
                rig.others.phase(&name)?;
                fail_over(&rig, to).with_context(|| name.clone())?;
            }
        }
        rig.others.finish()?;
    }
    Ok(())
}

fn killed(ctx: &Ctx) -> Result<()> {
    for pair in PAIRS {
        let mut rig = rig(ctx, Mode::Mixed, Some(RATE), pair, None)?;
        for (from, to) in [(Slot::A, Slot::B), (Slot::B, Slot::A)] {
            let name = format!("{pair:?}, {} killed", from.name());
            rig.others.phase(&name)?;
            let before = State::of(rig.switch())?;
            rig.chassis.signal(from, Part::Daemon, Signal::SIGKILL)?;
            arrived(&rig, to, &before).with_context(|| name.clone())?;
        }
        rig.others.finish()?;
    }
    Ok(())
}

/// Steps of a migration, as `hw/migrate.rs` numbers them.
const STEPS: [&str; 7] = ["1", "2", "3", "4", "5", "6", "7"];

fn cut_short(ctx: &Ctx) -> Result<()> {
    for step in STEPS {
        for pair in [
            (Edition::Current, Edition::Newer),
            (Edition::Older, Edition::Current),
        ] {
            let name = format!("{pair:?}, ended at step {step}");
            one_cut(ctx, pair, step).with_context(|| name.clone())?;
        }
    }
    Ok(())
}

/// The edition that ends at this step, an edition other than this version, is the one that takes over.
fn one_cut(ctx: &Ctx, pair: (Edition, Edition), step: &str) -> Result<()> {
    let dies = match pair.1 {
        Edition::Newer => Slot::B,
        _ => Slot::A,
    };
    let mut rig = rig(ctx, Mode::Mixed, Some(RATE), pair, Some(step))?;
    if dies == Slot::A {
        // Down: the older edition is the first master, so it is left first.
        fail_over(&rig, Slot::B)?;
    }
    rig.others.phase("cut short")?;
    rig.switch().cli(&["run", "msm-failover"])?;
    wait_for("the end of the module that migrates", DEADLINE, || {
        let log = fs::read_to_string(rig.switch().log_path())?;
        let said = format!("ended at step {step}");
        Ok(log.contains(&said).then_some(()))
    })?;
    let lives = dies.other();
    await_shown(rig.switch(), |shown: &Shown| {
        // After the last step its own hardware is there, so that it may be the quicker one.
        let slot = shown.slot("master");
        slot.is_ok_and(|slot| slot == lives || step == "7")
    })?;
    rig.others.unharmed()?;
    let shown = rig.switch().show("ports")?;
    let ports = shown.as_array().context("show ports is an array")?;
    ensure!(
        ports.iter().all(|port| port["device_state"] == "attached"),
        "not all ports are attached: {shown}"
    );
    links(&rig.switch().pins())?;
    rig.others.go_on(SOME)?;
    rig.others.finish()
}

fn cut_at_random(ctx: &Ctx) -> Result<()> {
    // Moments after the command, spread over the time that a takeover takes.
    const MOMENTS: u64 = 24;
    let mut rig = rig(
        ctx,
        Mode::Mixed,
        Some(RATE),
        (Edition::Current, Edition::Newer),
        None,
    )?;
    for moment in 0..MOMENTS {
        let name = format!("moment {moment}");
        rig.others.phase(&name)?;
        let step = || -> Result<()> {
            let shown = await_shown(rig.switch(), Shown::has_master)?;
            let master = shown.slot("master")?;
            // An older module is no heir of a newer one that began by itself: then it takes over without a checkpoint.
            if shown.is_ready() {
                rig.switch().cli(&["run", "msm-failover"])?;
            } else {
                rig.chassis.signal(master, Part::Daemon, Signal::SIGKILL)?;
            }
            thread::sleep(Duration::from_millis(moment * 5));
            // It may have been started anew this moment: then the next one counts.
            let _ = rig
                .chassis
                .signal(master.other(), Part::Daemon, Signal::SIGKILL);
            await_shown(rig.switch(), Shown::has_master)?;
            rig.others.unharmed()
        };
        step().with_context(|| name.clone())?;
    }
    links(&rig.switch().pins())?;
    rig.others.finish()
}
