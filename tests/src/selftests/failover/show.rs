//! What an operator sees: of both modules, of the last failover, in the log, and in a view that is open meanwhile.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::causes::Cause;
use super::rig::{PATIENT, Rig, await_ready, shown};
use crate::harness::{
    chassis::Part,
    ktap::{Case, Ctx},
    switch::{DEADLINE, tail},
    wait::wait_for,
};
use crate::selftests::lab::Mode;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "failover.show",
        "one command shows roles, images, settings, subsystems with state and reason before and after, the last \
         failover and the counts by cause (seed: 1, 3, 63, 64, 65)",
        show,
    ),
    Case::new(
        "failover.log",
        "the log goes on across failovers, with the old master's last words and the guide's lines (seed: 13, 66)",
        log,
    ),
    Case::new(
        "failover.views",
        "live views and a followed log survive failovers of every kind and say so (seed: 63, 66)",
        views,
    )
    .timeout(Duration::from_secs(120)),
    Case::new(
        "failover.refusals",
        "a failover without a standby is refused with the reason, and faults in a switch that is not under test \
         (seed: 6, 14)",
        refusals,
    ),
];

const RATE: u32 = 20_000;

fn show(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let first = await_ready(rig.switch())?;
    ensure!(
        first.last().is_null() && first.0["failovers"] == serde_json::json!({}),
        "a failover that never was: {first}"
    );
    let mut counts = serde_json::Map::new();
    for cause in [Cause::Operator, Cause::Kill, Cause::Panic, Cause::Removal] {
        let before = await_ready(rig.switch())?;
        let after = cause.strike(&rig, &before)?.await_recovery(&rig)?;
        let count = counts.entry(cause.shown()).or_insert(Value::from(0));
        *count = Value::from(count.as_u64().unwrap_or(0) + 1);
        ensure!(
            after.0["failovers"] == Value::Object(counts.clone()),
            "{counts:?} were made: {after}"
        );
        ensure!(
            after.last()["duration_us"].as_u64() > Some(0)
                && after.last()["at_unix_ms"].as_u64() > first.last()["at_unix_ms"].as_u64(),
            "when, and how long: {after}"
        );
        for role in ["master", "standby"] {
            let module = after.module(role)?;
            ensure!(
                ["image", "version"]
                    .iter()
                    .all(|key| module[key].is_string())
                    && module["memory_bytes"].as_u64() > Some(0)
                    && module["reason"] == "none",
                "{role}: {module}"
            );
            let names: Vec<_> = module["subsystems"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|s| s["state"] == "ready" && s["reason"] == "none")
                .filter_map(|s| s["name"].as_str())
                .collect();
            ensure!(
                names == ["config", "ports", "vlans", "stp", "fdb"],
                "{role}: {module}"
            );
        }
        let master = after.module("master")?;
        ensure!(
            master["old_state"] == "ready" && master["old_reason"] == "none",
            "what the master was before: {master}"
        );
        ensure!(
            after.0["last_transfer"]["records"].as_u64() > Some(0),
            "the last transfer: {after}"
        );
    }
    let text = rig.switch().cli(&["show", "msm-failover"])?;
    for word in ["msm-a", "msm-b", "hot-removal", "ready", "l2_l3"] {
        ensure!(text.contains(word), "{word:?} is not shown:\n{text}");
    }
    rig.others.finish()
}

/// The messages in the log, each with the process that said it.
fn messages(rig: &Rig<'_>) -> Result<Vec<(u64, String)>> {
    let lines = rig.switch().json(&["show", "log", "1000"])?;
    let lines = lines.as_array().context("lines")?;
    Ok(lines
        .iter()
        .map(|line| {
            let text = line["message"].as_str().unwrap_or_default();
            (line["pid"].as_u64().unwrap_or(0), text.to_owned())
        })
        .collect())
}

