//! Saved configurations: two of them, and which of them a switch starts from.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::desk::{Desk, same};
use crate::harness::{
    chassis::Chassis,
    ktap::{Case, Ctx},
};
use crate::selftests::failover::rig::{await_ready, chassis_command};
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.diff",
        "show configuration diff tells in commands what is not saved, and nothing when all is (seed: 26, 28)",
        diff,
    ),
    Case::new(
        "session.banks",
        "save and use configuration primary and secondary: both modules start from the one selected, under traffic; a broken \
         secondary falls back to the primary with a warning (seed: 26, 28)",
        banks,
    )
    .timeout(Duration::from_secs(180)),
];

fn diff(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    // The file is written as the switch writes it.
    desk.command("save")?;
    let none = desk.command("show configuration diff")?;
    ensure!(
        !none.contains("create") && !none.contains("configure"),
        "nothing has changed: {none}"
    );
    let lines = [
        "create vlan lime tag 40",
        "configure vlan lime add ports 5 tagged",
        "configure fdb agingtime 600",
        "disable ports 7",
    ];
    for line in lines {
        desk.command(line)?;
    }
    let text = desk.command("show configuration diff")?;
    for line in lines {
        // Each can be typed as it is shown: what has a name is named so.
        ensure!(text.contains(line), "{line:?} is not there:\n{text}");
    }
    ensure!(
        !text.contains("vlan 10") && !text.contains("ports 1"),
        "what has not changed is there:\n{text}"
    );
    // What the other saved configuration lacks is known only when there is one.
    desk.is_refused("show configuration diff secondary", ".secondary")?;
    desk.command("save configuration secondary")?;
    let text = desk.command("show configuration diff secondary")?;
    ensure!(
        !text.contains("create") && !text.contains("configure"),
        "all is saved there: {text}"
    );
    desk.others.unharmed()?;
    desk.others.finish()
}

/// Ends both modules and starts them again, while the switch forwards.
fn restart(ctx: &Ctx, desk: &mut Desk<'_>) -> Result<()> {
    let status = desk.chassis.stop()?;
    ensure!(status.success(), "the chassis ended with {status}");
    desk.others.unharmed().context("without any module")?;
    let mut command = chassis_command(desk.switch())?;
    desk.chassis = Chassis::spawn(ctx.run(), desk.switch(), &mut command)?;
    await_ready(desk.switch())?;
    desk.others.unharmed()
}

fn banks(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let primary = desk.configuration()?;
    let file = |suffix: &str| {
        let mut path = desk.switch().config().to_owned().into_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    let (secondary_file, selected_file) = (file(".secondary"), file(".selected"));
    desk.is_refused("use configuration secondary", ".secondary")?;

    desk.others.phase("saved as secondary")?;
    desk.command("create vlan guests tag 60")?;
    desk.command("save configuration secondary")?;
    let secondary = desk.configuration()?;
    ensure!(secondary_file.exists(), "{secondary_file:?} is not there");
    let text = fs::read_to_string(desk.switch().config())?;
    ensure!(!text.contains("guests"), "the primary was written: {text}");

    desk.others.phase("primary is still in use")?;
    restart(ctx, &mut desk)?;
    same("started from primary", &primary, &desk.configuration()?)?;

    desk.others.phase("secondary is used")?;
    desk.command("use configuration secondary")?;
    same(
        "selecting changes nothing yet",
        &primary,
        &desk.configuration()?,
    )?;
    restart(ctx, &mut desk)?;
    same("started from secondary", &secondary, &desk.configuration()?)?;
    let shown = desk.switch().show("switch")?;
    ensure!(shown["unsaved"] == false, "{shown}");
    // Plain save goes to the one in use.
    desk.command("configure vlan guests name lime")?;
    desk.command("save")?;
    let text = fs::read_to_string(&secondary_file)?;
    ensure!(text.contains("lime"), "not saved to the secondary: {text}");

    desk.others.phase("a broken secondary")?;
    fs::write(&secondary_file, "switch: [\n")?;
    let before = desk.switch().log()?.len();
    restart(ctx, &mut desk)?;
    same("fallen back", &primary, &desk.configuration()?)?;
    let log = desk.switch().log()?;
    ensure!(
        log[before..]
            .lines()
            .any(|line| line.contains("WARN") && line.contains(".secondary")),
        "no warning:\n{}",
        &log[before..]
    );

    desk.others.phase("primary again")?;
    desk.command("use configuration primary")?;
    let word = fs::read_to_string(&selected_file)?;
    ensure!(word.trim() == "primary", "{word:?} is selected");
    restart(ctx, &mut desk)?;
    same("primary again", &primary, &desk.configuration()?)?;
    desk.others.finish()
}
