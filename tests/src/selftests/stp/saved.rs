//! The configuration of domains: up and down, over failovers and restarts, and back when nobody confirms it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::commands::{make_lab, up};
use super::net::{Net, Node, SETTLES};
use super::ring::LONG;
use super::view;
use crate::harness::{
    chassis::Chassis,
    ktap::{Case, Ctx},
    wait::wait_for,
};
use crate::selftests::failover::rig;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "stp.configuration",
        "domains survive upload and download as YAML and as commands, a failover, and, once saved, the loss of both modules \
         (seed: 20, 26, 27, 39, 40)",
        kept,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "stp.confirmed",
        "a change of a domain that nobody confirms goes back, in the tree too, also in the hands of the next master \
         (seed: 20, 26, 29)",
        confirmed,
    )
    .timeout(LONG)
    .waits(),
];

fn configuration(node: &Node) -> Result<Value> {
    node.switch.show("configuration")
}

fn fail_over(net: &Net) -> Result<()> {
    let node = net.node("a")?;
    let before = rig::await_ready(&node.switch)?.generation()?;
    node.command("run msm-failover")?;
    rig::await_shown(&node.switch, |shown| {
        shown.generation().is_ok_and(|g| g > before) && shown.is_ready()
    })?;
    rig::equal(&node.switch)
}

fn kept(ctx: &Ctx) -> Result<()> {
    let mut net = up(ctx)?;
    let node = net.node("a")?;
    let blank = configuration(node)?;
    make_lab(node)?;
    node.await_tree("lab", "an open port", SETTLES, |tree| tree.serves(2))?;
    let base = configuration(node)?;
    ensure!(base != blank, "the configuration has not changed");
    let tree = node.tree("lab")?;

    for form in ["yaml", "commands"] {
        let path = ctx.files().join(format!("{form}.txt"));
        let path = path.to_str().context("a path")?;
        node.command(&format!("upload configuration {path} {form}"))?;
        let text = std::fs::read_to_string(path)?;
        ensure!(text.contains("lab"), "{form}:\n{text}");
        node.command("disable stpd lab")?;
        node.command("delete stpd lab")?;
        ensure!(configuration(node)? != base);
        node.command(&format!("download configuration {path}"))
            .with_context(|| text.clone())?;
        ensure!(
            configuration(node)? == base,
            "{form}: {base} became {}",
            configuration(node)?
        );
    }
    node.await_tree("lab", "an open port again", SETTLES, |now| {
        now.ports == tree.ports
    })?;

    fail_over(&net)?;
    let node = net.node("a")?;
    ensure!(configuration(node)? == base, "the failover changed it");
    ensure!(
        node.tree("lab")?.ports == tree.ports,
        "{:?}",
        node.tree("lab")?
    );

    node.command("save")?;
    drop(net.node_mut("a")?.chassis.take());
    let node = net.node_mut("a")?;
    let mut command = rig::chassis_command(&node.switch)?;
    node.chassis = Some(Chassis::spawn(ctx.run(), &node.switch, &mut command)?);
    rig::await_ready(&node.switch)?;
    ensure!(
        configuration(node)? == base,
        "saved was {base}, and is {}",
        configuration(node)?
    );
    node.await_tree("lab", "an open port after a restart", SETTLES, |tree| {
        tree.serves(2)
    })?;
    Ok(())
}

/// The shortest time there is.
const SECONDS: u64 = 10;

fn confirmed(ctx: &Ctx) -> Result<()> {
    let net = up(ctx)?;
    let node = net.node("a")?;
    let base = configuration(node)?;
    let change = format!("configure stpd s0 priority 8192 confirmed {SECONDS}");
    for failover in [false, true] {
        rig::await_ready(&node.switch)?;
        let start = Instant::now();
        node.command(&change)?;
        ensure!(
            node.tree("s0")?.id.priority == 8192,
            "{:?}",
            node.tree("s0")?
        );
        if failover {
            fail_over(&net)?;
            ensure!(
                node.tree("s0")?.id.priority == 8192,
                "{:?}",
                node.tree("s0")?
            );
        }
        wait_for("the rollback", SETTLES, || {
            Ok((configuration(node)? == base).then_some(()))
        })?;
        let took = start.elapsed();
        ensure!(
            took >= Duration::from_secs(SECONDS - 1),
            "rolled back after {took:?}"
        );
        let tree = node.tree("s0")?;
        ensure!(tree.id.priority == 32768 && tree.is_root(), "{tree:?}");
        let shown = view::shown(&node.switch, "s0")?;
        ensure!(shown.priority == 32768, "{shown:?}");
        rig::await_ready(&node.switch)?;
        rig::equal(&node.switch)?;
    }
    node.command(&change)?;
    node.command("confirm configuration")?;
    let kept = configuration(node)?;
    ensure!(kept != base, "what was confirmed is gone");
    fail_over(&net)?;
    ensure!(configuration(node)? == kept, "what was confirmed is gone");
    Ok(())
}
