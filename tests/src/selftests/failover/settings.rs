//! The settings of failover: what each of them does when a master is really lost.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::causes::Cause;
use super::rig::{PATIENT, Rig, Shown, await_ready, await_shown, shown};
use crate::harness::{
    ktap::{Case, Ctx},
    netns::Netns,
};
use crate::selftests::lab::Mode;
use crate::selftests::trial::ends;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "failover.levels",
        "the six preservation levels by their settings, flash excludes preserve-state, unconfigure has its four \
         effects (seed: 32, 33, 34, 36, 38)",
        levels,
    ),
    Case::new(
        "failover.links",
        "take-links-down takes every link down and up at a failover; keep-links-up never does (seed: 16, 32, 33)",
        links,
    )
    .timeout(LONG),
    Case::new(
        "failover.slave-config",
        "unsaved changes and their asterisk survive a failover; with flash the new master runs what was saved \
         (seed: 26, 28, 29, 34)",
        slave_config,
    )
    .timeout(LONG),
    Case::new(
        "failover.recovery-level",
        "a task that panics is started again under critical, and fails the module over under all (seed: 35)",
        recovery_level,
    )
    .timeout(LONG),
    Case::new(
        "failover.timer",
        "the failover timer runs after a failover, for its configured time, and not before (seed: 36, 37)",
        timer,
    ),
    Case::new(
        "failover.stale",
        "a standby whose checkpoint is too old takes over without it, and says why (seed: 8, 9, 14)",
        stale,
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(180);

const RATE: u32 = 20_000;

fn configure(rig: &Rig<'_>, words: &str) -> Result<()> {
    let words: Vec<&str> = words.split_whitespace().collect();
    rig.switch().cli(&words).map(drop)
}

/// Loses the master by the operator's command, hitless or not.
fn fail_over(rig: &Rig<'_>) -> Result<Shown> {
    let before = await_ready(rig.switch())?;
    let ended = rig
        .switch()
        .hitless()?
        .args(["run", "msm-failover"])
        .output()?;
    let code = ended.status.code();
    let generation = before.generation()? + 1;
    let after = await_shown(rig.switch(), |shown| {
        shown.is_ready() && shown.generation().is_ok_and(|g| g == generation)
    })?;
    let hitless = after.last()["hitless"] == true;
    ensure!(
        code == Some(if hitless { 0 } else { 5 }),
        "run msm-failover ended with {code:?}: {after}"
    );
    Ok(after)
}

fn levels(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc, PATIENT, Some(RATE))?;
    const LINK_ACTION: &str = "configure msm-failover link-action";
    const SLAVE_CONFIG: &str = "configure msm-failover slave-config";
    let steps = [
        (
            6,
            format!("{LINK_ACTION} keep-links-up preserve-state l2_l3"),
        ),
        (5, format!("{LINK_ACTION} keep-links-up preserve-state l2")),
        (4, format!("{LINK_ACTION} keep-links-up")),
        (3, format!("{SLAVE_CONFIG} flash")),
        (1, format!("{LINK_ACTION} take-links-down")),
        (2, format!("{SLAVE_CONFIG} inherited")),
    ];
    for (level, words) in steps {
        configure(&rig, &words)?;
        let settings = &shown(rig.switch())?.0["settings"];
        ensure!(
            settings["preservation_level"] == level && settings["hitless"] == (level >= 5),
            "after {words}: {settings}"
        );
        let words = settings["preservation"].as_str().context("words")?;
        let text = rig.switch().cli(&["show", "msm-failover"])?;
        ensure!(text.contains(words), "{words:?} is not shown: {text}");
    }
    configure(
        &rig,
        &format!("{LINK_ACTION} keep-links-up preserve-state l2"),
    )?;
    let words = ["configure", "msm-failover", "slave-config", "flash"];
    rig.is_refused(&words, "flash excludes")?;
    let mut command = rig.switch().hitless()?;
    command.args(["configure", "msm-failover", "timeout", "29"]);
    ends(ctx, &mut command, 2, &["29 is not in 30 to 300"])?;
    configure(&rig, "configure msm-failover timeout 300")?;
    configure(&rig, "unconfigure msm-failover")?;
    let settings = &shown(rig.switch())?.0["settings"];
    ensure!(
        settings["slave_config"] == "flash"
            && settings["link_action"] == "take_links_down"
            && settings["preserve_state"] == "none"
            && settings["timeout_seconds"] == 60,
        "{settings}"
    );
    rig.others.unharmed()?;
    rig.others.finish()
}

/// How often the carrier of a station's device has changed.
fn carrier_changes(host: &Netns) -> Result<u64> {
    let text = host.ip(&["-s", "-s", "-json", "link", "show", "dev", "eth1"])?;
    let links: serde_json::Value = serde_json::from_str(&text)?;
    let changes = links[0]["stats64"]["tx"]["carrier_changes"].as_u64();
    changes.with_context(|| format!("no carrier_changes: {text}"))
}

fn links(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let all = |rig: &Rig<'_>| -> Result<Vec<u64>> {
        rig.others.lab.hosts.iter().map(carrier_changes).collect()
    };
    let before = all(&rig)?;
    for words in [
        "keep-links-up preserve-state l2",
        "keep-links-up preserve-state l2_l3",
        "keep-links-up",
    ] {
        configure(&rig, &format!("configure msm-failover link-action {words}"))?;
        rig.others.phase(words)?;
        let after = fail_over(&rig)?;
        ensure!(
            after.last()["hitless"] == (words != "keep-links-up"),
            "{words}: {after}"
        );
        ensure!(all(&rig)? == before, "{words}: a link changed");
        rig.others.unharmed()?;
    }
    // Also where state is not kept frames go on: they are flooded.
    rig.others.finish()?;
    configure(&rig, "configure msm-failover link-action take-links-down")?;
    fail_over(&rig)?;
    for (host, (before, after)) in before.iter().zip(all(&rig)?).enumerate() {
        ensure!(
            after >= before + 2,
            "h{}: {before} carrier changes, now {after}",
            host + 1
        );
    }
    rig.others.begin()?;
    rig.others.unharmed()?;
    configure(
        &rig,
        "configure msm-failover link-action keep-links-up preserve-state l2_l3",
    )?;
    rig.others.finish()
}

