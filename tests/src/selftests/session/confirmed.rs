//! Changes that must be confirmed: `confirmed SECONDS` at the end of a command.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::desk::{Desk, same};
use crate::harness::{
    ktap::{Case, Ctx},
    switch::DEADLINE,
    wait::wait_for,
};
use crate::selftests::failover::rig::{await_ready, equal};
use crate::selftests::lab::Mode;
use crate::selftests::pinned::Pinned;

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "session.confirmed",
        "a change that nobody confirms is gone when its time is over, in the hardware too, and not earlier; later changes go \
         with it, confirming keeps it, rollback takes it back at once, and save is refused meanwhile (seed: 29)",
        confirmed,
    )
    .timeout(LONG),
    Case::new(
        "session.confirmed-failover",
        "a change that waits for confirmation goes back by itself in the hands of the next master, or is confirmed there \
         (seed: 26, 27, 29)",
        failover,
    )
    .timeout(LONG),
];

const LONG: Duration = Duration::from_secs(180);

/// The shortest time there is.
const SECONDS: u64 = 10;

const CHANGE: &str = "configure vlan 30 limit-learning 77";

/// The configuration, and what becomes of it.
fn shown(desk: &Desk<'_>) -> Result<Value> {
    let mut shown = desk.switch().show("switch")?;
    shown["document"] = desk.configuration()?;
    Ok(shown)
}

/// Waits until the configuration is as it was, and gives back how long that took.
fn await_rollback(desk: &Desk<'_>, base: &Value, since: Instant) -> Result<Duration> {
    wait_for(
        "the rollback",
        DEADLINE + Duration::from_secs(SECONDS),
        || {
            let now = shown(desk)?;
            Ok((now["document"] == *base && now["rollback_seconds"].is_null()).then_some(()))
        },
    )?;
    Ok(since.elapsed())
}

fn confirmed(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let (base, hardware) = (desk.configuration()?, Pinned::of(desk.switch()).state()?);

    desk.others.phase("not confirmed")?;
    let start = Instant::now();
    let text = desk.command(&format!("{CHANGE} confirmed {SECONDS}"))?;
    ensure!(
        text.contains("confirm configuration"),
        "how to keep it is not said: {text}"
    );
    let now = shown(&desk)?;
    ensure!(
        now["document"] != base
            && now["rollback_seconds"]
                .as_u64()
                .is_some_and(|left| left <= SECONDS)
            && now["unsaved"] == true,
        "{now}"
    );
    // Whatever follows goes back with it.
    desk.command("create vlan later tag 60")?;
    for save in ["save", "save configuration secondary"] {
        desk.is_refused(save, "confirm")?;
    }
    let took = await_rollback(&desk, &base, start)?;
    ensure!(
        took >= Duration::from_secs(SECONDS - 1),
        "rolled back after {took:?}"
    );
    equal(desk.switch())?;
    let differences = Pinned::of(desk.switch()).state()?.differences(&hardware);
    ensure!(
        differences.is_empty(),
        "the hardware is not as before: {differences:?}"
    );
    ensure!(shown(&desk)?["unsaved"] == false, "{}", shown(&desk)?);
    let log = desk.switch().show("log")?.to_string();
    ensure!(log.contains("confirm"), "not logged: {log}");

    desk.others.phase("confirmed")?;
    desk.command(&format!("{CHANGE} confirmed {SECONDS}"))?;
    let start = Instant::now();
    desk.command("confirm configuration")?;
    let kept = shown(&desk)?;
    ensure!(
        kept["document"] != base && kept["rollback_seconds"].is_null(),
        "{kept}"
    );
    desk.is_refused("confirm configuration", "no change waits")?;

    desk.others.phase("taken back at once")?;
    desk.command(&format!("create vlan trial confirmed {SECONDS}"))?;
    desk.command("rollback configuration")?;
    same(
        "taken back at once",
        &kept["document"],
        &desk.configuration()?,
    )?;
    desk.is_refused("rollback configuration", "no change waits")?;

    // Of what was confirmed the clock has run out, too, and nothing has happened.
    wait_for("the first clock to run out", DEADLINE, || {
        Ok((start.elapsed() > Duration::from_secs(SECONDS + 1)).then_some(()))
    })?;
    same("after the time", &kept["document"], &desk.configuration()?)?;
    desk.command("save")?;
    desk.others.unharmed()?;
    desk.others.finish()
}

fn failover(ctx: &Ctx) -> Result<()> {
    let mut desk = Desk::new(ctx, Mode::Mixed)?;
    let base = desk.configuration()?;

    desk.others.phase("right after the answer")?;
    let before = await_ready(desk.switch())?;
    let start = Instant::now();
    desk.command(&format!("{CHANGE} confirmed {SECONDS}"))?;
    desk.lose_master(&before)?;
    let now = shown(&desk)?;
    ensure!(
        now["document"] != base && now["rollback_seconds"].is_u64(),
        "the next master does not have it, or does not know its time: {now}"
    );
    desk.is_refused("save", "confirm")?;
    let took = await_rollback(&desk, &base, start)?;
    ensure!(
        took >= Duration::from_secs(SECONDS - 1),
        "rolled back after {took:?}"
    );
    await_ready(desk.switch())?;
    equal(desk.switch())?;

    desk.others.phase("confirmed on the next master")?;
    desk.command(&format!("{CHANGE} confirmed 60"))?;
    desk.fail_over()?;
    desk.command("confirm configuration")?;
    let kept = shown(&desk)?;
    ensure!(
        kept["document"] != base && kept["rollback_seconds"].is_null() && kept["unsaved"] == true,
        "{kept}"
    );

    desk.others.phase("taken back on the next master")?;
    desk.command("create vlan trial confirmed 60")?;
    desk.fail_over()?;
    desk.command("rollback configuration")?;
    same("taken back", &kept["document"], &desk.configuration()?)?;
    desk.fail_over().context("after the rollback")?;
    same("in the end", &kept["document"], &desk.configuration()?)?;
    desk.others.unharmed()?;
    desk.others.finish()
}
