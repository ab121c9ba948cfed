//! A switch without any module in a ring: its ports that make no loop go on, and the others close before a neighbour
//! opens the way round.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::kernel::QUICK;
use super::net::{Net, Ours, Plan, SETTLES, VLAN};
use super::ring::{all_hear, everybody};
use crate::harness::{
    chassis::Chassis,
    ktap::{Case, Ctx},
    neighbour::Parameters,
    numbered::{Broadcast, Outcome},
};
use crate::selftests::failover::rig;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "stp.no-module",
    "both modules of a switch in a ring with bridges of the kernel are gone: no loop at any instant although a neighbour \
     opens its port, stations at edge ports still reach the root side, and with a module all is back (seed: 20, 52)",
    |ctx| no_module(ctx, Duration::from_secs(60)),
)
.timeout(Duration::from_secs(240))
.waits()];

/// Long versions, for a soak.
pub const SOAK: &[Case] = &[Case::new(
    "stp.soak",
    "stp.no-module for five minutes (seed: 20, 52)",
    |ctx| no_module(ctx, Duration::from_secs(300)),
)
.timeout(Duration::from_secs(600))];

/// Between two looks for a loop.
const LOOK: Duration = Duration::from_millis(100);

/// How long the ports of a switch without a master go on as they are.
const LEASE_MS: u32 = 3_000;

fn no_module(ctx: &Ctx, watched: Duration) -> Result<()> {
    let a = Ours::new("a", 8192)
        .s0(&format!("{QUICK}, path_cost_method: short"))
        .failover(&format!("{{lease_ms: {LEASE_MS}}}"))
        .both();
    // Link a2-m3 is served by a, and closed by m.
    let plan = Plan::default()
        .ours([a])
        .bridge("k", Parameters::quick(4096))
        .bridge("m", Parameters::quick(32768))
        .ring(&["k", "a", "m"])
        .hosts([("k", 1), ("a", 1), ("m", 1)]);
    let mut net = Net::up(ctx, &plan)?;
    let trees = net.await_settled(1)?;
    let view = net.bridge("m")?.view()?;
    ensure!(
        trees["a"].root_port == Some(3)
            && trees["a"].serves(2)
            && view.ports["p3"].state == "blocking",
        "not the tree of these priorities: {trees:?} {view:?}"
    );
    let entry = net.node("a")?.hardware(VLAN)?;
    ensure!(
        entry.fallback.has(1) && entry.fallback.has(3) && !entry.fallback.has(2),
        "edge port and root port, and no other, go on without a master: {entry:?}"
    );

    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    // Its boots end with the chassis, and their modules with them.
    drop(net.node_mut("a")?.chassis.take());
    let lost = Instant::now();
    // What m heard of a gets old, and m opens: this is where the loop would be.
    net.bridge("m")?
        .await_view("the neighbour to open its port", SETTLES, |view| {
            view.ports["p3"].state == "forwarding"
        })?;
    let opened = lost.elapsed();
    ensure!(
        opened < watched,
        "the neighbour opened after {opened:?}: there was too little to see"
    );
    ctx.tell(format!(
        "the neighbour opened its port after {} ms",
        opened.as_millis()
    ));
    while lost.elapsed() < watched {
        // A loop fills the machine: it is told at once.
        flows.iter().try_for_each(|flow| flow.so_far().no_loop())?;
        std::thread::sleep(LOOK);
    }
    all_hear(&flows, SETTLES).context("without a module")?;
    // Of what does not need the closed link nothing was lost in all the time.
    for outcome in stop(flows)? {
        outcome.hitless().context("without a module")?;
    }

    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    let node = net.node_mut("a")?;
    let mut command = rig::chassis_command(&node.switch)?;
    node.chassis = Some(Chassis::spawn(ctx.run(), &node.switch, &mut command)?);
    rig::await_ready(&node.switch)?;
    net.await_settled(1)?;
    all_hear(&flows, SETTLES).context("with a module again")?;
    for outcome in stop(flows)? {
        outcome.no_loop().context("with a module again")?;
        let ms = outcome.longest().as_millis();
        ctx.tell(format!(
            "start of a module: {} without traffic for {ms} ms",
            outcome.source
        ));
    }
    let view = net.bridge("m")?.view()?;
    ensure!(
        view.ports["p3"].state == "blocking",
        "the neighbour's port is not closed again: {view:?}"
    );
    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    stop(flows)?.iter().try_for_each(Outcome::hitless)
}

fn stop(flows: Vec<Broadcast>) -> Result<Vec<Outcome>> {
    flows.into_iter().map(Broadcast::stop).collect()
}
