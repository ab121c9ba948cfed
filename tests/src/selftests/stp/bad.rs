//! BPDUs that are none, or that nobody may believe.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hitless::northbound::api::StpCounters;
use hitless_common::Mac;
use hitless_wire::bpdu::{self, PVST_DESTINATION, PortId, STP_DESTINATION, Vector, corpus};
use serde_json::Value;

use super::net::{DEVICE, Net, Node, Ours, Plan, SETTLES};
use super::ring::LONG;
use super::view::{Tree, counters, shown};
use super::wire::{config, root_vector, rst, wire_times};
use crate::harness::{
    bpdus::octets,
    frames::{Frame, Tag},
    ktap::{Case, Ctx},
    port::Port,
    wait::wait_for,
};

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "stp.malformed",
        "every malformed frame of the corpus is counted and dropped, in each domain that could take it for its own \
         (seed: 20)",
        malformed,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.not-believed",
        "the bridge's own BPDU, one whose message age is its max age, one on a port that a guard has shut and one on an edge \
         port are counted, and change nothing but what the standard says (seed: 20)",
        not_believed,
    )
    .timeout(LONG)
    .waits(),
];

/// A switch with a domain of every encapsulation at port 1, another station at port 2, and a guarded port 3.
fn up(ctx: &Ctx) -> Result<Net> {
    let a = Ours::new("a", 32768)
        .vlans("[{id: 10}, {id: 100}, {id: 101}]")
        .domains(
            "{name: s0, enabled: true, vlans: [10], ports: [{port: 2, link_type: edge}, \
             {port: 3, link_type: edge, bpdu_guard: true}]}, \
             {name: emistp, enabled: true, tag: 101, vlans: [101]}, \
             {name: pvst, enabled: true, tag: 100, vlans: [100], default_encapsulation: pvst-plus}",
        )
        .port(1, "untagged: 10, tagged: [100, 101]");
    let hosts = [("a", 1), ("a", 2), ("a", 3)];
    let net = Net::up(ctx, &Plan::default().ours([a]).hosts(hosts))?;
    net.await_settled(0)?;
    for domain in ["emistp", "pvst"] {
        let node = net.node("a")?;
        node.await_tree(domain, "its port to open", SETTLES, Tree::is_settled)?;
    }
    Ok(net)
}

fn trees(node: &Node) -> Result<[Tree; 3]> {
    Ok([node.tree("s0")?, node.tree("emistp")?, node.tree("pvst")?])
}

/// The frames of the station at port 1 that were counted as something else than a BPDU, wherever: by the domains, by the
/// master as control frames of no protocol, or by the data path as drops.
fn counted(node: &Node) -> Result<u64> {
    let mut sum = 0;
    for domain in ["s0", "emistp", "pvst"] {
        let ports = shown(&node.switch, domain)?.ports;
        let status = ports.iter().filter_map(|port| port.status.as_ref());
        sum += status.map(|status| status.counters.malformed).sum::<u64>();
    }
    let all = |counters: &Value| -> u64 {
        let counters = counters.as_object().into_iter().flatten();
        counters.filter_map(|(_, count)| count.as_u64()).sum()
    };
    let counters = node.switch.show("counters")?;
    let frames = &counters["control_frames"];
    let ports = node.switch.show("ports")?;
    sum += all(&counters["spanning_tree"]) + all(&ports[0]["drops"]);
    Ok(sum + all(frames) - frames["stp"].as_u64().unwrap_or(0))
}

