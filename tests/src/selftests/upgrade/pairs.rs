//! Upgrades and downgrades between all versions that there are.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::desk::Desk;
use super::rig::Rig;
use crate::harness::images::Edition;
use crate::harness::ktap::{Case, Ctx};
use crate::selftests::lab::Mode;

/// Several upgrades in a row.
const LONG: Duration = Duration::from_secs(400);

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "upgrade.same",
        "hitless upgrade to an image of the same version, standard: nothing is lost, spanning tree does not move, accepted \
         on command, and rollback returns (seed: 53-56)",
        same,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.pairs-tc",
        "hitless upgrade between all ordered pairs of an older, the current and a newer version, in TC: lost 0, spanning \
         tree unmoved, master, standby and hardware equal (seed: 3, 53-61)",
        |ctx| pairs(ctx, Mode::Tc),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.pairs-xdp",
        "the same in XDP (seed: 3, 53-61)",
        |ctx| pairs(ctx, Mode::Xdp),
    )
    .timeout(LONG),
    Case::new(
        "upgrade.conservative",
        "hitless upgrade --conservative: the old version waits in the other slot, run msm-failover goes back to it; again, \
         and upgrade accept brings the new version into both (seed: 57-59)",
        conservative,
    )
    .timeout(LONG),
];

fn same(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    rig.go(Edition::Current, &["accept-within", "10m"])?;
    let status = rig.status()?;
    ensure!(status.step() == "accept", "{status}");
    rig.switch().cli(&["upgrade", "accept"])?;
    rig.await_outcome("accepted", "")?;
    rig.runs(Edition::Current)?;
    ensure!(
        rig.selected()? == ["secondary", "secondary"],
        "{:?}",
        rig.selected()
    );
    rig.others.go_on(1_000)?;
    rig.switch().cli(&["--yes", "rollback"])?;
    rig.await_outcome("rolled-back", "by command")?;
    rig.runs(Edition::Current)?;
    ensure!(
        rig.selected()? == ["primary", "primary"],
        "{:?}",
        rig.selected()
    );
    rig.unharmed(&tree)
}

/// Each ordered pair of versions once, in one walk.
const WALK: [Edition; 6] = [
    Edition::Newer,
    Edition::Older,
    Edition::Current,
    Edition::Older,
    Edition::Newer,
    Edition::Current,
];

fn pairs(ctx: &Ctx, mode: Mode) -> Result<()> {
    let mut rig = Rig::new(ctx, mode)?;
    let tree = rig.tree()?;
    let mut from = Edition::Current;
    for to in WALK {
        let name = format!("{from:?} to {to:?}");
        rig.others.phase(&name)?;
        rig.go(to, &["accept-within", "0"])
            .with_context(|| name.clone())?;
        rig.runs(to)?;
        rig.others.unharmed().with_context(|| name.clone())?;
        let now = rig.tree()?;
        ensure!(now == tree, "{name}: the tree was {tree} and is {now}");
        ctx.tell(format!("{name}: {}", times(&rig)?));
        from = to;
    }
    rig.unharmed(&tree)
}

/// The times of the last upgrade's steps.
fn times(rig: &Rig<'_>) -> Result<String> {
    let status = rig.status()?;
    let steps = status.0["steps"].as_array().context("no steps")?;
    let steps: Vec<String> = steps
        .iter()
        .map(|step| format!("{} {} ms", step["step"], step["took_ms"]))
        .collect();
    Ok(format!(
        "{}; without a master {} us",
        steps.join(", "),
        status.0["without_master_us"]
    ))
}

fn conservative(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[])?;
    for accepted in [false, true] {
        let (code, text) = rig.upgrade(&image, &["--conservative"])?;
        ensure!(
            code == Some(0),
            "ended with {code:?}:\n{text}\n{}",
            rig.log()
        );
        let shown = crate::selftests::failover::rig::await_ready(rig.switch())?;
        let versions = [
            shown.module("master")?["version"].clone(),
            shown.module("standby")?["version"].clone(),
        ];
        ensure!(
            versions == [Edition::Newer.version()?, Edition::Current.version()?],
            "{versions:?}"
        );
        ensure!(
            rig.selected()? == ["primary", "primary"],
            "{:?}",
            rig.selected()
        );
        if accepted {
            rig.switch().cli(&["upgrade", "accept"])?;
            rig.await_outcome("accepted", "")?;
            rig.runs(Edition::Newer)?;
        } else {
            // The guide's way back.
            rig.switch().cli(&["run", "msm-failover"])?;
            rig.await_outcome("rolled-back", "by command")?;
            rig.runs(Edition::Current)?;
        }
    }
    rig.unharmed(&tree)
}
