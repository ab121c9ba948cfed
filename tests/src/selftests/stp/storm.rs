//! BPDUs as fast as a CPU can send them, at one port of a ring.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::failover::await_rest;
use super::net::{DEVICE, Net, Ours, Plan, SETTLES};
use super::ring::{LONG, all_hear, no_loop};
use super::wire::{root_vector, rst};
use crate::harness::{
    bpdus::{Heard, octets},
    features::{self, Feature},
    ktap::{Case, Ctx},
    probe::{Generator, Pattern},
};
use crate::selftests::failover::rig;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "stp.storm",
    "BPDUs as fast as they can be sent at one port: no failover, no change of the tree, and the ring's neighbours hear the \
     root as ever (seed: 20, 52)",
    storm,
)
.timeout(LONG)];

/// Frames of one burst.
const BURST: u32 = 100_000;

/// How long it rages.
const RAGES: Duration = Duration::from_secs(8);

fn storm(ctx: &Ctx) -> Result<()> {
    let ours = [("a", 4096), ("b", 8192), ("c", 12288)];
    let ours = ours.map(|(name, priority)| {
        let ours = Ours::new(name, priority);
        if name == "a" {
            ours.both().s0_port(4, "link_type: auto")
        } else {
            ours
        }
    });
    let plan = Plan::default().ours(ours).ring(&["a", "b", "c"]).hosts([
        ("a", 1),
        ("b", 1),
        ("c", 1),
        ("a", 4),
    ]);
    let net = Net::up(ctx, &plan)?;
    net.await_settled(1)?;
    let node = net.node("a")?;
    let before = rig::await_ready(&node.switch)?.generation()?;
    let trees = || {
        let of = |name: &str| net.node(name)?.tree("s0");
        anyhow::Ok([of("a")?, of("b")?, of("c")?])
    };
    let ears = [net.hear(("a", 2))?, net.hear(("a", 3))?];
    await_rest(ears.iter())?;
    let calm = trees()?;
    let marks = [ears[0].mark(), ears[1].mark()];

    // A worse bridge, which the switch answers on its own LAN: nobody else has to hear of it.
    features::set(&node.netns, "p4", Feature::Gro, true)?;
    let worse = octets(&rst(root_vector(61440)))?;
    let mut sender = Generator::new(&net.hosts[3].netns, DEVICE, worse, Pattern::Fixed)?;
    let flows = vec![
        net.broadcast(1, &[0, 2], 100)?,
        net.broadcast(2, &[0, 1], 100)?,
    ];
    all_hear(&flows, SETTLES)?;
    let start = Instant::now();
    let mut sent = 0_u64;
    while start.elapsed() < RAGES {
        sender.send(BURST)?;
        sent += u64::from(BURST);
    }
    let lasted = start.elapsed();
    let rate = sent as f64 / lasted.as_secs_f64();
    ctx.tell(format!(
        "{rate:.0} BPDUs a second for {} s",
        lasted.as_secs()
    ));
    ensure!(rate > 100_000.0, "only {rate:.0} BPDUs a second: no storm");

    let raged = trees()?;
    // The station's port alone has heard something, and is no edge any more.
    let but = |mut trees: [super::view::Tree; 3]| {
        trees[0].ports.remove(&4);
        trees
    };
    ensure!(
        but(calm.clone()) == but(raged.clone()),
        "{calm:?} became {raged:?}"
    );
    for (ear, mark) in ears.iter().zip(marks) {
        let heard = ear.since(mark);
        let gaps = heard.windows(2).map(|two| two[1].at - two[0].at);
        let longest = gaps.max().unwrap_or(lasted);
        ctx.tell(format!(
            "a neighbour heard nothing for {} ms at most",
            longest.as_millis()
        ));
        ensure!(
            longest < Duration::from_secs(4),
            "a neighbour heard nothing for {longest:?}"
        );
        ensure!(
            !heard.iter().any(Heard::tells_of_change),
            "a topology change was told of"
        );
    }
    let after = rig::await_ready(&node.switch)?.generation()?;
    ensure!(after == before, "the storm brought about a failover");
    all_hear(&flows, SETTLES)?;
    no_loop(ctx, "a storm of BPDUs", flows).map(drop)
}
