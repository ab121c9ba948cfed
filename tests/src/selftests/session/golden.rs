//! Sessions that go as written: golden transcripts ([`crate::harness::transcript`]) of a shell on a live switch.

use anyhow::{Context, Result, ensure};
use hitless_common::Mac;

use super::desk::SYSNAME;
use super::shell::play;
use crate::harness::{
    frames::Frame,
    ktap::{Case, Ctx},
};
use crate::selftests::bystanders::address;
use crate::selftests::failover::rig::{PATIENT, await_ready, lab};
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.first",
        "an operator's session from an empty switch: VLANs, ports, identity, save, asterisk, history; then frames go where they \
         were told (seed: 26, 28, 39)",
        first,
    ),
    Case::new(
        "session.grammar",
        "abbreviations, question marks, TAB with live ports and VLANs, and mistakes with a caret and what was expected",
        grammar,
    ),
    Case::new(
        "session.guide",
        "the T-sync guide's commands as it has them: settings, failover by command, what is shown before and after (seed: 6, 26, \
         28, 32, 33, 34, 35, 36, 38, 62, 63, 64, 65, 66, 67)",
        guide,
    ),
];

/// A switch with both modules, two ports without any VLAN, and nothing else.
const EMPTY: [&str; 2] = ["accept: all"; 2];

fn rest() -> String {
    format!("fdb: {{size: 4096}}\nmsm_failover: {PATIENT}\nsnmp: {{sysname: {SYSNAME}}}\nvlans: []")
}

fn first(ctx: &Ctx) -> Result<()> {
    let (lab, _chassis) = lab(ctx, "sw", Mode::Tc, &EMPTY, &rest())?;
    let config = lab.switch.config().display().to_string();
    let values = [("switch", lab.switch.name()), ("config", &config)];
    // Nobody is in any VLAN yet.
    let frame = Frame::probe(address(1), Mac::BROADCAST);
    lab.ports[0].send(&frame)?;
    play(
        ctx,
        &lab.switch,
        "first.txt",
        include_str!("first.txt"),
        &values,
    )?;
    let frame = Frame::probe(address(1), Mac::BROADCAST);
    lab.ports[0].send(&frame)?;
    let received = lab.ports[1]
        .receive_until(|f| *f == frame)
        .context("after the session h2 hears h1")?;
    ensure!(received.len() == 1, "{received:?}");
    let text = std::fs::read_to_string(lab.switch.config())?;
    ensure!(text.contains("blue"), "not saved: {text}");
    Ok(())
}

fn grammar(ctx: &Ctx) -> Result<()> {
    let ports = ["untagged: 10", "tagged: [10, 20]"];
    let rest = format!(
        "fdb: {{size: 4096}}\nmsm_failover: {PATIENT}\nsnmp: {{sysname: {SYSNAME}}}\n\
         vlans: [{{id: 10, name: blue}}, {{id: 20, name: green}}]"
    );
    let (lab, _chassis) = lab(ctx, "sw", Mode::Tc, &ports, &rest)?;
    let config = lab.switch.config().display().to_string();
    let values = [("switch", lab.switch.name()), ("config", &config)];
    play(
        ctx,
        &lab.switch,
        "grammar.txt",
        include_str!("grammar.txt"),
        &values,
    )
}

fn guide(ctx: &Ctx) -> Result<()> {
    let (lab, _chassis) = lab(ctx, "sw", Mode::Tc, &EMPTY, &rest())?;
    let config = lab.switch.config().display().to_string();
    let values = [("switch", lab.switch.name()), ("config", &config)];
    let before = include_str!("guide.txt");
    play(ctx, &lab.switch, "guide.txt", before, &values)?;
    // The standby that comes after a failover is to be seen as it stays.
    await_ready(&lab.switch)?;
    let after = include_str!("guide_after.txt");
    play(ctx, &lab.switch, "guide_after.txt", after, &values)
}
