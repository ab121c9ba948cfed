//! Whole configurations, up and down: all or nothing, in YAML and in commands, under traffic that they do not concern.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

use super::desk::{Desk, run, said, same};
use crate::harness::{
    chassis::Part,
    ktap::{Case, Ctx},
};
use crate::selftests::failover::rig::{await_ready, equal};
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.round-trip",
        "upload gives what download takes, in YAML and in commands, under traffic and across a failover; neither loses or \
         changes anything (seed: 27, 39, 40)",
        round_trip,
    )
    .timeout(LONG),
    Case::new(
        "session.download",
        "download configuration, whole and incremental, YAML and commands: what it changes is changed, and flows that it does \
         not concern lose nothing (seed: 39, 40)",
        download,
    )
    .timeout(LONG),
    Case::new(
        "session.download-refused",
        "a mistake in the last line is named with its place, and nothing of the file is applied (seed: 40)",
        refused,
    ),
    Case::new(
        "session.download-cut",
        "a master that is lost while it takes hundreds of changes leaves all of them or none, on the next master and in the \
         hardware (seed: 26, 27, 40, 47)",
        cut,
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(180);

fn round_trip(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    for line in [
        "create fdbentry 02:00:00:00:00:77 vlan 30 port 5",
        "create fdbentry 02:00:00:00:00:78 vlan spare blackhole",
        "configure vlan 30 loop-free-ports 5,7",
        "configure vlan spare limit-learning 9",
        "configure ports 5 rate-limit broadcast 100",
        "configure ports 7 accept-frames untagged",
        "configure fdb damping moves 9 within 2 hold 20",
        "configure msm-failover timeout 90",
        "disable ports 7",
    ] {
        desk.command(line)?;
    }
    desk.switch()
        .cli(&["configure", "snmp", "syslocation", "Room 7, \"the # one\""])?;
    let base = desk.configuration()?;
    let writes = || -> Result<u64> {
        let shown = desk.switch().show("switch")?;
        shown["hardware_writes"]["total"].as_u64().context("writes")
    };
    for form in ["yaml", "commands"] {
        let path = desk.file(&format!("{form}.txt"), "")?;
        desk.command(&format!("upload configuration {path} {form}"))?;
        let text = fs::read_to_string(&path)?;
        let printed = desk.command(&format!("upload configuration - {form}"))?;
        ensure!(
            printed == text,
            "{form}: another text is printed: {printed}"
        );
        let before = writes()?;
        desk.command(&format!("download configuration {path}"))
            .with_context(|| text.clone())?;
        same(form, &base, &desk.configuration()?)?;
        ensure!(
            writes()? == before,
            "{form}: the same configuration was written to the hardware again"
        );
        desk.fail_over()?;
        same(
            &format!("{form}, on the next master"),
            &base,
            &desk.configuration()?,
        )?;
        // Shown, it is the same text.
        let shown = desk.command(&format!("show configuration {form}"))?;
        ensure!(shown == text, "shown:\n{shown}\nuploaded:\n{text}");
    }
    desk.others.unharmed()?;
    desk.others.finish()
}

/// A file of commands that makes VLANs of these numbers and port 5 a member of each.
fn many(first: u16, count: u16) -> String {
    let mut text = String::from("# Made by a test.\n\n");
    for id in first..first + count {
        let _ = writeln!(
            text,
            "create vlan net-{id} tag {id}\nconfigure vlan net-{id} add ports 5 tagged"
        );
    }
    text
}

fn download(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let base = desk.configuration()?;
    let whole = desk.file("base.txt", "")?;
    let yaml = desk.file("base.yaml", "")?;
    desk.command(&format!("upload configuration {whole} commands"))?;
    desk.command(&format!("upload configuration {yaml} yaml"))?;
    let vlans = |desk: &Desk<'_>| -> Result<usize> {
        Ok(desk
            .switch()
            .show("vlan")?
            .as_array()
            .context("VLANs")?
            .len())
    };
    let few = vlans(&desk)?;

    desk.others.phase("incremental")?;
    let file = desk.file("many.txt", &many(1000, 200))?;
    desk.command(&format!("download configuration {file} incremental"))?;
    ensure!(vlans(&desk)? == few + 200, "{} VLANs", vlans(&desk)?);
    equal(desk.switch())?;

    desk.others.phase("whole, commands")?;
    desk.command(&format!("download configuration {whole}"))?;
    same("whole", &base, &desk.configuration()?)?;
    equal(desk.switch())?;

    desk.others.phase("whole, YAML")?;
    let text = fs::read_to_string(&yaml)?;
    desk.command("create vlan lime tag 40")?;
    desk.command(&format!("download configuration {yaml}"))?;
    same("whole", &base, &desk.configuration()?)?;

    desk.others.phase("whole, without a port")?;
    let less = desk.file("less.txt", "")?;
    desk.command("unconfigure ports 7")?;
    desk.command(&format!("upload configuration {less} commands"))?;
    desk.command(&format!("download configuration {whole}"))?;
    same("port 7 is back", &base, &desk.configuration()?)?;
    desk.command(&format!("download configuration {less}"))?;
    let ports = desk.switch().show("ports")?;
    ensure!(
        ports.as_array().is_some_and(|ports| ports.len() == 6),
        "{ports}"
    );
    equal(desk.switch())?;
    // Back, and confirmed only later.
    desk.others.phase("whole, confirmed")?;
    desk.command(&format!("download configuration {yaml} confirmed 60"))
        .with_context(|| text.clone())?;
    desk.command("confirm configuration")?;
    same("back", &base, &desk.configuration()?)?;
    desk.fail_over()?;
    same("on the next master", &base, &desk.configuration()?)?;
    desk.others.unharmed()?;
    desk.others.finish()
}

