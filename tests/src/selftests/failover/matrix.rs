//! Every cause in every situation, on both hooks, at full rate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::causes::Cause;
use super::rig::{PATIENT, Rig, Shown, await_ready, await_shown, equal};
use super::situations::{Scene, Situation};
use crate::harness::{
    chassis::Part,
    ktap::{Case, Ctx},
};
use crate::selftests::lab::Mode;
use crate::selftests::pinned::Pinned;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "failover.matrix-tc",
        "every cause, idle, learning, mid-bulk, mid-bracket and during a change of the configuration, in TC at full \
         rate: nothing lost, doubled or re-ordered, all tables equal (seed: 1, 6, 7, 8, 9, 10, 11, 13, 16, 17, 27, \
         29, 47, 50, 51, 52)",
        |ctx| matrix(ctx, Mode::Tc),
    )
    .timeout(LONG),
    Case::new(
        "failover.matrix-xdp",
        "the same in XDP (seed: 1, 6, 7, 8, 9, 10, 11, 13, 16, 17, 27, 29, 47, 50, 51, 52)",
        |ctx| matrix(ctx, Mode::Xdp),
    )
    .timeout(LONG),
    Case::new(
        "failover.out-of-the-box",
        "with the settings that a switch has by default a failover of any kind costs no frame, and no VLAN its lease \
         (seed: 7, 8, 9, 32, 52)",
        out_of_the_box,
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(600);

/// Frames of each flow after each failover.
const SOME: u64 = 1_000;

fn matrix(ctx: &Ctx, mode: Mode) -> Result<()> {
    let mut scene = Scene::new(Rig::new(ctx, mode, PATIENT, None)?)?;
    let pinned = Pinned::of(scene.rig.switch());
    let before = pinned.state()?;
    for situation in Situation::ALL {
        for cause in Cause::ALL {
            let name = format!("{cause}, {situation}");
            scene.rig.others.phase(&name)?;
            scene.cell(situation, cause).with_context(|| name.clone())?;
            scene.rig.others.go_on(SOME).with_context(|| name.clone())?;
        }
        scene.rig.others.finish()?;
        let differences = pinned.state()?.differences(&before);
        ensure!(
            differences.is_empty(),
            "after {situation} the hardware is not as it was: {differences:?}"
        );
        scene.rig.others.begin()?;
    }
    scene.rig.others.finish()
}

/// Frames a second that leave the CPUs to others.
const RATE: u32 = 20_000;

fn out_of_the_box(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, "{}", Some(RATE))?;
    let settings = await_ready(rig.switch())?.0["settings"].clone();
    ensure!(
        settings["preservation_level"] == 6 && settings["hitless"] == true,
        "not set for hitless failover: {settings}"
    );
    for cause in Cause::ALL {
        rig.others.phase(cause.shown())?;
        let before = await_ready(rig.switch())?;
        // A module that hangs is found by its watchdog and by its standby: on a busy machine by either first.
        let causes = match cause {
            Cause::Hang => [Cause::Hang, Cause::Silence].as_slice(),
            _ => std::slice::from_ref(&cause),
        };
        let count = |shown: &Shown| -> u64 {
            let counts = causes.iter().map(|c| &shown.0["failovers"][c.shown()]);
            counts.filter_map(serde_json::Value::as_u64).sum()
        };
        let (slot, times) = (before.slot("master")?, count(&before));
        let _asker = cause.strike(&rig, &before)?;
        // On a busy machine these settings may find a module lost that is only slow: that costs nothing either.
        await_shown(rig.switch(), |shown| count(shown) > times)
            .with_context(|| format!("a failover by {cause}"))?;
        if cause == Cause::Silence {
            rig.chassis.signal(slot, Part::Boot, Signal::SIGCONT)?;
        }
        await_ready(rig.switch())?;
        equal(rig.switch())?;
        rig.others.go_on(SOME)?;
    }
    rig.others.finish()
}
