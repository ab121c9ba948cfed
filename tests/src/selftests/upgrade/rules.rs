//! What is in the way of an upgrade, what a dry run changes, and how long is waited for acceptance.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::rig::Rig;
use crate::harness::images::{Edition, spoil};
use crate::harness::ktap::{Case, Ctx};
use crate::selftests::lab::Mode;

const LONG: Duration = Duration::from_secs(240);

/// The cases of this file.
pub const CASES: &[Case] = &[
    Case::new(
        "upgrade.dry-run",
        "hitless upgrade --dry-run tells plan, checks and what would be lost, and changes nothing",
        dry_run,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.refused",
        "what is in the way of an upgrade is named: unsaved configuration, no signature, a truncated image, a standby that is \
         not there; nothing is changed",
        refused,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.accept-time",
        "an upgrade that nobody accepts in time is gone back from, nothing is lost",
        accept_time,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.commands-wait",
        "while an upgrade is between two versions, commands that would disturb it are refused with its step; while it waits \
         to be accepted they are not",
        commands_wait,
    )
    .timeout(LONG),
];

fn dry_run(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[])?;
    let before = (rig.switch().show("version")?, rig.master()?);
    let (code, text) = rig.upgrade(&image, &["--dry-run"])?;
    ensure!(code == Some(0), "{code:?}: {text}");
    for part in [
        "Checks",
        "Steps",
        "Nothing was changed.",
        &Edition::Newer.version()?,
    ] {
        ensure!(text.contains(part), "{part}: {text}");
    }
    let plan = rig
        .switch()
        .json(&["--yes", "upgrade", &image.display().to_string(), "dry-run"])?;
    ensure!(
        plan["checks"]
            .as_array()
            .is_some_and(|checks| checks.iter().all(|check| check["passed"] == true)),
        "{plan}"
    );
    let after = (rig.switch().show("version")?, rig.master()?);
    ensure!(before == after, "{before:?} {after:?}");
    ensure!(
        !rig.switch().images().directory().exists(),
        "banks were made"
    );
    let status = rig.status()?;
    ensure!(status.0.is_null(), "{status}");
    rig.unharmed(&tree)
}

fn refused(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Newer, &[])?;
    let file = image.display().to_string();
    rig.is_refused(&["upgrade", "accept"], "no upgrade waits")?;
    rig.is_refused(&["rollback"], "there was no upgrade")?;
    rig.switch().cli(&["create", "vlan", "red", "tag", "77"])?;
    rig.is_refused(&["upgrade", &file], "not saved")?;
    rig.switch().cli(&["save"])?;
    rig.switch()
        .cli(&["configure", "image", "unsigned", "refuse"])?;
    rig.switch().cli(&["save"])?;
    rig.is_refused(&["upgrade", &file], "is not signed")?;
    rig.switch()
        .cli(&["configure", "image", "unsigned", "allow"])?;
    rig.switch().cli(&["save"])?;
    rig.is_refused(&["upgrade", "/nonexistent.image"], "/nonexistent.image")?;
    let bad = rig.image(Edition::Newer, &[])?;
    spoil(&bad, |octets| octets.truncate(octets.len() - 1))?;
    rig.is_refused(&["upgrade", &bad.display().to_string()], "image")?;
    let flipped = rig.image(Edition::Newer, &[])?;
    spoil(&flipped, |octets| octets[4_096] ^= 1)?;
    rig.is_refused(&["upgrade", &flipped.display().to_string()], "image")?;
    fs::remove_file(&bad)?;
    let status = rig.status()?;
    ensure!(status.0.is_null(), "{status}");
    rig.unharmed(&tree)
}

fn accept_time(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    rig.go(Edition::Newer, &["accept-within", "2s"])?;
    rig.await_outcome("rolled-back", "nobody accepted it within 2 s")?;
    rig.runs(Edition::Current)?;
    rig.unharmed(&tree)
}

fn commands_wait(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    let image = rig.image(Edition::Current, &[])?;
    let cli = rig.begin(&image, &["accept-within", "10m"])?;
    rig.await_status("it has begun", |status| !status.0.is_null())?;
    rig.is_refused(&["run", "msm-failover"], "an upgrade to")?;
    rig.await_status("accept", |status| status.step() == "accept")?;
    drop(cli);
    rig.switch().cli(&["create", "vlan", "red", "tag", "77"])?;
    rig.is_refused(
        &["upgrade", &image.display().to_string()],
        "waits to be accepted",
    )?;
    rig.switch().cli(&["upgrade", "accept"])?;
    rig.await_outcome("accepted", "")?;
    rig.unharmed(&tree)
}
