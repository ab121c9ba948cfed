//! "Troubleshooting": the three sample scenarios, and the reasons of Table 2 that upgrades have.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use super::place::{LONG, Place};
use crate::harness::{
    chassis::{Part, Slot},
    ktap::{Case, Ctx},
};
use crate::selftests::failover::rig;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "guide.scenario-1",
        "a configuration command after a conservative upgrade bars the way back, and says so at once; the new image in the \
         slave opens it again (seed: 60, 65, 68)",
        scenario_1,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "guide.scenario-2",
        "after a failover with a hit show msm-failover tells why: the old state and reason of the new master (seed: 63, 65, \
         68)",
        scenario_2,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "guide.scenario-3",
        "an older slave that was not master before has failed, rev(M) over rev(S), and no failover to it is made without \
         force (seed: 65, 68)",
        scenario_3,
    )
    .timeout(LONG)
    .waits(),
    Case::new(
        "guide.hotswap",
        "the older slave is taken out after a conservative upgrade and put back: hotswap; one that is started again is no \
         other one (seed: 65)",
        hotswap,
    )
    .timeout(LONG)
    .waits(),
];

/// The command of these cases: it changes something, and nothing that anybody notices.
const CHANGE: &str = "configure snmp syscontact somebody";

fn scenario_1(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.upgrade_conservatively()?;
    let said = place.command(CHANGE)?;
    ensure!(
        said.contains("config command") && said.contains(&place.old),
        "{said}"
    );
    let shown = place.failed("config-command")?;
    ensure!(shown.0["fallback"]["reason"] == "config-command", "{shown}");
    place.logged("(config command)")?;
    place
        .node()?
        .is_refused("run msm-failover", "config command")?;
    // It is said once, and a module that is started again is as before.
    let said = place.command("configure snmp syscontact nobody")?;
    ensure!(!said.contains("config command"), "{said}");
    place.restart_slave()?;
    place.failed("config-command")?;
    // "Change the image of the slave to the new software release and reboot the slave."
    place.command("use image secondary slot msm-a")?;
    place.command("reboot slot msm-a")?;
    let shown = place.runs(Slot::B, &place.new, Slot::A, &place.new)?;
    ensure!(shown.0["fallback"].is_null(), "{shown}");
    place.command("run msm-failover")?;
    place.nothing_happened()
}

fn scenario_2(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.upgrade_conservatively()?;
    place.command(CHANGE)?;
    place.failed("config-command")?;
    place
        .node()?
        .is_refused("run msm-failover force", "not hitless")?;
    let shown = rig::await_shown(&place.node()?.switch, |shown| {
        shown.slot("master").is_ok_and(|slot| slot == Slot::A)
    })?;
    let master = shown.module("master")?;
    ensure!(
        master["old_state"] == "failed" && master["old_reason"] == "config-command",
        "{shown}"
    );
    ensure!(
        shown.last()["hitless"] == false && master["version"] == place.old,
        "{shown}"
    );
    let detail = shown.last()["detail"].as_str().unwrap_or_default();
    ensure!(detail.contains("config command"), "{shown}");
    Ok(())
}

fn scenario_3(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    // Both run the new version; then the slave is given the old one.
    place.command("use image secondary")?;
    place.download("secondary")?;
    place.command("reboot slot msm-b")?;
    place.runs(Slot::A, &place.old, Slot::B, &place.new)?;
    place.command("run msm-failover")?;
    place.runs(Slot::B, &place.new, Slot::A, &place.new)?;
    place.command("use image primary slot msm-a")?;
    place.command("reboot slot msm-a")?;
    let shown = place.failed("revision")?;
    ensure!(
        shown.module("standby")?["version"] == place.old && shown.0["fallback"].is_null(),
        "{shown}"
    );
    let text = place.command("show msm-failover")?;
    ensure!(text.contains("rev(M) > rev(S)"), "{text}");
    place
        .node()?
        .is_refused("run msm-failover", "rev(M) > rev(S)")?;
    place.command("use image secondary slot msm-a")?;
    place.command("reboot slot msm-a")?;
    place.runs(Slot::B, &place.new, Slot::A, &place.new)?;
    place.nothing_happened()
}

fn hotswap(ctx: &Ctx) -> Result<()> {
    let place = Place::new(ctx)?;
    place.upgrade_conservatively()?;
    place.restart_slave()?;
    place.runs(Slot::B, &place.new, Slot::A, &place.old)?;
    place
        .node()?
        .chassis()?
        .signal(Slot::A, Part::Boot, Signal::SIGKILL)?;
    let shown = place.failed("hotswap")?;
    ensure!(shown.0["fallback"]["reason"] == "hotswap", "{shown}");
    place.node()?.is_refused("run msm-failover", "hotswap")?;
    place.logged("(hotswap)")?;
    place.nothing_happened()
}
