//! A switch in a ring with bridges of the kernel is upgraded and gone back: its neighbours do not notice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::desk::Desk;
use crate::harness::{
    bpdus::{Heard, Recorder},
    images::{Edition, Maker},
    ktap::{Case, Ctx},
    neighbour::Parameters,
    switch::Switch,
};
use crate::selftests::failover::rig::PATIENT;
use crate::selftests::stp::failover::{Moved, await_rest};
use crate::selftests::stp::kernel::QUICK;
use crate::selftests::stp::net::{Net, Ours, Plan, SETTLES};
use crate::selftests::stp::ring::{all_hear, everybody, hitless};

const LONG: Duration = Duration::from_secs(400);

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "upgrade.ring-kernel-root",
        "the root of a ring with two bridges of the kernel is upgraded and downgraded, and goes back each time: lost 0, no \
         frame twice; roots, roles, states and counters of topology changes unmoved (seed: 3, 20, 53-61)",
        |ctx| goes_and_returns(ctx, 4096),
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "upgrade.ring-kernel-middle",
        "the same of a switch between a root and a port that is closed because of it, both of them the kernel's \
         (seed: 3, 20, 53-61)",
        |ctx| goes_and_returns(ctx, 12288),
    )
    .timeout(LONG)
    .waits(),
];

/// A ring of bridges k and m of the kernel and switch a of ours.
struct Ring<'a> {
    net: Net,
    maker: Maker,
    ctx: &'a Ctx,
}

impl Desk for Ring<'_> {
    fn switch(&self) -> &Switch {
        &self.net.ours["a"].switch
    }

    fn ctx(&self) -> &Ctx {
        self.ctx
    }

    fn maker(&self) -> &Maker {
        &self.maker
    }
}

fn ring(ctx: &Ctx, priority: u16) -> Result<Ring<'_>> {
    let a = Ours::new("a", priority)
        .s0(&format!("{QUICK}, path_cost_method: short"))
        .failover(PATIENT)
        .both();
    let plan = Plan::default()
        .ours([a])
        .bridge("k", Parameters::quick(8192))
        .bridge("m", Parameters::quick(16384))
        .ring(&["k", "a", "m"])
        .hosts([("k", 1), ("a", 1), ("m", 1)]);
    let net = Net::up(ctx, &plan)?;
    let switch = &net.node("a")?.switch;
    switch.cli(&["configure", "image", "unsigned", "allow"])?;
    switch.cli(&["save"])?;
    let maker = Maker::new(ctx.files());
    Ok(Ring { net, maker, ctx })
}

fn goes_and_returns(ctx: &Ctx, priority: u16) -> Result<()> {
    let mut ring = ring(ctx, priority)?;
    let tree = ring.net.await_settled(1)?.remove("a").context("switch a")?;
    let m = ring.net.bridge("m")?.view()?;
    // Whichever place a has: without its BPDUs m would open that port, and frames would go round.
    let depends = if tree.is_root() {
        m.ports["p2"].state == "blocking"
    } else {
        m.ports["p3"].state == "blocking" && tree.leads(3) && tree.serves(2)
    };
    ensure!(
        depends,
        "not the tree of these priorities: {tree:?} and {m:?}"
    );
    let ends = [("k", 2), ("k", 3), ("a", 2), ("a", 3), ("m", 2), ("m", 3)];
    let hear = |end| Ok((end, ring.net.hear(end)?));
    let ears: Vec<(_, Recorder)> = ends.into_iter().map(hear).collect::<Result<_>>()?;
    await_rest(ears.iter().map(|(_, ear)| ear))?;
    let marks: Vec<usize> = ears.iter().map(|(_, ear)| ear.mark()).collect();
    let before = Moved::of(&ring.net)?;
    let flows = everybody(&ring.net)?;
    all_hear(&flows, SETTLES)?;
    let unmoved = |ring: &Ring<'_>, what: &str| -> Result<()> {
        let after = Moved::of(&ring.net)?;
        ensure!(
            after == before,
            "{what}: something moved: {before:?} became {after:?}"
        );
        all_hear(&flows, SETTLES).with_context(|| what.to_owned())
    };
    for edition in [Edition::Newer, Edition::Older] {
        let there = format!("to {edition:?}");
        ring.go(edition, &["accept-within", "10m"])
            .with_context(|| there.clone())?;
        ring.runs(edition)?;
        unmoved(&ring, &there)?;
        ring.switch().cli(&["upgrade", "accept"])?;
        ring.await_outcome("accepted", "")?;
        ring.switch().cli(&["--yes", "rollback"])?;
        ring.await_outcome("rolled-back", "by command")?;
        ring.runs(Edition::Current)?;
        unmoved(&ring, &format!("back from {edition:?}"))?;
    }
    hitless(flows)?;
    for ((end, ear), mark) in ears.into_iter().zip(marks) {
        let heard = ear.stop()?.split_off(mark);
        let told = heard.iter().find(|heard| heard.tells_of_change());
        ensure!(
            told.is_none(),
            "{end:?} told of a topology change: {:?}",
            told.map(Heard::bpdu)
        );
    }
    Ok(())
}