fn refused(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let base = desk.configuration()?;
    let generation = await_ready(desk.switch())?.generation()?;
    let good = many(1000, 100);
    let lines = good.lines().count();
    let yaml = desk.command("upload configuration - yaml")?;
    let commands = desk.command("upload configuration - commands")?;
    let cases = [
        // What is no command, what no VLAN can be called, and what the rules forbid.
        (
            "word",
            format!("{good}create vlam 7\n"),
            lines + 1,
            "vlam",
            "incremental",
        ),
        (
            "number",
            format!("{good}create vlan last tag 4095\n"),
            lines + 1,
            "4095",
            "incremental",
        ),
        (
            "rule",
            format!("{good}create vlan last tag 1000\n"),
            lines + 1,
            "1000",
            "incremental",
        ),
        (
            "nobody",
            format!("{good}configure vlan nobody learning off\n"),
            lines + 1,
            "nobody",
            "incremental",
        ),
        (
            "show",
            format!("{good}show vlan\n"),
            lines + 1,
            "show vlan",
            "incremental",
        ),
        (
            "whole",
            format!("{commands}create vlan last tag 10\n"),
            commands.lines().count() + 1,
            "10",
            "",
        ),
        (
            "yaml",
            format!("{yaml}nonsense: 1\n"),
            yaml.lines().count() + 1,
            "nonsense",
            "",
        ),
    ];
    for (name, text, line, says, how) in cases {
        let path = desk.file(&format!("{name}.cfg"), &text)?;
        let ended = run(
            desk.switch(),
            &format!("download configuration {path} {how}"),
        )?;
        let said = said(&ended);
        ensure!(
            matches!(ended.status.code(), Some(1 | 2))
                && said.contains(says)
                && said.contains(&format!("{line}")),
            "{name}: line {line} and {says:?} are not named, or it ended with {}: {said}",
            ended.status
        );
        same(name, &base, &desk.configuration()?)?;
    }
    // What is no file, and what is none to be read.
    for (path, says) in [
        ("/nowhere/at/all", "/nowhere/at/all"),
        ("/proc/self/mem", "/proc/self/mem"),
    ] {
        let ended = run(desk.switch(), &format!("download configuration {path}"))?;
        let said = said(&ended);
        ensure!(
            !ended.status.success() && said.contains(says),
            "{path}: {}: {said}",
            ended.status
        );
    }
    same("in the end", &base, &desk.configuration()?)?;
    equal(desk.switch())?;
    let after = await_ready(desk.switch())?;
    ensure!(after.generation()? == generation, "failed over: {after}");
    desk.others.unharmed()?;
    desk.others.finish()
}

fn cut(ctx: &Ctx) -> Result<()> {
    const ROUNDS: u64 = 10;
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let base = desk.configuration()?;
    let file = desk.file("many.txt", &many(1000, 400))?;
    let line = format!("download configuration {file} incremental");
    desk.command(&line)?;
    let full = desk.configuration()?;
    let whole = desk.file("base.yaml", "")?;
    let back = |desk: &Desk<'_>| -> Result<()> {
        let path = desk.files().join("back.txt");
        let mut text = String::new();
        for id in 1000..1400 {
            let _ = writeln!(text, "delete vlan {id}");
        }
        fs::write(&path, text)?;
        desk.command(&format!(
            "download configuration {} incremental",
            path.display()
        ))?;
        same("taken back", &base, &desk.configuration()?)
    };
    back(&desk)?;
    desk.command(&format!("upload configuration {whole}"))?;
    let mut done = [0, 0];
    for round in 0..ROUNDS {
        desk.others.phase(&format!("cut {round}"))?;
        let before = await_ready(desk.switch())?;
        let slot = before.slot("master")?;
        let asker = desk.hitless(&line)?.spawn().context("start hitless")?;
        std::thread::sleep(Duration::from_millis(4 * round));
        desk.chassis.signal(slot, Part::Daemon, Signal::SIGKILL)?;
        let ended = asker.wait_with_output()?;
        desk.taken_over(&before)?;
        let now = desk.configuration()?;
        let whole = now == full;
        ensure!(
            whole || now == base,
            "round {round}: neither all nor nothing: {}",
            super::desk::difference(&base, &now)
        );
        match ended.status.code() {
            Some(0) => ensure!(whole, "round {round}: answered as done, and lost"),
            Some(1 | 3 | 4) => {}
            _ => bail!("round {round}: {}: {}", ended.status, said(&ended)),
        }
        done[usize::from(whole)] += 1;
        await_ready(desk.switch())?;
        equal(desk.switch()).with_context(|| format!("round {round}"))?;
        if whole {
            back(&desk)?;
        }
    }
    ctx.note(format!(
        "of {ROUNDS} cuts {} left nothing and {} left all",
        done[0], done[1]
    ));
    desk.others.unharmed()?;
    desk.others.finish()
}
