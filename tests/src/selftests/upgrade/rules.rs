//! What is in the way of an upgrade, what a dry run changes, and how long is waited for acceptance.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::desk::Desk;
use super::rig::Rig;
use crate::harness::images::{Edition, foreign_program, spoil};
use crate::harness::ktap::{Case, Ctx};
use crate::harness::process::output;
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
        "what is in the way of an upgrade is named: unsaved configuration, no signature, no file; nothing is changed",
        refused,
    )
    .timeout(LONG),
    Case::new(
        "upgrade.bad-images",
        "an image that is damaged, for another machine, of another protocol or layout, or that takes over from later versions \
         only is refused with the reason, and nothing is changed",
        bad_images,
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
    let status = rig.status()?;
    ensure!(status.0.is_null(), "{status}");
    rig.unharmed(&tree)
}

/// What is done to an image of another version, and what is said of it.
fn bad_ones(rig: &Rig<'_>) -> Result<Vec<(PathBuf, Vec<String>)>> {
    let newer = Edition::Newer.version()?;
    let current = Edition::Current.version()?;
    let spoiled = |change: fn(&mut Vec<u8>)| -> Result<PathBuf> {
        let image = rig.image(Edition::Newer, &[])?;
        spoil(&image, change)?;
        Ok(image)
    };
    let telling = |key: &str, value: &str| {
        let line = |line: &str| match line.split_once(' ') {
            Some((found, _)) if found == key => format!("{key} {value}\n"),
            _ => format!("{line}\n"),
        };
        rig.maker()
            .telling(Edition::Newer, |told| told.lines().map(line).collect())
    };
    let program = rig.ctx().files().join("foreign");
    foreign_program(&program)?;
    let can_not = "the upgrade can not be hitless";
    let known = |key: &str| -> Result<String> {
        let told = output(Command::new(Edition::Current.program()?).arg("--manifest"))?;
        let found = told
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        found
            .map(str::to_owned)
            .with_context(|| format!("no {key}"))
    };
    let (protocol, layout) = (known("protocol")?, known("layout")?);
    let found: Vec<(PathBuf, Vec<&str>)> = vec![
        (spoiled(|o| o.truncate(o.len() - 1))?, vec!["has no footer"]),
        (spoiled(|o| o.truncate(o.len() / 2))?, vec!["has no footer"]),
        (spoiled(|o| o.truncate(0))?, vec!["has no footer"]),
        (
            spoiled(|o| o[4_096] ^= 1)?,
            vec!["is damaged: the program's SHA-256 is"],
        ),
        (
            spoiled(|o| {
                let manifest = o.len() - 100;
                o[manifest] ^= 1;
            })?,
            vec!["have another checksum than the footer tells"],
        ),
        (
            rig.maker().program(&program, &newer)?,
            vec!["is for another machine: ", "machine 243"],
        ),
        (
            telling("arch", "riscv64")?,
            vec!["is for another machine: ", "riscv64"],
        ),
        (
            telling("lowest-compatible", &newer)?,
            vec![
                can_not,
                "lowest-compatible: ",
                "and later, not from ",
                &current,
            ],
        ),
        (
            telling("protocol", "999")?,
            vec![can_not, "protocol: ", "version 999", &protocol],
        ),
        (
            telling("layout", "999")?,
            vec![can_not, "layout: ", "layout 999", &layout],
        ),
        (
            rig.maker().program(Path::new("/bin/true"), &newer)?,
            vec!["description: "],
        ),
    ];
    let owned = |says: Vec<&str>| says.into_iter().map(str::to_owned).collect();
    let found = found.into_iter();
    Ok(found.map(|(file, says)| (file, owned(says))).collect())
}

fn bad_images(ctx: &Ctx) -> Result<()> {
    let mut rig = Rig::new(ctx, Mode::Tc)?;
    let tree = rig.tree()?;
    // So that there is something that could be changed.
    let kept = rig.maker().program(Path::new("/bin/true"), "0.1.0")?;
    let kept = kept.display().to_string();
    rig.switch()
        .cli(&["download", "image", &kept, "secondary"])?;
    let before = rig.standing()?;
    for (file, says) in bad_ones(&rig)? {
        let file = file.display().to_string();
        for says in says {
            rig.is_refused(&["upgrade", &file], &says)?;
        }
        let after = rig.standing()?;
        ensure!(before == after, "{file}: {before:?} became {after:?}");
        fs::remove_file(&file)?;
    }
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