fn malformed(ctx: &Ctx) -> Result<()> {
    let net = up(ctx)?;
    let node = net.node("a")?;
    let mut before = trees(node)?;
    let port = Port::open(&net.hosts[0].netns, DEVICE)?;
    let mut wrong = Vec::new();
    for bad in corpus::MALFORMED {
        let mut octets = bad.octets();
        if octets.len() < 14 {
            // No device sends less than a header.
            continue;
        }
        octets.resize(octets.len().max(60), 0);
        let frame = Frame::from_octets(octets);
        // Padding completes some; these are for the parser's own tests.
        if bpdu::Frame::parse(frame.octets(), None).is_ok() {
            continue;
        }
        let count = counted(node)?;
        port.send(&frame).with_context(|| bad.name)?;
        let to = frame.dst();
        // Cisco's address is an ordinary one but in the VLAN of a domain that speaks PVST+.
        let pvst = frame.tags().next().is_some_and(|tag| tag == Tag::vid(100));
        let ours = frame.src().is_some_and(Mac::is_station)
            && (to == Some(STP_DESTINATION) || to == Some(PVST_DESTINATION) && pvst);
        if !ours {
            continue;
        }
        let seen = wait_for(bad.name, Duration::from_secs(3), || {
            Ok((counted(node)? > count).then_some(()))
        });
        if seen.is_err() {
            wrong.push(format!("{} is not counted", bad.name));
        }
        let after = trees(node)?;
        if before != after {
            wrong.push(format!("{}: {before:?} became {after:?}", bad.name));
            before = after;
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Sends a BPDU at a station and waits until a counter of its port has gone up.
fn is_counted(
    net: &Net,
    place: usize,
    frame: &bpdu::Frame,
    name: &str,
    of: fn(&StpCounters) -> u64,
) -> Result<()> {
    let node = net.node("a")?;
    let number = place as u16 + 1;
    let before = of(&counters(&node.switch, "s0", number)?);
    Port::open(&net.hosts[place].netns, DEVICE)?.send(&octets(frame)?)?;
    wait_for(&format!("{name} of port {number}"), SETTLES, || {
        Ok((of(&counters(&node.switch, "s0", number)?) > before).then_some(()))
    })
}

fn not_believed(ctx: &Ctx) -> Result<()> {
    let net = up(ctx)?;
    let node = net.node("a")?;
    let before = node.tree("s0")?;
    ensure!(before.ports[&2].edge, "port 2 is no edge port: {before:?}");

    // Its own, from the very port that it comes back to: somebody has put a plug on the link.
    let own = Vector {
        root: before.id,
        root_path_cost: 0,
        bridge: before.id,
        port: PortId(0x8001),
        times: wire_times(0, 20, 2, 15),
    };
    is_counted(&net, 0, &rst(own), "own", |c| c.own)?;
    let tree = node.tree("s0")?;
    ensure!(
        tree.root == before.root && tree.root_port.is_none(),
        "its own BPDU was believed: {tree:?}"
    );

    // As old as it may get: says that there is a bridge, and nothing else.
    let old = Vector {
        times: wire_times(20, 20, 2, 15),
        ..root_vector(4096)
    };
    for frame in [rst(old), config(old)] {
        is_counted(&net, 0, &frame, "too_old", |c| c.too_old)?;
    }
    let tree = node.tree("s0")?;
    ensure!(
        tree.root == before.root && tree.root_port.is_none(),
        "too old a BPDU was believed: {tree:?}"
    );

    // On an edge port: an edge port no more.
    is_counted(&net, 1, &rst(root_vector(61440)), "on_edge", |c| c.on_edge)?;
    let tree = node.tree("s0")?;
    ensure!(
        tree.root == before.root && !tree.ports[&2].edge,
        "after a BPDU on an edge port: {tree:?}"
    );

    // Its guard has shut the port: what comes there is counted only.
    is_counted(&net, 2, &rst(root_vector(4096)), "bpdu_guard", |c| {
        c.bpdu_guard
    })?;
    is_counted(&net, 2, &rst(root_vector(4096)), "on_disabled", |c| {
        c.on_disabled
    })?;
    let tree = node.tree("s0")?;
    ensure!(
        tree.root == before.root && tree.is_off(3),
        "a BPDU on a port that is shut: {tree:?}"
    );
    Ok(())
}