fn log(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    for round in 0..3 {
        let before = await_ready(rig.switch())?;
        let (old, new) = (before.pid("master")?.into(), before.pid("standby")?.into());
        Cause::Panic.strike(&rig, &before)?.await_recovery(&rig)?;
        let lines = messages(&rig)?;
        let has = |pid: u64, text: &str| {
            ensure!(
                lines
                    .iter()
                    .any(|(by, line)| *by == pid && line.contains(text)),
                "round {round}: process {pid} never said {text:?}: {lines:#?}"
            );
            Ok(())
        };
        has(old, "a panic by request")?;
        has(new, "taking over")?;
        has(new, "this module is master now")?;
        for database in [
            "database transferred to the standby",
            "Slave MSM initialized for hitless failover operation.",
        ] {
            has(new, database)?;
        }
    }
    let lines = messages(&rig)?;
    let said = |text: &str| lines.iter().filter(|(_, line)| line.contains(text)).count();
    // Once at the start, and once after every failover, by the master.
    ensure!(
        said("Slave MSM initialized for hitless failover operation.") >= 4,
        "{lines:#?}"
    );
    rig.others.finish()
}

/// Waits until a file has a text so often.
fn await_text(path: &Path, text: &str, times: usize) -> Result<()> {
    wait_for(&format!("{text:?} in {}", path.display()), DEADLINE, || {
        let found = fs::read_to_string(path)?.matches(text).count();
        Ok((found >= times).then_some(()))
    })
    .with_context(|| tail(path))
}

fn views(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let words: [&[&str]; 3] = [
        &["show", "msm-failover", "--every", "0.1"],
        &["show", "switch", "--every", "0.1", "--json"],
        &["show", "log", "follow"],
    ];
    let views = words
        .iter()
        .map(|words| rig.background(words))
        .collect::<Result<Vec<_>>>()?;
    await_text(&views[0].1, "msm-a", 1)?;
    await_text(&views[1].1, "\"generation\"", 1)?;
    await_text(&views[2].1, "Slave MSM initialized", 1)?;
    let causes = [Cause::Operator, Cause::Kill, Cause::Hang, Cause::Silence];
    for (number, cause) in causes.into_iter().enumerate() {
        let before = await_ready(rig.switch())?;
        let (from, to) = (before.slot("master")?, before.slot("standby")?);
        cause.strike(&rig, &before)?.await_recovery(&rig)?;
        let notice = format!("--- failover: {} -> {}", from.name(), to.name());
        // The same direction every second time.
        await_text(&views[0].1, &notice, number / 2 + 1)?;
        await_text(&views[1].1, "\"notice\"", number + 1)?;
        await_text(&views[2].1, &notice, number / 2 + 1)?;
        let generation = format!("\"generation\":{}", shown(rig.switch())?.generation()?);
        wait_for("an answer of the new master", DEADLINE, || {
            let text: String = fs::read_to_string(&views[1].1)?
                .chars()
                .filter(|c| !c.is_whitespace())
                .collect();
            Ok(text.contains(&generation).then_some(()))
        })?;
        for (view, path) in &views {
            ensure!(view.ended()?.is_none(), "a view has ended:\n{}", tail(path));
        }
    }
    rig.others.finish()
}

fn refusals(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let before = await_ready(rig.switch())?;
    let standby = before.slot("standby")?;
    // Stopped, the boot does not start it again.
    rig.chassis.signal(standby, Part::Boot, Signal::SIGSTOP)?;
    rig.chassis.signal(standby, Part::Daemon, Signal::SIGKILL)?;
    wait_for("the standby to be missed", DEADLINE, || {
        Ok(shown(rig.switch())?
            .module("standby")
            .is_err()
            .then_some(()))
    })?;
    for words in [
        &["run", "msm-failover"][..],
        &["run", "msm-failover", "force"],
    ] {
        rig.is_refused(words, "there is no standby that could take over")?;
    }
    rig.is_refused(&["check", "msm-failover"], "there is no standby")?;
    rig.chassis.signal(standby, Part::Boot, Signal::SIGCONT)?;
    let after = await_ready(rig.switch())?;
    ensure!(
        after.generation()? == before.generation()?,
        "mastership changed: {after}"
    );
    rig.others.unharmed()?;
    rig.others.finish()?;

    let netns = ctx.netns("plain")?;
    let plain = ctx.switch(&netns, "plain", "vlans: []\nports: []\n")?;
    let ended = plain
        .hitless()?
        .args(["debug", "fault", "panic"])
        .output()?;
    let text = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(
        ended.status.code() == Some(1) && text.contains("HITLESS_FAULTS=1"),
        "{}: {text}",
        ended.status
    );
    Ok(())
}
