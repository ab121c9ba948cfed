//! What keeps spanning tree from being led astray: guards, filter and edge ports, towards a station that speaks.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hitless_wire::bpdu::Vector;

use super::net::{DEVICE, Net, Ours, Plan, SETTLES, VLAN};
use super::ring::LONG;
use super::view::counters;
use super::wire::{root_vector, rst, wire_times};
use crate::harness::{
    bpdus::Talker,
    ktap::{Case, Ctx},
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "stp.bpdu-guard",
        "an edge port with BPDU guard that hears a BPDU is shut, in the hardware too, and opens again after its time, or by \
         hand (seed: 20)",
        bpdu_guard,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.root-guard",
        "a port with root guard keeps a better root out as long as it is heard (seed: 20)",
        root_guard,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.bpdu-filter",
        "a port with BPDU filter says nothing and hears nothing, and forwards (seed: 20)",
        bpdu_filter,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.loop-guard",
        "a root port with loop guard whose neighbour falls silent closes until it speaks again (seed: 20)",
        loop_guard,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.edge",
        "an edge port opens with its link, a port that detects that it is one after seconds, another one by its timers; a \
         port that takes no part is always open (seed: 20)",
        edge,
    )
    .timeout(LONG)
    .waits(),
];

/// Of the stations that speak.
const HELLO: Duration = Duration::from_millis(500);

/// A switch with three stations, the second and the third at ports with these settings.
fn up(ctx: &Ctx, second: &str, third: &str) -> Result<Net> {
    let a = Ours::new("a", 32768)
        .s0("hello_time: 1, max_age: 6, forward_delay: 4")
        .s0_port(2, second)
        .s0_port(3, third);
    let hosts = [("a", 1), ("a", 2), ("a", 3)];
    let net = Net::up(ctx, &Plan::default().ours([a]).hosts(hosts))?;
    net.await_settled(0)?;
    Ok(net)
}

/// A better root than the switch speaks at a station.
fn better(net: &Net, place: usize) -> Result<Talker> {
    let vector = Vector {
        times: wire_times(0, 6, 1, 4),
        ..root_vector(4096)
    };
    Talker::start(&net.hosts[place].netns, DEVICE, HELLO, &rst(vector))
}

/// Whether the hardware forwards in VLAN 10 at these ports, in their order.
fn await_open(net: &Net, open: [bool; 3]) -> Result<()> {
    let node = net.node("a")?;
    wait_for(&format!("open ports: {open:?}"), SETTLES, || {
        let entry = node.hardware(VLAN)?;
        let is = [1, 2, 3].map(|port| entry.forwarding.has(port));
        Ok((is == open).then_some(()))
    })
}

/// The first station's frames reach these others.
fn reaches(net: &Net, places: &[usize]) -> Result<()> {
    let flow = net.broadcast(0, &[1, 2], 500)?;
    let listeners: Vec<usize> = places.iter().map(|place| place - 1).collect();
    flow.reaches(&listeners, SETTLES)?;
    wait_for("frames to be sent", SETTLES, || {
        Ok((flow.sent() >= 50).then_some(()))
    })?;
    let outcome = flow.stop()?;
    outcome.no_loop()?;
    for (place, heard) in (1..).zip(&outcome.heard) {
        ensure!(
            places.contains(&place) || heard.received == 0,
            "station {} hears what its port must not let out: {outcome}",
            place + 1
        );
    }
    Ok(())
}

fn bpdu_guard(ctx: &Ctx) -> Result<()> {
    let guarded = "link_type: edge, bpdu_guard: true";
    let recovers = format!("{guarded}, bpdu_guard_recovery: 4");
    let net = up(ctx, &recovers, guarded)?;
    let node = net.node("a")?;
    reaches(&net, &[1, 2])?;
    for place in [1, 2] {
        drop(better(&net, place)?);
    }
    await_open(&net, [true, false, false])?;
    let shut = Instant::now();
    let tree = node.tree("s0")?;
    ensure!(
        tree.root == tree.id && tree.is_off(3),
        "the guarded port took part: {tree:?}"
    );
    for port in [2, 3] {
        ensure!(
            counters(&node.switch, "s0", port)?.bpdu_guard == 1,
            "port {port} was not shut once"
        );
    }
    reaches(&net, &[])?;
    // By itself.
    await_open(&net, [true, true, false])?;
    ctx.tell(format!(
        "opened after {} ms of 4 s",
        shut.elapsed().as_millis()
    ));
    reaches(&net, &[1])?;
    // By hand.
    node.command("clear stpd s0 ports 3 bpdu-guard")?;
    await_open(&net, [true, true, true])?;
    reaches(&net, &[1, 2])
}

fn root_guard(ctx: &Ctx) -> Result<()> {
    let net = up(ctx, "root_guard: true", "link_type: auto")?;
    let node = net.node("a")?;
    let talker = better(&net, 1)?;
    await_open(&net, [true, false, true])?;
    let tree = node.tree("s0")?;
    ensure!(
        tree.root == tree.id && tree.root_port.is_none(),
        "the better root was let in: {tree:?}"
    );
    ensure!(
        counters(&node.switch, "s0", 2)?.root_guard >= 1,
        "the guard has not counted"
    );
    reaches(&net, &[2])?;
    // At a port without the guard the same root is taken.
    let other = better(&net, 2)?;
    node.await_tree("s0", "another root", SETTLES, |tree| {
        tree.root_port == Some(3)
    })?;
    drop(other);
    node.await_tree("s0", "its own root", SETTLES, |tree| tree.root == tree.id)?;
    drop(talker);
    await_open(&net, [true, true, true])?;
    reaches(&net, &[1, 2])
}

