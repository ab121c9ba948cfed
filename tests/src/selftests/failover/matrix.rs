//! Every cause in every situation, on both hooks, at full rate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::causes::Cause;
use super::rig::{PATIENT, Rig};
use super::situations::{Scene, Situation};
use crate::harness::ktap::{Case, Ctx};
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
