//! Rings of ours alone.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::net::{Net, Ours, Plan, SETTLES, VLAN};
use crate::harness::{
    ktap::{Case, Ctx},
    numbered::{Broadcast, Outcome},
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "stp.ring",
        "three switches in a ring: one port is closed, everybody hears everybody, and when the link to the root is pulled \
         traffic goes the other way within a second (seed: 20)",
        triangle,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.ring-dot1d",
        "the same in mode dot1d, by its timers (seed: 20)",
        by_timers,
    )
    .timeout(LONG)
    .waits(),
];

/// Cases here wait for others' timers.
pub const LONG: Duration = Duration::from_secs(180);

/// Frames a second of each station: a gap is known to four milliseconds.
pub const RATE: u32 = 250;

/// How long a change of the tree may take where links tell of it and BPDUs are rapid. A busy machine needs more than
/// the second that the switches do.
pub const RAPID: Duration = Duration::from_secs(3);

/// Every station sends to all others.
///
/// # Errors
/// When something can not be opened.
pub fn everybody(net: &Net) -> Result<Vec<Broadcast>> {
    let all: Vec<usize> = (0..net.hosts.len()).collect();
    let from = |&from: &usize| {
        let others: Vec<usize> = all.iter().copied().filter(|&to| to != from).collect();
        net.broadcast(from, &others, RATE)
    };
    all.iter().map(from).collect()
}

/// Waits until everybody hears everybody.
///
/// # Errors
/// When somebody does not, or a frame went round.
pub fn all_hear(flows: &[Broadcast], deadline: Duration) -> Result<()> {
    flows.iter().try_for_each(|flow| flow.reaches_all(deadline))
}

/// Ends the broadcasts; no frame came twice. The longest time that anybody was without.
///
/// # Errors
/// When a frame went round.
pub fn no_loop(ctx: &Ctx, what: &str, flows: Vec<Broadcast>) -> Result<Duration> {
    let outcomes: Vec<Outcome> = flows
        .into_iter()
        .map(Broadcast::stop)
        .collect::<Result<_>>()?;
    let longest = outcomes.iter().map(Outcome::longest).max();
    let longest = longest.unwrap_or_default();
    outcomes.iter().try_for_each(Outcome::no_loop)?;
    ctx.tell(format!(
        "{what}: {} ms without traffic at most",
        longest.as_millis()
    ));
    Ok(longest)
}

/// Ends the broadcasts; every frame came once to everybody.
///
/// # Errors
/// When one did not.
pub fn hitless(flows: Vec<Broadcast>) -> Result<()> {
    let outcomes: Vec<Outcome> = flows
        .into_iter()
        .map(Broadcast::stop)
        .collect::<Result<_>>()?;
    outcomes.iter().try_for_each(Outcome::hitless)
}

fn plan(more: &str) -> Plan {
    let ours = [("a", 4096), ("b", 8192), ("c", 12288)];
    let ours = ours.map(|(name, priority)| match more {
        "" => Ours::new(name, priority),
        more => Ours::new(name, priority).s0(more),
    });
    Plan::default()
        .ours(ours)
        .ring(&["a", "b", "c"])
        .hosts([("a", 1), ("b", 1), ("c", 1)])
}

fn triangle(ctx: &Ctx) -> Result<()> {
    let net = Net::up(ctx, &plan(""))?;
    let trees = net.await_settled(1)?;
    ensure!(
        trees["a"].root_port.is_none() && trees["c"].closes(3),
        "not the tree of these priorities: {trees:?}"
    );
    closed_in_hardware(&net)?;

    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    hitless(flows).context("in a tree that is at rest")?;

    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    net.plug(("c", 2), false)?;
    let tree = net
        .node("c")?
        .await_tree("s0", "the other way to the root", SETTLES, |tree| {
            tree.leads(3)
        })?;
    ensure!(tree.root_port == Some(3), "{tree:?}");
    all_hear(&flows, SETTLES)?;
    let longest = no_loop(ctx, "link to the root pulled", flows)?;
    ensure!(longest < RAPID, "that took {longest:?}");

    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    net.plug(("c", 2), true)?;
    net.await_settled(1)?;
    all_hear(&flows, SETTLES)?;
    let longest = no_loop(ctx, "link plugged in again", flows)?;
    ensure!(longest < RAPID, "that took {longest:?}");
    closed_in_hardware(&net)?;

    // The same with the devices themselves.
    for (laid, closed) in [(false, 0), (true, 1)] {
        let flows = everybody(&net)?;
        all_hear(&flows, SETTLES)?;
        net.lay(("c", 2), laid)?;
        net.await_settled(closed)?;
        all_hear(&flows, SETTLES)?;
        let what = if laid { "laid" } else { "taken away" };
        let longest = no_loop(ctx, &format!("link {what} with its devices"), flows)?;
        ensure!(longest < RAPID, "that took {longest:?}");
    }
    closed_in_hardware(&net)
}

/// Port 3 of switch c, and no other, lets nothing through.
fn closed_in_hardware(net: &Net) -> Result<()> {
    for (name, node) in &net.ours {
        let entry = node.hardware(VLAN)?;
        for port in 1..=3_u16 {
            let closed = (*name, port) == ("c", 3);
            ensure!(
                entry.forwarding.has(port) != closed,
                "port {port} of {name}: {entry:?}"
            );
        }
    }
    Ok(())
}

fn by_timers(ctx: &Ctx) -> Result<()> {
    let quick = "mode: dot1d, hello_time: 1, max_age: 6, forward_delay: 4";
    let net = Net::up(ctx, &plan(quick))?;
    let trees = net.await_settled(1)?;
    ensure!(
        trees["c"].closes(3),
        "not the tree of these priorities: {trees:?}"
    );
    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    net.plug(("c", 2), false)?;
    net.node("c")?
        .await_tree("s0", "the other way to the root", SETTLES, |tree| {
            tree.leads(3)
        })?;
    all_hear(&flows, SETTLES)?;
    let longest = no_loop(ctx, "link to the root pulled", flows)?;
    // Listening and learning.
    ensure!(
        longest > Duration::from_secs(6) && longest < Duration::from_secs(15),
        "that took {longest:?}, not twice a forward delay of 4 s"
    );
    Ok(())
}