fn bpdu_filter(ctx: &Ctx) -> Result<()> {
    let net = up(ctx, "bpdu_filter: true", "link_type: auto")?;
    let node = net.node("a")?;
    let [silent, speaking] = [net.hear(("a", 2))?, net.hear(("a", 3))?];
    let before = node.tree("s0")?;
    let _talker = better(&net, 1)?;
    wait_for("some BPDUs of another port", SETTLES, || {
        Ok((speaking.mark() >= 4).then_some(()))
    })?;
    ensure!(silent.mark() == 0, "a BPDU came out: {:?}", silent.all());
    wait_for("BPDUs to be counted", SETTLES, || {
        Ok((counters(&node.switch, "s0", 2)?.filtered >= 4).then_some(()))
    })?;
    let after = node.tree("s0")?;
    ensure!(
        after.root == before.root && after.ports == before.ports,
        "a BPDU came in: {after:?}"
    );
    await_open(&net, [true, true, true])?;
    reaches(&net, &[1, 2])
}

fn loop_guard(ctx: &Ctx) -> Result<()> {
    let net = up(ctx, "loop_guard: true", "loop_guard: false")?;
    let node = net.node("a")?;
    let talker = better(&net, 1)?;
    node.await_tree("s0", "a root behind port 2", SETTLES, |tree| tree.leads(2))?;
    drop(talker);
    await_open(&net, [true, false, true])?;
    let tree = node.tree("s0")?;
    ensure!(tree.root == tree.id, "a root that is silent: {tree:?}");
    ensure!(
        counters(&node.switch, "s0", 2)?.loop_guard == 1,
        "the guard has not counted"
    );
    reaches(&net, &[2])?;
    // Without the guard the port becomes the LAN's designated one.
    let talker = better(&net, 2)?;
    node.await_tree("s0", "a root behind port 3", SETTLES, |tree| tree.leads(3))?;
    drop(talker);
    node.await_tree("s0", "port 3 to serve its LAN", SETTLES, |tree| {
        tree.serves(3)
    })?;
    await_open(&net, [true, false, true])?;
    let _talker = better(&net, 1)?;
    node.await_tree("s0", "a root behind port 2 again", SETTLES, |tree| {
        tree.leads(2)
    })?;
    await_open(&net, [true, true, true])
}

fn edge(ctx: &Ctx) -> Result<()> {
    let net = up(ctx, "auto_edge: true", "auto_edge: false")?;
    let node = net.node("a")?;
    let mut times = Vec::new();
    for place in 0..3 {
        let port = place as u16 + 1;
        net.plug_host(place, false)?;
        node.await_tree("s0", "a port without a link", SETTLES, |tree| {
            tree.is_off(place as u16 + 1)
        })?;
        let up = Instant::now();
        net.plug_host(place, true)?;
        wait_for("the port to open", SETTLES, || {
            Ok(node.hardware(VLAN)?.forwarding.has(port).then_some(()))
        })?;
        times.push(up.elapsed());
    }
    ctx.tell(format!("edge, auto-edge, neither: open after {times:?}"));
    let [edge, detected, neither] = times[..] else {
        anyhow::bail!("three ports");
    };
    ensure!(
        edge < Duration::from_millis(1500)
            && detected > Duration::from_millis(1900)
            && detected < Duration::from_secs(6)
            && neither > Duration::from_millis(6900),
        "{times:?}"
    );
    let tree = node.tree("s0")?;
    ensure!(
        tree.ports[&1].edge && tree.ports[&2].edge && !tree.ports[&3].edge,
        "{tree:?}"
    );
    // Whoever speaks is no station.
    let talker = better(&net, 0)?;
    node.await_tree("s0", "a port that is no edge", SETTLES, |tree| {
        !tree.ports[&1].edge && tree.root_port == Some(1)
    })?;
    drop(talker);

    // A port that takes no part forwards at all times, and nobody there is heard or told anything.
    node.command("disable stpd s0 ports 3")?;
    let silent = net.hear(("a", 3))?;
    net.plug_host(2, false)?;
    node.switch
        .await_shown("ports", |ports| ports[2]["link"] == "down")?;
    let up = Instant::now();
    net.plug_host(2, true)?;
    wait_for("the port to open", SETTLES, || {
        Ok(node.hardware(VLAN)?.forwarding.has(3).then_some(()))
    })?;
    let opened = up.elapsed();
    ensure!(opened < Duration::from_millis(1500), "it took {opened:?}");
    let _talker = better(&net, 2)?;
    let speaking = net.hear(("a", 2))?;
    wait_for("some BPDUs of another port", SETTLES, || {
        Ok((speaking.mark() >= 4).then_some(()))
    })?;
    let tree = node.tree("s0")?;
    ensure!(
        silent.mark() == 0 && tree.root_port != Some(3),
        "port 3 takes part: {tree:?}"
    );
    reaches(&net, &[1, 2])
}