/// What is shown of the configuration: whether changes are not saved, the same in words, and the timeout.
fn configuration(rig: &Rig<'_>) -> Result<(bool, bool, u64)> {
    let now = shown(rig.switch())?.0;
    let text = rig.switch().cli(&["show", "msm-failover"])?;
    Ok((
        now["unsaved"] == true,
        text.starts_with("* "),
        now["settings"]["timeout_seconds"]
            .as_u64()
            .context("timeout")?,
    ))
}

fn slave_config(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    ensure!(configuration(&rig)? == (false, false, 60), "at first");
    configure(&rig, "configure msm-failover timeout 90")?;
    for (cause, name) in [(Cause::Operator, "operator"), (Cause::Kill, "SIGKILL")] {
        rig.others.phase(name)?;
        let before = await_ready(rig.switch())?;
        cause.strike(&rig, &before)?.await_recovery(&rig)?;
        let now = configuration(&rig)?;
        ensure!(now == (true, true, 90), "after {name}: {now:?}");
    }
    rig.others.phase("saved")?;
    configure(&rig, "save")?;
    let file = fs::read_to_string(rig.switch().config())?;
    ensure!(file.contains("90"), "not saved: {file}");
    fail_over(&rig)?;
    let now = configuration(&rig)?;
    ensure!(now == (false, false, 90), "after save: {now:?}");
    rig.others.finish()?;

    for words in [
        "link-action keep-links-up",
        "slave-config flash",
        "timeout 120",
    ] {
        configure(&rig, &format!("configure msm-failover {words}"))?;
    }
    let now = configuration(&rig)?;
    ensure!(now == (true, true, 120), "before flash: {now:?}");
    let after = fail_over(&rig)?;
    ensure!(
        after.last()["hitless"] == false && after.0["settings"]["slave_config"] == "inherited",
        "not what was saved: {after}"
    );
    let now = configuration(&rig)?;
    ensure!(now == (false, false, 90), "after flash: {now:?}");
    Ok(())
}

fn recovery_level(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    configure(&rig, "configure sys-recovery-level critical msm-failover")?;
    let before = await_ready(rig.switch())?;
    for _ in 0..3 {
        // Who asks may lose its connection with the task.
        let _ = rig.switch().cli(&["debug", "fault", "task-panic"]);
        await_ready(rig.switch())?;
    }
    let log = rig.switch().show("log")?.to_string();
    ensure!(
        log.contains("a task panicked and is started again"),
        "not logged: {log}"
    );
    let still = await_ready(rig.switch())?;
    ensure!(
        still.generation()? == before.generation()?
            && still.pid("master")? == before.pid("master")?,
        "failed over under critical: {still}"
    );
    rig.others.unharmed()?;
    // A critical task's panic counts under either level, and so does whatever else ends the process.
    for (level, fault) in [
        ("critical", "critical-task-panic"),
        ("all", "task-panic"),
        ("all", "critical-task-panic"),
        ("all", "abort"),
        ("all", "exit"),
    ] {
        rig.others.phase(&format!("{fault} under {level}"))?;
        configure(&rig, &format!("configure sys-recovery-level {level}"))?;
        let generation = await_ready(rig.switch())?.generation()? + 1;
        let _ = rig.switch().cli(&["debug", "fault", fault]);
        let after = await_shown(rig.switch(), |shown| {
            shown.generation().is_ok_and(|g| g >= generation)
                && shown.is_ready()
                && shown.last()["cause"] == "software-exception"
        })
        .with_context(|| format!("{fault} under {level}"))?;
        ensure!(after.generation()? == generation, "more than one: {after}");
        rig.others.unharmed()?;
    }
    rig.others.finish()
}

fn timer(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Mixed, PATIENT, Some(RATE))?;
    let before = shown(rig.switch())?;
    ensure!(before.0["timer"]["running"] == false, "{before}");
    configure(&rig, "configure msm-failover timeout 300")?;
    let after = fail_over(&rig)?;
    let timer = &after.0["timer"];
    let left = timer["seconds_left"].as_u64().unwrap_or(0);
    ensure!(
        timer["running"] == true && (200..=300).contains(&left),
        "the timer does not run, or not for 300 s: {after}"
    );
    rig.others.unharmed()?;
    rig.others.finish()
}

fn stale(ctx: &Ctx) -> Result<()> {
    // Whatever a standby knows is too old by the time at which it notices.
    let settings = "{watchdog_ms: 1000, keepalive_misses: 25, freshness_ms: 100, lease_ms: 10000}";
    let mut rig = Rig::new(ctx, Mode::Mixed, settings, Some(RATE))?;
    for cause in [Cause::Hang, Cause::Silence] {
        rig.others.phase(cause.shown())?;
        let before = await_ready(rig.switch())?;
        let after = cause.strike(&rig, &before)?.await_recovery(&rig)?;
        let detail = after.last()["detail"].as_str().unwrap_or_default();
        ensure!(
            after.last()["hitless"] == false
                && detail.contains("not hitless: the checkpoint is")
                && detail.contains("100 ms are allowed"),
            "{cause}: {after}"
        );
        // Whoever knows nobody floods: established flows go on, if not for their own ports alone.
        rig.others.go_on(1_000)?;
    }
    Ok(())
}
