//! A session in which masters are lost: it goes on, and says so.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::desk::{Desk, SYSNAME};
use super::shell::{LARGE, Shell, is_prompt};
use crate::harness::{
    chassis::{Chassis, Slot},
    ktap::{Case, Ctx},
    terminal::key,
};
use crate::selftests::failover::rig::{await_ready, chassis_command};
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.failover",
        "an open shell goes on after a kill -9 of the master: prompt, slot, unsaved changes and a half-typed line stay what \
         they are (seed: 26, 28, 29, 31)",
        failover,
    )
    .timeout(LONG),
    Case::new(
        "session.no-master",
        "an open shell outlives a time without any module, says so for each command, and goes on with the next master \
         (seed: 31, 68)",
        no_master,
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(180);

/// Waits for a prompt that names a slot.
fn prompt_of(shell: &Shell, slot: Slot) -> Result<String> {
    let view = shell.await_prompt()?;
    let prompt = view.cursor_line().to_owned();
    ensure!(
        prompt.contains(slot.name()),
        "the prompt does not name {}: {prompt:?}",
        slot.name()
    );
    Ok(prompt)
}

fn failover(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let mut shell = Shell::open(ctx, desk.switch(), LARGE, &[])?;
    let first = await_ready(desk.switch())?;
    let prompt = prompt_of(&shell, first.slot("master")?)?;
    ensure!(
        prompt.starts_with(&format!("{SYSNAME}.")),
        "nothing has changed yet: {prompt:?}"
    );
    shell.enter("create vlan lime tag 40")?;
    for round in 0..3 {
        let before = await_ready(desk.switch())?;
        let (old, new) = (before.slot("master")?, before.slot("standby")?);
        let prompt = prompt_of(&shell, old)?;
        ensure!(
            prompt.starts_with("* "),
            "round {round}: no asterisk: {prompt:?}"
        );
        // Half a line is typed, and stays.
        shell.terminal.keys("show vl")?;
        desk.lose_master(&before)?;
        shell.terminal.keys("an lime")?;
        shell.terminal.await_view("the whole line", |view| {
            let line = view.cursor_line();
            (is_prompt(line) && line.ends_with("show vlan lime")).then_some(())
        })?;
        let start = shell.terminal.view().cursor.0;
        shell.terminal.keys(key::ENTER)?;
        let shown = shell
            .terminal
            .await_view("an answer and the next prompt", |view| {
                let at = view.cursor.0;
                (at > start && is_prompt(view.cursor_line()))
                    .then(|| view.lines[start..at].to_vec())
            })?;
        ensure!(
            shown
                .iter()
                .any(|line| line.contains("lime") && line.contains("40")),
            "round {round}: the next master does not show it: {shown:#?}"
        );
        ensure!(
            shell.terminal.view().contains("failover"),
            "round {round}: the failover is not told:\n{}",
            shell.terminal.view()
        );
        prompt_of(&shell, new)?;
    }
    let status = shell.exit()?;
    ensure!(status.success(), "the shell ended with {status}");
    desk.others.unharmed()?;
    desk.others.finish()
}

fn no_master(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let mut shell = Shell::open(ctx, desk.switch(), LARGE, &["--wait", "1"])?;
    shell.enter("show version")?;
    let status = desk.chassis.stop()?;
    ensure!(status.success(), "the chassis ended with {status}");
    desk.others.phase("without any module")?;
    for line in ["show switch", "create vlan lime tag 40", "show vl"] {
        let said = shell.enter(line)?;
        ensure!(
            said.iter().any(|text| text.contains("hitlessd")),
            "{line:?} without a switch: {said:#?}"
        );
    }
    // What needs no switch works.
    let said = shell.enter("history")?;
    ensure!(
        said.iter()
            .any(|text| text.contains("create vlan lime tag 40")),
        "{said:#?}"
    );
    let said = shell.enter("show nonsense")?;
    ensure!(said.iter().any(|text| text.contains('^')), "{said:#?}");

    let mut command = chassis_command(desk.switch())?;
    desk.chassis = Chassis::spawn(ctx.run(), desk.switch(), &mut command)?;
    let ready = await_ready(desk.switch())?;
    let said = shell.enter("show switch")?;
    ensure!(
        said.iter().any(|text| text.contains(desk.switch().name())),
        "{said:#?}"
    );
    prompt_of(&shell, ready.slot("master")?)?;
    shell.enter("create vlan lime tag 40")?;
    let vlans = desk.switch().show("vlan")?;
    ensure!(
        vlans.to_string().contains("lime"),
        "what is typed after that is done: {vlans}"
    );
    shell.exit().context("leave the shell")?;
    desk.others.unharmed()?;
    desk.others.finish()
}
