//! Domains side by side: each with its VLAN, its root and its closed link in one ring.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use hitless::northbound::api::StpRole;
use hitless_common::VlanId;

use super::net::{Net, Ours, Plan, SETTLES};
use super::ring::{LONG, all_hear, no_loop};
use super::view::Tree;
use crate::harness::{
    ktap::{Case, Ctx},
    numbered::Broadcast,
    wait::wait_for,
};
use crate::selftests::failover::rig;

/// The cases of this file.
pub const CASES: &[Case] = &[Case::new(
    "stp.domains",
    "two domains over the links of one ring, one with EMISTP and one with PVST+, close different links, each heals by \
     itself, and both outlive a failover (seed: 20)",
    two,
)
.timeout(LONG)
.waits()];

/// The domains: name, VLAN, encapsulation.
const DOMAINS: [(&str, u16, &str); 2] = [("red", 20, "emistp"), ("blue", 30, "pvst-plus")];

/// Priorities of switch a, b and c in each domain.
const PRIORITIES: [[u16; 3]; 2] = [[4096, 8192, 12288], [12288, 8192, 4096]];

fn ours(at: usize, name: &'static str) -> Ours {
    let domains: Vec<String> = DOMAINS
        .iter()
        .zip(PRIORITIES)
        .map(|((domain, vlan, encapsulation), priorities)| {
            format!(
                "{{name: {domain}, enabled: true, priority: {}, tag: {vlan}, vlans: [{vlan}], \
                 default_encapsulation: {encapsulation}, ports: [{{port: 1, link_type: edge}}]}}",
                priorities[at]
            )
        })
        .collect();
    let ours = Ours::new(name, 0)
        .vlans("[{id: 20}, {id: 30}]")
        .domains(&domains.join(", "));
    let ours = (1..=3).fold(ours, |ours, port| ours.port(port, "tagged: [20, 30]"));
    if name == "a" { ours.both() } else { ours }
}

/// Waits until a domain has one closed port in the ring; which one it is.
fn closed(net: &Net, domain: &str) -> Result<(&'static str, u16)> {
    let mut last = None;
    wait_for(&format!("domain {domain} to settle"), SETTLES, || {
        let mut trees = Vec::new();
        for (name, node) in &net.ours {
            trees.push((*name, node.tree(domain)?));
        }
        let roots: BTreeSet<_> = trees.iter().map(|(_, tree)| tree.root).collect();
        let mut closed = trees.iter().flat_map(|(name, tree)| {
            let ports = tree.ports.iter();
            let closed = ports.filter(|(_, port)| port.role == StpRole::Alternate);
            closed.map(|(number, _)| (*name, *number))
        });
        let one = (closed.next(), closed.next());
        let settled = roots.len() == 1 && trees.iter().all(|(_, tree)| Tree::is_settled(tree));
        let found = match one {
            (Some(one), None) if settled => Some(one),
            _ => None,
        };
        last = Some(trees.clone());
        Ok(found)
    })
    .with_context(|| format!("{last:?}"))
}

fn everybody(net: &Net, vlan: u16) -> Result<Vec<Broadcast>> {
    let vlan = VlanId::new(vlan);
    let from = |from: usize| {
        let others: Vec<usize> = (0..3).filter(|&to| to != from).collect();
        net.broadcast_tagged(from, &others, 200, vlan)
    };
    (0..3).map(from).collect()
}

fn two(ctx: &Ctx) -> Result<()> {
    let plan = Plan::default()
        .ours([ours(0, "a"), ours(1, "b"), ours(2, "c")])
        .ring(&["a", "b", "c"])
        .hosts([("a", 1), ("b", 1), ("c", 1)]);
    let net = Net::up(ctx, &plan)?;
    let ends = [closed(&net, "red")?, closed(&net, "blue")?];
    // Of red the link opposite of a, of blue that opposite of c.
    ensure!(
        ends == [("c", 3), ("a", 2)],
        "not the trees of these priorities: closed are {ends:?}"
    );
    for ((name, _, _), (node, port)) in DOMAINS.iter().zip(ends) {
        for (domain, vlan, _) in DOMAINS {
            let entry = net.node(node)?.hardware(vlan)?;
            ensure!(
                entry.forwarding.has(port) == (domain != *name),
                "port {port} of {node} in {domain}, closed in {name}: {entry:?}"
            );
        }
    }
    let flows = |_: ()| {
        let [red, blue] = [everybody(&net, 20)?, everybody(&net, 30)?];
        let all: Vec<Broadcast> = red.into_iter().chain(blue).collect();
        all_hear(&all, SETTLES)?;
        anyhow::Ok(all)
    };

    let running = flows(())?;
    let node = net.node("a")?;
    let before = rig::await_ready(&node.switch)?.generation()?;
    node.command("run msm-failover")?;
    rig::await_shown(&node.switch, |shown| {
        shown.generation().is_ok_and(|g| g > before)
    })?;
    rig::await_ready(&node.switch)?;
    all_hear(&running, SETTLES)?;
    let longest = no_loop(ctx, "failover with two domains", running)?;
    ensure!(longest.is_zero(), "frames were lost for {longest:?}");
    ensure!(
        [closed(&net, "red")?, closed(&net, "blue")?] == ends,
        "the trees changed by the failover"
    );

    // The link of a and c: red needs it towards its root, blue too.
    let running = flows(())?;
    net.plug(("c", 2), false)?;
    let open = |name: &str, node: &str, port: u16| {
        net.node(node)?
            .await_tree(name, "another way", SETTLES, |tree| tree.leads(port))
            .map(drop)
    };
    open("red", "c", 3)?;
    open("blue", "a", 2)?;
    all_hear(&running, SETTLES)?;
    let longest = no_loop(ctx, "a link of both domains pulled", running)?;
    ensure!(longest < super::ring::RAPID, "that took {longest:?}");
    net.plug(("c", 2), true)?;
    ensure!(
        [closed(&net, "red")?, closed(&net, "blue")?] == ends,
        "the trees are not as before"
    );
    Ok(())
}
