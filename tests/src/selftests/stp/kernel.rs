//! Rings of ours with a bridge of the kernel, which knows 802.1D-1998 only.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless_wire::bpdu::Bpdu;

use super::net::{Net, Ours, Plan, SETTLES};
use super::ring::{LONG, RAPID, all_hear, everybody, hitless, no_loop};
use crate::harness::{
    ktap::{Case, Ctx},
    neighbour::Parameters,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "stp.kernel-root",
        "a ring with a bridge of the kernel as root: towards it Config BPDUs, between ours RST BPDUs; a link to the root is \
         pulled (seed: 20)",
        root,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.kernel-leaf",
        "a ring with a bridge of the kernel as leaf: it closes its port, and opens it by its timers when its link to the \
         root is pulled (seed: 20)",
        leaf,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.kernel-dot1d",
        "the kernel's bridge as root of ours in mode dot1d, whose port opens by the root's timers (seed: 20)",
        dot1d,
    )
    .timeout(LONG)
    .waits(),
];

/// The times of a root that is as quick as the kernel allows.
pub const QUICK: &str = "hello_time: 2, max_age: 6, forward_delay: 4";

/// Of listening and learning with a forward delay of 4 s: at least this, and at most.
const BY_TIMERS: [Duration; 2] = [Duration::from_secs(6), Duration::from_secs(18)];

/// Bridge k of the kernel, then a and b of ours; a is closer to being the root than b.
fn plan(kernel: u16, more: &str) -> Plan {
    let settings = format!("{QUICK}, path_cost_method: short{more}");
    let ours = [("a", 8192), ("b", 12288)];
    Plan::default()
        .bridge("k", Parameters::quick(kernel))
        .ours(ours.map(|(name, priority)| Ours::new(name, priority).s0(&settings)))
        .ring(&["k", "a", "b"])
        .hosts([("k", 1), ("a", 1), ("b", 1)])
}

fn root(ctx: &Ctx) -> Result<()> {
    let net = Net::up(ctx, &plan(4096, ""))?;
    // What each says on the link between them, and what the kernel says.
    let [of_a, of_k] = [net.hear(("a", 2))?, net.hear(("k", 2))?];
    let trees = net.await_settled(1)?;
    let kernel = net.bridge("k")?.view()?;
    ensure!(
        kernel.root == kernel.id && kernel.root_port == 0,
        "the kernel is not the root: {kernel:?}"
    );
    ensure!(
        trees["a"].root_port == Some(3) && trees["b"].root_port == Some(2),
        "not each by its own link to the root: {trees:?}"
    );
    ensure!(
        trees["a"].root == kernel.id && trees["b"].closes(3),
        "not the tree of these priorities: {trees:?}"
    );
    let patience = Duration::from_secs(10);
    of_a.await_bpdu(of_a.mark(), "an RST BPDU between ours", patience, |bpdu| {
        matches!(bpdu, Bpdu::Rst(_))
    })?;
    of_k.await_bpdu(
        of_k.mark(),
        "a Config BPDU of the kernel's",
        patience,
        |bpdu| matches!(bpdu, Bpdu::Config(_)),
    )?;

    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    hitless(flows).context("in a tree that is at rest")?;

    for (end, back) in [(("a", 3), ("a", 2)), (("b", 2), ("b", 3))] {
        let flows = everybody(&net)?;
        all_hear(&flows, SETTLES)?;
        net.plug(end, false)?;
        let (node, _) = end;
        net.node(node)?
            .await_tree("s0", "the other way to the root", SETTLES, |tree| {
                tree.leads(back.1)
            })?;
        all_hear(&flows, SETTLES)?;
        let longest = no_loop(ctx, &format!("link of {node} to the kernel pulled"), flows)?;
        ensure!(longest < RAPID, "that took {longest:?} between ours");
        net.plug(end, true)?;
        net.await_settled(1)?;
    }
    Ok(())
}

fn leaf(ctx: &Ctx) -> Result<()> {
    let net = Net::up(ctx, &plan(61440, ""))?;
    let to_k = net.hear(("b", 2))?;
    let trees = net.await_settled(1)?;
    let kernel = net.bridge("k")?.view()?;
    ensure!(
        trees["a"].root_port.is_none() && kernel.root == trees["a"].id,
        "a is not the root: {trees:?} {kernel:?}"
    );
    ensure!(
        kernel.ports["p2"].state == "forwarding" && kernel.ports["p3"].state == "blocking",
        "the kernel has not closed its link to b: {kernel:?}"
    );
    // With a bridge of 802.1D-1998 in 1998's words.
    let heard = to_k.await_bpdu(to_k.mark(), "a BPDU for the kernel", SETTLES, |_| true)?;
    ensure!(
        matches!(heard.bpdu(), Ok(Bpdu::Config(_))),
        "b says {:?} to the kernel",
        heard.bpdu()
    );

    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    net.plug(("k", 2), false)?;
    net.bridge("k")?
        .await_view("the other port to open", SETTLES, |view| {
            view.ports["p3"].state == "forwarding"
        })?;
    all_hear(&flows, SETTLES)?;
    let longest = no_loop(ctx, "link of the kernel to the root pulled", flows)?;
    ensure!(
        longest > BY_TIMERS[0] && longest < BY_TIMERS[1],
        "that took {longest:?}, not the kernel's timers"
    );

    let flows = everybody(&net)?;
    net.plug(("k", 2), true)?;
    net.await_settled(1)?;
    all_hear(&flows, SETTLES)?;
    no_loop(ctx, "link plugged in again", flows).map(drop)
}

fn dot1d(ctx: &Ctx) -> Result<()> {
    let net = Net::up(ctx, &plan(4096, ", mode: dot1d"))?;
    let of_a = net.hear(("a", 2))?;
    let trees = net.await_settled(1)?;
    ensure!(
        trees["b"].closes(3),
        "not the tree of these priorities: {trees:?}"
    );
    of_a.await_bpdu(of_a.mark(), "a Config BPDU between ours", SETTLES, |bpdu| {
        matches!(bpdu, Bpdu::Config(_))
    })?;
    let flows = everybody(&net)?;
    all_hear(&flows, SETTLES)?;
    net.plug(("a", 3), false)?;
    net.node("a")?
        .await_tree("s0", "the other way to the root", SETTLES, |tree| {
            tree.leads(2)
        })?;
    all_hear(&flows, SETTLES)?;
    let longest = no_loop(ctx, "link of a to the root pulled", flows)?;
    ensure!(
        longest > BY_TIMERS[0] && longest < BY_TIMERS[1],
        "that took {longest:?}, not the timers of 802.1D-1998"
    );
    // Ours told the root, as 802.1D-1998 has it.
    let kernel = net.bridge("k")?.view()?;
    let told: u64 = kernel.ports.values().map(|port| port.tcn[0]).sum();
    ensure!(told > 0, "no notification came to the root: {kernel:?}");
    let heard = of_a.stop()?;
    ensure!(
        heard.iter().all(|h| !matches!(h.bpdu(), Ok(Bpdu::Rst(_)))),
        "an RST BPDU in mode dot1d"
    );
    Ok(())
}
